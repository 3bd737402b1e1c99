/* SPDX-License-Identifier: Apache-2.0
 *
 * What a crash leaves open: found once, counted until its window ends, and settled by an operator's word,
 * beside a running service too. The service is driven by hand here, so that nothing depends on timing.
 */
#include "lib/unit.h"

#include "core/time.h"
#include "rt/rand.h"
#include "service/catalog.h"
#include "service/doubt.h"
#include "service/keys.h"
#include "service/ledger.h"
#include "service/service.h"
#include "store/people.h"

#include <stdlib.h>
#include <string.h>

#define DAY  INT64_C(20000)
#define HOUR (DAY * 24 + 5) /* now: 05:30 of that day */
#define NOW  ((HOUR * TK_HOUR_S + 1800) * 1000)

struct bench {
        struct tk_store *store;
        struct tk_reader *reader;
        struct tk_id key, user, workspace, org;
        struct tk_key_text secret;
        /* of the tests with a service */
        struct tk_catalog *catalog;
        struct tk_service *service;
        struct tk_worker *worker;
        struct tk_mail *mail;
};

static int open_bench(void **state) {
        struct bench *bench = calloc(1, sizeof *bench);
        char why[256];
        assert_ok(tk_rand_init());
        assert_ok(tk_store_open("memory:", &bench->store, why, sizeof why));
        assert_ok(tk_reader_open(bench->store, &bench->reader));
        bench->org = tk_store_org(bench->store);
        bench->workspace = tk_store_workspace(bench->store);
        bench->user = tk_rand_id(1);
        struct tk_key key = {.id = tk_rand_id(1),
                             .org = bench->org,
                             .workspace = bench->workspace,
                             .user = bench->user,
                             .period = TK_WINDOW_DAY};
        bench->key = key.id;
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_key_insert(bench->store, &key));
        assert_ok(tk_store_commit(bench->store));
        *state = bench;
        return 0;
}

static int close_bench(void **state) {
        struct bench *bench = *state;
        tk_reader_close(&bench->reader);
        tk_store_close(&bench->store);
        free(bench);
        return 0;
}

/* ---- what is in the store ---- */

static void lend(struct bench *bench, struct tk_id subject, enum tk_window_kind kind, int64_t at_s,
                 int64_t bound) {
        struct tk_lease lease = {
                .subject = subject, .meter = TK_METER_USD, .window = {.kind = kind}, .bound = bound};
        lease.number = tk_window_number(lease.window, at_s);
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_lease_put(bench->store, &lease));
        assert_ok(tk_store_commit(bench->store));
}

static void post(struct bench *bench, struct tk_id subject, int64_t hour, int64_t amount) {
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_usage_add(bench->store, subject, TK_METER_USD, hour, amount));
        assert_ok(tk_store_commit(bench->store));
}

static size_t start(struct bench *bench, int64_t now_ms) {
        size_t found = 99;
        assert_ok(tk_doubts_find(bench->store, bench->reader, now_ms, &found));
        return found;
}

static bool count_lease(const struct tk_lease *lease, void *ctx) {
        TK_UNUSED(lease);
        ++*(unsigned *)ctx;
        return true;
}

static unsigned leases_nr(struct bench *bench) {
        unsigned nr = 0;
        assert_ok(tk_reader_lease_list(bench->reader, count_lease, &nr));
        return nr;
}

struct find {
        enum tk_window_kind kind;
        struct tk_doubt found;
        unsigned nr;
};

static bool find_one(const struct tk_doubt *doubt, void *ctx) {
        struct find *find = ctx;
        if (doubt->window.kind == find->kind) {
                find->found = *doubt;
                find->nr++;
        }
        return true;
}

/* The doubt of a subject in a kind of window; amount 0: none. */
static struct tk_doubt doubt_of(struct bench *bench, struct tk_id subject, enum tk_window_kind kind) {
        struct find find = {.kind = kind};
        assert_ok(tk_reader_doubt_list(bench->reader, subject, find_one, &find));
        assert_true(find.nr <= 1);
        return find.found;
}

