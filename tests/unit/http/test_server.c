/* SPDX-License-Identifier: Apache-2.0
 *
 * The server as a whole: where it listens, its limits, and how it ends.
 */
#include "unit/http/fixture.h"

#include "lib/unit.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO     "{\"hello\":\"world\",\"answer\":42}"
#define HOST      "Host: h\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

static struct fixture fixture;

static struct reader begin(struct fixture *f, const char *text) {
        struct reader r;
        reader_init(&r, client_open(f, 0));
        client_text(r.fd, text);
        return r;
}

static void finish(struct reader *r) {
        reader_free(r);
        client_close(r->fd);
}

static struct answer expect(struct reader *r, int status, const char *body) {
        struct answer a;
        reader_next(r, false, &a);
        assert_int_equal(a.status, status);
        assert_true(a.whole);
        assert_string_equal(a.body.len ? a.body.at : "", body);
        return a;
}

static void expect_only(struct reader *r, int status, const char *body) {
        struct answer a = expect(r, status, body);
        answer_free(&a);
}

/* ---- listening ---- */

static enum tk_err open_at(const char *listen, unsigned loops, struct tk_server **server, char *why,
                           size_t size) {
        fixture_init(&fixture);
        fixture.opt.listen = listen;
        fixture.opt.loops = loops;
        return tk_server_open(&fixture.opt, server, why, size);
}

static void says_why_it_cannot_listen(void **state) {
        TK_UNUSED(state);
        static const char *const bad[] = {"",
                                          "127.0.0.1",
                                          ":80",
                                          "127.0.0.1:",
                                          "127.0.0.1:x",
                                          "127.0.0.1:65536",
                                          "127.0.0.1:-1",
                                          "::1:80",
                                          "[::1]",
                                          "[]:80",
                                          "no such host:80",
                                          "127.0.0.1:80:80",
                                          "203.0.113.7:0"};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct tk_server *server = NULL;
                char why[256] = "";
                enum tk_err err = open_at(bad[i], 1, &server, why, sizeof why);
                if (err != TK_E_IO)
                        print_error("\"%s\": %s\n", bad[i], tk_err_name(err));
                assert_int_equal(err, TK_E_IO);
                assert_null(server);
                assert_true(strlen(why) > 10);
                if (!strstr(why, bad[i]))
                        print_error("row %zu: %s\n", i, why);
                assert_non_null(strstr(why, bad[i]));
        }
}

static void says_when_the_address_is_in_use(void **state) {
        TK_UNUSED(state);
        for (unsigned loops = 1; loops <= 2; loops++) {
                struct tk_server *first = NULL, *second = NULL;
                char why[256] = "";
                assert_ok(open_at("127.0.0.1:0", loops, &first, why, sizeof why));
                char address[64];
                snprintf(address, sizeof address, "%s", tk_server_address(first));
                /* Also one that would share the port, were it allowed to. */
                assert_int_equal(open_at(address, 1, &second, why, sizeof why), TK_E_IO);
                assert_non_null(strstr(why, "in use"));
                assert_int_equal(open_at(address, 2, &second, why, sizeof why), TK_E_IO);
                assert_non_null(strstr(why, "in use"));
                tk_server_close(&first);
                assert_ok(open_at(address, loops, &second, why, sizeof why));
                assert_string_equal(tk_server_address(second), address);
                tk_server_close(&second);
        }
}

static void names_its_address(void **state) {
        TK_UNUSED(state);
        struct tk_server *server;
        char why[256];
        assert_ok(open_at("localhost:0", 1, &server, why, sizeof why));
        const char *address = tk_server_address(server);
        assert_true(strncmp(address, "127.0.0.1:", 10) == 0 || strncmp(address, "[::1]:", 6) == 0);
        assert_true(atoi(strrchr(address, ':') + 1) > 0);
        tk_server_close(&server);
}

static void loops_share_the_port(void **state) {
        TK_UNUSED(state);
        fixture_init(&fixture);
        fixture.opt.loops = 3;
        fixture_start(&fixture);
        /* Each connection is one loop's by chance; a hundred leave none out. */
        for (int i = 0; i < 100; i++) {
                struct reader r = begin(&fixture, GET("/hello"));
                expect_only(&r, 200, HELLO);
                finish(&r);
        }
        assert_int_equal(fixture_count(&fixture, COUNT_LOOPS), 3);
        assert_int_equal(fixture_count(&fixture, COUNT_CALLS), 100);
        fixture_stop(&fixture);
}

