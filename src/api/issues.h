/* SPDX-License-Identifier: Apache-2.0
 *
 * issues: what is wrong with a request, in the validation form of venice sheet 2.2.
 *
 *   {"error":"Invalid request parameters",
 *    "details":{"_errors":[...],"usd":{"_errors":[...]}},      a tree by path, messages only
 *    "issues":[{"code":...,"path":[...],"message":...}]}       the flat list
 *
 * The wordings, the order of members and the way a union adds the messages of all its branches to the
 * tree are those of the validation library whose form this is (zod 3). Each issue is written as JSON when it
 * is added, so rendering only puts pieces together. A value is quoted back only when it is short: a
 * longer one is never what an enumeration wanted, and it might be a secret in the wrong place.
 * Pure; any thread. Out of memory is sticky, as in tk_buf.
 */
#ifndef TK_API_ISSUES_H
#define TK_API_ISSUES_H

#include "base/buf.h"

#define TK_ISSUES_MAX       32 /* one for each member of the largest body, and some */
#define TK_ISSUE_DEPTH      2
#define TK_ISSUE_ECHO_MAX   40 /* shorter than any key */
#define TK_ISSUES_BYTES_MAX (1u << 20)

/* Member names from the root, ended by NULL or by the depth; static text. {{0}} is the root. */
struct tk_issue_path {
        const char *at[TK_ISSUE_DEPTH];
};

struct tk_issue {
        struct tk_issue_path path;
        struct tk_buf json;     /* the object of the flat list */
        struct tk_buf messages; /* JSON strings with commas between, for the tree */
};

struct tk_issues {
        unsigned nr;
        struct tk_issue at[TK_ISSUES_MAX];
};

void tk_issues_free(struct tk_issues *issues);
/* Appends the whole body; body fails when one of the issues did. MUST: there is an issue. */
void tk_issues_render(const struct tk_issues *issues, struct tk_buf *body);

/* received: "undefined" (missing), "null", "string", "number", "boolean", "array", "object". */
void tk_issue_type(struct tk_issues *issues, struct tk_issue_path path, const char *expected,
                   const char *received);
void tk_issue_enum_type(struct tk_issues *issues, struct tk_issue_path path, const char *const *names,
                        size_t nr, const char *received);
void tk_issue_enum(struct tk_issues *issues, struct tk_issue_path path, const char *const *names, size_t nr,
                   struct tk_str received);
void tk_issue_literal(struct tk_issues *issues, struct tk_issue_path path, const char *expected,
                      struct tk_str received);
void tk_issue_regex(struct tk_issues *issues, struct tk_issue_path path);
void tk_issue_text_long(struct tk_issues *issues, struct tk_issue_path path, uint64_t max);
void tk_issue_number_small(struct tk_issues *issues, struct tk_issue_path path, uint64_t min);
void tk_issue_number_large(struct tk_issues *issues, struct tk_issue_path path, uint64_t max);
void tk_issue_unknown_keys(struct tk_issues *issues, struct tk_issue_path path, const struct tk_str *keys,
                           size_t nr);
/* code is "invalid_date" or "custom". */
void tk_issue_say(struct tk_issues *issues, struct tk_issue_path path, const char *code, const char *message);
/* None of the branches fits; a branch without an issue adds nothing. */
void tk_issue_union(struct tk_issues *issues, struct tk_issue_path path, const struct tk_issues *branches,
                    size_t nr);

#endif
