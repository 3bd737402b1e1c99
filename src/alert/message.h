/* SPDX-License-Identifier: Apache-2.0
 *
 * message: an alert in the words of its readers: the JSON of a webhook, the text of a mail. No I/O; any
 * thread.
 *
 * What a key or workspace is called was chosen by somebody else. In JSON it is a string like any other; in a
 * mail's header it is an encoded word (RFC 2047) as soon as it is more than plain ASCII, and the body is
 * base64, so it can begin no header, line or part.
 */
#ifndef TK_ALERT_MESSAGE_H
#define TK_ALERT_MESSAGE_H

#include "base/buf.h"
#include "core/alert.h"

#define TK_MESSAGE_MAX      32768
#define TK_MESSAGE_NAME_MAX 512

struct tk_message {
        struct tk_alert alert;
        char name[TK_MESSAGE_NAME_MAX]; /* what the subject is called; "": nothing */
        bool is_test;                   /* sent by hand to see whether it arrives */
};

/* The body of a webhook: {"type","timestamp","data"}. */
void tk_message_json(const struct tk_message *message, struct tk_buf *out);
/* One line: what happened. */
void tk_message_line(const struct tk_message *message, struct tk_buf *out);
/* The whole mail, with its headers, in lines that end in CRLF. `from` and each of `to` are addresses. */
void tk_message_mail(const struct tk_message *message, const char *from, const char *const *to,
                     unsigned to_nr, int64_t now_ms, struct tk_buf *out);

#endif
