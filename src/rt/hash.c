/* SPDX-License-Identifier: Apache-2.0
 *
 * Uses the block functions of OpenSSL and not EVP: EVP fetches an implementation and allocates a
 * context for each digest, so it is slower for a key of 60 bytes and can fail in the middle of a
 * request. These work on the stack, use the same machine code, and cannot fail. They are marked as
 * deprecated since 3.0, which is answered here and nowhere else.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "rt/hash.h"

#include "base/must.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

void tk_sha256(struct tk_str bytes, uint8_t out[32]) {
        SHA256_CTX ctx;
        int ok = SHA256_Init(&ctx);
        if (bytes.len)
                ok &= SHA256_Update(&ctx, bytes.at, bytes.len);
        ok &= SHA256_Final(out, &ctx);
        MUST(ok == 1);
        OPENSSL_cleanse(&ctx, sizeof ctx); /* what was hashed may be a secret */
}

void tk_hmac_sha256(struct tk_str key, struct tk_str bytes, uint8_t out[32]) {
        uint8_t block[64] = {0}, inner[32];
        SHA256_CTX ctx;
        if (key.len > sizeof block)
                tk_sha256(key, block);
        else if (key.len)
                memcpy(block, key.at, key.len);
        for (int pass = 0; pass < 2; pass++) {
                uint8_t pad[sizeof block];
                for (size_t i = 0; i < sizeof pad; i++)
                        pad[i] = block[i] ^ (pass ? 0x5C : 0x36);
                int ok = SHA256_Init(&ctx);
                ok &= SHA256_Update(&ctx, pad, sizeof pad);
                if (pass)
                        ok &= SHA256_Update(&ctx, inner, sizeof inner);
                else if (bytes.len)
                        ok &= SHA256_Update(&ctx, bytes.at, bytes.len);
                ok &= SHA256_Final(pass ? out : inner, &ctx);
                MUST(ok == 1);
                OPENSSL_cleanse(pad, sizeof pad);
        }
        OPENSSL_cleanse(&ctx, sizeof ctx);
        OPENSSL_cleanse(block, sizeof block);
        OPENSSL_cleanse(inner, sizeof inner);
}
