/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands around keys through the Venice routes of a running server, those around doubts through its
 * native ones. Caps are read from the raw text of the
 * JSON numbers and never through a double, so that what is shown is what is enforced. What comes from the
 * server is bounded and checked like any input: it may not be a Tollkey at all.
 */
#include "cli/backend.h"

#include "cli/client.h"
#include "cli/measure.h"
#include "cli/output.h"
#include "rt/clock.h"
#include "rt/rand.h"
#include "service/word.h"
#include "wire/json_scan.h"
#include "wire/json_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_PATH   "/api/v1/api_keys"
#define DOUBTS_PATH "/v1/ledger/doubts"
#define PAGES_MAX   100000 /* of doubts: a server that says "more" for ever is none of ours */
#define KEY_ENV     "TOLLKEY_ADMIN_KEY"
#define ANSWER_ROOM 65536 /* so that an answer with a secret is not copied by growing */

struct http_backend {
        struct tk_backend head;
        struct tk_client *client;
        struct tk_buf answer;
};

static const struct {
        enum tk_window_kind kind;
        const char *name;
} periods[] = {
        {TK_WINDOW_DAY, "EPOCH"},
        {TK_WINDOW_MONTH, "MONTH"},
        {TK_WINDOW_LIFETIME, "LIFETIME"},
};
#define PERIODS_NR (sizeof periods / sizeof *periods)

static enum tk_err strange(struct http_backend *b) {
        snprintf(b->head.why, sizeof b->head.why, "%s: the answer is not one of a Tollkey server",
                 tk_client_url(b->client));
        return TK_E_SYNTAX;
}

/* ---- one request ---- */

/* The server's words for a refusal: {"error": "text"}, {"error": {"message": "text"}} or {"detail": "text"}.
 */
static void explain_status(struct http_backend *b, int status) {
        struct tk_json root, error;
        char text[512] = "", clean[512];
        size_t len;
        if (tk_json_check(tk_buf_str(&b->answer), &root, NULL) == TK_OK &&
            tk_json_get(root, "error", &error)) {
                if (error.type == TK_JSON_OBJECT && !tk_json_get(error, "message", &error))
                        error.type = TK_JSON_NULL;
                if (error.type != TK_JSON_STRING || tk_json_string(error, text, sizeof text, &len) != TK_OK)
                        text[0] = '\0';
        } else if (tk_json_check(tk_buf_str(&b->answer), &root, NULL) == TK_OK &&
                   tk_json_get(root, "detail", &error) && error.type == TK_JSON_STRING &&
                   tk_json_string(error, text, sizeof text, &len) != TK_OK) {
                text[0] = '\0';
        }
        snprintf(b->head.why, sizeof b->head.why, "%s answers %d%s%s", tk_client_url(b->client), status,
                 text[0] ? ": " : "", tk_printable(text, clean, sizeof clean));
}

static void add_issues(struct http_backend *b) {
        struct tk_json root, issues, issue, message;
        struct tk_str key;
        char text[256], clean[256];
        size_t len;
        if (tk_json_check(tk_buf_str(&b->answer), &root, NULL) != TK_OK ||
            !tk_json_get(root, "issues", &issues) || issues.type != TK_JSON_ARRAY)
                return;
        struct tk_json_iter iter = tk_json_each(issues);
        while (tk_json_next(&iter, &key, &issue)) {
                size_t at = strlen(b->head.why);
                if (tk_json_get(issue, "message", &message) &&
                    tk_json_string(message, text, sizeof text, &len) == TK_OK)
                        snprintf(b->head.why + at, sizeof b->head.why - at, "; %s",
                                 tk_printable(text, clean, sizeof clean));
        }
}

/* TK_OK: a 200 whose body is JSON; *root lives until the next request. */
static enum tk_err request(struct http_backend *b, const char *method, const char *path, struct tk_str body,
                           struct tk_json *root) {
        int status;
        enum tk_err err = tk_client_call(b->client, method, path, body, &b->answer, &status, b->head.why,
                                         sizeof b->head.why);
        if (err != TK_OK)
                return err;
        if (status != 200) {
                explain_status(b, status);
                add_issues(b);
                return status == 404 ? TK_E_NOT_FOUND : TK_E_IO;
        }
        return tk_json_check(tk_buf_str(&b->answer), root, NULL) == TK_OK ? TK_OK : strange(b);
}

/* ---- reading a key ---- */

