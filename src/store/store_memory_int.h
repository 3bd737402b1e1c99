/* SPDX-License-Identifier: Apache-2.0
 *
 * store_memory_int: what the files of the memory engine share.
 *
 *   store_memory.c       the table of functions, open and close
 *   store_memory_batch.c the open batch: a list of operations, not yet visible
 *   store_memory_people.c users and workspaces, in a batch and for readers
 *   store_memory_apply.c a batch becomes state: room first, which may fail, then changes, which may not
 *   store_memory_read.c  readers
 *   store_memory_audit.c the audit log, in a batch and for readers
 *
 * The state changes only in commit, under the write lock. Only the writer's thread writes, so that thread
 * reads the state without the lock.
 */
#ifndef TK_STORE_STORE_MEMORY_INT_H
#define TK_STORE_STORE_MEMORY_INT_H

#include <pthread.h>

#include "store/map.h"
#include "store/store_memory.h"

/* The usage of one (subject, meter), hours ascending. */
struct tk_memory_hour {
        int64_t hour;
        int64_t amount;
};

struct tk_memory_series {
        struct tk_id subject;
        enum tk_meter meter;
        int64_t total;
        size_t nr, size;
        size_t coming; /* hours that the batch being committed may add */
        struct tk_memory_hour *hours;
};

struct tk_memory_meta {
        char name[TK_META_NAME_MAX + 1];
        size_t len;
        char value[]; /* len bytes */
};

/* The limits of an organisation, workspace or user. */
struct tk_memory_limits {
        struct tk_id subject;
        unsigned nr;
        struct tk_limit of[TK_KEY_LIMITS_MAX];
};

/* How far the delivery of an alert has come. */
struct tk_memory_sent {
        struct tk_id alert;
        enum tk_channel channel;
        struct tk_delivery delivery;
};

enum tk_memory_what {
        TK_OP_KEY_NEW,    /* key; found by id */
        TK_OP_KEY_DIGEST, /* the same key, found by digest; does nothing when applied */
        TK_OP_KEY_SET,    /* key */
        TK_OP_PROFILE,    /* found by its key */
        TK_OP_USAGE,
        TK_OP_ENTRY,
        TK_OP_LIMITS, /* found by subject */
        TK_OP_TOPUP,  /* found by its id */
        TK_OP_LEASE_PUT,
        TK_OP_LEASE_DROP,
        TK_OP_DOUBT_PUT, /* doubt, as it becomes; found by subject */
        TK_OP_DOUBT_DROP,
        TK_OP_ALERT, /* found by id */
        TK_OP_ALERT_SENT,
        TK_OP_CHANGE, /* nothing but an entry of the log */
        TK_OP_META,
        TK_OP_USER, /* as they become */
        TK_OP_WORKSPACE,
        TK_OP_AUDIT,
        TK_OP_AUDIT_TRIM
};

/* One operation of the open batch. */
struct tk_memory_op {
        enum tk_memory_what what;
        uint32_t bucket; /* where it can be found again, see tk_memory_batch */
        uint32_t before; /* the operation of that bucket before this one, plus 1; 0: none */
        bool logged;     /* a change for the log */
        union {
                struct tk_key *key; /* owned, except by KEY_DIGEST */
                struct {
                        struct tk_id subject;
                        enum tk_meter meter;
                        int64_t hour;
                        int64_t amount;
                        int64_t total; /* of the series after this operation */
                } usage;
                struct tk_profile *profile;      /* owned */
                struct tk_entry *entry;          /* owned */
                struct tk_memory_limits *limits; /* owned */
                struct tk_topup *topup;          /* owned */
                struct tk_lease lease;
                struct tk_doubt doubt;
                struct tk_alert *alert;      /* owned */
                struct tk_memory_sent *sent; /* owned */
                struct tk_id changed;
                struct tk_memory_meta *meta;    /* owned */
                struct tk_user *user;           /* owned */
                struct tk_workspace *workspace; /* owned */
                struct tk_audit *audit;         /* owned */
                struct {
                        int64_t before_ms;
                        unsigned limit;
                } trim;
        };
};

#define TK_MEMORY_BUCKETS 1024

/* The operations in order, threaded by bucket: popping the last restores what was before it. */
struct tk_memory_batch {
        struct tk_memory_op *ops;
        size_t nr, size;
        size_t mark; /* nr when the mark was set */
        uint32_t last[TK_MEMORY_BUCKETS];
};

struct tk_memory_store {
        struct tk_store base;
        pthread_rwlock_t lock;

