/* SPDX-License-Identifier: Apache-2.0 */
#include "http/loop.h"

#include "http/conn.h"
#include "rt/clock.h"
#include "rt/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WATCH_MAGIC     0x7a11c4edu
#define SIDE_EVENTS_MAX 64      /* in one turn, so that the sockets get theirs */
#define WAIT_MS_MAX     3600000 /* with nothing to wait for, any long time will do */

/* What `inbox` points to once the loop has ended. */
static struct tk_msg ended;

/* ---- life ---- */

enum tk_err tk_loop_open(struct tk_loop *loop, struct tk_server *server, const struct tk_server_opt *opt,
                         const atomic_int *stops, unsigned index) {
        *loop = (struct tk_loop){.server = server,
                                 .opt = opt,
                                 .stops = stops,
                                 .index = index,
                                 .side_fd = -1,
                                 .listen_fd = -1,
                                 .date_s = -1,
                                 .random_used = TK_LOOP_RANDOM};
        atomic_init(&loop->inbox, NULL);
        loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return loop->wake_fd < 0 ? TK_E_IO : TK_OK;
}

void tk_loop_close(struct tk_loop *loop) {
        if (loop->wake_fd >= 0)
                close(loop->wake_fd);
        if (loop->listen_fd >= 0)
                close(loop->listen_fd);
        loop->wake_fd = loop->listen_fd = -1;
}

void tk_loop_wake(struct tk_loop *loop) {
        int saved = errno;
        uint64_t one = 1;
        /* It can only fail when the counter is full, and then the loop is awake anyway. */
        ssize_t n = write(loop->wake_fd, &one, sizeof one);
        TK_UNUSED(n);
        errno = saved;
}

static void on_wake(void *ctx);
static void on_side(void *ctx);

enum tk_err tk_loop_begin(struct tk_loop *loop) {
        loop->scratch = malloc(TK_LOOP_SCRATCH);
        loop->poll = tk_poll_create();
        if (!loop->scratch || !loop->poll)
                return TK_E_NO_MEMORY;
        loop->side_fd = epoll_create1(EPOLL_CLOEXEC);
        if (loop->side_fd < 0)
                return TK_E_IO;
        loop->side = tk_sock_take(loop->poll, loop->side_fd, on_side, loop);
        if (!loop->side) {
                loop->side_fd = -1;
                return TK_E_NO_MEMORY;
        }
        tk_sock_read(loop->side, true);
        return tk_watch_add(&loop->wake, loop, loop->wake_fd, EPOLLIN, on_wake, loop);
}

void tk_loop_dispose(struct tk_loop *loop) {
        tk_watch_remove(&loop->wake);
        struct tk_timer *timer;
        while ((timer = loop->timers.root)) {
                tk_timers_remove(&loop->timers, timer);
                timer->loop = NULL;
        }
        tk_sock_close(&loop->listener);
        if (!loop->side && loop->side_fd >= 0)
                close(loop->side_fd);
        tk_sock_close(&loop->side);
        loop->side_fd = -1;
        tk_poll_free(&loop->poll);
        free(loop->scratch);
        loop->scratch = NULL;
}

/* ---- turn ---- */

static int wait_ms(const struct tk_loop *loop) {
        if (!loop->timers.root)
                return WAIT_MS_MAX;
        int64_t left = loop->timers.root->due_ms - tk_clock_mono_ms();
        if (left <= 0)
                return 0;
        return left < WAIT_MS_MAX ? (int)left : WAIT_MS_MAX;
}

static void run_timers(struct tk_loop *loop) {
        if (!loop->timers.root)
                return;
        int64_t now_ms = tk_clock_mono_ms();
        uint64_t started = loop->timers.started;
        struct tk_timer *timer;
        while ((timer = tk_timers_take(&loop->timers, now_ms, started))) {
                timer->loop = NULL;
                timer->fire(timer);
        }
}

void tk_loop_turn(struct tk_loop *loop) {
        tk_poll_turn(loop->poll, wait_ms(loop));
        run_timers(loop);
        tk_conns_flush(loop);
        tk_conns_reap(loop);
}

void tk_loop_set_data(struct tk_loop *loop, void *data) {
        loop->data = data;
}

void *tk_loop_data(const struct tk_loop *loop) {
        return loop->data;
}

int64_t tk_loop_now_ms(const struct tk_loop *loop) {
        return tk_poll_now_ms(loop->poll);
}

