/* SPDX-License-Identifier: Apache-2.0 */
#include "service/delivery.h"

#include "rt/log.h"
#include "service/service_int.h"

#include <stdlib.h>

struct note {
        struct tk_job job; /* first */
        struct tk_id alert;
        enum tk_channel channel;
        struct tk_delivery delivery;
        tk_delivery_noted_f *noted;
        void *ctx;
};

static enum tk_err note_apply(struct tk_job *job, struct tk_store *store) {
        const struct note *n = (const struct note *)job;
        return tk_store_alert_sent(store, n->alert, n->channel, &n->delivery);
}

static void note_done(struct tk_job *job) {
        struct note *n = (struct note *)job;
        if (job->err != TK_OK && job->err != TK_E_CLOSED)
                tk_log(TK_ERROR, "alerts", "a delivery was not noted: %s", tk_err_text(job->err));
        n->noted(n->ctx, job->err);
        free(n);
}

bool tk_delivery_note(struct tk_service *service, struct tk_id alert, enum tk_channel channel,
                      const struct tk_delivery *delivery, tk_delivery_noted_f *noted, void *ctx) {
        struct note *n = malloc(sizeof *n);
        if (!n)
                return false;
        *n = (struct note){.job = {.apply = note_apply, .done = note_done, .must_land = true},
                           .alert = alert,
                           .channel = channel,
                           .delivery = *delivery,
                           .noted = noted,
                           .ctx = ctx};
        tk_writer_push(service->writer, &n->job);
        return true;
}
