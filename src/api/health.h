/* SPDX-License-Identifier: Apache-2.0
 *
 * health: for whatever watches the process. /healthz says that a loop turns; /readyz says that it can
 * serve, which means that the store answers a read. Neither needs a key, neither tells anything else.
 */
#ifndef TK_API_HEALTH_H
#define TK_API_HEALTH_H

#include "api/handlers.h"

#endif
