/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect_native: application/problem+json (RFC 9457). The type is about:blank, so the title is the
 * status in words (section 4.2.1); what happened is `code`, a name that programs may rely on.
 */
#include "api/dialect_native.h"

#include "http/respond.h"
#include "wire/json_write.h"

static const char *title(int status) {
        const char *reason = tk_respond_reason(status);
        return reason[0] ? reason : "Error";
}

/* The row's name is upper-case in the table, a code is lower-case on the wire. */
static void write_code(const char *name, struct tk_jw *w) {
        char code[64];
        size_t n = 0;
        for (; n < sizeof(code) - 1 && name[n]; n++)
                code[n] = name[n] >= 'A' && name[n] <= 'Z' ? (char)(name[n] + ('a' - 'A')) : name[n];
        tk_jw_str(w, (struct tk_str){code, n});
}

/* The object with the members that every problem has; left open. */
static struct tk_jw begin(const struct tk_problem *problem, struct tk_buf *body) {
        const struct tk_problem_row *row = tk_problem_row(problem->id);
        int status = tk_problem_status(problem, TK_DIALECT_NATIVE);
        struct tk_jw w = tk_jw_begin(body);
        tk_jw_object(&w);
        tk_jw_key(&w, "type");
        tk_jw_text(&w, "about:blank");
        tk_jw_key(&w, "title");
        tk_jw_text(&w, title(status));
        tk_jw_key(&w, "status");
        tk_jw_i64(&w, status);
        tk_jw_key(&w, "code");
        write_code(row->name, &w);
        tk_jw_key(&w, "detail");
        tk_jw_text(&w, row->text);
        return w;
}

static void render(const struct tk_problem *problem, struct tk_buf *body) {
        struct tk_jw w = begin(problem, body);
        if (problem->param) {
                tk_jw_key(&w, "param");
                tk_jw_text(&w, problem->param);
        }
        if (problem->detail) {
                tk_jw_key(&w, "reason");
                tk_jw_text(&w, problem->detail);
        }
        tk_jw_end(&w);
}

/* "cost.usd"; "" is the body as a whole. */
static void write_path(const char *key, struct tk_issue_path path, struct tk_jw *w) {
        char text[128];
        struct tk_buf dotted = TK_BUF_OVER(text);
        for (unsigned i = 0; i < TK_ISSUE_DEPTH && path.at[i]; i++)
                tk_buf_printf(&dotted, "%s%s", i ? "." : "", path.at[i]);
        MUST(tk_buf_ok(&dotted)); /* names of members of ours */
        tk_jw_key(w, key);
        tk_jw_str(w, tk_buf_str(&dotted));
}

void tk_native_render_issues(const struct tk_issues *issues, struct tk_buf *body) {
        static const struct tk_problem problem = {.id = TK_PROBLEM_INVALID_PARAM};
        MUST(issues->nr > 0);
        struct tk_jw w = begin(&problem, body);
        if (issues->at[0].path.at[0])
                write_path("param", issues->at[0].path, &w);
        tk_jw_key(&w, "errors");
        tk_jw_array(&w);
        for (unsigned i = 0; i < issues->nr; i++) {
                const struct tk_issue *issue = &issues->at[i];
                if (!tk_buf_ok(&issue->messages)) {
                        body->failed = true;
                        return;
                }
                tk_jw_object(&w);
                write_path("path", issue->path, &w);
                tk_jw_key(&w, "message");
                tk_jw_raw(&w, tk_buf_str(&issue->messages)); /* one JSON string: there are no unions here */
                tk_jw_end(&w);
        }
        tk_jw_end(&w);
        tk_jw_end(&w);
}

const struct tk_dialect tk_dialect_native = {
        .name = "native",
        .error_type = "application/problem+json",
        .render = render,
};
