/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log: what was added comes back whole, newest first, and is found by whatever a filter names.
 */
#include "contract/contract.h"

#include <stdio.h>
#include <string.h>

#define RECORDS 60u

/* Rows whose texts live as long as the fixture's literals are compared in place, not kept. */
struct walk {
        const struct tk_audit *want; /* NULL: only counted */
        unsigned nr, stop_at;
        unsigned seen[LIST_MAX]; /* the n of audit_of() */
};

static bool take(const struct tk_audit *audit, void *ctx) {
        struct walk *walk = ctx;
        assert_true(walk->nr < LIST_MAX);
        const struct tk_audit want = audit_of(audit->org, (unsigned)audit->at_ms);
        assert_true(audit_same(audit, &want));
        walk->seen[walk->nr++] = (unsigned)audit->at_ms;
        return walk->nr != walk->stop_at;
}

static bool compare(const struct tk_audit *audit, void *ctx) {
        struct walk *walk = ctx;
        assert_true(audit_same(audit, walk->want));
        walk->nr++;
        return true;
}

static enum tk_err put(struct fix *fix, const struct tk_audit *audit) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_audit_add(fix->store, audit);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static void trim(struct fix *fix, int64_t before_ms, unsigned limit) {
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_audit_trim(fix->store, before_ms, limit));
        assert_ok(tk_store_commit(fix->store));
}

/* Records 1 to RECORDS of the organisation, and one of another. */
static void fill(struct fix *fix) {
        const struct tk_audit other = audit_of(id_of(9000), RECORDS + 1);
        assert_ok(tk_store_begin(fix->store));
        for (unsigned n = RECORDS; n >= 1; n--) {
                const struct tk_audit audit = audit_of(fix->org, n);
                assert_ok(tk_store_audit_add(fix->store, &audit));
        }
        assert_ok(tk_store_audit_add(fix->store, &other));
        assert_ok(tk_store_commit(fix->store));
}

static struct tk_audit_filter all_of(struct tk_id org) {
        return (struct tk_audit_filter){.org = org, .from_ms = 0, .to_ms = INT64_MAX};
}

static uint64_t count(struct fix *fix, const struct tk_audit_filter *filter) {
        uint64_t nr = 99;
        assert_ok(tk_reader_audit_count(fix->reader, filter, &nr));
        return nr;
}

static void test_record_comes_back_whole(void **state) {
        struct fix *fix = *state;
        struct tk_audit audit = audit_of(fix->org, 4);
        struct walk walk = {.want = &audit};
        static char big[TK_AUDIT_JSON_MAX];
        memset(big, ' ', sizeof big);
        big[0] = '{';
        big[sizeof big - 1] = '}';
        memset(audit.uri, 'u', TK_AUDIT_URI_MAX);
        memset(audit.actor_name, 'n', TK_AUDIT_NAME_MAX);
        memset(audit.request_id, 'r', TK_AUDIT_REQUEST_MAX);
        audit.before = (struct tk_str){big, sizeof big};
        assert_ok(put(fix, &audit));
        const struct tk_audit_filter filter = all_of(fix->org);
        assert_ok(tk_reader_audit_list(fix->reader, &filter, 0, 10, compare, &walk));
        assert_int_equal(walk.nr, 1);
        assert_int_equal(put(fix, &audit), TK_E_CONFLICT);
        assert_int_equal(count(fix, &filter), 1);
}

static void test_pages_go_from_new_to_old(void **state) {
        struct fix *fix = *state;
        struct tk_audit_filter filter = all_of(fix->org);
        fill(fix);
        assert_int_equal(count(fix, &filter), RECORDS);
        for (unsigned page = 0; page < 4; page++) {
                struct walk walk = {0};
                assert_ok(tk_reader_audit_list(fix->reader, &filter, page * 17, 17, take, &walk));
                assert_int_equal(walk.nr, page < 3 ? 17 : RECORDS - 51);
                for (unsigned i = 0; i < walk.nr; i++)
                        assert_int_equal(walk.seen[i], RECORDS - page * 17 - i);
        }
        struct walk stopped = {.stop_at = 3}, beyond = {0};
        assert_ok(tk_reader_audit_list(fix->reader, &filter, 0, 17, take, &stopped));
        assert_int_equal(stopped.nr, 3);
        assert_ok(tk_reader_audit_list(fix->reader, &filter, UINT64_MAX, 17, take, &beyond));
        assert_ok(tk_reader_audit_list(fix->reader, &filter, 0, 0, take, &beyond));
        assert_ok(tk_reader_audit_list(fix->reader, &filter, RECORDS, 5, take, &beyond));
        assert_int_equal(beyond.nr, 0);
}

