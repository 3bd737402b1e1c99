/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of an operation:
 *
 *   submit -> [in the record's line] -> run -> [waits for the ledger] -> finish -> [waits for the store] ->
 * done
 *
 * run() happens on the thread of the worker that asked, with the claim on the record; so its reader may be
 * used, and nobody else touches the record. The ledger may answer on the thread of the worker that took the
 * ticket: `here` says on which thread the code is, and done is mailed when that is not the asker's.
 *
 * What is written to the record by whoever has the claim is seen by the next one, because the claim is passed
 * under the shard's lock, or by mail.
 */
#include "service/holds.h"

#include "core/time.h"
#include "rt/hash.h"
#include "service/account.h"
#include "service/holds_book.h"
#include "service/holds_int.h"

#include <stdlib.h>
#include <string.h>

enum verb { AUTHORIZE, EXTEND, POST, VOID, GET };

struct op {
        struct tk_holds_line line; /* first: what waits in a record's line is the operation */
        struct tk_mail mail;
        struct tk_job wait; /* behind the post, in the writer's queue */
        struct tk_worker *worker;
        enum verb verb;
        int64_t now_ms;
        tk_holds_done_f *done;
        void *ctx;

        /* what is asked */
        struct tk_snapshot *snapshot; /* AUTHORIZE */
        struct tk_facts facts;
        struct tk_amounts least, most, used;
        bool priced;    /* AUTHORIZE: the USD of them is money of the currency that pays */
        unsigned spend; /* tries of the spend order so far */
        int64_t life_ms;
        bool total;
        struct tk_holds_actual actual;
        char model[TK_MODEL_NAME_MAX + 1];

        /* the answer */
        struct tk_holds_answer answer;
        struct tk_refusal refusal;
        struct tk_hold_view view;
        bool has_left;
        struct tk_amounts left;
};

bool tk_hold_name_ok(struct tk_str name) {
        if (name.len == 0 || name.len > TK_HOLD_NAME_MAX)
                return false;
        for (size_t i = 0; i < name.len; i++) {
                char c = name.at[i];
                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == ':' || c == '-'))
                        return false;
        }
        return true;
}

bool tk_hold_amounts_ok(const struct tk_amounts *amounts) {
        for (int m = 0; m < TK_METER_NR; m++) {
                int64_t most = tk_meter_is_money((enum tk_meter)m) ? TK_HOLD_MONEY_MAX : TK_HOLD_COUNT_MAX;
                if (amounts->of[m] < 0 || amounts->of[m] > most)
                        return false;
        }
        return true;
}

/* ---- answering ---- */

static void op_free(struct op *op) {
        tk_snapshot_release(&op->snapshot);
        free(op);
}

static void deliver(struct op *op) {
        op->done(op->ctx, &op->answer);
        op_free(op);
}

static struct op *op_of_mail(struct tk_mail *mail) {
        return (struct op *)((char *)mail - offsetof(struct op, mail));
}

static void on_deliver(struct tk_mail *mail) {
        deliver(op_of_mail(mail));
}

static void deliver_from(struct op *op, const struct tk_worker *here) {
        if (op->worker == here) {
                deliver(op);
                return;
        }
        op->mail.run = on_deliver;
        tk_worker_mail(op->worker, &op->mail);
}

static void say(struct op *op, enum tk_holds_outcome outcome) {
        op->answer = (struct tk_holds_answer){.outcome = outcome, .verdict = TK_VERDICT_PASS};
}

static void say_fault(struct op *op, enum tk_err err) {
        say(op, TK_HOLDS_FAULT);
        op->answer.err = err;
}

/* A store that cannot lend is a fault; every other verdict is a refusal. */
static void say_verdict(struct op *op, enum tk_verdict verdict, const struct tk_ticket *ticket) {
        if (verdict == TK_VERDICT_STORE) {
                say_fault(op, TK_E_BUSY);
                return;
        }
        say(op, TK_HOLDS_REFUSED);
        op->answer.verdict = verdict;
        if (ticket) {
                op->refusal = *tk_ticket_refusal(ticket);
                op->answer.refusal = &op->refusal;
        }
}

