/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading goes in two steps. The strict, general one is read_map(): it walks a mapping against the rows of
 * tbl/param.tbl and leaves one value for each row: known, of the right type, within its range, given once,
 * present when needed. The second, take_...(), knows what the values mean together and builds the catalog.
 *
 * Messages show the text of the file and never what an environment variable put into it, and nothing
 * of a secret. All texts of the reader live in one list that is wiped when it is done.
 */
#include "daemon/config.h"

#include "alert/sign.h"
#include "base/buf.h"
#include "core/money.h"
#include "daemon/param.h"
#include "daemon/yaml_tree.h"
#include "service/keymint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES_MAX 65536u  /* of one text after ${NAME} was replaced */
#define STEPS_MAX       200000u /* nodes looked at, aliases counted each time */
#define ENV_NAME_MAX    128
#define WORDS_MAX       4

struct text {
        struct text *next;
        size_t len;
        char at[];
};

struct value {
        bool set;
        unsigned line; /* 0: the default */
        int node;
        struct tk_str text;
        uint64_t count; /* COUNT: the number; CHOICE: which word */
        int64_t nano;   /* MONEY */
        unsigned words_nr;
        unsigned words[WORDS_MAX]; /* WORDS: which */
};

struct reader {
        const char *name;
        char *why;
        size_t why_size;
        const struct tk_yaml *yaml;
        struct text *texts;
        unsigned steps;
};

static const char *const section_names[TK_SECTION_NR] = {
        [TK_SECTION_TOP] = "the file",      [TK_SECTION_PROVIDER] = "a provider",
        [TK_SECTION_MODEL] = "a model",     [TK_SECTION_PRICE] = "a price",
        [TK_SECTION_LONG] = "long_context", [TK_SECTION_ALERTS] = "alerts",
        [TK_SECTION_WEBHOOK] = "webhook",   [TK_SECTION_EMAIL] = "email",
};

/* ---- messages ---- */

static enum tk_err refuse(struct reader *r, enum tk_err err, unsigned line, const char *fmt, ...)
        TK_PRINTF(4, 5);

static enum tk_err refuse(struct reader *r, enum tk_err err, unsigned line, const char *fmt, ...) {
        va_list args;
        int n = line ? snprintf(r->why, r->why_size, "%s:%u: ", r->name, line)
                     : snprintf(r->why, r->why_size, "%s: ", r->name);
        if (n < 0 || (size_t)n >= r->why_size)
                return err;
        va_start(args, fmt);
        vsnprintf(r->why + n, r->why_size - (size_t)n, fmt, args);
        va_end(args);
        return err;
}

static enum tk_err refuse_memory(struct reader *r) {
        return refuse(r, TK_E_NO_MEMORY, 0, "out of memory");
}

/* A text from the file, cut short, for use between quotes; the file holds no control bytes but \n \t. */
struct shown {
        char at[72];
};

static struct shown show(struct tk_str s) {
        struct shown out;
        size_t n = 0;
        for (; n < s.len && n < 60; n++) {
                unsigned char c = (unsigned char)s.at[n];
                out.at[n] = c < 0x20 || c == 0x7F ? ' ' : (char)c;
        }
        while (n < s.len && n > 0 && ((unsigned char)s.at[n] & 0xC0) == 0x80)
                n--; /* not through the middle of a character */
        memcpy(out.at + n, n < s.len ? "..." : "", n < s.len ? 4 : 1);
        return out;
}

/* The keys a section has, for the message about one that it does not have. */
static enum tk_err refuse_unknown(struct reader *r, unsigned line, enum tk_param_section section,
                                  struct tk_str key) {
        char memory[512];
        struct tk_buf known = TK_BUF_OVER(memory);
        const char *near = tk_param_nearest(section, key);
        for (size_t i = 0; i < TK_PARAM_NR; i++)
                if (tk_params[i].section == section)
                        tk_buf_printf(&known, "%s%s", known.len ? ", " : "", tk_params[i].name);
        MUST(tk_buf_ok(&known));
        if (near)
                return refuse(r, TK_E_SYNTAX, line, "unknown key '%s' in %s; did you mean '%s'? Known: %s",
                              show(key).at, section_names[section], near, known.at);
        return refuse(r, TK_E_SYNTAX, line, "unknown key '%s' in %s; known: %s", show(key).at,
                      section_names[section], known.at);
}

/* ---- texts and ${NAME} ---- */

static enum tk_err keep(struct reader *r, struct tk_str s, struct tk_str *out) {
        struct text *text = malloc(sizeof *text + s.len + 1);
        if (!text)
                return refuse_memory(r);
        text->next = r->texts;
        text->len = s.len;
        if (s.len)
                memcpy(text->at, s.at, s.len);
        text->at[s.len] = '\0';
        r->texts = text;
        *out = (struct tk_str){text->at, s.len};
        return TK_OK;
}

static void wipe_texts(struct reader *r) {
        while (r->texts) {
                struct text *text = r->texts;
                r->texts = text->next;
                explicit_bzero(text->at, text->len);
                free(text);
        }
}

static bool is_env_name(struct tk_str name) {
        if (!name.len || name.len >= ENV_NAME_MAX)
                return false;
        for (size_t i = 0; i < name.len; i++) {
                char c = name.at[i];
                bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
                if (!letter && (i == 0 || c < '0' || c > '9'))
                        return false;
        }
        return true;
}

