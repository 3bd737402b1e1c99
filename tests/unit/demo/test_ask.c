/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/ask.h"

#include "lib/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const models[] = {"demo-small", "demo-embed", NULL};

#define M    "\"model\":\"demo-small\","
#define HI   "\"messages\":[{\"role\":\"user\",\"content\":\"Hello, wide world\"}]"
#define CHAT TK_DEMO_CHAT
#define COMP TK_DEMO_COMPLETION
#define EMB  TK_DEMO_EMBEDDING

/* ---- what is refused ---- */

static const struct refusal {
        const char *name;
        enum tk_demo_kind kind;
        const char *body;
        int status;
        const char *param, *code; /* NULL: null */
        const char *text;         /* part of the message */
} refusals[] = {
        {"nothing", CHAT, "", 400, NULL, NULL, "could not parse the JSON body"},
        {"cut off", CHAT, "{\"model\":", 400, NULL, NULL, "could not parse the JSON body"},
        {"two documents", CHAT, "{}{}", 400, NULL, NULL, "could not parse the JSON body"},
        {"not UTF-8", CHAT, "{\"model\":\"\xff\"}", 400, NULL, NULL, "could not parse the JSON body"},
        {"a number too large", CHAT, "{\"n\":99999999999999999999}", 400, NULL, NULL, "could not parse"},
        {"no object", CHAT, "[1]", 400, NULL, NULL, "it is not an object"},
        {"a scalar", CHAT, "12", 400, NULL, NULL, "it is not an object"},
        {"no model", CHAT, "{" HI "}", 400, NULL, NULL, "you must provide a model parameter"},
        {"model null", CHAT, "{\"model\":null," HI "}", 400, NULL, NULL,
         "you must provide a model parameter"},
        {"model no string", CHAT, "{\"model\":7," HI "}", 400, "model", "invalid_type",
         "expected a string, but got an integer"},
        {"unknown model", CHAT, "{\"model\":\"gpt-9\"," HI "}", 404, NULL, "model_not_found",
         "`gpt-9` does not exist"},
        {"unknown fault in the model", CHAT, "{\"model\":\"demo-small+oops\"," HI "}", 404, NULL,
         "model_not_found", "+oops"},
        {"model with a NUL", CHAT, "{\"model\":\"demo-small\\u0000\"," HI "}", 404, NULL, "model_not_found",
         "demo-small"},
        {"user no string", CHAT, "{" M "\"user\":[]," HI "}", 400, "user", "invalid_type", "got an array"},
        {"no messages", CHAT, "{" M "\"n\":1}", 400, "messages", "missing_required_parameter", "'messages'"},
        {"messages a string", CHAT, "{" M "\"messages\":\"hi\"}", 400, "messages", "invalid_type",
         "expected an array of objects, but got a string"},
        {"messages null", CHAT, "{" M "\"messages\":null}", 400, "messages", "invalid_type", "got null"},
        {"messages empty", CHAT, "{" M "\"messages\":[]}", 400, "messages", "empty_array", "empty array"},
        {"message no object", CHAT, "{" M "\"messages\":[\"hi\"]}", 400, "messages[0]", "invalid_type",
         "expected an object"},
        {"no role", CHAT, "{" M "\"messages\":[{\"content\":\"x\"}]}", 400, "messages[0].role",
         "missing_required_parameter", "role"},
        {"role no string", CHAT, "{" M "\"messages\":[{\"role\":1}]}", 400, "messages[0].role",
         "invalid_type", "role"},
        {"unknown role", CHAT, "{" M "\"messages\":[{\"role\":\"boss\"}]}", 400, "messages[0].role",
         "invalid_value", "'boss'"},
        {"second message wrong", CHAT,
         "{" M "\"messages\":[{\"role\":\"user\"},{\"role\":\"user\",\"content\":5}]}", 400,
         "messages[1].content", "invalid_type", "got an integer"},
        {"part no object", CHAT, "{" M "\"messages\":[{\"role\":\"user\",\"content\":[3]}]}", 400,
         "messages[0].content[0]", "invalid_type", "expected an object"},
        {"part without text", CHAT,
         "{" M "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", 400,
         "messages[0].content[0]", "missing_required_parameter", "content"},
        {"stream no boolean", CHAT, "{" M HI ",\"stream\":\"yes\"}", 400, "stream", "invalid_type",
         "expected a boolean"},
        {"options without a stream", CHAT, "{" M HI ",\"stream_options\":{\"include_usage\":true}}", 400,
         "stream_options", NULL, "only allowed when 'stream' is enabled"},
        {"options no object", CHAT, "{" M HI ",\"stream\":true,\"stream_options\":[]}", 400, "stream_options",
         "invalid_type", "got an array"},
        {"include_usage no boolean", CHAT,
         "{" M HI ",\"stream\":true,\"stream_options\":{\"include_usage\":1}}", 400,
         "stream_options.include_usage", "invalid_type", "got an integer"},
        {"max_tokens zero", CHAT, "{" M HI ",\"max_tokens\":0}", 400, "max_tokens", "integer_below_min_value",
         ">= 1, but got 0"},
        {"max_tokens negative", CHAT, "{" M HI ",\"max_tokens\":-3}", 400, "max_tokens",
         "integer_below_min_value", "got -3"},
        {"max_tokens a decimal", CHAT, "{" M HI ",\"max_tokens\":1.5}", 400, "max_tokens", "invalid_type",
         "got a decimal"},
        {"max_tokens a boolean", CHAT, "{" M HI ",\"max_tokens\":true}", 400, "max_tokens", "invalid_type",
         "got a boolean"},
        {"both names of the limit", CHAT, "{" M HI ",\"max_tokens\":1,\"max_completion_tokens\":1}", 400,
         NULL, "invalid_parameter_combination", "at the same time"},
        {"n zero", CHAT, "{" M HI ",\"n\":0}", 400, "n", "integer_below_min_value", "got 0"},
        {"n too large", CHAT, "{" M HI ",\"n\":129}", 400, "n", "integer_above_max_value", "<= 128"},
        {"no prompt", COMP, "{" M "\"n\":1}", 400, "prompt", "missing_required_parameter", "'prompt'"},
        {"prompt a number", COMP, "{" M "\"prompt\":1}", 400, "prompt", "invalid_type", "got an integer"},
        {"prompt empty array", COMP, "{" M "\"prompt\":[]}", 400, "prompt", "empty_array", "1 to"},
        {"prompt mixed", COMP, "{" M "\"prompt\":[1,\"a\"]}", 400, "prompt", "invalid_type",
         "got an integer"},
        {"n times prompts too many", COMP, "{" M "\"prompt\":[\"a\",\"b\"],\"n\":65}", 400, "n",
         "integer_above_max_value", "<= 64"},
        {"no input", EMB, "{" M "\"n\":1}", 400, "input", "missing_required_parameter", "'input'"},
        {"input an object", EMB, "{" M "\"input\":{}}", 400, "input", "invalid_type", "got an object"},
        {"unknown format", EMB, "{" M "\"input\":\"a\",\"encoding_format\":\"hex\"}", 400, "encoding_format",
         "invalid_value", "'hex'"},
        {"format no string", EMB, "{" M "\"input\":\"a\",\"encoding_format\":1}", 400, "encoding_format",
         "invalid_type", "an integer"},
        {"dimensions zero", EMB, "{" M "\"input\":\"a\",\"dimensions\":0}", 400, "dimensions",
         "integer_below_min_value", "got 0"},
        {"dimensions too many", EMB, "{" M "\"input\":\"a\",\"dimensions\":3073}", 400, "dimensions",
         "integer_above_max_value", "3072"},
};

