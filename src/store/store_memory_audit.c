/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log in memory: a sorted array, which is walked.
 */
#include "store/store_memory_int.h"

#include <stdlib.h>
#include <string.h>

#include "rt/log.h"

/* ---- the batch ---- */

static bool is_there(const struct tk_memory_store *store, struct tk_id id) {
        for (size_t i = 0; i < store->audits_nr; i++)
                if (tk_id_eq(store->audits[i]->id, id))
                        return true;
        for (size_t i = 0; i < store->batch.nr; i++)
                if (store->batch.ops[i].what == TK_OP_AUDIT && tk_id_eq(store->batch.ops[i].audit->id, id))
                        return true;
        return false;
}

/* With its texts behind it. NULL: out of memory. */
static struct tk_audit *copy_of(const struct tk_audit *audit) {
        struct tk_audit *copy = malloc(sizeof *copy + audit->before.len + audit->after.len);
        if (!copy)
                return NULL;
        char *texts = (char *)(copy + 1);
        *copy = *audit;
        if (audit->before.len)
                memcpy(texts, audit->before.at, audit->before.len);
        copy->before.at = texts;
        texts += audit->before.len;
        if (audit->after.len)
                memcpy(texts, audit->after.at, audit->after.len);
        copy->after.at = texts;
        return copy;
}

enum tk_err tk_memory_audit_add(struct tk_store *base, const struct tk_audit *audit) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (is_there(store, audit->id))
                return TK_E_CONFLICT;
        struct tk_audit *copy = tk_memory_room(&store->batch, 1) ? copy_of(audit) : NULL;
        if (!copy)
                return tk_memory_no_memory();
        tk_memory_push(&store->batch, (struct tk_memory_op){.what = TK_OP_AUDIT, .audit = copy}, 0);
        return TK_OK;
}

enum tk_err tk_memory_audit_trim(struct tk_store *base, int64_t before_ms, unsigned limit) {
        struct tk_memory_store *store = tk_memory_of(base);
        if (!tk_memory_room(&store->batch, 1))
                return tk_memory_no_memory();
        tk_memory_push(&store->batch,
                       (struct tk_memory_op){.what = TK_OP_AUDIT_TRIM, .trim = {before_ms, limit}}, 0);
        return TK_OK;
}

/* ---- the batch becomes state ---- */

void tk_memory_apply_audit(struct tk_memory_store *store, struct tk_audit *audit) {
        size_t at = store->audits_nr;
        while (at > 0 && tk_memory_order(store->audits[at - 1]->at_ms, store->audits[at - 1]->id,
                                         audit->at_ms, audit->id) > 0)
                at--;
        memmove(store->audits + at + 1, store->audits + at, (store->audits_nr - at) * sizeof *store->audits);
        store->audits[at] = audit;
        store->audits_nr++;
}

void tk_memory_apply_audit_trim(struct tk_memory_store *store, int64_t before_ms, unsigned limit) {
        size_t gone = 0;
        while (gone < limit && gone < store->audits_nr && store->audits[gone]->at_ms < before_ms)
                free(store->audits[gone++]);
        if (gone == 0)
                return;
        store->audits_nr -= gone;
        memmove(store->audits, store->audits + gone, store->audits_nr * sizeof *store->audits);
}

/* ---- readers ---- */

static bool id_fits(struct tk_id asked, struct tk_id is) {
        return tk_id_none(asked) || tk_id_eq(asked, is);
}

static bool text_fits(const char *asked, const char *is) {
        return !asked[0] || strcmp(asked, is) == 0;
}

static bool fits(const struct tk_audit_filter *f, const struct tk_audit *a) {
        const bool method_fits =
                (!f->methods[0][0] && !f->methods[1][0]) ||
                (a->method[0] && (!strcmp(f->methods[0], a->method) || !strcmp(f->methods[1], a->method)));
        return tk_id_eq(f->org, a->org) && a->at_ms >= f->from_ms && a->at_ms <= f->to_ms &&
               id_fits(f->actor, a->actor) && id_fits(f->workspace, a->workspace) &&
               id_fits(f->resource, a->resource) && method_fits && text_fits(f->uri, a->uri) &&
               text_fits(f->request_id, a->request_id) && text_fits(f->resource_type, a->resource_type) &&
               text_fits(f->action, a->action) && text_fits(f->client, a->client) &&
               (!f->kinds || f->kinds & 1u << a->kind) && (!f->status || f->status == a->status);
}

enum tk_err tk_memory_reader_audit_list(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                        uint64_t skip, unsigned limit, tk_audit_each_f *each, void *ctx) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = store->audits_nr; i-- > 0 && limit > 0;) {
                if (!fits(filter, store->audits[i]) || (skip && skip--))
                        continue;
                limit--;
                if (!each(store->audits[i], ctx))
                        break;
        }
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_audit_count(struct tk_reader *reader, const struct tk_audit_filter *filter,
                                         uint64_t *nr) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        for (size_t i = 0; i < store->audits_nr; i++)
                *nr += fits(filter, store->audits[i]);
        return tk_memory_unlock(reader, TK_OK);
}

enum tk_err tk_memory_reader_audit_oldest(struct tk_reader *reader, int64_t *at_ms) {
        const struct tk_memory_store *store = tk_memory_lock(reader);
        if (store->audits_nr)
                *at_ms = store->audits[0]->at_ms;
        return tk_memory_unlock(reader, store->audits_nr ? TK_OK : TK_E_NOT_FOUND);
}
