/* SPDX-License-Identifier: Apache-2.0
 *
 * verify: judges a key and counts one use of it, in one step. A hold that is posted as it is taken.
 *
 * Without a name there is no replay: whoever must not count twice takes a hold by name (holds.h).
 */
#ifndef TK_SERVICE_VERIFY_H
#define TK_SERVICE_VERIFY_H

#include "service/ledger.h"
#include "service/standing.h"

struct tk_verify_ask {
        struct tk_facts facts;     /* of the key to verify, which is not NULL */
        struct tk_amounts amounts; /* what one use counts; nothing at all only asks */
        const char *model;         /* for the entry; "": none */
        int64_t now_ms;
};

struct tk_verify_answer {
        enum tk_err err; /* not OK: the rest says nothing */
        enum tk_verdict verdict;
        const struct tk_refusal *refusal; /* refused by a limit; otherwise NULL */
        const struct tk_key *key;
        unsigned standing_nr;
        struct tk_standing standing[TK_KEY_LIMITS_MAX];
};
/* The answer is valid during the call only. On the worker's thread, exactly once, maybe before the call
 * returns. When money is due, after it is durable. */
typedef void tk_verify_done_f(void *ctx, const struct tk_verify_answer *answer);

/* Takes the snapshot, in which the key of the facts is. */
void tk_verify(struct tk_worker *worker, const struct tk_verify_ask *ask, struct tk_snapshot **snapshot,
               tk_verify_done_f *done, void *ctx);

#endif
