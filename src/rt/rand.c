/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/rand.h"

#include <sodium.h>

enum tk_err tk_rand_init(void) {
        /* 1 means that it was initialised already, which is fine. */
        return sodium_init() < 0 ? TK_E_IO : TK_OK;
}

void tk_rand_bytes(void *out, size_t n) {
        randombytes_buf(out, n);
}

struct tk_id tk_rand_id(int64_t now_ms) {
        uint8_t random[10];
        tk_rand_bytes(random, sizeof random);
        return tk_id_make(now_ms, random);
}
