/* SPDX-License-Identifier: Apache-2.0 */
#include "api/dialect.h"

#include "api/dialect_native.h"
#include "api/dialect_openai.h"
#include "api/dialect_portkey.h"
#include "api/dialect_venice.h"

static const struct tk_dialect *const dialects[TK_DIALECT_NR] = {
        [TK_DIALECT_VENICE] = &tk_dialect_venice,   [TK_DIALECT_OPENAI] = &tk_dialect_openai,
        [TK_DIALECT_NATIVE] = &tk_dialect_native,   [TK_DIALECT_PORTKEY] = &tk_dialect_portkey,
        [TK_DIALECT_GATEWAY] = &tk_dialect_gateway,
};

const struct tk_dialect *tk_dialect(enum tk_dialect_id id) {
        MUST(id < TK_DIALECT_NR);
        return dialects[id];
}
