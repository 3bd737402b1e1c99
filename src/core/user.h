/* SPDX-License-Identifier: Apache-2.0
 *
 * user: a person of an organisation, as every store and dialect sees them. Keys may be theirs, and then what
 * those keys spend together is what the user spends.
 *
 * An e-mail address has one form here: what a browser accepts in a field for one (the "valid e-mail address"
 * of HTML, which is ASCII and knows neither comments nor quotes), in lower case. That two addresses are the
 * same mailbox is judged by it alone, so nobody is in an organisation twice for a capital letter.
 */
#ifndef TK_CORE_USER_H
#define TK_CORE_USER_H

#include "base/err.h"
#include "base/id.h"

#define TK_EMAIL_MAX       254 /* RFC 5321: a path of 256 with its brackets */
#define TK_EMAIL_LOCAL_MAX 64
#define TK_EMAIL_LABEL_MAX 63
#define TK_PERSON_NAME_MAX 127 /* bytes */

/* Stored: append only. */
enum tk_user_role { TK_USER_MEMBER, TK_USER_ADMIN, TK_USER_OWNER, TK_USER_ROLE_NR };

struct tk_user {
        struct tk_id id;
        struct tk_id org;
        char email[TK_EMAIL_MAX + 1]; /* as tk_email_parse() gives it */
        char first_name[TK_PERSON_NAME_MAX + 1];
        char last_name[TK_PERSON_NAME_MAX + 1];
        enum tk_user_role role;
        int64_t created_ms;
        int64_t updated_ms;
        int64_t removed_ms; /* 0: is one */
};

/* SYNTAX: no address. TOO_BIG: a part of it is too long. */
TK_CHECKED enum tk_err tk_email_parse(struct tk_str text, char out[TK_EMAIL_MAX + 1]);
/* Valid UTF-8 without control characters, with its NUL in an array of this size. */
bool tk_person_text_ok(const char *at, size_t size);
/* The invariants that a store checks before writing and after reading. */
bool tk_user_ok(const struct tk_user *user);
const char *tk_user_role_name(enum tk_user_role role); /* "member", "admin", "owner" */
TK_CHECKED bool tk_user_role_parse(struct tk_str name, enum tk_user_role *out);

#endif
