/* SPDX-License-Identifier: Apache-2.0
 *
 * json_write: JSON text into a tk_buf, escaped, commas placed, exact money as a number.
 *
 * Keys come first inside objects: tk_jw_key(w, "id"), then one value. A failure of the buffer is
 * sticky there; misuse (a value without a key, unbalanced ends) is a MUST.
 */
#ifndef TK_WIRE_JSON_WRITE_H
#define TK_WIRE_JSON_WRITE_H

#include "base/buf.h"
#include "core/money.h"

#define TK_JW_DEPTH_MAX 16

struct tk_jw {
        struct tk_buf *buf;
        unsigned depth;
        char open[TK_JW_DEPTH_MAX]; /* '{' or '[' */
        bool some[TK_JW_DEPTH_MAX]; /* something was written at this depth */
        bool key;                   /* a key waits for its value */
        bool root;                  /* the one value of the document has begun */
};

struct tk_jw tk_jw_begin(struct tk_buf *buf);
void tk_jw_object(struct tk_jw *w);
void tk_jw_array(struct tk_jw *w);
void tk_jw_end(struct tk_jw *w); /* the innermost object or array */
void tk_jw_key(struct tk_jw *w, const char *key);
void tk_jw_str(struct tk_jw *w, struct tk_str s);   /* invalid UTF-8 becomes U+FFFD */
void tk_jw_text(struct tk_jw *w, const char *text); /* NULL writes null */
void tk_jw_i64(struct tk_jw *w, int64_t v);
void tk_jw_u64(struct tk_jw *w, uint64_t v);
void tk_jw_bool(struct tk_jw *w, bool v);
void tk_jw_null(struct tk_jw *w);
void tk_jw_nano(struct tk_jw *w, uint64_t nano);     /* as an exact decimal number */
void tk_jw_raw(struct tk_jw *w, struct tk_str json); /* an already valid JSON value */
/* A key and its text. NULL writes null; of the second, so does "". */
void tk_jw_member(struct tk_jw *w, const char *key, const char *text);
void tk_jw_member_or_null(struct tk_jw *w, const char *key, const char *text);

#endif
