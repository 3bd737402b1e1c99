/* SPDX-License-Identifier: Apache-2.0 */
#include "bed.h"

#include "rt/rand.h"
#include "store/people.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool take_mail(void *loop, struct tk_mail *mail) {
        struct bed *bed = loop;
        mail->next = NULL;
        pthread_mutex_lock(&bed->mutex);
        *bed->mail_tail = mail;
        bed->mail_tail = &mail->next;
        pthread_cond_signal(&bed->arrived);
        pthread_mutex_unlock(&bed->mutex);
        return true;
}

static struct tk_mail *next_mail(struct bed *bed) {
        pthread_mutex_lock(&bed->mutex);
        while (!bed->mail)
                pthread_cond_wait(&bed->arrived, &bed->mutex);
        struct tk_mail *mail = bed->mail;
        bed->mail = mail->next;
        if (!bed->mail)
                bed->mail_tail = &bed->mail;
        bed->mail_nr++;
        pthread_mutex_unlock(&bed->mutex);
        return mail;
}

void bed_until(struct bed *bed, const bool *flag) {
        while (!*flag) {
                struct tk_mail *mail = next_mail(bed);
                mail->run(mail);
        }
}

void bed_start(struct bed *bed) {
        struct tk_service_opt opt = {.store = bed->store, .catalog = bed->catalog, .key_prefix = "tk"};
        assert_ok(tk_service_open(&opt, &bed->service));
        assert_ok(tk_worker_open(bed->service, take_mail, bed, &bed->worker));
}

void bed_stop(struct bed *bed) {
        tk_worker_close(&bed->worker);
        tk_service_close(&bed->service);
}

static void bed_init(struct bed *bed) {
        memset(bed, 0, sizeof *bed);
        pthread_mutex_init(&bed->mutex, NULL);
        pthread_cond_init(&bed->arrived, NULL);
        bed->mail_tail = &bed->mail;
}

void bed_share(struct bed *bed, struct bed *owner) {
        bed_init(bed);
        bed->service = owner->service;
        assert_ok(tk_worker_open(bed->service, take_mail, bed, &bed->worker));
}

void bed_unshare(struct bed *bed) {
        tk_worker_close(&bed->worker);
        pthread_cond_destroy(&bed->arrived);
        pthread_mutex_destroy(&bed->mutex);
}

void bed_open(struct bed *bed, const char *url) {
        char why[256] = "";
        bed_init(bed);
        assert_ok(tk_rand_init());
        enum tk_err err = tk_store_open(url, &bed->store, why, sizeof why);
        if (err != TK_OK)
                print_error("%s\n", why);
        assert_ok(err);
        bed->catalog = tk_catalog_new();
        assert_non_null(bed->catalog);
        bed_start(bed);
}

void bed_close(struct bed *bed) {
        if (bed->service)
                bed_stop(bed);
        tk_catalog_free(&bed->catalog);
        tk_store_close(&bed->store);
        pthread_cond_destroy(&bed->arrived);
        pthread_mutex_destroy(&bed->mutex);
}

/* ---- keys ---- */

struct made {
        bool done;
        enum tk_err err;
        struct tk_key key;
};

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct made *made = ctx;
        made->done = true;
        made->err = err;
        if (key)
                made->key = *key;
}

/* While there is no service: the store has one writer. */
struct tk_id bed_user(struct bed *bed, unsigned n) {
        struct tk_user user = {.id = tk_rand_id(1000), .org = tk_store_org(bed->store)};
        snprintf(user.email, sizeof user.email, "user-%u@example.com", n);
        bed_stop(bed);
        assert_ok(tk_store_begin(bed->store));
        assert_ok(tk_store_user_insert(bed->store, &user));
        assert_ok(tk_store_commit(bed->store));
        bed_start(bed);
        return user.id;
}

struct tk_id bed_workspace(struct bed *bed) {
        struct tk_workspace workspace = {.id = tk_rand_id(1000),
                                         .org = tk_store_org(bed->store),
                                         .name = "another",
                                         .slug = "another"};
        bed_stop(bed);
        assert_ok(tk_store_begin(bed->store));
        assert_ok(tk_store_workspace_insert(bed->store, &workspace));
        assert_ok(tk_store_commit(bed->store));
        bed_start(bed);
        return workspace.id;
}

