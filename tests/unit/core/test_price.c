/* SPDX-License-Identifier: Apache-2.0
 *
 * price: worked examples, each rounding on its edge, and the properties a budget lives on: a cost
 * never shrinks with more tokens, a bound is one, and what is affordable is affordable to the token.
 */
#include "core/price.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <inttypes.h>
#include <string.h>

/* $0.15 and $0.60 per million tokens, cached input $0.075. */
static const struct tk_price small = {.base = {150000000, 600000000, 75000000, TK_RATE_NONE}};
/* Longer prompts cost double. */
static const struct tk_price tiered = {
        .base = {1000000000, 4000000000, 100000000, 1250000000},
        .longer = {2000000000, 8000000000, TK_RATE_NONE, TK_RATE_NONE},
        .longer_above = 200000,
};
static const struct tk_price nothing = {.base = {0, 0, TK_RATE_NONE, TK_RATE_NONE}};

static const struct {
        const char *name;
        struct tk_price price;
        struct tk_tokens tokens;
        int64_t nano;
} cost_rows[] = {
        {"no tokens", {.base = {150000000, 600000000, TK_RATE_NONE, TK_RATE_NONE}}, {0, 0, 0, 0}, 0},
        {"input only", {.base = {150000000, 600000000, TK_RATE_NONE, TK_RATE_NONE}}, {1000, 0, 0, 0}, 150000},
        {"output only",
         {.base = {150000000, 600000000, TK_RATE_NONE, TK_RATE_NONE}},
         {0, 1000, 0, 0},
         600000},
        /* The worked example of the prompt-caching guide (venice sheet section 6): $0.006. */
        {"the documented example",
         {.base = {6000000000, 30000000000, 600000000, TK_RATE_NONE}},
         {5500, 0, 5000, 0},
         6000000},
        {"cached without a rate is input",
         {.base = {6000000000, 0, TK_RATE_NONE, TK_RATE_NONE}},
         {5500, 0, 5000, 0},
         33000000},
        {"cached for nothing", {.base = {6000000000, 0, 0, TK_RATE_NONE}}, {5500, 0, 5000, 0}, 3000000},
        {"cache write dearer",
         {.base = {4000000000, 0, TK_RATE_NONE, 5000000000}},
         {1000, 0, 0, 400},
         4400000},
        {"all four kinds",
         {.base = {1000000000, 2000000000, 100000000, 1250000000}},
         {1000, 10, 300, 200},
         800000},
        {"one token at one nano a million", {.base = {1, 0, TK_RATE_NONE, TK_RATE_NONE}}, {1, 0, 0, 0}, 1},
        {"a million at one nano", {.base = {1, 0, TK_RATE_NONE, TK_RATE_NONE}}, {1000000, 0, 0, 0}, 1},
        {"one more", {.base = {1, 0, TK_RATE_NONE, TK_RATE_NONE}}, {1000001, 0, 0, 0}, 2},
        {"rounded up once, not per kind", {.base = {1, 1, 1, 1}}, {3, 1, 1, 1}, 1},
        {"at the threshold",
         {.base = {1000000, 0, TK_RATE_NONE, TK_RATE_NONE},
          .longer = {2000000, 0, TK_RATE_NONE, TK_RATE_NONE},
          .longer_above = 100},
         {100, 0, 0, 0},
         100},
        {"above it, the whole call",
         {.base = {1000000, 0, TK_RATE_NONE, TK_RATE_NONE},
          .longer = {2000000, 0, TK_RATE_NONE, TK_RATE_NONE},
          .longer_above = 100},
         {101, 0, 0, 0},
         202},
        {"a threshold of one",
         {.base = {1000000, 0, 0, 0}, .longer = {2000000, 0, 0, 0}, .longer_above = 1},
         {2, 0, 0, 0},
         4},
        {"cached tokens count for the threshold",
         {.base = {1000000, 0, 0, TK_RATE_NONE},
          .longer = {2000000, 0, 0, TK_RATE_NONE},
          .longer_above = 100},
         {101, 0, 100, 0},
         2},
        {"output does not",
         {.base = {1000000, 3000000, 0, TK_RATE_NONE},
          .longer = {2000000, 9000000, 0, TK_RATE_NONE},
          .longer_above = 100},
         {1, 1000, 0, 0},
         3001},
        {"the longer rates fall back to their own input",
         {.base = {1000000, 0, 7, 7},
          .longer = {2000000, 0, TK_RATE_NONE, TK_RATE_NONE},
          .longer_above = 100},
         {200, 0, 100, 50},
         400},
        {"a free price is zero", {.base = {0, 0, TK_RATE_NONE, TK_RATE_NONE}}, {1000, 1000, 0, 0}, 0},
        {"the dearest that fits",
         {.base = {INT64_MAX, 0, TK_RATE_NONE, TK_RATE_NONE}},
         {1000000, 0, 0, 0},
         INT64_MAX},
};

