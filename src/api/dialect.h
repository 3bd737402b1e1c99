/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect: how an outside API writes a problem. One file each; they meet only in the table of dialect.c.
 */
#ifndef TK_API_DIALECT_H
#define TK_API_DIALECT_H

#include "api/problem.h"
#include "base/buf.h"

struct tk_dialect {
        const char *name;
        const char *error_type; /* Content-Type of a problem */
        /* Appends the body, one JSON object. The status is tk_problem_status(). Any thread. */
        void (*render)(const struct tk_problem *problem, struct tk_buf *body);
};

const struct tk_dialect *tk_dialect(enum tk_dialect_id id);

#endif
