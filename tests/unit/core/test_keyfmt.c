/* SPDX-License-Identifier: Apache-2.0
 *
 * keyfmt: texts worked out by another program, every way to damage one, and prefixes.
 */
#include "core/keyfmt.h"

#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"
#include "unit/base/xorshift.h"

#include <string.h>

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* The random bytes of known keys: all the same, counting up, or only one set. */
static void fill(uint8_t random[32], int first, int step) {
        for (int i = 0; i < 32; i++)
                random[i] = (uint8_t)(first + i * step);
}

static void check_values_of_the_crc(void **state) {
        static const struct {
                const char *text;
                uint32_t crc;
        } rows[] = {
                {"", 0},
                {"a", 0xE8B7BE43},
                {"123456789", 0xCBF43926},
                {"The quick brown fox jumps over the lazy dog", 0x414FA339},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                assert_int_equal(tk_crc32(tk_str_of(rows[i].text)), rows[i].crc);
        assert_int_equal(tk_crc32((struct tk_str){NULL, 0}), 0);
        assert_int_equal(tk_crc32(TK_STR("\0\0\0\0")), 0x2144DF1C);
        assert_int_equal(tk_crc32(TK_STR("\xFF\xFF\xFF\xFF")), 0xFFFFFFFF);
}

static void known_keys(void **state) {
        static const struct {
                const char *prefix;
                int first, step;
                const char *text;
        } rows[] = {
                {"tk_inf", 0, 0, "tk_inf_0000000000000000000000000000000000000000000_1F8VBK"},
                {"tk_inf", 255, 0, "tk_inf_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1_4Fyfvu"},
                {"tk_adm", 0, 1, "tk_adm_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_08nicI"},
        };
        uint8_t random[32];
        struct tk_key_text text;
        struct tk_key_parts parts;
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                fill(random, rows[i].first, rows[i].step);
                tk_key_text_make(tk_str_of(rows[i].prefix), random, &text);
                assert_string_equal(text.at, rows[i].text);
                assert_int_equal(text.len, strlen(rows[i].text));
                assert_ok(tk_key_text_split(tk_str_of(rows[i].text), &parts));
                assert_true(tk_str_is(parts.prefix, rows[i].prefix));
        }
        fill(random, 0, 0);
        random[31] = 1;
        tk_key_text_make(TK_STR("a"), random, &text);
        assert_string_equal(text.at, "a_0000000000000000000000000000000000000000001_0ZLieE");
        random[31] = 0;
        random[0] = 0x80;
        tk_key_text_make(TK_STR("abcdefghijklmnopqrstuvwxyz012345"), random, &text);
        assert_string_equal(text.at, "abcdefghijklmnopqrstuvwxyz012345_"
                                     "ULrwNTJa3CHVaAVmO8lHlO4Afd3drtx651MXvhT4GuW_1OujM2");
        assert_int_equal(text.len, TK_KEY_TEXT_MAX);
}

static void the_parts_point_into_the_text(void **state) {
        static const char text[] = "tk_adm_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_08nicI";
        struct tk_key_parts parts;
        (void)state;
        assert_ok(tk_key_text_split(tk_str_of(text), &parts));
        assert_ptr_equal(parts.prefix.at, text);
        assert_int_equal(parts.prefix.len, 6);
        assert_ptr_equal(parts.body.at, text + 7);
        assert_int_equal(parts.body.len, TK_KEY_BODY_LEN);
        assert_ptr_equal(parts.crc.at, text + 51);
        assert_int_equal(parts.crc.len, TK_KEY_CRC_LEN);
}

