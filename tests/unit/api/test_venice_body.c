/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of /api/v1/api_keys as tables: what is accepted and what it means, what is refused and in which
 * words. "Now" is 2026-11-21T12:00:00Z.
 */
#include "lib/unit.h"

#include "api/venice_body.h"
#include "core/time.h"

#include <stdlib.h>
#include <string.h>

#define NOW          INT64_C(1795262400000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN          "aaaaaaaaaa"
#define D64          TEN TEN TEN TEN TEN TEN "aaaa"
#define EMOJI        "\xF0\x9F\x98\x80" /* two UTF-16 units, four bytes */
#define EMOJI32                                                                                              \
        EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI      \
                EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI EMOJI    \
                        EMOJI
#define CREATE(more)   "{\"apiKeyType\":\"INFERENCE\",\"description\":\"d\"" more "}"
#define LIMIT(inner)   CREATE(",\"consumptionLimit\":" inner)
#define EXPIRES(value) CREATE(",\"expiresAt\":" value)
#define EDIT(more)     "{\"id\":\"e28e82dc-9df2-4b47-b726-d0a222ef2ab5\"" more "}"

/* refusal: NULL: accepted; "": no JSON; otherwise each '\n'-separated piece must stand in the answer. */
struct row {
        const char *name, *body, *refusal;
};

