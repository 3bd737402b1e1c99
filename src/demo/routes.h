/* SPDX-License-Identifier: Apache-2.0
 *
 * routes: which path does what, and who may: the demo's front door, for tk_server_opt.
 *
 *   POST /v1/chat/completions   POST /v1/completions   POST /v1/embeddings
 *   GET  /v1/models             GET  /v1/models/{id}
 *   GET  /demo/truth            POST /demo/truth/reset       what was really produced: truth.h
 *
 * Everything needs the key when one was set. Errors have OpenAI's shape.
 */
#ifndef TK_DEMO_ROUTES_H
#define TK_DEMO_ROUTES_H

#include "demo/job.h"

/* ctx: a const struct tk_demo_site *. */
tk_on_call_f tk_demo_on_call;
tk_on_refuse_f tk_demo_on_refuse;

#endif
