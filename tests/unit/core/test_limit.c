/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: caps in text, and what is left of them, to the last unit.
 */
#include "core/limit.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <inttypes.h>
#include <string.h>

static void caps_are_read_exactly(void **state) {
        static const struct {
                enum tk_meter meter;
                const char *text;
                enum tk_err err;
                uint64_t cap;
        } rows[] = {
                {TK_METER_USD, "9999999999", TK_OK, UINT64_C(9999999999000000000)},
                {TK_METER_DIEM, "9999999999", TK_OK, UINT64_C(9999999999000000000)},
                {TK_METER_VCU, "0", TK_OK, 0},
                {TK_METER_USD, "0.01", TK_OK, 10000000},
                {TK_METER_USD, "-0", TK_OK, 0},
                {TK_METER_USD, "-1", TK_E_RANGE, 77},
                {TK_METER_USD, "99999999999", TK_E_OVERFLOW, 77},
                {TK_METER_USD, "five", TK_E_SYNTAX, 77},
                {TK_METER_TOKENS, "0", TK_OK, 0},
                {TK_METER_TOKENS, "1000000", TK_OK, 1000000},
                {TK_METER_REQUESTS, "18446744073709551615", TK_OK, UINT64_MAX},
                {TK_METER_REQUESTS, "18446744073709551616", TK_E_OVERFLOW, 77},
                {TK_METER_REQUESTS, "-0", TK_OK, 0},
                {TK_METER_REQUESTS, "-5", TK_E_RANGE, 77},
                {TK_METER_REQUESTS, "-99999999999999999999", TK_E_RANGE, 77},
                {TK_METER_REQUESTS, "", TK_E_SYNTAX, 77},
                {TK_METER_REQUESTS, "-", TK_E_SYNTAX, 77},
                {TK_METER_REQUESTS, "+5", TK_E_SYNTAX, 77},
                {TK_METER_REQUESTS, "05", TK_E_SYNTAX, 77},
                {TK_METER_REQUESTS, "00", TK_E_SYNTAX, 77},
                {TK_METER_REQUESTS, "1.0", TK_E_SYNTAX, 77},
                {TK_METER_REQUESTS, "1e3", TK_E_SYNTAX, 77},
                {TK_METER_REQUESTS, "1 000", TK_E_SYNTAX, 77},
                {TK_METER_TOKENS, "1k", TK_E_SYNTAX, 77},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                uint64_t cap = 77;
                enum tk_err err = tk_cap_parse(rows[i].meter, tk_str_of(rows[i].text), &cap);
                if (err != rows[i].err || cap != rows[i].cap)
                        WRONG("%s '%s': %s, %" PRIu64, tk_meter_name(rows[i].meter), rows[i].text,
                              tk_err_name(err), cap);
        }
        uint64_t cap = 77;
        assert_int_equal(tk_cap_parse(TK_METER_TOKENS, (struct tk_str){NULL, 0}, &cap), TK_E_SYNTAX);
}

static void caps_are_written_exactly(void **state) {
        static const struct {
                enum tk_meter meter;
                uint64_t cap;
                const char *text;
        } rows[] = {
                {TK_METER_USD, UINT64_C(9999999999000000000), "9999999999"},
                {TK_METER_USD, 10000000, "0.01"},
                {TK_METER_DIEM, 0, "0"},
                {TK_METER_TOKENS, 0, "0"},
                {TK_METER_TOKENS, 10, "10"},
                {TK_METER_REQUESTS, UINT64_MAX, "18446744073709551615"},
        };
        char text[TK_CAP_TEXT_MAX];
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                memset(text, '#', sizeof text);
                assert_int_equal(tk_cap_text(rows[i].meter, rows[i].cap, text), strlen(rows[i].text));
                assert_string_equal(text, rows[i].text);
        }
}

static void text_and_back_is_the_same(void **state) {
        struct xorshift x = {1};
        (void)state;
        for (int i = 0; i < 100000; i++) {
                enum tk_meter meter = (enum tk_meter)(xorshift_next(&x) % TK_METER_NR);
                uint64_t cap = xorshift_sized(&x, 64), back = 0;
                char text[TK_CAP_TEXT_MAX];
                size_t len = tk_cap_text(meter, cap, text);
                if (tk_cap_parse(meter, (struct tk_str){text, len}, &back) || back != cap)
                        WRONG("%s: %" PRIu64 " became %s", tk_meter_name(meter), cap, text);
        }
}