static const struct row creates[] = {
        {"the least", CREATE(""), NULL},
        {"admin", "{\"apiKeyType\":\"ADMIN\",\"description\":\"d\"}", NULL},
        {"empty description", "{\"apiKeyType\":\"ADMIN\",\"description\":\"\"}", NULL},
        {"description of 64", "{\"apiKeyType\":\"ADMIN\",\"description\":\"" D64 "\"}", NULL},
        {"description of 65", "{\"apiKeyType\":\"ADMIN\",\"description\":\"" D64 "a\"}",
         "\"description\":{\"_errors\":[\"String must contain at most 64 character(s)\"]}\n"
         "{\"code\":\"too_big\",\"maximum\":64,\"type\":\"string\",\"inclusive\":true,\"exact\":false,"
         "\"message\":"
         "\"String must contain at most 64 character(s)\",\"path\":[\"description\"]}"},
        {"32 emoji are 64 units", "{\"apiKeyType\":\"ADMIN\",\"description\":\"" EMOJI32 "\"}", NULL},
        {"one more unit", "{\"apiKeyType\":\"ADMIN\",\"description\":\"" EMOJI32 "a\"}",
         "at most 64 character(s)"},
        {"no description", "{\"apiKeyType\":\"ADMIN\"}",
         "\"description\":{\"_errors\":[\"Required\"]}\n{\"code\":\"invalid_type\",\"expected\":\"string\","
         "\"received\":\"undefined\",\"path\":[\"description\"],\"message\":\"Required\"}"},
        {"null description", "{\"apiKeyType\":\"ADMIN\",\"description\":null}",
         "Expected string, received null"},
        {"number description", "{\"apiKeyType\":\"ADMIN\",\"description\":1}",
         "Expected string, received number"},
        {"array description", "{\"apiKeyType\":\"ADMIN\",\"description\":[]}",
         "Expected string, received array"},
        {"bool description", "{\"apiKeyType\":\"ADMIN\",\"description\":true}",
         "Expected string, received boolean"},
        {"no type", "{\"description\":\"d\"}",
         "\"apiKeyType\":{\"_errors\":[\"Required\"]}\n{\"expected\":\"'INFERENCE' | 'ADMIN'\",\"received\":"
         "\"undefined\",\"code\":\"invalid_type\",\"path\":[\"apiKeyType\"],\"message\":\"Required\"}"},
        {"unknown type", "{\"apiKeyType\":\"X\",\"description\":\"d\"}",
         "\"Invalid enum value. Expected 'INFERENCE' | 'ADMIN', received 'X'\"\n"
         "{\"received\":\"X\",\"code\":\"invalid_enum_value\",\"options\":[\"INFERENCE\",\"ADMIN\"],\"path\":"
         "[\"apiKeyType\"],\"message\":"},
        {"type in lower case", "{\"apiKeyType\":\"admin\",\"description\":\"d\"}", "received 'admin'"},
        {"type a number", "{\"apiKeyType\":5,\"description\":\"d\"}",
         "Expected 'INFERENCE' | 'ADMIN', received number"},
        {"a long value is not echoed",
         "{\"apiKeyType\":\"tk_adm_0000000000000000000000000000000000000000000_000000\",\"description\":"
         "\"d\"}",
         "received '[...]'"},
        {"unknown member", CREATE(",\"foo\":1"),
         "\"details\":{\"_errors\":[\"Unrecognized key(s) in object: "
         "'foo'\"]}\n{\"code\":\"unrecognized_keys\","
         "\"keys\":[\"foo\"],\"path\":[],\"message\":\"Unrecognized key(s) in object: 'foo'\"}"},
        {"two unknown members", CREATE(",\"foo\":1,\"bar\":2"),
         "Unrecognized key(s) in object: 'foo', 'bar'"},
        {"a key as a member's name",
         CREATE(",\"tk_adm_0000000000000000000000000000000000000000000_000000\":2"),
         "Unrecognized key(s) in object: '[...]'"},
        {"the plural", CREATE(",\"consumptionLimits\":{}"), "'consumptionLimits'"},
        {"several mistakes", "{\"apiKeyType\":\"X\",\"limitPeriod\":\"DAY\",\"foo\":1}",
         "'X'\nlimitPeriod\n'DAY'\n'foo'\nRequired"},
        {"limits null", LIMIT("null"), "Expected object, received null"},
        {"limits array", LIMIT("[]"), "Expected object, received array"},
        {"limits text", LIMIT("\"5\""), "Expected object, received string"},
        {"limits empty", LIMIT("{}"), NULL},
        {"limit null", LIMIT("{\"usd\":null}"), NULL},
        {"limit zero", LIMIT("{\"usd\":0}"), NULL},
        {"limit minus zero", LIMIT("{\"usd\":-0}"), NULL},
        {"limit minus zero point zero", LIMIT("{\"usd\":-0.0}"), NULL},
        {"limit negative", LIMIT("{\"usd\":-1}"),
         "\"consumptionLimit\":{\"_errors\":[],\"usd\":{\"_errors\":[\"Number must be greater than or equal "
         "to "
         "0\"]}}\n{\"code\":\"too_small\",\"minimum\":0,\"type\":\"number\",\"inclusive\":true,\"exact\":"
         "false,"
         "\"message\":\"Number must be greater than or equal to "
         "0\",\"path\":[\"consumptionLimit\",\"usd\"]}"},
        {"limit barely negative", LIMIT("{\"usd\":-1e-300}"), "greater than or equal to 0"},
        {"limit at most", LIMIT("{\"usd\":9999999999}"), NULL},
        {"limit at most, as 1e10-1", LIMIT("{\"usd\":9.999999999e9}"), NULL},
        {"limit one over", LIMIT("{\"usd\":10000000000}"), "Number must be less than or equal to 9999999999"},
        {"limit half over", LIMIT("{\"usd\":9999999999.5}"), "less than or equal to 9999999999"},
        {"limit past 64 bits", LIMIT("{\"usd\":99999999999999999999999}"),
         "less than or equal to 9999999999"},
        {"limit past -64 bits", LIMIT("{\"usd\":-99999999999999999999999}"), "greater than or equal to 0"},
        {"limit 1e300", LIMIT("{\"usd\":1e300}"), "less than or equal to 9999999999"},
        {"limit 1e999 is no number here", LIMIT("{\"usd\":1e999}"), ""},
        {"limit text", LIMIT("{\"usd\":\"5\"}"),
         "\"usd\":{\"_errors\":[\"Expected number, received string\"]}"},
        {"limit bool", LIMIT("{\"diem\":true}"),
         "\"diem\":{\"_errors\":[\"Expected number, received boolean\"]}"},
        {"two bad limits", LIMIT("{\"usd\":-1,\"vcu\":\"1\"}"),
         "\"consumptionLimit\":{\"_errors\":[],\"usd\":{\"_errors\":[\"Number must be greater than or equal "
         "to "
         "0\"]},\"vcu\":{\"_errors\":[\"Expected number, received string\"]}}"},
        {"an unknown currency is no limit at all, so it is refused", LIMIT("{\"USD\":5}"),
         "\"consumptionLimit\":{\"_errors\":[\"Unrecognized key(s) in object: 'USD'\"]}"},
        {"period", CREATE(",\"limitPeriod\":\"LIFETIME\""), NULL},
        {"period null", CREATE(",\"limitPeriod\":null"),
         "Expected 'EPOCH' | 'MONTH' | 'LIFETIME', received null"},
        {"period unknown", CREATE(",\"limitPeriod\":\"WEEK\""),
         "'EPOCH' | 'MONTH' | 'LIFETIME', received 'WEEK'"},
        {"privacy", CREATE(",\"modelPrivacy\":\"PRIVATE_ONLY\""), NULL},
        {"privacy unknown", CREATE(",\"modelPrivacy\":\"NONE\""), "'ALL' | 'PRIVATE_TEXT' | 'PRIVATE_ONLY'"},
        {"expiry empty", EXPIRES("\"\""), NULL},
        {"expiry date", EXPIRES("\"2026-12-31\""), NULL},
        {"expiry second", EXPIRES("\"2026-12-31T23:59:59Z\""), NULL},
        {"expiry millisecond", EXPIRES("\"2026-12-31T23:59:59.000Z\""), NULL},
        {"expiry leap day", EXPIRES("\"2028-02-29\""), NULL},
        {"expiry null", EXPIRES("null"),
         "\"expiresAt\":{\"_errors\":[\"Expected string, received null\",\"Expected string, received "
         "null\",\"Expected "
         "string, received null\"]}\n\"code\":\"invalid_union\",\"unionErrors\":[{\"issues\":[\n\"path\":"
         "[\"expiresAt\"],\"message\":\"Invalid input\""},
        {"expiry number", EXPIRES("1795262400"), "Expected string, received number"},
        {"expiry one fraction digit", EXPIRES("\"2026-12-31T23:59:59.5Z\""),
         "\"expiresAt\":{\"_errors\":[\"Invalid literal value, expected "
         "\\\"\\\"\",\"Invalid\",\"Invalid\"]}\n"
         "{\"validation\":\"regex\",\"code\":\"invalid_string\",\"message\":\"Invalid\",\"path\":["
         "\"expiresAt\"]}\n"
         "\"name\":\"ZodError\""},
        {"expiry offset", EXPIRES("\"2026-12-31T23:59:59+00:00\""), "invalid_union"},
        {"expiry space", EXPIRES("\"2026-12-31 23:59:59Z\""), "invalid_union"},
        {"expiry lower t", EXPIRES("\"2026-12-31t23:59:59Z\""), "invalid_union"},
        {"expiry lower z", EXPIRES("\"2026-12-31T23:59:59z\""), "invalid_union"},
        {"expiry no Z", EXPIRES("\"2026-12-31T23:59:59\""), "invalid_union"},
        {"expiry minute only", EXPIRES("\"2026-12-31T23:59Z\""), "invalid_union"},
        {"expiry space only", EXPIRES("\" \""), "invalid_union"},
        {"expiry with a newline", EXPIRES("\"2026-12-31\\n\""), "invalid_union"},
        {"expiry other digits", EXPIRES("\"\xD9\xA2\xD9\xA0\xD9\xA2\xD9\xA6-12-31\""), "invalid_union"},
        {"expiry month 13", EXPIRES("\"2026-13-99\""),
         "\"expiresAt\":{\"_errors\":[\"Invalid date\"]}\n\"code\":\"invalid_date\""},
        {"expiry 30 February", EXPIRES("\"2027-02-30T00:00:00Z\""), "Invalid date"},
        {"expiry no leap year", EXPIRES("\"2027-02-29\""), "Invalid date"},
        {"expiry hour 24", EXPIRES("\"2026-12-31T24:00:00Z\""), "Invalid date"},
        {"expiry second 60", EXPIRES("\"2026-12-31T23:59:60Z\""), "Invalid date"},
        {"expiry in the past", EXPIRES("\"2023-10-01T12:00:00.000Z\""),
         "\"expiresAt\":{\"_errors\":[\"Expiration date must be in the future\"]}"},
        {"expiry today is past", EXPIRES("\"2026-11-21\""), "must be in the future"},
        {"expiry now is past", EXPIRES("\"2026-11-21T12:00:00.000Z\""), "must be in the future"},
        {"expiry in a millisecond", EXPIRES("\"2026-11-21T12:00:00.001Z\""), NULL},
        {"root array", "[]", "\"details\":{\"_errors\":[\"Expected object, received array\"]}"},
        {"root text", "\"x\"", ""},
        {"root null", "null", ""},
        {"nothing", "", ""},
        {"blank", " \n", ""},
        {"truncated", "{\"apiKeyType\":", ""},
        {"trailing", CREATE("") "x", ""},
        {"two documents", CREATE("") CREATE(""), ""},
        {"trailing comma", "{\"apiKeyType\":\"ADMIN\",}", ""},
        {"single quotes", "{'apiKeyType':'ADMIN'}", ""},
        {"duplicate member", CREATE(",\"description\":\"e\""), ""},
        {"duplicate limit", LIMIT("{\"usd\":1,\"usd\":2}"), ""},
        {"escaped NUL", "{\"apiKeyType\":\"ADMIN\",\"description\":\"a\\u0000b\"}", ""},
        {"lone surrogate", "{\"apiKeyType\":\"ADMIN\",\"description\":\"\\ud800\"}", ""},
        {"invalid UTF-8", "{\"apiKeyType\":\"ADMIN\",\"description\":\"\xff\"}", ""},
        {"overlong UTF-8", "{\"apiKeyType\":\"ADMIN\",\"description\":\"\xC0\x80\"}", ""},
        {"raw control character", "{\"apiKeyType\":\"ADMIN\",\"description\":\"a\nb\"}", ""},
        {"leading zero", LIMIT("{\"usd\":05}"), ""},
        {"NaN", LIMIT("{\"usd\":NaN}"), ""},
        {"plus sign", LIMIT("{\"usd\":+5}"), ""},
        {"byte order mark", "\xEF\xBB\xBF" CREATE(""), ""},
};

