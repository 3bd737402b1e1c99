/* SPDX-License-Identifier: Apache-2.0
 *
 * stand_in: what the simulation puts in the place of the operating system. The functions of rt/clock.h,
 * rt/rand.h and rt/log.h are defined here, so the linker never asks the library for them: time is the
 * simulated one, randomness is the seed's, and the log is silent unless it is asked for, or says that a
 * post was refused by a store that works, which is never right. A run depends on its seed alone.
 */
#ifndef TK_TESTS_SIM_STAND_IN_H
#define TK_TESTS_SIM_STAND_IN_H

#include <stdbool.h>
#include <stdint.h>

void stand_in_start(uint64_t seed, bool verbose);
void stand_in_clock_set(int64_t now_ms);

#endif
