/* SPDX-License-Identifier: Apache-2.0 */
#include "api/refusal.h"

#include "core/time.h"

enum tk_problem_id tk_problem_of_refusal(enum tk_hold_answer answer, const struct tk_refusal *refusal) {
        switch (answer) {
        case TK_HOLD_NO_BALANCE:
        case TK_HOLD_NO_CAP: /* also of a stream that was cut, whichever of the two it was */
                return refusal->flags & TK_LIMIT_BALANCE ? TK_PROBLEM_BALANCE
                                                         : tk_problem_of_meter(refusal->meter);
        case TK_HOLD_NO_RATE:
                return TK_PROBLEM_RATE;
        default:
                return TK_PROBLEM_STORE;
        }
}

bool tk_refusal_is_budget(const struct tk_refusal *refusal) {
        return refusal->meter == TK_METER_TOKENS && !(refusal->flags & TK_LIMIT_SLIDING) &&
               refusal->window.kind >= TK_WINDOW_DAY && refusal->window.kind != TK_WINDOW_FLIGHT;
}

static void say_window(const struct tk_refusal *refusal, struct tk_buf *out) {
        enum tk_window_kind kind = refusal->window.kind;
        if (kind == TK_WINDOW_EVERY_N_DAYS)
                tk_buf_printf(out, "every %u days", (unsigned)refusal->window.days);
        else if (kind == TK_WINDOW_LIFETIME)
                tk_buf_text(out, "in its lifetime");
        else if (kind == TK_WINDOW_FLIGHT)
                tk_buf_text(out, "in flight");
        else
                tk_buf_printf(out, "per %s", tk_window_kind_name(kind));
}

static void say_amount(const struct tk_refusal *refusal, uint64_t amount, struct tk_buf *out) {
        char text[TK_CAP_TEXT_MAX];
        tk_cap_text(refusal->meter, amount, text);
        tk_buf_text(out, text);
}

/* A call that needs more than the whole cap passes at no time. */
static bool is_hopeless(const struct tk_refusal *refusal) {
        return refusal->cap == 0 || (uint64_t)refusal->least > refusal->cap;
}

static void say_turn(const struct tk_refusal *refusal, struct tk_buf *out) {
        char at[TK_TIME_TEXT_LEN + 1];
        if (refusal->flags & TK_LIMIT_BALANCE) {
                tk_buf_text(out, "a top-up makes room");
        } else if (is_hopeless(refusal)) {
                tk_buf_text(out, "that is more than it ever allows");
        } else if (refusal->window.kind == TK_WINDOW_FLIGHT) {
                tk_buf_text(out, "there is room when a running call ends");
        } else if (refusal->turns_s == INT64_MAX) {
                tk_buf_text(out, "it never turns");
        } else {
                tk_time_text(refusal->turns_s * 1000, at);
                tk_buf_printf(out,
                              refusal->flags & TK_LIMIT_SLIDING ? "it slides, and has room at %s"
                                                                : "it turns at %s",
                              at);
        }
}

void tk_refusal_say(const struct tk_refusal *refusal, struct tk_buf *out) {
        static const char *const whose[] = {[TK_SUBJECT_ORG] = "the organisation",
                                            [TK_SUBJECT_WORKSPACE] = "the workspace",
                                            [TK_SUBJECT_USER] = "the user",
                                            [TK_SUBJECT_KEY] = "this key"};
        struct tk_count count = {refusal->posted, refusal->held};
        if (tk_id_none(refusal->subject))
                return;
        bool balance = refusal->flags & TK_LIMIT_BALANCE;
        tk_buf_printf(out, "The %s of %s is ", balance ? "balance" : "limit", whose[refusal->subject_kind]);
        say_amount(refusal, refusal->cap, out);
        tk_buf_printf(out, " %s ", tk_meter_name(refusal->meter));
        if (balance)
                tk_buf_text(out, "in all");
        else
                say_window(refusal, out);
        tk_buf_text(out, ": ");
        say_amount(refusal, (uint64_t)refusal->posted, out);
        tk_buf_text(out, " used, ");
        say_amount(refusal, (uint64_t)refusal->held, out);
        tk_buf_text(out, " held, ");
        say_amount(refusal, (uint64_t)tk_limit_left(refusal->cap, &count), out);
        tk_buf_text(out, " left; this call needs at least ");
        say_amount(refusal, (uint64_t)refusal->least, out);
        tk_buf_text(out, "; ");
        say_turn(refusal, out);
        tk_buf_char(out, '.');
}

int64_t tk_refusal_retry_s(const struct tk_refusal *refusal, int64_t now_ms) {
        if (tk_id_none(refusal->subject) || is_hopeless(refusal))
                return 0;
        if (refusal->window.kind == TK_WINDOW_FLIGHT)
                return 1; /* a call may end at any moment */
        if (refusal->turns_s == INT64_MAX)
                return 0;
        int64_t wait_ms = refusal->turns_s * 1000 - now_ms;
        return wait_ms <= 1000 ? 1 : (wait_ms + 999) / 1000;
}
