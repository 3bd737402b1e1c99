/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch_probe: runs a fetch, records everything it says, and checks the contract of upstream.h on the way:
 * one head, before any data; no data while paused; one end, last; no callback outside of a run or after
 * a cancel. A probe can be told to cancel, pause or start something at a given callback.
 */
#ifndef TK_TESTS_FETCH_PROBE_H
#define TK_TESTS_FETCH_PROBE_H

#include "base/buf.h"
#include "proxy/upstream.h"

enum probe_at { PROBE_NOWHERE, PROBE_HEAD, PROBE_DATA, PROBE_END };

struct probe {
        struct tk_upstream *up;
        struct tk_fetch *fetch;
        /* what to do */
        enum probe_at cancel_at; /* cancels victim, or itself when that is NULL */
        struct probe *victim;
        enum probe_at let_go_at; /* lets itself go */
        enum probe_at start_at;  /* starts next with the same options */
        struct probe *next;
        bool pause_each; /* pauses in the head and in each piece; probe_run() resumes */
        struct tk_fetch_opt opt;
        /* what was seen */
        int status;
        struct tk_buf headers; /* "name=value|..." */
        struct tk_buf body;
        unsigned heads, pieces, ends;
        size_t piece_max;
        enum tk_fetch_end end;
        bool sent; /* whole, by the end */
        char why[256];
        bool cancelled, paused; /* cancelled: or let go */
};

void probe_init(struct probe *probe, struct tk_upstream *up);
void probe_free(struct probe *probe);
/* Fills in callbacks and starts; asserts success. */
void probe_start(struct probe *probe, const struct tk_fetch_opt *opt);
void probe_cancel(struct probe *probe);
void probe_let_go(struct probe *probe);
void probe_pause(struct probe *probe);
void probe_resume(struct probe *probe);
/* GET url, to its end. */
void probe_get(struct probe *probe, struct tk_upstream *up, const char *url);

typedef bool probe_done_f(void *ctx);
/* Runs the instance as a loop would until done says so; asserts that this is within ms. */
void probe_until(struct tk_upstream *up, probe_done_f *done, void *ctx, unsigned ms);
/* Until the probe's end (resuming it whenever it is paused, if pause_each). */
void probe_run(struct probe *probe, unsigned ms);
/* Runs it once, whether the descriptor is readable or not. */
void probe_now(struct tk_upstream *up);
/* Runs for so long and sees what happens. */
void probe_for(struct tk_upstream *up, unsigned ms);

#endif
