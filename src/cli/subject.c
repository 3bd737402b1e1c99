/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/subject.h"

#include "cli/output.h"
#include "core/time.h"

#include <string.h>

struct tk_subject tk_subject_of_org(const struct tk_local *local) {
        return (struct tk_subject){.kind = TK_SUBJECT_ORG, .id = tk_store_org(local->store), .name = "org"};
}

struct tk_subject tk_subject_of_workspace(const struct tk_local *local) {
        return (struct tk_subject){
                .kind = TK_SUBJECT_WORKSPACE, .id = tk_store_workspace(local->store), .name = "workspace"};
}

struct tk_subject tk_subject_of_user(const struct tk_user *user) {
        struct tk_subject subject = {.kind = TK_SUBJECT_USER, .id = user->id};
        memcpy(subject.name, user->email, sizeof subject.name);
        return subject;
}

static int read_person_or_key(struct tk_local *local, const char *text, struct tk_subject *out) {
        struct tk_user user;
        char said[TK_EMAIL_MAX + 1];
        enum tk_err err = tk_local_user_get(local, text, &user);
        tk_printable(text, said, sizeof said);
        if (err == TK_OK) {
                *out = tk_subject_of_user(&user);
                return TK_EXIT_OK;
        }
        *out = (struct tk_subject){.kind = TK_SUBJECT_KEY};
        if (err == TK_E_NOT_FOUND && tk_id_parse(tk_str_of(text), &out->id)) {
                tk_str_copy(tk_str_of(text), out->name, sizeof out->name);
                return TK_EXIT_OK;
        }
        if (err == TK_E_SYNTAX)
                return tk_misuse(
                        "'%s' carries no limits: expects org, workspace, the e-mail address of a user "
                        "or the id of a key; 'tollkey user list' and 'tollkey key list' show those",
                        said);
        return err == TK_E_NOT_FOUND ? tk_fail("there is no user %s", said)
                                     : tk_fail("%s: %s", local->config->store, tk_err_text(err));
}

int tk_subject_read(struct tk_local *local, const char *text, struct tk_subject *out) {
        const struct tk_str s = tk_str_of(text);
        if (!tk_str_is(s, "org") && !tk_str_is(s, "workspace"))
                return read_person_or_key(local, text, out);
        *out = tk_str_is(s, "org") ? tk_subject_of_org(local) : tk_subject_of_workspace(local);
        return TK_EXIT_OK;
}

struct tk_subject tk_subject_of_key(const struct tk_key *key) {
        struct tk_subject subject = {.kind = TK_SUBJECT_KEY, .id = key->id};
        tk_id_text(key->id, subject.name);
        return subject;
}

/* ---- its limits ---- */

static void limits_of_key(const struct tk_key *key, struct tk_limits *out) {
        out->nr = key->limits_nr;
        memcpy(out->at, key->limits, sizeof key->limits);
}

enum tk_err tk_subject_limits_get(struct tk_local *local, const struct tk_subject *subject,
                                  struct tk_limits *out) {
        struct tk_key key;
        *out = (struct tk_limits){.nr = 0};
        if (subject->kind != TK_SUBJECT_KEY)
                return tk_reader_limits(local->reader, subject->id, out->at, &out->nr);
        enum tk_err err = tk_reader_key_by_id(local->reader, subject->id, &key);
        if (err == TK_OK &&
            (!tk_id_eq(key.org, tk_store_org(local->store)) || !tk_key_is_active(&key, local->now_ms)))
                err = TK_E_NOT_FOUND;
        if (err == TK_OK)
                limits_of_key(&key, out);
        return err;
}

static enum tk_err edit_key(struct tk_local *local, struct tk_id id, const char *action,
                            tk_limits_edit_f *edit, void *ctx) {
        struct tk_limits limits;
        struct tk_key key;
        enum tk_err err = tk_local_key_get(local, id, true, &key);
        if (err != TK_OK)
                return err;
        limits_of_key(&key, &limits);
        if ((err = edit(&limits, ctx)) != TK_OK)
                return err;
        const struct tk_key before = key;
        key.limits_nr = limits.nr;
        memcpy(key.limits, limits.at, sizeof key.limits);
        return tk_audit_key_update(local->store, &local->actor, local->now_ms, action, &before, &key);
}

/* They are not the caller's to write: what replaces the other limits keeps them. */
static void leave_balances(struct tk_limits *limits) {
        unsigned nr = 0;
        for (unsigned i = 0; i < limits->nr; i++)
                if (!(limits->at[i].flags & TK_LIMIT_BALANCE))
                        limits->at[nr++] = limits->at[i];
        limits->nr = nr;
}

