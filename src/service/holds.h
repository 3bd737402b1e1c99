/* SPDX-License-Identifier: Apache-2.0
 *
 * holds: holds that others take by name, for work that does not pass through this server.
 *
 * Whoever charges for something names the hold: an id of the caller's own, unique in the organisation. Every
 * operation is idempotent by it:
 *
 *   state       authorize      extend       post                void        get
 *   none        HOLD           unknown      unknown             unknown     unknown
 *   pending     replay or      EXTEND       POST                VOID        show
 *               conflict
 *   posted      replay or      ended        replay or           ended       show
 *               conflict                    conflict
 *   voided      replay or      ended        ended               replay      show
 *               conflict
 *   expired     replay or      ended        ended               ended       show
 *               conflict
 *
 * Replay: what is asked for was done already; the hold is shown as it is. Conflict: the id is used for
 * something else. A refused authorize leaves nothing behind.
 *
 * The id of the ledger's entry is made from organisation and name alone. So what was posted is known for
 * ever, also after a restart, from the store; and a second post could never be counted twice. What is pending
 * lives in memory: a restart forgets it, and a crash leaves what was lent for it in doubt. Voided holds are
 * remembered for a while (TK_HOLDS_ENDED_MAX).
 *
 * A hold that is neither posted nor voided in its time expires: what the caller reported as used is due.
 *
 * Calls are made on the worker's thread, and done is called there, exactly once, maybe before the call
 * returns. An answer that shows a hold as posted or expired is given when that is durable.
 */
#ifndef TK_SERVICE_HOLDS_H
#define TK_SERVICE_HOLDS_H

#include "service/keys.h"
#include "service/ledger.h"

#define TK_HOLD_NAME_MAX   128
#define TK_HOLD_LIFE_S_MAX 86400 /* the longest that work may take; a lost caller keeps money for as long */
#define TK_HOLD_MONEY_MAX                                                                                    \
        (INT64_C(1000000) * TK_NANO)              /* on one hold; far from what sums can overflow with       \
                                                   */
#define TK_HOLD_COUNT_MAX  INT64_C(1000000000000) /* the same, of what is counted */
#define TK_HOLDS_ORG_MAX   100000u /* pending at a time, of one organisation: some 150 MB of memory */
#define TK_HOLDS_MAX       400000u /* of all */
#define TK_HOLDS_ENDED_MAX 65536u  /* ended ones that are kept to be shown without asking the store */

/* [A-Za-z0-9._:-]{1,128} */
bool tk_hold_name_ok(struct tk_str name);
/* Is every amount within what one hold may have? */
bool tk_hold_amounts_ok(const struct tk_amounts *amounts);

struct tk_hold_view {
        struct tk_hold hold;
        bool has_left;          /* the operation asked the ledger, so it knows: */
        struct tk_amounts left; /* what was free beyond the hold then; INT64_MAX: not limited */
        struct tk_amounts used; /* PENDING: as reported so far */
        bool observed;          /* it passed a limit that only observes */
        int64_t ended_ms;       /* not PENDING */
        struct tk_id key;
        char model[TK_MODEL_NAME_MAX + 1]; /* "": none was named */
};

enum tk_holds_outcome {
        TK_HOLDS_DONE,
        TK_HOLDS_REPLAYED,
        TK_HOLDS_REFUSED, /* verdict says why; nothing was held, extended or counted */
        TK_HOLDS_CONFLICT,
        TK_HOLDS_ENDED, /* view.hold.state says how */
        TK_HOLDS_UNKNOWN,
        TK_HOLDS_CROWDED, /* too many are pending */
        TK_HOLDS_FAULT    /* err; RANGE: the hold would become too large */
};

struct tk_holds_answer {
        enum tk_holds_outcome outcome;
        enum tk_err err;
        enum tk_verdict verdict;
        const struct tk_refusal *refusal; /* REFUSED by a limit; otherwise NULL */
        const struct tk_hold_view *view;  /* NULL when there is no hold to show */
};
/* The answer is valid during the call only. */
typedef void tk_holds_done_f(void *ctx, const struct tk_holds_answer *answer);

struct tk_holds_ask {
        struct tk_id org;
        struct tk_str name;
        struct tk_facts
                facts; /* of the customer's key, which is not NULL; judged when there is no such hold */
        struct tk_amounts least, most;
        bool priced; /* by the catalogue: their USD is money of the first currency of the spend order that can
                        pay */
        int64_t life_ms;
        const char *model; /* "": none */
        int64_t now_ms;
};
/* Takes the snapshot, in which the key of the facts is. */
void tk_holds_authorize(struct tk_worker *worker, const struct tk_holds_ask *ask,
                        struct tk_snapshot **snapshot, tk_holds_done_f *done, void *ctx);

struct tk_holds_more {
        bool total; /* least and most say how much is to be held in all; otherwise how much more */
        struct tk_amounts least, most;
        struct tk_amounts used; /* so far, in all; what is less than was reported before is passed over */
};
/* Judges the key again: one that was revoked or has expired is REFUSED, and the hold stays as it is. */
void tk_holds_extend(struct tk_worker *worker, struct tk_id org, struct tk_str name,
                     const struct tk_holds_more *more, int64_t now_ms, tk_holds_done_f *done, void *ctx);

struct tk_holds_actual {
        unsigned named; /* bit (1 << meter): of the others, all that is held is due */
        bool priced;    /* by the catalogue: the USD is money of the currency in which the hold pays */
        struct tk_amounts amounts;
        struct tk_tokens tokens; /* for the entry */
        const char *model;       /* "": that of the hold */
};
void tk_holds_post(struct tk_worker *worker, struct tk_id org, struct tk_str name,
                   const struct tk_holds_actual *actual, int64_t now_ms, tk_holds_done_f *done, void *ctx);
void tk_holds_void(struct tk_worker *worker, struct tk_id org, struct tk_str name, int64_t now_ms,
                   tk_holds_done_f *done, void *ctx);
void tk_holds_get(struct tk_worker *worker, struct tk_id org, struct tk_str name, int64_t now_ms,
                  tk_holds_done_f *done, void *ctx);

/* Ends all whose time is over; returns how many. The housekeeper's; any thread. */
size_t tk_holds_expire(struct tk_service *service, int64_t now_ms);

#endif
