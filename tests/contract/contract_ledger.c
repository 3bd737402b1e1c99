/* SPDX-License-Identifier: Apache-2.0
 *
 * Usage, entries, leases, settings and the log of changes.
 */
#include "contract/contract.h"

#include <string.h>

/* ---- usage ---- */

static int64_t sum_between(const struct fix *fix, int64_t from, int64_t to) {
        int64_t sum = -1;
        assert_ok(tk_reader_usage_sum(fix->reader, id_of(1), TK_METER_USD, from, to, &sum));
        return sum;
}

static void test_usage_sums_over_windows(void **state) {
        struct fix *fix = *state;
        /* One at every hour of days -2 .. 3, so that a sum is a number of hours. */
        assert_ok(tk_store_begin(fix->store));
        for (int64_t hour = -48; hour < 96; hour++)
                assert_ok(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, hour, 1));
        assert_ok(tk_store_commit(fix->store));
        for (int64_t from = -52; from <= 100; from++) {
                const int64_t low = from < -48 ? -48 : from;
                for (int64_t to = from; to <= 100; to++) {
                        const int64_t high = to > 96 ? 96 : to;
                        assert_int_equal(sum_between(fix, from, to), high > low ? high - low : 0);
                }
                assert_int_equal(sum_between(fix, from, INT64_MAX), low < 96 ? 96 - low : 0);
                assert_int_equal(sum_between(fix, INT64_MIN, from), low < 96 ? low + 48 : 144);
                assert_int_equal(sum_between(fix, from, from - 1), 0);
        }
        assert_int_equal(sum_between(fix, INT64_MIN, INT64_MAX), 144);
        assert_int_equal(sum_between(fix, INT64_MIN + 1, INT64_MAX - 1), 144);
        assert_int_equal(sum_between(fix, INT64_MAX, INT64_MAX), 0);
        assert_int_equal(sum_between(fix, INT64_MIN, INT64_MIN + 1), 0);
}

static void test_usage_is_apart_by_subject_and_meter(void **state) {
        struct fix *fix = *state;
        assert_ok(tk_store_begin(fix->store));
        for (unsigned subject = 1; subject <= 3; subject++)
                for (int meter = 0; meter < TK_METER_NR; meter++)
                        for (int i = 0; i < 3; i++)
                                assert_ok(tk_store_usage_add(fix->store, id_of(subject), (enum tk_meter)meter,
                                                             5, subject * 100 + (unsigned)meter));
        assert_ok(tk_store_commit(fix->store));
        for (unsigned subject = 1; subject <= 3; subject++)
                for (int meter = 0; meter < TK_METER_NR; meter++)
                        assert_int_equal(usage_of(fix->reader, id_of(subject), (enum tk_meter)meter),
                                         3 * (subject * 100 + (unsigned)meter));
}

static void test_usage_that_overflows_changes_nothing(void **state) {
        struct fix *fix = *state;
        usage_put(fix->store, id_of(1), TK_METER_USD, 30, INT64_MAX - 10);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, 60, 8));
        assert_int_equal(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, 90, 3), TK_E_OVERFLOW);
        assert_int_equal(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, 60, INT64_MAX),
                         TK_E_OVERFLOW);
        assert_ok(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, 60, 2));
        assert_ok(tk_store_commit(fix->store)); /* a refusal, so the batch is sound */
        assert_int_equal(sum_between(fix, INT64_MIN, INT64_MAX), INT64_MAX);
        assert_int_equal(sum_between(fix, 60, 61), 10);
        assert_int_equal(sum_between(fix, 48, 72), 10);
        assert_int_equal(sum_between(fix, 90, 91), 0);
        assert_int_equal(sum_between(fix, 72, 96), 0);
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, 1, 1), TK_E_OVERFLOW);
        assert_ok(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, 1, 0));
        assert_ok(tk_store_commit(fix->store));
}

