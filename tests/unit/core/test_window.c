/* SPDX-License-Identifier: Apache-2.0
 *
 * window: borders on the second, read as dates, and the three properties that make windows a
 * partition of time.
 */
#include "core/window.h"

#include "core/time.h"
#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <inttypes.h>
#include <string.h>

#define TIME_MIN_S (INT64_C(-719528) * TK_DAY_S)
#define TIME_MAX_S (INT64_C(2932897) * TK_DAY_S - 1)

static int64_t at(const char *text) {
        int64_t ms;
        if (tk_time_parse(tk_str_of(text), &ms))
                WRONG("%s is no time", text);
        return tk_floor_div(ms, 1000);
}

static struct tk_window_spec plain(enum tk_window_kind kind) {
        return (struct tk_window_spec){.kind = kind};
}

static struct tk_window_spec every(uint16_t days, const char *anchor) {
        return (struct tk_window_spec){
                .kind = TK_WINDOW_EVERY_N_DAYS,
                .days = days,
                .anchor_day = (int32_t)(at(anchor) / TK_DAY_S),
        };
}

/* The window of `now` is [start, end). */
static void check(const char *name, struct tk_window_spec spec, const char *now, const char *start,
                  const char *end) {
        int64_t number = tk_window_number(spec, at(now));
        if (tk_window_start_s(spec, number) != at(start))
                WRONG("%s: the window of %s begins %" PRId64 " s off", name, now,
                      tk_window_start_s(spec, number) - at(start));
        if (tk_window_end_s(spec, number) != at(end))
                WRONG("%s: the window of %s ends %" PRId64 " s off", name, now,
                      tk_window_end_s(spec, number) - at(end));
}

