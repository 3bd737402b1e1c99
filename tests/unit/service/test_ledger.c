/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger against its promises: a cap is a cap, refused calls use nothing, holds are all or nothing, late
 * posts land in the window of their hold, edits are exact, and what a crash leaves open is in doubt.
 */
#include "bed.h"

#include "core/time.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define AT(day, hour) (((day)*TK_DAY_S + (hour)*TK_HOUR_S) * 1000)
/* Far in the future, so that the service's own clock (never earlier than the real one) does not move it. */
#define DAY INT64_C(40000)

static void a_hold_within_the_cap_is_taken_and_posted(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, &id);
        assert_int_equal(bed_hold(bed, key, 100, 400, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        assert_int_equal(tk_ticket_held(t)->of[TK_METER_USD], 400);
        assert_int_equal(tk_ticket_left(t)->of[TK_METER_USD], 600);
        bed_post(&t, 250, AT(DAY, 1));
        assert_int_equal(bed_posted(bed, id, TK_METER_USD), 250);
        assert_int_equal(bed_posted(bed, id, TK_METER_REQUESTS), 1);
        tk_snapshot_release(&key);
}

static void the_last_nano_can_be_spent_and_not_one_more(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t, *none;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, &id);
        assert_int_equal(bed_hold(bed, key, 1, 999, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        bed_post(&t, 999, AT(DAY, 1));
        assert_int_equal(bed_hold(bed, key, 2, 5, AT(DAY, 1), &none), TK_HOLD_NO_CAP);
        tk_ledger_void(&none);
        assert_int_equal(bed_hold(bed, key, 1, 5, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        assert_int_equal(tk_ticket_held(t)->of[TK_METER_USD], 1);
        bed_post(&t, 1, AT(DAY, 1));
        assert_int_equal(bed_hold(bed, key, 0, 1, AT(DAY, 1), &none), TK_HOLD_NO_CAP);
        tk_ledger_void(&none);
        assert_int_equal(bed_posted(bed, id, TK_METER_USD), 1000);
        tk_snapshot_release(&key);
}

static void a_cap_of_zero_admits_nothing(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_LIFETIME, 0, NULL);
        assert_int_equal(bed_hold(bed, key, 0, 0, AT(DAY, 1), &t), TK_HOLD_NO_CAP);
        assert_int_equal(tk_ticket_refusal(t)->meter, TK_METER_USD);
        assert_int_equal(tk_ticket_refusal(t)->cap, 0);
        assert_true(tk_ticket_refusal(t)->turns_s == INT64_MAX);
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

static void a_refused_hold_uses_nothing(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t, *big;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_MONTH, 1000, &id);
        for (int i = 0; i < 5; i++) {
                assert_int_equal(bed_hold(bed, key, 1001, 2000, AT(DAY, 1), &big), TK_HOLD_NO_CAP);
                assert_int_equal(tk_ticket_refusal(big)->held, 0);
                tk_ledger_void(&big);
        }
        assert_int_equal(bed_hold(bed, key, 1000, 1000, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        assert_int_equal(bed_hold(bed, key, 1000, 1000, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        assert_int_equal(bed_posted(bed, id, TK_METER_USD), 0);
        assert_int_equal(bed_posted(bed, id, TK_METER_REQUESTS), 0);
        tk_snapshot_release(&key);
}

static void what_is_reported_beyond_the_hold_is_overrun(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t, *none;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 100, &id);
        assert_int_equal(bed_hold(bed, key, 100, 100, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        bed_post(&t, 130, AT(DAY, 1));
        assert_int_equal(bed_posted(bed, id, TK_METER_USD), 100);
        assert_int_equal(bed_hold(bed, key, 1, 1, AT(DAY, 1), &none), TK_HOLD_NO_CAP);
        tk_ledger_void(&none);
        tk_snapshot_release(&key);
}

static void an_extension_takes_what_is_left_and_no_more(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 100, NULL);
        assert_int_equal(bed_hold(bed, key, 10, 60, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        assert_int_equal(bed_extend(bed, t, 10, 60), TK_HOLD_TAKEN);
        assert_int_equal(tk_ticket_held(t)->of[TK_METER_USD], 100);
        assert_int_equal(bed_extend(bed, t, 1, 60), TK_HOLD_NO_CAP);
        assert_int_equal(tk_ticket_held(t)->of[TK_METER_USD], 100);
        bed_post(&t, 80, AT(DAY, 1));
        assert_int_equal(bed_hold(bed, key, 20, 20, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

/* A stream may go on although the limit on requests is full: it is one request. */
static void an_extension_asks_nothing_of_other_meters(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t, *none;
        struct tk_snapshot *key = bed_key(bed, TK_METER_REQUESTS, TK_WINDOW_DAY, 1, NULL);
        assert_int_equal(bed_hold(bed, key, 10, 10, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        assert_int_equal(bed_extend(bed, t, 10, 10), TK_HOLD_TAKEN);
        assert_int_equal(bed_hold(bed, key, 10, 10, AT(DAY, 1), &none), TK_HOLD_NO_RATE);
        tk_ledger_void(&none);
        bed_post(&t, 20, AT(DAY, 1));
        tk_snapshot_release(&key);
}

static void a_window_turns_at_its_boundary(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t, *none;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 100, NULL);
        assert_int_equal(bed_hold(bed, key, 100, 100, AT(DAY, 23), &t), TK_HOLD_TAKEN);
        bed_post(&t, 100, AT(DAY, 23));
        assert_int_equal(bed_hold(bed, key, 1, 1, AT(DAY + 1, 0) - 1, &none), TK_HOLD_NO_CAP);
        assert_int_equal(tk_ticket_refusal(none)->turns_s, AT(DAY + 1, 0) / 1000);
        tk_ledger_void(&none);
        assert_int_equal(bed_hold(bed, key, 100, 100, AT(DAY + 1, 0), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

static void a_stream_that_crosses_midnight_belongs_to_its_hold(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        int64_t day_sum = -1;
        struct tk_ticket *late, *t;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 100, &id);
        assert_int_equal(bed_hold(bed, key, 60, 60, AT(DAY, 23), &late), TK_HOLD_TAKEN);
        assert_int_equal(bed_hold(bed, key, 90, 90, AT(DAY + 1, 0), &t), TK_HOLD_TAKEN); /* a fresh day */
        assert_int_equal(bed_extend(bed, late, 40, 40), TK_HOLD_TAKEN);                  /* of the old one */
        assert_int_equal(bed_extend(bed, late, 1, 1), TK_HOLD_NO_CAP);
        bed_post(&late, 100, AT(DAY + 1, 2));
        bed_post(&t, 90, AT(DAY + 1, 2));
        bed_barrier(bed);
        assert_ok(tk_reader_usage_sum(tk_worker_reader(bed->worker), id, TK_METER_USD, DAY * 24,
                                      DAY * 24 + 24, &day_sum));
        assert_int_equal(day_sum, 100);
        tk_snapshot_release(&key);
}

static void a_clock_that_steps_back_reopens_nothing(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t, *none;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 100, NULL);
        assert_int_equal(bed_hold(bed, key, 100, 100, AT(DAY + 1, 0), &t), TK_HOLD_TAKEN);
        bed_post(&t, 100, AT(DAY + 1, 0));
        assert_int_equal(bed_hold(bed, key, 1, 1, AT(DAY, 12), &none), TK_HOLD_NO_CAP);
        tk_ledger_void(&none);
        tk_snapshot_release(&key);
}

/* ---- edits ---- */

struct edit {
        enum tk_window_kind window;
        uint64_t cap;
        bool done;
};

static enum tk_err set_limit(struct tk_key *key, void *ctx) {
        const struct edit *edit = ctx;
        key->period = edit->window;
        key->limits[0].window.kind = edit->window;
        key->limits[0].cap = edit->cap;
        return TK_OK;
}

static void on_edited(void *ctx, enum tk_err err, const struct tk_key *key) {
        assert_ok(err);
        assert_non_null(key);
        ((struct edit *)ctx)->done = true;
}

static void edit_limit(struct bed *bed, struct tk_id id, enum tk_window_kind window, uint64_t cap) {
        struct edit edit = {.window = window, .cap = cap};
        tk_keys_update(bed->worker, &tk_actor_system, tk_store_org(bed->store), id, 1000, set_limit,
                       on_edited, &edit);
        bed_until(bed, &edit.done);
}

static void a_raised_cap_acts_at_once(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t, *none;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 100, &id);
        assert_int_equal(bed_hold(bed, key, 100, 100, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        edit_limit(bed, id, TK_WINDOW_DAY, 150);
        assert_int_equal(bed_extend(bed, t, 50, 50), TK_HOLD_TAKEN); /* the live hold was counted again */
        assert_int_equal(bed_hold(bed, key, 1, 1, AT(DAY, 1), &none), TK_HOLD_NO_CAP);
        tk_ledger_void(&none);
        bed_post(&t, 150, AT(DAY, 1));
        tk_snapshot_release(&key);
}

static void a_lowered_cap_stops_at_once(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t, *none;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 100, &id);
        assert_int_equal(bed_hold(bed, key, 60, 60, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        edit_limit(bed, id, TK_WINDOW_DAY, 50);
        assert_int_equal(bed_extend(bed, t, 1, 1), TK_HOLD_NO_CAP);
        assert_int_equal(bed_hold(bed, key, 1, 1, AT(DAY, 1), &none), TK_HOLD_NO_CAP);
        tk_ledger_void(&none);
        bed_post(&t, 60, AT(DAY, 1)); /* it was held, so it is due */
        assert_int_equal(bed_posted(bed, id, TK_METER_USD), 60);
        tk_snapshot_release(&key);
}

/* Posts that are not in the store yet and holds that are live count in the new window, each once. */
static void a_change_of_period_in_the_middle_is_exact(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t, *live, *none;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 100, &id);
        assert_int_equal(bed_hold(bed, key, 70, 70, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        bed_post(&t, 70, AT(DAY, 1));
        assert_int_equal(bed_hold(bed, key, 20, 20, AT(DAY + 1, 1), &live), TK_HOLD_TAKEN);
        edit_limit(bed, id, TK_WINDOW_LIFETIME, 100);
        assert_int_equal(bed_hold(bed, key, 11, 11, AT(DAY + 1, 1), &none), TK_HOLD_NO_CAP);
        assert_int_equal(tk_ticket_refusal(none)->posted, 70);
        assert_int_equal(tk_ticket_refusal(none)->held, 20);
        tk_ledger_void(&none);
        assert_int_equal(bed_hold(bed, key, 10, 10, AT(DAY + 1, 1), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        bed_post(&live, 20, AT(DAY + 1, 1));
        tk_snapshot_release(&key);
}

/* ---- restarts ---- */

static bool count_lease(const struct tk_lease *lease, void *ctx) {
        TK_UNUSED(lease);
        ++*(unsigned *)ctx;
        return true;
}

static unsigned leases_open(struct bed *bed) {
        unsigned nr = 0;
        bed_barrier(bed);
        assert_ok(tk_reader_lease_list(tk_worker_reader(bed->worker), count_lease, &nr));
        return nr;
}

static void what_is_held_was_lent_before(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        assert_int_equal(leases_open(bed), 0);
        assert_int_equal(bed_hold(bed, key, 100, 100, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        assert_int_equal(leases_open(bed), 1);
        bed_post(&t, 100, AT(DAY, 1));
        tk_snapshot_release(&key);
}

static void a_clean_restart_leaves_nothing_in_doubt(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t;
        struct tk_key_text secret;
        struct tk_snapshot *key = bed_key_secret(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, &id, &secret);
        assert_int_equal(bed_hold(bed, key, 100, 100, AT(DAY, 1), &t), TK_HOLD_TAKEN);
        bed_post(&t, 100, AT(DAY, 1));
        tk_snapshot_release(&key);
        bed_stop(bed);
        bed_start(bed);
        assert_int_equal(leases_open(bed), 0);
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &key));
        assert_int_equal(bed_hold(bed, key, 900, 900, AT(DAY, 2), &t), TK_HOLD_TAKEN); /* all the rest */
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

/* A lease that nobody returned: the run before ended in a crash after 30 of the 200 lent were posted. */
static void what_a_crash_leaves_open_counts_until_its_window_ends(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_ticket *t;
        struct tk_key_text secret;
        struct tk_snapshot *key = bed_key_secret(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, &id, &secret);
        tk_snapshot_release(&key);
        bed_stop(bed);
        struct tk_lease lost = {.subject = id,
                                .meter = TK_METER_USD,
                                .window = {.kind = TK_WINDOW_DAY},
                                .number = DAY,
                                .bound = 200};
        assert_ok(tk_store_begin(bed->store));
        assert_ok(tk_store_usage_add(bed->store, id, TK_METER_USD, DAY * 24 + 1, 30));
        assert_ok(tk_store_lease_put(bed->store, &lost));
        assert_ok(tk_store_commit(bed->store));
        for (int run = 0; run < 2; run++) { /* a second restart, clean this time, keeps the doubt */
                bed_start(bed);
                assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &key));
                assert_int_equal(bed_hold(bed, key, 801, 801, AT(DAY, 2), &t), TK_HOLD_NO_CAP);
                assert_int_equal(tk_ticket_refusal(t)->posted, 200); /* 30 posted, 170 in doubt */
                tk_ledger_void(&t);
                assert_int_equal(bed_hold(bed, key, 800, 800, AT(DAY, 2), &t), TK_HOLD_TAKEN);
                tk_ledger_void(&t);
                tk_snapshot_release(&key);
                bed_stop(bed);
        }
        bed_start(bed);
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &key));
        assert_int_equal(bed_hold(bed, key, 1000, 1000, AT(DAY + 1, 0), &t),
                         TK_HOLD_TAKEN); /* gone with its day */
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

/* ---- threads ---- */

struct spender {
        struct bed bed; /* a worker of its own on the shared service */
        const struct tk_snapshot *key;
        int64_t spent;
        pthread_t thread;
};

#define ROUNDS 400

static void *spend(void *arg) {
        struct spender *s = arg;
        struct tk_ticket *t;
        for (int i = 0; i < ROUNDS; i++) {
                enum tk_hold_answer answer = bed_hold(&s->bed, s->key, 1, 7, AT(DAY, 1), &t);
                if (answer != TK_HOLD_TAKEN) {
                        tk_ledger_void(&t);
                        continue;
                }
                int64_t used = i % 3 == 0 ? 0 : tk_ticket_held(t)->of[TK_METER_USD];
                if (i % 5 == 0) {
                        tk_ledger_void(&t);
                        continue;
                }
                s->spent += used;
                bed_post(&t, used, AT(DAY, 1));
        }
        return NULL;
}

static void many_threads_spend_a_cap_exactly(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct spender spenders[4];
        int64_t spent = 0;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 3000, &id);
        for (int i = 0; i < 4; i++) {
                memset(&spenders[i], 0, sizeof spenders[i]);
                bed_share(&spenders[i].bed, bed);
                spenders[i].key = key;
                assert_int_equal(pthread_create(&spenders[i].thread, NULL, spend, &spenders[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
                pthread_join(spenders[i].thread, NULL);
                spent += spenders[i].spent;
                bed_unshare(&spenders[i].bed);
        }
        assert_int_equal(bed_posted(bed, id, TK_METER_USD), spent);
        assert_int_equal(spent, 3000); /* never more, and all of it: the rounds ask for more than the cap */
        tk_snapshot_release(&key);
}

int main(void) {
#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
        const struct CMUnitTest tests[] = {
                BED_TEST(a_hold_within_the_cap_is_taken_and_posted),
                BED_TEST(the_last_nano_can_be_spent_and_not_one_more),
                BED_TEST(a_cap_of_zero_admits_nothing),
                BED_TEST(a_refused_hold_uses_nothing),
                BED_TEST(what_is_reported_beyond_the_hold_is_overrun),
                BED_TEST(an_extension_takes_what_is_left_and_no_more),
                BED_TEST(an_extension_asks_nothing_of_other_meters),
                BED_TEST(a_window_turns_at_its_boundary),
                BED_TEST(a_stream_that_crosses_midnight_belongs_to_its_hold),
                BED_TEST(a_clock_that_steps_back_reopens_nothing),
                BED_TEST(a_raised_cap_acts_at_once),
                BED_TEST(a_lowered_cap_stops_at_once),
                BED_TEST(a_change_of_period_in_the_middle_is_exact),
                BED_TEST(what_is_held_was_lent_before),
                BED_TEST(a_clean_restart_leaves_nothing_in_doubt),
                BED_TEST(what_a_crash_leaves_open_counts_until_its_window_ends),
                BED_TEST(many_threads_spend_a_cap_exactly),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
