/* SPDX-License-Identifier: Apache-2.0
 *
 * How a hold is decided:
 *
 *   try --taken/refused--> answered at once
 *    |  needs load  -> a load job  --+   on the writer's thread, after its commit:
 *    |  needs lease -> a lease job --+-> every waiting ticket is tried again, in order
 *
 * The writer's thread decides for those that waited and mails each answer to its worker. A store that fails
 * answers all of them with NO_STORE. A ticket waits for a bounded number of loads, so no wait is endless.
 */
#include "service/ledger.h"

#include "core/time.h"
#include "rt/log.h"
#include "service/ledger_int.h"
#include "service/ticket.h"

#include <stdlib.h>

#define LOADS_MAX 3
#define DEPTH_MAX 100000 /* queued jobs; beyond it new money is refused rather than queued without end */

/* ---- lists ---- */

static void link_to(struct tk_ticket *ticket, struct tk_ticket **head, enum tk_ticket_list on) {
        MUST(ticket->on == TK_TICKET_NOWHERE);
        ticket->next = *head;
        ticket->link = head;
        if (*head)
                (*head)->link = &ticket->next;
        *head = ticket;
        ticket->on = on;
}

static void unlink_from(struct tk_ticket *ticket, enum tk_ticket_list on) {
        MUST(ticket->on == on);
        *ticket->link = ticket->next;
        if (ticket->next)
                ticket->next->link = ticket->link;
        ticket->on = TK_TICKET_NOWHERE;
}

static void wait_in_line(struct tk_ticket *ticket) {
        struct tk_ticket **tail = &ticket->account->waiting;
        while (*tail)
                tail = &(*tail)->wait_next;
        ticket->wait_next = NULL;
        *tail = ticket;
}

/* ---- deciding ---- */

static void take(struct tk_ticket *ticket) {
        enum tk_err err;
        if (ticket->fresh) {
                int64_t expires = ticket->want.at_s * 1000 + ticket->worker->service->hold_ms;
                err = tk_hold_open(&ticket->hold, &ticket->want.given, ticket->want.at_s * 1000, expires);
                link_to(ticket, &ticket->account->live, TK_TICKET_LIVE);
        } else {
                err = tk_hold_extend(&ticket->hold, &ticket->want.given);
        }
        MUST(err == TK_OK); /* every amount was admitted under a cap, or bounded by the caller */
        ticket->answer = TK_HOLD_TAKEN;
}

static void refuse(struct tk_ticket *ticket) {
        const struct tk_counter *counter = &ticket->account->counters[ticket->want.refused_by];
        int64_t number = tk_window_number(counter->limit.window, ticket->want.at_s);
        const struct tk_slot *slot = counter->now.number == number ? &counter->now : &counter->before;
        ticket->refusal = (struct tk_refusal){.meter = counter->limit.meter,
                                              .window = counter->limit.window,
                                              .cap = counter->limit.cap,
                                              .posted = slot->count.posted,
                                              .held = slot->count.held,
                                              .turns_s = tk_window_end_s(counter->limit.window, number)};
        ticket->answer = tk_meter_is_money(counter->limit.meter) ? TK_HOLD_NO_CAP : TK_HOLD_NO_RATE;
}

/* True when it is decided. */
static bool decide(struct tk_ticket *ticket, enum tk_try *needs) {
        *needs = tk_account_try(ticket->account, &ticket->want);
        switch (*needs) {
        case TK_TRY_TAKEN:
                take(ticket);
                return true;
        case TK_TRY_REFUSED:
                refuse(ticket);
                return true;
        case TK_TRY_NEEDS_LOAD:
                if (++ticket->loads_nr <= LOADS_MAX)
                        return false;
                ticket->answer = TK_HOLD_NO_STORE;
                return true;
        default:
                return false;
        }
}

static void deliver(struct tk_mail *mail) {
        struct tk_ticket *ticket = (struct tk_ticket *)((char *)mail - offsetof(struct tk_ticket, mail));
        ticket->busy = false;
        ticket->done(ticket, ticket->answer, ticket->ctx);
}

/* Outside the lock. */
static void deliver_all(struct tk_ticket *decided) {
        while (decided) {
                struct tk_ticket *ticket = decided;
                decided = ticket->wait_next;
                ticket->mail.run = deliver;
                tk_worker_mail(ticket->worker, &ticket->mail);
        }
}

