/* SPDX-License-Identifier: Apache-2.0 */
#include "api/portkey_body.h"

#include "api/dialect_portkey.h"
#include "core/time.h"
#include "core/user.h"
#include "wire/json_write.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const rate_types[] = {"requests", "tokens"};
static const enum tk_meter rate_meters[] = {TK_METER_REQUESTS, TK_METER_TOKENS};
static const char *const rate_units[] = {"rps", "rpm", "rph", "rpd", "rpw"};
static const enum tk_window_kind rate_windows[] = {TK_WINDOW_SECOND, TK_WINDOW_MINUTE, TK_WINDOW_HOUR,
                                                   TK_WINDOW_DAY, TK_WINDOW_WEEK};
static const char *const usage_types[] = {"cost", "tokens"};
static const enum tk_meter usage_meters[] = {TK_METER_USD, TK_METER_TOKENS};
static const char *const periods[] = {"weekly", "monthly"};
static const enum tk_window_kind period_kinds[] = {TK_WINDOW_WEEK, TK_WINDOW_MONTH};

static void say(struct tk_check *check, const char *outer, const char *name, const char *message) {
        struct tk_issue_path path = {{outer ? outer : name, outer ? name : NULL}};
        tk_issue_say(tk_check_issues(check), path, "custom", message);
}

/* Text that must fit its array and may not hold control characters that a line would break at. */
static enum tk_seen read_text(struct tk_check *check, struct tk_check_object *in, const char *name,
                              unsigned flags, size_t units_max, char *out, size_t size) {
        struct tk_str text = {0};
        enum tk_seen seen = tk_check_text(check, in, name, flags, units_max, &text);
        if (seen == TK_SEEN_GOOD && memchr(text.at, '\0', text.len)) {
                say(check, in->name, name, "May not contain a NUL character");
                return TK_SEEN_BAD;
        }
        if (seen == TK_SEEN_GOOD)
                (void)tk_str_copy(text, out, size);
        return seen;
}

static bool digits(struct tk_str text, size_t from, size_t nr, int64_t *out) {
        int64_t value = 0;
        if (text.len < from + nr)
                return false;
        for (size_t i = from; i < from + nr; i++) {
                if (text.at[i] < '0' || text.at[i] > '9')
                        return false;
                value = value * 10 + (text.at[i] - '0');
        }
        *out = value;
        return true;
}

/* "+05:30", "-08:00", "Z" at the end of a moment, in milliseconds. */
static bool read_zone(struct tk_str text, int64_t *ms) {
        int64_t hours, minutes;
        *ms = 0;
        if (tk_str_is_nocase(text, "Z"))
                return true;
        if (text.len != 6 || (text.at[0] != '+' && text.at[0] != '-') || text.at[3] != ':' ||
            !digits(text, 1, 2, &hours) || !digits(text, 4, 2, &minutes) || hours > 23 || minutes > 59)
                return false;
        *ms = (hours * 60 + minutes) * 60000 * (text.at[0] == '-' ? -1 : 1);
        return true;
}

/* RFC 3339 with any fraction and zone, or a date alone: what the languages of the SDKs print. */
static bool read_moment(struct tk_str text, int64_t *ms) {
        char second[21];
        size_t fraction = 0;
        int64_t zone_ms, part = 0;
        if (text.len == 10)
                return tk_time_parse(text, ms) == TK_OK;
        if (text.len < 20)
                return false;
        (void)tk_str_copy(tk_str_head(text, 19), second, sizeof second);
        second[19] = 'Z';
        second[20] = '\0';
        if (tk_time_parse(tk_str_of(second), ms) != TK_OK)
                return false;
        struct tk_str rest = tk_str_skip(text, 19);
        if (rest.at[0] == '.') {
                rest = tk_str_skip(rest, 1);
                while (fraction < rest.len && rest.at[fraction] >= '0' && rest.at[fraction] <= '9') {
                        if (fraction < 3)
                                part = part * 10 + (rest.at[fraction] - '0');
                        fraction++;
                }
                if (fraction == 0)
                        return false;
                for (size_t i = fraction; i < 3; i++)
                        part *= 10;
                rest = tk_str_skip(rest, fraction);
        }
        if (!read_zone(rest, &zone_ms))
                return false;
        *ms += part - zone_ms;
        return *ms >= 0;
}

static enum tk_seen read_future(struct tk_check *check, struct tk_check_object *in, const char *name,
                                int64_t now_ms, int64_t *ms) {
        struct tk_str text = {0};
        enum tk_seen seen = tk_check_text(check, in, name, TK_CHECK_NULLABLE, 0, &text);
        *ms = 0;
        if (seen != TK_SEEN_GOOD)
                return seen;
        if (!read_moment(text, ms)) {
                say(check, in->name, name, "Must be a date and time such as 2027-01-31T00:00:00Z");
                return TK_SEEN_BAD;
        }
        if (*ms <= now_ms || *ms > INT64_C(253402300799999)) {
                say(check, in->name, name, "Must be in the future");
                return TK_SEEN_BAD;
        }
        return TK_SEEN_GOOD;
}