/* null and absent give "". False: another type or too long. */
static bool text_of(struct tk_json object, const char *name, char *out, size_t size) {
        struct tk_json value;
        size_t len;
        out[0] = '\0';
        if (!tk_json_get(object, name, &value) || value.type == TK_JSON_NULL)
                return true;
        return tk_json_string(value, out, size, &len) == TK_OK && len == strlen(out);
}

static bool must_text(struct tk_json object, const char *name, char *out, size_t size) {
        return text_of(object, name, out, size) && out[0];
}

/* A cap as exact decimal text; "" when there is none. */
static bool cap_of(struct tk_json caps, const char *name, char out[TK_CAP_TEXT_MAX]) {
        struct tk_json value;
        uint64_t nano;
        out[0] = '\0';
        if (!tk_json_get(caps, name, &value) || value.type == TK_JSON_NULL)
                return true;
        if (value.type != TK_JSON_NUMBER || tk_nano_parse(value.raw, &nano) != TK_OK)
                return false;
        tk_nano_text(nano, out);
        return true;
}

/* {"usd": "1.2500", "diem": "0.0000"} */
static bool add_total(struct tk_json spent, const char *name, struct tk_key_view *view) {
        struct tk_total total = {.name = name};
        uint64_t nano;
        if (!must_text(spent, "usd", total.usd, sizeof total.usd) ||
            !must_text(spent, "diem", total.diem, sizeof total.diem))
                return false;
        if (tk_nano_parse(tk_str_of(total.usd), &nano) != TK_OK ||
            tk_nano_parse(tk_str_of(total.diem), &nano) != TK_OK)
                return false;
        MUST(view->totals_nr < TK_TOTALS_MAX);
        view->totals[view->totals_nr++] = total;
        return true;
}

static bool period_of(const char *api_name, char out[TK_VIEW_TEXT]) {
        for (size_t i = 0; i < PERIODS_NR; i++)
                if (strcmp(periods[i].name, api_name) == 0) {
                        tk_view_name(tk_window_kind_name(periods[i].kind), out);
                        return true;
                }
        return false;
}

static bool view_of(struct tk_json key, struct tk_key_view *view) {
        char kind[TK_VIEW_TEXT], period[TK_VIEW_TEXT], privacy[TK_VIEW_TEXT];
        struct tk_json caps, part;
        struct tk_id id;
        memset(view, 0, sizeof *view);
        if (key.type != TK_JSON_OBJECT || !must_text(key, "id", view->id, sizeof view->id) ||
            !tk_id_parse(tk_str_of(view->id), &id) || !must_text(key, "apiKeyType", kind, sizeof kind) ||
            !text_of(key, "description", view->description, sizeof view->description) ||
            !text_of(key, "last6Chars", view->last6, sizeof view->last6) ||
            !must_text(key, "limitPeriod", period, sizeof period) || !period_of(period, view->period) ||
            !must_text(key, "modelPrivacy", privacy, sizeof privacy) ||
            !text_of(key, "createdAt", view->created, sizeof view->created) ||
            !text_of(key, "expiresAt", view->expires, sizeof view->expires) ||
            !text_of(key, "lastUsedAt", view->last_used, sizeof view->last_used))
                return false;
        tk_view_name(kind, view->kind);
        tk_view_name(privacy, view->privacy);
        if (!tk_json_get(key, "consumptionLimits", &caps) || caps.type != TK_JSON_OBJECT ||
            !cap_of(caps, "usd", view->usd) || !cap_of(caps, "diem", view->diem))
                return false;
        if (tk_json_get(key, "currentPeriodUsage", &part) && !add_total(part, "period", view))
                return false;
        if (tk_json_get(key, "usage", &part) &&
            (!tk_json_get(part, "trailingSevenDays", &part) || !add_total(part, "trailing_7_days", view)))
                return false;
        return true;
}

/* ---- writing a request ---- */

static const char *period_name(enum tk_window_kind kind) {
        for (size_t i = 0; i < PERIODS_NR; i++)
                if (periods[i].kind == kind)
                        return periods[i].name;
        MUST(!"a period that the API has");
        return "";
}

static void put_cap(struct tk_jw *w, const char *name, enum tk_change_op op, uint64_t nano) {
        if (op == TK_CHANGE_KEEP)
                return;
        tk_jw_key(w, name);
        if (op == TK_CHANGE_SET)
                tk_jw_nano(w, nano);
        else
                tk_jw_null(w);
}

