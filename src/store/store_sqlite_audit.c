/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log in SQLite. A page is a walk of one index, chosen by what the filter names, so that whatever
 * is asked for is found without reading the whole log.
 */
#include "store/store_sqlite_int.h"

#include <string.h>

#include "rt/log.h"

static struct tk_sqlite_conn *conn_of(struct tk_reader *reader) {
        return &((struct tk_sqlite_reader *)reader)->conn;
}

/* ---- writing ---- */

enum tk_err tk_sqlite_audit_add(struct tk_store *store, const struct tk_audit *audit) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_AUDIT_INSERT);
        tk_sqlite_id(&use, &audit->id);
        tk_sqlite_id(&use, &audit->org);
        tk_sqlite_id(&use, &audit->workspace);
        tk_sqlite_int(&use, audit->at_ms);
        tk_sqlite_int(&use, (int64_t)audit->kind);
        tk_sqlite_id(&use, &audit->actor);
        tk_sqlite_text(&use, audit->actor_name);
        tk_sqlite_text(&use, audit->action);
        tk_sqlite_text(&use, audit->resource_type);
        tk_sqlite_id(&use, &audit->resource);
        tk_sqlite_text(&use, audit->method);
        tk_sqlite_text(&use, audit->uri);
        tk_sqlite_text(&use, audit->request_id);
        tk_sqlite_text(&use, audit->client);
        tk_sqlite_int(&use, audit->status);
        tk_sqlite_str(&use, audit->before);
        tk_sqlite_str(&use, audit->after);
        return tk_sqlite_run(&use);
}

enum tk_err tk_sqlite_audit_trim(struct tk_store *store, int64_t before_ms, unsigned limit) {
        struct tk_sqlite_conn *conn;
        enum tk_err err = tk_sqlite_conn_get(store, &conn);
        if (err)
                return err;
        struct tk_sqlite_use kept = tk_sqlite_begin(conn, TK_SQL_AUDIT_KEPT);
        tk_sqlite_int(&kept, before_ms);
        err = tk_sqlite_run(&kept);
        if (err)
                return err;
        struct tk_sqlite_use trim = tk_sqlite_begin(conn, TK_SQL_AUDIT_TRIM);
        tk_sqlite_int(&trim, before_ms);
        tk_sqlite_int(&trim, limit);
        return tk_sqlite_run(&trim);
}

/* ---- reading ---- */

static enum tk_err audit_read(struct tk_sqlite_use *use, struct tk_audit *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_blob(use, out->id.b, sizeof out->id.b);
        tk_sqlite_col_blob(use, out->org.b, sizeof out->org.b);
        tk_sqlite_col_blob(use, out->workspace.b, sizeof out->workspace.b);
        out->at_ms = tk_sqlite_col_int(use, 0, INT64_MAX);
        out->kind = (enum tk_actor_kind)tk_sqlite_col_int(use, 0, TK_ACTOR_NR - 1);
        tk_sqlite_col_blob(use, out->actor.b, sizeof out->actor.b);
        tk_sqlite_col_text(use, out->actor_name, sizeof out->actor_name);
        tk_sqlite_col_text(use, out->action, sizeof out->action);
        tk_sqlite_col_text(use, out->resource_type, sizeof out->resource_type);
        tk_sqlite_col_blob(use, out->resource.b, sizeof out->resource.b);
        tk_sqlite_col_text(use, out->method, sizeof out->method);
        tk_sqlite_col_text(use, out->uri, sizeof out->uri);
        tk_sqlite_col_text(use, out->request_id, sizeof out->request_id);
        tk_sqlite_col_text(use, out->client, sizeof out->client);
        out->status = (int)tk_sqlite_col_int(use, 0, 599);
        out->before = tk_sqlite_col_str(use, TK_AUDIT_JSON_MAX);
        out->after = tk_sqlite_col_str(use, TK_AUDIT_JSON_MAX);
        if (!use->bad)
                return TK_OK;
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(out->id, text);
        tk_log(TK_ERROR, TK_STORE_AREA, "the row of audit record %s is damaged", text);
        return TK_E_CORRUPT;
}

