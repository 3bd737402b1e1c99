/* SPDX-License-Identifier: Apache-2.0
 *
 * token: the demo's tokenizer, simple enough to check by eye, so that tests can state exact counts.
 *
 *   token = [white space ...] up to four bytes of other characters
 *
 * White space is space, tab, LF, VT, FF and CR, and belongs to what follows it; at the end of the text it
 * is a token of its own. A character is never cut in two, so three of two bytes make two tokens. A byte
 * that begins no UTF-8 character counts as a character.
 *
 *   "Hello, wide world"  =  "Hell" "o," " wide" " worl" "d"   5 tokens
 *
 * Tokens joined are the text, and cutting a text behind a token does not change the tokens before it: so
 * a stream of one token a chunk has as many tokens as chunks. A token has at least one byte.
 *
 * What is counted: a chat's prompt costs one token a message, for its role, plus the tokens of its texts
 * (a part that is not text: one token). A completion's or an embedding's input costs its tokens; given
 * as numbers, each is one. An answer costs the tokens of its text.
 */
#ifndef TK_DEMO_TOKEN_H
#define TK_DEMO_TOKEN_H

#include "base/str.h"

#define TK_DEMO_TOKEN_BYTES_MAX 4 /* without the white space */

/* The first token of text; empty only when text is. */
struct tk_str tk_demo_token(struct tk_str text);
uint64_t tk_demo_tokens(struct tk_str text);

#endif
