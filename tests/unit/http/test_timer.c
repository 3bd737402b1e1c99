/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap against a sorted list that is kept by the naive way.
 */
#include "http/timer.c"

#include "lib/unit.h"

#include <stdlib.h>

#define TIMERS 200

static void takes_in_order(void **state) {
        (void)state;
        static const int64_t due[] = {5, 1, 9, 1, 7, 0, 9, 3};
        static const int order[] = {5, 1, 3, 7, 0, 4, 2, 6};
        struct tk_timers timers = {0};
        struct tk_timer t[8] = {0};
        for (int i = 0; i < 8; i++)
                tk_timers_add(&timers, &t[i], due[i]);
        for (int i = 0; i < 8; i++)
                assert_ptr_equal(tk_timers_take(&timers, 100, timers.started), &t[order[i]]);
        assert_null(tk_timers_take(&timers, 100, timers.started));
        assert_null(timers.root);
}

static void takes_only_what_is_due(void **state) {
        (void)state;
        struct tk_timers timers = {0};
        struct tk_timer a = {0}, b = {0};
        tk_timers_add(&timers, &a, 10);
        tk_timers_add(&timers, &b, 11);
        assert_null(tk_timers_take(&timers, 9, timers.started));
        assert_ptr_equal(tk_timers_take(&timers, 10, timers.started), &a);
        assert_null(tk_timers_take(&timers, 10, timers.started));
        assert_ptr_equal(timers.root, &b);
}

/* A timer that starts itself again for now waits for the next turn. */
static void leaves_what_was_started_meanwhile(void **state) {
        (void)state;
        struct tk_timers timers = {0};
        struct tk_timer a = {0}, b = {0};
        tk_timers_add(&timers, &a, 10);
        tk_timers_add(&timers, &b, 10);
        uint64_t started = timers.started;
        assert_ptr_equal(tk_timers_take(&timers, 10, started), &a);
        tk_timers_add(&timers, &a, 10);
        assert_ptr_equal(tk_timers_take(&timers, 10, started), &b);
        assert_null(tk_timers_take(&timers, 10, started));
        assert_ptr_equal(tk_timers_take(&timers, 10, timers.started), &a);
}

/* Random additions and removals; the first must always be the least of those that run. */
static void agrees_with_a_list(void **state) {
        (void)state;
        struct tk_timers timers = {0};
        static struct tk_timer t[TIMERS];
        bool running[TIMERS] = {0};
        srand(7);
        for (int round = 0; round < 20000; round++) {
                int i = rand() % TIMERS;
                if (running[i])
                        tk_timers_remove(&timers, &t[i]);
                else
                        tk_timers_add(&timers, &t[i], rand() % 50);
                running[i] = !running[i];
                const struct tk_timer *least = NULL;
                for (int k = 0; k < TIMERS; k++)
                        if (running[k] && (!least || before(&t[k], least)))
                                least = &t[k];
                assert_ptr_equal(timers.root, least);
        }
        for (int k = 0; k < TIMERS; k++)
                if (running[k])
                        tk_timers_remove(&timers, &t[k]);
        assert_null(timers.root);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(takes_in_order),
                TEST(takes_only_what_is_due),
                TEST(leaves_what_was_started_meanwhile),
                TEST(agrees_with_a_list),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
