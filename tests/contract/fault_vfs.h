/* SPDX-License-Identifier: Apache-2.0
 *
 * fault_vfs: what SQLite asks of the operating system, with a fault on demand. It becomes the default VFS, so
 * the store under test runs as it is.
 *
 * A plan says which kinds of calls count, and at the n-th of them what goes wrong: once, or from then on.
 * One thread at a time.
 */
#ifndef TK_TESTS_CONTRACT_FAULT_VFS_H
#define TK_TESTS_CONTRACT_FAULT_VFS_H

#include <stdbool.h>

enum fault_kind {
        FAULT_WRITE = 1, /* half of the bytes may get there */
        FAULT_SYNC = 2,  /* fsync */
        FAULT_OPEN = 4,  /* any file */
        FAULT_READ = 8,  /* */
        FAULT_TRUNCATE = 16,
        FAULT_SHM = 32, /* memory shared between connections */
        FAULT_DELETE = 64,
        FAULT_ALLOC = 128, /* SQLite's own memory */
        FAULT_ALL = 255
};

/* Once, before SQLite is used. */
void fault_vfs_install(void);
/* From now on, the n-th (from 1) call of these kinds fails with this code (0: each kind's own). */
void fault_plan(unsigned kinds, unsigned n, int code, bool for_ever);
/* Ends the plan; how many calls failed. */
unsigned fault_end(void);
/* Bytes were written to the WAL and not yet synced. */
bool fault_wal_unsynced(void);

#endif
