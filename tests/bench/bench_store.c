/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the store is: durable posts per second (an entry and three amounts of usage each), and the reads
 * among 100,000 keys.
 *
 *   bench_store [URL]      default: sqlite: in a folder of its own below the current one, removed afterwards
 *
 * The numbers are those of the disk below as much as of the program: compare runs on one machine only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "contract/fixture.h"
#include "rt/rand.h"

#define KEYS  100000
#define RUN_S 2.0

static void check(enum tk_err err, const char *what) {
        if (err) {
                fprintf(stderr, "bench_store: %s: %s\n", what, tk_err_text(err));
                exit(1);
        }
}

static double now_s(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void) {
        struct timespec t;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- writing ---- */

static int64_t clock_ms = INT64_C(1795000000000);

static void post(struct tk_store *store, struct tk_id subject) {
        struct tk_entry entry = entry_of(tk_store_org(store), subject, 1);
        const int64_t hour = clock_ms / 3600000;
        entry.id = tk_rand_id(clock_ms);
        entry.held_at_ms = clock_ms;
        entry.posted_at_ms = clock_ms + 700;
        strcpy(entry.model, "some-provider-large");
        check(tk_store_entry_add(store, &entry), "entry");
        check(tk_store_usage_add(store, subject, TK_METER_USD, hour, 1234567), "usage");
        check(tk_store_usage_add(store, subject, TK_METER_REQUESTS, hour, 1), "usage");
        check(tk_store_usage_add(store, subject, TK_METER_TOKENS, hour, 1500), "usage");
}

static void bench_posts(struct tk_store *store, unsigned batch, unsigned subjects, bool marked) {
        uint64_t random = 7;
        unsigned long posts = 0;
        const double start = now_s(), cpu = cpu_s();
        while (now_s() - start < RUN_S) {
                check(tk_store_begin(store), "begin");
                for (unsigned i = 0; i < batch; i++) {
                        clock_ms++;
                        if (marked)
                                check(tk_store_mark(store), "mark");
                        post(store, id_of(1 + (unsigned)(random_next(&random) % subjects)));
                        if (marked)
                                check(tk_store_mark_keep(store), "mark");
                }
                check(tk_store_commit(store), "commit");
                posts += batch;
        }
        const double took = now_s() - start, busy = cpu_s() - cpu;
        printf("posts, batch %4u, %6u keys%s %9.0f /s %8.2f us of CPU each\n", batch, subjects,
               marked ? ", marked" : "        ", (double)posts / took, busy / (double)posts * 1e6);
        fflush(stdout);
}

/* ---- reading ---- */

static void fill_keys(struct tk_store *store) {
        const double start = now_s();
        for (unsigned i = 0; i < KEYS;) {
                check(tk_store_begin(store), "begin");
                for (unsigned j = 0; j < 1000; j++, i++) {
                        struct tk_key key = key_of(tk_store_org(store), 1 + i);
                        if (i % 5 == 0)
                                key.expires_ms = 1; /* every fifth is no longer active */
                        check(tk_store_key_insert(store, &key), "key");
                }
                check(tk_store_commit(store), "commit");
        }
        printf("%u keys inserted%29.0f /s\n", KEYS, KEYS / (now_s() - start));
}

static bool count(const struct tk_key *key, void *ctx) {
        TK_UNUSED(key);
        ++*(unsigned *)ctx;
        return true;
}

static void bench_list(struct tk_store *store, struct tk_reader *reader, const char *name, unsigned from) {
        const int64_t now_ms = INT64_C(1795000000000);
        uint64_t random = 9;
        unsigned long lists = 0;
        const double start = now_s();
        while (now_s() - start < RUN_S / 2) {
                const struct tk_id none = {{0}};
                unsigned nr = 0;
                struct tk_id after = from ? id_of(from + (unsigned)(random_next(&random) % 1000)) : none;
                check(tk_reader_key_list(reader, tk_store_org(store), now_ms, after, 50, count, &nr), "list");
                if (nr != 50)
                        check(TK_E_NOT_FOUND, "list");
                lists++;
        }
        printf("list of 50 of %u keys, %s %8.1f us\n", KEYS, name, (now_s() - start) / (double)lists * 1e6);
}

static void bench_digest(struct tk_reader *reader) {
        uint64_t random = 11;
        unsigned long looks = 0;
        const double start = now_s();
        while (now_s() - start < RUN_S / 2) {
                uint8_t digest[32];
                struct tk_key key;
                digest_of(1 + (unsigned)(random_next(&random) % KEYS), digest);
                check(tk_reader_key_by_digest(reader, digest, &key), "digest");
                looks++;
        }
        printf("key by digest of %u keys %17.1f us\n", KEYS, (now_s() - start) / (double)looks * 1e6);
}

static void bench_usage(struct tk_store *store, struct tk_reader *reader) {
        const int64_t hour = clock_ms / 3600000;
        unsigned long sums = 0;
        check(tk_store_begin(store), "begin");
        for (int64_t h = hour - 24 * 400; h < hour; h++) {
                check(tk_store_usage_add(store, id_of(1), TK_METER_USD, h, 5), "usage");
                check(tk_store_usage_add(store, id_of(1), TK_METER_REQUESTS, h, 5), "usage");
                check(tk_store_usage_add(store, id_of(1), TK_METER_TOKENS, h, 5), "usage");
        }
        check(tk_store_commit(store), "commit");
        static const int64_t spans[] = {24, 24 * 7, 24 * 31, 24 * 400};
        for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
                const double start = now_s();
                for (sums = 0; now_s() - start < RUN_S / 8; sums++) {
                        int64_t sum;
                        check(tk_reader_usage_sum(reader, id_of(1), TK_METER_USD, hour - spans[i], INT64_MAX,
                                                  &sum),
                              "sum");
                }
                printf("usage of the last %5lld hours %18.1f us\n", (long long)spans[i],
                       (now_s() - start) / (double)sums * 1e6);
        }
}

int main(int argc, char **argv) {
        char folder[] = "bench-store-XXXXXX", url[100], why[400];
        struct tk_store *store;
        struct tk_reader *reader;
        if (argc < 2) {
                if (!mkdtemp(folder)) {
                        perror("bench_store");
                        return 1;
                }
                snprintf(url, sizeof url, "sqlite:%s/t.db", folder);
        }
        if (tk_store_open(argc < 2 ? url : argv[1], &store, why, sizeof why)) {
                fprintf(stderr, "bench_store: %s\n", why);
                return 1;
        }
        static const unsigned batches[] = {1, 64, 512};
        for (size_t i = 0; i < 3; i++)
                bench_posts(store, batches[i], 1, false);
        for (size_t i = 0; i < 3; i++)
                bench_posts(store, batches[i], 1000, false);
        bench_posts(store, 512, 1000, true);
        bench_posts(store, 512, KEYS, false);
        fill_keys(store);
        check(tk_reader_open(store, &reader), "reader");
        bench_list(store, reader, "first page", 0);
        bench_list(store, reader, "any page  ", 40000);
        bench_digest(reader);
        bench_usage(store, reader);
        tk_reader_close(&reader);
        const double start = now_s();
        tk_store_close(&store);
        printf("close %42.1f ms\n", (now_s() - start) * 1e3);
        if (argc < 2) {
                remove(url + strlen("sqlite:"));
                rmdir(folder);
        }
        return 0;
}
