/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_ledger: how fast money is held and posted.
 *
 *   core      the pure hold: open, post, no lock, no account
 *   memory    hold + post through the ledger on the store in memory: locks, lists, writer thread
 *   sqlite    the same, durable: with 1, 64 and 512 posts in flight, over many keys and over one
 *
 * Prints one figure a line; nothing here is a test.
 */
#include "core/time.h"
#include "rt/clock.h"
#include "rt/rand.h"
#include "service/keys.h"
#include "service/ledger.h"
#include "service/service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 1000

struct bench {
        struct tk_store *store;
        struct tk_catalog *catalog;
        struct tk_service *service;
        struct tk_worker *worker;
        struct tk_snapshot *keys[KEYS];
        pthread_mutex_t mutex;
        pthread_cond_t arrived;
        struct tk_mail *mail, **mail_tail;
};

static void check(bool ok, const char *what) {
        if (ok)
                return;
        fprintf(stderr, "bench_ledger: %s\n", what);
        exit(1);
}

static bool take_mail(void *loop, struct tk_mail *mail) {
        struct bench *b = loop;
        mail->next = NULL;
        pthread_mutex_lock(&b->mutex);
        *b->mail_tail = mail;
        b->mail_tail = &mail->next;
        pthread_cond_signal(&b->arrived);
        pthread_mutex_unlock(&b->mutex);
        return true;
}

static void run_until(struct bench *b, const bool *flag) {
        while (!*flag) {
                pthread_mutex_lock(&b->mutex);
                while (!b->mail)
                        pthread_cond_wait(&b->arrived, &b->mutex);
                struct tk_mail *mail = b->mail;
                b->mail = mail->next;
                if (!b->mail)
                        b->mail_tail = &b->mail;
                pthread_mutex_unlock(&b->mutex);
                mail->run(mail);
        }
}

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        check(err == TK_OK && key, "a key was not created");
        *(bool *)ctx = true;
}

static void make_key(struct bench *b, unsigned i) {
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_MONTH, .limits_nr = 2};
        struct tk_key_text secret;
        bool done = false;
        for (unsigned l = 0; l < 2; l++)
                draft.limits[l] = (struct tk_limit){.meter = l ? TK_METER_TOKENS : TK_METER_USD,
                                                    .window = {.kind = TK_WINDOW_MONTH},
                                                    .cap = UINT64_C(1000000) * TK_NANO};
        tk_keys_create(b->worker, &tk_actor_system, &draft, tk_clock_now_ms(), &secret, on_key, &done);
        run_until(b, &done);
        enum tk_err err = tk_keys_identify(b->worker, (struct tk_str){secret.at, secret.len}, &b->keys[i]);
        check(err == TK_OK, "a key was not found");
}

static void open_bench(struct bench *b, const char *url) {
        char why[256];
        memset(b, 0, sizeof *b);
        pthread_mutex_init(&b->mutex, NULL);
        pthread_cond_init(&b->arrived, NULL);
        b->mail_tail = &b->mail;
        check(tk_store_open(url, &b->store, why, sizeof why) == TK_OK, why);
        b->catalog = tk_catalog_new();
        struct tk_service_opt opt = {.store = b->store, .catalog = b->catalog, .key_prefix = "tk"};
        check(tk_service_open(&opt, &b->service) == TK_OK, "the service does not open");
        check(tk_worker_open(b->service, take_mail, b, &b->worker) == TK_OK, "the worker does not open");
        for (unsigned i = 0; i < KEYS; i++)
                make_key(b, i);
}

static void close_bench(struct bench *b) {
        for (unsigned i = 0; i < KEYS; i++)
                tk_snapshot_release(&b->keys[i]);
        tk_worker_close(&b->worker);
        tk_service_close(&b->service);
        tk_catalog_free(&b->catalog);
        tk_store_close(&b->store);
}

struct answer {
        bool done;
        enum tk_hold_answer answer;
};

