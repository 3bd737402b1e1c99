/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQLite engine on a failing disk: the n-th write, sync, open, read, allocation ... fails, for n = 1, 2,
 * 3 ... until a run is clean. Each time:
 *
 *   the batch is there or it is not, and what commit said is true
 *   a copy of the files, taken as they are, opens and holds the batch whole or not at all
 *   the store works again at once, and the file passes the integrity check
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract/fault_vfs.h"
#include "contract/fixture.h"
#include "lib/unit.h"

#define SUBJECTS 5
#define RUNS_MAX 60000

static unsigned faults; /* seen by the running test */

/* ---- batches: number b is about the ids b * 1000 + 1 .. b * 1000 + SUBJECTS ---- */

/* Each in a workspace of its own, which has the limits of the key once more. */
static struct tk_key batch_key(struct tk_store *store, unsigned batch, unsigned i) {
        struct tk_key key = key_of(tk_store_org(store), batch * 1000 + i);
        key.workspace = id_of(100000 + batch * 1000 + i);
        return key;
}

static enum tk_err fill_batch(struct tk_store *store, unsigned batch) {
        enum tk_err err = TK_OK;
        for (unsigned i = 1; i <= SUBJECTS && !err; i++) {
                struct tk_key key = batch_key(store, batch, i), seen;
                struct tk_entry entry = entry_of(tk_store_org(store), key.id, batch * 1000 + i);
                struct tk_lease lease = lease_of(key.id, 5);
                struct tk_doubt doubt = doubt_of(key.id, 5), gone = doubt_of(tk_store_org(store), 5);
                const struct tk_topup topup = topup_of(key.workspace, batch * 1000 + i);
                const struct tk_user user = user_of(tk_store_org(store), batch * 1000 + i);
                const struct tk_workspace workspace = workspace_of(tk_store_org(store), batch * 1000 + i);
                const struct tk_alert alert = alert_of(tk_store_org(store), batch * 1000 + i);
                const struct tk_delivery failed = {.status = TK_DELIVERY_FAILED, .tries = 9};
                const struct tk_audit audit = audit_of(key.id, batch * 1000 + i);
                err = tk_store_key_insert(store, &key);
                if (!err)
                        err = tk_store_mark(store);
                if (!err)
                        err = tk_store_key_update(store, &key);
                if (!err)
                        err = tk_store_usage_add(store, key.id, TK_METER_USD, i, 7);
                if (!err)
                        err = tk_store_entry_add(store, &entry);
                /* The mark is open here also after a fault, and must be ended before the batch. */
                if (!err)
                        err = tk_store_mark_keep(store);
                if (!err)
                        err = tk_store_lease_put(store, &lease);
                if (!err)
                        err = tk_store_doubt_put(store, &doubt);
                if (!err)
                        err = tk_store_doubt_put(store, &gone);
                if (!err)
                        err = tk_store_doubt_put(store, &doubt); /* adds */
                if (!err)
                        err = tk_store_doubt_drop(store, &gone);
                if (!err)
                        err = tk_store_change_add(store, key.id);
                if (!err)
                        err = tk_store_limits_put(store, key.workspace, key.limits, key.limits_nr);
                if (!err)
                        err = tk_store_topup(store, &topup);
                if (!err)
                        err = tk_store_topup(store, &topup); /* nothing more */
                if (!err)
                        err = tk_store_user_insert(store, &user);
                if (!err)
                        err = tk_store_user_update(store, &user);
                if (!err)
                        err = tk_store_workspace_insert(store, &workspace);
                if (!err && i == SUBJECTS)
                        err = tk_store_user_remove(store, user.id, 9);
                if (!err)
                        err = tk_store_alert_add(store, &alert);
                if (!err)
                        err = tk_store_alert_sent(store, alert.id, TK_CHANNEL_WEBHOOK, &failed);
                if (!err)
                        err = tk_store_audit_add(store, &audit);
                if (!err)
                        err = tk_store_audit_trim(store, 0, 1);
                if (!err)
                        err = tk_store_key_get(store, key.id, &seen);
        }
        return err;
}

static enum tk_err write_batch(struct tk_store *store, unsigned batch) {
        enum tk_err err = tk_store_begin(store);
        if (err)
                return err;
        err = fill_batch(store, batch);
        if (!err)
                return tk_store_commit(store);
        tk_store_rollback(store);
        return err;
}

