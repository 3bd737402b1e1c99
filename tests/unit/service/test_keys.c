/* SPDX-License-Identifier: Apache-2.0
 *
 * The use cases around keys: who is found and who is not, that a change acts before it is told, and that a
 * change made by another process on the same store is noticed without a restart.
 */
#include "bed.h"

#include "rt/clock.h"
#include "rt/hash.h"
#include "rt/rand.h"
#include "service/keymint.h"
#include "store/people.h"

#include <stdlib.h>
#include <string.h>

#define NOW         INT64_C(2000000000000)
#define PATIENCE_MS 10000

/* What a completion told, and what the edit on the writer's thread is to do. */
struct told {
        bool done;
        enum tk_err err;
        const char *name; /* the new description; NULL: the edit refuses */
};

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct told *told = ctx;
        assert_true((err == TK_OK) == (key != NULL));
        told->done = true;
        told->err = err;
}

static enum tk_err rename_key(struct tk_key *key, void *ctx) {
        const struct told *told = ctx;
        strcpy(key->description, told->name ? told->name : "must not be written");
        return told->name ? TK_OK : TK_E_RANGE;
}

static enum tk_err update(struct bed *bed, struct tk_id org, struct tk_id id, const char *name) {
        struct told told = {.name = name};
        tk_keys_update(bed->worker, &tk_actor_system, org, id, NOW, rename_key, on_key, &told);
        bed_until(bed, &told.done);
        return told.err;
}

static enum tk_err revoke(struct bed *bed, struct tk_id org, struct tk_id id) {
        struct told told = {.done = false};
        tk_keys_revoke(bed->worker, &tk_actor_system, org, id, NOW, on_key, &told);
        bed_until(bed, &told.done);
        return told.err;
}

static struct tk_str text_of(const struct tk_key_text *secret) {
        return (struct tk_str){secret->at, secret->len};
}

static void a_change_acts_before_it_is_told(void **state) {
        struct bed *bed = *state;
        struct tk_id id, org = tk_store_org(bed->store);
        struct tk_key_text secret;
        struct tk_snapshot *old = bed_key_secret(bed, TK_METER_USD, TK_WINDOW_DAY, 5, &id, &secret), *now;
        assert_ok(update(bed, org, id, "new name"));
        assert_ok(tk_keys_identify(bed->worker, text_of(&secret), &now));
        assert_string_equal(tk_snapshot_key(now)->description, "new name");
        assert_string_equal(tk_snapshot_key(old)->description, ""); /* a call in flight keeps what it saw */
        tk_snapshot_release(&old);
        tk_snapshot_release(&now);
        assert_ok(revoke(bed, org, id));
        assert_ok(tk_keys_identify(bed->worker, text_of(&secret), &now));
        assert_false(tk_key_is_active(tk_snapshot_key(now), NOW)); /* known, and judged as revoked */
        tk_snapshot_release(&now);
}

static void a_refused_edit_changes_nothing(void **state) {
        struct bed *bed = *state;
        struct tk_id id, org = tk_store_org(bed->store);
        struct tk_key key;
        struct tk_snapshot *snapshot = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 5, &id);
        tk_snapshot_release(&snapshot);
        assert_int_equal(update(bed, org, id, NULL), TK_E_RANGE);
        assert_ok(tk_keys_get(bed->worker, org, id, NOW, &key));
        assert_string_equal(key.description, "");
}

static void what_is_not_ours_is_not_found(void **state) {
        struct bed *bed = *state;
        struct tk_id id, org = tk_store_org(bed->store), other = tk_rand_id(NOW);
        struct tk_key key;
        struct tk_snapshot *snapshot = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 5, &id);
        tk_snapshot_release(&snapshot);
        assert_int_equal(tk_keys_get(bed->worker, other, id, NOW, &key), TK_E_NOT_FOUND);
        assert_int_equal(update(bed, other, id, "mine now"), TK_E_NOT_FOUND);
        assert_int_equal(revoke(bed, other, id), TK_E_NOT_FOUND);
        assert_int_equal(update(bed, org, other, "who"), TK_E_NOT_FOUND);
        assert_ok(revoke(bed, org, id));
        assert_int_equal(revoke(bed, org, id), TK_E_NOT_FOUND); /* gone is gone */
        assert_int_equal(update(bed, org, id, "back"), TK_E_NOT_FOUND);
        assert_int_equal(tk_keys_get(bed->worker, org, id, NOW, &key), TK_E_NOT_FOUND);
}

