/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands around doubt: what a crash left open, and an operator's word on it. They work on the store,
 * beside a server that runs or not, which reads the change log and goes by the word within a second; or, with
 * --url, through a running server.
 */
#include "cli/backend.h"
#include "cli/measure.h"
#include "cli/output.h"
#include "cli/subject.h"
#include "core/time.h"
#include "service/doubt.h"

#include <stdio.h>
#include <string.h>

#define JSON_MAX (64u << 20)

/* ---- showing ---- */

/* Who is removed has an address no longer, so they keep the id; a workspace but the first is named by its
 * slug. */
static enum tk_err name_group(struct tk_local *local, struct tk_id id, struct tk_doubt_view *out) {
        struct tk_workspace workspace;
        struct tk_user user;
        enum tk_err err = tk_reader_user_by_id(local->reader, id, &user);
        if (err == TK_OK && user.removed_ms == 0) {
                memcpy(out->subject, user.email, sizeof out->subject);
        } else if (err == TK_OK) {
                tk_str_copy(tk_str_of(user.email), out->description, sizeof out->description);
        } else if (err == TK_E_NOT_FOUND) {
                err = tk_reader_workspace_by_id(local->reader, id, &workspace);
                if (err == TK_OK)
                        tk_str_copy(tk_str_of(workspace.slug), out->description, sizeof out->description);
        }
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

static enum tk_err name_subject(struct tk_local *local, struct tk_id id, struct tk_doubt_view *out) {
        struct tk_key key;
        const char *word = tk_id_eq(id, tk_store_org(local->store))         ? "org"
                           : tk_id_eq(id, tk_store_workspace(local->store)) ? "workspace"
                                                                            : NULL;
        if (word) {
                tk_str_copy(tk_str_of(word), out->subject, sizeof out->subject);
                return TK_OK;
        }
        tk_id_text(id, out->subject);
        enum tk_err err = tk_reader_key_by_id(local->reader, id, &key);
        if (err == TK_OK)
                tk_str_copy(tk_str_of(key.description), out->description, sizeof out->description);
        return err == TK_E_NOT_FOUND ? name_group(local, id, out) : err;
}

static enum tk_err fill_view(struct tk_local *local, const struct tk_doubt *doubt,
                             struct tk_doubt_view *out) {
        const int64_t end_s = tk_window_end_s(doubt->window, doubt->number);
        *out = (struct tk_doubt_view){.doubt = *doubt};
        tk_window_text(doubt->window, out->window);
        if (end_s != INT64_MAX)
                tk_time_text(end_s * 1000, out->ends);
        tk_time_text(doubt->since_ms, out->since);
        tk_cap_text(doubt->meter, (uint64_t)doubt->amount, out->amount);
        return name_subject(local, doubt->subject, out);
}

static void put_doubt(struct tk_jw *w, const struct tk_doubt_view *view) {
        tk_jw_member_or_null(w, "subject", view->subject);
        tk_jw_member_or_null(w, "description", view->description);
        tk_jw_member_or_null(w, "meter", tk_meter_name(view->doubt.meter));
        tk_jw_member_or_null(w, "window", view->window);
        tk_jw_key(w, "number");
        tk_jw_i64(w, view->doubt.number);
        tk_jw_member_or_null(w, "turns_at", view->ends);
        tk_jw_member_or_null(w, "since", view->since);
        tk_amount_json(w, "amount", view->doubt.meter, view->amount);
}

static int fail_at(const struct tk_local *local, enum tk_err err) {
        return tk_fail("%s: %s", local->config->store, tk_err_text(err));
}

/* ---- doubt ---- */

struct listing {
        struct tk_local *local; /* NULL: through a server */
        struct tk_jw *w;        /* NULL: into the table */
        struct tk_table *table;
        unsigned nr;
        enum tk_err err;
};

static void show_heading(struct tk_table *table) {
        static const char *const heading[] = {"SUBJECT", "DESCRIPTION", "METER",  "WINDOW",
                                              "NUMBER",  "SINCE",       "AMOUNT", "TURNS AT"};
        table->columns = sizeof heading / sizeof *heading;
        for (size_t i = 0; i < table->columns; i++)
                tk_table_cell(table, heading[i]);
}

static void show_row(struct tk_table *table, const struct tk_doubt_view *view) {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)view->doubt.number);
        const char *const cells[] = {view->subject,
                                     view->description,
                                     tk_meter_name(view->doubt.meter),
                                     view->window,
                                     number,
                                     view->since,
                                     view->amount,
                                     view->ends};
        for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
                tk_table_cell(table, cells[i]);
}

static void show_one(const struct tk_doubt_view *view, void *ctx) {
        struct listing *l = ctx;
        l->nr++;
        if (!l->w) {
                show_row(l->table, view);
                return;
        }
        tk_jw_object(l->w);
        put_doubt(l->w, view);
        tk_jw_end(l->w);
}

