/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "auditor.h"
#include "faulty_store.h"
#include "rt/rand.h"
#include "service/doubt.h"
#include "service/limits.h"
#include "service/ticket.h"
#include "stand_in.h"
#include "store/people.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>

#define SETTLE_ROUNDS_MAX 10000
#define POST_MAX          (INT64_C(1) << 40) /* see workload.c */

static void *must(void *at) {
        if (!at)
                abort();
        return at;
}

/* From here on a fault excuses what is answered. */
static void begin_call(struct world *world) {
        world->fired_before = faulty_fired();
}

int64_t world_between(struct world *world, int64_t low, int64_t high) {
        return xorshift_between(&world->x, low, high);
}

bool world_chance(struct world *world, unsigned percent) {
        return xorshift_next(&world->x) % 100 < percent;
}

struct tk_worker *world_worker(struct world *world) {
        return world->boxes[xorshift_next(&world->x) % WORLD_LOOPS].worker;
}

void world_clock(struct world *world, int64_t now_ms) {
        world->now_ms = now_ms;
        stand_in_clock_set(now_ms);
}

/* ---- what the store tells ---- */

static void on_entry(void *ctx, const struct tk_entry *entry) {
        struct world *world = ctx;
        struct truth_ticket *ticket = truth_ticket_get(&world->truth, entry->id);
        audit_entry(world, ticket, entry);
        truth_saw_entry(&world->truth, ticket);
}

static void on_version(struct world *world, struct truth_subject *subject, const struct tk_limit *limits,
                       unsigned limits_nr) {
        if (!truth_version_eq(&subject->wanted, limits, limits_nr))
                trace_fail("%s %u: limits are stored that nobody asked for", truth_kind(subject),
                           subject->index);
        audit_version(world,
                      subject); /* what is stored now may be what it goes by, and will be known no more */
        truth_saw_version(&world->truth, subject);
}

/* Keys that are being created are not ours yet. */
static void on_key(void *ctx, const struct tk_key *row) {
        struct world *world = ctx;
        struct truth_subject *key = truth_get(&world->truth, row->id);
        if (key)
                on_version(world, key, row->limits, row->limits_nr);
}

static void on_limits(void *ctx, struct tk_id id, const struct tk_limit *limits, unsigned limits_nr) {
        struct world *world = ctx;
        struct truth_subject *group = truth_get(&world->truth, id);
        if (!group)
                trace_fail("limits are stored of a group that does not exist");
        on_version(world, group, limits, limits_nr);
}

/* The writer holds no lock here, so its batch is as good a moment as any for the loops. */
static void on_between(void *ctx) {
        struct world *world = ctx;
        uint64_t before = world->fired_before;
        if (world->meanwhile && !world->ending && world_chance(world, 30))
                world->meanwhile(world->meanwhile_ctx);
        world->fired_before = before;
}

static void on_marked(void *ctx) {
        truth_saw_mark(&((struct world *)ctx)->truth);
}

static void on_undone(void *ctx) {
        truth_saw_undo(&((struct world *)ctx)->truth);
}

static void on_landed(void *ctx) {
        truth_saw_landing(&((struct world *)ctx)->truth);
}

static void on_ended(void *ctx) {
        truth_saw_end(&((struct world *)ctx)->truth);
}

/* ---- tickets ---- */

static void ticket_end(struct world *world, struct truth_ticket *ticket) {
        if (ticket->stage == TRUTH_HELD)
                truth_release(ticket);
        tk_ledger_void(&ticket->ticket);
        truth_ticket_free(&world->truth, ticket);
}

/* The owner learns it: the moment from which it may act on it. */
static void ticket_told(struct world *world, struct truth_ticket *ticket) {
        ticket->told = true;
        if (ticket->stage == TRUTH_REFUSED || world->ending)
                ticket_end(world, ticket);
        else
                truth_set_put(&world->truth.idle, ticket);
}

static void ticket_decided(struct world *world, struct truth_ticket *ticket, enum tk_hold_answer answer) {
        audit_answer(world, ticket, answer);
        world->answers[answer]++;
        trace("    key %lld ticket %lld: answer %lld, held usd %lld", ticket->key->index, ticket->index,
              answer, ticket->held.of[TK_METER_USD]);
}

