/* SPDX-License-Identifier: Apache-2.0 */
#include "api/problem.h"

static const struct tk_problem_row rows[TK_PROBLEM_NR] = {
#define TK_PROBLEM(name_, venice_, openai_, native_, portkey_, admin_, gate_, gate_text_, type_, code_,      \
                   venice_text_, text_)                                                                      \
        [TK_PROBLEM_##name_] = {                                                                             \
                .name = #name_,                                                                              \
                .status = {[TK_DIALECT_VENICE] = venice_,                                                    \
                           [TK_DIALECT_OPENAI] = openai_,                                                    \
                           [TK_DIALECT_NATIVE] = native_,                                                    \
                           [TK_DIALECT_PORTKEY] = portkey_,                                                  \
                           [TK_DIALECT_GATEWAY] = portkey_},                                                 \
                .openai_type = type_,                                                                        \
                .openai_code = code_,                                                                        \
                .venice_text = venice_text_,                                                                 \
                .admin_code = admin_,                                                                        \
                .gate_code = gate_,                                                                          \
                .gate_text = gate_text_,                                                                     \
                .text = text_,                                                                               \
        },
#include "problem.tbl"
};

const struct tk_problem_row *tk_problem_row(enum tk_problem_id id) {
        MUST(id < TK_PROBLEM_NR);
        return &rows[id];
}

int tk_problem_status(const struct tk_problem *problem, enum tk_dialect_id dialect) {
        MUST(dialect < TK_DIALECT_NR);
        return problem->status ? problem->status : tk_problem_row(problem->id)->status[dialect];
}

enum tk_problem_id tk_problem_of_verdict(enum tk_verdict verdict, enum tk_scope needed) {
        switch (verdict) {
        case TK_VERDICT_NO_KEY:
                return TK_PROBLEM_NO_KEY;
        case TK_VERDICT_UNKNOWN_KEY:
                return TK_PROBLEM_UNKNOWN_KEY;
        case TK_VERDICT_REVOKED:
                return TK_PROBLEM_REVOKED;
        case TK_VERDICT_EXPIRED:
                return TK_PROBLEM_EXPIRED;
        case TK_VERDICT_SCOPE:
                return needed == TK_SCOPE_KEYS_READ || needed == TK_SCOPE_KEYS_WRITE ? TK_PROBLEM_ADMIN_ONLY
                                                                                     : TK_PROBLEM_SCOPE;
        case TK_VERDICT_MODEL_UNKNOWN:
                return TK_PROBLEM_MODEL_UNKNOWN;
        case TK_VERDICT_MODEL_UNPRICED:
                return TK_PROBLEM_MODEL_UNPRICED;
        case TK_VERDICT_MODEL_PRIVACY:
                return TK_PROBLEM_MODEL_PRIVACY;
        case TK_VERDICT_RATE:
                return TK_PROBLEM_RATE;
        case TK_VERDICT_BALANCE:
                return TK_PROBLEM_BALANCE;
        case TK_VERDICT_CAP:
                return TK_PROBLEM_CAP;
        case TK_VERDICT_STORE:
                return TK_PROBLEM_STORE;
        case TK_VERDICT_PASS:
        case TK_VERDICT_NR:
                break;
        }
        MUST(!"a refusal");
        return TK_PROBLEM_INTERNAL;
}

enum tk_problem_id tk_problem_of_err(enum tk_err err) {
        MUST(err != TK_OK);
        switch (err) {
        case TK_E_BUSY:
        case TK_E_FULL:
        case TK_E_READ_ONLY:
        case TK_E_IO:
        case TK_E_CORRUPT:
        case TK_E_CLOSED:
        case TK_E_TIMEOUT:
        case TK_E_NO_MEMORY:
                return TK_PROBLEM_STORE;
        case TK_E_TOO_BIG:
                return TK_PROBLEM_TOO_LARGE;
        default:
                return TK_PROBLEM_INTERNAL;
        }
}

enum tk_problem_id tk_problem_of_meter(enum tk_meter meter) {
        switch (meter) {
        case TK_METER_USD:
                return TK_PROBLEM_USD_CAP;
        case TK_METER_DIEM:
                return TK_PROBLEM_DIEM_CAP;
        case TK_METER_VCU:
                return TK_PROBLEM_VCU_CAP;
        default:
                return TK_PROBLEM_CAP;
        }
}

enum tk_problem_id tk_problem_of_status(int status) {
        switch (status) {
        case 400:
                return TK_PROBLEM_BAD_REQUEST;
        case 408:
                return TK_PROBLEM_SLOW;
        case 413:
                return TK_PROBLEM_TOO_LARGE;
        case 431:
                return TK_PROBLEM_HEADERS;
        case 503:
                return TK_PROBLEM_BUSY;
        case 505:
                return TK_PROBLEM_VERSION;
        default:
                return TK_PROBLEM_INTERNAL;
        }
}
