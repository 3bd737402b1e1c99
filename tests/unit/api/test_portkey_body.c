/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of /v1/api-keys as tables: what is refused and where, what is accepted and what becomes of a
 * key. "Now" is 2026-11-21T12:00:00Z, a Saturday.
 */
#include "lib/unit.h"

#include "api/portkey_apply.h"
#include "core/time.h"

#include <stdlib.h>
#include <string.h>

#define NOW          INT64_C(1795262400000)
#define TODAY        (NOW / 86400000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAKE(more)   "{\"name\":\"n\",\"scopes\":[]" more "}"

/* refusal: NULL: accepted; "": no JSON; otherwise what must stand in the answer. */
static const struct row {
        const char *name;
        bool create;
        const char *body, *refusal;
} rows[] = {
        {"the least", true, MAKE(""), NULL},
        {"nothing to change", false, "{}", NULL},
        {"no name", true, "{\"scopes\":[]}", "\"path\":\"name\",\"message\":\"Required\""},
        {"no scopes", true, "{\"name\":\"n\"}", "\"path\":\"scopes\",\"message\":\"Required\""},
        {"neither", true, "{}", "name: Required"},
        {"null name", false, "{\"name\":null}", "name: Expected string, received null"},
        {"empty name", false, "{\"name\":\"\"}", "name: Must not be empty"},
        {"NUL in a name", false, "{\"name\":\"a\\u0000b\"}", ""},
        {"a list", false, "[]", "Expected object, received array"},
        {"no JSON", false, "{", ""},
        {"nothing", false, "", ""},
        {"what the SDKs send along", false,
         "{\"id\":\"x\",\"type\":\"workspace\",\"sub-type\":\"service\",\"user_id\":null,\"export_id\":1}",
         NULL},
        {"scope that is none", false, "{\"scopes\":[\"logs.view\",\"x.y\"]}", "There is no scope 'x.y'"},
        {"scope that is too long to be shown", false,
         "{\"scopes\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}",
         "There is no scope ''"},
        {"scope that is no text", false, "{\"scopes\":[1]}", "scopes: Expected string, received number"},
        {"scopes by one", false, "{\"scopes\":\"logs.view\"}", "Expected array, received string"},
        {"null scopes", false, "{\"scopes\":null}", "Expected array, received null"},
        {"rate", false, "{\"rate_limits\":[{\"type\":\"requests\",\"unit\":\"rps\",\"value\":1}]}", NULL},
        {"rate of nothing", false, "{\"rate_limits\":[{\"type\":\"tokens\",\"unit\":\"rpw\",\"value\":0}]}",
         NULL},
        {"rate without unit", false, "{\"rate_limits\":[{\"type\":\"tokens\",\"value\":0}]}",
         "\"path\":\"rate_limits.unit\",\"message\":\"Required\""},
        {"rate of an unknown unit", false,
         "{\"rate_limits\":[{\"type\":\"tokens\",\"unit\":\"tpd\",\"value\":0}]}",
         "\"path\":\"rate_limits.unit\""},
        {"rate of an unknown type", false,
         "{\"rate_limits\":[{\"type\":\"cost\",\"unit\":\"rpm\",\"value\":0}]}",
         "\"path\":\"rate_limits.type\""},
        {"rate below nothing", false,
         "{\"rate_limits\":[{\"type\":\"tokens\",\"unit\":\"rpm\",\"value\":-1}]}",
         "\"path\":\"rate_limits.value\""},
        {"a half", false, "{\"rate_limits\":[{\"type\":\"tokens\",\"unit\":\"rpm\",\"value\":1.5}]}",
         "\"path\":\"rate_limits.value\""},
        {"rate that is none", false, "{\"rate_limits\":[1]}", "Expected object, received number"},
        {"the same rate twice", false,
         "{\"rate_limits\":[{\"type\":\"tokens\",\"unit\":\"rpm\",\"value\":1},{\"type\":\"tokens\",\"unit\":"
         "\"rpm\",\"value\":2}]}",
         "Two of them have the same type and unit"},
        {"no budget of 0", false, "{\"usage_limits\":{\"credit_limit\":0}}",
         "\"path\":\"usage_limits.credit_limit\""},
        {"budget of a half", false, "{\"usage_limits\":{\"credit_limit\":0.5}}",
         "\"path\":\"usage_limits.credit_limit\""},
        {"budget of one and a half", false, "{\"usage_limits\":{\"credit_limit\":1.5}}", NULL},
        {"budget of what", false, "{\"usage_limits\":{\"type\":\"requests\",\"credit_limit\":1}}",
         "\"path\":\"usage_limits.type\""},
        {"budget as a list", false, "{\"usage_limits\":[]}", "Expected object, received array"},
        {"budget by the year", false, "{\"usage_limits\":{\"credit_limit\":1,\"periodic_reset\":\"yearly\"}}",
         "\"path\":\"usage_limits.periodic_reset\""},
        {"every 0 days", false, "{\"usage_limits\":{\"credit_limit\":1,\"periodic_reset_days\":0}}",
         "\"path\":\"usage_limits.periodic_reset_days\""},
        {"every 366 days", false, "{\"usage_limits\":{\"credit_limit\":1,\"periodic_reset_days\":366}}",
         "\"path\":\"usage_limits.periodic_reset_days\""},
        {"two periods", false,
         "{\"usage_limits\":{\"credit_limit\":1,\"periodic_reset\":\"weekly\",\"periodic_reset_days\":3}}",
         "Excludes periodic_reset"},
        {"turned already", false,
         "{\"usage_limits\":{\"credit_limit\":1,\"periodic_reset_days\":3,\"next_usage_reset_at\":\"2026-11-"
         "21\"}}",
         "\"path\":\"usage_limits.next_usage_reset_at\",\"message\":\"Must be in the future\""},
        {"expired already", false, "{\"expires_at\":\"2026-11-21T12:00:00Z\"}", "Must be in the future"},
        {"expires in a millisecond", false, "{\"expires_at\":\"2026-11-21T12:00:00.001Z\"}", NULL},
        {"no date", false, "{\"expires_at\":\"soon\"}", "Must be a date and time"},
        {"no such date", false, "{\"expires_at\":\"2027-02-30T00:00:00Z\"}", "Must be a date and time"},
        {"no zone", false, "{\"expires_at\":\"2027-02-01T00:00:00\"}", "Must be a date and time"},
        {"half a zone", false, "{\"expires_at\":\"2027-02-01T00:00:00+1\"}", "Must be a date and time"},
        {"a point and nothing", false, "{\"expires_at\":\"2027-02-01T00:00:00.Z\"}",
         "Must be a date and time"},
        {"empty date", false, "{\"expires_at\":\"\"}", "Must be a date and time"},
        {"e-mail", false, "{\"alert_emails\":[\"a@b.c\"]}", NULL},
        {"no e-mail", false, "{\"alert_emails\":[\"a\"]}", "Not an e-mail address"},
        {"two at signs", false, "{\"alert_emails\":[\"a@b@c.d\"]}", "Not an e-mail address"},
        {"a line of its own", false, "{\"alert_emails\":[\"a@b.c\\nBcc: x@y.z\"]}", "Not an e-mail address"},
        {"metadata", false, "{\"defaults\":{\"metadata\":{\"a\":{\"b\":[1]}}}}", NULL},
        {"metadata that is none", false, "{\"defaults\":{\"metadata\":[]}}",
         "\"path\":\"defaults.metadata\""},
        {"rotation", false, "{\"rotation_policy\":{\"rotation_period\":\"weekly\"}}",
         "Keys are not rotated by themselves here"},
        {"no rotation", false, "{\"rotation_policy\":null}", NULL},
        {"reset", false, "{\"reset_usage\":true}", NULL},
        {"reset by 1", false, "{\"reset_usage\":1}", "Expected boolean, received number"},
};

