/* SPDX-License-Identifier: Apache-2.0
 *
 * ticket: a live hold, from being asked for until its post is in the store. One allocation carries it all the
 * way, so that nothing can fail between serving a call and posting it.
 *
 *   asked -> [waiting] -> live (hold PENDING) -> posting (hold POSTED) -> freed after the commit
 *
 * It is on at most one of its account's three lists; `on` says which.
 */
#ifndef TK_SERVICE_TICKET_H
#define TK_SERVICE_TICKET_H

#include "service/account.h"

enum tk_ticket_list { TK_TICKET_NOWHERE, TK_TICKET_LIVE, TK_TICKET_POSTING };

struct tk_ticket {
        /* immutable */
        struct tk_id id;
        struct tk_id org;
        struct tk_account *account;
        struct tk_worker *worker;

        /* under the account's lock */
        struct tk_ticket *next, **link; /* on live or posting */
        enum tk_ticket_list on;
        struct tk_ticket *wait_next; /* on waiting */
        struct tk_hold hold;

        /* the operation: written by the owner before it waits, by whoever decides it, then read by the owner
         */
        struct tk_want want;
        bool fresh;        /* the first hold; otherwise an extension */
        unsigned loads_nr; /* how often it waited for a load: bounded, so that no wait is endless */
        enum tk_hold_answer answer;
        struct tk_refusal refusal;
        tk_ticket_done_f *done;
        void *ctx;
        bool busy; /* owner's thread */
        struct tk_mail mail;

        /* the post */
        struct tk_job job;
        struct tk_entry entry;
};

#endif
