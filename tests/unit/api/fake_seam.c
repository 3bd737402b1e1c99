/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_seam.h"

#include <stdlib.h>
#include <string.h>

static void assert_alive(const struct tk_call *call) {
        MUST(!call->over);
        MUST(!call->gone);
}

void fake_loop_init(struct tk_loop *loop, void *data) {
        *loop = (struct tk_loop){.data = data};
        loop->last = &loop->first;
}

bool fake_loop_turn(struct tk_loop *loop) {
        struct tk_msg *msg = loop->first;
        if (!msg)
                return false;
        loop->first = msg->next;
        if (!loop->first)
                loop->last = &loop->first;
        msg->run(msg);
        return true;
}

void fake_call_leave(struct tk_call *call) {
        assert_alive(call);
        call->gone = true;
        if (call->on_gone)
                call->on_gone(call, call->on_gone_ctx);
}

void fake_call_drain(struct tk_call *call) {
        assert_alive(call);
        call->unsent = 0;
        if (call->on_drained)
                call->on_drained(call, call->on_drained_ctx);
}

void fake_call_free(struct tk_call *call) {
        tk_buf_free(&call->answer);
        tk_buf_free(&call->answer_headers);
        while (call->memory_nr)
                free(call->memory[--call->memory_nr]);
}

void *tk_loop_data(const struct tk_loop *loop) {
        return loop->data;
}

bool tk_loop_send(struct tk_loop *loop, struct tk_msg *msg) {
        if (loop->ended)
                return false;
        msg->next = NULL;
        *loop->last = msg;
        loop->last = &msg->next;
        return true;
}

struct tk_loop *tk_call_loop(struct tk_call *call) {
        assert_alive(call);
        return call->loop;
}

struct tk_str tk_call_method(const struct tk_call *call) {
        assert_alive(call);
        return tk_str_of(call->method);
}

struct tk_str tk_call_path(const struct tk_call *call) {
        assert_alive(call);
        return tk_str_of(call->path);
}

struct tk_str tk_call_query(const struct tk_call *call) {
        assert_alive(call);
        return tk_str_of(call->query);
}

struct tk_str tk_call_header(const struct tk_call *call, const char *name) {
        assert_alive(call);
        for (unsigned i = 0; i < FAKE_HEADERS_MAX && call->headers[i].name; i++)
                if (strcmp(call->headers[i].name, name) == 0)
                        return tk_str_of(call->headers[i].value);
        return (struct tk_str){0};
}

struct tk_str tk_call_body(const struct tk_call *call) {
        assert_alive(call);
        return call->body_len ? (struct tk_str){call->body, call->body_len} : tk_str_of(call->body);
}

const char *tk_call_id(const struct tk_call *call) {
        assert_alive(call);
        return "00000000-0000-7000-8000-000000000000";
}

struct tk_str tk_call_peer(const struct tk_call *call) {
        assert_alive(call);
        return TK_STR("192.0.2.7");
}

int64_t tk_call_now_ms(const struct tk_call *call) {
        assert_alive(call);
        return call->now_ms;
}

void *tk_call_alloc(struct tk_call *call, size_t size) {
        assert_alive(call);
        MUST(call->memory_nr < 4);
        return call->no_memory ? NULL : (call->memory[call->memory_nr++] = calloc(1, size));
}

void tk_call_add_header(struct tk_call *call, const char *name, struct tk_str value) {
        assert_alive(call);
        MUST(!call->started);
        call->answer_headers.max = 4096;
        tk_buf_printf(&call->answer_headers, "%s: %.*s\n", name, TK_STR_ARG(value));
}

static void put(struct tk_call *call, struct tk_str piece) {
        call->answer.max = 64u << 20;
        tk_buf_put(&call->answer, piece);
        MUST(tk_buf_ok(&call->answer));
}

void tk_call_reply(struct tk_call *call, int status, const char *content_type, struct tk_str body) {
        assert_alive(call);
        MUST(!call->started);
        MUST(content_type || body.len == 0);
        put(call, body);
        call->status = status;
        call->type = content_type;
        call->over = call->whole = true;
}

void tk_call_start(struct tk_call *call, int status, const char *content_type) {
        assert_alive(call);
        MUST(!call->started);
        call->started = true;
        call->status = status;
        call->type = content_type;
}

void tk_call_send(struct tk_call *call, struct tk_str piece) {
        assert_alive(call);
        MUST(call->started);
        call->pieces_nr++;
        put(call, piece);
}

size_t tk_call_unsent(const struct tk_call *call) {
        assert_alive(call);
        return call->unsent;
}

void tk_call_end(struct tk_call *call, bool whole) {
        assert_alive(call);
        MUST(call->started);
        call->over = true;
        call->whole = whole;
}

void tk_call_on_gone(struct tk_call *call, tk_call_event_f *gone, void *ctx) {
        assert_alive(call);
        call->on_gone = gone;
        call->on_gone_ctx = ctx;
}

void tk_call_on_drained(struct tk_call *call, tk_call_event_f *drained, void *ctx) {
        assert_alive(call);
        call->on_drained = drained;
        call->on_drained_ctx = ctx;
}
