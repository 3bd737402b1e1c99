/* SPDX-License-Identifier: Apache-2.0
 *
 * portkey_keys_list: the reading routes of /v1/api-keys.
 *
 * Both wait for the writer's barrier first, so that the usage they show includes every call that was answered
 * before. A caller sees the kinds of keys for which he holds the right: a list leaves the others out, as if
 * they did not exist. A page is bounded, so it is written in one turn of the loop.
 */
#ifndef TK_API_PORTKEY_KEYS_LIST_H
#define TK_API_PORTKEY_KEYS_LIST_H

#include "api/handlers.h"

#endif
