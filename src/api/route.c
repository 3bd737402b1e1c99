/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

#include <assert.h>
#include <string.h>

static_assert(TK_NEED_NONE == TK_SCOPE_NONE + 2, "a need is its scope's number + 2");

static const char *const method_names[TK_METHOD_NR] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

/* A segment is copied only when it holds an escape; `at` then points into the decoded bytes. */
struct split {
        unsigned nr;
        struct tk_str raw[TK_ROUTE_SEGMENTS_MAX];
};

bool tk_percent_decode(struct tk_str raw, bool plus_is_space, char *out, size_t size, size_t *len) {
        MUST(size > 0);
        size_t n = 0;
        for (size_t i = 0; i < raw.len; i++) {
                char c = raw.at[i];
                if (c == '%') {
                        if (raw.len - i < 3 || tk_hex_digit(raw.at[i + 1]) < 0 ||
                            tk_hex_digit(raw.at[i + 2]) < 0)
                                return false;
                        c = (char)(tk_hex_digit(raw.at[i + 1]) * 16 + tk_hex_digit(raw.at[i + 2]));
                        i += 2;
                } else if (c == '+' && plus_is_space) {
                        c = ' ';
                }
                if (c == '\0' || n == size - 1)
                        return false;
                out[n++] = c;
        }
        out[n] = '\0';
        *len = n;
        return tk_str_utf8_ok((struct tk_str){out, n});
}

/* False: not rooted, or deeper than any path of ours. */
static bool split(struct tk_str path, struct split *out) {
        out->nr = 0;
        if (path.len == 0 || path.at[0] != '/')
                return false;
        for (;;) {
                path = tk_str_skip(path, 1);
                if (out->nr == TK_ROUTE_SEGMENTS_MAX)
                        return false;
                struct tk_str segment = tk_str_head(path, tk_str_find(path, '/'));
                out->raw[out->nr++] = segment;
                path = tk_str_skip(path, segment.len);
                if (path.len == 0)
                        return true;
        }
}

/* The segment with its escapes undone, in `room` when it had any. False: it cannot be a segment. */
static bool clean(struct tk_str raw, char room[TK_ROUTE_ID_MAX + 1], struct tk_str *out) {
        size_t len;
        if (raw.len > 3 * TK_ROUTE_ID_MAX)
                return false;
        if (tk_str_find(raw, '%') == raw.len) {
                *out = raw;
                return raw.len <= TK_ROUTE_ID_MAX && memchr(raw.at, '\0', raw.len) == NULL &&
                       tk_str_utf8_ok(raw);
        }
        if (!tk_percent_decode(raw, false, room, TK_ROUTE_ID_MAX + 1, &len) || memchr(room, '/', len))
                return false;
        *out = (struct tk_str){room, len};
        return true;
}

/*
 * Does the pattern fit? *rank then tells how specific it is: a bit for each static segment, the first one
 * highest, so that the first difference decides, as a reader of the table would. The pattern is walked,
 * not split: most rows differ in their first segments.
 */
static bool fits(const char *pattern, const struct tk_str *segments, unsigned segments_nr, unsigned *rank,
                 unsigned *id_index) {
        *rank = 0;
        *id_index = TK_ROUTE_SEGMENTS_MAX;
        for (unsigned i = 0; i < segments_nr; i++) {
                if (*pattern++ != '/')
                        return false;
                size_t len = strcspn(pattern, "/");
                struct tk_str want = {pattern, len};
                pattern += len;
                if (tk_str_is(want, "{id}")) {
                        if (segments[i].len == 0)
                                return false;
                        *id_index = i;
                } else if (tk_str_eq(want, segments[i])) {
                        *rank |= 1u << (TK_ROUTE_SEGMENTS_MAX - i);
                } else {
                        return false;
                }
        }
        return *pattern == '\0';
}

static bool method_fits(enum tk_method method, struct tk_str text) {
        return tk_str_is(text, method_names[method]) || (method == TK_METHOD_GET && tk_str_is(text, "HEAD"));
}

/* The row whose pattern is the path itself. There is no more specific one, and most requests have it. */
static const char *literal(const struct tk_route *routes, size_t routes_nr, struct tk_str path) {
        for (size_t i = 0; i < routes_nr; i++)
                if (tk_str_is(path, routes[i].path))
                        return strchr(routes[i].path, '{') ? NULL : routes[i].path;
        return NULL;
}

/* The most specific row that fits, and what stands for its {id}. */
static const char *match(const struct tk_route *routes, size_t routes_nr, struct tk_str path,
                         struct tk_route_found *out) {
        struct split raw;
        struct tk_str segments[TK_ROUTE_SEGMENTS_MAX];
        char room[TK_ROUTE_SEGMENTS_MAX][TK_ROUTE_ID_MAX + 1];
        unsigned best_rank = 0, id_index = TK_ROUTE_SEGMENTS_MAX;
        const char *best = NULL;

        if (!split(path, &raw))
                return NULL;
        for (unsigned i = 0; i < raw.nr; i++)
                if (!clean(raw.raw[i], room[i], &segments[i]))
                        return NULL;
        for (size_t i = 0; i < routes_nr; i++) {
                unsigned rank, index;
                if (fits(routes[i].path, segments, raw.nr, &rank, &index) && (!best || rank > best_rank)) {
                        best = routes[i].path;
                        best_rank = rank;
                        id_index = index;
                }
        }
        if (best && id_index < TK_ROUTE_SEGMENTS_MAX) {
                bool fitted = tk_str_copy(segments[id_index], out->id_at, sizeof(out->id_at));
                MUST(fitted);
                out->id = (struct tk_str){out->id_at, segments[id_index].len};
        }
        return best;
}

