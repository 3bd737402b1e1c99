/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/param.h"

#include <string.h>

const struct tk_param tk_params[TK_PARAM_NR] = {
#define TK_PARAM(section_, name_, type_, need_, least_, most_, def_, example_, unit_, help_)                 \
        [TK_PARAM_##section_##_##name_] = {                                                                  \
                .section = TK_SECTION_##section_,                                                            \
                .type = TK_PARAM_##type_,                                                                    \
                .need = TK_PARAM_##need_,                                                                    \
                .name = #name_,                                                                              \
                .least = least_,                                                                             \
                .most = most_,                                                                               \
                .def = def_,                                                                                 \
                .example = example_,                                                                         \
                .unit = unit_,                                                                               \
                .help = help_,                                                                               \
        },
#include "param.tbl"
};

const struct tk_param *tk_param_get(enum tk_param_section section, struct tk_str name) {
        for (size_t i = 0; i < TK_PARAM_NR; i++)
                if (tk_params[i].section == section && tk_str_is(name, tk_params[i].name))
                        return &tk_params[i];
        return NULL;
}

int tk_param_choice(const struct tk_param *param, struct tk_str word) {
        struct tk_str rest = tk_str_of(param->unit);
        MUST(param->type == TK_PARAM_CHOICE || param->type == TK_PARAM_WORDS);
        for (int i = 0;; i++) {
                size_t end = tk_str_find(rest, '|');
                if (tk_str_eq(tk_str_head(rest, end), word))
                        return i;
                if (end == rest.len)
                        return -1;
                rest = tk_str_skip(rest, end + 1);
        }
}

#define DISTANCE_MAX 64

static unsigned least_of(unsigned a, unsigned b, unsigned c) {
        unsigned least = a < b ? a : b;
        return least < c ? least : c;
}

unsigned tk_text_distance(struct tk_str a, struct tk_str b, unsigned most) {
        unsigned row[3][DISTANCE_MAX + 1];
        unsigned *before = row[0], *last = row[1], *now = row[2];
        if (a.len > DISTANCE_MAX || b.len > DISTANCE_MAX)
                return most + 1;
        for (unsigned j = 0; j <= b.len; j++)
                last[j] = j;
        for (unsigned i = 1; i <= a.len; i++) {
                now[0] = i;
                for (unsigned j = 1; j <= b.len; j++) {
                        unsigned other = a.at[i - 1] != b.at[j - 1];
                        now[j] = least_of(last[j] + 1, now[j - 1] + 1, last[j - 1] + other);
                        /* Two letters that changed places are one mistake. */
                        if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1] &&
                            before[j - 2] + 1 < now[j])
                                now[j] = before[j - 2] + 1;
                }
                unsigned *spare = before;
                before = last;
                last = now;
                now = spare;
        }
        return last[b.len] <= most ? last[b.len] : most + 1;
}

const char *tk_param_nearest(enum tk_param_section section, struct tk_str name) {
        const char *nearest = NULL;
        unsigned most = name.len < 4 ? 1 : name.len < 8 ? 2 : 3;
        unsigned least = most + 1;
        for (size_t i = 0; i < TK_PARAM_NR; i++) {
                if (tk_params[i].section != section)
                        continue;
                unsigned d = tk_text_distance(name, tk_str_of(tk_params[i].name), most);
                if (d < least) {
                        least = d;
                        nearest = tk_params[i].name;
                }
        }
        return nearest;
}
