/* SPDX-License-Identifier: Apache-2.0
 *
 * workspace: what a stored workspace must look like.
 *
 * Invariants of a workspace:
 *   (1) it has an id and an organisation, which are two ids
 *   (2) its slug is one; since none is in the form of an id, who names a workspace may write either
 *   (3) its name is not empty; name and description are text that may be printed
 *   (4) no time is negative
 */
#include "core/workspace.h"

#include "core/user.h"

#include <string.h>

bool tk_slug_ok(struct tk_str text) {
        struct tk_id id;
        for (size_t i = 0; i < text.len; i++)
                if (!text.at[i] || !strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", text.at[i]))
                        return false;
        return text.len > 0 && text.len <= TK_SLUG_MAX && !tk_id_parse(text, &id);
}

bool tk_workspace_ok(const struct tk_workspace *workspace) {
        const struct tk_str slug = {
                workspace->slug, tk_str_find((struct tk_str){workspace->slug, sizeof workspace->slug}, '\0')};
        if (tk_id_none(workspace->id) || tk_id_none(workspace->org) ||
            tk_id_eq(workspace->id, workspace->org))
                return false;                /* (1) */
        return tk_slug_ok(slug) &&           /* (2) */
               workspace->name[0] != '\0' && /* (3) */
               tk_person_text_ok(workspace->name, sizeof workspace->name) &&
               tk_person_text_ok(workspace->description, sizeof workspace->description) &&
               workspace->created_ms >= 0 && workspace->updated_ms >= 0 &&
               workspace->removed_ms >= 0; /* (4) */
}
