/* SPDX-License-Identifier: Apache-2.0
 *
 * measure: meters and windows as the command line reads and writes them; shared by the commands around
 * limits and doubts.
 */
#ifndef TK_CLI_MEASURE_H
#define TK_CLI_MEASURE_H

#include "core/meter.h"
#include "core/window.h"
#include "wire/json_write.h"

#define TK_WINDOW_TEXT 32

/* The values of --meter and --window. False after a message. */
TK_CHECKED bool tk_meter_read(const char *text, enum tk_meter *out);
TK_CHECKED bool tk_window_read(const char *text, struct tk_window_spec *out);
/* As --window takes it; returns out. */
const char *tk_window_text(struct tk_window_spec window, char out[TK_WINDOW_TEXT]);
/* Money as text, so that no reader rounds it; a count as a number; "" as null. */
void tk_amount_json(struct tk_jw *w, const char *name, enum tk_meter meter, const char *text);

#endif