static void windows_by_the_calendar(void **state) {
        static const struct {
                const char *name;
                enum tk_window_kind kind;
                const char *now, *start, *end;
        } rows[] = {
                {"a second", TK_WINDOW_SECOND, "2026-11-15T11:12:13Z", "2026-11-15T11:12:13Z",
                 "2026-11-15T11:12:14Z"},
                {"the last second of a year", TK_WINDOW_SECOND, "2026-12-31T23:59:59Z",
                 "2026-12-31T23:59:59Z", "2027-01-01"},
                {"a minute", TK_WINDOW_MINUTE, "2026-11-15T11:12:13Z", "2026-11-15T11:12:00Z",
                 "2026-11-15T11:13:00Z"},
                {"its first second", TK_WINDOW_MINUTE, "2026-11-15T11:12:00Z", "2026-11-15T11:12:00Z",
                 "2026-11-15T11:13:00Z"},
                {"its last second", TK_WINDOW_MINUTE, "2026-11-15T11:12:59Z", "2026-11-15T11:12:00Z",
                 "2026-11-15T11:13:00Z"},
                {"a minute before 1970", TK_WINDOW_MINUTE, "1969-12-31T23:59:59Z", "1969-12-31T23:59:00Z",
                 "1970-01-01"},
                {"an hour", TK_WINDOW_HOUR, "2026-11-15T11:59:59Z", "2026-11-15T11:00:00Z",
                 "2026-11-15T12:00:00Z"},
                {"the last hour of February", TK_WINDOW_HOUR, "2028-02-29T23:30:00Z", "2028-02-29T23:00:00Z",
                 "2028-03-01"},
                {"a day", TK_WINDOW_DAY, "2026-11-15T23:59:59Z", "2026-11-15", "2026-11-16"},
                {"the first second of a day", TK_WINDOW_DAY, "2026-11-15", "2026-11-15", "2026-11-16"},
                {"a leap day", TK_WINDOW_DAY, "2024-02-29T12:00:00Z", "2024-02-29", "2024-03-01"},
                {"28 February 1900", TK_WINDOW_DAY, "1900-02-28T12:00:00Z", "1900-02-28", "1900-03-01"},
                {"the day before 1970", TK_WINDOW_DAY, "1969-12-31T23:59:59Z", "1969-12-31", "1970-01-01"},
                {"New Year's Eve", TK_WINDOW_DAY, "2026-12-31T23:59:59Z", "2026-12-31", "2027-01-01"},
                {"Sunday 00:00 begins a week", TK_WINDOW_WEEK, "2026-11-15", "2026-11-15", "2026-11-22"},
                {"Saturday 23:59:59 ends it", TK_WINDOW_WEEK, "2026-11-21T23:59:59Z", "2026-11-15",
                 "2026-11-22"},
                {"a Monday is in the week before it", TK_WINDOW_WEEK, "2026-11-16", "2026-11-15",
                 "2026-11-22"},
                {"a week over New Year", TK_WINDOW_WEEK, "2026-12-31T12:00:00Z", "2026-12-27", "2027-01-03"},
                {"a week over a leap day", TK_WINDOW_WEEK, "2024-03-01", "2024-02-25", "2024-03-03"},
                {"a week over 28 February 2100", TK_WINDOW_WEEK, "2100-02-28", "2100-02-28", "2100-03-07"},
                {"the week of 1970-01-01, a Thursday", TK_WINDOW_WEEK, "1970-01-01", "1969-12-28",
                 "1970-01-04"},
                {"the week before it", TK_WINDOW_WEEK, "1969-12-27T23:59:59Z", "1969-12-21", "1969-12-28"},
                {"January", TK_WINDOW_MONTH, "2026-01-31T23:59:59Z", "2026-01-01", "2026-02-01"},
                {"February", TK_WINDOW_MONTH, "2026-02-28T23:59:59Z", "2026-02-01", "2026-03-01"},
                {"February 1900", TK_WINDOW_MONTH, "1900-02-28T23:59:59Z", "1900-02-01", "1900-03-01"},
                {"February 2000", TK_WINDOW_MONTH, "2000-02-29T23:59:59Z", "2000-02-01", "2000-03-01"},
                {"February 2024", TK_WINDOW_MONTH, "2024-02-29T23:59:59Z", "2024-02-01", "2024-03-01"},
                {"February 2100", TK_WINDOW_MONTH, "2100-02-28T23:59:59Z", "2100-02-01", "2100-03-01"},
                {"the first second of a month", TK_WINDOW_MONTH, "2026-03-01", "2026-03-01", "2026-04-01"},
                {"April", TK_WINDOW_MONTH, "2026-04-30T23:59:59Z", "2026-04-01", "2026-05-01"},
                {"December", TK_WINDOW_MONTH, "2026-12-31T23:59:59Z", "2026-12-01", "2027-01-01"},
                {"December 1969", TK_WINDOW_MONTH, "1969-12-31T23:59:59Z", "1969-12-01", "1970-01-01"},
                {"January 0000", TK_WINDOW_MONTH, "0000-01-01", "0000-01-01", "0000-02-01"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                check(rows[i].name, plain(rows[i].kind), rows[i].now, rows[i].start, rows[i].end);
}

static void windows_of_n_days(void **state) {
        static const struct {
                const char *name;
                uint16_t days;
                const char *anchor, *now, *start, *end;
        } rows[] = {
                {"at its anchor", 10, "2026-11-05", "2026-11-05", "2026-11-05", "2026-11-15"},
                {"the last second", 10, "2026-11-05", "2026-11-14T23:59:59Z", "2026-11-05", "2026-11-15"},
                {"the next", 10, "2026-11-05", "2026-11-15", "2026-11-15", "2026-11-25"},
                {"the second before the anchor", 10, "2026-11-05", "2026-11-04T23:59:59Z", "2026-10-26",
                 "2026-11-05"},
                {"over a leap day", 30, "2024-02-10", "2024-03-01", "2024-02-10", "2024-03-11"},
                {"over no leap day", 30, "2100-02-10", "2100-03-01", "2100-02-10", "2100-03-12"},
                {"every day", 1, "2026-11-05", "2026-12-31T12:00:00Z", "2026-12-31", "2027-01-01"},
                {"a week from Monday", 7, "2026-11-16", "2026-11-22T23:59:59Z", "2026-11-16", "2026-11-23"},
                {"before 1970", 10, "1970-01-01", "1969-12-31T23:59:59Z", "1969-12-22", "1970-01-01"},
                {"an anchor before 1970", 400, "1900-03-01", "1901-04-04", "1900-03-01", "1901-04-05"},
                {"the longest", 65535, "2000-01-01", "2179-06-05T23:59:59Z", "2000-01-01", "2179-06-06"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                check(rows[i].name, every(rows[i].days, rows[i].anchor), rows[i].now, rows[i].start,
                      rows[i].end);
}

/* Stored on disk, so the numbers themselves may never change. */
static void numbers_are_stable(void **state) {
        static const struct {
                enum tk_window_kind kind;
                const char *now;
                int64_t number;
        } rows[] = {
                {TK_WINDOW_SECOND, "1970-01-01T00:00:07Z", 7},
                {TK_WINDOW_SECOND, "1969-12-31T23:59:59Z", -1},
                {TK_WINDOW_MINUTE, "1970-01-01T01:00:59Z", 60},
                {TK_WINDOW_MINUTE, "1969-12-31T23:59:59Z", -1},
                {TK_WINDOW_HOUR, "1970-01-02", 24},
                {TK_WINDOW_HOUR, "1969-12-31T22:59:59Z", -2},
                {TK_WINDOW_DAY, "2000-01-01", 10957},
                {TK_WINDOW_DAY, "1969-12-31", -1},
                {TK_WINDOW_WEEK, "1970-01-01", 0},
                {TK_WINDOW_WEEK, "1970-01-04", 1},
                {TK_WINDOW_WEEK, "1969-12-27", -1},
                {TK_WINDOW_MONTH, "1970-01-31", 0},
                {TK_WINDOW_MONTH, "1970-02-01", 1},
                {TK_WINDOW_MONTH, "2026-11-15", 682},
                {TK_WINDOW_MONTH, "1969-12-31", -1},
                {TK_WINDOW_MONTH, "0000-01-01", -23640},
                {TK_WINDOW_LIFETIME, "2026-11-15", 0},
                {TK_WINDOW_LIFETIME, "0000-01-01", 0},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                int64_t number = tk_window_number(plain(rows[i].kind), at(rows[i].now));
                if (number != rows[i].number)
                        WRONG("%s of %s is %" PRId64, tk_window_kind_name(rows[i].kind), rows[i].now, number);
        }
        assert_true(tk_window_number(every(10, "2026-11-05"), at("2026-11-05")) == 0);
        assert_true(tk_window_number(every(10, "2026-11-05"), at("2026-11-04")) == -1);
        assert_true(tk_window_number(every(10, "2026-11-05"), at("2026-11-15")) == 1);
}

static void a_lifetime_has_no_borders(void **state) {
        (void)state;
        assert_true(tk_window_start_s(plain(TK_WINDOW_LIFETIME), 0) == INT64_MIN);
        assert_true(tk_window_end_s(plain(TK_WINDOW_LIFETIME), 0) == INT64_MAX);
        assert_true(tk_window_start_s(plain(TK_WINDOW_FLIGHT), 0) == INT64_MIN);
        assert_true(tk_window_end_s(plain(TK_WINDOW_FLIGHT), 0) == INT64_MAX);
}

static void the_last_windows_of_the_calendar(void **state) {
        static const enum tk_window_kind kinds[] = {TK_WINDOW_SECOND, TK_WINDOW_MINUTE, TK_WINDOW_HOUR,
                                                    TK_WINDOW_DAY, TK_WINDOW_MONTH};
        (void)state;
        for (size_t i = 0; i < COUNT(kinds); i++) {
                struct tk_window_spec spec = plain(kinds[i]);
                assert_true(tk_window_end_s(spec, tk_window_number(spec, TIME_MAX_S)) == TIME_MAX_S + 1);
                assert_true(tk_window_start_s(spec, tk_window_number(spec, TIME_MIN_S)) == TIME_MIN_S);
        }
}

static struct tk_window_spec any_spec(struct xorshift *x) {
        struct tk_window_spec spec = plain((enum tk_window_kind)(xorshift_next(x) % TK_WINDOW_NR));
        if (spec.kind == TK_WINDOW_EVERY_N_DAYS) {
                spec.days = (uint16_t)(xorshift_sized(x, 16) | (xorshift_next(x) % 3 == 0));
                if (spec.days == 0)
                        spec.days = 1;
                spec.anchor_day = (int32_t)xorshift_between(x, -800000, 3000000);
        }
        return spec;
}

/* start <= t < end; number(start) == number; end(n) == start(n + 1): no gap and no overlap. */
static void windows_part_time(void **state) {
        struct xorshift x = {1};
        (void)state;
        for (int i = 0; i < 300000; i++) {
                struct tk_window_spec spec = any_spec(&x);
                if (spec.kind == TK_WINDOW_LIFETIME || spec.kind == TK_WINDOW_FLIGHT)
                        continue;
                /* A margin of 200 years, so that the neighbours exist for the longest windows too. */
                int64_t margin = 73000 * TK_DAY_S;
                int64_t t = xorshift_between(&x, TIME_MIN_S + margin, TIME_MAX_S - margin);
                int64_t n = tk_window_number(spec, t), start = tk_window_start_s(spec, n),
                        end = tk_window_end_s(spec, n);
                if (!(start <= t && t < end))
                        WRONG("%s: %" PRId64 " is outside", tk_window_kind_name(spec.kind), t);
                if (tk_window_number(spec, start) != n || tk_window_number(spec, end - 1) != n)
                        WRONG("%s: the ends of %" PRId64 " are not in it", tk_window_kind_name(spec.kind), n);
                if (tk_window_number(spec, start - 1) != n - 1 || tk_window_number(spec, end) != n + 1)
                        WRONG("%s: the neighbours of %" PRId64, tk_window_kind_name(spec.kind), n);
                if (end != tk_window_start_s(spec, n + 1) || start != tk_window_end_s(spec, n - 1))
                        WRONG("%s: a gap at %" PRId64, tk_window_kind_name(spec.kind), n);
        }
}

/* Twelve months after the other for ten thousand years, each as long as its dates say. */
static void months_have_28_to_31_days(void **state) {
        struct tk_window_spec spec = plain(TK_WINDOW_MONTH);
        int64_t first = tk_window_number(spec, TIME_MIN_S), last = tk_window_number(spec, TIME_MAX_S);
        int64_t edge = TIME_MIN_S;
        (void)state;
        assert_true(last - first + 1 == 120000);
        for (int64_t n = first; n <= last; n++) {
                int64_t start = tk_window_start_s(spec, n), end = tk_window_end_s(spec, n);
                assert_true(start == edge);
                assert_in_range((end - start) / TK_DAY_S, 28, 31);
                assert_int_equal(tk_civil_of_day(start / TK_DAY_S).day, 1);
                edge = end;
        }
        assert_true(edge == TIME_MAX_S + 1);
}

static void what_is_no_window_is_a_bug(void **state) {
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_window_number(plain(TK_WINDOW_NR), 0));
        expect_assert_failure(tk_window_number(plain(TK_WINDOW_EVERY_N_DAYS), 0));
        expect_assert_failure(tk_window_number(plain(TK_WINDOW_DAY), TIME_MIN_S - 1));
        expect_assert_failure(tk_window_number(plain(TK_WINDOW_DAY), TIME_MAX_S + 1));
        expect_assert_failure(tk_window_number(plain(TK_WINDOW_SECOND), INT64_MAX));
        expect_assert_failure(tk_window_start_s(plain(TK_WINDOW_LIFETIME), 1));
        expect_assert_failure(tk_window_start_s(plain(TK_WINDOW_MONTH), INT64_MIN));
        expect_assert_failure(tk_window_end_s(plain(TK_WINDOW_SECOND), INT64_MAX));
        expect_assert_failure(tk_window_end_s(plain(TK_WINDOW_WEEK), INT64_MAX));
        expect_assert_failure(tk_window_kind_name(TK_WINDOW_NR));
}

static void numbers_that_are_windows(void **state) {
        (void)state;
        static const struct {
                const char *name;
                struct tk_window_spec spec;
                int64_t number;
                bool ok;
        } rows[] = {
                {"the day of 1970", {TK_WINDOW_DAY, 0, 0}, 0, true},
                {"the first day", {TK_WINDOW_DAY, 0, 0}, -719528, true},
                {"the day before it", {TK_WINDOW_DAY, 0, 0}, -719529, false},
                {"the last day", {TK_WINDOW_DAY, 0, 0}, 2932896, true},
                {"the day after it", {TK_WINDOW_DAY, 0, 0}, 2932897, false},
                {"the last month", {TK_WINDOW_MONTH, 0, 0}, 8029 * 12 + 11, true},
                {"the month after it", {TK_WINDOW_MONTH, 0, 0}, 8030 * 12, false},
                {"all of time", {TK_WINDOW_LIFETIME, 0, 0}, 0, true},
                {"a second lifetime", {TK_WINDOW_LIFETIME, 0, 0}, 1, false},
                {"far out", {TK_WINDOW_SECOND, 0, 0}, INT64_MAX, false},
                {"far back", {TK_WINDOW_EVERY_N_DAYS, 1, INT32_MIN}, INT64_MIN, false},
                {"of no kind", {TK_WINDOW_NR, 0, 0}, 0, false},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                if (tk_window_number_ok(rows[i].spec, rows[i].number) != rows[i].ok)
                        fail_msg("%s", rows[i].name);
}

static void specs_that_are_sound(void **state) {
        static const struct {
                const char *name;
                struct tk_window_spec spec;
                bool ok;
        } rows[] = {
                {"a day", {TK_WINDOW_DAY, 0, 0}, true},
                {"a day with days", {TK_WINDOW_DAY, 1, 0}, false},
                {"a day with an anchor", {TK_WINDOW_DAY, 0, 1}, false},
                {"a lifetime", {TK_WINDOW_LIFETIME, 0, 0}, true},
                {"every no days", {TK_WINDOW_EVERY_N_DAYS, 0, 5}, false},
                {"every day", {TK_WINDOW_EVERY_N_DAYS, 1, 0}, true},
                {"the widest", {TK_WINDOW_EVERY_N_DAYS, UINT16_MAX, INT32_MIN}, true},
                {"no kind", {TK_WINDOW_NR, 0, 0}, false},
                {"a negative kind", {(enum tk_window_kind)(-1), 0, 0}, false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_window_spec_ok(rows[i].spec) != rows[i].ok)
                        WRONG("%s", rows[i].name);
        struct tk_window_spec ten = {TK_WINDOW_EVERY_N_DAYS, 10, 3};
        assert_true(tk_window_spec_eq(ten, ten));
        assert_false(tk_window_spec_eq(ten, (struct tk_window_spec){TK_WINDOW_EVERY_N_DAYS, 11, 3}));
        assert_false(tk_window_spec_eq(ten, (struct tk_window_spec){TK_WINDOW_EVERY_N_DAYS, 10, 4}));
        assert_false(tk_window_spec_eq(plain(TK_WINDOW_DAY), plain(TK_WINDOW_WEEK)));
}

static void the_widest_spec_does_not_overflow(void **state) {
        static const int32_t anchors[] = {INT32_MIN, INT32_MAX, 0};
        (void)state;
        for (size_t i = 0; i < COUNT(anchors); i++)
                for (unsigned days = 1; days <= UINT16_MAX; days += 21845) {
                        struct tk_window_spec spec = {TK_WINDOW_EVERY_N_DAYS, (uint16_t)days, anchors[i]};
                        int64_t n = tk_window_number(spec, TIME_MAX_S);
                        assert_true(tk_window_start_s(spec, n) <= TIME_MAX_S);
                        assert_true(tk_window_end_s(spec, n) > TIME_MAX_S);
                        n = tk_window_number(spec, TIME_MIN_S);
                        assert_true(tk_window_start_s(spec, n) <= TIME_MIN_S);
                        assert_true(tk_window_end_s(spec, n) > TIME_MIN_S);
                }
}

static void names_are_read_back(void **state) {
        static const char *const names[] = {"second", "minute", "hour", "day", "week", "month", "lifetime"};
        (void)state;
        for (size_t i = 0; i < COUNT(names); i++) {
                struct tk_window_spec spec = {TK_WINDOW_NR, 9, 9};
                assert_true(tk_window_spec_parse(tk_str_of(names[i]), &spec));
                assert_true(tk_window_spec_eq(spec, plain((enum tk_window_kind)i)));
                assert_string_equal(tk_window_kind_name(spec.kind), names[i]);
        }
        assert_string_equal(tk_window_kind_name(TK_WINDOW_EVERY_N_DAYS), "every_n_days");
}

static void every_n_days_is_read(void **state) {
        static const struct {
                const char *text;
                bool ok;
                uint16_t days;
        } rows[] = {
                {"every 10 days", true, 10},
                {"every 1 days", true, 1},
                {"every 65535 days", true, 65535},
                {"every 65536 days", false, 0},
                {"every 0 days", false, 0},
                {"every 99999999999999999999 days", false, 0},
                {"every -1 days", false, 0},
                {"every 1.5 days", false, 0},
                {"every days", false, 0},
                {"every  days", false, 0},
                {"every 10", false, 0},
                {"every 10 day", false, 0},
                {"every 10 days ", false, 0},
                {"every 10  days", false, 0},
                {"every  10 days", false, 0},
                {"Every 10 days", false, 0},
                {"every ", false, 0},
                {"every", false, 0},
                {"every_n_days", false, 0}, /* does not say how many */
                {"", false, 0},
                {"days", false, 0},
                {"Day", false, 0},
                {"year", false, 0},
                {"month ", false, 0},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_window_spec spec = {TK_WINDOW_NR, 9, 9}, want = spec;
                if (tk_window_spec_parse(tk_str_of(rows[i].text), &spec) != rows[i].ok)
                        WRONG("'%s'", rows[i].text);
                if (rows[i].ok)
                        want = (struct tk_window_spec){TK_WINDOW_EVERY_N_DAYS, rows[i].days, 0};
                assert_true(tk_window_spec_eq(spec, want));
        }
        struct tk_window_spec spec;
        assert_false(tk_window_spec_parse((struct tk_str){NULL, 0}, &spec));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(windows_by_the_calendar),
                TEST(windows_of_n_days),
                TEST(numbers_are_stable),
                TEST(a_lifetime_has_no_borders),
                TEST(the_last_windows_of_the_calendar),
                TEST(windows_part_time),
                TEST(months_have_28_to_31_days),
                TEST(what_is_no_window_is_a_bug),
                TEST(numbers_that_are_windows),
                TEST(specs_that_are_sound),
                TEST(the_widest_spec_does_not_overflow),
                TEST(names_are_read_back),
                TEST(every_n_days_is_read),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
