/* SPDX-License-Identifier: Apache-2.0
 *
 * The two engines do the same: a long random history, the same for both, after each batch of which everything
 * that can be read is compared. The seed is printed when they differ; a history is repeated with
 * test_agree SEED.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract/fixture.h"
#include "lib/unit.h"

#define BATCHES 60
#define OPS_MAX 30
#define THINGS  24 /* few, so that operations meet */

static uint64_t seed = 20261121;

struct pair {
        struct tk_store *store[2];
        struct tk_reader *reader[2];
        struct tk_id org;
        uint64_t random;
};

static unsigned pick(struct pair *pair, unsigned n) {
        return (unsigned)(random_next(&pair->random) % n);
}

/* ---- one operation on both ---- */

static struct tk_key random_key(struct pair *pair) {
        struct tk_key key = key_of(pair->org, 1 + pick(pair, THINGS));
        digest_of(1 + pick(pair, THINGS), key.digest);
        key.created_ms = pick(pair, 6);
        key.expires_ms = pick(pair, 3) ? 0 : 50 + (int64_t)pick(pair, 100);
        key.revoked_ms = pick(pair, 4) ? 0 : 7;
        key.limits_nr = pick(pair, 3);
        key.workspace = id_of(9100 + pick(pair, 3));
        if (pick(pair, 3))
                key.user = id_of(9102 + pick(pair, 2)); /* one is a workspace too: groups do not mix */
        if (pick(pair, 5) == 0)
                key.org = id_of(9000);
        return key;
}

static struct tk_lease random_lease(struct pair *pair) {
        struct tk_lease lease = lease_of(id_of(1 + pick(pair, 4)), pick(pair, 1000));
        lease.meter = (enum tk_meter)pick(pair, 2);
        lease.number = (int64_t)pick(pair, 3) - 1;
        return lease;
}

static struct tk_id random_subject(struct pair *pair) {
        const unsigned n = pick(pair, 5);
        return n == 0 ? pair->org : id_of(9099 + n);
}

/* Sometimes two alike, which is refused. */
static unsigned random_limits(struct pair *pair, struct tk_limit limits[4]) {
        const unsigned nr = pick(pair, 5);
        for (unsigned i = 0; i < nr; i++)
                limits[i] = (struct tk_limit){.meter = (enum tk_meter)pick(pair, TK_METER_NR),
                                              .window = {.kind = (enum tk_window_kind)pick(pair, 7)},
                                              .flags = pick(pair, 4) ? 0 : TK_LIMIT_OBSERVE,
                                              .cap = random_next(&pair->random),
                                              .alert = pick(pair, 2) ? random_next(&pair->random) : 0};
        return nr;
}

static struct tk_doubt random_doubt(struct pair *pair) {
        struct tk_doubt doubt = doubt_of(id_of(1 + pick(pair, 3)), pick(pair, 1000));
        doubt.meter = (enum tk_meter)pick(pair, 2);
        doubt.number = (int64_t)pick(pair, 2);
        doubt.since_ms = pick(pair, 1000);
        if (pick(pair, 8) == 0)
                doubt.amount += INT64_MAX - 999;
        return doubt;
}

static struct tk_topup random_topup(struct pair *pair) {
        struct tk_topup topup = topup_of(random_subject(pair), 1 + pick(pair, 40));
        topup.meter = (enum tk_meter)pick(pair, 3);
        if (pick(pair, 8) == 0)
                topup.amount = INT64_MAX - 5000;
        topup.at_ms = pick(pair, 20);
        return topup;
}

/* Few, so that addresses and slugs meet; users are the subjects 9102 to 9104, and so are workspaces. */
static struct tk_user random_user(struct pair *pair) {
        struct tk_user user = user_of(pick(pair, 5) ? pair->org : id_of(9000), 9102 + pick(pair, 3));
        snprintf(user.email, sizeof user.email, "u%u@example.com", pick(pair, 3));
        user.role = (enum tk_user_role)pick(pair, TK_USER_ROLE_NR);
        user.created_ms = pick(pair, 3);
        user.updated_ms = pick(pair, 1000);
        return user;
}

