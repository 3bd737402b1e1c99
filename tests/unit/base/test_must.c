/* SPDX-License-Identifier: Apache-2.0
 *
 * must: the hook is called with the words of the condition, and the default one kills the process.
 */
#include "base/must.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static tk_must_fail_f *original;
static const char *seen_expr;
static int seen_line, seen_count;

static void note(const char *expr, const char *file, int line) {
        assert_non_null(strstr(file, "test_must.c"));
        seen_expr = expr;
        seen_line = line;
        seen_count++;
}

static int restore(void **state) {
        (void)state;
        tk_must_fail = original;
        return 0;
}

static void a_true_condition_is_silent(void **state) {
        (void)state;
        seen_count = 0;
        tk_must_fail = note;
        MUST(1 + 1 == 2);
        assert_int_equal(seen_count, 0);
}

static void a_false_condition_tells_what_and_where(void **state) {
        (void)state;
        seen_count = 0;
        tk_must_fail = note;
        int line = __LINE__ + 1;
        MUST(1 + 1 == 3);
        assert_int_equal(seen_count, 1);
        assert_string_equal(seen_expr, "1 + 1 == 3");
        assert_int_equal(seen_line, line);
}

static void a_condition_is_evaluated_once(void **state) {
        int n = 0;
        (void)state;
        MUST(++n == 1);
        assert_int_equal(n, 1);
}

static void implies_is_the_implication(void **state) {
        (void)state;
        assert_true(IMPLIES(0, 0));
        assert_true(IMPLIES(0, 1));
        assert_false(IMPLIES(1, 0));
        assert_true(IMPLIES(1, 1));
}

static void the_mock_reaches_cmocka(void **state) {
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(MUST(0));
}

static void the_default_prints_and_aborts(void **state) {
        char text[512] = "";
        int out[2], status = 0;
        (void)state;
        assert_ok(pipe(out));
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                dup2(out[1], STDERR_FILENO);
                signal(SIGABRT, SIG_DFL);
                original("the moon is cheese", "moon.c", 42);
                _exit(0);
        }
        close(out[1]);
        size_t len = 0;
        for (ssize_t n; (n = read(out[0], text + len, sizeof text - 1 - len)) > 0;)
                len += (size_t)n;
        close(out[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
        assert_non_null(strstr(text, "moon.c:42"));
        assert_non_null(strstr(text, "the moon is cheese"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(a_true_condition_is_silent, restore),
                cmocka_unit_test_teardown(a_false_condition_tells_what_and_where, restore),
                TEST(a_condition_is_evaluated_once),
                TEST(implies_is_the_implication),
                cmocka_unit_test_teardown(the_mock_reaches_cmocka, restore),
                TEST(the_default_prints_and_aborts),
        };
        original = tk_must_fail;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
