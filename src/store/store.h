/* SPDX-License-Identifier: Apache-2.0
 *
 * store: what is remembered over a restart, behind one interface with several engines.
 *
 *   writer (one thread)  begin -> ops -> commit     durable when commit returns TK_OK
 *   readers (any thread, a handle each)             see only what was committed
 *
 * The front (store.c) alone calls an engine: it validates a row before it is written and after it
 * is read (a row that breaks tk_key_ok() is CORRUPT, not trusted), and logs a fault where it is born.
 * Engines: "memory:" (test double and living contract) and "sqlite:PATH". One contract suite runs
 * against both. Migrations go forward only, each in one SQL transaction; a file written by a newer
 * program is refused (NEWER).
 *
 * Usage is one series: an amount per (subject, meter, UTC hour); the engine keeps the day and the
 * total beside it in the same transaction, so that every longer window is a short sum.
 */
#ifndef TK_STORE_STORE_H
#define TK_STORE_STORE_H

#include "base/err.h"
#include "base/id.h"
#include "core/alert.h"
#include "core/key.h"
#include "core/meter.h"
#include "core/price.h"
#include "core/profile.h"
#include "core/window.h"

struct tk_store;
struct tk_reader;

#define TK_MODEL_NAME_MAX 128

/* One finished call: the audit trail of the ledger. Append only. */
struct tk_entry {
        struct tk_id id; /* the hold's id; a second entry with it is CONFLICT */
        struct tk_id org;
        struct tk_id subject; /* the key */
        int64_t held_at_ms;   /* decides the windows */
        int64_t posted_at_ms;
        char model[TK_MODEL_NAME_MAX + 1];
        struct tk_tokens tokens;
        struct tk_amounts due;
        struct tk_amounts overrun;
        unsigned flags; /* TK_ENTRY_* */
};

#define TK_ENTRY_ESTIMATED 1u  /* the upstream reported no usage: tokens are our estimate */
#define TK_ENTRY_GONE      2u  /* the client left before the end */
#define TK_ENTRY_CUT       4u  /* cut at the bound of its hold */
#define TK_ENTRY_BROKEN    8u  /* the upstream failed after it had begun to answer */
#define TK_ENTRY_OBSERVED  16u /* a limit that only observes was passed */
#define TK_ENTRY_EXPIRED   32u /* the hold ran out of time: due is what was metered until then */

/* What a node may spend without asking again: durable before anything is held against it. */
struct tk_lease {
        struct tk_id subject;
        enum tk_meter meter;
        struct tk_window_spec window;
        int64_t number; /* of the window */
        int64_t bound;  /* posted + held of this window may reach this amount */
};

/* What a crash left open of a window: perhaps spent, perhaps not. It counts as spent. */
struct tk_doubt {
        struct tk_id subject;
        enum tk_meter meter;
        struct tk_window_spec window;
        int64_t number;   /* of the window */
        int64_t amount;   /* > 0 */
        int64_t since_ms; /* when the first of it was found */
};

#define TK_TOPUP_ID_MAX 64

/* Money that was paid in advance. Append only. */
struct tk_topup {
        char id[TK_TOPUP_ID_MAX + 1]; /* the payer's: printable ASCII without spaces; says which it is */
        struct tk_id subject;         /* an organisation, workspace or user */
        enum tk_meter meter;          /* of money */
        int64_t amount;               /* > 0 */
        int64_t at_ms;
};

/*
 * Opens or creates. url: "memory:" | "sqlite:PATH". On failure *out is NULL and why says what, where
 * and how to mend it. NEWER, SYNTAX (unknown engine), IO, CORRUPT, BUSY (another server has it).
 */
TK_CHECKED enum tk_err tk_store_open(const char *url, struct tk_store **out, char *why, size_t why_size);
void tk_store_close(struct tk_store **store);              /* all readers closed before */
const char *tk_store_engine(const struct tk_store *store); /* "memory", "sqlite" */
/* The organisation and workspace that exist from the first start. Constant after open. */
struct tk_id tk_store_org(const struct tk_store *store);
struct tk_id tk_store_workspace(const struct tk_store *store);

