/* SPDX-License-Identifier: Apache-2.0
 *
 * venice_view: a key as the JSON of venice sheet 0.5 and 0.6. Pure; any thread.
 */
#ifndef TK_API_VENICE_VIEW_H
#define TK_API_VENICE_VIEW_H

#include "core/key.h"
#include "core/keyfmt.h"
#include "wire/json_write.h"

struct tk_venice_usage {
        struct tk_amounts trailing;
        struct tk_amounts period;
};

/* currentPeriodUsage is shown only then. */
bool tk_venice_has_money_limit(const struct tk_key *key);
/* The object of list, get and update; usage NULL: the update form, which has none. */
void tk_venice_write_key(struct tk_jw *w, const struct tk_key *key, const struct tk_venice_usage *usage);
/* The object of create, with the secret. The buffer must be wiped by its owner. */
void tk_venice_write_created(struct tk_jw *w, const struct tk_key *key, const struct tk_key_text *secret);

#endif
