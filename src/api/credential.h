/* SPDX-License-Identifier: Apache-2.0
 *
 * credential: the one key that a request carries, out of the headers that may carry it. Pure; any thread.
 *
 * Clients of different SDKs put the key into different headers, and some into two. The same key twice is
 * one key. Two different keys are refused: whichever were picked, the other one's owner would be
 * surprised by the bill. One exception is documented: clients of Portkey keep the Authorization header for
 * the provider's key, so beside an x-portkey-api-key it is not looked at. An Authorization header of another
 * scheme (a proxy's Basic, say) is none of ours and is passed over, and so is an empty value.
 */
#ifndef TK_API_CREDENTIAL_H
#define TK_API_CREDENTIAL_H

#include "base/must.h"
#include "base/str.h"

enum tk_credential { TK_CREDENTIAL_NONE, TK_CREDENTIAL_ONE, TK_CREDENTIAL_CONFLICT };

enum tk_credential_header {
        TK_CREDENTIAL_AUTHORIZATION, /* "Bearer KEY": the scheme in any case, one or more spaces */
        TK_CREDENTIAL_X_API_KEY,
        TK_CREDENTIAL_API_KEY,
        TK_CREDENTIAL_PORTKEY,
        TK_CREDENTIAL_HEADER_NR
};

/* Lower-case header name. */
const char *tk_credential_header_name(enum tk_credential_header header);
/* values[i] is the value of header i, empty when it is absent. *key points into one of them. */
enum tk_credential tk_credential_pick(const struct tk_str values[TK_CREDENTIAL_HEADER_NR],
                                      struct tk_str *key);

#endif
