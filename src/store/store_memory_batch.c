/* SPDX-License-Identifier: Apache-2.0
 *
 * The open batch. Each operation is judged when it is added, against the state and the operations before
 * it, so that a commit can fail only for want of memory. To find what the batch itself has said about a
 * thing, the operations on things of one hash are threaded together, last first.
 */
#include "store/store_memory_int.h"

#include <stdlib.h>
#include <string.h>

#include "rt/log.h"

static void op_free(struct tk_memory_op *op) {
        if (op->what == TK_OP_KEY_NEW || op->what == TK_OP_KEY_SET)
                free(op->key);
        else if (op->what == TK_OP_ENTRY)
                free(op->entry);
        else if (op->what == TK_OP_LIMITS)
                free(op->limits);
        else if (op->what == TK_OP_PROFILE)
                free(op->profile);
        else if (op->what == TK_OP_TOPUP)
                free(op->topup);
        else if (op->what == TK_OP_ALERT)
                free(op->alert);
        else if (op->what == TK_OP_ALERT_SENT)
                free(op->sent);
        else if (op->what == TK_OP_META)
                free(op->meta);
        else if (op->what == TK_OP_USER)
                free(op->user);
        else if (op->what == TK_OP_WORKSPACE)
                free(op->workspace);
        else if (op->what == TK_OP_AUDIT)
                free(op->audit);
}

void tk_memory_batch_cut(struct tk_memory_batch *batch, size_t nr) {
        MUST(nr <= batch->nr);
        while (batch->nr > nr) {
                struct tk_memory_op *op = &batch->ops[--batch->nr];
                batch->last[op->bucket] = op->before;
                op_free(op);
        }
}

enum tk_err tk_memory_no_memory(void) {
        tk_log(TK_ERROR, TK_STORE_AREA, "%s in a batch", tk_err_text(TK_E_NO_MEMORY));
        return TK_E_NO_MEMORY;
}

bool tk_memory_room(struct tk_memory_batch *batch, size_t more) {
        return tk_memory_grow(&batch->ops, &batch->size, batch->nr, more, sizeof *batch->ops);
}

void tk_memory_push(struct tk_memory_batch *batch, struct tk_memory_op op, uint64_t hash) {
        MUST(batch->nr < batch->size);
        MUST(batch->nr < UINT32_MAX);
        op.bucket = (uint32_t)(hash % TK_MEMORY_BUCKETS);
        op.before = batch->last[op.bucket];
        batch->ops[batch->nr++] = op;
        batch->last[op.bucket] = (uint32_t)batch->nr;
}

/* Walks a bucket: the operation before `op`, or the last one for NULL. */
static const struct tk_memory_op *before(const struct tk_memory_batch *batch, uint64_t hash,
                                         const struct tk_memory_op *op) {
        const uint32_t at = op ? op->before : batch->last[hash % TK_MEMORY_BUCKETS];
        return at ? &batch->ops[at - 1] : NULL;
}

/* ---- keys ---- */

const struct tk_key *tk_memory_key_seen(const struct tk_memory_store *store, struct tk_id id) {
        const uint64_t hash = tk_memory_id_hash(id);
        const struct tk_memory_op *op = NULL;
        while ((op = before(&store->batch, hash, op)))
                if ((op->what == TK_OP_KEY_NEW || op->what == TK_OP_KEY_SET) && tk_id_eq(op->key->id, id))
                        return op->key;
        return tk_memory_key_get(store, id);
}

static bool digest_seen(const struct tk_memory_store *store, const uint8_t digest[32]) {
        const uint64_t hash = tk_memory_digest_hash(digest);
        const struct tk_memory_op *op = NULL;
        while ((op = before(&store->batch, hash, op)))
                if (op->what == TK_OP_KEY_DIGEST && memcmp(op->key->digest, digest, 32) == 0)
                        return true;
        return tk_memory_key_get_digest(store, digest) != NULL;
}

