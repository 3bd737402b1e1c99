/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubts by their names, page by page, each organisation its own; and a word on one, which counts once.
 */
#include "service/word.h"

#include "core/time.h"
#include "rt/rand.h"
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBJECT "01a200cb-b86e-7003-8a83-85413feb288a"

/* ---- names ---- */

static void names_that_are_read_are_written_the_same(void **state) {
        static const char *const good[] = {
                SUBJECT ":usd:lifetime:0",
                SUBJECT ":tokens:month:682",
                SUBJECT ":requests:day:-3",
                SUBJECT ":diem:every_n_days-10-0:4",
                SUBJECT ":vcu:every_n_days-65535--400:-1",
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
                struct tk_doubt doubt;
                char text[TK_DOUBT_NAME_MAX + 1];
                assert_true(tk_doubt_name_parse(tk_str_of(good[i]), &doubt));
                tk_doubt_name_text(&doubt, text);
                assert_string_equal(text, good[i]);
        }
}

static void what_names_no_doubt_is_refused(void **state) {
        static const char *const bad[] = {
                "",
                "x",
                SUBJECT,
                SUBJECT ":usd:day",
                SUBJECT ":usd:day:",
                SUBJECT ":usd:day:1:2",
                SUBJECT ":usd:day:01",
                SUBJECT ":usd:day:-0",
                SUBJECT ":usd:day:+1",
                SUBJECT ":usd:day:99999999999999999999",
                SUBJECT ":usd:day:9223372036854775807",
                SUBJECT ":usd:lifetime:1",
                SUBJECT ":eur:day:1",
                SUBJECT ":usd:daily:1",
                SUBJECT ":usd:day-1-0:1",
                SUBJECT ":usd:every_n_days:1",
                SUBJECT ":usd:every_n_days-0-0:1",
                SUBJECT ":usd:every_n_days-65536-0:1",
                SUBJECT ":usd:every_n_days-5:1",
                SUBJECT ":usd:every_n_days-5-9999999999:1",
                "00000000-0000-0000-0000-000000000000:usd:day:1",
                "01a200cb:usd:day:1",
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct tk_doubt doubt;
                print_message("  %s\n", bad[i]);
                assert_false(tk_doubt_name_parse(tk_str_of(bad[i]), &doubt));
        }
}

/* ---- the list ---- */

static void put(struct stage *s, struct tk_id subject, enum tk_window_kind kind, int64_t at_s,
                int64_t amount) {
        struct tk_doubt doubt = {.subject = subject,
                                 .meter = TK_METER_USD,
                                 .window = {.kind = kind},
                                 .amount = amount,
                                 .since_ms = STAGE_NOW_MS};
        doubt.number = tk_window_number(doubt.window, at_s);
        assert_ok(tk_store_begin(s->store));
        assert_ok(tk_store_doubt_put(s->store, &doubt));
        assert_ok(tk_store_commit(s->store));
}

struct rows {
        unsigned nr;
        int64_t sum;
        struct tk_doubt last;
        enum tk_subject_kind kind;
        char description[64];
};

static void take(const struct tk_doubt_row *row, void *ctx) {
        struct rows *rows = ctx;
        rows->nr++;
        rows->sum += row->doubt->amount;
        rows->last = *row->doubt;
        rows->kind = row->kind;
        snprintf(rows->description, sizeof rows->description, "%s", row->description);
}

static struct rows list(struct stage *s, struct tk_id org, struct tk_id subject, const struct tk_doubt *after,
                        unsigned limit, bool *more) {
        struct rows rows = {0};
        struct tk_doubts_ask ask = {
                .org = org, .subject = subject, .after = after, .limit = limit, .now_ms = STAGE_NOW_MS};
        assert_ok(tk_doubts_list(s->loops[0].worker, &ask, take, &rows, more));
        return rows;
}

static void it_is_listed_page_by_page(void **state) {
        struct stage *s = *state;
        const struct tk_id org = tk_store_org(s->store), all = {{0}};
        int64_t sum = 0;
        unsigned nr = 0;
        bool more = true;
        struct rows rows = {0};
        for (int i = 0; i < 5; i++) {
                put(s, i == 0 ? s->key.id : tk_rand_id(i), TK_WINDOW_DAY, STAGE_NOW_MS / 1000, 1 << i);
                put(s, i == 0 ? s->key.id : tk_rand_id(i), TK_WINDOW_LIFETIME, 0, 32 << i);
        }
        put(s, s->key.id, TK_WINDOW_DAY, STAGE_NOW_MS / 1000 - TK_DAY_S, 4096); /* over: it counts no more */
        for (unsigned pages = 0; more; pages++) {
                struct tk_doubt after = rows.last;
                assert_true(pages < 4);
                rows = list(s, org, all, pages ? &after : NULL, 3, &more);
                assert_true(rows.nr == 3 || !more);
                sum += rows.sum;
                nr += rows.nr;
        }
        assert_int_equal(nr, 10);
        assert_int_equal(sum, 1023);
        assert_int_equal(list(s, org, all, NULL, 10, &more).nr, 10);
        assert_false(more); /* the last page is full, and known to be the last */
        rows = list(s, org, s->key.id, NULL, 1, &more);
        assert_int_equal(rows.sum, 1);
        assert_int_equal(rows.kind, TK_SUBJECT_KEY);
        assert_string_equal(rows.description, "a customer");
        assert_true(more);
        assert_int_equal(list(s, org, s->key.id, &rows.last, 10, &more).sum, 32);
        assert_false(more);
}

