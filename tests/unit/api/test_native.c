/* SPDX-License-Identifier: Apache-2.0
 *
 * The native API through the router: the seam is faked, the service behind it is the real one without
 * threads, so that a test may stop between any two of its steps.
 */
#include "../service/stage.h"
#include "api/handlers.h"
#include "api/router.h"
#include "core/time.h"
#include "fake_seam.h"
#include "store/people.h"
#include "wire/json_scan.h"

#include <stdio.h>
#include <string.h>

static struct stage stage;
static struct stage *const s = &stage;
static struct tk_loop loop;
static struct tk_api_loop api_loop;
static const struct tk_api api = {.started_ms = STAGE_NOW_MS};
static char admin[TK_KEY_TEXT_MAX + 1], customer[TK_KEY_TEXT_MAX + 1];
static struct tk_id admin_id;

/* Stand for inference.c, which is another's. */
void tk_api_chat(struct tk_api_call *c) {
        tk_api_problem(c, TK_PROBLEM_INTERNAL, NULL, NULL);
}

void tk_api_completions(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_embeddings(struct tk_api_call *c) {
        tk_api_chat(c);
}

static void add_models(void) {
        struct tk_provider provider = {.name = (char *)(uintptr_t) "demo",
                                       .base_url = (char *)(uintptr_t) "http://x/v1"};
        struct tk_model model = {.id = (char *)(uintptr_t) "small",
                                 .max_output_tokens = 4096,
                                 .priced = true,
                                 .is_private = true,
                                 .price = {.base = {1000000000, 2000000000, TK_RATE_NONE, TK_RATE_NONE}}};
        assert_ok(tk_catalog_add_provider(s->catalog, &provider));
        assert_ok(tk_catalog_add_model(s->catalog, &model, "demo"));
        model.id = (char *)(uintptr_t) "unpriced";
        model.priced = false;
        assert_ok(tk_catalog_add_model(s->catalog, &model, "demo"));
}

static void on_admin(void *ctx, enum tk_err err, const struct tk_key *key) {
        TK_UNUSED(ctx);
        assert_ok(err);
        admin_id = key->id;
}

static int open_stage(void **state) {
        struct tk_key draft = {.kind = TK_KIND_ADMIN, .period = TK_WINDOW_DAY};
        struct tk_key_text text;
        TK_UNUSED(state);
        stage_open(s);
        add_models();
        tk_keys_create(s->loops[0].worker, &tk_actor_system, &draft, STAGE_NOW_MS, &text, on_admin, NULL);
        stage_run(s);
        strcpy(admin, text.at);
        stage_key(s, 1000000000);
        strcpy(customer, s->secret.at);
        api_loop = (struct tk_api_loop){.worker = s->loops[0].worker};
        fake_loop_init(&loop, &api_loop);
        return 0;
}

static int close_stage(void **state) {
        TK_UNUSED(state);
        stage_close(s);
        return 0;
}

/* ---- calls ---- */

struct answered {
        int status;
        const char *type;
        char headers[4096];
        char body[16384];
};

static char body_text[4096];

/* %K in a body is the customer's key. */
static const char *fill(const char *body) {
        struct tk_buf out = TK_BUF_OVER(body_text);
        for (const char *at = body; *at; at++) {
                if (at[0] == '%' && at[1] == 'K') {
                        tk_buf_text(&out, customer);
                        at++;
                } else {
                        tk_buf_char(&out, *at);
                }
        }
        assert_true(tk_buf_ok(&out));
        return body_text;
}

static char bearer[TK_KEY_TEXT_MAX + 8];
static const char *query = "";

static void begin(struct tk_call *call, const char *method, const char *path, const char *body,
                  int64_t at_s) {
        snprintf(bearer, sizeof bearer, "Bearer %s", admin);
        *call = (struct tk_call){.loop = &loop,
                                 .method = method,
                                 .path = path,
                                 .query = query,
                                 .body = body ? fill(body) : "",
                                 .now_ms = STAGE_NOW_MS + at_s * 1000};
        call->headers[0] = (struct fake_header){"authorization", bearer};
        if (body)
                call->headers[1] = (struct fake_header){"content-type", "application/json"};
        tk_api_on_call(call, (void *)(uintptr_t)&api);
}

static void end(struct tk_call *call, struct answered *out) {
        stage_run(s);
        assert_true(call->over);
        out->status = call->status;
        out->type = call->type;
        snprintf(out->headers, sizeof out->headers, "%s",
                 call->answer_headers.len ? call->answer_headers.at : "");
        snprintf(out->body, sizeof out->body, "%s", call->answer.at);
        /* What is in every answer. */
        struct tk_json root;
        assert_ok(tk_json_check(tk_buf_str(&call->answer), &root, NULL));
        assert_null(strstr(out->body, customer));
        assert_string_equal(out->type, out->status == 200 ? "application/json" : "application/problem+json");
        fake_call_free(call);
}

static struct answered answered;

static void expect_at(int64_t at_s, const char *method, const char *path, const char *body, int status,
                      const char *piece) {
        struct tk_call call;
        begin(&call, method, path, body, at_s);
        end(&call, &answered);
        if (answered.status != status || !strstr(answered.body, piece))
                print_error("%s %s %s\n%d %s\nlacks: %s\n", method, path, body ? body : "", answered.status,
                            answered.body, piece);
        assert_int_equal(answered.status, status);
        assert_non_null(strstr(answered.body, piece));
}

static void post(const char *path, const char *body, int status, const char *piece) {
        expect_at(1, "POST", path, body, status, piece);
}

static void has(const char *piece) {
        if (!strstr(answered.body, piece))
                print_error("%s\nlacks: %s\n", answered.body, piece);
        assert_non_null(strstr(answered.body, piece));
}

static void lacks(const char *piece) {
        assert_null(strstr(answered.body, piece));
}

#define AUTHORIZE "/v1/authorize"
#define VERIFY    "/v1/verify"

/* ---- authorize ---- */

static void a_hold_and_its_end(void **state) {
        char id[TK_ID_TEXT_LEN + 1];
        TK_UNUSED(state);
        tk_id_text(s->key.id, id);
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"a:1\",\"cost\":{\"usd\":0.25}}", 200,
             "{\"verdict\":\"pass\",\"hold\":{");
        has("\"id\":\"a:1\",\"state\":\"pending\"");
        has("\"held\":{\"usd\":0.25,\"requests\":1,\"tokens\":0}");
        has("\"left\":{\"usd\":0.75,\"requests\":null,\"tokens\":null}");
        has("\"expires_at\":\"2096-10-02T07:21:41.000Z\"");
        has("\"description\":\"a customer\"");
        has(id);
        assert_non_null(strstr(answered.headers, "cache-control: no-store"));
        post(AUTHORIZE, "{\"id\":\"a:1\",\"cost\":{\"usd\":\"0.250\"},\"key\":\"%K\"}", 200,
             "\"replayed\":true");
        lacks("\"left\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"a:1\",\"cost\":{\"usd\":0.26}}", 409,
             "\"code\":\"conflict\"");
        has("\"title\":\"Conflict\"");
        post("/v1/holds/a:1/extend", "{\"by\":{\"usd\":0.05},\"used\":{\"usd\":0.1}}", 200,
             "\"held\":{\"usd\":0.3,");
        has("\"verdict\":\"pass\"");
        has("\"used\":{\"usd\":0.1,");
        expect_at(2, "GET", "/v1/holds/a:1", NULL, 200, "{\"hold\":{\"id\":\"a:1\",\"state\":\"pending\"");
        post("/v1/holds/a%3A1/post", "{\"actual\":{\"usd\":0.125}}", 200, "\"state\":\"posted\"");
        has("\"due\":{\"usd\":0.125,\"requests\":1,\"tokens\":0}");
        has("\"overrun\":{\"usd\":0,\"requests\":0,\"tokens\":0}");
        has("\"ended_at\":\"2096-10-02T07:06:41.000Z\"");
        post("/v1/holds/a:1/post", "{\"actual\":{\"usd\":0.125}}", 200, "\"replayed\":true");
        post("/v1/holds/a:1/post", "{\"actual\":{\"usd\":0.126}}", 409, "\"code\":\"conflict\"");
        post("/v1/holds/a:1/void", NULL, 409, "\"code\":\"hold_posted\"");
        post("/v1/holds/a:1/extend", "{\"by\":{\"usd\":1}}", 409, "\"code\":\"hold_posted\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"a:1\",\"cost\":{\"usd\":0.25}}", 200,
             "\"state\":\"posted\"");
        has("\"replayed\":true");
        assert_int_equal(stage_posted(s, TK_METER_USD), 125000000);
}

