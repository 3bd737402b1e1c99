/* SPDX-License-Identifier: Apache-2.0
 *
 * time: every day of ten thousand years against a calendar that only counts, known dates, and the
 * timestamp form with its two kinds of refusal.
 */
#include "core/time.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define YEAR_0    INT64_C(-719528) /* 0000-01-01 */
#define YEAR_9999 INT64_C(2932896) /* 9999-12-31 */

static void known_days(void **state) {
        static const struct {
                int64_t day;
                int year, month, date;
        } rows[] = {
                {0, 1970, 1, 1},         {-1, 1969, 12, 31},      {-719528, 0, 1, 1},   {-719468, 0, 3, 1},
                {-719162, 1, 1, 1},      {-141427, 1582, 10, 15}, {-25567, 1900, 1, 1}, {-25509, 1900, 2, 28},
                {-25508, 1900, 3, 1},    {10956, 1999, 12, 31},   {10957, 2000, 1, 1},  {11016, 2000, 2, 29},
                {11017, 2000, 3, 1},     {19782, 2024, 2, 29},    {19783, 2024, 3, 1},  {20088, 2024, 12, 31},
                {20147, 2025, 2, 28},    {20148, 2025, 3, 1},     {47540, 2100, 2, 28}, {47541, 2100, 3, 1},
                {2932896, 9999, 12, 31},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_civil date = tk_civil_of_day(rows[i].day);
                if (date.year != rows[i].year || date.month != rows[i].month || date.day != rows[i].date)
                        WRONG("day %" PRId64 " is %d-%d-%d", rows[i].day, date.year, date.month, date.day);
                assert_true(tk_day_of_civil(date) == rows[i].day);
        }
}

/* The slow calendar: one day after the other, with a table of month lengths. */
static void next_date(struct tk_civil *date) {
        static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        int y = date->year, length = lengths[date->month - 1];
        if (date->month == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0))
                length = 29;
        if (date->day < length) {
                date->day++;
                return;
        }
        date->day = 1;
        if (date->month < 12) {
                date->month++;
                return;
        }
        date->month = 1;
        date->year++;
}

static void every_day_of_ten_thousand_years(void **state) {
        struct tk_civil want = {0, 1, 1};
        (void)state;
        for (int64_t day = YEAR_0; day <= YEAR_9999; day++, next_date(&want)) {
                struct tk_civil got = tk_civil_of_day(day);
                if (got.year != want.year || got.month != want.month || got.day != want.day)
                        WRONG("day %" PRId64 ": %d-%d-%d", day, got.year, got.month, got.day);
                if (!tk_civil_ok(got) || tk_day_of_civil(got) != day)
                        WRONG("%d-%d-%d does not come back", got.year, got.month, got.day);
        }
        assert_int_equal(want.year, 10000);
}

static void dates_that_do_not_exist(void **state) {
        static const struct {
                struct tk_civil date;
                bool ok;
        } rows[] = {
                {{1900, 2, 28}, true},      {{1900, 2, 29}, false},  {{2000, 2, 29}, true},
                {{2000, 2, 30}, false},     {{2024, 2, 29}, true},   {{2024, 2, 30}, false},
                {{2025, 2, 29}, false},     {{2100, 2, 29}, false},  {{2400, 2, 29}, true},
                {{0, 2, 29}, true},         {{2026, 1, 31}, true},   {{2026, 1, 32}, false},
                {{2026, 4, 30}, true},      {{2026, 4, 31}, false},  {{2026, 6, 31}, false},
                {{2026, 9, 31}, false},     {{2026, 11, 31}, false}, {{2026, 12, 31}, true},
                {{2026, 0, 1}, false},      {{2026, 13, 1}, false},  {{2026, 255, 1}, false},
                {{2026, 1, 0}, false},      {{2026, 1, 255}, false}, {{-1, 12, 31}, false},
                {{9999, 12, 31}, true},     {{10000, 1, 1}, false},  {{INT32_MIN, 1, 1}, false},
                {{INT32_MAX, 1, 1}, false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_civil_ok(rows[i].date) != rows[i].ok)
                        WRONG("%d-%d-%d", rows[i].date.year, rows[i].date.month, rows[i].date.day);
}

static void days_outside_are_a_bug(void **state) {
        char text[TK_TIME_TEXT_LEN + 1];
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_civil_of_day(YEAR_0 - 1));
        expect_assert_failure(tk_civil_of_day(YEAR_9999 + 1));
        expect_assert_failure(tk_civil_of_day(INT64_MIN));
        expect_assert_failure(tk_civil_of_day(INT64_MAX));
        expect_assert_failure(tk_day_of_civil((struct tk_civil){2025, 2, 29}));
        expect_assert_failure(tk_time_text(YEAR_0 * TK_DAY_S * 1000 - 1, text));
        expect_assert_failure(tk_time_text((YEAR_9999 + 1) * TK_DAY_S * 1000, text));
        expect_assert_failure(tk_time_text(INT64_MIN, text));
        expect_assert_failure(tk_time_text(INT64_MAX, text));
        expect_assert_failure(tk_floor_div(1, 0));
        expect_assert_failure(tk_floor_div(1, -1));
}

