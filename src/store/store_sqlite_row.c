/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows to structs. The order of columns is that of the statements' column lists.
 *
 * Here it is only made sure that a value fits its type; whether the whole makes sense is judged by the front.
 * The limits of a key are read while the key's own statement is still open, so both are of one snapshot.
 */
#include "store/store_sqlite_int.h"

#include <string.h>

#include "rt/log.h"

#define TIME_MAX INT64_MAX

_Static_assert(TK_METER_NR == 5, "the columns of entry are one for each meter");
_Static_assert(TK_SCOPE_WORDS * 8 == 32, "scopes are stored in 32 bytes");

static enum tk_err damaged(const char *what, struct tk_id id) {
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, text);
        tk_log(TK_ERROR, TK_STORE_AREA, "the row of %s %s is damaged", what, text);
        return TK_E_CORRUPT;
}

static void read_scopes(struct tk_sqlite_use *use, struct tk_scopes *out) {
        uint8_t bytes[TK_SCOPE_WORDS * 8]; /* least significant first */
        tk_sqlite_col_blob(use, bytes, sizeof bytes);
        memset(out, 0, sizeof *out);
        for (size_t i = 0; i < sizeof bytes; i++)
                out->word[i / 8] |= (uint64_t)bytes[i] << (8 * (i % 8));
}

static void read_window(struct tk_sqlite_use *use, struct tk_window_spec *out) {
        out->kind = (enum tk_window_kind)tk_sqlite_col_int(use, 0, TK_WINDOW_NR - 1);
        out->days = (uint16_t)tk_sqlite_col_int(use, 0, UINT16_MAX);
        out->anchor_day = (int32_t)tk_sqlite_col_int(use, INT32_MIN, INT32_MAX);
}

/* An amount that may exceed 63 bits, as decimal text. */
static void read_cap(struct tk_sqlite_use *use, enum tk_meter meter, uint64_t *out) {
        char text[TK_CAP_TEXT_MAX];
        tk_sqlite_col_text(use, text, sizeof text);
        if (!use->bad && tk_cap_parse(meter, tk_str_of(text), out) != TK_OK)
                use->bad = true;
}

static void read_limit(struct tk_sqlite_use *use, struct tk_limit *out) {
        memset(out, 0, sizeof *out);
        out->meter = (enum tk_meter)tk_sqlite_col_int(use, 0, TK_METER_NR - 1);
        read_window(use, &out->window);
        out->flags = (unsigned)tk_sqlite_col_int(use, 0, TK_LIMIT_FLAGS);
        read_cap(use, out->meter, &out->cap);
        read_cap(use, out->meter, &out->alert);
}

static void read_based_limit(struct tk_sqlite_use *use, struct tk_limit *out) {
        read_limit(use, out);
        out->base_number = tk_sqlite_col_int(use, INT64_MIN, INT64_MAX);
        out->base = tk_sqlite_col_int(use, 0, INT64_MAX);
}

enum tk_err tk_sqlite_limits_read(struct tk_sqlite_conn *conn, struct tk_id subject,
                                  struct tk_limit limits[TK_KEY_LIMITS_MAX], unsigned *limits_nr) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_LIMIT_LIST);
        enum tk_err err;
        *limits_nr = 0;
        tk_sqlite_id(&use, &subject);
        while ((err = tk_sqlite_next(&use)) == TK_OK) {
                if (*limits_nr < TK_KEY_LIMITS_MAX)
                        read_based_limit(&use, &limits[(*limits_nr)++]);
                else
                        use.bad = true;
                if (use.bad) {
                        err = damaged("a limit of", subject);
                        break;
                }
        }
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_key_read(struct tk_sqlite_use *use, struct tk_key *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_blob(use, out->id.b, sizeof out->id.b);
        tk_sqlite_col_blob(use, out->org.b, sizeof out->org.b);
        tk_sqlite_col_blob(use, out->workspace.b, sizeof out->workspace.b);
        tk_sqlite_col_blob(use, out->user.b, sizeof out->user.b);
        tk_sqlite_col_blob(use, out->digest, sizeof out->digest);
        tk_sqlite_col_text(use, out->last6, sizeof out->last6);
        tk_sqlite_col_text(use, out->description, sizeof out->description);
        out->kind = (enum tk_key_kind)tk_sqlite_col_int(use, 0, TK_KIND_NR - 1);
        out->privacy = (enum tk_privacy)tk_sqlite_col_int(use, 0, TK_PRIVACY_NR - 1);
        out->period = (enum tk_window_kind)tk_sqlite_col_int(use, 0, TK_WINDOW_NR - 1);
        read_scopes(use, &out->scopes);
        out->created_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        out->expires_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        out->last_used_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        out->revoked_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        return use->bad ? damaged("key", out->id)
                        : tk_sqlite_limits_read(use->conn, out->id, out->limits, &out->limits_nr);
}

