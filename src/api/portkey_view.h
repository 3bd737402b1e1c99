/* SPDX-License-Identifier: Apache-2.0
 *
 * portkey_view: a key as Portkey's servers show it (portkey sheet 1.4), which is more than its schema has.
 * Pure; any thread.
 */
#ifndef TK_API_PORTKEY_VIEW_H
#define TK_API_PORTKEY_VIEW_H

#include "core/key.h"
#include "core/keyfmt.h"
#include "core/profile.h"
#include "wire/json_write.h"

struct tk_portkey_shown {
        const struct tk_key *key;
        const struct tk_profile *profile;
        const char *prefix;           /* of its secret */
        const struct tk_limit *usage; /* tk_portkey_usage_limit(), or NULL */
        int64_t number, posted;       /* of its running window */
        int64_t now_ms;
        bool alone; /* the answer of GET-one, which has a little more than the list */
};

void tk_portkey_write_key(struct tk_jw *w, const struct tk_portkey_shown *shown);
/* The answer to create. The buffer must be wiped by its owner. */
void tk_portkey_write_created(struct tk_jw *w, const struct tk_key *key, const struct tk_key_text *secret);

#endif
