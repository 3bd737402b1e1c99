/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds by name: every row of the table in holds.h, from memory and from the store; operations that meet on
 * one name; time, crashes, failing stores. The stage has no threads, so each meeting is arranged.
 */
#include "service/holds.h"
#include "stage.h"

#include <stdio.h>
#include <string.h>

#define MS(seconds) (STAGE_NOW_MS + (seconds)*1000)

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

/* ---- asking ---- */

struct said {
        unsigned nr; /* how often it was told */
        struct stage_loop *where;
        struct tk_holds_answer answer;
        struct tk_refusal refusal;
        struct tk_hold_view view;
};

static void on_said(void *ctx, const struct tk_holds_answer *answer) {
        struct said *said = ctx;
        said->nr++;
        said->where = s->running;
        said->answer = *answer;
        if (answer->refusal)
                said->refusal = *answer->refusal;
        if (answer->view)
                said->view = *answer->view;
}

static struct tk_amounts usd(int64_t nano) {
        struct tk_amounts amounts = {{0}};
        amounts.of[TK_METER_USD] = nano;
        return amounts;
}

struct ask {
        const char *name;
        int64_t least, most, life_s, at_s;
        const char *model;
};

static void authorize(unsigned loop, const struct ask *ask, struct said *said) {
        struct tk_snapshot *snapshot = stage_snapshot(s, loop);
        struct tk_holds_ask full = {.org = s->key.org,
                                    .name = tk_str_of(ask->name),
                                    .least = usd(ask->least ? ask->least : ask->most),
                                    .most = usd(ask->most),
                                    .life_ms = (ask->life_s ? ask->life_s : 60) * 1000,
                                    .model = ask->model ? ask->model : "",
                                    .now_ms = MS(ask->at_s)};
        *said = (struct said){.nr = 0};
        full.facts =
                (struct tk_facts){.key_sent = true, .key = tk_snapshot_key(snapshot), .now_ms = full.now_ms};
        tk_holds_authorize(s->loops[loop].worker, &full, &snapshot, on_said, said);
        assert_null(snapshot); /* taken */
}

static void post_at(unsigned loop, const char *name, int64_t nano, int64_t at_s, struct said *said) {
        struct tk_holds_actual actual = {.named = 1u << TK_METER_USD, .amounts = usd(nano), .model = ""};
        *said = (struct said){.nr = 0};
        tk_holds_post(s->loops[loop].worker, s->key.org, tk_str_of(name), &actual, MS(at_s), on_said, said);
}

static void extend_at(unsigned loop, const char *name, const struct tk_holds_more *more, int64_t at_s,
                      struct said *said) {
        *said = (struct said){.nr = 0};
        tk_holds_extend(s->loops[loop].worker, s->key.org, tk_str_of(name), more, MS(at_s), on_said, said);
}

static void void_at(unsigned loop, const char *name, int64_t at_s, struct said *said) {
        *said = (struct said){.nr = 0};
        tk_holds_void(s->loops[loop].worker, s->key.org, tk_str_of(name), MS(at_s), on_said, said);
}

static void get_at(unsigned loop, const char *name, int64_t at_s, struct said *said) {
        *said = (struct said){.nr = 0};
        tk_holds_get(s->loops[loop].worker, s->key.org, tk_str_of(name), MS(at_s), on_said, said);
}

static void expect(struct said *said, enum tk_holds_outcome outcome) {
        stage_run(s);
        assert_int_equal(said->nr, 1);
        assert_int_equal(said->answer.outcome, outcome);
}

static void expect_state(struct said *said, enum tk_holds_outcome outcome, enum tk_hold_state state) {
        expect(said, outcome);
        assert_non_null(said->answer.view);
        assert_int_equal(said->view.hold.state, state);
}

static void must_hold(const char *name, int64_t nano) {
        struct said said;
        authorize(0, &(struct ask){.name = name, .most = nano}, &said);
        expect_state(&said, TK_HOLDS_DONE, TK_HOLD_PENDING);
        assert_int_equal(said.view.hold.held.of[TK_METER_USD], nano);
}

static void must_post(const char *name, int64_t nano) {
        struct said said;
        post_at(0, name, nano, 1, &said);
        expect_state(&said, TK_HOLDS_DONE, TK_HOLD_POSTED);
}

/* ---- names ---- */

