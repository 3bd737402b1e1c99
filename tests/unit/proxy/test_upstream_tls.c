/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS: nothing is sent to a server that does not prove its name. The certificates are made on the spot and
 * live as long as the test.
 */
#include "proxy/upstream_curl.c"

#include "fetch_probe.h"
#include "lib/unit.h"
#include "raw_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static struct tk_upstream *up;
static struct raw_server server;

enum bye { BYE_NOTIFY, BYE_CUT };

struct tls_case {
        const char *name;
        const char *alt_names; /* of the certificate */
        int days;              /* until it expires */
        bool trusted;
        int version_max; /* of the server, 0: any */
        const char *answer;
        enum bye bye;
        enum tk_fetch_end end;
        unsigned requests; /* that the server has seen */
};

#define LENGTH      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
#define SHORT       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
#define UNTIL_CLOSE "HTTP/1.1 200 OK\r\n\r\nhello"
#define HERE        "DNS:localhost,IP:127.0.0.1"

static const struct tls_case cases[] = {
        {"trusted", HERE, 1, true, 0, LENGTH, BYE_NOTIFY, TK_FETCH_WHOLE, 1},
        {"trusted, until close", HERE, 1, true, 0, UNTIL_CLOSE, BYE_NOTIFY, TK_FETCH_WHOLE, 1},
        {"length, without goodbye", HERE, 1, true, 0, LENGTH, BYE_CUT, TK_FETCH_WHOLE, 1},
        {"length cut short", HERE, 1, true, 0, SHORT, BYE_NOTIFY, TK_FETCH_BROKEN, 1},
        {"unknown authority", HERE, 1, false, 0, LENGTH, BYE_NOTIFY, TK_FETCH_NO_CONNECT, 0},
        {"another host's certificate", "DNS:example.org", 1, true, 0, LENGTH, BYE_NOTIFY, TK_FETCH_NO_CONNECT,
         0},
        {"expired", HERE, -1, true, 0, LENGTH, BYE_NOTIFY, TK_FETCH_NO_CONNECT, 0},
        {"TLS 1.1", HERE, 1, true, TLS1_1_VERSION, LENGTH, BYE_NOTIFY, TK_FETCH_NO_CONNECT, 0},
};

struct tls_server {
        const struct tls_case *c;
        SSL_CTX *ctx;
        bool offered_h2, offered_h1;
};

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg) {
        struct tls_server *tls = arg;
        TK_UNUSED(ssl);
        for (unsigned i = 0; i < in_len && in[i] < in_len - i; i += 1u + in[i]) {
                struct tk_str name = {(const char *)in + i + 1, in[i]};
                tls->offered_h2 |= tk_str_is(name, "h2");
                if (!tk_str_is(name, "http/1.1"))
                        continue;
                tls->offered_h1 = true;
                *out = in + i + 1;
                *out_len = in[i];
        }
        return tls->offered_h1 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void serve_tls(struct raw_server *s, int fd, unsigned nth) {
        struct tls_server *tls = s->ctx;
        char head[4096];
        size_t len = 0;
        int n = 0;
        SSL *ssl = SSL_new(tls->ctx);
        TK_UNUSED(nth);
        if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1)
                while (len < sizeof head && (n = SSL_read(ssl, head + len, (int)(sizeof head - len))) > 0) {
                        len += (size_t)n;
                        if (len >= 4 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0)
                                break;
                }
        if (n > 0) {
                atomic_fetch_add(&s->requests, 1);
                SSL_write(ssl, tls->c->answer, (int)strlen(tls->c->answer));
                if (tls->c->bye == BYE_NOTIFY)
                        SSL_shutdown(ssl);
                shutdown(fd, SHUT_WR);
                raw_wait_gone(s, fd);
        }
        SSL_free(ssl);
}

