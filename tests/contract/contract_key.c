/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, one by one and in lists.
 */
#include "contract/contract.h"

#include <string.h>

/* ---- keys ---- */

static struct tk_key key_extreme(struct tk_id org) {
        struct tk_key key = key_of(org, 3);
        for (unsigned i = 0; i < TK_SCOPE_NR; i++)
                tk_scopes_add(&key.scopes, (enum tk_scope)i);
        key.description[0] = '\0';
        for (int i = 0; i < TK_DESCRIPTION_UNITS_MAX; i++)
                strcat(key.description, "\xE2\x82\xAC"); /* the euro sign, three bytes and one unit */
        assert_int_equal(strlen(key.description), TK_DESCRIPTION_BYTES_MAX);
        key.created_ms = INT64_C(253402300799999);
        key.expires_ms = INT64_MAX;
        key.last_used_ms = 1;
        key.revoked_ms = 2;
        key.limits_nr = TK_KEY_LIMITS_MAX;
        for (unsigned i = 0; i < TK_KEY_LIMITS_MAX; i++) {
                key.limits[i] = (struct tk_limit){.meter = (enum tk_meter)(i % TK_METER_NR),
                                                  .cap = i % 2 ? UINT64_MAX - i : i,
                                                  .alert = i % 3 ? UINT64_MAX - 2 * i : i};
                key.limits[i].window = (struct tk_window_spec){.kind = TK_WINDOW_EVERY_N_DAYS,
                                                               .days = (uint16_t)(UINT16_MAX - i),
                                                               .anchor_day = INT32_MIN};
        }
        return key;
}

static void test_key_round_trip(void **state) {
        struct fix *fix = *state;
        struct tk_key bare = key_of(fix->org, 2), seen;
        bare.limits_nr = 0;
        bare.description[0] = bare.last6[0] = '\0';
        memset(&bare.scopes, 0, sizeof bare.scopes);
        bare.created_ms = 0;
        memset(&bare.org, 0, sizeof bare.org);
        memset(&bare.workspace, 0, sizeof bare.workspace);
        struct tk_key owned = key_of(fix->org, 4);
        owned.user = id_of(901);
        const struct tk_key cases[] = {key_of(fix->org, 1), bare, key_extreme(fix->org), owned};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                key_put(fix->store, &cases[i]);
                memset(&seen, 0xAA, sizeof seen);
                assert_ok(tk_reader_key_by_id(fix->reader, cases[i].id, &seen));
                assert_true(key_same(&seen, &cases[i]));
                memset(&seen, 0xAA, sizeof seen);
                assert_ok(tk_reader_key_by_digest(fix->reader, cases[i].digest, &seen));
                assert_true(key_same(&seen, &cases[i]));
                assert_ok(tk_store_begin(fix->store));
                assert_ok(tk_store_key_get(fix->store, cases[i].id, &seen));
                assert_true(key_same(&seen, &cases[i]));
                tk_store_rollback(fix->store);
        }
}

static void test_key_of_which_an_id_or_digest_exists_is_a_conflict(void **state) {
        struct fix *fix = *state;
        struct tk_key old = key_of(fix->org, 1), mine = key_of(fix->org, 2), other;
        key_put(fix->store, &old);
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_key_insert(fix->store, &old), TK_E_CONFLICT);
        other = mine;
        other.id = old.id;
        assert_int_equal(tk_store_key_insert(fix->store, &other), TK_E_CONFLICT);
        other = mine;
        memcpy(other.digest, old.digest, sizeof other.digest);
        assert_int_equal(tk_store_key_insert(fix->store, &other), TK_E_CONFLICT);
        assert_ok(tk_store_key_insert(fix->store, &mine)); /* the batch goes on */
        other = key_of(fix->org, 3);
        other.id = mine.id;
        assert_int_equal(tk_store_key_insert(fix->store, &other), TK_E_CONFLICT);
        other = key_of(fix->org, 3);
        memcpy(other.digest, mine.digest, sizeof other.digest);
        assert_int_equal(tk_store_key_insert(fix->store, &other), TK_E_CONFLICT);
        assert_ok(tk_store_commit(fix->store));
        assert_int_equal(contract_change_last(fix), 2);
        assert_ok(tk_reader_key_by_id(fix->reader, old.id, &other));
        assert_true(key_same(&other, &old));
        assert_int_equal(tk_reader_key_by_id(fix->reader, id_of(3), &other), TK_E_NOT_FOUND);
}

