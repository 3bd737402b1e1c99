/* SPDX-License-Identifier: Apache-2.0
 *
 * config: what a good file means, and that every bad one is told where it is bad and in which words.
 */
#include "daemon/config.h"

#include "base/buf.h"
#include "lib/alloc_fail.h"
#include "lib/unit.h"
#include "unit/base/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char why[1024];

static enum tk_err parse(const char *text, struct tk_config **out) {
        return tk_config_parse("t.yaml", tk_str_of(text), out, why, sizeof why);
}

static struct tk_config *must_parse(const char *text) {
        struct tk_config *config;
        if (parse(text, &config) != TK_OK)
                WRONG("refused: %s", why);
        assert_non_null(config);
        return config;
}

static int clear_environment(void **state) {
        (void)state;
        unsetenv("TOLLKEY_LISTEN");
        unsetenv("TOLLKEY_STORE");
        unsetenv("NOT_SET");
        setenv("SECRET", "sk-Zx81", 1);
        setenv("PORT", "8123", 1);
        setenv("EMPTY", "", 1);
        setenv("TWO_LINES", "a\nX-Evil: b", 1);
        setenv("NOT_UTF8", "\xff", 1);
        return 0;
}

/* ---- good files ---- */

static void the_documented_example(void **state) {
        (void)state;
        setenv("DEMO_KEY", "demo-secret", 1);
        struct tk_config *c =
                must_parse("listen: 127.0.0.1:8080\n"
                           "store: sqlite:var/tollkey.db            # memory: | sqlite:PATH\n"
                           "key_prefix: tk\n"
                           "providers:\n"
                           "  demo: { base_url: \"http://127.0.0.1:9090/v1\", api_key: \"${DEMO_KEY}\" }\n"
                           "models:\n"
                           "  - { id: demo-small, provider: demo, max_output_tokens: 4096, price: { input: "
                           "0.15, output: 0.60, "
                           "cache_input: 0.075 } }   # USD per million tokens\n");
        assert_string_equal(c->listen, "127.0.0.1:8080");
        assert_string_equal(c->store, "sqlite:var/tollkey.db");
        assert_string_equal(c->key_prefix, "tk");
        assert_int_equal(c->catalog->providers_nr, 1);
        assert_string_equal(c->catalog->providers[0]->name, "demo");
        assert_string_equal(c->catalog->providers[0]->base_url, "http://127.0.0.1:9090/v1");
        assert_string_equal(c->catalog->providers[0]->api_key, "demo-secret");
        const struct tk_model *m = tk_catalog_model_get(c->catalog, TK_STR("demo-small"));
        assert_non_null(m);
        assert_true(m->priced);
        assert_true(m->is_private);
        assert_int_equal(m->type, TK_MODEL_TEXT);
        assert_int_equal(m->max_output_tokens, 4096);
        assert_int_equal(m->context_tokens, 0);
        assert_null(m->upstream_id);
        assert_true(m->price.base.input == 150000000);
        assert_true(m->price.base.output == 600000000);
        assert_true(m->price.base.cache_input == 75000000);
        assert_true(m->price.base.cache_write == TK_RATE_NONE);
        assert_true(m->price.longer_above == 0);
        tk_config_free(&c);
        assert_null(c);
}

static void everything_that_can_be_said(void **state) {
        (void)state;
        struct tk_config *c =
                must_parse("listen: '[::1]:0'\nstore: 'memory:'\nkey_prefix: my_org2\nloops: 3\n"
                           "header_bytes_max: 1024\nbody_bytes_max: 1073741824\nconnections_max: 7\n"
                           "header_ms: 11\nbody_ms: 12\nidle_ms: 13\nwrite_ms: 14\nstop_ms: 0\n"
                           "hold_output_tokens: 16\naudit_days: 400\nspend_order: [diem, usd]\n"
                           "providers:\n"
                           "  a.b-c_9:\n"
                           "    base_url: https://[::1]:8443/x/v1//\n"
                           "    connect_ms: 21\n    first_byte_ms: 22\n    idle_ms: 23\n"
                           "models:\n"
                           "- id: big\n  provider: a.b-c_9\n  upstream_id: vendor/big:1\n"
                           "  privacy: anonymized\n  max_output_tokens: 9\n  context_tokens: 10\n"
                           "  price:\n    input: 3\n    output: 15.000000001\n    cache_write: 3.75\n"
                           "    long_context: { above: 200000, input: 6, output: 22.5, cache_input: 0 }\n"
                           "- { id: embed, provider: a.b-c_9, type: embedding, price: { input: 0.02 } }\n"
                           "- { id: unpriced, provider: a.b-c_9, max_output_tokens: 1 }\n");
        assert_string_equal(c->listen, "[::1]:0");
        assert_string_equal(c->store, "memory:");
        assert_string_equal(c->key_prefix, "my_org2");
        assert_int_equal(c->loops, 3);
        assert_int_equal(c->header_bytes_max, 1024);
        assert_int_equal(c->body_bytes_max, 1073741824);
        assert_int_equal(c->connections_max, 7);
        assert_int_equal(c->header_ms, 11);
        assert_int_equal(c->body_ms, 12);
        assert_int_equal(c->idle_ms, 13);
        assert_int_equal(c->write_ms, 14);
        assert_int_equal(c->stop_ms, 0);
        assert_int_equal(c->hold_output_tokens, 16);
        assert_int_equal(c->audit_days, 400);
        assert_int_equal(c->spend_order.nr, 2);
        assert_int_equal(c->spend_order.of[0], TK_METER_DIEM);
        assert_int_equal(c->spend_order.of[1], TK_METER_USD);
        const struct tk_provider *p = tk_catalog_provider_get(c->catalog, "a.b-c_9");
        assert_string_equal(p->base_url, "https://[::1]:8443/x/v1");
        assert_null(p->api_key);
        assert_int_equal(p->connect_ms, 21);
        assert_int_equal(p->first_byte_ms, 22);
        assert_int_equal(p->idle_ms, 23);
        assert_int_equal(c->catalog->models_nr, 3);
        const struct tk_model *m = c->catalog->models[0];
        assert_string_equal(m->upstream_id, "vendor/big:1");
        assert_false(m->is_private);
        assert_int_equal(m->context_tokens, 10);
        assert_true(m->price.base.output == INT64_C(15000000001));
        assert_true(m->price.base.cache_write == 3750000000);
        assert_true(m->price.longer_above == 200000);
        assert_true(m->price.longer.output == INT64_C(22500000000));
        assert_true(m->price.longer.cache_input == 0);
        assert_true(m->price.longer.cache_write == TK_RATE_NONE);
        m = c->catalog->models[1];
        assert_int_equal(m->type, TK_MODEL_EMBEDDING);
        assert_true(m->priced);
        assert_true(m->price.base.output == 0);
        m = c->catalog->models[2];
        assert_false(m->priced);
        tk_config_free(&c);
}