static int64_t amount_of(struct bench *bench, struct tk_id subject, enum tk_window_kind kind) {
        return doubt_of(bench, subject, kind).amount;
}

static int64_t used(struct bench *bench, struct tk_id key, int64_t from, int64_t to) {
        int64_t sum;
        assert_ok(tk_reader_usage_sum(bench->reader, key, TK_METER_USD, from, to, &sum));
        return sum;
}

static int64_t used_by(struct bench *bench, enum tk_group group, struct tk_id id) {
        int64_t sum;
        assert_ok(tk_reader_usage_sum_group(bench->reader, group, id, TK_METER_USD, INT64_MIN, INT64_MAX,
                                            &sum));
        return sum;
}

static enum tk_err resolve(struct bench *bench, const struct tk_doubt *doubt, int64_t spent) {
        assert_ok(tk_store_begin(bench->store));
        enum tk_err err = tk_doubt_resolve(bench->store, bench->reader, &tk_actor_system, 0, doubt, spent);
        if (err == TK_OK)
                assert_ok(tk_store_commit(bench->store));
        else
                tk_store_rollback(bench->store);
        return err;
}

/* ---- found ---- */

static void the_rest_of_a_lease_is_in_doubt_once(void **state) {
        struct bench *bench = *state;
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        post(bench, bench->key, HOUR, 30);
        assert_int_equal(start(bench, NOW), 1);
        assert_int_equal(leases_nr(bench), 0);
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_int_equal(doubt.amount, 170);
        assert_int_equal(doubt.number, DAY);
        assert_int_equal(doubt.since_ms, NOW);
        assert_int_equal(start(bench, NOW + 5000), 0); /* another start finds nothing new */
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 170);
}

/* The next run lent up to 500, of which 170 were in doubt before, and posted 100 more. */
static void a_second_crash_adds_only_what_is_new(void **state) {
        struct bench *bench = *state;
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        post(bench, bench->key, HOUR, 30);
        assert_int_equal(start(bench, NOW), 1);
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 500);
        post(bench, bench->key, HOUR, 100);
        assert_int_equal(start(bench, NOW + 1000), 1);
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_int_equal(doubt.amount, 500 - 130);
        assert_int_equal(doubt.since_ms, NOW);
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 500); /* nothing lent beyond it: nothing new */
        assert_int_equal(start(bench, NOW + 2000), 0);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 370);
}

static void what_was_posted_in_full_leaves_no_doubt(void **state) {
        struct bench *bench = *state;
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        lend(bench, bench->key, TK_WINDOW_MONTH, NOW / 1000, 150);
        post(bench, bench->key, HOUR, 200);
        assert_int_equal(start(bench, NOW), 0);
        assert_int_equal(leases_nr(bench), 0);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 0);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_MONTH), 0);
}

static void a_window_that_ended_a_day_ago_is_forgotten(void **state) {
        struct bench *bench = *state;
        const int64_t over_ms = (DAY + 2) * TK_DAY_S * 1000; /* so that a clock can be set right */
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000 - 2 * TK_DAY_S, 900);
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        lend(bench, bench->key, TK_WINDOW_LIFETIME, NOW / 1000, 300);
        assert_int_equal(start(bench, NOW), 2);
        assert_int_equal(leases_nr(bench), 0);
        assert_int_equal(doubt_of(bench, bench->key, TK_WINDOW_DAY).number, DAY);
        assert_int_equal(start(bench, over_ms - 1), 0);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 200);
        assert_int_equal(start(bench, over_ms), 0);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 0);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_LIFETIME), 300);
}

