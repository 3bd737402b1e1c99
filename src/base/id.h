/* SPDX-License-Identifier: Apache-2.0
 *
 * id: 128-bit identifiers, UUID version 7 (RFC 9562), so that their order is the order of birth.
 *
 * An id is public and no capability: knowing one gives no right. All zero means "none".
 */
#ifndef TK_BASE_ID_H
#define TK_BASE_ID_H

#include "base/must.h"
#include "base/str.h"

struct tk_id {
        uint8_t b[16];
};

#define TK_ID_TEXT_LEN 36

/* From a UTC time and ten random bytes. */
struct tk_id tk_id_make(int64_t now_ms, const uint8_t random[10]);
bool tk_id_eq(struct tk_id a, struct tk_id b);
bool tk_id_none(struct tk_id a);
/* Lower-case 8-4-4-4-12 with a NUL. */
void tk_id_text(struct tk_id id, char out[TK_ID_TEXT_LEN + 1]);
/* Accepts either case; false for any other form. */
TK_CHECKED bool tk_id_parse(struct tk_str text, struct tk_id *out);

#endif
