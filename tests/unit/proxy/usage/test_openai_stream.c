/* SPDX-License-Identifier: Apache-2.0
 *
 * openai: whole streams of several providers, through the event reader, chunk by chunk into a meter:
 * what is to be charged at the end, and after each chunk when the client leaves there.
 */
#include "proxy/usage/openai.h"

#include "lib/unit.h"
#include "unit/base/table.h"
#include "wire/sse.h"

#include <stdio.h>
#include <string.h>

#define INPUT_ESTIMATE 777
#define CHUNK(choices)                                                                                       \
        "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":" choices
#define DELTA(delta) "[{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":null}]"
#define STOP         "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]"
#define DONE         "data: [DONE]\n\n"

static const struct {
        const char *name, *bytes;
        bool exact; /* the provider reported all of it */
        struct tk_tokens tokens;
        unsigned usage_only; /* chunks to drop for a client that did not ask */
        bool done, finished, error;
} streams[] = {
        {"OpenAI with include_usage",
         CHUNK(DELTA(
                 "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null")) ",\"usage\":null}"
                                                                              "\n\n" CHUNK(DELTA(
                                                                                      "\"conte"
                                                                                      "nt\":"
                                                                                      "\"Hello"
                                                                                      "\"")) ",\"usage\":"
                                                                                             "null}"
                                                                                             "\n\n" CHUNK(DELTA(
                                                                                                     "\"conte"
                                                                                                     "nt\":"
                                                                                                     "\" "
                                                                                                     "you\"")) ",\"usage"
                                                                                                               "\":null}"
                                                                                                               "\n"
                                                                                                               "\n" CHUNK(STOP) ",\"usage\":null}\n\n" CHUNK(
                                                                                                                       "[]") ",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,"
                                                                                                                             "\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\n" DONE,
         true,
         {9, 2, 4, 0},
         1,
         true,
         true,
         false},
        {"OpenAI without usage",
         CHUNK(DELTA("\"role\":\"assistant\",\"content\":\"\"")) "}\n\n" CHUNK(DELTA(
                 "\"content\":\"Hello\"")) "}\n\n" CHUNK(DELTA("\"content\":\" you\"")) "}\n\n" CHUNK(STOP) "}\n\n" DONE,
         false,
         {INPUT_ESTIMATE, 3, 0, 0},
         0,
         true,
         true,
         false},
        {"cut before the usage",
         CHUNK(DELTA("\"content\":\"a\"")) "}\n\n" CHUNK(DELTA("\"content\":\"b\"")) "}\n\n" CHUNK(
                 DELTA("\"content\":\"c\"")) "}\n\n"
                                             "data: {\"id\":\"c1\",\"choi",
         false,
         {INPUT_ESTIMATE, 3 + 1, 0, 0},
         0,
         false,
         false,
         false},
        {"Azure: filter results first, CR LF",
         "data: "
         "{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":"
         "[{\"prompt_index\":0,"
         "\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"}}}]}\r\n\r\n"
         "data: "
         "{\"choices\":[{\"content_filter_results\":{},\"delta\":{\"content\":\"\",\"role\":\"assistant\"},"
         "\"finish_reason\":null,"
         "\"index\":0}],\"usage\":null}\r\n\r\n"
         "data: "
         "{\"choices\":[{\"content_filter_results\":{\"hate\":{\"filtered\":false}},\"delta\":{\"content\":"
         "\"Yes\"},"
         "\"finish_reason\":null,\"index\":0}],\"usage\":null}\r\n\r\n"
         "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"index\":0}],\"usage\":null}\r\n\r\n"
         "data: "
         "{\"choices\":[],\"usage\":{\"completion_tokens\":1,\"prompt_tokens\":14,\"total_tokens\":15}}"
         "\r\n\r\ndata: [DONE]\r\n\r\n",
         true,
         {14, 1, 0, 0},
         1,
         true,
         true,
         false},
        {"vLLM with continuous usage",
         CHUNK(DELTA("\"role\":\"assistant\",\"content\":\"\"")) ",\"usage\":{\"prompt_tokens\":6,\"total_"
                                                                 "tokens\":6,\"completion_tokens\":0}}"
                                                                 "\n\n" CHUNK(DELTA("\"content\":\"one\"")) ",\"usage\":{\"prompt_tokens\":6,\"total_tokens\":7,\"completion_tokens\":1}}\n\n" CHUNK(
                                                                         DELTA("\"content\":\" two\"")) ",\"u"
                                                                                                        "sage"
                                                                                                        "\":{"
                                                                                                        "\"pr"
                                                                                                        "ompt"
                                                                                                        "_tok"
                                                                                                        "ens"
                                                                                                        "\":"
                                                                                                        "6,"
                                                                                                        "\"to"
                                                                                                        "tal_"
                                                                                                        "toke"
                                                                                                        "ns\""
                                                                                                        ":9,"
                                                                                                        "\"co"
                                                                                                        "mple"
                                                                                                        "tion"
                                                                                                        "_tok"
                                                                                                        "ens"
                                                                                                        "\":"
                                                                                                        "3}}"
                                                                                                        "\n"
                                                                                                        "\n" DONE,
         true,
         {6, 3, 0, 0},
         0,
         true,
         false,
         false},
        {"usage in the final content chunk",
         CHUNK(DELTA("\"content\":\"one\"")) "}\n\n" CHUNK(
                 "[{\"index\":0,\"delta\":{\"content\":\" two\"},\"finish_reason\":\"stop\"}]") ",\"usage\":{"
                                                                                                "\"prompt_"
                                                                                                "tokens\":6,"
                                                                                                "\"completion"
                                                                                                "_tokens\":2,"
                                                                                                "\"total_"
                                                                                                "tokens\":8}}"
                                                                                                "\n\n" DONE,
         true,
         {6, 2, 0, 0},
         0,
         true,
         true,
         false},
        {"Venice: usage, cost and keep-alives",
         ": keep-alive\n\n" CHUNK(DELTA("\"reasoning_content\":\"think\"")) "}\n\n: keep-alive\n\n" CHUNK(
                 DELTA("\"content\":\"ok\"")) "}\n\n" CHUNK(STOP) "}\n\n" CHUNK("[]") ",\"usage\":{\"prompt_"
                                                                                      "tokens\":5500,"
                                                                                      "\"completion_tokens\":"
                                                                                      "40,\"total_tokens\":"
                                                                                      "5540,\"prompt_tokens_"
                                                                                      "details\":"
                                                                                      "{\"cached_tokens\":"
                                                                                      "5000,\"cache_creation_"
                                                                                      "input_tokens\":500}},"
                                                                                      "\"cost\":{\"diem\":0,"
                                                                                      "\"usd\":0.00042}}"
                                                                                      "\n\n" DONE,
         true,
         {5500, 40, 5000, 500},
         1,
         true,
         true,
         false},
        {"DeepSeek: comments, reasoning, usage with the finish",
         ": keep-alive\n\n: keep-alive\n\n" CHUNK(DELTA(
                 "\"role\":\"assistant\",\"content\":null,\"reasoning_"
                 "content\":\"Let\"")) "}\n\n" CHUNK(DELTA("\"content\":\"Hi\",\"reasoning_content\":"
                                                           "null")) "}\n\n" CHUNK("[{\"index\":0,"
                                                                                  "\"delta\":{"
                                                                                  "\"content\":\"\","
                                                                                  "\"reasoning_"
                                                                                  "content\":null}"
                                                                                  ",\"finish_reason\":"
                                                                                  "\"stop\"}]") ",\"usa"
                                                                                                "ge\":{"
                                                                                                "\"prom"
                                                                                                "pt_"
                                                                                                "tokens"
                                                                                                "\":13,"
                                                                                                "\"comp"
                                                                                                "letion"
                                                                                                "_"
                                                                                                "tokens"
                                                                                                "\":20,"
                                                                                                "\"tota"
                                                                                                "l_"
                                                                                                "tokens"
                                                                                                "\":33,"
                                                                                                "\"prom"
                                                                                                "pt_"
                                                                                                "cache_"
                                                                                                "hit_"
                                                                                                "tokens"
                                                                                                "\":8,"
                                                                                                "\"prom"
                                                                                                "pt_"
                                                                                                "cache_"
                                                                                                "miss_"
                                                                                                "tokens"
                                                                                                "\":5}}"
                                                                                                "\n"
                                                                                                "\n" DONE,
         true,
         {13, 20, 8, 0},
         0,
         true,
         true,
         false},
        {"OpenRouter: processing comments, an error event at the end",
         ": OPENROUTER PROCESSING\n\n" CHUNK(DELTA(
                 "\"content\":\"part\"")) "}\n\n"
                                          "data: "
                                          "{\"id\":\"gen-1\",\"error\":{\"code\":502,\"message\":\"Provider "
                                          "disconnected\"},\"choices\":[{\"index\":0,"
                                          "\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
         false,
         {INPUT_ESTIMATE, 1, 0, 0},
         0,
         false,
         true,
         true},
        {"an error event with an event line",
         "event: error\ndata: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n",
         false,
         {INPUT_ESTIMATE, 0, 0, 0},
         0,
         false,
         false,
         true},
        {"an old vLLM error, then the end",
         CHUNK(DELTA("\"content\":\"ab\"")) "}\n\ndata: "
                                            "{\"object\":\"error\",\"message\":\"boom\",\"type\":"
                                            "\"BadRequestError\",\"code\":400}\n\n" DONE,
         false,
         {INPUT_ESTIMATE, 1, 0, 0},
         0,
         true,
         false,
         true},
        {"tool calls in pieces",
         CHUNK(DELTA(
                 "\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{"
                 "\"name\":\"weather\","
                 "\"arguments\":\"\"}}]")) "}\n\n" CHUNK(DELTA("\"tool_calls\":[{\"index\":0,"
                                                               "\"function\":{\"arguments\":\"{"
                                                               "\\\"a\\\"\"}}]")) "}\n\n" CHUNK(DELTA("\""
                                                                                                      "to"
                                                                                                      "ol"
                                                                                                      "_c"
                                                                                                      "al"
                                                                                                      "ls"
                                                                                                      "\""
                                                                                                      ":["
                                                                                                      "{"
                                                                                                      "\""
                                                                                                      "in"
                                                                                                      "de"
                                                                                                      "x"
                                                                                                      "\""
                                                                                                      ":0"
                                                                                                      ","
                                                                                                      "\""
                                                                                                      "fu"
                                                                                                      "nc"
                                                                                                      "ti"
                                                                                                      "on"
                                                                                                      "\""
                                                                                                      ":{"
                                                                                                      "\""
                                                                                                      "ar"
                                                                                                      "gu"
                                                                                                      "me"
                                                                                                      "nt"
                                                                                                      "s"
                                                                                                      "\""
                                                                                                      ":"
                                                                                                      "\""
                                                                                                      ":1"
                                                                                                      "}"
                                                                                                      "\""
                                                                                                      "}}"
                                                                                                      "]")) "}\n\n" DONE,
         false,
         {INPUT_ESTIMATE, 4, 0, 0},
         0,
         true,
         false,
         false}, /* 14 bytes, 3 chunks */
        {"legacy completion",
         "data: "
         "{\"object\":\"text_completion\",\"choices\":[{\"text\":\"abcdefghi\",\"index\":0,\"finish_reason\":"
         "null}]}\n\n" DONE,
         false,
         {INPUT_ESTIMATE, 3, 0, 0},
         0,
         true,
         false,
         false},
        {"two choices at once",
         CHUNK("[{\"index\":0,\"delta\":{\"content\":\"a\"}},{\"index\":1,\"delta\":{\"content\":\"b\"}}]") "}\n\n" DONE,
         false,
         {INPUT_ESTIMATE, 2, 0, 0},
         0,
         true,
         false,
         false},
        {"an early report does not make the rest free",
         CHUNK(DELTA("\"content\":\"a\"")) ",\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":1,\"total_"
                                           "tokens\":7}}\n\n" CHUNK(DELTA("\"content\":\"b\"")) "}\n\n" CHUNK(
                                                   DELTA("\"content\":\"c\"")) "}\n\n" DONE,
         false,
         {6, 3, 0, 0},
         0,
         true,
         false,
         false},
        {"an output of zero is not believed",
         CHUNK(DELTA("\"content\":\"abcdefgh\"")) "}\n\n" CHUNK(
                 "[]") ",\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":0,\"total_tokens\":6}}"
                       "\n\n" DONE,
         false,
         {6, 2, 0, 0},
         1,
         true,
         false,
         false},
        {"no output at all",
         CHUNK(STOP) "}\n\n" CHUNK("[]") ",\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":0,\"total_"
                                         "tokens\":6}}\n\n" DONE,
         true,
         {6, 0, 0, 0},
         1,
         true,
         true,
         false},
        {"zeros at the end change nothing",
         CHUNK(DELTA("\"content\":\"a\"")) ",\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":1,\"total_"
                                           "tokens\":7}}\n\n" CHUNK(
                                                   "[]") ",\"usage\":{\"prompt_tokens\":0,\"completion_"
                                                         "tokens\":0,\"total_tokens\":0}}\n\n" DONE,
         true,
         {6, 1, 0, 0},
         1,
         true,
         false,
         false},
        {"nonsense is no report",
         CHUNK(DELTA("\"content\":\"a\"")) "}\n\n" CHUNK(
                 "[]") ",\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":-1}}\n\n" DONE,
         false,
         {INPUT_ESTIMATE, 1, 0, 0},
         1,
         true,
         false,
         false},
        {"a chunk that is no JSON is charged by its bytes",
         CHUNK(DELTA("\"content\":\"a\"")) "}\n\ndata: 12345678 what?\n\n" DONE,
         false,
         {INPUT_ESTIMATE, 4, 0, 0},
         0,
         true,
         false,
         false}, /* 14 + 1 bytes */
        {"DONE without a space", "data:[DONE]\n\n", false, {INPUT_ESTIMATE, 0, 0, 0}, 0, true, false, false},
};

