/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native_holds.h"

#include "api/native.h"

#include <stdlib.h>
#include <string.h>

/* One operation under way. Owned by the loop until it is answered. */
struct job {
        struct tk_api_call c; /* c.call is NULL once the client is gone: the operation goes on */
        struct tk_id org;
        char name[TK_HOLD_NAME_MAX + 1];
        bool judges; /* the answer has a verdict */
        bool has_key;
        struct tk_id key;
        char description[TK_DESCRIPTION_BYTES_MAX + 1];
};

/* Answers by itself when there is no memory. */
static struct job *new_job(struct tk_api_call *c, struct tk_str name, bool judges) {
        struct job *job = calloc(1, sizeof *job);
        if (!job) {
                tk_api_fault(c, TK_E_NO_MEMORY);
                return NULL;
        }
        tk_api_keep(c, &job->c);
        job->org = c->key->org;
        job->judges = judges;
        bool fitted = tk_str_copy(name, job->name, sizeof job->name);
        MUST(fitted); /* it is a name */
        return job;
}

/* ---- answers ---- */

static void answer_hold(struct job *job, const struct tk_holds_answer *answer) {
        struct tk_buf body = TK_BUF(TK_NATIVE_ANSWER_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        tk_jw_object(&w);
        if (job->judges)
                tk_native_write_verdict(&w, answer->verdict, answer->refusal, job->c.now_ms);
        if (answer->outcome == TK_HOLDS_REPLAYED) {
                tk_jw_key(&w, "replayed");
                tk_jw_bool(&w, true);
        }
        if (answer->view) {
                tk_jw_key(&w, "hold");
                tk_native_write_hold(&w, job->name, answer->view);
        }
        if (job->has_key) {
                tk_jw_key(&w, "key");
                tk_native_write_key(&w, job->key, job->description);
        }
        tk_jw_end(&w);
        tk_api_reply(&job->c, 200, &body);
}

static void answer_ended(struct job *job, enum tk_hold_state state) {
        enum tk_problem_id id = TK_PROBLEM_INTERNAL;
        if (state == TK_HOLD_POSTED)
                id = TK_PROBLEM_HOLD_POSTED;
        else if (state == TK_HOLD_VOIDED)
                id = TK_PROBLEM_HOLD_VOIDED;
        else if (state == TK_HOLD_EXPIRED)
                id = TK_PROBLEM_HOLD_EXPIRED;
        tk_api_problem(&job->c, id, NULL, NULL);
}

static void answer_fault(struct job *job, enum tk_err err) {
        if (err == TK_E_RANGE)
                tk_api_problem(&job->c, TK_PROBLEM_INVALID_PARAM, "by", "The hold would become too large.");
        else
                tk_api_fault(&job->c, err);
}

static void answer(struct job *job, const struct tk_holds_answer *answer) {
        switch (answer->outcome) {
        case TK_HOLDS_DONE:
        case TK_HOLDS_REPLAYED:
        case TK_HOLDS_REFUSED:
                answer_hold(job, answer);
                break;
        case TK_HOLDS_CONFLICT:
                tk_api_problem(&job->c, TK_PROBLEM_CONFLICT, "id", NULL);
                break;
        case TK_HOLDS_ENDED:
                answer_ended(job, answer->view->hold.state);
                break;
        case TK_HOLDS_UNKNOWN:
                tk_api_problem(&job->c, TK_PROBLEM_NO_SUCH_HOLD, NULL, NULL);
                break;
        case TK_HOLDS_CROWDED:
                tk_call_add_header(job->c.call, "retry-after", TK_STR("1"));
                tk_api_problem(&job->c, TK_PROBLEM_TOO_MANY_HOLDS, NULL, NULL);
                break;
        case TK_HOLDS_FAULT:
                answer_fault(job, answer->err);
                break;
        }
}

static void done(void *ctx, const struct tk_holds_answer *said) {
        struct job *job = ctx;
        if (job->c.call)
                answer(job, said);
        free(job);
}

/* ---- authorize ---- */

static void authorize(struct tk_api_call *c, const struct tk_native_authorize *a,
                      const struct tk_model *model, struct tk_snapshot **snapshot) {
        const struct tk_key *key = tk_snapshot_key(*snapshot);
        struct job *job = new_job(c, tk_str_of(a->id), true);
        if (!job)
                return;
        job->has_key = true;
        job->key = key->id;
        memcpy(job->description, key->description, sizeof job->description);
        struct tk_holds_ask ask = {.org = job->org,
                                   .name = tk_str_of(job->name),
                                   .facts = tk_native_facts(c, key, &a->model, model, a->has_cost),
                                   .least = a->least,
                                   .most = a->asked,
                                   .priced = a->model.has_tokens,
                                   .life_ms = a->life_ms,
                                   .model = a->model.id,
                                   .now_ms = c->now_ms};
        tk_holds_authorize(c->worker, &ask, snapshot, done, job);
}

static void authorize_read(struct tk_api_call *c, struct tk_native_authorize *a) {
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        struct tk_snapshot *snapshot;
        const struct tk_model *model = tk_native_model_get(c, &a->model);
        enum tk_err err = tk_native_complete(a, model && model->priced ? &model->price : NULL, &refusal);
        if (!tk_api_was_read(c, err, &refusal, NULL))
                return;
        err = tk_native_identify(c, &a->key, &snapshot);
        if (err != TK_OK)
                tk_api_fault(c, err);
        else if (!snapshot)
                tk_native_answer_unknown(c);
        else
                authorize(c, a, model, &snapshot);
        tk_snapshot_release(&snapshot);
}

void tk_api_authorize(struct tk_api_call *c) {
        struct tk_native_authorize a;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        char why[TK_CHECK_WHY_MAX];
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!tk_api_wants_json(c, TK_NATIVE_BODY_BYTES_MAX))
                return;
        enum tk_err err = tk_native_read_authorize(tk_call_body(c->call), &a, &refusal, why);
        if (tk_api_was_read(c, err, &refusal, why))
                authorize_read(c, &a);
        tk_key_text_wipe(&a.key.text);
}

