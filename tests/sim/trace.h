/* SPDX-License-Identifier: Apache-2.0
 *
 * trace: what happened last, for the moment at which something is wrong. Events are kept as a format and its
 * numbers and become text only when they are shown, so that tracing costs next to nothing.
 */
#ifndef TK_TESTS_SIM_TRACE_H
#define TK_TESTS_SIM_TRACE_H

#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

void trace_start(uint64_t seed, bool verbose);
/* The next event begins; its number. */
uint64_t trace_next(void);
uint64_t trace_events(void);
/* A line of the running event. fmt: a literal with up to four %lld. */
void trace(const char *fmt, long long a, long long b, long long c, long long d);
/* Over every number traced so far: two runs of a seed agree in it. */
uint64_t trace_hash(void);
/* Shows the seed, the last lines and what is wrong, and ends the process. */
_Noreturn void trace_fail(const char *fmt, ...) TK_PRINTF(1, 2);
/* For tk_must_fail. */
void trace_must_fail(const char *expr, const char *file, int line);

#endif
