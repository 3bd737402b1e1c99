/* SPDX-License-Identifier: Apache-2.0 */
#include "service/limits.h"

#include "service/audit.h"
#include "service/ledger_int.h"

#include <stdlib.h>

struct limits_job {
        struct tk_job job;
        struct tk_service *service;
        struct tk_actor actor;
        int64_t now_ms;
        struct tk_id subject;
        struct tk_limit limits[TK_KEY_LIMITS_MAX]; /* of a put */
        unsigned limits_nr;
        struct tk_topup topup; /* of a top-up */
        tk_limits_done_f *done;
        void *ctx;
};

static enum tk_err limits_apply(struct tk_job *job, struct tk_store *store) {
        const struct limits_job *l = (struct limits_job *)job;
        return tk_audit_limits_put(store, &l->actor, l->now_ms, TK_AUDIT_LIMIT_SET, l->subject, l->limits,
                                   l->limits_nr);
}

static enum tk_err topup_apply(struct tk_job *job, struct tk_store *store) {
        const struct limits_job *l = (struct limits_job *)job;
        return tk_audit_topup(store, &l->actor, l->now_ms, &l->topup);
}

static void limits_settled(struct tk_job *job) {
        const struct limits_job *l = (struct limits_job *)job;
        if (job->err == TK_OK)
                tk_ledger_subject_changed(l->service, l->subject);
}

static void limits_done(struct tk_job *job) {
        struct limits_job *l = (struct limits_job *)job;
        l->done(l->ctx, job->err);
        free(l);
}

/* NULL after telling done that memory ran out. */
static struct limits_job *job_new(struct tk_worker *worker, const struct tk_actor *actor, int64_t now_ms,
                                  struct tk_id subject, tk_job_apply_f *apply, tk_limits_done_f *done,
                                  void *ctx) {
        struct limits_job *l = calloc(1, sizeof *l);
        if (!l) {
                done(ctx, TK_E_NO_MEMORY);
                return NULL;
        }
        l->job = (struct tk_job){
                .apply = apply, .settled = limits_settled, .done = limits_done, .worker = worker};
        l->service = worker->service;
        l->actor = *actor;
        l->now_ms = now_ms;
        l->subject = subject;
        l->done = done;
        l->ctx = ctx;
        return l;
}

void tk_limits_put(struct tk_worker *worker, const struct tk_actor *actor, int64_t now_ms,
                   struct tk_id subject, const struct tk_limit *limits, unsigned limits_nr,
                   tk_limits_done_f *done, void *ctx) {
        MUST(limits_nr <= TK_KEY_LIMITS_MAX);
        struct limits_job *l = job_new(worker, actor, now_ms, subject, limits_apply, done, ctx);
        if (!l)
                return;
        for (unsigned i = 0; i < limits_nr; i++)
                l->limits[i] = limits[i];
        l->limits_nr = limits_nr;
        tk_writer_push(worker->service->writer, &l->job);
}

void tk_limits_topup(struct tk_worker *worker, const struct tk_actor *actor, const struct tk_topup *topup,
                     tk_limits_done_f *done, void *ctx) {
        struct limits_job *l = job_new(worker, actor, topup->at_ms, topup->subject, topup_apply, done, ctx);
        if (!l)
                return;
        l->topup = *topup;
        tk_writer_push(worker->service->writer, &l->job);
}
