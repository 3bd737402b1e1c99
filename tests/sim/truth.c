/* SPDX-License-Identifier: Apache-2.0 */
#include "truth.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_S     3600
#define RECENT_MIN 64

/* What one operation of the open batch will make true. */
struct truth_write {
        struct truth_ticket *ticket; /* or */
        struct truth_subject *subject;
};

/* A simulation that runs out of memory has nothing to say. */
static void *must(void *at) {
        if (!at)
                abort();
        return at;
}

#define ROOM(array, nr, size)                                                                                \
        do {                                                                                                 \
                if ((nr) == (size)) {                                                                        \
                        (size) = (size) ? (size)*2 : 8;                                                      \
                        (array) = must(realloc((array), (size) * sizeof *(array)));                          \
                }                                                                                            \
        } while (0)

void truth_open(struct truth *truth) {
        *truth = (struct truth){.posts = NULL};
        truth->posts_tail = &truth->posts;
}

void truth_close(struct truth *truth) {
        for (size_t i = 0; i < truth->subjects_nr; i++) {
                struct truth_subject *subject = truth->subjects[i];
                MUST(!subject->snapshot);
                free(subject->hours);
                free(subject->recents);
                free(subject->doubts);
                free(subject->highs);
                free(subject);
        }
        for (size_t i = 0; i < truth->all.nr; i++)
                free(truth->all.at[i]);
        free(truth->subjects);
        free(truth->keys);
        free(truth->groups);
        free(truth->ids);
        free(truth->all.at);
        free(truth->spare.at);
        free(truth->idle.at);
        free(truth->asked.at);
        free(truth->writes);
}

/* ---- subjects ---- */

static size_t id_place(const struct truth *truth, struct tk_id id) {
        uint64_t hash;
        memcpy(&hash, id.b + 8, sizeof hash); /* the random half */
        size_t at = (hash ^ hash >> 32) & (truth->ids_size - 1);
        while (truth->ids[at] && !tk_id_eq(truth->subjects[truth->ids[at] - 1]->id, id))
                at = (at + 1) & (truth->ids_size - 1);
        return at;
}

static void index_ids(struct truth *truth) {
        free(truth->ids);
        truth->ids_size = truth->ids_size ? truth->ids_size * 2 : 64;
        truth->ids = must(calloc(truth->ids_size, sizeof *truth->ids));
        for (size_t i = 0; i < truth->subjects_nr; i++)
                truth->ids[id_place(truth, truth->subjects[i]->id)] = (uint32_t)i + 1;
}

struct truth_subject *truth_get(struct truth *truth, struct tk_id id) {
        uint32_t found = truth->ids_size ? truth->ids[id_place(truth, id)] : 0;
        return found ? truth->subjects[found - 1] : NULL;
}

const char *truth_kind(const struct truth_subject *subject) {
        static const char *const names[] = {[TK_SUBJECT_ORG] = "org",
                                            [TK_SUBJECT_WORKSPACE] = "workspace",
                                            [TK_SUBJECT_USER] = "user",
                                            [TK_SUBJECT_KEY] = "key"};
        return names[subject->kind];
}

static struct truth_subject *subject_add(struct truth *truth, enum tk_subject_kind kind, struct tk_id id) {
        struct truth_subject *subject = must(calloc(1, sizeof *subject));
        ROOM(truth->subjects, truth->subjects_nr, truth->subjects_size);
        subject->kind = kind;
        subject->id = id;
        truth->subjects[truth->subjects_nr++] = subject;
        if (truth->subjects_nr * 2 > truth->ids_size)
                index_ids(truth);
        else
                truth->ids[id_place(truth, id)] = (uint32_t)truth->subjects_nr;
        return subject;
}

