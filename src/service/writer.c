/* SPDX-License-Identifier: Apache-2.0
 *
 * The batch is whatever is queued when the last commit ended, up to BATCH_MAX: under load batches grow by
 * themselves, and an idle server commits a single job at once. But a commit costs as much as a dozen jobs in
 * it, so jobs that nobody waits for, the posts of proxied calls, wait a moment for company, or until somebody
 * comes who does wait. Price: a crash forgets so much more of what has no cap; what has one is lent.
 */
#include "service/writer.h"

#include "rt/clock.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "service/service_int.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define BATCH_MAX 2048
#define PROBE     "writer.probe" /* the setting that is written to see whether anything can be */
#define RETRY_MS  100            /* after a failed batch; a disk that was freed is noticed within this */
#define COMPANY   256            /* so many jobs wait for no more */

static unsigned company_ms = 4; /* how long jobs wait for others; the test has more of it */

struct tk_writer {
        /* immutable after start */
        struct tk_store *store;
        bool manual;
        pthread_t thread; /* for the join; the thread itself uses `self` */

        /* under mutex */
        pthread_mutex_t mutex;
        pthread_cond_t wake;
        struct tk_job *head;
        struct tk_job **tail;
        unsigned queued; /* jobs from head on */
        bool urgent;     /* somebody waits for one of them */
        bool stopping;

        /* any thread */
        atomic_bool failing;
        atomic_uint depth;

        /* owned by the writer's thread: the batch, in order */
        struct tk_job *batch;
        bool lost; /* a debt was given up at the end */
        pthread_t self;
};

void tk_writer_push(struct tk_writer *writer, struct tk_job *job) {
        MUST(job->done != NULL);
        job->next = NULL;
        job->err = TK_OK;
        pthread_mutex_lock(&writer->mutex);
        *writer->tail = job;
        writer->tail = &job->next;
        atomic_fetch_add(&writer->depth, 1);
        writer->urgent = writer->urgent || !job->patient;
        if (writer->queued++ == 0 || !job->patient || writer->queued == COMPANY)
                pthread_cond_signal(&writer->wake);
        pthread_mutex_unlock(&writer->mutex);
}

bool tk_writer_failing(const struct tk_writer *writer) {
        return atomic_load(&writer->failing);
}

unsigned tk_writer_depth(const struct tk_writer *writer) {
        return atomic_load(&writer->depth);
}

void tk_writer_assert_here(const struct tk_writer *writer) {
        MUST(pthread_equal(pthread_self(), writer->self));
}

/* Errors that say something about the store, not about the one job. */
static bool is_store_fault(enum tk_err err) {
        switch (err) {
        case TK_E_FULL:
        case TK_E_READ_ONLY:
        case TK_E_IO:
        case TK_E_BUSY:
        case TK_E_NO_MEMORY:
        case TK_E_CLOSED:
                return true;
        default:
                return false;
        }
}

/* One job inside the batch; its own failure is undone and kept in job->err. */
static enum tk_err apply_one(struct tk_writer *writer, struct tk_job *job) {
        enum tk_err err;
        job->err = TK_OK;
        if (!job->apply)
                return TK_OK;
        if ((err = tk_store_mark(writer->store)) != TK_OK)
                return err;
        if ((err = job->apply(job, writer->store)) == TK_OK)
                return tk_store_mark_keep(writer->store);
        if (is_store_fault(err))
                return err;
        job->err = err;
        return tk_store_mark_undo(writer->store);
}

static bool any_writes(const struct tk_job *batch) {
        for (; batch; batch = batch->next)
                if (batch->apply)
                        return true;
        return false;
}

static enum tk_err apply_all(struct tk_writer *writer, bool probes) {
        enum tk_err err;
        for (struct tk_job *job = writer->batch; job; job = job->next)
                if ((err = apply_one(writer, job)) != TK_OK)
                        return err;
        return probes ? tk_store_meta_put(writer->store, PROBE, tk_str_of("1")) : TK_OK;
}

/*
 * A store that failed is believed again only when it has taken a write: a batch that only reads says nothing
 * about a full disk, and when nothing is queued nothing would ever be tried. So while it fails every batch
 * writes, be it a row of no meaning.
 */
static enum tk_err apply_batch(struct tk_writer *writer) {
        bool probes = atomic_load(&writer->failing);
        enum tk_err err;
        if (!probes && !any_writes(writer->batch))
                return TK_OK;
        if ((err = tk_store_begin(writer->store)) != TK_OK)
                return err;
        if ((err = apply_all(writer, probes)) != TK_OK) {
                tk_store_rollback(writer->store);
                return err;
        }
        return tk_store_commit(writer->store);
}

static void run_done(struct tk_mail *mail) {
        struct tk_job *job = (struct tk_job *)((char *)mail - offsetof(struct tk_job, mail));
        job->done(job);
}

static void end(struct tk_job *job) {
        struct tk_worker *worker = job->worker;
        if (!worker) {
                job->done(job);
                return;
        }
        job->mail.run = run_done;
        tk_worker_mail(worker, &job->mail);
}

/* Those of one kind, in order. */
static void settle(struct tk_job *job, bool debts) {
        for (; job; job = job->next)
                if (job->must_land == debts && job->settled)
                        job->settled(job);
}

/*
 * Ends the jobs of the batch; after a store's fault only the requests end, the debts stay in order. Debts are
 * settled first: the whole batch is in the store by now, and a request that reads the store must not find
 * there what still counts as under way.
 */
