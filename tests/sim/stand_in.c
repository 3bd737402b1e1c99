/* SPDX-License-Identifier: Apache-2.0 */
#include "stand_in.h"

#include "faulty_store.h"
#include "rt/clock.h"
#include "rt/log.h"
#include "rt/rand.h"
#include "trace.h"
#include "xorshift.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
        int64_t now_ms;
        struct xorshift random;
        bool verbose;
} os;

void stand_in_start(uint64_t seed, bool verbose) {
        os.random.state = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
        os.verbose = verbose;
}

void stand_in_clock_set(int64_t now_ms) {
        os.now_ms = now_ms;
}

/* ---- rt/clock.h ---- */

int64_t tk_clock_now_ms(void) {
        return os.now_ms;
}

int64_t tk_clock_mono_ms(void) {
        return os.now_ms;
}

/* Nothing waits for a time here: the simulation's ledger is stepped by hand. */
struct timespec tk_clock_after(unsigned ms) {
        return (struct timespec){.tv_sec = (time_t)((os.now_ms + ms) / 1000),
                                 .tv_nsec = (long)((os.now_ms + ms) % 1000) * 1000000};
}

/* ---- rt/rand.h ---- */

enum tk_err tk_rand_init(void) {
        return TK_OK;
}

void tk_rand_bytes(void *out, size_t n) {
        uint8_t *at = out;
        for (size_t i = 0; i < n; i++)
                at[i] = (uint8_t)(xorshift_next(&os.random) >> 56);
}

struct tk_id tk_rand_id(int64_t now_ms) {
        uint8_t random[10];
        tk_rand_bytes(random, sizeof random);
        return tk_id_make(now_ms, random);
}

/* ---- rt/log.h ---- */

void tk_log_level(enum tk_level least) {
        TK_UNUSED(least);
}

void tk_log(enum tk_level level, const char *area, const char *fmt, ...) {
        va_list args;
        static const char refused[] = "a post was not stored";
        if (level == TK_ERROR && !faulty_is_failing() && strncmp(fmt, refused, sizeof refused - 1) == 0)
                trace_fail("the ledger logs that a post was not stored");
        if (!os.verbose)
                return;
        printf("        [%s: ", area);
        va_start(args, fmt);
        vprintf(fmt, args);
        va_end(args);
        printf("]\n");
}
