/* SPDX-License-Identifier: Apache-2.0
 *
 * What the simulation (tests/sim) has found in the service, each case told as shortly as it can be. The test
 * is the writer's thread and the loop; the store fails when it is told to.
 */
#include "core/time.h"
#include "faulty_store.h"
#include "lib/unit.h"
#include "rt/rand.h"
#include "service/keys.h"
#include "service/ledger.h"
#include "service/limits.h"
#include "service/service.h"

#include <stdlib.h>
#include <string.h>

#define NOW_MS    INT64_C(4000000020000) /* early in a minute and an hour */
#define MINUTE_MS INT64_C(60000)
#define DEBTS     3000 /* more than one batch */

struct stage {
        struct tk_store *store;
        struct tk_catalog *catalog;
        struct tk_service *service;
        struct tk_worker *worker;
        struct tk_mail *mail, **tail;
        struct tk_key key;
        struct tk_key_text secret;
        struct tk_snapshot *snapshot;
        enum tk_hold_answer answer;
        enum tk_err edited, barrier;
        int64_t now_ms;
        struct tk_limit limits[2]; /* of the next edit */
        unsigned limits_nr;
};

static bool send(void *loop, struct tk_mail *mail) {
        struct stage *s = loop;
        mail->next = NULL;
        *s->tail = mail;
        s->tail = &mail->next;
        return true;
}

static void read_mail(struct stage *s) {
        while (s->mail) {
                struct tk_mail *mail = s->mail;
                s->mail = mail->next;
                if (!s->mail)
                        s->tail = &s->mail;
                mail->run(mail);
        }
}

static void step(struct stage *s) {
        (void)tk_service_step(s->service);
        read_mail(s);
}

static void start(struct stage *s) {
        struct tk_service_opt opt = {.store = s->store,
                                     .catalog = s->catalog,
                                     .key_prefix = "tk",
                                     .manual = true,
                                     .start_ms = s->now_ms};
        assert_ok(tk_service_open(&opt, &s->service));
        assert_ok(tk_worker_open(s->service, send, s, &s->worker));
        if (s->secret.len)
                assert_ok(tk_keys_identify(s->worker, (struct tk_str){s->secret.at, s->secret.len},
                                           &s->snapshot));
}

static void stop(struct stage *s) {
        tk_snapshot_release(&s->snapshot);
        tk_worker_close(&s->worker);
        tk_service_close(&s->service);
}

static void crash(struct stage *s) {
        tk_snapshot_release(&s->snapshot);
        tk_worker_close(&s->worker);
        tk_service_abandon(&s->service);
}

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct stage *s = ctx;
        s->edited = err;
        if (key)
                s->key = *key;
}

static struct tk_limit limit(enum tk_meter meter, enum tk_window_kind window, uint64_t cap) {
        return (struct tk_limit){.meter = meter, .window = {.kind = window}, .cap = cap};
}

static int open_stage(void **state) {
        struct stage *s = calloc(1, sizeof *s);
        const struct faulty_watch nobody = {.ctx = NULL};
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_LIFETIME, .limits_nr = 2};
        assert_non_null(s);
        s->tail = &s->mail;
        s->now_ms = NOW_MS;
        assert_ok(tk_rand_init());
        s->store = faulty_open(&nobody);
        s->catalog = tk_catalog_new();
        start(s);
        draft.limits[0] = limit(TK_METER_USD, TK_WINDOW_LIFETIME, 1000);
        draft.limits[1] = limit(TK_METER_TOKENS, TK_WINDOW_MINUTE, 1000);
        tk_keys_create(s->worker, &tk_actor_system, &draft, s->now_ms, &s->secret, on_key, s);
        step(s);
        assert_ok(s->edited);
        assert_ok(tk_keys_identify(s->worker, (struct tk_str){s->secret.at, s->secret.len}, &s->snapshot));
        *state = s;
        return 0;
}

static int close_stage(void **state) {
        struct stage *s = *state;
        faulty_heal();
        stop(s);
        tk_catalog_free(&s->catalog);
        tk_store_close(&s->store);
        free(s);
        return 0;
}

static void on_answer(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        TK_UNUSED(ticket);
        ((struct stage *)ctx)->answer = answer;
}

static struct tk_amounts amounts(enum tk_meter meter, int64_t nano) {
        struct tk_amounts a = {{0}};
        a.of[meter] = nano;
        return a;
}

/* Asks for exactly this much; the answer comes when it comes. */
static struct tk_ticket *ask(struct stage *s, enum tk_meter meter, int64_t nano) {
        const struct tk_amounts amount = amounts(meter, nano);
        struct tk_ticket *ticket;
        s->answer = tk_ledger_hold(s->worker, s->snapshot, tk_rand_id(s->now_ms), &amount, &amount, s->now_ms,
                                   on_answer, s, &ticket);
        return ticket;
}