static void wrong_texts_are_not_found(void **state) {
        struct bed *bed = *state;
        static const char *const texts[] = {"", "x", "tk_inf_", "sk-abcdefghijklmnopqrstuvwxyz0123456789"};
        struct tk_key_text secret;
        struct tk_snapshot *snapshot = bed_key_secret(bed, TK_METER_USD, TK_WINDOW_DAY, 5, NULL, &secret);
        tk_snapshot_release(&snapshot);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                assert_int_equal(tk_keys_identify(bed->worker, tk_str_of(texts[i]), &snapshot),
                                 TK_E_NOT_FOUND);
                assert_null(snapshot);
        }
        secret.at[20] = secret.at[20] == 'a' ? 'b' : 'a';
        assert_int_equal(tk_keys_identify(bed->worker, text_of(&secret), &snapshot), TK_E_NOT_FOUND);
}

/* A well-formed key that nobody made is looked up once, remembered as unknown, and found once it exists. */
static void an_unknown_key_is_remembered_until_it_exists(void **state) {
        struct bed *bed = *state;
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_DAY}, key;
        struct tk_key_text secret;
        struct tk_snapshot *snapshot;
        tk_key_mint(&draft, "tk_inf", 1000, &key, &secret);
        key.org = tk_store_org(bed->store);
        key.workspace = tk_store_workspace(bed->store);
        for (int i = 0; i < 2; i++)
                assert_int_equal(tk_keys_identify(bed->worker, text_of(&secret), &snapshot), TK_E_NOT_FOUND);
        /* Another process writes it into the store; the change log says so within a second. */
        assert_ok(tk_store_begin(bed->store));
        assert_ok(tk_store_key_insert(bed->store, &key));
        assert_ok(tk_store_commit(bed->store));
        int64_t until_ms = tk_clock_mono_ms() + PATIENCE_MS;
        while (tk_keys_identify(bed->worker, text_of(&secret), &snapshot) == TK_E_NOT_FOUND)
                assert_true(tk_clock_mono_ms() < until_ms);
        assert_non_null(snapshot);
        tk_snapshot_release(&snapshot);
}

/* What runs under a snapshot hears of an edit at its next look, and goes on under the newest record. */
static void what_runs_is_judged_again(void **state) {
        struct bed *bed = *state;
        struct tk_id id, org = tk_store_org(bed->store);
        struct tk_snapshot *snapshot = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 5, &id);
        struct tk_snapshot *other = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 5, NULL);
        assert_int_equal(tk_keys_recheck(bed->worker, &snapshot, NOW), TK_VERDICT_PASS);
        assert_ok(update(bed, org, id, "renamed"));
        assert_string_not_equal(tk_snapshot_key(snapshot)->description, "renamed");
        assert_int_equal(tk_keys_recheck(bed->worker, &snapshot, NOW), TK_VERDICT_PASS);
        assert_string_equal(tk_snapshot_key(snapshot)->description, "renamed");
        assert_ok(revoke(bed, org, id));
        assert_int_equal(tk_keys_recheck(bed->worker, &snapshot, NOW), TK_VERDICT_REVOKED);
        assert_int_equal(tk_keys_recheck(bed->worker, &snapshot, NOW), TK_VERDICT_REVOKED);
        assert_int_equal(tk_keys_recheck(bed->worker, &other, NOW), TK_VERDICT_PASS);
        tk_snapshot_release(&snapshot);
        tk_snapshot_release(&other);
}

static enum tk_err let_end(struct tk_key *key, void *ctx) {
        TK_UNUSED(ctx);
        key->expires_ms = NOW + 10;
        return TK_OK;
}

static void what_runs_ends_with_its_key(void **state) {
        struct bed *bed = *state;
        struct tk_id id, org = tk_store_org(bed->store);
        struct told told = {.done = false};
        struct tk_snapshot *snapshot = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 5, &id);
        tk_keys_update(bed->worker, &tk_actor_system, org, id, NOW, let_end, on_key, &told);
        bed_until(bed, &told.done);
        assert_int_equal(tk_keys_recheck(bed->worker, &snapshot, NOW + 9), TK_VERDICT_PASS);
        assert_int_equal(tk_keys_recheck(bed->worker, &snapshot, NOW + 10), TK_VERDICT_EXPIRED);
        tk_snapshot_release(&snapshot);
}

static void the_last_use_is_written_by_the_barrier(void **state) {
        struct bed *bed = *state;
        struct tk_id id, org = tk_store_org(bed->store);
        struct tk_key key;
        struct tk_snapshot *snapshot = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 5, &id);
        tk_keys_touch(bed->worker, snapshot, 5000);
        tk_keys_touch(bed->worker, snapshot, 4000); /* a clock that stepped back */
        bed_barrier(bed);
        assert_ok(tk_keys_get(bed->worker, org, id, NOW, &key));
        assert_int_equal(key.last_used_ms, 5000);
        tk_snapshot_release(&snapshot);
}

