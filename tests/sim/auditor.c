/* SPDX-License-Identifier: Apache-2.0 */
#include "auditor.h"

#include "faulty_store.h"
#include "service/ticket.h"
#include "trace.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_S       3600
#define LOADS_HOURS  2
#define WAIT_BATCHES 64 /* within so many batches everybody is answered */

/* What must be covered after the end of a process. */
struct claim {
        struct truth_subject *subject;
        enum tk_meter meter;
        struct tk_window_spec window;
        struct calendar_window in;
        int64_t used; /* posted + held + doubt */
};

/* A doubt of the process that ended. */
struct old_doubt {
        struct truth_subject *subject;
        struct truth_doubt doubt;
};

struct auditor {
        struct claim *claims;
        size_t claims_nr, claims_size;
        struct old_doubt *olds;
        size_t olds_nr, olds_size;
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

/* ---- versions (7) ---- */

/* The limits that the process counts by; false: none, it will read them before it counts. */
static bool limits_in_force(const struct world *world, const struct truth_subject *subject,
                            struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        const struct tk_account *account = tk_ring_account_get(world->service->ring, subject->id);
        if (!account || !account->loaded)
                return false;
        for (unsigned i = 0; i < account->counters_nr; i++)
                limits[i] = account->counters[i].limit;
        *limits_nr = account->counters_nr;
        return true;
}

void audit_version(struct world *world, struct truth_subject *subject) {
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned nr;
        if ((!subject->editing && !subject->torn) || !limits_in_force(world, subject, limits, &nr) ||
            truth_version_eq(&subject->acted, limits, nr))
                return;
        if (subject->editing && subject->wanted_landed && truth_version_eq(&subject->wanted, limits, nr))
                truth_act(&world->truth, subject, &subject->wanted);
        else if (truth_version_eq(&subject->durable, limits, nr))
                truth_act(&world->truth, subject, &subject->durable);
        else
                trace_fail("%s %u: the process goes by limits that are neither the old nor the new ones",
                           truth_kind(subject), subject->index);
}

void audit_versions(struct world *world, const struct truth_ticket *ticket) {
        for (unsigned i = 0; i < ticket->places_nr; i++)
                audit_version(world, ticket->places[i].subject);
}

void audit_snapshot(struct world *world, const struct truth_subject *key, const struct tk_key *row) {
        if (key->editing || key->torn || world->ending)
                return;
        if (!truth_version_eq(&key->acted, row->limits, row->limits_nr))
                trace_fail("key %u: found with limits that are not those of its last edit", key->index);
        if ((row->revoked_ms != 0) != key->acted.revoked)
                trace_fail("key %u: found %s", key->index, key->acted.revoked ? "not revoked" : "revoked");
}

void audit_edit(struct world *world, struct truth_subject *subject, enum tk_err err,
                const struct tk_key *row) {
        subject->editing = false;
        if (err == TK_OK) {
                if (!subject->wanted_landed)
                        trace_fail("%s %u: an edit was confirmed that is not in the store",
                                   truth_kind(subject), subject->index);
                if (row && !truth_version_eq(&subject->wanted, row->limits, row->limits_nr))
                        trace_fail("key %u: an edit was confirmed with other limits", subject->index);
                truth_act(&world->truth, subject, &subject->wanted);
                subject->torn = false;
                return;
        }
        if (err == TK_E_NOT_FOUND && !subject->durable.revoked)
                trace_fail("%s %u: an edit was answered with \"not found\", but it is not revoked",
                           truth_kind(subject), subject->index);
        if (subject->wanted_landed)
                subject->torn = true;
}

void audit_known(struct world *world, struct truth_subject *subject) {
        struct tk_limit limits[TK_KEY_LIMITS_MAX];
        unsigned nr;
        if (limits_in_force(world, subject, limits, &nr) && !truth_version_eq(&subject->durable, limits, nr))
                trace_fail("%s %u: an edit by another process is in the store, but does not act",
                           truth_kind(subject), subject->index);
        audit_version(world, subject);
        truth_act(&world->truth, subject, &subject->durable);
        subject->torn = false;
}

/* ---- decisions (1) (2) (3) ---- */

/* What the truth says of a ticket that is decided. */
struct judgement {
        const struct truth_limit *limit;     /* the first that cannot take the least; NULL: all can */
        const struct truth_subject *subject; /* whose it is */
        struct truth_use use;
        struct tk_amounts left; /* by meter; INT64_MAX: not limited */
        bool observed;          /* a limit that only observes is passed */
        bool slides;            /* the limit, with the window before */
        unsigned rates_nr;      /* limits that slide */
};

/*
 * A meter of which an extension wants nothing more is not asked, and no currency of a hold that is charged in
 * another one.
 */
static bool is_asked(const struct truth_ticket *ticket, enum tk_meter meter) {
        bool elsewhere = false;
        for (int m = 0; m < TK_METER_NR; m++)
                elsewhere = elsewhere || (tk_meter_is_money((enum tk_meter)m) && ticket->most.of[m] > 0);
        return ticket->most.of[meter] > 0 ||
               (ticket->stage == TRUTH_ASKED && !(elsewhere && tk_meter_is_money(meter)));
}

/* slides: a bit for each limit that may, in order. */
static void judge_limit(struct judgement *j, const struct truth_ticket *ticket,
                        const struct truth_subject *subject, const struct truth_limit *limit,
                        unsigned slides) {
        enum tk_meter meter = limit->limit.meter;
        bool slid = limit->limit.flags & TK_LIMIT_SLIDING && slides >> j->rates_nr++ & 1;
        if (!is_asked(ticket, meter))
                return;
        struct truth_use use = truth_use_of(subject, limit, ticket->at_s, ticket->shown_ms, slid);
        bool fits = use.left > 0 && use.left >= ticket->least.of[meter];
        if (limit->limit.flags & TK_LIMIT_OBSERVE) {
                j->observed = j->observed || !fits;
                return;
        }
        if (!j->limit && !fits) {
                j->limit = limit;
                j->subject = subject;
                j->use = use;
                j->slides = slid;
        }
        if (use.left < j->left.of[meter])
                j->left.of[meter] = use.left;
}

static struct judgement judge(const struct truth_ticket *ticket, unsigned slides) {
        struct judgement j = {.limit = NULL};
        for (int m = 0; m < TK_METER_NR; m++)
                j.left.of[m] = INT64_MAX;
        for (unsigned p = 0; p < ticket->places_nr; p++) {
                const struct truth_subject *subject = ticket->places[p].subject;
                for (unsigned i = 0; i < subject->acted.nr; i++)
                        judge_limit(&j, ticket, subject, &subject->acted.limits[i], slides);
        }
        return j;
}

/* Does what was taken follow from this judgement? */
static bool is_taken_so(const struct truth_ticket *ticket, const struct judgement *j, bool complain) {
        const struct tk_amounts *held = tk_ticket_held(ticket->ticket);
        const struct tk_amounts *rest = tk_ticket_left(ticket->ticket);
        unsigned key = ticket->key->index;
        if (j->limit && complain)
                trace_fail(
                        "key %u: a hold of at least %lld %s was taken; its %s has a cap of %llu, %lld posted "
                        "and %lld held",
                        key, (long long)ticket->least.of[j->limit->limit.meter],
                        tk_meter_name(j->limit->limit.meter), truth_kind(j->subject),
                        (unsigned long long)j->limit->limit.cap, (long long)j->use.posted,
                        (long long)j->use.held);
        if (j->limit)
                return false;
        for (int m = 0; m < TK_METER_NR; m++) {
                int64_t most = ticket->most.of[m], left = j->left.of[m];
                int64_t given = held->of[m] - ticket->held.of[m], want = most < left ? most : left;
                int64_t then = left == INT64_MAX ? left : left - want;
                if (given == want && rest->of[m] == then)
                        continue;
                if (complain)
                        trace_fail(
                                "key %u: %lld %s were taken, %lld said to be left; %lld were wanted and %lld "
                                "left before: expected %lld and %lld",
                                key, (long long)given, tk_meter_name((enum tk_meter)m),
                                (long long)rest->of[m], (long long)most, (long long)left, (long long)want,
                                (long long)then);
                return false;
        }
        if (tk_ticket_observed(ticket->ticket) == (ticket->observed || j->observed))
                return true;
        if (complain)
                trace_fail("key %u: a limit that only observes was %spassed", key, j->observed ? "" : "not ");
        return false;
}

/* When it will fit: a window ends; a rate slides on, to the first second at which the least fits. */
static bool turns_so(const struct truth_ticket *ticket, const struct judgement *j, int64_t turns_s) {
        const struct truth_limit *limit = j->limit;
        const struct calendar_window *window = &j->use.window;
        if (!(limit->limit.flags & TK_LIMIT_SLIDING))
                return turns_s == window->end_s;
        int64_t cap = limit->limit.cap > INT64_MAX ? INT64_MAX : (int64_t)limit->limit.cap;
        int64_t least = ticket->least.of[limit->limit.meter];
        int64_t most = cap - (least > 0 ? least : 1);
        if (most < 0)
                return turns_s == INT64_MAX;
        return turns_s >= window->start_s && turns_s <= 2 * window->end_s - window->start_s &&
               truth_rate_at(j->subject, limit, window, turns_s, j->slides) <= most &&
               (turns_s == window->start_s ||
                truth_rate_at(j->subject, limit, window, turns_s - 1, j->slides) > most);
}

static bool is_refused_so(const struct truth_ticket *ticket, enum tk_hold_answer answer,
                          const struct judgement *j, bool complain) {
        const struct tk_refusal *r = tk_ticket_refusal(ticket->ticket);
        unsigned key = ticket->key->index;
        if (!j->limit && complain)
                trace_fail(
                        "key %u: refused by a limit of %llu %s with %lld posted and %lld held, but it fits",
                        key, (unsigned long long)r->cap, tk_meter_name(r->meter), (long long)r->posted,
                        (long long)r->held);
        if (!j->limit)
                return false;
        const struct tk_limit *limit = &j->limit->limit;
        bool same = r->meter == limit->meter && r->cap == limit->cap &&
                    tk_window_spec_eq(r->window, limit->window) && r->subject_kind == j->subject->kind &&
                    tk_id_eq(r->subject, j->subject->id) && r->flags == limit->flags &&
                    r->least == ticket->least.of[limit->meter] &&
                    answer == (tk_meter_is_money(limit->meter) ? TK_HOLD_NO_CAP : TK_HOLD_NO_RATE);
        if (same && r->posted == j->use.posted && r->held == j->use.held && turns_so(ticket, j, r->turns_s))
                return true;
        if (complain)
                trace_fail(
                        "key %u: refused by a cap of %llu %s, posted %lld, held %lld, until %lld; expected "
                        "that of its %s, %llu %s, %lld, %lld, %lld",
                        key, (unsigned long long)r->cap, tk_meter_name(r->meter), (long long)r->posted,
                        (long long)r->held, (long long)r->turns_s, truth_kind(j->subject),
                        (unsigned long long)limit->cap, tk_meter_name(limit->meter), (long long)j->use.posted,
                        (long long)j->use.held, (long long)j->use.window.end_s);
        return false;
}

/* Under an extension each rate may be weighed with the window before or without. */
static void check_decided(const struct truth_ticket *ticket, enum tk_hold_answer answer) {
        struct judgement all = judge(ticket, UINT_MAX);
        bool fresh = ticket->stage == TRUTH_ASKED;
        for (unsigned slides = 0; !fresh && slides < 1u << all.rates_nr; slides++) {
                struct judgement some = judge(ticket, slides);
                if (answer == TK_HOLD_TAKEN ? is_taken_so(ticket, &some, false)
                                            : is_refused_so(ticket, answer, &some, false))
                        return;
        }
        if (answer == TK_HOLD_TAKEN)
                (void)is_taken_so(ticket, &all, true);
        else
                (void)is_refused_so(ticket, answer, &all, true);
}

/* A wait for loads is bounded, and whenever the hour turns before it is answered there is one more. */
static bool races(const struct world *world, const struct truth_ticket *ticket) {
        return world->truth.clock_s - ticket->asked_s >= LOADS_HOURS * HOUR_S;
}

static void check_no_store(const struct world *world, const struct truth_ticket *ticket) {
        if (!excused(world) && !faulty_is_failing() && !world->ending && !races(world, ticket))
                trace_fail("key %u: NO_STORE, but the store works", ticket->key->index);
}

static void taken(struct world *world, struct truth_ticket *ticket) {
        const struct tk_amounts *held = tk_ticket_held(ticket->ticket);
        struct tk_amounts given;
        if (ticket->stage == TRUTH_ASKED && faulty_is_failing() && !excused(world))
                trace_fail("key %u: a hold was taken while the store fails", ticket->key->index);
        check_decided(ticket, TK_HOLD_TAKEN);
        for (int m = 0; m < TK_METER_NR; m++)
                given.of[m] = held->of[m] - ticket->held.of[m];
        ticket->observed = tk_ticket_observed(ticket->ticket);
        truth_take(&world->truth, ticket, &given, world->now_ms);
}

void audit_answer(struct world *world, struct truth_ticket *ticket, enum tk_hold_answer answer) {
        bool fresh = ticket->stage == TRUTH_ASKED;
        audit_versions(world, ticket);
        if (fresh)
                ticket->at_s = world->truth.clock_s;
        switch (answer) {
        case TK_HOLD_TAKEN:
                taken(world, ticket);
                return;
        case TK_HOLD_NO_CAP:
        case TK_HOLD_NO_RATE:
                check_decided(ticket, answer);
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
        for (size_t i = 0; i < truth->asked.nr; i++) {
                const struct truth_ticket *ticket = truth->asked.at[i];
                if (world->batches - ticket->asked > WAIT_BATCHES && !races(world, ticket))
                        trace_fail("key %u: not answered within %d batches", ticket->key->index,
                                   WAIT_BATCHES);
        }
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
        if (((entry->flags & TK_ENTRY_OBSERVED) != 0) != ticket->observed)
                trace_fail("key %u: an entry was stored that is wrong about limits that observe",
                           ticket->key->index);
        for (int m = 0; m < TK_METER_NR; m++)
                if (entry->due.of[m] != ticket->due.of[m] || entry->overrun.of[m] != ticket->overrun.of[m])
                        trace_fail(
                                "key %u: an entry was stored with %lld %s and %lld over, expected %lld, %lld",
                                ticket->key->index, (long long)entry->due.of[m],
                                tk_meter_name((enum tk_meter)m), (long long)entry->overrun.of[m],
                                (long long)ticket->due.of[m], (long long)ticket->overrun.of[m]);
}

static enum tk_err stored_sum(const struct world *world, const struct truth_subject *subject,
                              enum tk_meter meter, int64_t from, int64_t to, int64_t *sum) {
        static const enum tk_group groups[TK_SUBJECT_KEY] = {[TK_SUBJECT_ORG] = TK_GROUP_ORG,
                                                             [TK_SUBJECT_WORKSPACE] = TK_GROUP_WORKSPACE,
                                                             [TK_SUBJECT_USER] = TK_GROUP_USER};
        if (subject->kind == TK_SUBJECT_KEY)
                return tk_reader_usage_sum(world->reader, subject->id, meter, from, to, sum);
        return tk_reader_usage_sum_group(world->reader, groups[subject->kind], subject->id, meter, from, to,
                                         sum);
}

static void compare_sum(const struct world *world, const struct truth_subject *subject, enum tk_meter meter,
                        int64_t from, int64_t to, int64_t expected) {
        int64_t sum = -1;
        enum tk_err err = stored_sum(world, subject, meter, from, to, &sum);
        if (err != TK_OK || sum != expected)
                trace_fail("%s %u: the store has %lld %s in hours %lld to %lld, expected %lld",
                           truth_kind(subject), subject->index, (long long)sum, tk_meter_name(meter),
                           (long long)from, (long long)to, (long long)expected);
}

void audit_store(struct world *world, struct truth_subject *subject) {
        struct tk_amounts total = {{0}};
        faulty_off();
        for (size_t i = 0; i < subject->hours_nr; i++)
                for (int m = 0; m < TK_METER_NR; m++) {
                        const struct truth_hour *hour = &subject->hours[i];
                        total.of[m] += hour->durable.of[m];
                        if (subject->kind == TK_SUBJECT_KEY)
                                compare_sum(world, subject, (enum tk_meter)m, hour->hour, hour->hour + 1,
                                            hour->durable.of[m]);
                }
        for (int m = 0; m < TK_METER_NR; m++)
                compare_sum(world, subject, (enum tk_meter)m, INT64_MIN, INT64_MAX, total.of[m]);
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
static bool was_lent(const struct truth_subject *subject, const struct truth_limit *limit,
                     const struct calendar_window *window) {
        const struct truth_place *lists[] = {subject->live, subject->posting};
        for (int i = 0; i < 2; i++)
                for (const struct truth_place *p = lists[i]; p; p = p->next)
                        if (p->ticket->at_s >= window->start_s && p->ticket->at_s < window->end_s &&
                            p->ticket->taken[limit->limit.meter] > limit->leased)
                                return true;
        return false;
}

static void claim(struct auditor *a, struct truth_subject *subject, const struct truth_limit *limit,
                  struct calendar_window in, bool holds) {
        const struct tk_limit *l = &limit->limit;
        for (size_t i = a->claims_nr; i-- > 0 && a->claims[i].subject == subject;)
                if (a->claims[i].in.number == in.number && a->claims[i].meter == l->meter &&
                    tk_window_spec_eq(a->claims[i].window, l->window))
                        return;
        if (!limit->always && !was_lent(subject, limit, &in))
                return; /* live when its limit came: covered from the next hold on */
        a->claims = grown(a->claims, a->claims_nr, &a->claims_size, sizeof *a->claims);
        a->claims[a->claims_nr++] =
                (struct claim){.subject = subject,
                               .meter = l->meter,
                               .window = l->window,
                               .in = in,
                               .used = truth_add(truth_posted(subject, limit, &in) +
                                                         (holds ? truth_held(subject, l->meter, &in) : 0),
                                                 truth_doubt_get(subject, l->meter, l->window, in.number))};
}

/* Windows in which something is not durable, or was in doubt already. */
static void claim_limit(struct auditor *a, struct truth_subject *subject, const struct truth_limit *limit,
                        bool holds) {
        if (!truth_is_leased(&limit->limit))
                return;
        const struct truth_place *lists[] = {subject->live, subject->posting};
        for (int i = 0; i < 2; i++)
                for (const struct truth_place *p = lists[i]; p; p = p->next)
                        claim(a, subject, limit, calendar_at(limit->limit.window, p->ticket->at_s), holds);
        for (size_t i = 0; i < subject->doubts_nr; i++) {
                const struct truth_doubt *d = &subject->doubts[i];
                if (d->meter == limit->limit.meter && tk_window_spec_eq(d->window, limit->limit.window))
                        claim(a, subject, limit, calendar_numbered(d->window, d->number), holds);
        }
}

void audit_before_end(struct world *world, bool holds) {
        struct auditor *a = world->auditor;
        a->claims_nr = a->olds_nr = 0;
        for (size_t k = 0; k < world->truth.subjects_nr; k++) {
                struct truth_subject *subject = world->truth.subjects[k];
                audit_version(world, subject);
                truth_needs_note(subject);
                if (!subject->live && !subject->posting && !subject->doubts_nr)
                        continue;
                for (unsigned i = 0; i < subject->acted.nr; i++)
                        claim_limit(a, subject, &subject->acted.limits[i], holds);
                for (size_t i = 0; i < subject->doubts_nr; i++) {
                        a->olds = grown(a->olds, a->olds_nr, &a->olds_size, sizeof *a->olds);
                        a->olds[a->olds_nr++] = (struct old_doubt){subject, subject->doubts[i]};
                }
        }
}

static int64_t old_doubt_get(const struct auditor *a, const struct truth_subject *subject,
                             const struct truth_doubt *now) {
        for (size_t i = 0; i < a->olds_nr; i++) {
                const struct truth_doubt *d = &a->olds[i].doubt;
                if (a->olds[i].subject == subject && d->meter == now->meter && d->number == now->number &&
                    tk_window_spec_eq(d->window, now->window))
                        return d->amount;
        }
        return 0;
}

static bool read_lease(const struct tk_lease *lease, void *ctx) {
        struct world *world = ctx;
        struct truth_subject *subject = truth_get(&world->truth, lease->subject);
        if (!subject)
                trace_fail("a lease was left for a subject that was never used");
        struct calendar_window in = calendar_numbered(lease->window, lease->number);
        int64_t durable = truth_durable(subject, lease->meter, &in);
        if (lease->bound <= durable)
                return true;
        struct truth_doubt doubt = {lease->meter, lease->window, lease->number, lease->bound - durable};
        int64_t high = truth_high_get(subject, lease->meter, lease->window);
        if (lease->bound > high && doubt.amount > old_doubt_get(world->auditor, subject, &doubt))
                trace_fail("%s %u: %lld %s were lent in a window whose cap was never above %lld",
                           truth_kind(subject), subject->index, (long long)lease->bound,
                           tk_meter_name(lease->meter), (long long)high);
        int64_t most =
                truth_doubt_most(subject, lease->meter, old_doubt_get(world->auditor, subject, &doubt));
        if (doubt.amount > most)
                trace_fail("%s %u: %lld %s of window %lld came into doubt; what was needed allows for %lld",
                           truth_kind(subject), subject->index, (long long)doubt.amount,
                           tk_meter_name(lease->meter), (long long)lease->number, (long long)most);
        truth_doubt_raise(subject, &doubt);
        return true;
}

/* What is noted in doubt already; what a lease leaves open beyond it is found with the lease. */
static bool read_doubt(const struct tk_doubt *row, void *ctx) {
        struct world *world = ctx;
        struct truth_subject *subject = truth_get(&world->truth, row->subject);
        if (!subject)
                trace_fail("a doubt was left for a subject that was never used");
        truth_doubt_raise(subject, &(struct truth_doubt){row->meter, row->window, row->number, row->amount});
        return true;
}

static void check_claims(const struct auditor *a) {
        for (size_t i = 0; i < a->claims_nr; i++) {
                const struct claim *c = &a->claims[i];
                int64_t durable = truth_durable(c->subject, c->meter, &c->in);
                int64_t doubt = truth_doubt_get(c->subject, c->meter, c->window, c->in.number);
                if (c->used > truth_add(durable, doubt))
                        trace_fail(
                                "%s %u: %lld %s were posted, held or in doubt in window %lld; after the end "
                                "%lld are posted and %lld in doubt",
                                truth_kind(c->subject), c->subject->index, (long long)c->used,
                                tk_meter_name(c->meter), (long long)c->in.number, (long long)durable,
                                (long long)doubt);
        }
}

static void check_clean(const struct world *world) {
        const struct auditor *a = world->auditor;
        size_t doubts_nr = 0;
        for (size_t i = 0; i < world->truth.subjects_nr; i++)
                doubts_nr += world->truth.subjects[i]->doubts_nr;
        for (size_t i = 0; i < a->olds_nr; i++) {
                const struct truth_doubt *d = &a->olds[i].doubt;
                int64_t now = truth_doubt_get(a->olds[i].subject, d->meter, d->window, d->number);
                if (now != d->amount)
                        trace_fail("%s %u: a clean restart changed a doubt of %lld %s to %lld",
                                   truth_kind(a->olds[i].subject), a->olds[i].subject->index,
                                   (long long)d->amount, tk_meter_name(d->meter), (long long)now);
        }
        if (doubts_nr != a->olds_nr)
                trace_fail("a clean restart left %zu doubts, expected %zu", doubts_nr, a->olds_nr);
}

void audit_after_end(struct world *world, bool clean) {
        struct auditor *a = world->auditor;
        faulty_off();
        enum tk_err err = tk_reader_doubt_list(world->reader, (struct tk_id){{0}}, read_doubt, world);
        if (err == TK_OK)
                err = tk_reader_lease_list(world->reader, read_lease, world);
        faulty_on();
        if (err != TK_OK)
                trace_fail("the leases cannot be read: %s", tk_err_text(err));
        check_claims(a);
        if (clean)
                check_clean(world);
}

static bool no_lease(const struct tk_lease *lease, void *ctx) {
        const struct truth_subject *subject = truth_get(ctx, lease->subject);
        trace_fail("%s %u: a lease was left by a process that begins", truth_kind(subject), subject->index);
}

static bool is_running(const struct tk_lease *lease, void *ctx) {
        struct world *world = ctx;
        const struct truth_subject *subject = truth_get(&world->truth, lease->subject);
        struct calendar_window in = calendar_numbered(lease->window, lease->number);
        if (in.end_s <= world->truth.clock_s / HOUR_S * HOUR_S)
                trace_fail("%s %u: a lease of window %lld was left, which is over", truth_kind(subject),
                           subject->index, (long long)lease->number);
        return true;
}

void audit_swept(struct world *world) {
        faulty_off();
        enum tk_err err = tk_reader_lease_list(world->reader, is_running, world);
        faulty_on();
        MUST(err == TK_OK);
}

void audit_start(struct world *world) {
        faulty_off();
        enum tk_err err = tk_reader_lease_list(world->reader, no_lease, &world->truth);
        faulty_on();
        MUST(err == TK_OK);
}
