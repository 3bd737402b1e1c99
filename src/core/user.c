/* SPDX-License-Identifier: Apache-2.0
 *
 * user: what a stored user must look like.
 *
 * Invariants of a user:
 *   (1) it has an id and an organisation, which are two ids; its role is one we know
 *   (2) its e-mail address is in its one form
 *   (3) its names are text that may be printed
 *   (4) no time is negative
 */
#include "core/user.h"

#include <string.h>

static const char *const role_names[] = {
        [TK_USER_MEMBER] = "member",
        [TK_USER_ADMIN] = "admin",
        [TK_USER_OWNER] = "owner",
};
_Static_assert(sizeof role_names / sizeof *role_names == TK_USER_ROLE_NR, "every role has a name");

/* ---- e-mail addresses ---- */

static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_alnum(char c) {
        const char l = lower(c);
        return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

static bool local_ok(struct tk_str local) {
        for (size_t i = 0; i < local.len; i++)
                if (!is_alnum(local.at[i]) && (!local.at[i] || !strchr(".!#$%&'*+/=?^_`{|}~-", local.at[i])))
                        return false;
        return local.len > 0;
}

static bool label_ok(struct tk_str label) {
        if (label.len == 0 || label.at[0] == '-' || label.at[label.len - 1] == '-')
                return false;
        for (size_t i = 0; i < label.len; i++)
                if (!is_alnum(label.at[i]) && label.at[i] != '-')
                        return false;
        return true;
}

static enum tk_err domain_check(struct tk_str domain) {
        enum tk_err err = TK_OK;
        for (;;) {
                const size_t dot = tk_str_find(domain, '.');
                if (!label_ok(tk_str_head(domain, dot)))
                        return TK_E_SYNTAX;
                if (dot > TK_EMAIL_LABEL_MAX)
                        err = TK_E_TOO_BIG;
                if (dot == domain.len)
                        return err;
                domain = tk_str_skip(domain, dot + 1);
        }
}

enum tk_err tk_email_parse(struct tk_str text, char out[TK_EMAIL_MAX + 1]) {
        const size_t at = tk_str_find(text, '@');
        if (at == text.len || !local_ok(tk_str_head(text, at)))
                return TK_E_SYNTAX;
        enum tk_err err = domain_check(tk_str_skip(text, at + 1));
        if (err == TK_OK && (at > TK_EMAIL_LOCAL_MAX || text.len > TK_EMAIL_MAX))
                err = TK_E_TOO_BIG;
        if (err != TK_OK)
                return err;
        for (size_t i = 0; i < text.len; i++)
                out[i] = lower(text.at[i]);
        out[text.len] = '\0';
        return TK_OK;
}

/* ---- users ---- */

bool tk_person_text_ok(const char *at, size_t size) {
        const struct tk_str text = {at, tk_str_find((struct tk_str){at, size}, '\0')};
        if (text.len == size || !tk_str_utf8_ok(text))
                return false;
        for (size_t i = 0; i < text.len; i++)
                if ((unsigned char)text.at[i] < ' ' || text.at[i] == 0x7F)
                        return false;
        return true;
}

static bool email_ok(const struct tk_user *user) {
        char parsed[TK_EMAIL_MAX + 1];
        const struct tk_str text = {user->email,
                                    tk_str_find((struct tk_str){user->email, sizeof user->email}, '\0')};
        return text.len < sizeof user->email && tk_email_parse(text, parsed) == TK_OK &&
               tk_str_is(text, parsed);
}

bool tk_user_ok(const struct tk_user *user) {
        if (tk_id_none(user->id) || tk_id_none(user->org) || tk_id_eq(user->id, user->org) ||
            (unsigned)user->role >= TK_USER_ROLE_NR)
                return false; /* (1) */
        return email_ok(user) && tk_person_text_ok(user->first_name, sizeof user->first_name) &&
               tk_person_text_ok(user->last_name, sizeof user->last_name) &&            /* (2) (3) */
               user->created_ms >= 0 && user->updated_ms >= 0 && user->removed_ms >= 0; /* (4) */
}

const char *tk_user_role_name(enum tk_user_role role) {
        MUST((unsigned)role < TK_USER_ROLE_NR);
        return role_names[role];
}

bool tk_user_role_parse(struct tk_str name, enum tk_user_role *out) {
        for (unsigned i = 0; i < TK_USER_ROLE_NR; i++)
                if (tk_str_is(name, role_names[i])) {
                        *out = (enum tk_user_role)i;
                        return true;
                }
        return false;
}
