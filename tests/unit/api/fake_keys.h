/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_keys: service/keys.h over an array. Writes and barriers complete only when the test says so, with
 * the fault that it asks for; what was lent out is counted.
 */
#ifndef TK_TESTS_FAKE_KEYS_H
#define TK_TESTS_FAKE_KEYS_H

#include "service/keys.h"

#define FAKE_KEYS_MAX 256

enum fake_op_kind { FAKE_CREATE, FAKE_UPDATE, FAKE_REVOKE, FAKE_BARRIER };

struct fake_op {
        enum fake_op_kind kind;
        struct tk_key draft;
        struct tk_id org, id;
        int64_t now_ms;
        tk_keys_edit_f *edit;
        tk_keys_done_f *done;
        tk_barrier_done_f *barrier_done;
        void *ctx;
};

struct tk_worker {
        struct tk_catalog *catalog;
        struct tk_key keys[FAKE_KEYS_MAX]; /* in the order of birth */
        char texts[FAKE_KEYS_MAX][TK_KEY_TEXT_MAX + 1];
        unsigned keys_nr;
        struct fake_op ops[16]; /* waiting */
        unsigned ops_nr;
        struct tk_amounts trailing, period;                       /* of every key */
        enum tk_err write_err, identify_err, read_err, ready_err; /* TK_OK: none */
        unsigned snapshots_nr;                                    /* lent out now */
        unsigned touches_nr;
        struct tk_actor actor; /* of the latest write */
};

/* Adds a key with this text. */
struct tk_key *fake_key_add(struct tk_worker *worker, enum tk_key_kind kind, const char *text);
/* Runs the completion of the oldest waiting write or barrier; false: there is none. */
bool fake_worker_turn(struct tk_worker *worker);

#endif