/* Of a window that has ended nothing counts any longer. */
static bool list_one(const struct tk_doubt *doubt, void *ctx) {
        struct listing *l = ctx;
        struct tk_doubt_view view;
        if (tk_window_end_s(doubt->window, doubt->number) <= tk_floor_div(l->local->now_ms, 1000))
                return true;
        l->err = fill_view(l->local, doubt, &view);
        if (l->err != TK_OK)
                return false;
        show_one(&view, l);
        return true;
}

static int print_list(const struct listing *l, struct tk_buf *buf) {
        if (l->w)
                return tk_print_buf(buf);
        if (l->nr)
                return tk_table_print(l->table);
        tk_note("nothing is in doubt");
        return TK_EXIT_OK;
}

static bool is_remote(const struct tk_cmd_line *line) {
        return line->opt[TK_OPT_url] || line->opt[TK_OPT_key_stdin];
}

/* An exit code after a message, or TK_EXIT_OK. */
static int list_local(const struct tk_cmd_line *line, struct listing *l) {
        struct tk_local local;
        int code = TK_EXIT_FAILED;
        if (tk_local_open(line, false, &local)) {
                l->local = &local;
                enum tk_err err = tk_reader_doubt_list(local.reader, (struct tk_id){{0}}, list_one, l);
                l->local = NULL;
                err = l->err == TK_OK ? err : l->err;
                code = err == TK_OK ? TK_EXIT_OK : fail_at(&local, err);
        }
        tk_local_close(&local);
        return code;
}

static int list_remote(const struct tk_cmd_line *line, struct listing *l) {
        int code;
        struct tk_backend *backend = tk_backend_open(line, &code);
        if (!backend)
                return code;
        code = TK_EXIT_OK;
        if (backend->ops->doubts(backend, NULL, show_one, l) != TK_OK)
                code = tk_fail("%s", backend->why);
        tk_backend_close(&backend);
        return code;
}

int tk_cmd_ledger_doubt(const struct tk_cmd_line *line) {
        struct tk_buf buf = TK_BUF(JSON_MAX);
        struct tk_table table = {0};
        struct tk_jw w = tk_jw_begin(&buf);
        struct listing l = {.w = line->opt[TK_OPT_json] ? &w : NULL, .table = &table};
        show_heading(&table);
        tk_jw_object(&w);
        tk_jw_key(&w, "doubts");
        tk_jw_array(&w);
        int code = is_remote(line) ? list_remote(line, &l) : list_local(line, &l);
        tk_jw_end(&w);
        tk_jw_end(&w);
        if (code == TK_EXIT_OK)
                code = print_list(&l, &buf);
        tk_table_free(&table);
        tk_buf_free(&buf);
        return code;
}

/* ---- resolve ---- */

/* How much of which doubt was really spent. */
struct word {
        const char *subject; /* as it was given */
        enum tk_meter meter;
        struct tk_window_spec window; /* its anchor does not matter */
        bool has_number;              /* needed when several fit */
        int64_t number;
        int64_t spent;
};

static bool read_number(const char *text, struct word *word) {
        struct tk_str s = tk_str_of(text);
        const bool negative = s.len > 0 && s.at[0] == '-';
        uint64_t number;
        char said[64];
        if (tk_str_u64(negative ? tk_str_skip(s, 1) : s, &number) && number <= INT64_MAX) {
                word->has_number = true;
                word->number = negative ? -(int64_t)number : (int64_t)number;
                return true;
        }
        tk_misuse("--number %s: expects the number of a window; 'tollkey ledger doubt' shows it",
                  tk_printable(text, said, sizeof said));
        return false;
}

static bool read_spent(const char *text, struct word *word) {
        uint64_t spent;
        char said[64];
        if (tk_cap_parse(word->meter, tk_str_of(text), &spent) == TK_OK && spent <= INT64_MAX) {
                word->spent = (int64_t)spent;
                return true;
        }
        tk_misuse("--spent %s: expects %s", tk_printable(text, said, sizeof said),
                  tk_meter_is_money(word->meter) ? "an amount, e.g. 5, 0.25 or 0" : "a count, e.g. 12 or 0");
        return false;
}

static bool read_word(const struct tk_cmd_line *line, struct word *out) {
        *out = (struct word){.subject = line->hole};
        return tk_meter_read(line->opt[TK_OPT_meter], &out->meter) &&
               tk_window_read(line->opt[TK_OPT_window], &out->window) &&
               (!line->opt[TK_OPT_number] || read_number(line->opt[TK_OPT_number], out)) &&
               read_spent(line->opt[TK_OPT_spent], out);
}

struct matching {
        const struct word *word;
        struct tk_doubt found;
        unsigned nr;
};

static bool match_one(const struct tk_doubt *doubt, void *ctx) {
        struct matching *m = ctx;
        const struct word *word = m->word;
        if (doubt->meter != word->meter || doubt->window.kind != word->window.kind ||
            doubt->window.days != word->window.days || (word->has_number && doubt->number != word->number))
                return true;
        m->found = *doubt;
        m->nr++;
        return true;
}

