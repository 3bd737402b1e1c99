/* SPDX-License-Identifier: Apache-2.0
 *
 * ticket: a live hold, from being asked for until its post is in the store. One allocation carries it all the
 * way, so that nothing can fail between serving a call and posting it.
 *
 *   asked -> [waiting] -> live (hold PENDING) -> posting (hold POSTED) -> freed after the commit
 *
 * It has a place in each account that it touches (organisation, workspace, user, key: also the order in which
 * their locks are taken); its places are all on the same list of their accounts, or all on none.
 */
#ifndef TK_SERVICE_TICKET_H
#define TK_SERVICE_TICKET_H

#include "service/account.h"

#define TK_PLACES_MAX TK_SUBJECT_NR

enum tk_ticket_list { TK_TICKET_NOWHERE, TK_TICKET_LIVE, TK_TICKET_POSTING };

struct tk_place {
        struct tk_ticket *ticket;
        struct tk_account *account;
        struct tk_place *next, **link; /* on the account's live or posting list, under its lock */
};

struct tk_ticket {
        /* immutable */
        struct tk_id id;
        struct tk_id org;
        struct tk_worker *worker;
        unsigned places_nr;
        struct tk_place places[TK_PLACES_MAX]; /* the key's is the last */

        /* under the locks of all its accounts */
        enum tk_ticket_list on;
        struct tk_hold hold;

        struct tk_alert_note
                *alerts; /* limits that it reached: not yet pushed, or to be stored with its post */

        /* under the lock of the account that it waits for */
        struct tk_ticket *wait_next;

        /* the operation: written by the owner before it waits, by whoever decides it, then read by the owner
         */
        struct tk_want want;
        bool fresh;        /* the first hold; otherwise an extension */
        unsigned loads_nr; /* how often it waited for a load: bounded, so that no wait is endless */
        enum tk_hold_answer answer;
        struct tk_refusal refusal;
        bool observed; /* a limit that only observes was passed, now or before */
        tk_ticket_done_f *done;
        void *ctx;
        bool busy; /* the thread of whoever has the operation */
        struct tk_mail mail;

        /* the post */
        struct tk_job job;
        struct tk_entry entry;
        tk_landed_f *landed; /* NULL: nobody asks */
        void *landed_ctx;
};

#endif
