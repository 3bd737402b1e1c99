/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/message.h"

#include "core/time.h"
#include "rt/base64.h"
#include "wire/json_write.h"

#include <stdio.h>
#include <string.h>

#define WORD_BYTES                                                                                           \
        42 /* of one encoded word: 56 characters, and 12 around them, are less than the allowed 75 */
#define LINE_BYTES  57 /* of the body: 76 characters */
#define SUBJECT_MAX 70

/* ---- JSON ---- */

static void put_flag(struct tk_jw *w, const char *name, bool value) {
        tk_jw_key(w, name);
        tk_jw_bool(w, value);
}

static void put_amount(struct tk_jw *w, const char *name, enum tk_meter meter, uint64_t amount) {
        tk_jw_key(w, name);
        if (tk_meter_is_money(meter))
                tk_jw_nano(w, amount);
        else
                tk_jw_u64(w, amount);
}

static void put_id(struct tk_jw *w, const char *name, struct tk_id id) {
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, text);
        tk_jw_member_or_null(w, name, text);
}

/* null: never, or beyond what can be written. */
static void put_time(struct tk_jw *w, const char *name, int64_t at_s) {
        char text[TK_TIME_TEXT_LEN + 1] = "";
        if (at_s > 0 && at_s <= TK_TIME_MS_MAX / 1000)
                tk_time_text(at_s * 1000, text);
        tk_jw_member_or_null(w, name, text);
}

static void window_text(struct tk_window_spec window, char *out, size_t size) {
        if (window.kind == TK_WINDOW_EVERY_N_DAYS)
                snprintf(out, size, "every %u days", window.days);
        else
                snprintf(out, size, "%s", tk_window_kind_name(window.kind));
}

static void put_limit(struct tk_jw *w, const struct tk_limit *limit) {
        char window[32];
        window_text(limit->window, window, sizeof window);
        tk_jw_key(w, "limit");
        tk_jw_object(w);
        tk_jw_member_or_null(w, "meter", tk_meter_name(limit->meter));
        tk_jw_member_or_null(w, "window", window);
        put_amount(w, "cap", limit->meter, limit->cap);
        if (limit->alert > 0)
                put_amount(w, "alert", limit->meter, limit->alert);
        else
                tk_jw_member_or_null(w, "alert", NULL);
        put_flag(w, "sliding", limit->flags & TK_LIMIT_SLIDING);
        put_flag(w, "observe", limit->flags & TK_LIMIT_OBSERVE);
        put_flag(w, "balance", limit->flags & TK_LIMIT_BALANCE);
        tk_jw_end(w);
}

/* The window that the alert counts by: of one that is shorter than an hour, the day. */
static struct tk_window_spec window_of(const struct tk_alert *alert) {
        struct tk_window_spec window = alert->limit.window;
        if (window.kind == TK_WINDOW_SECOND || window.kind == TK_WINDOW_MINUTE ||
            window.kind == TK_WINDOW_FLIGHT)
                window = (struct tk_window_spec){.kind = TK_WINDOW_DAY};
        return window;
}

static void put_data(struct tk_jw *w, const struct tk_message *message) {
        const struct tk_alert *alert = &message->alert;
        put_id(w, "id", alert->id);
        tk_jw_member_or_null(w, "kind", tk_alert_kind_name(alert->kind));
        put_flag(w, "test", message->is_test);
        put_id(w, "organisation", alert->org);
        tk_jw_key(w, "subject");
        tk_jw_object(w);
        tk_jw_member_or_null(w, "kind", tk_subject_kind_name(alert->subject_kind));
        put_id(w, "id", alert->subject);
        tk_jw_member_or_null(w, "name", message->name);
        tk_jw_end(w);
        put_limit(w, &alert->limit);
        put_amount(w, "posted", alert->limit.meter, (uint64_t)alert->posted);
        put_amount(w, "held", alert->limit.meter, (uint64_t)alert->held);
        put_time(w, "window_begins_at", tk_window_start_s(window_of(alert), alert->number));
        put_time(w, "window_ends_at", tk_window_end_s(window_of(alert), alert->number));
        put_time(w, "at", alert->at_ms / 1000);
}

