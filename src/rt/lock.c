/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/lock.h"

#include "base/must.h"

void tk_lock_init(struct tk_lock *lock) {
        int rc = pthread_mutex_init(&lock->mutex, NULL);
        MUST(rc == 0);
        lock->held = false;
}

void tk_lock_free(struct tk_lock *lock) {
        MUST(!lock->held);
        int rc = pthread_mutex_destroy(&lock->mutex);
        MUST(rc == 0);
}

void tk_lock(struct tk_lock *lock) {
        int rc = pthread_mutex_lock(&lock->mutex);
        MUST(rc == 0);
        MUST(!lock->held);
        lock->holder = pthread_self();
        lock->held = true;
}

void tk_unlock(struct tk_lock *lock) {
        tk_lock_assert_held(lock);
        lock->held = false;
        int rc = pthread_mutex_unlock(&lock->mutex);
        MUST(rc == 0);
}

void tk_lock_assert_held(const struct tk_lock *lock) {
        MUST(lock->held);
        MUST(pthread_equal(lock->holder, pthread_self()));
}
