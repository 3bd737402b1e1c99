/* SPDX-License-Identifier: Apache-2.0
 *
 * The text is looked at three times, each linear: scan() for bytes that libyaml would report without a
 * line or accept in silence; guard() event by event, which can stop early (the library's time grows with
 * the square of the nesting, so a megabyte of '[' would keep it busy for minutes); then the library
 * builds its document, whose nodes carry their marks.
 */
#include "daemon/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct tk_yaml {
        yaml_document_t document;
};

struct source {
        const char *name;
        struct tk_str text;
        char *why;
        size_t why_size;
};

static enum tk_err refuse(const struct source *source, size_t line, const char *fmt, ...) TK_PRINTF(3, 4);

static enum tk_err refuse(const struct source *source, size_t line, const char *fmt, ...) {
        va_list args;
        int n = snprintf(source->why, source->why_size, "%s:%zu: ", source->name, line);
        if (n < 0 || (size_t)n >= source->why_size)
                return TK_E_SYNTAX;
        va_start(args, fmt);
        vsnprintf(source->why + n, source->why_size - (size_t)n, fmt, args);
        va_end(args);
        return TK_E_SYNTAX;
}

/* U+0085, U+2028 and U+2029: YAML 1.1 ends a line there and an editor does not, so line numbers would part.
 */
static bool hides_line_end(struct tk_str a) {
        for (size_t i = 0; i + 1 < a.len; i++) {
                const unsigned char *s = (const unsigned char *)a.at + i;
                if (s[0] == 0xC2 && s[1] == 0x85)
                        return true;
                if (s[0] == 0xE2 && s[1] == 0x80 && i + 2 < a.len && (s[2] == 0xA8 || s[2] == 0xA9))
                        return true;
        }
        return false;
}

/* Bytes that no configuration has: told with their line, before the library sees them. */
static enum tk_err scan(const struct source *source) {
        struct tk_str rest = source->text;
        if (tk_str_starts(rest, "\xEF\xBB\xBF") || tk_str_starts(rest, "\xFF\xFE") ||
            tk_str_starts(rest, "\xFE\xFF"))
                return refuse(source, 1, "the file begins with a byte order mark; save it as plain UTF-8");
        for (size_t line = 1; rest.len; line++) {
                size_t end = tk_str_find(rest, '\n');
                struct tk_str here = tk_str_head(rest, end);
                if (!tk_str_utf8_ok(here))
                        return refuse(source, line, "the line is not valid UTF-8");
                if (hides_line_end(here))
                        return refuse(source, line, "the line holds a Unicode line separator");
                for (size_t i = 0; i < here.len; i++) {
                        unsigned char c = (unsigned char)here.at[i];
                        bool ends_line = c == '\r' && i + 1 == here.len;
                        if ((c < 0x20 && c != '\t' && !ends_line) || c == 0x7F)
                                return refuse(source, line, "the line holds the control byte 0x%02x", c);
                }
                rest = tk_str_skip(rest, end < rest.len ? end + 1 : end);
        }
        return TK_OK;
}

/* A line (from 1) without its end. */
static struct tk_str nth_line(struct tk_str text, size_t line) {
        for (; line > 1 && text.len; line--) {
                size_t end = tk_str_find(text, '\n');
                text = tk_str_skip(text, end < text.len ? end + 1 : end);
        }
        return tk_str_head(text, tk_str_find(text, '\n'));
}

/* Is there a tab among the white space that begins it? YAML forbids that, and people cannot see it. */
static bool indented_by_tab(struct tk_str line) {
        for (size_t i = 0; i < line.len && (line.at[i] == ' ' || line.at[i] == '\t'); i++)
                if (line.at[i] == '\t')
                        return true;
        return false;
}

static bool has_variable(struct tk_str line) {
        for (; line.len; line = tk_str_skip(line, 1))
                if (tk_str_starts(line, "${"))
                        return true;
        return false;
}

static size_t line_of(struct tk_str text, size_t offset) {
        size_t line = 1;
        for (size_t i = 0; i < offset && i < text.len; i++)
                line += text.at[i] == '\n';
        return line;
}

