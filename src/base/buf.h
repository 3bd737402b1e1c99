/* SPDX-License-Identifier: Apache-2.0
 *
 * buf: the one way to build text: grows up to a stated maximum and remembers failure.
 *
 * Writes after a failure do nothing, so a builder is written without a check per line and
 * tested once, where the result is used: tk_buf_ok(). Zero-initialised with a max it is ready.
 * Not thread-safe. The bytes are always followed by a NUL that len does not count.
 */
#ifndef TK_BASE_BUF_H
#define TK_BASE_BUF_H

#include "base/must.h"
#include "base/str.h"

struct tk_buf {
        char *at;
        size_t len;
        size_t size;   /* allocated */
        size_t max;    /* most bytes it may hold */
        bool failed;   /* sticky: too big or out of memory */
        bool borrowed; /* at is the caller's memory: never grown, never freed */
};

#define TK_BUF(max_) ((struct tk_buf){.max = (max_)})
/* A buffer over the caller's array; its last byte is kept for the NUL. */
#define TK_BUF_OVER(array)                                                                                   \
        ((struct tk_buf){.at = (array), .size = sizeof(array), .max = sizeof(array) - 1, .borrowed = true})

void tk_buf_free(struct tk_buf *buf);  /* and ready for use again, same max */
void tk_buf_clear(struct tk_buf *buf); /* keeps the memory, forgets the failure */
void tk_buf_put(struct tk_buf *buf, struct tk_str s);
void tk_buf_text(struct tk_buf *buf, const char *text);
void tk_buf_char(struct tk_buf *buf, char c);
void tk_buf_printf(struct tk_buf *buf, const char *fmt, ...) TK_PRINTF(2, 3);
void tk_buf_drop(struct tk_buf *buf, size_t n); /* the first n bytes; n <= len */
/* Room for n more bytes at at + len (the caller then adds to len), or NULL after setting failed. */
char *tk_buf_room(struct tk_buf *buf, size_t n);
static inline bool tk_buf_ok(const struct tk_buf *buf) {
        return !buf->failed;
}
static inline struct tk_str tk_buf_str(const struct tk_buf *buf) {
        return (struct tk_str){buf->at, buf->len};
}

#endif
