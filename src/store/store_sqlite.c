/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQLite engine: one file in WAL mode, synchronous=FULL, one connection that writes and one for
 * each reader.
 *
 * A batch is one BEGIN IMMEDIATE .. COMMIT: the WAL is synced once, so a thousand posts cost one fsync. Other
 * processes may write to the file between two batches; the schema version is read again in each batch,
 * because a newer program may have migrated the file in the meantime.
 *
 * SQLite ends the transaction by itself after some faults (a full disk, for one). So after any fault the
 * batch counts as broken, and every end of a batch makes sure that no transaction stays open.
 *
 * A file that was removed or replaced under us can still be written, and all that is written is lost with
 * the process. So before each commit the names are looked up again.
 */
#include "store/store_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "store/migrate.h"
#include "store/store_sqlite_int.h"

static struct tk_sqlite_store *sqlite_of(struct tk_store *store) {
        return (struct tk_sqlite_store *)store;
}

static struct tk_sqlite_conn *conn_of(struct tk_store *store) {
        return &sqlite_of(store)->conn;
}

/* Leaves no transaction open. */
static enum tk_err roll_back(struct tk_sqlite_conn *conn) {
        return sqlite3_get_autocommit(conn->db) ? TK_OK : tk_sqlite_run_plain(conn, TK_SQL_ROLLBACK);
}

/* Everything but the connection. */
static void store_free(struct tk_sqlite_store *store) {
        tk_sqlite_usage_free(&store->usage);
        tk_sqlite_entries_free(&store->entries);
        free(store->path);
        free(store);
}

static struct tk_sqlite_store *store_new(void) {
        struct tk_sqlite_store *store = calloc(1, sizeof *store);
        if (!store)
                return NULL;
        store->usage = tk_sqlite_usage_new();
        store->entries = tk_sqlite_entries_new();
        if (store->usage && store->entries)
                return store;
        store_free(store);
        return NULL;
}

static void close_store(struct tk_store *base) {
        struct tk_sqlite_store *store = sqlite_of(base);
        if (roll_back(&store->conn)) {
                /* Logged; closing the connection drops it too. */
        }
        tk_sqlite_conn_close(&store->conn);
        store_free(store);
}

static enum tk_err open_store(const char *where, const struct tk_seed *seed, struct tk_store **out,
                              const struct tk_why *why) {
        struct tk_sqlite_store *store = store_new();
        if (!store) {
                tk_why_set(why, "out of memory");
                return TK_E_NO_MEMORY;
        }
        enum tk_err err = tk_sqlite_conn_open(&store->conn, where, &store->base, seed, why);
        if (err) {
                store_free(store);
                return err;
        }
        store->path = strdup(sqlite3_db_filename(store->conn.db, "main"));
        if (!store->path) {
                tk_why_set(why, "out of memory");
                close_store(&store->base);
                return TK_E_NO_MEMORY;
        }
        store->place = tk_sqlite_place_read(&store->conn);
        *out = &store->base;
        return TK_OK;
}

/* A newer program has migrated the file while this one runs. */
static enum tk_err newer(struct tk_sqlite_conn *conn, int64_t version) {
        if (tk_sqlite_may_log(conn, TK_SQLITE_CODE_NEWER))
                tk_log(TK_ERROR, TK_STORE_AREA,
                       "the store has become schema version %lld while this program knows %lld: "
                       "restart with the program that changed it",
                       (long long)version, (long long)tk_migrate_newest());
        return TK_E_NEWER;
}

static enum tk_err version_same(struct tk_sqlite_conn *conn) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_VERSION);
        enum tk_err err = tk_sqlite_next(&use);
        const int64_t version = err ? 0 : tk_sqlite_col_int(&use, 0, INT64_MAX);
        tk_sqlite_end(&use);
        if (!err && version != tk_migrate_newest())
                err = newer(conn, version);
        return err;
}

static enum tk_err begin(struct tk_store *store) {
        struct tk_sqlite_conn *conn = conn_of(store);
        enum tk_err err = roll_back(conn); /* what an earlier rollback could not */
        if (!err)
                err = tk_sqlite_run_plain(conn, TK_SQL_BEGIN);
        if (!err) {
                err = version_same(conn);
                if (err && roll_back(conn))
                        return TK_E_IO;
        }
        return err;
}

static void rollback(struct tk_store *store) {
        tk_sqlite_usage_forget(sqlite_of(store)->usage);
        tk_sqlite_entries_forget(sqlite_of(store)->entries);
        sqlite_of(store)->saved = false;
        if (roll_back(conn_of(store))) {
                /* Logged; the next begin tries again. */
        }
}

static enum tk_err still_there(struct tk_sqlite_store *store) {
        const struct tk_sqlite_place now = tk_sqlite_place_read(&store->conn);
        if (!store->place.inode[1]) {
                store->place.device[1] = now.device[1];
                store->place.inode[1] = now.inode[1];
        }
        if (now.inode[0] && now.inode[1] && memcmp(&now, &store->place, sizeof now) == 0)
                return TK_OK;
        if (tk_sqlite_may_log(&store->conn, TK_SQLITE_CODE_MOVED))
                tk_log(TK_ERROR, TK_STORE_AREA,
                       "%s, or its -wal, was removed or replaced while it is in use; nothing is written "
                       "until the "
                       "very files are back",
                       store->path);
        return TK_E_IO;
}

static enum tk_err commit(struct tk_store *base) {
        struct tk_sqlite_store *store = sqlite_of(base);
        enum tk_err err = still_there(store);
        if (!err)
                err = tk_sqlite_entries_flush(store->entries, &store->conn);
        if (!err)
                err = tk_sqlite_usage_flush(store->usage, &store->conn);
        if (!err)
                err = tk_sqlite_run_plain(&store->conn, TK_SQL_COMMIT);
        if (err)
                rollback(base);
        return err;
}

