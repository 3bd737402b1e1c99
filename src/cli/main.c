/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/grammar.h"
#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
        struct tk_cmd_line line;
        int code;
        if (tk_cmd_parse(argc, argv, &line, &code))
                code = line.cmd->run(&line);
        /* What could not be written was not said: a full disk behind a redirection is a failure. */
        errno = 0;
        if (fflush(stdout) != 0 || ferror(stdout))
                code = tk_fail("cannot write the answer: %s", errno ? strerror(errno) : "output failed");
        return code;
}
