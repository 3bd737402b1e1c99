/* SPDX-License-Identifier: Apache-2.0
 *
 * A line is built on the stack and written with one write(2), so that lines of several threads do not
 * mix. The message is quoted: a quote or a backslash in it is escaped, a control byte becomes \xNN, so
 * that no text from outside can forge a second line.
 */
#include "rt/log.h"

#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static enum tk_level least_level = TK_INFO; /* immutable once threads run */

static const char *const level_names[] = {
        [TK_DEBUG] = "debug",
        [TK_INFO] = "info",
        [TK_WARN] = "warn",
        [TK_ERROR] = "error",
};

void tk_log_level(enum tk_level least) {
        MUST((unsigned)least <= TK_ERROR);
        least_level = least;
}

static void put_time(struct tk_buf *line) {
        struct timespec t;
        struct tm tm;
        char text[32];
        clock_gettime(CLOCK_REALTIME, &t);
        gmtime_r(&t.tv_sec, &tm);
        size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        tk_buf_put(line, (struct tk_str){text, n});
        tk_buf_printf(line, ".%03dZ", (int)(t.tv_nsec / 1000000));
}

/* Leaves room for the closing quote and newline; what does not fit is cut. */
static void put_escaped(struct tk_buf *line, const char *text) {
        char piece[8];
        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;
                if (c == '"' || c == '\\')
                        snprintf(piece, sizeof piece, "\\%c", c);
                else if (c < 0x20 || c == 0x7F)
                        snprintf(piece, sizeof piece, "\\x%02x", c);
                else
                        snprintf(piece, sizeof piece, "%c", c);
                if (line->len + strlen(piece) + 2 > line->max)
                        return;
                tk_buf_text(line, piece);
        }
}

static void write_all(struct tk_str s) {
        while (s.len) {
                ssize_t n = write(STDERR_FILENO, s.at, s.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return; /* nobody can be told that the log is gone */
                s = tk_str_skip(s, (size_t)n);
        }
}

void tk_log(enum tk_level level, const char *area, const char *fmt, ...) {
        char memory[LINE_MAX_BYTES + 1], message[LINE_MAX_BYTES];
        struct tk_buf line = TK_BUF_OVER(memory);
        int saved = errno;
        va_list args;

        MUST((unsigned)level <= TK_ERROR);
        if (level < least_level)
                return;
        va_start(args, fmt);
        vsnprintf(message, sizeof message, fmt, args);
        va_end(args);

        tk_buf_text(&line, "time=");
        put_time(&line);
        tk_buf_printf(&line, " level=%s area=%.32s msg=\"", level_names[level], area);
        put_escaped(&line, message);
        tk_buf_text(&line, "\"\n");
        MUST(tk_buf_ok(&line));
        write_all(tk_buf_str(&line));
        errno = saved; /* so that a caller may log first and look at errno then */
}
