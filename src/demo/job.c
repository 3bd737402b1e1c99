/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/job.h"

#include "demo/answer.h"

#include <stdio.h>
#include <string.h>

#define JOB_MAGIC       0xde300b5eu
#define TOKENS_PER_TURN 64 /* other calls of the loop want their turn, too */
#define PIECE_BYTES     16384
#define BODY_BYTES_MAX  ((size_t)256 << 20)

struct job {
        unsigned magic;
        struct tk_call *call;
        const struct tk_demo_site *site;
        struct tk_demo_ask ask;
        struct tk_demo_answer answer;
        struct tk_timer timer;
        struct tk_demo_cursor cursor;
        unsigned choice;   /* whose token comes next */
        uint64_t produced; /* tokens of all choices */
        unsigned delay_ms;
        bool begun;
        bool running; /* the truth counts it */
        bool full;    /* waits for the socket, not for the timer */
};

/* Chunks and tokens that go out together. */
struct batch {
        struct tk_buf out;
        uint64_t tokens;
};

void tk_demo_fail(struct tk_call *call, const struct tk_demo_problem *problem) {
        char text[2048];
        struct tk_buf body = TK_BUF_OVER(text);
        tk_demo_problem_write(problem, &body);
        MUST(tk_buf_ok(&body));
        if (problem->status == 429)
                tk_call_add_header(call, "retry-after", TK_STR("1"));
        if (problem->status == 401)
                tk_call_add_header(call, "www-authenticate", TK_STR("Bearer"));
        tk_call_reply(call, problem->status, "application/json", tk_buf_str(&body));
}

static void count(const struct job *job, const struct tk_demo_counts *more) {
        struct tk_str model = {job->ask.model, job->ask.model_base};
        tk_demo_truth_add(job->site->truth, model, tk_str_of(job->ask.user), more);
}

static void enter(struct job *job) {
        job->running = true;
        tk_demo_truth_enter(job->site->truth, (struct tk_str){job->ask.model, job->ask.model_base},
                            tk_str_of(job->ask.user));
}

/* Before the last byte: whoever has seen the end finds it no longer running. */
static void leave(struct job *job) {
        if (job->running)
                tk_demo_truth_leave(job->site->truth, (struct tk_str){job->ask.model, job->ask.model_base},
                                    tk_str_of(job->ask.user));
        job->running = false;
        tk_demo_ask_free(&job->ask);
}

static void on_gone(struct tk_call *call, void *ctx) {
        struct job *job = ctx;
        TK_UNUSED(call);
        MUST(job->magic == JOB_MAGIC);
        tk_timer_cancel(&job->timer);
        count(job, &(struct tk_demo_counts){.cancelled = 1, .cancelled_completion_tokens = job->produced});
        leave(job);
}

/* ---- whole answers ---- */

static void reply(struct job *job, int status, struct tk_str body) {
        struct tk_call *call = job->call;
        leave(job);
        tk_call_reply(call, status, "application/json", body); /* The job is gone with the call. */
}

static void reply_whole(struct job *job) {
        struct tk_buf body = TK_BUF(BODY_BYTES_MAX);
        if (job->ask.kind == TK_DEMO_EMBEDDING)
                tk_demo_embeddings_write(&job->ask, &body);
        else
                tk_demo_answer_write(&job->answer, &body);
        if (!tk_buf_ok(&body)) {
                tk_buf_free(&body);
                reply(job, 500,
                      TK_STR("{\"error\":{\"message\":\"The answer is too large for this demo.\",\"type\":"
                             "\"server_error\",\"param\":null,\"code\":null}}"));
                return;
        }
        struct tk_str text = tk_buf_str(&body);
        if (job->ask.fault.malformed)
                text = tk_str_head(text, text.len / 2);
        reply(job, 200, text);
        tk_buf_free(&body);
}

static void reply_status(struct job *job) {
        struct tk_demo_problem problem = {0};
        struct tk_call *call = job->call;
        int status = (int)job->ask.fault.status;
        const char *code = status == 429 ? "rate_limit_exceeded" : status == 401 ? "invalid_api_key" : NULL;
        tk_demo_problem_set(&problem, status, NULL, code,
                            "The demo upstream was asked to fail with status %d.", status);
        count(job, &(struct tk_demo_counts){.refused = 1});
        leave(job);
        tk_demo_fail(call, &problem);
}

/* A stream stops in the middle; a whole answer has its head and a part of its body. */
static void break_off(struct job *job) {
        struct tk_call *call = job->call;
        count(job, &(struct tk_demo_counts){.broken = 1});
        if (!job->ask.stream) {
                tk_call_start(call, 200, "application/json");
                tk_call_send(call, TK_STR("{\"id\":\"chatcmpl-"));
        }
        leave(job);
        tk_call_end(call, false);
}

/* ---- tokens ---- */

static void flush(struct job *job, struct batch *batch) {
        if (batch->tokens) {
                count(job, &(struct tk_demo_counts){.completion_tokens = batch->tokens});
                batch->tokens = 0;
        }
        MUST(tk_buf_ok(&batch->out));
        if (job->ask.stream && batch->out.len)
                tk_call_send(job->call, tk_buf_str(&batch->out));
        tk_buf_clear(&batch->out);
}

/* Before each chunk: room for it. */
static struct tk_buf *room(struct job *job, struct batch *batch) {
        if (batch->out.max - batch->out.len < TK_DEMO_CHUNK_BYTES_MAX)
                flush(job, batch);
        return &batch->out;
}

