/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of one account. No I/O but the reader that a load is given; no clock; no thread.
 */
#include "service/account.h"

#include "rt/log.h"
#include "service/ticket.h"

#include <stdlib.h>
#include <string.h>

bool tk_counter_is_durable(const struct tk_counter *counter) {
        switch (counter->limit.window.kind) {
        case TK_WINDOW_SECOND:
        case TK_WINDOW_MINUTE:
                return false;
        default:
                return true;
        }
}

static void assert_slot(const struct tk_slot *slot) {
        if (!slot->valid)
                return;
        MUST(slot->count.posted >= 0 && slot->count.held >= 0);      /* (1) */
        MUST(slot->doubt >= 0 && slot->doubt <= slot->count.posted); /* (1) */
}

void tk_account_assert(const struct tk_account *account) {
        tk_lock_assert_held(&account->lock);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                assert_slot(&account->counters[i].now);
                assert_slot(&account->counters[i].before);
        }
}

static struct tk_slot *slot_of(struct tk_counter *counter, int64_t at_s) {
        int64_t number = tk_window_number(counter->limit.window, at_s);
        if (counter->now.valid && counter->now.number == number)
                return &counter->now;
        if (counter->before.valid && counter->before.number == number)
                return &counter->before;
        return NULL;
}

/* Windows that live in memory turn by themselves: what was before the process began is nothing. */
static void turn_in_memory(struct tk_counter *counter, int64_t at_s) {
        int64_t number = tk_window_number(counter->limit.window, at_s);
        if (tk_counter_is_durable(counter) || (counter->now.valid && number <= counter->now.number))
                return;
        counter->before = counter->now;
        counter->now = (struct tk_slot){.valid = true, .number = number, .bound = INT64_MAX};
}

static int64_t min64(int64_t a, int64_t b) {
        return a < b ? a : b;
}

/* Narrows what is given by what is left on this counter; false: not even the least fits. */
static bool narrow(struct tk_want *want, const struct tk_counter *counter, const struct tk_slot *slot) {
        enum tk_meter meter = counter->limit.meter;
        if (want->extends && want->most.of[meter] == 0)
                return true;
        if (!tk_limit_admits(counter->limit.cap, &slot->count, want->least.of[meter]))
                return false;
        int64_t left = tk_limit_left(counter->limit.cap, &slot->count);
        want->given.of[meter] = min64(want->given.of[meter], left);
        want->left.of[meter] = min64(want->left.of[meter], left);
        return true;
}

static bool is_lent(const struct tk_slot *slot, int64_t more) {
        int64_t used = slot->count.posted + slot->count.held;
        return more <= 0 || (used <= slot->bound && more <= slot->bound - used);
}

enum tk_try tk_account_try(struct tk_account *account, struct tk_want *want) {
        tk_account_assert(account);
        if (!account->loaded)
                return TK_TRY_NEEDS_LOAD;
        want->given = want->most;
        for (int m = 0; m < TK_METER_NR; m++)
                want->left.of[m] = INT64_MAX;
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                turn_in_memory(counter, want->at_s);
                const struct tk_slot *slot = slot_of(counter, want->at_s);
                if (!slot)
                        return TK_TRY_NEEDS_LOAD;
                if (!narrow(want, counter, slot)) {
                        want->refused_by = i;
                        return TK_TRY_REFUSED;
                }
        }
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                if (!is_lent(slot_of(counter, want->at_s), want->given.of[counter->limit.meter]))
                        return TK_TRY_NEEDS_LEASE;
        }
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                slot_of(counter, want->at_s)->count.held += want->given.of[counter->limit.meter];
        }
        for (int m = 0; m < TK_METER_NR; m++)
                if (want->left.of[m] != INT64_MAX)
                        want->left.of[m] -= want->given.of[m];
        tk_account_assert(account);
        return TK_TRY_TAKEN;
}

