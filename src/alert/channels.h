/* SPDX-License-Identifier: Apache-2.0
 *
 * channels: where alerts go, as the configuration says. Immutable after the start.
 */
#ifndef TK_ALERT_CHANNELS_H
#define TK_ALERT_CHANNELS_H

#include "core/alert.h"
#include "core/user.h"

#define TK_ALERT_TO_MAX 16

struct tk_alert_channels {
        unsigned retry_ms; /* before the first repetition */
        char *webhook_url; /* NULL: no such channel */
        char *webhook_secret;
        char *smtp_url; /* NULL: no such channel */
        char *smtp_user, *smtp_password;
        bool smtp_plain; /* no TLS is asked for: a relay on this machine */
        char from[TK_EMAIL_MAX + 1];
        unsigned to_nr;
        char to[TK_ALERT_TO_MAX][TK_EMAIL_MAX + 1];
};

/* What it owns; secrets are wiped. */
void tk_alert_channels_free(struct tk_alert_channels *channels);

static inline bool tk_alert_channel_is_on(const struct tk_alert_channels *channels, enum tk_channel channel) {
        return channel == TK_CHANNEL_WEBHOOK ? channels->webhook_url != NULL : channels->smtp_url != NULL;
}

#endif
