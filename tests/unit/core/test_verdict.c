/* SPDX-License-Identifier: Apache-2.0
 *
 * verdict: each refusal alone, then every combination of facts against the plain statement that the
 * first refusal of the table that applies is the answer.
 */
#include "core/verdict.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <string.h>

#include "../../../src/core/verdict.c" /* for the ladder */

#define NOW INT64_C(1800000000000)

static struct tk_key some_key(enum tk_privacy privacy) {
        return (struct tk_key){
                .id = {{1}},
                .privacy = privacy,
                .scopes = tk_scopes_of_kind(TK_KIND_INFERENCE),
        };
}

static struct tk_facts a_chat_call(const struct tk_key *key) {
        return (struct tk_facts){
                .key_sent = true,
                .key = key,
                .now_ms = NOW,
                .scope_needed = TK_SCOPE_COMPLETIONS_WRITE,
                .model_needed = true,
                .model_known = true,
                .model_priced = true,
                .model_is_text = true,
                .hold = TK_HOLD_TAKEN,
        };
}

static void expect(const char *name, const struct tk_facts *facts, enum tk_verdict want) {
        enum tk_verdict got = tk_verdict_decide(facts);
        if (got != want)
                WRONG("%s: %s and not %s", name, tk_verdict_name(got), tk_verdict_name(want));
}

static void the_ladder_is_the_table(void **state) {
        (void)state;
        assert_int_equal(TK_VERDICT_PASS, 0);
        assert_int_equal(RUNGS_NR, TK_VERDICT_NR - 1);
        for (size_t i = 0; i < RUNGS_NR; i++)
                assert_int_equal(ladder[i].verdict, i + 1);
}

static void each_refusal_alone(void **state) {
        struct tk_key key = some_key(TK_PRIVACY_ALL), private_only = some_key(TK_PRIVACY_PRIVATE_ONLY);
        struct tk_key revoked_key = key, expired_key = key;
        struct tk_facts facts = a_chat_call(&key);
        (void)state;
        revoked_key.revoked_ms = NOW;
        expired_key.expires_ms = NOW;
        expect("all is well", &facts, TK_VERDICT_PASS);
        facts.hold = TK_HOLD_UNTRIED;
        expect("before the hold", &facts, TK_VERDICT_PASS);
        facts = a_chat_call(&key);
        facts.key_sent = false;
        expect("no key", &facts, TK_VERDICT_NO_KEY);
        facts = a_chat_call(NULL);
        expect("an unknown key", &facts, TK_VERDICT_UNKNOWN_KEY);
        facts = a_chat_call(&revoked_key);
        expect("a revoked key", &facts, TK_VERDICT_REVOKED);
        facts = a_chat_call(&expired_key);
        expect("an expired key", &facts, TK_VERDICT_EXPIRED);
        facts.now_ms = NOW - 1;
        expect("a millisecond before", &facts, TK_VERDICT_PASS);
        facts = a_chat_call(&key);
        facts.scope_needed = TK_SCOPE_KEYS_WRITE;
        expect("a route for others", &facts, TK_VERDICT_SCOPE);
        facts = a_chat_call(&key);
        facts.model_known = false;
        expect("an unknown model", &facts, TK_VERDICT_MODEL_UNKNOWN);
        facts = a_chat_call(&key);
        facts.model_priced = false;
        expect("a model without a price", &facts, TK_VERDICT_MODEL_UNPRICED);
        facts = a_chat_call(&private_only);
        expect("an anonymous model", &facts, TK_VERDICT_MODEL_PRIVACY);
        facts = a_chat_call(&key);
        facts.hold = TK_HOLD_NO_RATE;
        expect("too fast", &facts, TK_VERDICT_RATE);
        facts.hold = TK_HOLD_NO_BALANCE;
        expect("not paid for", &facts, TK_VERDICT_BALANCE);
        facts.hold = TK_HOLD_NO_CAP;
        expect("too dear", &facts, TK_VERDICT_CAP);
        facts.hold = TK_HOLD_NO_STORE;
        expect("no ledger", &facts, TK_VERDICT_STORE);
}

