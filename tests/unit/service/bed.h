/* SPDX-License-Identifier: Apache-2.0
 *
 * bed: a service on a store in memory, with one worker whose loop is the test: mail waits until the test
 * takes it, so every completion happens where the test looks, and nothing depends on timing.
 */
#ifndef TK_TESTS_BED_H
#define TK_TESTS_BED_H

#include "lib/unit.h"
#include "service/keys.h"
#include "service/ledger.h"
#include "service/service.h"

#include <pthread.h>

struct bed {
        struct tk_store *store;
        struct tk_catalog *catalog;
        struct tk_service *service;
        struct tk_worker *worker;
        pthread_mutex_t mutex;
        pthread_cond_t arrived;
        struct tk_mail *mail, **mail_tail;
        unsigned mail_nr; /* taken so far */
};

/* On this store ("memory:" or "sqlite:..."). */
void bed_open(struct bed *bed, const char *url);
/* Closes service and store; reopen with bed_start() to see what a restart sees. */
void bed_close(struct bed *bed);
/* The set-up and tear-down of a test whose state is a bed on a store in memory. */
int bed_setup(void **state);
int bed_teardown(void **state);
/* Service only, on the store that is open. */
void bed_start(struct bed *bed);
void bed_stop(struct bed *bed);
/* Runs mail until *flag is true. */
void bed_until(struct bed *bed, const bool *flag);

/* A key with one cap on a meter and window; its snapshot is the caller's. */
struct tk_snapshot *bed_key(struct bed *bed, enum tk_meter meter, enum tk_window_kind window, uint64_t cap,
                            struct tk_id *id);
struct tk_snapshot *bed_key_secret(struct bed *bed, enum tk_meter meter, enum tk_window_kind window,
                                   uint64_t cap, struct tk_id *id, struct tk_key_text *secret);
/* Rows of the first organisation; n tells users apart. The service is stopped for it: no snapshot is held. */
struct tk_id bed_user(struct bed *bed, unsigned n);
struct tk_id bed_workspace(struct bed *bed);
/* A key of calls after this draft, which becomes the record. */
struct tk_snapshot *bed_key_draft(struct bed *bed, struct tk_key *draft, struct tk_key_text *secret);
/* Another worker on the same service, for another thread. */
void bed_share(struct bed *bed, struct bed *owner);
void bed_unshare(struct bed *bed);
/* Hold on usd, waiting for the answer. */
enum tk_hold_answer bed_hold(struct bed *bed, const struct tk_snapshot *snapshot, int64_t least, int64_t most,
                             int64_t now_ms, struct tk_ticket **out);
enum tk_hold_answer bed_extend(struct bed *bed, struct tk_ticket *ticket, int64_t least, int64_t most);
void bed_post(struct tk_ticket **ticket, int64_t usd, int64_t now_ms);
/* Everything queued before is in the store. */
void bed_barrier(struct bed *bed);
int64_t bed_posted(struct bed *bed, struct tk_id id, enum tk_meter meter);

#endif
