/* SPDX-License-Identifier: Apache-2.0 */
#include "workload.h"

#include "auditor.h"
#include "faulty_store.h"
#include "rt/rand.h"
#include "service/ticket.h"
#include "trace.h"

#include <string.h>

#define SECOND_MS      INT64_C(1000)
#define MINUTE_MS      (60 * SECOND_MS)
#define HOUR_MS        (60 * MINUTE_MS)
#define DAY_MS         (24 * HOUR_MS)
#define YEAR_MS        (366 * DAY_MS)
#define TICKS_TO_SWEEP 16  /* of so many leases as one run has */
#define ASKED_MAX      256 /* who waits; beyond it nobody asks */
#define DICE           1024
#define POST_MAX       (INT64_C(1) << 40) /* of a meter; many more in one series would be more than is counted */
#define TIME_FIRST     (30 * YEAR_MS)     /* runs begin between 2000 */
#define TIME_LAST      (150 * YEAR_MS)    /* and 2120 */

enum event {
        HOLD,
        EXTEND,
        POST,
        VOID,
        MAIL,
        STEP,
        CLOCK,
        JUMP,
        EDIT,
        OUTSIDE,
        REVOKE,
        CREATE,
        BARRIER,
        TICK,
        FAULT,
        HEAL,
        CRASH,
        RESTART,
        AUDIT,
        FLOOD,
        RESOLVE,
        EVENT_NR
};

/* How often, in a plain run, of about a thousand. */
static const unsigned usual[EVENT_NR] = {
        [HOLD] = 280, [EXTEND] = 120, [POST] = 200,  [VOID] = 60,  [MAIL] = 120,  [STEP] = 110, [CLOCK] = 80,
        [JUMP] = 2,   [EDIT] = 10,    [OUTSIDE] = 1, [REVOKE] = 1, [CREATE] = 1,  [TICK] = 4,   [BARRIER] = 6,
        [FAULT] = 4,  [HEAL] = 6,     [CRASH] = 1,   [AUDIT] = 2,  [RESTART] = 1, [FLOOD] = 1,  [RESOLVE] = 2,
};

struct load {
        struct world world;
        unsigned char dice[DICE]; /* an event each */
        unsigned keys_nr, live_max;
        unsigned live_all; /* how many may be live together */
        unsigned hot;      /* percent of the holds that go to the first few keys */
        bool groups;       /* organisations, workspaces and users have limits too */
        bool floods;       /* now and then more posts than fit in a batch */
        bool rates;        /* limits that slide, observe or count what is in flight */
        unsigned cap_bits; /* of most caps */
        int64_t pace_ms;   /* of the clock */
        unsigned jump_bits;
        unsigned plans; /* of the faults to come: a bit each */
};

/* ---- the run ---- */

static void shuffle_dice(struct load *load) {
        unsigned weights[EVENT_NR], total = 0, filled = 0;
        for (int e = 0; e < EVENT_NR; e++) {
                static const unsigned scales[] = {0, 1, 4, 4, 4, 4, 8, 16};
                /* Without the first nothing happens at all, without the last nothing any more. */
                bool vital = e <= CLOCK || e == EDIT || e == HEAL;
                weights[e] = usual[e] * scales[world_between(&load->world, vital ? 2 : 0, 7)];
                total += weights[e];
        }
        for (int e = 0; e < EVENT_NR; e++) {
                unsigned faces = weights[e] * (DICE - EVENT_NR) / total + (weights[e] > 0);
                while (faces-- > 0)
                        load->dice[filled++] = (unsigned char)e;
        }
        while (filled < DICE)
                load->dice[filled++] = HOLD;
}

static struct truth_subject *any_org(struct load *load) {
        struct truth *truth = &load->world.truth;
        struct truth_subject *group = truth->groups[xorshift_next(&load->world.x) % truth->groups_nr];
        return group->kind == TK_SUBJECT_ORG ? group : group->parents[TK_SUBJECT_ORG];
}

/*
 * One or two organisations, with a workspace each; some more workspaces and users. A key draws a workspace,
 * with which it has an organisation, and a user of that, or none.
 */