static void assert_same(const struct tk_oa_chunk *a, const struct tk_oa_chunk *b) {
        assert_int_equal(a->is_done, b->is_done);
        assert_int_equal(a->usage_only, b->usage_only);
        assert_int_equal(a->usage.has_usage, b->usage.has_usage);
        assert_int_equal(a->usage.nonsense, b->usage.nonsense);
        assert_int_equal(a->usage.finished, b->usage.finished);
        assert_int_equal(a->usage.has_error, b->usage.has_error);
        assert_true(tk_str_eq(a->usage.error, b->usage.error));
        assert_memory_equal(&a->usage.tokens, &b->usage.tokens, sizeof(a->usage.tokens));
        assert_int_equal(a->usage.choices, b->usage.choices);
        assert_int_equal(a->usage.contents, b->usage.contents);
        assert_int_equal(a->usage.content_bytes, b->usage.content_bytes);
        assert_int_equal(a->usage.texts, b->usage.texts);
        assert_true(tk_str_eq(a->usage.text, b->usage.text));
}

/* What the proxy does with a stream. */
struct reading {
        struct tk_oa_meter meter;
        struct tk_oa_like like;
        unsigned usage_only;
        bool done, finished, error;
};

static void take(struct reading *r, const struct tk_sse_event *event) {
        struct tk_oa_chunk chunk, whole;
        uint64_t before = tk_oa_meter_output(&r->meter);
        if (!event->has_data)
                return;
        enum tk_err err = tk_oa_chunk_read_like(&r->like, event->data, &chunk);
        assert_int_equal(tk_oa_chunk_read(event->data, &whole), err);
        assert_same(&chunk, &whole);
        if (err != TK_OK) {
                tk_oa_meter_take_opaque(&r->meter, event->data.len);
                return;
        }
        tk_oa_meter_take(&r->meter, &chunk.usage);
        r->usage_only += chunk.usage_only;
        r->done |= chunk.is_done;
        r->finished |= chunk.usage.finished;
        r->error |= chunk.usage.has_error;
        /* A client that leaves here has had what was counted so far: content is counted at once. */
        if (chunk.usage.content_bytes > 0 && !chunk.usage.has_usage)
                assert_true(tk_oa_meter_output(&r->meter) > before || chunk.usage.content_bytes < 4);
}

