/* SPDX-License-Identifier: Apache-2.0 */
#include "api/check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tk_check {
        json_t *document;
        const json_t *secret; /* in the document, or NULL */
        struct tk_issues issues;
};

/* The library's own text may quote the document, which may hold a secret; so only its code is used. */
static const char *reason(enum json_error_code code) {
        switch (code) {
        case json_error_premature_end_of_input:
                return "it ends too early";
        case json_error_end_of_input_expected:
                return "something follows the value";
        case json_error_invalid_utf8:
                return "it is not UTF-8";
        case json_error_null_character:
        case json_error_null_byte_in_key:
                return "it contains a NUL character";
        case json_error_duplicate_key:
                return "a member is given twice";
        case json_error_numeric_overflow:
                return "a number is too large to be read";
        case json_error_stack_overflow:
                return "it is nested too deeply";
        default:
                return "it is not valid JSON there";
        }
}

TK_CHECKED static enum tk_err parse(struct tk_str text, json_t **out, char why[TK_CHECK_WHY_MAX]) {
        json_error_t error;
        const char *bytes = text.len ? text.at : "";
        *out = NULL;
        /* The library passes over some bare NUL bytes; JSON has none anywhere (RFC 8259 section 2). */
        if (memchr(bytes, '\0', text.len)) {
                snprintf(why, TK_CHECK_WHY_MAX, "Line 1, byte %zu: %s.", tk_str_find(text, '\0') + 1,
                         reason(json_error_null_character));
                return TK_E_SYNTAX;
        }
        *out = json_loadb(bytes, text.len, JSON_REJECT_DUPLICATES, &error);
        /*
         * An integer beyond 64 bits stops the library, though it is good JSON and the member's own maximum
         * should answer it. Read again with all integers as doubles: those within any of our bounds stay
         * exact.
         */
        if (!*out && json_error_code(&error) == json_error_numeric_overflow)
                *out = json_loadb(bytes, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
        if (*out)
                return TK_OK;
        if (json_error_code(&error) == json_error_out_of_memory)
                return TK_E_NO_MEMORY;
        snprintf(why, TK_CHECK_WHY_MAX, "Line %d, column %d: %s.", error.line, error.column,
                 reason(json_error_code(&error)));
        return TK_E_SYNTAX;
}

enum tk_err tk_check_open(struct tk_str text, struct tk_check **out, char why[TK_CHECK_WHY_MAX]) {
        *out = NULL;
        why[0] = '\0';
        struct tk_check *check = calloc(1, sizeof(*check));
        if (!check)
                return TK_E_NO_MEMORY;
        enum tk_err err = parse(text, &check->document, why);
        if (err != TK_OK) {
                free(check);
                return err;
        }
        *out = check;
        return TK_OK;
}

void tk_check_free(struct tk_check **check) {
        if (!*check)
                return;
        if ((*check)->secret)
                explicit_bzero((char *)(uintptr_t)json_string_value((*check)->secret),
                               json_string_length((*check)->secret));
        json_decref((*check)->document);
        tk_issues_free(&(*check)->issues);
        free(*check);
        *check = NULL;
}

struct tk_issues *tk_check_issues(struct tk_check *check) {
        return &check->issues;
}

bool tk_check_ok(const struct tk_check *check) {
        return check->issues.nr == 0;
}

struct tk_issue_path tk_check_path(const struct tk_check_object *in, const char *name) {
        return in->name ? (struct tk_issue_path){{in->name, name}} : (struct tk_issue_path){{name}};
}

static const char *type_name(const json_t *value) {
        if (!value)
                return "undefined";
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return "object";
        case JSON_ARRAY:
                return "array";
        case JSON_STRING:
                return "string";
        case JSON_INTEGER:
        case JSON_REAL:
                return "number";
        case JSON_TRUE:
        case JSON_FALSE:
                return "boolean";
        case JSON_NULL:
                return "null";
        }
        return "unknown";
}

bool tk_check_root(struct tk_check *check, struct tk_check_object *out) {
        *out = (struct tk_check_object){.json = check->document};
        if (json_is_object(check->document))
                return true;
        tk_issue_type(&check->issues, (struct tk_issue_path){{NULL}}, "object", type_name(check->document));
        return false;
}

/* The member's value or NULL; either way it counts as one that is known. */
static const json_t *ask(struct tk_check_object *in, const char *name) {
        MUST(in->known_nr < sizeof(in->known) / sizeof(in->known[0]));
        in->known[in->known_nr++] = name;
        return json_object_get(in->json, name);
}

/* ABSENT and NULL as the flags allow; GOOD means that there is a value to look at. */
static enum tk_seen present(const json_t *value, unsigned flags) {
        if (!value)
                return flags & TK_CHECK_REQUIRED ? TK_SEEN_BAD : TK_SEEN_ABSENT;
        if (json_is_null(value))
                return flags & TK_CHECK_NULLABLE ? TK_SEEN_NULL : TK_SEEN_BAD;
        return TK_SEEN_GOOD;
}

