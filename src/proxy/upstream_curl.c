/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream, by libcurl's multi interface.
 *
 *   owner's loop ── watches ──► epoll fd ──┬── curl's sockets      (socket callback adds, changes, removes)
 *                                          └── one timerfd         (curl's timer, our deadlines, "run soon")
 *
 * Everything happens in tk_upstream_run(): births, sockets, curl's timer, resumed fetches, finished
 * ones, deadlines, burials. So no callback ever runs inside another call of ours, and curl is
 * never entered from its own callbacks: starting, resuming and cancelling there only leave a mark.
 *
 *   waiting ──► live ──► dead      waiting: not yet with curl   live: with curl
 *      └────────────────►┘         dead: no callback any more; freed at the end of the run
 *
 * Decisions and their price:
 *  - A request with a body is sent at most once. The library repeats a request by itself when a pooled
 *    connection dies without an answer; for a call that costs money that could pay twice, so the
 *    repetition is refused unless nothing had been sent. Price: the rare race with a provider that
 *    closes an idle connection at that very moment ends as BROKEN.
 *  - HTTP/2 is spoken where TLS agrees on it, but one stream a connection: in this line of the library
 *    a paused stream blocks the others on its connection, so one slow client would stall many.
 *  - Deadlines are looked at lazily: a scan of all live fetches when the earliest one may have passed.
 *    They mostly move later, so scans are rare.
 *  - Nothing comes from the environment: no proxy, no netrc, no cookies, no redirects. The framing of the
 *    request is ours: hop-by-hop fields that the caller passes are not sent.
 *  - A body that has neither length nor chunks ends where the connection ends, also under TLS: this line of
 *    the library does not tell a proper end of TLS from a cut one there.
 *  - Closing does not wait for a name look-up under way; its thread ends by itself.
 */
#include "proxy/upstream.h"

#include "proxy/fetch_head.h"
#include "rt/clock.h"
#include "rt/log.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NEVER                 INT64_MAX
#define EVENTS_PER_RUN        64
#define SPARE_MAX             64u  /* handles kept for the next fetches: setting one up costs */
#define IDLE_CONNECTIONS_MAX  512L /* kept for reuse, per instance */
#define IDLE_CONNECTION_S     50L  /* below the minute after which many servers hang up */
#define CONNECT_MS_DEFAULT    5000u
#define FIRST_BYTE_MS_DEFAULT 600000u
#define IDLE_MS_DEFAULT       120000u
#define LET_GO_MS             1000 /* for the rest of an answer that nobody waits for */
#define LET_GO_BYTES          65536u
#define HEAD_BYTES_MAX        (1u << 20) /* of the headers of a request, and of its URL */

#define FETCH_MAGIC 0x7f5ec41dU

LIST_HEAD(fetch_list, tk_fetch);
TAILQ_HEAD(handle_list, handle);

/*
 * One of curl's easy handles with all that was ever set on it. It is kept when its fetch is over, and the
 * next fetch to the same target sets only what differs: that is its body, and no header either when they are
 * the same, as a provider's mostly are.
 */
struct handle {
        CURL *easy;
        CURLU *parsed;          /* the URL; NULL: curl parses it itself, each time */
        struct tk_fetch *fetch; /* whom it serves */
        char *target;           /* as put_target() wrote it */
        size_t target_len;
        bool posts;  /* its requests have a body, be it empty */
        char *lines; /* the header lines, each with a NUL; list points in here */
        size_t lines_len;
        struct curl_slist *list;
        TAILQ_ENTRY(handle) link; /* up->spare */
        char error[CURL_ERROR_SIZE];
};

struct tk_fetch {
        unsigned magic;
        struct tk_upstream *up;
        struct handle *handle;
        char *body;
        size_t body_len;
        unsigned first_byte_ms, idle_ms;
        int64_t due_ms; /* NEVER while paused */
        struct tk_fetch_head head;
        bool sent_once;            /* may not be repeated */
        bool going_out;            /* what curl counts as sent is of this request, not of the one before */
        bool added;                /* with curl */
        bool paused;               /* the caller's wish */
        bool held;                 /* curl holds a piece that we did not take */
        bool waking;               /* in up->wake */
        bool dead;                 /* ended or cancelled */
        bool let_go;               /* nobody is told anything any more */
        size_t surplus;            /* bytes that came since then */
        const char *broken;        /* why we ourselves broke it off, static */
        LIST_ENTRY(tk_fetch) link; /* up->waiting, up->live or up->dead */
        LIST_ENTRY(tk_fetch) wake;
        void (*on_head)(void *ctx, int status, const struct tk_fetch_header *headers, unsigned headers_nr);
        void (*on_data)(void *ctx, struct tk_str piece);
        void (*on_end)(void *ctx, enum tk_fetch_end end, const char *why);
        void *ctx;
};

struct tk_upstream {
        CURLM *multi;
        int epoll_fd, timer_fd;
        int64_t now_ms;   /* monotonic; fresh at the start of each outside call */
        int64_t curl_ms;  /* when curl wants to be called */
        int64_t check_ms; /* no live deadline is earlier */
        int64_t alarm_ms; /* the timerfd is set for then */
        bool soon;        /* run again at once */
        tk_upstream_soon_f *on_soon;
        void *on_soon_ctx;
        bool running;
        struct fetch_list waiting, live, dead, wake;
        struct handle_list spare; /* used last, first */
        unsigned spare_nr;
        struct tk_buf target, lines; /* of the fetch that is being started */
};

/* NULL: the system's trust store. The tests put their own authority here. */
static const char *trust_file;

/* ---- the timerfd ---- */

/* Sets the alarm if it must ring earlier than it would: one that rings too early only costs a turn. */
static void set_alarm(struct tk_upstream *up) {
        int64_t due = up->curl_ms < up->check_ms ? up->curl_ms : up->check_ms;
        if (up->soon && !up->on_soon)
                due = up->now_ms;
        if (due >= up->alarm_ms)
                return;
        int64_t in = due > up->now_ms ? due - up->now_ms : 0;
        struct itimerspec spec = {.it_value = {.tv_sec = in / 1000, .tv_nsec = in % 1000 * 1000000}};
        if (in == 0)
                spec.it_value.tv_nsec = 1; /* Zero would switch it off. */
        MUST(timerfd_settime(up->timer_fd, 0, &spec, NULL) == 0);
        up->alarm_ms = due;
}

static void run_soon(struct tk_upstream *up) {
        bool asked = up->soon;
        up->soon = true;
        if (up->running)
                return; /* The end of the run sees to it. */
        up->now_ms = tk_clock_mono_ms();
        if (!up->on_soon)
                set_alarm(up);
        else if (!asked)
                up->on_soon(up->on_soon_ctx);
}

void tk_upstream_on_soon(struct tk_upstream *up, tk_upstream_soon_f *soon, void *ctx) {
        MUST(!up->running && !up->soon);
        up->on_soon = soon;
        up->on_soon_ctx = ctx;
}

static void set_due(struct tk_fetch *fetch, int64_t due_ms) {
        fetch->due_ms = due_ms;
        if (due_ms < fetch->up->check_ms)
                fetch->up->check_ms = due_ms;
}

/* ---- curl's callbacks ---- */

static int on_timer(CURLM *multi, long timeout_ms, void *ctx) {
        struct tk_upstream *up = ctx;
        TK_UNUSED(multi);
        up->curl_ms = timeout_ms < 0 ? NEVER : up->now_ms + timeout_ms;
        return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known) {
        struct tk_upstream *up = ctx;
        struct epoll_event event = {.data.fd = fd};
        TK_UNUSED(easy);
        if (what == CURL_POLL_REMOVE) {
                epoll_ctl(up->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* Already closed is as good. */
                return 0;
        }
        if (what & CURL_POLL_IN)
                event.events |= EPOLLIN;
        if (what & CURL_POLL_OUT)
                event.events |= EPOLLOUT;
        int rc = epoll_ctl(up->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
        if (rc != 0 && (errno == ENOENT || errno == EEXIST))
                rc = epoll_ctl(up->epoll_fd, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
        if (rc != 0) /* The deadline of the fetch ends it. */
                tk_log(TK_ERROR, "upstream", "cannot watch a socket: %s", strerror(errno));
        else if (!known)
                curl_multi_assign(up->multi, fd, up);
        return 0;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to) {
        TK_UNUSED(ctx);
        TK_UNUSED(purpose);
        return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Just before the request goes out on a connection; a second time means that curl repeats it. */
static int on_request(void *ctx, char *to, char *from, int to_port, int from_port) {
        struct tk_fetch *fetch = ((struct handle *)ctx)->fetch;
        long sent = 0;
        TK_UNUSED(to);
        TK_UNUSED(from);
        TK_UNUSED(to_port);
        TK_UNUSED(from_port);
        fetch->going_out = true;
        if (!fetch->sent_once)
                return CURL_PREREQFUNC_OK;
        if (curl_easy_getinfo(fetch->handle->easy, CURLINFO_REQUEST_SIZE, &sent) == CURLE_OK && sent == 0)
                return CURL_PREREQFUNC_OK;
        fetch->broken = "the connection closed without an answer";
        return CURL_PREREQFUNC_ABORT;
}

static size_t on_header(char *at, size_t size, size_t nr, void *ctx) {
        struct tk_fetch *fetch = ((struct handle *)ctx)->fetch;
        struct tk_fetch_header list[TK_FETCH_HEADERS_MAX];
        size_t n = size * nr;
        if (fetch->dead || fetch->broken)
                return 0;
        switch (tk_fetch_head_line(&fetch->head, (struct tk_str){at, n})) {
        case TK_FETCH_HEAD_MORE:
                return n;
        case TK_FETCH_HEAD_BAD:
                fetch->broken = fetch->head.why;
                return 0;
        case TK_FETCH_HEAD_NO_MEMORY:
                return 0;
        case TK_FETCH_HEAD_DONE:
                break;
        }
        if (!fetch->let_go)
                set_due(fetch, fetch->paused ? NEVER : fetch->up->now_ms + fetch->idle_ms);
        unsigned list_nr = tk_fetch_head_list(&fetch->head, list);
        fetch->on_head(fetch->ctx, fetch->head.status, list, list_nr);
        if (fetch->dead)
                return 0;
        tk_buf_free(&fetch->head.text); /* A stream may last for minutes; its head is no longer needed. */
        return n;
}

static size_t on_body(char *at, size_t size, size_t nr, void *ctx) {
        struct tk_fetch *fetch = ((struct handle *)ctx)->fetch;
        size_t n = size * nr;
        if (fetch->dead)
                return CURL_WRITEFUNC_ERROR;
        if (!fetch->head.done) {
                fetch->broken = "the answer has a body but no head";
                return CURL_WRITEFUNC_ERROR;
        }
        if (fetch->let_go) {
                fetch->surplus += n;
                return fetch->surplus > LET_GO_BYTES ? CURL_WRITEFUNC_ERROR : n;
        }
        if (fetch->paused) { /* curl keeps this piece and reads no further. */
                fetch->held = true;
                return CURL_WRITEFUNC_PAUSE;
        }
        if (n == 0)
                return 0;
        set_due(fetch, fetch->up->now_ms + fetch->idle_ms);
        fetch->on_data(fetch->ctx, (struct tk_str){at, n});
        return fetch->dead ? CURL_WRITEFUNC_ERROR : n;
}

/* ---- life of a fetch ---- */

static void detach(struct tk_fetch *fetch) {
        if (!fetch->added)
                return;
        fetch->added = false;
        CURLMcode rc = curl_multi_remove_handle(fetch->up->multi, fetch->handle->easy);
        if (rc != CURLM_OK)
                tk_log(TK_ERROR, "upstream", "cannot remove a transfer: %s", curl_multi_strerror(rc));
}

/* No callback runs after this. */
static void kill_fetch(struct tk_fetch *fetch) {
        MUST(!fetch->dead);
        fetch->dead = true;
        if (fetch->waking)
                LIST_REMOVE(fetch, wake);
        fetch->waking = false;
        LIST_REMOVE(fetch, link);
        LIST_INSERT_HEAD(&fetch->up->dead, fetch, link);
}

/* The lines hold the provider's secret, so they do not stay behind in freed memory. */
static void drop_lines(struct handle *handle) {
        if (handle->lines)
                explicit_bzero(handle->lines, handle->lines_len);
        free(handle->lines);
        free(handle->list);
        handle->lines = NULL;
        handle->list = NULL;
        handle->lines_len = 0;
}

static void free_handle(struct handle *handle) {
        curl_easy_cleanup(handle->easy);
        curl_url_cleanup(handle->parsed);
        drop_lines(handle);
        free(handle->target);
        free(handle);
}

/* A handle that curl holds back a piece for is not for others. */
static void leave_handle(struct tk_fetch *fetch) {
        struct tk_upstream *up = fetch->up;
        struct handle *handle = fetch->handle;
        fetch->handle = NULL;
        if (!handle)
                return;
        handle->fetch = NULL;
        if (fetch->held || up->spare_nr == SPARE_MAX || !handle->target) {
                free_handle(handle);
                return;
        }
        if (handle->posts) /* The body is the fetch's. */
                curl_easy_setopt(handle->easy, CURLOPT_POSTFIELDS, "");
        TAILQ_INSERT_HEAD(&up->spare, handle, link);
        up->spare_nr++;
}

static void free_fetch(struct tk_fetch *fetch) {
        MUST(fetch->magic == FETCH_MAGIC);
        MUST(!fetch->added);
        leave_handle(fetch);
        tk_fetch_head_free(&fetch->head);
        free(fetch->body);
        fetch->magic = 0;
        free(fetch);
}

static void bury(struct tk_upstream *up) {
        struct tk_fetch *fetch;
        while ((fetch = LIST_FIRST(&up->dead))) {
                LIST_REMOVE(fetch, link);
                detach(fetch);
                free_fetch(fetch);
        }
}

/* Tells the caller, who may do anything in there but touch this fetch again. */
static void end_fetch(struct tk_fetch *fetch, enum tk_fetch_end end, const char *why) {
        detach(fetch);
        kill_fetch(fetch);
        fetch->on_end(fetch->ctx, end, why);
}

static void finish(struct tk_fetch *fetch, CURLcode result) {
        const char *error = fetch->handle->error;
        const char *why = error[0] ? error : curl_easy_strerror(result);
        long sent = 0;
        if (result == CURLE_OK && fetch->head.done && !fetch->broken) {
                end_fetch(fetch, TK_FETCH_WHOLE, "");
                return;
        }
        if (curl_easy_getinfo(fetch->handle->easy, CURLINFO_REQUEST_SIZE, &sent) != CURLE_OK)
                sent = 1;
        if (fetch->broken)
                end_fetch(fetch, TK_FETCH_BROKEN, fetch->broken);
        else if (result == CURLE_OK)
                end_fetch(fetch, TK_FETCH_BROKEN, "the connection closed within the head of the answer");
        else if (result == CURLE_OPERATION_TIMEDOUT)
                end_fetch(fetch, TK_FETCH_TIMEOUT, why);
        else if (!tk_buf_ok(&fetch->head.text))
                end_fetch(fetch, TK_FETCH_NO_MEMORY, "out of memory");
        else if (result == CURLE_OUT_OF_MEMORY && sent &&
                 !fetch->head.done) /* Its word for a line over 100 KiB. */
                end_fetch(fetch, TK_FETCH_BROKEN, "the head of the answer is too large");
        else if (result == CURLE_OUT_OF_MEMORY)
                end_fetch(fetch, TK_FETCH_NO_MEMORY, why);
        else
                end_fetch(fetch, sent ? TK_FETCH_BROKEN : TK_FETCH_NO_CONNECT, why);
}

static enum tk_err add(struct tk_fetch *fetch) {
        struct tk_upstream *up = fetch->up;
        CURLMcode rc = curl_multi_add_handle(up->multi, fetch->handle->easy);
        if (rc != CURLM_OK)
                return TK_E_NO_MEMORY;
        fetch->added = true;
        LIST_REMOVE(fetch, link);
        LIST_INSERT_HEAD(&up->live, fetch, link);
        set_due(fetch, up->now_ms + fetch->first_byte_ms);
        return TK_OK;
}

/* ---- one run ---- */

static bool poll_sockets(struct tk_upstream *up) {
        struct epoll_event events[EVENTS_PER_RUN];
        int running, nr = epoll_wait(up->epoll_fd, events, EVENTS_PER_RUN, 0);
        for (int i = 0; i < nr; i++) {
                if (events[i].data.fd == up->timer_fd) {
                        uint64_t rings;
                        if (read(up->timer_fd, &rings, sizeof rings) == (ssize_t)sizeof rings)
                                up->alarm_ms = NEVER;
                        continue;
                }
                int mask = 0;
                if (events[i].events & EPOLLIN)
                        mask |= CURL_CSELECT_IN;
                if (events[i].events & EPOLLOUT)
                        mask |= CURL_CSELECT_OUT;
                if (events[i].events & (EPOLLERR | EPOLLHUP))
                        mask |= CURL_CSELECT_IN | CURL_CSELECT_ERR;
                curl_multi_socket_action(up->multi, events[i].data.fd, mask, &running);
        }
        if (up->curl_ms <= up->now_ms) {
                up->curl_ms = NEVER; /* curl sets it again if there is more to do. */
                curl_multi_socket_action(up->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        return nr < EVENTS_PER_RUN;
}

static void wake_resumed(struct tk_upstream *up) {
        struct tk_fetch *fetch;
        while ((fetch = LIST_FIRST(&up->wake))) {
                LIST_REMOVE(fetch, wake);
                fetch->waking = false;
                if (fetch->paused || !fetch->held)
                        continue;
                fetch->held = false;
                CURLcode rc = curl_easy_pause(fetch->handle->easy, CURLPAUSE_CONT); /* Calls on_body(). */
                if (rc != CURLE_OK && !fetch->dead)
                        finish(fetch, rc);
        }
}

static void reap(struct tk_upstream *up) {
        CURLMsg *msg;
        int left;
        while ((msg = curl_multi_info_read(up->multi, &left))) {
                char *private = NULL;
                CURLcode result = msg->data.result;
                if (msg->msg != CURLMSG_DONE)
                        continue;
                if (curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private) != CURLE_OK)
                        continue;
                struct tk_fetch *fetch = ((struct handle *)private)->fetch;
                MUST(fetch && fetch->magic == FETCH_MAGIC);
                if (!fetch->dead)
                        finish(fetch, result);
        }
}

static void expire(struct tk_upstream *up) {
        struct fetch_list late = LIST_HEAD_INITIALIZER(late);
        struct tk_fetch *fetch, *next;
        if (up->now_ms < up->check_ms)
                return;
        up->check_ms = NEVER;
        for (fetch = LIST_FIRST(&up->live); fetch; fetch = next) {
                next = LIST_NEXT(fetch, link);
                if (fetch->due_ms > up->now_ms) {
                        set_due(fetch, fetch->due_ms);
                        continue;
                }
                LIST_REMOVE(fetch, link);
                LIST_INSERT_HEAD(&late, fetch, link);
        }
        /* A callback may cancel others that are late: they leave the list by that. */
        while ((fetch = LIST_FIRST(&late))) {
                char why[64];
                bool head = fetch->head.done;
                snprintf(why, sizeof why, "no %s of the answer within %u ms", head ? "further piece" : "head",
                         head ? fetch->idle_ms : fetch->first_byte_ms);
                end_fetch(fetch, TK_FETCH_TIMEOUT, why);
        }
}

static void add_waiting(struct tk_upstream *up) {
        struct tk_fetch *fetch;
        while ((fetch = LIST_FIRST(&up->waiting)))
                if (add(fetch) != TK_OK)
                        end_fetch(fetch, TK_FETCH_NO_MEMORY, "cannot start the transfer");
}

void tk_upstream_run(struct tk_upstream *up) {
        MUST(!up->running);
        up->running = true;
        up->soon = false;
        up->now_ms = tk_clock_mono_ms();
        add_waiting(up);
        bool all_polled = poll_sockets(up);
        wake_resumed(up);
        reap(up);
        if (all_polled) /* Otherwise the piece that a deadline waits for may lie unread. */
                expire(up);
        bury(up);
        up->running = false;
        set_alarm(up);
        if (up->soon && up->on_soon)
                up->on_soon(up->on_soon_ctx);
}

/* ---- the instance ---- */

static void global_init(void) {
        /* TLS writes with plain write(2): a peer that is gone must be an error, not the end of the process.
         */
        struct sigaction old;
        if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
                signal(SIGPIPE, SIG_IGN);
        curl_global_init(CURL_GLOBAL_ALL);
}

static enum tk_err set_up_multi(struct tk_upstream *up) {
        bool ok = true;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = up->timer_fd};
        ok &= curl_multi_setopt(up->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK;
        ok &= curl_multi_setopt(up->multi, CURLMOPT_SOCKETDATA, up) == CURLM_OK;
        ok &= curl_multi_setopt(up->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK;
        ok &= curl_multi_setopt(up->multi, CURLMOPT_TIMERDATA, up) == CURLM_OK;
        ok &= curl_multi_setopt(up->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK;
        ok &= curl_multi_setopt(up->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX) == CURLM_OK;
        ok &= epoll_ctl(up->epoll_fd, EPOLL_CTL_ADD, up->timer_fd, &event) == 0;
        return ok ? TK_OK : TK_E_IO;
}

enum tk_err tk_upstream_open(struct tk_upstream **out) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        *out = NULL;
        pthread_once(&once, global_init);
        struct tk_upstream *up = calloc(1, sizeof *up);
        if (!up)
                return TK_E_NO_MEMORY;
        up->curl_ms = up->check_ms = up->alarm_ms = NEVER;
        TAILQ_INIT(&up->spare);
        up->target = up->lines = TK_BUF(HEAD_BYTES_MAX);
        up->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        up->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        up->multi = curl_multi_init();
        enum tk_err err = up->multi ? TK_OK : TK_E_NO_MEMORY;
        if (err == TK_OK && (up->epoll_fd < 0 || up->timer_fd < 0))
                err = TK_E_IO;
        if (err == TK_OK)
                err = set_up_multi(up);
        if (err != TK_OK) {
                tk_log(TK_ERROR, "upstream", "cannot open: %s", tk_err_text(err));
                tk_upstream_close(&up);
                return err;
        }
        *out = up;
        return TK_OK;
}

static void kill_all(struct fetch_list *list) {
        struct tk_fetch *fetch;
        while ((fetch = LIST_FIRST(list)))
                kill_fetch(fetch);
}

void tk_upstream_close(struct tk_upstream **up_p) {
        struct tk_upstream *up = *up_p;
        *up_p = NULL;
        if (!up)
                return;
        MUST(!up->running);
        kill_all(&up->waiting);
        kill_all(&up->live);
        bury(up);
        struct handle *handle;
        while ((handle = TAILQ_FIRST(&up->spare))) {
                TAILQ_REMOVE(&up->spare, handle, link);
                free_handle(handle);
        }
        tk_buf_free(&up->target);
        tk_buf_free(&up->lines);
        if (up->multi)
                curl_multi_cleanup(up->multi);
        if (up->timer_fd >= 0)
                close(up->timer_fd);
        if (up->epoll_fd >= 0)
                close(up->epoll_fd);
        free(up);
}

int tk_upstream_fd(const struct tk_upstream *up) {
        return up->epoll_fd;
}

/* ---- start ---- */

/* What is the same for every fetch. */
static bool set_always(struct handle *handle) {
        CURL *easy = handle->easy;
        bool ok = true;
#define SET(option, value) ok &= curl_easy_setopt(easy, CURLOPT_##option, value) == CURLE_OK
        SET(NOSIGNAL, 1L);
        SET(PROTOCOLS_STR, "http,https");
        SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        SET(SSL_VERIFYPEER, 1L);
        SET(SSL_VERIFYHOST, 2L);
        SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        if (trust_file)
                SET(CAINFO, trust_file);
        SET(FOLLOWLOCATION, 0L);
        SET(NETRC, (long)CURL_NETRC_IGNORED);
        SET(PROXY, "");
        SET(NOPROXY, "*"); /* or the environment is asked */
        SET(DISALLOW_USERNAME_IN_URL, 1L);
        SET(HTTP_CONTENT_DECODING, 0L);
        SET(PATH_AS_IS, 1L);
        SET(USERAGENT, "tollkey/" TK_VERSION);
        SET(MAXAGE_CONN, IDLE_CONNECTION_S);
        SET(TCP_KEEPALIVE, 1L);
        SET(QUICK_EXIT, 1L);
        SET(OPENSOCKETFUNCTION, open_socket);
        SET(PREREQFUNCTION, on_request);
        SET(HEADERFUNCTION, on_header);
        SET(WRITEFUNCTION, on_body);
        SET(PRIVATE, handle);
        SET(PREREQDATA, handle);
        SET(HEADERDATA, handle);
        SET(WRITEDATA, handle);
        SET(ERRORBUFFER, handle->error);
        if (!ok)
                tk_log(TK_ERROR, "upstream", "the HTTP client library lacks an option that is needed");
        return ok;
}

static struct handle *new_handle(void) {
        struct handle *handle = calloc(1, sizeof *handle);
        if (!handle)
                return NULL;
        handle->easy = curl_easy_init();
        if (handle->easy && set_always(handle))
                return handle;
        free_handle(handle);
        return NULL;
}

/* The method, whether there is a body, the URL: what decides how the request is sent and where. */
static void put_target(struct tk_buf *out, const struct tk_fetch_opt *opt) {
        tk_buf_clear(out);
        tk_buf_text(out, opt->method);
        tk_buf_char(out, '\0');
        tk_buf_char(out, opt->body.len > 0 ? '+' : '-');
        tk_buf_text(out, opt->url);
}

/*
 * Parsed once, a URL costs curl a copy instead of reading and writing it anew for every request. The copy
 * loses the zone of an IPv6 address; and what cannot be parsed fails in curl's own time.
 */
static CURLU *parse(const char *url) {
        if (strchr(url, '['))
                return NULL;
        CURLU *parsed = curl_url();
        if (parsed &&
            curl_url_set(parsed, CURLUPART_URL, url, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS) == CURLUE_OK)
                return parsed;
        curl_url_cleanup(parsed);
        return NULL;
}

static bool set_target(struct handle *handle, const struct tk_fetch_opt *opt, struct tk_str target) {
        CURL *easy = handle->easy;
        struct tk_str method = tk_str_of(opt->method);
        bool ok = true;
        SET(CURLU, NULL);
        curl_url_cleanup(handle->parsed);
        handle->parsed = parse(opt->url);
        free(handle->target);
        handle->target = malloc(target.len);
        handle->target_len = target.len;
        if (!handle->target)
                return false;
        memcpy(handle->target, target.at, target.len);
        SET(URL, opt->url);
        SET(CURLU, handle->parsed);
        SET(HTTPGET, 1L); /* Undoes what the handle did before. */
        SET(CUSTOMREQUEST, NULL);
        handle->posts = opt->body.len > 0 || tk_str_is(method, "POST");
        if (tk_str_is(method, "HEAD"))
                SET(NOBODY, 1L);
        else if (handle->posts)
                SET(POST, 1L);
        if (!tk_str_is(method, "GET") && !tk_str_is(method, "HEAD") && !tk_str_is(method, "POST"))
                SET(CUSTOMREQUEST, opt->method);
        return ok;
}

/* `lines` as set_lines() built them, `nr` of them. */
static bool set_headers(struct handle *handle, struct tk_str lines, unsigned nr) {
        CURL *easy = handle->easy;
        bool ok = true;
        SET(HTTPHEADER, NULL);
        drop_lines(handle);
        handle->lines = malloc(lines.len);
        handle->list = calloc(nr, sizeof *handle->list);
        if (!handle->lines || !handle->list)
                return false;
        handle->lines_len = lines.len;
        memcpy(handle->lines, lines.at, lines.len);
        char *at = handle->lines;
        for (unsigned i = 0; i < nr; i++, at += strlen(at) + 1)
                handle->list[i] = (struct curl_slist){at, i + 1 < nr ? &handle->list[i + 1] : NULL};
        SET(HTTPHEADER, handle->list);
        return ok;
}

static bool set_request(struct tk_fetch *fetch, const struct tk_fetch_opt *opt) {
        CURL *easy = fetch->handle->easy;
        bool ok = true;
        SET(CONNECTTIMEOUT_MS, (long)(opt->connect_ms ? opt->connect_ms : CONNECT_MS_DEFAULT));
        if (fetch->handle->posts) {
                SET(POSTFIELDSIZE_LARGE, (curl_off_t)fetch->body_len);
                SET(POSTFIELDS, fetch->body ? fetch->body : "");
        }
#undef SET
        return ok;
}

static bool same(const char *at, size_t len, struct tk_str as) {
        return at && len == as.len && memcmp(at, as.at, len) == 0;
}

/*
 * A spare handle for this target, best one with these headers; else a new one, as long as there are few.
 * NULL: no memory.
 */
static struct handle *find_handle(struct tk_upstream *up, struct tk_str target, struct tk_str lines) {
        struct handle *handle, *best = NULL;
        for (handle = TAILQ_FIRST(&up->spare); handle; handle = TAILQ_NEXT(handle, link)) {
                if (!same(handle->target, handle->target_len, target))
                        continue;
                best = handle;
                if (same(handle->lines, handle->lines_len, lines))
                        break;
        }
        if (!best && up->spare_nr == SPARE_MAX)
                best = TAILQ_LAST(&up->spare, handle_list);
        if (!best)
                return new_handle();
        TAILQ_REMOVE(&up->spare, best, link);
        up->spare_nr--;
        return best;
}

/* RFC 9110 section 7.6.1, and what would change the framing that is curl's to decide. */
static bool hop_by_hop(struct tk_str name) {
        static const char *const names[] = {"connection", "content-length",    "expect",
                                            "keep-alive", "proxy-connection",  "te",
                                            "trailer",    "transfer-encoding", "upgrade"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (tk_str_is_nocase(name, names[i]))
                        return true;
        return false;
}

static void put_line(struct tk_buf *lines, struct tk_str name, struct tk_str value) {
        tk_buf_put(lines, name);
        tk_buf_text(lines, value.len ? ": " : ";"); /* curl's way to say "empty". */
        tk_buf_put(lines, value);
        tk_buf_char(lines, '\0');
}

/* All lines, each with a NUL. They hold a secret, so there is room for them before they are written. */
static enum tk_err put_lines(struct tk_buf *lines, const struct tk_fetch_opt *opt, unsigned *nr) {
        bool typed = false;
        size_t bytes = sizeof "Expect:" + sizeof "Content-Type:";
        *nr = 1;
        tk_buf_clear(lines);
        for (unsigned i = 0; i < opt->headers_nr; i++)
                bytes += strlen(opt->headers[i].name) + opt->headers[i].value.len + sizeof ": ";
        (void)tk_buf_room(lines, bytes);
        for (unsigned i = 0; i < opt->headers_nr; i++) {
                struct tk_str name = tk_str_of(opt->headers[i].name), value = opt->headers[i].value;
                if (!tk_fetch_token_ok(name) || !tk_fetch_value_ok(value))
                        return TK_E_SYNTAX;
                if (hop_by_hop(name))
                        continue;
                put_line(lines, name, value);
                typed |= tk_str_is_nocase(name, "content-type");
                ++*nr;
        }
        tk_buf_put(lines, TK_STR("Expect:\0")); /* A line without a value suppresses curl's own. */
        if (!typed) {
                tk_buf_put(lines, TK_STR("Content-Type:\0"));
                ++*nr;
        }
        return tk_buf_ok(lines) ? TK_OK : TK_E_NO_MEMORY;
}

static bool url_ok(const char *url) {
        struct tk_str s = tk_str_of(url);
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7F)
                        return false;
        return tk_str_is_nocase(tk_str_head(s, s.len < 7 ? s.len : 7), "http://") ||
               tk_str_is_nocase(tk_str_head(s, s.len < 8 ? s.len : 8), "https://");
}

/* The handle, with everything set that this fetch needs. */
static enum tk_err take_handle(struct tk_fetch *fetch, const struct tk_fetch_opt *opt) {
        struct tk_upstream *up = fetch->up;
        unsigned nr;
        enum tk_err err = put_lines(&up->lines, opt, &nr);
        if (err != TK_OK)
                return err;
        put_target(&up->target, opt);
        if (!tk_buf_ok(&up->target))
                return TK_E_NO_MEMORY;
        struct tk_str target = tk_buf_str(&up->target), lines = tk_buf_str(&up->lines);
        struct handle *handle = find_handle(up, target, lines);
        if (!handle)
                return TK_E_NO_MEMORY;
        fetch->handle = handle;
        handle->fetch = fetch;
        handle->error[0] = '\0';
        bool ok = same(handle->target, handle->target_len, target) || set_target(handle, opt, target);
        ok = ok && (same(handle->lines, handle->lines_len, lines) || set_headers(handle, lines, nr));
        ok = ok && set_request(fetch, opt);
        if (!ok) { /* Half of it may be set. */
                free(handle->target);
                handle->target = NULL;
        }
        return ok ? TK_OK : TK_E_NO_MEMORY;
}

static enum tk_err fill(struct tk_fetch *fetch, const struct tk_fetch_opt *opt) {
        struct tk_str method = tk_str_of(opt->method);
        if (!url_ok(opt->url) || !tk_fetch_token_ok(method))
                return TK_E_SYNTAX;
        fetch->first_byte_ms = opt->first_byte_ms ? opt->first_byte_ms : FIRST_BYTE_MS_DEFAULT;
        fetch->idle_ms = opt->idle_ms ? opt->idle_ms : IDLE_MS_DEFAULT;
        fetch->sent_once = !tk_str_is(method, "GET") && !tk_str_is(method, "HEAD");
        fetch->on_head = opt->on_head;
        fetch->on_data = opt->on_data;
        fetch->on_end = opt->on_end;
        fetch->ctx = opt->ctx;
        if (opt->body.len) {
                fetch->body = malloc(opt->body.len);
                if (!fetch->body)
                        return TK_E_NO_MEMORY;
                memcpy(fetch->body, opt->body.at, opt->body.len);
                fetch->body_len = opt->body.len;
        }
        enum tk_err err = take_handle(fetch, opt);
        if (fetch->up->lines.at)
                explicit_bzero(fetch->up->lines.at, fetch->up->lines.len);
        return err;
}

enum tk_err tk_fetch_start(struct tk_upstream *up, const struct tk_fetch_opt *opt, struct tk_fetch **out) {
        MUST(opt->url && opt->method);
        MUST(opt->on_head && opt->on_data && opt->on_end);
        MUST(IMPLIES(strcmp(opt->method, "GET") == 0 || strcmp(opt->method, "HEAD") == 0,
                     opt->body.len == 0));
        *out = NULL;
        struct tk_fetch *fetch = calloc(1, sizeof *fetch);
        if (!fetch)
                return TK_E_NO_MEMORY;
        fetch->magic = FETCH_MAGIC;
        fetch->up = up;
        fetch->due_ms = NEVER;
        tk_fetch_head_init(&fetch->head);
        enum tk_err err = fill(fetch, opt);
        if (err != TK_OK) {
                free_fetch(fetch);
                return err;
        }
        LIST_INSERT_HEAD(&up->waiting, fetch, link);
        run_soon(up); /* curl may not be entered from its own callbacks, so the run adds it. */
        *out = fetch;
        return TK_OK;
}

bool tk_fetch_was_sent(const struct tk_fetch *fetch) {
        long head = 0;
        curl_off_t body = 0;
        MUST(fetch->magic == FETCH_MAGIC);
        return fetch->going_out &&
               curl_easy_getinfo(fetch->handle->easy, CURLINFO_REQUEST_SIZE, &head) == CURLE_OK && head > 0 &&
               curl_easy_getinfo(fetch->handle->easy, CURLINFO_SIZE_UPLOAD_T, &body) == CURLE_OK &&
               body >= 0 && (uint64_t)body >= fetch->body_len;
}

/* ---- pause, resume, cancel ---- */

void tk_fetch_pause(struct tk_fetch *fetch) {
        MUST(fetch->magic == FETCH_MAGIC && !fetch->dead);
        fetch->paused = true;
        if (fetch->head.done) /* How long the caller takes is not the provider's fault. */
                fetch->due_ms = NEVER;
}

void tk_fetch_resume(struct tk_fetch *fetch) {
        struct tk_upstream *up = fetch->up;
        MUST(fetch->magic == FETCH_MAGIC && !fetch->dead);
        if (!fetch->paused)
                return;
        fetch->paused = false;
        if (fetch->held && !fetch->waking) {
                LIST_INSERT_HEAD(&up->wake, fetch, wake);
                fetch->waking = true;
        }
        run_soon(up); /* Also so that the new deadline gets its alarm. */
        if (fetch->head.done)
                set_due(fetch, up->now_ms + fetch->idle_ms);
}

void tk_fetch_cancel(struct tk_fetch **fetch_p) {
        struct tk_fetch *fetch = *fetch_p;
        *fetch_p = NULL;
        if (!fetch || fetch->dead) /* Within its own on_end it is dead already, but not yet freed. */
                return;
        MUST(fetch->magic == FETCH_MAGIC);
        struct tk_upstream *up = fetch->up;
        kill_fetch(fetch);
        if (!up->running) {
                up->now_ms = tk_clock_mono_ms(); /* curl may set its timer while it lets go. */
                bury(up);
                set_alarm(up);
        }
}

static void ignore_head(void *ctx, int status, const struct tk_fetch_header *headers, unsigned headers_nr) {
        TK_UNUSED(ctx);
        TK_UNUSED(status);
        TK_UNUSED(headers);
        TK_UNUSED(headers_nr);
}

static void ignore_data(void *ctx, struct tk_str piece) {
        TK_UNUSED(ctx);
        TK_UNUSED(piece);
}

static void ignore_end(void *ctx, enum tk_fetch_end end, const char *why) {
        TK_UNUSED(ctx);
        TK_UNUSED(end);
        TK_UNUSED(why);
}

void tk_fetch_let_go(struct tk_fetch **fetch_p) {
        struct tk_fetch *fetch = *fetch_p;
        *fetch_p = NULL;
        if (!fetch || fetch->dead)
                return;
        MUST(fetch->magic == FETCH_MAGIC);
        fetch->on_head = ignore_head;
        fetch->on_data = ignore_data;
        fetch->on_end = ignore_end;
        fetch->ctx = NULL;
        fetch->let_go = true;
        tk_fetch_resume(fetch);
        if (!fetch->up->running)
                run_soon(fetch->up); /* which makes the time fresh and sets the alarm */
        set_due(fetch, fetch->up->now_ms + LET_GO_MS);
}
