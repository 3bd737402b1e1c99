/* SPDX-License-Identifier: Apache-2.0
 *
 * Two chained hash tables (by digest, by id) over the same accounts, each cut into shards with a lock.
 * Digests and the tail of an id are uniformly random, so eight of their bytes are the hash. A shard doubles
 * when it is full; chains stay short. Unknown digests share the digest shards in a small direct-mapped
 * table, so that remembering them costs a fixed amount of memory whatever is thrown at the server.
 */
#include "service/ring.h"

#include "service/account.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS            64
#define UNKNOWN_PER_SHARD 1024 /* 64 x 1024 x 32 bytes: 2 MiB in all */
#define BUCKETS_FIRST     64

struct shard {
        struct tk_lock lock;
        struct tk_account **buckets;
        size_t buckets_nr, used;
        uint8_t (*unknown)[32]; /* digest shards only; all zero: empty */
};

struct tk_ring {
        struct shard by_digest[SHARDS];
        struct shard by_id[SHARDS];
        atomic_uint_fast64_t version;
};

struct tk_snapshot {
        atomic_uint refs;
        atomic_bool stale;          /* another one has taken its place */
        struct tk_account *account; /* lives as long as the ring */
        struct tk_key key;          /* immutable; last, because limits that it has not are not there */
};

_Static_assert(offsetof(struct tk_key, limits) + sizeof((struct tk_key){0}.limits) == sizeof(struct tk_key),
               "the limits are the end of a key");

static uint64_t hash_of(const uint8_t *bytes) {
        uint64_t h;
        memcpy(&h, bytes, sizeof h);
        return h;
}

static uint64_t digest_hash(const uint8_t digest[32]) {
        return hash_of(digest + 8);
}

static uint64_t id_hash(struct tk_id id) {
        return hash_of(id.b + 8); /* the random half of a UUIDv7 */
}

static struct shard *shard_of(struct shard *shards, uint64_t hash) {
        return &shards[hash % SHARDS];
}

static struct tk_account **bucket_of(const struct shard *shard, uint64_t hash) {
        return &shard->buckets[(hash / SHARDS) % shard->buckets_nr];
}

/* ---- snapshots ---- */

const struct tk_key *tk_snapshot_key(const struct tk_snapshot *snapshot) {
        return &snapshot->key;
}

struct tk_account *tk_snapshot_account(const struct tk_snapshot *snapshot) {
        return snapshot->account;
}

bool tk_snapshot_is_stale(const struct tk_snapshot *snapshot) {
        return atomic_load_explicit(&snapshot->stale, memory_order_acquire);
}

void tk_snapshot_release(struct tk_snapshot **snapshot) {
        struct tk_snapshot *s = *snapshot;
        *snapshot = NULL;
        if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
                free(s);
}

static struct tk_snapshot *snapshot_new(struct tk_account *account, const struct tk_key *key) {
        MUST(key->limits_nr <= TK_KEY_LIMITS_MAX);
        size_t size = offsetof(struct tk_key, limits) + key->limits_nr * sizeof key->limits[0];
        struct tk_snapshot *s = malloc(offsetof(struct tk_snapshot, key) + size);
        if (!s)
                return NULL;
        atomic_init(&s->refs, 1);
        atomic_init(&s->stale, false);
        s->account = account;
        memcpy(&s->key, key, size);
        return s;
}

static struct tk_snapshot *snapshot_ref(struct tk_snapshot *snapshot) {
        atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
        return snapshot;
}

/* ---- shards ---- */

static bool shard_open(struct shard *shard, bool digests) {
        tk_lock_init(&shard->lock);
        shard->buckets = calloc(BUCKETS_FIRST, sizeof *shard->buckets);
        shard->buckets_nr = BUCKETS_FIRST;
        if (digests)
                shard->unknown = calloc(UNKNOWN_PER_SHARD, sizeof *shard->unknown);
        return shard->buckets && (!digests || shard->unknown);
}

static void shard_close(struct shard *shard) {
        free(shard->buckets);
        free(shard->unknown);
        tk_lock_free(&shard->lock);
}

static struct tk_account **next_of(struct tk_account *account, bool digests) {
        return digests ? &account->digest_next : &account->id_next;
}

static uint64_t hash_of_account(const struct tk_account *account, bool digests) {
        return digests ? digest_hash(account->digest) : id_hash(account->id);
}

