/* SPDX-License-Identifier: Apache-2.0
 *
 * When keys were last used: written a part at a time, the oldest notes first, and all of them at the end.
 * Records of the audit log that are too old: removed a part at a time.
 */
#include "service/housekeeper.h"

#include "lib/unit.h"
#include "rt/rand.h"
#include "service/keymint.h"
#include "service/keys.h"
#include "service/service.h"
#include "service/service_int.h"
#include "store/audit.h"

#define NOW  INT64_C(2000000000000)
#define PART TK_HOUSEKEEPER_TOUCHES
#define KEYS (2 * PART + 1)

struct bed {
        struct tk_store *store;
        struct tk_catalog *catalog;
        struct tk_service *service;
        struct tk_worker *worker;
        struct tk_id ids[KEYS];
        struct tk_snapshot *keys[KEYS];
};

static bool no_mail(void *loop, struct tk_mail *mail) {
        TK_UNUSED(loop);
        TK_UNUSED(mail);
        return false;
}

static void add_key(struct bed *bed, unsigned i) {
        struct tk_key key, draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_MONTH};
        struct tk_key_text secret;
        draft.org = tk_store_org(bed->store);
        draft.workspace = tk_store_workspace(bed->store);
        tk_key_mint(&draft, "tk_inf", NOW, &key, &secret);
        assert_ok(tk_store_begin(bed->store));
        assert_ok(tk_store_key_insert(bed->store, &key));
        assert_ok(tk_store_commit(bed->store));
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &bed->keys[i]));
        bed->ids[i] = key.id;
}

static int open_bed(void **state) {
        static struct bed bed;
        char why[200];
        bed = (struct bed){0};
        assert_ok(tk_rand_init());
        assert_ok(tk_store_open("memory:", &bed.store, why, sizeof why));
        bed.catalog = tk_catalog_new();
        assert_non_null(bed.catalog);
        struct tk_service_opt opt = {.store = bed.store,
                                     .catalog = bed.catalog,
                                     .key_prefix = "tk",
                                     .manual = true,
                                     .start_ms = NOW};
        assert_ok(tk_service_open(&opt, &bed.service));
        assert_ok(tk_worker_open(bed.service, no_mail, NULL, &bed.worker));
        for (unsigned i = 0; i < KEYS; i++)
                add_key(&bed, i);
        *state = &bed;
        return 0;
}

static void close_service(struct bed *bed) {
        for (unsigned i = 0; i < KEYS; i++)
                tk_snapshot_release(&bed->keys[i]);
        tk_worker_close(&bed->worker);
        tk_service_close(&bed->service);
}

static int close_bed(void **state) {
        struct bed *bed = *state;
        if (bed->service)
                close_service(bed);
        tk_catalog_free(&bed->catalog);
        tk_store_close(&bed->store);
        return 0;
}

/* What the store says of each. */
static int64_t stored(struct bed *bed, unsigned i) {
        struct tk_reader *reader;
        struct tk_key key;
        assert_ok(tk_reader_open(bed->store, &reader));
        assert_ok(tk_reader_key_by_id(reader, bed->ids[i], &key));
        tk_reader_close(&reader);
        return key.last_used_ms;
}

static void flush(struct bed *bed) {
        tk_housekeeper_flush(bed->service);
        while (tk_service_step(bed->service))
                ;
}

static void the_oldest_notes_are_written_first(void **state) {
        struct bed *bed = *state;
        for (unsigned i = 0; i < KEYS; i++)
                tk_keys_touch(bed->worker, bed->keys[i], NOW + i);
        flush(bed);
        assert_int_equal(stored(bed, 0), NOW);
        assert_int_equal(stored(bed, PART - 1), NOW + PART - 1);
        assert_int_equal(stored(bed, PART), 0);
        /* One that is used again takes its place at the end; one that waits keeps its own and is up to date.
         */
        tk_keys_touch(bed->worker, bed->keys[0], NOW + KEYS);
        tk_keys_touch(bed->worker, bed->keys[PART], NOW + KEYS);
        flush(bed);
        assert_int_equal(stored(bed, PART), NOW + KEYS);
        assert_int_equal(stored(bed, 2 * PART - 1), NOW + 2 * PART - 1);
        assert_int_equal(stored(bed, 2 * PART), 0);
        assert_int_equal(stored(bed, 0), NOW);
        flush(bed);
        assert_int_equal(stored(bed, 2 * PART), NOW + 2 * PART);
        assert_int_equal(stored(bed, 0), NOW + KEYS);
        /* Nothing is left, and the list is in order. */
        flush(bed);
        tk_keys_touch(bed->worker, bed->keys[7], NOW + KEYS);
        flush(bed);
        assert_int_equal(stored(bed, 7), NOW + KEYS);
}

static void all_are_written_at_the_end(void **state) {
        struct bed *bed = *state;
        for (unsigned i = 0; i < KEYS; i++)
                tk_keys_touch(bed->worker, bed->keys[i], NOW + i);
        close_service(bed);
        for (unsigned i = 0; i < KEYS; i++)
                assert_int_equal(stored(bed, i), NOW + i);
}

/* ---- records of the audit log ---- */

#define DAY_MS  INT64_C(86400000)
#define RECORDS (TK_HOUSEKEEPER_RECORDS + 7u)

static void add_records(struct bed *bed, unsigned nr, int64_t at_ms) {
        assert_ok(tk_store_begin(bed->store));
        for (unsigned i = 0; i < nr; i++) {
                const struct tk_audit audit = {.id = tk_rand_id(at_ms),
                                               .org = tk_store_org(bed->store),
                                               .at_ms = at_ms,
                                               .kind = TK_ACTOR_SYSTEM,
                                               .action = "a.b",
                                               .resource_type = "a",
                                               .resource = {{1}}};
                assert_ok(tk_store_audit_add(bed->store, &audit));
        }
        assert_ok(tk_store_commit(bed->store));
}

static uint64_t records_nr(struct bed *bed) {
        const struct tk_audit_filter filter = {.org = tk_store_org(bed->store), .to_ms = INT64_MAX};
        struct tk_reader *reader;
        uint64_t nr;
        assert_ok(tk_reader_open(bed->store, &reader));
        assert_ok(tk_reader_audit_count(reader, &filter, &nr));
        tk_reader_close(&reader);
        return nr;
}

/* One run of the housekeeper; true: it had something to remove. */
static bool trim(struct bed *bed) {
        bool queued = false;
        tk_housekeeper_trim(bed->service, NOW);
        while (tk_service_step(bed->service))
                queued = true;
        return queued;
}

static void old_records_are_removed_in_steps(void **state) {
        struct bed *bed = *state;
        add_records(bed, RECORDS, NOW - 3 * DAY_MS - 1);
        add_records(bed, 5, NOW - 3 * DAY_MS);
        assert_false(trim(bed)); /* for ever, unless told */
        bed->service->audit_days = 3;
        assert_true(trim(bed));
        assert_int_equal(records_nr(bed), 5 + 7);
        assert_true(trim(bed));
        assert_int_equal(records_nr(bed), 5);
        assert_false(trim(bed)); /* what is left is not too old, and nothing is written */
        assert_int_equal(records_nr(bed), 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_oldest_notes_are_written_first, open_bed, close_bed),
                cmocka_unit_test_setup_teardown(all_are_written_at_the_end, open_bed, close_bed),
                cmocka_unit_test_setup_teardown(old_records_are_removed_in_steps, open_bed, close_bed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
