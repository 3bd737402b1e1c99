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
        assert_int_equal(admin.word[0], UINT64_MAX);
        assert_int_equal(admin.word[1], UINT64_MAX);
        assert_int_equal(admin.word[2], (UINT64_C(1) << (TK_SCOPE_NR - 128)) - 1);
        assert_int_equal(admin.word[3], 0);
        for (int i = 1; i < TK_SCOPE_WORDS; i++)
                assert_int_equal(inference.word[i], 0);
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
                for (int j = 1; j < TK_SCOPE_NR; j++) {
                        bool included = i == TK_SCOPE_COMPLETIONS_WRITE && j == TK_SCOPE_MODELS_READ;
                        assert_int_equal(tk_scopes_has(&set, (enum tk_scope)j), i == j || included);
                }
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

/* Portkey's documented table: 139 rights, of which its three kinds may hold so many. */
static void as_many_as_documented(void **state) {
        static const unsigned want[TK_KIND_NR] = {
                [TK_KIND_ADMIN] = 133, [TK_KIND_INFERENCE] = 91, [TK_KIND_USER] = 79};
        unsigned nr = 0, of[TK_KIND_NR] = {0};
        (void)state;
        for (int i = 0; i < TK_SCOPE_NR; i++) {
                if (i != TK_SCOPE_COMPLETIONS_WRITE && i < TK_SCOPE_ORG_USERS_CREATE)
                        continue; /* ours alone */
                nr++;
                for (int kind = 0; kind < TK_KIND_NR; kind++)
                        of[kind] += tk_scope_fits((enum tk_scope)i, (enum tk_key_kind)kind);
        }
        assert_int_equal(nr, 139);
        for (int kind = 0; kind < TK_KIND_NR; kind++)
                assert_int_equal(of[kind], want[kind]);
}

static void which_kinds_may_hold_it(void **state) {
        static const struct {
                const char *name;
                bool admin, service, user;
        } rows[] = {
                {"completions.write", false, true, true},
                {"prompts.render", false, true, true},
                {"logs.write", false, true, true},
                {"mcp.invoke", false, true, true},
                {"organisation_users.create", true, false, false},
                {"workspaces.create", true, false, false},
                {"workspaces.read", true, true, true},
                {"workspace_service_api_keys.rotate", true, true, false},
                {"workspace_user_api_keys.create", true, true, false},
                {"organisation_mcp_integrations.list", true, true, true},
                {"organisation_mcp_integrations.read", true, false, false},
                {"virtual_keys.duplicate", true, true, true},
                {"analytics.view", true, true, true},
                {"api_keys.write", true, false, false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                enum tk_scope scope = TK_SCOPE_NR;
                assert_true(tk_scope_parse(tk_str_of(rows[i].name), &scope));
                if (tk_scope_fits(scope, TK_KIND_ADMIN) != rows[i].admin ||
                    tk_scope_fits(scope, TK_KIND_INFERENCE) != rows[i].service ||
                    tk_scope_fits(scope, TK_KIND_USER) != rows[i].user)
                        WRONG("who may hold %s", rows[i].name);
        }
}

static void kinds_of_keys(void **state) {
        enum tk_key_kind kind = TK_KIND_NR;
        (void)state;
        assert_string_equal(tk_key_kind_name(TK_KIND_INFERENCE), "inference");
        assert_string_equal(tk_key_kind_name(TK_KIND_ADMIN), "admin");
        assert_true(tk_key_kind_parse(TK_STR("INFERENCE"), &kind));
        assert_int_equal(kind, TK_KIND_INFERENCE);
        assert_string_equal(tk_key_kind_name(TK_KIND_USER), "user");
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
        expect_assert_failure(tk_scope_fits(TK_SCOPE_NR, TK_KIND_ADMIN));
        expect_assert_failure(tk_scope_fits(TK_SCOPE_NONE, TK_KIND_NR));
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
                TEST(as_many_as_documented),
                TEST(which_kinds_may_hold_it),
                TEST(kinds_of_keys),
                TEST(what_is_outside_is_a_bug),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
