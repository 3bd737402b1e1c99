/* SPDX-License-Identifier: Apache-2.0
 *
 * user: addresses one by one; a sound user, then each invariant broken alone.
 */
#include "core/user.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <stdio.h>
#include <string.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void addresses(void **state) {
        static const struct {
                const char *text;
                enum tk_err err;
                const char *out;
        } rows[] = {
                {"ann@example.com", TK_OK, "ann@example.com"},
                {"Ann.Lee+Bills@Example.COM", TK_OK, "ann.lee+bills@example.com"},
                {"a@b", TK_OK, "a@b"},
                {"!#$%&'*+/=?^_`{|}~-.9@x-1.y", TK_OK, "!#$%&'*+/=?^_`{|}~-.9@x-1.y"},
                {A63 "a@" A63, TK_OK, A63 "a@" A63},
                {A63 "@" A63 "." A63 "." A63 ".co", TK_E_TOO_BIG, NULL}, /* 258 */
                {A63 "@" A63 "." A63 "." A63 "", TK_E_TOO_BIG, NULL},    /* 255 */
                {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@" A63 "." A63 "." A63, TK_OK,
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@" A63 "." A63 "." A63},
                {A63 "aa@b", TK_E_TOO_BIG, NULL},
                {"a@" A63 "a", TK_E_TOO_BIG, NULL},
                {"", TK_E_SYNTAX, NULL},
                {"@", TK_E_SYNTAX, NULL},
                {"a", TK_E_SYNTAX, NULL},
                {"a@", TK_E_SYNTAX, NULL},
                {"@b", TK_E_SYNTAX, NULL},
                {"a@b@c", TK_E_SYNTAX, NULL},
                {"a b@c", TK_E_SYNTAX, NULL},
                {" a@c", TK_E_SYNTAX, NULL},
                {"a@c ", TK_E_SYNTAX, NULL},
                {"a\n@c", TK_E_SYNTAX, NULL},
                {"\"a\"@c", TK_E_SYNTAX, NULL},
                {"a<b>@c", TK_E_SYNTAX, NULL},
                {"caf\xC3\xA9@c", TK_E_SYNTAX, NULL},
                {"a@caf\xC3\xA9", TK_E_SYNTAX, NULL},
                {"a@-b", TK_E_SYNTAX, NULL},
                {"a@b-", TK_E_SYNTAX, NULL},
                {"a@b..c", TK_E_SYNTAX, NULL},
                {"a@.c", TK_E_SYNTAX, NULL},
                {"a@c.", TK_E_SYNTAX, NULL},
                {"a@b_c", TK_E_SYNTAX, NULL},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                char out[TK_EMAIL_MAX + 1] = "untouched";
                const enum tk_err err = tk_email_parse(tk_str_of(rows[i].text), out);
                if (err != rows[i].err || strcmp(out, rows[i].out ? rows[i].out : "untouched") != 0)
                        WRONG("%s: %s, %s", rows[i].text, tk_err_name(err), out);
        }
        char out[TK_EMAIL_MAX + 1];
        assert_int_equal(tk_email_parse((struct tk_str){"a\0b@c", 5}, out), TK_E_SYNTAX);
        assert_int_equal(tk_email_parse((struct tk_str){"a@b\0c", 5}, out), TK_E_SYNTAX);
}

static struct tk_user sound(void) {
        struct tk_user user = {.id = {{1}},
                               .org = {{2}},
                               .email = "ann@example.com",
                               .first_name = "Ann",
                               .last_name = "L\xC3\xA9\x65",
                               .role = TK_USER_ADMIN,
                               .created_ms = 5,
                               .updated_ms = 6,
                               .removed_ms = 7};
        return user;
}

typedef void break_f(struct tk_user *user);

static void no_id(struct tk_user *user) {
        user->id = (struct tk_id){{0}};
}
static void no_org(struct tk_user *user) {
        user->org = (struct tk_id){{0}};
}
static void own_org(struct tk_user *user) {
        user->org = user->id;
}
static void bad_role(struct tk_user *user) {
        user->role = TK_USER_ROLE_NR;
}
static void negative_role(struct tk_user *user) {
        user->role = (enum tk_user_role)(-1);
}
static void endless_email(struct tk_user *user) {
        memset(user->email, 'x', sizeof user->email);
}
static void email_in_capitals(struct tk_user *user) {
        user->email[0] = 'A';
}
static void no_email(struct tk_user *user) {
        user->email[0] = '\0';
}
static void endless_first_name(struct tk_user *user) {
        memset(user->first_name, 'x', sizeof user->first_name);
}
static void first_name_with_a_line(struct tk_user *user) {
        user->first_name[1] = '\n';
}
static void last_name_not_utf8(struct tk_user *user) {
        user->last_name[1] = '\xE9';
}
static void last_name_with_a_delete(struct tk_user *user) {
        user->last_name[0] = '\x7F';
}
static void created_before_1970(struct tk_user *user) {
        user->created_ms = -1;
}
static void updated_before_1970(struct tk_user *user) {
        user->updated_ms = -1;
}
static void removed_before_1970(struct tk_user *user) {
        user->removed_ms = INT64_MIN;
}

static void each_invariant(void **state) {
        static const struct {
                const char *name;
                break_f *damage;
        } rows[] = {
                {"no id", no_id},
                {"no organisation", no_org},
                {"its own organisation", own_org},
                {"bad role", bad_role},
                {"negative role", negative_role},
                {"endless address", endless_email},
                {"address in capitals", email_in_capitals},
                {"no address", no_email},
                {"endless first name", endless_first_name},
                {"first name with a line", first_name_with_a_line},
                {"last name not UTF-8", last_name_not_utf8},
                {"last name with a delete", last_name_with_a_delete},
                {"created before 1970", created_before_1970},
                {"updated before 1970", updated_before_1970},
                {"removed before 1970", removed_before_1970},
        };
        struct tk_user user = sound();
        (void)state;
        assert_true(tk_user_ok(&user));
        user.first_name[0] = user.last_name[0] = '\0';
        assert_true(tk_user_ok(&user)); /* who is invited has no name yet */
        for (size_t i = 0; i < COUNT(rows); i++) {
                user = sound();
                rows[i].damage(&user);
                if (tk_user_ok(&user))
                        WRONG("%s was not found", rows[i].name);
        }
}

static void roles_by_name(void **state) {
        enum tk_user_role role = TK_USER_MEMBER;
        (void)state;
        for (unsigned i = 0; i < TK_USER_ROLE_NR; i++) {
                assert_true(tk_user_role_parse(tk_str_of(tk_user_role_name((enum tk_user_role)i)), &role));
                assert_int_equal(role, i);
        }
        assert_false(tk_user_role_parse(TK_STR("Owner"), &role));
        assert_false(tk_user_role_parse(TK_STR(""), &role));
        tk_must_fail = must_mock;
        expect_assert_failure(tk_user_role_name(TK_USER_ROLE_NR));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses),
                cmocka_unit_test(each_invariant),
                cmocka_unit_test(roles_by_name),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
