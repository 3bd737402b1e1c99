/* SPDX-License-Identifier: Apache-2.0
 *
 * window: every kind is a count of equal steps from a fixed beginning, except the month, which asks
 * the calendar, and the lifetime, which is one window. Numbers are 0 for the window that holds
 * 1970-01-01T00:00:00Z (every-N-days: for the one that begins on the anchor day). Times are those of
 * the years 0 to 9999, so that no product below can overflow.
 */
#include "core/window.h"

#include "core/time.h"

#define TIME_MIN_S (INT64_C(-719528) * TK_DAY_S)     /* 0000-01-01T00:00:00Z */
#define TIME_MAX_S (INT64_C(2932897) * TK_DAY_S - 1) /* 9999-12-31T23:59:59Z */
#define SUNDAY     INT64_C(-4)                       /* 1969-12-28; 1970 began on a Thursday */

static const char *const names[] = {
        [TK_WINDOW_SECOND] = "second",     [TK_WINDOW_MINUTE] = "minute",
        [TK_WINDOW_HOUR] = "hour",         [TK_WINDOW_DAY] = "day",
        [TK_WINDOW_WEEK] = "week",         [TK_WINDOW_MONTH] = "month",
        [TK_WINDOW_LIFETIME] = "lifetime", [TK_WINDOW_EVERY_N_DAYS] = "every_n_days",
        [TK_WINDOW_FLIGHT] = "flight",
};
_Static_assert(sizeof names / sizeof *names == TK_WINDOW_NR, "every kind has a name");

/* The kinds of equal length: where a window began, and how long each is. */
struct steps {
        int64_t origin_s;
        int64_t length_s;
};

static struct steps steps_of(struct tk_window_spec spec) {
        switch (spec.kind) {
        case TK_WINDOW_SECOND:
                return (struct steps){0, 1};
        case TK_WINDOW_MINUTE:
                return (struct steps){0, 60};
        case TK_WINDOW_HOUR:
                return (struct steps){0, TK_HOUR_S};
        case TK_WINDOW_DAY:
                return (struct steps){0, TK_DAY_S};
        case TK_WINDOW_WEEK:
                return (struct steps){SUNDAY * TK_DAY_S, 7 * TK_DAY_S};
        case TK_WINDOW_EVERY_N_DAYS:
                return (struct steps){spec.anchor_day * TK_DAY_S, spec.days * TK_DAY_S};
        case TK_WINDOW_MONTH:
        case TK_WINDOW_LIFETIME:
        case TK_WINDOW_FLIGHT:
        case TK_WINDOW_NR:
                break;
        }
        MUST(!"a kind of equal steps");
        return (struct steps){0, 1};
}

static int64_t month_number(int64_t now_s) {
        struct tk_civil date = tk_civil_of_day(tk_floor_div(now_s, TK_DAY_S));
        return (int64_t)(date.year - 1970) * 12 + date.month - 1;
}

static struct tk_civil month_begin(int64_t number) {
        int64_t year = tk_floor_div(number, 12);
        return (struct tk_civil){
                .year = (int32_t)(1970 + year),
                .month = (uint8_t)(number - year * 12 + 1),
                .day = 1,
        };
}

/* Its last day is the greatest that exists: the month after December 9999 does not. */
static struct tk_civil month_last(int64_t number) {
        struct tk_civil date = month_begin(number);
        for (date.day = 31; !tk_civil_ok(date);)
                date.day--;
        return date;
}

static bool is_endless(enum tk_window_kind kind) {
        return kind == TK_WINDOW_LIFETIME || kind == TK_WINDOW_FLIGHT;
}

int64_t tk_window_number(struct tk_window_spec spec, int64_t now_s) {
        MUST(tk_window_spec_ok(spec));
        MUST(now_s >= TIME_MIN_S && now_s <= TIME_MAX_S);
        if (is_endless(spec.kind))
                return 0;
        if (spec.kind == TK_WINDOW_MONTH)
                return month_number(now_s);
        struct steps steps = steps_of(spec);
        return tk_floor_div(now_s - steps.origin_s, steps.length_s);
}

bool tk_window_number_ok(struct tk_window_spec spec, int64_t number) {
        return tk_window_spec_ok(spec) && number >= tk_window_number(spec, TIME_MIN_S) &&
               number <= tk_window_number(spec, TIME_MAX_S);
}

int64_t tk_window_start_s(struct tk_window_spec spec, int64_t number) {
        MUST(tk_window_number_ok(spec, number));
        if (is_endless(spec.kind))
                return INT64_MIN;
        if (spec.kind == TK_WINDOW_MONTH)
                return tk_day_of_civil(month_begin(number)) * TK_DAY_S;
        struct steps steps = steps_of(spec);
        return steps.origin_s + number * steps.length_s;
}

int64_t tk_window_end_s(struct tk_window_spec spec, int64_t number) {
        MUST(tk_window_number_ok(spec, number));
        if (is_endless(spec.kind))
                return INT64_MAX;
        if (spec.kind == TK_WINDOW_MONTH)
                return (tk_day_of_civil(month_last(number)) + 1) * TK_DAY_S;
        struct steps steps = steps_of(spec);
        return steps.origin_s + (number + 1) * steps.length_s;
}

bool tk_window_spec_ok(struct tk_window_spec spec) {
        if ((unsigned)spec.kind >= TK_WINDOW_NR)
                return false;
        if (spec.kind == TK_WINDOW_EVERY_N_DAYS)
                return spec.days > 0;
        return spec.days == 0 && spec.anchor_day == 0;
}

bool tk_window_spec_eq(struct tk_window_spec a, struct tk_window_spec b) {
        return a.kind == b.kind && a.days == b.days && a.anchor_day == b.anchor_day;
}

const char *tk_window_kind_name(enum tk_window_kind kind) {
        MUST((unsigned)kind < TK_WINDOW_NR);
        return names[kind];
}

/* "every 10 days"; one day is "every 1 days" too, as a program would write it. */
static bool parse_every(struct tk_str text, struct tk_window_spec *out) {
        static const char head[] = "every ", tail[] = " days";
        uint64_t days;
        if (!tk_str_starts(text, head))
                return false;
        text = tk_str_skip(text, sizeof head - 1);
        size_t space = tk_str_find(text, ' ');
        if (!tk_str_is(tk_str_skip(text, space), tail) || !tk_str_u64(tk_str_head(text, space), &days))
                return false;
        if (days < 1 || days > UINT16_MAX)
                return false;
        *out = (struct tk_window_spec){.kind = TK_WINDOW_EVERY_N_DAYS, .days = (uint16_t)days};
        return true;
}

bool tk_window_spec_parse(struct tk_str text, struct tk_window_spec *out) {
        for (unsigned i = 0; i < TK_WINDOW_NR; i++)
                if (i != TK_WINDOW_EVERY_N_DAYS && tk_str_is(text, names[i])) {
                        *out = (struct tk_window_spec){.kind = (enum tk_window_kind)i};
                        return true;
                }
        return parse_every(text, out);
}

void tk_window_hours(struct tk_window_spec spec, int64_t number, int64_t *from, int64_t *to) {
        int64_t start = tk_window_start_s(spec, number), end = tk_window_end_s(spec, number);
        *from = start == INT64_MIN ? INT64_MIN : tk_floor_div(start, TK_HOUR_S);
        *to = end == INT64_MAX ? INT64_MAX : tk_floor_div(end - 1, TK_HOUR_S) + 1;
}
