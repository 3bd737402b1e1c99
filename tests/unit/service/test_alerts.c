/* SPDX-License-Identifier: Apache-2.0
 *
 * Alerts: one for each limit, window and kind, whatever calls at once, is refused again and again, is
 * restarted or edited; and none for what was not reached.
 */
#include "bed.h"

#include "core/time.h"
#include "service/limits.h"

#include <stdlib.h>
#include <string.h>

#define DAY      INT64_C(40000) /* far ahead of the real clock, which the ledger's never falls behind */
#define AT(d, s) (((DAY + (d)) * TK_DAY_S + (s)) * 1000)
#define ROWS_MAX 64

/* ---- what was noted, oldest first ---- */

struct rows {
        unsigned nr;
        struct tk_alert at[ROWS_MAX];
};

static bool take_row(const struct tk_alert *alert, void *ctx) {
        struct rows *rows = ctx;
        assert_true(rows->nr < ROWS_MAX);
        rows->at[rows->nr++] = *alert;
        return true;
}

static struct rows *rows_of(struct bed *bed) {
        static struct rows rows;
        bed_barrier(bed);
        rows.nr = 0;
        assert_ok(tk_reader_alert_list(tk_worker_reader(bed->worker), tk_store_org(bed->store), ROWS_MAX,
                                       take_row, &rows));
        for (unsigned i = 0; i < rows.nr / 2; i++) {
                struct tk_alert other = rows.at[i];
                rows.at[i] = rows.at[rows.nr - 1 - i];
                rows.at[rows.nr - 1 - i] = other;
        }
        return &rows;
}

static unsigned rows_nr(struct bed *bed) {
        return rows_of(bed)->nr;
}

static struct tk_alert last_row(struct bed *bed) {
        const struct rows *rows = rows_of(bed);
        assert_true(rows->nr > 0);
        return rows->at[rows->nr - 1];
}

/* ---- keys and calls ---- */

static struct tk_snapshot *key_with(struct bed *bed, const struct tk_limit *limits, unsigned nr,
                                    struct tk_id *id) {
        struct tk_key draft = {.period = TK_WINDOW_DAY, .limits_nr = nr};
        struct tk_key_text secret;
        for (unsigned i = 0; i < nr; i++)
                draft.limits[i] = limits[i];
        struct tk_snapshot *key = bed_key_draft(bed, &draft, &secret);
        if (id)
                *id = draft.id;
        return key;
}

static struct tk_snapshot *usd_key(struct bed *bed, enum tk_window_kind window, unsigned flags, uint64_t cap,
                                   uint64_t alert, struct tk_id *id) {
        const struct tk_limit limit = {.window = {.kind = window},
                                       .meter = TK_METER_USD,
                                       .flags = flags,
                                       .cap = cap,
                                       .alert = alert};
        return key_with(bed, &limit, 1, id);
}

static void spend(struct bed *bed, const struct tk_snapshot *key, int64_t usd, int64_t now_ms) {
        struct tk_ticket *t;
        assert_int_equal(bed_hold(bed, key, usd, usd, now_ms, &t), TK_HOLD_TAKEN);
        bed_post(&t, usd, now_ms);
}

static void refused(struct bed *bed, const struct tk_snapshot *key, int64_t usd, int64_t now_ms) {
        struct tk_ticket *none;
        assert_int_not_equal(bed_hold(bed, key, usd, usd, now_ms, &none), TK_HOLD_TAKEN);
        tk_ledger_void(&none);
}

/* ---- tests ---- */

static void a_threshold_and_a_cap_are_told_of_once_a_window(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_snapshot *key = usd_key(bed, TK_WINDOW_DAY, 0, 1000, 800, &id);
        spend(bed, key, 799, AT(0, 10));
        assert_int_equal(rows_nr(bed), 0);
        spend(bed, key, 1, AT(0, 20));
        struct tk_alert row = last_row(bed);
        assert_int_equal(row.kind, TK_ALERT_THRESHOLD);
        assert_true(tk_id_eq(row.subject, id) && tk_id_eq(row.org, tk_store_org(bed->store)));
        assert_int_equal(row.subject_kind, TK_SUBJECT_KEY);
        assert_int_equal(row.limit.cap, 1000);
        assert_int_equal(row.limit.alert, 800);
        assert_int_equal(row.posted, 800);
        assert_int_equal(row.number, DAY);
        assert_int_equal(row.at_ms, AT(0, 20));
        assert_int_equal(row.sent[TK_CHANNEL_EMAIL].next_ms, AT(0, 20));
        spend(bed, key, 199, AT(0, 30));
        assert_int_equal(rows_nr(bed), 1);
        spend(bed, key, 1, AT(0, 40)); /* the cap is reached before anybody is refused */
        assert_int_equal(last_row(bed).kind, TK_ALERT_EXHAUSTED);
        refused(bed, key, 1, AT(0, 50));
        assert_int_equal(rows_nr(bed), 2);
        spend(bed, key, 1000, AT(1, 0)); /* both at once */
        assert_int_equal(rows_nr(bed), 4);
        assert_int_equal(last_row(bed).number, DAY + 1);
        tk_snapshot_release(&key);
}

