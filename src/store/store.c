/* SPDX-License-Identifier: Apache-2.0
 *
 * The front of the store: picks the engine by name, keeps the order of calls, and validates each row on
 * both sides of the border. Nothing that is wrong goes down, nothing that is damaged comes up.
 *
 * A row that a caller hands in wrong is refused (RANGE, SYNTAX, TOO_BIG) and logged, as the layers above
 * should have refused it. A call out of order is a programmer's error. After a fault that cost the engine
 * its transaction the batch is broken: everything in it answers with that fault until it is ended.
 */
#include "store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rt/clock.h"
#include "rt/log.h"
#include "rt/rand.h"
#include "store/store_front.h"
#include "store/store_memory.h"
#include "store/store_sqlite.h"

#define HOUR_MAX       (INT64_C(1) << 40) /* far beyond; so that hour arithmetic cannot overflow */
#define COMMIT_SLOW_MS 1000
#define ENTRY_FLAGS                                                                                          \
        (TK_ENTRY_ESTIMATED | TK_ENTRY_GONE | TK_ENTRY_CUT | TK_ENTRY_BROKEN | TK_ENTRY_OBSERVED |           \
         TK_ENTRY_EXPIRED)

/* The one place that knows which engines exist. */
static const struct tk_store_ops *const engines[] = {&tk_store_memory_ops, &tk_store_sqlite_ops};

void tk_why_set(const struct tk_why *why, const char *fmt, ...) {
        va_list args;
        if (!why->size)
                return;
        va_start(args, fmt);
        vsnprintf(why->at, why->size, fmt, args);
        va_end(args);
}

static const struct tk_store_ops *engine_get(struct tk_str name) {
        for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
                if (tk_str_is(name, engines[i]->name))
                        return engines[i];
        return NULL;
}

static enum tk_err seed_make(struct tk_seed *seed, const struct tk_why *why) {
        enum tk_err err = tk_rand_init();
        if (err) {
                tk_why_set(why, "the system gives no random bytes");
                return err;
        }
        seed->now_ms = tk_clock_now_ms();
        seed->org = tk_rand_id(seed->now_ms);
        seed->workspace = tk_rand_id(seed->now_ms);
        return TK_OK;
}

enum tk_err tk_store_open(const char *url, struct tk_store **out, char *why_at, size_t why_size) {
        const struct tk_why why = {why_at, why_size};
        const struct tk_str text = tk_str_of(url);
        const size_t colon = tk_str_find(text, ':');
        const struct tk_store_ops *ops = colon < text.len ? engine_get(tk_str_head(text, colon)) : NULL;
        struct tk_store *store = NULL;
        struct tk_seed seed;

        *out = NULL;
        tk_why_set(&why, "%s", "");
        if (!ops) {
                tk_why_set(&why,
                           "store \"%.200s\": unknown kind of store; write \"sqlite:PATH\" or \"memory:\"",
                           url ? url : "");
                return TK_E_SYNTAX;
        }
        if (ops->wants_where != (text.len > colon + 1)) {
                tk_why_set(&why, "store \"%.200s\": write \"%s:%s\"", url, ops->name,
                           ops->wants_where ? "PATH" : "");
                return TK_E_SYNTAX;
        }
        enum tk_err err = seed_make(&seed, &why);
        if (!err)
                err = ops->open(url + colon + 1, &seed, &store, &why);
        if (err)
                return err;
        MUST(!tk_id_none(store->org) && !tk_id_none(store->workspace));
        store->ops = ops;
        *out = store;
        return TK_OK;
}

void tk_store_close(struct tk_store **store) {
        if (!*store)
                return;
        MUST(atomic_load(&(*store)->readers_nr) == 0);
        (*store)->ops->close(*store);
        *store = NULL;
}

const char *tk_store_engine(const struct tk_store *store) {
        return store->ops->name;
}

struct tk_id tk_store_org(const struct tk_store *store) {
        return store->org;
}

struct tk_id tk_store_workspace(const struct tk_store *store) {
        return store->workspace;
}

/* ---- what may cross the border ---- */

static bool profile_ok(const struct tk_profile *profile) {
        return tk_profile_ok(profile) && time_ok(profile->updated_ms) && time_ok(profile->reset_ms);
}

