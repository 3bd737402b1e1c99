/* SPDX-License-Identifier: Apache-2.0
 *
 * store_sqlite_int: what the files of the SQLite engine share. Only store_sqlite*.c include this.
 *
 *   store_sqlite.c        the table of functions; the batch
 *   store_sqlite_open.c   the file: where it is, whether it is ours, how it is set up
 *   store_sqlite_stmt.c   every SQL statement, binding, stepping, faults
 *   store_sqlite_row.c    rows to structs
 *   store_sqlite_write.c  what a batch writes
 *   store_sqlite_people.c users and workspaces, written and read
 *   store_sqlite_entry.c  the entries of a batch, gathered before they are written
 *   store_sqlite_usage.c  the same for its usage
 *   store_sqlite_audit.c  the audit log, written and read
 *   store_sqlite_read.c   what readers read
 *
 * A connection belongs to one thread at a time, so SQLite's own mutexes are off.
 */
#ifndef TK_STORE_STORE_SQLITE_INT_H
#define TK_STORE_STORE_SQLITE_INT_H

#include <sqlite3.h>

#include "store/store_sqlite.h"

/* Which index leads to the rows of a filter: that of the first of these which it names. */
enum tk_sqlite_audit_by {
        TK_AUDIT_BY_REQUEST,
        TK_AUDIT_BY_RESOURCE,
        TK_AUDIT_BY_ACTOR,
        TK_AUDIT_BY_URI,
        TK_AUDIT_BY_CLIENT,
        TK_AUDIT_BY_ACTION,
        TK_AUDIT_BY_TYPE,
        TK_AUDIT_BY_WORKSPACE,
        TK_AUDIT_BY_ORG,
        TK_AUDIT_BY_NR
};

