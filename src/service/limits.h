/* SPDX-License-Identifier: Apache-2.0
 *
 * limits: the limits of an organisation or workspace, which every key below it is held to as well. A key's
 * own limits are part of its record: keys.h.
 */
#ifndef TK_SERVICE_LIMITS_H
#define TK_SERVICE_LIMITS_H

#include "service/worker.h"

/* On the worker's thread. */
typedef void tk_limits_done_f(void *ctx, enum tk_err err);

/*
 * Replaces all limits of the subject. They act on this node before done is called: what is spent and held
 * already counts against them. limits_nr up to TK_KEY_LIMITS_MAX, each tk_limit_ok(), no two of one meter and
 * window (MUST).
 */
void tk_limits_put(struct tk_worker *worker, struct tk_id subject, const struct tk_limit *limits,
                   unsigned limits_nr, tk_limits_done_f *done, void *ctx);

#endif