static struct tk_workspace random_workspace(struct pair *pair) {
        struct tk_workspace workspace =
                workspace_of(pick(pair, 5) ? pair->org : id_of(9000), 9102 + pick(pair, 3));
        snprintf(workspace.slug, sizeof workspace.slug, "w%u", pick(pair, 3));
        workspace.created_ms = pick(pair, 3);
        workspace.updated_ms = pick(pair, 1000);
        return workspace;
}

static enum tk_err user_op(struct tk_store *store, const struct tk_user *user, unsigned n,
                           struct tk_user *seen) {
        switch (n % 4) {
        case 0:
                return tk_store_user_insert(store, user);
        case 1:
                return tk_store_user_update(store, user);
        case 2:
                return n < 20 ? tk_store_user_remove(store, user->id, 1 + n) : TK_OK;
        default:
                return tk_store_user_get(store, user->id, seen);
        }
}

static enum tk_err workspace_op(struct tk_store *store, const struct tk_workspace *workspace, unsigned n,
                                struct tk_workspace *seen) {
        switch (n % 4) {
        case 0:
                return tk_store_workspace_insert(store, workspace);
        case 1:
                return tk_store_workspace_update(store, workspace);
        case 2:
                return n < 20 ? tk_store_workspace_remove(store, workspace->id, 1 + n) : TK_OK;
        default:
                return tk_store_workspace_get(store, workspace->id, seen);
        }
}

/* The same on both; what they answer must be the same. */
static void one_op_on_people(struct pair *pair) {
        const struct tk_user user = random_user(pair);
        const struct tk_workspace workspace = random_workspace(pair);
        const unsigned n = pick(pair, 100), on_users = pick(pair, 2);
        struct tk_user users[2] = {{.id = {{0}}}, {.id = {{0}}}};
        struct tk_workspace workspaces[2] = {{.id = {{0}}}, {.id = {{0}}}};
        enum tk_err err[2];
        for (int i = 0; i < 2; i++)
                err[i] = on_users ? user_op(pair->store[i], &user, n, &users[i])
                                  : workspace_op(pair->store[i], &workspace, n, &workspaces[i]);
        assert_int_equal(err[0], err[1]);
        assert_true(user_same(&users[0], &users[1]));
        assert_true(workspace_same(&workspaces[0], &workspaces[1]));
}

static struct tk_alert random_alert(struct pair *pair) {
        struct tk_alert alert = alert_of(pair->org, 1 + pick(pair, 12));
        alert.at_ms = pick(pair, 20);
        return alert;
}

static struct tk_delivery random_delivery(struct pair *pair) {
        struct tk_delivery delivery = {.status = (enum tk_delivery_status)pick(pair, TK_DELIVERY_NR),
                                       .tries = pick(pair, 5),
                                       .next_ms = pick(pair, 8)};
        delivery.error[0] = (char)('a' + pick(pair, 20));
        return delivery;
}

static struct tk_audit random_audit(struct pair *pair) {
        struct tk_audit audit = audit_of(pick(pair, 5) ? pair->org : id_of(9000), 1 + pick(pair, 300));
        audit.at_ms = pick(pair, 40);
        return audit;
}

static int64_t random_amount(struct pair *pair) {
        return pick(pair, 8) ? (int64_t)pick(pair, 1000) : INT64_MAX - (int64_t)pick(pair, 1000);
}

static enum tk_err put_meta(struct tk_store *store, unsigned n) {
        char name[16];
        snprintf(name, sizeof name, "m%u", n % 5);
        return tk_store_meta_put(store, name, tk_str_of(name + n % 3));
}