static void put_change(struct tk_jw *w, const struct tk_key_change *change) {
        char at[TK_TIME_TEXT_LEN + 1];
        if (change->description) {
                tk_jw_key(w, "description");
                tk_jw_text(w, change->description);
        }
        if (change->usd.op != TK_CHANGE_KEEP || change->diem.op != TK_CHANGE_KEEP) {
                tk_jw_key(w, "consumptionLimit");
                tk_jw_object(w);
                put_cap(w, "usd", change->usd.op, change->usd.nano);
                put_cap(w, "diem", change->diem.op, change->diem.nano);
                tk_jw_end(w);
        }
        if (change->has_period) {
                tk_jw_key(w, "limitPeriod");
                tk_jw_text(w, period_name(change->period));
        }
        if (change->has_privacy) {
                tk_jw_key(w, "modelPrivacy");
                tk_jw_text(w, tk_privacy_name(change->privacy));
        }
        if (change->expires.op != TK_CHANGE_KEEP) {
                tk_jw_key(w, "expiresAt");
                if (change->expires.op == TK_CHANGE_SET)
                        tk_time_text(change->expires.ms, at);
                else
                        at[0] = '\0'; /* the form that both routes take for "never" */
                tk_jw_text(w, at);
        }
}

static enum tk_err send(struct http_backend *b, const char *method, struct tk_buf *body,
                        struct tk_json *root) {
        enum tk_err err;
        if (tk_buf_ok(body)) {
                err = request(b, method, KEYS_PATH, tk_buf_str(body), root);
        } else {
                snprintf(b->head.why, sizeof b->head.why, "out of memory");
                err = TK_E_NO_MEMORY;
        }
        tk_buf_free(body);
        return err;
}

/* ---- the operations ---- */

static enum tk_err http_create(struct tk_backend *backend, enum tk_key_kind kind,
                               const struct tk_key_change *change, char id[TK_ID_TEXT_LEN + 1],
                               struct tk_key_text *secret) {
        struct http_backend *b = (struct http_backend *)backend;
        struct tk_buf body = TK_BUF(8192);
        struct tk_json root, data;
        struct tk_jw w = tk_jw_begin(&body);
        tk_jw_object(&w);
        tk_jw_key(&w, "apiKeyType");
        tk_jw_text(&w, kind == TK_KIND_ADMIN ? "ADMIN" : "INFERENCE");
        put_change(&w, change);
        tk_jw_end(&w);
        enum tk_err err = send(b, "POST", &body, &root);
        if (err != TK_OK)
                return err;
        if (!tk_json_get(root, "data", &data) || !must_text(data, "id", id, TK_ID_TEXT_LEN + 1) ||
            !must_text(data, "apiKey", secret->at, sizeof secret->at))
                return strange(b);
        secret->len = strlen(secret->at);
        return TK_OK;
}

static enum tk_err http_list(struct tk_backend *backend, tk_view_each_f *each, void *ctx) {
        struct http_backend *b = (struct http_backend *)backend;
        struct tk_json root, data, one;
        struct tk_key_view view;
        struct tk_str key;
        enum tk_err err = request(b, "GET", KEYS_PATH, TK_STR(""), &root);
        if (err != TK_OK)
                return err;
        if (!tk_json_get(root, "data", &data) || data.type != TK_JSON_ARRAY)
                return strange(b);
        struct tk_json_iter iter = tk_json_each(data);
        while (tk_json_next(&iter, &key, &one)) {
                if (!view_of(one, &view))
                        return strange(b);
                each(&view, ctx);
        }
        return TK_OK;
}

static enum tk_err http_get(struct tk_backend *backend, const char *id, struct tk_key_view *out) {
        struct http_backend *b = (struct http_backend *)backend;
        struct tk_json root, data;
        char path[sizeof KEYS_PATH + TK_ID_TEXT_LEN + 2];
        snprintf(path, sizeof path, KEYS_PATH "/%s", id);
        enum tk_err err = request(b, "GET", path, TK_STR(""), &root);
        if (err != TK_OK)
                return err;
        return tk_json_get(root, "data", &data) && view_of(data, out) ? TK_OK : strange(b);
}

static enum tk_err http_edit(struct tk_backend *backend, const char *id, const struct tk_key_change *change,
                             struct tk_key_view *out) {
        struct http_backend *b = (struct http_backend *)backend;
        struct tk_buf body = TK_BUF(8192);
        struct tk_json root, data;
        struct tk_jw w = tk_jw_begin(&body);
        tk_jw_object(&w);
        tk_jw_key(&w, "id");
        tk_jw_text(&w, id);
        put_change(&w, change);
        tk_jw_end(&w);
        enum tk_err err = send(b, "PATCH", &body, &root);
        if (err != TK_OK)
                return err;
        return tk_json_get(root, "data", &data) && view_of(data, out) ? TK_OK : strange(b);
}

