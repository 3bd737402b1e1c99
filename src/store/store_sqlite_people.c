/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and workspaces: their rows, written at once and read. That a slug or an address is nobody else's is
 * kept by an index over those who are not removed.
 */
#include "store/store_sqlite_int.h"

#include <string.h>

#include "rt/log.h"

static enum tk_err bad_row(const char *what, struct tk_id id) {
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, text);
        tk_log(TK_ERROR, TK_STORE_AREA, "the row of %s %s is damaged", what, text);
        return TK_E_CORRUPT;
}

static struct tk_sqlite_conn *writer_of(struct tk_store *store) {
        return &((struct tk_sqlite_store *)store)->conn;
}

static struct tk_sqlite_conn *reader_of(struct tk_reader *reader) {
        return &((struct tk_sqlite_reader *)reader)->conn;
}

/* ---- rows ---- */

static enum tk_err read_user(struct tk_sqlite_use *use, struct tk_user *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_blob(use, out->id.b, sizeof out->id.b);
        tk_sqlite_col_blob(use, out->org.b, sizeof out->org.b);
        tk_sqlite_col_text(use, out->email, sizeof out->email);
        tk_sqlite_col_text(use, out->first_name, sizeof out->first_name);
        tk_sqlite_col_text(use, out->last_name, sizeof out->last_name);
        out->role = (enum tk_user_role)tk_sqlite_col_int(use, 0, TK_USER_ROLE_NR - 1);
        out->created_ms = tk_sqlite_col_int(use, 0, INT64_MAX);
        out->updated_ms = tk_sqlite_col_int(use, 0, INT64_MAX);
        out->removed_ms = tk_sqlite_col_int(use, 0, INT64_MAX);
        return use->bad ? bad_row("user", out->id) : TK_OK;
}

static enum tk_err read_workspace(struct tk_sqlite_use *use, struct tk_workspace *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_blob(use, out->id.b, sizeof out->id.b);
        tk_sqlite_col_blob(use, out->org.b, sizeof out->org.b);
        tk_sqlite_col_text(use, out->slug, sizeof out->slug);
        tk_sqlite_col_text(use, out->name, sizeof out->name);
        tk_sqlite_col_text(use, out->description, sizeof out->description);
        out->created_ms = tk_sqlite_col_int(use, 0, INT64_MAX);
        out->updated_ms = tk_sqlite_col_int(use, 0, INT64_MAX);
        out->removed_ms = tk_sqlite_col_int(use, 0, INT64_MAX);
        return use->bad ? bad_row("workspace", out->id) : TK_OK;
}

static enum tk_err get_user(struct tk_sqlite_use *use, struct tk_user *out) {
        enum tk_err err = tk_sqlite_next(use);
        if (!err)
                err = read_user(use, out);
        tk_sqlite_end(use);
        return err;
}

static enum tk_err get_workspace(struct tk_sqlite_use *use, struct tk_workspace *out) {
        enum tk_err err = tk_sqlite_next(use);
        if (!err)
                err = read_workspace(use, out);
        tk_sqlite_end(use);
        return err;
}

static enum tk_err user_by_id(struct tk_sqlite_conn *conn, struct tk_id id, struct tk_user *out) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_USER_BY_ID);
        tk_sqlite_id(&use, &id);
        return get_user(&use, out);
}

static enum tk_err workspace_by_id(struct tk_sqlite_conn *conn, struct tk_id id, struct tk_workspace *out) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_WORKSPACE_BY_ID);
        tk_sqlite_id(&use, &id);
        return get_workspace(&use, out);
}

/* ---- the writer ---- */

enum tk_err tk_sqlite_user_insert(struct tk_store *store, const struct tk_user *user) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_USER_INSERT);
        tk_sqlite_id(&use, &user->id);
        tk_sqlite_id(&use, &user->org);
        tk_sqlite_text(&use, user->email);
        tk_sqlite_text(&use, user->first_name);
        tk_sqlite_text(&use, user->last_name);
        tk_sqlite_int(&use, (int64_t)user->role);
        tk_sqlite_int(&use, user->created_ms);
        tk_sqlite_int(&use, user->updated_ms);
        tk_sqlite_int(&use, user->removed_ms);
        return tk_sqlite_run(&use);
}

