/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of one account: what fits, what is lent, what is taken and settled. No I/O, no clock, no
 * thread. How its counters come out of the store is account_load.c.
 */
#include "service/account.h"

#include "core/time.h"
#include "service/ticket.h"

#include <stdlib.h>

static bool is_short(enum tk_window_kind kind) {
        return kind == TK_WINDOW_SECOND || kind == TK_WINDOW_MINUTE || kind == TK_WINDOW_FLIGHT;
}

bool tk_counter_is_stored(const struct tk_counter *counter) {
        return !is_short(counter->limit.window.kind);
}

bool tk_counter_is_leased(const struct tk_counter *counter) {
        return tk_counter_is_stored(counter) && (counter->limit.flags & ~TK_LIMIT_BALANCE) == 0;
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
                const struct tk_counter *counter = &account->counters[i];
                assert_slot(&counter->now);
                for (unsigned o = 0; counter->others && o < counter->others->nr; o++)
                        assert_slot(&counter->others->at[o]);
        }
}

/* ---- slots ---- */

static struct tk_slot *other_get(const struct tk_counter *counter, int64_t number) {
        struct tk_slots *others = counter->others;
        for (unsigned i = 0; others && i < others->nr; i++)
                if (others->at[i].number == number)
                        return &others->at[i];
        return NULL;
}

struct tk_slot *tk_counter_slot_get(struct tk_counter *counter, int64_t number) {
        if (counter->now.valid && counter->now.number == number)
                return &counter->now;
        return other_get(counter, number);
}

static struct tk_slot *slot_of(struct tk_counter *counter, int64_t at_s) {
        return tk_counter_slot_get(counter, tk_window_number(counter->limit.window, at_s));
}

static const struct tk_slot *slot_get(const struct tk_counter *counter, int64_t at_s) {
        return slot_of((struct tk_counter *)(uintptr_t)counter, at_s);
}

bool tk_counter_keep(struct tk_counter *counter, const struct tk_slot *slot) {
        struct tk_slot *same = other_get(counter, slot->number);
        struct tk_slots *others = counter->others;
        if (same) {
                *same = *slot;
                return true;
        }
        if (!others || others->nr == others->room) {
                unsigned room = others ? others->room + 1 : 1;
                others = realloc(others, sizeof *others + room * sizeof *others->at);
                if (!others)
                        return false;
                if (!counter->others)
                        others->nr = 0;
                others->room = room;
                counter->others = others;
        }
        others->at[others->nr++] = *slot;
        return true;
}

void tk_counters_free(struct tk_counter **counters, unsigned counters_nr) {
        for (unsigned i = 0; i < counters_nr; i++)
                free((*counters)[i].others);
        free(*counters);
        *counters = NULL;
}

static bool is_live(const struct tk_account *account, const struct tk_counter *counter, int64_t number) {
        for (const struct tk_place *p = account->live; p; p = p->next)
                if (tk_window_number(counter->limit.window, p->ticket->hold.at_s) == number)
                        return true;
        return false;
}

static void forget_others(const struct tk_account *account, struct tk_counter *counter) {
        struct tk_slots *others = counter->others;
        unsigned kept = 0;
        if (!others)
                return;
        for (unsigned i = 0; i < others->nr; i++)
                if (is_live(account, counter, others->at[i].number))
                        others->at[kept++] = others->at[i];
        others->nr = kept;
}

/*
 * What is counted in memory turns by itself: everything in the new window goes through this process. The
 * store may know of a window of an hour or longer, even of one that lies ahead when the clock stood back at a
 * start, so such a counter is loaded again instead. False: no memory to keep what is needed; then nothing was
 * forgotten either, because what is forgotten makes room.
 */
