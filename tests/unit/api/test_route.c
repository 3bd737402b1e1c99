/* SPDX-License-Identifier: Apache-2.0
 *
 * The real table of routes, matched by method and path; handlers are left out, rows are told by what
 * they say of themselves. Then a small table of its own for the precedence of static segments.
 */
#include "lib/unit.h"

#include "api/route.h"
#include "base/buf.h"

#include <string.h>

static const struct tk_route routes[] = {
#define TK_ROUTE(method_, path_, need_, dialect_, handler_, about_)                                          \
        {TK_METHOD_##method_, path_, TK_NEED_##need_, TK_DIALECT_##dialect_, NULL, #handler_},
#include "route.tbl"
};
#define ROUTES_NR (sizeof(routes) / sizeof(routes[0]))

#define KEYS_ALLOW "GET, HEAD, POST, PATCH, DELETE"

/* handler NULL and allow "": 404; handler NULL and allow: 405. */
static const struct {
        const char *name, *method, *path, *handler, *allow, *id;
} cases[] = {
        {"list keys", "GET", "/api/v1/api_keys", "tk_api_venice_keys_list", KEYS_ALLOW, ""},
        {"create key", "POST", "/api/v1/api_keys", "tk_api_venice_keys_create", KEYS_ALLOW, ""},
        {"update key", "PATCH", "/api/v1/api_keys", "tk_api_venice_keys_update", KEYS_ALLOW, ""},
        {"delete key", "DELETE", "/api/v1/api_keys", "tk_api_venice_keys_delete", KEYS_ALLOW, ""},
        {"HEAD is GET", "HEAD", "/api/v1/api_keys", "tk_api_venice_keys_list", KEYS_ALLOW, ""},
        {"PUT is not there", "PUT", "/api/v1/api_keys", NULL, KEYS_ALLOW, ""},
        {"OPTIONS is not there", "OPTIONS", "/api/v1/api_keys", NULL, KEYS_ALLOW, ""},
        {"methods are case-sensitive", "get", "/api/v1/api_keys", NULL, KEYS_ALLOW, ""},
        {"unknown method", "BREW", "/api/v1/api_keys", NULL, KEYS_ALLOW, ""},
        {"empty method", "", "/api/v1/api_keys", NULL, KEYS_ALLOW, ""},
        {"one key", "GET", "/api/v1/api_keys/abc", "tk_api_venice_keys_get", "GET, HEAD", "abc"},
        {"one key, HEAD", "HEAD", "/api/v1/api_keys/abc", "tk_api_venice_keys_get", "GET, HEAD", "abc"},
        {"no DELETE by path", "DELETE", "/api/v1/api_keys/abc", NULL, "GET, HEAD", "abc"},
        {"id decoded", "GET", "/api/v1/api_keys/a%2db%C3%a9", "tk_api_venice_keys_get", "GET, HEAD",
         "a-b\xC3\xA9"},
        {"plus is plus in a path", "GET", "/api/v1/api_keys/a+b", "tk_api_venice_keys_get", "GET, HEAD",
         "a+b"},
        {"static segment decoded", "GET", "/api/v1/%61pi_keys", "tk_api_venice_keys_list", KEYS_ALLOW, ""},
        {"escaped slash", "GET", "/api/v1/api_keys/a%2Fb", NULL, "", ""},
        {"escaped slash between segments", "GET", "/api/v1%2Fapi_keys", NULL, "", ""},
        {"escaped NUL", "GET", "/api/v1/api_keys/a%00b", NULL, "", ""},
        {"escaped NUL at the end", "GET", "/api/v1/api_keys%00", NULL, "", ""},
        {"half an escape", "GET", "/api/v1/api_keys/a%2", NULL, "", ""},
        {"a bare percent", "GET", "/api/v1/api_keys/%", NULL, "", ""},
        {"no hex digits", "GET", "/api/v1/api_keys/%zz", NULL, "", ""},
        {"not UTF-8", "GET", "/api/v1/api_keys/%ff", NULL, "", ""},
        {"raw bytes that are not UTF-8", "GET", "/api/v1/api_keys/\xff", NULL, "", ""},
        {"decoded once only", "GET", "/api/v1/api_keys/%2561", "tk_api_venice_keys_get", "GET, HEAD", "%61"},
        {"trailing slash", "GET", "/api/v1/api_keys/", NULL, "", ""},
        {"two slashes", "GET", "//api/v1/api_keys", NULL, "", ""},
        {"slash in the middle", "GET", "/api//v1/api_keys", NULL, "", ""},
        {"below an id", "GET", "/api/v1/api_keys/a/b", NULL, "", ""},
        {"dots are not resolved", "GET", "/api/v1/x/../api_keys", NULL, "", ""},
        {"dots are an id like any", "GET", "/v1/models/..", "tk_api_models_get", "GET, HEAD", ".."},
        {"case matters", "GET", "/API/v1/api_keys", NULL, "", ""},
        {"root", "GET", "/", NULL, "", ""},
        {"empty", "GET", "", NULL, "", ""},
        {"not rooted", "GET", "v1/models", NULL, "", ""},
        {"asterisk form", "OPTIONS", "*", NULL, "", ""},
        {"a prefix", "GET", "/v1/mode", NULL, "", ""},
        {"longer", "GET", "/v1/modelss", NULL, "", ""},
        {"too deep", "GET", "/1/2/3/4/5/6/7/8/9", NULL, "", ""},
        {"openai models", "GET", "/v1/models", "tk_api_models_list", "GET, HEAD", ""},
        {"openai model", "GET", "/v1/models/demo-small", "tk_api_models_get", "GET, HEAD", "demo-small"},
        {"the pattern itself is an id, too", "GET", "/v1/models/{id}", "tk_api_models_get", "GET, HEAD",
         "{id}"},
        {"venice models", "GET", "/api/v1/models", "tk_api_venice_models", "GET, HEAD", ""},
        {"chat", "POST", "/v1/chat/completions", "tk_api_chat", "POST", ""},
        {"chat, GET", "GET", "/v1/chat/completions", NULL, "POST", ""},
        {"chat, HEAD", "HEAD", "/v1/chat/completions", NULL, "POST", ""},
        {"completions", "POST", "/v1/completions", "tk_api_completions", "POST", ""},
        {"embeddings", "POST", "/v1/embeddings", "tk_api_embeddings", "POST", ""},
        {"venice chat", "POST", "/api/v1/chat/completions", "tk_api_chat", "POST", ""},
        {"venice completions", "POST", "/api/v1/completions", "tk_api_completions", "POST", ""},
        {"venice embeddings", "POST", "/api/v1/embeddings", "tk_api_embeddings", "POST", ""},
        {"health", "GET", "/healthz", "tk_api_healthz", "GET, HEAD", ""},
        {"ready", "GET", "/readyz", "tk_api_readyz", "GET, HEAD", ""},
        {"health, POST", "POST", "/healthz", NULL, "GET, HEAD", ""},
};

static void check_case(const char *name, const struct tk_route_found *found, const char *handler,
                       const char *allow, const char *id) {
        char text[64];
        tk_route_allow_text(found->allow, text);
        print_message("%s\n", name);
        assert_string_equal(text, allow);
        assert_int_equal(found->route != NULL, handler != NULL);
        if (handler)
                assert_string_equal(found->route->about, handler);
        assert_true(tk_str_is(found->id, id));
}

static void table(void **state) {
        struct tk_route_found found;
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                tk_route_find(routes, ROUTES_NR, tk_str_of(cases[i].method), tk_str_of(cases[i].path),
                              &found);
                check_case(cases[i].name, &found, cases[i].handler, cases[i].allow, cases[i].id);
        }
}

