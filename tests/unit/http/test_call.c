/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that take their time: streams, slow readers, and clients that leave.
 */
#include "unit/http/fixture.h"

#include "lib/unit.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELLO       "{\"hello\":\"world\",\"answer\":42}"
#define HOST        "Host: h\r\n"
#define GET(path)   "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define GET10(path) "GET " path " HTTP/1.0\r\n\r\n"
#define PIECES      "piece 0\npiece 1\npiece 2\npiece 3\npiece 4\n"

static struct fixture fixture;

static int start(void **state) {
        fixture_init(&fixture);
        fixture_start(&fixture);
        *state = &fixture;
        return 0;
}

static int start_strict(void **state) {
        fixture_init(&fixture);
        fixture.opt.write_ms = 400;
        fixture_start(&fixture);
        *state = &fixture;
        return 0;
}

static int stop(void **state) {
        fixture_stop(*state);
        return 0;
}

/* A client with its reader, after having sent that. */
static struct reader begin(struct fixture *f, int rcvbuf, const char *text) {
        struct reader r;
        reader_init(&r, client_open(f, rcvbuf));
        client_text(r.fd, text);
        return r;
}

static void finish(struct reader *r) {
        reader_free(r);
        client_close(r->fd);
}

static void expect(struct reader *r, int status, const char *body) {
        struct answer a;
        reader_next(r, false, &a);
        assert_int_equal(a.status, status);
        assert_true(a.whole);
        assert_string_equal(a.body.len ? a.body.at : "", body);
        answer_free(&a);
}

/* The server lives: another client is served. */
static void assert_alive(struct fixture *f) {
        struct answer a;
        exchange(f, GET("/hello"), strlen(GET("/hello")), &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body.at, HELLO);
        answer_free(&a);
}

/* ---- streams ---- */

static void streams_in_chunks(void **state) {
        struct reader r = begin(*state, 0, GET("/stream") GET("/hello"));
        struct answer a;
        reader_next(&r, false, &a);
        assert_int_equal(a.status, 200);
        assert_true(a.chunked && a.whole);
        assert_string_equal(a.body.at, PIECES);
        assert_string_equal(answer_header(&a, "content-type"), "text/event-stream");
        answer_free(&a);
        expect(&r, 200, HELLO);
        finish(&r);
}

static void streams_until_close_in_http_1_0(void **state) {
        static const char *const requests[] = {GET10("/stream"),
                                               "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"};
        for (int i = 0; i < 2; i++) {
                struct reader r = begin(*state, 0, requests[i]);
                struct answer a;
                reader_next(&r, false, &a);
                assert_false(a.chunked);
                assert_true(a.whole && a.closed);
                assert_string_equal(answer_header(&a, "connection"), "close");
                assert_string_equal(a.body.at, PIECES);
                answer_free(&a);
                finish(&r);
        }
}

static void pieces_go_out_at_once(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/open"));
        fixture_wait(f, COUNT_HELD, 1);
        /* The stream is not over, and what was sent is here. */
        while (!strstr(r.in.at ? r.in.at : "", "5\r\nbegun\r\n"))
                assert_true(reader_fill(&r, r.in.len + 1));
        fixture_release(f);
        expect(&r, 200, "begunended");
        finish(&r);
}

