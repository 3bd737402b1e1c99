/* SPDX-License-Identifier: Apache-2.0
 *
 * call: one request on its way through the API layer, and the ways to end it.
 *
 * The router fills a struct tk_api_call and lends it to the handler; it is gone when the handler
 * returns. A handler that answers later copies the struct into memory of its own (spans in it live as
 * long as the call), and, when it still needs the caller's key, takes the snapshot: it sets c->snapshot
 * to NULL and releases its copy itself. Otherwise the router releases it.
 */
#ifndef TK_API_CALL_H
#define TK_API_CALL_H

#include "api/dialect.h"
#include "api/problem.h"
#include "api/route.h"
#include "http/server.h"
#include "service/keys.h"

struct tk_relays;
struct tk_upstream;

/* One for the process: the ctx of tk_on_call_f and tk_on_refuse_f. Immutable after start. */
struct tk_api {
        int64_t started_ms; /* shown as the models' time of creation, which the catalog does not know */
};

/* What tk_loop_data() of every loop points to; the daemon sets it when the loop starts. */
struct tk_api_loop {
        struct tk_worker *worker;
        struct tk_upstream *upstream;
        struct tk_relays *left; /* relays that go on without their client */
};

struct tk_api_call {
        const struct tk_api *api;
        struct tk_call *call;
        struct tk_api_loop *loop;
        struct tk_worker *worker;     /* loop->worker */
        const struct tk_route *route; /* NULL while there is none yet */
        enum tk_dialect_id dialect;   /* of the route, or of the path */
        struct tk_snapshot *snapshot; /* of the caller's key; NULL when no key was needed or good */
        const struct tk_key *key;     /* in the snapshot */
        struct tk_str id; /* the path's {id}, decoded and NUL-terminated; empty when it has none */
        int64_t now_ms;
        bool key_sent;
        bool above_key; /* what refused is a limit of the workspace or organisation: tk_problem.above_key */
};

/*
 * Copies a call that is answered later into memory that lives until it is: what is the router's is NULL
 * there, and so is kept->call from the moment that the client is gone.
 */
void tk_api_keep(const struct tk_api_call *c, struct tk_api_call *kept);

/* Whoever the call's key belongs to, as the audit log shall know them. The route needs a key. */
struct tk_actor tk_api_actor(const struct tk_api_call *c);
/* Who takes back what that call made, when nobody is there to be told its secret. */
struct tk_actor tk_api_undoer(const struct tk_api_call *c);
/* Takes back the key that was made for a call whose client is gone. */
void tk_api_take_back(const struct tk_api_call *kept, const struct tk_actor *undoer,
                      const struct tk_key *key);

/*
 * Answers with the row of tbl/problem.tbl in the call's dialect. param: the parameter to blame, or NULL;
 * detail: a sentence more, or NULL (of MODEL_PRIVACY: the model's id); neither may hold a key. Both are
 * copied. The call is over afterwards.
 */
void tk_api_problem(struct tk_api_call *c, enum tk_problem_id id, const char *param, const char *detail);
/* The same with tk_problem_of_err(err). */
void tk_api_fault(struct tk_api_call *c, enum tk_err err);
/* Answers with JSON and frees the buffer; a buffer that failed becomes a fault. The call is over. */
void tk_api_reply(struct tk_api_call *c, int status, struct tk_buf *body);
/* The same with 200, and wipes the buffer. It must not have grown since it had a secret in it. */
void tk_api_reply_secret(struct tk_api_call *c, struct tk_buf *body);

/*
 * Is the request's media type application/json? Parameters such as charset are allowed. Answers with
 * CONTENT_TYPE otherwise, and with TOO_LARGE when the body is longer than body_bytes_max; then false.
 */
bool tk_api_wants_json(struct tk_api_call *c, size_t body_bytes_max);
/*
 * What a body's reader came to. True: it could be read. Otherwise the call has been answered: RANGE with
 * refusal, which is the dialect's answer with 400; SYNTAX with why it is no JSON. Frees refusal.
 */
bool tk_api_was_read(struct tk_api_call *c, enum tk_err err, struct tk_buf *refusal, const char *why);

#endif
