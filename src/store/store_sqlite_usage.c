/* SPDX-License-Identifier: Apache-2.0
 *
 * The usage of a batch, gathered in memory and written once, just before the commit.
 *
 * A post adds to three meters, each in an hour, its day and the total: nine rows, were they written one by
 * one, and a hot key would write the same ones again and again. Instead each (subject, span, number) is one
 * row with a column for each meter, and a batch keeps what it adds to each row here. So a post costs at most
 * three rows, and a hot key costs three in a whole batch.
 *
 * Invariants:
 *   (1) what is added to a part is never more than what is added to the total of its subject, for each meter
 *   (2) stored total + added <= INT64_MAX: the stored total is read when a batch first touches a subject, and
 *       cannot change below it, because the batch holds the write lock
 *   (3) the journal holds what was added since the mark; taking that back restores the state at the mark
 * By (1) and (2) no sum can overflow when it is written; if one does, the file is damaged, and STRICT says
 * so.
 */
#include "store/store_sqlite_int.h"

#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "rt/log.h"

#define BUCKET_BITS 10
#define BUCKETS     (1 << BUCKET_BITS)

struct usage_row {
        struct tk_id subject;
        enum tk_sqlite_span span;
        int64_t number;
        int64_t stored[TK_METER_NR]; /* of a total only */
        int64_t added[TK_METER_NR];
        uint32_t before; /* the row of the same bucket before this one, plus 1; 0: none */
};

struct usage_step {
        uint32_t rows[3];
        enum tk_meter meter;
        int64_t amount;
};

struct tk_sqlite_usage {
        struct usage_row *rows;
        size_t rows_nr, rows_size;
        struct usage_step *steps; /* the journal */
        size_t steps_nr, steps_size;
        bool marked;
        uint32_t last[BUCKETS];
};

_Static_assert(TK_METER_NR == 5, "the columns of usage are one for each meter");

struct tk_sqlite_usage *tk_sqlite_usage_new(void) {
        return calloc(1, sizeof(struct tk_sqlite_usage));
}

void tk_sqlite_usage_free(struct tk_sqlite_usage **usage) {
        if (!*usage)
                return;
        free((*usage)->rows);
        free((*usage)->steps);
        free(*usage);
        *usage = NULL;
}

void tk_sqlite_usage_forget(struct tk_sqlite_usage *usage) {
        if (usage->rows_nr)
                memset(usage->last, 0, sizeof usage->last);
        usage->rows_nr = usage->steps_nr = 0;
        usage->marked = false;
}

/* ---- marks ---- */

void tk_sqlite_usage_mark(struct tk_sqlite_usage *usage) {
        MUST(!usage->marked);
        usage->marked = true;
        usage->steps_nr = 0;
}

void tk_sqlite_usage_mark_keep(struct tk_sqlite_usage *usage) {
        MUST(usage->marked);
        usage->marked = false;
        usage->steps_nr = 0;
}

void tk_sqlite_usage_mark_undo(struct tk_sqlite_usage *usage) {
        for (size_t i = 0; i < usage->steps_nr; i++) {
                const struct usage_step *step = &usage->steps[i];
                for (int j = 0; j < 3; j++) {
                        int64_t *added = &usage->rows[step->rows[j]].added[step->meter];
                        MUST(*added >= step->amount); /* (3) */
                        *added -= step->amount;
                }
        }
        tk_sqlite_usage_mark_keep(usage);
}

/* ---- adding ---- */

static bool grow(void **at, size_t *size, size_t nr, size_t item) {
        if (nr < *size)
                return true;
        const size_t want = *size ? *size * 2 : 64;
        void *grown = want < SIZE_MAX / item ? realloc(*at, want * item) : NULL;
        if (!grown)
                return false;
        *at = grown;
        *size = want;
        return true;
}

static bool room(struct tk_sqlite_usage *usage) {
        void *rows = usage->rows, *steps = usage->steps;
        /* Three rows at most are made by one addition, and the sizes double from 64 on. */
        bool ok = grow(&rows, &usage->rows_size, usage->rows_nr + 2, sizeof *usage->rows);
        usage->rows = rows;
        ok = ok && grow(&steps, &usage->steps_size, usage->steps_nr, sizeof *usage->steps);
        usage->steps = steps;
        return ok;
}

static uint32_t bucket_of(const struct tk_id *subject, enum tk_sqlite_span span, int64_t number) {
        uint64_t low;
        /* The end of an id is random, or at least what differs. */
        memcpy(&low, subject->b + 8, sizeof low);
        low ^= (uint64_t)number * 31 + (uint64_t)span;
        /* The high bits of the product depend on every bit of the factor; the low ones do not. */
        return (uint32_t)((low * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - BUCKET_BITS));
}