static enum tk_err refuse_parser(const struct source *source, const yaml_parser_t *parser) {
        size_t line = parser->problem_mark.line + 1;
        if (parser->error == YAML_READER_ERROR)
                line = line_of(source->text, parser->problem_offset);
        struct tk_str here = nth_line(source->text, line);
        if (parser->error == YAML_MEMORY_ERROR) {
                snprintf(source->why, source->why_size, "%s: out of memory", source->name);
                return TK_E_NO_MEMORY;
        }
        if (indented_by_tab(here))
                return refuse(source, line, "the line begins with a tab; YAML is indented with spaces");
        if (parser->problem && strcmp(parser->problem, "mapping values are not allowed in this context") == 0)
                return refuse(source, line,
                              "a ':' where none may be; a text that has one before a space or at its "
                              "end, such as \"memory:\", has to stand in quotes");
        if (parser->problem && strcmp(parser->problem, "did not find expected ',' or '}'") == 0 &&
            has_variable(here))
                return refuse(source, line, "%s; a ${NAME} inside { } has to stand in quotes",
                              parser->problem);
        if (parser->context && parser->context_mark.line + 1 != line)
                return refuse(source, line, "%s (%s that began in line %zu)", parser->problem,
                              parser->context, parser->context_mark.line + 1);
        return refuse(source, line, "%s", parser->problem ? parser->problem : "this is not YAML");
}

/* Judges one event; depth is that of the collections that are open. */
static enum tk_err judge(const struct source *source, const yaml_event_t *event, unsigned *depth,
                         unsigned *documents) {
        size_t line = event->start_mark.line + 1;
        const yaml_char_t *tag = NULL;
        switch (event->type) {
        case YAML_DOCUMENT_START_EVENT:
                if (++*documents > 1)
                        return refuse(source, line, "a second document begins here; there may be only one");
                break;
        case YAML_SCALAR_EVENT:
                tag = event->data.scalar.tag;
                break;
        case YAML_SEQUENCE_START_EVENT:
                tag = event->data.sequence_start.tag;
                ++*depth;
                break;
        case YAML_MAPPING_START_EVENT:
                tag = event->data.mapping_start.tag;
                ++*depth;
                break;
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
                MUST(*depth > 0);
                --*depth;
                break;
        default:
                break;
        }
        if (tag)
                return refuse(source, line, "tags (a word that begins with '!') are not supported");
        if (*depth > TK_YAML_DEPTH_MAX)
                return refuse(source, line, "nested deeper than %d levels", TK_YAML_DEPTH_MAX);
        return TK_OK;
}

static enum tk_err guard(const struct source *source) {
        yaml_parser_t parser;
        yaml_event_t event;
        enum tk_err err = TK_OK;
        unsigned depth = 0, documents = 0;
        bool more = true;

        if (!yaml_parser_initialize(&parser))
                return TK_E_NO_MEMORY;
        yaml_parser_set_input_string(&parser, (const unsigned char *)source->text.at, source->text.len);
        while (err == TK_OK && more) {
                if (!yaml_parser_parse(&parser, &event)) {
                        err = refuse_parser(source, &parser);
                        break;
                }
                more = event.type != YAML_STREAM_END_EVENT;
                err = judge(source, &event, &depth, &documents);
                if (event.type == YAML_SCALAR_EVENT)
                        explicit_bzero(event.data.scalar.value, event.data.scalar.length);
                yaml_event_delete(&event);
        }
        yaml_parser_delete(&parser);
        return err;
}

static enum tk_err load(const struct source *source, struct tk_yaml **out) {
        yaml_parser_t parser;
        enum tk_err err = TK_OK;
        struct tk_yaml *yaml = calloc(1, sizeof *yaml);
        if (!yaml)
                return TK_E_NO_MEMORY;
        if (!yaml_parser_initialize(&parser)) {
                free(yaml);
                return TK_E_NO_MEMORY;
        }
        yaml_parser_set_input_string(&parser, (const unsigned char *)source->text.at, source->text.len);
        if (yaml_parser_load(&parser, &yaml->document)) {
                *out = yaml;
        } else {
                err = refuse_parser(source, &parser);
                free(yaml);
        }
        yaml_parser_delete(&parser);
        return err;
}

