/* SPDX-License-Identifier: Apache-2.0
 *
 * output: what people and scripts get to see. Answers go to standard output, everything else to standard
 * error. Nothing from outside reaches a terminal with its control bytes.
 */
#ifndef TK_CLI_OUTPUT_H
#define TK_CLI_OUTPUT_H

#include "base/buf.h"

/* "tollkey: ..." on standard error; they return the exit code 1 and 2. */
int tk_fail(const char *fmt, ...) TK_PRINTF(1, 2);
int tk_misuse(const char *fmt, ...) TK_PRINTF(1, 2);
void tk_note(const char *fmt, ...) TK_PRINTF(1, 2);

/* Copies text with control characters replaced by '?' and cut to size; returns out. */
const char *tk_printable(const char *text, char *out, size_t size);

/* Writes the buffer and a newline to standard output; a buffer that failed is a failure. An exit code. */
TK_CHECKED int tk_print_buf(struct tk_buf *buf);

/* Cells row by row, printed with their columns aligned; the first row is the heading. */
struct tk_table {
        unsigned columns;
        size_t cells_nr, cells_size;
        char **cells;
        bool failed; /* sticky: out of memory */
};
void tk_table_cell(struct tk_table *table, const char *text); /* NULL and "" print as "-" */
/* Prints and frees. An exit code. */
TK_CHECKED int tk_table_print(struct tk_table *table);
void tk_table_free(struct tk_table *table); /* harmless after printing */

#endif
