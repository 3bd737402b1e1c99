/* SPDX-License-Identifier: Apache-2.0
 *
 * keymint: a fresh key carries its draft, is new in everything else, and its record fits its secret.
 */
#include "service/keymint.h"

#include "lib/unit.h"
#include "rt/hash.h"
#include "rt/rand.h"
#include "unit/base/table.h"

#include <string.h>

#define NOW INT64_C(1780000000000)

static void prefixes_say_the_kind(void **state) {
        static const struct {
                const char *base;
                enum tk_key_kind kind;
                const char *prefix; /* NULL: refused */
        } rows[] = {
                {"tk", TK_KIND_INFERENCE, "tk_inf"},
                {"tk", TK_KIND_ADMIN, "tk_adm"},
                {"a", TK_KIND_ADMIN, "a_adm"},
                {"tk", TK_KIND_USER, "tk_usr"},
                {"my_org2", TK_KIND_INFERENCE, "my_org2_inf"},
                {"abcdefghijklmnopqrstuvwxyz01", TK_KIND_INFERENCE, "abcdefghijklmnopqrstuvwxyz01_inf"},
                {"abcdefghijklmnopqrstuvwxyz012", TK_KIND_INFERENCE, NULL},
                {"", TK_KIND_INFERENCE, NULL},
                {"TK", TK_KIND_INFERENCE, NULL},
                {"2tk", TK_KIND_INFERENCE, NULL},
                {"_tk", TK_KIND_INFERENCE, NULL},
                {"t-k", TK_KIND_INFERENCE, NULL},
                {"t k", TK_KIND_INFERENCE, NULL},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                char out[TK_KEY_PREFIX_MAX + 1];
                bool ok = tk_key_mint_prefix(rows[i].base, rows[i].kind, out);
                if (ok != (rows[i].prefix != NULL) || (ok && strcmp(out, rows[i].prefix) != 0))
                        WRONG("'%s': %d '%s'", rows[i].base, ok, out);
        }
}

static void the_record_fits_the_secret(void **state) {
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_MONTH, .expires_ms = NOW + 5};
        struct tk_key key;
        struct tk_key_text secret;
        struct tk_key_parts parts;
        uint8_t digest[32];
        (void)state;
        strcpy(draft.description, "agent");
        draft.limits_nr = 1;
        draft.limits[0] = (struct tk_limit){.window = {.kind = TK_WINDOW_MONTH}, .cap = 7};
        draft.last_used_ms = draft.revoked_ms = draft.created_ms = 3; /* a draft cannot bring these along */
        tk_key_mint(&draft, "tk_inf", NOW, &key, &secret);

        assert_true(tk_key_ok(&key));
        assert_ok(tk_key_text_split((struct tk_str){secret.at, secret.len}, &parts));
        assert_true(tk_str_is(parts.prefix, "tk_inf"));
        tk_sha256((struct tk_str){secret.at, secret.len}, digest);
        assert_memory_equal(digest, key.digest, 32);
        assert_string_equal(key.last6, secret.at + secret.len - 6);
        assert_string_equal(key.description, "agent");
        assert_int_equal(key.period, TK_WINDOW_MONTH);
        assert_int_equal(key.limits_nr, 1);
        assert_int_equal(key.limits[0].cap, 7);
        assert_true(key.expires_ms == NOW + 5);
        assert_true(key.created_ms == NOW);
        assert_true(key.last_used_ms == 0);
        assert_true(key.revoked_ms == 0);
        tk_key_text_wipe(&secret);
}

static void no_two_are_alike(void **state) {
        struct tk_key draft = {.kind = TK_KIND_ADMIN, .period = TK_WINDOW_DAY}, a, b;
        struct tk_key_text first, second;
        (void)state;
        tk_key_mint(&draft, "tk_adm", NOW, &a, &first);
        tk_key_mint(&draft, "tk_adm", NOW, &b, &second);
        assert_false(tk_id_eq(a.id, b.id));
        assert_memory_not_equal(a.digest, b.digest, 32);
        assert_string_not_equal(first.at, second.at);
}

static void scopes_are_the_kinds_unless_named(void **state) {
        struct tk_key draft = {.kind = TK_KIND_ADMIN, .period = TK_WINDOW_DAY}, key;
        struct tk_key_text secret;
        (void)state;
        tk_key_mint(&draft, "tk_adm", NOW, &key, &secret);
        assert_true(tk_scopes_has(&key.scopes, TK_SCOPE_KEYS_WRITE));
        draft.kind = TK_KIND_INFERENCE;
        tk_key_mint(&draft, "tk_inf", NOW, &key, &secret);
        assert_false(tk_scopes_has(&key.scopes, TK_SCOPE_KEYS_WRITE));
        assert_true(tk_scopes_has(&key.scopes, TK_SCOPE_COMPLETIONS_WRITE));
        tk_scopes_add(&draft.scopes, TK_SCOPE_MODELS_READ);
        tk_key_mint(&draft, "tk_inf", NOW, &key, &secret);
        assert_true(tk_scopes_has(&key.scopes, TK_SCOPE_MODELS_READ));
        assert_false(tk_scopes_has(&key.scopes, TK_SCOPE_COMPLETIONS_WRITE));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(prefixes_say_the_kind),
                TEST(the_record_fits_the_secret),
                TEST(no_two_are_alike),
                TEST(scopes_are_the_kinds_unless_named),
        };
        if (tk_rand_init() != TK_OK)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
