/* SPDX-License-Identifier: Apache-2.0
 *
 * Every row of tbl/problem.tbl in every dialect is one valid JSON object; the documented ones are compared
 * byte for byte.
 */
#include "lib/unit.h"

#include "api/dialect.h"
#include "api/dialect_portkey.h"
#include "wire/json_scan.h"

#include <string.h>

#define V TK_DIALECT_VENICE
#define O TK_DIALECT_OPENAI
#define N TK_DIALECT_NATIVE
#define P TK_DIALECT_PORTKEY
#define G TK_DIALECT_GATEWAY

#define FORBIDDEN "You do not have enough permissions to execute this request"
#define INVALID   "Invalid request. Please check and try again."
#define ISSUE     INVALID " rate_limits.unit: Not \\\"it\\\""
#define CODED(text, code, more)                                                                              \
        "{\"status\":\"failure\",\"message\":\"Portkey Error: " text ". Error Code: " code                   \
        "\",\"error\":{\"message\":\"Portkey Error: " text ". Error Code: " code "\",\"code\":\"" code       \
        "\"" more "}}"

static const struct {
        enum tk_dialect_id dialect;
        struct tk_problem problem;
        int status;
        const char *body;
} cases[] = {
        {V, {.id = TK_PROBLEM_NO_KEY}, 401, "{\"error\":\"Authentication failed\"}"},
        {V, {.id = TK_PROBLEM_UNKNOWN_KEY}, 401, "{\"error\":\"Authentication failed\"}"},
        {V, {.id = TK_PROBLEM_REVOKED}, 401, "{\"error\":\"Authentication failed\"}"},
        {V, {.id = TK_PROBLEM_EXPIRED}, 401, "{\"error\":\"Authentication failed\"}"},
        {V, {.id = TK_PROBLEM_KEY_CONFLICT}, 401, "{\"error\":\"Authentication failed\"}"},
        {V, {.id = TK_PROBLEM_ADMIN_ONLY}, 401, "{\"error\":\"Admin API key required\"}"},
        {V, {.id = TK_PROBLEM_SCOPE}, 403, "{\"error\":\"Unauthorized access\"}"},
        {V,
         {.id = TK_PROBLEM_MODEL_UNKNOWN, .param = "model"},
         404,
         "{\"error\":\"Specified model not found\"}"},
        {V,
         {.id = TK_PROBLEM_MODEL_UNPRICED, .param = "model"},
         400,
         "{\"error\":\"Invalid model specified\",\"details\":{\"_errors\":[],\"model\":{\"_errors\":[\"The "
         "model has no "
         "price, so it is not "
         "called.\"]}},\"issues\":[{\"code\":\"custom\",\"path\":[\"model\"],\"message\":\"The model "
         "has no price, so it is not called.\"}]}"},
        {V,
         {.id = TK_PROBLEM_MODEL_PRIVACY, .detail = "m", .privacy = TK_PRIVACY_PRIVATE_ONLY},
         403,
         "{\"error\":\"This API key is set to 'Private models only', but `m` is an Anonymous model. Choose a "
         "Private, TEE, or E2EE model, or change the model privacy setting of this API key.\"}"},
        {V,
         {.id = TK_PROBLEM_USD_CAP},
         402,
         "{\"error\":\"API key USD spend limit exceeded. Your account may still have USD balance, but this "
         "API key "
         "has reached its configured USD spending limit.\"}"},
        {V,
         {.id = TK_PROBLEM_DIEM_CAP},
         402,
         "{\"error\":\"API key DIEM spend limit exceeded. Your account may still have DIEM balance, but this "
         "API "
         "key has reached its configured DIEM spending limit.\"}"},
        {V, {.id = TK_PROBLEM_RATE}, 429, "{\"error\":\"Rate limit exceeded\"}"},
        {V, {.id = TK_PROBLEM_INVALID_JSON}, 400, "{\"error\":\"Invalid JSON request\"}"},
        {V,
         {.id = TK_PROBLEM_INVALID_JSON, .detail = "Line 1."},
         400,
         "{\"error\":\"Invalid JSON request\",\"details\":{\"_errors\":[\"Line 1.\"]}}"},
        {V,
         {.id = TK_PROBLEM_INVALID_PARAM, .param = "n", .detail = "Too many."},
         400,
         "{\"error\":\"Invalid request parameters\",\"details\":{\"_errors\":[],\"n\":{\"_errors\":[\"Too "
         "many.\"]}},"
         "\"issues\":[{\"code\":\"custom\",\"path\":[\"n\"],\"message\":\"Too many.\"}]}"},
        {V,
         {.id = TK_PROBLEM_CONTENT_TYPE},
         400,
         "{\"error\":\"'Content-Type' must be 'application/json'\"}"},
        {V,
         {.id = TK_PROBLEM_TOO_LARGE},
         413,
         "{\"code\":\"PAYLOAD_TOO_LARGE\",\"error\":\"The request payload is too large. Please reduce the "
         "size of "
         "your request.\"}"},
        {V,
         {.id = TK_PROBLEM_UPSTREAM_FAILED, .detail = "x"},
         500,
         "{\"error\":\"Inference processing failed\"}"},
        {V, {.id = TK_PROBLEM_NO_SUCH_KEY}, 400, "{\"error\":\"API key not found\"}"},
        {V, {.id = TK_PROBLEM_NO_KEY_TO_UPDATE}, 400, "{\"error\":\"API key not found or expired\"}"},
        {V, {.id = TK_PROBLEM_NO_KEY_TO_DELETE}, 400, "{\"error\":\"API key could not be found\"}"},
        {V, {.id = TK_PROBLEM_INTERNAL}, 500, "{\"error\":\"An unknown error occurred\"}"},
        {O,
         {.id = TK_PROBLEM_UNKNOWN_KEY},
         401,
         "{\"error\":{\"message\":\"The API key is not "
         "known.\",\"type\":\"invalid_request_error\",\"param\":null,"
         "\"code\":\"invalid_api_key\"}}"},
        {O,
         {.id = TK_PROBLEM_USD_CAP},
         429,
         "{\"error\":{\"message\":\"The API key has reached its USD spending "
         "limit.\",\"type\":\"insufficient_quota\","
         "\"param\":null,\"code\":\"insufficient_quota\"}}"},
        {O,
         {.id = TK_PROBLEM_MODEL_UNKNOWN, .param = "model"},
         404,
         "{\"error\":{\"message\":\"The model does not exist here.\",\"type\":\"invalid_request_error\","
         "\"param\":\"model\",\"code\":\"model_not_found\"}}"},
        {O,
         {.id = TK_PROBLEM_INVALID_PARAM, .param = "n", .detail = "Too \"many\"."},
         400,
         "{\"error\":{\"message\":\"A parameter is not valid. Too "
         "\\\"many\\\".\",\"type\":\"invalid_request_error\","
         "\"param\":\"n\",\"code\":\"invalid_value\"}}"},
        {O,
         {.id = TK_PROBLEM_UPSTREAM_TIMEOUT},
         504,
         "{\"error\":{\"message\":\"The provider took too long. For long answers use streaming.\",\"type\":"
         "\"server_error\",\"param\":null,\"code\":\"upstream_timeout\"}}"},
        {N,
         {.id = TK_PROBLEM_NOT_FOUND},
         404,
         "{\"type\":\"about:blank\",\"title\":\"Not "
         "Found\",\"status\":404,\"code\":\"not_found\",\"detail\":\"There "
         "is nothing at this path.\"}"},
        {N,
         {.id = TK_PROBLEM_INVALID_PARAM, .param = "n", .detail = "d", .status = 422},
         422,
         "{\"type\":\"about:blank\",\"title\":\"Unprocessable "
         "Content\",\"status\":422,\"code\":\"invalid_param\",\"detail\":"
         "\"A "
         "parameter is not valid.\",\"param\":\"n\",\"reason\":\"d\"}"},
        {P,
         {.id = TK_PROBLEM_SCOPE},
         403,
         "{\"success\":false,\"message\":\"" FORBIDDEN "\",\"data\":{\"message\":\"" FORBIDDEN
         "\",\"errorCode\":\"AB03\"},\"error\":{\"message\":\"" FORBIDDEN
         "\",\"code\":\"AB03\",\"type\":\"invalid_request_error\",\"param\":null}}"},
        {P,
         {.id = TK_PROBLEM_INVALID_PARAM, .param = "name", .detail = "Too \"long\"."},
         400,
         "{\"success\":false,\"message\":\"" INVALID " Too \\\"long\\\".\",\"data\":{\"message\":\"" INVALID
         " Too \\\"long\\\".\",\"errorCode\":\"AB01\"},\"error\":{\"message\":\"" INVALID
         " Too \\\"long\\\".\",\"code\":\"AB01\",\"type\":\"invalid_request_error\",\"param\":\"name\"}}"},
        {G, {.id = TK_PROBLEM_UNKNOWN_KEY}, 401, CODED("Invalid API Key", "03", "")},
        {G, {.id = TK_PROBLEM_EXPIRED}, 401, CODED("Portkey API Key Expired", "01", "")},
        {G, {.id = TK_PROBLEM_SCOPE}, 403, CODED("Forbidden!", "033", "")},
        {G, {.id = TK_PROBLEM_USD_CAP}, 412, CODED("Portkey API Key Usage Limit Exceeded", "04", "")},
        {G,
         {.id = TK_PROBLEM_CAP, .above_key = true, .detail = "d"},
         412,
         CODED("Portkey Workspace Usage Limit Exceeded", "04", ",\"reason\":\"d\"")},
        {G, {.id = TK_PROBLEM_RATE}, 429, CODED("apikey rate limit exceeded", "05", "")},
        {G,
         {.id = TK_PROBLEM_RATE, .above_key = true},
         429,
         CODED("workspace rate limit exceeded", "05", "")},
        {G,
         {.id = TK_PROBLEM_MODEL_UNKNOWN, .param = "model"},
         404,
         "{\"status\":\"failure\",\"message\":\"The model does not exist "
         "here.\",\"error\":{\"message\":\"The model "
         "does not exist "
         "here.\",\"type\":\"invalid_request_error\",\"param\":\"model\",\"code\":\"model_not_found\"}}"},
};

