/* SPDX-License-Identifier: Apache-2.0
 *
 * service: the keys, their ledger and the threads behind them, as one thing to open and close.
 */
#ifndef TK_SERVICE_SERVICE_H
#define TK_SERVICE_SERVICE_H

#include "service/worker.h"

struct tk_service_opt {
        struct tk_store *store;               /* borrowed, outlives the service */
        const struct tk_catalog *catalog;     /* borrowed */
        const char *key_prefix;               /* "tk"; copied */
        unsigned hold_output_tokens, hold_ms; /* 0: defaults */
};

/* Starts the writer and the housekeeper thread. */
TK_CHECKED enum tk_err tk_service_open(const struct tk_service_opt *opt, struct tk_service **out);
/* All workers closed before. Posts what is queued, returns leases, ends the threads. */
void tk_service_close(struct tk_service **service);

#endif
