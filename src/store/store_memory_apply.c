/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch becomes state. First room is made for everything in it, which may fail and changes nothing that
 * a reader could see; then every operation is applied, which cannot fail. The caller holds the write lock.
 */
#include "store/store_memory_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- room ---- */

static struct tk_memory_series *series_make(struct tk_memory_store *store, struct tk_id subject,
                                            enum tk_meter meter) {
        if (!tk_map_reserve(&store->series_map, 1) ||
            !tk_memory_grow(&store->series, &store->series_size, store->series_nr, 1, sizeof *store->series))
                return NULL;
        struct tk_memory_series *series = calloc(1, sizeof *series);
        if (!series)
                return NULL;
        series->subject = subject;
        series->meter = meter;
        store->series[store->series_nr++] = series;
        tk_map_put(&store->series_map, tk_memory_series_hash(subject, meter), series);
        return series;
}

/* A series that stays empty because the commit fails later reads like none. */
static bool usage_room(struct tk_memory_store *store, const struct tk_memory_op *op) {
        struct tk_memory_series *series = tk_memory_series_get(store, op->usage.subject, op->usage.meter);
        if (!series)
                series = series_make(store, op->usage.subject, op->usage.meter);
        if (!series || !tk_memory_grow(&series->hours, &series->size, series->nr, series->coming + 1,
                                       sizeof *series->hours))
                return false;
        series->coming++;
        return true;
}

static void forget_coming(struct tk_memory_store *store) {
        for (size_t i = 0; i < store->batch.nr; i++) {
                const struct tk_memory_op *op = &store->batch.ops[i];
                if (op->what != TK_OP_USAGE)
                        continue;
                struct tk_memory_series *series =
                        tk_memory_series_get(store, op->usage.subject, op->usage.meter);
                if (series)
                        series->coming = 0;
        }
}

static bool make_room(struct tk_memory_store *s) {
        size_t keys = 0, entries = 0, limits = 0, topups = 0, leases = 0, doubts = 0, metas = 0, changes = 0;
        size_t profiles = 0, users = 0, alerts = 0, workspaces = 0, audits = 0;
        for (size_t i = 0; i < s->batch.nr; i++) {
                const struct tk_memory_op *op = &s->batch.ops[i];
                keys += op->what == TK_OP_KEY_NEW;
                profiles += op->what == TK_OP_PROFILE;
                entries += op->what == TK_OP_ENTRY;
                limits += op->what == TK_OP_LIMITS;
                topups += op->what == TK_OP_TOPUP;
                leases += op->what == TK_OP_LEASE_PUT;
                doubts += op->what == TK_OP_DOUBT_PUT;
                alerts += op->what == TK_OP_ALERT;
                metas += op->what == TK_OP_META;
                users += op->what == TK_OP_USER;
                workspaces += op->what == TK_OP_WORKSPACE;
                audits += op->what == TK_OP_AUDIT;
                changes += op->logged;
                if (op->what == TK_OP_USAGE && !usage_room(s, op))
                        return false;
        }
        return tk_map_reserve(&s->keys_by_id, keys) && tk_map_reserve(&s->keys_by_digest, keys) &&
               tk_map_reserve(&s->entries_by_id, entries) && tk_map_reserve(&s->alerts_by_id, alerts) &&
               tk_memory_grow(&s->keys, &s->keys_size, s->keys_nr, keys, sizeof *s->keys) &&
               tk_memory_grow(&s->entries, &s->entries_size, s->entries_nr, entries, sizeof *s->entries) &&
               tk_memory_grow(&s->profiles, &s->profiles_size, s->profiles_nr, profiles,
                              sizeof *s->profiles) &&
               tk_memory_grow(&s->limits, &s->limits_size, s->limits_nr, limits, sizeof *s->limits) &&
               tk_memory_grow(&s->topups, &s->topups_size, s->topups_nr, topups, sizeof *s->topups) &&
               tk_memory_grow(&s->leases, &s->leases_size, s->leases_nr, leases, sizeof *s->leases) &&
               tk_memory_grow(&s->doubts, &s->doubts_size, s->doubts_nr, doubts, sizeof *s->doubts) &&
               tk_memory_grow(&s->users, &s->users_size, s->users_nr, users, sizeof *s->users) &&
               tk_memory_grow(&s->workspaces, &s->workspaces_size, s->workspaces_nr, workspaces,
                              sizeof *s->workspaces) &&
               tk_memory_grow(&s->alerts, &s->alerts_size, s->alerts_nr, alerts, sizeof *s->alerts) &&
               tk_memory_grow(&s->audits, &s->audits_size, s->audits_nr, audits, sizeof *s->audits) &&
               tk_memory_grow(&s->metas, &s->metas_size, s->metas_nr, metas, sizeof *s->metas) &&
               tk_memory_grow(&s->changes, &s->changes_size, s->changes_nr, changes, sizeof *s->changes);
}

