/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native_verify.h"

#include "api/native.h"

#include <stdlib.h>

/* One question under way. Owned by the loop until it is answered. */
struct job {
        struct tk_api_call c; /* c.call is NULL once the client is gone */
};

static void answer(struct tk_api_call *c, const struct tk_verify_answer *answer) {
        struct tk_buf body = TK_BUF(TK_NATIVE_ANSWER_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        if (answer->err != TK_OK) {
                tk_api_fault(c, answer->err);
                return;
        }
        tk_jw_object(&w);
        tk_native_write_verdict(&w, answer->verdict, answer->refusal, c->now_ms);
        tk_jw_key(&w, "key");
        tk_native_write_key_in_full(&w, answer->key, answer->standing, answer->standing_nr);
        tk_jw_end(&w);
        tk_api_reply(c, 200, &body);
}

static void done(void *ctx, const struct tk_verify_answer *said) {
        struct job *job = ctx;
        if (job->c.call)
                answer(&job->c, said);
        free(job);
}

static void verify(struct tk_api_call *c, const struct tk_native_verify *v, struct tk_snapshot **snapshot) {
        const struct tk_model *model = tk_native_model_get(c, &v->model);
        struct tk_verify_ask ask = {
                .facts = tk_native_facts(c, tk_snapshot_key(*snapshot), &v->model, model, v->has_cost),
                .amounts = v->counts,
                .model = v->model.id,
                .now_ms = c->now_ms};
        struct job *job = calloc(1, sizeof *job);
        if (!job) {
                tk_api_fault(c, TK_E_NO_MEMORY);
                return;
        }
        if (v->scope != TK_SCOPE_NONE)
                ask.facts.scope_needed = v->scope;
        tk_api_keep(c, &job->c);
        tk_verify(c->worker, &ask, snapshot, done, job);
}

void tk_api_verify(struct tk_api_call *c) {
        struct tk_native_verify v;
        struct tk_snapshot *snapshot;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        char why[TK_CHECK_WHY_MAX];
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!tk_api_wants_json(c, TK_NATIVE_BODY_BYTES_MAX))
                return;
        enum tk_err err = tk_native_read_verify(tk_call_body(c->call), &v, &refusal, why);
        if (!tk_api_was_read(c, err, &refusal, why)) {
                tk_key_text_wipe(&v.key.text);
                return;
        }
        err = tk_native_identify(c, &v.key, &snapshot);
        if (err != TK_OK)
                tk_api_fault(c, err);
        else if (!snapshot)
                tk_native_answer_unknown(c);
        else
                verify(c, &v, &snapshot);
        tk_snapshot_release(&snapshot);
}
