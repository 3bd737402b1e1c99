/* SPDX-License-Identifier: Apache-2.0
 *
 * inference: the routes that call a model, in both dialects. The handlers are declared in handlers.h;
 * this file has the order of their checks.
 */
#ifndef TK_API_INFERENCE_H
#define TK_API_INFERENCE_H

#include "api/handlers.h"

/* Prompts can be long (images inside the JSON); the server's own limit is the configuration's. */
#define TK_INFERENCE_BODY_MAX (64u << 20)

#endif
