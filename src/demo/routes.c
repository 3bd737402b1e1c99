/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/routes.h"

#include "wire/json_write.h"

#include <stdio.h>
#include <string.h>

#define LIST_BYTES_MAX (1u << 20)

typedef void handle_f(struct tk_call *call, const struct tk_demo_site *site);

static void reply_json(struct tk_call *call, struct tk_buf *body) {
        struct tk_demo_problem problem = {0};
        if (tk_buf_ok(body)) {
                tk_call_reply(call, 200, "application/json", tk_buf_str(body));
        } else {
                tk_demo_problem_set(&problem, 500, NULL, NULL, "The server is out of memory.");
                tk_demo_fail(call, &problem);
        }
        tk_buf_free(body);
}

static void chat(struct tk_call *call, const struct tk_demo_site *site) {
        tk_demo_job_start(call, site, TK_DEMO_CHAT);
}

static void completion(struct tk_call *call, const struct tk_demo_site *site) {
        tk_demo_job_start(call, site, TK_DEMO_COMPLETION);
}

static void embedding(struct tk_call *call, const struct tk_demo_site *site) {
        tk_demo_job_start(call, site, TK_DEMO_EMBEDDING);
}

/* ---- models ---- */

static void put_model(struct tk_jw *w, const char *id, int64_t created_s) {
        tk_jw_object(w);
        tk_jw_key(w, "id");
        tk_jw_text(w, id);
        tk_jw_key(w, "object");
        tk_jw_text(w, "model");
        tk_jw_key(w, "created");
        tk_jw_i64(w, created_s);
        tk_jw_key(w, "owned_by");
        tk_jw_text(w, "tollkey-demo");
        tk_jw_end(w);
}

static void models(struct tk_call *call, const struct tk_demo_site *site) {
        struct tk_buf body = TK_BUF(LIST_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        tk_jw_object(&w);
        tk_jw_key(&w, "object");
        tk_jw_text(&w, "list");
        tk_jw_key(&w, "data");
        tk_jw_array(&w);
        for (const char *const *id = site->models; *id; id++)
                put_model(&w, *id, site->started_s);
        tk_jw_end(&w);
        tk_jw_end(&w);
        reply_json(call, &body);
}

static int nibble(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)(c | 0x20);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes percent-encoding; false when it is malformed or does not fit. */
static bool decode(struct tk_str s, char *out, size_t size) {
        size_t n = 0;
        for (size_t i = 0; i < s.len; i++) {
                char c = s.at[i];
                if (n + 1 >= size)
                        return false;
                if (c == '%') {
                        if (s.len - i < 3 || nibble(s.at[i + 1]) < 0 || nibble(s.at[i + 2]) < 0)
                                return false;
                        c = (char)(nibble(s.at[i + 1]) << 4 | nibble(s.at[i + 2]));
                        i += 2;
                }
                if (c == '\0')
                        return false;
                out[n++] = c;
        }
        out[n] = '\0';
        return true;
}

static void one_model(struct tk_call *call, const struct tk_demo_site *site) {
        struct tk_str raw = tk_str_skip(tk_call_path(call), strlen("/v1/models/"));
        struct tk_demo_problem problem = {0};
        char id[TK_DEMO_MODEL_MAX + 1];
        bool readable = decode(raw, id, sizeof id);
        for (const char *const *known = site->models; readable && *known; known++) {
                if (strcmp(id, *known) != 0)
                        continue;
                struct tk_buf body = TK_BUF(LIST_BYTES_MAX);
                struct tk_jw w = tk_jw_begin(&body);
                put_model(&w, *known, site->started_s);
                reply_json(call, &body);
                return;
        }
        tk_demo_problem_set(&problem, 404, "model", "model_not_found", "The model '%s' does not exist",
                            readable ? id : "");
        tk_demo_fail(call, &problem);
}

/* ---- truth ---- */

static void truth(struct tk_call *call, const struct tk_demo_site *site) {
        struct tk_buf body = TK_BUF(LIST_BYTES_MAX * 4);
        tk_demo_truth_write(site->truth, &body);
        reply_json(call, &body);
}

static void truth_reset(struct tk_call *call, const struct tk_demo_site *site) {
        tk_demo_truth_reset(site->truth);
        truth(call, site);
}

/* ---- the table ---- */

/* A path that ends in a slash is the beginning of many. */
static const struct route {
        const char *method, *path;
        handle_f *handle;
} routes[] = {
        {"POST", "/v1/chat/completions", chat},     {"POST", "/v1/completions", completion},
        {"POST", "/v1/embeddings", embedding},      {"GET", "/v1/models", models},
        {"GET", "/v1/models/", one_model},          {"GET", "/demo/truth", truth},
        {"POST", "/demo/truth/reset", truth_reset},
};

static const struct route *find(struct tk_str path) {
        for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
                const char *want = routes[i].path;
                size_t len = strlen(want);
                if (want[len - 1] == '/' ? tk_str_starts(path, want) && path.len > len
                                         : tk_str_is(path, want))
                        return &routes[i];
        }
        return NULL;
}