/* rest begins with "${"; puts the variable's value and moves rest behind the '}'. */
static enum tk_err put_variable(struct reader *r, unsigned line, struct tk_str *rest, char *out,
                                size_t *len) {
        char name[ENV_NAME_MAX];
        struct tk_str inside = tk_str_skip(*rest, 2);
        size_t end = tk_str_find(inside, '}');
        struct tk_str text = tk_str_head(inside, end);
        if (end == inside.len || !is_env_name(text))
                return refuse(
                        r, TK_E_SYNTAX, line,
                        "'${' begins the name of an environment variable, as in ${NAME}; write $${ for the "
                        "two characters themselves");
        tk_str_copy(text, name, sizeof name);
        const char *value = getenv(name);
        if (!value)
                return refuse(r, TK_E_NOT_FOUND, line, "the environment variable %s is not set", name);
        size_t n = strlen(value);
        if (n > VALUE_BYTES_MAX - *len)
                return refuse(r, TK_E_TOO_BIG, line, "the value is too long once %s is filled in", name);
        memcpy(out + *len, value, n);
        *len += n;
        *rest = tk_str_skip(inside, end + 1);
        return TK_OK;
}

/* Works in memory that is wiped here, so that no half-built secret is left behind by a growing buffer. */
static enum tk_err expand(struct reader *r, unsigned line, struct tk_str raw, struct tk_str *out) {
        enum tk_err err = TK_OK;
        size_t len = 0;
        struct tk_str rest = raw;
        if (raw.len > VALUE_BYTES_MAX)
                return refuse(r, TK_E_TOO_BIG, line, "the value is longer than %u bytes", VALUE_BYTES_MAX);
        char *at = malloc(VALUE_BYTES_MAX + 1);
        if (!at)
                return refuse_memory(r);
        while (rest.len && err == TK_OK) {
                if (tk_str_starts(rest, "${")) {
                        err = put_variable(r, line, &rest, at, &len);
                        continue;
                }
                if (len == VALUE_BYTES_MAX) {
                        err = refuse(r, TK_E_TOO_BIG, line, "the value is longer than %u bytes",
                                     VALUE_BYTES_MAX);
                        continue;
                }
                size_t skipped = tk_str_starts(rest, "$${") ? 2 : 1;
                at[len++] = rest.at[0];
                rest = tk_str_skip(rest, skipped);
                if (skipped == 2 && len < VALUE_BYTES_MAX) {
                        at[len++] = '{';
                        rest = tk_str_skip(rest, 1);
                }
        }
        if (err == TK_OK)
                err = keep(r, (struct tk_str){at, len}, out);
        explicit_bzero(at, len);
        free(at);
        return err;
}

/* ---- one value ---- */

static const char *type_words(const struct tk_param *param) {
        switch (param->type) {
        case TK_PARAM_COUNT:
                return "a whole number";
        case TK_PARAM_MONEY:
                return "a decimal number, as in 0.15";
        case TK_PARAM_CHOICE:
                return "one of";
        case TK_PARAM_WORDS:
                return "a list of";
        case TK_PARAM_MAP:
                return "a mapping of names to mappings";
        case TK_PARAM_LIST:
                return "a list of mappings";
        case TK_PARAM_GROUP:
                return "a mapping";
        default:
                return "a text";
        }
}

static enum tk_err refuse_type(struct reader *r, const struct tk_param *param, unsigned line,
                               const char *found) {
        bool choice = param->type == TK_PARAM_CHOICE || param->type == TK_PARAM_WORDS;
        return refuse(r, TK_E_SYNTAX, line, "'%s' expects %s%s%s, found %s", param->name, type_words(param),
                      choice ? " " : "", choice ? param->unit : "", found);
}

static enum tk_err read_text(struct reader *r, const struct tk_param *param, struct value *v) {
        struct tk_str s = v->text;
        if (s.len < param->least || s.len > param->most)
                return refuse(r, TK_E_RANGE, v->line, "'%s' has %zu bytes; it may have %llu to %llu",
                              param->name, s.len, (unsigned long long)param->least,
                              (unsigned long long)param->most);
        if (!tk_str_utf8_ok(s))
                return refuse(r, TK_E_SYNTAX, v->line, "'%s' is not valid UTF-8", param->name);
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7F)
                        return refuse(r, TK_E_SYNTAX, v->line,
                                      "'%s' holds a control character (a line end perhaps)", param->name);
        return TK_OK;
}

static enum tk_err read_count(struct reader *r, const struct tk_param *param, struct tk_str raw,
                              struct value *v) {
        bool digits = v->text.len > 0;
        for (size_t i = 0; i < v->text.len; i++)
                digits = digits && v->text.at[i] >= '0' && v->text.at[i] <= '9';
        if (!digits) {
                char found[96];
                snprintf(found, sizeof found, "'%s'", show(raw).at);
                return refuse_type(r, param, v->line, found);
        }
        if (!tk_str_u64(v->text, &v->count) || v->count < param->least || v->count > param->most)
                return refuse(r, TK_E_RANGE, v->line, "'%s' is %s; it may be %llu to %llu %s", param->name,
                              show(raw).at, (unsigned long long)param->least, (unsigned long long)param->most,
                              param->unit);
        return TK_OK;
}

/* Digits, and perhaps a point and one to nine digits: what money_parse takes exactly, without rounding. */
static bool is_exact_decimal(struct tk_str s) {
        size_t point = tk_str_find(s, '.');
        if (point == 0 || point + 1 == s.len || (point < s.len && s.len - point - 1 > 9))
                return false;
        for (size_t i = 0; i < s.len; i++)
                if (i != point && (s.at[i] < '0' || s.at[i] > '9'))
                        return false;
        /* A leading zero has no meaning in a decimal number and another one in YAML 1.1: octal. */
        return point == 1 || s.at[0] != '0';
}

