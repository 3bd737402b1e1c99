/* SPDX-License-Identifier: Apache-2.0
 *
 * Readers, each call under the read lock, callbacks included. A callback may read again with the same reader,
 * which then holds the lock already; so the lock can let a waiting writer go first, and many readers that
 * never rest cannot keep it waiting.
 */
#include "store/store_memory_int.h"

#include <stdlib.h>
#include <string.h>

static struct tk_memory_reader *reader_of(struct tk_reader *reader) {
        return (struct tk_memory_reader *)reader;
}

const struct tk_memory_store *tk_memory_lock(struct tk_reader *reader) {
        struct tk_memory_store *store = tk_memory_of(reader->store);
        if (reader_of(reader)->depth++ == 0) {
                int code = pthread_rwlock_rdlock(&store->lock);
                MUST(code == 0);
        }
        return store;
}

enum tk_err tk_memory_unlock(struct tk_reader *reader, enum tk_err err) {
        MUST(reader_of(reader)->depth > 0);
        if (--reader_of(reader)->depth == 0) {
                int code = pthread_rwlock_unlock(&tk_memory_of(reader->store)->lock);
                MUST(code == 0);
        }
        return err;
}

enum tk_err tk_memory_reader_open(struct tk_store *store, struct tk_reader **out) {
        struct tk_memory_reader *reader = calloc(1, sizeof *reader);
        TK_UNUSED(store);
        if (!reader)
                return TK_E_NO_MEMORY;
        *out = &reader->base;
        return TK_OK;
}

void tk_memory_reader_close(struct tk_reader *reader) {
        MUST(reader_of(reader)->depth == 0);
        free(reader_of(reader));
}

static enum tk_err copy_key(const struct tk_key *key, struct tk_key *out) {
        if (!key)
                return TK_E_NOT_FOUND;
        *out = *key;
        return TK_OK;
}

enum tk_err tk_memory_reader_key_by_digest(struct tk_reader *reader, const uint8_t digest[32],
                                           struct tk_key *out) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        return tk_memory_unlock(reader, copy_key(tk_memory_key_get_digest(store, digest), out));
}

enum tk_err tk_memory_reader_key_by_id(struct tk_reader *reader, struct tk_id id, struct tk_key *out) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        return tk_memory_unlock(reader, copy_key(tk_memory_key_get(store, id), out));
}

