/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of the native API as tables: what is accepted and what it means, what is refused and where.
 */
#include "lib/unit.h"

#include "api/native_body.h"
#include "wire/json_scan.h"

#include <string.h>

#define COUNT(array)         (sizeof(array) / sizeof((array)[0]))
#define TEN                  "aaaaaaaaaa"
#define HUNDRED              TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define ASK(more)            "{\"key\":\"k\",\"id\":\"i\"" more "}"
#define ISSUE(path, message) "{\"path\":\"" path "\",\"message\":\"" message "\"}"

/* refusal: NULL: accepted; "": no JSON; otherwise a piece of the answer. */
struct row {
        const char *name, *body, *refusal;
};

static struct tk_buf refusal;
static char why[TK_CHECK_WHY_MAX];

typedef enum tk_err read_f(struct tk_str body);

static enum tk_err read_authorize(struct tk_str body) {
        struct tk_native_authorize a;
        enum tk_err err = tk_native_read_authorize(body, &a, &refusal, why);
        tk_key_text_wipe(&a.key.text);
        return err == TK_OK ? tk_native_complete(&a, NULL, &refusal) : err;
}

static enum tk_err read_verify(struct tk_str body) {
        struct tk_native_verify v;
        enum tk_err err = tk_native_read_verify(body, &v, &refusal, why);
        tk_key_text_wipe(&v.key.text);
        return err;
}

static enum tk_err read_extend(struct tk_str body) {
        struct tk_holds_more more;
        return tk_native_read_extend(body, &more, &refusal, why);
}

static enum tk_err read_post(struct tk_str body) {
        struct tk_native_model model;
        struct tk_holds_actual actual;
        return tk_native_read_post(body, &model, &actual, &refusal, why);
}

static enum tk_err read_nothing(struct tk_str body) {
        return tk_native_read_nothing(body, &refusal, why);
}

static enum tk_err read_word(struct tk_str body) {
        struct tk_native_word w;
        return tk_native_read_word(body, TK_METER_USD, &w, &refusal, why);
}

static void walk(const struct row *rows, size_t nr, read_f *read) {
        for (size_t i = 0; i < nr; i++) {
                struct tk_json root;
                print_message("%s\n", rows[i].name);
                refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
                enum tk_err err = read(tk_str_of(rows[i].body));
                if (err == TK_E_RANGE && (!rows[i].refusal || !strstr(refusal.at, rows[i].refusal)))
                        print_error("%s\n", refusal.at);
                assert_int_equal(err, !rows[i].refusal     ? TK_OK
                                      : rows[i].refusal[0] ? TK_E_RANGE
                                                           : TK_E_SYNTAX);
                if (err == TK_E_RANGE) {
                        assert_ok(tk_json_check(tk_buf_str(&refusal), &root, NULL));
                        assert_non_null(strstr(refusal.at, "\"code\":\"invalid_param\""));
                        assert_non_null(strstr(refusal.at, rows[i].refusal));
                }
                tk_buf_free(&refusal);
        }
}

