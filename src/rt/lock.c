/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/lock.h"

#include "base/must.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef TK_TSAN
#include <sanitizer/tsan_interface.h>
#define TELL(what, ...) (void)__tsan_mutex_##what(__VA_ARGS__)
#else
#define TELL(what, ...) ((void)0)
#endif

#define WAITED (UINT32_C(1) << 31)

/* Of all threads that ever took a lock; the kernel's own number would cost a system call in each of them. */
static _Atomic uint32_t threads_nr;
static _Thread_local uint32_t my_number;

static uint32_t me(void) {
        if (my_number == 0) {
                my_number = atomic_fetch_add_explicit(&threads_nr, 1, memory_order_relaxed) + 1;
                MUST(my_number < WAITED);
        }
        return my_number;
}

void tk_lock_init(struct tk_lock *lock) {
        atomic_init(&lock->word, 0);
        TELL(create, lock, 0);
}

void tk_lock_free(struct tk_lock *lock) {
        MUST(atomic_load_explicit(&lock->word, memory_order_relaxed) == 0);
        TELL(destroy, lock, 0);
}

/* Until the word is no longer `was`, or somebody lets go of it. */
static void sleep_on(struct tk_lock *lock, uint32_t was) {
        int kept = errno;
        (void)syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, was, NULL, NULL, 0);
        errno = kept;
}

static void wake_one(struct tk_lock *lock) {
        int kept = errno;
        (void)syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        errno = kept;
}

/* Whoever slept takes it as WAITED: others may sleep still, and would never be woken. */
static void wait_and_take(struct tk_lock *lock) {
        uint32_t was = atomic_load_explicit(&lock->word, memory_order_relaxed);
        for (;;) {
                MUST((was & ~WAITED) != me());
                if (was == 0) {
                        if (atomic_compare_exchange_weak_explicit(&lock->word, &was, me() | WAITED,
                                                                  memory_order_acquire, memory_order_relaxed))
                                return;
                        continue;
                }
                if (!(was & WAITED) &&
                    !atomic_compare_exchange_weak_explicit(&lock->word, &was, was | WAITED,
                                                           memory_order_relaxed, memory_order_relaxed))
                        continue;
                sleep_on(lock, was | WAITED);
                was = atomic_load_explicit(&lock->word, memory_order_relaxed);
        }
}

void tk_lock(struct tk_lock *lock) {
        uint32_t free = 0;
        TELL(pre_lock, lock, 0);
        if (!atomic_compare_exchange_strong_explicit(&lock->word, &free, me(), memory_order_acquire,
                                                     memory_order_relaxed))
                wait_and_take(lock);
        TELL(post_lock, lock, 0, 0);
}

void tk_unlock(struct tk_lock *lock) {
        tk_lock_assert_held(lock);
        TELL(pre_unlock, lock, 0);
        uint32_t was = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
        if (was & WAITED)
                wake_one(lock);
        TELL(post_unlock, lock, 0);
}

void tk_lock_assert_held(const struct tk_lock *lock) {
        MUST((atomic_load_explicit(&lock->word, memory_order_relaxed) & ~WAITED) == me());
}
