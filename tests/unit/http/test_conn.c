/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversations over a real socket: how requests are read, refused and followed by others.
 */
#include "unit/http/fixture.h"

#include "lib/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO        "{\"hello\":\"world\",\"answer\":42}"
#define HOST         "Host: h\r\n"
#define GET(path)    "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define POST(fields) "POST /echo HTTP/1.1\r\n" HOST fields "\r\n"

static struct fixture fixture;

static int start(void **state) {
        fixture_init(&fixture);
        fixture_start(&fixture);
        *state = &fixture;
        return 0;
}

static int stop(void **state) {
        fixture_stop(*state);
        return 0;
}

static struct reader reader_of(int fd) {
        struct reader r;
        reader_init(&r, fd);
        return r;
}

static void expect(struct reader *r, int status, const char *body) {
        struct answer a;
        reader_next(r, false, &a);
        if (a.status != status)
                print_error("%s%s\n", a.head.len ? a.head.at : "", a.body.len ? a.body.at : "");
        assert_int_equal(a.status, status);
        assert_true(a.whole);
        if (body)
                assert_string_equal(a.body.len ? a.body.at : "", body);
        answer_free(&a);
}

static void answers_and_stays_open(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        for (int i = 0; i < 3; i++) {
                client_text(fd, GET("/hello"));
                struct answer a;
                reader_next(&r, false, &a);
                assert_int_equal(a.status, 200);
                assert_string_equal(a.body.at, HELLO);
                assert_string_equal(answer_header(&a, "content-type"), "application/json");
                assert_string_equal(answer_header(&a, "content-length"), "29");
                assert_int_equal(strlen(answer_header(&a, "date")), 29);
                assert_int_equal(strlen(answer_header(&a, "x-request-id")), 36);
                assert_null(answer_header(&a, "connection"));
                answer_free(&a);
        }
        reader_free(&r);
        client_close(fd);
}

static void ids_are_fresh_and_ours(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        char ids[2][64];
        for (int i = 0; i < 2; i++) {
                client_text(fd, "GET /id HTTP/1.1\r\n" HOST "x-request-id: chosen-by-the-client\r\n\r\n");
                struct answer a;
                reader_next(&r, false, &a);
                snprintf(ids[i], sizeof ids[i], "%s", answer_header(&a, "x-request-id"));
                assert_string_equal(ids[i], a.body.at);
                answer_free(&a);
        }
        assert_string_not_equal(ids[0], ids[1]);
        assert_int_equal(ids[0][14], '7'); /* UUID version */
        client_text(fd, GET("/headers"));
        struct answer a;
        reader_next(&r, false, &a);
        assert_string_equal(answer_header(&a, "x-one"), "1");
        assert_string_equal(answer_header(&a, "x-two"), "2; \"quoted\"");
        assert_string_equal(answer_header(&a, "content-length"), "2");
        assert_string_not_equal(answer_header(&a, "x-request-id"), "mine");
        answer_free(&a);
        reader_free(&r);
        client_close(fd);
}

static void serves_pipelined_requests_in_order(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        client_text(fd, GET("/later") POST("Content-Length: 3\r\n") "one" GET("/hello")
                                POST("Transfer-Encoding: chunked\r\n") "3\r\ntwo\r\n0\r\n\r\n" GET("/later"));
        expect(&r, 200, "later");
        expect(&r, 200, "POST|/echo|||one");
        expect(&r, 200, HELLO);
        expect(&r, 200, "POST|/echo|||two");
        expect(&r, 200, "later");
        reader_free(&r);
        client_close(fd);
}

/* More than is kept ahead, so reading stops and goes on again. */
static void serves_a_long_pipeline(void **state) {
        enum { REQUESTS = 4000 };
        int fd = client_open(*state, 0);
        struct tk_buf all = TK_BUF(1u << 20);
        tk_buf_text(&all, GET("/later"));
        for (int i = 0; i < REQUESTS; i++)
                tk_buf_printf(&all, "GET /echo?%d HTTP/1.1\r\n" HOST "\r\n", i);
        assert_true(tk_buf_ok(&all) && all.len > 100000);
        client_send(fd, all.at, all.len);
        tk_buf_free(&all);
        struct reader r = reader_of(fd);
        expect(&r, 200, "later");
        for (int i = 0; i < REQUESTS; i++) {
                char body[64];
                snprintf(body, sizeof body, "GET|/echo|%d||", i);
                expect(&r, 200, body);
        }
        reader_free(&r);
        client_close(fd);
}