static bool amounts_ok(const struct tk_amounts *amounts) {
        for (int i = 0; i < TK_METER_NR; i++)
                if (amounts->of[i] < 0)
                        return false;
        return true;
}

static bool tokens_ok(const struct tk_tokens *tokens) {
        return tokens->input <= TK_TOKENS_MAX && tokens->output <= TK_TOKENS_MAX &&
               tokens->cached <= TK_TOKENS_MAX && tokens->cache_write <= TK_TOKENS_MAX;
}

static bool entry_ok(const struct tk_entry *entry) {
        const size_t model_len = strnlen(entry->model, sizeof entry->model);
        return !tk_id_none(entry->id) && !tk_id_none(entry->org) && !tk_id_none(entry->subject) &&
               time_ok(entry->held_at_ms) && time_ok(entry->posted_at_ms) &&
               model_len < sizeof entry->model && tk_str_utf8_ok((struct tk_str){entry->model, model_len}) &&
               tokens_ok(&entry->tokens) && amounts_ok(&entry->due) && amounts_ok(&entry->overrun) &&
               !(entry->flags & ~ENTRY_FLAGS);
}

/* What is in flight is over after a crash, so it needs no promise that outlives one. */
static bool lease_ok(const struct tk_lease *lease) {
        return !tk_id_none(lease->subject) && (unsigned)lease->meter < TK_METER_NR &&
               tk_window_number_ok(lease->window, lease->number) && lease->window.kind != TK_WINDOW_FLIGHT &&
               lease->bound >= 0;
}

/* Whether the part of it is sound that says which one it is. */
static bool doubt_name_ok(const struct tk_doubt *doubt) {
        return !tk_id_none(doubt->subject) && (unsigned)doubt->meter < TK_METER_NR &&
               tk_window_number_ok(doubt->window, doubt->number) && doubt->window.kind != TK_WINDOW_FLIGHT;
}

static bool doubt_ok(const struct tk_doubt *doubt) {
        return doubt_name_ok(doubt) && doubt->amount > 0 && time_ok(doubt->since_ms);
}

static bool topup_id_ok(const char *id, size_t size) {
        const size_t len = strnlen(id, size);
        for (size_t i = 0; i < len; i++)
                if (id[i] <= ' ' || id[i] > '~')
                        return false;
        return len > 0 && len < size;
}

static bool topup_ok(const struct tk_topup *topup) {
        return topup_id_ok(topup->id, sizeof topup->id) && !tk_id_none(topup->subject) &&
               (unsigned)topup->meter < TK_METER_NR && tk_meter_is_money(topup->meter) && topup->amount > 0 &&
               time_ok(topup->at_ms);
}

static bool meta_name_ok(const char *name) {
        const size_t len = strnlen(name, TK_META_NAME_MAX + 1);
        return len > 0 && len <= TK_META_NAME_MAX &&
               strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == len;
}

/* ---- the writer ---- */

enum tk_err tk_store_begin(struct tk_store *store) {
        MUST(store->batch == TK_BATCH_NONE);
        store->broken = TK_OK;
        enum tk_err err = store->ops->begin(store);
        if (!err)
                store->batch = TK_BATCH_OPEN;
        return err;
}

void tk_store_rollback(struct tk_store *store) {
        MUST(store->batch != TK_BATCH_NONE);
        store->ops->rollback(store);
        store->batch = TK_BATCH_NONE;
        store->broken = TK_OK;
}

enum tk_err tk_store_commit(struct tk_store *store) {
        const enum tk_err broken = in_batch(store);
        MUST(store->batch == TK_BATCH_OPEN);
        if (broken) {
                tk_store_rollback(store);
                return broken;
        }
        const int64_t start_ms = tk_clock_mono_ms();
        enum tk_err err = store->ops->commit(store);
        const int64_t took_ms = tk_clock_mono_ms() - start_ms;
        if (took_ms >= COMMIT_SLOW_MS)
                tk_log(TK_WARN, TK_STORE_AREA, "a commit took %lld ms: the disk is slow or overloaded",
                       (long long)took_ms);
        store->batch = TK_BATCH_NONE;
        store->broken = TK_OK;
        return err;
}

