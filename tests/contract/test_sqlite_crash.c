/* SPDX-License-Identifier: Apache-2.0
 *
 * kill -9 at any moment. Two writers, processes of their own, commit numbered batches to one file and write
 * each number to a pipe once it was committed. They are killed at random points; then the file is opened, and
 *
 *   every batch that was acknowledged is there, and at most the one after it
 *   each batch is there whole
 *   nothing is there twice
 *
 * after which new writers go on where the old ones were stopped.
 */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contract/fixture.h"
#include "lib/unit.h"

#define ROUNDS  25
#define WRITERS 2
#define ENTRIES 5 /* of a batch */

/* Writer w, batch n: ids from here on. */
static unsigned first_id(unsigned w, unsigned n) {
        return 1 + w * 10000000 + n * 10;
}

static struct tk_id subject_of(unsigned w) {
        return id_of(900000001 + w);
}

/* ---- the writer's process: no test framework in here ---- */

static enum tk_err commit_batch(struct tk_store *store, unsigned w, unsigned n) {
        struct tk_key key = key_of(tk_store_org(store), first_id(w, n));
        enum tk_err err = tk_store_begin(store);
        if (err)
                return err;
        err = tk_store_key_insert(store, &key);
        for (unsigned i = 0; i < ENTRIES && !err; i++) {
                struct tk_entry entry = entry_of(tk_store_org(store), subject_of(w), first_id(w, n) + i);
                err = tk_store_entry_add(store, &entry);
                if (!err)
                        err = tk_store_usage_add(store, subject_of(w), TK_METER_USD, n / 10, n);
        }
        if (!err)
                return tk_store_commit(store);
        tk_store_rollback(store);
        return err;
}

static void write_for_ever(const char *url, unsigned w, unsigned n, int pipe_fd) {
        struct tk_store *store;
        char why[256];
        if (tk_store_open(url, &store, why, sizeof why))
                _exit(3);
        for (;; n++) {
                if (commit_batch(store, w, n))
                        _exit(4);
                if (write(pipe_fd, &n, sizeof n) != (ssize_t)sizeof n)
                        _exit(5);
        }
}

/* ---- the parent ---- */

struct writer {
        pid_t pid;
        int fd;
        unsigned next;  /* the batch that it starts with */
        unsigned acked; /* the last that it acknowledged; next - 1: none */
};

static void start(struct writer *writer, const char *url, unsigned w) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        writer->acked = writer->next - 1;
        writer->pid = fork();
        assert_true(writer->pid >= 0);
        if (writer->pid == 0) {
                close(fds[0]);
                write_for_ever(url, w, writer->next, fds[1]);
        }
        close(fds[1]);
        writer->fd = fds[0];
}

/* Reads one acknowledgement; false at the end of the pipe. */
static bool take_ack(struct writer *writer) {
        unsigned n;
        ssize_t got = read(writer->fd, &n, sizeof n);
        if (got == 0)
                return false;
        assert_int_equal(got, sizeof n);
        assert_int_equal(n, writer->acked + 1);
        writer->acked = n;
        return true;
}

static void stop(struct writer *writer) {
        int status;
        assert_int_equal(kill(writer->pid, SIGKILL), 0);
        assert_int_equal(waitpid(writer->pid, &status, 0), writer->pid);
        assert_true(WIFSIGNALED(status)); /* it had no fault of its own */
        while (take_ack(writer)) {
        }
        close(writer->fd);
}

static unsigned count_batches(struct tk_store *store, struct tk_reader *reader, unsigned w) {
        unsigned n = 0;
        struct tk_key key;
        enum tk_err err;
        while ((err = tk_reader_key_by_id(reader, id_of(first_id(w, n)), &key)) == TK_OK) {
                struct tk_key want = key_of(tk_store_org(store), first_id(w, n));
                assert_true(key_same(&key, &want));
                n++;
        }
        assert_int_equal(err, TK_E_NOT_FOUND);
        return n;
}

struct tally {
        unsigned w, nr;
        uint64_t numbers;
};

static bool take_entry(const struct tk_entry *entry, void *ctx) {
        struct tally *tally = ctx;
        unsigned number = 0;
        for (int i = 12; i < 16; i++)
                number = number << 8 | entry->id.b[i];
        const struct tk_entry want = entry_of(entry->org, subject_of(tally->w), number);
        assert_true(entry_same(entry, &want));
        tally->nr++;
        tally->numbers += number;
        return true;
}

/* All that writer w left: n whole batches. */
static void check(struct tk_store *store, struct tk_reader *reader, unsigned w, unsigned n) {
        struct tally tally = {.w = w};
        uint64_t numbers = 0;
        int64_t due = 0;
        for (unsigned i = 0; i < n; i++) {
                due += (int64_t)ENTRIES * i;
                for (unsigned j = 0; j < ENTRIES; j++)
                        numbers += first_id(w, i) + j;
        }
        assert_ok(tk_reader_entry_list(reader, tk_store_org(store), subject_of(w), UINT32_MAX, take_entry,
                                       &tally));
        assert_int_equal(tally.nr, n * ENTRIES);
        assert_true(tally.numbers == numbers);
        assert_int_equal(usage_of(reader, subject_of(w), TK_METER_USD), due);
        int64_t hours = 0;
        assert_ok(tk_reader_usage_sum(reader, subject_of(w), TK_METER_USD, 0, 1000000, &hours));
        assert_int_equal(hours, due);
}

static void check_integrity(const char *path) {
        sqlite3 *db = NULL;
        sqlite3_stmt *stmt = NULL;
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
        sqlite3_finalize(stmt);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Kills both at a moment that no one chose: after some acknowledgements and some microseconds. */
static void one_round(struct writer *writers, const char *url, uint64_t *random) {
        for (unsigned w = 0; w < WRITERS; w++)
                start(&writers[w], url, w);
        for (unsigned acks = (unsigned)(random_next(random) % 12); acks > 0; acks--)
                assert_true(take_ack(&writers[acks % WRITERS]));
        const struct timespec moment = {.tv_nsec = (long)(random_next(random) % 3000000)};
        nanosleep(&moment, NULL);
        for (unsigned w = 0; w < WRITERS; w++)
                stop(&writers[w]);
}

static void test_acknowledged_batches_survive_kill(void **state) {
        struct writer writers[WRITERS] = {{0}};
        uint64_t random = (uint64_t)time(NULL) | 1;
        unsigned unacked = 0;
        struct place place;
        TK_UNUSED(state);
        print_message("seed %llu\n", (unsigned long long)random);
        place_make(&place);
        for (unsigned round = 0; round < ROUNDS; round++) {
                one_round(writers, place.url, &random);
                struct tk_store *store = store_must_open(place.url);
                struct tk_reader *reader = reader_must_open(store);
                for (unsigned w = 0; w < WRITERS; w++) {
                        const unsigned n = count_batches(store, reader, w);
                        assert_true(n == writers[w].acked + 1 || n == writers[w].acked + 2);
                        unacked += n == writers[w].acked + 2;
                        check(store, reader, w, n);
                        writers[w].next = n;
                }
                tk_reader_close(&reader);
                tk_store_close(&store);
        }
        check_integrity(place.path);
        print_message("%u and %u batches in %u rounds, %u of them committed but not acknowledged\n",
                      writers[0].next, writers[1].next, ROUNDS, unacked);
        assert_true(writers[0].next + writers[1].next > ROUNDS);
        place_remove(&place);
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(test_acknowledged_batches_survive_kill)};
        return cmocka_run_group_tests_name("sqlite_crash", tests, NULL, NULL);
}
