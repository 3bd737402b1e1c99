/* SPDX-License-Identifier: Apache-2.0
 *
 * Two steps. scan() finds where an event ends and is the only one with state, because it must go
 * on wherever a piece broke off; it sees each byte once. read_data() then works on a whole event.
 */
#include "wire/sse.h"

#include <string.h>

#define BOM     "\xEF\xBB\xBF"
#define BOM_LEN 3
#define WINDOW  1024
/* A piece may come on top of an unfinished event; its own size is the caller's to bound. */
#define PENDING_MAX ((size_t)TK_SSE_EVENT_BYTES_MAX * 16)

void tk_sse_init(struct tk_sse *sse) {
        *sse = (struct tk_sse){
                .pending = TK_BUF(PENDING_MAX),
                .data = TK_BUF(TK_SSE_EVENT_BYTES_MAX),
        };
}

void tk_sse_free(struct tk_sse *sse) {
        tk_buf_free(&sse->pending);
        tk_buf_free(&sse->data);
        tk_sse_init(sse);
}

/* The first CR or LF from p, or end. In windows, so that a stream of many CR and no LF does not make
 * the search for the LF go to the end once for each line. */
static const char *find_line_end(const char *p, const char *end) {
        while (p < end) {
                size_t n = (size_t)(end - p) < WINDOW ? (size_t)(end - p) : WINDOW;
                const char *lf = memchr(p, '\n', n);
                const char *stop = lf ? lf : p + n;
                const char *cr = memchr(p, '\r', (size_t)(stop - p));
                if (cr || lf)
                        return cr ? cr : lf;
                p = stop;
        }
        return end;
}

/* Looks for a BOM at the start of the stream; false: too few bytes to tell. */
static bool scan_bom(struct tk_sse *sse) {
        size_t n = sse->pending.len < BOM_LEN ? sse->pending.len : BOM_LEN;
        if (n > 0 && memcmp(sse->pending.at, BOM, n) == 0) {
                if (n < BOM_LEN)
                        return false;
                sse->bom = true;
                sse->scanned = BOM_LEN;
        } else if (n == 0) {
                return false;
        }
        sse->started = true;
        sse->line_start = true;
        return true;
}

/* The byte at scanned, which is a CR or LF at the start of a line: a blank line. True: the event ends. */
static bool scan_blank(struct tk_sse *sse, char c) {
        sse->scanned++;
        if (c == '\r' && sse->crlf) {
                sse->blank_cr = true;
                return false;
        }
        sse->skip_lf = c == '\r';
        sse->crlf = false;
        return true;
}

/* Goes on to the end of the next event, or to the last byte. */
static void scan(struct tk_sse *sse) {
        const char *from = sse->pending.at;
        size_t len = sse->pending.len;
        if (!sse->started && !scan_bom(sse))
                return;
        while (!sse->end && sse->scanned < len) {
                char c = from[sse->scanned];
                if (sse->blank_cr) {
                        sse->blank_cr = false;
                        sse->crlf = c == '\n';
                        sse->scanned += c == '\n';
                        sse->end = sse->scanned;
                } else if (sse->skip_lf) {
                        sse->skip_lf = false;
                        sse->crlf = c == '\n';
                        sse->scanned += c == '\n';
                } else if (c == '\n' || c == '\r') {
                        if (sse->line_start) {
                                if (scan_blank(sse, c))
                                        sse->end = sse->scanned;
                                continue;
                        }
                        sse->line_start = true;
                        sse->skip_lf = c == '\r';
                        sse->crlf = false;
                        sse->scanned++;
                } else {
                        sse->line_start = false;
                        sse->scanned = (size_t)(find_line_end(from + sse->scanned, from + len) - from);
                }
        }
        if ((sse->end ? sse->end : len) - sse->taken > TK_SSE_EVENT_BYTES_MAX) {
                sse->end = 0;
                sse->err = TK_E_TOO_BIG;
        }
}

enum tk_err tk_sse_feed(struct tk_sse *sse, struct tk_str piece) {
        if (sse->err)
                return sse->err;
        tk_buf_drop(&sse->pending, sse->taken);
        sse->scanned -= sse->taken;
        sse->end -= sse->end ? sse->taken : 0;
        sse->taken = 0;
        if (piece.len > sse->pending.max - sse->pending.len)
                return sse->err = TK_E_TOO_BIG;
        tk_buf_put(&sse->pending, piece);
        if (!tk_buf_ok(&sse->pending))
                return sse->err = TK_E_NO_MEMORY;
        if (!sse->end)
                scan(sse);
        return sse->err;
}

/* Is the line a data field ("data" or "data:value")? Then its value, without one leading space. */
static bool data_line(struct tk_str line, struct tk_str *value) {
        if (!tk_str_starts(line, "data"))
                return false;
        *value = tk_str_skip(line, 4);
        if (value->len == 0)
                return true;
        if (value->at[0] != ':')
                return false;
        *value = tk_str_skip(*value, 1);
        if (value->len > 0 && value->at[0] == ' ')
                *value = tk_str_skip(*value, 1);
        return true;
}

/* One data line, by far the usual case, is given where it stands; more are joined in sse->data. */
static bool read_data(struct tk_sse *sse, struct tk_sse_event *event) {
        const char *p = event->raw.at + (sse->bom ? BOM_LEN : 0), *end = event->raw.at + event->raw.len;
        bool joined = false;
        event->data = (struct tk_str){p, 0};
        event->has_data = false;
        while (p < end) {
                struct tk_str value;
                const char *line_end = find_line_end(p, end);
                bool is_data = data_line((struct tk_str){p, (size_t)(line_end - p)}, &value);
                p = line_end < end ? line_end + 1 : end; /* between CR and LF lies an empty line: no matter */
                if (!is_data)
                        continue;
                if (!event->has_data) {
                        event->has_data = true;
                        event->data = value;
                        continue;
                }
                if (!joined) {
                        tk_buf_clear(&sse->data);
                        tk_buf_put(&sse->data, event->data);
                        joined = true;
                }
                tk_buf_char(&sse->data, '\n');
                tk_buf_put(&sse->data, value);
        }
        if (!joined)
                return true;
        event->data = tk_buf_str(&sse->data);
        return tk_buf_ok(&sse->data);
}

/* Hands out the bytes up to `end`. */
static bool hand_out(struct tk_sse *sse, size_t end, struct tk_sse_event *event) {
        event->raw = (struct tk_str){sse->pending.at + sse->taken, end - sse->taken};
        if (!read_data(sse, event)) {
                sse->err = TK_E_NO_MEMORY;
                return false;
        }
        sse->taken = end;
        sse->end = 0;
        sse->bom = false;
        return true;
}

bool tk_sse_next(struct tk_sse *sse, struct tk_sse_event *event) {
        if (sse->err)
                return false;
        if (!sse->end)
                scan(sse);
        return sse->end && hand_out(sse, sse->end, event);
}

struct tk_str tk_sse_rest(const struct tk_sse *sse) {
        if (sse->pending.len == sse->taken)
                return (struct tk_str){"", 0};
        return (struct tk_str){sse->pending.at + sse->taken, sse->pending.len - sse->taken};
}

bool tk_sse_finish(struct tk_sse *sse, struct tk_sse_event *event) {
        if (sse->err || sse->pending.len == sse->taken)
                return false;
        return hand_out(sse, sse->pending.len, event);
}
