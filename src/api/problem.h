/* SPDX-License-Identifier: Apache-2.0
 *
 * problem: everything an API may answer other than success, as rows of tbl/problem.tbl. Pure; any thread.
 *
 * A verdict (a refusal) and a fault each map to a row; the dialect of the route turns the row into a
 * status and a body. So the same cause has one name everywhere and one wording per dialect.
 */
#ifndef TK_API_PROBLEM_H
#define TK_API_PROBLEM_H

#include "api/route.h"
#include "base/err.h"
#include "core/key.h"
#include "core/verdict.h"

enum tk_problem_id {
#define TK_PROBLEM(name, venice, openai, native, portkey, ab, gate, gate_text, type, code, venice_text,      \
                   text)                                                                                     \
        TK_PROBLEM_##name,
#include "problem.tbl"
        TK_PROBLEM_NR
};

struct tk_problem {
        enum tk_problem_id id;
        int status;         /* 0: the row's; the seam may have decided on another */
        const char *param;  /* which parameter, or NULL */
        const char *detail; /* one more sentence, or NULL; of MODEL_PRIVACY the model's id; never a key */
        enum tk_privacy privacy; /* MODEL_PRIVACY: the setting of the caller's key */
        bool above_key;          /* a cap or rate: it is one of the workspace or organisation */
};

struct tk_problem_row {
        const char *name; /* "no_key": the native dialect's code */
        int status[TK_DIALECT_NR];
        const char *openai_type;
        const char *openai_code; /* NULL: null */
        const char *admin_code;  /* Portkey's, of its management routes: "AB01" */
        const char *gate_code;   /* Portkey's, of the data plane: "04"; NULL: it has none, and no text */
        const char *gate_text;
        const char *venice_text;
        const char *text;
};

const struct tk_problem_row *tk_problem_row(enum tk_problem_id id);
int tk_problem_status(const struct tk_problem *problem, enum tk_dialect_id dialect);
/* Not for PASS. SCOPE depends on the scope that was needed: managing keys needs an admin key. */
enum tk_problem_id tk_problem_of_verdict(enum tk_verdict verdict, enum tk_scope needed);
/* A fault that is nobody's refusal. Not for TK_OK. */
enum tk_problem_id tk_problem_of_err(enum tk_err err);
/* The cap that was hit: TK_VERDICT_CAP does not say which. */
enum tk_problem_id tk_problem_of_meter(enum tk_meter meter);
/* A status that the HTTP seam decided by itself. */
enum tk_problem_id tk_problem_of_status(int status);

#endif
