/* SPDX-License-Identifier: Apache-2.0
 *
 * fixture: a server on a free port in a thread of its own, and a client that writes raw bytes.
 *
 * The handler goes by path:
 *   /hello      {"hello":"world","answer":42} at once
 *   /echo       what the call says about itself, and the body
 *   /peer /id   the peer's address, the id
 *   /status/N   status N with the body "x"
 *   /headers    two headers of its own, and one that it may not set
 *   /later      answers "later" after 20 ms
 *   /hold       waits for release(); counts as held; gone is counted
 *   /mute       as /hold, without asking for gone
 *   /late       as /mute; asks for gone when released, instead of answering
 *   /stream     "piece 0\n" ... "piece 4\n", the first at once, the others from a timer
 *   /cut        as /stream, but breaks off after the second piece
 *   /open       begins a stream with "begun" and waits as /hold
 *   /flood      16 MiB in pieces of 32 KiB, stopping at 256 KiB unsent until drained
 *   /big        one body of 8 MiB
 *   /alloc      takes much memory of the call
 *   /reenter    answers what is held, from inside the handler, then itself
 *
 * Nothing here sleeps: the waits are on conditions, and a wait that takes longer than 20 s fails.
 */
#ifndef TK_TESTS_HTTP_FIXTURE_H
#define TK_TESTS_HTTP_FIXTURE_H

#include "base/buf.h"
#include "http/server.h"

#include <pthread.h>

enum count {
        COUNT_CALLS, /* handed to the handler */
        COUNT_HELD,  /* ever */
        COUNT_GONE,
        COUNT_DRAINED,
        COUNT_FREED, /* held calls whose answer was given after release */
        COUNT_PEAK,  /* highest unsent of /flood */
        COUNT_REFUSED,
        COUNT_LOOPS, /* loops that ran at least one call */
        COUNT_NR,
};

struct held;

struct fixture {
        struct tk_server_opt opt; /* set before fixture_start() */
        struct tk_server *server;
        pthread_t thread;
        bool running;
        enum tk_err result; /* of tk_server_run() */
        char host[64];
        int port;

        pthread_mutex_t lock;
        pthread_cond_t changed;
        long counts[COUNT_NR]; /* under lock */
        unsigned long loops_seen;
        struct held *held; /* under lock */
};

/* Small limits: header 2048, body 65536; times as the defaults. */
void fixture_init(struct fixture *f);
void fixture_start(struct fixture *f);
/* Graceful; joins; checks the result. */
void fixture_stop(struct fixture *f);
void fixture_join(struct fixture *f);
long fixture_count(struct fixture *f, enum count what);
void fixture_wait(struct fixture *f, enum count what, long at_least);
/* Ends all held calls on their loops. */
void fixture_release(struct fixture *f);

/* Connects, with a receive buffer of that many bytes when not 0. */
int client_open(struct fixture *f, int rcvbuf);
/* -1 when refused. */
int client_try(struct fixture *f);
/* With a socket that exists already. */
void client_connect(struct fixture *f, int fd);
void client_send(int fd, const char *bytes, size_t n);
void client_text(int fd, const char *text);
/* As much as the server takes before it closes; false when it stopped taking. */
bool client_pour(int fd, size_t n);
void client_close(int fd);
void client_reset(int fd); /* closes with RST */
void client_half_close(int fd);

struct answer {
        int status;
        bool closed; /* the connection ended during or right after it (only known when the framing needs it)
                      */
        bool chunked;
        bool whole; /* the body ended as its framing says */
        struct tk_buf head;
        struct tk_buf body;
};

struct reader {
        int fd;
        struct tk_buf in;
        bool eof;
        bool was_reset;
};

void reader_init(struct reader *r, int fd);
void reader_free(struct reader *r);
/* Reads one answer; no_body for answers to HEAD. Interim 1xx answers are answers too. */
void reader_next(struct reader *r, bool no_body, struct answer *a);
/* True when the server closed, with nothing more before. */
bool reader_at_end(struct reader *r);
/* True when n bytes are there within the wait. */
bool reader_fill(struct reader *r, size_t n);
void answer_free(struct answer *a);
/* Value of a header, into a static buffer; NULL when absent. */
const char *answer_header(const struct answer *a, const char *name);

/* Sends, reads one answer, closes. */
void exchange(struct fixture *f, const char *bytes, size_t n, struct answer *a);

#endif