enum tk_err tk_sqlite_key_get(struct tk_sqlite_conn *conn, struct tk_id id, struct tk_key *out) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_KEY_BY_ID);
        tk_sqlite_id(&use, &id);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err)
                err = tk_sqlite_key_read(&use, out);
        tk_sqlite_end(&use);
        return err;
}

enum tk_err tk_sqlite_profile_get(struct tk_sqlite_conn *conn, struct tk_id key, struct tk_profile *out) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_PROFILE_GET);
        tk_sqlite_id(&use, &key);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err) {
                memset(out, 0, sizeof *out);
                tk_sqlite_col_blob(&use, out->key.b, sizeof out->key.b);
                out->updated_ms = tk_sqlite_col_int(&use, 0, TIME_MAX);
                out->reset_ms = tk_sqlite_col_int(&use, 0, TIME_MAX);
                out->no_override = tk_sqlite_col_int(&use, 0, 1) != 0;
                tk_sqlite_col_text(&use, out->name, sizeof out->name);
                tk_sqlite_col_text(&use, out->about, sizeof out->about);
                tk_sqlite_col_text(&use, out->config, sizeof out->config);
                tk_sqlite_col_text(&use, out->emails, sizeof out->emails);
                tk_sqlite_col_text(&use, out->metadata, sizeof out->metadata);
                if (use.bad)
                        err = damaged("the profile of key", key);
        }
        tk_sqlite_end(&use);
        return err;
}

enum tk_err tk_sqlite_topup_read(struct tk_sqlite_use *use, struct tk_topup *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_text(use, out->id, sizeof out->id);
        tk_sqlite_col_blob(use, out->subject.b, sizeof out->subject.b);
        out->meter = (enum tk_meter)tk_sqlite_col_int(use, 0, TK_METER_NR - 1);
        out->amount = tk_sqlite_col_int(use, 1, INT64_MAX);
        out->at_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        return use->bad ? damaged("a top-up of", out->subject) : TK_OK;
}

static void read_amounts(struct tk_sqlite_use *use, struct tk_amounts *out) {
        for (int i = 0; i < TK_METER_NR; i++)
                out->of[i] = tk_sqlite_col_int(use, 0, INT64_MAX);
}

enum tk_err tk_sqlite_entry_read(struct tk_sqlite_use *use, struct tk_entry *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_blob(use, out->id.b, sizeof out->id.b);
        tk_sqlite_col_blob(use, out->org.b, sizeof out->org.b);
        tk_sqlite_col_blob(use, out->subject.b, sizeof out->subject.b);
        out->held_at_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        out->posted_at_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        tk_sqlite_col_text(use, out->model, sizeof out->model);
        out->flags = (unsigned)tk_sqlite_col_int(use, 0, UINT16_MAX);
        out->tokens.input = (uint64_t)tk_sqlite_col_int(use, 0, INT64_MAX);
        out->tokens.output = (uint64_t)tk_sqlite_col_int(use, 0, INT64_MAX);
        out->tokens.cached = (uint64_t)tk_sqlite_col_int(use, 0, INT64_MAX);
        out->tokens.cache_write = (uint64_t)tk_sqlite_col_int(use, 0, INT64_MAX);
        read_amounts(use, &out->due);
        read_amounts(use, &out->overrun);
        return use->bad ? damaged("entry", out->id) : TK_OK;
}

