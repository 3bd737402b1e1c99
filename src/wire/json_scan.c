/* SPDX-License-Identifier: Apache-2.0
 *
 * One checker, tk_json_pull; tk_json_check() is a loop over it, so both accept the same language.
 * The kinds of the open containers are bits of one word, so there is no recursion and no stack to
 * overflow. Strings, most of what passes here, are walked eight bytes at a time.
 *
 * Iteration works on what was checked and therefore only looks for ends. It stays inside its span
 * whatever it is given, but says nothing sensible about a span that was not checked.
 */
#include "wire/json_scan.h"

#include "wire/utf8.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

static_assert(TK_JSON_DEPTH_MAX <= 64, "the kinds of open containers are bits of a uint64_t");

#define BYTES(c) (UINT64_C(0x0101010101010101) * (c))

static bool fail(struct tk_json_pull *pull, enum tk_err err, const char *at) {
        pull->err = err;
        pull->at = at;
        return false;
}

static bool is_white(char c) {
        return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const char *skip_white(const char *p, const char *end) {
        while (p < end && is_white(*p))
                p++;
        return p;
}

/*
 * The first byte from p that ends a run of plain string text: a quote, a backslash, a control
 * character or a byte of a multi-byte sequence. Each test puts 0x80 into the bytes that meet it;
 * a borrow can only spoil bytes above a true hit, and the lowest hit is the one that is used.
 */
static const char *skip_plain(const char *p, const char *end) {
        while (end - p >= 8) {
                uint64_t word;
                memcpy(&word, p, sizeof(word));
                word = le64toh(word);
                uint64_t quote = word ^ BYTES('"'), slash = word ^ BYTES('\\');
                uint64_t hit = ((quote - BYTES(0x01)) & ~quote) | ((slash - BYTES(0x01)) & ~slash) |
                               ((word - BYTES(0x20)) & ~word) | word;
                hit &= BYTES(0x80);
                if (hit)
                        return p + (__builtin_ctzll(hit) >> 3);
                p += 8;
        }
        while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
                p++;
        return p;
}

/* A "\uXXXX" at p to its code unit; false: there is none. */
static bool hex_unit(const char *p, const char *end, uint32_t *unit) {
        uint32_t v = 0;
        if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
                return false;
        for (int i = 2; i < 6; i++) {
                int digit = tk_hex_digit(p[i]);
                if (digit < 0)
                        return false;
                v = v << 4 | (uint32_t)digit;
        }
        *unit = v;
        return true;
}

/* Undoes the escape at p (a backslash) into out; returns how many bytes it took, 0 if it is none. */
static size_t undo_escape(const char *p, const char *end, char out[4], size_t *out_len) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        uint32_t high, low;
        if (end - p < 2)
                return 0;
        if (p[1] != 'u') {
                const char *hit = p[1] ? strchr(from, p[1]) : NULL;
                if (!hit)
                        return 0;
                out[0] = to[hit - from];
                *out_len = 1;
                return 2;
        }
        if (!hex_unit(p, end, &high))
                return 0;
        if (high >= 0xD800 && high <= 0xDBFF && hex_unit(p + 6, end, &low) && low >= 0xDC00 &&
            low <= 0xDFFF) {
                *out_len = tk_utf8_put(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), out);
                return 12;
        }
        /* RFC 8259, section 8.2, leaves lone surrogates open; the document stays as it is and the
         * text that is read from it is valid. */
        if (high >= 0xD800 && high <= 0xDFFF)
                high = 0xFFFD;
        *out_len = tk_utf8_put(high, out);
        return 6;
}

