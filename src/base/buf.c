/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tk_buf_free(struct tk_buf *buf) {
        if (!buf->borrowed)
                free(buf->at);
        *buf = TK_BUF(buf->max);
}

void tk_buf_clear(struct tk_buf *buf) {
        buf->len = 0;
        buf->failed = false;
        if (buf->at)
                buf->at[0] = '\0';
}

/* Grows by doubling, so that n appends cost O(n). */
static bool grow(struct tk_buf *buf, size_t need) {
        size_t size = buf->size ? buf->size : 128;
        while (size < need)
                size *= 2;
        if (size > buf->max + 1)
                size = buf->max + 1;
        char *at = realloc(buf->at, size);
        if (!at)
                return false;
        buf->at = at;
        buf->size = size;
        return true;
}

char *tk_buf_room(struct tk_buf *buf, size_t n) {
        if (n < buf->size - buf->len && n <= buf->max - buf->len && !buf->failed) /* nearly always */
                return buf->at + buf->len;
        MUST(buf->max > 0 && buf->max < SIZE_MAX / 4);
        if (buf->failed)
                return NULL;
        if (n > buf->max - buf->len) {
                buf->failed = true;
                return NULL;
        }
        if (buf->len + n + 1 > buf->size && (buf->borrowed || !grow(buf, buf->len + n + 1))) {
                buf->failed = true;
                return NULL;
        }
        return buf->at + buf->len;
}

void tk_buf_put(struct tk_buf *buf, struct tk_str s) {
        char *to = tk_buf_room(buf, s.len);
        if (!to)
                return;
        if (s.len)
                memcpy(to, s.at, s.len);
        buf->len += s.len;
        buf->at[buf->len] = '\0';
}

void tk_buf_text(struct tk_buf *buf, const char *text) {
        tk_buf_put(buf, tk_str_of(text));
}

void tk_buf_char(struct tk_buf *buf, char c) {
        char *to = tk_buf_room(buf, 1);
        if (!to)
                return;
        to[0] = c;
        to[1] = '\0';
        buf->len++;
}

void tk_buf_printf(struct tk_buf *buf, const char *fmt, ...) {
        va_list args, again;
        va_start(args, fmt);
        va_copy(again, args);
        int n = vsnprintf(NULL, 0, fmt, args);
        MUST(n >= 0);
        char *to = tk_buf_room(buf, (size_t)n);
        if (to) {
                vsnprintf(to, (size_t)n + 1, fmt, again);
                buf->len += (size_t)n;
        }
        va_end(again);
        va_end(args);
}

void tk_buf_drop(struct tk_buf *buf, size_t n) {
        MUST(n <= buf->len);
        if (n == 0)
                return;
        memmove(buf->at, buf->at + n, buf->len - n);
        buf->len -= n;
        buf->at[buf->len] = '\0';
}
