/* SPDX-License-Identifier: Apache-2.0 */
#include "api/venice_keys_list.h"

#include "api/call.h"
#include "api/venice_view.h"

#include <stdlib.h>

#define PAGE_KEYS        64
#define PAGE_BYTES_MAX   (PAGE_KEYS * 4096u)
#define UNSENT_BYTES_MAX (256u << 10) /* more than this waits for the client */
#define KEY_BYTES_MAX    8192

/*
 * Loop thread only. Exactly one of these is true while the job lives: something is under way that will call
 * back (busy), or it waits for on_drained, which comes only while the client is there.
 */
struct job {
        struct tk_msg msg;    /* the next page, as a message to the own loop; first, so that it is the job */
        struct tk_api_call c; /* c.call is NULL once the client is gone */
        struct tk_id org;
        struct tk_id id;    /* get */
        struct tk_id after; /* list: the last key that was written */
        bool busy;
        bool started;     /* the list is being streamed */
        unsigned page_nr; /* keys of the page that was written last */
};

static void free_job(struct job *job) {
        free(job);
}

static void forget_call(struct tk_call *call, void *ctx) {
        struct job *job = ctx;
        TK_UNUSED(call);
        job->c.call = NULL;
        if (!job->busy)
                free_job(job);
}

static struct job *new_job(struct tk_api_call *c) {
        struct job *job = calloc(1, sizeof(*job));
        if (!job) {
                tk_api_fault(c, TK_E_NO_MEMORY);
                return NULL;
        }
        job->c = *c;
        job->c.snapshot = NULL; /* the router's; what is needed of the key is copied */
        job->c.key = NULL;
        job->org = c->key->org;
        job->busy = true;
        tk_call_on_gone(c->call, forget_call, job);
        return job;
}

TK_CHECKED static enum tk_err write_with_usage(struct job *job, const struct tk_key *key, struct tk_jw *w) {
        struct tk_venice_usage usage = {0};
        enum tk_err err = tk_keys_trailing(job->c.worker, key, job->c.now_ms, &usage.trailing);
        if (err == TK_OK && tk_venice_has_money_limit(key))
                err = tk_keys_period(job->c.worker, key, job->c.now_ms, &usage.period);
        if (err == TK_OK)
                tk_venice_write_key(w, key, &usage);
        return err;
}

/* ---- GET /api_keys/{id} ---- */

static void answer_one(struct job *job) {
        struct tk_key key;
        struct tk_buf body = TK_BUF(KEY_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        enum tk_err err = tk_keys_get(job->c.worker, job->org, job->id, job->c.now_ms, &key);
        if (err == TK_E_NOT_FOUND) {
                tk_api_problem(&job->c, TK_PROBLEM_NO_SUCH_KEY, NULL, NULL);
                return;
        }
        if (err == TK_OK) {
                tk_jw_object(&w);
                tk_jw_key(&w, "data");
                err = write_with_usage(job, &key, &w);
        }
        if (err != TK_OK) {
                tk_buf_free(&body);
                tk_api_fault(&job->c, err);
                return;
        }
        tk_jw_end(&w);
        tk_api_reply(&job->c, 200, &body);
}

static void get_ready(void *ctx, enum tk_err err) {
        struct job *job = ctx;
        if (job->c.call && err == TK_OK)
                answer_one(job);
        else if (job->c.call)
                tk_api_fault(&job->c, err);
        free_job(job);
}

void tk_api_venice_keys_get(struct tk_api_call *c) {
        struct tk_id id;
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!tk_id_parse(c->id, &id)) {
                tk_api_problem(c, TK_PROBLEM_NO_SUCH_KEY, NULL, NULL);
                return;
        }
        struct job *job = new_job(c);
        if (!job)
                return;
        job->id = id;
        tk_keys_barrier(c->worker, get_ready, job);
}

/* ---- GET /api_keys ---- */