static struct tk_portkey_body read_as;

static enum tk_err reads(const char *body, bool create, char answer[4096]) {
        char why[TK_CHECK_WHY_MAX];
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        enum tk_err err = tk_portkey_read(tk_str_of(body), create, NOW, &read_as, &refusal, why);
        (void)tk_str_copy(tk_buf_str(&refusal), answer, 4096);
        tk_buf_free(&refusal);
        return err;
}

static void refusals(void **state) {
        char answer[4096];
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(rows); i++) {
                enum tk_err want = rows[i].refusal ? rows[i].refusal[0] ? TK_E_RANGE : TK_E_SYNTAX : TK_OK;
                enum tk_err err = reads(rows[i].body, rows[i].create, answer);
                print_message("%s: %s\n", rows[i].name, answer);
                assert_int_equal(err, want);
                if (want == TK_E_RANGE)
                        assert_non_null(strstr(answer, rows[i].refusal));
        }
}

static void long_members(void **state) {
        char *body = malloc(20000), answer[4096];
        TK_UNUSED(state);
        assert_non_null(body);
        for (unsigned len = 254; len <= 257; len++) {
                strcpy(body, "{\"name\":\"");
                memset(body + 9, 'x', len);
                strcpy(body + 9 + len, "\"}");
                assert_int_equal(reads(body, false, answer), len <= 255 ? TK_OK : TK_E_RANGE);
        }
        strcpy(body, "{\"defaults\":{\"metadata\":{\"a\":\"");
        size_t at = strlen(body);
        for (unsigned len = TK_PROFILE_METADATA_MAX - 8 - 3; len < TK_PROFILE_METADATA_MAX; len++) {
                memset(body + at, 'x', len);
                strcpy(body + at + len, "\"}}}");
                assert_int_equal(reads(body, false, answer),
                                 len + 8 <= TK_PROFILE_METADATA_MAX ? TK_OK : TK_E_RANGE);
        }
        free(body);
}