static void where_alerts_go(void **state) {
        (void)state;
        struct tk_config *c =
                must_parse("alerts:\n  retry_ms: 20\n"
                           "  webhook: { url: 'https://h:8443/x?y=1', secret: whsec_c2VjcmV0 }\n"
                           "  email: { smtp_url: 'smtps://h', user: u, password: p, from: A@B.example,\n"
                           "           to: 'c@d.example, e@f.example', tls: none }\n");
        const struct tk_alert_channels *a = &c->alerts;
        assert_int_equal(a->retry_ms, 20);
        assert_string_equal(a->webhook_url, "https://h:8443/x?y=1");
        assert_string_equal(a->webhook_secret, "whsec_c2VjcmV0");
        assert_string_equal(a->smtp_url, "smtps://h");
        assert_string_equal(a->smtp_user, "u");
        assert_string_equal(a->smtp_password, "p");
        assert_true(a->smtp_plain);
        assert_string_equal(a->from, "a@b.example");
        assert_int_equal(a->to_nr, 2);
        assert_string_equal(a->to[1], "e@f.example");
        tk_config_free(&c);
        c = must_parse("");
        assert_int_equal(c->alerts.retry_ms, 5000);
        assert_null(c->alerts.webhook_url);
        assert_null(c->alerts.smtp_url);
        tk_config_free(&c);
}

static void nothing_means_the_defaults(void **state) {
        static const char *const texts[] = {"",           "\n\n", "# only a comment\n", "---\n",
                                            "---\n...\n", "{}",   "providers: {}\n",    "models: []\n"};
        (void)state;
        for (size_t i = 0; i <= COUNT(texts); i++) {
                struct tk_config *c;
                if (i < COUNT(texts))
                        c = must_parse(texts[i]);
                else
                        assert_ok(tk_config_load(NULL, &c, why, sizeof why));
                assert_string_equal(c->listen, "127.0.0.1:8080");
                assert_string_equal(c->store, "sqlite:var/tollkey.db");
                assert_string_equal(c->key_prefix, "tk");
                assert_int_equal(c->loops, 0);
                assert_int_equal(c->header_bytes_max, 16384);
                assert_int_equal(c->body_bytes_max, 32 << 20);
                assert_int_equal(c->connections_max, 10000);
                assert_int_equal(c->stop_ms, 10000);
                assert_non_null(c->catalog);
                assert_int_equal(c->catalog->models_nr, 0);
                tk_config_free(&c);
        }
}

static void variables_are_filled_in(void **state) {
        static const struct {
                const char *text, *key;
        } rows[] = {
                {"${SECRET}", "sk-Zx81"},
                {"\"${SECRET}\"", "sk-Zx81"},
                {"'a ${SECRET} b ${PORT}'", "a sk-Zx81 b 8123"},
                {"'${SECRET}${SECRET}'", "sk-Zx81sk-Zx81"},
                {"x${EMPTY}y", "xy"},
                {"'$${SECRET}'", "${SECRET}"},
                {"'$$${SECRET}'", "$${SECRET}"},
                {"'$ $$ {SECRET} $SECRET }'", "$ $$ {SECRET} $SECRET }"},
                {"'a$'", "a$"},
                {"'a$$'", "a$$"},
                {"'a$${'", "a${"},
        };
        char text[256];
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                snprintf(text, sizeof text,
                         "providers:\n  p:\n    base_url: http://h:${PORT}\n    api_key: %s\n", rows[i].text);
                struct tk_config *c = must_parse(text);
                if (strcmp(c->catalog->providers[0]->api_key, rows[i].key) != 0)
                        WRONG("%s gives %s", rows[i].text, c->catalog->providers[0]->api_key);
                assert_string_equal(c->catalog->providers[0]->base_url, "http://h:8123");
                tk_config_free(&c);
        }
        struct tk_config *c = must_parse("header_ms: ${PORT}\nbody_ms: \"${PORT}\"\n");
        assert_int_equal(c->header_ms, 8123);
        assert_int_equal(c->body_ms, 8123);
        tk_config_free(&c);
}

static void the_environment_overrides(void **state) {
        (void)state;
        setenv("TOLLKEY_LISTEN", "0.0.0.0:1", 1);
        setenv("TOLLKEY_STORE", "memory:", 1);
        struct tk_config *c = must_parse("listen: 127.0.0.1:9\nstore: sqlite:x\n");
        assert_string_equal(c->listen, "0.0.0.0:1");
        assert_string_equal(c->store, "memory:");
        tk_config_free(&c);
        setenv("TOLLKEY_LISTEN", "nonsense", 1);
        assert_int_equal(parse("", &c), TK_E_SYNTAX);
        assert_non_null(strstr(why, "TOLLKEY_LISTEN"));
        unsetenv("TOLLKEY_LISTEN");
        setenv("TOLLKEY_STORE", "", 1);
        assert_int_equal(parse("", &c), TK_E_RANGE);
        assert_non_null(strstr(why, "TOLLKEY_STORE"));
        assert_null(c);
}

