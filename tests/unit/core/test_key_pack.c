/* SPDX-License-Identifier: Apache-2.0
 *
 * key_pack: every key comes out as it went in, in the bytes that were promised, beside who it is.
 */
#include "core/key_pack.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <stdlib.h>
#include <string.h>

static struct tk_key plain(void) {
        return (struct tk_key){
                .id = {{1}},
                .org = {{2}},
                .workspace = {{3}},
                .user = {{5}},
                .digest = {4},
                .last6 = "4Fyfvu",
                .description = "a key",
                .kind = TK_KIND_INFERENCE,
                .period = TK_WINDOW_MONTH,
                .scopes = tk_scopes_of_kind(TK_KIND_INFERENCE),
                .created_ms = 1700000000000,
        };
}

/* By member: nothing is said of padding, nor of what lies behind the texts' ends and the last limit. */
static void assert_same(const char *name, const struct tk_key *a, const struct tk_key *b) {
        bool same = tk_id_eq(a->id, b->id) && tk_id_eq(a->org, b->org) &&
                    tk_id_eq(a->workspace, b->workspace) && tk_id_eq(a->user, b->user) &&
                    memcmp(a->digest, b->digest, 32) == 0 && strcmp(a->last6, b->last6) == 0 &&
                    strcmp(a->description, b->description) == 0 && a->kind == b->kind &&
                    a->privacy == b->privacy && a->period == b->period &&
                    memcmp(&a->scopes, &b->scopes, sizeof a->scopes) == 0 && a->created_ms == b->created_ms &&
                    a->expires_ms == b->expires_ms && a->last_used_ms == b->last_used_ms &&
                    a->revoked_ms == b->revoked_ms && a->limits_nr == b->limits_nr;
        for (unsigned i = 0; same && i < a->limits_nr; i++) {
                const struct tk_limit *l = &a->limits[i], *m = &b->limits[i];
                same = tk_window_spec_eq(l->window, m->window) && l->meter == m->meter &&
                       l->flags == m->flags && l->cap == m->cap && l->alert == m->alert &&
                       l->base == m->base && l->base_number == m->base_number;
        }
        if (!same)
                WRONG("%s comes out as another key", name);
}

/* Through an allocation of exactly the size, so that one byte more is found by AddressSanitizer. */
static void check(const char *name, const struct tk_key *key) {
        struct tk_key out;
        memset(&out, 0xA5, sizeof out);
        out.id = key->id;
        out.org = key->org;
        out.workspace = key->workspace;
        out.user = key->user;
        memcpy(out.digest, key->digest, sizeof out.digest);
        struct tk_key_pack *pack = malloc(tk_key_pack_size(key));
        assert_non_null(pack);
        tk_key_pack_fill(pack, key);
        tk_key_pack_read(pack, &out);
        free(pack);
        assert_same(name, key, &out);
}

typedef void change_f(struct tk_key *key);

static void no_text(struct tk_key *key) {
        key->description[0] = '\0';
        key->last6[0] = '\0';
}
static void longest_text(struct tk_key *key) {
        memset(key->description, 'x', TK_DESCRIPTION_BYTES_MAX);
}
static void expiry_only(struct tk_key *key) {
        key->expires_ms = INT64_MAX;
}
static void use_only(struct tk_key *key) {
        key->last_used_ms = 1;
}
static void revocation_only(struct tk_key *key) {
        key->revoked_ms = 1700000000001;
}
static void all_times(struct tk_key *key) {
        key->created_ms = 0;
        key->expires_ms = 3;
        key->last_used_ms = 2;
        key->revoked_ms = 1;
}
static void no_right(struct tk_key *key) {
        key->scopes = (struct tk_scopes){{0}};
}
static void last_right_only(struct tk_key *key) {
        key->scopes = (struct tk_scopes){{0, 0, 0, UINT64_C(1) << 63}};
}
static void all_kinds(struct tk_key *key) {
        key->kind = TK_KIND_ADMIN;
        key->privacy = TK_PRIVACY_PRIVATE_ONLY;
        key->period = TK_WINDOW_LIFETIME;
}
static void widest_limit(struct tk_key *key) {
        key->limits_nr = 1;
        key->limits[0] = (struct tk_limit){
                .meter = (enum tk_meter)(TK_METER_NR - 1),
                .window = {.kind = TK_WINDOW_EVERY_N_DAYS, .days = UINT16_MAX, .anchor_day = INT32_MIN},
                .flags = TK_LIMIT_FLAGS,
                .cap = UINT64_MAX,
                .alert = UINT64_MAX,
                .base_number = INT64_MIN,
                .base = INT64_MAX};
}

