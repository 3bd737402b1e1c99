/* SPDX-License-Identifier: Apache-2.0
 *
 * The public struct is the head of a private one that also holds the index of models: an open-addressing
 * table of positions in models[], at most half full, probed one by one. It is complete after each add,
 * so a finished catalog needs no lock and no last step. Ids come from the operator, so nobody outside
 * can choose them to collide; a look-up of an unknown id ends at the first empty slot.
 */
#include "service/catalog.h"

#include <stdlib.h>
#include <string.h>

struct slot {
        uint32_t hash;
        uint32_t position; /* in models[], plus 1; 0: empty */
};

struct catalog {
        struct tk_catalog head; /* first, so that the two pointers are one */
        size_t slots_nr;        /* a power of two, or 0 */
        struct slot *slots;
        unsigned providers_size, models_size; /* allocated */
};

static const char *const type_names[TK_MODEL_TYPE_NR] = {
        [TK_MODEL_TEXT] = "text",
        [TK_MODEL_EMBEDDING] = "embedding",
};

/* FNV-1a. */
static uint32_t hash_of(struct tk_str id) {
        uint32_t h = 2166136261u;
        for (size_t i = 0; i < id.len; i++)
                h = (h ^ (unsigned char)id.at[i]) * 16777619u;
        return h;
}

struct tk_catalog *tk_catalog_new(void) {
        struct catalog *c = calloc(1, sizeof *c);
        return c ? &c->head : NULL;
}

static void free_provider(struct tk_provider *provider) {
        if (!provider)
                return;
        if (provider->api_key)
                explicit_bzero(provider->api_key, strlen(provider->api_key));
        free(provider->api_key);
        free(provider->base_url);
        free(provider->name);
        free(provider);
}

static void free_model(struct tk_model *model) {
        if (!model)
                return;
        free(model->id);
        free(model->upstream_id);
        free(model);
}

void tk_catalog_free(struct tk_catalog **catalog) {
        struct catalog *c = (struct catalog *)*catalog;
        if (!c)
                return;
        for (unsigned i = 0; i < c->head.models_nr; i++)
                free_model(c->head.models[i]);
        for (unsigned i = 0; i < c->head.providers_nr; i++)
                free_provider(c->head.providers[i]);
        free(c->head.models);
        free(c->head.providers);
        free(c->slots);
        free(c);
        *catalog = NULL;
}

/* Room for one more pointer in a list that doubles. */
static bool widen(void **list, unsigned nr, unsigned *size) {
        if (nr < *size)
                return true;
        if (*size > UINT32_MAX / 4)
                return false;
        unsigned want = *size ? *size * 2 : 8;
        void *at = realloc(*list, want * sizeof(void *));
        if (!at)
                return false;
        *list = at;
        *size = want;
        return true;
}

/* NULL stays NULL; *ok turns false when memory is out. */
static char *copy(const char *text, bool *ok) {
        char *at = text ? strdup(text) : NULL;
        if (text && !at)
                *ok = false;
        return at;
}

enum tk_err tk_catalog_add_provider(struct tk_catalog *catalog, const struct tk_provider *provider) {
        struct catalog *c = (struct catalog *)catalog;
        bool ok = true;
        MUST(provider->name);
        MUST(provider->base_url);
        if (tk_catalog_provider_get(catalog, provider->name))
                return TK_E_CONFLICT;

        struct tk_provider *mine = malloc(sizeof *mine);
        if (!mine)
                return TK_E_NO_MEMORY;
        *mine = *provider;
        mine->name = copy(provider->name, &ok);
        mine->base_url = copy(provider->base_url, &ok);
        mine->api_key = copy(provider->api_key, &ok);
        void *list = c->head.providers;
        if (!ok || !widen(&list, c->head.providers_nr, &c->providers_size)) {
                free_provider(mine);
                return TK_E_NO_MEMORY;
        }
        c->head.providers = list;
        c->head.providers[c->head.providers_nr++] = mine;
        return TK_OK;
}

/* The slot that holds the id, or the empty one where it belongs. The table has an empty slot. */
static struct slot *find(const struct catalog *c, struct tk_str id) {
        uint32_t hash = hash_of(id);
        for (size_t i = hash & (c->slots_nr - 1);; i = (i + 1) & (c->slots_nr - 1)) {
                struct slot *slot = &c->slots[i];
                if (!slot->position)
                        return slot;
                if (slot->hash == hash && tk_str_is(id, c->head.models[slot->position - 1]->id))
                        return slot;
        }
}

/* Makes room in the index for one more model at half load. */
static bool widen_index(struct catalog *c) {
        size_t nr = c->slots_nr ? c->slots_nr : 16;
        if (c->slots_nr && (c->head.models_nr + 1) * (size_t)2 <= c->slots_nr)
                return true;
        if (c->slots_nr)
                nr *= 2;
        struct slot *slots = calloc(nr, sizeof *slots);
        if (!slots)
                return false;
        free(c->slots);
        c->slots = slots;
        c->slots_nr = nr;
        for (unsigned i = 0; i < c->head.models_nr; i++) {
                struct tk_str id = tk_str_of(c->head.models[i]->id);
                *find(c, id) = (struct slot){hash_of(id), i + 1};
        }
        return true;
}

enum tk_err tk_catalog_add_model(struct tk_catalog *catalog, const struct tk_model *model,
                                 const char *provider_name) {
        struct catalog *c = (struct catalog *)catalog;
        bool ok = true;
        MUST(model->id && model->id[0]);
        MUST((unsigned)model->type < TK_MODEL_TYPE_NR);
        MUST(IMPLIES(model->type == TK_MODEL_TEXT, model->max_output_tokens > 0));
        MUST(IMPLIES(model->priced, tk_price_ok(&model->price)));
        if (tk_catalog_model_get(catalog, tk_str_of(model->id)))
                return TK_E_CONFLICT;
        const struct tk_provider *provider = tk_catalog_provider_get(catalog, provider_name);
        if (!provider)
                return TK_E_NOT_FOUND;

        struct tk_model *mine = malloc(sizeof *mine);
        if (!mine)
                return TK_E_NO_MEMORY;
        *mine = *model;
        mine->provider = provider;
        mine->id = copy(model->id, &ok);
        mine->upstream_id = copy(model->upstream_id, &ok);
        void *list = c->head.models;
        if (!ok || !widen(&list, c->head.models_nr, &c->models_size)) {
                free_model(mine);
                return TK_E_NO_MEMORY;
        }
        c->head.models = list;
        if (!widen_index(c)) {
                free_model(mine);
                return TK_E_NO_MEMORY;
        }
        struct tk_str id = tk_str_of(mine->id);
        *find(c, id) = (struct slot){hash_of(id), c->head.models_nr + 1};
        c->head.models[c->head.models_nr++] = mine;
        return TK_OK;
}

const struct tk_model *tk_catalog_model_get(const struct tk_catalog *catalog, struct tk_str id) {
        const struct catalog *c = (const struct catalog *)catalog;
        if (!c->slots_nr)
                return NULL;
        const struct slot *slot = find(c, id);
        return slot->position ? c->head.models[slot->position - 1] : NULL;
}

const struct tk_provider *tk_catalog_provider_get(const struct tk_catalog *catalog, const char *name) {
        for (unsigned i = 0; i < catalog->providers_nr; i++)
                if (strcmp(catalog->providers[i]->name, name) == 0)
                        return catalog->providers[i];
        return NULL;
}

const char *tk_model_type_name(enum tk_model_type type) {
        MUST((unsigned)type < TK_MODEL_TYPE_NR);
        return type_names[type];
}
