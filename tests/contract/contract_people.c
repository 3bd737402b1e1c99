/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and workspaces.
 */
#include "contract/contract.h"

#include <stdio.h>
#include <string.h>

#include "store/people.h"

/* ---- users ---- */

static enum tk_err user_insert(const struct fix *fix, const struct tk_user *user) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_user_insert(fix->store, user);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static enum tk_err user_remove(const struct fix *fix, struct tk_id id, int64_t now_ms) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_user_remove(fix->store, id, now_ms);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static void test_user_round_trip(void **state) {
        struct fix *fix = *state;
        struct tk_user bare = user_of(fix->org, 2), full = user_of(fix->org, 3), seen;
        bare.first_name[0] = bare.last_name[0] = '\0';
        bare.created_ms = bare.updated_ms = 0;
        bare.role = TK_USER_MEMBER;
        memset(full.first_name, 'x', TK_PERSON_NAME_MAX);
        memset(full.last_name, 'y', TK_PERSON_NAME_MAX);
        snprintf(full.email, sizeof full.email, "%062d@%063d.%063d.%063d", 1, 2, 3, 4);
        assert_int_equal(strlen(full.email), TK_EMAIL_MAX);
        full.updated_ms = INT64_C(253402300799999);
        const struct tk_user cases[] = {user_of(fix->org, 1), bare, full, user_of(id_of(800), 1 + 1000)};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                const struct tk_user *want = &cases[i];
                assert_ok(user_insert(fix, want));
                memset(&seen, 0xAA, sizeof seen);
                assert_ok(tk_reader_user_by_id(fix->reader, want->id, &seen));
                assert_true(user_same(&seen, want));
                memset(&seen, 0xAA, sizeof seen);
                assert_ok(tk_reader_user_by_email(fix->reader, want->org, want->email, &seen));
                assert_true(user_same(&seen, want));
                assert_ok(tk_store_begin(fix->store));
                memset(&seen, 0xAA, sizeof seen);
                assert_ok(tk_store_user_get(fix->store, want->id, &seen));
                assert_true(user_same(&seen, want));
                tk_store_rollback(fix->store);
        }
        assert_int_equal(tk_reader_user_by_id(fix->reader, id_of(77), &seen), TK_E_NOT_FOUND);
        assert_int_equal(tk_reader_user_by_email(fix->reader, fix->org, "nobody@example.com", &seen),
                         TK_E_NOT_FOUND);
        assert_int_equal(tk_reader_user_by_email(fix->reader, id_of(801), cases[0].email, &seen),
                         TK_E_NOT_FOUND);
        assert_int_equal(contract_change_last(fix), 0);
}

static void test_user_has_an_address_of_their_own(void **state) {
        struct fix *fix = *state;
        const struct tk_user one = user_of(fix->org, 1);
        struct tk_user two = user_of(fix->org, 2), seen;
        assert_ok(user_insert(fix, &one));
        assert_int_equal(user_insert(fix, &one), TK_E_CONFLICT);
        memcpy(two.email, one.email, sizeof two.email);
        assert_int_equal(user_insert(fix, &two), TK_E_CONFLICT);
        two.org = id_of(800); /* in another organisation the same person is another user */
        assert_ok(user_insert(fix, &two));

        /* Within one batch, and by a change. */
        struct tk_user three = user_of(fix->org, 3), four = user_of(fix->org, 4);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_user_insert(fix->store, &three));
        memcpy(four.email, three.email, sizeof four.email);
        assert_int_equal(tk_store_user_insert(fix->store, &four), TK_E_CONFLICT);
        four = user_of(fix->org, 4);
        assert_ok(tk_store_user_insert(fix->store, &four)); /* the batch goes on */
        memcpy(four.email, one.email, sizeof four.email);
        assert_int_equal(tk_store_user_update(fix->store, &four), TK_E_CONFLICT);
        memcpy(four.email, three.email, sizeof four.email);
        assert_int_equal(tk_store_user_update(fix->store, &four), TK_E_CONFLICT);
        snprintf(three.email, sizeof three.email, "new@example.com");
        assert_ok(tk_store_user_update(fix->store, &three)); /* and so the old one is free */
        assert_ok(tk_store_user_update(fix->store, &four));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_user_by_email(fix->reader, fix->org, four.email, &seen));
        assert_true(user_same(&seen, &four));
        assert_ok(tk_reader_user_by_email(fix->reader, fix->org, "new@example.com", &seen));
        assert_true(tk_id_eq(seen.id, three.id));
}