static void moments(void **state) {
        static const struct {
                const char *text;
                int64_t ms;
        } good[] = {
                {"2027-01-01T00:00:00Z", INT64_C(1798761600000)},
                {"2027-01-01T00:00:00.000Z", INT64_C(1798761600000)},
                {"2027-01-01T00:00:00.1Z", INT64_C(1798761600100)},
                {"2027-01-01T00:00:00.123456Z", INT64_C(1798761600123)},
                {"2027-01-01T00:00:00+00:00", INT64_C(1798761600000)},
                {"2027-01-01T05:30:00+05:30", INT64_C(1798761600000)},
                {"2026-12-31T16:00:00.5-08:00", INT64_C(1798761600500)},
                {"2027-01-01", INT64_C(1798761600000)},
        };
        char body[128], answer[4096];
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(good); i++) {
                struct tk_buf text = TK_BUF_OVER(body);
                tk_buf_printf(&text, "{\"expires_at\":\"%s\"}", good[i].text);
                print_message("%s\n", good[i].text);
                assert_int_equal(reads(body, false, answer), TK_OK);
                assert_int_equal(read_as.expires_ms, good[i].ms);
        }
}

/* ---- what becomes of a key ---- */

static struct tk_key key_with(unsigned limits_nr, const struct tk_limit *limits) {
        struct tk_key key = {.id = {{1}}, .kind = TK_KIND_INFERENCE, .period = TK_WINDOW_MONTH};
        key.limits_nr = limits_nr;
        for (unsigned i = 0; i < limits_nr; i++)
                key.limits[i] = limits[i];
        return key;
}

/* "usd month 5 of 4, ..." of all limits, money in units. */
static void say_limits(const struct tk_key *key, char out[512]) {
        struct tk_buf text = {.at = out, .size = 512, .max = 511, .borrowed = true};
        out[0] = '\0';
        for (unsigned i = 0; i < key->limits_nr; i++) {
                const struct tk_limit *l = &key->limits[i];
                char cap[TK_CAP_TEXT_MAX], alert[TK_CAP_TEXT_MAX];
                tk_cap_text(l->meter, l->cap, cap);
                tk_cap_text(l->meter, l->alert, alert);
                tk_buf_printf(&text, "%s%s %s", i ? ", " : "", tk_meter_name(l->meter),
                              tk_window_kind_name(l->window.kind));
                if (l->window.days)
                        tk_buf_printf(&text, " %u from %d", l->window.days,
                                      (int)(l->window.anchor_day - TODAY));
                tk_buf_printf(&text, " %s%s%s%s%s", cap, l->alert ? " of " : "", l->alert ? alert : "",
                              l->flags ? " slides" : "", l->base ? " based" : "");
        }
}

#define USD_MONTH                                                                                            \
        {                                                                                                    \
                .window = {TK_WINDOW_MONTH}, .cap = 5 * TK_NANO, .alert = 4 * TK_NANO, .base = 1,            \
                .base_number = 682                                                                           \
        }
