/* SPDX-License-Identifier: Apache-2.0 */
#include "api/portkey_audit.h"

#include "api/audit_query.h"
#include "api/call.h"
#include "core/time.h"
#include "store/people.h"
#include "wire/json_scan.h"

#include <string.h>

#define RECORD_BYTES_MAX (8 * TK_AUDIT_JSON_MAX)

static void put_text(struct tk_jw *w, const char *name, const char *text) {
        if (!text[0])
                return;
        tk_jw_key(w, name);
        tk_jw_text(w, text);
}

static void put_id(struct tk_jw *w, const char *name, struct tk_id id) {
        char text[TK_ID_TEXT_LEN + 1] = "";
        if (!tk_id_none(id))
                tk_id_text(id, text);
        put_text(w, name, text);
}

/* What the store has is JSON, unless the file was damaged. */
static void put_json(struct tk_jw *w, const char *name, struct tk_str json) {
        struct tk_json root;
        if (json.len == 0)
                return;
        tk_jw_key(w, name);
        if (tk_json_check(json, &root, NULL) == TK_OK)
                tk_jw_raw(w, json);
        else
                tk_jw_str(w, json);
}

static void put_request(struct tk_jw *w, const struct tk_audit *audit) {
        put_text(w, "method", strcmp(audit->method, "PATCH") == 0 ? "PUT" : audit->method);
        put_text(w, "uri", audit->uri);
        put_text(w, "request_id", audit->request_id);
        if (audit->status) {
                tk_jw_key(w, "response_status_code");
                tk_jw_i64(w, audit->status);
        }
        put_text(w, "client_ip", audit->client);
}

static void put_actor(struct tk_jw *w, const struct tk_audit *audit) {
        static const char *const names[TK_ACTOR_NR] = {"api_key", "user", "operator", "system"};
        if (!tk_id_none(audit->actor))
                put_text(w, "user_type", names[audit->kind]); /* the documented two have an id */
        put_id(w, "user_id", audit->actor);
        tk_jw_key(w, "actor");
        tk_jw_object(w);
        put_text(w, "type", names[audit->kind]);
        put_id(w, "id", audit->actor);
        put_text(w, "name", audit->actor_name);
        tk_jw_end(w);
}

void tk_portkey_write_audit(struct tk_jw *w, const struct tk_audit *audit) {
        char at[TK_TIME_TEXT_LEN + 1];
        tk_time_text(audit->at_ms, at);
        tk_jw_object(w);
        put_id(w, "id", audit->id);
        put_text(w, "timestamp", at);
        put_request(w, audit);
        put_actor(w, audit);
        put_id(w, "organisation_id", audit->org);
        put_id(w, "workspace_id", audit->workspace);
        put_text(w, "resource_type", audit->resource_type);
        put_id(w, "resource_id", audit->resource);
        put_text(w, "action", audit->action);
        put_json(w, "before", audit->before);
        put_json(w, "after", audit->after);
        tk_jw_end(w);
}

static bool write_one(const struct tk_audit *audit, void *ctx) {
        struct tk_jw *w = ctx;
        tk_portkey_write_audit(w, audit);
        return tk_buf_ok(w->buf);
}

/* A slug that nobody has names a workspace without records: an id that nothing has. */
static enum tk_err find_workspace(struct tk_reader *reader, struct tk_audit_query *query) {
        struct tk_workspace workspace;
        if (!query->workspace_slug[0])
                return TK_OK;
        enum tk_err err =
                tk_reader_workspace_by_slug(reader, query->filter.org, query->workspace_slug, &workspace);
        if (err == TK_OK)
                query->filter.workspace = workspace.id;
        else if (err == TK_E_NOT_FOUND)
                memset(query->filter.workspace.b, 0xFF, sizeof query->filter.workspace.b);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

void tk_api_audit_logs(struct tk_api_call *c) {
        struct tk_audit_query query;
        struct tk_reader *reader = tk_worker_reader(c->worker);
        uint64_t total = 0;
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (tk_audit_query_read(tk_call_query(c->call), &query) != TK_OK) {
                tk_api_problem(c, TK_PROBLEM_INVALID_PARAM, query.param, query.detail);
                return;
        }
        if (!tk_id_eq(query.filter.org, c->key->org)) { /* whether it exists is nobody else's business */
                tk_api_problem(c, TK_PROBLEM_SCOPE, "organisation_id", NULL);
                return;
        }
        struct tk_buf body = TK_BUF((size_t)(query.limit + 1) * RECORD_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        tk_jw_object(&w);
        tk_jw_key(&w, "records");
        tk_jw_array(&w);
        enum tk_err err = find_workspace(reader, &query);
        if (err == TK_OK)
                err = tk_reader_audit_list(reader, &query.filter, query.skip, query.limit, write_one, &w);
        if (err == TK_OK)
                err = tk_reader_audit_count(reader, &query.filter, &total);
        if (err != TK_OK) {
                tk_buf_free(&body);
                tk_api_fault(c, err);
                return;
        }
        tk_jw_end(&w);
        tk_jw_key(&w, "total");
        tk_jw_u64(&w, total);
        tk_jw_key(&w, "object");
        tk_jw_text(&w, "analytics-graph");
        tk_jw_end(&w);
        tk_api_reply(c, 200, &body);
}