static void on_answer(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        struct answer *a = ctx;
        TK_UNUSED(ticket);
        a->answer = answer;
        a->done = true;
}

static void on_barrier(void *ctx, enum tk_err err) {
        check(err == TK_OK, "a barrier failed");
        *(bool *)ctx = true;
}

static void barrier(struct bench *b) {
        bool done = false;
        tk_keys_barrier(b->worker, on_barrier, &done);
        run_until(b, &done);
}

static void hold_and_post(struct bench *b, unsigned key) {
        static const struct tk_amounts amounts = {.of = {[TK_METER_USD] = 1000, [TK_METER_TOKENS] = 100}};
        static const struct tk_entry what = {.model = "demo-small"};
        struct tk_ticket *ticket;
        struct answer a = {.done = false};
        int64_t now = tk_clock_now_ms();
        a.answer = tk_ledger_hold(b->worker, b->keys[key], tk_rand_id(now), &amounts, &amounts, now,
                                  on_answer, &a, &ticket);
        if (a.answer == TK_HOLD_UNTRIED)
                run_until(b, &a.done);
        check(a.answer == TK_HOLD_TAKEN, "a hold was refused");
        tk_ledger_post(&ticket, &amounts, &what, now);
}

static void measure(struct bench *b, const char *name, unsigned keys, unsigned in_flight, unsigned posts) {
        for (unsigned i = 0; i < keys; i++) /* load the counters and take leases before the clock starts */
                hold_and_post(b, i);
        barrier(b);
        int64_t start = tk_clock_mono_ms();
        for (unsigned i = 0; i < posts; i++) {
                hold_and_post(b, i % keys);
                if (i % in_flight == in_flight - 1)
                        barrier(b);
        }
        barrier(b);
        int64_t took = tk_clock_mono_ms() - start;
        printf("%-34s %10.0f posts/s\n", name, posts * 1000.0 / (double)(took > 0 ? took : 1));
}

static void measure_core(void) {
        static const struct tk_amounts amounts = {.of = {[TK_METER_USD] = 1000, [TK_METER_TOKENS] = 100}};
        struct tk_hold hold;
        struct tk_count count = {0};
        const unsigned rounds = 10000000;
        int64_t start = tk_clock_mono_ms();
        for (unsigned i = 0; i < rounds; i++) {
                check(tk_limit_admits(UINT64_MAX, &count, 1000), "core refuses");
                check(tk_hold_open(&hold, &amounts, 1000, 2000) == TK_OK, "core does not open");
                check(tk_hold_post(&hold, &amounts) == TK_OK, "core does not post");
                count.posted += hold.due.of[TK_METER_USD];
        }
        int64_t took = tk_clock_mono_ms() - start;
        printf("%-34s %10.0f hold+post/s\n", "core, one thread",
               rounds * 1000.0 / (double)(took > 0 ? took : 1));
}

int main(int argc, char **argv) {
        static struct bench b;
        char url[512];
        check(tk_rand_init() == TK_OK, "no random bytes");
        measure_core();
        open_bench(&b, "memory:");
        measure(&b, "memory, 512 in flight", KEYS, 512, 300000);
        close_bench(&b);
        snprintf(url, sizeof url, "sqlite:%s/bench_ledger.db", argc > 1 ? argv[1] : "/tmp");
        remove(url + strlen("sqlite:"));
        open_bench(&b, url);
        measure(&b, "sqlite, 1 in flight", KEYS, 1, 1000);
        measure(&b, "sqlite, 64 in flight", KEYS, 64, 50000);
        measure(&b, "sqlite, 512 in flight", KEYS, 512, 100000);
        measure(&b, "sqlite, 1 in flight, one hot key", 1, 1, 1000);
        measure(&b, "sqlite, 64 in flight, one hot key", 1, 64, 50000);
        measure(&b, "sqlite, 512 in flight, one hot key", 1, 512, 100000);
        close_bench(&b);
        return 0;
}
