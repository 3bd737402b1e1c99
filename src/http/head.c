/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include <string.h>

enum {
        TOKEN = 1,  /* RFC 9110 section 5.6.2 */
        TARGET = 2, /* visible ASCII but '#', which never travels */
        VALUE = 4,  /* field-content: visible, space, tab, and bytes beyond ASCII */
        HOST = 8,   /* reg-name, IPv6 literal and port */
};

/* What each byte may be part of; the test derives it again from the alphabets of the RFCs. */
/* clang-format off */
static const unsigned char class[256] = {
         0,  0,  0,  0,  0,  0,  0,  0,  0,  4,  0,  0,  0,  0,  0,  0, /* 00 */
         0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0, /* 10 */
         4, 15,  6,  5, 15, 15, 15, 15, 14, 14, 15, 15,  6, 15, 15,  6, /* 20 */
        15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 14,  6, 14,  6,  6, /* 30 */
         6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* 40 */
        15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14,  6, 14,  7, 15, /* 50 */
         7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* 60 */
        15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  7,  6, 15,  0, /* 70 */
         4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4, /* 80 */
         4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4, /* 90 */
         4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4, /* a0 */
         4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4, /* b0 */
         4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4, /* c0 */
         4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4, /* d0 */
         4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4, /* e0 */
         4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4, /* f0 */
};
/* clang-format on */

/* Length of the longest beginning of s made of that class. */
static size_t span(struct tk_str s, unsigned char of) {
        size_t n = 0;
        while (n < s.len && (class[(unsigned char)s.at[n]] & of))
                n++;
        return n;
}

static bool all(struct tk_str s, unsigned char of) {
        return span(s, of) == s.len;
}

size_t tk_head_blank(struct tk_str in) {
        return tk_str_starts(in, "\r\n") ? 2 : 0;
}

bool tk_head_begins(struct tk_str in) {
        /* CR and LF are judged when more is there. */
        return in.len == 0 || span(tk_str_head(in, 1), TOKEN) || in.at[0] == '\r' || in.at[0] == '\n';
}

size_t tk_head_end(struct tk_str in, size_t *scanned) {
        MUST(*scanned <= in.len);
        if (tk_str_starts(in, "\r\n") || tk_str_starts(in, "\n"))
                return in.at[0] == '\n' ? 1 : 2; /* an empty head, which the parser refuses */
        for (size_t i = *scanned; i < in.len; i++) {
                const char *lf = memchr(in.at + i, '\n', in.len - i);
                if (!lf)
                        break;
                i = (size_t)(lf - in.at);
                /* An empty line is an end also when it lacks its CR, so that the parser sees it and refuses.
                 */
                struct tk_str next = tk_str_skip(in, i + 1);
                if (tk_str_starts(next, "\n"))
                        return i + 2;
                if (tk_str_starts(next, "\r\n"))
                        return i + 3;
                if (next.len == 0 || tk_str_is(next, "\r")) {
                        *scanned = i;
                        return 0;
                }
        }
        *scanned = in.len;
        return 0;
}

static int refuse(const char **why, int status, const char *text) {
        *why = text;
        return status;
}

/* Takes one line off *in, without its CR LF. False when it does not end so. */
static bool take_line(struct tk_str *in, struct tk_str *line) {
        size_t lf = tk_str_find(*in, '\n');
        if (lf == in->len || lf == 0 || in->at[lf - 1] != '\r')
                return false;
        *line = tk_str_head(*in, lf - 1);
        *in = tk_str_skip(*in, lf + 1);
        return true;
}

/* Path and query out of an origin-form, absolute-form or asterisk-form target. */
static bool split_target(struct tk_head *head, struct tk_str target) {
        if (tk_str_is(target, "*")) {
                head->path = target;
                head->query = (struct tk_str){0};
                return true;
        }
        if (!tk_str_starts(target, "/")) {
                size_t scheme = tk_str_find(target, ':');
                struct tk_str rest = tk_str_skip(target, scheme);
                struct tk_str name = tk_str_head(target, scheme);
                if (!tk_str_starts(rest, "://") ||
                    !(tk_str_is_nocase(name, "http") || tk_str_is_nocase(name, "https")))
                        return false;
                rest = tk_str_skip(rest, 3);
                size_t authority = 0;
                while (authority < rest.len && rest.at[authority] != '/' && rest.at[authority] != '?')
                        authority++;
                if (authority == 0 || !all(tk_str_head(rest, authority), HOST))
                        return false;
                target = tk_str_skip(rest, authority);
        }
        size_t mark = tk_str_find(target, '?');
        head->path = mark == 0 ? TK_STR("/") : tk_str_head(target, mark);
        head->query = mark < target.len ? tk_str_skip(target, mark + 1) : (struct tk_str){0};
        return true;
}

