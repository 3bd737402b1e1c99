/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: a meter, a window and a cap. Everything that may not be exceeded is a row of this.
 *
 * Invariants of a count against its limit:
 *   (1) posted >= 0, held >= 0
 *   (2) posted + held <= cap, unless the cap was lowered or moved under it by an edit
 *   (3) tk_limit_left() is what may still be held: min(cap, INT64_MAX) - posted - held, and 0 once
 *       (2) is broken; so posted + held never overflows, even under a cap that no counter can reach
 */
#ifndef TK_CORE_LIMIT_H
#define TK_CORE_LIMIT_H

#include "core/meter.h"
#include "core/money.h"
#include "core/window.h"

#define TK_CAP_TEXT_MAX TK_MONEY_TEXT_MAX

/*
 * How a limit counts and acts; stored on disk, so append only.
 *   SLIDING  a rate: the window before weighs in with the part of it that a window ending now still covers.
 *            Requests and tokens per second to week. Otherwise a window counts from its boundary.
 *   OBSERVE  recorded when it is passed, never refused.
 *   BALANCE  prepaid: money of a lifetime whose cap is the sum of its top-ups. Neither of the others.
 */
#define TK_LIMIT_SLIDING 1u
#define TK_LIMIT_OBSERVE 2u
#define TK_LIMIT_BALANCE 4u
#define TK_LIMIT_FLAGS   (TK_LIMIT_SLIDING | TK_LIMIT_OBSERVE | TK_LIMIT_BALANCE)

/* Whose limits: a hold asks all four, from the top; the order of locks, too. The last is a key. Stored on
 * disk. */
enum tk_subject_kind {
        TK_SUBJECT_ORG,
        TK_SUBJECT_WORKSPACE,
        TK_SUBJECT_USER,
        TK_SUBJECT_KEY,
        TK_SUBJECT_NR
} TK_SMALL;
const char *tk_subject_kind_name(enum tk_subject_kind kind); /* "organisation", ... */

struct tk_limit {
        struct tk_window_spec window;
        enum tk_meter meter;
        uint8_t flags; /* TK_LIMIT_* */
        uint64_t cap;  /* nano-units for money, a count otherwise; 0 is a real cap of nothing */
        uint64_t
                alert; /* in the same unit: who is responsible is told once posted reaches it; 0: nobody is */
        /* After a reset: the first `base` of what is posted in window `base_number` is forgiven. Usage stays
         * what it was; only this limit begins anew. Of exact windows of a day and longer; 0 and 0 otherwise.
         */
        int64_t base_number, base;
};

struct tk_count {
        int64_t posted;
        int64_t held;
};

/* Money: decimal text to nano; counts: plain digits. Errors as tk_nano_parse. */
TK_CHECKED enum tk_err tk_cap_parse(enum tk_meter meter, struct tk_str text, uint64_t *cap);
size_t tk_cap_text(enum tk_meter meter, uint64_t cap, char out[TK_CAP_TEXT_MAX]);
bool tk_limit_ok(const struct tk_limit *limit);
/* What is forgiven of window `number`. */
int64_t tk_limit_base_in(const struct tk_limit *limit, int64_t number);
/* What posted and held may reach in window `number`: the cap on top of what is forgiven. */
uint64_t tk_limit_cap_in(const struct tk_limit *limit, int64_t number);
/*
 * The sliding two-window estimate of what was used in the `length_ms` up to now, `into_ms` of the running
 * window being over (0 <= into_ms <= length_ms, 0 < length_ms): now + before x the share of the window before
 * that is still covered, rounded up. It assumes that the window before was used evenly. Within int64_t: never
 * beyond INT64_MAX.
 */
int64_t tk_limit_slide(int64_t before, int64_t now, int64_t into_ms, int64_t length_ms);
/*
 * Milliseconds from the beginning of the running window until that estimate is at most `most` (>= 0), when
 * nothing more is used: up to length_ms it is in this window, up to 2 x length_ms in the next. length_ms <=
 * INT64_MAX / 2.
 */
int64_t tk_limit_slide_until(int64_t before, int64_t now, int64_t most, int64_t length_ms);
/* What may still be held, within int64_t. */
int64_t tk_limit_left(uint64_t cap, const struct tk_count *count);
/* May `amount` (>= 0) be held on top? A zero amount may be held only while something is left. */
bool tk_limit_admits(uint64_t cap, const struct tk_count *count, int64_t amount);

#endif
