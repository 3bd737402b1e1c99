/* SPDX-License-Identifier: Apache-2.0 */
#include "store/map.h"

#include <stdlib.h>

#define MAP_SIZE_MIN 64

struct tk_map_slot {
        uint64_t hash;
        void *item; /* NULL: empty */
};

/* FNV-1a, mixed at the end because only the low bits pick the slot. */
uint64_t tk_map_hash(const void *at, size_t size, uint64_t seed) {
        const uint8_t *bytes = at;
        uint64_t hash = UINT64_C(14695981039346656037) ^ seed;
        for (size_t i = 0; i < size; i++)
                hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
        hash ^= hash >> 32;
        hash *= UINT64_C(0x9E3779B97F4A7C15);
        return hash ^ hash >> 29;
}

void *tk_map_get(const struct tk_map *map, uint64_t hash, tk_map_is_f *is, const void *key) {
        if (!map->size)
                return NULL;
        for (size_t i = hash & (map->size - 1); map->slots[i].item; i = (i + 1) & (map->size - 1))
                if (map->slots[i].hash == hash && is(map->slots[i].item, key))
                        return map->slots[i].item;
        return NULL;
}

static void put(struct tk_map *map, uint64_t hash, void *item) {
        size_t i = hash & (map->size - 1);
        while (map->slots[i].item)
                i = (i + 1) & (map->size - 1);
        map->slots[i] = (struct tk_map_slot){hash, item};
        map->used++;
}

bool tk_map_reserve(struct tk_map *map, size_t more) {
        struct tk_map grown = {.size = map->size ? map->size : MAP_SIZE_MIN};
        if (more > SIZE_MAX / 4 - map->used)
                return false;
        while (grown.size < 2 * (map->used + more))
                grown.size *= 2;
        if (grown.size == map->size)
                return true;
        grown.slots = calloc(grown.size, sizeof *grown.slots);
        if (!grown.slots)
                return false;
        for (size_t i = 0; i < map->size; i++)
                if (map->slots[i].item)
                        put(&grown, map->slots[i].hash, map->slots[i].item);
        MUST(grown.used == map->used);
        free(map->slots);
        *map = grown;
        return true;
}

void tk_map_put(struct tk_map *map, uint64_t hash, void *item) {
        MUST(item != NULL);
        MUST(2 * (map->used + 1) <= map->size);
        put(map, hash, item);
}

void tk_map_free(struct tk_map *map) {
        free(map->slots);
        *map = (struct tk_map){0};
}
