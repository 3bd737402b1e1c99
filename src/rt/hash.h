/* SPDX-License-Identifier: Apache-2.0
 *
 * hash: SHA-256 (OpenSSL). Any thread.
 */
#ifndef TK_RT_HASH_H
#define TK_RT_HASH_H

#include "base/str.h"

void tk_sha256(struct tk_str bytes, uint8_t out[32]);

#endif
