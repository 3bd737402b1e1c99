/* SPDX-License-Identifier: Apache-2.0
 *
 * job: the answer to one call, over time: head, tokens at their pace, end, and the faults on the way.
 *
 *   WAIT (slow-head) ──► begin ──► token ──► token ──► ... ──► end
 *                                    └── stall, break, client gone
 *
 * Back-pressure: tokens are made only when the socket has taken the earlier ones, a bounded number a turn
 * of the loop; a client that is gone ends the work, and the truth knows what was made until then. The job
 * lives in its call's memory, on its loop's thread.
 */
#ifndef TK_DEMO_JOB_H
#define TK_DEMO_JOB_H

#include "demo/ask.h"
#include "demo/truth.h"
#include "http/server.h"

/* Immutable after start, shared by all loops. */
struct tk_demo_site {
        const char *const *models; /* ended by NULL */
        const char *api_key;       /* NULL: everybody may call */
        uint64_t tokens;           /* of an answer */
        unsigned delay_ms;         /* per token */
        int64_t started_s;
        struct tk_demo_truth *truth; /* any thread */
};

void tk_demo_job_start(struct tk_call *call, const struct tk_demo_site *site, enum tk_demo_kind kind);
/* Answers the call with an error. */
void tk_demo_fail(struct tk_call *call, const struct tk_demo_problem *problem);

#endif