/* A string at pull->at, which is its opening quote. */
static bool read_string(struct tk_json_pull *pull, struct tk_str *inside) {
        const char *start = pull->at + 1, *p = start, *end = pull->end;
        size_t saved = 0; /* bytes that the escapes are longer than what they mean */
        for (;;) {
                p = skip_plain(p, end);
                if (p == end)
                        return fail(pull, TK_E_SYNTAX, p);
                if (*p == '"')
                        break;
                size_t step, len = 0;
                char out[4];
                if (*p == '\\') {
                        if ((step = undo_escape(p, end, out, &len)) == 0)
                                return fail(pull, TK_E_SYNTAX, p);
                        saved += step - len;
                        p += step;
                        continue;
                }
                while (p < end && (unsigned char)*p >= 0x80) {
                        if ((step = tk_utf8_step(p, (size_t)(end - p))) == 0)
                                return fail(pull, TK_E_SYNTAX, p);
                        p += step;
                }
                if (p < end && (unsigned char)*p < 0x20)
                        return fail(pull, TK_E_SYNTAX, p);
        }
        *inside = (struct tk_str){start, (size_t)(p - start)};
        pull->text_len = inside->len - saved;
        pull->at = p + 1;
        return true;
}

static const char *skip_digits(const char *p, const char *end) {
        while (p < end && *p >= '0' && *p <= '9')
                p++;
        return p;
}

/* number = [ minus ] int [ frac ] [ exp ] (RFC 8259, section 6), at pull->at. */
static bool read_number(struct tk_json_pull *pull) {
        const char *p = pull->at, *end = pull->end, *from;
        if (*p == '-')
                p++;
        from = p;
        p = skip_digits(p, end);
        if (p == from)
                return fail(pull, TK_E_SYNTAX, p);
        if (*from == '0' && p > from + 1)
                return fail(pull, TK_E_SYNTAX, from + 1);
        if (p < end && *p == '.') {
                from = ++p;
                p = skip_digits(p, end);
                if (p == from)
                        return fail(pull, TK_E_SYNTAX, p);
        }
        if (p < end && (*p == 'e' || *p == 'E')) {
                p++;
                if (p < end && (*p == '+' || *p == '-'))
                        p++;
                from = p;
                p = skip_digits(p, end);
                if (p == from)
                        return fail(pull, TK_E_SYNTAX, p);
        }
        pull->at = p;
        return true;
}

static bool read_word(struct tk_json_pull *pull, const char *word) {
        const char *p = pull->at;
        for (; *word; word++, p++)
                if (p == pull->end || *p != *word)
                        return fail(pull, TK_E_SYNTAX, p);
        pull->at = p;
        return true;
}

static bool enter(struct tk_json_pull *pull, bool object) {
        if (pull->depth == TK_JSON_DEPTH_MAX)
                return fail(pull, TK_E_TOO_BIG, pull->at);
        uint64_t bit = UINT64_C(1) << pull->depth++;
        pull->objects = object ? pull->objects | bit : pull->objects & ~bit;
        pull->first = true;
        pull->at++;
        return true;
}

void tk_json_pull_begin(struct tk_json_pull *pull, struct tk_str doc) {
        const char *at = doc.len ? doc.at : "";
        *pull = (struct tk_json_pull){.from = at, .at = at, .end = at + doc.len};
}

bool tk_json_pull_value(struct tk_json_pull *pull, struct tk_json *value) {
        struct tk_str inside;
        bool ok;
        if (pull->err)
                return false;
        const char *start = pull->at = skip_white(pull->at, pull->end);
        if (start == pull->end)
                return fail(pull, TK_E_SYNTAX, start);
        switch (*start) {
        case '"':
                value->type = TK_JSON_STRING;
                ok = read_string(pull, &inside);
                break;
        case '{':
                value->type = TK_JSON_OBJECT;
                ok = enter(pull, true);
                break;
        case '[':
                value->type = TK_JSON_ARRAY;
                ok = enter(pull, false);
                break;
        case 't':
                value->type = TK_JSON_TRUE;
                ok = read_word(pull, "true");
                break;
        case 'f':
                value->type = TK_JSON_FALSE;
                ok = read_word(pull, "false");
                break;
        case 'n':
                value->type = TK_JSON_NULL;
                ok = read_word(pull, "null");
                break;
        default:
                value->type = TK_JSON_NUMBER;
                ok = read_number(pull);
        }
        value->raw = (struct tk_str){start, (size_t)(pull->at - start)};
        return ok;
}

