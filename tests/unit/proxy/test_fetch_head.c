/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/fetch_head.h"

#include "lib/unit.h"

#include <stdio.h>
#include <string.h>

/* TK_STR as a constant initialiser. */
#define S(literal)                                                                                           \
        { "" literal, sizeof(literal) - 1 }
#define OK "HTTP/1.1 200 OK\r\n"

/* want: "STATUS name=value|name=value|", or NULL when the head must be refused; lines end in LF. */
struct head_case {
        const char *name, *text, *want;
};

static const struct head_case cases[] = {
        {"plain", OK "A: b\r\n\r\n", "200 a=b|"},
        {"no reason, bare LF", "HTTP/1.1 404\nA:b\n\n", "404 a=b|"},
        {"HTTP/2 form", "HTTP/2 200 \r\nx-y: z\r\n\r\n", "200 x-y=z|"},
        {"names become lower case, values do not", OK "Content-TYPE: Text/Html\r\n\r\n",
         "200 content-type=Text/Html|"},
        {"white space around a value goes", OK "a: \t b c \t\r\n\r\n", "200 a=b c|"},
        {"empty value", OK "a:\r\nb: \r\n\r\n", "200 a=|b=|"},
        {"order and repetitions stay", OK "b: 1\r\na: 2\r\nb: 3\r\n\r\n", "200 b=1|a=2|b=3|"},
        {"folded lines join with a space", OK "a: one\r\n  two\r\n\tthree\r\nb: 1\r\n\r\n",
         "200 a=one two three|b=1|"},
        {"interim answers are skipped",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" OK "a: b\r\n\r\n", "200 a=b|"},
        {"trailers are ignored", OK "a: b\r\n\r\nlate: x\r\n\r\n", "200 a=b|"},
        {"status 999", "HTTP/1.1 999 Odd\r\n\r\n", "999 "},
        {"equal lengths", OK "content-length: 5\r\nContent-Length: 5\r\n\r\n",
         "200 content-length=5|content-length=5|"},
        {"bytes above 127 pass", OK "a: \xc3\xa9\xff\r\n\r\n", "200 a=\xc3\xa9\xff|"},
        {"not HTTP", "SSH-2.0-x\r\n", NULL},
        {"status 099", "HTTP/1.1 099 x\r\n", NULL},
        {"status of two digits", "HTTP/1.1 20\r\n", NULL},
        {"status of four digits", "HTTP/1.1 2000\r\n", NULL},
        {"status no number", "HTTP/1.1 2x0 OK\r\n", NULL},
        {"status missing", "HTTP/1.1\r\n", NULL},
        {"protocol switch", "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", NULL},
        {"line without colon", OK "what is this\r\n", NULL},
        {"empty name", OK ": x\r\n", NULL},
        {"space before the colon", OK "a : x\r\n", NULL},
        {"control byte in a value", OK "a: x\x01y\r\n", NULL},
        {"bare CR in a value", OK "a: x\ry\r\n", NULL},
        {"DEL in a value", OK "a: x\x7f\r\n", NULL},
        {"control byte in a folded line", OK "a: x\r\n y\x02\r\n", NULL},
        {"first line folded", OK " a: x\r\n", NULL},
        {"two lengths", OK "content-length: 5\r\nContent-Length: 6\r\n\r\n", NULL},
        {"two lengths in one", OK "content-length: 5, 5\r\n\r\n", NULL},
        {"negative length", OK "content-length: -1\r\n\r\n", NULL},
        {"empty length", OK "content-length:\r\n\r\n", NULL},
        {"length past 63 bits", OK "content-length: 9223372036854775808\r\n\r\n", NULL},
        {"length past 64 bits", OK "content-length: 99999999999999999999\r\n\r\n", NULL},
        {"bad length in an interim answer", "HTTP/1.1 100 C\r\ncontent-length: x\r\n\r\n", NULL},
};

static enum tk_fetch_head_step feed(struct tk_fetch_head *head, struct tk_str text) {
        enum tk_fetch_head_step step = TK_FETCH_HEAD_MORE, last = step;
        while (text.len) {
                size_t n = tk_str_find(text, '\n');
                n += n < text.len;
                step = tk_fetch_head_line(head, tk_str_head(text, n));
                if (step == TK_FETCH_HEAD_DONE || step == TK_FETCH_HEAD_BAD)
                        last = step;
                if (step == TK_FETCH_HEAD_BAD)
                        break;
                text = tk_str_skip(text, n);
        }
        return last;
}

static void render(const struct tk_fetch_head *head, char *out, size_t size) {
        struct tk_fetch_header list[TK_FETCH_HEADERS_MAX];
        unsigned nr = tk_fetch_head_list(head, list);
        size_t at = (size_t)snprintf(out, size, "%d ", head->status);
        for (unsigned i = 0; i < nr; i++)
                at += (size_t)snprintf(out + at, size - at, "%s=%.*s|", list[i].name,
                                       TK_STR_ARG(list[i].value));
}

static void heads_are_read_or_refused(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct tk_fetch_head head;
                char got[256];
                tk_fetch_head_init(&head);
                enum tk_fetch_head_step step = feed(&head, tk_str_of(cases[i].text));
                print_message("  %s\n", cases[i].name);
                if (cases[i].want) {
                        assert_int_equal(step, TK_FETCH_HEAD_DONE);
                        render(&head, got, sizeof got);
                        assert_string_equal(got, cases[i].want);
                } else {
                        assert_int_equal(step, TK_FETCH_HEAD_BAD);
                        assert_non_null(head.why);
                }
                tk_fetch_head_free(&head);
        }
}