static void groups_are_judged_by_what_their_keys_posted(void **state) {
        struct bench *bench = *state;
        lend(bench, bench->org, TK_WINDOW_DAY, NOW / 1000, 200);
        lend(bench, bench->workspace, TK_WINDOW_DAY, NOW / 1000, 100);
        lend(bench, bench->user, TK_WINDOW_DAY, NOW / 1000, 70);
        post(bench, bench->key, HOUR, 60);
        assert_int_equal(start(bench, NOW), 3);
        assert_int_equal(amount_of(bench, bench->user, TK_WINDOW_DAY), 10);
        assert_int_equal(amount_of(bench, bench->org, TK_WINDOW_DAY), 140);
        assert_int_equal(amount_of(bench, bench->workspace, TK_WINDOW_DAY), 40);
}

static void a_sum_beyond_all_bounds_leaves_no_doubt(void **state) {
        struct bench *bench = *state;
        struct tk_key other = {.id = tk_rand_id(2),
                               .org = bench->org,
                               .workspace = bench->workspace,
                               .period = TK_WINDOW_DAY,
                               .digest = {1}};
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_key_insert(bench->store, &other));
        assert_ok(tk_store_commit(bench->store));
        post(bench, bench->key, HOUR, INT64_MAX);
        post(bench, other.id, HOUR, INT64_MAX);
        lend(bench, bench->org, TK_WINDOW_DAY, NOW / 1000, INT64_MAX);
        assert_int_equal(start(bench, NOW), 0);
        assert_int_equal(leases_nr(bench), 0);
}

static void a_clean_stop_returns_all(void **state) {
        struct bench *bench = *state;
        assert_ok(tk_leases_return(bench->store, bench->reader)); /* none */
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        lend(bench, bench->org, TK_WINDOW_MONTH, NOW / 1000, 200);
        assert_ok(tk_leases_return(bench->store, bench->reader));
        assert_int_equal(leases_nr(bench), 0);
        assert_int_equal(start(bench, NOW), 0);
}

/* ---- resolved ---- */

static void what_was_spent_becomes_usage_and_the_rest_is_free(void **state) {
        struct bench *bench = *state;
        int64_t seq, after;
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        assert_int_equal(start(bench, NOW), 1);
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_ok(tk_reader_change_last(bench->reader, &seq));
        assert_int_equal(resolve(bench, &doubt, 201), TK_E_RANGE);
        assert_int_equal(resolve(bench, &doubt, -1), TK_E_RANGE);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 200);
        assert_ok(resolve(bench, &doubt, 120));
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 0);
        assert_int_equal(used(bench, bench->key, HOUR, HOUR + 1),
                         120); /* in the hour in which it was found */
        assert_int_equal(used(bench, bench->key, INT64_MIN, INT64_MAX), 120);
        assert_int_equal(used_by(bench, TK_GROUP_ORG, bench->org), 120);
        assert_ok(tk_reader_change_last(bench->reader, &after));
        assert_true(after > seq);
        assert_int_equal(resolve(bench, &doubt, 0), TK_E_NOT_FOUND);
}

/* The run that goes on has lent on top of the doubt; the word stands when it crashes, too. */
static void a_word_stands_over_the_next_crash(void **state) {
        struct bench *bench = *state;
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        assert_int_equal(start(bench, NOW), 1);
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 500);
        lend(bench, bench->key, TK_WINDOW_MONTH, NOW / 1000, 700);
        lend(bench, bench->org, TK_WINDOW_DAY, NOW / 1000, 800);
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 50));
        assert_int_equal(start(bench, NOW + 1000), 3);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 500 - 200);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_MONTH),
                         700 - 50); /* of these nothing was said */
        assert_int_equal(amount_of(bench, bench->org, TK_WINDOW_DAY), 800 - 50);
}

static void nothing_spent_leaves_no_usage(void **state) {
        struct bench *bench = *state;
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        lend(bench, bench->key, TK_WINDOW_MONTH, NOW / 1000, 200);
        assert_int_equal(start(bench, NOW), 2);
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 0));
        assert_int_equal(used(bench, bench->key, INT64_MIN, INT64_MAX), 0);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_MONTH), 200); /* a word on the day alone */
}

