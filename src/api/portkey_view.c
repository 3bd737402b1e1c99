/* SPDX-License-Identifier: Apache-2.0 */
#include "api/portkey_view.h"

#include "api/portkey_apply.h"
#include "core/time.h"

#include <string.h>

static const char *const types[TK_KIND_NR] = {
        [TK_KIND_ADMIN] = "organisation-service",
        [TK_KIND_INFERENCE] = "workspace-service",
        [TK_KIND_USER] = "workspace-user",
};

static void write_null(struct tk_jw *w, const char *name) {
        tk_jw_key(w, name);
        tk_jw_null(w);
}

static void write_id(struct tk_jw *w, const char *name, struct tk_id id) {
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, text);
        tk_jw_member(w, name, tk_id_none(id) ? NULL : text);
}

/* 0 is never. */
static void write_time(struct tk_jw *w, const char *name, int64_t ms) {
        char text[TK_TIME_TEXT_LEN + 1];
        if (ms == 0) {
                write_null(w, name);
                return;
        }
        tk_time_text(ms, text);
        tk_jw_member(w, name, text);
}

/* JSON that was written by us, or "". */
static void write_json(struct tk_jw *w, const char *name, const char *json) {
        tk_jw_key(w, name);
        if (json[0])
                tk_jw_raw(w, tk_str_of(json));
        else
                tk_jw_null(w);
}

static void write_amount(struct tk_jw *w, const char *name, enum tk_meter meter, uint64_t amount) {
        tk_jw_key(w, name);
        if (tk_meter_is_money(meter))
                tk_jw_nano(w, amount);
        else
                tk_jw_u64(w, amount);
}

/* Two characters of its beginning, five stars, three of its end: nobody can guess a key from it. */
static void write_mask(struct tk_jw *w, const struct tk_portkey_shown *s) {
        char text[16];
        struct tk_buf mask = TK_BUF_OVER(text);
        size_t len = strlen(s->key->last6), begin = strlen(s->prefix);
        tk_buf_printf(&mask, "%.2s%s*****%s", s->prefix, begin < 2 ? "_" : "",
                      s->key->last6 + (len > 3 ? len - 3 : 0));
        MUST(tk_buf_ok(&mask));
        tk_jw_key(w, "key");
        tk_jw_str(w, tk_buf_str(&mask));
}

static uint64_t used(const struct tk_portkey_shown *s) {
        int64_t base = tk_limit_base_in(s->usage, s->number);
        return s->posted > base ? (uint64_t)(s->posted - base) : 0;
}

static bool is_exhausted(const struct tk_portkey_shown *s) {
        return s->usage && used(s) >= s->usage->cap;
}

static const char *status(const struct tk_portkey_shown *s) {
        if (!tk_key_is_active(s->key, s->now_ms))
                return "expired";
        return is_exhausted(s) ? "exhausted" : "active";
}

static void write_rates(struct tk_jw *w, const struct tk_key *key) {
        static const char *const units[] = {[TK_WINDOW_SECOND] = "rps",
                                            [TK_WINDOW_MINUTE] = "rpm",
                                            [TK_WINDOW_HOUR] = "rph",
                                            [TK_WINDOW_DAY] = "rpd",
                                            [TK_WINDOW_WEEK] = "rpw"};
        tk_jw_key(w, "rate_limits");
        tk_jw_array(w);
        for (unsigned i = 0; i < key->limits_nr; i++) {
                const struct tk_limit *limit = &key->limits[i];
                if (!tk_portkey_is_rate(limit))
                        continue;
                tk_jw_object(w);
                tk_jw_member(w, "type", tk_meter_name(limit->meter));
                tk_jw_member(w, "unit", units[limit->window.kind]);
                write_amount(w, "value", limit->meter, limit->cap);
                tk_jw_end(w);
        }
        tk_jw_end(w);
}

static void write_period(struct tk_jw *w, struct tk_window_spec window) {
        const char *period = NULL;
        unsigned days = window.kind == TK_WINDOW_DAY ? 1 : window.days;
        if (window.kind == TK_WINDOW_WEEK)
                period = "weekly";
        if (window.kind == TK_WINDOW_MONTH)
                period = "monthly";
        tk_jw_member(w, "periodic_reset", period);
        if (days) {
                tk_jw_key(w, "periodic_reset_days");
                tk_jw_u64(w, days);
        } else {
                write_null(w, "periodic_reset_days");
        }
}

