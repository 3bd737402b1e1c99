/* SPDX-License-Identifier: Apache-2.0
 *
 * sse: events of streams as providers send them and as the standard allows; each stream is cut at
 * every place, and fed byte by byte, and must give the same events.
 */
#include "wire/sse.h"

#include "lib/unit.h"
#include "unit/base/table.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 8

/* The allocation that fails, counted down; the linker sends every realloc() here (meson.build). */
static unsigned allocations_left = UINT_MAX;
void *__real_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size);

void *__wrap_realloc(void *at, size_t size) {
        if (allocations_left == 0)
                return NULL;
        allocations_left--;
        return __real_realloc(at, size);
}

/* NULL in data: an event without data. A rest of NULL: nothing is left. */
struct stream {
        const char *name;
        struct tk_str bytes;
        struct {
                const char *raw, *data;
        } events[EVENTS_MAX];
        const char *rest;
};

#define BYTES(text)                                                                                          \
        { text, sizeof(text) - 1 }

static const struct stream streams[] = {
        {"nothing", BYTES(""), {{NULL}}, NULL},
        {"one event", BYTES("data: a\n\n"), {{"data: a\n\n", "a"}}, NULL},
        {"two events",
         BYTES("data: {\"a\":1}\n\ndata: [DONE]\n\n"),
         {{"data: {\"a\":1}\n\n", "{\"a\":1}"}, {"data: [DONE]\n\n", "[DONE]"}},
         NULL},
        {"CR LF",
         BYTES("data: a\r\n\r\ndata: b\r\n\r\n"),
         {{"data: a\r\n\r\n", "a"}, {"data: b\r\n\r\n", "b"}},
         NULL},
        {"CR", BYTES("data: a\r\rdata: b\r\r"), {{"data: a\r\r", "a"}, {"data: b\r\r", "b"}}, NULL},
        {"LF after a line of CR LF",
         BYTES("data: a\r\n\ndata: b\n\r\n"),
         {{"data: a\r\n\n", "a"}, {"data: b\n\r", "b"}},
         "\n"},
        {"CR CR LF: the LF is meaningless",
         BYTES("data: a\r\r\ndata: b\r\n\r\n"),
         {{"data: a\r\r", "a"}, {"\ndata: b\r\n\r\n", "b"}},
         NULL},
        {"CR LF CR, then data",
         BYTES("data: a\r\n\rdata: b\n\n"),
         {{"data: a\r\n\r", "a"}, {"data: b\n\n", "b"}},
         NULL},
        {"a comment",
         BYTES(": keep-alive\n\ndata: a\n\n"),
         {{": keep-alive\n\n", NULL}, {"data: a\n\n", "a"}},
         NULL},
        {"a comment inside", BYTES(":x\ndata: a\n:y\n\n"), {{":x\ndata: a\n:y\n\n", "a"}}, NULL},
        {"event, id, retry",
         BYTES("event: error\nid: 7\ndata: a\nretry: 5\n\n"),
         {{"event: error\nid: 7\ndata: a\nretry: 5\n\n", "a"}},
         NULL},
        {"two data lines", BYTES("data: a\ndata: b\n\n"), {{"data: a\ndata: b\n\n", "a\nb"}}, NULL},
        {"three data lines of CR LF",
         BYTES("data:a\r\ndata\r\ndata: c\r\n\r\n"),
         {{"data:a\r\ndata\r\ndata: c\r\n\r\n", "a\n\nc"}},
         NULL},
        {"no space", BYTES("data:a\n\n"), {{"data:a\n\n", "a"}}, NULL},
        {"two spaces", BYTES("data:  a \n\n"), {{"data:  a \n\n", " a "}}, NULL},
        {"empty data", BYTES("data:\n\n"), {{"data:\n\n", ""}}, NULL},
        {"data without a colon", BYTES("data\n\n"), {{"data\n\n", ""}}, NULL},
        {"two empty data lines", BYTES("data\ndata\n\n"), {{"data\ndata\n\n", "\n"}}, NULL},
        {"other fields",
         BYTES("Data: a\ndatax: b\n data: c\ndat\n\n"),
         {{"Data: a\ndatax: b\n data: c\ndat\n\n", NULL}},
         NULL},
        {"blank lines",
         BYTES("\n\n\r\n\r\r"),
         {{"\n", NULL}, {"\n", NULL}, {"\r", NULL}, {"\n\r", NULL}, {"\r", NULL}},
         NULL},
        {"a BOM",
         BYTES("\xEF\xBB\xBF"
               "data: a\n\ndata: b\n\n"),
         {{"\xEF\xBB\xBF"
           "data: a\n\n",
           "a"},
          {"data: b\n\n", "b"}},
         NULL},
        {"a BOM and two data lines",
         BYTES("\xEF\xBB\xBF"
               "data: a\ndata: b\n\n"),
         {{"\xEF\xBB\xBF"
           "data: a\ndata: b\n\n",
           "a\nb"}},
         NULL},
        {"a BOM in the second event",
         BYTES("data: a\n\n\xEF\xBB\xBF"
               "data: b\n\n"),
         {{"data: a\n\n", "a"},
          {"\xEF\xBB\xBF"
           "data: b\n\n",
           NULL}},
         NULL},
        {"half a BOM",
         BYTES("\xEF\xBB"
               "data: a\n\n"),
         {{"\xEF\xBB"
           "data: a\n\n",
           NULL}},
         NULL},
        {"a BOM alone", BYTES("\xEF\xBB\xBF"), {{NULL}}, "\xEF\xBB\xBF"},
        {"a BOM and a blank line", BYTES("\xEF\xBB\xBF\n"), {{"\xEF\xBB\xBF\n", NULL}}, NULL},
        {"no blank line at the end", BYTES("data: a\n\ndata: b\n"), {{"data: a\n\n", "a"}}, "data: b\n"},
        {"cut inside a line", BYTES("data: a\n\ndata: {\"b"), {{"data: a\n\n", "a"}}, "data: {\"b"},
        {"the LF of the last blank line is missing", BYTES("data: a\r\n\r"), {{NULL}}, "data: a\r\n\r"},
        {"a longer line",
         BYTES("data: 0123456789abcdef0123456789abcdef\r\n\r\n"),
         {{"data: 0123456789abcdef0123456789abcdef\r\n\r\n", "0123456789abcdef0123456789abcdef"}},
         NULL},
};

