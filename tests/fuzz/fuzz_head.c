/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request. Whatever the bytes: the end is found in the same place however they trickle in, a
 * head that is accepted is unambiguous, and every span lies inside it.
 */
#include "http/head.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct tk_str span, struct tk_str in) {
        static const char *const literals[] = {"/", "*", ""};
        if (span.len == 0 || (span.at >= in.at && span.at + span.len <= in.at + in.len))
                return;
        for (size_t i = 0; i < sizeof literals / sizeof *literals; i++)
                if (tk_str_is(span, literals[i]))
                        return;
        MUST(!"a span inside the head");
}

static unsigned count(const struct tk_head *head, const char *name) {
        unsigned nr = 0;
        for (unsigned i = 0; i < head->fields_count; i++)
                nr += tk_str_is_nocase(head->fields[i].name, name);
        return nr;
}

static void accepted(const struct tk_head *head, struct tk_str in) {
        inside(head->method, in);
        inside(head->path, in);
        inside(head->query, in);
        MUST(head->method.len > 0 && head->path.len > 0);
        MUST(head->minor <= 1);
        for (unsigned i = 0; i < head->fields_count; i++) {
                inside(head->fields[i].name, in);
                inside(head->fields[i].value, in);
                MUST(head->fields[i].name.len > 0);
                MUST(tk_str_find(head->fields[i].value, '\r') == head->fields[i].value.len);
                MUST(tk_str_find(head->fields[i].value, '\n') == head->fields[i].value.len);
                MUST(tk_str_find(head->fields[i].value, '\0') == head->fields[i].value.len);
        }
        /* What a second program could read as another length. */
        MUST(count(head, "content-length") <= 1);
        MUST(count(head, "transfer-encoding") <= 1);
        MUST(!(count(head, "content-length") && count(head, "transfer-encoding")));
        MUST(IMPLIES(count(head, "transfer-encoding"), head->chunked));
        MUST(IMPLIES(head->minor == 1, count(head, "host") == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct tk_head head;
        struct tk_str in = {(const char *)data, size};
        const char *why = NULL;
        size_t scanned = 0, trickled = 0, end = 0;
        size_t whole = tk_head_end(in, &scanned);
        for (size_t n = 1; n <= size && !end; n += 1 + n / 7)
                end = tk_head_end(tk_str_head(in, n), &trickled);
        if (!end)
                end = tk_head_end(in, &trickled);
        MUST(end == whole);
        MUST(whole <= size);
        inside(tk_head_peek_method(in), in);
        inside(tk_head_peek_path(in), in);
        if (!whole)
                return 0;
        struct tk_str bytes = tk_str_head(in, whole);
        int status = tk_head_parse(&head, bytes, &why);
        if (status == 0)
                accepted(&head, bytes);
        else
                MUST(status >= 400 && status <= 599 && why != NULL);
        return 0;
}
