/* SPDX-License-Identifier: Apache-2.0
 *
 * service: opens and closes the whole, in phases. What is opened last is closed first, so that at each moment
 * everything that a thread may still touch is there.
 */
#include "service/service.h"

#include "core/time.h"
#include "rt/clock.h"
#include "rt/log.h"
#include "service/housekeeper.h"
#include "service/service_int.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_OUTPUT_TOKENS 256
#define HOLD_MS            (15u * 60 * 1000)

/* ---- doubts: what the last run left open ---- */

struct lease_gather {
        struct tk_lease *at;
        size_t nr, room;
        bool failed;
};

static bool gather_lease(const struct tk_lease *lease, void *ctx) {
        struct lease_gather *g = ctx;
        if (g->nr == g->room) {
                size_t room = g->room ? g->room * 2 : 64;
                struct tk_lease *at = realloc(g->at, room * sizeof *at);
                if (!at) {
                        g->failed = true;
                        return false;
                }
                g->at = at;
                g->room = room;
        }
        g->at[g->nr++] = *lease;
        return true;
}

static enum tk_err leases_read(struct tk_reader *reader, struct lease_gather *out) {
        enum tk_err err = tk_reader_lease_list(reader, gather_lease, out);
        if (err == TK_OK && out->failed)
                err = TK_E_NO_MEMORY;
        return err;
}

/* A lease does not say whose it is: of a key, or of an organisation or workspace, which has used what its
 * keys have. The sum over a group of the other kind is no more than its own, so the greater one is right. */
static enum tk_err window_sum(struct tk_reader *reader, const struct tk_lease *lease, int64_t *sum) {
        struct tk_key key;
        int64_t from, to, workspace;
        tk_window_hours(lease->window, lease->number, &from, &to);
        enum tk_err err = tk_reader_key_by_id(reader, lease->subject, &key);
        if (err == TK_OK)
                return tk_reader_usage_sum(reader, lease->subject, lease->meter, from, to, sum);
        if (err != TK_E_NOT_FOUND)
                return err;
        err = tk_reader_usage_sum_group(reader, TK_GROUP_ORG, lease->subject, lease->meter, from, to, sum);
        if (err == TK_OK)
                err = tk_reader_usage_sum_group(reader, TK_GROUP_WORKSPACE, lease->subject, lease->meter,
                                                from, to, &workspace);
        if (err == TK_OK && workspace > *sum)
                *sum = workspace;
        return err;
}

/* bound - posted of every lease that was not returned: it may or may not have been spent. */
static enum tk_err doubts_open(struct tk_service *service) {
        struct lease_gather leases = {0};
        enum tk_err err = leases_read(service->writer_reader, &leases);
        if (err == TK_OK && leases.nr > 0 && !(service->doubts = calloc(leases.nr, sizeof *service->doubts)))
                err = TK_E_NO_MEMORY;
        for (size_t i = 0; err == TK_OK && i < leases.nr; i++) {
                int64_t posted = 0;
                err = window_sum(service->writer_reader, &leases.at[i], &posted);
                if (err == TK_OK && leases.at[i].bound > posted)
                        service->doubts[service->doubts_nr++] = (struct tk_doubt){
                                .lease = leases.at[i], .amount = leases.at[i].bound - posted};
        }
        free(leases.at);
        if (service->doubts_nr > 0)
                tk_log(TK_WARN, "ledger",
                       "%zu leases were open at the last end: their rest is in doubt and counts",
                       service->doubts_nr);
        return err;
}

static const struct tk_doubt *doubt_get(const struct tk_service *service, const struct tk_lease *lease) {
        for (size_t i = 0; i < service->doubts_nr; i++) {
                const struct tk_lease *l = &service->doubts[i].lease;
                if (tk_id_eq(l->subject, lease->subject) && l->meter == lease->meter &&
                    l->number == lease->number && tk_window_spec_eq(l->window, lease->window))
                        return &service->doubts[i];
        }
        return NULL;
}

/* After a clean stop every lease is returned; one with a doubt in it shrinks to just that doubt. */
static enum tk_err lease_return(struct tk_service *service, const struct tk_lease *lease) {
        const struct tk_doubt *doubt = doubt_get(service, lease);
        struct tk_lease rest = *lease;
        enum tk_err err;
        if (!doubt)
                return tk_store_lease_drop(service->store, lease);
        if ((err = window_sum(service->writer_reader, lease, &rest.bound)) != TK_OK)
                return err;
        if (__builtin_add_overflow(rest.bound, doubt->amount, &rest.bound))
                rest.bound = INT64_MAX; /* beyond every cap; one such lease must not keep the others */
        return tk_store_lease_put(service->store, &rest);
}

