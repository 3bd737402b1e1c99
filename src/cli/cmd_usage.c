/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/backend.h"
#include "cli/output.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

#define CALLS_DEFAULT 20
#define CALLS_MAX     1000

struct report {
        struct tk_jw *w; /* NULL: into the table */
        struct tk_table *table;
        unsigned rows;
};

static void add_key(const struct tk_key_view *view, void *ctx) {
        static const char *const names[] = {"today", "month", "all", "period", "trailing_7_days"};
        struct report *r = ctx;
        r->rows++;
        if (r->w) {
                tk_jw_object(r->w);
                tk_jw_key(r->w, "id");
                tk_jw_text(r->w, view->id);
                tk_jw_key(r->w, "description");
                tk_jw_text(r->w, view->description);
                tk_jw_key(r->w, "usage");
                tk_show_totals_json(r->w, view);
                tk_jw_end(r->w);
                return;
        }
        tk_table_cell(r->table, view->id);
        tk_table_cell(r->table, view->description);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                const struct tk_total *total = tk_show_total(view, names[i]);
                tk_table_cell(r->table, total ? total->usd : NULL);
        }
}

static void add_call(const struct tk_call_view *call, void *ctx) {
        struct report *r = ctx;
        r->rows++;
        if (r->w)
                tk_show_call_json(r->w, call);
        else
                tk_show_call_row(r->table, call);
}

/* The totals, of one key or of all. */
static enum tk_err totals(struct tk_backend *backend, const char *id, struct tk_jw *w, int *code) {
        static const char *const heading[] = {"ID",       "DESCRIPTION", "USD TODAY",  "THIS MONTH",
                                              "ALL TIME", "ITS PERIOD",  "LAST 7 DAYS"};
        struct tk_table table = {.columns = sizeof heading / sizeof *heading};
        struct report r = {.w = w, .table = &table};
        struct tk_key_view view;
        enum tk_err err;
        if (id) {
                err = backend->ops->get(backend, id, &view);
                if (err != TK_OK)
                        return err;
                if (!w) {
                        *code = tk_show_totals(&view);
                        return TK_OK;
                }
                tk_jw_key(w, "key");
                tk_show_key_json(w, &view);
                return TK_OK;
        }
        for (size_t i = 0; i < table.columns; i++)
                tk_table_cell(&table, heading[i]);
        if (w) {
                tk_jw_key(w, "keys");
                tk_jw_array(w);
        }
        err = backend->ops->list(backend, add_key, &r);
        if (w)
                tk_jw_end(w);
        else if (err == TK_OK)
                *code = tk_table_print(&table);
        tk_table_free(&table);
        return err;
}

static enum tk_err calls(struct tk_backend *backend, const char *id, unsigned limit, struct tk_jw *w,
                         int *code) {
        struct tk_table table = {0};
        struct report r = {.w = w, .table = &table};
        if (!backend->ops->calls) {
                if (!w && limit)
                        tk_note("single calls are not shown through the API");
                return TK_OK;
        }
        tk_show_call_heading(&table);
        if (w) {
                tk_jw_key(w, "calls");
                tk_jw_array(w);
        }
        enum tk_err err = backend->ops->calls(backend, id, limit, add_call, &r);
        if (w)
                tk_jw_end(w);
        if (err == TK_OK && !w && r.rows && *code == TK_EXIT_OK) {
                putchar('\n');
                *code = tk_table_print(&table);
        }
        tk_table_free(&table);
        return err;
}

int tk_cmd_usage(const struct tk_cmd_line *line) {
        struct tk_buf buf = TK_BUF(TK_SHOW_JSON_MAX);
        struct tk_jw writer = tk_jw_begin(&buf), *w = line->opt[TK_OPT_json] ? &writer : NULL;
        struct tk_id id;
        uint64_t limit = CALLS_DEFAULT;
        char said[64];
        int code;
        if (line->hole && !tk_id_parse(tk_str_of(line->hole), &id))
                return tk_misuse("'%s' is not the id of a key; 'tollkey key list' shows them",
                                 tk_printable(line->hole, said, sizeof said));
        if (line->opt[TK_OPT_limit] &&
            (!tk_str_u64(tk_str_of(line->opt[TK_OPT_limit]), &limit) || limit > CALLS_MAX))
                return tk_misuse("--limit %s: expects a number from 0 to %d",
                                 tk_printable(line->opt[TK_OPT_limit], said, sizeof said), CALLS_MAX);
        struct tk_backend *backend = tk_backend_open(line, &code);
        if (!backend)
                return code;
        code = TK_EXIT_OK;
        if (w)
                tk_jw_object(w);
        enum tk_err err = totals(backend, line->hole, w, &code);
        if (err == TK_OK)
                err = calls(backend, line->hole, (unsigned)limit, w, &code);
        if (err != TK_OK)
                code = tk_fail("%s", backend->why);
        if (err == TK_OK && w) {
                tk_jw_end(w);
                code = tk_print_buf(&buf);
        }
        tk_buf_free(&buf);
        tk_backend_close(&backend);
        return code;
}
