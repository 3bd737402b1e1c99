/* SPDX-License-Identifier: Apache-2.0
 *
 * faulty_store: the memory engine behind a table of functions that can fail.
 *
 *   service -> front (store.c) -> these functions -> the memory engine
 *
 * A fault is planned for the n-th call from now, so it falls on a begin, an operation, a mark, a commit or a
 * read alike. Besides faults that change nothing there are two that a real disk knows: an outage, in which
 * every write fails until it is healed, and the lost answer, in which a commit lands and says that it did
 * not. A death is an outage that begins before or after a commit has landed and ends only with the process.
 *
 * It also tells its watcher what really landed, so that the truth is known whatever the service was told.
 */
#ifndef TK_TESTS_SIM_FAULTY_STORE_H
#define TK_TESTS_SIM_FAULTY_STORE_H

#include "store/store.h"

enum faulty_plan {
        FAULTY_NONE,
        FAULTY_ONCE,   /* one call fails */
        FAULTY_OUTAGE, /* that call and every writing call after it */
        FAULTY_LOST,   /* the next commit from there on lands and reports a fault */
        FAULTY_DEATH   /* that call and every call after it; a commit may land first */
};

/* Every member may be NULL. What is written becomes true with landed() and is forgotten with ended(). */
struct faulty_watch {
        void *ctx;
        void (*entry)(void *ctx, const struct tk_entry *entry);
        void (*key)(void *ctx, const struct tk_key *key);
        void (*limits)(void *ctx, struct tk_id subject, const struct tk_limit *limits, unsigned limits_nr);
        void (*between)(void *ctx); /* a batch is open, or has just landed: what other threads do meanwhile */
        void (*marked)(void *ctx);
        void (*undone)(void *ctx);
        void (*landed)(void *ctx);
        void (*ended)(void *ctx);
};

/* A new store in memory. There is one at a time. */
struct tk_store *faulty_open(const struct faulty_watch *watch);
/* The fault to come: after `calls` more calls, with this error. Replaces what was planned. */
void faulty_arm(enum faulty_plan plan, unsigned calls, enum tk_err err);
/* Everything works again. A death is healed too: it is a new process that asks. */
void faulty_heal(void);
/* A new process believes the best. */
void faulty_process_begins(void);
/* While it is off nothing fails and nothing is counted: the auditor reads. Nests. */
void faulty_off(void);
void faulty_on(void);
bool faulty_is_dead(void);
/* The last batch did not land, as far as the service was told. */
bool faulty_is_failing(void);
/* How many calls have failed so far. */
uint64_t faulty_fired(void);

#endif