struct seen {
        unsigned keys, entries, leases, doubts, topups, users, workspaces, alerts, audits;
        uint64_t audits_nr;
        enum tk_err err;
};

static bool count_key(const struct tk_key *key, void *ctx) {
        TK_UNUSED(key);
        ((struct seen *)ctx)->keys++;
        return true;
}

static bool count_entry(const struct tk_entry *entry, void *ctx) {
        TK_UNUSED(entry);
        ((struct seen *)ctx)->entries++;
        return true;
}

static bool count_lease(const struct tk_lease *lease, void *ctx) {
        TK_UNUSED(lease);
        ((struct seen *)ctx)->leases++;
        return true;
}

static bool count_doubt(const struct tk_doubt *doubt, void *ctx) {
        TK_UNUSED(doubt);
        ((struct seen *)ctx)->doubts++;
        return true;
}

static bool count_alert(const struct tk_alert *alert, void *ctx) {
        assert_int_equal(alert->sent[TK_CHANNEL_WEBHOOK].tries, 9);
        ((struct seen *)ctx)->alerts++;
        return true;
}

static bool count_topup(const struct tk_topup *topup, void *ctx) {
        TK_UNUSED(topup);
        ((struct seen *)ctx)->topups++;
        return true;
}

static bool count_user(const struct tk_user *user, void *ctx) {
        TK_UNUSED(user);
        ((struct seen *)ctx)->users++;
        return true;
}

static bool count_workspace(const struct tk_workspace *workspace, void *ctx) {
        TK_UNUSED(workspace);
        ((struct seen *)ctx)->workspaces++;
        return true;
}

static bool count_audit(const struct tk_audit *audit, void *ctx) {
        TK_UNUSED(audit);
        ((struct seen *)ctx)->audits++;
        return true;
}

/* Whether a batch is there; it must be so in every table alike. */
static bool has_batch(struct tk_store *store, struct tk_reader *reader, unsigned batch) {
        unsigned there = 0;
        for (unsigned i = 1; i <= SUBJECTS; i++) {
                struct seen seen = {0};
                struct tk_key key, want = batch_key(store, batch, i);
                struct tk_limit limits[TK_KEY_LIMITS_MAX];
                unsigned limits_nr;
                struct tk_user user;
                struct tk_workspace workspace;
                int64_t sum;
                uint64_t audits;
                const struct tk_audit_filter filter = {.org = want.id, .to_ms = INT64_MAX};
                enum tk_err err = tk_reader_key_by_id(reader, want.id, &key);
                assert_true(err == TK_OK || err == TK_E_NOT_FOUND);
                assert_int_equal(tk_reader_key_by_digest(reader, want.digest, &key), err);
                assert_true(err || key_same(&key, &want));
                assert_int_equal(usage_of(reader, want.id, TK_METER_USD), err ? 0 : 7);
                assert_ok(tk_reader_usage_sum_group(reader, TK_GROUP_WORKSPACE, want.workspace, TK_METER_USD,
                                                    INT64_MIN, INT64_MAX, &sum));
                assert_int_equal(sum, err ? 0 : 7);
                assert_ok(tk_reader_limits(reader, want.workspace, limits, &limits_nr));
                assert_int_equal(limits_nr, err ? 0 : want.limits_nr + 1); /* and the balance */
                assert_ok(tk_reader_topup_list(reader, want.workspace, count_topup, &seen));
                assert_int_equal(seen.topups, err ? 0 : 1);
                assert_ok(tk_reader_entry_list(reader, tk_store_org(store), want.id, 5, count_entry, &seen));
                assert_int_equal(seen.entries, err ? 0 : 1);
                assert_ok(tk_reader_doubt_list(reader, want.id, count_doubt, &seen));
                assert_int_equal(seen.doubts, err ? 0 : 1);
                assert_int_equal(tk_reader_user_by_id(reader, want.id, &user), err);
                assert_int_equal(tk_reader_workspace_by_id(reader, want.id, &workspace), err);
                assert_true(IMPLIES(!err, (user.removed_ms == 9) == (i == SUBJECTS)));
                assert_ok(tk_reader_audit_count(reader, &filter, &audits));
                assert_int_equal(audits, err ? 0 : 1);
                there += !err;
        }
        assert_true(there == 0 || there == SUBJECTS);
        return there;
}