/* What was cut must not look whole, whatever the framing. */
/* Each segment costs both sides some microseconds, and a stream has many pieces. */
static void what_is_sent_in_one_turn_is_one_segment(void **state) {
        struct tcp_info info;
        socklen_t size = sizeof info;
        struct reader r = begin(*state, 0, GET("/open"));
        fixture_wait(*state, COUNT_HELD, 1);
        while (!(r.in.len && strstr(r.in.at, "begun")))
                assert_true(reader_fill(&r, r.in.len + 1));
        assert_int_equal(getsockopt(r.fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
        assert_int_equal(info.tcpi_data_segs_in, 1);
        finish(&r);
}

static void a_cut_stream_is_visibly_cut(void **state) {
        for (int old = 0; old < 2; old++) {
                struct reader r = begin(*state, 0, old ? GET10("/cut") : GET("/cut"));
                struct answer a;
                reader_next(&r, false, &a);
                assert_int_equal(a.status, 200);
                assert_false(a.whole);
                assert_true(a.closed);
                if (old)
                        assert_true(r.was_reset);
                else
                        assert_string_equal(a.body.at, "piece 0\npiece 1\n");
                answer_free(&a);
                finish(&r);
        }
}

static void answers_from_within_another_call(void **state) {
        struct fixture *f = *state;
        struct reader held = begin(f, 0, GET("/hold") GET("/hello"));
        fixture_wait(f, COUNT_HELD, 1);
        struct reader other = begin(f, 0, GET("/reenter"));
        expect(&other, 200, "reentered");
        expect(&held, 200, "released");
        expect(&held, 200, HELLO);
        finish(&held);
        finish(&other);
}

/* ---- slow readers ---- */

static void a_slow_reader_is_waited_for(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 4096, GET("/flood") GET("/hello"));
        struct answer a;
        reader_next(&r, false, &a);
        assert_true(a.whole);
        assert_int_equal(a.body.len, 16u << 20);
        answer_free(&a);
        expect(&r, 200, HELLO);
        assert_true(fixture_count(f, COUNT_DRAINED) > 0);
        /* Never more than the handler's own mark and a piece with its framing. */
        assert_true(fixture_count(f, COUNT_PEAK) >= 256 << 10);
        assert_true(fixture_count(f, COUNT_PEAK) < (256 << 10) + 32768 + 100);
        assert_int_equal(fixture_count(f, COUNT_GONE), 0);
        finish(&r);
}

static void a_reader_that_reads_nothing_is_gone(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 4096, GET("/flood"));
        fixture_wait(f, COUNT_GONE, 1);
        struct answer a;
        reader_next(&r, false, &a);
        assert_false(a.whole);
        answer_free(&a);
        finish(&r);
        /* This one is answered in full, so no one is told; the connection ends all the same. */
        r = begin(f, 4096, GET("/big"));
        struct pollfd p = {.fd = r.fd, .events = 0};
        assert_int_equal(poll(&p, 1, 20000), 1);
        assert_true(p.revents & (POLLERR | POLLHUP));
        finish(&r);
        assert_int_equal(fixture_count(f, COUNT_GONE), 1);
        assert_alive(f);
}

/* It reads little, but it reads: one that takes longer than write_ms in all is not gone. */
static void a_reader_that_reads_little_is_waited_for(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 4096, GET("/flood"));
        for (int i = 0; i < 60; i++) {
                assert_true(reader_fill(&r, r.in.len + 1));
                usleep(10000); /* the client's pace, 600 ms in all */
        }
        struct answer a;
        reader_next(&r, false, &a);
        assert_true(a.whole);
        answer_free(&a);
        assert_int_equal(fixture_count(f, COUNT_GONE), 0);
        finish(&r);
}

/* ---- clients that leave ---- */

static void a_reset_while_the_handler_works_is_told(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/hold"));
        fixture_wait(f, COUNT_HELD, 1);
        client_reset(r.fd);
        fixture_wait(f, COUNT_GONE, 1);
        reader_free(&r);
        assert_alive(f);
}

static void a_reset_in_mid_stream_is_told(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/open"));
        fixture_wait(f, COUNT_HELD, 1);
        client_reset(r.fd);
        fixture_wait(f, COUNT_GONE, 1);
        reader_free(&r);
        struct reader flood = begin(f, 4096, GET("/flood"));
        fixture_wait(f, COUNT_PEAK, 1); /* the handler has returned, with much left to send */
        client_reset(flood.fd);
        fixture_wait(f, COUNT_GONE, 2);
        reader_free(&flood);
        assert_alive(f);
}

/* Closing sends a FIN only; that nobody is there shows when something is sent. */
static void a_close_while_the_handler_works_is_told(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/hold"));
        fixture_wait(f, COUNT_HELD, 1);
        finish(&r);
        fixture_wait(f, COUNT_GONE, 1);
        assert_alive(f);
}

static void a_close_in_mid_stream_is_told(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/stream"));
        assert_true(reader_fill(&r, 1));
        finish(&r);
        r = begin(f, 4096, GET("/flood"));
        fixture_wait(f, COUNT_PEAK, 1);
        finish(&r);
        fixture_wait(f, COUNT_GONE, 1);
        assert_alive(f);
}

/* More requests than are kept ahead, so the connection is not read any more when it breaks. */
static void a_reset_behind_a_full_pipeline_is_told(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/hold"));
        fixture_wait(f, COUNT_HELD, 1);
        for (int i = 0; i < 6000; i++)
                client_text(r.fd, GET("/hello"));
        client_reset(r.fd);
        fixture_wait(f, COUNT_GONE, 1);
        assert_int_equal(fixture_count(f, COUNT_CALLS), 1);
        reader_free(&r);
        assert_alive(f);
}