static void test_user_update_keeps_what_never_changes(void **state) {
        struct fix *fix = *state;
        const struct tk_user old = user_of(fix->org, 1);
        struct tk_user want = user_of(id_of(800), 9), seen;
        assert_ok(user_insert(fix, &old));
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_user_update(fix->store, &want), TK_E_NOT_FOUND);
        want.id = old.id;
        want.removed_ms = 5;
        assert_ok(tk_store_user_update(fix->store, &want));
        want.org = old.org;
        want.created_ms = old.created_ms;
        want.removed_ms = 0;
        assert_ok(tk_store_user_get(fix->store, old.id, &seen));
        assert_true(user_same(&seen, &want));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_user_by_id(fix->reader, old.id, &seen));
        assert_true(user_same(&seen, &want));
}

/* Keys 1 and 2 are of user 501, 2 revoked before; 3 is of 502; 4 nobody's. 5 is born in the same batch. */
static void test_user_that_is_removed_takes_their_keys_along(void **state) {
        struct fix *fix = *state;
        const struct tk_user one = user_of(fix->org, 501), two = user_of(fix->org, 502);
        struct tk_user seen;
        struct tk_key key;
        struct contract_changes changes = {0};
        assert_ok(user_insert(fix, &one));
        assert_ok(user_insert(fix, &two));
        for (unsigned n = 1; n <= 4; n++) {
                key = key_of(fix->org, n);
                key.user = n <= 2 ? one.id : n == 3 ? two.id : no_id;
                key.workspace = one.id; /* which is no user there */
                key.revoked_ms = n == 2 ? 6 : 0;
                key_put(fix->store, &key);
        }
        const int64_t before = contract_change_last(fix);
        assert_ok(tk_store_begin(fix->store));
        key = key_of(fix->org, 5);
        key.user = one.id;
        assert_ok(tk_store_key_insert(fix->store, &key));
        assert_ok(tk_store_user_remove(fix->store, one.id, 99));
        assert_ok(tk_store_key_get(fix->store, id_of(5), &key));
        assert_int_equal(key.revoked_ms, 99);
        assert_int_equal(tk_store_user_remove(fix->store, one.id, 100), TK_E_NOT_FOUND);
        assert_int_equal(tk_store_user_update(fix->store, &one), TK_E_NOT_FOUND);
        assert_ok(tk_store_commit(fix->store));
        static const int64_t revoked[] = {99, 6, 0, 0, 99};
        for (unsigned n = 1; n <= 5; n++) {
                assert_ok(tk_reader_key_by_id(fix->reader, id_of(n), &key));
                assert_int_equal(key.revoked_ms, revoked[n - 1]);
        }
        assert_ok(tk_reader_changes(fix->reader, before, contract_take_change, &changes));
        assert_int_equal(changes.nr, 3); /* the birth of 5, then the end of 1 and 5 */
        assert_true(tk_id_eq(changes.keys[0], id_of(5)));
        assert_true(tk_id_eq(changes.keys[1], id_of(1)));
        assert_true(tk_id_eq(changes.keys[2], id_of(5)));

        assert_ok(tk_reader_user_by_id(fix->reader, one.id, &seen)); /* a row for ever */
        assert_int_equal(seen.removed_ms, 99);
        assert_int_equal(seen.updated_ms, 99);
        assert_int_equal(tk_reader_user_by_email(fix->reader, fix->org, one.email, &seen), TK_E_NOT_FOUND);
        assert_int_equal(user_remove(fix, one.id, 100), TK_E_NOT_FOUND);
        struct tk_user again = user_of(fix->org, 503);
        memcpy(again.email, one.email, sizeof again.email);
        assert_ok(user_insert(fix, &again)); /* their address is free */
        assert_ok(tk_reader_user_by_email(fix->reader, fix->org, one.email, &seen));
        assert_true(tk_id_eq(seen.id, again.id));
}

static void test_users_follow_the_mark(void **state) {
        struct fix *fix = *state;
        const struct tk_user one = user_of(fix->org, 1), two = user_of(fix->org, 2);
        struct tk_user seen;
        struct tk_key key = key_of(fix->org, 1);
        key.user = one.id;
        assert_ok(user_insert(fix, &one));
        key_put(fix->store, &key);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_user_insert(fix->store, &two));
        assert_ok(tk_store_user_remove(fix->store, one.id, 9));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_int_equal(tk_store_user_get(fix->store, two.id, &seen), TK_E_NOT_FOUND);
        assert_ok(tk_store_user_get(fix->store, one.id, &seen));
        assert_int_equal(seen.removed_ms, 0);
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_key_by_id(fix->reader, key.id, &key));
        assert_int_equal(key.revoked_ms, 0);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_user_remove(fix->store, one.id, 9));
        tk_store_rollback(fix->store);
        assert_ok(tk_reader_user_by_id(fix->reader, one.id, &seen));
        assert_true(user_same(&seen, &one));
}

