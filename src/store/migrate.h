/* SPDX-License-Identifier: Apache-2.0
 *
 * migrate: brings the schema of an SQL store forward, one version at a time, never back.
 *
 * The steps are src/store/sql/NNNN_name.sql, embedded at build. Each runs in its own transaction
 * together with the new version number, so a crash leaves either version whole, and of two programs
 * that start at once one does the work and the other finds it done. A released step never changes.
 */
#ifndef TK_STORE_MIGRATE_H
#define TK_STORE_MIGRATE_H

#include "store/store_int.h"

/* What an engine provides; each returns a fault that it has logged. */
typedef enum tk_err tk_migrate_step_f(void *engine);
typedef void tk_migrate_rollback_f(void *engine);
typedef enum tk_err tk_migrate_exec_f(void *engine, const char *sql);
typedef enum tk_err tk_migrate_version_get_f(void *engine, int64_t *version);
typedef enum tk_err tk_migrate_version_set_f(void *engine, int64_t version);

struct tk_migrate_ops {
        tk_migrate_step_f *begin; /* takes the lock that keeps other writers out */
        tk_migrate_step_f *commit;
        tk_migrate_rollback_f *rollback;
        tk_migrate_exec_f *exec;
        tk_migrate_version_get_f *version_get; /* 0: empty */
        tk_migrate_version_set_f *version_set;
};

/* The version that this program reads and writes. */
int64_t tk_migrate_newest(void);
/* NEWER: the store is ahead of this program; why names both versions. Otherwise the engine's faults. */
TK_CHECKED enum tk_err tk_migrate(const struct tk_migrate_ops *ops, void *engine, const struct tk_why *why);

#endif
