/* SPDX-License-Identifier: Apache-2.0
 *
 * native_body: the request bodies of the native API, from bytes to what they ask for. No I/O, no service; any
 * thread. Every object is closed.
 *
 * Amounts: money as a number or as decimal text, whole counts of requests and tokens. A charge is never less
 * than what was written: a part of a nano counts as one.
 *
 * Each reader returns TK_OK, or RANGE with `refusal` holding the 400 answer, or SYNTAX with why it is no JSON
 * in `why`, or NO_MEMORY.
 */
#ifndef TK_API_NATIVE_BODY_H
#define TK_API_NATIVE_BODY_H

#include "api/check.h"
#include "core/keyfmt.h"
#include "service/holds.h"

#define TK_NATIVE_BODY_BYTES_MAX 65536 /* a good one has a few hundred */
#define TK_NATIVE_LIFE_S         900   /* of a hold, when nothing else is said */

/* The secret of a customer's key. The reader fills it in whatever it returns: wipe it. */
struct tk_native_secret {
        bool fits; /* false: no key is as long as this */
        struct tk_key_text text;
};

/* Which model, and how many tokens of it: then the catalogue says what is due. */
struct tk_native_model {
        char id[TK_MODEL_NAME_MAX + 1]; /* "": none is named */
        bool has_tokens;                /* only with an id */
        struct tk_tokens tokens;
};

struct tk_native_authorize {
        struct tk_native_secret key;
        char id[TK_HOLD_NAME_MAX + 1];
        struct tk_native_model model;
        bool has_cost;
        struct tk_amounts asked; /* beside what the model's tokens cost */
        unsigned least_named;    /* bit (1 << meter); the others: all that is asked */
        struct tk_amounts least;
        int64_t life_ms;
};

struct tk_native_verify {
        struct tk_native_secret key;
        struct tk_native_model model; /* without tokens */
        bool has_cost;
        struct tk_amounts counts;
        enum tk_scope scope; /* NONE: none is named */
};

TK_CHECKED enum tk_err tk_native_read_authorize(struct tk_str body, struct tk_native_authorize *out,
                                                struct tk_buf *refusal, char why[TK_CHECK_WHY_MAX]);
TK_CHECKED enum tk_err tk_native_read_verify(struct tk_str body, struct tk_native_verify *out,
                                             struct tk_buf *refusal, char why[TK_CHECK_WHY_MAX]);
TK_CHECKED enum tk_err tk_native_read_extend(struct tk_str body, struct tk_holds_more *out,
                                             struct tk_buf *refusal, char why[TK_CHECK_WHY_MAX]);
/* With tokens `actual` names nothing yet; its model is not set. */
TK_CHECKED enum tk_err tk_native_read_post(struct tk_str body, struct tk_native_model *model,
                                           struct tk_holds_actual *actual, struct tk_buf *refusal,
                                           char why[TK_CHECK_WHY_MAX]);
/* What was spent of a doubt on this meter; id: the caller's name for this word. */
struct tk_native_word {
        char id[TK_HOLD_NAME_MAX + 1];
        int64_t spent;
};
TK_CHECKED enum tk_err tk_native_read_word(struct tk_str body, enum tk_meter meter,
                                           struct tk_native_word *out, struct tk_buf *refusal,
                                           char why[TK_CHECK_WHY_MAX]);
/* An object without members, or nothing at all. */
TK_CHECKED enum tk_err tk_native_read_nothing(struct tk_str body, struct tk_buf *refusal,
                                              char why[TK_CHECK_WHY_MAX]);
/*
 * Completes `asked` by what the model's tokens cost, and `least` by what was not named. Errors as above; what
 * is too much is an issue.
 */
TK_CHECKED enum tk_err tk_native_complete(struct tk_native_authorize *a, const struct tk_price *price,
                                          struct tk_buf *refusal);

#endif
