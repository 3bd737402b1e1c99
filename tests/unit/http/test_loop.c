/* SPDX-License-Identifier: Apache-2.0
 *
 * What a loop offers beside HTTP: messages from other threads, timers, watches, its clock and its data.
 */
#include "unit/http/fixture.h"

#include "http/head.h"
#include "lib/unit.h"
#include "rt/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOPS 3

static struct fixture fixture;
static struct tk_loop *loops[LOOPS];
static pthread_t threads[LOOPS];
static atomic_int started, stopped;

static enum tk_err on_start(struct tk_loop *loop, unsigned index, void *ctx) {
        TK_UNUSED(ctx);
        loops[index] = loop;
        threads[index] = pthread_self();
        tk_loop_set_data(loop, &loops[index]);
        atomic_fetch_add(&started, 1);
        return TK_OK;
}

static enum tk_err on_stop(struct tk_loop *loop, unsigned index, void *ctx) {
        TK_UNUSED(ctx);
        MUST(loops[index] == loop && tk_loop_data(loop) == &loops[index]);
        MUST(pthread_equal(threads[index], pthread_self()));
        atomic_fetch_add(&stopped, 1);
        return TK_OK;
}

static int start(void **state) {
        atomic_store(&started, 0);
        atomic_store(&stopped, 0);
        fixture_init(&fixture);
        fixture.opt.loops = LOOPS;
        fixture.opt.on_loop_start = on_start;
        fixture.opt.on_loop_stop = on_stop;
        fixture_start(&fixture);
        while (atomic_load(&started) < LOOPS)
                usleep(1000);
        *state = &fixture;
        return 0;
}

static int stop(void **state) {
        fixture_stop(*state);
        assert_int_equal(atomic_load(&stopped), LOOPS);
        return 0;
}

/* Runs f(arg) on the loop's thread and waits for it. */
struct visit {
        struct tk_msg msg;
        void (*f)(struct tk_loop *loop, void *arg);
        void *arg;
        struct tk_loop *loop;
        atomic_bool done;
};

static void run_visit(struct tk_msg *msg) {
        struct visit *visit = (struct visit *)((char *)msg - offsetof(struct visit, msg));
        visit->f(visit->loop, visit->arg);
        atomic_store(&visit->done, true);
}

static void on_loop(struct tk_loop *loop, void (*f)(struct tk_loop *loop, void *arg), void *arg) {
        struct visit visit = {.msg.run = run_visit, .f = f, .arg = arg, .loop = loop};
        assert_true(tk_loop_send(loop, &visit.msg));
        while (!atomic_load(&visit.done))
                usleep(100);
}

/* Waits for a counter; 20 s are for ever here. */
static void wait_for(atomic_int *counter, int at_least) {
        for (int i = 0; i < 200000 && atomic_load(counter) < at_least; i++)
                usleep(100);
        assert_true(atomic_load(counter) >= at_least);
}

/* ---- messages ---- */

#define SENDERS  4
#define MESSAGES 2000

struct note {
        struct tk_msg msg;
        int sender, number;
};

static atomic_int notes_run;
static int last_number[SENDERS]; /* owned by loop 1 */

static void run_note(struct tk_msg *msg) {
        struct note *note = (struct note *)((char *)msg - offsetof(struct note, msg));
        MUST(pthread_equal(threads[1], pthread_self()));
        MUST(note->number == last_number[note->sender] + 1);
        last_number[note->sender] = note->number;
        free(note);
        atomic_fetch_add(&notes_run, 1);
}

static void *send_notes(void *arg) {
        for (int i = 1; i <= MESSAGES; i++) {
                struct note *note = malloc(sizeof *note);
                MUST(note);
                *note = (struct note){.msg.run = run_note, .sender = (int)(intptr_t)arg, .number = i};
                bool sent = tk_loop_send(loops[1], &note->msg);
                MUST(sent);
        }
        return NULL;
}

static void messages_arrive_in_each_senders_order(void **state) {
        TK_UNUSED(state);
        atomic_store(&notes_run, 0);
        memset(last_number, 0, sizeof last_number);
        pthread_t senders[SENDERS];
        for (intptr_t i = 0; i < SENDERS; i++)
                assert_int_equal(pthread_create(&senders[i], NULL, send_notes, (void *)i), 0);
        for (int i = 0; i < SENDERS; i++)
                pthread_join(senders[i], NULL);
        wait_for(&notes_run, SENDERS * MESSAGES);
}

struct bounce {
        struct tk_msg msg;
        int left;
        atomic_int *done;
};

/* From loop to loop, and to itself. */
static void run_bounce(struct tk_msg *msg) {
        struct bounce *bounce = (struct bounce *)((char *)msg - offsetof(struct bounce, msg));
        if (bounce->left-- == 0) {
                atomic_fetch_add(bounce->done, 1);
                return;
        }
        bool sent = tk_loop_send(loops[bounce->left * 2 / 3 % LOOPS], msg);
        MUST(sent);
}