static void voided_and_expired(void **state) {
        TK_UNUSED(state);
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"v\",\"cost\":{\"usd\":1}}", 200, "\"pass\"");
        post("/v1/holds/v/void", NULL, 200, "\"state\":\"voided\"");
        post("/v1/holds/v/void", "{}", 200, "\"replayed\":true");
        post("/v1/holds/v/post", "{\"actual\":{}}", 409, "\"code\":\"hold_voided\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"e\",\"cost\":{\"usd\":1},\"expires_in\":5}", 200,
             "\"pass\"");
        post("/v1/holds/e/extend", "{\"used\":{\"usd\":0.5}}", 200, "\"pass\"");
        expect_at(6, "POST", "/v1/holds/e/post", "{\"actual\":{}}", 409, "\"code\":\"hold_expired\"");
        expect_at(6, "GET", "/v1/holds/e", NULL, 200, "\"state\":\"expired\"");
        has("\"due\":{\"usd\":0.5,");
        expect_at(6, "POST", "/v1/holds/e/void", NULL, 409, "\"code\":\"hold_expired\"");
        assert_int_equal(stage_posted(s, TK_METER_USD), 500000000);
}

static void refusals_are_answers(void **state) {
        TK_UNUSED(state);
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"r\",\"cost\":{\"usd\":1.5}}", 200,
             "{\"verdict\":\"cap\",\"detail\":\"");
        has("\"detail\":\"The limit of this key is 1 usd in its lifetime: 0 used, 0 held, 1 left; this call "
            "needs at "
            "least 1.5; that is more than it ever allows.\"");
        has("\"refusal\":{\"subject\":\"key\",\"meter\":\"usd\",\"window\":\"lifetime\",\"cap\":1,\"posted\":"
            "0,"
            "\"held\":0,\"left\":1,\"least\":1.5,\"turns_at\":null,\"retry_after\":null}");
        lacks("\"hold\"");
        expect_at(1, "GET", "/v1/holds/r", NULL, 404, "\"code\":\"no_such_hold\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"r\",\"cost\":{\"usd\":1.5},\"least\":{\"usd\":0.5}}", 200,
             "\"pass\"");
        has("\"held\":{\"usd\":1,");
        post("/v1/holds/r/extend", "{\"by\":{\"usd\":0.1}}", 200, "\"verdict\":\"cap\"");
        has("\"state\":\"pending\"");
        post(AUTHORIZE, "{\"key\":\"tk_inf_nobody\",\"id\":\"u\"}", 200, "{\"verdict\":\"unknown_key\",");
        lacks("\"key\"");
        stage_revoke(s);
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"x\"}", 200, "\"verdict\":\"revoked\"");
        post(VERIFY, "{\"key\":\"%K\"}", 200, "\"verdict\":\"revoked\"");
        post("/v1/holds/r/extend", "{\"by\":{\"usd\":0.1}}", 200, "\"verdict\":\"revoked\"");
}

