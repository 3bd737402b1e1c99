/* SPDX-License-Identifier: Apache-2.0
 *
 * chunk: decodes a chunked body (RFC 9112 section 7.1) as it arrives. Pure.
 *
 *      SIZE --';'--> EXT                 extensions are read over
 *       |  \          |
 *      CR   CR-------CR ---> LF --size>0--> DATA -> DATA_CR -> DATA_LF -> SIZE
 *                             \--size=0--> TRAILER (lines, read over) -> DONE
 *
 * Strict: every line ends in CR LF, a size is 1 to 15 hexadecimal digits and nothing else, and the bytes
 * after the data are exactly CR LF. Extensions and trailers are bounded, checked and dropped.
 */
#ifndef TK_HTTP_CHUNK_H
#define TK_HTTP_CHUNK_H

#include "base/must.h"
#include "base/str.h"

#define TK_CHUNK_EXT_MAX     1024 /* bytes of extensions to one chunk */
#define TK_CHUNK_TRAILER_MAX 8192 /* bytes of trailer fields in all */

struct tk_chunk {
        unsigned state;   /* zero at first */
        unsigned count;   /* digits of this size, or bytes of its extensions */
        unsigned trailer; /* bytes of trailers */
        unsigned line;    /* bytes of this trailer line */
        bool colon;       /* this trailer line has its colon */
        uint64_t left;    /* bytes of this chunk still to come */
};

enum tk_chunk_step {
        TK_CHUNK_MORE, /* all of the input is used */
        TK_CHUNK_DATA, /* *data is a piece of the body; call again */
        TK_CHUNK_DONE, /* the body is complete; the rest of the input is not part of it */
        TK_CHUNK_BAD,
        TK_CHUNK_TOO_BIG, /* extensions or trailers beyond their limit */
};

/* Takes what it uses off *in. */
TK_CHECKED enum tk_chunk_step tk_chunk_next(struct tk_chunk *chunk, struct tk_str *in, struct tk_str *data);

#endif