static void costs(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT(cost_rows); i++) {
                struct tk_money cost = {-7};
                enum tk_err err = tk_price_cost(&cost_rows[i].price, &cost_rows[i].tokens, &cost);
                if (err || cost.nano != cost_rows[i].nano)
                        WRONG("%s: %s, %" PRId64, cost_rows[i].name, tk_err_name(err), cost.nano);
        }
}

static void broken_reports_are_refused(void **state) {
        static const struct {
                const char *name;
                struct tk_tokens tokens;
                enum tk_err err;
        } rows[] = {
                {"the most there may be", {TK_TOKENS_MAX, TK_TOKENS_MAX, TK_TOKENS_MAX, 0}, TK_OK},
                {"one input too many", {TK_TOKENS_MAX + 1, 0, 0, 0}, TK_E_RANGE},
                {"one output too many", {0, TK_TOKENS_MAX + 1, 0, 0}, TK_E_RANGE},
                {"an absurd input", {UINT64_MAX, 0, 0, 0}, TK_E_RANGE},
                {"more cached than sent", {10, 0, 11, 0}, TK_E_RANGE},
                {"more written than sent", {10, 0, 0, 11}, TK_E_RANGE},
                {"both together too many", {10, 0, 6, 5}, TK_E_RANGE},
                {"both together exactly all", {10, 0, 6, 4}, TK_OK},
                {"a sum that would wrap to fit", {10, 0, UINT64_MAX, 11}, TK_E_RANGE},
                {"the other one too", {10, 0, 5, UINT64_MAX}, TK_E_RANGE},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_money cost = {-7};
                enum tk_err err = tk_price_cost(&small, &rows[i].tokens, &cost);
                if (err != rows[i].err || (cost.nano == -7) != (err != TK_OK))
                        WRONG("%s: %s", rows[i].name, tk_err_name(err));
        }
}

static void costs_that_do_not_fit(void **state) {
        static const struct tk_price dear = {.base = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}};
        struct tk_tokens fits = {1000000, 0, 0, 0}, one_more = {1000001, 0, 0, 0},
                         all = {TK_TOKENS_MAX, TK_TOKENS_MAX, TK_TOKENS_MAX / 2, TK_TOKENS_MAX / 2};
        struct tk_money cost = {-7};
        (void)state;
        assert_int_equal(tk_price_cost(&dear, &one_more, &cost), TK_E_OVERFLOW);
        assert_int_equal(tk_price_cost(&dear, &all, &cost), TK_E_OVERFLOW);
        assert_int_equal(tk_price_bound(&dear, TK_TOKENS_MAX, TK_TOKENS_MAX, &cost), TK_E_OVERFLOW);
        assert_int_equal(tk_price_bound(&dear, 1, 1000000, &cost), TK_E_OVERFLOW);
        assert_true(cost.nano == -7);
        assert_ok(tk_price_cost(&dear, &fits, &cost));
        assert_true(cost.nano == INT64_MAX);
}