enum tk_err tk_sqlite_user_update(struct tk_store *store, const struct tk_user *user) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_USER_UPDATE);
        tk_sqlite_id(&use, &user->id);
        tk_sqlite_text(&use, user->email);
        tk_sqlite_text(&use, user->first_name);
        tk_sqlite_text(&use, user->last_name);
        tk_sqlite_int(&use, (int64_t)user->role);
        tk_sqlite_int(&use, user->updated_ms);
        return tk_sqlite_run_on_row(&use);
}

enum tk_err tk_sqlite_user_get(struct tk_store *store, struct tk_id id, struct tk_user *out) {
        return user_by_id(writer_of(store), id, out);
}

enum tk_err tk_sqlite_workspace_write(struct tk_sqlite_conn *conn, const struct tk_workspace *workspace) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_WORKSPACE_INSERT);
        tk_sqlite_id(&use, &workspace->id);
        tk_sqlite_id(&use, &workspace->org);
        tk_sqlite_text(&use, workspace->slug);
        tk_sqlite_text(&use, workspace->name);
        tk_sqlite_text(&use, workspace->description);
        tk_sqlite_int(&use, workspace->created_ms);
        tk_sqlite_int(&use, workspace->updated_ms);
        tk_sqlite_int(&use, workspace->removed_ms);
        return tk_sqlite_run(&use);
}

enum tk_err tk_sqlite_workspace_insert(struct tk_store *store, const struct tk_workspace *workspace) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        return err ? err : tk_sqlite_workspace_write(conn, workspace);
}

enum tk_err tk_sqlite_workspace_update(struct tk_store *store, const struct tk_workspace *workspace) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_WORKSPACE_UPDATE);
        tk_sqlite_id(&use, &workspace->id);
        tk_sqlite_text(&use, workspace->slug);
        tk_sqlite_text(&use, workspace->name);
        tk_sqlite_text(&use, workspace->description);
        tk_sqlite_int(&use, workspace->updated_ms);
        return tk_sqlite_run_on_row(&use);
}

enum tk_err tk_sqlite_workspace_get(struct tk_store *store, struct tk_id id, struct tk_workspace *out) {
        return workspace_by_id(writer_of(store), id, out);
}

static enum tk_err run_at(struct tk_sqlite_conn *conn, enum tk_sqlite_stmt which, struct tk_id id,
                          int64_t now_ms) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, which);
        tk_sqlite_id(&use, &id);
        tk_sqlite_int(&use, now_ms);
        return tk_sqlite_run(&use);
}

/* By three statements: the row itself, which may not be there; its keys into the log; and their end. */
static enum tk_err remove_with_keys(struct tk_store *store, const enum tk_sqlite_stmt which[3],
                                    struct tk_id id, int64_t now_ms) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use row = tk_sqlite_begin(conn, which[0]);
        tk_sqlite_id(&row, &id);
        tk_sqlite_int(&row, now_ms);
        err = tk_sqlite_run_on_row(&row);
        if (err)
                return err;
        struct tk_sqlite_use keys = tk_sqlite_begin(conn, which[1]);
        tk_sqlite_id(&keys, &id);
        err = tk_sqlite_run(&keys);
        return err ? err : run_at(conn, which[2], id, now_ms);
}

enum tk_err tk_sqlite_user_remove(struct tk_store *store, struct tk_id id, int64_t now_ms) {
        static const enum tk_sqlite_stmt which[3] = {TK_SQL_USER_REMOVE, TK_SQL_USER_KEYS_CHANGE,
                                                     TK_SQL_USER_KEYS_REVOKE};
        return remove_with_keys(store, which, id, now_ms);
}