static enum tk_err read_money(struct reader *r, const struct tk_param *param, struct tk_str raw,
                              struct value *v) {
        struct tk_money money;
        char found[128];
        if (v->text.len > 1 && v->text.at[0] == '-' && is_exact_decimal(tk_str_skip(v->text, 1)))
                return refuse(r, TK_E_RANGE, v->line, "'%s' is negative: %s", param->name, show(raw).at);
        if (!is_exact_decimal(v->text)) {
                snprintf(found, sizeof found, "'%s' (at most nine digits after the point)", show(raw).at);
                return refuse_type(r, param, v->line, found);
        }
        enum tk_err err = tk_money_parse(v->text, &money);
        if (err != TK_OK || (uint64_t)money.nano > param->most * (uint64_t)TK_NANO)
                return refuse(r, TK_E_RANGE, v->line, "'%s' is %s; it may be 0 to %llu %s", param->name,
                              show(raw).at, (unsigned long long)param->most, param->unit);
        v->nano = money.nano;
        return TK_OK;
}

static enum tk_err read_choice(struct reader *r, const struct tk_param *param, struct tk_str raw,
                               struct value *v) {
        int which = tk_param_choice(param, v->text);
        if (which < 0) {
                char found[96];
                snprintf(found, sizeof found, "'%s'", show(raw).at);
                return refuse_type(r, param, v->line, found);
        }
        v->count = (uint64_t)which;
        return TK_OK;
}

/* raw is what stands in the file, for messages; v->text and v->line are filled in. */
static enum tk_err read_scalar(struct reader *r, const struct tk_param *param, struct tk_str raw,
                               struct value *v) {
        switch (param->type) {
        case TK_PARAM_TEXT:
        case TK_PARAM_SECRET:
                return read_text(r, param, v);
        case TK_PARAM_COUNT:
                return read_count(r, param, raw, v);
        case TK_PARAM_MONEY:
                return read_money(r, param, raw, v);
        case TK_PARAM_CHOICE:
                return read_choice(r, param, raw, v);
        default:
                MUST(!"a collection is no scalar");
                return TK_E_SYNTAX;
        }
}

static enum tk_err add_word(struct reader *r, const struct tk_param *param, unsigned line, struct tk_str word,
                            struct value *v) {
        int which = tk_param_choice(param, word);
        char found[96];
        snprintf(found, sizeof found, "'%s' in it", show(word).at);
        if (which < 0)
                return refuse_type(r, param, line, found);
        for (unsigned i = 0; i < v->words_nr; i++)
                if (v->words[i] == (unsigned)which)
                        return refuse(r, TK_E_CONFLICT, line, "'%s' names '%s' twice", param->name,
                                      show(word).at);
        MUST(v->words_nr < WORDS_MAX); /* each word once */
        v->words[v->words_nr++] = (unsigned)which;
        return TK_OK;
}

static enum tk_err read_words(struct reader *r, const struct tk_param *param, struct value *v) {
        unsigned size = tk_yaml_kind(r->yaml, v->node) == TK_YAML_LIST ? tk_yaml_size(r->yaml, v->node) : 0;
        enum tk_err err = TK_OK;
        if (tk_yaml_kind(r->yaml, v->node) != TK_YAML_LIST)
                return refuse_type(r, param, v->line,
                                   tk_yaml_kind(r->yaml, v->node) == TK_YAML_MAP ? "a mapping" : "a text");
        if (size < param->least)
                return refuse_type(r, param, v->line, "an empty one");
        for (unsigned i = 0; err == TK_OK && i < size; i++) {
                int item = tk_yaml_item(r->yaml, v->node, i);
                if (tk_yaml_kind(r->yaml, item) != TK_YAML_TEXT)
                        return refuse_type(r, param, tk_yaml_line(r->yaml, item), "something else in it");
                err = add_word(r, param, tk_yaml_line(r->yaml, item), tk_yaml_text(r->yaml, item), v);
        }
        return err;
}

/* "[a, b]", as it would stand in the file. */
static enum tk_err default_words(struct reader *r, const struct tk_param *param, struct value *v) {
        struct tk_str rest = tk_str_skip(v->text, 1);
        enum tk_err err = TK_OK;
        rest = tk_str_head(rest, tk_str_find(rest, ']'));
        while (err == TK_OK && rest.len) {
                size_t end = tk_str_find(rest, ',');
                err = add_word(r, param, 0, tk_str_trim(tk_str_head(rest, end)), v);
                rest = tk_str_skip(rest, end < rest.len ? end + 1 : end);
        }
        return err;
}

/* What YAML 1.1 reads as nothing: most often a key whose value was forgotten. */
static bool is_nothing(const struct tk_yaml *yaml, int node) {
        struct tk_str s = tk_yaml_text(yaml, node);
        return tk_yaml_is_plain(yaml, node) && (s.len == 0 || tk_str_is(s, "~") || tk_str_is(s, "null") ||
                                                tk_str_is(s, "Null") || tk_str_is(s, "NULL"));
}

static enum tk_err read_collection(struct reader *r, const struct tk_param *param, struct value *v) {
        enum tk_yaml_kind want = param->type == TK_PARAM_LIST ? TK_YAML_LIST : TK_YAML_MAP;
        enum tk_yaml_kind kind = tk_yaml_kind(r->yaml, v->node);
        if (kind != want)
                return refuse_type(r, param, v->line,
                                   kind == TK_YAML_LIST  ? "a list"
                                   : kind == TK_YAML_MAP ? "a mapping"
                                                         : "a text");
        unsigned size = tk_yaml_size(r->yaml, v->node);
        if (param->type != TK_PARAM_GROUP && size > param->most)
                return refuse(r, TK_E_RANGE, v->line, "'%s' has %u entries; it may have up to %llu",
                              param->name, size, (unsigned long long)param->most);
        return TK_OK;
}