static void leases_return(struct tk_service *service) {
        struct lease_gather leases = {0};
        enum tk_err err = leases_read(service->writer_reader, &leases);
        if (err == TK_OK && leases.nr > 0 && (err = tk_store_begin(service->store)) == TK_OK) {
                for (size_t i = 0; err == TK_OK && i < leases.nr; i++)
                        err = lease_return(service, &leases.at[i]);
                if (err == TK_OK)
                        err = tk_store_commit(service->store);
                else
                        tk_store_rollback(service->store);
        }
        if (err != TK_OK)
                tk_log(TK_ERROR, "ledger", "leases were not returned and will be in doubt: %s",
                       tk_err_text(err));
        free(leases.at);
}

/* ---- the service ---- */

static struct tk_service *service_new(const struct tk_service_opt *opt) {
        struct tk_service *service = calloc(1, sizeof *service);
        pthread_condattr_t attr;
        if (!service)
                return NULL;
        service->store = opt->store;
        service->catalog = opt->catalog;
        bool fits = tk_str_copy(tk_str_of(opt->key_prefix), service->key_prefix, sizeof service->key_prefix);
        MUST(fits);
        service->hold_output_tokens = opt->hold_output_tokens ? opt->hold_output_tokens : HOLD_OUTPUT_TOKENS;
        service->hold_ms = opt->hold_ms ? opt->hold_ms : HOLD_MS;
        service->manual = opt->manual;
        atomic_init(&service->clock_s, tk_floor_div(opt->manual ? opt->start_ms : tk_clock_now_ms(), 1000));
        atomic_init(&service->change_redo, INT64_MAX);
        tk_lock_init(&service->touched_lock);
        tk_lock_init(&service->workers_lock);
        pthread_mutex_init(&service->stop_mutex, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&service->stop_wake, &attr);
        pthread_condattr_destroy(&attr);
        return service;
}

static void service_free(struct tk_service *service) {
        tk_ring_close(&service->ring);
        if (service->housekeeper_reader)
                tk_reader_close(&service->housekeeper_reader);
        if (service->writer_reader)
                tk_reader_close(&service->writer_reader);
        while (service->workers) {
                struct tk_worker *worker = service->workers;
                service->workers = worker->next;
                if (worker->reader)
                        tk_reader_close(&worker->reader);
                free(worker);
        }
        free(service->doubts);
        pthread_cond_destroy(&service->stop_wake);
        pthread_mutex_destroy(&service->stop_mutex);
        tk_lock_free(&service->workers_lock);
        tk_lock_free(&service->touched_lock);
        free(service);
}

static enum tk_err service_start(struct tk_service *service) {
        enum tk_err err;
        if ((err = tk_reader_open(service->store, &service->writer_reader)) != TK_OK ||
            (err = tk_reader_open(service->store, &service->housekeeper_reader)) != TK_OK ||
            (err = tk_reader_change_last(service->housekeeper_reader, &service->change_seen)) != TK_OK ||
            (err = doubts_open(service)) != TK_OK || (err = tk_ring_open(&service->ring)) != TK_OK ||
            (err = tk_writer_open(service->store, service->manual, &service->writer)) != TK_OK)
                return err;
        if (service->manual)
                return TK_OK;
        if (pthread_create(&service->housekeeper, NULL, tk_housekeeper_main, service) == 0)
                return TK_OK;
        tk_writer_close(&service->writer);
        return TK_E_NO_MEMORY;
}

enum tk_err tk_service_open(const struct tk_service_opt *opt, struct tk_service **out) {
        *out = NULL;
        struct tk_service *service = service_new(opt);
        if (!service)
                return TK_E_NO_MEMORY;
        enum tk_err err = service_start(service);
        if (err != TK_OK)
                service_free(service);
        else
                *out = service;
        return err;
}

static void stop_housekeeper(struct tk_service *service) {
        pthread_mutex_lock(&service->stop_mutex);
        service->stopping = true;
        pthread_cond_signal(&service->stop_wake);
        pthread_mutex_unlock(&service->stop_mutex);
        pthread_join(service->housekeeper, NULL);
}

bool tk_service_step(struct tk_service *service) {
        MUST(service->manual);
        return tk_writer_step(service->writer);
}

void tk_service_tick(struct tk_service *service) {
        MUST(service->manual);
        tk_housekeeper_tick(service);
}

void tk_service_abandon(struct tk_service **service) {
        struct tk_service *s = *service;
        MUST(s->manual);
        tk_writer_abandon(s->writer);
        tk_writer_close(&s->writer);
        service_free(s);
        *service = NULL;
}

void tk_service_close(struct tk_service **service) {
        struct tk_service *s = *service;
        if (!s)
                return;
        if (!s->manual)
                stop_housekeeper(s);
        tk_service_flush_touched(s);
        if (tk_writer_close(&s->writer))
                leases_return(s);
        else /* what was spent and not stored must not be forgotten with its lease */
                tk_log(TK_ERROR, "ledger", "posts were lost: the rest of all leases will be in doubt");
        service_free(s);
        *service = NULL;
}
