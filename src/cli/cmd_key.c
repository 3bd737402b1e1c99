/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands around keys. Options become a struct tk_key_change first, all checked, before a store is
 * opened or a server is asked.
 */
#include "cli/backend.h"
#include "cli/output.h"
#include "cli/show.h"
#include "rt/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_NANO_MAX (UINT64_C(9999999999) * 1000000000u) /* the most that the API takes, too */

/* ---- options ---- */

static bool read_description(const char *text, struct tk_key_change *change) {
        struct tk_str s = tk_str_of(text);
        if (!tk_str_utf8_ok(s))
                tk_misuse("--description is not valid UTF-8");
        else if (tk_str_utf16_len(s) > TK_DESCRIPTION_UNITS_MAX)
                tk_misuse("--description is longer than %d characters", TK_DESCRIPTION_UNITS_MAX);
        else
                change->description = text;
        return change->description != NULL;
}

static bool read_cap(const char *name, const char *text, enum tk_change_op *op, uint64_t *nano) {
        char said[64];
        struct tk_str s = tk_str_of(text);
        if (tk_str_is(s, "none")) {
                *op = TK_CHANGE_CLEAR;
                return true;
        }
        enum tk_err err = tk_nano_parse(s, nano);
        if (err == TK_OK && *nano <= CAP_NANO_MAX) {
                *op = TK_CHANGE_SET;
                return true;
        }
        tk_misuse("--%s %s: expects an amount from 0 to 9999999999, e.g. 5 or 0.25, or none", name,
                  tk_printable(text, said, sizeof said));
        return false;
}

static bool read_period(const char *text, struct tk_key_change *change) {
        static const enum tk_window_kind kinds[] = {TK_WINDOW_DAY, TK_WINDOW_MONTH, TK_WINDOW_LIFETIME};
        char said[64];
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
                if (!tk_str_is_nocase(tk_str_of(text), tk_window_kind_name(kinds[i])))
                        continue;
                change->has_period = true;
                change->period = kinds[i];
                return true;
        }
        tk_misuse("--period %s: expects day, month or lifetime", tk_printable(text, said, sizeof said));
        return false;
}

static bool read_privacy(const char *text, struct tk_key_change *change) {
        char said[64], name[TK_VIEW_TEXT];
        for (unsigned i = 0; i < TK_PRIVACY_NR; i++) {
                tk_view_name(tk_privacy_name((enum tk_privacy)i), name);
                if (!tk_str_is_nocase(tk_str_of(text), name) &&
                    !tk_str_is_nocase(tk_str_of(text), tk_privacy_name((enum tk_privacy)i)))
                        continue;
                change->has_privacy = true;
                change->privacy = (enum tk_privacy)i;
                return true;
        }
        tk_misuse("--privacy %s: expects all, private-text or private-only",
                  tk_printable(text, said, sizeof said));
        return false;
}

/* "90m", "12h", "30d": a time from now. */
static bool from_now(struct tk_str s, int64_t now_ms, int64_t *ms) {
        uint64_t count;
        int64_t unit_ms = 0;
        if (s.len < 2 || !tk_str_u64(tk_str_head(s, s.len - 1), &count) || count > 1000000)
                return false;
        switch (s.at[s.len - 1]) {
        case 'm':
                unit_ms = 60 * 1000;
                break;
        case 'h':
                unit_ms = TK_HOUR_S * 1000;
                break;
        case 'd':
                unit_ms = TK_DAY_S * 1000;
                break;
        default:
                return false;
        }
        *ms = now_ms + (int64_t)count * unit_ms; /* at most some 2700 years on */
        return true;
}

static bool read_expires(const char *text, struct tk_key_change *change) {
        char said[64];
        struct tk_str s = tk_str_of(text);
        int64_t now_ms = tk_clock_now_ms(), ms = 0;
        tk_printable(text, said, sizeof said);
        if (tk_str_is(s, "never")) {
                change->expires.op = TK_CHANGE_CLEAR;
                return true;
        }
        if (!from_now(s, now_ms, &ms)) {
                enum tk_err err = tk_time_parse(s, &ms);
                if (err == TK_E_RANGE) {
                        tk_misuse("--expires %s: there is no such date or time", said);
                        return false;
                }
                if (err != TK_OK) {
                        tk_misuse("--expires %s: expects YYYY-MM-DD, YYYY-MM-DDTHH:MM:SSZ, a time from now "
                                  "such as "
                                  "90m, 12h or 30d, or never",
                                  said);
                        return false;
                }
        }
        if (ms <= now_ms) {
                tk_misuse("--expires %s: that is in the past", said);
                return false;
        }
        change->expires.op = TK_CHANGE_SET;
        change->expires.ms = ms;
        return true;
}

