/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/unit.h"

void place_make(struct place *place) {
        const char *base = getenv("TMPDIR");
        snprintf(place->folder, sizeof place->folder, "%s/tollkey-store-XXXXXX",
                 base && *base ? base : "/tmp");
        assert_non_null(mkdtemp(place->folder));
        snprintf(place->path, sizeof place->path, "%s/t.db", place->folder);
        snprintf(place->url, sizeof place->url, "sqlite:%s", place->path);
}

void place_remove(struct place *place) {
        DIR *dir = opendir(place->folder);
        assert_non_null(dir);
        for (struct dirent *item; (item = readdir(dir));) {
                char path[600];
                if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
                        continue;
                snprintf(path, sizeof path, "%s/%s", place->folder, item->d_name);
                assert_int_equal(remove(path), 0);
        }
        closedir(dir);
        assert_int_equal(rmdir(place->folder), 0);
}

struct tk_store *store_must_open(const char *url) {
        struct tk_store *store;
        char why[512];
        enum tk_err err = tk_store_open(url, &store, why, sizeof why);
        if (err)
                print_error("%s: %s: %s\n", url, tk_err_name(err), why);
        assert_ok(err);
        assert_non_null(store);
        return store;
}

struct tk_reader *reader_must_open(struct tk_store *store) {
        struct tk_reader *reader;
        assert_ok(tk_reader_open(store, &reader));
        assert_non_null(reader);
        return reader;
}

struct tk_id id_of(unsigned n) {
        struct tk_id id = {{0x01, 0x90}};
        for (int i = 0; i < 4; i++)
                id.b[12 + i] = (uint8_t)(n >> (24 - 8 * i));
        return id;
}

void digest_of(unsigned n, uint8_t out[32]) {
        uint64_t state = n + UINT64_C(1);
        for (int i = 0; i < 32; i++)
                out[i] = (uint8_t)random_next(&state);
}

struct tk_key key_of(struct tk_id org, unsigned n) {
        struct tk_key key = {.id = id_of(n), .org = org, .workspace = id_of(n + 1)};
        digest_of(n, key.digest);
        snprintf(key.last6, sizeof key.last6, "%06u", n % 1000000);
        snprintf(key.description, sizeof key.description, "key %u", n);
        key.kind = n % 2 ? TK_KIND_INFERENCE : TK_KIND_ADMIN;
        key.privacy = (enum tk_privacy)(n % TK_PRIVACY_NR);
        key.period = n % 3 ? TK_WINDOW_MONTH : TK_WINDOW_DAY;
        key.scopes = tk_scopes_of_kind(key.kind);
        key.created_ms = (int64_t)n * 1000;
        key.limits_nr = 2;
        key.limits[0] = (struct tk_limit){
                .meter = TK_METER_USD, .window = {.kind = key.period}, .cap = UINT64_C(10000000) + n};
        key.limits[1] =
                (struct tk_limit){.meter = TK_METER_REQUESTS,
                                  .window = {.kind = TK_WINDOW_EVERY_N_DAYS, .days = 10, .anchor_day = -3},
                                  .flags = n % 2 ? TK_LIMIT_OBSERVE : 0,
                                  .cap = n};
        return key;
}

struct tk_entry entry_of(struct tk_id org, struct tk_id subject, unsigned n) {
        struct tk_entry entry = {.id = id_of(n), .org = org, .subject = subject};
        entry.held_at_ms = (int64_t)n * 10;
        entry.posted_at_ms = (int64_t)n * 10 + 5;
        snprintf(entry.model, sizeof entry.model, "model-%u", n);
        entry.tokens = (struct tk_tokens){.input = n + 4, .output = n + 3, .cached = 2, .cache_write = 1};
        for (int i = 0; i < TK_METER_NR; i++) {
                entry.due.of[i] = (int64_t)n * 100 + i;
                entry.overrun.of[i] = i;
        }
        entry.flags = n % 32;
        return entry;
}

struct tk_lease lease_of(struct tk_id subject, int64_t bound) {
        return (struct tk_lease){.subject = subject,
                                 .meter = TK_METER_USD,
                                 .window = {.kind = TK_WINDOW_MONTH},
                                 .number = 682,
                                 .bound = bound};
}

struct tk_doubt doubt_of(struct tk_id subject, int64_t amount) {
        return (struct tk_doubt){.subject = subject,
                                 .meter = TK_METER_USD,
                                 .window = {.kind = TK_WINDOW_MONTH},
                                 .number = 682,
                                 .amount = amount,
                                 .since_ms = 1700000000000};
}

bool doubt_same(const struct tk_doubt *a, const struct tk_doubt *b) {
        return tk_id_eq(a->subject, b->subject) && a->meter == b->meter &&
               tk_window_spec_eq(a->window, b->window) && a->number == b->number && a->amount == b->amount &&
               a->since_ms == b->since_ms;
}

