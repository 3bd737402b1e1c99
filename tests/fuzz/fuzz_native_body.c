/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_native_body: bodies of the native API. The first byte picks the reader; the rest is the body. Whatever
 * comes, there are either amounts that a hold may have, or a refusal that is itself one whole JSON object, or
 * a position in the text; and the secret that was read is in none of them.
 */
#include "api/native_body.h"
#include "service/word.h"
#include "wire/json_scan.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char why[TK_CHECK_WHY_MAX];

static void judge(enum tk_err err, const struct tk_buf *refusal) {
        struct tk_json root;
        MUST(err == TK_OK || err == TK_E_RANGE || err == TK_E_SYNTAX || err == TK_E_NO_MEMORY);
        MUST(IMPLIES(err == TK_OK, refusal->len == 0));
        MUST(IMPLIES(err == TK_E_SYNTAX, why[0] != '\0'));
        if (err == TK_E_RANGE) {
                bool whole = tk_json_check(tk_buf_str(refusal), &root, NULL) == TK_OK;
                MUST(whole);
                MUST(root.type == TK_JSON_OBJECT);
        }
}

static enum tk_err authorize(struct tk_str body, struct tk_buf *refusal) {
        static const struct tk_price price = {
                .base = {INT64_C(9000000000), INT64_C(1) << 50, 1, TK_RATE_NONE}};
        struct tk_native_authorize a;
        enum tk_err err = tk_native_read_authorize(body, &a, refusal, why);
        tk_key_text_wipe(&a.key.text);
        if (err != TK_OK)
                return err;
        MUST(tk_hold_name_ok(tk_str_of(a.id)));
        MUST(a.life_ms >= 1000 && a.life_ms <= TK_HOLD_LIFE_S_MAX * 1000);
        err = tk_native_complete(&a, &price, refusal);
        if (err == TK_OK) {
                MUST(tk_hold_amounts_ok(&a.asked) && tk_hold_amounts_ok(&a.least));
                for (int m = 0; m < TK_METER_NR; m++)
                        MUST(a.least.of[m] <= a.asked.of[m]);
        }
        return err;
}

static enum tk_err verify(struct tk_str body, struct tk_buf *refusal) {
        struct tk_native_verify v;
        enum tk_err err = tk_native_read_verify(body, &v, refusal, why);
        tk_key_text_wipe(&v.key.text);
        MUST(IMPLIES(err == TK_OK, tk_hold_amounts_ok(&v.counts)));
        return err;
}

static enum tk_err extend(struct tk_str body, struct tk_buf *refusal) {
        struct tk_holds_more more;
        enum tk_err err = tk_native_read_extend(body, &more, refusal, why);
        if (err == TK_OK) {
                MUST(tk_hold_amounts_ok(&more.most) && tk_hold_amounts_ok(&more.used));
                for (int m = 0; m < TK_METER_NR; m++)
                        MUST(more.least.of[m] <= more.most.of[m]);
        }
        return err;
}

static enum tk_err post(struct tk_str body, struct tk_buf *refusal) {
        struct tk_native_model model;
        struct tk_holds_actual actual;
        enum tk_err err = tk_native_read_post(body, &model, &actual, refusal, why);
        MUST(IMPLIES(err == TK_OK, tk_hold_amounts_ok(&actual.amounts)));
        MUST(IMPLIES(err == TK_OK && model.has_tokens, model.id[0]));
        return err;
}

static enum tk_err word(struct tk_str body, struct tk_buf *refusal) {
        struct tk_native_word w;
        enum tk_err err = tk_native_read_word(body, TK_METER_USD, &w, refusal, why);
        MUST(IMPLIES(err == TK_OK, tk_hold_name_ok(tk_str_of(w.id)) && w.spent >= 0));
        return err;
}

/* No body: the name of a doubt. What is one is written as it was read. */
static enum tk_err name(struct tk_str text, struct tk_buf *refusal) {
        struct tk_doubt doubt;
        char same[TK_DOUBT_NAME_MAX + 1];
        TK_UNUSED(refusal);
        if (!tk_doubt_name_parse(text, &doubt))
                return TK_OK;
        tk_doubt_name_text(&doubt, same);
        MUST(tk_str_is_nocase(text, same)); /* an id may be in upper case */
        return TK_OK;
}

static enum tk_err nothing(struct tk_str body, struct tk_buf *refusal) {
        return tk_native_read_nothing(body, refusal, why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static enum tk_err (*const readers[])(struct tk_str, struct tk_buf *) = {
                authorize, verify, extend, post, nothing, word, name};
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        if (size == 0 || size > TK_NATIVE_BODY_BYTES_MAX)
                return 0;
        why[0] = '\0';
        struct tk_str body = {(const char *)data + 1, size - 1};
        judge(readers[(data[0] + 5u) % 7](body, &refusal), &refusal);
        tk_buf_free(&refusal);
        return 0;
}