static void test_usage_out_of_range_is_refused(void **state) {
        struct fix *fix = *state;
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, 0, -1), TK_E_RANGE);
        assert_int_equal(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, INT64_MAX, 1), TK_E_RANGE);
        assert_int_equal(tk_store_usage_add(fix->store, id_of(1), TK_METER_USD, INT64_MIN, 1), TK_E_RANGE);
        assert_int_equal(tk_store_usage_add(fix->store, no_id, TK_METER_USD, 0, 1), TK_E_RANGE);
        assert_int_equal(tk_store_usage_add(fix->store, id_of(1), TK_METER_NR, 0, 1), TK_E_RANGE);
        assert_ok(tk_store_commit(fix->store));
        assert_int_equal(usage_of(fix->reader, id_of(1), TK_METER_USD), 0);
}

/* ---- entries ---- */

static void test_entry_round_trip_and_order(void **state) {
        struct fix *fix = *state;
        static const unsigned order[] = {3, 1, 5, 2, 4};
        struct contract_entries list = {0};
        assert_ok(tk_store_begin(fix->store));
        for (size_t i = 0; i < 5; i++) {
                struct tk_entry entry = entry_of(fix->org, id_of(1 + order[i] % 2), order[i]);
                if (order[i] >= 3)
                        entry.posted_at_ms = 1000; /* then the id decides */
                assert_ok(tk_store_entry_add(fix->store, &entry));
        }
        struct tk_entry foreign = entry_of(id_of(50), id_of(1), 9);
        assert_ok(tk_store_entry_add(fix->store, &foreign));
        assert_ok(tk_store_commit(fix->store));

        assert_ok(tk_reader_entry_list(fix->reader, fix->org, no_id, LIST_MAX, contract_take_entry, &list));
        assert_int_equal(list.nr, 5);
        for (unsigned i = 0; i < 5; i++) {
                struct tk_entry want = entry_of(fix->org, id_of(1 + (5 - i) % 2), 5 - i);
                if (5 - i >= 3)
                        want.posted_at_ms = 1000;
                assert_true(entry_same(&list.entries[i], &want));
        }
        list.nr = 0;
        assert_ok(
                tk_reader_entry_list(fix->reader, fix->org, id_of(2), LIST_MAX, contract_take_entry, &list));
        assert_int_equal(list.nr, 3);
        assert_true(tk_id_eq(list.entries[0].id, id_of(5)));
        assert_true(tk_id_eq(list.entries[2].id, id_of(1)));
        list.nr = 0;
        assert_ok(tk_reader_entry_list(fix->reader, fix->org, id_of(1), 1, contract_take_entry, &list));
        assert_int_equal(list.nr, 1); /* not the foreign one, which is younger */
        assert_true(tk_id_eq(list.entries[0].id, id_of(4)));
        list.nr = 0;
        list.stop_at = 2;
        assert_ok(tk_reader_entry_list(fix->reader, fix->org, no_id, LIST_MAX, contract_take_entry, &list));
        assert_int_equal(list.nr, 2);
}

static void test_entry_by_id(void **state) {
        struct fix *fix = *state;
        struct tk_entry got;
        struct tk_entry first = entry_of(fix->org, id_of(1), 1), second = entry_of(id_of(50), id_of(2), 2);
        assert_int_equal(tk_reader_entry_get(fix->reader, first.id, &got), TK_E_NOT_FOUND);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_entry_add(fix->store, &first));
        assert_int_equal(tk_reader_entry_get(fix->reader, first.id, &got), TK_E_NOT_FOUND); /* not yet */
        assert_ok(tk_store_entry_add(fix->store, &second));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_entry_get(fix->reader, first.id, &got));
        assert_true(entry_same(&got, &first));
        assert_ok(tk_reader_entry_get(fix->reader, second.id, &got)); /* whoever it belongs to */
        assert_true(entry_same(&got, &second));
        assert_int_equal(tk_reader_entry_get(fix->reader, id_of(3), &got), TK_E_NOT_FOUND);
        assert_int_equal(tk_reader_entry_get(fix->reader, no_id, &got), TK_E_NOT_FOUND);
}