static void refused_texts(void **state) {
        static const struct {
                const char *name, *text;
                enum tk_err err;
        } rows[] = {
                {"empty", "", TK_E_SYNTAX},
                {"a foreign key", "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklm", TK_E_SYNTAX},
                {"a JSON web token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
                 TK_E_SYNTAX},
                {"no prefix", "_0000000000000000000000000000000000000000000_1F8VBK", TK_E_SYNTAX},
                {"no prefix and no separator", "0000000000000000000000000000000000000000000_1F8VBK",
                 TK_E_SYNTAX},
                {"a prefix in capitals", "TK_INF_0000000000000000000000000000000000000000000_1F8VBK",
                 TK_E_SYNTAX},
                {"a prefix that begins with a digit", "1_0000000000000000000000000000000000000000000_1F8VBK",
                 TK_E_SYNTAX},
                {"a prefix that ends in _", "tk__0000000000000000000000000000000000000000000_1F8VBK",
                 TK_E_SYNTAX},
                {"a prefix of 33",
                 "abcdefghijklmnopqrstuvwxyz0123456_0000000000000000000000000000000000000000000_1F8VBK",
                 TK_E_SYNTAX},
                {"a digit short", "tk_inf_000000000000000000000000000000000000000000_1F8VBK", TK_E_SYNTAX},
                {"a digit long", "tk_inf_00000000000000000000000000000000000000000000_1F8VBK", TK_E_SYNTAX},
                {"a checksum of five", "tk_inf_0000000000000000000000000000000000000000000_1F8VB",
                 TK_E_SYNTAX},
                {"a checksum of seven", "tk_inf_0000000000000000000000000000000000000000000_1F8VBKK",
                 TK_E_SYNTAX},
                {"a dash in the body", "tk_inf_00000000000000000-0000000000000000000000000_1F8VBK",
                 TK_E_SYNTAX},
                {"a _ in the body", "tk_inf_0000000000000000_00000000000000000000000000_1F8VBK", TK_E_SYNTAX},
                {"a _ in the checksum", "tk_inf_0000000000000000000000000000000000000000000_1F_VBK",
                 TK_E_SYNTAX},
                {"a space behind", "tk_inf_0000000000000000000000000000000000000000000_1F8VBK ", TK_E_SYNTAX},
                {"a space in front", " tk_inf_0000000000000000000000000000000000000000000_1F8VBK",
                 TK_E_SYNTAX},
                {"a wrong checksum", "tk_inf_0000000000000000000000000000000000000000000_1F8VBL",
                 TK_E_CORRUPT},
                {"its case changed", "tk_inf_0000000000000000000000000000000000000000000_1f8vbk",
                 TK_E_CORRUPT},
                {"the checksum and 2^32", "tk_inf_0000000000000000000000000000000000000000000_5vnkNO",
                 TK_E_CORRUPT},
                {"the greatest checksum", "tk_inf_0000000000000000000000000000000000000000000_zzzzzz",
                 TK_E_CORRUPT},
                {"a wrong body", "tk_inf_0000000000000000000000000000000000000000001_1F8VBK", TK_E_CORRUPT},
                {"another prefix", "tk_adm_0000000000000000000000000000000000000000000_1F8VBK", TK_E_CORRUPT},
                {"2^256 with its checksum", "tk_inf_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp2_24pDzU",
                 TK_E_CORRUPT},
                {"62^43-1 with its checksum", "tk_inf_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz_0ax5OV",
                 TK_E_CORRUPT},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_key_parts parts = {.body = {"untouched", 9}};
                enum tk_err err = tk_key_text_split(tk_str_of(rows[i].text), &parts);
                if (err != rows[i].err || !tk_str_is(parts.body, "untouched"))
                        WRONG("%s: %s", rows[i].name, tk_err_name(err));
        }
        struct tk_key_parts parts;
        assert_int_equal(tk_key_text_split((struct tk_str){NULL, 0}, &parts), TK_E_SYNTAX);
}

static struct tk_key_text any_key(struct xorshift *x) {
        static const char *const prefixes[] = {"tk_inf", "tk_adm", "a", "x__y",
                                               "abcdefghijklmnopqrstuvwxyz_12345"};
        struct tk_key_text text;
        uint8_t random[32];
        for (size_t i = 0; i < sizeof random; i++)
                random[i] = (uint8_t)xorshift_next(x);
        tk_key_text_make(tk_str_of(prefixes[xorshift_next(x) % COUNT(prefixes)]), random, &text);
        return text;
}

static struct tk_str str_of(const struct tk_key_text *text) {
        return (struct tk_str){text->at, text->len};
}

static void every_key_made_is_read(void **state) {
        struct xorshift x = {1};
        (void)state;
        for (int i = 0; i < 20000; i++) {
                struct tk_key_text text = any_key(&x);
                struct tk_key_parts parts;
                if (tk_key_text_split(str_of(&text), &parts) || strlen(text.at) != text.len)
                        WRONG("%s", text.at);
                if (tk_str_find(tk_str_skip(str_of(&text), text.len - 6), '_') != 6)
                        WRONG("%s has a separator in its last six", text.at);
        }
}

/* Any one byte changed to any other, anywhere. */
static void one_wrong_byte_is_found(void **state) {
        struct xorshift x = {2};
        struct tk_key_parts parts;
        (void)state;
        for (int i = 0; i < 20; i++) {
                struct tk_key_text text = any_key(&x);
                for (size_t at = 0; at < text.len; at++)
                        for (int byte = 0; byte < 256; byte++) {
                                char right = text.at[at];
                                text.at[at] = (char)byte;
                                if (right != (char)byte && tk_key_text_split(str_of(&text), &parts) == TK_OK)
                                        WRONG("%s with byte %d at %zu", text.at, byte, at);
                                text.at[at] = right;
                        }
        }
}

static void two_bytes_swapped_are_found(void **state) {
        struct xorshift x = {3};
        struct tk_key_parts parts;
        (void)state;
        for (int i = 0; i < 2000; i++) {
                struct tk_key_text text = any_key(&x);
                for (size_t at = 0; at + 1 < text.len; at++) {
                        struct tk_key_text swapped = text;
                        swapped.at[at] = text.at[at + 1];
                        swapped.at[at + 1] = text.at[at];
                        if (text.at[at] != text.at[at + 1] &&
                            tk_key_text_split(str_of(&swapped), &parts) == TK_OK)
                                WRONG("%s swapped at %zu", text.at, at);
                }
        }
}

