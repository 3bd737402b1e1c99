/* SPDX-License-Identifier: Apache-2.0
 *
 * store_front: what the files of the front (store.c, people.c, audit.c) share.
 */
#ifndef TK_STORE_STORE_FRONT_H
#define TK_STORE_STORE_FRONT_H

#include "core/time.h"
#include "rt/log.h"
#include "store/store_int.h"

/* A refusal of a row on its way down: the caller has a gap, so it is told and logged. */
static inline enum tk_err refuse(enum tk_err err, const char *what) {
        tk_log(TK_ERROR, TK_STORE_AREA, "refused to write %s: %s", what, tk_err_text(err));
        return err;
}

/* A row on its way up that is not sound. */
static inline enum tk_err damaged(const char *what, struct tk_id id) {
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, text);
        tk_log(TK_ERROR, TK_STORE_AREA, "%s %s is stored damaged and is not used", what, text);
        return TK_E_CORRUPT;
}

static inline bool time_ok(int64_t ms) {
        return ms >= 0 && ms <= TK_TIME_MS_MAX;
}

/* MUST be in a batch; the fault that broke it, if any. */
static inline enum tk_err in_batch(const struct tk_store *store) {
        MUST(store->batch != TK_BATCH_NONE);
        return store->broken;
}

#endif
