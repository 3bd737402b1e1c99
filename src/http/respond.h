/* SPDX-License-Identifier: Apache-2.0
 *
 * respond: the bytes of an answer, from its parts. Pure.
 */
#ifndef TK_HTTP_RESPOND_H
#define TK_HTTP_RESPOND_H

#include "base/buf.h"
#include "base/str.h"

#define TK_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

enum tk_framing {
        TK_FRAME_NONE,    /* 204, 304: no body, and no word about one */
        TK_FRAME_LENGTH,  /* Content-Length */
        TK_FRAME_CHUNKED, /* Transfer-Encoding: chunked */
        TK_FRAME_CLOSE,   /* the body ends with the connection (HTTP/1.0) */
};

struct tk_respond {
        int status;     /* 200..999 */
        unsigned minor; /* of the request's version */
        bool keep_alive;
        enum tk_framing framing;
        uint64_t length;          /* for TK_FRAME_LENGTH */
        const char *content_type; /* or NULL */
        const char *date;         /* from tk_respond_date() */
        const char *id;           /* x-request-id */
        struct tk_str headers;    /* further lines, each with its CR LF */
};

void tk_respond_head(struct tk_buf *out, const struct tk_respond *r);
/* One chunk; nothing for an empty piece, which would end the body. */
void tk_respond_chunk(struct tk_buf *out, struct tk_str piece);
void tk_respond_last_chunk(struct tk_buf *out);
/* "name: value" and its CR LF. MUST: the name is a token, the value without CR, LF and NUL. */
void tk_respond_header(struct tk_buf *out, const char *name, struct tk_str value);
/* A name that the seam alone may send: it says how the answer is framed, or which it is. */
bool tk_respond_reserved(const char *name);
/* RFC 9110: these answers never have a body. */
bool tk_respond_bodyless(int status);
/* The reason phrase; of an unknown status, the empty text. */
const char *tk_respond_reason(int status);
/* IMF-fixdate of a UTC time in seconds, years 1970 to 9999. */
void tk_respond_date(int64_t utc_s, char out[TK_DATE_LEN + 1]);

#endif
