/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/clock.h"

#include "base/must.h"

static int64_t read_ms(clockid_t id) {
        struct timespec t;
        int rc = clock_gettime(id, &t);
        MUST(rc == 0);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t tk_clock_now_ms(void) {
        return read_ms(CLOCK_REALTIME);
}

int64_t tk_clock_mono_ms(void) {
        return read_ms(CLOCK_MONOTONIC);
}

struct timespec tk_clock_after(unsigned ms) {
        struct timespec t;
        int rc = clock_gettime(CLOCK_MONOTONIC, &t);
        MUST(rc == 0);
        t.tv_sec += ms / 1000;
        t.tv_nsec += (long)(ms % 1000) * 1000000;
        if (t.tv_nsec >= 1000000000) {
                t.tv_sec++;
                t.tv_nsec -= 1000000000;
        }
        return t;
}
