/* SPDX-License-Identifier: Apache-2.0
 *
 * sse: server-sent events (WHATWG HTML, "Server-sent events"), cut out of a byte stream as it comes.
 *
 * The reader hands out whole events with their exact bytes, so that a proxy can pass an event on,
 * drop it or hold it back without changing a byte of the others. Line ends are LF, CR LF or CR, also
 * mixed and split over two pieces; a leading BOM is skipped for the data but kept in the raw bytes.
 */
#ifndef TK_WIRE_SSE_H
#define TK_WIRE_SSE_H

#include "base/buf.h"
#include "base/err.h"

#define TK_SSE_EVENT_BYTES_MAX (4u << 20)

struct tk_sse {
        struct tk_buf pending; /* bytes not yet handed out */
        struct tk_buf data;    /* the joined data lines of the event being handed out */
        size_t scanned;        /* pending bytes already known to hold no event end */
        bool started;          /* past the place where a BOM may stand */
        bool line_start;       /* scanned stands at the start of a line */
        bool skip_lf;          /* the last byte seen was CR: a following LF belongs to it */
};

struct tk_sse_event {
        struct tk_str raw;  /* every byte, including the blank line that ends it */
        struct tk_str data; /* data lines joined by LF, without the last LF; empty for a comment */
        bool has_data;
};

void tk_sse_init(struct tk_sse *sse);
void tk_sse_free(struct tk_sse *sse);
/* TOO_BIG: one event is larger than TK_SSE_EVENT_BYTES_MAX; NO_MEMORY. The reader is then dead. */
TK_CHECKED enum tk_err tk_sse_feed(struct tk_sse *sse, struct tk_str piece);
/* The next whole event; false when there is none yet. Its spans live until the next call of either. */
bool tk_sse_next(struct tk_sse *sse, struct tk_sse_event *event);
/* What is left when the stream ends without a blank line: raw bytes, possibly none. */
struct tk_str tk_sse_rest(const struct tk_sse *sse);

#endif
