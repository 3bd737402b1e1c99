/* SPDX-License-Identifier: Apache-2.0
 *
 * Every write is a job: apply() changes the row inside the batch, settled() makes the change act on this
 * node, done() tells the caller. The order of the three is the promise: whoever was told, can rely on it.
 */
#include "service/keys.h"

#include "core/time.h"
#include "rt/hash.h"
#include "rt/log.h"
#include "service/account.h"
#include "service/audit.h"
#include "service/housekeeper.h"
#include "service/keymint.h"
#include "service/ledger_int.h"
#include "store/people.h"

#include <stdlib.h>
#include <string.h>

#define TRAILING_HOURS (7 * 24)

struct key_job {
        struct tk_job job;
        struct tk_service *service;
        struct tk_actor actor;
        struct tk_key key; /* the row that was written */
        struct tk_id org, id;
        int64_t now_ms;
        tk_keys_edit_f *edit;
        void *ctx;
        tk_keys_done_f *done;
};

static void key_settled(struct tk_job *job) {
        struct key_job *k = (struct key_job *)job;
        if (job->err == TK_OK)
                tk_ledger_key_changed(k->service, &k->key);
}

static void key_done(struct tk_job *job) {
        struct key_job *k = (struct key_job *)job;
        k->done(k->ctx, job->err, job->err == TK_OK ? &k->key : NULL);
        free(k);
}

/* NULL after telling done that memory ran out. size: of the struct that begins with the job. */
static struct key_job *job_new(size_t size, struct tk_worker *worker, const struct tk_actor *actor,
                               tk_job_apply_f *apply, int64_t now_ms, tk_keys_done_f *done, void *ctx) {
        struct key_job *k = calloc(1, size);
        if (!k) {
                done(ctx, TK_E_NO_MEMORY, NULL);
                return NULL;
        }
        k->job.apply = apply;
        k->job.settled = key_settled;
        k->job.done = key_done;
        k->job.worker = worker;
        k->service = worker->service;
        k->actor = *actor;
        k->now_ms = now_ms;
        k->done = done;
        k->ctx = ctx;
        return k;
}

/* In the batch that makes the key, so that nobody is removed in between. */
static enum tk_err above_check(struct tk_store *store, const struct tk_key *key) {
        struct tk_workspace workspace;
        struct tk_user user;
        enum tk_err err = tk_store_workspace_get(store, key->workspace, &workspace);
        if (err == TK_OK && (!tk_id_eq(workspace.org, key->org) || workspace.removed_ms != 0))
                err = TK_E_NOT_FOUND;
        if (err != TK_OK || tk_id_none(key->user))
                return err;
        err = tk_store_user_get(store, key->user, &user);
        if (err == TK_OK && (!tk_id_eq(user.org, key->org) || user.removed_ms != 0))
                err = TK_E_NOT_FOUND;
        return err;
}

static struct key_job *key_job_new(struct tk_worker *worker, const struct tk_actor *actor,
                                   tk_job_apply_f *apply, int64_t now_ms, tk_keys_done_f *done, void *ctx) {
        return job_new(sizeof(struct key_job), worker, actor, apply, now_ms, done, ctx);
}

static enum tk_err create_apply(struct tk_job *job, struct tk_store *store) {
        const struct key_job *k = (struct key_job *)job;
        enum tk_err err = above_check(store, &k->key);
        return err == TK_OK ? tk_audit_key_insert(store, &k->actor, k->now_ms, &k->key) : err;
}

/* Makes the key and sends the job on its way. */
static void mint(struct key_job *k, struct tk_worker *worker, const struct tk_key *draft,
                 struct tk_key_text *secret) {
        char prefix[TK_KEY_PREFIX_MAX + 1];
        int64_t now_ms = k->now_ms;
        bool ok = tk_key_mint_prefix(worker->service->key_prefix, draft->kind, prefix);
        MUST(ok); /* the configuration was checked with the same function */
        tk_key_mint(draft, prefix, now_ms, &k->key, secret);
        if (tk_id_none(k->key.org))
                k->key.org = tk_store_org(worker->service->store);
        if (tk_id_none(k->key.workspace))
                k->key.workspace = tk_store_workspace(worker->service->store);
        tk_writer_push(worker->service->writer, &k->job);
}

void tk_keys_create(struct tk_worker *worker, const struct tk_actor *actor, const struct tk_key *draft,
                    int64_t now_ms, struct tk_key_text *secret, tk_keys_done_f *done, void *ctx) {
        struct key_job *k = key_job_new(worker, actor, create_apply, now_ms, done, ctx);
        if (k)
                mint(k, worker, draft, secret);
}