enum tk_err tk_store_mark(struct tk_store *store) {
        const enum tk_err broken = in_batch(store);
        MUST(store->batch == TK_BATCH_OPEN);
        enum tk_err err = broken ? broken : store->ops->mark(store);
        if (!err)
                store->batch = TK_BATCH_MARKED;
        return err;
}

enum tk_err tk_store_mark_keep(struct tk_store *store) {
        const enum tk_err broken = in_batch(store);
        MUST(store->batch == TK_BATCH_MARKED);
        store->batch = TK_BATCH_OPEN;
        return broken ? broken : store->ops->mark_keep(store);
}

enum tk_err tk_store_mark_undo(struct tk_store *store) {
        const enum tk_err broken = in_batch(store);
        MUST(store->batch == TK_BATCH_MARKED);
        store->batch = TK_BATCH_OPEN;
        return broken ? broken : store->ops->mark_undo(store);
}

enum tk_err tk_store_key_insert(struct tk_store *store, const struct tk_key *key) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!tk_key_ok(key))
                return refuse(TK_E_RANGE, "a key");
        return store->ops->key_insert(store, key);
}

enum tk_err tk_store_key_update(struct tk_store *store, const struct tk_key *key) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!tk_key_ok(key))
                return refuse(TK_E_RANGE, "a key");
        return store->ops->key_update(store, key);
}

enum tk_err tk_store_key_touch(struct tk_store *store, struct tk_id id, int64_t used_ms) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!time_ok(used_ms))
                return refuse(TK_E_RANGE, "when a key was used");
        return store->ops->key_touch(store, id, used_ms);
}

/* What an engine says is the key `id`: true, or damaged. */
static enum tk_err key_check(const struct tk_key *key, struct tk_id id) {
        return tk_id_eq(key->id, id) && tk_key_ok(key) ? TK_OK : damaged("key", id);
}

enum tk_err tk_store_key_get(struct tk_store *store, struct tk_id id, struct tk_key *out) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        enum tk_err err = store->ops->key_get(store, id, out);
        return err ? err : key_check(out, id);
}

enum tk_err tk_store_profile_put(struct tk_store *store, const struct tk_profile *profile) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!profile_ok(profile))
                return refuse(TK_E_RANGE, "the profile of a key");
        return store->ops->profile_put(store, profile);
}

static enum tk_err profile_check(const struct tk_profile *profile, struct tk_id key) {
        return tk_id_eq(profile->key, key) && profile_ok(profile) ? TK_OK
                                                                  : damaged("the profile of key", key);
}

enum tk_err tk_store_profile_get(struct tk_store *store, struct tk_id key, struct tk_profile *out) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        enum tk_err err = store->ops->profile_get(store, key, out);
        return err ? err : profile_check(out, key);
}

enum tk_err tk_reader_profile_get(struct tk_reader *reader, struct tk_id key, struct tk_profile *out) {
        enum tk_err err = reader->store->ops->profile(reader, key, out);
        return err ? err : profile_check(out, key);
}

enum tk_err tk_store_usage_add(struct tk_store *store, struct tk_id subject, enum tk_meter meter,
                               int64_t hour, int64_t amount) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        /* What was used is never taken back, so that no part of the series can exceed its total. */
        if (tk_id_none(subject) || (unsigned)meter >= TK_METER_NR || hour < -HOUR_MAX || hour > HOUR_MAX ||
            amount < 0)
                return refuse(TK_E_RANGE, "usage");
        return store->ops->usage_add(store, subject, meter, hour, amount);
}

enum tk_err tk_store_entry_add(struct tk_store *store, const struct tk_entry *entry) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!entry_ok(entry))
                return refuse(TK_E_RANGE, "an entry");
        return store->ops->entry_add(store, entry);
}

/* As the open batch sees them. */
static enum tk_err limits_now(struct tk_store *store, struct tk_id subject,
                              struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        *limits_nr = 0;
        enum tk_err err = store->ops->limits_get(store, subject, limits, limits_nr);
        return !err && !tk_key_limits_ok(limits, *limits_nr) ? damaged("a limit of", subject) : err;
}

