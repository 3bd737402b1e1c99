/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native_body.h"

#include "api/dialect_native.h"

#include <string.h>

#define BIT(meter) (1u << TK_METER_##meter)
#define MONEY      (BIT(USD) | BIT(DIEM) | BIT(VCU))
#define COUNTS     (BIT(REQUESTS) | BIT(TOKENS))

/* ---- pieces ---- */

static bool open_body(struct tk_str body, struct tk_check **check, struct tk_check_object *root, char *why,
                      enum tk_err *err) {
        *err = tk_check_open(body, check, why);
        return *err == TK_OK && tk_check_root(*check, root);
}

/* Renders the issues, if there are any, and frees the check. */
TK_CHECKED static enum tk_err finish(struct tk_check *check, struct tk_buf *refusal) {
        enum tk_err err = TK_OK;
        if (!tk_check_ok(check)) {
                tk_native_render_issues(tk_check_issues(check), refusal);
                err = tk_buf_ok(refusal) ? TK_E_RANGE : TK_E_NO_MEMORY;
        }
        tk_check_free(&check);
        return err;
}

static void say(struct tk_check *check, const char *name, const char *message) {
        tk_issue_say(tk_check_issues(check), (struct tk_issue_path){{name}}, "custom", message);
}

static uint64_t units_max(enum tk_meter meter) {
        return (uint64_t)(tk_meter_is_money(meter) ? TK_HOLD_MONEY_MAX / TK_NANO : TK_HOLD_COUNT_MAX);
}

/* The object `name` with amounts of `meters`; what it names is overwritten in *amounts. False: it is absent.
 */
static bool read_amounts(struct tk_check *check, struct tk_check_object *root, const char *name,
                         unsigned meters, unsigned *named, struct tk_amounts *amounts) {
        struct tk_check_object in;
        enum tk_seen seen = tk_check_object(check, root, name, 0, &in);
        if (seen != TK_SEEN_GOOD)
                return seen != TK_SEEN_ABSENT;
        for (unsigned m = 0; m < TK_METER_NR; m++) {
                enum tk_meter meter = (enum tk_meter)m;
                uint64_t amount;
                if (!(meters & 1u << m) || tk_check_amount(check, &in, tk_meter_name(meter), TK_CHECK_CHARGE,
                                                           meter, units_max(meter), &amount) != TK_SEEN_GOOD)
                        continue;
                amounts->of[m] = (int64_t)amount;
                *named |= 1u << m;
        }
        tk_check_closed(check, &in);
        return true;
}

static void read_secret(struct tk_check *check, struct tk_check_object *root, struct tk_native_secret *out) {
        struct tk_str text;
        if (tk_check_secret(check, root, "key", TK_CHECK_REQUIRED, &text) != TK_SEEN_GOOD)
                return;
        out->fits = tk_str_copy(text, out->text.at, sizeof out->text.at);
        out->text.len = out->fits ? text.len : 0;
}

static void read_model(struct tk_check *check, struct tk_check_object *root, struct tk_native_model *out) {
        struct tk_str text;
        if (tk_check_text(check, root, "model", 0, TK_MODEL_NAME_MAX, &text) != TK_SEEN_GOOD)
                return;
        if (text.len == 0)
                say(check, "model", "String must not be empty");
        else if (!tk_str_copy(text, out->id, sizeof out->id))
                tk_issue_text_long(tk_check_issues(check), (struct tk_issue_path){{"model"}},
                                   TK_MODEL_NAME_MAX);
}

static enum tk_seen read_count(struct tk_check *check, struct tk_check_object *in, const char *name,
                               uint64_t most, uint64_t *out) {
        return tk_check_amount(check, in, name, 0, TK_METER_TOKENS, most, out);
}

/* Both or none, and of a model. */
static void read_tokens(struct tk_check *check, struct tk_check_object *root, struct tk_native_model *out) {
        enum tk_seen input = read_count(check, root, "input_tokens", TK_TOKENS_MAX, &out->tokens.input);
        enum tk_seen output = read_count(check, root, "output_tokens", TK_TOKENS_MAX, &out->tokens.output);
        if (input == TK_SEEN_ABSENT && output == TK_SEEN_ABSENT)
                return;
        out->has_tokens = true;
        if (input == TK_SEEN_ABSENT)
                say(check, "input_tokens", "Required with output_tokens");
        if (output == TK_SEEN_ABSENT)
                say(check, "output_tokens", "Required with input_tokens");
        if (!out->id[0])
                say(check, "model", "Required with input_tokens and output_tokens");
}

static bool is_at_most(const struct tk_amounts *a, const struct tk_amounts *b, enum tk_meter *bad) {
        for (unsigned m = 0; m < TK_METER_NR; m++)
                if (a->of[m] > b->of[m]) {
                        *bad = (enum tk_meter)m;
                        return false;
                }
        return true;
}

