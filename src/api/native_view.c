/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native_view.h"

#include "api/refusal.h"
#include "core/time.h"

static void write_time(struct tk_jw *w, const char *name, int64_t ms) {
        char text[TK_TIME_TEXT_LEN + 1];
        tk_time_text(ms, text);
        tk_jw_member(w, name, text);
}

/* When a window ends; null: never. */
static void write_turn(struct tk_jw *w, int64_t turns_s) {
        if (turns_s != INT64_MAX) {
                write_time(w, "turns_at", turns_s * 1000);
                return;
        }
        tk_jw_key(w, "turns_at");
        tk_jw_null(w);
}

static void write_unsigned(struct tk_jw *w, const char *name, enum tk_meter meter, uint64_t amount) {
        tk_jw_key(w, name);
        if (tk_meter_is_money(meter))
                tk_jw_nano(w, amount);
        else
                tk_jw_u64(w, amount);
}

static void write_amount(struct tk_jw *w, const char *name, enum tk_meter meter, int64_t amount) {
        MUST(amount >= 0);
        write_unsigned(w, name, meter, (uint64_t)amount);
}

static const enum tk_meter order[] = {TK_METER_USD, TK_METER_DIEM, TK_METER_VCU, TK_METER_REQUESTS,
                                      TK_METER_TOKENS};
_Static_assert(sizeof order / sizeof *order == TK_METER_NR, "every meter is shown");

static bool is_rare(enum tk_meter meter) {
        return meter == TK_METER_DIEM || meter == TK_METER_VCU;
}

void tk_native_write_amounts(struct tk_jw *w, const struct tk_amounts *amounts) {
        tk_jw_object(w);
        for (unsigned i = 0; i < TK_METER_NR; i++)
                if (!is_rare(order[i]) || amounts->of[order[i]] > 0)
                        write_amount(w, tk_meter_name(order[i]), order[i], amounts->of[order[i]]);
        tk_jw_end(w);
}

/* null: nothing limits it. */
static void write_left(struct tk_jw *w, const struct tk_amounts *left) {
        tk_jw_object(w);
        for (unsigned i = 0; i < TK_METER_NR; i++) {
                int64_t amount = left->of[order[i]];
                if (amount != INT64_MAX) {
                        write_amount(w, tk_meter_name(order[i]), order[i], amount);
                } else if (!is_rare(order[i])) {
                        tk_jw_key(w, tk_meter_name(order[i]));
                        tk_jw_null(w);
                }
        }
        tk_jw_end(w);
}

static void write_named_amounts(struct tk_jw *w, const char *name, const struct tk_amounts *amounts) {
        tk_jw_key(w, name);
        tk_native_write_amounts(w, amounts);
}

void tk_native_write_hold(struct tk_jw *w, const char *name, const struct tk_hold_view *view) {
        char key[TK_ID_TEXT_LEN + 1];
        bool pending = view->hold.state == TK_HOLD_PENDING;
        tk_id_text(view->key, key);
        tk_jw_object(w);
        tk_jw_member(w, "id", name);
        tk_jw_member(w, "state", tk_hold_state_name(view->hold.state));
        tk_jw_member(w, "key_id", key);
        tk_jw_member(w, "model", view->model[0] ? view->model : NULL);
        if (pending) {
                write_named_amounts(w, "held", &view->hold.held);
                if (view->has_left) {
                        tk_jw_key(w, "left");
                        write_left(w, &view->left);
                }
                write_named_amounts(w, "used", &view->used);
        } else {
                write_named_amounts(w, "due", &view->hold.due);
                write_named_amounts(w, "overrun", &view->hold.overrun);
        }
        if (view->observed) {
                tk_jw_key(w, "observed");
                tk_jw_bool(w, true);
        }
        write_time(w, "held_at", view->hold.at_s * 1000);
        if (pending)
                write_time(w, "expires_at", view->hold.expires_ms);
        else
                write_time(w, "ended_at", view->ended_ms);
        tk_jw_end(w);
}

static void write_window(struct tk_jw *w, struct tk_window_spec window, unsigned flags) {
        tk_jw_member(w, "window", tk_window_kind_name(window.kind));
        if (window.kind == TK_WINDOW_EVERY_N_DAYS) {
                tk_jw_key(w, "days");
                tk_jw_u64(w, window.days);
        }
        if (flags & TK_LIMIT_SLIDING) {
                tk_jw_key(w, "sliding");
                tk_jw_bool(w, true);
        }
        if (flags & TK_LIMIT_OBSERVE) {
                tk_jw_key(w, "observe");
                tk_jw_bool(w, true);
        }
        if (flags & TK_LIMIT_BALANCE) {
                tk_jw_key(w, "balance");
                tk_jw_bool(w, true);
        }
}

static void write_id(struct tk_jw *w, const char *name, struct tk_id id) {
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, text);
        tk_jw_member(w, name, text);
}

