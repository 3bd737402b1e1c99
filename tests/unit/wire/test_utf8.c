/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8: every scalar value there and back, and the table of what is none (Unicode, table 3-7).
 */
#include "wire/utf8.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <stdbool.h>
#include <string.h>

static void every_scalar_value(void **state) {
        (void)state;
        for (uint32_t c = 0; c <= 0x10FFFF; c++) {
                char out[4];
                if (c >= 0xD800 && c <= 0xDFFF)
                        continue;
                size_t len = tk_utf8_put(c, out);
                size_t expected = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
                if (len != expected || tk_utf8_step(out, len) != len)
                        WRONG("U+%04X: %zu bytes, read as %zu", (unsigned)c, len, tk_utf8_step(out, len));
                for (size_t left = 1; left < len; left++)
                        if (tk_utf8_step(out, left) != 0)
                                WRONG("U+%04X cut to %zu bytes", (unsigned)c, left);
        }
}

static void what_is_none(void **state) {
        static const struct {
                const char *name, *bytes;
        } rows[] = {
                {"a continuation byte alone", "\x80"},
                {"an overlong slash", "\xC0\xAF"},
                {"C1", "\xC1\xBF"},
                {"an overlong three", "\xE0\x9F\xBF"},
                {"a high surrogate", "\xED\xA0\x80"},
                {"a low surrogate", "\xED\xBF\xBF"},
                {"an overlong four", "\xF0\x8F\xBF\xBF"},
                {"beyond U+10FFFF", "\xF4\x90\x80\x80"},
                {"F5", "\xF5\x80\x80\x80"},
                {"FF", "\xFF"},
                {"two with ASCII after it", "\xC3("},
                {"three with ASCII last", "\xE2\x82("},
                {"four with ASCII last", "\xF0\x9F\x98("},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_utf8_step(rows[i].bytes, strlen(rows[i].bytes)) != 0)
                        WRONG("%s", rows[i].name);
}

static void surrogates_are_not_written(void **state) {
        char out[4];
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_utf8_put(0xD800, out));
        expect_assert_failure(tk_utf8_put(0xDFFF, out));
        expect_assert_failure(tk_utf8_put(0x110000, out));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(every_scalar_value),
                TEST(what_is_none),
                TEST(surrogates_are_not_written),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
