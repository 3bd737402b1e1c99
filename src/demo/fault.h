/* SPDX-License-Identifier: Apache-2.0
 *
 * fault: what a caller asks the demo to do wrong, so that whoever stands in front of it can be tested.
 *
 * Faults come behind the model's name ("demo-small+break-after=3+no-usage"), or in the header x-demo-fault
 * ("break-after=3,no-usage"); the rows of faults[] in fault.c are the grammar and its explanation.
 */
#ifndef TK_DEMO_FAULT_H
#define TK_DEMO_FAULT_H

#include "base/buf.h"

#define TK_DEMO_NONE UINT64_MAX

struct tk_demo_fault {
        uint64_t status;      /* this status instead of an answer; TK_DEMO_NONE: no fault, as below */
        uint64_t break_after; /* tokens, then the connection breaks off */
        uint64_t stall_after; /* tokens, then nothing more comes */
        uint64_t slow_head;   /* ms before the answer begins */
        uint64_t delay;       /* ms per token, instead of --delay-ms */
        uint64_t tokens;      /* length of the answer, instead of --tokens */
        bool no_usage;
        bool malformed;
        bool usage_in_every_chunk;
        bool huge_usage;
};

void tk_demo_fault_init(struct tk_demo_fault *fault);
/* Adds the faults of a list separated by '+' or ','. False: *bad is the word that is none. */
bool tk_demo_fault_parse(struct tk_str list, struct tk_demo_fault *fault, struct tk_str *bad);
/* One line a fault, for --help. */
void tk_demo_fault_help(struct tk_buf *out);

#endif