/* A copy that the batch may own, and room for it, or NULL. */
static struct tk_key *key_copy(struct tk_memory_store *store, const struct tk_key *key) {
        struct tk_key *copy = tk_memory_room(&store->batch, 2) ? malloc(sizeof *copy) : NULL;
        if (copy)
                *copy = *key;
        return copy;
}

enum tk_err tk_memory_key_insert(struct tk_store *base, const struct tk_key *key) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (tk_memory_key_seen(store, key->id) || digest_seen(store, key->digest))
                return TK_E_CONFLICT;
        struct tk_key *copy = key_copy(store, key);
        if (!copy)
                return tk_memory_no_memory();
        tk_memory_push(&store->batch,
                       (struct tk_memory_op){.what = TK_OP_KEY_NEW, .logged = true, .key = copy},
                       tk_memory_id_hash(key->id));
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_KEY_DIGEST, .key = copy},
                       tk_memory_digest_hash(key->digest));
        return TK_OK;
}

/* Pushes what the key becomes; takes copy. */
static void key_set(struct tk_memory_store *store, struct tk_key *copy, bool logged) {
        tk_memory_push(&store->batch,
                       (struct tk_memory_op){.what = TK_OP_KEY_SET, .logged = logged, .key = copy},
                       tk_memory_id_hash(copy->id));
}

enum tk_err tk_memory_key_update(struct tk_store *base, const struct tk_key *key) {
        struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_key *seen = tk_memory_key_seen(store, key->id);
        if (!seen)
                return TK_E_NOT_FOUND;
        struct tk_key *copy = key_copy(store, key);
        if (!copy)
                return tk_memory_no_memory();
        copy->org = seen->org;
        copy->workspace = seen->workspace;
        copy->user = seen->user;
        memcpy(copy->digest, seen->digest, sizeof copy->digest);
        copy->created_ms = seen->created_ms;
        copy->last_used_ms = seen->last_used_ms;
        key_set(store, copy, true);
        return TK_OK;
}

enum tk_err tk_memory_key_touch(struct tk_store *base, struct tk_id id, int64_t used_ms) {
        struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_key *seen = tk_memory_key_seen(store, id);
        if (!seen)
                return TK_E_NOT_FOUND;
        if (seen->last_used_ms >= used_ms)
                return TK_OK;
        struct tk_key *copy = key_copy(store, seen);
        if (!copy)
                return tk_memory_no_memory();
        copy->last_used_ms = used_ms;
        key_set(store, copy, false);
        return TK_OK;
}

enum tk_err tk_memory_key_revoke(struct tk_memory_store *store, struct tk_id id, int64_t now_ms) {
        const struct tk_key *seen = tk_memory_key_seen(store, id);
        MUST(seen != NULL);
        struct tk_key *copy = key_copy(store, seen);
        if (!copy)
                return tk_memory_no_memory();
        copy->revoked_ms = now_ms;
        key_set(store, copy, true);
        return TK_OK;
}

enum tk_err tk_memory_batch_key_get(struct tk_store *base, struct tk_id id, struct tk_key *out) {
        const struct tk_key *seen = tk_memory_key_seen(tk_memory_of(base), id);
        if (!seen)
                return TK_E_NOT_FOUND;
        *out = *seen;
        return TK_OK;
}

/* ---- usage and entries ---- */

static int64_t total_seen(const struct tk_memory_store *store, struct tk_id subject, enum tk_meter meter) {
        const uint64_t hash = tk_memory_series_hash(subject, meter);
        const struct tk_memory_op *op = NULL;
        while ((op = before(&store->batch, hash, op)))
                if (op->what == TK_OP_USAGE && op->usage.meter == meter &&
                    tk_id_eq(op->usage.subject, subject))
                        return op->usage.total;
        const struct tk_memory_series *series = tk_memory_series_get(store, subject, meter);
        return series ? series->total : 0;
}

