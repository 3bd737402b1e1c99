/* SPDX-License-Identifier: Apache-2.0
 *
 * key: the record of one API key, as both APIs and every store see it. It never holds the secret,
 * only its SHA-256 and its last six characters.
 */
#ifndef TK_CORE_KEY_H
#define TK_CORE_KEY_H

#include "base/id.h"
#include "core/limit.h"
#include "core/scope.h"

#define TK_DESCRIPTION_UNITS_MAX 64  /* UTF-16 code units, as the documented clients count */
#define TK_DESCRIPTION_BYTES_MAX 192 /* 64 units are at most 192 bytes of UTF-8 */
#define TK_KEY_LIMITS_MAX        16
#define TK_KEY_LAST6             6

enum tk_privacy { TK_PRIVACY_ALL, TK_PRIVACY_PRIVATE_TEXT, TK_PRIVACY_PRIVATE_ONLY, TK_PRIVACY_NR };

struct tk_key {
        struct tk_id id;
        struct tk_id org;
        struct tk_id workspace;
        struct tk_id user;  /* whose it is; none: nobody's */
        uint8_t digest[32]; /* SHA-256 of the whole key text */
        char last6[TK_KEY_LAST6 + 1];
        char description[TK_DESCRIPTION_BYTES_MAX + 1];
        enum tk_key_kind kind;
        enum tk_privacy privacy;
        /* The period of the consumption limits (venice sheet 0.2); kept also when none is capped. */
        enum tk_window_kind period;
        struct tk_scopes scopes;
        int64_t created_ms;
        int64_t expires_ms;   /* 0: never */
        int64_t last_used_ms; /* 0: never */
        int64_t revoked_ms;   /* 0: not revoked */
        unsigned limits_nr;
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
};

/* The invariants that a store checks before writing and after reading. */
bool tk_key_ok(const struct tk_key *key);
/* At most TK_KEY_LIMITS_MAX, each sound, no two with the same meter and window. */
bool tk_key_limits_ok(const struct tk_limit *limits, unsigned limits_nr);
/* The limit on (meter, window kind), or NULL. */
const struct tk_limit *tk_key_limit_get(const struct tk_key *key, enum tk_meter meter,
                                        enum tk_window_kind window);
bool tk_key_is_active(const struct tk_key *key, int64_t now_ms); /* neither revoked nor expired */
const char *tk_privacy_name(enum tk_privacy privacy);            /* "ALL", "PRIVATE_TEXT", ... */
TK_CHECKED bool tk_privacy_parse(struct tk_str name, enum tk_privacy *out);

#endif
