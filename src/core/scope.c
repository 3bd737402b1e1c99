/* SPDX-License-Identifier: Apache-2.0
 *
 * scope: a set is one bit per row of tbl/scope.tbl. NONE is the right that needs none: every set
 * has it, whether the bit is there or not, so a route can always name its scope.
 */
#include "core/scope.h"

_Static_assert(TK_SCOPE_NR <= TK_SCOPE_WORDS * 64, "every right has its bit");

static const char *const names[TK_SCOPE_NR] = {
#define TK_SCOPE(symbol, name, kinds, may, about) [TK_SCOPE_##symbol] = name,
#include "scope.tbl"
};

static const unsigned kinds_of[TK_SCOPE_NR] = {
#define TK_SCOPE(symbol, name, kinds, may, about) [TK_SCOPE_##symbol] = (kinds),
#include "scope.tbl"
};

static const unsigned may_hold[TK_SCOPE_NR] = {
#define TK_SCOPE(symbol, name, kinds, may, about) [TK_SCOPE_##symbol] = (may),
#include "scope.tbl"
};

static const char *const kind_names[] = {
        [TK_KIND_INFERENCE] = "inference",
        [TK_KIND_ADMIN] = "admin",
        [TK_KIND_USER] = "user",
};
_Static_assert(sizeof kind_names / sizeof *kind_names == TK_KIND_NR, "every kind has a name");

static uint64_t bit(unsigned scope) {
        return UINT64_C(1) << scope % 64;
}

void tk_scopes_add(struct tk_scopes *set, enum tk_scope scope) {
        MUST((unsigned)scope < TK_SCOPE_NR);
        set->word[scope / 64] |= bit(scope);
}

bool tk_scopes_has(const struct tk_scopes *set, enum tk_scope scope) {
        MUST((unsigned)scope < TK_SCOPE_NR);
        if (scope == TK_SCOPE_MODELS_READ && tk_scopes_has(set, TK_SCOPE_COMPLETIONS_WRITE))
                return true;
        return scope == TK_SCOPE_NONE || (set->word[scope / 64] & bit(scope)) != 0;
}

bool tk_scope_fits(enum tk_scope scope, enum tk_key_kind kind) {
        MUST((unsigned)scope < TK_SCOPE_NR && (unsigned)kind < TK_KIND_NR);
        return (may_hold[scope] & 1u << kind) != 0;
}

bool tk_scopes_cover(const struct tk_scopes *set, const struct tk_scopes *part) {
        struct tk_scopes all = *set;
        tk_scopes_add(&all, TK_SCOPE_NONE);
        for (unsigned i = 0; i < TK_SCOPE_WORDS; i++)
                if (part->word[i] & ~all.word[i])
                        return false;
        return true;
}

struct tk_scopes tk_scopes_of_kind(enum tk_key_kind kind) {
        struct tk_scopes set = {{0}};
        MUST((unsigned)kind < TK_KIND_NR);
        for (unsigned i = 0; i < TK_SCOPE_NR; i++)
                if (kinds_of[i] & 1u << kind)
                        tk_scopes_add(&set, (enum tk_scope)i);
        return set;
}

const char *tk_scope_name(enum tk_scope scope) {
        MUST((unsigned)scope < TK_SCOPE_NR);
        return names[scope];
}

bool tk_scope_parse(struct tk_str name, enum tk_scope *out) {
        for (unsigned i = 0; i < TK_SCOPE_NR; i++)
                if (tk_str_is(name, names[i])) {
                        *out = (enum tk_scope)i;
                        return true;
                }
        return false;
}

const char *tk_key_kind_name(enum tk_key_kind kind) {
        MUST((unsigned)kind < TK_KIND_NR);
        return kind_names[kind];
}

bool tk_key_kind_parse(struct tk_str name, enum tk_key_kind *out) {
        for (unsigned i = 0; i < TK_KIND_NR; i++)
                if (tk_str_is_nocase(name, kind_names[i])) {
                        *out = (enum tk_key_kind)i;
                        return true;
                }
        return false;
}
