/* SPDX-License-Identifier: Apache-2.0 */
#include "truth.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_S     3600
#define RECENT_MIN 64

/* What one operation of the open batch will make true. */
struct truth_write {
        struct truth_ticket *ticket; /* or */
        struct truth_key *key;
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
        for (size_t i = 0; i < truth->keys_nr; i++) {
                struct truth_key *key = truth->keys[i];
                MUST(!key->snapshot);
                free(key->hours);
                free(key->recents);
                free(key->doubts);
                free(key->highs);
                free(key);
        }
        for (size_t i = 0; i < truth->all.nr; i++)
                free(truth->all.at[i]);
        free(truth->keys);
        free(truth->ids);
        free(truth->all.at);
        free(truth->spare.at);
        free(truth->idle.at);
        free(truth->asked.at);
        free(truth->writes);
}

/* ---- keys ---- */

static size_t id_place(const struct truth *truth, struct tk_id id) {
        uint64_t hash;
        memcpy(&hash, id.b + 8, sizeof hash); /* the random half */
        size_t at = (hash ^ hash >> 32) & (truth->ids_size - 1);
        while (truth->ids[at] && !tk_id_eq(truth->keys[truth->ids[at] - 1]->id, id))
                at = (at + 1) & (truth->ids_size - 1);
        return at;
}

static void index_ids(struct truth *truth) {
        free(truth->ids);
        truth->ids_size = truth->ids_size ? truth->ids_size * 2 : 64;
        truth->ids = must(calloc(truth->ids_size, sizeof *truth->ids));
        for (size_t i = 0; i < truth->keys_nr; i++)
                truth->ids[id_place(truth, truth->keys[i]->id)] = (uint32_t)i + 1;
}

struct truth_key *truth_key_get(struct truth *truth, struct tk_id id) {
        uint32_t found = truth->ids_size ? truth->ids[id_place(truth, id)] : 0;
        return found ? truth->keys[found - 1] : NULL;
}

struct truth_key *truth_key_add(struct truth *truth, const struct tk_key *row,
                                const struct tk_key_text *secret) {
        struct truth_key *key = must(calloc(1, sizeof *key));
        ROOM(truth->keys, truth->keys_nr, truth->keys_size);
        key->index = (unsigned)truth->keys_nr;
        key->id = row->id;
        key->secret = *secret;
        truth->keys[truth->keys_nr++] = key;
        if (truth->keys_nr * 2 > truth->ids_size)
                index_ids(truth);
        else
                truth->ids[id_place(truth, key->id)] = key->index + 1;
        MUST(row->limits_nr <= TRUTH_LIMITS_MAX);
        struct truth_version version = {.nr = row->limits_nr};
        for (unsigned i = 0; i < row->limits_nr; i++)
                version.limits[i].limit = row->limits[i];
        key->durable = version;
        truth_act(truth, key, &version);
        return key;
}

static bool same_limit(const struct tk_limit *a, enum tk_meter meter, struct tk_window_spec window) {
        return a->meter == meter && tk_window_spec_eq(a->window, window);
}

static void note_high(struct truth_key *key, const struct tk_limit *limit) {
        int64_t cap = limit->cap > INT64_MAX ? INT64_MAX : (int64_t)limit->cap;
        for (size_t i = 0; i < key->highs_nr; i++) {
                struct truth_high *high = &key->highs[i];
                if (!same_limit(limit, high->meter, high->window))
                        continue;
                if (cap > high->cap)
                        high->cap = cap;
                return;
        }
        ROOM(key->highs, key->highs_nr, key->highs_size);
        key->highs[key->highs_nr++] = (struct truth_high){limit->meter, limit->window, cap};
}

int64_t truth_high_get(const struct truth_key *key, enum tk_meter meter, struct tk_window_spec window) {
        for (size_t i = 0; i < key->highs_nr; i++)
                if (key->highs[i].meter == meter && tk_window_spec_eq(key->highs[i].window, window))
                        return key->highs[i].cap;
        return -1;
}

void truth_act(struct truth *truth, struct truth_key *key, const struct truth_version *version) {
        struct truth_version old = key->acted;
        key->acted = *version;
        for (unsigned i = 0; i < key->acted.nr; i++) {
                struct truth_limit *limit = &key->acted.limits[i];
                limit->always = false;
                limit->since = truth->step;
                for (unsigned j = 0; j < old.nr; j++)
                        if (same_limit(&old.limits[j].limit, limit->limit.meter, limit->limit.window)) {
                                limit->always = old.limits[j].always;
                                limit->since = old.limits[j].since;
                        }
                note_high(key, &limit->limit);
        }
}

