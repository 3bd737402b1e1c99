/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger: hold, extend, post, void. Nothing is ever served that is not held first.
 *
 * A ticket is a live hold on the limits of one key, of its user if it has one, of its workspace and of its
 * organisation. Taking it is all or nothing over all of them, and usually immediate; when counters must be
 * read first, or more must be lent by the store first, it completes later, on the worker's thread. A post is
 * durable soon after; the amounts it covers were lent durably before.
 *
 * After it was taken a ticket may be extended and ended on any thread, one operation at a time; completions
 * still arrive on the thread of the worker that took it.
 */
#ifndef TK_SERVICE_LEDGER_H
#define TK_SERVICE_LEDGER_H

#include "core/hold.h"
#include "core/verdict.h"
#include "service/worker.h"

struct tk_snapshot;
struct tk_ticket;

/* Why a hold was refused. */
struct tk_refusal {
        struct tk_id subject;
        enum tk_subject_kind subject_kind;
        enum tk_meter meter;
        struct tk_window_spec window;
        unsigned flags; /* TK_LIMIT_* of the limit */
        uint64_t cap;
        int64_t posted, held; /* of a rate: as it has slid */
        int64_t least;        /* what was wanted at least */
        /* When the window ends; of a rate, when the least fits if all that is held is used; INT64_MAX: never
         */
        int64_t turns_s;
};

/* Not called for an answer that was returned at once. On the worker's thread. */
typedef void tk_ticket_done_f(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx);

/*
 * Holds between `least` and `most` of each meter on every limit. Returns the answer, or
 * TK_HOLD_UNTRIED when done() will tell it. *out is the caller's in every case (NULL: out of memory, then
 * the answer is TK_HOLD_NO_STORE): end it with post or void, whatever the answer was.
 */
enum tk_hold_answer tk_ledger_hold(struct tk_worker *worker, const struct tk_snapshot *snapshot,
                                   struct tk_id id, const struct tk_amounts *least,
                                   const struct tk_amounts *most, int64_t now_ms, tk_ticket_done_f *done,
                                   void *ctx, struct tk_ticket **out);
/* The same, on top of a ticket that was taken and has no operation under way. */
enum tk_hold_answer tk_ledger_extend(struct tk_ticket *ticket, const struct tk_amounts *least,
                                     const struct tk_amounts *most, tk_ticket_done_f *done, void *ctx);
/* The hold as it stands: when it was taken, what it holds. Of a ticket that was taken. */
const struct tk_hold *tk_ticket_hold(const struct tk_ticket *ticket);
/* What is held now. */
const struct tk_amounts *tk_ticket_held(const struct tk_ticket *ticket);
/* What was free beyond it when the last operation ended; INT64_MAX where nothing limits. */
const struct tk_amounts *tk_ticket_left(const struct tk_ticket *ticket);
/* Has it passed a limit that only observes? */
bool tk_ticket_observed(const struct tk_ticket *ticket);
/* Of the last refusal. */
const struct tk_refusal *tk_ticket_refusal(const struct tk_ticket *ticket);
/*
 * Ends the ticket with what was really used: due is at most what is held, the rest is overrun. `what` gives
 * the entry's model, tokens and flags. *ticket is NULL afterwards. No operation may be under way.
 */
void tk_ledger_post(struct tk_ticket **ticket, const struct tk_amounts *actual, const struct tk_entry *what,
                    int64_t now_ms);
/*
 * Called on the WRITER's thread when the entry is in the store (OK; CONFLICT: one with its id was there
 * already and nothing was counted again), or when it never will be. A failing store delays it.
 */
typedef void tk_landed_f(void *ctx, enum tk_err err);
/* As tk_ledger_post, and tells. */
void tk_ledger_post_told(struct tk_ticket **ticket, const struct tk_amounts *actual,
                         const struct tk_entry *what, int64_t now_ms, tk_landed_f *landed, void *ctx);
/* The time of the hold is over: as tk_ledger_post_told with what was metered so far, flagged EXPIRED. */
void tk_ledger_expire(struct tk_ticket **ticket, const struct tk_amounts *metered,
                      const struct tk_entry *what, int64_t now_ms, tk_landed_f *landed, void *ctx);
/* Ends it with nothing used; also for a ticket whose hold was refused. */
void tk_ledger_void(struct tk_ticket **ticket);

#endif
