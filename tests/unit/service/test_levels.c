/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits at several levels at once, and the kinds of limits that are not a budget: a hold is taken on all of
 * them or on none, rates slide, what is in flight comes back, and what only observes refuses nothing.
 */
#include "bed.h"

#include "core/time.h"
#include "service/limits.h"

#include <stdlib.h>
#include <string.h>

#define DAY       INT64_C(40000) /* far ahead of the real clock, which the ledger's never falls behind */
#define AT(s, ms) ((DAY * TK_DAY_S + (s)) * 1000 + (ms))

struct put {
        bool done;
        enum tk_err err;
};

static void on_put(void *ctx, enum tk_err err) {
        struct put *put = ctx;
        put->err = err;
        put->done = true;
}

static void limit(struct bed *bed, struct tk_id subject, enum tk_meter meter, enum tk_window_kind window,
                  unsigned flags, uint64_t cap) {
        struct tk_limit one = {.meter = meter, .window = {.kind = window}, .flags = flags, .cap = cap};
        struct put put = {.done = false};
        tk_limits_put(bed->worker, &tk_actor_system, 0, subject, &one, 1, on_put, &put);
        bed_until(bed, &put.done);
        assert_ok(put.err);
}

static enum tk_hold_answer hold_at(struct bed *bed, const struct tk_snapshot *key, int64_t usd,
                                   int64_t now_ms, struct tk_ticket **out) {
        return bed_hold(bed, key, usd, usd, now_ms, out);
}

static void assert_refused(struct bed *bed, const struct tk_snapshot *key, int64_t usd, int64_t now_ms,
                           enum tk_hold_answer how, enum tk_subject_kind by) {
        struct tk_ticket *none;
        assert_int_equal(hold_at(bed, key, usd, now_ms, &none), how);
        assert_int_equal(tk_ticket_refusal(none)->subject_kind, by);
        tk_ledger_void(&none);
}

static void the_organisation_binds_all_its_keys(void **state) {
        struct bed *bed = *state;
        struct tk_id org = tk_store_org(bed->store);
        struct tk_ticket *a, *b;
        struct tk_snapshot *one = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        struct tk_snapshot *two = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        limit(bed, org, TK_METER_USD, TK_WINDOW_DAY, 0, 100);
        assert_int_equal(hold_at(bed, one, 60, AT(0, 0), &a), TK_HOLD_TAKEN);
        assert_refused(bed, two, 41, AT(0, 0), TK_HOLD_NO_CAP, TK_SUBJECT_ORG);
        assert_int_equal(hold_at(bed, two, 40, AT(0, 0), &b), TK_HOLD_TAKEN);
        assert_int_equal(tk_ticket_left(b)->of[TK_METER_USD], 0);
        bed_post(&a, 50, AT(1, 0));
        bed_post(&b, 40, AT(1, 0));
        assert_refused(bed, one, 11, AT(1, 0), TK_HOLD_NO_CAP, TK_SUBJECT_ORG);
        tk_snapshot_release(&one);
        tk_snapshot_release(&two);
}

