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

/* RFC 4231, cases 1, 2, 3 and 6. */
static void the_published_vectors_of_hmac(void **state) {
        uint8_t key[131], data[50], digest[32];
        char text[65];
        (void)state;
        memset(key, 0x0b, 20);
        tk_hmac_sha256((struct tk_str){(const char *)key, 20}, TK_STR("Hi There"), digest);
        hex(digest, text);
        assert_string_equal(text, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        tk_hmac_sha256(TK_STR("Jefe"), TK_STR("what do ya want for nothing?"), digest);
        hex(digest, text);
        assert_string_equal(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        memset(key, 0xaa, sizeof key);
        memset(data, 0xdd, sizeof data);
        tk_hmac_sha256((struct tk_str){(const char *)key, 20}, (struct tk_str){(const char *)data, 50},
                       digest);
        hex(digest, text);
        assert_string_equal(text, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
        tk_hmac_sha256((struct tk_str){(const char *)key, 131},
                       TK_STR("Test Using Larger Than Block-Size Key - Hash Key First"), digest);
        hex(digest, text);
        assert_string_equal(text, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
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
                TEST(the_published_vectors_of_hmac),
                TEST(zeros_are_bytes),
                TEST(many_threads_hash_at_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
