/* SPDX-License-Identifier: Apache-2.0 */
#include "api/dialect_portkey.h"

#include "wire/json_write.h"

#include <string.h>

#define MESSAGE_BYTES_MAX 8192
#define FORBIDDEN         "You do not have enough permissions to execute this request"
#define INVALID           "Invalid request. Please check and try again."

/* ---- admin ---- */

static void write_path(struct tk_issue_path path, struct tk_buf *out) {
        for (unsigned i = 0; i < TK_ISSUE_DEPTH && path.at[i]; i++)
                tk_buf_printf(out, "%s%s", i ? "." : "", path.at[i]);
}

static void write_errors(const struct tk_issues *issues, struct tk_jw *w) {
        tk_jw_key(w, "errors");
        tk_jw_array(w);
        for (unsigned i = 0; i < issues->nr; i++) {
                char text[128];
                struct tk_buf path = TK_BUF_OVER(text);
                write_path(issues->at[i].path, &path);
                MUST(tk_buf_ok(&path)); /* names of members of ours */
                tk_jw_object(w);
                tk_jw_key(w, "path");
                tk_jw_str(w, tk_buf_str(&path));
                tk_jw_key(w, "message");
                tk_jw_raw(
                        w,
                        tk_buf_str(&issues->at[i].messages)); /* one JSON string: there are no unions here */
                tk_jw_end(w);
        }
        tk_jw_end(w);
}

/* message: a JSON value, written three times. issues may be NULL. */
static void write_admin(const struct tk_problem *problem, struct tk_str message,
                        const struct tk_issues *issues, struct tk_buf *body) {
        const struct tk_problem_row *row = tk_problem_row(problem->id);
        struct tk_jw w = tk_jw_begin(body);
        tk_jw_object(&w);
        tk_jw_key(&w, "success");
        tk_jw_bool(&w, false);
        tk_jw_key(&w, "message");
        tk_jw_raw(&w, message);
        tk_jw_key(&w, "data");
        tk_jw_object(&w);
        tk_jw_key(&w, "message");
        tk_jw_raw(&w, message);
        tk_jw_key(&w, "errorCode");
        tk_jw_text(&w, row->admin_code);
        if (issues)
                write_errors(issues, &w);
        tk_jw_end(&w);
        tk_jw_key(&w, "error");
        tk_jw_object(&w);
        tk_jw_key(&w, "message");
        tk_jw_raw(&w, message);
        tk_jw_key(&w, "code");
        tk_jw_text(&w, row->admin_code);
        tk_jw_key(&w, "type");
        tk_jw_text(&w, row->openai_type);
        tk_jw_key(&w, "param");
        tk_jw_text(&w, problem->param);
        tk_jw_end(&w);
        tk_jw_end(&w);
}

