/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers' JSON is read back with another parser than the one that is used for writing, and every
 * count is checked against the tokenizer.
 */
#include "demo/answer.h"

#include "demo/token.h"
#include "lib/unit.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const char *const models[] = {"demo-small", NULL};
#define ID     "01a20094-8e48-74c8-afd0-b809d4cff653"
#define NOW_MS INT64_C(1795306065123)

static void parse(enum tk_demo_kind kind, const char *body, struct tk_demo_ask *ask) {
        struct tk_demo_problem problem;
        assert_true(tk_demo_ask_parse(kind, tk_str_of(body), TK_STR(""), models, ask, &problem));
}

#define BODY(rest)                                                                                           \
        "{\"model\":\"demo-small\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi \\u20ac\\n there "      \
        "\"}]" rest "}"

static json_t *loads(struct tk_str text) {
        json_error_t error;
        json_t *root = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, &error);
        assert_non_null(root);
        return root;
}

static json_t *write_and_load(const struct tk_demo_answer *answer) {
        struct tk_buf out = TK_BUF(1 << 24);
        tk_demo_answer_write(answer, &out);
        assert_true(tk_buf_ok(&out));
        json_t *root = loads(tk_buf_str(&out));
        tk_buf_free(&out);
        return root;
}

static json_int_t number(const json_t *object, const char *name) {
        const json_t *value = json_object_get(object, name);
        assert_true(json_is_integer(value));
        return json_integer_value(value);
}

static const char *text(const json_t *object, const char *name) {
        const char *value = json_string_value(json_object_get(object, name));
        assert_non_null(value);
        return value;
}

static void counts_are_the_tokenizers(void **state) {
        TK_UNUSED(state);
        for (unsigned length = 1; length < 120; length++) {
                struct tk_demo_ask ask;
                struct tk_demo_answer answer;
                parse(TK_DEMO_CHAT, BODY(",\"n\":2"), &ask);
                tk_demo_answer_init(&answer, &ask, ID, NOW_MS, length);
                json_t *root = write_and_load(&answer), *usage = json_object_get(root, "usage");
                for (size_t i = 0; i < 2; i++) {
                        const json_t *choice = json_array_get(json_object_get(root, "choices"), i);
                        const char *content = text(json_object_get(choice, "message"), "content");
                        assert_int_equal(tk_demo_tokens(tk_str_of(content)), length);
                        assert_true(strncmp(content, "This is Tollkey's demo upstream",
                                            strlen(content) < 31 ? strlen(content) : 31) == 0);
                        assert_string_equal(text(choice, "finish_reason"), "stop");
                }
                assert_int_equal(number(usage, "completion_tokens"), 2 * length);
                assert_int_equal(number(usage, "prompt_tokens"), ask.prompt_tokens);
                assert_int_equal(number(usage, "total_tokens"), 2 * length + ask.prompt_tokens);
                json_decref(root);
        }
}