static void aliases_and_shared_prices_work(void **state) {
        (void)state;
        struct tk_config *c =
                must_parse("providers:\n  p: &p { base_url: 'http://h' }\n  q: *p\n"
                           "models:\n  - { id: a, provider: p, max_output_tokens: 1, price: &x { input: 1, "
                           "output: 2 } }\n"
                           "  - { id: b, provider: q, max_output_tokens: 1, price: *x }\n");
        assert_int_equal(c->catalog->providers_nr, 2);
        assert_true(c->catalog->models[1]->price.base.output == 2 * TK_NANO);
        tk_config_free(&c);
}

/* ---- bad files ---- */

#define P "providers: { p: { base_url: 'http://h' } }\n"

static const struct {
        const char *name, *text;
        const char *where; /* what the message begins with */
        const char *words; /* what it has to say, too */
} bad[] = {
        {"unknown key", "listen: a:1\nlisten_port: 80\n",
         "t.yaml:2: ", "unknown key 'listen_port' in the file"},
        {"misspelt key", "\n\nlisen: a:1\n", "t.yaml:3: ", "did you mean 'listen'?"},
        {"misspelt key, two letters changed places", "sotre: sqlite:x\n",
         "t.yaml:1: ", "did you mean 'store'?"},
        {"unknown key tells the known", "foo: 1\n", "t.yaml:1: ", "listen, store, key_prefix"},
        {"key in the wrong case", "Listen: a:1\n", "t.yaml:1: ", "unknown key 'Listen'"},
        {"unknown key in a provider", "providers:\n  p:\n    base_url: http://h\n    apikey: x\n",
         "t.yaml:4: ", "unknown key 'apikey' in a provider; did you mean 'api_key'?"},
        {"unknown key in a model", P "models:\n- id: a\n  provider: p\n  max_tokens: 5\n",
         "t.yaml:5: ", "unknown key 'max_tokens' in a model"},
        {"unknown key in a price",
         P "models:\n- id: a\n  provider: p\n  max_output_tokens: 1\n  price: { in: 5 }\n",
         "t.yaml:6: ", "unknown key 'in' in a price; known: input, output"},
        {"unknown key in long_context",
         P "models:\n- id: a\n  provider: p\n  max_output_tokens: 1\n  price: { input: 5, output: 5,\n    "
           "long_context: {\n"
           "    over: 1 } }\n",
         "t.yaml:8: ", "unknown key 'over' in long_context"},
        {"merge keys are no keys", "a: &a {}\n<<: *a\n", "t.yaml:1: ", "unknown key 'a'"},
        {"key given twice", "listen: a:1\n\nlisten: a:2\n",
         "t.yaml:3: ", "'listen' is given twice, first in line 1"},
        {"key given twice in a provider",
         "providers:\n  p:\n    base_url: http://h\n    base_url: http://h\n",
         "t.yaml:4: ", "'base_url' is given twice"},
        {"provider given twice", "providers:\n  p: { base_url: http://h }\n  p: { base_url: http://i }\n",
         "t.yaml:3: ", "the provider 'p' is there twice"},
        {"model given twice",
         P "models:\n- { id: a, provider: p, max_output_tokens: 1 }\n- { id: a, provider: p, "
           "max_output_tokens: 1 }\n",
         "t.yaml:4: ", "the model 'a' is there twice"},
        {"a key that is a list", "[a]: 1\n", "t.yaml:1: ", "a key has to be a word"},

        {"a list for a text", "listen: [a]\n", "t.yaml:1: ", "'listen' expects a text, found a list"},
        {"a mapping for a text", "listen:\n  a: b\n",
         "t.yaml:2: ", "'listen' expects a text, found a mapping"},
        {"nothing for a text", "listen:\nstore: 'memory:'\n",
         "t.yaml:1: ", "'listen' expects a text, found nothing"},
        {"null for a text", "listen: null\n", "t.yaml:1: ", "found nothing"},
        {"a tilde for a text", "listen: ~\n", "t.yaml:1: ", "found nothing"},
        {"an empty text", "listen: ''\n", "t.yaml:1: ", "'listen' has 0 bytes; it may have 3 to 255"},
        {"text for a number", "loops: many\n", "t.yaml:1: ", "'loops' expects a whole number, found 'many'"},
        {"a number in quotes", "loops: '3'\n", "t.yaml:1: ", "found a text in quotes"},
        {"a negative number", "loops: -1\n", "t.yaml:1: ", "'loops' expects a whole number, found '-1'"},
        {"a fraction", "loops: 1.5\n", "t.yaml:1: ", "whole number"},
        {"an exponent", "header_ms: 1e3\n", "t.yaml:1: ", "whole number"},
        {"a hexadecimal number", "header_ms: 0x20\n", "t.yaml:1: ", "whole number"},
        {"a number with a unit", "body_bytes_max: 32MB\n", "t.yaml:1: ", "found '32MB'"},
        {"a number too small", "header_ms: 9\n",
         "t.yaml:1: ", "'header_ms' is 9; it may be 10 to 3600000 milliseconds"},
        {"a number too large", "loops: 257\n", "t.yaml:1: ", "it may be 0 to 256 threads"},
        {"a number beyond 64 bits", "loops: 99999999999999999999999\n", "t.yaml:1: ", "it may be 0 to 256"},
        {"a mapping for a number", "loops: { a: 1 }\n", "t.yaml:1: ", "found a mapping"},
        {"a list for providers", "providers: [a]\n", "t.yaml:1: ", "'providers' expects a mapping of names"},
        {"nothing for providers", "providers:\nmodels: []\n", "t.yaml:1: ", "found nothing"},
        {"a mapping for models", P "models: { id: a }\n",
         "t.yaml:2: ", "'models' expects a list of mappings, found a mapping"},
        {"a text for a model", P "models:\n- a\n", "t.yaml:3: ", "an entry of 'models' has to be a mapping"},
        {"a text for a provider", "providers:\n  p: http://h\n",
         "t.yaml:2: ", "the provider 'p' has to be a mapping"},
        {"a list at the top", "- a\n", "t.yaml:1: ", "the file has to be a mapping"},
        {"a text at the top", "\nhello\n", "t.yaml:2: ", "the file has to be a mapping"},

        {"listen without a port", "listen: 127.0.0.1\n", "t.yaml:1: ", "expects HOST:PORT"},
        {"listen with an empty port", "listen: '127.0.0.1:'\n", "t.yaml:1: ", "expects HOST:PORT"},
        {"listen without a host", "listen: ':8080'\n", "t.yaml:1: ", "expects HOST:PORT"},
        {"listen on port 65536", "listen: h:65536\n", "t.yaml:1: ", "expects HOST:PORT"},
        {"listen on a named port", "listen: h:http\n", "t.yaml:1: ", "expects HOST:PORT"},
        {"listen on a bare IPv6 address", "listen: '::1:80'\n", "t.yaml:1: ", "[IPV6]:PORT"},
        {"listen on a broken IPv6 address", "listen: '[::1:80'\n", "t.yaml:1: ", "[IPV6]:PORT"},
        {"listen with words between", "listen: '[::1]x:80'\n", "t.yaml:1: ", "[IPV6]:PORT"},
        {"listen on a URL", "listen: http://h:80\n", "t.yaml:1: ", "expects HOST:PORT"},
        {"unknown store", "store: mysql:x\n", "t.yaml:1: ", "'store' expects sqlite:PATH or memory:"},
        {"store without a path", "store: 'sqlite:'\n", "t.yaml:1: ", "'store' expects"},
        {"memory store with a path", "store: memory:x\n", "t.yaml:1: ", "'store' expects"},
        {"prefix with a capital", "key_prefix: TK\n", "t.yaml:1: ", "'key_prefix' expects up to 28 of a-z"},
        {"prefix that begins with a digit", "key_prefix: 2k\n", "t.yaml:1: ", "beginning with a letter"},
        {"prefix with a dash", "key_prefix: t-k\n", "t.yaml:1: ", "'key_prefix' expects"},
        {"prefix too long", "key_prefix: abcdefghijklmnopqrstuvwxyz012\n",
         "t.yaml:1: ", "it may have 1 to 28"},

#define HOOK(rest) "alerts:\n  webhook: { url: 'https://h/x', secret: s }\n" rest
#define MAIL(rest) "alerts: { email: { smtp_url: 'smtp://h:25', from: a@b.example, " rest " } }\n"
        {"unknown key in alerts", "alerts: { url: x }\n", "t.yaml:1: ", "unknown key 'url' in alerts"},
        {"retry too small", "alerts: { retry_ms: 9 }\n", "t.yaml:1: ", "10 to 3600000"},
        {"webhook without a secret", "alerts: { webhook: { url: 'http://h' } }\n",
         "t.yaml:1: ", "'secret' is missing in webhook"},
        {"webhook of another scheme", "alerts: { webhook: { url: 'ftp://h', secret: s } }\n",
         "t.yaml:1: ", "'url' has to begin with http:// or https://"},
        {"webhook without a host", "alerts: { webhook: { url: 'http:///x', secret: s } }\n",
         "t.yaml:1: ", "expects a host"},
        {"webhook with a password", "alerts: { webhook: { url: 'http://u:p@h/x', secret: s } }\n",
         "t.yaml:1: ", "holds no password"},
        {"webhook with a space", "alerts: { webhook: { url: 'http://h/a b', secret: s } }\n",
         "t.yaml:1: ", "expects a host"},
        {"webhook secret that is no base64", "alerts: { webhook: { url: 'http://h', secret: whsec_x } }\n",
         "t.yaml:1: ", "'secret' expects base64 after whsec_"},
        {"webhook given twice", HOOK("  webhook: { url: 'http://h', secret: s }\n"),
         "t.yaml:3: ", "'webhook' is given twice"},
        {"email without anybody", MAIL("tls: none"), "t.yaml:1: ", "'to' is missing in email"},
        {"email to no address", MAIL("to: ops"), "t.yaml:1: ", "'to' expects addresses"},
        {"email to nobody between commas", MAIL("to: 'a@b.example,,c@d.example'"),
         "t.yaml:1: ", "'to' expects addresses"},
        {"email to a header", MAIL("to: \"a@b.example\\nBcc: c@d.example\""),
         "t.yaml:1: ", "control character"},
        {"email to seventeen",
         MAIL("to: 'a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,"
              "a@b.c,a@b.c,a@b.c,a@b.c,a@b.c,a@b.c'"),
         "t.yaml:1: ", "'to' has more than 16 addresses"},
        {"email from a name", "alerts: { email: { smtp_url: 'smtp://h', from: 'Me <a@b.c>', to: a@b.c } }\n",
         "t.yaml:1: ", "'from' expects an address"},
        {"email by HTTP", "alerts: { email: { smtp_url: 'http://h', from: a@b.c, to: a@b.c } }\n",
         "t.yaml:1: ", "'smtp_url' has to begin with smtp:// or smtps://"},
        {"email with a password and nobody", MAIL("to: a@b.c, password: x"),
         "t.yaml:1: ", "'user' is missing"},
        {"email with TLS perhaps", MAIL("to: a@b.c, tls: maybe"), "t.yaml:1: ", "required|none"},

        {"provider without base_url", "providers:\n  p:\n    api_key: x\n",
         "t.yaml:3: ", "'base_url' is missing in a provider"},
        {"base_url of another scheme", "providers: { p: { base_url: 'ftp://h' } }\n",
         "t.yaml:1: ", "http:// or https://"},
        {"base_url without a scheme", "providers: { p: { base_url: 'localhost:80' } }\n",
         "t.yaml:1: ", "http:// or https://"},
        {"base_url without a host", "providers: { p: { base_url: 'http:///v1' } }\n",
         "t.yaml:1: ", "expects a host"},
        {"base_url without anything", "providers: { p: { base_url: 'https://' } }\n",
         "t.yaml:1: ", "expects a host"},
        {"base_url with a bad port", "providers: { p: { base_url: 'http://h:99999' } }\n",
         "t.yaml:1: ", "expects a host"},
        {"base_url with a query", "providers: { p: { base_url: 'http://h/v1?a=b' } }\n",
         "t.yaml:1: ", "no query"},
        {"base_url with a fragment", "providers: { p: { base_url: 'http://h/v1#a' } }\n",
         "t.yaml:1: ", "no query and no fragment"},
        {"base_url with a password", "providers: { p: { base_url: 'http://u:pw@h/' } }\n",
         "t.yaml:1: ", "use 'api_key'"},
        {"base_url with a space", "providers: { p: { base_url: 'http://h/a b' } }\n",
         "t.yaml:1: ", "percent-encoded"},
        {"api_key that is empty", "providers:\n  p:\n    base_url: http://h\n    api_key: ''\n",
         "t.yaml:4: ", "'api_key' has 0 bytes"},
        {"api_key from an empty variable",
         "providers:\n  p:\n    base_url: http://h\n    api_key: ${EMPTY}\n",
         "t.yaml:4: ", "'api_key' has 0 bytes"},
        {"api_key with a line end", "providers:\n  p:\n    base_url: http://h\n    api_key: ${TWO_LINES}\n",
         "t.yaml:4: ", "'api_key' holds a control character"},
        {"api_key that is no UTF-8", "providers:\n  p:\n    base_url: http://h\n    api_key: ${NOT_UTF8}\n",
         "t.yaml:4: ", "'api_key' is not valid UTF-8"},
        {"api_key with an escaped zero", "providers:\n  p:\n    base_url: http://h\n    api_key: \"a\\0b\"\n",
         "t.yaml:4: ", "'api_key' holds a control character"},
        {"name of a provider with a space", "providers:\n  'a b': { base_url: http://h }\n",
         "t.yaml:2: ", "the name of a provider"},
        {"name of a provider that is empty", "providers:\n  '': { base_url: http://h }\n",
         "t.yaml:2: ", "the name of a provider"},

        {"variable that is not set", "providers:\n  p:\n    base_url: http://h\n    api_key: ${NOT_SET}\n",
         "t.yaml:4: ", "the environment variable NOT_SET is not set"},
        {"variable without an end", "key_prefix: a${SECRET\n",
         "t.yaml:1: ", "write $${ for the two characters"},
        {"variable without a name", "key_prefix: a${}\n", "t.yaml:1: ", "as in ${NAME}"},
        {"variable with a default, as shells have it", "key_prefix: a${SECRET:-x}\n",
         "t.yaml:1: ", "as in ${NAME}"},
        {"variable that begins with a digit", "key_prefix: a${1A}\n", "t.yaml:1: ", "as in ${NAME}"},

        {"model without an id", P "models:\n- provider: p\n  max_output_tokens: 1\n",
         "t.yaml:3: ", "'id' is missing in a model"},
        {"model without a provider", P "models:\n- id: a\n  max_output_tokens: 1\n",
         "t.yaml:3: ", "'provider' is missing"},
        {"model of an unknown provider", P "models:\n- id: a\n  provider: q\n  max_output_tokens: 1\n",
         "t.yaml:4: ", "there is no provider 'q'"},
        {"model without any provider", "models:\n- id: a\n  provider: q\n  max_output_tokens: 1\n",
         "t.yaml:3: ", "there is no provider 'q'"},
        {"text model without max_output_tokens", P "models:\n- id: a\n  provider: p\n",
         "t.yaml:3: ", "'max_output_tokens' is missing in a model"},
        {"max_output_tokens of 0", P "models:\n- id: a\n  provider: p\n  max_output_tokens: 0\n",
         "t.yaml:5: ", "'max_output_tokens' is 0; it may be 1 to"},
        {"unknown type", P "models:\n- id: a\n  provider: p\n  type: image\n",
         "t.yaml:5: ", "'type' expects one of text|embedding, found 'image'"},
        {"unknown privacy", P "models:\n- id: a\n  provider: p\n  privacy: public\n",
         "t.yaml:5: ", "private|anonymized"},
        {"a spend order that is no list", "spend_order: usd\n",
         "t.yaml:1: ", "'spend_order' expects a list of usd|diem, found a text"},
        {"a spend order that is a mapping", "spend_order: { usd: 1 }\n", "t.yaml:1: ", "found a mapping"},
        {"a spend order of nothing", "spend_order: []\n", "t.yaml:1: ", "found an empty one"},
        {"a spend order that was forgotten", "loops: 1\nspend_order:\n", "t.yaml:2: ", "found nothing"},
        {"an unknown currency", "spend_order:\n- usd\n- eur\n",
         "t.yaml:3: ", "'spend_order' expects a list of usd|diem, found 'eur' in it"},
        {"a list as a currency", "spend_order: [[usd]]\n", "t.yaml:1: ", "found something else in it"},
        {"a currency twice", "spend_order: [usd, diem, usd]\n",
         "t.yaml:1: ", "'spend_order' names 'usd' twice"},
        {"half a choice", P "models:\n- id: a\n  provider: p\n  type: text|embedding\n",
         "t.yaml:5: ", "found 'text|embedding'"},
        {"id that is too long",
         P
         "models:\n- id: "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
         "t.yaml:3: ", "'id' has 132 bytes; it may have 1 to 128"},

        {"a variable without quotes in braces",
         "providers:\n  p: { base_url: 'http://h', api_key: ${SECRET} }\n",
         "t.yaml:2: ", "a ${NAME} inside { } has to stand in quotes"},
        {"memory store without quotes", "loops: 1\nstore: memory:\n", "t.yaml:2: ", "has to stand in quotes"},
        {"YAML that is broken", "listen: [a\nstore: b\n", "t.yaml:2: ", "flow sequence"},
        {"a quote without an end", "listen: 'a\n\n", "t.yaml:3: ", "quoted scalar that began in line 1"},
        {"an indentation by tab", "providers:\n\tp: { base_url: http://h }\n",
         "t.yaml:2: ", "begins with a tab"},
        {"an alias of nothing", "listen: *a\n", "t.yaml:1: ", "undefined alias"},
        {"a tag", "listen: !!str a:1\n", "t.yaml:1: ", "tags"},
        {"a tag on a mapping", "providers: !x\n  p: {}\n", "t.yaml:1: ", "tags"},
        {"a second document", "listen: a:1\n---\nlisten: b:1\n", "t.yaml:2: ", "second document"},
        {"a byte order mark", "\xEF\xBB\xBFlisten: a:1\n", "t.yaml:1: ", "byte order mark"},
        {"UTF-16", "\xFF\xFEl", "t.yaml:1: ", "byte order mark"},
        {"invalid UTF-8", "# \xC3\xA9\nlisten: a\xC3(:1\n", "t.yaml:2: ", "not valid UTF-8"},
        {"a surrogate", "\n\n# \xED\xA0\x80\n", "t.yaml:3: ", "not valid UTF-8"},
        {"a control byte", "listen: a:1\n# \x1b[31m\n", "t.yaml:2: ", "control byte 0x1b"},
        {"a carriage return inside a line", "listen: a:1\rstore: x\n", "t.yaml:1: ", "control byte 0x0d"},
        {"a line separator of Unicode", "listen: a:1 # \xE2\x80\xA8 x\n", "t.yaml:1: ", "line separator"},
        {"a code point that YAML forbids", "listen: a:1\n# \xEF\xBF\xBE\n",
         "t.yaml:2: ", "control characters"},
        {"nesting without end", "a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
         "t.yaml:1: ", "nested deeper than 32"},
};

