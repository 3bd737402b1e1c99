/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands around limits. They work on the store, beside a server that runs or not; it reads the
 * change log and holds to the new limits within a second. What is used is what the store knows: posted calls.
 */
#include "cli/measure.h"
#include "cli/output.h"
#include "cli/subject.h"
#include "core/time.h"

#include <stdio.h>
#include <string.h>

#define CAP_NANO_MAX (UINT64_C(9999999999) * 1000000000u) /* as for the caps of a key */
#define JSON_MAX     (64u << 20)

/* ---- options ---- */

static bool read_amount(const char *option, const char *text, enum tk_meter meter, uint64_t *out) {
        bool money = tk_meter_is_money(meter);
        char said[64];
        if (tk_cap_parse(meter, tk_str_of(text), out) == TK_OK && (!money || *out <= CAP_NANO_MAX))
                return true;
        tk_misuse(money ? "--%s %s: expects an amount from 0 to 9999999999, e.g. 5 or 0.25"
                        : "--%s %s: expects a whole number, e.g. 60 or 100000",
                  option, tk_printable(text, said, sizeof said));
        return false;
}

/* Only what can be reached is of use: a misprint that nobody is ever told of would be noticed too late. */
static bool read_alert(const char *text, struct tk_limit *limit) {
        char said[64];
        if (!text)
                return true;
        if (!read_amount("alert", text, limit->meter, &limit->alert))
                return false;
        if (limit->window.kind == TK_WINDOW_FLIGHT)
                tk_misuse("--alert is for windows of time: what is in flight is not used up");
        else if (limit->alert > limit->cap)
                tk_misuse("--alert %s: expects an amount up to the cap",
                          tk_printable(text, said, sizeof said));
        else
                return true;
        return false;
}

/* A rate slides unless it is told not to; money and longer windows cannot. */
static bool read_sliding(const struct tk_cmd_line *line, struct tk_limit *limit) {
        struct tk_limit sliding = *limit;
        sliding.flags |= TK_LIMIT_SLIDING;
        bool can = tk_limit_ok(&sliding), asked = line->opt[TK_OPT_sliding] != NULL;
        if (asked && line->opt[TK_OPT_fixed])
                tk_misuse("--sliding and --fixed do not go together");
        else if (asked && tk_meter_is_money(limit->meter))
                tk_misuse(
                        "--sliding is for requests and tokens: money is counted exactly, from the beginning "
                        "of its window");
        else if (asked && !can)
                tk_misuse("--sliding is for windows of a second to a week");
        else {
                if (can && !line->opt[TK_OPT_fixed])
                        *limit = sliding;
                return true;
        }
        return false;
}

/* False after a message. */
static bool read_limit(const struct tk_cmd_line *line, struct tk_limit *out) {
        *out = (struct tk_limit){.flags = 0};
        if (!tk_meter_read(line->opt[TK_OPT_meter], &out->meter) ||
            !tk_window_read(line->opt[TK_OPT_window], &out->window))
                return false;
        if (!line->opt[TK_OPT_cap]) /* enough for one that is dropped */
                return true;
        if (!read_amount("cap", line->opt[TK_OPT_cap], out->meter, &out->cap) ||
            !read_alert(line->opt[TK_OPT_alert], out) || !read_sliding(line, out))
                return false;
        if (line->opt[TK_OPT_observe])
                out->flags |= TK_LIMIT_OBSERVE;
        return true;
}

/* ---- showing ---- */

struct view {
        const struct tk_subject *subject;
        const struct tk_limit *limit;
        char window[TK_WINDOW_TEXT];
        char cap[TK_CAP_TEXT_MAX], alert[TK_CAP_TEXT_MAX]; /* "": none */
        char used[TK_CAP_TEXT_MAX], left[TK_CAP_TEXT_MAX]; /* "": not known here */
        char turns[TK_TIME_TEXT_LEN + 1];                  /* "": never */
};

