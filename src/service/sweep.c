/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sweep.h"

#include "core/time.h"
#include "rt/log.h"
#include "service/account.h"
#include "service/service_int.h"

#include <stdlib.h>
#include <string.h>

void tk_sweep_free(struct tk_sweep *sweep) {
        free(sweep->at);
        *sweep = (struct tk_sweep){.hour = sweep->hour};
}

/* ---- finding them ---- */

static bool gather(const struct tk_lease *lease, void *ctx) {
        struct tk_sweep *sweep = ctx;
        if (tk_window_end_s(lease->window, lease->number) > sweep->over_s)
                return true;
        if (sweep->nr == sweep->room) {
                size_t room = sweep->room ? sweep->room * 2 : 64;
                struct tk_lease *at = realloc(sweep->at, room * sizeof *at);
                sweep->failed = !at;
                if (!at)
                        return false;
                sweep->at = at;
                sweep->room = room;
        }
        sweep->at[sweep->nr++] = *lease;
        return true;
}

/* Tried again at the next tick when it fails. */
static void find(struct tk_service *service, int64_t hour) {
        struct tk_sweep *sweep = &service->sweep;
        tk_sweep_free(sweep);
        sweep->over_s = hour * TK_HOUR_S;
        enum tk_err err = tk_reader_lease_list(service->housekeeper_reader, gather, sweep);
        if (err == TK_OK && sweep->failed)
                err = TK_E_NO_MEMORY;
        if (err == TK_OK) {
                sweep->hour = hour;
                return;
        }
        tk_log(TK_ERROR, "housekeeper", "the leases cannot be read: %s", tk_err_text(err));
        tk_sweep_free(sweep);
}

/* ---- dropping them: the writer's thread ---- */

struct sweep_job {
        struct tk_job job;
        struct tk_service *service;
        size_t nr;
        struct tk_lease leases[];
};

/* Nothing of it can be used any more, and memory does not believe in it. */
static bool is_idle(const struct tk_service *service, const struct tk_lease *lease) {
        struct tk_account *account = tk_ring_account_get(service->ring, lease->subject);
        if (!account)
                return true;
        tk_lock(&account->lock);
        bool idle = tk_account_forget_lease(account, lease);
        tk_unlock(&account->lock);
        return idle;
}

static enum tk_err sweep_apply(struct tk_job *job, struct tk_store *store) {
        const struct sweep_job *s = (const struct sweep_job *)job;
        enum tk_err err = TK_OK;
        for (size_t i = 0; i < s->nr && err == TK_OK; i++) {
                if (is_idle(s->service, &s->leases[i]))
                        err = tk_store_lease_drop(store, &s->leases[i]);
                if (err == TK_E_NOT_FOUND)
                        err = TK_OK;
        }
        return err;
}

static void sweep_done(struct tk_job *job) {
        free(job);
}

static void push_some(struct tk_service *service) {
        struct tk_sweep *sweep = &service->sweep;
        size_t left = sweep->nr - sweep->next, nr = left < TK_SWEEP_LEASES ? left : TK_SWEEP_LEASES;
        struct sweep_job *job = calloc(1, sizeof *job + nr * sizeof *job->leases);
        if (!job)
                return;
        job->job.apply = sweep_apply;
        job->job.done = sweep_done;
        job->service = service;
        job->nr = nr;
        memcpy(job->leases, sweep->at + sweep->next, nr * sizeof *job->leases);
        sweep->next += nr;
        tk_writer_push(service->writer, &job->job);
}

void tk_sweep_tick(struct tk_service *service) {
        struct tk_sweep *sweep = &service->sweep;
        int64_t hour = tk_floor_div(atomic_load(&service->clock_s), TK_HOUR_S);
        if (sweep->next == sweep->nr && hour > sweep->hour)
                find(service, hour);
        if (sweep->next < sweep->nr)
                push_some(service);
}