static void produce_one(struct job *job, struct batch *batch) {
        job->produced++;
        batch->tokens++;
        if (job->ask.stream && job->ask.fault.malformed && job->produced == 1) {
                tk_buf_text(room(job, batch),
                            "data: {\"id\":\"chatcmpl-0\",\"choices\":[{\"delta\":{\"content\":\n\n");
        } else if (job->ask.stream) {
                struct tk_str token = tk_demo_answer_token(&job->answer, job->cursor, job->choice);
                tk_demo_chunk_token(&job->answer, job->choice, token, job->produced, room(job, batch));
        }
        if (++job->choice == job->ask.choices) {
                job->choice = 0;
                tk_demo_cursor_next(&job->answer, &job->cursor);
        }
}

static void finish(struct job *job, struct batch *batch) {
        struct tk_call *call = job->call;
        const struct tk_demo_ask *ask = &job->ask;
        if (!ask->stream) {
                flush(job, batch);
                reply_whole(job);
                return;
        }
        for (unsigned i = 0; i < ask->choices; i++)
                tk_demo_chunk_finish(&job->answer, i, job->produced, room(job, batch));
        if (ask->include_usage && !ask->fault.no_usage)
                tk_demo_chunk_usage(&job->answer, job->produced, room(job, batch));
        tk_buf_text(room(job, batch), "data: [DONE]\n\n");
        flush(job, batch);
        leave(job);
        tk_call_end(call, true);
}

/* One token of each choice when there is a pace, otherwise as many as a turn allows; then waits. */
static void produce(struct job *job, struct batch *batch) {
        const struct tk_demo_fault *fault = &job->ask.fault;
        uint64_t budget = job->delay_ms ? job->ask.choices : job->ask.stream ? TOKENS_PER_TURN : UINT64_MAX;
        for (;; budget--) {
                if (job->produced == fault->stall_after) {
                        flush(job, batch);
                        return; /* Only the client's leaving ends it. */
                }
                if (job->produced == fault->break_after) {
                        flush(job, batch);
                        break_off(job);
                        return;
                }
                if (job->cursor.token == job->answer.length) {
                        finish(job, batch);
                        return;
                }
                if (budget == 0)
                        break;
                produce_one(job, batch);
        }
        flush(job, batch);
        job->full = tk_call_unsent(job->call) > 0;
        if (!job->full)
                tk_timer_start(tk_call_loop(job->call), &job->timer, job->delay_ms);
}

static void begin(struct job *job, struct batch *batch) {
        job->begun = true;
        if (job->ask.fault.status != TK_DEMO_NONE) {
                reply_status(job);
                return;
        }
        enter(job);
        count(job, &(struct tk_demo_counts){.requests = 1, .prompt_tokens = job->ask.prompt_tokens});
        if (job->ask.kind == TK_DEMO_EMBEDDING) {
                reply_whole(job);
                return;
        }
        if (job->ask.stream) {
                tk_call_add_header(job->call, "cache-control", TK_STR("no-cache"));
                tk_call_start(job->call, 200, "text/event-stream; charset=utf-8");
                for (unsigned i = 0; i < job->ask.choices && job->ask.kind == TK_DEMO_CHAT; i++)
                        tk_demo_chunk_role(&job->answer, i, room(job, batch));
        }
        if (job->delay_ms == 0) {
                produce(job, batch);
                return;
        }
        flush(job, batch);
        tk_timer_start(tk_call_loop(job->call), &job->timer, job->delay_ms);
}

static void step(struct job *job) {
        char bytes[PIECE_BYTES];
        struct batch batch = {.out = TK_BUF_OVER(bytes)};
        MUST(job->magic == JOB_MAGIC);
        if (job->begun)
                produce(job, &batch);
        else
                begin(job, &batch);
}

static void on_timer(struct tk_timer *timer) {
        step((struct job *)((char *)timer - offsetof(struct job, timer)));
}

static void on_drained(struct tk_call *call, void *ctx) {
        struct job *job = ctx;
        TK_UNUSED(call);
        if (!job->full)
                return;
        job->full = false;
        if (job->delay_ms)
                tk_timer_start(tk_call_loop(job->call), &job->timer, job->delay_ms);
        else
                step(job);
}

void tk_demo_job_start(struct tk_call *call, const struct tk_demo_site *site, enum tk_demo_kind kind) {
        struct tk_demo_problem problem = {0};
        struct job *job = tk_call_alloc(call, sizeof *job);
        if (!job) {
                tk_demo_problem_set(&problem, 500, NULL, NULL, "The server is out of memory.");
                tk_demo_fail(call, &problem);
                return;
        }
        job->magic = JOB_MAGIC;
        job->call = call;
        job->site = site;
        job->timer.fire = on_timer;
        if (!tk_demo_ask_parse(kind, tk_call_body(call), tk_call_header(call, "x-demo-fault"), site->models,
                               &job->ask, &problem)) {
                count(job, &(struct tk_demo_counts){.refused = 1});
                tk_demo_ask_free(&job->ask);
                tk_demo_fail(call, &problem);
                return;
        }
        const struct tk_demo_fault *fault = &job->ask.fault;
        tk_demo_answer_init(&job->answer, &job->ask, tk_call_id(call), tk_call_now_ms(call), site->tokens);
        job->delay_ms = fault->delay != TK_DEMO_NONE ? (unsigned)fault->delay : site->delay_ms;
        tk_call_on_gone(call, on_gone, job);
        tk_call_on_drained(call, on_drained, job);
        if (fault->slow_head != TK_DEMO_NONE)
                tk_timer_start(tk_call_loop(call), &job->timer, (unsigned)fault->slow_head);
        else
                step(job);
}