/* Exactly these batches are there (a bit each) and nothing else is. */
static void check_batches(struct tk_store *store, unsigned mask) {
        const struct tk_id none = {{0}};
        struct tk_reader *reader = reader_must_open(store);
        struct seen seen = {0};
        unsigned batches = 0;
        int64_t changes;
        for (unsigned batch = 0; batch < 4; batch++) {
                const bool there = has_batch(store, reader, batch);
                assert_int_equal(there, mask >> batch & 1);
                batches += there;
        }
        assert_ok(tk_reader_key_list(reader, tk_store_org(store), 0, none, UINT32_MAX, count_key, &seen));
        assert_ok(tk_reader_lease_list(reader, count_lease, &seen));
        assert_ok(tk_reader_doubt_list(reader, none, count_doubt, &seen));
        assert_ok(tk_reader_alert_list(reader, tk_store_org(store), UINT32_MAX, count_alert, &seen));
        assert_int_equal(seen.alerts, batches * SUBJECTS);
        assert_int_equal(seen.keys, batches * SUBJECTS);
        assert_int_equal(seen.leases, batches * SUBJECTS);
        assert_int_equal(seen.doubts, batches * SUBJECTS);
        assert_ok(tk_reader_change_last(reader, &changes));
        assert_true(changes >= 6 * batches * SUBJECTS);
        tk_reader_close(&reader);
}

static void check_integrity(const char *path) {
        sqlite3 *db = NULL;
        sqlite3_stmt *stmt = NULL;
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
        sqlite3_finalize(stmt);
        assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &stmt, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
        sqlite3_finalize(stmt);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- the files as a crash would leave them ---- */

static void copy_file(const char *from, const char *to, bool must_be) {
        FILE *in = fopen(from, "rb"), *out;
        char bytes[65536];
        size_t n;
        if (!in && !must_be)
                return;
        assert_non_null(in);
        out = fopen(to, "wb");
        assert_non_null(out);
        while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
                assert_int_equal(fwrite(bytes, 1, n, out), n);
        fclose(in);
        assert_int_equal(fclose(out), 0);
}

/* Opens a copy: batch 0 is there; batch 1 is there if it `must`, and whole if it is. */
static void check_crash(const struct place *place, bool must) {
        struct place copy;
        char from[320], to[320];
        place_make(&copy);
        copy_file(place->path, copy.path, true);
        snprintf(from, sizeof from, "%s-wal", place->path);
        snprintf(to, sizeof to, "%s-wal", copy.path);
        copy_file(from, to, false);
        struct tk_store *store = store_must_open(copy.url);
        struct tk_reader *reader = reader_must_open(store);
        assert_true(has_batch(store, reader, 0));
        const bool has = has_batch(store, reader, 1);
        assert_true(IMPLIES(must, has));
        tk_reader_close(&reader);
        check_batches(store, has ? 3 : 1);
        tk_store_close(&store);
        check_integrity(copy.path);
        place_remove(&copy);
}

/* ---- the loops ---- */

struct sort {
        const char *name;
        unsigned kinds;
        int code;
        bool for_ever;
        enum tk_err want[3]; /* any of these; TK_OK fills the rest */
};

static bool wanted(const struct sort *sort, enum tk_err err) {
        for (int i = 0; i < 3; i++)
                if (sort->want[i] && sort->want[i] == err)
                        return true;
        print_error("%s: unexpected %s\n", sort->name, tk_err_name(err));
        return false;
}

static const struct sort sorts[] = {
        {"write", FAULT_WRITE, 0, false, {TK_E_IO}},
        {"write, from then on", FAULT_WRITE, 0, true, {TK_E_IO}},
        {"disk full", FAULT_WRITE, SQLITE_FULL, true, {TK_E_FULL}},
        {"disk full, once", FAULT_WRITE, SQLITE_FULL, false, {TK_E_FULL}},
        {"read-only", FAULT_WRITE, SQLITE_READONLY, true, {TK_E_READ_ONLY}},
        {"sync", FAULT_SYNC, 0, false, {TK_E_IO}},
        {"sync, from then on", FAULT_SYNC, 0, true, {TK_E_IO}},
        {"open", FAULT_OPEN, 0, false, {TK_E_IO}},
        {"read", FAULT_READ, 0, false, {TK_E_IO}},
        {"read, from then on", FAULT_READ, 0, true, {TK_E_IO}},
        {"truncate", FAULT_TRUNCATE, 0, false, {TK_E_IO}},
        {"shared memory", FAULT_SHM, 0, false, {TK_E_IO}},
        {"memory", FAULT_ALLOC, 0, false, {TK_E_NO_MEMORY}},
        {"memory, from then on", FAULT_ALLOC, 0, true, {TK_E_NO_MEMORY}},
};

/* Every call of the disk fails in turn; of the thousands of allocations the later ones are sampled. */
static unsigned next(const struct sort *sort, unsigned n) {
        return n + 1 + (sort->kinds == FAULT_ALLOC ? n / 25 : 0);
}

#define SORTS_NR (sizeof sorts / sizeof *sorts)

/* One run: batch 1 with the n-th call failing. True when nothing failed. */
static bool run_batch(const struct sort *sort, unsigned n) {
        struct place place;
        place_make(&place);
        struct tk_store *store = store_must_open(place.url);
        assert_ok(write_batch(store, 0));
        tk_store_close(&store);
        store = store_must_open(place.url); /* nothing is cached, so that it must also read */

        fault_plan(sort->kinds, n, sort->code, sort->for_ever);
        enum tk_err err = write_batch(store, 1);
        enum tk_err again = err && sort->for_ever ? write_batch(store, 1) : err;
        const unsigned failed = fault_end();

        assert_true(IMPLIES(err, failed > 0));
        assert_true(IMPLIES(err, wanted(sort, err)));
        assert_true(IMPLIES(err, wanted(sort, again)));
        check_batches(store, err ? 1 : 3);
        check_crash(&place, !err);
        assert_ok(write_batch(store, 2)); /* the fault is over, and so is its effect */
        if (err)
                assert_ok(write_batch(store, 1));
        check_batches(store, 7);
        tk_store_close(&store);
        store = store_must_open(place.url);
        check_batches(store, 7);
        tk_store_close(&store);
        check_integrity(place.path);
        place_remove(&place);
        faults += failed > 0;
        return failed == 0;
}

static void test_batch_is_whole_or_not_at_all(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < SORTS_NR; i++) {
                unsigned n = 1;
                faults = 0;
                while (n < RUNS_MAX && !run_batch(&sorts[i], n))
                        n = next(&sorts[i], n);
                assert_true(n < RUNS_MAX);
                print_message("batch: %u faults of %s\n", faults, sorts[i].name);
        }
}

