/* SPDX-License-Identifier: Apache-2.0
 *
 * accept: new connections of one loop, up to its limit. Folder-internal; on the loop's thread.
 *
 * At the limit, and when the process has no descriptor left, the listener is not read until a connection
 * closes; clients wait in the kernel's backlog meanwhile. Descriptors may also come free elsewhere, so then
 * it is tried again a little later, too.
 */
#ifndef TK_HTTP_ACCEPT_H
#define TK_HTTP_ACCEPT_H

#include "http/loop.h"

/* Takes loop->listen_fd, which listens. */
TK_CHECKED enum tk_err tk_accept_begin(struct tk_loop *loop);
/* A connection has closed. */
void tk_accept_resume(struct tk_loop *loop);
/* Takes what waits in the backlog, and then no more. */
void tk_accept_end(struct tk_loop *loop);

#endif
