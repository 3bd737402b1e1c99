/* SPDX-License-Identifier: Apache-2.0
 *
 * The relay has three things that may be under way: its client (call), its provider (fetch) and an operation
 * of the ledger (waiting). Each ends in its own time; maybe_free() frees the relay when all three are over
 * and the ticket is settled. `call` is NULL once it has been answered or is gone.
 */
#include "proxy/relay.h"

#include "rt/clock.h"
#include "rt/log.h"
#include "wire/sse.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX (64u << 20)
#define UNSENT_MAX       (256u << 10) /* beyond it the provider waits for the client */

enum relay_stage { HOLDING, SENT, STREAMING, BUFFERING, SETTLING };

enum wait_for { NOTHING, FIRST_HOLD, NEXT_STEP, LAST_STEP };

/*
 * A stream whose client left while its provider was paused is read on for so long, to see what the provider
 * had produced meanwhile.
 */
#define CATCH_UP_MS 1000

/* Why the provider is paused; it runs when none is left. */
#define PAUSED_CLIENT 1u /* the client is slow */
#define PAUSED_LEDGER 2u /* a piece waits for a larger hold */

struct relay {
        struct tk_relay_opt opt;
        struct tk_oa_request request;
        struct tk_plan plan;
        unsigned spend; /* tries of the spend order, which is gone through twice */
        enum relay_stage stage;

        struct tk_call *call;
        struct tk_fetch *fetch;
        struct tk_ticket *ticket;
        enum wait_for waiting;
        struct relay *next, **link; /* among those that go on without their client; link NULL: it is not */
        struct tk_timer catch_up;   /* for one that does so only to see what was produced */
        unsigned paused;

        /* the provider's answer */
        int status;
        char content_type[128];
        bool is_events;
        bool readable;           /* the body was understood */
        bool encoded;            /* compressed, though nobody asked for it: it cannot be read */
        struct tk_buf body;      /* BUFFERING */
        struct tk_sse sse;       /* STREAMING */
        struct tk_buf held_back; /* an event that waits for a larger hold */
        bool fetch_over;
        bool done_seen;
        bool client_started;
        enum tk_fetch_end fetch_end;

        /* what it cost */
        struct tk_oa_like like; /* the event before */
        struct tk_oa_meter meter;
        uint64_t finished; /* answers whose end was seen */
        uint64_t covered;  /* output tokens that the hold pays for */
        uint64_t told;     /* output tokens that the provider was told not to exceed */
        bool exhausted;    /* the last step was refused */
        enum tk_relay_failure cut_why;
        bool unknown;   /* more may have been produced than was seen: pays for all that it holds */
        unsigned flags; /* TK_ENTRY_* */
        struct tk_amounts actual;
        struct tk_tokens tokens;
};

static void pump(struct relay *r);
static void settle(struct relay *r);
static void end_of_body(struct relay *r);

/* ---- ends ---- */

static void unlink_left(struct relay *r) {
        if (!r->link)
                return;
        *r->link = r->next;
        if (r->next)
                r->next->link = r->link;
        r->link = NULL;
}

static void maybe_free(struct relay *r) {
        if (r->call || r->fetch || r->ticket || r->waiting != NOTHING)
                return;
        unlink_left(r);
        tk_timer_cancel(&r->catch_up);
        tk_buf_free(&r->body);
        tk_buf_free(&r->held_back);
        tk_sse_free(&r->sse);
        tk_snapshot_release(&r->opt.snapshot);
        free(r);
}

/* The provider has said all that matters. */
static void leave_fetch(struct relay *r) {
        tk_fetch_let_go(&r->fetch);
        r->fetch = NULL;
}

static void stop_fetch(struct relay *r) {
        if (r->fetch)
                tk_fetch_cancel(&r->fetch);
        r->fetch = NULL;
}

static void pause_for(struct relay *r, unsigned why) {
        if (r->paused == 0 && r->fetch)
                tk_fetch_pause(r->fetch);
        r->paused |= why;
}

static void resume_from(struct relay *r, unsigned why) {
        if (r->paused == 0)
                return;
        r->paused &= ~why;
        if (r->paused == 0 && r->fetch)
                tk_fetch_resume(r->fetch);
}