/* The place of a row, which is made if it is not there yet; *made tells. Room was made. */
static uint32_t row_place(struct tk_sqlite_usage *usage, const struct tk_id *subject,
                          enum tk_sqlite_span span, int64_t number, bool *made) {
        const uint32_t bucket = bucket_of(subject, span, number);
        *made = false;
        for (uint32_t at = usage->last[bucket]; at; at = usage->rows[at - 1].before) {
                const struct usage_row *row = &usage->rows[at - 1];
                if (row->span == span && row->number == number && tk_id_eq(row->subject, *subject))
                        return at - 1;
        }
        MUST(usage->rows_nr < usage->rows_size && usage->rows_nr < UINT32_MAX - 1);
        usage->rows[usage->rows_nr] = (struct usage_row){
                .subject = *subject, .span = span, .number = number, .before = usage->last[bucket]};
        usage->last[bucket] = (uint32_t)++usage->rows_nr;
        *made = true;
        return usage->last[bucket] - 1;
}

/* Reads what is stored of a total, all meters at once. */
static enum tk_err read_stored(struct tk_sqlite_conn *conn, struct usage_row *row) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_USAGE_TOTAL);
        tk_sqlite_id(&use, &row->subject);
        enum tk_err err = tk_sqlite_next(&use);
        for (int i = 0; !err && i < TK_METER_NR; i++)
                row->stored[i] = tk_sqlite_col_int(&use, 0, INT64_MAX);
        if (!err && use.bad)
                err = tk_sqlite_fault(conn, SQLITE_CORRUPT, "reading usage");
        tk_sqlite_end(&use);
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_usage_add(struct tk_store *store, struct tk_id subject, enum tk_meter meter,
                                int64_t hour, int64_t amount) {
        struct tk_sqlite_usage *usage = ((struct tk_sqlite_store *)store)->usage;
        struct usage_step step = {.meter = meter, .amount = amount};
        int64_t added, total;
        bool made;

        if (!room(usage)) {
                tk_log(TK_ERROR, TK_STORE_AREA, "%s while adding usage", tk_err_text(TK_E_NO_MEMORY));
                return TK_E_NO_MEMORY;
        }
        step.rows[0] = row_place(usage, &subject, TK_SPAN_TOTAL, 0, &made);
        struct usage_row *row = &usage->rows[step.rows[0]];
        if (made) {
                enum tk_err err = read_stored(&((struct tk_sqlite_store *)store)->conn, row);
                if (err)
                        return err; /* the batch is broken, so nobody believes the row */
        }
        if (__builtin_add_overflow(row->added[meter], amount, &added) ||
            __builtin_add_overflow(row->stored[meter], added, &total))
                return TK_E_OVERFLOW; /* (2) */
        step.rows[1] = row_place(usage, &subject, TK_SPAN_DAY, tk_floor_div(hour, 24), &made);
        step.rows[2] = row_place(usage, &subject, TK_SPAN_HOUR, hour, &made);
        for (int i = 0; i < 3; i++)
                usage->rows[step.rows[i]].added[meter] += amount; /* (1) */
        if (usage->marked)
                usage->steps[usage->steps_nr++] = step;
        return TK_OK;
}

/* ---- writing ---- */

static int row_order(const void *left, const void *right) {
        const struct usage_row *a = left, *b = right;
        int order = memcmp(a->subject.b, b->subject.b, sizeof a->subject.b);
        if (!order)
                order = (a->span > b->span) - (a->span < b->span);
        return order ? order : (a->number > b->number) - (a->number < b->number);
}

static bool is_empty(const struct usage_row *row) {
        for (int i = 0; i < TK_METER_NR; i++)
                if (row->added[i])
                        return false;
        return true;
}

static enum tk_err write_row(struct tk_sqlite_conn *conn, const struct usage_row *row) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_USAGE_ADD);
        tk_sqlite_id(&use, &row->subject);
        tk_sqlite_int(&use, (int64_t)row->span);
        tk_sqlite_int(&use, row->number);
        for (int i = 0; i < TK_METER_NR; i++)
                tk_sqlite_int(&use, row->added[i]);
        return tk_sqlite_run(&use);
}

/* In the order of the table, so that neighbours are written while their page is at hand. */
enum tk_err tk_sqlite_usage_flush(struct tk_sqlite_usage *usage, struct tk_sqlite_conn *conn) {
        enum tk_err err = TK_OK;
        MUST(!usage->marked);
        if (usage->rows_nr)
                qsort(usage->rows, usage->rows_nr, sizeof *usage->rows, row_order);
        for (size_t i = 0; i < usage->rows_nr && !err; i++)
                if (!is_empty(&usage->rows[i]))
                        err = write_row(conn, &usage->rows[i]);
        tk_sqlite_usage_forget(usage);
        return err;
}