void tk_account_settle(struct tk_account *account, int64_t at_s, const struct tk_amounts *held,
                       const struct tk_amounts *due) {
        tk_account_assert(account);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                struct tk_slot *slot = slot_of(counter, at_s);
                if (!slot)
                        continue; /* a window that is long over: the store still gets the post */
                slot->count.held -= held->of[counter->limit.meter];
                slot->count.posted += due->of[counter->limit.meter]; /* due <= held: cannot overflow */
        }
        tk_account_assert(account);
}

/* ---- leases ---- */

/* Enough for a while, less and less toward the cap, in the end exactly what is needed. */
static int64_t lease_bound(const struct tk_limit *limit, const struct tk_slot *slot, int64_t more) {
        int64_t used = slot->count.posted + slot->count.held;
        int64_t left = tk_limit_left(limit->cap, &slot->count);
        MUST(more <= left);
        int64_t ahead = left / 16;
        return used + more + min64(ahead, left - more);
}

bool tk_account_lease_next(struct tk_account *account, const struct tk_want *want, struct tk_lease *lease) {
        tk_account_assert(account);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                struct tk_slot *slot = slot_of(counter, want->at_s);
                int64_t more = want->given.of[counter->limit.meter];
                if (!slot || slot->asking || is_lent(slot, more))
                        continue;
                slot->asking = true;
                *lease = (struct tk_lease){.subject = account->id,
                                           .meter = counter->limit.meter,
                                           .window = counter->limit.window,
                                           .number = slot->number,
                                           .bound = lease_bound(&counter->limit, slot, more)};
                return true;
        }
        return false;
}

void tk_account_leased(struct tk_account *account, const struct tk_lease *lease, bool granted) {
        tk_account_assert(account);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                if (counter->limit.meter != lease->meter ||
                    !tk_window_spec_eq(counter->limit.window, lease->window))
                        continue;
                struct tk_slot *slots[] = {&counter->now, &counter->before};
                for (int s = 0; s < 2; s++) {
                        if (!slots[s]->valid || slots[s]->number != lease->number)
                                continue;
                        slots[s]->asking = false;
                        if (granted && lease->bound > slots[s]->bound)
                                slots[s]->bound = lease->bound;
                }
        }
}

/* ---- loading ---- */

static bool in_window(struct tk_window_spec spec, int64_t number, int64_t at_s) {
        return tk_window_number(spec, at_s) == number;
}

static enum tk_err add_posting(const struct tk_account *account, const struct tk_limit *limit, int64_t number,
                               int64_t *posted) {
        for (const struct tk_ticket *t = account->posting; t; t = t->next)
                if (in_window(limit->window, number, t->hold.at_s) &&
                    __builtin_add_overflow(*posted, t->hold.due.of[limit->meter], posted))
                        return TK_E_OVERFLOW;
        return TK_OK;
}

static int64_t live_held(const struct tk_account *account, const struct tk_limit *limit, int64_t number) {
        int64_t held = 0;
        for (const struct tk_ticket *t = account->live; t; t = t->next)
                if (in_window(limit->window, number, t->hold.at_s) &&
                    __builtin_add_overflow(held, t->hold.held.of[limit->meter], &held))
                        return INT64_MAX / 2; /* cannot be: each was admitted under a cap; count it as full */
        return held;
}

static int64_t doubt_of(const struct tk_service *service, struct tk_id subject, const struct tk_limit *limit,
                        int64_t number, int64_t *bound) {
        for (size_t i = 0; i < service->doubts_nr; i++) {
                const struct tk_doubt *d = &service->doubts[i];
                if (tk_id_eq(d->lease.subject, subject) && d->lease.meter == limit->meter &&
                    tk_window_spec_eq(d->lease.window, limit->window) && d->lease.number == number) {
                        *bound = d->lease.bound;
                        return d->amount;
                }
        }
        return 0;
}

