/* SPDX-License-Identifier: Apache-2.0 */
#include "service/keymint.h"

#include "rt/hash.h"
#include "rt/rand.h"

#include <stdio.h>
#include <string.h>

static const char *const marks[TK_KIND_NR] = {
        [TK_KIND_INFERENCE] = "inf", [TK_KIND_ADMIN] = "adm", [TK_KIND_USER] = "usr"};

bool tk_key_mint_prefix(const char *base, enum tk_key_kind kind, char out[TK_KEY_PREFIX_MAX + 1]) {
        MUST((unsigned)kind < TK_KIND_NR);
        int n = snprintf(out, TK_KEY_PREFIX_MAX + 1, "%s_%s", base, marks[kind]);
        return n > 0 && n <= TK_KEY_PREFIX_MAX && tk_key_prefix_ok(tk_str_of(out));
}

static bool names_no_scope(const struct tk_scopes *scopes) {
        for (size_t i = 0; i < TK_SCOPE_WORDS; i++)
                if (scopes->word[i])
                        return false;
        return true;
}

void tk_key_mint(const struct tk_key *draft, const char *prefix, int64_t now_ms, struct tk_key *out,
                 struct tk_key_text *secret) {
        uint8_t random[32];
        MUST(tk_key_prefix_ok(tk_str_of(prefix)));

        tk_rand_bytes(random, sizeof random);
        tk_key_text_make(tk_str_of(prefix), random, secret);
        explicit_bzero(random, sizeof random);

        *out = *draft;
        out->id = tk_rand_id(now_ms);
        tk_sha256((struct tk_str){secret->at, secret->len}, out->digest);
        MUST(secret->len > TK_KEY_LAST6);
        memcpy(out->last6, secret->at + secret->len - TK_KEY_LAST6, TK_KEY_LAST6 + 1);
        if (names_no_scope(&out->scopes))
                out->scopes = tk_scopes_of_kind(out->kind);
        out->created_ms = now_ms;
        out->last_used_ms = 0;
        out->revoked_ms = 0;
}
