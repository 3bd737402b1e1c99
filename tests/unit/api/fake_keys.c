/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_keys.h"

#include <stdlib.h>
#include <string.h>

struct tk_snapshot {
        struct tk_worker *worker;
        struct tk_key key;
};

static struct tk_key *find(struct tk_worker *worker, struct tk_id org, struct tk_id id) {
        for (unsigned i = 0; i < worker->keys_nr; i++)
                if (tk_id_eq(worker->keys[i].id, id) && tk_id_eq(worker->keys[i].org, org) &&
                    worker->keys[i].revoked_ms == 0)
                        return &worker->keys[i];
        return NULL;
}

struct tk_key *fake_key_add(struct tk_worker *worker, enum tk_key_kind kind, const char *text) {
        MUST(worker->keys_nr < FAKE_KEYS_MAX);
        struct tk_key *key = &worker->keys[worker->keys_nr];
        *key = (struct tk_key){
                .kind = kind, .period = TK_WINDOW_DAY, .scopes = tk_scopes_of_kind(kind), .created_ms = 1000};
        key->id.b[0] = 1;
        key->id.b[14] = (uint8_t)(worker->keys_nr >> 8);
        key->id.b[15] = (uint8_t)worker->keys_nr;
        key->org.b[0] = 7;
        memcpy(key->last6, "abcdef", sizeof(key->last6));
        (void)tk_str_copy(tk_str_of(text), worker->texts[worker->keys_nr++], TK_KEY_TEXT_MAX + 1);
        return key;
}

static struct fake_op *push(struct tk_worker *worker, enum fake_op_kind kind) {
        MUST(worker->ops_nr < 16);
        worker->ops[worker->ops_nr] = (struct fake_op){.kind = kind};
        return &worker->ops[worker->ops_nr++];
}

static void create(struct tk_worker *worker, struct fake_op *op) {
        if (worker->write_err != TK_OK) {
                op->done(op->ctx, worker->write_err, NULL);
                return;
        }
        struct tk_key *key = fake_key_add(worker, op->draft.kind, "new");
        struct tk_id id = key->id;
        *key = op->draft;
        key->id = id;
        key->created_ms = op->now_ms;
        memcpy(key->last6, "_crc32", sizeof(key->last6));
        op->done(op->ctx, TK_OK, key);
}

static void change(struct tk_worker *worker, struct fake_op *op) {
        struct tk_key *key = find(worker, op->org, op->id);
        enum tk_err err = worker->write_err;
        if (err == TK_OK && (!key || (op->kind == FAKE_UPDATE && !tk_key_is_active(key, op->now_ms))))
                err = TK_E_NOT_FOUND;
        if (err == TK_OK && op->kind == FAKE_UPDATE)
                err = op->edit(key, op->ctx);
        if (err == TK_OK && op->kind == FAKE_REVOKE)
                key->revoked_ms = op->now_ms;
        op->done(op->ctx, err, err == TK_OK ? key : NULL);
}

bool fake_worker_turn(struct tk_worker *worker) {
        if (worker->ops_nr == 0)
                return false;
        struct fake_op op = worker->ops[0];
        memmove(worker->ops, worker->ops + 1, --worker->ops_nr * sizeof(op));
        if (op.kind == FAKE_BARRIER)
                op.barrier_done(op.ctx, worker->write_err);
        else if (op.kind == FAKE_CREATE)
                create(worker, &op);
        else
                change(worker, &op);
        return true;
}

void tk_keys_create(struct tk_worker *worker, const struct tk_actor *actor, const struct tk_key *draft,
                    int64_t now_ms, struct tk_key_text *secret, tk_keys_done_f *done, void *ctx) {
        static const uint8_t random[32] = {1};
        tk_key_text_make(TK_STR("tk_new"), random, secret);
        struct fake_op *op = push(worker, FAKE_CREATE);
        worker->actor = *actor;
        op->draft = *draft;
        op->now_ms = now_ms;
        op->done = done;
        op->ctx = ctx;
}

void tk_keys_update(struct tk_worker *worker, const struct tk_actor *actor, struct tk_id org, struct tk_id id,
                    int64_t now_ms, tk_keys_edit_f *edit, tk_keys_done_f *done, void *ctx) {
        struct fake_op *op = push(worker, FAKE_UPDATE);
        worker->actor = *actor;
        op->org = org;
        op->id = id;
        op->now_ms = now_ms;
        op->edit = edit;
        op->done = done;
        op->ctx = ctx;
}