static void a_refusal_is_told_of_once_a_window(void **state) {
        struct bed *bed = *state;
        struct tk_snapshot *key = usd_key(bed, TK_WINDOW_DAY, 0, 1000, 800, NULL);
        spend(bed, key, 700, AT(0, 0));
        for (int i = 0; i < 5; i++)
                refused(bed, key, 301, AT(0, 10 + i));
        struct tk_alert row = last_row(bed);
        assert_int_equal(rows_nr(bed), 1);
        assert_int_equal(row.kind, TK_ALERT_EXHAUSTED);
        assert_int_equal(row.posted, 700);
        assert_int_equal(row.at_ms, AT(0, 10));
        spend(bed, key, 300, AT(0, 20)); /* reaches the threshold, and the cap, which was told of */
        assert_int_equal(rows_nr(bed), 2);
        assert_int_equal(last_row(bed).kind, TK_ALERT_THRESHOLD);
        refused(bed, key, 1001, AT(1, 0));
        assert_int_equal(rows_nr(bed), 3);
        tk_snapshot_release(&key);
}

static void an_extension_that_is_refused_is_told_of(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = usd_key(bed, TK_WINDOW_DAY, 0, 1000, 0, NULL);
        assert_int_equal(bed_hold(bed, key, 600, 600, AT(0, 0), &t), TK_HOLD_TAKEN);
        assert_int_equal(bed_extend(bed, t, 401, 401), TK_HOLD_NO_CAP);
        assert_int_equal(last_row(bed).held, 600);
        bed_post(&t, 600, AT(0, 9));
        assert_int_equal(rows_nr(bed), 1);
        tk_snapshot_release(&key);
}

static void what_is_held_or_given_back_reaches_nothing(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = usd_key(bed, TK_WINDOW_DAY, 0, 1000, 500, NULL);
        assert_int_equal(bed_hold(bed, key, 1000, 1000, AT(0, 0), &t), TK_HOLD_TAKEN);
        assert_int_equal(rows_nr(bed), 0);
        tk_ledger_void(&t);
        assert_int_equal(bed_hold(bed, key, 1000, 1000, AT(0, 0), &t), TK_HOLD_TAKEN);
        bed_post(&t, 499, AT(0, 1));
        assert_int_equal(rows_nr(bed), 0);
        tk_snapshot_release(&key);
}

static void a_late_post_is_told_of_in_the_window_of_its_hold(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = usd_key(bed, TK_WINDOW_DAY, 0, 1000, 500, NULL);
        assert_int_equal(bed_hold(bed, key, 600, 600, AT(0, 0), &t), TK_HOLD_TAKEN);
        spend(bed, key, 700, AT(1, 0));
        bed_post(&t, 600, AT(1, 5));
        const struct rows *rows = rows_of(bed);
        assert_int_equal(rows->nr, 2);
        assert_int_equal(rows->at[0].number, DAY + 1);
        assert_int_equal(rows->at[1].number, DAY);
        spend(bed, key, 100, AT(1, 9)); /* and the present one is still known */
        assert_int_equal(rows_nr(bed), 2);
        tk_snapshot_release(&key);
}

static void an_observing_limit_is_told_of_when_it_would_refuse(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = usd_key(bed, TK_WINDOW_DAY, TK_LIMIT_OBSERVE, 1000, 0, NULL);
        assert_int_equal(bed_hold(bed, key, 1001, 1001, AT(0, 0), &t), TK_HOLD_TAKEN);
        assert_int_equal(last_row(bed).kind, TK_ALERT_OBSERVED);
        bed_post(&t, 1001, AT(0, 1));
        spend(bed, key, 5000, AT(0, 2));
        assert_int_equal(rows_nr(bed), 1);
        spend(bed, key, 1000, AT(1, 0)); /* the next would be refused */
        assert_int_equal(rows_nr(bed), 2);
        assert_int_equal(last_row(bed).kind, TK_ALERT_OBSERVED);
        tk_snapshot_release(&key);
}

