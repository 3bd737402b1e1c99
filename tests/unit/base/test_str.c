/* SPDX-License-Identifier: Apache-2.0
 *
 * str: spans at their edges, and UTF-8 against a slow decoder that works another way.
 */
#include "base/str.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <stdlib.h>
#include <string.h>

static void spans_of_texts(void **state) {
        static const char with_nul[] = "a\0b";
        (void)state;
        assert_int_equal(tk_str_of("abc").len, 3);
        assert_int_equal(tk_str_of("").len, 0);
        assert_int_equal(tk_str_of(NULL).len, 0);
        assert_null(tk_str_of(NULL).at);
        assert_int_equal(TK_STR("a\0b").len, 3);
        assert_int_equal(tk_str_of(with_nul).len, 1);
}

static void equality(void **state) {
        static const struct {
                const char *name;
                struct tk_str a, b;
                bool eq;
        } rows[] = {
                {"both empty, one NULL", {NULL, 0}, {"", 0}, true},
                {"both NULL", {NULL, 0}, {NULL, 0}, true},
                {"same bytes", {"abc", 3}, {"abcd", 3}, true},
                {"a prefix", {"abc", 3}, {"abcd", 4}, false},
                {"last byte", {"abc", 3}, {"abd", 3}, false},
                {"after a NUL", {"a\0b", 3}, {"a\0c", 3}, false},
                {"case", {"ABC", 3}, {"abc", 3}, false},
                {"empty and not", {"", 0}, {"a", 1}, false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_str_eq(rows[i].a, rows[i].b) != rows[i].eq ||
                    tk_str_eq(rows[i].b, rows[i].a) != rows[i].eq)
                        WRONG("%s", rows[i].name);
        assert_true(tk_str_is(TK_STR("abc"), "abc"));
        assert_false(tk_str_is(TK_STR("abc\0"), "abc"));
        assert_true(tk_str_is((struct tk_str){NULL, 0}, ""));
}

static void equality_without_case(void **state) {
        static const struct {
                const char *name;
                struct tk_str a;
                const char *text;
                bool eq;
        } rows[] = {
                {"same", {"bearer", 6}, "bearer", true},
                {"mixed", {"BeArEr", 6}, "bEaReR", true},
                {"both empty", {NULL, 0}, "", true},
                {"shorter", {"beare", 5}, "bearer", false},
                {"longer", {"bearers", 7}, "bearer", false},
                {"next to A", {"@", 1}, "`", false},
                {"next to Z", {"[", 1}, "{", false},
                {"only ASCII letters have case", {"\xC3\x84", 2}, "\xC3\xA4", false},
                {"NUL inside", {"be\0rer", 6}, "be", false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_str_is_nocase(rows[i].a, rows[i].text) != rows[i].eq)
                        WRONG("%s", rows[i].name);
}

static void beginnings(void **state) {
        (void)state;
        assert_true(tk_str_starts(TK_STR("Bearer x"), "Bearer "));
        assert_true(tk_str_starts(TK_STR("Bearer"), "Bearer"));
        assert_true(tk_str_starts(TK_STR("x"), ""));
        assert_true(tk_str_starts(TK_STR(""), ""));
        assert_false(tk_str_starts(TK_STR("Beare"), "Bearer"));
        assert_false(tk_str_starts(TK_STR("bearer"), "Bearer"));
        assert_false(tk_str_starts((struct tk_str){NULL, 0}, "B"));
}

static void finding(void **state) {
        (void)state;
        assert_int_equal(tk_str_find(TK_STR("a=b=c"), '='), 1);
        assert_int_equal(tk_str_find(TK_STR("abc"), 'c'), 2);
        assert_int_equal(tk_str_find(TK_STR("abc"), '='), 3);
        assert_int_equal(tk_str_find(TK_STR("ab\0c"), '\0'), 2);
        assert_int_equal(tk_str_find((struct tk_str){"abc", 2}, 'c'), 2);
        assert_int_equal(tk_str_find((struct tk_str){NULL, 0}, 'a'), 0);
        assert_int_equal(tk_str_find(TK_STR("\xFF"), '\xFF'), 0);
}

static void cutting(void **state) {
        (void)state;
        assert_true(tk_str_is(tk_str_skip(TK_STR("abc"), 0), "abc"));
        assert_true(tk_str_is(tk_str_skip(TK_STR("abc"), 2), "c"));
        assert_true(tk_str_is(tk_str_skip(TK_STR("abc"), 3), ""));
        assert_true(tk_str_is(tk_str_head(TK_STR("abc"), 0), ""));
        assert_true(tk_str_is(tk_str_head(TK_STR("abc"), 2), "ab"));
        assert_true(tk_str_is(tk_str_head(TK_STR("abc"), 3), "abc"));
        assert_int_equal(tk_str_skip((struct tk_str){NULL, 0}, 0).len, 0);
        tk_must_fail = must_mock;
        expect_assert_failure(tk_str_skip(TK_STR("abc"), 4));
        expect_assert_failure(tk_str_head(TK_STR("abc"), 4));
}

static void trimming(void **state) {
        static const struct {
                const char *text, *want;
        } rows[] = {
                {"", ""},
                {" ", ""},
                {" \t \t", ""},
                {"a", "a"},
                {" a", "a"},
                {"a\t", "a"},
                {"\t a b \t", "a b"},
                {"\na\n", "\na\n"},
                {"\r a", "\r a"},
                {"\xC2\xA0"
                 "a",
                 "\xC2\xA0"
                 "a"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (!tk_str_is(tk_str_trim(tk_str_of(rows[i].text)), rows[i].want))
                        WRONG("row %zu: '%s'", i, rows[i].text);
        assert_int_equal(tk_str_trim((struct tk_str){NULL, 0}).len, 0);
}

static void copying(void **state) {
        char out[4];
        (void)state;
        assert_true(tk_str_copy(TK_STR("abc"), out, sizeof out));
        assert_string_equal(out, "abc");
        assert_false(tk_str_copy(TK_STR("abcd"), out, sizeof out));
        assert_string_equal(out, "abc");
        assert_true(tk_str_copy(TK_STR(""), out, sizeof out));
        assert_string_equal(out, "");
        assert_true(tk_str_copy((struct tk_str){NULL, 0}, out, 1));
        assert_string_equal(out, "");
        assert_false(tk_str_copy(TK_STR("a"), out, 1));
        assert_string_equal(out, "");
        tk_must_fail = must_mock;
        expect_assert_failure((void)tk_str_copy(TK_STR("a"), out, 0));
}

static void digits(void **state) {
        static const struct {
                const char *text;
                bool ok;
                uint64_t value;
        } rows[] = {
                {"0", true, 0},
                {"7", true, 7},
                {"007", true, 7},
                {"18446744073709551615", true, UINT64_MAX},
                {"0018446744073709551615", true, UINT64_MAX},
                {"18446744073709551616", false, 0},
                {"18446744073709551620", false, 0},
                {"99999999999999999999", false, 0},
                {"100000000000000000000000000000000", false, 0},
                {"", false, 0},
                {"-1", false, 0},
                {"+1", false, 0},
                {" 1", false, 0},
                {"1 ", false, 0},
                {"1.0", false, 0},
                {"0x10", false, 0},
                {"1/", false, 0},
                {"1:", false, 0},
                {"\xD9\xA1", false, 0}, /* ARABIC-INDIC DIGIT ONE */
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                uint64_t value = 42;
                if (tk_str_u64(tk_str_of(rows[i].text), &value) != rows[i].ok)
                        WRONG("'%s' should %s", rows[i].text, rows[i].ok ? "be read" : "be refused");
                assert_true(value == (rows[i].ok ? rows[i].value : 42));
        }
        uint64_t value = 42;
        assert_false(tk_str_u64((struct tk_str){NULL, 0}, &value));
        assert_false(tk_str_u64(TK_STR("1\0"), &value));
        assert_true(value == 42);
}

/* Every byte, against the set of digits written out. */
static void hexadecimal(void **state) {
        static const char digits[] = "0123456789abcdef", upper[] = "ABCDEF";
        (void)state;
        for (int c = -128; c < 256; c++) {
                int want = -1;
                for (int i = 0; i < 16; i++)
                        if ((char)c == digits[i] || (i >= 10 && (char)c == upper[i - 10]))
                                want = i;
                assert_int_equal(tk_hex_digit((char)c), want);
        }
}

static void utf8_rows(void **state) {
        static const struct {
                const char *name;
                struct tk_str text;
                bool ok;
                size_t units;
        } rows[] = {
                {"empty", {"", 0}, true, 0},
                {"NULL", {NULL, 0}, true, 0},
                {"ASCII", {"key", 3}, true, 3},
                {"NUL is a character", {"\0", 1}, true, 1},
                {"DEL", {"\x7F", 1}, true, 1},
                {"first of two bytes", {"\xC2\x80", 2}, true, 1},
                {"last of two bytes", {"\xDF\xBF", 2}, true, 1},
                {"first of three bytes", {"\xE0\xA0\x80", 3}, true, 1},
                {"euro sign", {"\xE2\x82\xAC", 3}, true, 1},
                {"last before the surrogates", {"\xED\x9F\xBF", 3}, true, 1},
                {"first after the surrogates", {"\xEE\x80\x80", 3}, true, 1},
                {"U+FFFF", {"\xEF\xBF\xBF", 3}, true, 1},
                {"U+10000", {"\xF0\x90\x80\x80", 4}, true, 2},
                {"an emoji", {"\xF0\x9F\x94\x91", 4}, true, 2},
                {"U+10FFFF", {"\xF4\x8F\xBF\xBF", 4}, true, 2},
                {"all lengths", {"a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x94\x91z", 11}, true, 6},
                {"a lone continuation", {"\x80", 1}, false, 0},
                {"a lone head", {"\xC3", 1}, false, 0},
                {"a head before ASCII",
                 {"\xC3"
                  "a",
                  2},
                 false,
                 0},
                {"overlong NUL", {"\xC0\x80", 2}, false, 0},
                {"overlong slash", {"\xC1\xAF", 2}, false, 0},
                {"overlong in three", {"\xE0\x9F\xBF", 3}, false, 0},
                {"overlong in four", {"\xF0\x8F\xBF\xBF", 4}, false, 0},
                {"first surrogate", {"\xED\xA0\x80", 3}, false, 0},
                {"last surrogate", {"\xED\xBF\xBF", 3}, false, 0},
                {"a pair of surrogates", {"\xED\xA0\xBD\xED\xB4\x91", 6}, false, 0},
                {"past U+10FFFF", {"\xF4\x90\x80\x80", 4}, false, 0},
                {"F5", {"\xF5\x80\x80\x80", 4}, false, 0},
                {"five bytes", {"\xF8\x88\x80\x80\x80", 5}, false, 0},
                {"FE and FF", {"\xFE\xFF", 2}, false, 0},
                {"cut after two of three", {"\xE2\x82", 2}, false, 0},
                {"cut after three of four", {"\xF0\x9F\x94", 3}, false, 0},
                {"wrong at the very end", {"abc\xFF", 4}, false, 0},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                if (tk_str_utf8_ok(rows[i].text) != rows[i].ok)
                        WRONG("%s should be %s", rows[i].name, rows[i].ok ? "valid" : "invalid");
                if (rows[i].ok && tk_str_utf16_len(rows[i].text) != rows[i].units)
                        WRONG("%s should be %zu units", rows[i].name, rows[i].units);
        }
}

/* Decodes by counting leading one bits, then judges the number. Returns the bytes used, or 0. */
static size_t slow_decode(const unsigned char *at, size_t len, uint32_t *code) {
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        size_t ones = 0;
        while (ones < 8 && at[0] & 0x80 >> ones)
                ones++;
        if (ones == 0) {
                *code = at[0];
                return 1;
        }
        if (ones == 1 || ones > 4 || ones > len)
                return 0;
        *code = at[0] & (0x7Fu >> ones);
        for (size_t i = 1; i < ones; i++) {
                if (at[i] >> 6 != 2)
                        return 0;
                *code = *code << 6 | (at[i] & 0x3Fu);
        }
        if (*code < least[ones] || *code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF))
                return 0;
        return ones;
}

static bool slow_ok(const unsigned char *at, size_t len, size_t *units) {
        *units = 0;
        for (size_t i = 0; i < len;) {
                uint32_t code;
                size_t step = slow_decode(at + i, len - i, &code);
                if (step == 0)
                        return false;
                *units += code > 0xFFFF ? 2 : 1;
                i += step;
        }
        return true;
}

/* Each allocation has exactly its length, so that a sanitizer sees a byte read too many. */
static void compare(const unsigned char *bytes, size_t len) {
        char *exact = malloc(len);
        size_t units;
        assert_non_null(exact);
        memcpy(exact, bytes, len);
        struct tk_str text = {exact, len};
        bool ok = slow_ok(bytes, len, &units);
        if (tk_str_utf8_ok(text) != ok || (ok && tk_str_utf16_len(text) != units))
                WRONG("%02x %02x %02x %02x, first %zu bytes", bytes[0], bytes[1], bytes[2], bytes[3], len);
        free(exact);
}

/* All sequences of up to four bytes that stand at some border of the encoding. */
static void utf8_agrees_with_the_slow_decoder(void **state) {
        static const unsigned char edge[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                             0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                             0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};
        const size_t n = sizeof edge;
        (void)state;
        for (size_t i = 0; i < n * n * n * n; i++) {
                unsigned char bytes[4] = {edge[i % n], edge[i / n % n], edge[i / n / n % n],
                                          edge[i / n / n / n]};
                compare(bytes, 4);
                if (i < n * n * n)
                        compare(bytes, 3);
                if (i < n * n)
                        compare(bytes, 2);
                if (i < n)
                        compare(bytes, 1);
        }
}

static void every_code_point(void **state) {
        (void)state;
        for (uint32_t code = 0; code <= 0x110000; code++) {
                unsigned char b[4];
                size_t len;
                if (code < 0x80) {
                        b[0] = (unsigned char)code;
                        len = 1;
                } else if (code < 0x800) {
                        b[0] = (unsigned char)(0xC0 | code >> 6);
                        len = 2;
                } else if (code < 0x10000) {
                        b[0] = (unsigned char)(0xE0 | code >> 12);
                        len = 3;
                } else {
                        b[0] = (unsigned char)(0xF0 | code >> 18);
                        len = 4;
                }
                for (size_t i = 1; i < len; i++)
                        b[i] = (unsigned char)(0x80 | (code >> 6 * (len - 1 - i) & 0x3F));
                struct tk_str text = {(const char *)b, len};
                bool legal = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
                if (tk_str_utf8_ok(text) != legal)
                        WRONG("U+%04X", code);
                if (legal && tk_str_utf16_len(text) != (code > 0xFFFF ? 2 : 1))
                        WRONG("U+%04X in UTF-16", code);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(spans_of_texts),   TEST(equality),  TEST(equality_without_case),
                TEST(beginnings),       TEST(finding),   TEST(cutting),
                TEST(trimming),         TEST(copying),   TEST(digits),
                TEST(hexadecimal),      TEST(utf8_rows), TEST(utf8_agrees_with_the_slow_decoder),
                TEST(every_code_point),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