/* The same operation with the same data on both; what they answer must be the same. */
static void one_op(struct pair *pair) {
        const unsigned what = pick(pair, 18), n = pick(pair, 100);
        const struct tk_key key = random_key(pair);
        const struct tk_lease lease = random_lease(pair);
        const struct tk_id subject = random_subject(pair);
        const struct tk_doubt doubt = random_doubt(pair);
        struct tk_limit limits[4];
        const unsigned limits_nr = random_limits(pair, limits);
        const struct tk_topup topup = random_topup(pair);
        const struct tk_audit audit = random_audit(pair);
        const int64_t amount = random_amount(pair), hour = (int64_t)pick(pair, 200) - 60;
        const struct tk_alert alert = random_alert(pair);
        const struct tk_delivery delivery = random_delivery(pair);
        const enum tk_channel channel = (enum tk_channel)pick(pair, TK_CHANNEL_NR);
        struct tk_entry entry = entry_of(pair->org, id_of(1 + n % 3), 1 + pick(pair, 400));
        struct tk_key seen[2] = {{.id = {{0}}}, {.id = {{0}}}};
        enum tk_err err[2] = {TK_OK, TK_OK};

        entry.posted_at_ms = 5 + n % 7;
        for (int i = 0; i < 2; i++) {
                struct tk_store *store = pair->store[i];
                if (what == 0)
                        err[i] = tk_store_key_insert(store, &key);
                else if (what == 1)
                        err[i] = tk_store_key_update(store, &key);
                else if (what == 2)
                        err[i] = tk_store_key_touch(store, key.id, n);
                else if (what == 3)
                        err[i] = tk_store_key_get(store, key.id, &seen[i]);
                else if (what == 4)
                        err[i] = tk_store_usage_add(store, lease.subject, lease.meter, hour, amount);
                else if (what == 5)
                        err[i] = tk_store_entry_add(store, &entry);
                else if (what == 6)
                        err[i] = tk_store_lease_put(store, &lease);
                else if (what == 7)
                        err[i] = tk_store_lease_drop(store, &lease);
                else if (what == 12)
                        err[i] = n % 2 ? tk_store_change_add(store, subject)
                                       : tk_store_usage_add(store, subject, lease.meter, hour, amount / 64);
                else if (what == 10)
                        err[i] = tk_store_doubt_put(store, &doubt);
                else if (what == 11)
                        err[i] = tk_store_doubt_drop(store, &doubt);
                else if (what == 13)
                        err[i] = tk_store_topup(store, &topup);
                else if (what == 14)
                        err[i] = tk_store_alert_add(store, &alert);
                else if (what == 15)
                        err[i] = tk_store_alert_sent(store, alert.id, channel, &delivery);
                else if (what == 16)
                        err[i] = tk_store_audit_add(store, &audit);
                else if (what == 17)
                        err[i] = tk_store_audit_trim(store, n / 4, n % 3);
                else if (what == 8)
                        err[i] = tk_store_limits_put(store, subject, limits, limits_nr);
                else
                        err[i] = put_meta(store, n);
        }
        assert_int_equal(err[0], err[1]);
        assert_true(key_same(&seen[0], &seen[1]));
}

static void one_batch(struct pair *pair) {
        for (int i = 0; i < 2; i++)
                assert_ok(tk_store_begin(pair->store[i]));
        for (unsigned left = pick(pair, OPS_MAX); left > 0; left--) {
                const unsigned marked = pick(pair, 4);
                for (int i = 0; i < 2 && marked < 2; i++)
                        assert_ok(tk_store_mark(pair->store[i]));
                for (unsigned ops = 1 + pick(pair, 3); ops > 0; ops--)
                        pick(pair, 4) ? one_op(pair) : one_op_on_people(pair);
                for (int i = 0; i < 2 && marked < 2; i++)
                        assert_ok(marked ? tk_store_mark_keep(pair->store[i])
                                         : tk_store_mark_undo(pair->store[i]));
        }
        const bool commit = pick(pair, 5) > 0;
        for (int i = 0; i < 2; i++) {
                if (commit)
                        assert_ok(tk_store_commit(pair->store[i]));
                else
                        tk_store_rollback(pair->store[i]);
        }
}

/* ---- everything that can be read, as a text ---- */

#define TEXT_MAX (512 * 1024)

struct text {
        char *at;
        size_t len;
};

static void add(struct text *text, const char *fmt, ...) TK_PRINTF(2, 3);
static void add(struct text *text, const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        text->len += (size_t)vsnprintf(text->at + text->len, TEXT_MAX - text->len, fmt, args);
        va_end(args);
        assert_true(text->len < TEXT_MAX);
}

static void add_id(struct text *text, struct tk_id id) {
        char out[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, out);
        add(text, " %s", out);
}

static void add_limits(struct text *text, const struct tk_limit *limits, unsigned limits_nr) {
        for (unsigned i = 0; i < limits_nr; i++)
                add(text, " %d %u %llu %llu %d/%d/%d", (int)limits[i].meter, limits[i].flags,
                    (unsigned long long)limits[i].cap, (unsigned long long)limits[i].alert,
                    (int)limits[i].window.kind, limits[i].window.days, limits[i].window.anchor_day);
        add(text, "\n");
}

