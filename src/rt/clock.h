/* SPDX-License-Identifier: Apache-2.0
 *
 * clock: the only place that asks the operating system for the time.
 */
#ifndef TK_RT_CLOCK_H
#define TK_RT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* UTC wall clock in milliseconds; may step when an operator or NTP sets it. Any thread. */
int64_t tk_clock_now_ms(void);
/* Monotonic milliseconds since some start; for durations only. Any thread. */
int64_t tk_clock_mono_ms(void);
/* That monotonic time, so much from now, for a timed wait on a CLOCK_MONOTONIC condition. Any thread. */
struct timespec tk_clock_after(unsigned ms);

#endif