/* The call is answered by the voice in full, so it is over for us. */
static void fail(struct relay *r, enum tk_relay_failure what) {
        const struct tk_relay_opt *opt = &r->opt;
        if (!r->call)
                return;
        r->call = NULL;
        opt->voice->failed(opt->ctx, what);
}

static void void_and_end(struct relay *r) {
        stop_fetch(r);
        if (r->waiting == NOTHING)
                tk_ledger_void(&r->ticket);
        maybe_free(r);
}

/*
 * Breaking off saves what the provider has not produced yet, but then nobody tells what it has. An answer in
 * one piece shows nothing before it is whole; and at the end of a stream only the report is missing, which
 * alone knows of what is not shown (reasoning). Whoever leaves there must not leave the bill behind.
 */
static bool worth_waiting_for(const struct relay *r) {
        if (!r->fetch)
                return false;
        if (r->stage == STREAMING)
                return r->finished >= r->plan.answers;
        return r->stage == BUFFERING || (r->stage == SENT && !r->plan.stream);
}

static void go_on_alone(struct relay *r) {
        struct tk_relays *left = r->opt.left;
        r->next = left->first;
        r->link = &left->first;
        if (r->next)
                r->next->link = &r->next;
        left->first = r;
        resume_from(r, PAUSED_CLIENT);
}

/* What has not reached the provider whole costs nothing. */
static bool was_sent(const struct relay *r) {
        return r->stage != SENT || tk_fetch_was_sent(r->fetch);
}

static void break_off(struct relay *r) {
        if (!was_sent(r)) {
                void_and_end(r);
                return;
        }
        stop_fetch(r);
        if (r->stage != SETTLING)
                settle(r);
}

static void on_caught_up(struct tk_timer *timer) {
        break_off((struct relay *)((char *)timer - offsetof(struct relay, catch_up)));
}

static void on_gone(struct tk_call *call, void *ctx) {
        struct relay *r = ctx;
        struct tk_loop *loop = tk_call_loop(call);
        r->call = NULL;
        if (r->stage == HOLDING) {
                void_and_end(r); /* nothing was sent: nothing was used */
                return;
        }
        r->flags |= TK_ENTRY_GONE;
        if (worth_waiting_for(r)) {
                go_on_alone(r);
        } else if (r->paused && r->fetch) { /* what lies between us and the provider was produced, too */
                go_on_alone(r);
                tk_timer_start(loop, &r->catch_up, CATCH_UP_MS);
        } else {
                break_off(r);
        }
}

void tk_relays_end(struct tk_relays *left) {
        while (left->first) {
                struct relay *r = left->first;
                unlink_left(r);
                r->unknown = true;
                break_off(r);
        }
}

/* ---- settling: what was used is made known to the ledger, then the client gets its end ---- */

static void post(struct relay *r) {
        struct tk_entry entry = {.tokens = r->tokens, .flags = r->flags};
        tk_str_copy(tk_str_of(r->plan.model->id), entry.model, sizeof entry.model);
        if (r->actual.of[r->plan.currency] > tk_ticket_held(r->ticket)->of[r->plan.currency])
                tk_log(TK_WARN, "relay", "the provider of %s reports more than could be held: an overrun",
                       r->plan.model->id);
        tk_ledger_post(&r->ticket, &r->actual, &entry, tk_clock_now_ms());
}

static void finish_stream(struct relay *r, const struct tk_refusal *refusal) {
        struct tk_call *call = r->call;
        bool cut_off = r->flags & TK_ENTRY_CUT;
        if (!call)
                return;
        if (cut_off || (r->flags & TK_ENTRY_BROKEN)) {
                struct tk_buf event = TK_BUF(65536);
                tk_buf_text(&event, "data: ");
                r->opt.voice->in_band(r->opt.ctx, cut_off ? r->cut_why : TK_RELAY_BROKEN, refusal, &event);
                tk_buf_text(&event, "\n\ndata: [DONE]\n\n");
                if (tk_buf_ok(&event))
                        tk_call_send(call, tk_buf_str(&event));
                tk_buf_free(&event);
        } else if (r->held_back.len > 0) {
                tk_call_send(call, tk_buf_str(&r->held_back)); /* the provider's own end */
        }
        if (r->call) {
                r->call = NULL;
                tk_call_end(call, true);
        }
}