static void test_key_update_keeps_what_never_changes(void **state) {
        struct fix *fix = *state;
        struct tk_key old = key_of(fix->org, 1), want = key_extreme(id_of(50)), seen;
        old.user = id_of(901);
        key_put(fix->store, &old);
        want.id = old.id;
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_key_touch(fix->store, old.id, 77));
        assert_ok(tk_store_key_update(fix->store, &want));
        assert_ok(tk_store_commit(fix->store));
        want.org = old.org;
        want.workspace = old.workspace;
        want.user = old.user;
        memcpy(want.digest, old.digest, sizeof want.digest);
        want.created_ms = old.created_ms;
        want.last_used_ms = 77;
        assert_ok(tk_reader_key_by_id(fix->reader, old.id, &seen));
        assert_true(key_same(&seen, &want));

        want.limits_nr = 0; /* and limits can go */
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_key_update(fix->store, &want));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_key_by_id(fix->reader, old.id, &seen));
        assert_true(key_same(&seen, &want));
}

static void test_key_update_or_touch_of_an_unknown_key_is_not_found(void **state) {
        struct fix *fix = *state;
        struct tk_key key = key_of(fix->org, 1), seen;
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_key_update(fix->store, &key), TK_E_NOT_FOUND);
        assert_int_equal(tk_store_key_touch(fix->store, key.id, 5), TK_E_NOT_FOUND);
        assert_int_equal(tk_store_key_get(fix->store, key.id, &seen), TK_E_NOT_FOUND);
        assert_ok(tk_store_commit(fix->store));
        assert_int_equal(contract_change_last(fix), 0);
}

static void test_key_touch_only_goes_forward(void **state) {
        struct fix *fix = *state;
        static const int64_t touches[] = {10, 30, 20, 30, 0}, wants[] = {10, 30, 30, 30, 30};
        struct tk_key key = key_of(fix->org, 1), seen;
        key_put(fix->store, &key);
        for (size_t i = 0; i < sizeof touches / sizeof *touches; i++) {
                assert_ok(tk_store_begin(fix->store));
                assert_ok(tk_store_key_touch(fix->store, key.id, touches[i]));
                assert_ok(tk_store_commit(fix->store));
                assert_ok(tk_reader_key_by_id(fix->reader, key.id, &seen));
                assert_int_equal(seen.last_used_ms, wants[i]);
        }
        assert_int_equal(contract_change_last(fix), 1); /* no news for anyone's cache */
}

static void test_key_get_sees_its_own_batch(void **state) {
        struct fix *fix = *state;
        struct tk_key key = key_of(fix->org, 1), seen;
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_key_insert(fix->store, &key));
        assert_ok(tk_store_key_get(fix->store, key.id, &seen));
        assert_true(key_same(&seen, &key));
        key.limits_nr = 1;
        assert_ok(tk_store_key_update(fix->store, &key));
        assert_ok(tk_store_key_touch(fix->store, key.id, 4));
        key.last_used_ms = 4;
        assert_ok(tk_store_key_get(fix->store, key.id, &seen));
        assert_true(key_same(&seen, &key));
        tk_store_rollback(fix->store);
}

static void test_key_revoked_or_expired_is_still_found(void **state) {
        struct fix *fix = *state;
        struct tk_key key = key_of(fix->org, 1), seen;
        key.expires_ms = 1;
        key.revoked_ms = 1;
        key_put(fix->store, &key);
        assert_ok(tk_reader_key_by_id(fix->reader, key.id, &seen));
        assert_ok(tk_reader_key_by_digest(fix->reader, key.digest, &seen));
        assert_int_equal(tk_reader_key_by_id(fix->reader, id_of(9), &seen), TK_E_NOT_FOUND);
        digest_of(9, key.digest);
        assert_int_equal(tk_reader_key_by_digest(fix->reader, key.digest, &seen), TK_E_NOT_FOUND);
}