static void each_organisation_sees_its_own(void **state) {
        struct stage *s = *state;
        const struct tk_id org = tk_store_org(s->store), all = {{0}}, user = tk_rand_id(1);
        struct rows rows;
        bool more;
        const struct tk_id subjects[] = {org, tk_store_workspace(s->store), user};
        const enum tk_subject_kind kinds[] = {TK_SUBJECT_ORG, TK_SUBJECT_WORKSPACE, TK_SUBJECT_USER};
        put(s, s->key.id, TK_WINDOW_LIFETIME, 0, 1);
        for (int i = 0; i < 3; i++) {
                put(s, subjects[i], TK_WINDOW_LIFETIME, 0, 1);
                rows = list(s, org, subjects[i], NULL, 10, &more);
                assert_int_equal(rows.nr, 1);
                assert_int_equal(rows.kind, kinds[i]);
                assert_string_equal(rows.description, "");
        }
        assert_int_equal(list(s, org, all, NULL, 10, &more).nr, 4);
        assert_int_equal(list(s, tk_rand_id(2), all, NULL, 10, &more).nr, 0);
}

/* ---- the word ---- */

static void on_said(void *ctx, const struct tk_word_answer *answer) {
        struct tk_word_answer *out = ctx;
        *out = *answer;
}

static struct tk_word_answer say(struct stage *s, struct tk_id org, const char *id, struct tk_id subject,
                                 enum tk_window_kind kind, int64_t spent) {
        struct tk_word word = {.org = org,
                               .id = tk_str_of(id),
                               .of = {.subject = subject, .meter = TK_METER_USD, .window = {.kind = kind}},
                               .spent = spent,
                               .now_ms = STAGE_NOW_MS};
        struct tk_word_answer answer = {.err = TK_E_CLOSED};
        word.of.number = tk_window_number(word.of.window, STAGE_NOW_MS / 1000);
        tk_word_say(s->loops[0].worker, &tk_actor_system, &word, on_said, &answer);
        stage_run(s);
        assert_int_not_equal(answer.err, TK_E_CLOSED);
        return answer;
}

static void a_word_counts_once(void **state) {
        struct stage *s = *state;
        const struct tk_id org = tk_store_org(s->store);
        struct tk_word_answer answer;
        put(s, s->key.id, TK_WINDOW_LIFETIME, 0, 100);
        assert_int_equal(say(s, org, "w", s->key.id, TK_WINDOW_DAY, 5).err, TK_E_NOT_FOUND);
        assert_int_equal(say(s, org, "w", org, TK_WINDOW_LIFETIME, 5).err, TK_E_NOT_FOUND);
        answer = say(s, org, "w", s->key.id, TK_WINDOW_LIFETIME, 101);
        assert_int_equal(answer.err, TK_E_RANGE);
        assert_int_equal(answer.doubt.amount, 100);
        assert_int_equal(stage_posted(s, TK_METER_USD), 0);
        for (int i = 0; i < 4; i++) { /* the refused ones left the id free */
                answer = say(s, org, "w", s->key.id, TK_WINDOW_LIFETIME, 60);
                assert_ok(answer.err);
                assert_int_equal(answer.replayed, i > 0);
                assert_int_equal(answer.doubt.amount, 100);
                assert_int_equal(answer.doubt.since_ms, STAGE_NOW_MS);
                assert_int_equal(stage_posted(s, TK_METER_USD), 60);
                if (i == 2)
                        stage_restart(s);
        }
        assert_int_equal(say(s, org, "w", s->key.id, TK_WINDOW_LIFETIME, 61).err, TK_E_CONFLICT);
        assert_int_equal(say(s, org, "v", s->key.id, TK_WINDOW_LIFETIME, 60).err, TK_E_NOT_FOUND);
        put(s, s->key.id, TK_WINDOW_LIFETIME, 0, 7); /* another crash: the old word is not about it */
        assert_true(say(s, org, "w", s->key.id, TK_WINDOW_LIFETIME, 60).replayed);
        assert_int_equal(say(s, org, "u", s->key.id, TK_WINDOW_LIFETIME, 0).doubt.amount, 7);
        assert_int_equal(stage_posted(s, TK_METER_USD), 60);
}

