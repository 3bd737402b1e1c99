/* SPDX-License-Identifier: Apache-2.0
 *
 * venice_keys_list: the reading routes of /api/v1/api_keys.
 *
 * Both wait for the writer's barrier first, so that the usage they show includes every call that was answered
 * before. The list has no paging in this dialect, so it is read in pages of our own, one a turn of the loop:
 * other calls of the loop go on in between, and memory stays bounded however many keys there are. A list of
 * one page is answered whole; a longer one is streamed, and waits when the client is slow to read.
 */
#ifndef TK_API_VENICE_KEYS_LIST_H
#define TK_API_VENICE_KEYS_LIST_H

#include "api/handlers.h"

#endif