static struct tk_str text_of(const json_t *string) {
        return (struct tk_str){json_string_value(string), json_string_length(string)};
}

enum tk_seen tk_check_text(struct tk_check *check, struct tk_check_object *in, const char *name,
                           unsigned flags, size_t units_max, struct tk_str *out) {
        const json_t *value = ask(in, name);
        enum tk_seen seen = present(value, flags);
        if (seen == TK_SEEN_ABSENT || seen == TK_SEEN_NULL)
                return seen;
        if (!json_is_string(value)) {
                tk_issue_type(&check->issues, tk_check_path(in, name), "string", type_name(value));
                return TK_SEEN_BAD;
        }
        *out = text_of(value);
        if (units_max && tk_str_utf16_len(*out) > units_max) {
                tk_issue_text_long(&check->issues, tk_check_path(in, name), units_max);
                return TK_SEEN_BAD;
        }
        return TK_SEEN_GOOD;
}

enum tk_seen tk_check_secret(struct tk_check *check, struct tk_check_object *in, const char *name,
                             unsigned flags, struct tk_str *out) {
        enum tk_seen seen = tk_check_text(check, in, name, flags, 0, out);
        if (seen == TK_SEEN_GOOD)
                check->secret = json_object_get(in->json, name);
        return seen;
}

enum tk_seen tk_check_choice(struct tk_check *check, struct tk_check_object *in, const char *name,
                             unsigned flags, const char *const *names, size_t nr, unsigned *index) {
        const json_t *value = ask(in, name);
        enum tk_seen seen = present(value, flags);
        if (seen == TK_SEEN_ABSENT || seen == TK_SEEN_NULL)
                return seen;
        if (!json_is_string(value)) {
                tk_issue_enum_type(&check->issues, tk_check_path(in, name), names, nr, type_name(value));
                return TK_SEEN_BAD;
        }
        for (size_t i = 0; i < nr; i++) {
                if (tk_str_is(text_of(value), names[i])) {
                        *index = (unsigned)i;
                        return TK_SEEN_GOOD;
                }
        }
        tk_issue_enum(&check->issues, tk_check_path(in, name), names, nr, text_of(value));
        return TK_SEEN_BAD;
}

enum tk_seen tk_check_object(struct tk_check *check, struct tk_check_object *in, const char *name,
                             unsigned flags, struct tk_check_object *out) {
        const json_t *value = ask(in, name);
        enum tk_seen seen = present(value, flags);
        MUST(in->name == NULL);
        if (seen == TK_SEEN_ABSENT || seen == TK_SEEN_NULL)
                return seen;
        if (!json_is_object(value)) {
                tk_issue_type(&check->issues, tk_check_path(in, name), "object", type_name(value));
                return TK_SEEN_BAD;
        }
        *out = (struct tk_check_object){.json = value, .name = name};
        return TK_SEEN_GOOD;
}

enum tk_seen tk_check_bool(struct tk_check *check, struct tk_check_object *in, const char *name,
                           unsigned flags, bool *out) {
        const json_t *value = ask(in, name);
        enum tk_seen seen = present(value, flags);
        if (seen == TK_SEEN_ABSENT || seen == TK_SEEN_NULL)
                return seen;
        if (!json_is_boolean(value)) {
                tk_issue_type(&check->issues, tk_check_path(in, name), "boolean", type_name(value));
                return TK_SEEN_BAD;
        }
        *out = json_is_true(value);
        return TK_SEEN_GOOD;
}

enum tk_seen tk_check_free_object(struct tk_check *check, struct tk_check_object *in, const char *name,
                                  unsigned flags, char *out, size_t size) {
        const json_t *value = ask(in, name);
        enum tk_seen seen = present(value, flags);
        MUST(size > 0);
        if (seen == TK_SEEN_ABSENT || seen == TK_SEEN_NULL)
                return seen;
        if (!json_is_object(value)) {
                tk_issue_type(&check->issues, tk_check_path(in, name), "object", type_name(value));
                return TK_SEEN_BAD;
        }
        size_t len = json_dumpb(value, out, size - 1, JSON_COMPACT);
        if (len == 0 || len > size - 1) {
                out[0] = '\0';
                tk_issue_say(&check->issues, tk_check_path(in, name), "custom", "Too large");
                return TK_SEEN_BAD;
        }
        out[len] = '\0';
        return TK_SEEN_GOOD;
}

enum tk_seen tk_check_array(struct tk_check *check, struct tk_check_object *in, const char *name,
                            unsigned flags, struct tk_check_array *out) {
        const json_t *value = ask(in, name);
        enum tk_seen seen = present(value, flags);
        if (seen == TK_SEEN_ABSENT || seen == TK_SEEN_NULL)
                return seen;
        if (!json_is_array(value)) {
                tk_issue_type(&check->issues, tk_check_path(in, name), "array", type_name(value));
                return TK_SEEN_BAD;
        }
        *out = (struct tk_check_array){.json = value, .name = name, .nr = json_array_size(value)};
        return TK_SEEN_GOOD;
}

