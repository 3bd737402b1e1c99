/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_write.h"

#include "wire/utf8.h"

struct tk_jw tk_jw_begin(struct tk_buf *buf) {
        return (struct tk_jw){.buf = buf};
}

static bool in_object(const struct tk_jw *w) {
        return w->depth > 0 && w->open[w->depth - 1] == '{';
}

/* What must stand before a value: nothing at the root and after a key, a comma between elements. */
static void before_value(struct tk_jw *w) {
        MUST(IMPLIES(in_object(w), w->key));
        MUST(IMPLIES(w->depth == 0, !w->root));
        if (w->depth == 0)
                w->root = true;
        else if (!w->key && w->some[w->depth - 1])
                tk_buf_char(w->buf, ',');
        if (w->depth > 0)
                w->some[w->depth - 1] = true;
        w->key = false;
}

static void enter(struct tk_jw *w, char bracket) {
        MUST(w->depth < TK_JW_DEPTH_MAX);
        before_value(w);
        w->open[w->depth] = bracket;
        w->some[w->depth] = false;
        w->depth++;
        tk_buf_char(w->buf, bracket);
}

void tk_jw_object(struct tk_jw *w) {
        enter(w, '{');
}

void tk_jw_array(struct tk_jw *w) {
        enter(w, '[');
}

void tk_jw_end(struct tk_jw *w) {
        MUST(w->depth > 0);
        MUST(!w->key);
        w->depth--;
        tk_buf_char(w->buf, w->open[w->depth] == '{' ? '}' : ']');
}

/* How a byte below 0x80 is written when it cannot stand for itself; NULL: as \u00XX. */
static const char *escape_of(char c) {
        switch (c) {
        case '"':
                return "\\\"";
        case '\\':
                return "\\\\";
        case '\b':
                return "\\b";
        case '\f':
                return "\\f";
        case '\n':
                return "\\n";
        case '\r':
                return "\\r";
        case '\t':
                return "\\t";
        default:
                return NULL;
        }
}

static void put_string(struct tk_buf *buf, struct tk_str s) {
        static const char hex[] = "0123456789abcdef";
        size_t from = 0; /* bytes before it are written */
        tk_buf_char(buf, '"');
        for (size_t i = 0, step; i < s.len; i += step) {
                unsigned char c = (unsigned char)s.at[i];
                bool ascii = c < 0x80; /* nearly everything; it needs no look at what follows */
                step = ascii ? 1 : tk_utf8_step(s.at + i, s.len - i);
                if (step > 0 && c >= 0x20 && c != '"' && c != '\\')
                        continue;
                if (i > from)
                        tk_buf_put(buf, (struct tk_str){s.at + from, i - from});
                const char *escape = escape_of(s.at[i]);
                if (step == 0) {
                        tk_buf_text(buf, "\xEF\xBF\xBD"); /* U+FFFD, one for each byte that is wrong */
                        step = 1;
                } else if (escape) {
                        tk_buf_text(buf, escape);
                } else {
                        tk_buf_put(buf, (struct tk_str){
                                                (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6});
                }
                from = i + step;
        }
        if (s.len > from)
                tk_buf_put(buf, (struct tk_str){s.at + from, s.len - from});
        tk_buf_char(buf, '"');
}

void tk_jw_key(struct tk_jw *w, const char *key) {
        MUST(in_object(w));
        MUST(!w->key);
        if (w->some[w->depth - 1])
                tk_buf_char(w->buf, ',');
        put_string(w->buf, tk_str_of(key));
        tk_buf_char(w->buf, ':');
        w->key = true;
}

void tk_jw_str(struct tk_jw *w, struct tk_str s) {
        before_value(w);
        put_string(w->buf, s);
}

void tk_jw_text(struct tk_jw *w, const char *text) {
        if (text)
                tk_jw_str(w, tk_str_of(text));
        else
                tk_jw_null(w);
}

static void put_u64(struct tk_buf *buf, uint64_t v) {
        char digits[20];
        size_t at = sizeof(digits);
        do
                digits[--at] = (char)('0' + v % 10);
        while (v /= 10);
        tk_buf_put(buf, (struct tk_str){digits + at, sizeof(digits) - at});
}

void tk_jw_i64(struct tk_jw *w, int64_t v) {
        before_value(w);
        if (v < 0)
                tk_buf_char(w->buf, '-');
        put_u64(w->buf, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void tk_jw_u64(struct tk_jw *w, uint64_t v) {
        before_value(w);
        put_u64(w->buf, v);
}

void tk_jw_bool(struct tk_jw *w, bool v) {
        before_value(w);
        tk_buf_text(w->buf, v ? "true" : "false");
}

void tk_jw_null(struct tk_jw *w) {
        before_value(w);
        tk_buf_text(w->buf, "null");
}

void tk_jw_nano(struct tk_jw *w, uint64_t nano) {
        char text[TK_MONEY_TEXT_MAX];
        size_t len = tk_nano_text(nano, text);
        before_value(w);
        tk_buf_put(w->buf, (struct tk_str){text, len});
}

void tk_jw_raw(struct tk_jw *w, struct tk_str json) {
        MUST(json.len > 0);
        before_value(w);
        tk_buf_put(w->buf, json);
}

void tk_jw_member(struct tk_jw *w, const char *key, const char *text) {
        tk_jw_key(w, key);
        tk_jw_text(w, text);
}

void tk_jw_member_or_null(struct tk_jw *w, const char *key, const char *text) {
        tk_jw_member(w, key, text && text[0] ? text : NULL);
}
