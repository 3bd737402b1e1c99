/* SPDX-License-Identifier: Apache-2.0
 *
 * The key commands on the store itself, so that the first key can be made before any server runs.
 */
#include "cli/backend.h"

#include "cli/local.h"
#include "cli/output.h"
#include "service/keymint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEEK_HOURS 168

struct store_backend {
        struct tk_backend head;
        struct tk_local local;
};

static enum tk_err explain(struct store_backend *b, enum tk_err err, const char *id) {
        if (err == TK_E_NOT_FOUND && id)
                snprintf(b->head.why, sizeof b->head.why, "there is no active key %s", id);
        else
                snprintf(b->head.why, sizeof b->head.why, "%s: %s", b->local.config->store, tk_err_text(err));
        return err;
}

/* ---- views ---- */

static void put_time(int64_t ms, char out[TK_VIEW_TEXT]) {
        out[0] = '\0';
        if (ms)
                tk_time_text(ms, out);
}

static enum tk_err add_total(struct store_backend *b, const struct tk_key *key, const char *name,
                             int64_t from_hour, int64_t to_hour, struct tk_key_view *view) {
        struct tk_amounts sum = {{0}};
        for (int m = 0; m < TK_METER_NR; m++) {
                enum tk_err err = tk_reader_usage_sum(b->local.reader, key->id, (enum tk_meter)m, from_hour,
                                                      to_hour, &sum.of[m]);
                if (err != TK_OK)
                        return err;
        }
        MUST(view->totals_nr < TK_TOTALS_MAX);
        struct tk_total *total = &view->totals[view->totals_nr++];
        total->name = name;
        tk_money_text((struct tk_money){sum.of[TK_METER_USD]}, total->usd);
        tk_money_text((struct tk_money){sum.of[TK_METER_DIEM]}, total->diem);
        total->has_counts = true;
        total->requests = sum.of[TK_METER_REQUESTS];
        total->tokens = sum.of[TK_METER_TOKENS];
        return TK_OK;
}

/* Of the calendar window of that kind which holds now. */
static enum tk_err add_window(struct store_backend *b, const struct tk_key *key, const char *name,
                              enum tk_window_kind kind, struct tk_key_view *view) {
        struct tk_window_spec spec = {.kind = kind};
        int64_t number = tk_window_number(spec, tk_floor_div(b->local.now_ms, 1000));
        int64_t from = tk_window_start_s(spec, number), to = tk_window_end_s(spec, number);
        return add_total(b, key, name, from == INT64_MIN ? from : tk_floor_div(from, TK_HOUR_S),
                         to == INT64_MAX ? to : tk_floor_div(to, TK_HOUR_S), view);
}

static enum tk_err name_user(struct store_backend *b, struct tk_id id, char out[TK_EMAIL_MAX + 1]) {
        struct tk_user user;
        enum tk_err err = tk_id_none(id) ? TK_E_NOT_FOUND : tk_reader_user_by_id(b->local.reader, id, &user);
        out[0] = '\0';
        if (err == TK_OK)
                memcpy(out, user.email, sizeof user.email);
        else if (!tk_id_none(id))
                tk_id_text(id, out);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

static enum tk_err fill_view(struct store_backend *b, const struct tk_key *key, struct tk_key_view *view) {
        int64_t hour = tk_floor_div(b->local.now_ms, TK_HOUR_S * 1000);
        const struct tk_limit *usd = tk_key_limit_get(key, TK_METER_USD, key->period);
        const struct tk_limit *diem = tk_key_limit_get(key, TK_METER_DIEM, key->period);
        memset(view, 0, sizeof *view);
        tk_id_text(key->id, view->id);
        tk_view_name(tk_key_kind_name(key->kind), view->kind);
        tk_str_copy(tk_str_of(key->description), view->description, sizeof view->description);
        tk_str_copy(tk_str_of(key->last6), view->last6, sizeof view->last6);
        tk_view_name(tk_window_kind_name(key->period), view->period);
        tk_view_name(tk_privacy_name(key->privacy), view->privacy);
        if (usd)
                tk_cap_text(TK_METER_USD, usd->cap, view->usd);
        if (diem)
                tk_cap_text(TK_METER_DIEM, diem->cap, view->diem);
        put_time(key->created_ms, view->created);
        put_time(key->expires_ms, view->expires);
        put_time(key->last_used_ms, view->last_used);

