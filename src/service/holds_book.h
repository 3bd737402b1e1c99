/* SPDX-License-Identifier: Apache-2.0
 *
 * holds_book: the holds that have a name, found by organisation and name. Folder-internal.
 *
 *   claim -> (work on the record, no lock held) -> release
 *
 * One operation at a time works on a record: it has the claim. Others get into the record's line and are
 * handed the claim in turn. Records lie in shards, each under a small lock that is held for a few loads. The
 * entry's id stands for organisation and name: it is their SHA-256.
 *
 * A pending record lies on its shard's wheel, in the slot of the second in which it is due; slots are shared
 * by seconds that are WHEEL_S apart. An ended one lies on the shard's list, oldest first, and is forgotten
 * when the list is full, unless its end is not yet in the store.
 *
 * Invariants, at every release:
 *   (1) a record that shows no hold, and that nobody waits for, is gone
 *   (2) PENDING is on the wheel and counted with its tenant; the others are on the list and are not counted
 *   (3) a record with a ticket is PENDING
 */
#ifndef TK_SERVICE_HOLDS_BOOK_H
#define TK_SERVICE_HOLDS_BOOK_H

#include "service/holds.h"
#include "service/service_int.h"

struct tk_holds_tenant;
struct tk_holds_shard;

/* What waits for a record; the first member of an operation. */
struct tk_holds_line {
        struct tk_holds_line *next;
        struct tk_holds_record *record; /* set by the claim */
};

struct tk_holds_record {
        /* immutable */
        struct tk_holds_shard *shard;
        struct tk_holds_tenant *tenant;
        struct tk_id id; /* of the entry */

        /* under the shard's lock */
        struct tk_holds_record *next;               /* of its bucket */
        struct tk_holds_record *on_next, **on_link; /* wheel or list */
        bool on_wheel, on_list;
        int64_t due_ms; /* of a pending one: when it expires */
        bool claimed;
        struct tk_holds_line *line, **line_tail;
        unsigned pins; /* operations that wait for it to land */
        bool landed;   /* its end is in the store, or never will be: land_err */
        enum tk_err land_err;

        /* of whoever has the claim */
        bool looked;     /* for an entry in the store */
        bool exists;     /* view is a hold */
        bool from_store; /* it was found there: what was asked for is not known in full */
        bool counted;    /* with the tenant */
        uint8_t content[32];
        struct tk_ticket *ticket;
        struct tk_worker *taker; /* of the ticket */
        struct tk_hold_view view;
        struct tk_holds_record *batch_next;
};

struct tk_holds_book;

TK_CHECKED enum tk_err tk_holds_book_open(struct tk_holds_book **out);
void tk_holds_book_close(struct tk_holds_book **book); /* MUST: no tickets */

/* From organisation and name alone: a UUID of version 8 (RFC 9562), so it can be no id that was drawn. */
struct tk_id tk_holds_entry_id(struct tk_id org, struct tk_str name);

/* The record of the entry's id, made when there is none; NULL: out of memory. *mine: the caller has the
 * claim. Otherwise `line` waits for it. */
struct tk_holds_record *tk_holds_claim(struct tk_holds_book *book, struct tk_id org, struct tk_id id,
                                       struct tk_holds_line *line, bool *mine);
/*
 * Ends a turn. *next: whoever has the claim now, or NULL; then the record may be gone. *pinned: it shows an
 * end that is not in the store yet, and stays until tk_holds_unpin(); pinned is NULL: it need not stay.
 * False: everything was taken away in the meantime (tk_holds_take_all), and the hold is pending still: the
 * caller has the claim, ends the hold, and then its turn.
 */
TK_CHECKED bool tk_holds_release(struct tk_holds_record *record, bool *pinned, struct tk_holds_line **next);
/* The end is in the store, or never will be. */
void tk_holds_landed(struct tk_holds_record *record, enum tk_err err);
/* OK: it landed. BUSY: not yet. Otherwise why it never will. */
TK_CHECKED enum tk_err tk_holds_unpin(struct tk_holds_record *record);
/* False: the organisation, or the server, has too many. With the claim. */
TK_CHECKED bool tk_holds_count(struct tk_holds_book *book, struct tk_holds_record *record);
void tk_holds_uncount(struct tk_holds_book *book, struct tk_holds_record *record);

/* Claims every pending record that is due at now_ms and that nobody works on, chained by batch_next. One
 * shard at a time: 0 to tk_holds_shards() - 1. */
struct tk_holds_record *tk_holds_take_due(struct tk_holds_book *book, unsigned shard, int64_t now_ms);
/* Due or not. From then on no hold of the shard stays pending: see tk_holds_release(). */
struct tk_holds_record *tk_holds_take_all(struct tk_holds_book *book, unsigned shard);
unsigned tk_holds_shards(void);

#endif