#define DIEM_MONTH                                                                                           \
        { .window = {TK_WINDOW_MONTH}, .meter = TK_METER_DIEM, .cap = TK_NANO }
#define RPM                                                                                                  \
        { .window = {TK_WINDOW_MINUTE}, .meter = TK_METER_REQUESTS, .flags = TK_LIMIT_SLIDING, .cap = 9 }
#define USAGE(in) "{\"usage_limits\":{" in "}}"

static const struct {
        const char *name;
        unsigned limits_nr;
        struct tk_limit limits[4];
        const char *body, *after; /* or what is wrong, after a '!' */
        enum tk_window_kind period;
} applied[] = {
        {"nothing",
         2,
         {USD_MONTH, RPM},
         "{}",
         "usd month 5 of 4 based, requests minute 9 slides",
         TK_WINDOW_MONTH},
        {"a first budget",
         0,
         {{.cap = 0}},
         USAGE("\"credit_limit\":2"),
         "usd lifetime 2",
         TK_WINDOW_LIFETIME},
        {"by the week",
         0,
         {{.cap = 0}},
         USAGE("\"type\":\"cost\",\"credit_limit\":2,\"periodic_reset\":\"weekly\""),
         "usd week 2",
         TK_WINDOW_WEEK},
        {"every day is a day",
         0,
         {{.cap = 0}},
         USAGE("\"credit_limit\":2,\"periodic_reset_days\":1"),
         "usd day 2",
         TK_WINDOW_DAY},
        {"every ten days",
         0,
         {{.cap = 0}},
         USAGE("\"credit_limit\":2,\"periodic_reset_days\":10"),
         "usd every_n_days 10 from 0 2",
         TK_WINDOW_MONTH},
        {"from a day on",
         0,
         {{.cap = 0}},
         USAGE("\"credit_limit\":2,\"periodic_reset_days\":10,\"next_usage_reset_at\":\"2026-11-24T13:00:"
               "00Z\""),
         "usd every_n_days 10 from 3 2",
         TK_WINDOW_MONTH},
        {"the same days again go on",
         1,
         {{.window = {TK_WINDOW_EVERY_N_DAYS, 10, (int32_t)TODAY - 4},
           .cap = TK_NANO,
           .base = 1,
           .base_number = 0}},
         USAGE("\"credit_limit\":2,\"periodic_reset_days\":10"),
         "usd every_n_days 10 from -4 2 based",
         TK_WINDOW_MONTH},
        {"months turn by the calendar",
         0,
         {{.cap = 0}},
         USAGE("\"credit_limit\":2,\"periodic_reset\":\"monthly\",\"next_usage_reset_at\":\"2027-01-01\""),
         "!next_usage_reset_at goes with",
         TK_WINDOW_MONTH},
        {"a budget without an amount",
         0,
         {{.cap = 0}},
         USAGE("\"type\":\"cost\""),
         "!credit_limit is missing",
         TK_WINDOW_MONTH},
        {"only the amount",
         2,
         {USD_MONTH, RPM},
         USAGE("\"credit_limit\":7"),
         "requests minute 9 slides, usd month 7 of 4 based",
         TK_WINDOW_MONTH},
        {"below the threshold",
         1,
         {USD_MONTH},
         USAGE("\"credit_limit\":3"),
         "!alert_threshold may not be above",
         TK_WINDOW_MONTH},
        {"threshold at the limit",
         1,
         {USD_MONTH},
         USAGE("\"alert_threshold\":5"),
         "usd month 5 of 5 based",
         TK_WINDOW_MONTH},
        {"no threshold",
         1,
         {USD_MONTH},
         USAGE("\"alert_threshold\":null"),
         "usd month 5 based",
         TK_WINDOW_MONTH},
        {"null is no amount",
         1,
         {USD_MONTH},
         USAGE("\"credit_limit\":null"),
         "!credit_limit may not be null",
         TK_WINDOW_MONTH},
        {"another window begins anew",
         1,
         {USD_MONTH},
         USAGE("\"periodic_reset\":\"weekly\""),
         "usd week 5 of 4",
         TK_WINDOW_WEEK},
        {"no period is for ever",
         1,
         {USD_MONTH},
         USAGE("\"periodic_reset\":null"),
         "usd lifetime 5 of 4",
         TK_WINDOW_LIFETIME},
        {"no days, of a month",
         1,
         {USD_MONTH},
         USAGE("\"periodic_reset_days\":null"),
         "usd month 5 of 4 based",
         TK_WINDOW_MONTH},
        {"no days, of days",
         1,
         {{.window = {TK_WINDOW_DAY}, .cap = TK_NANO}},
         USAGE("\"periodic_reset_days\":null"),
         "usd lifetime 1",
         TK_WINDOW_LIFETIME},
        {"the period of others stays",
         2,
         {USD_MONTH, DIEM_MONTH},
         USAGE("\"periodic_reset\":\"weekly\""),
         "diem month 1, usd week 5 of 4",
         TK_WINDOW_MONTH},
        {"tokens instead",
         1,
         {USD_MONTH},
         USAGE("\"type\":\"tokens\",\"credit_limit\":700"),
         "tokens month 700",
         TK_WINDOW_MONTH},
        {"a part of a token",
         0,
         {{.cap = 0}},
         USAGE("\"type\":\"tokens\",\"credit_limit\":1.5"),
         "!must be a whole number of tokens",
         TK_WINDOW_MONTH},
        {"tokens every day, beside a rate by the day",
         1,
         {{.window = {TK_WINDOW_DAY}, .meter = TK_METER_TOKENS, .flags = TK_LIMIT_SLIDING, .cap = 5}},
         USAGE("\"type\":\"tokens\",\"credit_limit\":7,\"periodic_reset_days\":1"),
         "tokens day 5 slides, tokens every_n_days 1 from 0 7",
         TK_WINDOW_MONTH},
        {"tokens by the week, beside a rate by the week",
         1,
         {{.window = {TK_WINDOW_WEEK}, .meter = TK_METER_TOKENS, .flags = TK_LIMIT_SLIDING, .cap = 5}},
         USAGE("\"type\":\"tokens\",\"credit_limit\":7,\"periodic_reset\":\"weekly\""),
         "!Two limits of the key count the same",
         TK_WINDOW_MONTH},
        {"no budget",
         3,
         {USD_MONTH, DIEM_MONTH, RPM},
         "{\"usage_limits\":null}",
         "diem month 1, requests minute 9 slides",
         TK_WINDOW_MONTH},
        {"rates are replaced",
         3,
         {USD_MONTH, RPM, DIEM_MONTH},
         "{\"rate_limits\":[{\"type\":\"tokens\",\"unit\":\"rph\",\"value\":1}]}",
         "usd month 5 of 4 based, diem month 1, tokens hour 1 slides",
         TK_WINDOW_MONTH},
        {"no rates", 2, {RPM, DIEM_MONTH}, "{\"rate_limits\":null}", "diem month 1", TK_WINDOW_MONTH},
        {"an empty list", 2, {RPM, DIEM_MONTH}, "{\"rate_limits\":[]}", "diem month 1", TK_WINDOW_MONTH},
};