/* Both ends of the time are inside; an end before the beginning holds nothing. */
static void test_time_has_both_ends(void **state) {
        struct fix *fix = *state;
        struct tk_audit_filter filter = all_of(fix->org);
        fill(fix);
        filter.from_ms = 10;
        filter.to_ms = 12;
        assert_int_equal(count(fix, &filter), 3);
        filter.to_ms = 10;
        assert_int_equal(count(fix, &filter), 1);
        filter.to_ms = 9;
        assert_int_equal(count(fix, &filter), 0);
        filter = all_of(id_of(9000));
        assert_int_equal(count(fix, &filter), 1);
        filter = all_of(id_of(9001));
        assert_int_equal(count(fix, &filter), 0);
}

static bool fits(const struct tk_audit_filter *f, const struct tk_audit *a) {
        return (tk_id_none(f->actor) || tk_id_eq(f->actor, a->actor)) &&
               (tk_id_none(f->workspace) || tk_id_eq(f->workspace, a->workspace)) &&
               (tk_id_none(f->resource) || tk_id_eq(f->resource, a->resource)) &&
               (!f->methods[0] || strcmp(f->methods[0], a->method) == 0 ||
                (f->methods[1] && strcmp(f->methods[1], a->method) == 0)) &&
               (!f->uri || strcmp(f->uri, a->uri) == 0) &&
               (!f->request_id || strcmp(f->request_id, a->request_id) == 0) &&
               (!f->resource_type || strcmp(f->resource_type, a->resource_type) == 0) &&
               (!f->action || strcmp(f->action, a->action) == 0) &&
               (!f->client || strcmp(f->client, a->client) == 0) && (!f->kinds || f->kinds & 1u << a->kind) &&
               (!f->status || f->status == a->status);
}

/* Each filter alone and each two together find what a walk over everything finds. */
static void test_filters_find_what_they_name(void **state) {
        struct fix *fix = *state;
        fill(fix);
        for (unsigned pair = 0; pair < 11 * 11; pair++) {
                struct tk_audit_filter filter = all_of(fix->org);
                for (int i = 0; i < 2; i++) {
                        const unsigned which = i ? pair / 11 : pair % 11;
                        if (which == 0)
                                filter.actor = audit_of(fix->org, 12).actor;
                        else if (which == 1)
                                filter.workspace = id_of(7001);
                        else if (which == 2)
                                filter.resource = id_of(7102);
                        else if (which == 3)
                                filter.methods[0] = "PUT", filter.methods[1] = "PATCH";
                        else if (which == 4)
                                filter.methods[0] = "POST";
                        else if (which == 5)
                                filter.uri = "/path/1";
                        else if (which == 6)
                                filter.request_id = "request-13";
                        else if (which == 7)
                                filter.resource_type = "api_key";
                        else if (which == 8)
                                filter.action = "limit.set";
                        else if (which == 9)
                                filter.client = "192.0.2.4";
                        else
                                filter.kinds = 1u << TK_ACTOR_OPERATOR | 1u << TK_ACTOR_KEY,
                                filter.status = 200;
                }
                unsigned want = 0;
                struct walk walk = {0};
                for (unsigned n = 1; n <= RECORDS; n++) {
                        const struct tk_audit audit = audit_of(fix->org, n);
                        want += fits(&filter, &audit);
                }
                assert_int_equal(count(fix, &filter), want);
                assert_ok(tk_reader_audit_list(fix->reader, &filter, 0, LIST_MAX, take, &walk));
                assert_int_equal(walk.nr, want);
        }
}

