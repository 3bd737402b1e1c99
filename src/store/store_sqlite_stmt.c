/* SPDX-License-Identifier: Apache-2.0
 *
 * Every statement of the SQLite engine in one table, and the only code that binds, steps and reads columns.
 *
 * Statements are prepared once per connection; the rare ones when they are first used. A column is read only
 * together with what it must be, because a file can be damaged or edited: SQLite would quietly turn a text
 * into a number.
 */
#include "store/store_sqlite_int.h"

#include <errno.h>
#include <string.h>

#include "rt/clock.h"
#include "rt/log.h"

#define LOG_AGAIN_MS 1000

#define KEY_COLUMNS                                                                                          \
        "id, org, workspace, user_id, digest, last6, description, kind, privacy, period, scopes, "           \
        "created_ms, expires_ms, last_used_ms, revoked_ms"
#define USER_COLUMNS      "id, org, email, first_name, last_name, role, created_ms, updated_ms, removed_ms"
#define WORKSPACE_COLUMNS "id, org, slug, name, description, created_ms, updated_ms, removed_ms"
/* In the order of their ids, as everything that is told of a set. */
#define KEYS_CHANGE(column)                                                                                  \
        "INSERT INTO change (subject) SELECT id FROM api_key WHERE " column                                  \
        " = ?1 AND revoked_ms = 0 ORDER BY id"
#define KEYS_REVOKE(column) "UPDATE api_key SET revoked_ms = ?2 WHERE " column " = ?1 AND revoked_ms = 0"
#define PROFILE_COLUMNS     "key_id, updated_ms, reset_ms, no_override, name, about, config, emails, metadata"
/* Which keys and how many is decided in an index alone; then only the rows of the page are read. */
#define KEY_OF_PAGE(whose) "FROM api_key WHERE " whose " AND revoked_ms = 0 AND (?2 >> kind) & 1"
#define KEY_COUNT(whose)   "SELECT count(*) " KEY_OF_PAGE(whose)
#define KEY_PAGE(whose)                                                                                      \
        "SELECT " KEY_COLUMNS " FROM (SELECT id AS on_page " KEY_OF_PAGE(                                    \
                whose) " ORDER BY created_ms DESC, id DESC LIMIT ?3 OFFSET ?4) "                             \
                       "CROSS JOIN api_key ON id = on_page"
#define ENTRY_COLUMNS                                                                                        \
        "id, org, subject, held_at_ms, posted_at_ms, model, flags, input_tokens, output_tokens, "            \
        "cached_tokens, cache_write_tokens, due_usd, due_diem, due_vcu, due_requests, due_tokens, "          \
        "overrun_usd, overrun_diem, overrun_vcu, overrun_requests, overrun_tokens"
/* A total is one row. A window is hours up to its first whole day, whole days, hours after its last. */
#define USAGE_COLUMNS       "usd, diem, vcu, requests, tokens"
#define USAGE_TOTAL(select) select "span = 0 AND number = 0"
#define USAGE_PARTS(select)                                                                                  \
        select "span = 2 AND number >= ?2 AND number < ?3 UNION ALL " select                                 \
               "span = 1 AND number >= ?4 AND number < ?5 UNION ALL " select                                 \
               "span = 2 AND number >= ?6 AND number < ?7"
#define USAGE_OWN "SELECT " USAGE_COLUMNS " FROM usage WHERE subject = ?1 AND "
/* The keys of a group come first, by an index of their own; then the rows of each, by the primary key. */
#define USAGE_GROUP(column)                                                                                  \
        "SELECT " USAGE_COLUMNS " FROM api_key CROSS JOIN usage ON subject = api_key.id WHERE " column       \
        " = ?1 AND "
#define USAGE_GROUP_TOTAL(column) USAGE_TOTAL(USAGE_GROUP(column)) " UNION ALL " USAGE_TOTAL(USAGE_OWN)
#define USAGE_GROUP_PARTS(column) USAGE_PARTS(USAGE_GROUP(column)) " UNION ALL " USAGE_PARTS(USAGE_OWN)
#define LEASE_COLUMNS             "subject, meter, window_kind, window_days, window_anchor, number, bound"
#define TOPUP_COLUMNS             "id, subject, meter, amount, at_ms"
#define DOUBT_COLUMNS             "subject, meter, window_kind, window_days, window_anchor, number, amount, since_ms"
#define DOUBT_IS                                                                                             \
        "subject = ?1 AND meter = ?2 AND window_kind = ?3 AND window_days = ?4 AND window_anchor = ?5 AND "  \
        "number = ?6"
