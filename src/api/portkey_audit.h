/* SPDX-License-Identifier: Apache-2.0
 *
 * portkey_audit: GET /v1/audit-logs, the audit log in Portkey's form. (portkey sheet 2.7)
 *
 *   {"records":[...],"total":N,"object":"analytics-graph"}
 *
 * A record has the documented members, of which those of a request are absent when there was none, and
 * beside them what the documentation does not know: id, resource_id, actor, before, after. The documented
 * methods do not include PATCH, which is shown as PUT.
 */
#ifndef TK_API_PORTKEY_AUDIT_H
#define TK_API_PORTKEY_AUDIT_H

#include "api/handlers.h"
#include "store/audit.h"
#include "wire/json_write.h"

void tk_portkey_write_audit(struct tk_jw *w, const struct tk_audit *audit);

#endif
