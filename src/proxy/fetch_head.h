/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch_head: the head of an answer, read line by line, bounded, and checked.
 *
 *   status line ─► fields ... ─► blank line ─► DONE          (status 200 and above)
 *        ▲                            │
 *        └────── interim (1xx) ◄──────┘                       (at most TK_FETCH_INTERIM_MAX)
 *
 * What a provider sends is hostile input like any other: a name that is no token, a control byte in a
 * value, a folded first line, two lengths that disagree (RFC 9112 section 6.3: the framing is then
 * anybody's guess), or more of anything than its bound makes the whole answer malformed. A folded line
 * is joined with one space (RFC 9112 section 5.2). After DONE further lines (trailers) are ignored.
 * Pure but for the buffer's memory; any thread.
 */
#ifndef TK_PROXY_FETCH_HEAD_H
#define TK_PROXY_FETCH_HEAD_H

#include "base/buf.h"
#include "proxy/upstream.h"

#define TK_FETCH_HEAD_BYTES_MAX 65536u /* all lines of one answer together, interim ones too */
#define TK_FETCH_HEADERS_MAX    128u
#define TK_FETCH_INTERIM_MAX    16u

enum tk_fetch_head_step {
        TK_FETCH_HEAD_MORE,
        TK_FETCH_HEAD_DONE,
        TK_FETCH_HEAD_BAD,
        TK_FETCH_HEAD_NO_MEMORY
};

struct tk_fetch_head {
        struct tk_buf text; /* name NUL value NUL ... */
        struct {
                uint32_t name, value, value_len; /* offsets in text */
        } at[TK_FETCH_HEADERS_MAX];
        unsigned nr;
        unsigned interim;
        size_t bytes;
        int status; /* 0: no status line yet */
        bool done;
        const char *why; /* static text once BAD was given */
};

void tk_fetch_head_init(struct tk_fetch_head *head);
void tk_fetch_head_free(struct tk_fetch_head *head);
/* One line with or without its line end. BAD and NO_MEMORY are final. */
TK_CHECKED enum tk_fetch_head_step tk_fetch_head_line(struct tk_fetch_head *head, struct tk_str line);
/* The fields of a head that is DONE, names in lower case; valid until the head is freed. */
unsigned tk_fetch_head_list(const struct tk_fetch_head *head,
                            struct tk_fetch_header out[TK_FETCH_HEADERS_MAX]);
/* RFC 9110 section 5.1: a field's name or a method. */
bool tk_fetch_token_ok(struct tk_str s);
/* RFC 9110 section 5.5: no control byte but the tab. */
bool tk_fetch_value_ok(struct tk_str s);

#endif
