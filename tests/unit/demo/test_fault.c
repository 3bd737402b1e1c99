/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/fault.h"

#include "lib/unit.h"

#include <string.h>

static struct tk_demo_fault none(void) {
        struct tk_demo_fault fault;
        memset(&fault, 0, sizeof fault);
        tk_demo_fault_init(&fault);
        return fault;
}

static void lists_are_read(void **state) {
        struct tk_demo_fault fault = none();
        struct tk_str bad;
        TK_UNUSED(state);
        assert_true(tk_demo_fault_parse(TK_STR(""), &fault, &bad));
        assert_true(fault.status == TK_DEMO_NONE && fault.break_after == TK_DEMO_NONE);
        assert_true(tk_demo_fault_parse(TK_STR("status=503+break-after=0, stall-after=7+slow-head=250"),
                                        &fault, &bad));
        assert_int_equal(fault.status, 503);
        assert_int_equal(fault.break_after, 0);
        assert_int_equal(fault.stall_after, 7);
        assert_int_equal(fault.slow_head, 250);
        assert_false(fault.no_usage || fault.malformed || fault.usage_in_every_chunk || fault.huge_usage);
        assert_true(tk_demo_fault_parse(TK_STR("no-usage,malformed,usage-in-every-chunk,huge-usage"), &fault,
                                        &bad));
        assert_true(fault.no_usage && fault.malformed && fault.usage_in_every_chunk && fault.huge_usage);
        assert_true(tk_demo_fault_parse(TK_STR("delay=0+tokens=1000000"), &fault, &bad));
        assert_int_equal(fault.delay, 0);
        assert_int_equal(fault.tokens, 1000000);
}

static void what_is_none_is_named(void **state) {
        static const struct {
                const char *list, *bad;
        } cases[] = {
                {"nonsense", "nonsense"},
                {"no-usage+", NULL},
                {"no-usage++malformed", ""},
                {"status", "status"},
                {"status=", "status="},
                {"status=abc", "status=abc"},
                {"status=200", "status=200"},
                {"status=600", "status=600"},
                {"status=-1", "status=-1"},
                {"no-usage=1", "no-usage=1"},
                {"tokens=0", "tokens=0"},
                {"tokens=1000001", "tokens=1000001"},
                {"Malformed", "Malformed"},
                {"malformed,delay=99999999999999999999", "delay=99999999999999999999"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct tk_demo_fault fault = none();
                struct tk_str bad = {0};
                print_message("  %s\n", cases[i].list);
                assert_int_equal(tk_demo_fault_parse(tk_str_of(cases[i].list), &fault, &bad),
                                 cases[i].bad == NULL);
                if (cases[i].bad)
                        assert_true(tk_str_is(bad, cases[i].bad));
        }
}

static void help_names_each(void **state) {
        struct tk_buf help = TK_BUF(8192);
        TK_UNUSED(state);
        tk_demo_fault_help(&help);
        assert_true(tk_buf_ok(&help));
        static const char *const names[] = {
                "status=N", "break-after=N", "stall-after=N", "slow-head=N",          "delay=N",
                "tokens=N", "no-usage",      "malformed",     "usage-in-every-chunk", "huge-usage"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                assert_non_null(strstr(help.at, names[i]));
        tk_buf_free(&help);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(lists_are_read),
                TEST(what_is_none_is_named),
                TEST(help_names_each),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
