/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/plan.h"

#include "core/price.h"
#include "wire/json_write.h"
#include "wire/splice.h"

#include <stdio.h>

#define STREAM_OPTIONS_MAX 65536

static uint64_t min_u64(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* The smaller of the two names that clients use, within what the model can do. */
static uint64_t output_each(const struct tk_oa_request *request, const struct tk_model *model) {
        uint64_t most = model->max_output_tokens;
        if (request->has_max_tokens)
                most = min_u64(most, request->max_tokens);
        if (request->has_max_completion_tokens)
                most = min_u64(most, request->max_completion_tokens);
        return most;
}

enum tk_err tk_plan_make(const struct tk_oa_request *request, const struct tk_model *model, bool produces,
                         uint64_t step_tokens, struct tk_plan *out) {
        struct tk_plan plan = {.model = model,
                               .currency = TK_METER_USD,
                               .produces = produces,
                               .stream = produces && request->stream,
                               .input = request->input_bytes,
                               .answers = request->answers};
        MUST(step_tokens > 0);
        if (__builtin_add_overflow(plan.input, request->media * TK_OA_MEDIA_TOKENS, &plan.input) ||
            plan.input > TK_TOKENS_MAX)
                return TK_E_RANGE;
        if (produces) {
                plan.output_each = output_each(request, model);
                if (__builtin_mul_overflow(plan.output_each, plan.answers, &plan.output) ||
                    plan.output > TK_TOKENS_MAX)
                        return TK_E_RANGE;
                plan.step = plan.output;
                if (plan.stream)
                        plan.step = min_u64(plan.output, step_tokens + plan.answers);
        }
        *out = plan;
        return TK_OK;
}

enum tk_err tk_plan_amounts(const struct tk_plan *plan, uint64_t output, struct tk_amounts *out) {
        struct tk_amounts amounts = {{0}};
        struct tk_money cost;
        enum tk_err err = tk_price_bound(&plan->model->price, plan->input, output, &cost);
        if (err != TK_OK)
                return err;
        amounts.of[plan->currency] = cost.nano;
        amounts.of[TK_METER_REQUESTS] = 1;
        if (plan->input > TK_TOKENS_MAX || output > TK_TOKENS_MAX)
                return TK_E_RANGE;
        amounts.of[TK_METER_TOKENS] = (int64_t)(plan->input + output);
        *out = amounts;
        return TK_OK;
}

enum tk_err tk_plan_first(const struct tk_plan *plan, struct tk_amounts *least, struct tk_amounts *most) {
        uint64_t fewest = plan->produces ? plan->answers : 0;
        enum tk_err err = tk_plan_amounts(plan, min_u64(fewest, plan->step), least);
        return err == TK_OK ? tk_plan_amounts(plan, plan->step, most) : err;
}

uint64_t tk_plan_covered(const struct tk_plan *plan, const struct tk_amounts *held) {
        uint64_t output = 0;
        int64_t tokens = held->of[TK_METER_TOKENS];
        if (tokens < 0 || (uint64_t)tokens < plan->input)
                return 0;
        if (!tk_price_affords(&plan->model->price, plan->input, (struct tk_money){held->of[plan->currency]},
                              plan->output, &output))
                return 0;
        return min_u64(output, (uint64_t)tokens - plan->input);
}

uint64_t tk_plan_affordable(const struct tk_plan *plan, const struct tk_amounts *held,
                            const struct tk_amounts *left) {
        struct tk_amounts all = *held;
        for (int m = 0; m < TK_METER_NR; m++)
                if (__builtin_add_overflow(all.of[m], left->of[m], &all.of[m]))
                        all.of[m] = INT64_MAX;
        return tk_plan_covered(plan, &all);
}

uint64_t tk_plan_reach(uint64_t covered, uint64_t told) {
        if (covered >= told)
                return covered;
        return covered > TK_PLAN_RESERVE_TOKENS ? covered - TK_PLAN_RESERVE_TOKENS : 0;
}

enum tk_err tk_plan_actual(const struct tk_plan *plan, const struct tk_tokens *tokens,
                           struct tk_amounts *out) {
        struct tk_amounts amounts = {{0}};
        struct tk_money cost;
        enum tk_err err = tk_price_cost(&plan->model->price, tokens, &cost);
        if (err != TK_OK)
                return err;
        amounts.of[plan->currency] = cost.nano;
        amounts.of[TK_METER_REQUESTS] = 1;
        amounts.of[TK_METER_TOKENS] = (int64_t)(tokens->input + tokens->output); /* both <= TK_TOKENS_MAX */
        *out = amounts;
        return TK_OK;
}

/* {"include_usage":true}, or the caller's own object with that member set. */
static enum tk_err stream_options(const struct tk_oa_request *request, struct tk_buf *out) {
        static const struct tk_splice ask = {"include_usage", {"true", 4}};
        struct tk_str own = request->stream_options_is_object ? request->stream_options : TK_STR("{}");
        return tk_splice_object(own, &ask, 1, out);
}

/*
 * Where the request names a maximum, each name of it becomes the one that was planned, if it is larger: a
 * provider may know only one of the names. Where it names none, one is added only if the key affords less.
 */
static unsigned tell_most(const struct tk_plan *plan, const struct tk_oa_request *request,
                          uint64_t affordable, char text[24], struct tk_splice *edits) {
        uint64_t each = min_u64(affordable / plan->answers, plan->output_each);
        struct tk_str value = {text, (size_t)snprintf(text, 24, "%llu", (unsigned long long)each)};
        bool named = request->has_max_tokens || request->has_max_completion_tokens;
        unsigned nr = 0;
        if (request->has_max_completion_tokens && request->max_completion_tokens > each)
                edits[nr++] = (struct tk_splice){"max_completion_tokens", value};
        if (named ? request->has_max_tokens && request->max_tokens > each : affordable < plan->output)
                edits[nr++] = (struct tk_splice){"max_tokens", value};
        return nr;
}

enum tk_err tk_plan_body(const struct tk_plan *plan, const struct tk_oa_request *request, struct tk_str body,
                         uint64_t affordable, struct tk_buf *out) {
        struct tk_splice edits[4];
        unsigned nr = 0;
        char most[24];
        struct tk_buf model = TK_BUF(4096), options = TK_BUF(STREAM_OPTIONS_MAX);
        enum tk_err err = TK_OK;
        if (plan->model->upstream_id) {
                struct tk_jw w = tk_jw_begin(&model);
                tk_jw_text(&w, plan->model->upstream_id);
                edits[nr++] = (struct tk_splice){"model", tk_buf_str(&model)};
        }
        if (plan->produces)
                nr += tell_most(plan, request, affordable, most, edits + nr);
        if (plan->stream && !request->include_usage) {
                err = stream_options(request, &options);
                edits[nr++] = (struct tk_splice){"stream_options", tk_buf_str(&options)};
        }
        if (err == TK_OK && !tk_buf_ok(&model))
                err = TK_E_NO_MEMORY;
        if (err == TK_OK && nr == 0) { /* It was read, so it is an object. */
                tk_buf_put(out, body);
                err = tk_buf_ok(out) ? TK_OK : TK_E_NO_MEMORY;
        } else if (err == TK_OK) {
                err = tk_splice_object(body, edits, nr, out);
        }
        tk_buf_free(&options);
        tk_buf_free(&model);
        return err;
}
