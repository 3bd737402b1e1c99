/* SPDX-License-Identifier: Apache-2.0
 *
 * venice_keys: the writing routes of /api/v1/api_keys. (Reading: venice_keys_list.)
 *
 *   handler: bytes -> venice_body -> a job with all it needs -> keys.h, and return
 *   later, on the same loop: completion -> venice_view -> answer -> the job is freed
 *
 * The client may leave in between. on_gone then empties job->c.call, the completion sees it and touches
 * nothing of the call. A key that was created for a client who left is revoked again: nobody was ever shown
 * its secret, so it could only be clutter.
 *
 * A key may change or revoke itself, and the last admin key too: the command line makes another.
 */
#ifndef TK_API_VENICE_KEYS_H
#define TK_API_VENICE_KEYS_H

#include "api/handlers.h"

#endif