static X509 *make_cert(EVP_PKEY *key, const char *alt_names, int days) {
        X509 *cert = X509_new();
        X509V3_CTX v3;
        assert_non_null(cert);
        X509_set_version(cert, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
        X509_gmtime_adj(X509_getm_notBefore(cert), -7 * 86400);
        X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400L);
        X509_set_pubkey(cert, key);
        X509_NAME *name = X509_get_subject_name(cert);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
        X509_set_issuer_name(cert, name);
        X509V3_set_ctx(&v3, cert, cert, NULL, NULL, 0);
        X509_EXTENSION *alt = X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, alt_names);
        X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, &v3, NID_basic_constraints, "critical,CA:TRUE");
        assert_true(alt && ca);
        X509_add_ext(cert, alt, -1);
        X509_add_ext(cert, ca, -1);
        X509_EXTENSION_free(alt);
        X509_EXTENSION_free(ca);
        assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
        return cert;
}

static void write_cert(X509 *cert, char *path) {
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        FILE *file = fdopen(fd, "w");
        assert_non_null(file);
        assert_int_equal(PEM_write_X509(file, cert), 1);
        fclose(file);
}

static void start_tls(struct tls_server *tls, const struct tls_case *c, char *path) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        assert_non_null(key);
        X509 *cert = make_cert(key, c->alt_names, c->days);
        write_cert(cert, path);
        *tls = (struct tls_server){.c = c, .ctx = SSL_CTX_new(TLS_server_method())};
        assert_non_null(tls->ctx);
        SSL_CTX_set_security_level(tls->ctx, 0); /* So that the old version is not refused on its side. */
        SSL_CTX_set_min_proto_version(tls->ctx, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(tls->ctx, c->version_max);
        assert_int_equal(SSL_CTX_use_certificate(tls->ctx, cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(tls->ctx, key), 1);
        SSL_CTX_set_alpn_select_cb(tls->ctx, choose_alpn, tls);
        X509_free(cert);
        EVP_PKEY_free(key);
        raw_server_start(&server, serve_tls, tls);
}

static void servers_must_prove_themselves(void **state) {
        TK_UNUSED(state);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                const struct tls_case *c = &cases[i];
                char path[] = "/tmp/tollkey-test-XXXXXX", url[64];
                struct tls_server tls;
                struct probe probe;
                print_message("  %s\n", c->name);
                start_tls(&tls, c, path);
                trust_file = c->trusted ? path : NULL;
                assert_ok(tk_upstream_open(&up));
                snprintf(url, sizeof url, "https://127.0.0.1:%u/", server.port);
                probe_get(&probe, up, url);
                if (probe.end != c->end)
                        print_message("    end %d: %s\n", probe.end, probe.why);
                assert_int_equal(probe.end, c->end);
                assert_int_equal(atomic_load(&server.requests), c->requests);
                assert_int_equal(probe.body.len, c->requests ? 5 : 0);
                probe_free(&probe);
                tk_upstream_close(&up);
                raw_server_stop(&server);
                assert_true(IMPLIES(c->requests, tls.offered_h2 && tls.offered_h1));
                SSL_CTX_free(tls.ctx);
                unlink(path);
        }
        trust_file = NULL;
}

static void serve_plain(struct raw_server *s, int fd, unsigned nth) {
        TK_UNUSED(nth);
        if (raw_send_text(s, fd, LENGTH))
                raw_wait_gone(s, fd);
}

static void plain_text_is_no_tls(void **state) {
        TK_UNUSED(state);
        struct probe probe;
        char url[64];
        raw_server_start(&server, serve_plain, NULL);
        snprintf(url, sizeof url, "https://127.0.0.1:%u/", server.port);
        assert_ok(tk_upstream_open(&up));
        probe_get(&probe, up, url);
        assert_int_equal(probe.end, TK_FETCH_NO_CONNECT);
        assert_int_equal(probe.heads, 0);
        probe_free(&probe);
        tk_upstream_close(&up);
        raw_server_stop(&server);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(servers_must_prove_themselves),
                TEST(plain_text_is_no_tls),
        };
        signal(SIGPIPE, SIG_IGN); /* The server's side writes to peers that have hung up. */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
