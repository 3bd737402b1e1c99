/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call may cost, and what is sent so that it cannot cost more.
 */
#include "proxy/plan.h"

#include "lib/unit.h"

#include <string.h>

static char model_id[] = "m", upstream_id[] = "vendor/big \"m\"";

/* $0.15 and $0.60 per million tokens: 150 and 600 nano a token. */
static struct tk_model model = {
        .id = model_id,
        .priced = true,
        .max_output_tokens = 4096,
        .price = {.base = {150000000, 600000000, TK_RATE_NONE, TK_RATE_NONE}},
};

static struct tk_oa_request read_request(const char *body) {
        struct tk_oa_request request;
        assert_ok(tk_oa_request_read(tk_str_of(body), &request));
        return request;
}

static struct tk_plan plan_of(const struct tk_oa_request *request, uint64_t step) {
        struct tk_plan plan;
        assert_ok(tk_plan_make(request, &model, true, step, &plan));
        return plan;
}

static void assert_body(const char *body, uint64_t affordable, const char *expected) {
        struct tk_oa_request request = read_request(body);
        struct tk_plan plan = plan_of(&request, 256);
        struct tk_buf out = TK_BUF(65536);
        assert_ok(tk_plan_body(&plan, &request, tk_str_of(body), affordable, &out));
        assert_string_equal(out.at, expected);
        tk_buf_free(&out);
}

static void the_smaller_maximum_counts(void **state) {
        static const struct {
                const char *body;
                uint64_t each, all;
        } rows[] = {
                {"{\"model\":\"m\",\"messages\":[]}", 4096, 4096},
                {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":10}", 10, 10},
                {"{\"model\":\"m\",\"messages\":[],\"max_completion_tokens\":7}", 7, 7},
                {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":9,\"max_completion_tokens\":7}", 7, 7},
                {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":100000}", 4096, 4096},
                {"{\"model\":\"m\",\"messages\":[],\"max_tokens\":10,\"n\":3}", 10, 30},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct tk_oa_request request = read_request(rows[i].body);
                struct tk_plan plan = plan_of(&request, 256);
                assert_int_equal(plan.output_each, rows[i].each);
                assert_int_equal(plan.output, rows[i].all);
                assert_int_equal(plan.input, strlen(rows[i].body));
        }
}

static void only_a_stream_is_held_in_steps(void **state) {
        struct tk_oa_request stream = read_request("{\"model\":\"m\",\"messages\":[],\"stream\":true}");
        struct tk_oa_request whole = read_request("{\"model\":\"m\",\"messages\":[]}");
        TK_UNUSED(state);
        assert_int_equal(plan_of(&stream, 256).step, 257);
        assert_int_equal(plan_of(&whole, 256).step, 4096);
}

static void the_first_hold_is_between_one_token_and_a_step(void **state) {
        struct tk_oa_request request = read_request("{\"model\":\"m\",\"messages\":[],\"stream\":true}");
        struct tk_plan plan = plan_of(&request, 256);
        struct tk_amounts least, most;
        TK_UNUSED(state);
        assert_ok(tk_plan_first(&plan, &least, &most));
        assert_int_equal(least.of[TK_METER_USD], (int64_t)(plan.input * 150 + 600));
        assert_int_equal(most.of[TK_METER_USD], (int64_t)(plan.input * 150 + 257 * 600));
        assert_int_equal(least.of[TK_METER_REQUESTS], 1);
        assert_int_equal(most.of[TK_METER_TOKENS], (int64_t)plan.input + 257);
}

static void covered_is_what_the_hold_pays_for_and_no_more(void **state) {
        struct tk_oa_request request = read_request("{\"model\":\"m\",\"messages\":[],\"stream\":true}");
        struct tk_plan plan = plan_of(&request, 256);
        struct tk_amounts held = {{0}}, left = {{0}};
        TK_UNUSED(state);
        held.of[TK_METER_TOKENS] = INT64_MAX;
        held.of[TK_METER_USD] = (int64_t)plan.input * 150 - 1;
        assert_int_equal(tk_plan_covered(&plan, &held), 0);
        held.of[TK_METER_USD] = (int64_t)plan.input * 150 + 600 * 5 + 599;
        assert_int_equal(tk_plan_covered(&plan, &held), 5);
        left.of[TK_METER_USD] = 601;
        assert_int_equal(tk_plan_affordable(&plan, &held, &left), 7);
        left.of[TK_METER_USD] = INT64_MAX; /* nothing limits: the sum must not wrap */
        assert_int_equal(tk_plan_affordable(&plan, &held, &left), plan.output);
        held.of[TK_METER_TOKENS] = (int64_t)plan.input + 3; /* a limit on tokens binds, too */
        assert_int_equal(tk_plan_covered(&plan, &held), 3);
}

