/* SPDX-License-Identifier: Apache-2.0
 *
 * money: decimal text to the last digit, in both directions, and sums at the ends of the range.
 */
#include "core/money.h"

#include "lib/unit.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

static void sums_are_checked(void **state) {
        static const struct {
                const char *name;
                int64_t a, b;
                enum tk_err add, sub;
        } rows[] = {
                {"small", 1, 2, TK_OK, TK_OK},
                {"up to the top", INT64_MAX - 1, 1, TK_OK, TK_OK},
                {"over the top", INT64_MAX, 1, TK_E_OVERFLOW, TK_OK},
                {"down to the bottom", INT64_MIN + 1, -1, TK_OK, TK_OK},
                {"under the bottom", INT64_MIN, -1, TK_E_OVERFLOW, TK_OK},
                {"the bottom less one", INT64_MIN, 1, TK_OK, TK_E_OVERFLOW},
                {"the top less minus one", INT64_MAX, -1, TK_OK, TK_E_OVERFLOW},
                {"nothing less the bottom", 0, INT64_MIN, TK_OK, TK_E_OVERFLOW},
                {"both ends", INT64_MAX, INT64_MIN, TK_OK, TK_E_OVERFLOW},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_money a = {rows[i].a}, b = {rows[i].b}, out = {77};
                if (tk_money_add(a, b, &out) != rows[i].add)
                        WRONG("add: %s", rows[i].name);
                assert_true(out.nano == (rows[i].add ? 77 : rows[i].a + rows[i].b));
                out.nano = 77;
                if (tk_money_sub(a, b, &out) != rows[i].sub)
                        WRONG("sub: %s", rows[i].name);
                assert_true(out.nano == (rows[i].sub ? 77 : rows[i].a - rows[i].b));
        }
}

static void numbers_are_read_exactly(void **state) {
        static const struct {
                const char *text;
                uint64_t nano;
        } rows[] = {
                {"0", 0},
                {"-0", 0},
                {"0.0", 0},
                {"-0.000", 0},
                {"0e0", 0},
                {"0e999999999999999999999", 0},
                {"-0e-999999999999999999999", 0},
                {"0.000e5", 0},
                {"5", 5000000000},
                {"50", 50000000000},
                {"0.1", 100000000},
                {"0.01", 10000000},
                {"10.2424", 10242400000},
                {"0.000000001", 1},
                {"0.000000000999999", 0}, /* cut, not rounded */
                {"0.0000000019", 1},
                {"1.9999999999999999999999999", 1999999999},
                {"0.29", 290000000}, /* not a binary fraction */
                {"1.005", 1005000000},
                {"9999999999", UINT64_C(9999999999000000000)}, /* the documented maximum of a cap */
                {"9999999999.0", UINT64_C(9999999999000000000)},
                {"9.999999999e9", UINT64_C(9999999999000000000)},
                {"9999999998.999999999", UINT64_C(9999999998999999999)},
                {"9223372036.854775807", INT64_MAX},
                {"9223372036.854775808", UINT64_C(9223372036854775808)},
                {"18446744073.709551615", UINT64_MAX},
                {"18446744073.7095516159", UINT64_MAX},
                {"1e9", UINT64_C(1000000000000000000)},
                {"1E9", UINT64_C(1000000000000000000)},
                {"1e+9", UINT64_C(1000000000000000000)},
                {"1e0", 1000000000},
                {"1e-9", 1},
                {"1e-10", 0},
                {"19e-10", 1},
                {"1e-999999999999999999999", 0},
                {"1e-00000000000000000009", 1},
                {"123456789e-9", 123456789},
                {"123456789123e-12", 123456789},
                {"0.000000000000000000000000000001e30", 1000000000},
                {"0.5e1", 5000000000},
                {"1.5e-1", 150000000},
                {"100000000000000000000000000000000e-32", 1000000000},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                uint64_t nano = 77;
                enum tk_err err = tk_nano_parse(tk_str_of(rows[i].text), &nano);
                if (err || nano != rows[i].nano)
                        WRONG("%s: %s, %" PRIu64, rows[i].text, tk_err_name(err), nano);
        }
}

