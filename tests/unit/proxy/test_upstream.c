/* SPDX-License-Identifier: Apache-2.0
 *
 * One fetch at a time: what goes out, what comes back, and what is made of answers that are wrong.
 */
#include "proxy/upstream.h"

#include "fetch_probe.h"
#include "lib/unit.h"
#include "raw_server.h"
#include "rt/clock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static struct tk_upstream *up;
static struct raw_server server;

static const char *url_of(unsigned port, const char *path) {
        static char url[256];
        snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
        return url;
}

static int open_up(void **state) {
        TK_UNUSED(state);
        return tk_upstream_open(&up) == TK_OK ? 0 : -1;
}

static int close_up(void **state) {
        TK_UNUSED(state);
        tk_upstream_close(&up);
        return up == NULL ? 0 : -1;
}

/* ---- answers ---- */

/* want is the body; a case that is not WHOLE states what arrived before it ended. reset: RST, not FIN. */
struct answer_case {
        const char *name, *bytes;
        enum tk_fetch_end end;
        int status;
        const char *want;
        bool reset;
};

#define OK      "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static const struct answer_case answers[] = {
        {"length", OK "Content-Length: 5\r\n\r\nhello", TK_FETCH_WHOLE, 200, "hello"},
        {"length zero", OK "Content-Length: 0\r\n\r\n", TK_FETCH_WHOLE, 200, ""},
        {"chunked", CHUNKED "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", TK_FETCH_WHOLE, 200, "hello"},
        {"chunked with trailers", CHUNKED "5\r\nhello\r\n0\r\nx-late: 1\r\n\r\n", TK_FETCH_WHOLE, 200,
         "hello"},
        {"until close", OK "\r\nhello", TK_FETCH_WHOLE, 200, "hello"},
        {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello", TK_FETCH_WHOLE, 200, "hello"},
        {"no content", "HTTP/1.1 204 No Content\r\n\r\n", TK_FETCH_WHOLE, 204, ""},
        {"error status", "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", TK_FETCH_WHOLE, 503, "busy"},
        {"odd status", "HTTP/1.1 999 Odd\r\nContent-Length: 1\r\n\r\nx", TK_FETCH_WHOLE, 999, "x"},
        {"redirect is an answer", "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 2\r\n\r\ngo",
         TK_FETCH_WHOLE, 302, "go"},
        {"authentication is not tried again",
         "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 2\r\n\r\nno", TK_FETCH_WHOLE,
         401, "no"},
        {"interim first",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" OK
         "Content-Length: 2\r\n\r\nok",
         TK_FETCH_WHOLE, 200, "ok"},
        {"coded body stays coded", OK "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b??",
         TK_FETCH_WHOLE, 200, "\x1f\x8b??"},
        {"unknown coding passes", OK "Content-Encoding: zebra\r\nContent-Length: 1\r\n\r\nz", TK_FETCH_WHOLE,
         200, "z"},
        {"more than the length", OK "Content-Length: 2\r\n\r\nokSURPLUS", TK_FETCH_WHOLE, 200, "ok"},
        {"nothing", "", TK_FETCH_BROKEN, 0, ""},
        {"nothing, reset", "", TK_FETCH_BROKEN, 0, "", true},
        {"not HTTP", "SSH-2.0-OpenSSH_9\r\nhello\r\n", TK_FETCH_BROKEN, 0, ""},
        {"bytes without a line", "\x16\x03\x01\x02", TK_FETCH_BROKEN, 0, ""},
        {"HTTP/0.9", "<html>hello</html>", TK_FETCH_BROKEN, 0, ""},
        {"unknown version", "HTTP/7.3 200 OK\r\nContent-Length: 0\r\n\r\n", TK_FETCH_BROKEN, 0, ""},
        {"status line cut", "HTTP/1.1 20", TK_FETCH_BROKEN, 0, ""},
        {"head cut", OK "Content-Length: 5\r\nx-", TK_FETCH_BROKEN, 0, ""},
        {"head cut between lines", OK "Content-Length: 5\r\n", TK_FETCH_BROKEN, 0, ""},
        {"interim only", "HTTP/1.1 100 Continue\r\n\r\n", TK_FETCH_BROKEN, 0, ""},
        {"protocol switch", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
         TK_FETCH_BROKEN, 0, ""},
        {"line without colon", OK "what is this\r\nContent-Length: 0\r\n\r\n", TK_FETCH_BROKEN, 0, ""},
        {"two lengths", OK "Content-Length: 5\r\nContent-Length: 2\r\n\r\nhello", TK_FETCH_BROKEN, 0, ""},
        {"negative length", OK "Content-Length: -5\r\n\r\nhello", TK_FETCH_BROKEN, 0, ""},
        {"huge length", OK "Content-Length: 99999999999999999999\r\n\r\nhello", TK_FETCH_BROKEN, 0, ""},
        {"length cut short", OK "Content-Length: 50\r\n\r\nhello", TK_FETCH_BROKEN, 200, "hello"},
        {"length and nothing", OK "Content-Length: 50\r\n\r\n", TK_FETCH_BROKEN, 200, ""},
        {"chunk cut", CHUNKED "5\r\nhel", TK_FETCH_BROKEN, 200, "hel"},
        {"cut between chunks", CHUNKED "5\r\nhello\r\n", TK_FETCH_BROKEN, 200, "hello"},
        {"cut before the last blank line", CHUNKED "5\r\nhello\r\n0\r\n", TK_FETCH_BROKEN, 200, "hello"},
        {"chunk size no number", CHUNKED "5\r\nhello\r\nzz\r\nx", TK_FETCH_BROKEN, 200, NULL},
        {"chunk size too large", CHUNKED "5\r\nhello\r\nfffffffffffffffff\r\nx", TK_FETCH_BROKEN, 200, NULL},
        {"chunk longer than its size", CHUNKED "5\r\nhelloXX\r\n0\r\n\r\n", TK_FETCH_BROKEN, 200, NULL},
};

