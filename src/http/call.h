/* SPDX-License-Identifier: Apache-2.0
 *
 * call: one request and its answer, from its whole head on. Folder-internal; on the loop's thread.
 *
 * It belongs to its connection until it is handed to on_call(), then to the handler. When the connection dies
 * first, the handler is told by its gone callback and the call is freed; a handler that has set none keeps a
 * call without a connection, whose answer goes nowhere, and is told as soon as it sets one.
 */
#ifndef TK_HTTP_CALL_H
#define TK_HTTP_CALL_H

#include "http/head.h"
#include "http/respond.h"
#include "http/server.h"

#include <stdalign.h>

#define TK_CALL_ARENA       2048        /* within the call; more comes from malloc() */
#define TK_CALL_HEADERS_MAX (64u << 10) /* bytes of answer headers */
#define TK_PEER_SIZE        48

struct tk_conn;

struct tk_call {
        unsigned magic;
        struct tk_loop *loop;
        struct tk_conn *conn;        /* NULL: the client is lost */
        struct tk_call *prev, *next; /* among the loop's lost ones */
        struct tk_head head;
        struct tk_buf body;
        int64_t now_ms;
        char id[TK_REQUEST_ID_LEN + 1];
        char peer[TK_PEER_SIZE];

        bool handed;  /* to the handler */
        bool started; /* tk_call_start() was called */
        bool silent;  /* HEAD, 204, 304: the answer has no body */
        enum tk_framing framing;
        struct tk_buf headers;

        tk_call_event_f *gone;
        void *gone_ctx;
        tk_call_event_f *drained;
        void *drained_ctx;
        struct tk_timer tell; /* gone, to a handler that asked too late */

        struct tk_call_block *blocks;
        size_t arena_used;
        alignas(max_align_t) unsigned char arena[TK_CALL_ARENA];
};

/* With a copy of the head's bytes in *bytes. NULL when out of memory. */
struct tk_call *tk_call_new(struct tk_conn *conn, struct tk_str head, struct tk_str *bytes);
void tk_call_free(struct tk_call *call);
/* Runs the handler. */
void tk_call_hand(struct tk_call *call);
/* The connection is no more. */
void tk_call_lose(struct tk_call *call);
/* At the end of the loop, for want of a further turn: tells the handlers of lost calls that asked late. */
void tk_calls_tell(struct tk_loop *loop);
/* After on_loop_stop: frees lost calls whose handlers never asked. */
void tk_calls_forget(struct tk_loop *loop);
/* A fresh request id. */
void tk_call_make_id(struct tk_loop *loop, char out[TK_REQUEST_ID_LEN + 1]);

#endif
