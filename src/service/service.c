/* SPDX-License-Identifier: Apache-2.0
 *
 * service: opens and closes the whole, in phases. What is opened last is closed first, so that at each moment
 * everything that a thread may still touch is there.
 */
#include "service/service.h"

#include "core/time.h"
#include "rt/clock.h"
#include "rt/log.h"
#include "service/doubt.h"
#include "service/holds_book.h"
#include "service/holds_int.h"
#include "service/housekeeper.h"
#include "service/service_int.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_OUTPUT_TOKENS 256

/* ---- leases: what the last run left open, and what this one returns ---- */

static enum tk_err doubts_find(struct tk_service *service) {
        size_t found;
        enum tk_err err = tk_doubts_find(service->store, service->writer_reader,
                                         atomic_load(&service->clock_s) * 1000, &found);
        if (found > 0 && err == TK_OK)
                tk_log(TK_WARN, "ledger",
                       "%zu leases were open at the last end; what may have been spent of them is in doubt "
                       "and counts: see 'tollkey ledger doubt'",
                       found);
        return err;
}

static void leases_return(struct tk_service *service) {
        enum tk_err err = tk_leases_return(service->store, service->writer_reader);
        if (err != TK_OK)
                tk_log(TK_ERROR, "ledger", "leases were not returned and will be in doubt: %s",
                       tk_err_text(err));
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
        service->audit_days = opt->audit_days;
        service->spend_order = opt->spend_order;
        if (service->spend_order.nr == 0)
                service->spend_order = (struct tk_spend_order){1, {TK_METER_USD}};
        service->manual = opt->manual;
        atomic_init(&service->clock_s, tk_floor_div(opt->manual ? opt->start_ms : tk_clock_now_ms(), 1000));
        atomic_init(&service->change_redo, INT64_MAX);
        service->sweep.hour = tk_floor_div(atomic_load(&service->clock_s), TK_HOUR_S);
        tk_lock_init(&service->touched_lock);
        service->touched_tail = &service->touched;
        tk_lock_init(&service->workers_lock);
        pthread_mutex_init(&service->stop_mutex, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&service->stop_wake, &attr);
        pthread_condattr_destroy(&attr);
        return service;
}

static void service_free(struct tk_service *service) {
        tk_sweep_free(&service->sweep);
        tk_holds_book_close(&service->holds);
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
            (err = doubts_find(service)) != TK_OK ||
            (err = tk_reader_change_last(service->housekeeper_reader, &service->change_seen)) != TK_OK ||
            (err = tk_ring_open(&service->ring)) != TK_OK ||
            (err = tk_holds_book_open(&service->holds)) != TK_OK ||
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
        tk_holds_stop(s, atomic_load(&s->clock_s) * 1000); /* what it posts is not written */
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
        tk_holds_stop(s, s->manual ? atomic_load(&s->clock_s) * 1000 : tk_clock_now_ms());
        tk_service_flush_touched(s);
        if (tk_writer_close(&s->writer))
                leases_return(s);
        else /* what was spent and not stored must not be forgotten with its lease */
                tk_log(TK_ERROR, "ledger", "posts were lost: the rest of all leases will be in doubt");
        service_free(s);
        *service = NULL;
}
