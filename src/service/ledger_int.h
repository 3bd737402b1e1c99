/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger_int: what the ledger offers to its own folder.
 */
#ifndef TK_SERVICE_LEDGER_INT_H
#define TK_SERVICE_LEDGER_INT_H

#include "service/service_int.h"

/* The key's record as it is now in the store. Swaps its snapshot and rebuilds its counters, so that
 * the change acts before its completion is told. Writer's thread, between two batches. */
void tk_ledger_key_changed(struct tk_service *service, const struct tk_key *key);

/* The same for the limits of an organisation, workspace or user. */
void tk_ledger_subject_changed(struct tk_service *service, struct tk_id subject);

#endif
