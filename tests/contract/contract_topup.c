/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepaid balances: each top-up counts once, and the balance is their sum.
 */
#include "contract/contract.h"

#include <stdio.h>
#include <string.h>

#define WORKSPACE 900u

struct topups {
        unsigned nr, stop_at;
        struct tk_topup of[LIST_MAX];
};

static bool take(const struct tk_topup *topup, void *ctx) {
        struct topups *list = ctx;
        assert_true(list->nr < LIST_MAX);
        list->of[list->nr++] = *topup;
        return list->nr != list->stop_at;
}

static enum tk_err put(struct fix *fix, const struct tk_topup *topup) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_topup(fix->store, topup);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static enum tk_err put_limits(struct fix *fix, struct tk_id subject, const struct tk_limit *limits,
                              unsigned nr) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_limits_put(fix->store, subject, limits, nr);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static struct tk_limit balance_of(enum tk_meter meter, uint64_t cap) {
        return (struct tk_limit){.meter = meter,
                                 .window = {.kind = TK_WINDOW_LIFETIME},
                                 .flags = TK_LIMIT_BALANCE,
                                 .cap = cap};
}

static struct tk_limit plain(enum tk_meter meter, enum tk_window_kind window, uint64_t cap) {
        return (struct tk_limit){.meter = meter, .window = {.kind = window}, .cap = cap};
}

static void expect(struct fix *fix, struct tk_id subject, const struct tk_limit *limits, unsigned nr) {
        struct tk_limit seen[TK_KEY_LIMITS_MAX];
        unsigned seen_nr;
        assert_ok(tk_reader_limits(fix->reader, subject, seen, &seen_nr));
        assert_int_equal(seen_nr, nr);
        for (unsigned i = 0; i < nr; i++)
                assert_true(limit_same(&seen[i], &limits[i]));
}

static unsigned topups_nr(struct fix *fix, struct tk_id subject) {
        struct topups list = {0};
        assert_ok(tk_reader_topup_list(fix->reader, subject, take, &list));
        return list.nr;
}

static void test_topups_add_up_to_the_balance(void **state) {
        struct fix *fix = *state;
        const struct tk_topup first = topup_of(fix->org, 1), second = topup_of(fix->org, 2);
        struct tk_topup diem = topup_of(fix->org, 3);
        const struct tk_topup other = topup_of(id_of(WORKSPACE), 4);
        diem.meter = TK_METER_DIEM;
        const struct tk_limit want[] = {balance_of(TK_METER_USD, 1000 + 2000),
                                        balance_of(TK_METER_DIEM, 3000)};
        const struct tk_limit want_other[] = {balance_of(TK_METER_USD, 4000)};
        assert_ok(put(fix, &first));
        expect(fix, fix->org, (const struct tk_limit[]){balance_of(TK_METER_USD, 1000)}, 1);
        assert_ok(tk_store_begin(fix->store)); /* all of a batch, which sees what it wrote itself */
        assert_ok(tk_store_topup(fix->store, &second));
        assert_ok(tk_store_topup(fix->store, &diem));
        assert_ok(tk_store_topup(fix->store, &other));
        assert_ok(tk_store_topup(fix->store, &second));
        assert_ok(tk_store_commit(fix->store));
        expect(fix, fix->org, want, 2);
        expect(fix, id_of(WORKSPACE), want_other, 1);
        assert_int_equal(contract_change_last(fix), 4);
}

static void test_topup_counts_once(void **state) {
        struct fix *fix = *state;
        const struct tk_topup topup = topup_of(fix->org, 1);
        struct tk_topup again = topup;
        const struct tk_limit want[] = {balance_of(TK_METER_USD, 1000)};
        assert_ok(put(fix, &topup));
        again.at_ms += 5; /* reported again later */
        assert_ok(put(fix, &again));
        again.amount++;
        assert_int_equal(put(fix, &again), TK_E_CONFLICT);
        again = topup;
        again.meter = TK_METER_DIEM;
        assert_int_equal(put(fix, &again), TK_E_CONFLICT);
        again = topup;
        again.subject = id_of(WORKSPACE);
        assert_int_equal(put(fix, &again), TK_E_CONFLICT);
        expect(fix, fix->org, want, 1);
        expect(fix, id_of(WORKSPACE), NULL, 0);
        assert_int_equal(topups_nr(fix, fix->org), 1);
        assert_int_equal(contract_change_last(fix), 1);
}

