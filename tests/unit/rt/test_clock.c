/* SPDX-License-Identifier: Apache-2.0
 *
 * clock: the wall clock is that of the system, the other one never goes back.
 */
#include "rt/clock.h"

#include "lib/unit.h"

#include <time.h>

static void the_wall_clock_is_the_systems(void **state) {
        (void)state;
        int64_t before = (int64_t)time(NULL) * 1000;
        int64_t now = tk_clock_now_ms();
        int64_t after = (int64_t)time(NULL) * 1000 + 1000;
        /* time() may lag the fine clock by a tick of the kernel. */
        assert_true(now >= before - 20 && now <= after + 20);
}

static void the_monotonic_clock_only_rises(void **state) {
        (void)state;
        int64_t last = tk_clock_mono_ms();
        for (int i = 0; i < 100000; i++) {
                int64_t now = tk_clock_mono_ms();
                assert_true(now >= last);
                last = now;
        }
}

static void durations_are_milliseconds(void **state) {
        (void)state;
        int64_t start = tk_clock_mono_ms();
        struct timespec pause = {.tv_nsec = 30 * 1000000L};
        assert_int_equal(clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL), 0);
        int64_t took = tk_clock_mono_ms() - start;
        assert_true(took >= 29 && took < 30000);
}

static void after_is_so_much_from_now(void **state) {
        (void)state;
        static const unsigned waits[] = {0, 1, 999, 1000, 1001, 86400000};
        for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
                int64_t before = tk_clock_mono_ms();
                struct timespec at = tk_clock_after(waits[i]);
                int64_t after = tk_clock_mono_ms();
                assert_true(at.tv_nsec >= 0 && at.tv_nsec < 1000000000);
                int64_t ms = (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
                assert_true(ms >= before + waits[i] && ms <= after + waits[i]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(the_wall_clock_is_the_systems),
                TEST(the_monotonic_clock_only_rises),
                TEST(durations_are_milliseconds),
                TEST(after_is_so_much_from_now),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