static bool is_undecided(const struct truth_ticket *ticket) {
        return ticket->stage == TRUTH_ASKED || ticket->stage == TRUTH_MORE;
}

/* Decisions are seen here at the moment at which they fall; their owners learn of them later. */
static bool take_mail(void *loop, struct tk_mail *mail) {
        struct world_box *box = loop;
        struct truth *truth = &box->world->truth;
        mail->next = NULL;
        *box->last = mail;
        box->last = &mail->next;
        box->nr++;
        for (size_t i = 0; i < truth->asked.nr; i++) {
                struct truth_ticket *ticket = truth->asked.at[i];
                if (&ticket->ticket->mail != mail)
                        continue;
                truth_set_drop(&truth->asked, ticket);
                ticket_decided(box->world, ticket, ticket->ticket->answer);
                break;
        }
        return true;
}

static void on_done(struct tk_ticket *t, enum tk_hold_answer answer, void *ctx) {
        struct world *world = ctx;
        struct truth_ticket *ticket = truth_ticket_get(&world->truth, t->id);
        MUST(ticket && ticket->ticket == t && !ticket->told);
        if (is_undecided(ticket)) { /* its loop has ended, so it was told without mail */
                truth_set_drop(&world->truth.asked, ticket);
                ticket_decided(world, ticket, answer);
        }
        if (answer != t->answer)
                trace_fail("key %u: told %d, decided %d", ticket->key->index, answer, t->answer);
        ticket_told(world, ticket);
}

static void answered(struct world *world, struct truth_ticket *ticket, enum tk_hold_answer answer) {
        if (answer == TK_HOLD_UNTRIED) {
                ticket->asked = world->batches;
                ticket->asked_s = world->truth.clock_s;
                truth_set_put(&world->truth.asked, ticket);
                return;
        }
        ticket_decided(world, ticket, answer);
        ticket_told(world, ticket);
}

static void show_now(struct world *world) {
        int64_t now_s = world->now_ms / 1000;
        if (now_s > world->truth.clock_s)
                world->truth.clock_s = now_s;
}

struct tk_snapshot *world_identify(struct world *world, struct truth_subject *key) {
        struct tk_snapshot *snapshot;
        begin_call(world);
        if (key->snapshot && !world_chance(world, 20))
                return key->snapshot;
        enum tk_err err = tk_keys_identify(world_worker(world),
                                           (struct tk_str){key->secret.at, key->secret.len}, &snapshot);
        if (err != TK_OK && faulty_fired() == world->fired_before)
                trace_fail("key %u: not found: %s", key->index, tk_err_text(err));
        if (err != TK_OK)
                return NULL;
        audit_snapshot(world, key, tk_snapshot_key(snapshot));
        tk_snapshot_release(&key->snapshot);
        key->snapshot = snapshot;
        return snapshot;
}

void world_hold(struct world *world, struct truth_subject *key, const struct tk_amounts *least,
                const struct tk_amounts *most) {
        struct tk_snapshot *snapshot = world_identify(world, key);
        if (!snapshot || tk_snapshot_key(snapshot)->revoked_ms != 0)
                return;
        struct truth_ticket *ticket = truth_ticket_new(&world->truth, key);
        ticket->least = *least;
        ticket->most = *most;
        ticket->shown_ms = world->now_ms;
        truth_want(ticket, most);
        begin_call(world);
        show_now(world);
        if (world_chance(world, 10))
                tk_keys_touch(world_worker(world), snapshot, world->now_ms);
        enum tk_hold_answer answer =
                tk_ledger_hold(world_worker(world), snapshot, truth_ticket_id(ticket), least, most,
                               world->now_ms, on_done, world, &ticket->ticket);
        answered(world, ticket, answer);
}

void world_extend(struct world *world, struct truth_ticket *ticket, const struct tk_amounts *least,
                  const struct tk_amounts *most) {
        truth_set_drop(&world->truth.idle, ticket);
        ticket->least = *least;
        ticket->most = *most;
        ticket->shown_ms = ticket->at_s * 1000;
        truth_want(ticket, most);
        ticket->stage = TRUTH_MORE;
        ticket->told = false;
        begin_call(world);
        answered(world, ticket, tk_ledger_extend(ticket->ticket, least, most, on_done, world));
}