static void finish_buffered(struct relay *r) {
        struct tk_call *call = r->call;
        if (!call)
                return;
        if (r->flags & TK_ENTRY_BROKEN) {
                fail(r, r->fetch_end == TK_FETCH_TIMEOUT ? TK_RELAY_TIMEOUT : TK_RELAY_BROKEN);
        } else if (!r->readable) {
                fail(r, TK_RELAY_MALFORMED);
        } else {
                r->call = NULL;
                tk_call_reply(call, r->status, r->content_type, tk_buf_str(&r->body));
        }
}

static void settled(struct relay *r) {
        struct tk_refusal refusal = *tk_ticket_refusal(r->ticket);
        post(r); /* first, so that whoever has seen the end can read its cost */
        if (r->client_started)
                finish_stream(r, &refusal);
        else
                finish_buffered(r);
        maybe_free(r);
}

static void on_last_step(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        struct relay *r = ctx;
        TK_UNUSED(ticket);
        TK_UNUSED(answer); /* what could not be held is the overrun, which the post records */
        r->waiting = NOTHING;
        settled(r);
}

/* What we cut off ourselves pays for all that it held: how much more the provider had produced is not known.
 */
static void charge_whole_hold(struct relay *r) {
        const struct tk_amounts *held = tk_ticket_held(r->ticket);
        for (int m = 0; m < TK_METER_NR; m++)
                if (r->actual.of[m] < held->of[m])
                        r->actual.of[m] = held->of[m];
}

static void settle(struct relay *r) {
        static const struct tk_amounts nothing;
        MUST(r->stage != SETTLING);
        r->stage = SETTLING;
        if (r->waiting != NOTHING)
                return; /* its completion comes here again */
        if (!tk_oa_meter_tokens(&r->meter, r->request.input_estimate, &r->tokens))
                r->flags |= TK_ENTRY_ESTIMATED;
        if (tk_plan_actual(&r->plan, &r->tokens, &r->actual) != TK_OK)
                r->actual =
                        *tk_ticket_held(r->ticket); /* a report beyond all bounds: charge all that is held */
        if (r->flags & TK_ENTRY_CUT || r->unknown)
                charge_whole_hold(r);
        struct tk_amounts more = tk_amounts_beyond(&r->actual, tk_ticket_held(r->ticket));
        if (memcmp(&more, &nothing, sizeof more) != 0 && !(r->flags & TK_ENTRY_CUT)) {
                r->waiting = LAST_STEP;
                if (tk_ledger_extend(r->ticket, &nothing, &more, on_last_step, r) == TK_HOLD_UNTRIED)
                        return;
                r->waiting = NOTHING;
        }
        settled(r);
}

/* ---- streaming ---- */

/* The next step of the hold; true when it is decided now. Never asks for more than the call may produce. */
static bool extend(struct relay *r, uint64_t need, enum tk_hold_answer *answer);

static void cut(struct relay *r, enum tk_relay_failure why) {
        r->flags |= TK_ENTRY_CUT;
        r->cut_why = why;
        stop_fetch(r);
        settle(r);
}

/* No more can be held. */
static void cut_short(struct relay *r, enum tk_hold_answer answer) {
        cut(r, answer == TK_HOLD_NO_STORE ? TK_RELAY_STORE : TK_RELAY_CUT);
}

/* Whether the key still may; otherwise why not. */
static bool is_allowed(struct relay *r, enum tk_relay_failure *why) {
        bool ends = tk_snapshot_key(r->opt.snapshot)->expires_ms != 0;
        switch (tk_keys_recheck(r->opt.worker, &r->opt.snapshot, ends ? tk_clock_now_ms() : 0)) {
        case TK_VERDICT_PASS:
                return true;
        case TK_VERDICT_EXPIRED:
                *why = TK_RELAY_EXPIRED;
                return false;
        case TK_VERDICT_STORE: /* nobody can tell now: better no than a guess */
                *why = TK_RELAY_STORE;
                return false;
        default:
                *why = TK_RELAY_REVOKED;
                return false;
        }
}