static void test_entry_extremes(void **state) {
        struct fix *fix = *state;
        struct tk_entry want = entry_of(fix->org, id_of(1), 2);
        struct contract_entries list = {0};
        want.tokens = (struct tk_tokens){TK_TOKENS_MAX, TK_TOKENS_MAX, TK_TOKENS_MAX, TK_TOKENS_MAX};
        for (int i = 0; i < TK_METER_NR; i++)
                want.due.of[i] = want.overrun.of[i] = INT64_MAX - i;
        memset(want.model, 'm', TK_MODEL_NAME_MAX);
        want.flags = 63;
        want.held_at_ms = 0;
        want.posted_at_ms = INT64_C(253402300799999);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_entry_add(fix->store, &want));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_entry_list(fix->reader, fix->org, id_of(1), 5, contract_take_entry, &list));
        assert_int_equal(list.nr, 1);
        assert_true(entry_same(&list.entries[0], &want));
}

static void test_entry_twice_is_a_conflict(void **state) {
        struct fix *fix = *state;
        struct tk_entry entry = entry_of(fix->org, id_of(1), 2);
        struct contract_entries list = {0};
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_entry_add(fix->store, &entry));
        assert_int_equal(tk_store_entry_add(fix->store, &entry), TK_E_CONFLICT);
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_store_begin(fix->store));
        entry.due.of[0]++;
        assert_int_equal(tk_store_entry_add(fix->store, &entry), TK_E_CONFLICT);
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_entry_list(fix->reader, fix->org, id_of(1), 5, contract_take_entry, &list));
        assert_int_equal(list.nr, 1);
        assert_int_equal(list.entries[0].due.of[0], 200);
}

/* ---- leases, settings, changes ---- */

static void test_lease_put_replace_drop(void **state) {
        struct fix *fix = *state;
        struct tk_lease lease = lease_of(id_of(1), 10), other[5];
        struct contract_leases list = {0};
        for (size_t i = 0; i < 5; i++)
                other[i] = lease;
        other[0].subject = id_of(2);
        other[1].meter = TK_METER_TOKENS;
        other[2].window.kind = TK_WINDOW_DAY;
        other[3].number = -683;
        other[4].window = (struct tk_window_spec){TK_WINDOW_EVERY_N_DAYS, 9, -5};
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_lease_put(fix->store, &lease));
        for (size_t i = 0; i < 5; i++)
                assert_ok(tk_store_lease_put(fix->store, &other[i]));
        lease.bound = INT64_MAX;
        assert_ok(tk_store_lease_put(fix->store, &lease));
        assert_ok(tk_store_commit(fix->store));
        assert_int_equal(contract_leases_nr(fix), 6);

        assert_ok(tk_store_begin(fix->store));
        for (size_t i = 0; i < 5; i++)
                assert_ok(tk_store_lease_drop(fix->store, &other[i]));
        assert_ok(tk_store_lease_drop(fix->store, &other[0])); /* gone already */
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_lease_list(fix->reader, contract_take_lease, &list));
        assert_int_equal(list.nr, 1);
        assert_true(tk_id_eq(list.leases[0].subject, id_of(1)));
        assert_true(tk_window_spec_eq(list.leases[0].window, lease.window));
        assert_int_equal(list.leases[0].meter, TK_METER_USD);
        assert_int_equal(list.leases[0].number, 682);
        assert_int_equal(list.leases[0].bound, INT64_MAX);
}

static void test_lease_list_stops_when_told(void **state) {
        struct fix *fix = *state;
        struct contract_leases list = {.stop_at = 2};
        assert_ok(tk_store_begin(fix->store));
        for (unsigned i = 1; i <= 5; i++) {
                struct tk_lease lease = lease_of(id_of(i), i);
                assert_ok(tk_store_lease_put(fix->store, &lease));
        }
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_lease_list(fix->reader, contract_take_lease, &list));
        assert_int_equal(list.nr, 2);
}

