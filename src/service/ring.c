/* SPDX-License-Identifier: Apache-2.0
 *
 * Two chained hash tables (by digest, by id) over the same accounts, each cut into shards with a lock.
 * Digests and the tail of an id are uniformly random, so eight of their bytes are the hash. A shard doubles
 * when its chains are two accounts long on the average. Unknown digests share the digest shards in a small
 * direct-mapped table, so that remembering them costs a fixed amount of memory whatever is thrown at the
 * server.
 *
 * A key's record is kept packed, and each look-up unpacks it for its caller: a key that was only checked
 * costs some 290 bytes, and nothing is shared that would have to be counted.
 */
#include "service/ring.h"

#include "core/key_pack.h"
#include "service/account.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS            64
#define UNKNOWN_PER_SHARD 1024 /* 64 x 1024 x 32 bytes: 2 MiB in all */
#define BUCKETS_FIRST     64
#define CHAIN             2 /* accounts a bucket, on the average, before there are more buckets */

_Static_assert(sizeof(struct tk_account) <= 152, "with what malloc adds, 160 bytes");

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
        struct tk_account *account; /* lives as long as the ring */
        uint16_t edition;           /* of its record */
        struct tk_key key;
};

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
        return atomic_load_explicit(&snapshot->account->edition, memory_order_acquire) != snapshot->edition;
}

void tk_snapshot_release(struct tk_snapshot **snapshot) {
        free(*snapshot);
        *snapshot = NULL;
}

static struct tk_key_pack *pack_new(const struct tk_key *key) {
        struct tk_key_pack *pack = malloc(tk_key_pack_size(key));
        if (pack)
                tk_key_pack_fill(pack, key);
        return pack;
}

static struct tk_id parent_id(const struct tk_account *account, enum tk_subject_kind kind) {
        const struct tk_account *parent = account->parents[kind];
        return parent ? parent->id : (struct tk_id){{0}};
}

/* Under the lock of the digest's shard. */
static void unpack(struct tk_account *account, struct tk_snapshot *out) {
        out->account = account;
        out->edition = atomic_load_explicit(&account->edition, memory_order_relaxed);
        out->key.id = account->id;
        out->key.org = parent_id(account, TK_SUBJECT_ORG);
        out->key.workspace = parent_id(account, TK_SUBJECT_WORKSPACE);
        out->key.user = parent_id(account, TK_SUBJECT_USER);
        memcpy(out->key.digest, account->digest, sizeof out->key.digest);
        tk_key_pack_read(account->pack, &out->key);
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
        if (shard->used >= shard->buckets_nr * CHAIN)
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
        free(account->pack);
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
        struct tk_snapshot *snapshot = malloc(sizeof *snapshot); /* not under the lock */
        enum tk_err err = snapshot ? TK_E_NOT_FOUND : TK_E_NO_MEMORY;
        *out = NULL;
        if (!snapshot)
                return err;
        tk_lock(&shard->lock);
        struct tk_account *account = find_digest(shard, digest);
        if (account && account->pack) {
                unpack(account, snapshot);
                *out = snapshot;
                err = TK_OK;
        } else if (!account && memcmp(unknown_place(shard, digest), digest, 32) == 0) {
                err = TK_E_CLOSED;
        }
        tk_unlock(&shard->lock);
        if (!*out)
                free(snapshot);
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

/* The shard is locked. Another loop may have been first, or the record was lost for want of memory. */
static void put(struct tk_ring *ring, struct shard *shard, struct tk_account **fresh,
                struct tk_key_pack **pack, struct tk_snapshot *out) {
        struct tk_account *account = find_digest(shard, (*fresh)->digest);
        if (!account) {
                account = *fresh;
                *fresh = NULL;
                shard_add(shard, account, true);
                add_by_id(ring, account);
        }
        if (!account->pack) {
                account->pack = *pack;
                *pack = NULL;
        }
        unpack(account, out);
}

enum tk_err tk_ring_insert(struct tk_ring *ring, const struct tk_key *key, uint64_t version,
                           struct tk_snapshot **out) {
        struct shard *shard = shard_of(ring->by_digest, digest_hash(key->digest));
        struct tk_snapshot *snapshot = malloc(sizeof *snapshot);
        struct tk_account *fresh = key_account_new(ring, key);
        struct tk_key_pack *pack = pack_new(key);
        enum tk_err err = snapshot && fresh && pack ? TK_OK : TK_E_NO_MEMORY;
        if (err == TK_OK) {
                tk_lock(&shard->lock);
                if (tk_ring_version(ring) == version)
                        put(ring, shard, &fresh, &pack, snapshot);
                else
                        err = TK_E_BUSY;
                tk_unlock(&shard->lock);
        }
        *out = err == TK_OK ? snapshot : NULL;
        if (err != TK_OK)
                free(snapshot);
        if (fresh)
                account_free(fresh);
        free(pack);
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
        struct tk_key_pack *fresh, *old;
        atomic_fetch_add(&ring->version, 1);
        forget_unknown(ring, key->digest);
        *out = account = tk_ring_account_get(ring, key->id);
        if (!account)
                return TK_OK;
        /* Without memory the old record must not live on: none means that it is read again. */
        fresh = pack_new(key);
        struct shard *shard = shard_of(ring->by_digest, digest_hash(account->digest));
        tk_lock(&shard->lock);
        old = account->pack;
        account->pack = fresh;
        atomic_fetch_add_explicit(&account->edition, 1, memory_order_release);
        tk_unlock(&shard->lock);
        free(old);
        return fresh ? TK_OK : TK_E_NO_MEMORY;
}