struct tk_snapshot *bed_key_draft(struct bed *bed, struct tk_key *draft, struct tk_key_text *secret) {
        struct tk_snapshot *snapshot;
        struct made made = {.done = false};
        draft->kind = TK_KIND_INFERENCE;
        tk_keys_create(bed->worker, &tk_actor_system, draft, 1000, secret, on_key, &made);
        bed_until(bed, &made.done);
        assert_ok(made.err);
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret->at, secret->len}, &snapshot));
        *draft = made.key;
        return snapshot;
}

struct tk_snapshot *bed_key_secret(struct bed *bed, enum tk_meter meter, enum tk_window_kind window,
                                   uint64_t cap, struct tk_id *id, struct tk_key_text *secret) {
        struct tk_key draft = {.period = window, .limits_nr = 1};
        draft.limits[0] = (struct tk_limit){.meter = meter, .window = {.kind = window}, .cap = cap};
        struct tk_snapshot *snapshot = bed_key_draft(bed, &draft, secret);
        if (id)
                *id = draft.id;
        return snapshot;
}

struct tk_snapshot *bed_key(struct bed *bed, enum tk_meter meter, enum tk_window_kind window, uint64_t cap,
                            struct tk_id *id) {
        struct tk_key_text secret;
        return bed_key_secret(bed, meter, window, cap, id, &secret);
}

/* ---- holds ---- */

struct asked {
        bool done;
        enum tk_hold_answer answer;
};

static void on_answer(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        struct asked *asked = ctx;
        TK_UNUSED(ticket);
        asked->done = true;
        asked->answer = answer;
}

enum tk_hold_answer bed_hold(struct bed *bed, const struct tk_snapshot *snapshot, int64_t least, int64_t most,
                             int64_t now_ms, struct tk_ticket **out) {
        struct tk_amounts l = {{0}}, m = {{0}};
        struct asked asked = {.done = false};
        l.of[TK_METER_USD] = least;
        m.of[TK_METER_USD] = most;
        l.of[TK_METER_REQUESTS] = m.of[TK_METER_REQUESTS] = 1;
        asked.answer = tk_ledger_hold(bed->worker, snapshot, tk_rand_id(now_ms), &l, &m, now_ms, on_answer,
                                      &asked, out);
        if (asked.answer == TK_HOLD_UNTRIED)
                bed_until(bed, &asked.done);
        return asked.answer;
}

enum tk_hold_answer bed_extend(struct bed *bed, struct tk_ticket *ticket, int64_t least, int64_t most) {
        struct tk_amounts l = {{0}}, m = {{0}};
        struct asked asked = {.done = false};
        l.of[TK_METER_USD] = least;
        m.of[TK_METER_USD] = most;
        asked.answer = tk_ledger_extend(ticket, &l, &m, on_answer, &asked);
        if (asked.answer == TK_HOLD_UNTRIED)
                bed_until(bed, &asked.done);
        return asked.answer;
}

void bed_post(struct tk_ticket **ticket, int64_t usd, int64_t now_ms) {
        struct tk_amounts actual = {{0}};
        struct tk_entry what = {.model = "m"};
        actual.of[TK_METER_USD] = usd;
        actual.of[TK_METER_REQUESTS] = 1;
        tk_ledger_post(ticket, &actual, &what, now_ms);
        assert_null(*ticket);
}

static void on_barrier(void *ctx, enum tk_err err) {
        assert_ok(err);
        *(bool *)ctx = true;
}

void bed_barrier(struct bed *bed) {
        bool done = false;
        tk_keys_barrier(bed->worker, on_barrier, &done);
        bed_until(bed, &done);
}

int64_t bed_posted(struct bed *bed, struct tk_id id, enum tk_meter meter) {
        int64_t sum = -1;
        bed_barrier(bed);
        assert_ok(tk_reader_usage_sum(tk_worker_reader(bed->worker), id, meter, INT64_MIN, INT64_MAX, &sum));
        return sum;
}

int bed_setup(void **state) {
        struct bed *bed = malloc(sizeof *bed);
        bed_open(bed, "memory:");
        *state = bed;
        return 0;
}

int bed_teardown(void **state) {
        bed_close(*state);
        free(*state);
        return 0;
}
