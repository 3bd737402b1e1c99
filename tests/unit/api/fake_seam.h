/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_seam: http/server.h without sockets. A test builds a call, gives it to the router, and reads the
 * answer. Like the real seam it insists on the life of a call: whatever touches one that was answered in
 * full, or that was told gone, stops the test.
 */
#ifndef TK_TESTS_FAKE_SEAM_H
#define TK_TESTS_FAKE_SEAM_H

#include "http/server.h"

#define FAKE_HEADERS_MAX 8

struct tk_loop {
        void *data;
        struct tk_msg *first, **last;
        bool ended; /* tk_loop_send says no */
};

struct fake_header {
        const char *name, *value;
};

struct tk_call {
        struct tk_loop *loop;
        const char *method, *path, *query, *body;
        size_t body_len; /* 0: strlen(body) */
        struct fake_header headers[FAKE_HEADERS_MAX];
        int64_t now_ms;
        bool no_memory; /* tk_call_alloc fails */

        /* the answer */
        bool over, gone, started, whole;
        int status;
        const char *type;
        struct tk_buf answer_headers; /* "name: value\n" each */
        struct tk_buf answer;
        size_t unsent;    /* what tk_call_unsent() says */
        size_t pieces_nr; /* of a stream */
        tk_call_event_f *on_gone, *on_drained;
        void *on_gone_ctx, *on_drained_ctx;
        void *memory[4];
        unsigned memory_nr;
};

void fake_loop_init(struct tk_loop *loop, void *data);
/* One message; false: there was none. */
bool fake_loop_turn(struct tk_loop *loop);
/* The client closes now. */
void fake_call_leave(struct tk_call *call);
/* The client has read all. */
void fake_call_drain(struct tk_call *call);
void fake_call_free(struct tk_call *call);

#endif
