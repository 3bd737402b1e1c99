/* SPDX-License-Identifier: Apache-2.0
 *
 * world: one run of the simulation: the store that outlives processes, the service as a process on it that is
 * started, stopped and killed, its loops as boxes of mail, and the clock. Everything runs on one thread; what
 * would be concurrent is a question of which box is emptied when, and the seed answers it.
 */
#ifndef TK_TESTS_SIM_WORLD_H
#define TK_TESTS_SIM_WORLD_H

#include "service/service.h"
#include "truth.h"
#include "xorshift.h"

#define WORLD_LOOPS 3

struct world_box {
        struct world *world;
        struct tk_worker *worker;
        struct tk_mail *first, **last;
        size_t nr;
};

struct world {
        struct truth truth;
        struct xorshift x;
        struct tk_store *store;
        struct tk_reader *reader; /* the auditor's */
        struct tk_catalog *catalog;
        struct tk_service *service;
        struct world_box boxes[WORLD_LOOPS];
        int64_t now_ms;
        uint64_t batches;             /* of the writer, so far */
        uint64_t fired_before;        /* faults before the running step: later ones excuse its answers */
        void (*meanwhile)(void *ctx); /* what loops do while a batch is under way; may be NULL */
        void *meanwhile_ctx;
        bool ending; /* the process ends: tickets are ended as soon as they can be */
        struct auditor *auditor;
        unsigned crashes, restarts;
        uint64_t answers[TK_HOLD_NO_STORE + 1];
};

void world_open(struct world *world, uint64_t seed, int64_t now_ms);
void world_close(struct world *world);

int64_t world_between(struct world *world, int64_t low, int64_t high);
bool world_chance(struct world *world, unsigned percent);
struct tk_worker *world_worker(struct world *world);
void world_clock(struct world *world, int64_t now_ms);

/* ---- what a loop does: each may be answered at once or by mail ---- */

/* A snapshot of the key as the process has it, or NULL when the store failed it or the key is revoked. */
struct tk_snapshot *world_identify(struct world *world, struct truth_subject *key);
void world_hold(struct world *world, struct truth_subject *key, const struct tk_amounts *least,
                const struct tk_amounts *most);
void world_extend(struct world *world, struct truth_ticket *ticket, const struct tk_amounts *least,
                  const struct tk_amounts *most);
void world_post(struct world *world, struct truth_ticket *ticket, const struct tk_amounts *actual);
void world_void(struct world *world, struct truth_ticket *ticket);
/* At once, and for ever; org as for truth_group_add(). */
struct truth_subject *world_group(struct world *world, enum tk_subject_kind kind, struct truth_subject *org);
void world_create(struct world *world, const struct tk_key *draft);
void world_edit(struct world *world, struct truth_subject *subject, const struct truth_version *wanted);
/* The same by another process on the same file. */
void world_edit_outside(struct world *world, struct truth_subject *subject,
                        const struct truth_version *wanted);
void world_barrier(struct world *world);

/* ---- what runs by itself ---- */

void world_step(struct world *world); /* a batch of the writer */
void world_tick(struct world *world); /* the housekeeper */
/* Up to nr letters of a box. */
void world_mail(struct world *world, struct world_box *box, unsigned nr);
/* Batches and mail until nothing is asked or queued; the store works. */
void world_settle(struct world *world);

/* ---- ends of a process; a new one is started ---- */

void world_crash(struct world *world);
void world_restart(struct world *world);
/* An operator says of one doubt how much of it was spent, beside a process that is at rest. */
void world_resolve_one(struct world *world);
/* An operator declares all doubt resolved after a restart. */
void world_resolve(struct world *world);

#endif
