/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_price: any numbers as a price list, token counts and a budget. Properties:
 *   (1) the cost is the sum worked out in fractions, rounded up, or the fault that the header names
 *   (2) one token more of any kind never costs less, within one tier
 *   (3) no call of at most so many tokens costs more than the bound
 *   (4) what is affordable is within the budget, and one token more is not unless at `most`
 *   (5) a free price costs nothing
 *
 * The rest of the input is read as decimal text: what is accepted comes back the same.
 */
#include "core/price.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every field that an input can set; zero when the input is shorter. */
struct input {
        int64_t rate[8];
        uint64_t longer_above;
        uint64_t tokens[4];
        uint64_t more[2];
        int64_t budget;
        uint64_t most;
        uint8_t shift[8]; /* how many bits to drop, so that small numbers are as likely as great ones */
};

/* nano and millionths of a nano: the sum without 128-bit numbers, or false when it does not fit. */
static bool add_product(uint64_t tokens, int64_t rate, uint64_t *nano, uint64_t *millionths) {
        /* tokens * rate / 10^6, with both split at 10^6: (a M + b)(c M + d) / M = acM + ad + bc + bd/M */
        const uint64_t million = 1000000;
        uint64_t a = tokens / million, b = tokens % million;
        uint64_t c = (uint64_t)rate / million, d = (uint64_t)rate % million;
        uint64_t high, ad, bc;
        *millionths += b * d % million;
        if (__builtin_mul_overflow(a, c, &high) || __builtin_mul_overflow(high, million, &high) ||
            __builtin_mul_overflow(a, d, &ad) || __builtin_mul_overflow(b, c, &bc))
                return false;
        return !__builtin_add_overflow(*nano, high, nano) && !__builtin_add_overflow(*nano, ad, nano) &&
               !__builtin_add_overflow(*nano, bc, nano) &&
               !__builtin_add_overflow(*nano, b * d / million, nano);
}

static bool slow_cost(const struct tk_price *price, const struct tk_tokens *tokens, int64_t *cost) {
        bool longer = price->longer_above && tokens->input > price->longer_above;
        const struct tk_rates *rates = longer ? &price->longer : &price->base;
        int64_t cached = rates->cache_input == TK_RATE_NONE ? rates->input : rates->cache_input;
        int64_t written = rates->cache_write == TK_RATE_NONE ? rates->input : rates->cache_write;
        uint64_t nano = 0, millionths = 0;
        if (!add_product(tokens->input - tokens->cached - tokens->cache_write, rates->input, &nano,
                         &millionths) ||
            !add_product(tokens->cached, cached, &nano, &millionths) ||
            !add_product(tokens->cache_write, written, &nano, &millionths) ||
            !add_product(tokens->output, rates->output, &nano, &millionths) ||
            __builtin_add_overflow(nano, millionths / 1000000 + (millionths % 1000000 != 0), &nano) ||
            nano > INT64_MAX)
                return false;
        *cost = (int64_t)nano;
        return true;
}

static bool legal(const struct tk_tokens *t) {
        return t->input <= TK_TOKENS_MAX && t->output <= TK_TOKENS_MAX && t->cached <= t->input &&
               t->cache_write <= t->input && t->cached + t->cache_write <= t->input;
}

static void try_cost(const struct tk_price *price, const struct tk_tokens *tokens) {
        struct tk_money cost = {-7};
        int64_t want = 0;
        enum tk_err err = tk_price_cost(price, tokens, &cost);
        MUST(IMPLIES(err, cost.nano == -7));
        if (!legal(tokens)) {
                MUST(err == TK_E_RANGE); /* (1) */
                return;
        }
        bool fits = slow_cost(price, tokens, &want);
        MUST(err == (fits ? TK_OK : TK_E_OVERFLOW)); /* (1) */
        if (err)
                return;
        MUST(cost.nano == want);                                /* (1) */
        MUST(IMPLIES(tk_price_is_free(price), cost.nano == 0)); /* (5) */
        for (int kind = 0; kind < 4; kind++) {
                struct tk_tokens more = *tokens;
                struct tk_money dearer;
                more.output += kind == 0;
                more.input += kind != 0;
                more.cached += kind == 2;
                more.cache_write += kind == 3;
                bool same_tier = more.input != price->longer_above + 1 || more.input == tokens->input;
                err = tk_price_cost(price, &more, &dearer);
                MUST(IMPLIES(!err && same_tier, dearer.nano >= cost.nano)); /* (2) */
        }
}