/* Opening, from nothing: it fails with a reason, and the next time it works. */
static bool run_open(const struct sort *sort, unsigned n) {
        struct place place;
        struct tk_store *store = NULL;
        struct tk_reader *reader = NULL;
        char why[512] = "";
        place_make(&place);
        fault_plan(sort->kinds, n, sort->code, sort->for_ever);
        enum tk_err err = tk_store_open(place.url, &store, why, sizeof why);
        enum tk_err reader_err = err ? TK_OK : tk_reader_open(store, &reader);
        const unsigned failed = fault_end();
        assert_true(IMPLIES(err || reader_err, failed > 0));
        if (err) {
                assert_null(store);
                assert_true(wanted(sort, err));
                assert_true(strlen(why) > strlen("store : "));
                store = store_must_open(place.url);
        } else if (reader_err) {
                assert_null(reader);
                assert_true(wanted(sort, reader_err));
        }
        if (reader)
                tk_reader_close(&reader);
        assert_ok(write_batch(store, 0));
        check_batches(store, 1);
        tk_store_close(&store);
        check_integrity(place.path);
        place_remove(&place);
        faults += failed > 0;
        return failed == 0;
}

static void test_open_fails_cleanly(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < SORTS_NR; i++) {
                unsigned n = 1;
                faults = 0;
                while (n < RUNS_MAX && !run_open(&sorts[i], n))
                        n = next(&sorts[i], n);
                assert_true(n < RUNS_MAX);
                print_message("open: %u faults of %s\n", faults, sorts[i].name);
        }
}