enum tk_err tk_sqlite_lease_read(struct tk_sqlite_use *use, struct tk_lease *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_blob(use, out->subject.b, sizeof out->subject.b);
        out->meter = (enum tk_meter)tk_sqlite_col_int(use, 0, TK_METER_NR - 1);
        read_window(use, &out->window);
        out->number = tk_sqlite_col_int(use, INT64_MIN, INT64_MAX);
        out->bound = tk_sqlite_col_int(use, 0, INT64_MAX);
        return use->bad ? damaged("a lease of", out->subject) : TK_OK;
}

enum tk_err tk_sqlite_doubt_read(struct tk_sqlite_use *use, struct tk_doubt *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_blob(use, out->subject.b, sizeof out->subject.b);
        out->meter = (enum tk_meter)tk_sqlite_col_int(use, 0, TK_METER_NR - 1);
        read_window(use, &out->window);
        out->number = tk_sqlite_col_int(use, INT64_MIN, INT64_MAX);
        out->amount = tk_sqlite_col_int(use, 1, INT64_MAX);
        out->since_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        return use->bad ? damaged("a doubt of", out->subject) : TK_OK;
}

static void read_delivery(struct tk_sqlite_use *use, struct tk_delivery *out) {
        out->status = (enum tk_delivery_status)tk_sqlite_col_int(use, 0, TK_DELIVERY_NR - 1);
        out->tries = (unsigned)tk_sqlite_col_int(use, 0, UINT32_MAX);
        out->next_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        out->ended_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        tk_sqlite_col_text(use, out->error, sizeof out->error);
}

enum tk_err tk_sqlite_alert_read(struct tk_sqlite_use *use, struct tk_alert *out) {
        memset(out, 0, sizeof *out);
        tk_sqlite_col_blob(use, out->id.b, sizeof out->id.b);
        tk_sqlite_col_blob(use, out->org.b, sizeof out->org.b);
        tk_sqlite_col_blob(use, out->subject.b, sizeof out->subject.b);
        out->subject_kind = (enum tk_subject_kind)tk_sqlite_col_int(use, 0, TK_SUBJECT_NR - 1);
        out->kind = (enum tk_alert_kind)tk_sqlite_col_int(use, 0, TK_ALERT_NR - 1);
        read_limit(use, &out->limit);
        out->number = tk_sqlite_col_int(use, INT64_MIN, INT64_MAX);
        out->posted = tk_sqlite_col_int(use, 0, INT64_MAX);
        out->held = tk_sqlite_col_int(use, 0, INT64_MAX);
        out->at_ms = tk_sqlite_col_int(use, 0, TIME_MAX);
        for (int c = 0; c < TK_CHANNEL_NR; c++)
                read_delivery(use, &out->sent[c]);
        return use->bad ? damaged("alert", out->id) : TK_OK;
}

enum tk_err tk_sqlite_meta_get(struct tk_sqlite_conn *conn, const char *name, void *out, size_t size,
                               size_t *len) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_META_GET);
        tk_sqlite_text(&use, name);
        enum tk_err err = tk_sqlite_next(&use);
        if (!err) {
                const void *from = sqlite3_column_blob(use.stmt, 0);
                *len = (size_t)sqlite3_column_bytes(use.stmt, 0);
                if (*len > size)
                        err = TK_E_TOO_BIG;
                else if (*len && from)
                        memcpy(out, from, *len);
                else if (*len)
                        err = tk_sqlite_fault(conn, SQLITE_NOMEM, "reading a setting");
        }
        tk_sqlite_end(&use);
        return err;
}
