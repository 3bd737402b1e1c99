/* SPDX-License-Identifier: Apache-2.0
 *
 * lock: it excludes, and it knows when the caller does not hold it.
 */
#include "rt/lock.h"

#include "base/must.h"
#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

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

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(holding_is_known),
                TEST(no_step_is_lost),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