static void wait(struct stage *s) {
        for (int i = 0; i < 20 && s->answer == TK_HOLD_UNTRIED; i++)
                step(s);
}

static struct tk_ticket *hold(struct stage *s, enum tk_meter meter, int64_t nano) {
        struct tk_ticket *ticket = ask(s, meter, nano);
        wait(s);
        return ticket;
}

static void refused(struct stage *s, enum tk_meter meter, int64_t nano, enum tk_hold_answer answer) {
        struct tk_ticket *ticket = hold(s, meter, nano);
        assert_int_equal(s->answer, answer);
        tk_ledger_void(&ticket);
}

static void taken(struct stage *s, enum tk_meter meter, int64_t nano, struct tk_ticket **ticket) {
        *ticket = hold(s, meter, nano);
        assert_int_equal(s->answer, TK_HOLD_TAKEN);
}

static enum tk_hold_answer extend(struct stage *s, struct tk_ticket *ticket, enum tk_meter meter,
                                  int64_t nano) {
        const struct tk_amounts amount = amounts(meter, nano);
        s->answer = tk_ledger_extend(ticket, &amount, &amount, on_answer, s);
        wait(s);
        return s->answer;
}

static void post(struct stage *s, struct tk_ticket **ticket, enum tk_meter meter, int64_t nano) {
        const struct tk_amounts amount = amounts(meter, nano);
        const struct tk_entry what = {.model = "m"};
        tk_ledger_post(ticket, &amount, &what, s->now_ms);
}

static enum tk_err set_limits(struct tk_key *key, void *ctx) {
        const struct stage *s = ctx;
        key->limits_nr = s->limits_nr;
        memcpy(key->limits, s->limits, sizeof s->limits);
        return TK_OK;
}

static void edit(struct stage *s) {
        tk_keys_update(s->worker, &tk_actor_system, s->key.org, s->key.id, s->now_ms, set_limits, on_key, s);
}

static void on_barrier(void *ctx, enum tk_err err) {
        ((struct stage *)ctx)->barrier = err;
}

/* ---- a store that fails ---- */

/* Nobody asked for anything after the fault, and all the same the store's recovery was noticed. */
static void a_store_that_recovers_is_noticed_when_nothing_is_queued(void **state) {
        struct stage *s = *state;
        struct tk_ticket *t;
        faulty_arm(FAULTY_OUTAGE, 0, TK_E_FULL);
        refused(s, TK_METER_USD, 1, TK_HOLD_NO_STORE);
        refused(s, TK_METER_USD, 1, TK_HOLD_NO_STORE);
        faulty_heal();
        step(s);
        taken(s, TK_METER_USD, 1, &t);
        tk_ledger_void(&t);
}

/* A batch that only reads says nothing about a disk that is full. */
static void a_batch_that_only_reads_ends_no_outage(void **state) {
        struct stage *s = *state;
        faulty_arm(FAULTY_OUTAGE, 0, TK_E_FULL);
        refused(s, TK_METER_USD, 1, TK_HOLD_NO_STORE);
        s->barrier = TK_OK;
        tk_keys_barrier(s->worker, on_barrier, s);
        step(s);
        assert_int_equal(s->barrier, TK_E_FULL);
        struct tk_ticket *t = ask(s, TK_METER_USD, 1);
        assert_int_equal(s->answer, TK_HOLD_NO_STORE); /* at once */
        tk_ledger_void(&t);
}

static void requests_behind_many_debts_are_told_of_the_fault(void **state) {
        struct stage *s = *state;
        static struct tk_ticket *many[DEBTS];
        for (int i = 0; i < DEBTS; i++)
                taken(s, TK_METER_DIEM, 1, &many[i]);
        faulty_arm(FAULTY_OUTAGE, 0, TK_E_FULL);
        for (int i = 0; i < DEBTS; i++)
                post(s, &many[i], TK_METER_DIEM, 1);
        step(s); /* 2048 of them */
        step(s); /* and the rest */
        s->edited = TK_OK;
        s->limits_nr = 0;
        edit(s);
        step(s);
        assert_int_equal(s->edited, TK_E_FULL);
        faulty_heal();
        int64_t sum = -1;
        step(s);
        assert_ok(tk_reader_usage_sum(tk_worker_reader(s->worker), s->key.id, TK_METER_DIEM, INT64_MIN,
                                      INT64_MAX, &sum));
        assert_int_equal(sum, DEBTS);
}

/* The last batch fails and the posts are lost; the store works again when leases would be returned. */
static void what_was_lost_at_the_end_is_in_doubt(void **state) {
        struct stage *s = *state;
        struct tk_ticket *t;
        taken(s, TK_METER_USD, 900, &t);
        post(s, &t, TK_METER_USD, 900);
        faulty_arm(FAULTY_ONCE, 0, TK_E_IO);
        stop(s);
        start(s);
        refused(s, TK_METER_USD, 101, TK_HOLD_NO_CAP);
}

