/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/claim.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SCHEME "sqlite:"

int tk_claim_take(const char *url, char *why, size_t why_size) {
        char real[PATH_MAX], path[PATH_MAX];
        if (!tk_str_starts(tk_str_of(url), SCHEME))
                return TK_CLAIM_NONE;
        /* Whatever symbolic links lead to the file, the claim on it is one. */
        if (!realpath(url + strlen(SCHEME), real)) {
                snprintf(why, why_size, "cannot find %s: %s", url, strerror(errno));
                return TK_CLAIM_REFUSED;
        }
        int len = snprintf(path, sizeof path, "%s.lock", real);
        if (len < 0 || (size_t)len >= sizeof path) {
                snprintf(why, why_size, "the path of the store is too long");
                return TK_CLAIM_REFUSED;
        }
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
                snprintf(why, why_size, "cannot make %s: %s", path, strerror(errno));
                return TK_CLAIM_REFUSED;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
                return fd;
        if (errno == EWOULDBLOCK)
                snprintf(why, why_size, "another tollkey serves %s; one store has one server", url);
        else
                snprintf(why, why_size, "cannot lock %s: %s", path, strerror(errno));
        close(fd);
        return TK_CLAIM_REFUSED;
}

void tk_claim_drop(int claim) {
        if (claim >= 0)
                close(claim);
}
