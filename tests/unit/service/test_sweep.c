/* SPDX-License-Identifier: Apache-2.0
 *
 * Leases follow what they are for: those of windows that are over go while the server runs, unless somebody
 * still holds there; and what is held when a limit comes is lent for it at once.
 */
#include "core/time.h"
#include "rt/rand.h"
#include "service/ledger.h"
#include "service/sweep.h"
#include "stage.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_MS (TK_HOUR_S * 1000)

static struct tk_limit limits[2];
static unsigned limits_nr;

static enum tk_err put_limits(struct tk_key *key, void *ctx) {
        TK_UNUSED(ctx);
        key->limits_nr = limits_nr;
        memcpy(key->limits, limits, limits_nr * sizeof limits[0]);
        return TK_OK;
}

static void on_edited(void *ctx, enum tk_err err, const struct tk_key *key) {
        TK_UNUSED(key);
        *(enum tk_err *)ctx = err;
}

static void limit(struct stage *s, unsigned nr, enum tk_window_kind kind, uint64_t cap) {
        enum tk_err err = TK_E_CLOSED;
        limits[nr - 1] = (struct tk_limit){.meter = TK_METER_USD, .window = {.kind = kind}, .cap = cap};
        limits_nr = nr;
        tk_keys_update(s->loops[0].worker, &tk_actor_system, s->key.org, s->key.id, STAGE_NOW_MS, put_limits,
                       on_edited, &err);
        stage_run(s);
        assert_ok(err);
}

static void on_answer(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        TK_UNUSED(ticket);
        *(enum tk_hold_answer *)ctx = answer;
}

static struct tk_amounts usd(int64_t nano) {
        return (struct tk_amounts){.of = {[TK_METER_USD] = nano}};
}

static struct tk_ticket *hold(struct stage *s, int64_t nano, int64_t now_ms) {
        struct tk_snapshot *key = stage_snapshot(s, 0);
        const struct tk_amounts amounts = usd(nano);
        struct tk_ticket *ticket;
        enum tk_hold_answer answer = TK_HOLD_UNTRIED;
        if (tk_ledger_hold(s->loops[0].worker, key, tk_rand_id(now_ms), &amounts, &amounts, now_ms, on_answer,
                           &answer, &ticket) == TK_HOLD_UNTRIED) {
                stage_run(s);
                assert_int_equal(answer, TK_HOLD_TAKEN);
        }
        tk_snapshot_release(&key);
        return ticket;
}

static void post(struct stage *s, struct tk_ticket **ticket, int64_t nano) {
        const struct tk_amounts amounts = usd(nano);
        const struct tk_entry what = {.model = "m"};
        tk_ledger_post(ticket, &amounts, &what, STAGE_NOW_MS);
        stage_run(s);
}

static void spend(struct stage *s, int64_t now_ms) {
        struct tk_ticket *ticket = hold(s, 100, now_ms);
        post(s, &ticket, 100);
}

static void tick(struct stage *s) {
        tk_service_tick(s->service);
        stage_run(s);
}

struct bounds {
        enum tk_window_kind kind;
        unsigned nr;
        int64_t sum;
};

static bool add_bound(const struct tk_lease *lease, void *ctx) {
        struct bounds *bounds = ctx;
        if (lease->window.kind == bounds->kind) {
                bounds->nr++;
                bounds->sum += lease->bound;
        }
        return true;
}

static struct bounds bounds_of(struct stage *s, enum tk_window_kind kind) {
        struct bounds bounds = {.kind = kind};
        assert_ok(tk_reader_lease_list(tk_worker_reader(s->loops[0].worker), add_bound, &bounds));
        return bounds;
}

static void a_lease_goes_with_its_window(void **state) {
        struct stage *s = *state;
        limit(s, 1, TK_WINDOW_HOUR, 1000);
        limit(s, 2, TK_WINDOW_LIFETIME, 1000000);
        spend(s, STAGE_NOW_MS);
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 1); /* it is not over */
        spend(s, STAGE_NOW_MS + HOUR_MS);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 2);
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 1);
        assert_int_equal(bounds_of(s, TK_WINDOW_LIFETIME).nr, 1); /* that one never turns */
        for (int i = 2; i < 10; i++) {
                spend(s, STAGE_NOW_MS + i * HOUR_MS);
                tick(s);
        }
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 1);
        assert_int_equal(stage_posted(s, TK_METER_USD), 1000);
}