static enum tk_err fill_view(struct tk_local *local, const struct tk_subject *subject,
                             const struct tk_limit *limit, struct view *out) {
        int64_t now_s = tk_floor_div(local->now_ms, 1000), used;
        int64_t turns_s = tk_window_end_s(limit->window, tk_window_number(limit->window, now_s));
        *out = (struct view){.subject = subject, .limit = limit};
        tk_window_text(limit->window, out->window);
        tk_cap_text(limit->meter, limit->cap, out->cap);
        if (limit->alert > 0)
                tk_cap_text(limit->meter, limit->alert, out->alert);
        if (turns_s != INT64_MAX)
                tk_time_text(turns_s * 1000, out->turns);
        enum tk_err err = tk_subject_used(local, subject, limit, &used);
        if (err == TK_E_NOT_FOUND)
                return TK_OK;
        if (err != TK_OK)
                return err;
        tk_cap_text(limit->meter, (uint64_t)used, out->used);
        tk_cap_text(limit->meter, limit->cap > (uint64_t)used ? limit->cap - (uint64_t)used : 0, out->left);
        return TK_OK;
}

static void put_flag(struct tk_jw *w, const char *name, unsigned flags, unsigned flag) {
        tk_jw_key(w, name);
        tk_jw_bool(w, flags & flag);
}

static void show_json(struct tk_jw *w, const struct view *view) {
        tk_jw_object(w);
        tk_jw_member_or_null(w, "subject", view->subject->name);
        tk_jw_member_or_null(w, "meter", tk_meter_name(view->limit->meter));
        tk_jw_member_or_null(w, "window", view->window);
        tk_amount_json(w, "cap", view->limit->meter, view->cap);
        tk_amount_json(w, "alert", view->limit->meter, view->alert);
        put_flag(w, "sliding", view->limit->flags, TK_LIMIT_SLIDING);
        put_flag(w, "observe", view->limit->flags, TK_LIMIT_OBSERVE);
        put_flag(w, "balance", view->limit->flags, TK_LIMIT_BALANCE);
        tk_amount_json(w, "used", view->limit->meter, view->used);
        tk_amount_json(w, "left", view->limit->meter, view->left);
        tk_jw_member_or_null(w, "turns_at", view->turns);
        tk_jw_end(w);
}

static void show_heading(struct tk_table *table) {
        static const char *const heading[] = {"SUBJECT", "METER",    "WINDOW",   "CAP",  "USED",
                                              "LEFT",    "ALERT AT", "TURNS AT", "NOTES"};
        table->columns = sizeof heading / sizeof *heading;
        for (size_t i = 0; i < table->columns; i++)
                tk_table_cell(table, heading[i]);
}

static void show_row(struct tk_table *table, const struct view *view) {
        static const char *const notes[TK_LIMIT_FLAGS + 1] = {
                [TK_LIMIT_SLIDING] = "sliding",
                [TK_LIMIT_OBSERVE] = "observe",
                [TK_LIMIT_SLIDING | TK_LIMIT_OBSERVE] = "sliding, observe",
                [TK_LIMIT_BALANCE] = "balance",
        };
        tk_table_cell(table, view->subject->name);
        tk_table_cell(table, tk_meter_name(view->limit->meter));
        tk_table_cell(table, view->window);
        tk_table_cell(table, view->cap);
        tk_table_cell(table, view->used);
        tk_table_cell(table, view->left);
        tk_table_cell(table, view->alert);
        tk_table_cell(table, view->turns);
        tk_table_cell(table, notes[view->limit->flags & TK_LIMIT_FLAGS]);
}

static int fail_at(const struct tk_local *local, enum tk_err err, const struct tk_subject *subject) {
        if (err == TK_E_NOT_FOUND && subject->kind == TK_SUBJECT_KEY)
                return tk_fail("there is no active key %s", subject->name);
        return tk_fail("%s: %s", local->config->store, tk_err_text(err));
}

/* ---- list ---- */

struct listing {
        struct tk_local *local;
        struct tk_jw *w; /* NULL: into the table */
        struct tk_table *table;
        enum tk_err err;
};

