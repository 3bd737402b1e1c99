/* SPDX-License-Identifier: Apache-2.0
 *
 * fill_keys: writes many keys straight into a store and prints their secrets, one a line; for
 * bench_gateway.py, which needs more keys than it would like to ask a server for.
 *
 *   fill_keys URL COUNT     inference keys, each with a cap in USD and one in tokens, both by month
 *
 * The secrets are made first and written in the order of their digests, in large transactions: so every index
 * grows at its end, and ten million keys take minutes rather than hours. The keys are the same as ever.
 */
#include "rt/clock.h"
#include "rt/rand.h"
#include "service/keymint.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 50000

struct secret {
        uint8_t digest[32];
        struct tk_key_text text;
};

static void check(bool ok, const char *what) {
        if (ok)
                return;
        fprintf(stderr, "fill_keys: %s\n", what);
        exit(1);
}

static int by_digest(const void *a, const void *b) {
        return memcmp(((const struct secret *)a)->digest, ((const struct secret *)b)->digest, 32);
}

static struct secret *secrets_new(const struct tk_key *draft, size_t count) {
        struct secret *secrets = malloc(count * sizeof *secrets);
        check(secrets != NULL, "out of memory");
        for (size_t i = 0; i < count; i++) {
                struct tk_key key;
                tk_key_mint(draft, "tk_inf", tk_clock_now_ms(), &key, &secrets[i].text);
                memcpy(secrets[i].digest, key.digest, sizeof key.digest);
        }
        qsort(secrets, count, sizeof *secrets, by_digest);
        return secrets;
}

static struct tk_key draft_of(struct tk_store *store) {
        struct tk_key draft = {.org = tk_store_org(store),
                               .workspace = tk_store_workspace(store),
                               .kind = TK_KIND_INFERENCE,
                               .period = TK_WINDOW_MONTH,
                               .limits_nr = 2};
        for (unsigned i = 0; i < draft.limits_nr; i++)
                draft.limits[i] = (struct tk_limit){.meter = i ? TK_METER_TOKENS : TK_METER_USD,
                                                    .window = {.kind = TK_WINDOW_MONTH},
                                                    .cap = UINT64_C(1000000) * TK_NANO};
        return draft;
}

/* A key as it would have been minted with this secret. */
static void add(struct tk_store *store, const struct tk_key *draft, const struct secret *secret, size_t n) {
        struct tk_key key;
        struct tk_key_text other;
        tk_key_mint(draft, "tk_inf", tk_clock_now_ms(), &key, &other);
        tk_key_text_wipe(&other);
        memcpy(key.digest, secret->digest, sizeof key.digest);
        memcpy(key.last6, secret->text.at + secret->text.len - TK_KEY_LAST6, TK_KEY_LAST6 + 1);
        snprintf(key.description, sizeof key.description, "key %zu of a benchmark", n);
        check(tk_store_key_insert(store, &key) == TK_OK, "a key could not be stored");
        check(puts(secret->text.at) >= 0, "cannot write");
}

int main(int argc, char **argv) {
        struct tk_store *store;
        char why[400];
        uint64_t count;
        check(argc == 3 && tk_str_u64(tk_str_of(argv[2]), &count) && count > 0 &&
                      count <= SIZE_MAX / sizeof(struct secret),
              "usage: fill_keys URL COUNT");
        check(tk_rand_init() == TK_OK, "no random bytes");
        check(tk_store_open(argv[1], &store, why, sizeof why) == TK_OK, why);
        const struct tk_key draft = draft_of(store);
        struct secret *secrets = secrets_new(&draft, (size_t)count);
        for (size_t n = 0; n < count;) {
                check(tk_store_begin(store) == TK_OK, "begin");
                for (size_t i = 0; i < BATCH && n < count; i++, n++)
                        add(store, &draft, &secrets[n], n);
                check(tk_store_commit(store) == TK_OK, "commit");
        }
        free(secrets);
        tk_store_close(&store);
        return fflush(stdout) == 0 ? 0 : 1;
}
