/* SPDX-License-Identifier: Apache-2.0
 *
 * `config check` reads as the server would; `config template` writes what the rows of tbl/param.tbl say.
 */
#include "cli/grammar.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "daemon/param.h"
#include "wire/json_write.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 100

/* ---- check ---- */

static void put_warning(const struct tk_model *model, void *ctx) {
        tk_jw_text(ctx, model->id);
}

static void note_warning(const struct tk_model *model, void *ctx) {
        char clean[160];
        TK_UNUSED(ctx);
        tk_note("warning: the model '%s' has no price, so it is never called",
                tk_printable(model->id, clean, sizeof clean));
}

static void each_unpriced(const struct tk_catalog *catalog, void (*each)(const struct tk_model *, void *),
                          void *ctx) {
        for (unsigned i = 0; i < catalog->models_nr; i++)
                if (!catalog->models[i]->priced)
                        each(catalog->models[i], ctx);
}

static int check_json(const char *path, const struct tk_config *config, const char *why) {
        struct tk_buf buf = TK_BUF(4u << 20);
        struct tk_jw w = tk_jw_begin(&buf);
        tk_jw_object(&w);
        tk_jw_key(&w, "ok");
        tk_jw_bool(&w, config != NULL);
        tk_jw_key(&w, "file");
        tk_jw_text(&w, path);
        if (config) {
                tk_jw_key(&w, "listen");
                tk_jw_text(&w, config->listen);
                tk_jw_key(&w, "store");
                tk_jw_text(&w, config->store);
                tk_jw_key(&w, "providers");
                tk_jw_u64(&w, config->catalog->providers_nr);
                tk_jw_key(&w, "models");
                tk_jw_u64(&w, config->catalog->models_nr);
                tk_jw_key(&w, "models_without_price");
                tk_jw_array(&w);
                each_unpriced(config->catalog, put_warning, &w);
                tk_jw_end(&w);
        } else {
                tk_jw_key(&w, "error");
                tk_jw_text(&w, why);
        }
        tk_jw_end(&w);
        return tk_print_buf(&buf);
}

int tk_cmd_config_check(const struct tk_cmd_line *line) {
        const char *path = tk_settings_path(line);
        struct tk_config *config;
        char why[1024] = "";
        int code = TK_EXIT_OK;
        bool ok = tk_config_load(path, &config, why, sizeof why) == TK_OK;
        if (line->opt[TK_OPT_json]) {
                code = check_json(path, config, why);
        } else if (ok) {
                each_unpriced(config->catalog, note_warning, NULL);
                printf("%s: ok, %u providers, %u models, store %s\n", path ? path : "built-in defaults",
                       config->catalog->providers_nr, config->catalog->models_nr, config->store);
        } else {
                tk_fail("%s", why);
        }
        tk_config_free(&config);
        return ok ? code : TK_EXIT_FAILED;
}

/* ---- template ---- */

/* The help of a row as comment lines, indented. */
static void print_comment(int indent, const char *text) {
        struct tk_str rest = tk_str_of(text);
        while (rest.len) {
                size_t room = (size_t)(WIDTH - indent - 4), end = rest.len;
                if (end > room)
                        for (end = room; end > 0 && rest.at[end] != ' ';)
                                end--;
                if (end == 0)
                        end = tk_str_find(rest, ' ');
                printf("%*s# %.*s\n", indent, "", (int)end, rest.at);
                rest = tk_str_skip(rest, end);
                while (rest.len && rest.at[0] == ' ')
                        rest = tk_str_skip(rest, 1);
        }
}

static void print_range(const struct tk_param *param, char out[160]) {
        out[0] = '\0';
        if (param->type == TK_PARAM_COUNT || param->type == TK_PARAM_MONEY)
                snprintf(out, 160, "%llu to %llu %s", (unsigned long long)param->least,
                         (unsigned long long)param->most, param->unit);
        else if (param->unit[0])
                snprintf(out, 160, "%s", param->unit);
}

/* The rows of a section; with dash, the first begins an entry of a list. A set-off default is commented out.
 */
