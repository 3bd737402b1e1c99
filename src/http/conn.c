/* SPDX-License-Identifier: Apache-2.0 */
#include "http/conn.h"

#include "http/accept.h"
#include "rt/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define CONN_MAGIC       0xc0117ec7u
#define NEVER            INT64_MAX
#define REFUSED_PATH_MAX 256   /* enough to tell the dialect by */
#define KEEP_OUT         16384 /* a larger answer buffer is given back when it is empty */
#define BODY_SMALL       65536
#define FLUSH_LATER_MAX  16384 /* bytes that may wait for the end of the turn */

#define TO(s) (1u << TK_CONN_##s)

/* The picture in the header. */
static const unsigned allowed[] = {
        [TK_CONN_IDLE] = TO(HEAD) | TO(DEAD),
        [TK_CONN_HEAD] = TO(BODY) | TO(FLUSH) | TO(DEAD),
        [TK_CONN_BODY] = TO(WORK) | TO(FLUSH) | TO(DEAD),
        [TK_CONN_WORK] = TO(FLUSH) | TO(DEAD),
        [TK_CONN_FLUSH] = TO(IDLE) | TO(LINGER) | TO(DEAD),
        [TK_CONN_LINGER] = TO(DEAD),
        [TK_CONN_DEAD] = 0,
};

static void move(struct tk_conn *conn, enum tk_conn_state to) {
        MUST(conn->magic == CONN_MAGIC);
        MUST(allowed[conn->state] & (1u << to));
        MUST((conn->call != NULL) == (to == TK_CONN_BODY || to == TK_CONN_WORK)); /* (1) */
        conn->state = to;
        conn->renew = true;
}

static void settle(struct tk_conn *conn);

/* ---- time ---- */

/* The timer is left alone when it fires before that anyway: it then starts again for the rest. */
static void set_due(struct tk_conn *conn, int64_t after_ms) {
        conn->due_ms = tk_clock_mono_ms() + after_ms;
        if (!conn->timer.loop || conn->timer.due_ms > conn->due_ms)
                tk_timer_start(conn->loop, &conn->timer, (unsigned)after_ms);
}

static void kick(struct tk_conn *conn) {
        conn->kicked = true;
        tk_timer_start(conn->loop, &conn->timer, 0);
}

static int unacked(const struct tk_conn *conn) {
        int n = 0;
        /* Bytes that the client's kernel has not acknowledged; they stay there when the client reads nothing.
         */
        return ioctl(tk_sock_fd(conn->sock), SIOCOUTQ, &n) == 0 ? n : 0;
}

static int64_t write_check_ms(const struct tk_conn *conn) {
        return conn->loop->opt->write_ms / 4 + 1;
}

/* ---- end ---- */

/* Closes in whatever state. The call, if a handler has it, is told. */
static void lose(struct tk_conn *conn) {
        struct tk_call *call = conn->call;
        bool handed = conn->state == TK_CONN_WORK;
        conn->call = NULL;
        move(conn, TK_CONN_DEAD);
        tk_watch_remove(&conn->hup);
        tk_timer_cancel(&conn->timer);
        tk_sock_close(&conn->sock);
        struct tk_loop *loop = conn->loop;
        if (conn->next)
                conn->next->prev = conn->prev;
        if (conn->prev)
                conn->prev->next = conn->next;
        else
                loop->conns = conn->next;
        conn->prev = NULL;
        conn->next = loop->closed;
        loop->closed = conn;
        loop->conns_count--;
        tk_accept_resume(loop);
        if (call && handed)
                tk_call_lose(call);
        else if (call)
                tk_call_free(call);
}

void tk_conns_reap(struct tk_loop *loop) {
        while (loop->closed) {
                struct tk_conn *conn = loop->closed;
                loop->closed = conn->next;
                tk_buf_free(&conn->in);
                tk_buf_free(&conn->out);
                conn->magic = 0;
                free(conn);
        }
}

