/* SPDX-License-Identifier: Apache-2.0
 *
 * rand: bytes that differ, everywhere in the buffer and nowhere beyond it, and ids of their time.
 */
#include "rt/rand.h"

#include "lib/unit.h"

#include <string.h>

#define NOW INT64_C(1780000000000)

static void every_byte_is_drawn_and_no_other(void **state) {
        uint8_t seen[64] = {0};
        (void)state;
        for (int round = 0; round < 64; round++) {
                uint8_t b[66];
                memset(b, 0xA5, sizeof b);
                tk_rand_bytes(b + 1, 64);
                assert_int_equal(b[0], 0xA5);
                assert_int_equal(b[65], 0xA5);
                for (int i = 0; i < 64; i++)
                        seen[i] |= (uint8_t)(b[i + 1] ^ 0xA5);
        }
        for (int i = 0; i < 64; i++)
                assert_int_equal(seen[i], 0xFF); /* 2^-64 a bit not to have changed in 64 rounds */
}

static void init_twice_is_fine(void **state) {
        (void)state;
        assert_ok(tk_rand_init());
        assert_ok(tk_rand_init());
}

static void ids_differ_and_follow_time(void **state) {
        (void)state;
        struct tk_id a = tk_rand_id(NOW), b = tk_rand_id(NOW), later = tk_rand_id(NOW + 1);
        assert_false(tk_id_eq(a, b));
        assert_false(tk_id_none(a));
        assert_true(memcmp(a.b, later.b, 6) < 0);
        assert_memory_equal(a.b, b.b, 6);
}

/* Two keys made in a row in one millisecond are listed in that order. */
static void ids_of_one_millisecond_keep_their_order(void **state) {
        struct tk_id last = tk_rand_id(NOW + 5);
        (void)state;
        for (int i = 0; i < 1000; i++) {
                struct tk_id next = tk_rand_id(NOW + 5);
                assert_true(memcmp(last.b, next.b, sizeof last.b) < 0);
                last = next;
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(every_byte_is_drawn_and_no_other),
                TEST(init_twice_is_fine),
                TEST(ids_differ_and_follow_time),
                TEST(ids_of_one_millisecond_keep_their_order),
        };
        if (tk_rand_init() != TK_OK)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