static enum tk_err read_value(struct reader *r, const struct tk_param *param, int node, struct value *v) {
        enum tk_yaml_kind kind = tk_yaml_kind(r->yaml, node);
        bool collection =
                param->type == TK_PARAM_MAP || param->type == TK_PARAM_LIST || param->type == TK_PARAM_GROUP;
        struct tk_str raw;
        *v = (struct value){.set = true, .line = tk_yaml_line(r->yaml, node), .node = node};
        if (kind == TK_YAML_TEXT && is_nothing(r->yaml, node))
                return refuse_type(r, param, v->line, "nothing");
        if (collection)
                return read_collection(r, param, v);
        if (param->type == TK_PARAM_WORDS)
                return read_words(r, param, v);
        if (kind != TK_YAML_TEXT)
                return refuse_type(r, param, v->line, kind == TK_YAML_LIST ? "a list" : "a mapping");
        raw = tk_yaml_text(r->yaml, node);
        bool filled_in = tk_str_find(raw, '$') < raw.len;
        if ((param->type == TK_PARAM_COUNT || param->type == TK_PARAM_MONEY) && !filled_in &&
            !tk_yaml_is_plain(r->yaml, node))
                return refuse_type(r, param, v->line, "a text in quotes");
        enum tk_err err = expand(r, v->line, raw, &v->text);
        return err == TK_OK ? read_scalar(r, param, raw, v) : err;
}

/* ---- one mapping ---- */

static enum tk_err step(struct reader *r) {
        if (++r->steps > STEPS_MAX)
                return refuse(r, TK_E_TOO_BIG, 0, "more than %u values; are there aliases of aliases?",
                              STEPS_MAX);
        return TK_OK;
}

static enum tk_err read_default(struct reader *r, const struct tk_param *param, struct value *v) {
        *v = (struct value){.text = tk_str_of(param->def)};
        if (param->type == TK_PARAM_WORDS)
                return default_words(r, param, v);
        return param->def[0] ? read_scalar(r, param, v->text, v) : TK_OK;
}

/* Defaults for what is absent, or an error for what is needed. line is that of the mapping. */
static enum tk_err fill_in(struct reader *r, enum tk_param_section section, unsigned line,
                           struct value values[TK_PARAM_NR]) {
        for (size_t i = 0; i < TK_PARAM_NR; i++) {
                const struct tk_param *param = &tk_params[i];
                if (param->section != section || values[i].set)
                        continue;
                if (param->need == TK_PARAM_MUST_HAVE)
                        return refuse(r, TK_E_NOT_FOUND, line, "'%s' is missing in %s", param->name,
                                      section_names[section]);
                enum tk_err err = read_default(r, param, &values[i]);
                if (err != TK_OK)
                        return err;
        }
        return TK_OK;
}

static enum tk_err read_map(struct reader *r, enum tk_param_section section, int map,
                            struct value values[TK_PARAM_NR]) {
        enum tk_err err;
        memset(values, 0, TK_PARAM_NR * sizeof *values);
        for (unsigned i = 0; i < tk_yaml_size(r->yaml, map); i++) {
                int key, node;
                if ((err = step(r)) != TK_OK)
                        return err;
                tk_yaml_pair(r->yaml, map, i, &key, &node);
                unsigned line = tk_yaml_line(r->yaml, key);
                if (tk_yaml_kind(r->yaml, key) != TK_YAML_TEXT)
                        return refuse(r, TK_E_SYNTAX, line, "a key has to be a word");
                struct tk_str name = tk_yaml_text(r->yaml, key);
                const struct tk_param *param = tk_param_get(section, name);
                if (!param)
                        return refuse_unknown(r, line, section, name);
                struct value *v = &values[param - tk_params];
                if (v->set)
                        return refuse(r, TK_E_CONFLICT, line, "'%s' is given twice, first in line %u",
                                      param->name, v->line);
                if ((err = read_value(r, param, node, v)) != TK_OK)
                        return err;
                v->line = line;
        }
        return fill_in(r, section, tk_yaml_line(r->yaml, map), values);
}

/* ---- what the values mean ---- */

static bool is_port(struct tk_str s) {
        uint64_t port;
        return s.len <= 5 && tk_str_u64(s, &port) && port <= 65535;
}

static bool is_host(struct tk_str s) {
        for (size_t i = 0; i < s.len; i++) {
                char c = s.at[i];
                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_'))
                        return false;
        }
        return s.len > 0;
}

/* HOST, HOST:PORT, [v6] or [v6]:PORT; *port is empty when there is none. */
static bool split_address(struct tk_str s, struct tk_str *port) {
        size_t end = tk_str_find(s, ':');
        if (s.len && s.at[0] == '[') {
                size_t close = tk_str_find(s, ']');
                if (close < 3 || close == s.len)
                        return false;
                for (size_t i = 1; i < close; i++)
                        if (!strchr("0123456789abcdefABCDEF:.", s.at[i]))
                                return false;
                end = close + 1;
        } else if (!is_host(tk_str_head(s, end))) {
                return false;
        }
        *port = tk_str_skip(s, end);
        if (port->len == 0)
                return true;
        if (port->at[0] != ':')
                return false;
        *port = tk_str_skip(*port, 1);
        return is_port(*port);
}

static enum tk_err check_listen(struct reader *r, unsigned line, struct tk_str s) {
        struct tk_str port;
        if (!split_address(s, &port) || port.len == 0)
                return refuse(r, TK_E_SYNTAX, line,
                              "'listen' expects HOST:PORT or [IPV6]:PORT, as in 127.0.0.1:8080");
        return TK_OK;
}

static enum tk_err check_store(struct reader *r, unsigned line, struct tk_str s) {
        if (tk_str_is(s, "memory:") || (tk_str_starts(s, "sqlite:") && s.len > strlen("sqlite:")))
                return TK_OK;
        return refuse(r, TK_E_SYNTAX, line, "'store' expects sqlite:PATH or memory:");
}