/* False after a message. */
static bool read_change(const struct tk_cmd_line *line, struct tk_key_change *change) {
        const char *const *opt = line->opt;
        *change = (struct tk_key_change){0};
        return (!opt[TK_OPT_description] || read_description(opt[TK_OPT_description], change)) &&
               (!opt[TK_OPT_usd] || read_cap("usd", opt[TK_OPT_usd], &change->usd.op, &change->usd.nano)) &&
               (!opt[TK_OPT_diem] ||
                read_cap("diem", opt[TK_OPT_diem], &change->diem.op, &change->diem.nano)) &&
               (!opt[TK_OPT_period] || read_period(opt[TK_OPT_period], change)) &&
               (!opt[TK_OPT_expires] || read_expires(opt[TK_OPT_expires], change)) &&
               (!opt[TK_OPT_privacy] || read_privacy(opt[TK_OPT_privacy], change));
}

static bool id_ok(const struct tk_cmd_line *line) {
        char said[64];
        struct tk_id id;
        if (tk_id_parse(tk_str_of(line->hole), &id))
                return true;
        tk_misuse("'%s' is not the id of a key; 'tollkey key list' shows them",
                  tk_printable(line->hole, said, sizeof said));
        return false;
}

/* ---- create ---- */

/* A key of the kind 'user' is somebody's, and no other is. */
static bool read_owner(const struct tk_cmd_line *line, enum tk_key_kind kind, struct tk_key_change *change) {
        change->user = line->opt[TK_OPT_user];
        struct tk_id id;
        char email[TK_EMAIL_MAX + 1], said[64];
        if ((kind == TK_KIND_USER) != (change->user != NULL))
                tk_misuse("--kind user and --user go together");
        else if (change->user && line->opt[TK_OPT_url])
                tk_misuse("--user works on the store only, so it does not go with --url");
        else if (change->user && tk_email_parse(tk_str_of(change->user), email) != TK_OK &&
                 !tk_id_parse(tk_str_of(change->user), &id))
                tk_misuse("--user %s: expects the e-mail address or id of a user; 'tollkey user list' shows "
                          "them",
                          tk_printable(change->user, said, sizeof said));
        else
                return true;
        return false;
}

/*
 * The secret goes to standard output and is wiped from where it was put together; what says so goes to
 * standard error, so that a script can take the first and a person sees the second.
 */
static int print_created(const struct tk_cmd_line *line, const char *id, const struct tk_key_text *secret) {
        if (line->opt[TK_OPT_json])
                printf("{\"id\":\"%s\",\"key\":\"%s\"}\n", id, secret->at);
        else
                printf("id   %s\nkey  %s\n", id, secret->at);
        if (fflush(stdout) != 0)
                return tk_fail("the key %s was made, but it could not be written; revoke it and make another",
                               id);
        if (!line->opt[TK_OPT_json])
                tk_note("this is the only time that the key is shown; keep it now");
        return TK_EXIT_OK;
}

int tk_cmd_key_create(const struct tk_cmd_line *line) {
        struct tk_key_change change;
        struct tk_key_text secret;
        enum tk_key_kind kind;
        char id[TK_ID_TEXT_LEN + 1], said[64];
        int code;
        if (!tk_key_kind_parse(tk_str_of(line->opt[TK_OPT_kind]), &kind))
                return tk_misuse("--kind %s: expects admin, inference or user",
                                 tk_printable(line->opt[TK_OPT_kind], said, sizeof said));
        if (!read_change(line, &change) || !read_owner(line, kind, &change))
                return TK_EXIT_USAGE;
        struct tk_backend *backend = tk_backend_open(line, &code);
        if (!backend)
                return code;
        if (backend->ops->create(backend, kind, &change, id, &secret) == TK_OK) {
                code = print_created(line, id, &secret);
                tk_key_text_wipe(&secret);
        } else {
                code = tk_fail("%s", backend->why);
        }
        tk_backend_close(&backend);
        return code;
}