/* How many keys are older than this one. */
static size_t key_place(const struct tk_memory_store *store, const struct tk_key *key) {
        size_t low = 0, high = store->keys_nr;
        while (low < high) {
                const size_t middle = low + (high - low) / 2;
                const struct tk_key *at = store->keys[middle];
                if (tk_memory_order(at->created_ms, at->id, key->created_ms, key->id) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

enum tk_err tk_memory_reader_key_list(struct tk_reader *reader, struct tk_id org, int64_t now_ms,
                                      struct tk_id after, unsigned limit, tk_key_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        size_t at = store->keys_nr;
        if (!tk_id_none(after)) {
                const struct tk_key *key = tk_memory_key_get(store, after);
                if (!key || !tk_id_eq(key->org, org))
                        return tk_memory_unlock(reader, TK_E_NOT_FOUND);
                at = key_place(store, key);
        }
        while (at-- > 0 && limit > 0) {
                const struct tk_key *key = store->keys[at];
                if (!tk_id_eq(key->org, org) || !tk_key_is_active(key, now_ms))
                        continue;
                limit--;
                if (!each(key, ctx))
                        break;
        }
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_profile(struct tk_reader *reader, struct tk_id key, struct tk_profile *out) {
        const struct tk_profile *profile = tk_memory_profile_get(tk_memory_lock(reader), key);
        if (profile)
                *out = *profile;
        return tk_memory_unlock(reader, profile ? TK_OK : TK_E_NOT_FOUND);
}

static bool is_on_page(const struct tk_key *key, const struct tk_key_page *page) {
        return tk_id_eq(key->org, page->org) && key->revoked_ms == 0 && (page->kinds & 1u << key->kind) &&
               (tk_id_none(page->workspace) || tk_id_eq(key->workspace, page->workspace));
}

enum tk_err tk_memory_reader_key_page(struct tk_reader *reader, const struct tk_key_page *page,
                                      tk_key_each_f *each, void *ctx, uint64_t *total) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        bool on = true;
        *total = 0;
        for (size_t at = store->keys_nr; at-- > 0;) {
                if (!is_on_page(store->keys[at], page))
                        continue;
                if (on && *total >= page->skip && *total - page->skip < page->limit)
                        on = each(store->keys[at], ctx);
                ++*total;
        }
        return tk_memory_unlock(reader, TK_OK);
}

/* Adds the hours of one series to the sum. */
static enum tk_err sum_series(const struct tk_memory_store *store, struct tk_id subject, enum tk_meter meter,
                              int64_t from_hour, int64_t to_hour, int64_t *sum) {
        const struct tk_memory_series *series = tk_memory_series_get(store, subject, meter);
        for (size_t i = series ? series->nr : 0; i-- > 0 && series->hours[i].hour >= from_hour;) {
                if (series->hours[i].hour >= to_hour)
                        continue;
                if (__builtin_add_overflow(*sum, series->hours[i].amount, sum))
                        return TK_E_OVERFLOW;
        }
        return TK_OK;
}

enum tk_err tk_memory_reader_usage_sum(struct tk_reader *reader, struct tk_id subject, enum tk_meter meter,
                                       int64_t from_hour, int64_t to_hour, int64_t *sum) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        return tk_memory_unlock(reader, sum_series(store, subject, meter, from_hour, to_hour, sum));
}

struct tk_id tk_memory_group_of(const struct tk_key *key, enum tk_group group) {
        if (group == TK_GROUP_ORG)
                return key->org;
        return group == TK_GROUP_USER ? key->user : key->workspace;
}

enum tk_err tk_memory_reader_usage_sum_group(struct tk_reader *reader, enum tk_group group, struct tk_id id,
                                             enum tk_meter meter, int64_t from_hour, int64_t to_hour,
                                             int64_t *sum) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        enum tk_err err = sum_series(store, id, meter, from_hour, to_hour, sum);
        for (size_t i = 0; i < store->keys_nr && !err; i++) {
                const struct tk_key *key = store->keys[i];
                if (tk_id_eq(tk_memory_group_of(key, group), id))
                        err = sum_series(store, key->id, meter, from_hour, to_hour, sum);
        }
        return tk_memory_unlock(reader, err);
}

enum tk_err tk_memory_reader_limits(struct tk_reader *reader, struct tk_id subject,
                                    struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        const struct tk_key *key = tk_memory_key_get(store, subject);
        const size_t at = tk_memory_limits_at(store, subject);
        if (key) {
                *limits_nr = key->limits_nr;
                memcpy(limits, key->limits, sizeof key->limits);
        } else if (at < store->limits_nr) {
                *limits_nr = store->limits[at]->nr;
                for (unsigned i = 0; i < *limits_nr; i++)
                        limits[i] = store->limits[at]->of[i];
        }
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_entry_get(struct tk_reader *reader, struct tk_id id, struct tk_entry *out) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        const struct tk_entry *entry = tk_memory_entry_get(store, id);
        if (entry)
                *out = *entry;
        return tk_memory_unlock(reader, entry ? TK_OK : TK_E_NOT_FOUND);
}

enum tk_err tk_memory_reader_topup_list(struct tk_reader *reader, struct tk_id subject, tk_topup_each_f *each,
                                        void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = 0; i < store->topups_nr; i++)
                if (tk_id_eq(store->topups[i]->subject, subject) && !each(store->topups[i], ctx))
                        break;
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_entry_list(struct tk_reader *reader, struct tk_id org, struct tk_id subject,
                                        unsigned limit, tk_entry_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = store->entries_nr; i-- > 0 && limit > 0;) {
                const struct tk_entry *entry = store->entries[i];
                if (!tk_id_eq(entry->org, org) || !(tk_id_none(subject) || tk_id_eq(entry->subject, subject)))
                        continue;
                limit--;
                if (!each(entry, ctx))
                        break;
        }
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_lease_list(struct tk_reader *reader, tk_lease_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = 0; i < store->leases_nr; i++)
                if (!each(&store->leases[i], ctx))
                        break;
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_doubt_list(struct tk_reader *reader, struct tk_id subject, tk_doubt_each_f *each,
                                        void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = 0; i < store->doubts_nr; i++)
                if ((tk_id_none(subject) || tk_id_eq(store->doubts[i].subject, subject)) &&
                    !each(&store->doubts[i], ctx))
                        break;
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_alert_list(struct tk_reader *reader, struct tk_id org, unsigned limit,
                                        tk_alert_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = store->alerts_nr; i-- > 0 && limit > 0;) {
                if (!tk_id_eq(store->alerts[i]->org, org))
                        continue;
                limit--;
                if (!each(store->alerts[i], ctx))
                        break;
        }
        return tk_memory_unlock(reader, TK_OK);
}