/* In a time that does not depend on where they differ. */
static bool same(struct tk_str a, struct tk_str b) {
        unsigned char differ = a.len != b.len;
        for (size_t i = 0; i < a.len; i++)
                differ |= (unsigned char)(a.at[i] ^ (b.len ? b.at[i % b.len] : 0));
        return !differ;
}

static bool may(struct tk_call *call, const struct tk_demo_site *site, struct tk_demo_problem *problem) {
        struct tk_str given = tk_call_header(call, "authorization");
        if (!site->api_key)
                return true;
        if (!tk_str_is_nocase(tk_str_head(given, given.len < 7 ? given.len : 7), "bearer ")) {
                tk_demo_problem_set(
                        problem, 401, NULL, NULL,
                        "You didn't provide an API key. You need to provide your API key in an "
                        "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).");
                return false;
        }
        if (same(tk_str_trim(tk_str_skip(given, 7)), tk_str_of(site->api_key)))
                return true;
        tk_demo_problem_set(problem, 401, NULL, "invalid_api_key", "Incorrect API key provided.");
        return false;
}

void tk_demo_on_call(struct tk_call *call, void *ctx) {
        const struct tk_demo_site *site = ctx;
        struct tk_str method = tk_call_method(call), path = tk_call_path(call);
        const struct route *route = find(path);
        struct tk_demo_problem problem = {0};
        tk_call_add_header(call, "x-demo-upstream", TK_STR("tollkey/" TK_VERSION ", not a language model"));
        if (!may(call, site, &problem)) {
                tk_demo_fail(call, &problem);
                return;
        }
        bool head = route && tk_str_is(method, "HEAD") && strcmp(route->method, "GET") == 0;
        if (route && (head || tk_str_is(method, route->method))) {
                route->handle(call, site);
                return;
        }
        if (route) {
                tk_call_add_header(call, "allow", tk_str_of(route->method));
                tk_demo_problem_set(
                        &problem, 405, NULL, "method_not_supported",
                        "Not allowed to %.*s on %s (HINT: Perhaps you meant to use a different HTTP "
                        "method?)",
                        method.len > 20 ? 20 : (int)method.len, method.at, route->path);
        } else {
                tk_demo_problem_set(&problem, 404, NULL, NULL, "Invalid URL (%.*s %.*s)",
                                    method.len > 20 ? 20 : (int)method.len, method.at,
                                    path.len > 200 ? 200 : (int)path.len, path.at);
        }
        tk_demo_fail(call, &problem);
}

void tk_demo_on_refuse(const struct tk_refused *refused, void *ctx) {
        struct tk_demo_problem problem = {0};
        TK_UNUSED(ctx);
        tk_demo_problem_set(&problem, refused->status, NULL, NULL, "%s", refused->why);
        tk_demo_problem_write(&problem, refused->body);
}
