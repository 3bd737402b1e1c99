/* SPDX-License-Identifier: Apache-2.0
 *
 * truth: what is really so, in plain arrays, written down from what the simulation itself did and saw. It
 * shares no arithmetic with the ledger. Two pictures of each subject (organisation, workspace, user, key) are
 * kept side by side:
 *
 *   memory   what the running process must believe: every post at once, and what is held
 *   durable  what the store must hold: a post when the batch that carried it landed
 *
 * A crash makes the first equal to the second. Three versions of each subject's limits are kept too: `acted`
 * is what the process goes by, `durable` what the store holds, `wanted` what an edit under way would make of
 * it.
 */
#ifndef TK_TESTS_SIM_TRUTH_H
#define TK_TESTS_SIM_TRUTH_H

#include "calendar.h"
#include "core/keyfmt.h"
#include "service/keys.h"
#include "service/ledger.h"

#define TRUTH_LIMITS_MAX 4
#define TRUTH_NOWHERE    SIZE_MAX

struct truth_limit {
        struct tk_limit limit;
        uint64_t since;  /* the step of the truth at which its window began to be counted */
        bool always;     /* leased since the process began */
        uint64_t leased; /* the step at which it began to be leased */
};

struct truth_version {
        unsigned nr;
        struct truth_limit limits[TRUTH_LIMITS_MAX];
        bool revoked;
};

struct truth_hour {
        int64_t hour;
        struct tk_amounts memory, durable;
};

/* A post, for windows that are shorter than the series of hours. */
struct truth_recent {
        int64_t at_s;
        uint64_t step;
        struct tk_amounts due;
};

/* What the last process left open in one window. */
struct truth_doubt {
        enum tk_meter meter;
        struct tk_window_spec window;
        int64_t number;
        int64_t amount;
};

/* The greatest cap that a limit ever had. */
struct truth_high {
        enum tk_meter meter;
        struct tk_window_spec window;
        int64_t cap;
};

/* What was needed of a meter since the process began; of what a crash puts into doubt this is the measure. */
struct truth_need {
        int64_t wanted;               /* the largest hold that was asked for */
        int64_t at_s;                 /* the last second in which something was taken */
        int64_t in_second, in_before; /* taken in it, and in the second before it */
        int64_t soon;                 /* the most that was taken in two seconds that follow each other */
        int64_t held, held_most;      /* now; at any time */
        int64_t posting;              /* posts that are not durable, when the process ends */
};

struct truth_subject {
        enum tk_subject_kind kind;
        unsigned index; /* of all of its kind */
        /* Of a key: organisation, workspace, and its user or NULL; of a workspace or user: organisation. */
        struct truth_subject *parents[TK_SUBJECT_KEY];
        struct tk_id id;
        struct tk_key_text secret;
        struct tk_snapshot *snapshot; /* of the running process; may be NULL */

        struct truth_version acted, durable, wanted;
        bool editing;       /* wanted was asked for and not answered */
        bool wanted_landed; /* it is in the store */
        bool torn;          /* durable was not acknowledged: the process may go by either */

        struct truth_hour *hours; /* ascending */
        size_t hours_nr, hours_size;
        struct truth_recent *recents;
        size_t recents_nr, recents_size, recents_full; /* full: at which old ones are forgotten */
        struct truth_doubt *doubts;
        size_t doubts_nr, doubts_size;
        struct truth_high *highs;
        size_t highs_nr, highs_size;

        struct truth_need need[TK_METER_NR];

        struct truth_place *live;    /* holds, decided, neither posted nor voided */
        struct truth_place *posting; /* posts that are not durable */
        unsigned live_nr;
};

/* A ticket is on a list of each of its subjects. */
struct truth_place {
        struct truth_ticket *ticket;
        struct truth_subject *subject;
        struct truth_place *next, **link;
};

enum truth_stage {
        TRUTH_FREE,
        TRUTH_ASKED,   /* a first hold, not decided */
        TRUTH_REFUSED, /* decided, its owner not told */
        TRUTH_HELD,    /* live */
        TRUTH_MORE,    /* live, an extension is not decided */
        TRUTH_POSTED   /* not durable */
};

struct truth_ticket {
        uint32_t index, generation;
        enum truth_stage stage;
        bool told; /* its owner knows the last decision */
        struct truth_subject *key;
        struct tk_ticket *ticket;
        int64_t at_s;                  /* decides the windows */
        int64_t shown_ms;              /* the time that was given when it was asked */
        bool observed;                 /* passed a limit that only observes */
        struct tk_amounts least, most; /* of the last operation */
        struct tk_amounts held, due, overrun;
        uint64_t taken[TK_METER_NR]; /* the step of the last take of more than nothing */
        int64_t posted_ms;
        uint64_t posted; /* the step of its post */
        uint64_t asked;  /* the batch before which it was asked */
        int64_t asked_s; /* and the second */
        size_t place;    /* in `idle` or `asked` */
        unsigned places_nr;
        struct truth_place places[TK_SUBJECT_NR]; /* on live or posting; from the top, the key's last */
        struct truth_ticket *fifo_next;           /* of all posts */
        bool landed;
};

struct truth_set {
        struct truth_ticket **at;
        size_t nr, size;
};

struct truth {
        int64_t clock_s;                 /* the latest second that the process was shown */
        uint64_t step;                   /* counts decisions and posts */
        struct truth_subject **subjects; /* all */
        size_t subjects_nr, subjects_size;
        struct truth_subject **keys; /* of them */
        size_t keys_nr, keys_size;
        struct truth_subject **groups; /* of them: organisations, workspaces, users */
        size_t groups_nr, groups_size;
        uint32_t *ids; /* index + 1 in subjects by id, open addressing */
        size_t ids_size;
        struct truth_set all, spare;
        struct truth_set idle;                    /* HELD and told: may be extended, posted, voided */
        struct truth_set asked;                   /* ASKED, MORE */
        struct truth_ticket *posts, **posts_tail; /* not durable, in order */
        size_t posts_nr;
        /* what the open batch of the store carries */
        struct truth_write *writes;
        size_t writes_nr, writes_size, mark;
        uint64_t landed_nr;
};

