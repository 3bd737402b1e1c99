/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream: HTTP requests to providers, asynchronous, one instance per loop thread.
 *
 * The instance is one file descriptor: whoever owns the loop watches it for reading and calls
 * tk_upstream_run() when it is readable; all sockets and timers are behind it. The HTTP client
 * library is named only in upstream_curl.c. All calls and callbacks are on the owner's thread;
 * callbacks never run inside tk_fetch_start().
 */
#ifndef TK_PROXY_UPSTREAM_H
#define TK_PROXY_UPSTREAM_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"

struct tk_upstream;
struct tk_fetch;

struct tk_fetch_header {
        const char *name;
        struct tk_str value; /* without CR, LF, NUL */
};

enum tk_fetch_end {
        TK_FETCH_WHOLE,      /* the whole answer arrived */
        TK_FETCH_NO_CONNECT, /* name, connection or TLS failed: nothing was sent */
        TK_FETCH_TIMEOUT,    /* connect, first byte or idle time was exceeded */
        TK_FETCH_BROKEN,     /* the answer broke off or was malformed */
        TK_FETCH_NO_MEMORY,
};

struct tk_fetch_opt {
        const char *url;                       /* http: or https:, copied */
        const char *method;                    /* "GET", "POST" */
        struct tk_str body;                    /* copied; empty for GET */
        const struct tk_fetch_header *headers; /* copied */
        unsigned headers_nr;
        unsigned connect_ms;    /* default 5000 */
        unsigned first_byte_ms; /* from the start to the head of the answer; default 600000 */
        unsigned idle_ms;       /* between two pieces of the body; default 120000 */
        /* once, before any data; status 100..999; header values live during the callback only */
        void (*on_head)(void *ctx, int status, const struct tk_fetch_header *headers, unsigned headers_nr);
        void (*on_data)(void *ctx, struct tk_str piece);
        /* exactly once and last, unless cancelled; the fetch is freed after it; why is for the log */
        void (*on_end)(void *ctx, enum tk_fetch_end end, const char *why);
        void *ctx;
};

TK_CHECKED enum tk_err tk_upstream_open(struct tk_upstream **out);
void tk_upstream_close(struct tk_upstream **up); /* cancels what runs, without callbacks */
int tk_upstream_fd(const struct tk_upstream *up);
void tk_upstream_run(struct tk_upstream *up);

TK_CHECKED enum tk_err tk_fetch_start(struct tk_upstream *up, const struct tk_fetch_opt *opt,
                                      struct tk_fetch **out);
/* No more on_data until resumed (at most one piece of 16 KiB that is already under way). */
void tk_fetch_pause(struct tk_fetch *fetch);
void tk_fetch_resume(struct tk_fetch *fetch);
/* Breaks the connection off (the provider stops working); no callback runs any more. Also inside a callback.
 */
void tk_fetch_cancel(struct tk_fetch **fetch);

#endif
