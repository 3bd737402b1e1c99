/* SPDX-License-Identifier: Apache-2.0
 *
 * stage: a service without threads, on a store in memory that can be told to fail, with two workers. The test
 * is the writer's thread and both loops: nothing happens until it says so, and then in the order that it
 * chose.
 */
#ifndef TK_TESTS_STAGE_H
#define TK_TESTS_STAGE_H

#include "lib/unit.h"
#include "service/keys.h"
#include "service/service.h"

#define STAGE_NOW_MS INT64_C(4000000000000)
#define STAGE_LOOPS  2

struct stage;

struct stage_loop {
        struct stage *stage;
        struct tk_worker *worker;
        struct tk_mail *mail, **tail;
        bool ended; /* takes no more mail */
};

struct stage {
        struct tk_store *store;
        struct tk_catalog *catalog;
        struct tk_service *service;
        struct stage_loop loops[STAGE_LOOPS];
        struct stage_loop *running; /* whose mail is being run; NULL: the writer's thread, or the test */
        struct tk_key key;
        struct tk_key_text secret;
        bool failing; /* the store refuses to commit */
};

void stage_open(struct stage *s);
void stage_close(struct stage *s);
/* A clean stop and a start on the same store. */
void stage_restart(struct stage *s);
/* The same, but what was queued is lost. */
void stage_crash(struct stage *s);

/* A key with one cap on usd, for ever. It becomes s->key. */
void stage_key(struct stage *s, uint64_t cap);
/* The set-up and tear-down of a test whose state is a stage with a key that may spend a million nano. */
int stage_setup(void **state);
int stage_teardown(void **state);
/* Makes the key revoked. */
void stage_revoke(struct stage *s);
/* Counted: the caller's. */
struct tk_snapshot *stage_snapshot(struct stage *s, unsigned loop);

bool stage_batch(struct stage *s);                          /* one batch of the writer */
bool stage_mail(struct stage *s, unsigned loop);            /* all mail of a loop; false: there was none */
void stage_run(struct stage *s);                            /* everything, until nothing is left */
int64_t stage_posted(struct stage *s, enum tk_meter meter); /* of the key, as stored */
/* Leases that are not returned. */
unsigned stage_leases(struct stage *s);

#endif