enum tk_err tk_store_limits_get(struct tk_store *store, struct tk_id subject,
                                struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        const enum tk_err broken = in_batch(store);
        *limits_nr = 0;
        return broken ? broken : limits_now(store, subject, limits, limits_nr);
}

static bool has_balance(const struct tk_limit *limits, unsigned limits_nr) {
        for (unsigned i = 0; i < limits_nr; i++)
                if (limits[i].flags & TK_LIMIT_BALANCE)
                        return true;
        return false;
}

/* These limits and the balances that the subject has. */
static enum tk_err add_balances(struct tk_store *store, struct tk_id subject, const struct tk_limit *limits,
                                unsigned *limits_nr, struct tk_limit all[TK_KEY_LIMITS_MAX]) {
        struct tk_limit now[TK_KEY_LIMITS_MAX];
        unsigned now_nr, nr = *limits_nr;
        enum tk_err err = limits_now(store, subject, now, &now_nr);
        if (err)
                return err;
        for (unsigned i = 0; i < nr; i++)
                all[i] = limits[i];
        for (unsigned i = 0; i < now_nr; i++) {
                if (!(now[i].flags & TK_LIMIT_BALANCE))
                        continue;
                if (nr == TK_KEY_LIMITS_MAX)
                        return TK_E_TOO_BIG;
                all[nr++] = now[i];
        }
        *limits_nr = nr;
        return tk_key_limits_ok(all, nr) ? TK_OK : TK_E_CONFLICT; /* two of one meter and window */
}

enum tk_err tk_store_limits_put(struct tk_store *store, struct tk_id subject, const struct tk_limit *limits,
                                unsigned limits_nr) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (tk_id_none(subject) || !tk_key_limits_ok(limits, limits_nr) || has_balance(limits, limits_nr))
                return refuse(TK_E_RANGE, "limits");
        struct tk_limit all[TK_KEY_LIMITS_MAX];
        enum tk_err err = add_balances(store, subject, limits, &limits_nr, all);
        return err ? err : store->ops->limits_put(store, subject, all, limits_nr);
}

/* ---- top-ups ---- */

static bool topup_same(const struct tk_topup *a, const struct tk_topup *b) {
        return tk_id_eq(a->subject, b->subject) && a->meter == b->meter && a->amount == b->amount;
}

enum tk_err tk_store_topup_get(struct tk_store *store, const char *id, struct tk_topup *out) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        enum tk_err err = store->ops->topup_get(store, id, out);
        if (!err && (!topup_ok(out) || strcmp(out->id, id) != 0))
                err = damaged("top-up of", out->subject);
        return err;
}

/* NOT_FOUND: there is none with this id. Otherwise what a repetition is told. */
static enum tk_err topup_repeated(struct tk_store *store, const struct tk_topup *topup) {
        struct tk_topup seen;
        enum tk_err err = tk_store_topup_get(store, topup->id, &seen);
        if (err)
                return err;
        return topup_same(&seen, topup) ? TK_OK : TK_E_CONFLICT;
}

/* The balance of that meter among the limits grows by the amount, or is born. */
static enum tk_err raise(struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr,
                         const struct tk_topup *topup) {
        unsigned i = 0;
        while (i < *limits_nr &&
               (limits[i].meter != topup->meter || limits[i].window.kind != TK_WINDOW_LIFETIME))
                i++;
        if (i == TK_KEY_LIMITS_MAX)
                return TK_E_TOO_BIG;
        if (i == *limits_nr)
                limits[(*limits_nr)++] = (struct tk_limit){.meter = topup->meter,
                                                           .window = {.kind = TK_WINDOW_LIFETIME},
                                                           .flags = TK_LIMIT_BALANCE};
        if (!(limits[i].flags & TK_LIMIT_BALANCE))
                return TK_E_CONFLICT;
        if (limits[i].cap > (uint64_t)(INT64_MAX - topup->amount))
                return TK_E_OVERFLOW;
        limits[i].cap += (uint64_t)topup->amount;
        return TK_OK;
}