struct tk_topup topup_of(struct tk_id subject, unsigned n) {
        struct tk_topup topup = {
                .subject = subject, .meter = TK_METER_USD, .amount = (int64_t)n * 1000, .at_ms = n};
        snprintf(topup.id, sizeof topup.id, "invoice-%u", n);
        return topup;
}

struct tk_alert alert_of(struct tk_id org, unsigned n) {
        return (struct tk_alert){.id = id_of(n),
                                 .org = org,
                                 .subject = id_of(n + 1),
                                 .subject_kind = (enum tk_subject_kind)(n % TK_SUBJECT_NR),
                                 .kind = (enum tk_alert_kind)(n % TK_ALERT_NR),
                                 .limit = {.window = {.kind = TK_WINDOW_DAY},
                                           .meter = (enum tk_meter)(n % TK_METER_NR),
                                           .cap = 100 * n,
                                           .alert = 80 * n},
                                 .number = n,
                                 .posted = 90 * n,
                                 .held = n,
                                 .at_ms = n};
}

static bool delivery_same(const struct tk_delivery *a, const struct tk_delivery *b) {
        return a->status == b->status && a->tries == b->tries && a->next_ms == b->next_ms &&
               a->ended_ms == b->ended_ms && strcmp(a->error, b->error) == 0;
}

bool alert_same(const struct tk_alert *a, const struct tk_alert *b) {
        bool same = tk_id_eq(a->id, b->id) && tk_id_eq(a->org, b->org) && tk_id_eq(a->subject, b->subject) &&
                    a->subject_kind == b->subject_kind && a->kind == b->kind &&
                    limit_same(&a->limit, &b->limit) && a->number == b->number && a->posted == b->posted &&
                    a->held == b->held && a->at_ms == b->at_ms;
        for (int c = 0; same && c < TK_CHANNEL_NR; c++)
                same = delivery_same(&a->sent[c], &b->sent[c]);
        return same;
}

struct tk_audit audit_of(struct tk_id org, unsigned n) {
        static const char *const actions[] = {"api_key.create", "api_key.update", "limit.set"};
        static const char *const types[] = {"api_key", "api_key", "workspace"};
        static const char *const methods[] = {"POST", "PUT", "PATCH"};
        struct tk_audit audit = {.id = id_of(n),
                                 .org = org,
                                 .workspace = n % 4 ? id_of(7000 + n % 4) : (struct tk_id){{0}},
                                 .at_ms = n,
                                 .kind = (enum tk_actor_kind)(n % TK_ACTOR_NR),
                                 .resource = id_of(7100 + n % 5)};
        if (audit.kind == TK_ACTOR_KEY || audit.kind == TK_ACTOR_USER)
                audit.actor = id_of(7200 + n % 8);
        if (audit.kind == TK_ACTOR_OPERATOR)
                snprintf(audit.actor_name, sizeof audit.actor_name, "operator-%u", n);
        snprintf(audit.action, sizeof audit.action, "%s", actions[n % 3]);
        snprintf(audit.resource_type, sizeof audit.resource_type, "%s", types[n % 3]);
        if (audit.kind == TK_ACTOR_KEY || audit.kind == TK_ACTOR_USER) {
                snprintf(audit.method, sizeof audit.method, "%s", methods[n % 3]);
                snprintf(audit.uri, sizeof audit.uri, "/path/%u", n % 6);
                snprintf(audit.request_id, sizeof audit.request_id, "request-%u", n);
                snprintf(audit.client, sizeof audit.client, "192.0.2.%u", n % 7);
                audit.status = 200 + (int)(n % 2);
        }
        if (n % 3)
                audit.before = TK_STR("{\"name\":\"old\"}");
        if (n % 5)
                audit.after = TK_STR("{\"name\":\"new\"}");
        return audit;
}

bool audit_same(const struct tk_audit *a, const struct tk_audit *b) {
        return tk_id_eq(a->id, b->id) && tk_id_eq(a->org, b->org) && tk_id_eq(a->workspace, b->workspace) &&
               a->at_ms == b->at_ms && a->kind == b->kind && tk_id_eq(a->actor, b->actor) &&
               strcmp(a->actor_name, b->actor_name) == 0 && strcmp(a->action, b->action) == 0 &&
               strcmp(a->resource_type, b->resource_type) == 0 && tk_id_eq(a->resource, b->resource) &&
               strcmp(a->method, b->method) == 0 && strcmp(a->uri, b->uri) == 0 &&
               strcmp(a->request_id, b->request_id) == 0 && strcmp(a->client, b->client) == 0 &&
               a->status == b->status && tk_str_eq(a->before, b->before) && tk_str_eq(a->after, b->after);
}

bool topup_same(const struct tk_topup *a, const struct tk_topup *b) {
        return strcmp(a->id, b->id) == 0 && tk_id_eq(a->subject, b->subject) && a->meter == b->meter &&
               a->amount == b->amount && a->at_ms == b->at_ms;
}

