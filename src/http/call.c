/* SPDX-License-Identifier: Apache-2.0 */
#include "http/call.h"

#include "http/conn.h"
#include "rt/log.h"
#include "rt/rand.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MAGIC  0xca11ab1eu
#define STREAM_ROOM 4000 /* for what is sent in one turn, so that the buffer seldom grows */

static_assert(TK_REQUEST_ID_LEN == TK_ID_TEXT_LEN, "a request id is an id");

struct tk_call_block {
        struct tk_call_block *next;
        alignas(max_align_t) unsigned char bytes[];
};

/* ---- life ---- */

/* From the call's own arena while it lasts, uninitialised. */
static void *allocate(struct tk_call *call, size_t size) {
        const size_t align = alignof(max_align_t);
        if (size <= sizeof call->arena - call->arena_used) {
                void *at = call->arena + call->arena_used;
                /* The arena is a multiple of the alignment, so rounding up stays within it. */
                call->arena_used += (size + align - 1) / align * align;
                return at;
        }
        if (size > SIZE_MAX - sizeof(struct tk_call_block))
                return NULL;
        struct tk_call_block *block = malloc(sizeof *block + size);
        if (!block)
                return NULL;
        block->next = call->blocks;
        call->blocks = block;
        return block->bytes;
}

void tk_call_make_id(struct tk_loop *loop, char out[TK_REQUEST_ID_LEN + 1]) {
        if (loop->random_used + 10 > sizeof loop->random) {
                tk_rand_bytes(loop->random, sizeof loop->random);
                loop->random_used = 0;
        }
        tk_id_text(tk_id_make(tk_loop_now_ms(loop), loop->random + loop->random_used), out);
        loop->random_used += 10;
}

struct tk_call *tk_call_new(struct tk_conn *conn, struct tk_str head, struct tk_str *bytes) {
        static_assert(TK_CALL_ARENA % alignof(max_align_t) == 0, "see allocate()");
        struct tk_call *call = malloc(sizeof *call);
        if (!call)
                return NULL;
        /* Not all of it: the fields and the arena are five sixths, and are written before they are read. */
        memset(call, 0, offsetof(struct tk_call, head));
        memset(&call->head, 0, offsetof(struct tk_head, fields));
        memset(&call->body, 0, offsetof(struct tk_call, arena) - offsetof(struct tk_call, body));
        call->magic = CALL_MAGIC;
        call->loop = conn->loop;
        call->conn = conn;
        call->body.max = conn->loop->opt->body_bytes_max;
        call->headers.max = TK_CALL_HEADERS_MAX;
        memcpy(call->peer, conn->peer, sizeof call->peer);
        char *copy = allocate(call, head.len);
        if (!copy) {
                free(call);
                return NULL;
        }
        memcpy(copy, head.at, head.len);
        *bytes = (struct tk_str){copy, head.len};
        return call;
}

static void unlink_lost(struct tk_call *call) {
        if (call->next)
                call->next->prev = call->prev;
        if (call->prev)
                call->prev->next = call->next;
        else if (call->loop->lost == call)
                call->loop->lost = call->next;
}

void tk_call_free(struct tk_call *call) {
        MUST(call->magic == CALL_MAGIC);
        tk_timer_cancel(&call->tell);
        unlink_lost(call);
        call->loop->bodies_bytes -= call->body.len;
        tk_buf_free(&call->body);
        tk_buf_free(&call->headers);
        while (call->blocks) {
                struct tk_call_block *block = call->blocks;
                call->blocks = block->next;
                free(block);
        }
        call->magic = 0;
        free(call);
}

void tk_call_hand(struct tk_call *call) {
        call->now_ms = tk_loop_now_ms(call->loop);
        tk_call_make_id(call->loop, call->id);
        call->silent = tk_str_is(call->head.method, "HEAD");
        call->handed = true;
        call->loop->opt->on_call(call, call->loop->opt->ctx);
}

/* ---- gone ---- */

static void tell_gone(struct tk_call *call) {
        call->handed = false; /* answering now is a programmer's error */
        call->gone(call, call->gone_ctx);
        tk_call_free(call);
}

void tk_call_lose(struct tk_call *call) {
        MUST(call->handed);
        call->conn = NULL;
        if (call->gone) {
                tell_gone(call);
                return;
        }
        call->next = call->loop->lost;
        if (call->next)
                call->next->prev = call;
        call->loop->lost = call;
}

void tk_calls_tell(struct tk_loop *loop) {
        /* A callback may answer other lost calls, so begin anew after each. */
        struct tk_call *call = loop->lost;
        while (call) {
                if (call->gone) {
                        tell_gone(call);
                        call = loop->lost;
                } else {
                        call = call->next;
                }
        }
}

void tk_calls_forget(struct tk_loop *loop) {
        while (loop->lost)
                tk_call_free(loop->lost);
}

static void on_tell(struct tk_timer *timer) {
        struct tk_call *call = (struct tk_call *)((char *)timer - offsetof(struct tk_call, tell));
        MUST(call->magic == CALL_MAGIC);
        if (call->gone)
                tell_gone(call);
}

void tk_call_on_gone(struct tk_call *call, tk_call_event_f *gone, void *ctx) {
        MUST(call->handed);
        call->gone = gone;
        call->gone_ctx = ctx;
        if (!call->conn) {
                call->tell.fire = on_tell;
                tk_timer_start(call->loop, &call->tell, 0);
        }
}

