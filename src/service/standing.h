/* SPDX-License-Identifier: Apache-2.0
 *
 * standing: how a key stands against its own limits, to be shown. It decides nothing: only a hold does.
 */
#ifndef TK_SERVICE_STANDING_H
#define TK_SERVICE_STANDING_H

#include "service/keys.h"

struct tk_standing {
        struct tk_limit limit;
        int64_t turns_s; /* when its window ends; INT64_MAX: never */
        bool known;      /* the counters are in memory: a hold was asked for since the start */
        int64_t posted, held, left;
        int64_t doubt; /* among the posted */
};

/* One for each limit of the key, in its order; returns how many. Any thread. */
unsigned tk_standing_of(struct tk_worker *worker, const struct tk_snapshot *snapshot, int64_t now_ms,
                        struct tk_standing out[TK_KEY_LIMITS_MAX]);

#endif