bool tk_check_item_text(struct tk_check *check, const struct tk_check_array *in, size_t i,
                        struct tk_str *out) {
        const json_t *value = json_array_get(in->json, i);
        if (!json_is_string(value)) {
                tk_issue_type(&check->issues, (struct tk_issue_path){{in->name}}, "string", type_name(value));
                return false;
        }
        *out = text_of(value);
        return true;
}

bool tk_check_item_object(struct tk_check *check, const struct tk_check_array *in, size_t i,
                          struct tk_check_object *out) {
        const json_t *value = json_array_get(in->json, i);
        if (!json_is_object(value)) {
                tk_issue_type(&check->issues, (struct tk_issue_path){{in->name}}, "object", type_name(value));
                return false;
        }
        *out = (struct tk_check_object){.json = value, .name = in->name};
        return true;
}

/* The shortest decimal text that reads back as v; 17 digits always do (IEEE 754 binary64). */
static void shortest(double v, char *out, size_t size) {
        for (int digits = 15; digits <= 17; digits++) {
                snprintf(out, size, "%.*g", digits, v);
                if (strtod(out, NULL) == v)
                        return;
        }
}

/* The decimal text of a number or, where it may be one, of a string. False: it is neither. */
static bool amount_text(const json_t *value, unsigned flags, char *out, size_t size) {
        if (json_is_integer(value))
                snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else if (json_is_real(value))
                shortest(json_real_value(value), out, size);
        else
                return flags & TK_CHECK_CHARGE && json_is_string(value) &&
                       tk_str_copy(text_of(value), out, size);
        return true;
}

static enum tk_err amount_parse(enum tk_meter meter, unsigned flags, const char *text, uint64_t *out) {
        if (flags & TK_CHECK_CHARGE && tk_meter_is_money(meter))
                return tk_nano_parse_up(tk_str_of(text), out);
        return tk_cap_parse(meter, tk_str_of(text), out);
}

enum tk_seen tk_check_amount(struct tk_check *check, struct tk_check_object *in, const char *name,
                             unsigned flags, enum tk_meter meter, uint64_t units_max, uint64_t *out) {
        const json_t *value = ask(in, name);
        enum tk_seen seen = present(value, flags);
        struct tk_issue_path path = tk_check_path(in, name);
        char text[64];
        uint64_t most;
        if (seen == TK_SEEN_ABSENT || seen == TK_SEEN_NULL)
                return seen;
        if (!amount_text(value, flags, text, sizeof text)) {
                tk_issue_type(&check->issues, path, "number", type_name(value));
                return TK_SEEN_BAD;
        }
        bool overflow =
                __builtin_mul_overflow(units_max, tk_meter_is_money(meter) ? (uint64_t)TK_NANO : 1, &most);
        MUST(!overflow);
        enum tk_err err = amount_parse(meter, flags, text, out);
        if (text[0] == '-' && err != TK_OK) {
                tk_issue_number_small(&check->issues, path, 0);
                return TK_SEEN_BAD;
        }
        if (err == TK_E_OVERFLOW || (err == TK_OK && *out > most)) {
                tk_issue_number_large(&check->issues, path, units_max);
                return TK_SEEN_BAD;
        }
        if (err == TK_OK)
                return TK_SEEN_GOOD;
        if (json_is_string(value))
                tk_issue_type(&check->issues, path, "decimal", "string");
        else /* a fraction of what is only counted whole */
                tk_issue_type(&check->issues, path, "integer", "float");
        return TK_SEEN_BAD;
}

const char *tk_check_peek(struct tk_check_object *in, const char *name, struct tk_str *text) {
        const json_t *value = ask(in, name);
        *text = json_is_string(value) ? text_of(value) : (struct tk_str){0};
        return type_name(value);
}

static bool is_known(const struct tk_check_object *in, const char *name) {
        for (unsigned i = 0; i < in->known_nr; i++)
                if (strcmp(in->known[i], name) == 0)
                        return true;
        return false;
}

void tk_check_closed(struct tk_check *check, struct tk_check_object *in) {
        struct tk_issue_path path = {{in->name}};
        size_t nr = 0, most = json_object_size(in->json);
        struct tk_str *keys = most ? calloc(most, sizeof(*keys)) : NULL;
        const char *key;
        json_t *value;
        if (most == 0)
                return;
        json_object_foreach((json_t *)(uintptr_t)in->json, key, value) {
                if (!is_known(in, key) && keys)
                        keys[nr++] = tk_str_of(key);
        }
        if (!keys)
                tk_issue_say(&check->issues, path, "custom", "Out of memory");
        else if (nr)
                tk_issue_unknown_keys(&check->issues, path, keys, nr);
        free(keys);
}