static enum tk_err load_slot(const struct tk_account *account, const struct tk_service *service,
                             struct tk_reader *reader, const struct tk_limit *limit, int64_t number,
                             struct tk_slot *out) {
        struct tk_slot slot = {.valid = true, .number = number};
        int64_t from, to, doubt;
        enum tk_err err;
        tk_window_hours(limit->window, number, &from, &to);
        err = tk_reader_usage_sum(reader, account->id, limit->meter, from, to, &slot.count.posted);
        if (err == TK_OK)
                err = add_posting(account, limit, number, &slot.count.posted);
        if (err != TK_OK)
                return err;
        doubt = doubt_of(service, account->id, limit, number, &slot.bound);
        if (__builtin_add_overflow(slot.count.posted, doubt, &slot.count.posted))
                return TK_E_OVERFLOW;
        slot.doubt = doubt;
        slot.count.held = live_held(account, limit, number);
        *out = slot;
        return TK_OK;
}

/* What is lent already stays lent: the row on disk still says so. */
static void keep_bound(const struct tk_account *account, const struct tk_limit *limit, struct tk_slot *slot) {
        for (unsigned i = 0; i < account->counters_nr; i++) {
                const struct tk_counter *old = &account->counters[i];
                const struct tk_slot *slots[] = {&old->now, &old->before};
                if (old->limit.meter != limit->meter || !tk_window_spec_eq(old->limit.window, limit->window))
                        continue;
                for (int s = 0; s < 2; s++)
                        if (slots[s]->valid && slots[s]->number == slot->number) {
                                slot->asking = slots[s]->asking;
                                if (slots[s]->bound > slot->bound)
                                        slot->bound = slots[s]->bound;
                        }
        }
}

/* The earliest other window in which a ticket is still live, or now's number when there is none. */
static int64_t number_before(const struct tk_account *account, const struct tk_limit *limit, int64_t number) {
        int64_t found = number;
        for (const struct tk_ticket *t = account->live; t; t = t->next) {
                int64_t n = tk_window_number(limit->window, t->hold.at_s);
                if (n < number && (found == number || n > found))
                        found = n;
        }
        return found;
}

static enum tk_err load_counter(const struct tk_account *account, const struct tk_service *service,
                                struct tk_reader *reader, int64_t now_s, struct tk_counter *counter) {
        const struct tk_limit *limit = &counter->limit;
        int64_t number = tk_window_number(limit->window, now_s);
        enum tk_err err;
        if (!tk_counter_is_durable(counter)) {
                counter->now = (struct tk_slot){.valid = true, .number = number, .bound = INT64_MAX};
                counter->now.count.held = live_held(account, limit, number);
                return TK_OK;
        }
        if ((err = load_slot(account, service, reader, limit, number, &counter->now)) != TK_OK)
                return err;
        keep_bound(account, limit, &counter->now);
        int64_t before = number_before(account, limit, number);
        if (before == number)
                return TK_OK;
        if ((err = load_slot(account, service, reader, limit, before, &counter->before)) != TK_OK)
                return err;
        keep_bound(account, limit, &counter->before);
        return TK_OK;
}

enum tk_err tk_account_load(struct tk_account *account, const struct tk_service *service,
                            struct tk_reader *reader, const struct tk_limit *limits, unsigned limits_nr,
                            int64_t now_s) {
        struct tk_counter *counters = limits_nr ? calloc(limits_nr, sizeof *counters) : NULL;
        tk_account_assert(account);
        if (limits_nr && !counters)
                return TK_E_NO_MEMORY;
        for (unsigned i = 0; i < limits_nr; i++) {
                counters[i].limit = limits[i];
                enum tk_err err = load_counter(account, service, reader, now_s, &counters[i]);
                if (err != TK_OK) {
                        free(counters);
                        return err;
                }
        }
        free(account->counters);
        account->counters = counters;
        account->counters_nr = limits_nr;
        account->loaded = true;
        tk_account_assert(account);
        return TK_OK;
}
