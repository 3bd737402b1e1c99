/* SPDX-License-Identifier: Apache-2.0
 *
 * Many threads, few names, one cap: whatever meets whatever, what is posted is what the answers said, each
 * name counts at most once, and no more than the cap was ever due. For the thread sanitizer as much as for
 * the sums.
 */
#include "bed.h"

#include "core/time.h"
#include "service/holds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 6
#define ROUNDS  300
#define NAMES   40
#define CAP     2000
#define AT      (INT64_C(40000) * TK_DAY_S * 1000)

static struct bed owner;
static struct tk_key_text secret;
static struct tk_id key_org;

struct said {
        bool done;
        enum tk_holds_outcome outcome;
        enum tk_hold_state state;
        int64_t due;
};

static void on_said(void *ctx, const struct tk_holds_answer *answer) {
        struct said *said = ctx;
        said->outcome = answer->outcome;
        if (answer->view) {
                said->state = answer->view->hold.state;
                said->due = answer->view->hold.due.of[TK_METER_USD];
        }
        said->done = true;
}

static struct tk_amounts usd(int64_t nano) {
        struct tk_amounts amounts = {{0}};
        amounts.of[TK_METER_USD] = nano;
        return amounts;
}

struct hammer {
        pthread_t thread;
        struct bed bed;
        unsigned seed;
        int64_t posted;        /* by posts that this thread was the first to make */
        unsigned outcomes[16]; /* how often */
};

static unsigned draw(struct hammer *h, unsigned below) {
        h->seed = h->seed * 1103515245u + 12345u;
        return (h->seed >> 8) % below;
}

static void authorize(struct hammer *h, struct tk_str name, struct said *said) {
        struct tk_snapshot *snapshot;
        assert_ok(tk_keys_identify(h->bed.worker, (struct tk_str){secret.at, secret.len}, &snapshot));
        struct tk_holds_ask ask = {
                .org = key_org,
                .name = name,
                .facts = {.key_sent = true, .key = tk_snapshot_key(snapshot), .now_ms = AT},
                .least = usd(50),
                .most = usd(50),
                .life_ms = 60000,
                .model = "",
                .now_ms = AT};
        tk_holds_authorize(h->bed.worker, &ask, &snapshot, on_said, said);
}

static void act(struct hammer *h, struct tk_str name, struct said *said) {
        struct tk_holds_more more = {.least = usd(10), .most = usd(30), .used = usd(5)};
        struct tk_holds_actual actual = {.named = 1, .amounts = usd(40), .model = ""};
        switch (draw(h, 8)) {
        case 0:
        case 1:
        case 2:
                authorize(h, name, said);
                break;
        case 3:
                tk_holds_extend(h->bed.worker, key_org, name, &more, AT, on_said, said);
                break;
        case 4:
        case 5:
                tk_holds_post(h->bed.worker, key_org, name, &actual, AT, on_said, said);
                bed_until(&h->bed, &said->done);
                if (said->outcome == TK_HOLDS_DONE)
                        h->posted += said->due;
                break;
        case 6:
                tk_holds_get(h->bed.worker, key_org, name, AT, on_said, said);
                break;
        default:
                if (draw(h, 4) == 0)
                        tk_holds_void(h->bed.worker, key_org, name, AT, on_said, said);
                else
                        authorize(h, name, said);
        }
        bed_until(&h->bed, &said->done);
}

static void *hammer(void *arg) {
        struct hammer *h = arg;
        for (unsigned i = 0; i < ROUNDS; i++) {
                char name[16];
                struct said said = {.done = false};
                snprintf(name, sizeof name, "name.%u", draw(h, NAMES));
                act(h, tk_str_of(name), &said);
                h->outcomes[said.outcome]++;
        }
        return NULL;
}

/* Ends what is left, so that all that was ever due is posted. */
static int64_t end_all(void) {
        int64_t due = 0;
        for (unsigned i = 0; i < NAMES; i++) {
                char name[16];
                struct said said = {.done = false};
                snprintf(name, sizeof name, "name.%u", i);
                tk_holds_get(owner.worker, key_org, tk_str_of(name), AT, on_said, &said);
                bed_until(&owner, &said.done);
                if (said.outcome == TK_HOLDS_UNKNOWN)
                        continue;
                if (said.state == TK_HOLD_POSTED)
                        due += said.due;
        }
        return due;
}

static void many_threads_on_few_names(void **state) {
        struct hammer hammers[THREADS];
        struct tk_id id;
        int64_t posted = 0;
        unsigned done = 0, replayed = 0;
        TK_UNUSED(state);
        bed_open(&owner, "memory:");
        struct tk_snapshot *snapshot =
                bed_key_secret(&owner, TK_METER_USD, TK_WINDOW_LIFETIME, CAP, &id, &secret);
        key_org = tk_snapshot_key(snapshot)->org;
        for (unsigned i = 0; i < THREADS; i++) {
                memset(&hammers[i], 0, sizeof hammers[i]);
                hammers[i].seed = i + 1;
                bed_share(&hammers[i].bed, &owner);
        }
        for (unsigned i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&hammers[i].thread, NULL, hammer, &hammers[i]), 0);
        for (unsigned i = 0; i < THREADS; i++)
                pthread_join(hammers[i].thread, NULL);
        for (unsigned i = 0; i < THREADS; i++) {
                posted += hammers[i].posted;
                done += hammers[i].outcomes[TK_HOLDS_DONE];
                replayed += hammers[i].outcomes[TK_HOLDS_REPLAYED];
                assert_int_equal(hammers[i].outcomes[TK_HOLDS_FAULT], 0);
        }
        assert_true(done > NAMES / 2);
        assert_true(replayed > 0);
        assert_int_equal(end_all(), posted);
        assert_int_equal(bed_posted(&owner, id, TK_METER_USD), posted);
        assert_true(posted > 0 && posted <= CAP);
        for (unsigned i = 0; i < THREADS; i++)
                bed_unshare(&hammers[i].bed);
        tk_snapshot_release(&snapshot);
        tk_key_text_wipe(&secret);
        bed_close(&owner);
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(many_threads_on_few_names)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
