/* SPDX-License-Identifier: Apache-2.0
 *
 * loop: what one thread of the server owns, and its turn. Folder-internal.
 *
 *   turn:  wait (sockets, watches, messages) -> their callbacks -> due timers -> send what waits -> free
 *          closed connections
 *
 * Beside the library's poll there is a second epoll set, `side`, which the poll watches as one descriptor. It
 * holds what the library's sockets cannot express: descriptors that stay their owner's (watches, the wake-up
 * eventfd) and connections that are not being read but must be noticed when they break.
 *
 * Messages: senders push onto `inbox`, a lock-free list, and write the eventfd when it was empty; the loop
 * takes the whole list and runs it in sending order. At the end the list becomes `closed`, for ever.
 */
#ifndef TK_HTTP_LOOP_H
#define TK_HTTP_LOOP_H

#include "http/poll_h2o.h"
#include "http/respond.h"
#include "http/server.h"
#include "http/timer.h"

#include <pthread.h>
#include <stdatomic.h>

#define TK_LOOP_RANDOM  640   /* 64 ids */
#define TK_LOOP_SCRATCH 65536 /* most bytes read from a socket in one go */

struct tk_conn;

struct tk_watch {
        unsigned magic;
        int fd; /* -1: not in the side set */
        struct tk_loop *loop;
        tk_watch_f *ready;
        void *ctx;
};

struct tk_loop {
        /* immutable while the thread runs */
        struct tk_server *server;
        const struct tk_server_opt *opt;
        const atomic_int *stops; /* the server's: 0, 1 graceful, 2 at once */
        unsigned index;
        pthread_t thread;
        int wake_fd;

        /* any thread */
        _Atomic(struct tk_msg *) inbox;

        /* owned by the loop's thread */
        void *data;
        struct tk_poll *poll;
        int side_fd;
        struct tk_sock *side;
        struct tk_watch wake;
        struct tk_timers timers;
        int listen_fd; /* until the listener takes it */
        struct tk_sock *listener;
        bool accept_paused;
        struct tk_timer accept_again;
        int64_t accept_logged_ms;
        struct tk_conn *conns; /* open */
        unsigned conns_count;
        size_t bodies_bytes;       /* of all calls: a body is read before anybody knows whose it is */
        struct tk_conn *unflushed; /* to be sent at the end of the turn */
        struct tk_conn *closed;    /* to be freed then */
        struct tk_call *lost;      /* calls whose connection died and whose handler was not told */
        bool stopping;
        bool forced; /* the grace is over */
        struct tk_timer grace;
        char *scratch;
        int64_t date_s;
        char date[TK_DATE_LEN + 1];
        uint8_t random[TK_LOOP_RANDOM]; /* for request ids: one system call for many */
        size_t random_used;
};

/* Before its thread runs: the descriptors that other threads may use. */
TK_CHECKED enum tk_err tk_loop_open(struct tk_loop *loop, struct tk_server *server,
                                    const struct tk_server_opt *opt, const atomic_int *stops, unsigned index);
void tk_loop_close(struct tk_loop *loop);
/* Any thread or signal handler: makes the loop take a turn. */
void tk_loop_wake(struct tk_loop *loop);

/* The rest on the loop's thread. */
TK_CHECKED enum tk_err tk_loop_begin(struct tk_loop *loop);
void tk_loop_turn(struct tk_loop *loop);
/* Runs the last messages and takes no more. */
void tk_loop_end(struct tk_loop *loop);
/* Frees what tk_loop_begin() made. */
void tk_loop_dispose(struct tk_loop *loop);

/* Date header for now. */
const char *tk_loop_date(struct tk_loop *loop);
/* events 0: only when the descriptor is broken or hung up. The struct is the caller's. */
TK_CHECKED enum tk_err tk_watch_add(struct tk_watch *watch, struct tk_loop *loop, int fd, uint32_t events,
                                    tk_watch_f *ready, void *ctx);
void tk_watch_remove(struct tk_watch *watch);

#endif
