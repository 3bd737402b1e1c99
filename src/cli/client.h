/* SPDX-License-Identifier: Apache-2.0
 *
 * client: one HTTP request after the other to a running server, with the admin key. The only place in
 * the command line that knows libcurl.
 */
#ifndef TK_CLI_CLIENT_H
#define TK_CLI_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

#define TK_CLIENT_ANSWER_MAX (64u << 20)
#define TK_CLIENT_KEY_MAX    512

struct tk_client;

/* url: http(s)://HOST[:PORT][/PATH], key: the secret; both copied. SYNTAX, NO_MEMORY; why without the key. */
TK_CHECKED enum tk_err tk_client_open(const char *url, const char *key, struct tk_client **out, char *why,
                                      size_t why_size);
void tk_client_close(struct tk_client **client); /* wipes the key */
/*
 * path begins with '/'. A body makes it a JSON request. TK_OK: there is an answer, with any *status. The
 * answer buffer is the caller's, emptied first; it is wiped before it is freed when it may hold a secret.
 */
TK_CHECKED enum tk_err tk_client_call(struct tk_client *client, const char *method, const char *path,
                                      struct tk_str body, struct tk_buf *answer, int *status, char *why,
                                      size_t why_size);
const char *tk_client_url(const struct tk_client *client);

#endif
