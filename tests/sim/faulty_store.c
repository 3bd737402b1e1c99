/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty_store.h"

#include "store/store_int.h"
#include "store/store_memory.h"

#include <stdio.h>
#include <stdlib.h>

/* One at a time, because an engine's functions have no place for a context. */
static struct {
        struct faulty_watch watch;
        enum faulty_plan plan;
        unsigned calls; /* to go */
        enum tk_err err;
        bool down, losing, dead;
        bool failing;
        unsigned off;
        uint64_t fired;
} f;

static const struct tk_store_ops *const engine = &tk_store_memory_ops;

#define TELL(what, ...)                                                                                      \
        do {                                                                                                 \
                if (f.watch.what)                                                                            \
                        f.watch.what(__VA_ARGS__);                                                           \
        } while (0)

static enum tk_err fire(void) {
        f.fired++;
        return f.err;
}

/* The plan's moment has come. */
static enum tk_err strike(bool writes) {
        enum faulty_plan plan = f.plan;
        f.plan = FAULTY_NONE;
        switch (plan) {
        case FAULTY_ONCE:
                return fire();
        case FAULTY_OUTAGE:
                f.down = true;
                return writes ? fire() : TK_OK;
        case FAULTY_LOST:
                f.losing = true;
                return TK_OK;
        case FAULTY_DEATH:
                f.dead = true;
                return fire();
        case FAULTY_NONE:
                break;
        }
        return TK_OK;
}

/* What happens to this call instead, TK_OK: nothing. */
static enum tk_err gate(bool writes) {
        if (f.off)
                return TK_OK;
        if (f.dead || (f.down && writes))
                return fire();
        if (f.plan == FAULTY_NONE || f.calls-- > 0)
                return TK_OK;
        return strike(writes);
}

/* ---- the writer ---- */

/* What the service believes of the store. */
static void told(enum tk_err err) {
        if (!f.off)
                f.failing = err != TK_OK;
}

static void between(void) {
        if (!f.off && !f.dead)
                TELL(between, f.watch.ctx);
}

static enum tk_err begin(struct tk_store *store) {
        enum tk_err err = gate(true);
        if (!err)
                err = engine->begin(store);
        if (err)
                told(err); /* that it works is known only when a batch has landed */
        else
                between();
        return err;
}

static enum tk_err land(struct tk_store *store) {
        between();
        enum tk_err err = engine->commit(store);
        if (!err)
                TELL(landed, f.watch.ctx);
        between();
        return err;
}

/* A commit that fails has rolled back, except when only its answer is lost. */
static enum tk_err commit(struct tk_store *store) {
        bool was_dead = f.dead;
        enum tk_err err = gate(true);
        bool lands = err == TK_OK || (f.dead && !was_dead && f.fired % 2 == 0);
        if (lands) {
                enum tk_err landed = land(store);
                if (!err)
                        err = landed;
        } else {
                engine->rollback(store);
        }
        if (!err && f.losing && !f.off) {
                f.losing = false;
                err = fire();
        }
        TELL(ended, f.watch.ctx);
        told(err);
        return err;
}

static void rollback(struct tk_store *store) {
        engine->rollback(store);
        TELL(ended, f.watch.ctx);
        told(TK_E_IO);
}

static enum tk_err mark(struct tk_store *store) {
        enum tk_err err = gate(true);
        if (err)
                return err;
        TELL(marked, f.watch.ctx);
        return engine->mark(store);
}

static enum tk_err mark_keep(struct tk_store *store) {
        enum tk_err err = gate(true);
        return err ? err : engine->mark_keep(store);
}

static enum tk_err mark_undo(struct tk_store *store) {
        enum tk_err err = gate(true);
        if (err)
                return err;
        TELL(undone, f.watch.ctx);
        return engine->mark_undo(store);
}

static enum tk_err key_insert(struct tk_store *store, const struct tk_key *key) {
        enum tk_err err = gate(true);
        if (!err)
                err = engine->key_insert(store, key);
        if (!err)
                TELL(key, f.watch.ctx, key);
        return err;
}

static enum tk_err key_update(struct tk_store *store, const struct tk_key *key) {
        enum tk_err err = gate(true);
        if (!err)
                err = engine->key_update(store, key);
        if (!err)
                TELL(key, f.watch.ctx, key);
        return err;
}

static enum tk_err key_touch(struct tk_store *store, struct tk_id id, int64_t used_ms) {
        enum tk_err err = gate(true);
        return err ? err : engine->key_touch(store, id, used_ms);
}

static enum tk_err key_get(struct tk_store *store, struct tk_id id, struct tk_key *out) {
        enum tk_err err = gate(true);
        return err ? err : engine->key_get(store, id, out);
}

static enum tk_err usage_add(struct tk_store *store, struct tk_id subject, enum tk_meter meter, int64_t hour,
                             int64_t amount) {
        enum tk_err err = gate(true);
        return err ? err : engine->usage_add(store, subject, meter, hour, amount);
}

static enum tk_err entry_add(struct tk_store *store, const struct tk_entry *entry) {
        enum tk_err err = gate(true);
        if (!err)
                err = engine->entry_add(store, entry);
        if (!err)
                TELL(entry, f.watch.ctx, entry);
        return err;
}

static enum tk_err limits_put(struct tk_store *store, struct tk_id subject, const struct tk_limit *limits,
                              unsigned limits_nr) {
        enum tk_err err = gate(true);
        if (!err)
                err = engine->limits_put(store, subject, limits, limits_nr);
        if (!err)
                TELL(limits, f.watch.ctx, subject, limits, limits_nr);
        return err;
}

static enum tk_err doubt_put(struct tk_store *store, const struct tk_doubt *doubt) {
        enum tk_err err = gate(true);
        return err ? err : engine->doubt_put(store, doubt);
}