/* Whatever refuses, no other level keeps anything of the refused hold. */
static void all_levels_or_none(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *small = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 10, NULL);
        struct tk_snapshot *large = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        limit(bed, tk_store_org(bed->store), TK_METER_USD, TK_WINDOW_MONTH, 0, 100);
        limit(bed, tk_store_workspace(bed->store), TK_METER_USD, TK_WINDOW_LIFETIME, 0, 90);
        assert_refused(bed, small, 11, AT(0, 0), TK_HOLD_NO_CAP, TK_SUBJECT_KEY);
        assert_refused(bed, large, 91, AT(0, 0), TK_HOLD_NO_CAP, TK_SUBJECT_WORKSPACE);
        assert_refused(bed, large, 101, AT(0, 0), TK_HOLD_NO_CAP, TK_SUBJECT_ORG);
        assert_int_equal(hold_at(bed, large, 90, AT(0, 0), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        assert_int_equal(hold_at(bed, large, 90, AT(0, 0), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        tk_snapshot_release(&small);
        tk_snapshot_release(&large);
}

/* ---- users ---- */

static struct tk_id user_new(struct bed *bed) {
        static unsigned users_nr;
        return bed_user(bed, ++users_nr);
}

/* A key without limits of its own, in this workspace (none: the first). */
static struct tk_snapshot *key_of_user(struct bed *bed, struct tk_id user, struct tk_id workspace) {
        struct tk_key draft = {.period = TK_WINDOW_DAY, .user = user, .workspace = workspace};
        struct tk_key_text secret;
        return bed_key_draft(bed, &draft, &secret);
}

static void a_user_binds_all_keys_of_theirs_and_no_other(void **state) {
        static const struct tk_id nowhere;
        struct bed *bed = *state;
        struct tk_ticket *a, *b;
        struct tk_id user = user_new(bed), other = user_new(bed), workspace = bed_workspace(bed);
        struct tk_snapshot *here = key_of_user(bed, user, nowhere);
        struct tk_snapshot *there = key_of_user(bed, user, workspace);
        struct tk_snapshot *others = key_of_user(bed, other, nowhere);
        struct tk_snapshot *nobodys = key_of_user(bed, nowhere, nowhere);
        assert_int_equal(hold_at(bed, here, 5, AT(0, 0), &a), TK_HOLD_TAKEN);
        bed_post(&a, 5, AT(0, 0)); /* before there is a limit */
        limit(bed, user, TK_METER_USD, TK_WINDOW_DAY, 0, 100);
        assert_int_equal(hold_at(bed, here, 60, AT(0, 0), &a), TK_HOLD_TAKEN);
        assert_refused(bed, there, 36, AT(0, 0), TK_HOLD_NO_CAP, TK_SUBJECT_USER);
        assert_int_equal(hold_at(bed, there, 35, AT(0, 0), &b), TK_HOLD_TAKEN);
        assert_int_equal(tk_ticket_left(b)->of[TK_METER_USD], 0);
        bed_post(&a, 50, AT(1, 0));
        bed_post(&b, 35, AT(1, 0));
        assert_refused(bed, there, 11, AT(1, 0), TK_HOLD_NO_CAP, TK_SUBJECT_USER);
        assert_int_equal(hold_at(bed, others, 1000, AT(1, 0), &a), TK_HOLD_TAKEN);
        assert_int_equal(hold_at(bed, nobodys, 1000, AT(1, 0), &b), TK_HOLD_TAKEN);
        tk_ledger_void(&a);
        tk_ledger_void(&b);
        tk_snapshot_release(&here);
        tk_snapshot_release(&there);
        tk_snapshot_release(&others);
        tk_snapshot_release(&nobodys);
}

/* From the top: the first level that has not enough is named, and none keeps anything. */
static void a_refusal_names_the_highest_of_four_levels(void **state) {
        static const struct {
                int64_t usd;
                enum tk_subject_kind by;
        } rows[] = {{101, TK_SUBJECT_ORG},
                    {91, TK_SUBJECT_WORKSPACE},
                    {81, TK_SUBJECT_USER},
                    {71, TK_SUBJECT_KEY}};
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_key_text secret;
        struct tk_key draft = {.period = TK_WINDOW_DAY, .user = user_new(bed), .limits_nr = 1};
        draft.limits[0] =
                (struct tk_limit){.meter = TK_METER_USD, .window = {.kind = TK_WINDOW_DAY}, .cap = 70};
        struct tk_snapshot *key = bed_key_draft(bed, &draft, &secret);
        limit(bed, tk_store_org(bed->store), TK_METER_USD, TK_WINDOW_MONTH, 0, 100);
        limit(bed, tk_store_workspace(bed->store), TK_METER_USD, TK_WINDOW_LIFETIME, 0, 90);
        limit(bed, draft.user, TK_METER_USD, TK_WINDOW_WEEK, 0, 80);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                assert_refused(bed, key, rows[i].usd, AT(0, 0), TK_HOLD_NO_CAP, rows[i].by);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(hold_at(bed, key, 70, AT(0, 0), &t), TK_HOLD_TAKEN);
                tk_ledger_void(&t);
        }
        tk_snapshot_release(&key);
}

static void a_limit_of_a_user_holds_over_a_restart(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_key_text secret;
        struct tk_key draft = {.period = TK_WINDOW_DAY, .user = user_new(bed)};
        struct tk_snapshot *key = bed_key_draft(bed, &draft, &secret);
        limit(bed, draft.user, TK_METER_USD, TK_WINDOW_DAY, 0, 100);
        assert_int_equal(hold_at(bed, key, 70, AT(0, 0), &t), TK_HOLD_TAKEN);
        bed_post(&t, 70, AT(0, 0));
        tk_snapshot_release(&key);
        bed_stop(bed);
        bed_start(bed);
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &key));
        assert_refused(bed, key, 31, AT(5, 0), TK_HOLD_NO_CAP, TK_SUBJECT_USER);
        assert_int_equal(hold_at(bed, key, 30, AT(5, 0), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

/* What its keys spent before the limit was set counts, in the store or not, and what they hold. */
static void a_new_limit_counts_what_was_spent_before(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t, *live;
        struct tk_snapshot *one = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        struct tk_snapshot *two = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        assert_int_equal(hold_at(bed, one, 30, AT(0, 0), &t), TK_HOLD_TAKEN);
        bed_post(&t, 30, AT(0, 0));
        assert_int_equal(hold_at(bed, two, 20, AT(0, 0), &live), TK_HOLD_TAKEN);
        limit(bed, tk_store_workspace(bed->store), TK_METER_USD, TK_WINDOW_DAY, 0, 60);
        assert_refused(bed, one, 11, AT(1, 0), TK_HOLD_NO_CAP, TK_SUBJECT_WORKSPACE);
        assert_int_equal(hold_at(bed, one, 10, AT(1, 0), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        bed_post(&live, 20, AT(1, 0));
        tk_snapshot_release(&one);
        tk_snapshot_release(&two);
}

static void a_limit_of_the_organisation_holds_over_a_restart(void **state) {
        struct bed *bed = *state;
        struct tk_key_text secret;
        struct tk_ticket *t;
        struct tk_snapshot *key = bed_key_secret(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL, &secret);
        limit(bed, tk_store_org(bed->store), TK_METER_USD, TK_WINDOW_DAY, 0, 100);
        assert_int_equal(hold_at(bed, key, 70, AT(0, 0), &t), TK_HOLD_TAKEN);
        bed_post(&t, 70, AT(0, 0));
        tk_snapshot_release(&key);
        bed_stop(bed);
        bed_start(bed);
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &key));
        assert_refused(bed, key, 31, AT(5, 0), TK_HOLD_NO_CAP, TK_SUBJECT_ORG);
        assert_int_equal(hold_at(bed, key, 30, AT(5, 0), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

/* ---- rates ---- */

static void call(struct bed *bed, const struct tk_snapshot *key, int64_t now_ms) {
        struct tk_ticket *t;
        assert_int_equal(hold_at(bed, key, 1, now_ms, &t), TK_HOLD_TAKEN);
        bed_post(&t, 1, now_ms);
}

static void a_rate_slides(void **state) {
        struct bed *bed = *state;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        limit(bed, tk_store_org(bed->store), TK_METER_REQUESTS, TK_WINDOW_MINUTE, TK_LIMIT_SLIDING, 10);
        for (int i = 0; i < 10; i++)
                call(bed, key, AT(50, i));
        assert_refused(bed, key, 1, AT(59, 999), TK_HOLD_NO_RATE, TK_SUBJECT_ORG);
        /* A fixed window would now admit ten at once, twenty within eleven seconds. */
        assert_refused(bed, key, 1, AT(60, 0), TK_HOLD_NO_RATE, TK_SUBJECT_ORG);
        call(bed, key, AT(66, 0)); /* a tenth of the window before is over: one may pass */
        assert_refused(bed, key, 1, AT(66, 1), TK_HOLD_NO_RATE, TK_SUBJECT_ORG);
        for (int i = 0; i < 10; i++)
                call(bed, key, AT(180, i)); /* two windows later nothing is remembered */
        tk_snapshot_release(&key);
}

static void refused_calls_use_no_rate(void **state) {
        struct bed *bed = *state;
        struct tk_snapshot *poor = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 0, NULL);
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        limit(bed, tk_store_org(bed->store), TK_METER_REQUESTS, TK_WINDOW_MINUTE, TK_LIMIT_SLIDING, 2);
        for (int i = 0; i < 5; i++)
                assert_refused(bed, poor, 1, AT(0, i), TK_HOLD_NO_CAP, TK_SUBJECT_KEY);
        call(bed, key, AT(0, 10));
        call(bed, key, AT(0, 11));
        tk_snapshot_release(&poor);
        tk_snapshot_release(&key);
}

/* An hour's rate is read back from the store, so a restart forgets nothing of it. */
static void a_long_rate_survives_a_restart(void **state) {
        struct bed *bed = *state;
        struct tk_key_text secret;
        struct tk_snapshot *key = bed_key_secret(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL, &secret);
        limit(bed, tk_store_org(bed->store), TK_METER_REQUESTS, TK_WINDOW_HOUR, TK_LIMIT_SLIDING, 4);
        for (int i = 0; i < 4; i++)
                call(bed, key, AT(3000, i));
        tk_snapshot_release(&key);
        bed_stop(bed);
        bed_start(bed);
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &key));
        assert_refused(bed, key, 1, AT(3100, 0), TK_HOLD_NO_RATE, TK_SUBJECT_ORG);
        assert_refused(bed, key, 1, AT(3600, 0), TK_HOLD_NO_RATE, TK_SUBJECT_ORG);
        call(bed, key, AT(3600 + 900, 0)); /* a quarter is over */
        tk_snapshot_release(&key);
}

/* What a refusal promises is true: at turns_s the call passes, a second before it does not. */
static void a_refused_rate_says_when_it_has_room(void **state) {
        static const struct {
                int64_t filled_s, asked_s, turns_s;
        } rows[] = {
                {0, 30, 66},    /* a tenth of the next minute: then nine of ten count */
                {50, 59, 66},   /* the same: when in its minute it was used does not matter */
                {600, 661, 666} /* in the minute after already */
        };
        struct bed *bed = *state;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        struct tk_ticket *t;
        limit(bed, tk_store_org(bed->store), TK_METER_REQUESTS, TK_WINDOW_MINUTE, TK_LIMIT_SLIDING, 10);
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
                const int64_t base = (int64_t)r * 6000;
                for (int i = 0; i < 10; i++)
                        call(bed, key, AT(base + rows[r].filled_s, i));
                assert_int_equal(hold_at(bed, key, 1, AT(base + rows[r].asked_s, 0), &t), TK_HOLD_NO_RATE);
                assert_int_equal(tk_ticket_refusal(t)->turns_s, AT(base + rows[r].turns_s, 0) / 1000);
                assert_int_equal(tk_ticket_refusal(t)->least, 1);
                assert_true(tk_ticket_refusal(t)->flags & TK_LIMIT_SLIDING);
                tk_ledger_void(&t);
                assert_refused(bed, key, 1, AT(base + rows[r].turns_s - 1, 0), TK_HOLD_NO_RATE,
                               TK_SUBJECT_ORG);
                call(bed, key, AT(base + rows[r].turns_s, 0));
        }
        tk_snapshot_release(&key);
}

/* ---- balances and currencies ---- */

static enum tk_err topup_of(struct bed *bed, struct tk_id subject, enum tk_meter meter, int64_t amount,
                            const char *id) {
        struct tk_topup one = {.subject = subject, .meter = meter, .amount = amount, .at_ms = 5};
        struct put put = {.done = false};
        tk_str_copy(tk_str_of(id), one.id, sizeof one.id);
        tk_limits_topup(bed->worker, &tk_actor_system, &one, on_put, &put);
        bed_until(bed, &put.done);
        return put.err;
}

static enum tk_err topup(struct bed *bed, enum tk_meter meter, int64_t amount, const char *id) {
        return topup_of(bed, tk_store_org(bed->store), meter, amount, id);
}

static void a_user_may_have_paid_in_advance(void **state) {
        static const struct tk_id nowhere;
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_id user = user_new(bed);
        struct tk_snapshot *key = key_of_user(bed, user, nowhere);
        assert_ok(topup_of(bed, user, TK_METER_USD, 100, "one"));
        assert_int_equal(hold_at(bed, key, 90, AT(0, 0), &t), TK_HOLD_TAKEN);
        bed_post(&t, 90, AT(0, 0));
        assert_int_equal(hold_at(bed, key, 11, AT(0, 0), &t), TK_HOLD_NO_BALANCE);
        assert_int_equal(tk_ticket_refusal(t)->subject_kind, TK_SUBJECT_USER);
        assert_true(tk_id_eq(tk_ticket_refusal(t)->subject, user));
        assert_true(tk_ticket_refusal(t)->flags & TK_LIMIT_BALANCE);
        tk_ledger_void(&t);
        assert_ok(topup_of(bed, user, TK_METER_USD, 1, "two"));
        assert_int_equal(hold_at(bed, key, 11, AT(0, 0), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

static void a_top_up_acts_at_once_and_once(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        assert_ok(topup(bed, TK_METER_USD, 100, "one"));
        assert_int_equal(hold_at(bed, key, 90, AT(0, 0), &t), TK_HOLD_TAKEN);
        bed_post(&t, 90, AT(0, 0));
        assert_refused(bed, key, 11, AT(0, 0), TK_HOLD_NO_BALANCE, TK_SUBJECT_ORG);
        assert_ok(topup(bed, TK_METER_USD, 100, "one")); /* told twice */
        assert_refused(bed, key, 11, AT(0, 0), TK_HOLD_NO_BALANCE, TK_SUBJECT_ORG);
        assert_int_equal(topup(bed, TK_METER_USD, 101, "one"), TK_E_CONFLICT);
        assert_int_equal(hold_at(bed, key, 11, AT(0, 0), &t), TK_HOLD_NO_BALANCE);
        assert_true(tk_ticket_refusal(t)->flags & TK_LIMIT_BALANCE);
        assert_int_equal(tk_ticket_refusal(t)->turns_s, INT64_MAX);
        tk_ledger_void(&t);
        assert_ok(topup(bed, TK_METER_USD, 50, "two"));
        assert_int_equal(hold_at(bed, key, 60, AT(1, 0), &t), TK_HOLD_TAKEN);
        assert_int_equal(tk_ticket_left(t)->of[TK_METER_USD], 0);
        assert_refused(bed, key, 1, AT(TK_DAY_S, 0), TK_HOLD_NO_BALANCE,
                       TK_SUBJECT_ORG); /* no day brings more */
        bed_post(&t, 60, AT(1, 0));
        tk_snapshot_release(&key);
}

static void a_balance_holds_over_a_restart(void **state) {
        struct bed *bed = *state;
        struct tk_key_text secret;
        struct tk_ticket *t;
        struct tk_snapshot *key = bed_key_secret(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL, &secret);
        assert_ok(topup(bed, TK_METER_USD, 100, "one"));
        assert_int_equal(hold_at(bed, key, 70, AT(0, 0), &t), TK_HOLD_TAKEN);
        bed_post(&t, 70, AT(0, 0));
        tk_snapshot_release(&key);
        bed_stop(bed);
        bed_start(bed);
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &key));
        assert_refused(bed, key, 31, AT(0, 0), TK_HOLD_NO_BALANCE, TK_SUBJECT_ORG);
        assert_int_equal(hold_at(bed, key, 30, AT(0, 0), &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

static enum tk_hold_answer hold_in(struct bed *bed, const struct tk_snapshot *key, enum tk_meter currency,
                                   int64_t amount, struct tk_ticket **out) {
        struct tk_amounts amounts = {{0}};
        static uint8_t id;
        amounts.of[currency] = amount;
        enum tk_hold_answer answer = tk_ledger_hold(bed->worker, key, (struct tk_id){{0xCC, ++id}}, &amounts,
                                                    &amounts, AT(0, 0), NULL, NULL, out);
        assert_int_not_equal(answer, TK_HOLD_UNTRIED);
        return answer;
}

/* Nothing is left of one currency: that refuses what is charged in it, not what is charged in the other. */
static void a_call_is_asked_for_its_own_currency(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 0, NULL);
        limit(bed, tk_store_org(bed->store), TK_METER_DIEM, TK_WINDOW_MINUTE, 0, 10);
        assert_refused(bed, key, 1, AT(0, 0), TK_HOLD_NO_CAP, TK_SUBJECT_KEY); /* and all is loaded */
        assert_int_equal(hold_in(bed, key, TK_METER_DIEM, 10, &t), TK_HOLD_TAKEN);
        tk_ledger_void(&t);
        assert_int_equal(hold_in(bed, key, TK_METER_DIEM, 11, &t), TK_HOLD_NO_CAP);
        assert_int_equal(tk_ticket_refusal(t)->meter, TK_METER_DIEM);
        tk_ledger_void(&t);
        assert_int_equal(hold_in(bed, key, TK_METER_REQUESTS, 1, &t), TK_HOLD_NO_CAP); /* free asks all */
        assert_int_equal(tk_ticket_refusal(t)->meter, TK_METER_USD);
        tk_ledger_void(&t);
        tk_snapshot_release(&key);
}

/* ---- in flight ---- */

static void a_slot_in_flight_comes_back(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t[3];
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, NULL);
        limit(bed, tk_store_org(bed->store), TK_METER_REQUESTS, TK_WINDOW_FLIGHT, 0, 3);
        for (int round = 0; round < 4; round++) {
                for (int i = 0; i < 3; i++)
                        assert_int_equal(hold_at(bed, key, 1, AT(round, i), &t[i]), TK_HOLD_TAKEN);
                assert_refused(bed, key, 1, AT(round, 9), TK_HOLD_NO_RATE, TK_SUBJECT_ORG);
                bed_post(&t[0], 1, AT(round, 10)); /* by an end */
                tk_ledger_void(&t[1]);             /* by a failure */
                bed_post(&t[2], 0, AT(round, 10)); /* by a client that left */
        }
        tk_snapshot_release(&key);
}

/* ---- observing ---- */

static void what_observes_refuses_nothing_and_is_recorded(void **state) {
        struct bed *bed = *state;
        struct tk_ticket *t;
        struct tk_id id;
        struct tk_snapshot *key = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, &id);
        limit(bed, tk_store_org(bed->store), TK_METER_USD, TK_WINDOW_DAY, TK_LIMIT_OBSERVE, 10);
        assert_int_equal(hold_at(bed, key, 8, AT(0, 0), &t), TK_HOLD_TAKEN);
        assert_false(tk_ticket_observed(t));
        bed_post(&t, 8, AT(0, 0));
        assert_int_equal(hold_at(bed, key, 8, AT(0, 0), &t), TK_HOLD_TAKEN);
        assert_true(tk_ticket_observed(t));
        bed_post(&t, 8, AT(0, 0));
        assert_int_equal(bed_posted(bed, id, TK_METER_USD), 16);
        tk_snapshot_release(&key);
}

int main(void) {
#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
        const struct CMUnitTest tests[] = {
                BED_TEST(the_organisation_binds_all_its_keys),
                BED_TEST(all_levels_or_none),
                BED_TEST(a_user_binds_all_keys_of_theirs_and_no_other),
                BED_TEST(a_refusal_names_the_highest_of_four_levels),
                BED_TEST(a_limit_of_a_user_holds_over_a_restart),
                BED_TEST(a_new_limit_counts_what_was_spent_before),
                BED_TEST(a_limit_of_the_organisation_holds_over_a_restart),
                BED_TEST(a_rate_slides),
                BED_TEST(refused_calls_use_no_rate),
                BED_TEST(a_refused_rate_says_when_it_has_room),
                BED_TEST(a_top_up_acts_at_once_and_once),
                BED_TEST(a_user_may_have_paid_in_advance),
                BED_TEST(a_balance_holds_over_a_restart),
                BED_TEST(a_call_is_asked_for_its_own_currency),
                BED_TEST(a_long_rate_survives_a_restart),
                BED_TEST(a_slot_in_flight_comes_back),
                BED_TEST(what_observes_refuses_nothing_and_is_recorded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
