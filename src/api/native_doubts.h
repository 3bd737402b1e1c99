/* SPDX-License-Identifier: Apache-2.0
 *
 * native_doubts: what a crash left open, listed page by page, and the word on one of it. The handlers are in
 * handlers.h.
 */
#ifndef TK_API_NATIVE_DOUBTS_H
#define TK_API_NATIVE_DOUBTS_H

#include "api/handlers.h"

#define TK_DOUBTS_PAGE     100 /* rows, when nothing else is said */
#define TK_DOUBTS_PAGE_MAX 1000

#endif
