/* SPDX-License-Identifier: Apache-2.0
 *
 * account: what one subject (a key, a user, a workspace, an organisation) has spent and holds, in memory,
 * against its limits.
 *
 * For each limit a counter; for each counter a slot for the current window and, only where they matter, for
 * others: the window before it where a rate may slide, and each earlier one in which a hold is still live, so
 * that a stream that crosses midnight goes on in the window of its hold.
 *
 *   0 ......... posted ......... +held ........ bound ............ cap
 *   |--durable or in doubt--|--in memory only--|--lent, unused--|--not lent--|
 *
 * Invariants of a slot, checked by tk_account_assert():
 *   (1) posted >= 0, held >= 0, doubt >= 0; posted includes doubt
 *   (2) posted + held <= bound for a leased counter: nothing is held that is not lent, and
 *       the lease that lends it is on disk. A crash therefore loses at most bound - posted.
 *   (3) held is the sum over the live tickets of that window
 *   (4) after a load: posted = the store's sum + the posts not yet stored + doubt
 * Beside them, at the moment at which it is asked for:
 *   (5) a lease goes ahead by at most TK_LEASE_HOLDS times the hold that asks, or 4 times what was taken
 *       within TK_LEASE_SOON_S before, and never by more than a sixteenth of what is left
 *
 * (2) does not hold after a load that found doubt, or after an edit that changed the limits under live holds;
 * then nothing more is held until a lease covers all of it.
 *
 * What kind of memory a counter needs follows from its limit:
 *   leased    exact windows of an hour and longer: the store lends before anything is held
 *   stored    also sliding windows of an hour and longer: read from the store at a load, never lent
 *   in memory windows of a minute and shorter, and what is in flight: a restart begins them at nothing
 * A limit that only observes is never leased: it refuses nothing, so nothing has to be certain.
 * Everything here runs under account->lock.
 */
#ifndef TK_SERVICE_ACCOUNT_H
#define TK_SERVICE_ACCOUNT_H

#include "service/service_int.h"

/*
 * How far a lease goes ahead. It begins at a few holds, is asked for again when half of it is used, so that
 * few holds wait for the disk, and doubles as long as that takes less than TK_LEASE_SOON_S; a slot that lies
 * idle halves it for each TK_LEASE_IDLE_S. So a crash puts into doubt what was lately needed, however large
 * the cap.
 */
#define TK_LEASE_HOLDS  8
#define TK_LEASE_SOON_S 2
#define TK_LEASE_IDLE_S 8

struct tk_slot {
        bool valid;
        uint8_t pace; /* what was lent ahead is less than 1 << pace and at least half of that; 0: nothing */
        /* Which alerts were noted, a bit for each kind, and of which number (alerts.h), of which low bits do.
         */
        uint16_t told : 3, told_number : 12;
        uint16_t
                passed : 1; /* the limit only observes, and the last check found that it would have refused */
        uint32_t asked_s;   /* when it was asked for, in monotonic seconds, which may wrap */
        int64_t number;     /* of the window */
        struct tk_count count;
        int64_t doubt;
        int64_t bound;
        int64_t asked; /* the bound of the lease under way; 0: none */
};

struct tk_slots {
        unsigned nr, room;
        struct tk_slot at[]; /* in no order */
};

struct tk_counter {
        struct tk_limit limit;
        struct tk_slot now;
        struct tk_slots *others; /* of earlier windows; NULL: none, as for nearly every counter at rest */
};

struct tk_ticket;
struct tk_place;

/* There is one for each key that was used, so the small members stand together and leave no holes. */
struct tk_account {
        struct tk_lock lock;
        /* under lock */
        uint8_t counters_nr : 6;
        bool loaded : 1;  /* the counters are those of the subject's limits */
        bool loading : 1; /* a load is under way */

        enum tk_subject_kind kind; /* immutable */
        /* Of the key's record; counts its changes, and begins again after 65,535. Changed under the ring's
         * lock. */
        _Atomic uint16_t edition;
        struct tk_id id; /* of the subject; immutable */
        /* Immutable after it was put into the ring: organisation, workspace, user; NULL where a key has none,
         * and all of them but for keys. */
        struct tk_account *parents[TK_SUBJECT_KEY];

        /* under lock */
        struct tk_counter *counters;
        struct tk_place *live;     /* every ticket with a pending hold */
        struct tk_place *posting;  /* posted here, not yet in the store */
        struct tk_ticket *waiting; /* for a load or a lease of this account, oldest first, by wait_next */