static void take_others(struct tk_amounts *to, unsigned named, const struct tk_amounts *from) {
        for (unsigned m = 0; m < TK_METER_NR; m++)
                if (!(named & 1u << m))
                        to->of[m] = from->of[m];
}

static void say_meter(struct tk_issues *issues, const char *name, enum tk_meter meter, const char *message) {
        tk_issue_say(issues, (struct tk_issue_path){{name, tk_meter_name(meter)}}, "custom", message);
}

/* ---- authorize ---- */

static void read_id(struct tk_check *check, struct tk_check_object *root, char out[TK_HOLD_NAME_MAX + 1]) {
        struct tk_str text;
        if (tk_check_text(check, root, "id", TK_CHECK_REQUIRED, 0, &text) != TK_SEEN_GOOD)
                return;
        if (!tk_hold_name_ok(text))
                say(check, "id", "Must be 1 to 128 characters of A-Z a-z 0-9 . _ : -");
        else
                (void)tk_str_copy(text, out, TK_HOLD_NAME_MAX + 1);
}

static void read_life(struct tk_check *check, struct tk_check_object *root, int64_t *life_ms) {
        uint64_t seconds = TK_NATIVE_LIFE_S;
        if (read_count(check, root, "expires_in", TK_HOLD_LIFE_S_MAX, &seconds) == TK_SEEN_GOOD &&
            seconds == 0)
                tk_issue_number_small(tk_check_issues(check), (struct tk_issue_path){{"expires_in"}}, 1);
        *life_ms = (int64_t)seconds * 1000;
}

/* What is priced by its tokens has no other price, and a model without either none at all. */
static void check_price(struct tk_check *check, const struct tk_native_authorize *a, unsigned counts_named) {
        if (a->model.has_tokens && a->has_cost)
                say(check, "cost", "Give either a cost or input_tokens and output_tokens, not both");
        if (a->model.has_tokens && counts_named & BIT(TOKENS))
                say_meter(tk_check_issues(check), "amounts", TK_METER_TOKENS,
                          "Give either this or input_tokens and output_tokens, not both");
        if (a->model.id[0] && !a->model.has_tokens && !a->has_cost)
                say(check, "model", "A model needs input_tokens and output_tokens, or a cost");
}

enum tk_err tk_native_read_authorize(struct tk_str body, struct tk_native_authorize *out,
                                     struct tk_buf *refusal, char why[TK_CHECK_WHY_MAX]) {
        struct tk_check *check;
        struct tk_check_object root;
        enum tk_err err;
        unsigned money_named = 0, counts_named = 0;
        *out = (struct tk_native_authorize){.asked.of[TK_METER_REQUESTS] = 1};
        if (!open_body(body, &check, &root, why, &err))
                return err != TK_OK ? err : finish(check, refusal);
        read_secret(check, &root, &out->key);
        read_id(check, &root, out->id);
        read_model(check, &root, &out->model);
        read_tokens(check, &root, &out->model);
        out->has_cost =
                read_amounts(check, &root, "cost", MONEY, &money_named, &out->asked) && money_named != 0;
        (void)read_amounts(check, &root, "amounts", COUNTS, &counts_named, &out->asked);
        (void)read_amounts(check, &root, "least", MONEY | COUNTS, &out->least_named, &out->least);
        read_life(check, &root, &out->life_ms);
        if (tk_check_ok(check))
                check_price(check, out, counts_named);
        tk_check_closed(check, &root);
        return finish(check, refusal);
}

enum tk_err tk_native_complete(struct tk_native_authorize *a, const struct tk_price *price,
                               struct tk_buf *refusal) {
        struct tk_issues issues = {0};
        struct tk_money cost = {0};
        enum tk_meter bad;
        enum tk_err err = TK_OK;
        if (a->model.has_tokens && price) {
                err = tk_price_bound(price, a->model.tokens.input, a->model.tokens.output, &cost);
                a->asked.of[TK_METER_USD] = cost.nano;
                a->asked.of[TK_METER_TOKENS] = (int64_t)(a->model.tokens.input + a->model.tokens.output);
        }
        if (err != TK_OK || !tk_hold_amounts_ok(&a->asked))
                tk_issue_say(&issues, (struct tk_issue_path){{"input_tokens"}}, "custom",
                             "This many tokens cost more than one hold may have");
        take_others(&a->least, a->least_named, &a->asked);
        if (issues.nr == 0 && !is_at_most(&a->least, &a->asked, &bad))
                say_meter(&issues, "least", bad, "Must not be more than what is asked");
        err = TK_OK;
        if (issues.nr) {
                tk_native_render_issues(&issues, refusal);
                err = tk_buf_ok(refusal) ? TK_E_RANGE : TK_E_NO_MEMORY;
        }
        tk_issues_free(&issues);
        return err;
}

/* ---- the others ---- */

