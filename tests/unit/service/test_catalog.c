/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog: what goes in comes out under exactly its id, however many there are and whoever asks.
 */
#include "service/catalog.c"

#include "lib/alloc_fail.h"
#include "lib/unit.h"
#include "unit/base/must_mock.h"
#include "unit/base/table.h"

#include <pthread.h>
#include <stdio.h>

#define MANY 4096

static const struct tk_price dime = {.base = {.input = 150000000,
                                              .output = 600000000,
                                              .cache_input = 75000000,
                                              .cache_write = TK_RATE_NONE}};

static void add_provider(struct tk_catalog *c, const char *name) {
        struct tk_provider p = {.name = (char *)name, .base_url = (char *)"http://127.0.0.1:9090/v1"};
        assert_ok(tk_catalog_add_provider(c, &p));
}

static enum tk_err add_model(struct tk_catalog *c, const char *id, const char *provider) {
        struct tk_model m = {.id = (char *)id, .max_output_tokens = 4096, .priced = true, .price = dime};
        return tk_catalog_add_model(c, &m, provider);
}

static void an_empty_catalog_knows_nothing(void **state) {
        (void)state;
        struct tk_catalog *c = tk_catalog_new();
        assert_non_null(c);
        assert_null(tk_catalog_model_get(c, TK_STR("a")));
        assert_null(tk_catalog_model_get(c, TK_STR("")));
        assert_null(tk_catalog_provider_get(c, "a"));
        tk_catalog_free(&c);
        assert_null(c);
        tk_catalog_free(&c); /* twice is harmless */
}

static void everything_is_copied(void **state) {
        char name[] = "demo", url[] = "http://h/v1", secret[] = "s3cret", id[] = "small", up[] = "small-2026";
        (void)state;
        struct tk_catalog *c = tk_catalog_new();
        struct tk_provider p = {
                .name = name, .base_url = url, .api_key = secret, .connect_ms = 7, .idle_ms = 9};
        assert_ok(tk_catalog_add_provider(c, &p));
        struct tk_model m = {.id = id,
                             .upstream_id = up,
                             .type = TK_MODEL_TEXT,
                             .priced = true,
                             .is_private = true,
                             .max_output_tokens = 5,
                             .context_tokens = 6,
                             .price = dime};
        assert_ok(tk_catalog_add_model(c, &m, name));
        memset(name, 'x', 4), memset(url, 'x', 4), memset(secret, 'x', 4), memset(id, 'x', 4),
                memset(up, 'x', 4);

        const struct tk_model *got = tk_catalog_model_get(c, TK_STR("small"));
        assert_non_null(got);
        assert_string_equal(got->upstream_id, "small-2026");
        assert_true(got->is_private);
        assert_true(got->priced);
        assert_int_equal(got->max_output_tokens, 5);
        assert_int_equal(got->context_tokens, 6);
        assert_memory_equal(&got->price, &dime, sizeof dime);
        assert_ptr_equal(got->provider, tk_catalog_provider_get(c, "demo"));
        assert_string_equal(got->provider->base_url, "http://h/v1");
        assert_string_equal(got->provider->api_key, "s3cret");
        assert_int_equal(got->provider->connect_ms, 7);
        assert_int_equal(got->provider->idle_ms, 9);
        tk_catalog_free(&c);
}

static void a_second_of_a_name_is_refused(void **state) {
        (void)state;
        struct tk_catalog *c = tk_catalog_new();
        add_provider(c, "demo");
        struct tk_provider again = {.name = (char *)"demo", .base_url = (char *)"http://other"};
        assert_int_equal(tk_catalog_add_provider(c, &again), TK_E_CONFLICT);
        assert_string_equal(tk_catalog_provider_get(c, "demo")->base_url, "http://127.0.0.1:9090/v1");
        assert_ok(add_model(c, "m", "demo"));
        assert_int_equal(add_model(c, "m", "demo"), TK_E_CONFLICT);
        assert_int_equal(add_model(c, "n", "nobody"), TK_E_NOT_FOUND);
        assert_int_equal(c->models_nr, 1);
        assert_int_equal(c->providers_nr, 1);
        tk_catalog_free(&c);
}

static void only_the_exact_id_matches(void **state) {
        static const char *const wrong[] = {"",         "m",       "model",    "model-",
                                            "model-a ", "Model-a", "model-ab", "odel-a"};
        (void)state;
        struct tk_catalog *c = tk_catalog_new();
        add_provider(c, "demo");
        assert_ok(add_model(c, "model-a", "demo"));
        for (size_t i = 0; i < COUNT(wrong); i++)
                if (tk_catalog_model_get(c, tk_str_of(wrong[i])))
                        WRONG("'%s' was found", wrong[i]);
        assert_null(tk_catalog_model_get(c, (struct tk_str){"model-a\0", 8}));
        /* A span into a longer text, as a router has it. */
        assert_non_null(tk_catalog_model_get(c, (struct tk_str){"model-a/more", 7}));
        tk_catalog_free(&c);
}

static struct tk_catalog *many(void) {
        char id[32];
        struct tk_catalog *c = tk_catalog_new();
        add_provider(c, "demo");
        for (int i = 0; i < MANY; i++) {
                snprintf(id, sizeof id, "model-%d", i);
                assert_ok(add_model(c, id, "demo"));
        }
        return c;
}

