/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory engine: the contract of store.h in the plainest form that keeps it. It is what the SQLite
 * engine is compared with, so it shares no idea with it: usage is a list of hours that is summed, a list is
 * a sorted array, a batch is a list of operations that is replayed.
 */
#include "store/store_memory.h"

#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "store/store_memory_int.h"

/* ---- look-ups ---- */

uint64_t tk_memory_id_hash(struct tk_id id) {
        return tk_map_hash(id.b, sizeof id.b, 0);
}

uint64_t tk_memory_digest_hash(const uint8_t digest[32]) {
        return tk_map_hash(digest, 32, 0);
}

uint64_t tk_memory_series_hash(struct tk_id subject, enum tk_meter meter) {
        return tk_map_hash(subject.b, sizeof subject.b, (uint64_t)meter + 1);
}

static bool key_is_id(const void *item, const void *id) {
        return memcmp(((const struct tk_key *)item)->id.b, id, sizeof(struct tk_id)) == 0;
}

static bool key_is_digest(const void *item, const void *digest) {
        return memcmp(((const struct tk_key *)item)->digest, digest, 32) == 0;
}

static bool series_is(const void *item, const void *name) {
        const struct tk_memory_series *a = item, *b = name;
        return a->meter == b->meter && tk_id_eq(a->subject, b->subject);
}

static bool entry_is_id(const void *item, const void *id) {
        return memcmp(((const struct tk_entry *)item)->id.b, id, sizeof(struct tk_id)) == 0;
}

static bool alert_is_id(const void *item, const void *id) {
        return memcmp(((const struct tk_alert *)item)->id.b, id, sizeof(struct tk_id)) == 0;
}

struct tk_key *tk_memory_key_get(const struct tk_memory_store *store, struct tk_id id) {
        return tk_map_get(&store->keys_by_id, tk_memory_id_hash(id), key_is_id, id.b);
}

struct tk_key *tk_memory_key_get_digest(const struct tk_memory_store *store, const uint8_t digest[32]) {
        return tk_map_get(&store->keys_by_digest, tk_memory_digest_hash(digest), key_is_digest, digest);
}

struct tk_memory_series *tk_memory_series_get(const struct tk_memory_store *store, struct tk_id subject,
                                              enum tk_meter meter) {
        const struct tk_memory_series name = {.subject = subject, .meter = meter};
        return tk_map_get(&store->series_map, tk_memory_series_hash(subject, meter), series_is, &name);
}

struct tk_alert *tk_memory_alert_get(const struct tk_memory_store *store, struct tk_id id) {
        return tk_map_get(&store->alerts_by_id, tk_memory_id_hash(id), alert_is_id, id.b);
}

struct tk_entry *tk_memory_entry_get(const struct tk_memory_store *store, struct tk_id id) {
        return tk_map_get(&store->entries_by_id, tk_memory_id_hash(id), entry_is_id, id.b);
}

size_t tk_memory_limits_at(const struct tk_memory_store *store, struct tk_id subject) {
        size_t at = 0;
        while (at < store->limits_nr && !tk_id_eq(store->limits[at]->subject, subject))
                at++;
        return at;
}

uint64_t tk_memory_text_hash(const char *text) {
        return tk_map_hash(text, strlen(text), 0);
}

const struct tk_profile *tk_memory_profile_get(const struct tk_memory_store *store, struct tk_id key) {
        for (size_t i = 0; i < store->profiles_nr; i++)
                if (tk_id_eq(store->profiles[i]->key, key))
                        return store->profiles[i];
        return NULL;
}

const struct tk_topup *tk_memory_topup_get(const struct tk_memory_store *store, const char *id) {
        for (size_t i = 0; i < store->topups_nr; i++)
                if (strcmp(store->topups[i]->id, id) == 0)
                        return store->topups[i];
        return NULL;
}

int tk_memory_order(int64_t a_ms, struct tk_id a, int64_t b_ms, struct tk_id b) {
        if (a_ms != b_ms)
                return a_ms < b_ms ? -1 : 1;
        return memcmp(a.b, b.b, sizeof a.b);
}

static int compare(int64_t a, int64_t b) {
        return (a > b) - (a < b);
}

int tk_memory_lease_order(const struct tk_lease *a, const struct tk_lease *b) {
        int order = memcmp(a->subject.b, b->subject.b, sizeof a->subject.b);
        if (!order)
                order = compare((int64_t)a->meter, (int64_t)b->meter);
        if (!order)
                order = compare((int64_t)a->window.kind, (int64_t)b->window.kind);
        if (!order)
                order = compare(a->window.days, b->window.days);
        if (!order)
                order = compare(a->window.anchor_day, b->window.anchor_day);
        return order ? order : compare(a->number, b->number);
}

