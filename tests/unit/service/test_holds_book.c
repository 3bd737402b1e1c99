/* SPDX-License-Identifier: Apache-2.0
 *
 * The book of holds: claims and lines, what is remembered and what is forgotten, how many there may be.
 */
#include "lib/unit.h"
#include "service/holds_book.h"

#include <stdlib.h>
#include <string.h>

#define ORG  ((struct tk_id){{1}})
#define LATE INT64_C(4000000000000)

static struct tk_holds_book *book;

static int open_book(void **state) {
        TK_UNUSED(state);
        assert_ok(tk_holds_book_open(&book));
        return 0;
}

static int close_book(void **state) {
        TK_UNUSED(state);
        tk_holds_book_close(&book);
        assert_null(book);
        return 0;
}

static struct tk_id numbered(unsigned n) {
        struct tk_id id = {{0}};
        memcpy(id.b + 8, &n, sizeof n);
        return id;
}

static struct tk_holds_record *claim(struct tk_id org, unsigned n) {
        struct tk_holds_line line;
        bool mine;
        struct tk_holds_record *record = tk_holds_claim(book, org, numbered(n), &line, &mine);
        assert_non_null(record);
        assert_true(mine);
        assert_ptr_equal(line.record, record);
        return record;
}

/* Whoever has the claim next. */
static struct tk_holds_line *release_pinned(struct tk_holds_record *record, bool *pinned) {
        struct tk_holds_line *next;
        assert_true(tk_holds_release(record, pinned, &next));
        return next;
}

static void release(struct tk_holds_record *record) {
        assert_null(release_pinned(record, NULL));
}

/* Makes a claimed record show a hold; false: there are too many. */
static bool take(struct tk_holds_record *record) {
        if (!tk_holds_count(book, record))
                return false;
        struct tk_amounts none = {{0}};
        assert_ok(tk_hold_open(&record->view.hold, &none, LATE, LATE));
        record->exists = true;
        return true;
}

static void end(struct tk_holds_record *record) {
        assert_ok(tk_hold_void(&record->view.hold));
        tk_holds_uncount(book, record);
}

static void entry_ids(void **state) {
        struct tk_id a = tk_holds_entry_id(ORG, TK_STR("a")), again = tk_holds_entry_id(ORG, TK_STR("a"));
        struct tk_id b = tk_holds_entry_id(ORG, TK_STR("b"));
        struct tk_id other = tk_holds_entry_id((struct tk_id){{2}}, TK_STR("a"));
        char text[TK_ID_TEXT_LEN + 1];
        TK_UNUSED(state);
        assert_true(tk_id_eq(a, again));
        assert_false(tk_id_eq(a, b));
        assert_false(tk_id_eq(a, other));
        tk_id_text(a, text);
        assert_int_equal(text[14], '8'); /* the version: never that of an id that was drawn */
        assert_non_null(strchr("89ab", text[19]));
        /* Stored in every entry: it must stay the same for ever. */
        assert_string_equal(text, "2369a109-1edd-8117-ae86-fdfc987190c5");
}

static void a_record_without_a_hold_is_gone(void **state) {
        TK_UNUSED(state);
        struct tk_holds_record *record = claim(ORG, 1);
        record->looked = true;
        release(record);
        record = claim(ORG, 1);
        assert_false(record->looked); /* another one */
        release(record);
}

static void the_claim_goes_along_the_line(void **state) {
        struct tk_holds_line first, second;
        bool mine = true;
        TK_UNUSED(state);
        struct tk_holds_record *record = claim(ORG, 1);
        assert_ptr_equal(tk_holds_claim(book, ORG, numbered(1), &first, &mine), record);
        assert_false(mine);
        assert_ptr_equal(tk_holds_claim(book, ORG, numbered(1), &second, &mine), record);
        assert_false(mine);
        assert_ptr_equal(release_pinned(record, NULL), &first);
        record->looked = true;
        assert_ptr_equal(release_pinned(record, NULL), &second);
        assert_true(record->looked); /* still the same one: somebody waited for it */
        release(record);
}

static void only_so_many_are_pending(void **state) {
        struct tk_holds_record **records = calloc(TK_HOLDS_ORG_MAX, sizeof *records);
        TK_UNUSED(state);
        assert_non_null(records);
        for (unsigned i = 0; i < TK_HOLDS_ORG_MAX; i++) {
                records[i] = claim(ORG, i);
                assert_true(take(records[i]));
                release(records[i]);
        }
        struct tk_holds_record *more = claim(ORG, TK_HOLDS_ORG_MAX);
        assert_false(take(more));
        release(more);
        struct tk_holds_record *other = claim((struct tk_id){{2}}, TK_HOLDS_ORG_MAX + 1);
        assert_true(take(other)); /* another organisation has its own number */
        release(other);
        struct tk_holds_record *one = claim(ORG, 5);
        assert_ptr_equal(one, records[5]);
        end(one);
        release(one);
        more = claim(ORG, TK_HOLDS_ORG_MAX);
        assert_true(take(more));
        release(more);
        free(records);
}

