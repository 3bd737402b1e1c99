/* SPDX-License-Identifier: Apache-2.0
 *
 * splice: change a few top-level members of a JSON object and leave every other byte as it is.
 */
#ifndef TK_WIRE_SPLICE_H
#define TK_WIRE_SPLICE_H

#include "base/buf.h"
#include "base/err.h"

struct tk_splice {
        const char *name;    /* a top-level member's name (plain ASCII, no escapes needed) */
        struct tk_str value; /* its new JSON value; at == NULL removes the member */
};

/*
 * Writes doc with the edits applied. A member that exists is replaced where it stands (every copy
 * of it, if the name is repeated); one that does not is appended as the last member. Removing what is
 * not there changes nothing. White space, order, number forms and escapes of the rest stay byte for
 * byte. SYNTAX: not an object; TOO_BIG or NO_MEMORY: the buffer failed.
 */
TK_CHECKED enum tk_err tk_splice_object(struct tk_str doc, const struct tk_splice *edits, unsigned edits_nr,
                                        struct tk_buf *out);

#endif
