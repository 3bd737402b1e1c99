/* SPDX-License-Identifier: Apache-2.0
 *
 * rand: unpredictable bytes (libsodium over getrandom). Any thread after tk_rand_init().
 */
#ifndef TK_RT_RAND_H
#define TK_RT_RAND_H

#include "base/err.h"
#include "base/id.h"

/* Once, before any other thread runs. */
TK_CHECKED enum tk_err tk_rand_init(void);
void tk_rand_bytes(void *out, size_t n);
/* A fresh id for now; those made one after the other in one millisecond sort in that order. */
struct tk_id tk_rand_id(int64_t now_ms);

#endif
