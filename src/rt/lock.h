/* SPDX-License-Identifier: Apache-2.0
 *
 * lock: a mutex that knows whether the calling thread holds it, so that functions can assert it.
 */
#ifndef TK_RT_LOCK_H
#define TK_RT_LOCK_H

#include <pthread.h>
#include <stdbool.h>

struct tk_lock {
        pthread_mutex_t mutex;
        pthread_t holder; /* valid while held is true; written under the mutex */
        bool held;
};

void tk_lock_init(struct tk_lock *lock);
void tk_lock_free(struct tk_lock *lock);
void tk_lock(struct tk_lock *lock);
void tk_unlock(struct tk_lock *lock);
/* MUST: the calling thread holds it. */
void tk_lock_assert_held(const struct tk_lock *lock);

#endif
