/* SPDX-License-Identifier: Apache-2.0
 *
 * cmdline: any words as argv, one a NUL. The grammar either finds a command with all that its row says, or
 * has said why not and gives an exit code. Nothing is run. It talks much: fuzz it with
 * -close_fd_mask=3.
 */
#include "cli/grammar.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tk_cmd_line *line) {
        MUST(line->cmd);
        MUST(line->cmd->run);
        MUST(!line->opt[TK_OPT_help]);
        MUST(IMPLIES(strchr(line->cmd->sentence, '<'), line->hole));
        MUST(IMPLIES(line->hole, strpbrk(line->cmd->sentence, "<[")));
        MUST(IMPLIES(line->rest_nr, strstr(line->cmd->sentence, "...")));
        MUST(IMPLIES(line->opt[TK_OPT_json], strstr(line->cmd->takes, "json")));
        MUST(IMPLIES(line->opt[TK_OPT_usd], strstr(line->cmd->takes, "usd")));
        MUST(IMPLIES(line->cmd->run == tk_cmd_key_create,
                     line->opt[TK_OPT_kind] && line->opt[TK_OPT_description]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *words[WORDS_MAX + 2] = {(char *)"tollkey"};
        struct tk_cmd_line line;
        int words_nr = 1, code = -1;
        char *text = malloc(size + 1);
        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        for (size_t at = 0; at < size && words_nr <= WORDS_MAX; at += strlen(text + at) + 1)
                words[words_nr++] = text + at;
        words[words_nr] = NULL;
        if (tk_cmd_parse(words_nr, words, &line, &code))
                check(&line);
        else
                MUST(code == TK_EXIT_OK || code == TK_EXIT_USAGE);
        free(text);
        return 0;
}
