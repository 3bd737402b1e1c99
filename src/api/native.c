/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native.h"

#include "api/refusal.h"

enum tk_err tk_native_identify(struct tk_api_call *c, struct tk_native_secret *secret,
                               struct tk_snapshot **out) {
        struct tk_str text = {secret->text.at, secret->text.len};
        enum tk_err err = secret->fits ? tk_keys_identify(c->worker, text, out) : TK_E_NOT_FOUND;
        tk_key_text_wipe(&secret->text);
        if (err != TK_OK) {
                *out = NULL;
                return err == TK_E_NOT_FOUND ? TK_OK : err;
        }
        const struct tk_key *key = tk_snapshot_key(*out);
        if (!tk_id_eq(key->org, c->key->org))
                tk_snapshot_release(out);
        else if (tk_key_is_active(key, c->now_ms))
                tk_keys_touch(c->worker, *out, c->now_ms);
        return TK_OK;
}

const struct tk_model *tk_native_model_get(const struct tk_api_call *c, const struct tk_native_model *named) {
        return named->id[0] ? tk_catalog_model_get(tk_worker_catalog(c->worker), tk_str_of(named->id)) : NULL;
}

struct tk_facts tk_native_facts(const struct tk_api_call *c, const struct tk_key *key,
                                const struct tk_native_model *named, const struct tk_model *model,
                                bool priced) {
        struct tk_facts facts = {.key_sent = true,
                                 .key = key,
                                 .now_ms = c->now_ms,
                                 .scope_needed = TK_SCOPE_NONE,
                                 .hold = TK_HOLD_TAKEN};
        if (!named->id[0])
                return facts;
        facts.scope_needed =
                TK_SCOPE_COMPLETIONS_WRITE; /* whoever may not call models is not charged for one */
        facts.model_needed = true;
        facts.model_known = model != NULL;
        facts.model_priced = priced || (model && model->priced);
        facts.model_private = model && model->is_private;
        facts.model_is_text = true; /* text and embedding models count alike (venice sheet 0.3) */
        return facts;
}

void tk_native_write_verdict(struct tk_jw *w, enum tk_verdict verdict, const struct tk_refusal *refusal,
                             int64_t now_ms) {
        tk_jw_key(w, "verdict");
        tk_jw_text(w, tk_verdict_name(verdict));
        if (verdict == TK_VERDICT_PASS)
                return;
        tk_jw_key(w, "detail");
        if (!refusal) {
                tk_jw_text(w, tk_verdict_text(verdict));
                return;
        }
        char room[512];
        struct tk_buf detail = TK_BUF_OVER(room);
        tk_refusal_say(refusal, &detail);
        tk_jw_text(w, tk_buf_ok(&detail) ? detail.at : tk_verdict_text(verdict));
        tk_jw_key(w, "refusal");
        tk_native_write_refusal(w, refusal, now_ms);
}

void tk_native_answer_unknown(struct tk_api_call *c) {
        struct tk_buf body = TK_BUF(TK_NATIVE_ANSWER_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        tk_jw_object(&w);
        tk_native_write_verdict(&w, TK_VERDICT_UNKNOWN_KEY, NULL, c->now_ms);
        tk_jw_end(&w);
        tk_api_reply(c, 200, &body);
}
