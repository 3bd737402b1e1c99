/* SPDX-License-Identifier: Apache-2.0
 *
 * time: the proleptic Gregorian calendar and the one timestamp form, pure.
 *
 * Milliseconds since 1970-01-01T00:00:00Z, without leap seconds. "Now" is always an argument.
 */
#ifndef TK_CORE_TIME_H
#define TK_CORE_TIME_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"

#define TK_DAY_S         INT64_C(86400)
#define TK_HOUR_S        INT64_C(3600)
#define TK_TIME_MS_MAX   INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define TK_TIME_TEXT_LEN 24                       /* YYYY-MM-DDTHH:MM:SS.sssZ */

struct tk_civil {
        int32_t year;
        uint8_t month; /* 1..12 */
        uint8_t day;   /* 1..31 */
};

/* Days since 1970-01-01 to a civil date and back; the date must be valid. Years 0..9999. */
struct tk_civil tk_civil_of_day(int64_t day);
int64_t tk_day_of_civil(struct tk_civil date);
bool tk_civil_ok(struct tk_civil date);
/* Division rounding down, also for negative a. b > 0. */
int64_t tk_floor_div(int64_t a, int64_t b);

/*
 * The forms of the venice sheet 0.4: YYYY-MM-DD (midnight UTC), YYYY-MM-DDTHH:MM:SSZ, and the
 * same with exactly three fraction digits. SYNTAX: another form; RANGE: the form is right but no
 * such date or time exists (2026-02-30, 24:00:00, second 60).
 */
TK_CHECKED enum tk_err tk_time_parse(struct tk_str text, int64_t *ms);
/* YYYY-MM-DDTHH:MM:SS.sssZ and a NUL; ms within the years 0..9999. */
void tk_time_text(int64_t ms, char out[TK_TIME_TEXT_LEN + 1]);

#endif