struct profiled_job {
        struct key_job k;
        struct tk_profile profile, was;
        tk_keys_change_f *change;
};

static enum tk_err create_profiled_apply(struct tk_job *job, struct tk_store *store) {
        struct profiled_job *p = (struct profiled_job *)job;
        enum tk_err err = above_check(store, &p->k.key);
        p->profile.key = p->k.key.id;
        return err ? err
                   : tk_audit_key_insert_profiled(store, &p->k.actor, p->k.now_ms, &p->k.key, &p->profile);
}

void tk_keys_create_profiled(struct tk_worker *worker, const struct tk_actor *actor,
                             const struct tk_key *draft, const struct tk_profile *profile, int64_t now_ms,
                             struct tk_key_text *secret, tk_keys_done_f *done, void *ctx) {
        struct profiled_job *p = (struct profiled_job *)job_new(sizeof *p, worker, actor,
                                                                create_profiled_apply, now_ms, done, ctx);
        if (!p)
                return;
        p->profile = *profile;
        mint(&p->k, worker, draft, secret);
}

/* The caller's own key, whether expired or not; revoked ones are gone for everybody. */
static enum tk_err own_key(struct key_job *k, struct tk_store *store) {
        enum tk_err err = tk_store_key_get(store, k->id, &k->key);
        if (err == TK_OK && (!tk_id_eq(k->key.org, k->org) || k->key.revoked_ms != 0))
                err = TK_E_NOT_FOUND;
        return err;
}

static enum tk_err update_apply(struct tk_job *job, struct tk_store *store) {
        struct key_job *k = (struct key_job *)job;
        enum tk_err err = own_key(k, store);
        if (err == TK_OK && !tk_key_is_active(&k->key, k->now_ms))
                err = TK_E_NOT_FOUND;
        const struct tk_key before = k->key;
        if (err == TK_OK)
                err = k->edit(&k->key, k->ctx);
        if (err == TK_OK)
                err = tk_audit_key_update(store, &k->actor, k->now_ms, TK_AUDIT_KEY_UPDATE, &before, &k->key);
        return err;
}

void tk_keys_update(struct tk_worker *worker, const struct tk_actor *actor, struct tk_id org, struct tk_id id,
                    int64_t now_ms, tk_keys_edit_f *edit, tk_keys_done_f *done, void *ctx) {
        struct key_job *k = key_job_new(worker, actor, update_apply, now_ms, done, ctx);
        if (!k)
                return;
        k->org = org;
        k->id = id;
        k->edit = edit;
        tk_writer_push(worker->service->writer, &k->job);
}

static enum tk_err change_apply(struct tk_job *job, struct tk_store *store) {
        struct profiled_job *p = (struct profiled_job *)job;
        enum tk_err err = own_key(&p->k, store);
        if (err != TK_OK)
                return err;
        err = tk_store_profile_get(store, p->k.id, &p->profile);
        if (err == TK_E_NOT_FOUND) {
                p->profile = (struct tk_profile){.key = p->k.id};
                err = TK_OK;
        }
        const struct tk_key before = p->k.key;
        p->was = p->profile;
        if (err == TK_OK)
                err = p->change(&p->k.key, &p->profile, p->k.ctx);
        const char *what = p->k.key.revoked_ms ? TK_AUDIT_KEY_DELETE : TK_AUDIT_KEY_UPDATE;
        if (err == TK_OK)
                err = tk_audit_key_update_profiled(store, &p->k.actor, p->k.now_ms, what, &before, &p->k.key,
                                                   &p->was, &p->profile);
        return err;
}

void tk_keys_change(struct tk_worker *worker, const struct tk_actor *actor, struct tk_id org, struct tk_id id,
                    int64_t now_ms, tk_keys_change_f *change, tk_keys_done_f *done, void *ctx) {
        struct profiled_job *p =
                (struct profiled_job *)job_new(sizeof *p, worker, actor, change_apply, now_ms, done, ctx);
        if (!p)
                return;
        p->k.org = org;
        p->k.id = id;
        p->change = change;
        tk_writer_push(worker->service->writer, &p->k.job);
}

static enum tk_err revoke_apply(struct tk_job *job, struct tk_store *store) {
        struct key_job *k = (struct key_job *)job;
        enum tk_err err = own_key(k, store);
        if (err != TK_OK)
                return err;
        const struct tk_key before = k->key;
        k->key.revoked_ms = k->now_ms;
        return tk_audit_key_update(store, &k->actor, k->now_ms, TK_AUDIT_KEY_DELETE, &before, &k->key);
}

