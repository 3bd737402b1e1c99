/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's memory stays until the service closes: mail may be under way to it from the writer's thread.
 */
#include "service/worker.h"

#include "service/service_int.h"

#include <stdlib.h>

enum tk_err tk_worker_open(struct tk_service *service, tk_mail_send_f *send, void *loop,
                           struct tk_worker **out) {
        struct tk_worker *worker = calloc(1, sizeof *worker);
        *out = NULL;
        if (!worker)
                return TK_E_NO_MEMORY;
        worker->service = service;
        worker->send = send;
        worker->loop = loop;
        enum tk_err err = tk_reader_open(service->store, &worker->reader);
        if (err != TK_OK) {
                free(worker);
                return err;
        }
        tk_lock(&service->workers_lock);
        worker->next = service->workers;
        service->workers = worker;
        tk_unlock(&service->workers_lock);
        *out = worker;
        return TK_OK;
}

void tk_worker_close(struct tk_worker **worker) {
        if (*worker)
                atomic_store(&(*worker)->closed, true);
        *worker = NULL;
}

void tk_worker_mail(struct tk_worker *worker, struct tk_mail *mail) {
        if (atomic_load(&worker->closed) || !worker->send(worker->loop, mail))
                mail->run(mail);
}

const struct tk_catalog *tk_worker_catalog(const struct tk_worker *worker) {
        return worker->service->catalog;
}

bool tk_worker_is_writing(const struct tk_worker *worker) {
        return !tk_writer_failing(worker->service->writer);
}

struct tk_reader *tk_worker_reader(struct tk_worker *worker) {
        return worker->reader;
}

const struct tk_spend_order *tk_worker_spend_order(const struct tk_worker *worker) {
        return &worker->service->spend_order;
}

unsigned tk_worker_step_tokens(const struct tk_worker *worker) {
        return worker->service->hold_output_tokens;
}