struct tk_user user_of(struct tk_id org, unsigned n) {
        struct tk_user user = {.id = id_of(n),
                               .org = org,
                               .role = (enum tk_user_role)(n % TK_USER_ROLE_NR),
                               .created_ms = (int64_t)n * 1000,
                               .updated_ms = (int64_t)n * 1000 + 1};
        snprintf(user.email, sizeof user.email, "user-%u@example.com", n);
        snprintf(user.first_name, sizeof user.first_name, "first %u", n);
        snprintf(user.last_name, sizeof user.last_name, "last %u", n);
        return user;
}

struct tk_workspace workspace_of(struct tk_id org, unsigned n) {
        struct tk_workspace workspace = {.id = id_of(n),
                                         .org = org,
                                         .created_ms = (int64_t)n * 1000,
                                         .updated_ms = (int64_t)n * 1000 + 1};
        snprintf(workspace.slug, sizeof workspace.slug, "ws-%u", n);
        snprintf(workspace.name, sizeof workspace.name, "workspace %u", n);
        snprintf(workspace.description, sizeof workspace.description, "the workspace %u", n);
        return workspace;
}

bool user_same(const struct tk_user *a, const struct tk_user *b) {
        return tk_id_eq(a->id, b->id) && tk_id_eq(a->org, b->org) && strcmp(a->email, b->email) == 0 &&
               strcmp(a->first_name, b->first_name) == 0 && strcmp(a->last_name, b->last_name) == 0 &&
               a->role == b->role && a->created_ms == b->created_ms && a->updated_ms == b->updated_ms &&
               a->removed_ms == b->removed_ms;
}

bool workspace_same(const struct tk_workspace *a, const struct tk_workspace *b) {
        return tk_id_eq(a->id, b->id) && tk_id_eq(a->org, b->org) && strcmp(a->slug, b->slug) == 0 &&
               strcmp(a->name, b->name) == 0 && strcmp(a->description, b->description) == 0 &&
               a->created_ms == b->created_ms && a->updated_ms == b->updated_ms &&
               a->removed_ms == b->removed_ms;
}

bool limit_same(const struct tk_limit *a, const struct tk_limit *b) {
        return a->meter == b->meter && a->flags == b->flags && a->cap == b->cap && a->alert == b->alert &&
               a->base_number == b->base_number && a->base == b->base &&
               tk_window_spec_eq(a->window, b->window);
}

bool key_same(const struct tk_key *a, const struct tk_key *b) {
        bool same = tk_id_eq(a->id, b->id) && tk_id_eq(a->org, b->org) &&
                    tk_id_eq(a->workspace, b->workspace) && tk_id_eq(a->user, b->user) &&
                    memcmp(a->digest, b->digest, 32) == 0 && strcmp(a->last6, b->last6) == 0 &&
                    strcmp(a->description, b->description) == 0 && a->kind == b->kind &&
                    a->privacy == b->privacy && a->period == b->period &&
                    memcmp(&a->scopes, &b->scopes, sizeof a->scopes) == 0 && a->created_ms == b->created_ms &&
                    a->expires_ms == b->expires_ms && a->last_used_ms == b->last_used_ms &&
                    a->revoked_ms == b->revoked_ms && a->limits_nr == b->limits_nr;
        for (unsigned i = 0; same && i < a->limits_nr; i++)
                same = limit_same(&a->limits[i], &b->limits[i]);
        return same;
}

bool entry_same(const struct tk_entry *a, const struct tk_entry *b) {
        bool same = tk_id_eq(a->id, b->id) && tk_id_eq(a->org, b->org) && tk_id_eq(a->subject, b->subject) &&
                    a->held_at_ms == b->held_at_ms && a->posted_at_ms == b->posted_at_ms &&
                    strcmp(a->model, b->model) == 0 && a->flags == b->flags &&
                    memcmp(&a->tokens, &b->tokens, sizeof a->tokens) == 0 &&
                    memcmp(&a->due, &b->due, sizeof a->due) == 0 &&
                    memcmp(&a->overrun, &b->overrun, sizeof a->overrun) == 0;
        return same;
}

void key_put(struct tk_store *store, const struct tk_key *key) {
        assert_ok(tk_store_begin(store));
        assert_ok(tk_store_key_insert(store, key));
        assert_ok(tk_store_commit(store));
}

void usage_put(struct tk_store *store, struct tk_id subject, enum tk_meter meter, int64_t hour,
               int64_t amount) {
        assert_ok(tk_store_begin(store));
        assert_ok(tk_store_usage_add(store, subject, meter, hour, amount));
        assert_ok(tk_store_commit(store));
}

int64_t usage_of(struct tk_reader *reader, struct tk_id subject, enum tk_meter meter) {
        int64_t sum;
        assert_ok(tk_reader_usage_sum(reader, subject, meter, INT64_MIN, INT64_MAX, &sum));
        return sum;
}

/* xorshift64* */
uint64_t random_next(uint64_t *state) {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(2685821657736338717);
}