static const struct row authorizes[] = {
        {"the least", ASK(""), NULL},
        {"cost as a number", ASK(",\"cost\":{\"usd\":0.25}"), NULL},
        {"cost as text", ASK(",\"cost\":{\"usd\":\"0.25\"}"), NULL},
        {"every meter",
         ASK(",\"cost\":{\"usd\":1,\"diem\":2,\"vcu\":3},\"amounts\":{\"tokens\":4,\"requests\":5}"), NULL},
        {"model and tokens", ASK(",\"model\":\"m\",\"input_tokens\":1,\"output_tokens\":0"), NULL},
        {"model and cost", ASK(",\"model\":\"m\",\"cost\":{\"usd\":1}"), NULL},
        {"the largest cost", ASK(",\"cost\":{\"usd\":1000000}"), NULL},
        {"shortest and longest life", ASK(",\"expires_in\":1"), NULL},
        {"longest life", ASK(",\"expires_in\":86400"), NULL},
        {"longest id", "{\"key\":\"k\",\"id\":\"" HUNDRED TEN TEN "aaaaaaaa\"}", NULL},
        {"a key that is too long is just unknown", "{\"key\":\"" HUNDRED "\",\"id\":\"i\"}", NULL},
        {"less", ASK(",\"cost\":{\"usd\":1},\"least\":{\"usd\":0.5,\"requests\":1}"), NULL},
        {"no requests", ASK(",\"amounts\":{\"requests\":0}"), NULL},
        {"no JSON", "{", ""},
        {"nothing", "", ""},
        {"key twice", "{\"key\":\"a\",\"key\":\"b\",\"id\":\"i\"}", ""},
        {"not an object", "[]", ISSUE("", "Expected object, received array")},
        {"no key", "{\"id\":\"i\"}", ISSUE("key", "Required")},
        {"key is a number", "{\"key\":5,\"id\":\"i\"}", ISSUE("key", "Expected string, received number")},
        {"no id", "{\"key\":\"k\"}", ISSUE("id", "Required")},
        {"empty id", "{\"key\":\"k\",\"id\":\"\"}", "\"path\":\"id\""},
        {"id with a slash", "{\"key\":\"k\",\"id\":\"a/b\"}", "\"path\":\"id\""},
        {"id too long", "{\"key\":\"k\",\"id\":\"" HUNDRED TEN TEN "aaaaaaaaa\"}", "\"path\":\"id\""},
        {"unknown member", ASK(",\"x\":1"), ISSUE("", "Unrecognized key(s) in object: 'x'")},
        {"unknown currency", ASK(",\"cost\":{\"eur\":1}"),
         ISSUE("cost", "Unrecognized key(s) in object: 'eur'")},
        {"counts are no cost", ASK(",\"cost\":{\"tokens\":1}"), "\"path\":\"cost\""},
        {"money is no amount", ASK(",\"amounts\":{\"usd\":1}"), "\"path\":\"amounts\""},
        {"cost is a number", ASK(",\"cost\":1"), ISSUE("cost", "Expected object, received number")},
        {"cost is null", ASK(",\"cost\":null"), "\"path\":\"cost\""},
        {"negative", ASK(",\"cost\":{\"usd\":-0.01}"),
         ISSUE("cost.usd", "Number must be greater than or equal to 0")},
        {"negative text", ASK(",\"cost\":{\"usd\":\"-1\"}"),
         ISSUE("cost.usd", "Number must be greater than or equal to 0")},
        {"no number in the text", ASK(",\"cost\":{\"usd\":\"1,5\"}"),
         ISSUE("cost.usd", "Expected decimal, received string")},
        {"a text without end", ASK(",\"cost\":{\"usd\":\"" HUNDRED "\"}"), "\"path\":\"cost.usd\""},
        {"true", ASK(",\"cost\":{\"usd\":true}"), ISSUE("cost.usd", "Expected number, received boolean")},
        {"too much", ASK(",\"cost\":{\"usd\":1000000.000000001}"),
         ISSUE("cost.usd", "Number must be less than or equal to 1000000")},
        {"far too much", ASK(",\"cost\":{\"usd\":1e300}"), "\"path\":\"cost.usd\""},
        {"half a token", ASK(",\"amounts\":{\"tokens\":0.5}"),
         ISSUE("amounts.tokens", "Expected integer, received float")},
        {"too many tokens", ASK(",\"amounts\":{\"tokens\":1000000000001}"), "\"path\":\"amounts.tokens\""},
        {"no life", ASK(",\"expires_in\":0"),
         ISSUE("expires_in", "Number must be greater than or equal to 1")},
        {"too long a life", ASK(",\"expires_in\":86401"), "\"path\":\"expires_in\""},
        {"half a second", ASK(",\"expires_in\":0.5"), "\"path\":\"expires_in\""},
        {"a life in words", ASK(",\"expires_in\":\"60\""), "\"path\":\"expires_in\""},
        {"tokens without model", ASK(",\"input_tokens\":1,\"output_tokens\":1"), "\"path\":\"model\""},
        {"input only", ASK(",\"model\":\"m\",\"input_tokens\":1"), "\"path\":\"output_tokens\""},
        {"output only", ASK(",\"model\":\"m\",\"output_tokens\":1"), "\"path\":\"input_tokens\""},
        {"a model without a price is never free", ASK(",\"model\":\"m\""), "\"path\":\"model\""},
        {"a model with an empty cost", ASK(",\"model\":\"m\",\"cost\":{}"), "\"path\":\"model\""},
        {"empty model", ASK(",\"model\":\"\""), "\"path\":\"model\""},
        {"model too long", ASK(",\"model\":\"" HUNDRED HUNDRED "\""), "\"path\":\"model\""},
        {"two prices", ASK(",\"model\":\"m\",\"input_tokens\":1,\"output_tokens\":1,\"cost\":{\"usd\":1}"),
         "\"path\":\"cost\""},
        {"tokens twice",
         ASK(",\"model\":\"m\",\"input_tokens\":1,\"output_tokens\":1,\"amounts\":{\"tokens\":1}"),
         "\"path\":\"amounts.tokens\""},
        {"least above most", ASK(",\"cost\":{\"usd\":1},\"least\":{\"usd\":1.5}"), "\"path\":\"least.usd\""},
        {"least of what is not asked", ASK(",\"least\":{\"tokens\":1}"), "\"path\":\"least.tokens\""},
        {"everything wrong at once",
         "{\"key\":1,\"id\":2,\"model\":3,\"input_tokens\":-1,\"output_tokens\":-1,\"expires_in\":-1,"
         "\"cost\":{\"usd\":-1,\"diem\":-1,\"vcu\":-1,\"x\":1},\"amounts\":{\"tokens\":-1,\"requests\":-1,"
         "\"x\":1},"
         "\"least\":{\"usd\":-1,\"diem\":-1,\"vcu\":-1,\"requests\":-1,\"tokens\":-1,\"x\":1},\"x\":1}",
         "\"param\":\"key\",\"errors\":["},
};

