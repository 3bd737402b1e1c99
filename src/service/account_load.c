/* SPDX-License-Identifier: Apache-2.0
 *
 * How the counters of an account come out of the store.
 *
 * Three parts make up what a window has used, and each amount is in exactly one of them at any time:
 *
 *   the store's sum     posts whose batch was committed
 *   the posting list    posts of this process whose batch was not
 *   doubt               what a crash left open, until its window ends or it is resolved
 *
 * That holds only between two batches on the writer's thread, so loads run there and nowhere else. An
 * organisation, workspace or user has no usage rows of its own: its sum is that of its keys, revoked ones
 * included.
 */
#include "service/account_load.h"

#include "core/time.h"
#include "service/ticket.h"

#include <stdlib.h>

static bool in_window(struct tk_window_spec spec, int64_t number, int64_t at_s) {
        return tk_window_number(spec, at_s) == number;
}

static enum tk_err add_posting(const struct tk_account *account, const struct tk_limit *limit, int64_t number,
                               int64_t *posted) {
        for (const struct tk_place *p = account->posting; p; p = p->next) {
                const struct tk_hold *hold = &p->ticket->hold;
                if (in_window(limit->window, number, hold->at_s) &&
                    __builtin_add_overflow(*posted, hold->due.of[limit->meter], posted))
                        return TK_E_OVERFLOW;
        }
        return TK_OK;
}

static int64_t live_held(const struct tk_account *account, const struct tk_limit *limit, int64_t number) {
        int64_t held = 0;
        for (const struct tk_place *p = account->live; p; p = p->next) {
                const struct tk_hold *hold = &p->ticket->hold;
                if (in_window(limit->window, number, hold->at_s) &&
                    __builtin_add_overflow(held, hold->held.of[limit->meter], &held))
                        return INT64_MAX / 2; /* only where nothing binds; it counts as full */
        }
        return held;
}

struct doubt_search {
        const struct tk_limit *limit;
        int64_t number;
        int64_t amount; /* found */
};

static bool search_doubt(const struct tk_doubt *doubt, void *ctx) {
        struct doubt_search *s = ctx;
        if (doubt->meter != s->limit->meter || doubt->number != s->number ||
            !tk_window_spec_eq(doubt->window, s->limit->window))
                return true;
        s->amount = doubt->amount;
        return false;
}

/*
 * Read before the sum of the same window: a command that resolves it in between turns it into usage, and is
 * then seen twice until the change log is read, but never not at all.
 */
static enum tk_err doubt_of(struct tk_reader *reader, struct tk_id subject, const struct tk_limit *limit,
                            int64_t number, int64_t *doubt) {
        struct doubt_search search = {.limit = limit, .number = number};
        enum tk_err err = tk_reader_doubt_list(reader, subject, search_doubt, &search);
        *doubt = search.amount;
        return err;
}

static enum tk_err stored_sum(const struct tk_account *account, struct tk_reader *reader,
                              const struct tk_limit *limit, int64_t number, int64_t *sum) {
        int64_t from, to;
        tk_window_hours(limit->window, number, &from, &to);
        switch (account->kind) {
        case TK_SUBJECT_ORG:
                return tk_reader_usage_sum_group(reader, TK_GROUP_ORG, account->id, limit->meter, from, to,
                                                 sum);
        case TK_SUBJECT_WORKSPACE:
                return tk_reader_usage_sum_group(reader, TK_GROUP_WORKSPACE, account->id, limit->meter, from,
                                                 to, sum);
        case TK_SUBJECT_USER:
                return tk_reader_usage_sum_group(reader, TK_GROUP_USER, account->id, limit->meter, from, to,
                                                 sum);
        default:
                return tk_reader_usage_sum(reader, account->id, limit->meter, from, to, sum);
        }
}

static enum tk_err load_slot(const struct tk_account *account, struct tk_reader *reader,
                             const struct tk_counter *counter, int64_t number, struct tk_slot *out) {
        const struct tk_limit *limit = &counter->limit;
        struct tk_slot slot = {.valid = true, .number = number};
        enum tk_err err = doubt_of(reader, account->id, limit, number, &slot.doubt);
        if (err == TK_OK)
                err = stored_sum(account, reader, limit, number, &slot.count.posted);
        if (err == TK_OK)
                err = add_posting(account, limit, number, &slot.count.posted);
        if (err != TK_OK)
                return err;
        if (__builtin_add_overflow(slot.count.posted, slot.doubt, &slot.count.posted))
                slot.count.posted = INT64_MAX; /* beyond every cap, and of use to nobody as an error */
        slot.count.held = live_held(account, limit, number);
        if (!tk_counter_is_leased(counter))
                slot.bound = INT64_MAX;
        *out = slot;
        return TK_OK;
}

