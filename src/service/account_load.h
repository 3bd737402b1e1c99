/* SPDX-License-Identifier: Apache-2.0
 *
 * account_load: the counters of an account, out of the store and what is in memory.
 */
#ifndef TK_SERVICE_ACCOUNT_LOAD_H
#define TK_SERVICE_ACCOUNT_LOAD_H

#include "service/account.h"

/*
 * (Re)builds the counters for these limits at now_s and at each live ticket's time, from the reader (which
 * must see exactly what the posting list does not hold: the writer's thread, between two batches). On a fault
 * the counters that were are kept.
 */
TK_CHECKED enum tk_err tk_account_load(struct tk_account *account, struct tk_reader *reader,
                                       const struct tk_limit *limits, unsigned limits_nr, int64_t now_s);

#endif
