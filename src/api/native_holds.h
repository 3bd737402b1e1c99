/* SPDX-License-Identifier: Apache-2.0
 *
 * native_holds: authorize, and what is done with a hold after it. service/holds.h has the rules.
 */
#ifndef TK_API_NATIVE_HOLDS_H
#define TK_API_NATIVE_HOLDS_H

#include "api/handlers.h"

#endif