/* ---- the ends of a hold; with the claim ---- */

static void on_landed(void *ctx, enum tk_err err) {
        tk_holds_landed(ctx, err);
}

static struct tk_entry entry_of(const struct tk_holds_record *record, const struct tk_tokens *tokens) {
        struct tk_entry entry = {0};
        memcpy(entry.model, record->view.model, sizeof entry.model);
        if (tokens)
                entry.tokens = *tokens;
        return entry;
}

static void ended(struct tk_service *service, struct tk_holds_record *record, enum tk_err err,
                  int64_t now_ms) {
        MUST(err == TK_OK); /* it was pending, and every amount is within its bounds */
        record->view.ended_ms = now_ms;
        tk_holds_uncount(service->holds, record);
}

static void expire(struct tk_service *service, struct tk_holds_record *record, int64_t now_ms) {
        struct tk_entry entry = entry_of(record, NULL);
        enum tk_err err = tk_hold_expire(&record->view.hold, &record->view.used);
        ended(service, record, err, now_ms);
        tk_ledger_expire(&record->ticket, &record->view.used, &entry, now_ms, on_landed, record);
}

static void void_hold(struct tk_service *service, struct tk_holds_record *record, int64_t now_ms) {
        enum tk_err err = tk_hold_void(&record->view.hold);
        ended(service, record, err, now_ms);
        tk_ledger_void(&record->ticket);
}

static void post(struct op *op, const struct tk_amounts *actual) {
        struct tk_holds_record *record = op->line.record;
        if (op->model[0])
                memcpy(record->view.model, op->model, sizeof op->model);
        struct tk_entry entry = entry_of(record, &op->actual.tokens);
        enum tk_err err = tk_hold_post(&record->view.hold, actual);
        ended(op->worker->service, record, err, op->now_ms);
        tk_ledger_post_told(&record->ticket, actual, &entry, op->now_ms, on_landed, record);
}

/* ---- passing the claim on ---- */

static void run(struct op *op);

static void on_run(struct tk_mail *mail) {
        run(op_of_mail(mail));
}

static void settle_turn(struct op *op, const struct tk_worker *here);

/* Hands the claim to the next in line, on its own thread. When its loop has ended nobody hears the answer. */
static void pass_on(struct tk_holds_line *line) {
        struct op *op = (struct op *)line;
        if (!op)
                return;
        op->mail.run = on_run;
        if (!atomic_load(&op->worker->closed) && op->worker->send(op->worker->loop, &op->mail))
                return;
        say_fault(op, TK_E_CLOSED);
        settle_turn(op, NULL);
}

/* When the store is failing, the end of the hold is kept, and lands when it recovers. */
static void on_durable(struct tk_job *job) {
        struct op *op = (struct op *)((char *)job - offsetof(struct op, wait));
        enum tk_err err = tk_holds_unpin(op->line.record);
        if (job->err != TK_OK)
                say_fault(op, job->err);
        else if (err != TK_OK && err != TK_E_CONFLICT)
                say_fault(op, err);
        deliver(op);
}

/* The service closes, and nothing may stay held. What was reported as used is due. */
static void stop_hold(struct tk_service *service, struct tk_holds_record *record, int64_t now_ms) {
        if (tk_amounts_none(&record->view.used))
                void_hold(service, record, now_ms);
        else
                expire(service, record, now_ms);
}