static void wrong_bodies_are_refused(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
                const struct refusal *c = &refusals[i];
                struct tk_demo_ask ask;
                struct tk_demo_problem problem;
                print_message("  %s\n", c->name);
                assert_false(
                        tk_demo_ask_parse(c->kind, tk_str_of(c->body), TK_STR(""), models, &ask, &problem));
                tk_demo_ask_free(&ask);
                assert_int_equal(problem.status, c->status);
                assert_string_equal(problem.type, "invalid_request_error");
                assert_string_equal(problem.param, c->param ? c->param : "");
                assert_int_equal(problem.code == NULL, c->code == NULL);
                if (c->code)
                        assert_string_equal(problem.code, c->code);
                if (!strstr(problem.message, c->text))
                        print_message("    %s\n", problem.message);
                assert_non_null(strstr(problem.message, c->text));
        }
}

static void a_problem_has_openais_shape(void **state) {
        struct tk_demo_problem problem;
        struct tk_buf out = TK_BUF(4096);
        TK_UNUSED(state);
        tk_demo_problem_set(&problem, 404, NULL, "model_not_found", "No \"%s\".", "x\n");
        tk_demo_problem_write(&problem, &out);
        assert_string_equal(out.at,
                            "{\"error\":{\"message\":\"No \\\"x\\n\\\".\",\"type\":\"invalid_request_error\","
                            "\"param\":null,\"code\":\"model_not_found\"}}");
        tk_buf_clear(&out);
        tk_demo_problem_set(&problem, 503, "a[0]", NULL, "Busy.");
        tk_demo_problem_write(&problem, &out);
        assert_string_equal(out.at,
                            "{\"error\":{\"message\":\"Busy.\",\"type\":\"server_error\",\"param\":\"a[0]\","
                            "\"code\":null}}");
        tk_buf_free(&out);
}