/* A part of a nano counts as one, however small; nothing else is touched. */
static void charges_are_read_upward(void **state) {
        static const struct {
                const char *text;
                uint64_t nano;
                enum tk_err err;
        } rows[] = {
                {"0", 0, TK_OK},
                {"0e-99", 0, TK_OK},
                {"0.000000001", 1, TK_OK},
                {"0.0000000010000000000", 1, TK_OK},
                {"0.0000000010000000001", 2, TK_OK},
                {"0.0000000000000000001", 1, TK_OK},
                {"1e-9", 1, TK_OK},
                {"1e-10", 1, TK_OK},
                {"1e-999999999999999999999", 1, TK_OK},
                {"123e-11", 2, TK_OK},
                {"100e-11", 1, TK_OK},
                {"1.9999999999", 2000000000, TK_OK},
                {"5", 5000000000, TK_OK},
                {"18446744073.709551615", UINT64_MAX, TK_OK},
                {"18446744073.7095516150", UINT64_MAX, TK_OK},
                {"18446744073.7095516151", 0, TK_E_OVERFLOW},
                {"-1", 0, TK_E_RANGE},
                {"1,5", 0, TK_E_SYNTAX},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                uint64_t nano = 0;
                if (tk_nano_parse_up(tk_str_of(rows[i].text), &nano) != rows[i].err || nano != rows[i].nano)
                        WRONG("%s: %" PRIu64, rows[i].text, nano);
        }
}

static void other_texts_are_refused(void **state) {
        static const struct {
                const char *text;
                enum tk_err err;
        } rows[] = {
                {"", TK_E_SYNTAX},
                {"-", TK_E_SYNTAX},
                {"+1", TK_E_SYNTAX},
                {" 1", TK_E_SYNTAX},
                {"1 ", TK_E_SYNTAX},
                {"1\n", TK_E_SYNTAX},
                {".5", TK_E_SYNTAX},
                {"5.", TK_E_SYNTAX},
                {"-.5", TK_E_SYNTAX},
                {"00", TK_E_SYNTAX},
                {"007", TK_E_SYNTAX},
                {"-01", TK_E_SYNTAX},
                {"01.5", TK_E_SYNTAX},
                {"1e", TK_E_SYNTAX},
                {"1e+", TK_E_SYNTAX},
                {"1e-", TK_E_SYNTAX},
                {"1e+-1", TK_E_SYNTAX},
                {"1e1.5", TK_E_SYNTAX},
                {"1.e1", TK_E_SYNTAX},
                {"e1", TK_E_SYNTAX},
                {"1ee1", TK_E_SYNTAX},
                {"1.2.3", TK_E_SYNTAX},
                {"--1", TK_E_SYNTAX},
                {"1,5", TK_E_SYNTAX},
                {"1_000", TK_E_SYNTAX},
                {"0x10", TK_E_SYNTAX},
                {"NaN", TK_E_SYNTAX},
                {"nan", TK_E_SYNTAX},
                {"Infinity", TK_E_SYNTAX},
                {"-inf", TK_E_SYNTAX},
                {"null", TK_E_SYNTAX},
                {"$5", TK_E_SYNTAX},
                {"1/", TK_E_SYNTAX},
                {"1:", TK_E_SYNTAX},
                {"\xD9\xA1", TK_E_SYNTAX},
                {"-1", TK_E_RANGE},
                {"-0.01", TK_E_RANGE},
                {"-0.0000000000001", TK_E_RANGE}, /* negative, though it would be cut to nothing */
                {"-1e-99", TK_E_RANGE},
                {"-1e99", TK_E_RANGE}, /* RANGE stands before OVERFLOW */
                {"18446744073.709551616", TK_E_OVERFLOW},
                {"18446744074", TK_E_OVERFLOW},
                {"99999999999", TK_E_OVERFLOW},
                {"1e11", TK_E_OVERFLOW},
                {"1e99", TK_E_OVERFLOW},
                {"0.0001e15", TK_E_OVERFLOW},
                {"1e999999999999999999999999", TK_E_OVERFLOW},
                {"100000000000000000000000000000000000000000", TK_E_OVERFLOW},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                uint64_t nano = 77;
                enum tk_err err = tk_nano_parse(tk_str_of(rows[i].text), &nano);
                if (err != rows[i].err || nano != 77)
                        WRONG("'%s': %s, %" PRIu64, rows[i].text, tk_err_name(err), nano);
        }
}

