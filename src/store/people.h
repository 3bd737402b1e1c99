/* SPDX-License-Identifier: Apache-2.0
 *
 * people: the users and workspaces of a store. As store.h, of which this is a part: it says what holds for
 * writers, for readers, and for rows that are not sound.
 *
 * Who is removed stays a row, because what they used does; but the address of a user, and the slug of a
 * workspace, are free again for another.
 */
#ifndef TK_STORE_PEOPLE_H
#define TK_STORE_PEOPLE_H

#include "core/user.h"
#include "core/workspace.h"
#include "store/store.h"

/* ---- writer ---- */

/* CONFLICT: the id exists, or a user of the organisation has the address. RANGE also: removed from birth. */
TK_CHECKED enum tk_err tk_store_user_insert(struct tk_store *store, const struct tk_user *user);
/* Replaces everything but id, org, created_ms and removed_ms. NOT_FOUND, also when removed; CONFLICT. */
TK_CHECKED enum tk_err tk_store_user_update(struct tk_store *store, const struct tk_user *user);
/* Reads through the open batch, removed ones too. NOT_FOUND. */
TK_CHECKED enum tk_err tk_store_user_get(struct tk_store *store, struct tk_id id, struct tk_user *out);
/*
 * Removes them and revokes every key of theirs, each of which is a change for the log. now_ms > 0 (RANGE).
 * NOT_FOUND, also when removed before.
 */
TK_CHECKED enum tk_err tk_store_user_remove(struct tk_store *store, struct tk_id id, int64_t now_ms);

/* The same for workspaces, with a slug for the address. */
TK_CHECKED enum tk_err tk_store_workspace_insert(struct tk_store *store,
                                                 const struct tk_workspace *workspace);
TK_CHECKED enum tk_err tk_store_workspace_update(struct tk_store *store,
                                                 const struct tk_workspace *workspace);
TK_CHECKED enum tk_err tk_store_workspace_get(struct tk_store *store, struct tk_id id,
                                              struct tk_workspace *out);
/* CONFLICT: the first one, which everything falls back to, stays. */
TK_CHECKED enum tk_err tk_store_workspace_remove(struct tk_store *store, struct tk_id id, int64_t now_ms);

/* ---- readers ---- */

/* Removed ones are found too; the caller judges. NOT_FOUND. */
TK_CHECKED enum tk_err tk_reader_user_by_id(struct tk_reader *reader, struct tk_id id, struct tk_user *out);
/* In the form of tk_email_parse(); whoever is not removed. NOT_FOUND. */
TK_CHECKED enum tk_err tk_reader_user_by_email(struct tk_reader *reader, struct tk_id org, const char *email,
                                               struct tk_user *out);

typedef bool tk_user_each_f(const struct tk_user *user, void *ctx); /* false stops */
#define TK_USER_ROLES_ALL UINT32_MAX /* also none that there is, so that a damaged one is found */
/*
 * The organisation's users with one of these roles (a bit each), newest first (created_ms, then id,
 * descending); the first `skip` are passed over, then at most `limit` are told.
 */
TK_CHECKED enum tk_err tk_reader_user_list(struct tk_reader *reader, struct tk_id org, unsigned roles,
                                           unsigned skip, unsigned limit, tk_user_each_f *each, void *ctx);
/* How many that list has in all. */
TK_CHECKED enum tk_err tk_reader_user_count(struct tk_reader *reader, struct tk_id org, unsigned roles,
                                            uint64_t *nr);

TK_CHECKED enum tk_err tk_reader_workspace_by_id(struct tk_reader *reader, struct tk_id id,
                                                 struct tk_workspace *out);
TK_CHECKED enum tk_err tk_reader_workspace_by_slug(struct tk_reader *reader, struct tk_id org,
                                                   const char *slug, struct tk_workspace *out);
typedef bool tk_workspace_each_f(const struct tk_workspace *workspace, void *ctx);
TK_CHECKED enum tk_err tk_reader_workspace_list(struct tk_reader *reader, struct tk_id org, unsigned skip,
                                                unsigned limit, tk_workspace_each_f *each, void *ctx);
TK_CHECKED enum tk_err tk_reader_workspace_count(struct tk_reader *reader, struct tk_id org, uint64_t *nr);

#endif