/* Doubling may fail; then chains grow longer, nothing else. */
static void shard_grow(struct shard *shard, bool digests) {
        struct shard bigger = {.buckets_nr = shard->buckets_nr * 2};
        bigger.buckets = calloc(bigger.buckets_nr, sizeof *bigger.buckets);
        if (!bigger.buckets)
                return;
        for (size_t i = 0; i < shard->buckets_nr; i++)
                for (struct tk_account *a = shard->buckets[i], *next; a; a = next) {
                        struct tk_account **to = bucket_of(&bigger, hash_of_account(a, digests));
                        next = *next_of(a, digests);
                        *next_of(a, digests) = *to;
                        *to = a;
                }
        free(shard->buckets);
        shard->buckets = bigger.buckets;
        shard->buckets_nr = bigger.buckets_nr;
}

static void shard_add(struct shard *shard, struct tk_account *account, bool digests) {
        tk_lock_assert_held(&shard->lock);
        if (shard->used >= shard->buckets_nr)
                shard_grow(shard, digests);
        struct tk_account **to = bucket_of(shard, hash_of_account(account, digests));
        *next_of(account, digests) = *to;
        *to = account;
        shard->used++;
}

static struct tk_account *find_digest(const struct shard *shard, const uint8_t digest[32]) {
        struct tk_account *a = *bucket_of(shard, digest_hash(digest));
        while (a && memcmp(a->digest, digest, 32) != 0)
                a = a->digest_next;
        return a;
}

static struct tk_account *find_id(const struct shard *shard, struct tk_id id) {
        struct tk_account *a = *bucket_of(shard, id_hash(id));
        while (a && !tk_id_eq(a->id, id))
                a = a->id_next;
        return a;
}

static uint8_t *unknown_place(const struct shard *shard, const uint8_t digest[32]) {
        return shard->unknown[(digest_hash(digest) / SHARDS) % UNKNOWN_PER_SHARD];
}

/* ---- the ring ---- */

enum tk_err tk_ring_open(struct tk_ring **out) {
        struct tk_ring *ring = calloc(1, sizeof *ring);
        bool ok = ring != NULL;
        for (int i = 0; ok && i < SHARDS; i++)
                ok = shard_open(&ring->by_digest[i], true) && shard_open(&ring->by_id[i], false);
        *out = ring;
        if (!ok)
                tk_ring_close(out);
        return ok ? TK_OK : TK_E_NO_MEMORY;
}

static void account_free(struct tk_account *account) {
        MUST(!account->live && !account->waiting && !account->posting);
        tk_snapshot_release(&account->snapshot);
        tk_counters_free(&account->counters, account->counters_nr);
        tk_lock_free(&account->lock);
        free(account);
}

void tk_ring_close(struct tk_ring **ring) {
        struct tk_ring *r = *ring;
        if (!r)
                return;
        for (int i = 0; i < SHARDS; i++) {
                struct shard *shard = &r->by_id[i]; /* every account is here; only keys are also by digest */
                for (size_t b = 0; shard->buckets && b < shard->buckets_nr; b++)
                        for (struct tk_account *a = shard->buckets[b], *next; a; a = next) {
                                next = a->id_next;
                                account_free(a);
                        }
                if (shard->buckets)
                        shard_close(shard);
                if (r->by_digest[i].buckets)
                        shard_close(&r->by_digest[i]);
        }
        free(r);
        *ring = NULL;
}

uint64_t tk_ring_version(const struct tk_ring *ring) {
        return atomic_load(&ring->version);
}

enum tk_err tk_ring_find(struct tk_ring *ring, const uint8_t digest[32], struct tk_snapshot **out) {
        struct shard *shard = shard_of(ring->by_digest, digest_hash(digest));
        enum tk_err err = TK_E_NOT_FOUND;
        *out = NULL;
        tk_lock(&shard->lock);
        struct tk_account *account = find_digest(shard, digest);
        if (account && account->snapshot) {
                *out = snapshot_ref(account->snapshot);
                err = TK_OK;
        } else if (!account && memcmp(unknown_place(shard, digest), digest, 32) == 0) {
                err = TK_E_CLOSED;
        }
        tk_unlock(&shard->lock);
        return err;
}

void tk_ring_insert_unknown(struct tk_ring *ring, const uint8_t digest[32], uint64_t version) {
        struct shard *shard = shard_of(ring->by_digest, digest_hash(digest));
        tk_lock(&shard->lock);
        /* Checked under the lock: a change first raises the version, then clears under this lock. */
        if (tk_ring_version(ring) == version)
                memcpy(unknown_place(shard, digest), digest, 32);
        tk_unlock(&shard->lock);
}

static struct tk_account *account_new(struct tk_id id, enum tk_subject_kind kind) {
        struct tk_account *account = calloc(1, sizeof *account);
        if (!account)
                return NULL;
        tk_lock_init(&account->lock);
        account->id = id;
        account->kind = kind;
        return account;
}

/* The account of an organisation, workspace or user; made when it is not there. NULL: none, or out of memory.
 */
