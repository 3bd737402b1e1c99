/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_http: what our seam costs beside the bare libh2o handler, its own HTTP/1 code included.
 *
 *   seam    tk_server, one loop, answering 29 bytes of JSON
 *   bare    libh2o, one loop, h2o_accept() and a handler that sends the same 29 bytes
 *
 * Each runs in a process of its own while wrk (which must be installed) keeps 64 connections busy. Load and
 * server share the machine, so the row that matters is the server's CPU time for each request, from wait4(),
 * and the ratio of the two; throughput stands beside it. Two shapes of request: the smallest, and one with
 * the headers that an SDK sends. Rounds alternate and the best of each counts. BENCH_HTTP_S sets the seconds
 * of a round. Not a test.
 */
#include "base/buf.h"
#include "http/server.h"
#include "rt/rand.h"

#define H2O_USE_EPOLL 1
#include <h2o.h>
#include <h2o/http1.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 3
#define BODY   "{\"hello\":\"world\",\"answer\":42}"

#define SDK                                                                                                  \
        " -H 'Accept: application/json' -H 'Accept-Encoding: gzip, deflate, br' -H 'Connection: keep-alive'" \
        " -H 'Authorization: Bearer tk_inf_0123456789abcdefghijABCDEFGHIJ0123456789abc_a1B2c3'"              \
        " -H 'Content-Type: application/json' -H 'User-Agent: OpenAI/Python 1.109.1'"                        \
        " -H 'X-Stainless-Arch: x64' -H 'X-Stainless-Async: false' -H 'X-Stainless-Lang: python'"            \
        " -H 'X-Stainless-OS: Linux' -H 'X-Stainless-Package-Version: 1.109.1'"                              \
        " -H 'X-Stainless-Retry-Count: 0' -H 'X-Stainless-Runtime: CPython'"                                 \
        " -H 'X-Stainless-Runtime-Version: 3.11.2'"

static void die(const char *what) {
        perror(what);
        exit(1);
}

/* ---- seam ---- */

static void on_call(struct tk_call *call, void *ctx) {
        TK_UNUSED(ctx);
        tk_call_reply(call, 200, "application/json", TK_STR(BODY));
}

static void on_refuse(const struct tk_refused *refused, void *ctx) {
        TK_UNUSED(ctx);
        tk_buf_printf(refused->body, "{\"status\":%d,\"why\":\"%s\"}", refused->status, refused->why);
}

static void tell_port(int to, int port) {
        if (write(to, &port, sizeof port) != sizeof port)
                die("write");
        close(to);
}

static void serve_seam(int to) {
        struct tk_server_opt opt = {
                .listen = "127.0.0.1:0", .loops = 1, .on_call = on_call, .on_refuse = on_refuse};
        struct tk_server *server;
        char why[256];
        if (tk_rand_init() != TK_OK || tk_server_open(&opt, &server, why, sizeof why) != TK_OK) {
                fprintf(stderr, "cannot open the server\n");
                exit(1);
        }
        tell_port(to, atoi(strrchr(tk_server_address(server), ':') + 1));
        exit(tk_server_run(server) != TK_OK);
}

/* ---- bare ---- */

static h2o_accept_ctx_t bare;

static int on_req(h2o_handler_t *self, h2o_req_t *req) {
        TK_UNUSED(self);
        static h2o_generator_t generator;
        h2o_iovec_t body = h2o_iovec_init(H2O_STRLIT(BODY));
        req->res.status = 200;
        req->res.reason = "OK";
        req->res.content_length = body.len;
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                       H2O_STRLIT("application/json"));
        h2o_start_response(req, &generator);
        h2o_send(req, &body, 1, H2O_SEND_STATE_FINAL);
        return 0;
}

static void on_accept(h2o_socket_t *listener, const char *err) {
        if (err)
                return;
        h2o_socket_t *sock;
        while ((sock = h2o_evloop_socket_accept(listener)))
                h2o_accept(&bare, sock);
}