static void make_groups(struct load *load) {
        struct world *world = &load->world;
        struct truth *truth = &world->truth;
        int64_t more = world_between(world, 0, 3);
        struct truth_subject *first =
                truth_group_add(truth, TK_SUBJECT_ORG, tk_store_org(world->store), NULL);
        truth_group_add(truth, TK_SUBJECT_WORKSPACE, tk_store_workspace(world->store), first);
        if (world_chance(world, 30))
                (void)world_group(world, TK_SUBJECT_WORKSPACE, world_group(world, TK_SUBJECT_ORG, NULL));
        while (more-- > 0)
                (void)world_group(world, TK_SUBJECT_WORKSPACE, any_org(load));
        for (more = world_between(world, 0, 3); more > 0; more--)
                (void)world_group(world, TK_SUBJECT_USER, any_org(load));
}

static void draw_run(struct load *load, uint64_t seed) {
        static const unsigned keys[] = {1, 2, 5, 20, 20, 100, 300, 2000};
        static const unsigned caps[] = {2, 4, 6, 10, 20, 40};
        static const int64_t paces[] = {20, 10 * SECOND_MS, 10 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, 3 * DAY_MS};
        struct xorshift x = {seed * UINT64_C(0xBF58476D1CE4E5B9) | 1};
        xorshift_next(&x);
        world_open(&load->world, seed, xorshift_between(&x, TIME_FIRST, TIME_LAST));
        load->keys_nr = keys[xorshift_next(&x) % 8];
        load->cap_bits = caps[xorshift_next(&x) % 6];
        load->pace_ms = paces[xorshift_next(&x) % 6];
        load->hot = (unsigned)(xorshift_next(&x) % 90);
        load->live_max = xorshift_next(&x) % 3 == 0 ? 3 : 24;
        load->jump_bits = (unsigned)xorshift_between(&x, 8, 35);
        load->plans = (unsigned)(xorshift_next(&x) | 1u << FAULTY_ONCE);
        /* Sums over a group take their time, here and there. */
        load->groups = load->keys_nr <= 300 && xorshift_next(&x) % 3 > 0;
        load->live_all = load->groups ? 60 : 2000;
        load->rates = xorshift_next(&x) % 2 > 0;
        load->floods = xorshift_next(&x) % 8 == 0;
        make_groups(load);
        shuffle_dice(load);
}

/* ---- limits ---- */

static struct tk_window_spec draw_window(struct load *load) {
        /* Few that never turn: they are soon spent, and then the key is of no more use. */
        static const enum tk_window_kind kinds[] = {
                TK_WINDOW_SECOND, TK_WINDOW_MINUTE,   TK_WINDOW_HOUR,         TK_WINDOW_HOUR,  TK_WINDOW_DAY,
                TK_WINDOW_DAY,    TK_WINDOW_WEEK,     TK_WINDOW_MONTH,        TK_WINDOW_HOUR,  TK_WINDOW_DAY,
                TK_WINDOW_MINUTE, TK_WINDOW_LIFETIME, TK_WINDOW_EVERY_N_DAYS, TK_WINDOW_FLIGHT};
        struct tk_window_spec spec = {.kind = kinds[world_between(&load->world, 0, load->rates ? 13 : 12)]};
        if (spec.kind == TK_WINDOW_EVERY_N_DAYS) {
                spec.days = (uint16_t)world_between(&load->world, 1, 45);
                spec.anchor_day = (int32_t)world_between(&load->world, -400, 60000);
        }
        return spec;
}

static void draw_flags(struct load *load, struct tk_limit *limit) {
        limit->flags = 0;
        if (!load->rates)
                return;
        if (!tk_meter_is_money(limit->meter) && limit->window.kind <= TK_WINDOW_WEEK &&
            world_chance(&load->world, 50))
                limit->flags |= TK_LIMIT_SLIDING;
        if (world_chance(&load->world, 20))
                limit->flags |= TK_LIMIT_OBSERVE;
}