enum tk_err tk_store_topup(struct tk_store *store, const struct tk_topup *topup) {
        const enum tk_err broken = in_batch(store);
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned limits_nr = 0;
        if (broken)
                return broken;
        if (!topup_ok(topup))
                return refuse(TK_E_RANGE, "a top-up");
        enum tk_err err = topup_repeated(store, topup);
        if (err != TK_E_NOT_FOUND)
                return err;
        err = limits_now(store, topup->subject, limits, &limits_nr);
        if (!err)
                err = raise(limits, &limits_nr, topup);
        return err ? err : store->ops->topup_add(store, topup, limits, limits_nr);
}

enum tk_err tk_store_lease_put(struct tk_store *store, const struct tk_lease *lease) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!lease_ok(lease))
                return refuse(TK_E_RANGE, "a lease");
        return store->ops->lease_put(store, lease);
}

enum tk_err tk_store_lease_drop(struct tk_store *store, const struct tk_lease *lease) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!lease_ok(lease))
                return refuse(TK_E_RANGE, "a lease");
        return store->ops->lease_drop(store, lease);
}

enum tk_err tk_store_doubt_put(struct tk_store *store, const struct tk_doubt *doubt) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!doubt_ok(doubt))
                return refuse(TK_E_RANGE, "a doubt");
        return store->ops->doubt_put(store, doubt);
}

enum tk_err tk_store_doubt_drop(struct tk_store *store, const struct tk_doubt *doubt) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!doubt_name_ok(doubt))
                return refuse(TK_E_RANGE, "a doubt");
        return store->ops->doubt_drop(store, doubt);
}

/* What nobody was told of yet. */
static bool is_fresh(const struct tk_alert *alert) {
        for (int c = 0; c < TK_CHANNEL_NR; c++)
                if (alert->sent[c].status != TK_DELIVERY_WAITING || alert->sent[c].tries > 0)
                        return false;
        return true;
}

enum tk_err tk_store_alert_add(struct tk_store *store, const struct tk_alert *alert) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!tk_alert_ok(alert) || !is_fresh(alert))
                return refuse(TK_E_RANGE, "an alert");
        return store->ops->alert_add(store, alert);
}

enum tk_err tk_store_alert_sent(struct tk_store *store, struct tk_id id, enum tk_channel channel,
                                const struct tk_delivery *delivery) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (tk_id_none(id) || (unsigned)channel >= TK_CHANNEL_NR || !tk_delivery_ok(delivery))
                return refuse(TK_E_RANGE, "the delivery of an alert");
        return store->ops->alert_sent(store, id, channel, delivery);
}

enum tk_err tk_store_change_add(struct tk_store *store, struct tk_id subject) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (tk_id_none(subject))
                return refuse(TK_E_RANGE, "a change");
        return store->ops->change_add(store, subject);
}

enum tk_err tk_store_meta_put(struct tk_store *store, const char *name, struct tk_str value) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!meta_name_ok(name))
                return refuse(TK_E_SYNTAX, "the name of a setting");
        if (value.len > TK_META_VALUE_MAX)
                return refuse(TK_E_TOO_BIG, "a setting");
        return store->ops->meta_put(store, name, value);
}

/* ---- readers ---- */

enum tk_err tk_reader_open(struct tk_store *store, struct tk_reader **out) {
        struct tk_reader *reader = NULL;
        *out = NULL;
        enum tk_err err = store->ops->reader_open(store, &reader);
        if (err)
                return err;
        reader->store = store;
        atomic_fetch_add(&store->readers_nr, 1);
        *out = reader;
        return TK_OK;
}

void tk_reader_close(struct tk_reader **reader) {
        if (!*reader)
                return;
        struct tk_store *store = (*reader)->store;
        store->ops->reader_close(*reader);
        *reader = NULL;
        const unsigned readers = atomic_fetch_sub(&store->readers_nr, 1);
        MUST(readers > 0);
}

enum tk_err tk_reader_key_by_digest(struct tk_reader *reader, const uint8_t digest[32], struct tk_key *out) {
        enum tk_err err = reader->store->ops->key_by_digest(reader, digest, out);
        if (err)
                return err;
        return memcmp(out->digest, digest, sizeof out->digest) == 0 && tk_key_ok(out)
                       ? TK_OK
                       : damaged("key", out->id);
}

