/* SPDX-License-Identifier: Apache-2.0 */
#include "api/credential.h"

static const char *const header_names[TK_CREDENTIAL_HEADER_NR] = {
        [TK_CREDENTIAL_AUTHORIZATION] = "authorization",
        [TK_CREDENTIAL_X_API_KEY] = "x-api-key",
        [TK_CREDENTIAL_API_KEY] = "api-key",
        [TK_CREDENTIAL_PORTKEY] = "x-portkey-api-key",
};

const char *tk_credential_header_name(enum tk_credential_header header) {
        MUST(header < TK_CREDENTIAL_HEADER_NR);
        return header_names[header];
}

/* What follows "Bearer" and its spaces; empty for another scheme (RFC 9110 section 11.4). */
static struct tk_str bearer(struct tk_str value) {
        static const char scheme[] = "Bearer";
        const size_t n = sizeof(scheme) - 1;
        value = tk_str_trim(value);
        if (value.len <= n || value.at[n] != ' ' || !tk_str_is_nocase(tk_str_head(value, n), scheme))
                return (struct tk_str){0};
        return tk_str_trim(tk_str_skip(value, n));
}

enum tk_credential tk_credential_pick(const struct tk_str values[TK_CREDENTIAL_HEADER_NR],
                                      struct tk_str *key) {
        enum tk_credential found = TK_CREDENTIAL_NONE;
        bool portkey = tk_str_trim(values[TK_CREDENTIAL_PORTKEY]).len > 0;
        *key = (struct tk_str){0};
        for (unsigned i = 0; i < TK_CREDENTIAL_HEADER_NR; i++) {
                if (i == TK_CREDENTIAL_AUTHORIZATION && portkey)
                        continue;
                struct tk_str one =
                        i == TK_CREDENTIAL_AUTHORIZATION ? bearer(values[i]) : tk_str_trim(values[i]);
                if (one.len == 0)
                        continue;
                if (found == TK_CREDENTIAL_ONE && !tk_str_eq(*key, one)) {
                        *key = (struct tk_str){0};
                        return TK_CREDENTIAL_CONFLICT;
                }
                *key = one;
                found = TK_CREDENTIAL_ONE;
        }
        return found;
}
