/* SPDX-License-Identifier: Apache-2.0
 *
 * audit: the rows of the audit log: who changed what, when, from where, by which request.
 *
 * A row is written in the batch of the change that it tells of, so that neither is ever stored without the
 * other. Rows are only added; what ends them is their age (tk_store_audit_trim). No row holds a secret or a
 * digest: what writes them (service/audit.c) has no member for either.
 */
#ifndef TK_STORE_AUDIT_H
#define TK_STORE_AUDIT_H

#include "store/store.h"

enum tk_actor_kind { /* stored: append only */
                     TK_ACTOR_KEY,
                     TK_ACTOR_USER,
                     TK_ACTOR_OPERATOR, /* somebody at the command line */
                     TK_ACTOR_SYSTEM,   /* the server itself */
                     TK_ACTOR_NR
};

#define TK_AUDIT_NAME_MAX    64
#define TK_AUDIT_METHOD_MAX  7
#define TK_AUDIT_URI_MAX     512
#define TK_AUDIT_REQUEST_MAX 64
#define TK_AUDIT_CLIENT_MAX  47
#define TK_AUDIT_ACTION_MAX  47
#define TK_AUDIT_TYPE_MAX    31
#define TK_AUDIT_JSON_MAX    65536

struct tk_audit {
        struct tk_id id;
        struct tk_id org;
        struct tk_id workspace; /* of the thing; none: of no one workspace */
        int64_t at_ms;
        enum tk_actor_kind kind;
        struct tk_id actor;                     /* a key or user; none otherwise */
        char actor_name[TK_AUDIT_NAME_MAX + 1]; /* an operator's login name; "": has none */
        char action[TK_AUDIT_ACTION_MAX + 1];   /* "api_key.create": lower case, a dot in it */
        char resource_type[TK_AUDIT_TYPE_MAX + 1];
        struct tk_id resource;
        char method[TK_AUDIT_METHOD_MAX + 1]; /* of the request; "" and status 0: there was none */
        char uri[TK_AUDIT_URI_MAX + 1];
        char request_id[TK_AUDIT_REQUEST_MAX + 1];
        char client[TK_AUDIT_CLIENT_MAX + 1]; /* an address */
        int status;
        struct tk_str before,
                after; /* JSON objects, or empty; of a row that is read: until the callback ends */
};

/* Which rows: those of an organisation in a stretch of time, and more, unless empty, none, NULL or 0. */
struct tk_audit_filter {
        struct tk_id org;
        int64_t from_ms, to_ms; /* both included */
        struct tk_id actor, workspace, resource;
        const char *methods[2]; /* either of the two */
        const char *uri, *request_id, *resource_type, *action, *client;
        unsigned kinds; /* bit (1 << tk_actor_kind) */
        int status;
};

bool tk_audit_ok(const struct tk_audit *audit);

/* ---- writer: as in store.h ---- */

/* CONFLICT: the id exists. */
TK_CHECKED enum tk_err tk_store_audit_add(struct tk_store *store, const struct tk_audit *audit);
/* Removes the oldest rows of before before_ms (>= 0), by at_ms, then id, at most limit of them. */
TK_CHECKED enum tk_err tk_store_audit_trim(struct tk_store *store, int64_t before_ms, unsigned limit);

/* ---- readers ---- */

typedef bool tk_audit_each_f(const struct tk_audit *audit, void *ctx);
/* Newest first (at_ms, then id, descending), without the first `skip`, at most limit. */
TK_CHECKED enum tk_err tk_reader_audit_list(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                            uint64_t skip, unsigned limit, tk_audit_each_f *each, void *ctx);
/* How many there are. */
TK_CHECKED enum tk_err tk_reader_audit_count(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                             uint64_t *nr);
/* When the oldest row of all organisations was written. NOT_FOUND: there is none. */
TK_CHECKED enum tk_err tk_reader_audit_oldest(struct tk_reader *reader, int64_t *at_ms);

#endif
