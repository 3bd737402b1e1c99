# SPDX-License-Identifier: Apache-2.0
"""What must hold between the provider's truth and the ledger, for each call, key and window.

Of each call:
  (1) a call that ended by itself is posted to the token as the provider counted it, once, or not at all (a kill)
  (2) an entry belongs to a call that somebody made; a refused call was never sent on and has none
  (3) what was answered before a later write was acknowledged is in the store, whatever comes after
Of each window of each key, user, workspace and organisation:
  (4) truth <= posted + in doubt + in flight
  (5) posted + in doubt <= cap
  (6) the sums by hour, by day and in all are those of the entries

In flight is what no gateway can know: tokens that the provider has produced and the server has not read when the
stream ends under it. It is not guessed but measured, call by call:

  killed   The server passes a token on only while its hold covers RESERVE more (plan.c: tk_plan_reach), or all that the
           provider was told to produce; and what is held was lent by a durable lease. So of P produced and R that
           reached the client, at most P - R - RESERVE are not in posted + in doubt.
  left     The server posts the R' >= R tokens that it has read. With an entry, truth - posted is known exactly;
           without one (a kill came before the commit) it is at most P - R.
  cut      As left, but the whole hold is posted.
  whole    An answer that is not streamed is held whole and fetched to its end, also when its client has left: 0.

How many these may be is bounded by the pace of the provider times the time that a byte may lie between two
processes on this machine (LAG_S); more of them than that is a violation, too.
"""

import collections
import math

from ledger_file import KINDS, METERS, MONEY, window_number

RESERVE = 16                    # plan.h: TK_PLAN_RESERVE_TOKENS
GONE, CUT, BROKEN = 2, 4, 8     # store.h: TK_ENTRY_*

Row = collections.namedtuple("Row", "subject name limit number posted doubt truth in_flight")