static void models_are_priced_by_the_catalogue(void **state) {
        TK_UNUSED(state);
        post(AUTHORIZE,
             "{\"key\":\"%K\",\"id\":\"m\",\"model\":\"small\",\"input_tokens\":1000,\"output_tokens\":500}",
             200, "\"held\":{\"usd\":0.002,\"requests\":1,\"tokens\":1500}");
        has("\"model\":\"small\"");
        post("/v1/holds/m/post", "{\"model\":\"small\",\"input_tokens\":1000,\"output_tokens\":100}", 200,
             "\"due\":{\"usd\":0.0012,\"requests\":1,\"tokens\":1100}");
        post("/v1/holds/m/post", "{\"model\":\"small\",\"input_tokens\":1000,\"output_tokens\":100}", 200,
             "\"replayed\":true");
        post(AUTHORIZE,
             "{\"key\":\"%K\",\"id\":\"n\",\"model\":\"none\",\"input_tokens\":1,\"output_tokens\":1}", 200,
             "\"verdict\":\"model_unknown\"");
        post(AUTHORIZE,
             "{\"key\":\"%K\",\"id\":\"n\",\"model\":\"unpriced\",\"input_tokens\":1,\"output_tokens\":1}",
             200, "\"verdict\":\"model_unpriced\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"n\",\"model\":\"unpriced\",\"cost\":{\"usd\":0.1}}", 200,
             "\"pass\"");
        post("/v1/holds/n/post", "{\"model\":\"none\",\"input_tokens\":1,\"output_tokens\":1}", 404,
             "\"code\":\"model_unknown\"");
        post("/v1/holds/n/post", "{\"model\":\"unpriced\",\"input_tokens\":1,\"output_tokens\":1}", 400,
             "\"code\":\"model_unpriced\"");
        post("/v1/holds/n/post",
             "{\"model\":\"small\",\"input_tokens\":1000000000000,\"output_tokens\":1000000000000}", 400,
             "\"param\":\"input_tokens\"");
        post(VERIFY, "{\"key\":\"%K\",\"model\":\"unpriced\"}", 200, "\"verdict\":\"model_unpriced\"");
        post(VERIFY, "{\"key\":\"%K\",\"model\":\"small\",\"requests\":0}", 200, "\"pass\"");
}

