/* SPDX-License-Identifier: Apache-2.0
 *
 * keyfmt: base62 of a 256-bit and of a 32-bit number, big-endian, of fixed width.
 *
 * 62^43 is a little more than 2^256 and 62^6 more than 2^32, so the widths suffice, and there are
 * texts of the right form that are no number of the right size: these are CORRUPT. Because base62
 * has no '_', the last two '_' are at fixed places and a prefix may contain more of them.
 */
#include "core/keyfmt.h"

#include <string.h>

#define RANDOM_BYTES 32
#define TAIL_LEN     (1 + TK_KEY_BODY_LEN + 1 + TK_KEY_CRC_LEN) /* everything after the prefix */

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
_Static_assert(sizeof alphabet == 62 + 1, "base62");

/* Without a branch, which random digits would make the processor guess wrong. */
static bool is_base62(struct tk_str text) {
        unsigned others = 0;
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.at[i], lower = c | 0x20;
                bool digit = (unsigned char)(c - '0') < 10, letter = (unsigned char)(lower - 'a') < 26;
                others |= !(digit | letter);
        }
        return !others;
}

/* Divides the number by 62 in place and returns the rest: one digit, the least first. */
static unsigned divide(uint8_t number[RANDOM_BYTES]) {
        unsigned rest = 0;
        for (size_t i = 0; i < RANDOM_BYTES; i++) {
                unsigned value = rest << 8 | number[i];
                number[i] = (uint8_t)(value / 62);
                rest = value % 62;
        }
        return rest;
}

static void put_body(const uint8_t random[RANDOM_BYTES], char out[TK_KEY_BODY_LEN]) {
        uint8_t number[RANDOM_BYTES];
        memcpy(number, random, sizeof number);
        for (size_t i = TK_KEY_BODY_LEN; i > 0; i--)
                out[i - 1] = alphabet[divide(number)];
        for (size_t i = 0; i < sizeof number; i++)
                MUST(number[i] == 0);
}

/* Is the body a number below 2^256? The alphabet is in the order of ASCII, so digits compare as numbers do.
 */
static bool body_fits(struct tk_str body) {
        static const char greatest[] = "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1";
        _Static_assert(sizeof greatest == TK_KEY_BODY_LEN + 1, "2^256 - 1");
        MUST(body.len == TK_KEY_BODY_LEN);
        return memcmp(body.at, greatest, TK_KEY_BODY_LEN) <= 0;
}

static void put_crc(uint32_t crc, char out[TK_KEY_CRC_LEN]) {
        for (size_t i = TK_KEY_CRC_LEN; i > 0; i--, crc /= 62)
                out[i - 1] = alphabet[crc % 62];
        MUST(crc == 0);
}

/* CRC-32 of IEEE 802.3, reflected (polynomial 0xEDB88320), four bits a step. */
uint32_t tk_crc32(struct tk_str bytes) {
        static const uint32_t steps[16] = {
                0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
        };
        uint32_t crc = UINT32_MAX;
        for (size_t i = 0; i < bytes.len; i++) {
                crc ^= (uint8_t)bytes.at[i];
                crc = crc >> 4 ^ steps[crc & 15];
                crc = crc >> 4 ^ steps[crc & 15];
        }
        return ~crc;
}

bool tk_key_prefix_ok(struct tk_str prefix) {
        if (prefix.len < 1 || prefix.len > TK_KEY_PREFIX_MAX)
                return false;
        for (size_t i = 0; i < prefix.len; i++) {
                char c = prefix.at[i];
                bool letter = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
                if (!letter && (i == 0 || (!digit && c != '_')))
                        return false;
        }
        return prefix.at[prefix.len - 1] != '_';
}

void tk_key_text_make(struct tk_str prefix, const uint8_t random[RANDOM_BYTES], struct tk_key_text *out) {
        MUST(tk_key_prefix_ok(prefix));
        *out = (struct tk_key_text){0};
        memcpy(out->at, prefix.at, prefix.len);
        out->len = prefix.len;
        out->at[out->len++] = '_';
        put_body(random, out->at + out->len);
        out->len += TK_KEY_BODY_LEN;
        uint32_t crc = tk_crc32((struct tk_str){out->at, out->len});
        out->at[out->len++] = '_';
        put_crc(crc, out->at + out->len);
        out->len += TK_KEY_CRC_LEN;
        MUST(out->len == prefix.len + TAIL_LEN && out->len <= TK_KEY_TEXT_MAX);
}

enum tk_err tk_key_text_split(struct tk_str text, struct tk_key_parts *out) {
        char crc[TK_KEY_CRC_LEN];
        if (text.len <= TAIL_LEN || text.len > TK_KEY_TEXT_MAX)
                return TK_E_SYNTAX;
        struct tk_str tail = tk_str_skip(text, text.len - TAIL_LEN);
        struct tk_key_parts parts = {
                .prefix = tk_str_head(text, text.len - TAIL_LEN),
                .body = tk_str_head(tk_str_skip(tail, 1), TK_KEY_BODY_LEN),
                .crc = tk_str_skip(tail, TAIL_LEN - TK_KEY_CRC_LEN),
        };
        if (tail.at[0] != '_' || tail.at[1 + TK_KEY_BODY_LEN] != '_')
                return TK_E_SYNTAX;
        if (!tk_key_prefix_ok(parts.prefix) || !is_base62(parts.body) || !is_base62(parts.crc))
                return TK_E_SYNTAX;
        put_crc(tk_crc32(tk_str_head(text, text.len - TK_KEY_CRC_LEN - 1)), crc);
        if (memcmp(crc, parts.crc.at, sizeof crc) != 0 || !body_fits(parts.body))
                return TK_E_CORRUPT;
        *out = parts;
        return TK_OK;
}

void tk_key_text_wipe(struct tk_key_text *text) {
        explicit_bzero(text, sizeof *text);
}
