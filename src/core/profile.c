/* SPDX-License-Identifier: Apache-2.0 */
#include "core/profile.h"

static bool text_ok(const char *at, size_t size) {
        size_t len = tk_str_find((struct tk_str){at, size}, '\0');
        return len < size && tk_str_utf8_ok((struct tk_str){at, len});
}

bool tk_profile_ok(const struct tk_profile *profile) {
        return !tk_id_none(profile->key) && profile->updated_ms >= 0 && profile->reset_ms >= 0 &&
               text_ok(profile->name, sizeof profile->name) &&
               text_ok(profile->about, sizeof profile->about) &&
               text_ok(profile->config, sizeof profile->config) &&
               text_ok(profile->emails, sizeof profile->emails) &&
               text_ok(profile->metadata, sizeof profile->metadata);
}
