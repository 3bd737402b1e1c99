/* SPDX-License-Identifier: Apache-2.0
 *
 * refusal: the limit in words, and when to come again.
 */
#include "api/refusal.h"

#include "core/time.h"
#include "lib/unit.h"

#define NOON_S (INT64_C(20000) * TK_DAY_S + TK_DAY_S / 2) /* 2024-10-04T12:00:00Z */

static const struct {
        const char *name;
        struct tk_refusal refusal;
        int64_t now_ms;
        const char *text;
        int64_t retry_s;
} rows[] = {
        {"money by the day",
         {.subject_kind = TK_SUBJECT_KEY,
          .meter = TK_METER_USD,
          .window = {.kind = TK_WINDOW_DAY},
          .cap = 5000000000,
          .posted = 4990000000,
          .held = 10000000,
          .least = 2000000,
          .turns_s = NOON_S + TK_DAY_S / 2},
         NOON_S * 1000,
         "The limit of this key is 5 usd per day: 4.99 used, 0.01 held, 0 left; this call needs at least "
         "0.002; "
         "it turns at 2024-10-05T00:00:00.000Z.",
         43200},
        {"a rate, a part of a second before",
         {.subject_kind = TK_SUBJECT_ORG,
          .meter = TK_METER_REQUESTS,
          .window = {.kind = TK_WINDOW_MINUTE},
          .flags = TK_LIMIT_SLIDING,
          .cap = 60,
          .posted = 58,
          .held = 2,
          .least = 1,
          .turns_s = NOON_S + 7},
         NOON_S * 1000 + 1,
         "The limit of the organisation is 60 requests per minute: 58 used, 2 held, 0 left; this call needs "
         "at "
         "least 1; it slides, and has room at 2024-10-04T12:00:07.000Z.",
         7},
        {"the moment is over already",
         {.meter = TK_METER_REQUESTS,
          .window = {.kind = TK_WINDOW_SECOND},
          .cap = 1,
          .posted = 1,
          .least = 1,
          .turns_s = NOON_S},
         NOON_S * 1000 + 5000,
         NULL,
         1},
        {"what is in flight lands",
         {.subject_kind = TK_SUBJECT_WORKSPACE,
          .meter = TK_METER_REQUESTS,
          .window = {.kind = TK_WINDOW_FLIGHT},
          .cap = 2,
          .held = 2,
          .least = 1,
          .turns_s = INT64_MAX},
         NOON_S * 1000,
         "The limit of the workspace is 2 requests in flight: 0 used, 2 held, 0 left; this call needs at "
         "least "
         "1; there is room when a running call ends.",
         1},
        {"a user's limit is named as such",
         {.subject_kind = TK_SUBJECT_USER,
          .meter = TK_METER_REQUESTS,
          .window = {.kind = TK_WINDOW_FLIGHT},
          .cap = 2,
          .held = 2,
          .least = 1,
          .turns_s = INT64_MAX},
         NOON_S * 1000,
         "The limit of the user is 2 requests in flight: 0 used, 2 held, 0 left; this call needs at least 1; "
         "there is room when a running call ends.",
         1},
        {"a lifetime never turns",
         {.subject_kind = TK_SUBJECT_KEY,
          .meter = TK_METER_TOKENS,
          .window = {.kind = TK_WINDOW_LIFETIME},
          .cap = 100,
          .posted = 120, /* the cap was lowered */
          .least = 1,
          .turns_s = INT64_MAX},
         NOON_S * 1000,
         "The limit of this key is 100 tokens in its lifetime: 120 used, 0 held, 0 left; this call needs at "
         "least 1; it never turns.",
         0},
        {"more than there ever is",
         {.subject_kind = TK_SUBJECT_KEY,
          .meter = TK_METER_TOKENS,
          .window = {.kind = TK_WINDOW_EVERY_N_DAYS, .days = 10},
          .cap = 100,
          .least = 101,
          .turns_s = NOON_S + 60},
         NOON_S * 1000,
         "The limit of this key is 100 tokens every 10 days: 0 used, 0 held, 100 left; this call needs at "
         "least "
         "101; that is more than it ever allows.",
         0},
        {"a balance is paid, not waited for",
         {.subject_kind = TK_SUBJECT_ORG,
          .meter = TK_METER_DIEM,
          .window = {.kind = TK_WINDOW_LIFETIME},
          .flags = TK_LIMIT_BALANCE,
          .cap = 10000000000,
          .posted = 9900000000,
          .least = 200000000,
          .turns_s = INT64_MAX},
         NOON_S * 1000,
         "The balance of the organisation is 10 diem in all: 9.9 used, 0 held, 0.1 left; this call needs at "
         "least 0.2; a top-up makes room.",
         0},
        {"a cap of nothing",
         {.meter = TK_METER_REQUESTS, .window = {.kind = TK_WINDOW_DAY}, .least = 0, .turns_s = NOON_S + 60},
         NOON_S * 1000,
         NULL,
         0},
};