struct page {
        struct job *job;
        struct tk_buf *body;
        enum tk_err err;
};

/* Asks for the usage from inside of the list: the store then reads both from one snapshot, and locks it once.
 */
static bool write_one(const struct tk_key *key, void *ctx) {
        struct page *page = ctx;
        struct job *job = page->job;
        struct tk_jw w = tk_jw_begin(page->body);
        MUST(job->page_nr < PAGE_KEYS);
        if (job->page_nr > 0 || job->started)
                tk_buf_char(page->body, ',');
        page->err = write_with_usage(job, key, &w);
        job->after = key->id;
        job->page_nr++;
        return page->err == TK_OK;
}

TK_CHECKED static enum tk_err write_page(struct job *job, struct tk_buf *body) {
        struct page page = {.job = job, .body = body, .err = TK_OK};
        job->page_nr = 0;
        enum tk_err err =
                tk_keys_list(job->c.worker, job->org, job->c.now_ms, job->after, PAGE_KEYS, write_one, &page);
        if (err == TK_OK)
                err = page.err;
        return err == TK_OK && !tk_buf_ok(body) ? TK_E_NO_MEMORY : err;
}

static void fail_list(struct job *job, enum tk_err err) {
        if (job->started)
                tk_call_end(job->c.call, false); /* the client sees a broken answer, not a short list */
        else
                tk_api_fault(&job->c, err);
        free_job(job);
}

static void step(struct job *job);

static void step_from_message(struct tk_msg *msg) {
        struct job *job = (struct job *)msg;
        if (job->c.call)
                step(job);
        else
                free_job(job);
}

static void step_from_drained(struct tk_call *call, void *ctx) {
        struct job *job = ctx;
        TK_UNUSED(call);
        if (job->busy)
                return; /* drained again while a page is on its way already */
        job->busy = true;
        step(job);
}

/* After a full page: the next one in the next turn, or when the client has taken what it was sent. */
static void go_on(struct job *job, struct tk_str piece) {
        struct tk_call *call = job->c.call;
        if (!job->started) {
                job->started = true;
                tk_call_start(call, 200, "application/json");
                tk_call_on_drained(call, step_from_drained, job);
        }
        tk_call_send(call, piece);
        if (tk_call_unsent(call) > UNSENT_BYTES_MAX) {
                job->busy = false;
                return;
        }
        if (!tk_loop_send(tk_call_loop(call), &job->msg))
                fail_list(job, TK_E_CLOSED);
}

static void step(struct job *job) {
        struct tk_buf body = TK_BUF(PAGE_BYTES_MAX);
        if (!job->started)
                tk_buf_text(&body, "{\"data\":[");
        enum tk_err err = write_page(job, &body);
        bool last = err == TK_OK && job->page_nr < PAGE_KEYS;
        if (last)
                tk_buf_text(&body, "],\"object\":\"list\"}");
        if (err == TK_OK && !tk_buf_ok(&body))
                err = TK_E_NO_MEMORY;
        if (err != TK_OK) {
                fail_list(job, err);
        } else if (!last) {
                go_on(job, tk_buf_str(&body));
        } else {
                if (job->started) {
                        tk_call_send(job->c.call, tk_buf_str(&body));
                        tk_call_end(job->c.call, true);
                } else {
                        tk_call_reply(job->c.call, 200, "application/json", tk_buf_str(&body));
                }
                free_job(job);
        }
        tk_buf_free(&body);
}

static void list_ready(void *ctx, enum tk_err err) {
        struct job *job = ctx;
        if (!job->c.call)
                free_job(job);
        else if (err != TK_OK)
                fail_list(job, err);
        else
                step(job);
}

void tk_api_venice_keys_list(struct tk_api_call *c) {
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        struct job *job = new_job(c);
        if (!job)
                return;
        job->msg.run = step_from_message;
        tk_keys_barrier(c->worker, list_ready, job);
}
