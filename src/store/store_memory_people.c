/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and workspaces of the memory engine. An operation is a row as it becomes, whatever made it so; they
 * are few, so everything is found by looking at all of them.
 */
#include "store/store_memory_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- what the batch sees: its last word on a row, or the state's ---- */

static const struct tk_user *user_seen(const struct tk_memory_store *store, struct tk_id id) {
        for (size_t i = store->batch.nr; i-- > 0;) {
                const struct tk_memory_op *op = &store->batch.ops[i];
                if (op->what == TK_OP_USER && tk_id_eq(op->user->id, id))
                        return op->user;
        }
        for (size_t i = 0; i < store->users_nr; i++)
                if (tk_id_eq(store->users[i]->id, id))
                        return store->users[i];
        return NULL;
}

static const struct tk_workspace *workspace_seen(const struct tk_memory_store *store, struct tk_id id) {
        for (size_t i = store->batch.nr; i-- > 0;) {
                const struct tk_memory_op *op = &store->batch.ops[i];
                if (op->what == TK_OP_WORKSPACE && tk_id_eq(op->workspace->id, id))
                        return op->workspace;
        }
        for (size_t i = 0; i < store->workspaces_nr; i++)
                if (tk_id_eq(store->workspaces[i]->id, id))
                        return store->workspaces[i];
        return NULL;
}

/* Is this row, as it is seen, another one that has what `user` wants for itself? */
static bool user_is_rival(const struct tk_user *row, const struct tk_user *user) {
        return row->removed_ms == 0 && !tk_id_eq(row->id, user->id) && tk_id_eq(row->org, user->org) &&
               strcmp(row->email, user->email) == 0;
}

static bool email_taken(const struct tk_memory_store *store, const struct tk_user *user) {
        for (size_t i = 0; i < store->users_nr; i++)
                if (user_is_rival(user_seen(store, store->users[i]->id), user))
                        return true;
        for (size_t i = 0; i < store->batch.nr; i++) {
                const struct tk_memory_op *op = &store->batch.ops[i];
                if (op->what == TK_OP_USER && user_is_rival(user_seen(store, op->user->id), user))
                        return true;
        }
        return false;
}

static bool workspace_is_rival(const struct tk_workspace *row, const struct tk_workspace *workspace) {
        return row->removed_ms == 0 && !tk_id_eq(row->id, workspace->id) &&
               tk_id_eq(row->org, workspace->org) && strcmp(row->slug, workspace->slug) == 0;
}

static bool slug_taken(const struct tk_memory_store *store, const struct tk_workspace *workspace) {
        for (size_t i = 0; i < store->workspaces_nr; i++)
                if (workspace_is_rival(workspace_seen(store, store->workspaces[i]->id), workspace))
                        return true;
        for (size_t i = 0; i < store->batch.nr; i++) {
                const struct tk_memory_op *op = &store->batch.ops[i];
                if (op->what == TK_OP_WORKSPACE &&
                    workspace_is_rival(workspace_seen(store, op->workspace->id), workspace))
                        return true;
        }
        return false;
}

/* ---- writing ---- */

static enum tk_err push_user(struct tk_memory_store *store, const struct tk_user *user) {
        struct tk_user *copy = tk_memory_room(&store->batch, 1) ? malloc(sizeof *copy) : NULL;
        if (!copy)
                return tk_memory_no_memory();
        *copy = *user;
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_USER, .user = copy}, 0);
        return TK_OK;
}

static enum tk_err push_workspace(struct tk_memory_store *store, const struct tk_workspace *workspace) {
        struct tk_workspace *copy = tk_memory_room(&store->batch, 1) ? malloc(sizeof *copy) : NULL;
        if (!copy)
                return tk_memory_no_memory();
        *copy = *workspace;
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_WORKSPACE, .workspace = copy}, 0);
        return TK_OK;
}

enum tk_err tk_memory_user_insert(struct tk_store *base, const struct tk_user *user) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (user_seen(store, user->id) || email_taken(store, user))
                return TK_E_CONFLICT;
        return push_user(store, user);
}

enum tk_err tk_memory_user_update(struct tk_store *base, const struct tk_user *user) {
        struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_user *seen = user_seen(store, user->id);
        if (!seen || seen->removed_ms != 0)
                return TK_E_NOT_FOUND;
        struct tk_user row = *user;
        row.org = seen->org;
        row.created_ms = seen->created_ms;
        row.removed_ms = 0;
        return email_taken(store, &row) ? TK_E_CONFLICT : push_user(store, &row);
}

enum tk_err tk_memory_batch_user_get(struct tk_store *base, struct tk_id id, struct tk_user *out) {
        const struct tk_user *seen = user_seen(tk_memory_of(base), id);
        if (!seen)
                return TK_E_NOT_FOUND;
        *out = *seen;
        return TK_OK;
}