static void documented(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct tk_buf body = TK_BUF(4096);
                tk_dialect(cases[i].dialect)->render(&cases[i].problem, &body);
                assert_true(tk_buf_ok(&body));
                assert_string_equal(body.at, cases[i].body);
                assert_int_equal(tk_problem_status(&cases[i].problem, cases[i].dialect), cases[i].status);
                tk_buf_free(&body);
        }
}

/* The member that a client of the dialect reads is there, and the status is an error. */
static void all_rows(void **state) {
        static const char *const member[TK_DIALECT_NR] = {
                [V] = "error", [O] = "error", [N] = "detail", [P] = "data", [G] = "message"};
        TK_UNUSED(state);
        for (unsigned d = 0; d < TK_DIALECT_NR; d++) {
                for (unsigned id = 0; id < TK_PROBLEM_NR; id++) {
                        struct tk_problem p = {.id = id, .param = "p\"", .detail = "d\n\xff"};
                        struct tk_buf body = TK_BUF(8192);
                        struct tk_json root, value;
                        tk_dialect(d)->render(&p, &body);
                        assert_true(tk_buf_ok(&body));
                        assert_ok(tk_json_check(tk_buf_str(&body), &root, NULL));
                        assert_true(tk_json_get(root, member[d], &value));
                        assert_in_range(tk_problem_status(&p, d), 400, 599);
                        tk_buf_free(&body);
                }
        }
}

