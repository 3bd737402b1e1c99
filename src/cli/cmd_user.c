/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands around users, on the store, beside a server that runs or not. Who is removed loses their keys
 * in the same step; a running server hears of it through the change log.
 */
#include "cli/output.h"
#include "cli/subject.h"
#include "core/time.h"
#include "rt/rand.h"
#include "wire/json_write.h"

#include <stdio.h>
#include <string.h>

#define JSON_MAX (64u << 20)

static int fail_store(const struct tk_local *local, enum tk_err err) {
        return tk_fail("%s: %s", local->config->store, tk_err_text(err));
}

/* ---- showing ---- */

static void put_time(struct tk_jw *w, const char *name, int64_t ms) {
        char at[TK_TIME_TEXT_LEN + 1];
        tk_time_text(ms, at);
        tk_jw_member(w, name, at);
}

static void put_id(struct tk_jw *w, struct tk_id id) {
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, text);
        tk_jw_member(w, "id", text);
}

static void put_user(struct tk_jw *w, const struct tk_user *user) {
        put_id(w, user->id);
        tk_jw_member(w, "email", user->email);
        tk_jw_member(w, "first_name", user->first_name);
        tk_jw_member(w, "last_name", user->last_name);
        tk_jw_member(w, "role", tk_user_role_name(user->role));
        put_time(w, "created_at", user->created_ms);
        put_time(w, "updated_at", user->updated_ms);
}

/* ---- add ---- */

static bool read_name(const char *option, const char *text, char out[TK_PERSON_NAME_MAX + 1]) {
        if (!text || (tk_str_copy(tk_str_of(text), out, TK_PERSON_NAME_MAX + 1) &&
                      tk_person_text_ok(out, TK_PERSON_NAME_MAX + 1)))
                return true;
        tk_misuse("--%s: expects valid UTF-8 of up to %d bytes without control characters", option,
                  TK_PERSON_NAME_MAX);
        return false;
}

static bool read_user(const struct tk_cmd_line *line, struct tk_user *out) {
        const char *role = line->opt[TK_OPT_role];
        char said[64];
        *out = (struct tk_user){.role = TK_USER_MEMBER};
        if (tk_email_parse(tk_str_of(line->hole), out->email) != TK_OK) {
                tk_misuse("'%s' is not an e-mail address", tk_printable(line->hole, said, sizeof said));
                return false;
        }
        if (role && !tk_user_role_parse(tk_str_of(role), &out->role)) {
                tk_misuse("--role %s: expects member, admin or owner", tk_printable(role, said, sizeof said));
                return false;
        }
        return read_name("first-name", line->opt[TK_OPT_first_name], out->first_name) &&
               read_name("last-name", line->opt[TK_OPT_last_name], out->last_name);
}

static int add(const struct tk_cmd_line *line, struct tk_local *local, struct tk_user *user) {
        char id[TK_ID_TEXT_LEN + 1];
        user->id = tk_rand_id(local->now_ms);
        user->org = tk_store_org(local->store);
        user->created_ms = user->updated_ms = local->now_ms;
        enum tk_err err = tk_local_begin(local);
        if (err == TK_OK)
                err = tk_local_finish(local,
                                      tk_audit_user_insert(local->store, &local->actor, local->now_ms, user));
        if (err == TK_E_CONFLICT)
                return tk_fail("%s is a user already", user->email);
        if (err != TK_OK)
                return fail_store(local, err);
        tk_id_text(user->id, id);
        printf(line->opt[TK_OPT_json] ? "{\"id\":\"%s\"}\n" : "id  %s\n", id);
        return TK_EXIT_OK;
}

int tk_cmd_user_add(const struct tk_cmd_line *line) {
        struct tk_user user;
        struct tk_local local;
        int code = TK_EXIT_FAILED;
        if (!read_user(line, &user))
                return TK_EXIT_USAGE;
        if (tk_local_open(line, true, &local))
                code = add(line, &local, &user);
        tk_local_close(&local);
        return code;
}

/* ---- list ---- */

struct listing {
        struct tk_jw *w; /* NULL: into the table */
        struct tk_table *table;
};

static bool list_one(const struct tk_user *user, void *ctx) {
        struct listing *l = ctx;
        char id[TK_ID_TEXT_LEN + 1], created[TK_TIME_TEXT_LEN + 1];
        if (l->w) {
                tk_jw_object(l->w);
                put_user(l->w, user);
                tk_jw_end(l->w);
                return true;
        }
        tk_id_text(user->id, id);
        tk_time_text(user->created_ms, created);
        const char *const cells[] = {
                id, user->email, user->first_name, user->last_name, tk_user_role_name(user->role), created};
        for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
                tk_table_cell(l->table, cells[i]);
        return true;
}

