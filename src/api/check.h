/* SPDX-License-Identifier: Apache-2.0
 *
 * check: reads a small closed JSON body member by member and collects what is wrong with it.
 *
 * A reader asks for each member it knows; what is missing, of a wrong type or out of bounds becomes an issue
 * (issues.h) and the asking goes on, so that a caller learns of all mistakes at once. At the end
 * tk_check_closed() makes an issue of the members that nobody asked for. The JSON library is named in
 * check.c only. Strict: one object, no duplicate members, no NUL, valid UTF-8, nothing after it.
 *
 * Numbers: an integer is exact. Any other number is the double nearest to it, in the shortest decimal form
 * that reads back as that double (what a client's own library would print; RFC 8259 section 6 promises no
 * more), and that text becomes an exact amount, cut toward zero after the ninth decimal.
 *
 * Pure but for malloc; any thread.
 */
#ifndef TK_API_CHECK_H
#define TK_API_CHECK_H

#include "api/issues.h"
#include "base/err.h"
#include "core/limit.h"

struct tk_check;

struct tk_check_object {
        const void *json;
        const char *name; /* its member name in the root; NULL: it is the root */
        unsigned known_nr;
        const char *known[16]; /* the members that were asked for */
};

/* Why a text is no JSON object document: a sentence with line and column, without a byte of the text. */
#define TK_CHECK_WHY_MAX 160

/* SYNTAX: why is filled in. NO_MEMORY. The text need not live on. */
TK_CHECKED enum tk_err tk_check_open(struct tk_str text, struct tk_check **out, char why[TK_CHECK_WHY_MAX]);
void tk_check_free(struct tk_check **check);
struct tk_issues *tk_check_issues(struct tk_check *check);
bool tk_check_ok(const struct tk_check *check); /* no issue so far */
/* False: the document is not an object; that is an issue then. */
bool tk_check_root(struct tk_check *check, struct tk_check_object *out);

enum tk_seen { TK_SEEN_ABSENT, TK_SEEN_NULL, TK_SEEN_GOOD, TK_SEEN_BAD };

#define TK_CHECK_REQUIRED 1u /* ABSENT is an issue */
#define TK_CHECK_NULLABLE 2u /* null is fine: NULL; otherwise it is an issue */
#define TK_CHECK_CHARGE                                                                                      \
        4u /* of an amount: a charge. Also as decimal text, and a part of a nano counts as one */

/* Text lives as long as the check. units_max counts UTF-16 code units; 0: no bound. */
enum tk_seen tk_check_text(struct tk_check *check, struct tk_check_object *in, const char *name,
                           unsigned flags, size_t units_max, struct tk_str *out);
/* The same without a bound, for a text that must not stay in memory: it is wiped when the check is freed. One
 * member of a document. */
enum tk_seen tk_check_secret(struct tk_check *check, struct tk_check_object *in, const char *name,
                             unsigned flags, struct tk_str *out);
enum tk_seen tk_check_choice(struct tk_check *check, struct tk_check_object *in, const char *name,
                             unsigned flags, const char *const *names, size_t nr, unsigned *index);
enum tk_seen tk_check_object(struct tk_check *check, struct tk_check_object *in, const char *name,
                             unsigned flags, struct tk_check_object *out);
enum tk_seen tk_check_bool(struct tk_check *check, struct tk_check_object *in, const char *name,
                           unsigned flags, bool *out);
/* An object of any content, as compact JSON of less than `size` bytes. */
enum tk_seen tk_check_free_object(struct tk_check *check, struct tk_check_object *in, const char *name,
                                  unsigned flags, char *out, size_t size);

struct tk_check_array {
        const void *json;
        const char *name; /* of the member; the path of its items, too */
        size_t nr;
};

enum tk_seen tk_check_array(struct tk_check *check, struct tk_check_object *in, const char *name,
                            unsigned flags, struct tk_check_array *out);
/* The i-th item, or an issue and false. */
bool tk_check_item_text(struct tk_check *check, const struct tk_check_array *in, size_t i,
                        struct tk_str *out);
bool tk_check_item_object(struct tk_check *check, const struct tk_check_array *in, size_t i,
                          struct tk_check_object *out);
/* 0 <= amount <= units_max whole units. */
enum tk_seen tk_check_amount(struct tk_check *check, struct tk_check_object *in, const char *name,
                             unsigned flags, enum tk_meter meter, uint64_t units_max, uint64_t *out);
/* No rule but the caller's: the type's name ("undefined" when absent), and the text of a string. */
const char *tk_check_peek(struct tk_check_object *in, const char *name, struct tk_str *text);
void tk_check_closed(struct tk_check *check, struct tk_check_object *in);
/* The path of a member, for the caller's own issues. name is static. */
struct tk_issue_path tk_check_path(const struct tk_check_object *in, const char *name);

#endif