/* Closing writes the WAL back. What was acknowledged survives whatever fails there. */
static bool run_close(const struct sort *sort, unsigned n) {
        struct place place;
        place_make(&place);
        struct tk_store *store = store_must_open(place.url);
        assert_ok(write_batch(store, 0));
        assert_ok(write_batch(store, 1));
        fault_plan(sort->kinds, n, sort->code, sort->for_ever);
        tk_store_close(&store);
        const unsigned failed = fault_end();
        check_crash(&place, true);
        store = store_must_open(place.url);
        check_batches(store, 3);
        assert_ok(write_batch(store, 2));
        check_batches(store, 7);
        tk_store_close(&store);
        check_integrity(place.path);
        place_remove(&place);
        faults += failed > 0;
        return failed == 0;
}

static void test_close_loses_nothing(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < SORTS_NR; i++) {
                unsigned n = 1;
                faults = 0;
                while (n < RUNS_MAX && !run_close(&sorts[i], n))
                        n = next(&sorts[i], n);
                assert_true(n < RUNS_MAX);
                print_message("close: %u faults of %s\n", faults, sorts[i].name);
        }
}

/* ---- reading ---- */

static enum tk_err read_all(struct tk_store *store, struct tk_reader *reader, struct seen *seen) {
        const struct tk_id none = {{0}};
        struct tk_key key, want = key_of(tk_store_org(store), 3);
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned limits_nr;
        int64_t number;
        uint64_t nr;
        struct tk_user user;
        struct tk_workspace workspace;
        const struct tk_audit_filter filter = {.org = want.id, .to_ms = INT64_MAX};
        enum tk_err err = tk_reader_key_by_digest(reader, want.digest, &key);
        if (!err)
                err = tk_reader_key_list(reader, tk_store_org(store), 0, none, UINT32_MAX, count_key, seen);
        if (!err)
                err = tk_reader_entry_list(reader, tk_store_org(store), none, UINT32_MAX, count_entry, seen);
        if (!err)
                err = tk_reader_lease_list(reader, count_lease, seen);
        if (!err)
                err = tk_reader_doubt_list(reader, none, count_doubt, seen);
        if (!err)
                err = tk_reader_doubt_list(reader, want.id, count_doubt, seen);
        if (!err)
                err = tk_reader_usage_sum(reader, want.id, TK_METER_USD, 0, 100, &number);
        if (!err)
                err = tk_reader_usage_sum_group(reader, TK_GROUP_ORG, tk_store_org(store), TK_METER_USD, 0,
                                                100, &number);
        if (!err)
                err = tk_reader_limits(reader, id_of(100003), limits, &limits_nr);
        if (!err)
                err = tk_reader_topup_list(reader, id_of(100003), count_topup, seen);
        if (!err)
                err = tk_reader_user_by_id(reader, want.id, &user);
        if (!err)
                err = tk_reader_user_by_email(reader, tk_store_org(store), user.email, &user);
        if (!err)
                err = tk_reader_user_list(reader, tk_store_org(store), TK_USER_ROLES_ALL, 1, 100, count_user,
                                          seen);
        if (!err)
                err = tk_reader_user_count(reader, tk_store_org(store), TK_USER_ROLES_ALL, &nr);
        if (!err)
                err = tk_reader_workspace_by_id(reader, want.id, &workspace);
        if (!err)
                err = tk_reader_workspace_by_slug(reader, tk_store_org(store), workspace.slug, &workspace);
        if (!err)
                err = tk_reader_workspace_list(reader, tk_store_org(store), 0, 100, count_workspace, seen);
        if (!err)
                err = tk_reader_workspace_count(reader, tk_store_org(store), &nr);
        if (!err)
                err = tk_reader_alert_list(reader, tk_store_org(store), UINT32_MAX, count_alert, seen);
        if (!err)
                err = tk_reader_alert_due(reader, TK_CHANNEL_EMAIL, INT64_MAX, UINT32_MAX, count_alert, seen);
        if (!err)
                err = tk_reader_audit_list(reader, &filter, 0, 5, count_audit, seen);
        if (!err)
                err = tk_reader_audit_count(reader, &filter, &seen->audits_nr);
        if (!err)
                err = tk_reader_audit_oldest(reader, &number);
        return err ? err : tk_reader_change_last(reader, &number);
}