struct taken {
        const struct stream *stream;
        unsigned nr;
};

static void take(struct tk_sse *sse, struct taken *taken, const char *how) {
        struct tk_sse_event event;
        const struct stream *s = taken->stream;
        while (tk_sse_next(sse, &event)) {
                if (taken->nr == EVENTS_MAX || !s->events[taken->nr].raw)
                        WRONG("%s, %s: one event too many: %.*s", s->name, how, TK_STR_ARG(event.raw));
                const char *raw = s->events[taken->nr].raw, *data = s->events[taken->nr].data;
                if (!tk_str_is(event.raw, raw))
                        WRONG("%s, %s: raw is %.*s", s->name, how, TK_STR_ARG(event.raw));
                if (event.has_data != (data != NULL) || !tk_str_is(event.data, data ? data : ""))
                        WRONG("%s, %s: data is %.*s", s->name, how, TK_STR_ARG(event.data));
                taken->nr++;
        }
}

static void finish(struct tk_sse *sse, struct taken *taken, const char *how) {
        const struct stream *s = taken->stream;
        if (taken->nr < EVENTS_MAX && s->events[taken->nr].raw)
                WRONG("%s, %s: only %u events", s->name, how, taken->nr);
        if (!tk_str_is(tk_sse_rest(sse), s->rest ? s->rest : ""))
                WRONG("%s, %s: the rest is %.*s", s->name, how, TK_STR_ARG(tk_sse_rest(sse)));
        tk_sse_free(sse);
}

/* Fed from an allocation of its own, so that nothing can still point into it. */
static void feed(struct tk_sse *sse, struct tk_str piece) {
        char *copy = malloc(piece.len ? piece.len : 1);
        assert_non_null(copy);
        if (piece.len)
                memcpy(copy, piece.at, piece.len);
        assert_ok(tk_sse_feed(sse, (struct tk_str){copy, piece.len}));
        memset(copy, '?', piece.len);
        free(copy);
}

