/* SPDX-License-Identifier: Apache-2.0
 *
 * base64: the vectors of RFC 4648, and what is none.
 */
#include "rt/base64.h"

#include "lib/unit.h"
#include "unit/base/table.h"

#include <string.h>

static const struct {
        const char *bytes, *text;
} rows[] = {{"f", "Zg=="},         {"fo", "Zm8="},         {"foo", "Zm9v"},         {"foob", "Zm9vYg=="},
            {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xBE", "+/++"}};

static void the_vectors_both_ways(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(rows); i++) {
                char text[16];
                uint8_t bytes[8];
                size_t len = 0;
                tk_base64(tk_str_of(rows[i].bytes), text);
                assert_string_equal(text, rows[i].text);
                assert_true(tk_base64_read(tk_str_of(rows[i].text), bytes, sizeof bytes, &len));
                assert_int_equal(len, strlen(rows[i].bytes));
                assert_memory_equal(bytes, rows[i].bytes, len);
        }
}

static void what_is_none_is_refused(void **state) {
        static const char *const bad[] = {
                "", "Z", "Zg", "Zg=", "Zg===", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm9*", "-_--"};
        uint8_t bytes[8];
        size_t len;
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(bad); i++)
                if (tk_base64_read(tk_str_of(bad[i]), bytes, sizeof bytes, &len))
                        WRONG("'%s' is taken", bad[i]);
        assert_true(tk_base64_read(TK_STR("Zm9vYmFy"), bytes, 6, &len));
        assert_false(tk_base64_read(TK_STR("Zm9vYmFy"), bytes, 5, &len));
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(the_vectors_both_ways), TEST(what_is_none_is_refused)};
        return cmocka_run_group_tests_name("rt/base64", tests, NULL, NULL);
}
