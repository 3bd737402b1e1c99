/* SPDX-License-Identifier: Apache-2.0 */
#include "api/audit_query.h"

#include "lib/unit.h"

#include <stdio.h>
#include <string.h>

#define ORG   "019aa000-0000-7000-8000-000000000001"
#define LEAST "start_time=1970-01-01T00:00:01Z&end_time=1970-01-02&organisation_id=" ORG

static struct tk_audit_query q;

static enum tk_err read_query(const char *more) {
        char query[2048];
        snprintf(query, sizeof query, LEAST "%s", more);
        return tk_audit_query_read(tk_str_of(query), &q);
}

static void least(void **state) {
        TK_UNUSED(state);
        assert_ok(read_query(""));
        assert_int_equal(q.filter.from_ms, 1000);
        assert_int_equal(q.filter.to_ms, 86400000);
        assert_int_equal(q.filter.org.b[15], 1);
        assert_int_equal(q.limit, TK_AUDIT_PAGE);
        assert_int_equal(q.skip, 0);
        assert_null(q.filter.methods[0]);
        assert_null(q.filter.uri);
        assert_null(q.filter.request_id);
        assert_null(q.filter.resource_type);
        assert_null(q.filter.action);
        assert_null(q.filter.client);
        assert_int_equal(q.filter.kinds, 0);
        assert_int_equal(q.filter.status, 0);
        assert_true(tk_id_none(q.filter.actor) && tk_id_none(q.filter.workspace) &&
                    tk_id_none(q.filter.resource));
        assert_ok(read_query("&uri=&method=&user_type=&workspace_id=&page_size=&country=&user_id="));
        assert_null(q.filter.uri);
        assert_int_equal(q.filter.kinds, 0);
}

static void all(void **state) {
        TK_UNUSED(state);
        assert_ok(read_query("&method=PUT&uri=%2Fv1%2Fa+b&request_id=r&user_id=" ORG
                             "&user_type=api_key&workspace_id=" ORG
                             "&response_status_code=200&resource_type=api_key&resource_id=" ORG
                             "&action=api_key.update&client_ip=192.0.2.1&current_page=3&page_size=7"));
        assert_string_equal(q.filter.methods[0], "PUT");
        assert_string_equal(q.filter.methods[1], "PATCH");
        assert_string_equal(q.filter.uri, "/v1/a b");
        assert_string_equal(q.filter.request_id, "r");
        assert_true(tk_id_eq(q.filter.actor, q.filter.org));
        assert_int_equal(q.filter.kinds, 1u << TK_ACTOR_KEY);
        assert_true(tk_id_eq(q.filter.workspace, q.filter.org));
        assert_string_equal(q.workspace_slug, "");
        assert_int_equal(q.filter.status, 200);
        assert_string_equal(q.filter.resource_type, "api_key");
        assert_true(tk_id_eq(q.filter.resource, q.filter.org));
        assert_string_equal(q.filter.action, "api_key.update");
        assert_string_equal(q.filter.client, "192.0.2.1");
        assert_int_equal(q.limit, 7);
        assert_int_equal(q.skip, 21);
        assert_ok(
                read_query("&method=POST&user_type=user&workspace_id=ws-team-1&currentPage=2&pageSize=100"));
        assert_string_equal(q.filter.methods[0], "POST");
        assert_null(q.filter.methods[1]);
        assert_int_equal(q.filter.kinds, 1u << TK_ACTOR_USER);
        assert_string_equal(q.workspace_slug, "ws-team-1");
        assert_int_equal(q.skip, 200);
        assert_ok(read_query("&country=DE&method=DELETE&page_size=0"));
        assert_int_equal(q.filter.kinds, 1u << TK_ACTOR_NR);
        assert_int_equal(q.limit, 0);
        assert_ok(read_query("&current_page=18446744073709551615&page_size=2"));
        assert_true(q.skip == UINT64_MAX);
}

static void wrong(void **state) {
        static const struct {
                const char *query, *param; /* the whole query, or what is added to the least */
        } cases[] = {
                {"end_time=2026-01-01&organisation_id=" ORG, "start_time"},
                {"start_time=2026-01-01&organisation_id=" ORG, "end_time"},
                {"start_time=2026-01-01&end_time=2026-02-30&organisation_id=" ORG, "end_time"},
                {"start_time=2026-01-01&end_time=2026-02-01", "organisation_id"},
                {"start_time=2026-01-01&end_time=2026-02-01&organisation_id=mine", "organisation_id"},
                {"&method=PATCH", "method"},
                {"&method=put", "method"},
                {"&user_id=me", "user_id"},
                {"&resource_id=that", "resource_id"},
                {"&user_type=operator", "user_type"},
                {"&workspace_id=Not%20a%20slug", "workspace_id"},
                {"&response_status_code=99", "response_status_code"},
                {"&response_status_code=two", "response_status_code"},
                {"&page_size=101", "page_size"},
                {"&page_size=-1", "page_size"},
                {"&current_page=-1", "current_page"},
                {"&current_page=1.5", "current_page"},
                {"&uri=a&uri=b", "uri"},
                {"&uri=%FF", "uri"},
                {"&request_id=%0", "request_id"},
                {"&organisation_id=x", "organisation_id"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                print_message("%s\n", cases[i].query);
                const enum tk_err err = cases[i].query[0] == '&'
                                                ? read_query(cases[i].query)
                                                : tk_audit_query_read(tk_str_of(cases[i].query), &q);
                assert_int_equal(err, TK_E_RANGE);
                assert_string_equal(q.param, cases[i].param);
                assert_non_null(q.detail);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(least), TEST(all), TEST(wrong)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
