/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc_fail: makes the n-th allocation of our own code fail and all after it. The linker sends malloc,
 * calloc, realloc and strdup here (-Wl,--wrap in meson.build); libraries keep theirs. Include in one file of
 * a test.
 */
#ifndef TK_TESTS_ALLOC_FAIL_H
#define TK_TESTS_ALLOC_FAIL_H

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static unsigned allocations_left = UINT_MAX;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

static inline int allocation_fails(void) {
        if (allocations_left == UINT_MAX)
                return 0;
        if (allocations_left == 0)
                return 1;
        allocations_left--;
        return 0;
}

void *__wrap_malloc(size_t size) {
        return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
        return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size) {
        return allocation_fails() ? NULL : __real_realloc(at, size);
}

char *__wrap_strdup(const char *text) {
        return allocation_fails() ? NULL : __real_strdup(text);
}

#endif
