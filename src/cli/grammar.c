/* SPDX-License-Identifier: Apache-2.0
 *
 * Words and options may be mixed. The words are matched against the sentences; when none fits, the
 * message says how far they went: an unknown first word, or the sentences that begin the same way.
 */
#include "cli/grammar.h"

#include "base/buf.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 8

struct option {
        const char *name;
        const char *value; /* "": a switch */
        const char *help;
};

static const struct option options[TK_OPT_NR] = {
#define TK_OPT(symbol, name_, value_, help_)                                                                 \
        [TK_OPT_##symbol] = {.name = name_, .value = value_, .help = help_},
#include "opt.tbl"
};

static const struct tk_cmd commands[] = {
#define TK_CMD(handler, sentence_, needs_, takes_, help_)                                                    \
        {.run = tk_cmd_##handler, .sentence = sentence_, .needs = needs_, .takes = takes_, .help = help_},
#include "cmd.tbl"
};
#define COMMANDS_NR (sizeof commands / sizeof *commands)

/* ---- words ---- */

/* Takes the next space-separated word off a list; false at its end. */
static bool next_word(struct tk_str *list, struct tk_str *word) {
        if (!list->len)
                return false;
        size_t end = tk_str_find(*list, ' ');
        *word = tk_str_head(*list, end);
        *list = tk_str_skip(*list, end < list->len ? end + 1 : end);
        return true;
}

static bool lists(const char *list, const char *name) {
        struct tk_str rest = tk_str_of(list), word;
        while (next_word(&rest, &word))
                if (tk_str_is(word, name))
                        return true;
        return false;
}

enum fit { FIT_NO, FIT_BEGIN, FIT_WHOLE };

/*
 * How the words fit a sentence. BEGIN: the words are its beginning, or begin as it does and go on otherwise;
 * same counts the words that agree.
 */
static enum fit fit(const struct tk_cmd *cmd, char *const *words, int words_nr, int *same,
                    const char *holes[TK_HOLES_MAX]) {
        struct tk_str rest = tk_str_of(cmd->sentence), part;
        int i = 0, holes_nr = 0;
        memset(holes, 0, TK_HOLES_MAX * sizeof *holes);
        *same = 0;
        while (next_word(&rest, &part)) {
                if (tk_str_is(part, "..."))
                        return FIT_WHOLE;
                bool open = part.at[0] == '<' || part.at[0] == '[';
                if (i == words_nr) {
                        if (part.at[0] == '[')
                                continue;
                        return i > 0 ? FIT_BEGIN : FIT_NO;
                }
                MUST(IMPLIES(open, holes_nr < TK_HOLES_MAX));
                if (open)
                        holes[holes_nr++] = words[i];
                else if (!tk_str_is(part, words[i]))
                        return *same > 0 ? FIT_BEGIN : FIT_NO;
                ++*same;
                i++;
        }
        return i == words_nr ? FIT_WHOLE : FIT_BEGIN;
}

static const struct tk_cmd *find(char *const *words, int words_nr, const char *holes[TK_HOLES_MAX]) {
        int same;
        for (size_t i = 0; i < COMMANDS_NR; i++)
                if (fit(&commands[i], words, words_nr, &same, holes) == FIT_WHOLE)
                        return &commands[i];
        return NULL;
}

static int refuse_words(char *const *words, int words_nr) {
        char memory[512], said[128];
        struct tk_buf known = TK_BUF_OVER(memory);
        const char *holes[TK_HOLES_MAX];
        int most = 0, same;
        for (size_t i = 0; i < COMMANDS_NR; i++)
                if (fit(&commands[i], words, words_nr, &same, holes) == FIT_BEGIN && same > most)
                        most = same;
        if (most == 0)
                return tk_misuse("there is no command '%s'; 'tollkey help' lists them",
                                 tk_printable(words[0], said, sizeof said));
        for (size_t i = 0; i < COMMANDS_NR; i++)
                if (fit(&commands[i], words, words_nr, &same, holes) == FIT_BEGIN && same == most)
                        tk_buf_printf(&known, "\n  tollkey %s", commands[i].sentence);
        MUST(tk_buf_ok(&known));
        if (most < words_nr)
                return tk_misuse("'%s' is not understood here; there is:%s",
                                 tk_printable(words[most], said, sizeof said), known.at);
        return tk_misuse("the command is not complete:%s", known.at);
}

/* ---- help ---- */

static void print_wrapped(const char *left, int width, const char *right) {
        struct tk_str rest = tk_str_of(right), word;
        int column = printf("  %-*s  ", width, left);
        int margin = width + 4;
        bool first = true;
        if (column > margin) {
                printf("\n%*s", margin, "");
                column = margin;
        }
        while (next_word(&rest, &word)) {
                if (!first && column + 1 + (int)word.len > 100) {
                        printf("\n%*s", margin, "");
                        column = margin;
                        first = true;
                }
                column += printf("%s%.*s", first ? "" : " ", TK_STR_ARG(word));
                first = false;
        }
        putchar('\n');
}

static void print_options(const char *list) {
        struct tk_str rest = tk_str_of(list), word;
        char left[64];
        while (next_word(&rest, &word)) {
                for (size_t i = 0; i < TK_OPT_NR; i++) {
                        if (!tk_str_is(word, options[i].name))
                                continue;
                        snprintf(left, sizeof left, "--%s%s%s", options[i].name,
                                 options[i].value[0] ? " " : "", options[i].value);
                        print_wrapped(left, 24, options[i].help);
                }
        }
}

static void print_command(const struct tk_cmd *cmd) {
        printf("usage: tollkey %s", cmd->sentence);
        printf("%s\n\n%s\n", cmd->needs[0] || cmd->takes[0] ? " [OPTIONS]" : "", cmd->help);
        if (cmd->needs[0]) {
                printf("\nneeded:\n");
                print_options(cmd->needs);
        }
        printf("\noptions:\n");
        print_options(cmd->takes);
        print_options("help");
}

static void print_all(void) {
        printf("tollkey %s: API keys for AI traffic whose limits hold\n\n"
               "usage: tollkey COMMAND [OPTIONS]\n\n",
               TK_VERSION);
        for (size_t i = 0; i < COMMANDS_NR; i++)
                print_wrapped(commands[i].sentence, 24, commands[i].help);
        printf("\n'tollkey COMMAND --help' says more about one.\n"
               "Exit codes: 0 done, 1 failed, 2 not understood.\n");
}

static int help_about(char *const *words, int words_nr) {
        const char *holes[TK_HOLES_MAX];
        const struct tk_cmd *cmd;
        int same, shown = 0;
        if (words_nr == 0) {
                print_all();
                return TK_EXIT_OK;
        }
        cmd = find(words, words_nr, holes);
        if (cmd) {
                print_command(cmd);
                return TK_EXIT_OK;
        }
        /* "help key show" leaves the hole open, and "help key" names several. */
        for (size_t i = 0; i < COMMANDS_NR; i++) {
                if (fit(&commands[i], words, words_nr, &same, holes) != FIT_BEGIN || same < words_nr)
                        continue;
                printf("%s", shown++ ? "\n" : "");
                print_command(&commands[i]);
        }
        return shown ? TK_EXIT_OK : refuse_words(words, words_nr);
}

int tk_cmd_help(const struct tk_cmd_line *line) {
        return help_about(line->rest, line->rest_nr);
}

/* ---- options ---- */

static int option_of(struct tk_str name) {
        for (int i = 0; i < TK_OPT_NR; i++)
                if (tk_str_is(name, options[i].name))
                        return i;
        return -1;
}

/* Takes one "--name", "--name value" or "--name=value" at argv[*at]. False after a message. */
static bool take_option(int argc, char **argv, int *at, struct tk_cmd_line *line) {
        char said[128];
        struct tk_str text = tk_str_skip(tk_str_of(argv[*at]), 2);
        size_t equal = tk_str_find(text, '=');
        int id = option_of(tk_str_head(text, equal));
        if (id < 0) {
                tk_misuse("there is no option '%s'", tk_printable(argv[*at], said, sizeof said));
                return false;
        }
        if (line->opt[id]) {
                tk_misuse("--%s is given twice", options[id].name);
                return false;
        }
        if (!options[id].value[0]) {
                if (equal < text.len)
                        tk_misuse("--%s takes no value", options[id].name);
                line->opt[id] = "";
                return equal == text.len;
        }
        if (equal < text.len) {
                line->opt[id] = text.at + equal + 1;
                return true;
        }
        if (*at + 1 == argc) {
                tk_misuse("--%s needs a value: %s", options[id].name, options[id].value);
                return false;
        }
        line->opt[id] = argv[++*at];
        return true;
}

/* Every option is one that the command takes, and those that it needs are there. */
static bool options_fit(const struct tk_cmd_line *line) {
        const struct tk_cmd *cmd = line->cmd;
        for (int i = 0; i < TK_OPT_NR; i++) {
                bool needed = lists(cmd->needs, options[i].name);
                if (line->opt[i] && !needed && !lists(cmd->takes, options[i].name)) {
                        tk_misuse("'%s' does not take --%s", cmd->sentence, options[i].name);
                        return false;
                }
                if (!line->opt[i] && needed) {
                        tk_misuse("'%s' needs --%s %s", cmd->sentence, options[i].name, options[i].value);
                        return false;
                }
        }
        return true;
}

/* A command whose sentence ends in "..." gets everything behind its words untouched. */
static bool takes_rest(int argc, char **argv, struct tk_cmd_line *line) {
        if (argc < 2)
                return false;
        for (size_t i = 0; i < COMMANDS_NR; i++) {
                struct tk_str sentence = tk_str_of(commands[i].sentence), word;
                bool some = next_word(&sentence, &word);
                if (!some || !tk_str_is(sentence, "...") || !tk_str_is(word, argv[1]))
                        continue;
                line->cmd = &commands[i];
                line->rest = argv + 2;
                line->rest_nr = argc - 2;
                return true;
        }
        return false;
}

bool tk_cmd_parse(int argc, char **argv, struct tk_cmd_line *line, int *code) {
        const char *holes[TK_HOLES_MAX];
        char *words[WORDS_MAX];
        int words_nr = 0;
        bool no_more_options = false;
        memset(line, 0, sizeof *line);
        *code = TK_EXIT_USAGE;
        if (takes_rest(argc, argv, line))
                return true;
        for (int i = 1; i < argc; i++) {
                if (!no_more_options && strcmp(argv[i], "--") == 0) {
                        no_more_options = true;
                } else if (!no_more_options && strcmp(argv[i], "-h") == 0) {
                        line->opt[TK_OPT_help] = "";
                } else if (!no_more_options && strncmp(argv[i], "--", 2) == 0) {
                        if (!take_option(argc, argv, &i, line))
                                return false;
                } else if (words_nr == WORDS_MAX) {
                        tk_misuse("too many words");
                        return false;
                } else {
                        words[words_nr++] = argv[i];
                }
        }
        if (line->opt[TK_OPT_help] || argc < 2) {
                *code = help_about(words, words_nr);
                return false;
        }
        if (words_nr == 0) {
                tk_misuse("a command is missing; 'tollkey help' lists them");
                return false;
        }
        line->cmd = find(words, words_nr, holes);
        if (!line->cmd) {
                *code = refuse_words(words, words_nr);
                return false;
        }
        line->hole = holes[0];
        memcpy(line->more, holes + 1, sizeof line->more);
        if (words_nr > 1 && strstr(line->cmd->sentence, "...")) {
                tk_misuse("'%s' has to be the first word", words[0]);
                return false;
        }
        return options_fit(line);
}