static bool add_key(const struct tk_key *key, void *ctx) {
        struct text *text = ctx;
        add(text, "key");
        add_id(text, key->id);
        add_id(text, key->workspace);
        add_id(text, key->user);
        add(text, " %s %s %d %d %d %lld %lld %lld %lld", key->last6, key->description, (int)key->kind,
            (int)key->privacy, (int)key->period, (long long)key->created_ms, (long long)key->expires_ms,
            (long long)key->last_used_ms, (long long)key->revoked_ms);
        add_limits(text, key->limits, key->limits_nr);
        return true;
}

static bool add_entry(const struct tk_entry *entry, void *ctx) {
        struct text *text = ctx;
        add(text, "entry");
        add_id(text, entry->id);
        add_id(text, entry->subject);
        add(text, " %lld %s %lld %u\n", (long long)entry->posted_at_ms, entry->model,
            (long long)entry->due.of[TK_METER_VCU], entry->flags);
        return true;
}

/* Leases come in no particular order, so they are counted and summed. */
struct lease_sum {
        unsigned nr;
        uint64_t sum;
};

static bool add_lease(const struct tk_lease *lease, void *ctx) {
        struct lease_sum *sum = ctx;
        sum->nr++;
        sum->sum += (uint64_t)lease->bound * 31 + (uint64_t)lease->number * 17 + (uint64_t)lease->meter * 5 +
                    lease->subject.b[15] * UINT64_C(1001);
        return true;
}

static bool add_doubt(const struct tk_doubt *doubt, void *ctx) {
        struct text *text = ctx;
        add(text, "doubt");
        add_id(text, doubt->subject);
        add(text, " %d %lld %lld %lld\n", (int)doubt->meter, (long long)doubt->number,
            (long long)doubt->amount, (long long)doubt->since_ms);
        return true;
}

static bool add_topup(const struct tk_topup *topup, void *ctx) {
        struct text *text = ctx;
        add(text, "topup %s %d %lld %lld\n", topup->id, (int)topup->meter, (long long)topup->amount,
            (long long)topup->at_ms);
        return true;
}

static bool add_alert(const struct tk_alert *alert, void *ctx) {
        struct text *text = ctx;
        add(text, "alert");
        add_id(text, alert->id);
        add(text, " %lld", (long long)alert->at_ms);
        for (int c = 0; c < TK_CHANNEL_NR; c++)
                add(text, " %d %u %lld %s", (int)alert->sent[c].status, alert->sent[c].tries,
                    (long long)alert->sent[c].next_ms, alert->sent[c].error);
        add_limits(text, &alert->limit, 1);
        return true;
}

static bool add_audit(const struct tk_audit *audit, void *ctx) {
        struct text *text = ctx;
        add(text, "audit");
        add_id(text, audit->id);
        add(text, " %lld %s %.*s %.*s\n", (long long)audit->at_ms, audit->action, TK_STR_ARG(audit->before),
            TK_STR_ARG(audit->after));
        return true;
}

static void add_audits(struct text *text, struct tk_reader *reader, struct tk_id org) {
        const struct tk_audit_filter filters[] = {
                {.org = org, .from_ms = 0, .to_ms = 100},
                {.org = id_of(9000), .from_ms = 0, .to_ms = 100},
                {.org = org, .from_ms = 5, .to_ms = 30, .actor = id_of(7204)},
                {.org = org, .from_ms = 5, .to_ms = 30, .workspace = id_of(7002)},
                {.org = org, .to_ms = 100, .resource = id_of(7103), .kinds = 5},
                {.org = org, .to_ms = 100, .methods = {"PUT", "PATCH"}, .uri = "/path/3"},
                {.org = org, .to_ms = 100, .methods = {"POST"}},
                {.org = org, .to_ms = 100, .action = "limit.set", .status = 200},
                {.org = org, .to_ms = 100, .resource_type = "api_key", .client = "192.0.2.3"},
                {.org = org, .to_ms = 100, .request_id = "request-17"},
        };
        for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
                uint64_t nr;
                int64_t oldest;
                assert_ok(tk_reader_audit_list(reader, &filters[i], i % 3, 20, add_audit, text));
                assert_ok(tk_reader_audit_count(reader, &filters[i], &nr));
                add(text, "%llu of %d", (unsigned long long)nr, (int)tk_reader_audit_oldest(reader, &oldest));
                add(text, " %lld\n", (long long)oldest);
        }
}

