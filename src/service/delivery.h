/* SPDX-License-Identifier: Apache-2.0
 *
 * delivery: writes down how far telling about an alert has come.
 */
#ifndef TK_SERVICE_DELIVERY_H
#define TK_SERVICE_DELIVERY_H

#include "service/worker.h"

/* On the writer's thread, once: it is stored, or (CLOSED) it never will be. */
typedef void tk_delivery_noted_f(void *ctx, enum tk_err err);
/* Any thread. Kept and tried again while the store fails. False: out of memory, nothing happens. */
TK_CHECKED bool tk_delivery_note(struct tk_service *service, struct tk_id alert, enum tk_channel channel,
                                 const struct tk_delivery *delivery, tk_delivery_noted_f *noted, void *ctx);

#endif
