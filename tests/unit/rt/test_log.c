/* SPDX-License-Identifier: Apache-2.0
 *
 * log: one line an event whatever is in the message, cut and never mixed. Standard error is a file here.
 */
#include "rt/log.h"

#include "lib/unit.h"
#include "unit/base/table.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char text[4u << 20];
static size_t text_len;
static int file = -1, real_stderr = -1;

static void catch_begin(void) {
        file = memfd_create("log", MFD_CLOEXEC);
        assert_true(file >= 0);
        /* A memory file has no atomic position of its own, as files on disk, pipes and terminals have. */
        assert_int_equal(fcntl(file, F_SETFL, O_APPEND), 0);
        real_stderr = dup(STDERR_FILENO);
        dup2(file, STDERR_FILENO);
}

/* What was written to standard error since, in text. */
static void catch_end(void) {
        dup2(real_stderr, STDERR_FILENO);
        close(real_stderr);
        ssize_t n = pread(file, text, sizeof text - 1, 0);
        text_len = n > 0 ? (size_t)n : 0;
        text[text_len] = '\0';
        close(file);
}

static size_t count_lines(void) {
        size_t n = 0;
        for (size_t i = 0; i < text_len; i++)
                n += text[i] == '\n';
        return n;
}

static bool matches(const char *pattern) {
        regex_t re;
        assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
        bool yes = regexec(&re, text, 0, NULL, 0) == 0;
        regfree(&re);
        return yes;
}

static void a_line_has_its_fields(void **state) {
        (void)state;
        catch_begin();
        tk_log(TK_WARN, "store", "%d of %s", 3, "them");
        catch_end();
        assert_true(
                matches("^time=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z level=warn "
                        "area=store msg=\"3 of them\"\n$"));
}

static void no_message_forges_a_line(void **state) {
        (void)state;
        catch_begin();
        tk_log(TK_ERROR, "http", "%s", "a\nlevel=info msg=\"x\" \\ \t\x1b[31m\x7f\r");
        catch_end();
        assert_int_equal(count_lines(), 1);
        assert_non_null(
                strstr(text, "msg=\"a\\x0alevel=info msg=\\\"x\\\" \\\\ \\x09\\x1b[31m\\x7f\\x0d\"\n"));
}

static void less_than_the_level_is_silent(void **state) {
        (void)state;
        catch_begin();
        tk_log(TK_DEBUG, "a", "1");
        tk_log_level(TK_ERROR);
        tk_log(TK_WARN, "a", "2");
        tk_log(TK_ERROR, "a", "3");
        tk_log_level(TK_INFO);
        tk_log(TK_INFO, "a", "4");
        catch_end();
        assert_int_equal(count_lines(), 2);
        assert_null(strstr(text, "\"1\""));
        assert_null(strstr(text, "\"2\""));
        assert_non_null(strstr(text, "\"3\""));
        assert_non_null(strstr(text, "\"4\""));
}

static void a_long_message_is_cut(void **state) {
        static const char fillers[] = "x\"\n";
        (void)state;
        for (const char *filler = fillers; *filler; filler++) {
                char *much = malloc(10001);
                memset(much, *filler, 10000);
                much[10000] = '\0';
                catch_begin();
                tk_log(TK_ERROR, "a", "%s", much);
                catch_end();
                free(much);
                assert_int_equal(count_lines(), 1);
                assert_true(text_len <= 4096);
                assert_true(text_len > 4000);
                assert_string_equal(text + text_len - 2, "\"\n");
        }
}

static void errno_survives(void **state) {
        (void)state;
        catch_begin();
        errno = ENOSPC;
        tk_log(TK_ERROR, "a", "b");
        int after = errno;
        catch_end();
        assert_int_equal(after, ENOSPC);
}

static void *log_much(void *ctx) {
        for (int i = 0; i < 500; i++)
                tk_log(TK_ERROR, "thread", "begin %s end", (const char *)ctx);
        return NULL;
}

static void lines_of_threads_do_not_mix(void **state) {
        static char name[4][64];
        pthread_t threads[4];
        (void)state;
        catch_begin();
        for (int i = 0; i < 4; i++) {
                memset(name[i], 'a' + i, sizeof name[i] - 1);
                assert_int_equal(pthread_create(&threads[i], NULL, log_much, name[i]), 0);
        }
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        catch_end();
        assert_int_equal(count_lines(), 2000);
        for (char *line = text; *line; line = strchr(line, '\n') + 1) {
                char *begin = strstr(line, "begin ");
                assert_non_null(begin);
                char c = begin[6];
                assert_int_equal(strspn(begin + 6, (char[]){c, '\0'}), 63);
                assert_memory_equal(begin + 6 + 63, " end\"\n", 6);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(a_line_has_its_fields),
                TEST(no_message_forges_a_line),
                TEST(less_than_the_level_is_silent),
                TEST(a_long_message_is_cut),
                TEST(errno_survives),
                TEST(lines_of_threads_do_not_mix),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