enum tk_err tk_memory_usage_add(struct tk_store *base, struct tk_id subject, enum tk_meter meter,
                                int64_t hour, int64_t amount) {
        struct tk_memory_store *store = tk_memory_of(base);
        struct tk_memory_op op = {.what = TK_OP_USAGE};
        op.usage.subject = subject;
        op.usage.meter = meter;
        op.usage.hour = hour;
        op.usage.amount = amount;
        /* No hour is more than the total, so the total overflows first. */
        if (__builtin_add_overflow(total_seen(store, subject, meter), amount, &op.usage.total))
                return TK_E_OVERFLOW;
        if (!tk_memory_room(&store->batch, 1))
                return tk_memory_no_memory();
        tk_memory_push(&store->batch, op, tk_memory_series_hash(subject, meter));
        return TK_OK;
}

static bool entry_seen(const struct tk_memory_store *store, struct tk_id id) {
        const uint64_t hash = tk_memory_id_hash(id);
        const struct tk_memory_op *op = NULL;
        while ((op = before(&store->batch, hash, op)))
                if (op->what == TK_OP_ENTRY && tk_id_eq(op->entry->id, id))
                        return true;
        return tk_memory_entry_get(store, id) != NULL;
}

enum tk_err tk_memory_entry_add(struct tk_store *base, const struct tk_entry *entry) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (entry_seen(store, entry->id))
                return TK_E_CONFLICT;
        struct tk_entry *copy = tk_memory_room(&store->batch, 1) ? malloc(sizeof *copy) : NULL;
        if (!copy)
                return tk_memory_no_memory();
        *copy = *entry;
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_ENTRY, .entry = copy},
                       tk_memory_id_hash(entry->id));
        return TK_OK;
}

/* ---- doubts ---- */

/* The doubt as this batch sees it, or NULL. */
static const struct tk_doubt *doubt_seen(const struct tk_memory_store *store, const struct tk_doubt *doubt) {
        const uint64_t hash = tk_memory_id_hash(doubt->subject);
        const struct tk_memory_op *op = NULL;
        bool is_there;
        while ((op = before(&store->batch, hash, op)))
                if ((op->what == TK_OP_DOUBT_PUT || op->what == TK_OP_DOUBT_DROP) &&
                    tk_memory_doubt_same(&op->doubt, doubt))
                        return op->what == TK_OP_DOUBT_PUT ? &op->doubt : NULL;
        const size_t at = tk_memory_doubt_place(store, doubt, &is_there);
        return is_there ? &store->doubts[at] : NULL;
}

enum tk_err tk_memory_doubt_put(struct tk_store *base, const struct tk_doubt *doubt) {
        struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_doubt *seen = doubt_seen(store, doubt);
        struct tk_memory_op op = {.what = TK_OP_DOUBT_PUT, .doubt = *doubt};
        if (seen && __builtin_add_overflow(seen->amount, doubt->amount, &op.doubt.amount))
                return TK_E_OVERFLOW;
        if (seen && seen->since_ms < doubt->since_ms)
                op.doubt.since_ms = seen->since_ms;
        if (!tk_memory_room(&store->batch, 1))
                return tk_memory_no_memory();
        tk_memory_push(&store->batch, op, tk_memory_id_hash(doubt->subject));
        return TK_OK;
}

enum tk_err tk_memory_doubt_drop(struct tk_store *base, const struct tk_doubt *doubt) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (!doubt_seen(store, doubt))
                return TK_E_NOT_FOUND;
        if (!tk_memory_room(&store->batch, 1))
                return tk_memory_no_memory();
        tk_memory_push(&store->batch,
                       (struct tk_memory_op){.what = TK_OP_DOUBT_DROP, .logged = true, .doubt = *doubt},
                       tk_memory_id_hash(doubt->subject));
        return TK_OK;
}

/* ---- limits and top-ups ---- */