/* The exit code after a message, or TK_EXIT_OK: the word fits what was matched. */
static int judge(const struct matching *m) {
        const struct word *word = m->word;
        const char *meter = tk_meter_name(word->meter);
        char window[TK_WINDOW_TEXT], amount[TK_CAP_TEXT_MAX], subject[64];
        tk_printable(word->subject, subject, sizeof subject);
        tk_window_text(word->window, window);
        if (m->nr == 0)
                return tk_fail(
                        "nothing of %s is in doubt for %s with the window '%s'; 'tollkey ledger doubt' "
                        "shows what is",
                        subject, meter, window);
        if (m->nr > 1)
                return tk_fail("%u windows '%s' of %s are in doubt for %s; say which with --number", m->nr,
                               window, subject, meter);
        if (word->spent <= m->found.amount)
                return TK_EXIT_OK;
        tk_cap_text(word->meter, (uint64_t)m->found.amount, amount);
        return tk_fail("only %s %s is in doubt: more cannot have been spent", amount, meter);
}

static int print_word(const struct tk_cmd_line *line, const struct word *word,
                      const struct tk_doubt_view *view) {
        char spent[TK_CAP_TEXT_MAX], freed[TK_CAP_TEXT_MAX];
        tk_cap_text(word->meter, (uint64_t)word->spent, spent);
        tk_cap_text(word->meter, (uint64_t)(view->doubt.amount - word->spent), freed);
        if (!line->opt[TK_OPT_json]) {
                printf("of %s %s in doubt, %s was spent and %s is free again\n", view->amount,
                       tk_meter_name(word->meter), spent, freed);
                return TK_EXIT_OK;
        }
        struct tk_buf buf = TK_BUF(65536);
        struct tk_jw w = tk_jw_begin(&buf);
        tk_jw_object(&w);
        put_doubt(&w, view);
        tk_amount_json(&w, "spent", word->meter, spent);
        tk_amount_json(&w, "freed", word->meter, freed);
        tk_jw_end(&w);
        return tk_print_buf(&buf);
}

/* All in one batch, so that nobody changes what is read here before it is written. */
static int resolve(const struct tk_cmd_line *line, struct tk_local *local, struct word *word) {
        struct matching m = {.word = word};
        struct tk_doubt_view view;
        struct tk_subject subject;
        enum tk_err err;
        int code = tk_subject_read(local, line->hole, &subject);
        if (code != TK_EXIT_OK)
                return code;
        if ((err = tk_local_begin(local)) != TK_OK)
                return fail_at(local, err);
        err = tk_reader_doubt_list(local->reader, subject.id, match_one, &m);
        code = err == TK_OK ? judge(&m) : fail_at(local, err);
        if (code != TK_EXIT_OK) {
                tk_store_rollback(local->store);
                return code;
        }
        err = fill_view(local, &m.found, &view);
        if (err == TK_OK)
                err = tk_doubt_resolve(local->store, local->reader, &local->actor, local->now_ms, &m.found,
                                       word->spent);
        err = tk_local_finish(local, err);
        return err == TK_OK ? print_word(line, word, &view) : fail_at(local, err);
}

struct matching_views {
        struct matching m;
        struct tk_doubt_view found; /* the last one that matched */
};

static void match_view(const struct tk_doubt_view *view, void *ctx) {
        struct matching_views *v = ctx;
        unsigned before = v->m.nr;
        (void)match_one(&view->doubt, &v->m);
        if (v->m.nr > before)
                v->found = *view;
}

/* The server checks it again: what is in doubt may change in between. */
static int resolve_with(const struct tk_cmd_line *line, struct tk_backend *backend, const struct word *word) {
        struct matching_views v = {.m = {.word = word}};
        if (backend->ops->doubts(backend, word->subject, match_view, &v) != TK_OK)
                return tk_fail("%s", backend->why);
        int code = judge(&v.m);
        if (code != TK_EXIT_OK)
                return code;
        if (backend->ops->resolve(backend, &v.found.doubt, word->spent) != TK_OK)
                return tk_fail("%s", backend->why);
        return print_word(line, word, &v.found);
}

static int resolve_remote(const struct tk_cmd_line *line, const struct word *word) {
        const struct tk_str subject = tk_str_of(word->subject);
        struct tk_id id;
        char said[64];
        int code;
        if (!tk_str_is(subject, "org") && !tk_str_is(subject, "workspace") && !tk_id_parse(subject, &id))
                return tk_misuse("'%s' carries no limits: expects org, workspace or an id",
                                 tk_printable(word->subject, said, sizeof said));
        struct tk_backend *backend = tk_backend_open(line, &code);
        if (!backend)
                return code;
        code = resolve_with(line, backend, word);
        tk_backend_close(&backend);
        return code;
}

int tk_cmd_ledger_resolve(const struct tk_cmd_line *line) {
        struct tk_local local;
        struct word word;
        int code = TK_EXIT_FAILED;
        if (!read_word(line, &word))
                return TK_EXIT_USAGE;
        if (is_remote(line))
                return resolve_remote(line, &word);
        if (tk_local_open(line, false, &local))
                code = resolve(line, &local, &word);
        tk_local_close(&local);
        return code;
}