        enum tk_err err = name_user(b, key->user, view->user);
        if (err == TK_OK)
                err = add_window(b, key, "period", key->period, view);
        if (err == TK_OK)
                err = add_total(b, key, "trailing_7_days", hour - WEEK_HOURS + 1, hour + 1, view);
        if (err == TK_OK)
                err = add_window(b, key, "today", TK_WINDOW_DAY, view);
        if (err == TK_OK)
                err = add_window(b, key, "month", TK_WINDOW_MONTH, view);
        if (err == TK_OK)
                err = add_window(b, key, "all", TK_WINDOW_LIFETIME, view);
        return err;
}

/* ---- changes ---- */

static void drop_limit(struct tk_key *key, unsigned i) {
        MUST(i < key->limits_nr);
        key->limits_nr--;
        memmove(&key->limits[i], &key->limits[i + 1], (key->limits_nr - i) * sizeof key->limits[0]);
}

/* The caps on money follow the key's period; those on anything else have windows of their own. */
static enum tk_err move_period(struct tk_key *key, enum tk_window_kind period) {
        if (period == key->period)
                return TK_OK;
        for (unsigned i = 0; i < key->limits_nr; i++) {
                struct tk_limit *limit = &key->limits[i];
                if (!tk_meter_is_money(limit->meter) || limit->window.kind != key->period)
                        continue;
                if (tk_key_limit_get(key, limit->meter, period))
                        return TK_E_CONFLICT; /* two caps would become one */
                limit->window = (struct tk_window_spec){.kind = period};
        }
        key->period = period;
        return TK_OK;
}

static enum tk_err set_cap(struct tk_key *key, enum tk_meter meter, enum tk_change_op op, uint64_t nano) {
        unsigned i;
        for (i = 0; i < key->limits_nr; i++)
                if (key->limits[i].meter == meter && key->limits[i].window.kind == key->period)
                        break;
        if (op == TK_CHANGE_CLEAR && i < key->limits_nr)
                drop_limit(key, i);
        if (op != TK_CHANGE_SET)
                return TK_OK;
        if (i == TK_KEY_LIMITS_MAX)
                return TK_E_TOO_BIG;
        uint64_t alert = i < key->limits_nr ? key->limits[i].alert : 0;
        if (i == key->limits_nr)
                key->limits_nr++;
        key->limits[i] = (struct tk_limit){
                .window = {.kind = key->period}, .meter = meter, .cap = nano, .alert = alert};
        return TK_OK;
}

static enum tk_err apply(struct tk_key *key, const struct tk_key_change *change) {
        enum tk_err err = TK_OK;
        if (change->description &&
            !tk_str_copy(tk_str_of(change->description), key->description, sizeof key->description))
                return TK_E_TOO_BIG;
        if (change->has_privacy)
                key->privacy = change->privacy;
        if (change->expires.op != TK_CHANGE_KEEP)
                key->expires_ms = change->expires.op == TK_CHANGE_SET ? change->expires.ms : 0;
        if (change->has_period)
                err = move_period(key, change->period);
        if (err == TK_OK)
                err = set_cap(key, TK_METER_USD, change->usd.op, change->usd.nano);
        if (err == TK_OK)
                err = set_cap(key, TK_METER_DIEM, change->diem.op, change->diem.nano);
        return err;
}

/* ---- writing ---- */

/* In the open batch, so that they are not removed before the key is made. */
static enum tk_err find_user(struct store_backend *b, const char *text, struct tk_id *out) {
        struct tk_user user;
        char said[TK_EMAIL_MAX + 1];
        enum tk_err err = tk_local_user_get(&b->local, text, &user);
        if (err == TK_E_NOT_FOUND)
                snprintf(b->head.why, sizeof b->head.why, "there is no user %s",
                         tk_printable(text, said, sizeof said));
        else if (err != TK_OK)
                return explain(b, err, NULL);
        else
                *out = user.id;
        return err;
}

static enum tk_err store_create(struct tk_backend *backend, enum tk_key_kind kind,
                                const struct tk_key_change *change, char id[TK_ID_TEXT_LEN + 1],
                                struct tk_key_text *secret) {
        struct store_backend *b = (struct store_backend *)backend;
        struct tk_key draft = {
                .kind = kind,
                .period = TK_WINDOW_DAY, /* the documented default */
                .org = tk_store_org(b->local.store),
                .workspace = tk_store_workspace(b->local.store),
        };
        struct tk_key key;
        char prefix[TK_KEY_PREFIX_MAX + 1];
        enum tk_err err = apply(&draft, change);
        bool ok = tk_key_mint_prefix(b->local.config->key_prefix, kind, prefix);
        MUST(ok); /* the configuration was checked */
        if (err == TK_OK)
                err = tk_local_begin(&b->local);
        if (err != TK_OK)
                return explain(b, err, NULL);
        if (change->user && (err = find_user(b, change->user, &draft.user)) != TK_OK) {
                tk_store_rollback(b->local.store);
                return err;
        }
        tk_key_mint(&draft, prefix, b->local.now_ms, &key, secret);
        err = tk_local_finish(&b->local,
                              tk_audit_key_insert(b->local.store, &b->local.actor, b->local.now_ms, &key));
        if (err != TK_OK) {
                tk_key_text_wipe(secret);
                return explain(b, err, NULL);
        }
        tk_id_text(key.id, id);
        return TK_OK;
}

static enum tk_err take_key(struct store_backend *b, const char *text, bool active, struct tk_key *key) {
        struct tk_id id;
        return tk_id_parse(tk_str_of(text), &id) ? tk_local_key_get(&b->local, id, active, key)
                                                 : TK_E_NOT_FOUND;
}

static enum tk_err store_edit(struct tk_backend *backend, const char *id, const struct tk_key_change *change,
                              struct tk_key_view *out) {
        struct store_backend *b = (struct store_backend *)backend;
        struct tk_key key = {.id = {{0}}};
        enum tk_err err = tk_local_begin(&b->local);
        if (err != TK_OK)
                return explain(b, err, NULL);
        /* Active: an expired key stays so, making it long-lived again would revive it. */
        err = take_key(b, id, true, &key);
        const struct tk_key before = key;
        if (err == TK_OK)
                err = apply(&key, change);
        if (err == TK_OK)
                err = tk_audit_key_update(b->local.store, &b->local.actor, b->local.now_ms,
                                          TK_AUDIT_KEY_UPDATE, &before, &key);
        err = tk_local_finish(&b->local, err);
        if (err == TK_OK)
                err = fill_view(b, &key, out);
        return err == TK_OK ? TK_OK : explain(b, err, id);
}

static enum tk_err store_revoke(struct tk_backend *backend, const char *id) {
        struct store_backend *b = (struct store_backend *)backend;
        struct tk_key key = {.id = {{0}}};
        enum tk_err err = tk_local_begin(&b->local);
        if (err != TK_OK)
                return explain(b, err, NULL);
        err = take_key(b, id, false, &key);
        if (err == TK_OK) {
                const struct tk_key before = key;
                key.revoked_ms = b->local.now_ms;
                err = tk_audit_key_update(b->local.store, &b->local.actor, b->local.now_ms,
                                          TK_AUDIT_KEY_DELETE, &before, &key);
        }
        err = tk_local_finish(&b->local, err);
        return err == TK_OK ? TK_OK : explain(b, err, id);
}

/* ---- reading ---- */

struct listing {
        struct store_backend *b;
        tk_view_each_f *each;
        void *ctx;
        enum tk_err err;
};

static bool list_one(const struct tk_key *key, void *ctx) {
        struct listing *l = ctx;
        struct tk_key_view view;
        l->err = fill_view(l->b, key, &view);
        if (l->err == TK_OK)
                l->each(&view, l->ctx);
        return l->err == TK_OK;
}

static enum tk_err store_list(struct tk_backend *backend, tk_view_each_f *each, void *ctx) {
        struct store_backend *b = (struct store_backend *)backend;
        struct listing l = {b, each, ctx, TK_OK};
        enum tk_err err = tk_reader_key_list(b->local.reader, tk_store_org(b->local.store), b->local.now_ms,
                                             (struct tk_id){{0}}, INT32_MAX, list_one, &l);
        if (err == TK_OK)
                err = l.err;
        return err == TK_OK ? TK_OK : explain(b, err, NULL);
}

static enum tk_err store_get(struct tk_backend *backend, const char *text, struct tk_key_view *out) {
        struct store_backend *b = (struct store_backend *)backend;
        struct tk_key key;
        struct tk_id id;
        enum tk_err err = tk_id_parse(tk_str_of(text), &id) ? TK_OK : TK_E_NOT_FOUND;
        if (err == TK_OK)
                err = tk_reader_key_by_id(b->local.reader, id, &key);
        if (err == TK_OK &&
            (!tk_id_eq(key.org, tk_store_org(b->local.store)) || !tk_key_is_active(&key, b->local.now_ms)))
                err = TK_E_NOT_FOUND;
        if (err == TK_OK)
                err = fill_view(b, &key, out);
        return err == TK_OK ? TK_OK : explain(b, err, text);
}

struct calling {
        tk_call_each_f *each;
        void *ctx;
};

static bool call_one(const struct tk_entry *entry, void *ctx) {
        struct calling *c = ctx;
        struct tk_call_view view = {
                .model = entry->model,
                .input = entry->tokens.input,
                .output = entry->tokens.output,
                .cached = entry->tokens.cached,
                .flags = entry->flags,
        };
        tk_id_text(entry->id, view.id);
        tk_id_text(entry->subject, view.key);
        tk_time_text(entry->posted_at_ms, view.at);
        tk_money_text((struct tk_money){entry->due.of[TK_METER_USD]}, view.usd);
        tk_money_text((struct tk_money){entry->due.of[TK_METER_DIEM]}, view.diem);
        tk_money_text((struct tk_money){entry->overrun.of[TK_METER_USD]}, view.overrun_usd);
        tk_money_text((struct tk_money){entry->overrun.of[TK_METER_DIEM]}, view.overrun_diem);
        c->each(&view, c->ctx);
        return true;
}

static enum tk_err store_calls(struct tk_backend *backend, const char *text, unsigned limit,
                               tk_call_each_f *each, void *ctx) {
        struct store_backend *b = (struct store_backend *)backend;
        struct calling c = {each, ctx};
        struct tk_id subject = {{0}};
        if (text && !tk_id_parse(tk_str_of(text), &subject))
                return explain(b, TK_E_NOT_FOUND, text);
        if (limit == 0)
                return TK_OK;
        enum tk_err err = tk_reader_entry_list(b->local.reader, tk_store_org(b->local.store), subject, limit,
                                               call_one, &c);
        return err == TK_OK ? TK_OK : explain(b, err, NULL);
}

/* ---- life ---- */

static void store_close(struct tk_backend *backend) {
        struct store_backend *b = (struct store_backend *)backend;
        tk_local_close(&b->local);
        free(b);
}

static const struct tk_backend_ops ops = {
        .create = store_create,
        .list = store_list,
        .get = store_get,
        .edit = store_edit,
        .revoke = store_revoke,
        .calls = store_calls,
        .close = store_close,
};

struct tk_backend *tk_backend_store_open(const struct tk_cmd_line *line, int *code) {
        *code = TK_EXIT_FAILED;
        struct store_backend *b = calloc(1, sizeof *b);
        if (!b) {
                tk_fail("out of memory");
                return NULL;
        }
        b->head.ops = &ops;
        if (tk_local_open(line, line->cmd->run == tk_cmd_key_create, &b->local))
                return &b->head;
        store_close(&b->head);
        return NULL;
}
