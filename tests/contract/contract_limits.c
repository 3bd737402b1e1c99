/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits of organisations, workspaces and users, and what their keys used together.
 */
#include "contract/contract.h"

#include <string.h>

/* ---- limits ---- */

#define WORKSPACE 900u
#define USER      950u

static struct tk_limit limit_of(unsigned n) {
        return (struct tk_limit){.meter = (enum tk_meter)(n % TK_METER_NR),
                                 .window = {TK_WINDOW_EVERY_N_DAYS, (uint16_t)(n + 1), -(int32_t)n},
                                 .flags = n % 2 ? TK_LIMIT_OBSERVE : 0,
                                 .cap = n ? UINT64_MAX - n : 0,
                                 .alert = n % 3 ? UINT64_MAX - 2 * n : 0};
}

static enum tk_err put(struct fix *fix, struct tk_id subject, const struct tk_limit *limits, unsigned nr) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_limits_put(fix->store, subject, limits, nr);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static void expect(struct fix *fix, struct tk_id subject, const struct tk_limit *limits, unsigned nr) {
        struct tk_limit seen[TK_KEY_LIMITS_MAX];
        unsigned seen_nr = 77;
        memset(seen, 0xAA, sizeof seen);
        assert_ok(tk_reader_limits(fix->reader, subject, seen, &seen_nr));
        assert_int_equal(seen_nr, nr);
        for (unsigned i = 0; i < nr; i++)
                assert_true(limit_same(&seen[i], &limits[i]));
}

static void test_limits_round_trip_in_their_order(void **state) {
        struct fix *fix = *state;
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        for (unsigned i = 0; i < TK_KEY_LIMITS_MAX; i++)
                limits[i] = limit_of(TK_KEY_LIMITS_MAX - i);
        expect(fix, fix->org, NULL, 0);
        assert_ok(put(fix, fix->org, limits, TK_KEY_LIMITS_MAX));
        assert_ok(put(fix, id_of(WORKSPACE), limits + 3, 2));
        expect(fix, fix->org, limits, TK_KEY_LIMITS_MAX);
        expect(fix, id_of(WORKSPACE), limits + 3, 2);
        expect(fix, id_of(WORKSPACE + 1), NULL, 0);
        assert_ok(put(fix, fix->org, limits + 5, 3)); /* all are replaced */
        expect(fix, fix->org, limits + 5, 3);
        expect(fix, id_of(WORKSPACE), limits + 3, 2);
        assert_ok(put(fix, fix->org, NULL, 0));
        expect(fix, fix->org, NULL, 0);
}

static void test_limits_of_every_kind_are_kept(void **state) {
        struct fix *fix = *state;
        const struct tk_limit limits[] = {
                {{TK_WINDOW_FLIGHT, 0, 0}, TK_METER_REQUESTS, 0, 4, 0},
                {{TK_WINDOW_SECOND, 0, 0}, TK_METER_REQUESTS, TK_LIMIT_SLIDING, 10, 9},
                {{TK_WINDOW_MINUTE, 0, 0}, TK_METER_TOKENS, TK_LIMIT_SLIDING | TK_LIMIT_OBSERVE, 1000, 1},
                {{TK_WINDOW_LIFETIME, 0, 0}, TK_METER_USD, TK_LIMIT_OBSERVE, UINT64_MAX, UINT64_MAX},
        };
        struct tk_key key = key_of(fix->org, 1), seen;
        assert_ok(put(fix, fix->org, limits, 4));
        expect(fix, fix->org, limits, 4);
        memcpy(key.limits, limits, sizeof limits);
        key.limits_nr = 4;
        key_put(fix->store, &key);
        assert_ok(tk_reader_key_by_id(fix->reader, key.id, &seen));
        assert_true(key_same(&seen, &key));
}

