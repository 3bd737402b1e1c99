/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect_venice: {"error": "text"}. The plain form is the usual one; the two richer forms are used
 * where they are documented: a 400 that can say where adds `details` (and `issues` when a parameter is to
 * blame), and a body that is too large adds `code`.
 */
#include "api/dialect_venice.h"

#include "wire/json_write.h"

/* The labels by which the setting is known to those who set it. */
static const char *const privacy_labels[TK_PRIVACY_NR] = {
        [TK_PRIVACY_ALL] = "All models",
        [TK_PRIVACY_PRIVATE_TEXT] = "Private text models only",
        [TK_PRIVACY_PRIVATE_ONLY] = "Private models only",
};

static void write_privacy(const struct tk_problem *problem, struct tk_jw *w) {
        char text[512];
        struct tk_buf sentence = TK_BUF_OVER(text);
        tk_buf_printf(
                &sentence,
                "This API key is set to '%s', but `%.128s` is an Anonymous model. Choose a Private, TEE, or "
                "E2EE model, or change the model privacy setting of this API key.",
                privacy_labels[problem->privacy], problem->detail ? problem->detail : "this");
        tk_jw_str(w, tk_buf_str(&sentence));
}

static void write_errors(struct tk_jw *w, const char *detail) {
        tk_jw_key(w, "_errors");
        tk_jw_array(w);
        if (detail)
                tk_jw_text(w, detail);
        tk_jw_end(w);
}

static void write_details(const struct tk_problem *problem, const char *detail, struct tk_jw *w) {
        tk_jw_key(w, "details");
        tk_jw_object(w);
        write_errors(w, problem->param ? NULL : detail);
        if (problem->param) {
                tk_jw_key(w, problem->param);
                tk_jw_object(w);
                write_errors(w, detail);
                tk_jw_end(w);
        }
        tk_jw_end(w);
        if (!problem->param)
                return;
        tk_jw_key(w, "issues");
        tk_jw_array(w);
        tk_jw_object(w);
        tk_jw_key(w, "code");
        tk_jw_text(w, "custom");
        tk_jw_key(w, "path");
        tk_jw_array(w);
        tk_jw_text(w, problem->param);
        tk_jw_end(w);
        tk_jw_key(w, "message");
        tk_jw_text(w, detail);
        tk_jw_end(w);
        tk_jw_end(w);
}

static void render(const struct tk_problem *problem, struct tk_buf *body) {
        const struct tk_problem_row *row = tk_problem_row(problem->id);
        struct tk_jw w = tk_jw_begin(body);
        tk_jw_object(&w);
        if (problem->id == TK_PROBLEM_TOO_LARGE) {
                tk_jw_key(&w, "code");
                tk_jw_text(&w, "PAYLOAD_TOO_LARGE");
        }
        tk_jw_key(&w, "error");
        if (problem->id == TK_PROBLEM_MODEL_PRIVACY)
                write_privacy(problem, &w);
        else
                tk_jw_text(&w, row->venice_text ? row->venice_text : row->text);
        /* The documented text may not say why, so a parameter that is to blame is told our own text at least.
         */
        if ((problem->detail || problem->param) && tk_problem_status(problem, TK_DIALECT_VENICE) == 400)
                write_details(problem, problem->detail ? problem->detail : row->text, &w);
        tk_jw_end(&w);
}

const struct tk_dialect tk_dialect_venice = {
        .name = "venice",
        .error_type = "application/json",
        .render = render,
};
