/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of venice sheet section 11, byte for byte in our order of members.
 */
#include "lib/unit.h"

#include "api/venice_view.h"
#include "core/time.h"

#include <string.h>

static struct tk_key sample(void) {
        struct tk_key key = {
                .last6 = "2V2jNW", .description = "ci", .period = TK_WINDOW_MONTH, .limits_nr = 1};
        bool ok = tk_id_parse(TK_STR("e28e82dc-9df2-4b47-b726-d0a222ef2ab5"), &key.id);
        assert_true(ok);
        assert_ok(tk_time_parse(TK_STR("2026-08-22T01:00:00.000Z"), &key.created_ms));
        key.limits[0] = (struct tk_limit){.window = {.kind = TK_WINDOW_MONTH}, .cap = 5 * TK_NANO};
        return key;
}

static void check(const struct tk_key *key, const struct tk_venice_usage *usage, const char *want) {
        struct tk_buf body = TK_BUF(8192);
        struct tk_jw w = tk_jw_begin(&body);
        tk_venice_write_key(&w, key, usage);
        assert_true(tk_buf_ok(&body));
        assert_string_equal(body.at, want);
        tk_buf_free(&body);
}

#define HEAD                                                                                                 \
        "{\"id\":\"e28e82dc-9df2-4b47-b726-d0a222ef2ab5\",\"apiKeyType\":\"INFERENCE\",\"description\":"     \
        "\"ci\","                                                                                            \
        "\"createdAt\":\"2026-08-22T01:00:00.000Z\",\"expiresAt\":null,\"lastUsedAt\":null,\"last6Chars\":"  \
        "\"2V2jNW\","
#define LIMITS                                                                                               \
        "\"consumptionLimits\":{\"usd\":5,\"diem\":null,\"vcu\":null},\"limitPeriod\":\"MONTH\","            \
        "\"modelPrivacy\":\"ALL\""
#define TRAILING                                                                                             \
        ",\"usage\":{\"trailingSevenDays\":{\"usd\":\"10.2424\",\"vcu\":\"42.2315\",\"diem\":\"4.2231\"}}"

static void read_form(void **state) {
        struct tk_key key = sample();
        struct tk_venice_usage usage = {
                .trailing = {.of = {INT64_C(10242400000), INT64_C(4223100000), INT64_C(42231500000)}},
                .period = {.of = {INT64_C(5123400000), INT64_C(2500000000), 1}}};
        TK_UNUSED(state);
        check(&key, &usage,
              HEAD LIMITS TRAILING ",\"currentPeriodUsage\":{\"usd\":\"5.1234\",\"diem\":\"2.5000\"}}");
}

static void update_form(void **state) {
        struct tk_key key = sample();
        TK_UNUSED(state);
        check(&key, NULL, HEAD LIMITS "}");
}

static void without_money_limit(void **state) {
        struct tk_key key = sample();
        struct tk_venice_usage usage = {0};
        TK_UNUSED(state);
        key.limits[0].meter = TK_METER_VCU; /* the old currency alone shows no period */
        check(&key, &usage,
              HEAD "\"consumptionLimits\":{\"usd\":null,\"diem\":null,\"vcu\":5},\"limitPeriod\":\"MONTH\","
                   "\"modelPrivacy\":\"ALL\",\"usage\":{\"trailingSevenDays\":{\"usd\":\"0.0000\",\"vcu\":"
                   "\"0.0000\","
                   "\"diem\":\"0.0000\"}}}");
        assert_false(tk_venice_has_money_limit(&key));
        key.limits[0].meter = TK_METER_DIEM;
        assert_true(tk_venice_has_money_limit(&key));
        key.limits[0].window.kind = TK_WINDOW_DAY; /* not in the key's period: another API's */
        assert_false(tk_venice_has_money_limit(&key));
}

static void times_and_text(void **state) {
        struct tk_key key = sample();
        TK_UNUSED(state);
        key.limits_nr = 0;
        key.kind = TK_KIND_ADMIN;
        key.period = TK_WINDOW_LIFETIME;
        key.privacy = TK_PRIVACY_PRIVATE_ONLY;
        memcpy(key.description, "a\"\\\n<", 6);
        key.expires_ms = key.created_ms + 1;
        key.last_used_ms = key.created_ms + 1000;
        check(&key, NULL,
              "{\"id\":\"e28e82dc-9df2-4b47-b726-d0a222ef2ab5\",\"apiKeyType\":\"ADMIN\",\"description\":"
              "\"a\\\"\\\\\\n<\","
              "\"createdAt\":\"2026-08-22T01:00:00.000Z\",\"expiresAt\":\"2026-08-22T01:00:00.001Z\","
              "\"lastUsedAt\":"
              "\"2026-08-22T01:00:01.000Z\",\"last6Chars\":\"2V2jNW\",\"consumptionLimits\":{\"usd\":null,"
              "\"diem\":null,"
              "\"vcu\":null},\"limitPeriod\":\"LIFETIME\",\"modelPrivacy\":\"PRIVATE_ONLY\"}");
}

static void periods_of_other_apis(void **state) {
        static const struct {
                enum tk_window_kind kind;
                const char *text;
        } rows[] = {
                {TK_WINDOW_DAY, "\"limitPeriod\":\"EPOCH\""},
                {TK_WINDOW_HOUR, "\"limitPeriod\":\"EPOCH\""},
                {TK_WINDOW_WEEK, "\"limitPeriod\":\"MONTH\""},
                {TK_WINDOW_MONTH, "\"limitPeriod\":\"MONTH\""},
                {TK_WINDOW_LIFETIME, "\"limitPeriod\":\"LIFETIME\""},
                {TK_WINDOW_EVERY_N_DAYS, "\"limitPeriod\":\"LIFETIME\""},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct tk_key key = sample();
                struct tk_buf body = TK_BUF(8192);
                struct tk_jw w = tk_jw_begin(&body);
                key.period = rows[i].kind;
                tk_venice_write_key(&w, &key, NULL);
                assert_non_null(strstr(body.at, rows[i].text));
                tk_buf_free(&body);
        }
}

static void created_form(void **state) {
        struct tk_key key = sample();
        struct tk_key_text secret = {.len = 3, .at = "k_1"};
        struct tk_buf body = TK_BUF(8192);
        struct tk_jw w = tk_jw_begin(&body);
        TK_UNUSED(state);
        tk_venice_write_created(&w, &key, &secret);
        assert_string_equal(
                body.at,
                "{\"id\":\"e28e82dc-9df2-4b47-b726-d0a222ef2ab5\",\"apiKey\":\"k_1\",\"apiKeyType\":"
                "\"INFERENCE\",\"description\":\"ci\",\"expiresAt\":null,\"consumptionLimit\":{\"usd\":5,"
                "\"diem\":null,\"vcu\":null},\"limitPeriod\":\"MONTH\",\"modelPrivacy\":\"ALL\"}");
        tk_buf_free(&body);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(read_form),      TEST(update_form),           TEST(without_money_limit),
                TEST(times_and_text), TEST(periods_of_other_apis), TEST(created_form)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
