/* SPDX-License-Identifier: Apache-2.0
 *
 * The phases, each undone in reverse order by the one function that began it:
 *
 *   randomness -> store -> its lock -> services -> alerts -> listen -> signals -> "ready" -> loops
 *
 * Dying is allowed before "ready" and then says why; after it only a broken invariant kills.
 */
#include "daemon/serve.h"

#include "alert/deliver.h"
#include "api/router.h"
#include "daemon/claim.h"
#include "proxy/relay.h"
#include "proxy/upstream.h"
#include "rt/clock.h"
#include "rt/log.h"
#include "rt/rand.h"
#include "service/audit.h"
#include "service/keymint.h"
#include "service/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct daemon {
        struct tk_api api; /* first: the ctx of the router's callbacks, too */
        const struct tk_config *config;
        struct tk_store *store;
        struct tk_service *service;
        struct tk_server *server;
};

/* What one loop owns, from the start of its thread to its end. */
struct loop {
        struct tk_api_loop api; /* first: what tk_loop_data() points to */
        struct tk_relays left;
        struct tk_watch *watch;
        struct tk_timer soon; /* runs the upstream in this turn of the loop */
};

/* The signal handler's; written before the handler is installed, never after. */
static struct tk_server *signalled;

static void on_signal(int number) {
        (void)number;
        tk_server_stop(signalled);
}

static bool send_mail(void *loop, struct tk_mail *mail) {
        _Static_assert(sizeof(struct tk_mail) == sizeof(struct tk_msg), "mail is a message of the loop");
        _Static_assert(offsetof(struct tk_mail, run) == offsetof(struct tk_msg, run), "with the same layout");
        return tk_loop_send(loop, (struct tk_msg *)mail);
}

static void on_upstream(void *ctx) {
        tk_upstream_run(ctx);
}

static void on_soon_due(struct tk_timer *timer) {
        struct loop *l = (struct loop *)((char *)timer - offsetof(struct loop, soon));
        tk_upstream_run(l->api.upstream);
}

static void on_soon(void *ctx) {
        struct tk_loop *loop = ctx;
        struct loop *l = tk_loop_data(loop);
        tk_timer_start(loop, &l->soon, 0);
}

static void loop_free(struct loop *l) {
        tk_timer_cancel(&l->soon);
        tk_relays_end(&l->left);
        if (l->watch)
                tk_watch_close(&l->watch);
        if (l->api.upstream)
                tk_upstream_close(&l->api.upstream);
        tk_worker_close(&l->api.worker);
        free(l);
}

static enum tk_err on_loop_start(struct tk_loop *loop, unsigned index, void *ctx) {
        struct daemon *d = ctx;
        struct loop *l = calloc(1, sizeof *l);
        enum tk_err err;
        TK_UNUSED(index);
        if (!l)
                return TK_E_NO_MEMORY;
        if ((err = tk_worker_open(d->service, send_mail, loop, &l->api.worker)) != TK_OK ||
            (err = tk_upstream_open(&l->api.upstream)) != TK_OK ||
            (err = tk_loop_watch(loop, tk_upstream_fd(l->api.upstream), on_upstream, l->api.upstream,
                                 &l->watch)) != TK_OK) {
                loop_free(l);
                return err;
        }
        l->api.left = &l->left;
        l->soon.fire = on_soon_due;
        tk_upstream_on_soon(l->api.upstream, on_soon, loop);
        tk_loop_set_data(loop, &l->api);
        return TK_OK;
}

static enum tk_err on_loop_stop(struct tk_loop *loop, unsigned index, void *ctx) {
        struct loop *l = tk_loop_data(loop);
        TK_UNUSED(index);
        TK_UNUSED(ctx);
        if (l)
                loop_free(l);
        tk_loop_set_data(loop, NULL);
        return TK_OK;
}

static bool listen_on(struct daemon *d) {
        const struct tk_config *c = d->config;
        char why[512];
        struct tk_server_opt opt = {.listen = c->listen,
                                    .loops = c->loops,
                                    .header_bytes_max = (size_t)c->header_bytes_max,
                                    .body_bytes_max = (size_t)c->body_bytes_max,
                                    .bodies_bytes_max = (size_t)c->bodies_bytes_max,
                                    .connections_max = c->connections_max,
                                    .header_ms = c->header_ms,
                                    .body_ms = c->body_ms,
                                    .idle_ms = c->idle_ms,
                                    .write_ms = c->write_ms,
                                    .stop_ms = c->stop_ms,
                                    .on_call = tk_api_on_call,
                                    .on_refuse = tk_api_on_refuse,
                                    .on_loop_start = on_loop_start,
                                    .on_loop_stop = on_loop_stop,
                                    .ctx = &d->api};
        if (tk_server_open(&opt, &d->server, why, sizeof why) == TK_OK)
                return true;
        fprintf(stderr, "tollkey: %s\n", why);
        return false;
}

