/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool tk_str_spells(struct tk_str a, const char *text) {
        size_t i;
        for (i = 0; i < a.len && text[i]; i++)
                if (lower(a.at[i]) != lower(text[i]))
                        return false;
        return i == a.len && !text[i];
}

size_t tk_str_find(struct tk_str a, char c) {
        const char *hit = a.len ? memchr(a.at, c, a.len) : NULL;
        return hit ? (size_t)(hit - a.at) : a.len;
}

struct tk_str tk_str_trim(struct tk_str a) {
        while (a.len && (a.at[0] == ' ' || a.at[0] == '\t'))
                a = tk_str_skip(a, 1);
        while (a.len && (a.at[a.len - 1] == ' ' || a.at[a.len - 1] == '\t'))
                a.len--;
        return a;
}

bool tk_str_copy(struct tk_str a, char *out, size_t size) {
        MUST(size > 0);
        size_t n = a.len < size - 1 ? a.len : size - 1;
        if (n)
                memcpy(out, a.at, n);
        out[n] = '\0';
        return n == a.len;
}

bool tk_str_u64(struct tk_str a, uint64_t *out) {
        uint64_t v = 0;
        if (a.len == 0)
                return false;
        for (size_t i = 0; i < a.len; i++) {
                if (a.at[i] < '0' || a.at[i] > '9')
                        return false;
                if (__builtin_mul_overflow(v, 10, &v) ||
                    __builtin_add_overflow(v, (uint64_t)(a.at[i] - '0'), &v))
                        return false;
        }
        *out = v;
        return true;
}

int tk_hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

/* The length of the valid sequence that starts at i, or 0. */
static size_t utf8_step(struct tk_str a, size_t i) {
        const unsigned char *s = (const unsigned char *)a.at + i;
        size_t left = a.len - i;
        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xC2 && s[0] <= 0xDF)
                return left >= 2 && (s[1] & 0xC0) == 0x80 ? 2 : 0;
        if (s[0] >= 0xE0 && s[0] <= 0xEF) {
                unsigned char low = s[0] == 0xE0 ? 0xA0 : 0x80;  /* no overlong form */
                unsigned char high = s[0] == 0xED ? 0x9F : 0xBF; /* no surrogate */
                return left >= 3 && s[1] >= low && s[1] <= high && (s[2] & 0xC0) == 0x80 ? 3 : 0;
        }
        if (s[0] >= 0xF0 && s[0] <= 0xF4) {
                unsigned char low = s[0] == 0xF0 ? 0x90 : 0x80;
                unsigned char high = s[0] == 0xF4 ? 0x8F : 0xBF; /* not past U+10FFFF */
                return left >= 4 && s[1] >= low && s[1] <= high && (s[2] & 0xC0) == 0x80 &&
                                       (s[3] & 0xC0) == 0x80
                               ? 4
                               : 0;
        }
        return 0;
}

bool tk_str_utf8_ok(struct tk_str a) {
        for (size_t i = 0, step; i < a.len; i += step)
                if ((step = utf8_step(a, i)) == 0)
                        return false;
        return true;
}

size_t tk_str_utf16_len(struct tk_str a) {
        size_t units = 0;
        for (size_t i = 0; i < a.len; i++) {
                unsigned char c = (unsigned char)a.at[i];
                if ((c & 0xC0) != 0x80)
                        units += c >= 0xF0 ? 2 : 1;
        }
        return units;
}
