/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect_portkey: how Portkey's two sides write a problem. (portkey sheet 0.1, 3.3, 5.1)
 *
 *   admin    {"success":false,"message":M,"data":{"message":M,"errorCode":"AB01"},
 *             "error":{"message":M,"code":"AB01","type":T,"param":P}}
 *   gateway  {"status":"failure","message":M,"error":{"message":M,"code":"04"}}
 *
 * The admin form says the same in three places, because its three kinds of client each read another: the
 * documented envelope is `data`, Node's SDK reads `message`, Python's `error.message`. On the data plane the
 * refusals that Portkey itself makes have its wording, and `reason` adds which limit it was; whatever else
 * can go wrong there has the members of an OpenAI error beside it.
 */
#ifndef TK_API_DIALECT_PORTKEY_H
#define TK_API_DIALECT_PORTKEY_H

#include "api/dialect.h"
#include "api/issues.h"

extern const struct tk_dialect tk_dialect_portkey, tk_dialect_gateway;

/* The admin form of a body that is not valid: the first issue in the message, all of them in data.errors. */
void tk_portkey_render_issues(const struct tk_issues *issues, struct tk_buf *body);

#endif