static void prices_that_are_sound(void **state) {
        static const struct {
                const char *name;
                struct tk_price price;
                bool ok, is_free;
        } rows[] = {
                {"usual", {.base = {1, 2, 3, 4}}, true, false},
                {"no cache rates", {.base = {1, 2, TK_RATE_NONE, TK_RATE_NONE}}, true, false},
                {"all zero", {.base = {0, 0, 0, 0}}, true, true},
                {"free by falling back", {.base = {0, 0, TK_RATE_NONE, TK_RATE_NONE}}, true, true},
                {"only cache writes cost", {.base = {0, 0, 0, 1}}, true, false},
                {"only cached input costs", {.base = {0, 0, 1, 0}}, true, false},
                {"only output costs", {.base = {0, 1, 0, 0}}, true, false},
                {"no input rate", {.base = {TK_RATE_NONE, 2, 3, 4}}, false, false},
                {"no output rate", {.base = {1, TK_RATE_NONE, 3, 4}}, false, false},
                {"negative cached rate", {.base = {1, 2, -2, 4}}, false, false},
                {"negative write rate", {.base = {1, 2, 3, INT64_MIN}}, false, false},
                {"an unused tier may be nonsense",
                 {.base = {1, 2, 3, 4}, .longer = {-5, -5, -5, -5}},
                 true,
                 false},
                {"a used one may not",
                 {.base = {1, 2, 3, 4}, .longer = {-5, 1, 1, 1}, .longer_above = 1},
                 false,
                 false},
                {"free until the threshold", {.longer = {1, 0, 0, 0}, .longer_above = 1}, true, false},
                {"free beyond it too", {.longer = {0, 0, 0, 0}, .longer_above = 1}, true, true},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                if (tk_price_ok(&rows[i].price) != rows[i].ok)
                        WRONG("%s", rows[i].name);
                if (rows[i].ok && tk_price_is_free(&rows[i].price) != rows[i].is_free)
                        WRONG("%s: free or not", rows[i].name);
        }
}

static void unsound_prices_are_a_bug(void **state) {
        static const struct tk_price broken = {.base = {-5, 0, 0, 0}};
        struct tk_tokens tokens = {0};
        struct tk_money cost;
        uint64_t output;
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_price_is_free(&broken));
        expect_assert_failure((void)!tk_price_cost(&broken, &tokens, &cost));
        expect_assert_failure((void)!tk_price_bound(&broken, 0, 0, &cost));
        expect_assert_failure((void)!tk_price_affords(&broken, 0, (struct tk_money){1}, 1, &output));
}

static void bounds(void **state) {
        static const struct {
                const char *name;
                struct tk_price price;
                uint64_t input, output;
                enum tk_err err;
                int64_t nano;
        } rows[] = {
                {"plain", {.base = {1000000, 2000000, TK_RATE_NONE, TK_RATE_NONE}}, 10, 5, TK_OK, 20},
                {"cheap cache does not help", {.base = {1000000, 0, 0, TK_RATE_NONE}}, 10, 0, TK_OK, 10},
                {"dear cache writes count", {.base = {1000000, 0, 0, 3000000}}, 10, 0, TK_OK, 30},
                {"dear cached input counts", {.base = {1000000, 0, 4000000, 3000000}}, 10, 0, TK_OK, 40},
                {"below the threshold",
                 {.base = {1000000, 0, 0, 0}, .longer = {9000000, 0, 0, 0}, .longer_above = 10},
                 10,
                 0,
                 TK_OK,
                 10},
                {"above the threshold",
                 {.base = {1000000, 0, 0, 0}, .longer = {9000000, 0, 0, 0}, .longer_above = 10},
                 11,
                 0,
                 TK_OK,
                 99},
                {"a cheaper long tier is not relied on",
                 {.base = {5000000, 7000000, 0, 0}, .longer = {1000000, 1000000, 0, 0}, .longer_above = 10},
                 11,
                 1,
                 TK_OK,
                 62},
                {"rate by rate",
                 {.base = {5000000, 1000000, 0, 0}, .longer = {1000000, 7000000, 0, 0}, .longer_above = 10},
                 11,
                 1,
                 TK_OK,
                 62},
                {"too much input", {.base = {0, 0, 0, 0}}, TK_TOKENS_MAX + 1, 0, TK_E_RANGE, -7},
                {"too much output", {.base = {0, 0, 0, 0}}, 0, TK_TOKENS_MAX + 1, TK_E_RANGE, -7},
                {"rounded up", {.base = {1, 1, TK_RATE_NONE, TK_RATE_NONE}}, 1, 1, TK_OK, 1},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_money cost = {-7};
                enum tk_err err = tk_price_bound(&rows[i].price, rows[i].input, rows[i].output, &cost);
                if (err != rows[i].err || cost.nano != rows[i].nano)
                        WRONG("%s: %s, %" PRId64, rows[i].name, tk_err_name(err), cost.nano);
        }
}

