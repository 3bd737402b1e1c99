/* SPDX-License-Identifier: Apache-2.0
 *
 * json_write: commas, escapes and money as they come out; what is written is read back by the strict
 * reader; and misuse is caught.
 */
#include "wire/json_write.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "wire/json_scan.h"

#include <string.h>

static void a_document(void **state) {
        struct tk_buf buf = TK_BUF(4096);
        struct tk_jw w = tk_jw_begin(&buf);
        (void)state;
        tk_jw_object(&w);
        tk_jw_key(&w, "id");
        tk_jw_text(&w, "a\"b");
        tk_jw_key(&w, "empty");
        tk_jw_object(&w);
        tk_jw_end(&w);
        tk_jw_key(&w, "list");
        tk_jw_array(&w);
        tk_jw_i64(&w, INT64_MIN);
        tk_jw_i64(&w, 0);
        tk_jw_u64(&w, UINT64_MAX);
        tk_jw_array(&w);
        tk_jw_end(&w);
        tk_jw_object(&w);
        tk_jw_key(&w, "x\ty");
        tk_jw_bool(&w, true);
        tk_jw_end(&w);
        tk_jw_bool(&w, false);
        tk_jw_null(&w);
        tk_jw_text(&w, NULL);
        tk_jw_end(&w);
        tk_jw_key(&w, "money");
        tk_jw_nano(&w, 10242400000);
        tk_jw_key(&w, "raw");
        tk_jw_raw(&w, TK_STR("[1, 2]"));
        tk_jw_end(&w);
        assert_true(tk_buf_ok(&buf));
        assert_string_equal(buf.at, "{\"id\":\"a\\\"b\",\"empty\":{},\"list\":[-9223372036854775808,0,"
                                    "18446744073709551615,[],{\"x\\ty\":true},false,null,null],"
                                    "\"money\":10.2424,\"raw\":[1, 2]}");
        tk_buf_free(&buf);
}

static void escapes(void **state) {
        static const struct {
                const char *name;
                struct tk_str in;
                const char *out;
        } rows[] = {
                {"nothing", {NULL, 0}, "\"\""},
                {"plain", {"abc", 3}, "\"abc\""},
                {"quote and backslash", {"\"\\", 2}, "\"\\\"\\\\\""},
                {"short forms", {"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
                {"NUL, unit separator", {"\0\x1F", 2}, "\"\\u0000\\u001f\""},
                {"delete stays", {"\x7F", 1}, "\"\x7F\""},
                {"slash stays", {"</a>", 4}, "\"</a>\""},
                {"UTF-8 stays",
                 {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9},
                 "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
                {"a bad byte between",
                 {"a\xFF"
                  "b",
                  3},
                 "\"a\xEF\xBF\xBD"
                 "b\""},
                {"a cut sequence", {"\xE2\x82", 2}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
                {"a surrogate", {"\xED\xA0\x80", 3}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_buf buf = TK_BUF(256);
                struct tk_jw w = tk_jw_begin(&buf);
                tk_jw_str(&w, rows[i].in);
                if (!tk_buf_ok(&buf) || strcmp(buf.at, rows[i].out) != 0)
                        WRONG("%s: %s", rows[i].name, buf.at);
                tk_buf_free(&buf);
        }
}

/* Any two bytes come out as valid JSON, and as themselves when they are UTF-8. */
static void all_pairs_read_back(void **state) {
        struct tk_buf buf = TK_BUF(64);
        (void)state;
        for (unsigned i = 0; i < 0x10000; i++) {
                char in[2] = {(char)(i >> 8), (char)i}, out[16];
                struct tk_json root;
                size_t len = 0;
                tk_buf_clear(&buf);
                struct tk_jw w = tk_jw_begin(&buf);
                tk_jw_str(&w, (struct tk_str){in, 2});
                if (tk_json_check(tk_buf_str(&buf), &root, NULL) != TK_OK ||
                    tk_json_string(root, out, sizeof(out), &len) != TK_OK)
                        WRONG("%04x: %s", i, buf.at);
                if (tk_str_utf8_ok((struct tk_str){in, 2}) && (len != 2 || memcmp(in, out, 2) != 0))
                        WRONG("%04x changed: %s", i, buf.at);
        }
        tk_buf_free(&buf);
}

static void a_full_buffer(void **state) {
        char small[8];
        struct tk_buf buf = TK_BUF_OVER(small);
        struct tk_jw w = tk_jw_begin(&buf);
        (void)state;
        tk_jw_array(&w);
        for (int i = 0; i < 10; i++)
                tk_jw_text(&w, "abc");
        tk_jw_end(&w);
        assert_false(tk_buf_ok(&buf));
}

static void misuse(void **state) {
        static const struct tk_str nothing = {"", 0};
        struct tk_buf buf = TK_BUF(4096);
        struct tk_jw w = tk_jw_begin(&buf);
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_jw_end(&w));
        expect_assert_failure(tk_jw_key(&w, "a"));
        tk_jw_object(&w);
        expect_assert_failure(tk_jw_i64(&w, 1));
        tk_jw_key(&w, "a");
        expect_assert_failure(tk_jw_key(&w, "b"));
        expect_assert_failure(tk_jw_end(&w));
        expect_assert_failure(tk_jw_raw(&w, nothing));
        tk_jw_array(&w);
        expect_assert_failure(tk_jw_key(&w, "b"));
        tk_jw_end(&w);
        tk_jw_end(&w);
        expect_assert_failure(tk_jw_null(&w)); /* a second root */
        w = tk_jw_begin(&buf);
        for (int i = 0; i < TK_JW_DEPTH_MAX; i++)
                tk_jw_array(&w);
        expect_assert_failure(tk_jw_array(&w));
        tk_buf_free(&buf);
}

static void members(void **state) {
        struct tk_buf buf = TK_BUF(256);
        struct tk_jw w = tk_jw_begin(&buf);
        (void)state;
        tk_jw_object(&w);
        tk_jw_member(&w, "a", "x");
        tk_jw_member(&w, "b", "");
        tk_jw_member(&w, "c", NULL);
        tk_jw_member_or_null(&w, "d", "x");
        tk_jw_member_or_null(&w, "e", "");
        tk_jw_member_or_null(&w, "f", NULL);
        tk_jw_end(&w);
        assert_string_equal(buf.at, "{\"a\":\"x\",\"b\":\"\",\"c\":null,\"d\":\"x\",\"e\":null,\"f\":null}");
        tk_buf_free(&buf);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(a_document),    TEST(escapes), TEST(all_pairs_read_back),
                TEST(a_full_buffer), TEST(members), TEST(misuse),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
