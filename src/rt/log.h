/* SPDX-License-Identifier: Apache-2.0
 *
 * log: one line an event on stderr, logfmt: `time=... level=warn area=store msg="..."`.
 *
 * A fault is logged once, where it is born. A refusal is no fault and is not logged as one. Never pass
 * a secret. Any thread; lines do not mix (one write each, cut at 4096 bytes).
 */
#ifndef TK_RT_LOG_H
#define TK_RT_LOG_H

#include "base/must.h"

enum tk_level { TK_DEBUG, TK_INFO, TK_WARN, TK_ERROR };

void tk_log_level(enum tk_level least); /* before threads start; default TK_INFO */
void tk_log(enum tk_level level, const char *area, const char *fmt, ...) TK_PRINTF(3, 4);

#endif
