/* SPDX-License-Identifier: Apache-2.0 */
#include "api/venice_body.h"

#include "core/time.h"

#include <assert.h>
#include <string.h>

static_assert(TK_METER_USD == 0 && TK_METER_DIEM == 1 && TK_METER_VCU == 2, "limit[] and cap[] are by meter");

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const kinds[] = {"INFERENCE", "ADMIN"};
static const enum tk_key_kind kind_of[] = {TK_KIND_INFERENCE, TK_KIND_ADMIN};
static const char *const periods[] = {"EPOCH", "MONTH", "LIFETIME"};
static const enum tk_window_kind window_of[] = {TK_WINDOW_DAY, TK_WINDOW_MONTH, TK_WINDOW_LIFETIME};
static const char *const privacies[] = {"ALL", "PRIVATE_TEXT", "PRIVATE_ONLY"};
static const enum tk_privacy privacy_of[] = {TK_PRIVACY_ALL, TK_PRIVACY_PRIVATE_TEXT,
                                             TK_PRIVACY_PRIVATE_ONLY};

/* Does c stand for what the pattern wants: 'd' a digit, anything else itself? */
static bool is_shape(struct tk_str text, const char *pattern) {
        if (text.len != strlen(pattern))
                return false;
        for (size_t i = 0; i < text.len; i++) {
                bool digit = text.at[i] >= '0' && text.at[i] <= '9';
                if (pattern[i] == 'd' ? !digit : text.at[i] != pattern[i])
                        return false;
        }
        return true;
}

static bool is_date(struct tk_str text) {
        return is_shape(text, "dddd-dd-dd");
}

static bool is_moment(struct tk_str text) {
        return is_shape(text, "dddd-dd-ddTdd:dd:ddZ") || is_shape(text, "dddd-dd-ddTdd:dd:dd.dddZ");
}

/* None of the forms: every branch of the documented union says what it wanted. */
static void refuse_expiry_form(struct tk_issues *issues, struct tk_issue_path path, bool nullable,
                               const char *type, struct tk_str text) {
        struct tk_issues branches[4] = {{0}, {0}, {0}, {0}};
        if (strcmp(type, "string") == 0) {
                tk_issue_literal(&branches[0], path, "", text);
                if (nullable)
                        tk_issue_type(&branches[1], path, "null", type);
                tk_issue_regex(&branches[2], path);
                tk_issue_regex(&branches[3], path);
        } else {
                tk_issue_type(&branches[0], path, "string", type);
                if (nullable)
                        tk_issue_type(&branches[1], path, "null", type);
                tk_issue_type(&branches[2], path, "string", type);
                tk_issue_type(&branches[3], path, "string", type);
        }
        tk_issue_union(issues, path, branches, COUNT(branches));
        for (size_t i = 0; i < COUNT(branches); i++)
                tk_issues_free(&branches[i]);
}

/* Venice sheet 0.4. GOOD with *ms 0 for "no expiry", written as "" or, where allowed, as null. */
static enum tk_seen read_expiry(struct tk_check *check, struct tk_check_object *in, bool nullable,
                                int64_t now_ms, int64_t *ms) {
        static const char name[] = "expiresAt";
        struct tk_str text;
        struct tk_issue_path path = tk_check_path(in, name);
        const char *type = tk_check_peek(in, name, &text);
        bool is_text = strcmp(type, "string") == 0;
        *ms = 0;
        if (strcmp(type, "undefined") == 0)
                return TK_SEEN_ABSENT;
        if ((is_text && text.len == 0) || (nullable && strcmp(type, "null") == 0))
                return TK_SEEN_GOOD;
        if (!is_text || (!is_date(text) && !is_moment(text))) {
                refuse_expiry_form(tk_check_issues(check), path, nullable, type, text);
                return TK_SEEN_BAD;
        }
        if (tk_time_parse(text, ms) != TK_OK) {
                tk_issue_say(tk_check_issues(check), path, "invalid_date", "Invalid date");
                return TK_SEEN_BAD;
        }
        if (*ms <= now_ms) {
                tk_issue_say(tk_check_issues(check), path, "custom", "Expiration date must be in the future");
                return TK_SEEN_BAD;
        }
        return TK_SEEN_GOOD;
}

/* consumptionLimit: an object, not null; each member a number or null. */
static void read_limits(struct tk_check *check, struct tk_check_object *in,
                        enum tk_seen seen[TK_VENICE_MONEY_NR], uint64_t cap[TK_VENICE_MONEY_NR]) {
        struct tk_check_object limits;
        for (unsigned m = 0; m < TK_VENICE_MONEY_NR; m++)
                seen[m] = TK_SEEN_ABSENT;
        if (tk_check_object(check, in, "consumptionLimit", 0, &limits) != TK_SEEN_GOOD)
                return;
        for (unsigned m = 0; m < TK_VENICE_MONEY_NR; m++)
                seen[m] = tk_check_amount(check, &limits, tk_meter_name((enum tk_meter)m), TK_CHECK_NULLABLE,
                                          (enum tk_meter)m, TK_VENICE_LIMIT_UNITS_MAX, &cap[m]);
        tk_check_closed(check, &limits);
}

