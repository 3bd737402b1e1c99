/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/rand.h"

#include <sodium.h>
#include <stdatomic.h>

enum tk_err tk_rand_init(void) {
        /* 1 means that it was initialised already, which is fine. */
        return sodium_init() < 0 ? TK_E_IO : TK_OK;
}

void tk_rand_bytes(void *out, size_t n) {
        randombytes_buf(out, n);
}

/*
 * The twelve bits behind the time count within a millisecond (RFC 9562 section 6.2, method 1), so that ids of
 * one process made in a row sort in that order. They start at random in the lower half; when they run out,
 * the rest of the millisecond is unordered.
 */
static unsigned count_within(int64_t now_ms, unsigned random) {
        static _Atomic uint64_t last; /* (ms << 12) + count */
        uint64_t seen = atomic_load(&last), next;
        do {
                next = ((uint64_t)now_ms << 12) + (random & 0x7FF);
                if (seen >> 12 == (uint64_t)now_ms)
                        next = (seen & 0xFFF) == 0xFFF ? seen : seen + 1;
        } while (!atomic_compare_exchange_weak(&last, &seen, next));
        return (unsigned)(next & 0xFFF);
}

struct tk_id tk_rand_id(int64_t now_ms) {
        uint8_t random[10];
        tk_rand_bytes(random, sizeof random);
        unsigned count = count_within(now_ms, (unsigned)random[0] << 8 | random[1]);
        random[0] = (uint8_t)(count >> 8); /* tk_id_make() puts the version over the upper four bits */
        random[1] = (uint8_t)count;
        return tk_id_make(now_ms, random);
}