static void reset(struct tk_conn *conn) {
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(tk_sock_fd(conn->sock), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        lose(conn);
}

static void linger(struct tk_conn *conn) {
        move(conn, TK_CONN_LINGER);
        tk_buf_free(&conn->in);
        tk_buf_free(&conn->out);
        conn->linger_end_ms = tk_clock_mono_ms() + TK_CONN_LINGER_TOTAL_MS;
        if (conn->eof || shutdown(tk_sock_fd(conn->sock), SHUT_WR) != 0)
                lose(conn);
}

/* ---- out ---- */

static size_t pending(const struct tk_conn *conn) {
        return conn->out.len - conn->out_at;
}

size_t tk_conn_unsent(const struct tk_conn *conn) {
        return conn->writing ? pending(conn) : 0;
}

/* All bytes are with the socket. */
static void sent(struct tk_conn *conn) {
        conn->out_at = 0;
        if (conn->out.size > KEEP_OUT || conn->state == TK_CONN_FLUSH)
                tk_buf_free(&conn->out);
        else
                tk_buf_clear(&conn->out);
        if (conn->state != TK_CONN_FLUSH)
                return;
        if (conn->reset_after)
                reset(conn);
        else if (conn->close_after || conn->loop->stopping)
                linger(conn);
        else
                move(conn, TK_CONN_IDLE);
}

/* A handler may be on the stack, so it is told in the next turn; others close in settle(). */
static void break_off(struct tk_conn *conn) {
        conn->broken = true;
        tk_buf_free(&conn->out);
        conn->out_at = 0;
        kick(conn);
}

void tk_conn_flush(struct tk_conn *conn) {
        if (conn->broken || !tk_buf_ok(&conn->out)) {
                break_off(conn);
                return;
        }
        if (conn->writing)
                return;
        while (conn->out_at < conn->out.len) {
                ssize_t n = send(tk_sock_fd(conn->sock), conn->out.at + conn->out_at,
                                 conn->out.len - conn->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n > 0) {
                        conn->out_at += (size_t)n;
                        continue;
                }
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno != EAGAIN) {
                        break_off(conn);
                        return;
                }
                conn->writing = true;
                conn->progress_ms = tk_clock_mono_ms();
                conn->unacked_seen = unacked(conn);
                tk_sock_want_write(conn->sock);
                if (conn->state == TK_CONN_WORK || conn->state == TK_CONN_FLUSH)
                        set_due(conn, write_check_ms(conn));
                return;
        }
        sent(conn);
}

void tk_conn_flush_later(struct tk_conn *conn) {
        if (pending(conn) > FLUSH_LATER_MAX) {
                tk_conn_flush(conn);
        } else if (!conn->flush_due) {
                conn->flush_due = true;
                conn->flush_next = conn->loop->unflushed;
                conn->loop->unflushed = conn;
        }
}

/* No handler runs in here, so the list does not grow meanwhile; what it holds is freed only after it. */
void tk_conns_flush(struct tk_loop *loop) {
        while (loop->unflushed) {
                struct tk_conn *conn = loop->unflushed;
                loop->unflushed = conn->flush_next;
                conn->flush_due = false;
                if (conn->state ==
                    TK_CONN_WORK) /* otherwise the answer is complete, and went out with its end */
                        tk_conn_flush(conn);
        }
}

static void on_writable(void *ctx) {
        struct tk_conn *conn = ctx;
        MUST(conn->magic == CONN_MAGIC && conn->writing);
        conn->writing = false;
        /* What is sent is moved out of the way when that is cheaper than it is large. */
        if (conn->out_at > conn->out.len / 2) {
                tk_buf_drop(&conn->out, conn->out_at);
                conn->out_at = 0;
        }
        if (conn->state == TK_CONN_WORK)
                conn->renew = true;
        tk_conn_flush(conn);
        bool all = !conn->writing && !conn->broken;
        if (conn->state == TK_CONN_WORK && all && conn->call->drained)
                conn->call->drained(conn->call, conn->call->drained_ctx);
        if (conn->state == TK_CONN_IDLE && (conn->in.len || conn->eof))
                kick(conn);
        settle(conn);
}

void tk_conn_answered(struct tk_conn *conn, bool keep_alive) {
        MUST(conn->state == TK_CONN_WORK);
        conn->call = NULL;
        conn->close_after |= !keep_alive;
        move(conn, TK_CONN_FLUSH);
        tk_conn_flush(conn);
        if (conn->processing)
                return;
        if (conn->state == TK_CONN_IDLE && (conn->in.len || conn->eof))
                kick(conn); /* (3) */
        else
                settle(conn);
}