static void serve_case(struct raw_server *s, int fd, unsigned nth) {
        const struct answer_case *c = s->ctx;
        struct raw_request request;
        TK_UNUSED(nth);
        if (!raw_request_read(s, fd, &request))
                return;
        raw_request_free(&request);
        raw_send_text(s, fd, c->bytes);
        if (c->reset)
                raw_reset_on_close(fd);
}

static void answers_end_as_they_should(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
                const struct answer_case *c = &answers[i];
                struct probe probe;
                print_message("  %s\n", c->name);
                raw_server_start(&server, serve_case, (void *)c);
                probe_get(&probe, up, url_of(server.port, "/"));
                if (probe.end != c->end || probe.status != c->status)
                        print_message("    end %d, status %d: %s\n", probe.end, probe.status, probe.why);
                assert_int_equal(probe.end, c->end);
                assert_int_equal(probe.status, c->status);
                assert_int_equal(probe.heads, c->status != 0);
                if (c->want) {
                        assert_int_equal(probe.body.len, strlen(c->want));
                        assert_true(tk_str_is(tk_buf_str(&probe.body), c->want));
                }
                assert_int_equal(probe.why[0] != '\0', c->end != TK_FETCH_WHOLE);
                probe_free(&probe);
                raw_server_stop(&server);
        }
}

static void serve_big_head(struct raw_server *s, int fd, unsigned nth) {
        const char *kind = s->ctx;
        struct raw_request request;
        TK_UNUSED(nth);
        if (!raw_request_read(s, fd, &request))
                return;
        raw_request_free(&request);
        raw_send_text(s, fd, OK);
        size_t size = strcmp(kind, "one line of 300 kB") == 0 ? 300000 : 1000;
        unsigned lines = strcmp(kind, "lines without end") == 0 ? 1000000
                         : strcmp(kind, "200 small lines") == 0 ? 200
                                                                : 1;
        if (lines == 200)
                size = 3;
        char *line = malloc(size + 8);
        memset(line, 'x', size);
        memcpy(line, "a: ", 3);
        memcpy(line + size, "\r\n", 3);
        for (unsigned i = 0; i < lines && raw_send_text(s, fd, line); i++)
                continue;
        free(line);
        raw_send_text(s, fd, "Content-Length: 0\r\n\r\n");
}

