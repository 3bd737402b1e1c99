/* SPDX-License-Identifier: Apache-2.0
 *
 * Many fetches, and what the caller does to them while they run: the pool, pause and resume, cancel and
 * start from inside callbacks.
 */
#include "proxy/upstream.h"

#include "fetch_probe.h"
#include "lib/unit.h"
#include "raw_server.h"
#include "rt/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct tk_upstream *up;
static struct raw_server server;
static char url[64];

static void start_server(raw_serve_f *serve, void *ctx) {
        raw_server_start(&server, serve, ctx);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/", server.port);
}

static int open_up(void **state) {
        TK_UNUSED(state);
        return tk_upstream_open(&up) == TK_OK ? 0 : -1;
}

static int close_up(void **state) {
        TK_UNUSED(state);
        tk_upstream_close(&up);
        return 0;
}

/* ---- the pool ---- */

/* Answers each request with its body, on as few connections as the client likes. */
static void serve_echo(struct raw_server *s, int fd, unsigned nth) {
        struct raw_request request;
        TK_UNUSED(nth);
        while (raw_request_read(s, fd, &request)) {
                char head[128];
                snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                         request.body_len);
                bool ok = raw_send_text(s, fd, head) &&
                          raw_send(s, fd, (struct tk_str){request.body, request.body_len});
                raw_request_free(&request);
                if (!ok)
                        return;
        }
}

static void a_connection_is_used_again(void **state) {
        TK_UNUSED(state);
        start_server(serve_echo, NULL);
        for (unsigned i = 0; i < 50; i++) {
                char text[16];
                struct probe probe;
                snprintf(text, sizeof text, "call %u", i);
                struct tk_fetch_opt opt = {.url = url, .method = "POST", .body = tk_str_of(text)};
                probe_init(&probe, up);
                probe_start(&probe, &opt);
                probe_run(&probe, 20000);
                assert_int_equal(probe.end, TK_FETCH_WHOLE);
                assert_true(tk_str_is(tk_buf_str(&probe.body), text));
                probe_free(&probe);
        }
        assert_int_equal(raw_server_connections(&server), 1);
        raw_server_stop(&server);
}

static bool all_ended(void *ctx) {
        struct probe *probes = ctx;
        for (; probes->up; probes++)
                if (probes->ends == 0)
                        return false;
        return true;
}

static void many_run_side_by_side(void **state) {
        enum { NR = 200 };
        TK_UNUSED(state);
        static struct probe probes[NR + 1];
        static char bodies[NR][40000];
        start_server(serve_echo, NULL);
        for (unsigned i = 0; i < NR; i++) {
                size_t len = 1 + i * 199;
                for (size_t j = 0; j < len; j++)
                        bodies[i][j] = (char)(i + j * 7);
                struct tk_fetch_opt opt = {.url = url, .method = "POST", .body = {bodies[i], len}};
                probe_init(&probes[i], up);
                probe_start(&probes[i], &opt);
        }
        probe_until(up, all_ended, probes, 30000);
        for (unsigned i = 0; i < NR; i++) {
                assert_int_equal(probes[i].end, TK_FETCH_WHOLE);
                assert_true(tk_str_eq(tk_buf_str(&probes[i].body), probes[i].opt.body));
                probe_free(&probes[i]);
        }
        assert_int_equal(atomic_load(&server.requests), NR);
        raw_server_stop(&server);
}

/* What a first answer leaves behind on its connection must not become the second fetch's answer. */
struct poison_case {
        const char *name, *first;
        bool close_after;
        unsigned connections; /* 0: either; what came in the same read is dropped, and the rest is sound */
};

