/* SPDX-License-Identifier: Apache-2.0 */
#include "api/query.h"

#include "api/route.h"

/* Takes one "name=value" off the front. */
static bool next(struct tk_str *rest, struct tk_str *name, struct tk_str *value) {
        if (rest->len == 0)
                return false;
        struct tk_str pair = tk_str_head(*rest, tk_str_find(*rest, '&'));
        *rest = tk_str_skip(*rest, pair.len < rest->len ? pair.len + 1 : pair.len);
        *name = tk_str_head(pair, tk_str_find(pair, '='));
        *value = tk_str_skip(pair, name->len < pair.len ? name->len + 1 : pair.len);
        return true;
}

void tk_query_get(struct tk_str query, const char *name, struct tk_query_value *out) {
        struct tk_str raw_name, raw, first = {0};
        char decoded[64];
        size_t len;
        *out = (struct tk_query_value){.same = true};
        while (next(&query, &raw_name, &raw)) {
                if (!tk_percent_decode(raw_name, true, decoded, sizeof(decoded), &len) ||
                    !tk_str_is((struct tk_str){decoded, len}, name))
                        continue;
                if (out->nr++ == 0) {
                        first = raw;
                        out->readable = tk_percent_decode(raw, true, out->at, sizeof(out->at), &out->len);
                } else if (!tk_str_eq(first, raw)) {
                        out->same = false;
                }
        }
        if (!out->readable) {
                out->at[0] = '\0';
                out->len = 0;
        }
}
