/* SPDX-License-Identifier: Apache-2.0
 *
 * models: the catalog as OpenAI's list and as Venice's.
 *
 * A model without a price is listed, without one, though it is never called: whoever looks for it learns that
 * it is known and what it lacks. A key with a privacy setting sees only models that satisfy it. Prices are
 * shown in USD and in DIEM, which settles one to one.
 */
#ifndef TK_API_MODELS_H
#define TK_API_MODELS_H

#include "api/handlers.h"

#endif