struct truth_subject *truth_group_add(struct truth *truth, enum tk_subject_kind kind, struct tk_id id,
                                      struct truth_subject *org) {
        struct truth_subject *group = subject_add(truth, kind, id);
        MUST((kind == TK_SUBJECT_ORG) == !org);
        group->parents[TK_SUBJECT_ORG] = org;
        ROOM(truth->groups, truth->groups_nr, truth->groups_size);
        group->index = (unsigned)truth->groups_nr;
        truth->groups[truth->groups_nr++] = group;
        return group;
}

struct truth_subject *truth_key_add(struct truth *truth, const struct tk_key *row,
                                    const struct tk_key_text *secret) {
        struct truth_subject *key = subject_add(truth, TK_SUBJECT_KEY, row->id);
        struct truth_version version = {.nr = row->limits_nr};
        ROOM(truth->keys, truth->keys_nr, truth->keys_size);
        key->index = (unsigned)truth->keys_nr;
        truth->keys[truth->keys_nr++] = key;
        key->secret = *secret;
        key->parents[TK_SUBJECT_ORG] = truth_get(truth, row->org);
        key->parents[TK_SUBJECT_WORKSPACE] = truth_get(truth, row->workspace);
        key->parents[TK_SUBJECT_USER] = truth_get(truth, row->user);
        MUST(key->parents[TK_SUBJECT_ORG] && key->parents[TK_SUBJECT_WORKSPACE]);
        MUST(IMPLIES(!tk_id_none(row->user), key->parents[TK_SUBJECT_USER]));
        for (int s = TK_SUBJECT_WORKSPACE; s < TK_SUBJECT_KEY; s++)
                MUST(!key->parents[s] ||
                     key->parents[s]->parents[TK_SUBJECT_ORG] == key->parents[TK_SUBJECT_ORG]);
        MUST(row->limits_nr <= TRUTH_LIMITS_MAX);
        for (unsigned i = 0; i < row->limits_nr; i++)
                version.limits[i].limit = row->limits[i];
        key->durable = version;
        truth_act(truth, key, &version);
        return key;
}

static bool same_limit(const struct tk_limit *a, enum tk_meter meter, struct tk_window_spec window) {
        return a->meter == meter && tk_window_spec_eq(a->window, window);
}

static void note_high(struct truth_subject *subject, const struct tk_limit *limit) {
        int64_t cap = limit->cap > INT64_MAX ? INT64_MAX : (int64_t)limit->cap;
        for (size_t i = 0; i < subject->highs_nr; i++) {
                struct truth_high *high = &subject->highs[i];
                if (!same_limit(limit, high->meter, high->window))
                        continue;
                if (cap > high->cap)
                        high->cap = cap;
                return;
        }
        ROOM(subject->highs, subject->highs_nr, subject->highs_size);
        subject->highs[subject->highs_nr++] = (struct truth_high){limit->meter, limit->window, cap};
}

int64_t truth_high_get(const struct truth_subject *subject, enum tk_meter meter,
                       struct tk_window_spec window) {
        for (size_t i = 0; i < subject->highs_nr; i++)
                if (subject->highs[i].meter == meter && tk_window_spec_eq(subject->highs[i].window, window))
                        return subject->highs[i].cap;
        return -1;
}

void truth_act(struct truth *truth, struct truth_subject *subject, const struct truth_version *version) {
        struct truth_version old = subject->acted;
        subject->acted = *version;
        for (unsigned i = 0; i < subject->acted.nr; i++) {
                struct truth_limit *limit = &subject->acted.limits[i];
                limit->always = false;
                limit->since = limit->leased = truth->step;
                for (unsigned j = 0; j < old.nr; j++) {
                        if (!same_limit(&old.limits[j].limit, limit->limit.meter, limit->limit.window))
                                continue;
                        limit->since = old.limits[j].since;
                        if (old.limits[j].limit.flags != limit->limit.flags)
                                continue;
                        limit->always = old.limits[j].always;
                        limit->leased = old.limits[j].leased;
                }
                note_high(subject, &limit->limit);
        }
}