static enum tk_err check_prefix(struct reader *r, unsigned line, struct tk_str s) {
        char prefix[TK_KEY_PREFIX_MAX + 1];
        if (tk_key_mint_prefix(s.at, TK_KIND_INFERENCE, prefix))
                return TK_OK;
        return refuse(r, TK_E_SYNTAX, line,
                      "'key_prefix' expects up to %d of a-z, 0-9 and _, beginning with a letter",
                      TK_KEY_PREFIX_BASE_MAX);
}

/* Checks, and takes trailing slashes off. */
static enum tk_err check_url(struct reader *r, unsigned line, struct tk_str *url) {
        struct tk_str rest = *url, port;
        if (tk_str_starts(rest, "http://"))
                rest = tk_str_skip(rest, strlen("http://"));
        else if (tk_str_starts(rest, "https://"))
                rest = tk_str_skip(rest, strlen("https://"));
        else
                return refuse(r, TK_E_SYNTAX, line, "'base_url' has to begin with http:// or https://");
        for (size_t i = 0; i < rest.len; i++) {
                if (rest.at[i] == '?' || rest.at[i] == '#')
                        return refuse(r, TK_E_SYNTAX, line, "'base_url' may have no query and no fragment");
                if (rest.at[i] == ' ' || rest.at[i] == '\\' || (unsigned char)rest.at[i] >= 0x80)
                        return refuse(r, TK_E_SYNTAX, line,
                                      "'base_url' holds a character that has to be percent-encoded");
        }
        struct tk_str host = tk_str_head(rest, tk_str_find(rest, '/'));
        if (tk_str_find(host, '@') < host.len)
                return refuse(r, TK_E_SYNTAX, line, "'base_url' may hold no password; use 'api_key'");
        if (!split_address(host, &port))
                return refuse(r, TK_E_SYNTAX, line,
                              "'base_url' expects a host, as in https://api.example.com/v1");
        while (url->len && url->at[url->len - 1] == '/')
                url->len--;
        return TK_OK;
}

static enum tk_err take_rates(struct reader *r, const struct value values[TK_PARAM_NR], bool is_long,
                              bool has_output, unsigned line, struct tk_rates *out) {
        const struct value *input = &values[is_long ? TK_PARAM_LONG_input : TK_PARAM_PRICE_input];
        const struct value *output = &values[is_long ? TK_PARAM_LONG_output : TK_PARAM_PRICE_output];
        const struct value *read = &values[is_long ? TK_PARAM_LONG_cache_input : TK_PARAM_PRICE_cache_input];
        const struct value *write = &values[is_long ? TK_PARAM_LONG_cache_write : TK_PARAM_PRICE_cache_write];
        if (has_output && !output->set)
                return refuse(r, TK_E_NOT_FOUND, line, "'output' is missing in %s; a text model needs one",
                              section_names[is_long ? TK_SECTION_LONG : TK_SECTION_PRICE]);
        *out = (struct tk_rates){
                .input = input->nano,
                .output = output->set ? output->nano : 0,
                .cache_input = read->set ? read->nano : TK_RATE_NONE,
                .cache_write = write->set ? write->nano : TK_RATE_NONE,
        };
        return TK_OK;
}

static enum tk_err take_price(struct reader *r, const struct value *price, bool has_output,
                              struct tk_price *out) {
        struct value values[TK_PARAM_NR], longer[TK_PARAM_NR];
        unsigned line = tk_yaml_line(r->yaml, price->node);
        enum tk_err err = read_map(r, TK_SECTION_PRICE, price->node, values);
        if (err == TK_OK)
                err = take_rates(r, values, false, has_output, line, &out->base);
        const struct value *group = &values[TK_PARAM_PRICE_long_context];
        if (err != TK_OK || !group->set)
                return err;
        line = tk_yaml_line(r->yaml, group->node);
        err = read_map(r, TK_SECTION_LONG, group->node, longer);
        if (err == TK_OK)
                err = take_rates(r, longer, true, has_output, line, &out->longer);
        if (err == TK_OK)
                out->longer_above = longer[TK_PARAM_LONG_above].count;
        return err;
}

static const char *text_or_null(const struct value *v) {
        return v->set ? v->text.at : NULL;
}

static enum tk_err take_model(struct reader *r, int node, struct tk_catalog *catalog) {
        struct value values[TK_PARAM_NR];
        struct tk_model model = {.type = TK_MODEL_TEXT};
        unsigned line = tk_yaml_line(r->yaml, node);
        if (tk_yaml_kind(r->yaml, node) != TK_YAML_MAP)
                return refuse(r, TK_E_SYNTAX, line, "an entry of 'models' has to be a mapping");
        enum tk_err err = read_map(r, TK_SECTION_MODEL, node, values);
        if (err != TK_OK)
                return err;
        model.id = (char *)text_or_null(&values[TK_PARAM_MODEL_id]);
        model.upstream_id = (char *)text_or_null(&values[TK_PARAM_MODEL_upstream_id]);
        model.type = values[TK_PARAM_MODEL_type].count == 0 ? TK_MODEL_TEXT : TK_MODEL_EMBEDDING;
        model.is_private = values[TK_PARAM_MODEL_privacy].count == 0;
        model.max_output_tokens = values[TK_PARAM_MODEL_max_output_tokens].count;
        model.context_tokens = values[TK_PARAM_MODEL_context_tokens].count;
        model.priced = values[TK_PARAM_MODEL_price].set;
        if (model.type == TK_MODEL_TEXT && model.max_output_tokens == 0)
                return refuse(r, TK_E_NOT_FOUND, line,
                              "'max_output_tokens' is missing in a model; a text model needs it, because it "
                              "bounds what a call can cost");
        if (model.priced) {
                err = take_price(r, &values[TK_PARAM_MODEL_price], model.type == TK_MODEL_TEXT, &model.price);
                if (err != TK_OK)
                        return err;
                MUST(tk_price_ok(&model.price));
        }
        const struct value *provider = &values[TK_PARAM_MODEL_provider];
        err = tk_catalog_add_model(catalog, &model, provider->text.at);
        if (err == TK_E_CONFLICT)
                return refuse(r, err, values[TK_PARAM_MODEL_id].line, "the model '%s' is there twice",
                              show(tk_yaml_text(r->yaml, values[TK_PARAM_MODEL_id].node)).at);
        if (err == TK_E_NOT_FOUND)
                return refuse(r, err, provider->line, "there is no provider '%s' under 'providers'",
                              show(tk_yaml_text(r->yaml, provider->node)).at);
        return err == TK_OK ? TK_OK : refuse_memory(r);
}

