/* SPDX-License-Identifier: Apache-2.0 */
#include "service/audit_view.h"

#include "core/time.h"
#include "wire/json_scan.h"

#include <string.h>

static void put_text(struct tk_jw *w, const char *name, const char *text, const char *other) {
        if (other && strcmp(text, other) == 0)
                return;
        tk_jw_key(w, name);
        tk_jw_text(w, text);
}

static void put_id(struct tk_jw *w, const char *name, struct tk_id id, const struct tk_id *other) {
        char text[TK_ID_TEXT_LEN + 1];
        if (other && tk_id_eq(id, *other))
                return;
        tk_id_text(id, text);
        tk_jw_key(w, name);
        tk_jw_text(w, tk_id_none(id) ? NULL : text);
}

/* 0: never. */
static void put_time(struct tk_jw *w, const char *name, int64_t ms, const int64_t *other) {
        char text[TK_TIME_TEXT_LEN + 1];
        if (other && ms == *other)
                return;
        tk_jw_key(w, name);
        if (ms)
                tk_time_text(ms, text);
        tk_jw_text(w, ms ? text : NULL);
}

static void put_cap(struct tk_jw *w, const char *name, enum tk_meter meter, uint64_t cap) {
        char text[TK_CAP_TEXT_MAX];
        tk_cap_text(meter, cap, text);
        tk_jw_key(w, name);
        tk_jw_raw(w, tk_str_of(text));
}

static void put_window(struct tk_jw *w, struct tk_window_spec window) {
        tk_jw_key(w, "window");
        tk_jw_text(w, tk_window_kind_name(window.kind));
        if (window.kind != TK_WINDOW_EVERY_N_DAYS)
                return;
        tk_jw_key(w, "days");
        tk_jw_u64(w, window.days);
}

static void put_flag(struct tk_jw *w, const char *name, bool set) {
        if (!set)
                return;
        tk_jw_key(w, name);
        tk_jw_bool(w, true);
}

static void put_limits(struct tk_jw *w, const struct tk_limit *limits, unsigned limits_nr) {
        tk_jw_key(w, "limits");
        tk_jw_array(w);
        for (unsigned i = 0; i < limits_nr; i++) {
                tk_jw_object(w);
                tk_jw_key(w, "meter");
                tk_jw_text(w, tk_meter_name(limits[i].meter));
                put_window(w, limits[i].window);
                put_cap(w, "cap", limits[i].meter, limits[i].cap);
                if (limits[i].alert)
                        put_cap(w, "alert", limits[i].meter, limits[i].alert);
                if (limits[i].base > 0) /* what was used before this is forgiven in the window */
                        put_cap(w, "forgiven", limits[i].meter, (uint64_t)limits[i].base);
                put_flag(w, "sliding", limits[i].flags & TK_LIMIT_SLIDING);
                put_flag(w, "observe", limits[i].flags & TK_LIMIT_OBSERVE);
                put_flag(w, "balance", limits[i].flags & TK_LIMIT_BALANCE);
                tk_jw_end(w);
        }
        tk_jw_end(w);
}

static bool limits_eq(const struct tk_key *a, const struct tk_key *b) {
        bool same = a->limits_nr == b->limits_nr;
        for (unsigned i = 0; same && i < a->limits_nr; i++)
                same = a->limits[i].meter == b->limits[i].meter && a->limits[i].cap == b->limits[i].cap &&
                       a->limits[i].alert == b->limits[i].alert && a->limits[i].flags == b->limits[i].flags &&
                       a->limits[i].base == b->limits[i].base &&
                       a->limits[i].base_number == b->limits[i].base_number &&
                       tk_window_spec_eq(a->limits[i].window, b->limits[i].window);
        return same;
}

static void put_scopes(struct tk_jw *w, const struct tk_scopes *scopes) {
        tk_jw_key(w, "scopes");
        tk_jw_array(w);
        for (int i = TK_SCOPE_NONE + 1; i < TK_SCOPE_NR; i++)
                if (scopes->word[i / 64] >> (i % 64) & 1) /* as it was given, without what that includes */
                        tk_jw_text(w, tk_scope_name((enum tk_scope)i));
        tk_jw_end(w);
}

/* What is JSON in the profile is shown as it is; the store has seen to it that it is text. */
static void put_json(struct tk_jw *w, const char *name, const char *json, const char *other) {
        struct tk_json root;
        if (strcmp(json, other) == 0)
                return;
        tk_jw_key(w, name);
        if (json[0] && tk_json_check(tk_str_of(json), &root, NULL) == TK_OK)
                tk_jw_raw(w, tk_str_of(json));
        else
                tk_jw_text(w, json[0] ? json : NULL);
}

static const struct tk_profile no_profile;