static void settle_batch(struct tk_writer *writer, enum tk_err fault) {
        struct tk_job *job = writer->batch, *kept = NULL, **tail = &kept;
        unsigned ended = 0;
        if (fault == TK_OK)
                settle(job, true);
        else
                for (struct tk_job *j = job; j; j = j->next)
                        if (!j->must_land)
                                j->err = fault;
        settle(job, false);
        while (job) {
                struct tk_job *next = job->next;
                job->next = NULL;
                if (fault != TK_OK && job->must_land) {
                        *tail = job;
                        tail = &job->next;
                } else {
                        ended++;
                        end(job);
                }
                job = next;
        }
        writer->batch = kept;
        atomic_fetch_sub(&writer->depth, ended);
}

/* Appends up to BATCH_MAX queued jobs to what is left of the batch, however much that is: requests behind
 * many debts are told that the store fails, too. */
static void take(struct tk_writer *writer) {
        struct tk_job **tail = &writer->batch;
        unsigned n = 0;
        while (*tail)
                tail = &(*tail)->next;
        while (writer->head && n < BATCH_MAX) {
                n++;
                *tail = writer->head;
                writer->head = writer->head->next;
                tail = &(*tail)->next;
                *tail = NULL;
        }
        writer->queued -= n;
        if (writer->head)
                return;
        writer->tail = &writer->head;
        writer->urgent = false;
}

static void wait_company(struct tk_writer *writer) {
        struct timespec until = tk_clock_after(company_ms);
        while (!writer->urgent && !writer->stopping && writer->queued < COMPANY)
                if (pthread_cond_timedwait(&writer->wake, &writer->mutex, &until) == ETIMEDOUT)
                        return;
}

static void wait_retry(struct tk_writer *writer) {
        struct timespec until = tk_clock_after(RETRY_MS);
        /* New requests wake it early and are answered; the debts are tried again with them. */
        (void)pthread_cond_timedwait(&writer->wake, &writer->mutex, &until);
}

static void drop_debts(struct tk_writer *writer, enum tk_err fault) {
        for (struct tk_job *job = writer->batch; job; job = job->next) {
                tk_log(TK_ERROR, "writer", "a post could not be stored before the end: %s",
                       tk_err_text(fault));
                job->must_land = false;
                writer->lost = true;
        }
        settle_batch(writer, fault);
}

static void run_batch(struct tk_writer *writer, bool stopping) {
        enum tk_err fault = apply_batch(writer);
        bool was = atomic_exchange(&writer->failing, fault != TK_OK);
        if (fault != TK_OK && !was)
                tk_log(TK_ERROR, "writer", "the store refuses writes: %s; no money is held until it recovers",
                       tk_err_text(fault));
        if (fault == TK_OK && was)
                tk_log(TK_INFO, "writer", "the store takes writes again");
        settle_batch(writer, fault);
        if (fault != TK_OK && stopping && writer->batch)
                drop_debts(writer, fault);
}

static void *writer_main(void *arg) {
        struct tk_writer *writer = arg;
        writer->self = pthread_self();
        for (;;) {
                pthread_mutex_lock(&writer->mutex);
                bool failing = tk_writer_failing(writer);
                if ((writer->batch || (failing && !writer->head)) && !writer->stopping)
                        wait_retry(writer);
                while (!writer->head && !failing && !writer->stopping)
                        pthread_cond_wait(&writer->wake, &writer->mutex);
                if (!writer->batch && !failing)
                        wait_company(writer);
                take(writer);
                bool stopping = writer->stopping;
                pthread_mutex_unlock(&writer->mutex);
                if (!writer->batch && stopping)
                        return NULL;
                run_batch(writer, stopping);
        }
}

bool tk_writer_step(struct tk_writer *writer) {
        MUST(writer->manual);
        pthread_mutex_lock(&writer->mutex);
        take(writer);
        pthread_mutex_unlock(&writer->mutex);
        bool queued = writer->batch != NULL;
        if (queued || tk_writer_failing(writer))
                run_batch(writer, false);
        return queued;
}

void tk_writer_abandon(struct tk_writer *writer) {
        MUST(writer->manual);
        for (;;) {
                pthread_mutex_lock(&writer->mutex);
                take(writer);
                pthread_mutex_unlock(&writer->mutex);
                if (!writer->batch)
                        return;
                for (struct tk_job *job = writer->batch; job; job = job->next)
                        job->must_land = false;
                settle_batch(writer, TK_E_CLOSED);
        }
}

enum tk_err tk_writer_open(struct tk_store *store, bool manual, struct tk_writer **out) {
        struct tk_writer *writer = calloc(1, sizeof *writer);
        pthread_condattr_t attr;
        *out = NULL;
        if (!writer)
                return TK_E_NO_MEMORY;
        writer->store = store;
        writer->tail = &writer->head;
        pthread_mutex_init(&writer->mutex, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&writer->wake, &attr);
        pthread_condattr_destroy(&attr);
        writer->manual = manual;
        writer->self = pthread_self();
        if (!manual && pthread_create(&writer->thread, NULL, writer_main, writer) != 0) {
                free(writer);
                return TK_E_NO_MEMORY;
        }
        *out = writer;
        return TK_OK;
}

static void drain(struct tk_writer *writer) {
        for (;;) {
                take(writer);
                if (!writer->batch)
                        return;
                run_batch(writer, true);
        }
}

bool tk_writer_close(struct tk_writer **writer) {
        struct tk_writer *w = *writer;
        if (!w)
                return true;
        pthread_mutex_lock(&w->mutex);
        w->stopping = true;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->mutex);
        if (w->manual)
                drain(w);
        else
                pthread_join(w->thread, NULL);
        MUST(!w->head && !w->batch);
        bool landed = !w->lost;
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->mutex);
        free(w);
        *writer = NULL;
        return landed;
}
