/* SPDX-License-Identifier: Apache-2.0 */
#include "service/holds_book.h"

#include "core/time.h"
#include "rt/hash.h"

#include <stdlib.h>
#include <string.h>

#define SHARDS          64u
#define BUCKETS         1024u /* of a shard: chains of a few records when everything is full */
#define TENANT_BUCKETS  64u
#define WHEEL_S         512
#define ENDED_SHARD_MAX (TK_HOLDS_ENDED_MAX / SHARDS)

struct tk_holds_tenant {
        struct tk_holds_tenant *next;
        struct tk_id org;
        atomic_uint pending;
};

struct tk_holds_shard {
        struct tk_lock lock;
        struct tk_holds_record *buckets[BUCKETS];
        struct tk_holds_record *wheel[WHEEL_S];
        int64_t swept_s; /* the wheel was walked up to this second, which may be walked again */
        struct tk_holds_record *ended, **ended_tail;
        unsigned ended_nr;
        bool stopped; /* nothing stays pending any more */
};

struct tk_holds_book {
        struct tk_holds_shard shards[SHARDS];
        struct tk_lock tenants_lock;
        struct tk_holds_tenant *tenants[TENANT_BUCKETS]; /* live as long as the book */
        atomic_uint pending;
};

/* Some bits of an id are the same in all; multiplied, each bit of the result depends on many. */
static uint64_t hash_of(struct tk_id id) {
        uint64_t h;
        memcpy(&h, id.b + 8, sizeof h);
        return (h * UINT64_C(0x9E3779B97F4A7C15)) >> 32;
}

static struct tk_holds_record **bucket_of(struct tk_holds_shard *shard, struct tk_id id) {
        return &shard->buckets[hash_of(id) / SHARDS % BUCKETS];
}

struct tk_id tk_holds_entry_id(struct tk_id org, struct tk_str name) {
        static const char mark[] = "tollkey hold"; /* with its NUL: no other use of the hash begins so */
        char text[sizeof mark + sizeof org.b + TK_HOLD_NAME_MAX];
        uint8_t digest[32];
        struct tk_id id;
        MUST(name.len <= TK_HOLD_NAME_MAX);
        memcpy(text, mark, sizeof mark);
        memcpy(text + sizeof mark, org.b, sizeof org.b);
        memcpy(text + sizeof mark + sizeof org.b, name.at, name.len);
        tk_sha256((struct tk_str){text, sizeof mark + sizeof org.b + name.len}, digest);
        memcpy(id.b, digest, sizeof id.b);
        id.b[6] = (uint8_t)(0x80 | (id.b[6] & 0x0F));
        id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3F));
        return id;
}

/* ---- tenants ---- */

static struct tk_holds_tenant *tenant_of(struct tk_holds_book *book, struct tk_id org) {
        struct tk_holds_tenant **bucket = &book->tenants[hash_of(org) % TENANT_BUCKETS];
        tk_lock(&book->tenants_lock);
        struct tk_holds_tenant *tenant = *bucket;
        while (tenant && !tk_id_eq(tenant->org, org))
                tenant = tenant->next;
        if (!tenant && (tenant = calloc(1, sizeof *tenant)) != NULL) {
                tenant->org = org;
                tenant->next = *bucket;
                *bucket = tenant;
        }
        tk_unlock(&book->tenants_lock);
        return tenant;
}

bool tk_holds_count(struct tk_holds_book *book, struct tk_holds_record *record) {
        MUST(!record->counted);
        if (atomic_fetch_add(&record->tenant->pending, 1) >= TK_HOLDS_ORG_MAX) {
                atomic_fetch_sub(&record->tenant->pending, 1);
                return false;
        }
        if (atomic_fetch_add(&book->pending, 1) >= TK_HOLDS_MAX) {
                atomic_fetch_sub(&book->pending, 1);
                atomic_fetch_sub(&record->tenant->pending, 1);
                return false;
        }
        record->counted = true;
        return true;
}

void tk_holds_uncount(struct tk_holds_book *book, struct tk_holds_record *record) {
        MUST(record->counted);
        atomic_fetch_sub(&book->pending, 1);
        atomic_fetch_sub(&record->tenant->pending, 1);
        record->counted = false;
}

/* ---- wheel and list: under the shard's lock ---- */

static void link_to(struct tk_holds_record *record, struct tk_holds_record **at) {
        record->on_next = *at;
        record->on_link = at;
        if (*at)
                (*at)->on_link = &record->on_next;
        *at = record;
}