void tk_message_json(const struct tk_message *message, struct tk_buf *out) {
        struct tk_jw w = tk_jw_begin(out);
        char type[32];
        snprintf(type, sizeof type, "%s",
                 message->is_test ? "alert.test" : tk_alert_kind_name(message->alert.kind));
        if (!message->is_test)
                snprintf(type, sizeof type, "limit.%s", tk_alert_kind_name(message->alert.kind));
        tk_jw_object(&w);
        tk_jw_member_or_null(&w, "type", type);
        put_time(&w, "timestamp", message->alert.at_ms / 1000);
        tk_jw_key(&w, "data");
        tk_jw_object(&w);
        put_data(&w, message);
        tk_jw_end(&w);
        tk_jw_end(&w);
}

/* ---- words ---- */

static void put_number(struct tk_buf *out, enum tk_meter meter, uint64_t amount) {
        char text[TK_CAP_TEXT_MAX];
        tk_cap_text(meter, amount, text);
        tk_buf_printf(out, "%s %s", text, tk_meter_name(meter));
}

static void put_subject(const struct tk_message *message, struct tk_buf *out) {
        const struct tk_alert *alert = &message->alert;
        char id[TK_ID_TEXT_LEN + 1];
        tk_id_text(alert->subject, id);
        tk_buf_printf(out, "%s %s", tk_subject_kind_name(alert->subject_kind), message->name[0] ? "\"" : "");
        for (const char *c = message->name; *c; c++)
                tk_buf_char(out, (unsigned char)*c < ' ' || *c == 0x7F ? ' ' : *c);
        tk_buf_text(out, message->name[0] ? "\"" : id);
}

void tk_message_line(const struct tk_message *message, struct tk_buf *out) {
        const struct tk_alert *alert = &message->alert;
        const char *what = alert->limit.flags & TK_LIMIT_BALANCE ? "balance" : "limit";
        char window[32];
        window_text(alert->limit.window, window, sizeof window);
        tk_buf_text(out, "The ");
        put_subject(message, out);
        if (alert->kind == TK_ALERT_THRESHOLD)
                tk_buf_text(out, " has used ");
        else if (alert->kind == TK_ALERT_OBSERVED)
                tk_buf_printf(out, " has passed its observed %s of ", what);
        else
                tk_buf_printf(out, " has used up its %s of ", what);
        put_number(out, alert->limit.meter, tk_alert_amount(alert));
        if (alert->kind == TK_ALERT_THRESHOLD) {
                tk_buf_printf(out, " of its %s of ", what);
                put_number(out, alert->limit.meter, alert->limit.cap);
        }
        tk_buf_printf(out, " (%s)", window);
}

/* ---- mail ---- */

/* Bytes of s that fit into one encoded word, not through the middle of a character. */
static size_t word_bytes(struct tk_str s) {
        size_t n = s.len < WORD_BYTES ? s.len : WORD_BYTES;
        while (n < s.len && n > 1 && ((unsigned char)s.at[n] & 0xC0) == 0x80)
                n--;
        return n;
}

static void put_header_text(struct tk_buf *out, const char *name, struct tk_str text) {
        bool plain = text.len <= SUBJECT_MAX;
        for (size_t i = 0; i < text.len; i++)
                plain = plain && text.at[i] >= ' ' && text.at[i] <= '~';
        tk_buf_printf(out, "%s:", name);
        if (plain) {
                tk_buf_printf(out, " %.*s\r\n", TK_STR_ARG(text));
                return;
        }
        while (text.len) {
                char word[TK_BASE64_LEN(WORD_BYTES) + 1];
                size_t n = word_bytes(text);
                tk_base64(tk_str_head(text, n), word);
                tk_buf_printf(out, " =?UTF-8?B?%s?=\r\n", word);
                text = tk_str_skip(text, n);
        }
}

