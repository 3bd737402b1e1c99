/* SPDX-License-Identifier: Apache-2.0
 *
 * limits: the limits of an organisation, workspace or user, which every key below it is held to as well. A
 * key's own limits are part of its record: keys.h. As there, a change has a record in the audit log.
 */
#ifndef TK_SERVICE_LIMITS_H
#define TK_SERVICE_LIMITS_H

#include "service/actor.h"
#include "service/worker.h"

/* On the worker's thread. */
typedef void tk_limits_done_f(void *ctx, enum tk_err err);

/*
 * Replaces all limits of the subject but its balances. They act on this node before done is called: what is
 * spent and held already counts against them. limits_nr up to TK_KEY_LIMITS_MAX (MUST). RANGE: one is not
 * tk_limit_ok() or a balance, or two are of one meter and window. CONFLICT, TOO_BIG: as
 * tk_store_limits_put().
 */
void tk_limits_put(struct tk_worker *worker, const struct tk_actor *actor, int64_t now_ms,
                   struct tk_id subject, const struct tk_limit *limits, unsigned limits_nr,
                   tk_limits_done_f *done, void *ctx);
/* Raises a balance by what was paid, which acts on this node before done is called. As tk_store_topup(). */
void tk_limits_topup(struct tk_worker *worker, const struct tk_actor *actor, const struct tk_topup *topup,
                     tk_limits_done_f *done, void *ctx);

#endif
