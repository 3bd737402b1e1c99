/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/truth.h"

#include "demo/ask.h"
#include "rt/lock.h"
#include "wire/json_write.h"

#include <stdlib.h>
#include <string.h>

struct row {
        char name[TK_DEMO_MODEL_MAX + 1];
        struct tk_demo_counts counts;
};

struct table {
        struct row *rows;
        unsigned nr, size;
};

struct tk_demo_truth {
        struct tk_lock lock;
        /* under lock */
        struct tk_demo_counts total;
        struct table models, users;
};

static const struct {
        const char *name;
        size_t at;
} fields[] = {
#define FIELD(name)                                                                                          \
        { #name, offsetof(struct tk_demo_counts, name) }
        FIELD(requests),
        FIELD(prompt_tokens),
        FIELD(completion_tokens),
        FIELD(cancelled),
        FIELD(cancelled_completion_tokens),
        FIELD(broken),
        FIELD(refused),
        FIELD(running),
        FIELD(most_at_once),
#undef FIELD
};
#define FIELDS_NR (sizeof fields / sizeof *fields)

struct tk_demo_truth *tk_demo_truth_new(void) {
        struct tk_demo_truth *truth = calloc(1, sizeof *truth);
        if (truth)
                tk_lock_init(&truth->lock);
        return truth;
}

void tk_demo_truth_free(struct tk_demo_truth **truth_p) {
        struct tk_demo_truth *truth = *truth_p;
        *truth_p = NULL;
        if (!truth)
                return;
        free(truth->models.rows);
        free(truth->users.rows);
        tk_lock_free(&truth->lock);
        free(truth);
}

static void sum(struct tk_demo_counts *to, const struct tk_demo_counts *more) {
        for (size_t i = 0; i < FIELDS_NR; i++) {
                uint64_t *a = (uint64_t *)(void *)((char *)to + fields[i].at);
                const uint64_t *b = (const uint64_t *)(const void *)((const char *)more + fields[i].at);
                if (__builtin_add_overflow(*a, *b, a))
                        *a = UINT64_MAX;
        }
}

/* NULL: no memory for another row; the total still has it. */
static struct row *row_of(struct table *table, struct tk_str name) {
        for (unsigned i = 0; i < table->nr; i++)
                if (tk_str_is(name, table->rows[i].name))
                        return &table->rows[i];
        if (table->nr == TK_DEMO_ROWS_MAX) /* The last row is everybody else's. */
                return &table->rows[table->nr - 1];
        if (table->nr == table->size) {
                unsigned size = table->size ? table->size * 2 : 8;
                struct row *rows = realloc(table->rows, size * sizeof *rows);
                if (!rows)
                        return NULL;
                table->rows = rows;
                table->size = size;
        }
        struct row *row = &table->rows[table->nr++];
        memset(row, 0, sizeof *row);
        tk_str_copy(table->nr == TK_DEMO_ROWS_MAX ? TK_STR("(others)") : name, row->name, sizeof row->name);
        return row;
}

void tk_demo_truth_add(struct tk_demo_truth *truth, struct tk_str model, struct tk_str user,
                       const struct tk_demo_counts *more) {
        tk_lock(&truth->lock);
        sum(&truth->total, more);
        struct row *row = row_of(&truth->models, model);
        if (row)
                sum(&row->counts, more);
        row = row_of(&truth->users, user);
        if (row)
                sum(&row->counts, more);
        tk_unlock(&truth->lock);
}

static void enter(struct tk_demo_counts *counts) {
        if (++counts->running > counts->most_at_once)
                counts->most_at_once = counts->running;
}

static void leave(struct tk_demo_counts *counts) {
        if (counts->running > 0) /* a row that was made after a reset does not know of it */
                counts->running--;
}

static void move(struct tk_demo_truth *truth, struct tk_str model, struct tk_str user,
                 void (*step)(struct tk_demo_counts *counts)) {
        tk_lock(&truth->lock);
        step(&truth->total);
        struct row *row = row_of(&truth->models, model);
        if (row)
                step(&row->counts);
        row = row_of(&truth->users, user);
        if (row)
                step(&row->counts);
        tk_unlock(&truth->lock);
}

void tk_demo_truth_enter(struct tk_demo_truth *truth, struct tk_str model, struct tk_str user) {
        move(truth, model, user, enter);
}

void tk_demo_truth_leave(struct tk_demo_truth *truth, struct tk_str model, struct tk_str user) {
        move(truth, model, user, leave);
}

static void clear(struct tk_demo_counts *counts) {
        *counts = (struct tk_demo_counts){.running = counts->running, .most_at_once = counts->running};
}

/* Rows of what still runs stay: their ends are yet to be counted. */
static void clear_table(struct table *table) {
        unsigned kept = 0;
        for (unsigned i = 0; i < table->nr; i++) {
                if (table->rows[i].counts.running == 0)
                        continue;
                clear(&table->rows[i].counts);
                table->rows[kept++] = table->rows[i];
        }
        table->nr = kept;
}

void tk_demo_truth_reset(struct tk_demo_truth *truth) {
        tk_lock(&truth->lock);
        clear(&truth->total);
        clear_table(&truth->models);
        clear_table(&truth->users);
        tk_unlock(&truth->lock);
}

static void put_counts(struct tk_jw *w, const char *key, const struct tk_demo_counts *counts) {
        tk_jw_key(w, key);
        tk_jw_object(w);
        for (size_t i = 0; i < FIELDS_NR; i++) {
                tk_jw_key(w, fields[i].name);
                tk_jw_u64(w, *(const uint64_t *)(const void *)((const char *)counts + fields[i].at));
        }
        tk_jw_end(w);
}

static void put_table(struct tk_jw *w, const char *key, const struct table *table) {
        tk_jw_key(w, key);
        tk_jw_object(w);
        for (unsigned i = 0; i < table->nr; i++)
                put_counts(w, table->rows[i].name, &table->rows[i].counts);
        tk_jw_end(w);
}

void tk_demo_truth_write(struct tk_demo_truth *truth, struct tk_buf *out) {
        struct tk_jw w = tk_jw_begin(out);
        tk_lock(&truth->lock);
        tk_jw_object(&w);
        tk_jw_key(&w, "object");
        tk_jw_text(&w, "demo.truth");
        put_counts(&w, "total", &truth->total);
        put_table(&w, "models", &truth->models);
        put_table(&w, "users", &truth->users);
        tk_jw_end(&w);
        tk_unlock(&truth->lock);
}