static bool turn(const struct tk_account *account, struct tk_counter *counter, int64_t at_s) {
        int64_t number = tk_window_number(counter->limit.window, at_s);
        if (tk_counter_is_stored(counter) || !counter->now.valid || number <= counter->now.number)
                return true;
        bool follows =
                number == counter->now.number + 1; /* kept even if nothing slides: an edit may change that */
        forget_others(account, counter);
        if ((follows || is_live(account, counter, counter->now.number)) &&
            !tk_counter_keep(counter, &counter->now))
                return false;
        /* Alerts of what is this short are one a day, so what was told goes on. */
        counter->now = (struct tk_slot){.valid = true,
                                        .number = number,
                                        .bound = INT64_MAX,
                                        .told = counter->now.told,
                                        .told_number = counter->now.told_number};
        return true;
}

/* ---- what fits ---- */

static int64_t min64(int64_t a, int64_t b) {
        return a < b ? a : b;
}

static int64_t add_capped(int64_t a, int64_t b) {
        int64_t sum;
        return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* The slot of the window before, for that of the current one. Those of earlier windows have none. */
static const struct tk_slot *before_get(const struct tk_counter *counter, const struct tk_slot *slot) {
        return slot == &counter->now ? other_get(counter, slot->number - 1) : NULL;
}

/* What counts against the cap at this time; for a rate the window before weighs in, and whatever it still
 * holds. */
static struct tk_count count_at(const struct tk_counter *counter, const struct tk_slot *slot, int64_t at_ms) {
        const struct tk_slot *before = before_get(counter, slot);
        struct tk_count count = slot->count;
        if (!(counter->limit.flags & TK_LIMIT_SLIDING) || !before)
                return count;
        int64_t start = tk_window_start_s(counter->limit.window, slot->number) * 1000;
        int64_t length = tk_window_end_s(counter->limit.window, slot->number) * 1000 - start;
        int64_t into = at_ms - start;
        if (into < 0)
                into = 0; /* a clock that stepped back */
        if (into > length)
                into = length;
        count.posted = tk_limit_slide(before->count.posted, slot->count.posted, into, length);
        count.held = add_capped(slot->count.held, before->count.held);
        return count;
}

/*
 * A call is charged in one currency, so limits on the others are not asked; one that costs nothing asks them
 * all, because it may not begin where nothing is left.
 */
static bool asks(const struct tk_want *want, enum tk_meter meter) {
        if (want->most.of[meter] > 0)
                return true;
        if (want->extends)
                return false;
        for (int m = 0; tk_meter_is_money(meter) && m < TK_METER_NR; m++)
                if (tk_meter_is_money((enum tk_meter)m) && want->most.of[m] > 0)
                        return false;
        return true;
}

/* What counts of it: not what a reset forgave. */
static int64_t shown(const struct tk_limit *limit, int64_t number, int64_t posted) {
        int64_t base = tk_limit_base_in(limit, number);
        return posted > base ? posted - base : 0;
}

static uint64_t cap_of(const struct tk_counter *counter, const struct tk_slot *slot) {
        return tk_limit_cap_in(&counter->limit, slot->number);
}

/* Narrows what is given by what is left on this counter; false: not even the least fits. */
static bool narrow(struct tk_want *want, const struct tk_counter *counter, struct tk_slot *slot) {
        enum tk_meter meter = counter->limit.meter;
        struct tk_count count = count_at(counter, slot, want->at_ms);
        slot->passed = false;
        if (!asks(want, meter))
                return true;
        bool fits = tk_limit_admits(cap_of(counter, slot), &count, want->least.of[meter]);
        if (counter->limit.flags & TK_LIMIT_OBSERVE) {
                slot->passed = !fits;
                want->observed = want->observed || !fits;
                return true;
        }
        if (!fits)
                return false;
        int64_t left = tk_limit_left(cap_of(counter, slot), &count);
        want->given.of[meter] = min64(want->given.of[meter], left);
        want->left.of[meter] = min64(want->left.of[meter], left);
        return true;
}

enum tk_try tk_account_check(struct tk_account *account, struct tk_want *want, unsigned *index) {
        tk_account_assert(account);
        if (!account->loaded)
                return TK_TRY_NEEDS_LOAD;
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                struct tk_slot *slot =
                        turn(account, counter, want->at_s) ? slot_of(counter, want->at_s) : NULL;
                if (!slot)
                        return TK_TRY_NEEDS_LOAD;
                if (!narrow(want, counter, slot)) {
                        *index = i;
                        return TK_TRY_REFUSED;
                }
        }
        return TK_TRY_OK;
}

