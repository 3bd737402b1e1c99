/* SPDX-License-Identifier: Apache-2.0
 *
 * bare_server: the yardstick of bench_gateway.py: libh2o with its own HTTP/1 code and a handler that answers
 * everything with the same 29 bytes of JSON. One loop. It knows no key, no limit and no request id.
 *
 * Prints "ready http://127.0.0.1:PORT" and serves until it is killed.
 */
#include "base/must.h"

#define H2O_USE_EPOLL 1
#include <h2o.h>

#include <arpa/inet.h>
#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#define BODY "{\"valid\":true,\"remaining\":42}"
static_assert(sizeof BODY == 29 + 1, "the other programs are compared over 29 bytes");

static h2o_accept_ctx_t accept_ctx;

static void check(bool ok, const char *what) {
        if (ok)
                return;
        perror(what);
        exit(1);
}

static int on_request(h2o_handler_t *handler, h2o_req_t *req) {
        TK_UNUSED(handler);
        req->res.status = 200;
        req->res.reason = "OK";
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                       H2O_STRLIT("application/json"));
        h2o_send_inline(req, H2O_STRLIT(BODY));
        return 0;
}

static void on_accept(h2o_socket_t *listener, const char *err) {
        h2o_socket_t *sock;
        for (int i = 0; !err && i < 16 && (sock = h2o_evloop_socket_accept(listener)); i++)
                h2o_accept(&accept_ctx, sock);
}

int main(void) {
        static h2o_globalconf_t config;
        static h2o_context_t context;
        signal(SIGPIPE, SIG_IGN);
        h2o_config_init(&config);
        h2o_hostconf_t *host =
                h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
        h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
        h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_request;
        h2o_context_init(&context, h2o_evloop_create(), &config);
        accept_ctx = (h2o_accept_ctx_t){.ctx = &context, .hosts = config.hosts};

        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t size = sizeof at;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(fd >= 0 && bind(fd, (struct sockaddr *)&at, size) == 0 && listen(fd, SOMAXCONN) == 0, "listen");
        check(getsockname(fd, (struct sockaddr *)&at, &size) == 0, "getsockname");
        h2o_socket_read_start(h2o_evloop_socket_create(context.loop, fd, H2O_SOCKET_FLAG_DONT_READ),
                              on_accept);
        printf("ready http://127.0.0.1:%u\n", ntohs(at.sin_port));
        fflush(stdout);
        while (h2o_evloop_run(context.loop, INT32_MAX) == 0)
                ;
        return 1;
}
