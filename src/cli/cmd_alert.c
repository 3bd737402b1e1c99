/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands around alerts. The list is read from the store, beside a server that runs or not; the test is
 * sent by this process, with what the server would use.
 */
#include "alert/deliver.h"
#include "alert/send.h"
#include "cli/measure.h"
#include "cli/output.h"
#include "cli/subject.h"
#include "core/time.h"
#include "rt/clock.h"
#include "rt/rand.h"

#include <stdio.h>
#include <string.h>

#define JSON_MAX      (8u << 20)
#define LIMIT_DEFAULT 20
#define LIMIT_MAX     1000

/* ---- list ---- */

struct listing {
        struct tk_local *local;
        struct tk_reader *names; /* another reader: a callback's own is busy */
        struct tk_jw *w;         /* NULL: into the table */
        struct tk_table *table;
};

static void put_amount(struct tk_jw *w, const char *name, enum tk_meter meter, uint64_t amount) {
        char text[TK_CAP_TEXT_MAX];
        tk_cap_text(meter, amount, text);
        tk_amount_json(w, name, meter, text);
}

static void put_delivery(struct tk_jw *w, enum tk_channel channel, const struct tk_delivery *delivery) {
        char at[TK_TIME_TEXT_LEN + 1] = "";
        bool waits = delivery->status == TK_DELIVERY_WAITING;
        tk_time_text(waits ? delivery->next_ms : delivery->ended_ms, at);
        tk_jw_key(w, tk_channel_name(channel));
        tk_jw_object(w);
        tk_jw_member_or_null(w, "status", tk_delivery_status_name(delivery->status));
        tk_jw_key(w, "tries");
        tk_jw_u64(w, delivery->tries);
        tk_jw_member_or_null(w, waits ? "next_at" : "at", at);
        tk_jw_member_or_null(w, "error", delivery->error);
        tk_jw_end(w);
}

/* "org" and "workspace" for the first ones, as 'limit list' calls them. */
static const char *subject_text(const struct listing *l, const struct tk_alert *alert,
                                char out[TK_ID_TEXT_LEN + 1]) {
        if (tk_id_eq(alert->subject, tk_store_org(l->local->store)))
                return "org";
        if (tk_id_eq(alert->subject, tk_store_workspace(l->local->store)))
                return "workspace";
        tk_id_text(alert->subject, out);
        return out;
}

static void show_json(const struct listing *l, const struct tk_alert *alert, const char *name) {
        struct tk_jw *w = l->w;
        enum tk_meter meter = alert->limit.meter;
        char id[TK_ID_TEXT_LEN + 1], at[TK_TIME_TEXT_LEN + 1], window[TK_WINDOW_TEXT];
        char threshold[TK_CAP_TEXT_MAX];
        tk_jw_object(w);
        tk_id_text(alert->id, id);
        tk_jw_member_or_null(w, "id", id);
        tk_time_text(alert->at_ms, at);
        tk_jw_member_or_null(w, "at", at);
        tk_jw_member_or_null(w, "kind", tk_alert_kind_name(alert->kind));
        tk_jw_member_or_null(w, "subject", subject_text(l, alert, id));
        tk_jw_member_or_null(w, "name", name);
        tk_jw_member_or_null(w, "meter", tk_meter_name(meter));
        tk_jw_member_or_null(w, "window", tk_window_text(alert->limit.window, window));
        put_amount(w, "cap", meter, alert->limit.cap);
        tk_cap_text(meter, alert->limit.alert, threshold);
        tk_amount_json(w, "alert", meter, alert->limit.alert > 0 ? threshold : "");
        put_amount(w, "posted", meter, (uint64_t)alert->posted);
        put_amount(w, "held", meter, (uint64_t)alert->held);
        for (int c = 0; c < TK_CHANNEL_NR; c++)
                put_delivery(w, (enum tk_channel)c, &alert->sent[c]);
        tk_jw_end(w);
}

static void show_row(const struct listing *l, const struct tk_alert *alert, const char *name) {
        char id[TK_ID_TEXT_LEN + 1], at[TK_TIME_TEXT_LEN + 1], window[TK_WINDOW_TEXT],
                said[TK_MESSAGE_NAME_MAX];
        char reached[TK_CAP_TEXT_MAX];
        tk_time_text(alert->at_ms, at);
        tk_cap_text(alert->limit.meter, tk_alert_amount(alert), reached);
        const char *const cells[] = {at,
                                     tk_alert_kind_name(alert->kind),
                                     subject_text(l, alert, id),
                                     tk_printable(name, said, sizeof said),
                                     tk_meter_name(alert->limit.meter),
                                     tk_window_text(alert->limit.window, window),
                                     reached,
                                     tk_delivery_status_name(alert->sent[TK_CHANNEL_WEBHOOK].status),
                                     tk_delivery_status_name(alert->sent[TK_CHANNEL_EMAIL].status)};
        for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
                tk_table_cell(l->table, cells[i]);
}

static bool show_alert(const struct tk_alert *alert, void *ctx) {
        const struct listing *l = ctx;
        char name[TK_MESSAGE_NAME_MAX];
        tk_deliver_name(l->names, alert, name);
        if (l->w)
                show_json(l, alert, name);
        else
                show_row(l, alert, name);
        return true;
}

static void heading(struct tk_table *table) {
        static const char *const cells[] = {"AT",     "KIND",    "SUBJECT", "NAME", "METER",
                                            "WINDOW", "REACHED", "WEBHOOK", "EMAIL"};
        table->columns = sizeof cells / sizeof *cells;
        for (size_t i = 0; i < table->columns; i++)
                tk_table_cell(table, cells[i]);
}