static uint64_t draw_cap(struct load *load, unsigned bits) {
        struct world *world = &load->world;
        switch (world_between(world, 0, 80)) {
        case 0:
                return 0;
        case 1:
                return INT64_MAX;
        case 2:
                return UINT64_MAX;
        default:
                return xorshift_sized(&world->x, bits) + 1;
        }
}

static bool has_limit(const struct truth_version *version, const struct tk_limit *limit) {
        for (unsigned i = 0; i < version->nr; i++)
                if (version->limits[i].limit.meter == limit->meter &&
                    tk_window_spec_eq(version->limits[i].limit.window, limit->window))
                        return true;
        return false;
}

static void add_limit(struct load *load, struct truth_version *version, unsigned bits) {
        static const enum tk_meter meters[] = {TK_METER_USD, TK_METER_USD,      TK_METER_DIEM,
                                               TK_METER_VCU, TK_METER_REQUESTS, TK_METER_TOKENS};
        struct tk_limit limit = {.meter = meters[world_between(&load->world, 0, 5)],
                                 .window = draw_window(load),
                                 .cap = draw_cap(load, bits)};
        draw_flags(load, &limit);
        if (version->nr < TRUTH_LIMITS_MAX && !has_limit(version, &limit))
                version->limits[version->nr++].limit = limit;
}

static void draw_limits(struct load *load, struct truth_version *version, unsigned bits) {
        int64_t nr = world_between(&load->world, 0, TRUTH_LIMITS_MAX);
        while (nr-- > 0)
                add_limit(load, version, bits);
}

static void move_cap(struct load *load, struct tk_limit *limit, unsigned bits) {
        switch (world_between(&load->world, 0, 5)) {
        case 0:
                limit->cap /= 2;
                break;
        case 1:
        case 2:
                limit->cap = limit->cap > INT64_MAX ? limit->cap : limit->cap * 2 + 1;
                break;
        case 3:
                limit->cap += limit->cap < UINT64_MAX;
                break;
        default:
                limit->cap = draw_cap(load, bits);
        }
}

static void change_limits(struct load *load, struct truth_version *version, unsigned bits) {
        struct world *world = &load->world;
        unsigned at = version->nr ? (unsigned)world_between(world, 0, version->nr - 1) : 0;
        int64_t what = version->nr ? world_between(world, 0, 10) : 10;
        if (what < 5) {
                move_cap(load, &version->limits[at].limit, bits);
        } else if (what < 7) { /* another period: taken out and put in */
                struct truth_limit moved = version->limits[at];
                version->limits[at] = version->limits[--version->nr];
                moved.limit.window = draw_window(load);
                draw_flags(load, &moved.limit);
                if (!has_limit(version, &moved.limit))
                        version->limits[version->nr++] = moved;
        } else if (what < 8) {
                version->limits[at] = version->limits[--version->nr];
        } else if (what < 9) {
                draw_flags(load, &version->limits[at].limit);
        } else {
                add_limit(load, version, bits);
        }
}

/* ---- events ---- */

static struct truth_subject *draw_key(struct load *load) {
        struct truth *truth = &load->world.truth;
        if (truth->keys_nr == 0)
                return NULL;
        size_t among = world_chance(&load->world, load->hot) && truth->keys_nr > 3 ? 3 : truth->keys_nr;
        return truth->keys[xorshift_next(&load->world.x) % among];
}

static struct truth_ticket *draw_ticket(struct load *load) {
        const struct truth_set *idle = &load->world.truth.idle;
        return idle->nr ? idle->at[xorshift_next(&load->world.x) % idle->nr] : NULL;
}

/* Around what is left, because that is where mistakes are; or a small part of it, to come near. */
static int64_t draw_amount(struct load *load, int64_t left) {
        struct world *world = &load->world;
        int64_t near = left == INT64_MAX ? (int64_t)xorshift_sized(&world->x, load->cap_bits) / 4 : left;
        near = near < POST_MAX ? near : POST_MAX;
        switch (world_between(world, 0, 11)) {
        case 0:
                return near;
        case 1:
                return near + 1;
        case 2:
                return near > 0 ? near - 1 : 0;
        case 3:
                return 0;
        case 4:
                return 1;
        case 5:
                return near / 2;
        case 6:
                return (int64_t)xorshift_sized(&world->x, load->cap_bits);
        default:
                return near / 16 + world_between(world, 0, 1);
        }
}

