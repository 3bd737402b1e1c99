/* SPDX-License-Identifier: Apache-2.0
 *
 * message: what is sent, to the byte; and that a name which somebody chose begins no header and breaks no
 * line.
 */
#include "alert/message.h"

#include "core/time.h"
#include "lib/unit.h"
#include "rt/base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_MS INT64_C(1795305600123) /* 2026-11-22 */

static struct tk_message message_of(const char *name) {
        struct tk_message message = {
                .alert = {.subject_kind = TK_SUBJECT_KEY,
                          .kind = TK_ALERT_THRESHOLD,
                          .limit = {.window = {.kind = TK_WINDOW_MONTH},
                                    .meter = TK_METER_USD,
                                    .cap = 5 * (uint64_t)TK_NANO,
                                    .alert = 4 * (uint64_t)TK_NANO},
                          .number = tk_window_number((struct tk_window_spec){.kind = TK_WINDOW_MONTH},
                                                     AT_MS / 1000),
                          .posted = 4 * TK_NANO + 1,
                          .held = TK_NANO / 2,
                          .at_ms = AT_MS}};
        memset(message.alert.id.b, 0x11, sizeof message.alert.id.b);
        memset(message.alert.org.b, 0x22, sizeof message.alert.org.b);
        memset(message.alert.subject.b, 0x33, sizeof message.alert.subject.b);
        snprintf(message.name, sizeof message.name, "%s", name);
        return message;
}

static void the_body_of_a_webhook(void **state) {
        struct tk_message message = message_of("batch \"7\"\n");
        struct tk_buf out = TK_BUF(TK_MESSAGE_MAX);
        TK_UNUSED(state);
        tk_message_json(&message, &out);
        assert_string_equal(
                out.at,
                "{\"type\":\"limit.threshold\",\"timestamp\":\"2026-11-22T00:00:00.000Z\",\"data\":{"
                "\"id\":\"11111111-1111-1111-1111-111111111111\",\"kind\":\"threshold\",\"test\":false,"
                "\"organisation\":\"22222222-2222-2222-2222-222222222222\",\"subject\":{\"kind\":\"key\","
                "\"id\":\"33333333-3333-3333-3333-333333333333\",\"name\":\"batch \\\"7\\\"\\n\"},"
                "\"limit\":{\"meter\":\"usd\",\"window\":\"month\",\"cap\":5,\"alert\":4,\"sliding\":false,"
                "\"observe\":false,\"balance\":false},\"posted\":4.000000001,\"held\":0.5,"
                "\"window_begins_at\":\"2026-11-01T00:00:00.000Z\",\"window_ends_at\":\"2026-12-01T00:00:00."
                "000Z\","
                "\"at\":\"2026-11-22T00:00:00.000Z\"}}");
        tk_buf_clear(&out);
        message.is_test = true;
        tk_message_json(&message, &out);
        assert_non_null(strstr(out.at, "{\"type\":\"alert.test\""));
        assert_non_null(strstr(out.at, "\"test\":true"));
        tk_buf_clear(&out);
        message.is_test = false;
        message.alert.kind = TK_ALERT_EXHAUSTED;
        message.alert.limit = (struct tk_limit){
                .window = {.kind = TK_WINDOW_LIFETIME}, .meter = TK_METER_TOKENS, .cap = 12};
        message.alert.number = 0;
        tk_message_json(&message, &out);
        assert_non_null(strstr(out.at, "\"type\":\"limit.exhausted\""));
        assert_non_null(strstr(out.at, "\"window\":\"lifetime\",\"cap\":12,\"alert\":null"));
        assert_non_null(strstr(out.at, "\"window_begins_at\":null,\"window_ends_at\":null"));
        tk_buf_free(&out);
}

static void one_line_says_what_happened(void **state) {
        static const struct {
                enum tk_alert_kind kind;
                unsigned flags;
                const char *name, *line;
        } rows[] = {
                {TK_ALERT_THRESHOLD, 0, "n", "The key \"n\" has used 4 usd of its limit of 5 usd (month)"},
                {TK_ALERT_EXHAUSTED, 0, "n", "The key \"n\" has used up its limit of 5 usd (month)"},
                {TK_ALERT_EXHAUSTED, TK_LIMIT_BALANCE, "",
                 "The key 33333333-3333-3333-3333-333333333333 has used up "
                 "its balance of 5 usd (month)"},
                {TK_ALERT_OBSERVED, 0, "a\r\nb",
                 "The key \"a  b\" has passed its observed limit of 5 usd (month)"},
        };
        struct tk_buf out = TK_BUF(TK_MESSAGE_MAX);
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct tk_message message = message_of(rows[i].name);
                message.alert.kind = rows[i].kind;
                message.alert.limit.flags = (uint8_t)rows[i].flags;
                tk_buf_clear(&out);
                tk_message_line(&message, &out);
                assert_string_equal(out.at, rows[i].line);
        }
        tk_buf_free(&out);
}