static void usage_is_of_the_window_and_of_seven_days(void **state) {
        static const int64_t hour_ms = 3600 * 1000, day = INT64_C(40000);
        struct bed *bed = *state;
        struct tk_id id;
        struct tk_amounts trailing, period;
        struct tk_ticket *t;
        struct tk_snapshot *snapshot = bed_key(bed, TK_METER_USD, TK_WINDOW_DAY, 1000, &id);
        int64_t now = (day * 24 + 12) * hour_ms;
        int64_t ages_h[] = {168, 167, 13, 12, 0}; /* hours ago, oldest first: time never goes back */
        for (size_t i = 0; i < sizeof ages_h / sizeof *ages_h; i++) {
                assert_int_equal(bed_hold(bed, snapshot, 1 << i, 1 << i, now - ages_h[i] * hour_ms, &t),
                                 TK_HOLD_TAKEN);
                bed_post(&t, 1 << i, now);
        }
        bed_barrier(bed);
        assert_ok(tk_keys_trailing(bed->worker, tk_snapshot_key(snapshot), now, &trailing));
        assert_ok(tk_keys_period(bed->worker, tk_snapshot_key(snapshot), now, &period));
        assert_int_equal(trailing.of[TK_METER_USD], 2 + 4 + 8 + 16);
        assert_int_equal(period.of[TK_METER_USD], 8 + 16);
        tk_snapshot_release(&snapshot);
}

static enum tk_err try_create(struct bed *bed, struct tk_id org, struct tk_id workspace, struct tk_id user) {
        struct tk_key draft = {.kind = TK_KIND_INFERENCE,
                               .period = TK_WINDOW_DAY,
                               .org = org,
                               .workspace = workspace,
                               .user = user};
        struct tk_key_text secret;
        struct told told = {.done = false};
        tk_keys_create(bed->worker, &tk_actor_system, &draft, NOW, &secret, on_key, &told);
        bed_until(bed, &told.done);
        return told.err;
}

static void a_key_is_made_where_all_above_it_is_there(void **state) {
        static const struct tk_id none;
        struct bed *bed = *state;
        const struct tk_id first = tk_store_workspace(bed->store), other = tk_rand_id(NOW);
        const struct tk_id user = bed_user(bed, 1), gone = bed_user(bed, 2), workspace = bed_workspace(bed);
        bed_stop(bed);
        assert_ok(tk_store_begin(bed->store));
        assert_ok(tk_store_user_remove(bed->store, gone, NOW));
        assert_ok(tk_store_commit(bed->store));
        bed_start(bed);
        assert_ok(try_create(bed, none, none, none));
        assert_ok(try_create(bed, none, first, user));
        assert_ok(try_create(bed, none, workspace, user));
        assert_int_equal(try_create(bed, none, none, gone), TK_E_NOT_FOUND);
        assert_int_equal(try_create(bed, none, none, other), TK_E_NOT_FOUND);
        assert_int_equal(try_create(bed, none, none, workspace), TK_E_NOT_FOUND);
        assert_int_equal(try_create(bed, none, user, none), TK_E_NOT_FOUND);
        assert_int_equal(try_create(bed, none, other, none), TK_E_NOT_FOUND);
        assert_int_equal(try_create(bed, other, first, none), TK_E_NOT_FOUND); /* another's workspace */
        bed_stop(bed);
        assert_ok(tk_store_begin(bed->store));
        assert_ok(tk_store_workspace_remove(bed->store, workspace, NOW));
        assert_ok(tk_store_commit(bed->store));
        bed_start(bed);
        assert_int_equal(try_create(bed, none, workspace, user), TK_E_NOT_FOUND);
}

/* ---- what management sees of a key ---- */

static enum tk_err describe(struct tk_key *key, struct tk_profile *profile, void *ctx) {
        const struct told *told = ctx;
        strcpy(key->description, told->name ? told->name : "must not be written");
        strcpy(profile->about, key->description);
        return told->name ? TK_OK : TK_E_RANGE;
}

static enum tk_err change_key(struct bed *bed, struct tk_id org, struct tk_id id, const char *name) {
        struct told told = {.name = name};
        tk_keys_change(bed->worker, &tk_actor_system, org, id, NOW, describe, on_key, &told);
        bed_until(bed, &told.done);
        return told.err;
}

