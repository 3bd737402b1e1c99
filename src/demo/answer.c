/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/answer.h"

#include "demo/token.h"
#include "wire/json_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE "This is Tollkey's demo upstream, not a language model."

/* One token each, by token.h: a space and at most four bytes. */
static const char *const filler[] = {" This", " text", " is",   " only", " here", " to", " be",
                                     " so",   " many", " one",  " word", " at",   " a",  " time",
                                     " and",  " it",   " says", " no",   " more"};
#define FILLER_NR (sizeof filler / sizeof *filler)
#define LAST_WORD TK_STR(" end.")

/* ---- text ---- */

void tk_demo_answer_init(struct tk_demo_answer *answer, const struct tk_demo_ask *ask, const char *id,
                         int64_t now_ms, uint64_t default_tokens) {
        struct tk_buf text = TK_BUF_OVER(answer->opening);
        memset(answer, 0, sizeof *answer);
        answer->ask = ask;
        answer->id = id;
        answer->created_s = now_ms / 1000;
        tk_buf_put(&text, TK_STR(SENTENCE));
        if (ask->echo_len) {
                tk_buf_put(&text, TK_STR(" You wrote: "));
                tk_buf_put(&text, (struct tk_str){ask->echo, ask->echo_len});
        }
        MUST(tk_buf_ok(&text));
        answer->opening_len = text.len;
        answer->opening_tokens = (unsigned)tk_demo_tokens(tk_buf_str(&text));
        answer->length = ask->fault.tokens != TK_DEMO_NONE ? ask->fault.tokens : default_tokens;
        answer->cut = ask->max_tokens < answer->length;
        if (answer->cut)
                answer->length = ask->max_tokens;
}

static struct tk_str opening_token(const struct tk_demo_answer *answer, size_t at) {
        return tk_demo_token((struct tk_str){answer->opening + at, answer->opening_len - at});
}

struct tk_str tk_demo_answer_token(const struct tk_demo_answer *answer, struct tk_demo_cursor cursor,
                                   unsigned choice) {
        MUST(cursor.token < answer->length);
        if (cursor.token < answer->opening_tokens)
                return opening_token(answer, cursor.at);
        if (cursor.token + 1 == answer->length && !answer->cut)
                return LAST_WORD;
        return tk_str_of(filler[(cursor.token - answer->opening_tokens + choice) % FILLER_NR]);
}

void tk_demo_cursor_next(const struct tk_demo_answer *answer, struct tk_demo_cursor *cursor) {
        if (cursor->token < answer->opening_tokens)
                cursor->at += opening_token(answer, cursor->at).len;
        cursor->token++;
}

/* ---- JSON ---- */

static bool is_chat(const struct tk_demo_answer *answer) {
        return answer->ask->kind == TK_DEMO_CHAT;
}

static void key_u64(struct tk_jw *w, const char *key, uint64_t value) {
        tk_jw_key(w, key);
        tk_jw_u64(w, value);
}

static void key_text(struct tk_jw *w, const char *key, const char *text) {
        tk_jw_key(w, key);
        tk_jw_text(w, text);
}

static void put_details(struct tk_jw *w, const char *key, const char *const *names) {
        tk_jw_key(w, key);
        tk_jw_object(w);
        for (; *names; names++)
                key_u64(w, *names, 0);
        tk_jw_end(w);
}

static void put_usage(struct tk_jw *w, const struct tk_demo_ask *ask, uint64_t produced) {
        static const char *const prompt[] = {"cached_tokens", "audio_tokens", NULL};
        static const char *const completion[] = {"reasoning_tokens", "audio_tokens",
                                                 "accepted_prediction_tokens", "rejected_prediction_tokens",
                                                 NULL};
        bool huge = ask->fault.huge_usage;
        tk_jw_object(w);
        key_u64(w, "prompt_tokens", huge ? INT64_MAX : ask->prompt_tokens);
        if (ask->kind != TK_DEMO_EMBEDDING)
                key_u64(w, "completion_tokens", huge ? UINT64_MAX : produced);
        key_u64(w, "total_tokens", huge ? UINT64_MAX : ask->prompt_tokens + produced);
        if (ask->kind == TK_DEMO_CHAT) {
                put_details(w, "prompt_tokens_details", prompt);
                put_details(w, "completion_tokens_details", completion);
        }
        tk_jw_end(w);
}

