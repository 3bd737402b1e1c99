/* SPDX-License-Identifier: Apache-2.0
 *
 * hash: the vectors of FIPS 180-4 and around the block size, and many threads at once.
 */
#include "rt/hash.h"

#include "lib/unit.h"
#include "unit/base/table.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void hex(const uint8_t digest[32], char out[65]) {
        for (int i = 0; i < 32; i++)
                snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void the_published_vectors(void **state) {
        static const struct {
                const char *text, *digest;
        } rows[] = {
                {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmn"
                 "opqrs"
                 "mnopqrstnopqrstu",
                 "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
        };
        uint8_t digest[32];
        char text[65];
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                tk_sha256(tk_str_of(rows[i].text), digest);
                hex(digest, text);
                if (strcmp(text, rows[i].digest) != 0)
                        WRONG("'%s' gives %s", rows[i].text, text);
        }
        tk_sha256((struct tk_str){NULL, 0}, digest); /* an empty span may have no bytes at all */
        hex(digest, text);
        assert_string_equal(text, rows[0].digest);
}

static void zeros_are_bytes(void **state) {
        uint8_t one[32], two[32];
        (void)state;
        tk_sha256((struct tk_str){"a\0b", 3}, one);
        tk_sha256((struct tk_str){"a\0c", 3}, two);
        assert_memory_not_equal(one, two, 32);
}

static void *hash_much(void *ctx) {
        static const uint8_t abc[4] = {0xba, 0x78, 0x16, 0xbf};
        uint8_t digest[32];
        for (int i = 0; i < 20000; i++) {
                tk_sha256(TK_STR("abc"), digest);
                if (memcmp(digest, abc, 4) != 0)
                        return ctx;
        }
        return NULL;
}

static void many_threads_hash_at_once(void **state) {
        pthread_t threads[4];
        (void)state;
        for (size_t i = 0; i < COUNT(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, hash_much, (void *)state), 0);
        for (size_t i = 0; i < COUNT(threads); i++) {
                void *wrong;
                assert_int_equal(pthread_join(threads[i], &wrong), 0);
                assert_null(wrong);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(the_published_vectors),
                TEST(zeros_are_bytes),
                TEST(many_threads_hash_at_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
