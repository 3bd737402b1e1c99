/* SPDX-License-Identifier: Apache-2.0 */
#include "raw_server.h"

#include "base/must.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
        struct raw_server *server;
        int fd;
        unsigned nth;
};

static void *serve_one(void *arg) {
        struct connection c = *(struct connection *)arg;
        free(arg);
        c.server->serve(c.server, c.fd, c.nth);
        pthread_mutex_lock(&c.server->mutex);
        c.server->fds[c.nth] = -1;
        close(c.fd);
        pthread_mutex_unlock(&c.server->mutex);
        return NULL;
}

static void *accept_all(void *arg) {
        struct raw_server *server = arg;
        for (;;) {
                int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
                if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
                        continue;
                pthread_mutex_lock(&server->mutex);
                bool refuse = fd < 0 || server->stopping || server->connections == RAW_CONNECTIONS_MAX;
                if (!refuse) {
                        struct connection *c = malloc(sizeof *c);
                        MUST(c != NULL);
                        *c = (struct connection){server, fd, server->connections};
                        server->fds[c->nth] = fd;
                        server->connections++;
                        int rc = pthread_create(&server->threads[c->nth], NULL, serve_one, c);
                        MUST(rc == 0);
                }
                pthread_mutex_unlock(&server->mutex);
                if (refuse && fd >= 0)
                        close(fd);
                if (fd < 0)
                        return NULL;
        }
}

void raw_server_start(struct raw_server *server, raw_serve_f *serve, void *ctx) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof to;
        memset(server, 0, sizeof *server);
        server->serve = serve;
        server->ctx = ctx;
        pthread_mutex_init(&server->mutex, NULL);
        server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        MUST(server->listen_fd >= 0);
        MUST(bind(server->listen_fd, (struct sockaddr *)&to, sizeof to) == 0);
        MUST(listen(server->listen_fd, 512) == 0);
        MUST(getsockname(server->listen_fd, (struct sockaddr *)&to, &size) == 0);
        server->port = ntohs(to.sin_port);
        int rc = pthread_create(&server->thread, NULL, accept_all, server);
        MUST(rc == 0);
}

void raw_server_stop(struct raw_server *server) {
        pthread_mutex_lock(&server->mutex);
        server->stopping = true;
        shutdown(server->listen_fd, SHUT_RDWR);
        for (unsigned i = 0; i < server->connections; i++)
                if (server->fds[i] >= 0)
                        shutdown(server->fds[i], SHUT_RDWR);
        pthread_mutex_unlock(&server->mutex);
        pthread_join(server->thread, NULL);
        for (unsigned i = 0; i < server->connections; i++)
                pthread_join(server->threads[i], NULL);
        close(server->listen_fd);
        pthread_mutex_destroy(&server->mutex);
}

bool raw_server_is_stopping(struct raw_server *server) {
        pthread_mutex_lock(&server->mutex);
        bool stopping = server->stopping;
        pthread_mutex_unlock(&server->mutex);
        return stopping;
}

unsigned raw_server_connections(struct raw_server *server) {
        pthread_mutex_lock(&server->mutex);
        unsigned n = server->connections;
        pthread_mutex_unlock(&server->mutex);
        return n;
}

static ssize_t take(struct raw_server *server, int fd, char *at, size_t n) {
        ssize_t got;
        do
                got = recv(fd, at, n, 0);
        while (got < 0 && errno == EINTR);
        if (got <= 0)
                atomic_fetch_add(&server->peers_gone, 1);
        return got;
}

static size_t content_length(const char *head) {
        for (const char *line = head; (line = strstr(line, "\r\n")); line += 2)
                if (strncasecmp(line + 2, "content-length:", 15) == 0)
                        return strtoul(line + 17, NULL, 10);
        return 0;
}

bool raw_request_read(struct raw_server *server, int fd, struct raw_request *out) {
        memset(out, 0, sizeof *out);
        /* Byte by byte: nothing of the next request is taken by mistake, and speed is no aim here. */
        while (out->head_len < 4 || memcmp(out->head + out->head_len - 4, "\r\n\r\n", 4) != 0) {
                if (out->head_len == sizeof out->head - 1 ||
                    take(server, fd, out->head + out->head_len, 1) <= 0)
                        return false;
                out->head_len++;
        }
        size_t want = content_length(out->head);
        out->body = malloc(want + 1);
        MUST(out->body != NULL);
        while (out->body_len < want) {
                ssize_t got = take(server, fd, out->body + out->body_len, want - out->body_len);
                if (got <= 0) {
                        raw_request_free(out);
                        return false;
                }
                out->body_len += (size_t)got;
        }
        out->body[want] = '\0';
        atomic_fetch_add(&server->requests, 1);
        return true;
}

void raw_request_free(struct raw_request *request) {
        free(request->body);
        request->body = NULL;
}

bool raw_send(struct raw_server *server, int fd, struct tk_str bytes) {
        while (bytes.len) {
                ssize_t n = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        atomic_fetch_add(&server->peers_gone, 1);
                        return false;
                }
                atomic_fetch_add(&server->sent, (size_t)n);
                bytes = tk_str_skip(bytes, (size_t)n);
        }
        return true;
}

bool raw_send_text(struct raw_server *server, int fd, const char *text) {
        return raw_send(server, fd, tk_str_of(text));
}

void raw_wait_gone(struct raw_server *server, int fd) {
        char scrap[4096];
        while (take(server, fd, scrap, sizeof scrap) > 0)
                continue;
}

void raw_reset_on_close(int fd) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}
