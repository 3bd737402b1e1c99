/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/fault_vfs.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/must.h"

struct fault_file {
        sqlite3_file base;
        bool is_wal;
        sqlite3_file *real; /* behind this struct, in the same allocation */
};

static struct {
        unsigned kinds;
        unsigned left; /* calls up to the first that fails */
        int code;
        bool for_ever;
        unsigned failed;
} plan;

static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;
static sqlite3_mem_methods real_memory;
static bool wal_unsynced;

void fault_plan(unsigned kinds, unsigned n, int code, bool for_ever) {
        MUST(n > 0);
        plan.kinds = kinds;
        plan.left = n;
        plan.code = code;
        plan.for_ever = for_ever;
        plan.failed = 0;
}

unsigned fault_end(void) {
        plan.kinds = 0;
        return plan.failed;
}

bool fault_wal_unsynced(void) {
        return wal_unsynced;
}

/* SQLITE_OK, or what this call answers. */
static int hit(enum fault_kind kind, int code) {
        if (!(plan.kinds & kind) || (plan.left > 0 && --plan.left > 0))
                return SQLITE_OK;
        plan.failed++;
        if (!plan.for_ever)
                plan.kinds = 0;
        return plan.code ? plan.code : code;
}

/* ---- files ---- */

static sqlite3_file *real_of(sqlite3_file *file) {
        return ((struct fault_file *)file)->real;
}

static int file_close(sqlite3_file *file) {
        sqlite3_file *real = real_of(file);
        return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *at, int size, sqlite3_int64 offset) {
        int code = hit(FAULT_READ, SQLITE_IOERR_READ);
        return code ? code : real_of(file)->pMethods->xRead(real_of(file), at, size, offset);
}

static int file_write(sqlite3_file *file, const void *at, int size, sqlite3_int64 offset) {
        sqlite3_file *real = real_of(file);
        int code = hit(FAULT_WRITE, SQLITE_IOERR_WRITE);
        if (((struct fault_file *)file)->is_wal)
                wal_unsynced = true;
        if (code) {
                real->pMethods->xWrite(real, at, size / 2, offset);
                return code;
        }
        return real->pMethods->xWrite(real, at, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
        int code = hit(FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE);
        return code ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags) {
        int code = hit(FAULT_SYNC, SQLITE_IOERR_FSYNC);
        if (code)
                return code;
        if (((struct fault_file *)file)->is_wal)
                wal_unsynced = false;
        /* The tests end the process, not the machine: what is counted is that it was asked. */
        (void)flags;
        return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
        return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level) {
        return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level) {
        return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_lock_check(sqlite3_file *file, int *out) {
        return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int file_control(sqlite3_file *file, int op, void *arg) {
        return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector(sqlite3_file *file) {
        return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_traits(sqlite3_file *file) {
        return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
        int code = hit(FAULT_SHM, SQLITE_IOERR_SHMMAP);
        return code ? code : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int offset, int nr, int flags) {
        return real_of(file)->pMethods->xShmLock(real_of(file), offset, nr, flags);
}

static void file_shm_barrier(sqlite3_file *file) {
        real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int remove) {
        return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods file_methods = {
        .iVersion = 2,
        .xClose = file_close,
        .xRead = file_read,
        .xWrite = file_write,
        .xTruncate = file_truncate,
        .xSync = file_sync,
        .xFileSize = file_size,
        .xLock = file_lock,
        .xUnlock = file_unlock,
        .xCheckReservedLock = file_lock_check,
        .xFileControl = file_control,
        .xSectorSize = file_sector,
        .xDeviceCharacteristics = file_traits,
        .xShmMap = file_shm_map,
        .xShmLock = file_shm_lock,
        .xShmBarrier = file_shm_barrier,
        .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *flags_out) {
        struct fault_file *file = (struct fault_file *)base;
        (void)vfs;
        file->base.pMethods = NULL;
        file->real = (sqlite3_file *)(file + 1);
        file->is_wal = flags & SQLITE_OPEN_WAL;
        int code = hit(FAULT_OPEN, SQLITE_CANTOPEN);
        if (!code)
                code = real_vfs->xOpen(real_vfs, name, file->real, flags, flags_out);
        if (!code)
                file->base.pMethods = &file_methods;
        return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
        (void)vfs;
        int code = hit(FAULT_DELETE, SQLITE_IOERR_DELETE);
        return code ? code : real_vfs->xDelete(real_vfs, name, sync);
}

/* ---- memory ---- */

static void *memory_get(int size) {
        return hit(FAULT_ALLOC, SQLITE_NOMEM) ? NULL : real_memory.xMalloc(size);
}

static void *memory_grow(void *at, int size) {
        return hit(FAULT_ALLOC, SQLITE_NOMEM) ? NULL : real_memory.xRealloc(at, size);
}

/* ---- */

void fault_vfs_install(void) {
        int code = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
        MUST(code == SQLITE_OK);
        sqlite3_mem_methods memory = real_memory;
        memory.xMalloc = memory_get;
        memory.xRealloc = memory_grow;
        code = sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
        MUST(code == SQLITE_OK);
        code = sqlite3_initialize();
        MUST(code == SQLITE_OK);
        real_vfs = sqlite3_vfs_find(NULL);
        MUST(real_vfs != NULL);
        fault_vfs = *real_vfs; /* what is not replaced does not look at its vfs argument */
        fault_vfs.zName = "fault";
        fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
        fault_vfs.pNext = NULL;
        fault_vfs.xOpen = vfs_open;
        fault_vfs.xDelete = vfs_delete;
        code = sqlite3_vfs_register(&fault_vfs, 1);
        MUST(code == SQLITE_OK);
}
