/* SPDX-License-Identifier: Apache-2.0
 *
 * fixture: what the tests of the store share: a fresh place for a store, rows that are easy to tell apart,
 * and a random number that a seed repeats.
 */
#ifndef TK_TESTS_CONTRACT_FIXTURE_H
#define TK_TESTS_CONTRACT_FIXTURE_H

#include "store/audit.h"
#include "store/people.h"

/* A folder of its own below $TMPDIR or /tmp. */
struct place {
        char folder[256];
        char path[300]; /* of the database file in it; not made yet */
        char url[320];  /* "sqlite:" and the path */
};

void place_make(struct place *place);
void place_remove(struct place *place); /* with all that is in it */

struct tk_store *store_must_open(const char *url);
struct tk_reader *reader_must_open(struct tk_store *store);

struct tk_id id_of(unsigned n); /* n > 0 */
/* Created at second n, active, with two limits; every field depends on n. */
struct tk_key key_of(struct tk_id org, unsigned n);
void digest_of(unsigned n, uint8_t out[32]);
struct tk_entry entry_of(struct tk_id org, struct tk_id subject, unsigned n);
struct tk_lease lease_of(struct tk_id subject, int64_t bound);
struct tk_doubt doubt_of(struct tk_id subject, int64_t amount);
/* 1000 x n of USD, at millisecond n. */
struct tk_topup topup_of(struct tk_id subject, unsigned n);

/* Created at second n; every field depends on n, the role goes round. */
struct tk_user user_of(struct tk_id org, unsigned n);
struct tk_workspace workspace_of(struct tk_id org, unsigned n);

bool user_same(const struct tk_user *a, const struct tk_user *b);
bool workspace_same(const struct tk_workspace *a, const struct tk_workspace *b);
/* Of a limit by the day on an organisation, at millisecond n; it waits in every channel. */
struct tk_alert alert_of(struct tk_id org, unsigned n);

bool alert_same(const struct tk_alert *a, const struct tk_alert *b);

/* At millisecond n; every member depends on n. */
struct tk_audit audit_of(struct tk_id org, unsigned n);

bool audit_same(const struct tk_audit *a, const struct tk_audit *b);
bool topup_same(const struct tk_topup *a, const struct tk_topup *b);
bool limit_same(const struct tk_limit *a, const struct tk_limit *b);
bool key_same(const struct tk_key *a, const struct tk_key *b);
bool doubt_same(const struct tk_doubt *a, const struct tk_doubt *b);
bool entry_same(const struct tk_entry *a, const struct tk_entry *b);

/* One batch with one thing in it. */
void key_put(struct tk_store *store, const struct tk_key *key);
void usage_put(struct tk_store *store, struct tk_id subject, enum tk_meter meter, int64_t hour,
               int64_t amount);
int64_t usage_of(struct tk_reader *reader, struct tk_id subject, enum tk_meter meter);

uint64_t random_next(uint64_t *state); /* *state != 0 */

#endif