static void every_fault_is_told_with_its_line(void **state) {
        (void)state;
        for (size_t i = 0; i < COUNT(bad); i++) {
                struct tk_config *c = (struct tk_config *)why;
                memset(why, 'x', sizeof why);
                if (parse(bad[i].text, &c) == TK_OK)
                        WRONG("%s: accepted", bad[i].name);
                if (strncmp(why, bad[i].where, strlen(bad[i].where)) != 0 || !strstr(why, bad[i].words))
                        WRONG("%s: expected '%s...%s...', got '%s'", bad[i].name, bad[i].where, bad[i].words,
                              why);
                assert_null(c);
        }
}

static void prices_are_exact_or_refused(void **state) {
        static const struct {
                const char *price, *words; /* NULL: it is good */
                int64_t nano;
        } rows[] = {
                {"0", NULL, 0},
                {"0.0", NULL, 0},
                {"0.000000001", NULL, 1},
                {"0.1", NULL, 100000000},
                {"0.3", NULL, 300000000},
                {"2.675", NULL, 2675000000},
                {"1000000", NULL, INT64_C(1000000) * TK_NANO},
                {"999999.999999999", NULL, INT64_C(999999999999999)},
                {"1000000.000000001", "it may be 0 to 1000000 USD per million tokens", 0},
                {"99999999999999999999", "it may be 0 to 1000000", 0},
                {"0.0000000001", "at most nine digits", 0},
                {"-1", "'input' is negative: -1", 0},
                {"-0.5", "negative", 0},
                {"+1", "a decimal number", 0},
                {"1e3", "a decimal number", 0},
                {"0x1", "a decimal number", 0},
                {".5", "a decimal number", 0},
                {"5.", "a decimal number", 0},
                {"1.2.3", "a decimal number", 0},
                {"1_000", "a decimal number", 0},
                {"01", "a decimal number", 0},
                {"007.5", "a decimal number", 0},
                {"1,5", "unknown key '5'", 0}, /* a comma ends the value */
                {".inf", "a decimal number", 0},
                {".nan", "a decimal number", 0},
                {"$5", "a decimal number", 0},
                {"free", "a decimal number", 0},
                {"'1'", "a text in quotes", 0},
                {"", "found nothing", 0},
                {"[1]", "found a list", 0},
        };
        char text[256];
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_config *c;
                snprintf(text, sizeof text,
                         P "models:\n- { id: a, provider: p, max_output_tokens: 1,\n    price: { output: 1, "
                           "input: %s } }\n",
                         rows[i].price);
                enum tk_err err = parse(text, &c);
                if (rows[i].words) {
                        if (err == TK_OK || !strstr(why, rows[i].words) ||
                            strncmp(why, "t.yaml:4: ", 10) != 0)
                                WRONG("%s: %d %s", rows[i].price, err, why);
                        assert_null(c);
                        continue;
                }
                if (err != TK_OK)
                        WRONG("%s: %s", rows[i].price, why);
                if (c->catalog->models[0]->price.base.input != rows[i].nano)
                        WRONG("%s is %lld", rows[i].price,
                              (long long)c->catalog->models[0]->price.base.input);
                tk_config_free(&c);
        }
}

