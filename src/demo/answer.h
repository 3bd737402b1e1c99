/* SPDX-License-Identifier: Apache-2.0
 *
 * answer: what the demo says, token by token, and the JSON around it. Pure.
 *
 * The same ask gets the same text: a sentence that says what this is, the start of the prompt, and filler
 * words of one token each, up to the length that was set. Every choice has the same length; they differ in
 * the filler. A chunk of a stream carries exactly one token.
 */
#ifndef TK_DEMO_ANSWER_H
#define TK_DEMO_ANSWER_H

#include "base/buf.h"
#include "demo/ask.h"

#define TK_DEMO_CHUNK_BYTES_MAX 4096 /* more than any chunk needs */

struct tk_demo_answer {
        const struct tk_demo_ask *ask;
        const char *id; /* a UUID; the answer's id is made of it */
        int64_t created_s;
        uint64_t length; /* tokens a choice */
        bool cut;        /* the length is the caller's limit, so it finishes with "length" */
        char opening[TK_DEMO_ECHO_MAX + 96];
        size_t opening_len;
        unsigned opening_tokens;
};

/* default_tokens: --tokens. ask and id must outlive the answer. */
void tk_demo_answer_init(struct tk_demo_answer *answer, const struct tk_demo_ask *ask, const char *id,
                         int64_t now_ms, uint64_t default_tokens);

/* A position in the text of all choices; zero is the start. */
struct tk_demo_cursor {
        uint64_t token;
        size_t at; /* in the opening */
};
/* The token at the cursor, of this choice. */
struct tk_str tk_demo_answer_token(const struct tk_demo_answer *answer, struct tk_demo_cursor cursor,
                                   unsigned choice);
void tk_demo_cursor_next(const struct tk_demo_answer *answer, struct tk_demo_cursor *cursor);

/* Each appends one event, "data: {...}" and a blank line. produced: tokens of all choices so far. */
void tk_demo_chunk_role(const struct tk_demo_answer *answer, unsigned choice, struct tk_buf *out);
void tk_demo_chunk_token(const struct tk_demo_answer *answer, unsigned choice, struct tk_str token,
                         uint64_t produced, struct tk_buf *out);
void tk_demo_chunk_finish(const struct tk_demo_answer *answer, unsigned choice, uint64_t produced,
                          struct tk_buf *out);
void tk_demo_chunk_usage(const struct tk_demo_answer *answer, uint64_t produced, struct tk_buf *out);

/* The whole answer at once. */
void tk_demo_answer_write(const struct tk_demo_answer *answer, struct tk_buf *out);
void tk_demo_embeddings_write(const struct tk_demo_ask *ask, struct tk_buf *out);

/* A unit vector that depends on nothing but the seed and nr. */
void tk_demo_vector(uint64_t seed, float *out, unsigned nr);

#endif
