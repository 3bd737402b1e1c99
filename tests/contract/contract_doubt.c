/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubts: what a crash left open.
 */
#include "contract/contract.h"

#include <string.h>

struct doubts {
        unsigned nr, stop_at;
        struct tk_doubt of[LIST_MAX];
};

static bool take(const struct tk_doubt *doubt, void *ctx) {
        struct doubts *list = ctx;
        assert_true(list->nr < LIST_MAX);
        list->of[list->nr++] = *doubt;
        return list->nr != list->stop_at;
}

static struct doubts list_of(const struct fix *fix, struct tk_id subject) {
        struct doubts list = {0};
        assert_ok(tk_reader_doubt_list(fix->reader, subject, take, &list));
        return list;
}

static enum tk_err put(struct fix *fix, const struct tk_doubt *doubt) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_doubt_put(fix->store, doubt);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static enum tk_err drop(struct fix *fix, const struct tk_doubt *doubt) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_doubt_drop(fix->store, doubt);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static void test_doubt_round_trip_and_order(void **state) {
        struct fix *fix = *state;
        const struct tk_doubt base = doubt_of(id_of(5), 10);
        struct tk_doubt want[7];
        for (unsigned i = 0; i < 7; i++) {
                want[i] = base;
                want[i].amount = 10 + i;
                want[i].since_ms = i;
        }
        /* In the order of the list, each different from the third in one field. */
        want[0].subject = id_of(4);
        want[1].number = -683;
        want[3].window = (struct tk_window_spec){TK_WINDOW_EVERY_N_DAYS, 9, -5};
        want[4].window = (struct tk_window_spec){TK_WINDOW_EVERY_N_DAYS, 9, -4};
        want[5].meter = TK_METER_TOKENS;
        want[6].subject = id_of(6);
        want[6].amount = INT64_MAX;
        want[6].since_ms = INT64_C(253402300799999);
        static const unsigned order[] = {3, 6, 0, 2, 5, 1, 4};
        for (unsigned i = 0; i < 7; i++)
                assert_ok(put(fix, &want[order[i]]));
        struct doubts list = list_of(fix, no_id);
        assert_int_equal(list.nr, 7);
        for (unsigned i = 0; i < 7; i++)
                assert_true(doubt_same(&list.of[i], &want[i]));
        list = list_of(fix, id_of(5));
        assert_int_equal(list.nr, 5);
        for (unsigned i = 0; i < 5; i++)
                assert_true(doubt_same(&list.of[i], &want[i + 1]));
        assert_int_equal(list_of(fix, id_of(7)).nr, 0);
        for (unsigned i = 4; i <= 7; i++) { /* of this subject and all after it */
                static const unsigned first[] = {0, 1, 6, 7};
                list = (struct doubts){0};
                assert_ok(tk_reader_doubt_list_from(fix->reader, id_of(i), take, &list));
                assert_int_equal(list.nr, 7 - first[i - 4]);
                for (unsigned j = 0; j < list.nr; j++)
                        assert_true(doubt_same(&list.of[j], &want[first[i - 4] + j]));
        }
        list = (struct doubts){.stop_at = 2};
        assert_ok(tk_reader_doubt_list_from(fix->reader, id_of(5), take, &list));
        assert_int_equal(list.nr, 2);
        list = (struct doubts){.stop_at = 2};
        assert_ok(tk_reader_doubt_list(fix->reader, no_id, take, &list));
        assert_int_equal(list.nr, 2);
        assert_int_equal(contract_change_last(fix), 0); /* a doubt is found by who loads the subject anyway */
}

static void test_doubt_put_again_adds(void **state) {
        struct fix *fix = *state;
        struct tk_doubt doubt = doubt_of(id_of(1), 10);
        doubt.since_ms = 50;
        assert_ok(put(fix, &doubt));
        doubt.since_ms = 70;
        doubt.amount = 5;
        assert_ok(put(fix, &doubt));
        struct doubts list = list_of(fix, id_of(1));
        assert_int_equal(list.nr, 1);
        assert_int_equal(list.of[0].amount, 15);
        assert_int_equal(list.of[0].since_ms, 50);
        assert_ok(tk_store_begin(fix->store));
        doubt.since_ms = 20;
        assert_ok(tk_store_doubt_put(fix->store, &doubt));
        assert_ok(tk_store_doubt_put(fix->store, &doubt)); /* and in the same batch */
        assert_ok(tk_store_commit(fix->store));
        list = list_of(fix, id_of(1));
        assert_int_equal(list.nr, 1);
        assert_int_equal(list.of[0].amount, 25);
        assert_int_equal(list.of[0].since_ms, 20);
}

