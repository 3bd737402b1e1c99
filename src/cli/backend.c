/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/backend.h"

#include "cli/output.h"

struct tk_backend *tk_backend_open(const struct tk_cmd_line *line, int *code) {
        *code = TK_EXIT_USAGE;
        if (line->opt[TK_OPT_url] && line->opt[TK_OPT_config]) {
                tk_misuse("--url and --config do not go together: one works through a server, the other on "
                          "the store");
                return NULL;
        }
        if (line->opt[TK_OPT_key_stdin] && !line->opt[TK_OPT_url]) {
                tk_misuse("--key-stdin is for --url; on the store no key is needed");
                return NULL;
        }
        return line->opt[TK_OPT_url] ? tk_backend_http_open(line, code) : tk_backend_store_open(line, code);
}

void tk_backend_close(struct tk_backend **backend) {
        if (*backend)
                (*backend)->ops->close(*backend);
        *backend = NULL;
}

void tk_view_name(const char *api_name, char out[TK_VIEW_TEXT]) {
        tk_str_copy(tk_str_of(api_name), out, TK_VIEW_TEXT);
        for (char *c = out; *c; c++) {
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c + ('a' - 'A'));
                else if (*c == '_')
                        *c = '-';
        }
}