static void what_is_in_flight_is_told_of_once_a_day(void **state) {
        struct bed *bed = *state;
        const struct tk_limit limits[] = {
                {.window = {.kind = TK_WINDOW_FLIGHT}, .meter = TK_METER_REQUESTS, .cap = 1},
                {.window = {.kind = TK_WINDOW_MINUTE},
                 .meter = TK_METER_REQUESTS,
                 .flags = TK_LIMIT_OBSERVE,
                 .cap = 1},
        };
        struct tk_ticket *t;
        struct tk_snapshot *key = key_with(bed, limits, 2, NULL);
        assert_int_equal(bed_hold(bed, key, 1, 1, AT(0, 0), &t), TK_HOLD_TAKEN);
        for (int i = 0; i < 3; i++)
                refused(bed, key, 1, AT(0, i));
        assert_int_equal(rows_nr(bed), 1);
        assert_int_equal(last_row(bed).limit.window.kind, TK_WINDOW_FLIGHT);
        bed_post(&t, 1, AT(0, 4)); /* the minute's only request */
        assert_int_equal(rows_nr(bed), 2);
        assert_int_equal(last_row(bed).limit.window.kind, TK_WINDOW_MINUTE);
        assert_int_equal(last_row(bed).number, DAY);
        for (int i = 1; i < 5; i++)
                spend(bed, key, 1, AT(0, 60 * i));
        assert_int_equal(rows_nr(bed), 2);
        assert_int_equal(bed_hold(bed, key, 1, 1, AT(1, 0), &t), TK_HOLD_TAKEN);
        refused(bed, key, 1, AT(1, 0));
        bed_post(&t, 1, AT(1, 0));
        assert_int_equal(rows_nr(bed), 4);
        tk_snapshot_release(&key);
}

static void a_sliding_rate_is_told_of_once_in_each_window(void **state) {
        struct bed *bed = *state;
        const struct tk_limit limit = {.window = {.kind = TK_WINDOW_HOUR},
                                       .meter = TK_METER_REQUESTS,
                                       .flags = TK_LIMIT_SLIDING,
                                       .cap = 10,
                                       .alert = 4};
        struct tk_snapshot *key = key_with(bed, &limit, 1, NULL);
        for (int i = 0; i < 6; i++)
                spend(bed, key, 0, AT(0, 3590));
        assert_int_equal(rows_nr(bed), 1);
        spend(bed, key, 0, AT(0, 3600 + 36)); /* one, and almost all of the six */
        assert_int_equal(rows_nr(bed), 2);
        assert_int_equal(last_row(bed).kind, TK_ALERT_THRESHOLD);
        assert_int_equal(last_row(bed).number, DAY * 24 + 1);
        assert_true(last_row(bed).posted >= 4);
        spend(bed, key, 0, AT(0, 3600 + 72));
        assert_int_equal(rows_nr(bed), 2);
        spend(bed, key, 0, AT(0, 3 * 3600)); /* nothing is left of all that */
        assert_int_equal(rows_nr(bed), 2);
        tk_snapshot_release(&key);
}

static enum tk_err raise_cap(struct tk_key *key, void *ctx) {
        TK_UNUSED(ctx);
        key->limits[0].cap = 2000;
        return TK_OK;
}

static void on_edited(void *ctx, enum tk_err err, const struct tk_key *key) {
        TK_UNUSED(key);
        assert_ok(err);
        *(bool *)ctx = true;
}

static void a_raised_cap_is_told_of_anew(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        bool done = false;
        struct tk_snapshot *key = usd_key(bed, TK_WINDOW_MONTH, 0, 1000, 800, &id);
        spend(bed, key, 1000, AT(0, 0));
        assert_int_equal(rows_nr(bed), 2);
        tk_keys_update(bed->worker, &tk_actor_system, tk_store_org(bed->store), id, 1000, raise_cap,
                       on_edited, &done);
        bed_until(bed, &done);
        spend(bed, key, 999, AT(0, 1)); /* the threshold is as it was */
        assert_int_equal(rows_nr(bed), 2);
        spend(bed, key, 1, AT(0, 2));
        assert_int_equal(rows_nr(bed), 3);
        assert_int_equal(last_row(bed).limit.cap, 2000);
        tk_snapshot_release(&key);
}

static void a_restart_tells_nothing_twice(void **state) {
        struct bed *bed = *state;
        struct tk_key draft = {.period = TK_WINDOW_MONTH, .limits_nr = 1};
        struct tk_key_text secret;
        draft.limits[0] = (struct tk_limit){
                .window = {.kind = TK_WINDOW_MONTH}, .meter = TK_METER_USD, .cap = 1000, .alert = 500};
        struct tk_snapshot *key = bed_key_draft(bed, &draft, &secret);
        spend(bed, key, 600, AT(0, 0));
        refused(bed, key, 500, AT(0, 1));
        assert_int_equal(rows_nr(bed), 2);
        const struct tk_alert first = rows_of(bed)->at[0];
        tk_snapshot_release(&key);
        bed_stop(bed);
        bed_start(bed);
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &key));
        spend(bed, key, 100, AT(0, 2));
        refused(bed, key, 500, AT(0, 3));
        assert_int_equal(rows_nr(bed), 2);
        assert_memory_equal(&first.id, &rows_of(bed)->at[0].id, sizeof first.id);
        assert_int_equal(rows_of(bed)->at[0].posted, 600);
        spend(bed, key, 300, AT(40, 0)); /* another month */
        assert_int_equal(rows_nr(bed), 2);
        spend(bed, key, 300, AT(40, 1));
        assert_int_equal(rows_nr(bed), 3);
        tk_snapshot_release(&key);
}