static const struct row edits[] = {
        {"only the id", EDIT(""), NULL},
        {"no id", "{}", "\"id\":{\"_errors\":[\"Required\"]}"},
        {"id null", "{\"id\":null}", "Expected string, received null"},
        {"id number", "{\"id\":1}", "Expected string, received number"},
        {"any text is an id", "{\"id\":\"x\"}", NULL},
        {"expiry null", EDIT(",\"expiresAt\":null"), NULL},
        {"expiry empty", EDIT(",\"expiresAt\":\"\""), NULL},
        {"expiry date", EDIT(",\"expiresAt\":\"2026-12-31\""), NULL},
        {"expiry past", EDIT(",\"expiresAt\":\"2023-10-01T12:00:00.000Z\""), "must be in the future"},
        {"expiry form", EDIT(",\"expiresAt\":\"x\""),
         "\"expiresAt\":{\"_errors\":[\"Invalid literal value, expected \\\"\\\"\",\"Expected null, received "
         "string\",\"Invalid\",\"Invalid\"]}"},
        {"expiry bool", EDIT(",\"expiresAt\":false"), "Expected null, received boolean"},
        {"description null", EDIT(",\"description\":null"), "Expected string, received null"},
        {"description of 65", EDIT(",\"description\":\"" D64 "a\""), "at most 64 character(s)"},
        {"the plural", EDIT(",\"consumptionLimits\":{\"usd\":1}"),
         "Unrecognized key(s) in object: 'consumptionLimits'"},
        {"the type", EDIT(",\"apiKeyType\":\"ADMIN\""), "Unrecognized key(s) in object: 'apiKeyType'"},
        {"limits null", EDIT(",\"consumptionLimit\":null"), "Expected object, received null"},
        {"all",
         EDIT(",\"consumptionLimit\":{\"usd\":50,\"diem\":10,\"vcu\":30},\"limitPeriod\":\"MONTH\","
              "\"modelPrivacy\":\"ALL\",\"description\":\"d\",\"expiresAt\":\"2026-12-31\""),
         NULL},
};

