/* SPDX-License-Identifier: Apache-2.0
 *
 * route: which row of tbl/route.tbl answers a method and a path. Pure; any thread.
 *
 * A path is split at '/', each segment is percent-decoded once and compared whole. What cannot be
 * one clean segment after decoding (a NUL, a '/', a broken escape, bytes that are not UTF-8) is no path of
 * ours, so the answer is "unknown", never a guess. Nothing is normalised: "/a/", "//a" and "/a/../b" are
 * simply other paths. When a static and an {id} pattern both fit, the static one is the path; its
 * methods alone decide between an answer and 405.
 */
#ifndef TK_API_ROUTE_H
#define TK_API_ROUTE_H

#include "base/must.h"
#include "base/str.h"
#include "core/scope.h"

struct tk_api_call;
typedef void tk_api_handler_f(struct tk_api_call *c);

enum tk_method {
        TK_METHOD_GET,
        TK_METHOD_POST,
        TK_METHOD_PUT,
        TK_METHOD_PATCH,
        TK_METHOD_DELETE,
        TK_METHOD_NR
};

/* What a route asks of its caller: nothing, nothing but welcome, or a scope (the scope's number + 2). */
enum tk_need {
        TK_NEED_ANYONE,
        TK_NEED_GUEST,
#define TK_SCOPE(symbol, name, kinds, may, about) TK_NEED_##symbol,
#include "scope.tbl"
        /* One of three rights: which, depends on the kind of the key that it is about. The router lets pass
         * who holds any of them, and the handler asks for the one. */
        TK_NEED_SOME_KEYS_LIST,
        TK_NEED_SOME_KEYS_READ,
        TK_NEED_SOME_KEYS_UPDATE,
        TK_NEED_SOME_KEYS_DELETE,
        TK_NEED_NR
};

/* GATEWAY is how Portkey's data plane speaks: the OpenAI routes, to a caller who came with its header. */
enum tk_dialect_id {
        TK_DIALECT_VENICE,
        TK_DIALECT_OPENAI,
        TK_DIALECT_NATIVE,
        TK_DIALECT_PORTKEY,
        TK_DIALECT_GATEWAY,
        TK_DIALECT_NR
};

struct tk_route {
        enum tk_method method;
        const char *path;
        enum tk_need need;
        enum tk_dialect_id dialect;
        tk_api_handler_f *handler;
        const char *about;
};

#define TK_ROUTE_SEGMENTS_MAX 8
#define TK_ROUTE_ID_MAX       256 /* longest {id}, decoded */

struct tk_route_found {
        const struct tk_route *route; /* NULL: no such path, or no such method when allow is not 0 */
        unsigned allow;               /* bit (1 << tk_method) for each method of the path */
        struct tk_str id;             /* the decoded {id}; points into id_at, or is empty */
        char id_at[TK_ROUTE_ID_MAX + 1];
};

/* Rows of one path must stand together or apart, but write it alike. HEAD finds GET. */
void tk_route_find(const struct tk_route *routes, size_t routes_nr, struct tk_str method, struct tk_str path,
                   struct tk_route_found *out);
/* "GET, HEAD, POST" of a set of methods, in the order of enum tk_method. */
void tk_route_allow_text(unsigned allow, char out[64]);
/* "/v2/x" as "/v1/x": Portkey's documents call the same routes by both (portkey sheet 0). False: it is none.
 */
#define TK_ROUTE_ALIAS_MAX 1024
bool tk_route_alias(struct tk_str path, char out[TK_ROUTE_ALIAS_MAX], struct tk_str *alias);
/* The dialect in which a path that may be unknown, or unreadable, is answered: by its first segments. */
enum tk_dialect_id tk_route_dialect(struct tk_str path);
/* One segment or query value: %XX undone. False: broken escape, NUL, not UTF-8, or too long for out. */
TK_CHECKED bool tk_percent_decode(struct tk_str raw, bool plus_is_space, char *out, size_t size, size_t *len);
/* The scope of a need that is neither ANYONE nor GUEST. */
enum tk_scope tk_need_scope(enum tk_need need);
/* The same for a caller who holds these: of several rights one that he has, if there is one. */
enum tk_scope tk_need_scope_held(enum tk_need need, const struct tk_scopes *held);
/* The one of SOME_... that is about keys of this kind. */
enum tk_scope tk_need_scope_of_kind(enum tk_need need, enum tk_key_kind kind);

#endif