static void draw_amounts(struct load *load, const struct truth_subject *key, int64_t at_s, bool extends,
                         struct tk_amounts *least, struct tk_amounts *most) {
        struct world *world = &load->world;
        bool near = world_chance(world, 25);
        *least = *most = (struct tk_amounts){{0}};
        for (int m = 0; m < TK_METER_NR; m++) {
                if (world_chance(world, extends ? 70 : 40))
                        continue;
                int64_t left = near ? truth_left_of(key, (enum tk_meter)m, at_s, world->now_ms) : INT64_MAX;
                int64_t a = draw_amount(load, left), b = draw_amount(load, left);
                least->of[m] = a < b ? a : b;
                most->of[m] = a < b ? b : a;
                if (m == TK_METER_REQUESTS && !extends && world_chance(world, 70))
                        least->of[m] = most->of[m] = 1;
        }
}

static int64_t clock_s(const struct world *world) {
        int64_t now_s = world->now_ms / 1000;
        return now_s > world->truth.clock_s ? now_s : world->truth.clock_s;
}

static void do_hold(struct load *load) {
        struct world *world = &load->world;
        struct tk_amounts least, most;
        struct truth_subject *key = draw_key(load);
        if (!key || world->truth.asked.nr >= ASKED_MAX || key->live_nr >= load->live_max ||
            world->truth.idle.nr >= load->live_all)
                return;
        draw_amounts(load, key, clock_s(world), false, &least, &most);
        trace("hold: key %lld, usd %lld to %lld, at %lld", key->index, least.of[TK_METER_USD],
              most.of[TK_METER_USD], world->now_ms);
        world_hold(world, key, &least, &most);
}

static void do_extend(struct load *load) {
        struct tk_amounts least, most;
        struct truth_ticket *ticket = draw_ticket(load);
        if (!ticket || load->world.truth.asked.nr >= ASKED_MAX)
                return;
        draw_amounts(load, ticket->key, ticket->at_s, true, &least, &most);
        trace("extend: key %lld ticket %lld, usd %lld to %lld", ticket->key->index, ticket->index,
              least.of[TK_METER_USD], most.of[TK_METER_USD]);
        world_extend(&load->world, ticket, &least, &most);
}

static void do_post(struct load *load, struct truth_ticket *ticket) {
        struct world *world = &load->world;
        struct tk_amounts actual;
        if (!ticket)
                return;
        for (int m = 0; m < TK_METER_NR; m++) {
                int64_t held = ticket->held.of[m] < POST_MAX ? ticket->held.of[m] : POST_MAX;
                switch (world_between(world, 0, 5)) {
                case 0:
                        actual.of[m] = held / 2;
                        break;
                case 1:
                        actual.of[m] = world_between(world, 0, held);
                        break;
                case 2:
                        actual.of[m] = held + (int64_t)xorshift_sized(&world->x, 10);
                        break;
                case 3:
                        actual.of[m] = 0;
                        break;
                default:
                        actual.of[m] = held;
                }
        }
        trace("post: key %lld ticket %lld, usd %lld of %lld", ticket->key->index, ticket->index,
              actual.of[TK_METER_USD], ticket->held.of[TK_METER_USD]);
        world_post(world, ticket, &actual);
}

static void do_void(struct load *load) {
        struct truth_ticket *ticket = draw_ticket(load);
        if (!ticket)
                return;
        trace("void: key %lld ticket %lld", ticket->key->index, ticket->index, 0, 0);
        world_void(&load->world, ticket);
}

static void do_mail(struct load *load) {
        struct world *world = &load->world;
        struct world_box *box = &world->boxes[world_between(world, 0, WORLD_LOOPS - 1)];
        world_mail(world, box, (unsigned)world_between(world, 1, 12));
}