        /* under lock; owned rows are in the arrays, the maps borrow them */
        struct tk_map keys_by_id, keys_by_digest, series_map, entries_by_id, alerts_by_id;
        struct tk_key **keys; /* by created_ms, then id, ascending */
        size_t keys_nr, keys_size;
        struct tk_memory_series **series;
        size_t series_nr, series_size;
        struct tk_entry **entries; /* by posted_at_ms, then id, ascending */
        size_t entries_nr, entries_size;
        struct tk_memory_limits **limits;
        size_t limits_nr, limits_size;
        struct tk_profile **profiles;
        size_t profiles_nr, profiles_size;
        struct tk_topup **topups; /* by at_ms, then id, ascending */
        size_t topups_nr, topups_size;
        struct tk_lease *leases; /* in the order of tk_memory_lease_order() */
        size_t leases_nr, leases_size;
        struct tk_doubt *doubts; /* in the same order */
        size_t doubts_nr, doubts_size;
        struct tk_user **users; /* by created_ms, then id, ascending; so are workspaces */
        size_t users_nr, users_size;
        struct tk_workspace **workspaces;
        size_t workspaces_nr, workspaces_size;
        struct tk_alert **alerts; /* by at_ms, then id, ascending */
        size_t alerts_nr, alerts_size;
        struct tk_memory_meta **metas;
        size_t metas_nr, metas_size;
        struct tk_audit **audits; /* by at_ms, then id, ascending; each with its texts */
        size_t audits_nr, audits_size;
        struct tk_id *changes; /* the seq of one is its index plus 1 */
        size_t changes_nr, changes_size;

        /* owned by the writer thread */
        struct tk_memory_batch batch;
};

struct tk_memory_reader {
        struct tk_reader base;
        unsigned depth; /* of calls: the first takes the lock, a callback's calls have it */
};

static inline struct tk_memory_store *tk_memory_of(struct tk_store *store) {
        return (struct tk_memory_store *)store;
}

/* ---- store_memory.c: look-ups in the state ---- */

struct tk_key *tk_memory_key_get(const struct tk_memory_store *store, struct tk_id id);
struct tk_key *tk_memory_key_get_digest(const struct tk_memory_store *store, const uint8_t digest[32]);
struct tk_memory_series *tk_memory_series_get(const struct tk_memory_store *store, struct tk_id subject,
                                              enum tk_meter meter);
struct tk_entry *tk_memory_entry_get(const struct tk_memory_store *store, struct tk_id id);
struct tk_alert *tk_memory_alert_get(const struct tk_memory_store *store, struct tk_id id);
/* Where the limits of a subject are; limits_nr when they are not there. */
size_t tk_memory_limits_at(const struct tk_memory_store *store, struct tk_id subject);
/* NULL: the key has none. */
const struct tk_profile *tk_memory_profile_get(const struct tk_memory_store *store, struct tk_id key);
/* NULL: there is none with this id. */
const struct tk_topup *tk_memory_topup_get(const struct tk_memory_store *store, const char *id);
uint64_t tk_memory_text_hash(const char *text);
uint64_t tk_memory_id_hash(struct tk_id id);
uint64_t tk_memory_digest_hash(const uint8_t digest[32]);
uint64_t tk_memory_series_hash(struct tk_id subject, enum tk_meter meter);
/* < 0: (a_ms, a) comes before (b_ms, b). */
int tk_memory_order(int64_t a_ms, struct tk_id a, int64_t b_ms, struct tk_id b);
/* By subject, meter, window and number. */
int tk_memory_lease_order(const struct tk_lease *a, const struct tk_lease *b);
/* The first doubt that is not before this one; *is_there: it is this one. */
size_t tk_memory_doubt_place(const struct tk_memory_store *store, const struct tk_doubt *doubt,
                             bool *is_there);
bool tk_memory_doubt_same(const struct tk_doubt *a, const struct tk_doubt *b); /* but for the amount */
/* Grows *array of items of this size for `more`; false: out of memory. */
TK_CHECKED bool tk_memory_grow(void *array, size_t *size, size_t nr, size_t more, size_t item);

/* ---- store_memory_batch.c ---- */

void tk_memory_batch_cut(struct tk_memory_batch *batch, size_t nr); /* drops operations nr and later */
TK_CHECKED bool tk_memory_room(struct tk_memory_batch *batch, size_t more);
/* Room was made. Takes what op owns. */
void tk_memory_push(struct tk_memory_batch *batch, struct tk_memory_op op, uint64_t hash);
enum tk_err tk_memory_no_memory(void); /* logged */
/* The key as this batch sees it, or NULL. */
const struct tk_key *tk_memory_key_seen(const struct tk_memory_store *store, struct tk_id id);
/* Of one that is there. */
TK_CHECKED enum tk_err tk_memory_key_revoke(struct tk_memory_store *store, struct tk_id id, int64_t now_ms);
tk_store_key_write_f tk_memory_key_insert, tk_memory_key_update;
tk_store_key_touch_f tk_memory_key_touch;
tk_store_key_get_f tk_memory_batch_key_get;
tk_store_profile_put_f tk_memory_profile_put;
tk_store_profile_get_f tk_memory_batch_profile_get;
tk_store_usage_add_f tk_memory_usage_add;
tk_store_entry_add_f tk_memory_entry_add;
tk_store_limits_put_f tk_memory_limits_put;
tk_store_limits_get_f tk_memory_batch_limits_get;
tk_store_topup_get_f tk_memory_batch_topup_get;
tk_store_topup_add_f tk_memory_topup_add;
tk_store_lease_f tk_memory_lease_put, tk_memory_lease_drop;
tk_store_doubt_f tk_memory_doubt_put, tk_memory_doubt_drop;
tk_store_alert_add_f tk_memory_alert_add;
tk_store_alert_sent_f tk_memory_alert_sent;
tk_store_change_add_f tk_memory_change_add;
tk_store_meta_put_f tk_memory_meta_put;