bool truth_version_eq(const struct truth_version *version, const struct tk_limit *limits,
                      unsigned limits_nr) {
        if (version->nr != limits_nr)
                return false;
        for (unsigned i = 0; i < limits_nr; i++)
                if (version->limits[i].limit.cap != limits[i].cap ||
                    !same_limit(&version->limits[i].limit, limits[i].meter, limits[i].window))
                        return false;
        return true;
}

/* ---- amounts ---- */

bool truth_is_short(struct tk_window_spec window) {
        return window.kind == TK_WINDOW_SECOND || window.kind == TK_WINDOW_MINUTE;
}

static bool is_in(const struct calendar_window *window, int64_t at_s) {
        return at_s >= window->start_s && at_s < window->end_s;
}

static int64_t posted_recently(const struct truth_key *key, const struct truth_limit *limit,
                               const struct calendar_window *window) {
        int64_t sum = 0;
        for (size_t i = key->recents_nr; i-- > 0;)
                if (key->recents[i].step > limit->since && is_in(window, key->recents[i].at_s))
                        sum += key->recents[i].due.of[limit->limit.meter];
        return sum;
}

static int64_t hour_of(int64_t at_s) {
        MUST(at_s >= 0);
        return at_s / HOUR_S;
}

static int64_t sum_hours(const struct truth_key *key, enum tk_meter meter,
                         const struct calendar_window *window, bool durable) {
        bool all = window->start_s == INT64_MIN;
        int64_t from = all ? INT64_MIN : window->start_s / HOUR_S;
        int64_t to = all ? INT64_MAX : window->end_s / HOUR_S, sum = 0;
        for (size_t i = key->hours_nr; i-- > 0 && key->hours[i].hour >= from;)
                if (key->hours[i].hour < to)
                        sum += durable ? key->hours[i].durable.of[meter] : key->hours[i].memory.of[meter];
        return sum;
}

int64_t truth_posted(const struct truth_key *key, const struct truth_limit *limit,
                     const struct calendar_window *window) {
        return truth_is_short(limit->limit.window) ? posted_recently(key, limit, window)
                                                   : sum_hours(key, limit->limit.meter, window, false);
}

int64_t truth_durable(const struct truth_key *key, enum tk_meter meter,
                      const struct calendar_window *window) {
        return sum_hours(key, meter, window, true);
}

int64_t truth_held(const struct truth_key *key, enum tk_meter meter, const struct calendar_window *window) {
        int64_t sum = 0;
        for (const struct truth_ticket *t = key->live; t; t = t->next)
                if (is_in(window, t->at_s))
                        sum += t->held.of[meter];
        return sum;
}

int64_t truth_doubt_get(const struct truth_key *key, enum tk_meter meter, struct tk_window_spec window,
                        int64_t number) {
        for (size_t i = 0; i < key->doubts_nr; i++) {
                const struct truth_doubt *d = &key->doubts[i];
                if (d->number == number && d->meter == meter && tk_window_spec_eq(d->window, window))
                        return d->amount;
        }
        return 0;
}

int64_t truth_left(const struct truth_key *key, const struct truth_limit *limit, int64_t at_s) {
        struct calendar_window window = calendar_at(limit->limit.window, at_s);
        uint64_t cap = limit->limit.cap > INT64_MAX ? INT64_MAX : limit->limit.cap;
        uint64_t used = (uint64_t)truth_posted(key, limit, &window);
        used += (uint64_t)truth_held(key, limit->limit.meter, &window);
        used += (uint64_t)truth_doubt_get(key, limit->limit.meter, limit->limit.window, window.number);
        return used < cap ? (int64_t)(cap - used) : 0;
}

int64_t truth_left_of(const struct truth_key *key, enum tk_meter meter, int64_t at_s) {
        int64_t least = INT64_MAX;
        for (unsigned i = 0; i < key->acted.nr; i++) {
                if (key->acted.limits[i].limit.meter != meter)
                        continue;
                int64_t left = truth_left(key, &key->acted.limits[i], at_s);
                least = left < least ? left : least;
        }
        return least;
}

