/* SPDX-License-Identifier: Apache-2.0
 *
 * How a hold is decided:
 *
 *   try --taken/refused--> answered at once
 *    |  needs load  -> a load job  --+   on the writer's thread, after its commit:
 *    |  needs lease -> a lease job --+-> every waiting ticket is tried again, in order
 *
 * One that was taken may find that its leases run low: then the next ones are asked for, and nobody waits.
 *
 * The writer's thread decides for those that waited and mails each answer to its worker. A store that fails
 * answers all of them with NO_STORE. A ticket waits for a bounded number of loads, so no wait is endless.
 */
#include "service/ledger.h"

#include "core/time.h"
#include "rt/clock.h"
#include "rt/log.h"
#include "service/account_load.h"
#include "service/alerts.h"
#include "service/ledger_int.h"
#include "service/ticket.h"

#include <stdlib.h>

#define LOADS_MAX 3
#define DEPTH_MAX 100000 /* queued jobs; beyond it new money is refused rather than queued without end */

/* ---- places and lists ---- */

static void lock_all(struct tk_ticket *ticket) {
        for (unsigned i = 0; i < ticket->places_nr; i++)
                tk_lock(&ticket->places[i].account->lock);
}

static void unlock_all(struct tk_ticket *ticket) {
        for (unsigned i = ticket->places_nr; i > 0; i--)
                tk_unlock(&ticket->places[i - 1].account->lock);
}

static struct tk_account *key_account(const struct tk_ticket *ticket) {
        return ticket->places[ticket->places_nr - 1].account;
}

static void link_all(struct tk_ticket *ticket, enum tk_ticket_list on) {
        MUST(ticket->on == TK_TICKET_NOWHERE);
        for (unsigned i = 0; i < ticket->places_nr; i++) {
                struct tk_place *place = &ticket->places[i];
                struct tk_place **head =
                        on == TK_TICKET_LIVE ? &place->account->live : &place->account->posting;
                place->next = *head;
                place->link = head;
                if (*head)
                        (*head)->link = &place->next;
                *head = place;
        }
        ticket->on = on;
}

static void unlink_all(struct tk_ticket *ticket, enum tk_ticket_list on) {
        MUST(ticket->on == on);
        for (unsigned i = 0; i < ticket->places_nr; i++) {
                struct tk_place *place = &ticket->places[i];
                *place->link = place->next;
                if (place->next)
                        place->next->link = place->link;
        }
        ticket->on = TK_TICKET_NOWHERE;
}

static void settle_all(struct tk_ticket *ticket) {
        for (unsigned i = 0; i < ticket->places_nr; i++) {
                struct tk_account *account = ticket->places[i].account;
                if (tk_account_settle(account, ticket->hold.at_s, &ticket->hold.held, &ticket->hold.due))
                        tk_alerts_posted(account, ticket->org, ticket->hold.at_s, &ticket->alerts);
        }
}

static void wait_in_line(struct tk_ticket *ticket, struct tk_account *account) {
        struct tk_ticket **tail = &account->waiting;
        tk_lock_assert_held(&account->lock);
        while (*tail)
                tail = &(*tail)->wait_next;
        ticket->wait_next = NULL;
        *tail = ticket;
}

/* ---- deciding: all its accounts are locked ---- */

/* What a ticket needs before it can be decided, and of which account. */
struct need {
        enum tk_try what;
        struct tk_account *account;
        bool more; /* it was taken, and some lease runs low */
};

/* True: some lease runs low. */
static bool take(struct tk_ticket *ticket) {
        enum tk_err err;
        bool low = false;
        for (unsigned i = 0; ticket->want.observed && i < ticket->places_nr; i++)
                tk_alerts_passed(ticket->places[i].account, ticket->org, &ticket->want, &ticket->alerts);
        for (unsigned i = 0; i < ticket->places_nr; i++)
                low = tk_account_take(ticket->places[i].account, &ticket->want) || low;
        for (int m = 0; m < TK_METER_NR; m++)
                if (ticket->want.left.of[m] != INT64_MAX)
                        ticket->want.left.of[m] -= ticket->want.given.of[m];
        if (ticket->fresh) {
                err = tk_hold_open(&ticket->hold, &ticket->want.given, ticket->want.at_s * 1000, INT64_MAX);
                link_all(ticket, TK_TICKET_LIVE);
        } else {
                err = tk_hold_extend(&ticket->hold, &ticket->want.given);
        }
        MUST(err == TK_OK); /* every amount was admitted under a cap, or bounded by the caller */
        ticket->observed = ticket->observed || ticket->want.observed;
        ticket->answer = TK_HOLD_TAKEN;
        return low;
}

