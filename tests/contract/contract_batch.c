/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, batches and marks, and the order of calls.
 */
#include "contract/contract.h"

#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static void test_open_names_engine_and_first_organisation(void **state) {
        const struct fix *fix = *state;
        assert_string_equal(tk_store_engine(fix->store), contract_engine);
        assert_false(tk_id_none(tk_store_org(fix->store)));
        assert_false(tk_id_none(tk_store_workspace(fix->store)));
        assert_false(tk_id_eq(tk_store_org(fix->store), tk_store_workspace(fix->store)));
}

static void test_open_starts_empty(void **state) {
        const struct fix *fix = *state;
        struct contract_keys keys = {0};
        struct contract_entries entries = {0};
        assert_ok(contract_list_keys(fix, 0, no_id, LIST_MAX, &keys));
        assert_int_equal(keys.nr, 0);
        assert_ok(
                tk_reader_entry_list(fix->reader, fix->org, no_id, LIST_MAX, contract_take_entry, &entries));
        assert_int_equal(entries.nr, 0);
        assert_int_equal(contract_leases_nr(fix), 0);
        assert_int_equal(contract_change_last(fix), 0);
        assert_int_equal(usage_of(fix->reader, id_of(1), TK_METER_USD), 0);
}

/* ---- batches ---- */

/* One of everything, all telling n. */
static void write_all(struct fix *fix, unsigned n) {
        struct tk_key key = key_of(fix->org, n);
        struct tk_entry entry = entry_of(fix->org, key.id, n);
        struct tk_lease lease = lease_of(key.id, n);
        assert_ok(tk_store_key_insert(fix->store, &key));
        assert_ok(tk_store_usage_add(fix->store, key.id, TK_METER_USD, 24, n));
        assert_ok(tk_store_entry_add(fix->store, &entry));
        assert_ok(tk_store_lease_put(fix->store, &lease));
        assert_ok(tk_store_meta_put(fix->store, "last", TK_STR("x")));
}

static void check_all(const struct fix *fix, unsigned n, bool there) {
        struct tk_key key, want = key_of(fix->org, n);
        struct contract_entries entries = {0};
        char text[8];
        const enum tk_err err = there ? TK_OK : TK_E_NOT_FOUND;
        assert_int_equal(tk_reader_key_by_id(fix->reader, want.id, &key), err);
        assert_int_equal(tk_reader_key_by_digest(fix->reader, want.digest, &key), err);
        assert_int_equal(usage_of(fix->reader, want.id, TK_METER_USD), there ? (int64_t)n : 0);
        assert_ok(tk_reader_entry_list(fix->reader, fix->org, want.id, LIST_MAX, contract_take_entry,
                                       &entries));
        assert_int_equal(entries.nr, there);
        assert_int_equal(contract_leases_nr(fix), there);
        assert_int_equal(contract_change_last(fix), there);
        assert_int_equal(tk_reader_meta_get(fix->reader, "last", text, sizeof text), err);
}

static void test_batch_is_seen_by_readers_only_after_commit(void **state) {
        struct fix *fix = *state;
        assert_ok(tk_store_begin(fix->store));
        write_all(fix, 7);
        check_all(fix, 7, false);
        assert_ok(tk_store_commit(fix->store));
        check_all(fix, 7, true);
}

static void test_batch_rolled_back_leaves_nothing(void **state) {
        struct fix *fix = *state;
        assert_ok(tk_store_begin(fix->store));
        write_all(fix, 7);
        tk_store_rollback(fix->store);
        check_all(fix, 7, false);
        assert_ok(tk_store_begin(fix->store)); /* and nothing of it is in the way */
        write_all(fix, 7);
        assert_ok(tk_store_commit(fix->store));
        check_all(fix, 7, true);
}

static void test_batch_empty_may_commit(void **state) {
        struct fix *fix = *state;
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_store_begin(fix->store));
        tk_store_rollback(fix->store);
        check_all(fix, 7, false);
}

static void test_mark_undo_drops_one_job(void **state) {
        struct fix *fix = *state;
        struct tk_key before = key_of(fix->org, 100), kept = key_of(fix->org, 101);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_key_insert(fix->store, &before));
        assert_ok(tk_store_mark(fix->store));
        write_all(fix, 7);
        assert_ok(tk_store_mark_undo(fix->store));
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_key_insert(fix->store, &kept));
        assert_ok(tk_store_mark_keep(fix->store));
        assert_ok(tk_store_commit(fix->store));

        struct contract_keys keys = {0};
        assert_ok(contract_list_keys(fix, 0, no_id, LIST_MAX, &keys));
        assert_int_equal(keys.nr, 2);
        assert_true(key_same(&keys.keys[0], &kept));
        assert_true(key_same(&keys.keys[1], &before));
        assert_int_equal(usage_of(fix->reader, id_of(7), TK_METER_USD), 0);
        assert_int_equal(contract_leases_nr(fix), 0);
        assert_int_equal(contract_change_last(fix), 2);
}

