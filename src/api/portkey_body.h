/* SPDX-License-Identifier: Apache-2.0
 *
 * portkey_body: the bodies of POST and PUT /v1/api-keys, from bytes to what they ask for, and then applied to
 * a key. (portkey sheet 1.3) No I/O, no service; any thread.
 *
 * A body is open: the SDKs send members of the path along, so what nobody knows is passed over. What is known
 * must be right.
 */
#ifndef TK_API_PORTKEY_BODY_H
#define TK_API_PORTKEY_BODY_H

#include "api/check.h"
#include "core/key.h"
#include "core/profile.h"

#define TK_PORTKEY_BODY_BYTES_MAX 65536
#define TK_PORTKEY_RATES_MAX      10 /* requests and tokens, each by five units */
#define TK_PORTKEY_UNITS_MAX      UINT64_C(9999999999)

struct tk_portkey_body {
        enum tk_seen name, about, workspace, user, scopes, rates, usage, emails, expires;
        char name_text[TK_PROFILE_NAME_BYTES_MAX + 1];
        char about_text[TK_PROFILE_ABOUT_BYTES_MAX + 1];
        char workspace_text[64], user_text[64]; /* longer ones are cut, and so are of no form of ours */
        struct tk_scopes scope_set;
        unsigned rates_nr;
        struct tk_limit rate[TK_PORTKEY_RATES_MAX];
        int64_t expires_ms;
        char emails_json[TK_PROFILE_EMAILS_MAX + 1];
        bool reset_usage;
        /* of usage_limits */
        enum tk_seen usage_type, credit, alert, period, days, next_reset;
        enum tk_meter usage_meter;
        uint64_t credit_nano, alert_nano; /* also of tokens: whole ones are units */
        enum tk_window_kind period_kind;
        uint64_t days_nr;
        int64_t next_reset_ms;
        /* of defaults */
        enum tk_seen defaults, metadata, config, override;
        char metadata_json[TK_PROFILE_METADATA_MAX + 1];
        char config_text[TK_PROFILE_CONFIG_MAX + 1];
        bool override_allowed;
};

/*
 * create: name and scopes are required. TK_OK, or RANGE with `refusal` holding the 400 answer, or SYNTAX with
 * why it is no JSON in `why`, or NO_MEMORY. An empty body is no JSON.
 */
TK_CHECKED enum tk_err tk_portkey_read(struct tk_str body, bool create, int64_t now_ms,
                                       struct tk_portkey_body *out, struct tk_buf *refusal,
                                       char why[TK_CHECK_WHY_MAX]);
#endif
