/* SPDX-License-Identifier: Apache-2.0
 *
 * native_view: what the native API shows: amounts, holds, refusals, keys and their limits. Each function
 * writes one value. Money is an exact decimal number, everything else that is counted an integer. Pure; any
 * thread.
 */
#ifndef TK_API_NATIVE_VIEW_H
#define TK_API_NATIVE_VIEW_H

#include "service/holds.h"
#include "service/verify.h"
#include "service/word.h"
#include "wire/json_write.h"

/* {"usd":0.5,"requests":1,"tokens":0}; diem and vcu only when there is something of them. */
void tk_native_write_amounts(struct tk_jw *w, const struct tk_amounts *amounts);
/* name: the caller's id of it. */
void tk_native_write_hold(struct tk_jw *w, const char *name, const struct tk_hold_view *view);
/* retry_after: seconds until the same may pass; null: time alone will not let it. */
void tk_native_write_refusal(struct tk_jw *w, const struct tk_refusal *refusal, int64_t now_ms);
void tk_native_write_doubt(struct tk_jw *w, const struct tk_doubt_row *row);
/* The answer to a word: the doubt as it was, what was spent of it, what is free again. */
void tk_native_write_word(struct tk_jw *w, const struct tk_doubt *doubt, int64_t spent, bool replayed);
/* {"id":...,"description":...} */
void tk_native_write_key(struct tk_jw *w, struct tk_id id, const char *description);
/* With kind, expiry and limits. */
void tk_native_write_key_in_full(struct tk_jw *w, const struct tk_key *key,
                                 const struct tk_standing *standing, unsigned standing_nr);

#endif
