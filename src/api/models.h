/* SPDX-License-Identifier: Apache-2.0
 *
 * models: the catalog as OpenAI's list and as Venice's.
 *
 * Both show what the caller could call: a model without a price is left out, since it is never called, and
 * a key with a privacy setting sees only models that satisfy it. Prices are shown in USD and in DIEM,
 * which settles one to one.
 */
#ifndef TK_API_MODELS_H
#define TK_API_MODELS_H

#include "api/handlers.h"

#endif
