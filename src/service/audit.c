/* SPDX-License-Identifier: Apache-2.0 */
#include "service/audit.h"

#include "rt/rand.h"
#include "service/audit_view.h"

#include <string.h>

const struct tk_actor tk_actor_system = {.kind = TK_ACTOR_SYSTEM};

#define RESOURCE_ORG       "organisation"
#define RESOURCE_WORKSPACE "workspace"
#define RESOURCE_USER      "user"
#define RESOURCE_KEY       "api_key"

/* What was changed. */
struct resource {
        const char *type;
        struct tk_id id, org, workspace; /* workspace: none, when it is in no one */
};

/* Both states of it, each an object or nothing. */
struct states {
        struct tk_buf before, after;
};

#define STATES ((struct states){TK_BUF(TK_AUDIT_JSON_MAX), TK_BUF(TK_AUDIT_JSON_MAX)})

static void copy(const char *text, char *out, size_t size) {
        bool fitted = tk_str_copy(tk_str_of(text), out, size);
        MUST(fitted); /* the arrays of an actor are those of a record */
}

/* Adds the record, unless the change has failed, and frees the states. */
static enum tk_err note(struct tk_store *store, enum tk_err err, const struct tk_actor *actor, int64_t now_ms,
                        const char *action, const struct resource *resource, struct states *states) {
        struct tk_audit audit = {.org = resource->org,
                                 .workspace = resource->workspace,
                                 .at_ms = now_ms,
                                 .kind = actor->kind,
                                 .actor = actor->id,
                                 .resource = resource->id,
                                 .status = actor->status,
                                 .before = tk_buf_str(&states->before),
                                 .after = tk_buf_str(&states->after)};
        if (err == TK_OK && !(tk_buf_ok(&states->before) && tk_buf_ok(&states->after)))
                err = TK_E_NO_MEMORY; /* what fits in a row fits in its view */
        if (err == TK_OK) {
                audit.id = tk_rand_id(now_ms);
                copy(actor->name, audit.actor_name, sizeof audit.actor_name);
                copy(action, audit.action, sizeof audit.action);
                copy(resource->type, audit.resource_type, sizeof audit.resource_type);
                copy(actor->method, audit.method, sizeof audit.method);
                copy(actor->uri, audit.uri, sizeof audit.uri);
                copy(actor->request_id, audit.request_id, sizeof audit.request_id);
                copy(actor->client, audit.client, sizeof audit.client);
                err = tk_store_audit_add(store, &audit);
        }
        tk_buf_free(&states->before);
        tk_buf_free(&states->after);
        return err;
}

/* ---- keys ---- */

static struct resource of_key(const struct tk_key *key) {
        return (struct resource){RESOURCE_KEY, key->id, key->org, key->workspace};
}

static enum tk_err insert(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                          struct tk_audit_key is) {
        struct states states = STATES;
        const struct resource resource = of_key(is.key);
        tk_audit_view_key(&states.after, is, (struct tk_audit_key){NULL, NULL});
        enum tk_err err = tk_store_key_insert(store, is.key);
        if (err == TK_OK && is.profile)
                err = tk_store_profile_put(store, is.profile);
        return note(store, err, actor, now_ms, TK_AUDIT_KEY_CREATE, &resource, &states);
}

static enum tk_err update(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                          const char *action, struct tk_audit_key was, struct tk_audit_key is) {
        struct states states = STATES;
        const struct resource resource = of_key(is.key);
        const bool ends = is.key->revoked_ms && !was.key->revoked_ms;
        tk_audit_view_key(&states.before, was, ends ? (struct tk_audit_key){NULL, NULL} : is);
        if (!ends)
                tk_audit_view_key(&states.after, is, was);
        enum tk_err err = tk_store_key_update(store, is.key);
        if (err == TK_OK && is.profile)
                err = tk_store_profile_put(store, is.profile);
        return note(store, err, actor, now_ms, action, &resource, &states);
}

enum tk_err tk_audit_key_insert(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                const struct tk_key *key) {
        return insert(store, actor, now_ms, (struct tk_audit_key){key, NULL});
}

