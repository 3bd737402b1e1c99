/* SPDX-License-Identifier: Apache-2.0
 *
 * hold: every row of the state table, every invariant broken on purpose, and long random lives.
 */
#include "core/hold.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <inttypes.h>
#include <string.h>

static const struct tk_amounts some = {{100, 0, 0, 1, 50}}, ones = {{1, 1, 1, 1, 1}}, none = {{0}};

enum verb { EXTEND, POST, VOID, EXPIRE, VERB_NR };
static const char *const verbs[] = {"extend", "post", "void", "expire"};

static enum tk_err act(struct tk_hold *hold, enum verb verb, const struct tk_amounts *amounts) {
        switch (verb) {
        case EXTEND:
                return tk_hold_extend(hold, amounts);
        case POST:
                return tk_hold_post(hold, amounts);
        case VOID:
                return tk_hold_void(hold);
        default:
                return tk_hold_expire(hold, amounts);
        }
}

static struct tk_hold opened(void) {
        struct tk_hold hold;
        assert_ok(tk_hold_open(&hold, &some, 1700000000999, 1700000060000));
        return hold;
}

static struct tk_hold in_state(enum tk_hold_state state) {
        struct tk_hold hold = opened();
        if (state == TK_HOLD_POSTED)
                assert_ok(tk_hold_post(&hold, &ones));
        if (state == TK_HOLD_VOIDED)
                assert_ok(tk_hold_void(&hold));
        if (state == TK_HOLD_EXPIRED)
                assert_ok(tk_hold_expire(&hold, &ones));
        assert_int_equal(hold.state, state);
        return hold;
}

static void expect_amounts(const struct tk_amounts *got, int64_t a, int64_t b, int64_t c, int64_t d,
                           int64_t e) {
        const struct tk_amounts want = {{a, b, c, d, e}};
        for (int i = 0; i < TK_METER_NR; i++)
                if (got->of[i] != want.of[i])
                        WRONG("%s is %" PRId64, tk_meter_name((enum tk_meter)i), got->of[i]);
}

static void opening(void **state) {
        struct tk_hold hold;
        (void)state;
        memset(&hold, 0xAA, sizeof hold);
        assert_ok(tk_hold_open(&hold, &some, 1700000000999, 1700000060000));
        assert_int_equal(hold.state, TK_HOLD_PENDING);
        assert_true(hold.at_s == 1700000000);
        assert_true(hold.expires_ms == 1700000060000);
        expect_amounts(&hold.held, 100, 0, 0, 1, 50);
        expect_amounts(&hold.due, 0, 0, 0, 0, 0);
        expect_amounts(&hold.overrun, 0, 0, 0, 0, 0);
        assert_ok(tk_hold_open(&hold, &none, -1, 0));
        assert_true(hold.at_s == -1); /* rounded down, also before 1970 */
}

static void a_negative_amount_opens_nothing(void **state) {
        (void)state;
        for (int i = 0; i < TK_METER_NR; i++) {
                struct tk_amounts amounts = some;
                struct tk_hold hold = {.expires_ms = 7}, before = hold;
                amounts.of[i] = -1;
                assert_int_equal(tk_hold_open(&hold, &amounts, 0, 1), TK_E_RANGE);
                assert_memory_equal(&hold, &before, sizeof hold);
        }
}

/* The whole table: from, verb, to (or CONFLICT and no change). */
static void every_transition(void **state) {
        static const struct {
                enum tk_hold_state from;
                enum verb verb;
                enum tk_err err;
                enum tk_hold_state to;
        } rows[] = {
                {TK_HOLD_PENDING, EXTEND, TK_OK, TK_HOLD_PENDING},
                {TK_HOLD_PENDING, POST, TK_OK, TK_HOLD_POSTED},
                {TK_HOLD_PENDING, VOID, TK_OK, TK_HOLD_VOIDED},
                {TK_HOLD_PENDING, EXPIRE, TK_OK, TK_HOLD_EXPIRED},
                {TK_HOLD_POSTED, EXTEND, TK_E_CONFLICT, TK_HOLD_POSTED},
                {TK_HOLD_POSTED, POST, TK_E_CONFLICT, TK_HOLD_POSTED},
                {TK_HOLD_POSTED, VOID, TK_E_CONFLICT, TK_HOLD_POSTED},
                {TK_HOLD_POSTED, EXPIRE, TK_E_CONFLICT, TK_HOLD_POSTED},
                {TK_HOLD_VOIDED, EXTEND, TK_E_CONFLICT, TK_HOLD_VOIDED},
                {TK_HOLD_VOIDED, POST, TK_E_CONFLICT, TK_HOLD_VOIDED},
                {TK_HOLD_VOIDED, VOID, TK_E_CONFLICT, TK_HOLD_VOIDED},
                {TK_HOLD_VOIDED, EXPIRE, TK_E_CONFLICT, TK_HOLD_VOIDED},
                {TK_HOLD_EXPIRED, EXTEND, TK_E_CONFLICT, TK_HOLD_EXPIRED},
                {TK_HOLD_EXPIRED, POST, TK_E_CONFLICT, TK_HOLD_EXPIRED},
                {TK_HOLD_EXPIRED, VOID, TK_E_CONFLICT, TK_HOLD_EXPIRED},
                {TK_HOLD_EXPIRED, EXPIRE, TK_E_CONFLICT, TK_HOLD_EXPIRED},
        };
        (void)state;
        assert_int_equal(COUNT(rows), TK_HOLD_NR * VERB_NR);
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_hold hold = in_state(rows[i].from), before = hold;
                enum tk_err err = act(&hold, rows[i].verb, &ones);
                if (err != rows[i].err || hold.state != rows[i].to)
                        WRONG("%s %s: %s, then %s", verbs[rows[i].verb], tk_hold_state_name(rows[i].from),
                              tk_err_name(err), tk_hold_state_name(hold.state));
                if (err)
                        assert_memory_equal(&hold, &before, sizeof hold);
                assert_true(hold.at_s == before.at_s); /* a late post lands in its window */
                assert_true(hold.expires_ms == before.expires_ms);
        }
}