static void limits_that_are_sound(void **state) {
        struct tk_limit limit = {.window = {.kind = TK_WINDOW_DAY}, .meter = TK_METER_USD};
        (void)state;
        assert_true(tk_limit_ok(&limit)); /* a cap of 0 is a real cap */
        limit.cap = UINT64_MAX;
        assert_true(tk_limit_ok(&limit));
        limit.meter = TK_METER_NR;
        assert_false(tk_limit_ok(&limit));
        limit.meter = TK_METER_TOKENS;
        limit.window.days = 3;
        assert_false(tk_limit_ok(&limit));
        limit.window.kind = TK_WINDOW_EVERY_N_DAYS;
        assert_true(tk_limit_ok(&limit));
        limit.window.kind = TK_WINDOW_NR;
        assert_false(tk_limit_ok(&limit));
}

static void what_is_left(void **state) {
        static const struct {
                const char *name;
                uint64_t cap;
                struct tk_count count;
                int64_t left;
        } rows[] = {
                {"a cap of nothing", 0, {0, 0}, 0},
                {"untouched", 100, {0, 0}, 100},
                {"posted", 100, {30, 0}, 70},
                {"held", 100, {0, 30}, 70},
                {"both", 100, {30, 60}, 10},
                {"to the last unit", 100, {30, 69}, 1},
                {"exhausted", 100, {30, 70}, 0},
                {"overrun", 100, {150, 0}, 0},
                {"the cap was lowered under it", 10, {30, 70}, 0},
                {"the largest that counts", INT64_MAX, {0, 0}, INT64_MAX},
                {"larger than counters count", UINT64_MAX, {0, 0}, INT64_MAX},
                {"the documented maximum", UINT64_C(9999999999000000000), {0, 0}, INT64_MAX},
                {"so that the sum never overflows", UINT64_MAX, {INT64_MAX, 0}, 0},
                {"nor this one", UINT64_MAX, {INT64_MAX - 5, 3}, 2},
                {"everything at its end", UINT64_MAX, {INT64_MAX, INT64_MAX}, 0},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                int64_t left = tk_limit_left(rows[i].cap, &rows[i].count);
                if (left != rows[i].left)
                        WRONG("%s: %" PRId64, rows[i].name, left);
        }
}

static void what_is_admitted(void **state) {
        static const struct {
                const char *name;
                uint64_t cap;
                struct tk_count count;
                int64_t amount;
                bool admits;
        } rows[] = {
                {"less than is left", 100, {30, 60}, 9, true},
                {"exactly what is left", 100, {30, 60}, 10, true},
                {"one more", 100, {30, 60}, 11, false},
                {"nothing while something is left", 100, {30, 69}, 0, true},
                {"nothing when nothing is left", 100, {30, 70}, 0, false},
                {"nothing under a cap of nothing", 0, {0, 0}, 0, false},
                {"one under a cap of nothing", 0, {0, 0}, 1, false},
                {"one after an overrun", 100, {150, 0}, 1, false},
                {"the most", UINT64_MAX, {0, 0}, INT64_MAX, true},
                {"the most on top of one", UINT64_MAX, {1, 0}, INT64_MAX, false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_limit_admits(rows[i].cap, &rows[i].count, rows[i].amount) != rows[i].admits)
                        WRONG("%s", rows[i].name);
}

static void negative_counts_are_a_bug(void **state) {
        static const struct tk_count posted = {-1, 0}, held = {0, -1}, fine = {0, 0};
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_limit_left(10, &posted));
        expect_assert_failure(tk_limit_left(10, &held));
        expect_assert_failure(tk_limit_admits(10, &posted, 1));
        expect_assert_failure(tk_limit_admits(10, &fine, -1));
}

/* Whatever is asked in whatever order, only admitted amounts being held, (2) holds and all can be had. */
static void a_cap_is_a_cap(void **state) {
        struct xorshift x = {2};
        (void)state;
        for (int i = 0; i < 2000; i++) {
                uint64_t cap = xorshift_sized(&x, 64), reach = cap < INT64_MAX ? cap : INT64_MAX;
                struct tk_count count = {0, 0};
                for (int call = 0; call < 100; call++) {
                        int64_t amount = (int64_t)xorshift_sized(&x, 63);
                        if (tk_limit_admits(cap, &count, amount))
                                count.held += amount;
                        if (xorshift_next(&x) % 4 == 0) { /* post a part, the rest returns */
                                int64_t held = xorshift_between(&x, 0, count.held);
                                count.posted += xorshift_between(&x, 0, held);
                                count.held -= held;
                        }
                        if ((uint64_t)count.posted + (uint64_t)count.held > reach)
                                WRONG("case %d went over its cap", i);
                }
                int64_t left = tk_limit_left(cap, &count);
                if (left > 0 && !tk_limit_admits(cap, &count, left))
                        WRONG("case %d cannot be spent to its end", i);
                if ((uint64_t)count.posted + (uint64_t)count.held + (uint64_t)left != reach)
                        WRONG("case %d: something is lost", i);
        }
}

