/* SPDX-License-Identifier: Apache-2.0 */
#include "api/venice_view.h"

#include "core/time.h"

static const char *type_text(const struct tk_key *key) {
        return key->kind == TK_KIND_ADMIN ? "ADMIN" : "INFERENCE";
}

/* A period that this API cannot name, set by another one, is shown as the next longer one that it can. */
static const char *period_text(enum tk_window_kind period) {
        switch (period) {
        case TK_WINDOW_SECOND:
        case TK_WINDOW_MINUTE:
        case TK_WINDOW_HOUR:
        case TK_WINDOW_DAY:
                return "EPOCH";
        case TK_WINDOW_WEEK:
        case TK_WINDOW_MONTH:
                return "MONTH";
        default:
                return "LIFETIME";
        }
}

static void write_time(struct tk_jw *w, const char *name, int64_t ms) {
        char text[TK_TIME_TEXT_LEN + 1];
        tk_jw_key(w, name);
        if (ms == 0) {
                tk_jw_null(w);
                return;
        }
        tk_time_text(ms, text);
        tk_jw_text(w, text);
}

static void write_limits(struct tk_jw *w, const char *name, const struct tk_key *key) {
        static const enum tk_meter shown[] = {TK_METER_USD, TK_METER_DIEM, TK_METER_VCU};
        tk_jw_key(w, name);
        tk_jw_object(w);
        for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
                const struct tk_limit *limit = tk_key_limit_get(key, shown[i], key->period);
                tk_jw_key(w, tk_meter_name(shown[i]));
                if (limit)
                        tk_jw_nano(w, limit->cap);
                else
                        tk_jw_null(w);
        }
        tk_jw_end(w);
}

static void write_amount(struct tk_jw *w, enum tk_meter meter, const struct tk_amounts *amounts) {
        char text[TK_MONEY_TEXT_MAX];
        (void)tk_money_text4((struct tk_money){amounts->of[meter]}, text);
        tk_jw_member(w, tk_meter_name(meter), text);
}

static void write_usage(struct tk_jw *w, const struct tk_key *key, const struct tk_venice_usage *usage) {
        tk_jw_key(w, "usage");
        tk_jw_object(w);
        tk_jw_key(w, "trailingSevenDays");
        tk_jw_object(w);
        write_amount(w, TK_METER_USD, &usage->trailing);
        write_amount(w, TK_METER_VCU, &usage->trailing);
        write_amount(w, TK_METER_DIEM, &usage->trailing);
        tk_jw_end(w);
        tk_jw_end(w);
        if (!tk_venice_has_money_limit(key))
                return;
        tk_jw_key(w, "currentPeriodUsage");
        tk_jw_object(w);
        write_amount(w, TK_METER_USD, &usage->period);
        write_amount(w, TK_METER_DIEM, &usage->period);
        tk_jw_end(w);
}

bool tk_venice_has_money_limit(const struct tk_key *key) {
        return tk_key_limit_get(key, TK_METER_USD, key->period) ||
               tk_key_limit_get(key, TK_METER_DIEM, key->period);
}

void tk_venice_write_key(struct tk_jw *w, const struct tk_key *key, const struct tk_venice_usage *usage) {
        char id[TK_ID_TEXT_LEN + 1];
        tk_id_text(key->id, id);
        tk_jw_object(w);
        tk_jw_member(w, "id", id);
        tk_jw_member(w, "apiKeyType", type_text(key));
        tk_jw_member(w, "description", key->description);
        write_time(w, "createdAt", key->created_ms);
        write_time(w, "expiresAt", key->expires_ms);
        write_time(w, "lastUsedAt", key->last_used_ms);
        tk_jw_member(w, "last6Chars", key->last6);
        write_limits(w, "consumptionLimits", key);
        tk_jw_member(w, "limitPeriod", period_text(key->period));
        tk_jw_member(w, "modelPrivacy", tk_privacy_name(key->privacy));
        if (usage)
                write_usage(w, key, usage);
        tk_jw_end(w);
}

void tk_venice_write_created(struct tk_jw *w, const struct tk_key *key, const struct tk_key_text *secret) {
        char id[TK_ID_TEXT_LEN + 1];
        tk_id_text(key->id, id);
        tk_jw_object(w);
        tk_jw_member(w, "id", id);
        tk_jw_key(w, "apiKey");
        tk_jw_str(w, (struct tk_str){secret->at, secret->len});
        tk_jw_member(w, "apiKeyType", type_text(key));
        tk_jw_member(w, "description", key->description);
        write_time(w, "expiresAt", key->expires_ms);
        write_limits(w, "consumptionLimit", key);
        tk_jw_member(w, "limitPeriod", period_text(key->period));
        tk_jw_member(w, "modelPrivacy", tk_privacy_name(key->privacy));
        tk_jw_end(w);
}