bool truth_version_eq(const struct truth_version *version, const struct tk_limit *limits,
                      unsigned limits_nr) {
        if (version->nr != limits_nr)
                return false;
        for (unsigned i = 0; i < limits_nr; i++)
                if (version->limits[i].limit.cap != limits[i].cap ||
                    version->limits[i].limit.flags != limits[i].flags ||
                    !same_limit(&version->limits[i].limit, limits[i].meter, limits[i].window))
                        return false;
        return true;
}

/* ---- amounts ---- */

bool truth_is_short(struct tk_window_spec window) {
        return window.kind == TK_WINDOW_SECOND || window.kind == TK_WINDOW_MINUTE ||
               window.kind == TK_WINDOW_FLIGHT;
}

bool truth_is_leased(const struct tk_limit *limit) {
        return !truth_is_short(limit->window) && limit->flags == 0;
}

static bool is_in(const struct calendar_window *window, int64_t at_s) {
        return at_s >= window->start_s && at_s < window->end_s;
}

static int64_t posted_recently(const struct truth_subject *subject, const struct truth_limit *limit,
                               const struct calendar_window *window) {
        int64_t sum = 0;
        for (size_t i = subject->recents_nr; i-- > 0;)
                if (subject->recents[i].step > limit->since && is_in(window, subject->recents[i].at_s))
                        sum += subject->recents[i].due.of[limit->limit.meter];
        return sum;
}

static int64_t hour_of(int64_t at_s) {
        MUST(at_s >= 0);
        return at_s / HOUR_S;
}

static int64_t sum_hours(const struct truth_subject *subject, enum tk_meter meter,
                         const struct calendar_window *window, bool durable) {
        bool all = window->start_s == INT64_MIN;
        int64_t from = all ? INT64_MIN : window->start_s / HOUR_S;
        int64_t to = all ? INT64_MAX : window->end_s / HOUR_S, sum = 0;
        for (size_t i = subject->hours_nr; i-- > 0 && subject->hours[i].hour >= from;)
                if (subject->hours[i].hour < to)
                        sum += durable ? subject->hours[i].durable.of[meter]
                                       : subject->hours[i].memory.of[meter];
        return sum;
}

int64_t truth_posted(const struct truth_subject *subject, const struct truth_limit *limit,
                     const struct calendar_window *window) {
        return truth_is_short(limit->limit.window) ? posted_recently(subject, limit, window)
                                                   : sum_hours(subject, limit->limit.meter, window, false);
}

int64_t truth_durable(const struct truth_subject *subject, enum tk_meter meter,
                      const struct calendar_window *window) {
        return sum_hours(subject, meter, window, true);
}

int64_t truth_held(const struct truth_subject *subject, enum tk_meter meter,
                   const struct calendar_window *window) {
        int64_t sum = 0;
        for (const struct truth_place *p = subject->live; p; p = p->next)
                if (is_in(window, p->ticket->at_s))
                        sum += p->ticket->held.of[meter];
        return sum;
}

int64_t truth_doubt_get(const struct truth_subject *subject, enum tk_meter meter,
                        struct tk_window_spec window, int64_t number) {
        for (size_t i = 0; i < subject->doubts_nr; i++) {
                const struct truth_doubt *d = &subject->doubts[i];
                if (d->number == number && d->meter == meter && tk_window_spec_eq(d->window, window))
                        return d->amount;
        }
        return 0;
}

