/* SPDX-License-Identifier: Apache-2.0
 *
 * serve: the server from its first phase to its last.
 */
#ifndef TK_DAEMON_SERVE_H
#define TK_DAEMON_SERVE_H

#include "daemon/config.h"

/*
 * Runs until SIGINT or SIGTERM: opens the store, starts the services, binds, prints "ready http://HOST:PORT"
 * on stdout, serves, and on the signal finishes what runs and returns leases. A second signal ends at once.
 * Returns the process's exit status; what failed was said on stderr.
 */
int tk_daemon_serve(const struct tk_config *config);

#endif
