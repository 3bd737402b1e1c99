/* SPDX-License-Identifier: Apache-2.0
 *
 * local: the store of the configuration, opened in this process, for the commands that work on it directly.
 * A running server on the same file hears of each change through the store's change log. Another writer
 * may hold the file for a moment: BUSY is tried again for a few seconds.
 */
#ifndef TK_CLI_LOCAL_H
#define TK_CLI_LOCAL_H

#include "cli/settings.h"
#include "service/audit.h"
#include "store/people.h"

struct tk_local {
        struct tk_config *config;
        struct tk_store *store;
        struct tk_reader *reader;
        struct tk_actor actor; /* whoever runs the command, for the audit log */
        int64_t now_ms;        /* one time for the whole command */
};

/* False after a message. Only may_create brings a store into being: a list from a mistyped path is no empty
 * list. */
TK_CHECKED bool tk_local_open(const struct tk_cmd_line *line, bool may_create, struct tk_local *out);
void tk_local_close(struct tk_local *local); /* harmless after an open that failed */

/* A batch: begin, ops, finish; finish commits when err is TK_OK, otherwise it undoes all and returns err. */
TK_CHECKED enum tk_err tk_local_begin(struct tk_local *local);
TK_CHECKED enum tk_err tk_local_finish(struct tk_local *local, enum tk_err err);

/* The key of that id inside an open batch: NOT_FOUND when it is not ours, unknown, revoked or (active)
 * expired. */
TK_CHECKED enum tk_err tk_local_key_get(struct tk_local *local, struct tk_id id, bool active,
                                        struct tk_key *out);

/*
 * The user that a word stands for: an e-mail address of the organisation's, or an id of one who is not
 * removed. Other than TK_EXIT_OK: after a message.
 */
TK_CHECKED int tk_local_user_find(struct tk_local *local, const char *text, struct tk_user *out);
/* The same of what may stand for something else too: SYNTAX: neither form. NOT_FOUND. */
TK_CHECKED enum tk_err tk_local_user_get(struct tk_local *local, const char *text, struct tk_user *out);

#endif