/* ---- store_memory_people.c ---- */

tk_store_user_write_f tk_memory_user_insert, tk_memory_user_update;
tk_store_user_get_f tk_memory_batch_user_get;
tk_store_remove_f tk_memory_user_remove, tk_memory_workspace_remove;
tk_store_workspace_write_f tk_memory_workspace_insert, tk_memory_workspace_update;
tk_store_workspace_get_f tk_memory_batch_workspace_get;
/* Room was made. Take the row. */
void tk_memory_apply_user(struct tk_memory_store *store, struct tk_user *user);
void tk_memory_apply_workspace(struct tk_memory_store *store, struct tk_workspace *workspace);
tk_reader_user_by_id_f tk_memory_reader_user_by_id;
tk_reader_user_by_email_f tk_memory_reader_user_by_email;
tk_reader_user_list_f tk_memory_reader_user_list;
tk_reader_user_count_f tk_memory_reader_user_count;
tk_reader_workspace_by_id_f tk_memory_reader_workspace_by_id;
tk_reader_workspace_by_slug_f tk_memory_reader_workspace_by_slug;
tk_reader_workspace_list_f tk_memory_reader_workspace_list;
tk_reader_workspace_count_f tk_memory_reader_workspace_count;

/* ---- store_memory_apply.c ---- */

/* Applies the batch and empties it; NO_MEMORY: the state is as before, and so is the batch. */
TK_CHECKED enum tk_err tk_memory_apply(struct tk_memory_store *store);

/* ---- store_memory_audit.c ---- */

tk_store_audit_add_f tk_memory_audit_add;
tk_store_audit_trim_f tk_memory_audit_trim;
/* Room was made. Takes the row. */
void tk_memory_apply_audit(struct tk_memory_store *store, struct tk_audit *audit);
void tk_memory_apply_audit_trim(struct tk_memory_store *store, int64_t before_ms, unsigned limit);
tk_reader_audit_list_f tk_memory_reader_audit_list;
tk_reader_audit_count_f tk_memory_reader_audit_count;
tk_reader_audit_oldest_f tk_memory_reader_audit_oldest;

/* ---- store_memory_read.c ---- */

/* What a key is in. */
struct tk_id tk_memory_group_of(const struct tk_key *key, enum tk_group group);
/* For the time of a call and its callbacks, which may call again. */
const struct tk_memory_store *tk_memory_lock(struct tk_reader *reader);
enum tk_err tk_memory_unlock(struct tk_reader *reader, enum tk_err err); /* returns err */
tk_reader_open_f tk_memory_reader_open;
tk_reader_close_f tk_memory_reader_close;
tk_reader_key_by_digest_f tk_memory_reader_key_by_digest;
tk_reader_key_by_id_f tk_memory_reader_key_by_id;
tk_reader_key_list_f tk_memory_reader_key_list;
tk_reader_profile_get_f tk_memory_reader_profile;
tk_reader_key_page_f tk_memory_reader_key_page;
tk_reader_usage_sum_f tk_memory_reader_usage_sum;
tk_reader_usage_sum_group_f tk_memory_reader_usage_sum_group;
tk_reader_limits_f tk_memory_reader_limits;
tk_reader_entry_get_f tk_memory_reader_entry_get;
tk_reader_topup_list_f tk_memory_reader_topup_list;
tk_reader_entry_list_f tk_memory_reader_entry_list;
tk_reader_lease_list_f tk_memory_reader_lease_list;
tk_reader_doubt_list_f tk_memory_reader_doubt_list;
tk_reader_alert_list_f tk_memory_reader_alert_list;
tk_reader_alert_due_f tk_memory_reader_alert_due;
tk_reader_doubt_list_f tk_memory_reader_doubt_list_from;
tk_reader_changes_f tk_memory_reader_changes;
tk_reader_change_last_f tk_memory_reader_change_last;
tk_reader_meta_get_f tk_memory_reader_meta_get;

#endif