static enum tk_err http_revoke(struct tk_backend *backend, const char *id) {
        struct http_backend *b = (struct http_backend *)backend;
        struct tk_json root, success;
        char path[sizeof KEYS_PATH + TK_ID_TEXT_LEN + 8];
        snprintf(path, sizeof path, KEYS_PATH "?id=%s", id);
        enum tk_err err = request(b, "DELETE", path, TK_STR(""), &root);
        if (err != TK_OK)
                return err;
        return tk_json_get(root, "success", &success) && tk_json_is_true(success) ? TK_OK : strange(b);
}

/* ---- doubts ---- */

static bool subject_of(struct tk_json row, struct tk_doubt_view *view) {
        char kind[TK_VIEW_TEXT];
        struct tk_id id;
        if (!must_text(row, "subject", kind, sizeof kind) ||
            !must_text(row, "subject_id", view->subject, sizeof view->subject) ||
            !tk_id_parse(tk_str_of(view->subject), &id) || !tk_id_eq(id, view->doubt.subject))
                return false;
        if (strcmp(kind, "organisation") == 0)
                snprintf(view->subject, sizeof view->subject, "org");
        else if (strcmp(kind, "workspace") == 0)
                snprintf(view->subject, sizeof view->subject, "workspace");
        return true;
}

static bool doubt_view_of(struct tk_json row, struct tk_doubt_view *view) {
        char name[TK_DOUBT_NAME_MAX + 1], window[TK_WINDOW_TEXT];
        struct tk_json amount;
        uint64_t value;
        memset(view, 0, sizeof *view);
        if (row.type != TK_JSON_OBJECT || !must_text(row, "id", name, sizeof name) ||
            !tk_doubt_name_parse(tk_str_of(name), &view->doubt) || !subject_of(row, view) ||
            !text_of(row, "description", view->description, sizeof view->description) ||
            !must_text(row, "since", view->since, sizeof view->since) ||
            !text_of(row, "turns_at", view->ends, sizeof view->ends) ||
            !tk_json_get(row, "amount", &amount) || amount.type != TK_JSON_NUMBER ||
            tk_cap_parse(view->doubt.meter, amount.raw, &value) != TK_OK || value == 0 || value > INT64_MAX)
                return false;
        view->doubt.amount = (int64_t)value;
        tk_cap_text(view->doubt.meter, value, view->amount);
        tk_window_text(view->doubt.window, window);
        return tk_str_copy(tk_str_of(window), view->window, sizeof view->window);
}

/* One page. *next: where the following one begins, "": there is none. */
static enum tk_err doubts_page(struct http_backend *b, const char *subject, char next[TK_DOUBT_NAME_MAX + 1],
                               tk_doubt_view_each_f *each, void *ctx) {
        char path[sizeof DOUBTS_PATH + 2 * (size_t)TK_DOUBT_NAME_MAX];
        struct tk_json root, rows, row;
        struct tk_doubt_view view;
        struct tk_doubt after;
        struct tk_str key;
        snprintf(path, sizeof path, DOUBTS_PATH "?limit=1000%s%s%s%s", subject ? "&subject=" : "",
                 subject ? subject : "", next[0] ? "&after=" : "", next);
        enum tk_err err = request(b, "GET", path, TK_STR(""), &root);
        if (err != TK_OK)
                return err;
        if (!tk_json_get(root, "doubts", &rows) || rows.type != TK_JSON_ARRAY ||
            !text_of(root, "next", next, TK_DOUBT_NAME_MAX + 1) ||
            (next[0] && !tk_doubt_name_parse(tk_str_of(next), &after)))
                return strange(b);
        struct tk_json_iter iter = tk_json_each(rows);
        while (tk_json_next(&iter, &key, &row)) {
                if (!doubt_view_of(row, &view))
                        return strange(b);
                each(&view, ctx);
        }
        return TK_OK;
}

static enum tk_err http_doubts(struct tk_backend *backend, const char *subject, tk_doubt_view_each_f *each,
                               void *ctx) {
        struct http_backend *b = (struct http_backend *)backend;
        char next[TK_DOUBT_NAME_MAX + 1] = "";
        if (subject && strcmp(subject, "org") == 0)
                subject = "organisation";
        for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
                enum tk_err err = doubts_page(b, subject, next, each, ctx);
                if (err != TK_OK || !next[0])
                        return err;
        }
        return strange(b);
}

