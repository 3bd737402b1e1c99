/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/demo.h"

#include "cli/grammar.h"

int tk_cmd_demo_upstream(const struct tk_cmd_line *line) {
        return tk_demo_main(line->rest_nr, line->rest);
}
