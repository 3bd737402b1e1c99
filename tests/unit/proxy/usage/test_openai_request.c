/* SPDX-License-Identifier: Apache-2.0
 *
 * openai: requests as clients send them, and as someone sends them who wants the gateway to read
 * less than the provider will.
 */
#include "proxy/usage/openai.h"

#include "lib/unit.h"
#include "unit/base/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than the room that the reader has for a name. */
#define LONG_TAIL                                                                                            \
        "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
        "89"

static struct tk_oa_request must_read(const char *body) {
        struct tk_oa_request out;
        enum tk_err err = tk_oa_request_read(tk_str_of(body), &out);
        if (err)
                WRONG("%s: %s", body, out.fault.message);
        return out;
}

static void a_chat_request(void **state) {
        static const char body[] =
                "{\n  \"model\": \"gpt-4o-mini\",\n  \"messages\": [\n"
                "    {\"role\": \"system\", \"content\": \"You are helpful.\"},\n"
                "    {\"role\": \"user\", \"content\": \"Hi \\u00e9!\"}\n  ],\n"
                "  \"temperature\": 0.7, \"max_tokens\": 256, \"stream\": true,\n"
                "  \"stream_options\": {\"include_usage\": true, \"other\": [1]}, \"user\": \"u-1\"\n}";
        struct tk_oa_request r = must_read(body);
        (void)state;
        assert_string_equal(r.model, "gpt-4o-mini");
        assert_int_equal(r.model_len, 11);
        assert_true(r.stream);
        assert_true(r.has_stream_options);
        assert_true(r.stream_options_is_object);
        assert_true(r.include_usage);
        assert_true(tk_str_is(r.stream_options, "{\"include_usage\": true, \"other\": [1]}"));
        assert_true(r.has_max_tokens);
        assert_int_equal(r.max_tokens, 256);
        assert_false(r.has_max_completion_tokens);
        assert_int_equal(r.n, 1);
        assert_int_equal(r.answers, 1);
        assert_int_equal(r.messages, 2);
        assert_int_equal(r.media, 0);
        assert_int_equal(r.input_bytes, strlen(body));
        /* 16 and 6 bytes of text, two messages. */
        assert_int_equal(r.input_estimate, 6 + 2 * TK_OA_MESSAGE_TOKENS);
}

static void the_least_request(void **state) {
        struct tk_oa_request r = must_read("{\"model\":\"m\"}");
        (void)state;
        assert_false(r.stream);
        assert_false(r.has_stream_options);
        assert_false(r.include_usage);
        assert_false(r.has_max_tokens);
        assert_int_equal(r.max_tokens, 0);
        assert_int_equal(r.n, 1);
        assert_int_equal(r.answers, 1);
        assert_int_equal(r.input_estimate, 1);
}

/* Clients write null for what they leave open. */
static void nulls_are_absent(void **state) {
        struct tk_oa_request r =
                must_read("{\"model\":\"m\",\"stream\":null,\"stream_options\":null,\"max_tokens\":null,"
                          "\"max_completion_tokens\":null,\"n\":null,\"best_of\":null,\"tools\":null,"
                          "\"messages\":null}");
        (void)state;
        assert_false(r.stream);
        assert_true(r.has_stream_options);
        assert_false(r.stream_options_is_object);
        assert_true(tk_str_is(r.stream_options, "null"));
        assert_false(r.has_max_tokens);
        assert_false(r.has_max_completion_tokens);
        assert_int_equal(r.n, 1);
        assert_int_equal(r.answers, 1);
        assert_int_equal(r.input_estimate, 1);
        r = must_read("{\"model\":\"m\",\"stream_options\":{\"include_usage\":null}}");
        assert_true(r.stream_options_is_object);
        assert_false(r.include_usage);
        r = must_read("{\"model\":\"m\",\"stream_options\":{}}");
        assert_true(tk_str_is(r.stream_options, "{}"));
}

