/* SPDX-License-Identifier: Apache-2.0
 *
 * verdict: may it pass? One pure function whose order is its table (tbl/verdict.tbl).
 *
 * The facts are gathered first, then judged, so that the same bad request always gets the same
 * answer whatever was looked up first. CAP, RATE and STORE come out of taking the hold, which
 * happens only after everything above them has passed: a refused call consumes nothing.
 */
#ifndef TK_CORE_VERDICT_H
#define TK_CORE_VERDICT_H

#include "core/key.h"

enum tk_verdict {
#define TK_VERDICT(name, machine, text) TK_VERDICT_##name,
#include "verdict.tbl"
        TK_VERDICT_NR
};

enum tk_hold_answer {
        TK_HOLD_UNTRIED,
        TK_HOLD_TAKEN,
        TK_HOLD_NO_RATE,
        TK_HOLD_NO_BALANCE,
        TK_HOLD_NO_CAP,
        TK_HOLD_NO_STORE
};

struct tk_facts {
        bool key_sent;
        const struct tk_key *key; /* NULL: not known */
        int64_t now_ms;
        enum tk_scope scope_needed;
        bool model_needed; /* the route calls a model: the next four count */
        bool model_known;
        bool model_priced;
        bool model_private; /* Private, TEE or E2EE */
        bool model_is_text; /* text or embedding */
        enum tk_hold_answer hold;
};

enum tk_verdict tk_verdict_decide(const struct tk_facts *facts);
const char *tk_verdict_name(enum tk_verdict verdict);
const char *tk_verdict_text(enum tk_verdict verdict);

#endif
