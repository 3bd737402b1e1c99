/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/deliver.h"

#include "alert/send.h"
#include "rt/clock.h"
#include "rt/log.h"
#include "rt/rand.h"
#include "service/delivery.h"
#include "store/people.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 250
#define AT_ONCE 16 /* alerts of one look at the store */

struct channel {
        /* immutable */
        struct tk_deliver *deliver;
        enum tk_channel which;
        bool runs;
        pthread_t thread;
        struct tk_sender *sender;
        /* the channel's thread */
        struct tk_reader *reader;
        bool failing; /* the last attempt failed: the next failure is no news */
        /* under the mutex */
        unsigned unwritten; /* notes on their way into the store */
};

struct tk_deliver {
        const struct tk_alert_channels *channels;
        struct tk_service *service;
        pthread_mutex_t mutex;
        pthread_cond_t wake;
        bool stopping; /* under the mutex */
        struct channel of[TK_CHANNEL_NR];
};

int64_t tk_deliver_pause_ms(unsigned tries, unsigned first_ms, uint32_t chance) {
        int64_t pause = first_ms;
        MUST(tries >= 1);
        for (unsigned i = 1; i < tries && pause < TK_DELIVER_PAUSE_MAX_MS; i++)
                pause *= 2;
        if (pause > TK_DELIVER_PAUSE_MAX_MS)
                pause = TK_DELIVER_PAUSE_MAX_MS;
        return pause - pause / 4 + (int64_t)(chance % 1024) * (pause / 2) / 1023;
}

void tk_deliver_name(struct tk_reader *reader, const struct tk_alert *alert, char out[TK_MESSAGE_NAME_MAX]) {
        struct tk_key key;
        struct tk_user user;
        struct tk_workspace workspace;
        out[0] = '\0';
        if (alert->subject_kind == TK_SUBJECT_KEY &&
            tk_reader_key_by_id(reader, alert->subject, &key) == TK_OK)
                snprintf(out, TK_MESSAGE_NAME_MAX, "%s", key.description);
        else if (alert->subject_kind == TK_SUBJECT_USER &&
                 tk_reader_user_by_id(reader, alert->subject, &user) == TK_OK)
                snprintf(out, TK_MESSAGE_NAME_MAX, "%s", user.email);
        else if (alert->subject_kind == TK_SUBJECT_WORKSPACE &&
                 tk_reader_workspace_by_id(reader, alert->subject, &workspace) == TK_OK)
                snprintf(out, TK_MESSAGE_NAME_MAX, "%s", workspace.name);
}

/* ---- one alert ---- */

static bool is_stopping(struct tk_deliver *deliver) {
        pthread_mutex_lock(&deliver->mutex);
        bool stopping = deliver->stopping;
        pthread_mutex_unlock(&deliver->mutex);
        return stopping;
}

static void log_failure(struct channel *channel, const struct tk_alert *alert,
                        const struct tk_delivery *how) {
        char id[TK_ID_TEXT_LEN + 1];
        tk_id_text(alert->id, id);
        if (how->status == TK_DELIVERY_FAILED)
                tk_log(TK_ERROR, "alerts", "alert %s was given up after %u tries by %s: %s", id, how->tries,
                       tk_channel_name(channel->which), how->error);
        else if (!channel->failing)
                tk_log(TK_WARN, "alerts", "alert %s waits, %s does not take it: %s", id,
                       tk_channel_name(channel->which), how->error);
        channel->failing = true;
}

/* Sends it, and says how that went. */
static struct tk_delivery attempt(struct channel *channel, const struct tk_alert *alert) {
        struct tk_delivery how = alert->sent[channel->which];
        struct tk_message message = {.alert = *alert};
        uint32_t chance;
        tk_deliver_name(channel->reader, alert, message.name);
        enum tk_err err =
                tk_sender_send(channel->sender, channel->which, &message, tk_clock_now_ms(), how.error);
        int64_t now_ms = tk_clock_now_ms();
        how.tries++;
        if (err == TK_OK) {
                how = (struct tk_delivery){
                        .status = TK_DELIVERY_DELIVERED, .tries = how.tries, .ended_ms = now_ms};
                channel->failing = false;
                return how;
        }
        if (err == TK_E_CLOSED || how.tries >= TK_DELIVER_TRIES_MAX) {
                how.status = TK_DELIVERY_FAILED;
                how.ended_ms = now_ms;
        } else {
                tk_rand_bytes(&chance, sizeof chance);
                how.next_ms =
                        now_ms + tk_deliver_pause_ms(how.tries, channel->deliver->channels->retry_ms, chance);
        }
        if (!is_stopping(channel->deliver))
                log_failure(channel, alert, &how);
        return how;
}

static void on_noted(void *ctx, enum tk_err err) {
        struct channel *channel = ctx;
        TK_UNUSED(err); /* logged; what is not noted is found again */
        pthread_mutex_lock(&channel->deliver->mutex);
        channel->unwritten--;
        pthread_cond_broadcast(&channel->deliver->wake);
        pthread_mutex_unlock(&channel->deliver->mutex);
}

