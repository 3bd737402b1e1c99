/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/local.h"

#include "cli/output.h"
#include "rt/clock.h"
#include "rt/log.h"
#include "rt/rand.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUSY_MS       5000
#define BUSY_PAUSE_MS 20

static bool may_open(const char *url, bool may_create) {
        if (strcmp(url, "memory:") == 0) {
                tk_fail("the store is memory:, which lives and dies with its server; use --url to reach that "
                        "server");
                return false;
        }
        const char *path = strchr(url, ':');
        if (may_create || !path || access(path + 1, F_OK) == 0)
                return true;
        tk_fail("%s: %s; 'tollkey serve' and 'tollkey key create' make a new store", url, strerror(errno));
        return false;
}

/* The name of the user whose process this is; the number, where there is no name. */
static struct tk_actor operator_here(void) {
        struct tk_actor actor = {.kind = TK_ACTOR_OPERATOR};
        struct passwd room, *user = NULL;
        char texts[4096];
        if (getpwuid_r(getuid(), &room, texts, sizeof texts, &user) != 0)
                user = NULL;
        const size_t len = user ? strlen(user->pw_name) : 0;
        bool is_plain = len > 0 && len <= TK_AUDIT_NAME_MAX;
        for (size_t i = 0; is_plain && i < len; i++)
                is_plain = user->pw_name[i] >= ' ' && user->pw_name[i] <= '~';
        if (is_plain)
                snprintf(actor.name, sizeof actor.name, "%s", user->pw_name);
        else
                snprintf(actor.name, sizeof actor.name, "uid %u", (unsigned)getuid());
        return actor;
}

bool tk_local_open(const struct tk_cmd_line *line, bool may_create, struct tk_local *out) {
        char why[1024] = "";
        *out = (struct tk_local){.actor = operator_here(), .now_ms = tk_clock_now_ms()};
        tk_log_level(TK_WARN); /* the life of the store is no news to somebody who lists keys */
        out->config = tk_settings_load(line);
        if (!out->config || !may_open(out->config->store, may_create))
                return false;
        if (tk_rand_init() != TK_OK) {
                tk_fail("the system has no random numbers");
                return false;
        }
        enum tk_err err = tk_store_open(out->config->store, &out->store, why, sizeof why);
        if (err == TK_OK) {
                err = tk_reader_open(out->store, &out->reader);
                if (err != TK_OK)
                        snprintf(why, sizeof why, "%s: %s", out->config->store, tk_err_text(err));
        }
        if (err != TK_OK)
                tk_fail("%s", why);
        return err == TK_OK;
}

void tk_local_close(struct tk_local *local) {
        if (local->reader)
                tk_reader_close(&local->reader);
        if (local->store)
                tk_store_close(&local->store);
        tk_config_free(&local->config);
}

enum tk_err tk_local_begin(struct tk_local *local) {
        int64_t until = tk_clock_mono_ms() + BUSY_MS;
        enum tk_err err;
        while ((err = tk_store_begin(local->store)) == TK_E_BUSY && tk_clock_mono_ms() < until)
                nanosleep(&(struct timespec){.tv_nsec = BUSY_PAUSE_MS * 1000000L}, NULL);
        return err;
}

enum tk_err tk_local_finish(struct tk_local *local, enum tk_err err) {
        if (err == TK_OK)
                return tk_store_commit(local->store);
        tk_store_rollback(local->store);
        return err;
}

enum tk_err tk_local_key_get(struct tk_local *local, struct tk_id id, bool active, struct tk_key *out) {
        enum tk_err err = tk_store_key_get(local->store, id, out);
        if (err == TK_OK && (!tk_id_eq(out->org, tk_store_org(local->store)) || out->revoked_ms))
                return TK_E_NOT_FOUND;
        if (err == TK_OK && active && !tk_key_is_active(out, local->now_ms))
                return TK_E_NOT_FOUND;
        return err;
}

enum tk_err tk_local_user_get(struct tk_local *local, const char *text, struct tk_user *out) {
        char email[TK_EMAIL_MAX + 1];
        struct tk_id id;
        const struct tk_id org = tk_store_org(local->store);
        if (tk_email_parse(tk_str_of(text), email) == TK_OK)
                return tk_reader_user_by_email(local->reader, org, email, out);
        if (!tk_id_parse(tk_str_of(text), &id))
                return TK_E_SYNTAX;
        enum tk_err err = tk_reader_user_by_id(local->reader, id, out);
        return err == TK_OK && (!tk_id_eq(out->org, org) || out->removed_ms != 0) ? TK_E_NOT_FOUND : err;
}

int tk_local_user_find(struct tk_local *local, const char *text, struct tk_user *out) {
        char said[TK_EMAIL_MAX + 1];
        enum tk_err err = tk_local_user_get(local, text, out);
        tk_printable(text, said, sizeof said);
        if (err == TK_E_SYNTAX)
                return tk_misuse(
                        "'%s' is neither an e-mail address nor an id; 'tollkey user list' shows them", said);
        if (err == TK_E_NOT_FOUND)
                return tk_fail("there is no user %s", said);
        return err == TK_OK ? TK_EXIT_OK : tk_fail("%s: %s", local->config->store, tk_err_text(err));
}
