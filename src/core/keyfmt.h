/* SPDX-License-Identifier: Apache-2.0
 *
 * keyfmt: the text of a secret key and its parts.
 *
 *   tk_inf_0123...43 base62 digits..._6 base62 digits
 *   |----| |-------------------------| |-------------|
 *   prefix  256 random bits, big-endian  CRC-32 (IEEE 802.3) of everything before the last '_'
 *
 * The checksum lets a scanner and the front door refuse typing errors and forgeries without a
 * look-up; it is no protection. The prefix is [a-z0-9_]{1,32}, begins with a letter, and does not
 * end in '_'. There is no separator inside the last six characters, so "last6Chars" works.
 * Alphabet: 0-9 A-Z a-z. Pure; any thread; comparison of secrets is not done here but by digest.
 */
#ifndef TK_CORE_KEYFMT_H
#define TK_CORE_KEYFMT_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"

#define TK_KEY_PREFIX_MAX 32
#define TK_KEY_BODY_LEN   43
#define TK_KEY_CRC_LEN    6
#define TK_KEY_TEXT_MAX   (TK_KEY_PREFIX_MAX + 1 + TK_KEY_BODY_LEN + 1 + TK_KEY_CRC_LEN)

/* A secret in clear: short-lived, wiped by its owner with tk_key_text_wipe, never logged. */
struct tk_key_text {
        size_t len;
        char at[TK_KEY_TEXT_MAX + 1];
};

struct tk_key_parts {
        struct tk_str prefix;
        struct tk_str body;
        struct tk_str crc;
};

bool tk_key_prefix_ok(struct tk_str prefix);
/* Builds the text from a prefix that is ok and 32 random bytes. */
void tk_key_text_make(struct tk_str prefix, const uint8_t random[32], struct tk_key_text *out);
/*
 * Splits and checks. SYNTAX: not of this form (then a foreign key); CORRUPT: of this form, but the
 * checksum or the 256-bit range is wrong. The parts point into text.
 */
TK_CHECKED enum tk_err tk_key_text_split(struct tk_str text, struct tk_key_parts *out);
void tk_key_text_wipe(struct tk_key_text *text);
uint32_t tk_crc32(struct tk_str bytes);

#endif