static void test_oldest_go_first(void **state) {
        struct fix *fix = *state;
        const struct tk_audit_filter filter = all_of(fix->org);
        int64_t oldest;
        assert_int_equal(tk_reader_audit_oldest(fix->reader, &oldest), TK_E_NOT_FOUND);
        trim(fix, 100, 5);
        fill(fix);
        assert_ok(tk_reader_audit_oldest(fix->reader, &oldest));
        assert_int_equal(oldest, 1);
        trim(fix, 11, 4);
        assert_ok(tk_reader_audit_oldest(fix->reader, &oldest));
        assert_int_equal(oldest, 5);
        trim(fix, 11, 100);
        assert_ok(tk_reader_audit_oldest(fix->reader, &oldest));
        assert_int_equal(oldest, 11);
        assert_int_equal(count(fix, &filter), RECORDS - 10);
        trim(fix, 5, 100);
        assert_int_equal(count(fix, &filter), RECORDS - 10);
}

static void test_records_follow_mark_and_rollback(void **state) {
        struct fix *fix = *state;
        const struct tk_audit_filter filter = all_of(fix->org);
        const struct tk_audit kept = audit_of(fix->org, 1), undone = audit_of(fix->org, 2);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_audit_add(fix->store, &kept));
        assert_int_equal(tk_store_audit_add(fix->store, &kept), TK_E_CONFLICT);
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_audit_add(fix->store, &undone));
        assert_ok(tk_store_audit_trim(fix->store, 100, 100));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_int_equal(count(fix, &filter), 0); /* not yet */
        assert_ok(tk_store_commit(fix->store));
        assert_int_equal(count(fix, &filter), 1);
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_audit_add(fix->store, &undone));
        tk_store_rollback(fix->store);
        assert_int_equal(count(fix, &filter), 1);
        assert_int_equal(contract_change_last(fix), 0);
}

static void test_front_refuses_records_that_are_none(void **state) {
        struct fix *fix = *state;
        const struct tk_audit good = audit_of(fix->org, 4); /* of a key */
        struct tk_audit bad[20];
        unsigned nr = 0;
        for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
                bad[i] = good;
        bad[nr++].id = no_id;
        bad[nr++].org = no_id;
        bad[nr++].resource = no_id;
        bad[nr++].actor = no_id;
        bad[nr++].kind = TK_ACTOR_NR;
        bad[nr++].kind = TK_ACTOR_SYSTEM; /* which has no id */
        bad[nr++].at_ms = -1;
        strcpy(bad[nr++].action, "create");
        strcpy(bad[nr++].action, "Api_key.create");
        bad[nr++].action[0] = '\0';
        bad[nr++].resource_type[0] = '\0';
        strcpy(bad[nr++].uri, "/a\nb");
        strcpy(bad[nr++].client, "\xFF");
        memset(bad[nr++].request_id, 'x', sizeof bad->request_id); /* no NUL */
        bad[nr++].status = 99;
        bad[nr++].status = 600;
        bad[nr++].before = TK_STR("[]");
        bad[nr++].after = TK_STR("{");
        bad[nr++].after = TK_STR("{\"\xC0\"}");
        bad[nr++].after = (struct tk_str){"{", TK_AUDIT_JSON_MAX + 1};
        assert_int_equal(nr, sizeof bad / sizeof *bad);
        for (unsigned i = 0; i < nr; i++)
                assert_int_equal(put(fix, &bad[i]), TK_E_RANGE);
        assert_ok(tk_store_begin(fix->store));
        assert_int_equal(tk_store_audit_trim(fix->store, -1, 1), TK_E_RANGE);
        assert_ok(tk_store_commit(fix->store));
        const struct tk_audit_filter filter = all_of(fix->org);
        assert_int_equal(count(fix, &filter), 0);
        assert_ok(put(fix, &good));
}

int contract_audit_run(void) {
        const struct CMUnitTest tests[] = {
                T(record_comes_back_whole),
                T(pages_go_from_new_to_old),
                T(time_has_both_ends),
                T(filters_find_what_they_name),
                T(oldest_go_first),
                T(records_follow_mark_and_rollback),
                T(front_refuses_records_that_are_none),
        };
        return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