static void huge_heads_are_refused(void **state) {
        TK_UNUSED(state);
        static const char *const kinds[] = {"one line of 300 kB", "lines without end", "200 small lines"};
        for (size_t i = 0; i < 3; i++) {
                struct probe probe;
                print_message("  %s\n", kinds[i]);
                raw_server_start(&server, serve_big_head, (void *)kinds[i]);
                probe_get(&probe, up, url_of(server.port, "/"));
                assert_int_equal(probe.end, TK_FETCH_BROKEN);
                assert_int_equal(probe.heads, 0);
                probe_free(&probe);
                raw_server_stop(&server);
        }
}

static void headers_arrive_without_trailers_and_interim(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        struct answer_case c = {.bytes = "HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" OK
                                         "X-One:  a b \r\nx-one: c\r\nTransfer-Encoding: chunked\r\n\r\n"
                                         "1\r\nx\r\n0\r\nx-late: 1\r\n\r\n"};
        raw_server_start(&server, serve_case, &c);
        probe_get(&probe, up, url_of(server.port, "/"));
        assert_int_equal(probe.end, TK_FETCH_WHOLE);
        assert_string_equal(probe.headers.at, "x-one=a b|x-one=c|transfer-encoding=chunked|");
        probe_free(&probe);
        raw_server_stop(&server);
}

/* ---- requests ---- */

#define CAUGHT_MAX 128

/* By connection; written by the serving threads, read after they were stopped. */
static struct raw_request caught[CAUGHT_MAX];

