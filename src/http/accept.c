/* SPDX-License-Identifier: Apache-2.0 */
#include "http/accept.h"

#include "http/conn.h"
#include "rt/clock.h"
#include "rt/log.h"

#include <errno.h>
#include <string.h>

#define BATCH        64  /* in one turn, so that open connections get theirs */
#define AGAIN_MS     100 /* after running out of descriptors */
#define LOG_EVERY_MS 10000

static void pause_accepting(struct tk_loop *loop) {
        loop->accept_paused = true;
        tk_sock_read(loop->listener, false);
}

void tk_accept_resume(struct tk_loop *loop) {
        if (!loop->accept_paused || !loop->listener)
                return;
        loop->accept_paused = false;
        tk_timer_cancel(&loop->accept_again);
        tk_sock_read(loop->listener, true);
}

static void on_again(struct tk_timer *timer) {
        tk_accept_resume((struct tk_loop *)((char *)timer - offsetof(struct tk_loop, accept_again)));
}

/* The fault is that one client's; accept(2) names these for Linux. */
static bool passing(int error) {
        static const int errors[] = {ECONNABORTED, EINTR,       EPROTO, ENETDOWN,
                                     ENOPROTOOPT,  EHOSTDOWN,   ENONET, EHOSTUNREACH,
                                     EOPNOTSUPP,   ENETUNREACH, EPERM};
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
                if (error == errors[i])
                        return true;
        return false;
}

/* True when there may be more. */
static bool accept_one(struct tk_loop *loop) {
        if (loop->conns_count >= loop->opt->connections_max) {
                pause_accepting(loop);
                return false;
        }
        struct tk_sock *sock = tk_sock_accept(loop->listener);
        if (sock) {
                tk_conn_open(loop, sock);
                return true;
        }
        if (errno == EAGAIN || passing(errno))
                return errno != EAGAIN;
        int64_t now_ms = tk_clock_mono_ms();
        if (!loop->accept_logged_ms || now_ms - loop->accept_logged_ms >= LOG_EVERY_MS) {
                tk_log(TK_WARN, "http", "cannot accept connections: %s", strerror(errno));
                loop->accept_logged_ms = now_ms;
        }
        pause_accepting(loop);
        tk_timer_start(loop, &loop->accept_again, AGAIN_MS);
        return false;
}

static void on_acceptable(void *ctx) {
        struct tk_loop *loop = ctx;
        for (int i = 0; i < BATCH && accept_one(loop); i++)
                ;
}

enum tk_err tk_accept_begin(struct tk_loop *loop) {
        loop->accept_again.fire = on_again;
        loop->listener = tk_sock_take(loop->poll, loop->listen_fd, on_acceptable, loop);
        loop->listen_fd = -1;
        if (!loop->listener)
                return TK_E_NO_MEMORY;
        tk_sock_read(loop->listener, true);
        return TK_OK;
}

void tk_accept_end(struct tk_loop *loop) {
        if (!loop->listener)
                return;
        while (accept_one(loop))
                ;
        tk_timer_cancel(&loop->accept_again);
        tk_sock_close(&loop->listener);
}