enum tk_sqlite_stmt {
        TK_SQL_BEGIN,
        TK_SQL_COMMIT,
        TK_SQL_ROLLBACK,
        TK_SQL_MARK,
        TK_SQL_MARK_KEEP,
        TK_SQL_MARK_UNDO,
        TK_SQL_VERSION,
        TK_SQL_ORG_INSERT,
        TK_SQL_WORKSPACE_INSERT,
        TK_SQL_WORKSPACE_UPDATE,
        TK_SQL_WORKSPACE_REMOVE,
        TK_SQL_WORKSPACE_KEYS_CHANGE,
        TK_SQL_WORKSPACE_KEYS_REVOKE,
        TK_SQL_USER_INSERT,
        TK_SQL_USER_UPDATE,
        TK_SQL_USER_REMOVE,
        TK_SQL_USER_KEYS_CHANGE,
        TK_SQL_USER_KEYS_REVOKE,
        TK_SQL_KEY_INSERT,
        TK_SQL_KEY_UPDATE,
        TK_SQL_KEY_TOUCH,
        TK_SQL_PROFILE_PUT,
        TK_SQL_LIMIT_INSERT,
        TK_SQL_LIMIT_CLEAR,
        TK_SQL_TOPUP_GET,
        TK_SQL_TOPUP_INSERT,
        TK_SQL_CHANGE_INSERT,
        TK_SQL_USAGE_ADD,
        TK_SQL_ENTRY_FIND,
        TK_SQL_ENTRY_INSERT,
        TK_SQL_LEASE_PUT,
        TK_SQL_LEASE_DROP,
        TK_SQL_DOUBT_GET,
        TK_SQL_DOUBT_PUT,
        TK_SQL_DOUBT_DROP,
        TK_SQL_ALERT_INSERT,
        TK_SQL_ALERT_SENT_WEBHOOK,
        TK_SQL_ALERT_SENT_EMAIL,
        TK_SQL_META_PUT,
        TK_SQL_AUDIT_INSERT,
        TK_SQL_AUDIT_KEPT,
        TK_SQL_AUDIT_TRIM,
        TK_SQL_WRITER_NR, /* readers prepare only what follows; the writer everything */
        TK_SQL_META_GET = TK_SQL_WRITER_NR,
        TK_SQL_KEY_BY_ID,
        TK_SQL_KEY_BY_DIGEST,
        TK_SQL_KEY_PLACE,
        TK_SQL_KEY_LIST,
        TK_SQL_KEY_PAGE_ORG,
        TK_SQL_KEY_PAGE_WORKSPACE,
        TK_SQL_KEY_COUNT_ORG,
        TK_SQL_KEY_COUNT_WORKSPACE,
        TK_SQL_PROFILE_GET,
        TK_SQL_LIMIT_LIST,
        TK_SQL_TOPUP_LIST,
        TK_SQL_USAGE_TOTAL,
        TK_SQL_USAGE_PARTS,
        TK_SQL_USAGE_TOTAL_ORG,
        TK_SQL_USAGE_TOTAL_WORKSPACE,
        TK_SQL_USAGE_TOTAL_USER,
        TK_SQL_USAGE_PARTS_ORG,
        TK_SQL_USAGE_PARTS_WORKSPACE,
        TK_SQL_USAGE_PARTS_USER,
        TK_SQL_ENTRY_GET,
        TK_SQL_ENTRY_LIST_SUBJECT,
        TK_SQL_ENTRY_LIST_ORG,
        TK_SQL_LEASE_LIST,
        TK_SQL_DOUBT_LIST,
        TK_SQL_DOUBT_LIST_SUBJECT,
        TK_SQL_USER_BY_ID,
        TK_SQL_USER_BY_EMAIL,
        TK_SQL_USER_LIST,
        TK_SQL_USER_COUNT,
        TK_SQL_WORKSPACE_BY_ID,
        TK_SQL_WORKSPACE_BY_SLUG,
        TK_SQL_WORKSPACE_LIST,
        TK_SQL_WORKSPACE_COUNT,
        TK_SQL_ALERT_LIST,
        TK_SQL_ALERT_DUE_WEBHOOK,
        TK_SQL_ALERT_DUE_EMAIL,
        TK_SQL_DOUBT_LIST_FROM,
        TK_SQL_CHANGES,
        TK_SQL_CHANGE_LAST,
        TK_SQL_AUDIT_OLDEST,
        TK_SQL_RARE,                     /* what follows is prepared when it is first used */
        TK_SQL_AUDIT_LIST = TK_SQL_RARE, /* one for each tk_sqlite_audit_by */
        TK_SQL_AUDIT_COUNT = TK_SQL_AUDIT_LIST + TK_AUDIT_BY_NR,
        TK_SQL_AUDIT_COUNT_LEAN = TK_SQL_AUDIT_COUNT + TK_AUDIT_BY_NR, /* nothing else is asked */
        TK_SQL_NR = TK_SQL_AUDIT_COUNT_LEAN + TK_AUDIT_BY_NR
};

enum tk_sqlite_span { TK_SPAN_TOTAL, TK_SPAN_DAY, TK_SPAN_HOUR }; /* stored: append only */

struct tk_sqlite_conn {
        sqlite3 *db;
        sqlite3_stmt *stmt[TK_SQL_NR];
        enum tk_err *broken; /* the writer's: where a fault is remembered; NULL in a reader */
        int64_t busy_until_ms;
        bool opening; /* faults go to the one who opens and not to the log */
        /* the last fault that was logged, so that a full disk does not also fill the log */
        int fault_code;
        int64_t fault_ms;
        unsigned fault_more;
};

/* Which files the names of a store stand for: its own and that of its WAL. */
struct tk_sqlite_place {
        uint64_t device[2], inode[2];
};

struct tk_sqlite_store {
        struct tk_store base;
        struct tk_sqlite_conn conn;
        struct tk_sqlite_usage *usage;
        struct tk_sqlite_entries *entries;
        bool saved; /* the marked job has a savepoint, because it has written something */
        char *path; /* full, so that a reader finds it wherever the process stands by then */
        struct tk_sqlite_place place; /* at open; its WAL, which may come later, at the first commit */
};