static void serve_catch(struct raw_server *s, int fd, unsigned nth) {
        if (nth < CAUGHT_MAX && raw_request_read(s, fd, &caught[nth]))
                raw_send_text(s, fd, OK "Set-Cookie: a=b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

struct request_case {
        const char *name;
        struct tk_fetch_opt opt;
        const char *want; /* the whole head but its Host line */
        struct tk_str body;
};

/* TK_STR as a constant initialiser. */
#define S(literal)                                                                                           \
        { "" literal, sizeof(literal) - 1 }
#define AGENT "User-Agent: tollkey/" TK_VERSION "\r\nAccept: */*\r\n"
static const struct tk_fetch_header json[] = {
        {"content-type", S("application/json")}, {"Authorization", S("Bearer s3cret")}, {"x-empty", S("")}};
static const struct tk_fetch_header hops[] = {{"Connection", S("upgrade")},
                                              {"Content-Length", S("3")},
                                              {"Transfer-Encoding", S("chunked")},
                                              {"TE", S("gzip")},
                                              {"Expect", S("100-continue")},
                                              {"Upgrade", S("h2c")},
                                              {"trailer", S("x")},
                                              {"x-kept", S("yes")}};
static const struct tk_fetch_header agent[] = {{"User-Agent", S("mine/1")},
                                               {"Accept", S("text/event-stream")}};

static const struct request_case requests[] = {
        {"get", {.method = "GET"}, "GET /v1/x?y=%20z HTTP/1.1\r\n" AGENT "\r\n", {0}},
        {"head", {.method = "HEAD"}, "HEAD /v1/x?y=%20z HTTP/1.1\r\n" AGENT "\r\n", {0}},
        {"post",
         {.method = "POST", .headers = json, .headers_nr = 3, .body = S("{\"a\":\0\xff}")},
         "POST /v1/x?y=%20z HTTP/1.1\r\n" AGENT "content-type: application/json\r\nAuthorization: Bearer "
         "s3cret\r\nx-empty:\r\nContent-Length: 8\r\n\r\n",
         S("{\"a\":\0\xff}")},
        {"post without a type or body",
         {.method = "POST"},
         "POST /v1/x?y=%20z HTTP/1.1\r\n" AGENT "Content-Length: 0\r\n\r\n",
         {0}},
        {"delete", {.method = "DELETE"}, "DELETE /v1/x?y=%20z HTTP/1.1\r\n" AGENT "\r\n", {0}},
        {"patch with a body",
         {.method = "PATCH", .body = S("x")},
         "PATCH /v1/x?y=%20z HTTP/1.1\r\n" AGENT "Content-Length: 1\r\n\r\n",
         S("x")},
        {"the framing is not the caller's",
         {.method = "POST", .headers = hops, .headers_nr = 8, .body = S("hello")},
         "POST /v1/x?y=%20z HTTP/1.1\r\n" AGENT "x-kept: yes\r\nContent-Length: 5\r\n\r\n",
         S("hello")},
        {"the caller's own agent",
         {.method = "GET", .headers = agent, .headers_nr = 2},
         "GET /v1/x?y=%20z HTTP/1.1\r\nUser-Agent: mine/1\r\nAccept: text/event-stream\r\n\r\n",
         {0}},
        {"and after it ours again, without a cookie",
         {.method = "GET"},
         "GET /v1/x?y=%20z HTTP/1.1\r\n" AGENT "\r\n",
         {0}},
};

static void drop_host(char *head) {
        char *host = strstr(head, "\r\nHost: 127.0.0.1:");
        assert_non_null(host);
        char *end = strstr(host + 2, "\r\n");
        memmove(host, end, strlen(end) + 1);
}

static void send_request(const struct request_case *c) {
        struct tk_fetch_opt opt = c->opt;
        struct probe probe;
        opt.url = url_of(server.port, "/v1/x?y=%20z");
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        probe_run(&probe, 20000);
        assert_int_equal(probe.end, TK_FETCH_WHOLE);
        probe_free(&probe);
}

static void check_caught(const struct request_case *c, struct raw_request *request) {
        drop_host(request->head);
        assert_string_equal(request->head, c->want);
        assert_int_equal(request->body_len, c->body.len);
        assert_true(tk_str_eq((struct tk_str){request->body, request->body_len}, c->body));
        raw_request_free(request);
}

static void requests_go_out_as_given(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
                print_message("  %s\n", requests[i].name);
                raw_server_start(&server, serve_catch, NULL);
                send_request(&requests[i]);
                raw_server_stop(&server);
                check_caught(&requests[i], &caught[0]);
        }
}

/* Whatever went to the same place before, and however many other places there were. */
static void nothing_is_left_of_the_request_before(void **state) {
        TK_UNUSED(state);
        enum { NR = sizeof requests / sizeof *requests };
        for (size_t place = 0; place < 100; place++) {
                size_t sent = place % 25 == 0 ? (size_t)NR * NR : 2;
                assert_true(sent <= CAUGHT_MAX);
                raw_server_start(&server, serve_catch, NULL);
                for (size_t i = 0; i < sent; i++) /* each after each */
                        send_request(&requests[(place + i * (i / NR + 1)) % NR]);
                raw_server_stop(&server);
                for (size_t i = 0; i < sent; i++)
                        check_caught(&requests[(place + i * (i / NR + 1)) % NR], &caught[i]);
        }
}

static void a_large_body_goes_out_whole(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        struct tk_fetch_opt opt = {.method = "POST", .headers = json, .headers_nr = 3, .body.len = 8 << 20};
        char *body = malloc(opt.body.len);
        assert_non_null(body);
        for (size_t i = 0; i < opt.body.len; i++)
                body[i] = (char)(i * 2654435761u >> 13);
        opt.body.at = body;
        raw_server_start(&server, serve_catch, NULL);
        opt.url = url_of(server.port, "/");
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        probe_run(&probe, 20000);
        raw_server_stop(&server);
        assert_int_equal(probe.end, TK_FETCH_WHOLE);
        assert_null(strcasestr(caught[0].head, "expect"));
        assert_true(tk_str_eq((struct tk_str){caught[0].body, caught[0].body_len}, opt.body));
        raw_request_free(&caught[0]);
        probe_free(&probe);
        free(body);
}

static void the_environment_chooses_no_proxy(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        struct answer_case c = {.bytes = OK "Content-Length: 5\r\n\r\nhello"};
        static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
        for (size_t i = 0; i < 3; i++)
                setenv(names[i], "http://127.0.0.1:1", 1);
        raw_server_start(&server, serve_case, &c);
        probe_get(&probe, up, url_of(server.port, "/"));
        assert_int_equal(probe.end, TK_FETCH_WHOLE);
        probe_free(&probe);
        raw_server_stop(&server);
        for (size_t i = 0; i < 3; i++)
                unsetenv(names[i]);
}

static void never_head(void *ctx, int status, const struct tk_fetch_header *headers, unsigned headers_nr) {
        TK_UNUSED(ctx);
        TK_UNUSED(status);
        TK_UNUSED(headers);
        TK_UNUSED(headers_nr);
        assert_true(false);
}

static void never_data(void *ctx, struct tk_str piece) {
        TK_UNUSED(ctx);
        TK_UNUSED(piece);
        assert_true(false);
}

static void never_end(void *ctx, enum tk_fetch_end end, const char *why) {
        TK_UNUSED(ctx);
        TK_UNUSED(end);
        TK_UNUSED(why);
        assert_true(false);
}

static void bad_requests_do_not_start(void **state) {
        TK_UNUSED(state);
        static const struct {
                const char *url, *method, *name;
                struct tk_str value;
        } bad[] = {
                {"ftp://127.0.0.1/", "GET", "a", S("")},
                {"file:///etc/passwd", "GET", "a", S("")},
                {"", "GET", "a", S("")},
                {"http:/", "GET", "a", S("")},
                {"127.0.0.1", "GET", "a", S("")},
                {"http://127.0.0.1/a b", "GET", "a", S("")},
                {"http://127.0.0.1/\r\nx: y", "GET", "a", S("")},
                {"http://127.0.0.1/", "G T", "a", S("")},
                {"http://127.0.0.1/", "", "a", S("")},
                {"http://127.0.0.1/", "GET", "a b", S("")},
                {"http://127.0.0.1/", "GET", "", S("")},
                {"http://127.0.0.1/", "GET", "a:", S("")},
                {"http://127.0.0.1/", "GET", "a", S("b\r\nc: d")},
                {"http://127.0.0.1/", "GET", "a", S("b\nc")},
                {"http://127.0.0.1/", "GET", "a", S("b\0c")},
        };
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct tk_fetch_header header = {bad[i].name, bad[i].value};
                struct tk_fetch_opt opt = {.url = bad[i].url,
                                           .method = bad[i].method,
                                           .headers = &header,
                                           .headers_nr = 1,
                                           .on_head = never_head,
                                           .on_data = never_data,
                                           .on_end = never_end};
                struct tk_fetch *fetch;
                assert_int_equal(tk_fetch_start(up, &opt, &fetch), TK_E_SYNTAX);
                assert_null(fetch);
        }
        probe_for(up, 20);
}

