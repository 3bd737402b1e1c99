/* SPDX-License-Identifier: Apache-2.0
 *
 * server: our seam to the HTTP library. Nothing above it knows which library that is.
 *
 *   tk_server   one listening address, N loops (threads), each accepting by SO_REUSEPORT
 *   tk_loop     one thread: its sockets, its timers, its messages. A call lives on one loop.
 *   tk_call     one request and its one answer
 *
 * Life of a call: the request line, headers and whole body are read within their limits and times;
 * then on_call runs once, on the call's loop; the handler answers now or later with
 * tk_call_reply(), or with tk_call_start(), tk_call_send() ..., tk_call_end(). The call is the
 * handler's until it has answered in full or has been told on_gone(); after either it must not be
 * touched. HTTP/1.0 and HTTP/1.1 only.
 *
 * Requests that never become a call (unparsable, too big, too slow) are answered by the seam through
 * the on_refuse callback, so that they too speak the caller's dialect. Refused with 400 and a closed
 * connection, whatever else they say (request smuggling, RFC 9112 section 6.3): Content-Length
 * together with Transfer-Encoding, repeated or malformed Content-Length, a Transfer-Encoding other
 * than chunked, HTTP/1.1 without Host or with two.
 */
#ifndef TK_HTTP_SERVER_H
#define TK_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct tk_server;
struct tk_loop;
struct tk_call;

#define TK_REQUEST_ID_LEN 36 /* a UUID; also the id of the ledger's hold */

/* What the seam answers by itself. */
struct tk_refused {
        int status;
        struct tk_str path; /* may be cut, or empty, when it was never read in full */
        const char *why;
        const char *id;         /* the request id that is sent */
        struct tk_buf *body;    /* to be filled: JSON */
        struct tk_buf *headers; /* to be filled, if need be: further lines, by tk_respond_header() */
};

/* on_call: the handler. on_refuse: fills in what is said of a status that the seam decided itself. Both on
 * the call's loop. */
typedef void tk_on_call_f(struct tk_call *call, void *ctx);
typedef void tk_on_refuse_f(const struct tk_refused *refused, void *ctx);
/* Start and end of each loop's thread, on that thread: for per-loop state. */
typedef enum tk_err tk_on_loop_f(struct tk_loop *loop, unsigned index, void *ctx);

struct tk_server_opt {
        const char *listen;      /* "HOST:PORT", "[v6]:PORT"; port 0 picks a free one */
        unsigned loops;          /* 0: one for each core */
        size_t header_bytes_max; /* 431 beyond; default 16384 */
        size_t body_bytes_max;   /* 413 beyond; default 32 MiB */
        size_t bodies_bytes_max; /* of all calls of a loop; 503 beyond; default 256 MiB, at least the above */
        unsigned connections_max; /* per loop; further ones wait in the backlog; default 10000 */
        unsigned header_ms;       /* to send a whole header, from its first byte; 408; default 10000 */
        unsigned body_ms;         /* between two pieces of a body; 408; default 30000 */
        unsigned idle_ms;         /* keep-alive between requests, closed silently; default 75000 */
        unsigned write_ms;        /* a client that reads nothing for this long is gone; default 60000 */
        unsigned stop_ms;         /* grace of tk_server_stop; default 10000 */
        tk_on_call_f *on_call;
        tk_on_refuse_f *on_refuse;
        tk_on_loop_f *on_loop_start; /* optional */
        tk_on_loop_f *on_loop_stop;  /* optional; its result is ignored */
        void *ctx;
};

/* Binds and listens, starts no thread. IO with why (address in use, bad address ...). */
TK_CHECKED enum tk_err tk_server_open(const struct tk_server_opt *opt, struct tk_server **out, char *why,
                                      size_t why_size);
/* "127.0.0.1:8080", with the port that was picked. */
const char *tk_server_address(const struct tk_server *server);
/* Runs the loops; returns when stopped. The calling thread is loop 0. */
TK_CHECKED enum tk_err tk_server_run(struct tk_server *server);
/*
 * Any thread or signal handler: stop accepting, close idle connections, answer what runs with
 * Connection: close, and end the loops when nothing runs or after stop_ms. A second call ends at once.
 */
void tk_server_stop(struct tk_server *server);
void tk_server_close(struct tk_server **server);

