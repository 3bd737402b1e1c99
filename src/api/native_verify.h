/* SPDX-License-Identifier: Apache-2.0
 *
 * native_verify: one question, one count. service/verify.h has the rules.
 */
#ifndef TK_API_NATIVE_VERIFY_H
#define TK_API_NATIVE_VERIFY_H

#include "api/handlers.h"

#endif
