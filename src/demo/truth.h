/* SPDX-License-Identifier: Apache-2.0
 *
 * truth: what was really produced, per model and per user, so that whoever meters the traffic can be
 * compared with it.
 *
 * A token counts as produced just before it is given to the socket, so a client never knows of one that
 * is not counted. Rows beyond TK_DEMO_ROWS_MAX are counted in the total and in the row "(others)".
 * Any thread.
 */
#ifndef TK_DEMO_TRUTH_H
#define TK_DEMO_TRUTH_H

#include "base/buf.h"

#define TK_DEMO_ROWS_MAX 1024 /* models, and users */

struct tk_demo_truth;

struct tk_demo_counts {
        uint64_t requests;      /* that were answered, also in part */
        uint64_t prompt_tokens; /* of those */
        uint64_t completion_tokens;
        uint64_t cancelled;                   /* requests whose client left before the end */
        uint64_t cancelled_completion_tokens; /* the part of completion_tokens that belongs to those */
        uint64_t broken;                      /* requests that a fault broke off */
        uint64_t refused;                     /* requests that got an error instead; in no other number */
        uint64_t running;                     /* being answered at this moment */
        uint64_t most_at_once;                /* the most that ever ran at one moment */
};

struct tk_demo_truth *tk_demo_truth_new(void); /* NULL: out of memory */
void tk_demo_truth_free(struct tk_demo_truth **truth);
void tk_demo_truth_add(struct tk_demo_truth *truth, struct tk_str model, struct tk_str user,
                       const struct tk_demo_counts *more);
/* The answer to a request begins, or is over in whatever way; what runs over a reset goes on counting. */
void tk_demo_truth_enter(struct tk_demo_truth *truth, struct tk_str model, struct tk_str user);
void tk_demo_truth_leave(struct tk_demo_truth *truth, struct tk_str model, struct tk_str user);
void tk_demo_truth_reset(struct tk_demo_truth *truth);
/* {"object":"demo.truth","total":{...},"models":{"ID":{...}},"users":{"USER":{...}}} */
void tk_demo_truth_write(struct tk_demo_truth *truth, struct tk_buf *out);

#endif