/* An answer of the seam's own, the last on this connection. `head` is as much of the request as there is. */
static void refuse(struct tk_conn *conn, int status, const char *why, struct tk_str head) {
        struct tk_str path = conn->call ? conn->call->head.path : tk_head_peek_path(head);
        path = tk_str_head(path, path.len < REFUSED_PATH_MAX ? path.len : REFUSED_PATH_MAX);
        bool silent = tk_str_is(conn->call ? conn->call->head.method : tk_head_peek_method(head), "HEAD");
        struct tk_loop *loop = conn->loop;
        char id[TK_REQUEST_ID_LEN + 1];
        tk_call_make_id(loop, id);
        struct tk_buf body = TK_BUF(65536), headers = TK_BUF(1024);
        const struct tk_refused refused = {
                .status = status, .path = path, .why = why, .id = id, .body = &body, .headers = &headers};
        loop->opt->on_refuse(&refused, loop->opt->ctx);
        struct tk_respond r = {
                .status = status,
                .minor = 1,
                .framing = TK_FRAME_LENGTH,
                .length = body.len,
                .content_type = body.len ? "application/json" : NULL,
                .date = tk_loop_date(loop),
                .id = id,
                .headers = tk_buf_ok(&headers) ? tk_buf_str(&headers) : (struct tk_str){0},
        };
        tk_respond_head(&conn->out, &r);
        if (!silent)
                tk_buf_put(&conn->out, tk_buf_str(&body));
        tk_buf_free(&headers);
        tk_buf_free(&body);
        if (conn->call)
                tk_call_free(conn->call);
        conn->call = NULL;
        conn->close_after = true;
        move(conn, TK_CONN_FLUSH);
        tk_conn_flush(conn);
}

/* ---- in ---- */

/* The head is whole: decides about the body. */
static void begin_body(struct tk_conn *conn, struct tk_str rest) {
        const struct tk_head *head = &conn->call->head;
        move(conn, TK_CONN_BODY);
        if (head->length > conn->loop->opt->body_bytes_max) {
                refuse(conn, 413, "the body is larger than the limit", (struct tk_str){0});
                return;
        }
        conn->body_left = head->length;
        conn->chunk = (struct tk_chunk){0};
        if (head->expects && rest.len == 0 && (head->chunked || head->length)) {
                tk_buf_put(&conn->out, TK_STR("HTTP/1.1 100 Continue\r\n\r\n"));
                tk_conn_flush(conn);
        }
}

/* Returns the bytes used; 0 when more are needed. */
static size_t take_head(struct tk_conn *conn, struct tk_str in) {
        size_t max = conn->loop->opt->header_bytes_max;
        if (!tk_head_begins(in)) {
                refuse(conn, 400, "this is not HTTP", in);
                return 0;
        }
        size_t len = tk_head_end(in, &conn->scanned);
        if (len > max || (len == 0 && in.len > max)) {
                refuse(conn, 431, "the header is larger than the limit", in);
                return 0;
        }
        if (len == 0)
                return 0;
        struct tk_str bytes;
        struct tk_call *call = tk_call_new(conn, tk_str_head(in, len), &bytes);
        if (!call) {
                refuse(conn, 503, "out of memory", in);
                return 0;
        }
        const char *why = "";
        int status = tk_head_parse(&call->head, bytes, &why);
        if (status) {
                tk_call_free(call);
                refuse(conn, status, why, in);
                return 0;
        }
        conn->scanned = 0;
        conn->blank_skipped = false;
        conn->call = call;
        begin_body(conn, tk_str_skip(in, len));
        return len;
}

static void put_body(struct tk_conn *conn, struct tk_str piece) {
        struct tk_buf *body = &conn->call->body;
        if (piece.len > body->max - body->len) {
                refuse(conn, 413, "the body is larger than the limit", (struct tk_str){0});
                return;
        }
        /* Small ones always have room, so that nobody can keep out everybody. */
        if (body->len + piece.len > BODY_SMALL &&
            conn->loop->bodies_bytes + piece.len > conn->loop->opt->bodies_bytes_max) {
                refuse(conn, 503, "too many request bodies at a time", (struct tk_str){0});
                return;
        }
        tk_buf_put(body, piece);
        conn->renew = true;
        if (tk_buf_ok(body))
                conn->loop->bodies_bytes += piece.len;
        else
                refuse(conn, 503, "out of memory", (struct tk_str){0});
}

