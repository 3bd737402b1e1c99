/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog: the providers and models that can be called, and their prices. Immutable after it was
 * built; shared by all threads.
 */
#ifndef TK_SERVICE_CATALOG_H
#define TK_SERVICE_CATALOG_H

#include "base/err.h"
#include "core/price.h"

enum tk_model_type { TK_MODEL_TEXT, TK_MODEL_EMBEDDING, TK_MODEL_TYPE_NR };

struct tk_provider {
        char *name;
        char *base_url; /* "http://127.0.0.1:9090/v1", without a trailing slash */
        char *api_key;  /* the provider's secret, may be NULL; wiped when freed, never logged */
        unsigned connect_ms, first_byte_ms, idle_ms; /* 0: the default of upstream.h */
};

struct tk_model {
        char *id;          /* what clients send */
        char *upstream_id; /* what the provider is sent; NULL: the same */
        const struct tk_provider *provider;
        enum tk_model_type type;
        bool priced;                /* false: no price is known, so it is never called */
        bool is_private;            /* Private, TEE or E2EE (venice sheet 0.3) */
        uint64_t max_output_tokens; /* most that one call may produce; > 0 for text */
        uint64_t context_tokens;    /* 0: not stated */
        struct tk_price price;
};

struct tk_catalog {
        unsigned providers_nr, models_nr;
        struct tk_provider **providers;
        struct tk_model **models; /* in the order of the configuration */
};

struct tk_catalog *tk_catalog_new(void); /* NULL: out of memory */
void tk_catalog_free(struct tk_catalog **catalog);
/* Copies everything. CONFLICT: that name or id is there; NOT_FOUND: no such provider; NO_MEMORY. */
TK_CHECKED enum tk_err tk_catalog_add_provider(struct tk_catalog *catalog,
                                               const struct tk_provider *provider);
TK_CHECKED enum tk_err tk_catalog_add_model(struct tk_catalog *catalog, const struct tk_model *model,
                                            const char *provider_name);
/* Exact match on the id; NULL: unknown. Any thread. */
const struct tk_model *tk_catalog_model_get(const struct tk_catalog *catalog, struct tk_str id);
const struct tk_provider *tk_catalog_provider_get(const struct tk_catalog *catalog, const char *name);
const char *tk_model_type_name(enum tk_model_type type); /* "text", "embedding" */

#endif
