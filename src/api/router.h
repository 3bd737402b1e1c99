/* SPDX-License-Identifier: Apache-2.0
 *
 * router: from a request to its handler, past the gate.
 *
 *   path and method -> row of tbl/route.tbl -> key out of the headers -> who is it -> verdict -> handler
 *
 * The gate is here and only here: a handler runs after the row's need was met, so a new row cannot forget it.
 * Refusals are written in the dialect of the row, or of the path when there is no row.
 */
#ifndef TK_API_ROUTER_H
#define TK_API_ROUTER_H

#include "api/call.h"

/* A tk_on_call_f; ctx is the struct tk_api. The loop's data must be a struct tk_api_loop. */
void tk_api_on_call(struct tk_call *call, void *ctx);
/* A tk_on_refuse_f. */
void tk_api_on_refuse(const struct tk_refused *refused, void *ctx);

#endif