/* ---- what is done with a hold ---- */

/* The job of a call that names a hold in its path; NULL: answered. */
static struct job *job_of_path(struct tk_api_call *c, bool judges) {
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (tk_hold_name_ok(c->id))
                return new_job(c, c->id, judges);
        tk_api_problem(c, TK_PROBLEM_NO_SUCH_HOLD, NULL, NULL); /* no hold can have such a name */
        return NULL;
}

void tk_api_holds_get(struct tk_api_call *c) {
        struct job *job = job_of_path(c, false);
        if (job)
                tk_holds_get(c->worker, job->org, tk_str_of(job->name), c->now_ms, done, job);
}

void tk_api_holds_extend(struct tk_api_call *c) {
        struct tk_holds_more more;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        char why[TK_CHECK_WHY_MAX];
        if (!tk_api_wants_json(c, TK_NATIVE_BODY_BYTES_MAX))
                return;
        enum tk_err err = tk_native_read_extend(tk_call_body(c->call), &more, &refusal, why);
        if (!tk_api_was_read(c, err, &refusal, why))
                return;
        struct job *job = job_of_path(c, true);
        if (job)
                tk_holds_extend(c->worker, job->org, tk_str_of(job->name), &more, c->now_ms, done, job);
}

/* What the tokens of a model cost, as what was really used. False: answered. */
static bool price_actual(struct tk_api_call *c, const struct tk_native_model *named,
                         struct tk_holds_actual *actual) {
        const struct tk_model *model = tk_native_model_get(c, named);
        struct tk_money cost;
        if (!model) {
                tk_api_problem(c, TK_PROBLEM_MODEL_UNKNOWN, "model", NULL);
                return false;
        }
        if (!model->priced) {
                tk_api_problem(c, TK_PROBLEM_MODEL_UNPRICED, "model", NULL);
                return false;
        }
        enum tk_err err = tk_price_cost(&model->price, &named->tokens, &cost);
        if (err == TK_OK) {
                actual->named = 1u << TK_METER_USD | 1u << TK_METER_TOKENS;
                actual->priced = true;
                actual->amounts.of[TK_METER_USD] = cost.nano;
                actual->amounts.of[TK_METER_TOKENS] = (int64_t)(named->tokens.input + named->tokens.output);
                actual->tokens = named->tokens;
        }
        if (err == TK_OK && tk_hold_amounts_ok(&actual->amounts))
                return true;
        tk_api_problem(c, TK_PROBLEM_INVALID_PARAM, "input_tokens",
                       "This many tokens cost more than one hold may have.");
        return false;
}

void tk_api_holds_post(struct tk_api_call *c) {
        struct tk_native_model model;
        struct tk_holds_actual actual;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        char why[TK_CHECK_WHY_MAX];
        if (!tk_api_wants_json(c, TK_NATIVE_BODY_BYTES_MAX))
                return;
        enum tk_err err = tk_native_read_post(tk_call_body(c->call), &model, &actual, &refusal, why);
        if (!tk_api_was_read(c, err, &refusal, why))
                return;
        if (model.has_tokens && !price_actual(c, &model, &actual))
                return;
        actual.model = model.id;
        struct job *job = job_of_path(c, false);
        if (job)
                tk_holds_post(c->worker, job->org, tk_str_of(job->name), &actual, c->now_ms, done, job);
}

void tk_api_holds_void(struct tk_api_call *c) {
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        char why[TK_CHECK_WHY_MAX];
        if (tk_call_body(c->call).len && !tk_api_wants_json(c, TK_NATIVE_BODY_BYTES_MAX))
                return;
        enum tk_err err = tk_native_read_nothing(tk_call_body(c->call), &refusal, why);
        if (!tk_api_was_read(c, err, &refusal, why))
                return;
        struct job *job = job_of_path(c, false);
        if (job)
                tk_holds_void(c->worker, job->org, tk_str_of(job->name), c->now_ms, done, job);
}
