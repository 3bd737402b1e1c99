/* SPDX-License-Identifier: Apache-2.0
 *
 * handlers: what the rows of tbl/route.tbl call. The router has checked the row's need before; each
 * handler answers the call now or later, exactly once. On the call's loop.
 */
#ifndef TK_API_HANDLERS_H
#define TK_API_HANDLERS_H

#include "api/route.h"

/* health.c */
void tk_api_healthz(struct tk_api_call *c);
void tk_api_readyz(struct tk_api_call *c);

/* models.c */
void tk_api_models_list(struct tk_api_call *c);
void tk_api_models_get(struct tk_api_call *c);
void tk_api_venice_models(struct tk_api_call *c);

/* venice_keys.c, venice_keys_list.c */
void tk_api_venice_keys_list(struct tk_api_call *c);
void tk_api_venice_keys_get(struct tk_api_call *c);
void tk_api_venice_keys_create(struct tk_api_call *c);
void tk_api_venice_keys_update(struct tk_api_call *c);
void tk_api_venice_keys_delete(struct tk_api_call *c);

/* portkey_keys.c, portkey_keys_list.c */
void tk_api_portkey_keys_list(struct tk_api_call *c);
void tk_api_portkey_keys_get(struct tk_api_call *c);
void tk_api_portkey_keys_create_admin(struct tk_api_call *c);
void tk_api_portkey_keys_create_service(struct tk_api_call *c);
void tk_api_portkey_keys_create_user(struct tk_api_call *c);
void tk_api_portkey_keys_create_unknown(struct tk_api_call *c);
void tk_api_portkey_keys_update(struct tk_api_call *c);
void tk_api_portkey_keys_delete(struct tk_api_call *c);

/* native_holds.c, native_verify.c */
void tk_api_authorize(struct tk_api_call *c);
void tk_api_holds_get(struct tk_api_call *c);
void tk_api_holds_extend(struct tk_api_call *c);
void tk_api_holds_post(struct tk_api_call *c);
void tk_api_holds_void(struct tk_api_call *c);
void tk_api_verify(struct tk_api_call *c);

/* native_doubts.c */
void tk_api_doubts_list(struct tk_api_call *c);
void tk_api_doubts_resolve(struct tk_api_call *c);

/* portkey_audit.c */
void tk_api_audit_logs(struct tk_api_call *c);

/* inference.c */
void tk_api_chat(struct tk_api_call *c);
void tk_api_completions(struct tk_api_call *c);
void tk_api_embeddings(struct tk_api_call *c);

#endif
