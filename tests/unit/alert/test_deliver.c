/* SPDX-License-Identifier: Apache-2.0
 *
 * deliver: how long it waits. The rest needs another side, and is tested end to end.
 */
#include "alert/deliver.h"

#include "lib/unit.h"

static void a_pause_doubles_up_to_an_hour(void **state) {
        static const struct {
                unsigned tries;
                int64_t middle;
        } rows[] = {{1, 5000},
                    {2, 10000},
                    {3, 20000},
                    {10, 2560000},
                    {11, 3600000},
                    {30, 3600000},
                    {4000000000u, 3600000}};
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                const int64_t middle = rows[i].middle;
                assert_int_equal(tk_deliver_pause_ms(rows[i].tries, 5000, 0), middle * 3 / 4);
                assert_int_equal(tk_deliver_pause_ms(rows[i].tries, 5000, 1023), middle * 5 / 4);
                for (uint32_t chance = 1; chance; chance *= 7) {
                        const int64_t pause = tk_deliver_pause_ms(rows[i].tries, 5000, chance);
                        assert_true(pause >= middle * 3 / 4 && pause <= middle * 5 / 4);
                        if (chance > UINT32_MAX / 7)
                                break;
                }
        }
        assert_int_equal(tk_deliver_pause_ms(1, 3600000, 0), 2700000);
}

/* 30 tries are about a day, which is what the manual promises. */
static void all_tries_take_about_a_day(void **state) {
        int64_t sum = 0;
        TK_UNUSED(state);
        for (unsigned tries = 1; tries < TK_DELIVER_TRIES_MAX; tries++)
                sum += tk_deliver_pause_ms(tries, 5000, 511);
        assert_true(sum > 18 * 3600000ll && sum < 24 * 3600000ll);
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(a_pause_doubles_up_to_an_hour),
                                           TEST(all_tries_take_about_a_day)};
        return cmocka_run_group_tests_name("alert/deliver", tests, NULL, NULL);
}
