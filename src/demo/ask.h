/* SPDX-License-Identifier: Apache-2.0
 *
 * ask: a request's body, read as OpenAI's API reads it, and what is wrong with it in its words.
 *
 * What is read is what the answer depends on; unknown members are ignored, as a lenient server does.
 * The JSON library is named only in ask.c.
 */
#ifndef TK_DEMO_ASK_H
#define TK_DEMO_ASK_H

#include "demo/fault.h"

#define TK_DEMO_MODEL_MAX      200 /* bytes, with its faults */
#define TK_DEMO_USER_MAX       128
#define TK_DEMO_ECHO_MAX       160 /* bytes of the prompt that come back in the answer */
#define TK_DEMO_CHOICES_MAX    128
#define TK_DEMO_INPUTS_MAX     2048
#define TK_DEMO_DIMENSIONS_MAX 3072
#define TK_DEMO_DIMENSIONS     256 /* by default */

enum tk_demo_kind { TK_DEMO_CHAT, TK_DEMO_COMPLETION, TK_DEMO_EMBEDDING };

struct tk_demo_ask {
        enum tk_demo_kind kind;
        char model[TK_DEMO_MODEL_MAX + 1]; /* as it was asked for; plain ASCII */
        size_t model_base;                 /* length without the faults */
        struct tk_demo_fault fault;
        char user[TK_DEMO_USER_MAX + 1];
        bool stream, include_usage;
        unsigned choices;
        uint64_t max_tokens; /* TK_DEMO_NONE: not limited */
        uint64_t prompt_tokens;
        char echo[TK_DEMO_ECHO_MAX + 1]; /* whole tokens from the start of the last text of the user */
        size_t echo_len;
        /* embeddings */
        bool base64;
        unsigned dimensions;
        unsigned inputs;
        uint64_t *seeds; /* one an input: a hash of it */
};

/* An error in OpenAI's shape. */
struct tk_demo_problem {
        int status;
        char message[320];
        const char *type; /* static */
        char param[64];   /* empty: null */
        const char *code; /* static, may be NULL */
};

void tk_demo_problem_set(struct tk_demo_problem *problem, int status, const char *param, const char *code,
                         const char *fmt, ...) TK_PRINTF(5, 6);
/* {"error":{"message":...,"type":...,"param":...,"code":...}} */
void tk_demo_problem_write(const struct tk_demo_problem *problem, struct tk_buf *out);

/*
 * models: the names that exist, ended by NULL. faults: the value of x-demo-fault or the empty span. False:
 * *problem says why. The ask is freed with tk_demo_ask_free() in either case.
 */
bool tk_demo_ask_parse(enum tk_demo_kind kind, struct tk_str body, struct tk_str faults,
                       const char *const *models, struct tk_demo_ask *ask, struct tk_demo_problem *problem);
void tk_demo_ask_free(struct tk_demo_ask *ask);

#endif
