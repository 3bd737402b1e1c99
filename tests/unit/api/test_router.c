/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests through the router, with the seam and the service faked: who gets in, what is answered, and what
 * happens when a write fails or the client leaves in the middle.
 */
#include "lib/unit.h"

#include "api/handlers.h"
#include "api/router.h"
#include "core/time.h"
#include "fake_keys.h"
#include "fake_seam.h"
#include "wire/json_scan.h"

#include <string.h>

#define NOW  INT64_C(1795262400000) /* 2026-11-21T12:00:00Z */
#define KEYS "/api/v1/api_keys"

static struct tk_worker worker;
static struct tk_loop loop;
static struct tk_api_loop api_loop = {.worker = &worker};
static const struct tk_api api = {.started_ms = NOW};
static unsigned inferences_nr;

/* Stand for inference.c: they show that the gate was passed. */
void tk_api_chat(struct tk_api_call *c) {
        inferences_nr++;
        tk_call_reply(c->call, 200, "application/json", TK_STR("{}"));
}

void tk_api_completions(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_embeddings(struct tk_api_call *c) {
        tk_api_chat(c);
}

/* Stand for native_holds.c and native_verify.c. */
void tk_api_authorize(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_holds_get(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_holds_extend(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_holds_post(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_holds_void(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_verify(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_doubts_list(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_doubts_resolve(struct tk_api_call *c) {
        tk_api_chat(c);
}

/* Portkey's key routes are driven by its own SDK, over the real service. */
void tk_api_portkey_keys_list(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_portkey_keys_get(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_portkey_keys_create_admin(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_portkey_keys_create_service(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_portkey_keys_create_user(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_portkey_keys_create_unknown(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_portkey_keys_update(struct tk_api_call *c) {
        tk_api_chat(c);
}

void tk_api_portkey_keys_delete(struct tk_api_call *c) {
        tk_api_chat(c);
}

static void add_model(const char *id, enum tk_model_type type, bool priced, bool is_private) {
        struct tk_model model = {.id = (char *)(uintptr_t)id,
                                 .type = type,
                                 .priced = priced,
                                 .is_private = is_private,
                                 .max_output_tokens = 4096,
                                 .price = {.base = {.input = 150000000,
                                                    .output = 600000000,
                                                    .cache_input = 75000000,
                                                    .cache_write = TK_RATE_NONE}}};
        if (strcmp(id, "long") == 0) {
                model.context_tokens = 1000000;
                model.price.longer_above = 200000;
                model.price.longer = (struct tk_rates){TK_NANO, 2 * TK_NANO, TK_RATE_NONE, 3 * TK_NANO};
        }
        assert_ok(tk_catalog_add_model(worker.catalog, &model, "demo"));
}

static int setup(void **state) {
        struct tk_provider provider = {.name = (char *)(uintptr_t) "demo",
                                       .base_url = (char *)(uintptr_t) "http://x/v1"};
        TK_UNUSED(state);
        worker = (struct tk_worker){.catalog = tk_catalog_new()};
        assert_non_null(worker.catalog);
        assert_ok(tk_catalog_add_provider(worker.catalog, &provider));
        add_model("small", TK_MODEL_TEXT, true, false);
        add_model("vectors", TK_MODEL_EMBEDDING, true, true);
        add_model("free of price", TK_MODEL_TEXT, false, true);
        add_model("long", TK_MODEL_TEXT, true, true);
        fake_loop_init(&loop, &api_loop);
        fake_key_add(&worker, TK_KIND_ADMIN, "admin");
        fake_key_add(&worker, TK_KIND_INFERENCE, "inference");
        fake_key_add(&worker, TK_KIND_ADMIN, "expired")->expires_ms = NOW;
        fake_key_add(&worker, TK_KIND_ADMIN, "revoked")->revoked_ms = 5;
        fake_key_add(&worker, TK_KIND_INFERENCE, "private")->privacy = TK_PRIVACY_PRIVATE_TEXT;
        struct tk_key *powerless = fake_key_add(&worker, TK_KIND_INFERENCE, "powerless");
        powerless->scopes = (struct tk_scopes){0};
        struct tk_key *writer = fake_key_add(&worker, TK_KIND_INFERENCE, "keys only");
        writer->scopes = (struct tk_scopes){0};
        tk_scopes_add(&writer->scopes, TK_SCOPE_KEYS_WRITE);
        inferences_nr = 0;
        return 0;
}

/* Nothing is lent out any more, nothing waits, in every test. */
static int teardown(void **state) {
        TK_UNUSED(state);
        assert_int_equal(worker.snapshots_nr, 0);
        assert_int_equal(worker.ops_nr, 0);
        assert_null(loop.first);
        tk_catalog_free(&worker.catalog);
        return 0;
}

static struct tk_call request(const char *method, const char *path, const char *bearer, const char *body) {
        static char authorization[128];
        struct tk_call call = {
                .loop = &loop, .method = method, .path = path, .query = "", .body = body, .now_ms = NOW};
        unsigned n = 0;
        if (bearer) {
                struct tk_buf text = TK_BUF_OVER(authorization);
                tk_buf_printf(&text, "Bearer %s", bearer);
                call.headers[n++] = (struct fake_header){"authorization", authorization};
        }
        if (body && body[0])
                call.headers[n++] = (struct fake_header){"content-type", "application/json"};
        return call;
}

static void run(struct tk_call *call) {
        tk_api_on_call(call, (void *)(uintptr_t)&api);
        while (!call->over && !call->gone && (fake_worker_turn(&worker) || fake_loop_turn(&loop)))
                ;
}

static void expect(struct tk_call *call, int status, const char *body) {
        struct tk_json root;
        assert_true(call->over);
        if (call->status != status)
                print_error("%s\n", call->answer.at);
        assert_int_equal(call->status, status);
        assert_ok(tk_json_check(tk_buf_str(&call->answer), &root, NULL));
        if (body && !strstr(call->answer.at, body))
                print_error("answer: %s\nlacks:  %s\n", call->answer.at, body);
        if (body)
                assert_non_null(strstr(call->answer.at, body));
        fake_call_free(call);
}

static void expect_header(const struct tk_call *call, const char *line) {
        assert_non_null(strstr(call->answer_headers.len ? call->answer_headers.at : "", line));
}

#define AUTH       "{\"error\":\"Authentication failed\"}"
#define ADMIN_ONLY "{\"error\":\"Admin API key required\"}"

static void gate(void **state) {
        static const struct {
                const char *name, *method, *path, *key;
                int status;
                const char *body;
        } rows[] = {
                {"no key, venice", "GET", KEYS, NULL, 401, AUTH},
                {"unknown key, venice", "GET", KEYS, "nobody", 401, AUTH},
                {"expired key, venice", "GET", KEYS, "expired", 401, AUTH},
                {"revoked key, venice", "GET", KEYS, "revoked", 401, AUTH},
                {"inference key lists keys", "GET", KEYS, "inference", 401, ADMIN_ONLY},
                {"inference key gets a key", "GET", KEYS "/x", "inference", 401, ADMIN_ONLY},
                {"inference key creates", "POST", KEYS, "inference", 401, ADMIN_ONLY},
                {"inference key updates", "PATCH", KEYS, "inference", 401, ADMIN_ONLY},
                {"inference key deletes", "DELETE", KEYS, "inference", 401, ADMIN_ONLY},
                {"write only does not read", "GET", KEYS, "keys only", 401, ADMIN_ONLY},
                {"admin lists keys", "GET", KEYS, "admin", 200, "\"object\":\"list\""},
                {"admin may chat", "POST", "/api/v1/chat/completions", "admin", 200, "{}"},
                {"inference may chat", "POST", "/v1/chat/completions", "inference", 200, "{}"},
                {"no right to chat, venice", "POST", "/api/v1/chat/completions", "powerless", 403,
                 "{\"error\":\"Unauthorized access\"}"},
                {"no right to chat, openai", "POST", "/v1/chat/completions", "powerless", 403,
                 "missing_scope"},
                {"no key, openai", "POST", "/v1/embeddings", NULL, 401, "No API key was sent."},
                {"unknown key, openai", "POST", "/v1/completions", "nobody", 401,
                 "\"code\":\"invalid_api_key\""},
                {"expired key, openai", "POST", "/v1/completions", "expired", 401, "has expired"},
                {"revoked key, openai", "POST", "/v1/completions", "revoked", 401, "was revoked"},
                {"openai models want a key", "GET", "/v1/models", NULL, 401, "invalid_api_key"},
                {"openai models want a good key", "GET", "/v1/models", "nobody", 401, "invalid_api_key"},
                {"openai models want the right", "GET", "/v1/models", "powerless", 403, "missing_scope"},
                {"venice models want none", "GET", "/api/v1/models", NULL, 200, "\"id\":\"small\""},
                {"venice models take a bad one", "GET", "/api/v1/models", "nobody", 200, "\"id\":\"small\""},
                {"venice models take an expired one", "GET", "/api/v1/models", "expired", 200,
                 "\"id\":\"small\""},
                {"health wants none", "GET", "/healthz", NULL, 200, "{\"status\":\"ok\"}"},
                {"unknown path comes before the key, venice", "GET", "/api/v1/none", NULL, 404,
                 "{\"error\":\""},
                {"unknown path, openai", "GET", "/v1/none", NULL, 404, "\"code\":\"unknown_url\""},
                {"unknown path, native", "GET", "/none", NULL, 404, "\"code\":\"not_found\""},
                {"admin authorizes", "POST", "/v1/authorize", "admin", 200, "{}"},
                {"admin sees a hold", "GET", "/v1/holds/x", "admin", 200, "{}"},
                {"inference key authorizes", "POST", "/v1/authorize", "inference", 403, "\"code\":\"scope\""},
                {"inference key verifies", "POST", "/v1/verify", "inference", 403, "\"code\":\"scope\""},
                {"inference key sees a hold", "GET", "/v1/holds/x", "inference", 403, "\"code\":\"scope\""},
                {"inference key posts", "POST", "/v1/holds/x/post", "inference", 403, "\"code\":\"scope\""},
                {"no key, native", "POST", "/v1/holds/x/void", NULL, 401, "\"code\":\"no_key\""},
                {"unknown key, native", "POST", "/v1/holds/x/extend", "nobody", 401,
                 "\"code\":\"unknown_key\""},
                {"unknown path of holds", "GET", "/v1/holds/x/y", NULL, 404, "\"code\":\"not_found\""},
                {"wrong method on a hold", "POST", "/v1/holds/x", NULL, 405, "\"code\":\"method\""},
                {"wrong method, venice", "PUT", KEYS, NULL, 405, "{\"error\":\""},
                {"wrong method, openai", "GET", "/v1/chat/completions", NULL, 405, "method_not_supported"},
                {"wrong method, native", "POST", "/healthz", NULL, 405, "\"code\":\"method\""},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct tk_call call = request(rows[i].method, rows[i].path, rows[i].key, "");
                print_message("%s\n", rows[i].name);
                run(&call);
                if (rows[i].status == 401)
                        expect_header(&call, rows[i].key
                                                     ? "www-authenticate: Bearer realm=\"tollkey\", error="
                                                     : "www-authenticate: Bearer realm=\"tollkey\"\n");
                if (rows[i].status == 405)
                        expect_header(&call, "allow: ");
                expect(&call, rows[i].status, rows[i].body);
        }
        assert_int_equal(inferences_nr, 4); /* only those that may */
}

static void keys_in_other_headers(void **state) {
        static const char *const names[] = {"x-api-key", "api-key", "x-portkey-api-key"};
        TK_UNUSED(state);
        for (size_t i = 0; i < 3; i++) {
                struct tk_call call = request("GET", KEYS, NULL, "");
                call.headers[0] = (struct fake_header){names[i], "admin"};
                run(&call);
                expect(&call, 200, "list");
        }
        struct tk_call call = request("GET", KEYS, "admin", "");
        call.headers[1] = (struct fake_header){"x-api-key", "inference"};
        run(&call);
        expect(&call, 401, AUTH);
        call = request("GET", "/v1/models", "admin", "");
        call.headers[1] = (struct fake_header){"x-api-key", "inference"};
        run(&call);
        expect(&call, 401, "Two different API keys");
}

/* A client of Portkey's gateway is known by its header, on the routes that both have. */
static void portkeys_gateway(void **state) {
        static const struct {
                const char *path, *key;
                int status;
                const char *body;
        } rows[] = {
                {"/v1/models", "nobody", 401, "Portkey Error: Invalid API Key. Error Code: 03"},
                {"/v1/models", "expired", 401, "Portkey Error: Portkey API Key Expired. Error Code: 01"},
                {"/v1/models", "powerless", 403, "Portkey Error: Forbidden!. Error Code: 033"},
                {"/v1/models", "inference", 200, "\"list\""},
                {"/v1/none", "inference", 404, "{\"status\":\"failure\""},
                {"/v1/admin/none", "inference", 404, "\"errorCode\":\"AB08\""},
                {"/v2/none", "inference", 404, "\"errorCode\":\"AB08\""},
                {"/v2/models", "inference", 404,
                 "\"errorCode\":\"AB08\""}, /* only Portkey's own have the alias */
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct tk_call call = request("GET", rows[i].path, "another's", "");
                call.headers[1] = (struct fake_header){"x-portkey-api-key", rows[i].key};
                run(&call);
                print_message("%s %s\n", rows[i].path, rows[i].key);
                expect_header(&call, "x-portkey-request-id: ");
                expect(&call, rows[i].status, rows[i].body);
        }
        struct tk_call call = request("GET", "/v1/models", "nobody", "");
        run(&call);
        assert_null(strstr(call.answer_headers.at, "x-portkey"));
        expect(&call, 401, "invalid_api_key");
}

static void touches(void **state) {
        TK_UNUSED(state);
        struct tk_call call = request("GET", "/v1/models", "inference", "");
        run(&call);
        expect(&call, 200, NULL);
        assert_int_equal(worker.touches_nr, 1);
        call = request("GET", KEYS, "inference", ""); /* refused: not used */
        run(&call);
        expect(&call, 401, NULL);
        call = request("GET", "/api/v1/models", "expired", "");
        run(&call);
        expect(&call, 200, NULL);
        call = request("GET", "/healthz", "inference", "");
        run(&call);
        expect(&call, 200, NULL);
        assert_int_equal(worker.touches_nr, 1);
}

static void store_that_fails(void **state) {
        TK_UNUSED(state);
        worker.identify_err = TK_E_IO;
        struct tk_call call = request("GET", "/v1/models", "inference", "");
        run(&call);
        expect_header(&call, "retry-after: 1");
        expect(&call, 503, "store_unavailable");
        call = request("GET", "/api/v1/models", "inference", ""); /* the public view needs no store */
        run(&call);
        expect(&call, 200, "small");
        call = request("GET", "/readyz", NULL, "");
        run(&call);
        expect(&call, 200, "{\"status\":\"ready\"}");
        worker.write_err = TK_E_FULL;
        call = request("GET", "/readyz", NULL, "");
        run(&call);
        expect(&call, 503, "\"status\":503");
        worker.write_err = TK_OK;
        worker.ready_err = TK_E_IO;
        call = request("GET", "/readyz", NULL, "");
        run(&call);
        expect(&call, 503, "\"status\":503");
}

static void refusals_of_the_seam(void **state) {
        static const struct {
                int status;
                const char *path, *body;
        } rows[] = {
                {400, "/api/v1/api_keys", "{\"error\":\"The request is not valid HTTP.\",\"details\":"},
                {413, "/api/v1/chat/completions", "\"code\":\"PAYLOAD_TOO_LARGE\""},
                {413, "/v1/chat/completions", "\"code\":\"request_too_large\""},
                {431, "", "\"status\":431,\"code\":\"headers\""},
                {408, "/v1/models", "request_timeout"},
                {413, "/v1/api-keys/x", "\"errorCode\":\"AB01\""},
                {505, "", "\"status\":505"},
                {418, "", "\"status\":418"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct tk_buf body = TK_BUF(4096), headers = TK_BUF(4096);
                struct tk_refused refused = {.status = rows[i].status,
                                             .path = tk_str_of(rows[i].path),
                                             .why = "why it is",
                                             .id = "the id",
                                             .body = &body,
                                             .headers = &headers};
                tk_api_on_refuse(&refused, NULL);
                assert_true(tk_buf_ok(&body));
                assert_non_null(strstr(body.at, rows[i].body));
                if (strstr(rows[i].path, "api-keys"))
                        assert_true(tk_str_is(tk_buf_str(&headers), "x-portkey-request-id: the id\r\n"));
                else
                        assert_int_equal(headers.len, 0);
                tk_buf_free(&headers);
                tk_buf_free(&body);
        }
}

/* ---- models ---- */

static void openai_models(void **state) {
        TK_UNUSED(state);
        struct tk_call call = request("GET", "/v1/models", "inference", "");
        run(&call);
        expect(&call, 200,
               "{\"object\":\"list\",\"data\":[{\"id\":\"small\",\"object\":\"model\",\"created\":1795262400,"
               "\"owned_by\":\"demo\"},{\"id\":\"vectors\"");
        call = request("GET", "/v1/models", "private", "");
        run(&call);
        assert_null(strstr(call.answer.at, "small"));
        expect(&call, 200, "vectors");
        call = request("GET", "/v1/models/small", "inference", "");
        run(&call);
        expect(&call, 200,
               "{\"id\":\"small\",\"object\":\"model\",\"created\":1795262400,\"owned_by\":\"demo\"}");
        call = request("GET", "/v1/models/small", "private", "");
        run(&call);
        expect(&call, 404, "model_not_found");
        call = request("GET", "/v1/models/free%20of%20price", "inference", "");
        run(&call);
        expect(&call, 200, "free of price");
        call = request("GET", "/v1/models/nope", "inference", "");
        run(&call);
        expect(&call, 404, "model_not_found");
}

static void venice_models(void **state) {
        static const struct {
                const char *query;
                int status;
                const char *with, *without;
        } rows[] = {
                {"", 200, "\"type\":\"text\"}", "vectors"},
                {"type=text", 200, "\"id\":\"small\"", "vectors"},
                {"type=embedding", 200, "\"id\":\"vectors\"", "small"},
                {"type=all", 200, "\"id\":\"vectors\"", "\"created\""},
                {"type=text", 200,
                 "\"free of price\",\"object\":\"model\",\"owned_by\":\"venice.ai\",\"type\":\"text\","
                 "\"model_spec\":{\"privacy\":\"private\",\"maxCompletionTokens\":4096}}",
                 "vectors"},
                {"type=image", 200, "{\"data\":[],\"object\":\"list\",\"type\":\"image\"}", "small"},
                {"type=code", 200, "{\"data\":[],\"object\":\"list\",\"type\":\"code\"}", "small"},
                {"other=1", 200, "small", "vectors"},
                {"type=text&type=text", 200, "small", "vectors"},
                {"type=bogus", 400,
                 "\"type\":{\"_errors\":[\"Invalid enum value. Expected 'asr' | 'embedding' | 'image' | "
                 "'music' | "
                 "'text' | 'tts' | 'upscale' | 'inpaint' | 'video', received 'bogus'\",\"Invalid enum value. "
                 "Expected "
                 "'all' | 'code', received 'bogus'\"]}",
                 "small"},
                {"type=", 400, "received ''", "small"},
                {"type=%ff", 400, "invalid_union", "small"},
                {"type=text&type=all", 400, "received array", "small"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct tk_call call = request("GET", "/api/v1/models", NULL, "");
                call.query = rows[i].query;
                print_message("%s\n", rows[i].query);
                run(&call);
                assert_null(strstr(call.answer.at, rows[i].without));
                expect(&call, rows[i].status, rows[i].with);
        }
        struct tk_call call = request("GET", "/api/v1/models", "private", "");
        run(&call);
        assert_null(strstr(call.answer.at, "small"));
        expect(&call, 200,
               "{\"id\":\"long\",\"object\":\"model\",\"owned_by\":\"venice.ai\",\"type\":\"text\",\"context_"
               "length\":"
               "1000000,\"model_spec\":{\"privacy\":\"private\",\"availableContextTokens\":1000000,"
               "\"maxCompletionTokens\":4096,\"pricing\":{\"input\":{\"usd\":0.15,\"diem\":0.15},\"output\":{"
               "\"usd\":0.6,"
               "\"diem\":0.6},\"cache_input\":{\"usd\":0.075,\"diem\":0.075},\"extended\":{\"context_token_"
               "threshold\":"
               "200000,\"input\":{\"usd\":1,\"diem\":1},\"output\":{\"usd\":2,\"diem\":2},\"cache_write\":{"
               "\"usd\":3,"
               "\"diem\":3}}}}}");
}

/* ---- keys ---- */

#define NEW                                                                                                  \
        "{\"apiKeyType\":\"INFERENCE\",\"description\":\"ci\",\"consumptionLimit\":{\"usd\":5},"             \
        "\"limitPeriod\":\"MONTH\"}"

static const struct tk_key *last_key(void) {
        return &worker.keys[worker.keys_nr - 1];
}

static void create_a_key(void **state) {
        TK_UNUSED(state);
        struct tk_call call = request("POST", KEYS, "admin", NEW);
        unsigned before = worker.keys_nr;
        run(&call);
        expect_header(&call, "cache-control: no-store");
        expect(&call, 200, "{\"data\":{\"id\":\"01000000-0000-0000-0000-000000000007\",\"apiKey\":\"tk_new_");
        assert_int_equal(worker.keys_nr, before + 1);
        assert_int_equal(last_key()->limits[0].cap, 5 * TK_NANO);
        assert_true(tk_id_eq(last_key()->org, worker.keys[0].org));
}

static void create_is_refused(void **state) {
        static const struct {
                const char *name, *body, *type;
                int status;
                const char *answer;
        } rows[] = {
                {"invalid", "{}", "application/json", 400,
                 "{\"error\":\"Invalid request parameters\",\"details\":"},
                {"no JSON", "{", "application/json", 400,
                 "{\"error\":\"Invalid JSON request\",\"details\":{\"_errors\":["},
                {"empty", "", "application/json", 400, "Invalid JSON request"},
                {"text", NEW, "text/plain", 400, "{\"error\":\"'Content-Type' must be 'application/json'\"}"},
                {"no type", NEW, NULL, 400, "must be 'application/json'"},
                {"JSON lines", NEW, "application/json-seq", 400, "must be 'application/json'"},
                {"empty type", NEW, "", 400, "must be 'application/json'"},
                {"parameters", NEW, "Application/JSON; charset=utf-8", 200, "\"success\":true}"},
                {"space before the parameters", NEW, " application/json ;charset=utf-8", 200,
                 "\"success\":true}"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned before = worker.keys_nr;
                struct tk_call call = request("POST", KEYS, "admin", rows[i].body);
                call.headers[1] = (struct fake_header){rows[i].type ? "content-type" : NULL, rows[i].type};
                print_message("%s\n", rows[i].name);
                run(&call);
                expect(&call, rows[i].status, rows[i].answer);
                assert_int_equal(worker.keys_nr, before + (rows[i].status == 200));
        }
        static char big[65538];
        memset(big, ' ', sizeof(big) - 1);
        struct tk_call call = request("POST", KEYS, "admin", big);
        run(&call);
        expect(&call, 413, "PAYLOAD_TOO_LARGE");
        /* A key that may make keys, but not call models, cannot make one that may. */
        call = request("POST", KEYS, "keys only", NEW);
        run(&call);
        expect(&call, 403, "Unauthorized access");
}

static void writes_that_fail(void **state) {
        static const struct {
                const char *method, *body;
        } rows[] = {{"POST", NEW},
                    {"PATCH", "{\"id\":\"01000000-0000-0000-0000-000000000001\"}"},
                    {"DELETE", "{\"id\":\"01000000-0000-0000-0000-000000000001\"}"},
                    {"GET", ""}};
        static const struct {
                enum tk_err err;
                int status;
                const char *body;
        } faults[] = {{TK_E_FULL, 503, "so nothing was done"},
                      {TK_E_READ_ONLY, 503, "so nothing was done"},
                      {TK_E_BUSY, 503, "so nothing was done"},
                      {TK_E_NO_MEMORY, 503, "so nothing was done"},
                      {TK_E_OVERFLOW, 500, "{\"error\":\"An unknown error occurred\"}"}};
        TK_UNUSED(state);
        for (size_t f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
                for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                        struct tk_call call = request(rows[i].method, KEYS, "admin", rows[i].body);
                        worker.write_err = faults[f].err;
                        run(&call);
                        expect(&call, faults[f].status, faults[f].body);
                }
        }
        worker.write_err = TK_OK;
        worker.read_err = TK_E_IO;
        struct tk_call call = request("GET", KEYS, "admin", "");
        run(&call);
        expect(&call, 503, "so nothing was done");
        call = request("GET", KEYS "/01000000-0000-0000-0000-000000000001", "admin", "");
        run(&call);
        expect(&call, 503, "so nothing was done");
}

static void id_without_memory(void **state) {
        TK_UNUSED(state);
        struct tk_call call = request("GET", "/v1/models/small", "inference", "");
        call.no_memory = true;
        run(&call);
        expect(&call, 503, "store_unavailable");
}

static void read_a_key(void **state) {
        static const struct {
                const char *name, *id;
                int status;
                const char *body;
        } rows[] = {
                {"its own", "01000000-0000-0000-0000-000000000000", 200, "{\"data\":{\"id\":\"01000000-"},
                {"another", "01000000-0000-0000-0000-000000000001", 200, "\"apiKeyType\":\"INFERENCE\""},
                {"upper case", "01000000-0000-0000-0000-00000000000A", 400,
                 "{\"error\":\"API key not found\"}"},
                {"expired", "01000000-0000-0000-0000-000000000002", 400, "{\"error\":\"API key not found\"}"},
                {"revoked", "01000000-0000-0000-0000-000000000003", 400, "{\"error\":\"API key not found\"}"},
                {"unknown", "01000000-0000-0000-0000-0000000000ff", 400, "{\"error\":\"API key not found\"}"},
                {"no UUID", "x", 400, "{\"error\":\"API key not found\"}"},
        };
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char path[128];
                struct tk_buf text = TK_BUF_OVER(path);
                tk_buf_printf(&text, KEYS "/%s", rows[i].id);
                struct tk_call call = request("GET", path, "admin", "");
                print_message("%s\n", rows[i].name);
                run(&call);
                expect(&call, rows[i].status, rows[i].body);
        }
        worker.keys[1].org.b[0] = 8; /* another organisation's */
        struct tk_call call = request("GET", KEYS "/01000000-0000-0000-0000-000000000001", "admin", "");
        run(&call);
        expect(&call, 400, "{\"error\":\"API key not found\"}");
}

static void usage_is_shown(void **state) {
        TK_UNUSED(state);
        worker.trailing.of[TK_METER_USD] = INT64_C(1234567890);
        worker.period.of[TK_METER_USD] = INT64_C(50);
        worker.keys[1].limits[worker.keys[1].limits_nr++] =
                (struct tk_limit){.window = {.kind = TK_WINDOW_DAY}};
        struct tk_call call = request("GET", KEYS "/01000000-0000-0000-0000-000000000001", "admin", "");
        run(&call);
        expect(&call, 200,
               "\"usage\":{\"trailingSevenDays\":{\"usd\":\"1.2346\",\"vcu\":\"0.0000\",\"diem\":\"0.0000\"}}"
               ","
               "\"currentPeriodUsage\":{\"usd\":\"0.0000\",\"diem\":\"0.0000\"}}}");
}

static void update_a_key(void **state) {
        TK_UNUSED(state);
        struct tk_call call =
                request("PATCH", KEYS, "admin",
                        "{\"id\":\"01000000-0000-0000-0000-000000000001\",\"description\":\"new\","
                        "\"consumptionLimit\":{\"usd\":0}}");
        run(&call);
        expect(&call, 200,
               "\"consumptionLimits\":{\"usd\":0,\"diem\":null,\"vcu\":null},\"limitPeriod\":\"EPOCH\","
               "\"modelPrivacy\":\"ALL\"},\"success\":true}");
        assert_string_equal(worker.keys[1].description, "new");
        static const char *const unknown[] = {"{\"id\":\"01000000-0000-0000-0000-000000000002\"}",
                                              "{\"id\":\"01000000-0000-0000-0000-000000000003\"}",
                                              "{\"id\":\"01000000-0000-0000-0000-0000000000ff\"}",
                                              "{\"id\":\"x\"}", "{\"id\":\"\"}"};
        for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
                call = request("PATCH", KEYS, "admin", unknown[i]);
                run(&call);
                expect(&call, 400, "{\"error\":\"API key not found or expired\"}");
        }
        /* A key may change itself, even so that it expires soon. */
        call = request(
                "PATCH", KEYS, "admin",
                "{\"id\":\"01000000-0000-0000-0000-000000000000\",\"expiresAt\":\"2026-11-21T12:00:01Z\"}");
        run(&call);
        expect(&call, 200, "\"expiresAt\":\"2026-11-21T12:00:01.000Z\"");
}

static void delete_a_key(void **state) {
        TK_UNUSED(state);
        struct tk_call call = request("DELETE", KEYS, "admin", "");
        call.query = "id=01000000-0000-0000-0000-000000000001";
        run(&call);
        expect(&call, 200, "{\"success\":true}");
        assert_int_equal(worker.keys[1].revoked_ms, NOW);
        call = request("DELETE", KEYS, "admin", "");
        call.query = "id=01000000-0000-0000-0000-000000000001";
        run(&call);
        expect(&call, 400, "{\"error\":\"API key could not be found\"}");
        call = request("DELETE", KEYS, "admin", "{\"id\":\"01000000-0000-0000-0000-000000000002\"}");
        run(&call);
        expect(&call, 200, "{\"success\":true}"); /* expired keys can be removed */
        call = request("DELETE", KEYS, "admin", "");
        call.query = "id=nonsense";
        run(&call);
        expect(&call, 400, "{\"error\":\"API key could not be found\"}");
        call = request("DELETE", KEYS, "admin", "");
        run(&call);
        expect(&call, 400, "\"id\":{\"_errors\":[\"Required\"]}");
        call = request("DELETE", KEYS, "admin", "{\"id\":\"x\"}");
        call.headers[1] = (struct fake_header){"content-type", "text/plain"};
        run(&call);
        expect(&call, 400, "must be 'application/json'");
        call = request("DELETE", KEYS, "admin", "");
        call.query = "id=01000000-0000-0000-0000-000000000000"; /* itself */
        run(&call);
        expect(&call, 200, "{\"success\":true}");
        call = request("GET", KEYS, "admin", "");
        run(&call);
        expect(&call, 401, AUTH);
}

/* The client leaves while the write is under way: it happens, nobody is answered, nothing is lent out. */
static void gone_during_a_write(void **state) {
        TK_UNUSED(state);
        struct tk_call call =
                request("PATCH", KEYS, "admin",
                        "{\"id\":\"01000000-0000-0000-0000-000000000001\",\"description\":\"new\"}");
        tk_api_on_call(&call, (void *)(uintptr_t)&api);
        assert_int_equal(worker.ops_nr, 1);
        assert_int_equal(worker.snapshots_nr, 0);
        fake_call_leave(&call);
        assert_true(fake_worker_turn(&worker));
        assert_string_equal(worker.keys[1].description, "new");
        assert_int_equal(call.status, 0);
        fake_call_free(&call);
        call = request("DELETE", KEYS, "admin", "{\"id\":\"01000000-0000-0000-0000-000000000001\"}");
        tk_api_on_call(&call, (void *)(uintptr_t)&api);
        fake_call_leave(&call);
        assert_true(fake_worker_turn(&worker));
        assert_int_equal(worker.keys[1].revoked_ms, NOW);
        fake_call_free(&call);
}

/* Nobody has the secret of a key whose creator left: it is revoked, not left lying about. */
static void writes_name_their_actor(void **state) {
        static const struct {
                const char *method, *body;
        } rows[] = {{"POST", NEW},
                    {"PATCH", "{\"id\":\"01000000-0000-0000-0000-000000000001\"}"},
                    {"DELETE", "{\"id\":\"01000000-0000-0000-0000-000000000001\"}"}};
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct tk_call call = request(rows[i].method, KEYS, "admin", rows[i].body);
                worker.actor = (struct tk_actor){.kind = TK_ACTOR_NR};
                run(&call);
                assert_true(call.over);
                fake_call_free(&call);
                const struct tk_actor *actor = &worker.actor;
                assert_int_equal(actor->kind, TK_ACTOR_KEY);
                assert_true(tk_id_eq(actor->id, worker.keys[0].id));
                assert_string_equal(actor->method, rows[i].method);
                assert_string_equal(actor->uri, KEYS);
                assert_string_equal(actor->request_id, "00000000-0000-7000-8000-000000000000");
                assert_string_equal(actor->client, "192.0.2.7");
                assert_int_equal(actor->status, 200);
        }
}

static void gone_during_create(void **state) {
        TK_UNUSED(state);
        unsigned before = worker.keys_nr;
        struct tk_call call = request("POST", KEYS, "admin", NEW);
        tk_api_on_call(&call, (void *)(uintptr_t)&api);
        fake_call_leave(&call);
        assert_true(fake_worker_turn(&worker));
        assert_int_equal(worker.keys_nr, before + 1);
        assert_true(fake_worker_turn(&worker));
        assert_int_equal(last_key()->revoked_ms, NOW);
        fake_call_free(&call);
        call = request("POST", KEYS, "admin", NEW); /* nothing to revoke when it failed */
        tk_api_on_call(&call, (void *)(uintptr_t)&api);
        fake_call_leave(&call);
        worker.write_err = TK_E_FULL;
        assert_true(fake_worker_turn(&worker));
        assert_false(fake_worker_turn(&worker));
        fake_call_free(&call);
}

static void gone_before_a_read(void **state) {
        static const char *const paths[] = {KEYS, KEYS "/01000000-0000-0000-0000-000000000001"};
        TK_UNUSED(state);
        for (size_t i = 0; i < 2; i++) {
                struct tk_call call = request("GET", paths[i], "admin", "");
                tk_api_on_call(&call, (void *)(uintptr_t)&api);
                fake_call_leave(&call);
                assert_true(fake_worker_turn(&worker));
                fake_call_free(&call);
        }
}

static void fill(unsigned keys_nr) {
        while (worker.keys_nr < keys_nr)
                fake_key_add(&worker, TK_KIND_INFERENCE, "more");
}

static unsigned count(const char *in, const char *what) {
        unsigned n = 0;
        for (const char *at = strstr(in, what); at; at = strstr(at + 1, what))
                n++;
        return n;
}

/* One page, a page and its edge, several pages: each key once, newest first. Two of them are not active. */
static void lists_of_all_lengths(void **state) {
        static const unsigned lengths[] = {7, 65, 66, 67, 129, 130, 131, 200};
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                fill(lengths[i]);
                struct tk_call call = request("GET", KEYS, "admin", "");
                run(&call);
                print_message("%u keys\n", lengths[i]);
                assert_int_equal(count(call.answer.at, "\"last6Chars\""), lengths[i] - 2);
                assert_int_equal(call.started, lengths[i] - 2 >= 64);
                assert_true(call.whole);
                expect(&call, 200, "],\"object\":\"list\"}");
        }
}

static void list_waits_for_a_slow_client(void **state) {
        TK_UNUSED(state);
        fill(200);
        struct tk_call call = request("GET", KEYS, "admin", "");
        call.unsent = 1u << 20;
        run(&call);
        assert_false(call.over);
        assert_int_equal(call.pieces_nr, 1);
        fake_call_drain(&call); /* the second piece finds room, the third comes by message */
        while (!call.over) {
                fake_call_drain(&call); /* drained again while a page is on its way already: not twice */
                assert_true(fake_loop_turn(&loop));
        }
        assert_int_equal(count(call.answer.at, "\"last6Chars\""), 198);
        expect(&call, 200, "],\"object\":\"list\"}");
}

static void list_of_a_client_who_leaves(void **state) {
        TK_UNUSED(state);
        fill(200);
        struct tk_call call = request("GET", KEYS, "admin", "");
        call.unsent = 1u << 20;
        run(&call);
        fake_call_leave(&call); /* while waiting to be drained */
        assert_false(fake_loop_turn(&loop));
        fake_call_free(&call);
        call = request("GET", KEYS, "admin", "");
        tk_api_on_call(&call, (void *)(uintptr_t)&api);
        assert_true(fake_worker_turn(&worker));
        fake_call_leave(&call); /* while the next page is on its way */
        assert_true(fake_loop_turn(&loop));
        assert_false(fake_loop_turn(&loop));
        fake_call_free(&call);
}

/* A list that breaks in the middle must not look whole. */
static void list_that_breaks(void **state) {
        TK_UNUSED(state);
        fill(200);
        struct tk_call call = request("GET", KEYS, "admin", "");
        tk_api_on_call(&call, (void *)(uintptr_t)&api);
        assert_true(fake_worker_turn(&worker));
        worker.read_err = TK_E_IO;
        assert_true(fake_loop_turn(&loop));
        assert_true(call.over);
        assert_false(call.whole);
        fake_call_free(&call);
        worker.read_err = TK_OK;
        loop.ended = true;
        call = request("GET", KEYS, "admin", "");
        run(&call);
        assert_true(call.over);
        assert_false(call.whole);
        fake_call_free(&call);
        loop.ended = false;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(gate),
                CASE(keys_in_other_headers),
                CASE(portkeys_gateway),
                CASE(touches),
                CASE(store_that_fails),
                CASE(refusals_of_the_seam),
                CASE(openai_models),
                CASE(venice_models),
                CASE(create_a_key),
                CASE(create_is_refused),
                CASE(writes_that_fail),
                CASE(id_without_memory),
                CASE(read_a_key),
                CASE(usage_is_shown),
                CASE(update_a_key),
                CASE(delete_a_key),
                CASE(gone_during_a_write),
                CASE(writes_name_their_actor),
                CASE(gone_during_create),
                CASE(gone_before_a_read),
                CASE(lists_of_all_lengths),
                CASE(list_waits_for_a_slow_client),
                CASE(list_of_a_client_who_leaves),
                CASE(list_that_breaks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