static bool is_provider_name(struct tk_str name) {
        for (size_t i = 0; i < name.len; i++) {
                char c = name.at[i];
                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      ((c == '.' || c == '-' || c == '_') && i > 0)))
                        return false;
        }
        return name.len > 0 && name.len <= tk_params[TK_PARAM_MODEL_provider].most;
}

static enum tk_err take_provider(struct reader *r, int key, int node, struct tk_catalog *catalog) {
        struct value values[TK_PARAM_NR];
        unsigned line = tk_yaml_line(r->yaml, key);
        enum tk_err err = step(r);
        if (err != TK_OK)
                return err;
        if (tk_yaml_kind(r->yaml, key) != TK_YAML_TEXT || !is_provider_name(tk_yaml_text(r->yaml, key)))
                return refuse(r, TK_E_SYNTAX, line,
                              "the name of a provider expects up to 64 of a-z, A-Z, 0-9, '.', '-' and '_'");
        struct tk_str name = tk_yaml_text(r->yaml, key);
        if (tk_yaml_kind(r->yaml, node) != TK_YAML_MAP)
                return refuse(r, TK_E_SYNTAX, line, "the provider '%s' has to be a mapping", show(name).at);
        if ((err = read_map(r, TK_SECTION_PROVIDER, node, values)) != TK_OK)
                return err;
        struct value *url = &values[TK_PARAM_PROVIDER_base_url];
        if ((err = check_url(r, url->line, &url->text)) != TK_OK)
                return err;
        if ((err = keep(r, url->text, &url->text)) != TK_OK || (err = keep(r, name, &name)) != TK_OK)
                return err;
        struct tk_provider provider = {
                .name = (char *)name.at,
                .base_url = (char *)url->text.at,
                .api_key = (char *)text_or_null(&values[TK_PARAM_PROVIDER_api_key]),
                .connect_ms = (unsigned)values[TK_PARAM_PROVIDER_connect_ms].count,
                .first_byte_ms = (unsigned)values[TK_PARAM_PROVIDER_first_byte_ms].count,
                .idle_ms = (unsigned)values[TK_PARAM_PROVIDER_idle_ms].count,
        };
        err = tk_catalog_add_provider(catalog, &provider);
        if (err == TK_E_CONFLICT)
                return refuse(r, err, line, "the provider '%s' is there twice", show(name).at);
        return err == TK_OK ? TK_OK : refuse_memory(r);
}

static enum tk_err take_catalog(struct reader *r, const struct value values[TK_PARAM_NR],
                                struct tk_catalog *catalog) {
        const struct value *providers = &values[TK_PARAM_TOP_providers],
                           *models = &values[TK_PARAM_TOP_models];
        enum tk_err err = TK_OK;
        for (unsigned i = 0; providers->set && err == TK_OK && i < tk_yaml_size(r->yaml, providers->node);
             i++) {
                int key, node;
                tk_yaml_pair(r->yaml, providers->node, i, &key, &node);
                err = take_provider(r, key, node, catalog);
        }
        for (unsigned i = 0; models->set && err == TK_OK && i < tk_yaml_size(r->yaml, models->node); i++) {
                err = step(r);
                if (err == TK_OK)
                        err = take_model(r, tk_yaml_item(r->yaml, models->node, i), catalog);
        }
        return err;
}

/* ---- alerts ---- */

static enum tk_err check_channel_url(struct reader *r, const struct value *v, const char *name,
                                     const char *plain, const char *tls) {
        struct tk_str rest = v->text, port;
        if (tk_str_starts(rest, plain))
                rest = tk_str_skip(rest, strlen(plain));
        else if (tk_str_starts(rest, tls))
                rest = tk_str_skip(rest, strlen(tls));
        else
                return refuse(r, TK_E_SYNTAX, v->line, "'%s' has to begin with %s or %s", name, plain, tls);
        bool printable = true;
        for (size_t i = 0; i < rest.len; i++)
                printable = printable && rest.at[i] > ' ' && rest.at[i] <= '~' && rest.at[i] != '@';
        size_t end = 0;
        while (end < rest.len && rest.at[end] != '/' && rest.at[end] != '?')
                end++;
        if (printable && split_address(tk_str_head(rest, end), &port))
                return TK_OK;
        return refuse(r, TK_E_SYNTAX, v->line, "'%s' expects a host after %s, and holds no password", name,
                      tls);
}

/* A copy that the configuration owns; NULL for what is not set. */
static bool take_copy(const struct value *v, char **out) {
        *out = v->set ? strdup(v->text.at) : NULL;
        return *out || !v->set;
}

static enum tk_err take_webhook(struct reader *r, const struct value *group, struct tk_alert_channels *out) {
        struct value values[TK_PARAM_NR];
        enum tk_err err = read_map(r, TK_SECTION_WEBHOOK, group->node, values);
        const struct value *url = &values[TK_PARAM_WEBHOOK_url], *secret = &values[TK_PARAM_WEBHOOK_secret];
        if (err == TK_OK)
                err = check_channel_url(r, url, "url", "http://", "https://");
        if (err != TK_OK)
                return err;
        if (!tk_webhook_secret_ok(secret->text))
                return refuse(r, TK_E_SYNTAX, secret->line, "'secret' expects base64 after whsec_");
        return take_copy(url, &out->webhook_url) && take_copy(secret, &out->webhook_secret)
                       ? TK_OK
                       : refuse_memory(r);
}