static void a_change_that_could_not_be_read_is_read_again(void **state) {
        struct stage *s = *state;
        struct tk_key row;
        struct tk_ticket *t;
        taken(s, TK_METER_USD, 1, &t);
        assert_ok(tk_reader_key_by_id(tk_worker_reader(s->worker), s->key.id, &row));
        row.limits[0].cap = 10;
        assert_ok(tk_store_begin(s->store)); /* another process, on the same file */
        assert_ok(tk_store_key_update(s->store, &row));
        assert_ok(tk_store_commit(s->store));
        tk_service_tick(s->service);
        faulty_arm(FAULTY_ONCE, 0, TK_E_IO); /* the read of the row */
        step(s);
        tk_service_tick(s->service);
        step(s);
        refused(s, TK_METER_USD, 10, TK_HOLD_NO_CAP);
        tk_ledger_void(&t);
}

/* ---- windows ---- */

/* A stream may outlast the window of its hold by any number of windows; it goes on in it, to its cap. */
static void a_stream_of_many_minutes_stays_in_its_own(void **state) {
        struct stage *s = *state;
        struct tk_ticket *first, *second, *third, *whole;
        taken(s, TK_METER_TOKENS, 300, &first);
        s->now_ms += MINUTE_MS;
        taken(s, TK_METER_TOKENS, 600, &second);
        s->now_ms += 10 * MINUTE_MS;
        taken(s, TK_METER_TOKENS, 1, &third);
        tk_ledger_void(&third);
        assert_int_equal(extend(s, first, TK_METER_TOKENS, 700), TK_HOLD_TAKEN);
        assert_int_equal(extend(s, first, TK_METER_TOKENS, 1), TK_HOLD_NO_RATE);
        assert_int_equal(extend(s, second, TK_METER_TOKENS, 401), TK_HOLD_NO_RATE);
        assert_int_equal(extend(s, second, TK_METER_TOKENS, 400), TK_HOLD_TAKEN);
        taken(s, TK_METER_TOKENS, 1000, &whole); /* the minute of now is another */
        tk_ledger_void(&whole);
        tk_ledger_void(&second);
        post(s, &first, TK_METER_TOKENS, 1000);
}

/* The same where the windows are leased: streams of two days that are over, and an edit in between. */
static void streams_of_several_days_go_on_in_theirs(void **state) {
        struct stage *s = *state;
        struct tk_ticket *first, *second, *third;
        s->limits[0] = limit(TK_METER_USD, TK_WINDOW_DAY, 100);
        s->limits_nr = 1;
        edit(s);
        step(s);
        taken(s, TK_METER_USD, 30, &first);
        s->now_ms += TK_DAY_S * 1000;
        taken(s, TK_METER_USD, 60, &second);
        s->now_ms += 2 * TK_DAY_S * 1000;
        taken(s, TK_METER_USD, 100, &third);
        assert_int_equal(extend(s, first, TK_METER_USD, 70), TK_HOLD_TAKEN);
        assert_int_equal(extend(s, second, TK_METER_USD, 41), TK_HOLD_NO_CAP);
        s->limits[0].cap = 101;
        edit(s);
        step(s);
        assert_int_equal(extend(s, second, TK_METER_USD, 41), TK_HOLD_TAKEN);
        assert_int_equal(extend(s, first, TK_METER_USD, 2), TK_HOLD_NO_CAP);
        tk_ledger_void(&first);
        tk_ledger_void(&second);
        tk_ledger_void(&third);
}

/* An edit of the cap keeps what was counted in memory, in the minute of now and in one that is over. */
static void an_edit_keeps_what_minutes_have_counted(void **state) {
        struct stage *s = *state;
        struct tk_ticket *early, *t;
        taken(s, TK_METER_TOKENS, 100, &early);
        taken(s, TK_METER_TOKENS, 400, &t);
        post(s, &t, TK_METER_TOKENS, 400);
        s->now_ms += 5 * MINUTE_MS;
        taken(s, TK_METER_TOKENS, 600, &t);
        post(s, &t, TK_METER_TOKENS, 600);
        s->limits[0] = limit(TK_METER_TOKENS, TK_WINDOW_MINUTE, 700);
        s->limits_nr = 1;
        edit(s);
        step(s);
        refused(s, TK_METER_TOKENS, 101, TK_HOLD_NO_RATE);
        assert_int_equal(extend(s, early, TK_METER_TOKENS, 201), TK_HOLD_NO_RATE);
        assert_int_equal(extend(s, early, TK_METER_TOKENS, 200), TK_HOLD_TAKEN);
        tk_ledger_void(&early);
}