static enum tk_err put_meta(struct fix *fix, const char *name, struct tk_str value) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_meta_put(fix->store, name, value);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static void test_meta_put_and_get(void **state) {
        struct fix *fix = *state;
        static char big[4097], out[4097], long_name[66];
        memset(big, 'b', sizeof big);
        memset(long_name, 'n', 65);
        assert_ok(put_meta(fix, "a.b_9", TK_STR("one")));
        assert_ok(put_meta(fix, "a.b_9", TK_STR("two, longer")));
        assert_ok(put_meta(fix, "empty", (struct tk_str){NULL, 0}));
        assert_ok(put_meta(fix, "big", (struct tk_str){big, 4096}));
        assert_ok(put_meta(fix, long_name + 1, TK_STR("64 letters")));
        assert_int_equal(put_meta(fix, "too_big", (struct tk_str){big, 4097}), TK_E_TOO_BIG);
        static const char *const bad[] = {"", "A", "a-b", "store:org", "a b", "\xC3\xA4", "a\n"};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                assert_int_equal(put_meta(fix, bad[i], TK_STR("x")), TK_E_SYNTAX);
                assert_int_equal(tk_reader_meta_get(fix->reader, bad[i], out, sizeof out), TK_E_NOT_FOUND);
        }
        assert_int_equal(put_meta(fix, long_name, TK_STR("x")), TK_E_SYNTAX);

        assert_ok(tk_reader_meta_get(fix->reader, "a.b_9", out, sizeof out));
        assert_string_equal(out, "two, longer");
        assert_ok(tk_reader_meta_get(fix->reader, "a.b_9", out, 12));
        assert_int_equal(tk_reader_meta_get(fix->reader, "a.b_9", out, 11), TK_E_TOO_BIG);
        assert_ok(tk_reader_meta_get(fix->reader, "empty", out, 1));
        assert_string_equal(out, "");
        assert_ok(tk_reader_meta_get(fix->reader, "big", out, sizeof out));
        assert_int_equal(strlen(out), 4096);
        assert_int_equal(tk_reader_meta_get(fix->reader, "too_big", out, sizeof out), TK_E_NOT_FOUND);
        assert_int_equal(tk_reader_meta_get(fix->reader, "unknown", out, sizeof out), TK_E_NOT_FOUND);
}

static void test_changes_are_in_the_order_of_commits(void **state) {
        struct fix *fix = *state;
        struct contract_changes list = {0};
        struct tk_key one = key_of(fix->org, 1), two = key_of(fix->org, 2);
        key_put(fix->store, &one);
        key_put(fix->store, &two);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_key_update(fix->store, &one));
        tk_store_rollback(fix->store);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_key_update(fix->store, &two));
        assert_ok(tk_store_key_update(fix->store, &one));
        assert_ok(tk_store_commit(fix->store));
        static const unsigned want[] = {1, 2, 2, 1};

        assert_ok(tk_reader_changes(fix->reader, 0, contract_take_change, &list));
        assert_int_equal(list.nr, 4);
        for (unsigned i = 0; i < 4; i++) {
                assert_true(tk_id_eq(list.keys[i], id_of(want[i])));
                assert_true(list.seqs[i] > (i ? list.seqs[i - 1] : 0));
        }
        assert_int_equal(contract_change_last(fix), list.seqs[3]);
        const int64_t middle = list.seqs[1];
        list.nr = 0;
        assert_ok(tk_reader_changes(fix->reader, middle, contract_take_change, &list));
        assert_int_equal(list.nr, 2);
        list = (struct contract_changes){.stop_at = 1};
        assert_ok(tk_reader_changes(fix->reader, -5, contract_take_change, &list));
        assert_int_equal(list.nr, 1);
        list.nr = 0;
        assert_ok(tk_reader_changes(fix->reader, INT64_MAX, contract_take_change, &list));
        assert_int_equal(list.nr, 0);
}

