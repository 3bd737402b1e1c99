/* SPDX-License-Identifier: Apache-2.0
 *
 * The front of the store, as store.c, for users and workspaces.
 */
#include "store/people.h"

#include <string.h>

#include "store/store_front.h"

struct tk_workspace tk_seed_workspace(const struct tk_seed *seed) {
        return (struct tk_workspace){.id = seed->workspace,
                                     .org = seed->org,
                                     .slug = "default",
                                     .name = "default",
                                     .created_ms = seed->now_ms,
                                     .updated_ms = seed->now_ms};
}

/* ---- what may cross the border ---- */

static bool user_ok(const struct tk_user *user) {
        return tk_user_ok(user) && time_ok(user->created_ms) && time_ok(user->updated_ms) &&
               time_ok(user->removed_ms);
}

static bool workspace_ok(const struct tk_workspace *workspace) {
        return tk_workspace_ok(workspace) && time_ok(workspace->created_ms) &&
               time_ok(workspace->updated_ms) && time_ok(workspace->removed_ms);
}

/* ---- the writer ---- */

enum tk_err tk_store_user_insert(struct tk_store *store, const struct tk_user *user) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!user_ok(user) || user->removed_ms != 0)
                return refuse(TK_E_RANGE, "a user");
        return store->ops->user_insert(store, user);
}

enum tk_err tk_store_user_update(struct tk_store *store, const struct tk_user *user) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!user_ok(user))
                return refuse(TK_E_RANGE, "a user");
        return store->ops->user_update(store, user);
}

enum tk_err tk_store_user_get(struct tk_store *store, struct tk_id id, struct tk_user *out) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        enum tk_err err = store->ops->user_get(store, id, out);
        if (!err && (!user_ok(out) || !tk_id_eq(out->id, id)))
                err = damaged("user", id);
        return err;
}

enum tk_err tk_store_user_remove(struct tk_store *store, struct tk_id id, int64_t now_ms) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (tk_id_none(id) || !time_ok(now_ms) || now_ms == 0)
                return refuse(TK_E_RANGE, "the end of a user");
        return store->ops->user_remove(store, id, now_ms);
}

enum tk_err tk_store_workspace_insert(struct tk_store *store, const struct tk_workspace *workspace) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!workspace_ok(workspace) || workspace->removed_ms != 0)
                return refuse(TK_E_RANGE, "a workspace");
        return store->ops->workspace_insert(store, workspace);
}

enum tk_err tk_store_workspace_update(struct tk_store *store, const struct tk_workspace *workspace) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!workspace_ok(workspace))
                return refuse(TK_E_RANGE, "a workspace");
        return store->ops->workspace_update(store, workspace);
}

enum tk_err tk_store_workspace_get(struct tk_store *store, struct tk_id id, struct tk_workspace *out) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        enum tk_err err = store->ops->workspace_get(store, id, out);
        if (!err && (!workspace_ok(out) || !tk_id_eq(out->id, id)))
                err = damaged("workspace", id);
        return err;
}

enum tk_err tk_store_workspace_remove(struct tk_store *store, struct tk_id id, int64_t now_ms) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (tk_id_none(id) || !time_ok(now_ms) || now_ms == 0)
                return refuse(TK_E_RANGE, "the end of a workspace");
        if (tk_id_eq(id, store->workspace))
                return TK_E_CONFLICT;
        return store->ops->workspace_remove(store, id, now_ms);
}

/* ---- readers ---- */

enum tk_err tk_reader_user_by_id(struct tk_reader *reader, struct tk_id id, struct tk_user *out) {
        enum tk_err err = reader->store->ops->user_by_id(reader, id, out);
        if (!err && (!user_ok(out) || !tk_id_eq(out->id, id)))
                err = damaged("user", id);
        return err;
}

enum tk_err tk_reader_user_by_email(struct tk_reader *reader, struct tk_id org, const char *email,
                                    struct tk_user *out) {
        enum tk_err err = reader->store->ops->user_by_email(reader, org, email, out);
        if (!err && (!user_ok(out) || !tk_id_eq(out->org, org) || strcmp(out->email, email) != 0 ||
                     out->removed_ms != 0))
                err = damaged("user", out->id);
        return err;
}

