/* SPDX-License-Identifier: Apache-2.0
 *
 * Each attempt runs in a multi handle of its own, only because a multi can be woken: a server that stops does
 * not wait for a webhook that hangs.
 */
#include "alert/send.h"

#include "alert/sign.h"
#include "core/time.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 5000L
#define WHOLE_MS   20000L
#define POLL_MS    1000

struct tk_sender {
        const struct tk_alert_channels *channels;
        CURLM *multi;
        atomic_bool stopping;
};

/* One attempt, and what it needs until it is over. */
struct attempt {
        CURL *easy;
        struct curl_slist *lines; /* of a webhook: headers; of a mail: who gets it */
        struct tk_buf text;
        size_t read; /* of a mail */
        char error[CURL_ERROR_SIZE];
        bool ok; /* so far: memory, options */
};

enum tk_err tk_sender_open(const struct tk_alert_channels *channels, struct tk_sender **out) {
        *out = NULL;
        if (curl_global_init(CURL_GLOBAL_ALL) != 0)
                return TK_E_NO_MEMORY;
        struct tk_sender *sender = calloc(1, sizeof *sender);
        if (sender)
                sender->multi = curl_multi_init();
        if (!sender || !sender->multi) {
                free(sender);
                curl_global_cleanup();
                return TK_E_NO_MEMORY;
        }
        sender->channels = channels;
        *out = sender;
        return TK_OK;
}

void tk_sender_close(struct tk_sender **sender) {
        struct tk_sender *s = *sender;
        *sender = NULL;
        if (!s)
                return;
        curl_multi_cleanup(s->multi);
        curl_global_cleanup();
        free(s);
}

void tk_sender_stop(struct tk_sender *sender) {
        atomic_store(&sender->stopping, true);
        curl_multi_wakeup(sender->multi);
}

/* ---- preparing ---- */

#define SET(a, option, value) (a)->ok &= curl_easy_setopt((a)->easy, CURLOPT_##option, value) == CURLE_OK

static void add_line(struct attempt *a, const char *line) {
        struct curl_slist *more = curl_slist_append(a->lines, line);
        if (more)
                a->lines = more;
        else
                a->ok = false;
}

static size_t ignore_piece(char *at, size_t size, size_t nr, void *ctx) {
        TK_UNUSED(at);
        TK_UNUSED(ctx);
        return size * nr;
}

static size_t give_piece(char *at, size_t size, size_t nr, void *ctx) {
        struct attempt *a = ctx;
        size_t rest = a->text.len - a->read, n = size * nr < rest ? size * nr : rest;
        if (n)
                memcpy(at, a->text.at + a->read, n);
        a->read += n;
        return n;
}

