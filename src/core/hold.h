/* SPDX-License-Identifier: Apache-2.0
 *
 * hold: an amount reserved before a call and settled after it.
 *
 *              +--extend--+
 *              v          |
 *   open --> PENDING -----+---post---> POSTED     due = min(actual, held); overrun = the rest
 *               |---------------void-> VOIDED     due = 0
 *               +-------------expire-> EXPIRED    due = min(metered so far, held); overrun = the rest
 *
 * Invariants:
 *   (1) every amount in held, due and overrun is >= 0
 *   (2) due <= held for each meter, in every state
 *   (3) PENDING and VOIDED have due = 0 and overrun = 0
 *   (4) only PENDING may move; the three ends are final
 * A late post lands in the window of the hold, so `at_s` never changes. Pure; any thread.
 */
#ifndef TK_CORE_HOLD_H
#define TK_CORE_HOLD_H

#include "core/meter.h"

enum tk_hold_state { TK_HOLD_PENDING, TK_HOLD_POSTED, TK_HOLD_VOIDED, TK_HOLD_EXPIRED, TK_HOLD_NR };

struct tk_hold {
        enum tk_hold_state state;
        int64_t at_s;       /* the time that decides its windows */
        int64_t expires_ms; /* INT64_MAX: whoever has it ends it in time */
        struct tk_amounts held;
        struct tk_amounts due;     /* what was charged */
        struct tk_amounts overrun; /* reported beyond the hold */
};

/* Checks all invariants; called on entry and exit of each function below. */
void tk_hold_assert(const struct tk_hold *hold);
/* amounts >= 0 (RANGE otherwise). */
TK_CHECKED enum tk_err tk_hold_open(struct tk_hold *hold, const struct tk_amounts *amounts, int64_t now_ms,
                                    int64_t expires_ms);
/* CONFLICT when it is not PENDING, RANGE for a negative amount, OVERFLOW; nothing changes then. */
TK_CHECKED enum tk_err tk_hold_extend(struct tk_hold *hold, const struct tk_amounts *more);
TK_CHECKED enum tk_err tk_hold_post(struct tk_hold *hold, const struct tk_amounts *actual);
TK_CHECKED enum tk_err tk_hold_void(struct tk_hold *hold);
TK_CHECKED enum tk_err tk_hold_expire(struct tk_hold *hold, const struct tk_amounts *metered);
const char *tk_hold_state_name(enum tk_hold_state state);

#endif
