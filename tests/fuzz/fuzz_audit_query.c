/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_audit_query: query strings of the audit log. Whatever comes, there is either a filter that an engine
 * may rely on, or the name of what is wrong.
 */
#include "api/audit_query.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct tk_audit_query query;
        const enum tk_err err = tk_audit_query_read((struct tk_str){(const char *)data, size}, &query);
        MUST(err == TK_OK || err == TK_E_RANGE);
        MUST((err == TK_E_RANGE) == (query.param != NULL));
        MUST((query.param != NULL) == (query.detail != NULL));
        MUST(query.limit <= TK_AUDIT_PAGE_MAX);
        const char *texts[] = {query.filter.uri, query.filter.request_id, query.filter.resource_type,
                               query.filter.action, query.filter.client};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                MUST(IMPLIES(texts[i], strnlen(texts[i], TK_AUDIT_VALUE_MAX + 1) - 1 < TK_AUDIT_VALUE_MAX));
        MUST(strnlen(query.workspace_slug, sizeof query.workspace_slug) < sizeof query.workspace_slug);
        return 0;
}
