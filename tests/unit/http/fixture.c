/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/http/fixture.h"

#include "http/respond.h"
#include "lib/unit.h"
#include "rt/rand.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS     20000
#define PIECES      5
#define FLOOD_BYTES (16u << 20)
#define FLOOD_HIGH  (256u << 10)

struct held {
        struct held *next;
        struct fixture *fixture;
        struct tk_call *call;
        struct tk_loop *loop;
        struct tk_msg msg;
        bool started, gone, ask_late;
};

struct stream {
        struct tk_timer timer;
        struct tk_call *call;
        struct fixture *fixture;
        int sent;
        int cut_after;
        size_t left;
};

/* ---- counting ---- */

static void count(struct fixture *f, enum count what, long by) {
        pthread_mutex_lock(&f->lock);
        f->counts[what] += by;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
}

long fixture_count(struct fixture *f, enum count what) {
        pthread_mutex_lock(&f->lock);
        long n = f->counts[what];
        pthread_mutex_unlock(&f->lock);
        return n;
}

void fixture_wait(struct fixture *f, enum count what, long at_least) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += WAIT_MS / 1000;
        pthread_mutex_lock(&f->lock);
        int rc = 0;
        while (f->counts[what] < at_least && rc == 0)
                rc = pthread_cond_timedwait(&f->changed, &f->lock, &until);
        long n = f->counts[what];
        pthread_mutex_unlock(&f->lock);
        if (n < at_least)
                print_error("count %d is %ld, wanted %ld\n", (int)what, n, at_least);
        assert_true(n >= at_least);
}

/* ---- handlers: on the server's threads, where only MUST() may fail ---- */

static void reply(struct tk_call *call, int status, const char *text) {
        tk_call_reply(call, status, "text/plain", tk_str_of(text));
}

static void forget(struct held *held) {
        struct fixture *f = held->fixture;
        pthread_mutex_lock(&f->lock);
        for (struct held **at = &f->held; *at; at = &(*at)->next)
                if (*at == held) {
                        *at = held->next;
                        break;
                }
        pthread_mutex_unlock(&f->lock);
}

static void on_gone_held(struct tk_call *call, void *ctx) {
        struct held *held = ctx;
        MUST(call == held->call);
        forget(held);
        count(held->fixture, COUNT_GONE, 1);
        held->gone = true;
}

static void on_gone_late(struct tk_call *call, void *ctx) {
        (void)call;
        count(ctx, COUNT_GONE, 1);
}

static void end_held(struct held *held) {
        struct fixture *f = held->fixture;
        forget(held);
        if (held->ask_late) {
                tk_call_on_gone(held->call, on_gone_late, f);
        } else if (held->started) {
                tk_call_send(held->call, TK_STR("ended"));
                tk_call_end(held->call, true);
        } else {
                reply(held->call, 200, "released");
        }
        count(f, COUNT_FREED, 1);
}

/* A message, since the release comes from the test's thread. It finds the call by the list, as it may be
 * gone. */
struct release {
        struct tk_msg msg;
        struct fixture *fixture;
        struct tk_loop *loop;
};

static void run_release(struct tk_msg *msg) {
        struct release *release = (struct release *)((char *)msg - offsetof(struct release, msg));
        struct fixture *f = release->fixture;
        for (;;) {
                pthread_mutex_lock(&f->lock);
                struct held *held = f->held;
                while (held && held->loop != release->loop)
                        held = held->next;
                pthread_mutex_unlock(&f->lock);
                if (!held)
                        break;
                end_held(held);
        }
        free(release);
}

void fixture_release(struct fixture *f) {
        pthread_mutex_lock(&f->lock);
        for (struct held *held = f->held; held; held = held->next) {
                struct release *release = malloc(sizeof *release);
                MUST(release);
                *release = (struct release){.msg.run = run_release, .fixture = f, .loop = held->loop};
                if (!tk_loop_send(held->loop, &release->msg))
                        free(release);
        }
        pthread_mutex_unlock(&f->lock);
}