/* Under an id of its own, so that a word that arrives twice counts once. */
static enum tk_err http_resolve(struct tk_backend *backend, const struct tk_doubt *doubt, int64_t spent) {
        struct http_backend *b = (struct http_backend *)backend;
        char name[TK_DOUBT_NAME_MAX + 1], path[sizeof DOUBTS_PATH + sizeof name + 16];
        char id[TK_ID_TEXT_LEN + 1], amount[TK_CAP_TEXT_MAX];
        struct tk_buf body = TK_BUF(4096);
        struct tk_json root;
        struct tk_jw w = tk_jw_begin(&body);
        if (tk_rand_init() != TK_OK) {
                snprintf(b->head.why, sizeof b->head.why, "no random bytes");
                return TK_E_IO;
        }
        tk_doubt_name_text(doubt, name);
        snprintf(path, sizeof path, DOUBTS_PATH "/%s/resolve", name);
        tk_id_text(tk_rand_id(tk_clock_now_ms()), id);
        tk_cap_text(doubt->meter, (uint64_t)spent, amount);
        tk_jw_object(&w);
        tk_jw_key(&w, "id");
        tk_jw_text(&w, id);
        tk_jw_key(&w, "spent");
        tk_jw_text(&w, amount);
        tk_jw_end(&w);
        enum tk_err err = TK_E_NO_MEMORY;
        if (tk_buf_ok(&body))
                err = request(b, "POST", path, tk_buf_str(&body), &root);
        else
                snprintf(b->head.why, sizeof b->head.why, "out of memory");
        tk_buf_free(&body);
        return err;
}

/* ---- life ---- */

static void http_close(struct tk_backend *backend) {
        struct http_backend *b = (struct http_backend *)backend;
        tk_client_close(&b->client);
        if (b->answer.at)
                explicit_bzero(b->answer.at, b->answer.size);
        tk_buf_free(&b->answer);
        free(b);
}

static const struct tk_backend_ops ops = {
        .create = http_create,
        .list = http_list,
        .get = http_get,
        .edit = http_edit,
        .revoke = http_revoke,
        .doubts = http_doubts,
        .resolve = http_resolve,
        .close = http_close,
};

/* The first line of standard input, or the environment. False after a message. */
static bool find_key(const struct tk_cmd_line *line, char out[TK_CLIENT_KEY_MAX + 2]) {
        if (line->opt[TK_OPT_key_stdin]) {
                if (!fgets(out, TK_CLIENT_KEY_MAX + 2, stdin)) {
                        tk_fail("no admin key on standard input");
                        return false;
                }
                out[strcspn(out, "\r\n")] = '\0';
                return true;
        }
        const char *key = getenv(KEY_ENV);
        if (!key || !key[0]) {
                tk_fail("--url needs an admin key: in the environment variable " KEY_ENV
                        ", or with --key-stdin on standard input");
                return false;
        }
        if (tk_str_copy(tk_str_of(key), out, TK_CLIENT_KEY_MAX + 2))
                return true;
        tk_fail("the admin key in " KEY_ENV " is too long");
        return false;
}

/* Without TLS everybody on the way can read the key; only this machine is no way. */
static void warn_plain(const char *url) {
        static const char *const here[] = {"http://127.", "http://localhost", "http://[::1]"};
        if (!tk_str_starts(tk_str_of(url), "http://"))
                return;
        for (size_t i = 0; i < sizeof here / sizeof *here; i++)
                if (tk_str_starts(tk_str_of(url), here[i]))
                        return;
        tk_note("warning: the admin key goes to %s without encryption", url);
}

struct tk_backend *tk_backend_http_open(const struct tk_cmd_line *line, int *code) {
        char key[TK_CLIENT_KEY_MAX + 2], why[256];
        struct http_backend *b = NULL;
        *code = TK_EXIT_FAILED;
        if (!find_key(line, key))
                return NULL;
        b = calloc(1, sizeof *b);
        enum tk_err err = TK_E_NO_MEMORY;
        snprintf(why, sizeof why, "out of memory");
        if (b) {
                b->head.ops = &ops;
                b->answer = TK_BUF(TK_CLIENT_ANSWER_MAX);
                if (tk_buf_room(&b->answer, ANSWER_ROOM))
                        err = tk_client_open(line->opt[TK_OPT_url], key, &b->client, why, sizeof why);
        }
        explicit_bzero(key, sizeof key);
        if (err == TK_OK) {
                warn_plain(tk_client_url(b->client));
                return &b->head;
        }
        *code = err == TK_E_SYNTAX ? tk_misuse("%s", why) : tk_fail("%s", why);
        if (b)
                http_close(&b->head);
        return NULL;
}
