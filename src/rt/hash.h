/* SPDX-License-Identifier: Apache-2.0
 *
 * hash: SHA-256 and its HMAC (OpenSSL). Any thread.
 */
#ifndef TK_RT_HASH_H
#define TK_RT_HASH_H

#include "base/str.h"

void tk_sha256(struct tk_str bytes, uint8_t out[32]);
/* RFC 2104 over SHA-256. */
void tk_hmac_sha256(struct tk_str key, struct tk_str bytes, uint8_t out[32]);

#endif
