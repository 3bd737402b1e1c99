/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/fault.h"

#include <stddef.h>
#include <string.h>

#define MS_MAX     3600000
#define TOKENS_MAX 1000000

/* Rows with a value have a range; the others are flags. */
static const struct row {
        const char *name;
        size_t value, flag; /* offsets */
        uint64_t least, most;
        const char *help;
} faults[] = {
#define VALUE(name, field, least, most, help)                                                                \
        { name, offsetof(struct tk_demo_fault, field), 0, least, most, help }
#define FLAG(name, field, help)                                                                              \
        { name, 0, offsetof(struct tk_demo_fault, field), 0, 0, help }
        VALUE("status", status, 400, 599, "answer with this error status"),
        VALUE("break-after", break_after, 0, TOKENS_MAX, "break the connection after so many tokens"),
        VALUE("stall-after", stall_after, 0, TOKENS_MAX, "say nothing more after so many tokens"),
        VALUE("slow-head", slow_head, 0, MS_MAX, "wait so many ms before the answer begins"),
        VALUE("delay", delay, 0, MS_MAX, "wait so many ms before each token"),
        VALUE("tokens", tokens, 1, TOKENS_MAX, "make the answer so long"),
        FLAG("no-usage", no_usage, "leave the usage out"),
        FLAG("malformed", malformed, "send JSON that is none"),
        FLAG("usage-in-every-chunk", usage_in_every_chunk,
             "state the usage so far in each chunk of a stream"),
        FLAG("huge-usage", huge_usage, "state numbers whose sum does not fit in 64 bits"),
#undef VALUE
#undef FLAG
};

void tk_demo_fault_init(struct tk_demo_fault *fault) {
        *fault = (struct tk_demo_fault){TK_DEMO_NONE, TK_DEMO_NONE, TK_DEMO_NONE, TK_DEMO_NONE, TK_DEMO_NONE,
                                        TK_DEMO_NONE, false,        false,        false,        false};
}

static bool parse_one(struct tk_str word, struct tk_demo_fault *fault) {
        size_t equals = tk_str_find(word, '=');
        struct tk_str name = tk_str_head(word, equals);
        uint64_t value;
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
                const struct row *row = &faults[i];
                if (!tk_str_is(name, row->name))
                        continue;
                if (row->flag) {
                        *(bool *)((char *)fault + row->flag) = true;
                        return equals == word.len;
                }
                if (equals == word.len || !tk_str_u64(tk_str_skip(word, equals + 1), &value))
                        return false;
                if (value < row->least || value > row->most)
                        return false;
                *(uint64_t *)(void *)((char *)fault + row->value) = value;
                return true;
        }
        return false;
}

bool tk_demo_fault_parse(struct tk_str list, struct tk_demo_fault *fault, struct tk_str *bad) {
        while (list.len) {
                size_t plus = tk_str_find(list, '+'), comma = tk_str_find(list, ',');
                size_t end = plus < comma ? plus : comma;
                struct tk_str word = tk_str_trim(tk_str_head(list, end));
                if (!parse_one(word, fault)) {
                        *bad = word;
                        return false;
                }
                list = tk_str_skip(list, end < list.len ? end + 1 : end);
        }
        return true;
}

void tk_demo_fault_help(struct tk_buf *out) {
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
                char name[40];
                struct tk_buf text = TK_BUF_OVER(name);
                tk_buf_printf(&text, "%s%s", faults[i].name, faults[i].flag ? "" : "=N");
                tk_buf_printf(out, "  %-22s %s\n", name, faults[i].help);
        }
}
