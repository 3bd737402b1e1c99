/* SPDX-License-Identifier: Apache-2.0
 *
 * The front of the store for the audit log: what may go down, what is believed on its way up.
 */
#include "store/audit.h"

#include <string.h>

#include "store/store_front.h"

/* Printable, and fits with its NUL. */
static bool text_ok(const char *text, size_t size) {
        const size_t len = strnlen(text, size);
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)text[i] < ' ' || text[i] == 0x7F)
                        return false;
        return len < size && tk_str_utf8_ok((struct tk_str){text, len});
}

/* Lower-case words. */
static bool word_ok(const char *text, size_t size) {
        const size_t len = strnlen(text, size);
        return len > 0 && len < size && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.") == len;
}

/* An object, as far as its ends tell, or empty. */
static bool json_ok(struct tk_str json) {
        if (json.len == 0)
                return true;
        return json.len >= 2 && json.len <= TK_AUDIT_JSON_MAX && json.at[0] == '{' &&
               json.at[json.len - 1] == '}' && tk_str_utf8_ok(json);
}

bool tk_audit_ok(const struct tk_audit *a) {
        const bool acts_as_somebody = a->kind == TK_ACTOR_KEY || a->kind == TK_ACTOR_USER;
        return !tk_id_none(a->id) && !tk_id_none(a->org) && !tk_id_none(a->resource) && time_ok(a->at_ms) &&
               (unsigned)a->kind < TK_ACTOR_NR && acts_as_somebody == !tk_id_none(a->actor) &&
               text_ok(a->actor_name, sizeof a->actor_name) && word_ok(a->action, sizeof a->action) &&
               strchr(a->action, '.') && word_ok(a->resource_type, sizeof a->resource_type) &&
               text_ok(a->method, sizeof a->method) && text_ok(a->uri, sizeof a->uri) &&
               text_ok(a->request_id, sizeof a->request_id) && text_ok(a->client, sizeof a->client) &&
               (a->status == 0 || (a->status >= 100 && a->status <= 599)) && json_ok(a->before) &&
               json_ok(a->after);
}

enum tk_err tk_store_audit_add(struct tk_store *store, const struct tk_audit *audit) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!tk_audit_ok(audit))
                return refuse(TK_E_RANGE, "an audit record");
        return store->ops->audit_add(store, audit);
}

enum tk_err tk_store_audit_trim(struct tk_store *store, int64_t before_ms, unsigned limit) {
        const enum tk_err broken = in_batch(store);
        if (broken)
                return broken;
        if (!time_ok(before_ms))
                return refuse(TK_E_RANGE, "the end of audit records");
        return store->ops->audit_trim(store, before_ms, limit);
}

/* ---- readers ---- */

struct audit_walk {
        tk_audit_each_f *each;
        void *ctx;
        const struct tk_audit_filter *filter;
        unsigned left;
        bool begun;
        int64_t last_ms;
        struct tk_id last_id;
        enum tk_err err;
};

static bool in_order(const struct audit_walk *walk, const struct tk_audit *audit) {
        if (!walk->begun || audit->at_ms < walk->last_ms)
                return true;
        return audit->at_ms == walk->last_ms && memcmp(audit->id.b, walk->last_id.b, sizeof audit->id.b) < 0;
}

static bool audit_up(const struct tk_audit *audit, void *ctx) {
        struct audit_walk *walk = ctx;
        if (!tk_audit_ok(audit) || !walk->left || !tk_id_eq(audit->org, walk->filter->org) ||
            audit->at_ms < walk->filter->from_ms || audit->at_ms > walk->filter->to_ms ||
            !in_order(walk, audit)) {
                walk->err = damaged("audit record", audit->id);
                return false;
        }
        walk->left--;
        walk->begun = true;
        walk->last_ms = audit->at_ms;
        walk->last_id = audit->id;
        return walk->each(audit, walk->ctx);
}

/* With no NULL in it, so that engines need not ask. */
static struct tk_audit_filter plain(const struct tk_audit_filter *filter) {
        struct tk_audit_filter out = *filter;
        const char **texts[] = {&out.methods[0],    &out.methods[1], &out.uri,   &out.request_id,
                                &out.resource_type, &out.action,     &out.client};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                if (!*texts[i])
                        *texts[i] = "";
        return out;
}

enum tk_err tk_reader_audit_list(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                 uint64_t skip, unsigned limit, tk_audit_each_f *each, void *ctx) {
        const struct tk_audit_filter asked = plain(filter);
        struct audit_walk walk = {.each = each, .ctx = ctx, .filter = &asked, .left = limit};
        if (limit == 0 || skip > INT64_MAX || asked.from_ms > asked.to_ms)
                return TK_OK;
        enum tk_err err = reader->store->ops->audit_list(reader, &asked, skip, limit, audit_up, &walk);
        return err ? err : walk.err;
}

enum tk_err tk_reader_audit_count(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                  uint64_t *nr) {
        const struct tk_audit_filter asked = plain(filter);
        *nr = 0;
        return asked.from_ms > asked.to_ms ? TK_OK : reader->store->ops->audit_count(reader, &asked, nr);
}

enum tk_err tk_reader_audit_oldest(struct tk_reader *reader, int64_t *at_ms) {
        int64_t found = 0;
        *at_ms = 0;
        enum tk_err err = reader->store->ops->audit_oldest(reader, &found);
        if (!err && !time_ok(found))
                err = damaged("the time of an audit record", reader->store->org);
        if (!err)
                *at_ms = found;
        return err;
}
