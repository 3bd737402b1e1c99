/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands around prepaid balances, on the store, as those around limits. A top-up is told with the
 * payer's own id, so that a script may repeat it until it knows that it landed.
 */
#include "cli/output.h"
#include "cli/subject.h"
#include "core/time.h"
#include "wire/json_write.h"

#include <stdio.h>
#include <string.h>

#define JSON_MAX (64u << 20)

static const struct tk_window_spec lifetime = {.kind = TK_WINDOW_LIFETIME};

/* ---- words ---- */

/* Other than TK_EXIT_OK: after a message. */
static int read_subject(struct tk_local *local, const char *text, struct tk_subject *out) {
        int code = tk_subject_read(local, text, out);
        if (code == TK_EXIT_OK && out->kind == TK_SUBJECT_KEY)
                code = tk_misuse("a key has no balance of its own: expects org, workspace or a user");
        return code;
}

static bool read_currency(const char *text, enum tk_meter *out) {
        char said[64];
        if (tk_meter_parse(tk_str_of(text), out) && (*out == TK_METER_USD || *out == TK_METER_DIEM))
                return true;
        tk_misuse("'%s' is no currency: expects usd or diem", tk_printable(text, said, sizeof said));
        return false;
}

static bool read_amount(const char *text, int64_t *out) {
        struct tk_money money;
        char said[64];
        if (tk_money_parse(tk_str_of(text), &money) == TK_OK && money.nano > 0) {
                *out = money.nano;
                return true;
        }
        tk_misuse("'%s' is no amount to pay: expects more than 0 and up to 9223372036, e.g. 5 or 0.25",
                  tk_printable(text, said, sizeof said));
        return false;
}

static bool read_id(const char *text, char out[TK_TOPUP_ID_MAX + 1]) {
        char said[64];
        struct tk_str s = tk_str_of(text);
        bool ok = s.len > 0 && tk_str_copy(s, out, TK_TOPUP_ID_MAX + 1);
        for (size_t i = 0; i < s.len; i++)
                ok = ok && s.at[i] > ' ' && s.at[i] <= '~';
        if (!ok)
                tk_misuse("--id %s: expects 1 to %d printable characters without spaces",
                          tk_printable(text, said, sizeof said), TK_TOPUP_ID_MAX);
        return ok;
}

/* ---- one balance ---- */

struct view {
        const struct tk_subject *subject;
        enum tk_meter meter;
        int64_t used_nano;
        char paid[TK_CAP_TEXT_MAX], used[TK_CAP_TEXT_MAX], left[TK_CAP_TEXT_MAX];
};

static enum tk_err fill_view(struct tk_local *local, const struct tk_subject *subject,
                             const struct tk_limit *balance, struct view *out) {
        struct tk_count count = {0, 0};
        enum tk_err err = tk_subject_used(local, subject, balance, &count.posted);
        *out = (struct view){.subject = subject, .meter = balance->meter, .used_nano = count.posted};
        if (err != TK_OK)
                return err;
        tk_cap_text(balance->meter, balance->cap, out->paid);
        tk_cap_text(balance->meter, (uint64_t)count.posted, out->used);
        tk_cap_text(balance->meter, (uint64_t)tk_limit_left(balance->cap, &count), out->left);
        return TK_OK;
}

static void put_view(struct tk_jw *w, const struct view *view) {
        tk_jw_member(w, "subject", view->subject->name);
        tk_jw_member(w, "currency", tk_meter_name(view->meter));
        tk_jw_member(w, "paid", view->paid);
        tk_jw_member(w, "used", view->used);
        tk_jw_member(w, "left", view->left);
}

static int fail_store(const struct tk_local *local, enum tk_err err) {
        return tk_fail("%s: %s", local->config->store, tk_err_text(err));
}

/* ---- topup ---- */