int tk_cmd_user_list(const struct tk_cmd_line *line) {
        static const char *const heading[] = {"ID", "EMAIL", "FIRST NAME", "LAST NAME", "ROLE", "CREATED"};
        struct tk_buf buf = TK_BUF(JSON_MAX);
        struct tk_table table = {.columns = sizeof heading / sizeof *heading};
        struct tk_jw w = tk_jw_begin(&buf);
        struct listing l = {line->opt[TK_OPT_json] ? &w : NULL, &table};
        struct tk_local local;
        int code = TK_EXIT_FAILED;
        if (tk_local_open(line, false, &local)) {
                for (size_t i = 0; i < table.columns; i++)
                        tk_table_cell(&table, heading[i]);
                tk_jw_object(&w);
                tk_jw_key(&w, "users");
                tk_jw_array(&w);
                enum tk_err err = tk_reader_user_list(local.reader, tk_store_org(local.store),
                                                      TK_USER_ROLES_ALL, 0, INT32_MAX, list_one, &l);
                tk_jw_end(&w);
                tk_jw_end(&w);
                code = err != TK_OK ? fail_store(&local, err)
                       : l.w        ? tk_print_buf(&buf)
                                    : tk_table_print(&table);
        }
        tk_table_free(&table);
        tk_buf_free(&buf);
        tk_local_close(&local);
        return code;
}

/* ---- show ---- */

struct owning {
        struct tk_id user;
        struct tk_jw *w; /* NULL: into the table, or only counted when that is NULL too */
        struct tk_table *table;
        unsigned nr;
};

static bool see_key(const struct tk_key *key, void *ctx) {
        struct owning *o = ctx;
        char id[TK_ID_TEXT_LEN + 1];
        if (!tk_id_eq(key->user, o->user))
                return true;
        o->nr++;
        tk_id_text(key->id, id);
        if (o->w) {
                tk_jw_object(o->w);
                put_id(o->w, key->id);
                tk_jw_member(o->w, "description", key->description);
                tk_jw_end(o->w);
        } else if (o->table) {
                tk_table_cell(o->table, id);
                tk_table_cell(o->table, key->description);
        }
        return true;
}

static enum tk_err see_keys(struct tk_local *local, struct owning *owning) {
        return tk_reader_key_list(local->reader, tk_store_org(local->store), local->now_ms,
                                  (struct tk_id){{0}}, INT32_MAX, see_key, owning);
}

static void print_line(const char *name, const char *text) {
        char clean[256];
        printf("%-12s %s\n", name, text[0] ? tk_printable(text, clean, sizeof clean) : "-");
}

static int print_user(const struct tk_user *user, const struct owning *owning) {
        char id[TK_ID_TEXT_LEN + 1], created[TK_TIME_TEXT_LEN + 1];
        tk_id_text(user->id, id);
        tk_time_text(user->created_ms, created);
        print_line("id", id);
        print_line("email", user->email);
        print_line("first name", user->first_name);
        print_line("last name", user->last_name);
        print_line("role", tk_user_role_name(user->role));
        print_line("created", created);
        if (owning->nr == 0)
                return TK_EXIT_OK;
        putchar('\n');
        return tk_table_print(owning->table);
}

static int show(const struct tk_cmd_line *line, struct tk_local *local, struct tk_buf *buf) {
        struct tk_user user;
        struct tk_table table = {.columns = 2};
        struct tk_jw w = tk_jw_begin(buf);
        int code = tk_local_user_find(local, line->hole, &user);
        if (code != TK_EXIT_OK)
                return code;
        struct owning owning = {.user = user.id, .w = line->opt[TK_OPT_json] ? &w : NULL, .table = &table};
        tk_table_cell(&table, "KEY");
        tk_table_cell(&table, "DESCRIPTION");
        tk_jw_object(&w);
        put_user(&w, &user);
        tk_jw_key(&w, "keys");
        tk_jw_array(&w);
        enum tk_err err = see_keys(local, &owning);
        tk_jw_end(&w);
        tk_jw_end(&w);
        code = err != TK_OK ? fail_store(local, err)
               : owning.w   ? tk_print_buf(buf)
                            : print_user(&user, &owning);
        tk_table_free(&table);
        return code;
}

int tk_cmd_user_show(const struct tk_cmd_line *line) {
        struct tk_buf buf = TK_BUF(JSON_MAX);
        struct tk_local local;
        int code = TK_EXIT_FAILED;
        if (tk_local_open(line, false, &local))
                code = show(line, &local, &buf);
        tk_buf_free(&buf);
        tk_local_close(&local);
        return code;
}

/* ---- remove ---- */

/* All in one batch: nobody can make a key for them between the count and their end. */
static int remove_user(const struct tk_cmd_line *line, struct tk_local *local) {
        struct owning owning = {.nr = 0};
        struct tk_user user;
        char id[TK_ID_TEXT_LEN + 1];
        enum tk_err err = tk_local_begin(local);
        if (err != TK_OK)
                return fail_store(local, err);
        int code = tk_local_user_find(local, line->hole, &user);
        if (code != TK_EXIT_OK) {
                tk_store_rollback(local->store);
                return code;
        }
        owning.user = user.id;
        err = see_keys(local, &owning);
        if (err == TK_OK)
                err = tk_audit_user_remove(local->store, &local->actor, local->now_ms, user.id);
        err = tk_local_finish(local, err);
        if (err != TK_OK)
                return fail_store(local, err);
        tk_id_text(user.id, id);
        if (line->opt[TK_OPT_json])
                printf("{\"id\":\"%s\",\"removed\":true,\"keys_revoked\":%u}\n", id, owning.nr);
        else
                printf("removed %s and revoked %u of their keys\n", user.email, owning.nr);
        return TK_EXIT_OK;
}

int tk_cmd_user_remove(const struct tk_cmd_line *line) {
        struct tk_local local;
        int code = TK_EXIT_FAILED;
        if (tk_local_open(line, false, &local))
                code = remove_user(line, &local);
        tk_local_close(&local);
        return code;
}