/* The first that waits after `last` (NULL: from the start), or NULL. */
static const struct tk_alert *due_after(const struct tk_memory_store *store, enum tk_channel channel,
                                        int64_t now_ms, const struct tk_alert *last) {
        const struct tk_alert *first = NULL;
        for (size_t i = 0; i < store->alerts_nr; i++) {
                const struct tk_alert *alert = store->alerts[i];
                const int64_t next_ms = alert->sent[channel].next_ms;
                if (alert->sent[channel].status != TK_DELIVERY_WAITING || next_ms > now_ms ||
                    (last && tk_memory_order(next_ms, alert->id, last->sent[channel].next_ms, last->id) <= 0))
                        continue;
                if (!first ||
                    tk_memory_order(next_ms, alert->id, first->sent[channel].next_ms, first->id) < 0)
                        first = alert;
        }
        return first;
}

enum tk_err tk_memory_reader_alert_due(struct tk_reader *reader, enum tk_channel channel, int64_t now_ms,
                                       unsigned limit, tk_alert_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        const struct tk_alert *alert = NULL;
        while (limit-- > 0 && (alert = due_after(store, channel, now_ms, alert)))
                if (!each(alert, ctx))
                        break;
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_doubt_list_from(struct tk_reader *reader, struct tk_id subject,
                                             tk_doubt_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = 0; i < store->doubts_nr; i++)
                if (memcmp(store->doubts[i].subject.b, subject.b, sizeof subject.b) >= 0 &&
                    !each(&store->doubts[i], ctx))
                        break;
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_changes(struct tk_reader *reader, int64_t after, tk_change_each_f *each,
                                     void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        MUST(after >= 0);
        for (size_t i = (uint64_t)after < store->changes_nr ? (size_t)after : store->changes_nr;
             i < store->changes_nr; i++)
                if (!each((int64_t)i + 1, store->changes[i], ctx))
                        break;
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_change_last(struct tk_reader *reader, int64_t *seq) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        *seq = (int64_t)store->changes_nr;
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_meta_get(struct tk_reader *reader, const char *name, char *out, size_t size) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        enum tk_err err = TK_E_NOT_FOUND;
        for (size_t i = 0; i < store->metas_nr && err == TK_E_NOT_FOUND; i++) {
                const struct tk_memory_meta *meta = store->metas[i];
                if (strcmp(meta->name, name) != 0)
                        continue;
                err = meta->len < size ? TK_OK : TK_E_TOO_BIG;
                if (!err) {
                        memcpy(out, meta->value, meta->len);
                        out[meta->len] = '\0';
                }
        }
        return tk_memory_unlock(reader, err);
}