static const struct row verifies[] = {
        {"the least", "{\"key\":\"k\"}", NULL},
        {"all",
         "{\"key\":\"k\",\"cost\":{\"usd\":\"0.1\"},\"scope\":\"models.read\",\"model\":\"m\",\"requests\":"
         "7}",
         NULL},
        {"only to ask", "{\"key\":\"k\",\"requests\":0}", NULL},
        {"no key", "{}", ISSUE("key", "Required")},
        {"no such scope", "{\"key\":\"k\",\"scope\":\"all\"}", ISSUE("scope", "There is no such scope")},
        {"tokens are not for it", "{\"key\":\"k\",\"input_tokens\":1}", "'input_tokens'"},
        {"an id is not for it", "{\"key\":\"k\",\"id\":\"i\"}", "'id'"},
        {"half a request", "{\"key\":\"k\",\"requests\":0.5}", "\"path\":\"requests\""},
        {"null", "null", ""},
};

static const struct row extends[] = {
        {"by", "{\"by\":{\"usd\":1}}", NULL},
        {"to", "{\"to\":{\"usd\":1,\"tokens\":5}}", NULL},
        {"used only", "{\"used\":{\"usd\":1}}", NULL},
        {"all of it", "{\"by\":{\"usd\":1},\"least\":{\"usd\":0.5},\"used\":{\"tokens\":7}}", NULL},
        {"nothing asked", "{}", "\"path\":\"by\""},
        {"both", "{\"by\":{\"usd\":1},\"to\":{\"usd\":1}}", "\"path\":\"to\""},
        {"least alone", "{\"used\":{},\"least\":{\"usd\":1}}", "\"path\":\"least\""},
        {"least above most", "{\"by\":{\"usd\":1},\"least\":{\"usd\":2}}", "\"path\":\"least.usd\""},
        {"unknown", "{\"by\":{\"usd\":1},\"for\":1}", "'for'"},
        {"negative use", "{\"used\":{\"usd\":-1}}", "\"path\":\"used.usd\""},
};

static const struct row posts[] = {
        {"actual", "{\"actual\":{\"usd\":1}}", NULL},
        {"all as held", "{\"actual\":{}}", NULL},
        {"with a model", "{\"actual\":{\"usd\":1},\"model\":\"m\"}", NULL},
        {"by tokens", "{\"model\":\"m\",\"input_tokens\":1,\"output_tokens\":2}", NULL},
        {"nothing", "{}", "\"path\":\"actual\""},
        {"a model only", "{\"model\":\"m\"}", "\"path\":\"actual\""},
        {"both", "{\"actual\":{},\"model\":\"m\",\"input_tokens\":1,\"output_tokens\":2}",
         "\"path\":\"actual\""},
        {"tokens of nothing", "{\"input_tokens\":1,\"output_tokens\":2}", "\"path\":\"model\""},
        {"a list", "{\"actual\":[1]}", "\"path\":\"actual\""},
};

static const struct row nothings[] = {
        {"no body", "", NULL},
        {"an empty object", "{}", NULL},
        {"something", "{\"actual\":{}}", "'actual'"},
        {"no JSON", "x", ""},
};

static const struct row words[] = {
        {"a word", "{\"id\":\"w\",\"spent\":0.5}", NULL},
        {"nothing was spent", "{\"id\":\"w\",\"spent\":0}", NULL},
        {"as text", "{\"id\":\"w\",\"spent\":\"0.000000001\"}", NULL},
        {"without an id", "{\"spent\":1}", "\"path\":\"id\""},
        {"without an amount", "{\"id\":\"w\"}", "\"path\":\"spent\""},
        {"less than nothing", "{\"id\":\"w\",\"spent\":-1}", "\"path\":\"spent\""},
        {"more than can be counted", "{\"id\":\"w\",\"spent\":9223372037}", "\"path\":\"spent\""},
        {"no amount at all", "{\"id\":\"w\",\"spent\":null}", "\"path\":\"spent\""},
        {"a bad id", "{\"id\":\"w w\",\"spent\":1}", "\"path\":\"id\""},
        {"more members", "{\"id\":\"w\",\"spent\":1,\"freed\":1}", "'freed'"},
        {"no JSON", "x", ""},
        {"no object", "[]", "\"path\":\"\""},
};