static void test_limits_are_a_change_of_their_subject(void **state) {
        struct fix *fix = *state;
        struct contract_changes list = {0};
        struct tk_key key = key_of(fix->org, 1);
        const struct tk_limit limit = limit_of(1);
        assert_ok(put(fix, fix->org, &limit, 1));
        key_put(fix->store, &key);
        assert_ok(put(fix, id_of(WORKSPACE), NULL, 0));
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_limits_put(fix->store, fix->org, &limit, 1));
        tk_store_rollback(fix->store);
        expect(fix, fix->org, &limit, 1);
        assert_ok(tk_reader_changes(fix->reader, 0, contract_take_change, &list));
        assert_int_equal(list.nr, 3);
        assert_true(tk_id_eq(list.keys[0], fix->org));
        assert_true(tk_id_eq(list.keys[1], key.id));
        assert_true(tk_id_eq(list.keys[2], id_of(WORKSPACE)));
}

static void test_limits_follow_the_mark(void **state) {
        struct fix *fix = *state;
        const struct tk_limit limits[] = {limit_of(1), limit_of(2), limit_of(3)};
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_limits_put(fix->store, fix->org, limits, 1));
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_limits_put(fix->store, fix->org, limits, 3));
        assert_ok(tk_store_limits_put(fix->store, id_of(WORKSPACE), limits, 3));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_ok(tk_store_commit(fix->store));
        expect(fix, fix->org, limits, 1);
        expect(fix, id_of(WORKSPACE), NULL, 0);
        assert_int_equal(contract_change_last(fix), 1);
}

static void test_limits_of_a_key_are_in_its_row(void **state) {
        struct fix *fix = *state;
        struct tk_key key = key_of(fix->org, 1), fresh = key_of(fix->org, 2), seen;
        const struct tk_limit limit = limit_of(7);
        key_put(fix->store, &key);
        assert_int_equal(put(fix, key.id, &limit, 1), TK_E_CONFLICT);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_key_insert(fix->store, &fresh));
        assert_int_equal(tk_store_limits_put(fix->store, fresh.id, &limit, 1), TK_E_CONFLICT);
        assert_ok(tk_store_commit(fix->store));
        assert_ok(tk_reader_key_by_id(fix->reader, key.id, &seen));
        assert_true(key_same(&seen, &key));
        expect(fix, key.id, key.limits, key.limits_nr);
        expect(fix, fresh.id, fresh.limits, fresh.limits_nr);
        assert_int_equal(contract_change_last(fix), 2);
}

static void test_front_refuses_limits_that_are_none(void **state) {
        struct fix *fix = *state;
        struct tk_limit limits[TK_KEY_LIMITS_MAX + 1];
        for (unsigned i = 0; i <= TK_KEY_LIMITS_MAX; i++)
                limits[i] = limit_of(i);
        assert_int_equal(put(fix, no_id, limits, 1), TK_E_RANGE);
        assert_int_equal(put(fix, fix->org, limits, TK_KEY_LIMITS_MAX + 1), TK_E_RANGE);
        limits[2] = limits[1];
        limits[2].cap++;
        assert_int_equal(put(fix, fix->org, limits, 3), TK_E_RANGE); /* twice of meter and window */
        limits[0].flags = TK_LIMIT_FLAGS + 1;
        assert_int_equal(put(fix, fix->org, limits, 1), TK_E_RANGE);
        limits[0] = limit_of(0);
        limits[0].meter = TK_METER_NR;
        assert_int_equal(put(fix, fix->org, limits, 1), TK_E_RANGE);
        limits[0] = limit_of(0);
        limits[0].window.days = 0;
        assert_int_equal(put(fix, fix->org, limits, 1), TK_E_RANGE);
        limits[0] = limit_of(TK_METER_USD);
        limits[0].flags = TK_LIMIT_SLIDING; /* money does not slide */
        assert_int_equal(put(fix, fix->org, limits, 1), TK_E_RANGE);
        expect(fix, fix->org, NULL, 0);
        assert_int_equal(contract_change_last(fix), 0);
}

/* ---- usage of a group ---- */

static int64_t sum_of(const struct fix *fix, enum tk_group group, struct tk_id id, int64_t from, int64_t to) {
        int64_t sum = -1;
        assert_ok(tk_reader_usage_sum_group(fix->reader, group, id, TK_METER_USD, from, to, &sum));
        return sum;
}