static void hold(struct fixture *f, struct tk_call *call, bool ask, bool started) {
        struct held *held = tk_call_alloc(call, sizeof *held);
        MUST(held);
        held->fixture = f;
        held->call = call;
        held->loop = tk_call_loop(call);
        held->started = started;
        held->ask_late = tk_str_is(tk_call_path(call), "/late");
        pthread_mutex_lock(&f->lock);
        held->next = f->held;
        f->held = held;
        pthread_mutex_unlock(&f->lock);
        if (ask)
                tk_call_on_gone(call, on_gone_held, held);
        count(f, COUNT_HELD, 1);
}

static void on_gone_stream(struct tk_call *call, void *ctx) {
        (void)call;
        struct stream *stream = ctx;
        tk_timer_cancel(&stream->timer);
        count(stream->fixture, COUNT_GONE, 1);
}

static void on_piece(struct tk_timer *timer) {
        struct stream *stream = (struct stream *)((char *)timer - offsetof(struct stream, timer));
        char piece[32];
        int n = snprintf(piece, sizeof piece, "piece %d\n", stream->sent++);
        tk_call_send(stream->call, (struct tk_str){piece, (size_t)n});
        if (stream->sent == stream->cut_after)
                tk_call_end(stream->call, false);
        else if (stream->sent == PIECES)
                tk_call_end(stream->call, true);
        else
                tk_timer_start(tk_call_loop(stream->call), &stream->timer, 2);
}

static void on_later(struct tk_timer *timer) {
        struct stream *stream = (struct stream *)((char *)timer - offsetof(struct stream, timer));
        reply(stream->call, 200, "later");
}

static struct stream *stream_of(struct fixture *f, struct tk_call *call) {
        struct stream *stream = tk_call_alloc(call, sizeof *stream);
        MUST(stream);
        stream->call = call;
        stream->fixture = f;
        tk_call_on_gone(call, on_gone_stream, stream);
        return stream;
}

static void flood(struct stream *stream) {
        static char piece[32768];
        memset(piece, 'f', sizeof piece);
        while (stream->left && tk_call_unsent(stream->call) < FLOOD_HIGH) {
                tk_call_send(stream->call, (struct tk_str){piece, sizeof piece});
                stream->left -= sizeof piece;
        }
        struct fixture *f = stream->fixture;
        long unsent = (long)tk_call_unsent(stream->call);
        pthread_mutex_lock(&f->lock);
        if (unsent > f->counts[COUNT_PEAK])
                f->counts[COUNT_PEAK] = unsent;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
        if (!stream->left)
                tk_call_end(stream->call, true);
}

static void on_drained(struct tk_call *call, void *ctx) {
        struct stream *stream = ctx;
        MUST(tk_call_unsent(call) == 0);
        count(stream->fixture, COUNT_DRAINED, 1);
        flood(stream);
}

static void echo(struct tk_call *call) {
        struct tk_buf out = TK_BUF(1u << 20);
        struct tk_str method = tk_call_method(call), path = tk_call_path(call), query = tk_call_query(call);
        struct tk_str test = tk_call_header(call, "x-test");
        tk_buf_printf(&out, "%.*s|%.*s|%.*s|%.*s|", TK_STR_ARG(method), TK_STR_ARG(path), TK_STR_ARG(query),
                      TK_STR_ARG(test));
        tk_buf_put(&out, tk_call_body(call));
        tk_call_reply(call, 200, "text/plain", tk_buf_str(&out));
        tk_buf_free(&out);
}

static void big(struct tk_call *call) {
        static char bytes[8u << 20];
        memset(bytes, 'b', sizeof bytes);
        tk_call_reply(call, 200, "text/plain", (struct tk_str){bytes, sizeof bytes});
}

static void alloc(struct tk_call *call) {
        size_t bad = 0;
        for (size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
                unsigned char *at = tk_call_alloc(call, size);
                MUST(at);
                bad += (uintptr_t)at % 16;
                for (size_t i = 0; i < size; i++)
                        bad += at[i];
                memset(at, 0xff, size);
        }
        reply(call, 200, bad ? "dirty" : "clean");
}