static void stepped(struct relay *r, enum tk_hold_answer answer) {
        r->exhausted = answer != TK_HOLD_TAKEN;
        if (!r->exhausted)
                r->covered = tk_plan_covered(&r->plan, tk_ticket_held(r->ticket));
}

/*
 * A provider that is not read goes on producing, into the buffers between us, up to what it was told. So
 * while the client is slow all of that is held. False: it cannot be, and the stream was cut.
 */
static bool cover_unseen(struct relay *r) {
        enum tk_hold_answer answer;
        if (!(r->paused & PAUSED_CLIENT) || r->covered >= r->told || r->waiting != NOTHING ||
            !extend(r, r->told - r->covered, &answer))
                return true;
        stepped(r, answer);
        if (answer == TK_HOLD_TAKEN)
                return true;
        cut_short(r, answer);
        return false;
}

static void on_step(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        struct relay *r = ctx;
        TK_UNUSED(ticket);
        r->waiting = NOTHING;
        stepped(r, answer);
        if (r->stage == SETTLING) { /* the client left, or the stream ended, in the meantime */
                r->stage = STREAMING;
                settle(r);
                return;
        }
        if (!cover_unseen(r))
                return;
        resume_from(r, PAUSED_LEDGER);
        pump(r);
}

static bool extend(struct relay *r, uint64_t need, enum tk_hold_answer *answer) {
        struct tk_amounts to, least, most;
        uint64_t step = need + r->plan.step;
        uint64_t room = r->plan.output > r->covered ? r->plan.output - r->covered : 0;
        *answer = TK_HOLD_NO_CAP;
        if (need > room)
                room = need; /* the provider produces more than it was told to: that is held, too */
        if (step > room)
                step = room;
        if (tk_plan_amounts(&r->plan, r->covered + need, &to) != TK_OK)
                return true;
        least = tk_amounts_beyond(&to, tk_ticket_held(r->ticket));
        if (tk_plan_amounts(&r->plan, r->covered + step, &to) != TK_OK)
                return true;
        most = tk_amounts_beyond(&to, tk_ticket_held(r->ticket));
        r->waiting = NEXT_STEP;
        *answer = tk_ledger_extend(r->ticket, &least, &most, on_step, r);
        if (*answer == TK_HOLD_UNTRIED)
                return false;
        r->waiting = NOTHING;
        return true;
}

/* Is the output so far paid for, and enough beyond it, or all that is still to come? */
static bool well_covered(const struct relay *r) {
        uint64_t output = tk_oa_meter_output(&r->meter), end = tk_plan_reach(r->covered, r->told);
        return output <= end && (end - output > r->plan.step / 2 || r->exhausted || r->waiting != NOTHING ||
                                 r->covered >= r->told);
}

/*
 * Makes sure that the output so far is paid for. True: go on. False: it waits, or the stream was cut.
 * The next step is asked for while half of the last is still to come, so that streams seldom wait. Once that
 * was refused, it is asked for again only where the stream would have to end: others may have returned what
 * they held.
 */
static bool afford(struct relay *r) {
        uint64_t output = tk_oa_meter_output(&r->meter);
        enum tk_hold_answer answer;
        bool covered = output <= tk_plan_reach(r->covered, r->told);
        if (well_covered(r))
                return true;
        if (r->waiting == NOTHING && extend(r, output > r->covered ? output - r->covered : 0, &answer)) {
                stepped(r, answer);
                if (answer == TK_HOLD_TAKEN || covered)
                        return true;
                cut_short(r, answer);
                return false;
        }
        if (!covered)
                pause_for(r, PAUSED_LEDGER);
        return covered;
}

/*
 * What cannot be read may have been content. How much of it were tokens nobody knows; but what broke is the
 * provider's side, so it never counts for more than the provider was told to produce.
 */
static void take_unreadable(struct relay *r, uint64_t bytes) {
        uint64_t most = r->told * 4, counted = r->meter.content_bytes;
        uint64_t room = counted < most ? most - counted : 0;
        tk_oa_meter_take_opaque(&r->meter, bytes < room ? bytes : room);
}