/* ---- changes ---- */

/* Most rows are the newest, so the place is sought from the end. */
static void apply_key_new(struct tk_memory_store *store, struct tk_key *key) {
        size_t at = store->keys_nr;
        while (at > 0 && tk_memory_order(store->keys[at - 1]->created_ms, store->keys[at - 1]->id,
                                         key->created_ms, key->id) > 0)
                at--;
        memmove(store->keys + at + 1, store->keys + at, (store->keys_nr - at) * sizeof *store->keys);
        store->keys[at] = key;
        store->keys_nr++;
        tk_map_put(&store->keys_by_id, tk_memory_id_hash(key->id), key);
        tk_map_put(&store->keys_by_digest, tk_memory_digest_hash(key->digest), key);
}

static void apply_key_set(struct tk_memory_store *store, struct tk_key *from) {
        struct tk_key *key = tk_memory_key_get(store, from->id);
        MUST(key != NULL);
        *key = *from;
        free(from);
}

static void apply_usage(struct tk_memory_store *store, const struct tk_memory_op *op) {
        struct tk_memory_series *series = tk_memory_series_get(store, op->usage.subject, op->usage.meter);
        MUST(series != NULL && series->coming > 0);
        size_t at = series->nr;
        while (at > 0 && series->hours[at - 1].hour > op->usage.hour)
                at--;
        if (at > 0 && series->hours[at - 1].hour == op->usage.hour) {
                series->hours[at - 1].amount += op->usage.amount;
        } else {
                MUST(series->nr < series->size);
                memmove(series->hours + at + 1, series->hours + at,
                        (series->nr - at) * sizeof *series->hours);
                series->hours[at] = (struct tk_memory_hour){op->usage.hour, op->usage.amount};
                series->nr++;
        }
        series->coming--;
        series->total = op->usage.total;
}

static void apply_entry(struct tk_memory_store *store, struct tk_entry *entry) {
        size_t at = store->entries_nr;
        while (at > 0 && tk_memory_order(store->entries[at - 1]->posted_at_ms, store->entries[at - 1]->id,
                                         entry->posted_at_ms, entry->id) > 0)
                at--;
        memmove(store->entries + at + 1, store->entries + at,
                (store->entries_nr - at) * sizeof *store->entries);
        store->entries[at] = entry;
        store->entries_nr++;
        tk_map_put(&store->entries_by_id, tk_memory_id_hash(entry->id), entry);
}

/* An empty list is kept too; there are few subjects, and it reads like none. */
static void apply_limits(struct tk_memory_store *store, struct tk_memory_limits *limits) {
        const size_t at = tk_memory_limits_at(store, limits->subject);
        if (at < store->limits_nr)
                free(store->limits[at]);
        else
                store->limits_nr++;
        store->limits[at] = limits;
}

static void apply_topup(struct tk_memory_store *store, struct tk_topup *topup) {
        size_t at = store->topups_nr;
        while (at > 0 && (store->topups[at - 1]->at_ms > topup->at_ms ||
                          (store->topups[at - 1]->at_ms == topup->at_ms &&
                           strcmp(store->topups[at - 1]->id, topup->id) > 0)))
                at--;
        memmove(store->topups + at + 1, store->topups + at, (store->topups_nr - at) * sizeof *store->topups);
        store->topups[at] = topup;
        store->topups_nr++;
}

