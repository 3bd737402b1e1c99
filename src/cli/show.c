/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include "store/store.h"

#include <stdio.h>
#include <string.h>

static const struct {
        unsigned flag;
        const char *name;
} flags[] = {
        {TK_ENTRY_ESTIMATED, "estimated"},    {TK_ENTRY_GONE, "client_gone"},  {TK_ENTRY_CUT, "cut"},
        {TK_ENTRY_BROKEN, "upstream_broken"}, {TK_ENTRY_OBSERVED, "observed"}, {TK_ENTRY_EXPIRED, "expired"},
};
#define FLAGS_NR (sizeof flags / sizeof *flags)

/* ---- JSON ---- */

static void put_cap(struct tk_jw *w, const char *name, const char *cap) {
        tk_jw_key(w, name);
        if (cap[0])
                tk_jw_raw(w, tk_str_of(cap));
        else
                tk_jw_null(w);
}

/* null for what is empty: never, or nobody's. */
static void put_or_null(struct tk_jw *w, const char *name, const char *at) {
        tk_jw_key(w, name);
        tk_jw_text(w, at[0] ? at : NULL);
}

void tk_show_totals_json(struct tk_jw *w, const struct tk_key_view *view) {
        tk_jw_object(w);
        for (unsigned i = 0; i < view->totals_nr; i++) {
                const struct tk_total *total = &view->totals[i];
                tk_jw_key(w, total->name);
                tk_jw_object(w);
                tk_jw_member(w, "usd", total->usd);
                tk_jw_member(w, "diem", total->diem);
                if (total->has_counts) {
                        tk_jw_key(w, "requests");
                        tk_jw_i64(w, total->requests);
                        tk_jw_key(w, "tokens");
                        tk_jw_i64(w, total->tokens);
                }
                tk_jw_end(w);
        }
        tk_jw_end(w);
}

void tk_show_key_json(struct tk_jw *w, const struct tk_key_view *view) {
        tk_jw_object(w);
        tk_jw_member(w, "id", view->id);
        tk_jw_member(w, "kind", view->kind);
        tk_jw_member(w, "description", view->description);
        put_or_null(w, "user", view->user);
        tk_jw_member(w, "last6", view->last6);
        tk_jw_key(w, "limits");
        tk_jw_object(w);
        put_cap(w, "usd", view->usd);
        put_cap(w, "diem", view->diem);
        tk_jw_end(w);
        tk_jw_member(w, "period", view->period);
        tk_jw_member(w, "privacy", view->privacy);
        put_or_null(w, "created_at", view->created);
        put_or_null(w, "expires_at", view->expires);
        put_or_null(w, "last_used_at", view->last_used);
        if (view->totals_nr) {
                tk_jw_key(w, "usage");
                tk_show_totals_json(w, view);
        }
        tk_jw_end(w);
}

void tk_show_call_json(struct tk_jw *w, const struct tk_call_view *call) {
        tk_jw_object(w);
        tk_jw_member(w, "id", call->id);
        tk_jw_member(w, "key", call->key);
        tk_jw_member(w, "at", call->at);
        tk_jw_member(w, "model", call->model);
        tk_jw_key(w, "input_tokens");
        tk_jw_u64(w, call->input);
        tk_jw_key(w, "cached_tokens");
        tk_jw_u64(w, call->cached);
        tk_jw_key(w, "output_tokens");
        tk_jw_u64(w, call->output);
        tk_jw_member(w, "usd", call->usd);
        tk_jw_member(w, "diem", call->diem);
        tk_jw_member(w, "overrun_usd", call->overrun_usd);
        tk_jw_member(w, "overrun_diem", call->overrun_diem);
        tk_jw_key(w, "flags");
        tk_jw_array(w);
        for (size_t i = 0; i < FLAGS_NR; i++)
                if (call->flags & flags[i].flag)
                        tk_jw_text(w, flags[i].name);
        tk_jw_end(w);
        tk_jw_end(w);
}

/* ---- for people ---- */

const struct tk_total *tk_show_total(const struct tk_key_view *view, const char *name) {
        for (unsigned i = 0; i < view->totals_nr; i++)
                if (strcmp(view->totals[i].name, name) == 0)
                        return &view->totals[i];
        return NULL;
}

static void line(const char *name, const char *text) {
        char clean[256];
        printf("%-12s %s\n", name, tk_printable(text, clean, sizeof clean));
}