static void check_row(const struct row *row, enum tk_err err, const struct tk_buf *refusal,
                      const struct tk_venice_why *why) {
        print_message("%s\n", row->name);
        if (!row->refusal) {
                assert_ok(err);
                assert_int_equal(refusal->len, 0);
                return;
        }
        if (!row->refusal[0]) {
                assert_int_equal(err, TK_E_SYNTAX);
                assert_memory_equal(why->text, "Line ", 5);
                return;
        }
        assert_int_equal(err, TK_E_RANGE);
        assert_memory_equal(refusal->at,
                            "{\"error\":\"Invalid request parameters\",\"details\":{\"_errors\":[", 60);
        char *pieces = strdup(row->refusal), *save = NULL;
        assert_non_null(pieces);
        for (char *piece = strtok_r(pieces, "\n", &save); piece; piece = strtok_r(NULL, "\n", &save)) {
                if (!strstr(refusal->at, piece))
                        print_error("answer: %s\nlacks:  %s\n", refusal->at, piece);
                assert_non_null(strstr(refusal->at, piece));
        }
        free(pieces);
}

static void create_rows(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(creates); i++) {
                struct tk_key draft;
                struct tk_venice_why why;
                struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
                enum tk_err err =
                        tk_venice_read_create(tk_str_of(creates[i].body), NOW, &draft, &refusal, &why);
                check_row(&creates[i], err, &refusal, &why);
                tk_buf_free(&refusal);
        }
}

