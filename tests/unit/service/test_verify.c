/* SPDX-License-Identifier: Apache-2.0
 *
 * One question, one count: the ladder is judged whole, a refusal counts nothing, money is answered for when
 * it is stored, and the key's limits are shown as they stand.
 */
#include "service/verify.h"
#include "stage.h"

#define AT (STAGE_NOW_MS + 1000)

static struct stage stage;
static struct stage *const s = &stage;

static int open_stage(void **state) {
        TK_UNUSED(state);
        stage_open(s);
        stage_key(s, 1000);
        return 0;
}

static int close_stage(void **state) {
        TK_UNUSED(state);
        stage_close(s);
        return 0;
}

struct said {
        unsigned nr;
        struct tk_verify_answer answer;
        struct tk_refusal refusal;
        char description[TK_DESCRIPTION_BYTES_MAX + 1];
};

static void on_said(void *ctx, const struct tk_verify_answer *answer) {
        struct said *said = ctx;
        said->nr++;
        said->answer = *answer;
        if (answer->refusal)
                said->refusal = *answer->refusal;
        if (answer->key)
                (void)tk_str_copy(tk_str_of(answer->key->description), said->description,
                                  sizeof said->description);
}

static void verify(int64_t usd, int64_t requests, enum tk_scope scope, struct said *said) {
        struct tk_snapshot *snapshot = stage_snapshot(s, 0);
        struct tk_verify_ask ask = {.amounts = {{[TK_METER_USD] = usd, [TK_METER_REQUESTS] = requests}},
                                    .model = "",
                                    .now_ms = AT};
        ask.facts = (struct tk_facts){
                .key_sent = true, .key = tk_snapshot_key(snapshot), .now_ms = AT, .scope_needed = scope};
        *said = (struct said){.nr = 0};
        tk_verify(s->loops[0].worker, &ask, &snapshot, on_said, said);
        assert_null(snapshot);
}

static void expect(struct said *said, enum tk_verdict verdict) {
        stage_run(s);
        assert_int_equal(said->nr, 1);
        assert_ok(said->answer.err);
        assert_int_equal(said->answer.verdict, verdict);
}

static void one_use_is_counted(void **state) {
        struct said said;
        TK_UNUSED(state);
        verify(0, 1, TK_SCOPE_NONE, &said);
        expect(&said, TK_VERDICT_PASS);
        assert_string_equal(said.description, "a customer");
        verify(30, 3, TK_SCOPE_COMPLETIONS_WRITE, &said);
        expect(&said, TK_VERDICT_PASS);
        assert_int_equal(stage_posted(s, TK_METER_REQUESTS), 4);
        assert_int_equal(stage_posted(s, TK_METER_USD), 30);
        assert_int_equal(said.answer.standing_nr, 1);
        const struct tk_standing *standing = &said.answer.standing[0];
        assert_true(standing->known);
        assert_int_equal(standing->limit.cap, 1000);
        assert_int_equal(standing->posted, 30);
        assert_int_equal(standing->held, 0);
        assert_int_equal(standing->left, 970);
        assert_true(standing->turns_s == INT64_MAX);
}

static void a_refusal_counts_nothing(void **state) {
        struct said said;
        TK_UNUSED(state);
        verify(1001, 1, TK_SCOPE_NONE, &said);
        expect(&said, TK_VERDICT_CAP);
        assert_non_null(said.answer.refusal);
        assert_int_equal(said.refusal.cap, 1000);
        assert_int_equal(said.answer.standing[0].left, 1000);
        verify(1, 1, TK_SCOPE_KEYS_WRITE, &said);
        expect(&said, TK_VERDICT_SCOPE);
        assert_null(said.answer.refusal);
        stage_revoke(s);
        verify(1, 1, TK_SCOPE_NONE, &said);
        expect(&said, TK_VERDICT_REVOKED);
        assert_int_equal(stage_posted(s, TK_METER_REQUESTS), 0);
        assert_int_equal(stage_posted(s, TK_METER_USD), 0);
}

static void asking_alone_counts_nothing(void **state) {
        struct said said;
        TK_UNUSED(state);
        verify(0, 0, TK_SCOPE_NONE, &said);
        expect(&said, TK_VERDICT_PASS);
        verify(1000, 1, TK_SCOPE_NONE, &said);
        expect(&said, TK_VERDICT_PASS);
        verify(0, 0, TK_SCOPE_NONE, &said); /* and still says that nothing is left */
        expect(&said, TK_VERDICT_CAP);
        assert_int_equal(stage_posted(s, TK_METER_REQUESTS), 1);
}

static void money_is_answered_for_when_it_is_stored(void **state) {
        struct said said;
        TK_UNUSED(state);
        verify(1, 1, TK_SCOPE_NONE, &said);
        expect(&said, TK_VERDICT_PASS); /* loaded and lent from here on */
        verify(0, 1, TK_SCOPE_NONE, &said);
        assert_int_equal(said.nr, 1); /* at once */
        verify(1, 1, TK_SCOPE_NONE, &said);
        assert_int_equal(said.nr, 0);
        expect(&said, TK_VERDICT_PASS);
        s->failing = true;
        verify(1, 1, TK_SCOPE_NONE, &said);
        assert_true(stage_batch(s));
        (void)stage_mail(s, 0);
        assert_int_equal(said.nr, 1);
        assert_int_equal(said.answer.err, TK_E_FULL);
        verify(0, 1, TK_SCOPE_NONE, &said); /* nothing more is counted on it */
        assert_int_equal(said.nr, 1);
        assert_int_equal(said.answer.err, TK_E_BUSY);
        s->failing = false;
        stage_run(s);
        assert_int_equal(stage_posted(s, TK_METER_USD), 3); /* a debt is kept */
}

static void a_stop_meets_a_question(void **state) {
        struct said waits, posts;
        TK_UNUSED(state);
        verify(1, 1, TK_SCOPE_NONE, &waits); /* for a load */
        stage_restart(s);
        assert_int_equal(waits.nr, 1);
        verify(1, 1, TK_SCOPE_NONE, &posts);
        expect(&posts, TK_VERDICT_PASS);
        s->failing = true;
        verify(1, 1, TK_SCOPE_NONE, &posts);
        assert_true(stage_batch(s));
        stage_restart(s); /* the store recovers in time */
        assert_int_equal(posts.nr, 1);
        assert_int_equal(stage_leases(s), 0);
}

int main(void) {
#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        const struct CMUnitTest tests[] = {
                STAGE_TEST(one_use_is_counted),          STAGE_TEST(a_refusal_counts_nothing),
                STAGE_TEST(asking_alone_counts_nothing), STAGE_TEST(money_is_answered_for_when_it_is_stored),
                STAGE_TEST(a_stop_meets_a_question),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
