/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of the SQLite engine: where it may be, whose it is, who else may use it, and what happens when
 * somebody has written nonsense into it.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contract/fixture.h"
#include "lib/unit.h"

/* ---- tools ---- */

/* Runs SQL on the file, beside the store. */
static void raw(const char *path, const char *sql) {
        sqlite3 *db = NULL;
        char *error = NULL;
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                         SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
                print_error("%s: %s\n", sql, error);
        assert_null(error);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The first column of the first row, as a text. */
static void raw_get(const char *path, const char *sql, char *out, size_t size) {
        sqlite3 *db = NULL;
        sqlite3_stmt *stmt = NULL;
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        snprintf(out, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
        sqlite3_finalize(stmt);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static size_t slurp(const char *path, char *out, size_t size) {
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t n = fread(out, 1, size, file);
        assert_true(n < size);
        fclose(file);
        return n;
}

static void spill(const char *path, const char *at, size_t size) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(at, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
}

/* Opening fails with this fault, and the reason contains each of the words. */
static void expect_refused(const char *url, enum tk_err want, const char *word, const char *word2) {
        struct tk_store *store = (void *)&store;
        char why[512] = "";
        assert_int_equal(tk_store_open(url, &store, why, sizeof why), want);
        assert_null(store);
        if (!strstr(why, word) || !strstr(why, word2))
                print_error("%s: %s\n", url, why);
        assert_non_null(strstr(why, word));
        assert_non_null(strstr(why, word2));
}

static unsigned mode_of(const char *path) {
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        return st.st_mode & 07777;
}

/* Makes a fresh folder the current one; returns to go back to. */
static int enter(const struct place *place) {
        int fd = open(".", O_RDONLY | O_DIRECTORY);
        assert_true(fd >= 0);
        assert_int_equal(chdir(place->folder), 0);
        return fd;
}

static void leave(int fd) {
        assert_int_equal(fchdir(fd), 0);
        close(fd);
}

static void use(const char *url, unsigned n) {
        struct tk_store *store = store_must_open(url);
        struct tk_key key = key_of(tk_store_org(store), n);
        key_put(store, &key);
        tk_store_close(&store);
}

static bool holds(const char *url, unsigned n) {
        struct tk_store *store = store_must_open(url);
        struct tk_reader *reader = reader_must_open(store);
        struct tk_key key;
        enum tk_err err = tk_reader_key_by_id(reader, id_of(n), &key);
        assert_true(err == TK_OK || err == TK_E_NOT_FOUND);
        tk_reader_close(&reader);
        tk_store_close(&store);
        return !err;
}

/* ---- where ---- */

static void test_url_unknown_is_refused(void **state) {
        static const char *const urls[] = {"",         "sqlite",    "postgres://x", "SQLITE:x",
                                           ":memory:", "/var/t.db", "sqlite3:x",    "mem:"};
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
                expect_refused(urls[i], TK_E_SYNTAX, "sqlite:PATH", "memory:");
        expect_refused(NULL, TK_E_SYNTAX, "sqlite:PATH", "memory:");
        expect_refused("sqlite:", TK_E_SYNTAX, "sqlite:PATH", "");
        expect_refused("memory:x", TK_E_SYNTAX, "\"memory:\"", "");
        char why[1];
        struct tk_store *store; /* a reason may be cut or unwanted */
        assert_int_equal(tk_store_open("nothing", &store, why, sizeof why), TK_E_SYNTAX);
        assert_int_equal(tk_store_open("nothing", &store, NULL, 0), TK_E_SYNTAX);
}

static void test_file_and_folder_are_made_private(void **state) {
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        const int back = enter(&place);
        const mode_t mask = umask(0);
        struct tk_store *store = store_must_open("sqlite:var/t.db");
        struct tk_key key = key_of(tk_store_org(store), 1);
        key_put(store, &key);
        assert_int_equal(mode_of("var"), 0700);
        assert_int_equal(mode_of("var/t.db"), 0600);
        assert_int_equal(mode_of("var/t.db-wal"), 0600);
        assert_int_equal(mode_of("var/t.db-shm"), 0600);
        leave(back); /* a reader finds the file wherever the process stands */
        struct tk_reader *reader = reader_must_open(store);
        struct tk_key seen;
        assert_ok(tk_reader_key_by_id(reader, key.id, &seen));
        tk_reader_close(&reader);
        tk_store_close(&store);
        umask(mask);
        const int again = enter(&place);
        assert_true(holds("sqlite:var/t.db", 1));
        assert_true(holds("sqlite:./var//t.db", 1));
        assert_int_equal(remove("var/t.db"), 0);
        assert_int_equal(rmdir("var"), 0);
        leave(again);
        place_remove(&place);
}

static void test_only_one_folder_is_made(void **state) {
        struct place place;
        char url[400];
        TK_UNUSED(state);
        place_make(&place);
        snprintf(url, sizeof url, "sqlite:%s/a/b/t.db", place.folder);
        expect_refused(url, TK_E_IO, "/a/b", "No such file");
        snprintf(url, sizeof url, "sqlite:%s", place.folder); /* a folder is no file */
        expect_refused(url, TK_E_IO, place.folder, "open");
        spill(place.path, "", 0);
        snprintf(url, sizeof url, "sqlite:%s/t.db", place.path); /* a file is no folder */
        expect_refused(url, TK_E_IO, "t.db/t.db", "");
        assert_false(holds(place.url, 1)); /* an empty file is one to begin with */
        place_remove(&place);
}

static void test_names_that_mean_something_to_sqlite_are_files(void **state) {
        static const char *const urls[] = {"sqlite::memory:", "sqlite:file:x.db?mode=memory", "sqlite:-x"};
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        const int back = enter(&place);
        for (unsigned i = 0; i < sizeof urls / sizeof *urls; i++) {
                use(urls[i], i + 1);
                assert_true(holds(urls[i], i + 1));
        }
        leave(back);
        place_remove(&place);
}

/* ---- whose ---- */

static void test_file_of_others_is_left_alone(void **state) {
        static char before[100000], after[100000];
        struct place place;
        TK_UNUSED(state);
        static const char *const sqls[] = {
                "CREATE TABLE notes (text)",
                "PRAGMA application_id = 77",
                "CREATE TABLE meta (name, value); PRAGMA user_version = 1",
                "PRAGMA application_id = 77; CREATE TABLE a (b); PRAGMA user_version = 99",
        };
        for (size_t i = 0; i < sizeof sqls / sizeof *sqls; i++) {
                place_make(&place);
                raw(place.path, sqls[i]);
                const size_t n = slurp(place.path, before, sizeof before);
                expect_refused(place.url, TK_E_CORRUPT, "another program", place.path);
                assert_int_equal(slurp(place.path, after, sizeof after), n);
                assert_memory_equal(before, after, n);
                place_remove(&place);
        }
        place_make(&place);
        memset(before, 'x', sizeof before);
        spill(place.path, before, sizeof before - 1);
        expect_refused(place.url, TK_E_CORRUPT, "no SQLite file", place.path);
        assert_int_equal(slurp(place.path, after, sizeof after), sizeof before - 1);
        assert_memory_equal(before, after, sizeof before - 1);
        place_remove(&place);
}

static void test_newer_file_is_refused(void **state) {
        static char before[300000], after[300000];
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        use(place.url, 1);
        raw(place.path, "PRAGMA user_version = 42");
        const size_t n = slurp(place.path, before, sizeof before);
        expect_refused(place.url, TK_E_NEWER, "version 42", "up to 2");
        assert_int_equal(slurp(place.path, after, sizeof after), n);
        assert_memory_equal(before, after, n);
        raw(place.path, "PRAGMA user_version = -3");
        expect_refused(place.url, TK_E_CORRUPT, "version -3", "");
        raw(place.path, "PRAGMA user_version = 1");
        assert_true(holds(place.url, 1));
        place_remove(&place);
}

/* Before version 2 nobody had heard of the rights on the ledger, nor of those of Portkey. */
static void test_admin_keys_of_version_1_get_the_new_rights(void **state) {
        static const struct {
                const char *name;
                enum tk_key_kind kind;
                const char *scopes;
                bool before, writes;
        } cases[] = {
                {"admin", TK_KIND_ADMIN, "1F", true, true},
                {"admin with fewer", TK_KIND_ADMIN, "0F", true, false},
                {"inference with all of an admin", TK_KIND_INFERENCE, "1F", true, false},
                {"inference", TK_KIND_INFERENCE, "07", true, false},
                {"admin of version 2", TK_KIND_ADMIN, "1F", false, false},
        };
        struct place place;
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char sql[256];
                print_message("%s\n", cases[i].name);
                place_make(&place);
                struct tk_store *store = store_must_open(place.url);
                struct tk_key key = key_of(tk_store_org(store), 1), seen;
                key.kind = cases[i].kind;
                key_put(store, &key);
                tk_store_close(&store);
                snprintf(sql, sizeof sql, "UPDATE api_key SET scopes = X'%s%062d'; PRAGMA user_version = %d",
                         cases[i].scopes, 0, cases[i].before ? 1 : 2);
                raw(place.path, sql);
                store = store_must_open(place.url);
                struct tk_reader *reader = reader_must_open(store);
                assert_ok(tk_reader_key_by_id(reader, key.id, &seen));
                assert_int_equal(tk_scopes_has(&seen.scopes, TK_SCOPE_LEDGER_WRITE), cases[i].writes);
                assert_int_equal(tk_scopes_has(&seen.scopes, TK_SCOPE_LEDGER_READ), cases[i].writes);
                if (cases[i].writes) { /* just what a new one is born with */
                        struct tk_scopes born = tk_scopes_of_kind(TK_KIND_ADMIN);
                        assert_memory_equal(&seen.scopes, &born, sizeof born);
                }
                tk_reader_close(&reader);
                tk_store_close(&store);
                place_remove(&place);
        }
}

static void test_file_that_becomes_newer_is_not_written(void **state) {
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        struct tk_store *store = store_must_open(place.url);
        raw(place.path, "PRAGMA user_version = 3");
        assert_int_equal(tk_store_begin(store), TK_E_NEWER);
        assert_int_equal(tk_store_begin(store), TK_E_NEWER);
        raw(place.path, "PRAGMA user_version = 2");
        struct tk_key key = key_of(tk_store_org(store), 1);
        key_put(store, &key);
        tk_store_close(&store);
        place_remove(&place);
}

static void test_reopened_file_is_the_same_store(void **state) {
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        struct tk_store *store = store_must_open(place.url);
        const struct tk_id org = tk_store_org(store), workspace = tk_store_workspace(store);
        struct tk_key key = key_of(org, 1);
        key_put(store, &key);
        tk_store_close(&store);
        store = store_must_open(place.url);
        assert_true(tk_id_eq(tk_store_org(store), org));
        assert_true(tk_id_eq(tk_store_workspace(store), workspace));
        tk_store_close(&store);
        assert_true(holds(place.url, 1));
        place_remove(&place);
}

static void test_file_is_set_up_as_said(void **state) {
        static const char *const rows[][2] = {
                {"PRAGMA journal_mode", "wal"},
                {"PRAGMA application_id", "1414220889"},
                {"PRAGMA user_version", "2"},
                {"SELECT count(*) > 8 FROM sqlite_schema WHERE type = 'table'", "1"},
                {"SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND NOT strict AND name NOT "
                 "LIKE "
                 "'sqlite_%'",
                 "0"},
                {"SELECT count(*) FROM org", "1"},
                {"SELECT count(*) FROM workspace JOIN org ON org.id = workspace.org", "1"},
        };
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        use(place.url, 1);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char text[64];
                raw_get(place.path, rows[i][0], text, sizeof text);
                assert_string_equal(text, rows[i][1]);
        }
        place_remove(&place);
}

/* ---- who else ---- */

static void test_two_stores_on_one_file_see_each_other(void **state) {
        struct place place;
        TK_UNUSED(state);
        place_make(&place);
        struct tk_store *server = store_must_open(place.url), *command = store_must_open(place.url);
        struct tk_reader *reader = reader_must_open(server);
        struct tk_key key = key_of(tk_store_org(command), 1), seen;
        int64_t seq;
        assert_true(tk_id_eq(tk_store_org(server), tk_store_org(command)));
        key_put(command, &key);
        assert_ok(tk_reader_change_last(reader, &seq));
        assert_int_equal(seq, 1);
        assert_ok(tk_reader_key_by_digest(reader, key.digest, &seen));
        assert_ok(tk_store_begin(server));
        key.revoked_ms = 9;
        assert_ok(tk_store_key_update(server, &key));
        assert_ok(tk_store_commit(server));
        assert_ok(tk_store_begin(command));
        assert_ok(tk_store_key_get(command, key.id, &seen));
        assert_int_equal(seen.revoked_ms, 9);
        tk_store_rollback(command);
        tk_reader_close(&reader);
        tk_store_close(&command);
        tk_store_close(&server);
        place_remove(&place);
}

static void test_writer_waits_five_seconds_for_its_turn(void **state) {
        struct place place;
        struct timespec from, to;
        TK_UNUSED(state);
        place_make(&place);
        struct tk_store *one = store_must_open(place.url), *two = store_must_open(place.url);
        assert_ok(tk_store_begin(one));
        clock_gettime(CLOCK_MONOTONIC, &from);
        assert_int_equal(tk_store_begin(two), TK_E_BUSY);
        clock_gettime(CLOCK_MONOTONIC, &to);
        const long took_ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
        assert_in_range(took_ms, 4900, 60000);
        assert_ok(tk_store_commit(one));
        assert_ok(tk_store_begin(two));
        tk_store_rollback(two);
        tk_store_close(&one);
        tk_store_close(&two);
        place_remove(&place);
}

/* In a process of its own: opens and inserts n keys from base on. */
static int insert_keys(const char *url, unsigned base, unsigned n) {
        struct tk_store *store;
        char why[256];
        if (tk_store_open(url, &store, why, sizeof why)) {
                fprintf(stderr, "%s\n", why);
                return 3;
        }
        for (unsigned i = 0; i < n; i++) {
                struct tk_key key = key_of(tk_store_org(store), base + i);
                if (tk_store_begin(store))
                        return 4;
                if (tk_store_key_insert(store, &key))
                        return 5;
                if (tk_store_commit(store))
                        return 6;
        }
        tk_store_close(&store);
        return 0;
}

static unsigned counted;

static bool count(const struct tk_key *key, void *ctx) {
        TK_UNUSED(key);
        TK_UNUSED(ctx);
        counted++;
        return true;
}

static void test_many_processes_may_start_at_once(void **state) {
        enum { PROCESSES = 8, KEYS = 5, ROUNDS = 4 };
        TK_UNUSED(state);
        for (int round = 0; round < ROUNDS; round++) {
                struct place place;
                pid_t pids[PROCESSES];
                const struct tk_id none = {{0}};
                place_make(&place);
                for (unsigned i = 0; i < PROCESSES; i++) {
                        pids[i] = fork();
                        assert_true(pids[i] >= 0);
                        if (pids[i] == 0)
                                _exit(insert_keys(place.url, 1 + i * 100, KEYS));
                }
                for (unsigned i = 0; i < PROCESSES; i++) {
                        int status;
                        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                        assert_int_equal(status, 0);
                }
                struct tk_store *store = store_must_open(place.url);
                struct tk_reader *reader = reader_must_open(store);
                counted = 0;
                /* All have found the same organisation. */
                assert_ok(tk_reader_key_list(reader, tk_store_org(store), 0, none, 1000, count, NULL));
                assert_int_equal(counted, PROCESSES * KEYS);
                tk_reader_close(&reader);
                tk_store_close(&store);
                place_remove(&place);
        }
}

/* A server that never rests, up to the end of the pipe. */
static int commit_for_ever(const char *url, int ready_fd, int stop_fd) {
        struct tk_store *store;
        char why[256], byte = 'r';
        if (tk_store_open(url, &store, why, sizeof why) || fcntl(stop_fd, F_SETFL, O_NONBLOCK) ||
            write(ready_fd, &byte, 1) != 1)
                return 3;
        for (unsigned hour = 0; read(stop_fd, &byte, 1) < 0; hour = (hour + 1) % 1000) {
                if (tk_store_begin(store))
                        return 4;
                for (unsigned i = 1; i <= 200; i++)
                        if (tk_store_usage_add(store, id_of(i), TK_METER_USD, hour, 1))
                                return 5;
                if (tk_store_commit(store))
                        return 6;
        }
        tk_store_close(&store);
        return 0;
}

static void test_command_gets_its_turn_beside_a_busy_server(void **state) {
        struct place place;
        int ready[2], stop[2], status;
        char byte;
        TK_UNUSED(state);
        place_make(&place);
        assert_int_equal(pipe(ready), 0);
        assert_int_equal(pipe(stop), 0);
        const pid_t server = fork();
        assert_true(server >= 0);
        if (server == 0) {
                close(stop[1]);
                _exit(commit_for_ever(place.url, ready[1], stop[0]));
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(insert_keys(place.url, 1 + i * 10, 4), 0);
        close(stop[1]);
        assert_int_equal(waitpid(server, &status, 0), server);
        assert_int_equal(status, 0);
        assert_true(holds(place.url, 44));
        close(ready[0]);
        close(ready[1]);
        close(stop[0]);
        place_remove(&place);
}

/* ---- files that go away ---- */

/* A batch with one key in it; what the commit says. */
static enum tk_err commit_key(struct tk_store *store, unsigned n) {
        struct tk_key key = key_of(tk_store_org(store), n);
        assert_ok(tk_store_begin(store));
        assert_ok(tk_store_key_insert(store, &key));
        return tk_store_commit(store);
}

/* What is written to a file that has no name any more is lost with the process, so it is not written. */
static void test_file_that_goes_away_takes_no_more_until_it_is_back(void **state) {
        static const char *const tails[] = {"", "-wal"};
        TK_UNUSED(state);
        for (unsigned i = 0; i < sizeof tails / sizeof *tails; i++) {
                struct place place;
                char name[400], aside[420];
                place_make(&place);
                struct tk_store *store = store_must_open(place.url);
                assert_ok(commit_key(store, 1));
                snprintf(name, sizeof name, "%s%s", place.path, tails[i]);
                snprintf(aside, sizeof aside, "%s.aside", name);
                assert_int_equal(rename(name, aside), 0);
                assert_int_equal(commit_key(store, 2), TK_E_IO);
                spill(name, "", 0); /* another file of that name is as wrong as none */
                assert_int_equal(commit_key(store, 2), TK_E_IO);
                assert_int_equal(rename(aside, name), 0);
                assert_ok(commit_key(store, 2));
                tk_store_close(&store);
                assert_true(holds(place.url, 1));
                assert_true(holds(place.url, 2));
                place_remove(&place);
        }
}

static void test_file_with_two_names_is_refused(void **state) {
        struct place place;
        char second[400], url[420];
        TK_UNUSED(state);
        place_make(&place);
        use(place.url, 1);
        snprintf(second, sizeof second, "%s.second", place.path);
        assert_int_equal(link(place.path, second), 0);
        snprintf(url, sizeof url, "sqlite:%s", second);
        expect_refused(url, TK_E_CONFLICT, "t.db", "2 names");
        expect_refused(place.url, TK_E_CONFLICT, "t.db", "2 names");
        assert_int_equal(remove(second), 0);
        assert_true(holds(place.url, 1));
        assert_int_equal(symlink(place.path, second), 0); /* which SQLite itself sees through */
        assert_true(holds(url, 1));
        place_remove(&place);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_url_unknown_is_refused),
                TEST(test_file_and_folder_are_made_private),
                TEST(test_only_one_folder_is_made),
                TEST(test_names_that_mean_something_to_sqlite_are_files),
                TEST(test_file_of_others_is_left_alone),
                TEST(test_newer_file_is_refused),
                TEST(test_admin_keys_of_version_1_get_the_new_rights),
                TEST(test_file_that_becomes_newer_is_not_written),
                TEST(test_reopened_file_is_the_same_store),
                TEST(test_file_is_set_up_as_said),
                TEST(test_two_stores_on_one_file_see_each_other),
                TEST(test_writer_waits_five_seconds_for_its_turn),
                TEST(test_many_processes_may_start_at_once),
                TEST(test_command_gets_its_turn_beside_a_busy_server),
                TEST(test_file_that_goes_away_takes_no_more_until_it_is_back),
                TEST(test_file_with_two_names_is_refused),
        };
        return cmocka_run_group_tests_name("sqlite_file", tests, NULL, NULL);
}