static void on_put(void *ctx, enum tk_err err) {
        assert_ok(err);
        *(bool *)ctx = true;
}

static void every_level_is_told_of_its_own(void **state) {
        struct bed *bed = *state;
        const struct tk_limit limit = {
                .window = {.kind = TK_WINDOW_DAY}, .meter = TK_METER_USD, .cap = 1000, .alert = 500};
        struct tk_id org = tk_store_org(bed->store);
        bool done = false;
        struct tk_snapshot *one = usd_key(bed, TK_WINDOW_DAY, 0, 1000, 500, NULL);
        struct tk_snapshot *two = usd_key(bed, TK_WINDOW_DAY, 0, 1000, 500, NULL);
        tk_limits_put(bed->worker, &tk_actor_system, 0, org, &limit, 1, on_put, &done);
        bed_until(bed, &done);
        spend(bed, one, 300, AT(0, 0));
        spend(bed, two, 300, AT(0, 1));
        assert_int_equal(rows_nr(bed), 1);
        assert_int_equal(last_row(bed).subject_kind, TK_SUBJECT_ORG);
        assert_true(tk_id_eq(last_row(bed).subject, org));
        refused(bed, one, 401, AT(0, 2)); /* the key has 700 left */
        assert_int_equal(rows_nr(bed), 2);
        assert_int_equal(last_row(bed).subject_kind, TK_SUBJECT_ORG);
        assert_int_equal(last_row(bed).kind, TK_ALERT_EXHAUSTED);
        tk_snapshot_release(&one);
        tk_snapshot_release(&two);
}

/* ---- threads ---- */

#define THREADS 4

struct spender {
        pthread_t thread;
        struct bed bed;
        struct tk_snapshot *key;
};

static void *spend_all(void *arg) {
        struct spender *s = arg;
        for (int i = 0; i < 300; i++) {
                struct tk_ticket *t;
                if (bed_hold(&s->bed, s->key, 1, 1, AT(i / 100, 0), &t) != TK_HOLD_TAKEN)
                        tk_ledger_void(&t);
                else
                        bed_post(&t, 1, AT(i / 100, 0));
        }
        return NULL;
}

static void threads_that_cross_together_tell_once(void **state) {
        struct bed *bed = *state;
        struct spender spenders[THREADS];
        struct tk_snapshot *key = usd_key(bed, TK_WINDOW_LIFETIME, 0, 1000, 700, NULL);
        for (int i = 0; i < THREADS; i++) {
                memset(&spenders[i], 0, sizeof spenders[i]);
                bed_share(&spenders[i].bed, bed);
                spenders[i].key = key;
                assert_int_equal(pthread_create(&spenders[i].thread, NULL, spend_all, &spenders[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
                pthread_join(spenders[i].thread, NULL);
                bed_unshare(&spenders[i].bed);
        }
        bool seen[TK_ALERT_NR] = {false};
        const struct rows *rows = rows_of(bed);
        assert_int_equal(rows->nr, 2);
        for (unsigned i = 0; i < rows->nr; i++)
                seen[rows->at[i].kind] = true;
        assert_true(seen[TK_ALERT_THRESHOLD] && seen[TK_ALERT_EXHAUSTED]);
        tk_snapshot_release(&key);
}

#define BED_TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                BED_TEST(a_threshold_and_a_cap_are_told_of_once_a_window),
                BED_TEST(a_refusal_is_told_of_once_a_window),
                BED_TEST(an_extension_that_is_refused_is_told_of),
                BED_TEST(what_is_held_or_given_back_reaches_nothing),
                BED_TEST(a_late_post_is_told_of_in_the_window_of_its_hold),
                BED_TEST(an_observing_limit_is_told_of_when_it_would_refuse),
                BED_TEST(what_is_in_flight_is_told_of_once_a_day),
                BED_TEST(a_sliding_rate_is_told_of_once_in_each_window),
                BED_TEST(a_raised_cap_is_told_of_anew),
                BED_TEST(a_restart_tells_nothing_twice),
                BED_TEST(every_level_is_told_of_its_own),
                BED_TEST(threads_that_cross_together_tell_once),
        };
        return cmocka_run_group_tests_name("service/alerts", tests, NULL, NULL);
}
