/* SPDX-License-Identifier: Apache-2.0
 *
 * must: assertions that stay on in every build.
 *
 * A programmer's error stops the process; a fault is an enum tk_err; a refusal is an enum
 * tk_verdict. The three never turn into one another silently. Tests swap the hook, so an
 * assertion is behaviour that can be tested. Keep conditions cheap and free of side effects.
 */
#ifndef TK_BASE_MUST_H
#define TK_BASE_MUST_H

typedef void tk_must_fail_f(const char *expr, const char *file, int line);
extern tk_must_fail_f *tk_must_fail; /* the default prints to stderr and aborts */

#define MUST(e)              ((e) ? (void)0 : tk_must_fail(#e, __FILE__, __LINE__))
#define IMPLIES(a, b)        (!(a) || (b))
#define TK_CHECKED           __attribute__((warn_unused_result))
#define TK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TK_SMALL             __attribute__((packed)) /* of an enum: as few bytes as its values need */
#define TK_UNUSED(x)         ((void)(x))

#endif
