/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect_openai: {"error": {"message", "type", "param", "code"}}, all four always there, as the SDKs
 * read them. Spending limits are 429 insufficient_quota, which the SDKs raise as RateLimitError.
 */
#include "api/dialect_openai.h"

#include "wire/json_write.h"

static void render(const struct tk_problem *problem, struct tk_buf *body) {
        const struct tk_problem_row *row = tk_problem_row(problem->id);
        struct tk_buf message = TK_BUF(4096);
        struct tk_jw w = tk_jw_begin(body);
        tk_buf_text(&message, row->text);
        if (problem->detail && problem->id != TK_PROBLEM_MODEL_PRIVACY) {
                tk_buf_char(&message, ' ');
                tk_buf_text(&message, problem->detail);
        }
        tk_jw_object(&w);
        tk_jw_key(&w, "error");
        tk_jw_object(&w);
        tk_jw_key(&w, "message");
        if (tk_buf_ok(&message))
                tk_jw_str(&w, tk_buf_str(&message));
        else
                tk_jw_text(&w, row->text);
        tk_jw_key(&w, "type");
        tk_jw_text(&w, row->openai_type);
        tk_jw_key(&w, "param");
        tk_jw_text(&w, problem->param);
        tk_jw_key(&w, "code");
        tk_jw_text(&w, row->openai_code);
        tk_jw_end(&w);
        tk_jw_end(&w);
        tk_buf_free(&message);
}

const struct tk_dialect tk_dialect_openai = {
        .name = "openai",
        .error_type = "application/json",
        .render = render,
};