static char *mail_of(const char *name) {
        static const char *const to[] = {"a@b.example", "c@d.example"};
        const struct tk_message message = message_of(name);
        struct tk_buf out = TK_BUF(TK_MESSAGE_MAX);
        tk_message_mail(&message, "tollkey@example.com", to, 2, AT_MS, &out);
        assert_true(tk_buf_ok(&out));
        return out.at;
}

static void the_headers_of_a_mail(void **state) {
        char *mail = mail_of("n");
        TK_UNUSED(state);
        char *end = strstr(mail, "\r\n\r\n");
        assert_non_null(end);
        *end = '\0';
        assert_string_equal(
                mail, "Date: Sun, 22 Nov 2026 00:00:00 +0000\r\n"
                      "From: Tollkey <tollkey@example.com>\r\n"
                      "To: a@b.example,\r\n c@d.example\r\n"
                      "Subject: [Tollkey] The key \"n\" has used 4 usd of its limit of 5 usd (month)\r\n"
                      "Message-ID: <11111111-1111-1111-1111-111111111111@example.com>\r\n"
                      "Auto-Submitted: auto-generated\r\n"
                      "MIME-Version: 1.0\r\n"
                      "Content-Type: text/plain; charset=utf-8\r\n"
                      "Content-Transfer-Encoding: base64");
        free(mail);
}

/* Undoes the encoded words of the subject. */
static void subject_of(const char *mail, char *out, size_t size) {
        const char *at = strstr(mail, "Subject:");
        size_t len = 0;
        assert_non_null(at);
        at += strlen("Subject:");
        while (strncmp(at, " =?UTF-8?B?", 11) == 0) {
                const char *word = at + 11, *end = strstr(word, "?=\r\n");
                size_t n = 0;
                assert_non_null(end);
                assert_true(end + 2 - (at + 1) <= 75); /* RFC 2047 section 2 */
                assert_true(tk_base64_read((struct tk_str){word, (size_t)(end - word)}, (uint8_t *)out + len,
                                           size - len - 1, &n));
                assert_true(tk_str_utf8_ok((struct tk_str){out + len, n})); /* section 5: whole characters */
                len += n;
                at = end + 4;
        }
        out[len] = '\0';
}

static void a_name_cannot_leave_its_place(void **state) {
        static const char *const names[] = {"x\r\nBcc: evil@example.com\r\n\r\nbody",
                                            "\xE2\x82\xAC\xE2\x82\xAC", "=?UTF-8?B?aGFjaw==?=\n",
                                            "\xF0\x9F\x92\xB8\xF0\x9F\x92\xB8\xF0\x9F\x92\xB8\xF0\x9F\x92\xB8"
                                            "\xF0\x9F\x92\xB8\xF0\x9F\x92\xB8"
                                            "\xF0\x9F\x92\xB8\xF0\x9F\x92\xB8\xF0\x9F\x92\xB8\xF0\x9F\x92\xB8"
                                            "\xF0\x9F\x92\xB8\xF0\x9F\x92\xB8"};
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                const struct tk_message message = message_of(names[i]);
                struct tk_buf want = TK_BUF(TK_MESSAGE_MAX);
                char subject[1024], *mail = mail_of(names[i]);
                tk_buf_text(&want, "[Tollkey] ");
                tk_message_line(&message, &want);
                subject_of(mail, subject, sizeof subject);
                assert_string_equal(subject, want.at);
                assert_null(strstr(mail, "Bcc"));
                assert_null(strchr(subject, '\n'));
                for (const char *c = mail; *c; c++) {
                        assert_true((unsigned char)*c < 0x80);
                        assert_true(IMPLIES(*c == '\n', c > mail && c[-1] == '\r'));
                }
                free(mail);
                tk_buf_free(&want);
        }
}

static void the_text_of_a_mail(void **state) {
        char *mail = mail_of("n"), text[2048];
        size_t len = 0, n = 0;
        TK_UNUSED(state);
        char *line = strstr(mail, "\r\n\r\n");
        assert_non_null(line);
        for (line += 4; *line; line = strstr(line, "\r\n") + 2) {
                const char *end = strstr(line, "\r\n");
                assert_non_null(end);
                assert_true(end - line <= 76);
                assert_true(tk_base64_read((struct tk_str){line, (size_t)(end - line)}, (uint8_t *)text + len,
                                           sizeof text - len - 1, &n));
                len += n;
        }
        text[len] = '\0';
        assert_string_equal(text, "The key \"n\" has used 4 usd of its limit of 5 usd (month).\r\n\r\n"
                                  "Used: 4.000000001 usd\r\n"
                                  "Held by running calls: 0.5 usd\r\n"
                                  "At: 2026-11-22T00:00:00.123Z\r\n"
                                  "You are told again after: 2026-12-01T00:00:00.000Z\r\n"
                                  "key: 33333333-3333-3333-3333-333333333333\r\n"
                                  "Alert: 11111111-1111-1111-1111-111111111111\r\n");
        free(mail);
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(the_body_of_a_webhook), TEST(one_line_says_what_happened),
                                           TEST(the_headers_of_a_mail), TEST(a_name_cannot_leave_its_place),
                                           TEST(the_text_of_a_mail)};
        return cmocka_run_group_tests_name("alert/message", tests, NULL, NULL);
}