/* Nothing but what the format has beside data: comments and the other fields. */
static bool says_nothing(struct tk_str raw) {
        static const char *const fields[] = {":", "event", "id", "retry", "\xEF\xBB\xBF"};
        while (raw.len > 0) {
                size_t cr = tk_str_find(raw, '\r'), lf = tk_str_find(raw, '\n');
                size_t end = cr < lf ? cr : lf;
                struct tk_str line = tk_str_head(raw, end);
                bool known = line.len == 0;
                for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
                        known = known || tk_str_starts(line, fields[i]);
                if (!known)
                        return false;
                raw = tk_str_skip(raw, end < raw.len ? end + 1 : end);
        }
        return true;
}

/* What becomes of an event: content waits until it is paid for; the rest passes at once. */
enum event_way { DROP, PASS, PASS_PAID, STREAM_DONE };

static enum event_way take_event(struct relay *r, const struct tk_sse_event *event) {
        struct tk_oa_chunk chunk;
        if (!event->has_data && says_nothing(event->raw))
                return PASS;
        if (!event->has_data) {
                take_unreadable(r, event->raw.len);
                return PASS_PAID;
        }
        if (tk_oa_chunk_read_like(&r->like, event->data, &chunk) != TK_OK) {
                take_unreadable(r, event->data.len);
                return PASS_PAID;
        }
        if (chunk.is_done)
                return STREAM_DONE;
        tk_oa_meter_take(&r->meter, &chunk.usage);
        r->finished += chunk.usage.finished;
        if (chunk.usage_only)
                return r->request.include_usage ? PASS : DROP;
        return PASS_PAID;
}

static void send_piece(struct relay *r, struct tk_str piece) {
        if (!r->call || piece.len == 0)
                return;
        tk_call_send(r->call, piece);
        if (r->call && tk_call_unsent(r->call) > UNSENT_MAX)
                pause_for(r, PAUSED_CLIENT);
}

static void on_drained(struct tk_call *call, void *ctx) {
        TK_UNUSED(call);
        resume_from(ctx, PAUSED_CLIENT);
}

/* The stream ended without [DONE]. What stands after the last blank line may have cost money, too. */
static void take_rest(struct relay *r) {
        struct tk_sse_event event;
        struct tk_str rest = tk_sse_rest(&r->sse);
        if (r->fetch_end == TK_FETCH_WHOLE)
                tk_buf_put(&r->held_back, rest); /* an unusual end, passed on as it came */
        else
                r->flags |= TK_ENTRY_BROKEN;
        if (tk_sse_finish(&r->sse, &event))
                (void)take_event(r, &event);
}

static void end_of_stream(struct relay *r) {
        if (!r->done_seen)
                take_rest(r);
        settle(r);
}

/* Hands out events as far as they are paid for. */
static void pump(struct relay *r) {
        struct tk_sse_event event;
        enum tk_relay_failure why;
        while (r->stage == STREAMING && !(r->paused & PAUSED_LEDGER)) {
                if (r->held_back.len > 0) { /* counted already; is it paid for by now? */
                        if (!afford(r))
                                return;
                        send_piece(r, tk_buf_str(&r->held_back));
                        tk_buf_clear(&r->held_back);
                }
                if (!tk_sse_next(&r->sse, &event))
                        break;
                switch (take_event(r, &event)) {
                case STREAM_DONE:
                        r->done_seen = true;
                        tk_buf_put(&r->held_back, event.raw);
                        leave_fetch(r);
                        end_of_stream(r);
                        return;
                case PASS_PAID:
                        if (!is_allowed(r, &why)) {
                                cut(r, why);
                                return;
                        }
                        if (well_covered(r)) /* nearly always, and then without a copy */
                                send_piece(r, event.raw);
                        else
                                tk_buf_put(&r->held_back, event.raw);
                        break;
                case PASS:
                        send_piece(r, event.raw);
                        break;
                case DROP:
                        break;
                }
        }
        if (r->stage == STREAMING && r->fetch_over && !(r->paused & PAUSED_LEDGER))
                end_of_stream(r);
        else if (r->stage == STREAMING)
                (void)cover_unseen(r);
}

/* ---- the provider's answer ---- */

