/* SPDX-License-Identifier: Apache-2.0 */
#include "api/portkey_apply.h"

#include "core/time.h"

#include <string.h>

static bool is_usage(const struct tk_limit *limit) {
        return (limit->meter == TK_METER_USD || limit->meter == TK_METER_TOKENS) && limit->flags == 0 &&
               limit->window.kind >= TK_WINDOW_DAY && limit->window.kind != TK_WINDOW_FLIGHT;
}

bool tk_portkey_is_rate(const struct tk_limit *limit) {
        if (limit->window.kind > TK_WINDOW_WEEK || (limit->flags & ~TK_LIMIT_SLIDING))
                return false;
        return limit->meter == TK_METER_REQUESTS ||
               (limit->meter == TK_METER_TOKENS && limit->flags & TK_LIMIT_SLIDING);
}

struct tk_limit *tk_portkey_usage_limit(struct tk_key *key) {
        for (unsigned i = 0; i < key->limits_nr; i++)
                if (is_usage(&key->limits[i]))
                        return &key->limits[i];
        return NULL;
}

static void drop(struct tk_key *key, struct tk_limit *limit) {
        size_t index = (size_t)(limit - key->limits);
        key->limits_nr--;
        memmove(limit, limit + 1, (key->limits_nr - index) * sizeof *limit);
        key->limits[key->limits_nr] = (struct tk_limit){0};
}

static bool add(struct tk_key *key, const struct tk_limit *limit) {
        if (key->limits_nr == TK_KEY_LIMITS_MAX)
                return false;
        key->limits[key->limits_nr++] = *limit;
        return true;
}

static enum tk_err fail(struct tk_portkey_fault *fault, const char *param, const char *message) {
        *fault = (struct tk_portkey_fault){param, message};
        return TK_E_RANGE;
}

/* ---- the name ---- */

/* As much of the text as the description holds, in whole characters. */
static size_t beginning(const char *text) {
        size_t len = strlen(text);
        while (len > TK_DESCRIPTION_BYTES_MAX ||
               tk_str_utf16_len((struct tk_str){text, len}) > TK_DESCRIPTION_UNITS_MAX)
                do
                        len--;
                while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80);
        return len;
}

const char *tk_portkey_name(const struct tk_key *key, const struct tk_profile *profile) {
        struct tk_str begin = {profile->name, beginning(profile->name)};
        return profile->name[0] && tk_str_is(begin, key->description) ? profile->name : key->description;
}

static void set_name(const char *name, struct tk_key *key, struct tk_profile *profile) {
        size_t len = beginning(name);
        bool fitted = tk_str_copy((struct tk_str){name, len}, key->description, sizeof key->description);
        MUST(fitted);
        profile->name[0] = '\0';
        if (name[len]) {
                fitted = tk_str_copy(tk_str_of(name), profile->name, sizeof profile->name);
                MUST(fitted);
        }
}

/* ---- the budget ---- */

/* What was sent as a number of dollars or tokens, in the unit of the meter. False: a part of a token. */
static bool amount(enum tk_meter meter, uint64_t nano, uint64_t *out) {
        *out = meter == TK_METER_USD ? nano : nano / (uint64_t)TK_NANO;
        return meter == TK_METER_USD || nano % (uint64_t)TK_NANO == 0;
}

/* Every day is the window that others call so; of tokens it is one of its own, so that a rate may lie beside
 * it. */
static struct tk_window_spec every(enum tk_meter meter, uint64_t days, int64_t anchor_day) {
        if (days == 1 && meter == TK_METER_USD)
                return (struct tk_window_spec){.kind = TK_WINDOW_DAY};
        return (struct tk_window_spec){
                .kind = TK_WINDOW_EVERY_N_DAYS, .days = (uint16_t)days, .anchor_day = (int32_t)anchor_day};
}

