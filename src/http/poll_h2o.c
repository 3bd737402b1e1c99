/* SPDX-License-Identifier: Apache-2.0 */
#include "http/poll_h2o.h"

/* The library has two backends with different structs; this is the one of libh2o-evloop. */
#define H2O_USE_EPOLL 1
#include <h2o/socket.h>
#include <h2o/timeout.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct tk_poll {
        h2o_evloop_t *evloop;
};

struct tk_sock {
        h2o_socket_t *h2o;
        tk_sock_f *readable;
        tk_sock_f *writable;
        void *ctx;
};

struct tk_poll *tk_poll_create(void) {
        struct tk_poll *poll = malloc(sizeof *poll);
        if (poll)
                poll->evloop = h2o_evloop_create();
        return poll;
}

void tk_poll_free(struct tk_poll **poll) {
        if (!*poll)
                return;
        /* 2.2.5 forgets to close its epoll descriptor here; that is one for each loop, at the end of the
         * program. */
        h2o_evloop_destroy((*poll)->evloop);
        free(*poll);
        *poll = NULL;
}

void tk_poll_turn(struct tk_poll *poll, int wait_ms) {
        /* It fails when a signal interrupts the wait, or when the kernel cannot register one more socket. The
         * next turn makes good the first; the time-outs of the connection end the second. */
        (void)h2o_evloop_run(poll->evloop, wait_ms);
}

int64_t tk_poll_now_ms(const struct tk_poll *poll) {
        return (int64_t)h2o_now(poll->evloop);
}

static void on_read(h2o_socket_t *h2o, const char *err) {
        TK_UNUSED(err);
        struct tk_sock *sock = h2o->data;
        sock->readable(sock->ctx);
}

static void on_write(h2o_socket_t *h2o, const char *err) {
        TK_UNUSED(err);
        struct tk_sock *sock = h2o->data;
        sock->writable(sock->ctx);
}

static struct tk_sock *wrap(h2o_socket_t *h2o) {
        struct tk_sock *sock = calloc(1, sizeof *sock);
        if (!sock) {
                h2o_socket_close(h2o);
                return NULL;
        }
        sock->h2o = h2o;
        h2o->data = sock;
        h2o_socket_dont_read(h2o, 1);
        return sock;
}

struct tk_sock *tk_sock_take(struct tk_poll *poll, int fd, tk_sock_f *readable, void *ctx) {
        struct tk_sock *sock = wrap(h2o_evloop_socket_create(poll->evloop, fd, H2O_SOCKET_FLAG_DONT_READ));
        if (sock)
                tk_sock_on(sock, readable, NULL, ctx);
        return sock;
}

struct tk_sock *tk_sock_accept(struct tk_sock *listener) {
        h2o_socket_t *h2o = h2o_evloop_socket_accept(listener->h2o);
        if (!h2o)
                return NULL;
        struct tk_sock *sock = wrap(h2o);
        if (!sock)
                errno = ENOMEM;
        return sock;
}

void tk_sock_on(struct tk_sock *sock, tk_sock_f *readable, tk_sock_f *writable, void *ctx) {
        sock->readable = readable;
        sock->writable = writable;
        sock->ctx = ctx;
}

void tk_sock_read(struct tk_sock *sock, bool on) {
        if (on == (bool)h2o_socket_is_reading(sock->h2o))
                return;
        if (on)
                h2o_socket_read_start(sock->h2o, on_read);
        else
                h2o_socket_read_stop(sock->h2o);
}

void tk_sock_want_write(struct tk_sock *sock) {
        MUST(!h2o_socket_is_writing(sock->h2o));
        h2o_socket_notify_write(sock->h2o, on_write);
}

int tk_sock_fd(const struct tk_sock *sock) {
        return h2o_socket_get_fd(sock->h2o);
}

void tk_sock_close(struct tk_sock **sock) {
        if (!*sock)
                return;
        h2o_socket_close((*sock)->h2o);
        free(*sock);
        *sock = NULL;
}