static struct tk_str header_get(const struct tk_fetch_header *headers, unsigned nr, const char *name) {
        for (unsigned i = 0; i < nr; i++)
                if (tk_str_is_nocase(tk_str_of(headers[i].name), name))
                        return headers[i].value;
        return (struct tk_str){NULL, 0};
}

static bool is_event_stream(struct tk_str type) {
        size_t semicolon = tk_str_find(type, ';');
        return tk_str_is_nocase(tk_str_trim(tk_str_head(type, semicolon)), "text/event-stream");
}

static bool is_json(const char *type) {
        struct tk_str t = tk_str_of(type);
        return tk_str_is_nocase(tk_str_trim(tk_str_head(t, tk_str_find(t, ';'))), "application/json");
}

static void on_head(void *ctx, int status, const struct tk_fetch_header *headers, unsigned headers_nr) {
        struct relay *r = ctx;
        struct tk_str type = header_get(headers, headers_nr, "content-type");
        r->status = status;
        if (!tk_str_copy(type, r->content_type, sizeof r->content_type))
                r->content_type[0] = '\0';
        struct tk_str encoding = header_get(headers, headers_nr, "content-encoding");
        r->encoded = encoding.len > 0 && !tk_str_is_nocase(encoding, "identity");
        r->is_events = is_event_stream(type) && !r->encoded;
        /* Only what concerns this answer; the provider's rate-limit headers speak of OUR account there. */
        struct tk_str retry = header_get(headers, headers_nr, "retry-after");
        if (retry.len > 0 && r->call && status >= 400)
                tk_call_add_header(r->call, "retry-after", retry);
        if (status / 100 == 2 && r->is_events && r->plan.stream && r->call) {
                r->stage = STREAMING;
                r->client_started = true;
                tk_call_on_drained(r->call, on_drained, r);
                tk_call_add_header(r->call, "cache-control", TK_STR("no-cache"));
                tk_call_start(r->call, status, r->content_type);
        } else {
                r->stage = BUFFERING;
        }
}

static void on_data(void *ctx, struct tk_str piece) {
        struct relay *r = ctx;
        size_t unfinished = tk_sse_rest(&r->sse).len;
        if (r->stage == BUFFERING) {
                tk_buf_put(&r->body, piece);
                if (!tk_buf_ok(&r->body)) { /* too large, or no memory: the rest of it is of no use either */
                        stop_fetch(r);
                        r->fetch_end = TK_FETCH_BROKEN;
                        end_of_body(r);
                }
                return;
        }
        if (r->stage != STREAMING)
                return;
        if (tk_sse_feed(&r->sse, piece) != TK_OK) {
                take_unreadable(r, unfinished + piece.len);
                r->flags |= TK_ENTRY_BROKEN;
                stop_fetch(r);
                settle(r);
                return;
        }
        pump(r);
}

/* An answer that is not 2xx: nothing was produced, so nothing is charged. */
static void pass_error(struct relay *r) {
        struct tk_call *call = r->call;
        tk_ledger_void(&r->ticket);
        bool ours = r->status == 401 || r->status == 402 || r->status == 403 || r->status == 407;
        if (call && ours) {
                tk_log(TK_ERROR, "relay", "provider %s refuses our credentials or account with %d",
                       r->plan.model->provider->name, r->status);
                fail(r, TK_RELAY_AUTH);
        } else if (call && r->status >= 400 && is_json(r->content_type) && !r->encoded &&
                   tk_buf_ok(&r->body) && r->body.len > 0) {
                r->call = NULL;
                tk_call_reply(call, r->status, r->content_type, tk_buf_str(&r->body));
        } else if (call) {
                r->call = NULL;
                r->opt.voice->status(r->opt.ctx, r->status);
        }
        maybe_free(r);
}

static void end_of_body(struct relay *r) {
        struct tk_oa_usage usage;
        if (r->status / 100 != 2) {
                if (r->fetch_end == TK_FETCH_WHOLE)
                        pass_error(r);
                else {
                        fail(r, TK_RELAY_BROKEN);
                        void_and_end(r);
                }
                return;
        }
        if (r->fetch_end != TK_FETCH_WHOLE)
                r->flags |= TK_ENTRY_BROKEN;
        r->readable = tk_buf_ok(&r->body) && tk_oa_response_read(tk_buf_str(&r->body), &usage) == TK_OK;
        if (r->readable)
                tk_oa_meter_take(&r->meter, &usage);
        else
                take_unreadable(r, r->body.len);
        settle(r);
}

