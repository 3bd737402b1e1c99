/* SPDX-License-Identifier: Apache-2.0
 *
 * bare_proxy: the floor under the calls of bench_gateway.py: our HTTP seam and the client library, and
 * between them nothing that knows a key, a price or a limit. Bodies pass as they are, streams piece by piece.
 *
 *   bare_proxy UPSTREAM      "http://127.0.0.1:8000"; its path is that of the request
 *
 * One loop. Prints "ready http://127.0.0.1:PORT" and serves until it is killed.
 */
#include "base/buf.h"
#include "http/server.h"
#include "proxy/upstream.h"
#include "rt/rand.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX (1u << 20)

/* One call; nobody leaves in a measurement, so it does not look after that. */
struct pass {
        struct tk_call *call;
        struct tk_fetch *fetch;
        struct tk_buf body;
        int status;
        bool streams;
};

static const char *upstream_url;
static struct tk_upstream *upstream;
static struct tk_loop *the_loop;
static struct tk_timer soon;

static void die(const char *why) {
        fprintf(stderr, "bare_proxy: %s\n", why);
        exit(1);
}

static void on_head(void *ctx, int status, const struct tk_fetch_header *headers, unsigned headers_nr) {
        struct pass *p = ctx;
        p->status = status;
        for (unsigned i = 0; i < headers_nr; i++)
                if (strcmp(headers[i].name, "content-type") == 0)
                        p->streams = tk_str_starts(headers[i].value, "text/event-stream");
        if (p->streams)
                tk_call_start(p->call, status, "text/event-stream");
}

static void on_data(void *ctx, struct tk_str piece) {
        struct pass *p = ctx;
        if (p->streams)
                tk_call_send(p->call, piece);
        else
                tk_buf_put(&p->body, piece);
}

static void on_end(void *ctx, enum tk_fetch_end end, const char *why) {
        struct pass *p = ctx;
        if (end != TK_FETCH_WHOLE)
                die(why);
        if (p->streams)
                tk_call_end(p->call, true);
        else
                tk_call_reply(p->call, p->status, "application/json", tk_buf_str(&p->body));
        tk_buf_free(&p->body);
        free(p);
}

static void on_call(struct tk_call *call, void *ctx) {
        static const struct tk_fetch_header headers[] = {{"Content-Type", {"application/json", 16}},
                                                         {"Accept", {"application/json", 16}},
                                                         {"Authorization", {"Bearer upstream-secret", 22}}};
        char text[1024];
        struct tk_buf url = TK_BUF_OVER(text);
        struct pass *p = calloc(1, sizeof *p);
        TK_UNUSED(ctx);
        if (!p)
                die("no memory");
        p->call = call;
        p->body = TK_BUF(ANSWER_BYTES_MAX);
        tk_buf_text(&url, upstream_url);
        tk_buf_put(&url, tk_call_path(call));
        struct tk_fetch_opt opt = {.url = url.at,
                                   .method = "POST",
                                   .body = tk_call_body(call),
                                   .headers = headers,
                                   .headers_nr = 3,
                                   .on_head = on_head,
                                   .on_data = on_data,
                                   .on_end = on_end,
                                   .ctx = p};
        if (!tk_buf_ok(&url) || tk_fetch_start(upstream, &opt, &p->fetch) != TK_OK)
                die("a request cannot be passed on");
}

static void on_refuse(const struct tk_refused *refused, void *ctx) {
        TK_UNUSED(ctx);
        tk_buf_printf(refused->body, "{\"status\":%d}", refused->status);
}

static void on_ready(void *ctx) {
        tk_upstream_run(ctx);
}

static void on_soon_due(struct tk_timer *timer) {
        TK_UNUSED(timer);
        tk_upstream_run(upstream);
}

static void on_soon(void *ctx) {
        TK_UNUSED(ctx);
        tk_timer_start(the_loop, &soon, 0);
}

static enum tk_err on_loop_start(struct tk_loop *loop, unsigned index, void *ctx) {
        struct tk_watch *watch;
        TK_UNUSED(index);
        TK_UNUSED(ctx);
        the_loop = loop;
        soon.fire = on_soon_due;
        enum tk_err err = tk_upstream_open(&upstream);
        if (err != TK_OK)
                return err;
        tk_upstream_on_soon(upstream, on_soon, NULL);
        return tk_loop_watch(loop, tk_upstream_fd(upstream), on_ready, upstream, &watch);
}

int main(int argc, char **argv) {
        struct tk_server_opt opt = {.listen = "127.0.0.1:0",
                                    .loops = 1,
                                    .on_call = on_call,
                                    .on_refuse = on_refuse,
                                    .on_loop_start = on_loop_start};
        struct tk_server *server;
        char why[256];
        if (argc != 2)
                die("usage: bare_proxy UPSTREAM");
        upstream_url = argv[1];
        signal(SIGPIPE, SIG_IGN);
        if (tk_rand_init() != TK_OK || tk_server_open(&opt, &server, why, sizeof why) != TK_OK)
                die("cannot listen");
        printf("ready http://%s\n", tk_server_address(server));
        fflush(stdout);
        return tk_server_run(server) == TK_OK ? 0 : 1;
}
