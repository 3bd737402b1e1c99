/* SPDX-License-Identifier: Apache-2.0
 *
 * The file: where it is, whether it is ours, how a connection to it is set up.
 *
 *   make the folder and the file (0700, 0600) if they are missing
 *   look, without writing: is it empty, ours, too new, or somebody else's?
 *   switch to WAL, migrate, note the first organisation
 *
 * A file is ours when its application_id says so; an empty one becomes ours in the first migration. Any
 * number of processes may have it open, which is how `tollkey key create` works beside a running server; all
 * of this must therefore hold when two of them start on an empty folder at the same time. Writers take
 * turns by BEGIN IMMEDIATE. While one waits it asks every millisecond: with SQLite's own, ever longer
 * pauses a command would starve beside a busy server.
 */
#include "store/store_sqlite_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rt/clock.h"
#include "rt/log.h"
#include "store/migrate.h"

#define APPLICATION_ID     0x544B4C59 /* "TKLY" */
#define APPLICATION_ID_SQL "PRAGMA application_id = 1414220889"
#define BUSY_MS            5000

_Static_assert(APPLICATION_ID == 1414220889, "the literal above is the same number");

static const char setup_all[] =
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; "
        "PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;";
/* The WAL is cut back after a checkpoint, so that one long reader does not cost its size for ever. */
static const char setup_writer[] = "PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 2000; "
                                   "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768;";
static const char setup_reader[] = "PRAGMA query_only = ON; PRAGMA cache_size = -8192;";

/* ---- waiting for a turn ---- */

static int wait_turn(void *ctx, int count) {
        struct tk_sqlite_conn *conn = ctx;
        const struct timespec pause = {.tv_nsec = 1000000};
        const int64_t now_ms = tk_clock_mono_ms();
        if (count == 0)
                conn->busy_until_ms = now_ms + BUSY_MS;
        if (now_ms >= conn->busy_until_ms)
                return 0;
        nanosleep(&pause, NULL);
        return 1;
}

/* ---- the file and its folder ---- */

static enum tk_err place_fault(const char *path, const char *what, const struct tk_why *why) {
        const int code = errno;
        tk_why_set(why, "store %s: %s: %s", path, what, strerror(code));
        if (code == ENOSPC || code == EDQUOT)
                return TK_E_FULL;
        return code == EACCES || code == EPERM || code == EROFS ? TK_E_READ_ONLY : TK_E_IO;
}

/* The folder of path: everything before its last '/', or ".". False: out of memory. */
static bool folder_of(const char *path, char **out) {
        const char *slash = strrchr(path, '/');
        if (!slash)
                *out = strdup(".");
        else
                *out = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
        return *out != NULL;
}

/* A name is durable only when its folder is. Where a file system cannot do that there is nothing to do. */
static void sync_folder(const char *folder) {
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return;
        fsync(fd);
        close(fd);
}

static enum tk_err make_folder(const char *folder, const struct tk_why *why) {
        char *above;
        if (mkdir(folder, 0700) != 0)
                return errno == EEXIST ? TK_OK : place_fault(folder, "cannot make this folder", why);
        if (folder_of(folder, &above)) {
                sync_folder(above);
                free(above);
        }
        return TK_OK;
}

/*
 * Makes the file, empty, if it is not there: SQLite would make it readable by everyone. A file that is there
 * is not opened here, because closing it again would drop the locks of this process on it.
 */
static enum tk_err make_file(const char *path, const struct tk_why *why) {
        char *folder;
        if (access(path, F_OK) == 0)
                return TK_OK;
        if (!folder_of(path, &folder)) {
                tk_why_set(why, "out of memory");
                return TK_E_NO_MEMORY;
        }
        enum tk_err err = access(folder, F_OK) == 0 ? TK_OK : make_folder(folder, why);
        if (!err) {
                int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd >= 0) {
                        close(fd);
                        sync_folder(folder);
                } else if (errno != EEXIST) {
                        err = place_fault(path, "cannot make this file", why);
                }
        }
        free(folder);
        return err;
}

struct tk_sqlite_place tk_sqlite_place_read(const struct tk_sqlite_conn *conn) {
        struct tk_sqlite_place place = {{0}, {0}};
        const char *path = sqlite3_db_filename(conn->db, "main");
        const char *names[2] = {path, sqlite3_filename_wal(path)};
        for (int i = 0; i < 2; i++) {
                struct stat st;
                if (stat(names[i], &st) != 0)
                        continue;
                place.device[i] = st.st_dev;
                place.inode[i] = st.st_ino;
        }
        return place;
}

/* Under a second name the file would get a second WAL, and two servers would each serve half of the truth. */
static enum tk_err one_name(const char *path, const struct tk_why *why) {
        struct stat st;
        if (stat(path, &st) != 0)
                return place_fault(path, "cannot look at this file", why);
        if (!S_ISREG(st.st_mode) || st.st_nlink <= 1)
                return TK_OK;
        tk_why_set(why, "store %s: this file has %llu names (hard links); it must have one", path,
                   (unsigned long long)st.st_nlink);
        return TK_E_CONFLICT;
}