static void unlink_record(struct tk_holds_record *record) {
        struct tk_holds_shard *shard = record->shard;
        *record->on_link = record->on_next;
        if (record->on_next)
                record->on_next->on_link = record->on_link;
        else if (record->on_list)
                shard->ended_tail = record->on_link;
        if (record->on_list)
                shard->ended_nr--;
        record->on_wheel = record->on_list = false;
}

static struct tk_holds_record **slot_at(struct tk_holds_shard *shard, int64_t at_s) {
        return &shard->wheel[((at_s % WHEEL_S) + WHEEL_S) % WHEEL_S];
}

static void put_on_wheel(struct tk_holds_record *record, int64_t at_s) {
        link_to(record, slot_at(record->shard, at_s));
        record->on_wheel = true;
}

static void put_on_list(struct tk_holds_shard *shard, struct tk_holds_record *record) {
        link_to(record, shard->ended_tail);
        shard->ended_tail = &record->on_next;
        shard->ended_nr++;
        record->on_list = true;
}

/* ---- records ---- */

static void forget(struct tk_holds_shard *shard, struct tk_holds_record *record) {
        struct tk_holds_record **at = bucket_of(shard, record->id);
        MUST(!record->ticket && !record->claimed && !record->pins && !record->counted);
        if (record->on_wheel || record->on_list)
                unlink_record(record);
        while (*at != record)
                at = &(*at)->next;
        *at = record->next;
        free(record);
}

/* What waits for the store stays, and then so does what ended after it: the store is failing then, and
 * nothing more is taken. */
static void forget_oldest(struct tk_holds_shard *shard) {
        while (shard->ended_nr > ENDED_SHARD_MAX) {
                struct tk_holds_record *oldest = shard->ended;
                if (oldest->claimed || oldest->pins || !oldest->landed)
                        return;
                forget(shard, oldest);
        }
}

static struct tk_holds_record *record_new(struct tk_holds_book *book, struct tk_holds_shard *shard,
                                          struct tk_id org, struct tk_id id) {
        struct tk_holds_record *record = calloc(1, sizeof *record);
        if (!record)
                return NULL;
        record->shard = shard;
        record->id = id;
        record->line_tail = &record->line;
        record->tenant = tenant_of(book, org);
        if (record->tenant)
                return record;
        free(record);
        return NULL;
}

struct tk_holds_record *tk_holds_claim(struct tk_holds_book *book, struct tk_id org, struct tk_id id,
                                       struct tk_holds_line *line, bool *mine) {
        struct tk_holds_shard *shard = &book->shards[hash_of(id) % SHARDS];
        struct tk_holds_record **bucket = bucket_of(shard, id);
        tk_lock(&shard->lock);
        struct tk_holds_record *record = *bucket;
        while (record && !tk_id_eq(record->id, id))
                record = record->next;
        if (!record && (record = record_new(book, shard, org, id)) != NULL) {
                record->next = *bucket;
                *bucket = record;
        }
        line->record = record;
        *mine = record && !record->claimed;
        if (*mine) {
                record->claimed = true;
        } else if (record) {
                line->next = NULL;
                *record->line_tail = line;
                record->line_tail = &line->next;
        }
        tk_unlock(&shard->lock);
        return record;
}

static bool is_pending(const struct tk_holds_record *record) {
        return record->exists && record->view.hold.state == TK_HOLD_PENDING;
}

static void put_away(struct tk_holds_shard *shard, struct tk_holds_record *record) {
        bool pending = is_pending(record);
        MUST(IMPLIES(record->ticket, pending)); /* (3) */
        MUST(record->counted == pending);       /* (2) */
        if (record->on_wheel && !pending)
                unlink_record(record);
        record->due_ms = record->view.hold.expires_ms;
        if (pending && !record->on_wheel) {
                int64_t due_s = tk_floor_div(record->due_ms, 1000);
                /* Never behind where the wheel is walked next, so that no due record is missed. */
                put_on_wheel(record, due_s > shard->swept_s ? due_s : shard->swept_s);
        }
        if (record->exists && !pending && !record->on_list)
                put_on_list(shard, record);
        if (record->from_store || (record->on_list && record->view.hold.state == TK_HOLD_VOIDED))
                record->landed = true; /* there is nothing to store */
}

bool tk_holds_release(struct tk_holds_record *record, bool *pinned, struct tk_holds_line **next) {
        struct tk_holds_shard *shard = record->shard;
        tk_lock(&shard->lock);
        MUST(record->claimed);
        if (shard->stopped && is_pending(record)) {
                tk_unlock(&shard->lock);
                return false;
        }
        put_away(shard, record);
        if (pinned && (*pinned = record->on_list && !record->landed))
                record->pins++;
        *next = record->line;
        if (record->line) {
                record->line = record->line->next;
                if (!record->line)
                        record->line_tail = &record->line;
        } else {
                record->claimed = false;
                if (!record->exists)
                        forget(shard, record); /* (1) */
        }
        forget_oldest(shard);
        tk_unlock(&shard->lock);
        return true;
}

