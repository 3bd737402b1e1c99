/* SPDX-License-Identifier: Apache-2.0
 *
 * head: the head of an HTTP/1 request, from bytes to fields, or a status that refuses it. Pure.
 *
 * Strict on purpose: two programs that read one request differently are how requests are smuggled, so
 * whatever RFC 9112 lets a recipient repair is refused here instead: a line that ends in a bare LF, a folded
 * field, white space before the colon, more than one space in the request line, and every length that
 * could be read in two ways. tk_head_end() finds where the head ends as bytes trickle in;
 * tk_head_parse() then reads it once, whole.
 */
#ifndef TK_HTTP_HEAD_H
#define TK_HTTP_HEAD_H

#include "base/must.h"
#include "base/str.h"

#define TK_HEAD_FIELDS_MAX 100
#define TK_HEAD_METHOD_MAX 32

struct tk_field {
        struct tk_str name; /* as sent */
        struct tk_str value;
};

/* All spans point into the parsed bytes, or to static text. */
struct tk_head {
        struct tk_str method;
        struct tk_str path;  /* of an absolute URL too; at least "/" or "*" */
        struct tk_str query; /* without '?' */
        unsigned minor;      /* HTTP/1.minor, 0 or 1 */
        bool keep_alive;     /* the client's wish, and its version's default */
        bool expects;        /* Expect: 100-continue */
        bool chunked;
        uint64_t length; /* Content-Length; 0 without one */
        unsigned fields_count;
        struct tk_field fields[TK_HEAD_FIELDS_MAX];
};

/* Length of one empty line before the request line, which RFC 9112 section 2.2 asks to ignore: 0 or 2. */
size_t tk_head_blank(struct tk_str in);
/* False when the first byte can begin no method, for example that of a TLS handshake. */
bool tk_head_begins(struct tk_str in);
/* Bytes up to and with the empty line that ends the head, or 0 while it is not there. *scanned is the place
 * to go on from in the next call with more bytes; 0 at first. */
size_t tk_head_end(struct tk_str in, size_t *scanned);
/* A whole head, as measured by tk_head_end(). 0, or the status that refuses it and why, a static text. */
TK_CHECKED int tk_head_parse(struct tk_head *head, struct tk_str in, const char **why);
/* First field of that lower-case name, or the empty span with at == NULL. */
struct tk_str tk_head_field(const struct tk_head *head, const char *name);

/* For refusals: what can be known of a head that is not whole or not right. Empty when unknown. The path may
 * be cut where the bytes end or go wrong; its beginning, which tells the dialect, is right. */
struct tk_str tk_head_peek_method(struct tk_str in);
struct tk_str tk_head_peek_path(struct tk_str in);

#endif