/* What names it, and how much it is of what. */
static void write_doubt_members(struct tk_jw *w, const struct tk_doubt *doubt) {
        char name[TK_DOUBT_NAME_MAX + 1];
        tk_doubt_name_text(doubt, name);
        tk_jw_member(w, "id", name);
        write_id(w, "subject_id", doubt->subject);
        tk_jw_member(w, "meter", tk_meter_name(doubt->meter));
        write_window(w, doubt->window, 0);
        tk_jw_key(w, "number");
        tk_jw_i64(w, doubt->number);
        write_amount(w, "amount", doubt->meter, doubt->amount);
        write_time(w, "since", doubt->since_ms);
        write_turn(w, tk_window_end_s(doubt->window, doubt->number));
}

void tk_native_write_doubt(struct tk_jw *w, const struct tk_doubt_row *row) {
        tk_jw_object(w);
        write_doubt_members(w, row->doubt);
        tk_jw_member(w, "subject", tk_subject_kind_name(row->kind));
        tk_jw_member(w, "description", row->description[0] ? row->description : NULL);
        tk_jw_end(w);
}

void tk_native_write_word(struct tk_jw *w, const struct tk_doubt *doubt, int64_t spent, bool replayed) {
        MUST(spent <= doubt->amount);
        tk_jw_object(w);
        if (replayed) {
                tk_jw_key(w, "replayed");
                tk_jw_bool(w, true);
        }
        tk_jw_key(w, "doubt");
        tk_jw_object(w);
        write_doubt_members(w, doubt);
        tk_jw_end(w);
        write_amount(w, "spent", doubt->meter, spent);
        write_amount(w, "freed", doubt->meter, doubt->amount - spent);
        tk_jw_end(w);
}

void tk_native_write_refusal(struct tk_jw *w, const struct tk_refusal *refusal, int64_t now_ms) {
        int64_t retry_s = tk_refusal_retry_s(refusal, now_ms);
        const struct tk_count count = {.posted = refusal->posted, .held = refusal->held};
        tk_jw_object(w);
        tk_jw_member(w, "subject", tk_subject_kind_name(refusal->subject_kind));
        tk_jw_member(w, "meter", tk_meter_name(refusal->meter));
        write_window(w, refusal->window, refusal->flags);
        write_unsigned(w, "cap", refusal->meter, refusal->cap);
        write_amount(w, "posted", refusal->meter, refusal->posted);
        write_amount(w, "held", refusal->meter, refusal->held);
        write_amount(w, "left", refusal->meter, tk_limit_left(refusal->cap, &count));
        write_amount(w, "least", refusal->meter, refusal->least);
        write_turn(w, refusal->turns_s);
        tk_jw_key(w, "retry_after");
        if (retry_s > 0)
                tk_jw_i64(w, retry_s);
        else
                tk_jw_null(w);
        tk_jw_end(w);
}

static void begin_key(struct tk_jw *w, struct tk_id id, const char *description) {
        char text[TK_ID_TEXT_LEN + 1];
        tk_id_text(id, text);
        tk_jw_object(w);
        tk_jw_member(w, "id", text);
        tk_jw_member(w, "description", description);
}

void tk_native_write_key(struct tk_jw *w, struct tk_id id, const char *description) {
        begin_key(w, id, description);
        tk_jw_end(w);
}

static void write_standing(struct tk_jw *w, const struct tk_standing *standing) {
        enum tk_meter meter = standing->limit.meter;
        tk_jw_object(w);
        tk_jw_member(w, "meter", tk_meter_name(meter));
        write_window(w, standing->limit.window, standing->limit.flags);
        write_unsigned(w, "cap", meter, standing->limit.cap);
        if (standing->known) {
                write_amount(w, "posted", meter, standing->posted);
                if (standing->doubt > 0)
                        write_amount(w, "in_doubt", meter, standing->doubt);
                write_amount(w, "held", meter, standing->held);
                write_amount(w, "left", meter, standing->left);
        } else {
                tk_jw_key(w, "left");
                tk_jw_null(w);
        }
        write_turn(w, standing->turns_s);
        tk_jw_end(w);
}

void tk_native_write_key_in_full(struct tk_jw *w, const struct tk_key *key,
                                 const struct tk_standing *standing, unsigned standing_nr) {
        begin_key(w, key->id, key->description);
        tk_jw_member(w, "kind", tk_key_kind_name(key->kind));
        if (key->expires_ms) {
                write_time(w, "expires_at", key->expires_ms);
        } else {
                tk_jw_key(w, "expires_at");
                tk_jw_null(w);
        }
        tk_jw_key(w, "limits");
        tk_jw_array(w);
        for (unsigned i = 0; i < standing_nr; i++)
                write_standing(w, &standing[i]);
        tk_jw_end(w);
        tk_jw_end(w);
}
