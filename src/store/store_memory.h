/* SPDX-License-Identifier: Apache-2.0
 *
 * store_memory: the engine "memory:", a test double and the living form of the contract.
 */
#ifndef TK_STORE_STORE_MEMORY_H
#define TK_STORE_STORE_MEMORY_H

#include "store/store_int.h"

extern const struct tk_store_ops tk_store_memory_ops;

#endif