/* The two codes are those of the documented tables, and what has a code on the data plane has its words. */
static void portkey_codes(void **state) {
        static const char *const gate[] = {"01", "03", "033", "04", "05"};
        TK_UNUSED(state);
        for (unsigned id = 0; id < TK_PROBLEM_NR; id++) {
                const struct tk_problem_row *row = tk_problem_row(id);
                bool known = false;
                print_message("%s\n", row->name);
                assert_int_equal(strlen(row->admin_code), 4);
                assert_memory_equal(row->admin_code, "AB0", 3);
                assert_in_range(row->admin_code[3], '1', '9');
                assert_int_equal(row->gate_code != NULL, row->gate_text != NULL);
                for (size_t i = 0; row->gate_code && i < sizeof(gate) / sizeof(gate[0]); i++)
                        known |= strcmp(row->gate_code, gate[i]) == 0;
                assert_int_equal(known, row->gate_code != NULL);
        }
}

static void portkey_issues(void **state) {
        struct tk_issues issues = {0};
        struct tk_buf body = TK_BUF(4096);
        TK_UNUSED(state);
        tk_issue_say(&issues, (struct tk_issue_path){{"rate_limits", "unit"}}, "custom", "Not \"it\"");
        tk_issue_type(&issues, (struct tk_issue_path){{"name"}}, "string", "undefined");
        tk_portkey_render_issues(&issues, &body);
        assert_string_equal(
                body.at, "{\"success\":false,\"message\":\"" ISSUE "\",\"data\":{\"message\":\"" ISSUE
                         "\",\"errorCode\":\"AB01\",\"errors\":[{\"path\":\"rate_limits.unit\",\"message\":"
                         "\"Not \\\"it\\\"\"},{\"path\":\"name\",\"message\":\"Required\"}]},\"error\":{"
                         "\"message\":\"" ISSUE "\",\"code\":\"AB01\",\"type\":\"invalid_request_error\","
                         "\"param\":\"rate_limits\"}}");
        tk_buf_free(&body);
        for (size_t max = 1; max < 400; max += 7) {
                struct tk_buf small = TK_BUF(max);
                tk_portkey_render_issues(&issues, &small);
                assert_false(tk_buf_ok(&small));
                tk_buf_free(&small);
        }
        tk_issues_free(&issues);
}

