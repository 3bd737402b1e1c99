/* SPDX-License-Identifier: Apache-2.0
 *
 * openai: whole answers of several providers, written after their documentation, and reports that
 * must not be believed.
 */
#include "proxy/usage/openai.h"

#include "lib/unit.h"
#include "unit/base/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *name, *body;
        bool has_usage;
        struct tk_tokens tokens; /* input, output, cached, cache_write */
        uint64_t choices, contents, content_bytes;
        bool finished;
} answers[] = {
        {"OpenAI chat",
         "{\"id\":\"chatcmpl-B9\",\"object\":\"chat.completion\",\"created\":1741569952,\"model\":\"gpt-4."
         "1\",\"choices\":"
         "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello! How can I "
         "help?\",\"refusal\":null,"
         "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":"
         "1117,"
         "\"completion_tokens\":46,\"total_tokens\":1163,\"prompt_tokens_details\":{\"cached_tokens\":1024,"
         "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":32,\"audio_tokens\":0,"
         "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\"}",
         true,
         {1117, 46, 1024, 0},
         1,
         1,
         22,
         true},
        {"OpenAI tool call, no content",
         "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
         "\"id\":\"call_abc\","
         "\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"{\\\"in\\\":\\\"Bern\\\"}"
         "\"}}]},"
         "\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":82,\"completion_tokens\":17,"
         "\"total_tokens\":99}}",
         true,
         {82, 17, 0, 0},
         1,
         1,
         7 + 13,
         true},
        {"OpenAI with n = 2",
         "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"ab\"}},{\"index\":1,\"message\":{\"content\":"
         "\"\"}}],"
         "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}",
         true,
         {3, 2, 0, 0},
         2,
         1,
         2,
         false},
        {"OpenAI legacy completion",
         "{\"object\":\"text_completion\",\"choices\":[{\"text\":\"\\n\\nThis\",\"index\":0,\"logprobs\":{"
         "\"tokens\":[\"x\"]},"
         "\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_"
         "tokens\":12}}",
         true,
         {5, 7, 0, 0},
         1,
         1,
         6,
         true},
        {"OpenAI embeddings",
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.0023064255,-"
         "0.009327292,"
         "-1.2e-05]}],\"model\":\"text-embedding-ada-002\",\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}"
         "}",
         true,
         {8, 0, 0, 0},
         0,
         0,
         0,
         false},
        {"OpenAI responses",
         "{\"id\":\"resp_67\",\"object\":\"response\",\"status\":\"completed\",\"error\":null,\"output\":[{"
         "\"type\":\"message\","
         "\"id\":\"msg_67\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_"
         "text\",\"text\":"
         "\"In a "
         "forest\",\"annotations\":[]}]}],\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{\"cached_"
         "tokens\":12},"
         "\"output_tokens\":87,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":123}}",
         true,
         {36, 87, 12, 0},
         1,
         1,
         11,
         false},
        {"Azure with filter results",
         "{\"choices\":[{\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"}},"
         "\"finish_reason\":"
         "\"stop\",\"index\":0,\"message\":{\"content\":\"abc\",\"role\":\"assistant\"}}],\"prompt_filter_"
         "results\":[{\"prompt_index\":0,"
         "\"content_filter_results\":{\"hate\":{\"filtered\":false}}}],\"usage\":{\"completion_tokens\":10,"
         "\"prompt_tokens\":20,"
         "\"total_tokens\":30}}",
         true,
         {20, 10, 0, 0},
         1,
         1,
         3,
         true},
        {"vLLM with reasoning",
         "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{"
         "\"role\":\"assistant\","
         "\"reasoning_content\":\"hmm\",\"content\":\"yes\",\"tool_calls\":[]},\"logprobs\":null,\"finish_"
         "reason\":\"stop\","
         "\"stop_reason\":null}],\"usage\":{\"prompt_tokens\":9,\"total_tokens\":21,\"completion_tokens\":12,"
         "\"prompt_tokens_details\":null},\"prompt_logprobs\":null}",
         true,
         {9, 12, 0, 0},
         1,
         1,
         6,
         true},
        {"Venice with cache and cost",
         "{\"id\":\"chatcmpl-2\",\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"message\":{"
         "\"content\":\"abcd\","
         "\"reasoning_content\":null,\"role\":\"assistant\"}}],\"cost\":{\"diem\":0,\"usd\":0.00042},"
         "\"usage\":{\"prompt_tokens\":5500,"
         "\"completion_tokens\":8,\"total_tokens\":5508,\"prompt_tokens_details\":{\"cached_tokens\":5000,"
         "\"cache_creation_input_tokens\":300}},\"venice_parameters\":{\"web_search_citations\":[]}}",
         true,
         {5500, 8, 5000, 300},
         1,
         1,
         4,
         true},
        {"DeepSeek cache hits",
         "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"ab\",\"reasoning_"
         "content\":\"cde\"},"
         "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20,\"total_"
         "tokens\":120,"
         "\"prompt_tokens_details\":{\"cached_tokens\":64},\"completion_tokens_details\":{\"reasoning_"
         "tokens\":10},"
         "\"prompt_cache_hit_tokens\":64,\"prompt_cache_miss_tokens\":36}}",
         true,
         {100, 20, 64, 0},
         1,
         1,
         5,
         true},
        {"xAI: reasoning beside the output",
         "{\"usage\":{\"prompt_tokens\":32,\"completion_tokens\":9,\"total_tokens\":135,\"completion_tokens_"
         "details\":"
         "{\"reasoning_tokens\":94}}}",
         true,
         {32, 103, 0, 0},
         0,
         0,
         0,
         false},
        {"Gemini: no output named",
         "{\"usage\":{\"prompt_tokens\":7,\"total_tokens\":57}}",
         true,
         {7, 50, 0, 0},
         0,
         0,
         0,
         false},
        {"one reasoning under three names counts once",
         "{\"choices\":[{\"message\":{\"reasoning\":\"abcde\",\"reasoning_content\":\"abcde\",\"reasoning_"
         "details\":"
         "[{\"type\":\"reasoning.text\",\"text\":\"abcde\",\"format\":\"unknown\",\"index\":0}],\"content\":"
         "\"x\"}}]}",
         false,
         {0},
         1,
         1,
         6,
         false},
        {"content in parts",
         "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\","
         "\"text\":\"ab\"}]},"
         "{\"type\":\"text\",\"text\":\"cde\"}]}}]}",
         false,
         {0},
         1,
         1,
         5,
         false},
        {"a refusal, an old function call, a sound",
         "{\"choices\":[{\"message\":{\"refusal\":\"no\"}},{\"message\":{\"function_call\":{\"name\":\"f\","
         "\"arguments\":\"{}\"}}},"
         "{\"message\":{\"audio\":{\"id\":\"audio_1\",\"expires_at\":1,\"data\":\"AAAAAAAA\",\"transcript\":"
         "\"hey\"}}}]}",
         false,
         {0},
         3,
         3,
         2 + 3 + 3,
         false},
        {"no usage",
         "{\"choices\":[{\"message\":{\"content\":\"abc\"},\"finish_reason\":\"stop\"}]}",
         false,
         {0},
         1,
         1,
         3,
         true},
        {"escaped names",
         "{\"us\\u0061ge\":{\"prompt_tokens\":4,\"completion_tokens\":\n5}}",
         true,
         {4, 5, 0, 0},
         0,
         0,
         0,
         false},
        {"strange types",
         "{\"choices\":{\"a\":[1]},\"usage\":[1],\"error\":null,\"object\":{},\"output\":1}",
         false,
         {0},
         0,
         0,
         0,
         false},
        {"stranger types",
         "{\"choices\":[1,\"a\",[{}],{\"delta\":[1],\"message\":\"a\",\"text\":{\"type\":\"x\"}}]}",
         false,
         {0},
         4,
         0,
         0,
         false},
};