enum tk_err tk_audit_key_insert_profiled(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                         const struct tk_key *key, const struct tk_profile *profile) {
        return insert(store, actor, now_ms, (struct tk_audit_key){key, profile});
}

enum tk_err tk_audit_key_update(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                const char *action, const struct tk_key *before, const struct tk_key *after) {
        return update(store, actor, now_ms, action, (struct tk_audit_key){before, NULL},
                      (struct tk_audit_key){after, NULL});
}

enum tk_err tk_audit_key_update_profiled(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                         const char *action, const struct tk_key *before,
                                         const struct tk_key *after, const struct tk_profile *was,
                                         const struct tk_profile *profile) {
        return update(store, actor, now_ms, action, (struct tk_audit_key){before, was},
                      (struct tk_audit_key){after, profile});
}

/* ---- limits ---- */

/* What a subject is. One that is nobody's row is an organisation: they have none of their own yet. */
static enum tk_err of_subject(struct tk_store *store, struct tk_id id, struct resource *out) {
        struct tk_workspace workspace;
        struct tk_user user;
        struct tk_key key;
        enum tk_err err = tk_store_workspace_get(store, id, &workspace);
        if (err == TK_OK)
                *out = (struct resource){RESOURCE_WORKSPACE, id, workspace.org, id};
        if (err != TK_E_NOT_FOUND)
                return err;
        err = tk_store_user_get(store, id, &user);
        if (err == TK_OK)
                *out = (struct resource){RESOURCE_USER, id, user.org, {{0}}};
        if (err != TK_E_NOT_FOUND)
                return err;
        err = tk_store_key_get(store, id, &key);
        if (err == TK_OK)
                *out = of_key(&key);
        if (err != TK_E_NOT_FOUND)
                return err;
        *out = (struct resource){RESOURCE_ORG, id, id, {{0}}};
        return TK_OK;
}

static enum tk_err view_limits(struct tk_store *store, struct tk_id subject, struct tk_buf *out) {
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned limits_nr;
        enum tk_err err = tk_store_limits_get(store, subject, limits, &limits_nr);
        if (err == TK_OK)
                tk_audit_view_limits(out, limits, limits_nr);
        return err;
}

enum tk_err tk_audit_limits_put(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                const char *action, struct tk_id subject, const struct tk_limit *limits,
                                unsigned limits_nr) {
        struct states states = STATES;
        struct resource resource = {.type = NULL};
        enum tk_err err = view_limits(store, subject, &states.before);
        if (err == TK_OK)
                err = of_subject(store, subject, &resource);
        if (err == TK_OK)
                err = tk_store_limits_put(store, subject, limits, limits_nr);
        if (err == TK_OK)
                err = view_limits(store, subject, &states.after);
        return note(store, err, actor, now_ms, action, &resource, &states);
}

/* ---- balances ---- */

static enum tk_err balance_get(struct tk_store *store, const struct tk_topup *topup, uint64_t *cap) {
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned limits_nr;
        *cap = 0;
        enum tk_err err = tk_store_limits_get(store, topup->subject, limits, &limits_nr);
        for (unsigned i = 0; err == TK_OK && i < limits_nr; i++)
                if (limits[i].flags & TK_LIMIT_BALANCE && limits[i].meter == topup->meter)
                        *cap = limits[i].cap;
        return err;
}

enum tk_err tk_audit_topup(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                           const struct tk_topup *topup) {
        struct states states = STATES;
        struct resource resource = {.type = NULL};
        uint64_t before = 0, after = 0;
        enum tk_err err = balance_get(store, topup, &before);
        if (err == TK_OK)
                err = tk_store_topup(store, topup);
        if (err == TK_OK)
                err = balance_get(store, topup, &after);
        if (err != TK_OK || before == after) /* no top-up is of nothing */
                return err;
        err = of_subject(store, topup->subject, &resource);
        tk_audit_view_topup(&states.after, topup);
        return note(store, err, actor, now_ms, TK_AUDIT_BALANCE_TOPUP, &resource, &states);
}