static void a_nul_is_refused(void **state) {
        TK_UNUSED(state);
        static const struct tk_str texts[] = {S(OK "a: x\0y\r\n"), S(OK "a\0b: x\r\n")};
        for (size_t i = 0; i < 2; i++) {
                struct tk_fetch_head head;
                tk_fetch_head_init(&head);
                assert_int_equal(feed(&head, texts[i]), TK_FETCH_HEAD_BAD);
                tk_fetch_head_free(&head);
        }
}

static enum tk_fetch_head_step repeat(const char *line, unsigned times) {
        struct tk_fetch_head head;
        tk_fetch_head_init(&head);
        enum tk_fetch_head_step step = feed(&head, tk_str_of(OK));
        for (unsigned i = 0; i < times && step == TK_FETCH_HEAD_MORE; i++)
                step = feed(&head, tk_str_of(line));
        if (step == TK_FETCH_HEAD_MORE)
                step = feed(&head, TK_STR("\r\n"));
        tk_fetch_head_free(&head);
        return step;
}

static void everything_is_bounded(void **state) {
        TK_UNUSED(state);
        char line[1025];
        memset(line, 'x', sizeof line);
        memcpy(line, "a:", 2);
        memcpy(line + 1022, "\r\n", 3);
        assert_int_equal(repeat("a: b\r\n", TK_FETCH_HEADERS_MAX), TK_FETCH_HEAD_DONE);
        assert_int_equal(repeat("a: b\r\n", TK_FETCH_HEADERS_MAX + 1), TK_FETCH_HEAD_BAD);
        assert_int_equal(repeat(line, 63), TK_FETCH_HEAD_DONE); /* 63 KiB and the status line */
        assert_int_equal(repeat(line, 64), TK_FETCH_HEAD_BAD);
        /* The most lines with the least in them, and a value folded without end. */
        assert_int_equal(repeat("a:\n", TK_FETCH_HEADERS_MAX), TK_FETCH_HEAD_DONE);
        assert_int_equal(repeat("a: b\r\n c\r\n", 20000), TK_FETCH_HEAD_BAD);

        struct tk_fetch_head head;
        tk_fetch_head_init(&head);
        for (unsigned i = 0; i < TK_FETCH_INTERIM_MAX; i++)
                assert_int_equal(feed(&head, TK_STR("HTTP/1.1 100 C\r\n\r\n")), TK_FETCH_HEAD_MORE);
        assert_int_equal(feed(&head, TK_STR("HTTP/1.1 100 C\r\n\r\n")), TK_FETCH_HEAD_BAD);
        tk_fetch_head_free(&head);
}

static void tokens_and_values(void **state) {
        TK_UNUSED(state);
        assert_true(tk_fetch_token_ok(TK_STR("X-a_1!#$%&'*+-.^`|~")));
        assert_false(tk_fetch_token_ok(TK_STR("")));
        assert_false(tk_fetch_token_ok(TK_STR("a b")));
        assert_false(tk_fetch_token_ok(TK_STR("a\0b")));
        assert_false(tk_fetch_token_ok(TK_STR("a:b")));
        assert_false(tk_fetch_token_ok(TK_STR("\xc3\xa9")));
        assert_true(tk_fetch_value_ok(TK_STR("")));
        assert_true(tk_fetch_value_ok(TK_STR("a\tb \xff")));
        assert_false(tk_fetch_value_ok(TK_STR("a\nb")));
        assert_false(tk_fetch_value_ok(TK_STR("a\0b")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(heads_are_read_or_refused),
                TEST(a_nul_is_refused),
                TEST(everything_is_bounded),
                TEST(tokens_and_values),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
