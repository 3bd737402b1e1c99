# SPDX-License-Identifier: Apache-2.0
"""csource: just enough understanding of C text for tools/lint and tools/mkman.

No parser: the text is cut into code, comments and literals, and functions are found by their braces. What a rule
must not see is replaced by spaces, so that every offset and line number stays true.
"""
import bisect
import re
from collections import namedtuple

# Comments, string and character literals, in the order in which a compiler would meet them.
_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
_DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n\\]|\\.|\\\n)*', re.MULTILINE | re.DOTALL)

# First and last line, how many lines are code (rows of a table in it are data), and the offsets of its braces.
Function = namedtuple('Function', 'name first last lines start end')


def _blank(text):
    return re.sub(r'[^\n]', ' ', text)


class Source:
    """One C file: `text` as it is, `code` without comments and literals, `quoted` with literals but no comments."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.comments = []  # (offset, text)
        self.strings = []  # (offset, text with its quotes)
        self._starts = [0] + [m.end() for m in re.finditer(r'\n', text)]
        code, quoted, at = [], [], 0
        for m in _TOKEN.finditer(text):
            code.append(text[at:m.start()])
            quoted.append(text[at:m.start()])
            if m.group().startswith('/'):
                self.comments.append((m.start(), m.group()))
                quoted.append(_blank(m.group()))
            else:
                self.strings.append((m.start(), m.group()))
                quoted.append(m.group())
            code.append(_blank(m.group()))
            at = m.end()
        self.code = ''.join(code) + text[at:]
        self.quoted = ''.join(quoted) + text[at:]

    def line(self, offset):
        return bisect.bisect_right(self._starts, offset)

    def lines(self):
        return self.text.count('\n') + (not self.text.endswith('\n'))

    def includes(self):
        """(line, '<' or '"', path) of every #include, in order."""
        for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', self.quoted, re.MULTILINE):
            yield self.line(m.start()), m.group(1), m.group(2)

    def functions(self):
        """Every function body: a brace at depth zero whose left neighbour closes a parameter list."""
        code = _DIRECTIVE.sub(lambda m: _blank(m.group()), self.code)
        depth, head, begun = 0, 0, None
        for m in re.finditer(r'[{};]', code):
            if m.group() == '{':
                depth += 1
                if depth == 1:
                    begun = m.start()
                continue
            if m.group() == '}':
                depth -= 1
            if depth > 0:
                continue
            if begun is not None and m.group() == '}':
                name = _function_name(code[head:begun])
                if name:
                    first = head + re.match(r'\s*', code[head:begun]).end()
                    lines = self.line(m.start()) - self.line(first) + 1 - self._table_lines(code, begun, m.start())
                    yield Function(name, self.line(first), self.line(m.start()), lines, begun, m.start())
                begun = None
            head = m.end()

    def _table_lines(self, code, start, end):
        """Lines strictly inside the braces of initialisers between two offsets."""
        count, at = 0, start
        while m := re.compile(r'=\s*\{').search(code, at, end):
            at = self.closing(m.end() - 1)
            count += max(0, self.line(at - 1) - self.line(m.end() - 1) - 1)
        return count

    def closing(self, opening):
        """The offset after the bracket that closes the one at `opening`."""
        depth = 0
        for m in re.finditer(r'[][(){}]', self.code[opening:]):
            depth += 1 if m.group() in '([{' else -1
            if depth == 0:
                return opening + m.end()
        return len(self.code)


def _function_name(head):
    """The name in `static int name(args) ATTRIBUTE(x)`, or None when it is no function: a type, an initialiser."""
    head = head.strip()
    if '=' in head or not head.endswith(')'):
        return None
    m = re.search(r'(\w+)\s*\(', re.sub(r'__attribute__\s*\(\(.*?\)\)', '', head))
    return m.group(1) if m else None


def rows(text):
    """The rows of a .tbl file as lists: strings are unquoted and joined, anything else is kept as written.

    A row is NAME(cell, cell, ...) at the start of a line, as the C preprocessor would take it.
    """
    src = Source('', text)
    code = _DIRECTIVE.sub(lambda m: _blank(m.group()), src.code)
    for m in re.finditer(r'^(\w+)\(', code, re.MULTILINE):
        end = src.closing(m.end() - 1) - 1
        cells, at, depth = [], m.end(), 0
        for i in range(m.end(), end + 1):
            c = code[i]
            depth += (c in '([{') - (c in ')]}' and i < end)
            if (c == ',' and depth == 0) or i == end:
                cells.append(_cell(src.quoted[at:i]))
                at = i + 1
        yield [m.group(1)] + cells


_ESCAPES = {'n': '\n', 't': '\t', '"': '"', '\\': '\\', "'": "'"}


def _cell(raw):
    raw = raw.strip()
    parts = re.findall(r'"((?:\\.|[^"\\])*)"', raw, re.DOTALL)
    if parts and raw.startswith('"'):
        return re.sub(r'\\(.)', lambda m: _ESCAPES.get(m.group(1), m.group(1)), ''.join(parts))
    return re.sub(r'\s+', ' ', raw)
