/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes and their records: each change leaves exactly one, with both states and the actor, what is refused
 * leaves none, and no record has a secret or a digest in it.
 */
#include "bed.h"

#include "rt/hash.h"
#include "rt/rand.h"
#include "service/audit.h"
#include "service/audit_view.h"
#include "service/doubt.h"
#include "service/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(2000000000000)

static const struct tk_actor somebody = {.kind = TK_ACTOR_KEY,
                                         .id = {{1, 2, 3}},
                                         .method = "POST",
                                         .uri = "/api/v1/api_keys",
                                         .request_id = "the request",
                                         .client = "192.0.2.7",
                                         .status = 200};

/* ---- what was recorded ---- */

struct seen {
        unsigned nr;
        struct tk_audit audit; /* the newest */
        char before[4096], after[4096];
};

static bool see(const struct tk_audit *audit, void *ctx) {
        struct seen *seen = ctx;
        if (seen->nr++ > 0)
                return true;
        seen->audit = *audit;
        assert_true(tk_str_copy(audit->before, seen->before, sizeof seen->before));
        assert_true(tk_str_copy(audit->after, seen->after, sizeof seen->after));
        return true;
}

static struct seen look(struct bed *bed) {
        const struct tk_audit_filter filter = {.org = tk_store_org(bed->store), .to_ms = INT64_MAX};
        struct tk_reader *reader;
        struct seen seen = {.nr = 0};
        assert_ok(tk_reader_open(bed->store, &reader));
        assert_ok(tk_reader_audit_list(reader, &filter, 0, 1000, see, &seen));
        tk_reader_close(&reader);
        return seen;
}

/* The newest of nr records. */
static void expect(struct bed *bed, unsigned nr, const char *action, const char *type, struct tk_id resource,
                   const char *before, const char *after) {
        const struct seen seen = look(bed);
        assert_int_equal(seen.nr, nr);
        assert_string_equal(seen.audit.action, action);
        assert_string_equal(seen.audit.resource_type, type);
        assert_true(tk_id_eq(seen.audit.resource, resource));
        assert_string_equal(seen.before, before);
        assert_string_equal(seen.after, after);
}

/* ---- by the services ---- */

struct told {
        bool done;
        enum tk_err err;
        struct tk_id id;
};

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct told *told = ctx;
        told->done = true;
        told->err = err;
        if (key)
                told->id = key->id;
}

static void on_limits(void *ctx, enum tk_err err) {
        on_key(ctx, err, NULL);
}

static enum tk_err rename_key(struct tk_key *key, void *ctx) {
        TK_UNUSED(ctx);
        strcpy(key->description, "new \"name\"");
        key->limits_nr = 1;
        key->limits[0] = (struct tk_limit){.meter = TK_METER_USD,
                                           .window = {.kind = TK_WINDOW_DAY},
                                           .cap = TK_NANO / 4,
                                           .alert = TK_NANO / 5};
        return TK_OK;
}

static enum tk_err refuse(struct tk_key *key, void *ctx) {
        TK_UNUSED(ctx);
        strcpy(key->description, "must not be written");
        return TK_E_RANGE;
}

static enum tk_err update(struct bed *bed, struct tk_id id, tk_keys_edit_f *edit) {
        struct told told = {.done = false};
        tk_keys_update(bed->worker, &somebody, tk_store_org(bed->store), id, NOW + 1, edit, on_key, &told);
        bed_until(bed, &told.done);
        return told.err;
}

static enum tk_err revoke(struct bed *bed, struct tk_id id) {
        struct told told = {.done = false};
        tk_keys_revoke(bed->worker, &tk_actor_system, tk_store_org(bed->store), id, NOW + 2, on_key, &told);
        bed_until(bed, &told.done);
        return told.err;
}

