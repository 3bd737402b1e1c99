/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/measure.h"

#include "cli/output.h"

#include <stdio.h>

bool tk_meter_read(const char *text, enum tk_meter *out) {
        char said[64];
        if (tk_meter_parse(tk_str_of(text), out))
                return true;
        tk_misuse("--meter %s: expects usd, diem, vcu, requests or tokens",
                  tk_printable(text, said, sizeof said));
        return false;
}

bool tk_window_read(const char *text, struct tk_window_spec *out) {
        char said[64];
        if (tk_window_spec_parse(tk_str_of(text), out))
                return true;
        tk_misuse("--window %s: expects second, minute, hour, day, week, month, lifetime, flight or, in "
                  "quotes, \"every N days\" with N from 1 to 65535",
                  tk_printable(text, said, sizeof said));
        return false;
}

const char *tk_window_text(struct tk_window_spec window, char out[TK_WINDOW_TEXT]) {
        if (window.kind == TK_WINDOW_EVERY_N_DAYS)
                snprintf(out, TK_WINDOW_TEXT, "every %u days", (unsigned)window.days);
        else
                tk_str_copy(tk_str_of(tk_window_kind_name(window.kind)), out, TK_WINDOW_TEXT);
        return out;
}

void tk_amount_json(struct tk_jw *w, const char *name, enum tk_meter meter, const char *text) {
        tk_jw_key(w, name);
        if (!text[0])
                tk_jw_null(w);
        else if (tk_meter_is_money(meter))
                tk_jw_text(w, text);
        else
                tk_jw_raw(w, tk_str_of(text));
}
