/* SPDX-License-Identifier: Apache-2.0
 *
 * The n-th allocation of the server's thread fails, for n = 1, 2, 3 ... until a conversation runs clean. In
 * every round the client gets a whole answer or a closed connection, and the next client is served; the
 * sanitizers look for leaks. Allocations are counted by wrapping malloc() and its kin at link time, so the
 * library's own, which stop the process, are left out.
 */
#include "unit/http/fixture.h"

#include "lib/unit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HOST       "Host: h\r\n"
#define GET(path)  "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define ROUNDS_MAX 400

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t size);

static _Thread_local bool counted; /* this is the server's thread */
static atomic_int countdown;       /* 1: the next one fails; 0 or less: none */
static atomic_bool failed;

static bool fails(void) {
        if (!counted || atomic_load(&countdown) <= 0 || atomic_fetch_sub(&countdown, 1) != 1)
                return false;
        atomic_store(&failed, true);
        return true;
}

void *__wrap_malloc(size_t size) {
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
        return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *at, size_t size) {
        return fails() ? NULL : __real_realloc(at, size);
}

static tk_on_loop_f *start_loop;

static enum tk_err on_start(struct tk_loop *loop, unsigned index, void *ctx) {
        enum tk_err err = start_loop(loop, index, ctx);
        counted = true;
        return err;
}

/* The handlers of the fixture insist on their memory, so only these. */
static const char *const conversations[] = {
        GET("/hello") GET("/status/404") GET("/hello"),
        "POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabcdef" GET("/big"),
        "POST /nothing HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET("/headers"),
        GET("/hello") "GET / HTTP/2.0\r\n\r\n",
        "GET /hello HTTP/1.1\r\n" HOST "X: 1\r\n",
};

/* All of the answers that there are; false when they break off before the connection's end. */
static bool converse(struct fixture *f, const char *text) {
        struct reader r;
        reader_init(&r, client_open(f, 0));
        size_t half = strlen(text) / 2;
        client_send(r.fd, text, half);
        client_text(r.fd, text + half);
        client_half_close(r.fd);
        bool whole = true;
        while (whole && !reader_at_end(&r)) {
                struct answer a;
                reader_next(&r, false, &a);
                whole = a.whole;
                answer_free(&a);
        }
        reader_free(&r);
        client_close(r.fd);
        return whole;
}

static void every_allocation_may_fail(void **state) {
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof conversations / sizeof *conversations; i++) {
                int n = 1;
                for (; n < ROUNDS_MAX; n++) {
                        atomic_store(&failed, false);
                        atomic_store(&countdown, n);
                        bool whole = converse(f, conversations[i]);
                        atomic_store(&countdown, 0);
                        if (!atomic_load(&failed)) {
                                assert_true(whole);
                                break;
                        }
                        assert_true(converse(f, conversations[i]));
                }
                assert_in_range(n, 4, ROUNDS_MAX - 1);
        }
}

static int start(void **state) {
        static struct fixture fixture;
        fixture_init(&fixture);
        start_loop = fixture.opt.on_loop_start;
        fixture.opt.on_loop_start = on_start;
        fixture_start(&fixture);
        assert_true(converse(&fixture, GET("/hello"))); /* it has started */
        *state = &fixture;
        return 0;
}

static int stop(void **state) {
        fixture_stop(*state);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(every_allocation_may_fail, start, stop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