static void keys_leave_records(void **state) {
        struct bed *bed = *state;
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_DAY, .description = "old"};
        tk_scopes_add(&draft.scopes, TK_SCOPE_MODELS_READ);
        struct tk_key_text secret;
        struct told told = {.done = false};
        tk_keys_create(bed->worker, &somebody, &draft, NOW, &secret, on_key, &told);
        bed_until(bed, &told.done);
        assert_ok(told.err);
        struct seen seen = look(bed);
        assert_int_equal(seen.nr, 1);
        assert_int_equal(seen.audit.kind, TK_ACTOR_KEY);
        assert_true(tk_id_eq(seen.audit.actor, somebody.id));
        assert_true(tk_id_eq(seen.audit.workspace, tk_store_workspace(bed->store)));
        assert_int_equal(seen.audit.at_ms, NOW);
        assert_string_equal(seen.audit.method, "POST");
        assert_string_equal(seen.audit.uri, "/api/v1/api_keys");
        assert_string_equal(seen.audit.request_id, "the request");
        assert_string_equal(seen.audit.client, "192.0.2.7");
        assert_int_equal(seen.audit.status, 200);
        assert_string_equal(seen.audit.action, TK_AUDIT_KEY_CREATE);
        assert_true(tk_id_eq(seen.audit.resource, told.id));
        assert_string_equal(seen.before, "");
        assert_non_null(strstr(seen.after, "{\"kind\":\"inference\",\"description\":\"old\",\"last6\":\""));
        assert_non_null(
                strstr(seen.after, "\"expires_at\":null,\"scopes\":[\"models.read\"],\"limits\":[]}"));
        assert_null(strstr(seen.after, secret.at));
        tk_key_text_wipe(&secret);

        assert_ok(update(bed, told.id, rename_key));
        expect(bed, 2, TK_AUDIT_KEY_UPDATE, "api_key", told.id, "{\"description\":\"old\",\"limits\":[]}",
               "{\"description\":\"new \\\"name\\\"\",\"limits\":[{\"meter\":\"usd\",\"window\":\"day\","
               "\"cap\":0.25,\"alert\":0.2}]}");
        assert_ok(revoke(bed, told.id));
        seen = look(bed);
        assert_int_equal(seen.nr, 3);
        assert_int_equal(seen.audit.kind, TK_ACTOR_SYSTEM);
        assert_string_equal(seen.audit.action, TK_AUDIT_KEY_DELETE);
        assert_non_null(strstr(seen.before, "\"description\":\"new \\\"name\\\"\""));
        assert_string_equal(seen.after, "");
}

static void refused_changes_leave_none(void **state) {
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_snapshot *snapshot = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 5, &id);
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .workspace = {{7}}};
        struct tk_key_text secret;
        struct told told = {.done = false};
        tk_snapshot_release(&snapshot);
        assert_int_equal(look(bed).nr, 1);
        assert_int_equal(update(bed, id, refuse), TK_E_RANGE);
        assert_int_equal(update(bed, (struct tk_id){{9}}, rename_key), TK_E_NOT_FOUND);
        assert_int_equal(revoke(bed, (struct tk_id){{9}}), TK_E_NOT_FOUND);
        tk_keys_create(bed->worker, &somebody, &draft, NOW, &secret, on_key, &told);
        bed_until(bed, &told.done);
        assert_int_equal(told.err, TK_E_NOT_FOUND);
        tk_key_text_wipe(&secret);
        const struct tk_limit bad = {.meter = TK_METER_NR};
        told.done = false;
        tk_limits_put(bed->worker, &somebody, NOW, tk_store_org(bed->store), &bad, 1, on_limits, &told);
        bed_until(bed, &told.done);
        assert_int_equal(told.err, TK_E_RANGE);
        assert_int_equal(look(bed).nr, 1);
        assert_ok(revoke(bed, id));
        assert_int_equal(revoke(bed, id), TK_E_NOT_FOUND);
        assert_int_equal(look(bed).nr, 2);
}