/*
 * ---- writer: one thread at a time; every op only between begin and commit or rollback ----
 *
 * A row that is not sound (a key that is not tk_key_ok, a negative amount ...) is refused with RANGE and
 * changes nothing. A fault of the engine (FULL, READ_ONLY, IO, CORRUPT; with SQLite also NO_MEMORY) breaks
 * the batch: every later op of it returns the same fault, and so does commit, which then has rolled back.
 * Other refusals (CONFLICT, NOT_FOUND, OVERFLOW, RANGE, a single damaged row that key_get finds CORRUPT)
 * leave the batch sound.
 */
/* BUSY: another process writes, for longer than 5 s. NEWER: a newer program has migrated the store meanwhile.
 */
TK_CHECKED enum tk_err tk_store_begin(struct tk_store *store);
/* FULL, READ_ONLY, IO: nothing of the batch is stored, the store is usable again. */
TK_CHECKED enum tk_err tk_store_commit(struct tk_store *store);
void tk_store_rollback(struct tk_store *store);
/* A point inside the batch to go back to when one job of it fails. One level deep. */
TK_CHECKED enum tk_err tk_store_mark(struct tk_store *store);
TK_CHECKED enum tk_err tk_store_mark_keep(struct tk_store *store);
TK_CHECKED enum tk_err tk_store_mark_undo(struct tk_store *store);

/* CONFLICT: the id or the digest exists. This and the next append to the change log (below). */
TK_CHECKED enum tk_err tk_store_key_insert(struct tk_store *store, const struct tk_key *key);
/* Replaces everything but id, digest, org, workspace, user, created_ms and last_used_ms. NOT_FOUND. */
TK_CHECKED enum tk_err tk_store_key_update(struct tk_store *store, const struct tk_key *key);
/* Sets last_used_ms when it is later than what is stored. Not a change for the log. NOT_FOUND. */
TK_CHECKED enum tk_err tk_store_key_touch(struct tk_store *store, struct tk_id id, int64_t used_ms);
/* Reads through the open batch: sees what this batch wrote. NOT_FOUND. */
TK_CHECKED enum tk_err tk_store_key_get(struct tk_store *store, struct tk_id id, struct tk_key *out);
/* Writes or replaces what only management reads of a key. Not a change for the log. */
TK_CHECKED enum tk_err tk_store_profile_put(struct tk_store *store, const struct tk_profile *profile);
/* Reads through the open batch. NOT_FOUND. */
TK_CHECKED enum tk_err tk_store_profile_get(struct tk_store *store, struct tk_id key, struct tk_profile *out);
/*
 * Adds to the hour, its day and the total. hour: hours since 1970. OVERFLOW, by which nothing changed. RANGE:
 * a negative amount (what was used is never taken back) or an hour beyond 2^40.
 */
TK_CHECKED enum tk_err tk_store_usage_add(struct tk_store *store, struct tk_id subject, enum tk_meter meter,
                                          int64_t hour, int64_t amount);
TK_CHECKED enum tk_err tk_store_entry_add(struct tk_store *store, const struct tk_entry *entry);
/*
 * Replaces all limits of an organisation, workspace or user but its balances, which only a top-up changes;
 * none of these may be one (RANGE). CONFLICT: the subject is a key, whose limits are in its row, or a balance
 * lies on the same meter and window as one of these. TOO_BIG: too many beside the balances. Appends to the
 * change log.
 */
TK_CHECKED enum tk_err tk_store_limits_put(struct tk_store *store, struct tk_id subject,
                                           const struct tk_limit *limits, unsigned limits_nr);
/* Of an organisation, workspace or user, as the open batch sees them. CONFLICT: the subject is a key. */
TK_CHECKED enum tk_err tk_store_limits_get(struct tk_store *store, struct tk_id subject,
                                           struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr);
/*
 * Notes the top-up and raises the balance by it, in one step; the first makes the balance. A top-up with the
 * id of one that is there changes nothing: TK_OK when subject, meter and amount are the same, otherwise
 * CONFLICT, as when a lifetime limit that is no balance lies in its place, or the subject is a key. OVERFLOW:
 * more than can be counted. TOO_BIG: no room for another limit. Appends to the change log.
 */