/* An edit lets a limit of a minute slide: what the minute before has counted is still known. */
static void a_limit_that_begins_to_slide_knows_the_minute_before(void **state) {
        struct stage *s = *state;
        struct tk_ticket *t;
        taken(s, TK_METER_TOKENS, 900, &t);
        post(s, &t, TK_METER_TOKENS, 900);
        s->now_ms += MINUTE_MS;
        taken(s, TK_METER_TOKENS, 1, &t);
        tk_ledger_void(&t);
        s->limits[0] = limit(TK_METER_TOKENS, TK_WINDOW_MINUTE, 1000);
        s->limits[0].flags = TK_LIMIT_SLIDING;
        s->limits_nr = 1;
        edit(s);
        step(s);
        s->now_ms -= s->now_ms % MINUTE_MS; /* all of the minute before weighs */
        refused(s, TK_METER_TOKENS, 101, TK_HOLD_NO_RATE);
        taken(s, TK_METER_TOKENS, 100, &t);
        tk_ledger_void(&t);
}

/* A rate of hours is read from the store when its window turns, which may know of the window already: the
 * process before saw a clock that stood further on. */
static void a_rate_knows_what_was_used_ahead_of_the_clock(void **state) {
        struct stage *s = *state;
        struct tk_ticket *t;
        s->limits[0] = limit(TK_METER_TOKENS, TK_WINDOW_HOUR, 100);
        s->limits[0].flags = TK_LIMIT_SLIDING;
        s->limits_nr = 1;
        edit(s);
        step(s);
        s->now_ms += 2 * TK_HOUR_S * 1000;
        taken(s, TK_METER_TOKENS, 90, &t);
        post(s, &t, TK_METER_TOKENS, 90);
        stop(s);
        s->now_ms -= 2 * TK_HOUR_S * 1000;
        start(s);
        taken(s, TK_METER_TOKENS, 1, &t);
        tk_ledger_void(&t);
        s->now_ms += 2 * TK_HOUR_S * 1000;
        refused(s, TK_METER_TOKENS, 11, TK_HOLD_NO_RATE);
}

/* What the keys of an organisation have posted is not in doubt for it, too. */
static void a_crash_leaves_an_organisation_only_what_is_open(void **state) {
        struct stage *s = *state;
        struct tk_ticket *t;
        const struct tk_limit usd = limit(TK_METER_USD, TK_WINDOW_LIFETIME, 500);
        tk_limits_put(s->worker, &tk_actor_system, 0, s->key.org, &usd, 1, on_barrier, s);
        step(s);
        taken(s, TK_METER_USD, 160, &t); /* 160 and a sixteenth of the rest are lent */
        post(s, &t, TK_METER_USD, 160);
        step(s);
        crash(s);
        start(s);
        refused(s, TK_METER_USD, 320, TK_HOLD_NO_CAP);
        taken(s, TK_METER_USD, 300, &t);
        tk_ledger_void(&t);
}

/* ---- waits ---- */

/* It is tried again whenever anything settles on its account; only loads of its own count against it. */
static void a_wait_for_one_load_outlasts_many_other_answers(void **state) {
        struct stage *s = *state;
        struct tk_ticket *t;
        stop(s);
        start(s); /* nothing is loaded */
        s->limits_nr = 1;
        s->limits[0] = limit(TK_METER_USD, TK_WINDOW_LIFETIME, 1000);
        t = ask(s, TK_METER_USD, 1);
        assert_int_equal(s->answer, TK_HOLD_UNTRIED);
        for (int i = 0; i < 20; i++)
                edit(s);
        wait(s);
        assert_int_equal(s->answer, TK_HOLD_TAKEN);
        tk_ledger_void(&t);
}

int main(void) {
#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        const struct CMUnitTest tests[] = {
                STAGE_TEST(a_store_that_recovers_is_noticed_when_nothing_is_queued),
                STAGE_TEST(a_batch_that_only_reads_ends_no_outage),
                STAGE_TEST(requests_behind_many_debts_are_told_of_the_fault),
                STAGE_TEST(what_was_lost_at_the_end_is_in_doubt),
                STAGE_TEST(a_change_that_could_not_be_read_is_read_again),
                STAGE_TEST(a_stream_of_many_minutes_stays_in_its_own),
                STAGE_TEST(streams_of_several_days_go_on_in_theirs),
                STAGE_TEST(an_edit_keeps_what_minutes_have_counted),
                STAGE_TEST(a_limit_that_begins_to_slide_knows_the_minute_before),
                STAGE_TEST(a_rate_knows_what_was_used_ahead_of_the_clock),
                STAGE_TEST(a_crash_leaves_an_organisation_only_what_is_open),
                STAGE_TEST(a_wait_for_one_load_outlasts_many_other_answers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