static struct tk_lease doubt_name(const struct tk_doubt *doubt) {
        return (struct tk_lease){.subject = doubt->subject,
                                 .meter = doubt->meter,
                                 .window = doubt->window,
                                 .number = doubt->number};
}

static int doubt_order(const struct tk_doubt *a, const struct tk_doubt *b) {
        const struct tk_lease a_name = doubt_name(a), b_name = doubt_name(b);
        return tk_memory_lease_order(&a_name, &b_name);
}

size_t tk_memory_doubt_place(const struct tk_memory_store *store, const struct tk_doubt *doubt,
                             bool *is_there) {
        size_t low = 0, high = store->doubts_nr;
        while (low < high) {
                const size_t middle = low + (high - low) / 2;
                if (doubt_order(&store->doubts[middle], doubt) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *is_there = low < store->doubts_nr && tk_memory_doubt_same(&store->doubts[low], doubt);
        return low;
}

bool tk_memory_doubt_same(const struct tk_doubt *a, const struct tk_doubt *b) {
        return doubt_order(a, b) == 0;
}

bool tk_memory_grow(void *array, size_t *size, size_t nr, size_t more, size_t item) {
        size_t want = *size ? *size : 16;
        void *at;
        if (nr + more <= *size)
                return true;
        if (more > SIZE_MAX / 4 / item - nr)
                return false;
        while (want < nr + more)
                want *= 2;
        memcpy(&at, array, sizeof at);
        at = realloc(at, want * item);
        if (!at)
                return false;
        memcpy(array, &at, sizeof at);
        *size = want;
        return true;
}

/* ---- open and close ---- */

/* A writer that waits goes before readers that come after it. */
static bool lock_init(pthread_rwlock_t *lock) {
        pthread_rwlockattr_t attr;
        if (pthread_rwlockattr_init(&attr) != 0)
                return false;
        bool ok = pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0 &&
                  pthread_rwlock_init(lock, &attr) == 0;
        pthread_rwlockattr_destroy(&attr);
        return ok;
}

static void close_store(struct tk_store *base) {
        struct tk_memory_store *store = tk_memory_of(base);
        tk_memory_batch_cut(&store->batch, 0);
        free(store->batch.ops);
        for (size_t i = 0; i < store->keys_nr; i++)
                free(store->keys[i]);
        for (size_t i = 0; i < store->series_nr; i++) {
                free(store->series[i]->hours);
                free(store->series[i]);
        }
        for (size_t i = 0; i < store->entries_nr; i++)
                free(store->entries[i]);
        for (size_t i = 0; i < store->limits_nr; i++)
                free(store->limits[i]);
        for (size_t i = 0; i < store->profiles_nr; i++)
                free(store->profiles[i]);
        for (size_t i = 0; i < store->topups_nr; i++)
                free(store->topups[i]);
        for (size_t i = 0; i < store->metas_nr; i++)
                free(store->metas[i]);
        for (size_t i = 0; i < store->users_nr; i++)
                free(store->users[i]);
        for (size_t i = 0; i < store->workspaces_nr; i++)
                free(store->workspaces[i]);
        free(store->users);
        free(store->workspaces);
        for (size_t i = 0; i < store->alerts_nr; i++)
                free(store->alerts[i]);
        for (size_t i = 0; i < store->audits_nr; i++)
                free(store->audits[i]);
        free(store->keys);
        free(store->series);
        free(store->entries);
        free(store->limits);
        free(store->profiles);
        free(store->topups);
        free(store->leases);
        free(store->doubts);
        free(store->alerts);
        free(store->metas);
        free(store->audits);
        free(store->changes);
        tk_map_free(&store->keys_by_id);
        tk_map_free(&store->keys_by_digest);
        tk_map_free(&store->series_map);
        tk_map_free(&store->entries_by_id);
        tk_map_free(&store->alerts_by_id);
        pthread_rwlock_destroy(&store->lock);
        free(store);
}

static enum tk_err open_store(const char *where, const struct tk_seed *seed, struct tk_store **out,
                              const struct tk_why *why) {
        struct tk_memory_store *store = calloc(1, sizeof *store);
        TK_UNUSED(where);
        if (!store || !lock_init(&store->lock)) {
                free(store);
                tk_why_set(why, "out of memory");
                return TK_E_NO_MEMORY;
        }
        store->base.org = seed->org;
        store->base.workspace = seed->workspace;
        struct tk_workspace *first = malloc(sizeof *first);
        if (!first ||
            !tk_memory_grow(&store->workspaces, &store->workspaces_size, 0, 1, sizeof *store->workspaces)) {
                free(first);
                close_store(&store->base);
                tk_why_set(why, "out of memory");
                return TK_E_NO_MEMORY;
        }
        *first = tk_seed_workspace(seed);
        store->workspaces[store->workspaces_nr++] = first;
        *out = &store->base;
        return TK_OK;
}

/* ---- the batch as a whole ---- */

static enum tk_err begin(struct tk_store *base) {
        MUST(tk_memory_of(base)->batch.nr == 0);
        return TK_OK;
}

static void rollback(struct tk_store *base) {
        tk_memory_batch_cut(&tk_memory_of(base)->batch, 0);
}

static enum tk_err commit(struct tk_store *base) {
        struct tk_memory_store *store = tk_memory_of(base);
        pthread_rwlock_wrlock(&store->lock);
        enum tk_err err = tk_memory_apply(store);
        pthread_rwlock_unlock(&store->lock);
        if (err) {
                tk_log(TK_ERROR, TK_STORE_AREA, "%s while committing", tk_err_text(err));
                rollback(base);
        }
        return err;
}

static enum tk_err mark(struct tk_store *base) {
        struct tk_memory_batch *batch = &tk_memory_of(base)->batch;
        batch->mark = batch->nr;
        return TK_OK;
}

static enum tk_err mark_keep(struct tk_store *base) {
        TK_UNUSED(base);
        return TK_OK;
}

static enum tk_err mark_undo(struct tk_store *base) {
        struct tk_memory_batch *batch = &tk_memory_of(base)->batch;
        tk_memory_batch_cut(batch, batch->mark);
        return TK_OK;
}

const struct tk_store_ops tk_store_memory_ops = {
        .name = "memory",
        .wants_where = false,
        .open = open_store,
        .close = close_store,
        .begin = begin,
        .commit = commit,
        .rollback = rollback,
        .mark = mark,
        .mark_keep = mark_keep,
        .mark_undo = mark_undo,
        .key_insert = tk_memory_key_insert,
        .key_update = tk_memory_key_update,
        .key_touch = tk_memory_key_touch,
        .key_get = tk_memory_batch_key_get,
        .profile_put = tk_memory_profile_put,
        .profile_get = tk_memory_batch_profile_get,
        .usage_add = tk_memory_usage_add,
        .entry_add = tk_memory_entry_add,
        .limits_put = tk_memory_limits_put,
        .limits_get = tk_memory_batch_limits_get,
        .topup_get = tk_memory_batch_topup_get,
        .topup_add = tk_memory_topup_add,
        .lease_put = tk_memory_lease_put,
        .lease_drop = tk_memory_lease_drop,
        .doubt_put = tk_memory_doubt_put,
        .doubt_drop = tk_memory_doubt_drop,
        .alert_add = tk_memory_alert_add,
        .alert_sent = tk_memory_alert_sent,
        .change_add = tk_memory_change_add,
        .meta_put = tk_memory_meta_put,
        .audit_add = tk_memory_audit_add,
        .audit_trim = tk_memory_audit_trim,
        .reader_open = tk_memory_reader_open,
        .reader_close = tk_memory_reader_close,
        .key_by_digest = tk_memory_reader_key_by_digest,
        .key_by_id = tk_memory_reader_key_by_id,
        .key_list = tk_memory_reader_key_list,
        .profile = tk_memory_reader_profile,
        .key_page = tk_memory_reader_key_page,
        .usage_sum = tk_memory_reader_usage_sum,
        .usage_sum_group = tk_memory_reader_usage_sum_group,
        .limits = tk_memory_reader_limits,
        .entry_get = tk_memory_reader_entry_get,
        .topup_list = tk_memory_reader_topup_list,
        .entry_list = tk_memory_reader_entry_list,
        .lease_list = tk_memory_reader_lease_list,
        .doubt_list = tk_memory_reader_doubt_list,
        .alert_list = tk_memory_reader_alert_list,
        .alert_due = tk_memory_reader_alert_due,
        .doubt_list_from = tk_memory_reader_doubt_list_from,
        .changes = tk_memory_reader_changes,
        .change_last = tk_memory_reader_change_last,
        .meta_get = tk_memory_reader_meta_get,
        .user_insert = tk_memory_user_insert,
        .user_update = tk_memory_user_update,
        .user_remove = tk_memory_user_remove,
        .workspace_insert = tk_memory_workspace_insert,
        .workspace_update = tk_memory_workspace_update,
        .workspace_remove = tk_memory_workspace_remove,
        .user_get = tk_memory_batch_user_get,
        .workspace_get = tk_memory_batch_workspace_get,
        .user_by_id = tk_memory_reader_user_by_id,
        .user_by_email = tk_memory_reader_user_by_email,
        .user_list = tk_memory_reader_user_list,
        .user_count = tk_memory_reader_user_count,
        .workspace_by_id = tk_memory_reader_workspace_by_id,
        .workspace_by_slug = tk_memory_reader_workspace_by_slug,
        .workspace_list = tk_memory_reader_workspace_list,
        .workspace_count = tk_memory_reader_workspace_count,
        .audit_list = tk_memory_reader_audit_list,
        .audit_count = tk_memory_reader_audit_count,
        .audit_oldest = tk_memory_reader_audit_oldest,
};
