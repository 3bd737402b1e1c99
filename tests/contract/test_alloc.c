/* SPDX-License-Identifier: Apache-2.0
 *
 * A store without memory: the n-th allocation of a batch fails, for n = 1, 2, 3 ... until none does. A failed
 * job must be undone, a failed commit must leave everything as before, and the store must work on.
 *
 * The linker sends every allocation of the program here (-Wl,--wrap), but not those of its libraries;
 * SQLite's own are failed by test_sqlite_faults. Run as: test_alloc memory | sqlite
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract/fixture.h"
#include "lib/unit.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__wrap_realloc(void *at, size_t size);

static unsigned countdown; /* 0: nothing fails; n: the n-th from now, once */
static bool failed;

static bool must_fail(void) {
        if (countdown && --countdown == 0)
                failed = true;
        else
                return false;
        return true;
}

void *__wrap_malloc(size_t size) {
        return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size) {
        return must_fail() ? NULL : __real_calloc(nr, size);
}

void *__wrap_realloc(void *at, size_t size) {
        return must_fail() ? NULL : __real_realloc(at, size);
}

static void fail_from(unsigned n) {
        countdown = n;
        failed = false;
}

#define SUBJECTS 40

static const char *engine; /* from the command line */

struct fix {
        struct place place;
        const char *url;
};

static struct fix fix_make(void) {
        struct fix fix;
        place_make(&fix.place);
        return fix;
}

static struct tk_store *fix_open(struct fix *fix) {
        fix->url = strcmp(engine, "sqlite") == 0 ? fix->place.url : "memory:";
        return store_must_open(fix->url);
}

/* More of everything than the first arrays hold; the first fault, or what commit says. */
static enum tk_err write_batch(struct tk_store *store, unsigned base) {
        enum tk_err err = tk_store_begin(store);
        for (unsigned i = 1; i <= SUBJECTS && !err; i++) {
                struct tk_key key = key_of(tk_store_org(store), base + i);
                key.user = id_of(base + i + 1); /* a neighbour, who has a key when they go */
                struct tk_entry entry = entry_of(tk_store_org(store), key.id, base + i);
                struct tk_lease lease = lease_of(key.id, 5);
                struct tk_doubt doubt = doubt_of(key.id, 5), gone = doubt_of(tk_store_org(store), 5);
                const struct tk_topup topup = topup_of(id_of(50000 + base + i), base + i);
                const struct tk_user user = user_of(tk_store_org(store), base + i);
                const struct tk_workspace workspace = workspace_of(tk_store_org(store), base + i);
                const struct tk_alert alert = alert_of(tk_store_org(store), base + i);
                const struct tk_delivery given_up = {.status = TK_DELIVERY_FAILED, .tries = 9};
                const struct tk_audit audit = audit_of(tk_store_org(store), base + i);
                char name[] = {(char)('a' + i % 26), (char)('a' + i / 26), '\0'};
                err = tk_store_key_insert(store, &key);
                if (!err)
                        err = tk_store_key_touch(store, key.id, 5);
                if (!err)
                        err = tk_store_key_update(store, &key);
                if (!err) {
                        struct tk_profile profile = {.key = key.id};
                        err = tk_store_profile_put(store, &profile);
                }
                for (int64_t hour = 0; hour < 3 && !err; hour++)
                        err = tk_store_usage_add(store, key.id, TK_METER_USD, hour, 7);
                if (!err)
                        err = tk_store_entry_add(store, &entry);
                if (!err)
                        err = tk_store_lease_put(store, &lease);
                if (!err)
                        err = tk_store_doubt_put(store, &gone);
                if (!err)
                        err = tk_store_doubt_put(store, &doubt);
                if (!err)
                        err = tk_store_doubt_drop(store, &gone);
                if (!err)
                        err = tk_store_change_add(store, key.id);
                if (!err)
                        err = tk_store_limits_put(store, id_of(50000 + base + i), key.limits, key.limits_nr);
                if (!err)
                        err = tk_store_topup(store, &topup);
                if (!err)
                        err = tk_store_user_insert(store, &user);
                if (!err)
                        err = tk_store_user_update(store, &user);
                if (!err)
                        err = tk_store_workspace_insert(store, &workspace);
                if (!err && i % 8 == 0)
                        err = tk_store_user_remove(store, user.id, 9);
                if (!err)
                        err = tk_store_alert_add(store, &alert);
                if (!err)
                        err = tk_store_alert_sent(store, alert.id, TK_CHANNEL_EMAIL, &given_up);
                if (!err)
                        err = tk_store_audit_add(store, &audit);
                if (!err)
                        err = tk_store_audit_trim(store, 0, 5); /* none is as old as that */
                if (!err)
                        err = tk_store_meta_put(store, name, TK_STR("value"));
        }
        if (!err)
                return tk_store_commit(store);
        tk_store_rollback(store);
        return err;
}