/* ---- what a ticket waits for: jobs on the writer ---- */

struct account_job {
        struct tk_job job;
        struct tk_service *service;
        struct tk_account *account;
        struct tk_lease lease; /* of a lease job */
};

static void free_job(struct tk_job *job) {
        free(job);
}

static struct account_job *account_job_new(struct tk_service *service, struct tk_account *account,
                                           tk_job_apply_f *apply, tk_job_f *settled) {
        struct account_job *job = calloc(1, sizeof *job);
        if (!job)
                return NULL;
        job->job.apply = apply;
        job->job.settled = settled;
        job->job.done = free_job;
        job->service = service;
        job->account = account;
        return job;
}

static enum tk_err lease_apply(struct tk_job *job, struct tk_store *store) {
        return tk_store_lease_put(store, &((struct account_job *)job)->lease);
}

static void load_settled(struct tk_job *job);
static void lease_settled(struct tk_job *job);

/* Jobs to push once the lock is dropped. */
struct todo {
        struct account_job *jobs[2 * TK_KEY_LIMITS_MAX];
        unsigned nr;
};

static bool todo_load(struct tk_service *service, struct tk_account *account, struct todo *todo) {
        if (account->loading)
                return true;
        struct account_job *job = account_job_new(service, account, NULL, load_settled);
        if (!job)
                return false;
        account->loading = true;
        todo->jobs[todo->nr++] = job;
        return true;
}

static bool todo_leases(struct tk_service *service, struct tk_ticket *ticket, struct todo *todo) {
        struct tk_lease lease;
        while (tk_account_lease_next(ticket->account, &ticket->want, &lease)) {
                struct account_job *job =
                        account_job_new(service, ticket->account, lease_apply, lease_settled);
                if (!job || todo->nr == sizeof todo->jobs / sizeof *todo->jobs) {
                        free(job);
                        tk_account_leased(ticket->account, &lease, false);
                        return false;
                }
                job->lease = lease;
                todo->jobs[todo->nr++] = job;
        }
        return true;
}

/* Starts what the ticket needs; false: it cannot be had. */
static bool todo_add(struct tk_service *service, struct tk_ticket *ticket, enum tk_try needs,
                     struct todo *todo) {
        return needs == TK_TRY_NEEDS_LOAD ? todo_load(service, ticket->account, todo)
                                          : todo_leases(service, ticket, todo);
}

static void todo_push(struct tk_service *service, const struct todo *todo) {
        for (unsigned i = 0; i < todo->nr; i++)
                tk_writer_push(service->writer, &todo->jobs[i]->job);
}

/* Tries everyone in line again, oldest first; gives those that are decided, linked by wait_next. */
static struct tk_ticket *decide_waiting(struct tk_service *service, struct tk_account *account, bool store_ok,
                                        struct todo *todo) {
        struct tk_ticket *decided = NULL, **tail = &decided, **at = &account->waiting;
        while (*at) {
                struct tk_ticket *ticket = *at;
                enum tk_try needs = TK_TRY_NEEDS_LOAD;
                if (ticket->fresh)
                        ticket->want.at_s = atomic_load(&service->clock_s);
                bool ended = !store_ok || decide(ticket, &needs);
                if (!store_ok || (!ended && !todo_add(service, ticket, needs, todo))) {
                        ticket->answer = TK_HOLD_NO_STORE;
                        ended = true;
                }
                if (!ended) {
                        at = &ticket->wait_next;
                        continue;
                }
                *at = ticket->wait_next;
                ticket->wait_next = NULL;
                *tail = ticket;
                tail = &ticket->wait_next;
        }
        return decided;
}

static enum tk_err load_limits(struct tk_service *service, struct tk_account *account,
                               const struct tk_key *key) {
        return tk_account_load(account, service, service->writer_reader, key->limits, key->limits_nr,
                               atomic_load(&service->clock_s));
}

