/* SPDX-License-Identifier: Apache-2.0
 *
 * alerts: notes that a limit was reached, once for each limit, window and kind.
 *
 *   a post reaches it  ──► rows in the batch of that post       neither lost nor doubled
 *   a call is refused  ──► a job of its own, which must land    lost only with the process, and then the next
 *                                                               refusal makes it again
 *
 * A slot remembers what it has told; that only saves work. What makes it once is the
 * id, which is the digest of what the alert is about: subject, limit with its amount, window, kind. A process
 * that has forgotten tells again, and the store knows the id. A limit that is edited is another one: a raised
 * cap is told of anew.
 *
 * What is counted by the second or the minute, or is in flight, is told of once a UTC day.
 */
#ifndef TK_SERVICE_ALERTS_H
#define TK_SERVICE_ALERTS_H

#include "service/account.h"

struct tk_alert_note;

/* The next three run under the account's lock and add what is new to the list *notes. Without memory for a
 * note the next occasion makes it. */

/* After a post in the windows of at_s, of which tk_account_settle() said that it reached something. */
void tk_alerts_posted(struct tk_account *account, struct tk_id org, int64_t at_s,
                      struct tk_alert_note **notes);
/* The counter refused. */
void tk_alerts_refused(struct tk_account *account, unsigned index, struct tk_id org,
                       const struct tk_want *want, struct tk_alert_note **notes);
/* Counters that only observe would have refused: after tk_account_check(), before tk_account_take(). */
void tk_alerts_passed(struct tk_account *account, struct tk_id org, const struct tk_want *want,
                      struct tk_alert_note **notes);

/* As part of a batch, at this time. The list stays the caller's. */
TK_CHECKED enum tk_err tk_alerts_write(const struct tk_alert_note *notes, int64_t at_ms,
                                       struct tk_store *store);
/* Each as a job of its own, which is kept until it lands; takes the list. */
void tk_alerts_push(struct tk_writer *writer, int64_t at_ms, struct tk_alert_note **notes);
void tk_alerts_free(struct tk_alert_note **notes);

#endif
