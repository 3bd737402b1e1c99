/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include "http/accept.h"
#include "http/conn.h"
#include "http/loop.h"
#include "rt/log.h"

#include <errno.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPS_MAX 256
#define BACKLOG   4096 /* the kernel caps it at net.core.somaxconn */

struct tk_server {
        /* immutable after open */
        struct tk_server_opt opt;
        char *listen;
        char address[NI_MAXHOST + NI_MAXSERV + 4];
        struct tk_loop *loops;
        unsigned opened; /* loops that tk_loop_open() prepared */

        /* any thread */
        atomic_int stops;
        atomic_int fault; /* enum tk_err of a loop that could not start */
};

static enum tk_err fault(char *why, size_t why_size, enum tk_err err, const char *fmt, ...) TK_PRINTF(4, 5);

static enum tk_err fault(char *why, size_t why_size, enum tk_err err, const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        if (why_size)
                vsnprintf(why, why_size, fmt, args);
        va_end(args);
        return err;
}

/* ---- options ---- */

static unsigned cores(void) {
        cpu_set_t set;
        int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
        return n > 0 ? (unsigned)n : 1;
}

static void or_default(unsigned *value, unsigned fallback) {
        if (*value == 0)
                *value = fallback;
}

static void set_defaults(struct tk_server_opt *opt) {
        or_default(&opt->loops, cores());
        if (opt->loops > LOOPS_MAX)
                opt->loops = LOOPS_MAX;
        if (opt->header_bytes_max == 0)
                opt->header_bytes_max = 16384;
        if (opt->body_bytes_max == 0)
                opt->body_bytes_max = 32u << 20;
        if (opt->bodies_bytes_max == 0)
                opt->bodies_bytes_max = 256u << 20;
        if (opt->bodies_bytes_max < opt->body_bytes_max)
                opt->bodies_bytes_max = opt->body_bytes_max;
        or_default(&opt->connections_max, 10000);
        or_default(&opt->header_ms, 10000);
        or_default(&opt->body_ms, 30000);
        or_default(&opt->idle_ms, 75000);
        or_default(&opt->write_ms, 60000);
        or_default(&opt->stop_ms, 10000);
}

/* ---- binding ---- */

/* "HOST:PORT" or "[v6]:PORT" into its two parts. */
static bool split_listen(struct tk_str listen, char *host, size_t host_size, char *port, size_t port_size) {
        size_t colon = listen.len;
        while (colon > 0 && listen.at[colon - 1] != ':')
                colon--;
        if (colon < 2)
                return false;
        struct tk_str name = tk_str_head(listen, colon - 1), number = tk_str_skip(listen, colon);
        if (name.at[0] == '[') {
                if (name.len < 3 || name.at[name.len - 1] != ']')
                        return false;
                name = tk_str_head(tk_str_skip(name, 1), name.len - 2);
        } else if (tk_str_find(name, ':') < name.len) {
                return false; /* an IPv6 address needs its brackets, or the port would be a guess */
        }
        uint64_t n;
        return tk_str_u64(number, &n) && n <= 65535 && tk_str_copy(name, host, host_size) &&
               tk_str_copy(number, port, port_size);
}

/* A bound socket, or -1 with errno. shared: other sockets of this process will bind to the same address. */
static int bind_socket(const struct sockaddr *sa, socklen_t size, bool shared) {
        int on = 1;
        int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -1;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
            (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
            bind(fd, sa, size) != 0) {
                int error = errno;
                close(fd);
                errno = error;
                return -1;
        }
        return fd;
}

/* With SO_REUSEPORT a second server of the same user would bind, and take a share of the first one's
 * connections. A socket without it cannot bind beside a listener, so it tells. */
static bool is_free(const struct sockaddr *sa, socklen_t size) {
        int fd = bind_socket(sa, size, false);
        if (fd < 0)
                return false;
        close(fd);
        return true;
}

static bool listen_all(struct tk_server *server, struct sockaddr_storage *sa, socklen_t size) {
        if (!is_free((struct sockaddr *)sa, size))
                return false;
        for (unsigned i = 0; i < server->opt.loops; i++) {
                int fd = bind_socket((struct sockaddr *)sa, size, server->opt.loops > 1);
                if (fd < 0)
                        return false;
                server->loops[i].listen_fd = fd;
                socklen_t real = sizeof *sa;
                /* The first one may have picked the port; the others follow it. */
                if (getsockname(fd, (struct sockaddr *)sa, &real) != 0 || listen(fd, BACKLOG) != 0)
                        return false;
        }
        return true;
}