enum tk_err tk_reader_key_by_id(struct tk_reader *reader, struct tk_id id, struct tk_key *out) {
        enum tk_err err = reader->store->ops->key_by_id(reader, id, out);
        return err ? err : key_check(out, id);
}

/* One key list on its way up: what was asked, and the place of the last one in the order. */
struct key_walk {
        tk_key_each_f *each;
        void *ctx;
        struct tk_id org;
        int64_t now_ms;
        unsigned left;
        bool begun;
        int64_t last_ms;
        struct tk_id last_id;
        enum tk_err err;
};

static bool key_in_order(const struct key_walk *walk, const struct tk_key *key) {
        if (!walk->begun || key->created_ms < walk->last_ms)
                return true;
        return key->created_ms == walk->last_ms && memcmp(key->id.b, walk->last_id.b, sizeof key->id.b) < 0;
}

static bool key_up(const struct tk_key *key, void *ctx) {
        struct key_walk *walk = ctx;
        if (!tk_key_ok(key) || !tk_id_eq(key->org, walk->org) || !tk_key_is_active(key, walk->now_ms) ||
            !walk->left || !key_in_order(walk, key)) {
                walk->err = damaged("key", key->id);
                return false;
        }
        walk->left--;
        walk->begun = true;
        walk->last_ms = key->created_ms;
        walk->last_id = key->id;
        return walk->each(key, walk->ctx);
}

enum tk_err tk_reader_key_list(struct tk_reader *reader, struct tk_id org, int64_t now_ms, struct tk_id after,
                               unsigned limit, tk_key_each_f *each, void *ctx) {
        struct key_walk walk = {.each = each, .ctx = ctx, .org = org, .now_ms = now_ms, .left = limit};
        enum tk_err err = reader->store->ops->key_list(reader, org, now_ms, after, limit, key_up, &walk);
        return err ? err : walk.err;
}

struct page_walk {
        struct key_walk keys; /* checks the order and the organisation */
        const struct tk_key_page *page;
};

static bool page_up(const struct tk_key *key, void *ctx) {
        struct page_walk *walk = ctx;
        const struct tk_key_page *page = walk->page;
        /* An expired key is on a page as any other; the order is that of the list. */
        if (key->kind >= TK_KIND_NR || !(page->kinds & 1u << key->kind) ||
            (!tk_id_none(page->workspace) && !tk_id_eq(key->workspace, page->workspace))) {
                walk->keys.err = damaged("key", key->id);
                return false;
        }
        return key_up(key, &walk->keys);
}

enum tk_err tk_reader_key_page(struct tk_reader *reader, const struct tk_key_page *page, tk_key_each_f *each,
                               void *ctx, uint64_t *total) {
        struct page_walk walk = {.page = page,
                                 .keys = {.each = each,
                                          .ctx = ctx,
                                          .org = page->org,
                                          .now_ms = INT64_MIN,
                                          .left = page->limit}};
        MUST(!tk_id_none(page->org));
        *total = 0;
        if (page->skip > INT64_MAX)
                return TK_OK;
        enum tk_err err = reader->store->ops->key_page(reader, page, page_up, &walk, total);
        return err ? err : walk.keys.err;
}

/* A span of hours that is not empty. Beyond HOUR_MAX nothing is stored, so an end out there becomes open. */
static bool hours_span(int64_t *from_hour, int64_t *to_hour) {
        if (*from_hour >= *to_hour || *from_hour > HOUR_MAX || *to_hour < -HOUR_MAX)
                return false;
        if (*from_hour < -HOUR_MAX)
                *from_hour = INT64_MIN;
        if (*to_hour > HOUR_MAX)
                *to_hour = INT64_MAX;
        return true;
}

/* A sum on its way up. */
static enum tk_err sum_up(enum tk_err err, int64_t found, struct tk_id subject, int64_t *sum) {
        if (err)
                return err;
        if (found < 0)
                return damaged("usage of", subject);
        *sum = found;
        return TK_OK;
}