static void set_clock(struct load *load, int64_t now_ms, const char *why) {
        if (now_ms < DAY_MS)
                now_ms = DAY_MS;
        if (now_ms > TIME_LAST + 200 * YEAR_MS)
                now_ms = TIME_LAST + 200 * YEAR_MS;
        trace(why, now_ms, 0, 0, 0);
        world_clock(&load->world, now_ms);
}

/* Also to the very edge of a day, a second before or after it. */
static void do_clock(struct load *load) {
        struct world *world = &load->world;
        int64_t now = world->now_ms + world_between(world, 0, load->pace_ms);
        if (world_between(world, 0, 99) == 0)
                now = (world->now_ms / DAY_MS + 1) * DAY_MS + world_between(world, -1, 1) * SECOND_MS;
        set_clock(load, now > world->now_ms ? now : world->now_ms, "clock: %lld");
}

static void do_jump(struct load *load) {
        struct world *world = &load->world;
        int64_t by = (int64_t)xorshift_sized(&world->x, load->jump_bits);
        set_clock(load, world->now_ms + (world_chance(world, 50) ? by : -by), "jump: %lld");
}

/* Of a key, or now and then of a group. */
static struct truth_subject *draw_subject(struct load *load, bool revoke) {
        const struct truth *truth = &load->world.truth;
        if (revoke || !load->groups || world_chance(&load->world, 70))
                return draw_key(load);
        return truth->groups[xorshift_next(&load->world.x) % truth->groups_nr];
}

static void do_edit(struct load *load, bool outside, bool revoke) {
        struct world *world = &load->world;
        struct truth_subject *subject = draw_subject(load, revoke);
        if (!subject || subject->editing || (subject->durable.revoked && world_chance(world, 90)))
                return;
        struct truth_version wanted = subject->durable;
        if (revoke)
                wanted.revoked = true;
        else
                change_limits(load, &wanted, load->cap_bits + (subject->kind == TK_SUBJECT_KEY ? 0 : 5));
        trace("edit: subject %lld of kind %lld, %lld limits, outside %lld", subject->index, subject->kind,
              wanted.nr, outside);
        if (outside)
                world_edit_outside(world, subject, &wanted);
        else
                world_edit(world, subject, &wanted);
}

/* Of this organisation (NULL: of any). NULL: there is none of this kind. */
static const struct truth_subject *draw_group(struct load *load, enum tk_subject_kind kind,
                                              const struct truth_subject *org) {
        const struct truth *truth = &load->world.truth;
        size_t some = xorshift_next(&load->world.x) % truth->groups_nr;
        for (size_t i = 0; i < truth->groups_nr; i++) {
                const struct truth_subject *group = truth->groups[(some + i) % truth->groups_nr];
                if (group->kind == kind && (!org || group->parents[TK_SUBJECT_ORG] == org))
                        return group;
        }
        return NULL;
}

static void do_create(struct load *load) {
        struct tk_key draft = {.kind = TK_KIND_INFERENCE, .period = TK_WINDOW_DAY};
        struct truth_version version = {.nr = 0};
        if (load->world.truth.keys_nr >= 4 * (size_t)load->keys_nr)
                return;
        draw_limits(load, &version, load->cap_bits);
        const struct truth_subject *workspace = draw_group(load, TK_SUBJECT_WORKSPACE, NULL);
        const struct truth_subject *org = workspace->parents[TK_SUBJECT_ORG];
        const struct truth_subject *user =
                world_chance(&load->world, 70) ? draw_group(load, TK_SUBJECT_USER, org) : NULL;
        draft.org = org->id;
        draft.workspace = workspace->id;
        if (user)
                draft.user = user->id;
        draft.limits_nr = version.nr;
        for (unsigned i = 0; i < version.nr; i++)
                draft.limits[i] = version.limits[i].limit;
        trace("create: %lld limits", version.nr, 0, 0, 0);
        world_create(&load->world, &draft);
}