/* The same 200 were held in the day and in the month of the key, and in the day of its organisation. */
static void the_same_money_is_not_counted_twice(void **state) {
        struct bench *bench = *state;
        lend(bench, bench->key, TK_WINDOW_DAY, NOW / 1000, 200);
        lend(bench, bench->key, TK_WINDOW_MONTH, NOW / 1000, 250);
        lend(bench, bench->org, TK_WINDOW_DAY, NOW / 1000, 900);
        lend(bench, bench->workspace, TK_WINDOW_DAY, NOW / 1000, 50);
        lend(bench, bench->user, TK_WINDOW_DAY, NOW / 1000, 150);
        assert_int_equal(start(bench, NOW), 5);
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 120));
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_DAY), 0);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_MONTH), 250 - 120);
        assert_int_equal(amount_of(bench, bench->org, TK_WINDOW_DAY), 900 - 120);
        assert_int_equal(amount_of(bench, bench->workspace, TK_WINDOW_DAY), 0);
        assert_int_equal(amount_of(bench, bench->user, TK_WINDOW_DAY), 150 - 120);
        assert_int_equal(doubt_of(bench, bench->org, TK_WINDOW_DAY).since_ms, NOW);
}

static void other_meters_and_windows_stay_in_doubt(void **state) {
        struct bench *bench = *state;
        struct tk_doubt diem = {
                .subject = bench->key,
                .meter = TK_METER_DIEM,
                .window = {.kind = TK_WINDOW_MONTH},
                .number = tk_window_number((struct tk_window_spec){.kind = TK_WINDOW_MONTH}, NOW / 1000),
                .amount = 70,
                .since_ms = NOW};
        struct tk_doubt before = {.subject = bench->key,
                                  .meter = TK_METER_USD,
                                  .window = {.kind = TK_WINDOW_HOUR},
                                  .number = HOUR - 1,
                                  .amount = 80,
                                  .since_ms = NOW};
        struct tk_doubt day = {.subject = bench->key,
                               .meter = TK_METER_USD,
                               .window = {.kind = TK_WINDOW_DAY},
                               .number = DAY,
                               .amount = 200,
                               .since_ms = NOW};
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_doubt_put(bench->store, &diem));
        assert_ok(tk_store_doubt_put(bench->store, &before));
        assert_ok(tk_store_doubt_put(bench->store, &day));
        assert_ok(tk_store_commit(bench->store));
        assert_ok(resolve(bench, &day, 150));
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_MONTH), 70);
        assert_int_equal(amount_of(bench, bench->key, TK_WINDOW_HOUR), 80);
}

static void what_is_found_late_is_dated_into_its_window(void **state) {
        struct bench *bench = *state;
        struct tk_doubt doubt = {.subject = bench->key,
                                 .meter = TK_METER_USD,
                                 .window = {.kind = TK_WINDOW_DAY},
                                 .number = DAY - 3,
                                 .amount = 10,
                                 .since_ms = NOW};
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_doubt_put(bench->store, &doubt));
        doubt.number = DAY + 3;
        assert_ok(tk_store_doubt_put(bench->store, &doubt));
        assert_ok(tk_store_commit(bench->store));
        assert_ok(resolve(bench, &doubt, 4));
        assert_int_equal(used(bench, bench->key, (DAY + 3) * 24, (DAY + 3) * 24 + 1), 4);
        doubt.number = DAY - 3;
        assert_ok(resolve(bench, &doubt, 3));
        assert_int_equal(used(bench, bench->key, (DAY - 2) * 24 - 1, (DAY - 2) * 24), 3);
}