static bool all_found(const struct tk_catalog *c) {
        char id[32];
        for (int i = 0; i < MANY; i++) {
                snprintf(id, sizeof id, "model-%d", i);
                const struct tk_model *m = tk_catalog_model_get(c, tk_str_of(id));
                if (!m || strcmp(m->id, id) != 0 || m != c->models[i])
                        return false;
                snprintf(id, sizeof id, "model-%d", MANY + i);
                if (tk_catalog_model_get(c, tk_str_of(id)))
                        return false;
        }
        return true;
}

static void many_are_found_in_their_order(void **state) {
        (void)state;
        struct tk_catalog *c = many();
        assert_int_equal(c->models_nr, MANY);
        assert_true(all_found(c));
        const struct catalog *inner = (const struct catalog *)c;
        assert_true(inner->slots_nr >= 2 * MANY); /* at most half full, so that every miss ends */
        tk_catalog_free(&c);
}

static void *look_up(void *c) {
        return all_found(c) ? c : NULL;
}

static void many_threads_look_up_at_once(void **state) {
        pthread_t threads[4];
        (void)state;
        struct tk_catalog *c = many();
        for (size_t i = 0; i < COUNT(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, look_up, c), 0);
        for (size_t i = 0; i < COUNT(threads); i++) {
                void *result;
                assert_int_equal(pthread_join(threads[i], &result), 0);
                assert_non_null(result);
        }
        tk_catalog_free(&c);
}

static void colliding_ids_stay_apart(void **state) {
        /* Words with one FNV-1a hash: the probe has to compare the texts. */
        static const char *const pairs[][2] = {
                {"costarring", "liquid"}, {"declinate", "macallums"}, {"altarage", "zinke"}};
        (void)state;
        struct tk_catalog *c = tk_catalog_new();
        add_provider(c, "demo");
        for (size_t i = 0; i < COUNT(pairs); i++) {
                struct tk_str a = tk_str_of(pairs[i][0]), b = tk_str_of(pairs[i][1]);
                assert_int_equal(hash_of(a), hash_of(b));
                assert_ok(add_model(c, a.at, "demo"));
                assert_null(tk_catalog_model_get(c, b));
                assert_ok(add_model(c, b.at, "demo"));
                assert_string_equal(tk_catalog_model_get(c, a)->id, a.at);
                assert_string_equal(tk_catalog_model_get(c, b)->id, b.at);
        }
        tk_catalog_free(&c);
}

static void nonsense_is_a_programmers_error(void **state) {
        (void)state;
        struct tk_catalog *c = tk_catalog_new();
        add_provider(c, "demo");
        struct tk_model unbounded = {.id = (char *)"m", .priced = true, .price = dime};
        struct tk_model negative = {.id = (char *)"m", .max_output_tokens = 1, .priced = true, .price = dime};
        negative.price.base.input = -5;
        tk_must_fail_f *original = tk_must_fail;
        tk_must_fail = must_mock;
        expect_assert_failure((void)!tk_catalog_add_model(c, &unbounded, "demo"));
        expect_assert_failure((void)!tk_catalog_add_model(c, &negative, "demo"));
        expect_assert_failure((void)tk_model_type_name(TK_MODEL_TYPE_NR));
        tk_must_fail = original;
        assert_string_equal(tk_model_type_name(TK_MODEL_TEXT), "text");
        assert_string_equal(tk_model_type_name(TK_MODEL_EMBEDDING), "embedding");
        tk_catalog_free(&c);
}

static void every_allocation_fails_once(void **state) {
        struct tk_provider p = {.name = (char *)"p", .base_url = (char *)"http://h", .api_key = (char *)"s"};
        unsigned fail_at = 0;
        enum tk_err err;
        (void)state;
        do {
                allocations_left = fail_at++;
                struct tk_catalog *c = tk_catalog_new();
                err = c ? tk_catalog_add_provider(c, &p) : TK_E_NO_MEMORY;
                for (int i = 0; err == TK_OK && i < 20; i++) { /* past the first size of every list */
                        char id[16];
                        snprintf(id, sizeof id, "m%d", i);
                        err = add_model(c, id, "p");
                        if (err != TK_OK)
                                assert_null(tk_catalog_model_get(c, tk_str_of(id)));
                        else
                                assert_non_null(tk_catalog_model_get(c, tk_str_of(id)));
                        assert_int_equal(c->models_nr, (unsigned)i + (err == TK_OK));
                }
                allocations_left = UINT_MAX;
                assert_true(err == TK_OK || err == TK_E_NO_MEMORY);
                tk_catalog_free(&c);
        } while (err != TK_OK);
        assert_true(fail_at > 40);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(an_empty_catalog_knows_nothing), TEST(everything_is_copied),
                TEST(a_second_of_a_name_is_refused),  TEST(only_the_exact_id_matches),
                TEST(many_are_found_in_their_order),  TEST(many_threads_look_up_at_once),
                TEST(colliding_ids_stay_apart),       TEST(nonsense_is_a_programmers_error),
                TEST(every_allocation_fails_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