static void try_bound(const struct tk_price *price, const struct tk_tokens *tokens, uint64_t more_input,
                      uint64_t more_output) {
        struct tk_money bound, cost;
        uint64_t input, output;
        if (!legal(tokens) || __builtin_add_overflow(tokens->input, more_input, &input) ||
            __builtin_add_overflow(tokens->output, more_output, &output))
                return;
        enum tk_err err = tk_price_bound(price, input, output, &bound);
        MUST((err == TK_E_RANGE) == (input > TK_TOKENS_MAX || output > TK_TOKENS_MAX));
        if (err)
                return;
        MUST(tk_price_cost(price, tokens, &cost) == TK_OK); /* (3) */
        MUST(cost.nano <= bound.nano);                      /* (3) */
}

static void try_afford(const struct tk_price *price, uint64_t input, struct tk_money budget, uint64_t most) {
        struct tk_money cost;
        uint64_t output = 77;
        if (!tk_price_affords(price, input, budget, most, &output)) {
                MUST(output == 77);
                enum tk_err err = tk_price_bound(price, input, 0, &cost);
                MUST(err || cost.nano > budget.nano); /* (4) */
                return;
        }
        MUST(output <= most && output <= TK_TOKENS_MAX);
        MUST(tk_price_bound(price, input, output, &cost) == TK_OK);
        MUST(cost.nano <= budget.nano); /* (4) */
        if (output == most || output == TK_TOKENS_MAX)
                return;
        enum tk_err err = tk_price_bound(price, input, output + 1, &cost);
        MUST(err == TK_E_OVERFLOW || cost.nano > budget.nano); /* (4) */
}

static void try_text(struct tk_str text) {
        char out[TK_MONEY_TEXT_MAX];
        uint64_t nano = 0, back = 0;
        enum tk_err err = tk_nano_parse(text, &nano);
        MUST(err == TK_OK || err == TK_E_SYNTAX || err == TK_E_RANGE || err == TK_E_OVERFLOW);
        struct tk_money money = {-7};
        enum tk_err narrow = tk_money_parse(text, &money);
        MUST(narrow == (err == TK_OK && nano > INT64_MAX ? TK_E_OVERFLOW : err));
        if (err)
                return;
        size_t len = tk_nano_text(nano, out);
        MUST(len < sizeof out && out[len] == '\0');
        MUST(tk_nano_parse((struct tk_str){out, len}, &back) == TK_OK);
        MUST(back == nano);
        MUST(IMPLIES(!narrow, tk_money_text(money, out) == len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct input in = {0};
        size_t n = size < sizeof in ? size : sizeof in;
        if (n)
                memcpy(&in, data, n);
        for (int i = 0; i < 8; i++)
                in.rate[i] >>= in.shift[i] % 64; /* -1 stays -1, which is TK_RATE_NONE */
        struct tk_price price = {
                .base = {in.rate[0], in.rate[1], in.rate[2], in.rate[3]},
                .longer = {in.rate[4], in.rate[5], in.rate[6], in.rate[7]},
                .longer_above = in.longer_above >> in.shift[0] % 64,
        };
        struct tk_tokens tokens = {
                in.tokens[0] >> in.shift[1] % 64,
                in.tokens[1] >> in.shift[2] % 64,
                in.tokens[2] >> in.shift[3] % 64,
                in.tokens[3] >> in.shift[4] % 64,
        };
        if (tk_price_ok(&price)) {
                try_cost(&price, &tokens);
                try_bound(&price, &tokens, in.more[0] >> in.shift[5] % 64, in.more[1] >> in.shift[6] % 64);
                try_afford(&price, tokens.input, (struct tk_money){in.budget}, in.most >> in.shift[7] % 64);
        }
        try_text((struct tk_str){(const char *)data, size});
        try_text((struct tk_str){(const char *)data + n, size - n});
        return 0;
}
