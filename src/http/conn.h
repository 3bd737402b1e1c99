/* SPDX-License-Identifier: Apache-2.0
 *
 * conn: one connection: bytes in, calls, bytes out. Folder-internal; on the loop's thread.
 *
 *               first byte        whole head          whole body          answer complete
 *      IDLE ------------------> HEAD -----------> BODY -----------> WORK -----------------> FLUSH
 *       ^                        |  refused         |  refused                             |  |
 *       |                        +----------------->+------------------------------------->+  | close
 *       |                                              all bytes sent, keep-alive          |  v
 *       +----------------------------------------------------------------------------------+ LINGER
 *      DEAD follows each of them: closed, still in memory until the turn ends.
 *
 *  (1) `call` is set in BODY and WORK, and only there; the handler has it in WORK only.
 *  (2) One request at a time: what a client pipelines waits in `in`, at most TK_CONN_AHEAD bytes and what one
 *      read brings; then reading stops until the answer is complete, so a flood waits in the client.
 *  (3) No handler is called from within a tk_call_ function: the next request begins in the loop's own frame.
 *  (4) After an answer that ends the connection, sending is shut and input is read over for a while (LINGER).
 * Closing at once would make the kernel send a reset, which can destroy the answer before the client reads
 * it. (5) While a call is in WORK or FLUSH the descriptor is either read from or in the loop's side set, so
 * that a reset is always noticed.
 *
 * A client that only closed its sending side looks the same as one that is gone: both sent a FIN. When the
 * answer has not begun a second after the FIN, an interim "100 Continue" is sent, which RFC 9110
 * section 15.2.1 lets a client ignore: from a closed socket a reset comes back. Once the answer has begun,
 * the next piece of it does the same.
 */
#ifndef TK_HTTP_CONN_H
#define TK_HTTP_CONN_H

#include "http/call.h"
#include "http/chunk.h"
#include "http/loop.h"

#define TK_CONN_AHEAD           65536      /* bytes of further requests kept while one is answered */
#define TK_CONN_OUT_MAX         (1u << 30) /* answer bytes that wait for the client */
#define TK_CONN_LINGER_MS       2000       /* silence of the client after which it is closed */
#define TK_CONN_LINGER_TOTAL_MS 10000      /* and in all */
#define TK_CONN_LINGER_BYTES    (64u << 20)
#define TK_CONN_PROBE_MS        1000

enum tk_conn_state {
        TK_CONN_IDLE,
        TK_CONN_HEAD,
        TK_CONN_BODY,
        TK_CONN_WORK,
        TK_CONN_FLUSH,
        TK_CONN_LINGER,
        TK_CONN_DEAD,
};

struct tk_conn {
        unsigned magic;
        enum tk_conn_state state;
        struct tk_loop *loop;
        struct tk_sock *sock;
        struct tk_conn *prev, *next; /* among the loop's open or closed ones */
        struct tk_call *call;
        char peer[TK_PEER_SIZE];

        struct tk_buf in;   /* received, not yet used */
        size_t scanned;     /* of the head that is arriving */
        bool blank_skipped; /* one empty line was dropped before it */
        bool eof;           /* the client sends no more */
        bool processing;    /* process() is on the stack */
        struct tk_chunk chunk;
        uint64_t body_left;

        struct tk_buf out; /* to be sent, from out_at on */
        size_t out_at;
        bool writing;   /* the socket took no more; its call back is under way */
        bool flush_due; /* in the loop's list of those that have something to send at the end of the turn */
        struct tk_conn *flush_next;
        bool broken;      /* sending failed; the loop will lose() it */
        bool close_after; /* this answer is the last */
        bool reset_after; /* and ends in a reset, because nothing else could tell that it is not whole */

        struct tk_timer timer; /* runs at due_ms or before */
        int64_t due_ms;        /* what is timed depends on the state */
        bool renew;            /* the due time is to be counted from now */
        bool kicked;           /* process() has something to do */
        bool probed;
        int64_t progress_ms; /* when the socket last took or acknowledged bytes */
        int unacked_seen;
        size_t lingered;
        int64_t linger_end_ms;
        struct tk_watch hup;
};

/* Takes the socket of a new client. */
void tk_conn_open(struct tk_loop *loop, struct tk_sock *sock);
/* Sends what is in `out`, as far as the socket takes it. Never calls a handler. */
void tk_conn_flush(struct tk_conn *conn);
/* The same at the end of the turn, so that the pieces of one turn go out as one; at once when it is much. */
void tk_conn_flush_later(struct tk_conn *conn);
/* The call has its whole answer in `out` and is about to be freed. keep_alive: the client may go on. */
void tk_conn_answered(struct tk_conn *conn, bool keep_alive);
/* What the socket did not take; what waits only for the end of the turn is not counted. */
size_t tk_conn_unsent(const struct tk_conn *conn);

/* All connections of the loop. stop: answers become the last, idle ones are closed; at_once: all are. */
void tk_conns_stop(struct tk_loop *loop, bool at_once);
void tk_conns_close(struct tk_loop *loop);
void tk_conns_flush(struct tk_loop *loop);
void tk_conns_reap(struct tk_loop *loop);

#endif
