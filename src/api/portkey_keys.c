/* SPDX-License-Identifier: Apache-2.0 */
#include "api/portkey_keys.h"

#include "api/portkey_apply.h"
#include "api/portkey_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX 1024 /* of create: an id and a secret */
#define REFUSED          TK_E_CONFLICT

/* One write under way. Owned by the loop; on the writer's thread while it is changed there, until done. */
struct job {
        struct tk_api_call c; /* c.call is NULL once the client is gone */
        struct tk_portkey_caller caller;
        struct tk_id id;
        struct tk_actor actor;
        struct tk_actor
                undoer; /* create: who takes the key back when nobody is there to be told its secret */
        struct tk_key_text secret; /* create: wiped when the job is freed */
        struct tk_portkey_body body;
        /* reset_usage: what had been posted in which window of which limit */
        struct tk_limit forgiven;
        /* why it was refused, when the error is REFUSED */
        enum tk_problem_id problem;
        const char *param;
        char detail[200];
};

/* ---- callers ---- */

struct tk_portkey_caller tk_portkey_caller_of(const struct tk_api_call *c) {
        return (struct tk_portkey_caller){.org = c->key->org,
                                          .workspace = c->key->workspace,
                                          .kind = c->key->kind,
                                          .scopes = c->key->scopes};
}

bool tk_portkey_sees(const struct tk_portkey_caller *caller, const struct tk_key *key) {
        return tk_id_eq(caller->org, key->org) &&
               (caller->kind == TK_KIND_ADMIN || tk_id_eq(caller->workspace, key->workspace));
}

bool tk_portkey_may(const struct tk_portkey_caller *caller, const struct tk_api_call *c,
                    enum tk_key_kind kind) {
        return tk_scopes_has(&caller->scopes, tk_need_scope_of_kind(c->route->need, kind));
}

enum tk_err tk_portkey_workspace(const struct tk_api_call *c, const struct tk_portkey_caller *caller,
                                 struct tk_str text, struct tk_id *out) {
        *out = caller->workspace;
        if (text.len == 0)
                return TK_OK;
        enum tk_err err = tk_keys_workspace(c->worker, caller->org, text, out);
        bool own = err != TK_OK || caller->kind == TK_KIND_ADMIN || tk_id_eq(*out, caller->workspace);
        return own ? err : TK_E_NOT_FOUND;
}

/* ---- jobs ---- */

static void free_job(struct job *job) {
        tk_key_text_wipe(&job->secret);
        free(job);
}

/* Answers by itself when there is no memory. */
static struct job *new_job(struct tk_api_call *c) {
        struct job *job = calloc(1, sizeof *job);
        if (!job) {
                tk_api_fault(c, TK_E_NO_MEMORY);
                return NULL;
        }
        tk_api_keep(c, &job->c);
        job->caller = tk_portkey_caller_of(c);
        job->actor = tk_api_actor(c);
        job->undoer = tk_api_undoer(c);
        return job;
}

TK_PRINTF(4, 5)
static enum tk_err refuse(struct job *job, enum tk_problem_id problem, const char *param, const char *fmt,
                          ...) {
        va_list args;
        job->problem = problem;
        job->param = param;
        va_start(args, fmt);
        vsnprintf(job->detail, sizeof job->detail, fmt, args);
        va_end(args);
        return REFUSED;
}

static enum tk_err forbid(struct job *job) {
        job->problem = TK_PROBLEM_SCOPE;
        return REFUSED;
}

static void answer_fault(struct job *job, enum tk_err err) {
        if (err == TK_E_NOT_FOUND)
                tk_api_problem(&job->c, TK_PROBLEM_NO_SUCH_KEY, NULL, NULL);
        else if (err == REFUSED && job->problem != TK_PROBLEM_NR)
                tk_api_problem(&job->c, job->problem, job->param, job->detail[0] ? job->detail : NULL);
        else
                tk_api_fault(&job->c, err);
}