/* The first lease that is not before this one. */
static size_t lease_place(const struct tk_memory_store *store, const struct tk_lease *lease) {
        size_t low = 0, high = store->leases_nr;
        while (low < high) {
                const size_t middle = low + (high - low) / 2;
                if (tk_memory_lease_order(&store->leases[middle], lease) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void apply_lease(struct tk_memory_store *store, const struct tk_lease *lease, bool put) {
        const size_t at = lease_place(store, lease);
        const bool is_there = at < store->leases_nr && tk_memory_lease_order(&store->leases[at], lease) == 0;
        const size_t after = store->leases_nr - at;
        if (put && is_there) {
                store->leases[at] = *lease;
        } else if (put) {
                memmove(store->leases + at + 1, store->leases + at, after * sizeof *store->leases);
                store->leases[at] = *lease;
                store->leases_nr++;
        } else if (is_there) {
                memmove(store->leases + at, store->leases + at + 1, (after - 1) * sizeof *store->leases);
                store->leases_nr--;
        }
}

static void apply_doubt(struct tk_memory_store *store, const struct tk_doubt *doubt, bool put) {
        bool is_there;
        const size_t at = tk_memory_doubt_place(store, doubt, &is_there);
        const size_t after = store->doubts_nr - at;
        if (put && is_there) {
                store->doubts[at] = *doubt;
        } else if (put) {
                memmove(store->doubts + at + 1, store->doubts + at, after * sizeof *store->doubts);
                store->doubts[at] = *doubt;
                store->doubts_nr++;
        } else {
                MUST(is_there);
                memmove(store->doubts + at, store->doubts + at + 1, (after - 1) * sizeof *store->doubts);
                store->doubts_nr--;
        }
}

static void apply_alert(struct tk_memory_store *store, struct tk_alert *alert) {
        size_t at = store->alerts_nr;
        while (at > 0 && tk_memory_order(store->alerts[at - 1]->at_ms, store->alerts[at - 1]->id,
                                         alert->at_ms, alert->id) > 0)
                at--;
        memmove(store->alerts + at + 1, store->alerts + at, (store->alerts_nr - at) * sizeof *store->alerts);
        store->alerts[at] = alert;
        store->alerts_nr++;
        tk_map_put(&store->alerts_by_id, tk_memory_id_hash(alert->id), alert);
}

static void apply_sent(struct tk_memory_store *store, struct tk_memory_sent *sent) {
        struct tk_alert *alert = tk_memory_alert_get(store, sent->alert);
        MUST(alert != NULL);
        alert->sent[sent->channel] = sent->delivery;
        free(sent);
}

static void apply_meta(struct tk_memory_store *store, struct tk_memory_meta *meta) {
        for (size_t i = 0; i < store->metas_nr; i++)
                if (strcmp(store->metas[i]->name, meta->name) == 0) {
                        free(store->metas[i]);
                        store->metas[i] = meta;
                        return;
                }
        store->metas[store->metas_nr++] = meta;
}

static struct tk_id changed_by(const struct tk_memory_op *op) {
        if (op->what == TK_OP_LIMITS)
                return op->limits->subject;
        if (op->what == TK_OP_CHANGE)
                return op->changed;
        return op->what == TK_OP_DOUBT_DROP ? op->doubt.subject : op->key->id;
}

static void apply_profile(struct tk_memory_store *store, struct tk_profile *profile) {
        for (size_t i = 0; i < store->profiles_nr; i++)
                if (tk_id_eq(store->profiles[i]->key, profile->key)) {
                        free(store->profiles[i]);
                        store->profiles[i] = profile;
                        return;
                }
        store->profiles[store->profiles_nr++] = profile;
}

static void apply_one(struct tk_memory_store *store, const struct tk_memory_op *op) {
        if (op->logged)
                store->changes[store->changes_nr++] = changed_by(op);
        switch (op->what) {
        case TK_OP_KEY_NEW:
                apply_key_new(store, op->key);
                break;
        case TK_OP_KEY_DIGEST:
                break;
        case TK_OP_KEY_SET:
                apply_key_set(store, op->key);
                break;
        case TK_OP_PROFILE:
                apply_profile(store, op->profile);
                break;
        case TK_OP_USAGE:
                apply_usage(store, op);
                break;
        case TK_OP_ENTRY:
                apply_entry(store, op->entry);
                break;
        case TK_OP_LIMITS:
                apply_limits(store, op->limits);
                break;
        case TK_OP_TOPUP:
                apply_topup(store, op->topup);
                break;
        case TK_OP_LEASE_PUT:
        case TK_OP_LEASE_DROP:
                apply_lease(store, &op->lease, op->what == TK_OP_LEASE_PUT);
                break;
        case TK_OP_DOUBT_PUT:
        case TK_OP_DOUBT_DROP:
                apply_doubt(store, &op->doubt, op->what == TK_OP_DOUBT_PUT);
                break;
        case TK_OP_ALERT:
                apply_alert(store, op->alert);
                break;
        case TK_OP_ALERT_SENT:
                apply_sent(store, op->sent);
                break;
        case TK_OP_CHANGE:
                break;
        case TK_OP_META:
                apply_meta(store, op->meta);
                break;
        case TK_OP_USER:
                tk_memory_apply_user(store, op->user);
                break;
        case TK_OP_WORKSPACE:
                tk_memory_apply_workspace(store, op->workspace);
                break;
        case TK_OP_AUDIT:
                tk_memory_apply_audit(store, op->audit);
                break;
        case TK_OP_AUDIT_TRIM:
                tk_memory_apply_audit_trim(store, op->trim.before_ms, op->trim.limit);
                break;
        }
}

enum tk_err tk_memory_apply(struct tk_memory_store *store) {
        struct tk_memory_batch *batch = &store->batch;
        if (!make_room(store)) {
                forget_coming(store);
                return TK_E_NO_MEMORY;
        }
        for (size_t i = 0; i < batch->nr; i++)
                apply_one(store, &batch->ops[i]);
        /* What the operations owned is in the state now, so they are forgotten without being freed. */
        batch->nr = 0;
        memset(batch->last, 0, sizeof batch->last);
        return TK_OK;
}