/* ---- limits ---- */

static void further_connections_wait(void **state) {
        TK_UNUSED(state);
        fixture_init(&fixture);
        fixture.opt.connections_max = 2;
        fixture_start(&fixture);
        struct reader a = begin(&fixture, GET("/hello")), b = begin(&fixture, GET("/hello"));
        expect_only(&a, 200, HELLO);
        expect_only(&b, 200, HELLO);
        struct reader c = begin(&fixture, GET("/hello")), d = begin(&fixture, GET("/hello"));
        /* These two are served on their connections while the others wait ... */
        for (int i = 0; i < 10; i++) {
                client_text(a.fd, GET("/hello"));
                expect_only(&a, 200, HELLO);
        }
        assert_int_equal(fixture_count(&fixture, COUNT_CALLS), 12);
        /* ... and their leaving makes room. */
        finish(&a);
        expect_only(&c, 200, HELLO);
        finish(&b);
        expect_only(&d, 200, HELLO);
        finish(&c);
        finish(&d);
        fixture_stop(&fixture);
}

static void survives_without_descriptors(void **state) {
        TK_UNUSED(state);
        enum { CLIENTS = 12 };
        fixture_init(&fixture);
        fixture_start(&fixture);
        struct reader first = begin(&fixture, GET("/hello"));
        expect_only(&first, 200, HELLO);
        int fds[CLIENTS];
        for (int i = 0; i < CLIENTS; i++)
                fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        struct rlimit before, none;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = before;
        none.rlim_cur = (rlim_t)fds[CLIENTS - 1] + 3; /* room for two or three connections */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        struct reader readers[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) {
                client_connect(&fixture, fds[i]);
                client_text(fds[i], "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
                reader_init(&readers[i], fds[i]);
        }
        /* One by one they get through, as each that closes leaves its descriptor to the next. */
        for (int i = 0; i < CLIENTS; i++) {
                expect_only(&readers[i], 200, HELLO);
                assert_true(reader_at_end(&readers[i]));
                finish(&readers[i]);
        }
        client_text(first.fd, GET("/hello"));
        expect_only(&first, 200, HELLO);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        finish(&first);
        fixture_stop(&fixture);
}

/* ---- stopping ---- */

static void stops_when_idle(void **state) {
        TK_UNUSED(state);
        fixture_init(&fixture);
        fixture.opt.loops = 2;
        fixture_start(&fixture);
        struct reader used = begin(&fixture, GET("/hello")), unused = begin(&fixture, "");
        expect_only(&used, 200, HELLO);
        fixture_stop(&fixture);
        assert_true(reader_at_end(&used));
        assert_true(reader_at_end(&unused));
        finish(&used);
        finish(&unused);
}

static void finishes_what_runs_and_refuses_new(void **state) {
        TK_UNUSED(state);
        fixture_init(&fixture);
        fixture_start(&fixture);
        struct reader held = begin(&fixture, GET("/hold") GET("/hello")),
                      open = begin(&fixture, GET("/open"));
        struct reader half = begin(&fixture, "GET /hello HTTP/1.1\r\nHo");
        fixture_wait(&fixture, COUNT_HELD, 2);
        struct reader idle = begin(&fixture, GET("/hello"));
        expect_only(&idle, 200, HELLO);
        tk_server_stop(fixture.server);
        assert_true(reader_at_end(&idle)); /* so the stop has begun */
        assert_int_equal(client_try(&fixture), -1);
        client_text(half.fd, "st: h\r\n\r\n");
        struct answer a = expect(&half, 200, HELLO);
        assert_string_equal(answer_header(&a, "connection"), "close");
        answer_free(&a);
        fixture_release(&fixture);
        a = expect(&held, 200, "released");
        assert_string_equal(answer_header(&a, "connection"), "close");
        answer_free(&a);
        expect_only(&open, 200, "begunended");
        assert_true(reader_at_end(&held)); /* the pipelined request was not begun */
        assert_true(reader_at_end(&open));
        assert_true(reader_at_end(&half));
        assert_false(held.was_reset || open.was_reset || half.was_reset);
        finish(&held);
        finish(&open);
        finish(&half);
        finish(&idle);
        fixture_join(&fixture);
        assert_ok(fixture.result);
        assert_int_equal(fixture.counts[COUNT_GONE], 0);
}

static void breaks_off_after_the_grace(void **state) {
        TK_UNUSED(state);
        fixture_init(&fixture);
        fixture.opt.stop_ms = 50;
        fixture_start(&fixture);
        struct reader held = begin(&fixture, GET("/hold")), mute = begin(&fixture, GET("/mute"));
        fixture_wait(&fixture, COUNT_HELD, 2);
        fixture_stop(&fixture);
        assert_int_equal(fixture.counts[COUNT_GONE], 1);
        assert_true(reader_at_end(&held));
        assert_true(reader_at_end(&mute));
        finish(&held);
        finish(&mute);
}

static void a_second_stop_ends_at_once(void **state) {
        TK_UNUSED(state);
        fixture_init(&fixture);
        fixture.opt.stop_ms = 3600000;
        fixture.opt.loops = 2;
        fixture_start(&fixture);
        struct reader held = begin(&fixture, GET("/hold"));
        fixture_wait(&fixture, COUNT_HELD, 1);
        tk_server_stop(fixture.server);
        fixture_stop(&fixture);
        assert_int_equal(fixture.counts[COUNT_GONE], 1);
        finish(&held);
}

static struct tk_server *signalled;

static void on_signal(int number) {
        TK_UNUSED(number);
        tk_server_stop(signalled);
}

static void a_signal_handler_may_stop_it(void **state) {
        TK_UNUSED(state);
        fixture_init(&fixture);
        fixture.opt.loops = 2;
        fixture_start(&fixture);
        signalled = fixture.server;
        struct sigaction act = {.sa_handler = on_signal}, before;
        assert_int_equal(sigaction(SIGUSR1, &act, &before), 0);
        struct reader r = begin(&fixture, GET("/hello"));
        expect_only(&r, 200, HELLO);
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        fixture_join(&fixture);
        assert_ok(fixture.result);
        assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
        finish(&r);
}

static void may_be_stopped_before_it_runs(void **state) {
        TK_UNUSED(state);
        struct tk_server *server;
        char why[256];
        assert_ok(open_at("127.0.0.1:0", 2, &server, why, sizeof why));
        tk_server_stop(server);
        assert_ok(tk_server_run(server));
        tk_server_close(&server);
}

static enum tk_err fail_second(struct tk_loop *loop, unsigned index, void *ctx) {
        TK_UNUSED(loop);
        TK_UNUSED(ctx);
        return index == 1 ? TK_E_FULL : TK_OK;
}

static atomic_int stops;

static enum tk_err count_stop(struct tk_loop *loop, unsigned index, void *ctx) {
        TK_UNUSED(loop);
        TK_UNUSED(ctx);
        MUST(index != 1);
        atomic_fetch_add(&stops, 1);
        return TK_OK;
}

static void a_loop_that_cannot_start_ends_all(void **state) {
        TK_UNUSED(state);
        struct tk_server *server;
        char why[256];
        fixture_init(&fixture);
        fixture.opt.loops = 3;
        fixture.opt.on_loop_start = fail_second;
        fixture.opt.on_loop_stop = count_stop;
        assert_ok(tk_server_open(&fixture.opt, &server, why, sizeof why));
        assert_int_equal(tk_server_run(server), TK_E_FULL);
        assert_int_equal(atomic_load(&stops), 2);
        tk_server_close(&server);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(says_why_it_cannot_listen),
                TEST(says_when_the_address_is_in_use),
                TEST(names_its_address),
                TEST(loops_share_the_port),
                TEST(further_connections_wait),
                TEST(survives_without_descriptors),
                TEST(stops_when_idle),
                TEST(finishes_what_runs_and_refuses_new),
                TEST(breaks_off_after_the_grace),
                TEST(a_second_stop_ends_at_once),
                TEST(a_signal_handler_may_stop_it),
                TEST(may_be_stopped_before_it_runs),
                TEST(a_loop_that_cannot_start_ends_all),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