struct seen {
        unsigned keys, entries, leases, doubts, topups, alerts;
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
        assert_int_equal(alert->sent[TK_CHANNEL_EMAIL].tries, 9);
        ((struct seen *)ctx)->alerts++;
        return true;
}

static bool count_topup(const struct tk_topup *topup, void *ctx) {
        TK_UNUSED(topup);
        ((struct seen *)ctx)->topups++;
        return true;
}

static void check(struct tk_store *store, unsigned batches) {
        const struct tk_id none = {{0}};
        struct tk_reader *reader = reader_must_open(store);
        struct seen seen = {0};
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned limits_nr;
        int64_t changes;
        uint64_t users, workspaces;
        assert_ok(tk_reader_user_count(reader, tk_store_org(store), TK_USER_ROLES_ALL, &users));
        assert_int_equal(users, batches * (SUBJECTS - SUBJECTS / 8));
        assert_ok(tk_reader_workspace_count(reader, tk_store_org(store), &workspaces));
        assert_int_equal(workspaces, batches * SUBJECTS + 1); /* and the first */
        uint64_t audits;
        const struct tk_audit_filter filter = {.org = tk_store_org(store), .to_ms = INT64_MAX};
        assert_ok(tk_reader_audit_count(reader, &filter, &audits));
        assert_int_equal(audits, batches * SUBJECTS);
        assert_ok(tk_reader_key_list(reader, tk_store_org(store), 0, none, UINT32_MAX, count_key, &seen));
        assert_ok(tk_reader_entry_list(reader, tk_store_org(store), none, UINT32_MAX, count_entry, &seen));
        assert_ok(tk_reader_lease_list(reader, count_lease, &seen));
        assert_ok(tk_reader_doubt_list(reader, none, count_doubt, &seen));
        assert_ok(tk_reader_alert_list(reader, tk_store_org(store), UINT32_MAX, count_alert, &seen));
        assert_ok(tk_reader_alert_due(reader, TK_CHANNEL_WEBHOOK, INT64_MAX, UINT32_MAX, count_alert, &seen));
        assert_ok(tk_reader_alert_due(reader, TK_CHANNEL_EMAIL, INT64_MAX, UINT32_MAX, count_alert, &seen));
        assert_ok(tk_reader_change_last(reader, &changes));
        assert_int_equal(seen.keys, batches * (SUBJECTS - SUBJECTS / 8)); /* but those of who was removed */
        assert_int_equal(seen.entries, batches * SUBJECTS);
        assert_int_equal(seen.leases, batches * SUBJECTS);
        assert_int_equal(seen.doubts, batches * SUBJECTS);
        assert_int_equal(changes, batches * (SUBJECTS * 6 + SUBJECTS / 8));
        assert_int_equal(seen.alerts, batches * SUBJECTS * 2);
        for (unsigned batch = 0; batch < 2; batch++)
                for (unsigned i = 1; i <= SUBJECTS; i++) {
                        assert_int_equal(usage_of(reader, id_of(batch * 1000 + i), TK_METER_USD),
                                         batch < batches ? 21 : 0);
                        assert_ok(tk_reader_limits(reader, id_of(50000 + batch * 1000 + i), limits,
                                                   &limits_nr));
                        assert_int_equal(limits_nr, batch < batches ? 3 : 0);
                        seen.topups = 0;
                        assert_ok(tk_reader_topup_list(reader, id_of(50000 + batch * 1000 + i), count_topup,
                                                       &seen));
                        assert_int_equal(seen.topups, batch < batches ? 1 : 0);
                }
        tk_reader_close(&reader);
}

