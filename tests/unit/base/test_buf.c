/* SPDX-License-Identifier: Apache-2.0
 *
 * buf: limits to the byte, sticky failure, memory that runs out at every call in turn.
 */
#include <stddef.h>

/* buf.c is compiled into this test with an allocator that can be told to fail. */
static void *faulty_realloc(void *at, size_t size);
#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define realloc faulty_realloc
#include "../../../src/base/buf.c"
#undef realloc

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

static int calls, fail_at; /* the call that fails, counted from 1; 0: none */

static void *faulty_realloc(void *at, size_t size) {
        return ++calls == fail_at ? NULL : realloc(at, size);
}

static void expect_text(const struct tk_buf *buf, const char *want) {
        assert_int_equal(buf->len, strlen(want));
        assert_string_equal(buf->at, want);
        assert_true(tk_str_is(tk_buf_str(buf), want));
}

static void text_is_appended_and_ends_in_nul(void **state) {
        struct tk_buf buf = TK_BUF(100);
        (void)state;
        tk_buf_text(&buf, "one");
        expect_text(&buf, "one");
        tk_buf_char(&buf, ' ');
        tk_buf_put(&buf, TK_STR("two"));
        tk_buf_printf(&buf, " %d%s", 3, "!");
        expect_text(&buf, "one two 3!");
        assert_true(tk_buf_ok(&buf));
        tk_buf_free(&buf);
}

static void nothing_may_be_appended(void **state) {
        struct tk_buf buf = TK_BUF(1);
        (void)state;
        tk_buf_put(&buf, (struct tk_str){NULL, 0});
        tk_buf_text(&buf, "");
        tk_buf_text(&buf, NULL);
        tk_buf_printf(&buf, "%s", "");
        assert_true(tk_buf_ok(&buf));
        expect_text(&buf, "");
        tk_buf_free(&buf);
}

static void bytes_may_be_nul(void **state) {
        struct tk_buf buf = TK_BUF(10);
        (void)state;
        tk_buf_put(&buf, TK_STR("a\0b"));
        tk_buf_char(&buf, '\0');
        assert_int_equal(buf.len, 4);
        assert_memory_equal(buf.at, "a\0b\0", 5);
        tk_buf_free(&buf);
}

static void the_maximum_is_exact(void **state) {
        (void)state;
        for (size_t max = 1; max < 600; max += 37) {
                struct tk_buf buf = TK_BUF(max);
                for (size_t i = 0; i < max; i++)
                        tk_buf_char(&buf, 'x');
                assert_true(tk_buf_ok(&buf));
                assert_int_equal(buf.len, max);
                assert_true(buf.size <= max + 1);
                tk_buf_char(&buf, 'y');
                assert_false(tk_buf_ok(&buf));
                assert_int_equal(buf.len, max);
                tk_buf_free(&buf);
        }
}

static void one_byte_too_many_in_every_way(void **state) {
        struct tk_buf put = TK_BUF(3), text = TK_BUF(3), print = TK_BUF(3), room = TK_BUF(3);
        (void)state;
        tk_buf_put(&put, TK_STR("four"));
        tk_buf_text(&text, "four");
        tk_buf_printf(&print, "%s", "four");
        assert_null(tk_buf_room(&room, 4));
        assert_true(put.failed && text.failed && print.failed && room.failed);
        assert_int_equal(put.len + text.len + print.len + room.len, 0);
        tk_buf_free(&put);
        tk_buf_free(&text);
        tk_buf_free(&print);
        tk_buf_free(&room);
}

static void a_huge_length_does_not_wrap(void **state) {
        struct tk_buf buf = TK_BUF(100);
        (void)state;
        tk_buf_text(&buf, "abc");
        assert_null(tk_buf_room(&buf, SIZE_MAX));
        assert_true(buf.failed);
        tk_buf_clear(&buf);
        assert_null(tk_buf_room(&buf, SIZE_MAX - 2));
        expect_text(&buf, "");
        tk_buf_free(&buf);
}

static void after_a_failure_nothing_is_written(void **state) {
        struct tk_buf buf = TK_BUF(4);
        (void)state;
        tk_buf_text(&buf, "ab");
        tk_buf_text(&buf, "cde");
        assert_false(tk_buf_ok(&buf));
        tk_buf_char(&buf, 'c'); /* would fit */
        tk_buf_printf(&buf, "%d", 1);
        assert_null(tk_buf_room(&buf, 0));
        expect_text(&buf, "ab");
        tk_buf_clear(&buf);
        assert_true(tk_buf_ok(&buf));
        expect_text(&buf, "");
        tk_buf_text(&buf, "next");
        assert_true(tk_buf_ok(&buf));
        expect_text(&buf, "next");
        tk_buf_free(&buf);
}

