/* SPDX-License-Identifier: Apache-2.0
 *
 * writer: the one thread that changes the store, many jobs to a transaction (group commit).
 *
 *   push -> queue -> [begin, apply each, commit] -> settled each -> done each, on its worker, in order
 *
 * apply() runs inside the batch; settled() runs on the writer's thread after the commit and before
 * the next batch begins, so it sees the store exactly as of its own batch; the debts of a batch are settled
 * before its requests, so none of them finds a post in the store that still counts as under way;
 * done() is mailed to the worker that pushed (or runs here when there is none).
 *
 * A job is either a request, which is told when the store failed, or a debt (`must_land`: a post),
 * which is kept and tried again until the store recovers, in order: a full disk loses nothing. While
 * debts wait so, tk_writer_failing() is true and no new money may be held.
 */
#ifndef TK_SERVICE_WRITER_H
#define TK_SERVICE_WRITER_H

#include "service/worker.h"

struct tk_writer;
struct tk_job;

typedef enum tk_err tk_job_apply_f(struct tk_job *job, struct tk_store *store);
typedef void tk_job_f(struct tk_job *job);

struct tk_job {
        struct tk_job *next;
        tk_job_apply_f *apply;    /* optional: writes; an error undoes this job alone */
        tk_job_f *settled;        /* optional; also runs after a failure, with err set */
        tk_job_f *done;           /* last; frees the job */
        struct tk_worker *worker; /* where done runs; NULL: on the writer's thread */
        bool must_land;
        bool patient;    /* nobody waits for it, so it may wait a moment for others to share its commit */
        enum tk_err err; /* the outcome, set before settled */
        struct tk_mail mail;
};

/* manual: no thread; the caller is the writer's thread and runs batches with tk_writer_step(). For
 * simulation. */
TK_CHECKED enum tk_err tk_writer_open(struct tk_store *store, bool manual, struct tk_writer **out);
/* Manual only: one batch, if anything is queued or the store fails; true when something was queued. */
bool tk_writer_step(struct tk_writer *writer);
/* Manual only: everything queued ends unwritten, as in a crash; every job's err is CLOSED. */
void tk_writer_abandon(struct tk_writer *writer);
/* Lands what is queued, then ends the thread. A debt that still cannot land is logged as lost; then false. */
bool tk_writer_close(struct tk_writer **writer);
/* Any thread. The job is the writer's until done. */
void tk_writer_push(struct tk_writer *writer, struct tk_job *job);
/* The store refused the last batch: hold no more money until it took one. Any thread. */
bool tk_writer_failing(const struct tk_writer *writer);
/* Jobs that are queued; for back-pressure. Any thread. */
unsigned tk_writer_depth(const struct tk_writer *writer);
/* MUST: this is the writer's thread. */
void tk_writer_assert_here(const struct tk_writer *writer);

#endif