void world_post(struct world *world, struct truth_ticket *ticket, const struct tk_amounts *actual) {
        static const struct tk_entry what = {.model = "m"};
        audit_versions(world, ticket);
        truth_set_drop(&world->truth.idle, ticket);
        ticket->posted_ms = world->now_ms;
        truth_post(&world->truth, ticket, actual);
        tk_ledger_post(&ticket->ticket, actual, &what, world->now_ms);
}

void world_void(struct world *world, struct truth_ticket *ticket) {
        truth_set_drop(&world->truth.idle, ticket);
        ticket_end(world, ticket);
}

/* ---- keys ---- */

struct creation {
        struct world *world;
        struct tk_key_text secret;
};

static void on_created(void *ctx, enum tk_err err, const struct tk_key *key) {
        struct creation *creation = ctx;
        if (err == TK_OK && !creation->world->ending)
                truth_key_add(&creation->world->truth, key, &creation->secret);
        free(creation);
}

void world_create(struct world *world, const struct tk_key *draft) {
        struct creation *creation = must(calloc(1, sizeof *creation));
        creation->world = world;
        tk_keys_create(world_worker(world), &tk_actor_system, draft, world->now_ms, &creation->secret,
                       on_created, creation);
}

/* ---- groups ---- */

static enum tk_err insert_group(struct world *world, const struct truth_subject *group) {
        struct tk_id org = group->parents[TK_SUBJECT_ORG]->id;
        if (group->kind == TK_SUBJECT_WORKSPACE) {
                struct tk_workspace row = {.id = group->id, .org = org, .name = "workspace"};
                snprintf(row.slug, sizeof row.slug, "workspace-%u", group->index);
                return tk_store_workspace_insert(world->store, &row);
        }
        struct tk_user row = {.id = group->id, .org = org};
        snprintf(row.email, sizeof row.email, "user-%u@example.com", group->index);
        return tk_store_user_insert(world->store, &row);
}

struct truth_subject *world_group(struct world *world, enum tk_subject_kind kind, struct truth_subject *org) {
        struct truth_subject *group = truth_group_add(&world->truth, kind, tk_rand_id(world->now_ms), org);
        faulty_off();
        enum tk_err err = kind == TK_SUBJECT_ORG ? TK_OK : tk_store_begin(world->store);
        if (!err && kind != TK_SUBJECT_ORG) {
                err = insert_group(world, group);
                MUST(err == TK_OK);
                err = tk_store_commit(world->store);
        }
        MUST(err == TK_OK);
        faulty_on();
        return group;
}

/* ---- edits ---- */

struct edit {
        struct world *world;
        struct truth_subject *subject;
};

static unsigned limits_of(const struct truth_version *version, struct tk_limit limits[TRUTH_LIMITS_MAX]) {
        for (unsigned i = 0; i < version->nr; i++)
                limits[i] = version->limits[i].limit;
        return version->nr;
}

static void put_version(const struct truth_version *version, int64_t now_ms, struct tk_key *row) {
        row->limits_nr = limits_of(version, row->limits);
        if (version->revoked)
                row->revoked_ms = now_ms;
}

static enum tk_err edit_row(struct tk_key *row, void *ctx) {
        const struct edit *edit = ctx;
        put_version(&edit->subject->wanted, edit->world->now_ms, row);
        return TK_OK;
}

static void edited(struct edit *edit, enum tk_err err, const struct tk_key *row) {
        trace("    subject %lld of kind %lld: edit answered %lld", edit->subject->index, edit->subject->kind,
              err, 0);
        if (!edit->world->ending)
                audit_edit(edit->world, edit->subject, err, row);
        free(edit);
}

static void on_edited(void *ctx, enum tk_err err, const struct tk_key *row) {
        edited(ctx, err, row);
}

static void on_limits_put(void *ctx, enum tk_err err) {
        edited(ctx, err, NULL);
}