static void a_span_is_read_to_its_end_only(void **state) {
        uint64_t nano;
        (void)state;
        assert_ok(tk_nano_parse((struct tk_str){"123", 2}, &nano));
        assert_true(nano == 12 * (uint64_t)TK_NANO);
        assert_int_equal(tk_nano_parse((struct tk_str){"1.5", 2}, &nano), TK_E_SYNTAX);
        assert_int_equal(tk_nano_parse((struct tk_str){"1\0", 2}, &nano), TK_E_SYNTAX);
        assert_int_equal(tk_nano_parse((struct tk_str){NULL, 0}, &nano), TK_E_SYNTAX);
}

/* A megabyte of digits is an answer, not a wait. */
static void long_numbers_are_read(void **state) {
        size_t size = 1 << 20;
        char *text = malloc(size);
        uint64_t nano = 0;
        (void)state;
        assert_non_null(text);
        memset(text, '9', size);
        assert_int_equal(tk_nano_parse((struct tk_str){text, size}, &nano), TK_E_OVERFLOW);
        memset(text, '0', size);
        assert_int_equal(tk_nano_parse((struct tk_str){text, size}, &nano), TK_E_SYNTAX);
        text[1] = '.';
        text[size - 1] = '1';
        assert_ok(tk_nano_parse((struct tk_str){text, size}, &nano));
        assert_true(nano == 0);
        memcpy(text + size - 8, "1e999999", 8);
        assert_ok(tk_nano_parse((struct tk_str){text, size}, &nano)); /* still below a nano */
        assert_true(nano == 0);
        memcpy(text + size - 9, "1e9999999", 9);
        assert_int_equal(tk_nano_parse((struct tk_str){text, size}, &nano), TK_E_OVERFLOW);
        free(text);
}

static void money_ends_at_int64(void **state) {
        struct tk_money m = {77};
        (void)state;
        assert_int_equal(tk_money_parse(TK_STR("9223372036.854775808"), &m), TK_E_OVERFLOW);
        assert_int_equal(tk_money_parse(TK_STR("9999999999"), &m), TK_E_OVERFLOW);
        assert_int_equal(tk_money_parse(TK_STR("1e99"), &m), TK_E_OVERFLOW);
        assert_int_equal(tk_money_parse(TK_STR("-1"), &m), TK_E_RANGE);
        assert_int_equal(tk_money_parse(TK_STR("one"), &m), TK_E_SYNTAX);
        assert_true(m.nano == 77);
        assert_ok(tk_money_parse(TK_STR("9223372036.854775807"), &m));
        assert_true(m.nano == INT64_MAX);
        assert_ok(tk_money_parse(TK_STR("12.5"), &m));
        assert_true(m.nano == INT64_C(12500000000));
}