static void list_limits(struct listing *l, const struct tk_subject *subject) {
        struct tk_limits limits;
        struct view view;
        l->err = tk_subject_limits_get(l->local, subject, &limits);
        for (unsigned i = 0; l->err == TK_OK && i < limits.nr; i++) {
                l->err = fill_view(l->local, subject, &limits.at[i], &view);
                if (l->err != TK_OK)
                        continue;
                if (l->w)
                        show_json(l->w, &view);
                else
                        show_row(l->table, &view);
        }
}

static bool list_key(const struct tk_key *key, void *ctx) {
        struct listing *l = ctx;
        struct tk_subject subject = tk_subject_of_key(key);
        list_limits(l, &subject);
        if (l->err == TK_E_NOT_FOUND) /* revoked since the list began */
                l->err = TK_OK;
        return l->err == TK_OK;
}

static bool list_user(const struct tk_user *user, void *ctx) {
        struct listing *l = ctx;
        struct tk_subject subject = tk_subject_of_user(user);
        list_limits(l, &subject);
        return l->err == TK_OK;
}

/* From the top: organisation, workspace, users, then the active keys, newest first. */
static void list_all(struct listing *l) {
        const struct tk_subject top[] = {tk_subject_of_org(l->local), tk_subject_of_workspace(l->local)};
        const struct tk_id org = tk_store_org(l->local->store);
        enum tk_err err = TK_OK;
        for (size_t i = 0; l->err == TK_OK && i < sizeof top / sizeof *top; i++)
                list_limits(l, &top[i]);
        if (l->err == TK_OK)
                err = tk_reader_user_list(l->local->reader, org, TK_USER_ROLES_ALL, 0, INT32_MAX, list_user,
                                          l);
        if (l->err == TK_OK && err == TK_OK)
                err = tk_reader_key_list(l->local->reader, org, l->local->now_ms, (struct tk_id){{0}},
                                         INT32_MAX, list_key, l);
        if (l->err == TK_OK)
                l->err = err;
}

int tk_cmd_limit_list(const struct tk_cmd_line *line) {
        struct tk_buf buf = TK_BUF(JSON_MAX);
        struct tk_table table = {0};
        struct tk_jw w = tk_jw_begin(&buf);
        struct tk_local local;
        struct tk_subject subject = {.kind = TK_SUBJECT_ORG};
        struct listing l = {&local, line->opt[TK_OPT_json] ? &w : NULL, &table, TK_OK};
        int code = TK_EXIT_FAILED;
        if (!tk_local_open(line, false, &local)) {
                tk_local_close(&local);
                return code;
        }
        show_heading(&table);
        tk_jw_object(&w);
        tk_jw_key(&w, "limits");
        tk_jw_array(&w);
        code = line->hole ? tk_subject_read(&local, line->hole, &subject) : TK_EXIT_OK;
        if (code == TK_EXIT_OK && line->hole)
                list_limits(&l, &subject);
        else if (code == TK_EXIT_OK)
                list_all(&l);
        tk_jw_end(&w);
        tk_jw_end(&w);
        if (code != TK_EXIT_OK)
                ; /* was said */
        else if (l.err != TK_OK)
                code = fail_at(&local, l.err, &subject);
        else if (l.w)
                code = tk_print_buf(&buf);
        else
                code = tk_table_print(&table);
        tk_table_free(&table);
        tk_buf_free(&buf);
        tk_local_close(&local);
        return code;
}

/* ---- set, drop ---- */

struct change {
        struct tk_limit limit;
        bool none, balance; /* why it cannot be: the CONFLICT */
};

static enum tk_err set_one(struct tk_limits *limits, void *ctx) {
        struct change *change = ctx;
        unsigned i = tk_limits_find(limits, change->limit.meter, change->limit.window);
        change->balance = i < limits->nr && limits->at[i].flags & TK_LIMIT_BALANCE;
        if (change->balance)
                return TK_E_CONFLICT;
        if (i == TK_KEY_LIMITS_MAX)
                return TK_E_TOO_BIG;
        if (i == limits->nr)
                limits->nr++;
        limits->at[i] = change->limit;
        return TK_OK;
}

