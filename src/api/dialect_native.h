/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect_native: for the table of dialect.c only.
 */
#ifndef TK_API_DIALECT_NATIVE_H
#define TK_API_DIALECT_NATIVE_H

#include "api/dialect.h"

extern const struct tk_dialect tk_dialect_native;

#endif
