/* SPDX-License-Identifier: Apache-2.0 */
#include "auditor.h"

#include "faulty_store.h"
#include "service/ticket.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_S       3600
#define LOADS_HOURS  8
#define WAIT_BATCHES 64 /* within so many batches everybody is answered */

/* What must be covered after the end of a process. */
struct claim {
        struct truth_key *key;
        enum tk_meter meter;
        struct tk_window_spec window;
        struct calendar_window in;
        int64_t used; /* posted + held + doubt */
};

/* A doubt of the process that ended. */
struct old_doubt {
        struct truth_key *key;
        struct truth_doubt doubt;
};

struct auditor {
        struct claim *claims;
        size_t claims_nr, claims_size;
        struct old_doubt *olds;
        size_t olds_nr, olds_size;
        size_t doubts_nr; /* found after it */
};

struct auditor *auditor_new(void) {
        return calloc(1, sizeof(struct auditor));
}

void auditor_free(struct auditor **auditor) {
        free((*auditor)->claims);
        free((*auditor)->olds);
        free(*auditor);
        *auditor = NULL;
}

static bool excused(const struct world *world) {
        return faulty_fired() != world->fired_before;
}

static const char *meter_of(const struct tk_limit *limit) {
        return tk_meter_name(limit->meter);
}

/* ---- versions (7) ---- */

void audit_version(struct world *world, struct truth_key *key) {
        if (!key->editing && !key->torn)
                return;
        const struct tk_account *account = tk_ring_account_get(world->service->ring, key->id);
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        if (!account || !account->loaded)
                return; /* it goes by nothing: what it will read next is what the store has then */
        for (unsigned i = 0; i < account->counters_nr; i++)
                limits[i] = account->counters[i].limit;
        if (truth_version_eq(&key->acted, limits, account->counters_nr))
                return;
        if (key->editing && key->wanted_landed &&
            truth_version_eq(&key->wanted, limits, account->counters_nr))
                truth_act(&world->truth, key, &key->wanted);
        else if (truth_version_eq(&key->durable, limits, account->counters_nr))
                truth_act(&world->truth, key, &key->durable);
        else
                trace_fail("key %u: the process goes by limits that are neither the old nor the new ones",
                           key->index);
}

void audit_snapshot(struct world *world, const struct truth_key *key, const struct tk_key *row) {
        if (key->editing || key->torn || world->ending)
                return;
        if (!truth_version_eq(&key->acted, row->limits, row->limits_nr))
                trace_fail("key %u: found with limits that are not those of its last edit", key->index);
        if ((row->revoked_ms != 0) != key->acted.revoked)
                trace_fail("key %u: found %s", key->index, key->acted.revoked ? "not revoked" : "revoked");
}

void audit_edit(struct world *world, struct truth_key *key, enum tk_err err, const struct tk_key *row) {
        key->editing = false;
        if (err == TK_OK) {
                if (!key->wanted_landed)
                        trace_fail("key %u: an edit was confirmed that is not in the store", key->index);
                if (!truth_version_eq(&key->wanted, row->limits, row->limits_nr))
                        trace_fail("key %u: an edit was confirmed with other limits", key->index);
                truth_act(&world->truth, key, &key->wanted);
                key->torn = false;
                return;
        }
        if (err == TK_E_NOT_FOUND && !key->durable.revoked)
                trace_fail("key %u: an edit was answered with \"not found\", but it is not revoked",
                           key->index);
        if (key->wanted_landed)
                key->torn = true;
}

/* ---- decisions (1) (2) (3) ---- */

/* A meter of which an extension wants nothing more is not asked. */
static bool is_asked(const struct truth_ticket *ticket, enum tk_meter meter) {
        return ticket->stage == TRUTH_ASKED || ticket->most.of[meter] > 0;
}

