/* SPDX-License-Identifier: Apache-2.0
 *
 * service_int: what the files of service/ share. One tk_service; one tk_worker for each loop.
 *
 * Lock order: ring shard, then account, then nothing. The touched list and the shards of the holds have locks
 * of their own, taken alone. Nothing is called back while one of them is held.
 */
#ifndef TK_SERVICE_SERVICE_INT_H
#define TK_SERVICE_SERVICE_INT_H

#include "rt/lock.h"
#include "service/keys.h"
#include "service/ledger.h"
#include "service/ring.h"
#include "service/sweep.h"
#include "service/worker.h"
#include "service/writer.h"

#include <pthread.h>
#include <stdatomic.h>

struct tk_holds_book;

struct tk_service {
        /* immutable after start */
        struct tk_store *store;
        const struct tk_catalog *catalog;
        char key_prefix[TK_KEY_PREFIX_MAX + 1];
        unsigned hold_output_tokens;
        unsigned audit_days;               /* 0: for ever */
        struct tk_spend_order spend_order; /* not empty */
        bool manual;                       /* no threads: a simulation drives it */
        struct tk_writer *writer;
        struct tk_ring *ring;
        struct tk_holds_book *holds;

        /* owned by the writer's thread */
        struct tk_reader *writer_reader;

        /* any thread */
        _Atomic int64_t clock_s;     /* the latest second that a hold was taken at: time never goes back */
        _Atomic int64_t change_redo; /* the first change that could not be read; INT64_MAX: none */

        /* under touched_lock */
        struct tk_lock touched_lock;
        struct tk_account *touched; /* oldest first */
        struct tk_account **touched_tail;

        /* under stop_mutex: the housekeeper's */
        pthread_mutex_t stop_mutex;
        pthread_cond_t stop_wake;
        bool stopping;
        pthread_t housekeeper;
        struct tk_reader *housekeeper_reader;
        struct tk_sweep sweep;
        int64_t change_seen;

        /* under workers_lock */
        struct tk_lock workers_lock;
        struct tk_worker *workers;
};

struct tk_worker {
        /* immutable */
        struct tk_service *service;
        tk_mail_send_f *send;
        void *loop;
        struct tk_worker *next;
        /* owned by the loop's thread */
        struct tk_reader *reader;
        /* any thread */
        atomic_bool closed;
};

/* Runs mail on the worker's thread; when its loop has ended, here and now. Any thread. */
void tk_worker_mail(struct tk_worker *worker, struct tk_mail *mail);
#endif
