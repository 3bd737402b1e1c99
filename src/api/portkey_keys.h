/* SPDX-License-Identifier: Apache-2.0
 *
 * portkey_keys: the writing routes of /v1/api-keys. (Reading: portkey_keys_list.)
 *
 *   handler: bytes -> portkey_body -> a job with all it needs -> keys.h, and return
 *   later, on the same loop: completion -> portkey_view -> answer -> the job is freed
 *
 * The router let pass who may do it to one kind of key at least. Which kind the key in question is, is known
 * only when its record is in hand: on the writer's thread, in the step that changes it, where nothing can
 * come in between. There it is judged whether this caller may, and what is wrong is carried back in the job.
 *
 * Keys of other organisations, and to keys of a workspace those of other workspaces, do not exist (404).
 *
 * A client who leaves: as in venice_keys.
 */
#ifndef TK_API_PORTKEY_KEYS_H
#define TK_API_PORTKEY_KEYS_H

#include "api/call.h"
#include "api/handlers.h"

#include "core/profile.h"

/* Who calls, as far as it matters after the router's snapshot is gone. */
struct tk_portkey_caller {
        struct tk_id org, workspace;
        enum tk_key_kind kind;
        struct tk_scopes scopes;
};

struct tk_portkey_caller tk_portkey_caller_of(const struct tk_api_call *c);
/* Does this key exist for the caller? */
bool tk_portkey_sees(const struct tk_portkey_caller *caller, const struct tk_key *key);
/* Does he hold the right of the route for keys of this kind? */
bool tk_portkey_may(const struct tk_portkey_caller *caller, const struct tk_api_call *c,
                    enum tk_key_kind kind);
/* The workspace that a text names by id or slug, which is the caller's own when it is empty. NOT_FOUND: none
 * that he may name. */
TK_CHECKED enum tk_err tk_portkey_workspace(const struct tk_api_call *c,
                                            const struct tk_portkey_caller *caller, struct tk_str text,
                                            struct tk_id *out);

#endif
