/* SPDX-License-Identifier: Apache-2.0
 *
 * sse: one stream read whole, and read in pieces whose lengths the first byte of the input decides:
 * the events must be the same, and their raw bytes with the rest must be the stream.
 */
#include "wire/sse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The events as text that can be compared: data with its length, and the raw bytes on their own. */
struct reading {
        struct tk_buf raw, seen;
};

static void drain(struct tk_sse *sse, struct reading *reading) {
        struct tk_sse_event event;
        while (tk_sse_next(sse, &event)) {
                if (event.raw.len == 0 || (!event.has_data && event.data.len > 0))
                        abort();
                tk_buf_put(&reading->raw, event.raw);
                tk_buf_printf(&reading->seen, "%zu/%zu/%d ", event.raw.len, event.data.len, event.has_data);
                tk_buf_put(&reading->seen, event.data);
        }
}

/* seed 0: in one piece; otherwise in pieces of 0 to 12 bytes. The pieces are copies, wiped after use. */
static void read_stream(struct tk_str bytes, uint32_t seed, struct reading *reading) {
        struct tk_sse sse;
        struct tk_sse_event event;
        tk_sse_init(&sse);
        do {
                size_t n = bytes.len;
                if (seed) {
                        seed = seed * 1664525u + 1013904223u;
                        n = (seed >> 16) % 13;
                        n = n < bytes.len ? n : bytes.len;
                }
                char *copy = malloc(n ? n : 1);
                if (!copy)
                        abort();
                if (n)
                        memcpy(copy, bytes.at, n);
                if (tk_sse_feed(&sse, (struct tk_str){copy, n}) != TK_OK)
                        abort();
                memset(copy, '#', n);
                free(copy);
                drain(&sse, reading);
                bytes = tk_str_skip(bytes, n);
        } while (bytes.len > 0);
        struct tk_str rest = tk_sse_rest(&sse);
        tk_buf_put(&reading->raw, rest);
        if (tk_sse_finish(&sse, &event) != (rest.len > 0))
                abort();
        if (rest.len > 0) {
                tk_buf_printf(&reading->seen, "rest %zu/%zu/%d ", event.raw.len, event.data.len,
                              event.has_data);
                tk_buf_put(&reading->seen, event.data);
        }
        tk_sse_free(&sse);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct reading whole = {TK_BUF(1u << 24), TK_BUF(1u << 24)}, pieces = whole;
        if (size == 0 || size > 1u << 20)
                return 0;
        struct tk_str bytes = {(const char *)data + 1, size - 1};
        read_stream(bytes, 0, &whole);
        read_stream(bytes, 1u + data[0], &pieces);
        if (!tk_buf_ok(&whole.raw) || !tk_buf_ok(&whole.seen) || !tk_buf_ok(&pieces.raw) ||
            !tk_buf_ok(&pieces.seen))
                abort();
        if (!tk_str_eq(tk_buf_str(&whole.raw), bytes) || !tk_str_eq(tk_buf_str(&pieces.raw), bytes))
                abort();
        if (!tk_str_eq(tk_buf_str(&whole.seen), tk_buf_str(&pieces.seen)))
                abort();
        tk_buf_free(&whole.raw);
        tk_buf_free(&whole.seen);
        tk_buf_free(&pieces.raw);
        tk_buf_free(&pieces.seen);
        return 0;
}
