/* SPDX-License-Identifier: Apache-2.0
 *
 * audit_view: what a record of the audit log shows of the thing that was changed, as one JSON object.
 *
 * Members are named one by one, so nothing comes in by itself: no secret, no digest. Beside `other`, its
 * state on the other side of the change, only the members that differ are written; NULL, of a key
 * one without a key: all of them.
 */
#ifndef TK_SERVICE_AUDIT_VIEW_H
#define TK_SERVICE_AUDIT_VIEW_H

#include "core/key.h"
#include "core/profile.h"
#include "core/user.h"
#include "core/workspace.h"
#include "store/store.h"
#include "wire/json_write.h"

/* A key with what only its managers know of it; profile NULL: nothing. */
struct tk_audit_key {
        const struct tk_key *key;
        const struct tk_profile *profile;
};
void tk_audit_view_key(struct tk_buf *buf, struct tk_audit_key shown, struct tk_audit_key other);
void tk_audit_view_limits(struct tk_buf *buf, const struct tk_limit *limits, unsigned limits_nr);
void tk_audit_view_topup(struct tk_buf *buf, const struct tk_topup *topup);
void tk_audit_view_doubt(struct tk_buf *buf, const struct tk_doubt *doubt);
/* What became of a doubt. */
void tk_audit_view_spent(struct tk_buf *buf, const struct tk_doubt *doubt, int64_t spent);
void tk_audit_view_user(struct tk_buf *buf, const struct tk_user *user, const struct tk_user *other);
void tk_audit_view_workspace(struct tk_buf *buf, const struct tk_workspace *workspace,
                             const struct tk_workspace *other);

#endif
