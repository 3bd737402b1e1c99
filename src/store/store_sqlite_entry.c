/* SPDX-License-Identifier: Apache-2.0
 *
 * The entries of a batch, gathered in memory and written just before the commit, like its usage. Most jobs
 * are posts, and a post is then free of SQL but for one look-up of its id; and taking one back is dropping it
 * from a list, where a savepoint would cost more than the post.
 *
 * An id is looked for in the batch and in the file when the entry is added, so that CONFLICT is answered
 * then. The batch holds the write lock, so the answer stays true until the commit.
 */
#include "store/store_sqlite_int.h"

#include <stdlib.h>
#include <string.h>

#include "rt/log.h"

#define BUCKET_BITS 9
#define BUCKETS     (1 << BUCKET_BITS)

struct entry_slot {
        struct tk_entry entry;
        uint32_t before; /* the slot of the same bucket before this one, plus 1; 0: none */
};

struct tk_sqlite_entries {
        struct entry_slot *slots;
        size_t nr, size;
        size_t mark; /* nr when the mark was set */
        uint32_t last[BUCKETS];
};

struct tk_sqlite_entries *tk_sqlite_entries_new(void) {
        return calloc(1, sizeof(struct tk_sqlite_entries));
}

void tk_sqlite_entries_free(struct tk_sqlite_entries **entries) {
        if (!*entries)
                return;
        free((*entries)->slots);
        free(*entries);
        *entries = NULL;
}

static uint32_t bucket_of(struct tk_id id) {
        uint64_t low;
        memcpy(&low, id.b + 8, sizeof low); /* the random half of the id */
        return (uint32_t)((low * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - BUCKET_BITS));
}

static void cut(struct tk_sqlite_entries *entries, size_t nr) {
        MUST(nr <= entries->nr);
        while (entries->nr > nr) {
                const struct entry_slot *slot = &entries->slots[--entries->nr];
                entries->last[bucket_of(slot->entry.id)] = slot->before;
        }
}

void tk_sqlite_entries_forget(struct tk_sqlite_entries *entries) {
        cut(entries, 0);
        entries->mark = 0;
}

void tk_sqlite_entries_mark(struct tk_sqlite_entries *entries) {
        entries->mark = entries->nr;
}

void tk_sqlite_entries_mark_undo(struct tk_sqlite_entries *entries) {
        cut(entries, entries->mark);
}

static bool room(struct tk_sqlite_entries *entries) {
        if (entries->nr < entries->size)
                return true;
        const size_t size = entries->size ? 2 * entries->size : 64;
        struct entry_slot *grown =
                size < UINT32_MAX ? realloc(entries->slots, size * sizeof *entries->slots) : NULL;
        if (!grown)
                return false;
        entries->slots = grown;
        entries->size = size;
        return true;
}

static bool is_gathered(const struct tk_sqlite_entries *entries, struct tk_id id) {
        for (uint32_t at = entries->last[bucket_of(id)]; at; at = entries->slots[at - 1].before)
                if (tk_id_eq(entries->slots[at - 1].entry.id, id))
                        return true;
        return false;
}

/* CONFLICT: the file has it. */
static enum tk_err look_up(struct tk_sqlite_conn *conn, struct tk_id id) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_ENTRY_FIND);
        tk_sqlite_id(&use, &id);
        enum tk_err err = tk_sqlite_next(&use);
        tk_sqlite_end(&use);
        if (!err)
                return TK_E_CONFLICT;
        return err == TK_E_NOT_FOUND ? TK_OK : err;
}

enum tk_err tk_sqlite_entry_add(struct tk_store *base, const struct tk_entry *entry) {
        struct tk_sqlite_store *store = (struct tk_sqlite_store *)base;
        struct tk_sqlite_entries *entries = store->entries;
        if (is_gathered(entries, entry->id))
                return TK_E_CONFLICT;
        enum tk_err err = look_up(&store->conn, entry->id);
        if (err)
                return err;
        if (!room(entries)) {
                tk_log(TK_ERROR, TK_STORE_AREA, "%s while adding an entry", tk_err_text(TK_E_NO_MEMORY));
                return TK_E_NO_MEMORY;
        }
        uint32_t *last = &entries->last[bucket_of(entry->id)];
        entries->slots[entries->nr] = (struct entry_slot){.entry = *entry, .before = *last};
        *last = (uint32_t)++entries->nr;
        return TK_OK;
}

static void bind_amounts(struct tk_sqlite_use *use, const struct tk_amounts *amounts) {
        for (int i = 0; i < TK_METER_NR; i++)
                tk_sqlite_int(use, amounts->of[i]);
}

static enum tk_err write_entry(struct tk_sqlite_conn *conn, const struct tk_entry *entry) {
        struct tk_sqlite_use use = tk_sqlite_begin(conn, TK_SQL_ENTRY_INSERT);
        tk_sqlite_id(&use, &entry->id);
        tk_sqlite_id(&use, &entry->org);
        tk_sqlite_id(&use, &entry->subject);
        tk_sqlite_int(&use, entry->held_at_ms);
        tk_sqlite_int(&use, entry->posted_at_ms);
        tk_sqlite_text(&use, entry->model);
        tk_sqlite_int(&use, entry->flags);
        tk_sqlite_int(&use, (int64_t)entry->tokens.input);
        tk_sqlite_int(&use, (int64_t)entry->tokens.output);
        tk_sqlite_int(&use, (int64_t)entry->tokens.cached);
        tk_sqlite_int(&use, (int64_t)entry->tokens.cache_write);
        bind_amounts(&use, &entry->due);
        bind_amounts(&use, &entry->overrun);
        enum tk_err err = tk_sqlite_run(&use);
        if (err == TK_E_CONFLICT) /* it was looked for, so an index does not say what the table says */
                err = tk_sqlite_fault(conn, SQLITE_CORRUPT, "writing an entry");
        return err;
}

enum tk_err tk_sqlite_entries_flush(struct tk_sqlite_entries *entries, struct tk_sqlite_conn *conn) {
        enum tk_err err = TK_OK;
        for (size_t i = 0; i < entries->nr && !err; i++)
                err = write_entry(conn, &entries->slots[i].entry);
        tk_sqlite_entries_forget(entries);
        return err;
}
