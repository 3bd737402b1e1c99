/* SPDX-License-Identifier: Apache-2.0
 *
 * holds_int: what the holds offer to their own folder.
 */
#ifndef TK_SERVICE_HOLDS_INT_H
#define TK_SERVICE_HOLDS_INT_H

#include "service/service_int.h"

/* All workers are closed. Ends every pending hold before its time: what was reported as used is posted. Those
 * that the ledger still has to answer for end with its answer. The writer runs on. */
void tk_holds_stop(struct tk_service *service, int64_t now_ms);

#endif
