/* SPDX-License-Identifier: Apache-2.0 */
#include "http/respond.c"

#include "lib/unit.h"

#include <stdlib.h>

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define ID   "0190c5d2-0000-7000-8000-000000000001"

static void formats_heads(void **state) {
        (void)state;
        static const struct {
                struct tk_respond r;
                const char *text;
        } table[] = {
                {{.status = 200,
                  .minor = 1,
                  .keep_alive = true,
                  .framing = TK_FRAME_LENGTH,
                  .length = 1234567890123,
                  .content_type = "application/json"},
                 "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nContent-Type: application/json\r\nContent-Length: "
                 "1234567890123\r\nx-request-id: " ID "\r\n\r\n"},
                {{.status = 200, .minor = 1, .keep_alive = true, .framing = TK_FRAME_CHUNKED},
                 "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nTransfer-Encoding: chunked\r\nx-request-id: " ID
                 "\r\n\r\n"},
                {{.status = 204, .minor = 1, .framing = TK_FRAME_NONE},
                 "HTTP/1.1 204 No Content\r\nDate: " DATE "\r\nConnection: close\r\nx-request-id: " ID
                 "\r\n\r\n"},
                {{.status = 200, .minor = 0, .framing = TK_FRAME_CLOSE},
                 "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nConnection: close\r\nx-request-id: " ID "\r\n\r\n"},
                {{.status = 404,
                  .minor = 0,
                  .keep_alive = true,
                  .framing = TK_FRAME_LENGTH,
                  .headers = {"a: b\r\nc: d\r\n", 12}},
                 "HTTP/1.1 404 Not Found\r\nDate: " DATE "\r\nContent-Length: 0\r\nConnection: "
                 "keep-alive\r\nx-request-id: " ID "\r\na: b\r\nc: d\r\n\r\n"},
                {{.status = 599, .minor = 1, .keep_alive = true, .framing = TK_FRAME_LENGTH},
                 "HTTP/1.1 599 \r\nDate: " DATE "\r\nContent-Length: 0\r\nx-request-id: " ID "\r\n\r\n"},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct tk_respond r = table[i].r;
                r.date = DATE;
                r.id = ID;
                struct tk_buf out = TK_BUF(1000);
                tk_respond_head(&out, &r);
                assert_string_equal(out.at, table[i].text);
                tk_buf_free(&out);
        }
}

static void formats_chunks(void **state) {
        (void)state;
        struct tk_buf out = TK_BUF(100000);
        tk_respond_chunk(&out, TK_STR("abc"));
        tk_respond_chunk(&out, TK_STR(""));
        tk_respond_chunk(&out, TK_STR("0123456789abcdef"));
        tk_respond_last_chunk(&out);
        assert_string_equal(out.at, "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
        tk_buf_clear(&out);
        static char big[65535];
        memset(big, 'x', sizeof big);
        tk_respond_chunk(&out, (struct tk_str){big, sizeof big});
        assert_memory_equal(out.at, "ffff\r\nxxx", 9);
        assert_int_equal(out.len, 6 + sizeof big + 2);
        tk_buf_free(&out);
}

static void formats_dates(void **state) {
        (void)state;
        static const struct {
                int64_t utc_s;
                const char *text;
        } table[] = {
                {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
                {784111777, DATE},
                {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
                {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
                {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                char text[TK_DATE_LEN + 1];
                tk_respond_date(table[i].utc_s, text);
                assert_string_equal(text, table[i].text);
        }
}

static void must_mock(const char *e, const char *f, int l) {
        mock_assert(0, e, f, l);
        abort();
}

static void refuses_to_split_headers(void **state) {
        (void)state;
        tk_must_fail_f *before = tk_must_fail;
        tk_must_fail = must_mock;
        struct tk_buf out = TK_BUF(1000);
        expect_assert_failure(tk_respond_header(&out, "a", TK_STR("x\r\ny: z")));
        expect_assert_failure(tk_respond_header(&out, "a", TK_STR("x\ny")));
        expect_assert_failure(tk_respond_header(&out, "a", TK_STR("x\0y")));
        expect_assert_failure(tk_respond_header(&out, "a:b", TK_STR("x")));
        expect_assert_failure(tk_respond_header(&out, "a b", TK_STR("x")));
        expect_assert_failure(tk_respond_header(&out, "", TK_STR("x")));
        struct tk_respond r = {
                .status = 200, .minor = 1, .date = DATE, .id = ID, .content_type = "a\r\nb: c"};
        expect_assert_failure(tk_respond_head(&out, &r));
        tk_must_fail = before;
        tk_buf_clear(&out);
        tk_respond_header(&out, "x-a", TK_STR("b c\t\xff"));
        assert_string_equal(out.at, "x-a: b c\t\xff\r\n");
        tk_buf_free(&out);
}

static void knows_its_words(void **state) {
        (void)state;
        assert_true(tk_respond_reserved("Content-Length"));
        assert_true(tk_respond_reserved("transfer-encoding"));
        assert_true(tk_respond_reserved("X-REQUEST-ID"));
        assert_false(tk_respond_reserved("content-type"));
        assert_false(tk_respond_reserved("x-request-id2"));
        assert_true(tk_respond_bodyless(204));
        assert_true(tk_respond_bodyless(304));
        assert_false(tk_respond_bodyless(200));
        assert_string_equal(tk_respond_reason(402), "Payment Required");
        assert_string_equal(tk_respond_reason(299), "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(formats_heads),   TEST(formats_chunks),
                TEST(formats_dates),   TEST(refuses_to_split_headers),
                TEST(knows_its_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