static enum tk_sqlite_audit_by index_for(const struct tk_audit_filter *f) {
        const bool names[TK_AUDIT_BY_NR] = {
                [TK_AUDIT_BY_REQUEST] = f->request_id[0],
                [TK_AUDIT_BY_RESOURCE] = !tk_id_none(f->resource),
                [TK_AUDIT_BY_ACTOR] = !tk_id_none(f->actor),
                [TK_AUDIT_BY_URI] = f->uri[0],
                [TK_AUDIT_BY_CLIENT] = f->client[0],
                [TK_AUDIT_BY_ACTION] = f->action[0],
                [TK_AUDIT_BY_TYPE] = f->resource_type[0],
                [TK_AUDIT_BY_WORKSPACE] = !tk_id_none(f->workspace),
                [TK_AUDIT_BY_ORG] = true,
        };
        int by = 0;
        while (!names[by])
                by++;
        return (enum tk_sqlite_audit_by)by;
}

/* first: TK_SQL_AUDIT_LIST or TK_SQL_AUDIT_COUNT. The filter must live as long as the use. */
static struct tk_sqlite_use begin(struct tk_reader *reader, enum tk_sqlite_stmt first,
                                  const struct tk_audit_filter *f) {
        struct tk_sqlite_use use =
                tk_sqlite_begin(conn_of(reader), (enum tk_sqlite_stmt)((int)first + (int)index_for(f)));
        tk_sqlite_id(&use, &f->org);
        tk_sqlite_int(&use, f->from_ms);
        tk_sqlite_int(&use, f->to_ms);
        tk_sqlite_id(&use, &f->actor);
        tk_sqlite_id(&use, &f->workspace);
        tk_sqlite_id(&use, &f->resource);
        tk_sqlite_text(&use, f->methods[0]);
        tk_sqlite_text(&use, f->methods[1]);
        tk_sqlite_text(&use, f->uri);
        tk_sqlite_text(&use, f->request_id);
        tk_sqlite_text(&use, f->resource_type);
        tk_sqlite_text(&use, f->action);
        tk_sqlite_text(&use, f->client);
        tk_sqlite_int(&use, f->kinds);
        tk_sqlite_int(&use, f->status);
        return use;
}

/* Does the index that leads to its rows say everything? */
static bool is_lean(const struct tk_audit_filter *f) {
        const int named = !!f->request_id[0] + !tk_id_none(f->resource) + !tk_id_none(f->actor) +
                          !!f->uri[0] + !!f->client[0] + !!f->action[0] + !!f->resource_type[0] +
                          !tk_id_none(f->workspace);
        return named <= 1 && !f->methods[0][0] && !f->methods[1][0] && !f->kinds && !f->status;
}

enum tk_err tk_sqlite_reader_audit_list(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                        uint64_t skip, unsigned limit, tk_audit_each_f *each, void *ctx) {
        struct tk_sqlite_use use = begin(reader, TK_SQL_AUDIT_LIST, filter);
        struct tk_audit audit;
        enum tk_err err;
        tk_sqlite_int(&use, limit);
        tk_sqlite_int(&use, (int64_t)skip);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = audit_read(&use, &audit);
                if (err || !each(&audit, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_reader_audit_count(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                         uint64_t *nr) {
        struct tk_sqlite_use use =
                begin(reader, is_lean(filter) ? TK_SQL_AUDIT_COUNT_LEAN : TK_SQL_AUDIT_COUNT, filter);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                *nr = (uint64_t)tk_sqlite_col_int(&use, 0, INT64_MAX);
        tk_sqlite_end(&use);
        return err;
}

enum tk_err tk_sqlite_reader_audit_oldest(struct tk_reader *reader, int64_t *at_ms) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), TK_SQL_AUDIT_OLDEST);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                *at_ms = tk_sqlite_col_int(&use, 0, INT64_MAX);
        tk_sqlite_end(&use);
        return err;
}