static void a_refusal_names_its_limit(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct tk_refusal refusal = rows[i].refusal;
                struct tk_buf text = TK_BUF(512);
                refusal.subject.b[0] = 1;
                tk_refusal_say(&refusal, &text);
                assert_true(tk_buf_ok(&text));
                if (rows[i].text)
                        assert_string_equal(text.at, rows[i].text);
                if (tk_refusal_retry_s(&refusal, rows[i].now_ms) != rows[i].retry_s)
                        fail_msg("%s", rows[i].name);
                tk_buf_free(&text);
        }
}

static void no_limit_no_sentence(void **state) {
        static const struct tk_refusal none;
        struct tk_buf text = TK_BUF(512);
        TK_UNUSED(state);
        tk_refusal_say(&none, &text);
        assert_int_equal(text.len, 0);
        assert_int_equal(tk_refusal_retry_s(&none, 0), 0);
        tk_buf_free(&text);
}

static void which_problem_it_is(void **state) {
        struct tk_refusal usd = {.meter = TK_METER_USD}, tokens = {.meter = TK_METER_TOKENS};
        struct tk_refusal balance = {.meter = TK_METER_USD, .flags = TK_LIMIT_BALANCE};
        TK_UNUSED(state);
        assert_int_equal(tk_problem_of_refusal(TK_HOLD_NO_CAP, &usd), TK_PROBLEM_USD_CAP);
        assert_int_equal(tk_problem_of_refusal(TK_HOLD_NO_CAP, &balance), TK_PROBLEM_BALANCE);
        assert_int_equal(tk_problem_of_refusal(TK_HOLD_NO_BALANCE, &balance), TK_PROBLEM_BALANCE);
        assert_int_equal(tk_problem_of_refusal(TK_HOLD_NO_RATE, &tokens), TK_PROBLEM_RATE);
        assert_int_equal(tk_problem_of_refusal(TK_HOLD_NO_STORE, &usd), TK_PROBLEM_STORE);
}

static void budgets(void **state) {
        static const struct {
                enum tk_meter meter;
                enum tk_window_kind window;
                unsigned flags;
                bool is;
        } of_budgets[] = {
                {TK_METER_TOKENS, TK_WINDOW_DAY, 0, true},
                {TK_METER_TOKENS, TK_WINDOW_LIFETIME, 0, true},
                {TK_METER_TOKENS, TK_WINDOW_EVERY_N_DAYS, 0, true},
                {TK_METER_TOKENS, TK_WINDOW_DAY, TK_LIMIT_SLIDING, false},
                {TK_METER_TOKENS, TK_WINDOW_HOUR, 0, false},
                {TK_METER_TOKENS, TK_WINDOW_FLIGHT, 0, false},
                {TK_METER_REQUESTS, TK_WINDOW_MONTH, 0, false},
        };
        (void)state;
        for (size_t i = 0; i < sizeof(of_budgets) / sizeof(of_budgets[0]); i++) {
                struct tk_refusal refusal = {.meter = of_budgets[i].meter,
                                             .window = {.kind = of_budgets[i].window},
                                             .flags = of_budgets[i].flags};
                assert_int_equal(tk_refusal_is_budget(&refusal), of_budgets[i].is);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(budgets), TEST(a_refusal_names_its_limit),
                                           TEST(no_limit_no_sentence), TEST(which_problem_it_is)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
