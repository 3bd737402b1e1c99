/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_keytext: any bytes as the text of a key. Properties:
 *   (1) the answer is OK, SYNTAX or CORRUPT, and parts are given only with OK
 *   (2) the parts, joined by '_', are the text; prefix and checksum are what they should be
 *   (3) an accepted text is the only one of its number: decoded here and made again, it is the same
 *   (4) made from any 32 bytes and a sound prefix, a text is accepted; with one byte changed it is not
 */
#include "core/keyfmt.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Horner's rule over whole 32-bit words: another way than the one under test. */
static void decode(struct tk_str body, uint8_t out[32]) {
        uint32_t word[8] = {0};
        for (size_t i = 0; i < body.len; i++) {
                char c = body.at[i];
                uint64_t carry = (uint64_t)(c <= '9' ? c - '0' : c <= 'Z' ? c - 'A' + 10 : c - 'a' + 36);
                for (int j = 7; j >= 0; j--) {
                        carry += (uint64_t)word[j] * 62;
                        word[j] = (uint32_t)carry;
                        carry >>= 32;
                }
                MUST(carry == 0);
        }
        for (int j = 0; j < 32; j++)
                out[j] = (uint8_t)(word[j / 4] >> (24 - 8 * (j % 4)));
}

static void try_text(struct tk_str text) {
        static const char untouched[] = "untouched";
        struct tk_key_parts parts = {.prefix = {untouched, 9}};
        enum tk_err err = tk_key_text_split(text, &parts);
        MUST(err == TK_OK || err == TK_E_SYNTAX || err == TK_E_CORRUPT); /* (1) */
        if (err) {
                MUST(parts.prefix.at == untouched); /* (1) */
                return;
        }
        struct tk_key_text again;
        uint8_t number[32];
        MUST(tk_key_prefix_ok(parts.prefix)); /* (2) */
        MUST(parts.prefix.at == text.at);
        MUST(parts.body.at == text.at + parts.prefix.len + 1);
        MUST(parts.crc.at == parts.body.at + parts.body.len + 1);
        MUST(parts.crc.at + parts.crc.len == text.at + text.len);
        decode(parts.body, number);
        tk_key_text_make(parts.prefix, number, &again);
        MUST(tk_str_eq((struct tk_str){again.at, again.len}, text)); /* (3) */
}

/* The input read as a prefix length, 32 random bytes, a place and a change, then the prefix. */
static void try_make(const uint8_t *data, size_t size) {
        struct tk_key_text text;
        struct tk_key_parts parts;
        if (size < 35)
                return;
        struct tk_str prefix = {(const char *)data + 34, size - 34};
        if (!tk_key_prefix_ok(prefix))
                return;
        tk_key_text_make(prefix, data, &text);
        struct tk_str made = {text.at, text.len};
        MUST(tk_key_text_split(made, &parts) == TK_OK); /* (4) */
        MUST(tk_str_eq(parts.prefix, prefix));
        try_text(made);
        if (data[33] == 0)
                return;
        text.at[data[32] % text.len] ^= (char)data[33];
        MUST(tk_key_text_split(made, &parts) != TK_OK); /* (4) */
        tk_key_text_wipe(&text);
        MUST(text.len == 0 && text.at[0] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        try_text((struct tk_str){(const char *)data, size});
        try_make(data, size);
        return 0;
}