static void hand(struct tk_conn *conn) {
        move(conn, TK_CONN_WORK);
        tk_call_hand(conn->call);
}

/* Returns the bytes used. The body may be complete without any. */
static size_t take_body(struct tk_conn *conn, struct tk_str in) {
        if (!conn->call->head.chunked) {
                size_t n = in.len < conn->body_left ? in.len : (size_t)conn->body_left;
                if (n)
                        put_body(conn, tk_str_head(in, n));
                conn->body_left -= n;
                if (conn->state == TK_CONN_BODY && conn->body_left == 0)
                        hand(conn);
                return n;
        }
        struct tk_str rest = in, piece;
        while (conn->state == TK_CONN_BODY) {
                switch (tk_chunk_next(&conn->chunk, &rest, &piece)) {
                case TK_CHUNK_MORE:
                        return in.len;
                case TK_CHUNK_DATA:
                        put_body(conn, piece);
                        break;
                case TK_CHUNK_DONE:
                        hand(conn);
                        break;
                case TK_CHUNK_BAD:
                        refuse(conn, 400, "the chunked body is malformed", (struct tk_str){0});
                        break;
                case TK_CHUNK_TOO_BIG:
                        refuse(conn, 431, "chunk extensions or trailers exceed the limit",
                               (struct tk_str){0});
                        break;
                }
        }
        return in.len - rest.len;
}

/* One step in the state; false when there is nothing to be done with these bytes now. */
static bool step(struct tk_conn *conn, struct tk_str *in) {
        size_t used = 0;
        bool between = conn->state == TK_CONN_IDLE || conn->state == TK_CONN_HEAD;
        if (between && !conn->blank_skipped && tk_head_blank(*in)) {
                conn->blank_skipped = true;
                conn->scanned = 0;
                *in = tk_str_skip(*in, tk_head_blank(*in));
                return true;
        }
        if (conn->state == TK_CONN_IDLE && in->len) {
                move(conn, TK_CONN_HEAD);
                return true;
        }
        if (conn->state == TK_CONN_HEAD && in->len) {
                used = take_head(conn, *in);
                *in = tk_str_skip(*in, used);
                return used > 0;
        }
        if (conn->state == TK_CONN_BODY && (in->len || (!conn->call->head.chunked && !conn->body_left))) {
                used = take_body(conn, *in);
                *in = tk_str_skip(*in, used);
                return true;
        }
        return false;
}

/* Takes requests from the bytes, which are conn->in or the loop's scratch, and keeps the rest. */
static void process(struct tk_conn *conn, struct tk_str in) {
        bool kept = in.at == conn->in.at;
        struct tk_str rest = in;
        conn->processing = true;
        while (step(conn, &rest))
                ;
        conn->processing = false;
        if (conn->state == TK_CONN_DEAD || conn->state == TK_CONN_LINGER)
                return;
        if (kept)
                tk_buf_drop(&conn->in, in.len - rest.len);
        else
                tk_buf_put(&conn->in, rest);
        if (conn->in.len == 0)
                tk_buf_free(&conn->in);
        if (!tk_buf_ok(&conn->in))
                break_off(conn);
}

/* ---- after every event ---- */

static void settle_eof(struct tk_conn *conn) {
        if (conn->state == TK_CONN_IDLE)
                lose(conn);
        else if (conn->state == TK_CONN_HEAD || conn->state == TK_CONN_BODY)
                refuse(conn, 400, "the request ended too early", tk_buf_str(&conn->in));
}

/* (2), (5) */
static void settle_reading(struct tk_conn *conn) {
        bool busy = conn->state == TK_CONN_WORK || conn->state == TK_CONN_FLUSH;
        bool read = !conn->eof && !(busy && conn->in.len >= TK_CONN_AHEAD);
        tk_sock_read(conn->sock, read);
        if (read || !busy)
                tk_watch_remove(&conn->hup);
        else if (conn->hup.fd < 0)
                /* When it cannot be watched, the next send notices. */
                (void)!tk_watch_add(&conn->hup, conn->loop, tk_sock_fd(conn->sock), 0, conn->hup.ready, conn);
}