/* ---- list, show, edit, revoke ---- */

struct listing {
        struct tk_jw *w; /* NULL: into the table */
        struct tk_table *table;
};

static void list_one(const struct tk_key_view *view, void *ctx) {
        struct listing *l = ctx;
        if (l->w)
                tk_show_key_json(l->w, view);
        else
                tk_show_key_row(l->table, view);
}

int tk_cmd_key_list(const struct tk_cmd_line *line) {
        struct tk_buf buf = TK_BUF(TK_SHOW_JSON_MAX);
        struct tk_table table = {0};
        struct tk_jw w = tk_jw_begin(&buf);
        struct listing l = {line->opt[TK_OPT_json] ? &w : NULL, &table};
        int code;
        struct tk_backend *backend = tk_backend_open(line, &code);
        if (!backend)
                return code;
        tk_show_key_heading(&table);
        tk_jw_object(&w);
        tk_jw_key(&w, "keys");
        tk_jw_array(&w);
        bool ok = backend->ops->list(backend, list_one, &l) == TK_OK;
        tk_jw_end(&w);
        tk_jw_end(&w);
        if (!ok)
                code = tk_fail("%s", backend->why);
        else if (l.w)
                code = tk_print_buf(&buf);
        else
                code = tk_table_print(&table);
        tk_table_free(&table);
        tk_buf_free(&buf);
        tk_backend_close(&backend);
        return code;
}

static int print_key(const struct tk_cmd_line *line, const struct tk_key_view *view) {
        if (!line->opt[TK_OPT_json])
                return tk_show_key(view);
        struct tk_buf buf = TK_BUF(65536);
        struct tk_jw w = tk_jw_begin(&buf);
        tk_show_key_json(&w, view);
        return tk_print_buf(&buf);
}

int tk_cmd_key_show(const struct tk_cmd_line *line) {
        struct tk_key_view view;
        int code;
        if (!id_ok(line))
                return TK_EXIT_USAGE;
        struct tk_backend *backend = tk_backend_open(line, &code);
        if (!backend)
                return code;
        if (backend->ops->get(backend, line->hole, &view) == TK_OK)
                code = print_key(line, &view);
        else
                code = tk_fail("%s", backend->why);
        tk_backend_close(&backend);
        return code;
}

static bool changes_nothing(const struct tk_cmd_line *line) {
        static const enum tk_opt changing[] = {TK_OPT_description, TK_OPT_usd,     TK_OPT_diem,
                                               TK_OPT_period,      TK_OPT_expires, TK_OPT_privacy};
        for (size_t i = 0; i < sizeof changing / sizeof *changing; i++)
                if (line->opt[changing[i]])
                        return false;
        return true;
}

int tk_cmd_key_edit(const struct tk_cmd_line *line) {
        struct tk_key_change change;
        struct tk_key_view view;
        int code;
        if (!id_ok(line))
                return TK_EXIT_USAGE;
        if (changes_nothing(line))
                return tk_misuse("nothing to change; see 'tollkey key edit --help'");
        if (!read_change(line, &change))
                return TK_EXIT_USAGE;
        struct tk_backend *backend = tk_backend_open(line, &code);
        if (!backend)
                return code;
        if (backend->ops->edit(backend, line->hole, &change, &view) == TK_OK)
                code = print_key(line, &view);
        else
                code = tk_fail("%s", backend->why);
        tk_backend_close(&backend);
        return code;
}

int tk_cmd_key_revoke(const struct tk_cmd_line *line) {
        int code;
        if (!id_ok(line))
                return TK_EXIT_USAGE;
        struct tk_backend *backend = tk_backend_open(line, &code);
        if (!backend)
                return code;
        if (backend->ops->revoke(backend, line->hole) == TK_OK) {
                printf(line->opt[TK_OPT_json] ? "{\"id\":\"%s\",\"revoked\":true}\n" : "revoked %s\n",
                       line->hole);
                code = TK_EXIT_OK;
        } else {
                code = tk_fail("%s", backend->why);
        }
        tk_backend_close(&backend);
        return code;
}