static void names(void **state) {
        static const struct {
                const char *name, *text;
                bool ok;
        } rows[] = {
                {"one letter", "a", true}, {"all kinds", "aZ0.9_:-", true}, {"empty", "", false},
                {"space", "a b", false},   {"slash", "a/b", false},         {"not ASCII", "\xC3\xA4", false},
                {"control", "a\n", false}, {"percent", "a%20", false},      {"quote", "a\"", false},
        };
        char longest[TK_HOLD_NAME_MAX + 1];
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                print_message("%s\n", rows[i].name);
                assert_int_equal(tk_hold_name_ok(tk_str_of(rows[i].text)), rows[i].ok);
        }
        memset(longest, 'x', sizeof longest);
        assert_true(tk_hold_name_ok((struct tk_str){longest, TK_HOLD_NAME_MAX}));
        assert_false(tk_hold_name_ok((struct tk_str){longest, TK_HOLD_NAME_MAX + 1}));
}

static void amounts(void **state) {
        TK_UNUSED(state);
        struct tk_amounts some = usd(TK_HOLD_MONEY_MAX);
        some.of[TK_METER_TOKENS] = TK_HOLD_COUNT_MAX;
        assert_true(tk_hold_amounts_ok(&some));
        for (int m = 0; m < TK_METER_NR; m++) {
                struct tk_amounts bad = {{0}};
                bad.of[m] = -1;
                assert_false(tk_hold_amounts_ok(&bad));
                bad.of[m] = INT64_MAX;
                assert_false(tk_hold_amounts_ok(&bad));
        }
        some.of[TK_METER_USD]++;
        assert_false(tk_hold_amounts_ok(&some));
}

/* ---- the table ---- */

enum verb { SAME, OTHER, EXTEND, POST, POST_OTHER, VOID, GET, VERB_NR };

static const char *const verb_names[VERB_NR] = {"authorize the same",
                                                "authorize something else",
                                                "extend",
                                                "post",
                                                "post something else",
                                                "void",
                                                "get"};

static void act(enum verb verb, const char *name, struct said *said) {
        const struct tk_holds_more more = {.least = usd(10), .most = usd(10)};
        switch (verb) {
        case SAME:
                authorize(0, &(struct ask){.name = name, .most = 100}, said);
                break;
        case OTHER:
                authorize(0, &(struct ask){.name = name, .most = 101}, said);
                break;
        case EXTEND:
                extend_at(0, name, &more, 2, said);
                break;
        case POST:
                post_at(0, name, 70, 2, said);
                break;
        case POST_OTHER:
                post_at(0, name, 71, 2, said);
                break;
        case VOID:
                void_at(0, name, 2, said);
                break;
        case GET:
        case VERB_NR:
                get_at(0, name, 2, said);
        }
}

/* Brings a hold of 100 into a state; POSTED with 70. */
static void bring(const char *name, enum tk_hold_state to) {
        struct said said;
        must_hold(name, 100);
        switch (to) {
        case TK_HOLD_POSTED:
                must_post(name, 70);
                break;
        case TK_HOLD_VOIDED:
                void_at(0, name, 1, &said);
                expect_state(&said, TK_HOLDS_DONE, TK_HOLD_VOIDED);
                break;
        case TK_HOLD_EXPIRED:
                assert_int_equal(tk_holds_expire(s->service, MS(60)), 1);
                break;
        default:
                break;
        }
        stage_run(s);
}

struct row {
        enum verb verb;
        enum tk_holds_outcome outcome;
        enum tk_hold_state state; /* afterwards */
};

static void walk(enum tk_hold_state from, const struct row *rows, size_t nr, bool restart) {
        for (size_t i = 0; i < nr; i++) {
                char name[32];
                struct said said;
                snprintf(name, sizeof name, "walk.%d.%zu.%d", (int)from, i, restart);
                print_message("%s, %s%s\n", tk_hold_state_name(from), verb_names[rows[i].verb],
                              restart ? ", after a restart" : "");
                bring(name, from);
                if (restart)
                        stage_restart(s);
                int64_t before = stage_posted(s, TK_METER_USD);
                act(rows[i].verb, name, &said);
                expect_state(&said, rows[i].outcome, rows[i].state);
                bool posts = from == TK_HOLD_PENDING && rows[i].state == TK_HOLD_POSTED;
                assert_int_equal(stage_posted(s, TK_METER_USD) - before,
                                 posts ? said.view.hold.due.of[0] : 0);
                void_at(0, name, 3, &said); /* leave nothing held */
                stage_run(s);
        }
}

static void pending_row(void **state) {
        static const struct row rows[] = {
                {SAME, TK_HOLDS_REPLAYED, TK_HOLD_PENDING},  {OTHER, TK_HOLDS_CONFLICT, TK_HOLD_PENDING},
                {EXTEND, TK_HOLDS_DONE, TK_HOLD_PENDING},    {POST, TK_HOLDS_DONE, TK_HOLD_POSTED},
                {POST_OTHER, TK_HOLDS_DONE, TK_HOLD_POSTED}, {VOID, TK_HOLDS_DONE, TK_HOLD_VOIDED},
                {GET, TK_HOLDS_DONE, TK_HOLD_PENDING},
        };
        TK_UNUSED(state);
        walk(TK_HOLD_PENDING, rows, sizeof rows / sizeof *rows, false);
}

