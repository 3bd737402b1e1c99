/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/demo.h"

#include "demo/routes.h"
#include "rt/clock.h"
#include "rt/rand.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODELS_MAX     64
#define TOKENS_DEFAULT 64
#define TOKENS_MAX     1000000
#define DELAY_MS_MAX   3600000
#define LOOPS_MAX      64

struct options {
        const char *listen;
        const char *models[MODELS_MAX + 1];
        unsigned models_nr;
        const char *api_key;
        uint64_t tokens, delay_ms, loops;
        bool help;
};

/* For the signal handler; set before the handler is. */
static struct tk_server *running;

static void on_signal(int number) {
        TK_UNUSED(number);
        tk_server_stop(running);
}

static void print_help(void) {
        struct tk_buf faults = TK_BUF(65536);
        tk_demo_fault_help(&faults);
        printf("usage: tollkey demo-upstream --listen HOST:PORT [option ...]\n"
               "\n"
               "An OpenAI-compatible upstream that is not a language model: it says so, repeats the start "
               "of\n"
               "the prompt, and goes on with filler words, one token a chunk.\n"
               "\n"
               "  --listen HOST:PORT  where to listen; port 0 picks a free one (default 127.0.0.1:9090)\n"
               "  --tokens N          length of an answer in tokens (default %d)\n"
               "  --delay-ms N        time before each token (default 0)\n"
               "  --model ID          a model that exists; may be repeated (default demo-small, demo-embed)\n"
               "  --api-key KEY       refuse calls without this key (default: everybody may call)\n"
               "  --loops N           threads (default 1; 0: one for each core)\n"
               "\n"
               "GET /demo/truth states what was really produced, per model and per 'user' of the request;\n"
               "POST /demo/truth/reset sets it back to zero.\n"
               "\n"
               "Faults, behind the model's name (demo-small+break-after=3+no-usage) or in the header\n"
               "x-demo-fault (break-after=3,no-usage):\n"
               "%s",
               TOKENS_DEFAULT, faults.at ? faults.at : "");
        tk_buf_free(&faults);
}

static bool number(const char *name, const char *value, uint64_t least, uint64_t most, uint64_t *out) {
        if (tk_str_u64(tk_str_of(value), out) && *out >= least && *out <= most)
                return true;
        fprintf(stderr, "tollkey demo-upstream: %s must be a number from %llu to %llu, not '%s'\n", name,
                (unsigned long long)least, (unsigned long long)most, value);
        return false;
}

/* A name with '+' could not be told from a name with faults. */
static bool add_model(struct options *o, const char *id) {
        struct tk_str s = tk_str_of(id);
        bool ok = s.len > 0 && s.len <= 64 && o->models_nr < MODELS_MAX;
        for (size_t i = 0; i < s.len; i++)
                ok = ok && s.at[i] > ' ' && s.at[i] < 0x7F && s.at[i] != '+';
        if (ok)
                o->models[o->models_nr++] = id;
        else
                fprintf(stderr,
                        "tollkey demo-upstream: --model takes 1 to 64 visible ASCII characters but '+', at "
                        "most "
                        "%d times\n",
                        MODELS_MAX);
        return ok;
}

static bool take(struct options *o, const char *name, const char *value) {
        if (strcmp(name, "--tokens") == 0)
                return number(name, value, 1, TOKENS_MAX, &o->tokens);
        if (strcmp(name, "--delay-ms") == 0)
                return number(name, value, 0, DELAY_MS_MAX, &o->delay_ms);
        if (strcmp(name, "--loops") == 0)
                return number(name, value, 0, LOOPS_MAX, &o->loops);
        if (strcmp(name, "--model") == 0)
                return add_model(o, value);
        if (strcmp(name, "--listen") == 0)
                o->listen = value;
        else if (strcmp(name, "--api-key") == 0 && value[0])
                o->api_key = value;
        else
                return fprintf(stderr, "tollkey demo-upstream: --api-key must not be empty\n"), false;
        return true;
}

static bool is_option(const char *word) {
        static const char *const names[] = {"--listen", "--tokens",  "--delay-ms",
                                            "--model",  "--api-key", "--loops"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (strcmp(word, names[i]) == 0)
                        return true;
        return false;
}

static bool parse(int argc, char **argv, struct options *o) {
        *o = (struct options){.listen = "127.0.0.1:9090", .tokens = TOKENS_DEFAULT, .loops = 1};
        for (int i = 0; i < argc; i += 2) {
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
                        o->help = true;
                        return true;
                }
                if (!is_option(argv[i])) {
                        fprintf(stderr, "tollkey demo-upstream: unknown option '%s'; see --help\n", argv[i]);
                        return false;
                }
                if (i + 1 == argc) {
                        fprintf(stderr, "tollkey demo-upstream: %s needs a value\n", argv[i]);
                        return false;
                }
                if (!take(o, argv[i], argv[i + 1]))
                        return false;
        }
        if (o->models_nr == 0) {
                o->models[o->models_nr++] = "demo-small";
                o->models[o->models_nr++] = "demo-embed";
        }
        return true;
}

static int serve(const struct options *o, struct tk_demo_truth *truth) {
        struct tk_demo_site site = {
                .models = o->models,
                .api_key = o->api_key,
                .tokens = o->tokens,
                .delay_ms = (unsigned)o->delay_ms,
                .started_s = tk_clock_now_ms() / 1000,
                .truth = truth,
        };
        struct tk_server_opt opt = {
                .listen = o->listen,
                .loops = (unsigned)o->loops,
                .stop_ms = 2000,
                .on_call = tk_demo_on_call,
                .on_refuse = tk_demo_on_refuse,
                .ctx = &site,
        };
        struct sigaction stop = {.sa_handler = on_signal};
        char why[256] = "";
        if (tk_server_open(&opt, &running, why, sizeof why) != TK_OK) {
                fprintf(stderr, "tollkey demo-upstream: %s\n", why);
                return 1;
        }
        sigaction(SIGINT, &stop, NULL);
        sigaction(SIGTERM, &stop, NULL);
        printf("ready http://%s\n", tk_server_address(running));
        fflush(stdout);
        enum tk_err err = tk_server_run(running);
        stop.sa_handler = SIG_IGN; /* A signal that comes now must not find the server gone. */
        sigaction(SIGINT, &stop, NULL);
        sigaction(SIGTERM, &stop, NULL);
        tk_server_close(&running);
        if (err != TK_OK)
                fprintf(stderr, "tollkey demo-upstream: %s\n", tk_err_text(err));
        return err == TK_OK ? 0 : 1;
}

int tk_demo_main(int argc, char **argv) {
        struct options o;
        if (!parse(argc, argv, &o))
                return 2;
        if (o.help) {
                print_help();
                return 0;
        }
        if (tk_rand_init() != TK_OK) {
                fprintf(stderr, "tollkey demo-upstream: no source of random numbers\n");
                return 1;
        }
        struct tk_demo_truth *truth = tk_demo_truth_new();
        if (!truth) {
                fprintf(stderr, "tollkey demo-upstream: out of memory\n");
                return 1;
        }
        int status = serve(&o, truth);
        tk_demo_truth_free(&truth);
        return status;
}