static void bad_requests(void **state) {
        TK_UNUSED(state);
        post(AUTHORIZE, "{\"key\":\"%K\"", 400, "\"code\":\"invalid_json\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"a b\"}", 400,
             "\"errors\":[{\"path\":\"id\",\"message\":\"");
        post(AUTHORIZE, "{\"id\":\"%K\",\"key\":1}", 400, "\"param\":\"key\"");
        post("/v1/holds/a/extend", "{}", 400, "\"param\":\"by\"");
        post("/v1/holds/a/void", "[]", 400, "\"path\":\"\"");
        post("/v1/holds/none/post", "{\"actual\":{}}", 404, "\"code\":\"no_such_hold\"");
        post("/v1/holds/a%20b/void", NULL, 404, "\"code\":\"no_such_hold\"");
        expect_at(1, "GET", "/v1/holds/%F0%9F%98%80", NULL, 404, "\"code\":\"no_such_hold\"");
        post(AUTHORIZE, NULL, 415, "\"code\":\"content_type\"");
        expect_at(1, "GET", AUTHORIZE, NULL, 405, "\"code\":\"method\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"big\",\"amounts\":{\"tokens\":1000000000000}}", 200,
             "\"pass\"");
        post("/v1/holds/big/extend", "{\"by\":{\"tokens\":1}}", 400, "\"param\":\"by\"");
}

/* ---- whose ---- */

static void make_foreign(struct tk_key *draft) {
        struct tk_workspace workspace = {.slug = "theirs", .name = "theirs"};
        memset(workspace.org.b, 9, sizeof workspace.org.b);
        memset(workspace.id.b, 8, sizeof workspace.id.b);
        assert_ok(tk_store_begin(s->store));
        assert_ok(tk_store_workspace_insert(s->store, &workspace));
        assert_ok(tk_store_commit(s->store));
        draft->org = workspace.org;
        draft->workspace = workspace.id;
}

