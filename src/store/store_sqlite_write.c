/* SPDX-License-Identifier: Apache-2.0
 *
 * What a batch writes at once: keys, limits, leases, doubts, settings. The front has validated each row; here
 * it is only spread over its columns.
 *
 * An operation that is refused (CONFLICT, NOT_FOUND) is refused by its first statement, so that
 * nothing of it was written; a fault in a later one breaks the batch.
 */
#include "store/store_sqlite_int.h"

enum tk_err tk_sqlite_conn_get(struct tk_store *base, struct tk_sqlite_conn **out) {
        struct tk_sqlite_store *store = (struct tk_sqlite_store *)base;
        *out = &store->conn;
        if (base->batch != TK_BATCH_MARKED || store->saved)
                return TK_OK;
        enum tk_err err = tk_sqlite_run_plain(&store->conn, TK_SQL_MARK);
        store->saved = !err;
        return err;
}

static void scopes_bytes(const struct tk_scopes *scopes, uint8_t out[TK_SCOPE_WORDS * 8]) {
        for (size_t i = 0; i < TK_SCOPE_WORDS * 8; i++)
                out[i] = (uint8_t)(scopes->word[i / 8] >> (8 * (i % 8)));
}

static void bind_window(struct tk_sqlite_use *use, struct tk_window_spec window) {
        tk_sqlite_int(use, (int64_t)window.kind);
        tk_sqlite_int(use, window.days);
        tk_sqlite_int(use, window.anchor_day);
}

static enum tk_err insert_limits(struct tk_sqlite_conn *conn, struct tk_id subject,
                                 const struct tk_limit *limits, unsigned limits_nr) {
        for (unsigned i = 0; i < limits_nr; i++) {
                const struct tk_limit *limit = &limits[i];
                char cap[TK_CAP_TEXT_MAX], alert[TK_CAP_TEXT_MAX];
                struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_LIMIT_INSERT);
                tk_cap_text(limit->meter, limit->cap, cap);
                tk_cap_text(limit->meter, limit->alert, alert);
                tk_sqlite_id(&use, &subject);
                tk_sqlite_int(&use, i);
                tk_sqlite_int(&use, (int64_t)limit->meter);
                bind_window(&use, limit->window);
                tk_sqlite_int(&use, limit->flags);
                tk_sqlite_text(&use, cap);
                tk_sqlite_text(&use, alert);
                tk_sqlite_int(&use, limit->base_number);
                tk_sqlite_int(&use, limit->base);
                enum tk_err err = tk_sqlite_run(&use);
                if (err == TK_E_CONFLICT) /* limits without a key lay there */
                        err = tk_sqlite_fault(conn, SQLITE_CONSTRAINT_PRIMARYKEY, "writing a limit");
                if (err)
                        return err;
        }
        return TK_OK;
}

static enum tk_err replace_limits(struct tk_sqlite_conn *conn, struct tk_id subject,
                                  const struct tk_limit *limits, unsigned limits_nr) {
        struct tk_sqlite_use clear = tk_sqlite_begin(conn, TK_SQL_LIMIT_CLEAR);
        tk_sqlite_id(&clear, &subject);
        enum tk_err err = tk_sqlite_run(&clear);
        return err ? err : insert_limits(conn, subject, limits, limits_nr);
}

enum tk_err tk_sqlite_insert_change(struct tk_sqlite_conn *conn, struct tk_id subject) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_CHANGE_INSERT);
        tk_sqlite_id(&use, &subject);
        return tk_sqlite_run(&use);
}

/* The columns that an edit may change, but for its times; scopes is bound, not copied: it outlives the use.
 */
static void bind_described(struct tk_sqlite_use *use, const struct tk_key *key,
                           const uint8_t scopes[TK_SCOPE_WORDS * 8]) {
        tk_sqlite_text(use, key->last6);
        tk_sqlite_text(use, key->description);
        tk_sqlite_int(use, (int64_t)key->kind);
        tk_sqlite_int(use, (int64_t)key->privacy);
        tk_sqlite_int(use, (int64_t)key->period);
        tk_sqlite_blob(use, scopes, TK_SCOPE_WORDS * 8);
}

enum tk_err tk_sqlite_key_insert(struct tk_store *store, const struct tk_key *key) {
        uint8_t scopes[TK_SCOPE_WORDS * 8];
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_KEY_INSERT);
        scopes_bytes(&key->scopes, scopes);
        tk_sqlite_id(&use, &key->id);
        tk_sqlite_id(&use, &key->org);
        tk_sqlite_id(&use, &key->workspace);
        tk_sqlite_id(&use, &key->user);
        tk_sqlite_blob(&use, key->digest, sizeof key->digest);
        bind_described(&use, key, scopes);
        tk_sqlite_int(&use, key->created_ms);
        tk_sqlite_int(&use, key->expires_ms);
        tk_sqlite_int(&use, key->last_used_ms);
        tk_sqlite_int(&use, key->revoked_ms);
        err = tk_sqlite_run(&use);
        if (!err)
                err = insert_limits(conn, key->id, key->limits, key->limits_nr);
        return err ? err : tk_sqlite_insert_change(conn, key->id);
}