static void each_shape(void **state) {
        static const struct {
                const char *name;
                change_f *change;
        } rows[] = {
                {"no text", no_text},
                {"the longest text", longest_text},
                {"an expiry only", expiry_only},
                {"a last use only", use_only},
                {"a revocation only", revocation_only},
                {"all times", all_times},
                {"no right", no_right},
                {"the last right only", last_right_only},
                {"other kinds", all_kinds},
                {"the widest limit", widest_limit},
        };
        struct tk_key key = plain();
        (void)state;
        check("a plain key", &key);
        for (size_t i = 0; i < COUNT(rows); i++) {
                key = plain();
                rows[i].change(&key);
                check(rows[i].name, &key);
        }
}

static void any_key(void **state) {
        struct xorshift x = {88172645463325252u};
        (void)state;
        for (int round = 0; round < 20000; round++) {
                struct tk_key key = plain();
                size_t text_len = xorshift_next(&x) % (TK_DESCRIPTION_BYTES_MAX + 1);
                memset(key.description, 'a' + (int)(xorshift_next(&x) % 26), text_len);
                key.description[text_len] = '\0';
                key.expires_ms = xorshift_next(&x) % 2 ? (int64_t)xorshift_sized(&x, 62) : 0;
                key.last_used_ms = xorshift_next(&x) % 2 ? (int64_t)xorshift_sized(&x, 62) : 0;
                key.revoked_ms = xorshift_next(&x) % 2 ? (int64_t)xorshift_sized(&x, 62) : 0;
                for (unsigned i = 0; i < TK_SCOPE_WORDS; i++)
                        key.scopes.word[i] = xorshift_next(&x) % 2 ? xorshift_next(&x) : 0;
                key.limits_nr = (unsigned)(xorshift_next(&x) % (TK_KEY_LIMITS_MAX + 1));
                for (unsigned i = 0; i < key.limits_nr; i++)
                        key.limits[i] = (struct tk_limit){
                                .meter = (enum tk_meter)(xorshift_next(&x) % TK_METER_NR),
                                .window = {.kind = (enum tk_window_kind)(xorshift_next(&x) % TK_WINDOW_NR),
                                           .days = (uint16_t)xorshift_next(&x),
                                           .anchor_day = (int32_t)xorshift_next(&x)},
                                .flags = (uint8_t)(xorshift_next(&x) & TK_LIMIT_FLAGS),
                                .cap = xorshift_sized(&x, 64),
                                .alert = xorshift_next(&x) % 2 ? xorshift_sized(&x, 64) : 0,
                                .base = (int64_t)xorshift_sized(&x, 62)};
                check("a random key", &key);
        }
}

static void small_things_stay_small(void **state) {
        struct tk_key key = plain();
        (void)state;
        assert_int_equal(tk_key_pack_size(&key), 24 + 8 + 5); /* head, a word of scopes, "a key" */
        key.limits_nr = 2;
        assert_int_equal(tk_key_pack_size(&key), 24 + 8 + 2 * 16 + 5);
        key.limits[1].alert = 1;
        assert_int_equal(tk_key_pack_size(&key), 24 + 8 + 2 * 16 + 8 + 5);
        key.limits[0].base = 1;
        assert_int_equal(tk_key_pack_size(&key), 24 + 8 + 2 * 16 + 8 + 16 + 5);
        key.limits_nr = TK_KEY_LIMITS_MAX + 1;
        tk_must_fail_f *original = tk_must_fail;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_key_pack_size(&key));
        tk_must_fail = original;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(each_shape),
                TEST(any_key),
                TEST(small_things_stay_small),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