static void budgets(void **state) {
        static const struct {
                const char *name;
                const struct tk_price *price;
                uint64_t input;
                int64_t budget;
                uint64_t most;
                bool ok;
                uint64_t output;
        } rows[] = {
                {"a cent buys 16,666 tokens", &small, 0, 10000000, 1000000, true, 16666},
                {"less 1,000 of input", &small, 1000, 10000000, 1000000, true, 16416},
                {"no more than asked", &small, 0, 10000000, 4096, true, 4096},
                {"exactly one token", &small, 0, 600, 100, true, 1},
                {"a nano short of it", &small, 0, 599, 100, true, 0},
                {"exactly the input", &small, 1000, 150000, 100, true, 0},
                {"a nano short of the input", &small, 1000, 149999, 100, false, 77},
                {"an empty purse, nothing sent", &small, 0, 0, 100, true, 0},
                {"an empty purse", &small, 1, 0, 100, false, 77},
                {"debt", &nothing, 0, -1, 100, false, 77},
                {"the worst debt", &small, 0, INT64_MIN, 100, false, 77},
                {"nothing wanted", &small, 1000, 10000000, 0, true, 0},
                {"a free model on an empty purse", &nothing, 1000, 0, 4096, true, 4096},
                {"never more than a call may have", &nothing, 0, 0, UINT64_MAX, true, TK_TOKENS_MAX},
                {"a broken input", &nothing, TK_TOKENS_MAX + 1, INT64_MAX, 1, false, 77},
                {"at the threshold", &tiered, 200000, 250004000, 100, true, 1},
                {"above it, input at the dearest", &tiered, 200001, 400002000, 100, true, 0},
                {"above it, a nano short", &tiered, 200001, 400001999, 100, false, 77},
                {"all the money in the world", &small, 0, INT64_MAX, UINT64_MAX, true, TK_TOKENS_MAX},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                uint64_t output = 77;
                bool ok = tk_price_affords(rows[i].price, rows[i].input, (struct tk_money){rows[i].budget},
                                           rows[i].most, &output);
                if (ok != rows[i].ok || output != rows[i].output)
                        WRONG("%s: %d, %" PRIu64, rows[i].name, ok, output);
        }
}

static int64_t any_rate(struct xorshift *x, bool optional) {
        if (optional && xorshift_next(x) % 3 == 0)
                return TK_RATE_NONE;
        return (int64_t)xorshift_sized(x, xorshift_next(x) % 8 == 0 ? 63 : 40);
}

static struct tk_rates any_rates(struct xorshift *x) {
        return (struct tk_rates){any_rate(x, false), any_rate(x, false), any_rate(x, true),
                                 any_rate(x, true)};
}

static struct tk_price any_price(struct xorshift *x) {
        struct tk_price price = {.base = any_rates(x)};
        if (xorshift_next(x) % 2) {
                price.longer = any_rates(x);
                price.longer_above = 1 + xorshift_sized(x, 30);
        }
        return price;
}

static uint64_t up_to(struct xorshift *x, uint64_t most) {
        return (uint64_t)xorshift_between(x, 0, (int64_t)most);
}

static struct tk_tokens any_tokens(struct xorshift *x) {
        struct tk_tokens tokens = {.input = xorshift_sized(x, 39), .output = xorshift_sized(x, 39)};
        tokens.cached = up_to(x, tokens.input);
        tokens.cache_write = up_to(x, tokens.input - tokens.cached);
        return tokens;
}

