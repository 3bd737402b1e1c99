/* SPDX-License-Identifier: Apache-2.0
 *
 * ring: the keys in memory. Finds an account by the digest of its secret or by its id; remembers
 * digests that are unknown, so that guessing does not reach the store.
 *
 * A key has one account for the life of the process (its counters must not be forgotten while holds are
 * open) and in it its record. Who looks it up gets a snapshot of that, which a call in flight may still look
 * at after the key was edited. Shards by digest and by id, each under a small lock held for a few loads.
 *
 * A record that was read from the store may be stale by the time it is put here, because a change settled in
 * between. So the reader notes tk_ring_version() before it reads, and tk_ring_insert() refuses the
 * record (BUSY) when a change has settled since: read again.
 */
#ifndef TK_SERVICE_RING_H
#define TK_SERVICE_RING_H

#include "base/err.h"
#include "core/key.h"

struct tk_ring;
struct tk_account;
struct tk_snapshot;

TK_CHECKED enum tk_err tk_ring_open(struct tk_ring **out);
void tk_ring_close(struct tk_ring **ring); /* frees all accounts */

uint64_t tk_ring_version(const struct tk_ring *ring);
/* OK with a snapshot; NOT_FOUND: not in memory; CLOSED: known to be unknown; NO_MEMORY. */
TK_CHECKED enum tk_err tk_ring_find(struct tk_ring *ring, const uint8_t digest[32], struct tk_snapshot **out);
/* Puts a record that was read at `version`; gives a snapshot of it. BUSY: read again. NO_MEMORY. */
TK_CHECKED enum tk_err tk_ring_insert(struct tk_ring *ring, const struct tk_key *key, uint64_t version,
                                      struct tk_snapshot **out);
/* Remembers that no key has this digest, if nothing changed since `version`. */
void tk_ring_insert_unknown(struct tk_ring *ring, const uint8_t digest[32], uint64_t version);
/* A change has settled: swaps the record if the key is in memory, forgets that it was unknown. Gives the
 * account, or NULL when the key is not in memory. NO_MEMORY: the key is then refused until it can be read
 * again. */
TK_CHECKED enum tk_err tk_ring_changed(struct tk_ring *ring, const struct tk_key *key,
                                       struct tk_account **out);
/* The account of a subject that is in memory, by its id, or NULL. */
struct tk_account *tk_ring_account_get(struct tk_ring *ring, struct tk_id id);
struct tk_account *tk_snapshot_account(const struct tk_snapshot *snapshot);
/* The key has changed since. Any thread; one load. */
bool tk_snapshot_is_stale(const struct tk_snapshot *snapshot);

#endif