static void note(struct channel *channel, struct tk_id alert, const struct tk_delivery *how) {
        struct tk_deliver *deliver = channel->deliver;
        pthread_mutex_lock(&deliver->mutex);
        channel->unwritten++;
        pthread_mutex_unlock(&deliver->mutex);
        if (!tk_delivery_note(deliver->service, alert, channel->which, how, on_noted, channel))
                on_noted(channel, TK_E_NO_MEMORY);
}

/* ---- the thread ---- */

struct due {
        unsigned nr;
        struct tk_alert at[AT_ONCE];
};

static bool take_due(const struct tk_alert *alert, void *ctx) {
        struct due *due = ctx;
        MUST(due->nr < AT_ONCE);
        due->at[due->nr++] = *alert;
        return true;
}

/* Those that are due; how many there were. What was sent is noted before the store is asked again. */
static unsigned deliver_due(struct channel *channel, struct due *due) {
        int64_t now_ms = tk_clock_now_ms();
        due->nr = 0;
        enum tk_err err =
                tk_reader_alert_due(channel->reader, channel->which, now_ms, AT_ONCE, take_due, due);
        for (unsigned i = 0; err == TK_OK && i < due->nr && !is_stopping(channel->deliver); i++) {
                struct tk_delivery how = {.status = TK_DELIVERY_UNWANTED, .ended_ms = now_ms};
                if (tk_alert_channel_is_on(channel->deliver->channels, channel->which))
                        how = attempt(channel, &due->at[i]);
                if ((how.status == TK_DELIVERY_WAITING || how.status == TK_DELIVERY_FAILED) &&
                    is_stopping(channel->deliver))
                        break; /* it was interrupted, which is no try */
                note(channel, due->at[i].id, &how);
        }
        return err == TK_OK ? due->nr : 0;
}

/* Until all is noted, and for a while when nothing was due. False: the end. */
static bool rest(struct channel *channel, bool any) {
        struct tk_deliver *deliver = channel->deliver;
        const struct timespec until = tk_clock_after(TICK_MS);
        pthread_mutex_lock(&deliver->mutex);
        while (!deliver->stopping && channel->unwritten > 0)
                pthread_cond_wait(&deliver->wake, &deliver->mutex);
        while (!deliver->stopping && !any &&
               pthread_cond_timedwait(&deliver->wake, &deliver->mutex, &until) != ETIMEDOUT)
                ;
        bool goes_on = !deliver->stopping;
        pthread_mutex_unlock(&deliver->mutex);
        return goes_on;
}

static void *channel_main(void *arg) {
        struct channel *channel = arg;
        struct due *due = malloc(sizeof *due);
        if (!due)
                tk_log(TK_ERROR, "alerts", "no memory to deliver alerts by %s",
                       tk_channel_name(channel->which));
        while (due && rest(channel, deliver_due(channel, due) > 0))
                ;
        free(due);
        return NULL;
}

/* ---- open and close ---- */

static enum tk_err channel_start(struct channel *channel, struct tk_store *store) {
        enum tk_err err = tk_reader_open(store, &channel->reader);
        if (err == TK_OK)
                err = tk_sender_open(channel->deliver->channels, &channel->sender);
        if (err == TK_OK && pthread_create(&channel->thread, NULL, channel_main, channel) != 0)
                err = TK_E_NO_MEMORY;
        channel->runs = err == TK_OK;
        return err;
}

enum tk_err tk_deliver_open(const struct tk_alert_channels *channels, struct tk_store *store,
                            struct tk_service *service, struct tk_deliver **out) {
        struct tk_deliver *deliver = calloc(1, sizeof *deliver);
        pthread_condattr_t attr;
        enum tk_err err = TK_OK;
        *out = NULL;
        if (!deliver)
                return TK_E_NO_MEMORY;
        deliver->channels = channels;
        deliver->service = service;
        pthread_mutex_init(&deliver->mutex, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&deliver->wake, &attr);
        pthread_condattr_destroy(&attr);
        for (int c = 0; c < TK_CHANNEL_NR && err == TK_OK; c++) {
                deliver->of[c].deliver = deliver;
                deliver->of[c].which = (enum tk_channel)c;
                err = channel_start(&deliver->of[c], store);
        }
        if (err == TK_OK) {
                *out = deliver;
                return TK_OK;
        }
        tk_deliver_stop(deliver);
        tk_deliver_close(&deliver);
        return err;
}

void tk_deliver_stop(struct tk_deliver *deliver) {
        pthread_mutex_lock(&deliver->mutex);
        deliver->stopping = true;
        pthread_cond_broadcast(&deliver->wake);
        pthread_mutex_unlock(&deliver->mutex);
        for (int c = 0; c < TK_CHANNEL_NR; c++) {
                struct channel *channel = &deliver->of[c];
                if (channel->sender)
                        tk_sender_stop(channel->sender);
                if (channel->runs)
                        pthread_join(channel->thread, NULL);
                channel->runs = false;
                tk_sender_close(&channel->sender);
                if (channel->reader)
                        tk_reader_close(&channel->reader);
        }
}

void tk_deliver_close(struct tk_deliver **deliver) {
        struct tk_deliver *d = *deliver;
        *deliver = NULL;
        if (!d)
                return;
        pthread_cond_destroy(&d->wake);
        pthread_mutex_destroy(&d->mutex);
        free(d);
}