enum tk_err tk_reader_usage_sum(struct tk_reader *reader, struct tk_id subject, enum tk_meter meter,
                                int64_t from_hour, int64_t to_hour, int64_t *sum) {
        int64_t found = 0;
        MUST((unsigned)meter < TK_METER_NR);
        *sum = 0;
        if (!hours_span(&from_hour, &to_hour))
                return TK_OK;
        enum tk_err err = reader->store->ops->usage_sum(reader, subject, meter, from_hour, to_hour, &found);
        return sum_up(err, found, subject, sum);
}

enum tk_err tk_reader_usage_sum_group(struct tk_reader *reader, enum tk_group group, struct tk_id id,
                                      enum tk_meter meter, int64_t from_hour, int64_t to_hour, int64_t *sum) {
        int64_t found = 0;
        MUST((unsigned)meter < TK_METER_NR);
        MUST((unsigned)group < TK_GROUP_NR);
        *sum = 0;
        if (!hours_span(&from_hour, &to_hour))
                return TK_OK;
        enum tk_err err =
                reader->store->ops->usage_sum_group(reader, group, id, meter, from_hour, to_hour, &found);
        return sum_up(err, found, id, sum);
}

enum tk_err tk_reader_limits(struct tk_reader *reader, struct tk_id subject,
                             struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        *limits_nr = 0;
        enum tk_err err = reader->store->ops->limits(reader, subject, limits, limits_nr);
        if (!err && !tk_key_limits_ok(limits, *limits_nr))
                err = damaged("a limit of", subject);
        if (err)
                *limits_nr = 0;
        return err;
}

enum tk_err tk_reader_entry_get(struct tk_reader *reader, struct tk_id id, struct tk_entry *out) {
        enum tk_err err = reader->store->ops->entry_get(reader, id, out);
        if (!err && (!entry_ok(out) || !tk_id_eq(out->id, id)))
                err = damaged("entry", id);
        return err;
}

struct topup_walk {
        tk_topup_each_f *each;
        void *ctx;
        struct tk_id subject;
        enum tk_err err;
};

static bool topup_up(const struct tk_topup *topup, void *ctx) {
        struct topup_walk *walk = ctx;
        if (!topup_ok(topup) || !tk_id_eq(topup->subject, walk->subject)) {
                walk->err = damaged("top-up of", walk->subject);
                return false;
        }
        return walk->each(topup, walk->ctx);
}

enum tk_err tk_reader_topup_list(struct tk_reader *reader, struct tk_id subject, tk_topup_each_f *each,
                                 void *ctx) {
        struct topup_walk walk = {.each = each, .ctx = ctx, .subject = subject};
        enum tk_err err = reader->store->ops->topup_list(reader, subject, topup_up, &walk);
        return err ? err : walk.err;
}

struct entry_walk {
        tk_entry_each_f *each;
        void *ctx;
        struct tk_id org;
        struct tk_id subject;
        unsigned left;
        enum tk_err err;
};

static bool entry_up(const struct tk_entry *entry, void *ctx) {
        struct entry_walk *walk = ctx;
        if (!entry_ok(entry) || !walk->left || !tk_id_eq(entry->org, walk->org) ||
            !(tk_id_none(walk->subject) || tk_id_eq(entry->subject, walk->subject))) {
                walk->err = damaged("entry", entry->id);
                return false;
        }
        walk->left--;
        return walk->each(entry, walk->ctx);
}

enum tk_err tk_reader_entry_list(struct tk_reader *reader, struct tk_id org, struct tk_id subject,
                                 unsigned limit, tk_entry_each_f *each, void *ctx) {
        struct entry_walk walk = {.each = each, .ctx = ctx, .org = org, .subject = subject, .left = limit};
        enum tk_err err = reader->store->ops->entry_list(reader, org, subject, limit, entry_up, &walk);
        return err ? err : walk.err;
}

struct lease_walk {
        tk_lease_each_f *each;
        void *ctx;
        enum tk_err err;
};

static bool lease_up(const struct tk_lease *lease, void *ctx) {
        struct lease_walk *walk = ctx;
        if (!lease_ok(lease)) {
                walk->err = damaged("lease of", lease->subject);
                return false;
        }
        return walk->each(lease, walk->ctx);
}

