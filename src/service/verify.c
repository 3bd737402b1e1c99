/* SPDX-License-Identifier: Apache-2.0 */
#include "service/verify.h"

#include "rt/rand.h"
#include "service/service_int.h"

#include <stdlib.h>
#include <string.h>

/*
 * Freed when the last of two has let go: whoever asked, and the post that tells how it landed. A failing
 * store answers the first at once and the second when it has recovered.
 */
struct op {
        struct tk_job wait; /* behind the post, in the writer's queue */
        struct tk_worker *worker;
        struct tk_snapshot *snapshot;
        struct tk_verify_ask ask;
        char model[TK_MODEL_NAME_MAX + 1];
        struct tk_ticket *ticket;
        struct tk_refusal refusal;
        struct tk_verify_answer answer;
        enum tk_err land_err;
        atomic_uint refs;
        tk_verify_done_f *done;
        void *ctx;
};

static void let_go(struct op *op) {
        if (atomic_fetch_sub(&op->refs, 1) == 1)
                free(op);
}

static void deliver(struct op *op) {
        op->answer.key = tk_snapshot_key(op->snapshot);
        if (op->answer.err == TK_OK)
                op->answer.standing_nr =
                        tk_standing_of(op->worker, op->snapshot, op->ask.now_ms, op->answer.standing);
        op->done(op->ctx, &op->answer);
        tk_snapshot_release(&op->snapshot);
        let_go(op);
}

/* On the writer's thread, before the job behind it is done. */
static void on_landed(void *ctx, enum tk_err err) {
        struct op *op = ctx;
        op->land_err = err;
        let_go(op);
}

static void on_durable(struct tk_job *job) {
        struct op *op = (struct op *)((char *)job - offsetof(struct op, wait));
        op->answer.err = job->err != TK_OK ? job->err : op->land_err;
        deliver(op);
}

static bool is_money(const struct tk_amounts *amounts) {
        for (int m = 0; m < TK_METER_NR; m++)
                if (tk_meter_is_money((enum tk_meter)m) && amounts->of[m] > 0)
                        return true;
        return false;
}

static void count(struct op *op) {
        struct tk_entry entry = {0};
        memcpy(entry.model, op->model, sizeof entry.model);
        if (is_money(&op->ask.amounts)) {
                atomic_fetch_add(&op->refs, 1);
                tk_ledger_post_told(&op->ticket, &op->ask.amounts, &entry, op->ask.now_ms, on_landed, op);
                op->wait = (struct tk_job){.done = on_durable, .worker = op->worker};
                tk_writer_push(op->worker->service->writer, &op->wait);
                return;
        }
        if (tk_amounts_none(&op->ask.amounts))
                tk_ledger_void(&op->ticket);
        else
                tk_ledger_post(&op->ticket, &op->ask.amounts, &entry, op->ask.now_ms);
        deliver(op);
}

static void held(struct op *op, enum tk_hold_answer answer) {
        op->ask.facts.hold = answer;
        op->answer.verdict = tk_verdict_decide(&op->ask.facts);
        if (answer == TK_HOLD_TAKEN) {
                count(op);
                return;
        }
        if (op->answer.verdict == TK_VERDICT_STORE) {
                op->answer.err = TK_E_BUSY;
        } else {
                op->refusal = *tk_ticket_refusal(op->ticket);
                op->answer.refusal = &op->refusal;
        }
        tk_ledger_void(&op->ticket);
        deliver(op);
}

static void on_held(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        TK_UNUSED(ticket);
        held(ctx, answer);
}

static void start(struct op *op) {
        op->ask.facts.hold = TK_HOLD_TAKEN;
        op->answer.verdict = tk_verdict_decide(&op->ask.facts);
        if (op->answer.verdict != TK_VERDICT_PASS) {
                deliver(op);
                return;
        }
        enum tk_hold_answer answer =
                tk_ledger_hold(op->worker, op->snapshot, tk_rand_id(op->ask.now_ms), &op->ask.amounts,
                               &op->ask.amounts, op->ask.now_ms, on_held, op, &op->ticket);
        if (answer != TK_HOLD_UNTRIED)
                held(op, answer);
}

void tk_verify(struct tk_worker *worker, const struct tk_verify_ask *ask, struct tk_snapshot **snapshot,
               tk_verify_done_f *done, void *ctx) {
        static const struct tk_verify_answer no_memory = {.err = TK_E_NO_MEMORY};
        struct op *op = calloc(1, sizeof *op);
        if (!op) {
                done(ctx, &no_memory);
                tk_snapshot_release(snapshot);
                return;
        }
        op->worker = worker;
        op->snapshot = *snapshot;
        *snapshot = NULL;
        op->ask = *ask;
        op->ask.model = NULL; /* copied */
        bool fitted = tk_str_copy(tk_str_of(ask->model), op->model, sizeof op->model);
        MUST(fitted);
        atomic_init(&op->refs, 1);
        op->done = done;
        op->ctx = ctx;
        start(op);
}