static void a_limit_cuts_and_says_so(void **state) {
        static const struct {
                const char *body;
                unsigned length;
                const char *finish;
        } cases[] = {
                {BODY(",\"max_tokens\":1"), 1, "length"},
                {BODY(",\"max_tokens\":63"), 63, "length"},
                {BODY(",\"max_tokens\":64"), 64, "stop"},
                {BODY(",\"max_tokens\":65"), 64, "stop"},
                {BODY(",\"max_completion_tokens\":10"), 10, "length"},
                {BODY(",\"max_tokens\":9223372036854775807"), 64, "stop"},
                {BODY(""), 64, "stop"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct tk_demo_ask ask;
                struct tk_demo_answer answer;
                parse(TK_DEMO_CHAT, cases[i].body, &ask);
                tk_demo_answer_init(&answer, &ask, ID, NOW_MS, 64);
                json_t *root = write_and_load(&answer);
                const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
                assert_int_equal(
                        tk_demo_tokens(tk_str_of(text(json_object_get(choice, "message"), "content"))),
                        cases[i].length);
                assert_string_equal(text(choice, "finish_reason"), cases[i].finish);
                json_decref(root);
        }
}

static void the_shape_is_openais(void **state) {
        struct tk_demo_ask ask;
        struct tk_demo_answer answer;
        struct tk_buf out = TK_BUF(1 << 16);
        TK_UNUSED(state);
        parse(TK_DEMO_CHAT, BODY(",\"max_tokens\":2"), &ask);
        tk_demo_answer_init(&answer, &ask, ID, NOW_MS, 64);
        tk_demo_answer_write(&answer, &out);
        assert_string_equal(
                out.at,
                "{\"id\":\"chatcmpl-01a200948e4874c8afd0b809d4cff653\",\"object\":\"chat.completion\","
                "\"created\":1795306065,"
                "\"model\":\"demo-small\",\"system_fingerprint\":\"fp_tollkey_demo\",\"choices\":[{\"index\":"
                "0,\"message\":"
                "{\"role\":\"assistant\",\"content\":\"This "
                "is\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":"
                "\"length\"}],\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":2,\"total_tokens\":8,"
                "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_"
                "details\":"
                "{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
                "\"rejected_prediction_tokens\":0}}}");
        tk_buf_clear(&out);
        parse(TK_DEMO_COMPLETION, "{\"model\":\"demo-small\",\"prompt\":\"Hi\",\"max_tokens\":2}", &ask);
        tk_demo_answer_init(&answer, &ask, ID, NOW_MS, 64);
        tk_demo_answer_write(&answer, &out);
        assert_string_equal(
                out.at,
                "{\"id\":\"cmpl-01a200948e4874c8afd0b809d4cff653\",\"object\":\"text_completion\","
                "\"created\":1795306065,"
                "\"model\":\"demo-small\",\"system_fingerprint\":\"fp_tollkey_demo\",\"choices\":[{\"index\":"
                "0,\"text\":"
                "\"This is\",\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,"
                "\"completion_tokens\":2,\"total_tokens\":3}}");
        tk_demo_ask_free(&ask);
        tk_buf_free(&out);
}

#define CHUNK_HEAD                                                                                           \
        "data: {\"id\":\"chatcmpl-01a200948e4874c8afd0b809d4cff653\",\"object\":\"chat.completion.chunk\","  \
        "\"created\":1795306065,\"model\":\"demo-small\",\"system_fingerprint\":\"fp_tollkey_demo\","        \
        "\"choices\":["

static void chunks_have_openais_shape(void **state) {
        struct tk_demo_ask ask;
        struct tk_demo_answer answer;
        struct tk_buf out = TK_BUF(1 << 16);
        TK_UNUSED(state);
        parse(TK_DEMO_CHAT,
              BODY(",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":2"), &ask);
        tk_demo_answer_init(&answer, &ask, ID, NOW_MS, 64);
        tk_demo_chunk_role(&answer, 0, &out);
        assert_string_equal(
                out.at, CHUNK_HEAD
                "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
                "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n");
        tk_buf_clear(&out);
        tk_demo_chunk_token(&answer, 1, TK_STR(" a\n"), 1, &out);
        assert_string_equal(out.at,
                            CHUNK_HEAD "{\"index\":1,\"delta\":{\"content\":\" a\\n\"},\"logprobs\":null,"
                                       "\"finish_reason\":null}],\"usage\":null}\n\n");
        tk_buf_clear(&out);
        tk_demo_chunk_finish(&answer, 0, 2, &out);
        assert_string_equal(out.at, CHUNK_HEAD
                            "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}],"
                            "\"usage\":null}\n\n");
        tk_buf_clear(&out);
        tk_demo_chunk_usage(&answer, 2, &out);
        assert_non_null(
                strstr(out.at, CHUNK_HEAD
                       "],\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":2,\"total_tokens\":8,"));
        tk_buf_clear(&out);
        parse(TK_DEMO_CHAT, BODY(",\"stream\":true"), &ask);
        tk_demo_answer_init(&answer, &ask, ID, NOW_MS, 64);
        tk_demo_chunk_token(&answer, 0, TK_STR("x"), 1, &out);
        assert_null(strstr(out.at, "usage"));
        tk_buf_free(&out);
}

static void usage_faults(void **state) {
        struct tk_demo_ask ask;
        struct tk_demo_answer answer;
        struct tk_buf out = TK_BUF(1 << 16);
        TK_UNUSED(state);
        parse(TK_DEMO_CHAT,
              "{\"model\":\"demo-small+usage-in-every-chunk\",\"messages\":[{\"role\":\"user\"}],\"stream\":"
              "true}",
              &ask);
        tk_demo_answer_init(&answer, &ask, ID, NOW_MS, 64);
        tk_demo_chunk_token(&answer, 0, TK_STR("x"), 7, &out);
        assert_non_null(
                strstr(out.at, "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":7,\"total_tokens\":8,"));
        tk_buf_clear(&out);
        parse(TK_DEMO_CHAT, "{\"model\":\"demo-small+huge-usage\",\"messages\":[{\"role\":\"user\"}]}", &ask);
        tk_demo_answer_init(&answer, &ask, ID, NOW_MS, 64);
        tk_demo_answer_write(&answer, &out);
        assert_non_null(strstr(
                out.at, "\"prompt_tokens\":9223372036854775807,\"completion_tokens\":18446744073709551615,"));
        tk_buf_clear(&out);
        parse(TK_DEMO_CHAT, "{\"model\":\"demo-small+no-usage+tokens=5\",\"messages\":[{\"role\":\"user\"}]}",
              &ask);
        tk_demo_answer_init(&answer, &ask, ID, NOW_MS, 64);
        assert_int_equal(answer.length, 5);
        tk_demo_answer_write(&answer, &out);
        assert_null(strstr(out.at, "usage\":"));
        tk_buf_free(&out);
}

/* The worst that a prompt can put into one chunk: white space that must be escaped, and a long model name. */
static void no_chunk_is_larger_than_its_bound(void **state) {
        struct tk_demo_ask ask;
        struct tk_demo_answer answer;
        char body[4096];
        struct tk_buf text = TK_BUF_OVER(body);
        TK_UNUSED(state);
        tk_buf_text(&text, "{\"stream\":true,\"model\":\"demo-small+usage-in-every-chunk+huge-usage");
        for (unsigned i = 0; i < 14; i++)
                tk_buf_text(&text, "+no-usage");
        tk_buf_text(&text, "\",\"messages\":[{\"role\":\"user\",\"content\":\"");
        for (unsigned i = 0; i < TK_DEMO_ECHO_MAX - 4; i++)
                tk_buf_text(&text, "\\u000b");
        tk_buf_text(&text, "\\u0000\\u0000\\u0000\\u0000\"}]}");
        assert_true(tk_buf_ok(&text));
        parse(TK_DEMO_CHAT, body, &ask);
        tk_demo_answer_init(&answer, &ask, ID, INT64_MAX, 64);
        struct tk_demo_cursor cursor = {0};
        size_t longest = 0;
        for (; cursor.token < answer.length; tk_demo_cursor_next(&answer, &cursor)) {
                struct tk_buf out = TK_BUF(1 << 16);
                struct tk_str token = tk_demo_answer_token(&answer, cursor, 0);
                tk_demo_chunk_token(&answer, TK_DEMO_CHOICES_MAX, token, UINT64_MAX, &out);
                assert_true(out.len <= TK_DEMO_CHUNK_BYTES_MAX);
                longest = out.len > longest ? out.len : longest;
                tk_buf_free(&out);
        }
        assert_true(longest > 1400); /* The long token was there. */
}

static void vectors_are_units_and_repeat(void **state) {
        static const unsigned sizes[] = {1, 2, 256, TK_DEMO_DIMENSIONS_MAX};
        TK_UNUSED(state);
        for (size_t i = 0; i < 4; i++)
                for (uint64_t seed = 0; seed < 20; seed++) {
                        static float a[TK_DEMO_DIMENSIONS_MAX], b[TK_DEMO_DIMENSIONS_MAX];
                        double sum = 0;
                        tk_demo_vector(seed, a, sizes[i]);
                        tk_demo_vector(seed, b, sizes[i]);
                        assert_memory_equal(a, b, sizes[i] * sizeof *a);
                        for (unsigned j = 0; j < sizes[i]; j++)
                                sum += (double)a[j] * a[j];
                        assert_true(fabs(sum - 1) < 1e-5);
                        tk_demo_vector(seed + 1, b, sizes[i]);
                        assert_true(sizes[i] == 1 || memcmp(a, b, sizes[i] * sizeof *a) != 0);
                }
}

static int digit(char c) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = strchr(digits, c);
        assert_true(c != '\0' && at != NULL);
        return (int)(at - digits);
}

static size_t undo_base64(const char *s, unsigned char *out) {
        size_t n = 0, len = strlen(s);
        assert_int_equal(len % 4, 0);
        for (size_t i = 0; i < len; i += 4) {
                int pad = (s[i + 3] == '=') + (s[i + 2] == '=');
                int group = digit(s[i]) << 18 | digit(s[i + 1]) << 12;
                group |= pad < 2 ? digit(s[i + 2]) << 6 : 0;
                group |= pad < 1 ? digit(s[i + 3]) : 0;
                for (int j = 0; j < 3 - pad; j++)
                        out[n++] = (unsigned char)(group >> (16 - 8 * j));
        }
        return n;
}

static json_t *embed(const char *body) {
        struct tk_demo_ask ask;
        struct tk_buf out = TK_BUF(1 << 20);
        parse(TK_DEMO_EMBEDDING, body, &ask);
        tk_demo_embeddings_write(&ask, &out);
        assert_true(tk_buf_ok(&out));
        json_t *root = loads(tk_buf_str(&out));
        tk_buf_free(&out);
        tk_demo_ask_free(&ask);
        return root;
}

/* Both encodings of the same input give the same floats, for sizes with every kind of padding. */
static void both_encodings_agree(void **state) {
        TK_UNUSED(state);
        for (unsigned dimensions = 1; dimensions <= 4; dimensions++) {
                char body[2][160];
                unsigned char bytes[64];
                for (int i = 0; i < 2; i++)
                        snprintf(body[i], sizeof body[i],
                                 "{\"model\":\"demo-small\",\"input\":[\"a "
                                 "b\",\"c\"],\"dimensions\":%u,\"encoding_format\":\"%s\"}",
                                 dimensions, i ? "base64" : "float");
                json_t *floats = embed(body[0]), *base64 = embed(body[1]);
                assert_string_equal(text(floats, "object"), "list");
                assert_int_equal(number(json_object_get(floats, "usage"), "prompt_tokens"), 3);
                assert_int_equal(number(json_object_get(floats, "usage"), "total_tokens"), 3);
                assert_null(json_object_get(json_object_get(floats, "usage"), "completion_tokens"));
                for (size_t i = 0; i < 2; i++) {
                        const json_t *one = json_array_get(json_object_get(floats, "data"), i);
                        const json_t *other = json_array_get(json_object_get(base64, "data"), i);
                        assert_int_equal(number(one, "index"), i);
                        assert_int_equal(undo_base64(text(other, "embedding"), bytes), dimensions * 4);
                        for (unsigned j = 0; j < dimensions; j++) {
                                float f;
                                memcpy(&f, bytes + 4 * j, 4);
                                const json_t *value = json_array_get(json_object_get(one, "embedding"), j);
                                assert_true((float)json_number_value(value) == f);
                        }
                }
                json_decref(floats);
                json_decref(base64);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(counts_are_the_tokenizers),
                TEST(a_limit_cuts_and_says_so),
                TEST(the_shape_is_openais),
                TEST(chunks_have_openais_shape),
                TEST(usage_faults),
                TEST(no_chunk_is_larger_than_its_bound),
                TEST(vectors_are_units_and_repeat),
                TEST(both_encodings_agree),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
