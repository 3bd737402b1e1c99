/* SPDX-License-Identifier: Apache-2.0
 *
 * xorshift: seeded numbers for property tests: the same in every run, on every machine.
 */
#ifndef TK_TESTS_XORSHIFT_H
#define TK_TESTS_XORSHIFT_H

#include <stdint.h>

struct xorshift {
        uint64_t state; /* not 0 */
};

static inline uint64_t xorshift_next(struct xorshift *x) {
        x->state ^= x->state << 13;
        x->state ^= x->state >> 7;
        x->state ^= x->state << 17;
        return x->state * UINT64_C(0x2545F4914F6CDD1D);
}

/* From low to high, both included. */
static inline int64_t xorshift_between(struct xorshift *x, int64_t low, int64_t high) {
        uint64_t span = (uint64_t)high - (uint64_t)low + 1;
        uint64_t step = span ? xorshift_next(x) % span : xorshift_next(x);
        return (int64_t)((uint64_t)low + step);
}

/* Small numbers as likely as great ones: a random number of bits, then so many random bits. */
static inline uint64_t xorshift_sized(struct xorshift *x, unsigned bits_max) {
        unsigned bits = (unsigned)(xorshift_next(x) % (bits_max + 1));
        return bits ? xorshift_next(x) >> (64 - bits) : 0;
}

#endif