static enum tk_err alert_add(struct tk_store *store, const struct tk_alert *alert) {
        enum tk_err err = gate(true);
        return err ? err : engine->alert_add(store, alert);
}

static enum tk_err doubt_drop(struct tk_store *store, const struct tk_doubt *doubt) {
        enum tk_err err = gate(true);
        return err ? err : engine->doubt_drop(store, doubt);
}

static enum tk_err lease_put(struct tk_store *store, const struct tk_lease *lease) {
        enum tk_err err = gate(true);
        return err ? err : engine->lease_put(store, lease);
}

static enum tk_err lease_drop(struct tk_store *store, const struct tk_lease *lease) {
        enum tk_err err = gate(true);
        return err ? err : engine->lease_drop(store, lease);
}

static enum tk_err meta_put(struct tk_store *store, const char *name, struct tk_str value) {
        enum tk_err err = gate(true);
        return err ? err : engine->meta_put(store, name, value);
}

static enum tk_err audit_add(struct tk_store *store, const struct tk_audit *audit) {
        enum tk_err err = gate(true);
        return err ? err : engine->audit_add(store, audit);
}

/* ---- readers ---- */

static enum tk_err key_by_digest(struct tk_reader *reader, const uint8_t digest[32], struct tk_key *out) {
        enum tk_err err = gate(false);
        return err ? err : engine->key_by_digest(reader, digest, out);
}

static enum tk_err key_by_id(struct tk_reader *reader, struct tk_id id, struct tk_key *out) {
        enum tk_err err = gate(false);
        return err ? err : engine->key_by_id(reader, id, out);
}

static enum tk_err usage_sum(struct tk_reader *reader, struct tk_id subject, enum tk_meter meter,
                             int64_t from_hour, int64_t to_hour, int64_t *sum) {
        enum tk_err err = gate(false);
        return err ? err : engine->usage_sum(reader, subject, meter, from_hour, to_hour, sum);
}

static enum tk_err usage_sum_group(struct tk_reader *reader, enum tk_group group, struct tk_id id,
                                   enum tk_meter meter, int64_t from_hour, int64_t to_hour, int64_t *sum) {
        enum tk_err err = gate(false);
        return err ? err : engine->usage_sum_group(reader, group, id, meter, from_hour, to_hour, sum);
}

static enum tk_err limits(struct tk_reader *reader, struct tk_id subject,
                          struct tk_limit out[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        enum tk_err err = gate(false);
        return err ? err : engine->limits(reader, subject, out, limits_nr);
}

static enum tk_err doubt_list(struct tk_reader *reader, struct tk_id subject, tk_doubt_each_f *each,
                              void *ctx) {
        enum tk_err err = gate(false);
        return err ? err : engine->doubt_list(reader, subject, each, ctx);
}

static enum tk_err lease_list(struct tk_reader *reader, tk_lease_each_f *each, void *ctx) {
        enum tk_err err = gate(false);
        return err ? err : engine->lease_list(reader, each, ctx);
}

static enum tk_err changes(struct tk_reader *reader, int64_t after, tk_change_each_f *each, void *ctx) {
        enum tk_err err = gate(false);
        return err ? err : engine->changes(reader, after, each, ctx);
}

static enum tk_err change_last(struct tk_reader *reader, int64_t *seq) {
        enum tk_err err = gate(false);
        return err ? err : engine->change_last(reader, seq);
}

/* ---- the interface ---- */

struct tk_store *faulty_open(const struct faulty_watch *watch) {
        static struct tk_store_ops ops;
        struct tk_store *store;
        char why[256];
        enum tk_err err = tk_store_open("memory:", &store, why, sizeof why);
        if (err) {
                fprintf(stderr, "sim: %s\n", why);
                abort();
        }
        ops = *engine; /* what is not named below never fails */
        ops.begin = begin;
        ops.commit = commit;
        ops.rollback = rollback;
        ops.mark = mark;
        ops.mark_keep = mark_keep;
        ops.mark_undo = mark_undo;
        ops.key_insert = key_insert;
        ops.key_update = key_update;
        ops.key_touch = key_touch;
        ops.key_get = key_get;
        ops.usage_add = usage_add;
        ops.entry_add = entry_add;
        ops.limits_put = limits_put;
        ops.alert_add = alert_add;
        ops.doubt_put = doubt_put;
        ops.doubt_drop = doubt_drop;
        ops.lease_put = lease_put;
        ops.lease_drop = lease_drop;
        ops.meta_put = meta_put;
        ops.audit_add = audit_add;
        ops.key_by_digest = key_by_digest;
        ops.key_by_id = key_by_id;
        ops.usage_sum = usage_sum;
        ops.usage_sum_group = usage_sum_group;
        ops.limits = limits;
        ops.doubt_list = doubt_list;
        ops.lease_list = lease_list;
        ops.changes = changes;
        ops.change_last = change_last;
        store->ops = &ops;
        f = (__typeof__(f)){.watch = *watch};
        return store;
}

void faulty_arm(enum faulty_plan plan, unsigned calls, enum tk_err err) {
        f.plan = plan;
        f.calls = calls;
        f.err = err;
}

void faulty_heal(void) {
        f.plan = FAULTY_NONE;
        f.down = f.losing = f.dead = false;
}

void faulty_process_begins(void) {
        f.failing = false;
}

void faulty_off(void) {
        f.off++;
}

void faulty_on(void) {
        MUST(f.off > 0);
        f.off--;
}

bool faulty_is_dead(void) {
        return f.dead;
}

bool faulty_is_failing(void) {
        return f.failing;
}

uint64_t faulty_fired(void) {
        return f.fired;
}
