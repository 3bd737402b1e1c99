/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of things within one batch of the writer, with the test as the writer's thread: what stands
 * beside what in a batch is then no accident.
 */
#include "lib/unit.h"
#include "rt/rand.h"
#include "service/keys.h"
#include "service/ledger.h"
#include "service/service.h"

#include <stdlib.h>
#include <string.h>

#define NOW_MS INT64_C(4000000000000)

struct stage {
        struct tk_store *store;
        struct tk_catalog *catalog;
        struct tk_service *service;
        struct tk_worker *worker;
        struct tk_mail *mail, **tail;
        struct tk_key key;
        struct tk_snapshot *snapshot;
        enum tk_hold_answer answer;
};

static bool send(void *loop, struct tk_mail *mail) {
        struct stage *s = loop;
        mail->next = NULL;
        *s->tail = mail;
        s->tail = &mail->next;
        return true;
}

/* Batches until nothing is queued, each with its completions. */
static void run(struct stage *s) {
        while (tk_service_step(s->service) || s->mail)
                while (s->mail) {
                        struct tk_mail *mail = s->mail;
                        s->mail = mail->next;
                        if (!s->mail)
                                s->tail = &s->mail;
                        mail->run(mail);
                }
}

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct stage *s = ctx;
        assert_ok(err);
        s->key = *key;
}

static int open_stage(void **state) {
        struct stage *s = calloc(1, sizeof *s);
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_LIFETIME, .limits_nr = 1};
        struct tk_key_text secret;
        char why[256];
        assert_non_null(s);
        s->tail = &s->mail;
        assert_ok(tk_rand_init());
        assert_ok(tk_store_open("memory:", &s->store, why, sizeof why));
        s->catalog = tk_catalog_new();
        struct tk_service_opt opt = {.store = s->store,
                                     .catalog = s->catalog,
                                     .key_prefix = "tk",
                                     .manual = true,
                                     .start_ms = NOW_MS};
        assert_ok(tk_service_open(&opt, &s->service));
        assert_ok(tk_worker_open(s->service, send, s, &s->worker));
        draft.limits[0] =
                (struct tk_limit){.meter = TK_METER_USD, .window = {.kind = TK_WINDOW_LIFETIME}, .cap = 1000};
        tk_keys_create(s->worker, &tk_actor_system, &draft, NOW_MS, &secret, on_key, s);
        run(s);
        assert_ok(tk_keys_identify(s->worker, (struct tk_str){secret.at, secret.len}, &s->snapshot));
        *state = s;
        return 0;
}

static int close_stage(void **state) {
        struct stage *s = *state;
        tk_snapshot_release(&s->snapshot);
        tk_worker_close(&s->worker);
        tk_service_close(&s->service);
        tk_catalog_free(&s->catalog);
        tk_store_close(&s->store);
        free(s);
        return 0;
}

static void on_answer(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        TK_UNUSED(ticket);
        ((struct stage *)ctx)->answer = answer;
}

static struct tk_amounts usd(int64_t nano) {
        struct tk_amounts amounts = {{0}};
        amounts.of[TK_METER_USD] = nano;
        return amounts;
}

/* Holds exactly this much; the answer is in s->answer. */
static struct tk_ticket *hold(struct stage *s, int64_t nano) {
        const struct tk_amounts amount = usd(nano);
        struct tk_ticket *ticket;
        s->answer = tk_ledger_hold(s->worker, s->snapshot, tk_rand_id(NOW_MS), &amount, &amount, NOW_MS,
                                   on_answer, s, &ticket);
        while (s->answer == TK_HOLD_UNTRIED)
                run(s);
        return ticket;
}

static void post(struct tk_ticket **ticket, int64_t nano) {
        const struct tk_amounts amount = usd(nano);
        const struct tk_entry what = {.model = "m"};
        tk_ledger_post(ticket, &amount, &what, NOW_MS);
}

static enum tk_err rename_key(struct tk_key *key, void *ctx) {
        TK_UNUSED(ctx);
        strcpy(key->description, "renamed");
        return TK_OK;
}

/* The counters that an edit reads anew must not contain a post of the same batch twice: once from the store,
 * where the batch has put it, and once from the list of posts that are under way. */
static void a_post_behind_an_edit_counts_once(void **state) {
        struct stage *s = *state;
        struct tk_ticket *first = hold(s, 400);
        assert_int_equal(s->answer, TK_HOLD_TAKEN);
        tk_keys_update(s->worker, &tk_actor_system, s->key.org, s->key.id, NOW_MS, rename_key, on_key, s);
        post(&first, 400);
        run(s);
        assert_string_equal(s->key.description, "renamed");
        struct tk_ticket *rest = hold(s, 600);
        assert_int_equal(s->answer, TK_HOLD_TAKEN);
        post(&rest, 600);
        run(s);
        struct tk_ticket *more = hold(s, 1);
        assert_int_equal(s->answer, TK_HOLD_NO_CAP);
        tk_ledger_void(&more);
}

static void a_post_before_an_edit_counts_once(void **state) {
        struct stage *s = *state;
        struct tk_ticket *first = hold(s, 400);
        assert_int_equal(s->answer, TK_HOLD_TAKEN);
        post(&first, 400);
        tk_keys_update(s->worker, &tk_actor_system, s->key.org, s->key.id, NOW_MS, rename_key, on_key, s);
        run(s);
        struct tk_ticket *more = hold(s, 601);
        assert_int_equal(s->answer, TK_HOLD_NO_CAP);
        tk_ledger_void(&more);
        struct tk_ticket *rest = hold(s, 600);
        assert_int_equal(s->answer, TK_HOLD_TAKEN);
        post(&rest, 600);
        run(s);
}

int main(void) {
#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        const struct CMUnitTest tests[] = {
                STAGE_TEST(a_post_behind_an_edit_counts_once),
                STAGE_TEST(a_post_before_an_edit_counts_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