static void the_oldest_ended_are_forgotten(void **state) {
        enum { NR = 2 * TK_HOLDS_ENDED_MAX };
        unsigned kept = 0;
        bool pinned;
        TK_UNUSED(state);
        for (unsigned i = 0; i < NR; i++) {
                struct tk_holds_record *record = claim(ORG, i);
                assert_true(take(record));
                end(record);
                assert_null(release_pinned(record, &pinned));
                assert_false(pinned); /* there is nothing to store */
        }
        for (unsigned i = 0; i < NR; i++) {
                struct tk_holds_record *record = claim(ORG, i);
                kept += record->exists;
                if (i < 1000)
                        assert_false(record->exists);
                if (i >= NR - 100)
                        assert_true(record->exists);
                release(record);
        }
        assert_in_range(kept, TK_HOLDS_ENDED_MAX * 9 / 10, TK_HOLDS_ENDED_MAX);
}

static struct tk_holds_record *posted(unsigned n, bool *pinned) {
        struct tk_amounts none = {{0}};
        struct tk_holds_record *record = claim(ORG, n);
        assert_true(take(record));
        assert_ok(tk_hold_post(&record->view.hold, &none));
        tk_holds_uncount(book, record);
        assert_null(release_pinned(record, pinned));
        return record;
}

/* What is not in the store yet is known to nobody else. */
static void what_is_not_stored_is_not_forgotten(void **state) {
        enum { NR = 2 * TK_HOLDS_ENDED_MAX };
        struct tk_holds_record **records = calloc(NR, sizeof *records);
        bool pinned;
        TK_UNUSED(state);
        assert_non_null(records);
        for (unsigned i = 0; i < NR; i++)
                records[i] = posted(i, NULL);
        for (unsigned i = 0; i < NR; i++) {
                struct tk_holds_record *record = claim(ORG, i);
                assert_true(record->exists);
                release(record);
        }
        for (unsigned i = 0; i < NR; i++)
                tk_holds_landed(records[i], TK_OK);
        struct tk_holds_record *late = posted(NR, &pinned);
        assert_true(pinned);
        unsigned kept = 0;
        for (unsigned i = 0; i < NR; i++) { /* each shard forgets when something of it is released */
                struct tk_holds_record *record = claim(ORG, i);
                kept += record->exists;
                release(record);
        }
        assert_true(kept <= TK_HOLDS_ENDED_MAX + TK_HOLDS_ENDED_MAX / 64);
        assert_int_equal(tk_holds_unpin(late), TK_E_BUSY);
        free(records);
}

static void pins_tell_how_it_landed(void **state) {
        bool pinned;
        TK_UNUSED(state);
        struct tk_holds_record *record = posted(1, &pinned);
        assert_true(pinned);
        tk_holds_landed(record, TK_OK);
        assert_ok(tk_holds_unpin(record));
        record = claim(ORG, 1);
        assert_null(release_pinned(record, &pinned));
        assert_false(pinned);
        record = posted(2, &pinned);
        tk_holds_landed(record, TK_E_CORRUPT);
        assert_int_equal(tk_holds_unpin(record), TK_E_CORRUPT);
}

/* What was taken away while somebody worked on it ends before it is released. */
static void nothing_stays_pending_after_a_stop(void **state) {
        struct tk_holds_line *next;
        TK_UNUSED(state);
        struct tk_holds_record *idle = claim(ORG, 1), *busy = claim(ORG, 2), *fresh = claim(ORG, 3);
        assert_true(take(idle));
        release(idle);
        assert_true(take(busy));
        release(busy);
        assert_ptr_equal(claim(ORG, 2), busy);
        unsigned nr = 0;
        for (unsigned i = 0; i < tk_holds_shards(); i++)
                for (struct tk_holds_record *r = tk_holds_take_all(book, i); r; r = r->batch_next) {
                        assert_ptr_equal(r, idle);
                        nr++;
                }
        assert_int_equal(nr, 1);
        end(idle);
        release(idle);
        assert_false(tk_holds_release(busy, NULL, &next));
        end(busy);
        release(busy);
        assert_true(take(fresh)); /* it was asked for just before */
        assert_false(tk_holds_release(fresh, NULL, &next));
        end(fresh);
        release(fresh);
}

int main(void) {
#define BOOK_TEST(f) cmocka_unit_test_setup_teardown(f, open_book, close_book)
        const struct CMUnitTest tests[] = {
                TEST(entry_ids),
                BOOK_TEST(a_record_without_a_hold_is_gone),
                BOOK_TEST(the_claim_goes_along_the_line),
                BOOK_TEST(only_so_many_are_pending),
                BOOK_TEST(the_oldest_ended_are_forgotten),
                BOOK_TEST(what_is_not_stored_is_not_forgotten),
                BOOK_TEST(pins_tell_how_it_landed),
                BOOK_TEST(nothing_stays_pending_after_a_stop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