static void model_names(void **state) {
        char body[300], name[TK_OA_MODEL_MAX + 2];
        struct tk_oa_request r = must_read("{\"mod\\u0065l\":\"venice\\/uncensored:a\\u003db \\u00e9\"}");
        (void)state;
        assert_string_equal(r.model, "venice/uncensored:a=b \xC3\xA9");
        memset(name, 'x', sizeof(name));
        name[TK_OA_MODEL_MAX] = '\0';
        sprintf(body, "{\"model\":\"%s\"}", name);
        assert_int_equal(must_read(body).model_len, TK_OA_MODEL_MAX);
        name[TK_OA_MODEL_MAX] = 'x';
        name[TK_OA_MODEL_MAX + 1] = '\0';
        sprintf(body, "{\"model\":\"%s\"}", name);
        assert_int_equal(tk_oa_request_read(tk_str_of(body), &r), TK_E_RANGE);
        assert_string_equal(r.fault.code, "string_above_max_length");
}

static void how_many_answers(void **state) {
        static const struct {
                const char *members;
                uint64_t n, answers;
        } rows[] = {
                {"\"n\":1", 1, 1},
                {"\"n\":128", 128, 128},
                {"\"n\":2,\"best_of\":5", 2, 5},
                {"\"n\":3,\"best_of\":1", 3, 3},
                {"\"prompt\":\"a\"", 1, 1},
                {"\"prompt\":[\"a\",\"b\",\"c\"]", 1, 3},
                {"\"prompt\":[\"a\",\"b\"],\"n\":4", 4, 8},
                {"\"prompt\":[1,2,3],\"n\":2", 2, 2},
                {"\"prompt\":[[1,2],[3],[]]", 1, 3},
                {"\"prompt\":[]", 1, 1},
                {"\"prompt\":null", 1, 1},
                {"\"input\":[\"a\",\"b\"]", 1, 1},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                char body[200];
                sprintf(body, "{%s,\"model\":\"m\"}", rows[i].members);
                struct tk_oa_request r = must_read(body);
                if (r.n != rows[i].n || r.answers != rows[i].answers)
                        WRONG("%s: n %d, answers %d", body, (int)r.n, (int)r.answers);
        }
}

static void estimates(void **state) {
        static const struct {
                const char *name, *members;
                uint64_t estimate, media;
        } rows[] = {
                {"nothing", "\"messages\":[]", 1, 0},
                {"an empty message", "\"messages\":[{\"role\":\"user\",\"content\":\"\"}]", 4, 0},
                {"rounds up", "\"messages\":[{\"role\":\"user\",\"content\":\"12345\"}]", 4 + 2, 0},
                {"escapes count as what they mean", "\"prompt\":\"\\u20ac\\n\\n\\n\\n\\n\"", 2, 0},
                {"parts",
                 "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"1234\"},"
                 "{\"type\":\"text\",\"text\":\"5678\"}]}]",
                 4 + 2, 0},
                {"an image by address",
                 "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
                 "\"image_url\":{\"url\":\"https://example.org/a.png\"}}]}]",
                 4 + 1000, 1},
                {"an image inside",
                 "\"messages\":[{\"role\":\"user\",\"content\":[{\"image_url\":{\"url\":"
                 "\"data:image/png;base64,AAAAAAAAAAAAAAAA\"},\"type\":\"image_url\"},"
                 "{\"type\":\"text\",\"text\":\"1234\"}]}]",
                 4 + 1 + 1000, 1},
                {"sound and file",
                 "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\","
                 "\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}},{\"type\":\"file\","
                 "\"file\":{\"file_id\":\"file-1\"}}]}]",
                 4 + 2000, 2},
                {"no image", "\"messages\":[{\"role\":\"user\",\"content\":\"12\",\"image_url\":null}]",
                 4 + 1, 0},
                {"tool calls",
                 "\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\","
                 "\"type\":\"function\",\"function\":{\"name\":\"abcd\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
                 "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"4\"}]",
                 8 + 3, 0},
                {"tools count whole", "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"abcd\"}}]",
                 12, 0},
                {"a prompt", "\"prompt\":\"12345678\"", 2, 0},
                {"prompts", "\"prompt\":[\"1234\",\"5678\"],\"suffix\":\"1234\"", 3, 0},
                {"token ids", "\"prompt\":[1,22,333, 4444]", 4, 0},
                {"lists of token ids", "\"input\":[[1,2],[3],[]]", 3, 0},
                {"embeddings", "\"input\":[\"1234\",\"56789\"]", 3, 0},
                {"not a list", "\"messages\":{\"a\":\"1234\"}", 1, 0},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                char body[1000];
                sprintf(body, "{%s,\"model\":\"m\"}", rows[i].members);
                struct tk_oa_request r = must_read(body);
                if (r.input_estimate != rows[i].estimate || r.media != rows[i].media)
                        WRONG("%s: %d, media %d", rows[i].name, (int)r.input_estimate, (int)r.media);
        }
}