void tk_keys_revoke(struct tk_worker *worker, const struct tk_actor *actor, struct tk_id org, struct tk_id id,
                    int64_t now_ms, tk_keys_done_f *done, void *ctx) {
        struct key_job *k = key_job_new(worker, actor, revoke_apply, now_ms, done, ctx);
        if (!k)
                return;
        k->org = org;
        k->id = id;
        tk_writer_push(worker->service->writer, &k->job);
}

/* ---- reading ---- */

struct barrier_job {
        struct tk_job job;
        tk_barrier_done_f *done;
        void *ctx;
};

static void barrier_done(struct tk_job *job) {
        struct barrier_job *b = (struct barrier_job *)job;
        b->done(b->ctx, job->err);
        free(b);
}

void tk_keys_barrier(struct tk_worker *worker, tk_barrier_done_f *done, void *ctx) {
        struct barrier_job *b = calloc(1, sizeof *b);
        if (!b) {
                done(ctx, TK_E_NO_MEMORY);
                return;
        }
        tk_service_flush_touched(worker->service);
        b->job.done = barrier_done;
        b->job.worker = worker;
        b->done = done;
        b->ctx = ctx;
        tk_writer_push(worker->service->writer, &b->job);
}

enum tk_err tk_keys_get(struct tk_worker *worker, struct tk_id org, struct tk_id id, int64_t now_ms,
                        struct tk_key *out) {
        enum tk_err err = tk_reader_key_by_id(worker->reader, id, out);
        if (err == TK_OK && (!tk_id_eq(out->org, org) || !tk_key_is_active(out, now_ms)))
                err = TK_E_NOT_FOUND;
        return err;
}

enum tk_err tk_keys_profile(struct tk_worker *worker, struct tk_id id, struct tk_profile *out) {
        enum tk_err err = tk_reader_profile_get(worker->reader, id, out);
        if (err != TK_E_NOT_FOUND)
                return err;
        *out = (struct tk_profile){.key = id};
        return TK_OK;
}

enum tk_err tk_keys_find(struct tk_worker *worker, struct tk_id org, struct tk_id id, struct tk_key *out,
                         struct tk_profile *profile) {
        enum tk_err err = tk_reader_key_by_id(worker->reader, id, out);
        if (err == TK_OK && (!tk_id_eq(out->org, org) || out->revoked_ms != 0))
                err = TK_E_NOT_FOUND;
        return err ? err : tk_keys_profile(worker, id, profile);
}

enum tk_err tk_keys_page(struct tk_worker *worker, const struct tk_key_page *page, tk_key_each_f *each,
                         void *ctx, uint64_t *total) {
        return tk_reader_key_page(worker->reader, page, each, ctx, total);
}

enum tk_err tk_keys_posted(struct tk_worker *worker, struct tk_id id, const struct tk_limit *limit,
                           int64_t now_ms, int64_t *number, int64_t *posted) {
        int64_t from, to;
        *number = tk_window_number(limit->window, tk_floor_div(now_ms, 1000));
        tk_window_hours(limit->window, *number, &from, &to);
        return tk_reader_usage_sum(worker->reader, id, limit->meter, from, to, posted);
}

enum tk_err tk_keys_workspace(struct tk_worker *worker, struct tk_id org, struct tk_str text,
                              struct tk_id *out) {
        struct tk_workspace workspace = {.removed_ms = 0};
        char slug[TK_SLUG_MAX + 1];
        enum tk_err err = TK_E_NOT_FOUND;
        if (tk_id_parse(text, out))
                err = tk_reader_workspace_by_id(worker->reader, *out, &workspace);
        else if (tk_slug_ok(text) && tk_str_copy(text, slug, sizeof slug))
                err = tk_reader_workspace_by_slug(worker->reader, org, slug, &workspace);
        if (err == TK_OK && (!tk_id_eq(workspace.org, org) || workspace.removed_ms != 0))
                err = TK_E_NOT_FOUND;
        if (err == TK_OK)
                *out = workspace.id;
        return err;
}

enum tk_err tk_keys_user(struct tk_worker *worker, struct tk_id org, struct tk_str text, struct tk_id *out) {
        struct tk_user user;
        enum tk_err err =
                tk_id_parse(text, out) ? tk_reader_user_by_id(worker->reader, *out, &user) : TK_E_NOT_FOUND;
        if (err == TK_OK && (!tk_id_eq(user.org, org) || user.removed_ms != 0))
                err = TK_E_NOT_FOUND;
        return err;
}

void tk_keys_prefix(const struct tk_worker *worker, enum tk_key_kind kind, char out[TK_KEY_PREFIX_MAX + 1]) {
        bool ok = tk_key_mint_prefix(worker->service->key_prefix, kind, out);
        MUST(ok); /* as in mint() */
}