static void prices_lack_nothing(void **state) {
        static const struct {
                const char *model, *words;
        } rows[] = {
                {"type: text, price: {}", "'input' is missing in a price"},
                {"type: text, price: { output: 1 }", "'input' is missing in a price"},
                {"type: text, price: { input: 1 }", "'output' is missing in a price; a text model needs one"},
                {"type: embedding, price: { output: 1 }", "'input' is missing"},
                {"type: text, price: 5", "'price' expects a mapping, found a text"},
                {"type: text, price: ~", "'price' expects a mapping, found nothing"},
                {"type: text, price: { input: 1, output: 1, long_context: { input: 2, output: 2 } }",
                 "'above' is missing"},
                {"type: text, price: { input: 1, output: 1, long_context: { above: 2, output: 2 } }",
                 "'input' is missing"},
                {"type: text, price: { input: 1, output: 1, long_context: { above: 2, input: 2 } }",
                 "'output' is missing"},
                {"type: text, price: { input: 1, output: 1, long_context: { above: 0, input: 2, output: 1 } "
                 "}",
                 "'above' is 0"},
        };
        char text[300];
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_config *c;
                snprintf(text, sizeof text, P "models:\n- { id: a, provider: p, max_output_tokens: 1, %s }\n",
                         rows[i].model);
                if (parse(text, &c) == TK_OK || !strstr(why, rows[i].words) ||
                    strncmp(why, "t.yaml:3: ", 10) != 0)
                        WRONG("%s: %s", rows[i].model, why);
        }
}

