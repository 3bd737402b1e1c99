/* SPDX-License-Identifier: Apache-2.0 */
#include "service/alerts.h"

#include "core/time.h"
#include "rt/hash.h"
#include "rt/log.h"

#include <stdlib.h>
#include <string.h>

struct tk_alert_note {
        struct tk_job job; /* of one that is pushed; first */
        struct tk_alert_note *next;
        struct tk_alert alert;
};

/* ---- which one it is ---- */

struct name {
        uint8_t at[sizeof(struct tk_id) + 9 * 8];
        size_t len;
};

static void add_number(struct name *name, uint64_t number) {
        for (int i = 0; i < 8; i++)
                name->at[name->len++] = (uint8_t)(number >> (8 * i));
}

/* A UUID of version 8 (RFC 9562): the rest is what its maker wants it to be. */
static struct tk_id id_of(const struct tk_alert *alert) {
        const struct tk_window_spec window = alert->limit.window;
        struct name name = {.len = sizeof alert->subject.b};
        uint8_t digest[32];
        struct tk_id id;
        memcpy(name.at, alert->subject.b, sizeof alert->subject.b);
        add_number(&name, (uint64_t)alert->kind);
        add_number(&name, (uint64_t)alert->limit.meter);
        add_number(&name, (uint64_t)window.kind);
        add_number(&name, window.days);
        add_number(&name, (uint64_t)window.anchor_day);
        add_number(&name, (uint64_t)alert->number);
        add_number(&name, tk_alert_amount(alert));
        add_number(&name, alert->limit.flags & TK_LIMIT_SLIDING);
        add_number(&name, alert->limit.flags & TK_LIMIT_BALANCE);
        MUST(name.len == sizeof name.at);
        tk_sha256((struct tk_str){(const char *)name.at, name.len}, digest);
        memcpy(id.b, digest, sizeof id.b);
        id.b[6] = (uint8_t)((id.b[6] & 0x0F) | 0x80);
        id.b[8] = (uint8_t)((id.b[8] & 0x3F) | 0x80);
        return id;
}

/* ---- noting ---- */

#define NUMBER_BITS 0xFFFu

_Static_assert(TK_ALERT_NR <= 3, "a slot has a bit for each kind");

static struct tk_slot *slot_of(struct tk_counter *counter, int64_t at_s) {
        return tk_counter_slot_get(counter, tk_window_number(counter->limit.window, at_s));
}

static bool was_told(const struct tk_slot *slot, enum tk_alert_kind kind, int64_t number) {
        return slot->told_number == ((uint64_t)number & NUMBER_BITS) && slot->told & 1u << kind;
}

static void set_told(struct tk_slot *slot, enum tk_alert_kind kind, int64_t number) {
        if (slot->told_number != ((uint64_t)number & NUMBER_BITS))
                slot->told = 0;
        slot->told_number = (uint64_t)number & NUMBER_BITS;
        slot->told = (slot->told | 1u << kind) & 7u;
}

static void note(const struct tk_account *account, struct tk_counter *counter, struct tk_id org,
                 enum tk_alert_kind kind, int64_t at_s, const struct tk_count *count,
                 struct tk_alert_note **notes) {
        int64_t number = tk_alert_number(counter->limit.window, at_s);
        struct tk_slot *slot = slot_of(counter, at_s);
        MUST(slot != NULL); /* it was counted in it */
        if (was_told(slot, kind, number))
                return;
        struct tk_alert_note *made = calloc(1, sizeof *made);
        if (!made)
                return;
        made->alert = (struct tk_alert){.org = org,
                                        .subject = account->id,
                                        .subject_kind = account->kind,
                                        .kind = kind,
                                        .limit = counter->limit,
                                        .number = number,
                                        .posted = count->posted,
                                        .held = count->held};
        made->alert.limit.base = made->alert.limit.base_number =
                0; /* what was forgiven is not among the posted */
        made->alert.id = id_of(&made->alert);
        made->next = *notes;
        *notes = made;
        set_told(slot, kind, number);
}

static enum tk_alert_kind full(const struct tk_limit *limit) {
        return limit->flags & TK_LIMIT_OBSERVE ? TK_ALERT_OBSERVED : TK_ALERT_EXHAUSTED;
}

void tk_alerts_posted(struct tk_account *account, struct tk_id org, int64_t at_s,
                      struct tk_alert_note **notes) {
        tk_lock_assert_held(&account->lock);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                struct tk_counter *counter = &account->counters[i];
                struct tk_count count;
                unsigned reached = tk_counter_reached(counter, at_s, &count);
                if (reached & TK_REACHED_ALERT)
                        note(account, counter, org, TK_ALERT_THRESHOLD, at_s, &count, notes);
                if (reached & TK_REACHED_CAP)
                        note(account, counter, org, full(&counter->limit), at_s, &count, notes);
        }
}

static void note_full(struct tk_account *account, struct tk_counter *counter, struct tk_id org,
                      const struct tk_want *want, struct tk_alert_note **notes) {
        struct tk_count count;
        bool known = tk_counter_count(counter, want->at_s, want->at_ms, &count);
        MUST(known); /* it was checked under this lock */
        note(account, counter, org, full(&counter->limit), want->at_s, &count, notes);
}

void tk_alerts_refused(struct tk_account *account, unsigned index, struct tk_id org,
                       const struct tk_want *want, struct tk_alert_note **notes) {
        tk_lock_assert_held(&account->lock);
        MUST(index < account->counters_nr);
        note_full(account, &account->counters[index], org, want, notes);
}

void tk_alerts_passed(struct tk_account *account, struct tk_id org, const struct tk_want *want,
                      struct tk_alert_note **notes) {
        tk_lock_assert_held(&account->lock);
        for (unsigned i = 0; i < account->counters_nr; i++) {
                const struct tk_slot *slot = slot_of(&account->counters[i], want->at_s);
                if (slot && slot->passed)
                        note_full(account, &account->counters[i], org, want, notes);
        }
}

/* ---- writing ---- */

enum tk_err tk_alerts_write(const struct tk_alert_note *notes, int64_t at_ms, struct tk_store *store) {
        enum tk_err err = TK_OK;
        for (; notes && err == TK_OK; notes = notes->next) {
                struct tk_alert alert = notes->alert;
                alert.at_ms = at_ms;
                for (int c = 0; c < TK_CHANNEL_NR; c++)
                        alert.sent[c].next_ms = at_ms;
                err = tk_store_alert_add(store, &alert);
        }
        return err;
}

static enum tk_err note_apply(struct tk_job *job, struct tk_store *store) {
        const struct tk_alert_note *n = (const struct tk_alert_note *)job;
        return tk_alerts_write(n, n->alert.at_ms, store);
}

static void note_settled(struct tk_job *job) {
        if (job->err != TK_OK && job->err != TK_E_CLOSED)
                tk_log(TK_ERROR, "alerts", "an alert was not stored: %s", tk_err_text(job->err));
}

static void note_done(struct tk_job *job) {
        free(job);
}

void tk_alerts_push(struct tk_writer *writer, int64_t at_ms, struct tk_alert_note **notes) {
        while (*notes) {
                struct tk_alert_note *n = *notes;
                *notes = n->next;
                n->next = NULL;
                n->alert.at_ms = at_ms;
                n->job = (struct tk_job){
                        .apply = note_apply, .settled = note_settled, .done = note_done, .must_land = true};
                tk_writer_push(writer, &n->job);
        }
}

void tk_alerts_free(struct tk_alert_note **notes) {
        while (*notes) {
                struct tk_alert_note *n = *notes;
                *notes = n->next;
                free(n);
        }
}