static void limits(void **state) {
        char answer[4096], said[512];
        struct tk_profile *profile = calloc(1, sizeof *profile);
        TK_UNUSED(state);
        assert_non_null(profile);
        for (size_t i = 0; i < COUNT(applied); i++) {
                struct tk_key key = key_with(applied[i].limits_nr, applied[i].limits);
                struct tk_portkey_fault fault = {NULL, NULL};
                assert_int_equal(reads(applied[i].body, false, answer), TK_OK);
                enum tk_err err = tk_portkey_apply(&read_as, NOW, &key, profile, &fault);
                say_limits(&key, said);
                print_message("%s: %s\n", applied[i].name, err == TK_OK ? said : fault.message);
                if (applied[i].after[0] == '!') {
                        assert_int_equal(err, TK_E_RANGE);
                        assert_non_null(strstr(fault.message, applied[i].after + 1));
                        continue;
                }
                assert_int_equal(err, TK_OK);
                assert_string_equal(said, applied[i].after);
                assert_int_equal(key.period, applied[i].period);
        }
        free(profile);
}

static void a_full_key_takes_no_more(void **state) {
        char answer[4096];
        struct tk_profile *profile = calloc(1, sizeof *profile);
        struct tk_key key = key_with(0, NULL);
        struct tk_portkey_fault fault;
        TK_UNUSED(state);
        assert_non_null(profile);
        for (unsigned i = 0; i < TK_KEY_LIMITS_MAX; i++)
                key.limits[key.limits_nr++] =
                        (struct tk_limit){.window = {TK_WINDOW_EVERY_N_DAYS, (uint16_t)(i + 1), 0},
                                          .meter = TK_METER_VCU,
                                          .cap = 1};
        assert_int_equal(reads(USAGE("\"credit_limit\":1"), false, answer), TK_OK);
        assert_int_equal(tk_portkey_apply(&read_as, NOW, &key, profile, &fault), TK_E_RANGE);
        assert_string_equal(fault.param, "usage_limits");
        assert_int_equal(reads("{\"rate_limits\":[{\"type\":\"tokens\",\"unit\":\"rph\",\"value\":1}]}",
                               false, answer),
                         TK_OK);
        assert_int_equal(tk_portkey_apply(&read_as, NOW, &key, profile, &fault), TK_E_RANGE);
        assert_string_equal(fault.param, "rate_limits");
        free(profile);
}