class Audit:
    def __init__(self, ledger, keys, calls, truth, words, prices, lag_tokens):
        """truth: {user: counts}, as the provider states them; words: {(subject, meter): amount} that an operator said to
        be spent; prices: {model: (input, output)} in nano a token."""
        self.ledger, self.keys, self.calls, self.truth = ledger, keys, calls, truth
        self.words = words
        self.prices, self.lag_tokens = prices, lag_tokens
        self.violations = []
        self.rows = []
        self.forgotten = collections.Counter()  # of keys without a limit: nothing was held, so nothing is in doubt
        self.in_flight = {}                     # call -> nano
        self.worst = 0                          # tokens of one call

    def violation(self, text):
        self.violations.append(text)

    def run(self):
        self.sums()
        for call in self.calls:
            self.one_call(call)
        self.strangers()
        groups = {part: name for key in self.keys
                  for part, name in zip(self.ledger.groups[key.id], ("workspace", "org", "user"))}
        for subject, name in [*((key.id, key.name) for key in self.keys), *groups.items()]:
            self.one_subject(subject, name)

    # ---- sums ----

    def sums(self):
        """Hours, days and the total; of a key of whose doubts an operator has spoken, only what they have in common."""
        due = collections.Counter()
        for entry in self.ledger.entries.values():
            for meter in METERS:
                for span, number in ((0, 0), (1, int(entry.held_s // 86400)), (2, int(entry.held_s // 3600))):
                    due[entry.subject, span, number, meter] += entry.due[meter]
        stated = collections.Counter()
        for (subject, span, number), amounts in self.ledger.usage.items():
            if subject in {key.id for key in self.keys}:
                for meter in METERS:
                    stated[subject, span, number, meter] += amounts[meter]
        for at in {*due, *stated}:
            if not self.words[at[0], at[3]] and due[at] != stated[at]:
                self.violation(f"key {at[0]}: span {at[1]} number {at[2]} {at[3]}: the entries sum up to {due[at]}, "
                               f"the usage says {stated[at]}")
        for (subject, meter), word in self.words.items():
            spans = [sum(value for at, value in stated.items() if (at[0], at[1], at[3]) == (subject, span, meter))
                     for span in range(3)]
            if subject in {key.id for key in self.keys} and set(spans) != {due[subject, 0, 0, meter] + word}:
                self.violation(f"key {subject}: {meter}: the usage by total, days, hours is {spans}, the entries sum up "
                               f"to {due[subject, 0, 0, meter]}, and an operator said {word}")

    # ---- calls ----

    def cost(self, call, prompt, completion):
        input_nano, output_nano = self.prices[call.model]
        return prompt * input_nano + completion * output_nano

    def produced(self, call):
        """(prompt, completion) tokens, by the provider's own count."""
        counts = self.truth.get(call.user)
        return (counts["prompt_tokens"], counts["completion_tokens"]) if counts else (0, 0)

    def is_limited(self, key):
        return any(self.ledger.limits[subject] for subject in (key.id, *self.ledger.groups[key.id]))

    def one_call(self, call):
        prompt, completion = self.produced(call)
        truth, entry = self.cost(call, prompt, completion), self.ledger.entries.get(call.id)
        who = f"key {call.key.name}, call {call.user} ({call.end}, {call.model})"
        if call.end in ("refused", "unsent") and (truth or entry):
            self.violation(f"{who}: was not served, yet the provider counts {truth} nano and the ledger {entry}")
        if entry:
            excess = self.of_entry(call, entry, prompt, completion, truth, who)
        else:
            excess = self.of_no_entry(call, completion, who)
            if not self.is_limited(call.key):
                self.forgotten[call.end] += truth
        if excess > 0:
            tokens = math.ceil(excess / (self.prices[call.model][1] or 1))
            self.in_flight[call.user] = excess
            self.worst = max(self.worst, tokens)
            if tokens > self.lag_tokens:
                self.violation(f"{who}: {tokens} tokens were produced and not charged; produced {completion}, "
                               f"received {call.received}, {entry}")

    def of_entry(self, call, entry, prompt, completion, truth, who):
        if entry.subject != call.key.id:
            self.violation(f"{who}: is charged to {entry.subject}")
        if entry.flags == 0 and not (entry.input == prompt and entry.output == completion and
                                     entry.due["usd"] + entry.overrun["usd"] == truth and not entry.overrun["usd"]):
            self.violation(f"{who}: produced {prompt} + {completion} tokens, {truth} nano, but {entry}")
        if call.end == "done" and entry.flags & (GONE | CUT | BROKEN):
            self.violation(f"{who}: ended whole, but {entry}")
        return truth - entry.due["usd"]

    def of_no_entry(self, call, completion, who):
        if not call.killed and call.id and call.end in ("done", "cut"):
            self.violation(f"{who}: was answered, its server was not killed, and it is not in the ledger")
        if not call.stream or call.end == "done":
            return 0
        unread = completion - call.received
        if call.end in ("lost", "cut"):
            unread -= RESERVE
        return max(0, unread) * self.prices[call.model][1]

    def strangers(self):
        """Entries of calls whose id never reached a client; no more than there were such calls."""
        known = {call.id for call in self.calls if call.id}
        nameless = collections.Counter(call.key.id for call in self.calls if not call.id and call.end != "unsent")
        found = collections.Counter(e.subject for e in self.ledger.entries.values() if e.id not in known)
        for subject, count in found.items():
            if count > nameless[subject]:
                self.violation(f"key {subject}: {count} entries of nobody, {nameless[subject]} calls without an id")

    def whole_answers(self, since_s):
        """In the lives that ended cleanly, which began at since_s, answers that are not streamed are paid for even when
        their client left before it knew the id: by key and model, entries of nobody cost what the provider counts."""
        known = {call.id for call in self.calls if call.id}
        due, truth = collections.Counter(), collections.Counter()
        for call in self.calls:
            if not call.id and not call.stream and not call.killed:
                truth[call.key.id, call.model] += self.cost(call, *self.produced(call))
        for entry in self.ledger.entries.values():
            if entry.id not in known and entry.held_s >= since_s:
                due[entry.subject, entry.model] += entry.due["usd"]
        for at, nano in truth.items():
            if nano > due[at]:
                self.violation(f"key {at[0]}: whole answers of {at[1]} that nobody waited for: produced {nano} nano, "
                               f"posted {due[at]}")

    # ---- keys, users, workspaces, organisations ----

    def one_subject(self, subject, name):
        keys = self.ledger.below(subject)
        sums = collections.Counter()
        turned = set()
        limits = [limit for limit, _ in self.ledger.windows(subject)]
        for call in self.calls if limits else ():
            if call.key.id not in keys:
                continue
            entry = self.ledger.entries.get(call.id)
            prompt, completion = self.produced(call)
            used = {"usd": self.cost(call, prompt, completion), "tokens": prompt + completion,
                    "requests": int(call.user in self.truth)}
            in_flight = self.in_flight.get(call.user, 0)
            for limit in set(limits):
                number = window_number(limit.kind, entry.held_s if entry else call.began_s)
                if not entry and number != window_number(limit.kind, call.ended_s):
                    turned |= {(limit, number), (limit, number + 1)}  # which of the two it is in nobody knows
                sums[limit, number] += used.get(limit.meter, 0)
                sums[limit, number, "in flight"] += self.in_flight_of(call, limit.meter, in_flight)
        for limit, number in self.ledger.windows(subject):
            self.one_window(subject, name, limit, number, sums, (limit, number) in turned)

    def in_flight_of(self, call, meter, nano):
        if meter == "usd":
            return nano
        return math.ceil(nano / (self.prices[call.model][1] or 1)) if meter == "tokens" else 0

    def one_window(self, subject, name, limit, number, sums, turned):
        posted = self.ledger.posted(subject, limit.meter, limit.kind, number)
        doubt = self.ledger.doubt(subject, limit.meter, limit.kind, number)
        truth, in_flight = sums[limit, number], sums[limit, number, "in flight"]
        self.rows.append(Row(subject, name, limit, number, posted, doubt, truth, in_flight))
        who = f"{name} {subject}, {limit.meter} a {KINDS[limit.kind]}, window {number}"
        if truth > posted + doubt + in_flight and not turned:
            self.violation(f"{who}: the provider produced {truth}, posted {posted} + in doubt {doubt} + in flight "
                           f"{in_flight} is {truth - posted - doubt - in_flight} less")
        if posted + doubt > limit.cap:
            self.violation(f"{who}: posted {posted} + in doubt {doubt} is {posted + doubt - limit.cap} above the cap "
                           f"of {limit.cap}")


def amount(meter, value):
    return f"{value / 1e9:.9f}" if meter in MONEY else str(value)


def table(rows):
    lines = [f"{'subject':10} {'limit':16} {'window':>7} {'cap':>14} {'posted':>14} {'in doubt':>14} {'left':>14} "
             f"{'truth':>14} {'in flight':>12}"]
    for row in rows:
        left = row.limit.cap - row.posted - row.doubt
        values = (row.limit.cap, row.posted, row.doubt, left, row.truth)
        lines.append(f"{row.name:10} {row.limit.meter + ' ' + KINDS[row.limit.kind]:16} {row.number:7} " +
                     " ".join(f"{amount(row.limit.meter, value):>14}" for value in values) +
                     f" {amount(row.limit.meter, row.in_flight):>12}")
    return "\n".join(lines)