struct tk_sqlite_reader {
        struct tk_reader base;
        struct tk_sqlite_conn conn;
};

/* ---- store_sqlite_open.c ---- */

TK_CHECKED enum tk_err tk_sqlite_conn_open(struct tk_sqlite_conn *conn, const char *path,
                                           struct tk_store *store, const struct tk_seed *seed,
                                           const struct tk_why *why);
TK_CHECKED enum tk_err tk_sqlite_conn_open_reader(struct tk_sqlite_conn *conn, const char *path);
void tk_sqlite_conn_close(struct tk_sqlite_conn *conn);
/* All zero for one that is not there. */
struct tk_sqlite_place tk_sqlite_place_read(const struct tk_sqlite_conn *conn);

/* ---- store_sqlite_stmt.c ---- */

/* Logs what happened while doing `what`, marks the batch as broken, and says which fault it is. */
enum tk_err tk_sqlite_fault(struct tk_sqlite_conn *conn, int code, const char *what);
/* Whether a fault of this code shall be logged now: not while opening, and not twice in a second. */
bool tk_sqlite_may_log(struct tk_sqlite_conn *conn, int code);
#define TK_SQLITE_CODE_NEWER (-1) /* not SQLite's */
#define TK_SQLITE_CODE_MOVED (-2)
TK_CHECKED enum tk_err tk_sqlite_prepare(struct tk_sqlite_conn *conn);
void tk_sqlite_finalize(struct tk_sqlite_conn *conn);

/*
 * One use of a statement: begin, bind each parameter in order, then run it or step through its rows, end.
 * A failure to bind is remembered and comes out of run or next. What is bound must live until the end.
 */
struct tk_sqlite_use {
        struct tk_sqlite_conn *conn;
        sqlite3_stmt *stmt;
        enum tk_sqlite_stmt which;
        int bound; /* parameters */
        int code;  /* first failure of a bind */
        int read;  /* columns of this row */
        bool bad;  /* a column was not what it must be */
};

struct tk_sqlite_use tk_sqlite_begin(struct tk_sqlite_conn *conn, enum tk_sqlite_stmt which);
void tk_sqlite_int(struct tk_sqlite_use *use, int64_t value);
void tk_sqlite_blob(struct tk_sqlite_use *use, const void *at, size_t size);
void tk_sqlite_id(struct tk_sqlite_use *use, const struct tk_id *id);
void tk_sqlite_text(struct tk_sqlite_use *use, const char *text);
void tk_sqlite_str(struct tk_sqlite_use *use, struct tk_str text);
/* TK_OK: there is a row. NOT_FOUND: no more. Otherwise a fault. */
TK_CHECKED enum tk_err tk_sqlite_next(struct tk_sqlite_use *use);
void tk_sqlite_end(struct tk_sqlite_use *use);
/* A statement without rows, from step to end. CONFLICT: a primary key or unique index says it exists. */
TK_CHECKED enum tk_err tk_sqlite_run(struct tk_sqlite_use *use);
TK_CHECKED enum tk_err tk_sqlite_run_plain(struct tk_sqlite_conn *conn, enum tk_sqlite_stmt which);

/* Columns of the row, in order. One of the wrong type, length or range sets bad and gives a zero. */
int64_t tk_sqlite_col_int(struct tk_sqlite_use *use, int64_t least, int64_t most);
void tk_sqlite_col_blob(struct tk_sqlite_use *use, void *out, size_t size); /* exactly this size */
void tk_sqlite_col_text(struct tk_sqlite_use *use, char *out, size_t size);
/* In place: until the next row or the end. */
struct tk_str tk_sqlite_col_str(struct tk_sqlite_use *use, size_t len_max);

/* ---- store_sqlite_row.c ---- */