enum tk_err tk_native_read_verify(struct tk_str body, struct tk_native_verify *out, struct tk_buf *refusal,
                                  char why[TK_CHECK_WHY_MAX]) {
        struct tk_check *check;
        struct tk_check_object root;
        enum tk_err err;
        unsigned named = 0;
        uint64_t requests = 1;
        struct tk_str scope;
        *out = (struct tk_native_verify){.scope = TK_SCOPE_NONE};
        if (!open_body(body, &check, &root, why, &err))
                return err != TK_OK ? err : finish(check, refusal);
        read_secret(check, &root, &out->key);
        read_model(check, &root, &out->model);
        out->has_cost = read_amounts(check, &root, "cost", MONEY, &named, &out->counts) && named != 0;
        (void)read_count(check, &root, "requests", (uint64_t)TK_HOLD_COUNT_MAX, &requests);
        out->counts.of[TK_METER_REQUESTS] = (int64_t)requests;
        if (tk_check_text(check, &root, "scope", 0, 0, &scope) == TK_SEEN_GOOD &&
            !tk_scope_parse(scope, &out->scope))
                say(check, "scope", "There is no such scope");
        tk_check_closed(check, &root);
        return finish(check, refusal);
}

static void check_more(struct tk_check *check, bool by, bool to, bool used, bool least) {
        if (by && to)
                say(check, "to", "Give either by or to, not both");
        if (!by && !to && !used)
                say(check, "by", "Required: by, to or used");
        if (least && !by && !to)
                say(check, "least", "Only with by or to");
}

enum tk_err tk_native_read_extend(struct tk_str body, struct tk_holds_more *out, struct tk_buf *refusal,
                                  char why[TK_CHECK_WHY_MAX]) {
        struct tk_check *check;
        struct tk_check_object root;
        enum tk_err err;
        unsigned named = 0, least_named = 0;
        enum tk_meter bad;
        *out = (struct tk_holds_more){0};
        if (!open_body(body, &check, &root, why, &err))
                return err != TK_OK ? err : finish(check, refusal);
        bool by = read_amounts(check, &root, "by", MONEY | COUNTS, &named, &out->most);
        out->total = read_amounts(check, &root, "to", MONEY | COUNTS, &named, &out->most);
        bool least = read_amounts(check, &root, "least", MONEY | COUNTS, &least_named, &out->least);
        bool used = read_amounts(check, &root, "used", MONEY | COUNTS, &named, &out->used);
        if (tk_check_ok(check))
                check_more(check, by, out->total, used, least);
        take_others(&out->least, least_named, &out->most);
        if (tk_check_ok(check) && !is_at_most(&out->least, &out->most, &bad))
                say_meter(tk_check_issues(check), "least", bad, "Must not be more than what is asked");
        tk_check_closed(check, &root);
        return finish(check, refusal);
}

enum tk_err tk_native_read_post(struct tk_str body, struct tk_native_model *model,
                                struct tk_holds_actual *actual, struct tk_buf *refusal,
                                char why[TK_CHECK_WHY_MAX]) {
        struct tk_check *check;
        struct tk_check_object root;
        enum tk_err err;
        *model = (struct tk_native_model){.has_tokens = false};
        *actual = (struct tk_holds_actual){.named = 0};
        if (!open_body(body, &check, &root, why, &err))
                return err != TK_OK ? err : finish(check, refusal);
        bool given = read_amounts(check, &root, "actual", MONEY | COUNTS, &actual->named, &actual->amounts);
        read_model(check, &root, model);
        read_tokens(check, &root, model);
        if (tk_check_ok(check) && given == model->has_tokens)
                say(check, "actual",
                    given ? "Give either actual or input_tokens and output_tokens, not both"
                          : "Required: actual, or model with input_tokens and output_tokens");
        tk_check_closed(check, &root);
        return finish(check, refusal);
}

enum tk_err tk_native_read_word(struct tk_str body, enum tk_meter meter, struct tk_native_word *out,
                                struct tk_buf *refusal, char why[TK_CHECK_WHY_MAX]) {
        struct tk_check *check;
        struct tk_check_object root;
        enum tk_err err;
        uint64_t most = INT64_MAX, spent = 0;
        *out = (struct tk_native_word){.spent = 0};
        if (!open_body(body, &check, &root, why, &err))
                return err != TK_OK ? err : finish(check, refusal);
        read_id(check, &root, out->id);
        if (tk_meter_is_money(meter))
                most /= TK_NANO;
        if (tk_check_amount(check, &root, "spent", TK_CHECK_REQUIRED | TK_CHECK_CHARGE, meter, most,
                            &spent) == TK_SEEN_GOOD)
                out->spent = (int64_t)spent;
        tk_check_closed(check, &root);
        return finish(check, refusal);
}

enum tk_err tk_native_read_nothing(struct tk_str body, struct tk_buf *refusal, char why[TK_CHECK_WHY_MAX]) {
        struct tk_check *check;
        struct tk_check_object root;
        enum tk_err err;
        if (body.len == 0)
                return TK_OK;
        if (!open_body(body, &check, &root, why, &err))
                return err != TK_OK ? err : finish(check, refusal);
        tk_check_closed(check, &root);
        return finish(check, refusal);
}