static void print_section(enum tk_param_section section, int indent, bool dash, const char *off) {
        char range[160];
        for (size_t i = 0; i < TK_PARAM_NR; i++) {
                const struct tk_param *param = &tk_params[i];
                if (param->section != section)
                        continue;
                print_range(param, range);
                printf("%s", section == TK_SECTION_TOP ? "\n" : "");
                print_comment(indent + (dash ? 2 : 0), param->help);
                if (range[0])
                        printf("%*s# (%s)\n", indent + (dash ? 2 : 0), "", range);
                const char *value = param->example[0] ? param->example : param->def;
                printf("%s%*s%s%s:%s%s\n", off, indent, "", dash ? "- " : "", param->name,
                       value[0] ? " " : "", value);
                if (dash)
                        indent += 2;
                dash = false;
                if (i == TK_PARAM_TOP_providers) {
                        printf("%s  example:\n", off);
                        print_section(TK_SECTION_PROVIDER, 4, false, off);
                } else if (i == TK_PARAM_TOP_models) {
                        print_section(TK_SECTION_MODEL, 2, true, off);
                } else if (i == TK_PARAM_MODEL_price) {
                        print_section(TK_SECTION_PRICE, indent + 2, false, off);
                } else if (i == TK_PARAM_PRICE_long_context) {
                        print_section(TK_SECTION_LONG, indent + 2, false, off);
                } else if (i == TK_PARAM_TOP_alerts) {
                        print_section(TK_SECTION_ALERTS, 2, false, off);
                } else if (i == TK_PARAM_ALERTS_webhook) {
                        print_section(TK_SECTION_WEBHOOK, 4, false, off);
                } else if (i == TK_PARAM_ALERTS_email) {
                        print_section(TK_SECTION_EMAIL, 4, false, off);
                }
        }
}

static const char *const type_names[] = {
        [TK_PARAM_TEXT] = "text",   [TK_PARAM_SECRET] = "secret", [TK_PARAM_COUNT] = "count",
        [TK_PARAM_MONEY] = "money", [TK_PARAM_CHOICE] = "choice", [TK_PARAM_WORDS] = "words",
        [TK_PARAM_MAP] = "map",     [TK_PARAM_LIST] = "list",     [TK_PARAM_GROUP] = "group",
};

static const char *const section_names[TK_SECTION_NR] = {
        [TK_SECTION_TOP] = "",
        [TK_SECTION_PROVIDER] = "providers.*",
        [TK_SECTION_MODEL] = "models[]",
        [TK_SECTION_PRICE] = "models[].price",
        [TK_SECTION_LONG] = "models[].price.long_context",
        [TK_SECTION_ALERTS] = "alerts",
        [TK_SECTION_WEBHOOK] = "alerts.webhook",
        [TK_SECTION_EMAIL] = "alerts.email",
};

static int template_json(void) {
        struct tk_buf buf = TK_BUF(1u << 20);
        struct tk_jw w = tk_jw_begin(&buf);
        tk_jw_object(&w);
        tk_jw_key(&w, "params");
        tk_jw_array(&w);
        for (size_t i = 0; i < TK_PARAM_NR; i++) {
                const struct tk_param *param = &tk_params[i];
                const char *const cells[][2] = {
                        {"in", section_names[param->section]},
                        {"name", param->name},
                        {"type", type_names[param->type]},
                        {"default", param->def[0] ? param->def : NULL},
                        {"unit", param->unit},
                        {"help", param->help},
                };
                tk_jw_object(&w);
                for (size_t j = 0; j < sizeof cells / sizeof *cells; j++) {
                        tk_jw_key(&w, cells[j][0]);
                        tk_jw_text(&w, cells[j][1]);
                }
                tk_jw_key(&w, "required");
                tk_jw_bool(&w, param->need == TK_PARAM_MUST_HAVE);
                tk_jw_key(&w, "least");
                tk_jw_u64(&w, param->least);
                tk_jw_key(&w, "most");
                tk_jw_u64(&w, param->most);
                tk_jw_end(&w);
        }
        tk_jw_end(&w);
        tk_jw_end(&w);
        return tk_print_buf(&buf);
}

int tk_cmd_config_template(const struct tk_cmd_line *line) {
        if (line->opt[TK_OPT_json])
                return template_json();
        printf("# tollkey.yaml: every key with its default or an example, all commented out. Take the\n"
               "# first '#' off the lines that you want. ${NAME} in a value stands for an environment "
               "variable,\n"
               "# $${ for the two characters.\n");
        print_section(TK_SECTION_TOP, 0, false, "#");
        return TK_EXIT_OK;
}