/* What was committed before this batch began is what is: nobody else can write while it is open. */
static enum tk_err edit_other(struct tk_local *local, struct tk_id id, const char *action,
                              tk_limits_edit_f *edit, void *ctx) {
        struct tk_limits limits = {.nr = 0};
        enum tk_err err = tk_reader_limits(local->reader, id, limits.at, &limits.nr);
        if (err == TK_OK)
                err = edit(&limits, ctx);
        if (err == TK_OK)
                leave_balances(&limits);
        if (err != TK_OK)
                return err;
        return tk_audit_limits_put(local->store, &local->actor, local->now_ms, action, id, limits.at,
                                   limits.nr);
}

enum tk_err tk_subject_limits_edit(struct tk_local *local, const struct tk_subject *subject,
                                   const char *action, tk_limits_edit_f *edit, void *ctx) {
        enum tk_err err = tk_local_begin(local);
        if (err != TK_OK)
                return err;
        err = subject->kind == TK_SUBJECT_KEY ? edit_key(local, subject->id, action, edit, ctx)
                                              : edit_other(local, subject->id, action, edit, ctx);
        return tk_local_finish(local, err);
}

unsigned tk_limits_find(const struct tk_limits *limits, enum tk_meter meter, struct tk_window_spec window) {
        unsigned i = 0;
        while (i < limits->nr &&
               (limits->at[i].meter != meter || !tk_window_spec_eq(limits->at[i].window, window)))
                i++;
        return i;
}

/* ---- what is used ---- */

static enum tk_err window_sum(struct tk_local *local, const struct tk_subject *subject,
                              const struct tk_limit *limit, int64_t number, int64_t *sum) {
        static const enum tk_group groups[TK_SUBJECT_KEY] = {[TK_SUBJECT_ORG] = TK_GROUP_ORG,
                                                             [TK_SUBJECT_WORKSPACE] = TK_GROUP_WORKSPACE,
                                                             [TK_SUBJECT_USER] = TK_GROUP_USER};
        int64_t from, to;
        tk_window_hours(limit->window, number, &from, &to);
        if (subject->kind == TK_SUBJECT_KEY)
                return tk_reader_usage_sum(local->reader, subject->id, limit->meter, from, to, sum);
        return tk_reader_usage_sum_group(local->reader, groups[subject->kind], subject->id, limit->meter,
                                         from, to, sum);
}

struct in_doubt {
        const struct tk_limit *limit;
        int64_t number;
        int64_t amount; /* found */
};

static bool find_doubt(const struct tk_doubt *doubt, void *ctx) {
        struct in_doubt *d = ctx;
        if (doubt->meter != d->limit->meter || doubt->number != d->number ||
            !tk_window_spec_eq(doubt->window, d->limit->window))
                return true;
        d->amount = doubt->amount;
        return false;
}

/* Posted and in doubt. */
static enum tk_err window_used(struct tk_local *local, const struct tk_subject *subject,
                               const struct tk_limit *limit, int64_t number, int64_t *used) {
        struct in_doubt doubt = {.limit = limit, .number = number};
        enum tk_err err = tk_reader_doubt_list(local->reader, subject->id, find_doubt, &doubt);
        if (err == TK_OK)
                err = window_sum(local, subject, limit, number, used);
        if (err == TK_OK && __builtin_add_overflow(*used, doubt.amount, used))
                *used = INT64_MAX;
        return err;
}

enum tk_err tk_subject_used(struct tk_local *local, const struct tk_subject *subject,
                            const struct tk_limit *limit, int64_t *used) {
        enum tk_window_kind kind = limit->window.kind;
        int64_t number = tk_window_number(limit->window, tk_floor_div(local->now_ms, 1000));
        int64_t now, before = 0;
        if (kind == TK_WINDOW_SECOND || kind == TK_WINDOW_MINUTE || kind == TK_WINDOW_FLIGHT)
                return TK_E_NOT_FOUND;
        enum tk_err err = window_used(local, subject, limit, number, &now);
        if (err == TK_OK && limit->flags & TK_LIMIT_SLIDING)
                err = window_used(local, subject, limit, number - 1, &before);
        if (err != TK_OK)
                return err;
        *used = now;
        if (limit->flags & TK_LIMIT_SLIDING) {
                int64_t start_ms = tk_window_start_s(limit->window, number) * 1000;
                int64_t end_ms = tk_window_end_s(limit->window, number) * 1000;
                *used = tk_limit_slide(before, now, local->now_ms - start_ms, end_ms - start_ms);
        }
        return TK_OK;
}