static void whole_and_cut_at_every_place(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT(streams); i++)
                for (size_t at = 0; at <= streams[i].bytes.len; at++) {
                        struct taken taken = {&streams[i], 0};
                        struct tk_sse sse;
                        tk_sse_init(&sse);
                        feed(&sse, tk_str_head(streams[i].bytes, at));
                        take(&sse, &taken, "first piece");
                        feed(&sse, tk_str_skip(streams[i].bytes, at));
                        take(&sse, &taken, "second piece");
                        finish(&sse, &taken, "cut in two");
                }
}

static void byte_by_byte(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT(streams); i++) {
                struct taken taken = {&streams[i], 0};
                struct tk_sse sse;
                tk_sse_init(&sse);
                for (size_t at = 0; at < streams[i].bytes.len; at++) {
                        feed(&sse, (struct tk_str){streams[i].bytes.at + at, 1});
                        take(&sse, &taken, "byte");
                }
                finish(&sse, &taken, "byte by byte");
        }
}

static void taken_only_at_the_end(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT(streams); i++) {
                struct taken taken = {&streams[i], 0};
                struct tk_sse sse;
                tk_sse_init(&sse);
                for (size_t at = 0; at < streams[i].bytes.len; at++)
                        feed(&sse, (struct tk_str){streams[i].bytes.at + at, 1});
                take(&sse, &taken, "end");
                finish(&sse, &taken, "taken at the end");
        }
}

/* An event comes out with the byte that ends it, not one later: a waiting client must not wait on. */
static void promptness(void **state) {
        static const char *const ends[] = {"data: a\n\n", "data: a\r\n\r\n", "data: a\r\r"};
        (void)state;
        for (size_t i = 0; i < COUNT(ends); i++) {
                struct tk_sse sse;
                struct tk_sse_event event;
                tk_sse_init(&sse);
                for (size_t at = 0; at < strlen(ends[i]); at++) {
                        assert_false(tk_sse_next(&sse, &event));
                        feed(&sse, (struct tk_str){ends[i] + at, 1});
                }
                assert_true(tk_sse_next(&sse, &event));
                assert_true(tk_str_is(event.data, "a"));
                tk_sse_free(&sse);
        }
}

static void finishing(void **state) {
        struct tk_sse sse;
        struct tk_sse_event event;
        (void)state;
        tk_sse_init(&sse);
        assert_false(tk_sse_finish(&sse, &event));
        feed(&sse, TK_STR("data: a\n\ndata: b\ndata: c"));
        assert_true(tk_sse_next(&sse, &event));
        assert_false(tk_sse_next(&sse, &event));
        assert_true(tk_sse_finish(&sse, &event));
        assert_true(tk_str_is(event.raw, "data: b\ndata: c"));
        assert_true(tk_str_is(event.data, "b\nc"));
        assert_int_equal(tk_sse_rest(&sse).len, 0);
        assert_false(tk_sse_finish(&sse, &event));
        tk_sse_free(&sse);
}

/* Lines are searched in windows of 1024 bytes: every length around one and two of them, every line end. */
static void long_lines(void **state) {
        static const char *const ends[] = {"\n", "\r", "\r\n"};
        char bytes[2200];
        (void)state;
        for (size_t i = 0; i < COUNT(ends); i++)
                for (size_t len = 1000; len < 2100; len += len == 1040 ? 1000 : 1) {
                        struct tk_sse sse;
                        struct tk_sse_event event;
                        memcpy(bytes, "data: ", 6);
                        memset(bytes + 6, 'x', len - 6);
                        bytes[len] = '\0';
                        strcat(strcat(strcat(strcat(bytes, ends[i]), "data:y"), ends[i]), ends[i]);
                        tk_sse_init(&sse);
                        feed(&sse, tk_str_of(bytes));
                        assert_true(tk_sse_next(&sse, &event));
                        assert_int_equal(event.raw.len, strlen(bytes));
                        assert_int_equal(event.data.len, len - 6 + 2);
                        assert_memory_equal(event.data.at + len - 6, "\ny", 2);
                        tk_sse_free(&sse);
                }
}

