/* SPDX-License-Identifier: Apache-2.0 */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

static void die(const char *expr, const char *file, int line) {
        fprintf(stderr, "tollkey: broken invariant at %s:%d: %s\n", file, line, expr);
        abort();
}

tk_must_fail_f *tk_must_fail = die;
