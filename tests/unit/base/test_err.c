/* SPDX-License-Identifier: Apache-2.0
 *
 * err: every row has a name and a text of its own, and no number is without an answer.
 */
#include "base/err.h"

#include "lib/unit.h"

#include <string.h>

static void success_is_zero(void **state) {
        (void)state;
        assert_int_equal(TK_OK, 0);
        assert_string_equal(tk_err_name(TK_OK), "OK");
        assert_string_equal(tk_err_text(TK_OK), "success");
}

static void names_and_texts_are_whole_and_distinct(void **state) {
        (void)state;
        for (int i = 0; i < TK_E_NR; i++) {
                assert_true(strlen(tk_err_name((enum tk_err)i)) > 0);
                assert_true(strlen(tk_err_text((enum tk_err)i)) > 0);
                for (int j = 0; j < i; j++) {
                        assert_string_not_equal(tk_err_name((enum tk_err)i), tk_err_name((enum tk_err)j));
                        assert_string_not_equal(tk_err_text((enum tk_err)i), tk_err_text((enum tk_err)j));
                }
        }
}

static void a_row_gives_its_own_name(void **state) {
        (void)state;
        assert_string_equal(tk_err_name(TK_E_SYNTAX), "SYNTAX");
        assert_string_equal(tk_err_name(TK_E_NOT_FOUND), "NOT_FOUND");
        assert_string_equal(tk_err_name(TK_E_TIMEOUT), "TIMEOUT");
        assert_string_equal(tk_err_text(TK_E_NOT_FOUND), "no such thing");
}

static void the_order_is_precedence(void **state) {
        (void)state;
        assert_true(TK_OK < TK_E_SYNTAX);
        assert_true(TK_E_SYNTAX < TK_E_RANGE);
        assert_true(TK_E_RANGE < TK_E_OVERFLOW);
        assert_true(TK_E_OVERFLOW < TK_E_CONFLICT);
}

static void numbers_outside_are_answered(void **state) {
        static const int outside[] = {TK_E_NR, TK_E_NR + 1, -1, INT32_MAX, INT32_MIN};
        (void)state;
        for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
                assert_string_equal(tk_err_name((enum tk_err)outside[i]), "UNKNOWN");
                assert_string_equal(tk_err_text((enum tk_err)outside[i]), "unknown error");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(success_is_zero),
                TEST(names_and_texts_are_whole_and_distinct),
                TEST(a_row_gives_its_own_name),
                TEST(the_order_is_precedence),
                TEST(numbers_outside_are_answered),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
