/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "rt/rand.h"
#include "store/store_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- a store that can fail: the engine's own operations, but for the commit ---- */

static const struct tk_store_ops *engine;
static struct tk_store_ops failing_ops;

static enum tk_err refuse_commit(struct tk_store *store) {
        engine->rollback(store); /* a commit that returns a fault has rolled back */
        return TK_E_FULL;
}

static void obey(struct stage *s) {
        if (!engine) {
                engine = s->store->ops;
                failing_ops = *engine;
                failing_ops.commit = refuse_commit;
        }
        s->store->ops = s->failing ? &failing_ops : engine;
}

/* ---- loops ---- */

static bool send(void *ctx, struct tk_mail *mail) {
        struct stage_loop *loop = ctx;
        if (loop->ended)
                return false;
        mail->next = NULL;
        *loop->tail = mail;
        loop->tail = &mail->next;
        return true;
}

bool stage_batch(struct stage *s) {
        obey(s);
        return tk_service_step(s->service);
}

bool stage_mail(struct stage *s, unsigned index) {
        struct stage_loop *loop = &s->loops[index];
        bool some = loop->mail != NULL;
        while (loop->mail) {
                struct tk_mail *mail = loop->mail;
                loop->mail = mail->next;
                if (!loop->mail)
                        loop->tail = &loop->mail;
                s->running = loop;
                mail->run(mail);
                s->running = NULL;
        }
        return some;
}

void stage_run(struct stage *s) {
        bool more = true;
        while (more) {
                more = !s->failing && stage_batch(s);
                for (unsigned i = 0; i < STAGE_LOOPS; i++)
                        more = stage_mail(s, i) || more;
        }
}

/* ---- open, close ---- */

static void start(struct stage *s) {
        struct tk_service_opt opt = {.store = s->store,
                                     .catalog = s->catalog,
                                     .key_prefix = "tk",
                                     .manual = true,
                                     .start_ms = STAGE_NOW_MS};
        assert_ok(tk_service_open(&opt, &s->service));
        for (unsigned i = 0; i < STAGE_LOOPS; i++) {
                struct stage_loop *loop = &s->loops[i];
                *loop = (struct stage_loop){.stage = s};
                loop->tail = &loop->mail;
                assert_ok(tk_worker_open(s->service, send, loop, &loop->worker));
        }
}

void stage_open(struct stage *s) {
        char why[256];
        *s = (struct stage){.failing = false};
        assert_ok(tk_rand_init());
        assert_ok(tk_store_open("memory:", &s->store, why, sizeof why));
        engine = NULL;
        s->catalog = tk_catalog_new();
        assert_non_null(s->catalog);
        start(s);
}

static void end_loops(struct stage *s) {
        for (unsigned i = 0; i < STAGE_LOOPS; i++) {
                s->loops[i].ended = true;
                (void)stage_mail(s, i);
                tk_worker_close(&s->loops[i].worker);
        }
}

static void stop(struct stage *s) {
        s->failing = false;
        obey(s);
        end_loops(s);
        tk_service_close(&s->service);
}

void stage_close(struct stage *s) {
        stop(s);
        tk_catalog_free(&s->catalog);
        tk_store_close(&s->store);
        tk_key_text_wipe(&s->secret);
}

void stage_restart(struct stage *s) {
        stop(s);
        start(s);
}

void stage_crash(struct stage *s) {
        s->failing = false;
        obey(s);
        end_loops(s);
        tk_service_abandon(&s->service);
        start(s);
}

/* ---- keys ---- */

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct stage *s = ctx;
        assert_ok(err);
        s->key = *key;
}

void stage_key(struct stage *s, uint64_t cap) {
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_LIFETIME, .limits_nr = 1};
        draft.limits[0] =
                (struct tk_limit){.meter = TK_METER_USD, .window = {.kind = TK_WINDOW_LIFETIME}, .cap = cap};
        strcpy(draft.description, "a customer");
        tk_keys_create(s->loops[0].worker, &tk_actor_system, &draft, STAGE_NOW_MS, &s->secret, on_key, s);
        stage_run(s);
}

void stage_revoke(struct stage *s) {
        tk_keys_revoke(s->loops[0].worker, &tk_actor_system, s->key.org, s->key.id, STAGE_NOW_MS, on_key, s);
        stage_run(s);
}

struct tk_snapshot *stage_snapshot(struct stage *s, unsigned loop) {
        struct tk_snapshot *snapshot;
        struct tk_str text = {s->secret.at, s->secret.len};
        assert_ok(tk_keys_identify(s->loops[loop].worker, text, &snapshot));
        return snapshot;
}

int64_t stage_posted(struct stage *s, enum tk_meter meter) {
        int64_t sum;
        assert_ok(tk_reader_usage_sum(tk_worker_reader(s->loops[0].worker), s->key.id, meter, INT64_MIN,
                                      INT64_MAX, &sum));
        return sum;
}

static bool count_lease(const struct tk_lease *lease, void *ctx) {
        TK_UNUSED(lease);
        ++*(unsigned *)ctx;
        return true;
}

unsigned stage_leases(struct stage *s) {
        unsigned nr = 0;
        assert_ok(tk_reader_lease_list(tk_worker_reader(s->loops[0].worker), count_lease, &nr));
        return nr;
}

int stage_setup(void **state) {
        struct stage *s = malloc(sizeof *s);
        stage_open(s);
        stage_key(s, 1000000);
        *state = s;
        return 0;
}

int stage_teardown(void **state) {
        stage_close(*state);
        free(*state);
        return 0;
}
