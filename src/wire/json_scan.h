/* SPDX-License-Identifier: Apache-2.0
 *
 * json_scan: a strict JSON reader (RFC 8259) that finds things without building a tree.
 *
 * The proxy must change a few bytes of a request body and leave all others as they are, so it needs
 * positions; and it reads every event of a stream, so it must not allocate. A library that builds
 * a tree gives neither. Management bodies are read with the library instead.
 * Strict: UTF-8 only, no trailing bytes, no control characters in strings, no leading zeros, depth
 * up to TK_JSON_DEPTH_MAX. Pure; any thread.
 *
 * Two ways to read: tk_json_check() once and then look things up in what was checked; or
 * tk_json_pull, which checks while it goes and so needs one pass, for the events of a stream.
 */
#ifndef TK_WIRE_JSON_SCAN_H
#define TK_WIRE_JSON_SCAN_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"

#define TK_JSON_DEPTH_MAX 64

enum tk_json_type {
        TK_JSON_NULL,
        TK_JSON_TRUE,
        TK_JSON_FALSE,
        TK_JSON_NUMBER,
        TK_JSON_STRING,
        TK_JSON_ARRAY,
        TK_JSON_OBJECT
};

struct tk_json {
        enum tk_json_type type;
        struct tk_str raw; /* the value's bytes in the document: a string with its quotes */
};

/*
 * Reading and checking in one pass. Failure is sticky, so a reader is written without a check per
 * line and tested once, at its end:
 *
 *      tk_json_pull_begin(&pull, doc);
 *      if (tk_json_pull_value(&pull, &v) && v.type == TK_JSON_OBJECT)
 *              while (tk_json_pull_next(&pull, &key))
 *                      tk_json_pull_skip(&pull, &v);           (or _value, then deeper)
 *      return tk_json_pull_end(&pull);
 *
 * After _value gave an object or array, _next must be called until it is false, or _leave.
 */
struct tk_json_pull {
        const char *from, *at, *end;
        uint64_t objects; /* bit d: the container at depth d is an object */
        unsigned depth;   /* open containers */
        bool first;       /* the innermost container has had no member yet */
        size_t text_len;  /* bytes of the last string value with its escapes undone */
        enum tk_err err;  /* SYNTAX or TOO_BIG: then at is where */
};
void tk_json_pull_begin(struct tk_json_pull *pull, struct tk_str doc);
/* Reads a scalar, or enters a container (raw is then only its bracket). False after a failure. */
bool tk_json_pull_value(struct tk_json_pull *pull, struct tk_json *value);
/* To the next member or element of the innermost container, whose value must be read next. False: the
 * container has ended and is left, or a failure. Keys as in tk_json_next(). */
bool tk_json_pull_next(struct tk_json_pull *pull, struct tk_str *key);
/* Reads a value with all that is in it; raw is the whole. False after a failure. */
bool tk_json_pull_skip(struct tk_json_pull *pull, struct tk_json *value);
/* Reads the rest of the container that _value entered last. */
void tk_json_pull_leave(struct tk_json_pull *pull);
/* Only white space may be left. Gives the first failure. */
TK_CHECKED enum tk_err tk_json_pull_end(struct tk_json_pull *pull);

/* Checks the whole document and gives its root. SYNTAX: *at_byte (may be NULL) is where; TOO_BIG: too deep.
 */
TK_CHECKED enum tk_err tk_json_check(struct tk_str doc, struct tk_json *root, size_t *at_byte);

/* Iteration over a checked object's members or array's elements, in document order. */
struct tk_json_iter {
        struct tk_str rest;
        bool object;
};
struct tk_json_iter tk_json_each(struct tk_json container); /* an object or an array */
/* key: raw bytes between the quotes, escapes not undone; empty for arrays. False at the end. */
bool tk_json_next(struct tk_json_iter *iter, struct tk_str *key, struct tk_json *value);
/* The LAST member of that name (as most parsers resolve duplicates); escapes in keys are undone for
 * the comparison. False: not an object or no such member. */
bool tk_json_get(struct tk_json object, const char *name, struct tk_json *out);
/* How many members have this name. */
unsigned tk_json_count(struct tk_json object, const char *name);
bool tk_json_key_spells(struct tk_str key, const char *name); /* tk_json_key_is, the long way */
/* Does this raw key (from an iterator) spell name, escapes undone? An escape is longer than what it means. */
static inline bool tk_json_key_is(struct tk_str key, const char *name) {
        size_t len = strlen(name);
        return key.len > len ? tk_json_key_spells(key, name) : tk_str_eq(key, (struct tk_str){name, len});
}
/* A string value's text with escapes undone, NUL-terminated; SYNTAX: not a string; TOO_BIG: does not fit.
 * A lone surrogate becomes U+FFFD. */
TK_CHECKED enum tk_err tk_json_string(struct tk_json value, char *out, size_t size, size_t *len);
/* A number that is a non-negative integer within 64 bits ("12", not "12.0"). */
bool tk_json_u64(struct tk_json value, uint64_t *out);
bool tk_json_is_true(struct tk_json value);

#endif