enum tk_err tk_memory_workspace_insert(struct tk_store *base, const struct tk_workspace *workspace) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (workspace_seen(store, workspace->id) || slug_taken(store, workspace))
                return TK_E_CONFLICT;
        return push_workspace(store, workspace);
}

enum tk_err tk_memory_workspace_update(struct tk_store *base, const struct tk_workspace *workspace) {
        struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_workspace *seen = workspace_seen(store, workspace->id);
        if (!seen || seen->removed_ms != 0)
                return TK_E_NOT_FOUND;
        struct tk_workspace row = *workspace;
        row.org = seen->org;
        row.created_ms = seen->created_ms;
        row.removed_ms = 0;
        return slug_taken(store, &row) ? TK_E_CONFLICT : push_workspace(store, &row);
}

enum tk_err tk_memory_batch_workspace_get(struct tk_store *base, struct tk_id id, struct tk_workspace *out) {
        const struct tk_workspace *seen = workspace_seen(tk_memory_of(base), id);
        if (!seen)
                return TK_E_NOT_FOUND;
        *out = *seen;
        return TK_OK;
}

/* ---- the end of somebody, and of their keys ---- */

static bool is_in(const struct tk_key *key, enum tk_group group, struct tk_id id) {
        return key->revoked_ms == 0 && tk_id_eq(tk_memory_group_of(key, group), id);
}

static int id_order(const void *a, const void *b) {
        return memcmp(a, b, sizeof(struct tk_id));
}

/* The keys of a group as the batch sees them, in the order of their ids. */
static struct tk_id *keys_in(const struct tk_memory_store *store, enum tk_group group, struct tk_id id,
                             size_t *nr) {
        struct tk_id *ids = malloc((store->keys_nr + store->batch.nr + 1) * sizeof *ids);
        *nr = 0;
        if (!ids)
                return NULL;
        for (size_t i = 0; i < store->keys_nr; i++)
                if (is_in(tk_memory_key_seen(store, store->keys[i]->id), group, id))
                        ids[(*nr)++] = store->keys[i]->id;
        for (size_t i = 0; i < store->batch.nr; i++) {
                const struct tk_memory_op *op = &store->batch.ops[i];
                if (op->what == TK_OP_KEY_NEW && is_in(tk_memory_key_seen(store, op->key->id), group, id))
                        ids[(*nr)++] = op->key->id;
        }
        qsort(ids, *nr, sizeof *ids, id_order);
        return ids;
}

static enum tk_err revoke_in(struct tk_memory_store *store, enum tk_group group, struct tk_id id,
                             int64_t now_ms) {
        size_t nr;
        enum tk_err err = TK_OK;
        struct tk_id *ids = keys_in(store, group, id, &nr);
        if (!ids)
                return tk_memory_no_memory();
        for (size_t i = 0; i < nr && !err; i++)
                err = tk_memory_key_revoke(store, ids[i], now_ms);
        free(ids);
        return err;
}

enum tk_err tk_memory_user_remove(struct tk_store *base, struct tk_id id, int64_t now_ms) {
        struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_user *seen = user_seen(store, id);
        const size_t before = store->batch.nr;
        if (!seen || seen->removed_ms != 0)
                return TK_E_NOT_FOUND;
        struct tk_user row = *seen;
        row.removed_ms = row.updated_ms = now_ms;
        enum tk_err err = push_user(store, &row);
        if (!err)
                err = revoke_in(store, TK_GROUP_USER, id, now_ms);
        if (err)
                tk_memory_batch_cut(&store->batch, before);
        return err;
}

enum tk_err tk_memory_workspace_remove(struct tk_store *base, struct tk_id id, int64_t now_ms) {
        struct tk_memory_store *store = tk_memory_of(base);
        const struct tk_workspace *seen = workspace_seen(store, id);
        const size_t before = store->batch.nr;
        if (!seen || seen->removed_ms != 0)
                return TK_E_NOT_FOUND;
        struct tk_workspace row = *seen;
        row.removed_ms = row.updated_ms = now_ms;
        enum tk_err err = push_workspace(store, &row);
        if (!err)
                err = revoke_in(store, TK_GROUP_WORKSPACE, id, now_ms);
        if (err)
                tk_memory_batch_cut(&store->batch, before);
        return err;
}

/* ---- applying ---- */

void tk_memory_apply_user(struct tk_memory_store *store, struct tk_user *user) {
        for (size_t i = 0; i < store->users_nr; i++)
                if (tk_id_eq(store->users[i]->id, user->id)) {
                        free(store->users[i]);
                        store->users[i] = user;
                        return;
                }
        size_t at = store->users_nr++;
        for (; at > 0 && tk_memory_order(store->users[at - 1]->created_ms, store->users[at - 1]->id,
                                         user->created_ms, user->id) > 0;
             at--)
                store->users[at] = store->users[at - 1];
        store->users[at] = user;
}

