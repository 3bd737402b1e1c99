/* SPDX-License-Identifier: Apache-2.0
 *
 * What is a request head and what is refused; each row is one head and its status.
 */
#include "http/head.c"

#include "lib/unit.h"

#define GET  "GET / HTTP/1.1\r\n"
#define POST "POST /x HTTP/1.1\r\nHost: a\r\n"
#define END  "\r\n"

static const struct row {
        const char *name;
        struct tk_str in;
        int status;
} rows[] = {
#define ROW(name, in, status)                                                                                \
        { name, {"" in, sizeof(in) - 1}, status }
        ROW("smallest", GET "Host:\r\n" END, 0),
        ROW("HTTP/1.0 needs no host", "GET / HTTP/1.0\r\n" END, 0),
        ROW("absolute URL", "GET http://h:80/x?y HTTP/1.1\r\nHost: h\r\n" END, 0),
        ROW("absolute URL, secure, no path", "GET HTTPS://h HTTP/1.1\r\nHost: h\r\n" END, 0),
        ROW("asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n" END, 0),
        ROW("unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n" END, 0),
        ROW("upgrade is only a header", GET "Host: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n" END, 0),
        ROW("bytes beyond ASCII in a value", GET "Host: h\r\nX: \xc3\xa9\r\n" END, 0),
        ROW("IPv6 host", GET "Host: [::1]:80\r\n" END, 0),

        /* request line */
        ROW("empty", END, 400),
        ROW("bare LF only", "\n", 400),
        ROW("HTTP/0.9", "GET /\r\n" END, 400),
        ROW("HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n" END, 505),
        ROW("HTTP/2.0", "GET / HTTP/2.0\r\n" END, 505),
        ROW("HTTP/2 preface", "PRI * HTTP/2.0\r\n" END, 505),
        ROW("HTTP/1.11", "GET / HTTP/1.11\r\nHost: h\r\n" END, 400),
        ROW("HTPP", "GET / HTPP/1.1\r\nHost: h\r\n" END, 400),
        ROW("http in lower case", "GET / http/1.1\r\nHost: h\r\n" END, 400),
        ROW("two spaces after the method", "GET  / HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("two spaces after the target", "GET /  HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("tab for a space", "GET\t/ HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("space at the end", "GET / HTTP/1.1 \r\nHost: h\r\n" END, 400),
        ROW("space at the beginning", " GET / HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("no method", "/ HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("method with a colon", "GE:T / HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("method too long", "GETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("target with a tab", "GET /a\tb HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("target with NUL", "GET /a\0b HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("target with a raw umlaut", "GET /\xc3\xbc HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("target with a fragment", "GET /#x HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("target without a slash", "GET x HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("target of CONNECT", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("another scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("URL with user", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n" END, 400),
        ROW("URL without host", "GET http:///x HTTP/1.1\r\nHost: h\r\n" END, 400),

        /* lines */
        ROW("bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n" END, 400),
        ROW("bare LF after a header", GET "Host: h\nX: y\r\n" END, 400),
        ROW("bare LF at the end", GET "Host: h\r\n\n", 400),
        ROW("bare LF everywhere", "GET / HTTP/1.1\nHost: h\n\n", 400),
        ROW("bare CR in a value", GET "Host: h\r\nX: a\rb\r\n" END, 400),
        ROW("CR CR LF", GET "Host: h\r\nX: a\r\r\n" END, 400),
        ROW("folded header", GET "Host: h\r\nX: a\r\n b\r\n" END, 400),
        ROW("header folded with a tab", GET "Host: h\r\nX: a\r\n\tb\r\n" END, 400),
        ROW("first header folded", GET " X: a\r\nHost: h\r\n" END, 400),
        ROW("space before the colon", GET "Host : h\r\n" END, 400),
        ROW("tab before the colon", GET "Host\t: h\r\n" END, 400),
        ROW("space in a name", GET "Host: h\r\nX Y: z\r\n" END, 400),
        ROW("no colon", GET "Host: h\r\nXY\r\n" END, 400),
        ROW("no name", GET "Host: h\r\n: z\r\n" END, 400),
        ROW("NUL in a name", GET "Host: h\r\nX\0Y: z\r\n" END, 400),
        ROW("NUL in a value", GET "Host: h\r\nX: a\0b\r\n" END, 400),
        ROW("control byte in a value", GET "Host: h\r\nX: a\x01\r\n" END, 400),
        ROW("DEL in a value", GET "Host: h\r\nX: a\x7f\r\n" END, 400),
        ROW("umlaut in a name", GET "Host: h\r\n\xc3\xbc: a\r\n" END, 400),

        /* host */
        ROW("no host", GET END, 400),
        ROW("two hosts", GET "Host: h\r\nHost: h\r\n" END, 400),
        ROW("two hosts, HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: i\r\n" END, 400),
        ROW("host list", GET "Host: a, b\r\n" END, 400),
        ROW("host with a path", GET "Host: a/b\r\n" END, 400),
        ROW("host with user", GET "Host: a@b\r\n" END, 400),

        /* length */
        ROW("length", POST "Content-Length: 2\r\n" END, 0),
        ROW("length with spaces around", POST "Content-Length: \t 2 \t\r\n" END, 0),
        ROW("largest length", POST "Content-Length: 18446744073709551615\r\n" END, 0),
        ROW("length out of range", POST "Content-Length: 18446744073709551616\r\n" END, 400),
        ROW("length empty", POST "Content-Length:\r\n" END, 400),
        ROW("length +2", POST "Content-Length: +2\r\n" END, 400),
        ROW("length -2", POST "Content-Length: -2\r\n" END, 400),
        ROW("length 0x2", POST "Content-Length: 0x2\r\n" END, 400),
        ROW("length 2.0", POST "Content-Length: 2.0\r\n" END, 400),
        ROW("length 2 2", POST "Content-Length: 2 2\r\n" END, 400),
        ROW("length list", POST "Content-Length: 2, 2\r\n" END, 400),
        ROW("length twice, equal", POST "Content-Length: 2\r\nContent-Length: 2\r\n" END, 400),
        ROW("length twice, different", POST "Content-Length: 2\r\ncontent-length: 3\r\n" END, 400),
        ROW("length and chunked", POST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n" END, 400),
        ROW("chunked and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n" END, 400),
        ROW("length 0 and chunked", POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n" END, 400),

        /* encoding */
        ROW("chunked", POST "Transfer-Encoding: chunked\r\n" END, 0),
        ROW("CHUNKED", POST "TRANSFER-ENCODING: CHUNKED\r\n" END, 0),
        ROW("chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, 400),
        ROW("chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n" END, 400),
        ROW("gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n" END, 400),
        ROW("identity", POST "Transfer-Encoding: identity\r\n" END, 400),
        ROW("xchunked", POST "Transfer-Encoding: xchunked\r\n" END, 400),
        ROW("chunked with a parameter", POST "Transfer-Encoding: chunked;q=1\r\n" END, 400),
        ROW("chunked after a vertical tab",
            POST "Transfer-Encoding: \x0b"
                 "chunked\r\n" END,
            400),
        ROW("encoding empty", POST "Transfer-Encoding:\r\n" END, 400),
        ROW("encoding with a space before the colon", POST "Transfer-Encoding : chunked\r\n" END, 400),
        ROW("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END, 400),

        /* expectation */
        ROW("100-continue", POST "Expect: 100-Continue\r\n" END, 0),
        ROW("another expectation", POST "Expect: 200-ok\r\n" END, 417),
        ROW("another expectation in HTTP/1.0", "POST / HTTP/1.0\r\nExpect: 200-ok\r\n" END, 0),
#undef ROW
};

static void refuses(void **state) {
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct tk_head head;
                size_t scanned = 0;
                const char *why = NULL;
                size_t end = tk_head_end(rows[i].in, &scanned);
                int status = -1;
                if (end == rows[i].in.len)
                        status = tk_head_parse(&head, rows[i].in, &why);
                if (status != rows[i].status)
                        print_error("%s: %d (%s), end %zu of %zu\n", rows[i].name, status, why ? why : "",
                                    end, rows[i].in.len);
                assert_int_equal(status, rows[i].status);
                assert_int_equal(status != 0, why != NULL);
        }
}

/* However the bytes are cut, the end is found once, in the same place. */
static void finds_the_end_in_pieces(void **state) {
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                size_t scanned = 0, len = rows[i].in.len;
                for (size_t n = 0; n < len; n++)
                        assert_int_equal(tk_head_end(tk_str_head(rows[i].in, n), &scanned), 0);
                assert_int_equal(tk_head_end(rows[i].in, &scanned), len);
                for (size_t cut = 0; cut < len; cut++) {
                        scanned = 0;
                        assert_int_equal(tk_head_end(tk_str_head(rows[i].in, cut), &scanned), 0);
                        assert_int_equal(tk_head_end(rows[i].in, &scanned), len);
                }
        }
}

static void end_leaves_what_follows(void **state) {
        (void)state;
        static const struct {
                const char *in;
                size_t end;
        } table[] = {{"GET / HTTP/1.1\r\n\r\nGET", 18},
                     {"a\n\nb", 3},
                     {"a\r\n\nb", 4},
                     {"\r\n\r\n", 2},
                     {"\nabc", 1},
                     {"a\r\nb\r\n", 0},
                     {"a\n\r", 0},
                     {"", 0}};
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                size_t scanned = 0;
                assert_int_equal(tk_head_end(tk_str_of(table[i].in), &scanned), table[i].end);
        }
}

static struct tk_head parsed(const char *text) {
        struct tk_head head;
        const char *why;
        assert_ok(tk_head_parse(&head, tk_str_of(text), &why));
        return head;
}

static void assert_str(struct tk_str got, const char *want) {
        if (!tk_str_is(got, want))
                print_error("\"%.*s\" is not \"%s\"\n", TK_STR_ARG(got), want ? want : "(none)");
        assert_true(tk_str_is(got, want));
}

static void splits_targets(void **state) {
        (void)state;
        static const struct {
                const char *line, *path, *query;
        } table[] = {
                {"GET / HTTP/1.0\r\n\r\n", "/", ""},
                {"GET /a/b?c=d?e HTTP/1.0\r\n\r\n", "/a/b", "c=d?e"},
                {"GET /? HTTP/1.0\r\n\r\n", "/", ""},
                {"GET //x HTTP/1.0\r\n\r\n", "//x", ""},
                {"GET http://h HTTP/1.0\r\n\r\n", "/", ""},
                {"GET http://h?q HTTP/1.0\r\n\r\n", "/", "q"},
                {"GET http://h:80/a?q HTTP/1.0\r\n\r\n", "/a", "q"},
                {"OPTIONS * HTTP/1.0\r\n\r\n", "*", ""},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct tk_head head = parsed(table[i].line);
                assert_str(head.path, table[i].path);
                assert_str(head.query, table[i].query);
        }
}

static void keeps_alive_by_version_and_wish(void **state) {
        (void)state;
        static const struct {
                const char *in;
                bool keep;
        } table[] = {
                {GET "Host: h\r\n\r\n", true},
                {GET "Host: h\r\nConnection: close\r\n\r\n", false},
                {GET "Host: h\r\nConnection: Upgrade, Close\r\n\r\n", false},
                {GET "Host: h\r\nConnection: x\r\nConnection: close\r\n\r\n", false},
                {GET "Host: h\r\nConnection: keep-alive, close\r\n\r\n", false},
                {GET "Host: h\r\nConnection: closed\r\n\r\n", true},
                {"GET / HTTP/1.0\r\n\r\n", false},
                {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
                {"GET / HTTP/1.0\r\nConnection: ,,keep-alive,\r\n\r\n", true},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct tk_head head = parsed(table[i].in);
                assert_int_equal(head.keep_alive, table[i].keep);
        }
}

static void finds_fields(void **state) {
        (void)state;
        struct tk_head head =
                parsed(GET "Host: h\r\nX-A: \t 1 2 \r\nx-a: second\r\nEmpty:\r\nContent-Length: 7\r\n\r\n");
        assert_str(head.method, "GET");
        assert_int_equal(head.minor, 1);
        assert_int_equal(head.length, 7);
        assert_int_equal(head.fields_count, 5);
        assert_str(tk_head_field(&head, "x-a"), "1 2");
        assert_str(tk_head_field(&head, "empty"), "");
        assert_non_null(tk_head_field(&head, "empty").at);
        assert_null(tk_head_field(&head, "x-b").at);
}

static void limits_the_number_of_fields(void **state) {
        (void)state;
        static char text[4096] = GET "Host: h\r\n";
        for (int i = 1; i < TK_HEAD_FIELDS_MAX; i++)
                strcat(text, "X: y\r\n");
        size_t len = strlen(text);
        strcat(text, "\r\n");
        struct tk_head head = parsed(text);
        assert_int_equal(head.fields_count, TK_HEAD_FIELDS_MAX);
        strcpy(text + len, "X: y\r\n\r\n");
        const char *why;
        assert_int_equal(tk_head_parse(&head, tk_str_of(text), &why), 431);
}

static void peeks_at_what_is_there(void **state) {
        (void)state;
        static const struct {
                const char *in, *method, *path;
        } table[] = {
                {"GET /v1/x?y HTTP/1.1\r\nBad Name: x", "GET", "/v1/x"},
                {"HEAD /v1/x ", "HEAD", "/v1/x"},
                {"GET /v1/x", "GET", "/v1/x"}, /* it may go on */
                {"GET ", "GET", ""},
                {"GET", "", ""},
                {"", "", ""},
                {"GET /v1/\xff HTTP/1.1\r\n", "GET", "/v1/"},
                {"GET v1 HTTP/1.1\r\n", "GET", ""},
                {"\x16\x03\x01 / HTTP/1.1", "", ""},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                assert_str(tk_head_peek_method(tk_str_of(table[i].in)), table[i].method);
                assert_str(tk_head_peek_path(tk_str_of(table[i].in)), table[i].path);
        }
        assert_true(tk_head_begins(TK_STR("G")));
        assert_true(tk_head_begins(TK_STR("")));
        assert_true(tk_head_begins(TK_STR("\r")));
        assert_false(tk_head_begins(TK_STR("\x16\x03\x01")));
        assert_false(tk_head_begins(TK_STR(" ")));
        assert_int_equal(tk_head_blank(TK_STR("\r\nG")), 2);
        assert_int_equal(tk_head_blank(TK_STR("\r")), 0);
        assert_int_equal(tk_head_blank(TK_STR("G\r\n")), 0);
}

/* The table again, from the words of RFC 9110 section 5.6.2 and RFC 3986. */
static void table_of_bytes_is_right(void **state) {
        (void)state;
        for (int c = 0; c < 256; c++) {
                bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
                bool visible = c > ' ' && c < 0x7f;
                assert_int_equal(!!(class[c] & TOKEN), alnum || (c && strchr("!#$%&'*+-.^_`|~", c)));
                assert_int_equal(!!(class[c] & TARGET), visible && c != '#');
                assert_int_equal(!!(class[c] & VALUE), visible || c == ' ' || c == '\t' || c >= 0x80);
                assert_int_equal(!!(class[c] & HOST), alnum || (c && strchr("-._~!$&'()*+;=%[]:", c)));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(refuses),
                TEST(finds_the_end_in_pieces),
                TEST(end_leaves_what_follows),
                TEST(splits_targets),
                TEST(keeps_alive_by_version_and_wish),
                TEST(finds_fields),
                TEST(limits_the_number_of_fields),
                TEST(peeks_at_what_is_there),
                TEST(table_of_bytes_is_right),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
