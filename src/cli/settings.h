/* SPDX-License-Identifier: Apache-2.0
 *
 * settings: which configuration a command means: --config, or tollkey.yaml in the current folder if
 * there is one, or the built-in defaults.
 */
#ifndef TK_CLI_SETTINGS_H
#define TK_CLI_SETTINGS_H

#include "cli/grammar.h"
#include "daemon/config.h"

/* The path that is meant; NULL: the defaults. */
const char *tk_settings_path(const struct tk_cmd_line *line);
/* NULL after a message. */
struct tk_config *tk_settings_load(const struct tk_cmd_line *line);

#endif
