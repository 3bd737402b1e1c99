/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep: leases of windows that are over go while the server runs, so that they neither pile up nor come into
 * doubt at a crash.
 *
 * By the ledger's clock, which never goes back: nothing new is held in such a window. Where a hold still
 * lives in it, or a post of it is not stored yet, its lease stays until the sweep an hour later. The
 * housekeeper finds them, a bounded number at a time; the writer's thread decides and drops.
 */
#ifndef TK_SERVICE_SWEEP_H
#define TK_SERVICE_SWEEP_H

#include "store/store.h"

#define TK_SWEEP_LEASES 1024 /* with one tick: posts do not stand behind all of them */

struct tk_service;

/* The housekeeper's own. Zero-initialised it is ready. */
struct tk_sweep {
        int64_t hour; /* of the last one; windows that are lent end where an hour does */
        struct tk_lease *at;
        size_t nr, next, room;
        int64_t over_s; /* what ended until then */
        bool failed;
};

/* Each tick of the housekeeper. */
void tk_sweep_tick(struct tk_service *service);
void tk_sweep_free(struct tk_sweep *sweep);

#endif