static enum tk_err take_address(struct reader *r, const struct value *v, const char *name, struct tk_str text,
                                char out[TK_EMAIL_MAX + 1]) {
        if (tk_email_parse(tk_str_trim(text), out) == TK_OK)
                return TK_OK;
        return refuse(r, TK_E_SYNTAX, v->line, "'%s' expects %s such as ops@example.com", name,
                      strcmp(name, "to") == 0 ? "addresses, with commas between them," : "an address");
}

static enum tk_err take_addresses(struct reader *r, const struct value *v, struct tk_alert_channels *out) {
        struct tk_str rest = v->text;
        for (;;) {
                size_t end = tk_str_find(rest, ',');
                if (out->to_nr == TK_ALERT_TO_MAX)
                        return refuse(r, TK_E_RANGE, v->line, "'to' has more than %d addresses",
                                      TK_ALERT_TO_MAX);
                enum tk_err err = take_address(r, v, "to", tk_str_head(rest, end), out->to[out->to_nr++]);
                if (err != TK_OK || end == rest.len)
                        return err;
                rest = tk_str_skip(rest, end + 1);
        }
}

static enum tk_err take_email(struct reader *r, const struct value *group, struct tk_alert_channels *out) {
        struct value values[TK_PARAM_NR];
        enum tk_err err = read_map(r, TK_SECTION_EMAIL, group->node, values);
        const struct value *url = &values[TK_PARAM_EMAIL_smtp_url], *from = &values[TK_PARAM_EMAIL_from];
        if (err == TK_OK)
                err = check_channel_url(r, url, "smtp_url", "smtp://", "smtps://");
        if (err == TK_OK)
                err = take_address(r, from, "from", from->text, out->from);
        if (err == TK_OK)
                err = take_addresses(r, &values[TK_PARAM_EMAIL_to], out);
        if (err != TK_OK)
                return err;
        if (values[TK_PARAM_EMAIL_password].set && !values[TK_PARAM_EMAIL_user].set)
                return refuse(r, TK_E_NOT_FOUND, values[TK_PARAM_EMAIL_password].line,
                              "'user' is missing in email; a password is somebody's");
        out->smtp_plain = values[TK_PARAM_EMAIL_tls].count == 1;
        return take_copy(url, &out->smtp_url) && take_copy(&values[TK_PARAM_EMAIL_user], &out->smtp_user) &&
                               take_copy(&values[TK_PARAM_EMAIL_password], &out->smtp_password)
                       ? TK_OK
                       : refuse_memory(r);
}

static enum tk_err take_alerts(struct reader *r, const struct value *group, struct tk_alert_channels *out) {
        struct value values[TK_PARAM_NR] = {0};
        enum tk_err err = group->set ? read_map(r, TK_SECTION_ALERTS, group->node, values)
                                     : fill_in(r, TK_SECTION_ALERTS, 0, values);
        if (err != TK_OK)
                return err;
        out->retry_ms = (unsigned)values[TK_PARAM_ALERTS_retry_ms].count;
        if (values[TK_PARAM_ALERTS_webhook].set)
                err = take_webhook(r, &values[TK_PARAM_ALERTS_webhook], out);
        if (err == TK_OK && values[TK_PARAM_ALERTS_email].set)
                err = take_email(r, &values[TK_PARAM_ALERTS_email], out);
        return err;
}

/* An environment variable in the place of a key of the file. */
static enum tk_err override(struct reader *r, const char *variable, enum tk_param_id id,
                            struct value values[TK_PARAM_NR]) {
        const char *text = getenv(variable);
        struct reader named = *r;
        struct value v = {.set = true, .text = tk_str_of(text)};
        if (!text)
                return TK_OK;
        named.name = variable;
        enum tk_err err = read_text(&named, &tk_params[id], &v);
        if (err == TK_OK && id == TK_PARAM_TOP_listen)
                err = check_listen(&named, 0, v.text);
        if (err == TK_OK && id == TK_PARAM_TOP_store)
                err = check_store(&named, 0, v.text);
        values[id] = v;
        return err;
}

static enum tk_err take_texts(struct reader *r, struct value values[TK_PARAM_NR], struct tk_config *config) {
        struct value *listen = &values[TK_PARAM_TOP_listen], *store = &values[TK_PARAM_TOP_store];
        const struct value *prefix = &values[TK_PARAM_TOP_key_prefix];
        enum tk_err err = check_listen(r, listen->line, listen->text);
        if (err == TK_OK)
                err = check_store(r, store->line, store->text);
        if (err == TK_OK)
                err = check_prefix(r, prefix->line, prefix->text);
        if (err == TK_OK)
                err = override(r, "TOLLKEY_LISTEN", TK_PARAM_TOP_listen, values);
        if (err == TK_OK)
                err = override(r, "TOLLKEY_STORE", TK_PARAM_TOP_store, values);
        if (err != TK_OK)
                return err;
        config->listen = strdup(listen->text.at);
        config->store = strdup(store->text.at);
        config->key_prefix = strdup(prefix->text.at);
        return config->listen && config->store && config->key_prefix ? TK_OK : refuse_memory(r);
}