static void static_wins(void **state) {
        static const struct tk_route own[] = {
                {TK_METHOD_GET, "/keys/{id}", TK_NEED_ANYONE, TK_DIALECT_NATIVE, NULL, "id"},
                {TK_METHOD_DELETE, "/keys/{id}", TK_NEED_ANYONE, TK_DIALECT_NATIVE, NULL, "id"},
                {TK_METHOD_GET, "/keys/limits", TK_NEED_ANYONE, TK_DIALECT_NATIVE, NULL, "limits"},
                {TK_METHOD_GET, "/{id}/limits", TK_NEED_ANYONE, TK_DIALECT_NATIVE, NULL, "any limits"},
                {TK_METHOD_GET, "/{id}/log", TK_NEED_ANYONE, TK_DIALECT_NATIVE, NULL, "any log"},
        };
        struct tk_route_found found;
        TK_UNUSED(state);
        tk_route_find(own, 5, TK_STR("GET"), TK_STR("/keys/limits"), &found);
        check_case("static beats {id} though it comes later", &found, "limits", "GET, HEAD", "");
        tk_route_find(own, 5, TK_STR("DELETE"), TK_STR("/keys/limits"), &found);
        check_case("the static path has no DELETE of {id}", &found, NULL, "GET, HEAD", "");
        tk_route_find(own, 5, TK_STR("DELETE"), TK_STR("/keys/limit"), &found);
        check_case("another id has", &found, "id", "GET, HEAD, DELETE", "limit");
        tk_route_find(own, 5, TK_STR("GET"), TK_STR("/keys/log"), &found);
        check_case("the earlier segment decides", &found, "id", "GET, HEAD, DELETE", "log");
        tk_route_find(own, 5, TK_STR("GET"), TK_STR("/other/log"), &found);
        check_case("an id in the middle", &found, "any log", "GET, HEAD", "other");
}