TK_CHECKED enum tk_err tk_store_topup(struct tk_store *store, const struct tk_topup *topup);
/* Reads through the open batch. NOT_FOUND. */
TK_CHECKED enum tk_err tk_store_topup_get(struct tk_store *store, const char *id, struct tk_topup *out);
/* Inserts or replaces the lease of (subject, meter, window, number). A window in flight has none: RANGE. */
TK_CHECKED enum tk_err tk_store_lease_put(struct tk_store *store, const struct tk_lease *lease);
/* Removing what is not there is TK_OK. */
TK_CHECKED enum tk_err tk_store_lease_drop(struct tk_store *store, const struct tk_lease *lease);
/*
 * Inserts, or adds the amount to the doubt of the same (subject, meter, window, number), of which since_ms
 * becomes the earlier one. OVERFLOW, by which nothing changed.
 */
TK_CHECKED enum tk_err tk_store_doubt_put(struct tk_store *store, const struct tk_doubt *doubt);
/* Removes it, whatever its amount. Appends its subject to the change log. NOT_FOUND. */
TK_CHECKED enum tk_err tk_store_doubt_drop(struct tk_store *store, const struct tk_doubt *doubt);
/* Notes an alert, of which nothing was delivered yet (RANGE). One with its id is there already: TK_OK, and
 * nothing changes. */
TK_CHECKED enum tk_err tk_store_alert_add(struct tk_store *store, const struct tk_alert *alert);
/* How far the delivery of it has come. NOT_FOUND. */
TK_CHECKED enum tk_err tk_store_alert_sent(struct tk_store *store, struct tk_id id, enum tk_channel channel,
                                           const struct tk_delivery *delivery);
/* Appends to the change log, for who reads more than changed rows: what a subject used was added to from
 * outside. */
TK_CHECKED enum tk_err tk_store_change_add(struct tk_store *store, struct tk_id subject);
/* Small named settings: name [a-z0-9_.]{1,64}, value up to 4096 bytes. */
TK_CHECKED enum tk_err tk_store_meta_put(struct tk_store *store, const char *name, struct tk_str value);

/*
 * ---- readers: a handle belongs to one thread ----
 *
 * A call sees one committed state. A callback may use its reader, but not for the call that it is called by,
 * and it may not write.
 */
TK_CHECKED enum tk_err tk_reader_open(struct tk_store *store, struct tk_reader **out);
void tk_reader_close(struct tk_reader **reader);

/* Revoked and expired keys are found too; the caller judges. NOT_FOUND. */
TK_CHECKED enum tk_err tk_reader_key_by_digest(struct tk_reader *reader, const uint8_t digest[32],
                                               struct tk_key *out);
TK_CHECKED enum tk_err tk_reader_key_by_id(struct tk_reader *reader, struct tk_id id, struct tk_key *out);

typedef bool tk_key_each_f(const struct tk_key *key, void *ctx); /* false stops */
/*
 * The organisation's keys that are active at now_ms, newest first (created_ms, then id, descending),
 * at most limit, those after `after` (none: from the start; unknown: NOT_FOUND).
 */
TK_CHECKED enum tk_err tk_reader_key_list(struct tk_reader *reader, struct tk_id org, int64_t now_ms,
                                          struct tk_id after, unsigned limit, tk_key_each_f *each, void *ctx);
/* NOT_FOUND: the key has none, or is none. */
TK_CHECKED enum tk_err tk_reader_profile_get(struct tk_reader *reader, struct tk_id key,
                                             struct tk_profile *out);

/* Which keys a page shows: of the organisation, not revoked, expired or not. */
struct tk_key_page {
        struct tk_id org;
        struct tk_id workspace; /* none: of all */
        unsigned kinds;         /* 1u << enum tk_key_kind of each */
        uint64_t skip;
        unsigned limit;
};

/* The page, newest first, and how many there are on all pages. */
TK_CHECKED enum tk_err tk_reader_key_page(struct tk_reader *reader, const struct tk_key_page *page,
                                          tk_key_each_f *each, void *ctx, uint64_t *total);