/* The row that use stands on, with its limits. CORRUPT when it cannot be one (logged). */
TK_CHECKED enum tk_err tk_sqlite_key_read(struct tk_sqlite_use *use, struct tk_key *out);
TK_CHECKED enum tk_err tk_sqlite_key_get(struct tk_sqlite_conn *conn, struct tk_id id, struct tk_key *out);
TK_CHECKED enum tk_err tk_sqlite_profile_get(struct tk_sqlite_conn *conn, struct tk_id key,
                                             struct tk_profile *out);
/* Of a key or another subject, in their order. */
TK_CHECKED enum tk_err tk_sqlite_limits_read(struct tk_sqlite_conn *conn, struct tk_id subject,
                                             struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr);
TK_CHECKED enum tk_err tk_sqlite_topup_read(struct tk_sqlite_use *use, struct tk_topup *out);
TK_CHECKED enum tk_err tk_sqlite_entry_read(struct tk_sqlite_use *use, struct tk_entry *out);
TK_CHECKED enum tk_err tk_sqlite_lease_read(struct tk_sqlite_use *use, struct tk_lease *out);
TK_CHECKED enum tk_err tk_sqlite_doubt_read(struct tk_sqlite_use *use, struct tk_doubt *out);
TK_CHECKED enum tk_err tk_sqlite_alert_read(struct tk_sqlite_use *use, struct tk_alert *out);
/* NOT_FOUND; TOO_BIG: more than size. */
TK_CHECKED enum tk_err tk_sqlite_meta_get(struct tk_sqlite_conn *conn, const char *name, void *out,
                                          size_t size, size_t *len);

/* ---- store_sqlite_write.c ---- */

/* The connection to write with, after the savepoint of the running job, if it has a mark and none yet. */
TK_CHECKED enum tk_err tk_sqlite_conn_get(struct tk_store *store, struct tk_sqlite_conn **out);
/* Runs a statement that changes the one row of a thing. NOT_FOUND: there is none. */
TK_CHECKED enum tk_err tk_sqlite_run_on_row(struct tk_sqlite_use *use);
TK_CHECKED enum tk_err tk_sqlite_insert_change(struct tk_sqlite_conn *conn, struct tk_id subject);
tk_store_key_write_f tk_sqlite_key_insert, tk_sqlite_key_update;
tk_store_key_touch_f tk_sqlite_key_touch;
tk_store_profile_put_f tk_sqlite_profile_put;
tk_store_limits_put_f tk_sqlite_limits_put;
tk_store_limits_get_f tk_sqlite_limits_get;
tk_store_topup_get_f tk_sqlite_topup_get;
tk_store_topup_add_f tk_sqlite_topup_add;
tk_store_lease_f tk_sqlite_lease_put, tk_sqlite_lease_drop;
tk_store_doubt_f tk_sqlite_doubt_put, tk_sqlite_doubt_drop;
tk_store_alert_add_f tk_sqlite_alert_add;
tk_store_alert_sent_f tk_sqlite_alert_sent;
tk_store_change_add_f tk_sqlite_change_add;
tk_store_meta_put_f tk_sqlite_meta_put;

/* ---- store_sqlite_people.c ---- */

/* Into a transaction that is no batch. */
TK_CHECKED enum tk_err tk_sqlite_workspace_write(struct tk_sqlite_conn *conn,
                                                 const struct tk_workspace *workspace);
tk_store_user_write_f tk_sqlite_user_insert, tk_sqlite_user_update;
tk_store_user_get_f tk_sqlite_user_get;
tk_store_remove_f tk_sqlite_user_remove, tk_sqlite_workspace_remove;
tk_store_workspace_write_f tk_sqlite_workspace_insert, tk_sqlite_workspace_update;
tk_store_workspace_get_f tk_sqlite_workspace_get;
tk_reader_user_by_id_f tk_sqlite_reader_user_by_id;
tk_reader_user_by_email_f tk_sqlite_reader_user_by_email;
tk_reader_user_list_f tk_sqlite_reader_user_list;
tk_reader_user_count_f tk_sqlite_reader_user_count;
tk_reader_workspace_by_id_f tk_sqlite_reader_workspace_by_id;
tk_reader_workspace_by_slug_f tk_sqlite_reader_workspace_by_slug;
tk_reader_workspace_list_f tk_sqlite_reader_workspace_list;
tk_reader_workspace_count_f tk_sqlite_reader_workspace_count;

