/* SPDX-License-Identifier: Apache-2.0
 *
 * cppcheck: stands in for base/must.h when cppcheck reads the source, because it cannot know that the hook
 * behind MUST() does not come back, and would warn about everything that a MUST rules out.
 */
#define TK_BASE_MUST_H

#include <stdlib.h>

typedef void tk_must_fail_f(const char *expr, const char *file, int line);
extern tk_must_fail_f *tk_must_fail;

#define MUST(e)                                                                                              \
        do {                                                                                                 \
                if (!(e))                                                                                    \
                        abort();                                                                             \
        } while (0)
#define IMPLIES(a, b) (!(a) || (b))
#define TK_CHECKED
#define TK_PRINTF(fmt, args)
#define TK_UNUSED(x) ((void)(x))
