/* SPDX-License-Identifier: Apache-2.0 */
#include "calendar.h"

#define FIRST_YEAR 1970
#define MONTHS     (430 * 12)
#define DAY        86400

/* The day on which each month begins; one more for the end of the last. */
static int64_t month_day[MONTHS + 1];

static bool leaps(int year) {
        return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
}

static void count_days(void) {
        static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        for (int i = 0; i < MONTHS; i++) {
                bool extra = i % 12 == 1 && leaps(FIRST_YEAR + i / 12);
                month_day[i + 1] = month_day[i] + lengths[i % 12] + extra;
        }
}

static struct calendar_window month_numbered(int64_t number) {
        if (!month_day[1])
                count_days();
        MUST(number >= 0 && number < MONTHS);
        return (struct calendar_window){number, month_day[number] * DAY, month_day[number + 1] * DAY};
}

static struct calendar_window month_at(int64_t at_s) {
        int64_t low = 0, high = MONTHS;
        while (high - low > 1) {
                int64_t middle = (low + high) / 2;
                if (month_numbered(middle).start_s <= at_s)
                        low = middle;
                else
                        high = middle;
        }
        return month_numbered(low);
}

/* Where window 0 begins, and how long one is. */
static int64_t period_of(struct tk_window_spec spec, int64_t *origin_s) {
        *origin_s = 0;
        switch (spec.kind) {
        case TK_WINDOW_SECOND:
                return 1;
        case TK_WINDOW_MINUTE:
                return 60;
        case TK_WINDOW_HOUR:
                return 3600;
        case TK_WINDOW_DAY:
                return DAY;
        case TK_WINDOW_WEEK: /* the Sunday before Thursday, 1970-01-01 */
                *origin_s = -4 * DAY;
                return 7 * DAY;
        case TK_WINDOW_EVERY_N_DAYS:
                *origin_s = (int64_t)spec.anchor_day * DAY;
                return (int64_t)spec.days * DAY;
        default:
                MUST(!"windows of one length");
                return 1;
        }
}

struct calendar_window calendar_numbered(struct tk_window_spec spec, int64_t number) {
        int64_t origin_s, length_s;
        if (spec.kind == TK_WINDOW_LIFETIME || spec.kind == TK_WINDOW_FLIGHT)
                return (struct calendar_window){0, INT64_MIN, INT64_MAX};
        if (spec.kind == TK_WINDOW_MONTH)
                return month_numbered(number);
        length_s = period_of(spec, &origin_s);
        return (struct calendar_window){number, origin_s + number * length_s,
                                        origin_s + (number + 1) * length_s};
}

struct calendar_window calendar_at(struct tk_window_spec spec, int64_t at_s) {
        int64_t origin_s, length_s, since_s;
        if (spec.kind == TK_WINDOW_LIFETIME || spec.kind == TK_WINDOW_FLIGHT)
                return calendar_numbered(spec, 0);
        if (spec.kind == TK_WINDOW_MONTH)
                return month_at(at_s);
        length_s = period_of(spec, &origin_s);
        since_s = at_s - origin_s;
        /* Before the first window the division must round down too: anchors may lie in the future. */
        return calendar_numbered(spec,
                                 since_s >= 0 ? since_s / length_s : -((-since_s + length_s - 1) / length_s));
}
