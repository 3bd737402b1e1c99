/* SPDX-License-Identifier: Apache-2.0
 *
 * id: the layout of UUID version 7, text in both directions, and the order of birth.
 */
#include "base/id.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <string.h>

static struct tk_id parsed(const char *text) {
        struct tk_id id = {{0}};
        assert_true(tk_id_parse(tk_str_of(text), &id));
        return id;
}

/* The example of RFC 9562 appendix A.6: 2022-02-22 19:22:22 UTC. */
static void the_example_of_the_rfc(void **state) {
        static const uint8_t random[10] = {0x0C, 0xC3, 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F};
        char text[TK_ID_TEXT_LEN + 1];
        (void)state;
        tk_id_text(tk_id_make(INT64_C(0x017F22E279B0), random), text);
        assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void version_and_variant_win_over_the_random_bits(void **state) {
        uint8_t zeros[10] = {0}, ones[10];
        char text[TK_ID_TEXT_LEN + 1];
        (void)state;
        memset(ones, 0xFF, sizeof ones);
        tk_id_text(tk_id_make(0, zeros), text);
        assert_string_equal(text, "00000000-0000-7000-8000-000000000000");
        tk_id_text(tk_id_make((INT64_C(1) << 48) - 1, ones), text);
        assert_string_equal(text, "ffffffff-ffff-7fff-bfff-ffffffffffff");
}

static void a_time_before_1970_is_a_bug(void **state) {
        static const uint8_t random[10];
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_id_make(-1, random));
}

static void later_ids_sort_later(void **state) {
        struct xorshift x = {1};
        (void)state;
        for (int i = 0; i < 10000; i++) {
                uint8_t random[2][10];
                int64_t a = xorshift_between(&x, 0, INT64_C(4102444800000));
                int64_t b = a + xorshift_between(&x, 1, 1000000);
                for (size_t j = 0; j < sizeof random; j++)
                        random[j / 10][j % 10] = (uint8_t)xorshift_next(&x);
                struct tk_id first = tk_id_make(a, random[0]), second = tk_id_make(b, random[1]);
                assert_true(memcmp(first.b, second.b, sizeof first.b) < 0);
                assert_false(tk_id_eq(first, second));
        }
}

static void text_and_back(void **state) {
        struct xorshift x = {2};
        (void)state;
        for (int i = 0; i < 10000; i++) {
                struct tk_id id;
                char text[TK_ID_TEXT_LEN + 1];
                for (size_t j = 0; j < sizeof id.b; j++)
                        id.b[j] = (uint8_t)xorshift_next(&x);
                tk_id_text(id, text);
                assert_int_equal(strlen(text), TK_ID_TEXT_LEN);
                assert_true(tk_id_eq(parsed(text), id));
        }
}

static void either_case_is_read(void **state) {
        (void)state;
        assert_true(tk_id_eq(parsed("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"),
                             parsed("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")));
}

static void other_forms_are_refused(void **state) {
        static const struct {
                const char *name, *text;
        } rows[] = {
                {"empty", ""},
                {"one digit short", "017f22e2-79b0-7cc3-98c4-dc0c0c07398"},
                {"one digit long", "017f22e2-79b0-7cc3-98c4-dc0c0c07398ff"},
                {"no dashes", "017f22e279b07cc398c4dc0c0c07398f"},
                {"a dash moved left", "017f22e-279b0-7cc3-98c4-dc0c0c07398f"},
                {"all dashes moved right", "017f22e27-9b0-7cc3-98c4-dc0c0c07398f"},
                {"braces", "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}"},
                {"a g", "017f22e2-79b0-7cc3-98c4-dc0c0c07398g"},
                {"a letter before a", "017f22e2-79b0-7cc3-98c4-dc0c0c07398`"},
                {"a letter before A", "017f22e2-79b0-7cc3-98c4-dc0c0c07398@"},
                {"a colon after 9", "017f22e2-79b0-7cc3-98c4-dc0c0c07398:"},
                {"a space in front", " 17f22e2-79b0-7cc3-98c4-dc0c0c07398f"},
                {"underscores", "017f22e2_79b0_7cc3_98c4_dc0c0c07398f"},
                {"a digit for a dash", "017f22e2079b007cc3098c40dc0c0c07398f"},
                {"only dashes", "------------------------------------"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_id id = {{7}};
                if (tk_id_parse(tk_str_of(rows[i].text), &id))
                        WRONG("%s was read", rows[i].name);
                assert_true(tk_id_eq(id, (struct tk_id){{7}}));
        }
}

static void a_nul_inside_is_refused(void **state) {
        char text[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
        struct tk_id id;
        (void)state;
        text[20] = '\0';
        assert_false(tk_id_parse((struct tk_str){text, TK_ID_TEXT_LEN}, &id));
}

static void none_is_all_zero(void **state) {
        (void)state;
        assert_true(tk_id_none((struct tk_id){{0}}));
        assert_true(tk_id_none(parsed("00000000-0000-0000-0000-000000000000")));
        for (size_t i = 0; i < 16; i++) {
                struct tk_id id = {{0}};
                id.b[i] = 1;
                assert_false(tk_id_none(id));
                assert_false(tk_id_eq(id, (struct tk_id){{0}}));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(the_example_of_the_rfc),
                TEST(version_and_variant_win_over_the_random_bits),
                TEST(a_time_before_1970_is_a_bug),
                TEST(later_ids_sort_later),
                TEST(text_and_back),
                TEST(either_case_is_read),
                TEST(other_forms_are_refused),
                TEST(a_nul_inside_is_refused),
                TEST(none_is_all_zero),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
