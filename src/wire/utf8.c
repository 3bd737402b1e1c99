/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/utf8.h"

#include "base/must.h"

size_t tk_utf8_step(const char *at, size_t left) {
        const unsigned char *s = (const unsigned char *)at;
        /* What the second byte may be, which is where overlong forms, surrogates and what lies
         * beyond U+10FFFF show (RFC 3629, section 4). */
        unsigned char low = 0x80, high = 0xBF;
        size_t len;
        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xC2 && s[0] <= 0xDF) {
                len = 2;
        } else if (s[0] >= 0xE0 && s[0] <= 0xEF) {
                len = 3;
                low = s[0] == 0xE0 ? 0xA0 : 0x80;
                high = s[0] == 0xED ? 0x9F : 0xBF;
        } else if (s[0] >= 0xF0 && s[0] <= 0xF4) {
                len = 4;
                low = s[0] == 0xF0 ? 0x90 : 0x80;
                high = s[0] == 0xF4 ? 0x8F : 0xBF;
        } else {
                return 0;
        }
        if (left < len || s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < len; i++)
                if ((s[i] & 0xC0) != 0x80)
                        return 0;
        return len;
}

size_t tk_utf8_put(uint32_t scalar, char out[4]) {
        MUST(scalar <= 0x10FFFF && (scalar < 0xD800 || scalar > 0xDFFF));
        if (scalar < 0x80) {
                out[0] = (char)scalar;
                return 1;
        }
        if (scalar < 0x800) {
                out[0] = (char)(0xC0 | scalar >> 6);
                out[1] = (char)(0x80 | (scalar & 0x3F));
                return 2;
        }
        if (scalar < 0x10000) {
                out[0] = (char)(0xE0 | scalar >> 12);
                out[1] = (char)(0x80 | (scalar >> 6 & 0x3F));
                out[2] = (char)(0x80 | (scalar & 0x3F));
                return 3;
        }
        out[0] = (char)(0xF0 | scalar >> 18);
        out[1] = (char)(0x80 | (scalar >> 12 & 0x3F));
        out[2] = (char)(0x80 | (scalar >> 6 & 0x3F));
        out[3] = (char)(0x80 | (scalar & 0x3F));
        return 4;
}