enum tk_err tk_sqlite_run_on_row(struct tk_sqlite_use *use) {
        enum tk_err err = tk_sqlite_run(use);
        return !err && sqlite3_changes(use->conn->db) == 0 ? TK_E_NOT_FOUND : err;
}

enum tk_err tk_sqlite_key_update(struct tk_store *store, const struct tk_key *key) {
        uint8_t scopes[TK_SCOPE_WORDS * 8];
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_KEY_UPDATE);
        scopes_bytes(&key->scopes, scopes);
        tk_sqlite_id(&use, &key->id);
        bind_described(&use, key, scopes);
        tk_sqlite_int(&use, key->expires_ms);
        tk_sqlite_int(&use, key->revoked_ms);
        err = tk_sqlite_run_on_row(&use);
        if (!err)
                err = replace_limits(conn, key->id, key->limits, key->limits_nr);
        return err ? err : tk_sqlite_insert_change(conn, key->id);
}

enum tk_err tk_sqlite_key_touch(struct tk_store *store, struct tk_id id, int64_t used_ms) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_KEY_TOUCH);
        tk_sqlite_id(&use, &id);
        tk_sqlite_int(&use, used_ms);
        return tk_sqlite_run_on_row(&use);
}

enum tk_err tk_sqlite_profile_put(struct tk_store *store, const struct tk_profile *profile) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_PROFILE_PUT);
        tk_sqlite_id(&use, &profile->key);
        tk_sqlite_int(&use, profile->updated_ms);
        tk_sqlite_int(&use, profile->reset_ms);
        tk_sqlite_int(&use, profile->no_override);
        tk_sqlite_text(&use, profile->name);
        tk_sqlite_text(&use, profile->about);
        tk_sqlite_text(&use, profile->config);
        tk_sqlite_text(&use, profile->emails);
        tk_sqlite_text(&use, profile->metadata);
        return tk_sqlite_run(&use);
}

static enum tk_err key_is_there(struct tk_sqlite_conn *conn, struct tk_id id) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_KEY_BY_ID);
        tk_sqlite_id(&use, &id);
        enum tk_err err = tk_sqlite_next(&use);
        tk_sqlite_end(&use);
        return err;
}

enum tk_err tk_sqlite_limits_put(struct tk_store *store, struct tk_id subject, const struct tk_limit *limits,
                                 unsigned limits_nr) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        err = replace_limits(conn, subject, limits, limits_nr);
        return err ? err : tk_sqlite_insert_change(conn, subject);
}

enum tk_err tk_sqlite_limits_get(struct tk_store *store, struct tk_id subject,
                                 struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        struct tk_sqlite_conn *conn = &((struct tk_sqlite_store *)store)->conn;
        enum tk_err err = key_is_there(conn, subject);
        if (err != TK_E_NOT_FOUND)
                return err ? err : TK_E_CONFLICT;
        return tk_sqlite_limits_read(conn, subject, limits, limits_nr);
}

enum tk_err tk_sqlite_topup_get(struct tk_store *store, const char *id, struct tk_topup *out) {
        struct tk_sqlite_use use =
                tk_sqlite_begin(&((struct tk_sqlite_store *)store)->conn, TK_SQL_TOPUP_GET);
        tk_sqlite_text(&use, id);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                err = tk_sqlite_topup_read(&use, out);
        tk_sqlite_end(&use);
        return err;
}

static enum tk_err insert_topup(struct tk_sqlite_conn *conn, const struct tk_topup *topup) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_TOPUP_INSERT);
        tk_sqlite_text(&use, topup->id);
        tk_sqlite_id(&use, &topup->subject);
        tk_sqlite_int(&use, (int64_t)topup->meter);
        tk_sqlite_int(&use, topup->amount);
        tk_sqlite_int(&use, topup->at_ms);
        return tk_sqlite_run(&use);
}

enum tk_err tk_sqlite_topup_add(struct tk_store *store, const struct tk_topup *topup,
                                const struct tk_limit *limits, unsigned limits_nr) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        err = insert_topup(conn, topup);
        if (!err)
                err = replace_limits(conn, topup->subject, limits, limits_nr);
        return err ? err : tk_sqlite_insert_change(conn, topup->subject);
}

/* The six columns that name a lease. */
static void bind_lease(struct tk_sqlite_use *use, const struct tk_lease *lease) {
        tk_sqlite_id(use, &lease->subject);
        tk_sqlite_int(use, (int64_t)lease->meter);
        bind_window(use, lease->window);
        tk_sqlite_int(use, lease->number);
}

