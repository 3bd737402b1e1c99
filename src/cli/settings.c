/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include "cli/output.h"

#include <errno.h>
#include <unistd.h>

#define DEFAULT_PATH "tollkey.yaml"

const char *tk_settings_path(const struct tk_cmd_line *line) {
        if (line->opt[TK_OPT_config])
                return line->opt[TK_OPT_config];
        /* Only its absence means the defaults: a file that is there but cannot be read is an error. */
        return access(DEFAULT_PATH, F_OK) == 0 || errno != ENOENT ? DEFAULT_PATH : NULL;
}

struct tk_config *tk_settings_load(const struct tk_cmd_line *line) {
        struct tk_config *config;
        char why[1024];
        if (tk_config_load(tk_settings_path(line), &config, why, sizeof why) == TK_OK)
                return config;
        tk_fail("%s", why);
        return NULL;
}