static void division_rounds_down(void **state) {
        static const struct {
                int64_t a, b, want;
        } rows[] = {
                {0, 7, 0},
                {6, 7, 0},
                {7, 7, 1},
                {-1, 7, -1},
                {-7, 7, -1},
                {-8, 7, -2},
                {-14, 7, -2},
                {-1, 1, -1},
                {INT64_MAX, 1, INT64_MAX},
                {INT64_MIN, 1, INT64_MIN},
                {INT64_MIN, 2, INT64_MIN / 2},
                {INT64_MIN + 1, 2, INT64_MIN / 2},
                {-1, INT64_MAX, -1},
                {INT64_MIN, INT64_MAX, -2},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_floor_div(rows[i].a, rows[i].b) != rows[i].want)
                        WRONG("%" PRId64 " / %" PRId64, rows[i].a, rows[i].b);
}

static void times_are_read(void **state) {
        static const struct {
                const char *text;
                int64_t ms;
        } rows[] = {
                {"1970-01-01", 0},
                {"1970-01-01T00:00:00Z", 0},
                {"1970-01-01T00:00:00.000Z", 0},
                {"1970-01-01T00:00:00.001Z", 1},
                {"1970-01-01T00:00:01Z", 1000},
                {"1970-01-01T00:01:00Z", 60000},
                {"1970-01-01T01:00:00Z", 3600000},
                {"1969-12-31T23:59:59.999Z", -1},
                {"1969-12-31", -86400000},
                {"2023-10-01T12:00:00Z", INT64_C(1696161600000)},
                {"2024-02-29", INT64_C(1709164800000)},
                {"2026-12-31T23:59:59.000Z", INT64_C(1798761599000)},
                {"2038-01-19T03:14:08Z", INT64_C(2147483648000)},
                {"0000-01-01", INT64_C(-62167219200000)},
                {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                int64_t ms = 77;
                enum tk_err err = tk_time_parse(tk_str_of(rows[i].text), &ms);
                if (err || ms != rows[i].ms)
                        WRONG("%s: %s, %" PRId64, rows[i].text, tk_err_name(err), ms);
        }
}

static void other_texts_are_refused(void **state) {
        static const struct {
                const char *text;
                enum tk_err err;
        } rows[] = {
                {"", TK_E_SYNTAX},
                {"2026", TK_E_SYNTAX},
                {"2026-1-01", TK_E_SYNTAX},
                {"2026-01-1", TK_E_SYNTAX},
                {"2026-01-011", TK_E_SYNTAX},
                {"2026/01/01", TK_E_SYNTAX},
                {"20260101", TK_E_SYNTAX},
                {"01-01-2026", TK_E_SYNTAX},
                {"-026-01-01", TK_E_SYNTAX},
                {"+026-01-01", TK_E_SYNTAX},
                {" 026-01-01", TK_E_SYNTAX},
                {"2026-0a-01", TK_E_SYNTAX},
                {"2026-01-01 ", TK_E_SYNTAX},
                {"2026-01-01T00:00Z", TK_E_SYNTAX},
                {"2026-01-01T00:00:00", TK_E_SYNTAX},
                {"2026-01-01T00:00:00z", TK_E_SYNTAX},
                {"2026-01-01t00:00:00Z", TK_E_SYNTAX},
                {"2026-01-01 00:00:00Z", TK_E_SYNTAX},
                {"2026-01-01T00.00.00Z", TK_E_SYNTAX},
                {"2026-01-01T00:00.00Z", TK_E_SYNTAX},
                {"2026-01-01T00:00:0xZ", TK_E_SYNTAX},
                {"2026-01-01T00:00:00.Z", TK_E_SYNTAX},
                {"2026-01-01T00:00:00.1Z", TK_E_SYNTAX},
                {"2026-01-01T00:00:00.12Z", TK_E_SYNTAX},
                {"2026-01-01T00:00:00.1234Z", TK_E_SYNTAX},
                {"2026-01-01T00:00:00,123Z", TK_E_SYNTAX},
                {"2026-01-01T00:00:00.12xZ", TK_E_SYNTAX},
                {"2026-01-01T00:00:00.123z", TK_E_SYNTAX},
                {"2026-01-01T00:00:00+00:00", TK_E_SYNTAX},
                {"2026-01-01T00:00:00+000Z", TK_E_SYNTAX},
                {"2026-13-99T00:00:00?", TK_E_SYNTAX}, /* SYNTAX stands before RANGE */
                {"2026-02-30", TK_E_RANGE},
                {"2026-13-99", TK_E_RANGE},
                {"2026-00-10", TK_E_RANGE},
                {"2026-01-00", TK_E_RANGE},
                {"1900-02-29", TK_E_RANGE},
                {"2100-02-29", TK_E_RANGE},
                {"2025-02-29", TK_E_RANGE},
                {"2026-04-31", TK_E_RANGE},
                {"2026-01-01T24:00:00Z", TK_E_RANGE},
                {"2026-01-01T23:60:00Z", TK_E_RANGE},
                {"2026-01-01T23:59:60Z", TK_E_RANGE},
                {"2016-12-31T23:59:60Z",
                 TK_E_RANGE}, /* there was this leap second; there is no such UNIX time */
                {"2026-01-01T99:99:99.999Z", TK_E_RANGE},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                int64_t ms = 77;
                enum tk_err err = tk_time_parse(tk_str_of(rows[i].text), &ms);
                if (err != rows[i].err || ms != 77)
                        WRONG("'%s': %s, %" PRId64, rows[i].text, tk_err_name(err), ms);
        }
        int64_t ms;
        assert_int_equal(tk_time_parse((struct tk_str){NULL, 0}, &ms), TK_E_SYNTAX);
}

/* Any single byte put in any place is either still a digit in its place, or refused. */
static void one_wrong_byte_anywhere(void **state) {
        static const char *const forms[] = {"2026-11-15", "2026-11-15T11:12:13Z", "2026-11-15T11:12:13.456Z"};
        (void)state;
        for (size_t f = 0; f < COUNT(forms); f++)
                for (size_t at = 0; at < strlen(forms[f]); at++)
                        for (int byte = 0; byte < 256; byte++) {
                                size_t len = strlen(forms[f]);
                                char *text = malloc(len); /* exact, so that a sanitizer sees more */
                                int64_t ms;
                                assert_non_null(text);
                                memcpy(text, forms[f], len);
                                text[at] = (char)byte;
                                enum tk_err err = tk_time_parse((struct tk_str){text, len}, &ms);
                                bool was_digit = forms[f][at] >= '0' && forms[f][at] <= '9';
                                bool is_digit = byte >= '0' && byte <= '9';
                                bool form = was_digit ? is_digit : (char)byte == forms[f][at];
                                free(text);
                                if (form == (err == TK_E_SYNTAX))
                                        WRONG("%s with byte %d at %zu: %s", forms[f], byte, at,
                                              tk_err_name(err));
                        }
}

static void text_and_back_is_the_same(void **state) {
        struct xorshift x = {1};
        char text[TK_TIME_TEXT_LEN + 1];
        (void)state;
        for (int i = 0; i < 200000; i++) {
                int64_t ms =
                        xorshift_between(&x, YEAR_0 * TK_DAY_S * 1000, (YEAR_9999 + 1) * TK_DAY_S * 1000 - 1);
                int64_t back = 0;
                tk_time_text(ms, text);
                if (strlen(text) != TK_TIME_TEXT_LEN || tk_time_parse(tk_str_of(text), &back) || back != ms)
                        WRONG("%" PRId64 " became %s", ms, text);
        }
}

/* Text sorts as time does. */
static void texts_sort_as_times(void **state) {
        struct xorshift x = {2};
        (void)state;
        for (int i = 0; i < 50000; i++) {
                int64_t a = xorshift_between(&x, YEAR_0 * TK_DAY_S * 1000, YEAR_9999 * TK_DAY_S * 1000);
                int64_t b = a + xorshift_between(&x, 1, 86399999);
                char first[TK_TIME_TEXT_LEN + 1], second[TK_TIME_TEXT_LEN + 1];
                tk_time_text(a, first);
                tk_time_text(b, second);
                if (strcmp(first, second) >= 0)
                        WRONG("%s is not before %s", first, second);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(known_days),
                TEST(every_day_of_ten_thousand_years),
                TEST(dates_that_do_not_exist),
                TEST(days_outside_are_a_bug),
                TEST(division_rounds_down),
                TEST(times_are_read),
                TEST(other_texts_are_refused),
                TEST(one_wrong_byte_anywhere),
                TEST(text_and_back_is_the_same),
                TEST(texts_sort_as_times),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
