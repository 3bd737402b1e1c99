/* SPDX-License-Identifier: Apache-2.0
 *
 * show: keys, totals and calls as JSON or for people; shared by the commands that print them.
 */
#ifndef TK_CLI_SHOW_H
#define TK_CLI_SHOW_H

#include "cli/backend.h"
#include "cli/output.h"
#include "wire/json_write.h"

#define TK_SHOW_JSON_MAX (256u << 20)

/* The whole key as one object. */
void tk_show_key_json(struct tk_jw *w, const struct tk_key_view *view);
/* {"usd": "0.5", "diem": "0", "requests": 3, "tokens": 900} for each total, under its name. */
void tk_show_totals_json(struct tk_jw *w, const struct tk_key_view *view);
void tk_show_call_json(struct tk_jw *w, const struct tk_call_view *call);

/* One line for each property, then the totals. An exit code. */
TK_CHECKED int tk_show_key(const struct tk_key_view *view);
TK_CHECKED int tk_show_totals(const struct tk_key_view *view);
/* The total of that name, or NULL. */
const struct tk_total *tk_show_total(const struct tk_key_view *view, const char *name);

/* Rows for tables of many; heading first. */
void tk_show_key_heading(struct tk_table *table);
void tk_show_key_row(struct tk_table *table, const struct tk_key_view *view);
void tk_show_call_heading(struct tk_table *table);
void tk_show_call_row(struct tk_table *table, const struct tk_call_view *call);

#endif