static void limits_and_balances_leave_records(void **state) {
        struct bed *bed = *state;
        const struct tk_id org = tk_store_org(bed->store), workspace = tk_store_workspace(bed->store);
        const struct tk_limit limit = {.meter = TK_METER_REQUESTS,
                                       .window = {.kind = TK_WINDOW_EVERY_N_DAYS, .days = 10},
                                       .flags = TK_LIMIT_OBSERVE,
                                       .cap = 7};
        struct tk_topup topup = {.id = "one", .subject = org, .meter = TK_METER_USD, .amount = 5 * TK_NANO};
        struct told told = {.done = false};
        tk_limits_put(bed->worker, &somebody, NOW, workspace, &limit, 1, on_limits, &told);
        bed_until(bed, &told.done);
        assert_ok(told.err);
        expect(bed, 1, TK_AUDIT_LIMIT_SET, "workspace", workspace, "{\"limits\":[]}",
               "{\"limits\":[{\"meter\":\"requests\",\"window\":\"every_n_days\",\"days\":10,\"cap\":7,"
               "\"observe\":true}]}");
        for (int i = 0; i < 2; i++) { /* reported twice, paid once */
                topup.at_ms = NOW + 1 + i;
                told.done = false;
                tk_limits_topup(bed->worker, &somebody, &topup, on_limits, &told);
                bed_until(bed, &told.done);
                assert_ok(told.err);
        }
        expect(bed, 2, TK_AUDIT_BALANCE_TOPUP, "organisation", org, "",
               "{\"id\":\"one\",\"meter\":\"usd\",\"amount\":5}");
}

/* ---- what has no use case of its own yet: in a batch ---- */

static struct tk_store *alone(struct bed *bed) {
        bed_stop(bed);
        assert_ok(tk_store_begin(bed->store));
        return bed->store;
}

static void resolving_leaves_a_record(void **state) {
        struct bed *bed = *state;
        struct tk_store *store = alone(bed);
        struct tk_doubt doubt = {.subject = tk_store_org(store),
                                 .meter = TK_METER_USD,
                                 .window = {.kind = TK_WINDOW_LIFETIME},
                                 .amount = 3 * TK_NANO,
                                 .since_ms = NOW};
        struct tk_reader *reader;
        assert_ok(tk_store_doubt_put(store, &doubt));
        assert_ok(tk_store_commit(store));
        assert_ok(tk_reader_open(store, &reader));
        assert_ok(tk_store_begin(store));
        assert_int_equal(tk_doubt_resolve(store, reader, &somebody, NOW, &doubt, 4 * TK_NANO), TK_E_RANGE);
        assert_ok(tk_doubt_resolve(store, reader, &somebody, NOW, &doubt, TK_NANO));
        assert_ok(tk_store_commit(store));
        tk_reader_close(&reader);
        expect(bed, 1, TK_AUDIT_DOUBT_RESOLVE, "organisation", doubt.subject,
               "{\"meter\":\"usd\",\"window\":\"lifetime\",\"number\":0,\"amount\":3}",
               "{\"spent\":1,\"freed\":2}");
        bed_start(bed);
}

