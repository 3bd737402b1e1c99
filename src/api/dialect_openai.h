/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect_openai: for the table of dialect.c only.
 */
#ifndef TK_API_DIALECT_OPENAI_H
#define TK_API_DIALECT_OPENAI_H

#include "api/dialect.h"

extern const struct tk_dialect tk_dialect_openai;

#endif