static void edit_rows(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(edits); i++) {
                struct tk_venice_edit edit;
                struct tk_venice_why why;
                struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
                enum tk_err err = tk_venice_read_edit(tk_str_of(edits[i].body), NOW, &edit, &refusal, &why);
                check_row(&edits[i], err, &refusal, &why);
                tk_buf_free(&refusal);
        }
}

static struct tk_key create(const char *body) {
        struct tk_key draft;
        struct tk_venice_why why;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        assert_ok(tk_venice_read_create(tk_str_of(body), NOW, &draft, &refusal, &why));
        tk_buf_free(&refusal);
        return draft;
}

static struct tk_venice_edit edit(const char *body) {
        struct tk_venice_edit out;
        struct tk_venice_why why;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        assert_ok(tk_venice_read_edit(tk_str_of(body), NOW, &out, &refusal, &why));
        tk_buf_free(&refusal);
        return out;
}

static void create_defaults(void **state) {
        TK_UNUSED(state);
        struct tk_key key = create(CREATE(""));
        assert_int_equal(key.kind, TK_KIND_INFERENCE);
        assert_int_equal(key.period, TK_WINDOW_DAY);
        assert_int_equal(key.privacy, TK_PRIVACY_ALL);
        assert_int_equal(key.expires_ms, 0);
        assert_int_equal(key.limits_nr, 0);
        assert_string_equal(key.description, "d");
        assert_true(tk_scopes_has(&key.scopes, TK_SCOPE_COMPLETIONS_WRITE));
        assert_false(tk_scopes_has(&key.scopes, TK_SCOPE_KEYS_WRITE));
}

static void create_everything(void **state) {
        int64_t expires;
        TK_UNUSED(state);
        struct tk_key key = create(
                "{\"apiKeyType\":\"ADMIN\",\"description\":\"\\u00e9\\\"\",\"consumptionLimit\":{\"usd\":"
                "50.5,\"diem\":0,\"vcu\":null},\"limitPeriod\":\"MONTH\",\"modelPrivacy\":"
                "\"PRIVATE_TEXT\",\"expiresAt\":\"2026-12-31T23:59:59.123Z\"}");
        assert_int_equal(key.kind, TK_KIND_ADMIN);
        assert_true(tk_scopes_has(&key.scopes, TK_SCOPE_KEYS_WRITE));
        assert_int_equal(key.period, TK_WINDOW_MONTH);
        assert_int_equal(key.privacy, TK_PRIVACY_PRIVATE_TEXT);
        assert_string_equal(key.description, "\xC3\xA9\"");
        assert_ok(tk_time_parse(TK_STR("2026-12-31T23:59:59.123Z"), &expires));
        assert_int_equal(key.expires_ms, expires);
        assert_int_equal(key.limits_nr, 2);
        const struct tk_limit *usd = tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_MONTH);
        const struct tk_limit *diem = tk_key_limit_get(&key, TK_METER_DIEM, TK_WINDOW_MONTH);
        assert_non_null(usd);
        assert_non_null(diem);
        assert_int_equal(usd->cap, UINT64_C(50500000000));
        assert_int_equal(diem->cap, 0);
        assert_null(tk_key_limit_get(&key, TK_METER_VCU, TK_WINDOW_MONTH));
        assert_true(tk_limit_ok(usd));
}