static void a_call_is_charged_in_one_currency(void **state) {
        struct tk_oa_request request = read_request("{\"model\":\"m\",\"messages\":[],\"stream\":true}");
        struct tk_plan plan = plan_of(&request, 256);
        struct tk_amounts least, most, actual, held = {{0}}, left = {{0}};
        const struct tk_tokens tokens = {.input = 3, .output = 4};
        TK_UNUSED(state);
        assert_int_equal(plan.currency, TK_METER_USD);
        plan.currency = TK_METER_DIEM;
        assert_ok(tk_plan_first(&plan, &least, &most));
        assert_int_equal(least.of[TK_METER_DIEM], (int64_t)(plan.input * 150 + 600));
        assert_int_equal(least.of[TK_METER_USD], 0);
        assert_int_equal(most.of[TK_METER_USD], 0);
        assert_ok(tk_plan_actual(&plan, &tokens, &actual));
        assert_int_equal(actual.of[TK_METER_DIEM], 3 * 150 + 4 * 600);
        assert_int_equal(actual.of[TK_METER_USD], 0);
        held.of[TK_METER_TOKENS] = INT64_MAX;
        held.of[TK_METER_USD] = INT64_MAX; /* does not help */
        held.of[TK_METER_DIEM] = (int64_t)plan.input * 150 + 600 * 5;
        assert_int_equal(tk_plan_covered(&plan, &held), 5);
        left.of[TK_METER_DIEM] = 600;
        assert_int_equal(tk_plan_affordable(&plan, &held, &left), 6);
}

static void the_body_changes_only_where_it_must(void **state) {
        TK_UNUSED(state);
        assert_body("{\"model\":\"m\", \"messages\":[] }", 4096, "{\"model\":\"m\", \"messages\":[] }");
        assert_body("{\"model\":\"m\",\"max_tokens\": 50,\"messages\":[]}", 20,
                    "{\"model\":\"m\",\"max_tokens\": 20,\"messages\":[]}");
        assert_body("{\"model\":\"m\",\"max_completion_tokens\":50,\"messages\":[]}", 20,
                    "{\"model\":\"m\",\"max_completion_tokens\":20,\"messages\":[]}");
        assert_body("{\"model\":\"m\",\"messages\":[]}", 20,
                    "{\"model\":\"m\",\"messages\":[],\"max_tokens\":20}");
        assert_body("{\"model\":\"m\",\"messages\":[],\"n\":4,\"max_tokens\":50}", 21,
                    "{\"model\":\"m\",\"messages\":[],\"n\":4,\"max_tokens\":5}");
        /* What was planned is told, also when the caller has money for more than the model may produce. */
        assert_body("{\"model\":\"m\",\"max_tokens\":4097,\"messages\":[]}", 4096,
                    "{\"model\":\"m\",\"max_tokens\":4096,\"messages\":[]}");
        assert_body("{\"model\":\"m\",\"max_tokens\":4096,\"messages\":[]}", 4096,
                    "{\"model\":\"m\",\"max_tokens\":4096,\"messages\":[]}");
        /* A provider that knows only one of the two names must not find the larger number there. */
        assert_body("{\"model\":\"m\",\"max_tokens\":4000,\"max_completion_tokens\":1}", 1,
                    "{\"model\":\"m\",\"max_tokens\":1,\"max_completion_tokens\":1}");
        assert_body("{\"model\":\"m\",\"max_tokens\":2,\"max_completion_tokens\":4000}", 2,
                    "{\"model\":\"m\",\"max_tokens\":2,\"max_completion_tokens\":2}");
        assert_body("{\"model\":\"m\",\"messages\":[],\"stream\":true}", 4096,
                    "{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":"
                    "true}}");
        assert_body("{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"x\": 1}}", 4096,
                    "{\"model\":\"m\",\"messages\":[],\"stream\":true,"
                    "\"stream_options\":{\"x\": 1,\"include_usage\":true}}");
        assert_body("{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":null}", 4096,
                    "{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":"
                    "true}}");
}

static void the_provider_gets_its_own_name_of_the_model(void **state) {
        TK_UNUSED(state);
        model.upstream_id = upstream_id;
        assert_body("{\"messages\":[],\"model\":\"m\"}", 4096,
                    "{\"messages\":[],\"model\":\"vendor/big \\\"m\\\"\"}");
        model.upstream_id = NULL;
}

static void a_request_beyond_all_bounds_is_refused(void **state) {
        struct tk_oa_request request = read_request("{\"model\":\"m\",\"messages\":[]}");
        struct tk_plan plan;
        TK_UNUSED(state);
        request.input_bytes = TK_TOKENS_MAX + 1;
        assert_int_equal(tk_plan_make(&request, &model, true, 256, &plan), TK_E_RANGE);
        request.input_bytes = UINT64_MAX;
        request.media = 1;
        assert_int_equal(tk_plan_make(&request, &model, true, 256, &plan), TK_E_RANGE);
}

/* What the provider sends on while the end of the stream is on its way to it is paid for. */
static void a_stream_ends_before_its_hold(void **state) {
        static const struct {
                uint64_t covered, told, reach;
        } rows[] = {
                {0, 100, 0},        {1, 100, 0},     {16, 100, 0},    {17, 100, 1}, {64, 4096, 48},
                {4095, 4096, 4079}, {100, 100, 100}, {110, 100, 110}, {0, 0, 0},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                assert_int_equal(tk_plan_reach(rows[i].covered, rows[i].told), rows[i].reach);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(the_smaller_maximum_counts),
                TEST(only_a_stream_is_held_in_steps),
                TEST(the_first_hold_is_between_one_token_and_a_step),
                TEST(covered_is_what_the_hold_pays_for_and_no_more),
                TEST(a_call_is_charged_in_one_currency),
                TEST(the_body_changes_only_where_it_must),
                TEST(the_provider_gets_its_own_name_of_the_model),
                TEST(a_stream_ends_before_its_hold),
                TEST(a_request_beyond_all_bounds_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