static void refusals(void **state) {
        static const struct {
                const char *body;
                enum tk_err err;
                const char *param, *code;
        } rows[] = {
                {"{}", TK_E_RANGE, "model", "missing_required_parameter"},
                {"{\"messages\":[]}", TK_E_RANGE, "model", "missing_required_parameter"},
                {"{\"model\":null}", TK_E_RANGE, "model", "invalid_type"},
                {"{\"model\":7}", TK_E_RANGE, "model", "invalid_type"},
                {"{\"model\":[\"m\"]}", TK_E_RANGE, "model", "invalid_type"},
                {"{\"model\":\"\"}", TK_E_RANGE, "model", "invalid_value"},
                {"{\"model\":\"a\\u0000b\"}", TK_E_RANGE, "model", "invalid_value"},
                {"{\"model\":\"a\\r\\nX: y\"}", TK_E_RANGE, "model", "invalid_value"},
                {"{\"model\":\"m\",\"stream\":\"true\"}", TK_E_RANGE, "stream", "invalid_type"},
                {"{\"model\":\"m\",\"stream\":1}", TK_E_RANGE, "stream", "invalid_type"},
                {"{\"model\":\"m\",\"stream\":{}}", TK_E_RANGE, "stream", "invalid_type"},
                {"{\"model\":\"m\",\"stream_options\":true}", TK_E_RANGE, "stream_options", "invalid_type"},
                {"{\"model\":\"m\",\"stream_options\":[{}]}", TK_E_RANGE, "stream_options", "invalid_type"},
                {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":1}}", TK_E_RANGE,
                 "stream_options.include_usage", "invalid_type"},
                {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
                 TK_E_CONFLICT, "stream_options.include_usage", "duplicate_parameter"},
                {"{\"model\":\"m\",\"stream_options\":{\"Include_Usage\":true}}", TK_E_CONFLICT,
                 "stream_options.include_usage", "ambiguous_parameter"},
                {"{\"model\":\"m\",\"max_tokens\":0}", TK_E_RANGE, "max_tokens", "invalid_value"},
                {"{\"model\":\"m\",\"max_tokens\":-1}", TK_E_RANGE, "max_tokens", "invalid_value"},
                {"{\"model\":\"m\",\"max_tokens\":1.5}", TK_E_RANGE, "max_tokens", "invalid_value"},
                {"{\"model\":\"m\",\"max_tokens\":1e3}", TK_E_RANGE, "max_tokens", "invalid_value"},
                {"{\"model\":\"m\",\"max_tokens\":\"5\"}", TK_E_RANGE, "max_tokens", "invalid_type"},
                {"{\"model\":\"m\",\"max_tokens\":1000000000001}", TK_E_RANGE, "max_tokens", "invalid_value"},
                {"{\"model\":\"m\",\"max_tokens\":99999999999999999999999}", TK_E_RANGE, "max_tokens",
                 "invalid_value"},
                {"{\"model\":\"m\",\"max_completion_tokens\":0}", TK_E_RANGE, "max_completion_tokens",
                 "invalid_value"},
                {"{\"model\":\"m\",\"n\":0}", TK_E_RANGE, "n", "invalid_value"},
                {"{\"model\":\"m\",\"n\":129}", TK_E_RANGE, "n", "invalid_value"},
                {"{\"model\":\"m\",\"n\":2.0}", TK_E_RANGE, "n", "invalid_value"},
                {"{\"model\":\"m\",\"n\":[2]}", TK_E_RANGE, "n", "invalid_type"},
                {"{\"model\":\"m\",\"best_of\":129}", TK_E_RANGE, "best_of", "invalid_value"},
                /* The provider may read another copy than we did. */
                {"{\"model\":\"cheap\",\"model\":\"dear\"}", TK_E_CONFLICT, "model", "duplicate_parameter"},
                {"{\"model\":\"cheap\",\"mod\\u0065l\":\"dear\"}", TK_E_CONFLICT, "model",
                 "duplicate_parameter"},
                {"{\"model\":\"m\",\"stream\":false,\"stream\":true}", TK_E_CONFLICT, "stream",
                 "duplicate_parameter"},
                {"{\"model\":\"m\",\"max_tokens\":1,\"max_tokens\":9}", TK_E_CONFLICT, "max_tokens",
                 "duplicate_parameter"},
                {"{\"model\":\"m\",\"max_completion_tokens\":1,\"max_completion_tokens\":9}", TK_E_CONFLICT,
                 "max_completion_tokens", "duplicate_parameter"},
                {"{\"model\":\"m\",\"stream_options\":{},\"stream_options\":{}}", TK_E_CONFLICT,
                 "stream_options", "duplicate_parameter"},
                {"{\"model\":\"m\",\"n\":1,\"n\":9}", TK_E_CONFLICT, "n", "duplicate_parameter"},
                {"{\"model\":\"m\",\"prompt\":\"a\",\"prompt\":[\"a\",\"b\"]}", TK_E_CONFLICT, "prompt",
                 "duplicate_parameter"},
                /* Decoders that ignore case would take these for the real thing. */
                {"{\"model\":\"cheap\",\"Model\":\"dear\"}", TK_E_CONFLICT, "model", "ambiguous_parameter"},
                {"{\"model\":\"m\",\"MAX_TOKENS\":9}", TK_E_CONFLICT, "max_tokens", "ambiguous_parameter"},
                {"{\"model\":\"m\",\"max_to\\u212Aens\":9}", TK_E_CONFLICT, "max_tokens",
                 "ambiguous_parameter"},
                {"{\"model\":\"m\",\"\xC5\xBFtream\":true}", TK_E_CONFLICT, "stream", "ambiguous_parameter"},
                {"{\"model\":\"m\",\"N\":9}", TK_E_CONFLICT, "n", "ambiguous_parameter"},
                /* Where text ends at a NUL, so does a name. */
                {"{\"model\":\"m\",\"n\\u0000\":9}", TK_E_CONFLICT, "n", "ambiguous_parameter"},
                {"{\"model\":\"m\",\"max_tokens\\u0000" LONG_TAIL "\":9}", TK_E_CONFLICT, "max_tokens",
                 "ambiguous_parameter"},
                /* Members that some provider reads beside or above ours. */
                {"{\"model\":\"m\",\"max_tokens\":1,\"n_predict\":9}", TK_E_RANGE, "n_predict",
                 "unsupported_parameter"},
                {"{\"model\":\"m\",\"max_output_tokens\":9}", TK_E_RANGE, "max_output_tokens",
                 "unsupported_parameter"},
                {"{\"model\":\"m\",\"Max_New_Tokens\":9}", TK_E_RANGE, "max_new_tokens",
                 "unsupported_parameter"},
                {"{\"model\":\"m\",\"candidate_count\":9}", TK_E_RANGE, "candidate_count",
                 "unsupported_parameter"},
                {"{\"model\":\"cheap\",\"models\":[\"dear\"]}", TK_E_RANGE, "models",
                 "unsupported_parameter"},
                {"{\"model\":\"cheap\",\"f\\u0061llbacks\":[\"dear\"]}", TK_E_RANGE, "fallbacks",
                 "unsupported_parameter"},
                /* The first in the body is the one that is named. */
                {"{\"n\":0,\"stream\":1}", TK_E_RANGE, "n", "invalid_value"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_oa_request r;
                enum tk_err err = tk_oa_request_read(tk_str_of(rows[i].body), &r);
                if (err != rows[i].err || !r.fault.param || strcmp(r.fault.param, rows[i].param) != 0 ||
                    strcmp(r.fault.code, rows[i].code) != 0 || !strstr(r.fault.message, rows[i].param))
                        WRONG("%s: %s, %s, %s", rows[i].body, tk_err_name(err), r.fault.param,
                              r.fault.message);
        }
}

static void names_that_only_look_alike(void **state) {
        (void)state;
        must_read("{\"model\":\"m\",\"models\":null,\"n_predict\":null,\"mode\":2,\"model "
                  "\":3,\"streams\":4,\"\":5,\"nn\":6,"
                  "\"a_name_that_is_much_longer_than_any_that_is_looked_for_and_longer_than_the_room_for_one_"
                  "of_them\":7,"
                  "\"n\\\\u0000\":8,\"metadata\":{\"model\":9,\"MODEL\":10,\"stream\":11,\"n\":12}}");
}

static void what_is_no_object(void **state) {
        static const struct {
                const char *body;
                size_t at_byte;
        } rows[] = {
                {"", 0},
                {"null", 0},
                {"[]", 0},
                {"[{\"model\":\"m\"}]", 0},
                {"\"model\"", 0},
                {"{\"model\":\"m\"", 12},
                {"{\"model\":\"m\"}}", 13},
                {"{\"n\":0,\"model\":\"m\",}", 19},
                {"{\"model\":\"\xFF\"}", 10},
                {"model=m", 0},
                {"{\"stream\":tru", 13},
                {"{\"prompt\":[1,", 13},
                {"{\"prompt\":[[1,", 14},
                {"[1", 2},
        };
        char deep[400] = "{\"model\":\"m\",\"messages\":";
        struct tk_oa_request r;
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                enum tk_err err = tk_oa_request_read(tk_str_of(rows[i].body), &r);
                if (err != TK_E_SYNTAX || r.fault.param || r.fault.at_byte != rows[i].at_byte ||
                    !r.fault.message)
                        WRONG("%s: %s, at byte %zu", rows[i].body, tk_err_name(err), r.fault.at_byte);
        }
        size_t len = strlen(deep);
        memset(deep + len, '[', 300);
        assert_int_equal(tk_oa_request_read((struct tk_str){deep, len + 300}, &r), TK_E_TOO_BIG);
        assert_int_equal(r.fault.at_byte, len + 63);
        assert_non_null(strstr(r.fault.message, "deep"));
}

/* Every body cut short at every byte is an error and never a smaller request. */
static void every_cut(void **state) {
        static const char body[] =
                "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
                "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\\u00e9\"},"
                "{\"image_url\":{\"url\":\"x\"}}]}],\"prompt\":[\"a\",[1,2],3],\"max_tokens\":12,\"n\":2}";
        (void)state;
        must_read(body);
        for (size_t len = 0; len < sizeof(body) - 1; len++) {
                struct tk_oa_request r;
                char *cut = malloc(len ? len : 1);
                assert_non_null(cut);
                memcpy(cut, body, len);
                assert_int_equal(tk_oa_request_read((struct tk_str){cut, len}, &r), TK_E_SYNTAX);
                assert_int_equal(r.fault.at_byte <= len, 1);
                free(cut);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(a_chat_request), TEST(the_least_request),          TEST(nulls_are_absent),
                TEST(model_names),    TEST(how_many_answers),           TEST(estimates),
                TEST(refusals),       TEST(names_that_only_look_alike), TEST(what_is_no_object),
                TEST(every_cut),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