static void of_providers(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT(streams); i++) {
                struct reading r = {0};
                struct tk_sse sse;
                struct tk_sse_event event;
                struct tk_tokens tokens;
                tk_sse_init(&sse);
                assert_ok(tk_sse_feed(&sse, tk_str_of(streams[i].bytes)));
                while (tk_sse_next(&sse, &event))
                        take(&r, &event);
                if (tk_sse_finish(&sse, &event)) {
                        /* A broken last event: it is at most counted as one token here. */
                        struct tk_oa_chunk chunk;
                        assert_int_equal(tk_oa_chunk_read(event.data, &chunk), TK_E_SYNTAX);
                        tk_oa_meter_take_opaque(&r.meter, 1);
                }
                tk_sse_free(&sse);
                bool exact = tk_oa_meter_tokens(&r.meter, INPUT_ESTIMATE, &tokens);
                if (exact != streams[i].exact || memcmp(&tokens, &streams[i].tokens, sizeof(tokens)) != 0)
                        WRONG("%s: exact %d, %d %d %d %d", streams[i].name, exact, (int)tokens.input,
                              (int)tokens.output, (int)tokens.cached, (int)tokens.cache_write);
                if (r.usage_only != streams[i].usage_only || r.done != streams[i].done ||
                    r.finished != streams[i].finished || r.error != streams[i].error)
                        WRONG("%s: usage_only %u, done %d, finished %d, error %d", streams[i].name,
                              r.usage_only, r.done, r.finished, r.error);
        }
}

