/* SPDX-License-Identifier: Apache-2.0
 *
 * scope: what a key may do, as a set of named rights; the rows are tbl/scope.tbl.
 */
#ifndef TK_CORE_SCOPE_H
#define TK_CORE_SCOPE_H

#include "base/must.h"
#include "base/str.h"

/* Stored, so append only. */
enum tk_key_kind {
        TK_KIND_INFERENCE, /* a program's, in a workspace: Portkey's workspace-service */
        TK_KIND_ADMIN,     /* the whole organisation's: Portkey's organisation-service */
        TK_KIND_USER,      /* a person's, in a workspace: Portkey's workspace-user */
        TK_KIND_NR
};

#define TK_KINDS_ADMIN   (1u << TK_KIND_ADMIN)
#define TK_KINDS_WORK    ((1u << TK_KIND_INFERENCE) | (1u << TK_KIND_USER))
#define TK_KINDS_SERVICE ((1u << TK_KIND_INFERENCE) | (1u << TK_KIND_ADMIN))
#define TK_KINDS_ALL     (TK_KINDS_ADMIN | TK_KINDS_WORK)

enum tk_scope {
#define TK_SCOPE(symbol, name, kinds, may, about) TK_SCOPE_##symbol,
#include "scope.tbl"
        TK_SCOPE_NR
};

#define TK_SCOPE_WORDS 4 /* room for 256 rights */

struct tk_scopes {
        uint64_t word[TK_SCOPE_WORDS];
};

void tk_scopes_add(struct tk_scopes *set, enum tk_scope scope);
/* Who may call models may list them: completions.write includes models.read. */
bool tk_scopes_has(const struct tk_scopes *set, enum tk_scope scope);
/* Every right of `part` is in `set`: what a key may grant. */
bool tk_scopes_cover(const struct tk_scopes *set, const struct tk_scopes *part);
/* What a key of this kind holds when nothing else is said. */
struct tk_scopes tk_scopes_of_kind(enum tk_key_kind kind);
/* May a key of this kind be given the right by name? What its kind gives it anyway is not asked here. */
bool tk_scope_fits(enum tk_scope scope, enum tk_key_kind kind);
const char *tk_scope_name(enum tk_scope scope);
TK_CHECKED bool tk_scope_parse(struct tk_str name, enum tk_scope *out);
/* "inference", "admin", "user" */
const char *tk_key_kind_name(enum tk_key_kind kind);
TK_CHECKED bool tk_key_kind_parse(struct tk_str name, enum tk_key_kind *out); /* case ignored */

#endif