/* ---- loop ---- */
void tk_loop_set_data(struct tk_loop *loop, void *data);
void *tk_loop_data(const struct tk_loop *loop);
int64_t tk_loop_now_ms(const struct tk_loop *loop); /* wall clock, UTC, cached once a turn */

/* A message is the sender's memory until run() is called on the loop's thread; then the receiver's. */
struct tk_msg {
        struct tk_msg *next;
        void (*run)(struct tk_msg *msg);
};
/* Any thread. Messages of one sender run in order. False once the loop has ended: run() will not be called.
 */
bool tk_loop_send(struct tk_loop *loop, struct tk_msg *msg);

/* Calls back on the loop's thread each time fd is readable (level-triggered); the fd stays the caller's. */
struct tk_watch;
typedef void tk_watch_f(void *ctx);
TK_CHECKED enum tk_err tk_loop_watch(struct tk_loop *loop, int fd, tk_watch_f *readable, void *ctx,
                                     struct tk_watch **out);
void tk_watch_close(struct tk_watch **watch);

/* One-shot timer, loop thread only; the struct is the caller's and must live until fired or cancelled. */
struct tk_timer {
        void (*fire)(struct tk_timer *timer); /* the timer is stopped by then, and may be started again */
        /* the seam's, zero at first: */
        struct tk_loop *loop; /* set while it runs */
        int64_t due_ms;       /* monotonic */
        uint64_t order;
        struct tk_timer *child, *next, *prev;
};
void tk_timer_start(struct tk_loop *loop, struct tk_timer *timer,
                    unsigned after_ms);       /* restarts a running one */
void tk_timer_cancel(struct tk_timer *timer); /* harmless when it is not running */

/* ---- call: request. Spans live as long as the call. Loop thread only. ---- */
struct tk_loop *tk_call_loop(struct tk_call *call);
struct tk_str tk_call_method(const struct tk_call *call);
struct tk_str tk_call_path(const struct tk_call *call);  /* raw, without the query */
struct tk_str tk_call_query(const struct tk_call *call); /* raw, without '?' */
/* First header of that name (lower case), or the empty span with at == NULL. */
struct tk_str tk_call_header(const struct tk_call *call, const char *name);
struct tk_str tk_call_body(const struct tk_call *call);
struct tk_str tk_call_peer(const struct tk_call *call); /* "127.0.0.1" */
const char *tk_call_id(const struct tk_call *call);     /* the request id, TK_REQUEST_ID_LEN + NUL */
int64_t tk_call_now_ms(const struct tk_call *call);     /* wall clock when the request was complete */
/* Zeroed memory that dies with the call; NULL when out of memory. */
void *tk_call_alloc(struct tk_call *call, size_t size);

/* ---- call: answer ----
 * The seam adds Date, Connection, Content-Length or chunked framing, and x-request-id. HEAD gets no
 * body. Header names and values are copied; CR, LF and NUL in a value are a programmer's error (MUST).
 * Names that belong to the seam (connection, content-length, date, keep-alive, trailer, transfer-encoding,
 * upgrade, x-request-id) are left out, so that an upstream's headers can be passed on as they are. */
void tk_call_add_header(struct tk_call *call, const char *name, struct tk_str value);
/* The whole answer. content_type may be NULL when body is empty. body is copied. */
void tk_call_reply(struct tk_call *call, int status, const char *content_type, struct tk_str body);

/* Streaming: headers and pieces are copied; what was said in one turn of the loop is sent at its end. */
void tk_call_start(struct tk_call *call, int status, const char *content_type);
void tk_call_send(struct tk_call *call, struct tk_str piece);
/* Bytes accepted by tk_call_send, with their framing, that the socket has not taken yet. */
size_t tk_call_unsent(const struct tk_call *call);
/* whole: the stream is complete. Otherwise the connection is broken off, so that the client sees it. */
void tk_call_end(struct tk_call *call, bool whole);

/*
 * gone: the client closed or reset before the answer was complete, or took nothing for write_ms. Noticed
 * while a handler works, too (the socket stays watched); a client that only half-closes its sending
 * side after the whole request is not gone. After gone the call is dead.
 * drained: unsent was not 0 and is 0 now; for back-pressure, after it grew too much.
 */
typedef void tk_call_event_f(struct tk_call *call, void *ctx);
void tk_call_on_gone(struct tk_call *call, tk_call_event_f *gone, void *ctx);
void tk_call_on_drained(struct tk_call *call, tk_call_event_f *drained, void *ctx);

#endif
