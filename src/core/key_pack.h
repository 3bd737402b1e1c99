/* SPDX-License-Identifier: Apache-2.0
 *
 * key_pack: what a key may do, in as few bytes as it needs, for whoever keeps a great many of them.
 *
 *   | head | words | text |
 *
 *   head    the small members, and how many words of which kind follow
 *   words   those of the times that are not 0; the scopes up to the last word that is not 0; two for each
 * limit text    the description, without its NUL
 *
 * Not in it is who the key is, because its keeper knows that anyway: id, organisation, workspace, user and
 * digest.
 */
#ifndef TK_CORE_KEY_PACK_H
#define TK_CORE_KEY_PACK_H

#include "core/key.h"

struct tk_key_pack {
        int64_t created_ms;
        uint8_t kind;
        uint8_t privacy;
        uint8_t period;
        uint8_t times; /* bit n: the n-th of expires_ms, last_used_ms, revoked_ms is there */
        uint8_t scopes_nr;
        uint8_t limits_nr;
        uint8_t text_len;
        char last6[TK_KEY_LAST6 + 1];
        uint64_t words[];
};

/* The bytes that this key needs. It is sound: tk_key_ok(). */
size_t tk_key_pack_size(const struct tk_key *key);
/* Into memory of that size. */
void tk_key_pack_fill(struct tk_key_pack *pack, const struct tk_key *key);
/* All but id, organisation, workspace, user and digest, which stay as they are. Nothing behind the
 * description's NUL and the last limit is written. */
void tk_key_pack_read(const struct tk_key_pack *pack, struct tk_key *out);

#endif