static void put_date(struct tk_buf *out, int64_t now_ms) {
        static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
        static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        int64_t now_s = tk_floor_div(now_ms, 1000), day = tk_floor_div(now_s, TK_DAY_S);
        int64_t s = now_s - day * TK_DAY_S;
        struct tk_civil civil = tk_civil_of_day(day);
        MUST(now_ms >= 0);
        tk_buf_printf(out, "Date: %s, %u %s %d %02d:%02d:%02d +0000\r\n", days[day % 7], civil.day,
                      months[civil.month - 1], (int)civil.year, (int)(s / 3600), (int)(s / 60 % 60),
                      (int)(s % 60));
}

static void put_body(struct tk_buf *out, struct tk_str text) {
        while (text.len) {
                char line[TK_BASE64_LEN(LINE_BYTES) + 1];
                size_t n = text.len < LINE_BYTES ? text.len : LINE_BYTES;
                tk_base64(tk_str_head(text, n), line);
                tk_buf_printf(out, "%s\r\n", line);
                text = tk_str_skip(text, n);
        }
}

static void write_text(const struct tk_message *message, struct tk_buf *out) {
        const struct tk_alert *alert = &message->alert;
        int64_t ends_s = tk_window_end_s(window_of(alert), alert->number);
        char text[TK_TIME_TEXT_LEN + 1], id[TK_ID_TEXT_LEN + 1];
        if (message->is_test)
                tk_buf_text(out, "This is a test: nothing has happened. An alert looks like this:\r\n\r\n");
        tk_message_line(message, out);
        tk_buf_text(out, ".\r\n\r\nUsed: ");
        put_number(out, alert->limit.meter, (uint64_t)alert->posted);
        tk_buf_text(out, "\r\nHeld by running calls: ");
        put_number(out, alert->limit.meter, (uint64_t)alert->held);
        tk_time_text(alert->at_ms, text);
        tk_buf_printf(out, "\r\nAt: %s\r\n", text);
        if (ends_s <= TK_TIME_MS_MAX / 1000) {
                tk_time_text(ends_s * 1000, text);
                tk_buf_printf(out, "You are told again after: %s\r\n", text);
        }
        tk_id_text(alert->subject, id);
        tk_buf_printf(out, "%s: %s\r\n", tk_subject_kind_name(alert->subject_kind), id);
        tk_id_text(alert->id, id);
        tk_buf_printf(out, "Alert: %s\r\n", id);
}

void tk_message_mail(const struct tk_message *message, const char *from, const char *const *to,
                     unsigned to_nr, int64_t now_ms, struct tk_buf *out) {
        struct tk_buf text = TK_BUF(TK_MESSAGE_MAX), subject = TK_BUF(TK_MESSAGE_MAX);
        const char *at = strrchr(from, '@');
        char id[TK_ID_TEXT_LEN + 1];
        tk_id_text(message->alert.id, id);
        tk_buf_text(&subject, message->is_test ? "[Tollkey] Test: " : "[Tollkey] ");
        tk_message_line(message, &subject);
        write_text(message, &text);
        put_date(out, now_ms);
        tk_buf_printf(out, "From: Tollkey <%s>\r\nTo: ", from);
        for (unsigned i = 0; i < to_nr; i++)
                tk_buf_printf(out, "%s%s", i ? ",\r\n " : "", to[i]);
        tk_buf_text(out, "\r\n");
        put_header_text(out, "Subject", tk_buf_str(&subject));
        tk_buf_printf(out, "Message-ID: <%s@%s>\r\n", id, at ? at + 1 : "localhost");
        tk_buf_text(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                         "Content-Type: text/plain; charset=utf-8\r\n"
                         "Content-Transfer-Encoding: base64\r\n\r\n");
        put_body(out, tk_buf_str(&text));
        if (!tk_buf_ok(&text) || !tk_buf_ok(&subject))
                out->failed = true;
        tk_buf_free(&text);
        tk_buf_free(&subject);
}