static bool run_read(const struct sort *sort, unsigned n) {
        struct place place;
        struct tk_reader *reader;
        struct seen seen = {0};
        place_make(&place);
        struct tk_store *store = store_must_open(place.url);
        assert_ok(write_batch(store, 0));
        reader = reader_must_open(store);
        fault_plan(sort->kinds, n, sort->code, sort->for_ever);
        enum tk_err err = read_all(store, reader, &seen);
        const unsigned failed = fault_end();
        assert_true(IMPLIES(err, failed > 0 && wanted(sort, err)));
        seen = (struct seen){0};
        assert_ok(read_all(store, reader, &seen));
        assert_int_equal(seen.keys, SUBJECTS);
        assert_int_equal(seen.entries, SUBJECTS);
        assert_int_equal(seen.leases, SUBJECTS);
        assert_int_equal(seen.doubts, SUBJECTS + 1);
        assert_int_equal(seen.topups, 1);
        assert_int_equal(seen.users, SUBJECTS - 2); /* but the one who was passed over and the one removed */
        assert_int_equal(seen.workspaces, SUBJECTS + 1);
        assert_int_equal(seen.alerts, 2 * SUBJECTS);
        assert_int_equal(seen.audits, 1);
        assert_int_equal(seen.audits_nr, 1);
        tk_reader_close(&reader);
        tk_store_close(&store);
        place_remove(&place);
        faults += failed > 0;
        return failed == 0;
}

static void test_reader_survives_faults(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < SORTS_NR; i++) {
                unsigned n = 1;
                faults = 0;
                while (n < RUNS_MAX && !run_read(&sorts[i], n))
                        n = next(&sorts[i], n);
                assert_true(n < RUNS_MAX);
                print_message("read: %u faults of %s\n", faults, sorts[i].name);
        }
}

/* ---- after a fault ---- */

static void test_batch_is_broken_up_to_its_end(void **state) {
        struct place place;
        struct tk_key key, other;
        TK_UNUSED(state);
        place_make(&place);
        struct tk_store *store = store_must_open(place.url);
        key = key_of(tk_store_org(store), 1);
        other = key_of(tk_store_org(store), 2);
        tk_store_close(&store);
        store = store_must_open(place.url);

        assert_ok(tk_store_begin(store));
        assert_ok(tk_store_mark(store));
        fault_plan(FAULT_ALLOC, 1, 0, true);
        /* Until one needs memory. */
        enum tk_err err = TK_OK;
        for (unsigned i = 1; i < 2000 && !err; i++) {
                struct tk_key many = key_of(tk_store_org(store), 100 + i);
                err = tk_store_key_insert(store, &many);
        }
        assert_int_equal(err, TK_E_NO_MEMORY);
        assert_true(fault_end() > 0);
        /* The fault is gone, but this batch is lost, whatever it tries. */
        assert_int_equal(tk_store_key_insert(store, &key), TK_E_NO_MEMORY);
        assert_int_equal(tk_store_usage_add(store, key.id, TK_METER_USD, 1, 1), TK_E_NO_MEMORY);
        assert_int_equal(tk_store_key_get(store, key.id, &other), TK_E_NO_MEMORY);
        assert_int_equal(tk_store_mark_undo(store), TK_E_NO_MEMORY);
        assert_int_equal(tk_store_mark(store), TK_E_NO_MEMORY);
        assert_int_equal(tk_store_commit(store), TK_E_NO_MEMORY);
        check_batches(store, 0);
        assert_ok(write_batch(store, 0));
        check_batches(store, 1);
        tk_store_close(&store);
        place_remove(&place);
}

static void test_commit_returns_after_the_wal_was_synced(void **state) {
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        struct tk_store *store = store_must_open(place.url);
        for (unsigned batch = 0; batch < 4; batch++) {
                assert_ok(write_batch(store, batch));
                assert_false(fault_wal_unsynced());
        }
        tk_store_close(&store);
        place_remove(&place);
}

/* "only" or "but" and a pattern of names: two processes share the work. */
int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(test_batch_is_whole_or_not_at_all),  TEST(test_open_fails_cleanly),
                TEST(test_close_loses_nothing),           TEST(test_reader_survives_faults),
                TEST(test_batch_is_broken_up_to_its_end), TEST(test_commit_returns_after_the_wal_was_synced),
        };
        MUST(argc == 1 || argc == 3);
        if (argc == 3 && strcmp(argv[1], "only") == 0)
                cmocka_set_test_filter(argv[2]);
        else if (argc == 3)
                cmocka_set_skip_filter(argv[2]);
        fault_vfs_install();
        return cmocka_run_group_tests_name("sqlite_faults", tests, NULL, NULL);
}
