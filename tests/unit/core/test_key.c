/* SPDX-License-Identifier: Apache-2.0
 *
 * key: a sound key, then each invariant broken alone.
 */
#include "core/key.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <string.h>

static struct tk_key sound(void) {
        struct tk_key key = {
                .id = {{1}},
                .last6 = "4Fyfvu",
                .description = "a key",
                .kind = TK_KIND_INFERENCE,
                .privacy = TK_PRIVACY_ALL,
                .period = TK_WINDOW_MONTH,
                .scopes = tk_scopes_of_kind(TK_KIND_INFERENCE),
                .created_ms = 1700000000000,
                .limits_nr = 2,
                .limits = {{.window = {.kind = TK_WINDOW_MONTH}, .meter = TK_METER_USD, .cap = 1},
                           {.window = {.kind = TK_WINDOW_MONTH}, .meter = TK_METER_DIEM, .cap = 2}},
        };
        return key;
}

typedef void break_f(struct tk_key *key);

static void no_id(struct tk_key *key) {
        key->id = (struct tk_id){{0}};
}
static void bad_kind(struct tk_key *key) {
        key->kind = TK_KIND_NR;
}
static void bad_privacy(struct tk_key *key) {
        key->privacy = TK_PRIVACY_NR;
}
static void negative_privacy(struct tk_key *key) {
        key->privacy = (enum tk_privacy)(-1);
}
static void bad_period(struct tk_key *key) {
        key->period = TK_WINDOW_NR;
}
static void endless_description(struct tk_key *key) {
        memset(key->description, 'x', sizeof key->description);
}
static void description_of_65(struct tk_key *key) {
        memset(key->description, 'x', 65);
}
static void description_of_65_units(struct tk_key *key) {
        memset(key->description, 'x', 63);
        memcpy(key->description + 63, "\xF0\x9F\x94\x91", 5); /* one character, two units */
}
static void description_not_utf8(struct tk_key *key) {
        memcpy(key->description, "caf\xE9", 5);
}
static void endless_last6(struct tk_key *key) {
        memset(key->last6, 'x', sizeof key->last6);
}
static void last6_with_a_space(struct tk_key *key) {
        key->last6[2] = ' ';
}
static void last6_begins_with_a_space(struct tk_key *key) {
        key->last6[0] = ' ';
}
static void last6_with_a_control(struct tk_key *key) {
        key->last6[2] = '\x7F';
}
static void last6_not_ascii(struct tk_key *key) {
        key->last6[2] = '\xE9';
}
static void created_before_1970(struct tk_key *key) {
        key->created_ms = -1;
}
static void expires_before_1970(struct tk_key *key) {
        key->expires_ms = -1;
}
static void used_before_1970(struct tk_key *key) {
        key->last_used_ms = -1;
}
static void revoked_before_1970(struct tk_key *key) {
        key->revoked_ms = INT64_MIN;
}
static void too_many_limits(struct tk_key *key) {
        key->limits_nr = TK_KEY_LIMITS_MAX + 1;
}
static void a_limit_without_a_meter(struct tk_key *key) {
        key->limits[1].meter = TK_METER_NR;
}
static void a_limit_without_a_window(struct tk_key *key) {
        key->limits[1].window.kind = TK_WINDOW_EVERY_N_DAYS;
}
static void the_same_limit_twice(struct tk_key *key) {
        key->limits[1].meter = TK_METER_USD;
}
static void a_right_from_the_future(struct tk_key *key) {
        key->scopes.word[3] = UINT64_C(1) << 63;
}

static void each_invariant(void **state) {
        static const struct {
                const char *name;
                break_f *damage;
        } rows[] = {
                {"no id", no_id},
                {"bad kind", bad_kind},
                {"bad privacy", bad_privacy},
                {"negative privacy", negative_privacy},
                {"bad period", bad_period},
                {"endless description", endless_description},
                {"description of 65", description_of_65},
                {"description of 64 characters, 65 units", description_of_65_units},
                {"description not UTF-8", description_not_utf8},
                {"endless last six", endless_last6},
                {"last six with a space", last6_with_a_space},
                {"last six that begins with a space", last6_begins_with_a_space},
                {"last six with a control character", last6_with_a_control},
                {"last six not ASCII", last6_not_ascii},
                {"created before 1970", created_before_1970},
                {"expires before 1970", expires_before_1970},
                {"used before 1970", used_before_1970},
                {"revoked before 1970", revoked_before_1970},
                {"too many limits", too_many_limits},
                {"a limit without a meter", a_limit_without_a_meter},
                {"a limit without a window", a_limit_without_a_window},
                {"the same limit twice", the_same_limit_twice},
                {"a right from the future", a_right_from_the_future},
        };
        struct tk_key key = sound();
        (void)state;
        assert_true(tk_key_ok(&key));
        for (size_t i = 0; i < COUNT(rows); i++) {
                key = sound();
                rows[i].damage(&key);
                if (tk_key_ok(&key))
                        WRONG("%s was not found", rows[i].name);
        }
}