/* Renders the issues, if there are any, and frees the check. */
TK_CHECKED static enum tk_err finish(struct tk_check *check, struct tk_buf *refusal) {
        enum tk_err err = TK_OK;
        if (!tk_check_ok(check)) {
                tk_issues_render(tk_check_issues(check), refusal);
                err = tk_buf_ok(refusal) ? TK_E_RANGE : TK_E_NO_MEMORY;
        }
        tk_check_free(&check);
        return err;
}

static void copy_description(struct tk_str text, char out[TK_DESCRIPTION_BYTES_MAX + 1]) {
        bool fitted = tk_str_copy(text, out, TK_DESCRIPTION_BYTES_MAX + 1);
        MUST(fitted); /* 64 units of UTF-16 are at most 192 bytes of UTF-8 */
}

static struct tk_limit *add_limit(struct tk_key *key, enum tk_meter meter, uint64_t cap) {
        MUST(key->limits_nr < TK_KEY_LIMITS_MAX);
        struct tk_limit *limit = &key->limits[key->limits_nr++];
        *limit = (struct tk_limit){.window = {.kind = key->period}, .meter = meter, .cap = cap};
        return limit;
}

enum tk_err tk_venice_read_create(struct tk_str body, int64_t now_ms, struct tk_key *draft,
                                  struct tk_buf *refusal, struct tk_venice_why *why) {
        struct tk_check *check;
        struct tk_check_object root;
        struct tk_str description = {0};
        enum tk_seen limit[TK_VENICE_MONEY_NR];
        uint64_t cap[TK_VENICE_MONEY_NR];
        unsigned kind = 0, period = 0, privacy = 0;
        enum tk_err err = tk_check_open(body, &check, why->text);
        *draft = (struct tk_key){0};
        if (err != TK_OK)
                return err;
        if (!tk_check_root(check, &root))
                return finish(check, refusal);
        (void)tk_check_choice(check, &root, "apiKeyType", TK_CHECK_REQUIRED, kinds, COUNT(kinds), &kind);
        read_limits(check, &root, limit, cap);
        (void)tk_check_choice(check, &root, "limitPeriod", 0, periods, COUNT(periods), &period);
        (void)tk_check_choice(check, &root, "modelPrivacy", 0, privacies, COUNT(privacies), &privacy);
        (void)tk_check_text(check, &root, "description", TK_CHECK_REQUIRED, TK_DESCRIPTION_UNITS_MAX,
                            &description);
        (void)read_expiry(check, &root, false, now_ms, &draft->expires_ms);
        tk_check_closed(check, &root);
        if (tk_check_ok(check)) {
                draft->kind = kind_of[kind];
                draft->scopes = tk_scopes_of_kind(draft->kind);
                draft->period = window_of[period];
                draft->privacy = privacy_of[privacy];
                copy_description(description, draft->description);
                for (unsigned m = 0; m < TK_VENICE_MONEY_NR; m++)
                        if (limit[m] == TK_SEEN_GOOD)
                                add_limit(draft, (enum tk_meter)m, cap[m]);
        }
        return finish(check, refusal);
}

enum tk_err tk_venice_read_edit(struct tk_str body, int64_t now_ms, struct tk_venice_edit *edit,
                                struct tk_buf *refusal, struct tk_venice_why *why) {
        struct tk_check *check;
        struct tk_check_object root;
        struct tk_str id = {0}, description = {0};
        unsigned period = 0, privacy = 0;
        enum tk_err err = tk_check_open(body, &check, why->text);
        *edit = (struct tk_venice_edit){0};
        if (err != TK_OK)
                return err;
        if (!tk_check_root(check, &root))
                return finish(check, refusal);
        (void)tk_check_text(check, &root, "id", TK_CHECK_REQUIRED, 0, &id);
        edit->has_description = tk_check_text(check, &root, "description", 0, TK_DESCRIPTION_UNITS_MAX,
                                              &description) == TK_SEEN_GOOD;
        edit->has_expires = read_expiry(check, &root, true, now_ms, &edit->expires_ms) == TK_SEEN_GOOD;
        read_limits(check, &root, edit->limit, edit->cap);
        edit->has_period = tk_check_choice(check, &root, "limitPeriod", 0, periods, COUNT(periods),
                                           &period) == TK_SEEN_GOOD;
        edit->has_privacy = tk_check_choice(check, &root, "modelPrivacy", 0, privacies, COUNT(privacies),
                                            &privacy) == TK_SEEN_GOOD;
        tk_check_closed(check, &root);
        if (tk_check_ok(check)) {
                edit->id_ok = tk_id_parse(id, &edit->id);
                edit->period = window_of[period];
                edit->privacy = privacy_of[privacy];
                copy_description(description, edit->description);
        }
        return finish(check, refusal);
}