static void which_flags_go_together(void **state) {
        static const struct {
                enum tk_meter meter;
                enum tk_window_kind window;
                unsigned flags;
                bool ok;
        } rows[] = {
                {TK_METER_REQUESTS, TK_WINDOW_SECOND, TK_LIMIT_SLIDING, true},
                {TK_METER_TOKENS, TK_WINDOW_WEEK, TK_LIMIT_SLIDING | TK_LIMIT_OBSERVE, true},
                {TK_METER_TOKENS, TK_WINDOW_MONTH, TK_LIMIT_SLIDING, false},
                {TK_METER_REQUESTS, TK_WINDOW_FLIGHT, TK_LIMIT_SLIDING, false},
                {TK_METER_REQUESTS, TK_WINDOW_FLIGHT, 0, true},
                {TK_METER_USD, TK_WINDOW_DAY, TK_LIMIT_SLIDING, false},
                {TK_METER_USD, TK_WINDOW_DAY, TK_LIMIT_OBSERVE, true},
                {TK_METER_USD, TK_WINDOW_DAY, TK_LIMIT_BALANCE, false},
                {TK_METER_USD, TK_WINDOW_LIFETIME, TK_LIMIT_BALANCE, true},
                {TK_METER_DIEM, TK_WINDOW_LIFETIME, TK_LIMIT_BALANCE, true},
                {TK_METER_REQUESTS, TK_WINDOW_LIFETIME, TK_LIMIT_BALANCE, false},
                {TK_METER_USD, TK_WINDOW_LIFETIME, TK_LIMIT_BALANCE | TK_LIMIT_OBSERVE, false},
                {TK_METER_USD, TK_WINDOW_LIFETIME, 8, false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_limit limit = {
                        .meter = rows[i].meter, .window = {.kind = rows[i].window}, .flags = rows[i].flags};
                if (tk_limit_ok(&limit) != rows[i].ok)
                        WRONG("row %zu", i);
        }
}

static void a_rate_slides_from_one_window_into_the_next(void **state) {
        static const struct {
                int64_t before, now, into, length, used;
        } rows[] = {
                {0, 0, 0, 1000, 0},
                {100, 0, 0, 1000, 100}, /* the boundary itself forgets nothing */
                {100, 0, 500, 1000, 50},
                {100, 7, 500, 1000, 57},
                {100, 0, 999, 1000, 1}, /* rounded up: a rate is never passed by a fraction */
                {100, 0, 1000, 1000, 0},
                {1, 0, 1, 1000, 1},
                {INT64_MAX, INT64_MAX, 0, 604800000, INT64_MAX},
                {INT64_MAX, 0, 302400000, 604800000, INT64_MAX / 2 + 1},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                int64_t used = tk_limit_slide(rows[i].before, rows[i].now, rows[i].into, rows[i].length);
                if (used != rows[i].used)
                        WRONG("row %zu: %" PRId64, i, used);
        }
}

static void when_a_rate_has_room_again(void **state) {
        static const struct {
                const char *name;
                int64_t before, now, most, length, until;
        } rows[] = {
                {"it has room already", 5, 5, 10, 1000, 0},
                {"half of the window before has to go", 10, 0, 5, 1000, 500},
                {"beside what is used now", 10, 3, 5, 1000, 800},
                {"all of the window before has to go", 10, 5, 5, 1000, 1000},
                {"a fraction counts as one", 10, 0, 9, 1000, 100},
                {"only the next window has room", 10, 6, 5, 1000, 1000 + 167},
                {"the whole of two windows", 0, 7, 0, 1000, 2000},
                {"the largest", INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX / 2, INT64_MAX / 2},
        };
        struct xorshift x = {5};
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                int64_t until =
                        tk_limit_slide_until(rows[i].before, rows[i].now, rows[i].most, rows[i].length);
                if (until != rows[i].until)
                        WRONG("%s: %" PRId64, rows[i].name, until);
        }
        /* It is the first moment: room then, none a millisecond before. */
        for (int i = 0; i < 20000; i++) {
                int64_t before = xorshift_between(&x, 0, 50), now = xorshift_between(&x, 0, 50);
                int64_t most = xorshift_between(&x, 0, 60), length = xorshift_between(&x, 1, 1000);
                int64_t until = tk_limit_slide_until(before, now, most, length);
                for (int64_t t = until > 0 ? until - 1 : 0; t <= until; t++) {
                        int64_t used = t <= length ? tk_limit_slide(before, now, t, length)
                                                   : tk_limit_slide(now, 0, t - length, length);
                        if ((used <= most) != (t == until))
                                WRONG("%d: %" PRId64 " used at %" PRId64 " of %" PRId64, i, used, t, until);
                }
        }
}