/* A name that is too long for the others is cut for them, between two characters; who changes it there,
 * changes it. */
static void names(void **state) {
        char body[700], answer[4096], name[300] = "";
        struct tk_profile *profile = calloc(1, sizeof *profile);
        struct tk_key key = key_with(0, NULL);
        struct tk_portkey_fault fault;
        struct tk_buf text = TK_BUF_OVER(body);
        TK_UNUSED(state);
        assert_non_null(profile);
        for (unsigned i = 0; i < 33; i++)
                strcat(name, i == 31 ? "x" : "\xF0\x9F\x98\x80"); /* 63 units, then one of two */
        tk_buf_printf(&text, "{\"name\":\"%s\",\"description\":\"about it\"}", name);
        assert_int_equal(reads(body, false, answer), TK_OK);
        assert_int_equal(tk_portkey_apply(&read_as, NOW, &key, profile, &fault), TK_OK);
        assert_int_equal(strlen(key.description), 31 * 4 + 1);
        assert_true(tk_key_ok(&key));
        assert_string_equal(tk_portkey_name(&key, profile), name);
        assert_string_equal(profile->about, "about it");
        assert_int_equal(profile->updated_ms, NOW);
        strcpy(key.description, "another");
        assert_string_equal(tk_portkey_name(&key, profile), "another");
        assert_int_equal(reads("{\"name\":\"short\",\"description\":null}", false, answer), TK_OK);
        assert_int_equal(tk_portkey_apply(&read_as, NOW, &key, profile, &fault), TK_OK);
        assert_string_equal(key.description, "short");
        assert_string_equal(profile->name, "");
        assert_string_equal(profile->about, "");
        free(profile);
}

static void the_rest(void **state) {
        char answer[4096];
        struct tk_profile *profile = calloc(1, sizeof *profile);
        struct tk_key key = key_with(0, NULL);
        struct tk_portkey_fault fault;
        TK_UNUSED(state);
        assert_non_null(profile);
        assert_int_equal(reads("{\"defaults\":{\"metadata\":{\"a\": "
                               "1},\"config_id\":\"pc-1\",\"allow_config_override\":"
                               "false},\"alert_emails\":[\"a@b.c\",\"d@e.f\"],\"expires_at\":\"2027-01-01\"}",
                               false, answer),
                         TK_OK);
        assert_int_equal(tk_portkey_apply(&read_as, NOW, &key, profile, &fault), TK_OK);
        assert_string_equal(profile->metadata, "{\"a\":1}");
        assert_string_equal(profile->config, "pc-1");
        assert_string_equal(profile->emails, "[\"a@b.c\",\"d@e.f\"]");
        assert_true(profile->no_override);
        assert_int_equal(key.expires_ms, INT64_C(1798761600000));
        assert_int_equal(reads("{\"defaults\":{\"config_id\":null}}", false, answer),
                         TK_OK); /* the rest stays */
        assert_int_equal(tk_portkey_apply(&read_as, NOW, &key, profile, &fault), TK_OK);
        assert_string_equal(profile->metadata, "{\"a\":1}");
        assert_string_equal(profile->config, "");
        assert_true(profile->no_override);
        assert_int_equal(reads("{\"defaults\":null,\"alert_emails\":[],\"expires_at\":null}", false, answer),
                         TK_OK);
        assert_int_equal(tk_portkey_apply(&read_as, NOW, &key, profile, &fault), TK_OK);
        assert_string_equal(profile->metadata, "");
        assert_string_equal(profile->emails, "");
        assert_false(profile->no_override);
        assert_int_equal(key.expires_ms, 0);
        free(profile);
}