static void unusual_keys_are_sound(void **state) {
        struct tk_key key = sound();
        (void)state;
        memset(key.description, 0, sizeof key.description);
        assert_true(tk_key_ok(&key)); /* an empty description is allowed */
        memset(key.description, 'x', 64);
        assert_true(tk_key_ok(&key));
        for (int i = 0; i < 64; i++) /* the longest in bytes */
                memcpy(key.description + 3 * i, "\xE2\x82\xAC", 4);
        assert_int_equal(strlen(key.description), TK_DESCRIPTION_BYTES_MAX);
        assert_true(tk_key_ok(&key));
        memcpy(key.last6, "!~abc", 6); /* of an imported key: shorter, and with other signs */
        key.created_ms = 0;
        assert_true(tk_key_ok(&key));
        key.limits_nr = 0;
        key.kind = TK_KIND_ADMIN;
        key.scopes = tk_scopes_of_kind(TK_KIND_ADMIN);
        key.expires_ms = INT64_MAX;
        assert_true(tk_key_ok(&key));
        memset(&key.scopes, 0, sizeof key.scopes); /* a key without rights */
        assert_true(tk_key_ok(&key));
}

static void as_many_limits_as_there_may_be(void **state) {
        struct tk_key key = sound();
        (void)state;
        key.limits_nr = TK_KEY_LIMITS_MAX;
        for (unsigned i = 0; i < TK_KEY_LIMITS_MAX; i++)
                key.limits[i] = (struct tk_limit){.window = {.kind = TK_WINDOW_EVERY_N_DAYS,
                                                             .days = (uint16_t)(i + 1)}, /* all different */
                                                  .meter = TK_METER_USD};
        assert_true(tk_key_ok(&key));
        key.limits[15].window.days = 1;
        assert_false(tk_key_ok(&key));
        key.limits[15].window.anchor_day = 7; /* another window again */
        assert_true(tk_key_ok(&key));
}

static void a_limit_is_found_by_meter_and_window(void **state) {
        struct tk_key key = sound();
        (void)state;
        assert_ptr_equal(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_MONTH), &key.limits[0]);
        assert_ptr_equal(tk_key_limit_get(&key, TK_METER_DIEM, TK_WINDOW_MONTH), &key.limits[1]);
        assert_null(tk_key_limit_get(&key, TK_METER_VCU, TK_WINDOW_MONTH));
        assert_null(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_DAY));
        key.limits_nr = 1; /* what lies beyond is no limit */
        assert_null(tk_key_limit_get(&key, TK_METER_DIEM, TK_WINDOW_MONTH));
        key.limits_nr = TK_KEY_LIMITS_MAX + 1;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_key_limit_get(&key, TK_METER_USD, TK_WINDOW_MONTH));
}

static void being_active(void **state) {
        static const struct {
                const char *name;
                int64_t expires_ms, revoked_ms, now_ms;
                bool active;
        } rows[] = {
                {"forever", 0, 0, INT64_MAX, true},
                {"a millisecond before it expires", 1000, 0, 999, true},
                {"when it expires", 1000, 0, 1000, false},
                {"after it expired", 1000, 0, 1001, false},
                {"revoked", 0, 500, 600, false},
                {"revoked by a clock that ran ahead", 0, 500, 400, false},
                {"revoked before it expires", 1000, 500, 600, false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_key key = sound();
                key.expires_ms = rows[i].expires_ms;
                key.revoked_ms = rows[i].revoked_ms;
                if (tk_key_is_active(&key, rows[i].now_ms) != rows[i].active)
                        WRONG("%s", rows[i].name);
        }
}

static void privacy_settings(void **state) {
        static const char *const names[] = {"ALL", "PRIVATE_TEXT", "PRIVATE_ONLY"};
        static const char *const others[] = {"", "all", "PRIVATE", "PRIVATE_TEXT ", "ANY"};
        enum tk_privacy privacy = TK_PRIVACY_NR;
        (void)state;
        assert_int_equal(COUNT(names), TK_PRIVACY_NR);
        for (size_t i = 0; i < COUNT(names); i++) {
                assert_true(tk_privacy_parse(tk_str_of(names[i]), &privacy));
                assert_int_equal(privacy, i);
                assert_string_equal(tk_privacy_name(privacy), names[i]);
        }
        for (size_t i = 0; i < COUNT(others); i++)
                if (tk_privacy_parse(tk_str_of(others[i]), &privacy))
                        WRONG("'%s' was read", others[i]);
        assert_int_equal(privacy, TK_PRIVACY_PRIVATE_ONLY);
        tk_must_fail = must_mock;
        expect_assert_failure(tk_privacy_name(TK_PRIVACY_NR));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(each_invariant),
                TEST(unusual_keys_are_sound),
                TEST(as_many_limits_as_there_may_be),
                TEST(a_limit_is_found_by_meter_and_window),
                TEST(being_active),
                TEST(privacy_settings),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