/* Reads the body into the job. False: the call was answered and the job freed. */
static bool read_body(struct job *job, bool create) {
        char why[TK_CHECK_WHY_MAX];
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        struct tk_api_call *c = &job->c;
        job->problem = TK_PROBLEM_NR;
        bool good = tk_api_wants_json(c, TK_PORTKEY_BODY_BYTES_MAX);
        if (good) {
                enum tk_err err =
                        tk_portkey_read(tk_call_body(c->call), create, c->now_ms, &job->body, &refusal, why);
                good = tk_api_was_read(c, err, &refusal, why);
        }
        if (!good)
                free_job(job);
        return good;
}

/* What may be granted is judged against the key as it is. */
static enum tk_err apply(struct job *job, struct tk_key *key, struct tk_profile *profile) {
        struct tk_portkey_fault fault = {0};
        enum tk_scope which = TK_SCOPE_NONE;
        if (job->body.scopes == TK_SEEN_GOOD) {
                enum tk_err err = tk_portkey_grant(job->caller.kind, &job->caller.scopes, key->kind,
                                                   &key->scopes, &job->body.scope_set, &which);
                if (err == TK_E_RANGE)
                        return refuse(job, TK_PROBLEM_INVALID_PARAM, "scopes",
                                      "A key of this type may not have the scope '%s'.",
                                      tk_scope_name(which));
                if (err != TK_OK)
                        return forbid(job);
                key->scopes = job->body.scope_set;
        }
        if (tk_portkey_apply(&job->body, job->c.now_ms, key, profile, &fault) != TK_OK)
                return refuse(job, TK_PROBLEM_INVALID_PARAM, fault.param, "%s", fault.message);
        return TK_OK;
}

/* ---- POST ---- */

