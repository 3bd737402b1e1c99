/* SPDX-License-Identifier: Apache-2.0
 *
 * price: tokens times a price list, rounded up to the nano once per call.
 *
 * Rates are nano-units per million tokens. `input` counts every prompt token, cached and
 * cache-written ones included; these two parts are priced apart, falling back to the input rate
 * (venice sheet section 6). When the prompt is longer than the threshold, the longer rates price
 * the whole call. Pure; any thread.
 */
#ifndef TK_CORE_PRICE_H
#define TK_CORE_PRICE_H

#include "core/money.h"

#define TK_RATE_NONE  INT64_C(-1)             /* this rate is not given: the input rate applies */
#define TK_TOKENS_MAX UINT64_C(1000000000000) /* more in one call is a broken report */

struct tk_rates {
        int64_t input;       /* nano per million tokens, >= 0 */
        int64_t output;      /* >= 0 */
        int64_t cache_input; /* or TK_RATE_NONE */
        int64_t cache_write; /* or TK_RATE_NONE */
};

struct tk_price {
        struct tk_rates base;
        struct tk_rates longer; /* used when longer_above > 0 and input tokens > longer_above */
        uint64_t longer_above;  /* tokens; 0: no such tier */
};

struct tk_tokens {
        uint64_t input;       /* all prompt tokens */
        uint64_t output;      /* all completion tokens, reasoning included */
        uint64_t cached;      /* part of input */
        uint64_t cache_write; /* part of input */
};

bool tk_price_ok(const struct tk_price *price);
/* A free price (every rate 0) is legal only when the operator wrote it so; this tells. */
bool tk_price_is_free(const struct tk_price *price);
/*
 * The exact cost, rounded up to the nano. RANGE: a count above TK_TOKENS_MAX, or
 * cached + cache_write > input. OVERFLOW: does not fit int64.
 */
TK_CHECKED enum tk_err tk_price_cost(const struct tk_price *price, const struct tk_tokens *tokens,
                                     struct tk_money *cost);
/*
 * The most output tokens, up to min(most, TK_TOKENS_MAX), such that tk_price_bound() of them and
 * `input` is within `budget`: a promise whatever part turns out to be cached. False when not even
 * the input is affordable; *output is untouched then.
 */
TK_CHECKED bool tk_price_affords(const struct tk_price *price, uint64_t input, struct tk_money budget,
                                 uint64_t most, uint64_t *output);
/*
 * Upper bound of the cost of every call with at most so many tokens: all input at the dearest input
 * rate. Above the threshold the dearer of both tiers counts, rate by rate, since fewer input tokens
 * may fall back under it. Errors as tk_price_cost.
 */
TK_CHECKED enum tk_err tk_price_bound(const struct tk_price *price, uint64_t input, uint64_t output,
                                      struct tk_money *cost);

#endif
