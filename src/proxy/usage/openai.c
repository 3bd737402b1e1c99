/* SPDX-License-Identifier: Apache-2.0
 *
 * Every reader here takes exactly one value off a tk_json_pull, whatever its type, so that the pass
 * goes on in step after an unexpected value. Syntax errors are sticky in the pull and looked at
 * once, at the end.
 */
#include "proxy/usage/openai.h"

#include "wire/json_scan.h"

#include <string.h>

#define KEY_MAX 96 /* longer names are none of those looked for */

static uint64_t sum(uint64_t a, uint64_t b) {
        uint64_t v;
        return __builtin_add_overflow(a, b, &v) ? UINT64_MAX : v;
}

static uint64_t most(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

/* Four bytes of text are about one token of the usual vocabularies. */
static uint64_t tokens_of_bytes(uint64_t bytes) {
        return bytes / 4 + (bytes % 4 != 0);
}

/* Is the key that was read last this one? pull->text_len is its length without escapes, so that nearly
 * every other name is told apart by its length. */
struct name {
        const char *text;
        size_t len;
};
#define NAME(text)                                                                                           \
        { text, sizeof(text) - 1 }
#define IS(pull, key, name) is((pull), (key), (name), sizeof(name) - 1)
static inline bool is(const struct tk_json_pull *pull, struct tk_str key, const char *name, size_t len) {
        if (pull->text_len != len)
                return false;
        return key.len == len ? memcmp(key.at, name, len) == 0 : tk_json_key_is(key, name);
}

/* Is the key that was read last one of these? */
static bool any(const struct tk_json_pull *pull, struct tk_str key, const struct name *names) {
        for (; names->text; names++)
                if (is(pull, key, names->text, names->len))
                        return true;
        return false;
}

static void skip(struct tk_json_pull *pull) {
        struct tk_json value;
        (void)tk_json_pull_skip(pull, &value);
}

/*
 * Text.
 */

struct text {
        uint64_t bytes;     /* of strings, escapes undone */
        uint64_t media;     /* images, sounds, files */
        uint64_t strings;   /* how many */
        struct tk_str last; /* with its quotes */
};

static void add_text(struct text *text, const struct tk_json_pull *pull, struct tk_json string) {
        text->bytes = sum(text->bytes, pull->text_len);
        text->strings++;
        text->last = string.raw;
}

/* What a model neither reads nor writes as text, though it stands in strings. */
static const struct name not_text[] = {
        NAME("type"),
        NAME("id"),
        NAME("role"),
        NAME("tool_call_id"),
        NAME("call_id"),
        NAME("status"),
        NAME("format"),
        NAME("signature"),
        NAME("data"),
        NAME("detail"),
        NAME("encrypted_content"),
        {0},
};
static const struct name medium[] = {
        NAME("image_url"),  NAME("input_image"), NAME("input_audio"),
        NAME("audio_url"),  NAME("video_url"),   NAME("input_video"),
        NAME("input_file"), NAME("file"),        {0},
};

/* Sums up the strings within one value, at any depth. */
static void read_text(struct tk_json_pull *pull, struct text *text) {
        struct tk_str key;
        struct tk_json value;
        unsigned depth = pull->depth;
        if (tk_json_pull_value(pull, &value) && value.type == TK_JSON_STRING)
                add_text(text, pull, value);
        while (!pull->err && pull->depth > depth) {
                if (!tk_json_pull_next(pull, &key))
                        continue;
                if (key.len > 0 && any(pull, key, not_text)) {
                        skip(pull);
                } else if (key.len > 0 && any(pull, key, medium)) {
                        if (tk_json_pull_skip(pull, &value) && value.type != TK_JSON_NULL)
                                text->media++;
                } else if (tk_json_pull_value(pull, &value) && value.type == TK_JSON_STRING) {
                        add_text(text, pull, value);
                }
        }
}

/*
 * Requests.
 */

struct asking {
        struct tk_json_pull pull;
        struct tk_oa_request *out;
        enum tk_err err; /* the first refusal; its fault is in out */
        unsigned seen;   /* bit i: members[i] has been read */
        struct text text;
        uint64_t ids;     /* prompt tokens given as numbers */
        uint64_t prompts; /* of a legacy completion */
        uint64_t best_of;
};

static void refuse(struct asking *asking, enum tk_err err, const char *param, const char *code,
                   const char *message) {
        if (asking->err)
                return;
        asking->err = err;
        asking->out->fault = (struct tk_oa_fault){.param = param, .code = code, .message = message};
}

static void read_model(struct asking *asking) {
        struct tk_oa_request *out = asking->out;
        struct tk_json value;
        if (!tk_json_pull_skip(&asking->pull, &value))
                return;
        enum tk_err err = tk_json_string(value, out->model, sizeof(out->model), &out->model_len);
        if (err == TK_E_TOO_BIG) {
                refuse(asking, TK_E_RANGE, "model", "string_above_max_length",
                       "Invalid 'model': the name is longer than 128 bytes.");
                return;
        }
        if (err) {
                refuse(asking, TK_E_RANGE, "model", "invalid_type",
                       "Invalid type for 'model': expected a string.");
                return;
        }
        bool fine = out->model_len > 0;
        for (size_t i = 0; i < out->model_len; i++)
                fine = fine && (unsigned char)out->model[i] >= 0x20 && out->model[i] != 0x7F;
        if (!fine)
                refuse(asking, TK_E_RANGE, "model", "invalid_value",
                       "Invalid 'model': expected a name without control characters.");
}

static void read_stream(struct asking *asking) {
        struct tk_json value;
        if (!tk_json_pull_skip(&asking->pull, &value))
                return;
        asking->out->stream = tk_json_is_true(value);
        if (value.type != TK_JSON_TRUE && value.type != TK_JSON_FALSE && value.type != TK_JSON_NULL)
                refuse(asking, TK_E_RANGE, "stream", "invalid_type",
                       "Invalid type for 'stream': expected a boolean.");
}

/* Does the key spell name when case is ignored, as Go's decoder does it: with the two letters outside
 * ASCII that fold into it, U+017F to "s" and U+212A to "k"? And when it ends at a NUL, as text does in C? */
static bool spells(struct tk_str key, const char *name) {
        char text[KEY_MAX];
        size_t len = 0, i = 0;
        const char *nul = key.len >= 6 ? memmem(key.at, key.len, "\\u0000", 6) : NULL;
        /* Where the backslash is itself an escaped one, what is left is malformed, and so no name. */
        size_t end = nul ? (size_t)(nul - key.at) : key.len;
        struct tk_json quoted = {TK_JSON_STRING, {key.at - 1, end + 2}};
        if (tk_json_string(quoted, text, sizeof(text), &len) != TK_OK)
                return false;
        for (; *name; name++) {
                char c = text[i++]; /* at worst the NUL, which is no character of a name */
                if (c >= 'A' && c <= 'Z')
                        c = (char)(c + ('a' - 'A'));
                if (c == '\xC5' && text[i] == '\xBF') {
                        c = 's';
                        i += 1;
                } else if (c == '\xE2' && text[i] == '\x84' && text[i + 1] == '\xAA') {
                        c = 'k';
                        i += 2;
                }
                if (c != *name)
                        return false;
        }
        return i == len;
}

static void read_include_usage(struct asking *asking, bool again) {
        struct tk_json value;
        if (!tk_json_pull_skip(&asking->pull, &value))
                return;
        asking->out->include_usage = tk_json_is_true(value);
        if (again)
                refuse(asking, TK_E_CONFLICT, "stream_options.include_usage", "duplicate_parameter",
                       "Parameter 'stream_options.include_usage' is given more than once.");
        if (value.type != TK_JSON_TRUE && value.type != TK_JSON_FALSE && value.type != TK_JSON_NULL)
                refuse(asking, TK_E_RANGE, "stream_options.include_usage", "invalid_type",
                       "Invalid type for 'stream_options.include_usage': expected a boolean.");
}

static void read_stream_options(struct asking *asking) {
        struct tk_oa_request *out = asking->out;
        struct tk_str key;
        struct tk_json value;
        bool again = false;
        if (!tk_json_pull_value(&asking->pull, &value))
                return;
        out->has_stream_options = true;
        out->stream_options_is_object = value.type == TK_JSON_OBJECT;
        out->stream_options = value.raw;
        if (value.type == TK_JSON_ARRAY)
                tk_json_pull_leave(&asking->pull);
        if (value.type != TK_JSON_OBJECT && value.type != TK_JSON_NULL)
                refuse(asking, TK_E_RANGE, "stream_options", "invalid_type",
                       "Invalid type for 'stream_options': expected an object.");
        if (value.type != TK_JSON_OBJECT)
                return;
        while (tk_json_pull_next(&asking->pull, &key)) {
                if (tk_json_key_is(key, "include_usage")) {
                        read_include_usage(asking, again);
                        again = true;
                        continue;
                }
                if (spells(key, "include_usage"))
                        refuse(asking, TK_E_CONFLICT, "stream_options.include_usage", "ambiguous_parameter",
                               "Parameter 'stream_options.include_usage' must be spelled exactly so.");
                skip(&asking->pull);
        }
        out->stream_options.len = (size_t)(asking->pull.at - value.raw.at);
}

/* A whole number in 1..max, or null for absent (then false). */
static bool read_count(struct asking *asking, uint64_t max, uint64_t *out, const char *param,
                       const char *message) {
        struct tk_json value;
        uint64_t v;
        if (!tk_json_pull_skip(&asking->pull, &value) || value.type == TK_JSON_NULL)
                return false;
        if (value.type != TK_JSON_NUMBER) {
                refuse(asking, TK_E_RANGE, param, "invalid_type", message);
                return false;
        }
        if (!tk_json_u64(value, &v) || v < 1 || v > max) {
                refuse(asking, TK_E_RANGE, param, "invalid_value", message);
                return false;
        }
        *out = v;
        return true;
}

static void read_max_tokens(struct asking *asking) {
        asking->out->has_max_tokens =
                read_count(asking, TK_TOKENS_MAX, &asking->out->max_tokens, "max_tokens",
                           "Invalid 'max_tokens': expected a whole number of at least 1 and at most 10^12.");
}

static void read_max_completion_tokens(struct asking *asking) {
        asking->out->has_max_completion_tokens = read_count(
                asking, TK_TOKENS_MAX, &asking->out->max_completion_tokens, "max_completion_tokens",
                "Invalid 'max_completion_tokens': expected a whole number of at least 1 and at most 10^12.");
}

static void read_n(struct asking *asking) {
        (void)read_count(asking, TK_OA_CHOICES_MAX, &asking->out->n, "n",
                         "Invalid 'n': expected a whole number from 1 to 128.");
}

static void read_best_of(struct asking *asking) {
        (void)read_count(asking, TK_OA_CHOICES_MAX, &asking->best_of, "best_of",
                         "Invalid 'best_of': expected a whole number from 1 to 128.");
}

static void read_messages(struct asking *asking) {
        struct tk_str key;
        struct tk_json value;
        if (!tk_json_pull_value(&asking->pull, &value))
                return;
        if (value.type == TK_JSON_OBJECT)
                tk_json_pull_leave(&asking->pull);
        if (value.type != TK_JSON_ARRAY)
                return;
        while (tk_json_pull_next(&asking->pull, &key)) {
                asking->out->messages++;
                read_text(&asking->pull, &asking->text);
        }
}

/* The next element is a number: a token's id. */
static bool at_number(const struct tk_json_pull *pull) {
        return pull->at < pull->end && (*pull->at == '-' || (*pull->at >= '0' && *pull->at <= '9'));
}

/* One prompt, a list of prompts, a list of token ids or a list of such lists. Gives how many prompts. */
static uint64_t read_prompts(struct asking *asking) {
        struct tk_json_pull *pull = &asking->pull;
        struct tk_str key;
        struct tk_json value;
        uint64_t texts = 0, ids = 0;
        if (!tk_json_pull_value(pull, &value))
                return 0;
        if (value.type == TK_JSON_STRING)
                asking->text.bytes = sum(asking->text.bytes, pull->text_len);
        if (value.type == TK_JSON_OBJECT)
                tk_json_pull_leave(pull);
        if (value.type != TK_JSON_ARRAY)
                return 1;
        while (tk_json_pull_next(pull, &key)) {
                unsigned depth = pull->depth;
                if (at_number(pull)) {
                        ids++;
                        skip(pull);
                        continue;
                }
                texts++;
                if (pull->at < pull->end && *pull->at != '[') {
                        read_text(pull, &asking->text);
                        continue;
                }
                if (tk_json_pull_value(pull, &value))
                        while (!pull->err && pull->depth > depth)
                                if (tk_json_pull_next(pull, &key)) {
                                        asking->ids += at_number(pull);
                                        read_text(pull, &asking->text);
                                }
        }
        asking->ids = sum(asking->ids, ids);
        return texts + (ids > 0);
}

static void read_prompt(struct asking *asking) {
        asking->prompts = read_prompts(asking);
}

static void read_input(struct asking *asking) {
        (void)read_prompts(asking);
}

/* Schemas reach the model with their names and nearly all their marks. */
static void read_whole(struct asking *asking) {
        struct tk_json value;
        if (tk_json_pull_skip(&asking->pull, &value) && value.type != TK_JSON_NULL)
                asking->text.bytes = sum(asking->text.bytes, value.raw.len);
}

static void read_plain(struct asking *asking) {
        read_text(&asking->pull, &asking->text);
}

typedef void read_member_f(struct asking *asking);

struct member {
        const char *name;
        read_member_f *read;
        /* Set for what decides money: it must stand once and exactly spelled. */
        const char *repeated, *misspelled;
};

#define GUARDED(name, read)                                                                                  \
        {                                                                                                    \
                name, read, "Parameter '" name "' is given more than once.",                                 \
                        "Parameter '" name "' must be spelled exactly so."                                   \
        }

static const struct member members[] = {
        GUARDED("model", read_model),
        GUARDED("stream", read_stream),
        GUARDED("stream_options", read_stream_options),
        GUARDED("max_tokens", read_max_tokens),
        GUARDED("max_completion_tokens", read_max_completion_tokens),
        GUARDED("n", read_n),
        GUARDED("best_of", read_best_of),
        GUARDED("prompt", read_prompt),
        {"messages", read_messages, NULL, NULL},
        {"input", read_input, NULL, NULL},
        {"tools", read_whole, NULL, NULL},
        {"functions", read_whole, NULL, NULL},
        {"response_format", read_whole, NULL, NULL},
        {"suffix", read_plain, NULL, NULL},
        {"prediction", read_plain, NULL, NULL},
        {"documents", read_plain, NULL, NULL},
};
#define MEMBERS_NR (sizeof(members) / sizeof(members[0]))

/*
 * What some provider understands beside or above the members that were read: another name of the most that
 * may be produced or of how many answers, other models to fall back on, a dearer way to be served. Passed on,
 * it would be produced but not held, or charged at a price that is not the model's.
 */
static const struct {
        const char *name, *message;
} others[] = {
#define OTHER(name, instead)                                                                                 \
        { name, "Parameter '" name "' is not accepted here: " instead "." }
        OTHER("max_output_tokens", "use 'max_tokens' or 'max_completion_tokens'"),
        OTHER("max_new_tokens", "use 'max_tokens'"),
        OTHER("max_tokens_to_sample", "use 'max_tokens'"),
        OTHER("max_gen_len", "use 'max_tokens'"),
        OTHER("n_predict", "use 'max_tokens'"),
        OTHER("num_predict", "use 'max_tokens'"),
        OTHER("candidate_count", "use 'n'"),
        OTHER("num_generations", "use 'n'"),
        OTHER("num_return_sequences", "use 'n'"),
        OTHER("prompt_embeds", "use 'prompt'"),
        OTHER("models", "name one model in 'model'"),
        OTHER("fallbacks", "name one model in 'model'"),
#undef OTHER
};
#define MEMBER_MODEL 0

static void read_other(struct asking *asking, struct tk_str key) {
        struct tk_json value;
        if (!tk_json_pull_skip(&asking->pull, &value) || value.type == TK_JSON_NULL)
                return;
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
                if (spells(key, others[i].name))
                        refuse(asking, TK_E_RANGE, others[i].name, "unsupported_parameter",
                               others[i].message);
}

static void read_member(struct asking *asking, struct tk_str key) {
        for (unsigned i = 0; i < MEMBERS_NR; i++) {
                const struct member *member = &members[i];
                if (tk_json_key_is(key, member->name)) {
                        if (member->repeated && asking->seen >> i & 1)
                                refuse(asking, TK_E_CONFLICT, member->name, "duplicate_parameter",
                                       member->repeated);
                        asking->seen |= 1u << i;
                        member->read(asking);
                        return;
                }
        }
        for (unsigned i = 0; i < MEMBERS_NR; i++)
                if (members[i].misspelled && spells(key, members[i].name))
                        refuse(asking, TK_E_CONFLICT, members[i].name, "ambiguous_parameter",
                               members[i].misspelled);
        read_other(asking, key);
}

/* What follows from the members together. */
static void conclude(struct asking *asking) {
        struct tk_oa_request *out = asking->out;
        if (!(asking->seen >> MEMBER_MODEL & 1))
                refuse(asking, TK_E_RANGE, "model", "missing_required_parameter",
                       "You must provide a 'model' parameter.");
        if (__builtin_mul_overflow(most(out->n, asking->best_of), most(asking->prompts, 1), &out->answers))
                out->answers = UINT64_MAX;
        out->media = asking->text.media;
        uint64_t estimate = sum(tokens_of_bytes(asking->text.bytes), asking->ids);
        estimate = sum(estimate, out->messages * TK_OA_MESSAGE_TOKENS);
        estimate = sum(estimate, out->media * TK_OA_MEDIA_TOKENS);
        out->input_estimate = most(estimate, 1);
}

enum tk_err tk_oa_request_read(struct tk_str body, struct tk_oa_request *out) {
        struct asking asking = {.out = out, .best_of = 1};
        struct tk_str key;
        struct tk_json root = {0};
        *out = (struct tk_oa_request){.n = 1, .input_bytes = body.len};
        tk_json_pull_begin(&asking.pull, body);
        bool object = tk_json_pull_value(&asking.pull, &root) && root.type == TK_JSON_OBJECT;
        if (root.type == TK_JSON_ARRAY)
                tk_json_pull_leave(&asking.pull);
        if (object)
                while (tk_json_pull_next(&asking.pull, &key))
                        read_member(&asking, key);
        enum tk_err err = tk_json_pull_end(&asking.pull);
        if (err || !object) {
                out->fault = (struct tk_oa_fault){
                        .code = "invalid_json",
                        .message = err == TK_E_TOO_BIG ? "The body of the request is nested too deeply."
                                   : err               ? "The body of the request is not valid JSON."
                                                       : "The body of the request must be a JSON object.",
                        .at_byte = err ? (size_t)(asking.pull.at - asking.pull.from) : 0,
                };
                return err ? err : TK_E_SYNTAX;
        }
        conclude(&asking);
        return asking.err;
}

/*
 * Answers.
 */

enum count { COUNT_INPUT, COUNT_OUTPUT, COUNT_TOTAL, COUNT_CACHED, COUNT_WRITE, COUNT_NR };

struct counts {
        uint64_t of[COUNT_NR];
        bool set[COUNT_NR];
        bool bad[COUNT_NR]; /* something else than a whole number within reason */
};

static const struct {
        struct name name;
        enum count count;
} count_names[] = {
        {NAME("prompt_tokens"), COUNT_INPUT},
        {NAME("completion_tokens"), COUNT_OUTPUT},
        {NAME("total_tokens"), COUNT_TOTAL},
        {NAME("input_tokens"), COUNT_INPUT}, /* responses */
        {NAME("output_tokens"), COUNT_OUTPUT},
        {NAME("cached_tokens"), COUNT_CACHED},
        {NAME("prompt_cache_hit_tokens"), COUNT_CACHED}, /* DeepSeek */
        {NAME("cache_read_input_tokens"), COUNT_CACHED},
        {NAME("cache_creation_input_tokens"), COUNT_WRITE}, /* Venice */
        {NAME("cache_creation_tokens"), COUNT_WRITE},
        {NAME("cache_write_tokens"), COUNT_WRITE}, /* OpenRouter */
};

/* One number of the usage object. Providers that give it under two names give it twice, so the larger counts.
 */
static void read_usage_member(struct tk_json_pull *pull, struct tk_str key, struct counts *counts) {
        struct tk_json value;
        uint64_t v;
        int count = -1;
        for (size_t i = 0; i < sizeof(count_names) / sizeof(count_names[0]); i++)
                if (is(pull, key, count_names[i].name.text, count_names[i].name.len))
                        count = (int)count_names[i].count;
        if (!tk_json_pull_skip(pull, &value) || count < 0 || value.type == TK_JSON_NULL)
                return;
        if (!tk_json_u64(value, &v) || v > TK_TOKENS_MAX) {
                counts->bad[count] = true;
                return;
        }
        counts->of[count] = most(counts->of[count], v);
        counts->set[count] = true;
}

/* The sane report that the counts make, if they do. */
static bool conclude_usage(const struct counts *counts, struct tk_tokens *out) {
        struct tk_tokens tokens = {
                .input = counts->of[COUNT_INPUT],
                .output = counts->of[COUNT_OUTPUT],
                .cached = counts->of[COUNT_CACHED],
                .cache_write = counts->of[COUNT_WRITE],
        };
        for (int i = 0; i < COUNT_NR; i++)
                if (counts->bad[i] && i != COUNT_TOTAL)
                        return false;
        if (!counts->set[COUNT_INPUT] || tokens.cached + tokens.cache_write > tokens.input)
                return false;
        /* What the total has beyond its two parts is reasoning that the provider generated and
         * left out of the output (xAI, Gemini), or an output that it does not name at all. */
        if (counts->set[COUNT_TOTAL] && counts->of[COUNT_TOTAL] > tokens.input + tokens.output)
                tokens.output = counts->of[COUNT_TOTAL] - tokens.input;
        /* No call has neither prompt nor answer: zeros stand for "not known yet". */
        if (tokens.input == 0 && tokens.output == 0)
                return false;
        *out = tokens;
        return true;
}

/* True when there is a usage object, be it sane or not. */
static bool read_usage(struct tk_json_pull *pull, struct tk_oa_usage *out) {
        struct counts counts = {0};
        struct tk_str key, inner;
        struct tk_json value;
        if (!tk_json_pull_value(pull, &value))
                return false;
        if (value.type == TK_JSON_ARRAY)
                tk_json_pull_leave(pull);
        if (value.type != TK_JSON_OBJECT) {
                out->nonsense = out->nonsense || value.type != TK_JSON_NULL;
                return false;
        }
        while (tk_json_pull_next(pull, &key)) {
                if (!IS(pull, key, "prompt_tokens_details") && !IS(pull, key, "input_tokens_details")) {
                        read_usage_member(pull, key, &counts);
                        continue;
                }
                if (!tk_json_pull_value(pull, &value))
                        return true;
                if (value.type == TK_JSON_ARRAY)
                        tk_json_pull_leave(pull);
                if (value.type == TK_JSON_OBJECT)
                        while (tk_json_pull_next(pull, &inner))
                                read_usage_member(pull, inner, &counts);
        }
        struct tk_tokens tokens = {0};
        out->has_usage = conclude_usage(&counts, &tokens);
        out->nonsense = !out->has_usage;
        out->tokens = tokens;
        return true;
}

/* Gives the bytes of the strings within one value, which are content. */
static uint64_t content(struct tk_json_pull *pull, struct tk_oa_usage *out) {
        struct text text = {0};
        read_text(pull, &text);
        if (text.strings > 0)
                out->text = text.last;
        out->texts += text.strings;
        return text.bytes;
}

/* A message or a delta. Gives its bytes of content. */
static uint64_t read_message(struct tk_json_pull *pull, struct tk_oa_usage *out) {
        uint64_t bytes = 0, reasoning = 0;
        struct tk_str key;
        struct tk_json value;
        if (!tk_json_pull_value(pull, &value))
                return 0;
        if (value.type == TK_JSON_ARRAY)
                tk_json_pull_leave(pull);
        if (value.type != TK_JSON_OBJECT)
                return 0;
        while (tk_json_pull_next(pull, &key)) {
                if (IS(pull, key, "content") || IS(pull, key, "refusal") || IS(pull, key, "tool_calls") ||
                    IS(pull, key, "function_call") || IS(pull, key, "audio"))
                        bytes = sum(bytes, content(pull, out));
                /* One and the same reasoning under up to three names. */
                else if (IS(pull, key, "reasoning_content") || IS(pull, key, "reasoning") ||
                         IS(pull, key, "reasoning_details"))
                        reasoning = most(reasoning, content(pull, out));
                else
                        skip(pull);
        }
        return sum(bytes, reasoning);
}

static void read_choice(struct tk_json_pull *pull, struct tk_oa_usage *out) {
        uint64_t bytes = 0;
        struct tk_str key;
        struct tk_json value;
        if (!tk_json_pull_value(pull, &value))
                return;
        out->choices++;
        if (value.type == TK_JSON_ARRAY)
                tk_json_pull_leave(pull);
        if (value.type != TK_JSON_OBJECT)
                return;
        while (tk_json_pull_next(pull, &key)) {
                if (IS(pull, key, "delta") || IS(pull, key, "message")) {
                        bytes = sum(bytes, read_message(pull, out));
                } else if (IS(pull, key, "text")) {
                        bytes = sum(bytes, content(pull, out));
                } else if (IS(pull, key, "finish_reason")) {
                        if (tk_json_pull_skip(pull, &value) && value.type != TK_JSON_NULL)
                                out->finished = true;
                } else {
                        skip(pull);
                }
        }
        out->contents += bytes > 0;
        out->content_bytes = sum(out->content_bytes, bytes);
}

/* The elements of `choices`, or of the `output` of the responses API. */
static void read_choices(struct tk_json_pull *pull, bool responses, struct tk_oa_usage *out) {
        struct tk_str key;
        struct tk_json value;
        if (!tk_json_pull_value(pull, &value))
                return;
        if (value.type == TK_JSON_OBJECT)
                tk_json_pull_leave(pull);
        if (value.type != TK_JSON_ARRAY)
                return;
        while (tk_json_pull_next(pull, &key)) {
                if (!responses) {
                        read_choice(pull, out);
                        continue;
                }
                uint64_t bytes = content(pull, out);
                out->choices++;
                out->contents += bytes > 0;
                out->content_bytes = sum(out->content_bytes, bytes);
        }
}

static void read_error(struct tk_json_pull *pull, struct tk_oa_usage *out) {
        struct tk_json value;
        if (tk_json_pull_skip(pull, &value) && value.type != TK_JSON_NULL) {
                out->has_error = true;
                out->error = value.raw;
        }
}

static enum tk_err read_answer(struct tk_str doc, struct tk_oa_usage *out, bool *usage_object) {
        struct tk_json_pull pull;
        struct tk_str key;
        struct tk_json root, value;
        tk_json_pull_begin(&pull, doc);
        if (!tk_json_pull_value(&pull, &root))
                return pull.err;
        if (root.type != TK_JSON_OBJECT)
                return TK_E_SYNTAX;
        while (tk_json_pull_next(&pull, &key)) {
                if (IS(&pull, key, "choices")) {
                        read_choices(&pull, false, out);
                } else if (IS(&pull, key, "output")) {
                        read_choices(&pull, true, out);
                } else if (IS(&pull, key, "usage")) {
                        *usage_object = read_usage(&pull, out);
                } else if (IS(&pull, key, "error")) {
                        read_error(&pull, out);
                } else if (IS(&pull, key, "object")) {
                        /* vLLM once put its errors into a stream without an `error` around them. */
                        if (tk_json_pull_skip(&pull, &value) && tk_str_is(value.raw, "\"error\"")) {
                                out->has_error = true;
                                out->error = doc;
                        }
                } else {
                        skip(&pull);
                }
        }
        return tk_json_pull_end(&pull);
}

enum tk_err tk_oa_response_read(struct tk_str body, struct tk_oa_usage *out) {
        bool usage_object = false;
        *out = (struct tk_oa_usage){0};
        enum tk_err err = read_answer(body, out, &usage_object);
        if (err)
                *out = (struct tk_oa_usage){0};
        return err;
}

enum tk_err tk_oa_chunk_read(struct tk_str data, struct tk_oa_chunk *out) {
        bool usage_object = false;
        *out = (struct tk_oa_chunk){0};
        if (data.len < 16 && tk_str_is(tk_str_trim(data), "[DONE]")) {
                out->is_done = true;
                return TK_OK;
        }
        enum tk_err err = read_answer(data, &out->usage, &usage_object);
        if (err)
                *out = (struct tk_oa_chunk){0};
        else
                out->usage_only = usage_object && out->usage.choices == 0 && !out->usage.has_error;
        return err;
}

static void remember(struct tk_oa_like *like, struct tk_str data, const struct tk_oa_chunk *chunk) {
        const struct tk_oa_usage *usage = &chunk->usage;
        if (usage->texts != 1 || usage->has_error || data.len - usage->text.len > sizeof(like->bytes))
                return;
        like->before = (size_t)(usage->text.at - data.at);
        like->after = data.len - like->before - usage->text.len;
        memcpy(like->bytes, data.at, like->before);
        memcpy(like->bytes + like->before, usage->text.at + usage->text.len, like->after);
        like->chunk = *chunk;
}

/* What stands between the same bytes; false: they are not the same. */
static bool between(const struct tk_oa_like *like, struct tk_str data, struct tk_str *middle) {
        if (like->before == 0 || data.len < like->before + like->after)
                return false;
        *middle = (struct tk_str){data.at + like->before, data.len - like->before - like->after};
        return memcmp(data.at, like->bytes, like->before) == 0 &&
               memcmp(middle->at + middle->len, like->bytes + like->before, like->after) == 0;
}

enum tk_err tk_oa_chunk_read_like(struct tk_oa_like *like, struct tk_str data, struct tk_oa_chunk *out) {
        struct tk_json_pull pull;
        struct tk_json value;
        struct tk_str middle;
        if (between(like, data, &middle)) {
                tk_json_pull_begin(&pull, middle);
                if (tk_json_pull_value(&pull, &value) && value.type == TK_JSON_STRING &&
                    value.raw.len == middle.len) {
                        *out = like->chunk;
                        out->usage.text = middle;
                        out->usage.content_bytes = pull.text_len;
                        out->usage.contents = pull.text_len > 0;
                        return TK_OK;
                }
        }
        enum tk_err err = tk_oa_chunk_read(data, out);
        if (err == TK_OK)
                remember(like, data, out);
        return err;
}

/*
 * The meter.
 */

void tk_oa_meter_take(struct tk_oa_meter *meter, const struct tk_oa_usage *usage) {
        uint64_t output_before = meter->reported.output;
        if (usage->has_usage) {
                meter->has_usage = true;
                meter->reported = usage->tokens;
                if (usage->tokens.output > 0) {
                        /* The report covers all content up to and with its own chunk. */
                        meter->contents = meter->content_bytes = 0;
                        return;
                }
                meter->reported.output = output_before;
        }
        meter->contents = sum(meter->contents, usage->contents);
        meter->content_bytes = sum(meter->content_bytes, usage->content_bytes);
}

void tk_oa_meter_take_opaque(struct tk_oa_meter *meter, uint64_t bytes) {
        meter->contents = sum(meter->contents, bytes > 0);
        meter->content_bytes = sum(meter->content_bytes, bytes);
}

uint64_t tk_oa_meter_output(const struct tk_oa_meter *meter) {
        uint64_t since = most(meter->contents, tokens_of_bytes(meter->content_bytes));
        uint64_t output = sum(meter->reported.output, since);
        return output < TK_TOKENS_MAX ? output : TK_TOKENS_MAX;
}

bool tk_oa_meter_tokens(const struct tk_oa_meter *meter, uint64_t input_estimate, struct tk_tokens *out) {
        *out = meter->reported;
        out->output = tk_oa_meter_output(meter);
        if (!meter->has_usage)
                out->input = input_estimate < TK_TOKENS_MAX ? input_estimate : TK_TOKENS_MAX;
        return meter->has_usage && meter->contents == 0;
}