static void no_message_tells_a_secret(void **state) {
        static const char *const texts[] = {
                "providers: { p: { base_url: 'http://h', api_key: \"${SECRET}\\n\" } }\n",
                "providers: { p: { base_url: \"ftp://${SECRET}\" } }\n",
                "providers: { p: { base_url: \"http://${SECRET}@h\" } }\n",
                "listen: \"${SECRET}\"\n",
                "store: \"${SECRET}\"\n",
                "loops: \"${SECRET}\"\n",
                "key_prefix: \"${SECRET}\"\n",
                P "models: [{ id: \"${SECRET}\", provider: \"${SECRET}\", max_output_tokens: 1 }]\n",
                P "models: [{ id: a, provider: p, type: \"${SECRET}\" }]\n",
                P "models: [{ id: a, provider: p, max_output_tokens: 1, price: { input: \"${SECRET}\" } }]\n",
                "providers: { p: { base_url: 'http://h', api_key: \"sk-Zx81\\n\" } }\n",
        };
        (void)state;
        for (size_t i = 0; i < COUNT(texts); i++) {
                struct tk_config *c;
                if (parse(texts[i], &c) == TK_OK)
                        WRONG("accepted: %s", texts[i]);
                if (strstr(why, "Zx81"))
                        WRONG("told: %s", why);
        }
}