/* ---- what is read ---- */

static const struct reading {
        const char *name;
        enum tk_demo_kind kind;
        const char *body;
        uint64_t prompt_tokens, max_tokens;
        unsigned choices, inputs;
        bool stream, include_usage;
        const char *echo;
} readings[] = {
        {"a chat", CHAT, "{" M HI "}", 6, TK_DEMO_NONE, 1, 0, false, false, "Hello, wide world"},
        {"nulls are absent", CHAT,
         "{" M HI ",\"n\":null,\"max_tokens\":null,\"stream\":null,\"stream_options\":null,\"user\":null}", 6,
         TK_DEMO_NONE, 1, 0, false, false, "Hello, wide world"},
        {"unknown members are ignored", CHAT,
         "{" M HI ",\"tools\":[{}],\"temperature\":\"hot\",\"x\":{\"y\":[]}}", 6, TK_DEMO_NONE, 1, 0, false,
         false, "Hello, wide world"},
        {"limits and a stream", CHAT,
         "{" M HI ",\"n\":3,\"max_tokens\":9,\"stream\":true,\"stream_options\":{\"include_usage\":true}}", 6,
         9, 3, 0, true, true, "Hello, wide world"},
        {"the newer limit", CHAT, "{" M HI ",\"max_completion_tokens\":5}", 6, 5, 1, 0, false, false,
         "Hello, wide world"},
        {"several messages", CHAT,
         "{" M "\"messages\":[{\"role\":\"system\",\"content\":\"be "
         "kind\"},{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":null},{"
         "\"role\":\"user\",\"content\":\"two\"}]}",
         4 + 2 + 1 + 1, TK_DEMO_NONE, 1, 0, false, false, "two"},
        {"parts", CHAT,
         "{" M "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"look "
         "here\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:...\"}}]}]}",
         1 + 2 + 1, TK_DEMO_NONE, 1, 0, false, false, "look here"},
        {"escapes count as what they stand for", CHAT,
         "{" M "\"messages\":[{\"role\":\"user\",\"content\":\"\\u20ac\\u20ac \\ud83d\\ude00\\n\"}]}", 1 + 4,
         TK_DEMO_NONE, 1, 0, false, false, "\xe2\x82\xac\xe2\x82\xac \xf0\x9f\x98\x80"},
        {"the last of repeated members", CHAT, "{" M HI ",\"max_tokens\":3,\"max_tokens\":4}", 6, 4, 1, 0,
         false, false, "Hello, wide world"},
        {"a completion", COMP, "{" M "\"prompt\":\"Hello, wide world\"}", 5, 16, 1, 1, false, false,
         "Hello, wide world"},
        {"completions of several prompts", COMP,
         "{" M "\"prompt\":[\"one\",\"two words\"],\"n\":2,\"max_tokens\":8}", 4, 8, 4, 2, false, false,
         "two words"},
        {"a prompt of numbers", COMP, "{" M "\"prompt\":[1,2,3]}", 3, 16, 1, 1, false, false, ""},
        {"prompts of numbers", COMP, "{" M "\"prompt\":[[1,2,3],[4]]}", 4, 16, 2, 2, false, false, ""},
        {"an empty prompt", COMP, "{" M "\"prompt\":\"\"}", 0, 16, 1, 1, false, false, ""},
        {"embeddings", EMB,
         "{" M "\"input\":[\"one\",\"two words\"],\"encoding_format\":\"base64\",\"dimensions\":8}", 4,
         TK_DEMO_NONE, 0, 2, false, false, "two words"},
};

static void good_bodies_are_read(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
                const struct reading *c = &readings[i];
                struct tk_demo_ask ask;
                struct tk_demo_problem problem;
                print_message("  %s\n", c->name);
                assert_true(
                        tk_demo_ask_parse(c->kind, tk_str_of(c->body), TK_STR(""), models, &ask, &problem));
                assert_int_equal(ask.prompt_tokens, c->prompt_tokens);
                assert_true(ask.max_tokens == c->max_tokens);
                assert_int_equal(ask.choices, c->choices);
                assert_int_equal(ask.inputs, c->inputs);
                assert_int_equal(ask.stream, c->stream);
                assert_int_equal(ask.include_usage, c->include_usage);
                assert_true(tk_str_is((struct tk_str){ask.echo, ask.echo_len}, c->echo));
                assert_string_equal(ask.model, "demo-small");
                tk_demo_ask_free(&ask);
        }
}

