/* SPDX-License-Identifier: Apache-2.0
 *
 * scope: the rows, what each kind of key holds, and sets.
 */
#include "core/scope.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <string.h>

static void numbers_and_names_are_those_on_disk(void **state) {
        static const struct {
                const char *name;
                int number;
                bool inference;
        } rows[] = {
                {"none", 0, true},           {"completions.write", 1, true}, {"models.read", 2, true},
                {"api_keys.read", 3, false}, {"api_keys.write", 4, false},
        };
        struct tk_scopes inference = tk_scopes_of_kind(TK_KIND_INFERENCE),
                         admin = tk_scopes_of_kind(TK_KIND_ADMIN);
        (void)state;
        assert_true(COUNT(rows) <= TK_SCOPE_NR); /* new rows go to the end */
        for (size_t i = 0; i < COUNT(rows); i++) {
                enum tk_scope scope = TK_SCOPE_NR;
                assert_true(tk_scope_parse(tk_str_of(rows[i].name), &scope));
                assert_int_equal(scope, rows[i].number);
                assert_string_equal(tk_scope_name(scope), rows[i].name);
                if (tk_scopes_has(&inference, scope) != rows[i].inference)
                        WRONG("an inference key and %s", rows[i].name);
                if (!tk_scopes_has(&admin, scope))
                        WRONG("an admin key and %s", rows[i].name);
        }
}

/* The bits are stored, so right n is bit n % 64 of word n / 64 for ever. */
static void bits_are_those_on_disk(void **state) {
        struct tk_scopes inference = tk_scopes_of_kind(TK_KIND_INFERENCE),
                         admin = tk_scopes_of_kind(TK_KIND_ADMIN);
        (void)state;
        assert_int_equal(inference.word[0] & 0x1F, 0x07);
        assert_int_equal(admin.word[0] & 0x1F, 0x1F);
        for (int i = 1; i < TK_SCOPE_WORDS; i++)
                assert_int_equal(inference.word[i] | admin.word[i], 0);
}

static void every_row_has_its_own_name(void **state) {
        (void)state;
        for (int i = 0; i < TK_SCOPE_NR; i++) {
                enum tk_scope scope = TK_SCOPE_NR;
                assert_true(tk_scope_parse(tk_str_of(tk_scope_name((enum tk_scope)i)), &scope));
                assert_int_equal(scope, i);
        }
}

static void other_names_are_refused(void **state) {
        static const char *const rows[] = {"",  "completions", "completions.write ", "Completions.write",
                                           "*", "NONE"};
        enum tk_scope scope = TK_SCOPE_MODELS_READ;
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_scope_parse(tk_str_of(rows[i]), &scope))
                        WRONG("'%s' was read", rows[i]);
        assert_int_equal(scope, TK_SCOPE_MODELS_READ);
}

static void a_set_holds_what_was_added(void **state) {
        (void)state;
        for (int i = 1; i < TK_SCOPE_NR; i++) {
                struct tk_scopes set = {{0}};
                tk_scopes_add(&set, (enum tk_scope)i);
                tk_scopes_add(&set, (enum tk_scope)i);
                for (int j = 1; j < TK_SCOPE_NR; j++)
                        assert_int_equal(tk_scopes_has(&set, (enum tk_scope)j), i == j);
        }
}

static void every_set_has_the_right_that_needs_none(void **state) {
        struct tk_scopes empty = {{0}}, only_none = {{0}};
        (void)state;
        tk_scopes_add(&only_none, TK_SCOPE_NONE);
        assert_true(tk_scopes_has(&empty, TK_SCOPE_NONE));
        assert_true(tk_scopes_cover(&empty, &only_none));
        assert_true(tk_scopes_cover(&only_none, &empty));
}

static void covering_is_being_a_part(void **state) {
        struct tk_scopes empty = {{0}}, one = {{0}}, two = {{0}}, far = {{0, 0, 0, 1}};
        struct tk_scopes admin = tk_scopes_of_kind(TK_KIND_ADMIN),
                         inference = tk_scopes_of_kind(TK_KIND_INFERENCE);
        (void)state;
        tk_scopes_add(&one, TK_SCOPE_MODELS_READ);
        tk_scopes_add(&two, TK_SCOPE_MODELS_READ);
        tk_scopes_add(&two, TK_SCOPE_KEYS_READ);
        assert_true(tk_scopes_cover(&empty, &empty));
        assert_true(tk_scopes_cover(&one, &empty));
        assert_false(tk_scopes_cover(&empty, &one));
        assert_true(tk_scopes_cover(&two, &one));
        assert_false(tk_scopes_cover(&one, &two));
        assert_true(tk_scopes_cover(&two, &two));
        assert_true(tk_scopes_cover(&admin, &inference));
        assert_false(tk_scopes_cover(&inference, &admin));
        assert_false(tk_scopes_cover(&admin, &far)); /* every word counts, not only the first */
        assert_true(tk_scopes_cover(&far, &far));
}

static void kinds_of_keys(void **state) {
        enum tk_key_kind kind = TK_KIND_NR;
        (void)state;
        assert_string_equal(tk_key_kind_name(TK_KIND_INFERENCE), "inference");
        assert_string_equal(tk_key_kind_name(TK_KIND_ADMIN), "admin");
        assert_true(tk_key_kind_parse(TK_STR("INFERENCE"), &kind));
        assert_int_equal(kind, TK_KIND_INFERENCE);
        assert_true(tk_key_kind_parse(TK_STR("Admin"), &kind));
        assert_int_equal(kind, TK_KIND_ADMIN);
        assert_false(tk_key_kind_parse(TK_STR(""), &kind));
        assert_false(tk_key_kind_parse(TK_STR("adm"), &kind));
        assert_false(tk_key_kind_parse(TK_STR("admins"), &kind));
        assert_false(tk_key_kind_parse(TK_STR("admin\0"), &kind));
        assert_int_equal(kind, TK_KIND_ADMIN);
}

static void what_is_outside_is_a_bug(void **state) {
        struct tk_scopes set = {{0}};
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_scopes_add(&set, TK_SCOPE_NR));
        expect_assert_failure(tk_scopes_has(&set, TK_SCOPE_NR));
        expect_assert_failure(tk_scopes_has(&set, (enum tk_scope)(-1)));
        expect_assert_failure(tk_scope_name(TK_SCOPE_NR));
        expect_assert_failure(tk_scopes_of_kind(TK_KIND_NR));
        expect_assert_failure(tk_key_kind_name(TK_KIND_NR));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(numbers_and_names_are_those_on_disk),
                TEST(bits_are_those_on_disk),
                TEST(every_row_has_its_own_name),
                TEST(other_names_are_refused),
                TEST(a_set_holds_what_was_added),
                TEST(every_set_has_the_right_that_needs_none),
                TEST(covering_is_being_a_part),
                TEST(kinds_of_keys),
                TEST(what_is_outside_is_a_bug),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