static void settle_due(struct tk_conn *conn) {
        const struct tk_server_opt *opt = conn->loop->opt;
        if (!conn->renew)
                return;
        conn->renew = false;
        if (conn->state == TK_CONN_IDLE)
                set_due(conn, opt->idle_ms);
        else if (conn->state == TK_CONN_HEAD)
                set_due(conn, opt->header_ms);
        else if (conn->state == TK_CONN_BODY)
                set_due(conn, opt->body_ms);
        else if (conn->state == TK_CONN_LINGER)
                set_due(conn, TK_CONN_LINGER_MS);
        else if (conn->writing)
                set_due(conn, write_check_ms(conn));
        else
                conn->due_ms = NEVER;
}

static void settle(struct tk_conn *conn) {
        if (conn->state != TK_CONN_DEAD && conn->broken && conn->state != TK_CONN_WORK)
                lose(conn);
        if (conn->eof && conn->state != TK_CONN_DEAD)
                settle_eof(conn);
        if (conn->state == TK_CONN_DEAD)
                return;
        settle_reading(conn);
        settle_due(conn);
        if (conn->state == TK_CONN_WORK && conn->eof && !conn->probed && conn->due_ms == NEVER)
                set_due(conn, TK_CONN_PROBE_MS);
}

/* ---- events ---- */