static int64_t turns_ms(const struct tk_portkey_shown *s) {
        int64_t end_s = s->usage ? tk_window_end_s(s->usage->window, s->number) : INT64_MAX;
        return end_s == INT64_MAX ? 0 : end_s * 1000;
}

static void write_usage(struct tk_jw *w, const struct tk_portkey_shown *s) {
        const struct tk_limit *limit = s->usage;
        if (!limit) {
                write_null(w, "usage_limits");
                return;
        }
        tk_jw_key(w, "usage_limits");
        tk_jw_object(w);
        tk_jw_member(w, "type", limit->meter == TK_METER_USD ? "cost" : "tokens");
        write_amount(w, "credit_limit", limit->meter, limit->cap);
        if (limit->alert)
                write_amount(w, "alert_threshold", limit->meter, limit->alert);
        else
                write_null(w, "alert_threshold");
        write_period(w, limit->window);
        write_time(w, "next_usage_reset_at", turns_ms(s));
        write_amount(w, "current_usage", limit->meter, used(s));
        tk_jw_member(w, "status", is_exhausted(s) ? "exhausted" : "active");
        write_time(w, "last_reset_at", s->profile->reset_ms);
        tk_jw_end(w);
}

static void write_scopes(struct tk_jw *w, const struct tk_scopes *scopes) {
        tk_jw_key(w, "scopes");
        tk_jw_array(w);
        for (unsigned i = TK_SCOPE_NONE + 1; i < TK_SCOPE_NR; i++) {
                struct tk_scopes one = {{0}};
                tk_scopes_add(&one, (enum tk_scope)i); /* what is included in another is not named */
                if (tk_scopes_cover(scopes, &one))
                        tk_jw_text(w, tk_scope_name((enum tk_scope)i));
        }
        tk_jw_end(w);
}

static void write_defaults(struct tk_jw *w, const struct tk_portkey_shown *s) {
        tk_jw_key(w, "defaults");
        tk_jw_object(w);
        write_json(w, "metadata", s->profile->metadata);
        tk_jw_member(w, "config_id", s->profile->config[0] ? s->profile->config : NULL);
        if (s->alone) {
                tk_jw_key(w, "allow_config_override");
                tk_jw_bool(w, !s->profile->no_override);
        }
        tk_jw_end(w);
}

void tk_portkey_write_key(struct tk_jw *w, const struct tk_portkey_shown *s) {
        const struct tk_key *key = s->key;
        tk_jw_object(w);
        write_id(w, "id", key->id);
        write_mask(w, s);
        tk_jw_member(w, "name", tk_portkey_name(key, s->profile));
        tk_jw_member(w, "description", s->profile->about);
        tk_jw_member(w, "type", types[key->kind]);
        write_id(w, "organisation_id", key->org);
        if (key->kind == TK_KIND_ADMIN)
                write_null(w, "workspace_id");
        else
                write_id(w, "workspace_id", key->workspace);
        write_id(w, "user_id", key->user);
        tk_jw_member(w, "status", status(s));
        write_time(w, "created_at", key->created_ms);
        write_time(w, "last_updated_at", s->profile->updated_ms ? s->profile->updated_ms : key->created_ms);
        tk_jw_member(w, "creation_mode", "api");
        write_rates(w, key);
        write_usage(w, s);
        write_null(w, "reset_usage");
        write_time(w, "expires_at", key->expires_ms);
        write_time(w, "last_reset_at", s->profile->reset_ms);
        write_json(w, "alert_emails", s->profile->emails);
        tk_jw_key(w, "expiry_enforced");
        tk_jw_u64(w, 0);
        if (s->alone)
                write_time(w, "next_usage_reset_at", turns_ms(s));
        tk_jw_key(w, "allow_config_override");
        tk_jw_u64(w, s->profile->no_override ? 0 : 1);
        write_null(w, "api_key_defaults_id");
        write_scopes(w, &key->scopes);
        write_defaults(w, s);
        tk_jw_member(w, "object", "api-key");
        tk_jw_end(w);
}

void tk_portkey_write_created(struct tk_jw *w, const struct tk_key *key, const struct tk_key_text *secret) {
        tk_jw_object(w);
        write_id(w, "id", key->id);
        tk_jw_key(w, "key");
        tk_jw_str(w, (struct tk_str){secret->at, secret->len});
        tk_jw_member(w, "object", "api-key");
        tk_jw_end(w);
}
