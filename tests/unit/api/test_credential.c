/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include "api/credential.h"

static const struct {
        const char *name;
        const char *authorization, *x_api_key, *api_key, *portkey;
        enum tk_credential found;
        const char *key;
} cases[] = {
        {"none", NULL, NULL, NULL, NULL, TK_CREDENTIAL_NONE, ""},
        {"bearer", "Bearer k", NULL, NULL, NULL, TK_CREDENTIAL_ONE, "k"},
        {"scheme in lower case", "bearer k", NULL, NULL, NULL, TK_CREDENTIAL_ONE, "k"},
        {"scheme in upper case", "BEARER k", NULL, NULL, NULL, TK_CREDENTIAL_ONE, "k"},
        {"several spaces", "Bearer    k", NULL, NULL, NULL, TK_CREDENTIAL_ONE, "k"},
        {"spaces around", "  Bearer k \t", NULL, NULL, NULL, TK_CREDENTIAL_ONE, "k"},
        {"scheme only", "Bearer", NULL, NULL, NULL, TK_CREDENTIAL_NONE, ""},
        {"scheme and space only", "Bearer ", NULL, NULL, NULL, TK_CREDENTIAL_NONE, ""},
        {"no space", "Bearerk", NULL, NULL, NULL, TK_CREDENTIAL_NONE, ""},
        {"tab instead of the space", "Bearer\tk", NULL, NULL, NULL, TK_CREDENTIAL_NONE, ""},
        {"no scheme", "k", NULL, NULL, NULL, TK_CREDENTIAL_NONE, ""},
        {"another scheme", "Basic azpr", NULL, NULL, NULL, TK_CREDENTIAL_NONE, ""},
        {"what is inside is judged later", "Bearer a b", NULL, NULL, NULL, TK_CREDENTIAL_ONE, "a b"},
        {"x-api-key", NULL, "k", NULL, NULL, TK_CREDENTIAL_ONE, "k"},
        {"x-api-key is not a scheme", NULL, "Bearer k", NULL, NULL, TK_CREDENTIAL_ONE, "Bearer k"},
        {"api-key", NULL, NULL, "k", NULL, TK_CREDENTIAL_ONE, "k"},
        {"x-portkey-api-key", NULL, NULL, NULL, " k ", TK_CREDENTIAL_ONE, "k"},
        {"empty values are absent", "", "", " ", "k", TK_CREDENTIAL_ONE, "k"},
        {"the same twice", "Bearer k", "k", NULL, NULL, TK_CREDENTIAL_ONE, "k"},
        {"the same in all", "Bearer k", "k", "k", "k", TK_CREDENTIAL_ONE, "k"},
        {"two different", "Bearer k", "l", NULL, NULL, TK_CREDENTIAL_CONFLICT, ""},
        {"portkey's key goes before the provider's", "Bearer l", NULL, NULL, "k", TK_CREDENTIAL_ONE, "k"},
        {"an empty one does not", "Bearer l", NULL, NULL, " ", TK_CREDENTIAL_ONE, "l"},
        {"two different, last", NULL, "k", "k", "l", TK_CREDENTIAL_CONFLICT, ""},
        {"keys are case-sensitive", "Bearer k", "K", NULL, NULL, TK_CREDENTIAL_CONFLICT, ""},
        {"another scheme beside a key", "Basic azpr", "k", NULL, NULL, TK_CREDENTIAL_ONE, "k"},
};

static void table(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct tk_str key, values[TK_CREDENTIAL_HEADER_NR] = {
                                           tk_str_of(cases[i].authorization), tk_str_of(cases[i].x_api_key),
                                           tk_str_of(cases[i].api_key), tk_str_of(cases[i].portkey)};
                print_message("%s\n", cases[i].name);
                assert_int_equal(tk_credential_pick(values, &key), cases[i].found);
                assert_true(tk_str_is(key, cases[i].key));
        }
}

static void names(void **state) {
        TK_UNUSED(state);
        assert_string_equal(tk_credential_header_name(TK_CREDENTIAL_AUTHORIZATION), "authorization");
        assert_string_equal(tk_credential_header_name(TK_CREDENTIAL_X_API_KEY), "x-api-key");
        assert_string_equal(tk_credential_header_name(TK_CREDENTIAL_API_KEY), "api-key");
        assert_string_equal(tk_credential_header_name(TK_CREDENTIAL_PORTKEY), "x-portkey-api-key");
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(table), TEST(names)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