static void settling(void **state) {
        static const struct {
                const char *name;
                enum verb verb;
                int64_t used, due, overrun;
        } rows[] = {
                {"post nothing", POST, 0, 0, 0},
                {"post less", POST, 99, 99, 0},
                {"post all", POST, 100, 100, 0},
                {"post one more", POST, 101, 100, 1},
                {"post the most", POST, INT64_MAX, 100, INT64_MAX - 100},
                {"expire unmetered", EXPIRE, 0, 0, 0},
                {"expire in the middle", EXPIRE, 42, 42, 0},
                {"expire over the hold", EXPIRE, 130, 100, 30},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_hold hold = opened();
                struct tk_amounts used = {{rows[i].used}};
                assert_ok(act(&hold, rows[i].verb, &used));
                if (hold.due.of[0] != rows[i].due || hold.overrun.of[0] != rows[i].overrun)
                        WRONG("%s: %" PRId64 " and %" PRId64, rows[i].name, hold.due.of[0],
                              hold.overrun.of[0]);
        }
}

/* An amount on a meter that was not held at all is an overrun, not lost. */
static void each_meter_settles_by_itself(void **state) {
        struct tk_hold hold = opened();
        static const struct tk_amounts used = {{70, 5, 0, 1, 80}};
        (void)state;
        assert_ok(tk_hold_post(&hold, &used));
        expect_amounts(&hold.held, 100, 0, 0, 1, 50);
        expect_amounts(&hold.due, 70, 0, 0, 1, 50);
        expect_amounts(&hold.overrun, 0, 5, 0, 0, 30);
}

static void voiding_charges_nothing(void **state) {
        struct tk_hold hold = opened();
        (void)state;
        assert_ok(tk_hold_void(&hold));
        expect_amounts(&hold.held, 100, 0, 0, 1, 50);
        expect_amounts(&hold.due, 0, 0, 0, 0, 0);
        expect_amounts(&hold.overrun, 0, 0, 0, 0, 0);
}

static void extending_adds(void **state) {
        struct tk_hold hold = opened();
        (void)state;
        assert_ok(tk_hold_extend(&hold, &ones));
        assert_ok(tk_hold_extend(&hold, &none));
        assert_ok(tk_hold_extend(&hold, &ones));
        expect_amounts(&hold.held, 102, 2, 2, 3, 52);
}

static void faults_change_nothing(void **state) {
        (void)state;
        for (int meter = 0; meter < TK_METER_NR; meter++) {
                struct tk_amounts negative = ones, huge = none;
                negative.of[meter] = -1;
                huge.of[meter] = INT64_MAX;
                for (int verb = 0; verb < VERB_NR; verb++) {
                        struct tk_hold hold = opened(), before = hold;
                        if (verb == VOID)
                                continue; /* takes no amounts */
                        if (act(&hold, (enum verb)verb, &negative) != TK_E_RANGE)
                                WRONG("%s of a negative amount", verbs[verb]);
                        assert_memory_equal(&hold, &before, sizeof hold);
                }
                struct tk_hold hold = opened(), before;
                assert_ok(tk_hold_extend(&hold, &ones));
                before = hold;
                assert_int_equal(tk_hold_extend(&hold, &huge), TK_E_OVERFLOW);
                assert_memory_equal(&hold, &before, sizeof hold);
        }
}

/* When several faults apply, the first row of err.tbl is the answer. */
static void faults_have_precedence(void **state) {
        struct tk_amounts negative = {{-1}}, huge = {{INT64_MAX, 0, 0, 0, 0}};
        struct tk_hold hold = in_state(TK_HOLD_POSTED);
        (void)state;
        assert_int_equal(tk_hold_extend(&hold, &negative), TK_E_RANGE);
        assert_int_equal(tk_hold_extend(&hold, &huge), TK_E_OVERFLOW);
        assert_int_equal(tk_hold_post(&hold, &negative), TK_E_RANGE);
        assert_int_equal(tk_hold_expire(&hold, &negative), TK_E_RANGE);
}

