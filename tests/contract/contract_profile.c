/* SPDX-License-Identifier: Apache-2.0
 *
 * What only management reads: profiles, pages of keys, and the base of a limit.
 */
#include "contract/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every member at its longest, in characters of three bytes where there may be some. */
static void fill(char *at, size_t size) {
        memset(at, 0, size);
        for (size_t i = 0; i + 3 < size; i += 3)
                memcpy(at + i, "\xE2\x82\xAC", 3);
}

static struct tk_profile *profile_of(unsigned n, bool longest) {
        struct tk_profile *p = calloc(1, sizeof *p);
        assert_non_null(p);
        p->key = id_of(n);
        p->updated_ms = n;
        p->reset_ms = longest ? INT64_C(253402300799999) : 0;
        p->no_override = longest;
        snprintf(p->name, sizeof p->name, "name %u", n);
        if (longest) {
                fill(p->name, sizeof p->name);
                fill(p->about, sizeof p->about);
                fill(p->config, sizeof p->config);
                fill(p->emails, sizeof p->emails);
                fill(p->metadata, sizeof p->metadata);
        }
        return p;
}

static bool profile_same(const struct tk_profile *a, const struct tk_profile *b) {
        return tk_id_eq(a->key, b->key) && a->updated_ms == b->updated_ms && a->reset_ms == b->reset_ms &&
               a->no_override == b->no_override && strcmp(a->name, b->name) == 0 &&
               strcmp(a->about, b->about) == 0 && strcmp(a->config, b->config) == 0 &&
               strcmp(a->emails, b->emails) == 0 && strcmp(a->metadata, b->metadata) == 0;
}

static void test_profile_is_written_read_and_replaced(void **state) {
        struct fix *fix = *state;
        struct tk_profile *first = profile_of(1, true), *second = profile_of(1, false),
                          *other = profile_of(2, false);
        struct tk_profile *seen = profile_of(9, true);
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_profile_get(fix->store, id_of(1), seen), TK_E_NOT_FOUND);
        assert_ok(tk_store_profile_put(fix->store, first));
        assert_ok(tk_store_profile_put(fix->store, other));
        assert_ok(tk_store_profile_get(fix->store, id_of(1), seen));
        assert_true(profile_same(seen, first));
        assert_int_equal(tk_reader_profile_get(fix->reader, id_of(1), seen), TK_E_NOT_FOUND);
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_profile_get(fix->reader, id_of(1), seen));
        assert_true(profile_same(seen, first));
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_profile_put(fix->store, second));
        assert_ok(tk_store_profile_get(fix->store, id_of(1), seen));
        assert_true(profile_same(seen, second));
        tk_store_rollback(fix->store);
        assert_ok(tk_reader_profile_get(fix->reader, id_of(1), seen));
        assert_true(profile_same(seen, first));
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_profile_put(fix->store, second));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_profile_get(fix->reader, id_of(1), seen));
        assert_true(profile_same(seen, second));
        assert_ok(tk_reader_profile_get(fix->reader, id_of(2), seen));
        assert_true(profile_same(seen, other));
        assert_int_equal(contract_change_last(fix), 0); /* no request needs to hear of it */
        free(first);
        free(second);
        free(other);
        free(seen);
}

static void expect_refused(struct fix *fix, const struct tk_profile *profile) {
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_profile_put(fix->store, profile), TK_E_RANGE);
        assert_ok(tk_store_commit(fix->store));
}

static void test_front_refuses_profiles_that_are_none(void **state) {
        struct fix *fix = *state;
        struct tk_profile *bad = profile_of(1, false);
        bad->key = no_id;
        expect_refused(fix, bad);
        bad->key = id_of(1);
        bad->updated_ms = -1;
        expect_refused(fix, bad);
        bad->updated_ms = 0;
        bad->reset_ms = INT64_MAX;
        expect_refused(fix, bad);
        bad->reset_ms = 0;
        strcpy(bad->emails, "\xFF");
        expect_refused(fix, bad);
        memset(bad->emails, 'x', sizeof bad->emails);
        expect_refused(fix, bad);
        free(bad);
}

/* 1..12: those of every third belong to workspace 100; 13 is revoked, 14 expired, 15 another's. */
static void fill_keys(struct fix *fix) {
        assert_ok(tk_store_begin(fix->store));
        for (unsigned n = 1; n <= 15; n++) {
                struct tk_key key = key_of(n == 15 ? id_of(777) : fix->org, n);
                key.workspace = n % 3 ? id_of(200) : id_of(100);
                key.kind = (enum tk_key_kind)(n % TK_KIND_NR);
                key.revoked_ms = n == 13;
                key.expires_ms = n == 14;
                assert_ok(tk_store_key_insert(fix->store, &key));
        }
        assert_ok(tk_store_commit(fix->store));
}