static void of_providers(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT(answers); i++) {
                struct tk_oa_usage out;
                if (tk_oa_response_read(tk_str_of(answers[i].body), &out) != TK_OK)
                        WRONG("%s: not read", answers[i].name);
                if (out.has_usage != answers[i].has_usage ||
                    memcmp(&out.tokens, &answers[i].tokens, sizeof(out.tokens)) != 0)
                        WRONG("%s: %d %d %d %d %d", answers[i].name, out.has_usage, (int)out.tokens.input,
                              (int)out.tokens.output, (int)out.tokens.cached, (int)out.tokens.cache_write);
                if (out.choices != answers[i].choices || out.contents != answers[i].contents ||
                    out.content_bytes != answers[i].content_bytes || out.finished != answers[i].finished)
                        WRONG("%s: choices %d, contents %d, bytes %d, finished %d", answers[i].name,
                              (int)out.choices, (int)out.contents, (int)out.content_bytes, out.finished);
                if (out.has_error)
                        WRONG("%s: an error", answers[i].name);
        }
}

static void reports_not_believed(void **state) {
        static const struct {
                const char *usage;
                bool nonsense;
        } rows[] = {
                {"null", false},
                {"{}", true},
                {"[]", true},
                {"7", true},
                {"{\"completion_tokens\":5}", true},
                {"{\"prompt_tokens\":-1,\"completion_tokens\":5}", true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":-5}", true},
                {"{\"prompt_tokens\":5.5,\"completion_tokens\":5}", true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":5.0}", true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":1e2}", true},
                {"{\"prompt_tokens\":\"5\",\"completion_tokens\":5}", true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":true}", true},
                {"{\"prompt_tokens\":{},\"completion_tokens\":[5]}", true},
                {"{\"prompt_tokens\":1000000000001,\"completion_tokens\":5}", true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":1000000000001}", true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":99999999999999999999999}", true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":"
                 "6}}",
                 true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":"
                 "3,"
                 "\"cache_creation_input_tokens\":3}}",
                 true},
                {"{\"prompt_tokens\":5,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":-"
                 "1}}",
                 true},
                {"{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}", true},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                char body[300];
                struct tk_oa_usage out;
                sprintf(body, "{\"usage\":%s}", rows[i].usage);
                assert_ok(tk_oa_response_read(tk_str_of(body), &out));
                if (out.has_usage || out.nonsense != rows[i].nonsense || out.tokens.input ||
                    out.tokens.output)
                        WRONG("%s", body);
        }
}

