/* SPDX-License-Identifier: Apache-2.0
 *
 * store_int: what an engine gives to the front (store.c). Nobody outside src/store includes this.
 *
 * An engine allocates one struct that begins with a struct tk_store, and one per reader that begins with
 * a struct tk_reader. The front fills in the base after open and is the only caller of the functions below,
 * so an engine may rely on this:
 *
 *   (1) rows are valid when they come down: ids not none, enums in range, amounts >= 0, names well formed
 *   (2) begin .. commit|rollback alternate; writing functions run only between them, on one thread at a time
 *   (3) mark .. mark_keep|mark_undo alternate inside a batch
 *   (4) close comes after the last reader_close
 *
 * and must hold this:
 *
 *   (5) an operation that returns a fault has changed nothing, or has set store->broken: then the batch is
 *       lost, the front refuses everything up to its end, and rolls it back
 *   (6) a commit that returns a fault has rolled back
 *   (7) a callback may call other functions of its reader, but not the one that calls it, nor the writer
 *   (8) the fault is logged by who found it
 */
#ifndef TK_STORE_STORE_INT_H
#define TK_STORE_STORE_INT_H

#include <stdatomic.h>

#include "store/audit.h"
#include "store/people.h"

#define TK_META_NAME_MAX  64
#define TK_META_VALUE_MAX 4096

enum tk_batch { TK_BATCH_NONE, TK_BATCH_OPEN, TK_BATCH_MARKED };

struct tk_store_ops;

struct tk_store {
        /* immutable after open */
        const struct tk_store_ops *ops;
        struct tk_id org;
        struct tk_id workspace;
        /* owned by the writer thread */
        enum tk_batch batch;
        enum tk_err broken; /* see (5) */
        /* any thread */
        atomic_uint readers_nr;
};

struct tk_reader {
        /* immutable after open */
        struct tk_store *store;
};

/* Why an open failed, for the operator. */
struct tk_why {
        char *at;
        size_t size;
};

/* What a new store is born with; an engine that finds an older organisation keeps that one. */
struct tk_seed {
        struct tk_id org;
        struct tk_id workspace;
        int64_t now_ms;
};

struct tk_workspace tk_seed_workspace(const struct tk_seed *seed);

typedef enum tk_err tk_store_open_f(const char *where, const struct tk_seed *seed, struct tk_store **out,
                                    const struct tk_why *why);
typedef void tk_store_close_f(struct tk_store *store);
typedef enum tk_err tk_store_step_f(struct tk_store *store);
typedef void tk_store_rollback_f(struct tk_store *store);
typedef enum tk_err tk_store_key_write_f(struct tk_store *store, const struct tk_key *key);
typedef enum tk_err tk_store_key_touch_f(struct tk_store *store, struct tk_id id, int64_t used_ms);
typedef enum tk_err tk_store_key_get_f(struct tk_store *store, struct tk_id id, struct tk_key *out);
typedef enum tk_err tk_store_profile_put_f(struct tk_store *store, const struct tk_profile *profile);
typedef enum tk_err tk_store_profile_get_f(struct tk_store *store, struct tk_id key, struct tk_profile *out);
typedef enum tk_err tk_store_usage_add_f(struct tk_store *store, struct tk_id subject, enum tk_meter meter,
                                         int64_t hour, int64_t amount);
typedef enum tk_err tk_store_entry_add_f(struct tk_store *store, const struct tk_entry *entry);
typedef enum tk_err tk_store_limits_put_f(struct tk_store *store, struct tk_id subject,
                                          const struct tk_limit *limits, unsigned limits_nr);
typedef enum tk_err tk_store_limits_get_f(struct tk_store *store, struct tk_id subject,
                                          struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr);
typedef enum tk_err tk_store_topup_get_f(struct tk_store *store, const char *id, struct tk_topup *out);
typedef enum tk_err tk_store_topup_add_f(struct tk_store *store, const struct tk_topup *topup,
                                         const struct tk_limit *limits, unsigned limits_nr);
typedef enum tk_err tk_store_lease_f(struct tk_store *store, const struct tk_lease *lease);
typedef enum tk_err tk_store_doubt_f(struct tk_store *store, const struct tk_doubt *doubt);
typedef enum tk_err tk_store_alert_add_f(struct tk_store *store, const struct tk_alert *alert);
typedef enum tk_err tk_store_alert_sent_f(struct tk_store *store, struct tk_id id, enum tk_channel channel,
                                          const struct tk_delivery *delivery);
typedef enum tk_err tk_store_change_add_f(struct tk_store *store, struct tk_id subject);
typedef enum tk_err tk_store_meta_put_f(struct tk_store *store, const char *name, struct tk_str value);