struct user_list {
        unsigned nr, stop_at;
        struct tk_id ids[LIST_MAX];
};

static bool take_user(const struct tk_user *user, void *ctx) {
        struct user_list *list = ctx;
        assert_true(list->nr < LIST_MAX);
        list->ids[list->nr++] = user->id;
        return list->nr != list->stop_at;
}

static struct user_list users(const struct fix *fix, unsigned roles, unsigned skip, unsigned limit) {
        struct user_list list = {.nr = 0};
        assert_ok(tk_reader_user_list(fix->reader, fix->org, roles, skip, limit, take_user, &list));
        return list;
}

/* 20 users, two in each second, of which every fifth is removed; their roles go round. */
static void test_users_are_listed_in_pages_newest_first(void **state) {
        struct fix *fix = *state;
        const unsigned all = TK_USER_ROLES_ALL;
        uint64_t nr = 77;
        for (unsigned n = 1; n <= 20; n++) {
                struct tk_user user = user_of(n == 13 ? id_of(800) : fix->org, n);
                user.created_ms = (int64_t)(n / 2) * 1000;
                assert_ok(user_insert(fix, &user));
                if (n % 5 == 0)
                        assert_ok(user_remove(fix, user.id, 50000));
        }
        assert_ok(tk_reader_user_count(fix->reader, fix->org, all, &nr));
        assert_int_equal(nr, 15);
        const struct user_list whole = users(fix, all, 0, UINT32_MAX);
        static const unsigned expected[] = {19, 18, 17, 16, 14, 12, 11, 9, 8, 7, 6, 4, 3, 2, 1};
        assert_int_equal(whole.nr, 15);
        for (unsigned i = 0; i < whole.nr; i++)
                assert_true(tk_id_eq(whole.ids[i], id_of(expected[i])));
        for (unsigned skip = 0; skip < 18; skip++)
                for (unsigned limit = 0; limit < 18; limit++) {
                        const struct user_list page = users(fix, all, skip, limit);
                        const unsigned left = skip < 15 ? 15 - skip : 0;
                        assert_int_equal(page.nr, left < limit ? left : limit);
                        for (unsigned i = 0; i < page.nr; i++)
                                assert_true(tk_id_eq(page.ids[i], whole.ids[skip + i]));
                }
        unsigned sum = 0;
        for (unsigned roles = 0; roles < 1u << TK_USER_ROLE_NR; roles++) {
                unsigned n = 0;
                for (unsigned i = 0; i < 15; i++)
                        n += roles >> expected[i] % TK_USER_ROLE_NR & 1;
                assert_int_equal(users(fix, roles, 0, UINT32_MAX).nr, n);
                assert_ok(tk_reader_user_count(fix->reader, fix->org, roles, &nr));
                assert_int_equal(nr, n);
                sum += n;
        }
        assert_int_equal(sum, 4 * 15);
        struct user_list stopped = {.stop_at = 3};
        assert_ok(tk_reader_user_list(fix->reader, fix->org, all, 0, 10, take_user, &stopped));
        assert_int_equal(stopped.nr, 3);
}

static void test_front_refuses_users_that_are_none(void **state) {
        struct fix *fix = *state;
        struct tk_user user = user_of(fix->org, 1);
        user.email[0] = 'U'; /* not the one form */
        assert_int_equal(user_insert(fix, &user), TK_E_RANGE);
        user = user_of(fix->org, 1);
        user.removed_ms = 1;
        assert_int_equal(user_insert(fix, &user), TK_E_RANGE);
        user.removed_ms = 0;
        user.updated_ms = INT64_MAX;
        assert_int_equal(user_insert(fix, &user), TK_E_RANGE);
        user = user_of(fix->org, 1);
        assert_ok(user_insert(fix, &user));
        assert_int_equal(user_remove(fix, user.id, 0), TK_E_RANGE); /* would be no end */
        assert_int_equal(user_remove(fix, user.id, -1), TK_E_RANGE);
        assert_int_equal(user_remove(fix, no_id, 5), TK_E_RANGE);
        assert_int_equal(user_remove(fix, id_of(2), 5), TK_E_NOT_FOUND);
        user.role = TK_USER_ROLE_NR;
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_user_update(fix->store, &user), TK_E_RANGE);
        tk_store_rollback(fix->store);
}