static void chunks_that_only_carry_usage(void **state) {
        static const struct {
                const char *data;
                bool usage_only;
        } rows[] = {
                {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}", true},
                {"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1},\"choices\":[ ]}", true},
                {"{\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}", true},
                {"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}", true},
                {"{\"choices\":[],\"usage\":null}", false},
                {"{\"choices\":[]}", false},
                {"{\"choices\":[{}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}", false},
                {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1},\"error\":\"x\"}",
                 false},
                {"[DONE]", false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_oa_chunk chunk;
                assert_ok(tk_oa_chunk_read(tk_str_of(rows[i].data), &chunk));
                if (chunk.usage_only != rows[i].usage_only)
                        WRONG("%s", rows[i].data);
        }
}

#define EVENT(content) "{\"choices\":[{\"index\":0,\"delta\":{\"content\":" content "}}],\"usage\":null}"

/* Each after the first: what stands between the same bytes must be one string, and is counted anew. */
static void an_event_like_the_one_before(void **state) {
        static const char *const events[] = {
                EVENT("\"Hello\""),
                EVENT("\" you\""),
                EVENT("\"\""),
                EVENT("\"a \\\"quoted\\\" \\u00e4\\n\""),
                EVENT("\"\xC3\xA4\xE2\x82\xAC\""),
                EVENT("\"\xC3\""),
                EVENT("\"a\tb\""),
                EVENT("\"a\\\""),
                EVENT("\"a\",\"refusal\":\"bcd\""),
                EVENT("\"a\"}},{\"index\":1,\"delta\":{\"content\":\"b\""),
                EVENT("null"),
                EVENT(" \"spaced\" "),
                EVENT("[\"in\",\"pieces\"]"),
                EVENT("17"),
                EVENT("\""),
                EVENT(""),
                "{\"choices\":[{\"index\":0,\"delta\":{\"content\":",
                "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}}],\"usage\":null}",
                "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"again\"}}],\"usage\":null}",
                "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}}],\"object\":\"error\"}",
                "[DONE]",
        };
        (void)state;
        for (size_t i = 0; i < COUNT(events); i++) {
                for (size_t j = 0; j < COUNT(events); j++) {
                        struct tk_oa_like like = {0};
                        struct tk_oa_chunk chunk, whole;
                        (void)!tk_oa_chunk_read_like(&like, tk_str_of(events[i]), &chunk);
                        enum tk_err err = tk_oa_chunk_read(tk_str_of(events[j]), &whole);
                        assert_int_equal(tk_oa_chunk_read_like(&like, tk_str_of(events[j]), &chunk), err);
                        assert_same(&chunk, &whole);
                }
        }
}