static bool add_change(int64_t seq, struct tk_id key, void *ctx) {
        struct text *text = ctx;
        TK_UNUSED(seq); /* only its order is promised */
        add(text, "change");
        add_id(text, key);
        add(text, "\n");
        return true;
}

static void add_usage(struct text *text, struct tk_reader *reader) {
        for (unsigned subject = 1; subject <= 4; subject++)
                for (int64_t from = -70; from < 150; from += 13)
                        for (int64_t to = from; to < 160; to += 29) {
                                int64_t sum = 0;
                                enum tk_err err = tk_reader_usage_sum(reader, id_of(subject), TK_METER_USD,
                                                                      from, to, &sum);
                                add(text, "%d %lld\n", (int)err, (long long)sum);
                        }
}

static void add_groups(struct text *text, struct tk_reader *reader, struct tk_id org) {
        static const struct {
                unsigned id; /* 0: the organisation */
                enum tk_group group;
        } asked[] = {{0, TK_GROUP_ORG},          {9100, TK_GROUP_WORKSPACE}, {9101, TK_GROUP_WORKSPACE},
                     {9102, TK_GROUP_WORKSPACE}, {9102, TK_GROUP_USER},      {9103, TK_GROUP_USER}};
        for (size_t n = 0; n < sizeof asked / sizeof *asked; n++) {
                const struct tk_id id = asked[n].id ? id_of(asked[n].id) : org;
                const enum tk_group group = asked[n].group;
                struct tk_limit limits[TK_KEY_LIMITS_MAX];
                unsigned nr;
                add(text, "limits %d", (int)tk_reader_limits(reader, id, limits, &nr));
                add_limits(text, limits, nr);
                assert_ok(tk_reader_topup_list(reader, id, add_topup, text));
                for (int64_t from = -75; from < 150; from += 15) {
                        const int64_t ends[] = {from + 7, from + 70, INT64_MAX};
                        for (int i = 0; i < 3; i++) {
                                int64_t sum = 0;
                                enum tk_err err = tk_reader_usage_sum_group(reader, group, id, TK_METER_USD,
                                                                            from < -70 ? INT64_MIN : from,
                                                                            ends[i], &sum);
                                add(text, "%d %lld\n", (int)err, (long long)sum);
                        }
                }
        }
}

static bool add_user(const struct tk_user *user, void *ctx) {
        struct text *text = ctx;
        add(text, "user");
        add_id(text, user->id);
        add(text, " %s %s %s %lld %lld %lld\n", user->email, user->first_name, tk_user_role_name(user->role),
            (long long)user->created_ms, (long long)user->updated_ms, (long long)user->removed_ms);
        return true;
}

static bool add_workspace(const struct tk_workspace *workspace, void *ctx) {
        struct text *text = ctx;
        add(text, "workspace");
        add_id(text, workspace->id);
        add(text, " %s %s %lld %lld %lld\n", workspace->slug, workspace->name,
            (long long)workspace->created_ms, (long long)workspace->updated_ms,
            (long long)workspace->removed_ms);
        return true;
}

static void add_people(struct text *text, struct tk_reader *reader, struct tk_id org) {
        struct tk_user user;
        struct tk_workspace workspace;
        uint64_t users, workspaces;
        for (unsigned n = 0; n < 3; n++) {
                char name[32];
                if (tk_reader_user_by_id(reader, id_of(9102 + n), &user) == TK_OK)
                        add_user(&user, text);
                if (tk_reader_workspace_by_id(reader, id_of(9102 + n), &workspace) == TK_OK)
                        add_workspace(&workspace, text);
                snprintf(name, sizeof name, "u%u@example.com", n);
                if (tk_reader_user_by_email(reader, org, name, &user) == TK_OK)
                        add_user(&user, text);
                snprintf(name, sizeof name, "w%u", n);
                if (tk_reader_workspace_by_slug(reader, org, name, &workspace) == TK_OK)
                        add_workspace(&workspace, text);
                assert_ok(tk_reader_user_list(reader, org, TK_USER_ROLES_ALL - n, n, 2, add_user, text));
        }
        assert_ok(tk_reader_user_count(reader, org, TK_USER_ROLES_ALL, &users));
        assert_ok(tk_reader_user_list(reader, id_of(9000), TK_USER_ROLES_ALL, 0, 9, add_user, text));
        assert_ok(tk_reader_workspace_list(reader, org, 0, 9, add_workspace, text));
        assert_ok(tk_reader_workspace_list(reader, id_of(9000), 1, 1, add_workspace, text));
        assert_ok(tk_reader_workspace_count(reader, org, &workspaces));
        add(text, "%llu users, %llu workspaces\n", (unsigned long long)users, (unsigned long long)workspaces);
}