/* A list on its way up: what was asked, and the place of the last one in the order. */
struct walk {
        struct tk_id org;
        unsigned left, roles;
        bool begun;
        int64_t last_ms;
        struct tk_id last_id;
        tk_user_each_f *each_user;
        tk_workspace_each_f *each_workspace;
        void *ctx;
        enum tk_err err;
};

static bool in_turn(struct walk *walk, struct tk_id org, int64_t created_ms, struct tk_id id) {
        const bool after = !walk->begun || created_ms < walk->last_ms ||
                           (created_ms == walk->last_ms && memcmp(id.b, walk->last_id.b, sizeof id.b) < 0);
        const bool ok = after && walk->left > 0 && tk_id_eq(org, walk->org);
        walk->begun = true;
        walk->left -= ok;
        walk->last_ms = created_ms;
        walk->last_id = id;
        return ok;
}

static bool user_up(const struct tk_user *user, void *ctx) {
        struct walk *walk = ctx;
        if (user_ok(user) && user->removed_ms == 0 && walk->roles >> user->role & 1 &&
            in_turn(walk, user->org, user->created_ms, user->id))
                return walk->each_user(user, walk->ctx);
        walk->err = damaged("user", user->id);
        return false;
}

enum tk_err tk_reader_user_list(struct tk_reader *reader, struct tk_id org, unsigned roles, unsigned skip,
                                unsigned limit, tk_user_each_f *each, void *ctx) {
        struct walk walk = {.org = org, .left = limit, .roles = roles, .each_user = each, .ctx = ctx};
        enum tk_err err = reader->store->ops->user_list(reader, org, roles, skip, limit, user_up, &walk);
        return err ? err : walk.err;
}

enum tk_err tk_reader_user_count(struct tk_reader *reader, struct tk_id org, unsigned roles, uint64_t *nr) {
        *nr = 0;
        return reader->store->ops->user_count(reader, org, roles, nr);
}

enum tk_err tk_reader_workspace_by_id(struct tk_reader *reader, struct tk_id id, struct tk_workspace *out) {
        enum tk_err err = reader->store->ops->workspace_by_id(reader, id, out);
        if (!err && (!workspace_ok(out) || !tk_id_eq(out->id, id)))
                err = damaged("workspace", id);
        return err;
}

enum tk_err tk_reader_workspace_by_slug(struct tk_reader *reader, struct tk_id org, const char *slug,
                                        struct tk_workspace *out) {
        enum tk_err err = reader->store->ops->workspace_by_slug(reader, org, slug, out);
        if (!err && (!workspace_ok(out) || !tk_id_eq(out->org, org) || strcmp(out->slug, slug) != 0 ||
                     out->removed_ms != 0))
                err = damaged("workspace", out->id);
        return err;
}

static bool workspace_up(const struct tk_workspace *workspace, void *ctx) {
        struct walk *walk = ctx;
        if (workspace_ok(workspace) && workspace->removed_ms == 0 &&
            in_turn(walk, workspace->org, workspace->created_ms, workspace->id))
                return walk->each_workspace(workspace, walk->ctx);
        walk->err = damaged("workspace", workspace->id);
        return false;
}

enum tk_err tk_reader_workspace_list(struct tk_reader *reader, struct tk_id org, unsigned skip,
                                     unsigned limit, tk_workspace_each_f *each, void *ctx) {
        struct walk walk = {.org = org, .left = limit, .each_workspace = each, .ctx = ctx};
        enum tk_err err = reader->store->ops->workspace_list(reader, org, skip, limit, workspace_up, &walk);
        return err ? err : walk.err;
}

enum tk_err tk_reader_workspace_count(struct tk_reader *reader, struct tk_id org, uint64_t *nr) {
        *nr = 0;
        return reader->store->ops->workspace_count(reader, org, nr);
}
