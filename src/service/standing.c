/* SPDX-License-Identifier: Apache-2.0 */
#include "service/standing.h"

#include "core/time.h"
#include "service/account.h"

unsigned tk_standing_of(struct tk_worker *worker, const struct tk_snapshot *snapshot, int64_t now_ms,
                        struct tk_standing out[TK_KEY_LIMITS_MAX]) {
        const struct tk_key *key = tk_snapshot_key(snapshot);
        struct tk_account *account = tk_snapshot_account(snapshot);
        int64_t now_s = tk_floor_div(now_ms, 1000), clock_s = atomic_load(&worker->service->clock_s);
        int64_t at_s = now_s > clock_s ? now_s : clock_s; /* as the ledger sees it */
        tk_lock(&account->lock);
        for (unsigned i = 0; i < key->limits_nr; i++) {
                const struct tk_limit *limit = &key->limits[i];
                struct tk_count count = {0};
                int64_t doubt = 0;
                bool known = tk_account_count(account, limit, at_s, now_ms, &count, &doubt);
                int64_t number = tk_window_number(limit->window, at_s);
                out[i] = (struct tk_standing){.limit = *limit,
                                              .turns_s = tk_window_end_s(limit->window, number),
                                              .known = known,
                                              .posted = count.posted,
                                              .held = count.held,
                                              .left = tk_limit_left(limit->cap, &count),
                                              .doubt = doubt};
        }
        tk_unlock(&account->lock);
        return key->limits_nr;
}