static void of_a_workspace_it_is_noted_there_and_above(void **state) {
        struct bench *bench = *state;
        lend(bench, bench->workspace, TK_WINDOW_DAY, NOW / 1000, 200);
        lend(bench, bench->org, TK_WINDOW_DAY, NOW / 1000, 300);
        assert_int_equal(start(bench, NOW), 2);
        struct tk_doubt doubt = doubt_of(bench, bench->workspace, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 120));
        assert_int_equal(used_by(bench, TK_GROUP_WORKSPACE, bench->workspace), 120);
        assert_int_equal(used_by(bench, TK_GROUP_ORG, bench->org), 120);
        assert_int_equal(used(bench, bench->key, INT64_MIN, INT64_MAX), 0);
        assert_int_equal(amount_of(bench, bench->org, TK_WINDOW_DAY), 180);
        doubt = doubt_of(bench, bench->org, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 180));
        assert_int_equal(used_by(bench, TK_GROUP_ORG, bench->org), 300);
        assert_int_equal(used_by(bench, TK_GROUP_WORKSPACE, bench->workspace), 120);
}

/* Of another organisation than the first: what was spent is noted of theirs. */
static void of_others_it_is_noted_where_they_belong(void **state) {
        struct bench *bench = *state;
        struct tk_workspace workspace = {.id = tk_rand_id(3), .org = tk_rand_id(4), .slug = "w", .name = "w"};
        const struct tk_user user = {.id = tk_rand_id(5), .org = workspace.org, .email = "a@b"};
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_workspace_insert(bench->store, &workspace));
        assert_ok(tk_store_user_insert(bench->store, &user));
        assert_ok(tk_store_commit(bench->store));
        lend(bench, workspace.id, TK_WINDOW_DAY, NOW / 1000, 200);
        lend(bench, user.id, TK_WINDOW_DAY, NOW / 1000, 100);
        lend(bench, workspace.org, TK_WINDOW_DAY, NOW / 1000, 300);
        assert_int_equal(start(bench, NOW), 3);
        struct tk_doubt doubt = doubt_of(bench, workspace.id, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 120));
        assert_int_equal(used_by(bench, TK_GROUP_WORKSPACE, workspace.id), 120);
        assert_int_equal(used_by(bench, TK_GROUP_ORG, workspace.org), 120);
        assert_int_equal(amount_of(bench, workspace.org, TK_WINDOW_DAY), 180);
        doubt = doubt_of(bench, user.id, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 30));
        assert_int_equal(used_by(bench, TK_GROUP_USER, user.id), 30);
        assert_int_equal(used_by(bench, TK_GROUP_WORKSPACE, workspace.id), 120);
        assert_int_equal(used_by(bench, TK_GROUP_ORG, workspace.org), 150);
        assert_int_equal(amount_of(bench, workspace.org, TK_WINDOW_DAY), 150);
        assert_int_equal(used_by(bench, TK_GROUP_ORG, bench->org), 0);
}

/* ---- beside a running service ---- */

static bool take_mail(void *loop, struct tk_mail *mail) {
        struct bench *bench = loop;
        struct tk_mail **tail = &bench->mail;
        while (*tail)
                tail = &(*tail)->next;
        mail->next = NULL;
        *tail = mail;
        return true;
}

/* Until nothing is left to do. */
static void settle(struct bench *bench) {
        do {
                struct tk_mail *mail;
                while ((mail = bench->mail)) {
                        bench->mail = mail->next;
                        mail->run(mail);
                }
        } while (tk_service_step(bench->service) || bench->mail);
}

static void run_service(struct bench *bench) {
        const struct tk_service_opt opt = {.store = bench->store,
                                           .catalog = bench->catalog,
                                           .key_prefix = "tk",
                                           .manual = true,
                                           .start_ms = NOW};
        assert_ok(tk_service_open(&opt, &bench->service));
        assert_ok(tk_worker_open(bench->service, take_mail, bench, &bench->worker));
}

static void crash(struct bench *bench) {
        tk_worker_close(&bench->worker);
        tk_service_abandon(&bench->service);
}

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        assert_ok(err);
        *(struct tk_id *)ctx = key->id;
}

static void on_answer(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        TK_UNUSED(ticket);
        *(enum tk_hold_answer *)ctx = answer;
}