/* The record's turn is over: the claim goes on, and the answer goes out when what it shows is durable. */
static void settle_turn(struct op *op, const struct tk_worker *here) {
        struct tk_service *service = op->worker->service;
        struct tk_holds_line *next;
        bool pinned;
        if (op->line.record->exists) {
                op->view = op->line.record->view;
                op->view.has_left = op->has_left;
                op->view.left = op->left;
                op->answer.view = &op->view;
        }
        while (!tk_holds_release(op->line.record, &pinned, &next))
                stop_hold(service, op->line.record, op->now_ms);
        if (pinned) {
                op->wait = (struct tk_job){.done = on_durable, .worker = op->worker};
                tk_writer_push(service->writer, &op->wait);
        } else {
                deliver_from(op, here);
        }
        pass_on(next);
}

/* ---- what the store knows ---- */

/* An ended hold of which memory has nothing, from its entry. What it once held is not written down: at least
 * what was due. */
static void adopt(struct tk_holds_record *record, const struct tk_entry *entry) {
        record->exists = record->from_store = true;
        record->view = (struct tk_hold_view){
                .hold = {.state = entry->flags & TK_ENTRY_EXPIRED ? TK_HOLD_EXPIRED : TK_HOLD_POSTED,
                         .at_s = tk_floor_div(entry->held_at_ms, 1000),
                         .held = entry->due,
                         .due = entry->due,
                         .overrun = entry->overrun},
                .observed = entry->flags & TK_ENTRY_OBSERVED,
                .ended_ms = entry->posted_at_ms,
                .key = entry->subject,
        };
        memcpy(record->view.model, entry->model, sizeof entry->model);
}

/* Once for each record, before anything else is done with it. */
TK_CHECKED static enum tk_err look_up(struct op *op) {
        struct tk_holds_record *record = op->line.record;
        struct tk_entry entry;
        if (record->looked)
                return TK_OK;
        enum tk_err err = tk_reader_entry_get(op->worker->reader, record->id, &entry);
        if (err == TK_OK)
                adopt(record, &entry);
        else if (err != TK_E_NOT_FOUND)
                return err;
        record->looked = true;
        return TK_OK;
}

/* ---- authorize ---- */

/* What makes two requests the same, as a hash. */
static void content_of(const struct op *op, uint8_t out[32]) {
        char text[sizeof(struct tk_id) + 2 * sizeof(struct tk_amounts) + sizeof(int64_t) + sizeof op->model];
        size_t n = 0, model_len = strlen(op->model);
        memcpy(text + n, &op->facts.key->id, sizeof(struct tk_id));
        n += sizeof(struct tk_id);
        memcpy(text + n, &op->least, sizeof op->least);
        n += sizeof op->least;
        memcpy(text + n, &op->most, sizeof op->most);
        n += sizeof op->most;
        memcpy(text + n, &op->life_ms, sizeof op->life_ms);
        n += sizeof op->life_ms;
        memcpy(text + n, op->model, model_len);
        tk_sha256((struct tk_str){text, n + model_len}, out);
}

static bool is_same(const struct op *op) {
        const struct tk_holds_record *record = op->line.record;
        uint8_t content[32];
        if (record->from_store) /* all that its entry tells */
                return tk_id_eq(record->view.key, op->facts.key->id);
        content_of(op, content);
        return memcmp(content, record->content, sizeof content) == 0;
}

/* The ladder has passed: only the hold is left to be refused. */
static enum tk_verdict verdict_of(enum tk_hold_answer answer) {
        switch (answer) {
        case TK_HOLD_NO_CAP:
                return TK_VERDICT_CAP;
        case TK_HOLD_NO_BALANCE:
                return TK_VERDICT_BALANCE;
        case TK_HOLD_NO_RATE:
                return TK_VERDICT_RATE;
        default:
                return TK_VERDICT_STORE;
        }
}

static void on_held(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx);