static void headers(struct tk_call *call) {
        tk_call_add_header(call, "X-One", TK_STR("1"));
        tk_call_add_header(call, "x-two", TK_STR("2; \"quoted\""));
        tk_call_add_header(call, "Content-Length", TK_STR("999"));
        tk_call_add_header(call, "X-Request-Id", TK_STR("mine"));
        reply(call, 200, "ok");
}

static void begin_stream(struct fixture *f, struct tk_call *call, int cut_after) {
        struct stream *stream = stream_of(f, call);
        stream->cut_after = cut_after;
        stream->timer.fire = on_piece;
        tk_call_start(call, 200, "text/event-stream");
        on_piece(&stream->timer);
}

static bool on_call_slow(struct fixture *f, struct tk_call *call, struct tk_str path) {
        if (tk_str_is(path, "/later")) {
                struct stream *stream = stream_of(f, call);
                stream->timer.fire = on_later;
                tk_timer_start(tk_call_loop(call), &stream->timer, 20);
        } else if (tk_str_is(path, "/hold")) {
                hold(f, call, true, false);
        } else if (tk_str_is(path, "/mute") || tk_str_is(path, "/late")) {
                hold(f, call, false, false);
        } else if (tk_str_is(path, "/stream") || tk_str_is(path, "/cut")) {
                begin_stream(f, call, tk_str_is(path, "/cut") ? 2 : 0);
        } else if (tk_str_is(path, "/open")) {
                tk_call_start(call, 200, "text/plain");
                tk_call_send(call, TK_STR("begun"));
                hold(f, call, true, true);
        } else if (tk_str_is(path, "/flood")) {
                struct stream *stream = stream_of(f, call);
                stream->left = FLOOD_BYTES;
                tk_call_on_drained(call, on_drained, stream);
                tk_call_start(call, 200, "application/octet-stream");
                flood(stream);
        } else {
                return false;
        }
        return true;
}

static void on_call(struct tk_call *call, void *ctx) {
        struct fixture *f = ctx;
        struct tk_str path = tk_call_path(call);
        pthread_mutex_lock(&f->lock);
        unsigned long bit = 1ul << *(unsigned *)tk_loop_data(tk_call_loop(call));
        f->counts[COUNT_LOOPS] += !(f->loops_seen & bit);
        f->loops_seen |= bit;
        pthread_mutex_unlock(&f->lock);
        count(f, COUNT_CALLS, 1);
        if (tk_str_is(path, "/hello")) {
                tk_call_reply(call, 200, "application/json", TK_STR("{\"hello\":\"world\",\"answer\":42}"));
        } else if (tk_str_is(path, "/echo")) {
                echo(call);
        } else if (tk_str_is(path, "/peer")) {
                tk_call_reply(call, 200, "text/plain", tk_call_peer(call));
        } else if (tk_str_is(path, "/id")) {
                reply(call, 200, tk_call_id(call));
        } else if (tk_str_starts(path, "/status/")) {
                reply(call, atoi(path.at + 8), "x");
        } else if (tk_str_is(path, "/headers")) {
                headers(call);
        } else if (tk_str_is(path, "/big")) {
                big(call);
        } else if (tk_str_is(path, "/alloc")) {
                alloc(call);
        } else if (tk_str_is(path, "/reenter")) {
                struct release *release = malloc(sizeof *release);
                MUST(release);
                *release = (struct release){.fixture = f, .loop = tk_call_loop(call)};
                run_release(&release->msg);
                reply(call, 200, "reentered");
        } else if (!on_call_slow(f, call, path)) {
                reply(call, 404, "no such path");
        }
}

static void on_refuse(const struct tk_refused *refused, void *ctx) {
        tk_buf_printf(refused->body, "{\"status\":%d,\"path\":\"%.*s\",\"why\":\"%s\"}", refused->status,
                      TK_STR_ARG(refused->path), refused->why);
        tk_respond_header(refused->headers, "x-refused", tk_str_of(refused->id));
        count(ctx, COUNT_REFUSED, 1);
}

static enum tk_err on_loop_start(struct tk_loop *loop, unsigned index, void *ctx) {
        (void)ctx;
        unsigned *data = malloc(sizeof *data);
        if (!data)
                return TK_E_NO_MEMORY;
        *data = index;
        tk_loop_set_data(loop, data);
        return TK_OK;
}