static void amounts_are_exact(void **state) {
        static const struct {
                const char *text;
                uint64_t nano;
        } rows[] = {
                {"5", UINT64_C(5000000000)},
                {"0.01", 10000000},
                {"0.1", 100000000},
                {"0.29", 290000000},
                {"1.005", 1005000000},
                {"4.35", UINT64_C(4350000000)},
                {"1e-9", 1},
                {"1e-10", 0},
                {"0.0000000019", 1},
                {"1.9999999999", 1999999999},
                {"123456.789", UINT64_C(123456789000000)},
                {"1234567890.1234567", UINT64_C(1234567890123456700)},
                {"9999999999", UINT64_C(9999999999000000000)},
                {"5E3", UINT64_C(5000000000000)},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(rows); i++) {
                char body[256];
                struct tk_buf text = TK_BUF_OVER(body);
                print_message("%s\n", rows[i].text);
                tk_buf_printf(&text, LIMIT("{\"usd\":%s}"), rows[i].text);
                struct tk_key key = create(body);
                assert_int_equal(key.limits_nr, 1);
                assert_int_equal(key.limits[0].cap, rows[i].nano);
        }
}

static void edit_merges(void **state) {
        TK_UNUSED(state);
        struct tk_key key = create(LIMIT("{\"usd\":5,\"diem\":7}"));
        struct tk_venice_edit e = edit(EDIT(",\"consumptionLimit\":{\"usd\":100}"));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_int_equal(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_DAY)->cap, 100 * TK_NANO);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_DIEM, TK_WINDOW_DAY)->cap, 7 * TK_NANO);
        e = edit(EDIT(",\"consumptionLimit\":{\"usd\":null,\"vcu\":0}"));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_null(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_DAY));
        assert_int_equal(tk_key_limit_get(&key, TK_METER_DIEM, TK_WINDOW_DAY)->cap, 7 * TK_NANO);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_VCU, TK_WINDOW_DAY)->cap, 0);
        assert_int_equal(key.limits_nr, 2);
        e = edit(EDIT(",\"consumptionLimit\":{\"usd\":null,\"diem\":null,\"vcu\":null}"));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_int_equal(key.limits_nr, 0);
        assert_string_equal(key.description, "d");
}

static void edit_keeps_what_is_not_sent(void **state) {
        TK_UNUSED(state);
        struct tk_key key =
                create(CREATE(",\"consumptionLimit\":{\"usd\":5},\"limitPeriod\":\"MONTH\",\"modelPrivacy\":"
                              "\"PRIVATE_ONLY\",\"expiresAt\":\"2026-12-31\""));
        struct tk_key before = key;
        struct tk_venice_edit e = edit(EDIT(""));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_memory_equal(&key, &before, sizeof(key));
        e = edit(EDIT(",\"expiresAt\":null"));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_int_equal(key.expires_ms, 0);
        e = edit(EDIT(",\"expiresAt\":\"2027-01-01\",\"description\":\"\",\"modelPrivacy\":\"ALL\""));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_int_not_equal(key.expires_ms, 0);
        assert_string_equal(key.description, "");
        assert_int_equal(key.privacy, TK_PRIVACY_ALL);
        e = edit(EDIT(",\"expiresAt\":\"\""));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_int_equal(key.expires_ms, 0);
}

static void edit_moves_the_period_of_all_caps(void **state) {
        TK_UNUSED(state);
        struct tk_key key = create(LIMIT("{\"usd\":5,\"diem\":7,\"vcu\":9}"));
        /* A rate of another API and a second usd limit are not part of the consumption limits. */
        key.limits[key.limits_nr++] = (struct tk_limit){
                .window = {.kind = TK_WINDOW_MINUTE}, .meter = TK_METER_REQUESTS, .cap = 60};
        key.limits[1].alert = 6 * TK_NANO; /* what this dialect has no word for stays with its limit */
        key.limits[2].alert = 4 * TK_NANO;
        struct tk_venice_edit e =
                edit(EDIT(",\"limitPeriod\":\"LIFETIME\",\"consumptionLimit\":{\"diem\":8}"));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_int_equal(key.period, TK_WINDOW_LIFETIME);
        assert_int_equal(key.limits_nr, 4);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_LIFETIME)->cap, 5 * TK_NANO);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_DIEM, TK_WINDOW_LIFETIME)->cap, 8 * TK_NANO);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_VCU, TK_WINDOW_LIFETIME)->cap, 9 * TK_NANO);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_LIFETIME)->alert, 0);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_DIEM, TK_WINDOW_LIFETIME)->alert, 6 * TK_NANO);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_VCU, TK_WINDOW_LIFETIME)->alert, 4 * TK_NANO);
        assert_null(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_DAY));
        assert_int_equal(tk_key_limit_get(&key, TK_METER_REQUESTS, TK_WINDOW_MINUTE)->cap, 60);
}