static int parse_request_line(struct tk_head *head, struct tk_str line, const char **why) {
        size_t n = span(line, TOKEN);
        if (n == 0 || n == line.len || line.at[n] != ' ')
                return refuse(why, 400, "the request line is not METHOD TARGET HTTP/1.1");
        if (n > TK_HEAD_METHOD_MAX)
                return refuse(why, 400, "the method is too long");
        head->method = tk_str_head(line, n);
        line = tk_str_skip(line, n + 1);
        n = span(line, TARGET);
        if (n < line.len && line.at[n] != ' ')
                return refuse(why, 400, "the request target contains a byte that must be percent-encoded");
        if (n == 0 || n == line.len)
                return refuse(why, 400, "the request line is not METHOD TARGET HTTP/1.1");
        struct tk_str target = tk_str_head(line, n);
        struct tk_str version = tk_str_skip(line, n + 1);
        if (version.len != 8 || !tk_str_starts(version, "HTTP/") || version.at[5] < '0' ||
            version.at[5] > '9' || version.at[6] != '.' || version.at[7] < '0' || version.at[7] > '9')
                return refuse(why, 400, "the request line is not METHOD TARGET HTTP/1.1");
        if (version.at[5] != '1' || version.at[7] > '1')
                return refuse(why, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
        head->minor = (unsigned)(version.at[7] - '0');
        if (!split_target(head, target))
                return refuse(why, 400, "the request target is neither a path nor an http URL");
        return 0;
}

static int parse_field(struct tk_head *head, struct tk_str line, const char **why) {
        if (line.at[0] == ' ' || line.at[0] == '\t')
                return refuse(why, 400, "folded header lines are not accepted");
        size_t n = span(line, TOKEN);
        if (n == 0 || n == line.len || line.at[n] != ':')
                return refuse(why, 400, "a header line is not NAME: VALUE");
        struct tk_str value = tk_str_skip(line, n + 1);
        if (!all(value, VALUE))
                return refuse(why, 400, "a header value contains a control character");
        if (head->fields_count == TK_HEAD_FIELDS_MAX)
                return refuse(why, 431, "there are too many header lines");
        head->fields[head->fields_count++] =
                (struct tk_field){.name = tk_str_head(line, n), .value = tk_str_trim(value)};
        return 0;
}

/* The fields that decide how the rest is read, counted. */
struct framing {
        unsigned hosts, lengths, encodings;
        bool close, keep_alive;
};

/* Connection is a list of tokens, and may come in several fields. */
static void read_connection(struct framing *f, struct tk_str list) {
        while (list.len) {
                size_t comma = tk_str_find(list, ',');
                struct tk_str token = tk_str_trim(tk_str_head(list, comma));
                f->close |= tk_str_is_nocase(token, "close");
                f->keep_alive |= tk_str_is_nocase(token, "keep-alive");
                list = tk_str_skip(list, comma < list.len ? comma + 1 : comma);
        }
}

static int read_framing(struct tk_head *head, struct framing *f, const struct tk_field *field,
                        const char **why) {
        struct tk_str name = field->name, value = field->value;
        if (tk_str_is_nocase(name, "host")) {
                f->hosts++;
                if (!all(value, HOST))
                        return refuse(why, 400, "the Host header is not a host name");
        } else if (tk_str_is_nocase(name, "connection")) {
                read_connection(f, value);
        } else if (tk_str_is_nocase(name, "content-length")) {
                f->lengths++;
                if (!tk_str_u64(value, &head->length))
                        return refuse(why, 400, "Content-Length is not a number");
        } else if (tk_str_is_nocase(name, "transfer-encoding")) {
                f->encodings++;
                if (!tk_str_is_nocase(value, "chunked"))
                        return refuse(why, 400, "the only Transfer-Encoding accepted is chunked");
                head->chunked = true;
        } else if (tk_str_is_nocase(name, "expect") && head->minor == 1) {
                if (!tk_str_is_nocase(value, "100-continue"))
                        return refuse(why, 417, "the only expectation met is 100-continue");
                head->expects = true;
        }
        return 0;
}

/* RFC 9112 sections 3.2 and 6.3, without the repairs that it permits. */
static int check_framing(struct tk_head *head, const char **why) {
        struct framing f = {0};
        for (unsigned i = 0; i < head->fields_count; i++) {
                int status = read_framing(head, &f, &head->fields[i], why);
                if (status)
                        return status;
        }
        if (f.lengths && f.encodings)
                return refuse(why, 400, "Content-Length and Transfer-Encoding exclude each other");
        if (f.lengths > 1)
                return refuse(why, 400, "there is more than one Content-Length");
        if (f.encodings > 1)
                return refuse(why, 400, "there is more than one Transfer-Encoding");
        if (f.encodings && head->minor == 0)
                return refuse(why, 400, "HTTP/1.0 has no Transfer-Encoding");
        if (f.hosts > 1)
                return refuse(why, 400, "there is more than one Host header");
        if (f.hosts == 0 && head->minor == 1)
                return refuse(why, 400, "HTTP/1.1 needs a Host header");
        head->keep_alive = !f.close && (head->minor == 1 || f.keep_alive);
        return 0;
}

int tk_head_parse(struct tk_head *head, struct tk_str in, const char **why) {
        head->fields_count = 0;
        head->length = 0;
        head->chunked = head->expects = head->keep_alive = false;
        struct tk_str line;
        if (!take_line(&in, &line))
                return refuse(why, 400, "lines must end in CR LF");
        int status = parse_request_line(head, line, why);
        while (status == 0) {
                if (!take_line(&in, &line))
                        return refuse(why, 400, "lines must end in CR LF");
                if (line.len == 0)
                        break;
                status = parse_field(head, line, why);
        }
        if (status)
                return status;
        MUST(in.len == 0);
        return check_framing(head, why);
}

struct tk_str tk_head_field(const struct tk_head *head, const char *name) {
        for (unsigned i = 0; i < head->fields_count; i++)
                if (tk_str_is_nocase(head->fields[i].name, name))
                        return head->fields[i].value;
        return (struct tk_str){0};
}

struct tk_str tk_head_peek_method(struct tk_str in) {
        size_t n = span(in, TOKEN);
        return n < in.len && in.at[n] == ' ' ? tk_str_head(in, n) : (struct tk_str){0};
}

struct tk_str tk_head_peek_path(struct tk_str in) {
        size_t method = tk_head_peek_method(in).len;
        if (method == 0)
                return (struct tk_str){0};
        struct tk_str rest = tk_str_skip(in, method + 1);
        size_t n = span(rest, TARGET);
        struct tk_head head;
        return n && split_target(&head, tk_str_head(rest, n)) ? head.path : (struct tk_str){0};
}