static void on_key(void *ctx, enum tk_err err, const struct tk_key *key) {
        TK_UNUSED(ctx);
        TK_UNUSED(key);
        assert_ok(err);
}

static void organisations_do_not_see_each_other(void **state) {
        struct tk_key draft = {.kind = TK_KIND_ADMIN, .period = TK_WINDOW_DAY};
        struct tk_key_text text;
        TK_UNUSED(state);
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"mine\"}", 200, "\"pass\"");
        make_foreign(&draft);
        tk_keys_create(s->loops[0].worker, &tk_actor_system, &draft, STAGE_NOW_MS, &text, on_key, NULL);
        stage_run(s);
        strcpy(admin, text.at); /* from here on, the other organisation calls */
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"x\"}", 200, "\"verdict\":\"unknown_key\"");
        post(VERIFY, "{\"key\":\"%K\"}", 200, "\"verdict\":\"unknown_key\"");
        expect_at(1, "GET", "/v1/holds/mine", NULL, 404, "no_such_hold");
        post("/v1/holds/mine/post", "{\"actual\":{}}", 404, "no_such_hold");
        post("/v1/holds/mine/void", NULL, 404, "no_such_hold");
}

/* ---- verify ---- */

static void verifications(void **state) {
        TK_UNUSED(state);
        post(VERIFY, "{\"key\":\"%K\",\"cost\":{\"usd\":0.25}}", 200,
             "{\"verdict\":\"pass\",\"key\":{\"id\":\"");
        has("\"kind\":\"inference\",\"expires_at\":null,\"limits\":[{\"meter\":\"usd\",\"window\":"
            "\"lifetime\","
            "\"cap\":1,\"posted\":0.25,\"held\":0,\"left\":0.75,\"turns_at\":null}]");
        post(VERIFY, "{\"key\":\"%K\",\"cost\":{\"usd\":0.76}}", 200, "\"verdict\":\"cap\"");
        has("\"refusal\":{");
        post(VERIFY, "{\"key\":\"%K\",\"scope\":\"api_keys.write\"}", 200, "\"verdict\":\"scope\"");
        post(VERIFY, "{\"key\":\"%K\",\"scope\":\"models.read\",\"requests\":5}", 200, "\"pass\"");
        assert_int_equal(stage_posted(s, TK_METER_REQUESTS), 6);
        assert_int_equal(stage_posted(s, TK_METER_USD), 250000000);
}

/* ---- the store, and clients who leave ---- */

static void a_failing_store_is_503(void **state) {
        struct tk_call call;
        TK_UNUSED(state);
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"s\",\"cost\":{\"usd\":0.5}}", 200, "\"pass\"");
        s->failing = true;
        begin(&call, "POST", "/v1/holds/s/post", "{\"actual\":{}}", 1);
        assert_false(call.over); /* not before it is stored */
        assert_true(stage_batch(s));
        end(&call, &answered);
        assert_int_equal(answered.status, 503);
        has("\"code\":\"store\"");
        assert_non_null(strstr(answered.headers, "retry-after: 1"));
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"t\",\"cost\":{\"usd\":0.1}}", 503, "\"code\":\"store\"");
        post(VERIFY, "{\"key\":\"%K\"}", 503, "\"code\":\"store\"");
        s->failing = false;
        stage_run(s);
        post("/v1/holds/s/post", "{\"actual\":{}}", 200, "\"replayed\":true");
        assert_int_equal(stage_posted(s, TK_METER_USD), 500000000);
}

