/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_api_body: bodies of the key routes. The first byte picks the reader (create, update, delete); the rest
 * is the body. Whatever comes, there is either a record that every store would take, or a refusal that is
 * itself one whole JSON object, or a position in the text.
 */
#include "api/venice_body.h"
#include "wire/json_scan.h"

#include <string.h>

#define NOW INT64_C(1795262400000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A record as complete as the service makes it, so that the store's own rule can judge it. */
static void complete(struct tk_key *key) {
        key->id.b[15] = 1;
        key->org.b[15] = 2;
        key->workspace.b[15] = 3;
        key->created_ms = NOW;
        memset(key->digest, 1, sizeof(key->digest));
        memcpy(key->last6, "abcdef", sizeof(key->last6));
}

static void judge(enum tk_err err, const struct tk_buf *refusal, const struct tk_venice_why *why) {
        struct tk_json root;
        MUST(err == TK_OK || err == TK_E_RANGE || err == TK_E_SYNTAX || err == TK_E_NO_MEMORY);
        MUST(IMPLIES(err == TK_OK, refusal->len == 0));
        MUST(IMPLIES(err == TK_E_SYNTAX, why->text[0] != '\0'));
        if (err == TK_E_RANGE) {
                bool whole = tk_json_check(tk_buf_str(refusal), &root, NULL) == TK_OK;
                MUST(whole);
                MUST(root.type == TK_JSON_OBJECT);
        }
}

static enum tk_err create(struct tk_str body, struct tk_buf *refusal, struct tk_venice_why *why) {
        struct tk_key key;
        enum tk_err err = tk_venice_read_create(body, NOW, &key, refusal, why);
        if (err == TK_OK) {
                complete(&key);
                MUST(tk_key_ok(&key));
                MUST(key.expires_ms == 0 || key.expires_ms > NOW);
        }
        return err;
}

static enum tk_err update(struct tk_str body, struct tk_buf *refusal, struct tk_venice_why *why) {
        struct tk_venice_edit edit;
        struct tk_key key = {
                .period = TK_WINDOW_DAY, .limits_nr = 2, .scopes = tk_scopes_of_kind(TK_KIND_INFERENCE)};
        enum tk_err err = tk_venice_read_edit(body, NOW, &edit, refusal, why);
        if (err == TK_OK) {
                complete(&key);
                key.limits[0] = (struct tk_limit){.window = {.kind = TK_WINDOW_DAY}, .cap = 5};
                key.limits[1] = (struct tk_limit){
                        .window = {.kind = TK_WINDOW_MONTH}, .meter = TK_METER_DIEM, .cap = 7};
                bool applied = tk_venice_edit_apply(&edit, &key) == TK_OK;
                MUST(applied);
                MUST(tk_key_ok(&key));
        }
        return err;
}

static enum tk_err delete (struct tk_str body, struct tk_buf *refusal, struct tk_venice_why *why) {
        struct tk_id id; bool id_ok;
        return tk_venice_read_delete(body, false, true, (struct tk_str){0}, &id_ok, &id, refusal, why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static enum tk_err (*const readers[])(struct tk_str, struct tk_buf *,
                                              struct tk_venice_why *) = {create, update, delete};
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        struct tk_venice_why why = {{0}};
        if (size == 0 || size > TK_VENICE_BODY_BYTES_MAX)
                return 0;
        struct tk_str body = {(const char *)data + 1, size - 1};
        judge(readers[data[0] % 3](body, &refusal, &why), &refusal, &why);
        tk_buf_free(&refusal);
        return 0;
}