static void expect_page(struct fix *fix, const struct tk_key_page *page, uint64_t total, const char *want) {
        struct contract_keys *list = calloc(1, sizeof *list);
        char seen[256] = "";
        uint64_t found = 77;
        assert_non_null(list);
        assert_ok(tk_reader_key_page(fix->reader, page, contract_take_key, list, &found));
        assert_int_equal(found, total);
        for (unsigned i = 0; i < list->nr; i++)
                snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s%d", i ? " " : "",
                         (int)(list->keys[i].created_ms / 1000));
        assert_string_equal(seen, want);
        free(list);
}

#define ALL ((1u << TK_KIND_NR) - 1)

static void test_pages_are_newest_first_and_say_how_many_there_are(void **state) {
        struct fix *fix = *state;
        struct tk_key_page page = {.org = fix->org, .kinds = ALL, .limit = 5};
        expect_page(fix, &page, 0, "");
        fill_keys(fix);
        expect_page(fix, &page, 13, "14 12 11 10 9");
        page.skip = 5;
        expect_page(fix, &page, 13, "8 7 6 5 4");
        page.skip = 10;
        expect_page(fix, &page, 13, "3 2 1");
        page.skip = 13;
        expect_page(fix, &page, 13, "");
        page.skip = INT64_MAX;
        expect_page(fix, &page, 13, "");
        page.skip = 0;
        page.limit = 0;
        expect_page(fix, &page, 13, "");
        page.limit = 100;
        page.org = id_of(777);
        expect_page(fix, &page, 1, "15");
        page.org = id_of(778);
        expect_page(fix, &page, 0, "");
}

static void test_pages_of_a_workspace_and_of_kinds(void **state) {
        struct fix *fix = *state;
        struct tk_key_page page = {.org = fix->org, .workspace = id_of(100), .kinds = ALL, .limit = 3};
        fill_keys(fix);
        expect_page(fix, &page, 4, "12 9 6");
        page.skip = 2;
        expect_page(fix, &page, 4, "6 3");
        page.workspace = id_of(200);
        page.kinds = 1u << TK_KIND_ADMIN;
        page.skip = 0;
        expect_page(fix, &page, 4, "10 7 4"); /* 13 is revoked */
        page.kinds = 1u << TK_KIND_USER | 1u << TK_KIND_ADMIN;
        expect_page(fix, &page, 9, "14 11 10");
        page.kinds = 1u << TK_KIND_INFERENCE;
        expect_page(fix, &page, 0, "");
        page.kinds = 0;
        expect_page(fix, &page, 0, "");
        page.kinds = ALL;
        page.workspace = id_of(300);
        expect_page(fix, &page, 0, "");
        page.org = id_of(777); /* another's workspace */
        page.workspace = id_of(200);
        expect_page(fix, &page, 0, "");
}

static void test_page_stops_when_told_and_still_counts(void **state) {
        struct fix *fix = *state;
        struct contract_keys *list = calloc(1, sizeof *list);
        struct tk_key_page page = {.org = fix->org, .kinds = ALL, .limit = 10};
        uint64_t total = 0;
        assert_non_null(list);
        list->stop_at = 2;
        fill_keys(fix);
        assert_ok(tk_reader_key_page(fix->reader, &page, contract_take_key, list, &total));
        assert_int_equal(list->nr, 2);
        assert_int_equal(total, 13);
        free(list);
}

static void test_limit_keeps_its_base(void **state) {
        struct fix *fix = *state;
        struct tk_key key = key_of(fix->org, 1), seen;
        key.limits[0].base = INT64_MAX;
        key.limits[0].base_number = 682;
        key_put(fix->store, &key);
        assert_ok(tk_reader_key_by_id(fix->reader, key.id, &seen));
        assert_true(key_same(&key, &seen));
        key.limits[0].base = -1;
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_key_update(fix->store, &key), TK_E_RANGE);
        key.limits[0].base = key.limits[0].base_number = 0;
        assert_ok(tk_store_key_update(fix->store, &key));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_key_by_id(fix->reader, key.id, &seen));
        assert_true(key_same(&key, &seen));
}

int contract_profile_run(void) {
        const struct CMUnitTest tests[] = {
                T(profile_is_written_read_and_replaced),
                T(front_refuses_profiles_that_are_none),
                T(pages_are_newest_first_and_say_how_many_there_are),
                T(pages_of_a_workspace_and_of_kinds),
                T(page_stops_when_told_and_still_counts),
                T(limit_keeps_its_base),
        };
        return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