static enum tk_err drop_one(struct tk_limits *limits, void *ctx) {
        struct change *change = ctx;
        unsigned i = tk_limits_find(limits, change->limit.meter, change->limit.window);
        change->none = i == limits->nr;
        change->balance = !change->none && limits->at[i].flags & TK_LIMIT_BALANCE;
        if (change->none || change->balance)
                return TK_E_CONFLICT;
        limits->nr--;
        memmove(&limits->at[i], &limits->at[i + 1], (limits->nr - i) * sizeof limits->at[0]);
        return TK_OK;
}

static int print_set(const struct tk_cmd_line *line, struct tk_local *local, const struct tk_subject *subject,
                     const struct tk_limit *limit) {
        struct tk_buf buf = TK_BUF(65536);
        struct tk_table table = {0};
        struct tk_jw w = tk_jw_begin(&buf);
        struct view view;
        enum tk_err err = fill_view(local, subject, limit, &view);
        if (err != TK_OK)
                return fail_at(local, err, subject);
        if (line->opt[TK_OPT_json]) {
                show_json(&w, &view);
                return tk_print_buf(&buf);
        }
        show_heading(&table);
        show_row(&table, &view);
        return tk_table_print(&table);
}

static int print_dropped(const struct tk_cmd_line *line, const struct tk_subject *subject,
                         const struct tk_limit *limit) {
        char window[TK_WINDOW_TEXT];
        printf(line->opt[TK_OPT_json]
                       ? "{\"subject\":\"%s\",\"meter\":\"%s\",\"window\":\"%s\",\"dropped\":true}\n"
                       : "dropped from %s: %s, %s\n",
               subject->name, tk_meter_name(limit->meter), tk_window_text(limit->window, window));
        return TK_EXIT_OK;
}

static int fail_conflict(const struct tk_subject *subject, const struct change *change) {
        char window[TK_WINDOW_TEXT];
        if (change->balance)
                return tk_fail(
                        "%s has a prepaid balance of %s there, which only 'tollkey balance topup' changes",
                        subject->name, tk_meter_name(change->limit.meter));
        return tk_fail(
                "%s has no limit on %s with the window '%s'; 'tollkey limit list' shows those that it has",
                subject->name, tk_meter_name(change->limit.meter),
                tk_window_text(change->limit.window, window));
}

static int change_limit(const struct tk_cmd_line *line, struct tk_local *local, const struct tk_limit *limit,
                        bool set) {
        struct change change = {.limit = *limit};
        struct tk_subject subject;
        const int code = tk_subject_read(local, line->hole, &subject);
        if (code != TK_EXIT_OK)
                return code;
        enum tk_err err =
                tk_subject_limits_edit(local, &subject, set ? TK_AUDIT_LIMIT_SET : TK_AUDIT_LIMIT_DROP,
                                       set ? set_one : drop_one, &change);
        if (err == TK_E_TOO_BIG)
                return tk_fail("%s has %d limits, the most there can be; drop one first", subject.name,
                               TK_KEY_LIMITS_MAX);
        if (change.none || change.balance)
                return fail_conflict(&subject, &change);
        if (err != TK_OK)
                return fail_at(local, err, &subject);
        return set ? print_set(line, local, &subject, limit) : print_dropped(line, &subject, limit);
}

static int open_and_change(const struct tk_cmd_line *line, bool set) {
        struct tk_limit limit;
        struct tk_local local;
        int code = TK_EXIT_FAILED;
        if (!read_limit(line, &limit))
                return TK_EXIT_USAGE;
        if (tk_local_open(line, false, &local))
                code = change_limit(line, &local, &limit, set);
        tk_local_close(&local);
        return code;
}

int tk_cmd_limit_set(const struct tk_cmd_line *line) {
        return open_and_change(line, true);
}

int tk_cmd_limit_drop(const struct tk_cmd_line *line) {
        return open_and_change(line, false);
}
