/* SPDX-License-Identifier: Apache-2.0
 *
 * worker: all that one loop thread owns of the services: its reader of the store, its place in the
 * writer's mail, its loop. Everything in service/ that takes a worker runs on that worker's thread, and
 * every completion comes back on it.
 */
#ifndef TK_SERVICE_WORKER_H
#define TK_SERVICE_WORKER_H

#include "base/err.h"
#include "base/id.h"
#include "base/must.h"
#include "service/catalog.h"
#include "store/store.h"

struct tk_service;
struct tk_worker;

/* How a completion finds its thread; the daemon passes tk_loop_send, a test may run it at once. */
struct tk_mail {
        struct tk_mail *next;
        void (*run)(struct tk_mail *mail);
};
typedef bool tk_mail_send_f(void *loop, struct tk_mail *mail);

TK_CHECKED enum tk_err tk_worker_open(struct tk_service *service, tk_mail_send_f *send, void *loop,
                                      struct tk_worker **out);
void tk_worker_close(struct tk_worker **worker);
const struct tk_catalog *tk_worker_catalog(const struct tk_worker *worker);
/* Output tokens held at first and in each further step of a stream; > 0. */
unsigned tk_worker_step_tokens(const struct tk_worker *worker);
/* What pays first; not empty. */
const struct tk_spend_order *tk_worker_spend_order(const struct tk_worker *worker);
struct tk_reader *tk_worker_reader(struct tk_worker *worker);
/* The store takes writes; while it does not, no money is held. */
bool tk_worker_is_writing(const struct tk_worker *worker);

#endif