/* The short way is taken, or the comparison above would say nothing: a wrong memory shows in the answer. */
static void a_like_event_is_not_read_again(void **state) {
        struct tk_oa_like like = {0};
        struct tk_oa_chunk chunk;
        char large[TK_OA_LIKE_MAX + 256];
        (void)state;
        assert_ok(tk_oa_chunk_read_like(&like, TK_STR(EVENT("\"Hello\"")), &chunk));
        like.chunk.usage.choices = 99;
        assert_ok(tk_oa_chunk_read_like(&like, TK_STR(EVENT("\"you\"")), &chunk));
        assert_int_equal(chunk.usage.choices, 99);
        assert_int_equal(chunk.usage.content_bytes, 3);
        /* One that is too large is not remembered, and does not disturb the one that is. */
        int len = snprintf(large, sizeof(large), "{\"x\":\"%0*d\",\"choices\":[{\"text\":\"a\"}]}",
                           TK_OA_LIKE_MAX, 0);
        for (int i = 0; i < 2; i++) {
                assert_ok(tk_oa_chunk_read_like(&like, (struct tk_str){large, (size_t)len}, &chunk));
                assert_int_equal(chunk.usage.choices, 1);
        }
        assert_ok(tk_oa_chunk_read_like(&like, TK_STR(EVENT("\"you\"")), &chunk));
        assert_int_equal(chunk.usage.choices, 99);
}