static bool is_lent(const struct tk_slot *slot, int64_t more) {
        int64_t used = slot->count.posted + slot->count.held;
        return more <= 0 || (used <= slot->bound && more <= slot->bound - used);
}

enum tk_try tk_account_lent(const struct tk_account *account, const struct tk_want *want) {
        tk_lock_assert_held(&account->lock);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                const struct tk_counter *counter = &account->counters[i];
                if (tk_counter_is_leased(counter) &&
                    !is_lent(slot_get(counter, want->at_s), want->given.of[counter->limit.meter]))
                        return TK_TRY_NEEDS_LEASE;
        }
        return TK_TRY_OK;
}

/* Half of what was lent ahead is left, or less. */
static bool is_low(const struct tk_slot *slot) {
        int64_t used = slot->count.posted + slot->count.held;
        return slot->pace > 0 && !slot->asked && used <= slot->bound &&
               slot->bound - used < (INT64_C(1) << slot->pace) / 4;
}

bool tk_account_take(struct tk_account *account, const struct tk_want *want) {
        bool low = false;
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                struct tk_slot *slot = slot_of(counter, want->at_s);
                slot->count.held = add_capped(slot->count.held, want->given.of[counter->limit.meter]);
                low = low || (want->given.of[counter->limit.meter] > 0 && is_low(slot));
        }
        tk_account_assert(account);
        return low;
}

/* When `least` fits again, if nothing more is taken and all that is held is used in full. */
static int64_t slid_s(const struct tk_counter *counter, const struct tk_slot *slot, int64_t least) {
        const struct tk_slot *before = before_get(counter, slot);
        int64_t cap = counter->limit.cap > INT64_MAX ? INT64_MAX : (int64_t)counter->limit.cap;
        int64_t start_s = tk_window_start_s(counter->limit.window, slot->number);
        int64_t length_ms = (tk_window_end_s(counter->limit.window, slot->number) - start_s) * 1000;
        int64_t was = 0;
        if (least == 0)
                least = 1; /* nothing may be held only where something is left */
        if (least > cap)
                return INT64_MAX;
        if (before)
                was = add_capped(before->count.posted, before->count.held);
        int64_t into_ms = tk_limit_slide_until(was, add_capped(slot->count.posted, slot->count.held),
                                               cap - least, length_ms);
        return start_s + (into_ms + 999) / 1000;
}

struct tk_refusal tk_account_refusal(const struct tk_account *account, unsigned index,
                                     const struct tk_want *want) {
        MUST(index < account->counters_nr);
        const struct tk_counter *counter = &account->counters[index];
        const struct tk_slot *slot = slot_get(counter, want->at_s);
        struct tk_count count = count_at(counter, slot, want->at_ms);
        int64_t least = want->least.of[counter->limit.meter];
        count.posted = shown(&counter->limit, slot->number, count.posted);
        return (struct tk_refusal){.meter = counter->limit.meter,
                                   .subject = account->id,
                                   .subject_kind = account->kind,
                                   .window = counter->limit.window,
                                   .flags = counter->limit.flags,
                                   .cap = counter->limit.cap,
                                   .posted = count.posted,
                                   .held = count.held,
                                   .least = least,
                                   .turns_s = counter->limit.flags & TK_LIMIT_SLIDING
                                                      ? slid_s(counter, slot, least)
                                                      : tk_window_end_s(counter->limit.window, slot->number)};
}

bool tk_account_count(const struct tk_account *account, const struct tk_limit *limit, int64_t at_s,
                      int64_t at_ms, struct tk_count *out, int64_t *doubt) {
        tk_account_assert(account);
        for (unsigned i = 0; account->loaded && i < account->counters_nr; i++) {
                const struct tk_counter *counter = &account->counters[i];
                const struct tk_slot *slot = slot_get(counter, at_s);
                if (!slot || counter->limit.meter != limit->meter ||
                    !tk_window_spec_eq(counter->limit.window, limit->window))
                        continue;
                *out = count_at(counter, slot, at_ms);
                *doubt = slot->doubt;
                out->posted = shown(&counter->limit, slot->number, out->posted);
                return true;
        }
        return false;
}