static void who_leaves_has_still_asked(void **state) {
        static const struct {
                const char *path, *body;
        } rows[] = {
                {AUTHORIZE, "{\"key\":\"%K\",\"id\":\"gone\",\"cost\":{\"usd\":0.5}}"},
                {"/v1/holds/gone/extend", "{\"to\":{\"usd\":0.9}}"},
                {"/v1/holds/gone/post", "{\"actual\":{\"usd\":0.9}}"},
                {VERIFY, "{\"key\":\"%K\",\"cost\":{\"usd\":0.1}}"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct tk_call call;
                begin(&call, "POST", rows[i].path, rows[i].body, 1);
                assert_false(call.over);
                fake_call_leave(&call);
                stage_run(s);
                assert_false(call.over);
                fake_call_free(&call);
        }
        expect_at(1, "GET", "/v1/holds/gone", NULL, 200, "\"due\":{\"usd\":0.9,");
        assert_int_equal(stage_posted(s, TK_METER_USD), 1000000000);
}

static void after_a_restart(void **state) {
        TK_UNUSED(state);
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"p\",\"model\":\"small\",\"cost\":{\"usd\":0.5}}", 200,
             "\"pass\"");
        post("/v1/holds/p/post", "{\"actual\":{\"usd\":0.6}}", 200, "\"overrun\":{\"usd\":0.1,");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"q\",\"cost\":{\"usd\":0.5}}", 200, "\"pass\"");
        char before[sizeof answered.body];
        expect_at(2, "GET", "/v1/holds/p", NULL, 200, "posted");
        strcpy(before, answered.body);
        stage_restart(s);
        api_loop.worker = s->loops[0].worker;
        expect_at(2, "GET", "/v1/holds/p", NULL, 200, "posted");
        assert_string_equal(before, answered.body); /* the same words, from the store */
        post("/v1/holds/p/post", "{\"actual\":{\"usd\":0.6}}", 200, "\"replayed\":true");
        post("/v1/holds/p/post", "{\"actual\":{\"usd\":0.5}}", 409, "\"code\":\"conflict\"");
        post("/v1/holds/q/post", "{\"actual\":{}}", 404, "\"code\":\"no_such_hold\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"q\",\"cost\":{\"usd\":0.5}}", 200, "\"pass\"");
        lacks("replayed");
}

/* ---- doubts ---- */

static void crash(void) {
        stage_crash(s);
        api_loop.worker = s->loops[0].worker;
}

static void look(const char *ask, int status, const char *piece) {
        query = ask;
        expect_at(1, "GET", "/v1/ledger/doubts", NULL, status, piece);
        query = "";
}

static void a_doubt_is_shown_and_resolved(void **state) {
        char path[256], id[TK_ID_TEXT_LEN + 1], piece[512];
        TK_UNUSED(state);
        look("", 200, "{\"doubts\":[],\"next\":null}");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"h\",\"cost\":{\"usd\":0.3}}", 200, "\"pass\"");
        crash(); /* 0.3 was held, and a sixteenth of the rest was lent ahead */
        tk_id_text(s->key.id, id);
        snprintf(piece, sizeof piece,
                 "{\"id\":\"%s:usd:lifetime:0\",\"subject_id\":\"%s\",\"meter\":\"usd\",\"window\":"
                 "\"lifetime\","
                 "\"number\":0,\"amount\":0.3625,\"since\":\"2096-10-02T07:06:40.000Z\",\"turns_at\":null,"
                 "\"subject\":\"key\",\"description\":\"a customer\"}],\"next\":null}",
                 id, id);
        look("", 200, piece);
        look("subject=organisation", 200, "\"doubts\":[]");
        look("subject=workspace", 200, "\"doubts\":[]");
        snprintf(path, sizeof path, "subject=%s&limit=1", id);
        look(path, 200, piece);
        snprintf(path, sizeof path, "after=%s:usd:lifetime:0", id);
        look(path, 200, "\"doubts\":[]");
        post(VERIFY, "{\"key\":\"%K\"}", 200, "\"cap\":1,\"posted\":0.3625,\"in_doubt\":0.3625,\"held\":0,");
        snprintf(path, sizeof path, "/v1/ledger/doubts/%s:usd:lifetime:0/resolve", id);
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"rest\",\"cost\":{\"usd\":0.7}}", 200,
             "\"verdict\":\"cap\"");
        post(path, "{\"id\":\"w\",\"spent\":0.3626}", 400, "\"param\":\"spent\"");
        post(path, "{\"id\":\"w\",\"spent\":0.3}", 200, "{\"doubt\":{\"id\":");
        has("\"amount\":0.3625,");
        has("\"spent\":0.3,\"freed\":0.0625}");
        post(path, "{\"id\":\"w\",\"spent\":0.3}", 200, "{\"replayed\":true,\"doubt\":{");
        post(path, "{\"id\":\"w\",\"spent\":0.2}", 409, "\"code\":\"conflict\"");
        post(path, "{\"id\":\"v\",\"spent\":0.3}", 404, "\"code\":\"no_such_doubt\"");
        post("/v1/ledger/doubts/x/resolve", "{\"id\":\"v\",\"spent\":0}", 404, "\"code\":\"no_such_doubt\"");
        post(AUTHORIZE, "{\"key\":\"%K\",\"id\":\"rest\",\"cost\":{\"usd\":0.7}}", 200, "\"pass\"");
        assert_int_equal(stage_posted(s, TK_METER_USD), 300000000);
        post(VERIFY, "{\"key\":\"%K\"}", 200, "\"refusal\":{");
        post("/v1/holds/rest/void", NULL, 200, "voided");
        post(VERIFY, "{\"key\":\"%K\"}", 200, "\"cap\":1,\"posted\":0.3,\"held\":0,");
        look("", 200, "{\"doubts\":[],\"next\":null}");
}

