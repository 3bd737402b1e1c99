/* SPDX-License-Identifier: Apache-2.0
 *
 * relay: one call through a provider: hold, send, pass on, meter, post.
 *
 *   HOLDING --taken--> SENT --2xx event stream--> STREAMING --done--> SETTLING --> (freed)
 *      |refused          |--any other answer----> BUFFERING --end---->   |
 *      v                 v no answer
 *    refused()         failed()
 *
 * Bytes pass unchanged, but for the extra usage chunk that the client did not ask for. The meter counts as
 * they pass; before it runs past what the hold covers, the hold is extended by a step, and when nothing is
 * left to extend it with, the stream is cut with an in-band error. The post is queued before the
 * last byte goes out, so a client that saw the end can read its cost.
 *
 * A call is charged in one currency: the first of the spend order that can pay for all that it may cost, or,
 * when none can, the first that can pay for its beginning.
 *
 * Client gone: a stream is broken off and what was produced so far is posted; an answer in one piece, and a
 * stream that has only its report to come, are read to their end, so that what they really cost is posted;
 * one whose provider was not being read is read on for a moment first. Client slow: the provider waits, but
 * it may produce meanwhile all that it was told to, so all of that is held, or the stream is cut. Answers
 * other than 2xx cost nothing, nor does what never reached the provider whole. A request that did, and of
 * whose answer nothing came, costs its estimated input: the provider may have billed it.
 *
 * No relay outlives its call by itself: each wait is for the provider, whose fetch has its deadlines, for the
 * ledger, which answers everybody, or for the client, whose connection has a deadline for reading. So its
 * hold needs no time of its own.
 *
 * The key may end under a running stream: revoked or expired, it is cut at the next event. One relay belongs
 * to one loop's thread and frees itself.
 */
#ifndef TK_PROXY_RELAY_H
#define TK_PROXY_RELAY_H

#include "http/server.h"
#include "proxy/plan.h"
#include "proxy/upstream.h"
#include "service/keys.h"
#include "service/ledger.h"

enum tk_relay_failure {
        TK_RELAY_NO_CONNECT, /* the provider could not be reached */
        TK_RELAY_TIMEOUT,
        TK_RELAY_BROKEN,    /* the answer broke off */
        TK_RELAY_MALFORMED, /* the answer is no JSON, or too large */
        TK_RELAY_AUTH,      /* the provider refuses OUR credentials or account: not the caller's fault */
        TK_RELAY_CUT,       /* in-band only: the limit was reached in the middle of a stream */
        TK_RELAY_STORE,     /* in-band only: the store could not lend more in the middle of a stream */
        TK_RELAY_REVOKED,   /* in-band only: the key was revoked in the middle of a stream */
        TK_RELAY_EXPIRED,   /* in-band only */
        TK_RELAY_MEMORY,
        TK_RELAY_REQUEST, /* the request cannot be bounded or rewritten */
};

/* How the dialect says it. Each of the first two answers the call in full. */
struct tk_relay_voice {
        void (*refused)(void *ctx, enum tk_hold_answer answer, const struct tk_refusal *refusal);
        void (*failed)(void *ctx, enum tk_relay_failure what);
        /* An error status from the provider whose body is not JSON and so is not passed on. */
        void (*status)(void *ctx, int status);
        /* The JSON object of an error event inside a stream. */
        void (*in_band)(void *ctx, enum tk_relay_failure what, const struct tk_refusal *refusal,
                        struct tk_buf *out);
};

/* The relays of one loop that go on without their client. Zero-initialised it is ready. */
struct tk_relays {
        struct relay *first;
};

struct tk_relay_opt {
        struct tk_call *call;
        struct tk_worker *worker;
        struct tk_upstream *upstream;
        struct tk_relays *left;       /* outlives the upstream */
        struct tk_snapshot *snapshot; /* taken: released by the relay */
        const struct tk_model *model;
        const char *path;                    /* below the provider's base_url: "/chat/completions" */
        bool produces;                       /* false: embeddings */
        const struct tk_oa_request *request; /* copied; its spans point into the call's body */
        unsigned step_tokens;
        const struct tk_spend_order *spend_order; /* not empty */
        const struct tk_relay_voice *voice;
        void *ctx; /* lives as long as the call */
};

/* Always answers the call, now or later. */
void tk_relay_start(const struct tk_relay_opt *opt);
/* The loop ends: breaks them off and posts what is known. Before the upstream is closed, after all calls. */
void tk_relays_end(struct tk_relays *left);

#endif