static void test_topups_are_listed_by_time(void **state) {
        struct fix *fix = *state;
        struct topups list = {0};
        struct tk_topup of[4];
        for (unsigned i = 0; i < 4; i++) {
                of[i] = topup_of(fix->org, 10 + i);
                of[i].at_ms = i < 2 ? 500 : (int64_t)(600 - i);
        }
        const struct tk_topup other = topup_of(id_of(WORKSPACE), 20);
        static const unsigned order[] = {3, 1, 0, 2};
        for (unsigned i = 0; i < 4; i++)
                assert_ok(put(fix, &of[order[i]]));
        assert_ok(put(fix, &other));
        assert_ok(tk_reader_topup_list(fix->reader, fix->org, take, &list));
        static const unsigned want[] = {0, 1, 3, 2};
        assert_int_equal(list.nr, 4);
        for (unsigned i = 0; i < 4; i++)
                assert_true(topup_same(&list.of[i], &of[want[i]]));
        list = (struct topups){.stop_at = 2};
        assert_ok(tk_reader_topup_list(fix->reader, fix->org, take, &list));
        assert_int_equal(list.nr, 2);
        assert_int_equal(topups_nr(fix, id_of(WORKSPACE)), 1);
        assert_int_equal(topups_nr(fix, id_of(WORKSPACE + 1)), 0);
        assert_int_equal(topups_nr(fix, no_id), 0);
}

static void test_limits_put_leaves_the_balance(void **state) {
        struct fix *fix = *state;
        const struct tk_topup topup = topup_of(fix->org, 1), more = topup_of(fix->org, 2);
        struct tk_limit limits[TK_KEY_LIMITS_MAX + 1];
        assert_ok(put(fix, &topup));
        for (unsigned i = 0; i < TK_KEY_LIMITS_MAX; i++)
                limits[i] = (struct tk_limit){.meter = TK_METER_USD,
                                              .window = {TK_WINDOW_EVERY_N_DAYS, (uint16_t)(i + 1), 0},
                                              .cap = i};
        assert_int_equal(put_limits(fix, fix->org, limits, TK_KEY_LIMITS_MAX), TK_E_TOO_BIG);
        assert_ok(put_limits(fix, fix->org, limits, TK_KEY_LIMITS_MAX - 1));
        limits[TK_KEY_LIMITS_MAX - 1] = balance_of(TK_METER_USD, 1000);
        expect(fix, fix->org, limits, TK_KEY_LIMITS_MAX);
        assert_ok(put(fix, &more)); /* what is there grows in its place */
        limits[TK_KEY_LIMITS_MAX - 1].cap = 3000;
        expect(fix, fix->org, limits, TK_KEY_LIMITS_MAX);
        assert_ok(put_limits(fix, fix->org, NULL, 0));
        expect(fix, fix->org, &limits[TK_KEY_LIMITS_MAX - 1], 1);
        limits[0] = plain(TK_METER_USD, TK_WINDOW_LIFETIME, 5);
        assert_int_equal(put_limits(fix, fix->org, limits, 1), TK_E_CONFLICT);
        limits[0] = balance_of(TK_METER_DIEM, 5); /* made of nothing */
        assert_int_equal(put_limits(fix, fix->org, limits, 1), TK_E_RANGE);
        expect(fix, fix->org, &limits[TK_KEY_LIMITS_MAX - 1], 1);
}

static void test_topup_that_finds_no_place(void **state) {
        struct fix *fix = *state;
        const struct tk_topup topup = topup_of(fix->org, 1);
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        limits[0] = plain(TK_METER_USD, TK_WINDOW_LIFETIME, 5);
        assert_ok(put_limits(fix, fix->org, limits, 1));
        assert_int_equal(put(fix, &topup), TK_E_CONFLICT);
        for (unsigned i = 0; i < TK_KEY_LIMITS_MAX; i++)
                limits[i] = (struct tk_limit){.meter = TK_METER_USD,
                                              .window = {TK_WINDOW_EVERY_N_DAYS, (uint16_t)(i + 1), 0}};
        assert_ok(put_limits(fix, fix->org, limits, TK_KEY_LIMITS_MAX));
        assert_int_equal(put(fix, &topup), TK_E_TOO_BIG);
        expect(fix, fix->org, limits, TK_KEY_LIMITS_MAX);
        assert_int_equal(topups_nr(fix, fix->org), 0);
        assert_ok(put_limits(fix, fix->org, limits, TK_KEY_LIMITS_MAX - 1));
        assert_ok(put(fix, &topup)); /* a refused id is free */
        assert_int_equal(topups_nr(fix, fix->org), 1);
}

