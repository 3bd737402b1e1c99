/* SPDX-License-Identifier: Apache-2.0 */
#include "api/models.h"

#include "api/call.h"
#include "api/issues.h"
#include "api/query.h"
#include "service/catalog.h"
#include "wire/json_write.h"

#define LIST_BYTES_MAX (16u << 20)

static const char *const types[] = {"asr", "embedding", "image",   "music", "text",
                                    "tts", "upscale",   "inpaint", "video"};
static const char *const special_types[] = {"all", "code"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Both private settings cover text and embedding, which is all that the catalog knows. */
static bool shown(const struct tk_api_call *c, const struct tk_model *model) {
        bool private_only = c->key && c->key->privacy != TK_PRIVACY_ALL;
        return IMPLIES(private_only, model->is_private);
}

static void write_openai(const struct tk_api_call *c, const struct tk_model *model, struct tk_jw *w) {
        tk_jw_object(w);
        tk_jw_key(w, "id");
        tk_jw_text(w, model->id);
        tk_jw_key(w, "object");
        tk_jw_text(w, "model");
        tk_jw_key(w, "created");
        tk_jw_i64(w, c->api->started_ms / 1000);
        tk_jw_key(w, "owned_by");
        tk_jw_text(w, model->provider->name);
        tk_jw_end(w);
}

void tk_api_models_list(struct tk_api_call *c) {
        const struct tk_catalog *catalog = tk_worker_catalog(c->worker);
        struct tk_buf body = TK_BUF(LIST_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        tk_jw_object(&w);
        tk_jw_key(&w, "object");
        tk_jw_text(&w, "list");
        tk_jw_key(&w, "data");
        tk_jw_array(&w);
        for (unsigned i = 0; i < catalog->models_nr; i++)
                if (shown(c, catalog->models[i]))
                        write_openai(c, catalog->models[i], &w);
        tk_jw_end(&w);
        tk_jw_end(&w);
        tk_api_reply(c, 200, &body);
}

void tk_api_models_get(struct tk_api_call *c) {
        const struct tk_model *model = tk_catalog_model_get(tk_worker_catalog(c->worker), c->id);
        struct tk_buf body = TK_BUF(LIST_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        if (!model || !shown(c, model)) {
                tk_api_problem(c, TK_PROBLEM_MODEL_UNKNOWN, "model", NULL);
                return;
        }
        write_openai(c, model, &w);
        tk_api_reply(c, 200, &body);
}

static void write_price(struct tk_jw *w, const char *name, int64_t rate) {
        if (rate == TK_RATE_NONE)
                return;
        tk_jw_key(w, name);
        tk_jw_object(w);
        tk_jw_key(w, "usd");
        tk_jw_nano(w, (uint64_t)rate);
        tk_jw_key(w, "diem");
        tk_jw_nano(w, (uint64_t)rate);
        tk_jw_end(w);
}

static void write_rates(struct tk_jw *w, const struct tk_rates *rates) {
        write_price(w, "input", rates->input);
        write_price(w, "output", rates->output);
        write_price(w, "cache_input", rates->cache_input);
        write_price(w, "cache_write", rates->cache_write);
}

static void write_pricing(struct tk_jw *w, const struct tk_price *price) {
        tk_jw_key(w, "pricing");
        tk_jw_object(w);
        write_rates(w, &price->base);
        if (price->longer_above > 0) {
                tk_jw_key(w, "extended");
                tk_jw_object(w);
                tk_jw_key(w, "context_token_threshold");
                tk_jw_u64(w, price->longer_above);
                write_rates(w, &price->longer);
                tk_jw_end(w);
        }
        tk_jw_end(w);
}

static void write_venice(const struct tk_model *model, struct tk_jw *w) {
        tk_jw_object(w);
        tk_jw_key(w, "id");
        tk_jw_text(w, model->id);
        tk_jw_key(w, "object");
        tk_jw_text(w, "model");
        tk_jw_key(w, "owned_by");
        tk_jw_text(w, "venice.ai"); /* the only value that the schema allows */
        tk_jw_key(w, "type");
        tk_jw_text(w, tk_model_type_name(model->type));
        if (model->type == TK_MODEL_TEXT && model->context_tokens) {
                tk_jw_key(w, "context_length");
                tk_jw_u64(w, model->context_tokens);
        }
        tk_jw_key(w, "model_spec");
        tk_jw_object(w);
        tk_jw_key(w, "privacy");
        tk_jw_text(w, model->is_private ? "private" : "anonymized");
        if (model->type == TK_MODEL_TEXT && model->context_tokens) {
                tk_jw_key(w, "availableContextTokens");
                tk_jw_u64(w, model->context_tokens);
        }
        if (model->type == TK_MODEL_TEXT) {
                tk_jw_key(w, "maxCompletionTokens");
                tk_jw_u64(w, model->max_output_tokens);
        }
        if (model->priced)
                write_pricing(w, &model->price);
        tk_jw_end(w);
        tk_jw_end(w);
}

static bool is_one_of(const char *const *names, size_t nr, const char *text) {
        for (size_t i = 0; i < nr; i++)
                if (tk_str_is(tk_str_of(text), names[i]))
                        return true;
        return false;
}

/* Answers in the validation form: the value fits neither of the two lists (venice sheet 2.2). */
static void refuse_type(struct tk_api_call *c, const struct tk_query_value *type) {
        const struct tk_issue_path path = {{"type"}};
        struct tk_issues issues = {0}, branches[2] = {{0}, {0}};
        struct tk_buf body = TK_BUF(TK_ISSUES_BYTES_MAX);
        if (type->same) {
                struct tk_str value = {type->at, type->len};
                tk_issue_enum(&branches[0], path, types, COUNT(types), value);
                tk_issue_enum(&branches[1], path, special_types, COUNT(special_types), value);
        } else {
                tk_issue_enum_type(&branches[0], path, types, COUNT(types), "array");
                tk_issue_enum_type(&branches[1], path, special_types, COUNT(special_types), "array");
        }
        tk_issue_union(&issues, path, branches, 2);
        tk_issues_render(&issues, &body);
        tk_issues_free(&issues);
        tk_issues_free(&branches[0]);
        tk_issues_free(&branches[1]);
        tk_api_reply(c, 400, &body);
}

void tk_api_venice_models(struct tk_api_call *c) {
        const struct tk_catalog *catalog = tk_worker_catalog(c->worker);
        struct tk_query_value type;
        tk_query_get(tk_call_query(c->call), "type", &type);
        if (type.nr && (!type.readable || !type.same ||
                        !(is_one_of(types, COUNT(types), type.at) ||
                          is_one_of(special_types, COUNT(special_types), type.at)))) {
                refuse_type(c, &type);
                return;
        }
        const char *wanted = type.nr ? type.at : "text";
        bool all = tk_str_is(tk_str_of(wanted), "all");
        struct tk_buf body = TK_BUF(LIST_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        tk_jw_object(&w);
        tk_jw_key(&w, "data");
        tk_jw_array(&w);
        for (unsigned i = 0; i < catalog->models_nr; i++) {
                const struct tk_model *model = catalog->models[i];
                if (shown(c, model) && (all || tk_str_is(tk_str_of(wanted), tk_model_type_name(model->type))))
                        write_venice(model, &w);
        }
        tk_jw_end(&w);
        tk_jw_key(&w, "object");
        tk_jw_text(&w, "list");
        tk_jw_key(&w, "type");
        tk_jw_text(&w, wanted);
        tk_jw_end(&w);
        tk_api_reply(c, 200, &body);
}
