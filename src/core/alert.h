/* SPDX-License-Identifier: Apache-2.0
 *
 * alert: the record that a limit was reached, and how far telling about it has come. Once for each limit,
 * window and kind; the record is also what is still to be delivered.
 *
 *   waiting --delivered--> DELIVERED
 *      |  \--given up----> FAILED      kept, and shown
 *      |   \-no such channel is configured-> UNWANTED
 *      \--failed, again later--> waiting
 *
 * Numbers are stored on disk: append only. Pure; any thread.
 */
#ifndef TK_CORE_ALERT_H
#define TK_CORE_ALERT_H

#include "base/id.h"
#include "core/limit.h"

/*
 *   THRESHOLD  what was posted has reached the limit's `alert`
 *   EXHAUSTED  it has reached the cap, or a call was refused by the limit
 *   OBSERVED   the same of a limit that only observes: nothing was refused
 */
enum tk_alert_kind { TK_ALERT_THRESHOLD, TK_ALERT_EXHAUSTED, TK_ALERT_OBSERVED, TK_ALERT_NR };

enum tk_channel { TK_CHANNEL_WEBHOOK, TK_CHANNEL_EMAIL, TK_CHANNEL_NR };

enum tk_delivery_status {
        TK_DELIVERY_WAITING,
        TK_DELIVERY_DELIVERED,
        TK_DELIVERY_FAILED,
        TK_DELIVERY_UNWANTED,
        TK_DELIVERY_NR
};

#define TK_DELIVERY_ERROR_MAX 159

struct tk_delivery {
        enum tk_delivery_status status;
        unsigned tries;
        int64_t next_ms;                       /* WAITING: not before this time */
        int64_t ended_ms;                      /* the others: when they became it */
        char error[TK_DELIVERY_ERROR_MAX + 1]; /* of the last try; "": none */
};

struct tk_alert {
        struct tk_id id; /* made from what it is about, so that the same alert has the same id */
        struct tk_id org;
        struct tk_id subject;
        enum tk_subject_kind subject_kind;
        enum tk_alert_kind kind;
        struct tk_limit limit; /* as it was */
        int64_t number;        /* of the window, as tk_alert_number() counts it */
        int64_t posted, held;  /* at that moment */
        int64_t at_ms;
        struct tk_delivery sent[TK_CHANNEL_NR];
};

/*
 * Which window an alert at this second is one for. Windows shorter than an hour turn too often for anybody to
 * be told of each; all of a UTC day count as one, which has the day's number.
 */
int64_t tk_alert_number(struct tk_window_spec window, int64_t at_s);
/* What was reached: the threshold or the cap. */
uint64_t tk_alert_amount(const struct tk_alert *alert);
/* "threshold", "exhausted", "observed". */
const char *tk_alert_kind_name(enum tk_alert_kind kind);
const char *tk_channel_name(enum tk_channel channel); /* "webhook", "email" */
/* "waiting", "delivered", "failed", "unwanted". */
const char *tk_delivery_status_name(enum tk_delivery_status status);
bool tk_delivery_ok(const struct tk_delivery *delivery);
/* What a store asks on both sides of the disk. */
bool tk_alert_ok(const struct tk_alert *alert);

#endif