static void take_counts(const struct value values[TK_PARAM_NR], struct tk_config *config) {
        config->loops = (unsigned)values[TK_PARAM_TOP_loops].count;
        config->header_bytes_max = values[TK_PARAM_TOP_header_bytes_max].count;
        config->body_bytes_max = values[TK_PARAM_TOP_body_bytes_max].count;
        config->bodies_bytes_max = values[TK_PARAM_TOP_bodies_bytes_max].count;
        config->connections_max = (unsigned)values[TK_PARAM_TOP_connections_max].count;
        config->header_ms = (unsigned)values[TK_PARAM_TOP_header_ms].count;
        config->body_ms = (unsigned)values[TK_PARAM_TOP_body_ms].count;
        config->idle_ms = (unsigned)values[TK_PARAM_TOP_idle_ms].count;
        config->write_ms = (unsigned)values[TK_PARAM_TOP_write_ms].count;
        config->stop_ms = (unsigned)values[TK_PARAM_TOP_stop_ms].count;
        config->hold_output_tokens = (unsigned)values[TK_PARAM_TOP_hold_output_tokens].count;
        config->audit_days = (unsigned)values[TK_PARAM_TOP_audit_days].count;
}

static void take_spend_order(const struct value *words, struct tk_config *config) {
        static const enum tk_meter meters[] = {TK_METER_USD, TK_METER_DIEM}; /* in the order of the row */
        for (unsigned i = 0; i < words->words_nr; i++) {
                MUST(words->words[i] < sizeof meters / sizeof *meters);
                config->spend_order.of[config->spend_order.nr++] = meters[words->words[i]];
        }
}

/* ---- the whole ---- */

static enum tk_err take_all(struct reader *r, struct tk_config *config) {
        struct value values[TK_PARAM_NR] = {0};
        int root = r->yaml ? tk_yaml_root(r->yaml) : 0;
        enum tk_err err;
        if (root && tk_yaml_kind(r->yaml, root) == TK_YAML_TEXT && is_nothing(r->yaml, root))
                root = 0; /* "---" and no more */
        if (root && tk_yaml_kind(r->yaml, root) != TK_YAML_MAP)
                return refuse(r, TK_E_SYNTAX, tk_yaml_line(r->yaml, root),
                              "the file has to be a mapping, as in 'listen: 127.0.0.1:8080'");
        if (root)
                err = read_map(r, TK_SECTION_TOP, root, values);
        else
                err = fill_in(r, TK_SECTION_TOP, 0, values);
        if (err == TK_OK)
                err = take_texts(r, values, config);
        if (err != TK_OK)
                return err;
        take_counts(values, config);
        take_spend_order(&values[TK_PARAM_TOP_spend_order], config);
        err = take_alerts(r, &values[TK_PARAM_TOP_alerts], &config->alerts);
        if (err != TK_OK)
                return err;
        config->catalog = tk_catalog_new();
        return config->catalog ? take_catalog(r, values, config->catalog) : refuse_memory(r);
}

static enum tk_err build(struct reader *r, struct tk_config **out) {
        struct tk_config *config = calloc(1, sizeof *config);
        enum tk_err err = config ? take_all(r, config) : refuse_memory(r);
        wipe_texts(r);
        if (err != TK_OK)
                tk_config_free(&config);
        *out = config;
        return err;
}

enum tk_err tk_config_parse(const char *name, struct tk_str text, struct tk_config **out, char *why,
                            size_t why_size) {
        struct tk_yaml *yaml;
        MUST(why_size > 0);
        *out = NULL;
        why[0] = '\0';
        enum tk_err err = tk_yaml_parse(name, text, &yaml, why, why_size);
        if (err != TK_OK)
                return err;
        struct reader r = {.name = name, .why = why, .why_size = why_size, .yaml = yaml};
        err = build(&r, out);
        tk_yaml_free(&yaml);
        return err;
}

/* The whole file, in memory of a fixed size so that no copy is left behind by growing. */
static enum tk_err slurp(struct reader *r, FILE *file, char *at, size_t size, size_t *len) {
        *len = fread(at, 1, size, file);
        if (ferror(file))
                return refuse(r, TK_E_IO, 0, "%s", strerror(errno));
        if (*len == size)
                return refuse(r, TK_E_TOO_BIG, 0, "larger than %u bytes", TK_YAML_BYTES_MAX);
        return TK_OK;
}

enum tk_err tk_config_load(const char *path, struct tk_config **out, char *why, size_t why_size) {
        struct reader r = {.name = path ? path : "defaults", .why = why, .why_size = why_size};
        size_t size = TK_YAML_BYTES_MAX + 1, len = 0;
        MUST(why_size > 0);
        *out = NULL;
        why[0] = '\0';
        if (!path)
                return build(&r, out);
        FILE *file = fopen(path, "rbe");
        if (!file)
                return refuse(&r, errno == ENOENT ? TK_E_NOT_FOUND : TK_E_IO, 0, "%s", strerror(errno));
        char *at = malloc(size);
        enum tk_err err = at ? slurp(&r, file, at, size, &len) : refuse_memory(&r);
        fclose(file);
        if (err == TK_OK)
                err = tk_config_parse(path, (struct tk_str){at, len}, out, why, why_size);
        if (at)
                explicit_bzero(at, len);
        free(at);
        return err;
}

enum tk_err tk_config_set_listen(struct tk_config *config, const char *listen, char *why, size_t why_size) {
        struct reader r = {.name = "--listen", .why = why, .why_size = why_size};
        enum tk_err err = check_listen(&r, 0, tk_str_of(listen));
        if (err != TK_OK)
                return err;
        char *copy = strdup(listen);
        if (!copy)
                return refuse_memory(&r);
        free(config->listen);
        config->listen = copy;
        return TK_OK;
}

void tk_config_free(struct tk_config **config) {
        struct tk_config *c = *config;
        if (!c)
                return;
        tk_catalog_free(&c->catalog);
        tk_alert_channels_free(&c->alerts);
        free(c->listen);
        free(c->store);
        free(c->key_prefix);
        free(c);
        *config = NULL;
}
