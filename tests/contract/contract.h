/* SPDX-License-Identifier: Apache-2.0
 *
 * contract: what the groups of the store's contract suite share: a fresh store for each test, and lists
 * into arrays.
 */
#ifndef TK_TESTS_CONTRACT_CONTRACT_H
#define TK_TESTS_CONTRACT_CONTRACT_H

#include "contract/fixture.h"
#include "lib/unit.h"

extern const char *contract_engine; /* "memory" or "sqlite", from the command line */

struct fix {
        struct place place;
        const char *url;
        struct tk_store *store;
        struct tk_reader *reader;
        struct tk_id org;
};

int contract_open(void **state); /* of a test: *state is its struct fix */
int contract_close(void **state);

#define T(name) cmocka_unit_test_setup_teardown(test_##name, contract_open, contract_close)

int contract_batch_run(void), contract_key_run(void), contract_ledger_run(void), contract_limits_run(void),
        contract_doubt_run(void), contract_alert_run(void), contract_topup_run(void),
        contract_people_run(void), contract_audit_run(void), contract_profile_run(void),
        contract_threads_run(void);

#define LIST_MAX 256

/* What a list gave; stop_at: after so many it is told to stop. */
struct contract_keys {
        unsigned nr, stop_at;
        struct tk_key keys[LIST_MAX];
};

struct contract_entries {
        unsigned nr, stop_at;
        struct tk_entry entries[LIST_MAX];
};

struct contract_leases {
        unsigned nr, stop_at;
        struct tk_lease leases[LIST_MAX];
};

struct contract_changes {
        unsigned nr, stop_at;
        int64_t seqs[LIST_MAX];
        struct tk_id keys[LIST_MAX];
};

tk_key_each_f contract_take_key;
tk_entry_each_f contract_take_entry;
tk_lease_each_f contract_take_lease;
tk_change_each_f contract_take_change;

/* Of the fixture's organisation, into out. */
enum tk_err contract_list_keys(const struct fix *fix, int64_t now_ms, struct tk_id after, unsigned limit,
                               struct contract_keys *out);
unsigned contract_leases_nr(const struct fix *fix);
int64_t contract_change_last(const struct fix *fix);

extern const struct tk_id no_id;

#endif
