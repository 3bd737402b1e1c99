/* SPDX-License-Identifier: Apache-2.0
 *
 * query: the parameters of a query string, "a=1&b=2" (application/x-www-form-urlencoded). Pure; any thread.
 */
#ifndef TK_API_QUERY_H
#define TK_API_QUERY_H

#include "base/must.h"
#include "base/str.h"

#define TK_QUERY_VALUE_MAX 512

struct tk_query_value {
        unsigned nr;   /* how often the name was given */
        bool same;     /* all of them with the same value */
        bool readable; /* the first one could be decoded: no broken escape, no NUL, UTF-8, not too long */
        size_t len;
        char at[TK_QUERY_VALUE_MAX + 1]; /* the first value, decoded */
};

void tk_query_get(struct tk_str query, const char *name, struct tk_query_value *out);

#endif
