/* SPDX-License-Identifier: Apache-2.0
 *
 * All of it happens in a batch of the store while its reader shows what was committed before; a batch keeps
 * other writers out, so both agree on everything that this batch has not changed itself.
 *
 * Invariants:
 *   (1) a crash can have spent at most bound - posted of a lease, so posted + doubt >= what was really spent
 *   (2) of a subject and window, posted + doubt falls only where somebody said what was not spent
 */
#include "service/doubt.h"

#include "core/time.h"
#include "service/audit.h"
#include "store/people.h"

#include <stdlib.h>
#include <string.h>

/* ---- rows into memory: a callback may not write ---- */

struct gather {
        void *at;
        size_t nr, room, item;
        bool failed;
};

static bool gather(struct gather *g, const void *item) {
        if (g->nr == g->room) {
                size_t room = g->room ? g->room * 2 : 64;
                void *at = room <= SIZE_MAX / g->item ? realloc(g->at, room * g->item) : NULL;
                if (!at) {
                        g->failed = true;
                        return false;
                }
                g->at = at;
                g->room = room;
        }
        memcpy((char *)g->at + g->nr++ * g->item, item, g->item);
        return true;
}

static bool gather_lease(const struct tk_lease *lease, void *ctx) {
        return gather(ctx, lease);
}

static bool gather_doubt(const struct tk_doubt *doubt, void *ctx) {
        return gather(ctx, doubt);
}

static enum tk_err leases_read(struct tk_reader *reader, struct gather *out) {
        *out = (struct gather){.item = sizeof(struct tk_lease)};
        enum tk_err err = tk_reader_lease_list(reader, gather_lease, out);
        return err == TK_OK && out->failed ? TK_E_NO_MEMORY : err;
}

static enum tk_err doubts_read(struct tk_reader *reader, struct tk_id subject, struct gather *out) {
        *out = (struct gather){.item = sizeof(struct tk_doubt)};
        enum tk_err err = tk_reader_doubt_list(reader, subject, gather_doubt, out);
        return err == TK_OK && out->failed ? TK_E_NO_MEMORY : err;
}

struct search {
        const struct tk_doubt *name;
        struct tk_doubt found; /* amount 0: not there */
};

static bool is_same(const struct tk_doubt *a, const struct tk_doubt *b) {
        return tk_id_eq(a->subject, b->subject) && a->meter == b->meter && a->number == b->number &&
               tk_window_spec_eq(a->window, b->window);
}

static bool search_one(const struct tk_doubt *doubt, void *ctx) {
        struct search *search = ctx;
        if (!is_same(doubt, search->name))
                return true;
        search->found = *doubt;
        return false;
}

/* out->amount is 0 when there is none. */
static enum tk_err doubt_get(struct tk_reader *reader, const struct tk_doubt *name, struct tk_doubt *out) {
        struct search search = {.name = name, .found = *name};
        search.found.amount = 0;
        enum tk_err err = tk_reader_doubt_list(reader, name->subject, search_one, &search);
        *out = search.found;
        return err;
}

/* ---- the start ---- */

/* A sum too large to be counted is certainly more than any bound. */
static enum tk_err at_most(enum tk_err err, int64_t *sum) {
        if (err != TK_E_OVERFLOW)
                return err;
        *sum = INT64_MAX;
        return TK_OK;
}

/*
 * What a subject has posted in a window. An id that is no key's is that of an organisation, workspace or
 * user; as another of the three it has no keys, so the largest sum is the right one.
 */
static enum tk_err posted_sum(struct tk_reader *reader, const struct tk_lease *lease, int64_t *posted) {
        struct tk_key key;
        int64_t from, to;
        tk_window_hours(lease->window, lease->number, &from, &to);
        enum tk_err err = tk_reader_key_by_id(reader, lease->subject, &key);
        if (err == TK_OK || err == TK_E_CORRUPT) /* a damaged key is one, and keeps nobody from starting */
                return at_most(tk_reader_usage_sum(reader, lease->subject, lease->meter, from, to, posted),
                               posted);
        if (err == TK_E_NOT_FOUND)
                err = TK_OK;
        *posted = 0;
        for (unsigned group = 0; group < TK_GROUP_NR && err == TK_OK; group++) {
                int64_t sum = 0;
                err = at_most(tk_reader_usage_sum_group(reader, (enum tk_group)group, lease->subject,
                                                        lease->meter, from, to, &sum),
                              &sum);
                if (sum > *posted)
                        *posted = sum;
        }
        return err;
}

/* So long ago that no clock can be set back into it: one that took local time for UTC is 14 hours ahead. */
static bool is_over(struct tk_window_spec window, int64_t number, int64_t now_ms) {
        return tk_window_end_s(window, number) <= tk_floor_div(now_ms, 1000) - TK_DAY_S;
}

