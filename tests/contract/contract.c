/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of store.h, run against one engine: store_contract memory | sqlite.
 */
#include "contract/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *contract_engine;

int contract_open(void **state) {
        struct fix *fix = calloc(1, sizeof *fix);
        assert_non_null(fix);
        place_make(&fix->place);
        fix->url = strcmp(contract_engine, "sqlite") == 0 ? fix->place.url : "memory:";
        fix->store = store_must_open(fix->url);
        fix->reader = reader_must_open(fix->store);
        fix->org = tk_store_org(fix->store);
        *state = fix;
        return 0;
}

int contract_close(void **state) {
        struct fix *fix = *state;
        tk_reader_close(&fix->reader);
        assert_null(fix->reader);
        tk_store_close(&fix->store);
        assert_null(fix->store);
        place_remove(&fix->place);
        free(fix);
        return 0;
}
/* ---- lists into arrays ---- */

bool contract_take_key(const struct tk_key *key, void *ctx) {
        struct contract_keys *list = ctx;
        assert_true(list->nr < LIST_MAX);
        list->keys[list->nr++] = *key;
        return list->nr != list->stop_at;
}

enum tk_err contract_list_keys(const struct fix *fix, int64_t now_ms, struct tk_id after, unsigned limit,
                               struct contract_keys *out) {
        out->nr = 0;
        return tk_reader_key_list(fix->reader, fix->org, now_ms, after, limit, contract_take_key, out);
}

bool contract_take_entry(const struct tk_entry *entry, void *ctx) {
        struct contract_entries *list = ctx;
        assert_true(list->nr < LIST_MAX);
        list->entries[list->nr++] = *entry;
        return list->nr != list->stop_at;
}

bool contract_take_lease(const struct tk_lease *lease, void *ctx) {
        struct contract_leases *list = ctx;
        assert_true(list->nr < LIST_MAX);
        list->leases[list->nr++] = *lease;
        return list->nr != list->stop_at;
}

unsigned contract_leases_nr(const struct fix *fix) {
        struct contract_leases *list = calloc(1, sizeof *list);
        assert_non_null(list);
        assert_ok(tk_reader_lease_list(fix->reader, contract_take_lease, list));
        unsigned nr = list->nr;
        free(list);
        return nr;
}

bool contract_take_change(int64_t seq, struct tk_id key, void *ctx) {
        struct contract_changes *list = ctx;
        assert_true(list->nr < LIST_MAX);
        list->seqs[list->nr] = seq;
        list->keys[list->nr++] = key;
        return list->nr != list->stop_at;
}

int64_t contract_change_last(const struct fix *fix) {
        int64_t seq;
        assert_ok(tk_reader_change_last(fix->reader, &seq));
        return seq;
}

const struct tk_id no_id;

int main(int argc, char **argv) {
        if (argc != 2 || (strcmp(argv[1], "memory") != 0 && strcmp(argv[1], "sqlite") != 0)) {
                fprintf(stderr, "usage: store_contract memory | sqlite\n");
                return 2;
        }
        contract_engine = argv[1];
        int failed = contract_batch_run();
        failed += contract_key_run();
        failed += contract_ledger_run();
        failed += contract_limits_run();
        failed += contract_doubt_run();
        failed += contract_alert_run();
        failed += contract_topup_run();
        failed += contract_people_run();
        failed += contract_audit_run();
        failed += contract_profile_run();
        failed += contract_threads_run();
        return failed ? 1 : 0;
}
