/* SPDX-License-Identifier: Apache-2.0
 *
 * sign: the signature of a webhook, as standardwebhooks.com says: HMAC-SHA256 over "ID.TIMESTAMP.BODY".
 * Any thread.
 */
#ifndef TK_ALERT_SIGN_H
#define TK_ALERT_SIGN_H

#include "base/buf.h"

#define TK_WEBHOOK_SECRET_MAX 4096

/*
 * A secret that begins with "whsec_" is base64 of the key; any other text is the key itself. False: what
 * follows whsec_ is not base64.
 */
TK_CHECKED bool tk_webhook_secret_ok(struct tk_str secret);
/* The value of webhook-signature: "v1,BASE64". The secret is OK. */
void tk_webhook_sign(struct tk_str secret, struct tk_str id, int64_t at_s, struct tk_str body,
                     struct tk_buf *out);

#endif