const char *tk_loop_date(struct tk_loop *loop) {
        int64_t now_s = tk_loop_now_ms(loop) / 1000;
        if (now_s != loop->date_s) {
                tk_respond_date(now_s, loop->date);
                loop->date_s = now_s;
        }
        return loop->date;
}

/* ---- messages ---- */

bool tk_loop_send(struct tk_loop *loop, struct tk_msg *msg) {
        /* Acquired, because a sender that is told "ended" goes on with what the loop's thread left behind. */
        struct tk_msg *head = atomic_load_explicit(&loop->inbox, memory_order_acquire);
        do {
                if (head == &ended)
                        return false;
                msg->next = head;
        } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, msg, memory_order_acq_rel,
                                                        memory_order_acquire));
        if (!head)
                tk_loop_wake(loop);
        return true;
}

/* Takes all messages, leaves `next` in their place, and runs them oldest first. */
static void run_messages(struct tk_loop *loop, struct tk_msg *next) {
        struct tk_msg *newest = atomic_exchange_explicit(&loop->inbox, next, memory_order_acq_rel);
        MUST(newest != &ended);
        struct tk_msg *oldest = NULL;
        while (newest) {
                struct tk_msg *older = newest->next;
                newest->next = oldest;
                oldest = newest;
                newest = older;
        }
        while (oldest) {
                struct tk_msg *msg = oldest;
                oldest = msg->next; /* before run(), which may free it */
                msg->run(msg);
        }
}

static void on_wake(void *ctx) {
        struct tk_loop *loop = ctx;
        uint64_t count;
        /* Before the list is taken, so that what is pushed after that wakes us again. */
        ssize_t n = read(loop->wake_fd, &count, sizeof count);
        TK_UNUSED(n);
        run_messages(loop, NULL);
        int stops = atomic_load(loop->stops);
        if (stops > 0)
                tk_conns_stop(loop, stops > 1);
}

void tk_loop_end(struct tk_loop *loop) {
        run_messages(loop, &ended);
}

/* ---- timers ---- */

void tk_timer_start(struct tk_loop *loop, struct tk_timer *timer, unsigned after_ms) {
        MUST(timer->fire);
        tk_timer_cancel(timer);
        timer->loop = loop;
        tk_timers_add(&loop->timers, timer, tk_clock_mono_ms() + after_ms);
}

void tk_timer_cancel(struct tk_timer *timer) {
        if (!timer->loop)
                return;
        tk_timers_remove(&timer->loop->timers, timer);
        timer->loop = NULL;
}

/* ---- watches ---- */

static void on_side(void *ctx) {
        struct tk_loop *loop = ctx;
        /* One at a time: a callback may remove, and free, any other watch. */
        for (int i = 0; i < SIDE_EVENTS_MAX; i++) {
                struct epoll_event event;
                if (epoll_wait(loop->side_fd, &event, 1, 0) != 1)
                        return;
                struct tk_watch *watch = event.data.ptr;
                MUST(watch->magic == WATCH_MAGIC);
                watch->ready(watch->ctx);
        }
}

enum tk_err tk_watch_add(struct tk_watch *watch, struct tk_loop *loop, int fd, uint32_t events,
                         tk_watch_f *ready, void *ctx) {
        *watch = (struct tk_watch){.magic = WATCH_MAGIC, .fd = fd, .loop = loop, .ready = ready, .ctx = ctx};
        struct epoll_event event = {.events = events, .data.ptr = watch};
        if (epoll_ctl(loop->side_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
                tk_log(TK_ERROR, "http", "cannot watch a descriptor: %s", strerror(errno));
                watch->fd = -1;
                return TK_E_IO;
        }
        return TK_OK;
}

void tk_watch_remove(struct tk_watch *watch) {
        if (watch->magic != WATCH_MAGIC || watch->fd < 0)
                return;
        if (watch->loop->side_fd >= 0)
                (void)epoll_ctl(watch->loop->side_fd, EPOLL_CTL_DEL, watch->fd, NULL);
        watch->fd = -1;
}

enum tk_err tk_loop_watch(struct tk_loop *loop, int fd, tk_watch_f *readable, void *ctx,
                          struct tk_watch **out) {
        *out = NULL;
        struct tk_watch *watch = malloc(sizeof *watch);
        if (!watch)
                return TK_E_NO_MEMORY;
        enum tk_err err = tk_watch_add(watch, loop, fd, EPOLLIN, readable, ctx);
        if (err)
                free(watch);
        else
                *out = watch;
        return err;
}

void tk_watch_close(struct tk_watch **watch) {
        if (!*watch)
                return;
        tk_watch_remove(*watch);
        free(*watch);
        *watch = NULL;
}