/* The two places where an assertion jumps, apart from the loops whose variables it would clobber. */
static void expect_broken(const struct tk_hold *hold) {
        expect_assert_failure(tk_hold_assert(hold));
}

static void expect_refused(struct tk_hold *hold, enum verb verb) {
        expect_assert_failure((void)act(hold, verb, &ones));
}

static void broken_invariants_are_found(void **state) {
        (void)state;
        tk_must_fail = must_mock;
        for (int i = 0; i < TK_METER_NR; i++) {
                struct tk_hold held = in_state(TK_HOLD_POSTED), due = held, overrun = held, above = held;
                held.held.of[i] = -1; /* (1) */
                due.due.of[i] = -1;
                overrun.overrun.of[i] = -1;
                above.due.of[i] = above.held.of[i] + 1; /* (2) */
                expect_broken(&held);
                expect_broken(&due);
                expect_broken(&overrun);
                expect_broken(&above);
                for (int s = 0; s < TK_HOLD_NR; s++) { /* (3) */
                        struct tk_hold charged = in_state((enum tk_hold_state)s), over = charged;
                        charged.held.of[i] = 5;
                        charged.due.of[i] = 1;
                        over.overrun.of[i] = 1;
                        if (s == TK_HOLD_PENDING || s == TK_HOLD_VOIDED) {
                                expect_broken(&charged);
                                expect_broken(&over);
                        } else {
                                tk_hold_assert(&charged);
                                tk_hold_assert(&over);
                        }
                }
        }
        struct tk_hold strange = opened();
        strange.state = TK_HOLD_NR;
        expect_broken(&strange);
        expect_assert_failure(tk_hold_state_name(TK_HOLD_NR));
}

static void every_verb_checks_on_entry(void **state) {
        (void)state;
        tk_must_fail = must_mock;
        for (int verb = 0; verb < VERB_NR; verb++) {
                struct tk_hold broken = opened();
                broken.due.of[0] = 1;
                expect_refused(&broken, (enum verb)verb);
        }
}

static void states_have_names(void **state) {
        static const char *const names[] = {"pending", "posted", "voided", "expired"};
        (void)state;
        assert_int_equal(COUNT(names), TK_HOLD_NR);
        for (int i = 0; i < TK_HOLD_NR; i++)
                assert_string_equal(tk_hold_state_name((enum tk_hold_state)i), names[i]);
}

/* Random verbs; at the end, what was used is due + overrun to the unit, and never charged twice. */
static void random_lives_balance(void **state) {
        struct xorshift x = {1};
        int ends[TK_HOLD_NR] = {0};
        (void)state;
        for (int i = 0; i < 50000; i++) {
                struct tk_hold hold;
                struct tk_amounts first, used = none, held;
                for (int m = 0; m < TK_METER_NR; m++)
                        first.of[m] = (int64_t)xorshift_sized(&x, 62);
                assert_ok(tk_hold_open(&hold, &first, (int64_t)xorshift_sized(&x, 40), INT64_MAX));
                held = first;
                bool settled = false, charged = false;
                for (int step = 0; step < 8; step++) {
                        enum verb verb = (enum verb)(xorshift_next(&x) % (step < 4 ? 2 : VERB_NR));
                        struct tk_amounts amounts;
                        for (int m = 0; m < TK_METER_NR; m++)
                                amounts.of[m] = (int64_t)xorshift_sized(&x, 63);
                        struct tk_hold before = hold;
                        enum tk_err err = act(&hold, verb, &amounts);
                        if (err) {
                                assert_memory_equal(&hold, &before, sizeof hold);
                                assert_int_equal(err == TK_E_CONFLICT || verb == EXTEND, 1);
                                continue;
                        }
                        assert_false(settled); /* (4) */
                        settled = verb != EXTEND;
                        charged = verb == POST || verb == EXPIRE;
                        if (charged)
                                used = amounts;
                        for (int m = 0; m < TK_METER_NR && verb == EXTEND; m++)
                                held.of[m] += amounts.of[m];
                }
                for (int m = 0; m < TK_METER_NR; m++) {
                        assert_true(hold.held.of[m] == held.of[m]);
                        assert_true(hold.due.of[m] + hold.overrun.of[m] == (charged ? used.of[m] : 0));
                        assert_true(hold.overrun.of[m] == 0 || hold.due.of[m] == hold.held.of[m]);
                }
                ends[hold.state]++;
        }
        for (int s = 0; s < TK_HOLD_NR; s++)
                if (ends[s] == 0)
                        WRONG("no life ended %s", tk_hold_state_name((enum tk_hold_state)s));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(opening),
                TEST(a_negative_amount_opens_nothing),
                TEST(every_transition),
                TEST(settling),
                TEST(each_meter_settles_by_itself),
                TEST(voiding_charges_nothing),
                TEST(extending_adds),
                TEST(faults_change_nothing),
                TEST(faults_have_precedence),
                TEST(broken_invariants_are_found),
                TEST(every_verb_checks_on_entry),
                TEST(states_have_names),
                TEST(random_lives_balance),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