static void linger_read(struct tk_conn *conn) {
        ssize_t n = recv(tk_sock_fd(conn->sock), conn->loop->scratch, TK_LOOP_SCRATCH, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        conn->lingered += n > 0 ? (size_t)n : 0;
        if (n <= 0 || conn->lingered > TK_CONN_LINGER_BYTES || tk_clock_mono_ms() > conn->linger_end_ms) {
                lose(conn);
                return;
        }
        conn->renew = true;
        settle_due(conn);
}

static void on_readable(void *ctx) {
        struct tk_conn *conn = ctx;
        MUST(conn->magic == CONN_MAGIC);
        if (conn->state == TK_CONN_LINGER) {
                linger_read(conn);
                return;
        }
        ssize_t n = recv(tk_sock_fd(conn->sock), conn->loop->scratch, TK_LOOP_SCRATCH, MSG_DONTWAIT);
        if (n < 0) {
                if (errno != EAGAIN && errno != EINTR)
                        lose(conn);
                return;
        }
        if (n == 0)
                conn->eof = true;
        struct tk_str in = {conn->loop->scratch, (size_t)n};
        if (conn->in.len) {
                tk_buf_put(&conn->in, in);
                if (!tk_buf_ok(&conn->in)) {
                        break_off(conn);
                        settle(conn);
                        return;
                }
                in = tk_buf_str(&conn->in);
        }
        process(conn, in);
        settle(conn);
}

static void on_hup(void *ctx) {
        struct tk_conn *conn = ctx;
        MUST(conn->magic == CONN_MAGIC);
        lose(conn);
}

/* Is there still someone behind a closed sending side? See the header. */
static void probe(struct tk_conn *conn) {
        conn->probed = true;
        if (conn->call->started || conn->call->head.minor == 0)
                return;
        tk_buf_put(&conn->out, TK_STR("HTTP/1.1 100 Continue\r\n\r\n"));
        tk_conn_flush(conn);
}

static void check_writing(struct tk_conn *conn) {
        int now_unacked = unacked(conn);
        int64_t now_ms = tk_clock_mono_ms();
        if (now_unacked != conn->unacked_seen)
                conn->progress_ms = now_ms;
        conn->unacked_seen = now_unacked;
        if (now_ms - conn->progress_ms >= conn->loop->opt->write_ms)
                reset(conn);
        else
                set_due(conn, write_check_ms(conn));
}

static void expire(struct tk_conn *conn) {
        switch (conn->state) {
        case TK_CONN_HEAD:
                refuse(conn, 408, "the header took too long", tk_buf_str(&conn->in));
                break;
        case TK_CONN_BODY:
                refuse(conn, 408, "the body took too long", (struct tk_str){0});
                break;
        case TK_CONN_WORK:
        case TK_CONN_FLUSH:
                if (conn->writing)
                        check_writing(conn);
                else if (conn->state == TK_CONN_WORK && conn->eof && !conn->probed)
                        probe(conn);
                break;
        default:
                lose(conn);
        }
}

static void on_timer(struct tk_timer *timer) {
        struct tk_conn *conn = (struct tk_conn *)((char *)timer - offsetof(struct tk_conn, timer));
        MUST(conn->magic == CONN_MAGIC);
        if (conn->kicked) {
                conn->kicked = false;
                if (conn->broken) {
                        lose(conn);
                        return;
                }
                process(conn, tk_buf_str(&conn->in));
                settle(conn);
                if (conn->state == TK_CONN_DEAD)
                        return;
        }
        int64_t left = conn->due_ms == NEVER ? NEVER : conn->due_ms - tk_clock_mono_ms();
        if (left <= 0) {
                conn->due_ms = NEVER;
                expire(conn);
                settle(conn);
        } else if (left != NEVER && !conn->timer.loop) {
                tk_timer_start(conn->loop, &conn->timer, (unsigned)left);
        }
}

static void read_peer(struct tk_conn *conn) {
        struct sockaddr_storage sa;
        socklen_t size = sizeof sa;
        if (getpeername(tk_sock_fd(conn->sock), (struct sockaddr *)&sa, &size) != 0)
                return; /* it is gone already, as the first read will show */
        if (sa.ss_family == AF_INET) {
                inet_ntop(AF_INET, &((struct sockaddr_in *)&sa)->sin_addr, conn->peer, sizeof conn->peer);
        } else if (sa.ss_family == AF_INET6) {
                const struct in6_addr *a = &((struct sockaddr_in6 *)&sa)->sin6_addr;
                /* An IPv4 client of an IPv6 socket is still an IPv4 client. */
                if (IN6_IS_ADDR_V4MAPPED(a))
                        inet_ntop(AF_INET, a->s6_addr + 12, conn->peer, sizeof conn->peer);
                else
                        inet_ntop(AF_INET6, a, conn->peer, sizeof conn->peer);
        }
}

void tk_conn_open(struct tk_loop *loop, struct tk_sock *sock) {
        struct tk_conn *conn = calloc(1, sizeof *conn);
        if (!conn) {
                tk_sock_close(&sock);
                return;
        }
        conn->magic = CONN_MAGIC;
        conn->loop = loop;
        conn->sock = sock;
        conn->in.max = loop->opt->header_bytes_max + TK_CONN_AHEAD + TK_LOOP_SCRATCH;
        conn->out.max = TK_CONN_OUT_MAX;
        conn->timer.fire = on_timer;
        conn->due_ms = NEVER;
        conn->hup.fd = -1;
        conn->hup.ready = on_hup;
        read_peer(conn);
        conn->next = loop->conns;
        if (conn->next)
                conn->next->prev = conn;
        loop->conns = conn;
        loop->conns_count++;
        tk_sock_on(sock, on_readable, on_writable, conn);
        conn->renew = true;
        settle(conn);
}

/* ---- all ---- */

/* A request may have arrived in the moment of stopping; it is still served. */
static void stop_one(struct tk_conn *conn) {
        if (conn->state == TK_CONN_IDLE)
                on_readable(conn);
        if (conn->state == TK_CONN_IDLE)
                lose(conn);
}

static void on_grace_over(struct tk_timer *timer) {
        struct tk_loop *loop = (struct tk_loop *)((char *)timer - offsetof(struct tk_loop, grace));
        loop->forced = true;
}

void tk_conns_stop(struct tk_loop *loop, bool at_once) {
        loop->forced |= at_once;
        if (loop->stopping)
                return;
        loop->stopping = true;
        tk_accept_end(loop);
        loop->grace.fire = on_grace_over;
        tk_timer_start(loop, &loop->grace, loop->opt->stop_ms);
        struct tk_conn *conn = loop->conns;
        while (conn) {
                struct tk_conn *next = conn->next;
                stop_one(conn);
                /* A handler may have closed the next one, which is on the other list then: begin anew. */
                conn = next && next->state == TK_CONN_DEAD ? loop->conns : next;
        }
}

void tk_conns_close(struct tk_loop *loop) {
        /* A gone callback may close any other, so begin anew after each. */
        tk_conns_flush(loop);
        while (loop->conns)
                lose(loop->conns);
        loop->unflushed = NULL; /* a gone callback cannot send, but may have another call that can */
        tk_conns_reap(loop);
}
