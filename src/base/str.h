/* SPDX-License-Identifier: Apache-2.0
 *
 * str: a borrowed span of bytes. It owns nothing, need not end in NUL, and is passed by value.
 *
 * What every request calls a hundred times stands here, so that the compiler sees through it: the length of a
 * literal is then a constant, and most comparisons are over with the length or the first byte.
 */
#ifndef TK_BASE_STR_H
#define TK_BASE_STR_H

#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tk_str {
        const char *at; /* may be NULL only when len is 0 */
        size_t len;
};

#define TK_STR(literal) ((struct tk_str){"" literal, sizeof(literal) - 1})
#define TK_STR_ARG(s)   (int)(s).len, (s).at /* for "%.*s" */

/* The span of a NUL-terminated text; NULL gives the empty span. */
static inline struct tk_str tk_str_of(const char *text) {
        return (struct tk_str){text, text ? strlen(text) : 0};
}
static inline bool tk_str_eq(struct tk_str a, struct tk_str b) {
        return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}
static inline bool tk_str_is(struct tk_str a, const char *text) {
        return tk_str_eq(a, tk_str_of(text));
}
bool tk_str_spells(struct tk_str a, const char *text); /* tk_str_is_nocase, the long way */
/* ASCII case is ignored. */
static inline bool tk_str_is_nocase(struct tk_str a, const char *text) {
        if (a.len > 0 && (a.at[0] ^ text[0]) & 0xDF) /* They differ in more than the bit of the case. */
                return false;
        return tk_str_spells(a, text);
}
static inline bool tk_str_starts(struct tk_str a, const char *prefix) {
        size_t n = strlen(prefix);
        return a.len >= n && (n == 0 || memcmp(a.at, prefix, n) == 0);
}
/* First position of byte c, or a.len. */
size_t tk_str_find(struct tk_str a, char c);
static inline struct tk_str tk_str_skip(struct tk_str a, size_t n) { /* n <= a.len */
        MUST(n <= a.len);
        return n ? (struct tk_str){a.at + n, a.len - n} : a;
}
static inline struct tk_str tk_str_head(struct tk_str a, size_t n) { /* n <= a.len */
        MUST(n <= a.len);
        return (struct tk_str){a.at, n};
}
struct tk_str tk_str_trim(struct tk_str a); /* spaces and tabs off both ends */
/* Copies into out with a NUL, cut at size - 1 bytes; true when all of it fitted. size > 0. */
bool tk_str_copy(struct tk_str a, char *out, size_t size);
/* All decimal digits and within 64 bits; false otherwise, *out then untouched. */
bool tk_str_u64(struct tk_str a, uint64_t *out);
/* 0..15 for a hexadecimal digit of either case, -1 for any other byte. */
int tk_hex_digit(char c);
/* Strict UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool tk_str_utf8_ok(struct tk_str a);
/* Length in UTF-16 code units of valid UTF-8. */
size_t tk_str_utf16_len(struct tk_str a);

#endif