static enum tk_err bind_all(struct tk_server *server, char *why, size_t why_size) {
        char host[NI_MAXHOST], port[8];
        if (!split_listen(tk_str_of(server->listen), host, sizeof host, port, sizeof port))
                return fault(why, why_size, TK_E_IO, "\"%s\" is not HOST:PORT or [IPv6]:PORT",
                             server->listen);
        struct addrinfo hints = {
                .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        struct addrinfo *found;
        int rc = getaddrinfo(host, port, &hints, &found);
        if (rc != 0)
                return fault(why, why_size, TK_E_IO, "cannot find the address %s: %s", server->listen,
                             gai_strerror(rc));
        struct sockaddr_storage sa = {0};
        socklen_t size = found->ai_addrlen;
        memcpy(&sa, found->ai_addr, size);
        bool v6 = found->ai_family == AF_INET6;
        freeaddrinfo(found);
        if (!listen_all(server, &sa, size))
                return fault(why, why_size, TK_E_IO, "cannot listen on %s: %s", server->listen,
                             strerror(errno));
        rc = getnameinfo((struct sockaddr *)&sa, size, host, sizeof host, port, sizeof port,
                         NI_NUMERICHOST | NI_NUMERICSERV);
        if (rc != 0)
                return fault(why, why_size, TK_E_IO, "cannot name %s: %s", server->listen, gai_strerror(rc));
        snprintf(server->address, sizeof server->address, v6 ? "[%s]:%s" : "%s:%s", host, port);
        return TK_OK;
}

/* ---- life ---- */

static enum tk_err open_loops(struct tk_server *server) {
        server->loops = calloc(server->opt.loops, sizeof *server->loops);
        if (!server->loops)
                return TK_E_NO_MEMORY;
        for (; server->opened < server->opt.loops; server->opened++) {
                unsigned i = server->opened;
                enum tk_err err = tk_loop_open(&server->loops[i], server, &server->opt, &server->stops, i);
                if (err)
                        return err;
        }
        return TK_OK;
}

enum tk_err tk_server_open(const struct tk_server_opt *opt, struct tk_server **out, char *why,
                           size_t why_size) {
        MUST(opt->listen && opt->on_call && opt->on_refuse);
        *out = NULL;
        struct tk_server *server = calloc(1, sizeof *server);
        if (!server)
                return fault(why, why_size, TK_E_NO_MEMORY, "out of memory");
        server->opt = *opt;
        set_defaults(&server->opt);
        atomic_init(&server->stops, 0);
        atomic_init(&server->fault, TK_OK);
        server->listen = strdup(opt->listen);
        server->opt.listen = server->listen;
        enum tk_err err = server->listen ? open_loops(server) : TK_E_NO_MEMORY;
        if (err)
                fault(why, why_size, err, "cannot prepare the loops: %s", tk_err_text(err));
        else
                err = bind_all(server, why, why_size);
        if (err) {
                tk_server_close(&server);
                return err;
        }
        *out = server;
        return TK_OK;
}

const char *tk_server_address(const struct tk_server *server) {
        return server->address;
}

void tk_server_close(struct tk_server **server) {
        if (!*server)
                return;
        for (unsigned i = 0; i < (*server)->opened; i++)
                tk_loop_close(&(*server)->loops[i]);
        free((*server)->loops);
        free((*server)->listen);
        free(*server);
        *server = NULL;
}

/* ---- running ---- */

static enum tk_err begin(struct tk_loop *loop, bool *started) {
        enum tk_err err = tk_loop_begin(loop);
        if (!err && loop->opt->on_loop_start)
                err = loop->opt->on_loop_start(loop, loop->index, loop->opt->ctx);
        *started = !err;
        return err ? err : tk_accept_begin(loop);
}

static void run_loop(struct tk_loop *loop) {
        struct tk_server *server = loop->server;
        bool started;
        enum tk_err err = begin(loop, &started);
        if (err) {
                tk_log(TK_ERROR, "http", "loop %u cannot start: %s", loop->index, tk_err_text(err));
                int none = TK_OK;
                atomic_compare_exchange_strong(&server->fault, &none, (int)err);
                tk_server_stop(server);
                tk_server_stop(server);
        }
        while (!err && !(loop->stopping && (loop->forced || loop->conns_count == 0)))
                tk_loop_turn(loop);
        if (loop->poll)
                tk_conns_close(loop);
        tk_loop_end(loop);
        tk_calls_tell(loop);
        if (started && loop->opt->on_loop_stop)
                (void)loop->opt->on_loop_stop(loop, loop->index, loop->opt->ctx);
        tk_calls_forget(loop);
        tk_loop_dispose(loop);
}

static void *run_thread(void *arg) {
        run_loop(arg);
        return NULL;
}

/* Signals are for the thread that runs loop 0, so that an operator's handler runs in a known place. */
static int start_thread(struct tk_loop *loop) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        int rc = pthread_create(&loop->thread, NULL, run_thread, loop);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return rc;
}

enum tk_err tk_server_run(struct tk_server *server) {
        signal(SIGPIPE, SIG_IGN); /* a write to a client that left is an error to be returned */
        unsigned threads = 1;
        for (; threads < server->opt.loops; threads++) {
                int rc = start_thread(&server->loops[threads]);
                if (rc != 0) {
                        tk_log(TK_ERROR, "http", "cannot start a thread: %s", strerror(rc));
                        atomic_store(&server->fault, TK_E_IO);
                        tk_server_stop(server);
                        tk_server_stop(server);
                        break;
                }
        }
        run_loop(&server->loops[0]);
        for (unsigned i = 1; i < threads; i++)
                pthread_join(server->loops[i].thread, NULL);
        for (unsigned i = threads; i < server->opt.loops; i++)
                tk_loop_end(&server->loops[i]);
        return (enum tk_err)atomic_load(&server->fault);
}

void tk_server_stop(struct tk_server *server) {
        atomic_fetch_add(&server->stops, 1);
        for (unsigned i = 0; i < server->opened; i++)
                tk_loop_wake(&server->loops[i]);
}
