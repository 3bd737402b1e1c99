/* SPDX-License-Identifier: Apache-2.0
 *
 * err: the faults of the whole program, one row each in tbl/err.tbl. Zero is success.
 */
#ifndef TK_BASE_ERR_H
#define TK_BASE_ERR_H

enum tk_err {
        TK_OK = 0,
#define TK_ERR(name, text) TK_E_##name,
#include "err.tbl"
        TK_E_NR
};

/* The row's text in English, static; never NULL, also for a value out of range. Any thread. */
const char *tk_err_text(enum tk_err err);
/* The row's name, e.g. "NOT_FOUND", static. Any thread. */
const char *tk_err_name(enum tk_err err);

#endif