static void serve_bare(int to) {
        static h2o_globalconf_t config;
        static h2o_context_t context;
        signal(SIGPIPE, SIG_IGN);
        h2o_config_init(&config);
        h2o_hostconf_t *host =
                h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
        h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
        h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_req;
        h2o_context_init(&context, h2o_evloop_create(), &config);
        bare.ctx = &context;
        bare.hosts = config.hosts;
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof sa;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&sa, size) != 0 || listen(fd, 1024) != 0 ||
            getsockname(fd, (struct sockaddr *)&sa, &size) != 0)
                die("listen");
        h2o_socket_read_start(h2o_evloop_socket_create(context.loop, fd, H2O_SOCKET_FLAG_DONT_READ),
                              on_accept);
        tell_port(to, ntohs(sa.sin_port));
        for (;;)
                h2o_evloop_run(context.loop, INT32_MAX);
}

/* ---- measuring ---- */

static const struct {
        const char *name;
        void (*serve)(int to);
} servers[] = {{"seam", serve_seam}, {"bare", serve_bare}};

static const struct {
        const char *name;
        const char *options;
} shapes[] = {{"smallest request", ""}, {"an SDK's request", SDK}};

struct result {
        double cpu_us; /* of the server, for one request */
        double per_s;
};

static void load(int port, const char *options, int seconds, double *requests, double *per_s) {
        char line[2048];
        snprintf(line, sizeof line, "wrk -t1 -c64 -d%ds%s http://127.0.0.1:%d/", seconds, options, port);
        FILE *out = popen(line, "r");
        if (!out)
                die("wrk");
        *requests = *per_s = 0;
        while (fgets(line, sizeof line, out)) {
                double n;
                if (strstr(line, "requests in") && sscanf(line, " %lf", &n) == 1)
                        *requests = n;
                else if (sscanf(line, "Requests/sec: %lf", &n) == 1)
                        *per_s = n;
                else if (strstr(line, "Non-2xx") || strstr(line, "Socket errors"))
                        fprintf(stderr, "%s", line);
        }
        if (pclose(out) != 0 || *requests < 1) {
                fprintf(stderr, "wrk measured nothing; is it installed?\n");
                exit(1);
        }
}

static struct result measure(void (*serve)(int to), const char *options, int seconds) {
        int ends[2], port;
        if (pipe(ends) != 0)
                die("pipe");
        fflush(stdout);
        pid_t pid = fork();
        if (pid < 0)
                die("fork");
        if (pid == 0) {
                close(ends[0]);
                serve(ends[1]);
        }
        close(ends[1]);
        if (read(ends[0], &port, sizeof port) != sizeof port)
                die("read");
        close(ends[0]);
        double requests, per_s;
        load(port, options, seconds, &requests, &per_s);
        struct rusage used;
        kill(pid, SIGKILL);
        if (wait4(pid, NULL, 0, &used) != pid)
                die("wait4");
        double us = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
                    (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
        return (struct result){us / requests, per_s};
}

int main(void) {
        const char *text = getenv("BENCH_HTTP_S");
        int seconds = text ? atoi(text) : 3;
        for (size_t shape = 0; shape < 2; shape++) {
                struct result best[2] = {{1e9, 0}, {1e9, 0}};
                for (int round = 0; round < ROUNDS; round++) {
                        for (int s = 0; s < 2; s++) {
                                struct result r = measure(servers[s].serve, shapes[shape].options, seconds);
                                if (r.cpu_us < best[s].cpu_us)
                                        best[s].cpu_us = r.cpu_us;
                                if (r.per_s > best[s].per_s)
                                        best[s].per_s = r.per_s;
                        }
                }
                printf("%s\n", shapes[shape].name);
                for (int s = 0; s < 2; s++)
                        printf("  %s  %6.2f us CPU a request  %9.0f requests/s\n", servers[s].name,
                               best[s].cpu_us, best[s].per_s);
                printf("  seam / bare  %.2f of the CPU time  %.2f of the throughput\n",
                       best[0].cpu_us / best[1].cpu_us, best[0].per_s / best[1].per_s);
        }
        return 0;
}
