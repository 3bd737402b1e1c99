/* SPDX-License-Identifier: Apache-2.0
 *
 * openai: any bytes as a request, as an answer and as a chunk. Each must be read as JSON exactly when
 * the checker accepts it, and what comes out must keep the promises of the header.
 */
#include "proxy/usage/openai.h"

#include "wire/json_scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(e) ((e) ? (void)0 : abort())

/* Errors are the checker's, and a failed read names a fault and a param that stays readable. */
static void request(struct tk_str body, enum tk_err checked, struct tk_json root) {
        struct tk_oa_request out;
        struct tk_json value;
        enum tk_err err = tk_oa_request_read(body, &out);
        if (checked || root.type != TK_JSON_OBJECT) {
                EXPECT(err == (checked ? checked : TK_E_SYNTAX));
                EXPECT(out.fault.message && !out.fault.param && out.fault.at_byte <= body.len);
                return;
        }
        if (err) {
                EXPECT(err == TK_E_RANGE || err == TK_E_CONFLICT);
                EXPECT(out.fault.param && out.fault.code && strlen(out.fault.message) > 0);
                return;
        }
        char model[TK_OA_MODEL_MAX + 1];
        size_t len;
        EXPECT(tk_json_count(root, "model") == 1 && tk_json_get(root, "model", &value));
        EXPECT(tk_json_string(value, model, sizeof(model), &len) == TK_OK && len == out.model_len);
        EXPECT(len > 0 && memcmp(model, out.model, len + 1) == 0);
        EXPECT(out.stream == (tk_json_get(root, "stream", &value) && tk_json_is_true(value)));
        EXPECT(out.has_stream_options == tk_json_get(root, "stream_options", &value));
        if (out.has_stream_options) {
                struct tk_json usage;
                EXPECT(tk_str_eq(out.stream_options, value.raw));
                EXPECT(out.stream_options_is_object == (value.type == TK_JSON_OBJECT));
                EXPECT(out.include_usage ==
                       (tk_json_get(value, "include_usage", &usage) && tk_json_is_true(usage)));
        }
        EXPECT(out.has_max_tokens == (out.max_tokens > 0) && out.max_tokens <= TK_TOKENS_MAX);
        EXPECT(out.has_max_completion_tokens == (out.max_completion_tokens > 0));
        EXPECT(out.n >= 1 && out.n <= TK_OA_CHOICES_MAX && out.answers >= out.n);
        EXPECT(out.input_bytes == body.len && out.input_estimate >= 1);
}

static void usage(struct tk_str body, const struct tk_oa_usage *out) {
        const struct tk_tokens *t = &out->tokens;
        EXPECT(t->input <= TK_TOKENS_MAX && t->output <= TK_TOKENS_MAX);
        EXPECT(t->cached + t->cache_write <= t->input);
        EXPECT(out->has_usage == (t->input + t->output > 0));
        EXPECT(!(out->has_usage && out->nonsense));
        EXPECT(out->contents <= out->choices && out->content_bytes <= body.len);
        EXPECT((out->contents > 0) == (out->content_bytes > 0));
        EXPECT(out->has_error == (out->error.len > 0));
}

static bool same(const struct tk_oa_usage *a, const struct tk_oa_usage *b) {
        return a->has_usage == b->has_usage && a->nonsense == b->nonsense && a->finished == b->finished &&
               a->has_error == b->has_error && tk_str_eq(a->error, b->error) &&
               memcmp(&a->tokens, &b->tokens, sizeof(a->tokens)) == 0 && a->choices == b->choices &&
               a->contents == b->contents && a->content_bytes == b->content_bytes && a->texts == b->texts &&
               (a->texts == 0 || a->text.at == b->text.at) && a->text.len == b->text.len;
}

static void answer(struct tk_str body, enum tk_err checked, struct tk_json root, struct tk_oa_meter *meter,
                   struct tk_oa_like *like) {
        struct tk_oa_usage whole;
        struct tk_oa_chunk chunk, alike;
        struct tk_tokens tokens;
        enum tk_err err = tk_oa_response_read(body, &whole);
        if (!checked)
                EXPECT(err == (root.type == TK_JSON_OBJECT ? TK_OK : TK_E_SYNTAX));
        else
                EXPECT(err == checked || err == TK_E_SYNTAX);
        usage(body, &whole);
        uint64_t output = tk_oa_meter_output(meter);
        enum tk_err chunk_err = tk_oa_chunk_read(body, &chunk);
        EXPECT(chunk.is_done || chunk_err == err);
        EXPECT(tk_oa_chunk_read_like(like, body, &alike) == chunk_err && alike.is_done == chunk.is_done);
        EXPECT(same(&alike.usage, &chunk.usage) && alike.usage_only == chunk.usage_only);
        if (!chunk.is_done) {
                EXPECT(same(&chunk.usage, &whole));
                EXPECT(!chunk.usage_only || chunk.usage.choices == 0);
        }
        if (err)
                tk_oa_meter_take_opaque(meter, body.len);
        else
                tk_oa_meter_take(meter, &whole);
        bool exact = tk_oa_meter_tokens(meter, 7, &tokens);
        EXPECT(tokens.output == tk_oa_meter_output(meter) && tokens.output <= TK_TOKENS_MAX);
        EXPECT(!exact || meter->has_usage);
        if (whole.has_usage && whole.tokens.output > 0)
                EXPECT(exact && memcmp(&tokens, &whole.tokens, sizeof(tokens)) == 0);
        else
                EXPECT(tokens.output >= output); /* nothing but a report lowers the count */
}

/* Lines are fed as the events of one stream, and the whole as one document. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct tk_str rest = {(const char *)data, size};
        struct tk_oa_meter stream = {0}, single = {0};
        struct tk_oa_like like = {0}, none = {0};
        struct tk_json root = {0};
        enum tk_err checked = tk_json_check(rest, &root, NULL);
        request(rest, checked, root);
        answer(rest, checked, root, &single, &none);
        while (rest.len > 0) {
                struct tk_str line = tk_str_head(rest, tk_str_find(rest, '\n'));
                rest = tk_str_skip(rest, line.len < rest.len ? line.len + 1 : line.len);
                checked = tk_json_check(line, &root, NULL);
                answer(line, checked, root, &stream, &like);
        }
        return 0;
}