enum tk_err tk_memory_batch_limits_get(struct tk_store *base, struct tk_id subject,
                                       struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        const struct tk_memory_store *store = tk_memory_of(base);
        const size_t at = tk_memory_limits_at(store, subject);
        const struct tk_memory_limits *seen = at < store->limits_nr ? store->limits[at] : NULL;
        const struct tk_memory_op *op = NULL;
        if (tk_memory_key_seen(store, subject))
                return TK_E_CONFLICT;
        while ((op = before(&store->batch, tk_memory_id_hash(subject), op)))
                if (op->what == TK_OP_LIMITS && tk_id_eq(op->limits->subject, subject)) {
                        seen = op->limits;
                        break;
                }
        *limits_nr = seen ? seen->nr : 0;
        for (unsigned i = 0; i < *limits_nr; i++)
                limits[i] = seen->of[i];
        return TK_OK;
}

/* A copy that the batch may own, or NULL. */
static struct tk_memory_limits *limits_copy(struct tk_id subject, const struct tk_limit *limits,
                                            unsigned limits_nr) {
        struct tk_memory_limits *copy = malloc(sizeof *copy);
        if (!copy)
                return NULL;
        copy->subject = subject;
        copy->nr = limits_nr;
        for (unsigned i = 0; i < limits_nr; i++)
                copy->of[i] = limits[i];
        return copy;
}

/* Room was made; takes the copy. */
static void push_limits(struct tk_memory_store *store, struct tk_memory_limits *copy) {
        tk_memory_push(&store->batch,
                       (struct tk_memory_op){.what = TK_OP_LIMITS, .logged = true, .limits = copy},
                       tk_memory_id_hash(copy->subject));
}

enum tk_err tk_memory_limits_put(struct tk_store *base, struct tk_id subject, const struct tk_limit *limits,
                                 unsigned limits_nr) {
        struct tk_memory_store *store = tk_memory_of(base);
        struct tk_memory_limits *copy =
                tk_memory_room(&store->batch, 1) ? limits_copy(subject, limits, limits_nr) : NULL;
        if (!copy)
                return tk_memory_no_memory();
        push_limits(store, copy);
        return TK_OK;
}

enum tk_err tk_memory_profile_put(struct tk_store *base, const struct tk_profile *profile) {
        struct tk_memory_store *store = tk_memory_of(base);
        struct tk_profile *copy = tk_memory_room(&store->batch, 1) ? malloc(sizeof *copy) : NULL;
        if (!copy)
                return tk_memory_no_memory();
        *copy = *profile;
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_PROFILE, .profile = copy},
                       tk_memory_id_hash(copy->key));
        return TK_OK;
}

enum tk_err tk_memory_batch_profile_get(struct tk_store *base, struct tk_id key, struct tk_profile *out) {
        const struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_profile *seen = NULL;
        const struct tk_memory_op *op = NULL;
        while (!seen && (op = before(&store->batch, tk_memory_id_hash(key), op)))
                if (op->what == TK_OP_PROFILE && tk_id_eq(op->profile->key, key))
                        seen = op->profile;
        if (!seen)
                seen = tk_memory_profile_get(store, key);
        if (!seen)
                return TK_E_NOT_FOUND;
        *out = *seen;
        return TK_OK;
}

enum tk_err tk_memory_batch_topup_get(struct tk_store *base, const char *id, struct tk_topup *out) {
        const struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_topup *seen = tk_memory_topup_get(store, id);
        const struct tk_memory_op *op = NULL;
        while (!seen && (op = before(&store->batch, tk_memory_text_hash(id), op)))
                if (op->what == TK_OP_TOPUP && strcmp(op->topup->id, id) == 0)
                        seen = op->topup;
        if (!seen)
                return TK_E_NOT_FOUND;
        *out = *seen;
        return TK_OK;
}

