/* SPDX-License-Identifier: Apache-2.0
 *
 * The content of an object is cut at its commas into pieces, one for each member with the white
 * space on both sides. Kept pieces are joined by commas again, so an object without edits comes
 * out as it was. The white space after the last kept member is held back until it is known whether
 * something follows, because what is appended goes in front of it.
 *
 *      { "a" : 1 , "b":2
 *      }
 *       ^^^^^^^^^ ^^^^^^  two pieces; the second ends in a line end that stays before the brace
 */
#include "wire/splice.h"

#include "wire/json_scan.h"

#define EDITS_MAX 64

struct splicer {
        struct tk_buf *out;
        bool too_big;       /* the buffer refused a write because of its max, not for want of memory */
        bool some;          /* a member has been written */
        struct tk_str held; /* white space after the last kept member */
};

static void put(struct splicer *s, struct tk_str text) {
        if (tk_buf_ok(s->out) && text.len > s->out->max - s->out->len)
                s->too_big = true;
        tk_buf_put(s->out, text);
}

/* The bytes from `from` up to `to`. */
static struct tk_str span(const char *from, const char *to) {
        return (struct tk_str){from, (size_t)(to - from)};
}

static void put_held_and_comma(struct splicer *s) {
        put(s, s->held);
        s->held = (struct tk_str){NULL, 0};
        if (s->some)
                put(s, TK_STR(","));
        s->some = true;
}

static const struct tk_splice *find_edit(const struct tk_splice *edits, unsigned edits_nr, struct tk_str key,
                                         uint64_t *seen) {
        for (unsigned i = 0; i < edits_nr; i++)
                if (tk_json_key_is(key, edits[i].name)) {
                        *seen |= UINT64_C(1) << i;
                        return &edits[i];
                }
        return NULL;
}

/* The members that exist. */
static void put_members(struct splicer *s, struct tk_json root, const struct tk_splice *edits,
                        unsigned edits_nr, uint64_t *seen) {
        const char *piece = root.raw.at + 1, *close = root.raw.at + root.raw.len - 1;
        struct tk_json_iter iter = tk_json_each(root);
        struct tk_str key;
        struct tk_json value;
        while (tk_json_next(&iter, &key, &value)) {
                const char *value_end = value.raw.at + value.raw.len;
                const char *piece_end = value_end;
                while (piece_end < close && *piece_end != ',')
                        piece_end++;
                const struct tk_splice *edit = find_edit(edits, edits_nr, key, seen);
                if (!edit || edit->value.at) {
                        put_held_and_comma(s);
                        put(s, span(piece, value.raw.at));
                        put(s, edit ? edit->value : value.raw);
                        s->held = span(value_end, piece_end);
                }
                piece = piece_end < close ? piece_end + 1 : close;
        }
        /* Without any member, `piece` still stands after the opening bracket. */
        if (!s->some && !*seen)
                s->held = span(piece, close);
}

static void put_new(struct splicer *s, const struct tk_splice *edit) {
        if (s->some)
                put(s, TK_STR(","));
        s->some = true;
        put(s, TK_STR("\""));
        put(s, tk_str_of(edit->name));
        put(s, TK_STR("\":"));
        put(s, edit->value);
}

enum tk_err tk_splice_object(struct tk_str doc, const struct tk_splice *edits, unsigned edits_nr,
                             struct tk_buf *out) {
        struct splicer s = {.out = out};
        struct tk_json root;
        uint64_t seen = 0; /* bit i: edit i found its member */
        size_t len_before = out->len;
        MUST(edits_nr <= EDITS_MAX);
        for (unsigned i = 0; i < edits_nr; i++) {
                MUST(IMPLIES(edits[i].value.at, edits[i].value.len > 0));
                for (unsigned j = 0; j < i; j++)
                        MUST(!tk_str_is(tk_str_of(edits[i].name), edits[j].name));
        }
        enum tk_err err = tk_json_check(doc, &root, NULL);
        if (err)
                return err;
        if (root.type != TK_JSON_OBJECT)
                return TK_E_SYNTAX;
        put(&s, span(doc.at, root.raw.at + 1));
        put_members(&s, root, edits, edits_nr, &seen);
        for (unsigned i = 0; i < edits_nr; i++)
                if (edits[i].value.at && !(seen >> i & 1))
                        put_new(&s, &edits[i]);
        put(&s, s.held);
        put(&s, span(root.raw.at + root.raw.len - 1, doc.at + doc.len));
        if (tk_buf_ok(out))
                return TK_OK;
        out->len = len_before;
        return s.too_big ? TK_E_TOO_BIG : TK_E_NO_MEMORY;
}
