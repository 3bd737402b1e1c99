/* SPDX-License-Identifier: Apache-2.0 */
#include "api/issues.h"

#include "wire/json_write.h"

#include <string.h>

#define MESSAGE_BYTES_MAX (256u << 10)
#define NOT_ECHOED        "[...]"

void tk_issues_free(struct tk_issues *issues) {
        for (unsigned i = 0; i < issues->nr; i++) {
                tk_buf_free(&issues->at[i].json);
                tk_buf_free(&issues->at[i].messages);
        }
        issues->nr = 0;
}

/* ---- adding: open() an issue, write its own members, close() it with path and message ---- */

static struct tk_issue *open(struct tk_issues *issues, struct tk_issue_path path, struct tk_jw *w) {
        MUST(issues->nr < TK_ISSUES_MAX);
        struct tk_issue *issue = &issues->at[issues->nr++];
        *issue = (struct tk_issue){
                .path = path, .json = TK_BUF(TK_ISSUES_BYTES_MAX), .messages = TK_BUF(TK_ISSUES_BYTES_MAX)};
        *w = tk_jw_begin(&issue->json);
        tk_jw_object(w);
        return issue;
}

static void write_path(struct tk_jw *w, struct tk_issue_path path) {
        tk_jw_key(w, "path");
        tk_jw_array(w);
        for (unsigned i = 0; i < TK_ISSUE_DEPTH && path.at[i]; i++)
                tk_jw_text(w, path.at[i]);
        tk_jw_end(w);
}

static void write_message(struct tk_jw *w, struct tk_issue *issue, struct tk_str message) {
        struct tk_jw alone = tk_jw_begin(&issue->messages);
        tk_jw_key(w, "message");
        tk_jw_str(w, message);
        tk_jw_str(&alone, message);
}

static void close(struct tk_jw *w, struct tk_issue *issue, struct tk_str message) {
        write_path(w, issue->path);
        write_message(w, issue, message);
        tk_jw_end(w);
}

static struct tk_str echo(struct tk_str value) {
        return value.len <= TK_ISSUE_ECHO_MAX ? value : TK_STR(NOT_ECHOED);
}

/* 'A' | 'B' */
static void join(struct tk_buf *to, const char *const *names, size_t nr) {
        for (size_t i = 0; i < nr; i++)
                tk_buf_printf(to, "%s'%s'", i ? " | " : "", names[i]);
}

/* A message that could not be built fails the issue, and with it the body. */
static void close_buf(struct tk_jw *w, struct tk_issue *issue, struct tk_buf *message) {
        if (!tk_buf_ok(message))
                issue->messages.failed = true;
        close(w, issue, tk_buf_ok(message) ? tk_buf_str(message) : TK_STR(""));
        tk_buf_free(message);
}

static void add_type(struct tk_issues *issues, struct tk_issue_path path, const char *expected,
                     const char *received, bool code_first) {
        struct tk_jw w;
        struct tk_issue *issue = open(issues, path, &w);
        struct tk_buf message = TK_BUF(MESSAGE_BYTES_MAX);
        if (code_first)
                tk_jw_member(&w, "code", "invalid_type");
        tk_jw_member(&w, "expected", expected);
        tk_jw_member(&w, "received", received);
        if (!code_first)
                tk_jw_member(&w, "code", "invalid_type");
        if (strcmp(received, "undefined") == 0)
                tk_buf_text(&message, "Required");
        else
                tk_buf_printf(&message, "Expected %s, received %s", expected, received);
        close_buf(&w, issue, &message);
}

void tk_issue_type(struct tk_issues *issues, struct tk_issue_path path, const char *expected,
                   const char *received) {
        add_type(issues, path, expected, received, true);
}

void tk_issue_enum_type(struct tk_issues *issues, struct tk_issue_path path, const char *const *names,
                        size_t nr, const char *received) {
        struct tk_buf expected = TK_BUF(MESSAGE_BYTES_MAX);
        join(&expected, names, nr);
        add_type(issues, path, tk_buf_ok(&expected) ? expected.at : "", received, false);
        if (!tk_buf_ok(&expected))
                issues->at[issues->nr - 1].messages.failed = true;
        tk_buf_free(&expected);
}

