/* SPDX-License-Identifier: Apache-2.0
 *
 * money: decimal text to integers and back, digit by digit, so that nothing is ever rounded by a
 * type on the way. A number is read in two passes: the grammar first, which splits it into digits
 * and the place of the point, then the value, which walks the digits up to the ninth decimal.
 */
#include "core/money.h"

#include <string.h>

#define DECIMALS     9
#define EXPONENT_MAX (INT64_C(1) << 40) /* far past every sum, far below every overflow */

/* A number taken apart: sign, the digits on both sides of the point, and the power of ten. */
struct number {
        bool negative;
        struct tk_str whole;
        struct tk_str fraction;
        int64_t exponent;
};

enum tk_err tk_money_add(struct tk_money a, struct tk_money b, struct tk_money *out) {
        int64_t sum;
        if (__builtin_add_overflow(a.nano, b.nano, &sum))
                return TK_E_OVERFLOW;
        out->nano = sum;
        return TK_OK;
}

enum tk_err tk_money_sub(struct tk_money a, struct tk_money b, struct tk_money *out) {
        int64_t rest;
        if (__builtin_sub_overflow(a.nano, b.nano, &rest))
                return TK_E_OVERFLOW;
        out->nano = rest;
        return TK_OK;
}

static bool take_char(struct tk_str *text, char c) {
        if (text->len == 0 || text->at[0] != c)
                return false;
        *text = tk_str_skip(*text, 1);
        return true;
}

static struct tk_str take_digits(struct tk_str *text) {
        size_t n = 0;
        while (n < text->len && text->at[n] >= '0' && text->at[n] <= '9')
                n++;
        struct tk_str digits = tk_str_head(*text, n);
        *text = tk_str_skip(*text, n);
        return digits;
}

/* "e", a sign and digits. The value stops growing at EXPONENT_MAX, where it makes no difference any more. */
static bool take_exponent(struct tk_str *text, int64_t *exponent) {
        bool negative = take_char(text, '-');
        if (!negative)
                take_char(text, '+');
        struct tk_str digits = take_digits(text);
        int64_t value = 0;
        for (size_t i = 0; i < digits.len; i++)
                if (value < EXPONENT_MAX)
                        value = value * 10 + (digits.at[i] - '0');
        *exponent = negative ? -value : value;
        return digits.len > 0;
}

static bool split_number(struct tk_str text, struct number *out) {
        struct number number = {0};
        number.negative = take_char(&text, '-');
        number.whole = take_digits(&text);
        if (number.whole.len == 0 || (number.whole.len > 1 && number.whole.at[0] == '0'))
                return false; /* RFC 8259 knows no ".5" and no "007" */
        if (take_char(&text, '.')) {
                number.fraction = take_digits(&text);
                if (number.fraction.len == 0)
                        return false;
        }
        if (take_char(&text, 'e') || take_char(&text, 'E'))
                if (!take_exponent(&text, &number.exponent))
                        return false;
        if (text.len != 0)
                return false;
        *out = number;
        return true;
}

static bool is_zero(const struct number *number) {
        for (size_t i = 0; i < number->whole.len; i++)
                if (number->whole.at[i] != '0')
                        return false;
        for (size_t i = 0; i < number->fraction.len; i++)
                if (number->fraction.at[i] != '0')
                        return false;
        return true;
}

/* Digit i of whole and fraction written in a row; zeros follow without end. */
static unsigned digit_at(const struct number *number, size_t i) {
        if (i < number->whole.len)
                return (unsigned)(number->whole.at[i] - '0');
        i -= number->whole.len;
        return i < number->fraction.len ? (unsigned)(number->fraction.at[i] - '0') : 0;
}

/* Is there anything in the digits from `at` on? */
static bool has_rest(const struct number *number, int64_t at) {
        size_t digits = number->whole.len + number->fraction.len;
        for (size_t i = at > 0 ? (size_t)at : 0; i < digits; i++)
                if (digit_at(number, i) != 0)
                        return true;
        return false;
}

static enum tk_err parse(struct tk_str text, bool up, uint64_t *nano) {
        struct number number;
        uint64_t value = 0;
        if (!split_number(text, &number))
                return TK_E_SYNTAX;
        if (is_zero(&number)) {
                *nano = 0; /* also 0e999, which must not be walked to its end */
                return TK_OK;
        }
        if (number.negative)
                return TK_E_RANGE;
        /* So many digits stand before the ninth decimal; the ones after it are cut. A number that is
         * not zero overflows within twenty digits of its first one, so a great exponent ends soon. */
        int64_t count = (int64_t)number.whole.len + number.exponent + DECIMALS;
        for (int64_t i = 0; i < count; i++)
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, digit_at(&number, (size_t)i), &value))
                        return TK_E_OVERFLOW;
        if (up && has_rest(&number, count) && __builtin_add_overflow(value, 1, &value))
                return TK_E_OVERFLOW;
        *nano = value;
        return TK_OK;
}

enum tk_err tk_nano_parse(struct tk_str text, uint64_t *nano) {
        return parse(text, false, nano);
}

enum tk_err tk_nano_parse_up(struct tk_str text, uint64_t *nano) {
        return parse(text, true, nano);
}

enum tk_err tk_money_parse(struct tk_str text, struct tk_money *out) {
        uint64_t nano;
        enum tk_err err = tk_nano_parse(text, &nano);
        if (err)
                return err;
        if (nano > INT64_MAX)
                return TK_E_OVERFLOW;
        out->nano = (int64_t)nano;
        return TK_OK;
}

/* The magnitude of any amount, INT64_MIN included. */
static uint64_t magnitude(struct tk_money m) {
        return m.nano < 0 ? (uint64_t)0 - (uint64_t)m.nano : (uint64_t)m.nano;
}

/* Writes value, `width` digits at least, and returns the length. */
static size_t put_digits(uint64_t value, unsigned width, char *out) {
        char reversed[20];
        size_t n = 0;
        do {
                reversed[n++] = (char)('0' + value % 10);
                value /= 10;
        } while (value);
        while (n < width)
                reversed[n++] = '0';
        for (size_t i = 0; i < n; i++)
                out[i] = reversed[n - 1 - i];
        return n;
}

size_t tk_nano_text(uint64_t nano, char out[TK_MONEY_TEXT_MAX]) {
        size_t len = put_digits(nano / TK_NANO, 1, out);
        if (nano % TK_NANO) {
                out[len++] = '.';
                len += put_digits(nano % TK_NANO, DECIMALS, out + len);
                while (out[len - 1] == '0')
                        len--;
        }
        MUST(len < TK_MONEY_TEXT_MAX);
        out[len] = '\0';
        return len;
}

size_t tk_money_text(struct tk_money m, char out[TK_MONEY_TEXT_MAX]) {
        char digits[TK_MONEY_TEXT_MAX];
        size_t len = tk_nano_text(magnitude(m), digits), sign = m.nano < 0;
        MUST(sign + len < TK_MONEY_TEXT_MAX);
        out[0] = '-';
        memcpy(out + sign, digits, len + 1);
        return sign + len;
}

size_t tk_money_text4(struct tk_money m, char out[TK_MONEY_TEXT_MAX]) {
        uint64_t parts = (magnitude(m) + 50000) / 100000; /* of 0.0001 each */
        size_t len = 0;
        if (m.nano < 0 && parts > 0) /* there is no "-0.0000" */
                out[len++] = '-';
        len += put_digits(parts / 10000, 1, out + len);
        out[len++] = '.';
        len += put_digits(parts % 10000, 4, out + len);
        MUST(len < TK_MONEY_TEXT_MAX);
        out[len] = '\0';
        return len;
}
