/* SPDX-License-Identifier: Apache-2.0
 *
 * A word changes sums that other jobs of a batch may change, too, and it is decided by what is committed. So
 * it is said on the writer's thread between two batches, in a batch of its own, just as a command says it
 * from outside. Beside it a note of the word is written, by the hash of organisation and id.
 */
#include "service/word.h"

#include "core/time.h"
#include "rt/hash.h"
#include "service/doubt.h"
#include "service/ledger_int.h"
#include "store/people.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_NAME  "word." /* and 32 digits */
#define NOTE_BYTES 256
#define NOTE_HASH  16

/* ---- names ---- */

static void window_text(struct tk_window_spec window, char out[40]) {
        if (window.kind == TK_WINDOW_EVERY_N_DAYS)
                snprintf(out, 40, "%s-%u-%" PRId32, tk_window_kind_name(window.kind), window.days,
                         window.anchor_day);
        else
                snprintf(out, 40, "%s", tk_window_kind_name(window.kind));
}

void tk_doubt_name_text(const struct tk_doubt *doubt, char out[TK_DOUBT_NAME_MAX + 1]) {
        char subject[TK_ID_TEXT_LEN + 1], window[40];
        tk_id_text(doubt->subject, subject);
        window_text(doubt->window, window);
        int len = snprintf(out, TK_DOUBT_NAME_MAX + 1, "%s:%s:%s:%" PRId64, subject,
                           tk_meter_name(doubt->meter), window, doubt->number);
        MUST(len > 0 && len <= TK_DOUBT_NAME_MAX);
}

/* Up to the separator; false: there is none. */
static bool cut_at(struct tk_str *text, char separator, struct tk_str *piece) {
        size_t at = tk_str_find(*text, separator);
        if (at >= text->len)
                return false;
        *piece = tk_str_head(*text, at);
        *text = tk_str_skip(*text, at + 1);
        return true;
}

static bool read_i64(struct tk_str text, int64_t *out) {
        const bool negative = text.len > 0 && text.at[0] == '-';
        uint64_t value;
        if (negative)
                text = tk_str_skip(text, 1);
        if (text.len == 0 || (text.at[0] == '0' && (negative || text.len > 1)) || !tk_str_u64(text, &value) ||
            value > INT64_MAX)
                return false;
        *out = negative ? -(int64_t)value : (int64_t)value;
        return true;
}

static bool read_window(struct tk_str text, struct tk_window_spec *out) {
        struct tk_str kind = text, days = {NULL, 0};
        int64_t days_nr = 0, anchor = 0;
        bool counted = cut_at(&text, '-', &kind);
        if (counted && (!cut_at(&text, '-', &days) || !read_i64(days, &days_nr) || !read_i64(text, &anchor) ||
                        days_nr < 1 || days_nr > UINT16_MAX || anchor < INT32_MIN || anchor > INT32_MAX))
                return false;
        for (int k = 0; k < TK_WINDOW_NR; k++) {
                if (!tk_str_is(kind, tk_window_kind_name((enum tk_window_kind)k)))
                        continue;
                *out = (struct tk_window_spec){(enum tk_window_kind)k, (uint16_t)days_nr, (int32_t)anchor};
                return counted == (k == TK_WINDOW_EVERY_N_DAYS) && tk_window_spec_ok(*out);
        }
        return false;
}

bool tk_doubt_name_parse(struct tk_str text, struct tk_doubt *out) {
        struct tk_str subject, meter, window;
        *out = (struct tk_doubt){.amount = 0};
        if (!cut_at(&text, ':', &subject) || !cut_at(&text, ':', &meter) || !cut_at(&text, ':', &window) ||
            !tk_id_parse(subject, &out->subject) || tk_id_none(out->subject) ||
            !read_window(window, &out->window) || !read_i64(text, &out->number))
                return false;
        for (int m = 0; m < TK_METER_NR; m++)
                if (tk_str_is(meter, tk_meter_name((enum tk_meter)m))) {
                        out->meter = (enum tk_meter)m;
                        return tk_window_number_ok(out->window, out->number);
                }
        return false;
}

/* ---- whose they are ---- */

static bool is_over(const struct tk_doubt *doubt, int64_t now_ms) {
        return tk_window_end_s(doubt->window, doubt->number) <= tk_floor_div(now_ms, 1000);
}

/*
 * *key is filled in when the subject is one. Of whom the store knows nothing any more is shown to the
 * organisation that it began with, or nobody could speak for him. False: it is another's, or that cannot be
 * read.
 */