static struct tk_account *parent_get(struct tk_ring *ring, struct tk_id id, enum tk_subject_kind kind) {
        if (tk_id_none(id))
                return NULL;
        struct shard *shard = shard_of(ring->by_id, id_hash(id));
        tk_lock(&shard->lock);
        struct tk_account *account = find_id(shard, id);
        if (!account && (account = account_new(id, kind)) != NULL)
                shard_add(shard, account, false);
        tk_unlock(&shard->lock);
        return account;
}

/* A key's account with its parents, not in the ring yet. */
static struct tk_account *key_account_new(struct tk_ring *ring, const struct tk_key *key) {
        struct tk_account *account = account_new(key->id, TK_SUBJECT_KEY);
        if (!account)
                return NULL;
        memcpy(account->digest, key->digest, 32);
        const struct tk_id above[TK_SUBJECT_KEY] = {
                [TK_SUBJECT_ORG] = key->org,
                [TK_SUBJECT_WORKSPACE] = key->workspace,
                [TK_SUBJECT_USER] = key->user,
        };
        for (unsigned i = 0; i < TK_SUBJECT_KEY; i++) {
                account->parents[i] = parent_get(ring, above[i], (enum tk_subject_kind)i);
                if (account->parents[i] || tk_id_none(above[i]))
                        continue;
                account_free(account); /* without its parents their limits would be forgotten */
                return NULL;
        }
        return account;
}

static void add_by_id(struct tk_ring *ring, struct tk_account *account) {
        struct shard *shard = shard_of(ring->by_id, id_hash(account->id));
        tk_lock(&shard->lock);
        shard_add(shard, account, false);
        tk_unlock(&shard->lock);
}

enum tk_err tk_ring_insert(struct tk_ring *ring, const struct tk_key *key, uint64_t version,
                           struct tk_snapshot **out) {
        struct shard *shard = shard_of(ring->by_digest, digest_hash(key->digest));
        struct tk_account *fresh = key_account_new(ring, key);
        struct tk_snapshot *snapshot = fresh ? snapshot_new(fresh, key) : NULL;
        enum tk_err err = TK_OK;
        *out = NULL;
        if (!snapshot) {
                if (fresh)
                        account_free(fresh);
                return TK_E_NO_MEMORY;
        }
        tk_lock(&shard->lock);
        struct tk_account *account = find_digest(shard, key->digest);
        if (tk_ring_version(ring) != version) {
                err = TK_E_BUSY;
        } else if (account) { /* another loop was first, or its snapshot was lost for want of memory */
                snapshot->account = account;
                if (!account->snapshot) {
                        account->snapshot = snapshot;
                        snapshot = NULL;
                }
                *out = snapshot_ref(account->snapshot);
        } else {
                fresh->snapshot = snapshot;
                *out = snapshot_ref(snapshot);
                shard_add(shard, fresh, true);
                add_by_id(ring, fresh);
                snapshot = NULL;
                fresh = NULL;
        }
        tk_unlock(&shard->lock);
        tk_snapshot_release(&snapshot);
        if (fresh)
                account_free(fresh);
        return err;
}

struct tk_account *tk_ring_account_get(struct tk_ring *ring, struct tk_id id) {
        struct shard *shard = shard_of(ring->by_id, id_hash(id));
        tk_lock(&shard->lock);
        struct tk_account *account = find_id(shard, id);
        tk_unlock(&shard->lock);
        return account;
}

/* Only this one can have become known: all others stay unknown, and guessing stays away from the store. */
static void forget_unknown(struct tk_ring *ring, const uint8_t digest[32]) {
        struct shard *shard = shard_of(ring->by_digest, digest_hash(digest));
        tk_lock(&shard->lock);
        uint8_t *place = unknown_place(shard, digest);
        if (memcmp(place, digest, 32) == 0)
                memset(place, 0, 32);
        tk_unlock(&shard->lock);
}

enum tk_err tk_ring_changed(struct tk_ring *ring, const struct tk_key *key, struct tk_account **out) {
        struct tk_account *account;
        struct tk_snapshot *fresh = NULL, *old;
        atomic_fetch_add(&ring->version, 1);
        forget_unknown(ring, key->digest);
        *out = account = tk_ring_account_get(ring, key->id);
        if (!account)
                return TK_OK;
        /* Without memory the old record must not live on: no snapshot means it is read again. */
        fresh = snapshot_new(account, key);
        struct shard *shard = shard_of(ring->by_digest, digest_hash(account->digest));
        tk_lock(&shard->lock);
        old = account->snapshot;
        account->snapshot = fresh;
        tk_unlock(&shard->lock);
        if (old)
                atomic_store_explicit(&old->stale, true, memory_order_release);
        tk_snapshot_release(&old);
        return fresh ? TK_OK : TK_E_NO_MEMORY;
}