bool tk_json_pull_next(struct tk_json_pull *pull, struct tk_str *key) {
        if (pull->err)
                return false;
        MUST(pull->depth > 0);
        bool object = pull->objects >> (pull->depth - 1) & 1;
        const char *p = skip_white(pull->at, pull->end);
        if (p < pull->end && *p == (object ? '}' : ']')) {
                pull->at = p + 1;
                pull->depth--;
                pull->first = false;
                return false;
        }
        if (!pull->first) {
                if (p == pull->end || *p != ',')
                        return fail(pull, TK_E_SYNTAX, p);
                p = skip_white(p + 1, pull->end);
        }
        pull->first = false;
        pull->at = p;
        *key = (struct tk_str){p, 0};
        if (!object)
                return true;
        if (p == pull->end || *p != '"')
                return fail(pull, TK_E_SYNTAX, p);
        if (!read_string(pull, key))
                return false;
        p = skip_white(pull->at, pull->end);
        if (p == pull->end || *p != ':')
                return fail(pull, TK_E_SYNTAX, p);
        pull->at = p + 1;
        return true;
}

/* Reads on until only `depth` containers are open. */
static void drain(struct tk_json_pull *pull, unsigned depth) {
        struct tk_str key;
        struct tk_json value;
        while (pull->depth > depth && !pull->err)
                if (tk_json_pull_next(pull, &key))
                        (void)tk_json_pull_value(pull, &value); /* a failure is sticky in pull */
}

bool tk_json_pull_skip(struct tk_json_pull *pull, struct tk_json *value) {
        unsigned depth = pull->depth;
        if (!tk_json_pull_value(pull, value))
                return false;
        drain(pull, depth);
        value->raw.len = (size_t)(pull->at - value->raw.at);
        return !pull->err;
}

void tk_json_pull_leave(struct tk_json_pull *pull) {
        if (pull->err)
                return;
        MUST(pull->depth > 0);
        drain(pull, pull->depth - 1);
}

enum tk_err tk_json_pull_end(struct tk_json_pull *pull) {
        if (pull->err)
                return pull->err;
        MUST(pull->depth == 0);
        pull->at = skip_white(pull->at, pull->end);
        if (pull->at != pull->end)
                fail(pull, TK_E_SYNTAX, pull->at);
        return pull->err;
}

enum tk_err tk_json_check(struct tk_str doc, struct tk_json *root, size_t *at_byte) {
        struct tk_json_pull pull;
        struct tk_json value;
        tk_json_pull_begin(&pull, doc);
        (void)tk_json_pull_skip(&pull, &value); /* a failure is sticky in pull */
        enum tk_err err = tk_json_pull_end(&pull);
        if (err && at_byte)
                *at_byte = (size_t)(pull.at - pull.from);
        if (!err)
                *root = value;
        return err;
}

/* The closing quote of the string whose text starts at p, or end. A run of backslashes is looked at
 * once, from the quote that follows it, so this is linear. */
static const char *find_quote(const char *p, const char *end) {
        const char *from = p;
        while (p < end && (p = memchr(p, '"', (size_t)(end - p))) != NULL) {
                const char *run = p;
                while (run > from && run[-1] == '\\')
                        run--;
                if ((p - run) % 2 == 0)
                        return p;
                p++;
        }
        return end;
}

/* The first byte after the checked value at p. */
static const char *find_end(const char *p, const char *end) {
        size_t depth = 0;
        for (; p < end; p++) {
                switch (*p) {
                case '"':
                        p = find_quote(p + 1, end);
                        if (p == end)
                                return end;
                        break;
                case '{':
                case '[':
                        depth++;
                        continue;
                case '}':
                case ']':
                        if (depth == 0)
                                return p;
                        depth--;
                        break;
                case ',':
                case ' ':
                case '\t':
                case '\r':
                case '\n':
                        if (depth == 0)
                                return p;
                        continue;
                default:
                        continue;
                }
                if (depth == 0)
                        return p + 1;
        }
        return end;
}

static enum tk_json_type type_of(char first) {
        switch (first) {
        case '"':
                return TK_JSON_STRING;
        case '{':
                return TK_JSON_OBJECT;
        case '[':
                return TK_JSON_ARRAY;
        case 't':
                return TK_JSON_TRUE;
        case 'f':
                return TK_JSON_FALSE;
        case 'n':
                return TK_JSON_NULL;
        default:
                return TK_JSON_NUMBER;
        }
}

