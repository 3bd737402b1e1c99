/* SPDX-License-Identifier: Apache-2.0
 *
 * housekeeper: the thread for what must happen without a request.
 *
 * Four times a second it reads the store's change log, so that a key that another process changed (the
 * command line on the same file) stops or changes here within a second, ends the holds whose time is over,
 * and drops leases of windows that are over; once a second it writes when some keys were last used, those
 * first that have waited longest: whatever the number of keys in use, posts and leases do not stand behind
 * all of them; and it removes some records of the audit log that are too old. It changes nothing itself:
 * everything goes to the writer as a job.
 */
#include "service/housekeeper.h"

#include "core/time.h"
#include "rt/clock.h"
#include "rt/log.h"
#include "service/account.h"
#include "service/holds.h"
#include "service/ledger_int.h"
#include "store/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define TICK_MS         250
#define TICKS_PER_FLUSH 4

/* ---- keys that changed ---- */

struct reload_job {
        struct tk_job job;
        struct tk_service *service;
        struct tk_id id;
        int64_t seq;
};

/* A change that could not be read is read again at the next tick, and all after it. */
static void redo_from(struct tk_service *service, int64_t seq) {
        int64_t redo = atomic_load(&service->change_redo);
        while (seq < redo && !atomic_compare_exchange_weak(&service->change_redo, &redo, seq))
                ;
}

static void reload_settled(struct tk_job *job) {
        struct reload_job *reload = (struct reload_job *)job;
        struct tk_key key;
        enum tk_err err = job->err;
        if (err == TK_OK)
                err = tk_reader_key_by_id(reload->service->writer_reader, reload->id, &key);
        if (err == TK_OK)
                tk_ledger_key_changed(reload->service, &key);
        else if (err == TK_E_NOT_FOUND) /* no key: the limits of an organisation, workspace or user */
                tk_ledger_subject_changed(reload->service, reload->id);
        else {
                tk_log(TK_ERROR, "housekeeper", "a changed key cannot be read: %s", tk_err_text(err));
                redo_from(reload->service, reload->seq);
        }
}

static void free_job(struct tk_job *job) {
        free(job);
}

static bool on_change(int64_t seq, struct tk_id key, void *ctx) {
        struct tk_service *service = ctx;
        struct reload_job *reload = calloc(1, sizeof *reload);
        if (!reload)
                return false; /* not marked as seen: tried again at the next tick */
        reload->job.settled = reload_settled;
        reload->job.done = free_job;
        reload->service = service;
        reload->id = key;
        reload->seq = seq;
        tk_writer_push(service->writer, &reload->job);
        service->change_seen = seq;
        return true;
}

void tk_housekeeper_tick(struct tk_service *service) {
        int64_t redo = atomic_exchange(&service->change_redo, INT64_MAX);
        if (redo - 1 < service->change_seen)
                service->change_seen = redo - 1;
        enum tk_err err =
                tk_reader_changes(service->housekeeper_reader, service->change_seen, on_change, service);
        if (err != TK_OK)
                tk_log(TK_ERROR, "housekeeper", "the change log cannot be read: %s", tk_err_text(err));
        tk_sweep_tick(service);
}

/* ---- when keys were used ---- */

struct touch {
        struct tk_id id;
        int64_t used_ms;
};

struct touch_job {
        struct tk_job job;
        size_t nr;
        struct touch touches[];
};

static enum tk_err touch_apply(struct tk_job *job, struct tk_store *store) {
        const struct touch_job *t = (struct touch_job *)job;
        for (size_t i = 0; i < t->nr; i++) {
                enum tk_err err = tk_store_key_touch(store, t->touches[i].id, t->touches[i].used_ms);
                if (err != TK_OK)
                        return err;
        }
        return TK_OK;
}

/* The oldest, at most max. */
static struct touch_job *take_touched(struct tk_service *service, size_t max) {
        struct touch_job *job = NULL;
        size_t nr = 0;
        tk_lock(&service->touched_lock);
        for (struct tk_account *a = service->touched; a && nr < max; a = a->touched_next)
                nr++;
        if (nr > 0)
                job = calloc(1, sizeof *job + nr * sizeof *job->touches);
        while (job && job->nr < nr) {
                struct tk_account *a = service->touched;
                job->touches[job->nr++] = (struct touch){a->id, a->last_used_ms};
                a->touched = false;
                service->touched = a->touched_next;
        }
        if (!service->touched)
                service->touched_tail = &service->touched;
        tk_unlock(&service->touched_lock);
        return job;
}

static void flush_touched(struct tk_service *service, size_t max) {
        struct touch_job *job = take_touched(service, max);
        if (!job)
                return;
        job->job.apply = touch_apply;
        job->job.done = free_job;
        tk_writer_push(service->writer, &job->job);
}

void tk_service_flush_touched(struct tk_service *service) {
        flush_touched(service, SIZE_MAX);
}

void tk_housekeeper_flush(struct tk_service *service) {
        flush_touched(service, TK_HOUSEKEEPER_TOUCHES);
}

/* ---- records that are too old ---- */

struct trim_job {
        struct tk_job job;
        int64_t before_ms;
};

static enum tk_err trim_apply(struct tk_job *job, struct tk_store *store) {
        return tk_store_audit_trim(store, ((const struct trim_job *)job)->before_ms, TK_HOUSEKEEPER_RECORDS);
}

void tk_housekeeper_trim(struct tk_service *service, int64_t now_ms) {
        const int64_t before_ms = now_ms - service->audit_days * TK_DAY_S * 1000;
        int64_t oldest_ms;
        if (!service->audit_days || before_ms < 0)
                return;
        enum tk_err err = tk_reader_audit_oldest(service->housekeeper_reader, &oldest_ms);
        if (err != TK_OK || oldest_ms >= before_ms) /* a fault was logged, and is met again in a second */
                return;
        struct trim_job *trim = calloc(1, sizeof *trim);
        if (!trim)
                return;
        trim->job.apply = trim_apply;
        trim->job.done = free_job;
        trim->before_ms = before_ms;
        tk_writer_push(service->writer, &trim->job);
}

/* ---- the thread ---- */

/* False: stop now. */
static bool wait_tick(struct tk_service *service) {
        struct timespec until = tk_clock_after(TICK_MS);
        pthread_mutex_lock(&service->stop_mutex);
        int rv = 0;
        while (!service->stopping && rv != ETIMEDOUT)
                rv = pthread_cond_timedwait(&service->stop_wake, &service->stop_mutex, &until);
        bool go_on = !service->stopping;
        pthread_mutex_unlock(&service->stop_mutex);
        return go_on;
}

void *tk_housekeeper_main(void *arg) {
        struct tk_service *service = arg;
        for (unsigned tick = 1; wait_tick(service); tick++) {
                tk_housekeeper_tick(service);
                (void)tk_holds_expire(service, tk_clock_now_ms());
                if (tick % TICKS_PER_FLUSH == 0) {
                        tk_housekeeper_flush(service);
                        tk_housekeeper_trim(service, tk_clock_now_ms());
                }
        }
        return NULL;
}
