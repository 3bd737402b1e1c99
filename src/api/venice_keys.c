/* SPDX-License-Identifier: Apache-2.0 */
#include "api/venice_keys.h"

#include "api/call.h"
#include "api/query.h"
#include "api/venice_body.h"
#include "api/venice_view.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX 8192 /* one key: under 2 KiB even when every character of its text is escaped */

/* One write under way. Owned by the loop; edit is read by the writer's thread until done. */
struct job {
        struct tk_api_call c; /* c.call is NULL once the client is gone */
        struct tk_id org;
        struct tk_actor
                undoer; /* create: who takes the key back when nobody is there to be told its secret */
        struct tk_key_text secret;  /* create: wiped when the job is freed */
        struct tk_venice_edit edit; /* update */
};

static void free_job(struct job *job) {
        tk_key_text_wipe(&job->secret);
        free(job);
}

/* Answers by itself when there is no memory. */
static struct job *new_job(struct tk_api_call *c) {
        struct job *job = calloc(1, sizeof(*job));
        if (!job) {
                tk_api_fault(c, TK_E_NO_MEMORY);
                return NULL;
        }
        tk_api_keep(c, &job->c);
        job->org = c->key->org;
        job->undoer = tk_api_undoer(c);
        return job;
}

static void answer_key_fault(struct tk_api_call *c, enum tk_err err, enum tk_problem_id unknown) {
        if (err == TK_E_NOT_FOUND)
                tk_api_problem(c, unknown, NULL, NULL);
        else
                tk_api_fault(c, err);
}

/* {"data":...,"success":true} around what the caller writes between the two. */
static struct tk_jw begin_data(struct tk_buf *body) {
        struct tk_jw w = tk_jw_begin(body);
        tk_jw_object(&w);
        tk_jw_key(&w, "data");
        return w;
}

static void end_success(struct tk_jw *w) {
        tk_jw_key(w, "success");
        tk_jw_bool(w, true);
        tk_jw_end(w);
}

/* ---- POST ---- */

static void answer_created(struct job *job, const struct tk_key *key) {
        struct tk_buf body = TK_BUF(ANSWER_BYTES_MAX);
        /* All at once, so that no piece of the secret is left behind by growing. */
        if (tk_buf_room(&body, ANSWER_BYTES_MAX)) {
                struct tk_jw w = begin_data(&body);
                tk_venice_write_created(&w, key, &job->secret);
                end_success(&w);
        }
        tk_api_reply_secret(&job->c, &body);
}

static void created(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct job *job = ctx;
        if (job->c.call && err == TK_OK)
                answer_created(job, key);
        else if (job->c.call)
                tk_api_fault(&job->c, err);
        else if (err == TK_OK)
                tk_api_take_back(&job->c, &job->undoer, key);
        free_job(job);
}

void tk_api_venice_keys_create(struct tk_api_call *c) {
        struct tk_key draft;
        struct tk_venice_why why;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!tk_api_wants_json(c, TK_VENICE_BODY_BYTES_MAX))
                return;
        enum tk_err err = tk_venice_read_create(tk_call_body(c->call), c->now_ms, &draft, &refusal, &why);
        if (!tk_api_was_read(c, err, &refusal, why.text))
                return;
        /* Nobody hands out rights that they do not have. */
        if (!tk_scopes_cover(&c->key->scopes, &draft.scopes)) {
                tk_api_problem(c, TK_PROBLEM_SCOPE, NULL, NULL);
                return;
        }
        struct job *job = new_job(c);
        if (!job)
                return;
        draft.org = c->key->org;
        draft.workspace = c->key->workspace;
        const struct tk_actor actor = tk_api_actor(c);
        tk_keys_create(c->worker, &actor, &draft, c->now_ms, &job->secret, created, job);
}

/* ---- PATCH ---- */

/* On the writer's thread: touches nothing but the record and the job's edit. */
static enum tk_err edit_record(struct tk_key *key, void *ctx) {
        const struct job *job = ctx;
        return tk_venice_edit_apply(&job->edit, key);
}

static void updated(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct job *job = ctx;
        struct tk_buf body = TK_BUF(ANSWER_BYTES_MAX);
        if (job->c.call && err == TK_OK) {
                struct tk_jw w = begin_data(&body);
                tk_venice_write_key(&w, key, NULL);
                end_success(&w);
                tk_api_reply(&job->c, 200, &body);
        } else if (job->c.call) {
                answer_key_fault(&job->c, err, TK_PROBLEM_NO_KEY_TO_UPDATE);
        }
        free_job(job);
}

void tk_api_venice_keys_update(struct tk_api_call *c) {
        struct tk_venice_edit edit;
        struct tk_venice_why why;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!tk_api_wants_json(c, TK_VENICE_BODY_BYTES_MAX))
                return;
        enum tk_err err = tk_venice_read_edit(tk_call_body(c->call), c->now_ms, &edit, &refusal, &why);
        if (!tk_api_was_read(c, err, &refusal, why.text))
                return;
        if (!edit.id_ok) {
                tk_api_problem(c, TK_PROBLEM_NO_KEY_TO_UPDATE, NULL, NULL);
                return;
        }
        struct job *job = new_job(c);
        if (!job)
                return;
        job->edit = edit;
        const struct tk_actor actor = tk_api_actor(c);
        tk_keys_update(c->worker, &actor, job->org, edit.id, c->now_ms, edit_record, updated, job);
}

/* ---- DELETE ---- */

static void revoked(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct job *job = ctx;
        TK_UNUSED(key);
        if (job->c.call && err == TK_OK)
                tk_call_reply(job->c.call, 200, "application/json", TK_STR("{\"success\":true}"));
        else if (job->c.call)
                answer_key_fault(&job->c, err, TK_PROBLEM_NO_KEY_TO_DELETE);
        free_job(job);
}

void tk_api_venice_keys_delete(struct tk_api_call *c) {
        struct tk_query_value query;
        struct tk_venice_why why;
        struct tk_id id;
        bool id_ok;
        struct tk_str text = tk_call_body(c->call);
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (text.len && !tk_api_wants_json(c, TK_VENICE_BODY_BYTES_MAX))
                return;
        tk_query_get(tk_call_query(c->call), "id", &query);
        enum tk_err err =
                tk_venice_read_delete(text, query.nr > 0, query.same, (struct tk_str){query.at, query.len},
                                      &id_ok, &id, &refusal, &why);
        if (!tk_api_was_read(c, err, &refusal, why.text))
                return;
        if (!id_ok) {
                tk_api_problem(c, TK_PROBLEM_NO_KEY_TO_DELETE, NULL, NULL);
                return;
        }
        struct job *job = new_job(c);
        if (!job)
                return;
        const struct tk_actor actor = tk_api_actor(c);
        tk_keys_revoke(c->worker, &actor, job->org, id, c->now_ms, revoked, job);
}
