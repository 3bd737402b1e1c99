/* SPDX-License-Identifier: Apache-2.0 */
#include "http/respond.h"

#include <string.h>
#include <strings.h>
#include <time.h>

static const struct {
        int status;
        const char *reason;
} reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {424, "Failed Dependency"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
};

const char *tk_respond_reason(int status) {
        for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
                if (reasons[i].status == status)
                        return reasons[i].reason;
        return "";
}

bool tk_respond_bodyless(int status) {
        return status == 204 || status == 304;
}

/* Decimal without printf, which is most of the cost of a small head. */
static void put_u64(struct tk_buf *out, uint64_t n) {
        char digits[20];
        size_t at = sizeof digits;
        do {
                digits[--at] = (char)('0' + n % 10);
                n /= 10;
        } while (n);
        tk_buf_put(out, (struct tk_str){digits + at, sizeof digits - at});
}

static void put_header(struct tk_buf *out, const char *name, struct tk_str value) {
        static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                    "!#$%&'*+-.^_`|~";
        size_t len = strlen(name);
        MUST(len > 0 && strspn(name, token) == len);
        for (size_t i = 0; i < value.len; i++)
                MUST(value.at[i] != '\r' && value.at[i] != '\n' && value.at[i] != '\0');
        tk_buf_put(out, (struct tk_str){name, len});
        tk_buf_put(out, TK_STR(": "));
        tk_buf_put(out, value);
}

void tk_respond_head(struct tk_buf *out, const struct tk_respond *r) {
        MUST(r->status >= 200 && r->status <= 999);
        MUST(IMPLIES(r->framing == TK_FRAME_CLOSE, !r->keep_alive));
        tk_buf_put(out, TK_STR("HTTP/1.1 "));
        put_u64(out, (uint64_t)r->status);
        tk_buf_char(out, ' ');
        tk_buf_text(out, tk_respond_reason(r->status));
        tk_buf_put(out, TK_STR("\r\nDate: "));
        tk_buf_put(out, (struct tk_str){r->date, TK_DATE_LEN});
        if (r->content_type) {
                tk_buf_put(out, TK_STR("\r\n"));
                put_header(out, "Content-Type", tk_str_of(r->content_type));
        }
        if (r->framing == TK_FRAME_LENGTH) {
                tk_buf_put(out, TK_STR("\r\nContent-Length: "));
                put_u64(out, r->length);
        } else if (r->framing == TK_FRAME_CHUNKED) {
                tk_buf_put(out, TK_STR("\r\nTransfer-Encoding: chunked"));
        }
        if (!r->keep_alive)
                tk_buf_put(out, TK_STR("\r\nConnection: close"));
        else if (r->minor == 0)
                tk_buf_put(out, TK_STR("\r\nConnection: keep-alive"));
        tk_buf_put(out, TK_STR("\r\nx-request-id: "));
        tk_buf_text(out, r->id);
        tk_buf_put(out, TK_STR("\r\n"));
        tk_buf_put(out, r->headers);
        tk_buf_put(out, TK_STR("\r\n"));
}

void tk_respond_chunk(struct tk_buf *out, struct tk_str piece) {
        if (piece.len == 0)
                return;
        char size[2 * sizeof piece.len];
        size_t at = sizeof size;
        for (size_t n = piece.len; n; n /= 16)
                size[--at] = "0123456789abcdef"[n % 16];
        tk_buf_put(out, (struct tk_str){size + at, sizeof size - at});
        tk_buf_put(out, TK_STR("\r\n"));
        tk_buf_put(out, piece);
        tk_buf_put(out, TK_STR("\r\n"));
}

void tk_respond_last_chunk(struct tk_buf *out) {
        tk_buf_put(out, TK_STR("0\r\n\r\n"));
}

void tk_respond_header(struct tk_buf *out, const char *name, struct tk_str value) {
        put_header(out, name, value);
        tk_buf_put(out, TK_STR("\r\n"));
}

bool tk_respond_reserved(const char *name) {
        static const char *const reserved[] = {"connection", "content-length",    "date",    "keep-alive",
                                               "trailer",    "transfer-encoding", "upgrade", "x-request-id"};
        for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
                if (strcasecmp(name, reserved[i]) == 0)
                        return true;
        return false;
}

void tk_respond_date(int64_t utc_s, char out[TK_DATE_LEN + 1]) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        struct tm t;
        time_t s = (time_t)utc_s;
        struct tm *ok = gmtime_r(&s, &t);
        MUST(ok && t.tm_year >= 70 && t.tm_year <= 9999 - 1900);
        /* Not strftime(), whose names follow the locale. */
        struct tk_buf text = {.at = out, .size = TK_DATE_LEN + 1, .max = TK_DATE_LEN, .borrowed = true};
        tk_buf_printf(&text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.tm_wday, t.tm_mday,
                      months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
        MUST(tk_buf_ok(&text) && text.len == TK_DATE_LEN);
}