/* ---- the list ---- */

/* Ten keys in a jumbled order of birth, three of the same millisecond, and some that must not be listed. */
static void fill_list(struct fix *fix) {
        static const unsigned order[] = {5, 1, 9, 3, 7, 2, 10, 4, 8, 6};
        assert_ok(tk_store_begin(fix->store));
        for (size_t i = 0; i < 10; i++) {
                struct tk_key key = key_of(fix->org, order[i]);
                if (order[i] >= 4 && order[i] <= 6)
                        key.created_ms = 5000;
                assert_ok(tk_store_key_insert(fix->store, &key));
        }
        struct tk_key foreign = key_of(id_of(777), 20), revoked = key_of(fix->org, 21),
                      expired = key_of(fix->org, 22);
        revoked.created_ms = expired.created_ms = foreign.created_ms = 4500;
        revoked.revoked_ms = 1;
        expired.expires_ms = 60000;
        assert_ok(tk_store_key_insert(fix->store, &foreign));
        assert_ok(tk_store_key_insert(fix->store, &revoked));
        assert_ok(tk_store_key_insert(fix->store, &expired));
        assert_ok(tk_store_commit(fix->store));
}

static void expect_keys(const struct contract_keys *list, unsigned newest, unsigned nr) {
        assert_int_equal(list->nr, nr);
        for (unsigned i = 0; i < nr; i++)
                assert_true(tk_id_eq(list->keys[i].id, id_of(newest - i)));
}

static void test_list_is_newest_first_in_pages_of_any_size(void **state) {
        struct fix *fix = *state;
        struct contract_keys page = {0};
        fill_list(fix);
        for (unsigned size = 1; size <= 12; size++) {
                struct tk_id after = no_id;
                unsigned next = 10;
                for (;;) {
                        unsigned want = next < size ? next : size;
                        assert_ok(contract_list_keys(fix, 60000, after, size, &page));
                        expect_keys(&page, next, want);
                        next -= want;
                        if (!want)
                                break;
                        after = page.keys[want - 1].id;
                }
                assert_int_equal(next, 0);
        }
        assert_ok(contract_list_keys(fix, 60000, no_id, 0, &page));
        assert_int_equal(page.nr, 0);
}

static void test_list_drops_a_key_at_the_millisecond_of_its_end(void **state) {
        struct fix *fix = *state;
        struct contract_keys page = {0};
        fill_list(fix);
        assert_ok(contract_list_keys(fix, 60000, no_id, LIST_MAX, &page));
        assert_int_equal(page.nr, 10);
        assert_ok(contract_list_keys(fix, 59999, no_id, LIST_MAX, &page));
        assert_int_equal(page.nr, 11);
        assert_true(tk_id_eq(page.keys[7].id, id_of(22)));
}

static void test_list_goes_on_after_any_key_of_the_organisation(void **state) {
        struct fix *fix = *state;
        struct contract_keys page = {0};
        fill_list(fix);
        /* A key that was revoked or that expired between two pages still marks the place. */
        assert_ok(contract_list_keys(fix, 60000, id_of(21), LIST_MAX, &page));
        expect_keys(&page, 3, 3);
        assert_ok(contract_list_keys(fix, 60000, id_of(22), 2, &page));
        expect_keys(&page, 3, 2);
        assert_ok(contract_list_keys(fix, 60000, id_of(1), LIST_MAX, &page));
        assert_int_equal(page.nr, 0);
        assert_int_equal(contract_list_keys(fix, 60000, id_of(99), LIST_MAX, &page), TK_E_NOT_FOUND);
        assert_int_equal(contract_list_keys(fix, 60000, id_of(20), LIST_MAX, &page),
                         TK_E_NOT_FOUND); /* foreign */
}