void tk_call_on_drained(struct tk_call *call, tk_call_event_f *drained, void *ctx) {
        MUST(call->handed);
        call->drained = drained;
        call->drained_ctx = ctx;
}

/* ---- request ---- */

struct tk_loop *tk_call_loop(struct tk_call *call) {
        return call->loop;
}

struct tk_str tk_call_method(const struct tk_call *call) {
        return call->head.method;
}

struct tk_str tk_call_path(const struct tk_call *call) {
        return call->head.path;
}

struct tk_str tk_call_query(const struct tk_call *call) {
        return call->head.query;
}

struct tk_str tk_call_header(const struct tk_call *call, const char *name) {
        return tk_head_field(&call->head, name);
}

struct tk_str tk_call_body(const struct tk_call *call) {
        return tk_buf_str(&call->body);
}

struct tk_str tk_call_peer(const struct tk_call *call) {
        return tk_str_of(call->peer);
}

const char *tk_call_id(const struct tk_call *call) {
        return call->id;
}

int64_t tk_call_now_ms(const struct tk_call *call) {
        return call->now_ms;
}

void *tk_call_alloc(struct tk_call *call, size_t size) {
        void *at = allocate(call, size);
        return at ? memset(at, 0, size) : NULL;
}

/* ---- answer ---- */

void tk_call_add_header(struct tk_call *call, const char *name, struct tk_str value) {
        MUST(call->handed && !call->started);
        if (!tk_respond_reserved(name))
                tk_respond_header(&call->headers, name, value);
}

static bool keeps_alive(const struct tk_call *call) {
        return call->head.keep_alive && !call->loop->stopping && !call->conn->close_after;
}

/* How the body of a stream will be told from what follows it. */
static enum tk_framing stream_framing(const struct tk_call *call, int status) {
        if (tk_respond_bodyless(status))
                return TK_FRAME_NONE;
        return call->head.minor == 0 ? TK_FRAME_CLOSE : TK_FRAME_CHUNKED;
}

static void put_head(struct tk_call *call, int status, const char *content_type, enum tk_framing framing,
                     size_t length, bool keep_alive) {
        struct tk_respond r = {
                .status = status,
                .minor = call->head.minor,
                .keep_alive = keep_alive,
                .framing = framing,
                .length = length,
                .content_type = content_type,
                .date = tk_loop_date(call->loop),
                .id = call->id,
                .headers = tk_buf_str(&call->headers),
        };
        struct tk_buf *out = &call->conn->out;
        tk_respond_head(out, &r);
        if (!tk_buf_ok(&call->headers)) {
                /* An answer that lacks headers would be a wrong one; the connection breaks instead. */
                tk_log(TK_ERROR, "http", "the headers of answer %s exceed %u bytes, or memory", call->id,
                       TK_CALL_HEADERS_MAX);
                out->failed = true;
        }
}

static void finish(struct tk_call *call, bool keep_alive) {
        struct tk_conn *conn = call->conn;
        tk_call_free(call);
        if (conn)
                tk_conn_answered(conn, keep_alive);
}

void tk_call_reply(struct tk_call *call, int status, const char *content_type, struct tk_str body) {
        MUST(call->magic == CALL_MAGIC && call->handed && !call->started);
        if (!call->conn) {
                finish(call, false);
                return;
        }
        bool bodyless = tk_respond_bodyless(status);
        bool keep_alive = keeps_alive(call);
        struct tk_buf *out = &call->conn->out;
        (void)tk_buf_room(out, body.len + call->headers.len + 512); /* at one go */
        put_head(call, status, content_type, bodyless ? TK_FRAME_NONE : TK_FRAME_LENGTH, body.len,
                 keep_alive);
        if (!call->silent && !bodyless)
                tk_buf_put(out, body);
        finish(call, keep_alive);
}

void tk_call_start(struct tk_call *call, int status, const char *content_type) {
        MUST(call->magic == CALL_MAGIC && call->handed && !call->started);
        call->started = true;
        call->silent |= tk_respond_bodyless(status);
        call->framing = stream_framing(call, status);
        if (!call->conn)
                return;
        if (call->framing == TK_FRAME_CLOSE)
                call->head.keep_alive = false;
        call->head.keep_alive = keeps_alive(call);
        (void)tk_buf_room(&call->conn->out, STREAM_ROOM);
        put_head(call, status, content_type, call->framing, 0, call->head.keep_alive);
        tk_conn_flush_later(call->conn);
}

void tk_call_send(struct tk_call *call, struct tk_str piece) {
        MUST(call->magic == CALL_MAGIC && call->handed && call->started);
        if (!call->conn || call->silent || piece.len == 0)
                return;
        if (call->framing == TK_FRAME_CHUNKED)
                tk_respond_chunk(&call->conn->out, piece);
        else
                tk_buf_put(&call->conn->out, piece);
        tk_conn_flush_later(call->conn);
}

size_t tk_call_unsent(const struct tk_call *call) {
        return call->conn ? tk_conn_unsent(call->conn) : 0;
}

void tk_call_end(struct tk_call *call, bool whole) {
        MUST(call->magic == CALL_MAGIC && call->handed && call->started);
        bool keep_alive = whole && call->head.keep_alive;
        if (call->conn && !call->silent) {
                if (whole && call->framing == TK_FRAME_CHUNKED)
                        tk_respond_last_chunk(&call->conn->out);
                call->conn->reset_after = !whole && call->framing == TK_FRAME_CLOSE;
        }
        finish(call, keep_alive);
}
