/* SPDX-License-Identifier: Apache-2.0
 *
 * plan: what a call may cost, in tokens and money, and what is sent upstream so that it cannot cost more.
 *
 *   input bound     every byte of the body counts as a token: no text has more tokens than bytes
 *   covered         output tokens that the hold pays for, whatever the input turns out to be
 *   affordable      output tokens that the hold and everything left beside it would pay for
 *
 * A stream is held in steps and extended as it goes, so that a huge max_tokens blocks nobody; an answer that
 * is not streamed shows nothing until it is whole, so all of it is held. In both cases the upstream is told
 * not to produce more than is affordable. Pure; any thread.
 */
#ifndef TK_PROXY_PLAN_H
#define TK_PROXY_PLAN_H

#include "base/buf.h"
#include "core/meter.h"
#include "proxy/usage/openai.h"
#include "service/catalog.h"

struct tk_plan {
        const struct tk_model *model;
        enum tk_meter currency; /* of money: what the call is charged in; one unit of each is one USD */
        bool produces;          /* has output tokens at all: not an embedding */
        bool stream;
        uint64_t input;       /* bound, in tokens */
        uint64_t output_each; /* most output tokens of one answer, as asked or as the model allows */
        uint64_t answers;
        uint64_t output; /* most output tokens of all answers */
        uint64_t step;   /* output tokens to hold at a time */
};

/* In USD. RANGE: the request is so large that its bound does not fit. step_tokens > 0. */
TK_CHECKED enum tk_err tk_plan_make(const struct tk_oa_request *request, const struct tk_model *model,
                                    bool produces, uint64_t step_tokens, struct tk_plan *out);
/* The amounts for `output` tokens in all: one request, its tokens, their cost. */
TK_CHECKED enum tk_err tk_plan_amounts(const struct tk_plan *plan, uint64_t output, struct tk_amounts *out);
/* The first hold: least is one token of each answer, most the first step. Errors as tk_plan_amounts. */
TK_CHECKED enum tk_err tk_plan_first(const struct tk_plan *plan, struct tk_amounts *least,
                                     struct tk_amounts *most);
/* Output tokens, at most plan->output, that these amounts pay for; 0 when not even the input. */
uint64_t tk_plan_covered(const struct tk_plan *plan, const struct tk_amounts *held);
/* held and what was left beside it. */
uint64_t tk_plan_affordable(const struct tk_plan *plan, const struct tk_amounts *held,
                            const struct tk_amounts *left);
/*
 * Tokens that a provider may have sent on while our end of the stream is still on its way to it. A stream
 * that cannot be extended is cut so many tokens before its hold is used up, and pays for all of the hold:
 * what the provider produces in that moment is paid for, too.
 */
#define TK_PLAN_RESERVE_TOKENS 16
/* How far a stream may go of which `covered` tokens are held, before more is held or it ends. A provider that
 * was `told` to produce no more than that stops by itself. */
uint64_t tk_plan_reach(uint64_t covered, uint64_t told);
/* What it really cost. */
TK_CHECKED enum tk_err tk_plan_actual(const struct tk_plan *plan, const struct tk_tokens *tokens,
                                      struct tk_amounts *out);
/*
 * The body for the provider: its name of the model, no more output than `affordable` in all, and a usage
 * report asked for. Everything else byte for byte. Errors as tk_splice_object.
 */
TK_CHECKED enum tk_err tk_plan_body(const struct tk_plan *plan, const struct tk_oa_request *request,
                                    struct tk_str body, uint64_t affordable, struct tk_buf *out);

#endif