static void catch_signals(struct tk_server *server) {
        struct sigaction action = {.sa_handler = on_signal};
        signalled = server;
        sigemptyset(&action.sa_mask);
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
}

static void forget_signals(void) {
        struct sigaction action = {.sa_handler = SIG_IGN};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
}

/*
 * A store in memory is born empty and out of the command line's reach, so nobody could make its first key. It
 * is made here and printed; like every secret, once.
 */
static enum tk_err first_key(struct daemon *d) {
        const struct tk_key draft = {.kind = TK_KIND_ADMIN,
                                     .period = TK_WINDOW_DAY, /* the documented default */
                                     .description = "made when the server started",
                                     .org = tk_store_org(d->store),
                                     .workspace = tk_store_workspace(d->store)};
        struct tk_key_text secret;
        struct tk_key key;
        char prefix[TK_KEY_PREFIX_MAX + 1];
        if (strcmp(tk_store_engine(d->store), "memory") != 0)
                return TK_OK;
        bool ok = tk_key_mint_prefix(d->config->key_prefix, TK_KIND_ADMIN, prefix);
        MUST(ok); /* the configuration was checked */
        const int64_t now_ms = tk_clock_now_ms();
        tk_key_mint(&draft, prefix, now_ms, &key, &secret);
        enum tk_err err = tk_store_begin(d->store);
        if (err == TK_OK && (err = tk_audit_key_insert(d->store, &tk_actor_system, now_ms, &key)) != TK_OK)
                tk_store_rollback(d->store);
        else if (err == TK_OK)
                err = tk_store_commit(d->store);
        if (err == TK_OK)
                printf("admin key %s\n", secret.at);
        tk_key_text_wipe(&secret);
        return err;
}

static int run(struct daemon *d) {
        if (!listen_on(d))
                return 1;
        catch_signals(d->server);
        printf("ready http://%s\n", tk_server_address(d->server));
        fflush(stdout);
        enum tk_err err = tk_server_run(d->server);
        forget_signals(); /* from here on nothing can be stopped any more, only finished */
        if (err != TK_OK)
                fprintf(stderr, "tollkey: cannot serve: %s\n", tk_err_text(err));
        return err == TK_OK ? 0 : 1;
}

static int run_service(struct daemon *d) {
        struct tk_service_opt opt = {.store = d->store,
                                     .catalog = d->config->catalog,
                                     .key_prefix = d->config->key_prefix,
                                     .hold_output_tokens = d->config->hold_output_tokens,
                                     .audit_days = d->config->audit_days,
                                     .spend_order = d->config->spend_order};
        enum tk_err err = first_key(d);
        if (err == TK_OK)
                err = tk_service_open(&opt, &d->service);
        if (err != TK_OK) {
                fprintf(stderr, "tollkey: cannot start: %s\n", tk_err_text(err));
                return 1;
        }
        struct tk_deliver *deliver;
        int status = 1;
        if ((err = tk_deliver_open(&d->config->alerts, d->store, d->service, &deliver)) != TK_OK)
                fprintf(stderr, "tollkey: cannot start to deliver alerts: %s\n", tk_err_text(err));
        else
                status = run(d);
        if (deliver)
                tk_deliver_stop(deliver);
        tk_service_close(&d->service);
        tk_deliver_close(&deliver);
        tk_server_close(&d->server); /* the writer's thread may have looked for a loop until now */
        return status;
}

int tk_daemon_serve(const struct tk_config *config) {
        struct daemon d = {.config = config};
        char why[512];
        signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a full disk: an error, not the end */
        d.api.started_ms = tk_clock_now_ms();
        if (tk_rand_init() != TK_OK) {
                fprintf(stderr, "tollkey: the system gives no random bytes\n");
                return 1;
        }
        if (tk_store_open(config->store, &d.store, why, sizeof why) != TK_OK) {
                fprintf(stderr, "tollkey: %s\n", why);
                return 1;
        }
        int claim = tk_claim_take(config->store, why, sizeof why), status = 1;
        if (claim == TK_CLAIM_REFUSED)
                fprintf(stderr, "tollkey: %s\n", why);
        else
                status = run_service(&d);
        tk_claim_drop(claim);
        tk_store_close(&d.store);
        return status;
}