static void test_list_stops_when_told_and_follows_changes(void **state) {
        struct fix *fix = *state;
        struct contract_keys page = {.stop_at = 3};
        struct tk_key key = key_of(fix->org, 10);
        fill_list(fix);
        assert_ok(contract_list_keys(fix, 60000, no_id, LIST_MAX, &page));
        expect_keys(&page, 10, 3);
        assert_ok(tk_store_begin(fix->store));
        key.revoked_ms = 5;
        assert_ok(tk_store_key_update(fix->store, &key));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(contract_list_keys(fix, 60000, no_id, LIST_MAX, &page));
        expect_keys(&page, 9, 3);
        page.stop_at = 0;
        assert_ok(tk_reader_key_list(fix->reader, id_of(777), 0, no_id, 5, contract_take_key,
                                     (page.nr = 0, (void *)&page)));
        expect_keys(&page, 20, 1);
        assert_ok(tk_reader_key_list(fix->reader, id_of(778), 0, no_id, 5, contract_take_key,
                                     (page.nr = 0, (void *)&page)));
        assert_int_equal(page.nr, 0);
}

struct nested {
        const struct fix *fix;
        unsigned nr;
};

static bool read_more(const struct tk_key *key, void *ctx) {
        struct nested *nested = ctx;
        struct tk_reader *reader = nested->fix->reader;
        struct tk_key same;
        struct contract_entries entries = {0};
        assert_int_equal(usage_of(reader, key->id, TK_METER_USD), 0);
        assert_ok(tk_reader_key_by_id(reader, key->id, &same));
        assert_true(key_same(key, &same));
        assert_ok(tk_reader_key_by_digest(reader, key->digest, &same));
        assert_ok(tk_reader_entry_list(reader, key->org, key->id, 5, contract_take_entry, &entries));
        nested->nr++;
        return true;
}

static void test_list_callback_may_use_its_reader(void **state) {
        struct fix *fix = *state;
        struct nested nested = {.fix = fix};
        fill_list(fix);
        assert_ok(tk_reader_key_list(fix->reader, fix->org, 60000, no_id, LIST_MAX, read_more, &nested));
        assert_int_equal(nested.nr, 10);
}

static void expect_key_refused(struct fix *fix, const struct tk_key *key) {
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_key_insert(fix->store, key), TK_E_RANGE);
        assert_int_equal(tk_store_key_update(fix->store, key), TK_E_RANGE);
        assert_ok(tk_store_commit(fix->store));
        assert_int_equal(contract_change_last(fix), 1);
}

static void test_front_refuses_keys_that_are_none(void **state) {
        struct fix *fix = *state;
        const struct tk_key good = key_of(fix->org, 1);
        key_put(fix->store, &good);
        struct tk_key bad = good;
        memset(&bad.id, 0, sizeof bad.id);
        expect_key_refused(fix, &bad);
        bad = good;
        bad.kind = TK_KIND_NR;
        expect_key_refused(fix, &bad);
        bad = good;
        strcpy(bad.description, "\xFF");
        expect_key_refused(fix, &bad);
        bad = good;
        memset(bad.description, 'x', sizeof bad.description);
        expect_key_refused(fix, &bad);
        bad = good;
        bad.expires_ms = -1;
        expect_key_refused(fix, &bad);
        bad = good;
        bad.limits_nr = TK_KEY_LIMITS_MAX + 1;
        expect_key_refused(fix, &bad);
        bad = good;
        bad.limits[1] = bad.limits[0];
        expect_key_refused(fix, &bad);
        bad = good;
        bad.scopes.word[3] = UINT64_C(1) << 63;
        expect_key_refused(fix, &bad);
}

int contract_key_run(void) {
        const struct CMUnitTest tests[] = {
                T(key_round_trip),
                T(key_of_which_an_id_or_digest_exists_is_a_conflict),
                T(key_update_keeps_what_never_changes),
                T(key_update_or_touch_of_an_unknown_key_is_not_found),
                T(key_touch_only_goes_forward),
                T(key_get_sees_its_own_batch),
                T(key_revoked_or_expired_is_still_found),
                T(list_is_newest_first_in_pages_of_any_size),
                T(list_drops_a_key_at_the_millisecond_of_its_end),
                T(list_goes_on_after_any_key_of_the_organisation),
                T(list_stops_when_told_and_follows_changes),
                T(list_callback_may_use_its_reader),
                T(front_refuses_keys_that_are_none),
        };
        return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