/* The largest event passes, and one byte more does not, whether it comes in one piece or in many. */
static void size_limit(void **state) {
        size_t max = TK_SSE_EVENT_BYTES_MAX;
        char *bytes = malloc(max + 1);
        (void)state;
        assert_non_null(bytes);
        memset(bytes, 'x', max + 1);
        memcpy(bytes, "data:", 5);
        for (int over = 0; over < 2; over++)
                for (size_t step = max + 1; step > 8000; step /= 25) {
                        struct tk_sse sse;
                        struct tk_sse_event event;
                        enum tk_err err = TK_OK;
                        size_t len = max + (size_t)over;
                        memset(bytes + max - 2, 'x', 3);
                        memcpy(bytes + len - 2, "\n\n", 2);
                        tk_sse_init(&sse);
                        for (size_t at = 0; at < len && !err; at += step)
                                err = tk_sse_feed(
                                        &sse, (struct tk_str){bytes + at, len - at < step ? len - at : step});
                        assert_int_equal(err, over ? TK_E_TOO_BIG : TK_OK);
                        assert_int_equal(tk_sse_next(&sse, &event), !over);
                        if (over) /* dead, and the bytes are still there to be passed on */
                                assert_int_equal(tk_sse_feed(&sse, TK_STR("\n\n")), TK_E_TOO_BIG);
                        assert_int_equal(tk_sse_rest(&sse).len, over ? len : 0);
                        tk_sse_free(&sse);
                }
        free(bytes);
}

/* A small event in front does not hide that the next one is too large. */
static void size_limit_of_a_later_event(void **state) {
        size_t len = TK_SSE_EVENT_BYTES_MAX + 100u;
        char *bytes = malloc(len);
        struct tk_sse sse;
        struct tk_sse_event event;
        (void)state;
        assert_non_null(bytes);
        memset(bytes, 'x', len);
        memcpy(bytes, "data: a\n\n", 9);
        tk_sse_init(&sse);
        assert_ok(tk_sse_feed(&sse, (struct tk_str){bytes, len}));
        assert_true(tk_sse_next(&sse, &event));
        assert_false(tk_sse_next(&sse, &event));
        assert_int_equal(tk_sse_feed(&sse, TK_STR("\n\n")), TK_E_TOO_BIG);
        assert_int_equal(tk_sse_rest(&sse).len, len - 9);
        tk_sse_free(&sse);
        free(bytes);
}

/* Out of memory at the first, second ... allocation: the reader is dead and says so, and all bytes that
 * were not handed out are still there. */
static void every_allocation_fails_once(void **state) {
        static const char first[] = "data: a\n\ndata: b\ndata: c\n\n", more[] = "data: d\n\n";
        unsigned fail_at = 0;
        enum tk_err err;
        (void)state;
        do {
                struct tk_sse sse;
                struct tk_sse_event event;
                size_t taken = 0;
                tk_sse_init(&sse);
                allocations_left = fail_at++;
                err = tk_sse_feed(&sse, tk_str_of(first));
                if (!err) {
                        while (tk_sse_next(&sse, &event))
                                taken += event.raw.len;
                        assert_int_equal(tk_sse_rest(&sse).len, strlen(first) - taken);
                        err = tk_sse_feed(&sse, tk_str_of(more));
                        assert_int_equal(err, taken == strlen(first) ? TK_OK : TK_E_NO_MEMORY);
                        assert_int_equal(tk_sse_next(&sse, &event), !err);
                }
                assert_true(!err || err == TK_E_NO_MEMORY);
                assert_true(!err || !tk_sse_finish(&sse, &event));
                allocations_left = UINT_MAX;
                tk_sse_free(&sse);
        } while (err);
        assert_int_equal(fail_at, 3); /* one for the bytes, one for the joined lines */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(whole_and_cut_at_every_place),
                TEST(byte_by_byte),
                TEST(taken_only_at_the_end),
                TEST(promptness),
                TEST(finishing),
                TEST(long_lines),
                TEST(every_allocation_fails_once),
                TEST(size_limit),
                TEST(size_limit_of_a_later_event),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