#define ALERT_COLUMNS                                                                                        \
        "id, org, subject, subject_kind, kind, meter, window_kind, window_days, window_anchor, flags, cap, " \
        "limit_alert, number, posted, held, at_ms, webhook_status, webhook_tries, webhook_next_ms, "         \
        "webhook_ended_ms, webhook_error, email_status, email_tries, email_next_ms, email_ended_ms, "        \
        "email_error"
/* Of the primary key, so that it costs nothing. */
#define DOUBT_ORDER "ORDER BY subject, meter, window_kind, window_days, window_anchor, number"
#define AUDIT_COLUMNS                                                                                        \
        "id, org, workspace, at_ms, kind, actor, actor_name, action, resource_type, resource, method, uri, " \
        "request_id, client, status, before_json, after_json"
#define AUDIT_NONE "x'00000000000000000000000000000000'"
/* ?1 to ?15 are the members of a filter; those that say nothing let every row pass. likely(+...), so that
 * SQLite does not expect so few rows that it would rather sort them than walk an index. */
#define AUDIT_WHERE(index, first)                                                                            \
        "FROM audit INDEXED BY " index " WHERE org = ?1 AND " first                                          \
        "at_ms >= ?2 AND at_ms <= ?3 AND likely(+((?4 = " AUDIT_NONE " OR actor = ?4) AND "                  \
        "(?5 = " AUDIT_NONE " OR workspace = ?5) AND (?6 = " AUDIT_NONE " OR resource = ?6) AND "            \
        "((?7 = '' AND ?8 = '') OR (method <> '' AND method IN (?7, ?8))) AND (?9 = '' OR uri = ?9) AND "    \
        "(?10 = '' OR request_id = ?10) AND (?11 = '' OR resource_type = ?11) AND "                          \
        "(?12 = '' OR action = ?12) AND (?13 = '' OR client = ?13) AND "                                     \
        "(?14 = 0 OR (?14 & (1 << kind)) <> 0) AND (?15 = 0 OR status = ?15)))"
/* Of the index alone, without looking at a row; ?15 only so that all parameters are there. */
#define AUDIT_LEAN(index, first)                                                                             \
        "FROM audit INDEXED BY " index " WHERE org = ?1 AND " first "at_ms >= ?2 AND at_ms <= ?3 AND ?15 = " \
        "0"
#define AUDIT_BY(by, index, first)                                                                           \
        [TK_SQL_AUDIT_LIST + (by)] = {"listing audit records",                                               \
                                      "SELECT " AUDIT_COLUMNS                                                \
                                      " " AUDIT_WHERE(index, first) " ORDER BY at_ms DESC, id DESC "         \
                                                                    "LIMIT ?16 OFFSET ?17"},                 \
                             [TK_SQL_AUDIT_COUNT + (by)] = {"counting audit records",                        \
                                                            "SELECT count(*) " AUDIT_WHERE(index, first)},   \
                             [TK_SQL_AUDIT_COUNT_LEAN + (by)] = {                                            \
                                     "counting audit records", "SELECT count(*) " AUDIT_LEAN(index, first)}

