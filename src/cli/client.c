/* SPDX-License-Identifier: Apache-2.0
 *
 * No redirects are followed: the key is for the server that was named and no other. The proxy variables of
 * the environment count, as for every client of this library.
 */
#include "cli/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 10000L
#define WHOLE_MS   60000L

struct tk_client {
        CURL *curl;
        char *url;                                  /* without a trailing slash */
        char authorization[TK_CLIENT_KEY_MAX + 32]; /* the header line; a secret */
        char error[CURL_ERROR_SIZE];
};

static enum tk_err check_url(struct tk_str url, char *why, size_t why_size) {
        bool known = tk_str_starts(url, "http://") || tk_str_starts(url, "https://");
        bool plain = url.len < 2048;
        for (size_t i = 0; i < url.len; i++)
                if ((unsigned char)url.at[i] <= ' ' || (unsigned char)url.at[i] >= 0x7F || url.at[i] == '?' ||
                    url.at[i] == '#' || url.at[i] == '@')
                        plain = false;
        if (known && plain)
                return TK_OK;
        snprintf(why, why_size, "--url expects http://HOST:PORT or https://HOST[:PORT]");
        return TK_E_SYNTAX;
}

static enum tk_err check_key(struct tk_str key, char *why, size_t why_size) {
        bool ok = key.len > 0 && key.len <= TK_CLIENT_KEY_MAX;
        for (size_t i = 0; ok && i < key.len; i++)
                ok = key.at[i] > ' ' && key.at[i] < 0x7F;
        if (ok)
                return TK_OK;
        snprintf(why, why_size, "the admin key is empty, too long, or holds characters that no key has");
        return TK_E_SYNTAX;
}

enum tk_err tk_client_open(const char *url, const char *key, struct tk_client **out, char *why,
                           size_t why_size) {
        struct tk_str base = tk_str_of(url);
        enum tk_err err = check_url(base, why, why_size);
        *out = NULL;
        if (err == TK_OK)
                err = check_key(tk_str_of(key), why, why_size);
        if (err != TK_OK)
                return err;
        while (base.len && base.at[base.len - 1] == '/')
                base.len--;
        struct tk_client *client = calloc(1, sizeof *client);
        if (client && curl_global_init(CURL_GLOBAL_DEFAULT) == 0) {
                client->curl = curl_easy_init();
                client->url = strndup(base.at, base.len);
        }
        if (!client || !client->curl || !client->url) {
                snprintf(why, why_size, "out of memory");
                tk_client_close(&client);
                return TK_E_NO_MEMORY;
        }
        snprintf(client->authorization, sizeof client->authorization, "Authorization: Bearer %s", key);
        *out = client;
        return TK_OK;
}

void tk_client_close(struct tk_client **client) {
        struct tk_client *c = *client;
        if (!c)
                return;
        if (c->curl)
                curl_easy_cleanup(c->curl);
        curl_global_cleanup();
        explicit_bzero(c->authorization, sizeof c->authorization);
        free(c->url);
        free(c);
        *client = NULL;
}

const char *tk_client_url(const struct tk_client *client) {
        return client->url;
}

static size_t take_piece(char *at, size_t size, size_t nr, void *ctx) {
        struct tk_buf *answer = ctx;
        tk_buf_put(answer, (struct tk_str){at, size * nr});
        return tk_buf_ok(answer) ? size * nr : 0;
}

/* libcurl copies each line into a list; the copy of the key is wiped with it. */
static void free_headers(struct curl_slist *headers) {
        for (struct curl_slist *h = headers; h; h = h->next)
                explicit_bzero(h->data, strlen(h->data));
        curl_slist_free_all(headers);
}

static struct curl_slist *add_header(struct curl_slist *headers, const char *line, bool *ok) {
        struct curl_slist *more = curl_slist_append(headers, line);
        if (!more)
                *ok = false;
        return more ? more : headers;
}

static bool prepare(struct tk_client *c, const char *method, const char *url, struct tk_str body,
                    struct curl_slist *headers, struct tk_buf *answer) {
        bool ok = true;
        curl_easy_reset(c->curl);
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_URL, url) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "tollkey/" TK_VERSION) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, WHOLE_MS) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_piece) == CURLE_OK;
        ok = ok && curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, answer) == CURLE_OK;
        if (body.len) {
                ok = ok && curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)body.len) == CURLE_OK;
                ok = ok && curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.at) == CURLE_OK;
        }
        return ok;
}

enum tk_err tk_client_call(struct tk_client *c, const char *method, const char *path, struct tk_str body,
                           struct tk_buf *answer, int *status, char *why, size_t why_size) {
        struct curl_slist *headers = NULL;
        struct tk_buf url = TK_BUF(8192);
        bool ok = true;
        long code = 0;
        tk_buf_clear(answer);
        tk_buf_printf(&url, "%s%s", c->url, path);
        headers = add_header(headers, c->authorization, &ok);
        headers = add_header(headers, "Accept: application/json", &ok);
        if (body.len)
                headers = add_header(headers, "Content-Type: application/json", &ok);
        enum tk_err err = TK_E_NO_MEMORY;
        snprintf(why, why_size, "out of memory");
        if (ok && tk_buf_ok(&url) && prepare(c, method, url.at, body, headers, answer)) {
                c->error[0] = '\0';
                CURLcode rc = curl_easy_perform(c->curl);
                err = rc == CURLE_OK ? TK_OK : rc == CURLE_OPERATION_TIMEDOUT ? TK_E_TIMEOUT : TK_E_IO;
                if (err != TK_OK)
                        snprintf(why, why_size, "%s: %s", c->url,
                                 c->error[0] ? c->error : curl_easy_strerror(rc));
                if (err == TK_OK)
                        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &code);
        }
        *status = (int)code;
        free_headers(headers);
        tk_buf_free(&url);
        return err;
}
