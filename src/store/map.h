/* SPDX-License-Identifier: Apache-2.0
 *
 * map: a hash table of borrowed pointers that only grows (open addressing, linear probing, at most half
 * full). Room is made first, where that may fail; then putting cannot. The caller locks.
 */
#ifndef TK_STORE_MAP_H
#define TK_STORE_MAP_H

#include "base/must.h"
#include "base/str.h"

struct tk_map {
        struct tk_map_slot *slots; /* size of them; NULL while size is 0 */
        size_t size;               /* 0 or a power of two */
        size_t used;
};

/* Is this item the one that key names? */
typedef bool tk_map_is_f(const void *item, const void *key);

/* A hash of bytes for use within one process only. */
uint64_t tk_map_hash(const void *at, size_t size, uint64_t seed);
void *tk_map_get(const struct tk_map *map, uint64_t hash, tk_map_is_f *is, const void *key);
/* Room for this many more; false: out of memory, nothing changed. */
TK_CHECKED bool tk_map_reserve(struct tk_map *map, size_t more);
/* The item is not in it, and room was reserved. */
void tk_map_put(struct tk_map *map, uint64_t hash, void *item);
void tk_map_free(struct tk_map *map); /* not the items */

#endif
