/* SPDX-License-Identifier: Apache-2.0
 *
 * The fault loop: every allocation of ours fails once, alone and with all that follow. Whatever fails, the
 * caller is told exactly once (by the start's result or by on_end), nothing leaks, and an answer that is
 * called whole is whole. The linker hands our malloc and its kin to the functions below (see meson.build).
 * The library's own are left out: its version in Debian 12 divides by zero when some of them fail.
 */
#include "proxy/upstream.h"

#include "lib/unit.h"
#include "raw_server.h"
#include "rt/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Only the fetching thread runs out of memory; the server's threads have enough. */
static _Thread_local bool armed;
static _Thread_local long left;
static _Thread_local bool once; /* one failure, or all that follow, too */
static _Thread_local bool failed;

static bool must_fail(void) {
        if (!armed || left-- > 0)
                return false;
        if (once && failed)
                return false;
        failed = true;
        return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__wrap_realloc(void *at, size_t size);

void *__wrap_malloc(size_t size) {
        return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size) {
        return must_fail() ? NULL : __real_calloc(nr, size);
}

void *__wrap_realloc(void *at, size_t size) {
        return must_fail() ? NULL : __real_realloc(at, size);
}

/* ---- one fetch ---- */

struct seen {
        unsigned heads, ends;
        enum tk_fetch_end end;
        char body[64];
        size_t len;
};

static void on_head(void *ctx, int status, const struct tk_fetch_header *headers, unsigned headers_nr) {
        struct seen *seen = ctx;
        TK_UNUSED(headers);
        seen->heads++;
        assert_int_equal(status, 200);
        assert_int_equal(headers_nr, 2);
}

static void on_data(void *ctx, struct tk_str piece) {
        struct seen *seen = ctx;
        assert_int_equal(seen->heads, 1);
        assert_true(seen->len + piece.len <= sizeof seen->body);
        memcpy(seen->body + seen->len, piece.at, piece.len);
        seen->len += piece.len;
}

static void on_end(void *ctx, enum tk_fetch_end end, const char *why) {
        struct seen *seen = ctx;
        assert_non_null(why);
        seen->ends++;
        seen->end = end;
}

static const char url_form[] = "http://127.0.0.1:%u/v1/chat/completions";

/* True when the answer arrived whole. */
static bool fetch_once(struct tk_upstream *up, const char *url, struct seen *seen) {
        struct tk_fetch_header header = {"authorization", TK_STR("Bearer x")};
        struct tk_fetch_opt opt = {.url = url,
                                   .method = "POST",
                                   .body = TK_STR("{}"),
                                   .headers = &header,
                                   .headers_nr = 1,
                                   .first_byte_ms = 3000,
                                   .idle_ms = 3000,
                                   .on_head = on_head,
                                   .on_data = on_data,
                                   .on_end = on_end,
                                   .ctx = seen};
        struct tk_fetch *fetch;
        memset(seen, 0, sizeof *seen);
        enum tk_err err = tk_fetch_start(up, &opt, &fetch);
        if (err != TK_OK) {
                assert_int_equal(err, TK_E_NO_MEMORY);
                assert_null(fetch);
                assert_int_equal(seen->ends, 0);
                return false;
        }
        int64_t end = tk_clock_mono_ms() + 20000;
        while (seen->ends == 0) {
                struct pollfd fd = {.fd = tk_upstream_fd(up), .events = POLLIN};
                assert_true(tk_clock_mono_ms() < end);
                if (poll(&fd, 1, 100) > 0)
                        tk_upstream_run(up);
        }
        assert_int_equal(seen->ends, 1);
        if (seen->end != TK_FETCH_WHOLE)
                return false;
        assert_int_equal(seen->heads, 1);
        assert_true(tk_str_is((struct tk_str){seen->body, seen->len}, "hello"));
        return true;
}

static void serve(struct raw_server *s, int fd, unsigned nth) {
        struct raw_request request;
        TK_UNUSED(nth);
        while (raw_request_read(s, fd, &request)) {
                raw_request_free(&request);
                if (!raw_send_text(s, fd,
                                   "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"))
                        return;
        }
}

static void every_allocation_may_fail(void **state) {
        struct raw_server server;
        char url[64];
        TK_UNUSED(state);
        raw_server_start(&server, serve, NULL);
        snprintf(url, sizeof url, url_form, server.port);
        for (int mode = 0; mode < 2; mode++) {
                unsigned rounds = 0;
                for (bool ran_out = true; ran_out; rounds++) {
                        struct tk_upstream *up;
                        struct seen seen;
                        armed = true;
                        failed = false;
                        once = mode == 0;
                        left = rounds;
                        enum tk_err err = tk_upstream_open(&up);
                        bool whole = err == TK_OK && fetch_once(up, url, &seen);
                        armed = false;
                        ran_out = failed;
                        assert_true(whole || ran_out);
                        if (err == TK_OK) {
                                /* Memory is back, and so is the service. */
                                assert_true(fetch_once(up, url, &seen));
                                tk_upstream_close(&up);
                        }
                        assert_null(up);
                        assert_true(rounds < 5000);
                }
                print_message("  %u allocations\n", rounds - 1);
                assert_true(rounds > 5);
        }
        raw_server_stop(&server);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(every_allocation_may_fail),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
