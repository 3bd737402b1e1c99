/* SPDX-License-Identifier: Apache-2.0
 *
 * openai: what a request of the OpenAI kind asks for and what the answer says it used. Pure: bytes
 * in, numbers out; no I/O, no allocation, one pass; any thread.
 *
 * Requests are hostile: a client gains by letting us read a smaller request than the provider
 * does. So every member that decides money must stand once and exactly spelled; a second copy, or
 * one that differs only in case (some providers read names without regard to case), is refused.
 *
 * Answers are sloppy: providers differ in names, leave usage out, send it in every chunk, send
 * zeros or nonsense. What is not a sane report counts as no report, and then the content seen is
 * what is charged: struct tk_oa_meter. Known shapes: OpenAI chat, completions, embeddings and
 * responses, Azure, vLLM, Venice, DeepSeek, OpenRouter, xAI, Gemini's compatible endpoint.
 */
#ifndef TK_PROXY_USAGE_OPENAI_H
#define TK_PROXY_USAGE_OPENAI_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"
#include "core/price.h"

#define TK_OA_MODEL_MAX      128  /* bytes of a model's name */
#define TK_OA_CHOICES_MAX    128  /* n and best_of */
#define TK_OA_MESSAGE_TOKENS 4    /* what a chat template adds to a message, for the estimate */
#define TK_OA_MEDIA_TOKENS   1000 /* an image, a sound or a file, for the estimate */

/* Why a request is refused: constant texts, for the caller's dialect. */
struct tk_oa_fault {
        const char *param;   /* "model", "stream_options.include_usage"; NULL: the body as a whole */
        const char *code;    /* "invalid_type", "missing_required_parameter", ... */
        const char *message; /* a sentence in English */
        size_t at_byte;      /* where the body stops being JSON, when param is NULL */
};

struct tk_oa_request {
        char model[TK_OA_MODEL_MAX + 1]; /* escapes undone */
        size_t model_len;
        bool stream;
        bool has_stream_options; /* the member exists, perhaps as null */
        bool stream_options_is_object;
        bool include_usage;           /* stream_options.include_usage is true */
        struct tk_str stream_options; /* its value in the body, when it exists */
        bool has_max_tokens;          /* null counts as absent, as providers treat it */
        bool has_max_completion_tokens;
        uint64_t max_tokens; /* 1..TK_TOKENS_MAX, 0 when absent */
        uint64_t max_completion_tokens;
        uint64_t n; /* 1..TK_OA_CHOICES_MAX */
        /* How many answers, each up to max_tokens long, may be charged: max(n, best_of) times the
         * number of prompts of a legacy completion. */
        uint64_t answers;
        uint64_t messages; /* elements of `messages` */
        uint64_t media;    /* images, sounds and files: bytes do not bound their tokens */
        /* The size of the body. A token is at least one byte, so this bounds the prompt tokens of
         * all text in it; not those of media, nor of a system prompt that the provider adds. */
        uint64_t input_bytes;
        uint64_t input_estimate;  /* a quarter of the text's bytes, and constants as above */
        struct tk_oa_fault fault; /* set when the read failed */
};

/* SYNTAX: not a JSON object; TOO_BIG: nested too deep; RANGE: a member is missing or wrong;
 * CONFLICT: a member that decides money is repeated. The fault tells more. */
TK_CHECKED enum tk_err tk_oa_request_read(struct tk_str body, struct tk_oa_request *out);

/* What one answer, or one chunk of it, says. */
struct tk_oa_usage {
        bool has_usage;          /* a sane report: tokens holds it */
        bool nonsense;           /* a report that was not sane, hence ignored */
        bool finished;           /* a finish_reason was seen */
        bool has_error;          /* an `error` member that is not null */
        struct tk_str error;     /* its raw value */
        struct tk_tokens tokens; /* all zero without has_usage */
        uint64_t choices;        /* elements of `choices` (or of `output`) */
        uint64_t contents;       /* those that carry content */
        uint64_t content_bytes;  /* bytes of generated text, reasoning and tool calls */
        uint64_t texts;          /* strings that these bytes are from */
        struct tk_str text;      /* the last of them, with its quotes */
};

struct tk_oa_chunk {
        bool is_done;    /* "[DONE]": nothing else is set */
        bool usage_only; /* the extra chunk of include_usage: no choices, and a usage object */
        struct tk_oa_usage usage;
};

/* A whole answer that is not streamed. SYNTAX: not a JSON object; TOO_BIG: nested too deep. */
TK_CHECKED enum tk_err tk_oa_response_read(struct tk_str body, struct tk_oa_usage *out);
/* The data of one event of a stream. Errors as above; *out is then all zero. */
TK_CHECKED enum tk_err tk_oa_chunk_read(struct tk_str data, struct tk_oa_chunk *out);

/*
 * Most events of a stream differ from the one before in nothing but their one string of content. An event of
 * which that is true is read by comparing it with the remembered one and reading that string; any other is
 * read as above, and remembered. So both give the same for every event. Zero-initialised it is ready.
 */
#define TK_OA_LIKE_MAX 1024
struct tk_oa_like {
        struct tk_oa_chunk chunk;   /* of the remembered event, without its text */
        size_t before, after;       /* its bytes on both sides of the string; 0: none is remembered */
        char bytes[TK_OA_LIKE_MAX]; /* both of them */
};
TK_CHECKED enum tk_err tk_oa_chunk_read_like(struct tk_oa_like *like, struct tk_str data,
                                             struct tk_oa_chunk *out);

/*
 * The running count of one call. Zero-initialised it is ready. A report replaces what was counted
 * up to it; content that comes after the last report is counted on top of it, so a provider that
 * reports early and goes on sending is not free. An output of zero is not believed when content
 * was seen.
 */
struct tk_oa_meter {
        bool has_usage;            /* at least one sane report */
        struct tk_tokens reported; /* the last report */
        uint64_t contents;         /* content-bearing choices that no report covers */
        uint64_t content_bytes;    /* and their bytes */
};

/* Takes one answer or chunk. */
void tk_oa_meter_take(struct tk_oa_meter *meter, const struct tk_oa_usage *usage);
/* Takes bytes of an answer that could not be read: they count as content. */
void tk_oa_meter_take_opaque(struct tk_oa_meter *meter, uint64_t bytes);
/* Output tokens so far, at most TK_TOKENS_MAX: the report plus max(contents, bytes / 4 rounded up) since. */
uint64_t tk_oa_meter_output(const struct tk_oa_meter *meter);
/* What to charge. The estimate stands in for an input that was not reported. True when the provider
 * reported all of it; false when any part is estimated, which is then flagged to the user. */
bool tk_oa_meter_tokens(const struct tk_oa_meter *meter, uint64_t input_estimate, struct tk_tokens *out);

#endif
