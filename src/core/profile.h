/* SPDX-License-Identifier: Apache-2.0
 *
 * profile: what is known of a key that no request needs, only those who manage it. Kept apart from struct
 * tk_key, which lies in memory for every key in use. A key without a profile is one with an empty one.
 */
#ifndef TK_CORE_PROFILE_H
#define TK_CORE_PROFILE_H

#include "base/id.h"

#define TK_PROFILE_NAME_UNITS_MAX  255 /* UTF-16 code units */
#define TK_PROFILE_NAME_BYTES_MAX  (3 * TK_PROFILE_NAME_UNITS_MAX)
#define TK_PROFILE_ABOUT_UNITS_MAX 1000
#define TK_PROFILE_ABOUT_BYTES_MAX (3 * TK_PROFILE_ABOUT_UNITS_MAX)
#define TK_PROFILE_CONFIG_MAX      255
#define TK_PROFILE_EMAILS_MAX      4095
#define TK_PROFILE_METADATA_MAX    8191

struct tk_profile {
        struct tk_id key;
        int64_t updated_ms;                         /* 0: not since it was made */
        int64_t reset_ms;                           /* when its usage was last set back; 0: never */
        bool no_override;                           /* a request may not bring a configuration of its own */
        char name[TK_PROFILE_NAME_BYTES_MAX + 1];   /* in full, of which the description is the beginning */
        char about[TK_PROFILE_ABOUT_BYTES_MAX + 1]; /* what Portkey calls the description */
        char config[TK_PROFILE_CONFIG_MAX + 1];     /* the configuration that requests get by default */
        char emails[TK_PROFILE_EMAILS_MAX + 1];     /* who is told beside the usual; JSON, or "" */
        char metadata[TK_PROFILE_METADATA_MAX + 1]; /* what its requests are marked with; JSON, or "" */
};

/* It names a key, no time is negative, every text is UTF-8 and ends within its array. */
bool tk_profile_ok(const struct tk_profile *profile);

#endif