static void reads_byte_by_byte(void **state) {
        static const char *const requests[] = {
                GET("/hello"),
                "\r\n" GET("/hello"),
                POST("Content-Length: 5\r\nX-Test: t\r\n") "12345",
                POST("Transfer-Encoding: chunked\r\n") "3;ext\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
        };
        static const char *const bodies[] = {HELLO, HELLO, "POST|/echo||t|12345", "POST|/echo|||abcde"};
        for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
                int fd = client_open(*state, 0);
                struct reader r = reader_of(fd);
                for (const char *at = requests[i]; *at; at++)
                        client_send(fd, at, 1);
                expect(&r, 200, bodies[i]);
                client_text(fd, GET("/hello"));
                expect(&r, 200, HELLO);
                reader_free(&r);
                client_close(fd);
        }
}

static void tells_the_request(void **state) {
        static const struct {
                const char *in, *body;
        } table[] = {
                {"GET /echo?a=b%20c&d HTTP/1.1\r\n" HOST "X-Test: v\r\n\r\n", "GET|/echo|a=b%20c&d|v|"},
                {"DELETE http://h/echo?q HTTP/1.1\r\n" HOST "\r\n", "DELETE|/echo|q||"},
                {"GET /echo HTTP/1.1\r\n" HOST "x-test: 1\r\nX-TEST: 2\r\n\r\n", "GET|/echo||1|"},
                {"GET /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi", "GET|/echo|||hi"},
                {POST("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 2\r\n") "hi",
                 "POST|/echo|||hi"},
                {GET("/peer"), "127.0.0.1"},
                {GET("/alloc"), "clean"},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct answer a;
                exchange(*state, table[i].in, strlen(table[i].in), &a);
                assert_int_equal(a.status, 200);
                assert_string_equal(a.body.at, table[i].body);
                answer_free(&a);
        }
}

static void body_up_to_the_limit(void **state) {
        enum { LIMIT = 65536 };
        struct tk_buf in = TK_BUF(1u << 20);
        for (int chunked = 0; chunked < 2; chunked++) {
                tk_buf_clear(&in);
                tk_buf_printf(&in, "POST /echo HTTP/1.1\r\n" HOST "%s\r\n\r\n",
                              chunked ? "Transfer-Encoding: chunked" : "Content-Length: 65536");
                if (chunked)
                        tk_buf_text(&in, "10000\r\n");
                for (int i = 0; i < LIMIT; i++)
                        tk_buf_char(&in, (char)('a' + i % 23));
                if (chunked)
                        tk_buf_text(&in, "\r\n0\r\n\r\n");
                struct answer a;
                exchange(*state, in.at, in.len, &a);
                assert_int_equal(a.status, 200);
                assert_int_equal(a.body.len, LIMIT + strlen("POST|/echo|||"));
                assert_int_equal(a.body.at[a.body.len - 1], 'a' + (LIMIT - 1) % 23);
                answer_free(&a);
        }
        tk_buf_free(&in);
}

/* ---- refusals ---- */

struct refusal {
        const char *name;
        struct tk_str in;
        int status;
        const char *path;
};