static void posted_row(void **state) {
        static const struct row rows[] = {
                {SAME, TK_HOLDS_REPLAYED, TK_HOLD_POSTED},
                {OTHER, TK_HOLDS_CONFLICT, TK_HOLD_POSTED},
                {EXTEND, TK_HOLDS_ENDED, TK_HOLD_POSTED},
                {POST, TK_HOLDS_REPLAYED, TK_HOLD_POSTED},
                {POST_OTHER, TK_HOLDS_CONFLICT, TK_HOLD_POSTED},
                {VOID, TK_HOLDS_ENDED, TK_HOLD_POSTED},
                {GET, TK_HOLDS_DONE, TK_HOLD_POSTED},
        };
        TK_UNUSED(state);
        walk(TK_HOLD_POSTED, rows, sizeof rows / sizeof *rows, false);
}

static void voided_row(void **state) {
        static const struct row rows[] = {
                {SAME, TK_HOLDS_REPLAYED, TK_HOLD_VOIDED}, {OTHER, TK_HOLDS_CONFLICT, TK_HOLD_VOIDED},
                {EXTEND, TK_HOLDS_ENDED, TK_HOLD_VOIDED},  {POST, TK_HOLDS_ENDED, TK_HOLD_VOIDED},
                {VOID, TK_HOLDS_REPLAYED, TK_HOLD_VOIDED}, {GET, TK_HOLDS_DONE, TK_HOLD_VOIDED},
        };
        TK_UNUSED(state);
        walk(TK_HOLD_VOIDED, rows, sizeof rows / sizeof *rows, false);
}

static void expired_row(void **state) {
        static const struct row rows[] = {
                {SAME, TK_HOLDS_REPLAYED, TK_HOLD_EXPIRED}, {OTHER, TK_HOLDS_CONFLICT, TK_HOLD_EXPIRED},
                {EXTEND, TK_HOLDS_ENDED, TK_HOLD_EXPIRED},  {POST, TK_HOLDS_ENDED, TK_HOLD_EXPIRED},
                {VOID, TK_HOLDS_ENDED, TK_HOLD_EXPIRED},    {GET, TK_HOLDS_DONE, TK_HOLD_EXPIRED},
        };
        TK_UNUSED(state);
        walk(TK_HOLD_EXPIRED, rows, sizeof rows / sizeof *rows, false);
}

/* What the store knows: whose key it is, but not all that was asked for. */
static void after_a_restart(void **state) {
        static const struct row posted[] = {
                {SAME, TK_HOLDS_REPLAYED, TK_HOLD_POSTED}, {EXTEND, TK_HOLDS_ENDED, TK_HOLD_POSTED},
                {POST, TK_HOLDS_REPLAYED, TK_HOLD_POSTED}, {POST_OTHER, TK_HOLDS_CONFLICT, TK_HOLD_POSTED},
                {VOID, TK_HOLDS_ENDED, TK_HOLD_POSTED},    {GET, TK_HOLDS_DONE, TK_HOLD_POSTED},
        };
        static const struct row expired[] = {
                {SAME, TK_HOLDS_REPLAYED, TK_HOLD_EXPIRED}, {EXTEND, TK_HOLDS_ENDED, TK_HOLD_EXPIRED},
                {POST, TK_HOLDS_ENDED, TK_HOLD_EXPIRED},    {VOID, TK_HOLDS_ENDED, TK_HOLD_EXPIRED},
                {GET, TK_HOLDS_DONE, TK_HOLD_EXPIRED},
        };
        TK_UNUSED(state);
        walk(TK_HOLD_POSTED, posted, sizeof posted / sizeof *posted, true);
        walk(TK_HOLD_EXPIRED, expired, sizeof expired / sizeof *expired, true);
}

static void nothing_there(void **state) {
        static const enum verb verbs[] = {EXTEND, POST, VOID, GET};
        struct said said;
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
                print_message("%s\n", verb_names[verbs[i]]);
                act(verbs[i], "none", &said);
                expect(&said, TK_HOLDS_UNKNOWN);
                assert_null(said.answer.view);
        }
        act(SAME, "none", &said);
        expect_state(&said, TK_HOLDS_DONE, TK_HOLD_PENDING); /* asking has left nothing behind */
}