static struct truth_hour *hour_at(struct truth_key *key, int64_t hour) {
        size_t at = key->hours_nr;
        while (at > 0 && key->hours[at - 1].hour > hour)
                at--;
        if (at > 0 && key->hours[at - 1].hour == hour)
                return &key->hours[at - 1];
        ROOM(key->hours, key->hours_nr, key->hours_size);
        memmove(key->hours + at + 1, key->hours + at, (key->hours_nr - at) * sizeof *key->hours);
        key->hours[at] = (struct truth_hour){.hour = hour};
        key->hours_nr++;
        return &key->hours[at];
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

struct truth_ticket *truth_ticket_new(struct truth *truth, struct truth_key *key) {
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

static void link_to(struct truth_ticket *ticket, struct truth_ticket **head) {
        ticket->next = *head;
        ticket->link = head;
        if (*head)
                (*head)->link = &ticket->next;
        *head = ticket;
}

static void unlink(struct truth_ticket *ticket) {
        *ticket->link = ticket->next;
        if (ticket->next)
                ticket->next->link = ticket->link;
        ticket->link = NULL;
}

void truth_take(struct truth *truth, struct truth_ticket *ticket, const struct tk_amounts *given) {
        truth->step++;
        for (int m = 0; m < TK_METER_NR; m++) {
                ticket->held.of[m] += given->of[m];
                if (given->of[m] > 0)
                        ticket->taken[m] = truth->step;
        }
        if (ticket->stage == TRUTH_ASKED) {
                link_to(ticket, &ticket->key->live);
                ticket->key->live_nr++;
        }
        ticket->stage = TRUTH_HELD;
}

void truth_release(struct truth_ticket *ticket) {
        unlink(ticket);
        ticket->key->live_nr--;
}

/* Those of windows in which nothing can be held any more are forgotten. */
static void forget_recents(struct truth *truth, struct truth_key *key) {
        int64_t oldest_s = truth->clock_s;
        size_t kept = 0;
        for (const struct truth_ticket *t = key->live; t; t = t->next)
                if (t->at_s < oldest_s)
                        oldest_s = t->at_s;
        for (size_t i = 0; i < key->recents_nr; i++)
                if (key->recents[i].at_s >= oldest_s - 60)
                        key->recents[kept++] = key->recents[i];
        key->recents_nr = kept;
        key->recents_full = kept * 2 > RECENT_MIN ? kept * 2 : RECENT_MIN;
}

void truth_post(struct truth *truth, struct truth_ticket *ticket, const struct tk_amounts *actual) {
        struct truth_key *key = ticket->key;
        struct truth_hour *hour = hour_at(key, hour_of(ticket->at_s));
        truth_release(ticket);
        link_to(ticket, &key->posting);
        ticket->stage = TRUTH_POSTED;
        ticket->posted = ++truth->step;
        for (int m = 0; m < TK_METER_NR; m++) {
                int64_t due = actual->of[m] < ticket->held.of[m] ? actual->of[m] : ticket->held.of[m];
                ticket->due.of[m] = due;
                ticket->overrun.of[m] = actual->of[m] - due;
                hour->memory.of[m] += due;
        }
        if (key->recents_nr >= key->recents_full)
                forget_recents(truth, key);
        ROOM(key->recents, key->recents_nr, key->recents_size);
        key->recents[key->recents_nr++] =
                (struct truth_recent){.at_s = ticket->at_s, .step = truth->step, .due = ticket->due};
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

void truth_saw_key(struct truth *truth, struct truth_key *key) {
        saw(truth, (struct truth_write){.key = key});
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
        struct truth_hour *hour = hour_at(ticket->key, hour_of(ticket->at_s));
        for (int m = 0; m < TK_METER_NR; m++)
                hour->durable.of[m] += ticket->due.of[m];
        ticket->landed = true;
        unlink(ticket);
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
                struct truth_key *key = truth->writes[i].key;
                if (truth->writes[i].ticket) {
                        post_landed(truth, truth->writes[i].ticket);
                } else if (key) {
                        key->durable = key->wanted;
                        key->wanted_landed = true;
                        for (unsigned l = 0; l < key->durable.nr; l++)
                                note_high(key, &key->durable.limits[l].limit);
                }
        }
}

/* ---- the end of a process ---- */

static void key_restart(struct truth_key *key) {
        MUST(!key->live);
        for (size_t i = 0; i < key->hours_nr; i++)
                key->hours[i].memory = key->hours[i].durable;
        key->posting = NULL;
        key->recents_nr = key->doubts_nr = 0;
        key->acted = key->durable;
        for (unsigned i = 0; i < key->acted.nr; i++) {
                key->acted.limits[i].always = true;
                key->acted.limits[i].since = 0;
        }
        key->editing = key->wanted_landed = key->torn = false;
}

void truth_restart(struct truth *truth, int64_t clock_s) {
        while (truth->posts) {
                struct truth_ticket *first = truth->posts;
                truth->posts = first->fifo_next;
                truth_ticket_free(truth, first);
        }
        truth->posts_tail = &truth->posts;
        truth->posts_nr = 0;
        for (size_t i = 0; i < truth->keys_nr; i++)
                key_restart(truth->keys[i]);
        truth->clock_s = clock_s;
}

void truth_doubt_add(struct truth_key *key, const struct truth_doubt *doubt) {
        ROOM(key->doubts, key->doubts_nr, key->doubts_size);
        key->doubts[key->doubts_nr++] = *doubt;
}
