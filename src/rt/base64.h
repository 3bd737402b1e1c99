/* SPDX-License-Identifier: Apache-2.0
 *
 * base64: RFC 4648 section 4, with padding (libsodium). Any thread.
 */
#ifndef TK_RT_BASE64_H
#define TK_RT_BASE64_H

#include "base/must.h"
#include "base/str.h"

/* Characters that `n` bytes become, without a NUL. */
#define TK_BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes TK_BASE64_LEN(bytes.len) characters and a NUL. */
void tk_base64(struct tk_str bytes, char *out);
/* Strictly: no spaces, padding where it belongs. False: it is none, or more than size bytes. */
TK_CHECKED bool tk_base64_read(struct tk_str text, uint8_t *out, size_t size, size_t *len);

#endif