/* In whole units of money, and in counts as far as they go. */
static void a_word_is_exact(void **state) {
        static const struct {
                enum tk_meter meter;
                const char *body;
                int64_t spent;
        } rows[] = {
                {TK_METER_USD, "{\"id\":\"w\",\"spent\":\"9223372035.999999999\"}",
                 INT64_C(9223372035999999999)},
                {TK_METER_USD, "{\"id\":\"w\",\"spent\":0.25}", 250000000},
                {TK_METER_TOKENS, "{\"id\":\"w\",\"spent\":9223372036854775807}", INT64_MAX},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_native_word w;
                refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
                assert_ok(tk_native_read_word(tk_str_of(rows[i].body), rows[i].meter, &w, &refusal, why));
                assert_string_equal(w.id, "w");
                assert_true(w.spent == rows[i].spent);
                tk_buf_free(&refusal);
        }
}

static void bodies(void **state) {
        TK_UNUSED(state);
        print_message("-- authorize\n");
        walk(authorizes, COUNT(authorizes), read_authorize);
        print_message("-- verify\n");
        walk(verifies, COUNT(verifies), read_verify);
        print_message("-- extend\n");
        walk(extends, COUNT(extends), read_extend);
        print_message("-- post\n");
        walk(posts, COUNT(posts), read_post);
        print_message("-- void\n");
        walk(nothings, COUNT(nothings), read_nothing);
        print_message("-- resolve\n");
        walk(words, COUNT(words), read_word);
}

/* A charge is never less than what was written. */
static void parts_of_a_nano(void **state) {
        static const struct {
                const char *text;
                int64_t nano;
        } rows[] = {
                {"0", 0},
                {"-0", 0},
                {"\"0.000000001\"", 1},
                {"\"0.0000000001\"", 1},
                {"\"0.0000000010000\"", 1},
                {"0.30000000000000004", 300000001},
                {"0.3", 300000000},
                {"1e-30", 1},
                {"\"1.9999999999\"", 2000000000},
                {"12345.678901234", 12345678901234},
                {"\"5e2\"", 500000000000},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(rows); i++) {
                char room[128];
                struct tk_buf body = TK_BUF_OVER(room);
                struct tk_native_authorize a;
                print_message("%s\n", rows[i].text);
                refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
                tk_buf_printf(&body, ASK(",\"cost\":{\"usd\":%s}"), rows[i].text);
                assert_ok(tk_native_read_authorize(tk_buf_str(&body), &a, &refusal, why));
                assert_int_equal(a.asked.of[TK_METER_USD], rows[i].nano);
                tk_buf_free(&refusal);
        }
}

static void what_authorize_means(void **state) {
        static const struct tk_price price = {.base = {.input = 1000000000,
                                                       .output = 2000000000,
                                                       .cache_input = 1,
                                                       .cache_write = TK_RATE_NONE}};
        struct tk_native_authorize a;
        TK_UNUSED(state);
        refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        assert_ok(tk_native_read_authorize(TK_STR(ASK(",\"model\":\"m\",\"input_tokens\":10,\"output_"
                                                      "tokens\":5,\"least\":{\"usd\":0.00001},"
                                                      "\"expires_in\":30")),
                                           &a, &refusal, why));
        assert_true(a.key.fits);
        assert_string_equal(a.key.text.at, "k");
        assert_string_equal(a.id, "i");
        assert_string_equal(a.model.id, "m");
        assert_int_equal(a.life_ms, 30000);
        assert_ok(tk_native_complete(&a, &price, &refusal));
        assert_int_equal(a.asked.of[TK_METER_USD], 10 * 1000 + 5 * 2000); /* none of it taken as cached */
        assert_int_equal(a.asked.of[TK_METER_TOKENS], 15);
        assert_int_equal(a.asked.of[TK_METER_REQUESTS], 1);
        assert_int_equal(a.least.of[TK_METER_USD], 10000);
        assert_int_equal(a.least.of[TK_METER_TOKENS], 15); /* not named: all that is asked */
        assert_int_equal(a.least.of[TK_METER_REQUESTS], 1);
        assert_ok(tk_native_read_authorize(TK_STR(ASK("")), &a, &refusal, why));
        assert_int_equal(a.life_ms, 900000);
        assert_int_equal(a.asked.of[TK_METER_REQUESTS], 1);
        /* More tokens than any hold may cost. */
        assert_ok(tk_native_read_authorize(
                TK_STR(ASK(
                        ",\"model\":\"m\",\"input_tokens\":1000000000000,\"output_tokens\":1000000000000")),
                &a, &refusal, why));
        assert_int_equal(tk_native_complete(&a, &price, &refusal), TK_E_RANGE);
        assert_non_null(strstr(refusal.at, "\"path\":\"input_tokens\""));
        tk_buf_free(&refusal);
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(bodies), TEST(a_word_is_exact), TEST(parts_of_a_nano),
                                           TEST(what_authorize_means)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