static void answer_created(struct job *job, const struct tk_key *key) {
        struct tk_buf body = TK_BUF(ANSWER_BYTES_MAX);
        /* All at once, so that no piece of the secret is left behind by growing. */
        if (tk_buf_room(&body, ANSWER_BYTES_MAX)) {
                struct tk_jw w = tk_jw_begin(&body);
                tk_portkey_write_created(&w, key, &job->secret);
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

/* Whose key it is to be. */
static enum tk_err place(struct job *job, struct tk_key *draft) {
        const struct tk_portkey_body *body = &job->body;
        draft->org = job->caller.org;
        enum tk_err err = tk_portkey_workspace(&job->c, &job->caller, tk_str_of(body->workspace_text),
                                               &draft->workspace);
        if (err == TK_E_NOT_FOUND)
                return refuse(job, TK_PROBLEM_INVALID_PARAM, "workspace_id", "There is no such workspace.");
        if (err != TK_OK || draft->kind != TK_KIND_USER)
                return err;
        err = tk_keys_user(job->c.worker, job->caller.org, tk_str_of(body->user_text), &draft->user);
        return err == TK_E_NOT_FOUND
                       ? refuse(job, TK_PROBLEM_INVALID_PARAM, "user_id", "There is no such user.")
                       : err;
}

static void create(struct tk_api_call *c, enum tk_key_kind kind) {
        struct tk_key draft = {.kind = kind, .period = TK_WINDOW_LIFETIME};
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        struct job *job = new_job(c);
        if (!job || !read_body(job, true))
                return;
        struct tk_profile *profile = tk_call_alloc(c->call, sizeof *profile);
        enum tk_err err = profile ? place(job, &draft) : TK_E_NO_MEMORY;
        if (err == TK_OK)
                err = apply(job, &draft, profile);
        if (err != TK_OK) {
                answer_fault(job, err);
                free_job(job);
                return;
        }
        tk_keys_create_profiled(c->worker, &job->actor, &draft, profile, c->now_ms, &job->secret, created,
                                job);
}

void tk_api_portkey_keys_create_admin(struct tk_api_call *c) {
        create(c, TK_KIND_ADMIN);
}

void tk_api_portkey_keys_create_service(struct tk_api_call *c) {
        create(c, TK_KIND_INFERENCE);
}

void tk_api_portkey_keys_create_user(struct tk_api_call *c) {
        create(c, TK_KIND_USER);
}

void tk_api_portkey_keys_create_unknown(struct tk_api_call *c) {
        tk_api_problem(c, TK_PROBLEM_INVALID_PARAM, "type",
                       "Keys are of the types organisation/service, workspace/service and workspace/user.");
}

/* ---- PUT ---- */

/* On the writer's thread: touches nothing but the records and the job. */
static enum tk_err change(struct tk_key *key, struct tk_profile *profile, void *ctx) {
        struct job *job = ctx;
        if (!tk_portkey_sees(&job->caller, key))
                return TK_E_NOT_FOUND;
        if (!tk_portkey_may(&job->caller, &job->c, key->kind))
                return forbid(job);
        if (job->body.reset_usage) {
                struct tk_limit *limit = tk_portkey_usage_limit(key);
                if (limit && limit->meter == job->forgiven.meter &&
                    tk_window_spec_eq(limit->window, job->forgiven.window)) {
                        limit->base = job->forgiven.base;
                        limit->base_number = job->forgiven.base_number;
                }
                profile->reset_ms = job->c.now_ms;
        }
        return apply(job, key, profile);
}

static void changed(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct job *job = ctx;
        TK_UNUSED(key);
        if (job->c.call && err == TK_OK)
                tk_call_reply(job->c.call, 200, "application/json", TK_STR("{}"));
        else if (job->c.call)
                answer_fault(job, err);
        free_job(job);
}

/*
 * Everything that was answered before is in the store now: that much is forgiven. A post that comes before
 * the change counts as one that came after it.
 */
static void reset_ready(void *ctx, enum tk_err err) {
        struct job *job = ctx;
        struct tk_worker *worker = job->c.worker;
        struct tk_key key;
        const struct tk_limit *limit = NULL;
        struct tk_profile *profile = malloc(sizeof *profile);
        if (err == TK_OK)
                err = profile ? tk_keys_find(worker, job->caller.org, job->id, &key, profile)
                              : TK_E_NO_MEMORY;
        free(profile);
        if (err == TK_OK)
                limit = tk_portkey_usage_limit(&key);
        if (limit) {
                job->forgiven = *limit;
                err = tk_keys_posted(worker, job->id, limit, job->c.now_ms, &job->forgiven.base_number,
                                     &job->forgiven.base);
                if (job->forgiven.base == 0)
                        job->forgiven.base_number = 0;
        }
        if (err == TK_OK)
                tk_keys_change(worker, &job->actor, job->caller.org, job->id, job->c.now_ms, change, changed,
                               job);
        else
                changed(job, err, NULL);
}

void tk_api_portkey_keys_update(struct tk_api_call *c) {
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        struct job *job = new_job(c);
        if (!job || !read_body(job, false))
                return;
        if (!tk_id_parse(c->id, &job->id)) {
                tk_api_problem(c, TK_PROBLEM_NO_SUCH_KEY, NULL, NULL);
                free_job(job);
                return;
        }
        if (job->body.reset_usage)
                tk_keys_barrier(c->worker, reset_ready, job);
        else
                tk_keys_change(c->worker, &job->actor, job->caller.org, job->id, c->now_ms, change, changed,
                               job);
}

/* ---- DELETE ---- */

static enum tk_err revoke(struct tk_key *key, struct tk_profile *profile, void *ctx) {
        struct job *job = ctx;
        TK_UNUSED(profile);
        if (!tk_portkey_sees(&job->caller, key))
                return TK_E_NOT_FOUND;
        if (!tk_portkey_may(&job->caller, &job->c, key->kind))
                return forbid(job);
        key->revoked_ms = job->c.now_ms;
        return TK_OK;
}

/* A body is allowed and means nothing: one of the SDKs sends the id again. */
void tk_api_portkey_keys_delete(struct tk_api_call *c) {
        struct tk_id id;
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!tk_id_parse(c->id, &id)) {
                tk_api_problem(c, TK_PROBLEM_NO_SUCH_KEY, NULL, NULL);
                return;
        }
        struct job *job = new_job(c);
        if (!job)
                return;
        job->id = id;
        job->problem = TK_PROBLEM_NR;
        tk_keys_change(c->worker, &job->actor, job->caller.org, id, c->now_ms, revoke, changed, job);
}