/* What the row says, and the detail after it, as a JSON string. */
static void say(const struct tk_problem *problem, const char *text, struct tk_buf *out) {
        struct tk_buf words = TK_BUF(MESSAGE_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(out);
        tk_buf_text(&words, text);
        if (problem->detail && problem->id != TK_PROBLEM_MODEL_PRIVACY) {
                tk_buf_char(&words, ' ');
                tk_buf_text(&words, problem->detail);
        }
        if (tk_buf_ok(&words))
                tk_jw_str(&w, tk_buf_str(&words));
        else
                tk_jw_text(&w, text);
        tk_buf_free(&words);
}

static void render_admin(const struct tk_problem *problem, struct tk_buf *body) {
        const struct tk_problem_row *row = tk_problem_row(problem->id);
        struct tk_buf message = TK_BUF(2 * MESSAGE_BYTES_MAX);
        const char *text = row->text;
        if (problem->id == TK_PROBLEM_INVALID_PARAM)
                text = INVALID;
        else if (strcmp(row->admin_code, "AB03") == 0 && problem->id != TK_PROBLEM_MODEL_PRIVACY)
                text = FORBIDDEN;
        say(problem, text, &message);
        if (tk_buf_ok(&message))
                write_admin(problem, tk_buf_str(&message), NULL, body);
        else
                body->failed = true;
        tk_buf_free(&message);
}

void tk_portkey_render_issues(const struct tk_issues *issues, struct tk_buf *body) {
        struct tk_problem problem = {.id = TK_PROBLEM_INVALID_PARAM};
        struct tk_buf message = TK_BUF(TK_ISSUES_BYTES_MAX);
        const struct tk_issue *first = &issues->at[0];
        struct tk_str words = tk_buf_str(&first->messages);
        MUST(issues->nr > 0);
        for (unsigned i = 0; i < issues->nr; i++)
                body->failed |= !tk_buf_ok(&issues->at[i].messages);
        if (body->failed)
                return;
        MUST(words.len >= 2 && words.at[0] == '"'); /* a JSON string, to be continued inside of its quotes */
        tk_buf_text(&message, "\"" INVALID " ");
        write_path(first->path, &message);
        tk_buf_text(&message, first->path.at[0] ? ": " : "");
        tk_buf_put(&message, tk_str_skip(words, 1));
        problem.param = first->path.at[0];
        if (tk_buf_ok(&message))
                write_admin(&problem, tk_buf_str(&message), issues, body);
        else
                body->failed = true;
        tk_buf_free(&message);
}

/* ---- gateway ---- */

/* The documented words; those of a limit say whose it is. */
static const char *gate_text(const struct tk_problem *problem, const struct tk_problem_row *row) {
        if (problem->above_key && strcmp(row->gate_code, "04") == 0)
                return "Portkey Workspace Usage Limit Exceeded";
        if (problem->above_key && strcmp(row->gate_code, "05") == 0)
                return "workspace rate limit exceeded";
        return row->gate_text;
}

static void write_coded(const struct tk_problem *problem, const struct tk_problem_row *row, struct tk_jw *w) {
        char text[256];
        struct tk_buf message = TK_BUF_OVER(text);
        tk_buf_printf(&message, "Portkey Error: %s. Error Code: %s", gate_text(problem, row), row->gate_code);
        MUST(tk_buf_ok(&message)); /* both are of the table */
        tk_jw_str(w, tk_buf_str(&message));
        tk_jw_key(w, "error");
        tk_jw_object(w);
        tk_jw_key(w, "message");
        tk_jw_str(w, tk_buf_str(&message));
        tk_jw_key(w, "code");
        tk_jw_text(w, row->gate_code);
        if (problem->detail) {
                tk_jw_key(w, "reason");
                tk_jw_text(w, problem->detail);
        }
        tk_jw_end(w);
}

static void write_plain(const struct tk_problem *problem, const struct tk_problem_row *row, struct tk_jw *w) {
        struct tk_buf message = TK_BUF(2 * MESSAGE_BYTES_MAX);
        say(problem, row->text, &message);
        struct tk_str words = tk_buf_ok(&message) ? tk_buf_str(&message) : TK_STR("null");
        w->buf->failed |= !tk_buf_ok(&message);
        tk_jw_raw(w, words);
        tk_jw_key(w, "error");
        tk_jw_object(w);
        tk_jw_key(w, "message");
        tk_jw_raw(w, words);
        tk_jw_key(w, "type");
        tk_jw_text(w, row->openai_type);
        tk_jw_key(w, "param");
        tk_jw_text(w, problem->param);
        tk_jw_key(w, "code");
        tk_jw_text(w, row->openai_code);
        tk_jw_end(w);
        tk_buf_free(&message);
}

static void render_gate(const struct tk_problem *problem, struct tk_buf *body) {
        const struct tk_problem_row *row = tk_problem_row(problem->id);
        struct tk_jw w = tk_jw_begin(body);
        tk_jw_object(&w);
        tk_jw_key(&w, "status");
        tk_jw_text(&w, "failure");
        tk_jw_key(&w, "message");
        if (row->gate_code)
                write_coded(problem, row, &w);
        else
                write_plain(problem, row, &w);
        tk_jw_end(&w);
}

const struct tk_dialect tk_dialect_portkey = {
        .name = "portkey",
        .error_type = "application/json",
        .render = render_admin,
};

const struct tk_dialect tk_dialect_gateway = {
        .name = "gateway",
        .error_type = "application/json",
        .render = render_gate,
};
