/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a lease goes ahead: a few holds at first, more while it is soon used up, less again when it lies
 * idle, never beyond a sixteenth of what is left; and asked for again before anybody has to wait for it.
 */
#include "lib/unit.h"
#include "service/account.h"
#include "service/ticket.h"

#define HOLD INT64_C(100)
#define CAP  (UINT64_C(1) << 60)

struct scene {
        struct tk_account account;
        struct tk_counter counter;
        struct tk_want want;
        uint32_t mono_s;
};

static void open_scene(struct scene *s, uint64_t cap) {
        *s = (struct scene){.mono_s = UINT32_MAX - 5}; /* a clock that is about to wrap */
        s->counter.limit =
                (struct tk_limit){.meter = TK_METER_USD, .window = {.kind = TK_WINDOW_LIFETIME}, .cap = cap};
        s->counter.now = (struct tk_slot){.valid = true};
        tk_lock_init(&s->account.lock);
        s->account.counters = &s->counter;
        s->account.counters_nr = 1;
        s->account.loaded = true;
        s->want.given.of[TK_METER_USD] = HOLD;
        tk_lock(&s->account.lock);
}

static void close_scene(struct scene *s) {
        tk_unlock(&s->account.lock);
        tk_lock_free(&s->account.lock);
}

static int64_t used(const struct scene *s) {
        return s->counter.now.count.posted + s->counter.now.count.held;
}

static int64_t unused(const struct scene *s) {
        return s->counter.now.bound - used(s);
}

/* The lease that the next hold waits for; 0: none. */
static int64_t wait(struct scene *s, bool granted) {
        struct tk_lease lease;
        if (tk_account_lent(&s->account, &s->want) == TK_TRY_OK)
                return 0;
        assert_true(tk_account_lease_next(&s->account, &s->want, s->mono_s, &lease));
        assert_int_equal(lease.bound, s->counter.now.asked);
        tk_account_leased(&s->account, &lease, granted);
        return lease.bound;
}

/* One hold; true: it waited. Leases that run low are renewed. */
static bool take(struct scene *s) {
        struct tk_lease lease;
        bool waited = wait(s, true) > 0;
        if (!tk_account_take(&s->account, &s->want))
                return waited;
        if (tk_account_lease_ahead(&s->account, &s->want, s->mono_s, &lease)) {
                assert_true(lease.bound > s->counter.now.bound);
                tk_account_leased(&s->account, &lease, true);
        }
        return waited;
}

static void it_begins_with_a_few_holds(void **state) {
        struct scene s;
        TK_UNUSED(state);
        open_scene(&s, CAP);
        assert_int_equal(wait(&s, true), HOLD * (1 + TK_LEASE_HOLDS));
        assert_int_equal(wait(&s, true), 0);
        close_scene(&s);
}

static void only_the_first_hold_waits(void **state) {
        static const uint32_t paces_s[] = {0, 1, TK_LEASE_SOON_S, TK_LEASE_IDLE_S, 60, 86400};
        struct scene s;
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof paces_s / sizeof *paces_s; i++) {
                open_scene(&s, CAP);
                assert_true(take(&s));
                for (int n = 0; n < 1000; n++) {
                        s.mono_s += paces_s[i];
                        assert_false(take(&s));
                }
                close_scene(&s);
        }
}

/* What is lent ahead after n holds, so many in a second. */
static int64_t ahead_after(struct scene *s, unsigned n, unsigned in_second) {
        for (unsigned i = 1; i <= n; i++) {
                (void)take(s);
                s->mono_s += i % in_second == 0;
        }
        return unused(s);
}

static void it_grows_with_need_and_not_with_the_cap(void **state) {
        static const uint64_t caps[] = {CAP, UINT64_MAX};
        struct scene s;
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
                open_scene(&s, caps[i]);
                int64_t most = 0;
                for (int n = 0; n < 100; n++) {
                        int64_t ahead = ahead_after(&s, 1000, 100); /* ten seconds */
                        most = ahead > most ? ahead : most;
                }
                assert_in_range(most, 2 * 100 * HOLD, 4 * 200 * HOLD); /* seconds of it, not hours */
                close_scene(&s);
        }
}

static void one_that_is_seldom_used_stays_small(void **state) {
        struct scene s;
        TK_UNUSED(state);
        open_scene(&s, CAP);
        for (int n = 0; n < 1000; n++) {
                s.mono_s += TK_LEASE_SOON_S;
                (void)take(&s);
                assert_in_range(unused(&s), 0, TK_LEASE_HOLDS * HOLD);
        }
        close_scene(&s);
}

