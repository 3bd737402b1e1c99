/* SPDX-License-Identifier: Apache-2.0
 *
 * Which jobs of the writer share a commit: those that nobody waits for wait for others.
 */
#include "service/writer.c"

#include "lib/unit.h"

#include <semaphore.h>

#define AN_HOUR_MS 3600000u

static struct tk_store *store;
static struct tk_writer *writer;
static unsigned applied; /* in all batches; the writer's thread alone */
static sem_t landed;

struct deed {
        struct tk_job job;
        unsigned seen; /* what was applied when its batch had been committed */
};

static enum tk_err apply_deed(struct tk_job *job, struct tk_store *to) {
        TK_UNUSED(job);
        TK_UNUSED(to);
        applied++;
        return TK_OK;
}

static void deed_settled(struct tk_job *job) {
        ((struct deed *)job)->seen = applied;
}

static void deed_done(struct tk_job *job) {
        TK_UNUSED(job);
        MUST(sem_post(&landed) == 0);
}

static void push(struct deed *deed, bool patient) {
        *deed = (struct deed){.job = {.apply = apply_deed,
                                      .settled = deed_settled,
                                      .done = deed_done,
                                      .must_land = patient,
                                      .patient = patient}};
        tk_writer_push(writer, &deed->job);
}

static void wait_for(unsigned nr) {
        while (nr-- > 0)
                while (sem_wait(&landed) != 0)
                        assert_int_equal(errno, EINTR);
}

static int open_writer(void **state) {
        char why[256];
        TK_UNUSED(state);
        company_ms = AN_HOUR_MS;
        applied = 0;
        assert_int_equal(sem_init(&landed, 0, 0), 0);
        assert_ok(tk_store_open("memory:", &store, why, sizeof why));
        assert_ok(tk_writer_open(store, false, &writer));
        return 0;
}

static int close_writer(void **state) {
        TK_UNUSED(state);
        assert_true(tk_writer_close(&writer));
        tk_store_close(&store);
        sem_destroy(&landed);
        return 0;
}

static void the_patient_wait_for_one_who_is_not(void **state) {
        struct deed deeds[4];
        TK_UNUSED(state);
        for (int round = 1; round <= 2; round++) {
                for (int i = 0; i < 4; i++)
                        push(&deeds[i], i < 3);
                wait_for(4);
                for (int i = 0; i < 4; i++)
                        assert_int_equal(deeds[i].seen, 4 * round);
        }
}

static void enough_of_the_patient_wait_for_nobody(void **state) {
        static struct deed deeds[COMPANY];
        TK_UNUSED(state);
        for (int i = 0; i < COMPANY; i++)
                push(&deeds[i], true);
        wait_for(COMPANY);
        for (int i = 0; i < COMPANY; i++)
                assert_int_equal(deeds[i].seen, COMPANY);
}

static void the_patient_do_not_wait_for_ever(void **state) {
        struct deed deed;
        TK_UNUSED(state);
        company_ms = 1; /* before the writer's thread looks at it, which a push makes it do */
        push(&deed, true);
        wait_for(1);
        assert_int_equal(deed.seen, 1);
}

static void the_end_waits_for_nobody(void **state) {
        struct deed deed;
        TK_UNUSED(state);
        push(&deed, true);
        assert_true(tk_writer_close(&writer));
        wait_for(1);
        assert_int_equal(deed.seen, 1);
        assert_ok(tk_writer_open(store, false, &writer));
}

int main(void) {
#define WITH(name) cmocka_unit_test_setup_teardown(name, open_writer, close_writer)
        const struct CMUnitTest tests[] = {
                WITH(the_patient_wait_for_one_who_is_not),
                WITH(enough_of_the_patient_wait_for_nobody),
                WITH(the_patient_do_not_wait_for_ever),
                WITH(the_end_waits_for_nobody),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
