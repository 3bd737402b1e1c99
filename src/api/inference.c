/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request to a relay: media type, body, model, verdict, then the relay holds and calls. What the relay
 * has to say (refused, failed, cut) is said here, in the dialect of the route. Inside a stream errors
 * have the OpenAI form in both dialects, since that is what stream clients read (venice sheet 2.3).
 */
#include "api/inference.h"

#include "api/call.h"
#include "api/refusal.h"
#include "proxy/relay.h"
#include "rt/log.h"

#include <stdio.h>

#define REFUSAL_BYTES_MAX 512

struct inference {
        struct tk_api_call c; /* a copy: the router's ends with the handler */
        const struct tk_model *model;
};

/* ---- what the relay has to say ---- */

/* 429 says when it is worth trying again, where time alone can help; 402 is for somebody to pay. */
static void add_retry(struct tk_api_call *c, enum tk_problem_id id, const struct tk_refusal *refusal) {
        struct tk_problem problem = {.id = id};
        int64_t after_s = tk_refusal_retry_s(refusal, c->now_ms);
        char text[24];
        if (tk_problem_status(&problem, c->dialect) != 429 || after_s == 0)
                return;
        int len = snprintf(text, sizeof text, "%lld", (long long)after_s);
        tk_call_add_header(c->call, "retry-after", (struct tk_str){text, (size_t)len});
}

static void refused(void *ctx, enum tk_hold_answer answer, const struct tk_refusal *refusal) {
        struct inference *i = ctx;
        enum tk_problem_id id = tk_problem_of_refusal(answer, refusal);
        char text[REFUSAL_BYTES_MAX];
        struct tk_buf detail = TK_BUF_OVER(text);
        bool by_limit = id != TK_PROBLEM_STORE;
        if (id == TK_PROBLEM_RATE && i->c.dialect == TK_DIALECT_GATEWAY && tk_refusal_is_budget(refusal))
                id = TK_PROBLEM_CAP; /* Portkey's budgets are of money or of tokens, and are refused alike */
        if (by_limit) {
                tk_refusal_say(refusal, &detail);
                add_retry(&i->c, id, refusal);
                i->c.above_key = refusal->subject_kind == TK_SUBJECT_ORG ||
                                 refusal->subject_kind == TK_SUBJECT_WORKSPACE;
        }
        tk_api_problem(&i->c, id, NULL, by_limit && tk_buf_ok(&detail) ? detail.at : NULL);
}

static enum tk_problem_id problem_of_failure(enum tk_relay_failure what) {
        switch (what) {
        case TK_RELAY_NO_CONNECT:
                return TK_PROBLEM_UPSTREAM_DOWN;
        case TK_RELAY_TIMEOUT:
                return TK_PROBLEM_UPSTREAM_TIMEOUT;
        case TK_RELAY_MEMORY:
                return TK_PROBLEM_BUSY;
        case TK_RELAY_STORE:
                return TK_PROBLEM_STORE_CUT;
        case TK_RELAY_REQUEST:
                return TK_PROBLEM_CONTEXT;
        case TK_RELAY_CUT:
                return TK_PROBLEM_CAP;
        case TK_RELAY_REVOKED:
                return TK_PROBLEM_REVOKED;
        case TK_RELAY_EXPIRED:
                return TK_PROBLEM_EXPIRED;
        case TK_RELAY_AUTH:
        case TK_RELAY_BROKEN:
        case TK_RELAY_MALFORMED:
                break;
        }
        return TK_PROBLEM_UPSTREAM_FAILED;
}

static void failed(void *ctx, enum tk_relay_failure what) {
        struct inference *i = ctx;
        tk_api_problem(&i->c, problem_of_failure(what), NULL, NULL);
}

/* The provider's error without a JSON body: its status class decides, its words are not passed on. */
static void bare_status(void *ctx, int status) {
        struct inference *i = ctx;
        enum tk_problem_id id = TK_PROBLEM_UPSTREAM_FAILED;
        if (status == 429)
                id = TK_PROBLEM_RATE;
        else if (status == 503)
                id = TK_PROBLEM_UPSTREAM_DOWN;
        else if (status == 504 || status == 408)
                id = TK_PROBLEM_UPSTREAM_TIMEOUT;
        else if (status == 413)
                id = TK_PROBLEM_TOO_LARGE;
        else if (status / 100 == 4)
                id = TK_PROBLEM_INVALID_PARAM;
        tk_api_problem(&i->c, id, NULL, NULL);
}

