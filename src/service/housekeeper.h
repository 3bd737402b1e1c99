/* SPDX-License-Identifier: Apache-2.0
 *
 * housekeeper: the thread for what must happen without a request; see housekeeper.c.
 */
#ifndef TK_SERVICE_HOUSEKEEPER_H
#define TK_SERVICE_HOUSEKEEPER_H

#include <stdint.h>

struct tk_service;

/* The thread's main; it starts after everything else and ends first. */
void *tk_housekeeper_main(void *service);
/* What it does four times a second: reads the change log, and queues what must be read again. */
void tk_housekeeper_tick(struct tk_service *service);
/* What it does once a second: queues the write of noted uses, the oldest ones first, at most this many. */
#define TK_HOUSEKEEPER_TOUCHES 1000 /* some 15 ms of the writer */
void tk_housekeeper_flush(struct tk_service *service);
/* What it also does once a second: queues the removal of records of the audit log that are too old, the
 * oldest ones first, at most this many. */
#define TK_HOUSEKEEPER_RECORDS 500
void tk_housekeeper_trim(struct tk_service *service, int64_t now_ms);
/* Queues the write of all noted uses (last_used_ms). Any thread. */
void tk_service_flush_touched(struct tk_service *service);

#endif
