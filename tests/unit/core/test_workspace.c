/* SPDX-License-Identifier: Apache-2.0
 *
 * workspace: slugs one by one; a sound workspace, then each invariant broken alone.
 */
#include "core/workspace.h"

#include "lib/unit.h"
#include "unit/base/table.h"

#include <string.h>

static void slugs(void **state) {
        static const struct {
                const char *text;
                bool ok;
        } rows[] = {
                {"default", true},
                {"ws-produc-1a2b3c", true},
                {"a", true},
                {"0_9-z", true},
                {"0123456789012345678901234567890123456789012345678901234567890123", true},
                {"01234567890123456789012345678901234567890123456789012345678901234", false},
                {"", false},
                {"A", false},
                {"a b", false},
                {"a/b", false},
                {"a.b", false},
                {"caf\xC3\xA9", false},
                {"01a200cb-b86e-7003-8a83-85413feb288a", false}, /* an id */
                {"01a200cb-b86e-7003-8a83-85413feb288", true},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++)
                if (tk_slug_ok(tk_str_of(rows[i].text)) != rows[i].ok)
                        WRONG("%s", rows[i].text);
        assert_false(tk_slug_ok((struct tk_str){"a\0b", 3}));
}

static struct tk_workspace sound(void) {
        struct tk_workspace workspace = {.id = {{1}},
                                         .org = {{2}},
                                         .slug = "ws-1",
                                         .name = "Caf\xC3\xA9",
                                         .description = "of ours",
                                         .created_ms = 5,
                                         .updated_ms = 6,
                                         .removed_ms = 7};
        return workspace;
}

typedef void break_f(struct tk_workspace *workspace);

static void no_id(struct tk_workspace *workspace) {
        workspace->id = (struct tk_id){{0}};
}
static void no_org(struct tk_workspace *workspace) {
        workspace->org = (struct tk_id){{0}};
}
static void own_org(struct tk_workspace *workspace) {
        workspace->org = workspace->id;
}
static void endless_slug(struct tk_workspace *workspace) {
        memset(workspace->slug, 'x', sizeof workspace->slug);
}
static void slug_in_capitals(struct tk_workspace *workspace) {
        workspace->slug[0] = 'W';
}
static void no_name(struct tk_workspace *workspace) {
        workspace->name[0] = '\0';
}
static void endless_name(struct tk_workspace *workspace) {
        memset(workspace->name, 'x', sizeof workspace->name);
}
static void name_with_a_tab(struct tk_workspace *workspace) {
        workspace->name[1] = '\t';
}
static void endless_description(struct tk_workspace *workspace) {
        memset(workspace->description, 'x', sizeof workspace->description);
}
static void description_not_utf8(struct tk_workspace *workspace) {
        workspace->description[0] = '\xE9';
}
static void created_before_1970(struct tk_workspace *workspace) {
        workspace->created_ms = -1;
}
static void updated_before_1970(struct tk_workspace *workspace) {
        workspace->updated_ms = -1;
}
static void removed_before_1970(struct tk_workspace *workspace) {
        workspace->removed_ms = -1;
}

static void each_invariant(void **state) {
        static const struct {
                const char *name;
                break_f *damage;
        } rows[] = {
                {"no id", no_id},
                {"no organisation", no_org},
                {"its own organisation", own_org},
                {"endless slug", endless_slug},
                {"slug in capitals", slug_in_capitals},
                {"no name", no_name},
                {"endless name", endless_name},
                {"name with a tab", name_with_a_tab},
                {"endless description", endless_description},
                {"description not UTF-8", description_not_utf8},
                {"created before 1970", created_before_1970},
                {"updated before 1970", updated_before_1970},
                {"removed before 1970", removed_before_1970},
        };
        struct tk_workspace workspace = sound();
        (void)state;
        assert_true(tk_workspace_ok(&workspace));
        for (size_t i = 0; i < COUNT(rows); i++) {
                workspace = sound();
                rows[i].damage(&workspace);
                if (tk_workspace_ok(&workspace))
                        WRONG("%s was not found", rows[i].name);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(slugs),
                cmocka_unit_test(each_invariant),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
