/* SPDX-License-Identifier: Apache-2.0
 *
 * sim: the real ledger in one thread, with a virtual clock and a store that fails, against a naive auditor
 * who knows the truth and looks after every event.
 *
 *   sim                     the fixed list of seeds, as `make test` runs it
 *   sim --seed N [--events M] [--verbose]      one seed
 *   sim --from N --seeds K [--events M]        K seeds from N on
 *
 * A run depends on its seed alone: what failed once fails again, at the same event.
 */
#include "base/must.h"
#include "stand_in.h"
#include "trace.h"
#include "workload.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SLOW 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SLOW 1
#endif

#define EVENTS 50000
#ifdef IS_SLOW
#define SEEDS 24
#else
#define SEEDS 210
#endif

struct plan {
        uint64_t from, seeds, events;
        bool verbose;
};

static void show(uint64_t seed, const struct workload_report *r) {
        printf("seed %llu: %llu events, %u keys, %llu holds taken, %llu refused, %llu without a store, "
               "%llu posts, %u crashes, %u restarts, %llu faults; hash %016llx\n",
               (unsigned long long)seed, (unsigned long long)r->events, r->keys, (unsigned long long)r->taken,
               (unsigned long long)r->refused, (unsigned long long)r->no_store, (unsigned long long)r->posts,
               r->crashes, r->restarts, (unsigned long long)r->faults, (unsigned long long)r->hash);
}

static void run(const struct plan *plan, uint64_t seed, struct workload_report *report) {
        stand_in_start(seed, plan->verbose);
        trace_start(seed, plan->verbose);
        workload_run(seed, plan->events, report);
        if (plan->verbose || plan->seeds == 1)
                show(seed, report);
}

#ifndef IS_SLOW /* a sanitizer says more */
/* Not a thing to do in a signal handler, but the process is lost anyway and its seed must be known. */
static void on_fault(int signal_nr) {
        signal(signal_nr, SIG_DFL);
        trace_fail("signal %d", signal_nr);
}
#endif

static bool number_arg(const char *text, uint64_t *out) {
        char *end;
        *out = text ? strtoull(text, &end, 10) : 0;
        return text && *text && !*end;
}

static bool read_args(int argc, char **argv, struct plan *plan) {
        for (int i = 1; i < argc; i++) {
                uint64_t *number = NULL;
                if (strcmp(argv[i], "--verbose") == 0)
                        plan->verbose = true;
                else if (strcmp(argv[i], "--seed") == 0 || strcmp(argv[i], "--from") == 0)
                        number = &plan->from;
                else if (strcmp(argv[i], "--events") == 0)
                        number = &plan->events;
                else if (strcmp(argv[i], "--seeds") == 0)
                        number = &plan->seeds;
                else
                        return false;
                if (strcmp(argv[i], "--seed") == 0)
                        plan->seeds = 1;
                if (number && !number_arg(argv[++i], number))
                        return false;
        }
        return true;
}

int main(int argc, char **argv) {
        struct plan plan = {.from = 1, .seeds = SEEDS, .events = EVENTS};
        struct workload_report total = {0}, one;
        if (!read_args(argc, argv, &plan)) {
                fprintf(stderr, "usage: sim [--seed N | --from N --seeds K] [--events M] [--verbose]\n");
                return 2;
        }
        tk_must_fail = trace_must_fail;
#ifndef IS_SLOW
        signal(SIGSEGV, on_fault);
        signal(SIGABRT, on_fault);
#endif
        for (uint64_t i = 0; i < plan.seeds; i++) {
                run(&plan, plan.from + i, &one);
                total.events += one.events;
                total.posts += one.posts;
                total.crashes += one.crashes;
                total.restarts += one.restarts;
                total.faults += one.faults;
        }
        uint64_t hash = one.hash;
        if (plan.seeds > 1) { /* the last one again: a seed must say everything */
                run(&plan, plan.from + plan.seeds - 1, &one);
                if (one.hash != hash)
                        trace_fail("seed %llu ran differently the second time",
                                   (unsigned long long)(plan.from + plan.seeds - 1));
        }
        printf("sim: %llu seeds, %llu events, %llu posts, %u crashes, %u restarts, %llu faults: all is "
               "true\n",
               (unsigned long long)plan.seeds, (unsigned long long)total.events,
               (unsigned long long)total.posts, total.crashes, total.restarts,
               (unsigned long long)total.faults);
        return 0;
}