/* The first limit that cannot take the least that is asked, or NULL. What is left by meter. */
static const struct truth_limit *refuses(const struct truth_ticket *ticket, struct tk_amounts *left) {
        const struct truth_version *version = &ticket->key->acted;
        const struct truth_limit *found = NULL;
        for (int m = 0; m < TK_METER_NR; m++)
                left->of[m] = INT64_MAX;
        for (unsigned i = 0; i < version->nr; i++) {
                const struct truth_limit *limit = &version->limits[i];
                enum tk_meter meter = limit->limit.meter;
                if (!is_asked(ticket, meter))
                        continue;
                int64_t free = truth_left(ticket->key, limit, ticket->at_s);
                if (!found && (free == 0 || free < ticket->least.of[meter]))
                        found = limit;
                if (free < left->of[meter])
                        left->of[meter] = free;
        }
        return found;
}

static void check_taken(const struct truth_ticket *ticket, struct tk_amounts *given) {
        const struct tk_amounts *held = tk_ticket_held(ticket->ticket);
        const struct tk_amounts *rest = tk_ticket_left(ticket->ticket);
        struct tk_amounts left;
        const struct truth_limit *limit = refuses(ticket, &left);
        if (limit)
                trace_fail("key %u: a hold of at least %lld %s was taken, but only %lld are left of %llu",
                           ticket->key->index, (long long)ticket->least.of[limit->limit.meter],
                           meter_of(&limit->limit), (long long)left.of[limit->limit.meter],
                           (unsigned long long)limit->limit.cap);
        for (int m = 0; m < TK_METER_NR; m++) {
                int64_t want = ticket->most.of[m] < left.of[m] ? ticket->most.of[m] : left.of[m];
                given->of[m] = held->of[m] - ticket->held.of[m];
                if (given->of[m] != want)
                        trace_fail("key %u: %lld %s were taken; %lld are wanted and %lld left: expected %lld",
                                   ticket->key->index, (long long)given->of[m],
                                   tk_meter_name((enum tk_meter)m), (long long)ticket->most.of[m],
                                   (long long)left.of[m], (long long)want);
                if (left.of[m] != INT64_MAX)
                        left.of[m] -= want;
                if (rest->of[m] != left.of[m])
                        trace_fail("key %u: said to have %lld %s left, expected %lld", ticket->key->index,
                                   (long long)rest->of[m], tk_meter_name((enum tk_meter)m),
                                   (long long)left.of[m]);
        }
}

static void check_refused(const struct truth_ticket *ticket, enum tk_hold_answer answer) {
        const struct tk_refusal *refusal = tk_ticket_refusal(ticket->ticket);
        struct tk_amounts left;
        const struct truth_limit *limit = refuses(ticket, &left);
        if (!limit)
                trace_fail(
                        "key %u: refused by a limit of %llu %s with %lld posted and %lld held, but it fits",
                        ticket->key->index, (unsigned long long)refusal->cap, tk_meter_name(refusal->meter),
                        (long long)refusal->posted, (long long)refusal->held);
        if (answer != (tk_meter_is_money(limit->limit.meter) ? TK_HOLD_NO_CAP : TK_HOLD_NO_RATE))
                trace_fail("key %u: refused by %s with the wrong answer %d", ticket->key->index,
                           meter_of(&limit->limit), answer);
        if (refusal->meter != limit->limit.meter || refusal->cap != limit->limit.cap ||
            !tk_window_spec_eq(refusal->window, limit->limit.window))
                trace_fail("key %u: the refusal names another limit than the first that refuses",
                           ticket->key->index);
        struct calendar_window window = calendar_at(limit->limit.window, ticket->at_s);
        int64_t posted = truth_posted(ticket->key, limit, &window) +
                         truth_doubt_get(ticket->key, limit->limit.meter, limit->limit.window, window.number);
        int64_t held = truth_held(ticket->key, limit->limit.meter, &window);
        if (refusal->posted != posted || refusal->held != held || refusal->turns_s != window.end_s)
                trace_fail("key %u: the refusal says posted %lld, held %lld, turns %lld; "
                           "expected %lld, %lld, %lld",
                           ticket->key->index, (long long)refusal->posted, (long long)refusal->held,
                           (long long)refusal->turns_s, (long long)posted, (long long)held,
                           (long long)window.end_s);
}