/*
 * A mark costs nothing until its job writes to the file itself (conn_get() in store_sqlite_write.c): posts,
 * the bulk of all jobs, only gather.
 */
static enum tk_err mark(struct tk_store *store) {
        MUST(!sqlite_of(store)->saved);
        tk_sqlite_usage_mark(sqlite_of(store)->usage);
        tk_sqlite_entries_mark(sqlite_of(store)->entries);
        return TK_OK;
}

static enum tk_err release(struct tk_sqlite_store *store) {
        store->saved = false;
        return tk_sqlite_run_plain(&store->conn, TK_SQL_MARK_KEEP);
}

static enum tk_err mark_keep(struct tk_store *base) {
        struct tk_sqlite_store *store = sqlite_of(base);
        tk_sqlite_usage_mark_keep(store->usage);
        return store->saved ? release(store) : TK_OK;
}

static enum tk_err mark_undo(struct tk_store *base) {
        struct tk_sqlite_store *store = sqlite_of(base);
        tk_sqlite_usage_mark_undo(store->usage);
        tk_sqlite_entries_mark_undo(store->entries);
        if (!store->saved)
                return TK_OK;
        enum tk_err err = tk_sqlite_run_plain(&store->conn, TK_SQL_MARK_UNDO);
        return err ? err : release(store);
}

static enum tk_err key_get(struct tk_store *store, struct tk_id id, struct tk_key *out) {
        return tk_sqlite_key_get(conn_of(store), id, out);
}

static enum tk_err profile_get(struct tk_store *store, struct tk_id key, struct tk_profile *out) {
        return tk_sqlite_profile_get(conn_of(store), key, out);
}

const struct tk_store_ops tk_store_sqlite_ops = {
        .name = "sqlite",
        .wants_where = true,
        .open = open_store,
        .close = close_store,
        .begin = begin,
        .commit = commit,
        .rollback = rollback,
        .mark = mark,
        .mark_keep = mark_keep,
        .mark_undo = mark_undo,
        .key_insert = tk_sqlite_key_insert,
        .key_update = tk_sqlite_key_update,
        .key_touch = tk_sqlite_key_touch,
        .key_get = key_get,
        .profile_put = tk_sqlite_profile_put,
        .profile_get = profile_get,
        .usage_add = tk_sqlite_usage_add,
        .entry_add = tk_sqlite_entry_add,
        .limits_put = tk_sqlite_limits_put,
        .limits_get = tk_sqlite_limits_get,
        .topup_get = tk_sqlite_topup_get,
        .topup_add = tk_sqlite_topup_add,
        .lease_put = tk_sqlite_lease_put,
        .lease_drop = tk_sqlite_lease_drop,
        .doubt_put = tk_sqlite_doubt_put,
        .doubt_drop = tk_sqlite_doubt_drop,
        .alert_add = tk_sqlite_alert_add,
        .alert_sent = tk_sqlite_alert_sent,
        .change_add = tk_sqlite_change_add,
        .meta_put = tk_sqlite_meta_put,
        .audit_add = tk_sqlite_audit_add,
        .audit_trim = tk_sqlite_audit_trim,
        .reader_open = tk_sqlite_reader_open,
        .reader_close = tk_sqlite_reader_close,
        .key_by_digest = tk_sqlite_reader_key_by_digest,
        .key_by_id = tk_sqlite_reader_key_by_id,
        .key_list = tk_sqlite_reader_key_list,
        .profile = tk_sqlite_reader_profile,
        .key_page = tk_sqlite_reader_key_page,
        .usage_sum = tk_sqlite_reader_usage_sum,
        .usage_sum_group = tk_sqlite_reader_usage_sum_group,
        .limits = tk_sqlite_reader_limits,
        .entry_get = tk_sqlite_reader_entry_get,
        .topup_list = tk_sqlite_reader_topup_list,
        .entry_list = tk_sqlite_reader_entry_list,
        .lease_list = tk_sqlite_reader_lease_list,
        .doubt_list = tk_sqlite_reader_doubt_list,
        .alert_list = tk_sqlite_reader_alert_list,
        .alert_due = tk_sqlite_reader_alert_due,
        .doubt_list_from = tk_sqlite_reader_doubt_list_from,
        .changes = tk_sqlite_reader_changes,
        .change_last = tk_sqlite_reader_change_last,
        .meta_get = tk_sqlite_reader_meta_get,
        .user_insert = tk_sqlite_user_insert,
        .user_update = tk_sqlite_user_update,
        .user_remove = tk_sqlite_user_remove,
        .workspace_insert = tk_sqlite_workspace_insert,
        .workspace_update = tk_sqlite_workspace_update,
        .workspace_remove = tk_sqlite_workspace_remove,
        .user_get = tk_sqlite_user_get,
        .workspace_get = tk_sqlite_workspace_get,
        .user_by_id = tk_sqlite_reader_user_by_id,
        .user_by_email = tk_sqlite_reader_user_by_email,
        .user_list = tk_sqlite_reader_user_list,
        .user_count = tk_sqlite_reader_user_count,
        .workspace_by_id = tk_sqlite_reader_workspace_by_id,
        .workspace_by_slug = tk_sqlite_reader_workspace_by_slug,
        .workspace_list = tk_sqlite_reader_workspace_list,
        .workspace_count = tk_sqlite_reader_workspace_count,
        .audit_list = tk_sqlite_reader_audit_list,
        .audit_count = tk_sqlite_reader_audit_count,
        .audit_oldest = tk_sqlite_reader_audit_oldest,
};
