/* SPDX-License-Identifier: Apache-2.0
 *
 * param: the rows of tbl/param.tbl as data: what the reader of tollkey.yaml, its template and its manual
 * are made from. Constant; any thread.
 */
#ifndef TK_DAEMON_PARAM_H
#define TK_DAEMON_PARAM_H

#include "base/must.h"
#include "base/str.h"

enum tk_param_section {
        TK_SECTION_TOP,
        TK_SECTION_PROVIDER,
        TK_SECTION_MODEL,
        TK_SECTION_PRICE,
        TK_SECTION_LONG,
        TK_SECTION_ALERTS,
        TK_SECTION_WEBHOOK,
        TK_SECTION_EMAIL,
        TK_SECTION_NR
};

enum tk_param_type {
        TK_PARAM_TEXT,
        TK_PARAM_SECRET,
        TK_PARAM_COUNT,
        TK_PARAM_MONEY,
        TK_PARAM_CHOICE,
        TK_PARAM_WORDS,
        TK_PARAM_MAP,
        TK_PARAM_LIST,
        TK_PARAM_GROUP,
};

enum tk_param_need { TK_PARAM_MAY_HAVE, TK_PARAM_MUST_HAVE };

/* One number for each row, e.g. TK_PARAM_MODEL_price. */
enum tk_param_id {
#define TK_PARAM(section, name, type, need, least, most, def, example, unit, help)                           \
        TK_PARAM_##section##_##name,
#include "param.tbl"
        TK_PARAM_NR
};

struct tk_param {
        enum tk_param_section section;
        enum tk_param_type type;
        enum tk_param_need need;
        const char *name;
        uint64_t least, most;
        const char *def;     /* "": none; of WORDS "[a, b]" */
        const char *example; /* "": the default is one */
        const char *unit;
        const char *help;
};

extern const struct tk_param tk_params[TK_PARAM_NR];

/* The row of that name in the section, or NULL. */
const struct tk_param *tk_param_get(enum tk_param_section section, struct tk_str name);
/* The name in the section that is most like a misspelt one, or NULL when none is near. */
const char *tk_param_nearest(enum tk_param_section section, struct tk_str name);
/* Which of the words in "a|b|c" it is; -1: none. */
int tk_param_choice(const struct tk_param *param, struct tk_str word);
/* Restricted edit distance, for "did you mean"; more than `most` is told as most + 1. Texts up to 64 bytes.
 */
unsigned tk_text_distance(struct tk_str a, struct tk_str b, unsigned most);

#endif