static void check_no_store(const struct world *world, const struct truth_ticket *ticket) {
        /* A wait for loads is bounded, and whenever the hour turns before it is answered there is one more.
         */
        bool races = world->truth.clock_s - ticket->asked_s >= LOADS_HOURS * HOUR_S;
        if (!excused(world) && !faulty_is_failing() && !world->ending && !races)
                trace_fail("key %u: NO_STORE, but the store works", ticket->key->index);
}

void audit_answer(struct world *world, struct truth_ticket *ticket, enum tk_hold_answer answer) {
        bool fresh = ticket->stage == TRUTH_ASKED;
        struct tk_amounts given;
        audit_version(world, ticket->key);
        if (fresh)
                ticket->at_s = world->truth.clock_s;
        switch (answer) {
        case TK_HOLD_TAKEN:
                if (fresh && faulty_is_failing() && !excused(world))
                        trace_fail("key %u: a hold was taken while the store fails", ticket->key->index);
                check_taken(ticket, &given);
                truth_take(&world->truth, ticket, &given);
                return;
        case TK_HOLD_NO_CAP:
        case TK_HOLD_NO_RATE:
                check_refused(ticket, answer);
                break;
        case TK_HOLD_NO_STORE:
                check_no_store(world, ticket);
                break;
        default:
                trace_fail("key %u: answered with %d", ticket->key->index, answer);
        }
        ticket->stage = fresh ? TRUTH_REFUSED : TRUTH_HELD;
}

/* ---- answers that are due (4) (5) ---- */

void audit_waiting(struct world *world) {
        const struct truth *truth = &world->truth;
        if (truth->asked.nr == 0)
                return;
        if (tk_writer_depth(world->service->writer) <= truth->posts_nr)
                trace_fail("%zu wait, but nothing is queued that could answer them", truth->asked.nr);
        for (size_t i = 0; i < truth->asked.nr; i++)
                if (world->batches - truth->asked.at[i]->asked > WAIT_BATCHES)
                        trace_fail("key %u: not answered within %d batches", truth->asked.at[i]->key->index,
                                   WAIT_BATCHES);
}

void audit_barrier(struct world *world, uint64_t before, enum tk_err err) {
        const struct truth_ticket *first = world->truth.posts;
        if (err == TK_OK && first && first->posted <= before)
                trace_fail("key %u: a barrier was confirmed, but a post before it is not in the store",
                           first->key->index);
}

/* ---- the store (6) ---- */

void audit_entry(struct world *world, const struct truth_ticket *ticket, const struct tk_entry *entry) {
        TK_UNUSED(world);
        if (!ticket || ticket->stage != TRUTH_POSTED || ticket->landed)
                trace_fail("an entry was stored that nobody posted");
        if (!tk_id_eq(entry->subject, ticket->key->id) || entry->held_at_ms != ticket->at_s * 1000 ||
            entry->posted_at_ms != ticket->posted_ms)
                trace_fail("key %u: an entry was stored with another key or time", ticket->key->index);
        for (int m = 0; m < TK_METER_NR; m++)
                if (entry->due.of[m] != ticket->due.of[m] || entry->overrun.of[m] != ticket->overrun.of[m])
                        trace_fail(
                                "key %u: an entry was stored with %lld %s and %lld over, expected %lld, %lld",
                                ticket->key->index, (long long)entry->due.of[m],
                                tk_meter_name((enum tk_meter)m), (long long)entry->overrun.of[m],
                                (long long)ticket->due.of[m], (long long)ticket->overrun.of[m]);
}

static void compare_sum(struct world *world, const struct truth_key *key, enum tk_meter meter, int64_t from,
                        int64_t to, int64_t expected) {
        int64_t sum = -1;
        enum tk_err err = tk_reader_usage_sum(world->reader, key->id, meter, from, to, &sum);
        if (err != TK_OK || sum != expected)
                trace_fail("key %u: the store has %lld %s in hours %lld to %lld, expected %lld", key->index,
                           (long long)sum, tk_meter_name(meter), (long long)from, (long long)to,
                           (long long)expected);
}