static const struct refusal refusals[] = {
#define ROW(name, in, status, path)                                                                          \
        { name, {"" in, sizeof(in) - 1}, status, path }
#define CHUNKED POST("Transfer-Encoding: chunked\r\n")
        ROW("length and chunked", POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n",
            400, "/echo"),
        ROW("chunked and length", POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") "0\r\n\r\n",
            400, "/echo"),
        ROW("length twice", POST("Content-Length: 2\r\nContent-Length: 2\r\n") "ab", 400, "/echo"),
        ROW("lengths that differ", POST("Content-Length: 2\r\nContent-Length: 3\r\n") "abc", 400, "/echo"),
        ROW("length list", POST("Content-Length: 2,2\r\n") "ab", 400, "/echo"),
        ROW("length that is no number", POST("Content-Length: two\r\n") "ab", 400, "/echo"),
        ROW("encoding not chunked", POST("Transfer-Encoding: gzip\r\n") "ab", 400, "/echo"),
        ROW("encoding obscured", POST("Transfer-Encoding: xchunked\r\n") "0\r\n\r\n", 400, "/echo"),
        ROW("encoding with a space before the colon", POST("Transfer-Encoding : chunked\r\n") "0\r\n\r\n",
            400, "/echo"),
        ROW("encoding on a folded line", POST("X: y\r\n Transfer-Encoding: chunked\r\n") "0\r\n\r\n", 400,
            "/echo"),
        ROW("encoding in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
            "/echo"),
        ROW("no host", "GET /hello HTTP/1.1\r\n\r\n", 400, "/hello"),
        ROW("two hosts", "GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", 400, "/hello"),
        ROW("bare LF", "GET /hello HTTP/1.1\nHost: h\n\n", 400, "/hello"),
        ROW("NUL", "GET /hello HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n", 400, "/hello"),
        ROW("chunk size", CHUNKED "zz\r\n", 400, "/echo"),
        ROW("chunk size too long", CHUNKED "ffffffffffffffff1\r\n", 400, "/echo"),
        ROW("chunk of the largest size", CHUNKED "fffffffffffffff\r\na", 0, ""),
        ROW("chunk without its CR LF", CHUNKED "2\r\nabXX0\r\n\r\n", 400, "/echo"),
        ROW("chunk with CR X", CHUNKED "2\rXab\r\n0\r\n\r\n", 400, "/echo"),
        ROW("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "*"),
        ROW("HTTP/3.0", "GET /hello HTTP/3.0\r\n\r\n", 505, "/hello"),
        ROW("HTTP/0.9", "GET /hello\r\n\r\n", 400, "/hello"),
        ROW("TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, ""),
        ROW("expectation", POST("Expect: the-unexpected\r\nContent-Length: 2\r\n") "ab", 417, "/echo"),
        ROW("length beyond the limit", POST("Content-Length: 65537\r\n"), 413, "/echo"),
        ROW("length far beyond the limit", POST("Content-Length: 18446744073709551615\r\n") "x", 413,
            "/echo"),
        ROW("expecting, beyond the limit", POST("Content-Length: 65537\r\nExpect: 100-continue\r\n"), 413,
            "/echo"),
#undef ROW
};

static void refuse_one(struct fixture *f, const struct refusal *row) {
        long refused = fixture_count(f, COUNT_REFUSED), calls = fixture_count(f, COUNT_CALLS);
        int fd = client_open(f, 0);
        struct reader r = reader_of(fd);
        client_send(fd, row->in.at, row->in.len);
        if (row->status == 0) /* it cannot be judged yet; the end of the input judges it */
                client_half_close(fd);
        struct answer a;
        reader_next(&r, false, &a);
        int status = row->status ? row->status : 400;
        if (a.status != status)
                print_error("%s: %d %s\n", row->name, a.status, a.body.len ? a.body.at : "");
        assert_int_equal(a.status, status);
        assert_true(a.whole);
        assert_string_equal(answer_header(&a, "connection"), "close");
        assert_string_equal(answer_header(&a, "content-type"), "application/json");
        assert_int_equal(strlen(answer_header(&a, "x-request-id")), 36);
        assert_string_equal(answer_header(&a, "x-refused"), answer_header(&a, "x-request-id"));
        char want[128];
        snprintf(want, sizeof want, "{\"status\":%d,\"path\":\"%s\",\"why\":\"", status,
                 row->status ? row->path : "/echo");
        assert_memory_equal(a.body.at, want, strlen(want));
        assert_true(reader_at_end(&r));
        assert_false(r.was_reset);
        assert_int_equal(fixture_count(f, COUNT_REFUSED), refused + 1);
        assert_int_equal(fixture_count(f, COUNT_CALLS), calls);
        answer_free(&a);
        reader_free(&r);
        client_close(fd);
}

static void refuses_and_closes(void **state) {
        for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
                refuse_one(*state, &refusals[i]);
        struct answer a;
        exchange(*state, GET("/hello"), strlen(GET("/hello")), &a);
        assert_int_equal(a.status, 200);
        answer_free(&a);
}

/* What follows a request that could be read in two ways is never read as a request. */
static void serves_nothing_smuggled(void **state) {
        static const char *const shapes[] = {
                POST("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n" GET("/hello"),
                POST("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") "0\r\n\r\n" GET("/hello"),
                POST("Content-Length: 0\r\nContent-Length: 44\r\n") GET("/hello"),
                POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n") "0\r\n\r\n" GET("/hello"),
                POST("Transfer-Encoding:\tchunked, identity\r\n") "0\r\n\r\n" GET("/hello"),
                POST("Content-Length: 3\nContent-Length: 0\r\n") "abc" GET("/hello"),
                POST("Transfer-Encoding: chunked\r\n") "2\r\nabc\r\n0\r\n\r\n" GET("/hello"),
                POST("Transfer-Encoding: chunked\r\n") "1;\nX\r\n0\r\n\r\n" GET("/hello"),
        };
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
                long calls = fixture_count(f, COUNT_CALLS);
                int fd = client_open(f, 0);
                struct reader r = reader_of(fd);
                client_text(fd, shapes[i]);
                expect(&r, 400, NULL);
                assert_true(reader_at_end(&r));
                assert_int_equal(fixture_count(f, COUNT_CALLS), calls);
                reader_free(&r);
                client_close(fd);
        }
}

static void refuses_only_after_what_came_before(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        client_text(fd, GET("/later") GET("/hello") "GET / HTTP/9.9\r\n\r\n" GET("/hello"));
        expect(&r, 200, "later");
        expect(&r, 200, HELLO);
        expect(&r, 505, NULL);
        assert_true(reader_at_end(&r));
        reader_free(&r);
        client_close(fd);
}

/* A header that never ends is refused while it is being sent, and the answer arrives in spite of that. */
static void refuses_long_headers(void **state) {
        static const char *const begins[] = {"GET /hello HTTP/1.1\r\nHost: h\r\nX: ", "GET /", "XXXX",
                                             "GET /hello HTTP/1.1\r\n"};
        static const char *const fills[] = {"y", "y", "X", "A: b\r\n"};
        static const char *const paths[] = {"/hello\"", "/yyy", "\"", "/hello\""};
        for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
                int fd = client_open(*state, 0);
                struct reader r = reader_of(fd);
                client_text(fd, begins[i]);
                struct tk_buf fill = TK_BUF(1u << 20);
                while (fill.len < 500000)
                        tk_buf_text(&fill, fills[i]);
                client_send(fd, fill.at, fill.len);
                tk_buf_free(&fill);
                struct answer a;
                reader_next(&r, false, &a);
                assert_int_equal(a.status, 431);
                char want[64];
                snprintf(want, sizeof want, "{\"status\":431,\"path\":\"%s", paths[i]);
                assert_memory_equal(a.body.at, want, strlen(want));
                answer_free(&a);
                reader_free(&r);
                client_close(fd);
        }
}

static void header_limit_is_exact(void **state) {
        enum { LIMIT = 2048 };
        for (int over = 0; over < 2; over++) {
                char in[LIMIT + 16];
                int n = snprintf(in, sizeof in, "GET /hello HTTP/1.1\r\nHost: h\r\nX: ");
                memset(in + n, 'y', sizeof in - (size_t)n);
                size_t len = (size_t)(LIMIT + over);
                memcpy(in + len - 4, "\r\n\r\n", 4);
                struct answer a;
                exchange(*state, in, len, &a);
                assert_int_equal(a.status, over ? 431 : 200);
                answer_free(&a);
        }
}

/* The client sends on and on; it must read 413, not a reset. */
static void refuses_long_bodies_while_they_are_sent(void **state) {
        static const char *const heads[] = {POST("Content-Length: 20000000\r\n"),
                                            POST("Transfer-Encoding: chunked\r\n") "1312d00\r\n"};
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
                int fd = client_open(*state, 0);
                struct reader r = reader_of(fd);
                client_text(fd, heads[i]);
                assert_true(client_pour(fd, 20000000));
                expect(&r, 413, NULL);
                assert_true(reader_at_end(&r));
                assert_false(r.was_reset);
                reader_free(&r);
                client_close(fd);
        }
}