/* No memory in the middle of a body is seen by the buffer, not by the reader of half a body. */
static void out_of_room(void **state) {
        TK_UNUSED(state);
        for (unsigned d = 0; d < TK_DIALECT_NR; d++) {
                for (size_t max = 1; max < 40; max++) {
                        struct tk_problem p = {.id = TK_PROBLEM_INVALID_PARAM, .param = "p", .detail = "d"};
                        struct tk_buf body = TK_BUF(max);
                        tk_dialect(d)->render(&p, &body);
                        assert_false(tk_buf_ok(&body));
                        tk_buf_free(&body);
                }
        }
}

static void verdicts(void **state) {
        TK_UNUSED(state);
        for (unsigned v = TK_VERDICT_PASS + 1; v < TK_VERDICT_NR; v++)
                assert_in_range(tk_problem_of_verdict(v, TK_SCOPE_NONE), 0, TK_PROBLEM_NR - 1);
        assert_int_equal(tk_problem_of_verdict(TK_VERDICT_SCOPE, TK_SCOPE_KEYS_READ), TK_PROBLEM_ADMIN_ONLY);
        assert_int_equal(tk_problem_of_verdict(TK_VERDICT_SCOPE, TK_SCOPE_KEYS_WRITE), TK_PROBLEM_ADMIN_ONLY);
        assert_int_equal(tk_problem_of_verdict(TK_VERDICT_SCOPE, TK_SCOPE_COMPLETIONS_WRITE),
                         TK_PROBLEM_SCOPE);
        assert_int_equal(tk_problem_of_meter(TK_METER_USD), TK_PROBLEM_USD_CAP);
        assert_int_equal(tk_problem_of_meter(TK_METER_TOKENS), TK_PROBLEM_CAP);
        for (unsigned e = 1; e < TK_E_NR; e++)
                assert_in_range(tk_problem_of_err(e), 0, TK_PROBLEM_NR - 1);
        assert_int_equal(tk_problem_of_err(TK_E_FULL), TK_PROBLEM_STORE);
        assert_int_equal(tk_problem_of_err(TK_E_OVERFLOW), TK_PROBLEM_INTERNAL);
        assert_int_equal(tk_problem_of_status(413), TK_PROBLEM_TOO_LARGE);
        assert_int_equal(tk_problem_of_status(418), TK_PROBLEM_INTERNAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(documented),    TEST(all_rows),       TEST(out_of_room),
                                           TEST(portkey_codes), TEST(portkey_issues), TEST(verdicts)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
