/* SPDX-License-Identifier: Apache-2.0
 *
 * meter: names and vector sums. A sum is worked out whole before any of it is stored, so that an
 * overflow in the last meter leaves the first one alone.
 */
#include "core/meter.h"

#include <string.h>

static const char *const names[] = {
        [TK_METER_USD] = "usd",           [TK_METER_DIEM] = "diem",     [TK_METER_VCU] = "vcu",
        [TK_METER_REQUESTS] = "requests", [TK_METER_TOKENS] = "tokens",
};
_Static_assert(sizeof names / sizeof *names == TK_METER_NR, "every meter has a name");

const char *tk_meter_name(enum tk_meter meter) {
        MUST((unsigned)meter < TK_METER_NR);
        return names[meter];
}

bool tk_meter_parse(struct tk_str name, enum tk_meter *out) {
        for (unsigned i = 0; i < TK_METER_NR; i++)
                if (tk_str_is(name, names[i])) {
                        *out = (enum tk_meter)i;
                        return true;
                }
        return false;
}

bool tk_meter_is_money(enum tk_meter meter) {
        MUST((unsigned)meter < TK_METER_NR);
        return meter == TK_METER_USD || meter == TK_METER_DIEM || meter == TK_METER_VCU;
}

enum tk_err tk_amounts_add(struct tk_amounts *to, const struct tk_amounts *more) {
        struct tk_amounts sum;
        for (unsigned i = 0; i < TK_METER_NR; i++)
                if (__builtin_add_overflow(to->of[i], more->of[i], &sum.of[i]))
                        return TK_E_OVERFLOW;
        *to = sum;
        return TK_OK;
}

enum tk_err tk_amounts_sub(struct tk_amounts *from, const struct tk_amounts *less) {
        struct tk_amounts rest;
        for (unsigned i = 0; i < TK_METER_NR; i++)
                if (__builtin_sub_overflow(from->of[i], less->of[i], &rest.of[i]))
                        return TK_E_OVERFLOW;
        *from = rest;
        return TK_OK;
}

struct tk_amounts tk_amounts_beyond(const struct tk_amounts *to, const struct tk_amounts *from) {
        struct tk_amounts beyond = {{0}};
        for (unsigned i = 0; i < TK_METER_NR; i++)
                if (to->of[i] > from->of[i])
                        beyond.of[i] = to->of[i] - from->of[i];
        return beyond;
}

bool tk_amounts_none(const struct tk_amounts *amounts) {
        static const struct tk_amounts none;
        return memcmp(amounts, &none, sizeof none) == 0;
}

enum tk_meter tk_spend_currency(const struct tk_spend_order *order, unsigned try) {
        MUST(order->nr > 0);
        return order->of[try % order->nr];
}

bool tk_spend_wants_all(const struct tk_spend_order *order, unsigned try) {
        return order->nr > 1 && try < order->nr;
}

bool tk_spend_goes_on(const struct tk_spend_order *order, unsigned try) {
        return order->nr > 1 && try + 1 < 2 * order->nr;
}
