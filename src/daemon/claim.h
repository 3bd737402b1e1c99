/* SPDX-License-Identifier: Apache-2.0
 *
 * claim: one server at a time on one store file. Two would each lend what is left of a cap.
 *
 * The claim is a lock on PATH.lock that the kernel drops with the process, however it ends. Commands that
 * only change keys need none: the server reads the change log.
 */
#ifndef TK_DAEMON_CLAIM_H
#define TK_DAEMON_CLAIM_H

#include <stddef.h>

#define TK_CLAIM_NONE    (-1) /* the store is not a file: nothing to claim */
#define TK_CLAIM_REFUSED (-2) /* another server has it, or the lock cannot be made: why says */

/* url: as tk_store_open(), which came first. The claim is a number to give to tk_claim_drop(). */
int tk_claim_take(const char *url, char *why, size_t why_size);
void tk_claim_drop(int claim);

#endif
