/* SPDX-License-Identifier: Apache-2.0
 *
 * account: what one key has spent and holds, in memory, against its limits.
 *
 * For each limit a counter; for each counter two slots: the current window and the one before it, so
 * that a stream that crosses midnight goes on in the window of its hold.
 *
 *   0 ......... posted ......... +held ........ bound ............ cap
 *   |--durable or in doubt--|--in memory only--|--lent, unused--|--not lent--|
 *
 * Invariants of a slot, checked by tk_account_assert():
 *   (1) posted >= 0, held >= 0, doubt >= 0; posted includes doubt
 *   (2) posted + held <= bound for a durable counter: nothing is held that is not lent, and
 *       the lease that lends it is on disk. A crash therefore loses at most bound - posted.
 *   (3) held is the sum over the live tickets of that window
 *   (4) after a load: posted = the store's sum + the posts not yet stored + doubt
 * (2) may be broken by an edit that changes the limits under live holds; then nothing more is held.
 *
 * Windows of a minute or less are not durable: they live here only and have no lease.
 * Everything here runs under account->lock.
 */
#ifndef TK_SERVICE_ACCOUNT_H
#define TK_SERVICE_ACCOUNT_H

#include "service/service_int.h"

struct tk_slot {
        bool valid;
        bool asking;    /* a lease is under way */
        int64_t number; /* of the window */
        struct tk_count count;
        int64_t doubt;
        int64_t bound;
};

struct tk_counter {
        struct tk_limit limit;
        struct tk_slot now, before;
};

struct tk_account {
        struct tk_lock lock;
        struct tk_id id; /* of the key; immutable */

        /* under lock */
        unsigned counters_nr;
        struct tk_counter *counters;
        bool loaded;               /* the counters are those of the key's limits */
        bool loading;              /* a load is under way */
        struct tk_ticket *live;    /* every ticket with a pending hold */
        struct tk_ticket *waiting; /* those that wait for a load or a lease, oldest first, by wait_next */
        struct tk_ticket *posting; /* posted here, not yet in the store */

        /* under the service's touched_lock */
        struct tk_account *touched_next;
        bool touched;
        int64_t last_used_ms;

        /* under the ring's shard locks */
        struct tk_account *id_next, *digest_next;
        uint8_t digest[32];
        struct tk_snapshot *snapshot;
};

bool tk_counter_is_durable(const struct tk_counter *counter);
void tk_account_assert(const struct tk_account *account);

enum tk_try { TK_TRY_TAKEN, TK_TRY_REFUSED, TK_TRY_NEEDS_LOAD, TK_TRY_NEEDS_LEASE };

/* What is to be held at a time, and what came of it. */
struct tk_want {
        int64_t at_s;
        bool extends; /* on top of a live hold: a meter of which nothing more is wanted is not asked */
        struct tk_amounts least, most;
        struct tk_amounts given; /* out: between least and most */
        struct tk_amounts left;  /* out: still free after it, INT64_MAX where nothing limits */
        unsigned refused_by;     /* out: index of the counter that refused */
};

/* All limits or none. TAKEN: the slots hold want->given on top. Otherwise nothing changed. */
enum tk_try tk_account_try(struct tk_account *account, struct tk_want *want);
/* Takes `held` off the slots of at_s and adds `due` to what they posted. */
void tk_account_settle(struct tk_account *account, int64_t at_s, const struct tk_amounts *held,
                       const struct tk_amounts *due);
/*
 * (Re)builds the counters for these limits at now_s and at each live ticket's time, from the reader (which
 * must see exactly what the posting list does not hold: the writer's thread, between two batches). On a fault
 * the counters that were are kept.
 */
TK_CHECKED enum tk_err tk_account_load(struct tk_account *account, const struct tk_service *service,
                                       struct tk_reader *reader, const struct tk_limit *limits,
                                       unsigned limits_nr, int64_t now_s);
/* The lease that the want lacks on some counter: fills *lease (bound = what to ask for) and marks the slot
 * as asking. False: none lacks one that is not under way already. */
bool tk_account_lease_next(struct tk_account *account, const struct tk_want *want, struct tk_lease *lease);
/* The answer to it. */
void tk_account_leased(struct tk_account *account, const struct tk_lease *lease, bool granted);

#endif
