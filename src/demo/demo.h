/* SPDX-License-Identifier: Apache-2.0
 *
 * demo: an OpenAI-compatible upstream that is no language model and says so. It lets a newcomer try the
 * gateway without an account anywhere, and a test know the truth about what was produced.
 *
 * Options, routes, faults and the tokenizer: `--help`, routes.h, fault.h, token.h.
 */
#ifndef TK_DEMO_DEMO_H
#define TK_DEMO_DEMO_H

/*
 * argv: the options only, without the command's name. Prints "ready http://HOST:PORT" on a line of its
 * own, runs until SIGINT or SIGTERM, and returns the exit status: 0 after a clean stop, 1 after a fault, 2
 * for options that are wrong.
 */
int tk_demo_main(int argc, char **argv);

#endif