enum tk_err tk_keys_list(struct tk_worker *worker, struct tk_id org, int64_t now_ms, struct tk_id after,
                         unsigned limit, tk_key_each_f *each, void *ctx) {
        return tk_reader_key_list(worker->reader, org, now_ms, after, limit, each, ctx);
}

static enum tk_err sum_money(struct tk_worker *worker, struct tk_id subject, int64_t from, int64_t to,
                             struct tk_amounts *out) {
        struct tk_amounts sums = {{0}};
        for (int m = 0; m < TK_METER_NR; m++) {
                if (!tk_meter_is_money((enum tk_meter)m))
                        continue;
                enum tk_err err =
                        tk_reader_usage_sum(worker->reader, subject, (enum tk_meter)m, from, to, &sums.of[m]);
                if (err != TK_OK)
                        return err;
        }
        *out = sums;
        return TK_OK;
}

enum tk_err tk_keys_trailing(struct tk_worker *worker, const struct tk_key *key, int64_t now_ms,
                             struct tk_amounts *out) {
        int64_t hour = tk_floor_div(now_ms, TK_HOUR_S * 1000);
        return sum_money(worker, key->id, hour - TRAILING_HOURS + 1, hour + 1, out);
}

enum tk_err tk_keys_period(struct tk_worker *worker, const struct tk_key *key, int64_t now_ms,
                           struct tk_amounts *out) {
        struct tk_window_spec window = {.kind = key->period};
        int64_t number = tk_window_number(window, tk_floor_div(now_ms, 1000));
        int64_t from, to;
        tk_window_hours(window, number, &from, &to);
        return sum_money(worker, key->id, from, to, out);
}

/* ---- who calls ---- */

/* Reads until no change settled between the read and the insert; each round means that one did. */
static enum tk_err identify_from_store(struct tk_worker *worker, const uint8_t digest[32],
                                       struct tk_snapshot **out) {
        struct tk_ring *ring = worker->service->ring;
        for (;;) {
                struct tk_key key;
                uint64_t version = tk_ring_version(ring);
                enum tk_err err = tk_reader_key_by_digest(worker->reader, digest, &key);
                if (err == TK_E_NOT_FOUND)
                        tk_ring_insert_unknown(ring, digest, version);
                if (err != TK_OK)
                        return err;
                if ((err = tk_ring_insert(ring, &key, version, out)) != TK_E_BUSY)
                        return err;
        }
}

enum tk_err tk_keys_identify(struct tk_worker *worker, struct tk_str text, struct tk_snapshot **out) {
        struct tk_key_parts parts;
        uint8_t digest[32];
        *out = NULL;
        if (tk_key_text_split(text, &parts) != TK_OK)
                return TK_E_NOT_FOUND;
        tk_sha256(text, digest);
        enum tk_err err = tk_ring_find(worker->service->ring, digest, out);
        if (err == TK_E_CLOSED)
                return TK_E_NOT_FOUND;
        return err == TK_E_NOT_FOUND ? identify_from_store(worker, digest, out) : err;
}

/* The record as it is now. */
static enum tk_err refresh(struct tk_worker *worker, struct tk_snapshot **snapshot) {
        uint8_t digest[32];
        struct tk_snapshot *fresh;
        memcpy(digest, tk_snapshot_key(*snapshot)->digest, sizeof digest);
        enum tk_err err = tk_ring_find(worker->service->ring, digest, &fresh);
        if (err != TK_OK) /* it was lost for want of memory */
                err = identify_from_store(worker, digest, &fresh);
        if (err != TK_OK)
                return err;
        tk_snapshot_release(snapshot);
        *snapshot = fresh;
        return TK_OK;
}

enum tk_verdict tk_keys_recheck(struct tk_worker *worker, struct tk_snapshot **snapshot, int64_t now_ms) {
        if (tk_snapshot_is_stale(*snapshot) && refresh(worker, snapshot) != TK_OK)
                return TK_VERDICT_STORE;
        const struct tk_key *key = tk_snapshot_key(*snapshot);
        if (tk_key_is_active(key, now_ms))
                return TK_VERDICT_PASS;
        return key->revoked_ms ? TK_VERDICT_REVOKED : TK_VERDICT_EXPIRED;
}

void tk_keys_touch(struct tk_worker *worker, const struct tk_snapshot *snapshot, int64_t now_ms) {
        struct tk_service *service = worker->service;
        struct tk_account *account = tk_snapshot_account(snapshot);
        tk_lock(&service->touched_lock);
        if (now_ms > account->last_used_ms)
                account->last_used_ms = now_ms;
        if (!account->touched) {
                account->touched = true;
                account->touched_next = NULL;
                *service->touched_tail = account;
                service->touched_tail = &account->touched_next;
        }
        tk_unlock(&service->touched_lock);
}
