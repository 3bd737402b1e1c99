/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_email: any bytes as an e-mail address. Properties:
 *   (1) the answer is OK, SYNTAX or TOO_BIG; out is written only with OK
 *   (2) what comes out differs from the text in the case of its letters alone
 *   (3) what came out is an address, and its own one form
 *   (4) it has one '@', and nothing that means something to a header or a shell's words
 */
#include "core/user.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const struct tk_str text = {(const char *)data, size};
        char out[TK_EMAIL_MAX + 1] = "untouched", again[TK_EMAIL_MAX + 1];
        const enum tk_err err = tk_email_parse(text, out);
        MUST(err == TK_OK || err == TK_E_SYNTAX || err == TK_E_TOO_BIG); /* (1) */
        if (err != TK_OK) {
                MUST(strcmp(out, "untouched") == 0);
                return 0;
        }
        MUST(strlen(out) == size && size <= TK_EMAIL_MAX);
        MUST(tk_str_is_nocase(text, out)); /* (2) */
        const enum tk_err twice = tk_email_parse(tk_str_of(out), again);
        MUST(twice == TK_OK && strcmp(out, again) == 0); /* (3) */
        MUST(strchr(out, '@') == strrchr(out, '@'));     /* (4) */
        MUST(strcspn(out, " \t\r\n<>()[],;:\\\"") == size);
        return 0;
}
