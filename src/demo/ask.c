/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/ask.h"

#include "demo/token.h"
#include "wire/json_write.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is passed down while one body is read. */
struct reader {
        const json_t *root;
        struct tk_demo_ask *ask;
        struct tk_demo_problem *problem;
};

static const char *type_of_status(int status) {
        switch (status) {
        case 429:
                return "requests";
        case 401:
        case 403:
                return "invalid_request_error";
        default:
                return status >= 500 ? "server_error" : "invalid_request_error";
        }
}

void tk_demo_problem_set(struct tk_demo_problem *problem, int status, const char *param, const char *code,
                         const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(problem->message, sizeof problem->message, fmt, args);
        va_end(args);
        problem->status = status;
        problem->type = type_of_status(status);
        problem->code = code;
        snprintf(problem->param, sizeof problem->param, "%s", param ? param : "");
}

void tk_demo_problem_write(const struct tk_demo_problem *problem, struct tk_buf *out) {
        struct tk_jw w = tk_jw_begin(out);
        tk_jw_object(&w);
        tk_jw_key(&w, "error");
        tk_jw_object(&w);
        tk_jw_key(&w, "message");
        tk_jw_text(&w, problem->message);
        tk_jw_key(&w, "type");
        tk_jw_text(&w, problem->type);
        tk_jw_key(&w, "param");
        tk_jw_text(&w, problem->param[0] ? problem->param : NULL);
        tk_jw_key(&w, "code");
        tk_jw_text(&w, problem->code);
        tk_jw_end(&w);
        tk_jw_end(&w);
}

/* ---- members ---- */