static bool same_id(struct tk_str a, struct tk_str b) {
        struct tk_id one, two;
        return tk_str_eq(a, b) || (tk_id_parse(a, &one) && tk_id_parse(b, &two) && tk_id_eq(one, two));
}

enum tk_err tk_venice_read_delete(struct tk_str body, bool query_given, bool query_same,
                                  struct tk_str query_id, bool *id_ok, struct tk_id *id,
                                  struct tk_buf *refusal, struct tk_venice_why *why) {
        static const struct tk_issue_path path = {{"id"}};
        struct tk_check *check;
        struct tk_check_object root;
        struct tk_str body_id = {0};
        enum tk_err err = tk_check_open(body.len ? body : TK_STR("{}"), &check, why->text);
        *id_ok = false;
        if (err != TK_OK)
                return err;
        if (!tk_check_root(check, &root))
                return finish(check, refusal);
        enum tk_seen seen =
                tk_check_text(check, &root, "id", query_given ? 0 : TK_CHECK_REQUIRED, 0, &body_id);
        tk_check_closed(check, &root);
        if (!query_same || (query_given && seen == TK_SEEN_GOOD && !same_id(query_id, body_id)))
                tk_issue_say(tk_check_issues(check), path, "custom", "Two different ids were given");
        if (tk_check_ok(check))
                *id_ok = tk_id_parse(query_given ? query_id : body_id, id);
        return finish(check, refusal);
}

/* ---- applying an edit ---- */

static struct tk_limit *find(struct tk_key *key, enum tk_meter meter) {
        for (unsigned i = 0; i < key->limits_nr; i++)
                if (key->limits[i].meter == meter && key->limits[i].window.kind == key->period)
                        return &key->limits[i];
        return NULL;
}

static void drop(struct tk_key *key, struct tk_limit *limit) {
        size_t index = (size_t)(limit - key->limits);
        key->limits_nr--;
        memmove(limit, limit + 1, (key->limits_nr - index) * sizeof(*limit));
        key->limits[key->limits_nr] = (struct tk_limit){0};
}

/*
 * All caps follow the period. When another API had put a limit on the new window already, the tighter of the
 * two stays: moving a cap must not loosen another.
 */
static void move_period(struct tk_key *key, enum tk_window_kind period) {
        uint64_t cap[TK_VENICE_MONEY_NR], alert[TK_VENICE_MONEY_NR];
        bool had[TK_VENICE_MONEY_NR] = {false};
        if (period == key->period)
                return;
        for (unsigned m = 0; m < TK_VENICE_MONEY_NR; m++) {
                struct tk_limit *limit = find(key, (enum tk_meter)m);
                if (!limit)
                        continue;
                had[m] = true;
                cap[m] = limit->cap;
                alert[m] = limit->alert;
                drop(key, limit);
        }
        key->period = period;
        for (unsigned m = 0; m < TK_VENICE_MONEY_NR; m++) {
                struct tk_limit *other = find(key, (enum tk_meter)m);
                if (had[m] && !other)
                        add_limit(key, (enum tk_meter)m, cap[m])->alert = alert[m];
                else if (had[m] && cap[m] < other->cap)
                        other->cap = cap[m];
        }
}

enum tk_err tk_venice_edit_apply(const struct tk_venice_edit *edit, struct tk_key *key) {
        if (edit->has_description)
                memcpy(key->description, edit->description, sizeof(key->description));
        if (edit->has_privacy)
                key->privacy = edit->privacy;
        if (edit->has_expires)
                key->expires_ms = edit->expires_ms;
        if (edit->has_period)
                move_period(key, edit->period);
        for (unsigned m = 0; m < TK_VENICE_MONEY_NR; m++) {
                struct tk_limit *limit = find(key, (enum tk_meter)m);
                MUST(edit->limit[m] != TK_SEEN_BAD);
                if (edit->limit[m] == TK_SEEN_NULL && limit)
                        drop(key, limit);
                if (edit->limit[m] != TK_SEEN_GOOD)
                        continue;
                if (!limit && key->limits_nr == TK_KEY_LIMITS_MAX)
                        return TK_E_TOO_BIG;
                if (limit)
                        limit->cap = edit->cap[m];
                else
                        add_limit(key, (enum tk_meter)m, edit->cap[m]);
        }
        return TK_OK;
}
