/* SPDX-License-Identifier: Apache-2.0
 *
 * keys: the use cases around API keys, free of any dialect.
 *
 * Writes go through the writer thread (one batch, one commit) and complete later on the worker's
 * thread; a change acts on this node before its completion is called, and lies in the store together with
 * its record in the audit log, which names the actor (copied). Reads use the worker's reader.
 * An organisation sees only its own keys: another's id is NOT_FOUND, like an unknown one.
 */
#ifndef TK_SERVICE_KEYS_H
#define TK_SERVICE_KEYS_H

#include "core/keyfmt.h"
#include "core/verdict.h"
#include "service/actor.h"
#include "service/worker.h"

/* key is valid during the call only; NULL unless err is TK_OK. */
typedef void tk_keys_done_f(void *ctx, enum tk_err err, const struct tk_key *key);

/*
 * Creates a key from a draft: kind, description, privacy, period, limits, expires_ms, scopes (all zero:
 * those of the kind), org, workspace (none: the first ones) and user are taken from it; the rest is filled
 * in. NOT_FOUND: no such workspace or user in that organisation. *secret is written before this returns, to
 * be shown only if done says TK_OK, and wiped by the caller.
 */
void tk_keys_create(struct tk_worker *worker, const struct tk_actor *actor, const struct tk_key *draft,
                    int64_t now_ms, struct tk_key_text *secret, tk_keys_done_f *done, void *ctx);
/*
 * Read, edit, write in one step. edit runs on the WRITER's thread with the current record; what it
 * returns other than TK_OK is passed to done and nothing is written. NOT_FOUND: unknown, revoked or
 * expired at now_ms. ctx must stay valid until done.
 */
typedef enum tk_err tk_keys_edit_f(struct tk_key *key, void *ctx);
void tk_keys_update(struct tk_worker *worker, const struct tk_actor *actor, struct tk_id org, struct tk_id id,
                    int64_t now_ms, tk_keys_edit_f *edit, tk_keys_done_f *done, void *ctx);
/* Soft: usage and entries stay. NOT_FOUND: unknown or revoked already (expired keys can be revoked). */
void tk_keys_revoke(struct tk_worker *worker, const struct tk_actor *actor, struct tk_id org, struct tk_id id,
                    int64_t now_ms, tk_keys_done_f *done, void *ctx);

/*
 * The same for those who manage more of a key than its record. Both are written in one step. `created` takes
 * the profile's members from the draft. `change` finds expired keys too, and a key without a profile has an
 * empty one; edit may also revoke.
 */
void tk_keys_create_profiled(struct tk_worker *worker, const struct tk_actor *actor,
                             const struct tk_key *draft, const struct tk_profile *profile, int64_t now_ms,
                             struct tk_key_text *secret, tk_keys_done_f *done, void *ctx);
typedef enum tk_err tk_keys_change_f(struct tk_key *key, struct tk_profile *profile, void *ctx);
void tk_keys_change(struct tk_worker *worker, const struct tk_actor *actor, struct tk_id org, struct tk_id id,
                    int64_t now_ms, tk_keys_change_f *change, tk_keys_done_f *done, void *ctx);

/* Calls done when everything queued before is durable and readable: read your own posts after it. */
typedef void tk_barrier_done_f(void *ctx, enum tk_err err);
void tk_keys_barrier(struct tk_worker *worker, tk_barrier_done_f *done, void *ctx);

/* Active keys only. */
TK_CHECKED enum tk_err tk_keys_get(struct tk_worker *worker, struct tk_id org, struct tk_id id,
                                   int64_t now_ms, struct tk_key *out);
TK_CHECKED enum tk_err tk_keys_list(struct tk_worker *worker, struct tk_id org, int64_t now_ms,
                                    struct tk_id after, unsigned limit, tk_key_each_f *each, void *ctx);
/* Of the organisation and not revoked; it may be expired. With its profile, which is empty when it has none.
 */
TK_CHECKED enum tk_err tk_keys_find(struct tk_worker *worker, struct tk_id org, struct tk_id id,
                                    struct tk_key *out, struct tk_profile *profile);
TK_CHECKED enum tk_err tk_keys_profile(struct tk_worker *worker, struct tk_id id, struct tk_profile *out);
TK_CHECKED enum tk_err tk_keys_page(struct tk_worker *worker, const struct tk_key_page *page,
                                    tk_key_each_f *each, void *ctx, uint64_t *total);
/* Posted in the window of the limit that is running now, whether forgiven or not; *number: which window. */
TK_CHECKED enum tk_err tk_keys_posted(struct tk_worker *worker, struct tk_id id, const struct tk_limit *limit,
                                      int64_t now_ms, int64_t *number, int64_t *posted);
/* The workspace of the organisation that has this id or slug. NOT_FOUND: none, or it was removed. */
TK_CHECKED enum tk_err tk_keys_workspace(struct tk_worker *worker, struct tk_id org, struct tk_str text,
                                         struct tk_id *out);
/* The same for a user, by id. */
TK_CHECKED enum tk_err tk_keys_user(struct tk_worker *worker, struct tk_id org, struct tk_str text,
                                    struct tk_id *out);
/* What a secret of this kind begins with, before the '_'. */
void tk_keys_prefix(const struct tk_worker *worker, enum tk_key_kind kind, char out[TK_KEY_PREFIX_MAX + 1]);
/* Posted in the trailing 7 x 24 hours (the running hour included), per money meter. */
TK_CHECKED enum tk_err tk_keys_trailing(struct tk_worker *worker, const struct tk_key *key, int64_t now_ms,
                                        struct tk_amounts *out);
/* Posted in the current window of the key's period. */
TK_CHECKED enum tk_err tk_keys_period(struct tk_worker *worker, const struct tk_key *key, int64_t now_ms,
                                      struct tk_amounts *out);

/*
 * Who calls: the key behind a presented text, from memory or the store. The text is never kept. NOT_FOUND:
 * unknown, malformed or bad checksum. The snapshot is the caller's, and stays as it is whatever happens to
 * the key; release it on any thread.
 */
struct tk_snapshot;
TK_CHECKED enum tk_err tk_keys_identify(struct tk_worker *worker, struct tk_str text,
                                        struct tk_snapshot **out);
/* Only the first limits_nr of its limits are there. */
const struct tk_key *tk_snapshot_key(const struct tk_snapshot *snapshot);
void tk_snapshot_release(struct tk_snapshot **snapshot); /* NULL inside is fine */
/*
 * May what runs under this snapshot go on? PASS, REVOKED, EXPIRED (now_ms does not matter to a key that never
 * does), or STORE: the key has changed and cannot be read now. Costs one load while nothing has changed;
 * otherwise *snapshot becomes the newest one.
 */
enum tk_verdict tk_keys_recheck(struct tk_worker *worker, struct tk_snapshot **snapshot, int64_t now_ms);
/* Notes that the key was used (last_used_ms); cheap, written in batches. */
void tk_keys_touch(struct tk_worker *worker, const struct tk_snapshot *snapshot, int64_t now_ms);

#endif
