/* SPDX-License-Identifier: Apache-2.0
 *
 * calendar: the auditor's own idea of windows, written from the glossary and not from core/window, so that
 * the two check each other. Days are counted one by one once, into a table of months; the rest is division.
 *
 * Good for the years 1970 to 2399.
 */
#ifndef TK_TESTS_SIM_CALENDAR_H
#define TK_TESTS_SIM_CALENDAR_H

#include "core/window.h"

/* [start_s, end_s); a lifetime is all of time, and so is what is in flight. */
struct calendar_window {
        int64_t number;
        int64_t start_s, end_s;
};

struct calendar_window calendar_at(struct tk_window_spec spec, int64_t at_s);
struct calendar_window calendar_numbered(struct tk_window_spec spec, int64_t number);

#endif
