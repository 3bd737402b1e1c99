/* SPDX-License-Identifier: Apache-2.0
 *
 * fill_keys: writes many keys straight into a store and prints their secrets, one a line; for
 * bench_gateway.py, which needs more keys than it would like to ask a server for.
 *
 *   fill_keys URL COUNT     inference keys, each with a cap in USD and one in tokens, both by month
 */
#include "rt/clock.h"
#include "rt/rand.h"
#include "service/keymint.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH 1000

static void check(bool ok, const char *what) {
        if (ok)
                return;
        fprintf(stderr, "fill_keys: %s\n", what);
        exit(1);
}

static void add(struct tk_store *store, unsigned n) {
        struct tk_key key, draft = {.org = tk_store_org(store),
                                    .workspace = tk_store_workspace(store),
                                    .kind = TK_KIND_INFERENCE,
                                    .period = TK_WINDOW_MONTH,
                                    .limits_nr = 2};
        struct tk_key_text secret;
        snprintf(draft.description, sizeof draft.description, "key %u of a benchmark", n);
        for (unsigned i = 0; i < draft.limits_nr; i++)
                draft.limits[i] = (struct tk_limit){.meter = i ? TK_METER_TOKENS : TK_METER_USD,
                                                    .window = {.kind = TK_WINDOW_MONTH},
                                                    .cap = UINT64_C(1000000) * TK_NANO};
        tk_key_mint(&draft, "tk_inf", tk_clock_now_ms(), &key, &secret);
        check(tk_store_key_insert(store, &key) == TK_OK, "a key could not be stored");
        check(puts(secret.at) >= 0, "cannot write");
        tk_key_text_wipe(&secret);
}

int main(int argc, char **argv) {
        struct tk_store *store;
        char why[400];
        uint64_t count;
        check(argc == 3 && tk_str_u64(tk_str_of(argv[2]), &count), "usage: fill_keys URL COUNT");
        check(tk_rand_init() == TK_OK, "no random bytes");
        check(tk_store_open(argv[1], &store, why, sizeof why) == TK_OK, why);
        for (unsigned n = 0; n < count;) {
                check(tk_store_begin(store) == TK_OK, "begin");
                for (unsigned i = 0; i < BATCH && n < count; i++)
                        add(store, n++);
                check(tk_store_commit(store) == TK_OK, "commit");
        }
        tk_store_close(&store);
        return fflush(stdout) == 0 ? 0 : 1;
}