static void messages_may_send_messages(void **state) {
        TK_UNUSED(state);
        atomic_int done = 0;
        struct bounce bounces[8];
        for (int i = 0; i < 8; i++) {
                bounces[i] = (struct bounce){.msg.run = run_bounce, .left = 500, .done = &done};
                assert_true(tk_loop_send(loops[i % LOOPS], &bounces[i].msg));
        }
        wait_for(&done, 8);
}

static atomic_int accepted, run;

static void run_counted(struct tk_msg *msg) {
        atomic_fetch_add(&run, 1);
        free(msg);
}

static atomic_bool refused;

static void *send_until_refused(void *arg) {
        TK_UNUSED(arg);
        for (;;) {
                struct tk_msg *msg = malloc(sizeof *msg);
                MUST(msg);
                msg->run = run_counted;
                if (!tk_loop_send(loops[2], msg)) {
                        free(msg);
                        atomic_store(&refused, true);
                        return NULL;
                }
                atomic_fetch_add(&accepted, 1);
        }
}

/* Every message is either run or refused, also while the loop ends. */
static void no_message_is_lost_at_the_end(void **state) {
        TK_UNUSED(state);
        start(state);
        atomic_store(&accepted, 0);
        atomic_store(&run, 0);
        atomic_store(&refused, false);
        pthread_t sender;
        assert_int_equal(pthread_create(&sender, NULL, send_until_refused, NULL), 0);
        wait_for(&run, 100);
        tk_server_stop(fixture.server);
        pthread_join(sender, NULL);
        assert_true(atomic_load(&refused));
        fixture_join(&fixture);
        assert_int_equal(atomic_load(&run), atomic_load(&accepted));
}

/* ---- timers ---- */

struct tick {
        struct tk_timer timer;
        struct tk_loop *loop;
        int id;
        int again;
};

static int fired[16]; /* owned by loop 0 until the counter is read */
static atomic_int fired_count;

static void on_tick(struct tk_timer *timer) {
        struct tick *tick = (struct tick *)((char *)timer - offsetof(struct tick, timer));
        int n = atomic_load(&fired_count);
        MUST(n < 16);
        fired[n] = tick->id;
        if (tick->again-- > 0)
                tk_timer_start(tick->loop, timer, 0);
        atomic_fetch_add(&fired_count, 1);
}

static struct tick ticks[6];

static void start_ticks(struct tk_loop *loop, void *arg) {
        TK_UNUSED(arg);
        atomic_store(&fired_count, 0);
        for (int i = 0; i < 6; i++)
                ticks[i] = (struct tick){.timer.fire = on_tick, .loop = loop, .id = i};
        tk_timer_cancel(&ticks[0].timer); /* harmless */
        tk_timer_start(loop, &ticks[0].timer, 60);
        tk_timer_start(loop, &ticks[1].timer, 20);
        tk_timer_start(loop, &ticks[2].timer, 0);
        tk_timer_start(loop, &ticks[3].timer, 40);
        tk_timer_start(loop, &ticks[4].timer, 30);    /* cancelled below */
        tk_timer_start(loop, &ticks[5].timer, 10000); /* restarted below */
        tk_timer_cancel(&ticks[4].timer);
        tk_timer_start(loop, &ticks[5].timer, 5);
}

static void timers_fire_once_and_in_order(void **state) {
        TK_UNUSED(state);
        int64_t began_ms = tk_clock_mono_ms();
        on_loop(loops[0], start_ticks, NULL);
        wait_for(&fired_count, 5);
        assert_true(tk_clock_mono_ms() - began_ms >= 60);
        static const int want[] = {2, 5, 1, 3, 0};
        assert_memory_equal(fired, want, sizeof want);
        assert_int_equal(atomic_load(&fired_count), 5);
}

static void start_again(struct tk_loop *loop, void *arg) {
        TK_UNUSED(arg);
        atomic_store(&fired_count, 0);
        ticks[0] = (struct tick){.timer.fire = on_tick, .loop = loop, .id = 0, .again = 9};
        ticks[1] = (struct tick){.timer.fire = on_tick, .loop = loop, .id = 1, .again = 0};
        tk_timer_start(loop, &ticks[0].timer, 0);
        tk_timer_start(loop, &ticks[1].timer, 1);
}

/* A timer that starts itself anew for now keeps no other from its turn. */
static void timers_may_start_themselves_again(void **state) {
        TK_UNUSED(state);
        on_loop(loops[0], start_again, NULL);
        wait_for(&fired_count, 11);
        int ones = 0;
        for (int i = 0; i < 11; i++)
                ones += fired[i];
        assert_int_equal(ones, 1);
}

static void leave_running(struct tk_loop *loop, void *arg) {
        struct tick *tick = arg;
        *tick = (struct tick){.timer.fire = on_tick, .loop = loop};
        tk_timer_start(loop, &tick->timer, 3600000);
}

/* A timer that still runs when the loop ends does not fire, and can be cancelled. */
static void timers_end_with_their_loop(void **state) {
        start(state);
        struct tick tick;
        on_loop(loops[1], leave_running, &tick);
        stop(state);
        tk_timer_cancel(&tick.timer);
        assert_null(tick.timer.loop);
}

/* ---- watches ---- */

