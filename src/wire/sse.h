/* SPDX-License-Identifier: Apache-2.0
 *
 * sse: server-sent events (WHATWG HTML, "Server-sent events"), cut out of a byte stream as it comes.
 *
 * The reader hands out whole events with their exact bytes, so that a proxy can pass an event on,
 * drop it or hold it back without changing a byte of the others. Line ends are LF, CR LF or CR, also
 * mixed and split over two pieces; a leading BOM is skipped for the data but kept in the raw bytes.
 *
 * How the stream is cut into events does not depend on how it was cut into pieces. One byte makes
 * that delicate: after the CR of a blank line a LF may or may not come. If the line before ended in
 * CR LF, the event waits for the next byte, which is under way; otherwise it ends at the CR at once,
 * and a LF that comes after all is the first raw byte of the next event, without meaning.
 *
 * Every blank line ends an event, so comments and empty events come out too, with no data.
 */
#ifndef TK_WIRE_SSE_H
#define TK_WIRE_SSE_H

#include "base/buf.h"
#include "base/err.h"

#define TK_SSE_EVENT_BYTES_MAX (4u << 20)

struct tk_sse {
        struct tk_buf pending; /* bytes not yet handed out, after the first `taken` ones */
        struct tk_buf data;    /* the joined data lines of the event being handed out */
        size_t taken;          /* handed out already; dropped when more is fed */
        size_t scanned;        /* the scan below has seen the bytes before it */
        size_t end;            /* where the next whole event ends; 0: not known yet */
        bool started;          /* past the place where a BOM may stand */
        bool bom;              /* there was one, and its event is not handed out yet */
        bool line_start;       /* scanned stands at the start of a line */
        bool skip_lf;          /* the last byte seen was CR: a following LF belongs to it */
        bool crlf;             /* the last line ended in CR LF */
        bool blank_cr;         /* a blank line's CR was seen and the event waits for its LF */
        enum tk_err err;       /* sticky */
};

struct tk_sse_event {
        struct tk_str raw;  /* every byte, including the blank line that ends it */
        struct tk_str data; /* data lines joined by LF, without the last LF; empty for a comment */
        bool has_data;
};

void tk_sse_init(struct tk_sse *sse);
void tk_sse_free(struct tk_sse *sse);
/*
 * Takes a piece, copied. Whole events should be taken out before the next piece is fed.
 * TOO_BIG: one event is larger than TK_SSE_EVENT_BYTES_MAX; NO_MEMORY. The reader is then dead.
 */
TK_CHECKED enum tk_err tk_sse_feed(struct tk_sse *sse, struct tk_str piece);
/* The next whole event; false when there is none yet. Its spans live until the next call of either. */
bool tk_sse_next(struct tk_sse *sse, struct tk_sse_event *event);
/* What is left when the stream ends without a blank line: raw bytes, possibly none. */
struct tk_str tk_sse_rest(const struct tk_sse *sse);
/* The rest read as if a blank line followed: a browser would discard it, but it may have cost money.
 * False when there is none or the reader is dead. Call it when next gives no more; nothing may be fed
 * afterwards. */
bool tk_sse_finish(struct tk_sse *sse, struct tk_sse_event *event);

#endif