bool tk_counter_count(const struct tk_counter *counter, int64_t at_s, int64_t at_ms, struct tk_count *out) {
        const struct tk_slot *slot = slot_get(counter, at_s);
        if (slot) {
                *out = count_at(counter, slot, at_ms);
                out->posted = shown(&counter->limit, slot->number, out->posted);
        }
        return slot != NULL;
}

static unsigned reached_in(const struct tk_counter *counter, const struct tk_slot *slot, int64_t at_s,
                           struct tk_count *count) {
        const struct tk_limit *limit = &counter->limit;
        unsigned reached = 0;
        if (limit->window.kind == TK_WINDOW_FLIGHT)
                return 0;
        *count = count_at(counter, slot, at_s * 1000);
        if (limit->alert > 0 && (uint64_t)count->posted >= limit->alert)
                reached |= TK_REACHED_ALERT;
        if ((uint64_t)count->posted >= limit->cap)
                reached |= TK_REACHED_CAP;
        return reached;
}

unsigned tk_counter_reached(const struct tk_counter *counter, int64_t at_s, struct tk_count *count) {
        const struct tk_slot *slot = slot_get(counter, at_s);
        return slot ? reached_in(counter, slot, at_s, count) : 0;
}

bool tk_account_settle(struct tk_account *account, int64_t at_s, const struct tk_amounts *held,
                       const struct tk_amounts *due) {
        struct tk_count count;
        bool reached = false;
        tk_account_assert(account);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                struct tk_slot *slot = slot_of(counter, at_s);
                if (!slot)
                        continue; /* a window that is long over: the store still gets the post */
                slot->count.held -= held->of[counter->limit.meter];
                /* What was in flight has landed. Everything else stays used. */
                if (counter->limit.window.kind != TK_WINDOW_FLIGHT)
                        slot->count.posted = add_capped(slot->count.posted, due->of[counter->limit.meter]);
                reached = reached ||
                          (due->of[counter->limit.meter] > 0 && reached_in(counter, slot, at_s, &count));
        }
        tk_account_assert(account);
        return reached;
}

/* ---- leases ---- */

static uint8_t pace_of(int64_t ahead) {
        return ahead > 0 ? (uint8_t)(64 - __builtin_clzll((unsigned long long)ahead)) : 0;
}

/* What was needed lately, from how fast the last lease was used up. */
static int64_t paced(const struct tk_slot *slot, uint32_t mono_s) {
        uint32_t since_s = mono_s - slot->asked_s;
        if (slot->pace == 0 || since_s / TK_LEASE_IDLE_S >= slot->pace)
                return 0;
        int64_t ahead = INT64_C(1) << (slot->pace - 1);
        return since_s < TK_LEASE_SOON_S ? add_capped(ahead, ahead) : ahead >> since_s / TK_LEASE_IDLE_S;
}

/* (5) Enough for a while, less and less toward the cap, in the end exactly what is needed. */
static int64_t lease_ahead(const struct tk_limit *limit, const struct tk_slot *slot, int64_t more,
                           int64_t hold, uint32_t mono_s) {
        int64_t left = tk_limit_left(tk_limit_cap_in(limit, slot->number), &slot->count);
        int64_t few, pace = paced(slot, mono_s);
        MUST(more <= left);
        if (__builtin_mul_overflow(hold, TK_LEASE_HOLDS, &few))
                few = INT64_MAX;
        return min64(min64(few > pace ? few : pace, left / 16), left - more);
}

