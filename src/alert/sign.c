/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/sign.h"

#include "rt/base64.h"
#include "rt/hash.h"

#include <inttypes.h>

#define SIGNED_MAX 65536

static bool key_of(struct tk_str secret, uint8_t key[TK_WEBHOOK_SECRET_MAX], size_t *len) {
        if (tk_str_starts(secret, "whsec_"))
                return tk_base64_read(tk_str_skip(secret, strlen("whsec_")), key, TK_WEBHOOK_SECRET_MAX, len);
        if (secret.len > TK_WEBHOOK_SECRET_MAX)
                return false;
        memcpy(key, secret.len ? secret.at : "", secret.len);
        *len = secret.len;
        return true;
}

bool tk_webhook_secret_ok(struct tk_str secret) {
        uint8_t key[TK_WEBHOOK_SECRET_MAX];
        size_t len = 0;
        bool ok = key_of(secret, key, &len) && len > 0;
        explicit_bzero(key, sizeof key);
        return ok;
}

void tk_webhook_sign(struct tk_str secret, struct tk_str id, int64_t at_s, struct tk_str body,
                     struct tk_buf *out) {
        uint8_t key[TK_WEBHOOK_SECRET_MAX], digest[32];
        char text[TK_BASE64_LEN(sizeof digest) + 1];
        struct tk_buf content = TK_BUF(SIGNED_MAX);
        size_t len = 0;
        bool ok = key_of(secret, key, &len);
        MUST(ok);
        tk_buf_put(&content, id);
        tk_buf_printf(&content, ".%" PRId64 ".", at_s);
        tk_buf_put(&content, body);
        if (tk_buf_ok(&content)) {
                tk_hmac_sha256((struct tk_str){(const char *)key, len}, tk_buf_str(&content), digest);
                tk_base64((struct tk_str){(const char *)digest, sizeof digest}, text);
                tk_buf_printf(out, "v1,%s", text);
        } else {
                out->failed = true;
        }
        explicit_bzero(key, sizeof key);
        tk_buf_free(&content);
}