static void held(struct op *op, enum tk_hold_answer answer) {
        struct tk_holds_record *record = op->line.record;
        if (answer != TK_HOLD_TAKEN) {
                say_verdict(op, verdict_of(answer), record->ticket);
                tk_ledger_void(&record->ticket);
                tk_holds_uncount(op->worker->service->holds, record);
                return;
        }
        record->exists = true;
        record->view.hold = *tk_ticket_hold(record->ticket);
        record->view.hold.expires_ms = op->now_ms + op->life_ms;
        op->left = *tk_ticket_left(record->ticket);
        op->has_left = true;
        record->view.observed = tk_ticket_observed(record->ticket);
        record->view.key = op->facts.key->id;
        memcpy(record->view.model, op->model, sizeof op->model);
        content_of(op, record->content);
        say(op, TK_HOLDS_DONE);
}

static void move_money(struct tk_amounts *amounts, enum tk_meter to) {
        int64_t money = amounts->of[TK_METER_USD];
        amounts->of[TK_METER_USD] = 0;
        amounts->of[to] = money;
}

/* What the catalogue priced is asked for in one currency: whole in each, in their order, then what is enough.
 */
static enum tk_hold_answer try_currency(struct op *op) {
        const struct tk_spend_order *order = tk_worker_spend_order(op->worker);
        struct tk_amounts least = op->least, most = op->most;
        if (op->priced) {
                if (tk_spend_wants_all(order, op->spend))
                        least.of[TK_METER_USD] = most.of[TK_METER_USD];
                move_money(&least, tk_spend_currency(order, op->spend));
                move_money(&most, tk_spend_currency(order, op->spend));
        }
        return tk_ledger_hold(op->worker, op->snapshot, op->line.record->id, &least, &most, op->now_ms,
                              on_held, op, &op->line.record->ticket);
}

static bool may_pay_otherwise(const struct op *op, enum tk_hold_answer answer) {
        return (answer == TK_HOLD_NO_CAP || answer == TK_HOLD_NO_BALANCE) && op->priced &&
               tk_spend_goes_on(tk_worker_spend_order(op->worker), op->spend);
}

/* True when it is decided; otherwise the ledger will say. */
static bool settle_hold(struct op *op, enum tk_hold_answer answer) {
        while (may_pay_otherwise(op, answer)) {
                tk_ledger_void(&op->line.record->ticket);
                op->spend++;
                answer = try_currency(op);
        }
        if (answer == TK_HOLD_UNTRIED)
                return false;
        held(op, answer);
        return true;
}

static void on_held(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        struct op *op = ctx;
        TK_UNUSED(ticket);
        if (settle_hold(op, answer))
                settle_turn(op, op->line.record->taker);
}

/* True when it is decided; otherwise the ledger will say. */
static bool run_authorize(struct op *op) {
        struct tk_holds_record *record = op->line.record;
        if (record->exists) {
                say(op, is_same(op) ? TK_HOLDS_REPLAYED : TK_HOLDS_CONFLICT);
                return true;
        }
        op->facts.hold = TK_HOLD_TAKEN;
        enum tk_verdict verdict = tk_verdict_decide(&op->facts);
        if (verdict != TK_VERDICT_PASS) {
                say_verdict(op, verdict, NULL);
                return true;
        }
        if (!tk_holds_count(op->worker->service->holds, record)) {
                say(op, TK_HOLDS_CROWDED);
                return true;
        }
        record->taker = op->worker;
        return settle_hold(op, try_currency(op));
}

/* ---- extend ---- */

/* May the key still spend? OK with its verdict. */
TK_CHECKED static enum tk_err judge_again(const struct op *op, enum tk_verdict *verdict) {
        struct tk_ring *ring = op->worker->service->ring;
        const struct tk_account *account = tk_ring_account_get(ring, op->line.record->view.key);
        struct tk_snapshot *snapshot = NULL;
        MUST(account); /* the ticket has a place in it */
        if (tk_ring_find(ring, account->digest, &snapshot) != TK_OK)
                return TK_E_BUSY; /* its record was lost for want of memory */
        struct tk_facts facts = {.key_sent = true,
                                 .key = tk_snapshot_key(snapshot),
                                 .now_ms = op->now_ms,
                                 .hold = TK_HOLD_TAKEN};
        *verdict = tk_verdict_decide(&facts);
        tk_snapshot_release(&snapshot);
        return TK_OK;
}