static void tells_a_client_that_expects(void **state) {
        for (int chunked = 0; chunked < 2; chunked++) {
                int fd = client_open(*state, 0);
                struct reader r = reader_of(fd);
                client_text(fd, chunked ? POST("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")
                                        : POST("Expect: 100-continue\r\nContent-Length: 3\r\n"));
                expect(&r, 100, "");
                client_text(fd, chunked ? "3\r\nabc\r\n0\r\n\r\n" : "abc");
                expect(&r, 200, "POST|/echo|||abc");
                /* Who does not wait, or has nothing to send, is not told. */
                client_text(fd, POST("Expect: 100-continue\r\nContent-Length: 3\r\n") "abc");
                expect(&r, 200, "POST|/echo|||abc");
                client_text(fd, POST("Expect: 100-continue\r\nContent-Length: 0\r\n"));
                expect(&r, 200, "POST|/echo|||");
                client_text(fd, POST("Expect: 100-continue\r\n"));
                expect(&r, 200, "POST|/echo|||");
                reader_free(&r);
                client_close(fd);
        }
}

static void head_has_no_body(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        struct answer a;
        client_text(fd, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n"
                        "HEAD /stream HTTP/1.1\r\n" HOST "\r\n" GET("/hello"));
        reader_next(&r, true, &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(answer_header(&a, "content-length"), "29");
        answer_free(&a);
        reader_next(&r, true, &a);
        assert_int_equal(a.status, 200);
        assert_null(answer_header(&a, "content-length"));
        answer_free(&a);
        expect(&r, 200, HELLO);
        client_text(fd, "HEAD /hello HTTP/1.1\r\n\r\n");
        reader_next(&r, true, &a);
        assert_int_equal(a.status, 400);
        answer_free(&a);
        assert_true(reader_at_end(&r));
        reader_free(&r);
        client_close(fd);
}

static void bodyless_answers_have_no_body(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        for (int i = 0; i < 2; i++) {
                client_text(fd, i ? GET("/status/204") : GET("/status/304"));
                struct answer a;
                reader_next(&r, false, &a);
                assert_int_equal(a.status, i ? 204 : 304);
                assert_null(answer_header(&a, "content-length"));
                assert_null(answer_header(&a, "transfer-encoding"));
                answer_free(&a);
        }
        client_text(fd, GET("/status/299"));
        expect(&r, 299, "x");
        reader_free(&r);
        client_close(fd);
}

static void closes_when_the_client_asks(void **state) {
        static const struct {
                const char *in;
                bool closes;
        } table[] = {
                {"GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET("/hello"), true},
                {"GET /hello HTTP/1.0\r\n\r\n" GET("/hello"), true},
                {"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                int fd = client_open(*state, 0);
                struct reader r = reader_of(fd);
                client_text(fd, table[i].in);
                struct answer a;
                reader_next(&r, false, &a);
                assert_int_equal(a.status, 200);
                assert_string_equal(answer_header(&a, "connection"),
                                    table[i].closes ? "close" : "keep-alive");
                answer_free(&a);
                if (table[i].closes) {
                        assert_true(reader_at_end(&r));
                } else {
                        client_text(fd, table[i].in);
                        expect(&r, 200, HELLO);
                }
                reader_free(&r);
                client_close(fd);
        }
}

static void one_empty_line_is_ignored(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        client_text(fd, "\r\n" GET("/hello") "\r\n" GET("/hello") "\r\n");
        expect(&r, 200, HELLO);
        expect(&r, 200, HELLO);
        client_text(fd, GET("/hello") "\r\n\r\n" GET("/hello"));
        expect(&r, 200, HELLO);
        expect(&r, 400, NULL);
        reader_free(&r);
        client_close(fd);
}

static void a_half_closed_request_is_served_or_refused(void **state) {
        static const struct {
                const char *in;
                int status;
        } table[] = {
                {GET("/hello"), 200},
                {GET("/later"), 200},
                {GET("/later") GET("/hello"), 200},
                {"GET /hel", 400},
                {GET("/hello") "GET /hel", 200},
                {POST("Content-Length: 5\r\n") "ab", 400},
                {POST("Transfer-Encoding: chunked\r\n") "5\r\nab", 400},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                int fd = client_open(*state, 0);
                struct reader r = reader_of(fd);
                client_text(fd, table[i].in);
                client_half_close(fd);
                expect(&r, table[i].status, NULL);
                if (i == 2)
                        expect(&r, 200, HELLO);
                if (i == 4)
                        expect(&r, 400, NULL);
                assert_true(reader_at_end(&r));
                assert_false(r.was_reset);
                reader_free(&r);
                client_close(fd);
        }
}

static void sends_large_answers_whole(void **state) {
        int fd = client_open(*state, 4096);
        struct reader r = reader_of(fd);
        client_text(fd, GET("/big") GET("/hello"));
        struct answer a;
        reader_next(&r, false, &a);
        assert_true(a.whole);
        assert_int_equal(a.body.len, 8u << 20);
        for (size_t i = 0; i < a.body.len; i += 4093)
                assert_int_equal(a.body.at[i], 'b');
        answer_free(&a);
        expect(&r, 200, HELLO);
        reader_free(&r);
        client_close(fd);
}

/* ---- times ---- */

static int start_impatient(void **state) {
        fixture_init(&fixture);
        fixture.opt.header_ms = 60;
        fixture.opt.body_ms = 300;
        fixture.opt.idle_ms = 60;
        fixture_start(&fixture);
        *state = &fixture;
        return 0;
}

static void slow_requests_time_out(void **state) {
        static const struct {
                const char *in;
                const char *path;
        } table[] = {
                {"G", ""},
                {"GET /hello HTTP/1.1\r\nHost:", "/hello"},
                {POST("Content-Length: 5\r\n"), "/echo"},
                {POST("Content-Length: 5\r\n") "ab", "/echo"},
                {POST("Transfer-Encoding: chunked\r\n") "5\r\n", "/echo"},
                {POST("Transfer-Encoding: chunked\r\n") "1\r\na\r\n0\r\n", "/echo"},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct answer a;
                exchange(*state, table[i].in, strlen(table[i].in), &a);
                assert_int_equal(a.status, 408);
                char want[64];
                snprintf(want, sizeof want, "{\"status\":408,\"path\":\"%s\"", table[i].path);
                assert_memory_equal(a.body.at, want, strlen(want));
                assert_string_equal(answer_header(&a, "connection"), "close");
                answer_free(&a);
        }
}

/* The header's time runs from its first byte and is not renewed by the next ones. */
static void a_trickled_header_times_out(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        client_text(fd, "GET /hello HTTP/1.1\r\nX: ");
        bool answered = false;
        for (int i = 0; i < 2000 && !answered; i++) {
                client_text(fd, "y");
                usleep(5000); /* the client's pace, not a wait for something */
                char c;
                answered = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
        }
        assert_true(answered);
        expect(&r, 408, NULL);
        reader_free(&r);
        client_close(fd);
}

/* The body's time is renewed by each piece. */
static void a_steady_body_does_not_time_out(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        client_text(fd, POST("Content-Length: 25\r\n"));
        for (int i = 0; i < 25; i++) {
                client_text(fd, "y");
                usleep(20000); /* 500 ms in all */
        }
        expect(&r, 200, "POST|/echo|||yyyyyyyyyyyyyyyyyyyyyyyyy");
        reader_free(&r);
        client_close(fd);
}

static void idle_connections_are_closed_silently(void **state) {
        int fd = client_open(*state, 0);
        struct reader r = reader_of(fd);
        assert_true(reader_at_end(&r));
        reader_free(&r);
        client_close(fd);
        fd = client_open(*state, 0);
        r = reader_of(fd);
        client_text(fd, GET("/hello"));
        expect(&r, 200, HELLO);
        assert_true(reader_at_end(&r));
        reader_free(&r);
        client_close(fd);
}

int main(void) {
#define WITH(f)  cmocka_unit_test_setup_teardown(f, start, stop)
#define HASTE(f) cmocka_unit_test_setup_teardown(f, start_impatient, stop)
        const struct CMUnitTest tests[] = {
                WITH(answers_and_stays_open),
                WITH(ids_are_fresh_and_ours),
                WITH(serves_pipelined_requests_in_order),
                WITH(serves_a_long_pipeline),
                WITH(reads_byte_by_byte),
                WITH(tells_the_request),
                WITH(body_up_to_the_limit),
                WITH(refuses_and_closes),
                WITH(serves_nothing_smuggled),
                WITH(refuses_only_after_what_came_before),
                WITH(refuses_long_headers),
                WITH(header_limit_is_exact),
                WITH(refuses_long_bodies_while_they_are_sent),
                WITH(tells_a_client_that_expects),
                WITH(head_has_no_body),
                WITH(bodyless_answers_have_no_body),
                WITH(closes_when_the_client_asks),
                WITH(one_empty_line_is_ignored),
                WITH(a_half_closed_request_is_served_or_refused),
                WITH(sends_large_answers_whole),
                HASTE(slow_requests_time_out),
                HASTE(a_trickled_header_times_out),
                HASTE(a_steady_body_does_not_time_out),
                HASTE(idle_connections_are_closed_silently),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
