/* SPDX-License-Identifier: Apache-2.0
 *
 * lock: it excludes, and it knows when the caller does not hold it.
 */
#include "rt/lock.h"

#include "base/must.h"
#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static void holding_is_known(void **state) {
        struct tk_lock lock;
        (void)state;
        tk_lock_init(&lock);
        tk_lock(&lock);
        tk_lock_assert_held(&lock);
        tk_unlock(&lock);
        tk_must_fail_f *original = tk_must_fail;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_lock_assert_held(&lock));
        expect_assert_failure(tk_unlock(&lock));
        tk_lock(&lock);
        expect_assert_failure(tk_lock_free(&lock));
#ifndef TK_TSAN                                /* which would see a lock that is never taken */
        expect_assert_failure(tk_lock(&lock)); /* rather than wait for itself for ever */
#endif
        tk_must_fail = original;
        tk_unlock(&lock);
        tk_lock_free(&lock);
}

struct shared {
        struct tk_lock lock;
        long count;
};

static void *add_much(void *ctx) {
        struct shared *shared = ctx;
        for (int i = 0; i < 50000; i++) {
                tk_lock(&shared->lock);
                tk_lock_assert_held(&shared->lock);
                shared->count++;
                tk_unlock(&shared->lock);
        }
        return NULL;
}

static void no_step_is_lost(void **state) {
        struct shared shared = {.count = 0};
        pthread_t threads[4];
        (void)state;
        tk_lock_init(&shared.lock);
        for (size_t i = 0; i < COUNT(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, add_much, &shared), 0);
        for (size_t i = 0; i < COUNT(threads); i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(shared.count, 4 * 50000);
        tk_lock_free(&shared.lock);
}

struct door {
        struct tk_lock lock;
        _Atomic int inside, came;
        pthread_t threads[8];
};

static void *go_through(void *ctx) {
        struct door *door = ctx;
        errno = ENOTEMPTY;
        atomic_fetch_add(&door->came, 1);
        tk_lock(&door->lock);
        assert_int_equal(atomic_fetch_add(&door->inside, 1), 0);
        sched_yield();
        atomic_fetch_sub(&door->inside, 1);
        tk_unlock(&door->lock);
        assert_int_equal(errno, ENOTEMPTY); /* a lock is taken between a fault and the look at it */
        return NULL;
}

/* All of them sleep before the first is let in, and each must be woken by the one before. */
static void all_who_sleep_are_woken(void **state) {
        (void)state;
        for (int round = 0; round < 200; round++) {
                struct door door = {.came = 0};
                tk_lock_init(&door.lock);
                tk_lock(&door.lock);
                for (size_t i = 0; i < COUNT(door.threads); i++)
                        assert_int_equal(pthread_create(&door.threads[i], NULL, go_through, &door), 0);
                while (atomic_load(&door.came) < (int)COUNT(door.threads) ||
                       atomic_load(&door.lock.word) >> 31 == 0) /* somebody has said that it waits */
                        sched_yield();
                tk_lock_assert_held(&door.lock);
                tk_unlock(&door.lock);
                for (size_t i = 0; i < COUNT(door.threads); i++)
                        assert_int_equal(pthread_join(door.threads[i], NULL), 0);
                tk_lock_free(&door.lock);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(holding_is_known),
                TEST(no_step_is_lost),
                TEST(all_who_sleep_are_woken),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
