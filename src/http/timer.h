/* SPDX-License-Identifier: Apache-2.0
 *
 * timer: the timers of one loop, ordered by when they are due. Pure: time comes in.
 *
 * A pairing heap whose nodes are the callers' own struct tk_timer, so that starting one cannot fail and
 * costs no allocation. Timers due in the same millisecond come out in the order they were started.
 */
#ifndef TK_HTTP_TIMER_H
#define TK_HTTP_TIMER_H

#include "http/server.h"

struct tk_timers {
        struct tk_timer *root; /* the first due */
        uint64_t started;      /* how many ever were */
};

/* The timer must not be running. */
void tk_timers_add(struct tk_timers *timers, struct tk_timer *timer, int64_t due_ms);
/* The timer must be one of these. */
void tk_timers_remove(struct tk_timers *timers, struct tk_timer *timer);
/* Removes and returns the next timer due at now_ms that was started before `started` counted so far; else
 * NULL. */
struct tk_timer *tk_timers_take(struct tk_timers *timers, int64_t now_ms, uint64_t started);

#endif
