/* SPDX-License-Identifier: Apache-2.0
 *
 * backend: where the commands around keys and doubts do their work. Two kinds: backend_store.c on the store
 * of the configuration, in this process, also beside a running server; backend_http.c through the API of a
 * server. A command does not know which one it has.
 *
 * Keys come back as text that is ready to be shown, because the two kinds know them in different forms:
 * money as exact decimals, times in the one form, names in lower case with '-'.
 */
#ifndef TK_CLI_BACKEND_H
#define TK_CLI_BACKEND_H

#include "base/err.h"
#include "cli/grammar.h"
#include "core/key.h"
#include "core/keyfmt.h"
#include "core/money.h"
#include "core/time.h"
#include "core/user.h"
#include "store/store.h"

#define TK_VIEW_TEXT  40
#define TK_TOTALS_MAX 5

/* What was spent in one stretch of time. */
struct tk_total {
        const char *name; /* "period", "trailing_7_days", "today", "month", "all" */
        char usd[TK_MONEY_TEXT_MAX];
        char diem[TK_MONEY_TEXT_MAX];
        bool has_counts;
        int64_t requests, tokens;
};

struct tk_key_view {
        char id[TK_ID_TEXT_LEN + 1];
        char kind[TK_VIEW_TEXT];
        char description[TK_DESCRIPTION_BYTES_MAX + 1];
        char last6[TK_VIEW_TEXT];
        char period[TK_VIEW_TEXT];
        char privacy[TK_VIEW_TEXT];
        char user[TK_EMAIL_MAX + 1];                      /* their address; "": nobody's, or not told */
        char usd[TK_CAP_TEXT_MAX], diem[TK_CAP_TEXT_MAX]; /* caps; "": none */
        char created[TK_VIEW_TEXT], expires[TK_VIEW_TEXT], last_used[TK_VIEW_TEXT]; /* "": never */
        unsigned totals_nr;
        struct tk_total totals[TK_TOTALS_MAX];
};

struct tk_call_view {
        char id[TK_ID_TEXT_LEN + 1], key[TK_ID_TEXT_LEN + 1];
        char at[TK_TIME_TEXT_LEN + 1];
        const char *model;
        uint64_t input, output, cached;
        char usd[TK_MONEY_TEXT_MAX], diem[TK_MONEY_TEXT_MAX];
        char overrun_usd[TK_MONEY_TEXT_MAX], overrun_diem[TK_MONEY_TEXT_MAX];
        unsigned flags; /* TK_ENTRY_* */
};

/* What a crash left open, ready to be shown. */
struct tk_doubt_view {
        struct tk_doubt doubt;
        char subject[TK_EMAIL_MAX + 1]; /* "org", "workspace", a user's address, or an id */
        char description[TK_DESCRIPTION_BYTES_MAX + 1];
        char window[TK_VIEW_TEXT];
        char ends[TK_VIEW_TEXT]; /* "": never */
        char since[TK_VIEW_TEXT];
        char amount[TK_CAP_TEXT_MAX];
};

enum tk_change_op { TK_CHANGE_KEEP, TK_CHANGE_CLEAR, TK_CHANGE_SET };

/* What a new key shall have, or what shall become of one. */
struct tk_key_change {
        const char *description; /* NULL: as it is */
        const char *user;        /* of a new key: an address or id; NULL: nobody's */
        struct {
                enum tk_change_op op;
                uint64_t nano;
        } usd, diem;
        struct {
                enum tk_change_op op;
                int64_t ms;
        } expires;
        bool has_period, has_privacy;
        enum tk_window_kind period;
        enum tk_privacy privacy;
};

struct tk_backend;
typedef void tk_view_each_f(const struct tk_key_view *view, void *ctx);
typedef void tk_call_each_f(const struct tk_call_view *call, void *ctx);
typedef void tk_doubt_view_each_f(const struct tk_doubt_view *view, void *ctx);

/* On a fault each has put its reason into backend->why. Ids are well formed. */
struct tk_backend_ops {
        enum tk_err (*create)(struct tk_backend *backend, enum tk_key_kind kind,
                              const struct tk_key_change *change, char id[TK_ID_TEXT_LEN + 1],
                              struct tk_key_text *secret);
        enum tk_err (*list)(struct tk_backend *backend, tk_view_each_f *each, void *ctx);
        enum tk_err (*get)(struct tk_backend *backend, const char *id, struct tk_key_view *out);
        enum tk_err (*edit)(struct tk_backend *backend, const char *id, const struct tk_key_change *change,
                            struct tk_key_view *out);
        enum tk_err (*revoke)(struct tk_backend *backend, const char *id);
        /* Recent calls, newest first, of one key or (NULL) of all. NULL: this kind cannot tell. */
        enum tk_err (*calls)(struct tk_backend *backend, const char *id, unsigned limit, tk_call_each_f *each,
                             void *ctx);
        /* Of "org", "workspace", an id or (NULL) of all. NULL, and so is the next: the command works on the
         * store. */
        enum tk_err (*doubts)(struct tk_backend *backend, const char *subject, tk_doubt_view_each_f *each,
                              void *ctx);
        enum tk_err (*resolve)(struct tk_backend *backend, const struct tk_doubt *doubt, int64_t spent);
        void (*close)(struct tk_backend *backend);
};

struct tk_backend {
        const struct tk_backend_ops *ops;
        char why[1024];
};

/* Chosen by the options. NULL after a message, with the exit code. */
struct tk_backend *tk_backend_open(const struct tk_cmd_line *line, int *code);
void tk_backend_close(struct tk_backend **backend);

/* The two kinds; names are the only place where they are listed: backend.c. */
struct tk_backend *tk_backend_store_open(const struct tk_cmd_line *line, int *code);
struct tk_backend *tk_backend_http_open(const struct tk_cmd_line *line, int *code);

/* "private-text" for PRIVATE_TEXT and so on: the way the command line writes the names of the APIs. */
void tk_view_name(const char *api_name, char out[TK_VIEW_TEXT]);

#endif
