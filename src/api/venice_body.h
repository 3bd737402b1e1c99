/* SPDX-License-Identifier: Apache-2.0
 *
 * venice_body: the request bodies of /api/v1/api_keys, from bytes to what they ask for (venice sheet 0
 * and 1). No I/O, no service; any thread. Every body is closed, and so is consumptionLimit: a limit whose
 * name nobody knows must not turn into no limit at all.
 *
 * Each reader returns TK_OK, or RANGE with `refusal` holding the 400 answer in the validation form, or SYNTAX
 * with why it is no JSON in `why`, or NO_MEMORY.
 */
#ifndef TK_API_VENICE_BODY_H
#define TK_API_VENICE_BODY_H

#include "api/check.h"
#include "core/key.h"

#define TK_VENICE_BODY_BYTES_MAX  65536 /* of any of these bodies; a good one has a few hundred */
#define TK_VENICE_LIMIT_UNITS_MAX UINT64_C(9999999999)
#define TK_VENICE_MONEY_NR        3 /* usd, diem, vcu: the first meters */

struct tk_venice_edit {
        bool id_ok; /* false: no id of ours has this form, so it is unknown */
        struct tk_id id;
        bool has_description, has_privacy, has_period, has_expires;
        char description[TK_DESCRIPTION_BYTES_MAX + 1];
        enum tk_privacy privacy;
        enum tk_window_kind period;
        int64_t expires_ms;                     /* 0: never */
        enum tk_seen limit[TK_VENICE_MONEY_NR]; /* ABSENT keeps, NULL removes, GOOD sets */
        uint64_t cap[TK_VENICE_MONEY_NR];
};

struct tk_venice_why {
        char text[TK_CHECK_WHY_MAX];
};

/* Fills kind, scopes, description, privacy, period, limits and expires_ms of the draft. */
TK_CHECKED enum tk_err tk_venice_read_create(struct tk_str body, int64_t now_ms, struct tk_key *draft,
                                             struct tk_buf *refusal, struct tk_venice_why *why);
TK_CHECKED enum tk_err tk_venice_read_edit(struct tk_str body, int64_t now_ms, struct tk_venice_edit *edit,
                                           struct tk_buf *refusal, struct tk_venice_why *why);
/*
 * The id of a DELETE: from the query (given: its first value, in query_id) or the body, which may be empty.
 * Both are fine when they say the same. *id_ok as above.
 */
TK_CHECKED enum tk_err tk_venice_read_delete(struct tk_str body, bool query_given, bool query_same,
                                             struct tk_str query_id, bool *id_ok, struct tk_id *id,
                                             struct tk_buf *refusal, struct tk_venice_why *why);

/* Applies the edit to a record. A new period moves every money limit of the old one. TOO_BIG: no room for a
 * limit. */
TK_CHECKED enum tk_err tk_venice_edit_apply(const struct tk_venice_edit *edit, struct tk_key *key);

#endif