enum tk_err tk_memory_topup_add(struct tk_store *base, const struct tk_topup *topup,
                                const struct tk_limit *limits, unsigned limits_nr) {
        struct tk_memory_store *store = tk_memory_of(base);
        struct tk_memory_limits *copy =
                tk_memory_room(&store->batch, 2) ? limits_copy(topup->subject, limits, limits_nr) : NULL;
        struct tk_topup *row = copy ? malloc(sizeof *row) : NULL;
        if (!row) {
                free(copy);
                return tk_memory_no_memory();
        }
        *row = *topup;
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_TOPUP, .topup = row},
                       tk_memory_text_hash(row->id));
        push_limits(store, copy);
        return TK_OK;
}

/* ---- alerts ---- */

static bool alert_seen(const struct tk_memory_store *store, struct tk_id id) {
        const struct tk_memory_op *op = NULL;
        while ((op = before(&store->batch, tk_memory_id_hash(id), op)))
                if (op->what == TK_OP_ALERT && tk_id_eq(op->alert->id, id))
                        return true;
        return tk_memory_alert_get(store, id) != NULL;
}

enum tk_err tk_memory_alert_add(struct tk_store *base, const struct tk_alert *alert) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (alert_seen(store, alert->id))
                return TK_OK;
        struct tk_alert *copy = tk_memory_room(&store->batch, 1) ? malloc(sizeof *copy) : NULL;
        if (!copy)
                return tk_memory_no_memory();
        *copy = *alert;
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_ALERT, .alert = copy},
                       tk_memory_id_hash(alert->id));
        return TK_OK;
}

enum tk_err tk_memory_alert_sent(struct tk_store *base, struct tk_id id, enum tk_channel channel,
                                 const struct tk_delivery *delivery) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (!alert_seen(store, id))
                return TK_E_NOT_FOUND;
        struct tk_memory_sent *sent = tk_memory_room(&store->batch, 1) ? malloc(sizeof *sent) : NULL;
        if (!sent)
                return tk_memory_no_memory();
        *sent = (struct tk_memory_sent){.alert = id, .channel = channel, .delivery = *delivery};
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_ALERT_SENT, .sent = sent}, 0);
        return TK_OK;
}

/* ---- what the batch never looks at again ---- */

static enum tk_err push_lease(struct tk_memory_store *store, enum tk_memory_what what,
                              const struct tk_lease *lease) {
        if (!tk_memory_room(&store->batch, 1))
                return tk_memory_no_memory();
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = what, .lease = *lease}, 0);
        return TK_OK;
}

enum tk_err tk_memory_lease_put(struct tk_store *base, const struct tk_lease *lease) {
        return push_lease(tk_memory_of(base), TK_OP_LEASE_PUT, lease);
}

enum tk_err tk_memory_lease_drop(struct tk_store *base, const struct tk_lease *lease) {
        return push_lease(tk_memory_of(base), TK_OP_LEASE_DROP, lease);
}

enum tk_err tk_memory_change_add(struct tk_store *base, struct tk_id subject) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (!tk_memory_room(&store->batch, 1))
                return tk_memory_no_memory();
        tk_memory_push(&store->batch,
                       (struct tk_memory_op){.what = TK_OP_CHANGE, .logged = true, .changed = subject}, 0);
        return TK_OK;
}

enum tk_err tk_memory_meta_put(struct tk_store *base, const char *name, struct tk_str value) {
        struct tk_memory_store *store = tk_memory_of(base);
        struct tk_memory_meta *meta =
                tk_memory_room(&store->batch, 1) ? malloc(sizeof *meta + value.len) : NULL;
        if (!meta)
                return tk_memory_no_memory();
        tk_str_copy(tk_str_of(name), meta->name, sizeof meta->name);
        meta->len = value.len;
        if (value.len)
                memcpy(meta->value, value.at, value.len);
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_META, .meta = meta}, 0);
        return TK_OK;
}
