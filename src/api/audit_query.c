/* SPDX-License-Identifier: Apache-2.0 */
#include "api/audit_query.h"

#include "api/query.h"
#include "core/time.h"
#include "core/workspace.h"

#include <string.h>

_Static_assert(TK_AUDIT_VALUE_MAX >= TK_QUERY_VALUE_MAX, "a value fits");

/* One reading; the first fault is kept. */
struct reading {
        struct tk_str query;
        struct tk_audit_query *out;
        struct tk_query_value value;
};

static void fault(struct reading *r, const char *param, const char *detail) {
        if (r->out->param)
                return;
        r->out->param = param;
        r->out->detail = detail;
}

/* The value, empty when there is none or it is no good. */
static struct tk_str value_of(struct reading *r, const char *name) {
        tk_query_get(r->query, name, &r->value);
        if (r->value.nr > 0 && (!r->value.readable || !r->value.same)) {
                fault(r, name, "It must be given once, as text that can be read.");
                return (struct tk_str){"", 0};
        }
        return (struct tk_str){r->value.at, r->value.nr ? r->value.len : 0};
}

static void read_time(struct reading *r, const char *name, int64_t *out) {
        const struct tk_str value = value_of(r, name);
        if (tk_time_parse(value, out) != TK_OK)
                fault(r, name, "It is required, as in 2026-01-31T12:00:00Z.");
}

/* The other spelling is that of the routes under /admin. */
static uint64_t read_number(struct reading *r, const char *name, const char *other, uint64_t least,
                            uint64_t most, uint64_t otherwise, const char *detail) {
        uint64_t number = otherwise;
        struct tk_str value = value_of(r, name);
        if (value.len == 0 && other)
                value = value_of(r, other);
        if (value.len == 0)
                return otherwise;
        if (tk_str_u64(value, &number) && number >= least && number <= most)
                return number;
        fault(r, name, detail);
        return otherwise;
}

static const char *read_text(struct reading *r, const char *name, char out[TK_AUDIT_VALUE_MAX + 1]) {
        const struct tk_str value = value_of(r, name);
        bool fitted = tk_str_copy(value, out, TK_AUDIT_VALUE_MAX + 1);
        MUST(fitted);
        return value.len ? out : NULL;
}

static void read_id(struct reading *r, const char *name, struct tk_id *out) {
        const struct tk_str value = value_of(r, name);
        if (value.len && !tk_id_parse(value, out))
                fault(r, name, "It is a UUID.");
}

/* An id or a slug. */
static void read_workspace(struct reading *r) {
        struct tk_audit_query *out = r->out;
        const struct tk_str value = value_of(r, "workspace_id");
        if (value.len == 0 || tk_id_parse(value, &out->filter.workspace))
                return;
        if (!tk_slug_ok(value) || !tk_str_copy(value, out->workspace_slug, sizeof out->workspace_slug))
                fault(r, "workspace_id", "It is the UUID or the slug of a workspace.");
}

static void read_method(struct reading *r) {
        const struct tk_str value = value_of(r, "method");
        struct tk_audit_filter *filter = &r->out->filter;
        if (tk_str_is(value, "PUT"))
                filter->methods[1] = "PATCH";
        if (tk_str_is(value, "POST"))
                filter->methods[0] = "POST";
        else if (tk_str_is(value, "PUT"))
                filter->methods[0] = "PUT";
        else if (tk_str_is(value, "DELETE"))
                filter->methods[0] = "DELETE";
        else if (value.len)
                fault(r, "method", "It is POST, PUT or DELETE.");
}

static void read_kind(struct reading *r) {
        const struct tk_str value = value_of(r, "user_type");
        if (tk_str_is(value, "user"))
                r->out->filter.kinds = 1u << TK_ACTOR_USER;
        else if (tk_str_is(value, "api_key"))
                r->out->filter.kinds = 1u << TK_ACTOR_KEY;
        else if (value.len)
                fault(r, "user_type", "It is user or api_key.");
        if (value_of(r, "country").len)
                r->out->filter.kinds = 1u << TK_ACTOR_NR; /* which nobody is */
}

static void read_page(struct reading *r) {
        struct tk_audit_query *out = r->out;
        out->limit = (unsigned)read_number(r, "page_size", "pageSize", 0, TK_AUDIT_PAGE_MAX, TK_AUDIT_PAGE,
                                           "It is a number from 0 to 100.");
        const uint64_t page = read_number(r, "current_page", "currentPage", 0, UINT64_MAX, 0,
                                          "It is the number of a page, from 0.");
        if (__builtin_mul_overflow(page, (uint64_t)out->limit, &out->skip))
                out->skip = UINT64_MAX; /* there are not so many */
}

enum tk_err tk_audit_query_read(struct tk_str query, struct tk_audit_query *out) {
        struct reading r = {.query = query, .out = out};
        *out = (struct tk_audit_query){.limit = 0};
        read_time(&r, "start_time", &out->filter.from_ms);
        read_time(&r, "end_time", &out->filter.to_ms);
        if (value_of(&r, "organisation_id").len == 0)
                fault(&r, "organisation_id", "It is required.");
        read_id(&r, "organisation_id", &out->filter.org);
        read_method(&r);
        out->filter.uri = read_text(&r, "uri", out->texts[0]);
        out->filter.request_id = read_text(&r, "request_id", out->texts[1]);
        read_id(&r, "user_id", &out->filter.actor);
        read_kind(&r);
        read_workspace(&r);
        out->filter.status = (int)read_number(&r, "response_status_code", NULL, 100, 599, 0,
                                              "It is a number from 100 to 599.");
        out->filter.resource_type = read_text(&r, "resource_type", out->texts[2]);
        read_id(&r, "resource_id", &out->filter.resource);
        out->filter.action = read_text(&r, "action", out->texts[3]);
        out->filter.client = read_text(&r, "client_ip", out->texts[4]);
        read_page(&r);
        return out->param ? TK_E_RANGE : TK_OK;
}