/*
 * Keys 1 to 4 of the organisation, of which 1 and 2 are in WORKSPACE and each other is in one of its own; 5
 * is of another organisation. 2 is revoked and 3 has expired; these two are of USER, and the others nobody's.
 */
static void fill_group(struct fix *fix) {
        assert_ok(tk_store_begin(fix->store));
        for (unsigned n = 1; n <= 5; n++) {
                struct tk_key key = key_of(n <= 4 ? fix->org : id_of(800), n);
                key.workspace = id_of(n <= 2 ? WORKSPACE : WORKSPACE + n);
                key.user = n == 2 || n == 3 ? id_of(USER) : no_id;
                key.revoked_ms = n == 2 ? 9 : 0;
                key.expires_ms = n == 3 ? 1 : 0;
                assert_ok(tk_store_key_insert(fix->store, &key));
        }
        assert_ok(tk_store_commit(fix->store));
}

static void test_group_sums_its_keys_over_windows(void **state) {
        struct fix *fix = *state;
        fill_group(fix);
        static const int64_t each[] = {0, 1, 100, 10000, 1000000, 1000000};
        /* Two digits of a sum for each key, at every hour of days -1 .. 2. */
        assert_ok(tk_store_begin(fix->store));
        for (unsigned n = 1; n <= 5; n++)
                for (int64_t hour = -24; hour < 72; hour++)
                        assert_ok(tk_store_usage_add(fix->store, id_of(n), TK_METER_USD, hour, each[n]));
        assert_ok(tk_store_usage_add(fix->store, id_of(1), TK_METER_TOKENS, 0, 5));
        assert_ok(tk_store_commit(fix->store));
        for (int64_t from = -26; from <= 74; from++) {
                const int64_t low = from < -24 ? -24 : from;
                for (int64_t to = from; to <= 74; to++) {
                        const int64_t high = to > 72 ? 72 : to, hours = high > low ? high - low : 0;
                        assert_int_equal(sum_of(fix, TK_GROUP_ORG, fix->org, from, to), hours * 1010101);
                        assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, id_of(WORKSPACE), from, to),
                                         hours * 101);
                        assert_int_equal(sum_of(fix, TK_GROUP_USER, id_of(USER), from, to), hours * 10100);
                }
                assert_int_equal(sum_of(fix, TK_GROUP_ORG, fix->org, from, INT64_MAX),
                                 (low < 72 ? 72 - low : 0) * 1010101);
                assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, id_of(WORKSPACE), INT64_MIN, from),
                                 (low < 72 ? low + 24 : 96) * 101);
                assert_int_equal(sum_of(fix, TK_GROUP_ORG, fix->org, from, from - 1), 0);
        }
        assert_int_equal(sum_of(fix, TK_GROUP_ORG, fix->org, INT64_MIN, INT64_MAX), 96 * INT64_C(1010101));
        assert_int_equal(sum_of(fix, TK_GROUP_ORG, id_of(800), INT64_MIN, INT64_MAX), 96 * INT64_C(1000000));
        assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, id_of(WORKSPACE + 3), INT64_MIN, INT64_MAX),
                         96 * INT64_C(10000));
        assert_int_equal(sum_of(fix, TK_GROUP_USER, id_of(USER), INT64_MIN, INT64_MAX), 96 * INT64_C(10100));
        assert_int_equal(sum_of(fix, TK_GROUP_USER, id_of(USER + 1), INT64_MIN, INT64_MAX), 0);
        assert_int_equal(sum_of(fix, TK_GROUP_USER, id_of(WORKSPACE), INT64_MIN, INT64_MAX), 0);
        assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, id_of(USER), INT64_MIN, INT64_MAX), 0);
        assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, fix->org, INT64_MIN, INT64_MAX), 0);
        assert_int_equal(sum_of(fix, TK_GROUP_ORG, id_of(WORKSPACE), INT64_MIN, INT64_MAX), 0);
        assert_int_equal(sum_of(fix, TK_GROUP_ORG, no_id, INT64_MIN, INT64_MAX), 0);
}