typedef enum tk_err tk_store_user_write_f(struct tk_store *store, const struct tk_user *user);
typedef enum tk_err tk_store_user_get_f(struct tk_store *store, struct tk_id id, struct tk_user *out);
typedef enum tk_err tk_store_workspace_write_f(struct tk_store *store, const struct tk_workspace *workspace);
typedef enum tk_err tk_store_workspace_get_f(struct tk_store *store, struct tk_id id,
                                             struct tk_workspace *out);
typedef enum tk_err tk_store_remove_f(struct tk_store *store, struct tk_id id, int64_t now_ms);
typedef enum tk_err tk_store_audit_add_f(struct tk_store *store, const struct tk_audit *audit);
typedef enum tk_err tk_store_audit_trim_f(struct tk_store *store, int64_t before_ms, unsigned limit);

typedef enum tk_err tk_reader_open_f(struct tk_store *store, struct tk_reader **out);
typedef void tk_reader_close_f(struct tk_reader *reader);
typedef enum tk_err tk_reader_key_by_digest_f(struct tk_reader *reader, const uint8_t digest[32],
                                              struct tk_key *out);
typedef enum tk_err tk_reader_key_by_id_f(struct tk_reader *reader, struct tk_id id, struct tk_key *out);
typedef enum tk_err tk_reader_key_list_f(struct tk_reader *reader, struct tk_id org, int64_t now_ms,
                                         struct tk_id after, unsigned limit, tk_key_each_f *each, void *ctx);
typedef enum tk_err tk_reader_profile_get_f(struct tk_reader *reader, struct tk_id key,
                                            struct tk_profile *out);
typedef enum tk_err tk_reader_key_page_f(struct tk_reader *reader, const struct tk_key_page *page,
                                         tk_key_each_f *each, void *ctx, uint64_t *total);
typedef enum tk_err tk_reader_usage_sum_f(struct tk_reader *reader, struct tk_id subject, enum tk_meter meter,
                                          int64_t from_hour, int64_t to_hour, int64_t *sum);
typedef enum tk_err tk_reader_usage_sum_group_f(struct tk_reader *reader, enum tk_group group,
                                                struct tk_id id, enum tk_meter meter, int64_t from_hour,
                                                int64_t to_hour, int64_t *sum);
typedef enum tk_err tk_reader_limits_f(struct tk_reader *reader, struct tk_id subject,
                                       struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr);
typedef enum tk_err tk_reader_entry_get_f(struct tk_reader *reader, struct tk_id id, struct tk_entry *out);
typedef enum tk_err tk_reader_topup_list_f(struct tk_reader *reader, struct tk_id subject,
                                           tk_topup_each_f *each, void *ctx);
typedef enum tk_err tk_reader_entry_list_f(struct tk_reader *reader, struct tk_id org, struct tk_id subject,
                                           unsigned limit, tk_entry_each_f *each, void *ctx);
typedef enum tk_err tk_reader_lease_list_f(struct tk_reader *reader, tk_lease_each_f *each, void *ctx);
typedef enum tk_err tk_reader_doubt_list_f(struct tk_reader *reader, struct tk_id subject,
                                           tk_doubt_each_f *each, void *ctx);
typedef enum tk_err tk_reader_alert_list_f(struct tk_reader *reader, struct tk_id org, unsigned limit,
                                           tk_alert_each_f *each, void *ctx);
typedef enum tk_err tk_reader_alert_due_f(struct tk_reader *reader, enum tk_channel channel, int64_t now_ms,
                                          unsigned limit, tk_alert_each_f *each, void *ctx);
typedef enum tk_err tk_reader_changes_f(struct tk_reader *reader, int64_t after, tk_change_each_f *each,
                                        void *ctx);
typedef enum tk_err tk_reader_change_last_f(struct tk_reader *reader, int64_t *seq);
typedef enum tk_err tk_reader_meta_get_f(struct tk_reader *reader, const char *name, char *out, size_t size);

typedef enum tk_err tk_reader_user_by_id_f(struct tk_reader *reader, struct tk_id id, struct tk_user *out);
typedef enum tk_err tk_reader_user_by_email_f(struct tk_reader *reader, struct tk_id org, const char *email,
                                              struct tk_user *out);
typedef enum tk_err tk_reader_user_list_f(struct tk_reader *reader, struct tk_id org, unsigned roles,
                                          unsigned skip, unsigned limit, tk_user_each_f *each, void *ctx);
typedef enum tk_err tk_reader_user_count_f(struct tk_reader *reader, struct tk_id org, unsigned roles,
                                           uint64_t *nr);
typedef enum tk_err tk_reader_workspace_by_id_f(struct tk_reader *reader, struct tk_id id,
                                                struct tk_workspace *out);
typedef enum tk_err tk_reader_workspace_by_slug_f(struct tk_reader *reader, struct tk_id org,
                                                  const char *slug, struct tk_workspace *out);
