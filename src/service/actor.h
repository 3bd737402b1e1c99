/* SPDX-License-Identifier: Apache-2.0
 *
 * actor: who makes a change, and by which request; what the audit log says of them. A value, copied into the
 * job that makes the change. It holds no secret.
 */
#ifndef TK_SERVICE_ACTOR_H
#define TK_SERVICE_ACTOR_H

#include "store/audit.h"

struct tk_actor {
        enum tk_actor_kind kind;
        struct tk_id id;                  /* of a key or user; none otherwise */
        char name[TK_AUDIT_NAME_MAX + 1]; /* of an operator */
        /* the request; all empty: there was none */
        char method[TK_AUDIT_METHOD_MAX + 1];
        char uri[TK_AUDIT_URI_MAX + 1];
        char request_id[TK_AUDIT_REQUEST_MAX + 1];
        char client[TK_AUDIT_CLIENT_MAX + 1];
        int status; /* of the answer that tells of the change */
};

/* The server itself: nobody asked. */
extern const struct tk_actor tk_actor_system;

#endif