void tk_route_find(const struct tk_route *routes, size_t routes_nr, struct tk_str method, struct tk_str path,
                   struct tk_route_found *out) {
        *out = (struct tk_route_found){0};
        const char *best = literal(routes, routes_nr, path);
        if (!best)
                best = match(routes, routes_nr, path, out);
        for (size_t i = 0; best && i < routes_nr; i++) {
                if (strcmp(routes[i].path, best) != 0)
                        continue;
                out->allow |= 1u << routes[i].method;
                if (!out->route && method_fits(routes[i].method, method))
                        out->route = &routes[i];
        }
}

void tk_route_allow_text(unsigned allow, char out[64]) {
        size_t n = 0;
        out[0] = '\0';
        for (unsigned m = 0; m < TK_METHOD_NR; m++) {
                if (!(allow & (1u << m)))
                        continue;
                const char *parts[] = {n ? ", " : "", method_names[m], m == TK_METHOD_GET ? ", HEAD" : ""};
                for (unsigned i = 0; i < 3; i++) {
                        size_t len = strlen(parts[i]);
                        MUST(n + len < 64);
                        memcpy(out + n, parts[i], len + 1);
                        n += len;
                }
        }
}

/* "/v1", "/v1/..." and "/v1?..." begin with "/v1"; "/v10" does not. */
static bool under(struct tk_str path, const char *root) {
        size_t n = strlen(root);
        return tk_str_starts(path, root) && (path.len == n || path.at[n] == '/' || path.at[n] == '?');
}

bool tk_route_alias(struct tk_str path, char out[TK_ROUTE_ALIAS_MAX], struct tk_str *alias) {
        if (!tk_str_starts(path, "/v2/") || path.len > TK_ROUTE_ALIAS_MAX)
                return false;
        memcpy(out, path.at, path.len);
        out[2] = '1';
        *alias = (struct tk_str){out, path.len};
        return true;
}

enum tk_dialect_id tk_route_dialect(struct tk_str path) {
        if (under(path, "/api/v1"))
                return TK_DIALECT_VENICE;
        if (under(path, "/v1/api-keys") || under(path, "/v1/admin") || under(path, "/v1/audit-logs") ||
            under(path, "/v2"))
                return TK_DIALECT_PORTKEY;
        if (under(path, "/v1/authorize") || under(path, "/v1/holds") || under(path, "/v1/verify") ||
            under(path, "/v1/ledger"))
                return TK_DIALECT_NATIVE;
        return under(path, "/v1") ? TK_DIALECT_OPENAI : TK_DIALECT_NATIVE;
}

#define OF_KINDS(verb)                                                                                       \
        [TK_NEED_SOME_KEYS_##verb - TK_NEED_SOME_KEYS_LIST] = {                                              \
                [TK_KIND_ADMIN] = TK_SCOPE_ORG_SERVICE_KEYS_##verb,                                          \
                [TK_KIND_INFERENCE] = TK_SCOPE_WS_SERVICE_KEYS_##verb,                                       \
                [TK_KIND_USER] = TK_SCOPE_WS_USER_KEYS_##verb,                                               \
        }

static const enum tk_scope some_keys[TK_NEED_NR - TK_NEED_SOME_KEYS_LIST][TK_KIND_NR] = {
        OF_KINDS(LIST), OF_KINDS(READ), OF_KINDS(UPDATE), OF_KINDS(DELETE)};

enum tk_scope tk_need_scope_of_kind(enum tk_need need, enum tk_key_kind kind) {
        MUST(need >= TK_NEED_SOME_KEYS_LIST && need < TK_NEED_NR);
        MUST((unsigned)kind < TK_KIND_NR);
        return some_keys[need - TK_NEED_SOME_KEYS_LIST][kind];
}

enum tk_scope tk_need_scope_held(enum tk_need need, const struct tk_scopes *held) {
        if (need >= TK_NEED_SOME_KEYS_LIST)
                for (unsigned kind = 0; kind < TK_KIND_NR; kind++)
                        if (tk_scopes_has(held, tk_need_scope_of_kind(need, (enum tk_key_kind)kind)))
                                return tk_need_scope_of_kind(need, (enum tk_key_kind)kind);
        return tk_need_scope(need);
}

enum tk_scope tk_need_scope(enum tk_need need) {
        MUST(need >= TK_NEED_NONE && need < TK_NEED_NR);
        if (need >= TK_NEED_SOME_KEYS_LIST)
                return tk_need_scope_of_kind(need, TK_KIND_ADMIN);
        return (enum tk_scope)(need - TK_NEED_NONE);
}
