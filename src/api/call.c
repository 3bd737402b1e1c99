/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"

#include "rt/log.h"

#include <string.h>

#define PROBLEM_BYTES_MAX 16384

static void copy(struct tk_str text, char *out, size_t size) {
        bool fitted = tk_str_copy(text, out, size);
        MUST(fitted);
}

/* The path as it was sent, or, when a record cannot hold that, the pattern that it fits. */
static struct tk_str uri_of(const struct tk_api_call *c) {
        const struct tk_str path = tk_call_path(c->call);
        bool is_plain = path.len <= TK_AUDIT_URI_MAX;
        for (size_t i = 0; is_plain && i < path.len; i++)
                is_plain = path.at[i] > ' ' && path.at[i] <= '~';
        return is_plain ? path : tk_str_of(c->route->path);
}

static void forget_call(struct tk_call *call, void *ctx) {
        struct tk_api_call *kept = ctx;
        TK_UNUSED(call);
        kept->call = NULL;
}

void tk_api_keep(const struct tk_api_call *c, struct tk_api_call *kept) {
        *kept = *c;
        kept->snapshot = NULL;
        kept->key = NULL;
        tk_call_on_gone(c->call, forget_call, kept);
}

struct tk_actor tk_api_actor(const struct tk_api_call *c) {
        struct tk_actor actor = {.kind = TK_ACTOR_KEY, .id = c->key->id, .status = 200};
        copy(tk_call_method(c->call), actor.method, sizeof actor.method);
        copy(uri_of(c), actor.uri, sizeof actor.uri);
        copy(tk_str_of(tk_call_id(c->call)), actor.request_id, sizeof actor.request_id);
        copy(tk_call_peer(c->call), actor.client, sizeof actor.client);
        return actor;
}

struct tk_actor tk_api_undoer(const struct tk_api_call *c) {
        struct tk_actor actor = tk_api_actor(c);
        actor.kind = TK_ACTOR_SYSTEM;
        actor.id = (struct tk_id){{0}};
        return actor;
}

static void ignore(void *ctx, enum tk_err err, const struct tk_key *key) {
        TK_UNUSED(ctx);
        TK_UNUSED(err);
        TK_UNUSED(key);
}

void tk_api_take_back(const struct tk_api_call *kept, const struct tk_actor *undoer,
                      const struct tk_key *key) {
        tk_keys_revoke(kept->worker, undoer, key->org, key->id, kept->now_ms, ignore, NULL);
}

void tk_api_problem(struct tk_api_call *c, enum tk_problem_id id, const char *param, const char *detail) {
        struct tk_problem problem = {
                .id = id,
                .param = param,
                .detail = detail,
                .privacy = c->key ? c->key->privacy : TK_PRIVACY_ALL,
                .above_key = c->above_key,
        };
        const struct tk_dialect *dialect = tk_dialect(c->dialect);
        int status = tk_problem_status(&problem, c->dialect);
        struct tk_buf body = TK_BUF(PROBLEM_BYTES_MAX);
        dialect->render(&problem, &body);
        if (!tk_buf_ok(&body)) {
                /* Too long a detail, or no memory: the row alone is short, and if that fails an empty body it
                 * is. */
                tk_buf_clear(&body);
                problem.param = problem.detail = NULL;
                dialect->render(&problem, &body);
                if (!tk_buf_ok(&body))
                        tk_buf_clear(&body);
        }
        /* RFC 9110 section 15.5.2 asks for the challenge, RFC 6750 section 3 for its error when a key was
         * sent. */
        if (status == 401)
                tk_call_add_header(c->call, "www-authenticate",
                                   c->key_sent ? TK_STR("Bearer realm=\"tollkey\", error=\"invalid_token\"")
                                               : TK_STR("Bearer realm=\"tollkey\""));
        if (id == TK_PROBLEM_STORE)
                tk_call_add_header(c->call, "retry-after", TK_STR("1"));
        tk_call_reply(c->call, status, dialect->error_type, tk_buf_str(&body));
        tk_buf_free(&body);
}

void tk_api_fault(struct tk_api_call *c, enum tk_err err) {
        enum tk_problem_id id = tk_problem_of_err(err);
        /* A fault of the store was logged where it was born; what should not be able to happen was not. */
        if (id == TK_PROBLEM_INTERNAL)
                tk_log(TK_ERROR, "api", "request %s failed: %s", tk_call_id(c->call), tk_err_text(err));
        tk_api_problem(c, id, NULL, NULL);
}

void tk_api_reply(struct tk_api_call *c, int status, struct tk_buf *body) {
        if (tk_buf_ok(body))
                tk_call_reply(c->call, status, "application/json", tk_buf_str(body));
        else
                tk_api_fault(c, TK_E_NO_MEMORY);
        tk_buf_free(body);
}

void tk_api_reply_secret(struct tk_api_call *c, struct tk_buf *body) {
        if (tk_buf_ok(body))
                tk_call_reply(c->call, 200, "application/json", tk_buf_str(body));
        else
                tk_api_fault(c, TK_E_NO_MEMORY);
        if (body->at)
                explicit_bzero(body->at, body->size);
        tk_buf_free(body);
}

bool tk_api_wants_json(struct tk_api_call *c, size_t body_bytes_max) {
        struct tk_str type = tk_call_header(c->call, "content-type");
        type = tk_str_trim(tk_str_head(type, tk_str_find(type, ';')));
        if (!tk_str_is_nocase(type, "application/json")) {
                tk_api_problem(c, TK_PROBLEM_CONTENT_TYPE, NULL, NULL);
                return false;
        }
        if (tk_call_body(c->call).len > body_bytes_max) {
                tk_api_problem(c, TK_PROBLEM_TOO_LARGE, NULL, NULL);
                return false;
        }
        return true;
}

bool tk_api_was_read(struct tk_api_call *c, enum tk_err err, struct tk_buf *refusal, const char *why) {
        if (err == TK_E_RANGE && !tk_buf_ok(refusal))
                err = TK_E_NO_MEMORY;
        if (err == TK_E_RANGE)
                tk_call_reply(c->call, 400, tk_dialect(c->dialect)->error_type, tk_buf_str(refusal));
        else if (err == TK_E_SYNTAX)
                tk_api_problem(c, TK_PROBLEM_INVALID_JSON, NULL, why);
        else if (err != TK_OK)
                tk_api_fault(c, err);
        tk_buf_free(refusal);
        return err == TK_OK;
}
