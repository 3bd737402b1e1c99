/* SPDX-License-Identifier: Apache-2.0
 *
 * subject: what can carry limits, as the command line names it: org, workspace, a user's e-mail address, or
 * the id of a user or key. Its limits live in the record of a key and beside all others; here they are one
 * list.
 */
#ifndef TK_CLI_SUBJECT_H
#define TK_CLI_SUBJECT_H

#include "cli/local.h"
#include "service/ledger.h"

struct tk_subject {
        enum tk_subject_kind kind;
        struct tk_id id;
        char name[TK_EMAIL_MAX + 1]; /* "org", "workspace", a user's address, or the id of a key */
};

struct tk_limits {
        unsigned nr;
        struct tk_limit at[TK_KEY_LIMITS_MAX];
};

/*
 * Other than TK_EXIT_OK: after a message. An id that is no user's is taken for a key's; whether there is such
 * a key is found where it is used.
 */
TK_CHECKED int tk_subject_read(struct tk_local *local, const char *text, struct tk_subject *out);
struct tk_subject tk_subject_of_org(const struct tk_local *local);
struct tk_subject tk_subject_of_workspace(const struct tk_local *local);
struct tk_subject tk_subject_of_user(const struct tk_user *user);
struct tk_subject tk_subject_of_key(const struct tk_key *key);

/* As committed. NOT_FOUND: no active key of ours. */
TK_CHECKED enum tk_err tk_subject_limits_get(struct tk_local *local, const struct tk_subject *subject,
                                             struct tk_limits *out);
/* Reads, edits and writes in one batch. What edit returns other than TK_OK undoes it and is returned. action:
 * what the audit log shall call it. */
typedef enum tk_err tk_limits_edit_f(struct tk_limits *limits, void *ctx);
TK_CHECKED enum tk_err tk_subject_limits_edit(struct tk_local *local, const struct tk_subject *subject,
                                              const char *action, tk_limits_edit_f *edit, void *ctx);

/* The index of the limit on this meter and window, or limits->nr. */
unsigned tk_limits_find(const struct tk_limits *limits, enum tk_meter meter, struct tk_window_spec window);

/*
 * What counts against the limit now, by the store: everything that is posted or in doubt; what is held or
 * about to be posted is known to the server alone. NOT_FOUND: windows of a minute and shorter, and what is in
 * flight, are never in the store.
 */
TK_CHECKED enum tk_err tk_subject_used(struct tk_local *local, const struct tk_subject *subject,
                                       const struct tk_limit *limit, int64_t *used);

#endif