static struct tk_scopes set_of(const char *const *names, size_t nr) {
        struct tk_scopes set = {{0}};
        for (size_t i = 0; i < nr && names[i]; i++) {
                enum tk_scope scope;
                assert_true(tk_scope_parse(tk_str_of(names[i]), &scope));
                tk_scopes_add(&set, scope);
        }
        return set;
}

static void grants(void **state) {
        static const struct {
                const char *name;
                enum tk_key_kind caller;
                const char *holds[3];
                enum tk_key_kind kind;
                const char *has[2], *want[3];
                enum tk_err err;
                const char *which;
        } cases[] = {
                {"what he holds",
                 TK_KIND_ADMIN,
                 {"logs.view"},
                 TK_KIND_INFERENCE,
                 {NULL},
                 {"logs.view"},
                 TK_OK,
                 NULL},
                {"nothing", TK_KIND_INFERENCE, {NULL}, TK_KIND_INFERENCE, {NULL}, {NULL}, TK_OK, NULL},
                {"what he does not",
                 TK_KIND_ADMIN,
                 {"logs.view"},
                 TK_KIND_INFERENCE,
                 {NULL},
                 {"logs.view", "logs.list", "logs.export"},
                 TK_E_CONFLICT,
                 "logs.export"},
                {"what it has already",
                 TK_KIND_ADMIN,
                 {NULL},
                 TK_KIND_INFERENCE,
                 {"logs.list"},
                 {"logs.list"},
                 TK_OK,
                 NULL},
                {"the wrong kind",
                 TK_KIND_ADMIN,
                 {"workspaces.create"},
                 TK_KIND_INFERENCE,
                 {NULL},
                 {"workspaces.create"},
                 TK_E_RANGE,
                 "workspaces.create"},
                {"the wrong kind, had already",
                 TK_KIND_ADMIN,
                 {NULL},
                 TK_KIND_ADMIN,
                 {"completions.write"},
                 {"completions.write"},
                 TK_OK,
                 NULL},
                {"the wrong kind before what he does not hold",
                 TK_KIND_ADMIN,
                 {NULL},
                 TK_KIND_USER,
                 {NULL},
                 {"logs.view", "workspaces.create", "logs.list"},
                 TK_E_RANGE,
                 "workspaces.create"},
                {"an admin hands out work",
                 TK_KIND_ADMIN,
                 {NULL},
                 TK_KIND_INFERENCE,
                 {NULL},
                 {"completions.write", "logs.write", "prompts.render"},
                 TK_OK,
                 NULL},
                {"an admin key cannot have it",
                 TK_KIND_ADMIN,
                 {NULL},
                 TK_KIND_ADMIN,
                 {NULL},
                 {"completions.write"},
                 TK_E_RANGE,
                 "completions.write"},
                {"a service key does not",
                 TK_KIND_INFERENCE,
                 {NULL},
                 TK_KIND_INFERENCE,
                 {NULL},
                 {"completions.write"},
                 TK_E_CONFLICT,
                 "completions.write"},
                {"models come with calls",
                 TK_KIND_INFERENCE,
                 {"completions.write"},
                 TK_KIND_INFERENCE,
                 {NULL},
                 {"completions.write", "models.read"},
                 TK_OK,
                 NULL},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < COUNT(cases); i++) {
                struct tk_scopes holds = set_of(cases[i].holds, 3), has = set_of(cases[i].has, 2),
                                 want = set_of(cases[i].want, 3);
                enum tk_scope which = TK_SCOPE_NONE;
                print_message("%s\n", cases[i].name);
                assert_int_equal(
                        tk_portkey_grant(cases[i].caller, &holds, cases[i].kind, &has, &want, &which),
                        cases[i].err);
                if (cases[i].which)
                        assert_string_equal(tk_scope_name(which), cases[i].which);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(refusals), TEST(long_members), TEST(moments),
                                           TEST(limits),   TEST(names),        TEST(a_full_key_takes_no_more),
                                           TEST(the_rest), TEST(grants)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