static enum tk_err on_loop_stop(struct tk_loop *loop, unsigned index, void *ctx) {
        (void)index;
        (void)ctx;
        free(tk_loop_data(loop));
        return TK_OK;
}

/* ---- server ---- */

void fixture_init(struct fixture *f) {
        *f = (struct fixture){.opt = {
                                      .listen = "127.0.0.1:0",
                                      .loops = 1,
                                      .header_bytes_max = 2048,
                                      .body_bytes_max = 65536,
                                      .on_call = on_call,
                                      .on_refuse = on_refuse,
                                      .on_loop_start = on_loop_start,
                                      .on_loop_stop = on_loop_stop,
                                      .ctx = f,
                              }};
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->changed, NULL);
        assert_ok(tk_rand_init());
}

static void *run(void *arg) {
        struct fixture *f = arg;
        f->result = tk_server_run(f->server);
        return NULL;
}

void fixture_start(struct fixture *f) {
        char why[256] = "";
        enum tk_err err = tk_server_open(&f->opt, &f->server, why, sizeof why);
        if (err)
                print_error("open: %s\n", why);
        assert_ok(err);
        const char *address = tk_server_address(f->server);
        const char *colon = strrchr(address, ':');
        f->port = atoi(colon + 1);
        snprintf(f->host, sizeof f->host, "%.*s", (int)(colon - address), address);
        assert_true(f->port > 0);
        assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
        f->running = true;
}

void fixture_join(struct fixture *f) {
        pthread_join(f->thread, NULL);
        f->running = false;
        tk_server_close(&f->server);
        assert_null(f->server);
        pthread_mutex_destroy(&f->lock);
        pthread_cond_destroy(&f->changed);
}

void fixture_stop(struct fixture *f) {
        tk_server_stop(f->server);
        fixture_join(f);
        assert_ok(f->result);
}

/* ---- client ---- */

static int reach(struct fixture *f, int fd) {
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port)};
        assert_int_equal(inet_pton(AF_INET, f->host, &sa.sin_addr), 1);
        return connect(fd, (struct sockaddr *)&sa, sizeof sa);
}

void client_connect(struct fixture *f, int fd) {
        assert_int_equal(reach(f, fd), 0);
}

static int dial(struct fixture *f, int rcvbuf) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        if (rcvbuf)
                assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf), 0);
        if (reach(f, fd) != 0) {
                close(fd);
                return -1;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
        return fd;
}

int client_open(struct fixture *f, int rcvbuf) {
        int fd = dial(f, rcvbuf);
        assert_true(fd >= 0);
        return fd;
}

int client_try(struct fixture *f) {
        return dial(f, 0);
}

void client_send(int fd, const char *bytes, size_t n) {
        while (n) {
                ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
                /* A server that refused early may have closed; the answer is what is tested. */
                if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
                        return;
                assert_true(sent > 0);
                bytes += sent;
                n -= (size_t)sent;
        }
}

void client_text(int fd, const char *text) {
        client_send(fd, text, strlen(text));
}

bool client_pour(int fd, size_t n) {
        static const char zeros[65536];
        while (n) {
                ssize_t sent = send(fd, zeros, n < sizeof zeros ? n : sizeof zeros, MSG_NOSIGNAL);
                if (sent <= 0)
                        return false;
                n -= (size_t)sent;
        }
        return true;
}

void client_close(int fd) {
        close(fd);
}

void client_reset(int fd) {
        struct linger hard = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fd);
}

void client_half_close(int fd) {
        assert_true(shutdown(fd, SHUT_WR) == 0 ||
                    errno == ENOTCONN); /* a server that has closed is tested elsewhere */
}

void reader_init(struct reader *r, int fd) {
        *r = (struct reader){.fd = fd, .in = TK_BUF(64u << 20)};
}

void reader_free(struct reader *r) {
        tk_buf_free(&r->in);
}

