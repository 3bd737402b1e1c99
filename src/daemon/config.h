/* SPDX-License-Identifier: Apache-2.0
 *
 * config: tollkey.yaml, read strictly: an unknown key, a wrong type or a value outside its range is
 * an error that names file, line and what was expected. "${NAME}" inside a string is replaced by the
 * environment variable (not set: an error naming it). TOLLKEY_LISTEN and TOLLKEY_STORE override.
 * The keys, their bounds and their help are the rows of tbl/param.tbl; man page and template come
 * from there.
 */
#ifndef TK_DAEMON_CONFIG_H
#define TK_DAEMON_CONFIG_H

#include "alert/channels.h"
#include "base/err.h"
#include "core/meter.h"
#include "service/catalog.h"

struct tk_config {
        char *listen;     /* "127.0.0.1:8080" */
        char *store;      /* "sqlite:var/tollkey.db" */
        char *key_prefix; /* "tk" */
        unsigned loops;   /* 0: one for each core */
        uint64_t header_bytes_max, body_bytes_max, bodies_bytes_max;
        unsigned connections_max, header_ms, body_ms, idle_ms, write_ms, stop_ms;
        unsigned hold_output_tokens; /* output tokens held at first and in each further step of a stream */
        unsigned audit_days;         /* 0: for ever */
        struct tk_spend_order spend_order;
        struct tk_catalog *catalog;
        struct tk_alert_channels alerts;
};

/* path NULL: built-in defaults and environment only. On error *out is NULL and why holds "FILE:LINE: ...". */
TK_CHECKED enum tk_err tk_config_load(const char *path, struct tk_config **out, char *why, size_t why_size);
/* The same from text; name is used in messages. For tests and fuzzing: the environment is read too. */
TK_CHECKED enum tk_err tk_config_parse(const char *name, struct tk_str text, struct tk_config **out,
                                       char *why, size_t why_size);
/* The same check as for the file's key; for an option of the command line. */
TK_CHECKED enum tk_err tk_config_set_listen(struct tk_config *config, const char *listen, char *why,
                                            size_t why_size);
void tk_config_free(struct tk_config **config);

#endif
