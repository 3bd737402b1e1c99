/* SPDX-License-Identifier: Apache-2.0
 *
 * poll: waiting for sockets, one instance per loop thread. The only face of libh2o's event loop.
 *
 * Readiness only: who reads and writes is whoever was called back. The library's own buffers are not used, so
 * what a peer can make us hold is bounded in one place (conn.c), and an error keeps its errno. libh2o stops
 * the process when it runs out of memory, which touches here a few hundred bytes for each new connection.
 *
 * All on the thread that created it. Folder-internal.
 */
#ifndef TK_HTTP_POLL_H2O_H
#define TK_HTTP_POLL_H2O_H

#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

struct tk_poll;
struct tk_sock;
typedef void tk_sock_f(void *ctx);

struct tk_poll *tk_poll_create(void);
/* After all its sockets were closed. */
void tk_poll_free(struct tk_poll **poll);
/* Waits for at most wait_ms, then calls back for what is ready. */
void tk_poll_turn(struct tk_poll *poll, int wait_ms);
/* Wall clock, as of the last turn's waking up. */
int64_t tk_poll_now_ms(const struct tk_poll *poll);

/* Takes fd, makes it non-blocking, closes it in the end. Reading is off. NULL when out of memory, fd then
 * closed. */
struct tk_sock *tk_sock_take(struct tk_poll *poll, int fd, tk_sock_f *readable, void *ctx);
/* A connection from a listening socket, TCP_NODELAY, without callbacks; NULL with errno. */
struct tk_sock *tk_sock_accept(struct tk_sock *listener);
void tk_sock_on(struct tk_sock *sock, tk_sock_f *readable, tk_sock_f *writable, void *ctx);
/* Level-triggered: readable() is called in every turn while there is something, or an end, or an error. */
void tk_sock_read(struct tk_sock *sock, bool on);
/* One call of writable(), when the socket takes bytes or is broken. MUST: not asked for already. */
void tk_sock_want_write(struct tk_sock *sock);
int tk_sock_fd(const struct tk_sock *sock);
/* No callback comes after it; also inside one. */
void tk_sock_close(struct tk_sock **sock);

#endif