void world_edit(struct world *world, struct truth_subject *subject, const struct truth_version *wanted) {
        struct edit *edit = must(calloc(1, sizeof *edit));
        struct tk_worker *worker = world_worker(world);
        struct tk_limit limits[TRUTH_LIMITS_MAX];
        *edit = (struct edit){world, subject};
        MUST(!subject->editing);
        subject->wanted = *wanted;
        subject->editing = true;
        subject->wanted_landed = false;
        if (subject->kind != TK_SUBJECT_KEY) {
                unsigned nr = limits_of(wanted, limits);
                tk_limits_put(worker, &tk_actor_system, 0, subject->id, limits, nr, on_limits_put, edit);
                return;
        }
        struct tk_id org = subject->parents[TK_SUBJECT_ORG]->id;
        if (wanted->revoked && !subject->acted.revoked)
                tk_keys_revoke(worker, &tk_actor_system, org, subject->id, world->now_ms, on_edited, edit);
        else
                tk_keys_update(worker, &tk_actor_system, org, subject->id, world->now_ms, edit_row, on_edited,
                               edit);
}

static enum tk_err put_outside(struct world *world, const struct truth_subject *subject) {
        struct tk_limit limits[TRUTH_LIMITS_MAX];
        struct tk_key row;
        if (subject->kind != TK_SUBJECT_KEY)
                return tk_store_limits_put(world->store, subject->id, limits,
                                           limits_of(&subject->wanted, limits));
        enum tk_err err = tk_store_key_get(world->store, subject->id, &row);
        if (err)
                return err;
        put_version(&subject->wanted, world->now_ms, &row);
        return tk_store_key_update(world->store, &row);
}

void world_edit_outside(struct world *world, struct truth_subject *subject,
                        const struct truth_version *wanted) {
        MUST(!subject->editing);
        subject->wanted = *wanted;
        faulty_off();
        enum tk_err err = tk_store_begin(world->store);
        if (!err)
                err = put_outside(world, subject);
        if (!err)
                err = tk_store_commit(world->store);
        faulty_on();
        MUST(err == TK_OK);
        subject->torn = true;
}

struct barrier {
        struct world *world;
        uint64_t before;
};

static void on_barrier(void *ctx, enum tk_err err) {
        struct barrier *barrier = ctx;
        if (!barrier->world->ending)
                audit_barrier(barrier->world, barrier->before, err);
        free(barrier);
}

void world_barrier(struct world *world) {
        struct barrier *barrier = must(calloc(1, sizeof *barrier));
        *barrier = (struct barrier){world, world->truth.step};
        tk_keys_barrier(world_worker(world), on_barrier, barrier);
}

/* ---- what runs by itself ---- */

static void die_if_dead(struct world *world) {
        if (faulty_is_dead())
                world_crash(world);
}

void world_step(struct world *world) {
        begin_call(world);
        world->batches++;
        (void)tk_service_step(world->service);
        if (faulty_is_dead()) {
                world_crash(world);
                return;
        }
        audit_waiting(world);
}

void world_tick(struct world *world) {
        begin_call(world);
        tk_service_tick(world->service);
        die_if_dead(world);
}

void world_mail(struct world *world, struct world_box *box, unsigned nr) {
        while (nr-- > 0 && box->first) {
                struct tk_mail *mail = box->first;
                begin_call(world);
                box->first = mail->next;
                if (!box->first)
                        box->last = &box->first;
                box->nr--;
                mail->run(mail);
        }
}

static void empty_boxes(struct world *world) {
        for (int i = 0; i < WORLD_LOOPS; i++)
                world_mail(world, &world->boxes[i], UINT32_MAX);
}

void world_settle(struct world *world) {
        for (unsigned round = 0; round < SETTLE_ROUNDS_MAX; round++) {
                empty_boxes(world);
                if (world->truth.asked.nr == 0 && tk_writer_depth(world->service->writer) == 0)
                        return;
                world_step(world);
        }
        trace_fail("the store works, but %zu wait and %u jobs are queued after %d batches",
                   world->truth.asked.nr, tk_writer_depth(world->service->writer), SETTLE_ROUNDS_MAX);
}

/* ---- a process ---- */

