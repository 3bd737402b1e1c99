/* SPDX-License-Identifier: Apache-2.0
 *
 * keymint: a fresh key out of a draft, the one place where secrets are born. The server's key service
 * and the command line both use it. Any thread after tk_rand_init().
 */
#ifndef TK_SERVICE_KEYMINT_H
#define TK_SERVICE_KEYMINT_H

#include "core/key.h"
#include "core/keyfmt.h"

/* The kind's mark behind the configured prefix takes "_inf" or "_adm". */
#define TK_KEY_PREFIX_BASE_MAX (TK_KEY_PREFIX_MAX - 4)

/* "tk" and ADMIN give "tk_adm". False: the result is no prefix that tk_key_prefix_ok() accepts. */
TK_CHECKED bool tk_key_mint_prefix(const char *base, enum tk_key_kind kind, char out[TK_KEY_PREFIX_MAX + 1]);
/*
 * Copies the draft and fills in what a draft does not have: id, digest, last six characters, created_ms
 * and, when it names no scope, those of its kind. prefix must be ok (MUST). The draft's own fields are
 * not judged here. *secret is the caller's to show once and to wipe.
 */
void tk_key_mint(const struct tk_key *draft, const char *prefix, int64_t now_ms, struct tk_key *out,
                 struct tk_key_text *secret);

#endif