/* Inside a batch, in which nobody else can add one. */
static enum tk_err is_known(struct tk_local *local, const struct tk_topup *topup, bool *known) {
        struct tk_topup seen;
        enum tk_err err = tk_store_topup_get(local->store, topup->id, &seen);
        *known = err == TK_OK;
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

static enum tk_err write_topup(struct tk_local *local, const struct tk_topup *topup, bool *known) {
        enum tk_err err = tk_local_begin(local);
        if (err != TK_OK)
                return err;
        err = is_known(local, topup, known);
        if (err == TK_OK)
                err = tk_audit_topup(local->store, &local->actor, local->now_ms, topup);
        return tk_local_finish(local, err);
}

static int fail_topup(const struct tk_local *local, const struct tk_subject *subject,
                      const struct tk_topup *topup, bool known, enum tk_err err) {
        if (err == TK_E_CONFLICT && known)
                return tk_fail("--id %s stands for another top-up already; 'tollkey balance show' lists them",
                               topup->id);
        if (err == TK_E_CONFLICT)
                return tk_fail(
                        "%s has a limit on %s with the window 'lifetime' where its balance would be; drop "
                        "that first: 'tollkey limit drop %s --meter %s --window lifetime'",
                        subject->name, tk_meter_name(topup->meter), subject->name,
                        tk_meter_name(topup->meter));
        if (err == TK_E_TOO_BIG)
                return tk_fail("%s has %d limits, the most there can be; drop one first", subject->name,
                               TK_KEY_LIMITS_MAX);
        if (err == TK_E_OVERFLOW)
                return tk_fail("the balance would be more than can be counted");
        return fail_store(local, err);
}

static int print_topup(const struct tk_cmd_line *line, struct tk_local *local,
                       const struct tk_subject *subject, const struct tk_topup *topup, bool known) {
        struct tk_buf buf = TK_BUF(65536);
        struct tk_jw w = tk_jw_begin(&buf);
        struct tk_limits limits;
        struct view view;
        char amount[TK_MONEY_TEXT_MAX];
        enum tk_err err = tk_subject_limits_get(local, subject, &limits);
        unsigned i = err == TK_OK ? tk_limits_find(&limits, topup->meter, lifetime) : 0;
        if (err == TK_OK && i == limits.nr)
                err = TK_E_NOT_FOUND; /* what was just written is there, unless the file is another one by now
                                       */
        if (err == TK_OK)
                err = fill_view(local, subject, &limits.at[i], &view);
        if (err != TK_OK)
                return fail_store(local, err);
        tk_money_text((struct tk_money){topup->amount}, amount);
        if (!known && limits.at[i].cap == (uint64_t)topup->amount && view.used_nano > 0)
                tk_note("%s %s were used before there was a balance, and count against it", view.used,
                        tk_meter_name(topup->meter));
        if (!line->opt[TK_OPT_json]) {
                printf("%s %s %s to %s; paid %s, used %s, left %s\n", known ? "was added before:" : "added",
                       amount, tk_meter_name(topup->meter), subject->name, view.paid, view.used, view.left);
                return TK_EXIT_OK;
        }
        tk_jw_object(&w);
        tk_jw_member(&w, "id", topup->id);
        tk_jw_member(&w, "amount", amount);
        tk_jw_key(&w, "repeated");
        tk_jw_bool(&w, known);
        put_view(&w, &view);
        tk_jw_end(&w);
        return tk_print_buf(&buf);
}

static int topup(const struct tk_cmd_line *line, struct tk_local *local, struct tk_topup *topup) {
        struct tk_subject subject;
        bool known = false;
        const int code = read_subject(local, line->hole, &subject);
        if (code != TK_EXIT_OK)
                return code;
        topup->subject = subject.id;
        topup->at_ms = local->now_ms;
        enum tk_err err = write_topup(local, topup, &known);
        if (err != TK_OK)
                return fail_topup(local, &subject, topup, known, err);
        return print_topup(line, local, &subject, topup, known);
}

int tk_cmd_balance_topup(const struct tk_cmd_line *line) {
        struct tk_topup one = {.at_ms = 0};
        struct tk_local local;
        int code = TK_EXIT_FAILED;
        if (!read_currency(line->more[0], &one.meter) || !read_amount(line->more[1], &one.amount) ||
            !read_id(line->opt[TK_OPT_id], one.id))
                return TK_EXIT_USAGE;
        if (tk_local_open(line, false, &local))
                code = topup(line, &local, &one);
        tk_local_close(&local);
        return code;
}

/* ---- show ---- */

struct showing {
        struct tk_local *local;
        struct tk_jw *w;                    /* NULL: into the tables */
        struct tk_table *balances, *topups; /* each begins with its heading */
        const struct tk_subject *subject;
        enum tk_meter meter;
        enum tk_err err;
};

static bool show_topup(const struct tk_topup *topup, void *ctx) {
        struct showing *s = ctx;
        char amount[TK_MONEY_TEXT_MAX], at[TK_TIME_TEXT_LEN + 1];
        if (topup->meter != s->meter)
                return true;
        tk_money_text((struct tk_money){topup->amount}, amount);
        tk_time_text(topup->at_ms, at);
        if (s->w) {
                tk_jw_object(s->w);
                tk_jw_member(s->w, "id", topup->id);
                tk_jw_member(s->w, "amount", amount);
                tk_jw_member(s->w, "at", at);
                tk_jw_end(s->w);
                return true;
        }
        tk_table_cell(s->topups, at);
        tk_table_cell(s->topups, s->subject->name);
        tk_table_cell(s->topups, amount);
        tk_table_cell(s->topups, tk_meter_name(topup->meter));
        tk_table_cell(s->topups, topup->id);
        return true;
}

static void show_balance(struct showing *s, const struct tk_limit *balance) {
        struct view view;
        s->meter = balance->meter;
        s->err = fill_view(s->local, s->subject, balance, &view);
        if (s->err != TK_OK)
                return;
        if (s->w) {
                tk_jw_object(s->w);
                put_view(s->w, &view);
                tk_jw_key(s->w, "topups");
                tk_jw_array(s->w);
        } else {
                const char *const cells[] = {s->subject->name, tk_meter_name(balance->meter), view.paid,
                                             view.used, view.left};
                for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
                        tk_table_cell(s->balances, cells[i]);
        }
        s->err = tk_reader_topup_list(s->local->reader, s->subject->id, show_topup, s);
        if (s->w) {
                tk_jw_end(s->w);
                tk_jw_end(s->w);
        }
}

static void show_subject(struct showing *s, const struct tk_subject *subject) {
        struct tk_limits limits;
        s->subject = subject;
        s->err = tk_subject_limits_get(s->local, subject, &limits);
        for (unsigned i = 0; s->err == TK_OK && i < limits.nr; i++)
                if (limits.at[i].flags & TK_LIMIT_BALANCE)
                        show_balance(s, &limits.at[i]);
}

static bool show_user(const struct tk_user *user, void *ctx) {
        struct showing *s = ctx;
        const struct tk_subject subject = tk_subject_of_user(user);
        show_subject(s, &subject);
        return s->err == TK_OK;
}

static void show_all(struct showing *s) {
        const struct tk_subject top[] = {tk_subject_of_org(s->local), tk_subject_of_workspace(s->local)};
        for (size_t i = 0; s->err == TK_OK && i < sizeof top / sizeof *top; i++)
                show_subject(s, &top[i]);
        if (s->err != TK_OK)
                return;
        enum tk_err err = tk_reader_user_list(s->local->reader, tk_store_org(s->local->store),
                                              TK_USER_ROLES_ALL, 0, INT32_MAX, show_user, s);
        if (s->err == TK_OK)
                s->err = err;
}

static int print_tables(struct showing *s) {
        bool any = s->topups->cells_nr > s->topups->columns;
        int code = tk_table_print(s->balances);
        if (code != TK_EXIT_OK || !any)
                return code;
        putchar('\n');
        return tk_table_print(s->topups);
}

static int show(const struct tk_cmd_line *line, struct showing *s, struct tk_buf *buf) {
        struct tk_subject subject;
        const int code = line->hole ? read_subject(s->local, line->hole, &subject) : TK_EXIT_OK;
        if (code != TK_EXIT_OK)
                return code;
        struct tk_jw w = tk_jw_begin(buf);
        s->w = line->opt[TK_OPT_json] ? &w : NULL;
        tk_jw_object(&w);
        tk_jw_key(&w, "balances");
        tk_jw_array(&w);
        if (line->hole)
                show_subject(s, &subject);
        else
                show_all(s);
        tk_jw_end(&w);
        tk_jw_end(&w);
        if (s->err != TK_OK)
                return fail_store(s->local, s->err);
        return s->w ? tk_print_buf(buf) : print_tables(s);
}

static void heading(struct tk_table *table, const char *const cells[5]) {
        table->columns = 5;
        for (size_t i = 0; i < 5; i++)
                tk_table_cell(table, cells[i]);
}

int tk_cmd_balance_show(const struct tk_cmd_line *line) {
        static const char *const balances_are[] = {"SUBJECT", "CURRENCY", "PAID", "USED", "LEFT"};
        static const char *const topups_are[] = {"AT", "SUBJECT", "AMOUNT", "CURRENCY", "ID"};
        struct tk_buf buf = TK_BUF(JSON_MAX);
        struct tk_table balances = {0}, topups = {0};
        struct tk_local local;
        struct showing s = {.local = &local, .balances = &balances, .topups = &topups};
        int code = TK_EXIT_FAILED;
        heading(&balances, balances_are);
        heading(&topups, topups_are);
        if (tk_local_open(line, false, &local))
                code = show(line, &s, &buf);
        tk_local_close(&local);
        tk_table_free(&balances);
        tk_table_free(&topups);
        tk_buf_free(&buf);
        return code;
}
