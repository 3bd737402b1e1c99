/* SPDX-License-Identifier: Apache-2.0
 *
 * workload: what happens to the world. A seed decides first what kind of run it is (how many keys, how tiny
 * the caps, how often clocks jump, disks fail, processes die), then every event. Kinds of events that a run
 * has none of matter as much as those it has many of, so their weights are drawn per run.
 */
#ifndef TK_TESTS_SIM_WORKLOAD_H
#define TK_TESTS_SIM_WORKLOAD_H

#include "world.h"

struct workload_report {
        uint64_t events, posts, taken, refused, no_store;
        unsigned keys, crashes, restarts;
        uint64_t faults, hash;
};

/* A whole run. Whatever is wrong ends the process in trace_fail(). */
void workload_run(uint64_t seed, uint64_t events, struct workload_report *report);

#endif
