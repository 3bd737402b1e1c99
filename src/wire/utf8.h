/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8: one sequence at a time, for readers that must say where the text breaks, and the way back.
 */
#ifndef TK_WIRE_UTF8_H
#define TK_WIRE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the valid sequence (RFC 3629) that starts at `at`, of which `left` > 0 bytes exist; 0: none.
 */
size_t tk_utf8_step(const char *at, size_t left);
/* Writes a scalar value (not a surrogate, at most U+10FFFF); returns how many bytes. */
size_t tk_utf8_put(uint32_t scalar, char out[4]);

#endif