        /* under the service's touched_lock */
        struct tk_account *touched_next;
        int64_t last_used_ms : 63;
        bool touched : 1;

        /* under the ring's shard locks */
        struct tk_account *id_next, *digest_next;
        uint8_t digest[32];
        struct tk_key_pack *pack; /* the key's record */
};

bool tk_counter_is_leased(const struct tk_counter *counter);
bool tk_counter_is_stored(const struct tk_counter *counter);
/* What counts against the limit then; a rate has slid. False: nothing is known of that window. */
bool tk_counter_count(const struct tk_counter *counter, int64_t at_s, int64_t at_ms, struct tk_count *out);
/* Which of the limit's amounts the posted have reached in the window of at_s: 0 or more of TK_REACHED_*. What
 * is in flight reaches none. count is set when there is any. */
#define TK_REACHED_ALERT 1u
#define TK_REACHED_CAP   2u
unsigned tk_counter_reached(const struct tk_counter *counter, int64_t at_s, struct tk_count *count);
/* The slot of a window, or NULL. */
struct tk_slot *tk_counter_slot_get(struct tk_counter *counter, int64_t number);
/* Keeps the slot among the others, in the place of one of the same window. False: out of memory. */
TK_CHECKED bool tk_counter_keep(struct tk_counter *counter, const struct tk_slot *slot);
void tk_counters_free(struct tk_counter **counters, unsigned counters_nr);
void tk_account_assert(const struct tk_account *account);

/* What is to be held, and what came of it. */
struct tk_want {
        int64_t at_s;  /* decides the windows */
        int64_t at_ms; /* decides how far a rate has slid */
        bool extends;  /* on top of a live hold: a meter of which nothing more is wanted is not asked */
        struct tk_amounts least, most;
        struct tk_amounts given; /* out: between least and most */
        struct tk_amounts left;  /* out: still free, INT64_MAX where nothing limits */
        bool observed;           /* out: a limit that only observes is passed */
};

/*
 * A hold asks every account that it touches, in this order, all of them locked:
 *   check   narrows what is given to what fits; REFUSED by the counter *index
 *   lent    is all of that lent already?
 *   take    holds it
 */
enum tk_try { TK_TRY_OK, TK_TRY_REFUSED, TK_TRY_NEEDS_LOAD, TK_TRY_NEEDS_LEASE };
enum tk_try tk_account_check(struct tk_account *account, struct tk_want *want, unsigned *index);
enum tk_try tk_account_lent(const struct tk_account *account, const struct tk_want *want);
/* True: of what some lease lends ahead the half is used, and no other was asked for. */
bool tk_account_take(struct tk_account *account, const struct tk_want *want);
/* Why the counter refused. */
struct tk_refusal tk_account_refusal(const struct tk_account *account, unsigned index,
                                     const struct tk_want *want);

/* What counts against the limit of this meter and window at that time, and how much of the posted is in
 * doubt. False: it is not known without a load. */
bool tk_account_count(const struct tk_account *account, const struct tk_limit *limit, int64_t at_s,
                      int64_t at_ms, struct tk_count *out, int64_t *doubt);
/* Takes `held` off the slots of at_s and adds `due` to what they posted. True: a limit's cap or alert is
 * reached by it, or was before. */
bool tk_account_settle(struct tk_account *account, int64_t at_s, const struct tk_amounts *held,
                       const struct tk_amounts *due);
/* The lease that the want lacks on some counter: fills *lease (bound = what to ask for) and notes in the slot
 * that it is asked for. False: none lacks one that is not under way already. mono_s: monotonic seconds. */
bool tk_account_lease_next(struct tk_account *account, const struct tk_want *want, uint32_t mono_s,
                           struct tk_lease *lease);
/* The same for a want that was taken, and for the counters of which tk_account_take() was true. */
bool tk_account_lease_ahead(struct tk_account *account, const struct tk_want *want, uint32_t mono_s,
                            struct tk_lease *lease);
/* What is held and is not lent, as under a limit that has just come: fills *lease to cover it, as far as the
 * cap goes, and notes that it is asked for. False: there is none. */
bool tk_account_lease_held(struct tk_account *account, struct tk_lease *lease);
/* Of a window that is over: nothing is held there any more and every post is stored. Then nobody believes in
 * its lease from here on. */
bool tk_account_forget_lease(struct tk_account *account, const struct tk_lease *lease);
/* The answer to a lease that was asked for. A slot that has forgotten that it asked (its limit went and came)
 * does not believe it: a later, smaller lease may have replaced the row. */
void tk_account_leased(struct tk_account *account, const struct tk_lease *lease, bool granted);

#endif