static void start(struct world *world) {
        const struct tk_service_opt opt = {.store = world->store,
                                           .catalog = world->catalog,
                                           .key_prefix = "tk",
                                           .manual = true,
                                           .start_ms = world->now_ms};
        begin_call(world);
        faulty_process_begins();
        enum tk_err err = tk_service_open(&opt, &world->service);
        if (err != TK_OK) {
                if (faulty_fired() == world->fired_before)
                        trace_fail("the service does not open: %s", tk_err_text(err));
                faulty_heal();
                err = tk_service_open(&opt, &world->service);
        }
        MUST(err == TK_OK);
        audit_start(world);
        truth_doubts_forget(&world->truth, world->now_ms / 1000);
        truth_needs_forget(&world->truth);
        for (int i = 0; i < WORLD_LOOPS; i++) {
                struct world_box *box = &world->boxes[i];
                *box = (struct world_box){.world = world, .last = &box->first};
                err = tk_worker_open(world->service, take_mail, box, &box->worker);
                MUST(err == TK_OK);
        }
        world->ending = false;
}

/* Whatever its loops still hold ends with them. */
static void end_loops(struct world *world) {
        struct truth_set *idle = &world->truth.idle;
        world->ending = true;
        for (int i = 0; i < WORLD_LOOPS; i++)
                tk_worker_close(&world->boxes[i].worker);
        empty_boxes(world);
        while (idle->nr > 0)
                world_void(world, idle->at[idle->nr - 1]);
        for (size_t i = 0; i < world->truth.keys_nr; i++)
                tk_snapshot_release(&world->truth.keys[i]->snapshot);
}

static void ended(struct world *world, bool clean) {
        MUST(world->truth.asked.nr == 0 && world->truth.idle.nr == 0);
        if (clean && world->truth.posts_nr > 0)
                trace_fail("a clean stop left %zu posts unwritten", world->truth.posts_nr);
        truth_restart(&world->truth, world->now_ms / 1000);
        audit_after_end(world, clean);
        if (faulty_is_dead() || world_chance(world, 50))
                faulty_heal();
}

void world_crash(struct world *world) {
        trace("  crash", 0, 0, 0, 0);
        world->crashes++;
        audit_before_end(world, true);
        end_loops(world);
        tk_service_abandon(&world->service);
        ended(world, false);
        start(world);
}

static bool is_modest(const struct tk_amounts *held) {
        for (int m = 0; m < TK_METER_NR; m++)
                if (held->of[m] > POST_MAX)
                        return false;
        return true;
}

/* Streams end in time, some of them with a post. */
static void end_streams(struct world *world) {
        static const struct tk_amounts nothing;
        struct truth_set *idle = &world->truth.idle;
        while (idle->nr > 0) {
                struct truth_ticket *ticket = idle->at[idle->nr - 1];
                if (world_chance(world, 50) || !is_modest(&ticket->held))
                        world_void(world, ticket);
                else
                        world_post(world, ticket, world_chance(world, 80) ? &ticket->held : &nothing);
        }
}

static void stop(struct world *world) {
        trace("  stop", 0, 0, 0, 0);
        world->restarts++;
        end_streams(world);
        audit_before_end(world, false);
        uint64_t fired = faulty_fired();
        begin_call(world);
        end_loops(world);
        tk_service_close(&world->service);
        ended(world, faulty_fired() == fired);
}

void world_restart(struct world *world) {
        stop(world);
        start(world);
}

/* ---- doubt that is resolved ---- */

struct doubt_set {
        struct tk_doubt *at;
        size_t nr, size;
};

static bool keep_doubt(const struct tk_doubt *doubt, void *ctx) {
        struct doubt_set *set = ctx;
        if (set->nr == set->size) {
                set->size = set->size ? set->size * 2 : 64;
                set->at = must(realloc(set->at, set->size * sizeof *set->at));
        }
        set->at[set->nr++] = *doubt;
        return true;
}

static struct doubt_set read_doubts(struct world *world) {
        struct doubt_set doubts = {NULL, 0, 0};
        enum tk_err err = tk_reader_doubt_list(world->reader, (struct tk_id){{0}}, keep_doubt, &doubts);
        MUST(err == TK_OK);
        return doubts;
}