/* The window that the members ask for, on top of the one there is. */
static enum tk_err window_of(const struct tk_portkey_body *body, int64_t now_ms, struct tk_limit *limit,
                             struct tk_portkey_fault *fault) {
        int64_t today = tk_floor_div(now_ms, TK_DAY_S * 1000);
        bool by_days = limit->window.kind == TK_WINDOW_EVERY_N_DAYS || limit->window.kind == TK_WINDOW_DAY;
        if (body->period == TK_SEEN_GOOD)
                limit->window = (struct tk_window_spec){.kind = body->period_kind};
        else if (body->days == TK_SEEN_GOOD && limit->window.kind == TK_WINDOW_EVERY_N_DAYS &&
                 limit->window.days == body->days_nr)
                today = limit->window.anchor_day; /* the same again: it goes on from where it began */
        else if ((body->period == TK_SEEN_NULL && !by_days) || (body->days == TK_SEEN_NULL && by_days))
                limit->window = (struct tk_window_spec){.kind = TK_WINDOW_LIFETIME};
        if (body->days == TK_SEEN_GOOD)
                limit->window = every(limit->meter, body->days_nr, today);
        if (body->next_reset != TK_SEEN_GOOD)
                return TK_OK;
        if (limit->window.kind != TK_WINDOW_EVERY_N_DAYS && limit->window.kind != TK_WINDOW_DAY)
                return fail(fault, "usage_limits",
                            "next_usage_reset_at goes with periodic_reset_days; weeks and "
                            "months turn by the calendar.");
        if (limit->window.kind == TK_WINDOW_EVERY_N_DAYS)
                limit->window.anchor_day = (int32_t)tk_floor_div(body->next_reset_ms, TK_DAY_S * 1000);
        return TK_OK;
}

static enum tk_err amounts_of(const struct tk_portkey_body *body, struct tk_limit *limit, bool is_new,
                              struct tk_portkey_fault *fault) {
        if (body->credit == TK_SEEN_GOOD && !amount(limit->meter, body->credit_nano, &limit->cap))
                return fail(fault, "usage_limits", "credit_limit must be a whole number of tokens.");
        if (is_new && body->credit != TK_SEEN_GOOD)
                return fail(fault, "usage_limits", "credit_limit is missing.");
        if (body->credit == TK_SEEN_NULL)
                return fail(fault, "usage_limits",
                            "credit_limit may not be null; null for usage_limits removes it.");
        if (body->alert == TK_SEEN_NULL)
                limit->alert = 0;
        if (body->alert == TK_SEEN_GOOD && !amount(limit->meter, body->alert_nano, &limit->alert))
                return fail(fault, "usage_limits", "alert_threshold must be a whole number of tokens.");
        if (limit->alert > limit->cap)
                return fail(fault, "usage_limits", "alert_threshold may not be above credit_limit.");
        return TK_OK;
}

/* Other APIs show the limits of one period. It follows the budget unless it names other limits. */
static void follow_period(struct tk_key *key, const struct tk_limit *limit) {
        if (limit->meter != TK_METER_USD || limit->window.kind == TK_WINDOW_EVERY_N_DAYS)
                return;
        for (unsigned i = 0; i < key->limits_nr; i++)
                if (tk_meter_is_money(key->limits[i].meter) && key->limits[i].window.kind == key->period)
                        return;
        key->period = limit->window.kind;
}

static enum tk_err apply_usage(const struct tk_portkey_body *body, int64_t now_ms, struct tk_key *key,
                               struct tk_portkey_fault *fault) {
        struct tk_limit *now = tk_portkey_usage_limit(key);
        struct tk_limit limit = now ? *now : (struct tk_limit){.window = {.kind = TK_WINDOW_LIFETIME}};
        if (body->usage == TK_SEEN_NULL && now)
                drop(key, now);
        if (body->usage != TK_SEEN_GOOD)
                return TK_OK;
        bool is_new = !now || (body->usage_type == TK_SEEN_GOOD && body->usage_meter != now->meter);
        if (is_new) {
                limit.meter = body->usage_meter; /* cost, when it is not said */
                limit.alert = 0;
        }
        struct tk_window_spec window = limit.window;
        enum tk_err err = window_of(body, now_ms, &limit, fault);
        if (err == TK_OK)
                err = amounts_of(body, &limit, is_new, fault);
        if (err != TK_OK)
                return err;
        if (is_new || !tk_window_spec_eq(window, limit.window))
                limit.base = limit.base_number = 0; /* it was forgiven in another window */
        if (now)
                drop(key, now);
        follow_period(key, &limit);
        return add(key, &limit) ? TK_OK : fail(fault, "usage_limits", "The key has too many limits.");
}