void audit_store(struct world *world, struct truth_key *key) {
        struct tk_amounts total = {{0}};
        faulty_off();
        for (size_t i = 0; i < key->hours_nr; i++)
                for (int m = 0; m < TK_METER_NR; m++) {
                        const struct truth_hour *hour = &key->hours[i];
                        total.of[m] += hour->durable.of[m];
                        compare_sum(world, key, (enum tk_meter)m, hour->hour, hour->hour + 1,
                                    hour->durable.of[m]);
                }
        for (int m = 0; m < TK_METER_NR; m++)
                compare_sum(world, key, (enum tk_meter)m, INT64_MIN, INT64_MAX, total.of[m]);
        faulty_on();
}

/* ---- the end of a process (8) (9) ---- */

static void *grown(void *at, size_t nr, size_t *size, size_t item) {
        if (nr < *size)
                return at;
        *size = *size ? *size * 2 : 64;
        at = realloc(at, *size * item);
        if (!at)
                abort();
        return at;
}

/* Whether more than nothing was taken there since the limit came into force: then all of it is lent. */
static bool was_lent(const struct truth_key *key, const struct truth_limit *limit,
                     const struct calendar_window *window) {
        const struct truth_ticket *lists[] = {key->live, key->posting};
        for (int i = 0; i < 2; i++)
                for (const struct truth_ticket *t = lists[i]; t; t = t->next)
                        if (t->at_s >= window->start_s && t->at_s < window->end_s &&
                            t->taken[limit->limit.meter] > limit->since)
                                return true;
        return false;
}

static void claim(struct auditor *a, struct truth_key *key, const struct truth_limit *limit,
                  struct calendar_window in, bool holds) {
        const struct tk_limit *l = &limit->limit;
        for (size_t i = a->claims_nr; i-- > 0 && a->claims[i].key == key;)
                if (a->claims[i].in.number == in.number && a->claims[i].meter == l->meter &&
                    tk_window_spec_eq(a->claims[i].window, l->window))
                        return;
        if (!limit->always && !was_lent(key, limit, &in))
                return; /* live when its limit came: covered from the next hold on */
        a->claims = grown(a->claims, a->claims_nr, &a->claims_size, sizeof *a->claims);
        a->claims[a->claims_nr++] = (struct claim){
                .key = key,
                .meter = l->meter,
                .window = l->window,
                .in = in,
                .used = truth_posted(key, limit, &in) + (holds ? truth_held(key, l->meter, &in) : 0) +
                        truth_doubt_get(key, l->meter, l->window, in.number)};
}

/* Windows in which something is not durable, or was in doubt already. */
static void claim_limit(struct auditor *a, struct truth_key *key, const struct truth_limit *limit,
                        bool holds) {
        if (truth_is_short(limit->limit.window))
                return;
        for (const struct truth_ticket *t = key->live; t; t = t->next)
                claim(a, key, limit, calendar_at(limit->limit.window, t->at_s), holds);
        for (const struct truth_ticket *t = key->posting; t; t = t->next)
                claim(a, key, limit, calendar_at(limit->limit.window, t->at_s), holds);
        for (size_t i = 0; i < key->doubts_nr; i++) {
                const struct truth_doubt *d = &key->doubts[i];
                if (d->meter == limit->limit.meter && tk_window_spec_eq(d->window, limit->limit.window))
                        claim(a, key, limit, calendar_numbered(d->window, d->number), holds);
        }
}

