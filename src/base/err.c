/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

static const char *const texts[TK_E_NR] = {
        [TK_OK] = "success",
#define TK_ERR(name, text) [TK_E_##name] = text,
#include "err.tbl"
};

static const char *const names[TK_E_NR] = {
        [TK_OK] = "OK",
#define TK_ERR(name, text) [TK_E_##name] = #name,
#include "err.tbl"
};

const char *tk_err_text(enum tk_err err) {
        return (unsigned)err < TK_E_NR ? texts[err] : "unknown error";
}

const char *tk_err_name(enum tk_err err) {
        return (unsigned)err < TK_E_NR ? names[err] : "UNKNOWN";
}