/* ---- the parts of a body ---- */

static void read_rate(struct tk_check *check, const struct tk_check_array *in, size_t i,
                      struct tk_portkey_body *out) {
        struct tk_check_object item;
        unsigned type = 0, unit = 0;
        uint64_t value = 0;
        if (!tk_check_item_object(check, in, i, &item))
                return;
        bool ok = tk_check_choice(check, &item, "type", TK_CHECK_REQUIRED, rate_types, COUNT(rate_types),
                                  &type) == TK_SEEN_GOOD;
        ok &= tk_check_choice(check, &item, "unit", TK_CHECK_REQUIRED, rate_units, COUNT(rate_units),
                              &unit) == TK_SEEN_GOOD;
        ok &= tk_check_amount(check, &item, "value", TK_CHECK_REQUIRED, TK_METER_REQUESTS,
                              TK_PORTKEY_UNITS_MAX, &value) == TK_SEEN_GOOD;
        if (!ok)
                return;
        struct tk_limit limit = {.meter = rate_meters[type],
                                 .window = {.kind = rate_windows[unit]},
                                 .flags = TK_LIMIT_SLIDING,
                                 .cap = value};
        for (unsigned n = 0; n < out->rates_nr; n++)
                if (out->rate[n].meter == limit.meter &&
                    tk_window_spec_eq(out->rate[n].window, limit.window)) {
                        say(check, NULL, in->name, "Two of them have the same type and unit");
                        return;
                }
        MUST(out->rates_nr < TK_PORTKEY_RATES_MAX); /* there are no more that differ */
        out->rate[out->rates_nr++] = limit;
}

static void read_rates(struct tk_check *check, struct tk_check_object *root, struct tk_portkey_body *out) {
        struct tk_check_array rates;
        out->rates = tk_check_array(check, root, "rate_limits", TK_CHECK_NULLABLE, &rates);
        if (out->rates != TK_SEEN_GOOD)
                return;
        if (rates.nr > TK_PORTKEY_RATES_MAX)
                say(check, NULL, rates.name, "Too many");
        for (size_t i = 0; i < rates.nr && i < TK_PORTKEY_RATES_MAX; i++)
                read_rate(check, &rates, i, out);
}

static enum tk_seen read_credit(struct tk_check *check, struct tk_check_object *in, const char *name,
                                uint64_t *nano) {
        enum tk_seen seen =
                tk_check_amount(check, in, name, TK_CHECK_NULLABLE, TK_METER_USD, TK_PORTKEY_UNITS_MAX, nano);
        if (seen != TK_SEEN_GOOD || *nano >= (uint64_t)TK_NANO)
                return seen;
        tk_issue_number_small(tk_check_issues(check), tk_check_path(in, name), 1);
        return TK_SEEN_BAD;
}

static void read_usage(struct tk_check *check, struct tk_check_object *root, int64_t now_ms,
                       struct tk_portkey_body *out) {
        struct tk_check_object usage;
        unsigned type = 0, period = 0;
        out->usage = tk_check_object(check, root, "usage_limits", TK_CHECK_NULLABLE, &usage);
        if (out->usage != TK_SEEN_GOOD)
                return;
        out->usage_type = tk_check_choice(check, &usage, "type", 0, usage_types, COUNT(usage_types), &type);
        out->usage_meter = usage_meters[type];
        out->credit = read_credit(check, &usage, "credit_limit", &out->credit_nano);
        out->alert = read_credit(check, &usage, "alert_threshold", &out->alert_nano);
        out->period = tk_check_choice(check, &usage, "periodic_reset", TK_CHECK_NULLABLE, periods,
                                      COUNT(periods), &period);
        out->period_kind = period_kinds[period];
        out->days = tk_check_amount(check, &usage, "periodic_reset_days", TK_CHECK_NULLABLE,
                                    TK_METER_REQUESTS, 365, &out->days_nr);
        if (out->days == TK_SEEN_GOOD && out->days_nr == 0)
                tk_issue_number_small(tk_check_issues(check), tk_check_path(&usage, "periodic_reset_days"),
                                      1);
        if (out->period == TK_SEEN_GOOD && out->days == TK_SEEN_GOOD)
                say(check, usage.name, "periodic_reset_days", "Excludes periodic_reset");
        out->next_reset = read_future(check, &usage, "next_usage_reset_at", now_ms, &out->next_reset_ms);
}