static void names_belong_to_an_organisation(void **state) {
        struct said said = {.nr = 0};
        struct tk_id other = s->key.org;
        TK_UNUSED(state);
        must_hold("mine", 100);
        must_post("mine", 70);
        other.b[15] ^= 1;
        tk_holds_get(s->loops[0].worker, other, TK_STR("mine"), MS(2), on_said, &said);
        expect(&said, TK_HOLDS_UNKNOWN);
        stage_restart(s);
        said.nr = 0;
        tk_holds_get(s->loops[0].worker, other, TK_STR("mine"), MS(2), on_said, &said);
        expect(&said, TK_HOLDS_UNKNOWN);
}

static void another_key_is_other_content(void **state) {
        struct said said;
        TK_UNUSED(state);
        bring("whose", TK_HOLD_POSTED);
        stage_key(s, 1000);
        act(SAME, "whose", &said);
        expect(&said, TK_HOLDS_CONFLICT);
        stage_restart(s);
        act(SAME, "whose", &said);
        expect(&said, TK_HOLDS_CONFLICT);
}

static void model_and_life_are_content(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("content", 100);
        authorize(0, &(struct ask){.name = "content", .most = 100, .model = "m"}, &said);
        expect(&said, TK_HOLDS_CONFLICT);
        authorize(0, &(struct ask){.name = "content", .most = 100, .life_s = 61}, &said);
        expect(&said, TK_HOLDS_CONFLICT);
        authorize(0, &(struct ask){.name = "content", .most = 100, .least = 99}, &said);
        expect(&said, TK_HOLDS_CONFLICT);
        authorize(0, &(struct ask){.name = "content", .most = 100, .at_s = 9}, &said);
        expect(&said, TK_HOLDS_REPLAYED);
}

/* ---- money ---- */

static void a_refusal_leaves_nothing(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("most", 900);
        authorize(0, &(struct ask){.name = "more", .most = 101}, &said);
        expect(&said, TK_HOLDS_REFUSED);
        assert_int_equal(said.answer.verdict, TK_VERDICT_CAP);
        assert_int_equal(said.refusal.held, 900);
        assert_int_equal(said.refusal.cap, 1000);
        assert_null(said.answer.view);
        get_at(0, "more", 1, &said);
        expect(&said, TK_HOLDS_UNKNOWN);
        authorize(0, &(struct ask){.name = "more", .most = 100}, &said); /* the name is free, also for less */
        expect(&said, TK_HOLDS_DONE);
}