static enum tk_relay_failure failure_of(enum tk_fetch_end end) {
        switch (end) {
        case TK_FETCH_TIMEOUT:
                return TK_RELAY_TIMEOUT;
        case TK_FETCH_NO_CONNECT:
                return TK_RELAY_NO_CONNECT;
        case TK_FETCH_NO_MEMORY:
                return TK_RELAY_MEMORY;
        default:
                return TK_RELAY_BROKEN;
        }
}

static void on_end(void *ctx, enum tk_fetch_end end, const char *why) {
        struct relay *r = ctx;
        const bool sent = was_sent(r);
        r->fetch = NULL;
        r->fetch_over = true;
        r->fetch_end = end;
        if (end != TK_FETCH_WHOLE)
                tk_log(TK_WARN, "relay", "provider %s: %s", r->plan.model->provider->name, why);
        if (r->stage == SENT && !sent) {
                fail(r, failure_of(end));
                void_and_end(r);
        } else if (r->stage == SENT) { /* no head came, but the work may have been done, and is then billed */
                r->flags |= TK_ENTRY_BROKEN;
                settle(r);
        } else if (r->stage == BUFFERING) {
                end_of_body(r);
        } else if (r->stage == STREAMING) {
                pump(r);
        }
}

/* ---- sending ---- */

static enum tk_err fetch(struct relay *r, struct tk_str body) {
        const struct tk_provider *provider = r->plan.model->provider;
        struct tk_buf url = TK_BUF(8192), bearer = TK_BUF(8192);
        struct tk_fetch_header headers[8];
        unsigned nr = 0;
        static const char *const passed[] = {"traceparent", "tracestate", "accept-language"};
        headers[nr++] = (struct tk_fetch_header){"Content-Type", TK_STR("application/json")};
        headers[nr++] = (struct tk_fetch_header){"Accept", r->plan.stream ? TK_STR("text/event-stream")
                                                                          : TK_STR("application/json")};
        if (provider->api_key) {
                tk_buf_text(&bearer, "Bearer ");
                tk_buf_text(&bearer, provider->api_key);
                headers[nr++] = (struct tk_fetch_header){"Authorization", tk_buf_str(&bearer)};
        }
        for (unsigned i = 0; i < sizeof passed / sizeof *passed; i++) {
                struct tk_str value = tk_call_header(r->call, passed[i]);
                if (value.at)
                        headers[nr++] = (struct tk_fetch_header){passed[i], value};
        }
        tk_buf_text(&url, provider->base_url);
        tk_buf_text(&url, r->opt.path);
        struct tk_fetch_opt opt = {.url = url.at,
                                   .method = "POST",
                                   .body = body,
                                   .headers = headers,
                                   .headers_nr = nr,
                                   .connect_ms = provider->connect_ms,
                                   .first_byte_ms = provider->first_byte_ms,
                                   .idle_ms = provider->idle_ms,
                                   .on_head = on_head,
                                   .on_data = on_data,
                                   .on_end = on_end,
                                   .ctx = r};
        enum tk_err err = tk_buf_ok(&url) && tk_buf_ok(&bearer) ? TK_OK : TK_E_TOO_BIG;
        if (err == TK_OK)
                err = tk_fetch_start(r->opt.upstream, &opt, &r->fetch);
        if (bearer.at)
                explicit_bzero(bearer.at, bearer.len);
        tk_buf_free(&bearer);
        tk_buf_free(&url);
        return err;
}

static void send_upstream(struct relay *r) {
        struct tk_str body = tk_call_body(r->call);
        struct tk_buf out = TK_BUF(body.len + 65536);
        uint64_t affordable = r->plan.stream ? tk_plan_affordable(&r->plan, tk_ticket_held(r->ticket),
                                                                  tk_ticket_left(r->ticket))
                                             : tk_plan_covered(&r->plan, tk_ticket_held(r->ticket));
        r->covered = tk_plan_covered(&r->plan, tk_ticket_held(r->ticket));
        r->told = affordable;
        enum tk_err err = tk_plan_body(&r->plan, &r->request, body, affordable, &out);
        if (err == TK_OK) {
                r->stage = SENT;
                err = fetch(r, tk_buf_str(&out));
        }
        tk_buf_free(&out);
        if (err == TK_OK)
                return;
        fail(r, err == TK_E_NO_MEMORY ? TK_RELAY_MEMORY : TK_RELAY_REQUEST);
        void_and_end(r);
}