/* ---- a connection ---- */

static enum tk_err exec(struct tk_sqlite_conn *conn, const char *sql, const char *what) {
        int code = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
        return code == SQLITE_OK ? TK_OK : tk_sqlite_fault(conn, code, what);
}

/* One number from a statement that is used once. */
static enum tk_err exec_int(struct tk_sqlite_conn *conn, const char *sql, int64_t *out) {
        sqlite3_stmt *stmt = NULL;
        int code = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_step(stmt);
        if (code == SQLITE_ROW)
                *out = sqlite3_column_int64(stmt, 0);
        enum tk_err err = code == SQLITE_ROW ? TK_OK : tk_sqlite_fault(conn, code, "looking at the file");
        sqlite3_finalize(stmt);
        return err;
}

static enum tk_err connect(struct tk_sqlite_conn *conn, const char *path, const char *more) {
        const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                          SQLITE_OPEN_EXRESCODE;
        char *plain = NULL;

        /* A relative name gets "./", so that no file name means a URI or ":memory:" to SQLite. */
        if (asprintf(&plain, "%s%s", path[0] == '/' ? "" : "./", path) < 0)
                return TK_E_NO_MEMORY;
        int code = sqlite3_open_v2(plain, &conn->db, flags, NULL);
        free(plain);
        if (code != SQLITE_OK)
                return tk_sqlite_fault(conn, code, "opening the file");
        sqlite3_busy_handler(conn->db, wait_turn, conn);
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
        enum tk_err err = exec(conn, setup_all, "setting up");
        return err ? err : exec(conn, more, "setting up");
}

void tk_sqlite_conn_close(struct tk_sqlite_conn *conn) {
        tk_sqlite_finalize(conn);
        int code = sqlite3_close(conn->db);
        MUST(code == SQLITE_OK); /* every statement was finalized */
        conn->db = NULL;
}

/* ---- whose file it is ---- */

/* CORRUPT: not a store of ours. An empty file is one that is about to become ours. */
static enum tk_err identify(struct tk_sqlite_conn *conn, const char *path, const struct tk_why *why) {
        int64_t application = 0, tables = 0;
        /* In this order: another process may be making the first tables between the two, together with the
         * mark. */
        enum tk_err err = exec_int(conn, "SELECT count(*) FROM sqlite_schema", &tables);
        if (!err)
                err = exec_int(conn, "PRAGMA application_id", &application);
        if (err || application == APPLICATION_ID || (application == 0 && tables == 0))
                return err;
        tk_why_set(why, "store %s: this SQLite file belongs to another program; it was left as it is", path);
        return TK_E_CORRUPT;
}

static enum tk_err use_wal(struct tk_sqlite_conn *conn, const char *path, const struct tk_why *why) {
        sqlite3_stmt *stmt = NULL;
        int code;
        /* Two that switch at once may both be told "busy" without a wait, so the wait is here. */
        for (int count = 0;; count++) {
                code = sqlite3_prepare_v2(conn->db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
                if (code == SQLITE_OK)
                        code = sqlite3_step(stmt);
                if ((code & 0xFF) != SQLITE_BUSY || !wait_turn(conn, count))
                        break;
                sqlite3_finalize(stmt);
        }
        const char *mode = code == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        enum tk_err err = TK_OK;
        if (code != SQLITE_ROW) {
                err = tk_sqlite_fault(conn, code, "switching to WAL");
        } else if (!mode || strcmp(mode, "wal") != 0) {
                tk_why_set(why, "store %s: its file system cannot share memory (WAL); use a local disk",
                           path);
                err = TK_E_IO;
        }
        sqlite3_finalize(stmt);
        return err;
}

/* ---- migration ---- */

static enum tk_err migrate_begin(void *engine) {
        return exec(engine, "BEGIN IMMEDIATE", "migrating");
}

static enum tk_err migrate_commit(void *engine) {
        return exec(engine, "COMMIT", "migrating");
}

static void migrate_rollback(void *engine) {
        struct tk_sqlite_conn *conn = engine;
        if (!sqlite3_get_autocommit(conn->db) && exec(conn, "ROLLBACK", "migrating")) {
                /* Logged; the connection is closed next, which drops it. */
        }
}

static enum tk_err migrate_exec(void *engine, const char *sql) {
        return exec(engine, sql, "migrating");
}

static enum tk_err migrate_version_get(void *engine, int64_t *version) {
        return exec_int(engine, "PRAGMA user_version", version);
}

/* A pragma takes no parameter, so each version has its literal. */
static enum tk_err migrate_version_set(void *engine, int64_t version) {
        static const char *const literals[] = {NULL, "PRAGMA user_version = 1", "PRAGMA user_version = 2"};
        MUST(version > 0 && version < (int64_t)(sizeof literals / sizeof *literals));
        enum tk_err err = exec(engine, APPLICATION_ID_SQL, "migrating");
        return err ? err : exec(engine, literals[version], "migrating");
}

static const struct tk_migrate_ops migrate_ops = {
        .begin = migrate_begin,
        .commit = migrate_commit,
        .rollback = migrate_rollback,
        .exec = migrate_exec,
        .version_get = migrate_version_get,
        .version_set = migrate_version_set,
};

/* ---- the first organisation ---- */

static const char first_org[] = "store:org", first_workspace[] = "store:workspace";

static enum tk_err first_get(struct tk_sqlite_conn *conn, const char *name, struct tk_id *out) {
        size_t len = 0;
        enum tk_err err = tk_sqlite_meta_get(conn, name, out->b, sizeof out->b, &len);
        if (err == TK_E_NOT_FOUND)
                return err;
        if (!err && (len != sizeof out->b || tk_id_none(*out)))
                err = TK_E_CORRUPT;
        if (err == TK_E_TOO_BIG || err == TK_E_CORRUPT)
                err = tk_sqlite_fault(conn, SQLITE_CORRUPT, "reading the first organisation");
        return err;
}

static enum tk_err firsts_get(struct tk_sqlite_conn *conn, struct tk_store *store) {
        enum tk_err err = first_get(conn, first_org, &store->org);
        return err ? err : first_get(conn, first_workspace, &store->workspace);
}

static enum tk_err first_put(struct tk_sqlite_conn *conn, const char *name, const struct tk_id *id) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_META_PUT);
        tk_sqlite_text(&use, name);
        tk_sqlite_id(&use, id);
        return tk_sqlite_run(&use);
}

