/* SPDX-License-Identifier: Apache-2.0
 *
 * service: the keys, their ledger and the threads behind them, as one thing to open and close.
 */
#ifndef TK_SERVICE_SERVICE_H
#define TK_SERVICE_SERVICE_H

#include "service/worker.h"

struct tk_service_opt {
        struct tk_store *store;            /* borrowed, outlives the service */
        const struct tk_catalog *catalog;  /* borrowed */
        const char *key_prefix;            /* "tk"; copied */
        unsigned hold_output_tokens;       /* 0: a default */
        unsigned audit_days;               /* how long records of the audit log are kept; 0: for ever */
        struct tk_spend_order spend_order; /* empty: USD */
        /* For simulation: no thread is started; the caller runs the writer's batches and gives the time. */
        bool manual;
        int64_t start_ms; /* manual: the time at the start */
};

/* Starts the writer and the housekeeper thread. */
TK_CHECKED enum tk_err tk_service_open(const struct tk_service_opt *opt, struct tk_service **out);
/* All workers closed before. Posts what is queued, returns leases, ends the threads. */
void tk_service_close(struct tk_service **service);
/* Manual only. One batch of the writer; true when something was queued. */
bool tk_service_step(struct tk_service *service);
/* Manual only. What the housekeeper does at each of its ticks. */
void tk_service_tick(struct tk_service *service);
/* Manual only: ends it as a crash would: nothing queued is written, no lease is returned. All tickets ended
 * before. */
void tk_service_abandon(struct tk_service **service);

#endif