static void edit_never_loosens_a_limit_that_it_meets(void **state) {
        TK_UNUSED(state);
        struct tk_key key = create(LIMIT("{\"usd\":5,\"diem\":70}"));
        key.limits[key.limits_nr++] = (struct tk_limit){
                .window = {.kind = TK_WINDOW_MONTH}, .meter = TK_METER_USD, .cap = 3 * TK_NANO};
        key.limits[key.limits_nr++] = (struct tk_limit){
                .window = {.kind = TK_WINDOW_MONTH}, .meter = TK_METER_DIEM, .cap = 90 * TK_NANO};
        struct tk_venice_edit e = edit(EDIT(",\"limitPeriod\":\"MONTH\""));
        assert_ok(tk_venice_edit_apply(&e, &key));
        assert_int_equal(key.limits_nr, 2);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_MONTH)->cap, 3 * TK_NANO);
        assert_int_equal(tk_key_limit_get(&key, TK_METER_DIEM, TK_WINDOW_MONTH)->cap, 70 * TK_NANO);
}

static void edit_of_a_full_record(void **state) {
        TK_UNUSED(state);
        struct tk_key key = create(CREATE(""));
        for (unsigned i = 0; i < TK_KEY_LIMITS_MAX; i++)
                key.limits[key.limits_nr++] = (struct tk_limit){
                        .window = {.kind = TK_WINDOW_EVERY_N_DAYS, .days = (uint16_t)(i + 1)},
                        .meter = TK_METER_USD};
        struct tk_venice_edit e = edit(EDIT(",\"consumptionLimit\":{\"usd\":1}"));
        assert_int_equal(tk_venice_edit_apply(&e, &key), TK_E_TOO_BIG);
        assert_int_equal(key.limits_nr, TK_KEY_LIMITS_MAX);
}

#define ID "e28e82dc-9df2-4b47-b726-d0a222ef2ab5"

static void deletes(void **state) {
        static const struct {
                const char *name, *body, *query;
                bool same;
                enum tk_err err;
                bool id_ok;
                const char *refusal;
        } rows[] = {
                {"query", "", ID, true, TK_OK, true, ""},
                {"body", "{\"id\":\"" ID "\"}", NULL, true, TK_OK, true, ""},
                {"both", "{\"id\":\"" ID "\"}", ID, true, TK_OK, true, ""},
                {"both, other case", "{\"id\":\"" ID "\"}", "E28E82DC-9DF2-4B47-B726-D0A222EF2AB5", true,
                 TK_OK, true, ""},
                {"both, different", "{\"id\":\"x\"}", ID, true, TK_E_RANGE, false,
                 "Two different ids were given"},
                {"query twice, different", "", ID, false, TK_E_RANGE, false, "Two different ids were given"},
                {"neither", "", NULL, true, TK_E_RANGE, false, "\"id\":{\"_errors\":[\"Required\"]}"},
                {"neither, empty object", "{}", NULL, true, TK_E_RANGE, false, "Required"},
                {"query, empty object", "{}", ID, true, TK_OK, true, ""},
                {"not a UUID", "", "x", true, TK_OK, false, ""},
                {"empty id", "", "", true, TK_OK, false, ""},
                {"unknown member", "{\"id\":\"" ID "\",\"x\":1}", NULL, true, TK_E_RANGE, false, "'x'"},
                {"null id", "{\"id\":null}", NULL, true, TK_E_RANGE, false, "received null"},
                {"number id", "{\"id\":7}", ID, true, TK_E_RANGE, false, "received number"},
                {"array", "[]", ID, true, TK_E_RANGE, false, "received array"},
                {"no JSON", "x", ID, true, TK_E_SYNTAX, false, ""},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_id id, want;
                bool id_ok = true;
                struct tk_venice_why why;
                struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
                print_message("%s\n", rows[i].name);
                enum tk_err err =
                        tk_venice_read_delete(tk_str_of(rows[i].body), rows[i].query != NULL, rows[i].same,
                                              tk_str_of(rows[i].query), &id_ok, &id, &refusal, &why);
                assert_int_equal(err, rows[i].err);
                assert_int_equal(id_ok, rows[i].id_ok);
                assert_true(tk_id_parse(TK_STR(ID), &want));
                if (id_ok)
                        assert_true(tk_id_eq(id, want));
                assert_non_null(strstr(refusal.len ? refusal.at : "", rows[i].refusal));
                tk_buf_free(&refusal);
        }
}

