/* SPDX-License-Identifier: Apache-2.0
 *
 * verdict: the ladder is an array, one rung per refusal of tbl/verdict.tbl in the order of that
 * table, and the first rung that applies is the answer. A predicate may rely on the rungs above it:
 * below UNKNOWN_KEY there is a key. A new refusal is a row there and a rung here.
 */
#include "core/verdict.h"

typedef bool applies_f(const struct tk_facts *facts);

struct rung {
        enum tk_verdict verdict;
        applies_f *applies;
};

static const char *const names[TK_VERDICT_NR] = {
#define TK_VERDICT(name, machine, text) [TK_VERDICT_##name] = machine,
#include "verdict.tbl"
};

static const char *const texts[TK_VERDICT_NR] = {
#define TK_VERDICT(name, machine, text) [TK_VERDICT_##name] = text,
#include "verdict.tbl"
};

static bool no_key(const struct tk_facts *facts) {
        return !facts->key_sent;
}

static bool unknown_key(const struct tk_facts *facts) {
        return !facts->key;
}

static bool revoked(const struct tk_facts *facts) {
        return facts->key->revoked_ms != 0;
}

static bool expired(const struct tk_facts *facts) {
        return !tk_key_is_active(facts->key, facts->now_ms); /* revoked ones are gone already */
}

static bool scope(const struct tk_facts *facts) {
        return !tk_scopes_has(&facts->key->scopes, facts->scope_needed);
}

static bool model_unknown(const struct tk_facts *facts) {
        return facts->model_needed && !facts->model_known;
}

static bool model_unpriced(const struct tk_facts *facts) {
        return facts->model_needed && !facts->model_priced;
}

/* PRIVATE_TEXT binds text and embedding models only; PRIVATE_ONLY binds all (venice sheet 0.3). */
static bool model_privacy(const struct tk_facts *facts) {
        if (!facts->model_needed || facts->model_private)
                return false;
        switch (facts->key->privacy) {
        case TK_PRIVACY_ALL:
                return false;
        case TK_PRIVACY_PRIVATE_TEXT:
                return facts->model_is_text;
        case TK_PRIVACY_PRIVATE_ONLY:
        case TK_PRIVACY_NR:
                break;
        }
        return true; /* also for a setting that this program does not know */
}

static bool rate(const struct tk_facts *facts) {
        return facts->hold == TK_HOLD_NO_RATE;
}

static bool balance(const struct tk_facts *facts) {
        return facts->hold == TK_HOLD_NO_BALANCE;
}

static bool cap(const struct tk_facts *facts) {
        return facts->hold == TK_HOLD_NO_CAP;
}

static bool store(const struct tk_facts *facts) {
        return facts->hold == TK_HOLD_NO_STORE;
}

static const struct rung ladder[] = {
        {TK_VERDICT_NO_KEY, no_key},
        {TK_VERDICT_UNKNOWN_KEY, unknown_key},
        {TK_VERDICT_REVOKED, revoked},
        {TK_VERDICT_EXPIRED, expired},
        {TK_VERDICT_SCOPE, scope},
        {TK_VERDICT_MODEL_UNKNOWN, model_unknown},
        {TK_VERDICT_MODEL_UNPRICED, model_unpriced},
        {TK_VERDICT_MODEL_PRIVACY, model_privacy},
        {TK_VERDICT_RATE, rate},
        {TK_VERDICT_BALANCE, balance},
        {TK_VERDICT_CAP, cap},
        {TK_VERDICT_STORE, store},
};
#define RUNGS_NR (sizeof ladder / sizeof *ladder)
_Static_assert(RUNGS_NR == TK_VERDICT_NR - 1, "every refusal has a rung");

enum tk_verdict tk_verdict_decide(const struct tk_facts *facts) {
        MUST(facts->hold <= TK_HOLD_NO_STORE);
        MUST((unsigned)facts->scope_needed < TK_SCOPE_NR);
        for (size_t i = 0; i < RUNGS_NR; i++)
                if (ladder[i].applies(facts))
                        return ladder[i].verdict;
        return TK_VERDICT_PASS;
}

const char *tk_verdict_name(enum tk_verdict verdict) {
        MUST((unsigned)verdict < TK_VERDICT_NR);
        return names[verdict];
}

const char *tk_verdict_text(enum tk_verdict verdict) {
        MUST((unsigned)verdict < TK_VERDICT_NR);
        return texts[verdict];
}