enum tk_err tk_yaml_parse(const char *name, struct tk_str text, struct tk_yaml **out, char *why,
                          size_t why_size) {
        struct source source = {name, text.at ? text : TK_STR(""), why, why_size};
        enum tk_err err;
        *out = NULL;
        if (text.len > TK_YAML_BYTES_MAX) {
                snprintf(why, why_size, "%s: larger than %u bytes", name, TK_YAML_BYTES_MAX);
                return TK_E_TOO_BIG;
        }
        err = scan(&source);
        if (err == TK_OK)
                err = guard(&source);
        if (err == TK_OK)
                err = load(&source, out);
        if (err == TK_E_NO_MEMORY)
                snprintf(why, why_size, "%s: out of memory", name);
        return err;
}

void tk_yaml_free(struct tk_yaml **yaml) {
        if (!*yaml)
                return;
        yaml_document_t *document = &(*yaml)->document;
        for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++)
                if (node->type == YAML_SCALAR_NODE)
                        explicit_bzero(node->data.scalar.value, node->data.scalar.length);
        yaml_document_delete(document);
        free(*yaml);
        *yaml = NULL;
}

/* The library's accessors take a document that is not const, though they only read. */
static const yaml_node_t *node_of(const struct tk_yaml *yaml, int node) {
        const yaml_node_t *start = yaml->document.nodes.start;
        MUST(node > 0 && node <= yaml->document.nodes.top - start);
        return start + node - 1;
}

int tk_yaml_root(const struct tk_yaml *yaml) {
        return yaml->document.nodes.start != yaml->document.nodes.top ? 1 : 0;
}

enum tk_yaml_kind tk_yaml_kind(const struct tk_yaml *yaml, int node) {
        switch (node_of(yaml, node)->type) {
        case YAML_SEQUENCE_NODE:
                return TK_YAML_LIST;
        case YAML_MAPPING_NODE:
                return TK_YAML_MAP;
        default:
                return TK_YAML_TEXT;
        }
}

unsigned tk_yaml_line(const struct tk_yaml *yaml, int node) {
        return (unsigned)node_of(yaml, node)->start_mark.line + 1;
}

struct tk_str tk_yaml_text(const struct tk_yaml *yaml, int node) {
        const yaml_node_t *n = node_of(yaml, node);
        MUST(n->type == YAML_SCALAR_NODE);
        return (struct tk_str){(const char *)n->data.scalar.value, n->data.scalar.length};
}

bool tk_yaml_is_plain(const struct tk_yaml *yaml, int node) {
        const yaml_node_t *n = node_of(yaml, node);
        MUST(n->type == YAML_SCALAR_NODE);
        return n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

unsigned tk_yaml_size(const struct tk_yaml *yaml, int node) {
        const yaml_node_t *n = node_of(yaml, node);
        MUST(n->type != YAML_SCALAR_NODE);
        if (n->type == YAML_SEQUENCE_NODE)
                return (unsigned)(n->data.sequence.items.top - n->data.sequence.items.start);
        return (unsigned)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
}

int tk_yaml_item(const struct tk_yaml *yaml, int list, unsigned i) {
        const yaml_node_t *n = node_of(yaml, list);
        MUST(n->type == YAML_SEQUENCE_NODE);
        MUST(i < tk_yaml_size(yaml, list));
        return n->data.sequence.items.start[i];
}

void tk_yaml_pair(const struct tk_yaml *yaml, int map, unsigned i, int *key, int *value) {
        const yaml_node_t *n = node_of(yaml, map);
        MUST(n->type == YAML_MAPPING_NODE);
        MUST(i < tk_yaml_size(yaml, map));
        *key = n->data.mapping.pairs.start[i].key;
        *value = n->data.mapping.pairs.start[i].value;
}