/* Holds this much of the key; the ticket is the caller's. */
static enum tk_hold_answer hold(struct bench *bench, int64_t usd, struct tk_ticket **out) {
        const struct tk_amounts amounts = {.of = {[TK_METER_USD] = usd}};
        enum tk_hold_answer answer = TK_HOLD_UNTRIED;
        struct tk_snapshot *key;
        assert_ok(
                tk_keys_identify(bench->worker, (struct tk_str){bench->secret.at, bench->secret.len}, &key));
        enum tk_hold_answer now = tk_ledger_hold(bench->worker, key, tk_rand_id(NOW), &amounts, &amounts, NOW,
                                                 on_answer, &answer, out);
        if (now == TK_HOLD_UNTRIED)
                settle(bench);
        tk_snapshot_release(&key);
        return now == TK_HOLD_UNTRIED ? answer : now;
}

static enum tk_hold_answer try_hold(struct bench *bench, int64_t usd) {
        struct tk_ticket *ticket;
        enum tk_hold_answer answer = hold(bench, usd, &ticket);
        tk_ledger_void(&ticket);
        return answer;
}

/* A key with 1000 for the day. */
static void make_key(struct bench *bench) {
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_DAY, .limits_nr = 1};
        draft.limits[0] =
                (struct tk_limit){.meter = TK_METER_USD, .window = {.kind = TK_WINDOW_DAY}, .cap = 1000};
        tk_keys_create(bench->worker, &tk_actor_system, &draft, NOW, &bench->secret, on_key, &bench->key);
        settle(bench);
}

static void put_org_limit(struct bench *bench, uint64_t cap) {
        const struct tk_limit limit = {.meter = TK_METER_USD, .window = {.kind = TK_WINDOW_DAY}, .cap = cap};
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_limits_put(bench->store, bench->org, &limit, 1));
        assert_ok(tk_store_commit(bench->store));
}

static void a_running_service_learns_of_the_word(void **state) {
        struct bench *bench = *state;
        bench->catalog = tk_catalog_new();
        put_org_limit(bench, 1500);
        run_service(bench);
        make_key(bench);
        assert_int_equal(try_hold(bench, 1000), TK_HOLD_TAKEN);
        crash(bench);
        run_service(bench);
        assert_int_equal(try_hold(bench, 1),
                         TK_HOLD_NO_CAP); /* all of it was lent, and may have been spent */
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_int_equal(doubt.amount, 1000);
        assert_true(amount_of(bench, bench->org, TK_WINDOW_DAY) >= 1000);
        assert_ok(resolve(bench, &doubt, 400));
        assert_int_equal(try_hold(bench, 1), TK_HOLD_NO_CAP); /* not heard of yet */
        tk_service_tick(bench->service);
        settle(bench);
        assert_int_equal(try_hold(bench, 601), TK_HOLD_NO_CAP);
        /* The organisation has as much in doubt as before, less what is posted now. */
        const int64_t above = amount_of(bench, bench->org, TK_WINDOW_DAY);
        assert_int_equal(try_hold(bench, 1500 - 400 - above + 1), TK_HOLD_NO_CAP);
        doubt = doubt_of(bench, bench->org, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 0));
        tk_service_tick(bench->service);
        settle(bench);
        assert_int_equal(try_hold(bench, 600), TK_HOLD_TAKEN);
        tk_worker_close(&bench->worker);
        tk_service_close(&bench->service);
        assert_int_equal(leases_nr(bench), 0);
        assert_int_equal(start(bench, NOW), 0);
        tk_catalog_free(&bench->catalog);
}