enum tk_err tk_reader_lease_list(struct tk_reader *reader, tk_lease_each_f *each, void *ctx) {
        struct lease_walk walk = {.each = each, .ctx = ctx};
        enum tk_err err = reader->store->ops->lease_list(reader, lease_up, &walk);
        return err ? err : walk.err;
}

struct doubt_walk {
        tk_doubt_each_f *each;
        void *ctx;
        struct tk_id subject;
        enum tk_err err;
};

static bool doubt_up(const struct tk_doubt *doubt, void *ctx) {
        struct doubt_walk *walk = ctx;
        if (!doubt_ok(doubt) || !(tk_id_none(walk->subject) || tk_id_eq(doubt->subject, walk->subject))) {
                walk->err = damaged("doubt of", doubt->subject);
                return false;
        }
        return walk->each(doubt, walk->ctx);
}

enum tk_err tk_reader_doubt_list(struct tk_reader *reader, struct tk_id subject, tk_doubt_each_f *each,
                                 void *ctx) {
        struct doubt_walk walk = {.each = each, .ctx = ctx, .subject = subject};
        enum tk_err err = reader->store->ops->doubt_list(reader, subject, doubt_up, &walk);
        return err ? err : walk.err;
}

enum tk_err tk_reader_doubt_list_from(struct tk_reader *reader, struct tk_id subject, tk_doubt_each_f *each,
                                      void *ctx) {
        struct doubt_walk walk = {.each = each, .ctx = ctx};
        enum tk_err err = reader->store->ops->doubt_list_from(reader, subject, doubt_up, &walk);
        return err ? err : walk.err;
}

struct alert_walk {
        tk_alert_each_f *each;
        void *ctx;
        struct tk_id org; /* none: all */
        enum tk_err err;
};

static bool alert_up(const struct tk_alert *alert, void *ctx) {
        struct alert_walk *walk = ctx;
        if (!tk_alert_ok(alert) || !(tk_id_none(walk->org) || tk_id_eq(alert->org, walk->org))) {
                walk->err = damaged("alert", alert->id);
                return false;
        }
        return walk->each(alert, walk->ctx);
}

enum tk_err tk_reader_alert_list(struct tk_reader *reader, struct tk_id org, unsigned limit,
                                 tk_alert_each_f *each, void *ctx) {
        struct alert_walk walk = {.each = each, .ctx = ctx, .org = org};
        enum tk_err err = reader->store->ops->alert_list(reader, org, limit, alert_up, &walk);
        return err ? err : walk.err;
}

enum tk_err tk_reader_alert_due(struct tk_reader *reader, enum tk_channel channel, int64_t now_ms,
                                unsigned limit, tk_alert_each_f *each, void *ctx) {
        struct alert_walk walk = {.each = each, .ctx = ctx};
        MUST((unsigned)channel < TK_CHANNEL_NR);
        enum tk_err err = reader->store->ops->alert_due(reader, channel, now_ms, limit, alert_up, &walk);
        return err ? err : walk.err;
}

struct change_walk {
        tk_change_each_f *each;
        void *ctx;
        int64_t last;
        enum tk_err err;
};

static bool change_up(int64_t seq, struct tk_id subject, void *ctx) {
        struct change_walk *walk = ctx;
        if (seq <= walk->last || tk_id_none(subject)) {
                walk->err = damaged("change of", subject);
                return false;
        }
        walk->last = seq;
        return walk->each(seq, subject, walk->ctx);
}

enum tk_err tk_reader_changes(struct tk_reader *reader, int64_t after, tk_change_each_f *each, void *ctx) {
        struct change_walk walk = {.each = each, .ctx = ctx, .last = after < 0 ? 0 : after};
        enum tk_err err = reader->store->ops->changes(reader, walk.last, change_up, &walk);
        return err ? err : walk.err;
}

enum tk_err tk_reader_change_last(struct tk_reader *reader, int64_t *seq) {
        *seq = 0;
        return reader->store->ops->change_last(reader, seq);
}

enum tk_err tk_reader_meta_get(struct tk_reader *reader, const char *name, char *out, size_t size) {
        MUST(size > 0);
        out[0] = '\0';
        return meta_name_ok(name) ? reader->store->ops->meta_get(reader, name, out, size) : TK_E_NOT_FOUND;
}
