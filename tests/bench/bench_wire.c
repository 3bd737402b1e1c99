/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_wire: what a proxied stream costs in reading.
 *
 *   memchr        one pass over the same bytes by the C library: the ruler
 *   json check    the chunk checked and nothing read
 *   chunk read    tk_oa_chunk_read(), what each event of a stream goes through
 *   event + read  the same with the event cut out of a 16 KiB piece by tk_sse
 *   request       tk_oa_request_read() of a chat with 40 messages
 *   splice        two members of that request changed
 *
 * Nanoseconds each, the best of several rounds, and bytes a nanosecond. Nothing here is a test.
 */
#include "proxy/usage/openai.h"
#include "rt/clock.h"
#include "wire/json_scan.h"
#include "wire/splice.h"
#include "wire/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS   5
#define ROUND_MS 200
#define PIECE    (16u << 10)

static const char chunk[] = "{\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz0\",\"object\":\"chat.completion."
                            "chunk\",\"created\":1763740800,"
                            "\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_"
                            "fingerprint\":\"fp_44709d6fcb\","
                            "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" "
                            "hello\"},\"logprobs\":null,\"finish_reason\":null}],"
                            "\"usage\":null,\"obfuscation\":\"abcdefgh\"}";

struct bench {
        struct tk_str chunk;
        struct tk_buf piece; /* whole events, as they come from a socket */
        uint64_t events;     /* in it */
        struct tk_buf request;
        struct tk_buf out;
        struct tk_sse sse;
        uint64_t sink;
};

static void check(bool ok, const char *what) {
        if (ok)
                return;
        fprintf(stderr, "bench_wire: %s\n", what);
        exit(1);
}

/* Each does its work once and returns how many units it did. */
typedef uint64_t work_f(struct bench *b);

static uint64_t find_byte(struct bench *b) {
        b->sink += memchr(b->chunk.at, '\n', b->chunk.len) != NULL;
        return 1;
}

static uint64_t check_chunk(struct bench *b) {
        struct tk_json root;
        check(tk_json_check(b->chunk, &root, NULL) == TK_OK, "the chunk is not JSON");
        b->sink += root.raw.len;
        return 1;
}

static uint64_t read_chunk(struct bench *b) {
        struct tk_oa_chunk out;
        check(tk_oa_chunk_read(b->chunk, &out) == TK_OK && out.usage.contents == 1, "the chunk is not read");
        b->sink += out.usage.content_bytes;
        return 1;
}

static uint64_t read_piece(struct bench *b) {
        struct tk_sse_event event;
        struct tk_oa_chunk out;
        uint64_t n = 0;
        check(tk_sse_feed(&b->sse, tk_buf_str(&b->piece)) == TK_OK, "the piece is not taken");
        for (; tk_sse_next(&b->sse, &event); n++) {
                check(tk_oa_chunk_read(event.data, &out) == TK_OK, "an event is not read");
                b->sink += out.usage.content_bytes;
        }
        check(n == b->events, "events are missing");
        return n;
}

static uint64_t read_request(struct bench *b) {
        struct tk_oa_request out;
        check(tk_oa_request_read(tk_buf_str(&b->request), &out) == TK_OK, "the request is not read");
        b->sink += out.input_estimate;
        return 1;
}

static uint64_t splice_request(struct bench *b) {
        static const struct tk_splice edits[] = {
                {"model", {"\"other\"", 7}},
                {"stream_options", {"{\"include_usage\":true}", 22}},
        };
        tk_buf_clear(&b->out);
        check(tk_splice_object(tk_buf_str(&b->request), edits, 2, &b->out) == TK_OK,
              "the request is not spliced");
        b->sink += b->out.len;
        return 1;
}

static void measure(struct bench *b, const char *name, size_t bytes, work_f *work) {
        double best = 1e18;
        for (int round = 0; round < ROUNDS; round++) {
                uint64_t units = 0;
                int64_t start = tk_clock_mono_ms(), end;
                do {
                        for (int i = 0; i < 64; i++)
                                units += work(b);
                        end = tk_clock_mono_ms();
                } while (end - start < ROUND_MS);
                double each = (double)(end - start) * 1e6 / (double)units;
                best = each < best ? each : best;
        }
        printf("%-13s %9.1f ns  %6zu bytes  %6.2f bytes/ns\n", name, best, bytes, (double)bytes / best);
}

int main(void) {
        struct bench b = {.chunk = tk_str_of(chunk),
                          .piece = TK_BUF(1u << 20),
                          .request = TK_BUF(1u << 20),
                          .out = TK_BUF(1u << 20)};
        tk_sse_init(&b.sse);
        for (; b.piece.len + sizeof(chunk) + 8 < PIECE; b.events++)
                tk_buf_printf(&b.piece, "data: %s\n\n", chunk);
        tk_buf_text(&b.request, "{\"model\":\"gpt-4o-mini\",\"messages\":[");
        for (int i = 0; i < 40; i++)
                tk_buf_printf(&b.request,
                              "%s{\"role\":\"user\",\"content\":\"%0*d What is \\\"this\\\"?\\n\"}",
                              i ? "," : "", 400, i);
        tk_buf_text(&b.request, "],\"temperature\":0.7,\"stream\":true,\"max_tokens\":256}");
        check(tk_buf_ok(&b.piece) && tk_buf_ok(&b.request), "out of memory");
        measure(&b, "memchr", b.chunk.len, find_byte);
        measure(&b, "json check", b.chunk.len, check_chunk);
        measure(&b, "chunk read", b.chunk.len, read_chunk);
        measure(&b, "event + read", b.chunk.len + 8, read_piece);
        measure(&b, "request", b.request.len, read_request);
        measure(&b, "splice", b.request.len, splice_request);
        tk_sse_free(&b.sse);
        tk_buf_free(&b.piece);
        tk_buf_free(&b.request);
        tk_buf_free(&b.out);
        return b.sink == 0;
}