static void load_settled(struct tk_job *job) {
        struct account_job *load = (struct account_job *)job;
        struct tk_service *service = load->service;
        struct tk_account *account = load->account;
        struct todo todo = {.nr = 0};
        struct tk_key key;
        tk_writer_assert_here(service->writer);
        enum tk_err err = job->err;
        if (err == TK_OK)
                err = tk_reader_key_by_id(service->writer_reader, account->id, &key);
        tk_lock(&account->lock);
        account->loading = false;
        if (err == TK_OK)
                err = load_limits(service, account, &key);
        struct tk_ticket *decided = decide_waiting(service, account, err == TK_OK, &todo);
        tk_unlock(&account->lock);
        if (err != TK_OK)
                tk_log(TK_ERROR, "ledger", "the counters of a key cannot be read: %s", tk_err_text(err));
        todo_push(service, &todo);
        deliver_all(decided);
}

static void lease_settled(struct tk_job *job) {
        struct account_job *lease = (struct account_job *)job;
        struct todo todo = {.nr = 0};
        tk_writer_assert_here(lease->service->writer);
        tk_lock(&lease->account->lock);
        tk_account_leased(lease->account, &lease->lease, job->err == TK_OK);
        struct tk_ticket *decided = decide_waiting(lease->service, lease->account, job->err == TK_OK, &todo);
        tk_unlock(&lease->account->lock);
        todo_push(lease->service, &todo);
        deliver_all(decided);
}

void tk_ledger_key_changed(struct tk_service *service, const struct tk_key *key) {
        struct tk_account *account;
        struct todo todo = {.nr = 0};
        tk_writer_assert_here(service->writer);
        if (tk_ring_changed(service->ring, key, &account) != TK_OK)
                tk_log(TK_ERROR, "ledger", "no memory for a changed key; it is read again at its next use");
        if (!account)
                return;
        tk_lock(&account->lock);
        enum tk_err err = account->loaded ? load_limits(service, account, key) : TK_OK;
        if (err != TK_OK)
                account->loaded = false; /* never go on under limits that are no longer the key's */
        struct tk_ticket *decided = decide_waiting(service, account, true, &todo);
        tk_unlock(&account->lock);
        if (err != TK_OK)
                tk_log(TK_ERROR, "ledger", "the counters of a key cannot be read: %s", tk_err_text(err));
        todo_push(service, &todo);
        deliver_all(decided);
}

/* ---- the interface ---- */

/* The latest second seen: a clock that steps back opens no window a second time. */
static int64_t clock_at(struct tk_service *service, int64_t now_ms) {
        int64_t now_s = tk_floor_div(now_ms, 1000), seen = atomic_load(&service->clock_s);
        while (now_s > seen && !atomic_compare_exchange_weak(&service->clock_s, &seen, now_s))
                ;
        return now_s > seen ? now_s : seen;
}

static bool store_is_willing(const struct tk_service *service) {
        return !tk_writer_failing(service->writer) && tk_writer_depth(service->writer) < DEPTH_MAX;
}

static enum tk_hold_answer attempt(struct tk_ticket *ticket) {
        struct tk_service *service = ticket->worker->service;
        struct tk_account *account = ticket->account;
        struct todo todo = {.nr = 0};
        enum tk_try needs;
        ticket->loads_nr = 0;
        tk_lock(&account->lock);
        bool waits = !decide(ticket, &needs);
        if (waits && !(store_is_willing(service) && todo_add(service, ticket, needs, &todo))) {
                ticket->answer = TK_HOLD_NO_STORE;
                waits = false;
        }
        if (waits) {
                ticket->busy = true;
                wait_in_line(ticket);
        }
        tk_unlock(&account->lock);
        todo_push(service, &todo);
        return waits ? TK_HOLD_UNTRIED : ticket->answer;
}

enum tk_hold_answer tk_ledger_hold(struct tk_worker *worker, const struct tk_snapshot *snapshot,
                                   struct tk_id id, const struct tk_amounts *least,
                                   const struct tk_amounts *most, int64_t now_ms, tk_ticket_done_f *done,
                                   void *ctx, struct tk_ticket **out) {
        const struct tk_key *key = tk_snapshot_key(snapshot);
        struct tk_ticket *ticket = calloc(1, sizeof *ticket);
        *out = ticket;
        if (!ticket)
                return TK_HOLD_NO_STORE;
        ticket->id = id;
        ticket->org = key->org;
        ticket->account = tk_snapshot_account(snapshot);
        ticket->worker = worker;
        ticket->want =
                (struct tk_want){.at_s = clock_at(worker->service, now_ms), .least = *least, .most = *most};
        ticket->fresh = true;
        ticket->done = done;
        ticket->ctx = ctx;
        if (!store_is_willing(worker->service))
                return ticket->answer = TK_HOLD_NO_STORE;
        return attempt(ticket);
}

