/* SPDX-License-Identifier: Apache-2.0
 *
 * What readers read: a connection each, which sees what was committed, also by other processes. One
 * statement is one snapshot, so whatever must agree is read by one, or while it is open.
 */
#include "store/store_sqlite_int.h"

#include <stdlib.h>
#include <string.h>

#include "core/time.h"

static struct tk_sqlite_conn *conn_of(struct tk_reader *reader) {
        return &((struct tk_sqlite_reader *)reader)->conn;
}

enum tk_err tk_sqlite_reader_open(struct tk_store *store, struct tk_reader **out) {
        const struct tk_sqlite_store *sqlite = (const struct tk_sqlite_store *)store;
        struct tk_sqlite_reader *reader = calloc(1, sizeof *reader);
        if (!reader)
                return TK_E_NO_MEMORY;
        enum tk_err err = tk_sqlite_conn_open_reader(&reader->conn, sqlite->path);
        if (err) {
                free(reader);
                return err;
        }
        *out = &reader->base;
        return TK_OK;
}

void tk_sqlite_reader_close(struct tk_reader *base) {
        struct tk_sqlite_reader *reader = (struct tk_sqlite_reader *)base;
        tk_sqlite_conn_close(&reader->conn);
        free(reader);
}

enum tk_err tk_sqlite_reader_key_by_digest(struct tk_reader *reader, const uint8_t digest[32],
                                           struct tk_key *out) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), TK_SQL_KEY_BY_DIGEST);
        tk_sqlite_blob(&use, digest, 32);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                err = tk_sqlite_key_read(&use, out);
        tk_sqlite_end(&use);
        return err;
}

enum tk_err tk_sqlite_reader_key_by_id(struct tk_reader *reader, struct tk_id id, struct tk_key *out) {
        return tk_sqlite_key_get(conn_of(reader), id, out);
}

/* When the key was made after which a page begins. It never changes, so it may be read apart. */
static enum tk_err key_place(struct tk_sqlite_conn *conn, struct tk_id org, struct tk_id id,
                             int64_t *created_ms) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_KEY_PLACE);
        tk_sqlite_id(&use, &id);
        tk_sqlite_id(&use, &org);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                *created_ms = tk_sqlite_col_int(&use, 0, INT64_MAX);
        tk_sqlite_end(&use);
        return err;
}