static void hold(struct relay *r);

static bool pays_enough(const struct relay *r) {
        return !tk_spend_wants_all(r->opt.spend_order, r->spend) ||
               tk_plan_affordable(&r->plan, tk_ticket_held(r->ticket), tk_ticket_left(r->ticket)) >=
                       r->plan.output;
}

/* Only for want of money: a rate is the same in every currency. */
static bool may_pay_otherwise(const struct relay *r, enum tk_hold_answer answer) {
        bool is_money = answer == TK_HOLD_TAKEN || answer == TK_HOLD_NO_CAP || answer == TK_HOLD_NO_BALANCE;
        return is_money && tk_spend_goes_on(r->opt.spend_order, r->spend);
}

static void first_hold(struct relay *r, enum tk_hold_answer answer) {
        if (!r->call) {
                void_and_end(r);
        } else if (answer == TK_HOLD_TAKEN && pays_enough(r)) {
                send_upstream(r);
        } else if (may_pay_otherwise(r, answer)) {
                tk_ledger_void(&r->ticket);
                r->spend++;
                hold(r);
        } else {
                struct tk_refusal refusal =
                        r->ticket ? *tk_ticket_refusal(r->ticket) : (struct tk_refusal){0};
                r->call = NULL;
                tk_ledger_void(&r->ticket);
                r->opt.voice->refused(r->opt.ctx, answer, &refusal);
                maybe_free(r);
        }
}

static void on_first_hold(struct tk_ticket *ticket, enum tk_hold_answer answer, void *ctx) {
        struct relay *r = ctx;
        TK_UNUSED(ticket);
        r->waiting = NOTHING;
        first_hold(r, answer);
}

static void hold(struct relay *r) {
        struct tk_amounts least, most;
        struct tk_id id;
        bool parsed = tk_id_parse(tk_str_of(tk_call_id(r->call)), &id);
        MUST(parsed); /* the seam makes the id */
        r->plan.currency = tk_spend_currency(r->opt.spend_order, r->spend);
        if (tk_plan_first(&r->plan, &least, &most) != TK_OK) {
                fail(r, TK_RELAY_REQUEST);
                maybe_free(r);
                return;
        }
        r->waiting = FIRST_HOLD;
        enum tk_hold_answer answer = tk_ledger_hold(r->opt.worker, r->opt.snapshot, id, &least, &most,
                                                    tk_call_now_ms(r->call), on_first_hold, r, &r->ticket);
        if (answer == TK_HOLD_UNTRIED)
                return;
        r->waiting = NOTHING;
        first_hold(r, answer);
}

void tk_relay_start(const struct tk_relay_opt *opt) {
        struct relay *r = calloc(1, sizeof *r);
        if (!r) {
                struct tk_snapshot *snapshot = opt->snapshot;
                tk_snapshot_release(&snapshot);
                opt->voice->failed(opt->ctx, TK_RELAY_MEMORY);
                return;
        }
        r->opt = *opt;
        r->request = *opt->request;
        r->opt.request = &r->request;
        r->call = opt->call;
        r->catch_up.fire = on_caught_up;
        r->body = TK_BUF(ANSWER_BYTES_MAX);
        r->held_back = TK_BUF(TK_SSE_EVENT_BYTES_MAX);
        tk_sse_init(&r->sse);
        tk_call_on_gone(opt->call, on_gone, r);
        if (tk_plan_make(&r->request, opt->model, opt->produces, opt->step_tokens, &r->plan) != TK_OK) {
                fail(r, TK_RELAY_REQUEST);
                maybe_free(r);
                return;
        }
        tk_keys_touch(opt->worker, opt->snapshot, tk_call_now_ms(opt->call));
        hold(r);
}