static void a_half_close_is_not_gone(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/hold"));
        fixture_wait(f, COUNT_HELD, 1);
        client_half_close(r.fd);
        /* The interim answer by which the server looks whether anyone is there. */
        expect(&r, 100, "");
        assert_int_equal(fixture_count(f, COUNT_GONE), 0);
        fixture_release(f);
        expect(&r, 200, "released");
        assert_true(reader_at_end(&r));
        finish(&r);
        assert_int_equal(fixture_count(f, COUNT_GONE), 0);
}

static void a_reset_after_a_half_close_is_told(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/open"));
        fixture_wait(f, COUNT_HELD, 1);
        client_half_close(r.fd);
        assert_true(reader_fill(&r, 1));
        client_reset(r.fd);
        fixture_wait(f, COUNT_GONE, 1);
        reader_free(&r);
}

/* A handler that did not ask keeps its call and may answer into the void. */
static void a_handler_that_did_not_ask_is_not_disturbed(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/mute"));
        fixture_wait(f, COUNT_HELD, 1);
        client_reset(r.fd);
        assert_alive(f);
        fixture_release(f);
        fixture_wait(f, COUNT_FREED, 1);
        assert_int_equal(fixture_count(f, COUNT_GONE), 0);
        reader_free(&r);
}

static void a_handler_that_asks_late_is_told(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/late"));
        fixture_wait(f, COUNT_HELD, 1);
        client_reset(r.fd);
        assert_alive(f); /* one turn at least, which has seen the reset */
        fixture_release(f);
        fixture_wait(f, COUNT_GONE, 1);
        reader_free(&r);
}

/* The handler never answers; at the end of the loop its call goes too (the leak checker looks). */
static void a_handler_that_never_answers_leaks_nothing(void **state) {
        struct fixture *f = *state;
        struct reader r = begin(f, 0, GET("/mute"));
        fixture_wait(f, COUNT_HELD, 1);
        client_reset(r.fd);
        assert_alive(f);
        reader_free(&r);
}

static void many_come_and_go(void **state) {
        enum { CLIENTS = 50 };
        struct fixture *f = *state;
        static const char *const requests[] = {GET("/hold"),   GET("/open"),  GET("/flood"),
                                               GET("/stream"), GET("/later"), GET("/hold") GET("/hello"),
                                               "GET /hel",     "POST"};
        for (int round = 0; round < 6; round++) {
                int fds[CLIENTS];
                for (int i = 0; i < CLIENTS; i++) {
                        fds[i] = client_open(f, 4096);
                        client_text(fds[i], requests[i % 8]);
                }
                for (int i = 0; i < CLIENTS; i++)
                        if ((i + round) % 2)
                                client_reset(fds[i]);
                        else
                                client_close(fds[i]);
        }
        assert_alive(f);
        /* All that were held and asked are told in the end. */
        fixture_wait(f, COUNT_GONE, 1);
}

int main(void) {
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
        const struct CMUnitTest tests[] = {
                WITH(streams_in_chunks),
                WITH(streams_until_close_in_http_1_0),
                WITH(pieces_go_out_at_once),
                WITH(what_is_sent_in_one_turn_is_one_segment),
                WITH(a_cut_stream_is_visibly_cut),
                WITH(answers_from_within_another_call),
                WITH(a_slow_reader_is_waited_for),
                cmocka_unit_test_setup_teardown(a_reader_that_reads_nothing_is_gone, start_strict, stop),
                cmocka_unit_test_setup_teardown(a_reader_that_reads_little_is_waited_for, start_strict, stop),
                WITH(a_reset_while_the_handler_works_is_told),
                WITH(a_reset_in_mid_stream_is_told),
                WITH(a_close_while_the_handler_works_is_told),
                WITH(a_close_in_mid_stream_is_told),
                WITH(a_reset_behind_a_full_pipeline_is_told),
                WITH(a_half_close_is_not_gone),
                WITH(a_reset_after_a_half_close_is_told),
                WITH(a_handler_that_did_not_ask_is_not_disturbed),
                WITH(a_handler_that_asks_late_is_told),
                WITH(a_handler_that_never_answers_leaks_nothing),
                WITH(many_come_and_go),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