/* What the counters as they were had for this window, or NULL. */
static const struct tk_slot *slot_before_load(const struct tk_account *account, const struct tk_limit *limit,
                                              int64_t number, unsigned *flags) {
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *old = &account->counters[i];
                if (old->limit.meter != limit->meter || !tk_window_spec_eq(old->limit.window, limit->window))
                        continue;
                *flags = old->limit.flags;
                return tk_counter_slot_get(old, number);
        }
        return NULL;
}

/*
 * What is lent already stays lent: the row on disk still says so. Not when a doubt was resolved, with which a
 * part of the lease went (doubt.c): then the next hold asks anew, for no more than is still needed.
 */
static void keep_bound(const struct tk_account *account, const struct tk_limit *limit, struct tk_slot *slot) {
        unsigned flags = 0;
        const struct tk_slot *old = slot_before_load(account, limit, slot->number, &flags);
        if (!old || flags != limit->flags || slot->doubt < old->doubt)
                return;
        slot->asked = old->asked; /* but not its pace: what is used may have grown without need */
        if (old->bound > slot->bound)
                slot->bound = old->bound;
}

/* A window in memory keeps what it had counted over an edit. */
static struct tk_slot short_slot(const struct tk_account *account, const struct tk_limit *limit,
                                 int64_t number) {
        unsigned flags = 0;
        const struct tk_slot *old = slot_before_load(account, limit, number, &flags);
        struct tk_slot slot = {.valid = true, .number = number, .bound = INT64_MAX};
        slot.count.held = live_held(account, limit, number);
        slot.count.posted = old ? old->count.posted : 0;
        return slot;
}

static enum tk_err load_window(const struct tk_account *account, struct tk_reader *reader,
                               const struct tk_counter *counter, int64_t number, struct tk_slot *out) {
        if (!tk_counter_is_stored(counter)) {
                *out = short_slot(account, &counter->limit, number);
                return TK_OK;
        }
        enum tk_err err = load_slot(account, reader, counter, number, out);
        if (err == TK_OK)
                keep_bound(account, &counter->limit, out);
        return err;
}

static enum tk_err load_other(const struct tk_account *account, struct tk_reader *reader,
                              struct tk_counter *counter, int64_t number) {
        struct tk_slot slot;
        if (tk_counter_slot_get(counter, number))
                return TK_OK;
        enum tk_err err = load_window(account, reader, counter, number, &slot);
        return err != TK_OK || tk_counter_keep(counter, &slot) ? err : TK_E_NO_MEMORY;
}

static enum tk_err load_counter(const struct tk_account *account, struct tk_reader *reader, int64_t now_s,
                                struct tk_counter *counter) {
        const struct tk_limit *limit = &counter->limit;
        int64_t now = tk_window_number(limit->window, now_s);
        enum tk_err err = load_window(account, reader, counter, now, &counter->now);
        bool slides = limit->flags & TK_LIMIT_SLIDING ||
                      (!tk_counter_is_stored(counter) && limit->window.kind != TK_WINDOW_FLIGHT);
        if (err == TK_OK && slides)
                err = load_other(account, reader, counter, now - 1);
        for (const struct tk_place *p = account->live; err == TK_OK && p; p = p->next)
                err = load_other(account, reader, counter,
                                 tk_window_number(limit->window, p->ticket->hold.at_s));
        return err;
}

enum tk_err tk_account_load(struct tk_account *account, struct tk_reader *reader,
                            const struct tk_limit *limits, unsigned limits_nr, int64_t now_s) {
        struct tk_counter *counters = limits_nr ? calloc(limits_nr, sizeof *counters) : NULL;
        tk_account_assert(account);
        MUST(limits_nr <= TK_KEY_LIMITS_MAX);
        if (limits_nr && !counters)
                return TK_E_NO_MEMORY;
        for (unsigned i = 0; i < limits_nr; i++) {
                counters[i].limit = limits[i];
                enum tk_err err = load_counter(account, reader, now_s, &counters[i]);
                if (err != TK_OK) {
                        tk_counters_free(&counters, limits_nr);
                        return err;
                }
        }
        tk_counters_free(&account->counters, account->counters_nr);
        account->counters = counters;
        account->counters_nr = (uint8_t)limits_nr;
        account->loaded = true;
        tk_account_assert(account);
        return TK_OK;
}
