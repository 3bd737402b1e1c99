/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: caps in text, and the one place that says how much may still be held.
 *
 * A cap may be larger than the counters can count (9,999,999,999 units against 2^63 nano). What
 * may be held then ends where the counters end, so that posted + held can never overflow.
 */
#include "core/limit.h"

const char *tk_subject_kind_name(enum tk_subject_kind kind) {
        static const char *const names[TK_SUBJECT_NR] = {
                [TK_SUBJECT_ORG] = "organisation",
                [TK_SUBJECT_WORKSPACE] = "workspace",
                [TK_SUBJECT_USER] = "user",
                [TK_SUBJECT_KEY] = "key",
        };
        MUST((unsigned)kind < TK_SUBJECT_NR);
        return names[kind];
}

/* Plain digits in the grammar of a JSON integer; "-5" is understood and refused, as for money. */
static enum tk_err parse_count(struct tk_str text, uint64_t *cap) {
        bool negative = text.len > 0 && text.at[0] == '-';
        uint64_t value;
        if (negative)
                text = tk_str_skip(text, 1);
        if (text.len == 0 || (text.len > 1 && text.at[0] == '0'))
                return TK_E_SYNTAX;
        for (size_t i = 0; i < text.len; i++)
                if (text.at[i] < '0' || text.at[i] > '9')
                        return TK_E_SYNTAX;
        if (negative && text.at[0] != '0')
                return TK_E_RANGE;
        if (!tk_str_u64(text, &value))
                return TK_E_OVERFLOW; /* digits only, so nothing else can be wrong */
        *cap = value;
        return TK_OK;
}

enum tk_err tk_cap_parse(enum tk_meter meter, struct tk_str text, uint64_t *cap) {
        return tk_meter_is_money(meter) ? tk_nano_parse(text, cap) : parse_count(text, cap);
}

size_t tk_cap_text(enum tk_meter meter, uint64_t cap, char out[TK_CAP_TEXT_MAX]) {
        if (tk_meter_is_money(meter))
                return tk_nano_text(cap, out);
        char reversed[20];
        size_t len = 0;
        do
                reversed[len++] = (char)('0' + cap % 10);
        while ((cap /= 10) > 0);
        MUST(len < TK_CAP_TEXT_MAX);
        for (size_t i = 0; i < len; i++)
                out[i] = reversed[len - 1 - i];
        out[len] = '\0';
        return len;
}

static bool base_ok(const struct tk_limit *limit) {
        if (limit->base == 0)
                return limit->base_number == 0;
        return limit->base > 0 && limit->flags == (limit->flags & TK_LIMIT_OBSERVE) &&
               limit->window.kind >= TK_WINDOW_DAY && limit->window.kind != TK_WINDOW_FLIGHT &&
               tk_window_number_ok(limit->window, limit->base_number);
}

int64_t tk_limit_base_in(const struct tk_limit *limit, int64_t number) {
        return limit->base_number == number ? limit->base : 0;
}

uint64_t tk_limit_cap_in(const struct tk_limit *limit, int64_t number) {
        uint64_t cap;
        return __builtin_add_overflow(limit->cap, (uint64_t)tk_limit_base_in(limit, number), &cap)
                       ? UINT64_MAX
                       : cap;
}

bool tk_limit_ok(const struct tk_limit *limit) {
        if (!tk_window_spec_ok(limit->window) || (unsigned)limit->meter >= TK_METER_NR ||
            (limit->flags & ~TK_LIMIT_FLAGS) || !base_ok(limit))
                return false;
        if (limit->flags & TK_LIMIT_BALANCE)
                return limit->flags == TK_LIMIT_BALANCE && tk_meter_is_money(limit->meter) &&
                       limit->window.kind == TK_WINDOW_LIFETIME;
        if (!(limit->flags & TK_LIMIT_SLIDING))
                return true;
        return !tk_meter_is_money(limit->meter) && limit->window.kind <= TK_WINDOW_WEEK;
}

int64_t tk_limit_slide(int64_t before, int64_t now, int64_t into_ms, int64_t length_ms) {
        MUST(before >= 0 && now >= 0);
        MUST(length_ms > 0);
        MUST(into_ms >= 0 && into_ms <= length_ms);
        __extension__ unsigned __int128 share = (unsigned __int128)before * (uint64_t)(length_ms - into_ms);
        __extension__ unsigned __int128 sum =
                (share + (uint64_t)length_ms - 1) / (uint64_t)length_ms + (uint64_t)now;
        return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

/* The first into_ms at which `amount`, weighed by the share of its window that is still covered, is <= most.
 */
static int64_t weighs(int64_t amount, int64_t most, int64_t length_ms) {
        if (amount <= most)
                return 0;
        /* ceil(amount * rest / length) <= most, just as amount * rest <= most * length: most is whole. */
        __extension__ unsigned __int128 rest =
                (unsigned __int128)(uint64_t)most * (uint64_t)length_ms / (uint64_t)amount;
        return length_ms - (int64_t)rest; /* most < amount, so rest < length */
}

int64_t tk_limit_slide_until(int64_t before, int64_t now, int64_t most, int64_t length_ms) {
        MUST(before >= 0 && now >= 0 && most >= 0);
        MUST(length_ms > 0 && length_ms <= INT64_MAX / 2);
        if (now <= most)
                return weighs(before, most - now, length_ms);
        return length_ms + weighs(now, most, length_ms);
}

int64_t tk_limit_left(uint64_t cap, const struct tk_count *count) {
        MUST(count->posted >= 0);                                        /* (1) */
        MUST(count->held >= 0);                                          /* (1) */
        uint64_t used = (uint64_t)count->posted + (uint64_t)count->held; /* two int64 always fit */
        if (cap > INT64_MAX)
                cap = INT64_MAX;
        return used < cap ? (int64_t)(cap - used) : 0; /* (3) */
}

bool tk_limit_admits(uint64_t cap, const struct tk_count *count, int64_t amount) {
        MUST(amount >= 0);
        int64_t left = tk_limit_left(cap, count);
        /* A call whose worst case is nothing still may not begin on an exhausted limit. */
        return left > 0 && amount <= left;
}