/* Reads some more; false at the end. */
static bool read_more(struct reader *r) {
        if (r->eof)
                return false;
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        if (poll(&p, 1, WAIT_MS) != 1) {
                print_error("no answer within %d ms; so far: %.*s\n", WAIT_MS, (int)r->in.len,
                            r->in.at ? r->in.at : "");
                assert_true(false);
        }
        char *to = tk_buf_room(&r->in, 65536);
        assert_non_null(to);
        ssize_t n = recv(r->fd, to, 65536, 0);
        if (n <= 0) {
                r->eof = true;
                r->was_reset = n < 0;
                return false;
        }
        r->in.len += (size_t)n;
        r->in.at[r->in.len] = '\0';
        return true;
}

bool reader_fill(struct reader *r, size_t n) {
        while (r->in.len < n)
                if (!read_more(r))
                        return false;
        return true;
}

bool reader_at_end(struct reader *r) {
        return r->in.len == 0 && !read_more(r);
}

const char *answer_header(const struct answer *a, const char *name) {
        static char value[512];
        size_t len = strlen(name);
        for (const char *line = strstr(a->head.at, "\r\n"); line && line[2];
             line = strstr(line + 2, "\r\n")) {
                if (strncasecmp(line + 2, name, len) != 0 || line[2 + len] != ':')
                        continue;
                const char *at = line + 2 + len + 1;
                at += strspn(at, " ");
                snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
                return value;
        }
        return NULL;
}

static void take(struct reader *r, size_t n, struct tk_buf *to) {
        if (to)
                tk_buf_put(to, (struct tk_str){r->in.at, n});
        tk_buf_drop(&r->in, n);
}

/* A line up to CR LF, as a number in hexadecimal; -1 at the end of the connection. */
static long take_chunk_size(struct reader *r) {
        const char *end;
        while (!(end = r->in.len ? strstr(r->in.at, "\r\n") : NULL))
                if (!read_more(r))
                        return -1;
        char *stop;
        long size = strtol(r->in.at, &stop, 16);
        assert_ptr_equal(stop, end);
        take(r, (size_t)(end - r->in.at) + 2, NULL);
        return size;
}

static void read_chunks(struct reader *r, struct answer *a) {
        for (;;) {
                long size = take_chunk_size(r);
                if (size < 0 || !reader_fill(r, (size_t)size + 2))
                        return;
                take(r, (size_t)size, &a->body);
                assert_memory_equal(r->in.at, "\r\n", 2);
                take(r, 2, NULL);
                if (size == 0) {
                        a->whole = true;
                        return;
                }
        }
}

static void read_body(struct reader *r, struct answer *a) {
        const char *length = answer_header(a, "content-length");
        a->chunked = answer_header(a, "transfer-encoding") != NULL;
        length = answer_header(a, "content-length");
        if (a->chunked) {
                assert_null(length);
                read_chunks(r, a);
        } else if (length) {
                size_t n = strtoul(length, NULL, 10);
                a->whole = reader_fill(r, n);
                take(r, r->in.len < n ? r->in.len : n, &a->body);
        } else {
                while (read_more(r))
                        ;
                take(r, r->in.len, &a->body);
                a->whole = !r->was_reset;
        }
        a->closed = r->eof;
}

void reader_next(struct reader *r, bool no_body, struct answer *a) {
        *a = (struct answer){.head = TK_BUF(65536), .body = TK_BUF(64u << 20)};
        const char *end;
        while (!(end = r->in.len ? strstr(r->in.at, "\r\n\r\n") : NULL))
                if (!read_more(r))
                        return;
        take(r, (size_t)(end - r->in.at) + 4, &a->head);
        assert_int_equal(sscanf(a->head.at, "HTTP/1.1 %d ", &a->status), 1);
        if (no_body || a->status < 200 || a->status == 204 || a->status == 304)
                a->whole = true;
        else
                read_body(r, a);
}

void answer_free(struct answer *a) {
        tk_buf_free(&a->head);
        tk_buf_free(&a->body);
}

void exchange(struct fixture *f, const char *bytes, size_t n, struct answer *a) {
        int fd = client_open(f, 0);
        client_send(fd, bytes, n);
        struct reader r;
        reader_init(&r, fd);
        reader_next(&r, false, a);
        a->closed = r.eof;
        reader_free(&r);
        client_close(fd);
}
