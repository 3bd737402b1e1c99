/* SPDX-License-Identifier: Apache-2.0
 *
 * price: all products are summed exactly in 128 bits, in nano-units times a million, and divided
 * once, rounding up: what is charged is never less than what was used, and never more than one nano
 * above it. The largest sum, three kinds of input and the output at 10^12 tokens and 2^63 nano each,
 * stays below 2^106.
 *
 * A bound must hold for any call of at most so many tokens. Fewer input tokens may fall back under
 * the threshold of the long-context tier, and nothing says that this tier is the dearer one; so a
 * bound above the threshold takes the dearer of both tiers, rate by rate.
 */
#include "core/price.h"

#define PER_MILLION 1000000

__extension__ typedef unsigned __int128 wide;

/* The two rates of a bound. */
struct dear {
        uint64_t input;
        uint64_t output;
};

static bool rate_ok(int64_t rate, bool optional) {
        return rate >= 0 || (optional && rate == TK_RATE_NONE);
}

static bool rates_ok(const struct tk_rates *rates) {
        return rate_ok(rates->input, false) && rate_ok(rates->output, false) &&
               rate_ok(rates->cache_input, true) && rate_ok(rates->cache_write, true);
}

bool tk_price_ok(const struct tk_price *price) {
        return rates_ok(&price->base) && (price->longer_above == 0 || rates_ok(&price->longer));
}

/* The rate that applies: an absent one is the input rate. */
static uint64_t rate_or_input(const struct tk_rates *rates, int64_t rate) {
        return (uint64_t)(rate == TK_RATE_NONE ? rates->input : rate);
}

static bool rates_are_free(const struct tk_rates *rates) {
        return rates->input == 0 && rates->output == 0 && rate_or_input(rates, rates->cache_input) == 0 &&
               rate_or_input(rates, rates->cache_write) == 0;
}

bool tk_price_is_free(const struct tk_price *price) {
        MUST(tk_price_ok(price));
        return rates_are_free(&price->base) && (price->longer_above == 0 || rates_are_free(&price->longer));
}

static bool is_longer(const struct tk_price *price, uint64_t input) {
        return price->longer_above > 0 && input > price->longer_above;
}

static bool tokens_ok(const struct tk_tokens *tokens) {
        if (tokens->input > TK_TOKENS_MAX || tokens->output > TK_TOKENS_MAX)
                return false;
        return tokens->cached <= tokens->input && tokens->cache_write <= tokens->input - tokens->cached;
}

/* Rounds up, in the seller's favour, once. */
static enum tk_err to_money(wide sum, struct tk_money *cost) {
        wide nano = sum / PER_MILLION + (sum % PER_MILLION != 0);
        MUST((sum == 0) == (nano == 0));
        if (nano > INT64_MAX)
                return TK_E_OVERFLOW;
        cost->nano = (int64_t)nano;
        return TK_OK;
}

enum tk_err tk_price_cost(const struct tk_price *price, const struct tk_tokens *tokens,
                          struct tk_money *cost) {
        MUST(tk_price_ok(price));
        if (!tokens_ok(tokens))
                return TK_E_RANGE;
        const struct tk_rates *rates = is_longer(price, tokens->input) ? &price->longer : &price->base;
        uint64_t plain = tokens->input - tokens->cached - tokens->cache_write;
        wide sum = (wide)plain * (uint64_t)rates->input;
        sum += (wide)tokens->cached * rate_or_input(rates, rates->cache_input);
        sum += (wide)tokens->cache_write * rate_or_input(rates, rates->cache_write);
        sum += (wide)tokens->output * (uint64_t)rates->output;
        return to_money(sum, cost);
}

static uint64_t larger(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

static struct dear dearest_of(const struct tk_rates *rates) {
        uint64_t cached =
                larger(rate_or_input(rates, rates->cache_input), rate_or_input(rates, rates->cache_write));
        return (struct dear){larger((uint64_t)rates->input, cached), (uint64_t)rates->output};
}

static struct dear dearest(const struct tk_price *price, uint64_t input) {
        struct dear base = dearest_of(&price->base);
        if (!is_longer(price, input))
                return base;
        struct dear longer = dearest_of(&price->longer);
        return (struct dear){larger(base.input, longer.input), larger(base.output, longer.output)};
}

enum tk_err tk_price_bound(const struct tk_price *price, uint64_t input, uint64_t output,
                           struct tk_money *cost) {
        MUST(tk_price_ok(price));
        if (input > TK_TOKENS_MAX || output > TK_TOKENS_MAX)
                return TK_E_RANGE;
        struct dear dear = dearest(price, input);
        return to_money((wide)input * dear.input + (wide)output * dear.output, cost);
}

bool tk_price_affords(const struct tk_price *price, uint64_t input, struct tk_money budget, uint64_t most,
                      uint64_t *output) {
        MUST(tk_price_ok(price));
        if (input > TK_TOKENS_MAX || budget.nano < 0)
                return false;
        if (most > TK_TOKENS_MAX)
                most = TK_TOKENS_MAX;
        struct dear dear = dearest(price, input);
        /* ceil(sum / million) <= budget is the same as sum <= budget * million: no rounding is lost. */
        wide purse = (wide)(uint64_t)budget.nano * PER_MILLION, spent = (wide)input * dear.input;
        if (spent > purse)
                return false;
        if (dear.output == 0) {
                *output = most;
                return true;
        }
        wide count = (purse - spent) / dear.output;
        *output = count < most ? (uint64_t)count : most;
        return true;
}
