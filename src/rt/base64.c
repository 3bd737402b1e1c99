/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/base64.h"

#include <sodium.h>

void tk_base64(struct tk_str bytes, char *out) {
        sodium_bin2base64(out, TK_BASE64_LEN(bytes.len) + 1,
                          (const unsigned char *)(bytes.len ? bytes.at : ""), bytes.len,
                          sodium_base64_VARIANT_ORIGINAL);
}

bool tk_base64_read(struct tk_str text, uint8_t *out, size_t size, size_t *len) {
        const char *end = NULL;
        return text.len > 0 &&
               sodium_base642bin(out, size, text.at, text.len, NULL, len, &end,
                                 sodium_base64_VARIANT_ORIGINAL) == 0 &&
               end == text.at + text.len;
}