void tk_issue_enum(struct tk_issues *issues, struct tk_issue_path path, const char *const *names, size_t nr,
                   struct tk_str received) {
        struct tk_jw w;
        struct tk_issue *issue = open(issues, path, &w);
        struct tk_buf message = TK_BUF(MESSAGE_BYTES_MAX);
        tk_jw_key(&w, "received");
        tk_jw_str(&w, echo(received));
        tk_jw_member(&w, "code", "invalid_enum_value");
        tk_jw_key(&w, "options");
        tk_jw_array(&w);
        for (size_t i = 0; i < nr; i++)
                tk_jw_text(&w, names[i]);
        tk_jw_end(&w);
        tk_buf_text(&message, "Invalid enum value. Expected ");
        join(&message, names, nr);
        tk_buf_text(&message, ", received '");
        tk_buf_put(&message, echo(received));
        tk_buf_char(&message, '\'');
        close_buf(&w, issue, &message);
}

void tk_issue_literal(struct tk_issues *issues, struct tk_issue_path path, const char *expected,
                      struct tk_str received) {
        struct tk_jw w;
        struct tk_issue *issue = open(issues, path, &w);
        struct tk_buf message = TK_BUF(MESSAGE_BYTES_MAX);
        tk_jw_key(&w, "received");
        tk_jw_str(&w, echo(received));
        tk_jw_member(&w, "code", "invalid_literal");
        tk_jw_member(&w, "expected", expected);
        tk_buf_printf(&message, "Invalid literal value, expected \"%s\"", expected);
        close_buf(&w, issue, &message);
}

void tk_issue_regex(struct tk_issues *issues, struct tk_issue_path path) {
        struct tk_jw w;
        struct tk_issue *issue = open(issues, path, &w);
        tk_jw_member(&w, "validation", "regex");
        tk_jw_member(&w, "code", "invalid_string");
        write_message(&w, issue, TK_STR("Invalid"));
        write_path(&w, path);
        tk_jw_end(&w);
}

/* Bounds put the message before the path, as their model does. */
static void add_bound(struct tk_issues *issues, struct tk_issue_path path, bool big, uint64_t bound,
                      const char *type, const char *format) {
        struct tk_jw w;
        struct tk_issue *issue = open(issues, path, &w);
        char room[128];
        struct tk_buf message = TK_BUF_OVER(room);
        tk_jw_member(&w, "code", big ? "too_big" : "too_small");
        tk_jw_key(&w, big ? "maximum" : "minimum");
        tk_jw_u64(&w, bound);
        tk_jw_member(&w, "type", type);
        tk_jw_key(&w, "inclusive");
        tk_jw_bool(&w, true);
        tk_jw_key(&w, "exact");
        tk_jw_bool(&w, false);
        tk_buf_printf(&message, format, (unsigned long long)bound);
        MUST(tk_buf_ok(&message));
        write_message(&w, issue, tk_buf_str(&message));
        write_path(&w, path);
        tk_jw_end(&w);
}

void tk_issue_text_long(struct tk_issues *issues, struct tk_issue_path path, uint64_t max) {
        add_bound(issues, path, true, max, "string", "String must contain at most %llu character(s)");
}

void tk_issue_number_small(struct tk_issues *issues, struct tk_issue_path path, uint64_t min) {
        add_bound(issues, path, false, min, "number", "Number must be greater than or equal to %llu");
}

void tk_issue_number_large(struct tk_issues *issues, struct tk_issue_path path, uint64_t max) {
        add_bound(issues, path, true, max, "number", "Number must be less than or equal to %llu");
}

void tk_issue_unknown_keys(struct tk_issues *issues, struct tk_issue_path path, const struct tk_str *keys,
                           size_t nr) {
        struct tk_jw w;
        struct tk_issue *issue = open(issues, path, &w);
        struct tk_buf message = TK_BUF(MESSAGE_BYTES_MAX);
        tk_jw_member(&w, "code", "unrecognized_keys");
        tk_jw_key(&w, "keys");
        tk_jw_array(&w);
        tk_buf_text(&message, "Unrecognized key(s) in object: ");
        for (size_t i = 0; i < nr; i++) {
                tk_jw_str(&w, echo(keys[i]));
                tk_buf_text(&message, i ? ", '" : "'");
                tk_buf_put(&message, echo(keys[i]));
                tk_buf_char(&message, '\'');
        }
        tk_jw_end(&w);
        close_buf(&w, issue, &message);
}

void tk_issue_say(struct tk_issues *issues, struct tk_issue_path path, const char *code,
                  const char *message) {
        struct tk_jw w;
        struct tk_issue *issue = open(issues, path, &w);
        tk_jw_member(&w, "code", code);
        close(&w, issue, tk_str_of(message));
}