static void sliding_asserts(void **state) {
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_limit_slide(-1, 0, 0, 1));
        expect_assert_failure(tk_limit_slide(0, 0, 2, 1));
        expect_assert_failure(tk_limit_slide(0, 0, 0, 0));
        expect_assert_failure(tk_limit_slide_until(0, 0, -1, 1));
        expect_assert_failure(tk_limit_slide_until(0, 0, 0, 0));
}

static void a_base_is_of_one_exact_window(void **state) {
        static const struct {
                const char *name;
                struct tk_limit limit;
                bool ok;
        } rows[] = {
                {"month", {.window = {.kind = TK_WINDOW_MONTH}, .base = 5, .base_number = 682}, true},
                {"day", {.window = {.kind = TK_WINDOW_DAY}, .base = 5, .base_number = 20000}, true},
                {"lifetime", {.window = {.kind = TK_WINDOW_LIFETIME}, .base = 5}, true},
                {"a window that is none",
                 {.window = {.kind = TK_WINDOW_LIFETIME}, .base = 5, .base_number = 1},
                 false},
                {"hour", {.window = {.kind = TK_WINDOW_HOUR}, .base = 5, .base_number = 1}, false},
                {"flight",
                 {.window = {.kind = TK_WINDOW_FLIGHT}, .meter = TK_METER_REQUESTS, .base = 5},
                 false},
                {"negative", {.window = {.kind = TK_WINDOW_MONTH}, .base = -1}, false},
                {"number without base", {.window = {.kind = TK_WINDOW_MONTH}, .base_number = 1}, false},
                {"a rate",
                 {.window = {.kind = TK_WINDOW_WEEK},
                  .meter = TK_METER_TOKENS,
                  .flags = TK_LIMIT_SLIDING,
                  .base = 1,
                  .base_number = 1},
                 false},
                {"a balance",
                 {.window = {.kind = TK_WINDOW_LIFETIME}, .flags = TK_LIMIT_BALANCE, .base = 1},
                 false},
        };
        struct tk_limit limit = {
                .window = {.kind = TK_WINDOW_MONTH}, .cap = 10, .base = 7, .base_number = 682};
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_limit_ok(&rows[i].limit) != rows[i].ok)
                        WRONG("%s", rows[i].name);
        assert_int_equal(tk_limit_cap_in(&limit, 682), 17);
        assert_int_equal(tk_limit_base_in(&limit, 682), 7);
        assert_int_equal(tk_limit_cap_in(&limit, 683), 10); /* the next window begins as always */
        assert_int_equal(tk_limit_base_in(&limit, 681), 0);
        limit.cap = UINT64_MAX - 3;
        assert_true(tk_limit_cap_in(&limit, 682) == UINT64_MAX);
}

static void every_kind_of_subject_has_its_name(void **state) {
        static const char *const names[] = {"organisation", "workspace", "user", "key"};
        (void)state;
        assert_int_equal(COUNT(names), TK_SUBJECT_NR);
        for (unsigned i = 0; i < TK_SUBJECT_NR; i++)
                assert_string_equal(tk_subject_kind_name((enum tk_subject_kind)i), names[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(which_flags_go_together),
                TEST(a_rate_slides_from_one_window_into_the_next),
                TEST(sliding_asserts),
                TEST(every_kind_of_subject_has_its_name),
                TEST(caps_are_read_exactly),
                TEST(caps_are_written_exactly),
                TEST(text_and_back_is_the_same),
                TEST(limits_that_are_sound),
                TEST(what_is_left),
                TEST(what_is_admitted),
                TEST(negative_counts_are_a_bug),
                TEST(a_cap_is_a_cap),
                TEST(when_a_rate_has_room_again),
                TEST(a_base_is_of_one_exact_window),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
