/* SPDX-License-Identifier: Apache-2.0
 *
 * doubt: what a crash leaves open, from the lease that nobody returned to the operator's word.
 *
 *   lease -- clean stop --> dropped
 *     |
 *     +-- crash, found at the next start --> doubt -- its window ends --> forgotten
 *                                             |
 *                                             +-- resolved: so much of it was spent, the rest was not
 *
 * Works on the store alone, so that a command can do it beside a running server.
 */
#ifndef TK_SERVICE_DOUBT_H
#define TK_SERVICE_DOUBT_H

#include "service/actor.h"

/*
 * At the start, before anything is held: what the leases left over did not post becomes doubt, in one
 * transaction; leases and doubts of windows that ended more than a day ago go. *found: how many leases had a
 * rest.
 */
TK_CHECKED enum tk_err tk_doubts_find(struct tk_store *store, struct tk_reader *reader, int64_t now_ms,
                                      size_t *found);
/* At a clean stop, after everything was posted: no lease is left. */
TK_CHECKED enum tk_err tk_leases_return(struct tk_store *store, struct tk_reader *reader);

/*
 * The word on one doubt, in a batch that the caller has begun and ends: `spent` of it was spent, and is added
 * to the usage of its subject at the hour in which the doubt was found, or the nearest one of its window. The
 * rest was not, and is free again. The same money may be in doubt elsewhere: in other windows of the subject
 * and at the user, workspace and organisation above it; there as much goes from doubt to spent. NOT_FOUND: no
 * such doubt; its amount does not matter. RANGE: more than is in doubt. Adds the record of it to the audit
 * log.
 */
TK_CHECKED enum tk_err tk_doubt_resolve(struct tk_store *store, struct tk_reader *reader,
                                        const struct tk_actor *actor, int64_t now_ms,
                                        const struct tk_doubt *doubt, int64_t spent);

#endif