/* bound - posted, of which an earlier start may have found a part. */
static enum tk_err put_rest(struct tk_store *store, struct tk_reader *reader, const struct tk_lease *lease,
                            int64_t now_ms, size_t *found) {
        struct tk_doubt doubt = {.subject = lease->subject,
                                 .meter = lease->meter,
                                 .window = lease->window,
                                 .number = lease->number};
        struct tk_doubt known = {.amount = 0};
        int64_t posted = 0;
        enum tk_err err = posted_sum(reader, lease, &posted);
        if (err == TK_OK)
                err = doubt_get(reader, &doubt, &known);
        if (err != TK_OK || posted >= lease->bound || known.amount >= lease->bound - posted)
                return err;
        doubt.amount = lease->bound - posted - known.amount;
        doubt.since_ms = now_ms;
        ++*found;
        return tk_store_doubt_put(store, &doubt);
}

static enum tk_err find_in(struct tk_store *store, struct tk_reader *reader, const struct gather *leases,
                           const struct gather *doubts, int64_t now_ms, size_t *found) {
        const struct tk_lease *lease = leases->at;
        const struct tk_doubt *doubt = doubts->at;
        enum tk_err err = TK_OK;
        for (size_t i = 0; i < leases->nr && err == TK_OK; i++) {
                if (!is_over(lease[i].window, lease[i].number, now_ms))
                        err = put_rest(store, reader, &lease[i], now_ms, found);
                if (err == TK_OK)
                        err = tk_store_lease_drop(store, &lease[i]);
        }
        for (size_t i = 0; i < doubts->nr && err == TK_OK; i++)
                if (is_over(doubt[i].window, doubt[i].number, now_ms))
                        err = tk_store_doubt_drop(store, &doubt[i]);
        return err;
}

/* Begins, and ends as the work went. */
static enum tk_err end(struct tk_store *store, enum tk_err err) {
        if (err == TK_OK)
                return tk_store_commit(store);
        tk_store_rollback(store);
        return err;
}

enum tk_err tk_doubts_find(struct tk_store *store, struct tk_reader *reader, int64_t now_ms, size_t *found) {
        struct gather leases = {.at = NULL}, doubts = {.at = NULL};
        *found = 0;
        enum tk_err err = tk_store_begin(store);
        if (err != TK_OK)
                return err;
        err = leases_read(reader, &leases);
        if (err == TK_OK)
                err = doubts_read(reader, (struct tk_id){{0}}, &doubts);
        if (err == TK_OK)
                err = find_in(store, reader, &leases, &doubts, now_ms, found);
        free(leases.at);
        free(doubts.at);
        return end(store, err);
}

/* ---- the clean stop ---- */

enum tk_err tk_leases_return(struct tk_store *store, struct tk_reader *reader) {
        struct gather leases;
        enum tk_err err = leases_read(reader, &leases);
        if (err == TK_OK && leases.nr > 0 && (err = tk_store_begin(store)) == TK_OK) {
                const struct tk_lease *lease = leases.at;
                for (size_t i = 0; i < leases.nr && err == TK_OK; i++)
                        err = tk_store_lease_drop(store, &lease[i]);
                err = end(store, err);
        }
        free(leases.at);
        return err;
}

/* ---- the operator's word ---- */

#define LEVELS_MAX 4

/* A subject and those above it, from the bottom. */
struct lineage {
        struct tk_id id[LEVELS_MAX];
        unsigned nr;
        bool key; /* the first is a key */
};

/* Whose organisation it is: a workspace or a user knows its own, whatever organisation the store began with.
 */
static enum tk_err org_of(struct tk_reader *reader, struct tk_id subject, struct tk_id *org) {
        struct tk_workspace workspace;
        struct tk_user user;
        enum tk_err err = tk_reader_workspace_by_id(reader, subject, &workspace);
        if (err == TK_OK) {
                *org = workspace.org;
        } else if (err == TK_E_NOT_FOUND) {
                err = tk_reader_user_by_id(reader, subject, &user);
                if (err == TK_OK)
                        *org = user.org;
        }
        return err;
}