static void add_all(struct text *text, struct tk_reader *reader, struct tk_id org) {
        const struct tk_id none = {{0}};
        struct lease_sum leases = {0};
        struct tk_key key;
        int64_t last;
        for (unsigned n = 1; n <= THINGS; n++) {
                uint8_t digest[32];
                digest_of(n, digest);
                add(text, "by id %d, by digest ", (int)tk_reader_key_by_id(reader, id_of(n), &key));
                add(text, "%d\n", (int)tk_reader_key_by_digest(reader, digest, &key));
                add(text, "after %u: %d\n", n,
                    (int)tk_reader_key_list(reader, org, 80, id_of(n), 3, add_key, text));
        }
        assert_ok(tk_reader_key_list(reader, org, 80, none, 1000, add_key, text));
        assert_ok(tk_reader_key_list(reader, id_of(9000), 0, none, 1000, add_key, text));
        assert_ok(tk_reader_entry_list(reader, org, none, 1000, add_entry, text));
        assert_ok(tk_reader_entry_list(reader, org, id_of(2), 4, add_entry, text));
        assert_ok(tk_reader_lease_list(reader, add_lease, &leases));
        add(text, "leases %u %llu\n", leases.nr, (unsigned long long)leases.sum);
        assert_ok(tk_reader_doubt_list(reader, none, add_doubt, text));
        assert_ok(tk_reader_doubt_list(reader, id_of(2), add_doubt, text));
        assert_ok(tk_reader_alert_list(reader, org, 7, add_alert, text));
        for (int c = 0; c < TK_CHANNEL_NR; c++)
                assert_ok(tk_reader_alert_due(reader, (enum tk_channel)c, 5, 6, add_alert, text));
        assert_ok(tk_reader_changes(reader, 0, add_change, text));
        assert_ok(tk_reader_change_last(reader, &last));
        add(text, "changed %d\n", last > 0);
        for (unsigned n = 0; n < 5; n++) {
                char name[16], value[16];
                snprintf(name, sizeof name, "m%u", n);
                add(text, "meta %d", (int)tk_reader_meta_get(reader, name, value, sizeof value));
                add(text, " %s\n", value);
        }
        add_usage(text, reader);
        add_groups(text, reader, org);
        add_people(text, reader, org);
        add_audits(text, reader, org);
}

static void compare(struct pair *pair) {
        struct text text[2];
        for (int i = 0; i < 2; i++) {
                text[i] = (struct text){.at = malloc(TEXT_MAX)};
                assert_non_null(text[i].at);
                add_all(&text[i], pair->reader[i], pair->org);
        }
        assert_string_equal(text[0].at, text[1].at);
        free(text[0].at);
        free(text[1].at);
}

static void test_engines_agree_on_a_random_history(void **state) {
        struct pair pair = {.random = seed, .org = id_of(8000)};
        struct place place;
        TK_UNUSED(state);
        print_message("seed %llu\n", (unsigned long long)seed);
        place_make(&place);
        for (int i = 0; i < 2; i++) {
                pair.store[i] = store_must_open(i ? place.url : "memory:");
                pair.reader[i] = reader_must_open(pair.store[i]);
        }
        for (int i = 0; i < BATCHES; i++) {
                one_batch(&pair);
                compare(&pair);
        }
        for (int i = 0; i < 2; i++) {
                tk_reader_close(&pair.reader[i]);
                tk_store_close(&pair.store[i]);
        }
        place_remove(&place);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {TEST(test_engines_agree_on_a_random_history)};
        if (argc > 1)
                seed = strtoull(argv[1], NULL, 10) | 1;
        return cmocka_run_group_tests_name("agree", tests, NULL, NULL);
}
