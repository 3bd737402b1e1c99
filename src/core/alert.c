/* SPDX-License-Identifier: Apache-2.0
 *
 * alert: names, and what a stored alert must look like. Nothing here decides when there is one.
 */
#include "core/alert.h"

#include "core/time.h"

#include <string.h>

static bool is_shorter_than_hour(enum tk_window_kind kind) {
        return kind == TK_WINDOW_SECOND || kind == TK_WINDOW_MINUTE || kind == TK_WINDOW_FLIGHT;
}

/* The window that an alert counts by. */
static struct tk_window_spec counted(struct tk_window_spec window) {
        if (is_shorter_than_hour(window.kind))
                window = (struct tk_window_spec){.kind = TK_WINDOW_DAY};
        return window;
}

int64_t tk_alert_number(struct tk_window_spec window, int64_t at_s) {
        return tk_window_number(counted(window), at_s);
}

uint64_t tk_alert_amount(const struct tk_alert *alert) {
        return alert->kind == TK_ALERT_THRESHOLD ? alert->limit.alert : alert->limit.cap;
}

const char *tk_alert_kind_name(enum tk_alert_kind kind) {
        static const char *const names[TK_ALERT_NR] = {
                [TK_ALERT_THRESHOLD] = "threshold",
                [TK_ALERT_EXHAUSTED] = "exhausted",
                [TK_ALERT_OBSERVED] = "observed",
        };
        MUST((unsigned)kind < TK_ALERT_NR);
        return names[kind];
}

const char *tk_channel_name(enum tk_channel channel) {
        static const char *const names[TK_CHANNEL_NR] = {
                [TK_CHANNEL_WEBHOOK] = "webhook",
                [TK_CHANNEL_EMAIL] = "email",
        };
        MUST((unsigned)channel < TK_CHANNEL_NR);
        return names[channel];
}

const char *tk_delivery_status_name(enum tk_delivery_status status) {
        static const char *const names[TK_DELIVERY_NR] = {
                [TK_DELIVERY_WAITING] = "waiting",
                [TK_DELIVERY_DELIVERED] = "delivered",
                [TK_DELIVERY_FAILED] = "failed",
                [TK_DELIVERY_UNWANTED] = "unwanted",
        };
        MUST((unsigned)status < TK_DELIVERY_NR);
        return names[status];
}

bool tk_delivery_ok(const struct tk_delivery *delivery) {
        size_t len = strnlen(delivery->error, sizeof delivery->error);
        for (size_t i = 0; i < len; i++)
                if (delivery->error[i] < ' ' || delivery->error[i] > '~')
                        return false; /* it is shown on terminals */
        return (unsigned)delivery->status < TK_DELIVERY_NR && len < sizeof delivery->error &&
               delivery->next_ms >= 0 && delivery->next_ms <= TK_TIME_MS_MAX && delivery->ended_ms >= 0 &&
               delivery->ended_ms <= TK_TIME_MS_MAX;
}

bool tk_alert_ok(const struct tk_alert *alert) {
        if (tk_id_none(alert->id) || tk_id_none(alert->org) || tk_id_none(alert->subject) ||
            (unsigned)alert->subject_kind >= TK_SUBJECT_NR || (unsigned)alert->kind >= TK_ALERT_NR)
                return false;
        if (!tk_limit_ok(&alert->limit) || !tk_window_number_ok(counted(alert->limit.window), alert->number))
                return false;
        for (int c = 0; c < TK_CHANNEL_NR; c++)
                if (!tk_delivery_ok(&alert->sent[c]))
                        return false;
        return alert->posted >= 0 && alert->held >= 0 && alert->at_ms >= 0 && alert->at_ms <= TK_TIME_MS_MAX;
}