static void report_used(struct tk_holds_record *record, const struct tk_amounts *used) {
        for (int m = 0; m < TK_METER_NR; m++)
                if (used->of[m] > record->view.used.of[m])
                        record->view.used.of[m] = used->of[m];
}

static void extended(struct op *op, enum tk_hold_answer answer) {
        struct tk_holds_record *record = op->line.record;
        if (answer != TK_HOLD_TAKEN) {
                say_verdict(op, verdict_of(answer), record->ticket);
                return;
        }
        struct tk_amounts given = tk_amounts_beyond(tk_ticket_held(record->ticket), &record->view.hold.held);
        enum tk_err err = tk_hold_extend(&record->view.hold, &given);
        MUST(err == TK_OK); /* pending, and the ticket holds it already */
        record->view.observed = tk_ticket_observed(record->ticket);
        op->left = *tk_ticket_left(record->ticket);
        op->has_left = true;
        say(op, TK_HOLDS_DONE);
}

static void on_extended(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        struct op *op = ctx;
        TK_UNUSED(ticket);
        extended(op, answer);
        settle_turn(op, op->line.record->taker);
}

/* Does it stay within what one hold may have? */
static bool fits(const struct tk_amounts *held, const struct tk_amounts *more) {
        struct tk_amounts sum = *held;
        return tk_amounts_add(&sum, more) == TK_OK && tk_hold_amounts_ok(&sum);
}

static bool run_extend(struct op *op) {
        struct tk_holds_record *record = op->line.record;
        const struct tk_amounts *now = &record->view.hold.held;
        enum tk_verdict verdict = TK_VERDICT_PASS;
        report_used(record, &op->used);
        enum tk_err err = judge_again(op, &verdict);
        if (op->total) {
                op->least = tk_amounts_beyond(&op->least, now);
                op->most = tk_amounts_beyond(&op->most, now);
        }
        if (err == TK_OK && !fits(now, &op->most))
                err = TK_E_RANGE;
        if (err != TK_OK) {
                say_fault(op, err);
                return true;
        }
        if (verdict != TK_VERDICT_PASS) {
                say_verdict(op, verdict, NULL);
                return true;
        }
        if (tk_amounts_none(&op->most)) {
                say(op, TK_HOLDS_DONE);
                return true;
        }
        enum tk_hold_answer answer = tk_ledger_extend(record->ticket, &op->least, &op->most, on_extended, op);
        if (answer == TK_HOLD_UNTRIED)
                return false;
        extended(op, answer);
        return true;
}

/* ---- post, void, get ---- */

static struct tk_amounts named_or(const struct tk_holds_actual *actual, const struct tk_amounts *others) {
        struct tk_amounts all = *others;
        for (int m = 0; m < TK_METER_NR; m++)
                if (actual->named & 1u << m)
                        all.of[m] = actual->amounts.of[m];
        return all;
}

/* Was just this posted before? What was not named then and is not now is the same. */
static bool is_same_post(const struct op *op) {
        const struct tk_holds_record *record = op->line.record;
        struct tk_amounts posted = record->view.hold.due;
        if (tk_amounts_add(&posted, &record->view.hold.overrun) != TK_OK)
                return false;
        struct tk_amounts now = named_or(&op->actual, record->from_store ? &posted : &record->view.hold.held);
        return memcmp(&now, &posted, sizeof now) == 0 &&
               (!op->model[0] || strcmp(op->model, record->view.model) == 0);
}

/* In which currency the hold pays for what the catalogue priced. */
static enum tk_meter currency_of(const struct tk_amounts *held) {
        for (int m = 0; m < TK_METER_NR && held->of[TK_METER_USD] == 0; m++)
                if (tk_meter_is_money((enum tk_meter)m) && held->of[m] > 0)
                        return (enum tk_meter)m;
        return TK_METER_USD;
}