static void refuse(struct tk_ticket *ticket, struct tk_account *account, unsigned index) {
        tk_alerts_refused(account, index, ticket->org, &ticket->want, &ticket->alerts);
        ticket->refusal = tk_account_refusal(account, index, &ticket->want);
        if (!tk_meter_is_money(ticket->refusal.meter))
                ticket->answer = TK_HOLD_NO_RATE;
        else if (ticket->refusal.flags & TK_LIMIT_BALANCE)
                ticket->answer = TK_HOLD_NO_BALANCE;
        else
                ticket->answer = TK_HOLD_NO_CAP;
}

static enum tk_try check_all(struct tk_ticket *ticket, struct need *need, unsigned *index) {
        ticket->want.given = ticket->want.most;
        ticket->want.observed = false;
        for (int m = 0; m < TK_METER_NR; m++)
                ticket->want.left.of[m] = INT64_MAX;
        for (unsigned i = 0; i < ticket->places_nr; i++) {
                need->account = ticket->places[i].account;
                need->what = tk_account_check(need->account, &ticket->want, index);
                if (need->what != TK_TRY_OK)
                        return need->what;
        }
        for (unsigned i = 0; i < ticket->places_nr; i++) {
                need->account = ticket->places[i].account;
                need->what = tk_account_lent(need->account, &ticket->want);
                if (need->what != TK_TRY_OK)
                        return need->what;
        }
        return TK_TRY_OK;
}