static void long_ids(void **state) {
        char path[2048];
        struct tk_route_found found;
        TK_UNUSED(state);
        memset(path, 'a', sizeof(path));
        memcpy(path, "/v1/models/", 11);
        tk_route_find(routes, ROUTES_NR, TK_STR("GET"), (struct tk_str){path, 11 + TK_ROUTE_ID_MAX}, &found);
        assert_int_equal(found.id.len, TK_ROUTE_ID_MAX);
        tk_route_find(routes, ROUTES_NR, TK_STR("GET"), (struct tk_str){path, 12 + TK_ROUTE_ID_MAX}, &found);
        assert_null(found.route);
        assert_int_equal(found.allow, 0);
        for (size_t i = 11; i + 3 <= sizeof(path); i += 3)
                memcpy(path + i, "%61", 3);
        tk_route_find(routes, ROUTES_NR, TK_STR("GET"), (struct tk_str){path, 11 + 3 * TK_ROUTE_ID_MAX},
                      &found);
        assert_int_equal(found.id.len, TK_ROUTE_ID_MAX);
        tk_route_find(routes, ROUTES_NR, TK_STR("GET"), (struct tk_str){path, 14 + 3 * TK_ROUTE_ID_MAX},
                      &found);
        assert_int_equal(found.allow, 0);
}

