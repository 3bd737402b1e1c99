/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of migrations on an engine that only counts: what it asks for, in which order, and what it does
 * when something fails or when another program was faster.
 */
#include <stdio.h>
#include <string.h>

#include "lib/unit.h"
#include "store/migrate.h"

struct fake {
        int64_t version;
        int64_t version_in_transaction; /* what another program makes of it just before; 0: nothing */
        const char *failing;            /* the call that fails */
        char calls[200];
};

static enum tk_err call(struct fake *fake, const char *name) {
        strcat(strcat(fake->calls, " "), name);
        return fake->failing && strcmp(fake->failing, name) == 0 ? TK_E_IO : TK_OK;
}

static enum tk_err fake_begin(void *engine) {
        struct fake *fake = engine;
        if (fake->version_in_transaction)
                fake->version = fake->version_in_transaction;
        return call(fake, "begin");
}

static enum tk_err fake_commit(void *engine) {
        return call(engine, "commit");
}

static void fake_rollback(void *engine) {
        enum tk_err err = call(engine, "rollback");
        assert_ok(err);
}

static enum tk_err fake_exec(void *engine, const char *sql) {
        const struct fake *fake = engine;
        assert_non_null(strstr(sql, fake->version == 0 ? "CREATE TABLE" : "UPDATE api_key"));
        return call(engine, "exec");
}

static enum tk_err fake_version_get(void *engine, int64_t *version) {
        *version = ((struct fake *)engine)->version;
        return call(engine, "get");
}

static enum tk_err fake_version_set(void *engine, int64_t version) {
        enum tk_err err = call(engine, "set");
        if (!err)
                ((struct fake *)engine)->version = version;
        return err;
}

static const struct tk_migrate_ops fake_ops = {
        .begin = fake_begin,
        .commit = fake_commit,
        .rollback = fake_rollback,
        .exec = fake_exec,
        .version_get = fake_version_get,
        .version_set = fake_version_set,
};

static void test_steps(void **state) {
        static const struct {
                const char *name;
                int64_t version, version_in_transaction;
                const char *failing;
                enum tk_err err;
                const char *calls;
        } cases[] = {
                {"empty", 0, 0, NULL, TK_OK,
                 " get begin get exec set commit begin get exec set commit begin get commit"},
                {"one behind", 1, 0, NULL, TK_OK, " get begin get exec set commit begin get commit"},
                {"done", 2, 0, NULL, TK_OK, " get"},
                {"done meanwhile", 0, 2, NULL, TK_OK, " get begin get commit"},
                {"newer", 3, 0, NULL, TK_E_NEWER, " get"},
                {"newer meanwhile", 0, 7, NULL, TK_E_NEWER, " get begin get rollback"},
                {"nonsense", -1, 0, NULL, TK_E_CORRUPT, " get"},
                {"no version", 0, 0, "get", TK_E_IO, " get"},
                {"no lock", 0, 0, "begin", TK_E_IO, " get begin"},
                {"step fails", 0, 0, "exec", TK_E_IO, " get begin get exec rollback"},
                {"version fails", 0, 0, "set", TK_E_IO, " get begin get exec set rollback"},
                {"commit fails", 0, 0, "commit", TK_E_IO, " get begin get exec set commit rollback"},
        };
        TK_UNUSED(state);
        assert_int_equal(tk_migrate_newest(), 2);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct fake fake = {.version = cases[i].version,
                                    .version_in_transaction = cases[i].version_in_transaction,
                                    .failing = cases[i].failing};
                char text[256] = "";
                const struct tk_why why = {text, sizeof text};
                print_message("%s\n", cases[i].name);
                assert_int_equal(tk_migrate(&fake_ops, &fake, &why), cases[i].err);
                assert_string_equal(fake.calls, cases[i].calls);
                if (cases[i].err == TK_E_NEWER) {
                        char number[24];
                        snprintf(number, sizeof number, "version %lld,", (long long)fake.version);
                        assert_non_null(strstr(text, number));
                        assert_non_null(strstr(text, "up to 2:"));
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(test_steps)};
        return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}