void tk_keys_revoke(struct tk_worker *worker, const struct tk_actor *actor, struct tk_id org, struct tk_id id,
                    int64_t now_ms, tk_keys_done_f *done, void *ctx) {
        tk_keys_update(worker, actor, org, id, now_ms, NULL, done, ctx);
        worker->ops[worker->ops_nr - 1].kind = FAKE_REVOKE;
}

void tk_keys_barrier(struct tk_worker *worker, tk_barrier_done_f *done, void *ctx) {
        struct fake_op *op = push(worker, FAKE_BARRIER);
        op->barrier_done = done;
        op->ctx = ctx;
}

enum tk_err tk_keys_get(struct tk_worker *worker, struct tk_id org, struct tk_id id, int64_t now_ms,
                        struct tk_key *out) {
        struct tk_key *key = find(worker, org, id);
        if (worker->read_err != TK_OK)
                return worker->read_err;
        if (!key || !tk_key_is_active(key, now_ms))
                return TK_E_NOT_FOUND;
        *out = *key;
        return TK_OK;
}

enum tk_err tk_keys_list(struct tk_worker *worker, struct tk_id org, int64_t now_ms, struct tk_id after,
                         unsigned limit, tk_key_each_f *each, void *ctx) {
        bool found = tk_id_none(after);
        if (worker->read_err != TK_OK)
                return worker->read_err;
        for (unsigned i = worker->keys_nr; i-- > 0 && limit > 0;) {
                const struct tk_key *key = &worker->keys[i];
                if (found && tk_id_eq(key->org, org) && tk_key_is_active(key, now_ms)) {
                        limit--;
                        if (!each(key, ctx))
                                return TK_OK;
                }
                found = found || tk_id_eq(key->id, after);
        }
        return found ? TK_OK : TK_E_NOT_FOUND;
}

enum tk_err tk_keys_trailing(struct tk_worker *worker, const struct tk_key *key, int64_t now_ms,
                             struct tk_amounts *out) {
        TK_UNUSED(key);
        TK_UNUSED(now_ms);
        *out = worker->trailing;
        return TK_OK;
}

enum tk_err tk_keys_period(struct tk_worker *worker, const struct tk_key *key, int64_t now_ms,
                           struct tk_amounts *out) {
        TK_UNUSED(key);
        TK_UNUSED(now_ms);
        *out = worker->period;
        return TK_OK;
}

enum tk_err tk_keys_identify(struct tk_worker *worker, struct tk_str text, struct tk_snapshot **out) {
        if (worker->identify_err != TK_OK)
                return worker->identify_err;
        for (unsigned i = 0; i < worker->keys_nr; i++) {
                if (!tk_str_is(text, worker->texts[i]))
                        continue;
                struct tk_snapshot *snapshot = malloc(sizeof(*snapshot));
                if (!snapshot)
                        return TK_E_NO_MEMORY;
                *snapshot = (struct tk_snapshot){.worker = worker, .key = worker->keys[i]};
                worker->snapshots_nr++;
                *out = snapshot;
                return TK_OK;
        }
        return TK_E_NOT_FOUND;
}

const struct tk_key *tk_snapshot_key(const struct tk_snapshot *snapshot) {
        return &snapshot->key;
}

void tk_snapshot_release(struct tk_snapshot **snapshot) {
        if (!*snapshot)
                return;
        (*snapshot)->worker->snapshots_nr--;
        free(*snapshot);
        *snapshot = NULL;
}

void tk_keys_touch(struct tk_worker *worker, const struct tk_snapshot *snapshot, int64_t now_ms) {
        TK_UNUSED(snapshot);
        TK_UNUSED(now_ms);
        worker->touches_nr++;
}

const struct tk_catalog *tk_worker_catalog(const struct tk_worker *worker) {
        return worker->catalog;
}

/* The fake worker is its own reader: only its readiness is asked for. */
struct tk_reader *tk_worker_reader(struct tk_worker *worker) {
        return (struct tk_reader *)(void *)worker;
}

bool tk_worker_is_writing(const struct tk_worker *worker) {
        return worker->write_err == TK_OK;
}

enum tk_err tk_reader_change_last(struct tk_reader *reader, int64_t *seq) {
        *seq = 1;
        return ((struct tk_worker *)(void *)reader)->ready_err;
}
