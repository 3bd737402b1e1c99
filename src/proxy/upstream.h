/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream: HTTP requests to providers, asynchronous, one instance per loop thread.
 *
 * The instance is one file descriptor: whoever owns the loop watches it for reading and calls
 * tk_upstream_run() when it is readable; all sockets and timers are behind it. The HTTP client
 * library is named only in upstream_curl.c. All calls and callbacks are on the owner's thread;
 * callbacks run only inside tk_upstream_run(), never inside another call.
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
        const char *url;    /* http: or https:, copied */
        const char *method; /* "GET", "POST" */
        struct tk_str body; /* copied; empty for GET */
        /* Copied. Hop-by-hop fields and the framing (connection, content-length, expect, keep-alive,
         * proxy-connection, te, trailer, transfer-encoding, upgrade) are not sent: they are the client's own.
         */
        const struct tk_fetch_header *headers;
        unsigned headers_nr;
        unsigned connect_ms;    /* default 5000 */
        unsigned first_byte_ms; /* from the start to the head of the answer; default 600000 */
        unsigned idle_ms;       /* between two pieces of the body; default 120000 */
        /* Once, before any data, also while paused; status 200..999. Names are in lower case; names and
         * values live during the callback only, and values are followed by a NUL. */
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
/*
 * For an owner who can see to it himself that tk_upstream_run() is called soon: asks him to, once before each
 * run that is needed. Without it the descriptor becomes readable for that, which costs some system calls.
 */
typedef void tk_upstream_soon_f(void *ctx);
void tk_upstream_on_soon(struct tk_upstream *up, tk_upstream_soon_f *soon, void *ctx);

/*
 * SYNTAX: the URL is neither http: nor https: or holds a control byte or space, or a header or the method is
 * malformed; NO_MEMORY. A request that may have been sent is never sent again, except GET and HEAD.
 */
TK_CHECKED enum tk_err tk_fetch_start(struct tk_upstream *up, const struct tk_fetch_opt *opt,
                                      struct tk_fetch **out);
/* Has the whole request gone out? Before that no provider has begun to work on it. Also inside its on_end. */
bool tk_fetch_was_sent(const struct tk_fetch *fetch);
/* No more on_data until resumed; the idle time stands still and starts anew then. What was not delivered
 * stays in order: one piece here, the rest with the provider. The end may come while paused if no data is
 * left. */
void tk_fetch_pause(struct tk_fetch *fetch);
void tk_fetch_resume(struct tk_fetch *fetch);
/* Breaks the connection off (the provider stops working); no callback runs any more. Also inside a callback.
 */
void tk_fetch_cancel(struct tk_fetch **fetch);
/*
 * For a caller who has seen all that it wants of an answer: no callback runs any more, either, but what is
 * left of the answer is read over for a moment, so that its connection can be used again. Also inside a
 * callback.
 */
void tk_fetch_let_go(struct tk_fetch **fetch);

#endif