int tk_show_totals(const struct tk_key_view *view) {
        struct tk_table table = {.columns = 5};
        char text[32];
        static const char *const heading[] = {"SPENT", "USD", "DIEM", "REQUESTS", "TOKENS"};
        for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
                tk_table_cell(&table, heading[i]);
        for (unsigned i = 0; i < view->totals_nr; i++) {
                const struct tk_total *total = &view->totals[i];
                char name[TK_VIEW_TEXT];
                tk_str_copy(tk_str_of(total->name), name, sizeof name);
                for (char *c = name; *c; c++)
                        *c = *c == '_' ? ' ' : *c;
                tk_table_cell(&table, name);
                tk_table_cell(&table, total->usd);
                tk_table_cell(&table, total->diem);
                snprintf(text, sizeof text, "%lld", (long long)total->requests);
                tk_table_cell(&table, total->has_counts ? text : NULL);
                snprintf(text, sizeof text, "%lld", (long long)total->tokens);
                tk_table_cell(&table, total->has_counts ? text : NULL);
        }
        return tk_table_print(&table);
}

int tk_show_key(const struct tk_key_view *view) {
        char limits[TK_CAP_TEXT_MAX * 2 + 32];
        line("id", view->id);
        line("kind", view->kind);
        line("description", view->description[0] ? view->description : "-");
        if (view->user[0])
                line("user", view->user);
        line("ends in", view->last6[0] ? view->last6 : "-");
        snprintf(limits, sizeof limits, "%s%s%s%s%s", view->usd, view->usd[0] ? " USD" : "",
                 view->usd[0] && view->diem[0] ? ", " : "", view->diem, view->diem[0] ? " Diem" : "");
        line("limits", limits[0] ? limits : "none");
        line("period", view->period);
        line("privacy", view->privacy);
        line("created", view->created[0] ? view->created : "-");
        line("expires", view->expires[0] ? view->expires : "never");
        line("last used", view->last_used[0] ? view->last_used : "never");
        if (!view->totals_nr)
                return TK_EXIT_OK;
        putchar('\n');
        return tk_show_totals(view);
}

void tk_show_key_heading(struct tk_table *table) {
        static const char *const heading[] = {"ID", "KIND",   "DESCRIPTION", "ENDS IN",  "SPENT USD",
                                              "OF", "PERIOD", "EXPIRES",     "LAST USED"};
        table->columns = sizeof heading / sizeof *heading;
        for (size_t i = 0; i < table->columns; i++)
                tk_table_cell(table, heading[i]);
}

void tk_show_key_row(struct tk_table *table, const struct tk_key_view *view) {
        const struct tk_total *spent = tk_show_total(view, "period");
        tk_table_cell(table, view->id);
        tk_table_cell(table, view->kind);
        tk_table_cell(table, view->description);
        tk_table_cell(table, view->last6);
        tk_table_cell(table, spent ? spent->usd : NULL);
        tk_table_cell(table, view->usd);
        tk_table_cell(table, view->period);
        tk_table_cell(table, view->expires);
        tk_table_cell(table, view->last_used);
}

void tk_show_call_heading(struct tk_table *table) {
        static const char *const heading[] = {"AT",     "KEY", "MODEL", "INPUT", "CACHED",
                                              "OUTPUT", "USD", "DIEM",  "NOTES"};
        table->columns = sizeof heading / sizeof *heading;
        for (size_t i = 0; i < table->columns; i++)
                tk_table_cell(table, heading[i]);
}

void tk_show_call_row(struct tk_table *table, const struct tk_call_view *call) {
        char text[32], notes[128];
        struct tk_buf note = TK_BUF_OVER(notes);
        notes[0] = '\0';
        for (size_t i = 0; i < FLAGS_NR; i++)
                if (call->flags & flags[i].flag)
                        tk_buf_printf(&note, "%s%s", note.len ? ", " : "", flags[i].name);
        MUST(tk_buf_ok(&note));
        tk_table_cell(table, call->at);
        tk_table_cell(table, call->key);
        tk_table_cell(table, call->model);
        snprintf(text, sizeof text, "%llu", (unsigned long long)call->input);
        tk_table_cell(table, text);
        snprintf(text, sizeof text, "%llu", (unsigned long long)call->cached);
        tk_table_cell(table, text);
        snprintf(text, sizeof text, "%llu", (unsigned long long)call->output);
        tk_table_cell(table, text);
        tk_table_cell(table, call->usd);
        tk_table_cell(table, call->diem);
        tk_table_cell(table, notes);
}
