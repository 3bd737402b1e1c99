/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_portkey_body: bodies of /v1/api-keys. The first byte says whether it makes a key; the rest is the
 * body. Whatever comes, it is refused in one whole JSON object or with a position in the text, or what it
 * makes of a key and its profile is sound, and done twice is the same as done once.
 */
#include "api/portkey_apply.h"
#include "wire/json_scan.h"

#include <string.h>

#define NOW INT64_C(1795262400000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tk_portkey_body read;
static struct tk_profile profile, again;

static struct tk_key some_key(void) {
        struct tk_key key = {.id = {{1}}, .org = {{2}}, .workspace = {{3}}, .period = TK_WINDOW_MONTH};
        key.scopes = tk_scopes_of_kind(TK_KIND_INFERENCE);
        key.limits_nr = 2;
        key.limits[0] = (struct tk_limit){.window = {.kind = TK_WINDOW_MONTH}, .cap = 5, .alert = 4};
        key.limits[1] =
                (struct tk_limit){.window = {.kind = TK_WINDOW_DAY}, .meter = TK_METER_DIEM, .cap = 7};
        return key;
}

static bool json_ok(const char *text) {
        struct tk_json root;
        return !text[0] || tk_json_check(tk_str_of(text), &root, NULL) == TK_OK;
}

static void use(void) {
        struct tk_key key = some_key(), twice;
        struct tk_portkey_fault fault = {NULL, NULL};
        enum tk_scope which;
        struct tk_scopes all = tk_scopes_of_kind(TK_KIND_ADMIN);
        profile = (struct tk_profile){.key = key.id};
        enum tk_err err = tk_portkey_apply(&read, NOW, &key, &profile, &fault);
        MUST(err == TK_OK || (err == TK_E_RANGE && fault.message));
        if (err != TK_OK)
                return;
        if (read.scopes == TK_SEEN_GOOD &&
            tk_portkey_grant(TK_KIND_ADMIN, &all, key.kind, &key.scopes, &read.scope_set, &which) == TK_OK)
                key.scopes = read.scope_set;
        MUST(tk_key_ok(&key));
        MUST(tk_profile_ok(&profile));
        MUST(json_ok(profile.emails) && json_ok(profile.metadata));
        twice = key;
        again = profile;
        err = tk_portkey_apply(&read, NOW, &twice, &again, &fault);
        MUST(err == TK_OK);
        MUST(strcmp(again.name, profile.name) == 0 && strcmp(again.metadata, profile.metadata) == 0);
        MUST(twice.limits_nr == key.limits_nr && strcmp(twice.description, key.description) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        char why[TK_CHECK_WHY_MAX] = "";
        struct tk_json root;
        if (size == 0 || size > TK_PORTKEY_BODY_BYTES_MAX)
                return 0;
        struct tk_str body = {(const char *)data + 1, size - 1};
        enum tk_err err = tk_portkey_read(body, data[0] & 1, NOW, &read, &refusal, why);
        MUST(err == TK_OK || err == TK_E_RANGE || err == TK_E_SYNTAX || err == TK_E_NO_MEMORY);
        MUST(IMPLIES(err == TK_E_SYNTAX, why[0] != '\0'));
        if (err == TK_E_RANGE) {
                bool whole = tk_json_check(tk_buf_str(&refusal), &root, NULL) == TK_OK;
                MUST(whole);
        }
        if (err == TK_OK)
                use();
        tk_buf_free(&refusal);
        return 0;
}