void audit_before_end(struct world *world, bool holds) {
        struct auditor *a = world->auditor;
        a->claims_nr = a->olds_nr = 0;
        for (size_t k = 0; k < world->truth.keys_nr; k++) {
                struct truth_key *key = world->truth.keys[k];
                audit_version(world, key);
                if (!key->live && !key->posting && !key->doubts_nr)
                        continue;
                for (unsigned i = 0; i < key->acted.nr; i++)
                        claim_limit(a, key, &key->acted.limits[i], holds);
                for (size_t i = 0; i < key->doubts_nr; i++) {
                        a->olds = grown(a->olds, a->olds_nr, &a->olds_size, sizeof *a->olds);
                        a->olds[a->olds_nr++] = (struct old_doubt){key, key->doubts[i]};
                }
        }
}

static int64_t old_doubt_get(const struct auditor *a, const struct truth_key *key,
                             const struct truth_doubt *now) {
        for (size_t i = 0; i < a->olds_nr; i++) {
                const struct truth_doubt *d = &a->olds[i].doubt;
                if (a->olds[i].key == key && d->meter == now->meter && d->number == now->number &&
                    tk_window_spec_eq(d->window, now->window))
                        return d->amount;
        }
        return 0;
}

static bool read_lease(const struct tk_lease *lease, void *ctx) {
        struct world *world = ctx;
        struct truth_key *key = truth_key_get(&world->truth, lease->subject);
        if (!key)
                trace_fail("a lease was left for a key that was never used");
        struct calendar_window in = calendar_numbered(lease->window, lease->number);
        int64_t durable = truth_durable(key, lease->meter, &in);
        if (lease->bound <= durable)
                return true;
        struct truth_doubt doubt = {lease->meter, lease->window, lease->number, lease->bound - durable};
        int64_t high = truth_high_get(key, lease->meter, lease->window);
        if (lease->bound > high && doubt.amount > old_doubt_get(world->auditor, key, &doubt))
                trace_fail("key %u: %lld %s were lent in a window whose cap was never above %lld", key->index,
                           (long long)lease->bound, tk_meter_name(lease->meter), (long long)high);
        truth_doubt_add(key, &doubt);
        world->auditor->doubts_nr++;
        return true;
}

static void check_claims(const struct auditor *a) {
        for (size_t i = 0; i < a->claims_nr; i++) {
                const struct claim *c = &a->claims[i];
                int64_t durable = truth_durable(c->key, c->meter, &c->in);
                int64_t doubt = truth_doubt_get(c->key, c->meter, c->window, c->in.number);
                if (c->used > durable + doubt)
                        trace_fail(
                                "key %u: %lld %s were posted, held or in doubt in window %lld; after the end "
                                "%lld are posted and %lld in doubt",
                                c->key->index, (long long)c->used, tk_meter_name(c->meter),
                                (long long)c->in.number, (long long)durable, (long long)doubt);
        }
}

static void check_clean(const struct auditor *a) {
        for (size_t i = 0; i < a->olds_nr; i++) {
                const struct truth_doubt *d = &a->olds[i].doubt;
                struct calendar_window in = calendar_numbered(d->window, d->number);
                int64_t now = truth_doubt_get(a->olds[i].key, d->meter, d->window, d->number);
                int64_t most = INT64_MAX - truth_durable(a->olds[i].key, d->meter, &in);
                if (now != (d->amount < most ? d->amount : most)) /* together no more than can be counted */
                        trace_fail("key %u: a clean restart changed a doubt of %lld %s to %lld",
                                   a->olds[i].key->index, (long long)d->amount, tk_meter_name(d->meter),
                                   (long long)now);
        }
        if (a->doubts_nr != a->olds_nr)
                trace_fail("a clean restart left %zu doubts, expected %zu", a->doubts_nr, a->olds_nr);
}

void audit_after_end(struct world *world, bool clean) {
        struct auditor *a = world->auditor;
        a->doubts_nr = 0;
        faulty_off();
        enum tk_err err = tk_reader_lease_list(world->reader, read_lease, world);
        faulty_on();
        if (err != TK_OK)
                trace_fail("the leases cannot be read: %s", tk_err_text(err));
        check_claims(a);
        if (clean)
                check_clean(a);
}
