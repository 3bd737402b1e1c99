/* SPDX-License-Identifier: Apache-2.0
 *
 * auditor: compares what the service says and does with the truth, after every event. It is naive on purpose:
 * sums are taken over lists each time they are needed.
 *
 *   (1) a hold is taken with exactly min(most, what is left), never more than is left, never less than
 *       least, on organisation, workspace and key at once
 *   (2) a hold is refused only when some limit truly cannot take it, and the refusal tells the true
 *       numbers of the first that cannot
 *   (3) nothing but a fault of the store is answered with NO_STORE, and while it fails no new hold is taken
 *   (4) whoever asked is answered: nobody waits when nothing is under way for him
 *   (5) what a barrier confirmed is in the store
 *   (6) the store's sums are the posts that landed, each once, by subject, meter and hour; entries are true
 *   (7) the process goes by the limits of an edit from its answer on, and never by others than it may know
 *   (8) after a crash: all that was posted or held in a window <= the store's posts + doubt, and these are
 *       within the greatest cap that the limit ever had
 *   (9) a clean restart changes no doubt, and no lease is left at a start
 *  (10) what comes into doubt follows need, whatever the cap: beside what was held and not posted durably it
 * is at most 8 times the largest hold that was asked for, or 4 times the most that was taken in two seconds
 *
 * Where the ledger promises less, the auditor asks for less. A rate that slides under an extension may be
 * weighed with the window before or without it. What was live when a limit came, or when an operator said
 * that more was spent, is covered in a crash only from the next hold on. Rates and what is only observed are
 * not leased, so a crash may forget them. A wait during which the hour turns again and again may be given up
 * with NO_STORE.
 */
#ifndef TK_TESTS_SIM_AUDITOR_H
#define TK_TESTS_SIM_AUDITOR_H

#include "world.h"

struct auditor *auditor_new(void);
void auditor_free(struct auditor **auditor);

/* A decision fell; ticket->ticket tells the details. (1) (2) (3) */
void audit_answer(struct world *world, struct truth_ticket *ticket, enum tk_hold_answer answer);
/* Which version of an edited key does the process go by? To be asked before anything is counted. (7) */
void audit_version(struct world *world, struct truth_subject *subject);
void audit_versions(struct world *world, const struct truth_ticket *ticket);
/* The answer to it; row: of a key. */
void audit_edit(struct world *world, struct truth_subject *subject, enum tk_err err,
                const struct tk_key *row);
/* After a tick on a store that works: nothing is torn any more. */
void audit_known(struct world *world, struct truth_subject *subject);
void audit_snapshot(struct world *world, const struct truth_subject *key, const struct tk_key *row);
void audit_entry(struct world *world, const struct truth_ticket *ticket, const struct tk_entry *entry);
void audit_barrier(struct world *world, uint64_t before, enum tk_err err);
/* After a batch. (4) */
void audit_waiting(struct world *world);
/* The store against the truth, one subject. (6) */
void audit_store(struct world *world, struct truth_subject *subject);

/* ---- around the end of a process ---- */

/* What must be covered afterwards, and what is in doubt now. holds: also what is held, as nobody will end it.
 */
void audit_before_end(struct world *world, bool holds);
/* Reads the leases that were left; the truth was restarted. clean: nothing may have come into doubt. (8) (9)
 */
void audit_after_end(struct world *world, bool clean);
/* A process has begun: all leases were returned or became doubt. */
void audit_start(struct world *world);
/* Nothing is held, and the housekeeper has had his time: no lease is left of a window that is over. */
void audit_swept(struct world *world);

#endif