static void test_topup_that_overflows_changes_nothing(void **state) {
        struct fix *fix = *state;
        struct tk_topup most = topup_of(fix->org, 1), one = topup_of(fix->org, 2);
        const struct tk_limit want[] = {balance_of(TK_METER_USD, INT64_MAX)};
        most.amount = INT64_MAX;
        one.amount = 1;
        assert_ok(put(fix, &most));
        assert_int_equal(put(fix, &one), TK_E_OVERFLOW);
        expect(fix, fix->org, want, 1);
        assert_int_equal(topups_nr(fix, fix->org), 1);
        assert_int_equal(contract_change_last(fix), 1);
}

static void test_topup_of_a_key_is_refused(void **state) {
        struct fix *fix = *state;
        struct tk_key key = key_of(fix->org, 1), fresh = key_of(fix->org, 2);
        const struct tk_topup topup = topup_of(key.id, 1), of_fresh = topup_of(fresh.id, 2);
        key_put(fix->store, &key);
        assert_int_equal(put(fix, &topup), TK_E_CONFLICT);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_key_insert(fix->store, &fresh));
        assert_int_equal(tk_store_topup(fix->store, &of_fresh), TK_E_CONFLICT);
        assert_ok(tk_store_commit(fix->store));
        expect(fix, key.id, key.limits, key.limits_nr);
        assert_int_equal(topups_nr(fix, key.id), 0);
}

static void test_topup_follows_mark_and_rollback(void **state) {
        struct fix *fix = *state;
        const struct tk_topup kept = topup_of(fix->org, 1), undone = topup_of(fix->org, 2);
        const struct tk_limit want[] = {balance_of(TK_METER_USD, 1000)};
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_topup(fix->store, &kept));
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_topup(fix->store, &undone));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_ok(tk_store_commit(fix->store));
        expect(fix, fix->org, want, 1);
        assert_int_equal(topups_nr(fix, fix->org), 1);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_topup(fix->store, &undone));
        tk_store_rollback(fix->store);
        expect(fix, fix->org, want, 1);
        assert_ok(put(fix, &undone));
        assert_int_equal(topups_nr(fix, fix->org), 2);
}

static void test_front_refuses_topups_that_are_none(void **state) {
        struct fix *fix = *state;
        const struct tk_topup good = topup_of(fix->org, 1);
        struct tk_topup bad[] = {good, good, good, good, good, good, good, good, good, good};
        unsigned nr = 0;
        bad[nr++].id[0] = '\0';
        strcpy(bad[nr++].id, "two words");
        strcpy(bad[nr++].id, "gr\xC3\xBC\xC3\x9F");
        memset(bad[nr++].id, 'x', sizeof bad->id); /* no NUL */
        bad[nr++].subject = no_id;
        bad[nr++].meter = TK_METER_TOKENS;
        bad[nr++].meter = TK_METER_NR;
        bad[nr++].amount = 0;
        bad[nr++].amount = -5;
        bad[nr++].at_ms = -1;
        assert_int_equal(nr, sizeof bad / sizeof *bad);
        for (unsigned i = 0; i < nr; i++)
                assert_int_equal(put(fix, &bad[i]), TK_E_RANGE);
        assert_int_equal(contract_change_last(fix), 0);
        struct tk_topup longest = good;
        memset(longest.id, '~', TK_TOPUP_ID_MAX);
        longest.id[TK_TOPUP_ID_MAX] = '\0';
        assert_ok(put(fix, &longest));
        assert_int_equal(topups_nr(fix, fix->org), 1);
}

int contract_topup_run(void) {
        const struct CMUnitTest tests[] = {
                T(topups_add_up_to_the_balance),       T(topup_counts_once),
                T(topups_are_listed_by_time),          T(limits_put_leaves_the_balance),
                T(topup_that_finds_no_place),          T(topup_that_overflows_changes_nothing),
                T(topup_of_a_key_is_refused),          T(topup_follows_mark_and_rollback),
                T(front_refuses_topups_that_are_none),
        };
        return cmocka_run_group_tests_name("topup", tests, NULL, NULL);
}
