/* SPDX-License-Identifier: Apache-2.0
 *
 * window: a stretch of UTC time in which a limit counts, as an identity.
 *
 * A window is (kind, number) computed from a given time; there is no reset job, only another
 * number. Weeks begin on Sunday 00:00 UTC, months by the calendar, every-N-days from an anchor day.
 * Kind numbers are stored on disk: append only. Pure; any thread.
 */
#ifndef TK_CORE_WINDOW_H
#define TK_CORE_WINDOW_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"

enum tk_window_kind {
        TK_WINDOW_SECOND,
        TK_WINDOW_MINUTE,
        TK_WINDOW_HOUR,
        TK_WINDOW_DAY,
        TK_WINDOW_WEEK,
        TK_WINDOW_MONTH,
        TK_WINDOW_LIFETIME,
        TK_WINDOW_EVERY_N_DAYS,
        TK_WINDOW_FLIGHT, /* no time at all: what is held right now, e.g. requests in flight */
        TK_WINDOW_NR
} TK_SMALL;

struct tk_window_spec {
        enum tk_window_kind kind;
        uint16_t days;      /* EVERY_N_DAYS: 1..65535; otherwise 0 */
        int32_t anchor_day; /* EVERY_N_DAYS: a day number at which a window began; otherwise 0 */
};

/* The number of the window that holds second now_s (floor; also before 1970). */
int64_t tk_window_number(struct tk_window_spec spec, int64_t now_s);
/* Is it a window? Only a number that some time has is one. */
bool tk_window_number_ok(struct tk_window_spec spec, int64_t number);
/* First second of the window, which is one; INT64_MIN for LIFETIME and FLIGHT. */
int64_t tk_window_start_s(struct tk_window_spec spec, int64_t number);
/* First second after it; INT64_MAX for LIFETIME and FLIGHT. */
int64_t tk_window_end_s(struct tk_window_spec spec, int64_t number);
/* The window as UTC hours [from, to) since 1970, for windows of an hour or longer; open ends are
 * INT64_MIN and INT64_MAX. Shorter windows give the hours that they touch. */
void tk_window_hours(struct tk_window_spec spec, int64_t number, int64_t *from, int64_t *to);
bool tk_window_spec_ok(struct tk_window_spec spec);
bool tk_window_spec_eq(struct tk_window_spec a, struct tk_window_spec b);
/* "second" ... "lifetime", "every_n_days", "flight". */
const char *tk_window_kind_name(enum tk_window_kind kind);
/* Also "every 10 days" (anchor 0). */
TK_CHECKED bool tk_window_spec_parse(struct tk_str text, struct tk_window_spec *out);

#endif
