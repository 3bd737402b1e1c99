/* SPDX-License-Identifier: Apache-2.0
 *
 * A file into which somebody wrote nonsense, row by row or bit by bit: it is found when it is read, it is
 * CORRUPT and not believed, the rest goes on working, and nothing crashes. Also the query plans: no read
 * may come to walk a whole table.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract/fixture.h"
#include "lib/unit.h"
#include "store/store_sqlite_stmt.c" /* for its table of statements */

static void raw(const char *path, const char *sql) {
        sqlite3 *db = NULL;
        char *error = NULL;
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
                print_error("%s: %s\n", sql, error);
        assert_null(error);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Keys 1..3 with usage, entries, a lease and a doubt each. */
static void fill(const char *url) {
        struct tk_store *store = store_must_open(url);
        assert_ok(tk_store_begin(store));
        for (unsigned i = 1; i <= 3; i++) {
                struct tk_key key = key_of(tk_store_org(store), i);
                struct tk_entry entry = entry_of(tk_store_org(store), key.id, i);
                struct tk_lease lease = lease_of(key.id, 5);
                struct tk_doubt doubt = doubt_of(key.id, 5);
                const struct tk_user user = user_of(tk_store_org(store), i);
                const struct tk_workspace workspace = workspace_of(tk_store_org(store), i);
                assert_ok(tk_store_user_insert(store, &user));
                assert_ok(tk_store_workspace_insert(store, &workspace));
                const struct tk_alert alert = alert_of(tk_store_org(store), i);
                assert_ok(tk_store_key_insert(store, &key));
                assert_ok(tk_store_entry_add(store, &entry));
                assert_ok(tk_store_lease_put(store, &lease));
                assert_ok(tk_store_doubt_put(store, &doubt));
                assert_ok(tk_store_alert_add(store, &alert));
                for (int64_t hour = 0; hour < 60; hour += 7)
                        assert_ok(tk_store_usage_add(store, key.id, TK_METER_USD, hour, 9));
        }
        const struct tk_key limited = key_of(tk_store_org(store), 1);
        assert_ok(tk_store_limits_put(store, limited.org, limited.limits, limited.limits_nr));
        const struct tk_topup topup = topup_of(limited.org, 1);
        assert_ok(tk_store_topup(store, &topup));
        for (unsigned i = 1; i <= 3; i++) {
                const struct tk_audit audit = audit_of(limited.org, i);
                assert_ok(tk_store_audit_add(store, &audit));
        }
        assert_ok(tk_store_meta_put(store, "name", TK_STR("value")));
        assert_ok(tk_store_commit(store));
        tk_store_close(&store);
}

static bool any_key(const struct tk_key *key, void *ctx) {
        TK_UNUSED(key);
        TK_UNUSED(ctx);
        return true;
}

static bool any_entry(const struct tk_entry *entry, void *ctx) {
        TK_UNUSED(entry);
        TK_UNUSED(ctx);
        return true;
}

static bool any_lease(const struct tk_lease *lease, void *ctx) {
        TK_UNUSED(lease);
        TK_UNUSED(ctx);
        return true;
}

static bool any_doubt(const struct tk_doubt *doubt, void *ctx) {
        TK_UNUSED(doubt);
        TK_UNUSED(ctx);
        return true;
}

static bool any_alert(const struct tk_alert *alert, void *ctx) {
        TK_UNUSED(alert);
        TK_UNUSED(ctx);
        return true;
}

static bool any_topup(const struct tk_topup *topup, void *ctx) {
        TK_UNUSED(topup);
        TK_UNUSED(ctx);
        return true;
}

static bool any_user(const struct tk_user *user, void *ctx) {
        TK_UNUSED(user);
        TK_UNUSED(ctx);
        return true;
}

static bool any_workspace(const struct tk_workspace *workspace, void *ctx) {
        TK_UNUSED(workspace);
        TK_UNUSED(ctx);
        return true;
}

static bool any_audit(const struct tk_audit *audit, void *ctx) {
        TK_UNUSED(audit);
        TK_UNUSED(ctx);
        return true;
}

static bool any_change(int64_t seq, struct tk_id key, void *ctx) {
        TK_UNUSED(seq);
        TK_UNUSED(key);
        TK_UNUSED(ctx);
        return true;
}

/* Reads what is about key 2 in each way. */
enum what {
        KEY,
        KEYS,
        ENTRIES,
        ENTRY,
        LEASES,
        USAGE,
        TOTAL,
        GROUP,
        GROUP_TOTAL,
        LIMITS,
        DOUBTS,
        TOPUPS,
        ALERTS,
        ALERTS_DUE,
        AUDITS,
        OLDEST,
        CHANGES,
        USER,
        EMAIL,
        USERS,
        WORKSPACE,
        SLUG,
        WORKSPACES,
        WHAT_NR
};

/* Sought by the very thing that was damaged. */
static enum tk_err or_nobody(enum tk_err err) {
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

static enum tk_err read_one(struct tk_store *store, struct tk_reader *reader, enum what what) {
        const struct tk_id none = {{0}}, org = tk_store_org(store);
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned limits_nr;
        struct tk_entry entry;
        struct tk_user user;
        struct tk_workspace workspace;
        struct tk_key key;
        int64_t sum;
        const struct tk_audit_filter filter = {.org = org, .to_ms = INT64_MAX};
        switch (what) {
        case KEY:
                return tk_reader_key_by_id(reader, id_of(2), &key);
        case KEYS:
                return tk_reader_key_list(reader, org, 0, none, 100, any_key, NULL);
        case ENTRIES:
                return tk_reader_entry_list(reader, org, none, 100, any_entry, NULL);
        case ENTRY:
                return tk_reader_entry_get(reader, id_of(2), &entry);
        case LEASES:
                return tk_reader_lease_list(reader, any_lease, NULL);
        case USAGE:
                return tk_reader_usage_sum(reader, id_of(2), TK_METER_USD, 1, 59, &sum);
        case TOTAL:
                return tk_reader_usage_sum(reader, id_of(2), TK_METER_USD, INT64_MIN, INT64_MAX, &sum);
        case GROUP:
                return tk_reader_usage_sum_group(reader, TK_GROUP_ORG, org, TK_METER_USD, 1, 59, &sum);
        case GROUP_TOTAL:
                return tk_reader_usage_sum_group(reader, TK_GROUP_ORG, org, TK_METER_USD, INT64_MIN,
                                                 INT64_MAX, &sum);
        case LIMITS:
                return tk_reader_limits(reader, org, limits, &limits_nr);
        case DOUBTS:
                return tk_reader_doubt_list(reader, none, any_doubt, NULL);
        case TOPUPS:
                return tk_reader_topup_list(reader, org, any_topup, NULL);
        case ALERTS:
                return tk_reader_alert_list(reader, org, 100, any_alert, NULL);
        case ALERTS_DUE:
                return tk_reader_alert_due(reader, TK_CHANNEL_EMAIL, 0, 100, any_alert, NULL);
        case AUDITS:
                return tk_reader_audit_list(reader, &filter, 0, 100, any_audit, NULL);
        case OLDEST:
                return tk_reader_audit_oldest(reader, &sum);
        case CHANGES:
                return tk_reader_changes(reader, 0, any_change, NULL);
        case USER:
                return or_nobody(tk_reader_user_by_id(reader, id_of(2), &user));
        case EMAIL:
                return or_nobody(tk_reader_user_by_email(reader, org, "user-2@example.com", &user));
        case USERS:
                return tk_reader_user_list(reader, org, TK_USER_ROLES_ALL, 0, 100, any_user, NULL);
        case WORKSPACE:
                return or_nobody(tk_reader_workspace_by_id(reader, id_of(2), &workspace));
        case SLUG:
                return or_nobody(tk_reader_workspace_by_slug(reader, org, "ws-2", &workspace));
        case WORKSPACES:
                return tk_reader_workspace_list(reader, org, 0, 100, any_workspace, NULL);
        case WHAT_NR:
                break;
        }
        assert_true(false);
        return TK_OK;
}

#define ONE(what)  (1u << (what))
#define KEY_2      "UPDATE api_key SET "
#define ENTRY_2    (ONE(ENTRIES) | ONE(ENTRY))
#define ALERT      (ONE(ALERTS) | ONE(ALERTS_DUE))
#define LIMIT      (ONE(KEY) | ONE(KEYS) | ONE(LIMITS))
#define USER_2     "UPDATE org_user SET "
#define USER_IS_2  " WHERE email = 'user-2@example.com'"
#define USER_ALL   (ONE(USER) | ONE(EMAIL) | ONE(USERS))
#define SPACE_2    "UPDATE workspace SET "
#define SPACE_IS_2 " WHERE slug = 'ws-2'"
#define SPACE_ALL  (ONE(WORKSPACE) | ONE(SLUG) | ONE(WORKSPACES))
#define WHERE_2    " WHERE last6 = '000002'"

static const struct {
        const char *sql;
        unsigned corrupt; /* which reads say so */
} damages[] = {
        {KEY_2 "kind = 99" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "kind = -1" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "kind = 4294967296" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "privacy = 200" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "period = 200" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "created_ms = -5" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "last_used_ms = -1" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "description = CAST(x'FF' AS TEXT)" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "description = CAST(x'610062' AS TEXT)" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "description = hex(zeroblob(97))" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "description = hex(zeroblob(33))" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "last6 = '0000002'" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "scopes = x'00'" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "digest = x'00'" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "workspace = zeroblob(17)" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "user_id = zeroblob(15)" WHERE_2, ONE(KEY) | ONE(KEYS)},
        {KEY_2 "scopes = "
               "x'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'" WHERE_2,
         ONE(KEY) | ONE(KEYS)},
        {"UPDATE subject_limit SET cap = 'lots' WHERE ordinal = 0", LIMIT},
        {"UPDATE subject_limit SET cap = '-1'", LIMIT},
        {"UPDATE subject_limit SET cap = '99999999999999999999999999'", LIMIT},
        {"UPDATE subject_limit SET alert = ''", LIMIT},
        {"UPDATE subject_limit SET base = -1 WHERE ordinal = 0", LIMIT},
        {"UPDATE subject_limit SET base_number = 1 WHERE ordinal = 0", LIMIT}, /* of nothing forgiven */
        {"UPDATE subject_limit SET alert = '-1'", LIMIT},
        {"UPDATE subject_limit SET meter = 200", LIMIT},
        {"UPDATE subject_limit SET window_days = 65536", LIMIT},
        {"UPDATE subject_limit SET window_anchor = 2147483648", LIMIT},
        {"UPDATE subject_limit SET window_kind = 3", LIMIT},
        {"UPDATE subject_limit SET flags = 4", LIMIT}, /* a balance by the day */
        {"UPDATE subject_limit SET flags = 8", LIMIT},
        {"UPDATE subject_limit SET flags = 1 WHERE ordinal = 0", LIMIT}, /* money */
        {"UPDATE subject_limit SET flags = -1 WHERE subject = (SELECT id FROM org)", ONE(LIMITS)},
        {"WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO "
         "subject_limit SELECT id, i, 0, 7, i, 0, 0, '1', '0', 0, 0 FROM n JOIN api_key",
         ONE(KEY) | ONE(KEYS)},
        {"DROP TRIGGER entry_is_final; UPDATE entry SET due_usd = -1", ENTRY_2},
        {"DROP TRIGGER entry_is_final; UPDATE entry SET overrun_tokens = -1", ENTRY_2},
        {"DROP TRIGGER entry_is_final; UPDATE entry SET model = hex(zeroblob(65))", ENTRY_2},
        {"DROP TRIGGER entry_is_final; UPDATE entry SET flags = 64", ENTRY_2},
        {"DROP TRIGGER entry_is_final; UPDATE entry SET input_tokens = 9223372036854775807", ENTRY_2},
        {"DROP TRIGGER entry_is_final; UPDATE entry SET subject = x''", ENTRY_2},
        {"DROP TRIGGER entry_is_final; UPDATE entry SET posted_at_ms = 9223372036854775807", ENTRY_2},
        {"UPDATE lease SET bound = -1", ONE(LEASES)},
        {"UPDATE lease SET window_kind = 200", ONE(LEASES)},
        {"UPDATE lease SET number = 9223372036854775807", ONE(LEASES)},
        {"UPDATE lease SET subject = CAST(subject || x'00' AS BLOB)", ONE(LEASES)},
        {"UPDATE alert SET kind = 3", ALERT},
        {"UPDATE alert SET subject_kind = 4", ALERT},
        {"UPDATE alert SET cap = '-1'", ALERT},
        {"UPDATE alert SET limit_alert = ''", ALERT},
        {"UPDATE alert SET flags = 4", ALERT},
        {"UPDATE alert SET number = 9223372036854775807", ALERT},
        {"UPDATE alert SET posted = -1", ALERT},
        {"UPDATE alert SET at_ms = 9223372036854775807", ALERT},
        {"UPDATE alert SET webhook_status = 4", ALERT},
        {"UPDATE alert SET email_tries = -1", ALERT},
        {"UPDATE alert SET email_error = CAST(x'0A' AS TEXT)", ALERT},
        {"UPDATE alert SET email_error = hex(zeroblob(80))", ALERT},
        {"UPDATE alert SET subject = zeroblob(16)", ALERT},
        {"UPDATE doubt SET amount = 0", ONE(DOUBTS)},
        {"UPDATE doubt SET since_ms = -1", ONE(DOUBTS)},
        {"UPDATE doubt SET since_ms = 9223372036854775807", ONE(DOUBTS)},
        {"UPDATE doubt SET window_kind = 8", ONE(DOUBTS)},
        {"UPDATE doubt SET window_days = 1", ONE(DOUBTS)},
        {"UPDATE doubt SET number = 9223372036854775807", ONE(DOUBTS)},
        {"UPDATE doubt SET meter = 5", ONE(DOUBTS)},
        {"UPDATE doubt SET subject = CAST(subject || x'00' AS BLOB)", ONE(DOUBTS)},
        {"DROP TRIGGER topup_is_final; UPDATE topup SET amount = 0", ONE(TOPUPS)},
        {"DROP TRIGGER topup_is_final; UPDATE topup SET amount = -1", ONE(TOPUPS)},
        {"DROP TRIGGER topup_is_final; UPDATE topup SET meter = 4", ONE(TOPUPS)},
        {"DROP TRIGGER topup_is_final; UPDATE topup SET id = 'a b'", ONE(TOPUPS)},
        {"DROP TRIGGER topup_is_final; UPDATE topup SET id = hex(zeroblob(33))", ONE(TOPUPS)},
        {"DROP TRIGGER topup_is_final; UPDATE topup SET at_ms = 9223372036854775807", ONE(TOPUPS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET kind = 4 WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET kind = -1 WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET actor = zeroblob(16), kind = 0 WHERE at_ms = 2",
         ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET workspace = x'' WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET resource = zeroblob(16) WHERE at_ms = 2",
         ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET action = 'create' WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET action = 'A.b' WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET action = hex(zeroblob(24)) WHERE at_ms = 2",
         ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET resource_type = '' WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET method = 'PROPFIND' WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET uri = CAST(x'FF' AS TEXT) WHERE at_ms = 2",
         ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET client = 'a' || char(10) WHERE at_ms = 2",
         ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET request_id = hex(zeroblob(33)) WHERE at_ms = 2",
         ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET status = 600 WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET status = 99 WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET before_json = '[' WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET after_json = '{' || hex(zeroblob(32768)) || '}' "
         "WHERE at_ms = 2",
         ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET after_json = CAST(x'7BFF7D' AS TEXT) WHERE at_ms = 2",
         ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET id = zeroblob(16) WHERE at_ms = 2", ONE(AUDITS)},
        {"DROP TRIGGER audit_is_final; UPDATE audit SET at_ms = 9223372036854775807",
         ONE(AUDITS) | ONE(OLDEST)},
        {"UPDATE usage SET usd = -1 WHERE span > 0", ONE(USAGE) | ONE(GROUP)},
        {"UPDATE usage SET usd = -1 WHERE span = 0", ONE(TOTAL) | ONE(GROUP_TOTAL)},
        {USER_2 "role = 3" USER_IS_2, USER_ALL},
        {USER_2 "role = -1" USER_IS_2, ONE(USER) | ONE(EMAIL)}, /* of no role, so in no list */
        {USER_2 "first_name = CAST(x'FF' AS TEXT)" USER_IS_2, USER_ALL},
        {USER_2 "last_name = hex(zeroblob(64))" USER_IS_2, USER_ALL},
        {USER_2 "created_ms = 9223372036854775807" USER_IS_2, USER_ALL},
        {USER_2 "updated_ms = -1" USER_IS_2, USER_ALL},
        {USER_2 "removed_ms = -1" USER_IS_2, ONE(USER)},
        {USER_2 "id = x'00'" USER_IS_2, ONE(EMAIL) | ONE(USERS)},
        {USER_2 "email = 'User-2@example.com'" USER_IS_2, ONE(USER) | ONE(USERS)},
        {USER_2 "email = 'nobody'" USER_IS_2, ONE(USER) | ONE(USERS)},
        {USER_2 "email = hex(zeroblob(128))" USER_IS_2, ONE(USER) | ONE(USERS)},
        {USER_2 "org = x'01'" USER_IS_2, ONE(USER)},
        {SPACE_2 "name = ''" SPACE_IS_2, SPACE_ALL},
        {SPACE_2 "name = hex(zeroblob(128))" SPACE_IS_2, SPACE_ALL},
        {SPACE_2 "description = CAST(x'FF' AS TEXT)" SPACE_IS_2, SPACE_ALL},
        {SPACE_2 "description = hex(zeroblob(512))" SPACE_IS_2, SPACE_ALL},
        {SPACE_2 "updated_ms = -1" SPACE_IS_2, SPACE_ALL},
        {SPACE_2 "slug = 'WS'" SPACE_IS_2, ONE(WORKSPACE) | ONE(WORKSPACES)},
        {SPACE_2 "id = zeroblob(16)" SPACE_IS_2, ONE(SLUG) | ONE(WORKSPACES)},
        {"UPDATE change SET subject = x'00'", ONE(CHANGES)},
        {"UPDATE change SET subject = zeroblob(16)", ONE(CHANGES)},
};

/* Writing goes on beside the damage, also in a batch that met it. */
static void check_writing(struct tk_store *store, struct tk_reader *reader, bool key_is_corrupt) {
        struct tk_key key = key_of(tk_store_org(store), 50), seen;
        assert_ok(tk_store_begin(store));
        assert_int_equal(tk_store_key_get(store, id_of(2), &seen), key_is_corrupt ? TK_E_CORRUPT : TK_OK);
        assert_ok(tk_store_key_insert(store, &key));
        assert_ok(tk_store_commit(store));
        assert_ok(tk_reader_key_by_id(reader, key.id, &seen));
}

static void one_damage(const char *damage, unsigned corrupt) {
        struct place place;
        char sql[600];
        place_make(&place);
        fill(place.url);
        snprintf(sql, sizeof sql, "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; %s",
                 damage);
        raw(place.path, sql);
        struct tk_store *store = store_must_open(place.url);
        struct tk_reader *reader = reader_must_open(store);
        for (int what = 0; what < WHAT_NR; what++) {
                const enum tk_err want = corrupt & ONE(what) ? TK_E_CORRUPT : TK_OK;
                const enum tk_err err = read_one(store, reader, (enum what)what);
                if (err != want)
                        print_error("%s: read %d: %s\n", damage, what, tk_err_name(err));
                assert_int_equal(err, want);
        }
        check_writing(store, reader, corrupt & ONE(KEY));
        tk_reader_close(&reader);
        tk_store_close(&store);
        place_remove(&place);
}

static void test_damaged_row_is_corrupt_and_the_rest_is_fine(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof damages / sizeof *damages; i++)
                one_damage(damages[i].sql, damages[i].corrupt);
}

static void test_store_without_its_tables_or_first_rows_is_refused(void **state) {
        static const char *const sqls[] = {
                "UPDATE meta SET value = x'00' WHERE name = 'store:org'",
                "UPDATE meta SET value = zeroblob(16) WHERE name = 'store:workspace'",
                "UPDATE meta SET value = zeroblob(17) WHERE name = 'store:org'",
                "DROP TABLE meta",
                "DROP TABLE lease; CREATE TABLE lease (subject TEXT)",
                "ALTER TABLE api_key RENAME TO other",
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof sqls / sizeof *sqls; i++) {
                struct place place;
                struct tk_store *store;
                char why[400] = "";
                place_make(&place);
                fill(place.url);
                raw(place.path, sqls[i]);
                assert_int_equal(tk_store_open(place.url, &store, why, sizeof why), TK_E_CORRUPT);
                assert_non_null(strstr(why, "damaged"));
                place_remove(&place);
        }
}

/* ---- bit by bit ---- */

static size_t slurp(const char *path, char *out, size_t size) {
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t n = fread(out, 1, size, file);
        assert_true(n < size);
        fclose(file);
        return n;
}

static void spill(const char *path, const char *at, size_t size) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(at, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
}

/* Reads and writes all there is; every answer is fine, as long as it is an answer. */
static unsigned use_all(const char *url) {
        struct tk_store *store;
        struct tk_reader *reader;
        unsigned faults = 0;
        char why[400], value[20];
        if (tk_store_open(url, &store, why, sizeof why))
                return 1;
        if (tk_reader_open(store, &reader) == TK_OK) {
                for (int what = 0; what < WHAT_NR; what++)
                        faults += read_one(store, reader, (enum what)what) != TK_OK;
                faults += tk_reader_meta_get(reader, "name", value, sizeof value) != TK_OK;
                tk_reader_close(&reader);
        }
        if (tk_store_begin(store) == TK_OK) {
                struct tk_key key = key_of(tk_store_org(store), 2);
                struct tk_entry entry = entry_of(tk_store_org(store), key.id, 77);
                struct tk_lease lease = lease_of(key.id, 8);
                struct tk_doubt doubt = doubt_of(key.id, 8);
                faults += tk_store_key_update(store, &key) != TK_OK;
                faults += tk_store_key_touch(store, key.id, 99) != TK_OK;
                faults += tk_store_usage_add(store, key.id, TK_METER_USD, 14, 5) != TK_OK;
                faults += tk_store_entry_add(store, &entry) != TK_OK;
                faults += tk_store_lease_put(store, &lease) != TK_OK;
                faults += tk_store_doubt_put(store, &doubt) != TK_OK;
                const struct tk_topup topup = topup_of(tk_store_org(store), 2);
                faults += tk_store_topup(store, &topup) != TK_OK;
                const struct tk_audit audit = audit_of(tk_store_org(store), 77);
                faults += tk_store_audit_add(store, &audit) != TK_OK;
                faults += tk_store_audit_trim(store, 2, 1) != TK_OK;
                faults += tk_store_commit(store) != TK_OK;
        }
        tk_store_close(&store);
        return faults;
}

static void test_flipped_bits_crash_nothing(void **state) {
        static char good[400000], bad[400000];
        struct place place;
        char wal[400];
        uint64_t random = 20261121;
        unsigned faulty = 0;
        TK_UNUSED(state);
        place_make(&place);
        fill(place.url);
        const size_t size = slurp(place.path, good, sizeof good);
        assert_int_equal(use_all(place.url), 0);
        snprintf(wal, sizeof wal, "%s-wal", place.path);
        for (unsigned i = 0; i < 600; i++) {
                memcpy(bad, good, size);
                /* The first page is the schema and is hit as often as all the others together. */
                const size_t range = i % 2 ? 4096 * 3 : size;
                for (unsigned flips = 1 + (unsigned)(random_next(&random) % 8); flips > 0; flips--)
                        bad[random_next(&random) % range] ^= (char)(1 << random_next(&random) % 8);
                remove(wal);
                spill(place.path, bad, size);
                faulty += use_all(place.url) > 0;
        }
        print_message("%u of 600 damaged files were noticed\n", faulty);
        assert_true(faulty > 30);
        place_remove(&place);
}

/* ---- what may not be changed ---- */

/* The code of a statement that somebody runs by hand. */
static int by_hand(const char *path, const char *sql) {
        sqlite3 *db = NULL;
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        const int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        return code;
}

static void test_audit_records_are_final(void **state) {
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        fill(place.url);
        assert_int_equal(by_hand(place.path, "UPDATE audit SET status = 0 WHERE at_ms = 1"),
                         SQLITE_CONSTRAINT);
        assert_int_equal(by_hand(place.path, "DELETE FROM audit WHERE at_ms = 1"), SQLITE_CONSTRAINT);
        assert_int_equal(by_hand(place.path, "DELETE FROM audit"), SQLITE_CONSTRAINT);
        struct tk_store *store = store_must_open(place.url);
        struct tk_reader *reader = reader_must_open(store);
        const struct tk_audit_filter filter = {.org = tk_store_org(store), .to_ms = INT64_MAX};
        uint64_t nr;
        assert_ok(tk_reader_audit_count(reader, &filter, &nr));
        assert_int_equal(nr, 3);
        assert_ok(tk_store_begin(store));
        assert_ok(tk_store_audit_trim(store, 2, 5));
        assert_ok(tk_store_commit(store));
        assert_ok(tk_reader_audit_count(reader, &filter, &nr));
        assert_int_equal(nr, 2);
        tk_reader_close(&reader);
        tk_store_close(&store);
        assert_int_equal(by_hand(place.path, "DELETE FROM audit WHERE at_ms = 2"), SQLITE_CONSTRAINT);
        place_remove(&place);
}

/* ---- plans ---- */

static void test_no_read_walks_a_table(void **state) {
        struct place place;
        sqlite3 *db = NULL;
        TK_UNUSED(state);
        place_make(&place);
        fill(place.url);
        assert_int_equal(sqlite3_open_v2(place.path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        for (int i = TK_SQL_ORG_INSERT; i < TK_SQL_NR; i++) {
                char sql[2000];
                sqlite3_stmt *stmt = NULL;
                snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", statements[i].sql);
                assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
                while (sqlite3_step(stmt) == SQLITE_ROW) {
                        const char *plan = (const char *)sqlite3_column_text(stmt, 3);
                        /* Of a page the rows are walked that an index chose; they are no more than it has. */
                        const bool walks = strstr(plan, "SCAN") && !strstr(plan, "SCAN (subquery") &&
                                           i != TK_SQL_LEASE_LIST && i != TK_SQL_DOUBT_LIST;
                        if (walks || strstr(plan, "TEMP B-TREE"))
                                print_error("%s: %s\n", statements[i].sql, plan);
                        assert_false(walks);
                        assert_null(strstr(plan, "TEMP B-TREE"));
                        if (i >= TK_SQL_KEY_PAGE_ORG && i <= TK_SQL_KEY_COUNT_WORKSPACE &&
                            strstr(plan, "INDEX"))
                                assert_non_null(strstr(plan, "USING COVERING INDEX api_key_by_"));
                        if (i == TK_SQL_KEY_LIST)
                                assert_non_null(
                                        strstr(plan, "api_key_by_age (org=? AND (created_ms,id)<(?,?))"));
                }
                sqlite3_finalize(stmt);
        }
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        place_remove(&place);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_damaged_row_is_corrupt_and_the_rest_is_fine),
                TEST(test_store_without_its_tables_or_first_rows_is_refused),
                TEST(test_flipped_bits_crash_nothing),
                TEST(test_audit_records_are_final),
                TEST(test_no_read_walks_a_table),
        };
        return cmocka_run_group_tests_name("sqlite_damage", tests, NULL, NULL);
}
