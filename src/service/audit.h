/* SPDX-License-Identifier: Apache-2.0
 *
 * audit: changes together with their records. Each function makes one change in a batch that the caller has
 * begun, and adds the record of it to the same batch: whoever changes something through here cannot forget
 * it, and what is refused or rolled back leaves none. `make lint` sees to it that nobody else calls the store
 * for these changes.
 *
 * Errors are those of the store's function; NO_MEMORY also when the record cannot be built.
 * On the thread that writes the store.
 */
#ifndef TK_SERVICE_AUDIT_H
#define TK_SERVICE_AUDIT_H

#include "service/actor.h"
#include "store/people.h"

#define TK_AUDIT_KEY_CREATE       "api_key.create"
#define TK_AUDIT_KEY_UPDATE       "api_key.update"
#define TK_AUDIT_KEY_DELETE       "api_key.delete"
#define TK_AUDIT_KEY_ROTATE       "api_key.rotate"
#define TK_AUDIT_LIMIT_SET        "limit.set"
#define TK_AUDIT_LIMIT_DROP       "limit.drop"
#define TK_AUDIT_BALANCE_TOPUP    "balance.topup"
#define TK_AUDIT_DOUBT_RESOLVE    "doubt.resolve"
#define TK_AUDIT_USER_CREATE      "user.create"
#define TK_AUDIT_USER_UPDATE      "user.update"
#define TK_AUDIT_USER_DELETE      "user.delete"
#define TK_AUDIT_WORKSPACE_CREATE "workspace.create"
#define TK_AUDIT_WORKSPACE_UPDATE "workspace.update"
#define TK_AUDIT_WORKSPACE_DELETE "workspace.delete"

TK_CHECKED enum tk_err tk_audit_key_insert(struct tk_store *store, const struct tk_actor *actor,
                                           int64_t now_ms, const struct tk_key *key);
/* before: the row as it is. The record has what differs, or, of a key that is revoked, what it was. */
TK_CHECKED enum tk_err tk_audit_key_update(struct tk_store *store, const struct tk_actor *actor,
                                           int64_t now_ms, const char *action, const struct tk_key *before,
                                           const struct tk_key *after);
/* The same together with the key's profile, which becomes `profile`; `was` it is now. */
TK_CHECKED enum tk_err tk_audit_key_insert_profiled(struct tk_store *store, const struct tk_actor *actor,
                                                    int64_t now_ms, const struct tk_key *key,
                                                    const struct tk_profile *profile);
TK_CHECKED enum tk_err tk_audit_key_update_profiled(struct tk_store *store, const struct tk_actor *actor,
                                                    int64_t now_ms, const char *action,
                                                    const struct tk_key *before, const struct tk_key *after,
                                                    const struct tk_profile *was,
                                                    const struct tk_profile *profile);
/* Of an organisation, workspace or user. */
TK_CHECKED enum tk_err tk_audit_limits_put(struct tk_store *store, const struct tk_actor *actor,
                                           int64_t now_ms, const char *action, struct tk_id subject,
                                           const struct tk_limit *limits, unsigned limits_nr);
/* A repetition, which changes nothing, leaves no record. */
TK_CHECKED enum tk_err tk_audit_topup(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                      const struct tk_topup *topup);
/* The record alone, of a doubt that was resolved in this batch. */
TK_CHECKED enum tk_err tk_audit_resolved(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                         const struct tk_doubt *doubt, int64_t spent);
TK_CHECKED enum tk_err tk_audit_user_insert(struct tk_store *store, const struct tk_actor *actor,
                                            int64_t now_ms, const struct tk_user *user);
TK_CHECKED enum tk_err tk_audit_user_update(struct tk_store *store, const struct tk_actor *actor,
                                            int64_t now_ms, const struct tk_user *user);
TK_CHECKED enum tk_err tk_audit_user_remove(struct tk_store *store, const struct tk_actor *actor,
                                            int64_t now_ms, struct tk_id id);
TK_CHECKED enum tk_err tk_audit_workspace_insert(struct tk_store *store, const struct tk_actor *actor,
                                                 int64_t now_ms, const struct tk_workspace *workspace);
TK_CHECKED enum tk_err tk_audit_workspace_update(struct tk_store *store, const struct tk_actor *actor,
                                                 int64_t now_ms, const struct tk_workspace *workspace);
TK_CHECKED enum tk_err tk_audit_workspace_remove(struct tk_store *store, const struct tk_actor *actor,
                                                 int64_t now_ms, struct tk_id id);

#endif
