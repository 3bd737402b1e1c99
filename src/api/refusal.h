/* SPDX-License-Identifier: Apache-2.0
 *
 * refusal: which limit refused, in a sentence, and when it is worth trying again. Pure; any thread.
 */
#ifndef TK_API_REFUSAL_H
#define TK_API_REFUSAL_H

#include "api/problem.h"
#include "base/buf.h"
#include "service/ledger.h"

/* The row for it; answer is not TK_HOLD_TAKEN. */
enum tk_problem_id tk_problem_of_refusal(enum tk_hold_answer answer, const struct tk_refusal *refusal);
/* A budget of tokens, which the ledger counts among the rates: an exact window of a day or longer. */
bool tk_refusal_is_budget(const struct tk_refusal *refusal);
/*
 * "The limit of this key is 5 usd per day: 4.99 used, 0.01 held, 0 left; this call needs at least 0.002; it
 * turns at 2026-11-23T00:00:00.000Z." Nothing when no limit refused.
 */
void tk_refusal_say(const struct tk_refusal *refusal, struct tk_buf *out);
/* Whole seconds until the same call may pass, at least 1; 0: time alone will not let it pass. */
int64_t tk_refusal_retry_s(const struct tk_refusal *refusal, int64_t now_ms);

#endif
