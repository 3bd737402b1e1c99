/* SPDX-License-Identifier: Apache-2.0
 *
 * word: doubts as an organisation sees them, and what it says of them to a running server.
 *
 * A doubt is named by what it is of: subject, meter, window and number. A word on it has an id of its
 * caller's, and counts once: said again it is found in the store and answered as the first time, also after a
 * restart. What it frees can be spent on this node before it is answered.
 */
#ifndef TK_SERVICE_WORD_H
#define TK_SERVICE_WORD_H

#include "service/actor.h"
#include "service/ledger.h"
#include "service/worker.h"

/* "01a2...-...:usd:day:20779", "...:tokens:every_n_days-10-3:4": printable, and fit for a path. */
#define TK_DOUBT_NAME_MAX 128
void tk_doubt_name_text(const struct tk_doubt *doubt, char out[TK_DOUBT_NAME_MAX + 1]);
/* False: no doubt can have this name. Only what names it is filled in. */
TK_CHECKED bool tk_doubt_name_parse(struct tk_str text, struct tk_doubt *out);

/* One row of a list. */
struct tk_doubt_row {
        const struct tk_doubt *doubt;
        enum tk_subject_kind kind;
        const char *description; /* of a key; otherwise "" */
};
typedef void tk_doubt_row_f(const struct tk_doubt_row *row, void *ctx);
struct tk_doubts_ask {
        struct tk_id org;
        struct tk_id subject;         /* none: all */
        const struct tk_doubt *after; /* the last one that was seen; NULL: from the start */
        unsigned limit;
        int64_t now_ms; /* of windows that have ended nothing counts any longer */
};
/* In the order of the store. *more: there are others after the last. On the worker's thread. */
TK_CHECKED enum tk_err tk_doubts_list(struct tk_worker *worker, const struct tk_doubts_ask *ask,
                                      tk_doubt_row_f *each, void *ctx, bool *more);

struct tk_word {
        struct tk_id org;
        struct tk_str id;   /* the caller's own; any text */
        struct tk_doubt of; /* its name */
        int64_t spent;      /* >= 0; the rest was not */
        int64_t now_ms;
};
struct tk_word_answer {
        /* NOT_FOUND: nothing is in doubt there. RANGE: more than is in doubt. CONFLICT: the id was used for
         * another word. Otherwise a fault, and nothing was done. */
        enum tk_err err;
        bool replayed;
        struct tk_doubt doubt; /* as it was; of OK and RANGE */
};
typedef void tk_word_done_f(void *ctx, const struct tk_word_answer *answer);
/* What it says, and the record of it, are durable when done is called, on the worker's thread, exactly once.
 */
void tk_word_say(struct tk_worker *worker, const struct tk_actor *actor, const struct tk_word *word,
                 tk_word_done_f *done, void *ctx);

#endif
