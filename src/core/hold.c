/* SPDX-License-Identifier: Apache-2.0
 *
 * hold: the diagram in hold.h as a table. Each verb works on a copy, and only a copy that has passed
 * every check replaces the original, so a refused verb changes nothing.
 */
#include "core/hold.h"

#include "core/time.h"

#define TO(state) (1u << TK_HOLD_##state)

static const unsigned allowed[TK_HOLD_NR] = {
        [TK_HOLD_PENDING] = TO(PENDING) | TO(POSTED) | TO(VOIDED) | TO(EXPIRED), /* PENDING: extended */
};

static const char *const names[TK_HOLD_NR] = {
        [TK_HOLD_PENDING] = "pending",
        [TK_HOLD_POSTED] = "posted",
        [TK_HOLD_VOIDED] = "voided",
        [TK_HOLD_EXPIRED] = "expired",
};

void tk_hold_assert(const struct tk_hold *hold) {
        MUST((unsigned)hold->state < TK_HOLD_NR);
        bool uncharged = hold->state == TK_HOLD_PENDING || hold->state == TK_HOLD_VOIDED;
        for (unsigned i = 0; i < TK_METER_NR; i++) {
                MUST(hold->held.of[i] >= 0);                        /* (1) */
                MUST(hold->due.of[i] >= 0);                         /* (1) */
                MUST(hold->overrun.of[i] >= 0);                     /* (1) */
                MUST(hold->due.of[i] <= hold->held.of[i]);          /* (2) */
                MUST(IMPLIES(uncharged, hold->due.of[i] == 0));     /* (3) */
                MUST(IMPLIES(uncharged, hold->overrun.of[i] == 0)); /* (3) */
        }
}

/* The only assignment to a state after the birth of a hold. */
static enum tk_err move(struct tk_hold *hold, enum tk_hold_state to) {
        MUST((unsigned)to < TK_HOLD_NR);
        if (!(allowed[hold->state] & 1u << to))
                return TK_E_CONFLICT; /* (4) */
        hold->state = to;
        return TK_OK;
}

static bool amounts_ok(const struct tk_amounts *amounts) {
        for (unsigned i = 0; i < TK_METER_NR; i++)
                if (amounts->of[i] < 0)
                        return false;
        return true;
}

enum tk_err tk_hold_open(struct tk_hold *hold, const struct tk_amounts *amounts, int64_t now_ms,
                         int64_t expires_ms) {
        if (!amounts_ok(amounts))
                return TK_E_RANGE;
        *hold = (struct tk_hold){
                .state = TK_HOLD_PENDING,
                .at_s = tk_floor_div(now_ms, 1000),
                .expires_ms = expires_ms,
                .held = *amounts,
        };
        tk_hold_assert(hold);
        return TK_OK;
}

enum tk_err tk_hold_extend(struct tk_hold *hold, const struct tk_amounts *more) {
        tk_hold_assert(hold);
        struct tk_hold next = *hold;
        if (!amounts_ok(more))
                return TK_E_RANGE;
        /* OVERFLOW goes before CONFLICT: the order of err.tbl, so that the answer never depends on luck. */
        enum tk_err err = tk_amounts_add(&next.held, more);
        if (!err)
                err = move(&next, TK_HOLD_PENDING);
        if (err)
                return err;
        tk_hold_assert(&next);
        *hold = next;
        return TK_OK;
}

/* Ends the hold and splits what was used into what it covers and what ran over. */
static enum tk_err settle(struct tk_hold *hold, const struct tk_amounts *used, enum tk_hold_state end) {
        tk_hold_assert(hold);
        struct tk_hold next = *hold;
        if (!amounts_ok(used))
                return TK_E_RANGE;
        enum tk_err err = move(&next, end);
        if (err)
                return err;
        for (unsigned i = 0; i < TK_METER_NR; i++) {
                int64_t due = used->of[i] < next.held.of[i] ? used->of[i] : next.held.of[i];
                next.due.of[i] = due;
                next.overrun.of[i] = used->of[i] - due;
        }
        tk_hold_assert(&next);
        *hold = next;
        return TK_OK;
}

enum tk_err tk_hold_post(struct tk_hold *hold, const struct tk_amounts *actual) {
        return settle(hold, actual, TK_HOLD_POSTED);
}

enum tk_err tk_hold_void(struct tk_hold *hold) {
        static const struct tk_amounts nothing;
        return settle(hold, &nothing, TK_HOLD_VOIDED);
}

enum tk_err tk_hold_expire(struct tk_hold *hold, const struct tk_amounts *metered) {
        return settle(hold, metered, TK_HOLD_EXPIRED);
}

const char *tk_hold_state_name(enum tk_hold_state state) {
        MUST((unsigned)state < TK_HOLD_NR);
        return names[state];
}