static void take_priced(struct tk_holds_actual *actual, enum tk_meter currency) {
        if (!actual->priced || currency == TK_METER_USD)
                return;
        move_money(&actual->amounts, currency);
        actual->named |= 1u << currency;
}

static void run_post(struct op *op) {
        struct tk_holds_record *record = op->line.record;
        take_priced(&op->actual, currency_of(&record->view.hold.held));
        switch (record->view.hold.state) {
        case TK_HOLD_PENDING:
                op->actual.amounts = named_or(&op->actual, &record->view.hold.held);
                post(op, &op->actual.amounts);
                say(op, TK_HOLDS_DONE);
                break;
        case TK_HOLD_POSTED:
                say(op, is_same_post(op) ? TK_HOLDS_REPLAYED : TK_HOLDS_CONFLICT);
                break;
        default:
                say(op, TK_HOLDS_ENDED);
        }
}

static void run_void(struct op *op) {
        struct tk_holds_record *record = op->line.record;
        switch (record->view.hold.state) {
        case TK_HOLD_PENDING:
                void_hold(op->worker->service, record, op->now_ms);
                say(op, TK_HOLDS_DONE);
                break;
        case TK_HOLD_VOIDED:
                say(op, TK_HOLDS_REPLAYED);
                break;
        default:
                say(op, TK_HOLDS_ENDED);
        }
}

/* ---- running ---- */

/* On a hold that there is. True when it is decided. */
static bool run_on_hold(struct op *op) {
        switch (op->verb) {
        case EXTEND:
                if (op->line.record->view.hold.state == TK_HOLD_PENDING)
                        return run_extend(op);
                say(op, TK_HOLDS_ENDED);
                return true;
        case POST:
                run_post(op);
                return true;
        case VOID:
                run_void(op);
                return true;
        case AUTHORIZE:
        case GET:
                break;
        }
        say(op, TK_HOLDS_DONE);
        return true;
}

static bool is_due(const struct tk_holds_record *record, int64_t now_ms) {
        return record->exists && record->view.hold.state == TK_HOLD_PENDING &&
               record->view.hold.expires_ms <= now_ms;
}

static void run(struct op *op) {
        struct tk_holds_record *record = op->line.record;
        bool decided = true;
        enum tk_err err = look_up(op);
        if (is_due(record, op->now_ms))
                expire(op->worker->service, record, op->now_ms);
        if (err != TK_OK)
                say_fault(op, err);
        else if (op->verb == AUTHORIZE)
                decided = run_authorize(op);
        else if (!record->exists)
                say(op, TK_HOLDS_UNKNOWN);
        else
                decided = run_on_hold(op);
        if (decided)
                settle_turn(op, op->worker);
}

/* ---- the interface ---- */

/* NULL after done was told that there is no memory. */
static struct op *op_new(struct tk_worker *worker, enum verb verb, int64_t now_ms, tk_holds_done_f *done,
                         void *ctx) {
        static const struct tk_holds_answer no_memory = {.outcome = TK_HOLDS_FAULT, .err = TK_E_NO_MEMORY};
        struct op *op = calloc(1, sizeof *op);
        if (!op) {
                done(ctx, &no_memory);
                return NULL;
        }
        op->worker = worker;
        op->verb = verb;
        op->now_ms = now_ms;
        op->done = done;
        op->ctx = ctx;
        return op;
}

static void submit(struct op *op, struct tk_id org, struct tk_str name) {
        bool mine;
        MUST(tk_hold_name_ok(name));
        struct tk_id id = tk_holds_entry_id(org, name);
        if (!tk_holds_claim(op->worker->service->holds, org, id, &op->line, &mine)) {
                say_fault(op, TK_E_NO_MEMORY);
                deliver(op);
        } else if (mine) {
                run(op);
        }
}