static void pages_follow_each_other(void **state) {
        struct tk_doubt doubt = {.window = {.kind = TK_WINDOW_LIFETIME}, .amount = 1, .since_ms = 1};
        char next[256] = "limit=1";
        TK_UNUSED(state);
        assert_ok(tk_store_begin(s->store));
        for (int i = 0; i < 3; i++) {
                doubt.subject = (struct tk_id){{1, (uint8_t)i}};
                assert_ok(tk_store_doubt_put(s->store, &doubt));
        }
        assert_ok(tk_store_commit(s->store));
        for (int i = 0; i < 3; i++) {
                look(next, 200, "\"subject\":\"user\",\"description\":null}],\"next\":");
                const char *at = strstr(answered.body, "\"next\":\"");
                assert_true((i == 2) == !at);
                if (at)
                        snprintf(next, sizeof next, "limit=1&after=%.*s",
                                 (int)strcspn(at + strlen("\"next\":\""), "\""), at + strlen("\"next\":\""));
        }
}

static void bad_questions_about_doubt(void **state) {
        static const char *const bad[][2] = {
                {"subject=", "subject"},      {"subject=me", "subject"},
                {"subject=%00", "subject"},   {"subject=organisation&subject=workspace", "subject"},
                {"limit=0", "limit"},         {"limit=1001", "limit"},
                {"limit=-1", "limit"},        {"limit=", "limit"},
                {"limit=1&limit=2", "limit"}, {"after=x", "after"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                char piece[64];
                snprintf(piece, sizeof piece, "\"param\":\"%s\"", bad[i][1]);
                look(bad[i][0], 400, piece);
        }
}

int main(void) {
#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        const struct CMUnitTest tests[] = {
                STAGE_TEST(a_hold_and_its_end),
                STAGE_TEST(voided_and_expired),
                STAGE_TEST(refusals_are_answers),
                STAGE_TEST(models_are_priced_by_the_catalogue),
                STAGE_TEST(bad_requests),
                STAGE_TEST(organisations_do_not_see_each_other),
                STAGE_TEST(verifications),
                STAGE_TEST(a_failing_store_is_503),
                STAGE_TEST(who_leaves_has_still_asked),
                STAGE_TEST(after_a_restart),
                STAGE_TEST(a_doubt_is_shown_and_resolved),
                STAGE_TEST(pages_follow_each_other),
                STAGE_TEST(bad_questions_about_doubt),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
