/* SPDX-License-Identifier: Apache-2.0
 *
 * sign: what the reference libraries of Standard Webhooks make of their own example, and what may be a
 * secret.
 */
#include "alert/sign.h"

#include "lib/unit.h"

#include <string.h>

static void the_example_of_the_reference_libraries(void **state) {
        struct tk_buf out = TK_BUF(256);
        TK_UNUSED(state);
        tk_webhook_sign(TK_STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
                        TK_STR("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330, TK_STR("{\"test\": 2432232314}"),
                        &out);
        assert_true(tk_buf_ok(&out));
        assert_string_equal(out.at, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        tk_buf_free(&out);
}

static void the_key_is_the_text_or_its_base64(void **state) {
        struct tk_buf text = TK_BUF(256), coded = TK_BUF(256), other = TK_BUF(256);
        TK_UNUSED(state);
        tk_webhook_sign(TK_STR("secret"), TK_STR("a"), 1, TK_STR("{}"), &text);
        tk_webhook_sign(TK_STR("whsec_c2VjcmV0"), TK_STR("a"), 1, TK_STR("{}"), &coded);
        assert_string_equal(text.at, coded.at);
        tk_webhook_sign(TK_STR("secret"), TK_STR("a"), 2, TK_STR("{}"), &other);
        assert_string_not_equal(text.at, other.at);
        tk_buf_clear(&other);
        tk_webhook_sign(TK_STR("secret"), TK_STR("b"), 1, TK_STR("{}"), &other);
        assert_string_not_equal(text.at, other.at);
        tk_buf_free(&text);
        tk_buf_free(&coded);
        tk_buf_free(&other);
}

static void what_may_be_a_secret(void **state) {
        TK_UNUSED(state);
        assert_true(tk_webhook_secret_ok(TK_STR("x")));
        assert_true(tk_webhook_secret_ok(TK_STR("whsec_c2VjcmV0")));
        assert_false(tk_webhook_secret_ok(TK_STR("")));
        assert_false(tk_webhook_secret_ok(TK_STR("whsec_")));
        assert_false(tk_webhook_secret_ok(TK_STR("whsec_not base64")));
}

int main(void) {
        const struct CMUnitTest tests[] = {TEST(the_example_of_the_reference_libraries),
                                           TEST(the_key_is_the_text_or_its_base64),
                                           TEST(what_may_be_a_secret)};
        return cmocka_run_group_tests_name("alert/sign", tests, NULL, NULL);
}
