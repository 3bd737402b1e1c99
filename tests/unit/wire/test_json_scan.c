/* SPDX-License-Identifier: Apache-2.0
 *
 * json_scan: what is accepted and where the rest breaks, at every place of a string (the scanner looks
 * at eight bytes at a time), and that the two ways to read see the same.
 */
#include "wire/json_scan.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A copy in an allocation of exactly its size, so that a sanitizer sees one byte too many. */
static struct tk_str exact(struct tk_str s) {
        char *at = malloc(s.len ? s.len : 1);
        assert_non_null(at);
        if (s.len)
                memcpy(at, s.at, s.len);
        return (struct tk_str){at, s.len};
}

static enum tk_err check(const char *text, struct tk_json *root, size_t *at_byte) {
        return tk_json_check(tk_str_of(text), root, at_byte);
}

static void accepted(void **state) {
        static const struct {
                const char *doc;
                enum tk_json_type type;
        } rows[] = {
                {"null", TK_JSON_NULL},
                {"true", TK_JSON_TRUE},
                {" false ", TK_JSON_FALSE},
                {"0", TK_JSON_NUMBER},
                {"-0", TK_JSON_NUMBER},
                {"-0.0e-0", TK_JSON_NUMBER},
                {"10", TK_JSON_NUMBER},
                {"1e400", TK_JSON_NUMBER},
                {"123456789012345678901234567890", TK_JSON_NUMBER},
                {"0.5E+10", TK_JSON_NUMBER},
                {"\"\"", TK_JSON_STRING},
                {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"", TK_JSON_STRING},
                {"\"\\ud800\"", TK_JSON_STRING},
                {"\"\\u0000\"", TK_JSON_STRING},
                {"\"\x7F\"", TK_JSON_STRING},
                {"\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", TK_JSON_STRING},
                {"[]", TK_JSON_ARRAY},
                {"\t[ \r\n]\n", TK_JSON_ARRAY},
                {"[[],{},[{}]]", TK_JSON_ARRAY},
                {"{}", TK_JSON_OBJECT},
                {"{ \"a\" : 1 , \"a\" : [ 2 ] }", TK_JSON_OBJECT},
                {"{\"\":{\"\":null}}", TK_JSON_OBJECT},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_json root;
                struct tk_str doc = exact(tk_str_of(rows[i].doc));
                if (tk_json_check(doc, &root, NULL) != TK_OK || root.type != rows[i].type)
                        WRONG("%s", rows[i].doc);
                free((char *)doc.at);
        }
}

static void refused(void **state) {
        static const struct {
                const char *doc;
                size_t at_byte;
        } rows[] = {
                {"", 0},
                {"   ", 3},
                {"nul", 3},
                {"nulL", 3},
                {"nulls", 4},
                {"True", 0},
                {"NaN", 0},
                {"Infinity", 0},
                {"-", 1},
                {"-a", 1},
                {"+1", 0},
                {"01", 1},
                {"-01", 2},
                {"00", 1},
                {"1.", 2},
                {"1.e5", 2},
                {".5", 0},
                {"1e", 2},
                {"1e+", 3},
                {"0x10", 1},
                {"1 2", 2},
                {"'a'", 0},
                {"\"", 1},
                {"\"abc", 4},
                {"\"\\\"", 3},
                {"\"\\x\"", 1},
                {"\"\\u12G4\"", 1},
                {"\"\\u123", 1},
                {"\"\\", 1},
                {"\"a\nb\"", 2},
                {"\"\x01\"", 1},
                {"\"\xC3\"", 1},
                {"\"\xED\xA0\x80\"", 1},
                {"\"12345678\xFF\"", 9},
                {"\"\xC3\xA9\n\"", 3},
                {"\xEF\xBB\xBF{}", 0},
                {"[", 1},
                {"[1", 2},
                {"[1,", 3},
                {"[1,]", 3},
                {"[,1]", 1},
                {"[1 2]", 3},
                {"[1}", 2},
                {"]", 0},
                {"{", 1},
                {"{\"a\"", 4},
                {"{\"a\":", 5},
                {"{\"a\":}", 5},
                {"{\"a\" 1}", 5},
                {"{\"a\":1", 6},
                {"{\"a\":1,", 7},
                {"{\"a\":1,}", 7},
                {"{,}", 1},
                {"{a:1}", 1},
                {"{1:1}", 1},
                {"{\"a\":1]", 6},
                {"{\"a\":1}x", 7},
                {"/* */{}", 0},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_json root;
                size_t at_byte = 999;
                struct tk_str doc = exact(tk_str_of(rows[i].doc));
                if (tk_json_check(doc, &root, &at_byte) != TK_E_SYNTAX || at_byte != rows[i].at_byte)
                        WRONG("%s: at byte %zu", rows[i].doc, at_byte);
                free((char *)doc.at);
        }
        struct tk_json root;
        size_t at_byte;
        assert_int_equal(tk_json_check(TK_STR("1\0"), &root, &at_byte), TK_E_SYNTAX);
        assert_int_equal(at_byte, 1);
        assert_int_equal(tk_json_check((struct tk_str){NULL, 0}, &root, NULL), TK_E_SYNTAX);
}