static enum tk_err firsts_insert(struct tk_sqlite_conn *conn, const struct tk_seed *seed) {
        struct tk_sqlite_use org = tk_sqlite_begin(conn, TK_SQL_ORG_INSERT);
        tk_sqlite_id(&org, &seed->org);
        tk_sqlite_text(&org, "default");
        tk_sqlite_int(&org, seed->now_ms);
        enum tk_err err = tk_sqlite_run(&org);
        if (err)
                return err;
        const struct tk_workspace workspace = tk_seed_workspace(seed);
        err = tk_sqlite_workspace_write(conn, &workspace);
        if (!err)
                err = first_put(conn, first_org, &seed->org);
        return err ? err : first_put(conn, first_workspace, &seed->workspace);
}

/* Finds the first organisation and workspace, or notes those of the seed: looked up again under the lock. */
static enum tk_err firsts(struct tk_sqlite_conn *conn, struct tk_store *store, const struct tk_seed *seed) {
        enum tk_err err = firsts_get(conn, store);
        if (err != TK_E_NOT_FOUND)
                return err;
        err = tk_sqlite_run_plain(conn, TK_SQL_BEGIN);
        if (err)
                return err;
        err = firsts_get(conn, store);
        if (err == TK_E_NOT_FOUND) {
                err = firsts_insert(conn, seed);
                store->org = seed->org;
                store->workspace = seed->workspace;
        }
        if (!err)
                err = tk_sqlite_run_plain(conn, TK_SQL_COMMIT);
        if (err)
                migrate_rollback(conn);
        return err;
}

/* ---- opening ---- */

static enum tk_err open_writer(struct tk_sqlite_conn *conn, const char *path, struct tk_store *store,
                               const struct tk_seed *seed, const struct tk_why *why) {
        enum tk_err err = make_file(path, why);
        if (!err)
                err = one_name(path, why);
        if (!err)
                err = connect(conn, path, setup_writer);
        if (!err)
                err = identify(conn, path, why);
        if (!err && sqlite3_db_readonly(conn->db, "main") == 1) {
                tk_why_set(why, "store %s: this user may not write to it", path);
                err = TK_E_READ_ONLY;
        }
        if (!err)
                err = use_wal(conn, path, why);
        if (!err)
                err = tk_migrate(&migrate_ops, conn, why);
        if (!err) /* After a fault SQLite may have said "wal" and not written it into the file, empty till
                     now. */
                err = use_wal(conn, path, why);
        if (!err)
                err = tk_sqlite_prepare(conn);
        return err ? err : firsts(conn, store, seed);
}

enum tk_err tk_sqlite_conn_open(struct tk_sqlite_conn *conn, const char *path, struct tk_store *store,
                                const struct tk_seed *seed, const struct tk_why *why) {
        conn->broken = &store->broken;
        conn->opening = true;
        enum tk_err err = open_writer(conn, path, store, seed, why);
        conn->opening = false;
        store->broken = TK_OK;
        if (!err)
                return TK_OK;
        if (why->size && !why->at[0] && err == TK_E_CORRUPT)
                tk_why_set(why,
                           "store %s: this is no SQLite file, or it is damaged (%s); it was left as it is",
                           path, sqlite3_errmsg(conn->db));
        else if (why->size && !why->at[0])
                tk_why_set(why, "store %s: %s: %s", path, tk_err_text(err),
                           conn->db ? sqlite3_errmsg(conn->db) : "no connection");
        tk_sqlite_conn_close(conn);
        return err;
}

enum tk_err tk_sqlite_conn_open_reader(struct tk_sqlite_conn *conn, const char *path) {
        enum tk_err err = connect(conn, path, setup_reader);
        if (!err)
                err = tk_sqlite_prepare(conn);
        if (err)
                tk_sqlite_conn_close(conn);
        return err;
}