static void cut_or_grown_texts_are_found(void **state) {
        struct xorshift x = {4};
        struct tk_key_parts parts;
        (void)state;
        for (int i = 0; i < 2000; i++) {
                struct tk_key_text text = any_key(&x);
                for (size_t len = 0; len < text.len; len++) {
                        if (tk_key_text_split(tk_str_head(str_of(&text), len), &parts) == TK_OK)
                                WRONG("%s cut to %zu", text.at, len);
                        if (len && tk_key_text_split(tk_str_skip(str_of(&text), len), &parts) == TK_OK)
                                WRONG("%s without its first %zu", text.at, len);
                }
                if (text.len < TK_KEY_TEXT_MAX) {
                        text.at[text.len] = alphabet[xorshift_next(&x) % 62];
                        text.len++;
                        if (tk_key_text_split(str_of(&text), &parts) == TK_OK)
                                WRONG("%s has one more", text.at);
                }
        }
}

/* All bits of the random bytes are in the text: one bit makes another key. */
static void every_bit_counts(void **state) {
        uint8_t random[32];
        struct tk_key_text plain, other;
        (void)state;
        fill(random, 0x5A, 7);
        tk_key_text_make(TK_STR("tk"), random, &plain);
        for (int bit = 0; bit < 256; bit++) {
                random[bit / 8] ^= (uint8_t)(1 << bit % 8);
                tk_key_text_make(TK_STR("tk"), random, &other);
                if (strncmp(plain.at, other.at, 3 + TK_KEY_BODY_LEN) == 0)
                        WRONG("bit %d is not in the text", bit);
                random[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

/* Bodies sort as their numbers do, because the encoding is big-endian and of fixed width. */
static void bodies_sort_as_numbers(void **state) {
        struct xorshift x = {5};
        (void)state;
        for (int i = 0; i < 20000; i++) {
                uint8_t a[32], b[32];
                struct tk_key_text first, second;
                for (size_t j = 0; j < sizeof a; j++)
                        a[j] = b[j] = (uint8_t)xorshift_next(&x);
                b[xorshift_next(&x) % 32] = (uint8_t)xorshift_next(&x);
                tk_key_text_make(TK_STR("tk"), a, &first);
                tk_key_text_make(TK_STR("tk"), b, &second);
                int bytes = memcmp(a, b, sizeof a), texts = strncmp(first.at, second.at, 3 + TK_KEY_BODY_LEN);
                if ((bytes < 0) != (texts < 0) || (bytes == 0) != (texts == 0))
                        WRONG("%s and %s", first.at, second.at);
        }
}

static void prefixes(void **state) {
        static const struct {
                const char *text;
                bool ok;
        } rows[] = {
                {"tk", true},
                {"tk_inf", true},
                {"a", true},
                {"a1", true},
                {"a_1", true},
                {"a__b", true},
                {"z9", true},
                {"", false},
                {"_", false},
                {"1a", false},
                {"_a", false},
                {"a_", false},
                {"A", false},
                {"aB", false},
                {"a-b", false},
                {"a b", false},
                {"a.b", false},
                {"\xC3\xA9", false},
                {"a\xC3\xA9", false},
                {"a`", false},
                {"a{", false},
                {"a/", false},
                {"a:", false},
                {"abcdefghijklmnopqrstuvwxyz012345", true},
                {"abcdefghijklmnopqrstuvwxyz0123456", false},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_key_prefix_ok(tk_str_of(rows[i].text)) != rows[i].ok)
                        WRONG("'%s'", rows[i].text);
        assert_false(tk_key_prefix_ok((struct tk_str){NULL, 0}));
        assert_false(tk_key_prefix_ok(TK_STR("a\0")));
}

static void a_bad_prefix_makes_no_key(void **state) {
        uint8_t random[32] = {0};
        struct tk_key_text text;
        (void)state;
        tk_must_fail = must_mock;
        expect_assert_failure(tk_key_text_make(TK_STR(""), random, &text));
        expect_assert_failure(tk_key_text_make(TK_STR("A"), random, &text));
        expect_assert_failure(tk_key_text_make(TK_STR("abcdefghijklmnopqrstuvwxyz0123456"), random, &text));
}

static void wiping_leaves_nothing(void **state) {
        struct xorshift x = {6};
        struct tk_key_text text = any_key(&x), zero;
        (void)state;
        memset(&zero, 0, sizeof zero);
        tk_key_text_wipe(&text);
        assert_memory_equal(&text, &zero, sizeof text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(check_values_of_the_crc),
                TEST(known_keys),
                TEST(the_parts_point_into_the_text),
                TEST(refused_texts),
                TEST(every_key_made_is_read),
                TEST(one_wrong_byte_is_found),
                TEST(two_bytes_swapped_are_found),
                TEST(cut_or_grown_texts_are_found),
                TEST(every_bit_counts),
                TEST(bodies_sort_as_numbers),
                TEST(prefixes),
                TEST(a_bad_prefix_makes_no_key),
                TEST(wiping_leaves_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