/* Every byte value at every offset of a string long enough for two words and a rest. */
static void every_byte_at_every_offset(void **state) {
        (void)state;
        for (size_t len = 1; len <= 20; len++)
                for (size_t at = 0; at < len; at++)
                        for (int byte = 0; byte < 256; byte++) {
                                char *doc = malloc(len + 2);
                                struct tk_json root;
                                size_t at_byte = 0;
                                assert_non_null(doc);
                                memset(doc, 'x', len + 2);
                                doc[0] = doc[len + 1] = '"';
                                doc[1 + at] = (char)byte;
                                enum tk_err err =
                                        tk_json_check((struct tk_str){doc, len + 2}, &root, &at_byte);
                                /* A quote ends the string early, and the x after it is one byte too many; a
                                 * backslash in front of the last quote leaves the string open. */
                                size_t expected = byte == '"'                     ? at + 2
                                                  : byte == '\\' && at == len - 1 ? len + 2
                                                                                  : at + 1;
                                bool fine = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                                if (fine ? err != TK_OK : err != TK_E_SYNTAX || at_byte != expected)
                                        WRONG("byte %d at %zu of %zu: %d, byte %zu", byte, at, len, err,
                                              at_byte);
                                free(doc);
                        }
}

static void depth(void **state) {
        char doc[2 * (TK_JSON_DEPTH_MAX + 1) + 1];
        struct tk_json root;
        size_t at_byte = 0;
        (void)state;
        for (size_t n = 1; n <= TK_JSON_DEPTH_MAX + 1; n++) {
                memset(doc, '[', n);
                memset(doc + n, ']', n);
                doc[2 * n] = '\0';
                assert_int_equal(check(doc, &root, &at_byte), n <= TK_JSON_DEPTH_MAX ? TK_OK : TK_E_TOO_BIG);
        }
        assert_int_equal(at_byte, TK_JSON_DEPTH_MAX);
        /* Ten megabytes of brackets end at the first that is too deep. */
        size_t huge_len = 10u << 20;
        char *huge = malloc(huge_len);
        assert_non_null(huge);
        memset(huge, '[', huge_len);
        assert_int_equal(tk_json_check((struct tk_str){huge, huge_len}, &root, &at_byte), TK_E_TOO_BIG);
        assert_int_equal(at_byte, TK_JSON_DEPTH_MAX);
        free(huge);
}

static void kinds_at_every_depth(void **state) {
        /* Objects and arrays in turn down to the last level: each level must remember its own kind. */
        char doc[TK_JSON_DEPTH_MAX * 8];
        size_t n = 0;
        struct tk_json root;
        (void)state;
        for (int i = 0; i < TK_JSON_DEPTH_MAX; i++)
                n += (size_t)sprintf(doc + n, i % 2 ? "[" : "{\"k\":");
        n += (size_t)sprintf(doc + n, "1");
        for (int i = TK_JSON_DEPTH_MAX; i-- > 0;)
                doc[n++] = i % 2 ? ']' : '}';
        doc[n] = '\0';
        assert_ok(check(doc, &root, NULL));
        doc[n - 2] = '}'; /* closes the array of the second level */
        assert_int_equal(check(doc, &root, NULL), TK_E_SYNTAX);
}

static void iteration(void **state) {
        struct tk_json root, value;
        struct tk_str key;
        (void)state;
        assert_ok(check(" { \"a\\\"\" : \"x\\\\\\\"}\" ,\n\"b\":[1, {\"c\":\"]\"} ,\"\"],\"\": -1.5e3 } ",
                        &root, NULL));
        struct tk_json_iter iter = tk_json_each(root);
        assert_true(tk_json_next(&iter, &key, &value));
        assert_true(tk_str_is(key, "a\\\""));
        assert_true(tk_str_is(value.raw, "\"x\\\\\\\"}\""));
        assert_int_equal(value.type, TK_JSON_STRING);
        assert_true(tk_json_next(&iter, &key, &value));
        assert_true(tk_str_is(key, "b"));
        assert_int_equal(value.type, TK_JSON_ARRAY);
        assert_true(tk_str_is(value.raw, "[1, {\"c\":\"]\"} ,\"\"]"));
        struct tk_json_iter inner = tk_json_each(value);
        struct tk_json element;
        static const char *const elements[] = {"1", "{\"c\":\"]\"}", "\"\""};
        for (size_t i = 0; i < COUNT(elements); i++) {
                assert_true(tk_json_next(&inner, &key, &element));
                assert_int_equal(key.len, 0);
                assert_true(tk_str_is(element.raw, elements[i]));
        }
        assert_false(tk_json_next(&inner, &key, &element));
        assert_false(tk_json_next(&inner, &key, &element));
        assert_true(tk_json_next(&iter, &key, &value));
        assert_int_equal(key.len, 0);
        assert_true(tk_str_is(value.raw, "-1.5e3"));
        assert_false(tk_json_next(&iter, &key, &value));
        assert_ok(check("[ ]", &root, NULL));
        iter = tk_json_each(root);
        assert_false(tk_json_next(&iter, &key, &value));
        assert_ok(check("1", &root, NULL));
        tk_must_fail = must_mock;
        expect_assert_failure(tk_json_each(root));
}

