/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/token.h"

static bool is_space(char c) {
        return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Bytes of the character at the start; 1 for a byte that begins none, or whose character is incomplete. */
static size_t char_len(struct tk_str s) {
        unsigned char first = (unsigned char)s.at[0];
        size_t n = first >= 0xF0 && first <= 0xF4 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 1;
        if (first > 0xF4 || n > s.len)
                return 1;
        for (size_t i = 1; i < n; i++)
                if (((unsigned char)s.at[i] & 0xC0) != 0x80)
                        return 1;
        return n;
}

struct tk_str tk_demo_token(struct tk_str text) {
        size_t at = 0, word = 0;
        while (at < text.len && is_space(text.at[at]))
                at++;
        while (at < text.len && !is_space(text.at[at])) {
                size_t n = char_len(tk_str_skip(text, at));
                if (word + n > TK_DEMO_TOKEN_BYTES_MAX)
                        break;
                word += n;
                at += n;
        }
        return tk_str_head(text, at);
}

uint64_t tk_demo_tokens(struct tk_str text) {
        uint64_t nr = 0;
        for (; text.len; nr++)
                text = tk_str_skip(text, tk_demo_token(text).len);
        return nr;
}
