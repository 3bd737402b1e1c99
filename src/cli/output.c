/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include "cli/grammar.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *fmt, va_list args) TK_PRINTF(1, 0);

static void say(const char *fmt, va_list args) {
        fputs("tollkey: ", stderr);
        vfprintf(stderr, fmt, args);
        fputc('\n', stderr);
}

int tk_fail(const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        say(fmt, args);
        va_end(args);
        return TK_EXIT_FAILED;
}

int tk_misuse(const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        say(fmt, args);
        va_end(args);
        return TK_EXIT_USAGE;
}

void tk_note(const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        say(fmt, args);
        va_end(args);
}

const char *tk_printable(const char *text, char *out, size_t size) {
        MUST(size > 0);
        if (!tk_str_copy(tk_str_of(text), out, size)) {
                size_t n = size - 1; /* not through the middle of a character */
                while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
                        n--;
                out[n] = '\0';
        }
        for (char *c = out; *c; c++) {
                if ((unsigned char)*c < 0x20 || *c == 0x7F)
                        *c = '?';
                else if ((unsigned char)*c == 0xC2 && (unsigned char)c[1] >= 0x80 &&
                         (unsigned char)c[1] < 0xA0)
                        c[0] = c[1] = '?'; /* U+0080 to U+009F are control characters, too */
        }
        if (!tk_str_utf8_ok(tk_str_of(out)))
                for (char *c = out; *c; c++)
                        if ((unsigned char)*c >= 0x80)
                                *c = '?';
        return out;
}

int tk_print_buf(struct tk_buf *buf) {
        int code = TK_EXIT_OK;
        if (!tk_buf_ok(buf))
                code = tk_fail("the answer is too long for the memory there is");
        else if (fwrite(buf->at, 1, buf->len, stdout) != buf->len || putchar('\n') == EOF)
                code = TK_EXIT_FAILED; /* main says so when it flushes */
        tk_buf_free(buf);
        return code;
}

void tk_table_cell(struct tk_table *table, const char *text) {
        char clean[256];
        MUST(table->columns > 0);
        if (table->failed)
                return;
        if (table->cells_nr == table->cells_size) {
                size_t size = table->cells_size ? table->cells_size * 2 : 64;
                char **cells = realloc(table->cells, size * sizeof *cells);
                if (!cells) {
                        table->failed = true;
                        return;
                }
                table->cells = cells;
                table->cells_size = size;
        }
        char *copy = strdup(text && text[0] ? tk_printable(text, clean, sizeof clean) : "-");
        if (copy)
                table->cells[table->cells_nr++] = copy;
        else
                table->failed = true;
}

/* Characters, not bytes; a wide one counts as one, which is as well as can be told without a terminal. */
static size_t width_of(const char *text) {
        size_t n = 0;
        for (; *text; text++)
                n += ((unsigned char)*text & 0xC0) != 0x80;
        return n;
}

static size_t column_width(const struct tk_table *table, size_t column) {
        size_t most = 0;
        for (size_t i = column; i < table->cells_nr; i += table->columns) {
                size_t width = width_of(table->cells[i]);
                most = width > most ? width : most;
        }
        return most;
}

/* Pads every cell of a column to its width. */
static bool pad_column(struct tk_table *table, size_t column) {
        size_t width = column_width(table, column);
        for (size_t i = column; i < table->cells_nr; i += table->columns) {
                size_t len = strlen(table->cells[i]), pad = width - width_of(table->cells[i]);
                char *wider = realloc(table->cells[i], len + pad + 1);
                if (!wider)
                        return false;
                memset(wider + len, ' ', pad);
                wider[len + pad] = '\0';
                table->cells[i] = wider;
        }
        return true;
}

int tk_table_print(struct tk_table *table) {
        int code = TK_EXIT_OK;
        MUST(table->columns > 0);
        MUST(IMPLIES(!table->failed, table->cells_nr % table->columns == 0));
        for (size_t column = 0; !table->failed && column + 1 < table->columns; column++)
                table->failed = !pad_column(table, column);
        if (table->failed)
                code = tk_fail("out of memory");
        for (size_t i = 0; code == TK_EXIT_OK && i < table->cells_nr; i++)
                printf("%s%s", table->cells[i], (i + 1) % table->columns ? "  " : "\n");
        tk_table_free(table);
        return code;
}

void tk_table_free(struct tk_table *table) {
        for (size_t i = 0; i < table->cells_nr; i++)
                free(table->cells[i]);
        free(table->cells);
        *table = (struct tk_table){.columns = table->columns};
}
