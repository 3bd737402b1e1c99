/* SPDX-License-Identifier: Apache-2.0
 *
 * tollkey audit list: who changed what, newest first, from the store of the configuration.
 */
#include "api/portkey_audit.h"
#include "cli/local.h"
#include "cli/output.h"
#include "core/time.h"

#include <stdio.h>

#define RECORDS_DEFAULT 20
#define RECORDS_MAX     1000
#define JSON_MAX        (RECORDS_MAX * (size_t)(8 * TK_AUDIT_JSON_MAX))

struct listing {
        struct tk_jw *w; /* NULL: into the table */
        struct tk_table *table;
};

static void show_heading(struct tk_table *table) {
        static const char *const heading[] = {"AT", "ACTOR", "ACTION", "TYPE", "RESOURCE", "FROM", "REQUEST"};
        table->columns = sizeof heading / sizeof *heading;
        for (size_t i = 0; i < table->columns; i++)
                tk_table_cell(table, heading[i]);
}

static void show_row(struct tk_table *table, const struct tk_audit *audit) {
        static const char *const kinds[TK_ACTOR_NR] = {"key", "user", "operator", "system"};
        char at[TK_TIME_TEXT_LEN + 1], resource[TK_ID_TEXT_LEN + 1], id[TK_ID_TEXT_LEN + 1] = "";
        char actor[16 + TK_AUDIT_NAME_MAX + TK_ID_TEXT_LEN];
        tk_time_text(audit->at_ms, at);
        tk_id_text(audit->resource, resource);
        if (!tk_id_none(audit->actor))
                tk_id_text(audit->actor, id);
        const char *name = audit->actor_name[0] ? audit->actor_name : id;
        snprintf(actor, sizeof actor, "%s%s%s", kinds[audit->kind], name[0] ? " " : "", name);
        const char *const cells[] = {at,       actor,         audit->action,    audit->resource_type,
                                     resource, audit->client, audit->request_id};
        for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
                tk_table_cell(table, cells[i]);
}

static bool list_one(const struct tk_audit *audit, void *ctx) {
        struct listing *l = ctx;
        if (l->w)
                tk_portkey_write_audit(l->w, audit);
        else
                show_row(l->table, audit);
        return true;
}

static enum tk_err list(struct tk_local *local, unsigned limit, struct listing *l) {
        const struct tk_audit_filter filter = {.org = tk_store_org(local->store), .to_ms = INT64_MAX};
        return tk_reader_audit_list(local->reader, &filter, 0, limit, list_one, l);
}

static int print_list(const struct tk_cmd_line *line, struct tk_local *local, unsigned limit) {
        struct tk_buf buf = TK_BUF(JSON_MAX);
        struct tk_table table = {0};
        struct tk_jw w = tk_jw_begin(&buf);
        struct listing l = {line->opt[TK_OPT_json] ? &w : NULL, &table};
        int code;
        show_heading(&table);
        tk_jw_object(&w);
        tk_jw_key(&w, "records");
        tk_jw_array(&w);
        enum tk_err err = list(local, limit, &l);
        tk_jw_end(&w);
        tk_jw_end(&w);
        if (err != TK_OK)
                code = tk_fail("%s: %s", local->config->store, tk_err_text(err));
        else
                code = l.w ? tk_print_buf(&buf) : tk_table_print(&table);
        tk_table_free(&table);
        tk_buf_free(&buf);
        return code;
}

int tk_cmd_audit_list(const struct tk_cmd_line *line) {
        struct tk_local local;
        uint64_t limit = RECORDS_DEFAULT;
        char said[64];
        int code = TK_EXIT_FAILED;
        if (line->opt[TK_OPT_limit] &&
            (!tk_str_u64(tk_str_of(line->opt[TK_OPT_limit]), &limit) || limit > RECORDS_MAX))
                return tk_misuse("--limit %s: expects a number from 0 to %d",
                                 tk_printable(line->opt[TK_OPT_limit], said, sizeof said), RECORDS_MAX);
        if (tk_local_open(line, false, &local))
                code = print_list(line, &local, (unsigned)limit);
        tk_local_close(&local);
        return code;
}