/* taken: the want is among what is used. */
static bool lease_of(struct tk_account *account, const struct tk_want *want, bool taken, uint32_t mono_s,
                     struct tk_lease *lease) {
        tk_account_assert(account);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                struct tk_slot *slot = slot_of(counter, want->at_s);
                int64_t hold = want->given.of[counter->limit.meter], more = taken ? 0 : hold;
                if (!tk_counter_is_leased(counter) || !slot || slot->asked ||
                    (taken ? hold == 0 || !is_low(slot) : is_lent(slot, more)))
                        continue;
                int64_t ahead = lease_ahead(&counter->limit, slot, more, hold, mono_s);
                int64_t bound = slot->count.posted + slot->count.held + more + ahead;
                if (taken && bound <= slot->bound)
                        continue;
                slot->asked = bound;
                slot->asked_s = mono_s;
                slot->pace = pace_of(ahead);
                MUST(slot->asked > 0);
                *lease = (struct tk_lease){.subject = account->id,
                                           .meter = counter->limit.meter,
                                           .window = counter->limit.window,
                                           .number = slot->number,
                                           .bound = slot->asked};
                return true;
        }
        return false;
}

bool tk_account_lease_next(struct tk_account *account, const struct tk_want *want, uint32_t mono_s,
                           struct tk_lease *lease) {
        return lease_of(account, want, false, mono_s, lease);
}

bool tk_account_lease_ahead(struct tk_account *account, const struct tk_want *want, uint32_t mono_s,
                            struct tk_lease *lease) {
        return lease_of(account, want, true, mono_s, lease);
}

/* Held by somebody, and not lent as far as the cap goes; false otherwise. */
static bool lacks(const struct tk_counter *counter, const struct tk_slot *slot, int64_t *bound) {
        int64_t cap = counter->limit.cap > INT64_MAX ? INT64_MAX : (int64_t)counter->limit.cap;
        *bound = min64(add_capped(slot->count.posted, slot->count.held), cap);
        return slot->valid && slot->count.held > 0 && !slot->asked && *bound > slot->bound;
}

bool tk_account_lease_held(struct tk_account *account, struct tk_lease *lease) {
        tk_account_assert(account);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                unsigned others_nr = counter->others ? counter->others->nr : 0;
                for (unsigned o = 0; tk_counter_is_leased(counter) && o <= others_nr; o++) {
                        struct tk_slot *slot = o < others_nr ? &counter->others->at[o] : &counter->now;
                        int64_t bound;
                        if (!lacks(counter, slot, &bound))
                                continue;
                        slot->asked = bound;
                        *lease = (struct tk_lease){.subject = account->id,
                                                   .meter = counter->limit.meter,
                                                   .window = counter->limit.window,
                                                   .number = slot->number,
                                                   .bound = bound};
                        return true;
                }
        }
        return false;
}

static bool is_listed(const struct tk_place *places, const struct tk_lease *lease) {
        for (; places; places = places->next)
                if (tk_window_number(lease->window, places->ticket->hold.at_s) == lease->number)
                        return true;
        return false;
}

bool tk_account_forget_lease(struct tk_account *account, const struct tk_lease *lease) {
        tk_account_assert(account);
        if (is_listed(account->live, lease) || is_listed(account->posting, lease))
                return false;
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                struct tk_slot *slot = tk_counter_slot_get(counter, lease->number);
                if (!slot || !tk_counter_is_leased(counter) || counter->limit.meter != lease->meter ||
                    !tk_window_spec_eq(counter->limit.window, lease->window))
                        continue;
                slot->bound = 0;
                slot->asked = 0; /* that may be dropped with it, though it was just written */
                slot->pace = 0;
        }
        return true;
}

void tk_account_leased(struct tk_account *account, const struct tk_lease *lease, bool granted) {
        tk_account_assert(account);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                if (counter->limit.meter != lease->meter ||
                    !tk_window_spec_eq(counter->limit.window, lease->window))
                        continue;
                struct tk_slot *slot = tk_counter_slot_get(counter, lease->number);
                if (!slot || slot->asked != lease->bound)
                        continue;
                slot->asked = 0;
                if (!granted)
                        slot->pace = 0; /* nothing was used of it */
                if (granted && lease->bound > slot->bound)
                        slot->bound = lease->bound;
        }
}