static void serve_poison(struct raw_server *s, int fd, unsigned nth) {
        const struct poison_case *c = s->ctx;
        struct raw_request request;
        while (raw_request_read(s, fd, &request)) {
                raw_request_free(&request);
                if (nth == 0 && c->close_after) {
                        raw_send_text(s, fd, c->first);
                        return;
                }
                raw_send_text(s, fd,
                              nth == 0 && atomic_load(&s->requests) == 1
                                      ? c->first
                                      : "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
        }
}

static void a_spoilt_connection_is_not_used_again(void **state) {
        TK_UNUSED(state);
        static const struct poison_case cases[] = {
                {"sound", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood", false, 1},
                {"surplus",
                 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: "
                 "4\r\n\r\nevil",
                 false, 2},
                {"surplus after chunks",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"
                 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                 false, 0},
                {"says it closes", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood",
                 false, 2},
                {"closes without a word", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood", true, 2},
                {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ngood", false, 2},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                print_message("  %s\n", cases[i].name);
                start_server(serve_poison, (void *)&cases[i]);
                for (unsigned call = 0; call < 3; call++) {
                        struct probe probe;
                        struct tk_fetch_opt opt = {.url = url, .method = "POST", .body = tk_str_of("x")};
                        probe_init(&probe, up);
                        probe_start(&probe, &opt);
                        probe_run(&probe, 20000);
                        assert_int_equal(probe.end, TK_FETCH_WHOLE);
                        assert_true(tk_str_is(tk_buf_str(&probe.body), "good"));
                        probe_free(&probe);
                        probe_for(up, 20); /* So that a close by the server has arrived. */
                }
                if (cases[i].connections)
                        assert_int_equal(raw_server_connections(&server), cases[i].connections);
                raw_server_stop(&server);
        }
}

/* The first request of a connection is answered, the second is read in full and then hung up on. */
static void serve_hang_up(struct raw_server *s, int fd, unsigned nth) {
        struct raw_request request;
        TK_UNUSED(nth);
        for (unsigned i = 0; raw_request_read(s, fd, &request); i++) {
                raw_request_free(&request);
                if (i == 1)
                        return;
                raw_send_text(s, fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
}

static void what_costs_money_is_sent_once(void **state) {
        TK_UNUSED(state);
        static const struct {
                const char *method;
                enum tk_fetch_end end;
                unsigned requests;
        } cases[] = {
                {"POST", TK_FETCH_BROKEN, 2}, {"DELETE", TK_FETCH_BROKEN, 2}, {"GET", TK_FETCH_WHOLE, 3}};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct probe probe;
                start_server(serve_hang_up, NULL);
                probe_get(&probe, up, url);
                assert_int_equal(probe.end, TK_FETCH_WHOLE);
                probe_free(&probe);
                struct tk_fetch_opt opt = {.url = url, .method = cases[i].method};
                probe_init(&probe, up);
                probe_start(&probe, &opt);
                probe_run(&probe, 20000);
                assert_int_equal(probe.end, cases[i].end);
                assert_int_equal(atomic_load(&server.requests), cases[i].requests);
                probe_free(&probe);
                raw_server_stop(&server);
        }
}

static void sockets_do_not_leak_into_children(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        unsigned sockets = 0;
        start_server(serve_echo, NULL);
        probe_get(&probe, up, url);
        for (int fd = 3; fd < 256; fd++) {
                int family = 0;
                socklen_t size = sizeof family;
                if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0 || family != AF_INET)
                        continue;
                sockets++;
                assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        }
        assert_true(sockets >= 3); /* listener, server's end, our end */
        assert_true(fcntl(tk_upstream_fd(up), F_GETFD) & FD_CLOEXEC);
        probe_free(&probe);
        raw_server_stop(&server);
}

/* ---- pause and resume ---- */

#define LONG_BODY ((size_t)1 << 20)

static char long_byte(size_t i) {
        return (char)((i * 2654435761u) >> 11);
}

static bool send_long(struct raw_server *s, int fd, bool chunked) {
        static const size_t sizes[] = {1, 7, 4096, 16384, 16385, 65536, 3};
        char *piece = malloc(65536 + 2);
        bool ok = piece != NULL;
        for (size_t at = 0, i = 0; ok && at < LONG_BODY; i++) {
                char head[32];
                size_t n = sizes[i % 7] < LONG_BODY - at ? sizes[i % 7] : LONG_BODY - at;
                for (size_t j = 0; j < n; j++)
                        piece[j] = long_byte(at + j);
                at += n;
                snprintf(head, sizeof head, "%zx\r\n", n);
                if (chunked) {
                        memcpy(piece + n, "\r\n", 2);
                        n += 2;
                        ok = raw_send_text(s, fd, head);
                }
                ok = ok && raw_send(s, fd, (struct tk_str){piece, n});
        }
        free(piece);
        return ok && (!chunked || raw_send_text(s, fd, "0\r\nx-late: 1\r\n\r\n"));
}

static void serve_long(struct raw_server *s, int fd, unsigned nth) {
        const char *framing = s->ctx;
        bool chunked = strstr(framing, "chunked") != NULL;
        struct raw_request request;
        TK_UNUSED(nth);
        while (raw_request_read(s, fd, &request)) {
                raw_request_free(&request);
                if (!raw_send_text(s, fd, "HTTP/1.1 200 OK\r\n") || !raw_send_text(s, fd, framing) ||
                    !raw_send_text(s, fd, "\r\n") || !send_long(s, fd, chunked) || framing[0] == '\0')
                        return;
        }
}

static void a_paused_stream_loses_no_byte(void **state) {
        TK_UNUSED(state);
        static const char *const framings[] = {"Content-Length: 1048576\r\n",
                                               "Transfer-Encoding: chunked\r\n", ""};
        for (size_t i = 0; i < 3; i++) {
                struct probe probe;
                print_message("  %s\n", framings[i]);
                start_server(serve_long, (void *)framings[i]);
                struct tk_fetch_opt opt = {.url = url, .method = "POST"};
                for (unsigned round = 0; round < 2; round++) { /* The second on the spare handle. */
                        probe_init(&probe, up);
                        probe.pause_each = true;
                        probe_start(&probe, &opt);
                        probe_run(&probe, 60000);
                        assert_int_equal(probe.end, TK_FETCH_WHOLE);
                        assert_int_equal(probe.body.len, LONG_BODY);
                        for (size_t j = 0; j < LONG_BODY; j++)
                                assert_true(probe.body.at[j] == long_byte(j));
                        assert_true(probe.piece_max <= 16384);
                        assert_true(probe.pieces >= 64);
                        probe_free(&probe);
                }
                raw_server_stop(&server);
        }
}

static void serve_flood(struct raw_server *s, int fd, unsigned nth) {
        static const char zeros[65536];
        struct raw_request request;
        TK_UNUSED(nth);
        if (!raw_request_read(s, fd, &request))
                return;
        raw_request_free(&request);
        if (!raw_send_text(s, fd, "HTTP/1.1 200 OK\r\n\r\n"))
                return;
        for (unsigned i = 0; i < 4096; i++) /* 256 MiB */
                if (!raw_send(s, fd, (struct tk_str){zeros, sizeof zeros}))
                        return;
}

static bool some_data(void *ctx) {
        struct probe *probe = ctx;
        return probe->pieces > 0;
}

static bool one_gone(void *ctx) {
        struct raw_server *s = ctx;
        return atomic_load(&s->peers_gone) > 0;
}

/* Pausing must reach the provider as back-pressure, not fill our memory. */
static void a_paused_stream_holds_the_provider_back(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        start_server(serve_flood, NULL);
        struct tk_fetch_opt opt = {.url = url, .method = "GET", .idle_ms = 100};
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        probe_until(up, some_data, &probe, 20000);
        probe_pause(&probe);
        probe_for(up, 500); /* Five idle times: it must not end. */
        assert_int_equal(probe.ends, 0);
        assert_true(atomic_load(&server.sent) < 32u << 20);
        size_t had = probe.body.len;
        probe_resume(&probe);
        probe_for(up, 50);
        assert_true(probe.body.len > had);
        probe_cancel(&probe);
        probe_until(up, one_gone, &server, 20000);
        probe_free(&probe);
        raw_server_stop(&server);
}

static void serve_half(struct raw_server *s, int fd, unsigned nth) {
        struct raw_request request;
        TK_UNUSED(nth);
        if (!raw_request_read(s, fd, &request))
                return;
        raw_request_free(&request);
        if (raw_send_text(s, fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"))
                raw_wait_gone(s, fd);
}

/* The idle time stands still in a pause and starts anew with the resumption. */
static void a_pause_stops_the_idle_time(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        start_server(serve_half, NULL);
        struct tk_fetch_opt opt = {.url = url, .method = "GET", .idle_ms = 200};
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        probe_until(up, some_data, &probe, 20000);
        probe_pause(&probe);
        probe_for(up, 600);
        assert_int_equal(probe.ends, 0);
        int64_t start = tk_clock_mono_ms();
        probe_resume(&probe);
        probe_resume(&probe); /* Twice is once. */
        probe_run(&probe, 20000);
        assert_int_equal(probe.end, TK_FETCH_TIMEOUT);
        assert_true(tk_clock_mono_ms() - start >= 200);
        probe_free(&probe);
        raw_server_stop(&server);
}

static void a_pause_from_the_start_holds_only_the_body(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        start_server(serve_half, NULL);
        struct tk_fetch_opt opt = {.url = url, .method = "GET", .idle_ms = 100};
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        probe_pause(&probe);
        probe_for(up, 400);
        assert_int_equal(probe.heads, 1);
        assert_int_equal(probe.pieces, 0);
        assert_int_equal(probe.ends, 0);
        probe_resume(&probe);
        probe_pause(&probe); /* The resumption has not run yet, so it is undone. */
        probe_for(up, 50);
        assert_int_equal(probe.pieces, 0);
        probe_resume(&probe);
        probe_until(up, some_data, &probe, 20000);
        assert_true(tk_str_is(tk_buf_str(&probe.body), "hello"));
        probe_cancel(&probe);
        probe_free(&probe);
        raw_server_stop(&server);
}

/* ---- cancel and start from callbacks ---- */

static bool heads_seen(void *ctx) {
        struct probe *probe = ctx;
        return probe->heads > 0;
}

static void cancel_in_its_own_callback(void **state) {
        TK_UNUSED(state);
        static const struct {
                const char *name;
                enum probe_at at;
                unsigned heads, pieces, ends;
        } cases[] = {
                {"head", PROBE_HEAD, 1, 0, 0}, {"data", PROBE_DATA, 1, 1, 0}, {"end", PROBE_END, 1, 1, 1}};
        for (size_t i = 0; i < 3; i++) {
                struct probe probe;
                print_message("  %s\n", cases[i].name);
                start_server(cases[i].at == PROBE_END ? serve_echo : serve_half, NULL);
                struct tk_fetch_opt opt = {.url = url, .method = "POST", .body = tk_str_of("hello")};
                probe_init(&probe, up);
                probe.cancel_at = cases[i].at;
                probe_start(&probe, &opt);
                probe_until(up, heads_seen, &probe, 20000);
                probe_for(up, 100);
                assert_true(probe.cancelled);
                assert_int_equal(probe.heads, cases[i].heads);
                assert_int_equal(probe.pieces, cases[i].pieces);
                assert_int_equal(probe.ends, cases[i].ends);
                if (cases[i].ends == 0)
                        probe_until(up, one_gone, &server, 20000);
                probe_free(&probe);
                raw_server_stop(&server);
        }
}

/* ---- an owner who runs it himself ---- */

struct owner {
        unsigned asked;
        bool due;
};

static void be_asked(void *ctx) {
        struct owner *owner = ctx;
        assert_false(owner->due); /* once before each run */
        owner->asked++;
        owner->due = true;
}

static bool readable(const struct tk_upstream *of) {
        struct pollfd fd = {.fd = tk_upstream_fd(of), .events = POLLIN};
        return poll(&fd, 1, 0) == 1;
}

static void own_until(struct owner *owner, struct probe *probe) {
        int64_t end = tk_clock_mono_ms() + 20000;
        while (!probe->ends) {
                assert_true(tk_clock_mono_ms() < end);
                bool due = owner->due;
                owner->due = false;
                if (due)
                        probe_now(probe->up);
                else
                        probe_for(probe->up, 1);
        }
}

static void an_owner_is_asked_once_for_each_run(void **state) {
        TK_UNUSED(state);
        struct tk_upstream *own;
        struct probe probes[3];
        struct owner owner = {0};
        assert_ok(tk_upstream_open(&own));
        tk_upstream_on_soon(own, be_asked, &owner);
        start_server(serve_echo, NULL);
        struct tk_fetch_opt opt = {.url = url, .method = "POST", .body = tk_str_of("hello")};
        for (int i = 0; i < 3; i++)
                probe_init(&probes[i], own);
        probe_start(&probes[0], &opt);
        probe_start(&probes[1], &opt);
        assert_int_equal(owner.asked, 1);
        assert_false(readable(own));
        probes[1].start_at = PROBE_END; /* inside of a run */
        probes[1].next = &probes[2];
        own_until(&owner, &probes[0]);
        own_until(&owner, &probes[1]);
        assert_int_equal(owner.asked, 2);
        own_until(&owner, &probes[2]);
        assert_int_equal(owner.asked, 2);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(probes[i].end, TK_FETCH_WHOLE);
                probe_free(&probes[i]);
        }
        tk_upstream_close(&own);
        raw_server_stop(&server);
}

/* ---- letting go ---- */

#define REST_HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"

/* The end of the first answer comes only after the client has had time to let go of it. */
struct rest_case {
        const char *name, *rest;
        enum probe_at at;
        bool endless;
        unsigned connections; /* that two fetches take */
};

static void serve_rest(struct raw_server *s, int fd, unsigned nth) {
        const struct rest_case *c = s->ctx;
        static char flood[16384];
        struct raw_request request;
        while (raw_request_read(s, fd, &request)) {
                raw_request_free(&request);
                if (nth > 0 || atomic_load(&s->requests) > 1) {
                        raw_send_text(s, fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
                        continue;
                }
                raw_send_text(s, fd, REST_HEAD);
                usleep(50000);
                raw_send_text(s, fd, c->rest);
                while (c->endless && raw_send_text(s, fd, "4000\r\n") &&
                       raw_send(s, fd, (struct tk_str){flood, sizeof flood}) && raw_send_text(s, fd, "\r\n"))
                        ;
        }
}

static bool rest_sent(void *ctx) {
        struct raw_server *s = ctx;
        const struct rest_case *c = s->ctx;
        return atomic_load(&s->sent) >= strlen(REST_HEAD) + strlen(c->rest);
}

static bool was_let_go(void *ctx) {
        return ((struct probe *)ctx)->cancelled;
}

static void what_is_let_go_leaves_its_connection(void **state) {
        TK_UNUSED(state);
        static const struct rest_case cases[] = {
                {"in the data", "0\r\n\r\n", PROBE_DATA, false, 1},
                {"in the head", "0\r\n\r\n", PROBE_HEAD, false, 1},
                {"from outside", "0\r\n\r\n", PROBE_NOWHERE, false, 1},
                {"a little more comes", "4\r\nmore\r\n0\r\nX-Trailer: t\r\n\r\n", PROBE_DATA, false, 1},
                {"nonsense comes", "nonsense\r\n", PROBE_DATA, false, 2},
                {"it never ends", "", PROBE_DATA, true, 2},
                {"nothing comes", "", PROBE_DATA, false, 2},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct probe first, second;
                print_message("  %s\n", cases[i].name);
                start_server(serve_rest, (void *)&cases[i]);
                struct tk_fetch_opt opt = {.url = url, .method = "POST", .body = tk_str_of("hello")};
                probe_init(&first, up);
                first.let_go_at = cases[i].at;
                probe_start(&first, &opt);
                if (cases[i].at == PROBE_NOWHERE) {
                        probe_until(up, some_data, &first, 20000);
                        probe_pause(&first);
                        probe_let_go(&first);
                }
                probe_until(up, was_let_go, &first, 20000);
                if (cases[i].connections == 1) {
                        probe_until(up, rest_sent, &server, 20000);
                        probe_for(up, 50); /* it is there, and only has to be read */
                } else {
                        probe_until(up, one_gone, &server, 20000);
                }
                probe_get(&second, up, url);
                assert_int_equal(second.end, TK_FETCH_WHOLE);
                assert_true(tk_str_is(tk_buf_str(&second.body), "good"));
                assert_int_equal(raw_server_connections(&server), cases[i].connections);
                assert_int_equal(first.ends, 0);
                assert_in_range(atomic_load(&server.sent), 1, 8u << 20); /* what the kernel buffers */
                probe_free(&first);
                probe_free(&second);
                raw_server_stop(&server);
        }
}

static bool first_ended(void *ctx) {
        struct probe *probes = ctx;
        return probes[0].ends > 0;
}

/* One fetch cancels another: one that runs, one that waits, one that is paused with a piece held. */
static void cancel_another_in_a_callback(void **state) {
        TK_UNUSED(state);
        static const enum probe_at places[] = {PROBE_HEAD, PROBE_DATA, PROBE_END};
        for (size_t i = 0; i < 9; i++) {
                struct probe probes[2], *killer = &probes[0], *victim = &probes[1];
                struct raw_server other;
                char other_url[64];
                start_server(serve_echo, NULL);
                raw_server_start(&other, serve_half, NULL);
                snprintf(other_url, sizeof other_url, "http://127.0.0.1:%u/", other.port);
                struct tk_fetch_opt opt = {.url = url, .method = "POST", .body = tk_str_of("hello")};
                struct tk_fetch_opt other_opt = {.url = other_url, .method = "GET"};
                probe_init(killer, up);
                probe_init(victim, up);
                killer->cancel_at = places[i % 3];
                killer->victim = victim;
                if (i / 3 == 0) { /* running */
                        probe_start(victim, &other_opt);
                        probe_until(up, some_data, victim, 20000);
                } else if (i / 3 == 1) { /* started in the same callback, so it waits */
                        killer->start_at = places[i % 3];
                        killer->next = victim;
                } else { /* paused */
                        probe_start(victim, &other_opt);
                        probe_pause(victim);
                        probe_until(up, heads_seen, victim, 20000);
                        probe_for(up, 20);
                        probe_resume(victim);
                        probe_pause(victim);
                }
                unsigned pieces = victim->pieces;
                probe_start(killer, &opt);
                probe_until(up, first_ended, probes, 20000);
                probe_for(up, 50);
                assert_int_equal(killer->end, TK_FETCH_WHOLE);
                assert_true(victim->cancelled);
                assert_int_equal(victim->pieces, pieces);
                assert_int_equal(victim->ends, 0);
                if (i / 3 != 1)
                        probe_until(up, one_gone, &other, 20000);
                probe_free(killer);
                probe_free(victim);
                raw_server_stop(&other);
                raw_server_stop(&server);
        }
}

static bool next_ended(void *ctx) {
        struct probe *probes = ctx;
        return probes[1].ends > 0;
}

static void start_another_in_a_callback(void **state) {
        TK_UNUSED(state);
        static const enum probe_at places[] = {PROBE_HEAD, PROBE_DATA, PROBE_END};
        for (size_t i = 0; i < 3; i++) {
                struct probe probes[2];
                start_server(serve_echo, NULL);
                struct tk_fetch_opt opt = {.url = url, .method = "POST", .body = tk_str_of("hello")};
                probe_init(&probes[0], up);
                probe_init(&probes[1], up);
                probes[0].start_at = places[i];
                probes[0].next = &probes[1];
                probe_start(&probes[0], &opt);
                probe_until(up, next_ended, probes, 20000);
                assert_int_equal(probes[0].end, TK_FETCH_WHOLE);
                assert_int_equal(probes[1].end, TK_FETCH_WHOLE);
                assert_true(tk_str_is(tk_buf_str(&probes[1].body), "hello"));
                probe_free(&probes[0]);
                probe_free(&probes[1]);
                raw_server_stop(&server);
        }
}

static bool any_ended(void *ctx) {
        struct probe *probes = ctx;
        return probes[0].ends + probes[1].ends > 0;
}

/* Two fetches pass their deadline in the same run; whichever is told first cancels the other. */
static void cancel_another_that_is_late_too(void **state) {
        TK_UNUSED(state);
        struct probe probes[2];
        start_server(serve_half, NULL);
        struct tk_fetch_opt opt = {.url = url, .method = "GET", .first_byte_ms = 60000, .idle_ms = 100};
        for (int i = 0; i < 2; i++) {
                probe_init(&probes[i], up);
                probes[i].cancel_at = PROBE_END;
                probes[i].victim = &probes[1 - i];
                probe_start(&probes[i], &opt);
                probe_until(up, some_data, &probes[i], 20000);
        }
        struct timespec nap = {.tv_nsec = 300 * 1000000};
        nanosleep(&nap, NULL); /* Both deadlines pass before the next run. */
        probe_until(up, any_ended, probes, 20000);
        probe_for(up, 200);
        assert_int_equal(probes[0].ends + probes[1].ends, 1);
        assert_int_equal(probes[0].cancelled + probes[1].cancelled, 1);
        probe_free(&probes[0]);
        probe_free(&probes[1]);
        raw_server_stop(&server);
}

static void cancel_before_it_runs(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        struct tk_fetch *none = NULL;
        start_server(serve_echo, NULL);
        struct tk_fetch_opt opt = {.url = url, .method = "GET"};
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        probe_cancel(&probe);
        tk_fetch_cancel(&none);
        probe_for(up, 50);
        assert_int_equal(raw_server_connections(&server), 0);
        probe_free(&probe);
        raw_server_stop(&server);
}

/* Waiting, running, paused with a piece held: closing ends all of them without a word. */
static void close_cancels_everything(void **state) {
        TK_UNUSED(state);
        struct tk_upstream *own;
        struct probe probes[3];
        assert_ok(tk_upstream_open(&own));
        start_server(serve_half, NULL);
        struct tk_fetch_opt opt = {.url = url, .method = "GET"};
        for (int i = 0; i < 3; i++) {
                probe_init(&probes[i], own);
                probe_start(&probes[i], &opt);
                if (i == 0)
                        probe_until(own, some_data, &probes[0], 20000);
                if (i == 1) {
                        probe_pause(&probes[1]);
                        probe_until(own, heads_seen, &probes[1], 20000);
                        probe_for(own, 20);
                }
        }
        tk_upstream_close(&own);
        assert_null(own);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(probes[i].ends, 0);
                probe_free(&probes[i]);
        }
        raw_server_stop(&server);
}

/* ---- what has gone out ---- */

/* Reads nothing beyond the first bytes, and never answers. */
static void serve_deaf(struct raw_server *s, int fd, unsigned nth) {
        struct raw_request request;
        TK_UNUSED(nth);
        while (atomic_load(&s->requests) == 0 && raw_request_read(s, fd, &request)) {
                raw_request_free(&request);
                if (!raw_send_text(s, fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
                        return;
        }
        while (!raw_server_is_stopping(s))
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static struct probe sent_post(size_t body_bytes, unsigned first_byte_ms) {
        char *body = calloc(1, body_bytes);
        struct probe probe;
        struct tk_fetch_opt opt = {
                .url = url, .method = "POST", .body = {body, body_bytes}, .first_byte_ms = first_byte_ms};
        assert_non_null(body);
        probe_init(&probe, up);
        probe_start(&probe, &opt);
        assert_false(tk_fetch_was_sent(probe.fetch)); /* nothing has run yet */
        probe_run(&probe, 20000);
        probe_free(&probe);
        free(body);
        return probe;
}

static void it_is_known_whether_all_was_sent(void **state) {
        struct probe probe;
        TK_UNUSED(state);
        start_server(serve_deaf, NULL);
        probe = sent_post(1000, 0); /* answered; its handle serves the others */
        assert_int_equal(probe.end, TK_FETCH_WHOLE);
        assert_true(probe.sent);
        probe = sent_post(100, 200); /* lies in the buffers between, as it would if it were read */
        assert_int_equal(probe.end, TK_FETCH_TIMEOUT);
        assert_true(probe.sent);
        probe = sent_post(64u << 20, 500); /* more than all buffers take */
        assert_int_equal(probe.end, TK_FETCH_TIMEOUT);
        assert_false(probe.sent);
        raw_server_stop(&server);
        probe = sent_post(100, 0); /* nobody is there any more */
        assert_int_equal(probe.end, TK_FETCH_NO_CONNECT);
        assert_false(probe.sent);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(a_connection_is_used_again),
                TEST(many_run_side_by_side),
                TEST(a_spoilt_connection_is_not_used_again),
                TEST(what_costs_money_is_sent_once),
                TEST(it_is_known_whether_all_was_sent),
                TEST(sockets_do_not_leak_into_children),
                TEST(a_paused_stream_loses_no_byte),
                TEST(a_paused_stream_holds_the_provider_back),
                TEST(a_pause_stops_the_idle_time),
                TEST(a_pause_from_the_start_holds_only_the_body),
                TEST(cancel_in_its_own_callback),
                TEST(cancel_another_in_a_callback),
                TEST(an_owner_is_asked_once_for_each_run),
                TEST(what_is_let_go_leaves_its_connection),
                TEST(start_another_in_a_callback),
                TEST(cancel_another_that_is_late_too),
                TEST(cancel_before_it_runs),
                TEST(close_cancels_everything),
        };
        return cmocka_run_group_tests(tests, open_up, close_up);
}
