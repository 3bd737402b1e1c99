/* SPDX-License-Identifier: Apache-2.0 */
#include "http/timer.h"

/* prev is the left sibling, or the parent of a first child; the root has none, nor a sibling. */

static bool before(const struct tk_timer *a, const struct tk_timer *b) {
        return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

/* Joins two heaps, either may be empty. */
static struct tk_timer *join(struct tk_timer *a, struct tk_timer *b) {
        if (!a || !b)
                return a ? a : b;
        if (before(b, a)) {
                struct tk_timer *swap = a;
                a = b;
                b = swap;
        }
        b->prev = a;
        b->next = a->child;
        if (a->child)
                a->child->prev = b;
        a->child = b;
        return a;
}

/* Joins a list of siblings, in pairs first, which is what keeps the cost logarithmic on average. */
static struct tk_timer *join_all(struct tk_timer *first) {
        struct tk_timer *pairs = NULL;
        while (first) {
                struct tk_timer *a = first, *b = a->next;
                first = b ? b->next : NULL;
                a->prev = a->next = NULL;
                if (b)
                        b->prev = b->next = NULL;
                a = join(a, b);
                a->next = pairs;
                pairs = a;
        }
        struct tk_timer *all = NULL;
        while (pairs) {
                struct tk_timer *a = pairs;
                pairs = a->next;
                a->next = NULL;
                all = join(all, a);
        }
        return all;
}

void tk_timers_add(struct tk_timers *timers, struct tk_timer *timer, int64_t due_ms) {
        timer->due_ms = due_ms;
        timer->order = timers->started++;
        timer->child = timer->next = timer->prev = NULL;
        timers->root = join(timers->root, timer);
}

void tk_timers_remove(struct tk_timers *timers, struct tk_timer *timer) {
        struct tk_timer *rest = join_all(timer->child);
        if (timers->root == timer) {
                MUST(!timer->prev && !timer->next);
                timers->root = rest;
        } else {
                MUST(timer->prev);
                if (timer->prev->child == timer)
                        timer->prev->child = timer->next;
                else
                        timer->prev->next = timer->next;
                if (timer->next)
                        timer->next->prev = timer->prev;
                timers->root = join(timers->root, rest);
        }
        timer->child = timer->next = timer->prev = NULL;
}

struct tk_timer *tk_timers_take(struct tk_timers *timers, int64_t now_ms, uint64_t started) {
        struct tk_timer *first = timers->root;
        /* One started meanwhile is not due before any older one, so the older ones are all done. */
        if (!first || first->due_ms > now_ms || first->order >= started)
                return NULL;
        tk_timers_remove(timers, first);
        return first;
}