/* A burst is forgotten: each time that it lay idle halves what the next lease goes ahead. */
static void it_shrinks_when_it_lies_idle(void **state) {
        struct scene s;
        TK_UNUSED(state);
        open_scene(&s, CAP);
        (void)ahead_after(&s, 100000, 10000);
        const int64_t burst = INT64_C(1) << (s.counter.now.pace - 1);
        assert_true(burst > 10000 * HOLD);
        struct tk_slot after = s.counter.now;
        for (unsigned halves = 0; halves < 70; halves++) {
                int64_t few = TK_LEASE_HOLDS * HOLD, paced = halves < 63 ? burst >> halves : 0;
                s.counter.now = after;
                s.counter.now.count.posted = s.counter.now.bound - s.counter.now.count.held; /* all is used */
                s.mono_s = after.asked_s + (halves ? halves * TK_LEASE_IDLE_S : TK_LEASE_SOON_S);
                assert_int_equal(wait(&s, true) - used(&s) - HOLD, paced > few ? paced : few);
        }
        close_scene(&s);
}

static void one_that_was_not_granted_does_not_grow(void **state) {
        struct scene s;
        TK_UNUSED(state);
        open_scene(&s, CAP);
        for (int n = 0; n < 100; n++)
                assert_int_equal(wait(&s, false), HOLD * (1 + TK_LEASE_HOLDS));
        close_scene(&s);
}

/* Whatever the cap, all of it can be spent, and no lease goes beyond it. */
static void near_the_cap_it_is_exact(void **state) {
        struct scene s;
        TK_UNUSED(state);
        for (uint64_t cap = HOLD; cap < 64 * HOLD; cap += 17) {
                open_scene(&s, cap);
                while (used(&s) + HOLD <= (int64_t)cap) {
                        (void)take(&s);
                        assert_in_range(s.counter.now.bound, used(&s), cap);
                        assert_true(unused(&s) <= ((int64_t)cap - used(&s) + HOLD) / 16);
                }
                s.want.given.of[TK_METER_USD] = (int64_t)cap - used(&s);
                (void)take(&s);
                assert_int_equal(used(&s), cap);
                close_scene(&s);
        }
}

static struct tk_lease lease_of(const struct scene *s) {
        return (struct tk_lease){.meter = TK_METER_USD, .window = s->counter.limit.window};
}

/* Whoever comes late, with a time from before the window was over, must ask anew: its row is gone. */
static void a_lease_that_goes_is_not_believed(void **state) {
        struct scene s;
        struct tk_lease asked;
        TK_UNUSED(state);
        open_scene(&s, CAP);
        (void)take(&s);
        const struct tk_lease lease = lease_of(&s);
        assert_int_equal(tk_account_lent(&s.account, &s.want), TK_TRY_OK);
        assert_true(tk_account_forget_lease(&s.account, &lease));
        assert_int_equal(tk_account_lent(&s.account, &s.want), TK_TRY_NEEDS_LEASE);
        /* One that was asked for before, and was just written, may have gone with it. */
        assert_true(tk_account_lease_next(&s.account, &s.want, s.mono_s, &asked));
        assert_true(tk_account_forget_lease(&s.account, &lease));
        tk_account_leased(&s.account, &asked, true);
        assert_int_equal(tk_account_lent(&s.account, &s.want), TK_TRY_NEEDS_LEASE);
        close_scene(&s);
}

static void a_lease_stays_while_it_is_needed(void **state) {
        struct scene s;
        struct tk_ticket ticket = {.hold = {.at_s = 5}};
        struct tk_place place = {.ticket = &ticket};
        TK_UNUSED(state);
        open_scene(&s, CAP);
        (void)take(&s);
        const struct tk_lease lease = lease_of(&s);
        s.account.live = &place;
        assert_false(tk_account_forget_lease(&s.account, &lease));
        s.account.live = NULL;
        s.account.posting = &place;
        assert_false(tk_account_forget_lease(&s.account, &lease));
        assert_int_equal(tk_account_lent(&s.account, &s.want), TK_TRY_OK);
        s.account.posting = NULL;
        assert_true(tk_account_forget_lease(&s.account, &lease));
        close_scene(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_begins_with_a_few_holds),
                cmocka_unit_test(only_the_first_hold_waits),
                cmocka_unit_test(it_grows_with_need_and_not_with_the_cap),
                cmocka_unit_test(one_that_is_seldom_used_stays_small),
                cmocka_unit_test(it_shrinks_when_it_lies_idle),
                cmocka_unit_test(one_that_was_not_granted_does_not_grow),
                cmocka_unit_test(near_the_cap_it_is_exact),
                cmocka_unit_test(a_lease_that_goes_is_not_believed),
                cmocka_unit_test(a_lease_stays_while_it_is_needed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