static void done_or_not(void **state) {
        struct tk_oa_chunk chunk;
        (void)state;
        assert_ok(tk_oa_chunk_read(TK_STR("[DONE]"), &chunk));
        assert_true(chunk.is_done);
        assert_ok(tk_oa_chunk_read(TK_STR(" [DONE] "), &chunk));
        assert_true(chunk.is_done);
        assert_int_equal(tk_oa_chunk_read(TK_STR("[done]"), &chunk), TK_E_SYNTAX);
        assert_false(chunk.is_done);
        assert_int_equal(tk_oa_chunk_read(TK_STR("[DONE]]"), &chunk), TK_E_SYNTAX);
        assert_int_equal(tk_oa_chunk_read(TK_STR(""), &chunk), TK_E_SYNTAX);
        assert_int_equal(tk_oa_chunk_read(TK_STR("[]"), &chunk), TK_E_SYNTAX);
}

static void the_meter_stays_in_its_range(void **state) {
        struct tk_oa_meter meter = {0};
        struct tk_tokens tokens;
        (void)state;
        assert_int_equal(tk_oa_meter_output(&meter), 0);
        assert_false(tk_oa_meter_tokens(&meter, UINT64_MAX, &tokens));
        assert_true(tokens.input == TK_TOKENS_MAX && tokens.output == 0);
        tk_oa_meter_take_opaque(&meter, 0);
        assert_int_equal(tk_oa_meter_output(&meter), 0);
        tk_oa_meter_take_opaque(&meter, UINT64_MAX);
        tk_oa_meter_take_opaque(&meter, UINT64_MAX);
        assert_true(tk_oa_meter_output(&meter) == TK_TOKENS_MAX);
        const struct tk_oa_usage report = {.has_usage = true, .tokens = {TK_TOKENS_MAX, TK_TOKENS_MAX, 0, 0}};
        tk_oa_meter_take(&meter, &report);
        assert_true(tk_oa_meter_tokens(&meter, 1, &tokens));
        tk_oa_meter_take_opaque(&meter, 5);
        assert_false(tk_oa_meter_tokens(&meter, 1, &tokens));
        assert_true(tokens.input == TK_TOKENS_MAX && tokens.output == TK_TOKENS_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(of_providers),
                TEST(chunks_that_only_carry_usage),
                TEST(an_event_like_the_one_before),
                TEST(a_like_event_is_not_read_again),
                TEST(done_or_not),
                TEST(the_meter_stays_in_its_range),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