typedef enum tk_err tk_reader_workspace_list_f(struct tk_reader *reader, struct tk_id org, unsigned skip,
                                               unsigned limit, tk_workspace_each_f *each, void *ctx);
typedef enum tk_err tk_reader_workspace_count_f(struct tk_reader *reader, struct tk_id org, uint64_t *nr);

/* The texts of these filters are never NULL, from_ms <= to_ms, limit > 0, skip <= INT64_MAX. */
typedef enum tk_err tk_reader_audit_list_f(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                           uint64_t skip, unsigned limit, tk_audit_each_f *each, void *ctx);
typedef enum tk_err tk_reader_audit_count_f(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                            uint64_t *nr);
typedef enum tk_err tk_reader_audit_oldest_f(struct tk_reader *reader, int64_t *at_ms);

/* Every member is there in every engine. */
struct tk_store_ops {
        const char *name;        /* what stands before the ':' of the url */
        bool wants_where;        /* whether something must stand after it */
        tk_store_open_f *open;   /* on failure *out is untouched and why is written */
        tk_store_close_f *close; /* rolls back an open batch */

        /* the writer's thread */
        tk_store_step_f *begin;
        tk_store_step_f *commit;
        tk_store_rollback_f *rollback;
        tk_store_step_f *mark;
        tk_store_step_f *mark_keep;
        tk_store_step_f *mark_undo;
        tk_store_key_write_f *key_insert;
        tk_store_key_write_f *key_update;
        tk_store_key_touch_f *key_touch;
        tk_store_key_get_f *key_get;
        tk_store_profile_put_f *profile_put;
        tk_store_profile_get_f *profile_get;
        tk_store_usage_add_f *usage_add;
        tk_store_entry_add_f *entry_add;
        tk_store_limits_put_f *limits_put; /* all of them, balances too; not of a key */
        tk_store_limits_get_f *limits_get; /* as this batch sees them; CONFLICT: it is a key */
        tk_store_topup_get_f *topup_get;   /* NOT_FOUND */
        tk_store_topup_add_f *topup_add;   /* is not there; limits are what its subject has from now on */
        tk_store_lease_f *lease_put;
        tk_store_lease_f *lease_drop;
        tk_store_doubt_f *doubt_put;
        tk_store_doubt_f *doubt_drop;
        tk_store_alert_add_f *alert_add; /* also of one that is there */
        tk_store_alert_sent_f *alert_sent;
        tk_store_change_add_f *change_add;
        tk_store_meta_put_f *meta_put;
        tk_store_user_write_f *user_insert;
        tk_store_user_write_f *user_update;
        tk_store_user_get_f *user_get;
        tk_store_remove_f *user_remove;
        tk_store_workspace_write_f *workspace_insert;
        tk_store_workspace_write_f *workspace_update;
        tk_store_workspace_get_f *workspace_get;
        tk_store_remove_f *workspace_remove;
        tk_store_audit_add_f *audit_add;
        tk_store_audit_trim_f *audit_trim;

        /* the reader's thread */
        tk_reader_open_f *reader_open;
        tk_reader_close_f *reader_close;
        tk_reader_key_by_digest_f *key_by_digest;
        tk_reader_key_by_id_f *key_by_id;
        tk_reader_key_list_f *key_list;
        tk_reader_profile_get_f *profile;
        tk_reader_key_page_f *key_page;
        tk_reader_usage_sum_f *usage_sum;
        tk_reader_usage_sum_group_f *usage_sum_group;
        tk_reader_limits_f *limits;
        tk_reader_entry_get_f *entry_get;
        tk_reader_topup_list_f *topup_list;
        tk_reader_entry_list_f *entry_list;
        tk_reader_lease_list_f *lease_list;
        tk_reader_doubt_list_f *doubt_list, *doubt_list_from;
        tk_reader_alert_list_f *alert_list;
        tk_reader_alert_due_f *alert_due;
        tk_reader_changes_f *changes;
        tk_reader_change_last_f *change_last;
        tk_reader_meta_get_f *meta_get;
        tk_reader_user_by_id_f *user_by_id;
        tk_reader_user_by_email_f *user_by_email;
        tk_reader_user_list_f *user_list;
        tk_reader_user_count_f *user_count;
        tk_reader_workspace_by_id_f *workspace_by_id;
        tk_reader_workspace_by_slug_f *workspace_by_slug;
        tk_reader_workspace_list_f *workspace_list;
        tk_reader_workspace_count_f *workspace_count;
        tk_reader_audit_list_f *audit_list;
        tk_reader_audit_count_f *audit_count;
        tk_reader_audit_oldest_f *audit_oldest;
};

#define TK_STORE_AREA "store" /* of log lines */

void tk_why_set(const struct tk_why *why, const char *fmt, ...) TK_PRINTF(2, 3);

#endif