static void looking_up(void **state) {
        struct tk_json root, value;
        (void)state;
        assert_ok(check("{\"a\":1,\"b\":2,\"\\u0061\":3,\"A\":4,\"a\\u0000\":5,\"\\ud83d\\ude00\":6,\"in\":{"
                        "\"z\":7}}",
                        &root, NULL));
        assert_true(tk_json_get(root, "a", &value));
        assert_true(tk_str_is(value.raw, "3")); /* the last one */
        assert_int_equal(tk_json_count(root, "a"), 2);
        assert_true(tk_json_get(root, "A", &value));
        assert_true(tk_str_is(value.raw, "4"));
        assert_true(tk_json_get(root, "\xF0\x9F\x98\x80", &value));
        assert_true(tk_str_is(value.raw, "6"));
        assert_false(tk_json_get(root, "z", &value));
        assert_false(tk_json_get(root, "", &value));
        assert_int_equal(tk_json_count(root, "z"), 0);
        assert_true(tk_json_get(root, "in", &value));
        assert_true(tk_json_get(value, "z", &value));
        assert_true(tk_str_is(value.raw, "7"));
        assert_false(tk_json_get(value, "z", &value));
        assert_int_equal(tk_json_count(value, "z"), 0);
}

static void keys(void **state) {
        static const struct {
                const char *raw, *name;
                bool is;
        } rows[] = {
                {"model", "model", true},
                {"model", "mode", false},
                {"mode", "model", false},
                {"\\u006dodel", "model", true},
                {"mode\\u006c", "model", true},
                {"mode\\u006c", "mode", false},
                {"mode\\u006c", "models", false},
                {"m\\/", "m/", true},
                {"\\u0000", "", false},
                {"", "", true},
                {"\\ud800", "\xEF\xBF\xBD", true},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_json_key_is(tk_str_of(rows[i].raw), rows[i].name) != rows[i].is)
                        WRONG("%s and %s", rows[i].raw, rows[i].name);
}

