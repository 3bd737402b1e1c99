/* SPDX-License-Identifier: Apache-2.0
 *
 * splice: the first bytes of the input choose the edits, the rest is the document. The result must be
 * JSON again; members without an edit must have their old bytes, in the old order; edited ones the new
 * value; removed ones must be gone; and no edits must change nothing.
 */
#include "wire/splice.h"

#include "wire/json_scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EDITS_NR 3
static const char *const names[EDITS_NR] = {"model", "max_tokens", "stream_options"};
#define VALUE(text)                                                                                          \
        { text, sizeof(text) - 1 }
static const struct tk_str values[] = {
        {NULL, 0}, VALUE("\"x,}\\\"\""), VALUE("16"), VALUE("{\"include_usage\": true}"), VALUE("null"),
};
#define VALUES_NR (sizeof(values) / sizeof(values[0]))

static const struct tk_splice *edit_of(struct tk_str key, const struct tk_splice *edits, unsigned nr) {
        for (unsigned i = 0; i < nr; i++)
                if (tk_json_key_is(key, edits[i].name))
                        return &edits[i];
        return NULL;
}

/* Walks both documents side by side. */
static void compare(struct tk_json before, struct tk_json after, const struct tk_splice *edits, unsigned nr) {
        struct tk_json_iter old = tk_json_each(before), new = tk_json_each(after);
        struct tk_str old_key, new_key;
        struct tk_json old_value, new_value;
        while (tk_json_next(&old, &old_key, &old_value)) {
                const struct tk_splice *edit = edit_of(old_key, edits, nr);
                if (edit && !edit->value.at)
                        continue;
                if (!tk_json_next(&new, &new_key, &new_value) || !tk_str_eq(old_key, new_key) ||
                    !tk_str_eq(new_value.raw, edit ? edit->value : old_value.raw))
                        abort();
        }
        for (unsigned i = 0; i < nr; i++) {
                unsigned count = tk_json_count(before, edits[i].name);
                unsigned expected = !edits[i].value.at ? 0 : count ? count : 1;
                if (tk_json_count(after, edits[i].name) != expected)
                        abort();
                if (!edits[i].value.at || count)
                        continue;
                if (!tk_json_next(&new, &new_key, &new_value) || !tk_str_is(new_key, edits[i].name) ||
                    !tk_str_eq(new_value.raw, edits[i].value))
                        abort();
        }
        if (tk_json_next(&new, &new_key, &new_value))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct tk_splice edits[EDITS_NR];
        struct tk_buf out = TK_BUF(1u << 20);
        struct tk_json before, after;
        unsigned nr = 0;
        if (size < EDITS_NR)
                return 0;
        for (unsigned i = 0; i < EDITS_NR; i++)
                if (data[i] % 8 < VALUES_NR)
                        edits[nr++] = (struct tk_splice){names[i], values[data[i] % 8]};
        struct tk_str doc = {(const char *)data + EDITS_NR, size - EDITS_NR};
        enum tk_err checked = tk_json_check(doc, &before, NULL);
        enum tk_err err = tk_splice_object(doc, edits, nr, &out);
        if (checked || before.type != TK_JSON_OBJECT) {
                if (!err || out.len > 0)
                        abort();
        } else if (!err) {
                if (tk_json_check(tk_buf_str(&out), &after, NULL) != TK_OK || after.type != TK_JSON_OBJECT)
                        abort();
                compare(before, after, edits, nr);
                if (nr == 0 && !tk_str_eq(doc, tk_buf_str(&out)))
                        abort();
        }
        tk_buf_free(&out);
        return 0;
}