static void read_scopes(struct tk_check *check, struct tk_check_object *root, bool create,
                        struct tk_portkey_body *out) {
        struct tk_check_array scopes;
        struct tk_str name;
        out->scopes = tk_check_array(check, root, "scopes", create ? TK_CHECK_REQUIRED : 0, &scopes);
        if (out->scopes != TK_SEEN_GOOD)
                return;
        tk_scopes_add(&out->scope_set, TK_SCOPE_NONE); /* so that an empty list is not taken for "as usual" */
        for (size_t i = 0; i < scopes.nr; i++) {
                enum tk_scope scope;
                char text[96];
                if (!tk_check_item_text(check, &scopes, i, &name))
                        return;
                if (tk_scope_parse(name, &scope)) {
                        tk_scopes_add(&out->scope_set, scope);
                        continue;
                }
                size_t shown = name.len <= TK_ISSUE_ECHO_MAX ? name.len : 0;
                snprintf(text, sizeof text, "There is no scope '%.*s'", (int)shown, shown ? name.at : "");
                say(check, NULL, scopes.name, text);
                return;
        }
}

static void read_emails(struct tk_check *check, struct tk_check_object *root, struct tk_portkey_body *out) {
        struct tk_check_array emails;
        struct tk_str text;
        char email[TK_EMAIL_MAX + 1];
        struct tk_buf json = TK_BUF_OVER(out->emails_json);
        struct tk_jw w = tk_jw_begin(&json);
        out->emails = tk_check_array(check, root, "alert_emails", TK_CHECK_NULLABLE, &emails);
        if (out->emails != TK_SEEN_GOOD)
                return;
        tk_jw_array(&w);
        for (size_t i = 0; i < emails.nr && tk_buf_ok(&json); i++) {
                if (!tk_check_item_text(check, &emails, i, &text))
                        return;
                if (tk_email_parse(text, email) != TK_OK) {
                        say(check, NULL, emails.name, "Not an e-mail address");
                        return;
                }
                tk_jw_text(&w, email);
        }
        tk_jw_end(&w);
        if (!tk_buf_ok(&json))
                say(check, NULL, emails.name, "Too many");
        if (emails.nr == 0)
                out->emails_json[0] = '\0';
}

static void read_defaults(struct tk_check *check, struct tk_check_object *root, struct tk_portkey_body *out) {
        struct tk_check_object defaults;
        out->defaults = tk_check_object(check, root, "defaults", TK_CHECK_NULLABLE, &defaults);
        if (out->defaults != TK_SEEN_GOOD)
                return;
        out->metadata = tk_check_free_object(check, &defaults, "metadata", TK_CHECK_NULLABLE,
                                             out->metadata_json, sizeof out->metadata_json);
        out->config = read_text(check, &defaults, "config_id", TK_CHECK_NULLABLE, TK_PROFILE_CONFIG_MAX / 3,
                                out->config_text, sizeof out->config_text);
        out->override = tk_check_bool(check, &defaults, "allow_config_override", TK_CHECK_NULLABLE,
                                      &out->override_allowed);
}

/* Rotation would be promised to somebody who then relies on it. */
static void read_rotation(struct tk_check *check, struct tk_check_object *root) {
        struct tk_str text;
        const char *type = tk_check_peek(root, "rotation_policy", &text);
        if (strcmp(type, "undefined") != 0 && strcmp(type, "null") != 0)
                say(check, NULL, "rotation_policy", "Keys are not rotated by themselves here");
}

enum tk_err tk_portkey_read(struct tk_str body, bool create, int64_t now_ms, struct tk_portkey_body *out,
                            struct tk_buf *refusal, char why[TK_CHECK_WHY_MAX]) {
        struct tk_check *check;
        struct tk_check_object root;
        unsigned must = create ? TK_CHECK_REQUIRED : 0;
        memset(out, 0, sizeof *out);
        enum tk_err err = tk_check_open(body, &check, why);
        if (err != TK_OK)
                return err;
        if (tk_check_root(check, &root)) {
                out->name = read_text(check, &root, "name", must, TK_PROFILE_NAME_UNITS_MAX, out->name_text,
                                      sizeof out->name_text);
                if (out->name == TK_SEEN_GOOD && !out->name_text[0])
                        say(check, NULL, "name", "Must not be empty");
                out->about = read_text(check, &root, "description", TK_CHECK_NULLABLE,
                                       TK_PROFILE_ABOUT_UNITS_MAX, out->about_text, sizeof out->about_text);
                out->workspace = read_text(check, &root, "workspace_id", TK_CHECK_NULLABLE, 0,
                                           out->workspace_text, sizeof out->workspace_text);
                out->user = read_text(check, &root, "user_id", TK_CHECK_NULLABLE, 0, out->user_text,
                                      sizeof out->user_text);
                read_scopes(check, &root, create, out);
                read_rates(check, &root, out);
                read_usage(check, &root, now_ms, out);
                read_defaults(check, &root, out);
                read_emails(check, &root, out);
                read_rotation(check, &root);
                out->expires = read_future(check, &root, "expires_at", now_ms, &out->expires_ms);
                (void)tk_check_bool(check, &root, "reset_usage", TK_CHECK_NULLABLE, &out->reset_usage);
        }
        if (!tk_check_ok(check)) {
                tk_portkey_render_issues(tk_check_issues(check), refusal);
                err = tk_buf_ok(refusal) ? TK_E_RANGE : TK_E_NO_MEMORY;
        }
        tk_check_free(&check);
        return err;
}
