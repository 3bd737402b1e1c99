/* SPDX-License-Identifier: Apache-2.0
 *
 * meter: what can be counted, and a vector with one amount for each.
 *
 * Money meters (usd, diem, vcu) are in nano-units; requests and tokens are plain counts.
 * The numbers are stored on disk: append only.
 */
#ifndef TK_CORE_METER_H
#define TK_CORE_METER_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"

enum tk_meter {
        TK_METER_USD,
        TK_METER_DIEM,
        TK_METER_VCU,
        TK_METER_REQUESTS,
        TK_METER_TOKENS,
        TK_METER_NR
} TK_SMALL;

struct tk_amounts {
        int64_t of[TK_METER_NR];
};

/* Currencies in the order in which they pay: a call is charged to the first of them that can pay for it. */
struct tk_spend_order {
        unsigned nr; /* of `of`, each once; 0: not said */
        enum tk_meter of[3];
};

const char *tk_meter_name(enum tk_meter meter); /* "usd", ... */
TK_CHECKED bool tk_meter_parse(struct tk_str name, enum tk_meter *out);
bool tk_meter_is_money(enum tk_meter meter);
/* Checked vector sums; on OVERFLOW *to is unchanged. */
TK_CHECKED enum tk_err tk_amounts_add(struct tk_amounts *to, const struct tk_amounts *more);
TK_CHECKED enum tk_err tk_amounts_sub(struct tk_amounts *from, const struct tk_amounts *less);
/* What `to` has more than `from`, of each meter; neither has a negative amount. */
struct tk_amounts tk_amounts_beyond(const struct tk_amounts *to, const struct tk_amounts *from);
bool tk_amounts_none(const struct tk_amounts *amounts); /* all are zero */

/*
 * Who pays, try by try (0, 1, 2 ...): each currency of the order is asked for the whole, so that no answer is
 * cut short in one while there is enough of another; then each for whatever it can. One alone is asked once.
 */
enum tk_meter tk_spend_currency(const struct tk_spend_order *order, unsigned try);
bool tk_spend_wants_all(const struct tk_spend_order *order, unsigned try);
bool tk_spend_goes_on(const struct tk_spend_order *order, unsigned try); /* is there a try after it? */

#endif
