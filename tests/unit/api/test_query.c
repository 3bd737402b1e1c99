/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include "api/query.h"

#include <string.h>

static const struct {
        const char *query;
        unsigned nr;
        bool same, readable;
        const char *value;
} cases[] = {
        {"", 0, true, false, ""},
        {"id=1", 1, true, true, "1"},
        {"id", 1, true, true, ""},
        {"id=", 1, true, true, ""},
        {"a=2&id=1&b=3", 1, true, true, "1"},
        {"idx=2&xid=3", 0, true, false, ""},
        {"%69d=1", 1, true, true, "1"},
        {"id=a%20b+c", 1, true, true, "a b c"},
        {"id=a%2Fb", 1, true, true, "a/b"},
        {"id=a=b", 1, true, true, "a=b"},
        {"id=1&id=1", 2, true, true, "1"},
        {"id=1&id=2", 2, false, true, "1"},
        {"id=1&id", 2, false, true, "1"},
        {"id=%00", 1, true, false, ""},
        {"id=%ff", 1, true, false, ""},
        {"id=%4", 1, true, false, ""},
        {"&&id=1&", 1, true, true, "1"},
        {"ID=1", 0, true, false, ""},
};

static void table(void **state) {
        struct tk_query_value v;
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                print_message("%s\n", cases[i].query);
                tk_query_get(tk_str_of(cases[i].query), "id", &v);
                assert_int_equal(v.nr, cases[i].nr);
                assert_int_equal(v.same, cases[i].same);
                assert_int_equal(v.readable, cases[i].readable);
                assert_string_equal(v.at, cases[i].value);
                assert_int_equal(v.len, strlen(cases[i].value));
        }
}

static void too_long(void **state) {
        char query[TK_QUERY_VALUE_MAX + 8];
        struct tk_query_value v;
        TK_UNUSED(state);
        memset(query, 'x', sizeof(query));
        memcpy(query, "id=", 3);
        tk_query_get((struct tk_str){query, 3 + TK_QUERY_VALUE_MAX}, "id", &v);
        assert_true(v.readable);
        assert_int_equal(v.len, TK_QUERY_VALUE_MAX);
        tk_query_get((struct tk_str){query, 4 + TK_QUERY_VALUE_MAX}, "id", &v);
        assert_false(v.readable);
        assert_int_equal(v.len, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(table), TEST(too_long)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
