/* SPDX-License-Identifier: Apache-2.0
 *
 * Alerts: written once each, and how far telling about them has come.
 */
#include "contract/contract.h"

#include "core/time.h"

#include <string.h>

struct alerts {
        unsigned nr, stop_at;
        struct tk_alert of[LIST_MAX];
};

static bool take(const struct tk_alert *alert, void *ctx) {
        struct alerts *list = ctx;
        assert_true(list->nr < LIST_MAX);
        list->of[list->nr++] = *alert;
        return list->nr != list->stop_at;
}

static struct alerts list_of(struct fix *fix, struct tk_id org, unsigned limit) {
        static struct alerts list;
        list.nr = list.stop_at = 0;
        assert_ok(tk_reader_alert_list(fix->reader, org, limit, take, &list));
        return list;
}

static struct alerts due_of(struct fix *fix, enum tk_channel channel, int64_t now_ms, unsigned limit) {
        static struct alerts list;
        list.nr = list.stop_at = 0;
        assert_ok(tk_reader_alert_due(fix->reader, channel, now_ms, limit, take, &list));
        return list;
}

static enum tk_err put(struct fix *fix, const struct tk_alert *alert) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_alert_add(fix->store, alert);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static enum tk_err sent(struct fix *fix, struct tk_id id, enum tk_channel channel,
                        const struct tk_delivery *delivery) {
        assert_ok(tk_store_begin(fix->store));
        enum tk_err err = tk_store_alert_sent(fix->store, id, channel, delivery);
        assert_ok(tk_store_commit(fix->store));
        return err;
}

static void test_alert_round_trip_newest_first(void **state) {
        struct fix *fix = *state;
        struct tk_alert want[5];
        for (unsigned i = 0; i < 5; i++)
                want[i] = alert_of(fix->org, i + 1);
        want[3].at_ms = want[2].at_ms; /* by id, then */
        want[0].limit.cap = want[0].limit.alert = UINT64_MAX;
        want[0].posted = want[0].held = INT64_MAX;
        want[0].at_ms = 0;
        want[4].at_ms = TK_TIME_MS_MAX;
        want[4].limit = (struct tk_limit){.window = {TK_WINDOW_EVERY_N_DAYS, 9, -5},
                                          .meter = TK_METER_TOKENS,
                                          .flags = TK_LIMIT_OBSERVE,
                                          .cap = 0};
        static const unsigned order[] = {3, 0, 4, 1, 2};
        for (unsigned i = 0; i < 5; i++)
                assert_ok(put(fix, &want[order[i]]));
        struct alerts list = list_of(fix, fix->org, 100);
        assert_int_equal(list.nr, 5);
        for (unsigned i = 0; i < 5; i++)
                assert_true(alert_same(&list.of[i], &want[4 - i]));
        assert_int_equal(list_of(fix, fix->org, 2).nr, 2);
        assert_int_equal(list_of(fix, fix->org, 0).nr, 0);
        assert_int_equal(list_of(fix, id_of(77), 100).nr, 0);
        list = (struct alerts){.stop_at = 3};
        assert_ok(tk_reader_alert_list(fix->reader, fix->org, 100, take, &list));
        assert_int_equal(list.nr, 3);
        assert_int_equal(contract_change_last(fix), 0);
}

static void test_alert_is_noted_once(void **state) {
        struct fix *fix = *state;
        const struct tk_alert first = alert_of(fix->org, 1);
        struct tk_alert again = first;
        const struct tk_delivery delivered = {.status = TK_DELIVERY_DELIVERED, .tries = 1, .ended_ms = 99};
        again.posted++;
        again.at_ms++;
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_alert_add(fix->store, &first));
        assert_ok(tk_store_alert_add(fix->store, &again)); /* in the same batch */
        assert_ok(tk_store_commit(fix->store));
        assert_ok(sent(fix, first.id, TK_CHANNEL_EMAIL, &delivered));
        assert_ok(put(fix, &again)); /* and later: also what was sent stays */
        struct alerts list = list_of(fix, fix->org, 100);
        assert_int_equal(list.nr, 1);
        assert_int_equal(list.of[0].posted, first.posted);
        assert_int_equal(list.of[0].at_ms, first.at_ms);
        assert_int_equal(list.of[0].sent[TK_CHANNEL_EMAIL].status, TK_DELIVERY_DELIVERED);
        assert_int_equal(list.of[0].sent[TK_CHANNEL_WEBHOOK].status, TK_DELIVERY_WAITING);
}