static void dialects(void **state) {
        static const struct {
                const char *path;
                enum tk_dialect_id dialect;
        } rows[] = {
                {"/api/v1", TK_DIALECT_VENICE},
                {"/api/v1/", TK_DIALECT_VENICE},
                {"/api/v1/none", TK_DIALECT_VENICE},
                {"/api/v10", TK_DIALECT_NATIVE},
                {"/v1", TK_DIALECT_OPENAI},
                {"/v1/none", TK_DIALECT_OPENAI},
                {"/v1?x", TK_DIALECT_OPENAI},
                {"/v10/x", TK_DIALECT_NATIVE},
                {"/v1/authorize", TK_DIALECT_NATIVE},
                {"/v1/authorizes", TK_DIALECT_OPENAI},
                {"/v1/holds", TK_DIALECT_NATIVE},
                {"/v1/holds/x/none", TK_DIALECT_NATIVE},
                {"/v1/verify?x", TK_DIALECT_NATIVE},
                {"/v1/ledger/none", TK_DIALECT_NATIVE},
                {"", TK_DIALECT_NATIVE},
                {"/healthz", TK_DIALECT_NATIVE},
                {"/api", TK_DIALECT_NATIVE},
                {"/V1/models", TK_DIALECT_NATIVE},
                {"/v1/api-keys", TK_DIALECT_PORTKEY},
                {"/v1/api-keys/x", TK_DIALECT_PORTKEY},
                {"/v1/api-keysx", TK_DIALECT_OPENAI},
                {"/v2/api-keys", TK_DIALECT_PORTKEY},
                {"/v1/admin/users", TK_DIALECT_PORTKEY},
                {"/v2", TK_DIALECT_PORTKEY},
                {"/v20", TK_DIALECT_NATIVE},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                assert_int_equal(tk_route_dialect(tk_str_of(rows[i].path)), rows[i].dialect);
        for (size_t i = 0; i < ROUTES_NR; i++) /* so that a 405 speaks as its neighbours do */
                assert_int_equal(tk_route_dialect(tk_str_of(routes[i].path)), routes[i].dialect);
}

static void second_spelling(void **state) {
        char room[TK_ROUTE_ALIAS_MAX], path[TK_ROUTE_ALIAS_MAX + 1];
        struct tk_str alias = {0};
        TK_UNUSED(state);
        assert_true(tk_route_alias(TK_STR("/v2/api-keys"), room, &alias));
        assert_true(tk_str_is(alias, "/v1/api-keys"));
        assert_false(tk_route_alias(TK_STR("/v2"), room, &alias));
        assert_false(tk_route_alias(TK_STR("/v20/x"), room, &alias));
        assert_false(tk_route_alias(TK_STR("/v1/api-keys"), room, &alias));
        memset(path, 'a', sizeof(path));
        memcpy(path, "/v2/", 4);
        assert_true(tk_route_alias((struct tk_str){path, TK_ROUTE_ALIAS_MAX}, room, &alias));
        assert_false(tk_route_alias((struct tk_str){path, TK_ROUTE_ALIAS_MAX + 1}, room, &alias));
}

/* The need of a row for keys says what its method does, and for those that make a key, of which kind. */
static void check_portkey_need(const struct tk_route *r) {
        static const enum tk_need by_method[TK_METHOD_NR] = {[TK_METHOD_GET] = TK_NEED_SOME_KEYS_READ,
                                                             [TK_METHOD_PUT] = TK_NEED_SOME_KEYS_UPDATE,
                                                             [TK_METHOD_DELETE] = TK_NEED_SOME_KEYS_DELETE};
        assert_true(r->need > TK_NEED_GUEST);
        if (strcmp(r->path, "/v1/api-keys") == 0)
                assert_int_equal(r->need, TK_NEED_SOME_KEYS_LIST);
        else if (strcmp(r->path, "/v1/api-keys/{id}") == 0)
                assert_int_equal(r->need, by_method[r->method]);
        else if (strcmp(r->path, "/v1/api-keys/organisation/service") == 0)
                assert_int_equal(r->need, TK_NEED_ORG_SERVICE_KEYS_CREATE);
        else if (strcmp(r->path, "/v1/api-keys/workspace/service") == 0)
                assert_int_equal(r->need, TK_NEED_WS_SERVICE_KEYS_CREATE);
        else if (strcmp(r->path, "/v1/api-keys/workspace/user") == 0)
                assert_int_equal(r->need, TK_NEED_WS_USER_KEYS_CREATE);
}

static void some_keys(void **state) {
        static const struct {
                enum tk_need need;
                const char *verb;
        } rows[] = {{TK_NEED_SOME_KEYS_LIST, "list"},
                    {TK_NEED_SOME_KEYS_READ, "read"},
                    {TK_NEED_SOME_KEYS_UPDATE, "update"},
                    {TK_NEED_SOME_KEYS_DELETE, "delete"}};
        static const char *const whose[TK_KIND_NR] = {[TK_KIND_ADMIN] = "organisation_service",
                                                      [TK_KIND_INFERENCE] = "workspace_service",
                                                      [TK_KIND_USER] = "workspace_user"};
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct tk_scopes none = {{0}};
                assert_int_equal(tk_need_scope_held(rows[i].need, &none), tk_need_scope(rows[i].need));
                for (unsigned kind = 0; kind < TK_KIND_NR; kind++) {
                        struct tk_scopes held = {{0}};
                        char name[64];
                        struct tk_buf text = TK_BUF_OVER(name);
                        enum tk_scope scope = tk_need_scope_of_kind(rows[i].need, kind);
                        tk_buf_printf(&text, "%s_api_keys.%s", whose[kind], rows[i].verb);
                        assert_string_equal(tk_scope_name(scope), name);
                        tk_scopes_add(&held, scope);
                        assert_int_equal(tk_need_scope_held(rows[i].need, &held), scope);
                        assert_int_equal(tk_need_scope_held(TK_NEED_MODELS_READ, &held),
                                         TK_SCOPE_MODELS_READ);
                }
        }
}

/* What changes or shows keys must never be open. */
static void needs(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < ROUTES_NR; i++) {
                const struct tk_route *r = &routes[i];
                if (r->dialect == TK_DIALECT_PORTKEY) {
                        check_portkey_need(r);
                        continue;
                }
                if (strncmp(r->path, "/api/v1/api_keys", 16) == 0)
                        assert_int_equal(tk_need_scope(r->need), r->method == TK_METHOD_GET
                                                                         ? TK_SCOPE_KEYS_READ
                                                                         : TK_SCOPE_KEYS_WRITE);
                else if (r->dialect == TK_DIALECT_NATIVE && strncmp(r->path, "/v1/", 4) == 0)
                        assert_int_equal(tk_need_scope(r->need), r->method == TK_METHOD_GET
                                                                         ? TK_SCOPE_LEDGER_READ
                                                                         : TK_SCOPE_LEDGER_WRITE);
                else if (r->method == TK_METHOD_POST)
                        assert_int_equal(tk_need_scope(r->need), TK_SCOPE_COMPLETIONS_WRITE);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(table),    TEST(static_wins),     TEST(long_ids),
                                           TEST(dialects), TEST(second_spelling), TEST(some_keys),
                                           TEST(needs)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