/* ---- no connection ---- */

static unsigned closed_port(void) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof to;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &size), 0);
        close(fd);
        return ntohs(to.sin_port);
}

static void no_connection_says_so(void **state) {
        TK_UNUSED(state);
        char user[64];
        unsigned port = closed_port();
        snprintf(user, sizeof user, "http://me:secret@127.0.0.1:%u/", port);
        const char *urls[] = {url_of(port, "/"), "http://[::1/", "http:///", "http://127.0.0.1:99999/", user};
        for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
                struct probe probe;
                print_message("  %s\n", urls[i]);
                probe_get(&probe, up, urls[i]);
                assert_int_equal(probe.end, TK_FETCH_NO_CONNECT);
                assert_int_equal(probe.heads, 0);
                assert_true(probe.why[0] != '\0');
                probe_free(&probe);
        }
}

/* A name whose look-up may take long must not hold the loop up when the client is gone. */
static void cancel_does_not_wait_for_a_name(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        struct tk_fetch_opt opt = {.url = "http://nowhere.invalid/", .method = "GET"};
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        for (int i = 0; i < 3; i++)
                tk_upstream_run(up);
        int64_t start = tk_clock_mono_ms();
        probe_cancel(&probe);
        assert_true(tk_clock_mono_ms() - start < 500);
        probe_free(&probe);
}

/* ---- time ---- */

static void serve_silence(struct raw_server *s, int fd, unsigned nth) {
        const char *before = s->ctx;
        struct raw_request request;
        TK_UNUSED(nth);
        if (!raw_request_read(s, fd, &request))
                return;
        raw_request_free(&request);
        raw_send_text(s, fd, before);
        raw_wait_gone(s, fd);
}

static bool one_gone(void *ctx) {
        struct raw_server *s = ctx;
        return atomic_load(&s->peers_gone) > 0;
}