void tk_holds_landed(struct tk_holds_record *record, enum tk_err err) {
        struct tk_holds_shard *shard = record->shard;
        tk_lock(&shard->lock);
        record->landed = true;
        record->land_err = err;
        tk_unlock(&shard->lock);
}

enum tk_err tk_holds_unpin(struct tk_holds_record *record) {
        struct tk_holds_shard *shard = record->shard;
        tk_lock(&shard->lock);
        MUST(record->pins > 0);
        record->pins--;
        enum tk_err err = record->landed ? record->land_err : TK_E_BUSY;
        forget_oldest(shard);
        tk_unlock(&shard->lock);
        return err;
}

/* ---- what is due ---- */

unsigned tk_holds_shards(void) {
        return SHARDS;
}

/* A due record that somebody works on leaves the wheel too: its release puts it where it will be found. One
 * that is not due goes to its own slot, if a clock that was set has put it elsewhere. */
static void take_slot(struct tk_holds_record **slot, int64_t now_ms, struct tk_holds_record **batch) {
        for (struct tk_holds_record *record = *slot, *next; record; record = next) {
                int64_t due_s = tk_floor_div(record->due_ms, 1000);
                next = record->on_next;
                if (record->due_ms > now_ms && slot_at(record->shard, due_s) == slot)
                        continue;
                unlink_record(record);
                if (record->due_ms > now_ms) {
                        put_on_wheel(record, due_s);
                } else if (!record->claimed) {
                        record->claimed = true;
                        record->batch_next = *batch;
                        *batch = record;
                }
        }
}

struct tk_holds_record *tk_holds_take_due(struct tk_holds_book *book, unsigned index, int64_t now_ms) {
        struct tk_holds_shard *shard = &book->shards[index];
        struct tk_holds_record *batch = NULL;
        tk_lock(&shard->lock);
        int64_t now_s = tk_floor_div(now_ms, 1000), at_s = shard->swept_s;
        if (at_s > now_s || now_s - at_s >= WHEEL_S)
                at_s = now_s - WHEEL_S +
                       1; /* a full turn: the first, after a long sleep, or the clock was set */
        for (; at_s <= now_s; at_s++)
                take_slot(slot_at(shard, at_s), now_ms, &batch);
        shard->swept_s = now_s;
        tk_unlock(&shard->lock);
        return batch;
}

struct tk_holds_record *tk_holds_take_all(struct tk_holds_book *book, unsigned index) {
        struct tk_holds_shard *shard = &book->shards[index];
        struct tk_holds_record *batch = NULL;
        tk_lock(&shard->lock);
        shard->stopped = true;
        for (unsigned i = 0; i < WHEEL_S; i++)
                take_slot(&shard->wheel[i], INT64_MAX, &batch);
        tk_unlock(&shard->lock);
        return batch;
}

/* ---- the book ---- */

enum tk_err tk_holds_book_open(struct tk_holds_book **out) {
        struct tk_holds_book *book = calloc(1, sizeof *book);
        *out = book;
        if (!book)
                return TK_E_NO_MEMORY;
        tk_lock_init(&book->tenants_lock);
        for (unsigned i = 0; i < SHARDS; i++) {
                tk_lock_init(&book->shards[i].lock);
                book->shards[i].ended_tail = &book->shards[i].ended;
        }
        return TK_OK;
}

static void shard_close(struct tk_holds_shard *shard) {
        for (unsigned i = 0; i < BUCKETS; i++)
                for (struct tk_holds_record *record = shard->buckets[i], *next; record; record = next) {
                        MUST(!record->ticket && !record->line);
                        next = record->next;
                        free(record);
                }
        tk_lock_free(&shard->lock);
}

void tk_holds_book_close(struct tk_holds_book **book) {
        struct tk_holds_book *b = *book;
        *book = NULL;
        if (!b)
                return;
        for (unsigned i = 0; i < SHARDS; i++)
                shard_close(&b->shards[i]);
        for (unsigned i = 0; i < TENANT_BUCKETS; i++)
                for (struct tk_holds_tenant *tenant = b->tenants[i], *next; tenant; tenant = next) {
                        next = tenant->next;
                        free(tenant);
                }
        tk_lock_free(&b->tenants_lock);
        free(b);
}
