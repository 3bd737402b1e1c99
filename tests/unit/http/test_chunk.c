/* SPDX-License-Identifier: Apache-2.0
 *
 * Each row is a chunked body, what it decodes to, and how it ends; every row is fed whole, byte by byte, and
 * cut once in every place.
 */
#include "http/chunk.c"

#include "base/buf.h"
#include "lib/unit.h"

#include <string.h>

static const struct row {
        const char *name;
        struct tk_str in;
        const char *body;
        enum tk_chunk_step end;
        size_t rest; /* bytes left over */
} rows[] = {
#define ROW(name, in, body, end, rest)                                                                       \
        { name, {"" in, sizeof(in) - 1}, body, TK_CHUNK_##end, rest }
        ROW("empty body", "0\r\n\r\n", "", DONE, 0),
        ROW("one chunk", "2\r\nab\r\n0\r\n\r\n", "ab", DONE, 0),
        ROW("two chunks", "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", "abcde", DONE, 0),
        ROW("hexadecimal", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", DONE,
            0),
        ROW("leading zeros", "002\r\nab\r\n000\r\n\r\n", "ab", DONE, 0),
        ROW("extension", "2;a=\"b\"\r\nab\r\n0;c\r\n\r\n", "ab", DONE, 0),
        ROW("trailer", "0\r\nX: y\r\n\r\n", "", DONE, 0),
        ROW("two trailers", "0\r\nX: y\r\nZ:\r\n\r\n", "", DONE, 0),
        ROW("next request", "1\r\na\r\n0\r\n\r\nGET ", "a", DONE, 4),
        ROW("data like framing", "4\r\n\r\n0\r\r\n0\r\n\r\n", "\r\n0\r", DONE, 0),

        ROW("nothing", "", "", MORE, 0),
        ROW("size alone", "2", "", MORE, 0),
        ROW("short data", "5\r\nab", "ab", MORE, 0),
        ROW("no last chunk", "2\r\nab\r\n", "ab", MORE, 0),
        ROW("no end of trailers", "0\r\n", "", MORE, 0),

        ROW("no size", "\r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("no size but extension", ";a\r\n", "", BAD, 0),
        ROW("bare LF after the size", "2\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("CR and another byte after the size", "2\rxab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("space after the size", "2 \r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("space before the size", " 2\r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("0x2", "0x2\r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("-1", "-1\r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("+1", "+1\r\na\r\n0\r\n\r\n", "", BAD, 0),
        ROW("16 digits", "0000000000000002\r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("17 digits", "10000000000000002\r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("LF in an extension", "2;a\nb\r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("NUL in an extension", "2;a\0b\r\nab\r\n0\r\n\r\n", "", BAD, 0),
        ROW("data too long", "2\r\nabX\r\n0\r\n\r\n", "ab", BAD, 0),
        ROW("other bytes after the data", "2\r\nabXX0\r\n\r\n", "ab", BAD, 0),
        ROW("bare LF after the data", "2\r\nab\n0\r\n\r\n", "ab", BAD, 0),
        ROW("CR and another byte after the data", "2\r\nab\rX0\r\n\r\n", "ab", BAD, 0),
        ROW("bare LF at the end", "0\r\n\n", "", BAD, 0),
        ROW("trailer without colon", "0\r\nX\r\n\r\n", "", BAD, 0),
        ROW("trailer without name", "0\r\n: y\r\n\r\n", "", BAD, 0),
        ROW("folded trailer", "0\r\nX: y\r\n z\r\n\r\n", "", BAD, 0),
        ROW("space before the colon of a trailer", "0\r\nX : y\r\n\r\n", "", BAD, 0),
        ROW("control byte in a trailer", "0\r\nX: \x01\r\n\r\n", "", BAD, 0),
#undef ROW
};

/* Feeds in; returns how it ended and what was left of in. */
static enum tk_chunk_step feed(struct tk_chunk *chunk, struct tk_str *in, struct tk_buf *body) {
        for (;;) {
                struct tk_str piece;
                enum tk_chunk_step step = tk_chunk_next(chunk, in, &piece);
                if (step != TK_CHUNK_DATA)
                        return step;
                assert_true(piece.len > 0);
                tk_buf_put(body, piece);
        }
}

static void check(const struct row *row, struct tk_chunk *chunk, struct tk_str in, struct tk_buf *body) {
        enum tk_chunk_step end = feed(chunk, &in, body);
        if (end != row->end)
                print_error("%s: ended as %d\n", row->name, (int)end);
        assert_int_equal(end, row->end);
        assert_int_equal(body->len, strlen(row->body));
        assert_memory_equal(body->len ? body->at : "", row->body, body->len);
        if (end == TK_CHUNK_DONE)
                assert_int_equal(in.len, row->rest);
}

static void decodes_whole(void **state) {
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct tk_chunk chunk = {0};
                struct tk_buf body = TK_BUF(1000);
                check(&rows[i], &chunk, rows[i].in, &body);
                tk_buf_free(&body);
        }
}

static void decodes_in_two_pieces(void **state) {
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                for (size_t cut = 0; cut <= rows[i].in.len; cut++) {
                        struct tk_chunk chunk = {0};
                        struct tk_buf body = TK_BUF(1000);
                        struct tk_str first = tk_str_head(rows[i].in, cut),
                                      second = tk_str_skip(rows[i].in, cut);
                        enum tk_chunk_step end = feed(&chunk, &first, &body);
                        if (end == TK_CHUNK_MORE)
                                check(&rows[i], &chunk, second, &body);
                        else
                                assert_int_equal(end, rows[i].end);
                        tk_buf_free(&body);
                }
        }
}

static void decodes_byte_by_byte(void **state) {
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct tk_chunk chunk = {0};
                struct tk_buf body = TK_BUF(1000);
                enum tk_chunk_step end = TK_CHUNK_MORE;
                for (size_t at = 0; at < rows[i].in.len && end == TK_CHUNK_MORE; at++) {
                        struct tk_str one = {rows[i].in.at + at, 1};
                        end = feed(&chunk, &one, &body);
                }
                assert_int_equal(end, rows[i].end);
                assert_int_equal(body.len, strlen(rows[i].body));
                tk_buf_free(&body);
        }
}

/* text repeated; how it ends. */
static enum tk_chunk_step repeat(const char *head, const char *text, int times) {
        struct tk_chunk chunk = {0};
        struct tk_buf body = TK_BUF(1u << 20);
        struct tk_str in = tk_str_of(head);
        enum tk_chunk_step end = feed(&chunk, &in, &body);
        for (int i = 0; i < times && end == TK_CHUNK_MORE; i++) {
                in = tk_str_of(text);
                end = feed(&chunk, &in, &body);
        }
        tk_buf_free(&body);
        return end;
}

static void bounds_what_it_reads_over(void **state) {
        (void)state;
        assert_int_equal(repeat("1;", "x", TK_CHUNK_EXT_MAX), TK_CHUNK_MORE);
        assert_int_equal(repeat("1;", "x", TK_CHUNK_EXT_MAX + 1), TK_CHUNK_TOO_BIG);
        assert_int_equal(repeat("0\r\n", "X:yz\r\n", TK_CHUNK_TRAILER_MAX / 4), TK_CHUNK_MORE);
        assert_int_equal(repeat("0\r\n", "X:yz\r\n", TK_CHUNK_TRAILER_MAX / 4 + 1), TK_CHUNK_TOO_BIG);
        assert_int_equal(repeat("0\r\nX:", "y", TK_CHUNK_TRAILER_MAX), TK_CHUNK_TOO_BIG);
        /* Each chunk may have its extension. */
        assert_int_equal(repeat("", "1;xxxxxxxxxxxxxxxxxxx\r\na\r\n", 1000), TK_CHUNK_MORE);
}

/* After its end it stays there. */
static void stays_at_its_end(void **state) {
        (void)state;
        struct tk_chunk chunk = {0};
        struct tk_str in = TK_STR("0\r\n\r\n0\r\n\r\n"), piece;
        assert_int_equal(tk_chunk_next(&chunk, &in, &piece), TK_CHUNK_DONE);
        assert_int_equal(tk_chunk_next(&chunk, &in, &piece), TK_CHUNK_DONE);
        assert_int_equal(in.len, 5);
        struct tk_chunk bad = {0};
        in = TK_STR("z0\r\n\r\n");
        assert_int_equal(tk_chunk_next(&bad, &in, &piece), TK_CHUNK_BAD);
        assert_int_equal(tk_chunk_next(&bad, &in, &piece), TK_CHUNK_BAD);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(decodes_whole),    TEST(decodes_in_two_pieces),     TEST(decodes_byte_by_byte),
                TEST(stays_at_its_end), TEST(bounds_what_it_reads_over),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
