/* SPDX-License-Identifier: Apache-2.0
 *
 * deliver: tells people what the ledger has noted.
 *
 *   store: alerts that wait ──► a thread for each channel ──► send ──► how it went, written through the
 * writer ▲                                                             │ └───────────────────── again, later
 * and later ◄───────────────┘
 *
 * The list of what is to be sent is the store's, so a restart loses nothing. A message counts as delivered
 * when the other side took it AND that was written down; a crash in between sends it a second time, with the
 * same id: at least once. Nothing here is waited for by a call; channels do not wait for each other.
 *
 * An alert that comes while a channel is not configured is written off for it at once, so that nobody is
 * flooded with the past who configures it later.
 */
#ifndef TK_ALERT_DELIVER_H
#define TK_ALERT_DELIVER_H

#include "alert/channels.h"
#include "alert/message.h"
#include "service/worker.h"
#include "store/store.h"

#define TK_DELIVER_TRIES_MAX    30
#define TK_DELIVER_PAUSE_MAX_MS (60u * 60 * 1000)

struct tk_deliver;

/* channels, store and service are borrowed. Starts the threads. */
TK_CHECKED enum tk_err tk_deliver_open(const struct tk_alert_channels *channels, struct tk_store *store,
                                       struct tk_service *service, struct tk_deliver **out);
/* Ends the threads; what is being sent is given up and will be sent again. Before the service is closed. */
void tk_deliver_stop(struct tk_deliver *deliver);
/* After the service was closed: until then the writer may tell it something. */
void tk_deliver_close(struct tk_deliver **deliver);

/* Milliseconds until the next attempt after `tries` that failed (>= 1): it doubles from `first_ms` up to an
 * hour. `chance` is a random number; it spreads the pause over three quarters to five quarters of that. */
int64_t tk_deliver_pause_ms(unsigned tries, unsigned first_ms, uint32_t chance);
/* What the subject of the alert is called, as far as the store knows. */
void tk_deliver_name(struct tk_reader *reader, const struct tk_alert *alert, char out[TK_MESSAGE_NAME_MAX]);

#endif