static const char *kind_of(const json_t *value) {
        static const char *const names[] = {
                [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
                [JSON_INTEGER] = "an integer", [JSON_REAL] = "a decimal", [JSON_TRUE] = "a boolean",
                [JSON_FALSE] = "a boolean",    [JSON_NULL] = "null"};
        return names[json_typeof(value)];
}

static bool missing(struct reader *r, const char *param) {
        tk_demo_problem_set(r->problem, 400, param, "missing_required_parameter",
                            "Missing required parameter: '%s'.", param);
        return false;
}

static bool wrong_type(struct reader *r, const char *param, const char *expected, const json_t *value) {
        tk_demo_problem_set(r->problem, 400, param, "invalid_type",
                            "Invalid type for '%s': expected %s, but got %s instead.", param, expected,
                            kind_of(value));
        return false;
}

/* NULL when it is not there or null: for every optional member the two mean the same. */
static const json_t *optional(const json_t *object, const char *name) {
        const json_t *value = json_object_get(object, name);
        return value && !json_is_null(value) ? value : NULL;
}

static bool read_bool(struct reader *r, const json_t *object, const char *name, const char *param,
                      bool *out) {
        const json_t *value = optional(object, name);
        *out = value && json_is_true(value);
        return !value || json_is_boolean(value) || wrong_type(r, param, "a boolean", value);
}

/* *found: whether it is there. */
static bool read_count(struct reader *r, const char *name, uint64_t least, uint64_t most, bool *found,
                       uint64_t *out) {
        const json_t *value = optional(r->root, name);
        *found = value != NULL;
        if (!value)
                return true;
        if (!json_is_integer(value))
                return wrong_type(r, name, "an integer", value);
        json_int_t n = json_integer_value(value);
        if (n < 0 || (uint64_t)n < least) {
                tk_demo_problem_set(
                        r->problem, 400, name, "integer_below_min_value",
                        "Invalid '%s': integer below minimum value. Expected a value >= %llu, but got "
                        "%lld instead.",
                        name, (unsigned long long)least, (long long)n);
                return false;
        }
        if ((uint64_t)n > most) {
                tk_demo_problem_set(
                        r->problem, 400, name, "integer_above_max_value",
                        "Invalid '%s': integer above maximum value. Expected a value <= %llu, but got "
                        "%lld instead.",
                        name, (unsigned long long)most, (long long)n);
                return false;
        }
        *out = (uint64_t)n;
        return true;
}

static struct tk_str text_of(const json_t *string) {
        return (struct tk_str){json_string_value(string), json_string_length(string)};
}

/* ---- model and user ---- */

static bool no_such_model(struct reader *r, struct tk_str model) {
        tk_demo_problem_set(r->problem, 404, NULL, "model_not_found",
                            "The model `%.*s` does not exist or you do not have access to it.",
                            model.len > 200 ? 200 : (int)model.len, model.at);
        return false;
}

static bool read_model(struct reader *r, const char *const *models) {
        const json_t *value = optional(r->root, "model");
        struct tk_demo_ask *ask = r->ask;
        if (!value) {
                tk_demo_problem_set(r->problem, 400, NULL, NULL, "you must provide a model parameter");
                return false;
        }
        if (!json_is_string(value))
                return wrong_type(r, "model", "a string", value);
        struct tk_str model = text_of(value), bad;
        struct tk_str base = tk_str_head(model, tk_str_find(model, '+'));
        bool known = false;
        for (; *models && !known; models++)
                known = tk_str_is(base, *models);
        if (!known || !tk_str_copy(model, ask->model, sizeof ask->model))
                return no_such_model(r, model);
        ask->model_base = base.len;
        if (base.len < model.len && !tk_demo_fault_parse(tk_str_skip(model, base.len + 1), &ask->fault, &bad))
                return no_such_model(r, model);
        return true;
}

static bool read_user(struct reader *r) {
        const json_t *value = optional(r->root, "user");
        if (!value)
                return true;
        if (!json_is_string(value))
                return wrong_type(r, "user", "a string", value);
        tk_str_copy(text_of(value), r->ask->user,
                    sizeof r->ask->user); /* A longer one is cut: it is only a tag. */
        return true;
}

/* ---- prompts ---- */

static void count_text(struct tk_demo_ask *ask, struct tk_str text) {
        ask->prompt_tokens += tk_demo_tokens(text);
}

/* Whole tokens only, without white space at the end: what follows in the answer then keeps its tokens. */
static void set_echo(struct tk_demo_ask *ask, struct tk_str text) {
        size_t used = 0;
        while (used < text.len) {
                size_t n = tk_demo_token(tk_str_skip(text, used)).len;
                if (used + n > TK_DEMO_ECHO_MAX)
                        break;
                used += n;
        }
        while (used && (text.at[used - 1] == ' ' || (text.at[used - 1] >= '\t' && text.at[used - 1] <= '\r')))
                used--;
        if (used)
                memcpy(ask->echo, text.at, used);
        ask->echo_len = used;
}

/* One part of a message's content: text, or something that this server cannot look into. */
static bool read_part(struct reader *r, const json_t *part, const char *param, bool echo) {
        const json_t *text = json_object_get(part, "text");
        const char *type = json_string_value(json_object_get(part, "type"));
        if (!json_is_object(part))
                return wrong_type(r, param, "an object", part);
        if (!type)
                return missing(r, param);
        if (strcmp(type, "text") != 0) {
                r->ask->prompt_tokens++;
                return true;
        }
        if (!text)
                return missing(r, param);
        if (!json_is_string(text))
                return wrong_type(r, param, "a string", text);
        count_text(r->ask, text_of(text));
        if (echo)
                set_echo(r->ask, text_of(text));
        return true;
}

static bool known_role(const char *role) {
        static const char *const roles[] = {"system", "developer", "user", "assistant", "tool", "function"};
        for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
                if (strcmp(role, roles[i]) == 0)
                        return true;
        return false;
}

static bool read_message(struct reader *r, const json_t *message, size_t index) {
        char param[64];
        snprintf(param, sizeof param, "messages[%zu]", index);
        if (!json_is_object(message))
                return wrong_type(r, param, "an object", message);
        const json_t *role = json_object_get(message, "role");
        snprintf(param, sizeof param, "messages[%zu].role", index);
        if (!role)
                return missing(r, param);
        if (!json_is_string(role))
                return wrong_type(r, param, "a string", role);
        if (!known_role(json_string_value(role))) {
                tk_demo_problem_set(r->problem, 400, param, "invalid_value",
                                    "Invalid value: '%.60s'. Supported values are: 'system', 'developer', "
                                    "'assistant', 'user', 'function', and 'tool'.",
                                    json_string_value(role));
                return false;
        }
        bool echo = strcmp(json_string_value(role), "user") == 0;
        r->ask->prompt_tokens++;
        const json_t *content = optional(message, "content");
        snprintf(param, sizeof param, "messages[%zu].content", index);
        if (!content)
                return true;
        if (json_is_string(content)) {
                count_text(r->ask, text_of(content));
                if (echo)
                        set_echo(r->ask, text_of(content));
                return true;
        }
        if (!json_is_array(content))
                return wrong_type(r, param, "one of a string or array of objects", content);
        for (size_t i = 0; i < json_array_size(content); i++) {
                snprintf(param, sizeof param, "messages[%zu].content[%zu]", index, i);
                if (!read_part(r, json_array_get(content, i), param, echo))
                        return false;
        }
        return true;
}

static bool read_messages(struct reader *r) {
        const json_t *messages = json_object_get(r->root, "messages");
        if (!messages)
                return missing(r, "messages");
        if (!json_is_array(messages))
                return wrong_type(r, "messages", "an array of objects", messages);
        if (json_array_size(messages) == 0) {
                tk_demo_problem_set(
                        r->problem, 400, "messages", "empty_array",
                        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got "
                        "an empty array instead.");
                return false;
        }
        for (size_t i = 0; i < json_array_size(messages); i++)
                if (!read_message(r, json_array_get(messages, i), i))
                        return false;
        return true;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t n) {
        const unsigned char *at = bytes;
        for (size_t i = 0; i < n; i++)
                hash = (hash ^ at[i]) * UINT64_C(1099511628211); /* FNV-1a */
        return hash;
}

#define HASH_START UINT64_C(14695981039346656037)

static bool is_numbers(const json_t *array) {
        for (size_t i = 0; i < json_array_size(array); i++)
                if (!json_is_integer(json_array_get(array, i)))
                        return false;
        return json_array_size(array) > 0;
}

/* A text, or a text given as token numbers. */
static bool read_input(struct reader *r, const json_t *input, const char *param, uint64_t *seed) {
        *seed = HASH_START;
        if (json_is_string(input)) {
                struct tk_str text = text_of(input);
                count_text(r->ask, text);
                set_echo(r->ask, text);
                *seed = mix(*seed, text.at, text.len);
                return true;
        }
        if (!json_is_array(input) || !is_numbers(input))
                return wrong_type(r, param, "a string or an array of integers", input);
        for (size_t i = 0; i < json_array_size(input); i++) {
                json_int_t n = json_integer_value(json_array_get(input, i));
                *seed = mix(*seed, &n, sizeof n);
        }
        r->ask->prompt_tokens += json_array_size(input);
        return true;
}

/* "prompt" of a completion, "input" of an embedding: one input or an array of them. */
static bool read_inputs(struct reader *r, const char *param) {
        const json_t *value = optional(r->root, param);
        struct tk_demo_ask *ask = r->ask;
        if (!value)
                return missing(r, param);
        bool one = json_is_string(value) || (json_is_array(value) && is_numbers(value));
        size_t nr = one ? 1 : json_array_size(value);
        if (!one && !json_is_array(value))
                return wrong_type(r, param, "a string or an array", value);
        if (nr == 0 || nr > TK_DEMO_INPUTS_MAX) {
                tk_demo_problem_set(r->problem, 400, param, nr ? "array_above_max_length" : "empty_array",
                                    "Invalid '%s': expected an array of 1 to %u elements.", param,
                                    TK_DEMO_INPUTS_MAX);
                return false;
        }
        ask->seeds = calloc(nr, sizeof *ask->seeds);
        if (!ask->seeds) {
                tk_demo_problem_set(r->problem, 500, NULL, NULL, "The server is out of memory.");
                return false;
        }
        ask->inputs = (unsigned)nr;
        for (size_t i = 0; i < nr; i++)
                if (!read_input(r, one ? value : json_array_get(value, i), param, &ask->seeds[i]))
                        return false;
        return true;
}

/* ---- what is wanted ---- */

static bool read_stream(struct reader *r) {
        const json_t *options = optional(r->root, "stream_options");
        if (!read_bool(r, r->root, "stream", "stream", &r->ask->stream))
                return false;
        if (!options)
                return true;
        if (!json_is_object(options))
                return wrong_type(r, "stream_options", "an object", options);
        if (!r->ask->stream) {
                tk_demo_problem_set(
                        r->problem, 400, "stream_options", NULL,
                        "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
                return false;
        }
        return read_bool(r, options, "include_usage", "stream_options.include_usage", &r->ask->include_usage);
}

static bool read_limits(struct reader *r) {
        struct tk_demo_ask *ask = r->ask;
        uint64_t n = 1, most = TK_DEMO_CHOICES_MAX;
        bool old_name, new_name = false, found;
        if (!read_count(r, "max_tokens", 1, INT64_MAX, &old_name, &ask->max_tokens))
                return false;
        if (ask->kind == TK_DEMO_CHAT &&
            !read_count(r, "max_completion_tokens", 1, INT64_MAX, &new_name, &ask->max_tokens))
                return false;
        if (old_name && new_name) {
                tk_demo_problem_set(
                        r->problem, 400, NULL, "invalid_parameter_combination",
                        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
                        "supported.");
                return false;
        }
        if (ask->inputs > 1)
                most = TK_DEMO_CHOICES_MAX / ask->inputs;
        if (!read_count(r, "n", 1, most, &found, &n))
                return false;
        if (ask->inputs > TK_DEMO_CHOICES_MAX) {
                tk_demo_problem_set(r->problem, 400, "prompt", "array_above_max_length",
                                    "Invalid 'prompt': at most %u prompts.", TK_DEMO_CHOICES_MAX);
                return false;
        }
        ask->choices = (unsigned)n * (ask->inputs ? ask->inputs : 1);
        return true;
}

static bool read_embedding(struct reader *r) {
        const json_t *format = optional(r->root, "encoding_format");
        uint64_t dimensions = TK_DEMO_DIMENSIONS;
        bool found;
        if (format && !json_is_string(format))
                return wrong_type(r, "encoding_format", "a string", format);
        r->ask->base64 = format && tk_str_is(text_of(format), "base64");
        if (format && !r->ask->base64 && !tk_str_is(text_of(format), "float")) {
                tk_demo_problem_set(r->problem, 400, "encoding_format", "invalid_value",
                                    "Invalid value: '%.60s'. Supported values are: 'float' and 'base64'.",
                                    json_string_value(format));
                return false;
        }
        if (!read_count(r, "dimensions", 1, TK_DEMO_DIMENSIONS_MAX, &found, &dimensions))
                return false;
        r->ask->dimensions = (unsigned)dimensions;
        return read_inputs(r, "input");
}

static bool read_root(struct reader *r, struct tk_str faults, const char *const *models) {
        struct tk_str bad;
        if (!read_model(r, models))
                return false;
        if (!tk_demo_fault_parse(faults, &r->ask->fault, &bad)) {
                tk_demo_problem_set(r->problem, 400, "x-demo-fault", NULL, "There is no fault '%.*s'.",
                                    bad.len > 60 ? 60 : (int)bad.len, bad.at);
                return false;
        }
        if (!read_user(r))
                return false;
        switch (r->ask->kind) {
        case TK_DEMO_CHAT:
                return read_messages(r) && read_stream(r) && read_limits(r);
        case TK_DEMO_COMPLETION:
                r->ask->max_tokens = 16; /* The documented default of this old endpoint. */
                return read_inputs(r, "prompt") && read_stream(r) && read_limits(r);
        case TK_DEMO_EMBEDDING:
                return read_embedding(r);
        }
        return false;
}

bool tk_demo_ask_parse(enum tk_demo_kind kind, struct tk_str body, struct tk_str faults,
                       const char *const *models, struct tk_demo_ask *ask, struct tk_demo_problem *problem) {
        json_error_t error;
        memset(ask, 0, sizeof *ask);
        ask->kind = kind;
        ask->max_tokens = TK_DEMO_NONE;
        tk_demo_fault_init(&ask->fault);
        json_t *root =
                json_loadb(body.len ? body.at : "", body.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
        struct reader r = {root, ask, problem};
        bool ok = root && json_is_object(root);
        if (!ok)
                tk_demo_problem_set(problem, 400, NULL, NULL,
                                    "We could not parse the JSON body of your request: %s.",
                                    root ? "it is not an object" : error.text);
        else
                ok = read_root(&r, faults, models);
        json_decref(root);
        return ok;
}

void tk_demo_ask_free(struct tk_demo_ask *ask) {
        free(ask->seeds);
        ask->seeds = NULL;
}
