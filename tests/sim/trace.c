/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LINES      4096 /* kept */
#define EVENTS_MAX 20   /* of which this many last events are shown */

struct line {
        uint64_t event;
        const char *fmt;
        long long a, b, c, d;
};

static struct {
        uint64_t seed, event, lines_nr, hash;
        bool verbose;
        struct line lines[LINES];
} t;

void trace_start(uint64_t seed, bool verbose) {
        t.seed = seed;
        t.event = t.lines_nr = 0;
        t.hash = UINT64_C(14695981039346656037);
        t.verbose = verbose;
}

uint64_t trace_next(void) {
        return ++t.event;
}

uint64_t trace_events(void) {
        return t.event;
}

static void show(FILE *to, const struct line *line) {
        fprintf(to, "  %8llu  ", (unsigned long long)line->event);
        fprintf(to, line->fmt, line->a, line->b, line->c, line->d);
        fputc('\n', to);
}

static void stir(long long number) {
        t.hash = (t.hash ^ (uint64_t)number) * UINT64_C(1099511628211);
        t.hash ^= t.hash >> 29;
}

void trace(const char *fmt, long long a, long long b, long long c, long long d) {
        struct line *line = &t.lines[t.lines_nr++ % LINES];
        *line = (struct line){t.event, fmt, a, b, c, d};
        stir(a);
        stir(b);
        stir(c);
        stir(d);
        if (t.verbose)
                show(stdout, line);
}

uint64_t trace_hash(void) {
        return t.hash;
}

static void show_last(void) {
        uint64_t first = t.lines_nr > LINES ? t.lines_nr - LINES : 0;
        fflush(stdout);
        fprintf(stderr, "\nsim: seed %llu failed at event %llu; its last %d events:\n",
                (unsigned long long)t.seed, (unsigned long long)t.event, EVENTS_MAX);
        for (uint64_t i = first; i < t.lines_nr; i++)
                if (t.lines[i % LINES].event + EVENTS_MAX > t.event)
                        show(stderr, &t.lines[i % LINES]);
}

void trace_fail(const char *fmt, ...) {
        va_list args;
        show_last();
        va_start(args, fmt);
        vfprintf(stderr, fmt, args);
        va_end(args);
        fprintf(stderr, "\nreplay it with: make sim SEED=%llu\n", (unsigned long long)t.seed);
        exit(1);
}

void trace_must_fail(const char *expr, const char *file, int line) {
        trace_fail("broken: %s at %s:%d", expr, file, line);
}