static void strings(void **state) {
        static const struct {
                const char *doc, *text;
                size_t len;
        } rows[] = {
                {"\"\"", "", 0},
                {"\"abc\"", "abc", 3},
                {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
                {"\"\\u00e9\\u20AC\"", "\xC3\xA9\xE2\x82\xAC", 5},
                {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80", 4},
                {"\"\\ud83d\"", "\xEF\xBF\xBD", 3},
                {"\"\\ude00\\ud83d\"", "\xEF\xBF\xBD\xEF\xBF\xBD", 6},
                {"\"\\ud83dx\"", "\xEF\xBF\xBDx", 4},
                {"\"\\ud83d\\n\"", "\xEF\xBF\xBD\n", 4},
                {"\"\\ud83d\\ud83d\\ude00\"", "\xEF\xBF\xBD\xF0\x9F\x98\x80", 7},
                {"\"a\\u0000b\"", "a\0b", 3},
                {"\"\xE2\x82\xAC\"", "\xE2\x82\xAC", 3},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_json root;
                struct tk_json_pull pull;
                char out[16];
                size_t len = 99;
                assert_ok(check(rows[i].doc, &root, NULL));
                if (tk_json_string(root, out, rows[i].len + 1, &len) != TK_OK || len != rows[i].len ||
                    memcmp(out, rows[i].text, len + 1) != 0)
                        WRONG("%s: %zu bytes", rows[i].doc, len);
                tk_json_pull_begin(&pull, tk_str_of(rows[i].doc));
                if (!tk_json_pull_value(&pull, &root) || pull.text_len != rows[i].len)
                        WRONG("%s: its length was read as %zu", rows[i].doc, pull.text_len);
                if (rows[i].len > 0)
                        assert_int_equal(tk_json_string(root, out, rows[i].len, &len), TK_E_TOO_BIG);
        }
        struct tk_json root;
        char out[8] = "before";
        assert_ok(check("12", &root, NULL));
        assert_int_equal(tk_json_string(root, out, sizeof(out), NULL), TK_E_SYNTAX);
        assert_string_equal(out, "");
}

static void numbers(void **state) {
        static const struct {
                const char *doc;
                bool ok;
                uint64_t value;
        } rows[] = {
                {"0", true, 0},
                {"12", true, 12},
                {"18446744073709551615", true, UINT64_MAX},
                {"18446744073709551616", false, 0},
                {"-0", false, 0},
                {"-1", false, 0},
                {"12.0", false, 0},
                {"1e3", false, 0},
                {"\"12\"", false, 0},
                {"true", false, 0},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_json root;
                uint64_t value = 0;
                assert_ok(check(rows[i].doc, &root, NULL));
                if (tk_json_u64(root, &value) != rows[i].ok || value != rows[i].value)
                        WRONG("%s", rows[i].doc);
                assert_int_equal(tk_json_is_true(root), strcmp(rows[i].doc, "true") == 0);
        }
}

static void pulling(void **state) {
        struct tk_json_pull pull;
        struct tk_json value;
        struct tk_str key;
        (void)state;
        tk_json_pull_begin(&pull,
                           TK_STR(" {\"a\":[1,{\"b\":[]}] , \"c\" : {\"d\":[1,[2]]}, \"e\":\"\\n\"} "));
        assert_true(tk_json_pull_value(&pull, &value));
        assert_int_equal(value.type, TK_JSON_OBJECT);
        assert_true(tk_str_is(value.raw, "{"));
        assert_true(tk_json_pull_next(&pull, &key));
        assert_true(tk_str_is(key, "a"));
        assert_true(tk_json_pull_skip(&pull, &value));
        assert_true(tk_str_is(value.raw, "[1,{\"b\":[]}]"));
        assert_true(tk_json_pull_next(&pull, &key));
        assert_true(tk_str_is(key, "c"));
        assert_true(tk_json_pull_value(&pull, &value));
        assert_true(tk_json_pull_next(&pull, &key));
        assert_true(tk_json_pull_value(&pull, &value));
        tk_json_pull_leave(&pull); /* the array d, half read or not */
        assert_false(tk_json_pull_next(&pull, &key));
        assert_true(tk_json_pull_next(&pull, &key));
        assert_true(tk_str_is(key, "e"));
        assert_true(tk_json_pull_value(&pull, &value));
        assert_int_equal(pull.text_len, 1);
        assert_false(tk_json_pull_next(&pull, &key));
        assert_ok(tk_json_pull_end(&pull));
        /* Failure is sticky and is the end's answer. */
        tk_json_pull_begin(&pull, TK_STR("{\"a\":tru,\"b\":1}"));
        assert_true(tk_json_pull_value(&pull, &value));
        assert_true(tk_json_pull_next(&pull, &key));
        assert_false(tk_json_pull_value(&pull, &value));
        assert_false(tk_json_pull_next(&pull, &key));
        assert_false(tk_json_pull_skip(&pull, &value));
        tk_json_pull_leave(&pull);
        assert_int_equal(tk_json_pull_end(&pull), TK_E_SYNTAX);
        assert_int_equal(pull.at - pull.from, 8);
}

/* Iterating over unchecked bytes says nothing sensible, but it ends and stays inside. */
static void unchecked_iteration_stays_inside(void **state) {
        static const char *const docs[] = {"{\"",      "{\"a}", "{\"a\"}",    "{\"a\":}", "{a:1}",
                                           "[\"\\\"]", "[{]",   "{\"a\":\"}", "{::::}",   "[,,,]",
                                           "{}}",      "[[[[]", "{\"\\\"}"};
        (void)state;
        for (size_t i = 0; i < COUNT(docs); i++) {
                struct tk_str doc = exact(tk_str_of(docs[i])), key;
                struct tk_json value;
                struct tk_json root = {docs[i][0] == '{' ? TK_JSON_OBJECT : TK_JSON_ARRAY, doc};
                struct tk_json_iter iter = tk_json_each(root);
                for (unsigned n = 0; tk_json_next(&iter, &key, &value); n++) {
                        assert_true(n < 10);
                        assert_true(value.raw.at >= doc.at &&
                                    value.raw.at + value.raw.len <= doc.at + doc.len);
                        assert_true(key.at >= doc.at && key.at + key.len <= doc.at + doc.len);
                }
                free((char *)doc.at);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(accepted),
                TEST(refused),
                TEST(every_byte_at_every_offset),
                TEST(depth),
                TEST(kinds_at_every_depth),
                TEST(iteration),
                TEST(looking_up),
                TEST(keys),
                TEST(strings),
                TEST(numbers),
                TEST(pulling),
                TEST(unchecked_iteration_stays_inside),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
