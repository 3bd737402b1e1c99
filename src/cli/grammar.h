/* SPDX-License-Identifier: Apache-2.0
 *
 * grammar: argv to one row of tbl/cmd.tbl with its holes filled and its options checked. A handler sees
 * only what its row allows. Pure but for printing.
 */
#ifndef TK_CLI_GRAMMAR_H
#define TK_CLI_GRAMMAR_H

#include "base/must.h"
#include "base/str.h"

enum tk_opt {
#define TK_OPT(symbol, name, value, help) TK_OPT_##symbol,
#include "opt.tbl"
        TK_OPT_NR
};

enum tk_exit { TK_EXIT_OK = 0, TK_EXIT_FAILED = 1, TK_EXIT_USAGE = 2 };

#define TK_HOLES_MAX 3

struct tk_cmd_line;
typedef int tk_cmd_f(const struct tk_cmd_line *line); /* an enum tk_exit */

struct tk_cmd {
        tk_cmd_f *run;
        const char *sentence;
        const char *needs; /* names of options with spaces between */
        const char *takes;
        const char *help;
};

/* All borrowed from argv. */
struct tk_cmd_line {
        const struct tk_cmd *cmd;
        const char *hole;                   /* what fills the first <id> or [id]; NULL: left out */
        const char *more[TK_HOLES_MAX - 1]; /* what fills those after it */
        const char *opt[TK_OPT_NR];         /* NULL: not given; "" for a switch that is */
        int rest_nr;                        /* what "..." took */
        char **rest;
};

/* True: run line->cmd. False: *code is the exit code, and what there was to say is said. */
TK_CHECKED bool tk_cmd_parse(int argc, char **argv, struct tk_cmd_line *line, int *code);

/* One prototype for each row. */
#define TK_CMD(handler, sentence, needs, takes, help) tk_cmd_f tk_cmd_##handler;
#include "cmd.tbl"

#endif
