/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve.h"

#include "cli/grammar.h"
#include "cli/output.h"
#include "cli/settings.h"

int tk_cmd_serve(const struct tk_cmd_line *line) {
        char why[256];
        struct tk_config *config = tk_settings_load(line);
        if (!config)
                return TK_EXIT_FAILED;
        if (line->opt[TK_OPT_listen] &&
            tk_config_set_listen(config, line->opt[TK_OPT_listen], why, sizeof why) != TK_OK) {
                tk_config_free(&config);
                return tk_misuse("%s", why);
        }
        int code = tk_daemon_serve(config);
        tk_config_free(&config);
        return code;
}