void tk_memory_apply_workspace(struct tk_memory_store *store, struct tk_workspace *workspace) {
        for (size_t i = 0; i < store->workspaces_nr; i++)
                if (tk_id_eq(store->workspaces[i]->id, workspace->id)) {
                        free(store->workspaces[i]);
                        store->workspaces[i] = workspace;
                        return;
                }
        size_t at = store->workspaces_nr++;
        for (; at > 0 && tk_memory_order(store->workspaces[at - 1]->created_ms, store->workspaces[at - 1]->id,
                                         workspace->created_ms, workspace->id) > 0;
             at--)
                store->workspaces[at] = store->workspaces[at - 1];
        store->workspaces[at] = workspace;
}

/* ---- readers ---- */

enum tk_err tk_memory_reader_user_by_id(struct tk_reader *reader, struct tk_id id, struct tk_user *out) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        enum tk_err err = TK_E_NOT_FOUND;
        for (size_t i = 0; i < store->users_nr && err; i++)
                if (tk_id_eq(store->users[i]->id, id)) {
                        *out = *store->users[i];
                        err = TK_OK;
                }
        return tk_memory_unlock(reader, err);
}

enum tk_err tk_memory_reader_user_by_email(struct tk_reader *reader, struct tk_id org, const char *email,
                                           struct tk_user *out) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        enum tk_err err = TK_E_NOT_FOUND;
        for (size_t i = 0; i < store->users_nr && err; i++) {
                const struct tk_user *user = store->users[i];
                if (user->removed_ms == 0 && tk_id_eq(user->org, org) && strcmp(user->email, email) == 0) {
                        *out = *user;
                        err = TK_OK;
                }
        }
        return tk_memory_unlock(reader, err);
}

static bool is_listed(const struct tk_user *user, struct tk_id org, unsigned roles) {
        return user->removed_ms == 0 && tk_id_eq(user->org, org) && roles >> user->role & 1;
}

enum tk_err tk_memory_reader_user_list(struct tk_reader *reader, struct tk_id org, unsigned roles,
                                       unsigned skip, unsigned limit, tk_user_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = store->users_nr; i-- > 0 && limit > 0;) {
                if (!is_listed(store->users[i], org, roles))
                        continue;
                if (skip > 0) {
                        skip--;
                        continue;
                }
                limit--;
                if (!each(store->users[i], ctx))
                        break;
        }
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_user_count(struct tk_reader *reader, struct tk_id org, unsigned roles,
                                        uint64_t *nr) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = 0; i < store->users_nr; i++)
                *nr += is_listed(store->users[i], org, roles);
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_workspace_by_id(struct tk_reader *reader, struct tk_id id,
                                             struct tk_workspace *out) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        enum tk_err err = TK_E_NOT_FOUND;
        for (size_t i = 0; i < store->workspaces_nr && err; i++)
                if (tk_id_eq(store->workspaces[i]->id, id)) {
                        *out = *store->workspaces[i];
                        err = TK_OK;
                }
        return tk_memory_unlock(reader, err);
}

enum tk_err tk_memory_reader_workspace_by_slug(struct tk_reader *reader, struct tk_id org, const char *slug,
                                               struct tk_workspace *out) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        enum tk_err err = TK_E_NOT_FOUND;
        for (size_t i = 0; i < store->workspaces_nr && err; i++) {
                const struct tk_workspace *row = store->workspaces[i];
                if (row->removed_ms == 0 && tk_id_eq(row->org, org) && strcmp(row->slug, slug) == 0) {
                        *out = *row;
                        err = TK_OK;
                }
        }
        return tk_memory_unlock(reader, err);
}

enum tk_err tk_memory_reader_workspace_list(struct tk_reader *reader, struct tk_id org, unsigned skip,
                                            unsigned limit, tk_workspace_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = store->workspaces_nr; i-- > 0 && limit > 0;) {
                const struct tk_workspace *row = store->workspaces[i];
                if (row->removed_ms != 0 || !tk_id_eq(row->org, org))
                        continue;
                if (skip > 0) {
                        skip--;
                        continue;
                }
                limit--;
                if (!each(row, ctx))
                        break;
        }
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_workspace_count(struct tk_reader *reader, struct tk_id org, uint64_t *nr) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = 0; i < store->workspaces_nr; i++)
                *nr += store->workspaces[i]->removed_ms == 0 && tk_id_eq(store->workspaces[i]->org, org);
        return tk_memory_unlock(reader, TK_OK);
}
