/* SPDX-License-Identifier: Apache-2.0
 *
 * replay: runs a fuzz target over every file of the folders given as arguments, once.
 *
 * It stands in for libFuzzer's main where the corpus is a regression test: any compiler, no search,
 * seconds. Each input is copied to an allocation of exactly its size, so that a sanitizer sees a
 * read of one byte too many. A folder that is missing or empty is a failure, because a test that
 * ran nothing must not look like one that passed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the whole file in an exact allocation, or NULL after saying why. */
static uint8_t *load(const char *path, size_t *size) {
        FILE *file = fopen(path, "rb");
        struct stat st;
        uint8_t *data = NULL;
        if (!file || fstat(fileno(file), &st) < 0) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                goto out;
        }
        *size = (size_t)st.st_size;
        data = malloc(*size ? *size : 1);
        if (!data || fread(data, 1, *size, file) != *size) {
                fprintf(stderr, "%s: cannot be read whole\n", path);
                free(data);
                data = NULL;
        }
out:
        if (file)
                fclose(file);
        return data;
}

/* Runs one file; true when it was one. Folders and hidden files inside a corpus are passed over. */
static int run_file(const char *folder, const char *name) {
        char path[4096];
        struct stat st;
        size_t size = 0;
        if (name[0] == '.')
                return 0;
        if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) {
                fprintf(stderr, "%s/%s: the path is too long\n", folder, name);
                return -1;
        }
        if (stat(path, &st) < 0) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                return -1;
        }
        if (!S_ISREG(st.st_mode))
                return 0;
        uint8_t *data = load(path, &size);
        if (!data)
                return -1;
        fprintf(stderr, "%s\n", path); /* the last line names the input that broke it */
        LLVMFuzzerTestOneInput(data, size);
        free(data);
        return 1;
}

/* Returns how many inputs ran, or -1 after a failure. */
static long run_folder(const char *folder) {
        DIR *dir = opendir(folder);
        long count = 0;
        if (!dir) {
                fprintf(stderr, "%s: %s\n", folder, strerror(errno));
                return -1;
        }
        for (struct dirent *entry; (entry = readdir(dir));) {
                int ran = run_file(folder, entry->d_name);
                if (ran < 0) {
                        closedir(dir);
                        return -1;
                }
                count += ran;
        }
        closedir(dir);
        if (count == 0) {
                fprintf(stderr, "%s: the folder holds no input\n", folder);
                return -1;
        }
        return count;
}

int main(int argc, char **argv) {
        long total = 0;
        if (argc < 2) {
                fprintf(stderr, "usage: %s FOLDER ...\n", argv[0]);
                return 2;
        }
        for (int i = 1; i < argc; i++) {
                long count = run_folder(argv[i]);
                if (count < 0)
                        return 1;
                total += count;
        }
        printf("%ld inputs ran\n", total);
        return 0;
}
