/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_probe.h"

#include "lib/unit.h"
#include "rt/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static bool in_run; /* One test thread, so one flag. */

static void act(struct probe *probe, enum probe_at at) {
        if (probe->start_at == at)
                probe_start(probe->next, &probe->opt);
        if (probe->cancel_at == at)
                probe_cancel(probe->victim ? probe->victim : probe);
        if (probe->let_go_at == at)
                probe_let_go(probe);
}

static void on_head(void *ctx, int status, const struct tk_fetch_header *headers, unsigned headers_nr) {
        struct probe *probe = ctx;
        assert_true(in_run);
        assert_false(probe->cancelled);
        assert_int_equal(probe->heads, 0);
        assert_int_equal(probe->ends, 0);
        probe->heads++;
        probe->status = status;
        for (unsigned i = 0; i < headers_nr; i++) {
                assert_int_equal(headers[i].value.at[headers[i].value.len], '\0');
                tk_buf_printf(&probe->headers, "%s=%.*s|", headers[i].name, TK_STR_ARG(headers[i].value));
        }
        if (probe->pause_each)
                probe_pause(probe);
        act(probe, PROBE_HEAD);
}

static void on_data(void *ctx, struct tk_str piece) {
        struct probe *probe = ctx;
        assert_true(in_run);
        assert_false(probe->cancelled);
        assert_false(probe->paused);
        assert_int_equal(probe->heads, 1);
        assert_int_equal(probe->ends, 0);
        assert_true(piece.len > 0);
        probe->pieces++;
        if (piece.len > probe->piece_max)
                probe->piece_max = piece.len;
        tk_buf_put(&probe->body, piece);
        if (probe->pause_each)
                probe_pause(probe);
        act(probe, PROBE_DATA);
}

static void on_end(void *ctx, enum tk_fetch_end end, const char *why) {
        struct probe *probe = ctx;
        assert_true(in_run);
        assert_false(probe->cancelled);
        assert_int_equal(probe->ends, 0);
        assert_non_null(why);
        probe->ends++;
        probe->end = end;
        probe->sent = tk_fetch_was_sent(probe->fetch);
        snprintf(probe->why, sizeof probe->why, "%s", why);
        act(probe, PROBE_END);
        probe->fetch = NULL;
}

void probe_init(struct probe *probe, struct tk_upstream *up) {
        memset(probe, 0, sizeof *probe);
        probe->up = up;
        probe->headers = TK_BUF(1 << 20);
        probe->body = TK_BUF(64 << 20);
}

void probe_free(struct probe *probe) {
        assert_true(tk_buf_ok(&probe->headers) && tk_buf_ok(&probe->body));
        tk_buf_free(&probe->headers);
        tk_buf_free(&probe->body);
}

void probe_start(struct probe *probe, const struct tk_fetch_opt *opt) {
        bool was = in_run;
        probe->opt = *opt;
        probe->opt.on_head = on_head;
        probe->opt.on_data = on_data;
        probe->opt.on_end = on_end;
        probe->opt.ctx = probe;
        in_run = false; /* No callback may run inside the start, not even when it is called by one. */
        assert_ok(tk_fetch_start(probe->up, &probe->opt, &probe->fetch));
        in_run = was;
        assert_non_null(probe->fetch);
}

void probe_cancel(struct probe *probe) {
        bool was = in_run;
        in_run = false;
        tk_fetch_cancel(&probe->fetch);
        in_run = was;
        assert_null(probe->fetch);
        probe->cancelled = true;
}

void probe_let_go(struct probe *probe) {
        bool was = in_run;
        in_run = false;
        tk_fetch_let_go(&probe->fetch);
        in_run = was;
        assert_null(probe->fetch);
        probe->cancelled = true;
}

void probe_pause(struct probe *probe) {
        probe->paused = true;
        tk_fetch_pause(probe->fetch);
}

void probe_resume(struct probe *probe) {
        probe->paused = false;
        tk_fetch_resume(probe->fetch);
}

void probe_now(struct tk_upstream *up) {
        in_run = true;
        tk_upstream_run(up);
        in_run = false;
}

static void turn(struct tk_upstream *up, int wait_ms) {
        struct pollfd fd = {.fd = tk_upstream_fd(up), .events = POLLIN};
        if (poll(&fd, 1, wait_ms) > 0)
                probe_now(up);
}

void probe_until(struct tk_upstream *up, probe_done_f *done, void *ctx, unsigned ms) {
        int64_t end = tk_clock_mono_ms() + ms;
        while (!done(ctx)) {
                assert_true(tk_clock_mono_ms() < end);
                turn(up, 10); /* Short, because done() may look at another thread's work. */
        }
}

void probe_for(struct tk_upstream *up, unsigned ms) {
        int64_t now, end = tk_clock_mono_ms() + ms;
        while ((now = tk_clock_mono_ms()) < end)
                turn(up, (int)(end - now));
}

static bool ended(void *ctx) {
        struct probe *probe = ctx;
        if (probe->ends == 0 && probe->pause_each && probe->paused && probe->fetch)
                probe_resume(probe);
        return probe->ends > 0;
}

void probe_run(struct probe *probe, unsigned ms) {
        probe_until(probe->up, ended, probe, ms);
}

void probe_get(struct probe *probe, struct tk_upstream *up, const char *url) {
        struct tk_fetch_opt opt = {.url = url, .method = "GET"};
        probe_init(probe, up);
        probe_start(probe, &opt);
        probe_run(probe, 20000);
}