static void a_message_is_cut_to_its_room(void **state) {
        (void)state;
        for (size_t size = 1; size < 64; size++) {
                struct tk_config *c;
                char small[65];
                memset(small, 'x', sizeof small);
                assert_int_equal(tk_config_parse("t.yaml", TK_STR("lisen: 1\n"), &c, small, size),
                                 TK_E_SYNTAX);
                assert_true(strlen(small) < size);
                assert_int_equal(small[size], 'x');
        }
}

/* ---- size and time ---- */

static char *repeat(const char *head, const char *piece, size_t bytes) {
        size_t n = strlen(head), step = strlen(piece);
        char *text = malloc(n + bytes + step + 1);
        assert_non_null(text);
        memcpy(text, head, n);
        for (size_t at = 0; at < bytes; at += step)
                memcpy(text + n + at, piece, step + 1);
        return text;
}

static void huge_files_end_soon(void **state) {
        static const struct {
                const char *head, *piece;
        } rows[] = {
                {"", "["},
                {"a: ", "{"},
                {"a: ", "[["},
                {"", "- "},
                {"", "? "},
                {"a: ", "[{"},
                {"listen: '", "a"},
                {"listen: ", "a"},
                {"models: [", "a,"},
                {"models: [&a {},", "*a,"},
                {"providers: {p: &p {base_url: 'http://h'},", "q: *p,"},
                {"", "a: 1\n"},
                {"", "#\n"},
                {"listen: |\n", " a\n"},
                {"listen: \"", "\\\n"},
                {"key_prefix: '", "${SECRET}"},
        };
        (void)state;
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct tk_config *c;
                char *text = repeat(rows[i].head, rows[i].piece, (1u << 20) - 128);
                clock_t start = clock();
                enum tk_err err = parse(text, &c);
                double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
                free(text);
                if (err == TK_OK)
                        tk_config_free(&c); /* a megabyte of comments is no error */
                if (seconds > 20) /* milliseconds; a sanitizer on a busy machine is slow, the square of a
                                     megabyte slower */
                        WRONG("'%s%s...' took %.1f s", rows[i].head, rows[i].piece, seconds);
                assert_null(c);
        }
        struct tk_config *c;
        char *text = repeat("", "#\n", (1u << 20) + 2);
        assert_int_equal(parse(text, &c), TK_E_TOO_BIG);
        assert_non_null(strstr(why, "larger than 1048576 bytes"));
        free(text);
}