/* The table of the venice sheet, section 0.3. */
static void privacy_of_models(void **state) {
        static const struct {
                const char *name;
                enum tk_privacy privacy;
                bool model_private, model_is_text, pass;
        } rows[] = {
                {"all: anonymous text", TK_PRIVACY_ALL, false, true, true},
                {"all: anonymous image", TK_PRIVACY_ALL, false, false, true},
                {"all: private text", TK_PRIVACY_ALL, true, true, true},
                {"private text: anonymous text", TK_PRIVACY_PRIVATE_TEXT, false, true, false},
                {"private text: private text", TK_PRIVACY_PRIVATE_TEXT, true, true, true},
                {"private text: anonymous image", TK_PRIVACY_PRIVATE_TEXT, false, false, true},
                {"private text: private image", TK_PRIVACY_PRIVATE_TEXT, true, false, true},
                {"private only: anonymous text", TK_PRIVACY_PRIVATE_ONLY, false, true, false},
                {"private only: anonymous image", TK_PRIVACY_PRIVATE_ONLY, false, false, false},
                {"private only: private text", TK_PRIVACY_PRIVATE_ONLY, true, true, true},
                {"private only: private image", TK_PRIVACY_PRIVATE_ONLY, true, false, true},
                {"an unknown setting is no free pass", TK_PRIVACY_NR, false, false, false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_key key = some_key(rows[i].privacy);
                struct tk_facts facts = a_chat_call(&key);
                facts.model_private = rows[i].model_private;
                facts.model_is_text = rows[i].model_is_text;
                expect(rows[i].name, &facts, rows[i].pass ? TK_VERDICT_PASS : TK_VERDICT_MODEL_PRIVACY);
                facts.model_needed = false;
                expect("no model is called", &facts, TK_VERDICT_PASS);
        }
}

static void a_route_that_needs_no_right(void **state) {
        struct tk_key key = some_key(TK_PRIVACY_ALL);
        struct tk_facts facts = {.key_sent = true, .key = &key, .scope_needed = TK_SCOPE_NONE};
        (void)state;
        memset(&key.scopes, 0, sizeof key.scopes);
        expect("a key without rights", &facts, TK_VERDICT_PASS);
        facts.scope_needed = TK_SCOPE_MODELS_READ;
        expect("and a route with one", &facts, TK_VERDICT_SCOPE);
}

/* Which refusals apply, each looked at by itself; what needs a key applies only when there is one. */
static enum tk_verdict naive(const struct tk_facts *f) {
        bool applies[TK_VERDICT_NR] = {false};
        applies[TK_VERDICT_NO_KEY] = !f->key_sent;
        applies[TK_VERDICT_UNKNOWN_KEY] = f->key == NULL;
        if (f->key) {
                enum tk_privacy privacy = f->key->privacy;
                bool bound = privacy == TK_PRIVACY_PRIVATE_ONLY ||
                             (privacy == TK_PRIVACY_PRIVATE_TEXT && f->model_is_text);
                applies[TK_VERDICT_REVOKED] = f->key->revoked_ms > 0;
                applies[TK_VERDICT_EXPIRED] = f->key->expires_ms > 0 && f->key->expires_ms <= f->now_ms;
                applies[TK_VERDICT_SCOPE] = f->scope_needed == TK_SCOPE_KEYS_READ;
                applies[TK_VERDICT_MODEL_PRIVACY] = f->model_needed && bound && !f->model_private;
        }
        applies[TK_VERDICT_MODEL_UNKNOWN] = f->model_needed && !f->model_known;
        applies[TK_VERDICT_MODEL_UNPRICED] = f->model_needed && !f->model_priced;
        applies[TK_VERDICT_RATE] = f->hold == TK_HOLD_NO_RATE;
        applies[TK_VERDICT_BALANCE] = f->hold == TK_HOLD_NO_BALANCE;
        applies[TK_VERDICT_CAP] = f->hold == TK_HOLD_NO_CAP;
        applies[TK_VERDICT_STORE] = f->hold == TK_HOLD_NO_STORE;
        for (int i = 0; i < TK_VERDICT_NR; i++)
                if (applies[i])
                        return (enum tk_verdict)i;
        return TK_VERDICT_PASS;
}

static void every_combination(void **state) {
        int seen[TK_VERDICT_NR] = {0};
        (void)state;
        for (unsigned bits = 0; bits < 1u << 10; bits++)
                for (int privacy = 0; privacy < TK_PRIVACY_NR; privacy++)
                        for (int hold = TK_HOLD_UNTRIED; hold <= TK_HOLD_NO_STORE; hold++) {
                                struct tk_key key = some_key((enum tk_privacy)privacy);
                                key.revoked_ms = bits & 1 ? NOW - 5 : 0;
                                key.expires_ms = bits & 2 ? NOW - 5 : bits & 4 ? NOW + 5 : 0;
                                struct tk_facts facts = {
                                        .key_sent = bits & 8,
                                        .key = bits & 16 ? &key : NULL,
                                        .now_ms = NOW,
                                        .scope_needed =
                                                bits & 32 ? TK_SCOPE_KEYS_READ : TK_SCOPE_COMPLETIONS_WRITE,
                                        .model_needed = bits & 64,
                                        .model_known = bits & 128,
                                        .model_priced = bits & 256,
                                        .model_private = bits & 512,
                                        .hold = (enum tk_hold_answer)hold,
                                };
                                for (int text = 0; text < 2; text++) {
                                        facts.model_is_text = text;
                                        expect("a combination", &facts, naive(&facts));
                                        seen[tk_verdict_decide(&facts)]++;
                                }
                        }
        for (int i = 0; i < TK_VERDICT_NR; i++)
                if (seen[i] == 0)
                        WRONG("%s was never the answer", tk_verdict_name((enum tk_verdict)i));
}

static void names_and_texts_are_whole_and_distinct(void **state) {
        (void)state;
        assert_string_equal(tk_verdict_name(TK_VERDICT_PASS), "pass");
        assert_string_equal(tk_verdict_name(TK_VERDICT_MODEL_UNPRICED), "model_unpriced");
        assert_string_equal(tk_verdict_text(TK_VERDICT_NO_KEY), "no API key was sent");
        for (int i = 0; i < TK_VERDICT_NR; i++) {
                assert_true(strlen(tk_verdict_name((enum tk_verdict)i)) > 0);
                assert_true(strlen(tk_verdict_text((enum tk_verdict)i)) > 0);
                for (int j = 0; j < i; j++) {
                        assert_string_not_equal(tk_verdict_name((enum tk_verdict)i),
                                                tk_verdict_name((enum tk_verdict)j));
                        assert_string_not_equal(tk_verdict_text((enum tk_verdict)i),
                                                tk_verdict_text((enum tk_verdict)j));
                }
        }
}

static void what_is_outside_is_a_bug(void **state) {
        struct tk_key key = some_key(TK_PRIVACY_ALL);
        struct tk_facts hold = a_chat_call(&key), needed = hold;
        (void)state;
        hold.hold = (enum tk_hold_answer)(TK_HOLD_NO_STORE + 1);
        needed.scope_needed = TK_SCOPE_NR;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_verdict_decide(&hold));
        expect_assert_failure(tk_verdict_decide(&needed));
        expect_assert_failure(tk_verdict_name(TK_VERDICT_NR));
        expect_assert_failure(tk_verdict_text(TK_VERDICT_NR));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(the_ladder_is_the_table),  TEST(each_refusal_alone),
                TEST(privacy_of_models),        TEST(a_route_that_needs_no_right),
                TEST(every_combination),        TEST(names_and_texts_are_whole_and_distinct),
                TEST(what_is_outside_is_a_bug),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