static void test_group_counts_what_is_noted_of_itself(void **state) {
        struct fix *fix = *state;
        fill_group(fix);
        usage_put(fix->store, id_of(1), TK_METER_USD, 30, 7);
        usage_put(fix->store, fix->org, TK_METER_USD, 30, 100);
        usage_put(fix->store, id_of(WORKSPACE), TK_METER_USD, 60, 1000);
        usage_put(fix->store, id_of(3), TK_METER_USD, 30, 1);
        usage_put(fix->store, id_of(USER), TK_METER_USD, 31, 20);
        assert_int_equal(sum_of(fix, TK_GROUP_ORG, fix->org, INT64_MIN, INT64_MAX), 108);
        assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, id_of(WORKSPACE), INT64_MIN, INT64_MAX), 1007);
        assert_int_equal(sum_of(fix, TK_GROUP_USER, id_of(USER), INT64_MIN, INT64_MAX), 21);
        assert_int_equal(sum_of(fix, TK_GROUP_USER, id_of(USER), 31, 32), 20);
        assert_int_equal(sum_of(fix, TK_GROUP_ORG, fix->org, 30, 31), 108);
        assert_int_equal(sum_of(fix, TK_GROUP_ORG, fix->org, 31, INT64_MAX), 0);
        assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, id_of(WORKSPACE), 24, 48), 7);
        assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, id_of(WORKSPACE), 31, 61), 1000);
}

static void test_group_that_overflows_says_so(void **state) {
        struct fix *fix = *state;
        int64_t sum = -1;
        fill_group(fix);
        usage_put(fix->store, id_of(1), TK_METER_USD, 30, INT64_MAX - 10);
        usage_put(fix->store, id_of(2), TK_METER_USD, 60, 10);
        assert_int_equal(sum_of(fix, TK_GROUP_WORKSPACE, id_of(WORKSPACE), INT64_MIN, INT64_MAX), INT64_MAX);
        usage_put(fix->store, id_of(3), TK_METER_USD, 90, 1);
        assert_int_equal(tk_reader_usage_sum_group(fix->reader, TK_GROUP_ORG, fix->org, TK_METER_USD,
                                                   INT64_MIN, INT64_MAX, &sum),
                         TK_E_OVERFLOW);
        assert_int_equal(sum, 0);
        assert_int_equal(
                tk_reader_usage_sum_group(fix->reader, TK_GROUP_ORG, fix->org, TK_METER_USD, 0, 96, &sum),
                TK_E_OVERFLOW);
        assert_int_equal(sum_of(fix, TK_GROUP_ORG, fix->org, 31, INT64_MAX), 11);
}

struct nested {
        const struct fix *fix;
        unsigned nr;
};

static bool read_more(const struct tk_key *key, void *ctx) {
        struct nested *nested = ctx;
        expect((struct fix *)nested->fix, key->id, key->limits, key->limits_nr);
        assert_int_equal(sum_of(nested->fix, TK_GROUP_ORG, key->org, 0, 24), 7);
        nested->nr++;
        return true;
}

static void test_group_and_limits_may_be_read_in_a_callback(void **state) {
        struct fix *fix = *state;
        struct nested nested = {.fix = fix};
        fill_group(fix);
        usage_put(fix->store, id_of(4), TK_METER_USD, 3, 7);
        assert_ok(tk_reader_key_list(fix->reader, fix->org, 60000, no_id, LIST_MAX, read_more, &nested));
        assert_int_equal(nested.nr, 2);
}

int contract_limits_run(void) {
        const struct CMUnitTest tests[] = {
                T(limits_round_trip_in_their_order),     T(limits_of_every_kind_are_kept),
                T(limits_are_a_change_of_their_subject), T(limits_follow_the_mark),
                T(limits_of_a_key_are_in_its_row),       T(front_refuses_limits_that_are_none),
                T(group_sums_its_keys_over_windows),     T(group_counts_what_is_noted_of_itself),
                T(group_that_overflows_says_so),         T(group_and_limits_may_be_read_in_a_callback),
        };
        return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