void truth_open(struct truth *truth);
void truth_close(struct truth *truth);

/* ---- subjects ---- */

struct truth_subject *truth_key_add(struct truth *truth, const struct tk_key *key,
                                    const struct tk_key_text *secret);
/* Without limits. org: NULL of an organisation. */
struct truth_subject *truth_group_add(struct truth *truth, enum tk_subject_kind kind, struct tk_id id,
                                      struct truth_subject *org);
struct truth_subject *truth_get(struct truth *truth, struct tk_id id); /* NULL: not ours */
const char *truth_kind(const struct truth_subject *subject);
/* The process goes by this version from now on. */
void truth_act(struct truth *truth, struct truth_subject *subject, const struct truth_version *version);
bool truth_version_eq(const struct truth_version *version, const struct tk_limit *limits, unsigned limits_nr);
/* The greatest cap ever of (meter, window), -1: there was none. */
int64_t truth_high_get(const struct truth_subject *subject, enum tk_meter meter,
                       struct tk_window_spec window);

/* ---- amounts ---- */

bool truth_is_short(struct tk_window_spec window); /* lives in memory only */
bool truth_is_leased(const struct tk_limit *limit);
/* Doubt and later posts may come to more than can be counted, which then is what is said. */
int64_t truth_add(int64_t a, int64_t b);
/* Posted in the window, as the process must see it; without doubt. */
int64_t truth_posted(const struct truth_subject *subject, const struct truth_limit *limit,
                     const struct calendar_window *window);
int64_t truth_durable(const struct truth_subject *subject, enum tk_meter meter,
                      const struct calendar_window *window);
int64_t truth_held(const struct truth_subject *subject, enum tk_meter meter,
                   const struct calendar_window *window);
int64_t truth_doubt_get(const struct truth_subject *subject, enum tk_meter meter,
                        struct tk_window_spec window, int64_t number);

/* What counts against a limit at a time. */
struct truth_use {
        struct calendar_window window;
        int64_t posted, held; /* posted with doubt */
        int64_t left;
};

/* slides: a rate weighs the window before as it is at at_ms. */
struct truth_use truth_use_of(const struct truth_subject *subject, const struct truth_limit *limit,
                              int64_t at_s, int64_t at_ms, bool slides);
/* What a rate will weigh at the second t_s of its window or of the next, when what is held now is used in
 * full and nothing else. */
int64_t truth_rate_at(const struct truth_subject *subject, const struct truth_limit *limit,
                      const struct calendar_window *window, int64_t t_s, bool slides);
/* What a new hold finds left of a meter over all limits of a key, INT64_MAX: not limited. */
int64_t truth_left_of(const struct truth_subject *key, enum tk_meter meter, int64_t at_s, int64_t at_ms);

/* ---- tickets ---- */

struct truth_ticket *truth_ticket_new(struct truth *truth, struct truth_subject *key);
void truth_ticket_free(struct truth *truth, struct truth_ticket *ticket);
struct tk_id truth_ticket_id(const struct truth_ticket *ticket);
struct truth_ticket *truth_ticket_get(struct truth *truth, struct tk_id id); /* NULL: not ours */
void truth_set_put(struct truth_set *set, struct truth_ticket *ticket);
void truth_set_drop(struct truth_set *set, struct truth_ticket *ticket);
/* So much is asked for on top of what is held. */
void truth_want(struct truth_ticket *ticket, const struct tk_amounts *most);
/* More is held; at first it becomes live. */
void truth_take(struct truth *truth, struct truth_ticket *ticket, const struct tk_amounts *given,
                int64_t now_ms);
/* No longer live. */
void truth_release(struct truth_ticket *ticket);
/* Live becomes posting: counts in memory. */
void truth_post(struct truth *truth, struct truth_ticket *ticket, const struct tk_amounts *actual);

/* ---- the store, as faulty_store tells it ---- */

void truth_saw_entry(struct truth *truth, struct truth_ticket *ticket);
void truth_saw_version(struct truth *truth, struct truth_subject *subject);
void truth_saw_mark(struct truth *truth);
void truth_saw_undo(struct truth *truth);
void truth_saw_landing(struct truth *truth);
void truth_saw_end(struct truth *truth);

/* ---- the end of a process ---- */

/* Before the end: notes what is not durable. */
void truth_needs_note(struct truth_subject *subject);
/* The most that may come into doubt in a window of which `known` was in doubt already. */
int64_t truth_doubt_most(const struct truth_subject *subject, enum tk_meter meter, int64_t known);
/* A process begins: nothing was needed yet. */
void truth_needs_forget(struct truth *truth);
/* What was in memory only is gone. No ticket is live; clock_s is that of the next process. */
void truth_restart(struct truth *truth, int64_t clock_s);
/* Adds to what is in doubt there, or makes it at least that much. */
void truth_doubt_raise(struct truth_subject *subject, const struct truth_doubt *doubt);
/* An operator said that `spent` of a doubt was spent, in this hour, by the subject (and so by those above).
 */
void truth_resolve(struct truth *truth, struct truth_subject *subject, const struct truth_doubt *doubt,
                   int64_t hour, int64_t spent);
/* A process begins: of windows that ended more than a day ago nothing is in doubt any longer. */
void truth_doubts_forget(struct truth *truth, int64_t now_s);

#endif