/* True when it is decided; otherwise *need says what it waits for. */
static bool decide(struct tk_ticket *ticket, struct need *need) {
        unsigned index = 0;
        need->more = false;
        switch (check_all(ticket, need, &index)) {
        case TK_TRY_OK:
                need->more = take(ticket);
                return true;
        case TK_TRY_REFUSED:
                refuse(ticket, need->account, index);
                return true;
        case TK_TRY_NEEDS_LOAD:
                /* A load that is under way is not one more: others may have it tried again before. */
                if (need->account->loading || ++ticket->loads_nr <= LOADS_MAX * TK_PLACES_MAX)
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

/* Jobs to push once the locks are dropped. */
struct todo {
        struct account_job *jobs[TK_PLACES_MAX * TK_KEY_LIMITS_MAX];
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

typedef bool lease_next_f(struct tk_account *account, const struct tk_want *want, uint32_t mono_s,
                          struct tk_lease *lease);

static bool todo_leases(struct tk_service *service, struct tk_account *account, lease_next_f *next,
                        const struct tk_want *want, struct todo *todo) {
        const uint32_t mono_s = (uint32_t)(tk_clock_mono_ms() / 1000);
        struct tk_lease lease;
        while (next(account, want, mono_s, &lease)) {
                struct account_job *job = account_job_new(service, account, lease_apply, lease_settled);
                if (!job) {
                        tk_account_leased(account, &lease, false);
                        return false;
                }
                MUST(todo->nr < sizeof todo->jobs / sizeof *todo->jobs);
                job->lease = lease;
                todo->jobs[todo->nr++] = job;
        }
        return true;
}

/* Starts all that the ticket needs; false: it cannot be had. */
static bool todo_add(struct tk_service *service, struct tk_ticket *ticket, const struct need *need,
                     struct todo *todo) {
        if (need->what == TK_TRY_NEEDS_LOAD)
                return todo_load(service, need->account, todo);
        for (unsigned i = 0; i < ticket->places_nr; i++)
                if (!todo_leases(service, ticket->places[i].account, tk_account_lease_next, &ticket->want,
                                 todo))
                        return false;
        return true;
}

/* What was taken stands, whether or not more can be lent ahead of the next. */
static void todo_ahead(struct tk_service *service, struct tk_ticket *ticket, struct todo *todo) {
        for (unsigned i = 0; i < ticket->places_nr; i++)
                if (!todo_leases(service, ticket->places[i].account, tk_account_lease_ahead, &ticket->want,
                                 todo))
                        return;
}

static void todo_push(struct tk_service *service, const struct todo *todo) {
        for (unsigned i = 0; i < todo->nr; i++)
                tk_writer_push(service->writer, &todo->jobs[i]->job);
}

/* Decides, or gets into line for what it needs. True: it waits now. */
static bool decide_or_wait(struct tk_service *service, struct tk_ticket *ticket, bool willing) {
        struct todo todo = {.nr = 0};
        struct need need;
        int64_t at_ms = ticket->want.extends ? atomic_load(&service->clock_s) * 1000 : ticket->want.at_ms;
        lock_all(ticket);
        bool waits = !decide(ticket, &need);
        if (waits && !(willing && todo_add(service, ticket, &need, &todo))) {
                ticket->answer = TK_HOLD_NO_STORE;
                waits = false;
        }
        if (waits)
                wait_in_line(ticket, need.account);
        else if (need.more && willing)
                todo_ahead(service, ticket, &todo);
        struct tk_alert_note *alerts = ticket->alerts;
        ticket->alerts = NULL;
        unlock_all(ticket); /* the ticket may be another thread's from here on */
        todo_push(service, &todo);
        tk_alerts_push(service->writer, at_ms, &alerts);
        return waits;
}

/* Everyone who waited for this account is tried again, oldest first; the answers are mailed. */
static void retry_waiting(struct tk_service *service, struct tk_account *account, bool store_ok) {
        tk_lock(&account->lock);
        struct tk_ticket *ticket = account->waiting;
        account->waiting = NULL;
        tk_unlock(&account->lock);
        while (ticket) {
                struct tk_ticket *next = ticket->wait_next;
                if (ticket->fresh)
                        ticket->want.at_s = atomic_load(&service->clock_s);
                ticket->answer = TK_HOLD_NO_STORE;
                if (!store_ok || !decide_or_wait(service, ticket, true)) {
                        ticket->mail.run = deliver;
                        tk_worker_mail(ticket->worker, &ticket->mail);
                }
                ticket = next;
        }
}

static enum tk_err read_limits(struct tk_service *service, const struct tk_account *account,
                               struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        struct tk_key key;
        if (account->kind != TK_SUBJECT_KEY)
                return tk_reader_limits(service->writer_reader, account->id, limits, limits_nr);
        enum tk_err err = tk_reader_key_by_id(service->writer_reader, account->id, &key);
        if (err != TK_OK)
                return err;
        *limits_nr = key.limits_nr;
        for (unsigned i = 0; i < key.limits_nr; i++)
                limits[i] = key.limits[i];
        return TK_OK;
}

/* Writer's thread, between two batches. */
static enum tk_err load(struct tk_service *service, struct tk_account *account) {
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned limits_nr = 0;
        enum tk_err err = read_limits(service, account, limits, &limits_nr);
        tk_lock(&account->lock);
        if (err == TK_OK)
                err = tk_account_load(account, service->writer_reader, limits, limits_nr,
                                      atomic_load(&service->clock_s));
        if (err != TK_OK)
                account->loaded = false; /* never go on under limits that are no longer the subject's */
        account->loading = false;
        tk_unlock(&account->lock);
        if (err != TK_OK)
                tk_log(TK_ERROR, "ledger", "the counters of a subject cannot be read: %s", tk_err_text(err));
        return err;
}

/*
 * What is held when a limit comes counts against it at once, and is lent for it at once, so that a crash does
 * not lose it there. If that fails the next hold asks again.
 */
static void lend_held(struct tk_service *service, struct tk_account *account) {
        struct tk_lease lease;
        bool more = true;
        while (more) {
                struct account_job *job = NULL;
                tk_lock(&account->lock);
                more = account->loaded && tk_account_lease_held(account, &lease);
                if (more && !(job = account_job_new(service, account, lease_apply, lease_settled)))
                        tk_account_leased(account, &lease, false);
                tk_unlock(&account->lock);
                more = job != NULL;
                if (job) {
                        job->lease = lease;
                        tk_writer_push(service->writer, &job->job);
                }
        }
}

static void load_settled(struct tk_job *job) {
        struct account_job *j = (struct account_job *)job;
        tk_writer_assert_here(j->service->writer);
        enum tk_err err = job->err;
        if (err == TK_OK) {
                err = load(j->service, j->account);
                if (err == TK_OK)
                        lend_held(j->service, j->account);
        } else {
                tk_lock(&j->account->lock);
                j->account->loading = false;
                tk_unlock(&j->account->lock);
        }
        retry_waiting(j->service, j->account, err == TK_OK);
}

static void lease_settled(struct tk_job *job) {
        struct account_job *j = (struct account_job *)job;
        tk_writer_assert_here(j->service->writer);
        tk_lock(&j->account->lock);
        tk_account_leased(j->account, &j->lease, job->err == TK_OK);
        tk_unlock(&j->account->lock);
        retry_waiting(j->service, j->account, job->err == TK_OK);
}

static bool is_loaded(struct tk_account *account) {
        tk_lock(&account->lock);
        bool loaded = account->loaded;
        tk_unlock(&account->lock);
        return loaded;
}

static void reload(struct tk_service *service, struct tk_account *account) {
        if (!is_loaded(account))
                return; /* nobody used it yet, or a load is under way that will see the change */
        enum tk_err err = load(service, account);
        if (err == TK_OK)
                lend_held(service, account);
        retry_waiting(service, account, err == TK_OK);
}

void tk_ledger_key_changed(struct tk_service *service, const struct tk_key *key) {
        struct tk_account *account;
        tk_writer_assert_here(service->writer);
        if (tk_ring_changed(service->ring, key, &account) != TK_OK)
                tk_log(TK_ERROR, "ledger", "no memory for a changed key; it is read again at its next use");
        if (account)
                reload(service, account);
}

void tk_ledger_subject_changed(struct tk_service *service, struct tk_id subject) {
        tk_writer_assert_here(service->writer);
        struct tk_account *account = tk_ring_account_get(service->ring, subject);
        if (account)
                reload(service, account);
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
        ticket->loads_nr = 0;
        ticket->busy = true; /* before it can be seen in a line */
        if (decide_or_wait(service, ticket, store_is_willing(service)))
                return TK_HOLD_UNTRIED;
        ticket->busy = false;
        return ticket->answer;
}

/* From the top: the order in which locks are taken, and in which a refusal is reported. */
static void add_places(struct tk_ticket *ticket, struct tk_account *key) {
        for (int i = 0; i < TK_SUBJECT_KEY; i++)
                if (key->parents[i])
                        ticket->places[ticket->places_nr++].account = key->parents[i];
        ticket->places[ticket->places_nr++].account = key;
        for (unsigned i = 0; i < ticket->places_nr; i++)
                ticket->places[i].ticket = ticket;
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
        add_places(ticket, tk_snapshot_account(snapshot));
        ticket->worker = worker;
        ticket->want = (struct tk_want){
                .at_s = clock_at(worker->service, now_ms), .at_ms = now_ms, .least = *least, .most = *most};
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
        ticket->want = (struct tk_want){.at_s = ticket->hold.at_s,
                                        .at_ms = ticket->hold.at_s * 1000,
                                        .extends = true,
                                        .least = *least,
                                        .most = *most};
        ticket->fresh = false;
        ticket->done = done;
        ticket->ctx = ctx;
        return attempt(ticket);
}

const struct tk_hold *tk_ticket_hold(const struct tk_ticket *ticket) {
        return &ticket->hold;
}

const struct tk_amounts *tk_ticket_held(const struct tk_ticket *ticket) {
        return &ticket->hold.held;
}

const struct tk_amounts *tk_ticket_left(const struct tk_ticket *ticket) {
        return &ticket->want.left;
}

bool tk_ticket_observed(const struct tk_ticket *ticket) {
        return ticket->observed;
}

const struct tk_refusal *tk_ticket_refusal(const struct tk_ticket *ticket) {
        return &ticket->refusal;
}

/* ---- the end of a ticket ---- */

static struct tk_ticket *ticket_of_job(struct tk_job *job) {
        return (struct tk_ticket *)((char *)job - offsetof(struct tk_ticket, job));
}

static enum tk_err post_apply(struct tk_job *job, struct tk_store *store) {
        const struct tk_ticket *t = ticket_of_job(job);
        int64_t hour = tk_floor_div(t->hold.at_s, TK_HOUR_S);
        enum tk_err err = tk_store_entry_add(store, &t->entry);
        for (int m = 0; err == TK_OK && m < TK_METER_NR; m++)
                if (t->hold.due.of[m] > 0)
                        err = tk_store_usage_add(store, key_account(t)->id, (enum tk_meter)m, hour,
                                                 t->hold.due.of[m]);
        return err == TK_OK ? tk_alerts_write(t->alerts, t->entry.posted_at_ms, store) : err;
}

static void post_settled(struct tk_job *job) {
        struct tk_ticket *t = ticket_of_job(job);
        /* CONFLICT: a commit whose answer was an error had landed all the same, and this is its repetition.
         */
        if (job->err != TK_OK && job->err != TK_E_CONFLICT && job->err != TK_E_CLOSED)
                tk_log(TK_ERROR, "ledger", "a post was not stored: %s", tk_err_text(job->err));
        lock_all(t);
        unlink_all(t, TK_TICKET_POSTING);
        unlock_all(t);
        if (t->landed)
                t->landed(t->landed_ctx, job->err);
}

static void post_done(struct tk_job *job) {
        tk_alerts_free(&ticket_of_job(job)->alerts);
        free(ticket_of_job(job));
}

typedef enum tk_err hold_end_f(struct tk_hold *hold, const struct tk_amounts *used);

static void end(struct tk_ticket *t, hold_end_f *how, const struct tk_amounts *used) {
        MUST(!t->busy && t->on == TK_TICKET_LIVE);
        lock_all(t);
        unlink_all(t, TK_TICKET_LIVE);
        enum tk_err err = how(&t->hold, used);
        MUST(err == TK_OK);
        settle_all(t);
        link_all(t, TK_TICKET_POSTING);
        unlock_all(t);
}

static void write_down(struct tk_ticket *t, const struct tk_entry *what, unsigned flags, int64_t now_ms) {
        t->entry = *what;
        t->entry.id = t->id;
        t->entry.org = t->org;
        t->entry.subject = key_account(t)->id;
        t->entry.held_at_ms = t->hold.at_s * 1000;
        t->entry.posted_at_ms = now_ms;
        t->entry.due = t->hold.due;
        t->entry.overrun = t->hold.overrun;
        t->entry.flags |= flags;
        if (t->observed)
                t->entry.flags |= TK_ENTRY_OBSERVED;
        t->job = (struct tk_job){.apply = post_apply,
                                 .settled = post_settled,
                                 .done = post_done,
                                 .must_land = true,
                                 .patient = t->landed == NULL};
        tk_writer_push(t->worker->service->writer, &t->job);
}

void tk_ledger_post_told(struct tk_ticket **ticket, const struct tk_amounts *actual,
                         const struct tk_entry *what, int64_t now_ms, tk_landed_f *landed, void *ctx) {
        struct tk_ticket *t = *ticket;
        *ticket = NULL;
        end(t, tk_hold_post, actual);
        t->landed = landed;
        t->landed_ctx = ctx;
        write_down(t, what, 0, now_ms);
}

void tk_ledger_post(struct tk_ticket **ticket, const struct tk_amounts *actual, const struct tk_entry *what,
                    int64_t now_ms) {
        tk_ledger_post_told(ticket, actual, what, now_ms, NULL, NULL);
}

void tk_ledger_expire(struct tk_ticket **ticket, const struct tk_amounts *metered,
                      const struct tk_entry *what, int64_t now_ms, tk_landed_f *landed, void *ctx) {
        struct tk_ticket *t = *ticket;
        *ticket = NULL;
        end(t, tk_hold_expire, metered);
        t->landed = landed;
        t->landed_ctx = ctx;
        write_down(t, what, TK_ENTRY_EXPIRED, now_ms);
}

void tk_ledger_void(struct tk_ticket **ticket) {
        struct tk_ticket *t = *ticket;
        *ticket = NULL;
        if (!t)
                return;
        MUST(!t->busy);
        if (t->on == TK_TICKET_LIVE) {
                lock_all(t);
                unlink_all(t, TK_TICKET_LIVE);
                enum tk_err err = tk_hold_void(&t->hold);
                MUST(err == TK_OK);
                settle_all(t);
                unlock_all(t);
        }
        free(t);
}