static void do_fault(struct load *load) {
        static const enum tk_err errors[] = {TK_E_FULL, TK_E_IO, TK_E_BUSY, TK_E_READ_ONLY, TK_E_NO_MEMORY};
        static const enum faulty_plan plans[] = {FAULTY_ONCE, FAULTY_OUTAGE, FAULTY_LOST, FAULTY_DEATH};
        struct world *world = &load->world;
        enum faulty_plan plan = plans[world_between(world, 0, 3)];
        if (!(load->plans & 1u << plan))
                return;
        unsigned calls = (unsigned)xorshift_sized(&world->x, 7);
        trace("fault: plan %lld after %lld calls", plan, calls, 0, 0);
        faulty_arm(plan, calls, errors[world_between(world, 0, 4)]);
}

/* Everything is posted at once, and more: more debts than fit in a batch. */
static void do_flood(struct load *load) {
        struct world *world = &load->world;
        trace("flood", 0, 0, 0, 0);
        for (int i = 0; i < 3000 && world->truth.posts_nr < 6000; i++) {
                do_hold(load);
                do_post(load, draw_ticket(load));
        }
}

typedef void event_f(struct load *load);

static void do_posting(struct load *load) {
        do_post(load, draw_ticket(load));
}

/* While the writer is busy with a batch. */
static void meanwhile(void *ctx) {
        static event_f *const what[] = {do_hold, do_extend, do_void, do_mail, do_posting};
        struct load *load = ctx;
        int64_t nr = world_between(&load->world, 1, 4);
        trace("    meanwhile:", 0, 0, 0, 0);
        while (nr-- > 0)
                what[world_between(&load->world, 0, 4)](load);
}

static void do_step(struct load *load) {
        trace("step", 0, 0, 0, 0);
        world_step(&load->world);
}

static void do_plain_edit(struct load *load) {
        do_edit(load, false, false);
}

static void do_outside_edit(struct load *load) {
        do_edit(load, true, false);
}

static void do_revoke(struct load *load) {
        if (world_chance(&load->world, 10))
                do_edit(load, false, true);
}

static void do_barrier(struct load *load) {
        world_barrier(&load->world);
}

static void do_tick(struct load *load) {
        trace("tick", 0, 0, 0, 0);
        world_tick(&load->world);
}

static void do_heal(struct load *load) {
        TK_UNUSED(load);
        trace("heal", 0, 0, 0, 0);
        faulty_heal();
}

static void do_crash(struct load *load) {
        if (world_chance(&load->world, 30))
                world_crash(&load->world);
}

static void do_restart(struct load *load) {
        if (world_chance(&load->world, 30))
                world_restart(&load->world);
}

static void do_audit(struct load *load) {
        if (load->world.truth.keys_nr > 0)
                audit_store(&load->world, draw_subject(load, false));
}

static void do_rare_flood(struct load *load) {
        if (load->floods && world_chance(&load->world, 5))
                do_flood(load);
}

static void do_resolve(struct load *load) {
        world_resolve_one(&load->world);
}

static event_f *const happen[EVENT_NR] = {
        [HOLD] = do_hold,       [EXTEND] = do_extend,
        [POST] = do_posting,    [VOID] = do_void,
        [MAIL] = do_mail,       [STEP] = do_step,
        [CLOCK] = do_clock,     [JUMP] = do_jump,
        [EDIT] = do_plain_edit, [OUTSIDE] = do_outside_edit,
        [REVOKE] = do_revoke,   [CREATE] = do_create,
        [BARRIER] = do_barrier, [TICK] = do_tick,
        [FAULT] = do_fault,     [HEAL] = do_heal,
        [CRASH] = do_crash,     [RESTART] = do_restart,
        [AUDIT] = do_audit,     [FLOOD] = do_rare_flood,
        [RESOLVE] = do_resolve,
};

/* ---- the end of a run ---- */

