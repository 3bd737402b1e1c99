/* SPDX-License-Identifier: Apache-2.0
 *
 * time: days are counted from 0000-01-01 inside and moved to 1970 at the border. Years repeat every
 * 146,097 days (400 years), so a date is an era, a year in the era, and a day in the year.
 */
#include "core/time.h"

#define EPOCH_DAY 719528  /* 1970-01-01, counted from 0000-01-01 */
#define ERA_DAYS  146097  /* 400 years */
#define DAYS_NR   3652425 /* 0000-01-01 up to and with 9999-12-31 */
#define YEAR_MAX  9999
#define DAY_MS    (TK_DAY_S * 1000)

/* Days before each month in a common year. */
static const uint16_t before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static bool is_leap(int32_t year) {
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days before 1 January of the year, from 0000-01-01. Year 0 is a leap year, hence the rounding up. */
static int64_t before_year(int32_t year) {
        return (int64_t)year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

static int32_t before_month_of(int32_t year, unsigned month) {
        return before_month[month - 1] + (month > 2 && is_leap(year));
}

bool tk_civil_ok(struct tk_civil date) {
        if (date.year < 0 || date.year > YEAR_MAX || date.month < 1 || date.month > 12)
                return false;
        int32_t days = before_month[date.month] - before_month[date.month - 1];
        if (date.month == 2 && is_leap(date.year))
                days++;
        return date.day >= 1 && date.day <= days;
}

int64_t tk_day_of_civil(struct tk_civil date) {
        MUST(tk_civil_ok(date));
        return before_year(date.year) + before_month_of(date.year, date.month) + date.day - 1 - EPOCH_DAY;
}

struct tk_civil tk_civil_of_day(int64_t day) {
        MUST(day >= -EPOCH_DAY && day < DAYS_NR - EPOCH_DAY);
        day += EPOCH_DAY;
        /* The mean length of a year gives the year or a neighbour; the calendar itself then decides. */
        int32_t year = (int32_t)(day * 400 / ERA_DAYS);
        while (year < YEAR_MAX && before_year(year + 1) <= day)
                year++;
        while (before_year(year) > day)
                year--;
        int32_t rest = (int32_t)(day - before_year(year));
        unsigned month = 12;
        while (before_month_of(year, month) > rest)
                month--;
        return (struct tk_civil){
                .year = year,
                .month = (uint8_t)month,
                .day = (uint8_t)(rest - before_month_of(year, month) + 1),
        };
}

int64_t tk_floor_div(int64_t a, int64_t b) {
        MUST(b > 0);
        return a / b - (a % b < 0);
}

/* Reads n digits at *at and moves on; false when one of them is none. */
static bool take_number(const char **at, unsigned n, int32_t *out) {
        int32_t value = 0;
        for (; n; n--, (*at)++) {
                if (**at < '0' || **at > '9')
                        return false;
                value = value * 10 + (**at - '0');
        }
        *out = value;
        return true;
}

static bool take_char(const char **at, char c) {
        return *(*at)++ == c;
}

enum tk_err tk_time_parse(struct tk_str text, int64_t *ms) {
        int32_t year, month, day, hour = 0, minute = 0, second = 0, milli = 0;
        const char *at = text.at;
        /* The length picks the form, so that nothing below reads past the end. */
        if (text.len != 10 && text.len != 20 && text.len != 24)
                return TK_E_SYNTAX;
        if (!take_number(&at, 4, &year) || !take_char(&at, '-') || !take_number(&at, 2, &month) ||
            !take_char(&at, '-') || !take_number(&at, 2, &day))
                return TK_E_SYNTAX;
        if (text.len > 10 &&
            (!take_char(&at, 'T') || !take_number(&at, 2, &hour) || !take_char(&at, ':') ||
             !take_number(&at, 2, &minute) || !take_char(&at, ':') || !take_number(&at, 2, &second)))
                return TK_E_SYNTAX;
        if (text.len == 24 && (!take_char(&at, '.') || !take_number(&at, 3, &milli)))
                return TK_E_SYNTAX;
        if (text.len > 10 && !take_char(&at, 'Z'))
                return TK_E_SYNTAX;
        struct tk_civil date = {.year = year, .month = (uint8_t)month, .day = (uint8_t)day};
        if (!tk_civil_ok(date) || hour > 23 || minute > 59 || second > 59)
                return TK_E_RANGE;
        *ms = tk_day_of_civil(date) * DAY_MS + ((hour * 60 + minute) * 60 + second) * INT64_C(1000) + milli;
        return TK_OK;
}

static char *put_number(char *at, int64_t value, unsigned width) {
        for (unsigned i = width; i > 0; i--, value /= 10)
                at[i - 1] = (char)('0' + value % 10);
        return at + width;
}

void tk_time_text(int64_t ms, char out[TK_TIME_TEXT_LEN + 1]) {
        int64_t day = tk_floor_div(ms, DAY_MS);
        struct tk_civil date = tk_civil_of_day(day); /* refuses days whose product would not fit */
        int64_t rest = ms - day * DAY_MS;
        char *at = put_number(out, date.year, 4);
        *at++ = '-';
        at = put_number(at, date.month, 2);
        *at++ = '-';
        at = put_number(at, date.day, 2);
        *at++ = 'T';
        at = put_number(at, rest / 3600000, 2);
        *at++ = ':';
        at = put_number(at, rest / 60000 % 60, 2);
        *at++ = ':';
        at = put_number(at, rest / 1000 % 60, 2);
        *at++ = '.';
        at = put_number(at, rest % 1000, 3);
        *at++ = 'Z';
        *at = '\0';
        MUST(at - out == TK_TIME_TEXT_LEN);
}
