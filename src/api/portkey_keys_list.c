/* SPDX-License-Identifier: Apache-2.0 */
#include "api/portkey_keys_list.h"

#include "api/portkey_apply.h"
#include "api/portkey_keys.h"
#include "api/portkey_view.h"
#include "api/query.h"

#include <stdlib.h>

#define PAGE_KEYS     100 /* when the caller does not say */
#define PAGE_KEYS_MAX 500
#define KEY_BYTES_MAX 65536 /* its texts at their longest, escaped */

struct job {
        struct tk_api_call c; /* c.call is NULL once the client is gone */
        struct tk_portkey_caller caller;
        struct tk_id id;         /* get */
        struct tk_key_page page; /* list */
        struct tk_key key;
        struct tk_profile profile; /* of the key that is being written */
};

static struct job *new_job(struct tk_api_call *c) {
        struct job *job = calloc(1, sizeof *job);
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!job) {
                tk_api_fault(c, TK_E_NO_MEMORY);
                return NULL;
        }
        tk_api_keep(c, &job->c);
        job->caller = tk_portkey_caller_of(c);
        return job;
}

/* The key in the job with its profile. */
TK_CHECKED static enum tk_err write_key(struct job *job, bool alone, struct tk_jw *w) {
        char prefix[TK_KEY_PREFIX_MAX + 1];
        struct tk_portkey_shown shown = {.key = &job->key,
                                         .profile = &job->profile,
                                         .prefix = prefix,
                                         .usage = tk_portkey_usage_limit(&job->key),
                                         .now_ms = job->c.now_ms,
                                         .alone = alone};
        tk_keys_prefix(job->c.worker, job->key.kind, prefix);
        enum tk_err err = TK_OK;
        if (shown.usage)
                err = tk_keys_posted(job->c.worker, job->key.id, shown.usage, job->c.now_ms, &shown.number,
                                     &shown.posted);
        if (err == TK_OK)
                tk_portkey_write_key(w, &shown);
        return err;
}

/* ---- GET /api-keys/{id} ---- */

static void answer_one(struct job *job) {
        struct tk_buf body = TK_BUF(KEY_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        enum tk_err err = tk_keys_find(job->c.worker, job->caller.org, job->id, &job->key, &job->profile);
        if (err == TK_OK && !tk_portkey_sees(&job->caller, &job->key))
                err = TK_E_NOT_FOUND;
        bool may = err != TK_OK || tk_portkey_may(&job->caller, &job->c, job->key.kind);
        if (err == TK_OK && may)
                err = write_key(job, true, &w);
        if (err == TK_OK && may) {
                tk_api_reply(&job->c, 200, &body);
                return;
        }
        tk_buf_free(&body);
        if (err == TK_E_NOT_FOUND)
                tk_api_problem(&job->c, TK_PROBLEM_NO_SUCH_KEY, NULL, NULL);
        else if (err != TK_OK)
                tk_api_fault(&job->c, err);
        else
                tk_api_problem(&job->c, TK_PROBLEM_SCOPE, NULL, NULL);
}

static void get_ready(void *ctx, enum tk_err err) {
        struct job *job = ctx;
        if (job->c.call && err == TK_OK)
                answer_one(job);
        else if (job->c.call)
                tk_api_fault(&job->c, err);
        free(job);
}

void tk_api_portkey_keys_get(struct tk_api_call *c) {
        struct job *job = new_job(c);
        if (!job)
                return;
        if (!tk_id_parse(c->id, &job->id)) {
                tk_api_problem(c, TK_PROBLEM_NO_SUCH_KEY, NULL, NULL);
                free(job);
                return;
        }
        tk_keys_barrier(c->worker, get_ready, job);
}

/* ---- GET /api-keys ---- */

struct listing {
        struct job *job;
        struct tk_jw *w;
        enum tk_err err;
};

/* Asks for the rest from inside of the list: the store then reads all from one snapshot, and locks it once.
 */
static bool write_one(const struct tk_key *key, void *ctx) {
        struct listing *listing = ctx;
        struct job *job = listing->job;
        job->key = *key;
        listing->err = tk_keys_profile(job->c.worker, key->id, &job->profile);
        if (listing->err == TK_OK)
                listing->err = write_key(job, false, listing->w);
        return listing->err == TK_OK;
}

static void answer_list(struct job *job) {
        struct tk_buf body = TK_BUF(PAGE_KEYS_MAX * (size_t)KEY_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        struct listing listing = {.job = job, .w = &w, .err = TK_OK};
        uint64_t total = 0;
        tk_jw_object(&w);
        tk_jw_key(&w, "object");
        tk_jw_text(&w, "list");
        tk_jw_key(&w, "data");
        tk_jw_array(&w);
        enum tk_err err = tk_keys_page(job->c.worker, &job->page, write_one, &listing, &total);
        if (err == TK_OK)
                err = listing.err;
        if (err != TK_OK) {
                tk_buf_free(&body);
                tk_api_fault(&job->c, err);
                return;
        }
        tk_jw_end(&w);
        tk_jw_key(&w, "total");
        tk_jw_u64(&w, total);
        tk_jw_end(&w);
        tk_api_reply(&job->c, 200, &body);
}

static void list_ready(void *ctx, enum tk_err err) {
        struct job *job = ctx;
        if (job->c.call && err == TK_OK)
                answer_list(job);
        else if (job->c.call)
                tk_api_fault(&job->c, err);
        free(job);
}

/* A number under either spelling, which the SDKs mix. False: it is there and no number up to most. */
static bool read_number(struct tk_api_call *c, const char *name, const char *other, uint64_t most,
                        uint64_t *out) {
        struct tk_query_value value;
        tk_query_get(tk_call_query(c->call), name, &value);
        if (value.nr == 0)
                tk_query_get(tk_call_query(c->call), other, &value);
        if (value.nr == 0)
                return true;
        return value.same && value.readable && tk_str_u64((struct tk_str){value.at, value.len}, out) &&
               *out <= most;
}

/* What the query asks for, or the parameter that is wrong. */
static const char *read_query(struct tk_api_call *c, struct job *job) {
        struct tk_query_value workspace;
        uint64_t size = PAGE_KEYS, page = 0;
        if (!read_number(c, "page_size", "pageSize", PAGE_KEYS_MAX, &size))
                return "page_size";
        if (!read_number(c, "current_page", "currentPage", UINT32_MAX, &page))
                return "current_page";
        tk_query_get(tk_call_query(c->call), "workspace_id", &workspace);
        job->page =
                (struct tk_key_page){.org = job->caller.org, .skip = page * size, .limit = (unsigned)size};
        if (job->caller.kind != TK_KIND_ADMIN || workspace.nr)
                if (!workspace.same ||
                    tk_portkey_workspace(c, &job->caller, (struct tk_str){workspace.at, workspace.len},
                                         &job->page.workspace) != TK_OK)
                        return "workspace_id";
        for (unsigned kind = 0; kind < TK_KIND_NR; kind++)
                if (tk_portkey_may(&job->caller, c, (enum tk_key_kind)kind))
                        job->page.kinds |= 1u << kind;
        return NULL;
}

void tk_api_portkey_keys_list(struct tk_api_call *c) {
        struct job *job = new_job(c);
        const char *wrong = job ? read_query(c, job) : NULL;
        if (wrong) {
                tk_api_problem(c, TK_PROBLEM_INVALID_PARAM, wrong, NULL);
                free(job);
                return;
        }
        if (!job)
                return;
        tk_keys_barrier(c->worker, list_ready, job);
}