static void texts_are_shortest_and_exact(void **state) {
        static const struct {
                int64_t nano;
                const char *text, *four;
        } rows[] = {
                {0, "0", "0.0000"},
                {1, "0.000000001", "0.0000"},
                {-1, "-0.000000001", "0.0000"},
                {10000000, "0.01", "0.0100"},
                {-1500000000, "-1.5", "-1.5000"},
                {5000000000, "5", "5.0000"},
                {10242400000, "10.2424", "10.2424"},
                {42231500000, "42.2315", "42.2315"},
                {49999, "0.000049999", "0.0000"},
                {50000, "0.00005", "0.0001"},
                {-49999, "-0.000049999", "0.0000"},
                {-50000, "-0.00005", "-0.0001"},
                {149999, "0.000149999", "0.0001"},
                {150000, "0.00015", "0.0002"},
                {999950000, "0.99995", "1.0000"},
                {999949999, "0.999949999", "0.9999"},
                {9999999999, "9.999999999", "10.0000"},
                {1000000001, "1.000000001", "1.0000"},
                {100000000000, "100", "100.0000"},
                {INT64_MAX, "9223372036.854775807", "9223372036.8548"},
                {INT64_MIN, "-9223372036.854775808", "-9223372036.8548"},
        };
        char text[TK_MONEY_TEXT_MAX];
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_money m = {rows[i].nano};
                memset(text, '#', sizeof text);
                assert_int_equal(tk_money_text(m, text), strlen(rows[i].text));
                assert_string_equal(text, rows[i].text);
                memset(text, '#', sizeof text);
                assert_int_equal(tk_money_text4(m, text), strlen(rows[i].four));
                assert_string_equal(text, rows[i].four);
        }
        assert_int_equal(tk_nano_text(UINT64_MAX, text), 21);
        assert_string_equal(text, "18446744073.709551615");
        tk_nano_text(UINT64_C(9999999999000000000), text);
        assert_string_equal(text, "9999999999");
}

static void text_and_back_is_the_same(void **state) {
        struct xorshift x = {1};
        (void)state;
        for (int i = 0; i < 200000; i++) {
                uint64_t nano = xorshift_sized(&x, 64), back = 0;
                char text[TK_MONEY_TEXT_MAX];
                size_t len = tk_nano_text(nano, text);
                if (tk_nano_parse((struct tk_str){text, len}, &back) || back != nano)
                        WRONG("%" PRIu64 " became %s", nano, text);
                if (strchr(text, '.') && text[len - 1] == '0')
                        WRONG("%s is not the shortest", text);
        }
}

/* The same number with its point moved by an exponent is the same amount. */
static void exponents_only_move_the_point(void **state) {
        struct xorshift x = {2};
        (void)state;
        for (int i = 0; i < 100000; i++) {
                uint64_t digits = xorshift_sized(&x, 60), plain = 0, moved = 0;
                int places = (int)xorshift_between(&x, 0, 25);
                char text[128];
                snprintf(text, sizeof text, "%" PRIu64 "e-%d", digits, places);
                enum tk_err first = tk_nano_parse(tk_str_of(text), &plain);
                snprintf(text, sizeof text, "%" PRIu64 "00000e-%d", digits, places + 5);
                if (digits == 0)
                        continue; /* 000000 is no number */
                enum tk_err second = tk_nano_parse(tk_str_of(text), &moved);
                if (first != second || plain != moved)
                        WRONG("%s", text);
                /* And it is floor(digits * 10^(9 - places)), worked out the plain way. */
                wide want = digits;
                for (int p = places; p < 9; p++)
                        want *= 10;
                for (int p = 9; p < places; p++)
                        want /= 10;
                if (first ? want <= UINT64_MAX : want != plain)
                        WRONG("%s is not what it says", text);
        }
}

static void four_decimals_are_never_far(void **state) {
        struct xorshift x = {3};
        (void)state;
        for (int i = 0; i < 100000; i++) {
                struct tk_money m = {(int64_t)xorshift_sized(&x, 62)}, back;
                char text[TK_MONEY_TEXT_MAX];
                size_t len = tk_money_text4(m, text);
                assert_ok(tk_money_parse((struct tk_str){text, len}, &back));
                if (back.nano - m.nano > 50000 || m.nano - back.nano >= 50000 || text[len - 5] != '.')
                        WRONG("%" PRId64 " became %s", m.nano, text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(sums_are_checked),
                TEST(numbers_are_read_exactly),
                TEST(charges_are_read_upward),
                TEST(other_texts_are_refused),
                TEST(a_span_is_read_to_its_end_only),
                TEST(long_numbers_are_read),
                TEST(money_ends_at_int64),
                TEST(texts_are_shortest_and_exact),
                TEST(text_and_back_is_the_same),
                TEST(exponents_only_move_the_point),
                TEST(four_decimals_are_never_far),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