static void laughter_is_bounded(void **state) {
        /* Nine levels of nine aliases: 3^18 values for who would walk them all. */
        char text[2048] = "listen: a:1\nx0: &x0 [a,a,a,a,a,a,a,a,a]\n";
        (void)state;
        for (int i = 1; i < 10; i++) {
                size_t n = strlen(text);
                snprintf(text + n, sizeof text - n,
                         "x%d: &x%d [*x%d,*x%d,*x%d,*x%d,*x%d,*x%d,*x%d,*x%d,*x%d]\n", i, i, i - 1, i - 1,
                         i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        }
        struct tk_config *c;
        assert_int_equal(parse(text, &c), TK_E_SYNTAX);
        assert_non_null(strstr(why, "unknown key 'x0'"));
        /* A mapping that holds itself, where the reader goes down into it. */
        assert_true(parse("providers: &a\n  p: *a\n", &c) != TK_OK);
        assert_true(parse("models: &a\n  - *a\n", &c) != TK_OK);
        assert_true(parse("&a providers: *a\n", &c) != TK_OK);
}

static void counts_are_bounded(void **state) {
        (void)state;
        struct tk_config *c;
        struct tk_buf text = TK_BUF(1u << 20);
        tk_buf_text(&text, "providers:\n");
        for (int i = 0; i < 257; i++)
                tk_buf_printf(&text, " p%d: { base_url: http://h }\n", i);
        assert_int_equal(parse(text.at, &c), TK_E_RANGE);
        assert_non_null(strstr(why, "'providers' has 257 entries; it may have up to 256"));
        text.at[text.len - strlen(" p256: { base_url: http://h }\n")] = '\0';
        assert_ok(parse(text.at, &c));
        assert_int_equal(c->catalog->providers_nr, 256);
        tk_config_free(&c);
        tk_buf_clear(&text);
        tk_buf_text(&text, P "models:\n");
        for (int i = 0; i < 4096; i++)
                tk_buf_printf(
                        &text,
                        "- { id: m%d, provider: p, max_output_tokens: 1, price: { input: 1, output: 1 } }\n",
                        i);
        assert_ok(parse(text.at, &c));
        assert_int_equal(c->catalog->models_nr, 4096);
        tk_config_free(&c);
        tk_buf_text(&text, "- { id: one-more, provider: p, max_output_tokens: 1 }\n");
        assert_int_equal(parse(text.at, &c), TK_E_RANGE);
        tk_buf_free(&text);
}

/* ---- files ---- */

static void files_are_read(void **state) {
        char path[] = "/tmp/tk-config-XXXXXX", again[64];
        struct tk_config *c;
        (void)state;
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "loops: 5\n", 9), 9);
        assert_ok(tk_config_load(path, &c, why, sizeof why));
        assert_int_equal(c->loops, 5);
        tk_config_free(&c);
        assert_int_equal(write(fd, "listen: xyz\n", 12), 12);
        assert_int_equal(tk_config_load(path, &c, why, sizeof why), TK_E_SYNTAX);
        snprintf(again, sizeof again, "%s:2: ", path);
        assert_memory_equal(why, again, strlen(again));
        assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
        assert_int_equal(tk_config_load(path, &c, why, sizeof why), TK_E_TOO_BIG);
        close(fd);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(tk_config_load(path, &c, why, sizeof why), TK_E_NOT_FOUND);
        assert_memory_equal(why, path, strlen(path));
        assert_non_null(strstr(why, "No such file"));
        assert_int_equal(tk_config_load("/tmp", &c, why, sizeof why), TK_E_IO);
        assert_null(c);
}

static void an_option_may_set_listen(void **state) {
        (void)state;
        struct tk_config *c = must_parse("");
        assert_ok(tk_config_set_listen(c, "[::]:0", why, sizeof why));
        assert_string_equal(c->listen, "[::]:0");
        assert_int_equal(tk_config_set_listen(c, "8080", why, sizeof why), TK_E_SYNTAX);
        assert_non_null(strstr(why, "--listen"));
        assert_string_equal(c->listen, "[::]:0");
        tk_config_free(&c);
}

/* ---- memory ---- */

static void every_allocation_fails_once(void **state) {
        static const char text[] = "store: 'memory:'\n"
                                   "providers:\n  p: { base_url: 'http://h/', api_key: '${SECRET}' }\n  q: { "
                                   "base_url: 'http://h' }\n"
                                   "models:\n"
                                   "- { id: a, provider: p, upstream_id: b, max_output_tokens: 1, price: { "
                                   "input: 1, output: 2 } }\n"
                                   "- { id: c, provider: q, max_output_tokens: 1 }\n";
        struct tk_config *c;
        unsigned fail_at = 0;
        enum tk_err err;
        (void)state;
        do {
                allocations_left = fail_at++;
                err = tk_config_parse("t.yaml", tk_str_of(text), &c, why, sizeof why);
                allocations_left = UINT_MAX;
                if (err != TK_OK) {
                        if (err != TK_E_NO_MEMORY || strcmp(why, "t.yaml: out of memory") != 0)
                                WRONG("at %u: %s", fail_at - 1, why);
                        assert_null(c);
                }
        } while (err != TK_OK);
        assert_true(fail_at > 40);
        assert_int_equal(c->catalog->models_nr, 2);
        allocations_left = 0;
        assert_int_equal(tk_config_set_listen(c, "h:1", why, sizeof why), TK_E_NO_MEMORY);
        allocations_left = UINT_MAX;
        assert_string_equal(c->listen, "127.0.0.1:8080");
        tk_config_free(&c);
}

int main(void) {
#define T(f) cmocka_unit_test_setup(f, clear_environment)
        const struct CMUnitTest tests[] = {
                T(the_documented_example),
                T(everything_that_can_be_said),
                T(where_alerts_go),
                T(nothing_means_the_defaults),
                T(variables_are_filled_in),
                T(the_environment_overrides),
                T(aliases_and_shared_prices_work),
                T(every_fault_is_told_with_its_line),
                T(prices_are_exact_or_refused),
                T(prices_lack_nothing),
                T(no_message_tells_a_secret),
                T(a_message_is_cut_to_its_room),
                T(huge_files_end_soon),
                T(laughter_is_bounded),
                T(counts_are_bounded),
                T(files_are_read),
                T(an_option_may_set_listen),
                T(every_allocation_fails_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
