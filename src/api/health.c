/* SPDX-License-Identifier: Apache-2.0 */
#include "api/health.h"

#include "api/call.h"

static void say(struct tk_api_call *c, const char *status) {
        struct tk_buf body = TK_BUF(128);
        tk_buf_printf(&body, "{\"status\":\"%s\"}", status);
        tk_call_add_header(c->call, "cache-control", TK_STR("no-store"));
        tk_api_reply(c, 200, &body);
}

void tk_api_healthz(struct tk_api_call *c) {
        say(c, "ok");
}

void tk_api_readyz(struct tk_api_call *c) {
        int64_t seq;
        enum tk_err err = tk_reader_change_last(tk_worker_reader(c->worker), &seq);
        if (err == TK_OK && tk_worker_is_writing(c->worker))
                say(c, "ready");
        else
                tk_api_problem(c, TK_PROBLEM_STORE, NULL, NULL);
}