static void a_key_and_its_profile_change_together(void **state) {
        struct bed *bed = *state;
        struct told told = {.done = false};
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_DAY, .expires_ms = NOW + 1},
                      seen;
        struct tk_profile *profile = calloc(1, sizeof *profile);
        struct tk_key_text secret;
        uint64_t total = 0;
        assert_non_null(profile);
        strcpy(profile->about, "at first");
        tk_keys_create_profiled(bed->worker, &tk_actor_system, &draft, profile, NOW, &secret, on_key, &told);
        bed_until(bed, &told.done);
        assert_ok(told.err);
        struct tk_snapshot *snapshot;
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &snapshot));
        struct tk_id id = tk_snapshot_key(snapshot)->id, org = tk_snapshot_key(snapshot)->org;
        tk_snapshot_release(&snapshot);
        assert_ok(tk_keys_find(bed->worker, org, id, &seen, profile));
        assert_string_equal(profile->about, "at first");

        assert_ok(change_key(bed, org, id, "later"));
        assert_int_equal(change_key(bed, org, id, NULL), TK_E_RANGE);
        assert_ok(tk_keys_find(bed->worker, org, id, &seen, profile));
        assert_string_equal(seen.description, "later");
        assert_string_equal(profile->about, "later");
        assert_int_equal(change_key(bed, id, id, "x"), TK_E_NOT_FOUND); /* another organisation's */
        assert_int_equal(tk_keys_find(bed->worker, id, id, &seen, profile), TK_E_NOT_FOUND);

        /* Expired keys are managed, revoked ones are gone. */
        assert_int_equal(tk_keys_get(bed->worker, org, id, NOW + 1, &seen), TK_E_NOT_FOUND);
        assert_ok(tk_keys_find(bed->worker, org, id, &seen, profile));
        assert_ok(revoke(bed, org, id));
        assert_int_equal(tk_keys_find(bed->worker, org, id, &seen, profile), TK_E_NOT_FOUND);
        assert_int_equal(change_key(bed, org, id, "x"), TK_E_NOT_FOUND);
        struct tk_key_page page = {.org = org, .kinds = 1u << TK_KIND_USER};
        assert_ok(tk_keys_page(bed->worker, &page, NULL, NULL, &total));
        assert_int_equal(total, 0);
        tk_key_text_wipe(&secret);
        free(profile);
}

static void a_key_without_a_profile_has_an_empty_one(void **state) {
        struct bed *bed = *state;
        struct told told = {.done = false};
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_DAY}, seen;
        struct tk_profile *profile = calloc(1, sizeof *profile);
        struct tk_key_text secret;
        assert_non_null(profile);
        tk_keys_create(bed->worker, &tk_actor_system, &draft, NOW, &secret, on_key, &told);
        bed_until(bed, &told.done);
        struct tk_snapshot *snapshot;
        assert_ok(tk_keys_identify(bed->worker, (struct tk_str){secret.at, secret.len}, &snapshot));
        struct tk_id id = tk_snapshot_key(snapshot)->id, org = tk_snapshot_key(snapshot)->org;
        tk_snapshot_release(&snapshot);
        strcpy(profile->about, "left over");
        assert_ok(tk_keys_find(bed->worker, org, id, &seen, profile));
        assert_string_equal(profile->about, "");
        assert_true(tk_id_eq(profile->key, id));
        assert_ok(change_key(bed, org, id, "described"));
        assert_ok(tk_keys_profile(bed->worker, id, profile));
        assert_string_equal(profile->about, "described");
        tk_key_text_wipe(&secret);
        free(profile);
}

static void workspaces_are_found_by_id_and_slug(void **state) {
        struct bed *bed = *state;
        struct tk_id org = tk_store_org(bed->store);
        struct tk_id first = tk_store_workspace(bed->store), found;
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(first, text);
        assert_ok(tk_keys_workspace(bed->worker, org, tk_str_of(text), &found));
        assert_true(tk_id_eq(found, first));
        assert_int_equal(tk_keys_workspace(bed->worker, first, tk_str_of(text), &found), TK_E_NOT_FOUND);
        assert_int_equal(tk_keys_workspace(bed->worker, org, TK_STR("ws-none"), &found), TK_E_NOT_FOUND);
        assert_int_equal(tk_keys_workspace(bed->worker, org, TK_STR("No Slug"), &found), TK_E_NOT_FOUND);
        assert_int_equal(tk_keys_user(bed->worker, org, tk_str_of(text), &found), TK_E_NOT_FOUND);
        assert_int_equal(tk_keys_user(bed->worker, org, TK_STR(""), &found), TK_E_NOT_FOUND);
}

int main(void) {
#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
        const struct CMUnitTest tests[] = {
                BED_TEST(a_change_acts_before_it_is_told),
                BED_TEST(a_key_is_made_where_all_above_it_is_there),
                BED_TEST(a_refused_edit_changes_nothing),
                BED_TEST(what_is_not_ours_is_not_found),
                BED_TEST(wrong_texts_are_not_found),
                BED_TEST(an_unknown_key_is_remembered_until_it_exists),
                BED_TEST(what_runs_is_judged_again),
                BED_TEST(what_runs_ends_with_its_key),
                BED_TEST(the_last_use_is_written_by_the_barrier),
                BED_TEST(usage_is_of_the_window_and_of_seven_days),
                BED_TEST(a_key_and_its_profile_change_together),
                BED_TEST(a_key_without_a_profile_has_an_empty_one),
                BED_TEST(workspaces_are_found_by_id_and_slug),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