/* All of an empty profile is not worth a word. */
static void put_profile(struct tk_jw *w, const struct tk_profile *profile, const struct tk_profile *other) {
        if (!profile)
                profile = &no_profile;
        if (!other)
                other = &no_profile;
        put_text(w, "name", profile->name, other->name);
        put_text(w, "about", profile->about, other->about);
        put_text(w, "config", profile->config, other->config);
        if (profile->no_override != other->no_override) {
                tk_jw_key(w, "allow_config_override");
                tk_jw_bool(w, !profile->no_override);
        }
        put_json(w, "alert_emails", profile->emails, other->emails);
        put_json(w, "metadata", profile->metadata, other->metadata);
        put_time(w, "usage_reset_at", profile->reset_ms, &other->reset_ms);
}

void tk_audit_view_key(struct tk_buf *buf, struct tk_audit_key shown, struct tk_audit_key beside) {
        const struct tk_key *key = shown.key, *other = beside.key;
        struct tk_jw w = tk_jw_begin(buf);
        tk_jw_object(&w);
        put_text(&w, "kind", tk_key_kind_name(key->kind), other ? tk_key_kind_name(other->kind) : NULL);
        put_text(&w, "description", key->description, other ? other->description : NULL);
        put_text(&w, "last6", key->last6, other ? other->last6 : NULL);
        put_id(&w, "workspace", key->workspace, other ? &other->workspace : NULL);
        put_id(&w, "user", key->user, other ? &other->user : NULL);
        put_text(&w, "privacy", tk_privacy_name(key->privacy),
                 other ? tk_privacy_name(other->privacy) : NULL);
        put_text(&w, "period", tk_window_kind_name(key->period),
                 other ? tk_window_kind_name(other->period) : NULL);
        put_time(&w, "expires_at", key->expires_ms, other ? &other->expires_ms : NULL);
        if (!other || memcmp(&key->scopes, &other->scopes, sizeof key->scopes) != 0)
                put_scopes(&w, &key->scopes);
        if (!other || !limits_eq(key, other))
                put_limits(&w, key->limits, key->limits_nr);
        put_profile(&w, shown.profile, beside.profile);
        tk_jw_end(&w);
}

void tk_audit_view_limits(struct tk_buf *buf, const struct tk_limit *limits, unsigned limits_nr) {
        struct tk_jw w = tk_jw_begin(buf);
        tk_jw_object(&w);
        put_limits(&w, limits, limits_nr);
        tk_jw_end(&w);
}

void tk_audit_view_topup(struct tk_buf *buf, const struct tk_topup *topup) {
        struct tk_jw w = tk_jw_begin(buf);
        tk_jw_object(&w);
        put_text(&w, "id", topup->id, NULL);
        put_text(&w, "meter", tk_meter_name(topup->meter), NULL);
        put_cap(&w, "amount", topup->meter, (uint64_t)topup->amount);
        tk_jw_end(&w);
}

void tk_audit_view_doubt(struct tk_buf *buf, const struct tk_doubt *doubt) {
        struct tk_jw w = tk_jw_begin(buf);
        tk_jw_object(&w);
        put_text(&w, "meter", tk_meter_name(doubt->meter), NULL);
        put_window(&w, doubt->window);
        tk_jw_key(&w, "number");
        tk_jw_i64(&w, doubt->number);
        put_cap(&w, "amount", doubt->meter, (uint64_t)doubt->amount);
        tk_jw_end(&w);
}

void tk_audit_view_spent(struct tk_buf *buf, const struct tk_doubt *doubt, int64_t spent) {
        struct tk_jw w = tk_jw_begin(buf);
        MUST(spent >= 0 && spent <= doubt->amount);
        tk_jw_object(&w);
        put_cap(&w, "spent", doubt->meter, (uint64_t)spent);
        put_cap(&w, "freed", doubt->meter, (uint64_t)(doubt->amount - spent));
        tk_jw_end(&w);
}

void tk_audit_view_user(struct tk_buf *buf, const struct tk_user *user, const struct tk_user *other) {
        struct tk_jw w = tk_jw_begin(buf);
        tk_jw_object(&w);
        put_text(&w, "email", user->email, other ? other->email : NULL);
        put_text(&w, "first_name", user->first_name, other ? other->first_name : NULL);
        put_text(&w, "last_name", user->last_name, other ? other->last_name : NULL);
        put_text(&w, "role", tk_user_role_name(user->role), other ? tk_user_role_name(other->role) : NULL);
        tk_jw_end(&w);
}

void tk_audit_view_workspace(struct tk_buf *buf, const struct tk_workspace *workspace,
                             const struct tk_workspace *other) {
        struct tk_jw w = tk_jw_begin(buf);
        tk_jw_object(&w);
        put_text(&w, "slug", workspace->slug, other ? other->slug : NULL);
        put_text(&w, "name", workspace->name, other ? other->name : NULL);
        put_text(&w, "description", workspace->description, other ? other->description : NULL);
        tk_jw_end(&w);
}
