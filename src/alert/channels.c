/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/channels.h"

#include <stdlib.h>
#include <string.h>

static void free_secret(char *secret) {
        if (secret)
                explicit_bzero(secret, strlen(secret));
        free(secret);
}

void tk_alert_channels_free(struct tk_alert_channels *channels) {
        free(channels->webhook_url);
        free_secret(channels->webhook_secret);
        free(channels->smtp_url);
        free(channels->smtp_user);
        free_secret(channels->smtp_password);
        *channels = (struct tk_alert_channels){.retry_ms = 0};
}
