/* SPDX-License-Identifier: Apache-2.0
 *
 * table: how a row of a table of cases fails: with words that say which one. Include after lib/unit.h.
 */
#ifndef TK_TESTS_TABLE_H
#define TK_TESTS_TABLE_H

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* printf, then the test ends here. */
#define WRONG(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

#endif