/* What was lent before the word is not lent any more; a hold that lives on keeps its cover. */
static void a_running_service_lends_anew_after_the_word(void **state) {
        struct bench *bench = *state;
        struct tk_ticket *live, *next;
        bench->catalog = tk_catalog_new();
        run_service(bench);
        make_key(bench);
        assert_int_equal(try_hold(bench, 600), TK_HOLD_TAKEN);
        crash(bench);
        run_service(bench);
        assert_int_equal(hold(bench, 100, &live), TK_HOLD_TAKEN);
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_true(doubt.amount >= 600);
        assert_ok(resolve(bench, &doubt, 0));
        tk_service_tick(bench->service);
        settle(bench);
        assert_int_equal(hold(bench, 200, &next), TK_HOLD_TAKEN);
        assert_int_equal(try_hold(bench, 701), TK_HOLD_NO_CAP);
        tk_ledger_void(&live);
        tk_ledger_void(&next);
        crash(bench);
        run_service(bench);
        const int64_t open = amount_of(bench, bench->key, TK_WINDOW_DAY);
        assert_true(open >= 300 && open < 400);
        tk_worker_close(&bench->worker);
        tk_service_close(&bench->service);
        tk_catalog_free(&bench->catalog);
}

/* A doubt of the key's alone is spent: the organisation, which has none, must count it too. */
static void the_levels_above_learn_what_was_spent(void **state) {
        struct bench *bench = *state;
        bench->catalog = tk_catalog_new();
        run_service(bench);
        make_key(bench);
        assert_int_equal(try_hold(bench, 1000), TK_HOLD_TAKEN);
        crash(bench);
        put_org_limit(bench, 1300);
        run_service(bench);
        assert_int_equal(try_hold(bench, 1), TK_HOLD_NO_CAP);
        struct tk_doubt doubt = doubt_of(bench, bench->key, TK_WINDOW_DAY);
        assert_ok(resolve(bench, &doubt, 400));
        tk_service_tick(bench->service);
        settle(bench);
        struct tk_ticket *ticket;
        assert_int_equal(hold(bench, 500, &ticket), TK_HOLD_TAKEN);
        tk_ledger_void(&ticket);
        struct tk_key key;
        assert_ok(tk_reader_key_by_id(bench->reader, bench->key, &key));
        key.limits_nr = 0; /* from now on only the organisation binds */
        assert_ok(tk_store_begin(bench->store));
        assert_ok(tk_store_key_update(bench->store, &key));
        assert_ok(tk_store_commit(bench->store));
        tk_service_tick(bench->service);
        settle(bench);
        assert_int_equal(try_hold(bench, 901), TK_HOLD_NO_CAP);
        assert_int_equal(try_hold(bench, 900), TK_HOLD_TAKEN);
        tk_worker_close(&bench->worker);
        tk_service_close(&bench->service);
        tk_catalog_free(&bench->catalog);
}

int main(void) {
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)
        const struct CMUnitTest tests[] = {
                BENCH_TEST(the_rest_of_a_lease_is_in_doubt_once),
                BENCH_TEST(a_second_crash_adds_only_what_is_new),
                BENCH_TEST(what_was_posted_in_full_leaves_no_doubt),
                BENCH_TEST(a_window_that_ended_a_day_ago_is_forgotten),
                BENCH_TEST(groups_are_judged_by_what_their_keys_posted),
                BENCH_TEST(a_sum_beyond_all_bounds_leaves_no_doubt),
                BENCH_TEST(a_clean_stop_returns_all),
                BENCH_TEST(what_was_spent_becomes_usage_and_the_rest_is_free),
                BENCH_TEST(a_word_stands_over_the_next_crash),
                BENCH_TEST(nothing_spent_leaves_no_usage),
                BENCH_TEST(the_same_money_is_not_counted_twice),
                BENCH_TEST(other_meters_and_windows_stay_in_doubt),
                BENCH_TEST(what_is_found_late_is_dated_into_its_window),
                BENCH_TEST(of_a_workspace_it_is_noted_there_and_above),
                BENCH_TEST(of_others_it_is_noted_where_they_belong),
                BENCH_TEST(a_running_service_learns_of_the_word),
                BENCH_TEST(a_running_service_lends_anew_after_the_word),
                BENCH_TEST(the_levels_above_learn_what_was_spent),
        };
        return cmocka_run_group_tests_name("doubt", tests, NULL, NULL);
}
