/* SPDX-License-Identifier: Apache-2.0
 *
 * send: one attempt to hand a message to one channel, which blocks for as long as that takes: up to 20
 * seconds.
 *
 * TLS certificates are verified; no redirect is followed and no proxy of the environment is asked; what is
 * answered beyond the status is not read. A sender belongs to one thread.
 */
#ifndef TK_ALERT_SEND_H
#define TK_ALERT_SEND_H

#include "alert/channels.h"
#include "alert/message.h"

struct tk_sender;

/* channels outlive it. */
TK_CHECKED enum tk_err tk_sender_open(const struct tk_alert_channels *channels, struct tk_sender **out);
void tk_sender_close(struct tk_sender **sender);
/* Any thread: what is being sent, and all that would be from now on, fails at once. */
void tk_sender_stop(struct tk_sender *sender);
/*
 * The channel is configured. TK_OK: the other side has taken it. Otherwise why says why not, in printable
 * ASCII without a secret; CLOSED: it never wants another (410); TIMEOUT, IO: it may be tried again.
 */
TK_CHECKED enum tk_err tk_sender_send(struct tk_sender *sender, enum tk_channel channel,
                                      const struct tk_message *message, int64_t now_ms,
                                      char why[TK_DELIVERY_ERROR_MAX + 1]);

#endif
