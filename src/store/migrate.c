/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of steps and the loop that walks it. The version of a store is the number of steps that were
 * taken; it is read again inside the transaction, because only there it cannot change.
 */
#include "store/migrate.h"

#include "rt/log.h"
#include "store/sql_embed.h"

static const char *const steps[] = {
        tk_embed_0001_init_sql,
        tk_embed_0002_ledger_scopes_sql,
};

int64_t tk_migrate_newest(void) {
        return sizeof steps / sizeof *steps;
}

static enum tk_err newer(int64_t version, const struct tk_why *why) {
        tk_why_set(why,
                   "the store has schema version %lld, but this program (%s) knows versions up to %lld: "
                   "use the program that wrote it, or a later one",
                   (long long)version, TK_VERSION, (long long)tk_migrate_newest());
        return TK_E_NEWER;
}

static enum tk_err version_get(const struct tk_migrate_ops *ops, void *engine, int64_t *version,
                               const struct tk_why *why) {
        enum tk_err err = ops->version_get(engine, version);
        if (!err && *version < 0) {
                tk_why_set(why, "the store claims schema version %lld", (long long)*version);
                err = TK_E_CORRUPT;
        }
        if (!err && *version > tk_migrate_newest())
                err = newer(*version, why);
        return err;
}

/* Inside the transaction: takes the next step, if there is one. */
static enum tk_err advance(const struct tk_migrate_ops *ops, void *engine, bool fresh, bool *done,
                           const struct tk_why *why) {
        int64_t version;
        enum tk_err err = version_get(ops, engine, &version, why);
        if (err)
                return err;
        *done = version == tk_migrate_newest();
        if (*done)
                return TK_OK;
        err = ops->exec(engine, steps[version]);
        if (!err)
                err = ops->version_set(engine, version + 1);
        if (!err && !fresh) /* that a new store was made is no news */
                tk_log(TK_INFO, TK_STORE_AREA, "schema goes from version %lld to %lld", (long long)version,
                       (long long)version + 1);
        return err;
}

enum tk_err tk_migrate(const struct tk_migrate_ops *ops, void *engine, const struct tk_why *why) {
        int64_t version;
        enum tk_err err = version_get(ops, engine, &version, why);
        const bool fresh = !err && version == 0;
        bool done = !err && version == tk_migrate_newest(); /* the usual start writes nothing */
        while (!err && !done) {
                err = ops->begin(engine);
                if (err)
                        break;
                err = advance(ops, engine, fresh, &done, why);
                if (!err)
                        err = ops->commit(engine);
                if (err)
                        ops->rollback(engine);
        }
        return err;
}