static void freed_is_ready_again_with_the_same_maximum(void **state) {
        struct tk_buf buf = TK_BUF(5);
        (void)state;
        tk_buf_text(&buf, "12345");
        tk_buf_free(&buf);
        assert_null(buf.at);
        assert_int_equal(buf.max, 5);
        assert_int_equal(buf.len + buf.size, 0);
        tk_buf_text(&buf, "abcde");
        expect_text(&buf, "abcde");
        tk_buf_free(&buf);
        tk_buf_free(&buf);
}

static void borrowed_memory_is_neither_grown_nor_freed(void **state) {
        char memory[6];
        struct tk_buf buf = TK_BUF_OVER(memory);
        int before = calls;
        (void)state;
        tk_buf_text(&buf, "12345");
        assert_true(tk_buf_ok(&buf));
        assert_ptr_equal(buf.at, memory);
        assert_string_equal(memory, "12345");
        tk_buf_char(&buf, '6');
        assert_false(tk_buf_ok(&buf));
        assert_string_equal(memory, "12345");
        assert_int_equal(calls, before);
        tk_buf_free(&buf);
        assert_string_equal(memory, "12345");
}

static void dropping_moves_the_rest_to_the_front(void **state) {
        static const struct {
                const char *name;
                size_t drop;
                const char *left;
        } rows[] = {{"nothing", 0, "abcdef"}, {"one", 1, "bcdef"}, {"all but one", 5, "f"}, {"all", 6, ""}};
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_buf buf = TK_BUF(10);
                tk_buf_text(&buf, "abcdef");
                tk_buf_drop(&buf, rows[i].drop);
                if (!tk_str_is(tk_buf_str(&buf), rows[i].left))
                        WRONG("dropping %s leaves %s", rows[i].name, buf.at);
                expect_text(&buf, rows[i].left);
                tk_buf_free(&buf);
        }
}

static void dropping_from_an_empty_one(void **state) {
        struct tk_buf buf = TK_BUF(10);
        (void)state;
        tk_buf_drop(&buf, 0);
        assert_null(buf.at);
        tk_must_fail = must_mock;
        expect_assert_failure(tk_buf_drop(&buf, 1));
}

static void room_is_written_by_the_caller(void **state) {
        struct tk_buf buf = TK_BUF(1000);
        (void)state;
        tk_buf_text(&buf, "head ");
        char *at = tk_buf_room(&buf, 500);
        assert_non_null(at);
        memset(at, 'z', 500);
        buf.len += 500;
        tk_buf_text(&buf, " tail");
        assert_int_equal(buf.len, 510);
        assert_memory_equal(buf.at, "head zzz", 8);
        assert_string_equal(buf.at + 504, "z tail");
        tk_buf_free(&buf);
}

static void growth_is_geometric(void **state) {
        struct tk_buf buf = TK_BUF(1 << 20);
        (void)state;
        calls = 0;
        for (int i = 0; i < 1 << 20; i++)
                tk_buf_char(&buf, (char)('a' + i % 26));
        assert_true(tk_buf_ok(&buf));
        assert_true(calls <= 20);
        for (int i = 0; i < 1 << 20; i++)
                if (buf.at[i] != 'a' + i % 26)
                        WRONG("byte %d was lost", i);
        tk_buf_free(&buf);
}

/* Fail call 1, 2, 3 ... until it runs clean: what was written before the failure is still there. */
static void memory_runs_out_at_every_call(void **state) {
        int failures = 0;
        (void)state;
        for (fail_at = 1;; fail_at++) {
                struct tk_buf buf = TK_BUF(100000);
                calls = 0;
                for (int i = 0; i < 5000; i++)
                        tk_buf_printf(&buf, "%04d ", i);
                bool ok = tk_buf_ok(&buf);
                assert_true(ok == (fail_at > calls));
                assert_int_equal(buf.len % 5, 0);
                for (size_t i = 0; i < buf.len / 5; i++)
                        assert_int_equal(strtol(buf.at + i * 5, NULL, 10), i);
                tk_buf_free(&buf);
                if (ok)
                        break;
                failures++;
        }
        fail_at = 0;
        assert_true(failures > 3);
}

static void a_maximum_of_nothing_is_a_bug(void **state) {
        struct tk_buf none = {0}, all = TK_BUF(SIZE_MAX);
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_buf_char(&none, 'x'));
        expect_assert_failure(tk_buf_char(&all, 'x'));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(text_is_appended_and_ends_in_nul),
                TEST(nothing_may_be_appended),
                TEST(bytes_may_be_nul),
                TEST(the_maximum_is_exact),
                TEST(one_byte_too_many_in_every_way),
                TEST(a_huge_length_does_not_wrap),
                TEST(after_a_failure_nothing_is_written),
                TEST(freed_is_ready_again_with_the_same_maximum),
                TEST(borrowed_memory_is_neither_grown_nor_freed),
                TEST(dropping_moves_the_rest_to_the_front),
                TEST(dropping_from_an_empty_one),
                TEST(room_is_written_by_the_caller),
                TEST(growth_is_geometric),
                TEST(memory_runs_out_at_every_call),
                TEST(a_maximum_of_nothing_is_a_bug),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