/* "id" to "system_fingerprint"; the object stays open. */
static void put_head(struct tk_jw *w, const struct tk_demo_answer *answer, const char *object) {
        char id[64], *to = id + snprintf(id, sizeof id, "%s", is_chat(answer) ? "chatcmpl-" : "cmpl-");
        for (const char *from = answer->id; *from && to < id + sizeof id - 1; from++)
                if (*from != '-')
                        *to++ = *from;
        *to = '\0';
        tk_jw_object(w);
        key_text(w, "id", id);
        key_text(w, "object", object);
        tk_jw_key(w, "created");
        tk_jw_i64(w, answer->created_s);
        key_text(w, "model", answer->ask->model);
        key_text(w, "system_fingerprint", "fp_tollkey_demo");
}

static const char *finish_reason(const struct tk_demo_answer *answer) {
        return answer->cut ? "length" : "stop";
}

static struct tk_jw begin_chunk(const struct tk_demo_answer *answer, struct tk_buf *out) {
        tk_buf_text(out, "data: ");
        struct tk_jw w = tk_jw_begin(out);
        put_head(&w, answer, is_chat(answer) ? "chat.completion.chunk" : "text_completion");
        tk_jw_key(&w, "choices");
        tk_jw_array(&w);
        return w;
}

/* The usage of a chunk that is not the last: null if one comes at the end, and nothing if none does. */
static void end_chunk(struct tk_jw *w, const struct tk_demo_answer *answer, uint64_t produced) {
        const struct tk_demo_fault *fault = &answer->ask->fault;
        tk_jw_end(w);
        if (fault->usage_in_every_chunk) {
                tk_jw_key(w, "usage");
                put_usage(w, answer->ask, produced);
        } else if (answer->ask->include_usage && !fault->no_usage) {
                tk_jw_key(w, "usage");
                tk_jw_null(w);
        }
        tk_jw_end(w);
        tk_buf_text(w->buf, "\n\n");
}

static void put_choice(struct tk_jw *w, const struct tk_demo_answer *answer, unsigned choice, bool role,
                       const struct tk_str *token, const char *finish) {
        tk_jw_object(w);
        key_u64(w, "index", choice);
        if (is_chat(answer)) {
                tk_jw_key(w, "delta");
                tk_jw_object(w);
                if (role)
                        key_text(w, "role", "assistant");
                if (token) {
                        tk_jw_key(w, "content");
                        tk_jw_str(w, *token);
                }
                if (role)
                        key_text(w, "refusal", NULL);
                tk_jw_end(w);
        } else {
                tk_jw_key(w, "text");
                tk_jw_str(w, token ? *token : TK_STR(""));
        }
        key_text(w, "logprobs", NULL);
        key_text(w, "finish_reason", finish);
        tk_jw_end(w);
}

void tk_demo_chunk_role(const struct tk_demo_answer *answer, unsigned choice, struct tk_buf *out) {
        struct tk_jw w = begin_chunk(answer, out);
        put_choice(&w, answer, choice, true, &TK_STR(""), NULL);
        end_chunk(&w, answer, 0);
}

void tk_demo_chunk_token(const struct tk_demo_answer *answer, unsigned choice, struct tk_str token,
                         uint64_t produced, struct tk_buf *out) {
        struct tk_jw w = begin_chunk(answer, out);
        put_choice(&w, answer, choice, false, &token, NULL);
        end_chunk(&w, answer, produced);
}

void tk_demo_chunk_finish(const struct tk_demo_answer *answer, unsigned choice, uint64_t produced,
                          struct tk_buf *out) {
        struct tk_jw w = begin_chunk(answer, out);
        put_choice(&w, answer, choice, false, NULL, finish_reason(answer));
        end_chunk(&w, answer, produced);
}

void tk_demo_chunk_usage(const struct tk_demo_answer *answer, uint64_t produced, struct tk_buf *out) {
        struct tk_jw w = begin_chunk(answer, out);
        tk_jw_end(&w);
        tk_jw_key(&w, "usage");
        put_usage(&w, answer->ask, produced);
        tk_jw_end(&w);
        tk_buf_text(out, "\n\n");
}

static void put_whole_text(struct tk_jw *w, const struct tk_demo_answer *answer, unsigned choice) {
        struct tk_buf text = TK_BUF(64u << 20);
        struct tk_demo_cursor cursor = {0};
        for (; cursor.token < answer->length; tk_demo_cursor_next(answer, &cursor))
                tk_buf_put(&text, tk_demo_answer_token(answer, cursor, choice));
        if (!tk_buf_ok(&text))
                w->buf->failed = true;
        tk_jw_str(w, tk_buf_str(&text));
        tk_buf_free(&text);
}