/* The position helps, the text of the body is not repeated: it might hold a secret. */
static void why_tells_where(void **state) {
        struct tk_key draft;
        struct tk_venice_why why;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        TK_UNUSED(state);
        assert_int_equal(tk_venice_read_create(TK_STR("{\n \"secret\" 1}"), NOW, &draft, &refusal, &why),
                         TK_E_SYNTAX);
        assert_string_equal(why.text, "Line 2, column 11: it is not valid JSON there.");
        assert_int_equal(tk_venice_read_create(TK_STR("{\"a\":1,\"a\":2}"), NOW, &draft, &refusal, &why),
                         TK_E_SYNTAX);
        assert_non_null(strstr(why.text, "a member is given twice"));
        assert_null(strstr(why.text, "\""));
        assert_int_equal(tk_venice_read_create(TK_STR("{\"a\""), NOW, &draft, &refusal, &why), TK_E_SYNTAX);
        assert_non_null(strstr(why.text, "it ends too early"));
}

static void bare_nul(void **state) {
        static const char body[] = "{\"apiKeyType\":\"ADMIN\",\"description\":\"d\"}\0";
        struct tk_key draft;
        struct tk_venice_why why;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        TK_UNUSED(state);
        assert_ok(
                tk_venice_read_create((struct tk_str){body, sizeof(body) - 2}, NOW, &draft, &refusal, &why));
        assert_int_equal(
                tk_venice_read_create((struct tk_str){body, sizeof(body) - 1}, NOW, &draft, &refusal, &why),
                TK_E_SYNTAX);
        assert_string_equal(why.text, "Line 1, byte 41: it contains a NUL character.");
}

static void brackets(void **state) {
        size_t len = TK_VENICE_BODY_BYTES_MAX;
        char *body = malloc(len);
        struct tk_key draft;
        struct tk_venice_why why;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        TK_UNUSED(state);
        assert_non_null(body);
        memset(body, '[', len);
        assert_int_equal(tk_venice_read_create((struct tk_str){body, len}, NOW, &draft, &refusal, &why),
                         TK_E_SYNTAX);
        assert_non_null(strstr(why.text, "nested too deeply"));
        free(body);
}

/* As many unknown members as fit: the answer is still whole. */
static void many_unknown_members(void **state) {
        struct tk_buf body = TK_BUF(TK_VENICE_BODY_BYTES_MAX);
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        struct tk_key draft;
        struct tk_venice_why why;
        TK_UNUSED(state);
        tk_buf_char(&body, '{');
        for (unsigned i = 0; body.len < TK_VENICE_BODY_BYTES_MAX - 32; i++)
                tk_buf_printf(&body, "%s\"\\u0001%x\":0", i ? "," : "", i);
        tk_buf_char(&body, '}');
        assert_true(tk_buf_ok(&body));
        assert_int_equal(tk_venice_read_create(tk_buf_str(&body), NOW, &draft, &refusal, &why), TK_E_RANGE);
        tk_buf_free(&body);
        tk_buf_free(&refusal);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(create_rows),
                TEST(edit_rows),
                TEST(create_defaults),
                TEST(create_everything),
                TEST(amounts_are_exact),
                TEST(edit_merges),
                TEST(edit_keeps_what_is_not_sent),
                TEST(edit_moves_the_period_of_all_caps),
                TEST(edit_never_loosens_a_limit_that_it_meets),
                TEST(edit_of_a_full_record),
                TEST(deletes),
                TEST(why_tells_where),
                TEST(bare_nul),
                TEST(brackets),
                TEST(many_unknown_members),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