/* ---- doubts ---- */

enum tk_err tk_audit_resolved(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                              const struct tk_doubt *doubt, int64_t spent) {
        struct states states = STATES;
        struct resource resource = {.type = NULL};
        enum tk_err err = of_subject(store, doubt->subject, &resource);
        tk_audit_view_doubt(&states.before, doubt);
        tk_audit_view_spent(&states.after, doubt, spent);
        return note(store, err, actor, now_ms, TK_AUDIT_DOUBT_RESOLVE, &resource, &states);
}

/* ---- people ---- */

static struct resource of_user(const struct tk_user *user) {
        return (struct resource){RESOURCE_USER, user->id, user->org, {{0}}};
}

static struct resource of_workspace(const struct tk_workspace *workspace) {
        return (struct resource){RESOURCE_WORKSPACE, workspace->id, workspace->org, workspace->id};
}

enum tk_err tk_audit_user_insert(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                 const struct tk_user *user) {
        struct states states = STATES;
        const struct resource resource = of_user(user);
        tk_audit_view_user(&states.after, user, NULL);
        enum tk_err err = tk_store_user_insert(store, user);
        return note(store, err, actor, now_ms, TK_AUDIT_USER_CREATE, &resource, &states);
}

enum tk_err tk_audit_user_update(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                 const struct tk_user *user) {
        struct states states = STATES;
        struct tk_user before = {.id = user->id};
        enum tk_err err = tk_store_user_get(store, user->id, &before);
        const struct resource resource = of_user(&before);
        if (err == TK_OK) {
                tk_audit_view_user(&states.before, &before, user);
                tk_audit_view_user(&states.after, user, &before);
                err = tk_store_user_update(store, user);
        }
        return note(store, err, actor, now_ms, TK_AUDIT_USER_UPDATE, &resource, &states);
}

enum tk_err tk_audit_user_remove(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                 struct tk_id id) {
        struct states states = STATES;
        struct tk_user before = {.id = id};
        enum tk_err err = tk_store_user_get(store, id, &before);
        const struct resource resource = of_user(&before);
        if (err == TK_OK) {
                tk_audit_view_user(&states.before, &before, NULL);
                err = tk_store_user_remove(store, id, now_ms);
        }
        return note(store, err, actor, now_ms, TK_AUDIT_USER_DELETE, &resource, &states);
}

enum tk_err tk_audit_workspace_insert(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                      const struct tk_workspace *workspace) {
        struct states states = STATES;
        const struct resource resource = of_workspace(workspace);
        tk_audit_view_workspace(&states.after, workspace, NULL);
        enum tk_err err = tk_store_workspace_insert(store, workspace);
        return note(store, err, actor, now_ms, TK_AUDIT_WORKSPACE_CREATE, &resource, &states);
}

enum tk_err tk_audit_workspace_update(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                      const struct tk_workspace *workspace) {
        struct states states = STATES;
        struct tk_workspace before = {.id = workspace->id};
        enum tk_err err = tk_store_workspace_get(store, workspace->id, &before);
        const struct resource resource = of_workspace(&before);
        if (err == TK_OK) {
                tk_audit_view_workspace(&states.before, &before, workspace);
                tk_audit_view_workspace(&states.after, workspace, &before);
                err = tk_store_workspace_update(store, workspace);
        }
        return note(store, err, actor, now_ms, TK_AUDIT_WORKSPACE_UPDATE, &resource, &states);
}

enum tk_err tk_audit_workspace_remove(struct tk_store *store, const struct tk_actor *actor, int64_t now_ms,
                                      struct tk_id id) {
        struct states states = STATES;
        struct tk_workspace before = {.id = id};
        enum tk_err err = tk_store_workspace_get(store, id, &before);
        const struct resource resource = of_workspace(&before);
        if (err == TK_OK) {
                tk_audit_view_workspace(&states.before, &before, NULL);
                err = tk_store_workspace_remove(store, id, now_ms);
        }
        return note(store, err, actor, now_ms, TK_AUDIT_WORKSPACE_DELETE, &resource, &states);
}