enum tk_err tk_sqlite_lease_put(struct tk_store *store, const struct tk_lease *lease) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_LEASE_PUT);
        bind_lease(&use, lease);
        tk_sqlite_int(&use, lease->bound);
        return tk_sqlite_run(&use);
}

enum tk_err tk_sqlite_lease_drop(struct tk_store *store, const struct tk_lease *lease) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_LEASE_DROP);
        bind_lease(&use, lease);
        return tk_sqlite_run(&use);
}

/* The six columns that name a doubt. */
static void bind_doubt(struct tk_sqlite_use *use, const struct tk_doubt *doubt) {
        tk_sqlite_id(use, &doubt->subject);
        tk_sqlite_int(use, (int64_t)doubt->meter);
        bind_window(use, doubt->window);
        tk_sqlite_int(use, doubt->number);
}

/* OVERFLOW: what is stored and this do not fit together. A damaged one is not added to either. */
static enum tk_err doubt_fits(struct tk_sqlite_conn *conn, const struct tk_doubt *doubt) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_DOUBT_GET);
        struct tk_doubt stored;
        int64_t sum;
        bind_doubt(&use, doubt);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                err = tk_sqlite_doubt_read(&use, &stored);
        if (!err && __builtin_add_overflow(stored.amount, doubt->amount, &sum))
                err = TK_E_OVERFLOW;
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_doubt_put(struct tk_store *store, const struct tk_doubt *doubt) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (!err)
                err = doubt_fits(conn, doubt);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_DOUBT_PUT);
        bind_doubt(&use, doubt);
        tk_sqlite_int(&use, doubt->amount);
        tk_sqlite_int(&use, doubt->since_ms);
        return tk_sqlite_run(&use);
}

enum tk_err tk_sqlite_doubt_drop(struct tk_store *store, const struct tk_doubt *doubt) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_DOUBT_DROP);
        bind_doubt(&use, doubt);
        err = tk_sqlite_run_on_row(&use);
        return err ? err : tk_sqlite_insert_change(conn, doubt->subject);
}

static void bind_delivery(struct tk_sqlite_use *use, const struct tk_delivery *delivery) {
        tk_sqlite_int(use, (int64_t)delivery->status);
        tk_sqlite_int(use, delivery->tries);
        tk_sqlite_int(use, delivery->next_ms);
        tk_sqlite_int(use, delivery->ended_ms);
        tk_sqlite_text(use, delivery->error);
}

enum tk_err tk_sqlite_alert_add(struct tk_store *store, const struct tk_alert *alert) {
        char cap[TK_CAP_TEXT_MAX], threshold[TK_CAP_TEXT_MAX];
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_ALERT_INSERT);
        tk_cap_text(alert->limit.meter, alert->limit.cap, cap);
        tk_cap_text(alert->limit.meter, alert->limit.alert, threshold);
        tk_sqlite_id(&use, &alert->id);
        tk_sqlite_id(&use, &alert->org);
        tk_sqlite_id(&use, &alert->subject);
        tk_sqlite_int(&use, (int64_t)alert->subject_kind);
        tk_sqlite_int(&use, (int64_t)alert->kind);
        tk_sqlite_int(&use, (int64_t)alert->limit.meter);
        bind_window(&use, alert->limit.window);
        tk_sqlite_int(&use, alert->limit.flags);
        tk_sqlite_text(&use, cap);
        tk_sqlite_text(&use, threshold);
        tk_sqlite_int(&use, alert->number);
        tk_sqlite_int(&use, alert->posted);
        tk_sqlite_int(&use, alert->held);
        tk_sqlite_int(&use, alert->at_ms);
        for (int c = 0; c < TK_CHANNEL_NR; c++)
                bind_delivery(&use, &alert->sent[c]);
        return tk_sqlite_run(&use);
}

enum tk_err tk_sqlite_alert_sent(struct tk_store *store, struct tk_id id, enum tk_channel channel,
                                 const struct tk_delivery *delivery) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(
                conn, channel == TK_CHANNEL_WEBHOOK ? TK_SQL_ALERT_SENT_WEBHOOK : TK_SQL_ALERT_SENT_EMAIL);
        tk_sqlite_id(&use, &id);
        bind_delivery(&use, delivery);
        return tk_sqlite_run_on_row(&use);
}

enum tk_err tk_sqlite_change_add(struct tk_store *store, struct tk_id subject) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        return err ? err : tk_sqlite_insert_change(conn, subject);
}

enum tk_err tk_sqlite_meta_put(struct tk_store *store, const char *name, struct tk_str value) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_META_PUT);
        tk_sqlite_text(&use, name);
        tk_sqlite_blob(&use, value.at, value.len);
        return tk_sqlite_run(&use);
}
