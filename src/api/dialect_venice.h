/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect_venice: for the table of dialect.c only.
 */
#ifndef TK_API_DIALECT_VENICE_H
#define TK_API_DIALECT_VENICE_H

#include "api/dialect.h"

extern const struct tk_dialect tk_dialect_venice;

#endif
