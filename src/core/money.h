/* SPDX-License-Identifier: Apache-2.0
 *
 * money: amounts in nano-units (1e-9 of a dollar, a diem, a vcu) as checked integers.
 *
 * int64_t nano reaches 9,223,372,036.85 units. A cap may be larger (the documented maximum is
 * 9,999,999,999), so caps are uint64_t: see limit.h. There is no floating point anywhere:
 * decimal text goes in and comes out exactly. Pure; any thread.
 */
#ifndef TK_CORE_MONEY_H
#define TK_CORE_MONEY_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"

#define TK_NANO           INT64_C(1000000000)
#define TK_MONEY_TEXT_MAX 24 /* "-9223372036.854775807" and a NUL */

struct tk_money {
        int64_t nano;
};

/* Checked sums: OVERFLOW leaves *out as it was. */
TK_CHECKED enum tk_err tk_money_add(struct tk_money a, struct tk_money b, struct tk_money *out);
TK_CHECKED enum tk_err tk_money_sub(struct tk_money a, struct tk_money b, struct tk_money *out);

/*
 * Decimal text, in the grammar of a JSON number (RFC 8259 section 6: sign, fraction, exponent),
 * to non-negative nano-units. Digits beyond the ninth after the point are cut (toward zero, so a
 * cap is never larger than what was asked). SYNTAX: not a number; RANGE: negative (but "-0" is 0);
 * OVERFLOW: more than UINT64_MAX nano.
 */
TK_CHECKED enum tk_err tk_nano_parse(struct tk_str text, uint64_t *nano);
/* The same, but digits beyond the ninth count as one nano more: for a charge, which is never less than asked.
 */
TK_CHECKED enum tk_err tk_nano_parse_up(struct tk_str text, uint64_t *nano);
/* As tk_nano_parse, limited to int64_t. */
TK_CHECKED enum tk_err tk_money_parse(struct tk_str text, struct tk_money *out);

/* Shortest exact decimal: 0, 5, 0.01, -1.5. Returns its length; out ends in NUL. */
size_t tk_money_text(struct tk_money m, char out[TK_MONEY_TEXT_MAX]);
size_t tk_nano_text(uint64_t nano, char out[TK_MONEY_TEXT_MAX]);
/* Exactly four decimals, rounded half up in magnitude: "10.2424" (venice sheet 0.5). */
size_t tk_money_text4(struct tk_money m, char out[TK_MONEY_TEXT_MAX]);

#endif