static enum tk_err apply_rates(const struct tk_portkey_body *body, struct tk_key *key,
                               struct tk_portkey_fault *fault) {
        if (body->rates != TK_SEEN_GOOD && body->rates != TK_SEEN_NULL)
                return TK_OK;
        for (unsigned i = key->limits_nr; i-- > 0;)
                if (tk_portkey_is_rate(&key->limits[i]))
                        drop(key, &key->limits[i]);
        for (unsigned i = 0; body->rates == TK_SEEN_GOOD && i < body->rates_nr; i++)
                if (!add(key, &body->rate[i]))
                        return fail(fault, "rate_limits", "The key has too many limits.");
        return TK_OK;
}

/* ---- the whole ---- */

static void apply_text(enum tk_seen seen, const char *from, char *to, size_t size) {
        if (seen == TK_SEEN_NULL)
                to[0] = '\0';
        if (seen != TK_SEEN_GOOD)
                return;
        bool fitted = tk_str_copy(tk_str_of(from), to, size);
        MUST(fitted); /* both are of the same length */
}

static void apply_defaults(const struct tk_portkey_body *body, struct tk_profile *profile) {
        bool all = body->defaults == TK_SEEN_NULL;
        apply_text(all ? TK_SEEN_NULL : body->metadata, body->metadata_json, profile->metadata,
                   sizeof profile->metadata);
        apply_text(all ? TK_SEEN_NULL : body->config, body->config_text, profile->config,
                   sizeof profile->config);
        if (all || body->override == TK_SEEN_NULL)
                profile->no_override = false;
        else if (body->override == TK_SEEN_GOOD)
                profile->no_override = !body->override_allowed;
}

enum tk_err tk_portkey_apply(const struct tk_portkey_body *body, int64_t now_ms, struct tk_key *key,
                             struct tk_profile *profile, struct tk_portkey_fault *fault) {
        enum tk_err err = apply_usage(body, now_ms, key, fault);
        if (err == TK_OK)
                err = apply_rates(body, key, fault);
        if (err != TK_OK)
                return err;
        if (!tk_key_limits_ok(key->limits, key->limits_nr))
                return fail(fault, "rate_limits",
                            "Two limits of the key count the same in the same window, as usage_limits by "
                            "week and "
                            "rate_limits in rpw, both of tokens.");
        if (body->name == TK_SEEN_GOOD)
                set_name(body->name_text, key, profile);
        if (body->expires == TK_SEEN_GOOD || body->expires == TK_SEEN_NULL)
                key->expires_ms = body->expires_ms;
        apply_text(body->about, body->about_text, profile->about, sizeof profile->about);
        apply_text(body->emails, body->emails_json, profile->emails, sizeof profile->emails);
        apply_defaults(body, profile);
        profile->updated_ms = now_ms;
        return TK_OK;
}

enum tk_err tk_portkey_grant(enum tk_key_kind caller_kind, const struct tk_scopes *holds,
                             enum tk_key_kind kind, const struct tk_scopes *has, const struct tk_scopes *want,
                             enum tk_scope *which) {
        enum tk_err err = TK_OK;
        for (unsigned i = TK_SCOPE_NONE + 1; i < TK_SCOPE_NR; i++) {
                enum tk_scope scope = (enum tk_scope)i;
                if (!tk_scopes_has(want, scope) || tk_scopes_has(has, scope))
                        continue;
                if (scope == TK_SCOPE_MODELS_READ && tk_scopes_has(want, TK_SCOPE_COMPLETIONS_WRITE))
                        continue; /* included */
                bool hands_out = caller_kind == TK_KIND_ADMIN && !tk_scope_fits(scope, TK_KIND_ADMIN);
                bool fits = tk_scope_fits(scope, kind);
                if (fits && (tk_scopes_has(holds, scope) || hands_out))
                        continue;
                if (!fits || err == TK_OK)
                        *which = scope;
                if (!fits)
                        return TK_E_RANGE;
                err = TK_E_CONFLICT;
        }
        return err;
}
