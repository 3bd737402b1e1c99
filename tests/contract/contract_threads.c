/* SPDX-License-Identifier: Apache-2.0
 *
 * One writer and many readers at once.
 */
#include "contract/contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- threads ---- */

#define KEYS   10
#define ROUNDS 150

struct watcher {
        struct tk_store *store;
        struct tk_id org;
        atomic_bool *done;
        unsigned looks;
        const char *wrong; /* cmocka's asserts may only run on the test's own thread */
};

struct glance {
        unsigned nr;
        char text[TK_DESCRIPTION_BYTES_MAX + 1];
        bool torn;
};

static bool look(const struct tk_key *key, void *ctx) {
        struct glance *glance = ctx;
        if (glance->nr++ == 0)
                strcpy(glance->text, key->description);
        /* All keys of a batch carry its number, and so does the cap of each. */
        if (strcmp(glance->text, key->description) != 0 ||
            (unsigned long)key->limits[0].cap != strtoul(key->description, NULL, 10))
                glance->torn = true;
        return true;
}

static void *watch(void *ctx) {
        struct watcher *watcher = ctx;
        struct tk_reader *reader;
        unsigned long last = 0;
        bool done = false;
        if (tk_reader_open(watcher->store, &reader)) {
                watcher->wrong = "cannot open a reader";
                return NULL;
        }
        while (!done && !watcher->wrong) {
                struct glance glance = {0};
                done = atomic_load(watcher->done); /* before the look, so that the last look sees all */
                if (tk_reader_key_list(reader, watcher->org, 0, no_id, KEYS + 1, look, &glance))
                        watcher->wrong = "the list failed";
                else if (glance.nr != KEYS)
                        watcher->wrong = "not all keys are there";
                else if (glance.torn)
                        watcher->wrong = "half a batch was seen";
                else if (strtoul(glance.text, NULL, 10) < last)
                        watcher->wrong = "time went backwards";
                last = strtoul(glance.text, NULL, 10);
                watcher->looks++;
        }
        if (!watcher->wrong && last != ROUNDS)
                watcher->wrong = "the last batch was not seen";
        tk_reader_close(&reader);
        return NULL;
}

static void number_keys(struct fix *fix, unsigned round) {
        assert_ok(tk_store_begin(fix->store));
        for (unsigned i = 1; i <= KEYS; i++) {
                struct tk_key key = key_of(fix->org, i);
                snprintf(key.description, sizeof key.description, "%u", round);
                key.limits[0].cap = round;
                assert_ok(round ? tk_store_key_update(fix->store, &key)
                                : tk_store_key_insert(fix->store, &key));
        }
        assert_ok(tk_store_commit(fix->store));
}

static void test_threads_see_whole_batches(void **state) {
        struct fix *fix = *state;
        atomic_bool done = false;
        struct watcher watchers[3];
        pthread_t threads[3];
        number_keys(fix, 0);
        for (int i = 0; i < 3; i++) {
                watchers[i] = (struct watcher){.store = fix->store, .org = fix->org, .done = &done};
                assert_int_equal(pthread_create(&threads[i], NULL, watch, &watchers[i]), 0);
        }
        for (unsigned round = 1; round <= ROUNDS; round++)
                number_keys(fix, round);
        atomic_store(&done, true);
        for (int i = 0; i < 3; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int i = 0; i < 3; i++) {
                if (watchers[i].wrong)
                        print_error("%s\n", watchers[i].wrong);
                assert_null(watchers[i].wrong);
                assert_true(watchers[i].looks > 0);
        }
}

int contract_threads_run(void) {
        const struct CMUnitTest tests[] = {
                T(threads_see_whole_batches),
        };
        return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