enum tk_err tk_sqlite_reader_key_list(struct tk_reader *reader, struct tk_id org, int64_t now_ms,
                                      struct tk_id after, unsigned limit, tk_key_each_f *each, void *ctx) {
        struct tk_sqlite_conn *conn = conn_of(reader);
        int64_t before_ms = INT64_MAX; /* no key is this young: a page without `after` begins at the end */
        enum tk_err err = tk_id_none(after) ? TK_OK : key_place(conn, org, after, &before_ms);
        if (err)
                return err;

        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_KEY_LIST);
        struct tk_key key;
        tk_sqlite_id(&use, &org);
        tk_sqlite_int(&use, now_ms);
        tk_sqlite_int(&use, before_ms);
        tk_sqlite_id(&use, &after);
        tk_sqlite_int(&use, limit);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = tk_sqlite_key_read(&use, &key);
                if (err || !each(&key, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

static enum tk_err key_count(struct tk_sqlite_conn *conn, const struct tk_key_page *page, uint64_t *total) {
        bool all = tk_id_none(page->workspace);
        struct tk_sqlite_use use =
                tk_sqlite_begin(conn, all ? TK_SQL_KEY_COUNT_ORG : TK_SQL_KEY_COUNT_WORKSPACE);
        tk_sqlite_id(&use, &page->org);
        tk_sqlite_int(&use, page->kinds);
        if (!all)
                tk_sqlite_id(&use, &page->workspace);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                *total = (uint64_t)tk_sqlite_col_int(&use, 0, INT64_MAX);
        tk_sqlite_end(&use);
        return err;
}

/* Counted before the page is read, each in a snapshot of its own: a key that comes in between is on the page
 * only. */
enum tk_err tk_sqlite_reader_key_page(struct tk_reader *reader, const struct tk_key_page *page,
                                      tk_key_each_f *each, void *ctx, uint64_t *total) {
        struct tk_sqlite_conn *conn = conn_of(reader);
        bool all = tk_id_none(page->workspace);
        struct tk_key key;
        enum tk_err err = key_count(conn, page, total);
        if (err)
                return err;
        struct tk_sqlite_use use =
                tk_sqlite_begin(conn, all ? TK_SQL_KEY_PAGE_ORG : TK_SQL_KEY_PAGE_WORKSPACE);
        tk_sqlite_id(&use, &page->org);
        tk_sqlite_int(&use, page->kinds);
        tk_sqlite_int(&use, page->limit);
        tk_sqlite_int(&use, (int64_t)page->skip);
        if (!all)
                tk_sqlite_id(&use, &page->workspace);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = tk_sqlite_key_read(&use, &key);
                if (err || !each(&key, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_reader_profile(struct tk_reader *reader, struct tk_id key, struct tk_profile *out) {
        return tk_sqlite_profile_get(conn_of(reader), key, out);
}

/* Adds up one meter of the rows that a usage statement gives. */
static enum tk_err sum_rows(struct tk_sqlite_use *use, enum tk_meter meter, int64_t *sum) {
        enum tk_err err;
        while ((err = tk_sqlite_next(use)) == TK_OK) {
                use->read = (int)meter; /* the columns are the meters, in their order */
                int64_t amount = tk_sqlite_col_int(use, 0, INT64_MAX);
                if (use->bad) {
                        err = tk_sqlite_fault(use->conn, SQLITE_CORRUPT, "reading usage");
                        break;
                }
                if (__builtin_add_overflow(*sum, amount, sum)) {
                        err = TK_E_OVERFLOW;
                        break;
                }
        }
        tk_sqlite_end(use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

/*
 *    from        first day begins      last day ends     to
 *     |-- hours --|------ days ---------|---- hours ------|
 *
 * A window without a whole day in it is hours only.
 */
static enum tk_err sum_span(struct tk_sqlite_conn *conn, enum tk_sqlite_stmt total, enum tk_sqlite_stmt parts,
                            struct tk_id id, enum tk_meter meter, int64_t from_hour, int64_t to_hour,
                            int64_t *sum) {
        if (from_hour == INT64_MIN && to_hour == INT64_MAX) {
                struct tk_sqlite_use use = tk_sqlite_begin(conn, total);
                tk_sqlite_id(&use, &id);
                return sum_rows(&use, meter, sum);
        }

        int64_t head_end = to_hour, tail_start = to_hour, first_day = 0, days_end = 0;
        const int64_t day_a = from_hour == INT64_MIN ? INT64_MIN : -tk_floor_div(-from_hour, 24);
        const int64_t day_b = to_hour == INT64_MAX ? INT64_MAX : tk_floor_div(to_hour, 24);
        if (day_a < day_b) {
                first_day = day_a;
                days_end = day_b;
                head_end = day_a == INT64_MIN ? INT64_MIN : day_a * 24;
                tail_start = day_b == INT64_MAX ? INT64_MAX : day_b * 24;
        }
        struct tk_sqlite_use use = tk_sqlite_begin(conn, parts);
        tk_sqlite_id(&use, &id);
        tk_sqlite_int(&use, from_hour);
        tk_sqlite_int(&use, head_end);
        tk_sqlite_int(&use, first_day);
        tk_sqlite_int(&use, days_end);
        tk_sqlite_int(&use, tail_start);
        tk_sqlite_int(&use, to_hour);
        return sum_rows(&use, meter, sum);
}

enum tk_err tk_sqlite_reader_usage_sum(struct tk_reader *reader, struct tk_id subject, enum tk_meter meter,
                                       int64_t from_hour, int64_t to_hour, int64_t *sum) {
        return sum_span(conn_of(reader), TK_SQL_USAGE_TOTAL, TK_SQL_USAGE_PARTS, subject, meter, from_hour,
                        to_hour, sum);
}

enum tk_err tk_sqlite_reader_usage_sum_group(struct tk_reader *reader, enum tk_group group, struct tk_id id,
                                             enum tk_meter meter, int64_t from_hour, int64_t to_hour,
                                             int64_t *sum) {
        static const enum tk_sqlite_stmt totals[TK_GROUP_NR] = {
                [TK_GROUP_ORG] = TK_SQL_USAGE_TOTAL_ORG,
                [TK_GROUP_WORKSPACE] = TK_SQL_USAGE_TOTAL_WORKSPACE,
                [TK_GROUP_USER] = TK_SQL_USAGE_TOTAL_USER,
        };
        static const enum tk_sqlite_stmt parts[TK_GROUP_NR] = {
                [TK_GROUP_ORG] = TK_SQL_USAGE_PARTS_ORG,
                [TK_GROUP_WORKSPACE] = TK_SQL_USAGE_PARTS_WORKSPACE,
                [TK_GROUP_USER] = TK_SQL_USAGE_PARTS_USER,
        };
        return sum_span(conn_of(reader), totals[group], parts[group], id, meter, from_hour, to_hour, sum);
}

enum tk_err tk_sqlite_reader_limits(struct tk_reader *reader, struct tk_id subject,
                                    struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        return tk_sqlite_limits_read(conn_of(reader), subject, limits, limits_nr);
}

enum tk_err tk_sqlite_reader_entry_get(struct tk_reader *reader, struct tk_id id, struct tk_entry *out) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), TK_SQL_ENTRY_GET);
        tk_sqlite_id(&use, &id);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                err = tk_sqlite_entry_read(&use, out);
        tk_sqlite_end(&use);
        return err;
}

enum tk_err tk_sqlite_reader_topup_list(struct tk_reader *reader, struct tk_id subject, tk_topup_each_f *each,
                                        void *ctx) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), TK_SQL_TOPUP_LIST);
        struct tk_topup topup;
        enum tk_err err;
        tk_sqlite_id(&use, &subject);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = tk_sqlite_topup_read(&use, &topup);
                if (err || !each(&topup, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_reader_entry_list(struct tk_reader *reader, struct tk_id org, struct tk_id subject,
                                        unsigned limit, tk_entry_each_f *each, void *ctx) {
        const bool all = tk_id_none(subject);
        struct tk_sqlite_use use =
                tk_sqlite_begin(conn_of(reader), all ? TK_SQL_ENTRY_LIST_ORG : TK_SQL_ENTRY_LIST_SUBJECT);
        struct tk_entry entry;
        enum tk_err err;
        tk_sqlite_id(&use, &org);
        if (!all)
                tk_sqlite_id(&use, &subject);
        tk_sqlite_int(&use, limit);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = tk_sqlite_entry_read(&use, &entry);
                if (err || !each(&entry, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_reader_lease_list(struct tk_reader *reader, tk_lease_each_f *each, void *ctx) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), TK_SQL_LEASE_LIST);
        struct tk_lease lease;
        enum tk_err err;
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = tk_sqlite_lease_read(&use, &lease);
                if (err || !each(&lease, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

static enum tk_err list_doubts(struct tk_reader *reader, enum tk_sqlite_stmt sql, struct tk_id subject,
                               tk_doubt_each_f *each, void *ctx) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), sql);
        struct tk_doubt doubt;
        enum tk_err err;
        if (sql != TK_SQL_DOUBT_LIST)
                tk_sqlite_id(&use, &subject);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                err = tk_sqlite_doubt_read(&use, &doubt);
                if (err || !each(&doubt, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_reader_doubt_list(struct tk_reader *reader, struct tk_id subject, tk_doubt_each_f *each,
                                        void *ctx) {
        return list_doubts(reader, tk_id_none(subject) ? TK_SQL_DOUBT_LIST : TK_SQL_DOUBT_LIST_SUBJECT,
                           subject, each, ctx);
}

enum tk_err tk_sqlite_reader_doubt_list_from(struct tk_reader *reader, struct tk_id subject,
                                             tk_doubt_each_f *each, void *ctx) {
        return list_doubts(reader, TK_SQL_DOUBT_LIST_FROM, subject, each, ctx);
}

static enum tk_err walk_alerts(struct tk_sqlite_use *use, tk_alert_each_f *each, void *ctx) {
        struct tk_alert alert;
        enum tk_err err;
        while ((err = tk_sqlite_next(use)) == TK_OK) {
                err = tk_sqlite_alert_read(use, &alert);
                if (err || !each(&alert, ctx))
                        break;
        }
        tk_sqlite_end(use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_reader_alert_list(struct tk_reader *reader, struct tk_id org, unsigned limit,
                                        tk_alert_each_f *each, void *ctx) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), TK_SQL_ALERT_LIST);
        tk_sqlite_id(&use, &org);
        tk_sqlite_int(&use, limit);
        return walk_alerts(&use, each, ctx);
}

enum tk_err tk_sqlite_reader_alert_due(struct tk_reader *reader, enum tk_channel channel, int64_t now_ms,
                                       unsigned limit, tk_alert_each_f *each, void *ctx) {
        struct tk_sqlite_use use =
                tk_sqlite_begin(conn_of(reader), channel == TK_CHANNEL_WEBHOOK ? TK_SQL_ALERT_DUE_WEBHOOK
                                                                               : TK_SQL_ALERT_DUE_EMAIL);
        tk_sqlite_int(&use, now_ms);
        tk_sqlite_int(&use, limit);
        return walk_alerts(&use, each, ctx);
}

enum tk_err tk_sqlite_reader_changes(struct tk_reader *reader, int64_t after, tk_change_each_f *each,
                                     void *ctx) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), TK_SQL_CHANGES);
        enum tk_err err;
        tk_sqlite_int(&use, after);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                struct tk_id subject;
                int64_t seq = tk_sqlite_col_int(&use, 1, INT64_MAX);
                tk_sqlite_col_blob(&use, subject.b, sizeof subject.b);
                if (use.bad)
                        err = tk_sqlite_fault(use.conn, SQLITE_CORRUPT, "reading changes");
                if (err || !each(seq, subject, ctx))
                        break;
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_reader_change_last(struct tk_reader *reader, int64_t *seq) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn_of(reader), TK_SQL_CHANGE_LAST);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                *seq = tk_sqlite_col_int(&use, 0, INT64_MAX);
        tk_sqlite_end(&use);
        return err;
}

enum tk_err tk_sqlite_reader_meta_get(struct tk_reader *reader, const char *name, char *out, size_t size) {
        size_t len = 0;
        enum tk_err err = tk_sqlite_meta_get(conn_of(reader), name, out, size - 1, &len);
        out[err ? 0 : len] = '\0';
        return err;
}
