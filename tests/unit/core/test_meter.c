/* SPDX-License-Identifier: Apache-2.0
 *
 * meter: names in both directions, and vector sums that happen whole or not at all.
 */
#include "core/meter.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <string.h>

static void numbers_and_names_are_those_on_disk(void **state) {
        static const struct {
                const char *name;
                int number;
                bool money;
        } rows[] = {{"usd", 0, true},
                    {"diem", 1, true},
                    {"vcu", 2, true},
                    {"requests", 3, false},
                    {"tokens", 4, false}};
        (void)state;
        assert_int_equal(COUNT(rows), TK_METER_NR);
        for (size_t i = 0; i < COUNT(rows); i++) {
                enum tk_meter meter = TK_METER_NR;
                assert_true(tk_meter_parse(tk_str_of(rows[i].name), &meter));
                assert_int_equal(meter, rows[i].number);
                assert_string_equal(tk_meter_name(meter), rows[i].name);
                assert_int_equal(tk_meter_is_money(meter), rows[i].money);
        }
}

static void other_names_are_refused(void **state) {
        static const char *const rows[] = {"", "us", "usdd", "USD", " usd", "eur", "request", "token"};
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                enum tk_meter meter = TK_METER_TOKENS;
                if (tk_meter_parse(tk_str_of(rows[i]), &meter))
                        WRONG("'%s' was read", rows[i]);
                assert_int_equal(meter, TK_METER_TOKENS);
        }
}

static void a_meter_outside_is_a_bug(void **state) {
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_meter_name(TK_METER_NR));
        expect_assert_failure(tk_meter_is_money(TK_METER_NR));
        expect_assert_failure(tk_meter_name((enum tk_meter)(-1)));
}

static void every_meter_is_summed(void **state) {
        struct tk_amounts a = {{1, 2, 3, 4, 5}};
        static const struct tk_amounts b = {{10, 20, 30, 40, 50}};
        (void)state;
        assert_ok(tk_amounts_add(&a, &b));
        for (int i = 0; i < TK_METER_NR; i++)
                assert_int_equal(a.of[i], 11 * (i + 1));
        assert_ok(tk_amounts_sub(&a, &b));
        for (int i = 0; i < TK_METER_NR; i++)
                assert_int_equal(a.of[i], i + 1);
}

static void a_sum_may_be_with_itself(void **state) {
        struct tk_amounts a = {{1, 2, 3, 4, 5}};
        (void)state;
        assert_ok(tk_amounts_add(&a, &a));
        assert_int_equal(a.of[4], 10);
        assert_ok(tk_amounts_sub(&a, &a));
        for (int i = 0; i < TK_METER_NR; i++)
                assert_int_equal(a.of[i], 0);
}

static void an_overflow_in_any_meter_changes_none(void **state) {
        (void)state;
        for (int i = 0; i < TK_METER_NR; i++) {
                struct tk_amounts high = {{1, 1, 1, 1, 1}}, low = {{1, 1, 1, 1, 1}}, ones = {{1, 1, 1, 1, 1}};
                high.of[i] = INT64_MAX;
                low.of[i] = INT64_MIN;
                struct tk_amounts high_before = high, low_before = low;
                assert_int_equal(tk_amounts_add(&high, &ones), TK_E_OVERFLOW);
                assert_int_equal(tk_amounts_sub(&low, &ones), TK_E_OVERFLOW);
                assert_memory_equal(&high, &high_before, sizeof high);
                assert_memory_equal(&low, &low_before, sizeof low);
                assert_ok(tk_amounts_sub(&high, &ones));
                assert_ok(tk_amounts_add(&low, &ones));
        }
}

static void beyond_is_what_the_first_has_more(void **state) {
        const struct tk_amounts to = {{5, 0, 7, 1, INT64_MAX}}, from = {{3, 4, 7, 0, 1}};
        const struct tk_amounts want = {{2, 0, 0, 1, INT64_MAX - 1}};
        const struct tk_amounts got = tk_amounts_beyond(&to, &from), same = tk_amounts_beyond(&to, &to);
        (void)state;
        assert_memory_equal(&got, &want, sizeof want);
        assert_true(tk_amounts_none(&same));
        for (unsigned i = 0; i < TK_METER_NR; i++) {
                struct tk_amounts one = {{0}};
                one.of[i] = 1;
                assert_false(tk_amounts_none(&one));
        }
}

/* Which currency each try asks, and for all of it ('A') or for a part. */
static void currencies_pay_whole_and_then_a_part(void **state) {
        static const struct {
                struct tk_spend_order order;
                const char *tries;
        } rows[] = {
                {{1, {TK_METER_USD}}, "u"},
                {{2, {TK_METER_DIEM, TK_METER_USD}}, "dA uA d u"},
                {{3, {TK_METER_USD, TK_METER_DIEM, TK_METER_VCU}}, "uA dA vA u d v"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                char said[64];
                size_t n = 0;
                for (unsigned try = 0;; try++) {
                        said[n++] = tk_meter_name(tk_spend_currency(&rows[i].order, try))[0];
                        if (tk_spend_wants_all(&rows[i].order, try))
                                said[n++] = 'A';
                        if (!tk_spend_goes_on(&rows[i].order, try))
                                break;
                        assert_true(n + 4 < sizeof said);
                        said[n++] = ' ';
                }
                said[n] = '\0';
                assert_string_equal(said, rows[i].tries);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(numbers_and_names_are_those_on_disk),
                TEST(other_names_are_refused),
                TEST(a_meter_outside_is_a_bug),
                TEST(every_meter_is_summed),
                TEST(beyond_is_what_the_first_has_more),
                TEST(currencies_pay_whole_and_then_a_part),
                TEST(a_sum_may_be_with_itself),
                TEST(an_overflow_in_any_meter_changes_none),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
