/* SPDX-License-Identifier: Apache-2.0
 *
 * A chunked body. Cut at any places it decodes to the same bytes and the same end; and what was decoded,
 * encoded plainly and decoded again, is the same.
 */
#include "http/chunk.h"

#include "base/buf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decodes in pieces of `step` bytes (0: all at once). Gives the last step and how much input was left. */
static enum tk_chunk_step decode(struct tk_str in, size_t step, struct tk_buf *out, size_t *left) {
        struct tk_chunk chunk = {0};
        enum tk_chunk_step got = TK_CHUNK_MORE;
        while (in.len > 0 && got == TK_CHUNK_MORE) {
                struct tk_str piece = tk_str_head(in, step && step < in.len ? step : in.len), data;
                size_t given = piece.len;
                do {
                        got = tk_chunk_next(&chunk, &piece, &data);
                        if (got == TK_CHUNK_DATA)
                                tk_buf_put(out, data);
                } while (got == TK_CHUNK_DATA);
                in = tk_str_skip(in, given - piece.len);
        }
        *left = in.len;
        return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct tk_str in = {(const char *)data, size};
        struct tk_buf whole = TK_BUF(1u << 20), cut = TK_BUF(1u << 20);
        size_t left_whole, left_cut;
        if (size > 1u << 16)
                return 0;
        enum tk_chunk_step a = decode(in, 0, &whole, &left_whole);
        enum tk_chunk_step b = decode(in, size ? 1 + data[0] % 7 : 1, &cut, &left_cut);
        MUST(a == b);
        MUST(tk_str_eq(tk_buf_str(&whole), tk_buf_str(&cut)));
        MUST(IMPLIES(a == TK_CHUNK_DONE, left_whole == left_cut));
        if (a == TK_CHUNK_DONE && whole.len > 0) {
                struct tk_buf again = TK_BUF(1u << 20), plain = TK_BUF(1u << 20);
                tk_buf_printf(&plain, "%zx\r\n", whole.len);
                tk_buf_put(&plain, tk_buf_str(&whole));
                tk_buf_text(&plain, "\r\n0\r\n\r\n");
                MUST(tk_buf_ok(&plain));
                MUST(decode(tk_buf_str(&plain), 0, &again, &left_cut) == TK_CHUNK_DONE);
                MUST(tk_str_eq(tk_buf_str(&again), tk_buf_str(&whole)));
                tk_buf_free(&again);
                tk_buf_free(&plain);
        }
        tk_buf_free(&whole);
        tk_buf_free(&cut);
        return 0;
}