static void less_than_asked(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("most", 900);
        authorize(0, &(struct ask){.name = "rest", .most = 500, .least = 50}, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(said.view.hold.held.of[TK_METER_USD], 100);
        assert_true(said.view.has_left);
        assert_int_equal(said.view.left.of[TK_METER_USD], 0);
        authorize(0, &(struct ask){.name = "rest", .most = 500, .least = 50}, &said);
        expect(&said, TK_HOLDS_REPLAYED);
        assert_false(said.view.has_left); /* nothing was asked of the ledger */
}

static void overrun_is_shown_and_not_posted(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("over", 100);
        post_at(0, "over", 130, 1, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(said.view.hold.due.of[TK_METER_USD], 100);
        assert_int_equal(said.view.hold.overrun.of[TK_METER_USD], 30);
        assert_int_equal(stage_posted(s, TK_METER_USD), 100);
        post_at(0, "over", 130, 2, &said);
        expect(&said, TK_HOLDS_REPLAYED);
        post_at(0, "over", 100, 2, &said);
        expect(&said, TK_HOLDS_CONFLICT); /* what was due is not what was reported */
        stage_restart(s);
        post_at(0, "over", 130, 3, &said);
        expect(&said, TK_HOLDS_REPLAYED);
        assert_int_equal(said.view.hold.overrun.of[TK_METER_USD], 30);
}

/* What a post does not name is due as it is held: nothing is forgotten into being free. */
static void unnamed_meters_are_due_as_held(void **state) {
        struct said said = {.nr = 0};
        struct tk_snapshot *snapshot = stage_snapshot(s, 0);
        struct tk_holds_ask ask = {
                .org = s->key.org,
                .name = TK_STR("three"),
                .life_ms = 1000,
                .model = "",
                .now_ms = MS(0),
                .most = {{[TK_METER_USD] = 10, [TK_METER_REQUESTS] = 2, [TK_METER_TOKENS] = 30}}};
        struct tk_holds_actual actual = {.named = 1u << TK_METER_TOKENS, .model = "m"};
        TK_UNUSED(state);
        ask.least = ask.most;
        ask.facts = (struct tk_facts){.key_sent = true, .key = tk_snapshot_key(snapshot), .now_ms = MS(0)};
        tk_holds_authorize(s->loops[0].worker, &ask, &snapshot, on_said, &said);
        expect(&said, TK_HOLDS_DONE);
        actual.amounts.of[TK_METER_TOKENS] = 7;
        said.nr = 0;
        tk_holds_post(s->loops[0].worker, s->key.org, ask.name, &actual, MS(0), on_said, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(said.view.hold.due.of[TK_METER_USD], 10);
        assert_int_equal(said.view.hold.due.of[TK_METER_REQUESTS], 2);
        assert_int_equal(said.view.hold.due.of[TK_METER_TOKENS], 7);
        assert_string_equal(said.view.model, "m");
        for (int restart = 0; restart < 2; restart++) {
                said.nr = 0;
                actual.model = "";
                tk_holds_post(s->loops[0].worker, s->key.org, ask.name, &actual, MS(0), on_said, &said);
                expect(&said, TK_HOLDS_REPLAYED);
                said.nr = 0;
                actual.model = "n";
                tk_holds_post(s->loops[0].worker, s->key.org, ask.name, &actual, MS(0), on_said, &said);
                expect(&said, TK_HOLDS_CONFLICT);
                stage_restart(s);
        }
}

static void extensions(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("grows", 100);
        extend_at(0, "grows", &(struct tk_holds_more){.least = usd(50), .most = usd(200)}, 1, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(said.view.hold.held.of[TK_METER_USD], 300);
        extend_at(0, "grows", &(struct tk_holds_more){.total = true, .least = usd(400), .most = usd(400)}, 1,
                  &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(said.view.hold.held.of[TK_METER_USD], 400);
        extend_at(0, "grows", &(struct tk_holds_more){.total = true, .least = usd(400), .most = usd(400)}, 1,
                  &said);
        expect(&said, TK_HOLDS_DONE); /* again, and nothing more is held */
        assert_int_equal(said.view.hold.held.of[TK_METER_USD], 400);
        assert_false(said.view.has_left);
        extend_at(0, "grows", &(struct tk_holds_more){.least = usd(601), .most = usd(700)}, 1, &said);
        expect(&said, TK_HOLDS_REFUSED);
        assert_int_equal(said.answer.verdict, TK_VERDICT_CAP);
        assert_int_equal(said.view.hold.held.of[TK_METER_USD], 400); /* as it was */
        extend_at(0, "grows", &(struct tk_holds_more){.least = usd(1), .most = usd(700)}, 1, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(said.view.hold.held.of[TK_METER_USD], 1000);
        post_at(0, "grows", 1000, 2, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(stage_posted(s, TK_METER_USD), 1000);
}

static void a_hold_has_a_largest_size(void **state) {
        struct said said;
        struct tk_holds_more more = {.total = false};
        TK_UNUSED(state);
        more.most.of[TK_METER_TOKENS] = more.least.of[TK_METER_TOKENS] = TK_HOLD_COUNT_MAX; /* not limited */
        must_hold("large", 1);
        extend_at(0, "large", &more, 1, &said);
        expect(&said, TK_HOLDS_DONE);
        extend_at(0, "large", &more, 1, &said);
        expect(&said, TK_HOLDS_FAULT);
        assert_int_equal(said.answer.err, TK_E_RANGE);
        get_at(0, "large", 1, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(said.view.hold.held.of[TK_METER_TOKENS], TK_HOLD_COUNT_MAX);
}

static void a_revoked_key_extends_nothing_but_may_be_charged(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("revoked", 100);
        stage_revoke(s);
        extend_at(0, "revoked", &(struct tk_holds_more){.least = usd(1), .most = usd(1), .used = usd(5)}, 1,
                  &said);
        expect(&said, TK_HOLDS_REFUSED);
        assert_int_equal(said.answer.verdict, TK_VERDICT_REVOKED);
        assert_int_equal(said.view.used.of[TK_METER_USD], 5); /* what was used is a fact */
        authorize(0, &(struct ask){.name = "another", .most = 1}, &said);
        expect(&said, TK_HOLDS_REFUSED);
        assert_int_equal(said.answer.verdict, TK_VERDICT_REVOKED);
        authorize(0, &(struct ask){.name = "revoked", .most = 100}, &said);
        expect(&said, TK_HOLDS_REPLAYED); /* the look-up comes before what can change with time */
        post_at(0, "revoked", 90, 1, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(stage_posted(s, TK_METER_USD), 90);
}

/* ---- meetings ---- */

static void two_that_ask_at_once_get_one_hold(void **state) {
        struct said first, second, third;
        TK_UNUSED(state);
        authorize(0, &(struct ask){.name = "race", .most = 600}, &first); /* waits for a load and a lease */
        authorize(1, &(struct ask){.name = "race", .most = 600}, &second);
        authorize(1, &(struct ask){.name = "race", .most = 500}, &third);
        assert_int_equal(first.nr + second.nr + third.nr, 0);
        stage_run(s);
        assert_int_equal(first.answer.outcome, TK_HOLDS_DONE);
        assert_int_equal(second.answer.outcome, TK_HOLDS_REPLAYED);
        assert_int_equal(third.answer.outcome, TK_HOLDS_CONFLICT);
        assert_ptr_equal(first.where, &s->loops[0]);
        assert_ptr_equal(second.where, &s->loops[1]);
        assert_ptr_equal(third.where, &s->loops[1]);
        assert_int_equal(first.nr, 1);
        assert_int_equal(second.nr, 1);
        assert_int_equal(third.nr, 1);
}

static void who_waits_behind_a_refusal_asks_anew(void **state) {
        struct said first, found, second, posted;
        TK_UNUSED(state);
        authorize(0, &(struct ask){.name = "line", .most = 1001}, &first);
        get_at(1, "line", 0, &found);
        authorize(1, &(struct ask){.name = "line", .most = 1000}, &second);
        post_at(0, "line", 400, 1, &posted);
        stage_run(s);
        assert_int_equal(first.answer.outcome, TK_HOLDS_REFUSED);
        assert_int_equal(found.answer.outcome, TK_HOLDS_UNKNOWN);
        assert_int_equal(second.answer.outcome, TK_HOLDS_DONE);
        assert_int_equal(posted.answer.outcome, TK_HOLDS_DONE);
        assert_int_equal(stage_posted(s, TK_METER_USD), 400);
}

static void another_loop_extends_and_posts(void **state) {
        struct said extended, posted, late;
        TK_UNUSED(state);
        must_hold("loops", 10);
        extend_at(1, "loops", &(struct tk_holds_more){.least = usd(900), .most = usd(900)}, 1, &extended);
        post_at(0, "loops", 500, 1, &posted); /* while the extension waits for a lease */
        void_at(1, "loops", 1, &late);
        assert_int_equal(extended.nr + posted.nr + late.nr, 0);
        stage_run(s);
        assert_int_equal(extended.answer.outcome, TK_HOLDS_DONE);
        assert_ptr_equal(extended.where, &s->loops[1]);
        assert_int_equal(posted.answer.outcome, TK_HOLDS_DONE);
        assert_int_equal(posted.view.hold.due.of[TK_METER_USD], 500);
        assert_ptr_equal(posted.where, &s->loops[0]);
        assert_int_equal(late.answer.outcome, TK_HOLDS_ENDED);
        assert_int_equal(stage_posted(s, TK_METER_USD), 500);
}

/* ---- durability ---- */

static void a_post_is_answered_when_it_is_stored(void **state) {
        struct said said, replay, got;
        TK_UNUSED(state);
        must_hold("durable", 100);
        post_at(0, "durable", 80, 1, &said);
        post_at(1, "durable", 80, 1, &replay);
        get_at(1, "durable", 1, &got);
        (void)stage_mail(s, 0);
        (void)stage_mail(s, 1);
        assert_int_equal(said.nr + replay.nr + got.nr, 0); /* nothing that shows it as posted */
        assert_int_equal(stage_posted(s, TK_METER_USD), 0);
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(replay.nr, 1);
        assert_int_equal(replay.answer.outcome, TK_HOLDS_REPLAYED);
        assert_int_equal(got.nr, 1);
        assert_int_equal(stage_posted(s, TK_METER_USD), 80);
}

static void a_failing_store_says_so_and_loses_nothing(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("kept", 100);
        s->failing = true;
        post_at(0, "kept", 80, 1, &said);
        assert_true(stage_batch(s));
        (void)stage_mail(s, 0);
        assert_int_equal(said.nr, 1);
        assert_int_equal(said.answer.outcome, TK_HOLDS_FAULT);
        assert_int_equal(said.answer.err, TK_E_FULL);
        authorize(0, &(struct ask){.name = "refused", .most = 1}, &said); /* no new money */
        (void)stage_mail(s, 0);
        assert_int_equal(said.nr, 1);
        assert_int_equal(said.answer.outcome, TK_HOLDS_FAULT);
        post_at(0, "kept", 80, 2, &said); /* again, while it still fails */
        assert_true(stage_batch(s));
        (void)stage_mail(s, 0);
        assert_int_equal(said.answer.outcome, TK_HOLDS_FAULT);
        s->failing = false;
        post_at(0, "kept", 81, 3, &said);
        expect(&said, TK_HOLDS_CONFLICT);
        post_at(0, "kept", 80, 3, &said);
        expect(&said, TK_HOLDS_REPLAYED);
        assert_int_equal(stage_posted(s, TK_METER_USD), 80);
        authorize(0, &(struct ask){.name = "refused", .most = 1}, &said);
        expect(&said, TK_HOLDS_DONE);
}

static void after_a_crash_a_post_counts_once(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("answered", 100);
        must_post("answered", 80);
        must_hold("lost", 100);
        post_at(0, "lost", 60, 1, &said); /* queued, never stored, never answered */
        must_hold("pending", 1);
        stage_run(s);
        stage_crash(s);
        assert_int_equal(stage_posted(s, TK_METER_USD), 140); /* must_hold had run a batch */
        post_at(0, "answered", 80, 2, &said);
        expect(&said, TK_HOLDS_REPLAYED);
        post_at(0, "answered", 90, 2, &said);
        expect(&said, TK_HOLDS_CONFLICT);
        post_at(0, "pending", 1, 2, &said);
        expect(&said, TK_HOLDS_UNKNOWN);
        assert_int_equal(stage_posted(s, TK_METER_USD), 140);
}

static void a_post_that_a_crash_lost_can_be_made_again(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("lost", 100);
        post_at(0, "lost", 60, 1, &said);
        stage_crash(s);
        assert_int_equal(stage_posted(s, TK_METER_USD), 0);
        post_at(0, "lost", 60, 2, &said);
        expect(&said, TK_HOLDS_UNKNOWN);
        must_hold("lost", 100);
        must_post("lost", 60);
        assert_int_equal(stage_posted(s, TK_METER_USD), 60);
}

static void a_clean_stop_ends_what_is_pending(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("silent", 100);
        must_hold("told", 200);
        extend_at(0, "told", &(struct tk_holds_more){.used = usd(30)}, 1, &said);
        expect(&said, TK_HOLDS_DONE);
        assert_int_not_equal(stage_leases(s), 0);
        stage_restart(s);
        assert_int_equal(stage_leases(s), 0); /* nothing is in doubt */
        assert_int_equal(stage_posted(s, TK_METER_USD), 30);
        get_at(0, "silent", 2, &said);
        expect(&said, TK_HOLDS_UNKNOWN);
        get_at(0, "told", 2, &said);
        expect_state(&said, TK_HOLDS_DONE, TK_HOLD_EXPIRED);
        assert_int_equal(said.view.hold.due.of[TK_METER_USD], 30);
        must_hold("silent", 970);
}

/* A loop may end while an operation of its waits for the ledger: then nothing stays held. */
static void a_stop_meets_what_is_under_way(void **state) {
        struct said first, queued, extended;
        TK_UNUSED(state);
        must_hold("extends", 10);
        extend_at(0, "extends", &(struct tk_holds_more){.least = usd(500), .most = usd(500)}, 1, &extended);
        authorize(0, &(struct ask){.name = "waits", .most = 400}, &first);
        authorize(1, &(struct ask){.name = "waits", .most = 400}, &queued);
        assert_int_equal(first.nr + queued.nr + extended.nr, 0);
        stage_restart(s);
        assert_int_equal(first.nr, 1);
        assert_int_equal(queued.nr, 1);
        assert_int_equal(queued.answer.outcome, TK_HOLDS_FAULT);
        assert_int_equal(extended.nr, 1);
        assert_int_equal(stage_leases(s), 0);
        assert_int_equal(stage_posted(s, TK_METER_USD), 0);
        must_hold("all", 1000);
}

/* ---- time ---- */

static void an_expired_hold_posts_what_was_reported(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("time", 500);
        extend_at(0, "time", &(struct tk_holds_more){.used = usd(120)}, 1, &said);
        expect(&said, TK_HOLDS_DONE);
        extend_at(0, "time", &(struct tk_holds_more){.used = usd(90)}, 2, &said); /* late, out of order */
        expect(&said, TK_HOLDS_DONE);
        assert_int_equal(said.view.used.of[TK_METER_USD], 120);
        assert_int_equal(tk_holds_expire(s->service, MS(60) - 1), 0);
        assert_int_equal(tk_holds_expire(s->service, MS(60)), 1);
        assert_int_equal(tk_holds_expire(s->service, MS(60)), 0);
        stage_run(s);
        assert_int_equal(stage_posted(s, TK_METER_USD), 120);
        get_at(0, "time", 61, &said);
        expect_state(&said, TK_HOLDS_DONE, TK_HOLD_EXPIRED);
        assert_int_equal(said.view.hold.due.of[TK_METER_USD], 120);
        must_hold("rest", 880);
}

/* Whoever asks after the time finds it expired, whether somebody has swept or not. */
static void the_next_operation_finds_it_expired(void **state) {
        struct said said;
        TK_UNUSED(state);
        must_hold("late", 500);
        post_at(0, "late", 10, 60, &said);
        expect_state(&said, TK_HOLDS_ENDED, TK_HOLD_EXPIRED);
        assert_int_equal(stage_posted(s, TK_METER_USD), 0);
        authorize(0, &(struct ask){.name = "last", .most = 1000, .at_s = 60}, &said);
        expect(&said, TK_HOLDS_DONE);
        post_at(0, "last", 1000, 119, &said); /* within its life */
        expect(&said, TK_HOLDS_DONE);
}

static void many_lives(void **state) {
        static const int64_t lives[] = {1, 2, 3, 511, 512, 513, 514, 1024, 1025, 5000, 86400};
        enum { NR = sizeof lives / sizeof *lives };
        struct said said;
        TK_UNUSED(state);
        for (size_t i = 0; i < NR; i++) {
                char name[16];
                snprintf(name, sizeof name, "life.%zu", i);
                authorize(0, &(struct ask){.name = name, .most = 1, .life_s = lives[i]}, &said);
                expect(&said, TK_HOLDS_DONE);
        }
        for (size_t i = 0; i < NR; i++) {
                print_message("%lld s\n", (long long)lives[i]);
                assert_int_equal(tk_holds_expire(s->service, MS(lives[i]) - 1), 0);
                assert_int_equal(tk_holds_expire(s->service, MS(lives[i])), 1);
        }
        stage_run(s);
}

static void a_clock_that_is_set(void **state) {
        TK_UNUSED(state);
        assert_int_equal(tk_holds_expire(s->service, MS(100000)), 0); /* far ahead, and back */
        must_hold("back", 1);
        assert_int_equal(tk_holds_expire(s->service, MS(59)), 0);
        assert_int_equal(tk_holds_expire(s->service, MS(60)), 1);
        must_hold("jump", 1);
        assert_int_equal(tk_holds_expire(s->service, MS(50)), 0);
        assert_int_equal(tk_holds_expire(s->service, MS(100000)),
                         1); /* over many turns of the wheel at once */
        must_hold("long.ago", 1);
        assert_int_equal(tk_holds_expire(s->service, 0), 0);
        assert_int_equal(tk_holds_expire(s->service, MS(61)), 1);
        stage_run(s);
}

static void what_is_worked_on_expires_later(void **state) {
        struct said extended, got;
        TK_UNUSED(state);
        must_hold("busy", 10);
        extend_at(0, "busy", &(struct tk_holds_more){.least = usd(900), .most = usd(900)}, 1, &extended);
        assert_int_equal(tk_holds_expire(s->service, MS(70)), 0); /* the extension has the claim */
        expect(&extended, TK_HOLDS_DONE);
        assert_int_equal(tk_holds_expire(s->service, MS(70)), 1);
        get_at(0, "busy", 70, &got);
        expect_state(&got, TK_HOLDS_DONE, TK_HOLD_EXPIRED);
        assert_int_equal(got.view.hold.held.of[TK_METER_USD], 910);
}

int main(void) {
#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        const struct CMUnitTest tests[] = {
                TEST(names),
                TEST(amounts),
                STAGE_TEST(pending_row),
                STAGE_TEST(posted_row),
                STAGE_TEST(voided_row),
                STAGE_TEST(expired_row),
                STAGE_TEST(after_a_restart),
                STAGE_TEST(nothing_there),
                STAGE_TEST(names_belong_to_an_organisation),
                STAGE_TEST(another_key_is_other_content),
                STAGE_TEST(model_and_life_are_content),
                STAGE_TEST(a_refusal_leaves_nothing),
                STAGE_TEST(less_than_asked),
                STAGE_TEST(overrun_is_shown_and_not_posted),
                STAGE_TEST(unnamed_meters_are_due_as_held),
                STAGE_TEST(extensions),
                STAGE_TEST(a_hold_has_a_largest_size),
                STAGE_TEST(a_revoked_key_extends_nothing_but_may_be_charged),
                STAGE_TEST(two_that_ask_at_once_get_one_hold),
                STAGE_TEST(who_waits_behind_a_refusal_asks_anew),
                STAGE_TEST(another_loop_extends_and_posts),
                STAGE_TEST(a_post_is_answered_when_it_is_stored),
                STAGE_TEST(a_failing_store_says_so_and_loses_nothing),
                STAGE_TEST(after_a_crash_a_post_counts_once),
                STAGE_TEST(a_post_that_a_crash_lost_can_be_made_again),
                STAGE_TEST(a_clean_stop_ends_what_is_pending),
                STAGE_TEST(a_stop_meets_what_is_under_way),
                STAGE_TEST(an_expired_hold_posts_what_was_reported),
                STAGE_TEST(the_next_operation_finds_it_expired),
                STAGE_TEST(many_lives),
                STAGE_TEST(a_clock_that_is_set),
                STAGE_TEST(what_is_worked_on_expires_later),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
