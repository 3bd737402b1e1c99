/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native_doubts.h"

#include "api/native.h"
#include "api/query.h"
#include "service/word.h"

#include <stdlib.h>

#define ROW_BYTES_MAX 2048 /* a description may be escaped throughout */

/* ---- the list ---- */

struct list {
        struct tk_jw *w;
        char last[TK_DOUBT_NAME_MAX + 1];
};

static void write_row(const struct tk_doubt_row *row, void *ctx) {
        struct list *list = ctx;
        tk_doubt_name_text(row->doubt, list->last);
        tk_native_write_doubt(list->w, row);
}

/* False: it was given and is not good, and the call was answered. */
static bool query_ok(struct tk_api_call *c, const char *name, const struct tk_query_value *value, bool good,
                     const char *detail) {
        if (value->nr == 0 || (value->readable && value->same && good))
                return true;
        tk_api_problem(c, TK_PROBLEM_INVALID_PARAM, name, detail);
        return false;
}

static struct tk_str value_of(const struct tk_query_value *value) {
        return (struct tk_str){value->at, value->len};
}

static bool read_subject(struct tk_api_call *c, struct tk_id *out) {
        struct tk_query_value value;
        bool good = true;
        tk_query_get(tk_call_query(c->call), "subject", &value);
        if (tk_str_is(value_of(&value), "organisation"))
                *out = c->key->org;
        else if (tk_str_is(value_of(&value), "workspace"))
                *out = c->key->workspace;
        else
                good = tk_id_parse(value_of(&value), out) && !tk_id_none(*out);
        return query_ok(c, "subject", &value, good, "Expects organisation, workspace or an id.");
}

static bool read_limit(struct tk_api_call *c, unsigned *out) {
        struct tk_query_value value;
        uint64_t limit = TK_DOUBTS_PAGE;
        tk_query_get(tk_call_query(c->call), "limit", &value);
        bool good = value.nr == 0 ||
                    (tk_str_u64(value_of(&value), &limit) && limit >= 1 && limit <= TK_DOUBTS_PAGE_MAX);
        *out = good ? (unsigned)limit : 0;
        return query_ok(c, "limit", &value, good, "Expects a number from 1 to 1000.");
}

static bool read_after(struct tk_api_call *c, struct tk_doubt *room, const struct tk_doubt **out) {
        struct tk_query_value value;
        tk_query_get(tk_call_query(c->call), "after", &value);
        bool good = value.nr > 0 && tk_doubt_name_parse(value_of(&value), room);
        *out = good ? room : NULL;
        return query_ok(c, "after", &value, good, "Expects what 'next' of the page before said.");
}

void tk_api_doubts_list(struct tk_api_call *c) {
        struct tk_doubts_ask ask = {.org = c->key->org, .now_ms = c->now_ms};
        struct tk_doubt after;
        bool more;
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!read_subject(c, &ask.subject) || !read_limit(c, &ask.limit) ||
            !read_after(c, &after, &ask.after))
                return;
        struct tk_buf body = TK_BUF((size_t)ask.limit * ROW_BYTES_MAX + TK_NATIVE_ANSWER_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        struct list list = {.w = &w};
        tk_jw_object(&w);
        tk_jw_key(&w, "doubts");
        tk_jw_array(&w);
        enum tk_err err = tk_doubts_list(c->worker, &ask, write_row, &list, &more);
        tk_jw_end(&w);
        tk_jw_key(&w, "next");
        tk_jw_text(&w, err == TK_OK && more ? list.last : NULL);
        tk_jw_end(&w);
        if (err == TK_OK) {
                tk_api_reply(c, 200, &body);
                return;
        }
        tk_buf_free(&body);
        tk_api_fault(c, err);
}

/* ---- the word ---- */

struct job {
        struct tk_api_call c; /* c.call is NULL once the client is gone: the word stands */
        int64_t spent;
};

static void answer_word(struct job *job, const struct tk_word_answer *answer) {
        struct tk_buf body = TK_BUF(TK_NATIVE_ANSWER_BYTES_MAX);
        struct tk_jw w = tk_jw_begin(&body);
        tk_native_write_word(&w, &answer->doubt, job->spent, answer->replayed);
        tk_api_reply(&job->c, 200, &body);
}

static void said(void *ctx, const struct tk_word_answer *answer) {
        struct job *job = ctx;
        switch (job->c.call ? answer->err : TK_E_CLOSED) {
        case TK_OK:
                answer_word(job, answer);
                break;
        case TK_E_NOT_FOUND:
                tk_api_problem(&job->c, TK_PROBLEM_NO_SUCH_DOUBT, NULL, NULL);
                break;
        case TK_E_RANGE:
                tk_api_problem(&job->c, TK_PROBLEM_INVALID_PARAM, "spent", "This is more than is in doubt.");
                break;
        case TK_E_CONFLICT:
                tk_api_problem(&job->c, TK_PROBLEM_CONFLICT, "id", NULL);
                break;
        default:
                if (job->c.call)
                        tk_api_fault(&job->c, answer->err);
        }
        free(job);
}

static void say(struct tk_api_call *c, const struct tk_doubt *of, const struct tk_native_word *read) {
        struct tk_word word = {.org = c->key->org,
                               .id = tk_str_of(read->id),
                               .of = *of,
                               .spent = read->spent,
                               .now_ms = c->now_ms};
        struct job *job = calloc(1, sizeof *job);
        if (!job) {
                tk_api_fault(c, TK_E_NO_MEMORY);
                return;
        }
        tk_api_keep(c, &job->c);
        job->spent = read->spent;
        const struct tk_actor actor = tk_api_actor(c);
        tk_word_say(c->worker, &actor, &word, said, job);
}

void tk_api_doubts_resolve(struct tk_api_call *c) {
        struct tk_native_word word;
        struct tk_doubt of;
        struct tk_buf refusal = TK_BUF(TK_ISSUES_BYTES_MAX);
        char why[TK_CHECK_WHY_MAX];
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        if (!tk_api_wants_json(c, TK_NATIVE_BODY_BYTES_MAX))
                return;
        if (!tk_doubt_name_parse(c->id, &of)) {
                tk_api_problem(c, TK_PROBLEM_NO_SUCH_DOUBT, NULL, NULL);
                return;
        }
        enum tk_err err = tk_native_read_word(tk_call_body(c->call), of.meter, &word, &refusal, why);
        if (tk_api_was_read(c, err, &refusal, why))
                say(c, &of, &word);
}
