/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation on the way of a hold, and of a verification, fails once: the answer says so, nothing stays
 * held or counted that nobody knows of, and the same request made again does what it says.
 */
#include "lib/alloc_fail.h"

#include "service/holds.h"
#include "service/verify.h"
#include "stage.h"

#define AT (STAGE_NOW_MS + 1000)

static struct stage stage;
static struct stage *const s = &stage;

struct said {
        unsigned nr;
        enum tk_holds_outcome outcome;
        enum tk_err err;
};

static void on_said(void *ctx, const struct tk_holds_answer *answer) {
        struct said *said = ctx;
        said->nr++;
        said->outcome = answer->outcome;
        said->err = answer->err;
}

static struct tk_amounts usd(int64_t nano) {
        struct tk_amounts amounts = {{0}};
        amounts.of[TK_METER_USD] = nano;
        return amounts;
}

static struct tk_facts facts_of(const struct tk_snapshot *snapshot) {
        return (struct tk_facts){.key_sent = true, .key = tk_snapshot_key(snapshot), .now_ms = AT};
}

enum step { AUTHORIZE, EXTEND, POST, STEP_NR };

static void start(enum step step, struct said *said) {
        struct tk_worker *worker = s->loops[0].worker;
        *said = (struct said){.nr = 0};
        if (step == AUTHORIZE) {
                struct tk_snapshot *snapshot = NULL;
                struct tk_str text = {s->secret.at, s->secret.len};
                if (tk_keys_identify(worker, text, &snapshot) != TK_OK) {
                        said->nr = 1; /* as whoever asks would be told */
                        said->outcome = TK_HOLDS_FAULT;
                        return;
                }
                struct tk_holds_ask ask = {.org = s->key.org,
                                           .name = TK_STR("a"),
                                           .facts = facts_of(snapshot),
                                           .least = usd(100),
                                           .most = usd(100),
                                           .life_ms = 60000,
                                           .model = "",
                                           .now_ms = AT};
                tk_holds_authorize(worker, &ask, &snapshot, on_said, said);
        } else if (step == EXTEND) {
                /* In all, so that doing it twice is doing it once. */
                struct tk_holds_more more = {.total = true, .least = usd(900), .most = usd(900)};
                tk_holds_extend(worker, s->key.org, TK_STR("a"), &more, AT, on_said, said);
        } else {
                struct tk_holds_actual actual = {.named = 1, .amounts = usd(850), .model = ""};
                tk_holds_post(worker, s->key.org, TK_STR("a"), &actual, AT, on_said, said);
        }
}

static bool is_good(const struct said *said) {
        return said->outcome == TK_HOLDS_DONE || said->outcome == TK_HOLDS_REPLAYED;
}

/* One step with only `allowed` allocations; true: it needed no more. */
static bool try_step(enum step step, unsigned allowed) {
        struct said said;
        allocations_left = allowed;
        start(step, &said);
        for (int i = 0; i < 4 && said.nr == 0; i++) {
                (void)stage_batch(s);
                (void)stage_mail(s, 0);
        }
        bool enough = allocations_left > 0;
        allocations_left = UINT_MAX;
        stage_run(s);
        assert_int_equal(said.nr, 1);
        if (!enough)
                assert_true(is_good(&said) || said.outcome == TK_HOLDS_FAULT);
        if (!is_good(&said)) {
                start(step, &said);
                stage_run(s);
                assert_int_equal(said.nr, 1);
                assert_true(is_good(&said));
        }
        return enough;
}

static void holds(void **state) {
        TK_UNUSED(state);
        for (enum step failing = AUTHORIZE; failing < STEP_NR; failing++) {
                unsigned allowed = 0;
                bool enough = false;
                for (; !enough; allowed++) {
                        assert_true(allowed < 100);
                        stage_open(s);
                        stage_key(s, 1000);
                        for (enum step step = AUTHORIZE; step < STEP_NR; step++) {
                                bool was = try_step(step, step == failing ? allowed : UINT_MAX);
                                if (step == failing)
                                        enough = was;
                        }
                        assert_int_equal(stage_posted(s, TK_METER_USD), 850);
                        stage_close(s);
                }
                assert_true(allowed > 1);
        }
}

/* ---- verify ---- */

struct verified {
        unsigned nr;
        enum tk_err err;
        enum tk_verdict verdict;
};

static void on_verified(void *ctx, const struct tk_verify_answer *answer) {
        struct verified *verified = ctx;
        verified->nr++;
        verified->err = answer->err;
        verified->verdict = answer->verdict;
}

static void verifications(void **state) {
        bool enough = false;
        TK_UNUSED(state);
        for (unsigned allowed = 0; !enough; allowed++) {
                struct verified verified = {.nr = 0};
                assert_true(allowed < 100);
                stage_open(s);
                stage_key(s, 1000);
                struct tk_snapshot *snapshot = stage_snapshot(s, 0);
                struct tk_verify_ask ask = {
                        .facts = facts_of(snapshot), .amounts = usd(10), .model = "", .now_ms = AT};
                allocations_left = allowed;
                tk_verify(s->loops[0].worker, &ask, &snapshot, on_verified, &verified);
                for (int i = 0; i < 4 && verified.nr == 0; i++) {
                        (void)stage_batch(s);
                        (void)stage_mail(s, 0);
                }
                enough = allocations_left > 0;
                allocations_left = UINT_MAX;
                stage_run(s);
                assert_int_equal(verified.nr, 1);
                if (verified.err == TK_OK) {
                        assert_int_equal(verified.verdict, TK_VERDICT_PASS);
                        assert_int_equal(stage_posted(s, TK_METER_USD), 10);
                } else { /* counted or not, but not twice */
                        assert_false(enough);
                        assert_true(stage_posted(s, TK_METER_USD) <= 10);
                }
                assert_null(snapshot);
                stage_close(s);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(holds), TEST(verifications)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
