/* SPDX-License-Identifier: Apache-2.0
 *
 * portkey_apply: what a body asks for, applied to a key. Absent keeps, null clears; usage_limits and defaults
 * are merged member by member.
 *
 * A budget and rates are ordinary limits, so a key that another API made has them too: usage_limits is the
 * first exact limit on USD or tokens, rate_limits are those on requests and the sliding ones on tokens, and
 * every other limit of the key is left alone. No I/O, no service; any thread.
 */
#ifndef TK_API_PORTKEY_APPLY_H
#define TK_API_PORTKEY_APPLY_H

#include "api/portkey_body.h"

/* What is wrong with an edit of this very key. */
struct tk_portkey_fault {
        const char *param, *message; /* static */
};

/*
 * Applies everything but workspace, user, scopes and reset_usage. RANGE with *fault when it does not fit this
 * key; it may have been changed in part then.
 */
TK_CHECKED enum tk_err tk_portkey_apply(const struct tk_portkey_body *body, int64_t now_ms,
                                        struct tk_key *key, struct tk_profile *profile,
                                        struct tk_portkey_fault *fault);

/* The limit that usage_limits shows and sets: the first that is exact, on USD or tokens, by day or longer. Or
 * NULL. */
struct tk_limit *tk_portkey_usage_limit(struct tk_key *key);
/* Does rate_limits show it? Requests, and tokens that slide, by week or shorter. */
bool tk_portkey_is_rate(const struct tk_limit *limit);
/* The name in full: the profile's, as long as it still begins with the description. */
const char *tk_portkey_name(const struct tk_key *key, const struct tk_profile *profile);

/*
 * May a key of `kind` that holds `has` be given `want` by a caller of `caller_kind` who holds `holds`? TK_OK;
 * RANGE: its kind may not hold one of them; CONFLICT: the caller does not. What it has already may stay.
 * *which: the first that may not. An admin key may hand out what no admin key can hold: calling models is for
 * keys of workspaces.
 */
TK_CHECKED enum tk_err tk_portkey_grant(enum tk_key_kind caller_kind, const struct tk_scopes *holds,
                                        enum tk_key_kind kind, const struct tk_scopes *has,
                                        const struct tk_scopes *want, enum tk_scope *which);

#endif