static void test_mark_undone_rows_can_be_written_again(void **state) {
        struct fix *fix = *state;
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_mark(fix->store));
        write_all(fix, 7);
        assert_ok(tk_store_mark_undo(fix->store));
        write_all(fix, 7);
        assert_ok(tk_store_commit(fix->store));
        check_all(fix, 7, true);
}

static void test_mark_undo_restores_what_the_batch_had_changed(void **state) {
        struct fix *fix = *state;
        struct tk_key key = key_of(fix->org, 7), seen;
        key_put(fix->store, &key);
        assert_ok(tk_store_begin(fix->store));
        strcpy(key.description, "first");
        assert_ok(tk_store_key_update(fix->store, &key));
        assert_ok(tk_store_usage_add(fix->store, key.id, TK_METER_USD, 1, 5));
        assert_ok(tk_store_mark(fix->store));
        strcpy(key.description, "second");
        assert_ok(tk_store_key_update(fix->store, &key));
        assert_ok(tk_store_key_touch(fix->store, key.id, 99));
        assert_ok(tk_store_usage_add(fix->store, key.id, TK_METER_USD, 1, INT64_MAX - 5));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_ok(tk_store_key_get(fix->store, key.id, &seen));
        assert_string_equal(seen.description, "first");
        assert_int_equal(seen.last_used_ms, 0);
        assert_ok(tk_store_usage_add(fix->store, key.id, TK_METER_USD, 1, 6));
        assert_ok(tk_store_commit(fix->store));
        assert_int_equal(usage_of(fix->reader, key.id, TK_METER_USD), 11);
}

static void must_mock(const char *expr, const char *file, int line) {
        mock_assert(0, expr, file, line);
        abort();
}

static void test_front_asserts_the_order_of_calls(void **state) {
        struct fix *fix = *state;
        struct tk_key key = key_of(fix->org, 1);
        tk_must_fail_f *kept = tk_must_fail;
        tk_must_fail = must_mock;
        expect_assert_failure(assert_ok(tk_store_commit(fix->store)));
        expect_assert_failure(tk_store_rollback(fix->store));
        expect_assert_failure(assert_ok(tk_store_key_insert(fix->store, &key)));
        expect_assert_failure(assert_ok(tk_store_mark(fix->store)));
        assert_ok(tk_store_begin(fix->store));
        expect_assert_failure(assert_ok(tk_store_begin(fix->store)));
        expect_assert_failure(assert_ok(tk_store_mark_undo(fix->store)));
        assert_ok(tk_store_mark(fix->store));
        expect_assert_failure(assert_ok(tk_store_mark(fix->store)));
        expect_assert_failure(assert_ok(tk_store_commit(fix->store)));
        assert_ok(tk_store_mark_keep(fix->store));
        assert_ok(tk_store_commit(fix->store));
        struct tk_store *store = fix->store;
        expect_assert_failure(tk_store_close(&store)); /* a reader is open */
        tk_must_fail = kept;
}

static void test_close_drops_an_open_batch(void **state) {
        struct fix *fix = *state;
        struct tk_store *store = fix->store;
        tk_reader_close(&fix->reader);
        assert_ok(tk_store_begin(store));
        write_all(fix, 7);
        tk_store_close(&fix->store);
        fix->store = store_must_open(fix->url);
        fix->reader = reader_must_open(fix->store);
        check_all(fix, 7, false);
}

int contract_batch_run(void) {
        const struct CMUnitTest tests[] = {
                T(open_names_engine_and_first_organisation),
                T(open_starts_empty),
                T(batch_is_seen_by_readers_only_after_commit),
                T(batch_rolled_back_leaves_nothing),
                T(batch_empty_may_commit),
                T(mark_undo_drops_one_job),
                T(mark_undone_rows_can_be_written_again),
                T(mark_undo_restores_what_the_batch_had_changed),
                T(front_asserts_the_order_of_calls),
                T(close_drops_an_open_batch),
        };
        return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