static enum tk_err lineage_get(struct tk_reader *reader, struct tk_id subject, struct lineage *out) {
        struct tk_key key;
        *out = (struct lineage){.id = {subject}, .nr = 1};
        enum tk_err err = tk_reader_key_by_id(reader, subject, &key);
        if (err == TK_OK) {
                out->key = true;
                out->id[out->nr++] = key.user;
                out->id[out->nr++] = key.workspace;
                out->id[out->nr++] = key.org;
        } else if (err == TK_E_NOT_FOUND) {
                err = org_of(reader, subject, &out->id[1]);
                out->nr += err == TK_OK;
        }
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

/* In which hour the money was spent, as far as one can know: when it was found open, within the window. */
static int64_t hour_of(const struct tk_doubt *doubt) {
        int64_t from, to, hour = tk_floor_div(doubt->since_ms, TK_HOUR_S * 1000);
        tk_window_hours(doubt->window, doubt->number, &from, &to);
        if (hour >= to)
                hour = to - 1;
        return hour < from ? from : hour;
}

/* As much as is now known to be spent in that hour is no longer in doubt in any window that holds it. */
static enum tk_err shrink(struct tk_store *store, struct tk_doubt *doubt, int64_t hour, int64_t spent) {
        int64_t from, to;
        tk_window_hours(doubt->window, doubt->number, &from, &to);
        if (hour < from || hour >= to)
                return TK_OK;
        enum tk_err err = tk_store_doubt_drop(store, doubt);
        if (err != TK_OK || doubt->amount <= spent)
                return err;
        doubt->amount -= spent;
        return tk_store_doubt_put(store, doubt); /* (2): spent is posted now */
}

static enum tk_err shrink_all(struct tk_store *store, struct tk_reader *reader, struct tk_id subject,
                              const struct tk_doubt *resolved, int64_t hour, int64_t spent) {
        struct gather doubts;
        enum tk_err err = doubts_read(reader, subject, &doubts);
        struct tk_doubt *doubt = doubts.at;
        for (size_t i = 0; i < doubts.nr && err == TK_OK; i++)
                if (doubt[i].meter == resolved->meter && !is_same(&doubt[i], resolved))
                        err = shrink(store, &doubt[i], hour, spent);
        free(doubts.at);
        return err;
}

/*
 * A key's usage is part of every sum above it. Of a user, workspace or organisation it is not known which key
 * spent it, so it is noted of them, and of those above, themselves. A user may have keys in many workspaces,
 * so what they spent is noted in none: there an operator has a word of its own to say.
 */
static enum tk_err note_spent(struct tk_store *store, struct tk_reader *reader, const struct tk_doubt *doubt,
                              int64_t spent) {
        struct lineage up;
        const int64_t hour = hour_of(doubt);
        enum tk_err err = lineage_get(reader, doubt->subject, &up);
        for (unsigned i = 0; i < up.nr && err == TK_OK; i++) {
                if (tk_id_none(up.id[i]))
                        continue;
                if (i == 0 || !up.key)
                        err = tk_store_usage_add(store, up.id[i], doubt->meter, hour, spent);
                if (err == TK_OK)
                        err = shrink_all(store, reader, up.id[i], doubt, hour, spent);
                if (err == TK_OK) /* its sum has changed, also where no doubt was */
                        err = tk_store_change_add(store, up.id[i]);
        }
        return err;
}

struct lease_search {
        const struct tk_doubt *name;
        struct tk_lease found;
        bool is_there;
};

static bool search_lease(const struct tk_lease *lease, void *ctx) {
        struct lease_search *search = ctx;
        const struct tk_doubt *name = search->name;
        if (!tk_id_eq(lease->subject, name->subject) || lease->meter != name->meter ||
            lease->number != name->number || !tk_window_spec_eq(lease->window, name->window))
                return true;
        search->found = *lease;
        search->is_there = true;
        return false;
}

/*
 * A lease of the same window lends on top of the doubt. Its bound comes down by what was not spent, or the
 * next crash would find that open again. The service that holds the lease still counts the doubt as spent, so
 * it has nothing held in that part; when it hears of the word it forgets the bound (account_load.c).
 */
static enum tk_err lend_less(struct tk_store *store, struct tk_reader *reader, const struct tk_doubt *doubt,
                             int64_t freed) {
        struct lease_search search = {.name = doubt};
        enum tk_err err = tk_reader_lease_list(reader, search_lease, &search);
        if (err != TK_OK || !search.is_there || search.found.bound < freed)
                return err;
        search.found.bound -= freed;
        return tk_store_lease_put(store, &search.found);
}

enum tk_err tk_doubt_resolve(struct tk_store *store, struct tk_reader *reader, const struct tk_actor *actor,
                             int64_t now_ms, const struct tk_doubt *name, int64_t spent) {
        struct tk_doubt doubt;
        enum tk_err err = doubt_get(reader, name, &doubt);
        if (err == TK_OK && doubt.amount == 0)
                err = TK_E_NOT_FOUND;
        if (err == TK_OK && (spent < 0 || spent > doubt.amount))
                err = TK_E_RANGE;
        if (err == TK_OK)
                err = tk_store_doubt_drop(store, &doubt);
        if (err == TK_OK)
                err = lend_less(store, reader, &doubt, doubt.amount - spent);
        if (err == TK_OK && spent > 0)
                err = note_spent(store, reader, &doubt, spent);
        return err == TK_OK ? tk_audit_resolved(store, actor, now_ms, &doubt, spent) : err;
}