static void test_doubt_that_overflows_changes_nothing(void **state) {
        struct fix *fix = *state;
        struct tk_doubt doubt = doubt_of(id_of(1), INT64_MAX - 3);
        assert_ok(put(fix, &doubt));
        assert_ok(tk_store_begin(fix->store));
        doubt.amount = 4;
        assert_int_equal(tk_store_doubt_put(fix->store, &doubt), TK_E_OVERFLOW);
        doubt.amount = 2;
        assert_ok(tk_store_doubt_put(fix->store, &doubt));
        assert_int_equal(tk_store_doubt_put(fix->store, &doubt), TK_E_OVERFLOW);
        doubt.amount = 1;
        assert_ok(tk_store_doubt_put(fix->store, &doubt));
        assert_ok(tk_store_commit(fix->store)); /* a refusal, so the batch is sound */
        struct doubts list = list_of(fix, id_of(1));
        assert_int_equal(list.nr, 1);
        assert_int_equal(list.of[0].amount, INT64_MAX);
}

static void test_doubt_drop_is_a_change_of_its_subject(void **state) {
        struct fix *fix = *state;
        struct contract_changes changes = {0};
        struct tk_doubt one = doubt_of(id_of(1), 10), two = doubt_of(id_of(2), 10), other = one;
        other.number++;
        assert_ok(put(fix, &one));
        assert_ok(put(fix, &two));
        assert_int_equal(drop(fix, &other), TK_E_NOT_FOUND);
        one.amount = one.since_ms = 0; /* its name is enough */
        assert_ok(drop(fix, &one));
        assert_int_equal(drop(fix, &one), TK_E_NOT_FOUND);
        struct doubts list = list_of(fix, no_id);
        assert_int_equal(list.nr, 1);
        assert_true(doubt_same(&list.of[0], &two));
        assert_ok(tk_reader_changes(fix->reader, 0, contract_take_change, &changes));
        assert_int_equal(changes.nr, 1);
        assert_true(tk_id_eq(changes.keys[0], id_of(1)));
}

static void test_doubt_sees_its_own_batch(void **state) {
        struct fix *fix = *state;
        const struct tk_doubt doubt = doubt_of(id_of(1), 10);
        assert_ok(put(fix, &doubt));
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_doubt_drop(fix->store, &doubt));
        assert_int_equal(tk_store_doubt_drop(fix->store, &doubt), TK_E_NOT_FOUND);
        assert_ok(tk_store_doubt_put(fix->store, &doubt)); /* begins anew */
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_doubt_drop(fix->store, &doubt));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_doubt_put(fix->store, &doubt));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_ok(tk_store_commit(fix->store));
        struct doubts list = list_of(fix, no_id);
        assert_int_equal(list.nr, 1);
        assert_true(doubt_same(&list.of[0], &doubt));
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_doubt_drop(fix->store, &doubt));
        tk_store_rollback(fix->store);
        assert_int_equal(list_of(fix, no_id).nr, 1);
}

static void test_front_refuses_doubts_that_are_none(void **state) {
        struct fix *fix = *state;
        struct tk_doubt bad[9];
        for (size_t i = 0; i < 9; i++)
                bad[i] = doubt_of(id_of(1), 5);
        memset(&bad[0].subject, 0, sizeof bad[0].subject);
        bad[1].meter = TK_METER_NR;
        bad[2].window.days = 3;
        bad[3].window.kind = TK_WINDOW_FLIGHT;
        bad[4].number = INT64_MIN;
        bad[5].amount = 0;
        bad[6].amount = -1;
        bad[7].since_ms = -1;
        bad[8].since_ms = INT64_MAX;
        for (size_t i = 0; i < 9; i++)
                assert_int_equal(put(fix, &bad[i]), TK_E_RANGE);
        for (size_t i = 0; i < 5; i++)
                assert_int_equal(drop(fix, &bad[i]), TK_E_RANGE);
        assert_int_equal(list_of(fix, no_id).nr, 0);
}

int contract_doubt_run(void) {
        const struct CMUnitTest tests[] = {
                T(doubt_round_trip_and_order),
                T(doubt_put_again_adds),
                T(doubt_that_overflows_changes_nothing),
                T(doubt_drop_is_a_change_of_its_subject),
                T(doubt_sees_its_own_batch),
                T(front_refuses_doubts_that_are_none),
        };
        return cmocka_run_group_tests_name("doubt", tests, NULL, NULL);
}
