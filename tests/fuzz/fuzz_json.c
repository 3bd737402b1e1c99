/* SPDX-License-Identifier: Apache-2.0
 *
 * json_scan against jansson: both must accept and refuse the same documents, and read the same strings,
 * keys and whole numbers out of them. Known differences, all on purpose:
 *
 *   depth            ours ends at TK_JSON_DEPTH_MAX, which is lower
 *   lone surrogates  jansson refuses "\ud800"; RFC 8259 section 8.2 allows it, we read it as U+FFFD
 *   large numbers    jansson refuses what does not fit its types; we only look at the form
 *   NUL in a key     jansson cannot keep it
 *   a bare NUL byte  jansson passes over some of them, we refuse each
 *
 * jansson sees a surrogate, a large number or such a key only up to its first complaint, so for such a
 * document nothing is compared.
 */
#include "wire/json_scan.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool differs_on_purpose(enum tk_err err, const json_error_t *error) {
        enum json_error_code code = json_error_code(error);
        return err == TK_E_TOO_BIG || code == json_error_stack_overflow ||
               code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
               strstr(error->text, "invalid Unicode") != NULL;
}

static void same_string(struct tk_json ours, const json_t *theirs) {
        char *text = malloc(ours.raw.len);
        size_t len;
        if (!text)
                return;
        if (tk_json_string(ours, text, ours.raw.len, &len) != TK_OK || len != json_string_length(theirs) ||
            memcmp(text, json_string_value(theirs), len) != 0)
                abort();
        free(text);
}

static void same(struct tk_json ours, const json_t *theirs);

/* jansson keeps the last of repeated members, as tk_json_get() does. */
static void same_object(struct tk_json ours, const json_t *theirs) {
        struct tk_json_iter iter = tk_json_each(ours);
        struct tk_str key;
        struct tk_json value;
        const char *name;
        json_t *member;
        size_t distinct = 0, members = 0;
        json_object_foreach((json_t *)theirs, name, member) {
                unsigned count = tk_json_count(ours, name);
                if (count == 0 || !tk_json_get(ours, name, &value))
                        abort();
                distinct += count;
                same(value, member);
        }
        while (tk_json_next(&iter, &key, &value))
                members++;
        if (members != distinct)
                abort();
}

static void same_array(struct tk_json ours, const json_t *theirs) {
        struct tk_json_iter iter = tk_json_each(ours);
        struct tk_str key;
        struct tk_json value;
        size_t n = 0;
        for (; tk_json_next(&iter, &key, &value); n++) {
                if (n >= json_array_size(theirs))
                        abort();
                same(value, json_array_get(theirs, n));
        }
        if (n != json_array_size(theirs))
                abort();
}

static void same(struct tk_json ours, const json_t *theirs) {
        static const int types[][2] = {
                [TK_JSON_NULL] = {JSON_NULL, JSON_NULL},       [TK_JSON_TRUE] = {JSON_TRUE, JSON_TRUE},
                [TK_JSON_FALSE] = {JSON_FALSE, JSON_FALSE},    [TK_JSON_NUMBER] = {JSON_INTEGER, JSON_REAL},
                [TK_JSON_STRING] = {JSON_STRING, JSON_STRING}, [TK_JSON_ARRAY] = {JSON_ARRAY, JSON_ARRAY},
                [TK_JSON_OBJECT] = {JSON_OBJECT, JSON_OBJECT},
        };
        uint64_t number;
        int type = (int)json_typeof(theirs);
        if (type != types[ours.type][0] && type != types[ours.type][1])
                abort();
        if (type == JSON_STRING)
                same_string(ours, theirs);
        if (type == JSON_ARRAY)
                same_array(ours, theirs);
        if (type == JSON_OBJECT)
                same_object(ours, theirs);
        /* "-0" is an integer to jansson and no count to us. */
        if (type == JSON_INTEGER && ours.raw.at[0] != '-')
                if (!tk_json_u64(ours, &number) || number != (uint64_t)json_integer_value(theirs))
                        abort();
        if ((type == JSON_REAL || ours.raw.at[0] == '-') && tk_json_u64(ours, &number))
                abort();
}

/* Reading value by value, as the proxy does, ends in the same answer as checking the whole. */
static void pull_agrees(struct tk_str doc, enum tk_err expected) {
        struct tk_json_pull pull;
        struct tk_json value;
        struct tk_str key;
        tk_json_pull_begin(&pull, doc);
        bool ok = tk_json_pull_value(&pull, &value);
        while (ok && pull.depth > 0 && !pull.err)
                if (tk_json_pull_next(&pull, &key))
                        ok = tk_json_pull_value(&pull, &value);
        if (tk_json_pull_end(&pull) != expected)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct tk_str doc = {(const char *)data, size};
        struct tk_json root;
        json_error_t error = {0};
        size_t at_byte = 0;
        enum tk_err err = tk_json_check(doc, &root, &at_byte);
        if (err && at_byte > size)
                abort();
        pull_agrees(doc, err);
        if (size > 0 && memchr(data, '\0', size)) {
                if (!err)
                        abort();
                return 0;
        }
        json_t *theirs = json_loadb(doc.at, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        if (!theirs && differs_on_purpose(err, &error))
                return 0;
        if ((theirs != NULL) != (err == TK_OK) && err != TK_E_TOO_BIG)
                abort();
        if (theirs && !err)
                same(root, theirs);
        json_decref(theirs);
        return 0;
}
