/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/fetch_head.h"

#include <string.h>

/* A name and a value cost two NULs beside the colon and the line end they replace. */
#define TEXT_BYTES_MAX (TK_FETCH_HEAD_BYTES_MAX + 4 * TK_FETCH_HEADERS_MAX)

void tk_fetch_head_init(struct tk_fetch_head *head) {
        memset(head, 0, sizeof *head);
        head->text = TK_BUF(TEXT_BYTES_MAX);
}

void tk_fetch_head_free(struct tk_fetch_head *head) {
        tk_buf_free(&head->text);
        head->nr = 0;
}

/* A letter or digit, by far the usual case, is told without a look at the rest. */
bool tk_fetch_token_ok(struct tk_str s) {
        for (size_t i = 0; i < s.len; i++) {
                unsigned char c = (unsigned char)s.at[i];
                bool alnum = (unsigned char)((c | 0x20) - 'a') < 26 || (unsigned char)(c - '0') < 10;
                if (!alnum && c != '-' && (c == '\0' || !strchr("!#$%&'*+.^_`|~", c)))
                        return false;
        }
        return s.len > 0;
}

bool tk_fetch_value_ok(struct tk_str s) {
        bool bad = false;
        for (size_t i = 0; i < s.len; i++) { /* without a way out, so that many are looked at at once */
                unsigned char c = (unsigned char)s.at[i];
                bad |= (c < 0x20 && c != '\t') || c == 0x7F;
        }
        return !bad;
}

static enum tk_fetch_head_step bad(struct tk_fetch_head *head, const char *why) {
        head->why = why;
        return TK_FETCH_HEAD_BAD;
}

/* "HTTP/1.1 200 Fine", "HTTP/2 200". */
static enum tk_fetch_head_step status_line(struct tk_fetch_head *head, struct tk_str line) {
        uint64_t status;
        if (!tk_str_starts(line, "HTTP/"))
                return bad(head, "the answer does not start with a status line");
        struct tk_str rest = tk_str_skip(line, tk_str_find(line, ' '));
        if (rest.len < 4 || (rest.len > 4 && rest.at[4] != ' '))
                return bad(head, "the answer's status line is malformed");
        if (!tk_str_u64((struct tk_str){rest.at + 1, 3}, &status) || status < 100)
                return bad(head, "the answer's status is no status");
        head->status = (int)status;
        return TK_FETCH_HEAD_MORE;
}

static struct tk_str value_at(const struct tk_fetch_head *head, unsigned i) {
        return (struct tk_str){head->text.at + head->at[i].value, head->at[i].value_len};
}

static enum tk_fetch_head_step folded(struct tk_fetch_head *head, struct tk_str line) {
        struct tk_str more = tk_str_trim(line);
        if (head->nr == 0)
                return bad(head, "the answer's first header line is folded");
        if (!tk_fetch_value_ok(more))
                return bad(head, "a header of the answer holds a control byte");
        head->text.len--; /* The last value's NUL: it is the last thing in the text. */
        tk_buf_char(&head->text, ' ');
        tk_buf_put(&head->text, more);
        tk_buf_char(&head->text, '\0');
        if (!tk_buf_ok(&head->text))
                return TK_FETCH_HEAD_NO_MEMORY;
        head->at[head->nr - 1].value_len += (uint32_t)more.len + 1;
        return TK_FETCH_HEAD_MORE;
}

static void lower(char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (s[i] >= 'A' && s[i] <= 'Z')
                        s[i] = (char)(s[i] + ('a' - 'A'));
}

static enum tk_fetch_head_step field(struct tk_fetch_head *head, struct tk_str line) {
        size_t colon = tk_str_find(line, ':');
        struct tk_str name = tk_str_head(line, colon);
        if (colon == line.len || !tk_fetch_token_ok(name))
                return bad(head, "a header line of the answer is malformed");
        struct tk_str value = tk_str_trim(tk_str_skip(line, colon + 1));
        if (!tk_fetch_value_ok(value))
                return bad(head, "a header of the answer holds a control byte");
        if (head->nr == TK_FETCH_HEADERS_MAX)
                return bad(head, "the answer has too many headers");
        size_t start = head->text.len;
        tk_buf_put(&head->text, name);
        tk_buf_char(&head->text, '\0');
        tk_buf_put(&head->text, value);
        tk_buf_char(&head->text, '\0');
        if (!tk_buf_ok(&head->text))
                return TK_FETCH_HEAD_NO_MEMORY;
        lower(head->text.at + start, name.len);
        head->at[head->nr].name = (uint32_t)start;
        head->at[head->nr].value = (uint32_t)(start + name.len + 1);
        head->at[head->nr].value_len = (uint32_t)value.len;
        head->nr++;
        return TK_FETCH_HEAD_MORE;
}

/* RFC 9112 section 6.3: a length that is no number, or two that differ, leave the end of the body open. */
static bool length_ok(const struct tk_fetch_head *head) {
        uint64_t length = 0, first = 0;
        bool found = false;
        for (unsigned i = 0; i < head->nr; i++) {
                if (strcmp(head->text.at + head->at[i].name, "content-length") != 0)
                        continue;
                if (!tk_str_u64(value_at(head, i), &length) || length > INT64_MAX)
                        return false;
                if (found && length != first)
                        return false;
                first = length;
                found = true;
        }
        return true;
}

/* The blank line: folded values are complete only now, so this is where they are judged. */
static enum tk_fetch_head_step blank_line(struct tk_fetch_head *head) {
        if (head->status == 101)
                return bad(head, "the upstream switched protocols without being asked");
        if (!length_ok(head))
                return bad(head, "the answer's content-length is malformed");
        if (head->status >= 200) {
                head->done = true;
                return TK_FETCH_HEAD_DONE;
        }
        if (++head->interim > TK_FETCH_INTERIM_MAX)
                return bad(head, "the upstream sends interim answers without end");
        head->status = 0;
        head->nr = 0;
        tk_buf_clear(&head->text);
        return TK_FETCH_HEAD_MORE;
}

enum tk_fetch_head_step tk_fetch_head_line(struct tk_fetch_head *head, struct tk_str line) {
        MUST(!head->why);
        if (head->done)
                return TK_FETCH_HEAD_MORE;
        if (line.len > TK_FETCH_HEAD_BYTES_MAX - head->bytes)
                return bad(head, "the head of the answer is too large");
        head->bytes += line.len;
        if (line.len && line.at[line.len - 1] == '\n')
                line.len--;
        if (line.len && line.at[line.len - 1] == '\r')
                line.len--;
        if (head->status == 0)
                return status_line(head, line);
        if (line.len == 0)
                return blank_line(head);
        if (line.at[0] == ' ' || line.at[0] == '\t')
                return folded(head, line);
        return field(head, line);
}

unsigned tk_fetch_head_list(const struct tk_fetch_head *head,
                            struct tk_fetch_header out[TK_FETCH_HEADERS_MAX]) {
        MUST(head->done);
        for (unsigned i = 0; i < head->nr; i++)
                out[i] = (struct tk_fetch_header){head->text.at + head->at[i].name, value_at(head, i)};
        return head->nr;
}
