/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/token.h"

#include "base/must.h"
#include "lib/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* want: the tokens, each followed by '|'. */
static const struct {
        const char *name, *text, *want;
} cases[] = {
        {"nothing", "", ""},
        {"one byte", "a", "a|"},
        {"four bytes", "abcd", "abcd|"},
        {"five bytes", "abcde", "abcd|e|"},
        {"two words", "ab cd", "ab| cd|"},
        {"the header's example", "Hello, wide world", "Hell|o,| wide| worl|d|"},
        {"white space in front", "  ab", "  ab|"},
        {"white space behind", "ab \n", "ab| \n|"},
        {"white space only", " \t\r\n\v\f", " \t\r\n\v\f|"},
        {"a long word after a space", " abcdefgh", " abcd|efgh|"},
        {"two bytes a character", "\xc3\xa9\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9|\xc3\xa9|"},
        {"three bytes a character", "\xe2\x82\xac\xe2\x82\xac", "\xe2\x82\xac|\xe2\x82\xac|"},
        {"four bytes a character", "a\xf0\x9f\x98\x80z", "a|\xf0\x9f\x98\x80|z|"},
        {"mixed", "ab\xe2\x82\xac", "ab|\xe2\x82\xac|"},
        {"no-break space is no white space", "a\xc2\xa0z", "a\xc2\xa0z|"},
        {"a lonely continuation byte", "\x80\x80\x80\x80\x80", "\x80\x80\x80\x80|\x80|"},
        {"a character cut off", "abc\xe2\x82", "abc\xe2|\x82|"},
        {"bytes that never begin one", "\xff\xfe\xc0\xc1\xf5", "\xff\xfe\xc0\xc1|\xf5|"},
};

static void texts_fall_into_tokens(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char got[256] = "";
                struct tk_str rest = tk_str_of(cases[i].text);
                uint64_t nr = 0;
                print_message("  %s\n", cases[i].name);
                for (; rest.len; nr++) {
                        struct tk_str token = tk_demo_token(rest);
                        strncat(got, token.at, token.len);
                        strcat(got, "|");
                        rest = tk_str_skip(rest, token.len);
                }
                assert_string_equal(got, cases[i].want);
                assert_int_equal(tk_demo_tokens(tk_str_of(cases[i].text)), nr);
        }
}

/* Whatever the bytes are: tokens have at least one, join to the text, and stay the same when it is cut behind
 * one. */
static void any_bytes_keep_the_promises(void **state) {
        static const char alphabet[] = "ab \n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff";
        char text[200];
        uint32_t random = 1;
        TK_UNUSED(state);
        for (int round = 0; round < 2000; round++) {
                size_t len = 0;
                for (; len < sizeof text && (random = random * 1664525 + 1013904223) >> 24; len++)
                        text[len] = alphabet[(random >> 8) % (sizeof alphabet - 1)];
                struct tk_str all = {text, len};
                uint64_t nr = 0;
                for (size_t at = 0; at < len; nr++) {
                        struct tk_str token = tk_demo_token(tk_str_skip(all, at));
                        assert_true(token.len > 0);
                        assert_ptr_equal(token.at, text + at);
                        at += token.len;
                        assert_int_equal(tk_demo_tokens(tk_str_head(all, at)), nr + 1);
                }
                assert_int_equal(tk_demo_tokens(all), nr);
                assert_true(nr <= len);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(texts_fall_into_tokens),
                TEST(any_bytes_keep_the_promises),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
