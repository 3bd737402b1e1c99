/* SPDX-License-Identifier: Apache-2.0
 *
 * audit_query: what GET /audit-logs asks for, out of the query string. (portkey sheet 2.7) Pure; any thread.
 *
 * An empty value is as good as none. Pages are counted from 0. The method PUT also means PATCH, which the
 * documented list does not know. No record says a country, so whoever asks for one finds none.
 */
#ifndef TK_API_AUDIT_QUERY_H
#define TK_API_AUDIT_QUERY_H

#include "base/err.h"
#include "store/audit.h"

#define TK_AUDIT_PAGE      50 /* records, when the caller does not say */
#define TK_AUDIT_PAGE_MAX  100
#define TK_AUDIT_VALUE_MAX 512

struct tk_audit_query {
        struct tk_audit_filter filter; /* its texts point into `texts` */
        char texts[5][TK_AUDIT_VALUE_MAX + 1];
        char workspace_slug[65]; /* "": filter.workspace has an id, or none was named */
        uint64_t skip;
        unsigned limit;
        /* of RANGE: which parameter is wrong, and what it should be */
        const char *param, *detail;
};

/* RANGE: param and detail say what is wrong. Do not copy *out: it points into itself. */
TK_CHECKED enum tk_err tk_audit_query_read(struct tk_str query, struct tk_audit_query *out);

#endif