enum tk_hold_answer tk_ledger_extend(struct tk_ticket *ticket, const struct tk_amounts *least,
                                     const struct tk_amounts *most, tk_ticket_done_f *done, void *ctx) {
        MUST(!ticket->busy && ticket->on == TK_TICKET_LIVE);
        ticket->want =
                (struct tk_want){.at_s = ticket->hold.at_s, .extends = true, .least = *least, .most = *most};
        ticket->fresh = false;
        ticket->done = done;
        ticket->ctx = ctx;
        return attempt(ticket);
}

const struct tk_amounts *tk_ticket_held(const struct tk_ticket *ticket) {
        return &ticket->hold.held;
}

const struct tk_amounts *tk_ticket_left(const struct tk_ticket *ticket) {
        return &ticket->want.left;
}

const struct tk_refusal *tk_ticket_refusal(const struct tk_ticket *ticket) {
        return &ticket->refusal;
}

/* ---- the end of a ticket ---- */

static enum tk_err post_apply(struct tk_job *job, struct tk_store *store) {
        const struct tk_ticket *t = (struct tk_ticket *)((char *)job - offsetof(struct tk_ticket, job));
        int64_t hour = tk_floor_div(t->hold.at_s, TK_HOUR_S);
        enum tk_err err = tk_store_entry_add(store, &t->entry);
        for (int m = 0; err == TK_OK && m < TK_METER_NR; m++)
                if (t->hold.due.of[m] > 0)
                        err = tk_store_usage_add(store, t->account->id, (enum tk_meter)m, hour,
                                                 t->hold.due.of[m]);
        return err;
}

static void post_settled(struct tk_job *job) {
        struct tk_ticket *t = (struct tk_ticket *)((char *)job - offsetof(struct tk_ticket, job));
        /* CONFLICT: a commit whose answer was an error had landed all the same, and this is its repetition.
         */
        if (job->err != TK_OK && job->err != TK_E_CONFLICT && job->err != TK_E_CLOSED)
                tk_log(TK_ERROR, "ledger", "a post was not stored: %s", tk_err_text(job->err));
        tk_lock(&t->account->lock);
        unlink_from(t, TK_TICKET_POSTING);
        tk_unlock(&t->account->lock);
}

static void post_done(struct tk_job *job) {
        free((char *)job - offsetof(struct tk_ticket, job));
}

void tk_ledger_post(struct tk_ticket **ticket, const struct tk_amounts *actual, const struct tk_entry *what,
                    int64_t now_ms) {
        struct tk_ticket *t = *ticket;
        *ticket = NULL;
        MUST(!t->busy && t->on == TK_TICKET_LIVE);
        tk_lock(&t->account->lock);
        unlink_from(t, TK_TICKET_LIVE);
        enum tk_err err = tk_hold_post(&t->hold, actual);
        MUST(err == TK_OK);
        tk_account_settle(t->account, t->hold.at_s, &t->hold.held, &t->hold.due);
        link_to(t, &t->account->posting, TK_TICKET_POSTING);
        tk_unlock(&t->account->lock);
        t->entry = *what;
        t->entry.id = t->id;
        t->entry.org = t->org;
        t->entry.subject = t->account->id;
        t->entry.held_at_ms = t->hold.at_s * 1000;
        t->entry.posted_at_ms = now_ms;
        t->entry.due = t->hold.due;
        t->entry.overrun = t->hold.overrun;
        t->job = (struct tk_job){
                .apply = post_apply, .settled = post_settled, .done = post_done, .must_land = true};
        tk_writer_push(t->worker->service->writer, &t->job);
}

void tk_ledger_void(struct tk_ticket **ticket) {
        static const struct tk_amounts nothing;
        struct tk_ticket *t = *ticket;
        *ticket = NULL;
        if (!t)
                return;
        MUST(!t->busy);
        if (t->on == TK_TICKET_LIVE) {
                tk_lock(&t->account->lock);
                unlink_from(t, TK_TICKET_LIVE);
                enum tk_err err = tk_hold_void(&t->hold);
                MUST(err == TK_OK);
                tk_account_settle(t->account, t->hold.at_s, &t->hold.held, &nothing);
                tk_unlock(&t->account->lock);
        }
        free(t);
}