/* ---- workspaces ---- */

static enum tk_err workspace_insert(const struct fix *fix, const struct tk_workspace *workspace) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_workspace_insert(fix->store, workspace);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static enum tk_err workspace_remove(const struct fix *fix, struct tk_id id, int64_t now_ms) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_workspace_remove(fix->store, id, now_ms);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static void test_first_workspace_is_there_and_stays(void **state) {
        struct fix *fix = *state;
        struct tk_workspace first;
        const struct tk_id id = tk_store_workspace(fix->store);
        assert_ok(tk_reader_workspace_by_slug(fix->reader, fix->org, "default", &first));
        assert_true(tk_id_eq(first.id, id));
        assert_true(tk_id_eq(first.org, fix->org));
        assert_string_equal(first.name, "default");
        assert_true(first.created_ms > 0 && first.updated_ms == first.created_ms && !first.removed_ms);
        assert_int_equal(workspace_remove(fix, id, 9), TK_E_CONFLICT);
        assert_ok(tk_reader_workspace_by_id(fix->reader, id, &first));
        assert_int_equal(first.removed_ms, 0);
}

static void test_workspace_round_trip_and_update(void **state) {
        struct fix *fix = *state;
        struct tk_workspace old = workspace_of(fix->org, 1), seen, want;
        memset(old.name, 'n', TK_WORKSPACE_NAME_MAX);
        memset(old.description, 'd', TK_WORKSPACE_DESCRIPTION_MAX);
        assert_ok(workspace_insert(fix, &old));
        assert_ok(tk_reader_workspace_by_id(fix->reader, old.id, &seen));
        assert_true(workspace_same(&seen, &old));
        assert_ok(tk_reader_workspace_by_slug(fix->reader, fix->org, old.slug, &seen));
        assert_true(workspace_same(&seen, &old));
        assert_int_equal(tk_reader_workspace_by_slug(fix->reader, id_of(800), old.slug, &seen),
                         TK_E_NOT_FOUND);
        assert_int_equal(tk_reader_workspace_by_id(fix->reader, id_of(2), &seen), TK_E_NOT_FOUND);
        want = workspace_of(id_of(800), 2);
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_workspace_update(fix->store, &want), TK_E_NOT_FOUND);
        want.id = old.id;
        assert_ok(tk_store_workspace_update(fix->store, &want));
        want.org = old.org;
        want.created_ms = old.created_ms;
        assert_ok(tk_store_workspace_get(fix->store, old.id, &seen));
        assert_true(workspace_same(&seen, &want));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_workspace_by_id(fix->reader, old.id, &seen));
        assert_true(workspace_same(&seen, &want));
}

static void test_workspace_has_a_slug_of_its_own(void **state) {
        struct fix *fix = *state;
        const struct tk_workspace one = workspace_of(fix->org, 1);
        struct tk_workspace two = workspace_of(fix->org, 2), other = workspace_of(id_of(800), 3);
        assert_ok(workspace_insert(fix, &one));
        assert_int_equal(workspace_insert(fix, &one), TK_E_CONFLICT);
        memcpy(two.slug, "default", sizeof "default"); /* the first one's */
        assert_int_equal(workspace_insert(fix, &two), TK_E_CONFLICT);
        memcpy(two.slug, one.slug, sizeof two.slug);
        assert_int_equal(workspace_insert(fix, &two), TK_E_CONFLICT);
        memcpy(other.slug, one.slug, sizeof other.slug);
        assert_ok(workspace_insert(fix, &other));
        two = workspace_of(fix->org, 2);
        assert_ok(workspace_insert(fix, &two));
        assert_ok(tk_store_begin(fix->store));
        memcpy(two.slug, one.slug, sizeof two.slug);
        assert_int_equal(tk_store_workspace_update(fix->store, &two), TK_E_CONFLICT);
        assert_ok(tk_store_workspace_remove(fix->store, one.id, 5));
        assert_ok(tk_store_workspace_update(fix->store, &two));
        assert_ok(tk_store_commit(fix->store));
}

