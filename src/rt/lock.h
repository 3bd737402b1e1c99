/* SPDX-License-Identifier: Apache-2.0
 *
 * lock: a mutex in four bytes, because every account has one, that knows whether the calling thread holds it,
 * so that functions can assert it.
 *
 *   0             free
 *   N             held by thread N
 *   N | WAITED    held by thread N, and somebody may sleep
 *
 * Who comes first takes it and lets it go with one atomic operation each; who has to wait says so in the word
 * and sleeps in the kernel until it changes (futex(2)). No order among those who wait. ThreadSanitizer is
 * told what happens, so it finds races and wrong orders as with a pthread mutex.
 */
#ifndef TK_RT_LOCK_H
#define TK_RT_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tk_lock {
        _Atomic uint32_t word;
};

void tk_lock_init(struct tk_lock *lock);
void tk_lock_free(struct tk_lock *lock);
void tk_lock(struct tk_lock *lock);
void tk_unlock(struct tk_lock *lock);
/* MUST: the calling thread holds it. */
void tk_lock_assert_held(const struct tk_lock *lock);

#endif
