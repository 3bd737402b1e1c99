/* SPDX-License-Identifier: Apache-2.0
 *
 * native: what the handlers of the native API share: keys in bodies, verdicts.
 *
 * The caller proves itself with a key of its own; the key that is judged and charged is in the body. A key of
 * another organisation is as unknown as one that does not exist. No answer and no log has a key in it.
 */
#ifndef TK_API_NATIVE_H
#define TK_API_NATIVE_H

#include "api/call.h"
#include "api/native_body.h"
#include "api/native_view.h"

#define TK_NATIVE_ANSWER_BYTES_MAX 16384

/*
 * Whose key is it? OK with a snapshot, or without one when it is unknown to the caller's
 * organisation. Wipes the secret in any case. Notes the use of a key that is active.
 */
TK_CHECKED enum tk_err tk_native_identify(struct tk_api_call *c, struct tk_native_secret *secret,
                                          struct tk_snapshot **out);
/* The facts about a key and, when one is named, a model. priced: what the call costs is known without a
 * price. */
struct tk_facts tk_native_facts(const struct tk_api_call *c, const struct tk_key *key,
                                const struct tk_native_model *named, const struct tk_model *model,
                                bool priced);
/* "verdict" and, of a refusal, "detail" and, by a limit, "refusal". */
void tk_native_write_verdict(struct tk_jw *w, enum tk_verdict verdict, const struct tk_refusal *refusal,
                             int64_t now_ms);
/* Answers that the key is not known: a refusal like any other. */
void tk_native_answer_unknown(struct tk_api_call *c);
/* Of a named model; NULL: none is named, or it is unknown. */
const struct tk_model *tk_native_model_get(const struct tk_api_call *c, const struct tk_native_model *named);

#endif