/* Where what was spent is noted: when it was found, or as near to it as the window allows. */
static int64_t resolved_hour(const struct tk_doubt *doubt) {
        struct calendar_window in = calendar_numbered(doubt->window, doubt->number);
        int64_t at_s = doubt->since_ms / 1000;
        if (at_s >= in.end_s)
                at_s = in.end_s - 1;
        return (at_s < in.start_s ? in.start_s : at_s) / 3600;
}

static void resolve_truth(struct world *world, const struct tk_doubt *doubt, int64_t spent) {
        struct truth_subject *subject = truth_get(&world->truth, doubt->subject);
        const struct truth_doubt truth = {doubt->meter, doubt->window, doubt->number, doubt->amount};
        int64_t before = truth_doubt_get(subject, doubt->meter, doubt->window, doubt->number);
        if (before != doubt->amount)
                trace_fail("%s %u: the store has %lld %s in doubt in window %lld, expected %lld",
                           truth_kind(subject), subject->index, (long long)doubt->amount,
                           tk_meter_name(doubt->meter), (long long)doubt->number, (long long)before);
        trace("    subject %lld of kind %lld: %lld of %lld in doubt were spent", subject->index,
              subject->kind, spent, doubt->amount);
        truth_resolve(&world->truth, subject, &truth, resolved_hour(doubt), spent);
}

void world_resolve_one(struct world *world) {
        if (world->truth.asked.nr > 0 || tk_writer_depth(world->service->writer) > 0 || faulty_is_failing())
                return;
        faulty_off();
        struct doubt_set doubts = read_doubts(world);
        if (doubts.nr > 0) {
                struct tk_doubt *doubt = &doubts.at[xorshift_next(&world->x) % doubts.nr];
                int64_t most = doubt->amount < POST_MAX ? doubt->amount : POST_MAX;
                int64_t spent = world_chance(world, 30) ? 0 : world_between(world, 0, most);
                enum tk_err err = tk_store_begin(world->store);
                if (!err)
                        err = tk_doubt_resolve(world->store, world->reader, &tk_actor_system, 0, doubt,
                                               spent);
                if (!err)
                        err = tk_store_commit(world->store);
                MUST(err == TK_OK);
                resolve_truth(world, doubt, spent);
                tk_service_tick(world->service);
                (void)tk_service_step(world->service);
        }
        free(doubts.at);
        faulty_on();
}

/* Beside a process that has found all there is: it hears of it as of any other change from outside. */
void world_resolve(struct world *world) {
        world_restart(world);
        faulty_off();
        struct doubt_set doubts = read_doubts(world);
        enum tk_err err = tk_store_begin(world->store);
        for (size_t i = 0; !err && i < doubts.nr; i++)
                err = tk_doubt_resolve(world->store, world->reader, &tk_actor_system, 0, &doubts.at[i], 0);
        if (!err)
                err = tk_store_commit(world->store);
        faulty_on();
        MUST(err == TK_OK);
        free(doubts.at);
        for (size_t i = 0; i < world->truth.subjects_nr; i++)
                world->truth.subjects[i]->doubts_nr = 0;
        tk_service_tick(world->service);
        world_settle(world);
}

/* ---- the whole ---- */

void world_open(struct world *world, uint64_t seed, int64_t now_ms) {
        *world = (struct world){.x = {seed * UINT64_C(0xD1342543DE82EF95) | 1}};
        const struct faulty_watch watch = {.ctx = world,
                                           .entry = on_entry,
                                           .key = on_key,
                                           .limits = on_limits,
                                           .between = on_between,
                                           .marked = on_marked,
                                           .undone = on_undone,
                                           .landed = on_landed,
                                           .ended = on_ended};
        truth_open(&world->truth);
        world_clock(world, now_ms);
        world->truth.clock_s = now_ms / 1000;
        world->auditor = must(auditor_new());
        world->catalog = must(tk_catalog_new());
        world->store = faulty_open(&watch);
        enum tk_err err = tk_reader_open(world->store, &world->reader);
        MUST(err == TK_OK);
        start(world);
}

void world_close(struct world *world) {
        faulty_heal();
        stop(world);
        tk_reader_close(&world->reader);
        tk_store_close(&world->store);
        tk_catalog_free(&world->catalog);
        auditor_free(&world->auditor);
        truth_close(&world->truth);
}
