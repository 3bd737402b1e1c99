/* SPDX-License-Identifier: Apache-2.0 */
#include "api/router.h"

#include "api/credential.h"
#include "api/handlers.h"
#include "http/respond.h"

/* Its SDKs send a failed request again unless the answer has one (portkey sheet 3.3), even one that made a
 * key. */
#define PORTKEY_REQUEST_ID "x-portkey-request-id"

#define ROUTE_GET    TK_METHOD_GET
#define ROUTE_POST   TK_METHOD_POST
#define ROUTE_PUT    TK_METHOD_PUT
#define ROUTE_PATCH  TK_METHOD_PATCH
#define ROUTE_DELETE TK_METHOD_DELETE

static const struct tk_route routes[] = {
#define TK_ROUTE(method_, path_, need_, dialect_, handler_, about_)                                          \
        {ROUTE_##method_, path_, TK_NEED_##need_, TK_DIALECT_##dialect_, handler_, about_},
#include "route.tbl"
};

/* True: c has the caller's key (or the row needs none). False: refused, *problem says why. */
static bool admit(struct tk_api_call *c, enum tk_problem_id *problem) {
        struct tk_str headers[TK_CREDENTIAL_HEADER_NR], text;
        struct tk_facts facts = {.now_ms = c->now_ms, .scope_needed = tk_need_scope(c->route->need)};

        for (unsigned i = 0; i < TK_CREDENTIAL_HEADER_NR; i++)
                headers[i] = tk_call_header(c->call, tk_credential_header_name(i));
        enum tk_credential credential = tk_credential_pick(headers, &text);
        c->key_sent = facts.key_sent = credential != TK_CREDENTIAL_NONE;
        if (credential == TK_CREDENTIAL_CONFLICT) {
                *problem = TK_PROBLEM_KEY_CONFLICT;
                return false;
        }
        if (credential == TK_CREDENTIAL_ONE) {
                enum tk_err err = tk_keys_identify(c->worker, text, &c->snapshot);
                if (err != TK_OK && err != TK_E_NOT_FOUND) {
                        *problem = tk_problem_of_err(err);
                        return false;
                }
                if (err == TK_OK) {
                        facts.key = c->key = tk_snapshot_key(c->snapshot);
                        facts.scope_needed = tk_need_scope_held(c->route->need, &c->key->scopes);
                }
        }
        enum tk_verdict verdict = tk_verdict_decide(&facts);
        if (verdict == TK_VERDICT_PASS)
                return true;
        *problem = tk_problem_of_verdict(verdict, facts.scope_needed);
        return false;
}

/* A guest whose key is not good is served as if it had sent none. */
static void admit_guest(struct tk_api_call *c) {
        static const struct tk_route models = {.need = TK_NEED_MODELS_READ};
        enum tk_problem_id ignored;
        const struct tk_route *route = c->route;
        c->route = &models;
        if (!admit(c, &ignored)) {
                tk_snapshot_release(&c->snapshot);
                c->key = NULL;
        }
        c->route = route;
}

static void refuse_route(struct tk_api_call *c, unsigned allow) {
        char methods[64];
        if (allow == 0) {
                tk_api_problem(c, TK_PROBLEM_NOT_FOUND, NULL, NULL);
                return;
        }
        tk_route_allow_text(allow, methods);
        tk_call_add_header(c->call, "allow", tk_str_of(methods));
        tk_api_problem(c, TK_PROBLEM_METHOD, NULL, NULL);
}

/* The {id} outlives this turn only when the call owns it. */
static bool keep_id(struct tk_api_call *c, const struct tk_route_found *found) {
        if (found->id.len == 0)
                return true;
        char *id = tk_call_alloc(c->call, found->id.len + 1);
        if (!id)
                return false;
        (void)tk_str_copy(found->id, id, found->id.len + 1);
        c->id = (struct tk_str){id, found->id.len};
        return true;
}

/* The row, which for a path of the second spelling must be one of Portkey's. */
static void find(struct tk_api_call *c, struct tk_route_found *found) {
        char room[TK_ROUTE_ALIAS_MAX];
        struct tk_str path = tk_call_path(c->call);
        bool alias = tk_route_alias(path, room, &path);
        tk_route_find(routes, sizeof(routes) / sizeof(routes[0]), tk_call_method(c->call), path, found);
        if (alias && tk_route_dialect(path) != TK_DIALECT_PORTKEY)
                *found = (struct tk_route_found){0};
        c->route = found->route;
        if (found->route)
                c->dialect = found->route->dialect;
}

/* Who comes to a route of OpenAI's with Portkey's header is a client of Portkey's gateway. */
static void pick_dialect(struct tk_api_call *c) {
        struct tk_str key = tk_call_header(c->call, tk_credential_header_name(TK_CREDENTIAL_PORTKEY));
        if (c->dialect == TK_DIALECT_OPENAI && tk_str_trim(key).len > 0)
                c->dialect = TK_DIALECT_GATEWAY;
        if (c->dialect == TK_DIALECT_PORTKEY || c->dialect == TK_DIALECT_GATEWAY)
                tk_call_add_header(c->call, PORTKEY_REQUEST_ID, tk_str_of(tk_call_id(c->call)));
}

void tk_api_on_call(struct tk_call *call, void *ctx) {
        struct tk_route_found found;
        enum tk_problem_id problem;
        struct tk_api_loop *loop = tk_loop_data(tk_call_loop(call));
        struct tk_api_call c = {
                .api = ctx,
                .call = call,
                .loop = loop,
                .worker = loop->worker,
                .dialect = tk_route_dialect(tk_call_path(call)),
                .now_ms = tk_call_now_ms(call),
        };
        find(&c, &found);
        pick_dialect(&c);
        if (!found.route) {
                refuse_route(&c, found.allow);
                return;
        }
        if (!keep_id(&c, &found)) {
                tk_api_fault(&c, TK_E_NO_MEMORY);
                return;
        }
        if (c.route->need == TK_NEED_GUEST)
                admit_guest(&c);
        if (c.route->need > TK_NEED_GUEST && !admit(&c, &problem)) {
                tk_api_problem(&c, problem, NULL, NULL);
                tk_snapshot_release(&c.snapshot);
                return;
        }
        if (c.key)
                tk_keys_touch(c.worker, c.snapshot, c.now_ms);
        c.route->handler(&c);
        /* The call may be over here; only the snapshot, unless taken, is still ours. */
        tk_snapshot_release(&c.snapshot);
}

void tk_api_on_refuse(const struct tk_refused *refused, void *ctx) {
        TK_UNUSED(ctx);
        struct tk_problem problem = {.id = tk_problem_of_status(refused->status),
                                     .status = refused->status,
                                     .detail = refused->why};
        enum tk_dialect_id dialect = tk_route_dialect(refused->path);
        tk_dialect(dialect)->render(&problem, refused->body);
        if (dialect == TK_DIALECT_PORTKEY)
                tk_respond_header(refused->headers, PORTKEY_REQUEST_ID, tk_str_of(refused->id));
}
