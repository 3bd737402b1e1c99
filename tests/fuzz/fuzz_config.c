/* SPDX-License-Identifier: Apache-2.0
 *
 * config: any bytes as tollkey.yaml. What is accepted keeps what the rest of the program relies on; what
 * is refused says so under the file's name; neither leaks. The environment is the same in every run.
 */
#include "daemon/config.h"

#include "core/keyfmt.h"
#include "service/keymint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_model(const struct tk_catalog *catalog, const struct tk_model *model) {
        MUST(model->id[0] && strlen(model->id) <= 128);
        MUST(tk_str_utf8_ok(tk_str_of(model->id)));
        MUST(tk_catalog_model_get(catalog, tk_str_of(model->id)) == model);
        MUST(tk_catalog_provider_get(catalog, model->provider->name) == model->provider);
        MUST(IMPLIES(model->type == TK_MODEL_TEXT, model->max_output_tokens > 0));
        MUST(IMPLIES(model->priced, tk_price_ok(&model->price)));
}

static void check_config(const struct tk_config *config) {
        char prefix[TK_KEY_PREFIX_MAX + 1];
        MUST(strrchr(config->listen, ':'));
        MUST(strcmp(config->store, "memory:") == 0 || strncmp(config->store, "sqlite:", 7) == 0);
        MUST(tk_key_mint_prefix(config->key_prefix, TK_KIND_ADMIN, prefix));
        MUST(config->header_bytes_max >= 1024);
        MUST(config->hold_output_tokens > 0);
        for (unsigned i = 0; i < config->catalog->providers_nr; i++) {
                const struct tk_provider *p = config->catalog->providers[i];
                size_t len = strlen(p->base_url);
                MUST(strncmp(p->base_url, "http", 4) == 0);
                MUST(p->base_url[len - 1] != '/');
                MUST(!strpbrk(p->base_url, " \r\n\t?#"));
                MUST(IMPLIES(p->api_key, p->api_key[0] && !strpbrk(p->api_key, "\r\n")));
        }
        for (unsigned i = 0; i < config->catalog->models_nr; i++)
                check_model(config->catalog, config->catalog->models[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct tk_config *config;
        char why[256];
        unsetenv("TOLLKEY_LISTEN");
        unsetenv("TOLLKEY_STORE");
        setenv("DEMO_KEY", "demo-secret", 1);
        enum tk_err err = tk_config_parse("fuzz.yaml", (struct tk_str){(const char *)data, size}, &config,
                                          why, sizeof why);
        if (err == TK_OK) {
                check_config(config);
        } else {
                MUST(!config);
                MUST(strncmp(why, "fuzz.yaml:", 10) == 0);
                MUST(tk_str_starts(tk_str_skip(tk_str_of(why), 10), " ") ||
                     (why[10] >= '1' && why[10] <= '9'));
        }
        tk_config_free(&config);
        return 0;
}
