/* SPDX-License-Identifier: Apache-2.0
 *
 * must_mock: an assertion is behaviour, so it is tested. Include after lib/unit.h, then
 *
 *      tk_must_fail = must_mock;
 *      expect_assert_failure(tk_hold_assert(&broken));
 */
#ifndef TK_TESTS_MUST_MOCK_H
#define TK_TESTS_MUST_MOCK_H

#include "base/must.h"

#include <stdlib.h>

/* Jumps back into expect_assert_failure; outside of one it fails the test. */
static inline void must_mock(const char *expr, const char *file, int line) {
        mock_assert(0, expr, file, line);
        abort();
}

#endif