static void test_workspace_that_is_removed_takes_its_keys_along(void **state) {
        struct fix *fix = *state;
        const struct tk_workspace one = workspace_of(fix->org, 501);
        struct tk_workspace seen;
        struct tk_key key;
        assert_ok(workspace_insert(fix, &one));
        for (unsigned n = 1; n <= 3; n++) {
                key = key_of(fix->org, n);
                key.workspace = n <= 2 ? one.id : tk_store_workspace(fix->store);
                key.user = one.id; /* which is no workspace there */
                key_put(fix->store, &key);
        }
        assert_ok(workspace_remove(fix, one.id, 99));
        for (unsigned n = 1; n <= 3; n++) {
                assert_ok(tk_reader_key_by_id(fix->reader, id_of(n), &key));
                assert_int_equal(key.revoked_ms, n <= 2 ? 99 : 0);
        }
        assert_int_equal(contract_change_last(fix), 5);
        assert_ok(tk_reader_workspace_by_id(fix->reader, one.id, &seen));
        assert_int_equal(seen.removed_ms, 99);
        assert_int_equal(tk_reader_workspace_by_slug(fix->reader, fix->org, one.slug, &seen), TK_E_NOT_FOUND);
        assert_int_equal(workspace_remove(fix, one.id, 100), TK_E_NOT_FOUND);
}

static bool take_workspace(const struct tk_workspace *workspace, void *ctx) {
        struct user_list *list = ctx;
        list->ids[list->nr++] = workspace->id;
        return list->nr != list->stop_at;
}

static void test_workspaces_are_listed_in_pages_newest_first(void **state) {
        struct fix *fix = *state;
        uint64_t nr = 77;
        for (unsigned n = 1; n <= 9; n++) {
                const struct tk_workspace workspace = workspace_of(n == 4 ? id_of(800) : fix->org, n);
                assert_ok(workspace_insert(fix, &workspace));
                if (n == 7)
                        assert_ok(workspace_remove(fix, workspace.id, 5));
        }
        assert_ok(tk_reader_workspace_count(fix->reader, fix->org, &nr));
        assert_int_equal(nr, 8); /* with the first, which is the newest: the tests' clock stands in 1970 */
        struct user_list page = {.nr = 0};
        assert_ok(tk_reader_workspace_list(fix->reader, fix->org, 1, 4, take_workspace, &page));
        static const unsigned expected[] = {9, 8, 6, 5};
        assert_int_equal(page.nr, 4);
        for (unsigned i = 0; i < 4; i++)
                assert_true(tk_id_eq(page.ids[i], id_of(expected[i])));
        page = (struct user_list){.nr = 0};
        assert_ok(tk_reader_workspace_list(fix->reader, fix->org, 6, 4, take_workspace, &page));
        assert_int_equal(page.nr, 2);
        page = (struct user_list){.stop_at = 1};
        assert_ok(tk_reader_workspace_list(fix->reader, fix->org, 0, 100, take_workspace, &page));
        assert_int_equal(page.nr, 1);
        assert_true(tk_id_eq(page.ids[0], tk_store_workspace(fix->store)));
}

static void test_front_refuses_workspaces_that_are_none(void **state) {
        struct fix *fix = *state;
        struct tk_workspace workspace = workspace_of(fix->org, 1);
        workspace.slug[0] = 'W';
        assert_int_equal(workspace_insert(fix, &workspace), TK_E_RANGE);
        workspace = workspace_of(fix->org, 1);
        workspace.removed_ms = 1;
        assert_int_equal(workspace_insert(fix, &workspace), TK_E_RANGE);
        workspace.removed_ms = 0;
        workspace.created_ms = INT64_MAX;
        assert_int_equal(workspace_insert(fix, &workspace), TK_E_RANGE);
        assert_int_equal(workspace_remove(fix, id_of(1), 0), TK_E_RANGE);
        assert_int_equal(workspace_remove(fix, no_id, 1), TK_E_RANGE);
        workspace = workspace_of(fix->org, 1);
        workspace.name[0] = '\0';
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_workspace_update(fix->store, &workspace), TK_E_RANGE);
        tk_store_rollback(fix->store);
}

int contract_people_run(void) {
        const struct CMUnitTest tests[] = {
                T(user_round_trip),
                T(user_has_an_address_of_their_own),
                T(user_update_keeps_what_never_changes),
                T(user_that_is_removed_takes_their_keys_along),
                T(users_follow_the_mark),
                T(users_are_listed_in_pages_newest_first),
                T(front_refuses_users_that_are_none),
                T(first_workspace_is_there_and_stays),
                T(workspace_round_trip_and_update),
                T(workspace_has_a_slug_of_its_own),
                T(workspace_that_is_removed_takes_its_keys_along),
                T(workspaces_are_listed_in_pages_newest_first),
                T(front_refuses_workspaces_that_are_none),
        };
        return cmocka_run_group_tests_name("people", tests, NULL, NULL);
}