static void test_change_can_be_noted_of_anything(void **state) {
        struct fix *fix = *state;
        struct contract_changes list = {0};
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_change_add(fix->store, no_id), TK_E_RANGE);
        assert_ok(tk_store_change_add(fix->store, id_of(7)));
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_change_add(fix->store, id_of(8)));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_ok(tk_store_change_add(fix->store, fix->org));
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_changes(fix->reader, 0, contract_take_change, &list));
        assert_int_equal(list.nr, 2);
        assert_true(tk_id_eq(list.keys[0], id_of(7)));
        assert_true(tk_id_eq(list.keys[1], fix->org));
}

static void test_front_refuses_entries_that_are_none(void **state) {
        struct fix *fix = *state;
        const struct tk_entry good = entry_of(fix->org, id_of(1), 2);
        struct tk_entry bad[10];
        for (size_t i = 0; i < 10; i++)
                bad[i] = good;
        memset(&bad[0].id, 0, sizeof bad[0].id);
        memset(&bad[1].org, 0, sizeof bad[1].org);
        memset(&bad[2].subject, 0, sizeof bad[2].subject);
        bad[3].held_at_ms = -1;
        bad[4].posted_at_ms = INT64_MAX;
        memset(bad[5].model, 'x', sizeof bad[5].model);
        strcpy(bad[6].model, "\xC0\x80");
        bad[7].tokens.cached = TK_TOKENS_MAX + 1;
        bad[8].overrun.of[TK_METER_TOKENS] = -1;
        bad[9].flags = 64;
        assert_ok(tk_store_begin(fix->store));
        for (size_t i = 0; i < 10; i++)
                assert_int_equal(tk_store_entry_add(fix->store, &bad[i]), TK_E_RANGE);
        assert_ok(tk_store_commit(fix->store));
        struct contract_entries list = {0};
        assert_ok(tk_reader_entry_list(fix->reader, fix->org, no_id, LIST_MAX, contract_take_entry, &list));
        assert_int_equal(list.nr, 0);
}

static void test_front_refuses_leases_that_are_none(void **state) {
        struct fix *fix = *state;
        struct tk_lease bad[6];
        for (size_t i = 0; i < 6; i++)
                bad[i] = lease_of(id_of(1), 5);
        bad[0].bound = -1;
        bad[1].meter = TK_METER_NR;
        bad[2].window.days = 3;
        memset(&bad[3].subject, 0, sizeof bad[3].subject);
        bad[4].window.kind = TK_WINDOW_FLIGHT;
        bad[5].number = INT64_MAX;
        assert_ok(tk_store_begin(fix->store));
        for (size_t i = 0; i < 6; i++) {
                assert_int_equal(tk_store_lease_put(fix->store, &bad[i]), TK_E_RANGE);
                assert_int_equal(tk_store_lease_drop(fix->store, &bad[i]), TK_E_RANGE);
        }
        assert_int_equal(tk_store_key_touch(fix->store, id_of(1), -1), TK_E_RANGE);
        assert_ok(tk_store_commit(fix->store));
        assert_int_equal(contract_leases_nr(fix), 0);
}

int contract_ledger_run(void) {
        const struct CMUnitTest tests[] = {
                T(usage_sums_over_windows),
                T(usage_is_apart_by_subject_and_meter),
                T(usage_that_overflows_changes_nothing),
                T(usage_out_of_range_is_refused),
                T(entry_round_trip_and_order),
                T(entry_by_id),
                T(entry_extremes),
                T(entry_twice_is_a_conflict),
                T(lease_put_replace_drop),
                T(lease_list_stops_when_told),
                T(meta_put_and_get),
                T(changes_are_in_the_order_of_commits),
                T(change_can_be_noted_of_anything),
                T(front_refuses_entries_that_are_none),
                T(front_refuses_leases_that_are_none),
        };
        return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