/* All that is left is taken at once, and then not even the least more. */
static void spend_rest(struct load *load, struct truth_subject *key) {
        static const struct tk_amounts nothing;
        struct world *world = &load->world;
        struct truth_set *idle = &world->truth.idle;
        struct tk_amounts rest = {{0}};
        bool limited = false, any = true, spent = false, money = false;
        for (int m = 0; m < TK_METER_NR; m++) {
                int64_t left = truth_left_of(key, (enum tk_meter)m, clock_s(world), world->now_ms);
                if (left == INT64_MAX)
                        continue;
                limited = true;
                rest.of[m] = left;
                if (!tk_meter_is_money((enum tk_meter)m))
                        any = any && left > 0;
                else if (left > 0)
                        money = true;
                else
                        spent = true;
        }
        any = any && (money || !spent); /* a currency of which nothing is wanted refuses only what is free */
        trace("spend the rest: key %lld, usd %lld", key->index, rest.of[TK_METER_USD], 0, 0);
        world_hold(world, key, &rest, &rest);
        world_settle(world);
        if ((idle->nr > 0) != any)
                trace_fail("key %u: what is left at the end was %s", key->index,
                           any ? "refused" : "not nothing");
        if (any)
                world_hold(world, key, &nothing, &nothing);
        world_settle(world);
        if (any && limited && idle->nr > 1)
                trace_fail("key %u: spent to the end, and yet another hold was taken", key->index);
        while (idle->nr > 0)
                do_post(load, idle->at[0]);
}

static void spend_all(struct load *load) {
        struct truth *truth = &load->world.truth;
        size_t step = truth->keys_nr / 200 + 1;
        for (size_t i = 0; i < truth->keys_nr; i += step)
                if (!truth->keys[i]->durable.revoked)
                        spend_rest(load, truth->keys[i]);
        world_settle(&load->world);
}

static void everything_is_known(struct world *world) {
        world_tick(world);
        world_settle(world);
        for (size_t i = 0; i < world->truth.subjects_nr; i++)
                audit_known(world, world->truth.subjects[i]);
        for (size_t i = 0; i < world->truth.keys_nr; i++) {
                tk_snapshot_release(&world->truth.keys[i]->snapshot);
                (void)world_identify(world, world->truth.keys[i]);
        }
}

static void finish(struct load *load) {
        struct world *world = &load->world;
        trace("finish", 0, 0, 0, 0);
        world->meanwhile = NULL;
        faulty_heal();
        world_settle(world);
        while (world->truth.idle.nr > 0)
                do_post(load, world->truth.idle.at[0]);
        world_settle(world);
        everything_is_known(world);
        for (size_t i = 0; i < world->truth.subjects_nr; i++)
                audit_store(world, world->truth.subjects[i]);
        world_restart(world);
        spend_all(load);
        world_resolve(world);
        spend_all(load);
        set_clock(load, world->now_ms + 2 * YEAR_MS, "turn all windows: %lld");
        spend_all(load);
        for (int i = 0; i < TICKS_TO_SWEEP; i++) {
                world_tick(world);
                world_settle(world);
        }
        audit_swept(world);
        for (size_t i = 0; i < world->truth.subjects_nr; i++)
                audit_store(world, world->truth.subjects[i]);
}

void workload_run(uint64_t seed, uint64_t events, struct workload_report *report) {
        static struct load load;
        draw_run(&load, seed);
        for (unsigned i = 0; i < load.keys_nr; i++)
                do_create(&load);
        world_settle(&load.world);
        load.world.meanwhile = meanwhile;
        load.world.meanwhile_ctx = &load;
        for (uint64_t i = 0; i < events; i++) {
                trace_next();
                happen[load.dice[xorshift_next(&load.world.x) % DICE]](&load);
        }
        trace_next();
        finish(&load);
        *report = (struct workload_report){.events = trace_events(),
                                           .posts = load.world.truth.landed_nr,
                                           .taken = load.world.answers[TK_HOLD_TAKEN],
                                           .refused = load.world.answers[TK_HOLD_NO_CAP] +
                                                      load.world.answers[TK_HOLD_NO_RATE],
                                           .no_store = load.world.answers[TK_HOLD_NO_STORE],
                                           .keys = (unsigned)load.world.truth.keys_nr,
                                           .crashes = load.world.crashes,
                                           .restarts = load.world.restarts,
                                           .faults = faulty_fired(),
                                           .hash = trace_hash()};
        world_close(&load.world);
}