/* ---- store_sqlite_entry.c ---- */

struct tk_sqlite_entries *tk_sqlite_entries_new(void); /* NULL: out of memory */
void tk_sqlite_entries_free(struct tk_sqlite_entries **entries);
tk_store_entry_add_f tk_sqlite_entry_add;
void tk_sqlite_entries_mark(struct tk_sqlite_entries *entries);
void tk_sqlite_entries_mark_undo(struct tk_sqlite_entries *entries);
/* Writes what was gathered, and forgets it. */
TK_CHECKED enum tk_err tk_sqlite_entries_flush(struct tk_sqlite_entries *entries,
                                               struct tk_sqlite_conn *conn);
void tk_sqlite_entries_forget(struct tk_sqlite_entries *entries);

/* ---- store_sqlite_usage.c ---- */

struct tk_sqlite_usage *tk_sqlite_usage_new(void); /* NULL: out of memory */
void tk_sqlite_usage_free(struct tk_sqlite_usage **usage);
tk_store_usage_add_f tk_sqlite_usage_add;
void tk_sqlite_usage_mark(struct tk_sqlite_usage *usage);
void tk_sqlite_usage_mark_keep(struct tk_sqlite_usage *usage);
void tk_sqlite_usage_mark_undo(struct tk_sqlite_usage *usage);
/* Writes what was gathered, and forgets it. */
TK_CHECKED enum tk_err tk_sqlite_usage_flush(struct tk_sqlite_usage *usage, struct tk_sqlite_conn *conn);
void tk_sqlite_usage_forget(struct tk_sqlite_usage *usage);

/* ---- store_sqlite_audit.c ---- */

tk_store_audit_add_f tk_sqlite_audit_add;
tk_store_audit_trim_f tk_sqlite_audit_trim;
tk_reader_audit_list_f tk_sqlite_reader_audit_list;
tk_reader_audit_count_f tk_sqlite_reader_audit_count;
tk_reader_audit_oldest_f tk_sqlite_reader_audit_oldest;

/* ---- store_sqlite_read.c ---- */

tk_reader_open_f tk_sqlite_reader_open;
tk_reader_close_f tk_sqlite_reader_close;
tk_reader_key_by_digest_f tk_sqlite_reader_key_by_digest;
tk_reader_key_by_id_f tk_sqlite_reader_key_by_id;
tk_reader_key_list_f tk_sqlite_reader_key_list;
tk_reader_profile_get_f tk_sqlite_reader_profile;
tk_reader_key_page_f tk_sqlite_reader_key_page;
tk_reader_usage_sum_f tk_sqlite_reader_usage_sum;
tk_reader_usage_sum_group_f tk_sqlite_reader_usage_sum_group;
tk_reader_limits_f tk_sqlite_reader_limits;
tk_reader_entry_get_f tk_sqlite_reader_entry_get;
tk_reader_topup_list_f tk_sqlite_reader_topup_list;
tk_reader_entry_list_f tk_sqlite_reader_entry_list;
tk_reader_lease_list_f tk_sqlite_reader_lease_list;
tk_reader_doubt_list_f tk_sqlite_reader_doubt_list;
tk_reader_alert_list_f tk_sqlite_reader_alert_list;
tk_reader_alert_due_f tk_sqlite_reader_alert_due;
tk_reader_doubt_list_f tk_sqlite_reader_doubt_list_from;
tk_reader_changes_f tk_sqlite_reader_changes;
tk_reader_change_last_f tk_sqlite_reader_change_last;
tk_reader_meta_get_f tk_sqlite_reader_meta_get;

#endif
