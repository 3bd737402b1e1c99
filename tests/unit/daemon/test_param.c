/* SPDX-License-Identifier: Apache-2.0
 *
 * param: the table is sound (a default is legal, a name is there once), and a misspelt name finds its row.
 */
#include "daemon/param.h"

#include "core/money.h"
#include "lib/unit.h"
#include "unit/base/table.h"

#include <string.h>

static void every_row_is_sound(void **state) {
        (void)state;
        for (size_t i = 0; i < TK_PARAM_NR; i++) {
                const struct tk_param *p = &tk_params[i];
                uint64_t count;
                assert_non_null(p->name);
                if (tk_param_get(p->section, tk_str_of(p->name)) != p)
                        WRONG("%s is there twice in its section", p->name);
                if (p->help[0] == '\0' || p->help[strlen(p->help) - 1] != '.')
                        WRONG("the help of %s is no sentence", p->name);
                if (p->least > p->most)
                        WRONG("%s: least > most", p->name);
                if (p->type == TK_PARAM_COUNT && p->def[0] &&
                    (!tk_str_u64(tk_str_of(p->def), &count) || count < p->least || count > p->most))
                        WRONG("the default of %s is not legal", p->name);
                if (p->type == TK_PARAM_CHOICE && tk_param_choice(p, tk_str_of(p->def)) < 0)
                        WRONG("the default of %s is no choice", p->name);
                if (p->need == TK_PARAM_MUST_HAVE && p->def[0])
                        WRONG("%s is needed and has a default", p->name);
                bool group = p->type == TK_PARAM_MAP || p->type == TK_PARAM_LIST || p->type == TK_PARAM_GROUP;
                if (!group && !p->def[0] && !p->example[0])
                        WRONG("%s has neither default nor example", p->name);
        }
}

static void distances(void **state) {
        static const struct {
                const char *a, *b;
                unsigned distance;
        } rows[] = {
                {"", "", 0},
                {"a", "a", 0},
                {"a", "b", 1},
                {"a", "", 1},
                {"", "abc", 3},
                {"listen", "lisen", 1},
                {"listen", "listne", 1},
                {"store", "sotre", 1},
                {"kitten", "sitting", 3},
                {"ab", "ba", 1},
                {"abcd", "dcba", 3},
                {"loops", "loop", 1},
                {"price", "pirce", 1},
                {"aaaaaaaaaaaaaaaa", "b", 10},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_str a = tk_str_of(rows[i].a), b = tk_str_of(rows[i].b);
                unsigned d = tk_text_distance(a, b, 9);
                if (d != rows[i].distance || tk_text_distance(b, a, 9) != d)
                        WRONG("%s %s: %u", rows[i].a, rows[i].b, d);
        }
        char much[65];
        memset(much, 'a', 65);
        assert_int_equal(tk_text_distance((struct tk_str){much, 64}, (struct tk_str){much, 64}, 3), 0);
        assert_int_equal(tk_text_distance((struct tk_str){much, 65}, (struct tk_str){much, 64}, 3), 4);
}

static void the_nearest_name(void **state) {
        static const struct {
                enum tk_param_section section;
                const char *name, *nearest;
        } rows[] = {
                {TK_SECTION_TOP, "lisen", "listen"},
                {TK_SECTION_TOP, "providres", "providers"},
                {TK_SECTION_TOP, "keyprefix", "key_prefix"},
                {TK_SECTION_TOP, "model", "models"},
                {TK_SECTION_TOP, "x", NULL},
                {TK_SECTION_TOP, "", NULL},
                {TK_SECTION_TOP, "base_url", NULL},
                {TK_SECTION_PROVIDER, "base_uri", "base_url"},
                {TK_SECTION_PRICE, "ouput", "output"},
                {TK_SECTION_LONG, "abov", "above"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                const char *near = tk_param_nearest(rows[i].section, tk_str_of(rows[i].name));
                if (!near != !rows[i].nearest || (near && strcmp(near, rows[i].nearest) != 0))
                        WRONG("%s: %s", rows[i].name, near ? near : "none");
        }
}

static void choices(void **state) {
        const struct tk_param *p = &tk_params[TK_PARAM_MODEL_type];
        (void)state;
        assert_int_equal(tk_param_choice(p, TK_STR("text")), 0);
        assert_int_equal(tk_param_choice(p, TK_STR("embedding")), 1);
        assert_int_equal(tk_param_choice(p, TK_STR("")), -1);
        assert_int_equal(tk_param_choice(p, TK_STR("tex")), -1);
        assert_int_equal(tk_param_choice(p, TK_STR("embeddings")), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(every_row_is_sound),
                TEST(distances),
                TEST(the_nearest_name),
                TEST(choices),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
