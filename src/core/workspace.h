/* SPDX-License-Identifier: Apache-2.0
 *
 * workspace: a part of an organisation with keys of its own, as every store and dialect sees it.
 */
#ifndef TK_CORE_WORKSPACE_H
#define TK_CORE_WORKSPACE_H

#include "base/id.h"

#define TK_SLUG_MAX                  64
#define TK_WORKSPACE_NAME_MAX        255 /* bytes */
#define TK_WORKSPACE_DESCRIPTION_MAX 1023

struct tk_workspace {
        struct tk_id id;
        struct tk_id org;
        char slug[TK_SLUG_MAX + 1]; /* what it is called in addresses */
        char name[TK_WORKSPACE_NAME_MAX + 1];
        char description[TK_WORKSPACE_DESCRIPTION_MAX + 1];
        int64_t created_ms;
        int64_t updated_ms;
        int64_t removed_ms; /* 0: is one */
};

/* Letters in lower case, digits, '-' and '_'; neither empty nor in the form of an id. */
bool tk_slug_ok(struct tk_str text);
/* The invariants that a store checks before writing and after reading. */
bool tk_workspace_ok(const struct tk_workspace *workspace);

#endif