static void silence_ends_in_time(void **state) {
        TK_UNUSED(state);
        static const struct {
                const char *name, *before;
                unsigned first_byte_ms, idle_ms, heads, least_ms;
        } cases[] = {
                {"no head", "", 200, 60000, 0, 200},
                {"interim answers are no head", "HTTP/1.1 100 Continue\r\n\r\n", 200, 60000, 0, 200},
                {"half a head", OK "a: b\r\n", 200, 60000, 0, 200},
                {"no body", OK "Content-Length: 9\r\n\r\n", 60000, 200, 1, 200},
                {"half a body", OK "Content-Length: 9\r\n\r\nhell", 60000, 200, 1, 200},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct probe probe;
                print_message("  %s\n", cases[i].name);
                raw_server_start(&server, serve_silence, (void *)cases[i].before);
                struct tk_fetch_opt opt = {.url = url_of(server.port, "/"),
                                           .method = "GET",
                                           .first_byte_ms = cases[i].first_byte_ms,
                                           .idle_ms = cases[i].idle_ms};
                int64_t start = tk_clock_mono_ms();
                probe_init(&probe, up);
                probe_start(&probe, &opt);
                probe_run(&probe, 20000);
                assert_int_equal(probe.end, TK_FETCH_TIMEOUT);
                assert_int_equal(probe.heads, cases[i].heads);
                assert_true(tk_clock_mono_ms() - start >= cases[i].least_ms);
                probe_until(up, one_gone, &server, 5000); /* The provider is told to stop. */
                probe_free(&probe);
                raw_server_stop(&server);
        }
}

static void serve_slowly(struct raw_server *s, int fd, unsigned nth) {
        struct raw_request request;
        struct timespec pace = {.tv_nsec = 400 * 1000000};
        TK_UNUSED(nth);
        if (!raw_request_read(s, fd, &request))
                return;
        raw_request_free(&request);
        nanosleep(&pace, NULL);
        raw_send_text(s, fd, OK "Content-Length: 5\r\n\r\n");
        for (int i = 0; i < 5; i++) {
                nanosleep(&pace, NULL);
                if (!raw_send_text(s, fd, "x"))
                        return;
        }
}

/* 2.4 s in all, with an idle time of 2 s: each piece must start it anew. */
static void slow_but_alive_is_no_silence(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        raw_server_start(&server, serve_slowly, NULL);
        struct tk_fetch_opt opt = {
                .url = url_of(server.port, "/"), .method = "GET", .first_byte_ms = 2000, .idle_ms = 2000};
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        probe_run(&probe, 20000);
        assert_int_equal(probe.end, TK_FETCH_WHOLE);
        assert_int_equal(probe.body.len, 5);
        probe_free(&probe);
        raw_server_stop(&server);
}

/* A listener whose backlog is full answers no further SYN. */
static void connecting_ends_in_time(void **state) {
        TK_UNUSED(state);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof to;
        struct probe probe;
        int fillers[3];
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
        assert_int_equal(listen(fd, 0), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &size), 0);
        for (int i = 0; i < 3; i++) {
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                TK_UNUSED(connect(fillers[i], (struct sockaddr *)&to, sizeof to));
        }
        struct tk_fetch_opt opt = {
                .url = url_of(ntohs(to.sin_port), "/"), .method = "GET", .connect_ms = 300};
        int64_t start = tk_clock_mono_ms();
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        probe_run(&probe, 20000);
        assert_int_equal(probe.end, TK_FETCH_TIMEOUT);
        assert_true(tk_clock_mono_ms() - start >= 290);
        probe_free(&probe);
        for (int i = 0; i < 3; i++)
                close(fillers[i]);
        close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(answers_end_as_they_should),
                TEST(huge_heads_are_refused),
                TEST(headers_arrive_without_trailers_and_interim),
                TEST(requests_go_out_as_given),
                TEST(nothing_is_left_of_the_request_before),
                TEST(a_large_body_goes_out_whole),
                TEST(the_environment_chooses_no_proxy),
                TEST(bad_requests_do_not_start),
                TEST(no_connection_says_so),
                TEST(cancel_does_not_wait_for_a_name),
                TEST(silence_ends_in_time),
                TEST(slow_but_alive_is_no_silence),
                TEST(connecting_ends_in_time),
        };
        return cmocka_run_group_tests(tests, open_up, close_up);
}