void tk_demo_answer_write(const struct tk_demo_answer *answer, struct tk_buf *out) {
        const struct tk_demo_ask *ask = answer->ask;
        struct tk_jw w = tk_jw_begin(out);
        put_head(&w, answer, is_chat(answer) ? "chat.completion" : "text_completion");
        tk_jw_key(&w, "choices");
        tk_jw_array(&w);
        for (unsigned i = 0; i < ask->choices; i++) {
                tk_jw_object(&w);
                key_u64(&w, "index", i);
                if (is_chat(answer)) {
                        tk_jw_key(&w, "message");
                        tk_jw_object(&w);
                        key_text(&w, "role", "assistant");
                        tk_jw_key(&w, "content");
                        put_whole_text(&w, answer, i);
                        key_text(&w, "refusal", NULL);
                        tk_jw_end(&w);
                } else {
                        tk_jw_key(&w, "text");
                        put_whole_text(&w, answer, i);
                }
                key_text(&w, "logprobs", NULL);
                key_text(&w, "finish_reason", finish_reason(answer));
                tk_jw_end(&w);
        }
        tk_jw_end(&w);
        if (!ask->fault.no_usage) {
                tk_jw_key(&w, "usage");
                put_usage(&w, ask, answer->length * ask->choices);
        }
        tk_jw_end(&w);
}

/* ---- embeddings ---- */

/* splitmix64: any seed gives a sequence without visible pattern. */
static uint64_t next_random(uint64_t *state) {
        uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        return z ^ z >> 31;
}

void tk_demo_vector(uint64_t seed, float *out, unsigned nr) {
        double sum = 0;
        uint64_t state = seed;
        for (unsigned i = 0; i < nr; i++) {
                /* 53 bits, off zero, in (-1, 1): the length is never zero. */
                double x = ((double)(next_random(&state) >> 11) + 0.5) / 4503599627370496.0 - 1.0;
                out[i] = (float)x;
                sum += x * x;
        }
        double length = sqrt(sum);
        for (unsigned i = 0; i < nr; i++)
                out[i] = (float)(out[i] / length);
}

static void put_floats(struct tk_jw *w, const float *v, unsigned nr) {
        char text[32];
        tk_jw_array(w);
        for (unsigned i = 0; i < nr; i++) {
                int n = snprintf(text, sizeof text, "%.9g",
                                 (double)v[i]); /* Nine digits give the float back. */
                tk_jw_raw(w, (struct tk_str){text, (size_t)n});
        }
        tk_jw_end(w);
}

/* Little-endian floats in base64 (RFC 4648 section 4), which is what the SDKs ask for by default. */
static void put_base64(struct tk_jw *w, const float *v, unsigned nr) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        unsigned char bytes[TK_DEMO_DIMENSIONS_MAX * 4] = {0};
        char text[(sizeof bytes + 2) / 3 * 4];
        size_t n = (size_t)nr * 4, len = 0;
        for (unsigned i = 0; i < nr; i++) {
                uint32_t bits;
                memcpy(&bits, &v[i], 4);
                for (unsigned j = 0; j < 4; j++)
                        bytes[i * 4 + j] = (unsigned char)(bits >> 8 * j);
        }
        for (size_t i = 0; i < n; i += 3) {
                uint32_t group = (uint32_t)bytes[i] << 16;
                group |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
                group |= i + 2 < n ? bytes[i + 2] : 0;
                text[len++] = digits[group >> 18];
                text[len++] = digits[group >> 12 & 63];
                text[len++] = i + 1 < n ? digits[group >> 6 & 63] : '=';
                text[len++] = i + 2 < n ? digits[group & 63] : '=';
        }
        tk_jw_str(w, (struct tk_str){text, len});
}

void tk_demo_embeddings_write(const struct tk_demo_ask *ask, struct tk_buf *out) {
        float v[TK_DEMO_DIMENSIONS_MAX];
        struct tk_jw w = tk_jw_begin(out);
        tk_jw_object(&w);
        key_text(&w, "object", "list");
        tk_jw_key(&w, "data");
        tk_jw_array(&w);
        for (unsigned i = 0; i < ask->inputs; i++) {
                tk_demo_vector(ask->seeds[i], v, ask->dimensions);
                tk_jw_object(&w);
                key_text(&w, "object", "embedding");
                key_u64(&w, "index", i);
                tk_jw_key(&w, "embedding");
                if (ask->base64)
                        put_base64(&w, v, ask->dimensions);
                else
                        put_floats(&w, v, ask->dimensions);
                tk_jw_end(&w);
        }
        tk_jw_end(&w);
        key_text(&w, "model", ask->model);
        if (!ask->fault.no_usage) {
                tk_jw_key(&w, "usage");
                put_usage(&w, ask, 0);
        }
        tk_jw_end(&w);
}