static const struct {
        const char *what; /* for the log: "while ..." */
        const char *sql;
} statements[TK_SQL_NR] = {
        [TK_SQL_BEGIN] = {"beginning a batch", "BEGIN IMMEDIATE"},
        [TK_SQL_COMMIT] = {"committing", "COMMIT"},
        [TK_SQL_ROLLBACK] = {"rolling back", "ROLLBACK"},
        [TK_SQL_MARK] = {"setting a mark", "SAVEPOINT job"},
        [TK_SQL_MARK_KEEP] = {"keeping a mark", "RELEASE job"},
        [TK_SQL_MARK_UNDO] = {"going back to a mark", "ROLLBACK TO job"},
        [TK_SQL_VERSION] = {"reading the version", "PRAGMA user_version"},
        [TK_SQL_ORG_INSERT] = {"writing the organisation",
                               "INSERT INTO org (id, name, created_ms) VALUES (?1, ?2, ?3)"},
        [TK_SQL_WORKSPACE_INSERT] = {"writing a workspace", "INSERT INTO workspace (" WORKSPACE_COLUMNS
                                                            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
        [TK_SQL_WORKSPACE_UPDATE] = {"changing a workspace",
                                     "UPDATE workspace SET slug = ?2, name = ?3, description = ?4, "
                                     "updated_ms = ?5 WHERE id = ?1 AND removed_ms = 0"},
        [TK_SQL_WORKSPACE_REMOVE] = {"removing a workspace",
                                     "UPDATE workspace SET removed_ms = ?2, updated_ms = ?2 "
                                     "WHERE id = ?1 AND removed_ms = 0"},
        [TK_SQL_WORKSPACE_KEYS_CHANGE] = {"noting the keys of a workspace", KEYS_CHANGE("workspace")},
        [TK_SQL_WORKSPACE_KEYS_REVOKE] = {"revoking the keys of a workspace", KEYS_REVOKE("workspace")},
        [TK_SQL_USER_INSERT] = {"writing a user", "INSERT INTO org_user (" USER_COLUMNS ") "
                                                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
        [TK_SQL_USER_UPDATE] = {"changing a user",
                                "UPDATE org_user SET email = ?2, first_name = ?3, last_name = ?4, role = ?5, "
                                "updated_ms = ?6 WHERE id = ?1 AND removed_ms = 0"},
        [TK_SQL_USER_REMOVE] = {"removing a user", "UPDATE org_user SET removed_ms = ?2, updated_ms = ?2 "
                                                   "WHERE id = ?1 AND removed_ms = 0"},
        [TK_SQL_USER_KEYS_CHANGE] = {"noting the keys of a user", KEYS_CHANGE("user_id")},
        [TK_SQL_USER_KEYS_REVOKE] = {"revoking the keys of a user", KEYS_REVOKE("user_id")},
        [TK_SQL_KEY_INSERT] = {"writing a key",
                               "INSERT INTO api_key (" KEY_COLUMNS ") "
                               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"},
        [TK_SQL_KEY_UPDATE] = {"changing a key",
                               "UPDATE api_key SET last6 = ?2, description = ?3, kind = ?4, privacy = ?5, "
                               "period = ?6, scopes = ?7, expires_ms = ?8, revoked_ms = ?9 WHERE id = ?1"},
        [TK_SQL_KEY_TOUCH] = {"touching a key",
                              "UPDATE api_key SET last_used_ms = max(last_used_ms, ?2) WHERE id = ?1"},
        [TK_SQL_PROFILE_PUT] =
                {"writing a profile",
                 "INSERT INTO api_key_profile (" PROFILE_COLUMNS ") "
                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET "
                 "updated_ms = excluded.updated_ms, reset_ms = excluded.reset_ms, "
                 "no_override = excluded.no_override, name = excluded.name, about = excluded.about, "
                 "config = excluded.config, emails = excluded.emails, metadata = excluded.metadata"},
        [TK_SQL_LIMIT_INSERT] = {"writing a limit",
                                 "INSERT INTO subject_limit (subject, ordinal, meter, window_kind, "
                                 "window_days, window_anchor, flags, cap, alert, base_number, base) "
                                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"},
        [TK_SQL_LIMIT_CLEAR] = {"removing limits", "DELETE FROM subject_limit WHERE subject = ?1"},
        [TK_SQL_TOPUP_GET] = {"reading a top-up", "SELECT " TOPUP_COLUMNS " FROM topup WHERE id = ?1"},
        [TK_SQL_TOPUP_INSERT] = {"writing a top-up",
                                 "INSERT INTO topup (" TOPUP_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5)"},
        [TK_SQL_CHANGE_INSERT] = {"noting a change", "INSERT INTO change (subject) VALUES (?1)"},
        [TK_SQL_USAGE_ADD] =
                {"adding usage",
                 "INSERT INTO usage (subject, span, number, usd, diem, vcu, requests, tokens) "
                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET "
                 "usd = usd + excluded.usd, diem = diem + excluded.diem, vcu = vcu + excluded.vcu, "
                 "requests = requests + excluded.requests, tokens = tokens + excluded.tokens"},
        [TK_SQL_ENTRY_FIND] = {"looking for an entry", "SELECT 1 FROM entry WHERE id = ?1"},
        [TK_SQL_ENTRY_INSERT] = {"writing an entry",
                                 "INSERT INTO entry (" ENTRY_COLUMNS ") "
                                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                                 "?16, ?17, ?18, ?19, ?20, ?21)"},
        [TK_SQL_LEASE_PUT] = {"writing a lease",
                              "INSERT INTO lease (" LEASE_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                              "ON CONFLICT DO UPDATE SET bound = excluded.bound"},
        [TK_SQL_LEASE_DROP] = {"removing a lease",
                               "DELETE FROM lease WHERE subject = ?1 AND meter = ?2 AND window_kind = ?3 AND "
                               "window_days = ?4 AND window_anchor = ?5 AND number = ?6"},
        [TK_SQL_DOUBT_GET] = {"reading a doubt", "SELECT " DOUBT_COLUMNS " FROM doubt WHERE " DOUBT_IS},
        [TK_SQL_DOUBT_PUT] = {"writing a doubt",
                              "INSERT INTO doubt (" DOUBT_COLUMNS ") "
                              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
                              "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount, "
                              "since_ms = min(since_ms, excluded.since_ms)"},
        [TK_SQL_DOUBT_DROP] = {"removing a doubt", "DELETE FROM doubt WHERE " DOUBT_IS},
        [TK_SQL_ALERT_INSERT] = {"writing an alert",
                                 "INSERT INTO alert (" ALERT_COLUMNS ") "
                                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                                 "?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26) "
                                 "ON CONFLICT (id) DO NOTHING"},
        [TK_SQL_ALERT_SENT_WEBHOOK] = {"noting a delivery",
                                       "UPDATE alert SET webhook_status = ?2, webhook_tries = ?3, "
                                       "webhook_next_ms = ?4, webhook_ended_ms = ?5, webhook_error = ?6 "
                                       "WHERE id = ?1"},
        [TK_SQL_ALERT_SENT_EMAIL] = {"noting a delivery",
                                     "UPDATE alert SET email_status = ?2, email_tries = ?3, "
                                     "email_next_ms = ?4, email_ended_ms = ?5, email_error = ?6 "
                                     "WHERE id = ?1"},
        [TK_SQL_META_PUT] = {"writing a setting", "INSERT INTO meta (name, value) VALUES (?1, ?2) "
                                                  "ON CONFLICT DO UPDATE SET value = excluded.value"},
        [TK_SQL_AUDIT_INSERT] = {"writing an audit record",
                                 "INSERT INTO audit (" AUDIT_COLUMNS ") "
                                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                                 "?16, ?17)"},
        [TK_SQL_AUDIT_KEPT] = {"removing audit records",
                               "INSERT INTO audit_kept (one, from_ms) VALUES (1, ?1) "
                               "ON CONFLICT DO UPDATE SET from_ms = max(from_ms, excluded.from_ms)"},
        [TK_SQL_AUDIT_TRIM] = {"removing audit records",
                               "DELETE FROM audit WHERE id IN (SELECT id FROM audit INDEXED BY audit_by_time "
                               "WHERE at_ms < ?1 ORDER BY at_ms, id LIMIT ?2)"},
        [TK_SQL_META_GET] = {"reading a setting", "SELECT value FROM meta WHERE name = ?1"},
        [TK_SQL_KEY_BY_ID] = {"reading a key", "SELECT " KEY_COLUMNS " FROM api_key WHERE id = ?1"},
        [TK_SQL_KEY_BY_DIGEST] = {"reading a key", "SELECT " KEY_COLUMNS " FROM api_key WHERE digest = ?1"},
        [TK_SQL_KEY_PLACE] = {"reading a key", "SELECT created_ms FROM api_key WHERE id = ?1 AND org = ?2"},
        [TK_SQL_KEY_LIST] = {"listing keys",
                             "SELECT " KEY_COLUMNS " FROM api_key WHERE org = ?1 AND revoked_ms = 0 AND "
                             "(created_ms, id) < (?3, ?4) AND (expires_ms = 0 OR expires_ms > ?2) "
                             "ORDER BY created_ms DESC, id DESC LIMIT ?5"},
        [TK_SQL_KEY_PAGE_ORG] = {"listing keys", KEY_PAGE("org = ?1")},
        [TK_SQL_KEY_PAGE_WORKSPACE] = {"listing keys", KEY_PAGE("org = ?1 AND workspace = ?5")},
        [TK_SQL_KEY_COUNT_ORG] = {"counting keys", KEY_COUNT("org = ?1")},
        [TK_SQL_KEY_COUNT_WORKSPACE] = {"counting keys", KEY_COUNT("org = ?1 AND workspace = ?3")},
        [TK_SQL_PROFILE_GET] = {"reading a profile",
                                "SELECT " PROFILE_COLUMNS " FROM api_key_profile WHERE key_id = ?1"},
        [TK_SQL_LIMIT_LIST] = {"reading limits",
                               "SELECT meter, window_kind, window_days, window_anchor, flags, cap, alert, "
                               "base_number, base "
                               "FROM subject_limit WHERE subject = ?1 ORDER BY ordinal"},
        [TK_SQL_TOPUP_LIST] = {"listing top-ups", "SELECT " TOPUP_COLUMNS " FROM topup WHERE subject = ?1 "
                                                  "ORDER BY at_ms, id"},
        [TK_SQL_USAGE_TOTAL] = {"reading usage", USAGE_TOTAL(USAGE_OWN)},
        [TK_SQL_USAGE_PARTS] = {"reading usage", USAGE_PARTS(USAGE_OWN)},
        [TK_SQL_USAGE_TOTAL_ORG] = {"reading usage", USAGE_GROUP_TOTAL("org")},
        [TK_SQL_USAGE_TOTAL_WORKSPACE] = {"reading usage", USAGE_GROUP_TOTAL("workspace")},
        [TK_SQL_USAGE_TOTAL_USER] = {"reading usage", USAGE_GROUP_TOTAL("user_id")},
        [TK_SQL_USAGE_PARTS_ORG] = {"reading usage", USAGE_GROUP_PARTS("org")},
        [TK_SQL_USAGE_PARTS_WORKSPACE] = {"reading usage", USAGE_GROUP_PARTS("workspace")},
        [TK_SQL_USAGE_PARTS_USER] = {"reading usage", USAGE_GROUP_PARTS("user_id")},
        [TK_SQL_ENTRY_GET] = {"reading an entry", "SELECT " ENTRY_COLUMNS " FROM entry WHERE id = ?1"},
        [TK_SQL_ENTRY_LIST_SUBJECT] = {"listing entries",
                                       "SELECT " ENTRY_COLUMNS " FROM entry WHERE subject = ?2 AND org = ?1 "
                                       "ORDER BY posted_at_ms DESC, id DESC LIMIT ?3"},
        [TK_SQL_ENTRY_LIST_ORG] = {"listing entries", "SELECT " ENTRY_COLUMNS " FROM entry WHERE org = ?1 "
                                                      "ORDER BY posted_at_ms DESC, id DESC LIMIT ?2"},
        [TK_SQL_LEASE_LIST] = {"listing leases", "SELECT " LEASE_COLUMNS " FROM lease"},
        [TK_SQL_DOUBT_LIST] = {"listing doubts", "SELECT " DOUBT_COLUMNS " FROM doubt " DOUBT_ORDER},
        [TK_SQL_DOUBT_LIST_SUBJECT] = {"listing doubts", "SELECT " DOUBT_COLUMNS " FROM doubt "
                                                         "WHERE subject = ?1 " DOUBT_ORDER},
        [TK_SQL_USER_BY_ID] = {"reading a user", "SELECT " USER_COLUMNS " FROM org_user WHERE id = ?1"},
        [TK_SQL_USER_BY_EMAIL] = {"reading a user", "SELECT " USER_COLUMNS " FROM org_user "
                                                    "WHERE org = ?1 AND email = ?2 AND removed_ms = 0"},
        [TK_SQL_USER_LIST] = {"listing users",
                              "SELECT " USER_COLUMNS " FROM org_user WHERE org = ?1 AND removed_ms = 0 AND "
                              "?2 >> role & 1 ORDER BY created_ms DESC, id DESC LIMIT ?4 OFFSET ?3"},
        [TK_SQL_USER_COUNT] = {"counting users", "SELECT count(*) FROM org_user WHERE org = ?1 AND "
                                                 "removed_ms = 0 AND ?2 >> role & 1"},
        [TK_SQL_WORKSPACE_BY_ID] = {"reading a workspace",
                                    "SELECT " WORKSPACE_COLUMNS " FROM workspace WHERE id = ?1"},
        [TK_SQL_WORKSPACE_BY_SLUG] = {"reading a workspace",
                                      "SELECT " WORKSPACE_COLUMNS " FROM workspace "
                                      "WHERE org = ?1 AND slug = ?2 AND removed_ms = 0"},
        [TK_SQL_WORKSPACE_LIST] = {"listing workspaces",
                                   "SELECT " WORKSPACE_COLUMNS " FROM workspace WHERE org = ?1 AND "
                                   "removed_ms = 0 ORDER BY created_ms DESC, id DESC LIMIT ?3 OFFSET ?2"},
        [TK_SQL_WORKSPACE_COUNT] = {"counting workspaces",
                                    "SELECT count(*) FROM workspace WHERE org = ?1 AND removed_ms = 0"},
        [TK_SQL_ALERT_LIST] = {"listing alerts", "SELECT " ALERT_COLUMNS " FROM alert WHERE org = ?1 "
                                                 "ORDER BY at_ms DESC, id DESC LIMIT ?2"},
        [TK_SQL_ALERT_DUE_WEBHOOK] = {"listing alerts",
                                      "SELECT " ALERT_COLUMNS " FROM alert WHERE webhook_status = 0 AND "
                                      "webhook_next_ms <= ?1 ORDER BY webhook_next_ms, id LIMIT ?2"},
        [TK_SQL_ALERT_DUE_EMAIL] = {"listing alerts",
                                    "SELECT " ALERT_COLUMNS " FROM alert WHERE email_status = 0 AND "
                                    "email_next_ms <= ?1 ORDER BY email_next_ms, id LIMIT ?2"},
        [TK_SQL_DOUBT_LIST_FROM] = {"listing doubts", "SELECT " DOUBT_COLUMNS " FROM doubt "
                                                      "WHERE subject >= ?1 " DOUBT_ORDER},
        [TK_SQL_CHANGES] = {"reading changes", "SELECT seq, subject FROM change WHERE seq > ?1 ORDER BY seq"},
        [TK_SQL_CHANGE_LAST] = {"reading changes", "SELECT coalesce(max(seq), 0) FROM change"},
        [TK_SQL_AUDIT_OLDEST] = {"reading audit records", "SELECT at_ms FROM audit INDEXED BY audit_by_time "
                                                          "WHERE at_ms >= 0 ORDER BY at_ms, id LIMIT 1"},
        AUDIT_BY(TK_AUDIT_BY_REQUEST, "audit_by_request", "request_id = ?10 AND "),
        AUDIT_BY(TK_AUDIT_BY_RESOURCE, "audit_by_resource", "resource = ?6 AND "),
        AUDIT_BY(TK_AUDIT_BY_ACTOR, "audit_by_actor", "actor = ?4 AND "),
        AUDIT_BY(TK_AUDIT_BY_URI, "audit_by_uri", "uri = ?9 AND "),
        AUDIT_BY(TK_AUDIT_BY_CLIENT, "audit_by_client", "client = ?13 AND "),
        AUDIT_BY(TK_AUDIT_BY_ACTION, "audit_by_action", "action = ?12 AND "),
        AUDIT_BY(TK_AUDIT_BY_TYPE, "audit_by_type", "resource_type = ?11 AND "),
        AUDIT_BY(TK_AUDIT_BY_WORKSPACE, "audit_by_workspace", "workspace = ?5 AND "),
        AUDIT_BY(TK_AUDIT_BY_ORG, "audit_by_org", ""),
};

/* ---- faults ---- */

static bool disk_is_full(int code, int system_errno) {
        return (code & 0xFF) == SQLITE_FULL ||
               ((code & 0xFF) == SQLITE_IOERR &&
                (system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG));
}

static enum tk_err err_of(int code, int system_errno) {
        if (disk_is_full(code, system_errno))
                return TK_E_FULL;
        if (code == SQLITE_IOERR_NOMEM)
                return TK_E_NO_MEMORY;
        switch (code & 0xFF) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return TK_E_BUSY;
        case SQLITE_NOMEM:
                return TK_E_NO_MEMORY;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return TK_E_READ_ONLY;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_FORMAT:
        case SQLITE_CONSTRAINT: /* every row was checked before, so a constraint found damage */
        case SQLITE_MISMATCH:
        case SQLITE_SCHEMA:
        case SQLITE_ERROR: /* our statements are sound; a table is not what it was */
                return TK_E_CORRUPT;
        case SQLITE_TOOBIG:
                return TK_E_TOO_BIG;
        default:
                return TK_E_IO;
        }
}

bool tk_sqlite_may_log(struct tk_sqlite_conn *conn, int code) {
        const int64_t now_ms = tk_clock_mono_ms();
        if (conn->opening)
                return false;
        if (code == conn->fault_code && now_ms - conn->fault_ms < LOG_AGAIN_MS) {
                conn->fault_more++;
                return false;
        }
        conn->fault_code = code;
        conn->fault_ms = now_ms;
        return true;
}

enum tk_err tk_sqlite_fault(struct tk_sqlite_conn *conn, int code, const char *what) {
        const int system_errno = conn->db ? sqlite3_system_errno(conn->db) : 0;
        const enum tk_err err = err_of(code, system_errno);

        if (conn->broken)
                *conn->broken = err;
        if (tk_sqlite_may_log(conn, code)) {
                tk_log(TK_ERROR, TK_STORE_AREA,
                       "%s while %s: %s (SQLite code %d, errno %d, %u more unlogged)", tk_err_text(err), what,
                       conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(code), code, system_errno,
                       conn->fault_more);
                conn->fault_more = 0;
        }
        return err;
}

/* ---- statements ---- */

static int prepare(struct tk_sqlite_conn *conn, enum tk_sqlite_stmt which) {
        return sqlite3_prepare_v3(conn->db, statements[which].sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  &conn->stmt[which], NULL);
}

enum tk_err tk_sqlite_prepare(struct tk_sqlite_conn *conn) {
        const int first = conn->broken ? 0 : TK_SQL_WRITER_NR;
        for (int i = first; i < TK_SQL_RARE; i++) {
                int code = prepare(conn, (enum tk_sqlite_stmt)i);
                if (code != SQLITE_OK)
                        return tk_sqlite_fault(conn, code, statements[i].what);
        }
        return TK_OK;
}

void tk_sqlite_finalize(struct tk_sqlite_conn *conn) {
        for (int i = 0; i < TK_SQL_NR; i++) {
                sqlite3_finalize(conn->stmt[i]);
                conn->stmt[i] = NULL;
        }
}

static bool is_rare(enum tk_sqlite_stmt which) {
        return which >= TK_SQL_RARE;
}

struct tk_sqlite_use tk_sqlite_begin(struct tk_sqlite_conn *conn, enum tk_sqlite_stmt which) {
        MUST(conn->stmt[which] || is_rare(which));
        const int code = conn->stmt[which] ? SQLITE_OK : prepare(conn, which);
        sqlite3_stmt *stmt = conn->stmt[which];
        MUST(!stmt || !sqlite3_stmt_busy(stmt)); /* a callback called the function that called it */
        return (struct tk_sqlite_use){.conn = conn, .stmt = stmt, .which = which, .code = code};
}

/* After a failure nothing more is bound; it comes out of run or next. */
static bool may_bind(struct tk_sqlite_use *use) {
        use->bound++;
        return use->code == SQLITE_OK;
}

void tk_sqlite_int(struct tk_sqlite_use *use, int64_t value) {
        if (may_bind(use))
                use->code = sqlite3_bind_int64(use->stmt, use->bound, value);
}

void tk_sqlite_blob(struct tk_sqlite_use *use, const void *at, size_t size) {
        /* A NULL pointer would bind NULL, not the empty value. */
        if (may_bind(use))
                use->code = sqlite3_bind_blob64(use->stmt, use->bound, size ? at : "", size, SQLITE_STATIC);
}

void tk_sqlite_id(struct tk_sqlite_use *use, const struct tk_id *id) {
        tk_sqlite_blob(use, id->b, sizeof id->b);
}

void tk_sqlite_str(struct tk_sqlite_use *use, struct tk_str text) {
        if (may_bind(use))
                use->code = sqlite3_bind_text64(use->stmt, use->bound, text.len ? text.at : "", text.len,
                                                SQLITE_STATIC, SQLITE_UTF8);
}

void tk_sqlite_text(struct tk_sqlite_use *use, const char *text) {
        tk_sqlite_str(use, tk_str_of(text));
}

void tk_sqlite_end(struct tk_sqlite_use *use) {
        if (!use->stmt)
                return;
        sqlite3_reset(use->stmt); /* repeats the code of the step, which was judged there */
        sqlite3_clear_bindings(use->stmt);
}

enum tk_err tk_sqlite_next(struct tk_sqlite_use *use) {
        if (use->code != SQLITE_OK)
                return tk_sqlite_fault(use->conn, use->code, statements[use->which].what);
        use->read = 0;
        use->bad = false;
        int code = sqlite3_step(use->stmt);
        if (code == SQLITE_ROW)
                return TK_OK;
        return code == SQLITE_DONE ? TK_E_NOT_FOUND
                                   : tk_sqlite_fault(use->conn, code, statements[use->which].what);
}

enum tk_err tk_sqlite_run(struct tk_sqlite_use *use) {
        int code = use->code == SQLITE_OK ? sqlite3_step(use->stmt) : use->code;
        enum tk_err err = TK_OK;
        MUST(code != SQLITE_ROW);
        if (code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_UNIQUE)
                err = TK_E_CONFLICT;
        else if (code != SQLITE_DONE)
                err = tk_sqlite_fault(use->conn, code, statements[use->which].what);
        tk_sqlite_end(use);
        return err;
}

enum tk_err tk_sqlite_run_plain(struct tk_sqlite_conn *conn, enum tk_sqlite_stmt which) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, which);
        return tk_sqlite_run(&use);
}

/* ---- columns ---- */

int64_t tk_sqlite_col_int(struct tk_sqlite_use *use, int64_t least, int64_t most) {
        const int at = use->read++;
        if (sqlite3_column_type(use->stmt, at) == SQLITE_INTEGER) {
                int64_t value = sqlite3_column_int64(use->stmt, at);
                if (value >= least && value <= most)
                        return value;
        }
        use->bad = true;
        return 0;
}

void tk_sqlite_col_blob(struct tk_sqlite_use *use, void *out, size_t size) {
        const int at = use->read++;
        const void *from = sqlite3_column_blob(use->stmt, at);
        if (from && sqlite3_column_type(use->stmt, at) == SQLITE_BLOB &&
            (size_t)sqlite3_column_bytes(use->stmt, at) == size) {
                memcpy(out, from, size);
                return;
        }
        memset(out, 0, size);
        use->bad = true;
}

struct tk_str tk_sqlite_col_str(struct tk_sqlite_use *use, size_t len_max) {
        const int at = use->read++;
        const bool is_text = sqlite3_column_type(use->stmt, at) == SQLITE_TEXT;
        const char *from = is_text ? (const char *)sqlite3_column_text(use->stmt, at) : NULL;
        const size_t len = from ? (size_t)sqlite3_column_bytes(use->stmt, at) : 0;
        if (from && len <= len_max && !memchr(from, '\0', len))
                return (struct tk_str){from, len};
        use->bad = true;
        return (struct tk_str){"", 0};
}

void tk_sqlite_col_text(struct tk_sqlite_use *use, char *out, size_t size) {
        const struct tk_str text = tk_sqlite_col_str(use, size - 1);
        memcpy(out, text.at, text.len);
        out[text.len] = '\0';
}
