/* SPDX-License-Identifier: Apache-2.0
 *
 * unit: the one way to include cmocka; it wants four headers first and defines bare words.
 */
#ifndef TK_TESTS_UNIT_H
#define TK_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#undef fail
#undef skip
#undef fail_msg
#define fail_msg(...) (print_error("ERROR: " __VA_ARGS__), _fail(__FILE__, __LINE__))

#define assert_ok(e) assert_int_equal((e), 0)
#define TEST(f)      cmocka_unit_test(f)

#endif
