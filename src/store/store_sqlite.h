/* SPDX-License-Identifier: Apache-2.0
 *
 * store_sqlite: the engine "sqlite:PATH", one file that is durable when commit returns.
 */
#ifndef TK_STORE_STORE_SQLITE_H
#define TK_STORE_STORE_SQLITE_H

#include "store/store_int.h"

extern const struct tk_store_ops tk_store_sqlite_ops;

#endif