void tk_issue_union(struct tk_issues *issues, struct tk_issue_path path, const struct tk_issues *branches,
                    size_t nr) {
        struct tk_jw w;
        struct tk_issue *issue = open(issues, path, &w);
        struct tk_buf *messages = &issue->messages;
        tk_jw_member(&w, "code", "invalid_union");
        tk_jw_key(&w, "unionErrors");
        tk_jw_array(&w);
        for (size_t b = 0; b < nr; b++) {
                if (branches[b].nr == 0)
                        continue;
                tk_jw_object(&w);
                tk_jw_key(&w, "issues");
                tk_jw_array(&w);
                for (unsigned i = 0; i < branches[b].nr; i++) {
                        const struct tk_issue *inner = &branches[b].at[i];
                        if (!tk_buf_ok(&inner->json) || !tk_buf_ok(&inner->messages)) {
                                messages->failed = true;
                                tk_jw_null(&w);
                                continue;
                        }
                        tk_jw_raw(&w, tk_buf_str(&inner->json));
                        if (messages->len)
                                tk_buf_char(messages, ',');
                        tk_buf_put(messages, tk_buf_str(&inner->messages));
                }
                tk_jw_end(&w);
                tk_jw_member(&w, "name", "ZodError");
                tk_jw_end(&w);
        }
        tk_jw_end(&w);
        /* The union's own message stands in the list only; in the tree its branches speak. */
        write_path(&w, path);
        tk_jw_member(&w, "message", "Invalid input");
        tk_jw_end(&w);
}

/* ---- rendering ---- */

static bool same(const char *a, const char *b) {
        return a == b || (a && b && strcmp(a, b) == 0);
}

/* Is this the first issue at or below (first, second), so that each node is written once? */
static bool is_first(const struct tk_issues *issues, unsigned index, unsigned depth) {
        for (unsigned i = 0; i < index; i++)
                if (same(issues->at[i].path.at[0], issues->at[index].path.at[0]) &&
                    (depth == 1 || same(issues->at[i].path.at[1], issues->at[index].path.at[1])))
                        return false;
        return true;
}

/* "_errors":[...] of the node with exactly this path. */
static void write_errors(const struct tk_issues *issues, struct tk_issue_path path, struct tk_jw *w) {
        struct tk_buf all = TK_BUF(TK_ISSUES_BYTES_MAX);
        tk_buf_char(&all, '[');
        for (unsigned i = 0; i < issues->nr; i++) {
                const struct tk_issue *issue = &issues->at[i];
                if (!same(issue->path.at[0], path.at[0]) || !same(issue->path.at[1], path.at[1]))
                        continue;
                if (all.len > 1)
                        tk_buf_char(&all, ',');
                tk_buf_put(&all, tk_buf_str(&issue->messages));
        }
        tk_buf_char(&all, ']');
        tk_jw_key(w, "_errors");
        if (tk_buf_ok(&all))
                tk_jw_raw(w, tk_buf_str(&all));
        else
                tk_jw_null(w);
        if (!tk_buf_ok(&all))
                w->buf->failed = true;
        tk_buf_free(&all);
}

static void write_node(const struct tk_issues *issues, unsigned index, struct tk_jw *w) {
        const char *name = issues->at[index].path.at[0];
        tk_jw_key(w, name);
        tk_jw_object(w);
        write_errors(issues, (struct tk_issue_path){{name}}, w);
        for (unsigned i = index; i < issues->nr; i++) {
                struct tk_issue_path path = issues->at[i].path;
                if (!same(path.at[0], name) || !path.at[1] || !is_first(issues, i, 2))
                        continue;
                tk_jw_key(w, path.at[1]);
                tk_jw_object(w);
                write_errors(issues, path, w);
                tk_jw_end(w);
        }
        tk_jw_end(w);
}

void tk_issues_render(const struct tk_issues *issues, struct tk_buf *body) {
        struct tk_jw w = tk_jw_begin(body);
        MUST(issues->nr > 0);
        for (unsigned i = 0; i < issues->nr; i++) {
                if (!tk_buf_ok(&issues->at[i].json) || !tk_buf_ok(&issues->at[i].messages)) {
                        body->failed = true;
                        return;
                }
        }
        tk_jw_object(&w);
        tk_jw_member(&w, "error", "Invalid request parameters");
        tk_jw_key(&w, "details");
        tk_jw_object(&w);
        write_errors(issues, (struct tk_issue_path){{NULL}}, &w);
        for (unsigned i = 0; i < issues->nr; i++)
                if (issues->at[i].path.at[0] && is_first(issues, i, 1))
                        write_node(issues, i, &w);
        tk_jw_end(&w);
        tk_jw_key(&w, "issues");
        tk_jw_array(&w);
        for (unsigned i = 0; i < issues->nr; i++)
                tk_jw_raw(&w, tk_buf_str(&issues->at[i].json));
        tk_jw_end(&w);
        tk_jw_end(&w);
}