struct watched {
        struct tk_watch *watch;
        struct tk_loop *loop;
        int fd;
        int calls;
        int read_at;           /* the call in which it reads */
        struct watched *other; /* whose watch it closes then */
        atomic_int done;
};

static void on_ready(void *ctx) {
        struct watched *w = ctx;
        w->calls++;
        if (w->calls < w->read_at)
                return;
        uint64_t count;
        ssize_t n = read(w->fd, &count, sizeof count);
        MUST(n == sizeof count);
        if (w->other)
                tk_watch_close(&w->other->watch);
        atomic_fetch_add(&w->done, 1);
}

static void open_watch(struct tk_loop *loop, void *arg) {
        struct watched *w = arg;
        w->loop = loop;
        enum tk_err err = tk_loop_watch(loop, w->fd, on_ready, w, &w->watch);
        MUST(!err);
}

static void close_watch(struct tk_loop *loop, void *arg) {
        TK_UNUSED(loop);
        tk_watch_close(&((struct watched *)arg)->watch);
}

static void ring(int fd) {
        uint64_t one = 1;
        assert_int_equal(write(fd, &one, sizeof one), sizeof one);
}

static void watches_call_while_there_is_something(void **state) {
        TK_UNUSED(state);
        struct watched w = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .read_at = 3};
        on_loop(loops[0], open_watch, &w);
        ring(w.fd);
        wait_for(&w.done, 1);
        ring(w.fd);
        wait_for(&w.done, 2);
        on_loop(loops[0], close_watch, &w);
        assert_null(w.watch);
        assert_int_equal(w.calls, 4); /* twice ignored, read, read */
        ring(w.fd);
        on_loop(loops[0], close_watch, &w); /* harmless */
        assert_int_equal(w.calls, 4);
        close(w.fd); /* still ours */
}

/* Two are ready at once and each closes the other's watch: one of them runs. */
static void a_watch_may_close_another(void **state) {
        TK_UNUSED(state);
        for (int round = 0; round < 20; round++) {
                struct watched a = {.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)};
                struct watched b = {.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), .other = &a};
                a.other = &b;
                on_loop(loops[0], open_watch, &a);
                on_loop(loops[0], open_watch, &b);
                on_loop(loops[0], close_watch, &a);
                on_loop(loops[0], close_watch, &b);
                int ran = atomic_load(&a.done) + atomic_load(&b.done);
                assert_true(ran <= 2);
                close(a.fd);
                close(b.fd);
        }
}

static void open_both_and_ring(struct tk_loop *loop, void *arg) {
        struct watched *pair = arg;
        open_watch(loop, &pair[0]);
        open_watch(loop, &pair[1]);
        uint64_t one = 1;
        for (int i = 0; i < 2; i++) {
                ssize_t n = write(pair[i].fd, &one, sizeof one);
                MUST(n == sizeof one);
        }
}

static void of_two_that_are_ready_one_runs(void **state) {
        TK_UNUSED(state);
        struct watched pair[2] = {{.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .other = &pair[1]},
                                  {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .other = &pair[0]}};
        on_loop(loops[0], open_both_and_ring, pair);
        while (atomic_load(&pair[0].done) + atomic_load(&pair[1].done) == 0)
                usleep(100);
        on_loop(loops[0], close_watch, &pair[0]);
        on_loop(loops[0], close_watch, &pair[1]);
        assert_int_equal(atomic_load(&pair[0].done) + atomic_load(&pair[1].done), 1);
        close(pair[0].fd);
        close(pair[1].fd);
}

static void watch_nothing(struct tk_loop *loop, void *arg) {
        struct tk_watch *watch;
        *(enum tk_err *)arg = tk_loop_watch(loop, -1, on_ready, NULL, &watch);
        MUST(!watch);
}

static void a_bad_descriptor_is_an_error(void **state) {
        TK_UNUSED(state);
        enum tk_err err = TK_OK;
        on_loop(loops[0], watch_nothing, &err);
        assert_int_equal(err, TK_E_IO);
}

/* ---- clock ---- */

static void ask_clock(struct tk_loop *loop, void *arg) {
        *(int64_t *)arg = tk_loop_now_ms(loop);
}

static void tells_the_time(void **state) {
        TK_UNUSED(state);
        int64_t before = tk_clock_now_ms(), now = 0;
        on_loop(loops[2], ask_clock, &now);
        int64_t after = tk_clock_now_ms();
        assert_true(now >= before && now <= after);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(messages_arrive_in_each_senders_order),
                TEST(messages_may_send_messages),
                TEST(timers_fire_once_and_in_order),
                TEST(timers_may_start_themselves_again),
                TEST(watches_call_while_there_is_something),
                TEST(a_watch_may_close_another),
                TEST(of_two_that_are_ready_one_runs),
                TEST(a_bad_descriptor_is_an_error),
                TEST(tells_the_time),
        };
        const struct CMUnitTest endings[] = {
                TEST(no_message_is_lost_at_the_end),
                TEST(timers_end_with_their_loop),
        };
        int failed = cmocka_run_group_tests(tests, start, stop);
        return failed + cmocka_run_group_tests(endings, NULL, NULL);
}
