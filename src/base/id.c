/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <string.h>

static const size_t dashes[] = {8, 13, 18, 23};

struct tk_id tk_id_make(int64_t now_ms, const uint8_t random[10]) {
        struct tk_id id;
        MUST(now_ms >= 0);
        for (int i = 0; i < 6; i++)
                id.b[i] = (uint8_t)((uint64_t)now_ms >> (40 - 8 * i));
        memcpy(id.b + 6, random, 10);
        id.b[6] = (uint8_t)(0x70 | (id.b[6] & 0x0F)); /* version 7 */
        id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3F)); /* variant of RFC 9562 */
        return id;
}

bool tk_id_eq(struct tk_id a, struct tk_id b) {
        return memcmp(a.b, b.b, sizeof a.b) == 0;
}

bool tk_id_none(struct tk_id a) {
        return tk_id_eq(a, (struct tk_id){{0}});
}

static bool is_dash(size_t at) {
        for (size_t i = 0; i < sizeof dashes / sizeof *dashes; i++)
                if (dashes[i] == at)
                        return true;
        return false;
}

void tk_id_text(struct tk_id id, char out[TK_ID_TEXT_LEN + 1]) {
        static const char digits[] = "0123456789abcdef";
        size_t at = 0;
        for (size_t i = 0; i < sizeof id.b; i++) {
                if (is_dash(at))
                        out[at++] = '-';
                out[at++] = digits[id.b[i] >> 4];
                out[at++] = digits[id.b[i] & 15];
        }
        MUST(at == TK_ID_TEXT_LEN);
        out[at] = '\0';
}

bool tk_id_parse(struct tk_str text, struct tk_id *out) {
        struct tk_id id;
        size_t n = 0;
        if (text.len != TK_ID_TEXT_LEN)
                return false;
        for (size_t i = 0; i < text.len;) {
                if (is_dash(i)) {
                        if (text.at[i++] != '-')
                                return false;
                        continue;
                }
                int high = tk_hex_digit(text.at[i]), low = tk_hex_digit(text.at[i + 1]);
                if (high < 0 || low < 0)
                        return false;
                id.b[n++] = (uint8_t)(high << 4 | low);
                i += 2;
        }
        *out = id;
        return true;
}
