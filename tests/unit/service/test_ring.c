/* SPDX-License-Identifier: Apache-2.0
 *
 * ring: every key is found again as it was put in, however many there are, and takes no more memory than it
 * should.
 */
#include "service/ring.h"

#include "lib/unit.h"
#include "service/account.h"
#include "unit/base/table.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS          20000 /* the tables double more than once */
#define KEY_BYTES_MAX 300

/* Spread as digests and ids are: by their random bytes. */
static void spread(uint8_t *bytes, size_t nr, uint64_t seed) {
        for (size_t i = 0; i < nr; i += sizeof seed) {
                seed = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
                seed ^= seed >> 29;
                memcpy(bytes + i, &seed, sizeof seed);
        }
}

static struct tk_key key_of(unsigned n) {
        struct tk_key key = {.org = {{1}},
                             .workspace = {{2}},
                             .last6 = "4Fyfvu",
                             .kind = TK_KIND_INFERENCE,
                             .period = TK_WINDOW_MONTH,
                             .scopes = tk_scopes_of_kind(TK_KIND_INFERENCE),
                             .created_ms = 1700000000000 + n,
                             .limits_nr = 2};
        for (unsigned i = 0; i < key.limits_nr; i++)
                key.limits[i] = (struct tk_limit){.meter = i ? TK_METER_TOKENS : TK_METER_USD,
                                                  .window = {.kind = TK_WINDOW_MONTH},
                                                  .cap = 1000 + n};
        spread(key.id.b, sizeof key.id.b, n);
        spread(key.digest, sizeof key.digest, UINT64_C(1) << 40 | n);
        snprintf(key.description, sizeof key.description, "key %u of a test", n);
        return key;
}

static struct tk_ring *filled_ring(void) {
        struct tk_ring *ring;
        assert_int_equal(tk_ring_open(&ring), TK_OK);
        for (unsigned n = 0; n < KEYS; n++) {
                struct tk_key key = key_of(n);
                struct tk_snapshot *snapshot;
                assert_int_equal(tk_ring_insert(ring, &key, tk_ring_version(ring), &snapshot), TK_OK);
                tk_snapshot_release(&snapshot);
        }
        return ring;
}

static void assert_is_key(const struct tk_key *found, unsigned n) {
        const struct tk_key key = key_of(n);
        if (!tk_id_eq(found->id, key.id) || !tk_id_eq(found->org, key.org) ||
            !tk_id_eq(found->workspace, key.workspace) || !tk_id_none(found->user) ||
            memcmp(found->digest, key.digest, sizeof key.digest) != 0 ||
            strcmp(found->description, key.description) != 0 || found->limits_nr != 2 ||
            found->limits[1].cap != key.limits[1].cap || found->created_ms != key.created_ms)
                WRONG("key %u is found as another", n);
}

static void each_is_found_again(void **state) {
        struct tk_ring *ring = filled_ring();
        (void)state;
        for (unsigned n = 0; n < KEYS; n++) {
                struct tk_key key = key_of(n);
                struct tk_snapshot *snapshot;
                assert_int_equal(tk_ring_find(ring, key.digest, &snapshot), TK_OK);
                assert_is_key(tk_snapshot_key(snapshot), n);
                assert_ptr_equal(tk_snapshot_account(snapshot), tk_ring_account_get(ring, key.id));
                tk_snapshot_release(&snapshot);
        }
        struct tk_key other = key_of(KEYS);
        struct tk_snapshot *snapshot;
        assert_int_equal(tk_ring_find(ring, other.digest, &snapshot), TK_E_NOT_FOUND);
        assert_null(snapshot);
        assert_null(tk_ring_account_get(ring, other.id));
        tk_ring_close(&ring);
}

/* Whoever has a snapshot keeps what it saw, and can tell that the key has changed since. */
static void a_snapshot_stays_and_grows_stale(void **state) {
        struct tk_ring *ring;
        struct tk_key key = key_of(1);
        struct tk_snapshot *before, *same, *after;
        struct tk_account *account;
        (void)state;
        assert_int_equal(tk_ring_open(&ring), TK_OK);
        assert_int_equal(tk_ring_insert(ring, &key, tk_ring_version(ring), &before), TK_OK);
        assert_int_equal(tk_ring_find(ring, key.digest, &same), TK_OK);
        assert_false(tk_snapshot_is_stale(before));
        key.limits_nr = TK_KEY_LIMITS_MAX; /* longer than what was there */
        for (unsigned i = 0; i < key.limits_nr; i++)
                key.limits[i] = (struct tk_limit){.window = {.kind = TK_WINDOW_MONTH}, .cap = i};
        key.revoked_ms = 5;
        assert_int_equal(tk_ring_changed(ring, &key, &account), TK_OK);
        assert_ptr_equal(account, tk_snapshot_account(before));
        assert_true(tk_snapshot_is_stale(before));
        assert_true(tk_snapshot_is_stale(same));
        assert_is_key(tk_snapshot_key(before), 1);
        assert_int_equal(tk_snapshot_key(same)->revoked_ms, 0);
        assert_int_equal(tk_ring_find(ring, key.digest, &after), TK_OK);
        assert_false(tk_snapshot_is_stale(after));
        assert_int_equal(tk_snapshot_key(after)->revoked_ms, 5);
        assert_int_equal(tk_snapshot_key(after)->limits_nr, TK_KEY_LIMITS_MAX);
        assert_int_equal(tk_snapshot_key(after)->limits[15].cap, 15);
        tk_snapshot_release(&before);
        tk_snapshot_release(&same);
        tk_snapshot_release(&after);
        tk_ring_close(&ring);
}

static void a_key_takes_few_bytes(void **state) {
        struct mallinfo2 before = mallinfo2();
        struct tk_ring *ring = filled_ring();
        struct mallinfo2 after = mallinfo2();
        (void)state;
        tk_ring_close(&ring);
        size_t took = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
        size_t fixed = (size_t)64 * 1024 * 32; /* the digests that are unknown */
        /* A sanitizer's allocator does not count here. */
        size_t each = after.uordblks > before.uordblks ? (took - fixed) / KEYS : 0;
        if (each > KEY_BYTES_MAX)
                WRONG("a key with two limits takes %zu bytes, more than %d", each, KEY_BYTES_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(each_is_found_again),
                TEST(a_snapshot_stays_and_grows_stale),
                TEST(a_key_takes_few_bytes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