static void in_band(void *ctx, enum tk_relay_failure what, const struct tk_refusal *refusal,
                    struct tk_buf *out) {
        struct tk_problem problem = {.id = problem_of_failure(what)};
        char text[REFUSAL_BYTES_MAX];
        struct tk_buf detail = TK_BUF_OVER(text);
        TK_UNUSED(ctx);
        if (what == TK_RELAY_CUT) {
                problem.id = tk_problem_of_refusal(TK_HOLD_NO_CAP, refusal);
                tk_buf_text(&detail, "The answer was cut here. ");
                tk_refusal_say(refusal, &detail);
                problem.detail = tk_buf_ok(&detail) ? detail.at : "The answer was cut here.";
        }
        tk_dialect(TK_DIALECT_OPENAI)->render(&problem, out);
}

static const struct tk_relay_voice voice = {
        .refused = refused, .failed = failed, .status = bare_status, .in_band = in_band};

/* ---- the checks before ---- */

static void refuse_request(struct tk_api_call *c, enum tk_err err, const struct tk_oa_fault *fault) {
        if (err == TK_E_SYNTAX || err == TK_E_TOO_BIG)
                tk_api_problem(c, TK_PROBLEM_INVALID_JSON, NULL, NULL);
        else
                tk_api_problem(c, TK_PROBLEM_INVALID_PARAM, fault->param, fault->message);
}

/* The router judged the key; now that the model is known, the whole ladder is judged again, in its order. */
static enum tk_verdict judge(const struct tk_api_call *c, const struct tk_model *model, bool produces) {
        struct tk_facts facts = {.key_sent = c->key_sent,
                                 .key = c->key,
                                 .now_ms = c->now_ms,
                                 .scope_needed = tk_need_scope(c->route->need),
                                 .model_needed = true,
                                 .model_known = model && (model->type == TK_MODEL_TEXT) == produces,
                                 .hold = TK_HOLD_TAKEN};
        if (model) {
                facts.model_priced = model->priced;
                facts.model_private = model->is_private;
                facts.model_is_text = true; /* text and embedding models count alike (venice sheet 0.3) */
        }
        return tk_verdict_decide(&facts);
}

static void refuse_verdict(struct tk_api_call *c, enum tk_verdict verdict, const char *model) {
        enum tk_problem_id id = tk_problem_of_verdict(verdict, tk_need_scope(c->route->need));
        bool about_model = id == TK_PROBLEM_MODEL_UNKNOWN || id == TK_PROBLEM_MODEL_UNPRICED;
        tk_api_problem(c, id, about_model ? "model" : NULL, id == TK_PROBLEM_MODEL_PRIVACY ? model : NULL);
}

static void infer(struct tk_api_call *c, const char *path, bool produces) {
        struct tk_oa_request request;
        if (!tk_api_wants_json(c, TK_INFERENCE_BODY_MAX))
                return;
        enum tk_err err = tk_oa_request_read(tk_call_body(c->call), &request);
        if (err != TK_OK) {
                refuse_request(c, err, &request.fault);
                return;
        }
        struct tk_str id = {request.model, request.model_len};
        const struct tk_model *model = tk_catalog_model_get(tk_worker_catalog(c->worker), id);
        enum tk_verdict verdict = judge(c, model, produces);
        if (verdict != TK_VERDICT_PASS) {
                refuse_verdict(c, verdict, request.model);
                return;
        }
        struct inference *i = tk_call_alloc(c->call, sizeof *i);
        if (!i) {
                tk_api_fault(c, TK_E_NO_MEMORY);
                return;
        }
        i->c = *c;
        i->c.snapshot = NULL;
        i->model = model;
        struct tk_relay_opt opt = {.call = c->call,
                                   .worker = c->worker,
                                   .upstream = c->loop->upstream,
                                   .left = c->loop->left,
                                   .snapshot = c->snapshot,
                                   .model = model,
                                   .path = path,
                                   .produces = produces,
                                   .request = &request,
                                   .step_tokens = tk_worker_step_tokens(c->worker),
                                   .spend_order = tk_worker_spend_order(c->worker),
                                   .voice = &voice,
                                   .ctx = i};
        c->snapshot = NULL; /* the relay's now */
        tk_relay_start(&opt);
}

void tk_api_chat(struct tk_api_call *c) {
        infer(c, "/chat/completions", true);
}

void tk_api_completions(struct tk_api_call *c) {
        infer(c, "/completions", true);
}

void tk_api_embeddings(struct tk_api_call *c) {
        infer(c, "/embeddings", false);
}
