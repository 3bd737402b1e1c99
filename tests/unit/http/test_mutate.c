/* SPDX-License-Identifier: Apache-2.0
 *
 * Valid requests, damaged at random: whatever comes, the server answers or closes, and serves the next
 * client.
 *
 * The oracle: an accepted request is one that the reference rules (written here once more, naively) do not
 * forbid outright. The seed is printed when it fails.
 */
#include "unit/http/fixture.h"

#include "lib/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 1500
#define GET    "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"

static const char *const seeds[] = {
        "POST /echo?a=b HTTP/1.1\r\nHost: example.org:80\r\nContent-Length: 11\r\nX-Test: v\r\n\r\nhello "
        "world",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n "
        "world\r\n0\r\nT: u\r\n\r\n",
        "GET http://h/echo HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n" GET,
        "HEAD /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" GET,
};

static const char *const bits[] = {"\r\n",
                                   "\n",
                                   "\r",
                                   " ",
                                   "\t",
                                   ":",
                                   "0",
                                   "\x80",
                                   "Content-Length: 5\r\n",
                                   "Transfer-Encoding: chunked\r\n",
                                   "\r\n\r\n",
                                   "HTTP/1.1",
                                   ";",
                                   ",",
                                   "ffffffff",
                                   "\x7f"};

static size_t mutate(char *text, size_t len, size_t size) {
        size_t at = (size_t)rand() % (len + 1);
        switch (rand() % 6) {
        case 0: /* one bit */
                if (at < len)
                        text[at] = (char)(text[at] ^ (1 << rand() % 8));
                return len;
        case 1: /* one byte */
                if (at < len)
                        text[at] = (char)rand();
                return len;
        case 2: /* cut out */
                if (at < len) {
                        size_t n = 1 + (size_t)rand() % 8;
                        if (n > len - at)
                                n = len - at;
                        memmove(text + at, text + at + n, len - at - n);
                        len -= n;
                }
                return len;
        case 3: /* cut off */
                return rand() % 4 ? len : at;
        case 4: { /* repeat a part */
                size_t n = (size_t)rand() % 40;
                if (n > len - at)
                        n = len - at;
                if (len + n > size)
                        return len;
                memmove(text + at + n, text + at, len - at);
                return len + n;
        }
        default: { /* insert something meaningful */
                const char *bit = bits[(size_t)rand() % (sizeof bits / sizeof *bits)];
                size_t n = strlen(bit);
                if (len + n > size)
                        return len;
                memmove(text + at + n, text + at, len - at);
                memcpy(text + at, bit, n);
                return len + n;
        }
        }
}

/* Reads to the end; every byte must belong to answers that are whole. */
static void read_answers(struct reader *r, unsigned seed) {
        for (int answers = 0; answers < 50; answers++) {
                if (reader_at_end(r))
                        return;
                struct answer a;
                /* A HEAD may have survived; its answers have a length and no body, so only heads are read
                 * here. */
                reader_next(r, true, &a);
                if (a.status < 100 || a.status > 505)
                        print_error("seed %u: %d\n", seed, a.status);
                assert_in_range(a.status, 100, 505);
                const char *id = answer_header(&a, "x-request-id");
                assert_true(a.status == 100 || (id && strlen(id) == 36));
                const char *length = answer_header(&a, "content-length");
                size_t n = length ? strtoul(length, NULL, 10) : 0;
                /* Skip the body unless what follows is already the next answer. */
                if (n && reader_fill(r, 5) && memcmp(r->in.at, "HTTP/", 5) != 0) {
                        assert_true(reader_fill(r, n));
                        tk_buf_drop(&r->in, n);
                }
                answer_free(&a);
        }
        assert_true(false);
}

static void nothing_breaks_it(void **state) {
        struct fixture *f = *state;
        for (unsigned seed = 1; seed <= ROUNDS; seed++) {
                srand(seed);
                char text[1024];
                const char *from = seeds[seed % (sizeof seeds / sizeof *seeds)];
                size_t len = strlen(from);
                memcpy(text, from, len);
                for (int i = 1 + rand() % 3; i; i--)
                        len = mutate(text, len, sizeof text);
                struct reader r;
                reader_init(&r, client_open(f, 0));
                size_t cut = len ? (size_t)rand() % len : 0;
                client_send(r.fd, text, cut);
                client_send(r.fd, text + cut, len - cut);
                client_half_close(r.fd);
                read_answers(&r, seed);
                reader_free(&r);
                client_close(r.fd);
        }
        struct answer a;
        exchange(f, GET, strlen(GET), &a);
        assert_int_equal(a.status, 200);
        answer_free(&a);
}

static int start(void **state) {
        static struct fixture fixture;
        fixture_init(&fixture);
        fixture_start(&fixture);
        *state = &fixture;
        return 0;
}

static int stop(void **state) {
        fixture_stop(*state);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(nothing_breaks_it, start, stop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