static bool is_ours(const struct tk_service *service, struct tk_reader *reader, struct tk_id org,
                    struct tk_id subject, struct tk_key *key, enum tk_subject_kind *kind) {
        struct tk_workspace workspace;
        struct tk_user user;
        enum tk_err err = tk_reader_key_by_id(reader, subject, key);
        *kind = TK_SUBJECT_KEY;
        if (err == TK_OK)
                return tk_id_eq(key->org, org);
        *kind = TK_SUBJECT_ORG;
        if (err == TK_E_NOT_FOUND && tk_id_eq(subject, org))
                return true;
        *kind = TK_SUBJECT_WORKSPACE;
        if (err == TK_E_NOT_FOUND && (err = tk_reader_workspace_by_id(reader, subject, &workspace)) == TK_OK)
                return tk_id_eq(workspace.org, org);
        *kind = TK_SUBJECT_USER;
        if (err == TK_E_NOT_FOUND && (err = tk_reader_user_by_id(reader, subject, &user)) == TK_OK)
                return tk_id_eq(user.org, org);
        return err == TK_E_NOT_FOUND && tk_id_eq(org, tk_store_org(service->store));
}

/* ---- the list ---- */

struct page {
        struct tk_worker *worker;
        const struct tk_doubts_ask *ask;
        tk_doubt_row_f *each;
        void *ctx;
        unsigned nr;
        bool more;
};

static int compare(const struct tk_doubt *a, const struct tk_doubt *b) {
#define BY(x, y)                                                                                             \
        if ((x) != (y))                                                                                      \
        return (x) < (y) ? -1 : 1
        int subjects = memcmp(a->subject.b, b->subject.b, sizeof a->subject.b);
        if (subjects != 0)
                return subjects;
        BY(a->meter, b->meter);
        BY(a->window.kind, b->window.kind);
        BY(a->window.days, b->window.days);
        BY(a->window.anchor_day, b->window.anchor_day);
        BY(a->number, b->number);
#undef BY
        return 0;
}

static bool list_one(const struct tk_doubt *doubt, void *ctx) {
        struct page *page = ctx;
        const struct tk_doubts_ask *ask = page->ask;
        struct tk_key key;
        struct tk_doubt_row row = {.doubt = doubt, .description = ""};
        if (!tk_id_none(ask->subject) && !tk_id_eq(ask->subject, doubt->subject))
                return false; /* they come in order: that was the last of it */
        if ((ask->after && compare(doubt, ask->after) <= 0) || is_over(doubt, ask->now_ms) ||
            !is_ours(page->worker->service, page->worker->reader, ask->org, doubt->subject, &key, &row.kind))
                return true;
        if (page->nr == ask->limit) {
                page->more = true;
                return false;
        }
        page->nr++;
        if (row.kind == TK_SUBJECT_KEY)
                row.description = key.description;
        page->each(&row, page->ctx);
        return true;
}

enum tk_err tk_doubts_list(struct tk_worker *worker, const struct tk_doubts_ask *ask, tk_doubt_row_f *each,
                           void *ctx, bool *more) {
        struct page page = {.worker = worker, .ask = ask, .each = each, .ctx = ctx};
        struct tk_id from = ask->subject;
        if (tk_id_none(from) && ask->after)
                from = ask->after->subject;
        enum tk_err err = tk_reader_doubt_list_from(worker->reader, from, list_one, &page);
        *more = page.more;
        return err;
}

/* ---- the word ---- */

struct word_job {
        struct tk_job job;
        struct tk_service *service;
        struct tk_actor actor;
        struct tk_id org;
        char note_name[sizeof NOTE_NAME + 2 * (size_t)NOTE_HASH];
        struct tk_doubt of;
        int64_t spent, now_ms;
        struct tk_word_answer answer;
        tk_word_done_f *done;
        void *ctx;
};

static void name_note(const struct tk_word *word, char out[sizeof NOTE_NAME + 2 * (size_t)NOTE_HASH]) {
        uint8_t both[64], hash[32];
        memcpy(both, word->org.b, sizeof word->org.b);
        tk_sha256(word->id, both + 32);
        memset(both + sizeof word->org.b, 0, 32 - sizeof word->org.b);
        tk_sha256((struct tk_str){(const char *)both, sizeof both}, hash);
        memcpy(out, NOTE_NAME, sizeof NOTE_NAME);
        for (size_t i = 0; i < NOTE_HASH; i++)
                snprintf(out + sizeof NOTE_NAME - 1 + 2 * i, 3, "%02x", hash[i]);
}

/* What the note says: the word, and the doubt as it was. */
static struct tk_str note_text(const struct word_job *w, const struct tk_doubt *doubt, char out[NOTE_BYTES]) {
        char name[TK_DOUBT_NAME_MAX + 1];
        tk_doubt_name_text(&w->of, name);
        int len = snprintf(out, NOTE_BYTES, "%s %" PRId64 " %" PRId64 " %" PRId64, name, w->spent,
                           doubt->amount, doubt->since_ms);
        MUST(len > 0 && len < NOTE_BYTES);
        return (struct tk_str){out, (size_t)len};
}