/* Within one tier, one token more of any kind never costs less. */
static void costs_grow_with_tokens(void **state) {
        struct xorshift x = {1};
        (void)state;
        for (int i = 0; i < 200000; i++) {
                struct tk_price price = any_price(&x);
                struct tk_tokens less = any_tokens(&x), more = less;
                struct tk_money a, b;
                price.longer_above = 0;
                unsigned kind = (unsigned)(xorshift_next(&x) % 4);
                more.output += kind == 0;
                more.input += kind != 0;
                more.cached += kind == 2;
                more.cache_write += kind == 3;
                enum tk_err first = tk_price_cost(&price, &less, &a),
                            second = tk_price_cost(&price, &more, &b);
                if (first ? second != first : !second && b.nano < a.nano)
                        WRONG("case %d: kind %u", i, kind);
        }
}

/* Splitting a call in two never makes it cheaper, and dearer by less than a nano. */
static void rounding_costs_less_than_a_nano(void **state) {
        struct xorshift x = {2};
        (void)state;
        for (int i = 0; i < 200000; i++) {
                struct tk_price price = {.base = any_rates(&x)};
                struct tk_tokens a = any_tokens(&x), b = any_tokens(&x);
                struct tk_tokens both = {a.input + b.input, a.output + b.output, a.cached + b.cached,
                                         a.cache_write + b.cache_write};
                struct tk_money first, second, whole, sum;
                if (both.input > TK_TOKENS_MAX || both.output > TK_TOKENS_MAX ||
                    tk_price_cost(&price, &both, &whole))
                        continue;
                assert_ok(tk_price_cost(&price, &a, &first));
                assert_ok(tk_price_cost(&price, &b, &second));
                if (tk_money_add(first, second, &sum) == TK_OK &&
                    (sum.nano < whole.nano || sum.nano - whole.nano > 1))
                        WRONG("case %d: %" PRId64 " and %" PRId64, i, sum.nano, whole.nano);
        }
}

/* No call of at most so many tokens costs more than the bound, however its input is made up. */
static void a_bound_is_one(void **state) {
        struct xorshift x = {3};
        int compared = 0;
        (void)state;
        for (int i = 0; i < 200000; i++) {
                struct tk_price price = any_price(&x);
                struct tk_tokens tokens = any_tokens(&x);
                uint64_t input = tokens.input + up_to(&x, xorshift_sized(&x, 30));
                uint64_t output = tokens.output + up_to(&x, xorshift_sized(&x, 30));
                struct tk_money bound, cost;
                if (tk_price_bound(&price, input, output, &bound))
                        continue;
                if (tk_price_cost(&price, &tokens, &cost) || cost.nano > bound.nano)
                        WRONG("case %d costs more than its bound", i);
                compared++;
        }
        assert_true(compared > 50000);
}

/* What is affordable is within the budget, and one token more is not, unless it was not wanted. */
static void affording_is_tight(void **state) {
        struct xorshift x = {4};
        int tight = 0;
        (void)state;
        for (int i = 0; i < 200000; i++) {
                struct tk_price price = any_price(&x);
                struct tk_money budget = {(int64_t)xorshift_sized(&x, 63)}, cost;
                uint64_t input = xorshift_sized(&x, 30), most = xorshift_sized(&x, 42), output;
                if (!tk_price_affords(&price, input, budget, most, &output)) {
                        if (tk_price_bound(&price, input, 0, &cost) == TK_OK && cost.nano <= budget.nano)
                                WRONG("case %d: the input is affordable", i);
                        continue;
                }
                if (output > most || tk_price_bound(&price, input, output, &cost) || cost.nano > budget.nano)
                        WRONG("case %d: not affordable", i);
                if (output == most || output == TK_TOKENS_MAX)
                        continue;
                if (tk_price_bound(&price, input, output + 1, &cost) == TK_OK && cost.nano <= budget.nano)
                        WRONG("case %d: one more is affordable", i);
                tight++;
        }
        assert_true(tight > 20000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(costs),
                TEST(broken_reports_are_refused),
                TEST(costs_that_do_not_fit),
                TEST(prices_that_are_sound),
                TEST(unsound_prices_are_a_bug),
                TEST(bounds),
                TEST(budgets),
                TEST(costs_grow_with_tokens),
                TEST(rounding_costs_less_than_a_nano),
                TEST(a_bound_is_one),
                TEST(affording_is_tight),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