struct tk_json_iter tk_json_each(struct tk_json container) {
        MUST(container.type == TK_JSON_OBJECT || container.type == TK_JSON_ARRAY);
        MUST(container.raw.len >= 2);
        return (struct tk_json_iter){
                .rest = {container.raw.at + 1, container.raw.len - 2},
                .object = container.type == TK_JSON_OBJECT,
        };
}

bool tk_json_next(struct tk_json_iter *iter, struct tk_str *key, struct tk_json *value) {
        const char *p = iter->rest.at, *end = p + iter->rest.len;
        while (p < end && (is_white(*p) || *p == ','))
                p++;
        *key = (struct tk_str){p, 0};
        if (iter->object && p < end) {
                key->at = ++p;
                p = find_quote(p, end);
                key->len = (size_t)(p - key->at);
                while (p < end && (*p == '"' || *p == ':' || is_white(*p)))
                        if (*p++ == ':')
                                break;
                p = skip_white(p, end);
        }
        if (p == end) {
                iter->rest = (struct tk_str){end, 0};
                return false;
        }
        const char *after = find_end(p, end);
        *value = (struct tk_json){type_of(*p), {p, (size_t)(after - p)}};
        iter->rest = (struct tk_str){after, (size_t)(end - after)};
        return true;
}

bool tk_json_key_spells(struct tk_str key, const char *name) {
        const char *p = key.at, *end = p + key.len;
        if (key.len == 0 || !memchr(p, '\\', key.len))
                return tk_str_is(key, name);
        while (p < end) {
                char out[4] = {*p};
                size_t step = 1, len = 1;
                if (*p == '\\' && (step = undo_escape(p, end, out, &len)) == 0)
                        return false;
                for (size_t i = 0; i < len; i++, name++)
                        if (*name == '\0' || *name != out[i])
                                return false;
                p += step;
        }
        return *name == '\0';
}

bool tk_json_get(struct tk_json object, const char *name, struct tk_json *out) {
        struct tk_str key;
        struct tk_json value;
        bool found = false;
        if (object.type != TK_JSON_OBJECT)
                return false;
        struct tk_json_iter iter = tk_json_each(object);
        while (tk_json_next(&iter, &key, &value))
                if (tk_json_key_is(key, name)) {
                        *out = value;
                        found = true;
                }
        return found;
}

unsigned tk_json_count(struct tk_json object, const char *name) {
        struct tk_str key;
        struct tk_json value;
        unsigned count = 0;
        if (object.type != TK_JSON_OBJECT)
                return 0;
        struct tk_json_iter iter = tk_json_each(object);
        while (tk_json_next(&iter, &key, &value))
                count += tk_json_key_is(key, name);
        return count;
}

enum tk_err tk_json_string(struct tk_json value, char *out, size_t size, size_t *len) {
        MUST(size > 0);
        size_t n = 0;
        out[0] = '\0';
        if (value.type != TK_JSON_STRING || value.raw.len < 2)
                return TK_E_SYNTAX;
        const char *p = value.raw.at + 1, *end = value.raw.at + value.raw.len - 1;
        while (p < end) {
                char text[4] = {*p};
                size_t step = 1, text_len = 1;
                if (*p == '\\' && (step = undo_escape(p, end, text, &text_len)) == 0) {
                        out[0] = '\0';
                        return TK_E_SYNTAX;
                }
                if (text_len > size - 1 - n) {
                        out[0] = '\0';
                        return TK_E_TOO_BIG;
                }
                memcpy(out + n, text, text_len);
                n += text_len;
                p += step;
        }
        out[n] = '\0';
        if (len)
                *len = n;
        return TK_OK;
}

bool tk_json_u64(struct tk_json value, uint64_t *out) {
        return value.type == TK_JSON_NUMBER && tk_str_u64(value.raw, out);
}

bool tk_json_is_true(struct tk_json value) {
        return value.type == TK_JSON_TRUE;
}