/* Sum of usage in hours [from, to); INT64_MIN and INT64_MAX are open ends. OVERFLOW. */
TK_CHECKED enum tk_err tk_reader_usage_sum(struct tk_reader *reader, struct tk_id subject,
                                           enum tk_meter meter, int64_t from_hour, int64_t to_hour,
                                           int64_t *sum);

/*
 * The same over all keys of an organisation, workspace or user, also those that were revoked, and over what
 * is noted of itself: spent, but not known by which key.
 */
enum tk_group { TK_GROUP_ORG, TK_GROUP_WORKSPACE, TK_GROUP_USER };
#define TK_GROUP_NR 3
TK_CHECKED enum tk_err tk_reader_usage_sum_group(struct tk_reader *reader, enum tk_group group,
                                                 struct tk_id id, enum tk_meter meter, int64_t from_hour,
                                                 int64_t to_hour, int64_t *sum);
/* Limits of an organisation, workspace, user or key; none is TK_OK with 0. */
TK_CHECKED enum tk_err tk_reader_limits(struct tk_reader *reader, struct tk_id subject,
                                        struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr);

/* NOT_FOUND. */
TK_CHECKED enum tk_err tk_reader_entry_get(struct tk_reader *reader, struct tk_id id, struct tk_entry *out);

typedef bool tk_topup_each_f(const struct tk_topup *topup, void *ctx);
/* The top-ups of a subject, by at_ms, then id. */
TK_CHECKED enum tk_err tk_reader_topup_list(struct tk_reader *reader, struct tk_id subject,
                                            tk_topup_each_f *each, void *ctx);

typedef bool tk_entry_each_f(const struct tk_entry *entry, void *ctx);
/* Entries of a subject (or, with the none id, of the organisation), newest first by posted_at_ms then id. */
TK_CHECKED enum tk_err tk_reader_entry_list(struct tk_reader *reader, struct tk_id org, struct tk_id subject,
                                            unsigned limit, tk_entry_each_f *each, void *ctx);
typedef bool tk_lease_each_f(const struct tk_lease *lease, void *ctx);
TK_CHECKED enum tk_err tk_reader_lease_list(struct tk_reader *reader, tk_lease_each_f *each, void *ctx);

typedef bool tk_doubt_each_f(const struct tk_doubt *doubt, void *ctx);
/* Of a subject or, with the none id, of all; by subject, meter, window and number, ascending. */
TK_CHECKED enum tk_err tk_reader_doubt_list(struct tk_reader *reader, struct tk_id subject,
                                            tk_doubt_each_f *each, void *ctx);
/* Of this subject and all after it, in the same order. */
TK_CHECKED enum tk_err tk_reader_doubt_list_from(struct tk_reader *reader, struct tk_id subject,
                                                 tk_doubt_each_f *each, void *ctx);

typedef bool tk_alert_each_f(const struct tk_alert *alert, void *ctx);
/* The alerts of an organisation, newest first by at_ms then id, at most limit. */
TK_CHECKED enum tk_err tk_reader_alert_list(struct tk_reader *reader, struct tk_id org, unsigned limit,
                                            tk_alert_each_f *each, void *ctx);
/* Those of all organisations that wait for this channel and whose time has come, by next_ms then id, at most
 * limit. */
TK_CHECKED enum tk_err tk_reader_alert_due(struct tk_reader *reader, enum tk_channel channel, int64_t now_ms,
                                           unsigned limit, tk_alert_each_f *each, void *ctx);

typedef bool tk_change_each_f(int64_t seq, struct tk_id subject, void *ctx);
/* Changes of keys, users, workspaces and organisations with seq > after, ascending; also those made by other
 * processes on the same file. */
TK_CHECKED enum tk_err tk_reader_changes(struct tk_reader *reader, int64_t after, tk_change_each_f *each,
                                         void *ctx);
/* Latest seq, 0 when there is none. */
TK_CHECKED enum tk_err tk_reader_change_last(struct tk_reader *reader, int64_t *seq);
/* NOT_FOUND; TOO_BIG when it does not fit with its NUL. */
TK_CHECKED enum tk_err tk_reader_meta_get(struct tk_reader *reader, const char *name, char *out, size_t size);

#endif