/* OK: the same word was said before. CONFLICT: another one was. */
static enum tk_err read_note(struct word_job *w) {
        char note[NOTE_BYTES], same[NOTE_BYTES];
        struct tk_doubt was = w->of;
        struct tk_str name, spent, amount;
        enum tk_err err = tk_reader_meta_get(w->service->writer_reader, w->note_name, note, sizeof note);
        if (err != TK_OK)
                return err;
        struct tk_str rest = tk_str_of(note);
        if (!cut_at(&rest, ' ', &name) || !cut_at(&rest, ' ', &spent) || !cut_at(&rest, ' ', &amount) ||
            !read_i64(amount, &was.amount) || !read_i64(rest, &was.since_ms))
                return TK_E_CORRUPT;
        if (!tk_str_is(note_text(w, &was, same), note))
                return TK_E_CONFLICT;
        w->answer.replayed = true;
        w->answer.doubt = was;
        return TK_OK;
}

static bool find_one(const struct tk_doubt *doubt, void *ctx) {
        struct word_job *w = ctx;
        if (compare(doubt, &w->of) != 0)
                return true;
        w->answer.doubt = *doubt;
        return false;
}

/* Every subject whose sums it changed: the doubt's own and those above it. */
static void believe(struct word_job *w, const struct tk_key *key, enum tk_subject_kind kind) {
        tk_ledger_subject_changed(w->service, w->of.subject);
        if (kind == TK_SUBJECT_KEY) {
                tk_ledger_subject_changed(w->service, key->user);
                tk_ledger_subject_changed(w->service, key->workspace);
        }
        if (kind != TK_SUBJECT_ORG)
                tk_ledger_subject_changed(w->service, w->org);
}

static enum tk_err write_word(struct word_job *w) {
        struct tk_store *store = w->service->store;
        char note[NOTE_BYTES];
        enum tk_err err = tk_store_begin(store);
        if (err != TK_OK)
                return err;
        err = tk_doubt_resolve(store, w->service->writer_reader, &w->actor, w->now_ms, &w->answer.doubt,
                               w->spent);
        if (err == TK_OK)
                err = tk_store_meta_put(store, w->note_name, note_text(w, &w->answer.doubt, note));
        if (err == TK_OK)
                return tk_store_commit(store);
        tk_store_rollback(store);
        return err;
}

static enum tk_err say(struct word_job *w) {
        struct tk_reader *reader = w->service->writer_reader;
        struct tk_key key;
        enum tk_subject_kind kind;
        enum tk_err err = read_note(w);
        if (err != TK_E_NOT_FOUND)
                return err;
        if (is_over(&w->of, w->now_ms) || !is_ours(w->service, reader, w->org, w->of.subject, &key, &kind))
                return TK_E_NOT_FOUND;
        err = tk_reader_doubt_list(reader, w->of.subject, find_one, w);
        if (err != TK_OK || w->answer.doubt.amount == 0)
                return err != TK_OK ? err : TK_E_NOT_FOUND;
        if (w->spent > w->answer.doubt.amount)
                return TK_E_RANGE;
        if ((err = write_word(w)) == TK_OK)
                believe(w, &key, kind);
        return err;
}

static void word_settled(struct tk_job *job) {
        struct word_job *w = (struct word_job *)job;
        tk_writer_assert_here(w->service->writer);
        w->answer.err = job->err == TK_OK ? say(w) : job->err;
}

static void word_done(struct tk_job *job) {
        struct word_job *w = (struct word_job *)job;
        w->done(w->ctx, &w->answer);
        free(w);
}

void tk_word_say(struct tk_worker *worker, const struct tk_actor *actor, const struct tk_word *word,
                 tk_word_done_f *done, void *ctx) {
        static const struct tk_word_answer no_memory = {.err = TK_E_NO_MEMORY};
        struct word_job *w = calloc(1, sizeof *w);
        MUST(word->spent >= 0);
        if (!w) {
                done(ctx, &no_memory);
                return;
        }
        w->job = (struct tk_job){.settled = word_settled, .done = word_done, .worker = worker};
        w->service = worker->service;
        w->actor = *actor;
        w->org = word->org;
        name_note(word, w->note_name);
        w->of = word->of;
        w->spent = word->spent;
        w->now_ms = word->now_ms;
        w->done = done;
        w->ctx = ctx;
        tk_writer_push(worker->service->writer, &w->job);
}
