/* SPDX-License-Identifier: Apache-2.0
 *
 * key: what a stored key must look like. A store asks tk_key_ok() on both sides of the disk, so
 * that a damaged row is found where it is read and not where it is believed.
 *
 * Invariants of a key:
 *   (1) it has an id; kind, privacy and period are ones we know
 *   (2) description and last6 end in NUL within their arrays; the description is valid UTF-8 of at
 *       most 64 UTF-16 units; last6 is printable ASCII
 *   (3) no time is negative
 *   (4) every limit is sound, and no two have the same meter and window
 *   (5) it holds no right that this program does not know
 */
#include "core/key.h"

#include <string.h>

static const char *const privacy_names[] = {
        [TK_PRIVACY_ALL] = "ALL",
        [TK_PRIVACY_PRIVATE_TEXT] = "PRIVATE_TEXT",
        [TK_PRIVACY_PRIVATE_ONLY] = "PRIVATE_ONLY",
};
_Static_assert(sizeof privacy_names / sizeof *privacy_names == TK_PRIVACY_NR, "every setting has a name");

/* The text in an array that may have lost its NUL; then false. */
static bool text_in(const char *at, size_t size, struct tk_str *out) {
        size_t len = tk_str_find((struct tk_str){at, size}, '\0');
        *out = (struct tk_str){at, len};
        return len < size;
}

static bool description_ok(const struct tk_key *key) {
        struct tk_str text;
        return text_in(key->description, sizeof key->description, &text) && tk_str_utf8_ok(text) &&
               tk_str_utf16_len(text) <= TK_DESCRIPTION_UNITS_MAX;
}

static bool last6_ok(const struct tk_key *key) {
        struct tk_str text;
        if (!text_in(key->last6, sizeof key->last6, &text))
                return false;
        for (size_t i = 0; i < text.len; i++)
                if (text.at[i] <= ' ' || text.at[i] > '~')
                        return false;
        return true;
}

bool tk_key_limits_ok(const struct tk_limit *limits, unsigned limits_nr) {
        if (limits_nr > TK_KEY_LIMITS_MAX)
                return false;
        for (unsigned i = 0; i < limits_nr; i++) {
                const struct tk_limit *limit = &limits[i];
                if (!tk_limit_ok(limit))
                        return false;
                for (unsigned j = 0; j < i; j++)
                        if (limits[j].meter == limit->meter &&
                            tk_window_spec_eq(limits[j].window, limit->window))
                                return false;
        }
        return true;
}

static bool scopes_ok(const struct tk_key *key) {
        struct tk_scopes known = {{0}};
        for (unsigned i = 0; i < TK_SCOPE_NR; i++)
                tk_scopes_add(&known, (enum tk_scope)i);
        return tk_scopes_cover(&known, &key->scopes);
}

bool tk_key_ok(const struct tk_key *key) {
        if (tk_id_none(key->id) || (unsigned)key->kind >= TK_KIND_NR ||
            (unsigned)key->privacy >= TK_PRIVACY_NR || (unsigned)key->period >= TK_WINDOW_NR)
                return false; /* (1) */
        if (!description_ok(key) || !last6_ok(key))
                return false; /* (2) */
        if (key->created_ms < 0 || key->expires_ms < 0 || key->last_used_ms < 0 || key->revoked_ms < 0)
                return false;                                                   /* (3) */
        return tk_key_limits_ok(key->limits, key->limits_nr) && scopes_ok(key); /* (4) (5) */
}

const struct tk_limit *tk_key_limit_get(const struct tk_key *key, enum tk_meter meter,
                                        enum tk_window_kind window) {
        MUST(key->limits_nr <= TK_KEY_LIMITS_MAX);
        for (unsigned i = 0; i < key->limits_nr; i++)
                if (key->limits[i].meter == meter && key->limits[i].window.kind == window)
                        return &key->limits[i];
        return NULL;
}

bool tk_key_is_active(const struct tk_key *key, int64_t now_ms) {
        return key->revoked_ms == 0 && (key->expires_ms == 0 || now_ms < key->expires_ms);
}

const char *tk_privacy_name(enum tk_privacy privacy) {
        MUST((unsigned)privacy < TK_PRIVACY_NR);
        return privacy_names[privacy];
}

bool tk_privacy_parse(struct tk_str name, enum tk_privacy *out) {
        for (unsigned i = 0; i < TK_PRIVACY_NR; i++)
                if (tk_str_is(name, privacy_names[i])) {
                        *out = (enum tk_privacy)i;
                        return true;
                }
        return false;
}