static void what_is_still_held_keeps_it(void **state) {
        struct stage *s = *state;
        const struct tk_amounts more = usd(50);
        enum tk_hold_answer answer = TK_HOLD_UNTRIED;
        limit(s, 1, TK_WINDOW_HOUR, 1000);
        struct tk_ticket *stream = hold(s, 100, STAGE_NOW_MS);
        spend(s, STAGE_NOW_MS + HOUR_MS);
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 2);
        if (tk_ledger_extend(stream, &more, &more, on_answer, &answer) == TK_HOLD_UNTRIED) {
                stage_run(s);
                assert_int_equal(answer, TK_HOLD_TAKEN);
        }
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 2);
        post(s, &stream, 150);
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 2); /* once an hour is enough */
        spend(s, STAGE_NOW_MS + 2 * HOUR_MS);
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 1);
}

/* Until then the row on disk is all that a crash would leave of it. */
static void a_post_that_is_not_stored_keeps_it(void **state) {
        struct stage *s = *state;
        const struct tk_amounts amounts = usd(100);
        const struct tk_entry what = {.model = "m"};
        limit(s, 1, TK_WINDOW_HOUR, 1000);
        struct tk_ticket *stream = hold(s, 100, STAGE_NOW_MS), *late = hold(s, 1, STAGE_NOW_MS + HOUR_MS);
        tk_ledger_post(&stream, &amounts, &what, STAGE_NOW_MS); /* queued, and in one batch with the sweep */
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 2);
        tk_ledger_void(&late);
}

static void what_was_dropped_is_not_believed(void **state) {
        struct stage *s = *state;
        limit(s, 1, TK_WINDOW_HOUR, 1000);
        spend(s, STAGE_NOW_MS);
        /* Somebody who was shown the time before the hour turned, and asks now. */
        struct tk_ticket *first = hold(s, 10, STAGE_NOW_MS);
        spend(s, STAGE_NOW_MS + HOUR_MS);
        tk_ledger_void(&first);
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 1);
        spend(s, STAGE_NOW_MS); /* belongs to the later hour: time never goes back */
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 1);
}

static void many_go_a_bounded_number_at_a_time(void **state) {
        struct stage *s = *state;
        struct tk_lease lease = {.meter = TK_METER_USD, .window = {.kind = TK_WINDOW_HOUR}, .bound = 1};
        lease.number = tk_window_number(lease.window, STAGE_NOW_MS / 1000);
        assert_ok(tk_store_begin(s->store));
        for (unsigned i = 0; i < TK_SWEEP_LEASES + 5; i++) { /* of subjects that nobody uses */
                lease.subject = (struct tk_id){{1, (uint8_t)(i >> 8), (uint8_t)i}};
                assert_ok(tk_store_lease_put(s->store, &lease));
        }
        assert_ok(tk_store_commit(s->store));
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, TK_SWEEP_LEASES + 5);
        spend(s, STAGE_NOW_MS + HOUR_MS);
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 5);
        tick(s);
        assert_int_equal(bounds_of(s, TK_WINDOW_HOUR).nr, 0);
}

static void what_is_held_is_lent_for_a_limit_that_comes(void **state) {
        struct stage *s = *state;
        limit(s, 1, TK_WINDOW_LIFETIME, 1000000);
        struct tk_ticket *ticket = hold(s, 100, STAGE_NOW_MS), *earlier = hold(s, 7, STAGE_NOW_MS);
        struct tk_ticket *later = hold(s, 30, STAGE_NOW_MS + 24 * HOUR_MS);
        post(s, &earlier, 7);
        limit(s, 2, TK_WINDOW_DAY, 1000);
        struct bounds bounds = bounds_of(s, TK_WINDOW_DAY);
        assert_int_equal(bounds.nr, 2); /* both days in which something is held */
        assert_int_equal(bounds.sum, 107 + 30);
        limit(s, 2, TK_WINDOW_WEEK, 60); /* never beyond the cap */
        assert_int_equal(bounds_of(s, TK_WINDOW_WEEK).sum, 60);
        tk_ledger_void(&ticket);
        tk_ledger_void(&later);
        limit(s, 2, TK_WINDOW_MONTH, 1000);
        assert_int_equal(bounds_of(s, TK_WINDOW_MONTH).nr, 0); /* nothing is held any more */
}

int main(void) {
#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
        const struct CMUnitTest tests[] = {
                STAGE_TEST(a_lease_goes_with_its_window),
                STAGE_TEST(what_is_still_held_keeps_it),
                STAGE_TEST(a_post_that_is_not_stored_keeps_it),
                STAGE_TEST(what_was_dropped_is_not_believed),
                STAGE_TEST(many_go_a_bounded_number_at_a_time),
                STAGE_TEST(what_is_held_is_lent_for_a_limit_that_comes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