int64_t truth_add(int64_t a, int64_t b) {
        int64_t sum;
        return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Posted and in doubt. */
static int64_t used_in(const struct truth_subject *subject, const struct truth_limit *limit,
                       const struct calendar_window *window) {
        return truth_add(truth_posted(subject, limit, window),
                         truth_doubt_get(subject, limit->limit.meter, limit->limit.window, window->number));
}

/* What of a window is still covered when rest_ms of length_ms are; rounded up. */
static int64_t share_of(int64_t amount, int64_t rest_ms, int64_t length_ms) {
        rest_ms = rest_ms < 0 ? 0 : rest_ms > length_ms ? length_ms : rest_ms;
        __extension__ __int128 share = (__int128)amount * rest_ms;
        return (int64_t)((share + length_ms - 1) / length_ms);
}

static int64_t length_ms(const struct calendar_window *window) {
        return (window->end_s - window->start_s) * 1000;
}

static int64_t plus(int64_t a, int64_t b) {
        return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* The window before weighs as much of it as the same stretch of time, ending at at_ms, still covers. */
static void slide(const struct truth_subject *subject, const struct truth_limit *limit, int64_t at_ms,
                  struct truth_use *use) {
        struct calendar_window before = calendar_numbered(limit->limit.window, use->window.number - 1);
        int64_t rest_ms = use->window.end_s * 1000 - at_ms;
        int64_t share = share_of(used_in(subject, limit, &before), rest_ms, length_ms(&use->window));
        use->posted = plus(use->posted, share);
        use->held += truth_held(subject, limit->limit.meter, &before);
}

int64_t truth_rate_at(const struct truth_subject *subject, const struct truth_limit *limit,
                      const struct calendar_window *window, int64_t t_s, bool slides) {
        struct calendar_window before = calendar_numbered(limit->limit.window, window->number - 1);
        int64_t now = used_in(subject, limit, window) + truth_held(subject, limit->limit.meter, window);
        int64_t was = used_in(subject, limit, &before) + truth_held(subject, limit->limit.meter, &before);
        int64_t rest_ms = (window->end_s - t_s) * 1000;
        if (rest_ms < 0)
                return share_of(now, rest_ms + length_ms(window), length_ms(window));
        return slides ? plus(now, share_of(was, rest_ms, length_ms(window))) : now;
}

struct truth_use truth_use_of(const struct truth_subject *subject, const struct truth_limit *limit,
                              int64_t at_s, int64_t at_ms, bool slides) {
        struct truth_use use = {.window = calendar_at(limit->limit.window, at_s)};
        uint64_t cap = limit->limit.cap > INT64_MAX ? INT64_MAX : limit->limit.cap;
        /* What has landed flies no more. */
        if (limit->limit.window.kind != TK_WINDOW_FLIGHT)
                use.posted = used_in(subject, limit, &use.window);
        use.held = truth_held(subject, limit->limit.meter, &use.window);
        if (slides && limit->limit.flags & TK_LIMIT_SLIDING)
                slide(subject, limit, at_ms, &use);
        uint64_t used = (uint64_t)use.posted + (uint64_t)use.held;
        use.left = used < cap ? (int64_t)(cap - used) : 0;
        return use;
}

int64_t truth_left_of(const struct truth_subject *key, enum tk_meter meter, int64_t at_s, int64_t at_ms) {
        int64_t least = INT64_MAX;
        for (int s = 0; s < TK_SUBJECT_NR; s++) {
                const struct truth_subject *subject = s == TK_SUBJECT_KEY ? key : key->parents[s];
                for (unsigned i = 0; subject && i < subject->acted.nr; i++) {
                        const struct truth_limit *limit = &subject->acted.limits[i];
                        if (limit->limit.meter != meter || limit->limit.flags & TK_LIMIT_OBSERVE)
                                continue;
                        int64_t left = truth_use_of(subject, limit, at_s, at_ms, true).left;
                        least = left < least ? left : least;
                }
        }
        return least;
}

static struct truth_hour *hour_at(struct truth_subject *subject, int64_t hour) {
        size_t at = subject->hours_nr;
        while (at > 0 && subject->hours[at - 1].hour > hour)
                at--;
        if (at > 0 && subject->hours[at - 1].hour == hour)
                return &subject->hours[at - 1];
        ROOM(subject->hours, subject->hours_nr, subject->hours_size);
        memmove(subject->hours + at + 1, subject->hours + at,
                (subject->hours_nr - at) * sizeof *subject->hours);
        subject->hours[at] = (struct truth_hour){.hour = hour};
        subject->hours_nr++;
        return &subject->hours[at];
}

/* ---- tickets ---- */

void truth_set_put(struct truth_set *set, struct truth_ticket *ticket) {
        ROOM(set->at, set->nr, set->size);
        ticket->place = set->nr;
        set->at[set->nr++] = ticket;
}

void truth_set_drop(struct truth_set *set, struct truth_ticket *ticket) {
        size_t at = ticket->place;
        MUST(at < set->nr && set->at[at] == ticket);
        set->at[at] = set->at[--set->nr];
        set->at[at]->place = at;
        ticket->place = TRUTH_NOWHERE;
}

struct truth_ticket *truth_ticket_new(struct truth *truth, struct truth_subject *key) {
        struct truth_ticket *ticket;
        if (truth->spare.nr > 0) {
                ticket = truth->spare.at[--truth->spare.nr];
        } else {
                ticket = must(calloc(1, sizeof *ticket));
                ROOM(truth->all.at, truth->all.nr, truth->all.size);
                ticket->index = (uint32_t)truth->all.nr;
                truth->all.at[truth->all.nr++] = ticket;
        }
        *ticket = (struct truth_ticket){.index = ticket->index,
                                        .generation = ticket->generation + 1,
                                        .key = key,
                                        .stage = TRUTH_ASKED};
        for (int s = 0; s < TK_SUBJECT_NR; s++) {
                struct truth_subject *subject = s == TK_SUBJECT_KEY ? key : key->parents[s];
                if (subject)
                        ticket->places[ticket->places_nr++] =
                                (struct truth_place){.ticket = ticket, .subject = subject};
        }
        return ticket;
}

void truth_ticket_free(struct truth *truth, struct truth_ticket *ticket) {
        ROOM(truth->spare.at, truth->spare.nr, truth->spare.size);
        truth->spare.at[truth->spare.nr++] = ticket;
        ticket->stage = TRUTH_FREE;
        ticket->ticket = NULL;
}

struct tk_id truth_ticket_id(const struct truth_ticket *ticket) {
        struct tk_id id = {{0}};
        uint64_t mixed = ((uint64_t)ticket->generation << 32 | ticket->index) * UINT64_C(0x9E3779B97F4A7C15);
        memcpy(id.b, &ticket->index, 4);
        memcpy(id.b + 4, &ticket->generation, 4);
        memcpy(id.b + 8, &mixed, 8);
        return id;
}

struct truth_ticket *truth_ticket_get(struct truth *truth, struct tk_id id) {
        uint32_t index, generation;
        memcpy(&index, id.b, 4);
        memcpy(&generation, id.b + 4, 4);
        if (index >= truth->all.nr || truth->all.at[index]->generation != generation)
                return NULL;
        return truth->all.at[index];
}

static void link_to(struct truth_ticket *ticket, bool posting) {
        for (unsigned i = 0; i < ticket->places_nr; i++) {
                struct truth_place *place = &ticket->places[i];
                struct truth_place **head = posting ? &place->subject->posting : &place->subject->live;
                place->next = *head;
                place->link = head;
                if (*head)
                        (*head)->link = &place->next;
                *head = place;
        }
}

static void unlink_from(struct truth_ticket *ticket) {
        for (unsigned i = 0; i < ticket->places_nr; i++) {
                struct truth_place *place = &ticket->places[i];
                *place->link = place->next;
                if (place->next)
                        place->next->link = place->link;
                place->link = NULL;
        }
}

void truth_want(struct truth_ticket *ticket, const struct tk_amounts *most) {
        for (unsigned i = 0; i < ticket->places_nr; i++)
                for (int m = 0; m < TK_METER_NR; m++) {
                        struct truth_need *need = &ticket->places[i].subject->need[m];
                        if (most->of[m] > need->wanted)
                                need->wanted = most->of[m];
                }
}

static void note_need(struct truth_need *need, int64_t given, int64_t now_s) {
        if (now_s != need->at_s) {
                need->in_before = now_s == need->at_s + 1 ? need->in_second : 0;
                need->in_second = 0;
                need->at_s = now_s;
        }
        need->in_second = truth_add(need->in_second, given);
        need->held = truth_add(need->held, given);
        if (truth_add(need->in_before, need->in_second) > need->soon)
                need->soon = truth_add(need->in_before, need->in_second);
        if (need->held > need->held_most)
                need->held_most = need->held;
}

void truth_needs_note(struct truth_subject *subject) {
        for (int m = 0; m < TK_METER_NR; m++) {
                subject->need[m].posting = 0;
                for (const struct truth_place *p = subject->posting; p; p = p->next)
                        subject->need[m].posting = truth_add(subject->need[m].posting, p->ticket->due.of[m]);
        }
}

void truth_needs_forget(struct truth *truth) {
        for (size_t i = 0; i < truth->subjects_nr; i++)
                for (int m = 0; m < TK_METER_NR; m++)
                        truth->subjects[i]->need[m] = (struct truth_need){.held = 0};
}

static int64_t times(int64_t amount, int64_t by) {
        return amount > INT64_MAX / by ? INT64_MAX : amount * by;
}

int64_t truth_doubt_most(const struct truth_subject *subject, enum tk_meter meter, int64_t known) {
        const struct truth_need *need = &subject->need[meter];
        int64_t few = times(need->wanted, 8), soon = times(need->soon, 4);
        int64_t used = truth_add(truth_add(known, need->posting), truth_add(need->held_most, need->wanted));
        return truth_add(used, few > soon ? few : soon);
}

void truth_take(struct truth *truth, struct truth_ticket *ticket, const struct tk_amounts *given,
                int64_t now_ms) {
        truth->step++;
        for (unsigned i = 0; i < ticket->places_nr; i++)
                for (int m = 0; m < TK_METER_NR; m++)
                        note_need(&ticket->places[i].subject->need[m], given->of[m], now_ms / 1000);
        for (int m = 0; m < TK_METER_NR; m++) {
                ticket->held.of[m] += given->of[m];
                if (given->of[m] > 0)
                        ticket->taken[m] = truth->step;
        }
        if (ticket->stage == TRUTH_ASKED) {
                link_to(ticket, false);
                ticket->key->live_nr++;
        }
        ticket->stage = TRUTH_HELD;
}

void truth_release(struct truth_ticket *ticket) {
        unlink_from(ticket);
        for (unsigned i = 0; i < ticket->places_nr; i++)
                for (int m = 0; m < TK_METER_NR; m++)
                        ticket->places[i].subject->need[m].held -= ticket->held.of[m];
        ticket->key->live_nr--;
}

/* Those of windows in which nothing can be held any more are forgotten. */
static void forget_recents(struct truth *truth, struct truth_subject *subject) {
        int64_t oldest_s = truth->clock_s;
        size_t kept = 0;
        for (const struct truth_place *p = subject->live; p; p = p->next)
                if (p->ticket->at_s < oldest_s)
                        oldest_s = p->ticket->at_s;
        for (size_t i = 0; i < subject->recents_nr; i++)
                if (subject->recents[i].at_s >= oldest_s - 2 * 60)
                        subject->recents[kept++] = subject->recents[i];
        subject->recents_nr = kept;
        subject->recents_full = kept * 2 > RECENT_MIN ? kept * 2 : RECENT_MIN;
}

static void note_post(struct truth *truth, struct truth_subject *subject, const struct truth_ticket *ticket) {
        struct truth_hour *hour = hour_at(subject, hour_of(ticket->at_s));
        for (int m = 0; m < TK_METER_NR; m++)
                hour->memory.of[m] += ticket->due.of[m];
        if (subject->recents_nr >= subject->recents_full)
                forget_recents(truth, subject);
        ROOM(subject->recents, subject->recents_nr, subject->recents_size);
        subject->recents[subject->recents_nr++] =
                (struct truth_recent){.at_s = ticket->at_s, .step = truth->step, .due = ticket->due};
}

void truth_post(struct truth *truth, struct truth_ticket *ticket, const struct tk_amounts *actual) {
        truth_release(ticket);
        link_to(ticket, true);
        ticket->stage = TRUTH_POSTED;
        ticket->posted = ++truth->step;
        for (int m = 0; m < TK_METER_NR; m++) {
                int64_t due = actual->of[m] < ticket->held.of[m] ? actual->of[m] : ticket->held.of[m];
                ticket->due.of[m] = due;
                ticket->overrun.of[m] = actual->of[m] - due;
        }
        for (unsigned i = 0; i < ticket->places_nr; i++)
                note_post(truth, ticket->places[i].subject, ticket);
        ticket->fifo_next = NULL;
        *truth->posts_tail = ticket;
        truth->posts_tail = &ticket->fifo_next;
        truth->posts_nr++;
}

/* ---- the store ---- */

static void saw(struct truth *truth, struct truth_write write) {
        ROOM(truth->writes, truth->writes_nr, truth->writes_size);
        truth->writes[truth->writes_nr++] = write;
}

void truth_saw_entry(struct truth *truth, struct truth_ticket *ticket) {
        saw(truth, (struct truth_write){.ticket = ticket});
}

void truth_saw_version(struct truth *truth, struct truth_subject *subject) {
        saw(truth, (struct truth_write){.subject = subject});
}

void truth_saw_mark(struct truth *truth) {
        truth->mark = truth->writes_nr;
}

void truth_saw_undo(struct truth *truth) {
        truth->writes_nr = truth->mark;
}

void truth_saw_end(struct truth *truth) {
        truth->writes_nr = truth->mark = 0;
}

static void post_landed(struct truth *truth, struct truth_ticket *ticket) {
        for (unsigned i = 0; i < ticket->places_nr; i++) {
                struct truth_hour *hour = hour_at(ticket->places[i].subject, hour_of(ticket->at_s));
                for (int m = 0; m < TK_METER_NR; m++)
                        hour->durable.of[m] += ticket->due.of[m];
        }
        ticket->landed = true;
        unlink_from(ticket);
        while (truth->posts && truth->posts->landed) {
                struct truth_ticket *first = truth->posts;
                truth->posts = first->fifo_next;
                if (!truth->posts)
                        truth->posts_tail = &truth->posts;
                truth->posts_nr--;
                truth->landed_nr++;
                truth_ticket_free(truth, first);
        }
}

void truth_saw_landing(struct truth *truth) {
        for (size_t i = 0; i < truth->writes_nr; i++) {
                struct truth_subject *subject = truth->writes[i].subject;
                if (!subject) {
                        post_landed(truth, truth->writes[i].ticket);
                        continue;
                }
                subject->durable = subject->wanted;
                subject->wanted_landed = true;
                for (unsigned l = 0; l < subject->durable.nr; l++)
                        note_high(subject, &subject->durable.limits[l].limit);
        }
}

/* ---- the end of a process ---- */

static void subject_restart(struct truth_subject *subject) {
        MUST(!subject->live);
        for (size_t i = 0; i < subject->hours_nr; i++)
                subject->hours[i].memory = subject->hours[i].durable;
        subject->posting = NULL;
        subject->recents_nr = subject->doubts_nr = 0;
        subject->acted = subject->durable;
        for (unsigned i = 0; i < subject->acted.nr; i++) {
                subject->acted.limits[i].always = true;
                subject->acted.limits[i].since = subject->acted.limits[i].leased = 0;
        }
        subject->editing = subject->wanted_landed = subject->torn = false;
}

void truth_restart(struct truth *truth, int64_t clock_s) {
        while (truth->posts) {
                struct truth_ticket *first = truth->posts;
                truth->posts = first->fifo_next;
                truth_ticket_free(truth, first);
        }
        truth->posts_tail = &truth->posts;
        truth->posts_nr = 0;
        for (size_t i = 0; i < truth->subjects_nr; i++)
                subject_restart(truth->subjects[i]);
        truth->clock_s = clock_s;
}

void truth_doubt_raise(struct truth_subject *subject, const struct truth_doubt *doubt) {
        for (size_t i = 0; i < subject->doubts_nr; i++) {
                struct truth_doubt *d = &subject->doubts[i];
                if (d->number != doubt->number || d->meter != doubt->meter ||
                    !tk_window_spec_eq(d->window, doubt->window))
                        continue;
                if (doubt->amount > d->amount)
                        d->amount = doubt->amount;
                return;
        }
        ROOM(subject->doubts, subject->doubts_nr, subject->doubts_size);
        subject->doubts[subject->doubts_nr++] = *doubt;
}

static void lower_doubts(struct truth_subject *subject, enum tk_meter meter, int64_t hour, int64_t by) {
        size_t kept = 0;
        for (size_t i = 0; i < subject->doubts_nr; i++) {
                struct truth_doubt *d = &subject->doubts[i];
                struct calendar_window in = calendar_numbered(d->window, d->number);
                if (d->meter == meter && is_in(&in, hour * HOUR_S))
                        d->amount = d->amount > by ? d->amount - by : 0;
                if (d->amount > 0)
                        subject->doubts[kept++] = *d;
        }
        subject->doubts_nr = kept;
}

/* More may be posted now than is lent, so what is live is covered again only from the next hold on. */
static void forget_lent(struct truth *truth, struct truth_subject *subject, enum tk_meter meter) {
        for (unsigned i = 0; i < subject->acted.nr; i++) {
                if (subject->acted.limits[i].limit.meter != meter)
                        continue;
                subject->acted.limits[i].always = false;
                subject->acted.limits[i].leased = truth->step;
        }
}

/* What is spent is posted, and as much is in doubt no more wherever the same hour was. */
void truth_resolve(struct truth *truth, struct truth_subject *subject, const struct truth_doubt *doubt,
                   int64_t hour, int64_t spent) {
        struct truth_subject *const subjects[TK_SUBJECT_NR] = {subject->parents[0], subject->parents[1],
                                                               subject->parents[2], subject};
        for (size_t i = 0; i < subject->doubts_nr; i++)
                if (subject->doubts[i].meter == doubt->meter && subject->doubts[i].number == doubt->number &&
                    tk_window_spec_eq(subject->doubts[i].window, doubt->window)) {
                        subject->doubts[i] = subject->doubts[--subject->doubts_nr];
                        break;
                }
        for (int i = 0; i < TK_SUBJECT_NR && spent > 0; i++) {
                if (!subjects[i])
                        continue;
                struct truth_hour *at = hour_at(subjects[i], hour);
                at->memory.of[doubt->meter] += spent;
                at->durable.of[doubt->meter] += spent;
                lower_doubts(subjects[i], doubt->meter, hour, spent);
                forget_lent(truth, subjects[i], doubt->meter);
        }
}

void truth_doubts_forget(struct truth *truth, int64_t now_s) {
        for (size_t i = 0; i < truth->subjects_nr; i++) {
                struct truth_subject *subject = truth->subjects[i];
                size_t kept = 0;
                for (size_t j = 0; j < subject->doubts_nr; j++) {
                        const struct truth_doubt *d = &subject->doubts[j];
                        if (calendar_numbered(d->window, d->number).end_s > now_s - 86400)
                                subject->doubts[kept++] = *d;
                }
                subject->doubts_nr = kept;
        }
}