static void faults_come_from_the_model_and_the_header(void **state) {
        struct tk_demo_ask ask;
        struct tk_demo_problem problem;
        TK_UNUSED(state);
        struct tk_str body =
                TK_STR("{\"model\":\"demo-small+break-after=3+no-usage\",\"user\":\"key-7\"," HI "}");
        assert_true(tk_demo_ask_parse(CHAT, body, TK_STR("slow-head=5"), models, &ask, &problem));
        assert_int_equal(ask.fault.break_after, 3);
        assert_int_equal(ask.fault.slow_head, 5);
        assert_true(ask.fault.no_usage);
        assert_string_equal(ask.model, "demo-small+break-after=3+no-usage");
        assert_int_equal(ask.model_base, strlen("demo-small"));
        assert_string_equal(ask.user, "key-7");
        assert_false(tk_demo_ask_parse(CHAT, body, TK_STR("nonsense"), models, &ask, &problem));
        assert_int_equal(problem.status, 400);
        assert_string_equal(problem.param, "x-demo-fault");
}

static void what_is_too_long_is_cut(void **state) {
        struct tk_demo_ask ask;
        struct tk_demo_problem problem;
        char body[2048], word[301];
        TK_UNUSED(state);
        memset(word, 'u', 300);
        word[300] = '\0';
        snprintf(body, sizeof body,
                 "{" M "\"user\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"  %s\"}]}", word,
                 word);
        assert_true(tk_demo_ask_parse(CHAT, tk_str_of(body), TK_STR(""), models, &ask, &problem));
        assert_int_equal(strlen(ask.user), TK_DEMO_USER_MAX);
        assert_int_equal(ask.echo_len, 158); /* "  uuuu" and 38 more tokens; one more would be 162 */
        assert_int_equal(ask.prompt_tokens, 1 + 75);
        snprintf(body, sizeof body, "{\"model\":\"demo-small+no-usage%s\"," HI "}", word);
        assert_false(tk_demo_ask_parse(CHAT, tk_str_of(body), TK_STR(""), models, &ask, &problem));
        assert_int_equal(problem.status, 404);
}

static void many_inputs_are_bounded(void **state) {
        struct tk_demo_ask ask;
        struct tk_demo_problem problem;
        TK_UNUSED(state);
        for (unsigned nr = TK_DEMO_INPUTS_MAX; nr <= TK_DEMO_INPUTS_MAX + 1; nr++) {
                struct tk_buf body = TK_BUF(1 << 20);
                tk_buf_text(&body, "{" M "\"input\":[");
                for (unsigned i = 0; i < nr; i++)
                        tk_buf_printf(&body, "%s\"w%u\"", i ? "," : "", i);
                tk_buf_text(&body, "]}");
                assert_int_equal(
                        tk_demo_ask_parse(EMB, tk_buf_str(&body), TK_STR(""), models, &ask, &problem),
                        nr == TK_DEMO_INPUTS_MAX);
                tk_demo_ask_free(&ask);
                tk_buf_free(&body);
        }
        assert_string_equal(problem.code, "array_above_max_length");
        char prompts[4096] = "{" M "\"prompt\":[\"a\"";
        for (unsigned i = 0; i < TK_DEMO_CHOICES_MAX; i++)
                strcat(prompts, ",\"a\"");
        strcat(prompts, "]}");
        assert_false(tk_demo_ask_parse(COMP, tk_str_of(prompts), TK_STR(""), models, &ask, &problem));
        tk_demo_ask_free(&ask);
        assert_string_equal(problem.param, "prompt");
}

static void equal_inputs_have_equal_seeds(void **state) {
        struct tk_demo_ask ask;
        struct tk_demo_problem problem;
        TK_UNUSED(state);
        assert_true(tk_demo_ask_parse(EMB, TK_STR("{" M "\"input\":[\"a\",\"b\",\"a\",\"\"]}"), TK_STR(""),
                                      models, &ask, &problem));
        assert_true(ask.seeds[0] == ask.seeds[2]);
        assert_true(ask.seeds[0] != ask.seeds[1] && ask.seeds[1] != ask.seeds[3]);
        tk_demo_ask_free(&ask);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(wrong_bodies_are_refused),      TEST(a_problem_has_openais_shape),
                TEST(good_bodies_are_read),          TEST(faults_come_from_the_model_and_the_header),
                TEST(what_is_too_long_is_cut),       TEST(many_inputs_are_bounded),
                TEST(equal_inputs_have_equal_seeds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