static void nobody_speaks_for_another_organisation(void **state) {
        struct stage *s = *state;
        const struct tk_id other = tk_rand_id(1);
        put(s, s->key.id, TK_WINDOW_LIFETIME, 0, 100);
        put(s, tk_store_org(s->store), TK_WINDOW_LIFETIME, 0, 100);
        assert_int_equal(say(s, other, "w", s->key.id, TK_WINDOW_LIFETIME, 5).err, TK_E_NOT_FOUND);
        assert_int_equal(say(s, other, "w", tk_store_org(s->store), TK_WINDOW_LIFETIME, 5).err,
                         TK_E_NOT_FOUND);
        /* Nor is an id of one taken for the other. */
        assert_false(say(s, tk_store_org(s->store), "w", s->key.id, TK_WINDOW_LIFETIME, 5).replayed);
}

static void a_window_that_is_over_has_no_doubt(void **state) {
        struct stage *s = *state;
        struct tk_word_answer answer = {.err = TK_E_CLOSED};
        struct tk_word word = {.org = tk_store_org(s->store),
                               .id = TK_STR("w"),
                               .of = {.subject = s->key.id, .window = {.kind = TK_WINDOW_DAY}},
                               .now_ms = STAGE_NOW_MS};
        word.of.number = tk_window_number(word.of.window, STAGE_NOW_MS / 1000) - 1;
        put(s, s->key.id, TK_WINDOW_DAY, STAGE_NOW_MS / 1000 - TK_DAY_S, 100);
        tk_word_say(s->loops[0].worker, &tk_actor_system, &word, on_said, &answer);
        stage_run(s);
        assert_int_equal(answer.err, TK_E_NOT_FOUND);
}

static void on_held(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        TK_UNUSED(ticket);
        *(enum tk_hold_answer *)ctx = answer;
}

static enum tk_hold_answer hold(struct stage *s, int64_t usd) {
        struct tk_snapshot *key = stage_snapshot(s, 0);
        const struct tk_amounts amounts = {.of = {[TK_METER_USD] = usd}};
        struct tk_ticket *ticket;
        enum tk_hold_answer answer = TK_HOLD_UNTRIED;
        enum tk_hold_answer now = tk_ledger_hold(s->loops[0].worker, key, tk_rand_id(STAGE_NOW_MS), &amounts,
                                                 &amounts, STAGE_NOW_MS, on_held, &answer, &ticket);
        if (now != TK_HOLD_UNTRIED)
                answer = now;
        else
                stage_run(s);
        tk_ledger_void(&ticket);
        tk_snapshot_release(&key);
        return answer;
}

static void it_acts_before_it_is_answered(void **state) {
        struct stage *s = *state;
        const struct tk_id org = tk_store_org(s->store);
        put(s, s->key.id, TK_WINDOW_LIFETIME, 0, 400000);
        assert_int_equal(hold(s, 600001), TK_HOLD_NO_CAP);
        assert_ok(say(s, org, "w", s->key.id, TK_WINDOW_LIFETIME, 100000).err);
        assert_int_equal(hold(s, 900001), TK_HOLD_NO_CAP);
        assert_int_equal(hold(s, 900000), TK_HOLD_TAKEN);
}

static void a_store_that_fails_takes_no_word(void **state) {
        struct stage *s = *state;
        struct tk_word_answer answer = {.err = TK_E_CLOSED};
        struct tk_word word = {.org = tk_store_org(s->store),
                               .id = TK_STR("w"),
                               .of = {.subject = s->key.id, .window = {.kind = TK_WINDOW_LIFETIME}},
                               .spent = 5,
                               .now_ms = STAGE_NOW_MS};
        put(s, s->key.id, TK_WINDOW_LIFETIME, 0, 100);
        s->failing = true;
        tk_word_say(s->loops[0].worker, &tk_actor_system, &word, on_said, &answer);
        (void)stage_batch(s);
        (void)stage_mail(s, 0);
        assert_int_equal(answer.err, TK_E_FULL);
        s->failing = false;
        assert_ok(say(s, word.org, "w", s->key.id, TK_WINDOW_LIFETIME, 5).err);
        assert_int_equal(stage_posted(s, TK_METER_USD), 5);
}

int main(void) {
#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_that_are_read_are_written_the_same),
                cmocka_unit_test(what_names_no_doubt_is_refused),
                STAGE_TEST(it_is_listed_page_by_page),
                STAGE_TEST(each_organisation_sees_its_own),
                STAGE_TEST(a_word_counts_once),
                STAGE_TEST(nobody_speaks_for_another_organisation),
                STAGE_TEST(a_window_that_is_over_has_no_doubt),
                STAGE_TEST(it_acts_before_it_is_answered),
                STAGE_TEST(a_store_that_fails_takes_no_word),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