static void people_leave_records(void **state) {
        struct bed *bed = *state;
        struct tk_store *store = alone(bed);
        const struct tk_id org = tk_store_org(store);
        struct tk_user user = {.id = tk_rand_id(NOW), .org = org, .email = "a@example.com"};
        struct tk_workspace workspace = {.id = tk_rand_id(NOW), .org = org, .slug = "s", .name = "name"};
        assert_ok(tk_audit_user_insert(store, &somebody, NOW, &user));
        assert_int_equal(tk_audit_user_insert(store, &somebody, NOW, &user), TK_E_CONFLICT);
        assert_ok(tk_store_commit(store));
        expect(bed, 1, TK_AUDIT_USER_CREATE, "user", user.id, "",
               "{\"email\":\"a@example.com\",\"first_name\":\"\",\"last_name\":\"\",\"role\":\"member\"}");
        assert_ok(tk_store_begin(store));
        user.role = TK_USER_OWNER;
        assert_ok(tk_audit_user_update(store, &somebody, NOW + 1, &user));
        assert_ok(tk_store_commit(store));
        expect(bed, 2, TK_AUDIT_USER_UPDATE, "user", user.id, "{\"role\":\"member\"}",
               "{\"role\":\"owner\"}");
        assert_ok(tk_store_begin(store));
        assert_ok(tk_audit_user_remove(store, &somebody, NOW + 2, user.id));
        assert_int_equal(tk_audit_user_remove(store, &somebody, NOW + 2, user.id), TK_E_NOT_FOUND);
        assert_int_equal(tk_audit_user_update(store, &somebody, NOW + 2, &user), TK_E_NOT_FOUND);
        assert_ok(tk_audit_workspace_insert(store, &somebody, NOW + 3, &workspace));
        assert_ok(tk_store_commit(store));
        expect(bed, 4, TK_AUDIT_WORKSPACE_CREATE, "workspace", workspace.id, "",
               "{\"slug\":\"s\",\"name\":\"name\",\"description\":\"\"}");
        assert_ok(tk_store_begin(store));
        strcpy(workspace.name, "other");
        assert_ok(tk_audit_workspace_update(store, &somebody, NOW + 4, &workspace));
        assert_ok(tk_store_commit(store));
        expect(bed, 5, TK_AUDIT_WORKSPACE_UPDATE, "workspace", workspace.id, "{\"name\":\"name\"}",
               "{\"name\":\"other\"}");
        assert_ok(tk_store_begin(store));
        assert_ok(tk_audit_workspace_remove(store, &somebody, NOW + 5, workspace.id));
        assert_int_equal(tk_audit_workspace_remove(store, &somebody, NOW + 6, workspace.id), TK_E_NOT_FOUND);
        assert_ok(tk_store_commit(store));
        expect(bed, 6, TK_AUDIT_WORKSPACE_DELETE, "workspace", workspace.id,
               "{\"slug\":\"s\",\"name\":\"other\",\"description\":\"\"}", "");
        bed_start(bed);
}

/* The largest things there can be fit into a record. */
static void views_fit(void **state) {
        struct tk_buf buf = TK_BUF(TK_AUDIT_JSON_MAX);
        struct tk_key key = {.kind = TK_KIND_ADMIN, .expires_ms = NOW, .limits_nr = TK_KEY_LIMITS_MAX};
        struct tk_workspace workspace;
        TK_UNUSED(state);
        memset(key.description, 1, TK_DESCRIPTION_BYTES_MAX); /* six bytes each when escaped */
        memset(&key.scopes, 0xFF, sizeof key.scopes);
        for (unsigned i = 0; i < TK_KEY_LIMITS_MAX; i++)
                key.limits[i] = (struct tk_limit){.meter = TK_METER_TOKENS,
                                                  .window = {.kind = TK_WINDOW_EVERY_N_DAYS, .days = 65535},
                                                  .flags = TK_LIMIT_FLAGS,
                                                  .cap = UINT64_MAX,
                                                  .alert = UINT64_MAX};
        static struct tk_profile profile = {.reset_ms = NOW, .no_override = true};
        memset(profile.name, 1, TK_PROFILE_NAME_BYTES_MAX);
        memset(profile.about, 1, TK_PROFILE_ABOUT_BYTES_MAX);
        memset(profile.config, 1, TK_PROFILE_CONFIG_MAX);
        memset(profile.emails, ' ', TK_PROFILE_EMAILS_MAX); /* JSON has no control characters */
        memcpy(profile.emails, "[]", 2);
        memset(profile.metadata, ' ', TK_PROFILE_METADATA_MAX);
        memcpy(profile.metadata, "{}", 2);
        tk_audit_view_key(&buf, (struct tk_audit_key){&key, &profile}, (struct tk_audit_key){NULL, NULL});
        assert_true(tk_buf_ok(&buf));
        tk_buf_clear(&buf);
        memset(&workspace, 0, sizeof workspace);
        memset(workspace.name, 1, TK_WORKSPACE_NAME_MAX);
        memset(workspace.description, 1, TK_WORKSPACE_DESCRIPTION_MAX);
        tk_audit_view_workspace(&buf, &workspace, NULL);
        assert_true(tk_buf_ok(&buf));
        tk_buf_free(&buf);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(keys_leave_records),
                CASE(refused_changes_leave_none),
                CASE(limits_and_balances_leave_records),
                CASE(resolving_leaves_a_record),
                CASE(people_leave_records),
                TEST(views_fit),
        };
        return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