static void test_batch_without_memory_leaves_the_state_before_it(void **state) {
        unsigned n = 1, faults = 0;
        TK_UNUSED(state);
        for (bool clean = false; !clean; n++) {
                struct fix fix = fix_make();
                struct tk_store *store = fix_open(&fix);
                assert_ok(write_batch(store, 0));
                if (strcmp(engine, "sqlite") == 0) { /* which keeps its buffers from batch to batch */
                        tk_store_close(&store);
                        store = fix_open(&fix);
                }
                fail_from(n);
                enum tk_err err = write_batch(store, 1000);
                fail_from(0);
                clean = err == TK_OK;
                if (!clean) {
                        assert_int_equal(err, TK_E_NO_MEMORY);
                        faults++;
                        check(store, 1);
                        assert_ok(write_batch(store, 1000)); /* and then it works */
                }
                check(store, 2);
                tk_store_close(&store);
                place_remove(&fix.place);
        }
        assert_true(faults > (strcmp(engine, "memory") == 0 ? 200 : 3));
        print_message("%u allocations failed in turn\n", faults);
}

static void test_job_without_memory_can_be_undone(void **state) {
        TK_UNUSED(state);
        for (unsigned n = 1;; n++) {
                struct fix fix = fix_make();
                struct tk_store *store = fix_open(&fix);
                struct tk_entry entry = entry_of(tk_store_org(store), id_of(2), 2);
                struct tk_key before = key_of(tk_store_org(store), 1), job = key_of(tk_store_org(store), 2);
                struct tk_reader *reader = reader_must_open(store);
                struct tk_key seen;
                assert_ok(tk_store_begin(store));
                assert_ok(tk_store_key_insert(store, &before));
                assert_ok(tk_store_mark(store));
                fail_from(n);
                enum tk_err err = tk_store_usage_add(store, job.id, TK_METER_USD, 1, 1);
                if (!err)
                        err = tk_store_entry_add(store, &entry);
                if (!err)
                        err = tk_store_key_insert(store, &job);
                const bool clean = !failed;
                fail_from(0);
                assert_int_equal(err, clean ? TK_OK : TK_E_NO_MEMORY);
                assert_ok(tk_store_mark_undo(store));
                assert_ok(tk_store_commit(store));
                assert_ok(tk_reader_key_by_id(reader, before.id, &seen));
                assert_int_equal(tk_reader_key_by_id(reader, job.id, &seen), TK_E_NOT_FOUND);
                assert_int_equal(usage_of(reader, job.id, TK_METER_USD), 0);
                tk_reader_close(&reader);
                tk_store_close(&store);
                place_remove(&fix.place);
                if (clean)
                        break;
        }
}

static void test_open_without_memory_says_so(void **state) {
        unsigned n = 1;
        TK_UNUSED(state);
        for (;; n++) {
                struct tk_store *store;
                struct tk_reader *reader = NULL;
                struct fix fix = fix_make();
                char why[200] = "?";
                fix.url = strcmp(engine, "sqlite") == 0 ? fix.place.url : "memory:";
                fail_from(n);
                enum tk_err err = tk_store_open(fix.url, &store, why, sizeof why);
                if (!err)
                        err = tk_reader_open(store, &reader);
                const bool clean = !failed;
                fail_from(0);
                assert_int_equal(err, clean ? TK_OK : TK_E_NO_MEMORY);
                if (!store)
                        assert_string_equal(why, "out of memory");
                tk_reader_close(&reader);
                tk_store_close(&store);
                place_remove(&fix.place);
                if (clean)
                        break;
        }
        assert_true(n > 2);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(test_batch_without_memory_leaves_the_state_before_it),
                TEST(test_job_without_memory_can_be_undone),
                TEST(test_open_without_memory_says_so),
        };
        if (argc != 2) {
                fprintf(stderr, "usage: test_alloc memory | sqlite\n");
                return 2;
        }
        engine = argv[1];
        return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
