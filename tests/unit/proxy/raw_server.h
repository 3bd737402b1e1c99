/* SPDX-License-Identifier: Apache-2.0
 *
 * raw_server: a hostile HTTP server for tests: one thread a connection, raw sockets, no manners of its own.
 *
 * The test gives serve(), which reads requests with raw_request() and writes whatever bytes it likes.
 * serve() runs on its own threads, so it must not assert; it counts in atomics and the test looks at
 * them. Stopping shuts every connection down and joins the threads, so a serve() that waits for its
 * peer always ends.
 */
#ifndef TK_TESTS_RAW_SERVER_H
#define TK_TESTS_RAW_SERVER_H

#include "base/str.h"

#include <pthread.h>
#include <stdatomic.h>

#define RAW_CONNECTIONS_MAX 512

struct raw_server;
/* One connection, the nth (from 0) of this server; it is closed when serve returns. */
typedef void raw_serve_f(struct raw_server *server, int fd, unsigned nth);

struct raw_server {
        raw_serve_f *serve;
        void *ctx;
        int listen_fd;
        unsigned port;
        pthread_t thread;
        pthread_t threads[RAW_CONNECTIONS_MAX];
        pthread_mutex_t mutex;
        int fds[RAW_CONNECTIONS_MAX]; /* under mutex; -1: closed */
        unsigned connections;         /* under mutex */
        bool stopping;                /* under mutex */
        atomic_uint requests;         /* whole requests read */
        atomic_uint peers_gone;       /* times a read or write found the client gone */
        atomic_size_t sent;           /* bytes taken by the sockets */
};

struct raw_request {
        char head[16384]; /* with a NUL */
        size_t head_len;
        char *body; /* freed by raw_request_free */
        size_t body_len;
};

void raw_server_start(struct raw_server *server, raw_serve_f *serve, void *ctx);
void raw_server_stop(struct raw_server *server);
bool raw_server_is_stopping(struct raw_server *server);
unsigned raw_server_connections(struct raw_server *server);

/* False when the peer is gone first. */
bool raw_request_read(struct raw_server *server, int fd, struct raw_request *out);
void raw_request_free(struct raw_request *request);
/* False when the peer is gone. */
bool raw_send(struct raw_server *server, int fd, struct tk_str bytes);
bool raw_send_text(struct raw_server *server, int fd, const char *text);
/* Waits until the peer closes or resets, whatever else it sends. */
void raw_wait_gone(struct raw_server *server, int fd);
/* Close with RST instead of FIN. */
void raw_reset_on_close(int fd);

#endif
