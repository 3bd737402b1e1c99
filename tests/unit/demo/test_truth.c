/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/truth.h"

#include "lib/unit.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static json_t *load(struct tk_demo_truth *truth) {
        struct tk_buf out = TK_BUF(4 << 20);
        tk_demo_truth_write(truth, &out);
        assert_true(tk_buf_ok(&out));
        json_t *root = json_loadb(out.at, out.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        tk_buf_free(&out);
        return root;
}

static json_int_t at(const json_t *root, const char *table, const char *row, const char *field) {
        const json_t *value = json_object_get(root, table);
        if (row)
                value = json_object_get(value, row);
        value = json_object_get(value, field);
        assert_non_null(value);
        return json_integer_value(value);
}

static void counts_add_up_per_model_and_user(void **state) {
        TK_UNUSED(state);
        struct tk_demo_truth *truth = tk_demo_truth_new();
        tk_demo_truth_add(truth, TK_STR("m1"), TK_STR("ann"),
                          &(struct tk_demo_counts){.requests = 1, .prompt_tokens = 5});
        tk_demo_truth_add(truth, TK_STR("m2"), TK_STR("ann"),
                          &(struct tk_demo_counts){.completion_tokens = 7});
        tk_demo_truth_add(truth, TK_STR("m1"), TK_STR(""),
                          &(struct tk_demo_counts){.completion_tokens = 2,
                                                   .cancelled = 1,
                                                   .cancelled_completion_tokens = 2,
                                                   .broken = 3,
                                                   .refused = 4});
        json_t *root = load(truth);
        assert_int_equal(at(root, "total", NULL, "requests"), 1);
        assert_int_equal(at(root, "total", NULL, "completion_tokens"), 9);
        assert_int_equal(at(root, "models", "m1", "prompt_tokens"), 5);
        assert_int_equal(at(root, "models", "m1", "completion_tokens"), 2);
        assert_int_equal(at(root, "models", "m2", "completion_tokens"), 7);
        assert_int_equal(at(root, "users", "ann", "completion_tokens"), 7);
        assert_int_equal(at(root, "users", "", "cancelled"), 1);
        assert_int_equal(at(root, "users", "", "cancelled_completion_tokens"), 2);
        assert_int_equal(at(root, "users", "", "broken"), 3);
        assert_int_equal(at(root, "users", "", "refused"), 4);
        json_decref(root);
        tk_demo_truth_reset(truth);
        root = load(truth);
        assert_int_equal(at(root, "total", NULL, "completion_tokens"), 0);
        assert_int_equal(json_object_size(json_object_get(root, "users")), 0);
        json_decref(root);
        tk_demo_truth_free(&truth);
        assert_null(truth);
}

static void what_runs_at_once_is_counted(void **state) {
        TK_UNUSED(state);
        struct tk_demo_truth *truth = tk_demo_truth_new();
        tk_demo_truth_enter(truth, TK_STR("m"), TK_STR("ann"));
        tk_demo_truth_enter(truth, TK_STR("m"), TK_STR("bob"));
        tk_demo_truth_leave(truth, TK_STR("m"), TK_STR("ann"));
        tk_demo_truth_enter(truth, TK_STR("m"), TK_STR("ann"));
        json_t *root = load(truth);
        assert_int_equal(at(root, "total", NULL, "running"), 2);
        assert_int_equal(at(root, "total", NULL, "most_at_once"), 2);
        assert_int_equal(at(root, "users", "ann", "most_at_once"), 1);
        json_decref(root);
        tk_demo_truth_leave(truth, TK_STR("m"), TK_STR("bob"));
        tk_demo_truth_reset(truth); /* one still runs */
        root = load(truth);
        assert_int_equal(at(root, "total", NULL, "running"), 1);
        assert_int_equal(at(root, "total", NULL, "most_at_once"), 1);
        assert_int_equal(json_object_size(json_object_get(root, "users")), 1);
        json_decref(root);
        tk_demo_truth_leave(truth, TK_STR("m"), TK_STR("ann"));
        root = load(truth);
        assert_int_equal(at(root, "total", NULL, "running"), 0);
        assert_int_equal(at(root, "users", "ann", "running"), 0);
        json_decref(root);
        tk_demo_truth_free(&truth);
}

static void too_many_users_share_a_row(void **state) {
        TK_UNUSED(state);
        struct tk_demo_truth *truth = tk_demo_truth_new();
        for (unsigned i = 0; i < TK_DEMO_ROWS_MAX + 100; i++) {
                char user[16];
                snprintf(user, sizeof user, "u%u", i);
                tk_demo_truth_add(truth, TK_STR("m"), tk_str_of(user),
                                  &(struct tk_demo_counts){.requests = 1});
        }
        json_t *root = load(truth);
        assert_int_equal(json_object_size(json_object_get(root, "users")), TK_DEMO_ROWS_MAX);
        assert_int_equal(at(root, "users", "u5", "requests"), 1);
        assert_int_equal(at(root, "users", "(others)", "requests"), 101);
        assert_int_equal(at(root, "models", "m", "requests"), TK_DEMO_ROWS_MAX + 100);
        json_decref(root);
        tk_demo_truth_free(&truth);
}

static void *add_many(void *arg) {
        for (unsigned i = 0; i < 10000; i++)
                tk_demo_truth_add(arg, TK_STR("m"), i % 2 ? TK_STR("a") : TK_STR("b"),
                                  &(struct tk_demo_counts){.completion_tokens = 3});
        return NULL;
}

static void threads_lose_nothing(void **state) {
        TK_UNUSED(state);
        struct tk_demo_truth *truth = tk_demo_truth_new();
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, add_many, truth), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        json_t *root = load(truth);
        assert_int_equal(at(root, "total", NULL, "completion_tokens"), 120000);
        assert_int_equal(at(root, "users", "a", "completion_tokens"), 60000);
        json_decref(root);
        tk_demo_truth_free(&truth);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(counts_add_up_per_model_and_user),
                TEST(too_many_users_share_a_row),
                TEST(what_runs_at_once_is_counted),
                TEST(threads_lose_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