/* These look odd and are fine. */
static void reports_believed(void **state) {
        static const struct {
                const char *usage;
                struct tk_tokens tokens;
        } rows[] = {
                {"{\"prompt_tokens\":5,\"completion_tokens\":0}", {5, 0, 0, 0}},
                {"{\"prompt_tokens\":5,\"completion_tokens\":null}", {5, 0, 0, 0}},
                {"{\"prompt_tokens\":0,\"completion_tokens\":3}", {0, 3, 0, 0}},
                {"{\"prompt_tokens\":1000000000000,\"completion_tokens\":1}", {1000000000000, 1, 0, 0}},
                {"{\"prompt_tokens\":5,\"completion_tokens\":3,\"total_tokens\":2}", {5, 3, 0, 0}},
                {"{\"prompt_tokens\":5,\"completion_tokens\":3,\"total_tokens\":-8}", {5, 3, 0, 0}},
                {"{\"prompt_tokens\":5,\"completion_tokens\":3,\"total_tokens\":8.5}", {5, 3, 0, 0}},
                {"{\"prompt_tokens\":5,\"completion_tokens\":3,\"prompt_tokens_details\":[1],\"x\":{\"prompt_"
                 "tokens\":9}}",
                 {5, 3, 0, 0}},
                {"{\"prompt_tokens\":5,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":"
                 "5}}",
                 {5, 3, 5, 0}},
                {"{\"prompt_tokens\":5,\"input_tokens\":5,\"completion_tokens\":3,\"output_tokens\":3}",
                 {5, 3, 0, 0}},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                char body[300];
                struct tk_oa_usage out;
                sprintf(body, "{\"usage\":%s}", rows[i].usage);
                assert_ok(tk_oa_response_read(tk_str_of(body), &out));
                if (!out.has_usage || out.nonsense ||
                    memcmp(&out.tokens, &rows[i].tokens, sizeof(out.tokens)) != 0)
                        WRONG("%s: %d %d", body, (int)out.tokens.input, (int)out.tokens.output);
        }
}

static void errors(void **state) {
        static const struct {
                const char *body, *error;
        } rows[] = {
                {"{\"error\":{\"message\":\"Rate limit\",\"type\":\"requests\",\"code\":null}}",
                 "{\"message\":\"Rate limit\",\"type\":\"requests\",\"code\":null}"},
                {"{\"error\":\"Insufficient balance\"}", "\"Insufficient balance\""},
                {"{\"object\":\"error\",\"message\":\"boom\",\"code\":400}",
                 "{\"object\":\"error\",\"message\":\"boom\",\"code\":400}"},
        };
        struct tk_oa_usage out;
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                assert_ok(tk_oa_response_read(tk_str_of(rows[i].body), &out));
                if (!out.has_error || !tk_str_is(out.error, rows[i].error))
                        WRONG("%s", rows[i].body);
        }
}

static void what_is_no_answer(void **state) {
        static const char *const bodies[] = {"",
                                             "null",
                                             "[]",
                                             "<html>",
                                             "{\"usage\":{\"prompt_tokens\":5",
                                             "{}{}",
                                             "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":5}}x"};
        struct tk_oa_usage out;
        (void)state;
        for (size_t i = 0; i < COUNT(bodies); i++)
                if (tk_oa_response_read(tk_str_of(bodies[i]), &out) != TK_E_SYNTAX || out.has_usage ||
                    out.tokens.input)
                        WRONG("%s", bodies[i]);
}

/* Every answer cut short at every byte is an error and reports nothing. */
static void every_cut(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT(answers); i++)
                for (size_t len = 0; len < strlen(answers[i].body); len++) {
                        struct tk_oa_usage out;
                        char *cut = malloc(len ? len : 1);
                        assert_non_null(cut);
                        memcpy(cut, answers[i].body, len);
                        if (tk_oa_response_read((struct tk_str){cut, len}, &out) != TK_E_SYNTAX ||
                            out.has_usage)
                                WRONG("%s, %zu bytes of it", answers[i].name, len);
                        free(cut);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(of_providers), TEST(reports_not_believed), TEST(reports_believed),
                TEST(errors),       TEST(what_is_no_answer),    TEST(every_cut),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