enum tk_err tk_sqlite_workspace_remove(struct tk_store *store, struct tk_id id, int64_t now_ms) {
        static const enum tk_sqlite_stmt which[3] = {TK_SQL_WORKSPACE_REMOVE, TK_SQL_WORKSPACE_KEYS_CHANGE,
                                                     TK_SQL_WORKSPACE_KEYS_REVOKE};
        return remove_with_keys(store, which, id, now_ms);
}

/* ---- readers ---- */

enum tk_err tk_sqlite_reader_user_by_id(struct tk_reader *reader, struct tk_id id, struct tk_user *out) {
        return user_by_id(reader_of(reader), id, out);
}

enum tk_err tk_sqlite_reader_user_by_email(struct tk_reader *reader, struct tk_id org, const char *email,
                                           struct tk_user *out) {
        struct tk_sqlite_use use = tk_sqlite_begin(reader_of(reader), TK_SQL_USER_BY_EMAIL);
        tk_sqlite_id(&use, &org);
        tk_sqlite_text(&use, email);
        return get_user(&use, out);
}

enum tk_err tk_sqlite_reader_user_list(struct tk_reader *reader, struct tk_id org, unsigned roles,
                                       unsigned skip, unsigned limit, tk_user_each_f *each, void *ctx) {
        struct tk_sqlite_use use = tk_sqlite_begin(reader_of(reader), TK_SQL_USER_LIST);
        struct tk_user user;
        enum tk_err err;
        tk_sqlite_id(&use, &org);
        tk_sqlite_int(&use, roles);
        tk_sqlite_int(&use, skip);
        tk_sqlite_int(&use, limit);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = read_user(&use, &user);
                if (err || !each(&user, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

/* The one number of a statement that counts. */
static enum tk_err count(struct tk_sqlite_use *use, uint64_t *nr) {
        enum tk_err err = tk_sqlite_next(use);
        if (!err)
                *nr = (uint64_t)tk_sqlite_col_int(use, 0, INT64_MAX);
        tk_sqlite_end(use);
        return err;
}

enum tk_err tk_sqlite_reader_user_count(struct tk_reader *reader, struct tk_id org, unsigned roles,
                                        uint64_t *nr) {
        struct tk_sqlite_use use = tk_sqlite_begin(reader_of(reader), TK_SQL_USER_COUNT);
        tk_sqlite_id(&use, &org);
        tk_sqlite_int(&use, roles);
        return count(&use, nr);
}

enum tk_err tk_sqlite_reader_workspace_by_id(struct tk_reader *reader, struct tk_id id,
                                             struct tk_workspace *out) {
        return workspace_by_id(reader_of(reader), id, out);
}

enum tk_err tk_sqlite_reader_workspace_by_slug(struct tk_reader *reader, struct tk_id org, const char *slug,
                                               struct tk_workspace *out) {
        struct tk_sqlite_use use = tk_sqlite_begin(reader_of(reader), TK_SQL_WORKSPACE_BY_SLUG);
        tk_sqlite_id(&use, &org);
        tk_sqlite_text(&use, slug);
        return get_workspace(&use, out);
}

enum tk_err tk_sqlite_reader_workspace_list(struct tk_reader *reader, struct tk_id org, unsigned skip,
                                            unsigned limit, tk_workspace_each_f *each, void *ctx) {
        struct tk_sqlite_use use = tk_sqlite_begin(reader_of(reader), TK_SQL_WORKSPACE_LIST);
        struct tk_workspace workspace;
        enum tk_err err;
        tk_sqlite_id(&use, &org);
        tk_sqlite_int(&use, skip);
        tk_sqlite_int(&use, limit);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = read_workspace(&use, &workspace);
                if (err || !each(&workspace, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_reader_workspace_count(struct tk_reader *reader, struct tk_id org, uint64_t *nr) {
        struct tk_sqlite_use use = tk_sqlite_begin(reader_of(reader), TK_SQL_WORKSPACE_COUNT);
        tk_sqlite_id(&use, &org);
        return count(&use, nr);
}