static void set_always(struct attempt *a) {
        SET(a, NOSIGNAL, 1L);
        SET(a, SSL_VERIFYPEER, 1L);
        SET(a, SSL_VERIFYHOST, 2L);
        SET(a, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        SET(a, NETRC, (long)CURL_NETRC_IGNORED);
        SET(a, PROXY, "");
        SET(a, NOPROXY, "*"); /* or the environment is asked */
        SET(a, CONNECTTIMEOUT_MS, CONNECT_MS);
        SET(a, TIMEOUT_MS, WHOLE_MS);
        SET(a, ERRORBUFFER, a->error);
        SET(a, WRITEFUNCTION, ignore_piece);
}

static void set_webhook(struct attempt *a, const struct tk_alert_channels *channels,
                        const struct tk_message *message, int64_t now_ms) {
        struct tk_buf line = TK_BUF(512);
        int64_t now_s = tk_floor_div(now_ms, 1000);
        char id[TK_ID_TEXT_LEN + 1];
        tk_id_text(message->alert.id, id);
        tk_message_json(message, &a->text);
        a->ok = a->ok && tk_buf_ok(&a->text);
        tk_buf_printf(&line, "webhook-id: %s", id);
        add_line(a, tk_buf_ok(&line) ? line.at : "");
        tk_buf_clear(&line);
        tk_buf_printf(&line, "webhook-timestamp: %" PRId64, now_s);
        add_line(a, tk_buf_ok(&line) ? line.at : "");
        tk_buf_clear(&line);
        tk_buf_text(&line, "webhook-signature: ");
        tk_webhook_sign(tk_str_of(channels->webhook_secret), tk_str_of(id), now_s, tk_buf_str(&a->text),
                        &line);
        add_line(a, tk_buf_ok(&line) ? line.at : "");
        add_line(a, "Content-Type: application/json");
        add_line(a, "Expect:");
        a->ok = a->ok && tk_buf_ok(&line);
        tk_buf_free(&line);
        if (!a->ok)
                return;
        SET(a, URL, channels->webhook_url);
        SET(a, PROTOCOLS_STR, "http,https");
        SET(a, FOLLOWLOCATION, 0L);
        SET(a, DISALLOW_USERNAME_IN_URL, 1L);
        SET(a, USERAGENT, "tollkey/" TK_VERSION);
        SET(a, HTTPHEADER, a->lines);
        SET(a, POSTFIELDSIZE, (long)a->text.len);
        SET(a, POSTFIELDS, a->text.at);
}

static void set_email(struct attempt *a, const struct tk_alert_channels *channels,
                      const struct tk_message *message, int64_t now_ms) {
        const char *to[TK_ALERT_TO_MAX];
        for (unsigned i = 0; i < channels->to_nr; i++) {
                to[i] = channels->to[i];
                add_line(a, to[i]);
        }
        tk_message_mail(message, channels->from, to, channels->to_nr, now_ms, &a->text);
        a->ok = a->ok && tk_buf_ok(&a->text);
        if (!a->ok)
                return;
        SET(a, URL, channels->smtp_url);
        SET(a, PROTOCOLS_STR, "smtp,smtps");
        SET(a, USE_SSL, (long)(channels->smtp_plain ? CURLUSESSL_NONE : CURLUSESSL_ALL));
        if (channels->smtp_user)
                SET(a, USERNAME, channels->smtp_user);
        if (channels->smtp_password)
                SET(a, PASSWORD, channels->smtp_password);
        SET(a, MAIL_FROM, channels->from);
        SET(a, MAIL_RCPT, a->lines);
        SET(a, UPLOAD, 1L);
        SET(a, READFUNCTION, give_piece);
        SET(a, READDATA, a);
}

/* ---- running ---- */

static CURLcode run(struct tk_sender *sender, struct attempt *a) {
        CURLcode code = CURLE_ABORTED_BY_CALLBACK;
        int running = 1, left;
        if (curl_multi_add_handle(sender->multi, a->easy) != CURLM_OK)
                return CURLE_OUT_OF_MEMORY;
        while (!atomic_load(&sender->stopping)) {
                struct CURLMsg *msg;
                if (curl_multi_perform(sender->multi, &running) != CURLM_OK)
                        break;
                while ((msg = curl_multi_info_read(sender->multi, &left)))
                        if (msg->msg == CURLMSG_DONE)
                                code = msg->data.result;
                if (running == 0 || curl_multi_poll(sender->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
                        break;
        }
        curl_multi_remove_handle(sender->multi, a->easy);
        return code;
}

/* What a server or a library says may hold anything. */
static void say(char why[TK_DELIVERY_ERROR_MAX + 1], const char *text) {
        const size_t len = strlen(text);
        size_t n = 0;
        for (; n < len && n < TK_DELIVERY_ERROR_MAX; n++)
                why[n] = text[n] < ' ' || text[n] > '~' ? ' ' : text[n];
        why[n] = '\0';
}

static enum tk_err judge(struct attempt *a, enum tk_channel channel, CURLcode code,
                         char why[TK_DELIVERY_ERROR_MAX + 1]) {
        char text[TK_DELIVERY_ERROR_MAX + 1];
        long status = 0;
        curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
        if (channel == TK_CHANNEL_WEBHOOK && status >= 200 && status < 300)
                return TK_OK; /* it was taken, however the answer went on */
        if (code == CURLE_OK && channel == TK_CHANNEL_EMAIL)
                return TK_OK;
        if (code == CURLE_OK) {
                snprintf(text, sizeof text, "HTTP %ld", status);
                say(why, text);
                return status == 410 ? TK_E_CLOSED : TK_E_IO;
        }
        say(why, a->error[0] ? a->error : curl_easy_strerror(code));
        return code == CURLE_OPERATION_TIMEDOUT ? TK_E_TIMEOUT : TK_E_IO;
}

enum tk_err tk_sender_send(struct tk_sender *sender, enum tk_channel channel,
                           const struct tk_message *message, int64_t now_ms,
                           char why[TK_DELIVERY_ERROR_MAX + 1]) {
        struct attempt a = {.text = TK_BUF(TK_MESSAGE_MAX), .easy = curl_easy_init()};
        enum tk_err err = TK_E_NO_MEMORY;
        MUST(tk_alert_channel_is_on(sender->channels, channel));
        say(why, "out of memory");
        a.ok = a.easy != NULL;
        if (a.ok)
                set_always(&a);
        if (a.ok && channel == TK_CHANNEL_WEBHOOK)
                set_webhook(&a, sender->channels, message, now_ms);
        else if (a.ok)
                set_email(&a, sender->channels, message, now_ms);
        if (a.ok) {
                why[0] = '\0';
                err = judge(&a, channel, run(sender, &a), why);
        }
        if (a.easy)
                curl_easy_cleanup(a.easy);
        curl_slist_free_all(a.lines);
        tk_buf_free(&a.text);
        return err;
}