static void copy_model(struct op *op, const char *model) {
        bool fitted = tk_str_copy(tk_str_of(model), op->model, sizeof op->model);
        MUST(fitted);
}

void tk_holds_authorize(struct tk_worker *worker, const struct tk_holds_ask *ask,
                        struct tk_snapshot **snapshot, tk_holds_done_f *done, void *ctx) {
        struct op *op = op_new(worker, AUTHORIZE, ask->now_ms, done, ctx);
        if (!op) {
                tk_snapshot_release(snapshot);
                return;
        }
        MUST(tk_hold_amounts_ok(&ask->least) && tk_hold_amounts_ok(&ask->most));
        MUST(ask->life_ms > 0 && ask->life_ms <= TK_HOLD_LIFE_S_MAX * 1000);
        op->snapshot = *snapshot;
        *snapshot = NULL;
        op->facts = ask->facts;
        op->least = ask->least;
        op->most = ask->most;
        op->priced = ask->priced;
        op->life_ms = ask->life_ms;
        copy_model(op, ask->model);
        submit(op, ask->org, ask->name);
}

void tk_holds_extend(struct tk_worker *worker, struct tk_id org, struct tk_str name,
                     const struct tk_holds_more *more, int64_t now_ms, tk_holds_done_f *done, void *ctx) {
        struct op *op = op_new(worker, EXTEND, now_ms, done, ctx);
        if (!op)
                return;
        MUST(tk_hold_amounts_ok(&more->least) && tk_hold_amounts_ok(&more->most) &&
             tk_hold_amounts_ok(&more->used));
        op->total = more->total;
        op->least = more->least;
        op->most = more->most;
        op->used = more->used;
        submit(op, org, name);
}

void tk_holds_post(struct tk_worker *worker, struct tk_id org, struct tk_str name,
                   const struct tk_holds_actual *actual, int64_t now_ms, tk_holds_done_f *done, void *ctx) {
        struct op *op = op_new(worker, POST, now_ms, done, ctx);
        if (!op)
                return;
        MUST(tk_hold_amounts_ok(&actual->amounts));
        op->actual = *actual;
        op->actual.model = NULL; /* copied */
        copy_model(op, actual->model);
        submit(op, org, name);
}

void tk_holds_void(struct tk_worker *worker, struct tk_id org, struct tk_str name, int64_t now_ms,
                   tk_holds_done_f *done, void *ctx) {
        struct op *op = op_new(worker, VOID, now_ms, done, ctx);
        if (op)
                submit(op, org, name);
}

void tk_holds_get(struct tk_worker *worker, struct tk_id org, struct tk_str name, int64_t now_ms,
                  tk_holds_done_f *done, void *ctx) {
        struct op *op = op_new(worker, GET, now_ms, done, ctx);
        if (op)
                submit(op, org, name);
}

/* ---- ends that nobody asks for ---- */

static void release(struct tk_holds_record *record) {
        struct tk_holds_line *next;
        bool released = tk_holds_release(record, NULL, &next);
        MUST(released); /* it has ended */
        pass_on(next);
}

size_t tk_holds_expire(struct tk_service *service, int64_t now_ms) {
        size_t nr = 0;
        for (unsigned i = 0; i < tk_holds_shards(); i++) {
                struct tk_holds_record *record = tk_holds_take_due(service->holds, i, now_ms), *next;
                for (; record; record = next, nr++) {
                        next = record->batch_next;
                        expire(service, record, now_ms);
                        release(record);
                }
        }
        return nr;
}

void tk_holds_stop(struct tk_service *service, int64_t now_ms) {
        for (unsigned i = 0; i < tk_holds_shards(); i++) {
                struct tk_holds_record *record = tk_holds_take_all(service->holds, i), *next;
                for (; record; record = next) {
                        next = record->batch_next;
                        stop_hold(service, record, now_ms);
                        release(record);
                }
        }
}
