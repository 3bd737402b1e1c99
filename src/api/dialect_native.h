/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect_native: how the native API says what is wrong: problem+json.
 */
#ifndef TK_API_DIALECT_NATIVE_H
#define TK_API_DIALECT_NATIVE_H

#include "api/dialect.h"
#include "api/issues.h"

extern const struct tk_dialect tk_dialect_native; /* for the table of dialect.c */

/* A body that is not as it must be: INVALID_PARAM with the list of what is wrong, each with its path and a
 * message. MUST: there is an issue, and none is a union. body fails when one of the issues did. */
void tk_native_render_issues(const struct tk_issues *issues, struct tk_buf *body);

#endif
