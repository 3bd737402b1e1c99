/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/grammar.h"
#include "cli/output.h"
#include "wire/json_write.h"

#include <stdio.h>

int tk_cmd_version(const struct tk_cmd_line *line) {
        if (!line->opt[TK_OPT_json]) {
                printf("tollkey %s\n", TK_VERSION);
                return TK_EXIT_OK;
        }
        struct tk_buf buf = TK_BUF(256);
        struct tk_jw w = tk_jw_begin(&buf);
        tk_jw_object(&w);
        tk_jw_key(&w, "version");
        tk_jw_text(&w, TK_VERSION);
        tk_jw_end(&w);
        return tk_print_buf(&buf);
}
