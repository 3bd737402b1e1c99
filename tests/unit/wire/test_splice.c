/* SPDX-License-Identifier: Apache-2.0
 *
 * splice: edits one by one and together, with every byte of the rest compared.
 */
#include "wire/splice.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <limits.h>
#include <string.h>

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

#define DROP                                                                                                 \
        { NULL, 0 }
#define TO(text)                                                                                             \
        { text, sizeof(text) - 1 }

static void edits(void **state) {
        static const struct {
                const char *name, *doc;
                struct tk_splice edits[3];
                const char *out;
        } rows[] = {
                {"nothing",
                 " { \"a\" : 1.0 ,\r\n\"b\":\"\\u0061\" } \n",
                 {{NULL}},
                 " { \"a\" : 1.0 ,\r\n\"b\":\"\\u0061\" } \n"},
                {"replace first", "{\"a\":1,\"b\":2}", {{"a", TO("9")}}, "{\"a\":9,\"b\":2}"},
                {"replace last", "{\"a\":1,\"b\":2 }", {{"b", TO("[9]")}}, "{\"a\":1,\"b\":[9] }"},
                {"replace keeps white space",
                 "{ \"a\" : 1 , \"b\":2}",
                 {{"a", TO("9")}},
                 "{ \"a\" : 9 , \"b\":2}"},
                {"replace each copy",
                 "{\"a\":1,\"b\":2,\"a\":{\"a\":3}}",
                 {{"a", TO("9")}},
                 "{\"a\":9,\"b\":2,\"a\":9}"},
                {"replace under an escape", "{\"\\u0061\":1}", {{"a", TO("9")}}, "{\"\\u0061\":9}"},
                {"not the inner ones", "{\"b\":{\"a\":1}}", {{"a", TO("9")}}, "{\"b\":{\"a\":1},\"a\":9}"},
                {"not another case", "{\"A\":1}", {{"a", TO("9")}}, "{\"A\":1,\"a\":9}"},
                {"a comma in a string",
                 "{\"a\":\",\\\",\",\"b\":\"}\"}",
                 {{"b", TO("9")}},
                 "{\"a\":\",\\\",\",\"b\":9}"},
                {"append to nothing", "{}", {{"a", TO("9")}}, "{\"a\":9}"},
                {"append to white space", "{ }", {{"a", TO("9")}}, "{\"a\":9 }"},
                {"append before the line end",
                 "{\n \"a\": 1\n}\n",
                 {{"b", TO("9")}},
                 "{\n \"a\": 1,\"b\":9\n}\n"},
                {"append two", "{\"x\":0}", {{"a", TO("1")}, {"b", TO("2")}}, "{\"x\":0,\"a\":1,\"b\":2}"},
                {"remove the only one", "{ \"a\":1 }", {{"a", DROP}}, "{}"},
                {"remove first", "{\"a\":1, \"b\":2}", {{"a", DROP}}, "{ \"b\":2}"},
                {"remove middle", "{\"a\":1, \"b\":2, \"c\":3}", {{"b", DROP}}, "{\"a\":1, \"c\":3}"},
                {"remove last", "{\"a\":1, \"b\":2 }", {{"b", DROP}}, "{\"a\":1}"},
                {"remove each copy", "{\"a\":1,\"b\":2,\"a\":3}", {{"a", DROP}}, "{\"b\":2}"},
                {"remove what is not there", "{ \"a\":1 }", {{"b", DROP}}, "{ \"a\":1 }"},
                {"remove from nothing", "{ }", {{"b", DROP}}, "{ }"},
                {"remove and append", "{\"a\":1}", {{"a", DROP}, {"b", TO("9")}}, "{\"b\":9}"},
                {"all at once",
                 "{\"a\":1,\"b\":2,\"c\":3}",
                 {{"a", DROP}, {"b", TO("8")}, {"d", TO("9")}},
                 "{\"b\":8,\"c\":3,\"d\":9}"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_buf out = TK_BUF(4096);
                unsigned nr = 0;
                while (nr < COUNT(rows[i].edits) && rows[i].edits[nr].name)
                        nr++;
                tk_buf_text(&out, "before");
                if (tk_splice_object(tk_str_of(rows[i].doc), rows[i].edits, nr, &out) != TK_OK ||
                    strcmp(out.at + 6, rows[i].out) != 0 || strncmp(out.at, "before", 6) != 0)
                        WRONG("%s: %s", rows[i].name, out.at);
                tk_buf_free(&out);
        }
}

static void what_cannot_be_spliced(void **state) {
        static const char *const docs[] = {"",         "null",       "[]",     "[{\"a\":1}]",
                                           "{\"a\":1", "{\"a\":1}}", "{'a':1}"};
        static const struct tk_splice edit = {"a", TO("9")};
        (void)state;
        for (size_t i = 0; i < COUNT(docs); i++) {
                struct tk_buf out = TK_BUF(4096);
                if (tk_splice_object(tk_str_of(docs[i]), &edit, 1, &out) != TK_E_SYNTAX || out.len != 0)
                        WRONG("%s", docs[i]);
                tk_buf_free(&out);
        }
}

/* Whatever the maximum, the result is whole or the buffer is as long as before and says so. */
static void every_size_of_buffer(void **state) {
        static const struct tk_splice two[] = {{"a", TO("\"long\"")}, {"b", TO("9")}};
        static const char doc[] = "{ \"a\" : 1 , \"c\":2 }",
                          whole[] = "{ \"a\" : \"long\" , \"c\":2,\"b\":9 }";
        (void)state;
        for (size_t max = 1; max < 64; max++) {
                struct tk_buf out = TK_BUF(max);
                tk_buf_text(&out, "x");
                enum tk_err err = tk_splice_object(tk_str_of(doc), two, 2, &out);
                if (max > strlen(whole)) {
                        assert_ok(err);
                        assert_string_equal(out.at + 1, whole);
                } else {
                        assert_int_equal(err, TK_E_TOO_BIG);
                        assert_int_equal(out.len, 1);
                        assert_false(tk_buf_ok(&out));
                }
                tk_buf_free(&out);
        }
}

static void every_allocation_fails_once(void **state) {
        static const struct tk_splice edit = {"a", TO("9")};
        char doc[1000];
        unsigned fail_at = 0;
        enum tk_err err;
        (void)state;
        memset(doc, ' ', sizeof(doc));
        memcpy(doc, "{\"a\":1,\"b\":2}", 13);
        do {
                struct tk_buf out = TK_BUF(4096);
                allocations_left = fail_at++;
                err = tk_splice_object((struct tk_str){doc, sizeof(doc)}, &edit, 1, &out);
                allocations_left = UINT_MAX;
                assert_true(!err || err == TK_E_NO_MEMORY);
                assert_int_equal(out.len, err ? 0 : sizeof(doc));
                assert_int_equal(tk_buf_ok(&out), !err);
                tk_buf_free(&out);
        } while (err);
        assert_int_equal(fail_at, 3);
}

static void misuse(void **state) {
        static const struct tk_splice twice[] = {{"a", TO("1")}, {"a", TO("2")}};
        static const struct tk_str doc = {"{}", 2};
        static const struct tk_splice empty = {"a", TO("")};
        struct tk_buf out = TK_BUF(64);
        volatile enum tk_err err = TK_OK; /* the assertions jump */
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(err = tk_splice_object(doc, twice, 2, &out));
        expect_assert_failure(err = tk_splice_object(doc, &empty, 1, &out));
        assert_ok(err);
        tk_buf_free(&out);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(edits),
                TEST(what_cannot_be_spliced),
                TEST(every_size_of_buffer),
                TEST(every_allocation_fails_once),
                TEST(misuse),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