static void test_alert_waits_in_each_channel_for_itself(void **state) {
        struct fix *fix = *state;
        for (unsigned i = 1; i <= 4; i++) {
                const struct tk_alert alert = alert_of(i == 4 ? id_of(300) : fix->org, i);
                assert_ok(put(fix, &alert));
        }
        struct tk_delivery delivery = {.tries = 1, .next_ms = 50, .error = "HTTP 500"};
        assert_ok(sent(fix, alert_of(fix->org, 1).id, TK_CHANNEL_WEBHOOK, &delivery));
        delivery.next_ms = 20;
        assert_ok(sent(fix, alert_of(fix->org, 2).id, TK_CHANNEL_WEBHOOK, &delivery));
        delivery.status = TK_DELIVERY_FAILED;
        assert_ok(sent(fix, alert_of(fix->org, 3).id, TK_CHANNEL_WEBHOOK, &delivery));

        struct alerts due = due_of(fix, TK_CHANNEL_WEBHOOK, 49, 100);
        assert_int_equal(due.nr, 2); /* of another organisation, too; alert 1 waits longer, 3 no more */
        assert_true(tk_id_eq(due.of[0].id, alert_of(fix->org, 4).id));
        assert_true(tk_id_eq(due.of[1].id, alert_of(fix->org, 2).id));
        assert_string_equal(due.of[1].sent[TK_CHANNEL_WEBHOOK].error, "HTTP 500");
        assert_int_equal(due.of[1].sent[TK_CHANNEL_WEBHOOK].tries, 1);
        due = due_of(fix, TK_CHANNEL_WEBHOOK, 50, 100);
        assert_int_equal(due.nr, 3);
        assert_true(tk_id_eq(due.of[2].id, alert_of(fix->org, 1).id));
        assert_int_equal(due_of(fix, TK_CHANNEL_WEBHOOK, 50, 2).nr, 2);
        assert_int_equal(due_of(fix, TK_CHANNEL_EMAIL, 0, 100).nr, 4);
        assert_int_equal(sent(fix, id_of(99), TK_CHANNEL_EMAIL, &delivery), TK_E_NOT_FOUND);
}

static void test_alerts_follow_the_mark(void **state) {
        struct fix *fix = *state;
        const struct tk_alert kept = alert_of(fix->org, 1), undone = alert_of(fix->org, 2);
        const struct tk_delivery failed = {.status = TK_DELIVERY_FAILED, .tries = 3, .ended_ms = 5};
        assert_ok(tk_store_begin(fix->store));
        assert_ok(tk_store_alert_add(fix->store, &kept));
        assert_ok(tk_store_mark(fix->store));
        assert_ok(tk_store_alert_add(fix->store, &undone));
        assert_ok(tk_store_alert_sent(fix->store, undone.id, TK_CHANNEL_EMAIL, &failed));
        assert_ok(tk_store_alert_sent(fix->store, kept.id, TK_CHANNEL_EMAIL, &failed));
        assert_ok(tk_store_mark_undo(fix->store));
        assert_int_equal(tk_store_alert_sent(fix->store, undone.id, TK_CHANNEL_EMAIL, &failed),
                         TK_E_NOT_FOUND);
        assert_ok(tk_store_commit(fix->store));
        struct alerts list = list_of(fix, fix->org, 100);
        assert_int_equal(list.nr, 1);
        assert_true(alert_same(&list.of[0], &kept));
}

static void test_front_refuses_alerts_that_are_none(void **state) {
        struct fix *fix = *state;
        struct tk_alert bad[13];
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                bad[i] = alert_of(fix->org, 1);
        bad[0].id = no_id;
        bad[1].org = no_id;
        bad[2].subject = no_id;
        bad[3].subject_kind = TK_SUBJECT_NR;
        bad[4].kind = TK_ALERT_NR;
        bad[5].limit.flags = TK_LIMIT_FLAGS + 1;
        bad[6].number = INT64_MAX;
        bad[7].posted = -1;
        bad[8].at_ms = -1;
        bad[9].sent[TK_CHANNEL_EMAIL].status = TK_DELIVERY_DELIVERED;
        bad[10].sent[TK_CHANNEL_WEBHOOK].tries = 1;
        bad[11].sent[TK_CHANNEL_WEBHOOK].next_ms = -1;
        memset(bad[12].sent[TK_CHANNEL_EMAIL].error, 'x', sizeof bad[12].sent[TK_CHANNEL_EMAIL].error);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_int_equal(put(fix, &bad[i]), TK_E_RANGE);
        const struct tk_alert alert = alert_of(fix->org, 1);
        assert_ok(put(fix, &alert));
        const struct tk_delivery escape = {.tries = 1, .error = "\x1b[2J"};
        assert_int_equal(sent(fix, alert.id, TK_CHANNEL_EMAIL, &escape), TK_E_RANGE);
        assert_int_equal(sent(fix, alert.id, TK_CHANNEL_NR, &alert.sent[0]), TK_E_RANGE);
        assert_int_equal(sent(fix, no_id, TK_CHANNEL_EMAIL, &alert.sent[0]), TK_E_RANGE);
        assert_true(alert_same(&list_of(fix, fix->org, 100).of[0], &alert));
}

int contract_alert_run(void) {
        const struct CMUnitTest tests[] = {
                T(alert_round_trip_newest_first),          T(alert_is_noted_once),
                T(alert_waits_in_each_channel_for_itself), T(alerts_follow_the_mark),
                T(front_refuses_alerts_that_are_none),
        };
        return cmocka_run_group_tests_name("alert", tests, NULL, NULL);
}