static bool read_count(const struct tk_cmd_line *line, unsigned *out) {
        const char *text = line->opt[TK_OPT_limit];
        uint64_t count = LIMIT_DEFAULT;
        char said[64];
        if (text && (!tk_str_u64(tk_str_of(text), &count) || count > LIMIT_MAX)) {
                tk_misuse("--limit %s: expects 0 to %d", tk_printable(text, said, sizeof said), LIMIT_MAX);
                return false;
        }
        *out = (unsigned)count;
        return true;
}

static int list(struct listing *l, bool json, unsigned count) {
        struct tk_buf buf = TK_BUF(JSON_MAX);
        struct tk_jw w = tk_jw_begin(&buf);
        int code;
        l->w = json ? &w : NULL;
        tk_jw_object(&w);
        tk_jw_key(&w, "alerts");
        tk_jw_array(&w);
        enum tk_err err =
                tk_reader_alert_list(l->local->reader, tk_store_org(l->local->store), count, show_alert, l);
        tk_jw_end(&w);
        tk_jw_end(&w);
        if (err != TK_OK)
                code = tk_fail("%s: %s", l->local->config->store, tk_err_text(err));
        else
                code = json ? tk_print_buf(&buf) : tk_table_print(l->table);
        l->w = NULL;
        tk_buf_free(&buf);
        return code;
}

int tk_cmd_alert_list(const struct tk_cmd_line *line) {
        struct tk_table table = {0};
        struct tk_local local;
        struct listing l = {.local = &local, .table = &table};
        unsigned count;
        int code = TK_EXIT_FAILED;
        if (!read_count(line, &count))
                return TK_EXIT_USAGE;
        heading(&table);
        if (tk_local_open(line, false, &local)) {
                if (tk_reader_open(local.store, &l.names) == TK_OK) {
                        code = list(&l, line->opt[TK_OPT_json] != NULL, count);
                        tk_reader_close(&l.names);
                } else {
                        code = tk_fail("%s: cannot be read", local.config->store);
                }
        }
        tk_table_free(&table);
        tk_local_close(&local);
        return code;
}

/* ---- test ---- */

static struct tk_message sample(int64_t now_ms) {
        const struct tk_limit limit = {.window = {.kind = TK_WINDOW_MONTH},
                                       .meter = TK_METER_USD,
                                       .cap = 10 * (uint64_t)TK_NANO,
                                       .alert = 8 * (uint64_t)TK_NANO};
        return (struct tk_message){.alert = {.id = tk_rand_id(now_ms),
                                             .org = tk_rand_id(now_ms),
                                             .subject = tk_rand_id(now_ms),
                                             .subject_kind = TK_SUBJECT_KEY,
                                             .kind = TK_ALERT_THRESHOLD,
                                             .limit = limit,
                                             .number = tk_window_number(limit.window, now_ms / 1000),
                                             .posted = 8 * TK_NANO,
                                             .at_ms = now_ms},
                                   .name = "a sample key",
                                   .is_test = true};
}

/* True: it was taken. */
static bool test_channel(struct tk_sender *sender, enum tk_channel channel, const struct tk_message *message,
                         struct tk_jw *w, bool json) {
        char why[TK_DELIVERY_ERROR_MAX + 1];
        bool ok = tk_sender_send(sender, channel, message, message->alert.at_ms, why) == TK_OK;
        if (!json) {
                printf("%s: %s%s\n", tk_channel_name(channel), ok ? "delivered" : "failed: ", ok ? "" : why);
                return ok;
        }
        tk_jw_key(w, tk_channel_name(channel));
        tk_jw_object(w);
        tk_jw_key(w, "delivered");
        tk_jw_bool(w, ok);
        tk_jw_member_or_null(w, "error", ok ? "" : why);
        tk_jw_end(w);
        return ok;
}

static int test(const struct tk_cmd_line *line, const struct tk_alert_channels *channels) {
        struct tk_buf buf = TK_BUF(65536);
        struct tk_jw w = tk_jw_begin(&buf);
        struct tk_message message = sample(tk_clock_now_ms());
        struct tk_sender *sender;
        bool json = line->opt[TK_OPT_json], ok = true, any = false;
        if (tk_sender_open(channels, &sender) != TK_OK)
                return tk_fail("out of memory");
        tk_jw_object(&w);
        for (int c = 0; c < TK_CHANNEL_NR; c++)
                if (tk_alert_channel_is_on(channels, (enum tk_channel)c)) {
                        any = true;
                        ok = test_channel(sender, (enum tk_channel)c, &message, &w, json) && ok;
                }
        tk_jw_end(&w);
        tk_sender_close(&sender);
        int code = ok ? TK_EXIT_OK : TK_EXIT_FAILED;
        if (!any)
                code = tk_fail(
                        "no channel is configured: 'alerts' in tollkey.yaml has neither webhook nor email");
        else if (json && tk_print_buf(&buf) != TK_EXIT_OK)
                code = TK_EXIT_FAILED;
        tk_buf_free(&buf);
        return code;
}

int tk_cmd_alert_test(const struct tk_cmd_line *line) {
        struct tk_config *config = tk_settings_load(line);
        int code = TK_EXIT_FAILED;
        if (!config)
                return code;
        if (tk_rand_init() != TK_OK)
                code = tk_fail("the system has no random numbers");
        else
                code = test(line, &config->alerts);
        tk_config_free(&config);
        return code;
}
